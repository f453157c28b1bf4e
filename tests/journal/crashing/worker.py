"""A process that drives a run, and dies where it is told to.

It is started as a program, with its orders as JSON. Beside the workspace it keeps two files that
are written at once and survive it: what its tools did, and which rows the journal said it has.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
from typing_extensions import override

from agentcore import (
    Agent,
    Backoff,
    Local,
    Policy,
    RunError,
    RunResult,
    ToolContext,
    tool,
)
from agentcore.errors import RunBusy, RunLost
from agentcore.journal import CallBegun, CallEnded, Record, RunStatus, SqliteStore
from agentcore.journal.records import body_of
from agentcore.tools import execute_code, write_file
from agentcore.tools.base import Tool
from agentcore.tools.files.replacing import is_temporary

__all__ = ["DIED", "PROMPT", "RUN_ID", "Orders", "agent_of", "digest_of"]

PROMPT = "Tell Ann, then write plan.md."
RUN_ID = "plan-42"
EFFECTS, SAFE, ROWS, HERE, GO, CHILD = "effects", "safe", "rows", "here", "go", "child"
"""Files beside the workspace: keys of what must not be done twice; of what may be; rows that were
written; that a tool waits; that it may go on; the id of a child."""
DONE, STOPPED, BUSY, LOST, DIED = 0, 3, 4, 5, 77
"""How a worker ends."""
READY = "ready"
"""Printed when all is loaded, before the journal is opened."""
_WAIT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a worker is to do."""

    base_url: str
    workspace: str
    run_id: str = RUN_ID
    backend: str = "asyncio"
    how: str = "run"
    """`run`, `drive` or `intrude`: try all that needs the run, which another process drives."""
    dies: str = ""
    """Where it ends itself. `before` or `after` a row, as in `before:result:send_mail`; `in` a
    tool, after its effect; or when a file tool `opens` or `removes` its temporary file."""
    max_attempts: int = 3
    busy_seconds: float = 0.0
    """How long a tool works at most, by chance."""

    def dump(self) -> str:
        return json.dumps(asdict(self))


# --- what it leaves behind ------------------------------------------------------------------


def _note(folder: Path, name: str, line: str) -> None:
    """A line at the end of a file, on the medium when this returns."""
    number = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(number, f"{line}\n".encode())
        os.fsync(number)
    finally:
        os.close(number)


def digest_of(record: Record) -> str:
    return hashlib.sha256(body_of(record).encode()).hexdigest()


class TellingStore(SqliteStore):
    """A journal that notes what it said was written, and ends the process at one of its rows."""

    def __init__(self, path: Path, folder: Path, dies: str) -> None:
        super().__init__(path)
        self._folder = folder
        self._when, _, self._what = dies.partition(":")

    @override
    def append(
        self,
        run_id: str,
        epoch: int,
        records: Sequence[Record],
        *,
        ends_partial: bool = False,
        status: RunStatus | None = None,
    ) -> int:
        is_it = any(_told(record) in (self._what, f"{self._what}:") for record in records)
        if is_it and self._when == "before":
            os._exit(DIED)
        last = super().append(run_id, epoch, records, ends_partial=ends_partial, status=status)
        if is_it and self._when == "after":
            os._exit(DIED)
        first = last - len(records) + 1
        for seq, record in enumerate(records, start=first):
            _note(self._folder, ROWS, f"{seq} {digest_of(record)}")
        return last


def _told(record: Record) -> str:
    """As in `dies`: the kind, and of a call the tool."""
    tool_name = record.tool if isinstance(record, (CallBegun, CallEnded)) else ""
    return f"{record.kind}:{tool_name}"


# --- tools ----------------------------------------------------------------------------------


