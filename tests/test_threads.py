"""What waits for a thread holds up nothing of another kind."""

import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from agentcore import Agent, Local, RunResult, tool
from agentcore.events import DraftKept
from agentcore.testing import (
    FIN,
    Answer,
    Call,
    Gateway,
    RecordedRequest,
    Reply,
    ScriptedModel,
    after_line,
    cut,
    stream,
)
from agentcore.threads import TOOL_THREADS, current_tool_thread_limiter
from agentcore.tools import ApprovalRequest, write_file

SOON = 10.0
"""Seconds, for what must not wait; on a busy machine."""
RUNS = 200
TEXT = "".join(f"Line {number} of the plan.\n" for number in range(60))
WRITER = ScriptedModel(path="plan.md", text=TEXT)


class Slow:
    """What a thread is held by until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()

    def wait(self) -> bool:
        self.begun.release()
        return self.may_end.wait(60)


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.may_end.set()


def respond(request: RecordedRequest) -> Reply:
    """Most runs call `crunch`; one writes a file, and its call is cut."""
    asked = str(request.messages[0]["content"])
    if asked.startswith("crunch"):
        is_answered = request.messages[-1]["role"] == "tool"
        call = Answer(calls=(Call(name="crunch", arguments="{}"),))
        return stream(Answer(text="done") if is_answered else call)
    reply = stream(WRITER(request.body))
    return cut(reply, at=after_line(30), by=FIN) if len(request.messages) == 1 else reply


async def writes_its_file(gateway: Gateway, workspace: Path) -> RunResult:
    kept: list[DraftKept] = []
    agent = Agent(
        "m", adapter=Local(base_url=gateway.base_url), tools=[write_file], workspace=workspace
    )
    with anyio.fail_after(SOON):
        result = await agent.run(
            "Write the plan.",
            on_event=lambda e: kept.append(e) if isinstance(e, DraftKept) else None,
        )
    assert len(kept) == 1
    assert (workspace / "plan.md").read_text() == TEXT
    return result


async def held(slow: Slow, threads: int) -> None:
    with anyio.fail_after(SOON):
        for _ in range(threads):
            while not slow.begun.acquire(blocking=False):  # noqa: ASYNC110 - a thread releases it
                await anyio.sleep(0.01)


async def test_slow_tools_of_many_runs_hold_up_no_draft_and_no_file(
    tmp_path: Path, slow: Slow
) -> None:
    @tool
    def crunch() -> str:
        assert slow.wait()
        return "crunched"

    async with Gateway(respond=respond) as gateway:
        agent = Agent(
            "m", adapter=Local(base_url=gateway.base_url), tools=[crunch], workspace=tmp_path
        )
        results: list[RunResult] = []

        async def crunches(number: int) -> None:
            results.append(await agent.run(f"crunch {number}"))

        async with anyio.create_task_group() as tasks:
            for number in range(RUNS):
                tasks.start_soon(crunches, number)
            await held(slow, TOOL_THREADS)
            await writes_its_file(gateway, tmp_path)
            assert not results
            slow.may_end.set()
    assert [result.text for result in results] == ["done"] * RUNS


async def test_approvals_that_wait_for_a_person_hold_up_nothing(tmp_path: Path, slow: Slow) -> None:
    waiting = 2 * TOOL_THREADS

    @tool(needs_approval=True)
    def crunch() -> str:
        return "crunched"

    def approve(request: ApprovalRequest) -> bool:
        return slow.wait()

    async with Gateway(respond=respond) as gateway:
        agent = Agent(
            "m",
            adapter=Local(base_url=gateway.base_url),
            tools=[crunch],
            workspace=tmp_path,
            approve=approve,
        )
        async with anyio.create_task_group() as tasks:
            for number in range(waiting):
                tasks.start_soon(agent.run, f"crunch {number}")
            await held(slow, waiting)
            await writes_its_file(gateway, tmp_path)
            slow.may_end.set()


async def test_how_many_tools_run_at_once_can_be_said(tmp_path: Path, slow: Slow) -> None:
    current_tool_thread_limiter().total_tokens = 3

    @tool
    def crunch() -> str:
        assert slow.wait()
        return "crunched"

    async with Gateway(respond=respond) as gateway:
        agent = Agent(
            "m", adapter=Local(base_url=gateway.base_url), tools=[crunch], workspace=tmp_path
        )
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(agent.run, f"crunch {number}")
            await held(slow, 3)
            await anyio.sleep(0.1)
            assert not slow.begun.acquire(blocking=False)
            assert current_tool_thread_limiter().borrowed_tokens == 3
            slow.may_end.set()
