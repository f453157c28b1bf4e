"""A run that writes its journal: every fact before anyone acts on it, off the event loop."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from typing_extensions import override

from agentcore.accumulator import Accumulator
from agentcore.errors import JournalError
from agentcore.journal.records import AttemptEnded, CallBegun, Noted, Record, RunStatus, Stored
from agentcore.journal.state import RunState, fold
from agentcore.journal.store import JournalStore, StoredRun
from agentcore.ledger import AttemptRecord
from agentcore.live import Live, line_of, lines_of, reasoning_lines_of
from agentcore.messages import JsonObject
from agentcore.verdict import Partial

__all__ = ["RunJournal"]

LOOK_SECONDS: Final = 0.5
"""How often a run looks whether somebody has asked for its end, or said something."""

_log = logging.getLogger("agentcore")


class RunJournal:
    """The journal of one claimed run, and the state that it was found in."""

    def __init__(
        self,
        store: JournalStore,
        run: StoredRun,
        state: RunState,
        arrived: Partial,
        *,
        after_crash: bool,
    ) -> None:
        """Nothing is read or written yet.

        Args:
            store: Where it is.
            run: As `claim` gave it.
            state: Of all rows that there are.
            arrived: What had come of the answer that was under way when the last process left.
            after_crash: It left by dying.
        """
        self.run = run
        self.state = state
        self.arrived = arrived
        self.after_crash = after_crash
        self.tool_notes: dict[str, str] = {}
        """What tools keep between calls, as far as it is written."""
        self.attempts = len(state.ledger)
        """Rows of the ledger that are written."""
        self._store = store
        self._looked_at = state.seq
        """Rows up to this one were written here, or looked at."""
        self._said = list(state.notes)
        self._has_notes = False
        self._cancelled: str | None = None

    # --- rows -------------------------------------------------------------------------------

    async def append(
        self, *records: Record, ends_partial: bool = False, status: RunStatus | None = None
    ) -> None:
        """Write rows, all or none, whatever is being cancelled.

        Raises:
            RunLost: Somebody else has taken the run over.
            JournalError: They cannot be written.
        """
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(
                lambda: self._append(records, ends_partial=ends_partial, status=status)
            )

    async def attempt_ended(self, record: AttemptRecord, rest_seconds: float) -> None:
        """An attempt came to nothing, and another one follows.

        Args:
            record: The ledger's row.
            rest_seconds: How long it is waited for now.
        """
        ended = AttemptEnded(
            record=record, rest_until=time.time() + rest_seconds if rest_seconds else 0.0
        )
        await self.append(ended, ends_partial=True)
        self.attempts += 1

    def unwritten(self, ledger: Sequence[AttemptRecord]) -> list[Record]:
        """The rows of the attempts that a turn ended with; they count as written from now on."""
        fresh: list[Record] = [AttemptEnded(record=record) for record in ledger[self.attempts :]]
        self.attempts = len(ledger)
        return fresh

    def key(self, call_id: str) -> str:
        """What makes a call one for whoever receives it."""
        return f"{self.run.id}:{call_id}"

    def begun(
        self,
        call_id: str,
        tool: str,
        approved: JsonObject | None,
        evidence: JsonObject | None = None,
    ) -> CallBegun:
        """The row of a call whose effect comes next.

        Args:
            call_id: Of the call.
            tool: Its tool's name.
            approved: The arguments that a person chose for it; None for the model's own.
            evidence: What tells afterwards whether it took effect.
        """
        return CallBegun(
            call_id=call_id,
            tool=tool,
            key=self.key(call_id),
            evidence=evidence or {},
            arguments=approved,
        )

    def announcer(
        self, call_id: str, tool: str, approved: JsonObject | None
    ) -> Callable[[JsonObject], None]:
        """Writes, from any thread, that a call's effect comes next, and its evidence."""

        def announce(evidence: JsonObject) -> None:
            self._append((self.begun(call_id, tool, approved, evidence),))

        return announce

    def fresh_tool_notes(self, notes: Mapping[str, str]) -> dict[str, str]:
        """What tools keep and is not written yet; it counts as written from now on."""
        fresh = {name: value for name, value in notes.items() if self.tool_notes.get(name) != value}
        self.tool_notes.update(fresh)
        return fresh

    def _append(
        self,
        records: tuple[Record, ...],
        *,
        ends_partial: bool = False,
        status: RunStatus | None = None,
    ) -> None:
        seq = self._store.append(
            self.run.id, self.run.epoch, records, ends_partial=ends_partial, status=status
        )
        if seq - len(records) == self._looked_at:
            self._looked_at = seq
        else:
            self._has_notes = True  # somebody has put something in between

    async def reload(self) -> RunState:
        """The state that all rows come to by now."""
        rows = await anyio.to_thread.run_sync(self._store.rows, self.run.id)
        return fold(self.run.new.opening, rows)

    # --- what others put in -----------------------------------------------------------------

    async def said(self, *, is_last: bool) -> list[Stored]:
        """What was said to the run since the last call, oldest first.

        Args:
            is_last: The run is about to end: look, although nothing tells that there is anything.
        """
        if self._has_notes or is_last:
            await self._look()
        said, self._said = self._said, []
        return said

    async def wait_for_cancel(self) -> str:
        """Return when somebody asks for the end of the run; what they say."""
        while self._cancelled is None:
            await anyio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except JournalError as error:
                _log.warning("%s", error)  # the next row to be written will say so
        return self._cancelled

    async def _look(self) -> None:
        """Look at what others have written."""
        self._has_notes = False
        rows = await anyio.to_thread.run_sync(
            lambda: self._store.rows(self.run.id, after=self._looked_at)
        )
        for row in rows:
            if row.seq <= self._looked_at:
                continue  # the other caller was quicker
            self._looked_at = row.seq
            if isinstance(row.record, Noted) and row.record.purpose == "say":
                self._said.append(row)
            elif isinstance(row.record, Noted) and row.record.purpose == "cancel":
                self._cancelled = row.record.text

    # --- what arrives -----------------------------------------------------------------------

    def live(self, draft_arguments: Mapping[str, str]) -> Live:
        """Writes what arrives in one attempt."""
        return _LivePartial(self._store, self.run, draft_arguments)


