"""What was found by trying to break named runs, as users would write them."""

import fcntl
import json
import re
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import pytest
from typing_extensions import override

from agentcore import (
    NOT_DONE,
    Agent,
    ApprovalRequest,
    Approved,
    Begun,
    JournalEvent,
    Local,
    NotJournalled,
    RunError,
    RunEvent,
    RunResult,
    SqliteStore,
    ToolContext,
    dump_messages,
    load_messages,
    tool,
)
from agentcore.events import ToolStarted
from agentcore.journal import Noted, RunEnded, Stored, StoredRun
from agentcore.journal.owners import Owner, is_alive
from agentcore.messages import JsonObject, UserMessage
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    GatewayTransport,
    RecordedRequest,
    Reply,
    after_line,
    cut,
    status,
    stream,
)
from agentcore.tools import write_file
from agentcore.tools.base import FunctionTool, Tool
from tests.journal.story import PicturingStore


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


# --- calls that a process left in the middle ------------------------------------------------


async def left_in_the_middle(agent: Agent, run_id: str = "r") -> None:
    """Run until the process would be stopped: in the middle of calls that do not end."""
    with anyio.move_on_after(1.0) as scope:
        await agent.run("Go.", run_id=run_id)
    assert scope.cancelled_caught


def hanging(calls: list[Any]) -> FunctionTool[..., Any]:
    """A tool that notes what it pays, and never says so the first time."""

    @tool(needs_approval=True)
    async def pay(cents: int) -> str:
        """Pay."""
        calls.append(cents)
        if len(calls) == 1:
            await anyio.sleep_forever()
        return f"{cents} cents are paid"

    return pay


PAY = Answer(calls=(Call(name="pay", arguments='{"cents": 5000}', id="c1"),))


def only_five(request: ApprovalRequest) -> Approved:
    return Approved(arguments={"cents": 5})


async def test_what_a_person_approved_is_what_is_made_also_after_a_crash(tmp_path: Path) -> None:
    paid: list[int] = []
    asked: list[Mapping[str, Any]] = []
    pay = hanging(paid)

    @pay.settled
    def not_paid(key: str, arguments: Mapping[str, Any], begun: Begun) -> object:
        asked.append(arguments)
        return NOT_DONE

    await left_in_the_middle(agent_of(tmp_path, PAY, tools=[pay], approve=only_five))
    agent = agent_of(tmp_path, DONE, tools=[pay], approve=lambda _: "it was asked for once")
    told = told_by_tools(await agent.run("Go.", run_id="r"))
    assert (paid, asked) == ([5, 5], [{"cents": 5}])
    assert told == ["5 cents are paid\nThe user changed cents of this call."]


async def test_of_a_begun_call_nobody_says_that_it_was_not_made(tmp_path: Path) -> None:
    """Its tool is gone, or takes other arguments now: the model would make the call once more."""
    await left_in_the_middle(agent_of(tmp_path, PAY, tools=[hanging([])], approve=only_five))

    @tool(name="pay")
    async def pay_otherwise(amount: float) -> str:
        """Pay."""
        return "paid"

    gone = agent_of(tmp_path, DONE)
    await gone.fork("r", "other")
    changed = agent_of(tmp_path, DONE, tools=[pay_otherwise])
    for told in (
        told_by_tools(await gone.run("Go.", run_id="r")),
        told_by_tools(await changed.resume("other")),
    ):
        assert len(told) == 1
        assert "Whether it took effect is unknown" in told[0]


async def test_a_changed_tool_may_know_what_came_of_a_call(tmp_path: Path) -> None:
    await left_in_the_middle(agent_of(tmp_path, PAY, tools=[hanging([])], approve=only_five))

    def told_with(answer: object) -> Agent:
        @tool(name="pay")
        async def pay_otherwise(amount: float) -> str:
            """Pay."""
            raise AssertionError("it is not called")

        pay_otherwise.settled(lambda key, arguments, begun: answer)
        return agent_of(tmp_path, DONE, tools=[pay_otherwise])

    agent = told_with("5 cents were paid")
    await agent.fork("r", "other")
    assert told_by_tools(await agent.run("Go.", run_id="r")) == ["5 cents were paid"]
    (told,) = told_by_tools(await told_with(NOT_DONE).resume("other"))
    assert "so it was not run" in told


