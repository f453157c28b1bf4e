"""Time that jumps: exact, at once, and never past what is really at work."""

# What it replaces is the event loop of asyncio itself.
import asyncio  # noqa: TID251
import math
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from subprocess import DEVNULL
from typing import Literal, TypeAlias

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcore.testing import run_in_virtual_time

Backend: TypeAlias = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
AT_WORK_SECONDS = 0.05


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return "trio" if request.param == "trio" else "asyncio"


# --- time that jumps ------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 0.001, 3_600.0, 86_400.0 * 30])
def test_a_wait_takes_exactly_so_long_and_no_real_time(backend: Backend, seconds: float) -> None:
    async def main() -> float:
        await anyio.sleep(seconds)
        return anyio.current_time()

    started = time.monotonic()
    assert run_in_virtual_time(main, backend=backend) == seconds
    assert time.monotonic() - started < 10.0


def test_time_begins_at_zero_in_every_run(backend: Backend) -> None:
    async def main() -> float:
        now = anyio.current_time()
        await anyio.sleep(5.0)
        return now

    for _ in range(2):
        assert run_in_virtual_time(main, backend=backend) == 0.0


def test_a_deadline_is_met_exactly(backend: Backend) -> None:
    async def main() -> tuple[bool, float, float]:
        with anyio.move_on_after(10.0) as scope:
            await anyio.sleep(60.0)
        given_up = anyio.current_time()
        with pytest.raises(TimeoutError), anyio.fail_after(5.0):
            await anyio.Event().wait()
        return scope.cancelled_caught, given_up, anyio.current_time()

    assert run_in_virtual_time(main, backend=backend) == (True, 10.0, 15.0)


def test_work_that_ends_before_its_deadline_is_not_cut(backend: Backend) -> None:
    async def main() -> bool:
        with anyio.move_on_after(60.0) as scope:
            await anyio.sleep(10.0)
        return scope.cancelled_caught

    assert run_in_virtual_time(main, backend=backend) is False


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=25)
@given(st.lists(st.integers(0, 10**6), unique=True, max_size=8))
def test_waits_end_in_the_order_of_their_deadlines(backend: Backend, waits: list[int]) -> None:
    async def main() -> list[tuple[int, float]]:
        ended: list[tuple[int, float]] = []

        async def wait(seconds: int) -> None:
            await anyio.sleep(seconds)
            ended.append((seconds, anyio.current_time()))

        async with anyio.create_task_group() as tasks:
            for seconds in waits:
                tasks.start_soon(wait, seconds)
        return ended

    assert run_in_virtual_time(main, backend=backend) == [(s, s) for s in sorted(waits)]


# --- like anyio.run -------------------------------------------------------------------------


def test_arguments_go_in_and_the_result_comes_out(backend: Backend) -> None:
    async def main(one: int, other: str) -> tuple[int, str]:
        return one, other

    assert run_in_virtual_time(main, 1, "two", backend=backend) == (1, "two")


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_is_raised_passes_through(backend: Backend, error: BaseException) -> None:
    async def main() -> None:
        await anyio.sleep(1.0)
        raise error

    with pytest.raises(type(error)) as caught:
        run_in_virtual_time(main, backend=backend)
    assert caught.value is error


# --- what is really at work -----------------------------------------------------------------


async def in_a_thread() -> None:
    await anyio.to_thread.run_sync(time.sleep, AT_WORK_SECONDS)


async def in_an_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, AT_WORK_SECONDS)


async def asyncio_to_thread() -> None:
    await asyncio.to_thread(time.sleep, AT_WORK_SECONDS)


async def on_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        timer = threading.Timer(AT_WORK_SECONDS, theirs.send, [b"x"])
        timer.start()
        await anyio.wait_readable(ours)
        timer.join()


PROGRAM = [sys.executable, "-S", "-c", "print('done')"]


async def in_a_process() -> None:
    assert (await anyio.run_process(PROGRAM)).stdout.strip() == b"done"


async def in_a_process_without_pipes() -> None:
    await anyio.run_process(PROGRAM, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)


async def in_a_shell_without_pipes() -> None:
    await anyio.run_process("sleep 0.05", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)


