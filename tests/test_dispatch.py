"""Every call gets one result, in call order; what was cut is never run, and guidance answers it."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue
from typing_extensions import override

from agentcore.dispatch import Dispatched, Dispatcher
from agentcore.draft_store import DraftStore
from agentcore.drafts import CutCall, Kept, keep
from agentcore.events import GuidanceGiven, RunEvent, ToolFinished, ToolStarted
from agentcore.kinds import CutCause
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, ToolCall, ToolMessage
from agentcore.result_store import MAX_BYTES as MAX_STORED_BYTES
from agentcore.result_store import MAX_FILES, ResultStore
from agentcore.results import MAX_ERROR_BYTES, MAX_RESULT_BYTES, NOTE_BYTES
from agentcore.tools import (
    Continuation,
    CutDraft,
    Tool,
    ToolContext,
    ToolResult,
    Toolset,
    execute_code,
    read_file,
    tool,
    write_file,
)
from agentcore.verdict import Partial

RECORD = AttemptRecord(
    turn=3,
    attempt=2,
    provider="local",
    model="some-model",
    outcome="cut",
    decision="keep",
    seconds=61.2,
    output_limit=8_192,
)


@tool
def echo(text: str) -> str:
    """Say it again."""
    return text


@tool
def explode(reason: str) -> str:
    """Raise."""
    raise RuntimeError(reason)


@tool
def decline(reason: str) -> ToolResult:
    """Say no."""
    return ToolResult(content=reason, is_error=True)


@dataclass(kw_only=True)
class Desk:
    """A dispatcher with what it told."""

    dispatcher: Dispatcher
    events: list[RunEvent] = field(default_factory=list)

    async def dispatch(self, *calls: ToolCall, kept: Kept | None = None) -> Dispatched:
        message = kept.message if kept is not None else AssistantMessage(tool_calls=calls)
        return await self.dispatcher.dispatch(message, kept, RECORD)

    async def answers(self, *calls: ToolCall) -> list[str]:
        return [message.content for message in (await self.dispatch(*calls)).messages]

    async def answer(self, name: str, **fields: JsonValue) -> str:
        (content,) = await self.answers(call(name, **fields))
        return content

    async def cut(self, name: str, raw: str, cause: CutCause = CutCause.DROPPED) -> Dispatched:
        return await self.dispatch(kept=cut(name, raw, cause))


def desk(*tools: Tool, workspace: Path = Path("/nowhere")) -> Desk:
    events: list[RunEvent] = []

    async def emit(event: RunEvent) -> None:
        events.append(event)

    dispatcher = Dispatcher(
        tools={each.name: each for each in tools},
        context=ToolContext(workspace=workspace),
        store=DraftStore(workspace),
        results=ResultStore(workspace),
        emit=emit,
    )
    return Desk(dispatcher=dispatcher, events=events)


def call(name: str, /, **fields: JsonValue) -> ToolCall:
    arguments = json.dumps(fields)
    return ToolCall(id=f"call of {name} with {arguments[:99]}", name=name, arguments=arguments)


def cut(name: str, raw: str, cause: CutCause = CutCause.DROPPED) -> Kept:
    """An answer whose only call was cut."""
    partial = Partial(calls=(ToolCall(id="cut", name=name, arguments=raw),))
    return keep(partial, cause, draft_arguments={"write_file": "content"})


def begun(path: str, lines: int, mode: str = "overwrite") -> str:
    """Arguments of `write_file`, cut in the text after so many lines."""
    return json.dumps({"path": path, "mode": mode, "content": "line\n" * lines})[:-2]


def barren(path: str, lines: int) -> str:
    """The same with a mistake before the text: none of it can be read."""
    return begun(path, lines).replace('"content"', "content")


# --- one result for every call --------------------------------------------------------------


async def test_results_come_in_the_order_of_the_calls() -> None:
    first = anyio.Event()

    @tool
    async def slow() -> str:
        await first.wait()
        return "slow"

    @tool
    async def quick() -> str:
        first.set()
        return "quick"

    slow_call, quick_call = call("slow"), call("quick")
    with anyio.fail_after(10):
        dispatched = await desk(slow, quick).dispatch(slow_call, quick_call)

    assert dispatched == Dispatched(
        messages=(
            ToolMessage(tool_call_id=slow_call.id, name="slow", content="slow"),
            ToolMessage(tool_call_id=quick_call.id, name="quick", content="quick"),
        ),
        changed=False,
    )


async def test_a_failing_call_leaves_its_siblings_alone() -> None:
    dispatched = await desk(echo, explode, decline).dispatch(
        call("explode", reason="fuse"),
        call("decline", reason="no"),
        call("repeat", text="a"),
        call("echo", word="a"),
        call("echo", text="a"),
    )

    assert [(m.is_error, m.content.split("\n")[0]) for m in dispatched.messages] == [
        (True, "explode failed: RuntimeError: fuse"),
        (True, "no"),
        (True, "There is no tool 'repeat'. The tools are: echo, explode, decline."),
        (True, "The arguments of echo do not fit, so it was not run:"),
        (False, "a"),
    ]


class Speechless(Exception):
    @override
    def __str__(self) -> str:
        raise ValueError("no words")


# SystemExit ended the whole process once, and a text that cannot be made, the run.
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (SystemExit("bye"), "SystemExit: bye"),
        (Speechless(), "Speechless: (no text)"),
    ],
    ids=["exit status", "exit text", "no text"],
)
@pytest.mark.parametrize("in_thread", [True, False], ids=["sync", "async"])
async def test_whatever_a_tool_raises_the_run_goes_on(
    error: BaseException, told: str, in_thread: bool
) -> None:
    @tool(name="leave")
    def leave() -> None:
        raise error

    @tool(name="leave")
    async def leave_async() -> None:
        raise error

    here = desk(leave if in_thread else leave_async, echo)
    dispatched = await here.dispatch(call("leave"), call("echo", text="a"))

    assert [(m.is_error, m.content) for m in dispatched.messages] == [
        (True, f"leave failed: {told}"),
        (False, "a"),
    ]


async def test_a_result_without_content_is_done() -> None:
    @tool
    def nothing() -> ToolResult:
        return ToolResult(content=None, changed=True)  # type: ignore[arg-type]

    here = desk(nothing)
    dispatched = await here.dispatch(call("nothing"))

    (message,) = dispatched.messages
    assert (message.content, message.is_error, dispatched.changed) == ("done", False, True)
    assert [event.content for event in here.events if isinstance(event, ToolFinished)] == ["done"]


@tool
async def cancel_itself() -> None:
    """What a tool does that awaits a task of its own which somebody cancelled."""
    raise anyio.get_cancelled_exc_class()


# Only on asyncio may anybody raise that: it left the call without a result, and a KeyError.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_tool_that_cancels_itself_is_answered(anyio_backend: str) -> None:
    dispatched = await desk(cancel_itself).dispatch(call("cancel_itself"))

    assert [(m.is_error, m.content) for m in dispatched.messages] == [
        (True, "cancel_itself was cancelled by itself.")
    ]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_tool_that_cancels_itself_leaves_its_siblings_alone(anyio_backend: str) -> None:
    @tool
    async def slow() -> str:
        await anyio.sleep(0.05)
        return "slow"

    here = desk(cancel_itself, slow)
    dispatched = await here.dispatch(call("cancel_itself"), call("slow"))

    assert [(m.is_error, m.content) for m in dispatched.messages] == [
        (True, "cancel_itself was cancelled by itself."),
        (False, "slow"),
    ]


async def test_without_tools_that_is_said() -> None:
    assert await desk().answer("echo", text="a") == "There is no tool 'echo'. The tools are: none."


async def test_no_arguments_are_empty_arguments() -> None:
    @tool
    def ping() -> str:
        return "pong"

    assert await desk(ping).answers(ToolCall(id="1", name="ping", arguments="")) == ["pong"]


async def test_arguments_are_repaired_where_nothing_is_lost() -> None:
    fenced = ToolCall(id="1", name="echo", arguments='```json\n{"text": "a\tb",}\n```')

    assert await desk(echo).answers(fenced) == ["a\tb"]


async def test_a_tool_learns_which_call_it_answers() -> None:
    @tool
    def who(context: ToolContext) -> str:
        return context.call_id

    assert await desk(who).answers(ToolCall(id="call-7", name="who", arguments="{}")) == ["call-7"]


async def test_a_change_is_reported() -> None:
    @tool
    def change(really: bool) -> ToolResult:
        return ToolResult(content="done", changed=really)

    here = desk(change)
    unchanged = await here.dispatch(call("change", really=False))
    changed = await here.dispatch(call("change", really=False), call("change", really=True))

    assert (unchanged.changed, changed.changed) == (False, True)


async def test_a_listener_is_not_needed() -> None:
    nowhere = Path("/nowhere")
    dispatcher = Dispatcher(
        tools={"echo": echo},
        context=ToolContext(workspace=nowhere),
        store=DraftStore(nowhere),
        results=ResultStore(nowhere),
    )
    kept = keep(
        Partial(calls=(call("echo", text="a"), ToolCall(id="c", name="echo", arguments='{"te'))),
        CutCause.ENDED,
        draft_arguments={"echo": "text"},
    )

    dispatched = await dispatcher.dispatch(kept.message, kept, RECORD)

    assert [message.is_error for message in dispatched.messages] == [False, True]


KINDS = {
    "good": ("echo", {"text": "a"}, False),
    "raising": ("explode", {"reason": "fuse"}, True),
    "refusing": ("decline", {"reason": "no"}, True),
    "unknown": ("nothing", {}, True),
    "wrong": ("echo", {"text": [1]}, True),
    "writing": ("jot", {"path": "a", "text": "x"}, False),
    "reading": ("look", {"path": "a"}, False),
    "alone": ("solo", {}, False),
    "cut": ("jot", {"path": "a"}, True),
}


@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=12))
@example(kinds=["cut", "writing", "alone", "reading", "cut"])
async def test_every_call_gets_exactly_one_result_in_call_order(kinds: list[str]) -> None:
    ran: list[str] = []

    @tool(writes="path")
    async def jot(path: str, text: str, context: ToolContext) -> str:
        ran.append(context.call_id)
        return text

    @tool(reads="path")
    async def look(path: str, context: ToolContext) -> str:
        ran.append(context.call_id)
        return path

    @tool(alone=True)
    async def solo(context: ToolContext) -> str:
        ran.append(context.call_id)
        return "x"

    calls = tuple(
        ToolCall(id=f"{position}", name=KINDS[kind][0], arguments=json.dumps(KINDS[kind][1]))
        for position, kind in enumerate(kinds)
    )
    cut_calls = tuple(
        CutCall(
            call=each, fields={"path": "a"}, received_bytes=9, received_lines=0, dropped_bytes=9
        )
        for each, kind in zip(calls, kinds, strict=True)
        if kind == "cut"
    )
    kept = Kept(
        message=AssistantMessage(tool_calls=calls),
        cut_calls=cut_calls,
        dropped_bytes=0,
        cause=CutCause.DROPPED,
    )
    with anyio.fail_after(5):
        dispatched = await desk(echo, explode, decline, jot, look, solo).dispatch(kept=kept)

    assert [(message.tool_call_id, message.is_error) for message in dispatched.messages] == [
        (each.id, KINDS[kind][2]) for each, kind in zip(calls, kinds, strict=True)
    ]
    assert sorted(ran, key=int) == [
        each.id
        for each, kind in zip(calls, kinds, strict=True)
        if kind in ("writing", "reading", "alone")
    ]


# --- who waits for whom ---------------------------------------------------------------------


@dataclass(kw_only=True)
class Gate:
    """Tools that touch paths, and stay in there until all who are expected have come."""

    expected: int = 1
    log: list[str] = field(default_factory=list)
    here: int = 0
    full: anyio.Event = field(default_factory=anyio.Event)

    async def _touch(self, text: str) -> str:
        self.log.append(f"{text} begins")
        self.here += 1
        if self.here >= self.expected:
            self.full.set()
        await self.full.wait()
        await anyio.lowlevel.checkpoint()
        self.log.append(f"{text} ends")
        return text

    def desk(self) -> Desk:
        @tool(writes="path")
        async def put(path: str, text: str) -> str:
            return await self._touch(text)

        @tool(reads="path")
        async def get(path: str, text: str) -> str:
            return await self._touch(text)

        @tool(reads="source", writes="targets")
        async def copy(source: str, targets: list[str], text: str) -> str:
            return await self._touch(text)

        @tool(alone=True)
        async def lock(text: str) -> str:
            return await self._touch(text)

        return desk(put, get, copy, lock)


def put(path: str, text: str) -> ToolCall:
    return call("put", path=path, text=text)


def get(path: str, text: str) -> ToolCall:
    return call("get", path=path, text=text)


IN_ORDER = ["1 begins", "1 ends", "2 begins", "2 ends"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (put("a", "1"), put("a", "2")),
        (put("a", "1"), get("a", "2")),
        (get("a", "1"), put("a", "2")),
        (put("docs/a", "1"), put("./docs//b/../a", "2")),
        (put("b", "1"), call("copy", source="a", targets=["b", "c"], text="2")),
        (call("copy", source="a", targets=["b", "c"], text="1"), put("a", "2")),
        (call("copy", source="a", targets=["b", "c"], text="1"), get("c", "2")),
        (call("lock", text="1"), get("a", "2")),
        (get("a", "1"), call("lock", text="2")),
        (call("lock", text="1"), call("lock", text="2")),
    ],
    ids=lambda value: f"{value.name}-{json.loads(value.arguments).get('path', '')}",
)
async def test_calls_that_touch_the_same_run_in_call_order(
    first: ToolCall, second: ToolCall
) -> None:
    gate = Gate()

    assert await gate.desk().answers(first, second) == ["1", "2"]
    assert gate.log == IN_ORDER


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (get("a", "1"), get("a", "2")),
        (put("a", "1"), put("b", "2")),
        (put("a", "1"), get("b", "2")),
        (get("a", "1"), call("copy", source="a", targets=["b"], text="2")),
    ],
    ids=["reads", "writes apart", "read and write apart", "reads beside a write"],
)
async def test_calls_that_do_not_touch_the_same_run_together(
    first: ToolCall, second: ToolCall
) -> None:
    gate = Gate(expected=2)

    with anyio.fail_after(10):
        assert await gate.desk().answers(first, second) == ["1", "2"]


async def test_a_write_waits_for_its_own_path_only() -> None:
    gate = Gate(expected=2)

    with anyio.fail_after(10):
        await gate.desk().dispatch(put("a", "1"), put("a", "2"), get("b", "3"))

    assert gate.log.index("3 begins") < gate.log.index("1 ends") < gate.log.index("2 begins")


async def test_a_call_waits_for_a_write_that_fails() -> None:
    gate = Gate()
    here = gate.desk()
    wrong = call("put", path="a", text=[1])

    dispatched = await here.dispatch(wrong, put("a", "2"))

    assert [message.is_error for message in dispatched.messages] == [True, False]


async def test_cancelling_reaches_the_tools() -> None:
    ended: list[str] = []

    @tool
    async def stay(text: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(text)

    with anyio.move_on_after(0.5) as scope:
        await desk(stay).dispatch(call("stay", text="1"), call("stay", text="2"))

    assert scope.cancelled_caught
    assert sorted(ended) == ["1", "2"]


async def test_every_call_has_one_result_when_the_run_is_cancelled(tmp_path: Path) -> None:
    begun = anyio.Event()

    @tool
    def quick(text: str) -> str:
        return text

    @tool(alone=True)
    async def slow() -> None:
        begun.set()
        await anyio.sleep_forever()

    here = desk(quick, slow, write_file, workspace=tmp_path)
    partial = Partial(
        calls=(
            call("quick", text="1"),
            call("slow"),
            call("quick", text="2"),
            ToolCall(id="cut", name="write_file", arguments=barren("a.md", 30)),
        )
    )
    kept = keep(partial, CutCause.DROPPED, draft_arguments={"write_file": "content"})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: here.dispatch(kept=kept))
        await begun.wait()
        tasks.cancel_scope.cancel()

    answers = here.dispatcher.answers(kept.message)
    assert [answer.tool_call_id for answer in answers] == [c.id for c in kept.message.tool_calls]
    assert [answer.content for answer in answers] == [
        "1",
        "The run was cancelled while slow ran. It may have taken effect, whole or in part: look "
        "before you call it again.",
        "The run was cancelled before quick ran. Nothing of it took effect.",
        "The run was cancelled before write_file ran. Nothing of it took effect.",
    ]
    assert not (tmp_path / "a.md").exists()


# --- events ---------------------------------------------------------------------------------


async def test_each_closed_call_is_told_begun_and_ended() -> None:
    here = desk(echo)
    await here.dispatch(call("echo", text="a"))

    started, finished = here.events
    assert isinstance(finished, ToolFinished)
    id_ = call("echo", text="a").id
    assert started == ToolStarted(turn=3, attempt=2, call_id=id_, name="echo")
    assert finished == ToolFinished(
        turn=3,
        attempt=2,
        call_id=id_,
        name="echo",
        is_error=False,
        seconds=finished.seconds,
        content="a",
    )
    assert 0 <= finished.seconds < 1


async def test_a_cut_call_is_told_with_its_guidance() -> None:
    here = desk(echo)
    dispatched = await here.cut("echo", '{"text": "é')

    assert here.events == [
        GuidanceGiven(
            turn=3,
            attempt=2,
            call_id="cut",
            name="echo",
            template="sections",
            dropped_bytes=12,
            text=dispatched.messages[0].content,
        )
    ]


# --- cut calls ------------------------------------------------------------------------------


async def test_a_cut_call_is_not_run_and_its_siblings_are(tmp_path: Path) -> None:
    partial = Partial(
        calls=(
            call("write_file", path="a.md", mode="create", content="1\n2\n"),
            ToolCall(id="cut", name="write_file", arguments=begun("a.md", 300, "append")),
        )
    )
    kept = keep(partial, CutCause.DROPPED, draft_arguments={"write_file": "content"})

    dispatched = await desk(write_file, workspace=tmp_path).dispatch(kept=kept)

    # What arrived of it goes after what the sibling has written: the file is ours by then.
    assert (tmp_path / "a.md").read_text() == "1\n2\n" + "line\n" * 300
    assert dispatched.changed
    assert dispatched.on_disk == (
        '"a.md" has 302 lines on disk; they are safe. The last of them is: line'
    )
    assert 'path="a.md", mode="append", start_line=303 and at most 150 lines' in (
        dispatched.messages[1].content
    )


async def test_a_last_call_that_looks_closed_may_be_cut(tmp_path: Path) -> None:
    closed = json.dumps({"path": "a.md", "mode": "create", "content": "half"})

    dispatched = await desk(write_file, workspace=tmp_path).cut("write_file", closed)

    assert dispatched.messages[0].is_error
    assert not (tmp_path / "a.md").exists()


@pytest.mark.parametrize(
    ("cause", "raw", "template", "told"),
    [
        (CutCause.DROPPED, begun("a.md", 9), "sections", "the connection was lost after 61 s"),
        (CutCause.STALLED, begun("a.md", 9), "sections", "went silent and was given up after 61 s"),
        (CutCause.ENDED, begun("a.md", 9), "sections", "the answer ended early, after 61 s"),
        (CutCause.FILTERED, begun("a.md", 9), "filtered", "a content filter of the endpoint ended"),
        (CutCause.FILTERED, "", "filtered", "a content filter of the endpoint ended"),
        (CutCause.DROPPED, "", "silence", "Not one character of its arguments had arrived"),
        (CutCause.SILENT, "", "silence", "went silent and was given up after 61 s"),
        (CutCause.CAPPED, begun("a.md", 9), "cap", "the output cap of 8192 tokens"),
        (CutCause.CAPPED, "", "cap", "the output cap of 8192 tokens"),
        (CutCause.MALFORMED, '{"path" "a.md"}', "malformed", "not one valid JSON object"),
    ],
)
async def test_the_cause_picks_the_guidance(
    tmp_path: Path, cause: CutCause, raw: str, template: str, told: str
) -> None:
    here = desk(write_file, workspace=tmp_path)
    dispatched = await here.cut("write_file", raw, cause)

    event = here.events[-1]
    assert isinstance(event, GuidanceGiven)
    assert event.template == template
    assert told in dispatched.messages[0].content


@pytest.mark.parametrize("offered", [True, False])
async def test_a_program_is_proposed_when_it_is_on_offer(tmp_path: Path, offered: bool) -> None:
    here = desk(write_file, *([execute_code] if offered else []), workspace=tmp_path)
    dispatched = await here.cut("write_file", '{"path": "a.md", "content": "one li')

    assert ("execute_code" in dispatched.messages[0].content) is offered


# Which guidance a row of cuts gets, how often, the words of each step and those of the end.
ESCALATIONS: list[tuple[CutCause, str, tuple[str, ...], str]] = [
    (
        CutCause.DROPPED,
        begun("a.md", 300),
        (
            "then append the rest",
            "second cut in a row",
            'the whole text of "a.md" in one call is forbidden',
        ),
        "It is cut number 4 in a row: the run ends here.",
    ),
    (
        CutCause.CAPPED,
        begun("a.md", 300),
        (
            "the cap will cut them again",
            "the cap will cut them again",
            'the whole text of "a.md" in one call is forbidden',
        ),
        "It is cut number 4 in a row: the run ends here.",
    ),
    (
        CutCause.MALFORMED,
        barren("a.md", 300),
        ("escape the text",) * 3,
        "It is time number 4 in a row: the run ends here.",
    ),
    (
        CutCause.SILENT,
        "",
        ("write a plan", "cut number 2 in a row"),
        "It is cut number 3 in a row: the run ends here.",
    ),
]


@pytest.mark.parametrize(
    ("cause", "raw", "steps", "end"), ESCALATIONS, ids=["s", "c", "m", "silence"]
)
async def test_cuts_in_a_row_escalate_and_then_stop(
    tmp_path: Path, cause: CutCause, raw: str, steps: tuple[str, ...], end: str
) -> None:
    here = desk(write_file, workspace=tmp_path)
    count = len(steps)
    if raw.startswith(begun("a.md", 300)):
        # What is kept is progress; the cuts at the same place that follow are counted with it.
        progress = await here.cut("write_file", raw, cause)
        assert "What arrived is kept: 300 new lines" in progress.messages[0].content
        steps = steps[1:]
    for step in steps:
        dispatched = await here.cut("write_file", raw, cause)
        assert step in dispatched.messages[0].content
        assert "the run ends here" not in dispatched.messages[0].content
        assert dispatched.stop == ""

    dispatched = await here.cut("write_file", raw, cause)

    assert dispatched.stop == (
        f"{count + 1} cuts in a row in write_file: nothing further of its text got through"
    )
    (message,) = dispatched.messages
    assert end in message.content


async def test_a_cut_before_the_name_counts_with_those_after(tmp_path: Path) -> None:
    here = desk(write_file, workspace=tmp_path)
    await here.cut("write_file", '{"pa')
    dispatched = await here.cut("write_file", '{"path": "a.md", "content": "li')

    assert "second cut in a row" in dispatched.messages[0].content


async def test_other_targets_count_apart(tmp_path: Path) -> None:
    here = desk(write_file, workspace=tmp_path)
    for path in ("a.md", "b.md"):
        dispatched = await here.cut("write_file", begun(path, 300))

        assert "second cut" not in dispatched.messages[0].content


async def test_other_spellings_of_a_target_count_together(tmp_path: Path) -> None:
    here = desk(write_file, workspace=tmp_path)
    await here.cut("write_file", begun("a.md", 0))
    dispatched = await here.cut("write_file", begun("./a.md", 0))

    assert "second cut in a row" in dispatched.messages[0].content


async def test_a_write_that_succeeds_ends_the_row(tmp_path: Path) -> None:
    here = desk(write_file, workspace=tmp_path)
    await here.cut("write_file", begun("a.md", 300))
    for start_line in (301, 302, 303, 304, 305):
        cut_once = await here.cut("write_file", begun("a.md", 300))
        assert "cut in a row: the run ends" not in cut_once.messages[0].content
        assert cut_once.stop == ""
        section = call(
            "write_file",
            path="a.md",
            mode="append",
            start_line=start_line,
            content=f"line {start_line}\n",
        )
        assert (await here.dispatch(section)).changed


async def test_a_write_to_another_path_does_not_end_the_row(tmp_path: Path) -> None:
    here = desk(write_file, workspace=tmp_path)
    await here.cut("write_file", begun("a.md", 0))
    await here.dispatch(call("write_file", path="b.md", mode="create", content="x"))
    dispatched = await here.cut("write_file", begun("a.md", 0))

    assert "second cut in a row" in dispatched.messages[0].content


# Only a tool that declares what it writes was ever forgiven: cuts far apart ended the run.
async def test_a_success_ends_the_row_of_a_tool_without_a_target() -> None:
    here = desk(echo)
    stops = []
    for _ in range(5):
        stops.append((await here.cut("echo", '{"text": "a')).stop)
        await here.dispatch(call("echo", text="a"))

    assert stops == [""] * 5


async def test_sections_are_half_of_the_smallest_that_failed_for_a_target(tmp_path: Path) -> None:
    here = desk(write_file, workspace=tmp_path)
    told = []
    for path, lines in [("a.md", 600), ("a.md", 5_000), ("b.md", 5_000), ("b.md", 30)]:
        dispatched = await here.cut("write_file", begun(path, lines))
        told.append(dispatched.messages[0].content.split("at most ")[1].split(" lines")[0])

    assert told == ["300", "300", "400", "50"]


SHORTER = (
    "Next: call {} again with shorter arguments, if its purpose allows that; nothing of this call "
    "took effect."
)


async def test_a_tool_that_cannot_tell_says_that_nothing_was_stored() -> None:
    dispatched = await desk(echo).cut("echo", '{"text": "a')

    assert dispatched.on_disk == "Nothing of it was stored."
    assert SHORTER.format("echo") in dispatched.messages[0].content


# It was advised to call that tool again in parts, and its cuts ended the run.
async def test_a_cut_call_of_a_tool_that_is_not_there_is_told_so() -> None:
    here = desk(echo)
    for _ in range(5):
        dispatched = await here.cut("nothing", '{"text": "a')

        assert dispatched == Dispatched(
            messages=(
                ToolMessage(
                    tool_call_id="cut",
                    name="nothing",
                    content="There is no tool 'nothing'. The tools are: echo.",
                    is_error=True,
                ),
            ),
            changed=False,
        )
    assert here.events == []


# A name too long and a loop of links ended the run once: the hook raised.
@pytest.mark.parametrize("path", ["../a", "docs", "loop", "n" * 300], ids=lambda path: path[:9])
async def test_a_path_that_names_no_file_is_told_without_a_next_call(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "loop").symlink_to("loop")

    here = desk(write_file, workspace=tmp_path)
    without_text = await here.cut("write_file", begun(path, 0))
    with_text = await here.cut("write_file", begun(path, 300))

    assert without_text.on_disk == "Nothing of it was stored."
    assert SHORTER.format("write_file") in without_text.messages[0].content
    (draft,) = DraftStore(tmp_path).all()
    assert draft.text == "line\n" * 300
    assert with_text.on_disk.startswith(f"300 lines of it are kept as draft {draft.id},")


async def test_a_tool_of_the_users_own_tells_how_to_go_on() -> None:
    @tool(writes="key", draft="value")
    def store(key: str, value: str) -> ToolResult:
        return ToolResult(content="stored", changed=True)

    @store.on_cut
    def go_on(context: ToolContext, cut: CutDraft) -> Continuation | None:
        return Continuation(
            on_disk=f"Stored by us: {cut.ours}.", next_call=f"key={cut.fields['key']}"
        )

    here = desk(store)
    before = await here.cut("store", '{"key": "k", "value": "te')
    await here.dispatch(call("store", key="k", value="text"))
    after = await here.cut("store", '{"key": "k", "value": "te')

    assert (before.on_disk, after.on_disk) == ("Stored by us: False.", "Stored by us: True.")
    assert "Next call: store with key=k and at most 50 lines" in after.messages[0].content


async def test_every_cut_call_is_answered_and_the_last_is_reported(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("1\n")
    partial = Partial(
        calls=(
            ToolCall(id="1", name="write_file", arguments=begun("a.md", 100)),
            ToolCall(id="2", name="write_file", arguments=begun("b.md", 100)),
        )
    )
    kept = keep(partial, CutCause.DROPPED, draft_arguments={"write_file": "content"})

    dispatched = await desk(write_file, workspace=tmp_path).dispatch(kept=kept)

    assert [message.tool_call_id for message in dispatched.messages] == ["1", "2"]
    assert (tmp_path / "a.md").read_text() == "line\n" * 100
    # The file of somebody else is left alone.
    assert (tmp_path / "b.md").read_text() == "1\n"
    (draft,) = DraftStore(tmp_path).all()
    assert draft.fields == {"path": "b.md", "mode": "overwrite"}
    assert dispatched.on_disk.startswith(f"100 lines of it are kept as draft {draft.id}")


# --- the same failing call ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("explode", {"reason": "fuse"}, "explode failed: RuntimeError: fuse"),
        ("decline", {"reason": "no"}, "no"),
        ("nothing", {}, "There is no tool 'nothing'."),
        ("echo", {"text": [1]}, "The arguments of echo do not fit"),
    ],
)
async def test_the_same_failing_call_is_hinted_refused_and_ends_the_run(
    name: str, fields: dict[str, Any], said: str
) -> None:
    here = desk(echo, explode, decline)
    dispatched = [await here.dispatch(call(name, **fields)) for _ in range(4)]

    first, second, third, fourth = (each.messages[0].content for each in dispatched)
    hint = "\nThe same call failed before with the same arguments: change them."
    assert first.startswith(said)
    assert second == first + hint
    assert third.startswith(f"Not run: this very call of {name} has failed 2 times.")
    assert fourth.startswith("Not run")
    assert [each.stop for each in dispatched] == [
        "",
        "",
        "",
        f"the model made the same failing call of {name} 4 times",
    ]


async def test_a_refused_call_is_not_run() -> None:
    ran: list[str] = []

    @tool
    def fail(text: str) -> ToolResult:
        ran.append(text)
        return ToolResult(content="no", is_error=True)

    here = desk(fail)
    for _ in range(4):
        await here.dispatch(call("fail", text="a"))

    assert ran == ["a", "a"]


async def test_other_arguments_are_another_call() -> None:
    here = desk(explode)

    for reason in "abcde":
        assert await here.answer("explode", reason=reason) == (
            f"explode failed: RuntimeError: {reason}"
        )


async def test_a_success_of_the_same_call_forgives_its_failures() -> None:
    outcomes = iter([True, False, True, False, True])

    @tool
    def flaky() -> ToolResult:
        failed = next(outcomes)
        return ToolResult(content="no" if failed else "yes", is_error=failed)

    here = desk(flaky)

    assert [await here.answer("flaky") for _ in range(5)] == ["no", "yes", "no", "yes", "no"]


# --- how long an answer may be --------------------------------------------------------------


async def test_a_long_result_keeps_its_head_and_its_tail_at_line_ends() -> None:
    lines = [f"line {number}" for number in range(10_000)]
    content = await desk(echo).answer("echo", text="\n".join(lines))

    head, _, rest = content.partition("\n[… ")
    _, _, tail = rest.partition(" bytes left out …]\n")
    first, last = head.splitlines(), tail.splitlines()
    assert first == lines[: len(first)]
    assert last == lines[-len(last) :]
    assert 0.35 < len(head) / (len(head) + len(tail)) < 0.45


@given(
    text=st.builds(
        str.__mul__,
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=50),
        st.integers(1, 10_000),
    )
)
# One line that is longer than all that may be kept, and characters of four bytes.
@example(text="x" * (MAX_RESULT_BYTES + 1))
@example(text="𝄞" * 10_000)
@example(text="x" * MAX_RESULT_BYTES)
async def test_a_result_is_whole_or_says_what_is_missing(text: str) -> None:
    content = await desk(echo).answer("echo", text=text)

    size = len(text.encode())
    assert len(content.encode()) <= MAX_RESULT_BYTES
    if size <= MAX_RESULT_BYTES:
        assert content == text
    else:
        head, _, rest = content.rpartition("\n[… ")
        left_out, _, tail = rest.partition(" bytes left out …]\n")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(head.encode()) + int(left_out) + len(tail.encode()) == size


# A head ended at its last line end: of a long line after a short one nothing was left in it.
@pytest.mark.parametrize("end", ["", "\n"], ids=["no line end", "line end"])
@pytest.mark.parametrize("start", ["", "first\n"], ids=["alone", "after a line"])
async def test_of_one_very_long_line_as_much_is_kept_as_of_many(start: str, end: str) -> None:
    text = f"{start}{'x' * 200_000}{end}"
    content = await desk(echo).answer("echo", text=text)

    head, _, rest = content.partition("\n[… ")
    left_out, _, tail = rest.partition(" bytes left out …]\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + int(left_out) + len(tail) == len(text)
    room = MAX_RESULT_BYTES - NOTE_BYTES
    assert room - 2 <= len(head) + len(tail) <= room
    assert len(content.encode()) <= MAX_RESULT_BYTES == 32_768
    assert 0.35 < len(head) / room < 0.45


@pytest.mark.parametrize("reader", [True, False], ids=["with read_file", "without"])
async def test_a_long_result_is_whole_in_a_file_that_can_be_paged(
    tmp_path: Path, reader: bool
) -> None:
    lines = [f"line {number} of it" for number in range(10_000)]
    here = desk(*([echo, read_file] if reader else [echo]), workspace=tmp_path)
    content = await here.answer("echo", text="\n".join(lines))

    head, _, rest = content.partition("\n[… ")
    note, _, tail = rest.partition(" …]\n")
    assert len(content.encode()) <= MAX_RESULT_BYTES
    told = re.search(r"all 10000 lines are in (\S+\.txt)(?:: read_file with (.*))?$", note)
    assert told is not None, note
    assert (tmp_path / told[1]).read_text() == "\n".join(lines)
    assert (tmp_path / told[1]).stat().st_mode & 0o777 == 0o600
    if not reader:
        assert "read_file" not in content
        return
    # What the note proposes is the call that goes on where the head ends.
    proposed = re.fullmatch(r'path="(.*)", start_line=(\d+)', told[2])
    assert proposed is not None
    page = await here.answer("read_file", path=proposed[1], start_line=int(proposed[2]))
    assert page.splitlines()[1] == lines[head.count("\n")]
    assert tail.endswith(lines[-1])


@pytest.mark.parametrize("start", ["", "x"])
async def test_of_a_result_without_end_the_file_is_text_all_the_same(
    tmp_path: Path, start: str
) -> None:
    """Half of a character at the file's end had `read_file` refuse all of it."""
    text = f"{start}{'é' * 99}\n" * (MAX_STORED_BYTES // 199 + 2)

    @tool
    def shout() -> str:
        return text

    here = desk(shout, read_file, workspace=tmp_path)
    note = re.search(r"the first (\d+) lines are in (\S+\.txt): read", await here.answer("shout"))
    assert note is not None
    stored = (tmp_path / note[2]).read_text()
    assert text.startswith(stored)
    assert int(note[1]) == len(stored.splitlines())
    assert MAX_STORED_BYTES - 4 < len(stored.encode()) <= MAX_STORED_BYTES
    page = await here.answer("read_file", path=note[2], start_line=int(note[1]))
    assert page.startswith(f"{note[2]}: lines {note[1]} to {note[1]} of {note[1]}\n")


async def test_tools_of_a_set_are_told_by_their_prefixed_names(tmp_path: Path) -> None:
    """They were looked for by their own names, so a long result said nothing of how to page it."""
    files = Toolset("files", [write_file, read_file, execute_code], prefix="ws_")
    here = desk(echo, *files, workspace=tmp_path)
    assert ": ws_read_file with path=" in await here.answer("echo", text="a line\n" * 9_999)
    told = await here.cut("ws_write_file", '{"path": "a.md", "mode": "create", "content": "li')
    assert "a short program for ws_execute_code may write it" in told.messages[0].content

    @tool(name="read_file")
    def read_url(url: str) -> str:
        return url

    here = desk(echo, read_url, workspace=tmp_path)
    assert "read_file with" not in await here.answer("echo", text="a line\n" * 9_999)


async def test_of_stored_results_the_oldest_go(tmp_path: Path) -> None:
    here = desk(echo, workspace=tmp_path)
    for number in range(MAX_FILES + 3):
        await here.answer("echo", text=f"{number}\n" * MAX_RESULT_BYTES)
        for stored in (tmp_path / ".agentcore/results").iterdir():
            if stored.read_text().startswith(f"{number}\n"):
                os.utime(stored, (number, number))
    left = sorted(
        (tmp_path / ".agentcore/results").iterdir(), key=lambda path: path.stat().st_mtime
    )
    assert [int(path.read_text().partition("\n")[0]) for path in left] == list(
        range(3, MAX_FILES + 3)
    )


async def test_no_result_is_stored_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    workspace = tmp_path / "workspace"
    outside.mkdir()
    workspace.mkdir()
    (workspace / ".agentcore").symlink_to(outside)
    content = await desk(echo, workspace=workspace).answer("echo", text="x\n" * 40_000)
    assert " bytes left out …]" in content
    assert not list(outside.iterdir())


LONG: list[tuple[str, Callable[[], ToolCall]]] = [
    ("raised", lambda: call("explode", reason="é" * 9_999)),
    ("unknown", lambda: call("n" * 9_999)),
    ("wrong", lambda: call("echo", **{f"field {number} {'é' * 999}": 1 for number in range(99)})),
]


@pytest.mark.parametrize("make", [make for _, make in LONG], ids=[name for name, _ in LONG])
async def test_an_error_is_at_most_two_kilobytes(make: Callable[[], ToolCall]) -> None:
    here = desk(echo, explode)
    sizes = [len((await here.answers(make()))[0].encode()) for _ in range(2)]

    # The second carries a hint as well, which was added on top of the limit once.
    assert max(sizes) <= MAX_ERROR_BYTES
    assert sizes[1] > sizes[0]


async def test_a_write_makes_what_failed_before_worth_trying_again(tmp_path: Path) -> None:
    read = ToolCall(id="r", name="read_file", arguments='{"path": "late.md"}')
    write = ToolCall(
        id="w",
        name="write_file",
        arguments='{"path": "late.md", "mode": "create", "content": "there\\n"}',
    )
    dispatcher = Dispatcher(
        tools={"read_file": read_file, "write_file": write_file},
        context=ToolContext(workspace=tmp_path),
        store=DraftStore(tmp_path),
        results=ResultStore(tmp_path),
    )
    said: list[str] = []
    for call in (read, read, write, read):
        message = AssistantMessage(tool_calls=(call,))
        dispatched = await dispatcher.dispatch(message, None, RECORD)
        said.append(dispatched.messages[0].content)
    assert said[-1] == "late.md: lines 1 to 1 of 1\nthere\n"


async def test_a_cut_create_of_somebodys_file_goes_on_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("theirs\n")
    (tmp_path / "a-2.md").write_text("theirs too\n")
    here = desk(write_file, workspace=tmp_path)
    dispatched = await here.cut("write_file", begun("a.md", 30, mode="create"))
    words = dispatched.messages[0].content
    assert '"a.md" exists already with 1 lines and was not touched' in words
    told = re.search(r'with path="(.*?)", mode="(.*?)", resume="(.*?)", start_line=(\d+) ', words)
    assert told is not None, words
    path, mode, resumed, line = told.groups()
    assert (path, mode) == ("a-3.md", "create")
    content = await here.answer(
        "write_file", path=path, mode=mode, resume=resumed, start_line=int(line), content="end\n"
    )
    assert content == "a-3.md: 31 lines on disk now."
    assert (tmp_path / "a.md").read_text() == "theirs\n"
    assert (tmp_path / "a-3.md").read_text() == "line\n" * 30 + "end\n"
    assert not here.dispatcher.unfinished
