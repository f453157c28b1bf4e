"""What a run knows of itself is in its rows: another process decides as this one would have."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest
from typing_extensions import override

from agentcore import Agent, Local, Policy, RunError, tool
from agentcore.journal import RunResumed, SqliteStore
from agentcore.messages import JsonObject
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    GatewayTransport,
    RecordedRequest,
    Reply,
    after_bytes,
    cut,
    stall,
    status,
    stream,
)
from tests.journal.story import PROMPT, RUN_ID, Story, agent_of, leave_when

pytestmark = pytest.mark.anyio

ESSAY = "".join(
    f"Sentence number {number} of a long answer, which goes on.\n" for number in range(90)
)


def silent(reply: Reply) -> Reply:
    """It never comes."""
    return stall(reply, at=after_bytes(0), seconds=600)


class Essay(Story):
    """One long text, which goes on after what it is told is kept."""

    @override
    def answer(self, body: dict[str, object]) -> Answer:  # type: ignore[override]
        messages = body["messages"]
        assert isinstance(messages, list)
        said = "".join(m["content"] for m in messages if m["role"] == "assistant")
        return Answer(text=ESSAY[len(said) :])


async def left_in_the_middle(workspace: Path, story: Story, number: int, **options: object) -> None:
    """Leave a run in the middle of its answer with this number."""

    async def run() -> None:
        await agent_of(workspace, story, **options).run(PROMPT, run_id=RUN_ID)

    await leave_when(lambda: len(story.requests) == number, run)


async def test_a_long_text_goes_on_in_another_process(tmp_path: Path) -> None:
    first = Essay(text="")
    first.cut = lambda number, reply: (
        cut(reply, at=after_bytes(6_000), by=RESET) if number == 1 else silent(reply)
    )
    await left_in_the_middle(tmp_path, first, 2)
    second = Essay(text="")
    result = await agent_of(tmp_path, second).run(PROMPT, run_id=RUN_ID)
    assert result.text == ESSAY
    assert len(second.requests) == 1


async def test_an_endpoint_that_was_given_up_is_not_asked_again(tmp_path: Path) -> None:
    asked: list[str] = []
    answers = True

    def respond(request: RecordedRequest) -> Reply:
        asked.append(str(request.body["model"]))
        if request.body["model"] == "poor":
            return status(402, body={"error": {"message": "Insufficient credits"}})
        reply = stream(Answer(text="Here."))
        return reply if answers else silent(reply)

    def agent() -> Agent:
        adapters = [Local(base_url=f"http://{name}.test/v1") for name in ("poor", "rich")]
        return Agent(
            models=[("poor", adapters[0]), ("rich", adapters[1])],
            workspace=tmp_path,
            transport=GatewayTransport(respond=respond),
        )

    answers = False

    async def run() -> None:
        await agent().run(PROMPT, run_id=RUN_ID)

    await leave_when(lambda: len(asked) == 2, run)
    assert asked == ["poor", "rich"]
    answers = True
    assert (await agent().run(PROMPT, run_id=RUN_ID)).text == "Here."
    assert asked == ["poor", "rich", "rich"]


async def test_failures_are_counted_across_processes(tmp_path: Path) -> None:
    """Three attempts in all, not three for each process."""
    first = Story(text="x\n")
    first.cut = lambda number, reply: status(503) if number < 3 else silent(reply)
    policy = Policy(max_attempts=4)
    await left_in_the_middle(tmp_path, first, 3, policy=policy)
    second = Story(text="x\n")
    second.cut = lambda number, reply: status(503)
    with pytest.raises(RunError, match="4 attempts without progress"):
        await agent_of(tmp_path, second, policy=policy).run(PROMPT, run_id=RUN_ID)
    assert len(second.requests) == 2


async def test_the_same_failing_call_is_refused_across_processes(tmp_path: Path) -> None:
    called: list[int] = []

    @tool
    def divide(by: int) -> str:
        """Divide."""
        called.append(by)
        return str(1 // by)

    class Stubborn(Story):
        @override
        def answer(self, body: object) -> Answer:
            number = len(self.requests)
            return Answer(calls=(Call(name="divide", arguments='{"by": 0}', id=f"c{number}"),))

    first = Stubborn(text="")
    first.cut = lambda number, reply: silent(reply) if number == 3 else reply
    await left_in_the_middle(tmp_path, first, 3, tools=[divide])
    assert len(called) == 2
    with pytest.raises(RunError, match="same failing call of divide 4 times"):
        await agent_of(tmp_path, Stubborn(text=""), tools=[divide]).run(PROMPT, run_id=RUN_ID)
    assert len(called) == 2


async def test_a_call_in_which_processes_die_again_and_again_is_given_up(tmp_path: Path) -> None:
    called: list[str] = []

    @tool(repeat="safe")
    async def crash() -> str:
        """Take the process with it."""
        called.append("")
        await anyio.sleep(600)
        return ""

    class Calling(Story):
        @override
        def answer(self, body: dict[str, object]) -> Answer:  # type: ignore[override]
            messages = body["messages"]
            assert isinstance(messages, list)
            if messages[-1]["role"] == "tool":
                return Answer(text=messages[-1]["content"])
            return Answer(calls=(Call(name="crash", arguments="{}", id="c"),))

    said: list[str] = []

    async def run() -> None:
        agent = agent_of(tmp_path, Calling(text=""), tools=[crash], policy=Policy(max_attempts=2))
        said.append((await agent.run(PROMPT, run_id=RUN_ID)).text)

    for deaths in range(2):
        await leave_when(partial(was_called, called, deaths + 1), run)
        dies(tmp_path)
    await run()
    assert "is unknown" in said[0]
    assert len(called) == 2


def was_called(called: list[str], times: int) -> bool:
    return len(called) == times


def dies(workspace: Path) -> None:
    """Write what a process leaves behind that is killed now: its name as the run's owner."""
    store = SqliteStore(workspace / ".agentcore" / "runs.db")
    with store._writes() as connection:
        connection.execute("UPDATE run SET owner = 'dead'")
    store.close()


