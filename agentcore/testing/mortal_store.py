"""A journal whose process dies at a write of your choice, as far as anybody else can tell.

What a run leaves behind that is killed at this moment is what another process has to go on from.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from typing_extensions import override

from agentcore.errors import JournalError
from agentcore.journal import JournalStore, NewRun, Record, RunStatus, Stored, StoredRun

__all__ = ["MortalStore"]

_T = TypeVar("_T")


class MortalStore(JournalStore):
    """Another store, to the last write; from then on everything raises `JournalError`.

    Nor is a run released any more. Close it, and its runs are those of a dead process. Rows, notes
    and parts of an answer are writes; so is the entry of a run, and a claim is none.
    """

    def __init__(
        self,
        store: JournalStore,
        *,
        dies_at: int = 0,
        when: Literal["before", "after"] = "before",
    ) -> None:
        """Write nothing yet.

        Args:
            store: What the writes go to; it is closed with this one.
            dies_at: The number of the last write, from 1; 0: it lives.
            when: That write is made, and nobody learns of it (`after`); or it is not made.
        """
        self.writes = 0
        """How many were asked for."""
        self.is_dead = False
        self.store = store
        """What the writes go to."""
        self._dies_at, self._when = dies_at, when
        self._one_at_a_time = threading.Lock()

    @property
    @override
    def url(self) -> str:
        return self.store.url

    @override
    def submit(self, run: NewRun) -> StoredRun:
        return self._write(lambda: self.store.submit(run))

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
        return self._write(
            lambda: self.store.append(
                run_id, epoch, records, ends_partial=ends_partial, status=status
            )
        )

    @override
    def note(self, run_id: str, record: Record) -> int:
        return self._write(lambda: self.store.note(run_id, record))

    @override
    def append_partial(self, run_id: str, epoch: int, lines: bytes) -> None:
        self._write(lambda: self.store.append_partial(run_id, epoch, lines))

    def _write(self, write: Callable[[], _T]) -> _T:
        with self._one_at_a_time:
            self._live()
            self.writes += 1
            self.is_dead = self.writes == self._dies_at
            if self.is_dead and self._when == "before":
                self._live()
            written = write()
            self._live()
            return written

    def _live(self) -> None:
        if self.is_dead:
            raise JournalError(f"{self.url}: the process is dead since write {self._dies_at}")

    # --- what is no write -------------------------------------------------------------------

    @override
    def get(self, run_id: str) -> StoredRun:
        self._live()
        return self.store.get(run_id)

    @override
    def all(self) -> tuple[str, ...]:
        self._live()
        return self.store.all()

    @override
    def is_owned(self, run: StoredRun) -> bool:
        self._live()
        return self.store.is_owned(run)

    @override
    def claim(self, run_id: str) -> StoredRun:
        self._live()
        return self.store.claim(run_id)

    @override
    def release(self, run_id: str, epoch: int) -> None:
        self._live()
        self.store.release(run_id, epoch)

    @override
    def partial(self, run_id: str, after: int = 0) -> tuple[int, bytes]:
        self._live()
        return self.store.partial(run_id, after)

    @override
    def rows(self, run_id: str, after: int = 0) -> list[Stored]:
        self._live()
        return self.store.rows(run_id, after)

    @override
    def fork(self, run_id: str, new_id: str, *, after: int | None) -> StoredRun:
        self._live()
        return self.store.fork(run_id, new_id, after=after)

    @override
    def delete(self, run_id: str) -> None:
        self._live()
        self.store.delete(run_id)

    @override
    def check(self) -> list[str]:
        self._live()
        return self.store.check()

    @override
    async def changed(self, since: object | None) -> object:
        self._live()
        return await self.store.changed(since)

    @override
    def close(self) -> None:
        self.is_dead = True
        self.store.close()
