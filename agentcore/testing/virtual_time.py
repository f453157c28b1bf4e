"""Time that jumps: minutes of waiting pass at once, and exactly.

An event loop under virtual time never sleeps. When every task waits, its clock jumps to the next
deadline. While a worker thread, a socket or a child process is at work the clock stands still, so
that nothing times out only because a file was being written; after a second of that it runs as
outside, so that what hangs still meets its deadline.
"""

# The one place where the event loop itself is replaced.
import asyncio  # noqa: TID251
import math
import selectors
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Literal, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from typing_extensions import override

if TYPE_CHECKING:
    import trio.abc

__all__ = ["run_in_virtual_time"]

T = TypeVar("T")
Args = TypeVarTuple("Args")

_PATIENCE_SECONDS = 1.0
"""How long, really, the clock stands still for something that is at work."""
_STUCK_SECONDS = 10.0
"""How long, really, a loop may wait for nothing at all before it is called stuck."""


def run_in_virtual_time(
    function: Callable[[*Args], Awaitable[T]],
    *args: *Args,
    backend: Literal["asyncio", "trio"] = "asyncio",
) -> T:
    """Like `anyio.run`, on an event loop whose clock jumps. `anyio.current_time()` begins at 0.

    Args:
        function: An async function.
        args: Its positional arguments.
        backend: The event loop's library; trio must be installed to be used.

    Raises:
        RuntimeError: Every task waits for something that nothing will bring about.
    """
    busy = _Busy()

    async def main() -> T:
        busy.limiter = anyio.to_thread.current_default_thread_limiter()
        return await function(*args)

    options: dict[str, Any] = {}
    if backend == "asyncio":
        options["loop_factory"] = lambda: _VirtualLoop(_JumpingSelector(busy), busy)
    else:
        options["clock"] = _trio_clock(busy)
    return anyio.run(main, backend=backend, backend_options=options)


class _Busy:
    """Whether something real is at work, and since when."""

    def __init__(self) -> None:
        self.limiter: anyio.CapacityLimiter | None = None
        self.executor_jobs = 0
        self._since: float | None = None

    def patience(self, waits_for_io: bool) -> float | None:
        """How long the clock stands still from now on, in real seconds; None: it may jump."""
        threads = self.limiter.borrowed_tokens if self.limiter is not None else 0
        if not (threads or self.executor_jobs or waits_for_io):
            self._since = None
            return None
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return max(0.0, self._since + _PATIENCE_SECONDS - now)


class _JumpingSelector(selectors.DefaultSelector):
    """Waits only for what is real; any other wait moves the clock instead."""

    def __init__(self, busy: _Busy) -> None:
        super().__init__()
        self.now = 0.0
        self._busy = busy

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        # The loop's own wake-up socket is always registered.
        patience = self._busy.patience(waits_for_io=len(self.get_map()) > 1)
        if patience is not None:
            return self._wait(timeout, patience)
        if timeout is not None:
            self.now += timeout
            return ready
        ready = super().select(_STUCK_SECONDS)
        if not ready:
            raise RuntimeError(
                "virtual time stands still: every task waits for something that neither a "
                "deadline nor a thread, a socket or a process will bring about"
            )
        return ready

    def _wait(
        self, timeout: float | None, patience: float
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for something real: first while the clock stands still, then while it runs."""
        ready = super().select(patience)
        if ready:
            return ready
        started = time.monotonic()
        ready = super().select(timeout)
        self.now += time.monotonic() - started
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, selector: _JumpingSelector, busy: _Busy) -> None:
        self._jumping = selector
        self._busy = busy
        super().__init__(selector)

    @override
    def time(self) -> float:
        return self._jumping.now

    @override
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args
    ) -> "asyncio.Future[T]":
        future = super().run_in_executor(executor, func, *args)
        self._busy.executor_jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _: object) -> None:
        self._busy.executor_jobs -= 1


def _trio_clock(busy: _Busy) -> "trio.abc.Clock":
    import trio.abc
    import trio.lowlevel

    class JumpingClock(trio.abc.Clock):
        def __init__(self) -> None:
            self._now = 0.0
            self._runs_since: float | None = None
            """Since when the clock runs as outside; None while it stands still or jumps."""

        @override
        def start_clock(self) -> None:
            pass

        @override
        def current_time(self) -> float:
            if self._runs_since is not None:
                real = time.monotonic()
                self._now += real - self._runs_since
                self._runs_since = real
            return self._now

        @override
        def deadline_to_sleep_time(self, deadline: float) -> float:
            """Trio asks when no task can run: the moment to jump."""
            now = self.current_time()
            patience = busy.patience(_waits_for_io())
            if patience:
                self._runs_since = None
                return patience
            if patience is not None:
                self._runs_since = time.monotonic()
                return deadline - now
            self._runs_since = None
            if deadline == math.inf:
                return deadline
            self._now = max(now, deadline)
            return 0.0

    def _waits_for_io() -> bool:
        statistics = trio.lowlevel.current_statistics().io_statistics
        # Trio's own wake-up socket is always waited for.
        reading = getattr(statistics, "tasks_waiting_read", 1)
        return reading > 1 or getattr(statistics, "tasks_waiting_write", 0) > 0

    return JumpingClock()