async def test_a_call_that_went_on_from_a_draft_and_was_not_recorded_is_known_to_be_made(
    tmp_path: Path,
) -> None:
    """The draft is gone, and the call cannot be made again: the file tells what came of it."""
    text = "".join(f"{number}. A step of the plan.\n" for number in range(1, 101))
    workspace, album = tmp_path / "work", tmp_path / "album"
    workspace.mkdir()
    album.mkdir()
    (workspace / "plan.md").write_text("Not written by this run.\n")

    def respond(request: RecordedRequest) -> Reply:
        last = str(request.messages[-1]["content"])
        fields: dict[str, Any] = {"path": "plan.md", "mode": "overwrite", "content": text}
        if resume := re.search(r'resume="(\w+)"', last):
            fields |= {"resume": resume[1], "content": text[text.index("61. ") :]}
        elif len(request.messages) > 1:
            return stream(DONE)
        call = Call(name="write_file", arguments=json.dumps(fields))
        reply = stream(Answer(calls=(call,)))
        return reply if resume else cut(reply, at=after_line(60), by=RESET)

    def agent(workspace: Path, **options: Any) -> Agent:
        return Agent(
            "some-model",
            adapter=Local(base_url="http://endpoint.test/v1"),
            tools=[write_file],
            workspace=workspace,
            transport=GatewayTransport(respond=respond),
            **options,
        )

    store = PicturingStore(workspace / ".agentcore" / "runs.db", album)
    whole = await agent(workspace, journal=store).run("Go.", run_id="r")
    *_, picture = [one for one in store.pictures if one.when == "before result"]
    assert not (picture.folder / ".agentcore" / "drafts").exists()
    again = await agent(picture.folder).run("Go.", run_id="r")
    assert (again.drafts, told_by_tools(again)) == ((), told_by_tools(whole))
    assert (picture.folder / "plan.md").read_text() == text


async def test_what_only_the_first_endpoint_can_read_is_not_sent_to_the_next_after_a_crash(
    tmp_path: Path,
) -> None:
    sent: list[RecordedRequest] = []

    def respond(request: RecordedRequest) -> Answer | Reply:
        sent.append(request)
        if request.body["model"] == "second":
            answers_before = sum(one.body["model"] == "second" for one in sent)
            hang = Call(name="hang", arguments="{}", id="c2")
            return Answer(calls=(hang,)) if answers_before == 1 else DONE
        if len(sent) == 1:
            signature: tuple[JsonObject, ...] = ({"type": "reasoning.encrypted", "data": "ours"},)
            look = Call(name="look", arguments="{}", id="c1")
            return Answer(reasoning_details=signature, calls=(look,))
        return status(402, {"error": {"message": "insufficient credits"}})

    @tool(repeat="safe")
    async def look() -> str:
        """Look."""
        return "seen"

    @tool
    async def hang() -> None:
        """Never end."""
        await anyio.sleep_forever()

    def agent() -> Agent:
        return Agent(
            models=[
                ("first", Local(base_url="http://first.test/v1")),
                ("second", Local(base_url="http://second.test/v1")),
            ],
            tools=[look, hang],
            workspace=tmp_path,
            transport=GatewayTransport(respond=respond),
        )

    await left_in_the_middle(agent())
    result = await agent().run("Go.", run_id="r")
    assert result.text == "Done."
    has_signature = [(one.body["model"], "encrypted" in str(one.body)) for one in sent]
    assert has_signature == [
        ("first", False),
        ("first", True),
        ("second", False),
        ("second", False),
    ]


# --- ends that meet others ------------------------------------------------------------------


async def test_a_cancelled_run_to_which_something_was_said_stays_cancelled(tmp_path: Path) -> None:
    """Whoever calls at least once would go on with it for what nobody had read."""
    agent = agent_of(tmp_path)
    await agent.submit("Go.", run_id="r")
    await agent.send("r", "Be brief.")
    await agent.cancel("r", "enough")
    for go_on in (agent.drive("r"), agent.run("Go.", run_id="r")):
        with pytest.raises(RunError, match="enough"):
            await go_on
    done = agent_of(tmp_path, DONE)
    result = await done.resume("r")
    assert [one.content for one in result.messages] == ["Go.", "Be brief.", "Done."]