def tools_of(orders: Orders) -> tuple[Tool, ...]:
    folder = Path(orders.workspace).parent

    def work() -> None:
        time.sleep(random.uniform(0.0, orders.busy_seconds))

    def wait() -> None:
        _note(folder, HERE, "here")
        deadline = time.monotonic() + _WAIT_SECONDS
        while not (folder / GO).exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    @tool
    def send_mail(to: str, context: ToolContext) -> str:
        """Send a mail. It must not be sent twice."""
        work()
        _note(folder, EFFECTS, context.key)
        if orders.dies == "in:send_mail":
            os._exit(DIED)
        work()
        return f"sent to {to}"

    @tool(repeat="safe")
    def look_up(name: str, context: ToolContext) -> str:
        """Look up an address."""
        work()
        _note(folder, SAFE, context.key)
        return f"{name}@example.org"

    @tool(repeat="safe")
    def wait_for_it(name: str, context: ToolContext) -> str:
        """Look whether somebody has said go."""
        _note(folder, SAFE, context.key)
        wait()
        return f"{name}: gone"

    @tool
    def wait_and_send(to: str, context: ToolContext) -> str:
        """Send a mail once somebody has said go."""
        wait()
        _note(folder, EFFECTS, context.key)
        return f"sent to {to}"

    @tool
    def start_program(seconds: int) -> str:
        """Start a program, and wait for it."""
        with subprocess.Popen(["sleep", str(seconds)]) as child:
            _note(folder, CHILD, str(child.pid))
        return "over"

    @tool
    def fork(seconds: int) -> str:
        """Fork, and wait for the child."""
        child = os.fork()
        if not child:
            time.sleep(seconds)
            os._exit(0)
        _note(folder, CHILD, str(child))
        os.waitpid(child, 0)
        return "over"

    waiting = (wait_for_it, wait_and_send, start_program, fork)
    return (send_mail, look_up, write_file, execute_code, *waiting)


def agent_of(orders: Orders, **options: Any) -> Agent:
    """An agent that waits next to nothing between its attempts."""
    settings: dict[str, Any] = {
        "tools": tools_of(orders),
        "policy": Policy(max_attempts=orders.max_attempts, backoff=Backoff(first=0.01, cap=0.02)),
        "allow_unconfined": ["execute_code"],
        **options,
    }
    return Agent(
        "scripted",
        adapter=Local(base_url=orders.base_url),
        workspace=orders.workspace,
        **settings,
    )


# --- the process ----------------------------------------------------------------------------


async def _work(orders: Orders) -> int:
    workspace = Path(orders.workspace)
    store = TellingStore(workspace / ".agentcore" / "runs.db", workspace.parent, orders.dies)
    agent = agent_of(orders, journal=store)
    print(READY, flush=True)  # noqa: T201 whoever started it waits for this
    try:
        if orders.how == "intrude":
            return await _intrude(agent, store, orders.run_id)
        await _drive(agent, orders)
    except RunError as error:
        print(error, flush=True)  # noqa: T201
        return STOPPED
    except RunBusy:
        return BUSY
    except RunLost:
        return LOST
    return DONE


async def _drive(agent: Agent, orders: Orders) -> RunResult:
    if orders.how == "drive":
        await agent.submit(PROMPT, run_id=orders.run_id)
        return await agent.drive(orders.run_id)
    return await agent.run(PROMPT, run_id=orders.run_id)


async def _intrude(agent: Agent, store: SqliteStore, run_id: str) -> int:
    """Everything that needs the run must say that it is busy."""

    async def waits() -> None:
        with anyio.move_on_after(0.2):
            await agent.drive(run_id)
            return
        raise RunBusy("it waits")

    async def claims() -> None:
        store.claim(run_id)

    async def deletes() -> None:
        store.delete(run_id)

    async def runs() -> None:
        await agent.run(PROMPT, run_id=run_id)

    async def resumes() -> None:
        await agent.resume(run_id)

    for attempt in (runs, resumes, waits, claims, deletes):
        try:
            await attempt()
        except RunBusy:
            continue
        print(f"{attempt.__name__}: not refused", flush=True)  # noqa: T201
        return DONE
    return BUSY


def _end_at_temporary_file(event: str) -> None:
    """End the process when a file tool does this to its temporary file."""

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if name == event and is_temporary(Path(str(arguments[0])).name):
            os._exit(DIED)

    sys.addaudithook(hook)


def main() -> None:
    orders = Orders(**json.loads(sys.argv[1]))
    if event := {"opens": "open", "removes": "os.remove"}.get(orders.dies):
        _end_at_temporary_file(event)
    sys.exit(anyio.run(_work, orders, backend=orders.backend))


if __name__ == "__main__":
    main()
