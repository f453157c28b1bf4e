"""Many runs at once in one process: what a run costs when a thousand share a machine.

    python benchmarks/many_runs.py --runs 10 100 1000

A gateway in a process of its own plays models that each write a file of 60 lines. Of fifty runs
ten lose their connection in the middle of the call, with a draft to go on from, and one is told at
first that there is no room. Every run has an agent, a workspace and connections of its own; every
file's digest is checked. CPU and memory are the client's alone.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import anyio

from agentcore import Agent, Local
from agentcore.events import WaitStarted
from agentcore.testing import (
    RESET,
    Gateway,
    RecordedRequest,
    Reply,
    ScriptedModel,
    after_line,
    cut,
    status,
    stream,
)
from agentcore.testing.script import Pause
from agentcore.tools import write_file

LINES = 60


def text_of(number: int) -> str:
    return "".join(f"Line {line} of the plan of run {number}, é and 😀.\n" for line in range(LINES))


# --- the gateway ----------------------------------------------------------------------------


def respond(request: RecordedRequest) -> Reply:
    """A model for each run; its first request meets what its number says."""
    assert isinstance(request.messages[0]["content"], str)
    _, number, pause = request.messages[0]["content"].split()
    run = int(number)
    reply = stream(ScriptedModel(path="plan.md", text=text_of(run))(request.body), piece=64)
    seen = _seen[run] = _seen.get(run, 0) + 1
    if seen > 1:
        return reply
    if run % 50 == 1:
        return status(429, {"error": {"message": "Too many requests", "code": "rate_limit"}})
    if run % 5 == 2:
        reply = cut(reply, at=after_line(40), by=RESET)
    # Half of the call, and then a silence in which all other runs get as far.
    half = len(reply.steps) // 2
    return Reply(steps=(*reply.steps[:half], Pause(float(pause)), *reply.steps[half:]))


_seen: dict[int, int] = {}


async def serve() -> None:
    async with Gateway(respond=respond) as gateway:
        print(gateway.base_url, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)  # until the client is gone


# --- the runs -------------------------------------------------------------------------------


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


class Peaks:
    """The most that was seen, while `watch` runs."""

    def __init__(self) -> None:
        self.resident = 0
        self.descriptors = 0
        self.waits = 0
        self.late: list[float] = []
        """Seconds by which a task that sleeps 0.1 s was late: how long a burst holds the loop."""

    async def watch(self) -> None:
        while True:
            self.resident = max(self.resident, resident_bytes())
            self.descriptors = max(self.descriptors, descriptors())
            before = time.monotonic()
            await anyio.sleep(0.1)
            self.late.append(time.monotonic() - before - 0.1)


async def runs_at_once(numbers: range, base_url: str, pause: float, folder: Path) -> Peaks:
    peaks = Peaks()

    def listen(event: object) -> None:
        peaks.waits += isinstance(event, WaitStarted)

    async def one(number: int) -> None:
        workspace = folder / str(number)
        workspace.mkdir()
        agent = Agent(
            "some-model",
            adapter=Local(base_url=base_url),
            tools=(write_file,),
            workspace=workspace,
        )
        await agent.run(f"Run {number} {pause}", on_event=listen)

    async with anyio.create_task_group() as watching:
        watching.start_soon(peaks.watch)
        async with anyio.create_task_group() as tasks:
            for number in numbers:
                tasks.start_soon(one, number)
        watching.cancel_scope.cancel()
    for number in numbers:
        written = hashlib.sha256((folder / str(number) / "plan.md").read_bytes())
        assert written.digest() == hashlib.sha256(text_of(number).encode()).digest(), number
    return peaks


def measure(first: int, runs: int, base_url: str, *, trace: bool) -> str:
    pause = max(1.0, runs / 50)
    before = resident_bytes(), descriptors()
    if trace:
        tracemalloc.start()
    cpu, started = time.process_time(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        peaks = anyio.run(runs_at_once, range(first, first + runs), base_url, pause, Path(folder))
    cpu, seconds = time.process_time() - cpu, time.monotonic() - started
    if trace:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return f"{runs:5,} runs: {most / runs / 1024:6.0f} KiB of Python objects a run at the most"
    return (
        f"{runs:5,} runs: {seconds:6.1f} s ({pause:.0f} of them silence), {runs / seconds:5.1f} "
        f"runs/s; CPU {cpu / runs * 1000:5.1f} ms a run; memory "
        f"{(peaks.resident - before[0]) / runs / 1024:5.0f} KiB a run; "
        f"{(peaks.descriptors - before[1]) / runs:.2f} descriptors a run; waits {peaks.waits}; "
        f"late {statistics.median(peaks.late) * 1000:.0f} ms, at most {max(peaks.late):.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[10, 100, 1_000])
    parser.add_argument("--serve", action="store_true", help="be the gateway")
    options = parser.parse_args()
    if options.serve:
        anyio.run(serve)
        return
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as gateway:
        assert gateway.stdin is not None
        assert gateway.stdout is not None
        base_url = gateway.stdout.readline().strip()
        first = 10
        # What is loaded once is no cost of a run.
        measure(0, first, base_url, trace=False)
        for runs in options.runs:
            print(measure(first, runs, base_url, trace=False), flush=True)
            first += runs
        print(measure(first, 100, base_url, trace=True))
        gateway.stdin.close()


if __name__ == "__main__":
    main()
