"""The journal's tables in a database: what SQLite and Postgres have in common.

Statements are written once, with `?` for a value, in the SQL that both understand. A subclass opens
connections, says when somebody lives, and what an error of its database means.
"""

import os
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from itertools import chain
from typing import Any, ClassVar, Final, Protocol
from weakref import WeakSet

from pydantic_core import from_json, to_json
from typing_extensions import override

from agentcore.errors import JournalError, RunBusy, RunLost, UnknownRun
from agentcore.journal.records import (
    RECORD_VERSION,
    Record,
    RecordError,
    RunEnded,
    RunStatus,
    Stored,
    body_of,
    record_of,
)
from agentcore.journal.store import JournalStore, NewRun, StoredRun
from agentcore.messages import dump_messages, load_messages

__all__ = ["COLUMNS", "SCHEMA_VERSION", "TABLES", "Cursor", "SqlConnection", "SqlStore", "abandon"]

SCHEMA_VERSION: Final = 1
"""Of the tables. Those of a newer one are refused."""
MAX_NAMED_RUNS: Final = 5
TABLES: Final = ("run", "record", "partial")
COLUMNS: Final = {
    "run": "id, seq, status, owner, epoch, created_at, updated_at, opening, added_system, model, "
    "base_url, tools, asks",
    "record": "run, seq, at, kind, v, body",
    "partial": "run, part, lines",
}
"""The same in every database: rows can be copied from one to another."""
_RUN = (
    "SELECT id, opening, added_system, model, base_url, tools, asks, seq, status, owner, epoch, "
    "created_at, updated_at FROM run"
)


