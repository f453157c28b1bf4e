"""Sync functions in threads: nothing can stop a thread, so nobody waits for one for ever.

A call that is cancelled, or whose time is up, is asked to end (`ToolContext.is_cancelled`) and
waited for as long as `Running.grace_seconds`. After that its thread is left to itself, and
`Running.goes_on` says so: what it writes may still change. It takes no place among the threads for
tools any more, but on asyncio the process ends only when its threads have ended.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from agentcore.tools.failures import CallCancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CANCEL_GRACE_SECONDS", "Running", "run_in_thread"]

CANCEL_GRACE_SECONDS: Final = 0.5
"""How long a cancelled sync function is waited for."""
_POLL_SECONDS: Final = 0.01

_log = logging.getLogger("agentcore")


class Running:
    """One call of a function, and whether its thread goes on after the call is answered.

    Make one for each call and give it to `Tool.run`; ask it once that has returned or raised.
    """

    __slots__ = (
        "_ended",
        "_lock",
        "_started",
        "cancelled",
        "error",
        "grace_seconds",
        "timed_out_after",
        "value",
    )

    def __init__(self, *, grace_seconds: float = CANCEL_GRACE_SECONDS) -> None:
        self.grace_seconds = grace_seconds
        """How long the thread is waited for once it was asked to end."""
        self.cancelled = threading.Event()
        """Set when the call is to end: the function's `ToolContext` shows it."""
        self.value: tuple[object, ...] = ()
        """What the function gave, alone in a tuple: trio takes no bare coroutine from a thread."""
        self.error: BaseException | None = None
        """What it raised."""
        self.timed_out_after: float | None = None
        """Seconds after which the call was given up; None when it was not, or had not begun."""
        self._lock = threading.Lock()
        self._started = False
        self._ended = threading.Event()

    @property
    def has_begun(self) -> bool:
        """The function was called in a thread; always False for an async function."""
        return self._started

    @property
    def goes_on(self) -> bool:
        """The function runs in a thread at this moment; always False for an async function."""
        return self._started and not self._ended.is_set()

    async def wait_ended(self) -> None:
        """Return when the function's thread has ended; at once when none runs."""
        # Not an anyio.Event: a thread that outlives its event loop has nobody to tell.
        while self.goes_on:  # noqa: ASYNC110
            await anyio.sleep(_POLL_SECONDS)

    def begin(self) -> bool:
        """The thread has come to the function: False when it must not call it any more."""
        with self._lock:
            if self.cancelled.is_set():
                return False
            self._started = True
            return True

    def cancel(self) -> None:
        """Ask the function to end; one that has not begun never will."""
        with self._lock:
            self.cancelled.set()

    def end(self) -> None:
        """The function has returned or raised."""
        self._ended.set()


async def run_in_thread(
    function: Callable[[], object], name: str, running: Running, *, limiter: anyio.CapacityLimiter
) -> None:
    """Call a function in a thread. What it raises is raised; `running.value` has what it gave.

    A cancelled call waits for the function for `running.grace_seconds`, and is cancelled all the
    same; what the function gave in that time is in `running`.

    Args:
        function: What to call.
        name: Of the tool, for the log.
        running: Told when the function begins and how it ends.
        limiter: Has the places, one of which it takes for as long as it is waited for.
    """
    started = time.monotonic()

    def work() -> None:
        if not running.begin():
            running.error = CallCancelled()
            return
        try:
            running.value = (function(),)
        except BaseException as error:  # it is raised again where the call is awaited
            running.error = error
        finally:
            running.end()
            if abandoned:
                _say_ended(name, time.monotonic() - started, running.error)

    abandoned: list[bool] = []
    try:
        async with _slot(limiter):
            try:
                # Under a limiter of its own: on trio a thread that goes on keeps its place there
                # until it ends.
                await anyio.to_thread.run_sync(
                    work, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
                )
            except anyio.get_cancelled_exc_class():
                running.cancel()
                with anyio.move_on_after(running.grace_seconds, shield=True):
                    await running.wait_ended()
                raise
    except anyio.get_cancelled_exc_class():
        running.cancel()  # it may not have had a place yet
        if running.goes_on:
            abandoned.append(True)
            _log.warning(
                "%s was cancelled and has not ended after %g s: its thread goes on, and may "
                "still take effect; ask context.check_cancelled() in long loops",
                name,
                running.grace_seconds,
            )
        raise
    if running.error is not None:
        raise running.error


def _say_ended(name: str, seconds: float, error: BaseException | None) -> None:
    how = "returned" if error is None else f"raised {type(error).__name__}"
    _log.warning("the thread of %s that went on has ended: it %s after %.1f s", name, how, seconds)


@asynccontextmanager
async def _slot(limiter: anyio.CapacityLimiter) -> "AsyncIterator[None]":
    """One of the places, given back when nobody waits any more."""
    # Borrowed for an object of its own: one task may run several functions at once by nesting.
    borrower = object()
    await limiter.acquire_on_behalf_of(borrower)
    try:
        yield
    finally:
        limiter.release_on_behalf_of(borrower)
