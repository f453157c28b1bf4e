"""The journal in one SQLite file: no server, no dependency.

Write-ahead log, so that readers and the one writer do not wait for each other, and a commit that is
on the medium before it returns (`synchronous=FULL`). Local disks only: on network file systems
neither SQLite's locks nor ours can be relied on.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal
from weakref import WeakSet

import anyio
from pydantic_core import from_json, to_json
from typing_extensions import override

from agentcore.errors import JournalError, RunBusy, RunLost, UnknownRun
from agentcore.journal.owners import Owner, is_alive, remove_dead
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

__all__ = ["SCHEMA_VERSION", "SqliteStore"]

SCHEMA_VERSION: Final = 1
"""In `PRAGMA user_version`. A file of a newer one is refused."""
BUSY_SECONDS: Final = 10.0
"""How long another writer is waited for; writes take milliseconds."""
POLL_SECONDS: Final = 0.02
"""How often who watches looks whether anything was written: a read of shared memory, 5 µs."""
MAX_NAMED_RUNS: Final = 5

_SCHEMA = """
CREATE TABLE run (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    status TEXT NOT NULL,
    owner TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    opening TEXT NOT NULL,
    added_system INTEGER NOT NULL,
    model TEXT NOT NULL,
    base_url TEXT NOT NULL,
    tools TEXT NOT NULL,
    asks TEXT NOT NULL
);
CREATE TABLE record (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    v INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, seq)
);
CREATE TABLE partial (
    run TEXT NOT NULL,
    part INTEGER NOT NULL,
    lines BLOB NOT NULL,
    PRIMARY KEY (run, part)
);
"""
_RUN = (
    "SELECT id, opening, added_system, model, base_url, tools, asks, seq, status, owner, epoch, "
    "created_at, updated_at FROM run"
)


class SqliteStore(JournalStore):
    """`<workspace>/.agentcore/runs.db`, or a file of your choice."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        busy_seconds: float = BUSY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open nothing yet.

        Args:
            path: The file; it is made, readable by its owner alone, when the first run is entered.
            synchronous: `NORMAL` saves most of the waiting for the medium: a power cut may then
                take the last rows, a killed process still takes none.
            busy_seconds: How long another writer is waited for.
            clock: Gives the time in seconds since the epoch.
        """
        self.path = Path(path).absolute()
        self._synchronous = synchronous
        self._busy_seconds = busy_seconds
        self._clock = clock
        self._writer = threading.Lock()
        self._reader = threading.Lock()
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._owner: Owner | None = None
        self._driven: set[str] = set()
        """Ids of the runs that this process drives by this store."""
        _stores.add(self)

    @property
    @override
    def url(self) -> str:
        return f"sqlite:///{self.path}"

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
                    run.added_system,
                    run.model,
                    run.base_url,
                    to_json(run.tools).decode(),
                    to_json(run.asks).decode(),
                ),
            )
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
            self._check_free(self._get(connection, run_id))
            connection.execute("DELETE FROM run WHERE id = ?", (run_id,))
            for table in ("record", "partial"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (run_id,))

    # --- ownership --------------------------------------------------------------------------

    @override
    def is_owned(self, run: StoredRun) -> bool:
        if not run.owner:
            return False
        if self._owner is not None and run.owner == self._owner.id:
            return run.id in self._driven
        return is_alive(self._owners, run.owner)

    @override
    def claim(self, run_id: str) -> StoredRun:
        with self._writes() as connection:
            run = self._get(connection, run_id)
            self._check_free(run)
            connection.execute(
                "UPDATE run SET owner = ?, epoch = epoch + 1, updated_at = ? WHERE id = ?",
                (self._owning().id, self._clock(), run_id),
            )
            claimed = self._get(connection, run_id)
            self._driven.add(run_id)  # inside: else another one's release may give up the lock
        return claimed

    @override
    def release(self, run_id: str, epoch: int) -> None:
        try:
            with self._writes() as connection:
                connection.execute(
                    "UPDATE run SET owner = '' WHERE id = ? AND epoch = ?", (run_id, epoch)
                )
        finally:
            self._driven.discard(run_id)
            with self._writer:
                if not self._driven:
                    self._disown()

    def _check_free(self, run: StoredRun) -> None:
        if self.is_owned(run):
            is_ours = self._owner is not None and run.owner == self._owner.id
            raise RunBusy(
                f"run {run.id!r} in {self.path}: {'this' if is_ours else 'another'} process drives "
                "it now. Watch it with events(), or wait for its end with drive()"
            )

    def _owning(self) -> Owner:
        if self._owner is None:
            try:
                remove_dead(self._owners)
                self._owner = Owner(self._owners)
            except OSError as error:
                raise JournalError(
                    f"{self._owners}: no lock can be held here ({error}). Put the journal on a "
                    "local disk"
                ) from error
        return self._owner

    def _disown(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.close()

    @cached_property
    def _owners(self) -> Path:
        return self.path.with_name(f"{self.path.name}-owners")

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
        return seq

    @override
    def note(self, run_id: str, record: Record) -> int:
        with self._writes() as connection:
            seq = self._get(connection, run_id).seq + 1
            connection.execute(
                "UPDATE run SET seq = ?, updated_at = ? WHERE id = ?", (seq, self._clock(), run_id)
            )
            self._insert(connection, run_id, seq - 1, [(record.kind, body_of(record))])
        return seq

    @override
    def append_partial(self, run_id: str, epoch: int, lines: bytes) -> None:
        with self._writes() as connection:
            self._advance(connection, run_id, epoch, 0, None)
            connection.execute(
                "INSERT INTO partial SELECT ?1, 1 + coalesce(max(part), 0), ?2 FROM partial "
                "WHERE run = ?1",
                (run_id, lines),
            )

    @override
    def partial(self, run_id: str, after: int = 0) -> tuple[int, bytes]:
        with self._reads() as connection:
            if connection is None:
                return 0, b""
            found = connection.execute(
                "SELECT part, lines FROM partial WHERE run = ? ORDER BY part", (run_id,)
            ).fetchall()
        return len(found), b"".join(lines for part, lines in found if part > after)

    @override
    def rows(self, run_id: str, after: int = 0) -> list[Stored]:
        with self._reads() as connection:
            self._get(connection, run_id)
            assert connection is not None  # else it would be unknown
            found = connection.execute(
                "SELECT seq, at, kind, v, body FROM record WHERE run = ? AND seq > ? ORDER BY seq",
                (run_id, after),
            ).fetchall()
        return [self._stored(run_id, *row) for row in found]

    @override
    def fork(self, run_id: str, new_id: str, *, after: int | None) -> StoredRun:
        with self._writes() as connection:
            run = self._get(connection, run_id)
            last = connection.execute(
                "SELECT coalesce(max(seq), 0) FROM record WHERE run = ? AND seq <= ? AND kind <> ?",
                (run_id, run.seq if after is None else after, RunEnded.kind),
            ).fetchone()[0]
            now = self._clock()
            try:
                connection.execute(
                    "INSERT INTO run SELECT ?, ?, 'running', '', 0, ?, ?, opening, added_system, "
                    "model, base_url, tools, asks FROM run WHERE id = ?",
                    (new_id, last, now, now, run_id),
                )
            except sqlite3.IntegrityError:
                raise JournalError(
                    f"fork of {run_id!r}: there is a run {new_id!r} already; give another id"
                ) from None
            connection.execute(
                "INSERT INTO record SELECT ?, seq, at, kind, v, body FROM record "
                "WHERE run = ? AND seq <= ?",
                (new_id, run_id, last),
            )
            return self._get(connection, new_id)

    def _advance(
        self,
        connection: sqlite3.Connection,
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
            raise RunLost(
                f"run {run_id!r}: it was given up, or somebody else has taken it over, since this "
                "process claimed it. Nothing was written"
            )
        return int(found[0])

    def _insert(
        self,
        connection: sqlite3.Connection,
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

    def _get(self, connection: sqlite3.Connection | None, run_id: str) -> StoredRun:
        found = None
        if connection is not None:
            found = connection.execute(f"{_RUN} WHERE id = ?", (run_id,)).fetchone()
        if found is not None:
            try:
                return _run_of(found)
            except ValueError as error:
                raise JournalError(f"{self.path}: run {run_id!r} cannot be read: {error}") from None
        known = []
        if connection is not None:
            known = connection.execute(
                "SELECT id FROM run ORDER BY updated_at DESC LIMIT ?", (MAX_NAMED_RUNS,)
            ).fetchall()
        there_are = ", ".join(repr(name) for (name,) in known)
        told = f"the last written to are: {there_are}" if there_are else "there are none"
        raise UnknownRun(f"{self.path}: there is no run {run_id!r} ({told})")

    def _stored(self, run_id: str, seq: int, at: float, kind: str, v: int, body: str) -> Stored:
        try:
            return Stored(seq=seq, at=at, record=record_of(kind, v, body))
        except RecordError as error:
            raise JournalError(f"{self.path}: run {run_id!r}, row {seq}: {error}") from None

    # --- watching and checking --------------------------------------------------------------

    @override
    async def changed(self, since: object | None) -> object:
        while True:
            version = self._version()
            if version is not None and (since is None or version != since):
                return version
            await anyio.sleep(POLL_SECONDS)

    def _version(self) -> int | None:
        """Another one whenever something was written; 0 before, None while somebody reads."""
        if self._reader.locked():
            return None  # many rows, by a thread: the event loop does not wait for it
        with self._reads() as connection:
            if connection is None:
                return 0
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

    @override
    def check(self) -> list[str]:
        with self._reads() as connection:
            if connection is None:
                return []
            found = [
                f"SQLite: {row[0]}"
                for row in connection.execute("PRAGMA integrity_check")
                if row[0] != "ok"
            ]
            runs = connection.execute("SELECT id, seq FROM run").fetchall()
            for run_id, last in runs:
                count, least, most = connection.execute(
                    "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM record "
                    "WHERE run = ?",
                    (run_id,),
                ).fetchone()
                if (count, least, most) != (last, 1, last):
                    found.append(f"run {run_id!r}: {count} rows, and it says that it has {last}")
            strays = connection.execute(
                "SELECT DISTINCT run FROM record WHERE run NOT IN (SELECT id FROM run)"
            ).fetchall()
            found += [f"rows of a run {name!r} that is not there" for (name,) in strays]
        for run_id, _ in runs:
            try:
                self.rows(run_id)
            except JournalError as error:
                found.append(str(error))
        return found

    # --- connections ------------------------------------------------------------------------

    @override
    def close(self) -> None:
        with self._writer, self._reader:
            for connection in (self._writing, self._reading):
                if connection is not None:
                    connection.close()
            self._writing = self._reading = None
            self._driven.clear()
            self._disown()

    def __del__(self) -> None:
        """Let go: an agent that is done with needs no closing."""
        with suppress(Exception):
            self.close()

    def forget(self) -> None:
        """In the child of a fork: files, connections and locks are the parent's alone."""
        self._writer, self._reader = threading.Lock(), threading.Lock()
        # Closed by no one: closing would drop the parent's locks (sqlite.org/howtocorrupt.html).
        _abandoned.extend(c for c in (self._writing, self._reading) if c is not None)
        self._writing = self._reading = None
        if self._owner is not None:
            self._owner.forget()
            self._owner = None
        self._driven.clear()

    @contextmanager
    def _writes(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of what is done inside, or nothing."""
        with self._writer, self._told("written to"):
            if self._writing is None:
                self._writing = self._open(create=True)
            connection = self._writing
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A disk that is full may have ended the transaction already.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reads(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to read with; None where there is no file yet."""
        with self._reader, self._told("read"):
            if self._reading is None and self.path.exists():
                self._reading = self._open(create=False)
                if self._reading.execute("PRAGMA user_version").fetchone()[0] == 0:
                    # Another process is about to make it.
                    self._reading.close()
                    self._reading = None
            yield self._reading

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"{self.path} cannot be {what}: {_reason(error)}") from error
        except OSError as error:
            raise JournalError(f"{self.path} cannot be {what}: {error}") from error

    def _open(self, *, create: bool) -> sqlite3.Connection:
        if create:
            self._create_file()
        connection = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection, create=create)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_file(self) -> None:
        """The file and its folder, for its owner alone; what SQLite puts beside it is like it."""
        folder = self.path.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.name == ".agentcore" and folder.is_symlink():
            raise JournalError(f"{folder} is a link, which may lead out of the workspace")
        # Only a new one: to close a file drops all locks that this process has on it.
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    def _prepare(self, connection: sqlite3.Connection, *, create: bool) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"{self.path} is a journal of version {version}, and this agentcore knows version "
                f"{SCHEMA_VERSION}: a newer one has written it. Nothing was changed; upgrade, or "
                "give another file with journal="
            )
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        if not create:
            return
        connection.execute("PRAGMA journal_mode = WAL")
        if version == 0:
            connection.execute("BEGIN IMMEDIATE")
            try:
                # Another process may have been quicker.
                if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in _SCHEMA.split(";\n"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise


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


_REASONS: Final = {
    "SQLITE_FULL": "the disk is full. Make room; the run goes on from its last row",
    "SQLITE_BUSY": "another program holds it. End that, and run again",
    "SQLITE_READONLY": "it is read-only. Give the permission, or another file with journal=",
    "SQLITE_CANTOPEN": "it cannot be opened. Look at its folder and the permissions",
    "SQLITE_NOTADB": "it is no SQLite file. Move it away, or give another file with journal=",
    "SQLITE_CORRUPT": "it is damaged: `agentcore runs check` says where",
    "SQLITE_IOERR": "the disk failed, or is full",
}


def _reason(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    known = next((text for start, text in _REASONS.items() if name.startswith(start)), "")
    return f"{known} ({error})" if known else str(error)


_stores: WeakSet[SqliteStore] = WeakSet()
_abandoned: list[sqlite3.Connection] = []


def _forget_all() -> None:
    for store in _stores:
        with contextlib.suppress(Exception):
            store.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
