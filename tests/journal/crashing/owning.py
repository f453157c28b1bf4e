"""Who may drive a run: a second process, one that wakes up too late, and children of a dead one."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread

from agentcore import RunResult
from agentcore.errors import RunBusy
from agentcore.journal import NewRun, RunResumed, SqliteStore
from agentcore.messages import UserMessage
from agentcore.testing import Call, Reply, after_arguments, stall
from agentcore.tools.sandbox.child.tree import descendants
from tests.journal.crashing.worker import (
    BUSY,
    CHILD,
    DONE,
    EFFECTS,
    GO,
    HERE,
    LOST,
    PROMPT,
    RUN_ID,
    SAFE,
)
from tests.journal.crashing.world import Script, World, lines_of_text, until

__all__ = ["CHILDREN", "ZOMBIES", "Orphan", "contend", "intrude", "leave_child", "race", "wake"]

INTRUSIONS = 20
"""Into one live run."""
ZOMBIES = ("the answer", "a safe tool", "a tool that must not be repeated")
"""In the middle of what a process is stopped."""
CHILDREN = ("execute_code", "start_program", "fork")
"""Tools that have a child when their process is killed."""
_CHILD_SECONDS = 120
_DEATH_SECONDS = 10.0
"""How long a child is waited for that must die with its parent."""
_LIFE_SECONDS = 1.0
"""How long it is looked whether one that need not lives on."""
_RACERS = 3


# --- two at once ----------------------------------------------------------------------------


async def intrude(rounds: int) -> int:
    """Second processes on a run that lives; how many were refused whatever they tried."""
    refused = 0
    for first in range(0, rounds, INTRUSIONS):
        script = Script(special=Call(name="wait_for_it", arguments='{"name": "bob"}'))
        with TemporaryDirectory() as folder:
            async with World(Path(folder), script) as world, world.process(world.orders()) as live:
                await until(lambda: world.lines(HERE), "the first process is in its tool")
                for number in range(first, min(first + INTRUSIONS, rounds)):
                    backend = ("asyncio", "trio")[number % 2]
                    code, said = await world.ended(world.orders(how="intrude", backend=backend))
                    assert code == BUSY, f"{code}: {said}{world.errors}"
                    refused += 1
                (world.folder / GO).touch()
                assert await live.wait() == DONE, world.errors
                await world.check()
                _check_undisturbed(world)
    return refused


async def contend(*, threads: bool) -> int:
    """Four who run it at once in this process, by tasks or by threads; how many were refused."""
    script = Script(special=Call(name="wait_for_it", arguments='{"name": "bob"}'))
    outcomes: list[RunResult | RunBusy] = []
    with TemporaryDirectory() as folder:
        async with World(Path(folder), script) as world:
            shared = world.agent()

            async def by_task() -> None:
                await attempt(shared.run)

            async def attempt(run: Callable[..., Awaitable[RunResult]]) -> None:
                try:
                    outcomes.append(await run(PROMPT, run_id=RUN_ID))
                except RunBusy as error:
                    outcomes.append(error)

            def in_thread() -> None:
                anyio.run(attempt, world.agent().run)

            async def by_thread() -> None:
                await anyio.to_thread.run_sync(in_thread)

            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(by_thread if threads else by_task)
                await until(lambda: len(outcomes) == 3, "three of four are refused")
                (world.folder / GO).touch()
            await world.check()
            _check_undisturbed(world)
    assert sum(isinstance(one, RunResult) for one in outcomes) == 1
    return sum(isinstance(one, RunBusy) for one in outcomes)


def _check_undisturbed(world: World) -> None:
    """One process has driven the run, from its beginning to its end."""
    assert SqliteStore(world.path).get(RUN_ID).epoch == 1
    assert not any(isinstance(row.record, RunResumed) for row in world.rows())


def race(rounds: int) -> int:
    """Some claim the run of a dead process at once; how often exactly one got it."""
    won = 0
    with TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        stores = [SqliteStore(path) for _ in range(_RACERS)]
        stores[0].submit(NewRun(id=RUN_ID, opening=(UserMessage(content=PROMPT),)))
        stores[0].release(RUN_ID, stores[0].claim(RUN_ID).epoch)  # makes the folder of owners
        for number in range(rounds):
            _leave_dead(path, f"dead{number}")
            won += _claim_at_once(stores) == 1
        for store in stores:
            store.close()
    return won


def _leave_dead(path: Path, owner: str) -> None:
    """As `kill -9` leaves it: a file without a lock, and its name in the run."""
    (path.with_name(f"{path.name}-owners") / owner).touch()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE run SET owner = ?", (owner,))
    connection.close()


def _claim_at_once(stores: list[SqliteStore]) -> int:
    claimed: list[tuple[SqliteStore, int]] = []
    start = threading.Barrier(len(stores) + 1)
    is_over = threading.Event()

    def claim(store: SqliteStore) -> None:
        start.wait()
        with suppress(RunBusy):
            claimed.append((store, store.claim(RUN_ID).epoch))

    def look() -> None:
        """As a list of all runs does, meanwhile."""
        store = SqliteStore(stores[0].path)
        start.wait()
        while not is_over.is_set():
            store.is_owned(store.get(RUN_ID))
        store.close()

    claimers = [threading.Thread(target=claim, args=(store,)) for store in stores]
    looker = threading.Thread(target=look)
    for thread in (*claimers, looker):
        thread.start()
    for thread in claimers:
        thread.join()
    is_over.set()
    looker.join()
    for store, epoch in claimed:
        store.release(RUN_ID, epoch)
    return len(claimed)


# --- one that wakes up too late -------------------------------------------------------------


async def wake(where: str, *, backend: str = "asyncio") -> None:
    """Stop a process, take its run over by force, and let it go on: it must not write any more.

    Raises:
        AssertionError: It did, or began another tool; or the run was harmed.
    """
    with TemporaryDirectory() as folder:
        async with (
            World(Path(folder), _script_of(where)) as world,
            world.process(world.orders(backend=backend)) as zombie,
        ):
            if where == "the answer":
                await until(
                    lambda: world.gateway.requests and world.gateway.last.argument_bytes > 4_000,
                    "the process reads an answer",
                )
            else:
                await until(lambda: world.lines(HERE), "the process is in its tool")
            zombie.send_signal(signal.SIGSTOP)
            # The signal is sent before it is obeyed, by one thread after the other.
            await anyio.to_thread.run_sync(
                os.waitid, os.P_PID, zombie.pid, os.WSTOPPED | os.WNOWAIT
            )
            (world.folder / GO).touch()
            world.take_by_force()
            await world.run_here()
            rows, effects, looked = world.rows(), world.lines(EFFECTS), world.lines(SAFE)
            zombie.send_signal(signal.SIGCONT)
            assert await zombie.wait() == LOST, world.errors
            assert world.rows() == rows, "it wrote a row"
            assert world.lines(SAFE) == looked, "it began a tool"
            fresh = world.lines(EFFECTS)[len(effects) :]
            # The effect that it was about to have when it was stopped nobody can hold back.
            assert fresh == ([f"{RUN_ID}:special"] if where == ZOMBIES[2] else []), fresh
            found = await world.check()
            assert found.unknown == (where == ZOMBIES[2])


def _script_of(where: str) -> Script:
    if where == "the answer":

        def stalled(number: int, reply: Reply) -> Reply:
            return stall(reply, at=after_arguments(6_000), seconds=4.0) if number == 1 else reply

        return Script(text=lines_of_text(400), treat=stalled)
    if where == "a safe tool":
        return Script(special=Call(name="wait_for_it", arguments='{"name": "bob"}'))
    return Script(special=Call(name="wait_and_send", arguments='{"to": "ann"}'))


# --- what a dead one leaves behind ----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Orphan:
    """The child of a process that was killed."""

    tool: str
    free_seconds: float
    """From the kill until the lock was free."""
    dead_seconds: float | None
    """From the kill until all its children were gone; None: one lives on."""


async def leave_child(tool: str) -> Orphan:
    """Kill a process whose tool has a child; another one must be able to go on at once."""
    arguments = f'{{"seconds": {_CHILD_SECONDS}}}'
    if tool == "execute_code":
        code = f"import time\\nopen('{CHILD}', 'w').close()\\ntime.sleep({_CHILD_SECONDS})"
        arguments = f'{{"code": "{code}", "timeout_seconds": {_CHILD_SECONDS}}}'
    script = Script(special=Call(name=tool, arguments=arguments))
    with TemporaryDirectory() as folder:
        async with World(Path(folder), script) as world:
            store = SqliteStore(world.path)
            async with world.process(world.orders()) as parent:
                in_workspace, beside = world.workspace / CHILD, world.folder / CHILD
                await until(lambda: in_workspace.exists() or beside.exists(), "the child runs")
                children = descendants(parent.pid)
                assert children
                killed_at = time.monotonic()
                parent.kill()
            try:
                await until(lambda: not store.is_owned(store.get(RUN_ID)), "the lock is free")
                free_seconds = time.monotonic() - killed_at
                await world.run_here()
                patience = _DEATH_SECONDS if tool == "execute_code" else _LIFE_SECONDS
                dead_seconds = await _death(children, killed_at, patience)
            finally:
                for child in children:
                    with suppress(OSError):
                        os.kill(child, signal.SIGKILL)
            assert (await world.check()).unknown == 1
            store.close()
    return Orphan(tool=tool, free_seconds=free_seconds, dead_seconds=dead_seconds)


async def _death(children: list[int], killed_at: float, patience: float) -> float | None:
    with anyio.move_on_after(patience):
        # Nobody tells of the death of a stranger's child.
        while any(map(_lives, children)):  # noqa: ASYNC110
            await anyio.sleep(0.01)
        return time.monotonic() - killed_at
    return None


def _lives(pid: int) -> bool:
    """It is there, and not only because nobody has asked how it ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return status.rpartition(b")")[2].split()[0] != b"Z"
