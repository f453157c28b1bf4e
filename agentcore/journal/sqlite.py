"""The journal in one SQLite file: no server, no dependency.

Write-ahead log, so that readers and the one writer do not wait for each other, and a commit that is
on the medium before it returns (`synchronous=FULL`). Local disks only: on network file systems
neither SQLite's locks nor ours can be relied on.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import anyio
import anyio.to_thread
from typing_extensions import override

from agentcore.errors import JournalError
from agentcore.journal.owners import Owner, is_alive, remove_dead
from agentcore.journal.sql import SCHEMA_VERSION, TABLES, SqlConnection, SqlStore, abandon

__all__ = ["SCHEMA_VERSION", "SqliteStore"]

BUSY_SECONDS: Final = 10.0
"""How long another writer is waited for; writes take milliseconds."""
POLL_SECONDS: Final = 0.02
"""How often who watches looks whether anything was written: a read of shared memory, 5 µs."""
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


class SqliteStore(SqlStore):
    """`<workspace>/.agentcore/runs.db`, or a file of your choice."""

    body = "CAST(body AS BLOB)"  # two fifths of the time for large ones

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
        super().__init__(clock)
        self.path = Path(path).absolute()
        self._synchronous = synchronous
        self._busy_seconds = busy_seconds
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

    @property
    @override
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    @override
    def place(self) -> str:
        return str(self.path)

    # --- who lives --------------------------------------------------------------------------

    @override
    def _own_id(self) -> str:
        if self._owner is None:
            try:
                remove_dead(self._owners)
                self._owner = Owner(self._owners)
            except OSError as error:
                raise JournalError(
                    f"{self._owners}: no lock can be held here ({error}). Put the journal on a "
                    "local disk"
                ) from error
        return self._owner.id

    @override
    def _known_id(self) -> str:
        owner = self._owner
        return owner.id if owner is not None else ""

    @override
    def _disown(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.close()

    @override
    def _lives(self, owner: str) -> bool:
        return is_alive(self._owners, owner)

    @cached_property
    def _owners(self) -> Path:
        return self.path.with_name(f"{self.path.name}-owners")

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
    def _announce(self, connection: SqlConnection, run_id: str, seq: int) -> None:
        pass  # who watches sees the version of the file change

    @override
    def _damages(self, connection: SqlConnection) -> list[str]:
        integrity = connection.execute("PRAGMA integrity_check").fetchall()
        return [f"SQLite: {told}" for (told,) in integrity if told != "ok"]

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

    @override
    def forget(self) -> None:
        self._writer, self._reader = threading.Lock(), threading.Lock()
        self._watcher = threading.Lock()
        abandon(self._writing, self._reading, self._watching)
        self._writing = self._reading = self._watching = None
        if self._owner is not None:
            self._owner.forget()
            self._owner = None
        self._driven.clear()
        self._unreleased.clear()

    @override
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

    @override
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
        if tables if version == 0 else not tables.issuperset(TABLES):
            raise JournalError(
                f"{self.path} is another program's database, not a journal. Nothing was changed; "
                "give another file with journal="
            )
        return version

    def _set_modes(self, connection: sqlite3.Connection) -> None:
        # What a large transaction has made of the write-ahead log is given back afterwards.
        connection.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
        mode = self._write_ahead(connection)
        if mode != "wal":
            raise JournalError(
                f"{self.path}: no write-ahead log can be kept here, the mode is {mode!r}. Put the "
                "journal on a local disk"
            )

    def _write_ahead(self, connection: sqlite3.Connection) -> str:
        """The journal mode, once it was asked to be `wal`.

        Where two make a file at once, SQLite refuses one of them at once, however long it is told
        to wait: each holds what the other needs.
        """
        give_up_at = time.monotonic() + self._busy_seconds
        while True:
            try:
                mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > give_up_at:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return mode

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