@pytest.mark.parametrize(
    ("work", "backends"),
    [
        (in_a_thread, BACKENDS),
        (on_a_socket, BACKENDS),
        (in_a_process, BACKENDS),
        (in_a_process_without_pipes, BACKENDS),
        (in_a_shell_without_pipes, BACKENDS),
        (in_an_executor, ("asyncio",)),
        (asyncio_to_thread, ("asyncio",)),
    ],
)
def test_the_clock_stands_still_while_something_is_at_work(
    work: Callable[[], Awaitable[None]], backends: tuple[Backend, ...]
) -> None:
    async def main() -> list[tuple[str, float]]:
        ended: list[tuple[str, float]] = []

        async def sleep() -> None:
            await anyio.sleep(0.01)
            ended.append(("sleep", anyio.current_time()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleep)
            with anyio.fail_after(0.02):
                await work()
            ended.append(("work", anyio.current_time()))
        return ended

    for backend in backends:
        assert run_in_virtual_time(main, backend=backend) == [("work", 0.0), ("sleep", 0.01)]


def test_after_the_work_the_clock_jumps_again(backend: Backend) -> None:
    async def main() -> float:
        for _ in range(3):
            await in_a_thread()
            await anyio.sleep(1_000.0)
        return anyio.current_time()

    started = time.monotonic()
    assert run_in_virtual_time(main, backend=backend) == 3_000.0
    assert time.monotonic() - started < 10.0


def test_what_hangs_in_a_thread_meets_its_deadline(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = 0.2
    monkeypatch.setattr("agentcore.testing.virtual_time._PATIENCE_SECONDS", patience)
    may_end = threading.Event()
    hang = partial(may_end.wait, 30.0)

    async def main() -> tuple[bool, float]:
        with anyio.move_on_after(0.1) as scope:
            await anyio.to_thread.run_sync(hang, abandon_on_cancel=True)
        was_cut, now = scope.cancelled_caught, anyio.current_time()
        may_end.set()
        return was_cut, now

    started = time.monotonic()
    was_cut, now = run_in_virtual_time(main, backend=backend)
    assert was_cut
    assert 0.1 <= now < 10.0
    assert patience + 0.1 <= time.monotonic() - started < 10.0


def test_a_socket_on_which_nothing_comes_meets_its_deadline(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentcore.testing.virtual_time._PATIENCE_SECONDS", 0.05)

    async def main() -> bool:
        ours, theirs = socket.socketpair()
        with ours, theirs, anyio.move_on_after(0.05) as scope:
            await anyio.wait_readable(ours)
        return scope.cancelled_caught

    assert run_in_virtual_time(main, backend=backend)


# --- a loop that is stuck -------------------------------------------------------------------


async def for_an_event() -> None:
    await anyio.Event().wait()


async def for_a_lock() -> None:
    lock = anyio.Lock()
    async with lock, anyio.create_task_group() as tasks:
        tasks.start_soon(lock.acquire)


async def for_no_deadline_at_all() -> None:
    with anyio.CancelScope(deadline=math.inf):
        await anyio.Event().wait()


@pytest.mark.parametrize(
    "wait", [for_an_event, for_a_lock, for_no_deadline_at_all, anyio.sleep_forever]
)
def test_a_loop_that_waits_for_nothing_is_called_stuck(
    backend: Backend, wait: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentcore.testing.virtual_time._STUCK_SECONDS", 0.1)
    cleaned: list[float] = []

    async def main() -> None:
        await anyio.sleep(5.0)
        try:
            await wait()
        finally:
            cleaned.append(anyio.current_time())

    with pytest.raises(RuntimeError, match="virtual time stands still: every task waits"):
        run_in_virtual_time(main, backend=backend)
    assert cleaned == [5.0]


def test_even_what_shields_itself_is_called_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentcore.testing.virtual_time._STUCK_SECONDS", 0.05)

    async def main() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.Event().wait()

    # Trio gives up too, and says so in an internal error that it cannot clean up after.
    with pytest.raises(RuntimeError, match="virtual time stands still"):
        run_in_virtual_time(main)


def test_a_thread_of_ones_own_may_still_wake_a_loop(backend: Backend) -> None:
    async def main() -> float:
        event = anyio.Event()
        token = anyio.lowlevel.current_token()
        wake = partial(anyio.from_thread.run_sync, event.set, token=token)
        thread = threading.Timer(AT_WORK_SECONDS, wake)
        thread.start()
        await event.wait()
        thread.join()
        return anyio.current_time()

    assert run_in_virtual_time(main, backend=backend) == 0.0


def test_a_job_that_was_given_up_is_no_stuck_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentcore.testing.virtual_time._STUCK_SECONDS", 0.05)

    async def main() -> str:
        job = asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.3)
        job.cancel()
        return "done"

    assert run_in_virtual_time(main) == "done"
