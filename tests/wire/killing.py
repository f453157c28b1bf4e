"""Processes that are killed in the middle of a long write: what is lost, and is anything broken?

Each time a process of its own lets an agent write a file through a gateway on loopback, which
sends steadily or in bursts with silence after them. SIGKILL comes at a random moment. Then the
workspace is looked at, and the agent runs again in it, to its end.
"""

import json
import random
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.abc

from agentcore import Agent, Local
from agentcore.draft_store import DraftStore
from agentcore.testing import Answer, Call, Gateway, Pause, Reply, Step, stream
from agentcore.tools import write_file

__all__ = ["Killed", "kill_many"]

LINES = [
    f"{number:>5}. Move table t{number * 7919 % 30011:05}, é and 😀.\n" for number in range(3_000)
]
TEXT = "".join(LINES)
FIELDS = {"path": "plan.md", "mode": "create", "content": TEXT}
WATCH_SECONDS = 0.005
"""How finely the gateway's record is timed; so much too small a loss may be counted."""
LONGEST_SECONDS = 3.0
"""From the first piece of the text to the kill."""
PATIENCE_SECONDS = 60.0
"""For the first piece: a busy machine takes its time to start a process."""


@dataclass(frozen=True, kw_only=True)
class Killed:
    """One process that was killed."""

    after_seconds: float
    """Since the first piece of the text was sent."""
    sent_lines: int
    found_lines: int
    lost_bytes: int
    """Of whole lines that were sent and not found."""
    lost_seconds: float
    """How long before the kill the first line that was not found had been sent; 0 for none."""
    broken: str
    """What is wrong with what was found; empty for nothing."""
    finished: bool
    """The second run wrote the file, whole."""


async def kill_one(seed: int) -> Killed:
    """Let a process write, kill it, look at what it left, and let another go to the end."""
    chance = random.Random(seed)
    backend = "trio" if seed % 2 else "asyncio"
    arguments = json.dumps(FIELDS, ensure_ascii=chance.random() < 0.5)
    answer = Answer(calls=(Call(name="write_file", arguments=arguments),))
    sent: list[tuple[float, int]] = []
    with TemporaryDirectory() as folder:
        workspace = Path(folder)
        async with Gateway() as gateway:
            gateway.play(_in_bursts(answer, chance))
            command = [sys.executable, __file__, gateway.base_url, folder, backend]
            async with (
                await anyio.open_process(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=None
                ) as process,
                anyio.create_task_group() as tasks,
            ):
                with anyio.fail_after(PATIENCE_SECONDS):
                    await tasks.start(_watch, gateway, sent)
                await anyio.sleep(chance.uniform(0.0, LONGEST_SECONDS))
                killed_at = anyio.current_time()
                process.kill()
                tasks.cancel_scope.cancel()
            broken, found = _look(workspace)
            gateway.play(stream(answer, piece=4_096), Answer(text="Done."))
            await _write(gateway.base_url, workspace)
            finished = (workspace / "plan.md").read_text(encoding="utf-8") == TEXT
    ends = _line_ends(arguments)
    lines = [(at, bisect_right(ends, size)) for at, size in sent if at <= killed_at]
    lost_at = next((at for at, count in lines if count > found), killed_at)
    return Killed(
        after_seconds=killed_at - sent[0][0],
        sent_lines=lines[-1][1],
        found_lines=found,
        lost_bytes=len("".join(LINES[found : lines[-1][1]]).encode()),
        lost_seconds=killed_at - lost_at,
        broken=broken,
        finished=finished,
    )


async def kill_many(seeds: Sequence[int], *, at_once: int) -> list[Killed]:
    """Several, some of them at the same time; every other one runs on trio."""
    killed: list[Killed] = []
    room = anyio.CapacityLimiter(at_once)

    async def kill(seed: int) -> None:
        async with room:
            killed.append(await kill_one(seed))

    async with anyio.create_task_group() as tasks:
        for seed in seeds:
            tasks.start_soon(kill, seed)
    return killed


def _in_bursts(answer: Answer, chance: random.Random) -> Reply:
    """Longer than any process lives; some are silent for up to two seconds now and then."""
    piece = chance.choice([64, 256, 1_024])
    count = len(stream(answer, piece=piece).steps)
    reply = stream(answer, piece=piece, pace=chance.uniform(1.1, 2.0) * LONGEST_SECONDS / count)
    steps: list[Step] = list(reply.steps)
    for _ in range(chance.choice([0, 4, 20])):
        steps.insert(chance.randrange(len(steps)), Pause(chance.uniform(0.1, 2.0)))
    return replace(reply, steps=tuple(steps))


async def _watch(
    gateway: Gateway,
    sent: list[tuple[float, int]],
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Note when the gateway had sent how many characters of arguments."""
    while True:
        size = len(gateway.requests[0].sent_arguments) if gateway.requests else 0
        if size > (sent[-1][1] if sent else 0):
            if not sent:
                task_status.started()
            sent.append((anyio.current_time(), size))
        await anyio.sleep(WATCH_SECONDS)


def _line_ends(arguments: str) -> list[int]:
    """Where in the argument text each line of the file ends."""
    is_ascii = arguments.isascii()
    begin = arguments.index('"content": "') + len('"content": "')
    sizes = [len(json.dumps(line, ensure_ascii=is_ascii)) - len('""') for line in LINES]
    return list(accumulate(sizes, initial=begin))[1:]


def _look(workspace: Path) -> tuple[str, int]:
    """What is wrong in a workspace, and how many lines were found in it."""
    store = DraftStore(workspace)
    drafts = store.rescue()
    files = [path for path in workspace.rglob("*") if path.is_file()]
    text = "".join(draft.text for draft in drafts)
    count = text.count("\n")
    wrong = {
        "more than one draft": len(drafts) > 1,
        "no prefix of whole lines": text != "".join(LINES[:count]),
        "other fields": any(d.fields != {"path": "plan.md", "mode": "create"} for d in drafts),
        "other files": len(files) != len(drafts),
        "found again": store.rescue() != () or store.all() != drafts,
    }
    return ", ".join(what for what, is_so in wrong.items() if is_so), count


async def _write(base_url: str, workspace: Path) -> None:
    agent = Agent(
        "scripted", adapter=Local(base_url=base_url), tools=[write_file], workspace=workspace
    )
    await agent.run("Write plan.md.")


if __name__ == "__main__":
    anyio.run(_write, sys.argv[1], Path(sys.argv[2]), backend=sys.argv[3])
