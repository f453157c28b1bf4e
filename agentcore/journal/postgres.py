"""The journal in Postgres: the same rows, for processes on many machines.

Tables are in a schema of their own, `agentcore`. An owner is a session's advisory lock on the
connection that writes: pen and lock are lost together, whatever separates a process from the
database. Who watches is told by `NOTIFY`, with numbers only.
"""

import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakSet

import anyio
from typing_extensions import override

from agentcore.errors import ConfigurationError, JournalError
from agentcore.journal.sql import SCHEMA_VERSION, Cursor, SqlConnection, SqlStore

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresStore"]

CONNECT_SECONDS: Final = 10
BUSY_SECONDS: Final = 10.0
"""How long a row that another transaction holds is waited for; writes take milliseconds."""
POLL_SECONDS: Final = 0.02
"""How often who watches looks whether a notification came: a look at a number in memory."""
LISTEN_SECONDS: Final = 0.5
"""How long the thread that listens waits before it looks whether anybody still watches."""
SCHEMA_LOCK: Final = 0x6167656E74636F72
"""The advisory lock of whoever makes the tables: `agentcor`, in ASCII."""
_CHANNEL: Final = "agentcore"
_PASSWORD = re.compile(r"(?<=://)([^:@/]*):[^@/]*@")
_PASSWORD_OPTION = re.compile(r"(?<=[?&])((?:ssl)?password)=[^&]*")

