"""The journal in Postgres: the same rows, for processes on many machines.

Tables are in a schema of their own, `agentcore`. An owner is a session's advisory lock on the
connection that writes: pen and lock are lost together, whatever separates a process from the
database. Who watches is told by `NOTIFY`, that there is something, and no more.

A row is one statement, and one round trip. It is told of after its transaction: `NOTIFY` takes a
lock that is held until the commit is on the medium, so commits would stand in line.
"""

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from typing_extensions import override

from agentcore.errors import ConfigurationError, JournalError
from agentcore.journal.notices import CHANNEL, Listener, Teller
from agentcore.journal.records import RECORD_VERSION, Record, RunStatus, body_of
from agentcore.journal.sql import SCHEMA_VERSION, Cursor, SqlConnection, SqlStore, abandon

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresStore"]

CONNECT_SECONDS: Final = 10
BUSY_SECONDS: Final = 10.0
"""How long a row that another transaction holds is waited for; writes take milliseconds."""
POLL_SECONDS: Final = 0.02
"""How often who watches looks whether a notification came: a look at a number in memory."""
SCHEMA_LOCK: Final = 0x6167656E74636F72
"""The advisory lock of whoever makes the tables: `agentcor`, in ASCII."""
LOST_SECONDS: Final = 25
"""After which a machine that does not answer is taken to be gone, on both sides: its session ends,
and its runs are free. Longer than a switch takes to start anew, and shorter than people wait. Who
was only cut off has lost nothing but its calls under way: of those nobody knows."""
KEEPALIVE_SECONDS: Final = 10, 5
"""Of silence before the other side is asked whether it is there, and before it is asked again."""
KEEPALIVES: Final = 3
RUNS_AT_ONCE: Final = 1000
"""How many runs without an end are looked at in one question: thousands may wait in a queue."""
FROM_THE_FIRST: Final = (-1.0, "")
"""Before the oldest run."""
_PASSWORD = re.compile(r"(?<=://)([^:@/?]*):[^?]*@")
"""With an `@` or a `/` in it too: nothing connects with that, and an error says so."""
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

