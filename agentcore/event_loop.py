"""What is asked of the event loop for every delta or call, and must cost next to nothing."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any

import anyio
from anyio.lowlevel import current_token

__all__ = ["apart", "awaited", "event_loop_clock"]


def event_loop_clock() -> Callable[[], float]:
    """The clock of `anyio.current_time`, as a plain function for the loop that runs now.

    asyncio's clock is `time.monotonic`, which costs 0.1 µs; asking anyio for it costs 0.6. Loops
    that stand in for asyncio's have clocks of their own, also such as begin like `time.monotonic`
    and then leap.
    """
    token = current_token()
    # Before anyio 4.11 the token is the loop itself. Trio's has no clock.
    clock = getattr(getattr(token, "native_token", token), "time", None)
    if clock is None:
        return anyio.current_time
    is_asyncios = getattr(clock, "__module__", None) == "asyncio.base_events"
    return time.monotonic if is_asyncios else clock


def apart(work: Coroutine[Any, Any, None]) -> Awaitable[None]:
    """Await `work` in a copy of the context: what it sets stays inside, as in a task of its own."""
    context = copy_context()
    return _driven(
        lambda answer: context.run(work.send, answer),
        lambda error: context.run(work.throw, error),
        on_wait=lambda: None,
    )


def awaited(work: Coroutine[Any, Any, None], *, on_wait: Callable[[], None]) -> Awaitable[None]:
    """Await `work`, and call `on_wait` once if it has to wait: when it first gives way to others.

    A listener that only draws never does. So what has to be done for one that waits, such as to
    stop a clock (3 µs on asyncio, as much to start it again), is not done for every delta.
    """
    return _driven(work.send, work.throw, on_wait=on_wait)


@coroutine
def _driven(
    send: Callable[[Any], Any],
    throw: Callable[[BaseException], Any],
    *,
    on_wait: Callable[[], None],
) -> Generator[Any, Any, None]:
    """What `await` does with a coroutine, by these methods of it."""
    try:
        signal = send(None)
        on_wait()
        while True:
            try:
                answer = yield signal
            except BaseException as error:
                signal = throw(error)
            else:
                signal = send(answer)
    except StopIteration:
        return