_TABLES: Final = (
    "CREATE SCHEMA IF NOT EXISTS agentcore",
    "CREATE TABLE IF NOT EXISTS agentcore.schema (version INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS agentcore.run (id TEXT PRIMARY KEY, seq BIGINT NOT NULL, "
    "status TEXT NOT NULL, owner TEXT NOT NULL, epoch BIGINT NOT NULL, "
    "created_at DOUBLE PRECISION NOT NULL, updated_at DOUBLE PRECISION NOT NULL, "
    "opening TEXT NOT NULL, added_system INTEGER NOT NULL, model TEXT NOT NULL, "
    "base_url TEXT NOT NULL, tools TEXT NOT NULL, asks TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS agentcore.record (run TEXT NOT NULL, seq BIGINT NOT NULL, "
    "at DOUBLE PRECISION NOT NULL, kind TEXT NOT NULL, v INTEGER NOT NULL, body TEXT NOT NULL, "
    "PRIMARY KEY (run, seq))",
    "CREATE TABLE IF NOT EXISTS agentcore.partial (run TEXT NOT NULL, part BIGINT NOT NULL, "
    "lines BYTEA NOT NULL, PRIMARY KEY (run, part))",
    "CREATE INDEX IF NOT EXISTS run_running ON agentcore.run (updated_at) WHERE status = 'running'",
    f"INSERT INTO agentcore.schema SELECT {SCHEMA_VERSION} "
    "WHERE NOT EXISTS (SELECT 1 FROM agentcore.schema)",
)
_LIVES = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND "
    "classid = CAST(? AS OID) AND objid = CAST(? AS OID) AND "
    "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class PostgresStore(SqlStore):
    """`postgresql://user@host/database`; the extra `postgres` brings the driver."""

    locking = " FOR UPDATE"

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        """Open nothing yet.

        Args:
            url: Of a database, as libpq takes it. Its user may make a schema, or the schema
                `agentcore` is there and theirs.
            clock: Gives the time in seconds since the epoch.

        Raises:
            ConfigurationError: The driver is not installed.
        """
        super().__init__(clock)
        try:
            import psycopg
        except ImportError:
            raise ConfigurationError(
                "journal=postgresql://…: the driver is not installed: "
                'pip install "agentcore-loop[postgres]"'
            ) from None
        self._url = url
        self._reader = threading.Lock()
        self._writing: psycopg.Connection[Any] | None = None
        self._reading: psycopg.Connection[Any] | None = None
        self._owner = ""
        """Hexadecimal: the number of the advisory lock that `_writing` holds."""
        self._listener = _Listener(self._connect)
        _stores.add(self)

    @property
    @override
    def url(self) -> str:
        return _PASSWORD_OPTION.sub(r"\1=…", _PASSWORD.sub(r"\1@", self._url))

    @property
    @override
    def queue_url(self) -> str:
        return self._url

    @property
    @override
    def place(self) -> str:
        return self.url

    # --- who lives --------------------------------------------------------------------------

    @override
    def _own_id(self) -> str:
        if not self._owner:
            assert self._writing is not None, "inside _writes"
            owner = secrets.token_hex(8)
            self._writing.execute("SELECT pg_advisory_lock(%s)", (_key(owner),))
            self._owner = owner
        return self._owner

    @override
    def _known_id(self) -> str:
        return self._owner

    @override
    def _disown(self) -> None:
        owner, self._owner = self._owner, ""
        if owner and self._writing is not None:
            with suppress(Exception):  # the connection is lost, and the lock with it
                self._writing.execute("SELECT pg_advisory_unlock(%s)", (_key(owner),))

    @override
    def _lives(self, owner: str) -> bool:
        number = _key(owner) & 0xFFFF_FFFF_FFFF_FFFF
        with self._reads() as connection:
            found = connection.execute(_LIVES, (number >> 32, number & 0xFFFF_FFFF)).fetchone()
        return bool(found[0])

    def lives(self, name: str) -> bool:
        """Whether a process holds the lock of this name."""
        return self._lives(_digest(name))

    def hold(self, name: str) -> "psycopg.Connection[Any]":
        """A connection that holds the lock of a name, for as long as it is open.

        Raises:
            JournalError: Another process holds it, or the database cannot be reached.
        """
        with self._told("locked"):
            connection = self._opened()
            found = connection.execute(
                "SELECT pg_try_advisory_lock(%s)", (_key(_digest(name)),)
            ).fetchone()
        if found is None or not found[0]:
            connection.close()
            raise JournalError(f"{self.place}: another process is {name!r}; give each its own name")
        return connection

    def stalled(self, *, older_than: float) -> list[tuple[str, int]]:
        """Runs that have no end and that nobody who lives drives.

        Args:
            older_than: Seconds since the last write; younger ones may be about to be claimed.

        Returns:
            Their ids, and how often each was claimed; a thousand at most, the oldest first.
        """
        with self._reads() as connection:
            found = connection.execute(
                "SELECT id, epoch, owner FROM run WHERE status = 'running' AND updated_at < ? "
                "ORDER BY updated_at LIMIT 1000",
                (self._clock() - older_than,),
            ).fetchall()
        lives: dict[str, bool] = {"": False, self._owner: bool(self._owner)}
        for _, _, owner in found:
            if owner not in lives:
                lives[owner] = self._lives(owner)
        return [(run_id, epoch) for run_id, epoch, owner in found if not lives[owner]]

    # --- watching ---------------------------------------------------------------------------

    @override
    def _announce(self, connection: SqlConnection, run_id: str, seq: int) -> None:
        connection.execute("SELECT pg_notify(?, ?)", (_CHANNEL, f"{seq} {run_id}"))

    @override
    async def changed(self, since: object | None) -> object:
        with self._listener.listening():
            while True:
                version = self._listener.version()
                if since is None or version != since:
                    return version
                await anyio.sleep(POLL_SECONDS)

    # --- connections ------------------------------------------------------------------------

    @override
    def close(self) -> None:
        self._listener.close()
        with self._writer, self._reader:
            for connection in (self._writing, self._reading):
                if connection is not None:
                    with suppress(Exception):
                        connection.close()
            self._writing = self._reading = None
            self._owner = ""
            self._driven.clear()

    def __del__(self) -> None:
        """Let go: an agent that is done with needs no closing."""
        with suppress(Exception):
            self.close()

    def forget(self) -> None:
        """In the child of a fork: connections and locks are the parent's alone."""
        self._writer, self._reader = threading.Lock(), threading.Lock()
        _abandoned.extend(one for one in (self._writing, self._reading) if one is not None)
        self._writing = self._reading = None
        self._owner = ""
        self._driven.clear()
        self._unreleased.clear()
        self._listener = _Listener(self._connect)

    @override
    @contextmanager
    def _writes(self, *, waits: bool = True) -> Iterator[SqlConnection]:
        with self._writer, self._told("written to"):
            if self._writing is None or self._writing.closed:
                # The lock went with the connection: what was driven by it is lost.
                self._owner = ""
                self._driven.clear()
                self._writing = self._opened()
            connection = self._writing
            try:
                with connection.transaction():
                    if not waits:
                        connection.execute("SET LOCAL synchronous_commit = off")
                    wrapped = _Questions(connection)
                    for run_id, epoch in self._unreleased.items():
                        self._give_up(wrapped, run_id, epoch)
                    yield wrapped
            except BaseException:
                if connection.broken:
                    self._lose(connection)
                raise
            self._unreleased.clear()

    def _lose(self, connection: "psycopg.Connection[Any]") -> None:
        self._owner = ""
        self._driven.clear()
        self._writing = None
        connection.close()

    @override
    @contextmanager
    def _reads(self) -> Iterator[SqlConnection]:
        with self._reader, self._told("read"):
            if self._reading is None or self._reading.closed:
                self._reading = self._opened()
            connection = self._reading
            try:
                yield _Questions(connection)
            except BaseException:
                if connection.broken:
                    self._reading = None
                    connection.close()
                raise

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise JournalError(f"{self.place} cannot be {what}: {said}") from error

    def _opened(self) -> "psycopg.Connection[Any]":
        connection = self._connect()
        try:
            self._check_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> "psycopg.Connection[Any]":
        import psycopg

        # Keep-alives: a machine that is gone is found out in a minute, not in two hours.
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="agentcore",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            options=f"-c search_path=agentcore -c lock_timeout={int(BUSY_SECONDS * 1000)}",
        )

    def _check_tables(self, connection: "psycopg.Connection[Any]") -> None:
        found = connection.execute("SELECT to_regclass('agentcore.schema')").fetchone()
        if found is None or found[0] is None:
            with connection.transaction():
                # One process makes them: `IF NOT EXISTS` is no protection against another.
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
                for statement in _TABLES:
                    connection.execute(statement)
        row = connection.execute("SELECT max(version) FROM agentcore.schema").fetchone()
        version = row[0] if row is not None else None
        if version is None or version > SCHEMA_VERSION:
            raise JournalError(
                f"{self.place} holds a journal of version {version}, and this agentcore knows "
                f"version {SCHEMA_VERSION}: a newer one has written it. Nothing was changed; "
                "upgrade, or give another database with journal="
            )