class Cursor(Protocol):
    """What came of a statement."""

    def fetchone(self) -> Any:
        """The next row; None when there is none."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> None:
        """No more rows are wanted."""
        ...


class SqlConnection(Protocol):
    """A connection that takes `?` for a value."""

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> Cursor:
        """One statement."""
        ...

    def executemany(self, sql: str, parameters: Sequence[Sequence[object]], /) -> object:
        """The same statement for each row of values."""
        ...


class SqlStore(JournalStore):
    """A journal in a database that is shared by processes."""

    body: ClassVar[str] = "body"
    """The expression for a row's body that costs least to read."""
    locking: ClassVar[str] = ""
    """What a `SELECT` ends with that keeps others from writing the row until the transaction ends.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._writer = threading.Lock()
        """Held while `_writes` is."""
        self._driven: dict[str, int] = {}
        """Ids of the runs that this process drives by this store, and of which claim."""
        self._unreleased: dict[str, int] = {}
        """The same of those that were given up when that could not be written."""
        _stores.add(self)

    # --- what a database does its own way ---------------------------------------------------

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for the text of an error: no password is in it."""

    @abstractmethod
    def _writes(self, *, waits: bool = True) -> AbstractContextManager[SqlConnection]:
        """One transaction: all of what is done inside, or nothing.

        Args:
            waits: Until it is on the medium. Not for what a power cut may take: what arrives, and
                who drives a run.
        """

    @abstractmethod
    def _reads(self) -> AbstractContextManager[SqlConnection | None]:
        """A connection to read with; None where there is nothing yet."""

    @abstractmethod
    def _own_id(self) -> str:
        """The id of this process as an owner, who lives from now on. Inside `_writes`.

        Raises:
            JournalError: It cannot be known to live.
        """

    @abstractmethod
    def _known_id(self) -> str:
        """The same, where it is one already; else empty."""

    @abstractmethod
    def _disown(self) -> None:
        """This process drives nothing any more."""

    @abstractmethod
    def _lives(self, owner: str) -> bool:
        """Whether a process that is an owner lives."""

    @abstractmethod
    def forget(self) -> None:
        """In the child of a fork: connections and locks are the parent's alone."""

    @abstractmethod
    def _announce(self, connection: SqlConnection, run_id: str, seq: int) -> None:
        """Tell who watches, once the transaction is through."""

    # --- runs -------------------------------------------------------------------------------

    @override
    def submit(self, run: NewRun) -> StoredRun:
        now = self._clock()
        with self._writes() as connection:
            connection.execute(
                "INSERT INTO run VALUES (?, 0, 'running', '', 0, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO NOTHING",
                (
                    run.id,
                    now,
                    now,
                    dump_messages(run.opening),
                    int(run.added_system),
                    run.model,
                    run.base_url,
                    to_json(run.tools).decode(),
                    to_json(run.asks).decode(),
                ),
            )
            self._announce(connection, run.id, 0)
            return self._get(connection, run.id)

    @override
    def get(self, run_id: str) -> StoredRun:
        with self._reads() as connection:
            return self._get(connection, run_id)

    @override
    def all(self) -> tuple[str, ...]:
        with self._reads() as connection:
            if connection is None:
                return ()
            found = connection.execute("SELECT id FROM run ORDER BY updated_at DESC, id").fetchall()
        return tuple(id_ for (id_,) in found)

    @override
    def delete(self, run_id: str) -> None:
        with self._writes() as connection:
            self._check_free(self._get(connection, run_id, locks=True))
            connection.execute("DELETE FROM run WHERE id = ?", (run_id,))
            for table in ("record", "partial"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (run_id,))
            self._announce(connection, run_id, 0)

    # --- ownership --------------------------------------------------------------------------

    @override
    def is_owned(self, run: StoredRun) -> bool:
        if not run.owner:
            return False
        if run.owner == self._known_id():
            return run.id in self._driven
        return self._lives(run.owner)

    @override
    def claim(self, run_id: str) -> StoredRun:
        epoch = 0
        try:
            with self._writes(waits=False) as connection:
                self._check_free(self._get(connection, run_id, locks=True))
                connection.execute(
                    "UPDATE run SET owner = ?, epoch = epoch + 1, updated_at = ? WHERE id = ?",
                    (self._own_id(), self._clock(), run_id),
                )
                claimed = self._get(connection, run_id)
                epoch = claimed.epoch
                self._announce(connection, run_id, claimed.seq)
                # Inside: else another one's release may give up the lock.
                self._driven[run_id] = epoch
        except BaseException:
            self._let_go(run_id, epoch)
            raise
        return claimed

    @override
    def release(self, run_id: str, epoch: int) -> None:
        try:
            with self._writes(waits=False) as connection:
                self._give_up(connection, run_id, epoch)
        except JournalError:
            # Else the run would count as driven for as long as this process drives another one.
            with self._writer:  # another thread may be giving up the others
                self._unreleased[run_id] = epoch
            raise
        finally:
            self._let_go(run_id, epoch)

    def _give_up(self, connection: SqlConnection, run_id: str, epoch: int) -> None:
        connection.execute("UPDATE run SET owner = '' WHERE id = ? AND epoch = ?", (run_id, epoch))
        self._announce(connection, run_id, 0)

    def _let_go(self, run_id: str, epoch: int) -> None:
        """The run is not driven here any more, unless it was claimed again meanwhile."""
        with self._writer:
            if self._driven.get(run_id) == epoch:
                del self._driven[run_id]
            if not self._driven:
                self._disown()

    def _check_free(self, run: StoredRun) -> None:
        if self.is_owned(run):
            is_ours = run.owner == self._known_id()
            raise RunBusy(
                f"run {run.id!r} in {self.place}: {'this' if is_ours else 'another'} process "
                "drives it now. Watch it with events(), or wait for its end with drive()"
            )

    # --- rows -------------------------------------------------------------------------------

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
        bodies = [(record.kind, body_of(record)) for record in records]
        with self._writes() as connection:
            seq = self._advance(connection, run_id, epoch, len(bodies), status)
            self._insert(connection, run_id, seq - len(bodies), bodies)
            if ends_partial:
                connection.execute("DELETE FROM partial WHERE run = ?", (run_id,))
            self._announce(connection, run_id, seq)
        return seq

    @override
    def note(self, run_id: str, record: Record) -> int:
        with self._writes() as connection:
            seq = self._get(connection, run_id, locks=True).seq + 1
            connection.execute(
                "UPDATE run SET seq = ?, updated_at = ? WHERE id = ?", (seq, self._clock(), run_id)
            )
            self._insert(connection, run_id, seq - 1, [(record.kind, body_of(record))])
            self._announce(connection, run_id, seq)
        return seq

    @override
    def append_partial(self, run_id: str, epoch: int, lines: bytes) -> None:
        with self._writes(waits=False) as connection:
            seq = self._advance(connection, run_id, epoch, 0, None)
            last = connection.execute(
                "SELECT coalesce(max(part), 0) FROM partial WHERE run = ?", (run_id,)
            ).fetchone()[0]
            connection.execute("INSERT INTO partial VALUES (?, ?, ?)", (run_id, last + 1, lines))
            self._announce(connection, run_id, seq)

    @override
    def partial(self, run_id: str, after: int = 0) -> tuple[int, bytes]:
        with self._reads() as connection:
            if connection is None:
                return 0, b""
            found = connection.execute(
                "SELECT part, lines FROM partial WHERE run = ? AND part > ? ORDER BY part",
                (run_id, after),
            ).fetchall()
            if found:
                return found[-1][0], b"".join(lines for _, lines in found)
            # Nothing new, or the parts of another answer, which begin anew.
            last = connection.execute(
                "SELECT coalesce(max(part), 0) FROM partial WHERE run = ?", (run_id,)
            ).fetchone()[0]
        return last, b""

    @override
    def rows(self, run_id: str, after: int = 0) -> list[Stored]:
        with self._reads() as connection:
            if connection is None:
                self._get(connection, run_id)  # raises
                return []
            # As bytes, and one by one: that saves two fifths of the time for large bodies, and
            # having all of them twice. One question, for each run asks it twice a second: a run
            # that has none of these rows comes as one without a number.
            found = connection.execute(
                f"SELECT record.seq, at, kind, v, {self.body} FROM run LEFT JOIN record "
                "ON record.run = run.id AND record.seq > ? WHERE run.id = ? ORDER BY record.seq",
                (after, run_id),
            )
            with closing(found):
                first = found.fetchone()
                if first is None:
                    self._get(connection, run_id)  # raises
                if first is None or first[0] is None:
                    return []
                return [self._stored(run_id, *row) for row in chain([first], found)]

    @override
    def fork(self, run_id: str, new_id: str, *, after: int | None) -> StoredRun:
        with self._writes() as connection:
            run = self._get(connection, run_id)
            last = connection.execute(
                "SELECT coalesce(max(seq), 0) FROM record WHERE run = ? AND seq <= ? AND kind <> ?",
                (run_id, run.seq if after is None else after, RunEnded.kind),
            ).fetchone()[0]
            self._check_new(connection, run_id, new_id)
            now = self._clock()
            connection.execute(
                "INSERT INTO run SELECT CAST(? AS TEXT), CAST(? AS BIGINT), 'running', '', 0, "
                "CAST(? AS DOUBLE PRECISION), CAST(? AS DOUBLE PRECISION), opening, added_system, "
                "model, base_url, tools, asks FROM run WHERE id = ?",
                (new_id, last, now, now, run_id),
            )
            connection.execute(
                "INSERT INTO record SELECT CAST(? AS TEXT), seq, at, kind, v, body FROM record "
                "WHERE run = ? AND seq <= ?",
                (new_id, run_id, last),
            )
            self._announce(connection, new_id, last)
            return self._get(connection, new_id)

    @staticmethod
    def _check_new(connection: SqlConnection, run_id: str, new_id: str) -> None:
        found = connection.execute("SELECT id FROM run WHERE id = ?", (new_id,)).fetchone()
        if found is not None:
            raise JournalError(
                f"fork of {run_id!r}: there is a run {new_id!r} already; give another id"
            )

    def _advance(
        self,
        connection: SqlConnection,
        run_id: str,
        epoch: int,
        by: int,
        status: RunStatus | None,
    ) -> int:
        """Count rows that are about to be written by the owner; the number of the last one."""
        found = connection.execute(
            "UPDATE run SET seq = seq + ?, status = coalesce(?, status), updated_at = ? "
            "WHERE id = ? AND epoch = ? AND owner <> '' RETURNING seq",
            (by, status, self._clock(), run_id, epoch),
        ).fetchone()
        if found is None:
            raise self._lost(run_id)
        return int(found[0])

    @staticmethod
    def _lost(run_id: str) -> RunLost:
        return RunLost(
            f"run {run_id!r}: it was given up, or somebody else has taken it over, since this "
            "process claimed it. Nothing was written"
        )

    def _insert(
        self,
        connection: SqlConnection,
        run_id: str,
        after: int,
        bodies: Sequence[tuple[str, str]],
    ) -> None:
        now = self._clock()
        connection.executemany(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
            [
                (run_id, seq, now, kind, RECORD_VERSION, body)
                for seq, (kind, body) in enumerate(bodies, start=after + 1)
            ],
        )

    def _get(
        self, connection: SqlConnection | None, run_id: str, *, locks: bool = False
    ) -> StoredRun:
        found = None
        if connection is not None:
            end = self.locking if locks else ""
            found = connection.execute(f"{_RUN} WHERE id = ?{end}", (run_id,)).fetchone()
        if found is not None:
            try:
                return _run_of(found)
            except ValueError as error:
                raise JournalError(
                    f"{self.place}: run {run_id!r} cannot be read: {error}"
                ) from None
        known: list[Any] = []
        if connection is not None:
            known = connection.execute(
                "SELECT id FROM run ORDER BY updated_at DESC LIMIT ?", (MAX_NAMED_RUNS,)
            ).fetchall()
        there_are = ", ".join(repr(name) for (name,) in known)
        told = f"the last written to are: {there_are}" if there_are else "there are none"
        raise UnknownRun(f"{self.place}: there is no run {run_id!r} ({told})")

    def _stored(
        self, run_id: str, seq: int, at: float, kind: str, v: int, body: bytes | str
    ) -> Stored:
        try:
            return Stored(seq=seq, at=at, record=record_of(kind, v, body))
        except RecordError as error:
            raise JournalError(f"{self.place}: run {run_id!r}, row {seq}: {error}") from None

    # --- checking ---------------------------------------------------------------------------

    @override
    def check(self) -> list[str]:
        found: list[str] = []
        try:
            with self._reads() as connection:
                if connection is None:
                    return []
                found += self._damages(connection)
                found += self._miscounted(connection)
                runs = [name for (name,) in connection.execute("SELECT id FROM run")]
        except JournalError as error:
            return [*found, str(error)]
        for run_id in runs:
            try:
                self.get(run_id)
                self.rows(run_id)
            except JournalError as error:
                found.append(str(error))
        return found

    def _damages(self, connection: SqlConnection) -> list[str]:
        """What the database itself says of its files; nothing where it looks after them."""
        return []

    @staticmethod
    def _miscounted(connection: SqlConnection) -> list[str]:
        """Runs whose rows are not those that they say they have."""
        counted = connection.execute(
            "SELECT run.id, run.seq, count(record.seq), coalesce(min(record.seq), 1), "
            "coalesce(max(record.seq), 0) FROM run LEFT JOIN record ON record.run = run.id "
            "GROUP BY run.id"
        ).fetchall()
        found = [
            f"run {run_id!r}: {count} rows, and it says that it has {last}"
            for run_id, last, count, least, most in counted
            if (count, least, most) != (last, 1, last)
        ]
        for table in ("record", "partial"):
            strays = connection.execute(
                f"SELECT DISTINCT run FROM {table} WHERE run NOT IN (SELECT id FROM run)"
            ).fetchall()
            found += [f"{table} has rows of a run {name!r} that is not there" for (name,) in strays]
        return found


def _run_of(row: tuple[Any, ...]) -> StoredRun:
    id_, opening, added_system, model, base_url, tools, asks, *rest = row
    seq, status, owner, epoch, created, updated = rest
    return StoredRun(
        new=NewRun(
            id=id_,
            opening=load_messages(opening),
            added_system=bool(added_system),
            model=model,
            base_url=base_url,
            tools=tuple(from_json(tools)),
            asks=tuple(from_json(asks)),
        ),
        seq=seq,
        status=status,
        owner=owner,
        epoch=epoch,
        created_at=created,
        updated_at=updated,
    )


_stores: WeakSet[SqlStore] = WeakSet()


def abandon(*connections: object) -> None:
    """Keep connections that are a parent process's, and never close them.

    Closing would drop the parent's locks (sqlite.org/howtocorrupt.html), or end its session.
    """
    _abandoned.extend(one for one in connections if one is not None)


_abandoned: list[object] = []


def _forget_all() -> None:
    for store in _stores:
        with suppress(Exception):
            store.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
