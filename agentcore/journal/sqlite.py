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
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal
from weakref import WeakSet

import anyio
import anyio.to_thread
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
MAX_LOG_BYTES: Final = 16 * 1_048_576
"""Of the write-ahead log, once it has been brought into the file; SQLite does that each 4 MB."""

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
_TABLES: Final = {"run", "record", "partial"}
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
        self._watcher = threading.Lock()
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._watching: sqlite3.Connection | None = None
        self._set = ""
        """The value of `PRAGMA synchronous` in `_writing`."""
        self._written: tuple[int, int] | None = None
        """Device and number of the file that `_writing` has open; `_read` and `_watched` alike."""
        self._read: tuple[int, int] | None = None
        self._watched: tuple[int, int] | None = None
        self._opened = 0
        """How often a connection to watch was opened: each counts for itself."""
        self._last_version: object = 0
        self._owner: Owner | None = None
        self._driven: dict[str, int] = {}
        """Ids of the runs that this process drives by this store, and of which claim."""
        self._unreleased: dict[str, int] = {}
        """The same of those that were given up when that could not be written."""
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
        owner = self._owner
        if owner is not None and run.owner == owner.id:
            return run.id in self._driven
        return is_alive(self._owners, run.owner)

    @override
    def claim(self, run_id: str) -> StoredRun:
        epoch = 0
        try:
            with self._writes(waits=False) as connection:
                self._check_free(self._get(connection, run_id))
                connection.execute(
                    "UPDATE run SET owner = ?, epoch = epoch + 1, updated_at = ? WHERE id = ?",
                    (self._owning().id, self._clock(), run_id),
                )
                claimed = self._get(connection, run_id)
                epoch = claimed.epoch
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

    @staticmethod
    def _give_up(connection: sqlite3.Connection, run_id: str, epoch: int) -> None:
        connection.execute("UPDATE run SET owner = '' WHERE id = ? AND epoch = ?", (run_id, epoch))

    def _let_go(self, run_id: str, epoch: int) -> None:
        """The run is not driven here any more, unless it was claimed again meanwhile."""
        with self._writer:
            if self._driven.get(run_id) == epoch:
                del self._driven[run_id]
            if not self._driven:
                self._disown()

    def _check_free(self, run: StoredRun) -> None:
        if self.is_owned(run):
            owner = self._owner
            is_ours = owner is not None and run.owner == owner.id
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
        with self._writes(waits=False) as connection:
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
                "SELECT part, CASE WHEN part > ? THEN lines ELSE x'' END FROM partial "
                "WHERE run = ? ORDER BY part",
                (after, run_id),
            ).fetchall()
        return len(found), b"".join(lines for _, lines in found)

    @override
    def rows(self, run_id: str, after: int = 0) -> list[Stored]:
        with self._reads() as connection:
            self._get(connection, run_id)
            assert connection is not None  # else it would be unknown
            # As bytes, and one by one: that saves two fifths of the time for large bodies, and
            # having all of them twice.
            found = connection.execute(
                "SELECT seq, at, kind, v, CAST(body AS BLOB) FROM record "
                "WHERE run = ? AND seq > ? ORDER BY seq",
                (run_id, after),
            )
            with closing(found):
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

    def _stored(self, run_id: str, seq: int, at: float, kind: str, v: int, body: bytes) -> Stored:
        try:
            return Stored(seq=seq, at=at, record=record_of(kind, v, body))
        except RecordError as error:
            raise JournalError(f"{self.path}: run {run_id!r}, row {seq}: {error}") from None

    # --- watching and checking --------------------------------------------------------------

    @override
    async def changed(self, since: object | None) -> object:
        while True:
            # A connection of its own: who reads or writes much holds nobody up here.
            if self._watching is None:
                await anyio.to_thread.run_sync(self._watch)
            version = self._version()
            if since is None or version != since:
                return version
            await anyio.sleep(POLL_SECONDS)

    def _watch(self) -> None:
        """Open the connection that watches, where there is a file already."""
        with self._watcher, self._told("read"):
            if self._watching is None and (identity := self._identity()) is not None:
                connection = self._open_to_read()
                if connection is not None:
                    connection.execute("PRAGMA busy_timeout = 0")
                    self._watched = identity
                    self._opened += 1
                self._watching = connection

    def _version(self) -> object:
        """Changes with every commit of another connection, and with the file itself."""
        with self._watcher, self._told("read"):
            if self._watching is not None and self._identity() != self._watched:
                self._watching.close()
                self._watching = None
            if self._watching is None:
                return 0
            try:
                version = self._watching.execute("PRAGMA data_version").fetchone()[0]
            except sqlite3.OperationalError as error:
                if not _name_of(error).startswith("SQLITE_BUSY"):
                    raise
                return self._last_version
            self._last_version = self._opened, version
            return self._last_version

    @override
    def check(self) -> list[str]:
        found: list[str] = []
        try:
            with self._reads() as connection:
                if connection is None:
                    return []
                integrity = connection.execute("PRAGMA integrity_check").fetchall()
                found += [f"SQLite: {told}" for (told,) in integrity if told != "ok"]
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

    @staticmethod
    def _miscounted(connection: sqlite3.Connection) -> list[str]:
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

    # --- connections ------------------------------------------------------------------------

    @override
    def close(self) -> None:
        with self._writer, self._reader, self._watcher:
            self._close_connections()
            self._driven.clear()
            self._disown()

    def _close_connections(self) -> None:
        connections = (self._writing, self._reading, self._watching)
        self._writing = self._reading = self._watching = None
        for connection in connections:
            if connection is not None:
                connection.close()

    def __del__(self) -> None:
        """Let go: an agent that is done with needs no closing."""
        with suppress(Exception):
            self.close()

    def forget(self) -> None:
        """In the child of a fork: files, connections and locks are the parent's alone."""
        self._writer, self._reader = threading.Lock(), threading.Lock()
        self._watcher = threading.Lock()
        # Closed by no one: closing would drop the parent's locks (sqlite.org/howtocorrupt.html).
        connections = (self._writing, self._reading, self._watching)
        _abandoned.extend(one for one in connections if one is not None)
        self._writing = self._reading = self._watching = None
        if self._owner is not None:
            self._owner.forget()
            self._owner = None
        self._driven.clear()
        self._unreleased.clear()

    @contextmanager
    def _writes(self, *, waits: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction: all of what is done inside, or nothing.

        Args:
            waits: Until it is on the medium. Not for what a power cut may take: what arrives, and
                who drives a run. The next transaction that waits brings it there too.
        """
        with self._writer, self._told("written to"):
            if self._writing is not None and self._identity() != self._written:
                self._replaced()
            if self._writing is None:
                self._writing, self._set = self._open_to_write(), ""
                self._written = self._identity()
            connection = self._writing
            synchronous = self._synchronous if waits else "NORMAL"
            if synchronous != self._set:
                connection.execute(f"PRAGMA synchronous = {synchronous}")
                self._set = synchronous
            connection.execute("BEGIN IMMEDIATE")
            try:
                for run_id, epoch in self._unreleased.items():
                    self._give_up(connection, run_id, epoch)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A disk that is full may have ended the transaction already.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            self._unreleased.clear()

    def _replaced(self) -> None:
        """The file that is open is not the one at its path: what is written to it would be lost.

        Raises:
            JournalError: A run is driven here, whose rows went with the file.
        """
        assert self._writing is not None
        self._writing.close()
        self._writing = None
        self._unreleased.clear()
        if self._driven:
            raise JournalError(
                f"{self.path} was removed or replaced while runs were written to it: "
                f"{', '.join(map(repr, self._driven))}. Put it back, and run the same again"
            )

    @contextmanager
    def _reads(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to read with; None where there is no file yet."""
        with self._reader, self._told("read"):
            identity = self._identity()
            if self._reading is not None and identity != self._read:
                self._reading.close()
                self._reading = None
            if self._reading is None and identity is not None:
                self._reading, self._read = self._open_to_read(), identity
            yield self._reading

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"{self.path} cannot be {what}: {_reason(error)}") from error
        except OSError as error:
            raise JournalError(f"{self.path} cannot be {what}: {error}") from error

    def _identity(self) -> tuple[int, int] | None:
        """Which file is at the path; None for none."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino

    def _open_to_write(self) -> sqlite3.Connection:
        self._create_file()
        connection = self._connect()
        try:
            version = self._check_version(connection)
            self._set_modes(connection)
            if version == 0:
                self._create_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_to_read(self) -> sqlite3.Connection | None:
        """None where another process is about to make it."""
        self._check_links()
        connection = self._connect()
        try:
            if self._check_version(connection) == 0:
                connection.close()
                return None
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> sqlite3.Connection:
        # By its address, which can say that SQLite must not make the file: it would be readable
        # by everybody.
        return sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,
        )

    def _create_file(self) -> None:
        """The file and its folder, for its owner alone; what SQLite puts beside it is like it."""
        with suppress(FileExistsError):
            self.path.parent.mkdir(mode=0o700)
            _make_last(self.path.parent.parent)
        self._check_links()
        # Only a new one: to close a file drops all locks that this process has on it.
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    def _check_links(self) -> None:
        """In a workspace nothing leads out of it: others may have filled that."""
        folder = self.path.parent
        if folder.name == ".agentcore":
            for path in (folder, self.path):
                if path.is_symlink():
                    raise JournalError(
                        f"{path} is a link, which may lead out of the workspace. Remove it, or "
                        "give another file with journal="
                    )

    def _check_version(self, connection: sqlite3.Connection) -> int:
        """The version of its tables; 0 where it has none.

        Raises:
            JournalError: They are of a newer version, or another program's.
        """
        connection.execute("BEGIN")  # of one moment: another process may be making it
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        connection.execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"{self.path} is a journal of version {version}, and this agentcore knows version "
                f"{SCHEMA_VERSION}: a newer one has written it. Nothing was changed; upgrade, or "
                "give another file with journal="
            )
        if tables if version == 0 else not tables >= _TABLES:
            raise JournalError(
                f"{self.path} is another program's database, not a journal. Nothing was changed; "
                "give another file with journal="
            )
        return version

    def _set_modes(self, connection: sqlite3.Connection) -> None:
        # What a large transaction has made of the write-ahead log is given back afterwards.
        connection.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise JournalError(
                f"{self.path}: no write-ahead log can be kept here, the mode is {mode!r}. Put the "
                "journal on a local disk"
            )

    @staticmethod
    def _create_tables(connection: sqlite3.Connection) -> None:
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


def _make_last(folder: Path) -> None:
    """What was made in a folder is there after a power cut, where the system can promise that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
    "SQLITE_IOERR": "the disk failed, or is full. Mend that; the run goes on from its last row",
    "SQLITE_PROTOCOL": "too many programs open it at once. Run again",
}


def _reason(error: sqlite3.Error) -> str:
    name = _name_of(error)
    known = next((text for start, text in _REASONS.items() if name.startswith(start)), "")
    return f"{known} ({error})" if known else str(error)


def _name_of(error: sqlite3.Error) -> str:
    """SQLite's own name of an error; empty for one of the Python module."""
    return getattr(error, "sqlite_errorname", "") or ""


_stores: WeakSet[SqliteStore] = WeakSet()
_abandoned: list[sqlite3.Connection] = []


def _forget_all() -> None:
    for store in _stores:
        with contextlib.suppress(Exception):
            store.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
