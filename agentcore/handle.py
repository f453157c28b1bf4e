"""A run in the journal: to be watched, gone on with, ended, spoken to or copied, from anywhere."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import anyio.to_thread
from typing_extensions import override

from agentcore.driving import cancelled_end, check_run_id, error_of, load, result_of
from agentcore.emitter import Listener
from agentcore.errors import ConfigurationError, RunBusy
from agentcore.journal import (
    AttemptEnded,
    CallBegun,
    CallEnded,
    EndpointGivenUp,
    JournalStore,
    Noted,
    NotesTaken,
    Record,
    RunEnded,
    RunResumed,
    Stored,
    TurnEnded,
)
from agentcore.live import partial_of
from agentcore.messages import mend_surrogates

if TYPE_CHECKING:
    from agentcore.run import RunResult

__all__ = ["Arriving", "JournalEvent", "RunHandle", "RunInfo", "Standing", "info_of"]

Standing: TypeAlias = Literal["running", "stalled", "done", "failed", "cancelled"]
"""`running`: a process drives it. `stalled`: it has no end, and nobody drives it: resume it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """A run, as a list shows it."""

    id: str
    state: Standing
    prompt: str
    """What the person said when it was submitted."""
    model: str
    """As it was when it was submitted, `"provider:model-id"`."""
    tools: tuple[str, ...]
    """Names of those on offer then."""
    seq: int
    """The number of its last row."""
    created_at: float
    """Seconds since the epoch; so is `updated_at`."""
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEvent:
    """A row of the journal."""

    seq: int
    """From 1, without gaps: give the last one that you have seen as `events(after=…)`."""
    at: float
    """Seconds since the epoch."""
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """More of the answer under way has arrived. No row: only the end of the answer is one."""

    seq: int
    """Of the last row before it."""
    turn: int
    """Counted from 1."""
    attempt: int
    """Counted from 1 within the turn: what another attempt showed is void."""
    text: str
    """All of the answer's text so far."""
    calls: tuple[tuple[str, int], ...]
    """Of each call under way the tool's name and the UTF-8 bytes of arguments so far."""


class Resume(Protocol):
    """Goes on with a run."""

    async def __call__(self, run_id: str, *, on_event: Listener | None = None) -> "RunResult":
        """As `Agent.resume`."""
        ...


