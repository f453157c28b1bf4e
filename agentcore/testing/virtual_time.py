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
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal, TypeVar, TypeVarTuple

import anyio
from typing_extensions import override

from agentcore.threads import thread_limiters

if TYPE_CHECKING:
    import trio.abc

__all__ = ["run_in_virtual_time"]

T = TypeVar("T")
Args = TypeVarTuple("Args")

_PATIENCE_SECONDS = 1.0
"""How long, really, the clock stands still for something that is at work."""
_STUCK_SECONDS = 10.0
"""How long, really, a loop may wait for nothing at all before it is called stuck."""
_STUCK = (
    "virtual time stands still: every task waits for something that neither a deadline nor a "
    "thread, a socket or a process will bring about"
)


def run_in_virtual_time(
    function: Callable[[*Args], Awaitable[T]],
    *args: *Args,
    backend: Literal["asyncio", "trio"] = "asyncio",
) -> T:
    """Like `anyio.run`, on an event loop whose clock jumps. `anyio.current_time()` begins at 0.

    A thread counts as at work when it runs a tool or an approval, under anyio's default limiter or
    in an executor of the loop; of others nothing is known here, and the clock jumps.

    Args:
        function: An async function.
        args: Its positional arguments.
        backend: The event loop's library; trio must be installed to be used.

    Raises:
        RuntimeError: Every task waits for something that nothing will bring about.
    """
    busy = _Busy()

    async def main() -> T:
        busy.limiters = thread_limiters()
        with anyio.CancelScope() as busy.run:
            return await function(*args)
        raise RuntimeError(_STUCK)

    options: dict[str, Any] = {}
    if backend == "asyncio":
        options["loop_factory"] = lambda: _VirtualLoop(_JumpingSelector(busy), busy)
    else:
        options["clock"] = _trio_clock(busy)
    return anyio.run(main, backend=backend, backend_options=options)


class _Busy:
    """Whether something real is at work, and since when."""

    def __init__(self) -> None:
        self.run: anyio.CancelScope | None = None
        self.limiters: tuple[anyio.CapacityLimiter, ...] = ()
        self.executor_jobs = 0
        self.processes: list[asyncio.SubprocessTransport] = []
        self._since: float | None = None

    def give_up(self) -> None:
        """Nothing is at work, and nothing ever will be: end the run, as a cancellation does."""
        if self.run is None or self.run.cancel_called:
            raise RuntimeError(_STUCK)  # not even that helped
        self.run.cancel()

    def patience(self, waits_for_io: bool) -> float | None:
        """How long the clock stands still from now on, in real seconds; None: it may jump."""
        threads = sum(limiter.borrowed_tokens for limiter in self.limiters)
        self.processes = [one for one in self.processes if one.get_returncode() is None]
        if not (threads or self.executor_jobs or self.processes or waits_for_io):
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
            self._busy.give_up()
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
    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if when == math.inf:
            # `sleep_forever` asks for it. Left out, it is no deadline to jump to, a day at a time.
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    @override
    async def subprocess_exec(
        self, *args: Any, **options: Any
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        return self._started(await super().subprocess_exec(*args, **options))

    @override
    async def subprocess_shell(
        self, *args: Any, **options: Any
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        return self._started(await super().subprocess_shell(*args, **options))

    def _started(
        self, process: tuple[asyncio.SubprocessTransport, Any]
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        """A child without pipes is on no selector, and all the same at work."""
        self._busy.processes.append(process[0])
        return process

    @override
    async def shutdown_default_executor(self, *args: Any) -> None:
        self._busy.executor_jobs += 1  # threads that were given up are still at work
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._busy.executor_jobs -= 1

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
            self._stuck_at: float | None = None
            """When, really, the loop is called stuck, if it does nothing until then."""

        @override
        def start_clock(self) -> None:
            pass

        @override
        def current_time(self) -> float:
            real = time.monotonic()
            if self._runs_since is not None:
                self._now += real - self._runs_since
                self._runs_since = real
            # Trio asks after every wait: before its end, something woke it.
            if self._stuck_at is not None and real < self._stuck_at:
                self._stuck_at = None
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
            if deadline < math.inf:
                self._now = max(now, deadline)
                return 0.0
            if self._stuck_at is None:
                # Some systems end a wait a little early.
                self._stuck_at = time.monotonic() + 0.9 * _STUCK_SECONDS
                return _STUCK_SECONDS
            self._stuck_at = None
            busy.give_up()
            return 0.0

    def _waits_for_io() -> bool:
        statistics = trio.lowlevel.current_statistics().io_statistics
        # Trio's own wake-up socket is always waited for.
        reading = getattr(statistics, "tasks_waiting_read", 1)
        return reading > 1 or getattr(statistics, "tasks_waiting_write", 0) > 0

    return JumpingClock()
