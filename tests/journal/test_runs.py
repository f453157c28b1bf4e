"""What a person does with named runs: again, in two places, from outside."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from typing_extensions import override

from agentcore import Agent, ConfigurationError, Local, Policy, RunError, tool
from agentcore.errors import RunBusy, UnknownRun
from agentcore.events import RunEvent, ToolStarted, TurnFinished
from agentcore.handle import Arriving, JournalEvent
from agentcore.journal import (
    AttemptEnded,
    CallEnded,
    EndpointGivenUp,
    NotesTaken,
    Record,
    RunEnded,
    RunResumed,
    SqliteStore,
    Stored,
    TurnEnded,
)
from agentcore.ledger import AttemptRecord
from agentcore.live import line_of
from agentcore.messages import AssistantMessage
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    RecordedRequest,
    Reply,
    after_arguments,
    after_bytes,
    cut,
    stall,
    status,
    stream,
)
from tests.journal.story import PROMPT, RUN_ID, Story, agent_of, effects, leave_when, lines_of_text

pytestmark = pytest.mark.anyio


@pytest.fixture
def story() -> Story:
    return Story(text=lines_of_text(60))


def last_said(request: RecordedRequest) -> str:
    messages = request.body["messages"]
    assert isinstance(messages, list)
    assert isinstance(messages[-1], dict)
    return str(messages[-1]["content"])


async def test_a_run_that_is_done_gives_its_result_without_a_request(
    tmp_path: Path, story: Story
) -> None:
    first = await agent_of(tmp_path, story).run(PROMPT, run_id=RUN_ID)
    asked = len(story.requests)
    second = await agent_of(tmp_path, story).run(PROMPT, run_id=RUN_ID)
    assert second == first
    assert len(story.requests) == asked
    assert await agent_of(tmp_path, story).get_run(RUN_ID).result() == first


async def test_without_a_name_nothing_is_written(tmp_path: Path, story: Story) -> None:
    await agent_of(tmp_path, story).run(PROMPT)
    assert not (tmp_path / ".agentcore").exists()
    assert await agent_of(tmp_path, story).runs() == ()


async def test_a_name_stands_for_one_prompt(tmp_path: Path, story: Story) -> None:
    agent = agent_of(tmp_path, story)
    await agent.run(PROMPT, run_id=RUN_ID)
    with pytest.raises(ConfigurationError) as caught:
        await agent.run("Write something else.", run_id=RUN_ID)
    assert PROMPT in str(caught.value)
    assert "Write something else." in str(caught.value)
    agent.system = "Be brief."  # the agent's own instructions are none of the prompt
    await agent.run(PROMPT, run_id=RUN_ID)


@pytest.mark.parametrize("run_id", ["", "  ", "a\nb", "x" * 201])
async def test_an_odd_name_is_refused(tmp_path: Path, story: Story, run_id: str) -> None:
    with pytest.raises(ConfigurationError, match="run_id="):
        await agent_of(tmp_path, story).run(PROMPT, run_id=run_id)
    assert not story.requests


async def test_a_run_that_failed_goes_on_when_it_is_run_again(tmp_path: Path, story: Story) -> None:
    story.cut = lambda number, reply: status(503) if 2 <= number < 5 else reply
    agent = agent_of(tmp_path, story, policy=Policy(max_attempts=3))
    with pytest.raises(RunError) as caught:
        await agent.run(PROMPT, run_id=RUN_ID)
    failed = await agent.get_run(RUN_ID).info()
    assert failed.state == "failed"
    with pytest.raises(RunError) as told:
        await agent.drive(RUN_ID)  # an engine that calls again and again spends nothing
    assert str(told.value) == str(caught.value)
    assert told.value.messages == caught.value.messages
    assert len(story.requests) == 4

    result = await agent.run(PROMPT, run_id=RUN_ID)
    assert (tmp_path / "plan.md").read_text() == story.text
    assert len(effects(tmp_path)) == 2
    assert [record.outcome for record in result.attempts[:4]] == ["complete", *["refused"] * 3]


async def test_two_cannot_drive_one_run(tmp_path: Path, story: Story) -> None:
    async with anyio.create_task_group() as tasks:
        first = driving(tasks, agent_of(tmp_path, hanging(story)))
        await it_runs(agent_of(tmp_path, story))
        for again in (agent_of(tmp_path, story), agent_of(tmp_path, story)):
            with pytest.raises(RunBusy, match=RUN_ID):
                await again.run(PROMPT, run_id=RUN_ID)
        assert [one.state for one in await again.runs()] == ["running"]
        first.cancel()
    assert [one.state for one in await again.runs()] == ["stalled"]
    await again.run(PROMPT, run_id=RUN_ID)


async def test_who_drives_waits_for_the_other_and_gets_its_result(
    tmp_path: Path, story: Story
) -> None:
    results = []

    async def drive() -> None:
        results.append(await agent_of(tmp_path, story).drive(RUN_ID))

    await agent_of(tmp_path, story).submit(PROMPT, run_id=RUN_ID)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(drive)
    assert results[0] == results[1] == results[2]
    assert len(effects(tmp_path)) == 2


async def test_an_unknown_run_is_said_to_be_one(tmp_path: Path, story: Story) -> None:
    agent = agent_of(tmp_path, story)
    await agent.run(PROMPT, run_id=RUN_ID)
    for call in (agent.resume, agent.drive, agent.cancel, agent.get_run("x").info):
        with pytest.raises(UnknownRun, match="plan-42"):
            await call(*("x",) if call in (agent.resume, agent.drive, agent.cancel) else ())


# --- from outside ---------------------------------------------------------------------------


async def test_a_run_is_cancelled_by_another_agent(tmp_path: Path, story: Story) -> None:
    other = agent_of(tmp_path, story)
    caught: list[RunError] = []

    async def run() -> None:
        with pytest.raises(RunError, match="changed my mind") as told:
            await agent_of(tmp_path, hanging(story)).run(PROMPT, run_id=RUN_ID)
        caught.append(told.value)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await it_runs(other)
        await other.cancel(RUN_ID, "changed my mind")
    assert (await other.get_run(RUN_ID).info()).state == "cancelled"
    with pytest.raises(RunError, match="changed my mind"):
        await other.run(PROMPT, run_id=RUN_ID)
    await other.resume(RUN_ID)
    assert (tmp_path / "plan.md").read_text() == story.text


async def test_a_run_that_nobody_drives_is_cancelled_at_once(tmp_path: Path, story: Story) -> None:
    agent = agent_of(tmp_path, story)
    run = await agent.submit(PROMPT, run_id=RUN_ID)
    await run.cancel()
    assert (await run.info()).state == "cancelled"
    with pytest.raises(RunError, match="cancelled"):
        await agent.drive(RUN_ID)
    assert not story.requests


async def test_what_is_said_meanwhile_is_read_before_the_next_answer(
    tmp_path: Path, story: Story
) -> None:
    agent = agent_of(tmp_path, story)

    async def listen(event: RunEvent) -> None:
        if isinstance(event, ToolStarted) and event.name == "look_up":
            await agent.send(RUN_ID, "And hurry.")

    result = await agent.run(PROMPT, run_id=RUN_ID, on_event=listen)
    assert last_said(story.requests[1]) == "And hurry."
    assert [m.content for m in result.messages if m.role == "user"] == [PROMPT, "And hurry."]
    assert await agent.run(PROMPT, run_id=RUN_ID) == result


async def test_a_run_that_is_done_goes_on_when_something_is_said_to_it(tmp_path: Path) -> None:
    story = Talk("Done.", "Shorter now.")
    agent = agent_of(tmp_path, story)
    await agent.run(PROMPT, run_id=RUN_ID)
    await agent.get_run(RUN_ID).send("Make it shorter.")
    result = await agent.resume(RUN_ID)
    assert result.text == "Shorter now."
    assert last_said(story.requests[1]) == "Make it shorter."


async def test_a_fork_goes_its_own_way(tmp_path: Path) -> None:
    story = Talk("One.", "Two.", "Three.")
    agent = agent_of(tmp_path, story)
    await agent.run(PROMPT, run_id=RUN_ID)
    forked = await agent.fork(RUN_ID, "other", text="And then?")
    assert (await forked.resume()).text == "Two."
    assert (await agent.get_run(RUN_ID).result()).text == "One."
    early = await agent.fork(RUN_ID, "early", after=0)
    assert (await early.resume()).text == "Three."
    assert len(await agent.runs()) == 3


async def test_events_are_the_rows_each_once_and_in_order(tmp_path: Path, story: Story) -> None:
    agent = agent_of(tmp_path, story)
    run = await agent.submit(PROMPT, run_id=RUN_ID)
    seen: list[JournalEvent | Arriving] = []

    async def watch() -> None:
        seen.extend([event async for event in agent_of(tmp_path, story).get_run(RUN_ID).events()])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await run.resume()
    rows = [event for event in seen if isinstance(event, JournalEvent)]
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert isinstance(rows[-1].record, RunEnded)
    half = len(rows) // 2
    later = [event async for event in run.events(after=half)]
    assert later == rows[half:]


async def test_a_watcher_sees_what_arrives_before_it_is_a_row(tmp_path: Path) -> None:
    story = Story(text=lines_of_text(700))
    story.cut = lambda number, reply: (
        stall(reply, at=after_arguments(20_000), seconds=3) if number == 2 else reply
    )
    agent = agent_of(tmp_path, story)
    await agent.submit(PROMPT, run_id=RUN_ID)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.drive, RUN_ID)
        with anyio.fail_after(10):
            async with aclosing(agent.get_run(RUN_ID).events()) as events:
                event = await anext(events)
                while not isinstance(event, Arriving):
                    event = await anext(events)
        assert (event.turn, event.attempt) == (2, 1)
        ((name, size),) = event.calls
        assert name == "write_file"
        assert 10_000 < size <= 20_000
        tasks.cancel_scope.cancel()


async def first_arriving(store: SqliteStore, *records: Record) -> Arriving:
    """What a watcher is told of an answer that arrives behind these rows."""
    agent = Agent("m", adapter=Local(base_url="http://one.test/v1"), journal=store)
    await agent.submit("Go.", run_id="a")
    epoch = store.claim("a").epoch
    store.append("a", epoch, records)
    store.append_partial("a", epoch, line_of({"text": "So far."}))
    with anyio.fail_after(5):
        async with aclosing(agent.get_run("a").events(after=len(records) - 1)) as events:
            async for event in events:
                if isinstance(event, Arriving):
                    return event
    raise AssertionError("the run has ended")


def attempt(turn: int, number: int) -> AttemptEnded:
    record = AttemptRecord(
        turn=turn, attempt=number, provider="p", model="m", outcome="cut", decision="keep"
    )
    return AttemptEnded(record=record)


ANSWER = TurnEnded(message=AssistantMessage(content="One."))
MOVED = EndpointGivenUp(position=0, base_url="u", model="m", how="it failed")


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ((attempt(1, 1),), (1, 2)),
        ((attempt(1, 1), ANSWER), (2, 1)),
        ((attempt(1, 1), ANSWER, MOVED), (2, 1)),  # it was told as turn 3
        ((attempt(1, 1), attempt(1, 2), MOVED), (2, 1)),
        # As turn 1, attempt 3.
        (
            (
                attempt(1, 1),
                attempt(1, 2),
                RunEnded(status="failed", text="It failed."),
                RunResumed(after_crash=False),
            ),
            (2, 1),
        ),
    ],
)
async def test_a_watcher_is_told_which_attempt_of_which_turn_arrives(
    tmp_path: Path, records: tuple[Record, ...], expected: tuple[int, int]
) -> None:
    event = await first_arriving(SqliteStore(tmp_path / "runs.db"), *records)
    assert (event.turn, event.attempt) == expected


async def test_who_watches_from_a_row_that_is_not_there_yet_waits_for_it(tmp_path: Path) -> None:
    """It read the journal without a pause."""
    reads: list[int] = []

    class Counting(SqliteStore):
        @override
        def rows(self, run_id: str, after: int = 0) -> list[Stored]:
            reads.append(after)
            return super().rows(run_id, after)

    agent = Agent(
        "m", adapter=Local(base_url="http://one.test/v1"), journal=Counting(tmp_path / "runs.db")
    )
    run = await agent.submit("Go.", run_id="a")
    with anyio.move_on_after(1.0):
        async for event in run.events(after=7):
            raise AssertionError(event)
    assert len(reads) == 2


async def test_what_is_kept_of_a_cut_text_is_told_also_where_the_run_was_cancelled(
    tmp_path: Path,
) -> None:
    story = Story(text=lines_of_text(60), mails=0)
    story.cut = lambda number, reply: (
        cut(reply, at=after_arguments(2_000), by=RESET) if number == 2 else reply
    )
    agent = agent_of(tmp_path, story)

    async def cancel(event: RunEvent) -> None:
        if isinstance(event, TurnFinished) and event.turn == 2:
            await agent.cancel(RUN_ID)
            await anyio.sleep_forever()

    with pytest.raises(RunError, match="cancelled") as caught:
        await agent.run(PROMPT, run_id=RUN_ID, on_event=cancel)
    assert [(one.tool, one.target) for one in caught.value.drafts] == [("write_file", "plan.md")]
    assert (await agent.resume(RUN_ID)).drafts == ()


# --- what changed in between ----------------------------------------------------------------


async def test_code_may_change_in_between(tmp_path: Path, story: Story) -> None:
    """A tool is gone, another is new, the model is another: it goes on, and says so."""
    await leave_in_the_middle(tmp_path, story)
    agent = agent_of(tmp_path, story, tools=[*agent_of(tmp_path, story).tools][2:])
    agent.model = "other-model"
    result = await agent.run(PROMPT, run_id=RUN_ID)
    rows = SqliteStore(tmp_path / ".agentcore" / "runs.db").rows(RUN_ID)
    (resumed,) = [row.record for row in rows if isinstance(row.record, RunResumed)]
    assert "look_up, send_mail" in resumed.changed
    assert "other-model" in resumed.changed
    assert not resumed.after_crash
    assert result.attempts[-1].model == "other-model"


async def test_a_process_that_left_in_good_order_has_not_crashed(
    tmp_path: Path, story: Story
) -> None:
    await leave_in_the_middle(tmp_path, story, size_bytes=0)
    result = await agent_of(tmp_path, story).run(PROMPT, run_id=RUN_ID)
    assert [record.outcome for record in result.attempts] == ["complete"] * 3


async def test_many_notes_and_turns_keep_their_order(tmp_path: Path) -> None:
    story = Talk("One.", "Two.")
    agent = agent_of(tmp_path, story)
    run = await agent.submit(PROMPT, run_id=RUN_ID)
    for text in ("first", "second"):
        await run.send(text)
    result = await run.resume()
    assert [m.content for m in result.messages] == [PROMPT, "first", "second", "One."]
    rows = SqliteStore(tmp_path / ".agentcore" / "runs.db").rows(RUN_ID)
    assert [row.record for row in rows if isinstance(row.record, NotesTaken)] == [
        NotesTaken(through=2)
    ]


async def test_results_are_written_before_the_model_sees_them(tmp_path: Path, story: Story) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    seen: list[int] = []
    tell = story.cut

    def count(number: int, reply: Reply) -> Reply:
        rows = store.rows(RUN_ID)
        seen.append(sum(isinstance(row.record, CallEnded) for row in rows))
        return tell(number, reply)

    story.cut = count
    await agent_of(tmp_path, story, journal=tmp_path / "runs.db").run(PROMPT, run_id=RUN_ID)
    assert seen == [0, 3, 4]
    turns = [row.seq for row in store.rows(RUN_ID) if isinstance(row.record, TurnEnded)]
    assert turns[0] == 2


async def test_an_unusual_place_for_the_journal_is_refused(tmp_path: Path, story: Story) -> None:
    for place in ("mysql://user:secret@db/agents", "sqlite:///", str(tmp_path)):
        with pytest.raises(ConfigurationError, match="journal=") as caught:
            await agent_of(tmp_path, story, journal=place).run(PROMPT, run_id=RUN_ID)
        assert "secret" not in str(caught.value)


# --- helpers --------------------------------------------------------------------------------


class Talk(Story):
    """Says one text after the other, and calls nothing."""

    def __init__(self, *texts: str) -> None:
        super().__init__(text="")
        self.texts = list(texts)

    @override
    def __call__(self, request: RecordedRequest) -> Reply:
        self.requests.append(request)
        return stream(Answer(text=self.texts[len(self.requests) - 1]))


def hanging(story: Story, *, size_bytes: int = 100) -> Story:
    """The same story, whose second answer stops coming after so many bytes of its call."""

    def cut(number: int, reply: Reply) -> Reply:
        at = after_arguments(size_bytes) if size_bytes else after_bytes(0)
        return stall(reply, at=at, seconds=600) if number == 2 else reply

    return Story(text=story.text, cut=cut)


def driving(tasks: TaskGroup, agent: Agent) -> anyio.CancelScope:
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await agent.run(PROMPT, run_id=RUN_ID)

    tasks.start_soon(run)
    return scope


async def it_runs(agent: Agent) -> None:
    with anyio.fail_after(20):
        while [one.state for one in await agent.runs()] != ["running"]:  # noqa: ASYNC110 nobody tells
            await anyio.sleep(0.01)


async def leave_in_the_middle(workspace: Path, story: Story, *, size_bytes: int = 100) -> None:
    told = hanging(story, size_bytes=size_bytes)

    async def run() -> None:
        await agent_of(workspace, told).run(PROMPT, run_id=RUN_ID)

    await leave_when(lambda: len(told.requests) == 2, run)


# --- tools that can tell --------------------------------------------------------------------


def paying(settled: Any) -> tuple[Any, list[str]]:
    paid: list[str] = []

    @tool
    async def pay(amount: int) -> str:
        """Pay."""
        paid.append(str(amount))
        await anyio.sleep(600)
        return "paid"

    if settled is not None:
        pay.settled(settled)
    return pay, paid


@pytest.mark.parametrize("repeat", ["never", "safe", "settled", "not done", "raises"])
async def test_a_call_that_a_process_left_in_the_middle(tmp_path: Path, repeat: str) -> None:
    from agentcore.tools.base import NOT_DONE, Begun

    asked: list[tuple[str, int, Begun]] = []

    def settled(key: str, arguments: Any, begun: Begun) -> object:
        asked.append((key, arguments["amount"], begun))
        if repeat == "raises":
            raise OSError("the bank is closed")
        return NOT_DONE if repeat == "not done" else "paid before"

    pay, paid = paying(settled if repeat not in ("never", "safe") else None)
    pay.repeat = "safe" if repeat == "safe" else "never"

    class Bill(Story):
        @override
        def __call__(self, request: RecordedRequest) -> Reply:
            self.requests.append(request)
            call = Call(name="pay", arguments='{"amount": 7}', id="bill")
            is_first = len(request.body["messages"]) == 1  # type: ignore[arg-type]
            return stream(Answer(calls=(call,)) if is_first else Answer(text="Done."))

    story = Bill(text="")
    done: list[object] = []

    async def run() -> None:
        done.append(await agent_of(tmp_path, story, tools=[pay]).run(PROMPT, run_id=RUN_ID))

    await leave_when(lambda: paid, run)
    await leave_when(lambda: done or len(paid) == 2, run)
    is_made_again = repeat in ("safe", "not done")
    assert paid == ["7"] * (1 + is_made_again)
    assert len(done) == (not is_made_again)
    if asked:
        assert [(key, amount) for key, amount, _ in asked] == [(f"{RUN_ID}:bill", 7)]
        assert asked[0][2].context.key == f"{RUN_ID}:bill"
    if not is_made_again:
        told = last_said(story.requests[-1])
        assert told == "paid before" if repeat == "settled" else "is unknown" in told