class RunHandle:
    """One run. Made by an agent; nothing is read before a method asks for it."""

    def __init__(self, store: JournalStore, run_id: str, resume: Resume) -> None:
        """Read nothing yet.

        Args:
            store: The journal.
            run_id: Of the run, which need not be there.
            resume: Goes on with a run, as the agent does.
        """
        self.id = check_run_id(run_id)
        self._store = store
        self._resume = resume

    @override
    def __repr__(self) -> str:
        return f"<run {self.id!r} in {self._store.url}>"

    async def info(self) -> RunInfo:
        """How it stands.

        Raises:
            UnknownRun: The journal has no run of this id.
        """
        return await anyio.to_thread.run_sync(lambda: info_of(self._store, self.id))

    async def result(self) -> "RunResult":
        """The result, once it is done.

        Raises:
            RunError: It ended with one.
            RunBusy: It has not ended.
        """
        _, state = await anyio.to_thread.run_sync(load, self._store, self.id)
        if state.end is None:
            raise RunBusy(f"run {self.id!r} has not ended; wait for it with drive(), or resume it")
        if state.end.status == "done":
            return result_of(state)
        raise error_of(state)

    async def resume(self, *, on_event: Listener | None = None) -> "RunResult":
        """Go on with it, also where it failed or was cancelled.

        Raises:
            RunBusy: Another process drives it.
            RunError: It cannot go on.
        """
        return await self._resume(self.id, on_event=on_event)

    async def send(self, text: str) -> int:
        """Say something to it: the model reads it before its next answer. The row's number.

        A run that is done goes on with it when it is resumed.
        """
        if not text.strip():
            raise ConfigurationError(f"send({text!r}): say something")
        note = Noted(purpose="say", text=mend_surrogates(text))
        return await anyio.to_thread.run_sync(self._store.note, self.id, note)

    async def cancel(self, reason: str = "") -> None:
        """End it: whoever drives it stops within a second; nobody goes on with it by itself.

        A run that has ended stays as it is.
        """
        await anyio.to_thread.run_sync(lambda: self._cancel(mend_surrogates(reason)))

    async def fork(self, run_id: str, *, after: int | None = None, text: str = "") -> "RunHandle":
        """Copy its rows into a new run, which is to be resumed.

        Args:
            run_id: Of the new run.
            after: The number of the last row that is copied; None for all but its end.
            text: What is said to the new run at once; empty for nothing.

        Raises:
            JournalError: There is a run of the new id already.
        """
        new_id = check_run_id(run_id)
        await anyio.to_thread.run_sync(lambda: self._store.fork(self.id, new_id, after=after))
        forked = RunHandle(self._store, new_id, self._resume)
        if text:
            await forked.send(text)
        return forked

    async def delete(self) -> None:
        """Remove it and its rows; the file keeps their room for later ones.

        Raises:
            UnknownRun: The journal has no run of this id.
            RunBusy: A process drives it; cancel it first.
        """
        await anyio.to_thread.run_sync(self._store.delete, self.id)

    async def events(self, *, after: int = 0) -> AsyncGenerator[JournalEvent | Arriving, None]:
        """Its rows from a number on, and what arrives between them, as they are written.

        It ends when the run is done, failed or cancelled, and can be taken up anywhere: give the
        last number that was seen. Rows come once each, in order and without gaps.

        Args:
            after: A row's number; 0 for all.
        """
        version: object | None = None
        parts = 0
        lines = b""
        counter = _Counter()
        counter.skip(await anyio.to_thread.run_sync(self._store.rows, self.id), through=after)
        while True:
            version = await self._store.changed(version)
            rows = await anyio.to_thread.run_sync(
                lambda: self._store.rows(self.id, after=after)  # noqa: B023 it is awaited
            )
            for row in rows:
                after = row.seq
                counter.add(row.record)
                yield JournalEvent(seq=row.seq, at=row.at, record=row.record)
            if counter.has_ended:
                return
            count, fresh = await anyio.to_thread.run_sync(self._store.partial, self.id, parts)
            if rows or count < parts:
                # Another answer is under way, or none.
                parts, lines = 0, b""
                count, fresh = await anyio.to_thread.run_sync(self._store.partial, self.id)
            if (await anyio.to_thread.run_sync(self._store.get, self.id)).seq > after:
                # A row has come between: these parts may be another answer's.
                parts, lines, version = 0, b"", None
            elif count > parts:
                parts, lines = count, lines + fresh
                yield counter.arriving(after, lines)

    def _cancel(self, reason: str) -> None:
        run = self._store.get(self.id)
        if run.status != "running":
            return
        self._store.note(self.id, Noted(purpose="cancel", text=reason))
        try:
            claimed = self._store.claim(self.id)
        except RunBusy:
            return  # its process sees the note
        if claimed.status != "running":
            self._store.release(self.id, claimed.epoch)
            return  # it ended just now
        ended = cancelled_end(reason)
        try:
            self._store.append(
                self.id, claimed.epoch, (ended,), ends_partial=True, status="cancelled"
            )
        finally:
            self._store.release(self.id, claimed.epoch)


def info_of(store: JournalStore, run_id: str) -> RunInfo:
    """How a run stands."""
    run = store.get(run_id)
    state: Standing = run.status
    if state == "running" and not store.is_owned(run):
        state = "stalled"
    given = run.new.given
    return RunInfo(
        id=run.id,
        state=state,
        prompt=given[-1].content if given else "",
        model=run.new.model,
        tools=run.new.tools,
        seq=run.seq,
        created_at=run.created_at,
        updated_at=run.updated_at,
    )


class _Counter:
    """Which attempt of which turn is under way, by the rows so far."""

    def __init__(self) -> None:
        self.turn = self.attempt = 1
        self.has_ended = False

    def skip(self, rows: list[Stored], *, through: int) -> None:
        for row in rows:
            if row.seq <= through:
                self.add(row.record)

    def add(self, record: Record) -> None:
        match record:
            case AttemptEnded():
                self.turn, self.attempt = record.record.turn, record.record.attempt + 1
            case TurnEnded() | EndpointGivenUp():
                self._next_turn()
            case RunEnded():
                self._next_turn()
                self.has_ended = True
            case RunResumed() | NotesTaken():
                self.has_ended = False
            case CallBegun() | CallEnded() | Noted():
                pass

    def _next_turn(self) -> None:
        if self.attempt > 1:  # else it has ended already: its answer was kept, for example
            self.turn, self.attempt = self.turn + 1, 1

    def arriving(self, seq: int, lines: bytes) -> Arriving:
        partial = partial_of(lines.split(b"\n")[:-1])
        return Arriving(
            seq=seq,
            turn=self.turn,
            attempt=self.attempt,
            text=partial.text,
            calls=tuple((call.name, len(call.arguments.encode())) for call in partial.calls),
        )
