"""A process goes on with an answer whose calls another one had begun to answer.

What the answer leads to is the same as if nobody had died in between.
"""

import json
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from agentcore import Agent, Local, NotJournalled, OpenRouter, SqliteStore, tool
from agentcore.journal import JournalStore
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    GatewayTransport,
    RecordedRequest,
    Reply,
    ScriptedModel,
    before_value,
    cut,
    stream,
)
from agentcore.testing.mortal_store import MortalStore
from agentcore.tools import write_file
from tests.journal.story import lines_of_text

TEXT = lines_of_text(40)


async def no_wait(seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


async def test_what_never_gets_through_is_asked_of_the_next_endpoint_also_after_a_crash(
    tmp_path: Path,
) -> None:
    """Where the process died in the answer to the last cut, the run stopped instead."""
    model = ScriptedModel(path="plan.md", text=TEXT)

    def respond(request: RecordedRequest) -> Reply:
        answer = stream(model(request.body))
        if request.body["model"] == "two":
            return answer
        return cut(answer, at=before_value("content"), by=RESET)

    def agent(workspace: Path, journal: JournalStore) -> Agent:
        return Agent(
            models=[(name, Local(base_url=f"http://{name}.test/v1")) for name in ("one", "two")],
            tools=[write_file],
            workspace=workspace,
            journal=journal,
            transport=GatewayTransport(respond=respond),
            sleep=no_wait,
        )

    is_killed, dies_at = True, 1
    while is_killed:
        dies_at += 1
        workspace = tmp_path / str(dies_at)
        workspace.mkdir()
        path = workspace / "runs.db"
        mortal = MortalStore(SqliteStore(path), dies_at=dies_at, when="after")
        try:
            await agent(workspace, mortal).run("Write plan.md", run_id="a")
            is_killed = False
        except NotJournalled:
            mortal.close()
        result = await agent(workspace, SqliteStore(path)).run("Write plan.md", run_id="a")
        assert (workspace / "plan.md").read_text() == TEXT, dies_at
        assert {record.model for record in result.attempts} == {"one", "two"}, dies_at
    assert dies_at > 10


async def test_a_long_result_is_not_lost_to_a_cancellation_that_comes_with_it(
    tmp_path: Path,
) -> None:
    """The next process was told that its outcome is unknown."""
    scopes: list[anyio.CancelScope] = []

    @tool
    async def pay() -> str:
        """Pay."""
        scopes[0].cancel()
        return "a receipt\n" * 10_000

    def agent() -> Agent:
        transport = GatewayTransport()
        calls = () if scopes else (Answer(calls=(Call(name="pay", arguments="{}"),)),)
        transport.play(*calls, Answer(text="Paid."))
        return Agent(
            "m",
            adapter=Local(base_url="http://one.test/v1"),
            tools=[pay],
            workspace=tmp_path,
            transport=transport,
        )

    first = agent()
    with anyio.CancelScope() as scope:
        scopes.append(scope)
        await first.run("Pay.", run_id="a")
    result = await agent().run("Pay.", run_id="a")
    (told,) = (one.content for one in result.messages if one.role == "tool")
    assert told.startswith("a receipt")


async def test_whole_arguments_are_asked_for_also_where_a_crash_followed_the_broken_ones(
    tmp_path: Path,
) -> None:
    requests: list[RecordedRequest] = []
    head = json.dumps({"path": "plan.md", "mode": "create", "content": TEXT})[:-2]
    broken = Call(name="write_file", arguments=head + '\\q and on\\n"}', id="c1")

    def respond(request: RecordedRequest) -> Reply:
        requests.append(request)
        return stream(Answer(calls=(broken,)) if len(requests) == 1 else Answer(text="Done."))

    def agent(journal: JournalStore) -> Agent:
        return Agent(
            "anthropic/claude-opus-4.6",
            adapter=OpenRouter(base_url="http://one.test/v1", api_key="k"),
            tools=[write_file],
            workspace=tmp_path,
            journal=journal,
            transport=GatewayTransport(respond=respond),
            sleep=no_wait,
        )

    path = tmp_path / "runs.db"
    # The run, the turn, that the call begins; and no result.
    mortal = MortalStore(SqliteStore(path), dies_at=4)
    with pytest.raises(NotJournalled):
        await agent(mortal).run("Go.", run_id="a")
    mortal.close()
    await agent(SqliteStore(path)).run("Go.", run_id="a")
    assert ["x-anthropic-beta" in request.headers for request in requests] == [True, False]
