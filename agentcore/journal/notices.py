"""Who watches a journal in Postgres is told by `NOTIFY`: one thread listens, another tells.

A notice has no words: who gets one looks at the rows.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import psycopg

__all__ = ["CHANNEL", "Listener", "Teller"]

CHANNEL: Final = "agentcore"
LISTEN_SECONDS: Final = 0.5
"""How long the thread that listens waits before it looks whether anybody still watches."""
RECHECK_SECONDS: Final = 5.0
"""How often who watches is told without a notification: a process that is killed between a row and
the telling of it tells nothing."""
TELL_SECONDS: Final = 0.02
"""Between two notifications of a process: the fewer there are, the less the others are held up."""


class Listener:
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
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._count += 1  # something may have been written before
                    quiet_since = time.monotonic()
                    while self._is_wanted():
                        told = list(connection.notifies(timeout=LISTEN_SECONDS, stop_after=1))
                        if told or time.monotonic() - quiet_since > RECHECK_SECONDS:
                            self._count += 1
                            quiet_since = time.monotonic()
            except Exception:  # the database is away: who reads is told so; this one comes back
                time.sleep(LISTEN_SECONDS)
                self._count += 1

    def _is_wanted(self) -> bool:
        with self._lock:
            if self._thread is not threading.current_thread():
                return False  # it was told so before, and another one has begun since
            is_wanted = not self._is_closed and (
                self._watchers > 0 or time.monotonic() < self._wanted_until
            )
            if not is_wanted:
                self._thread = None
            return is_wanted


class Teller:
    """Notifies those who watch: soon, and not for every row."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._is_due = False
        self._thread: threading.Thread | None = None

    def soon(self) -> None:
        """Something was written."""
        with self._lock:
            self._is_due = True
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._go_on, name="agentcore-tell", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter ends: who watches looks by itself, later
                self._thread = None

    def flush(self) -> None:
        """Tell now what is not told yet; returns when nobody tells any more."""
        with self._telling:
            if self._is_due:
                self._is_due = False
                with suppress(Exception):  # the database is away: who reads is told so
                    self._tell()

    def _go_on(self) -> None:
        while True:
            self.flush()
            time.sleep(TELL_SECONDS)
            with self._lock:
                if not self._is_due:
                    self._thread = None
                    return
