"""What a journal needs of whatever keeps it. `SqliteStore` is one; `JournalConformance` tests any.

All but `changed` is sync, may wait for a disk, and is called from worker threads, from several at
once. A row that `append` has returned for is never lost, also when the process is killed or the
power goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from agentcore.journal.records import Record, RunStatus, Stored
from agentcore.messages import Message

__all__ = ["JournalStore", "NewRun", "StoredRun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run as it is submitted."""

    id: str
    """1 to 200 printable characters; unique in the journal."""
    opening: tuple[Message, ...]
    """The conversation that it begins with."""
    added_system: bool = False
    """The first message is the agent's instructions: nobody gave it to this run by itself."""
    model: str = ""
    """The first one, `"provider:model-id"`: for who reads, and for who makes an agent of it. A run
    goes on with what its agent has then."""
    base_url: str = ""
    """Where it was to be asked."""
    tools: tuple[str, ...] = ()
    """Names of those on offer at the beginning."""
    asks: tuple[str, ...] = ()
    """Names of those among them that somebody was asked about before each call."""

    @property
    def given(self) -> tuple[Message, ...]:
        """What the run was asked for: the opening without the agent's own instructions."""
        return self.opening[1:] if self.added_system else self.opening


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as the journal has it."""

    new: NewRun
    seq: int
    """The number of its last row; 0 for none."""
    status: RunStatus
    owner: str
    """Id of the process that drives it, or drove it when it died; empty for none."""
    epoch: int
    """How often it was claimed."""
    created_at: float
    """Seconds since the epoch; so is `updated_at`."""
    updated_at: float

    @property
    def id(self) -> str:
        """Unique in the journal."""
        return self.new.id


@runtime_checkable
class JournalStore(Protocol):
    """Keeps the rows of runs."""

    @property
    def url(self) -> str:
        """Where it is, fit to be shown."""
        ...

    @property
    def queue_url(self) -> str:
        """The database of the queue that belongs to it, never to be shown; empty for none."""
        return ""

    def submit(self, run: NewRun) -> StoredRun:
        """Enter a run; one that is there already stays as it is, and is given.

        Raises:
            JournalError: It cannot be written.
        """
        ...

    def get(self, run_id: str) -> StoredRun:
        """A run.

        Raises:
            UnknownRun: There is none of this id.
            JournalError: It cannot be read.
        """
        ...

    def all(self) -> tuple[str, ...]:
        """The ids of all runs, the one that was written to last first."""
        ...

    def is_owned(self, run: StoredRun) -> bool:
        """A process that lives drives it."""
        ...

    def claim(self, run_id: str) -> StoredRun:
        """Take a run, so that only this caller can append to it from now on; its epoch says so.

        Raises:
            RunBusy: Somebody who lives drives it, in this process or another.
            UnknownRun: There is none of this id.
        """
        ...

    def release(self, run_id: str, epoch: int) -> None:
        """Give a claimed run up. One that was lost meanwhile is left alone."""
        ...

    def append(
        self,
        run_id: str,
        epoch: int,
        records: Sequence[Record],
        *,
        ends_partial: bool = False,
        status: RunStatus | None = None,
    ) -> int:
        """Write rows, all or none; the number of the last one.

        Args:
            run_id: A run that the caller has claimed.
            epoch: Of that claim.
            records: What to write, in order.
            ends_partial: What arrived of the answer under way has been dealt with by these rows:
                it goes in the same step.
            status: The run's from now on; None for as it is.

        Raises:
            RunLost: It was released, or claimed by somebody else, since. Nothing was written.
            JournalError: It cannot be written, the disk being full for example. Nothing was.
        """
        ...

    def note(self, run_id: str, record: Record) -> int:
        """Write a row without owning the run; its number.

        Raises:
            UnknownRun: There is none of this id.
            JournalError: It cannot be written.
        """
        ...

    def append_partial(self, run_id: str, epoch: int, lines: bytes) -> None:
        """Write more of what arrives of the answer under way.

        Raises:
            RunLost: It was released, or claimed by somebody else, since. Nothing was written.
            JournalError: It cannot be written.
        """
        ...

    def partial(self, run_id: str, after: int = 0) -> tuple[int, bytes]:
        """What arrived of the answer under way, from the `after`th part on; and how many there are.

        A number smaller than `after` says that another answer is under way.
        """
        ...

    def rows(self, run_id: str, after: int = 0) -> list[Stored]:
        """The rows with a number above `after`, in order.

        Raises:
            UnknownRun: There is none of this id.
            JournalError: One cannot be read; the text names it.
        """
        ...

    def fork(self, run_id: str, new_id: str, *, after: int | None) -> StoredRun:
        """Copy a run's rows, through number `after` or all but its end, into a new run.

        Raises:
            UnknownRun: There is none of this id.
            JournalError: There is a run of the new id already.
        """
        ...

    def delete(self, run_id: str) -> None:
        """Remove a run and its rows.

        Raises:
            UnknownRun: There is none of this id.
            RunBusy: Somebody who lives drives it.
        """
        ...

    def check(self) -> list[str]:
        """What is wrong with what is kept, a sentence each; nothing when all is well."""
        ...

    async def changed(self, since: object | None) -> object:
        """Return once anything may have been written since a call that gave `since`.

        With None at once. What it gives is for the next call. It is called on the event loop.
        """
        ...

    def close(self) -> None:
        """Let go of files and locks. May be called twice."""
        ...