class _Questions:
    """A connection that takes `?` for a value."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> Cursor:
        return cast("Cursor", self._connection.execute(_with_percents(sql), parameters))

    def executemany(self, sql: str, parameters: Sequence[Sequence[object]], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_with_percents(sql), parameters)


@lru_cache(maxsize=64)
def _with_percents(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _key(owner: str) -> int:
    """The number of an owner's lock: 64 bits, with a sign."""
    number = int(owner, 16)
    return number - (1 << 64) if number >= 1 << 63 else number


class _Listener:
    """Counts notifications, in a thread, for as long as somebody watches."""

    def __init__(self, connect: "Callable[[], psycopg.Connection[Any]]") -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._watchers = 0
        self._count = 0
        self._thread: threading.Thread | None = None
        self._wanted_until = 0.0
        self._is_closed = False

    def version(self) -> int:
        """Another one whenever something may have been written."""
        return self._count

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Notifications are counted inside, and for a while after."""
        with self._lock:
            self._watchers += 1
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(
                    target=self._listen, name="agentcore-listen", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1
                self._wanted_until = time.monotonic() + 10 * LISTEN_SECONDS

    def close(self) -> None:
        """Stop; may be called twice."""
        with self._lock:
            self._is_closed = True

    def _listen(self) -> None:
        while self._is_wanted():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    self._count += 1  # something may have been written before
                    while self._is_wanted():
                        for _ in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                            self._count += 1
            except Exception:  # the database is away: who reads is told so; this one comes back
                time.sleep(LISTEN_SECONDS)
                self._count += 1

    def _is_wanted(self) -> bool:
        with self._lock:
            is_wanted = not self._is_closed and (
                self._watchers > 0 or time.monotonic() < self._wanted_until
            )
            if not is_wanted:
                self._thread = None
            return is_wanted


_stores: WeakSet[PostgresStore] = WeakSet()
_abandoned: list[object] = []


def _forget_all() -> None:
    for store in _stores:
        with suppress(Exception):
            store.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
