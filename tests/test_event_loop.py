import asyncio  # noqa: TID251 - to make a loop with a clock of its own
import time
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from typing_extensions import override

from agentcore.event_loop import apart, awaited, event_loop_clock


async def test_the_clock_is_the_loops_own() -> None:
    clock = event_loop_clock()
    before = anyio.current_time()
    now = clock()
    assert before <= now <= anyio.current_time()


def test_the_clock_of_a_loop_that_leaps_is_that_loops() -> None:
    class Leaping(asyncio.SelectorEventLoop):
        ahead = 0.0

        @override
        def time(self) -> float:
            return super().time() + self.ahead

    async def leap() -> None:
        clock = event_loop_clock()
        Leaping.ahead = 1_000.0
        assert abs(clock() - anyio.current_time()) < 500

    anyio.run(leap, backend="asyncio", backend_options={"loop_factory": Leaping})


async def test_what_work_apart_sets_stays_inside() -> None:
    name = ContextVar("name", default="outside")
    seen: list[str] = []

    async def work() -> None:
        name.set("inside")
        await anyio.lowlevel.checkpoint()
        seen.append(name.get())
        seen.append(await anyio.to_thread.run_sync(name.get))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.lowlevel.checkpoint)
        seen.append(name.get())

    await apart(work())
    assert [*seen, name.get()] == ["inside", "inside", "inside", "outside"]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_work_apart_raises_is_raised(waits: bool) -> None:
    async def work() -> None:
        if waits:
            await anyio.lowlevel.checkpoint()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await apart(work())


async def test_cancelling_reaches_work_apart() -> None:
    said: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep(60)
        finally:
            said.append("closed")

    with anyio.move_on_after(0.5) as scope:
        await apart(work())
    assert scope.cancelled_caught
    assert said == ["closed"]


async def test_work_that_never_waits_is_not_told_to_wait() -> None:
    done = []

    async def work() -> None:
        done.append(1)

    await awaited(work(), on_wait=lambda: pytest.fail("it did not wait"))
    assert done == [1]


async def test_the_first_wait_is_told_once_before_others_run() -> None:
    said: list[str] = []

    async def work() -> None:
        said.append("begun")
        await anyio.sleep(0.01)
        await anyio.sleep(0.01)
        said.append("done")

    async def other() -> None:
        said.append("other")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await awaited(work(), on_wait=lambda: said.append("waits"))
    assert said == ["begun", "waits", "other", "done"]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_the_work_raises_is_raised(waits: bool) -> None:
    async def work() -> None:
        if waits:
            await anyio.lowlevel.checkpoint()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await awaited(work(), on_wait=lambda: None)


async def test_cancelling_reaches_the_work() -> None:
    said: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep(60)
        finally:
            said.append("closed")

    started = time.monotonic()
    with anyio.move_on_after(0.5) as scope:
        await awaited(work(), on_wait=lambda: said.append("waits"))
    assert scope.cancelled_caught
    assert said == ["waits", "closed"]
    assert time.monotonic() - started < 30
