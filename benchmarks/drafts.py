"""What drafts save: a large file through connections that die, with drafts and without.

    make bench          # or: python benchmarks/drafts.py [--lines 30000]

In process and in virtual time: the loop, the HTTP client, tools and files are real. Sent:
characters of content that the endpoint sent, decoded by a decoder of its own, divided by those of
the file. Input: what the requests carried, UTF-8 bytes divided by 3.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agentcore import Agent, Limits, Local, Policy, RunError
from agentcore.ledger import estimate_tokens
from agentcore.testing import (
    RESET,
    GatewayTransport,
    RecordedRequest,
    Reply,
    ScriptedModel,
    Temperament,
    after_arguments,
    cut,
    run_in_virtual_time,
    stream,
)
from agentcore.testing.sent import SentAnswer, fields_so_far
from agentcore.tools import read_file, write_file

PERCENTS = (2, 5, 10, 25, 50, 80)
PIECE = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run."""

    case: str
    requests: int
    sent: float
    """Characters of content sent, divided by those of the file."""
    input_tokens: int
    seconds: float
    """Of CPU."""
    outcome: str


def long_text(lines: int) -> str:
    """A plan of so many lines, all different, 50 characters or so each."""
    return "".join(
        f"{number:>5}. Move table t{number * 7919 % 30011:05} to the new store; check.\n"
        for number in range(1, lines + 1)
    )


def play(case: str, model: ScriptedModel, percent: float, policy: Policy) -> Row:
    """One run: every connection dies after so many percent of the file."""
    limit = int(len(model.text.encode()) * percent / 100)
    transport = GatewayTransport(respond=lambda request: _killed(model, request, limit))
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        agent = Agent(
            "some-model",
            adapter=Local(base_url="http://bench.test/v1"),
            tools=[write_file, read_file],
            workspace=folder,
            policy=policy,
            limits=Limits(idle_turns=5),
            transport=transport,
        )
        try:
            run_in_virtual_time(agent.run, f"Write {model.path}.")
            stopped = ""
        except RunError as error:
            stopped = str(error).splitlines()[0]
        outcome = _outcome(Path(folder) / model.path, model.text, stopped)
    return Row(
        case=case,
        requests=len(transport.requests),
        sent=sum(map(_content_characters, transport.requests)) / len(model.text),
        input_tokens=sum(estimate_tokens(len(request.raw)) for request in transport.requests),
        seconds=time.process_time() - started,
        outcome=outcome,
    )


def _killed(model: ScriptedModel, request: RecordedRequest, limit: int) -> Reply:
    reply = stream(model(request.body), piece=PIECE)
    arguments = sum(len(step.arguments.encode()) for step in reply.steps if _has_arguments(step))
    return cut(reply, at=after_arguments(limit), by=RESET) if arguments > limit else reply


def _has_arguments(step: object) -> bool:
    return bool(getattr(step, "arguments", ""))


def _outcome(path: Path, text: str, stopped: str) -> str:
    there = path.read_text() if path.exists() else None
    if there == text and not stopped:
        return "right"
    if stopped and (there is None or text.startswith(there)):
        lines = 0 if there is None else there.count("\n")
        return f"stopped, {lines:,} lines on disk"
    return "WRONG FILE"


def _content_characters(request: RecordedRequest) -> int:
    """Characters of `content` in what an endpoint sent for a request."""
    return sum(
        len(str(fields_so_far(call.arguments).get("content", ("",))[0]))
        for call in SentAnswer.of(request.sent).calls
    )


def rows(lines: int) -> Iterator[Row]:
    """All runs of the table."""
    text = long_text(lines)
    obedient = ScriptedModel(path="plan.md", text=text)
    for percent in PERCENTS:
        yield play(f"killed after {percent} %", obedient, percent, Policy())
        yield play(
            f"killed after {percent} %, drafts off", obedient, percent, Policy(keep_drafts=False)
        )
    writers: dict[str, Callable[[], ScriptedModel]] = {
        **{
            f"repeats the last {off} line{'s' if off > 1 else ''}": (
                lambda off=off: ScriptedModel(
                    path="plan.md", text=text, temperament=Temperament.OVERLAPS, lines_off=off
                )
            )
            for off in range(1, 6)
        },
        "starts a line too early, then too late": lambda: ScriptedModel(
            path="plan.md", text=text, temperament=Temperament.FORGETS, lines_off=1
        ),
        "ignores guidance twice": lambda: ScriptedModel(
            path="plan.md", text=text, temperament=Temperament.STUBBORN, deaf_for=2
        ),
        "ignores guidance always": lambda: ScriptedModel(
            path="plan.md", text=text, temperament=Temperament.STUBBORN
        ),
        "sends each section twice": lambda: ScriptedModel(
            path="plan.md", text=text, temperament=Temperament.REPEATS
        ),
    }
    for name, make in writers.items():
        yield play(f"{name}; killed after 10 %", make(), 10, Policy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=3_000, help="length of the file")
    lines = parser.parse_args().lines
    size = len(long_text(lines).encode())
    print(f"a file of {lines:,} lines, {size:,} bytes; pieces of {PIECE} characters\n")
    print("| case | requests | sent ÷ file | input tokens | CPU s | outcome |")
    print("|---|---:|---:|---:|---:|---|")
    for row in rows(lines):
        print(
            f"| {row.case} | {row.requests} | {row.sent:.3f} | {row.input_tokens:,} "
            f"| {row.seconds:.1f} | {row.outcome} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
