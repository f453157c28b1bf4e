"""Calls that processes die in again and again: they are given up, and the run goes on."""

from pathlib import Path

import pytest

from agentcore import Agent, Local, Policy, ToolContext, tool
from agentcore.journal import (
    AttemptEnded,
    CallEnded,
    NewRun,
    Record,
    RunResumed,
    SqliteStore,
    TurnEnded,
)
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, ToolCall, UserMessage
from agentcore.testing import Answer, GatewayTransport

CRASH = RunResumed(after_crash=True)
FIRST = CallEnded(call_id="first", tool="look", content="seen")
TURN: tuple[Record, ...] = (
    AttemptEnded(
        record=AttemptRecord(
            turn=1, attempt=1, provider="local", base_url="", model="m", outcome="complete",
            decision="accept",
        )
    ),
    TurnEnded(
        message=AssistantMessage(
            content="",
            tool_calls=(
                ToolCall(id="first", name="look", arguments="{}"),
                ToolCall(id="second", name="look", arguments="{}"),
            ),
        )
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "is_given_up"),
    [
        ((FIRST, CRASH, CRASH), True),
        ((FIRST, CRASH), False),
        ((CRASH, CRASH, FIRST, CRASH), False),
    ],
    ids=["three in a row", "two", "a result in between"],
)
async def test_a_call_in_which_as_many_processes_die_as_there_are_attempts_is_given_up(
    tmp_path: Path, rows: tuple[Record, ...], is_given_up: bool
) -> None:
    """The last of the processes has not said so yet: whoever goes on knows of its death."""
    store = SqliteStore(tmp_path / "runs.db")
    store.submit(NewRun(id="r", opening=(UserMessage(content="Look."),)))
    store.append("r", store.claim("r").epoch, (*TURN, *rows))
    store.forget()  # as the death of the process does: it stays the owner, without a lock
    called: list[str] = []

    @tool(repeat="safe")
    def look(context: ToolContext) -> str:
        """Look."""
        called.append(context.call_id)
        return "seen"

    transport = GatewayTransport()
    transport.play(Answer(text="Done."))
    agent = Agent(
        "m",
        adapter=Local(base_url="http://gateway.test/v1"),
        tools=[look],
        workspace=tmp_path,
        journal=store,
        policy=Policy(max_attempts=3),
        transport=transport,
    )
    result = await agent.run("Look.", run_id="r")

    assert called == ([] if is_given_up else ["second"])
    assert [m.role for m in result.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    sent = transport.last.messages
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
    assert ("is unknown" in str(sent[-1]["content"])) is is_given_up
