"""Sync functions in threads: they are asked to end, and nobody waits for ever."""

import logging
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from agentcore.testing import run_in_virtual_time
from agentcore.threads import current_tool_thread_limiter
from agentcore.tools import Tool, ToolContext, ToolFailed, ToolResult, tool
from agentcore.tools.failures import CallCancelled
from agentcore.tools.running import Running

CONTEXT = ToolContext(workspace=Path("/nowhere"))
SOON = 0.02
"""Seconds: for what must run out."""
LONG = 20.0
"""Seconds: for what must not."""
MAX_THREADS = 40
"""For tools, in one event loop."""


class Gate:
    """A function that hangs until it is let go, and says that it has begun."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def hang(self) -> str:
        self.begun.set()
        assert self.open.wait(LONG)
        return "it took effect"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


async def has_begun(gate: Gate) -> None:
    with anyio.fail_after(LONG):
        await anyio.to_thread.run_sync(gate.begun.wait)


async def ended(running: Running) -> None:
    with anyio.fail_after(LONG):
        await running.wait_ended()


def hanging(gate: Gate, timeout: float | None = None) -> Tool:
    return tool(name="hang", timeout=timeout)(gate.hang)


# --- time limits ----------------------------------------------------------------------------


async def test_an_async_function_is_stopped_after_its_seconds() -> None:
    stopped: list[bool] = []

    @tool(timeout=SOON)
    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(True)

    result = await wait.run({}, CONTEXT)
    assert result.is_error
    assert result.content == (
        "wait was stopped: it took longer than its 0.02 seconds. What it had done until then "
        "stays done: look before you call it again, and ask for less in one call."
    )
    assert stopped == [True]


async def test_a_sync_function_that_goes_on_is_said_to(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(grace_seconds=SOON)
    with caplog.at_level(logging.WARNING, "agentcore"):
        result = await hanging(gate, SOON).run({}, CONTEXT, running)
        assert running.goes_on
        assert running.timed_out_after == SOON
        assert result.is_error
        assert "took longer than its 0.02 seconds" in result.content
        assert "may still take effect" in result.content
        assert "hang was cancelled and has not ended after 0.02 s" in caplog.messages[0]
        gate.open.set()
        await ended(running)
    assert not running.goes_on


async def test_what_ends_while_it_is_waited_for_has_its_result(gate: Gate) -> None:
    @tool(timeout=SOON)
    def polite(context: ToolContext) -> ToolResult:
        while not context.is_cancelled:
            pass
        return ToolResult(content="half of it is written", changed=True)

    running = Running(grace_seconds=LONG)
    result = await polite.run({}, CONTEXT, running)
    assert result == ToolResult(content="half of it is written", changed=True)
    assert not running.goes_on


async def test_what_it_raises_while_it_is_waited_for_is_raised() -> None:
    @tool(timeout=SOON)
    def polite(context: ToolContext) -> None:
        try:
            while True:
                context.check_cancelled()
        except CallCancelled:
            raise ToolFailed("5 of 10 were written") from None

    with pytest.raises(ToolFailed, match="5 of 10"):
        await polite.run({}, CONTEXT, Running(grace_seconds=LONG))


async def test_a_function_that_gives_up_when_asked_has_been_stopped() -> None:
    @tool(timeout=SOON)
    def loop(context: ToolContext) -> None:
        while True:
            try:
                context.check_cancelled()
            except Exception:  # what tools like to catch
                raise AssertionError from None

    running = Running(grace_seconds=LONG)
    result = await loop.run({}, CONTEXT, running)
    assert "stays done" in result.content
    assert not running.goes_on


async def test_a_function_in_time_is_not_disturbed() -> None:
    @tool(timeout=LONG)
    def quick(context: ToolContext) -> bool:
        context.check_cancelled()
        return context.is_cancelled

    assert await quick.run({}, CONTEXT) == ToolResult(content="false")


# --- cancelling -----------------------------------------------------------------------------


async def test_a_cancelled_call_does_not_wait_for_ever(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(grace_seconds=SOON)
    with caplog.at_level(logging.WARNING, "agentcore"):
        with anyio.fail_after(LONG):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hanging(gate).run, {}, CONTEXT, running)
                await has_begun(gate)
                tasks.cancel_scope.cancel()
        assert running.goes_on
        assert running.cancelled.is_set()
        gate.open.set()
        await ended(running)
    assert len(caplog.messages) == 2
    assert "the thread of hang that went on has ended: it returned" in caplog.messages[1]


async def test_a_call_cancelled_before_it_began_never_does(gate: Gate) -> None:
    running = Running()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await hanging(gate).run({}, CONTEXT, running)
    assert scope.cancelled_caught
    assert not running.goes_on
    assert not running.begin()
    assert not gate.begun.is_set()


@pytest.mark.parametrize("is_begun", [True, False])
async def test_a_function_that_gives_up_of_its_own_accord_has_failed(is_begun: bool) -> None:
    """It is no `Exception`: it went through dispatch, and ended the run."""
    running = Running()

    def give_up(context: ToolContext) -> None:
        running.cancel()
        context.check_cancelled()

    if not is_begun:
        running.cancel()
    with pytest.raises(ToolFailed, match="give_up gave up before it was done"):
        await tool(give_up).run({}, CONTEXT, running)


async def test_threads_that_go_on_take_no_place_from_others(gate: Gate) -> None:
    """The limiter of 40 was full of them once, and every further sync tool hung."""
    gates = [Gate() for _ in range(MAX_THREADS + 1)]
    all_running = [Running(grace_seconds=SOON) for _ in gates]
    try:
        for one, running in zip(gates, all_running, strict=True):
            await hanging(one, timeout=SOON).run({}, CONTEXT, running)
            # Under load it may not have begun in time: then it never does.
            assert running.goes_on is one.begun.is_set()
        assert sum(running.goes_on for running in all_running) > MAX_THREADS // 2
        with anyio.fail_after(LONG):
            result = await tool(name="quick")(lambda: "here").run({}, CONTEXT)
        assert result.content == "here"
    finally:
        for one in gates:
            one.open.set()
        for running in all_running:
            await ended(running)


async def test_a_call_that_found_no_thread_has_done_nothing(gate: Gate) -> None:
    current_tool_thread_limiter().total_tokens = 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hanging(gate).run, {}, CONTEXT)
        await has_begun_without_a_thread(gate)
        second, running = Gate(), Running()
        result = await hanging(second, SOON).run({}, CONTEXT, running)
        assert running.timed_out_after is None
        assert result == ToolResult(
            content="hang was not begun within its 0.02 seconds: other calls took all threads. "
            "Nothing of it took effect.",
            is_error=True,
        )
        gate.open.set()
    assert not second.begun.is_set()


async def has_begun_without_a_thread(gate: Gate) -> None:
    with anyio.fail_after(LONG):
        while not gate.begun.is_set():  # noqa: ASYNC110  # a thread sets it
            await anyio.sleep(0.005)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_under_virtual_time_a_function_at_work_is_not_out_of_time(
    backend: Literal["asyncio", "trio"],
) -> None:
    """Virtual time knows of the threads of tools; others would let its clock jump."""

    @tool(timeout=30.0)
    def work() -> str:
        time.sleep(0.1)
        return "done"

    async def main() -> str:
        return (await work.run({}, CONTEXT)).content

    assert run_in_virtual_time(main, backend=backend) == "done"


async def test_no_more_than_forty_run_at_once(gate: Gate) -> None:
    others = 0

    def count() -> str:
        nonlocal others
        others += 1
        return gate.hang()

    async with anyio.create_task_group() as tasks:
        for _ in range(MAX_THREADS + 5):
            tasks.start_soon(tool(count).run, {}, CONTEXT)
        with anyio.fail_after(LONG):
            while others < MAX_THREADS:  # noqa: ASYNC110  # a thread counts
                await anyio.sleep(0.01)
        await anyio.sleep(0.05)
        assert others == MAX_THREADS
        gate.open.set()
    assert others == MAX_THREADS + 5


# --- as before ------------------------------------------------------------------------------

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


async def test_a_thread_knows_the_context_variables_and_the_event_loop() -> None:
    async def later(word: str) -> str:
        await anyio.lowlevel.checkpoint()
        return word * 2

    @tool
    def ask() -> str:
        return anyio.from_thread.run(later, WHO.get())

    WHO.set("Ada")
    assert (await ask.run({}, CONTEXT)).content == "AdaAda"


@pytest.mark.parametrize("error", [StopIteration("x"), SystemExit(3), ValueError("x")])
async def test_what_a_thread_raises_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    # Python lets no StopIteration out of a coroutine.
    expected = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(expected):
        await tool(fail).run({}, CONTEXT)
