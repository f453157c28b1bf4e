"""What was found by trying to break named runs, as users would write them."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from agentcore import (
    Agent,
    JournalEvent,
    Local,
    NotJournalled,
    RunError,
    RunResult,
    SqliteStore,
    ToolContext,
    dump_messages,
    load_messages,
    tool,
)
from agentcore.messages import UserMessage
from agentcore.testing import Answer, Call, GatewayTransport, Reply, status
from agentcore.tools.base import Tool


def agent_of(
    workspace: Path, *answers: Answer | Reply, tools: Sequence[Tool] = (), **options: Any
) -> Agent:
    """An agent whose endpoint says these answers, in a process of its own as it were."""
    transport = GatewayTransport()
    transport.play(*answers)
    settings: dict[str, Any] = {"adapter": Local(base_url="http://endpoint.test/v1"), **options}
    return Agent("some-model", tools=tools, workspace=workspace, transport=transport, **settings)


def told_by_tools(result: RunResult) -> list[str]:
    return [message.content for message in result.messages if message.role == "tool"]


DONE = Answer(text="Done.")


# --- half of a character, which has no UTF-8 ------------------------------------------------


async def test_half_of_a_character_is_written_down_as_another_one(tmp_path: Path) -> None:
    @tool(writes="name")
    def note(name: str) -> str:
        """Note a name."""
        return name

    refused = status(429, b'{"error": {"message": "slow \\ud800 down"}}', {"retry-after": "0"})
    call = Answer(calls=(Call(name="note", arguments='{"name": "a\\ud800"}'),))
    agent = agent_of(tmp_path, refused, call, DONE, tools=[note], system="x\ud800")
    asked = [UserMessage(content="y\ud800")]
    result = await agent.run(messages=asked, run_id="r")
    assert told_by_tools(result) == ["a\ufffd"]
    assert (await agent.run(messages=asked, run_id="r")).messages == result.messages
    assert load_messages(dump_messages(asked)) == (UserMessage(content="y\ufffd"),)


# --- whoever has let go ---------------------------------------------------------------------


async def test_a_thread_that_outlives_its_run_begins_nothing(tmp_path: Path) -> None:
    """The end stays the last row: one behind it would have the run go on although it has ended."""
    begins, ended = threading.Event(), threading.Event()
    effects: list[str] = []

    @tool(begins_itself=True)
    def publish(context: ToolContext) -> None:
        """Publish something, after long work that does not ask whether it is to end."""
        begins.wait(10)
        try:
            context.begin({})
            effects.append("published")
        finally:
            ended.set()

    agent = agent_of(
        tmp_path, Answer(calls=(Call(name="publish", arguments="{}"),)), tools=[publish]
    )

    async def cancel() -> None:
        async for event in agent.get_run("r").events():
            if isinstance(event, JournalEvent) and event.record.kind == "turn":
                await agent.cancel("r", "enough")

    async with anyio.create_task_group() as tasks:
        await agent.submit("Go.", run_id="r")
        tasks.start_soon(cancel)
        with pytest.raises(RunError, match="enough"):
            await agent.run("Go.", run_id="r")
    begins.set()
    await anyio.to_thread.run_sync(ended.wait, 10)
    assert effects == []
    assert (await agent.get_run("r").info()).state == "cancelled"
    with pytest.raises(RunError, match="enough"):
        await agent.run("Go.", run_id="r")


async def test_a_journal_that_cannot_be_written_is_told_as_that(tmp_path: Path) -> None:
    """Giving the run up fails for the same reason, and must not be what is told."""
    store = SqliteStore(tmp_path / "runs.db", busy_seconds=0.1)
    other = sqlite3.connect(tmp_path / "runs.db", isolation_level=None, check_same_thread=False)

    @tool(repeat="safe")
    async def hold() -> str:
        """Have another program hold the file."""
        other.execute("BEGIN IMMEDIATE")
        return "held"

    call = Answer(calls=(Call(name="hold", arguments="{}"),))
    with pytest.raises(NotJournalled, match="another program holds it"):
        await agent_of(tmp_path, call, tools=[hold], journal=store).run("Go.", run_id="r")
    other.execute("ROLLBACK")
    hold_no_more = tool(name="hold", repeat="safe")(lambda: "free")
    agent = agent_of(tmp_path, DONE, tools=[hold_no_more], journal=store)
    assert told_by_tools(await agent.run("Go.", run_id="r")) == ["free"]
    other.close()