async def test_what_is_asked_of_a_run_that_has_just_ended_comes_too_late(tmp_path: Path) -> None:
    """Between looking at it and taking it another process has ended it."""

    class EndedMeanwhile(SqliteStore):
        is_to_end = False

        @override
        def claim(self, run_id: str) -> StoredRun:
            if self.is_to_end:
                self.is_to_end = False
                other = super().claim(run_id)
                ended = RunEnded(status=how, text=f"It is {how}.")
                self.append(run_id, other.epoch, [ended], status=how)
                self.release(run_id, other.epoch)
            return super().claim(run_id)

    how: Literal["done", "failed", "cancelled"]
    for how in ("done", "failed", "cancelled"):
        store = EndedMeanwhile(tmp_path / f"{how}.db")
        agent = agent_of(tmp_path, journal=store)
        run = await agent.submit("Go.", run_id="r")
        store.is_to_end = True
        await run.cancel("too late")
        assert (await run.info()).state == how

        await agent.submit("Go.", run_id="s")
        store.is_to_end = True
        if how == "done":
            assert (await agent.drive("s")).text == "It is done."
        else:
            with pytest.raises(RunError, match=f"It is {how}"):
                await agent.drive("s")
        assert store.rows("s")[-1].record.kind == "end"

    agent = agent_of(tmp_path, DONE, journal=tmp_path / "done.db")
    await agent.send("r", "Once more.")
    assert (await agent.run("Go.", run_id="r")).text == "Done."


def test_who_looks_whether_an_owner_lives_is_not_taken_for_it(tmp_path: Path) -> None:
    """Two that look at the same time found each other, and the run of a dead process was busy."""
    dead = Owner(tmp_path)
    dead.forget()
    with (tmp_path / dead.id).open("r+b") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_alive(tmp_path, dead.id)
    living = Owner(tmp_path)
    assert is_alive(tmp_path, living.id)
    living.close()


async def test_who_waits_for_a_run_does_not_read_its_rows(tmp_path: Path) -> None:
    reads: list[str] = []

    class Noting(SqliteStore):
        @override
        def rows(self, run_id: str, after: int = 0) -> list[Stored]:
            reads.append(run_id)
            return super().rows(run_id, after)

    driving = SqliteStore(tmp_path / "runs.db")
    await agent_of(tmp_path, journal=driving).submit("Go.", run_id="r")
    claimed = driving.claim("r")
    waiting = agent_of(tmp_path, DONE, journal=Noting(tmp_path / "runs.db"))
    with anyio.move_on_after(0.7):
        await waiting.drive("r")
    assert reads == []
    driving.release("r", claimed.epoch)
    assert (await waiting.drive("r")).text == "Done."


async def test_why_a_run_was_cancelled_is_told_also_where_its_process_died_of_something_else(
    tmp_path: Path,
) -> None:
    agent = agent_of(tmp_path, journal=tmp_path / "runs.db")
    await agent.submit("Go.", run_id="r")
    store = SqliteStore(tmp_path / "runs.db")
    store.note("r", Noted(purpose="cancel", text="enough"))  # its process dies before it looks
    with pytest.raises(RunError, match="The run was cancelled: enough"):
        await agent.run("Go.", run_id="r")


async def test_the_conversation_of_a_cancelled_run_says_what_is_true_of_its_calls(
    tmp_path: Path,
) -> None:
    """One was under way, one had not begun; no process ended in either."""

    @tool(alone=True)
    async def hang(number: int) -> None:
        """Never end."""
        await anyio.sleep_forever()

    calls = tuple(
        Call(name="hang", arguments=f'{{"number": {number}}}', id=f"c{number}") for number in (1, 2)
    )
    agent = agent_of(tmp_path, Answer(calls=calls), tools=[hang])

    async def cancel(event: RunEvent) -> None:
        if isinstance(event, ToolStarted):
            await agent.cancel("r", "enough")

    with pytest.raises(RunError) as caught:
        await agent.run("Go.", run_id="r", on_event=cancel)
    told = [one.content for one in caught.value.messages if one.role == "tool"]
    assert len(told) == 2
    assert "cancelled while hang ran" in told[0]
    assert "before hang ran" in told[1]
