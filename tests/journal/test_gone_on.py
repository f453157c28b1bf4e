"""A run that ended is gone on with: what led to its end is not held against what comes."""

from pathlib import Path

import anyio.lowlevel
import pytest

from agentcore import Agent, Local, RunError, Tool, ToolFailed, tool
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    GatewayTransport,
    RecordedRequest,
    Reply,
    ScriptedModel,
    after_arguments,
    cut,
    stream,
)
from agentcore.tools import write_file
from tests.journal.story import lines_of_text

URL = "http://gateway.test/v1"


class Door:
    """A tool that fails until somebody opens the door."""

    def __init__(self) -> None:
        self.is_open = False
        self.calls = 0

    @property
    def tool(self) -> Tool:
        @tool(name="enter")
        def enter() -> str:
            """Go in."""
            self.calls += 1
            if not self.is_open:
                raise ToolFailed("The door is closed.")
            return "You are in."

        return enter


def goes_in(request: RecordedRequest) -> Answer:
    """Calls the tool again and again, whatever it is told, until it is in."""
    messages = request.body["messages"]
    assert isinstance(messages, list)
    if "You are in." in str(messages[-1]):
        return Answer(text="I am in.")
    return Answer(calls=(Call(name="enter", arguments="{}", id=f"enter{len(messages)}"),))


async def test_a_call_that_ended_the_run_is_made_again_when_a_person_goes_on(
    tmp_path: Path,
) -> None:
    """It was refused without being made, and ended the run once more."""
    door = Door()

    def agent() -> Agent:
        return Agent(
            "m",
            adapter=Local(base_url=URL),
            tools=[door.tool],
            workspace=tmp_path,
            transport=GatewayTransport(respond=goes_in),
        )

    with pytest.raises(RunError, match="the same failing call of enter 4 times"):
        await agent().run("Go in.", run_id="a")
    calls = door.calls
    door.is_open = True
    result = await agent().resume("a")
    assert (result.text, door.calls - calls) == ("I am in.", 1)


async def test_cuts_that_ended_the_run_are_counted_from_one_again(tmp_path: Path) -> None:
    """The first cut after that ended the run once more."""
    text = lines_of_text(60)
    model = ScriptedModel(path="plan.md", text=text)
    is_cut = [True] * 100

    def respond(request: RecordedRequest) -> Reply:
        reply = stream(model(request.body))
        if not is_cut or not is_cut.pop():
            return reply
        try:
            return cut(reply, at=after_arguments(30), by=RESET)
        except ValueError:
            return reply  # it has no arguments

    def agent() -> Agent:
        async def no_wait(seconds: float) -> None:
            await anyio.lowlevel.checkpoint()

        return Agent(
            "m",
            adapter=Local(base_url=URL),
            tools=[write_file],
            workspace=tmp_path,
            transport=GatewayTransport(respond=respond),
            sleep=no_wait,
        )

    with pytest.raises(RunError, match="cuts in a row in write_file"):
        await agent().run("Write plan.md.", run_id="a")
    is_cut[:] = [True] * 2  # the attempts of one turn
    result = await agent().resume("a")
    assert result.text.startswith("plan.md is written")
    assert (tmp_path / "plan.md").read_text() == text