class _LivePartial(Live):
    """Brings what arrives to the journal, by a thread: the event loop never waits for a disk."""

    def __init__(
        self, store: JournalStore, run: StoredRun, draft_arguments: Mapping[str, str]
    ) -> None:
        super().__init__(draft_arguments)
        self._store, self._run = store, run
        self._waiting: list[bytes] = []
        self._has_more = anyio.Event()
        self._one_at_a_time = anyio.Lock()
        self._is_over = False

    @override
    def save(self, accumulator: Accumulator) -> None:
        fresh = accumulator.unsaved()
        if fresh is not None and not self._is_over:
            if fresh.restarted:
                self._waiting.append(line_of({"restart": True}))
            self._waiting += [*reasoning_lines_of(fresh), *lines_of(fresh)]
            self._has_more.set()

    @override
    @asynccontextmanager
    async def beside(self, tasks: TaskGroup, accumulator: Accumulator) -> AsyncIterator[None]:
        tasks.start_soon(self._write_on)
        try:
            yield
        except BaseException:
            # Nobody may deal with what came; the end of the body, by contrast, is a row in a
            # moment, and that makes these superfluous.
            with anyio.CancelScope(shield=True):
                self.save(accumulator)
                await self._write()
            raise

    @override
    def close(self) -> None:
        self._is_over = True

    leave = close

    async def _write_on(self) -> None:
        while True:
            await self._has_more.wait()
            self._has_more = anyio.Event()
            await self._write()

    async def _write(self) -> None:
        async with self._one_at_a_time:
            lines, self._waiting = b"".join(self._waiting), []
            if not lines or self._is_over:
                return
            try:
                await anyio.to_thread.run_sync(
                    lambda: self._store.append_partial(self._run.id, self._run.epoch, lines)
                )
            except JournalError as error:
                _log.warning("%s; what arrives from here on is lost if this process dies", error)
                self._is_over = True