_ADVANCED = (
    "WITH advanced AS (UPDATE agentcore.run SET seq = seq + %(by)s, "
    "status = coalesce(%(status)s, status), updated_at = %(now)s "
    "WHERE id = %(run)s AND epoch = %(epoch)s AND owner = %(owner)s AND owner <> '' RETURNING seq)"
)
"""One statement is one transaction, and one round trip; its parts are done whether they are read or
not."""
_APPEND: Final = (
    f"{_ADVANCED}, written AS (INSERT INTO agentcore.record "
    "SELECT %(run)s, seq - %(by)s + number, %(now)s, kind, %(v)s, body FROM advanced, "
    "unnest(%(kinds)s::text[], %(bodies)s::text[]) "
    "WITH ORDINALITY AS given (kind, body, number)), "
    "emptied AS (DELETE FROM agentcore.partial WHERE run = %(run)s AND %(ends)s "
    "AND EXISTS (SELECT FROM advanced)) "
    "SELECT seq FROM advanced"
)
_APPEND_PARTIAL: Final = (
    f"{_ADVANCED}, written AS (INSERT INTO agentcore.partial "
    "SELECT %(run)s, 1 + coalesce((SELECT max(part) FROM agentcore.partial WHERE run = %(run)s), 0)"
    ", %(lines)s FROM advanced) "
    "SELECT seq, set_config('synchronous_commit', 'off', true), "
    "pg_notify(%(channel)s, seq || ' ' || %(run)s) FROM advanced"
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
        self._waits = True
        """Whether the transaction in `_writes` is one that waits for the medium."""
        self._listener = Listener(self._connect)
        self._teller = Teller(self._tell)

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

    def stalled(
        self, *, older_than: float, after: tuple[float, str] = FROM_THE_FIRST
    ) -> tuple[list[tuple[str, int]], tuple[float, str]]:
        """Runs that have no end and that nobody who lives drives, some at a time.

        Args:
            older_than: Seconds since the last write; younger ones may be about to be claimed.
            after: What the call before gave: where it left off.

        Returns:
            Their ids, and how often each was claimed, the oldest first; and where to go on, which
            is at the first again once all were looked at.
        """
        with self._reads() as connection:
            found = connection.execute(
                "SELECT id, epoch, owner, updated_at FROM run WHERE status = 'running' "
                "AND updated_at < ? AND (updated_at, id) > (?, ?) ORDER BY updated_at, id LIMIT ?",
                (self._clock() - older_than, *after, RUNS_AT_ONCE),
            ).fetchall()
        lives: dict[str, bool] = {"": False, self._owner: bool(self._owner)}
        for _, _, owner, _ in found:
            if owner not in lives:
                lives[owner] = self._lives(owner)
        free = [(run_id, epoch) for run_id, epoch, owner, _ in found if not lives[owner]]
        if len(found) < RUNS_AT_ONCE:
            return free, FROM_THE_FIRST
        return free, (found[-1][3], found[-1][0])

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
        values = {
            "by": len(records),
            "status": status,
            "kinds": [record.kind for record in records],
            "bodies": [body_of(record) for record in records],
            "v": RECORD_VERSION,
            "ends": ends_partial,
        }
        seq = self._write_on(_APPEND, run_id, epoch, values)
        self._teller.soon()
        return seq

    @override
    def append_partial(self, run_id: str, epoch: int, lines: bytes) -> None:
        values = {"by": 0, "status": None, "lines": lines, "channel": CHANNEL}
        self._write_on(_APPEND_PARTIAL, run_id, epoch, values)

    def _write_on(
        self, statement: str, run_id: str, epoch: int, values: Mapping[str, object]
    ) -> int:
        """Write to a claimed run by one statement; the number of its last row."""
        if self._unreleased:
            with self._writes(waits=False):
                pass
        now = {"run": run_id, "epoch": epoch, "now": self._clock()}
        with self._writer, self._told("written to"):
            connection = self._pen()
            try:
                # Whoever has the lock of this connection, and not of the one before.
                all_values = {**values, **now, "owner": self._owner}
                found = connection.execute(statement.encode(), all_values).fetchone()
            except BaseException:
                if connection.broken:
                    self._lose(connection)
                raise
        if found is None:
            raise self._lost(run_id)
        return int(found[0])

    # --- watching ---------------------------------------------------------------------------

    @override
    def _announce(self, connection: SqlConnection, run_id: str, seq: int) -> None:
        if not self._waits:  # a commit that nobody waits for holds nobody up
            connection.execute(f"NOTIFY {CHANNEL}")

    def _tell(self) -> None:
        with self._reads() as connection:
            connection.execute(f"NOTIFY {CHANNEL}")

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
        self._teller.flush()
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

    @override
    def forget(self) -> None:
        self._writer, self._reader = threading.Lock(), threading.Lock()
        abandon(self._writing, self._reading)
        self._writing = self._reading = None
        self._owner = ""
        self._driven.clear()
        self._unreleased.clear()
        self._listener, self._teller = Listener(self._connect), Teller(self._tell)

    @override
    @contextmanager
    def _writes(self, *, waits: bool = True) -> Iterator[SqlConnection]:
        with self._writer, self._told("written to"):
            connection = self._pen()
            self._waits = waits
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
        if waits:
            self._teller.soon()

    def _pen(self) -> "psycopg.Connection[Any]":
        """The connection that writes. Inside `_writer`."""
        if self._writing is None or _has_ended(self._writing):
            # The lock went with the connection: what was driven by it is lost.
            self._owner = ""
            self._driven.clear()
            self._writing = self._opened()
        return self._writing

    def _lose(self, connection: "psycopg.Connection[Any]") -> None:
        self._owner = ""
        self._driven.clear()
        self._writing = None
        connection.close()

    @override
    @contextmanager
    def _reads(self) -> Iterator[SqlConnection]:
        with self._reader, self._told("read"):
            if self._reading is None or _has_ended(self._reading):
                self._reading = self._opened()
                # All that it ever commits is that there is something to be read.
                self._reading.execute("SET synchronous_commit = off")
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

        settings = {
            "search_path": "agentcore",
            "lock_timeout": int(BUSY_SECONDS * 1000),
            # The same for the server's end: it is what frees the runs of a machine that is gone.
            "tcp_user_timeout": LOST_SECONDS * 1000,
            "tcp_keepalives_idle": KEEPALIVE_SECONDS[0],
            "tcp_keepalives_interval": KEEPALIVE_SECONDS[1],
            "tcp_keepalives_count": KEEPALIVES,
        }
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="agentcore",
            tcp_user_timeout=LOST_SECONDS * 1000,
            keepalives_idle=KEEPALIVE_SECONDS[0],
            keepalives_interval=KEEPALIVE_SECONDS[1],
            keepalives_count=KEEPALIVES,
            options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
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


def _has_ended(connection: "psycopg.Connection[Any]") -> bool:
    """The server has ended the session while nothing was asked of it, by a restart for example.

    It looks at what has arrived: that costs microseconds, and a question a round trip.
    """
    with suppress(Exception):
        for _ in range(2):  # the last words, and that there are no more
            connection.pgconn.consume_input()
        return connection.closed
    connection.close()
    return True


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
