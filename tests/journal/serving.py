"""Worker processes of a fleet, with a scripted model inside, for tests that start real ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

__all__ = ["APP", "begun", "command", "environment", "started", "states", "stop", "wait_for"]


APP = """
import os
import time

import anyio

from agentcore import Agent, Local, ToolContext, tool
from agentcore.testing import Answer, Call, GatewayTransport


@tool
async def work(seconds: float, context: ToolContext) -> str:
    "Work for a while, which must not be repeated."
    line = f"{context.key} {os.getpid()} {time.time()}\\n"
    number = os.open("begun", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(number, line.encode())
    os.close(number)
    await anyio.sleep(seconds)
    return "done"


def answer(request):
    if any(message["role"] == "tool" for message in request.body["messages"]):
        return Answer(text="All is done.")
    seconds = request.body["messages"][-1]["content"]
    return Answer(calls=(Call(name="work", arguments=f'{{"seconds": {seconds}}}', id="c1"),))


def make(journal=None):
    return Agent(
        "m",
        adapter=Local(base_url="http://gateway.test/v1"),
        tools=[work],
        transport=GatewayTransport(respond=answer),
        journal=journal or os.environ["JOURNAL"],
    )


tool_of_mine = work
"""
"""The prompt is how many seconds its one tool works."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "agentcore.cli", *arguments]


def environment(journal: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    return {**kept, "COLUMNS": "300", "NO_COLOR": "1", "JOURNAL": journal}


@contextmanager
def started(
    folder: Path, journal: str, *arguments: str, program: list[str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that runs inside the block; what it tells is in `<folder>/told`."""
    with (folder / "told").open("ab") as told:
        process = subprocess.Popen(
            program or command("work", "app:make", *arguments),
            cwd=folder,
            env=environment(journal),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=30)


def wait_for(happened: Callable[[], object], seconds: float = 40.0) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def begun(folder: Path) -> list[tuple[str, int, float]]:
    """What tools did: run, process and time, in the order in which they began."""
    path = folder / "begun"
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        key, process, at = line.split()
        found.append((key.rpartition(":")[0], int(process), float(at)))
    return found


def states(journal: str) -> dict[str, str]:
    """Of the runs of a journal."""
    with psycopg.connect(journal) as connection:
        return dict(connection.execute("SELECT id, status FROM agentcore.run").fetchall())
