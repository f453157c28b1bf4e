"""A fleet and an oracle: workers that are killed and started again, and what must be true then."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread
import psycopg

from agentcore.driving import load, result_of
from agentcore.journal import CallBegun, CallEnded, TurnEnded
from agentcore.journal.postgres import PostgresStore
from agentcore.journal.records import body_of
from tests.journal.cluster import Cluster
from tests.journal.fleet import worker
from tests.journal.fleet.worker import READY, Orders, agent_of, digest_of, text_of

__all__ = ["Fleet", "Found", "prompt_of"]

PATIENCE_SECONDS = 60.0
"""A busy machine takes its time to start a process."""
SUBMITTERS = 8
SAMPLE = 20
"""Runs whose rows the watcher looks at, at a time."""


def prompt_of(run_id: str) -> str:
    return f"Pay, then write the file of {run_id}"


@dataclass(kw_only=True)
class Found:
    """What the runs came to, once everything about them was found to be right."""

    runs: int
    rows: int
    seen: int
    """Rows that the watcher had seen while workers lived and died."""
    told: int
    """Rows that a worker had noted as written."""
    results: int
    """Of calls, one each."""
    effects: int
    """Keys in the log of effects, each once."""
    unknown: int
    """Calls of which the model was told that nobody knows."""
    asked_twice: int
    """Questions that were put again, word for word, for their answer was lost."""
    claims: int
    """Of runs, all in all."""


@dataclass(eq=False)
class _Slot:
    """A place in the fleet: a worker, and those that follow it."""

    number: int
    prefix: tuple[str, ...] = ()
    """What its program is started with, as `ip netns exec`."""
    url: str = ""
    lives: int = 0
    name: str = ""
    process: anyio.abc.Process | None = None


@dataclass(eq=False, kw_only=True)
class Fleet:
    """Workers on one database, and a watcher of its rows."""

    cluster: Cluster
    folder: Path
    database: str = "fleet"
    workers: int = 3
    options: dict[str, Any] = field(default_factory=dict)
    """Of the workers' orders."""
    hosts: Sequence[tuple[tuple[str, ...], str]] = ()
    """Of each worker in turn: what its program is started with, and the server's address there."""
    kills: int = 0
    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    """Digests of rows that the watcher has seen."""
    runs: list[str] = field(default_factory=list)
    found: Found | None = None
    """Once it was judged."""
    slots: list[_Slot] = field(default_factory=list)

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Self]:
        """Workers live inside the block."""
        await anyio.Path(self.folder / "work").mkdir(parents=True, exist_ok=True)
        self.url = await anyio.to_thread.run_sync(self.cluster.create, self.database)
        self.store = PostgresStore(self.url)
        self.agent = agent_of(self.orders(), journal=self.store)
        hosts = self.hosts or [((), "127.0.0.1")]
        for number in range(self.workers):
            prefix, address = hosts[number % len(hosts)]
            url = self.cluster.url_of(self.database, address)
            self.slots.append(_Slot(number, prefix, url))
        async with anyio.create_task_group() as tasks:
            try:
                for slot in self.slots:
                    tasks.start_soon(self.start, slot)
                tasks.start_soon(self._watch)
                yield self
            finally:
                with anyio.CancelScope(shield=True):
                    for slot in self.slots:
                        await self._end(slot)
                self.store.close()
                tasks.cancel_scope.cancel()

    def orders(self, **changes: Any) -> Orders:
        settings = {"url": self.url, "folder": str(self.folder), **self.options, **changes}
        return Orders(**settings)

    # --- workers ----------------------------------------------------------------------------

    async def start(self, slot: _Slot) -> None:
        slot.lives += 1
        slot.name = f"w{slot.number}-{slot.lives}"
        assert worker.__file__ is not None
        orders = self.orders(name=slot.name, url=slot.url)
        with (self.folder / "stderr").open("ab") as errors:
            slot.process = await anyio.open_process(
                [*slot.prefix, sys.executable, worker.__file__, orders.dump()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert slot.process.stdout is not None
        with anyio.fail_after(PATIENCE_SECONDS):
            try:
                said = await slot.process.stdout.receive()
            except anyio.EndOfStream:
                raise AssertionError(f"{slot.name} does not start\n{self.errors}") from None
        assert said.decode().startswith(READY), said

    async def kill(self, slot: _Slot) -> None:
        """`kill -9`; nothing is started in its place."""
        assert slot.process is not None
        assert slot.process.returncode is None, f"{slot.name} has ended\n{self.errors}"
        await self._end(slot)
        self.kills += 1

    async def _end(self, slot: _Slot) -> None:
        if slot.process is not None:
            with suppress(ProcessLookupError):
                slot.process.kill()
            await slot.process.wait()
            await slot.process.aclose()
            slot.process = None

    async def kill_at_random(self, wanted: int, chance: random.Random, within: float) -> None:
        """Kill workers that have written something, and start others, so many times."""
        for _ in range(wanted):
            await anyio.sleep(chance.uniform(0.0, within))
            slot = chance.choice(self.slots)
            await self.drives(slot)
            await self.kill(slot)
            await self.start(slot)

    async def drives(self, slot: _Slot) -> None:
        """Wait until a worker has driven a run."""
        name = slot.name
        await self.until(lambda: self.has_written(name) or self.has_ended(), f"{name} drives a run")
        if not self.has_written(name):
            raise AssertionError(f"all runs are done, after {self.kills} kills: give more runs")

    def has_written(self, name: str) -> bool:
        """Whether a worker has driven a run."""
        return any(line.endswith(f" {name}") for line in self.lines(worker.ROWS))

    def is_left(self, name: str) -> bool:
        """Whether every run that a worker wrote to has ended, or is written to by another."""
        last = {line.split()[0]: line.split()[-1] for line in self.lines(worker.ROWS)}
        mine = [run_id for run_id, writer in last.items() if writer == name]
        return not set(mine) & set(self._running())

    def _running(self) -> list[str]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT id FROM agentcore.run WHERE status = 'running'")
            return [run_id for (run_id,) in rows]

    # --- runs -------------------------------------------------------------------------------

    def _has_queue(self) -> bool:
        """Whether the first worker has made the queue, and not only some of its tables."""
        try:
            with psycopg.connect(self.url) as connection:
                return bool(connection.execute("SELECT FROM dbos.queues").fetchall())
        except psycopg.errors.UndefinedTable:
            return False

    async def submit(self, count: int) -> None:
        await self.until(self._has_queue, "a worker makes the queue's tables")
        names = [f"r{number:04d}" for number in range(len(self.runs), len(self.runs) + count)]
        self.runs += names
        left = iter(names)

        async def lane() -> None:
            for name in left:
                await self.agent.submit(prompt_of(name), run_id=name)

        async with anyio.create_task_group() as tasks:
            for _ in range(SUBMITTERS):
                tasks.start_soon(lane)

    def unfinished(self) -> int:
        """How many runs have no end; all of them while the database is away."""
        try:
            with psycopg.connect(self.url) as connection:
                row = connection.execute(
                    "SELECT count(*) FROM agentcore.run WHERE status <> 'running'"
                ).fetchone()
        except psycopg.Error:
            return len(self.runs)
        assert row is not None
        return len(self.runs) - int(row[0])

    def has_ended(self) -> bool:
        return not self.unfinished()

    async def ended(self, patience: float = PATIENCE_SECONDS) -> None:
        """Wait until all runs have; as long as it takes while some do."""
        left, since = await anyio.to_thread.run_sync(self.unfinished), time.monotonic()
        while left:
            await anyio.sleep(0.1)
            now = await anyio.to_thread.run_sync(self.unfinished)
            if now != left:
                left, since = now, time.monotonic()
            if time.monotonic() - since > patience:
                raise AssertionError(f"{left} runs do not end\n{self.errors[-4000:]}")

    async def until(self, condition: Callable[[], object], what: str) -> None:
        with anyio.move_on_after(PATIENCE_SECONDS):
            while not await anyio.to_thread.run_sync(condition):  # noqa: ASYNC110 a file, a process
                await anyio.sleep(0.05)
            return
        raise AssertionError(f"waited in vain: {what}\n{self.errors[-4000:]}")

    # --- what is seen -----------------------------------------------------------------------

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def errors(self) -> str:
        """What all workers wrote to standard error."""
        return "\n".join(self.lines("stderr"))

    async def _watch(self) -> None:
        while True:
            await anyio.sleep(0.2)
            if self.runs:
                with suppress(psycopg.Error):  # the server is away
                    await anyio.to_thread.run_sync(self._look)

    def _look(self) -> None:
        some = random.sample(self.runs, min(SAMPLE, len(self.runs)))
        self._compare(self._digests(some), whole=some)

    def _digests(self, runs: list[str]) -> dict[tuple[str, int], str]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT run, seq, md5(body) FROM agentcore.record WHERE run = ANY(%s)", (runs,)
            ).fetchall()
        return {(run_id, seq): digest for run_id, seq, digest in rows}

    def _compare(self, now: dict[tuple[str, int], str], whole: list[str]) -> None:
        """What was seen is there, as it was."""
        looked_at = set(whole)
        for key, digest in self.seen.items():
            if key[0] in looked_at:
                assert now.get(key) == digest, f"row {key} was seen, and is lost or changed"
        self.seen.update(now)

    # --- the end ----------------------------------------------------------------------------

    async def check(self) -> Found:
        """What must be true once all runs have ended, whatever befell the workers.

        Raises:
            AssertionError: It is not; the text says what, and in which run.
        """
        return await anyio.to_thread.run_sync(self._check)

    def _check(self) -> Found:
        seen = len(self.seen)
        rows = self._digests(self.runs)
        self._compare(rows, whole=self.runs)
        written = [line.split() for line in self.lines(worker.ROWS)]
        for run_id, seq, digest, name in written:
            now = rows.get((run_id, int(seq)))
            assert now == digest, f"row {seq} of {run_id}, written by {name}, is lost or changed"
        done = self.lines(worker.EFFECTS)
        twice = [key for key, times in Counter(done).items() if times > 1]
        assert not twice, f"done twice: {twice}"
        found = Found(
            runs=len(self.runs),
            rows=len(rows),
            seen=seen,
            told=len(written),
            results=0,
            effects=len(done),
            unknown=0,
            asked_twice=0,
            claims=0,
        )
        paid = set(done)
        for run_id in self.runs:
            self._check_run(run_id, paid, found)
        assert not paid, f"done, and never asked for: {paid}"
        asked = self.lines(worker.ASKED)
        found.asked_twice = len(asked) - len(set(asked))
        assert self.store.check() == []
        return found

    def _check_run(self, run_id: str, paid: set[str], found: Found) -> None:
        run, state = load(self.store, run_id)
        assert run.status == "done", f"{run_id}: {run.status}: {state.end}"
        rows = [row.record for row in self.store.rows(run_id)]
        turns = [row.message for row in rows if isinstance(row, TurnEnded)]
        called = [call for message in turns for call in message.tool_calls]
        results = [row for row in rows if isinstance(row, CallEnded)]
        ids = Counter(row.call_id for row in results)
        assert ids == Counter(call.id for call in called), f"{run_id}: not one result a call"
        begun = Counter(
            row.call_id for row in rows if isinstance(row, CallBegun) and row.tool == "pay"
        )
        assert all(times == 1 for times in begun.values()), f"{run_id}: begun twice: {begun}"
        for row in results:
            key = f"{run_id}:{row.call_id}"
            is_unknown = "is unknown" in row.content
            found.unknown += is_unknown
            if row.tool == "pay":
                assert key in paid or is_unknown, f"{key} is told as paid, and was not"
                paid.discard(key)
        answers = [m for m in result_of(state).messages if m.role == "tool"]
        assert len(answers) == len(called), f"{run_id}: the model reads not one result a call"
        file = self.folder / "work" / f"{run_id}.md"
        assert file.read_text() == text_of(run_id), f"{run_id}: its file is wrong"
        last = self.store.rows(run_id)[-1]
        assert digest_of(body_of(last.record)) == self.seen[run_id, last.seq]
        found.results += len(results)
        found.claims += run.epoch