async def test_rows_say_who_went_on_and_why(tmp_path: Path) -> None:
    first = Story(text="x\n")
    first.cut = lambda number, reply: silent(reply)
    await left_in_the_middle(tmp_path, first, 1)
    dies(tmp_path)
    await agent_of(tmp_path, Story(text="x\n")).run(PROMPT, run_id=RUN_ID)
    rows = SqliteStore(tmp_path / ".agentcore" / "runs.db").rows(RUN_ID)
    assert rows[0].record == RunResumed(after_crash=True)
    assert json.loads(json.dumps([row.seq for row in rows])) == list(range(1, len(rows) + 1))


class Remembering(Local):
    """Returns structured reasoning to the endpoint that gave it."""

    capabilities = replace(Local.capabilities, reasoning_details=True)


@pytest.mark.parametrize("model", ["some-model", "other-model"])
async def test_what_another_model_thought_is_not_sent_to_this_one(
    tmp_path: Path, model: str
) -> None:
    thought: JsonObject = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "index": 0}

    class Thinking(Story):
        @override
        def answer(self, body: object) -> Answer:
            if len(self.requests) > 1:
                return Answer(text="Done.")
            look = Call(name="look_up", arguments='{"name": "bob"}', id="look")
            return Answer(reasoning_details=(thought,), calls=(look,))

    adapter = Remembering(base_url="http://gateway.test/v1")
    first = Thinking(text="")
    first.cut = lambda number, reply: silent(reply) if number == 2 else reply
    agent = agent_of(tmp_path, first)
    agent.adapter = adapter

    async def run() -> None:
        await agent.run(PROMPT, run_id=RUN_ID)

    await leave_when(lambda: len(first.requests) == 2, run)
    second = Thinking(text="", requests=[first.requests[0]])
    agent = agent_of(tmp_path, second)
    agent.adapter, agent.model = adapter, model
    await agent.run(PROMPT, run_id=RUN_ID)
    messages = second.requests[-1].body["messages"]
    assert isinstance(messages, list)
    assert isinstance(messages[1], dict)
    assert ("reasoning_details" in messages[1]) is (model == "some-model")
