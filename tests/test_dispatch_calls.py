"""How a single call fares: a person's word, what a tool raises, what goes on in a thread."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr
from pydantic_core import to_json

from agentcore import ModelRetry, ToolFailed
from agentcore.dispatch import Dispatcher
from agentcore.draft_store import DraftStore
from agentcore.guidance import RepeatedGuidance, Templates
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, JsonObject, ToolCall, ToolMessage
from agentcore.result_store import ResultStore
from agentcore.testing.strategies import json_values
from agentcore.threads import current_tool_thread_limiter
from agentcore.tools import Tool, ToolContext, ToolResult, list_files, tool, write_file
from agentcore.tools.approval import Answer, ApprovalRequest, Approve, Approved, Denied

HINT = "\n" + Templates().render(RepeatedGuidance(tool="look", level=2))

RECORD = AttemptRecord(
    turn=1, attempt=1, provider="local", model="m", outcome="complete", decision="accept", seconds=1
)
Make: TypeAlias = Callable[[], None]


def dispatcher(*tools: Tool, approve: Approve | None = None) -> Dispatcher:
    nowhere = Path("/nowhere")
    return Dispatcher(
        tools={tool.name: tool for tool in tools},
        context=ToolContext(workspace=nowhere),
        store=DraftStore(nowhere),
        results=ResultStore(nowhere),
        approve=approve,
    )


async def answers(here: Dispatcher, *calls: tuple[str, JsonObject]) -> tuple[ToolMessage, ...]:
    message = AssistantMessage(
        tool_calls=tuple(
            ToolCall(id=f"c{number}", name=name, arguments=to_json(fields).decode())
            for number, (name, fields) in enumerate(calls)
        )
    )
    return (await here.dispatch(message, None, RECORD)).messages


async def answer(here: Dispatcher, name: str, **fields: str | int) -> ToolMessage:
    (one,) = await answers(here, (name, dict(fields)))
    return one


# --- a person's word ------------------------------------------------------------------------


def deleting(deleted: list[str]) -> Tool:
    @tool(needs_approval=True, writes="path")
    async def delete(path: str, depth: int = 1) -> ToolResult:
        """Delete."""
        deleted.append(path)
        return ToolResult(content=f"{path} deleted to {depth}", changed=True)

    return delete


@pytest.mark.parametrize(
    ("word", "runs", "said"),
    [
        (True, ["a"], "a deleted to 1"),
        (Approved(), ["a"], "a deleted to 1"),
        (
            Approved(arguments={"path": "b", "depth": 2}),
            ["b"],
            "b deleted to 2\nThe user changed path, depth of this call.",
        ),
        (
            False,
            [],
            "Not run: the user denied this call of delete.\nNothing of it took effect. Do not "
            "repeat it: take another way, or ask the user.",
        ),
        ("not that one", [], "Not run: the user denied this call of delete: not that one"),
        (Denied(reason="no"), [], "Not run: the user denied this call of delete: no"),
        (Approved(arguments={"path": 3}), [], "The arguments of delete do not fit"),
    ],
)
async def test_a_call_that_needs_it_runs_as_it_was_approved(
    word: Answer, runs: list[str], said: str
) -> None:
    asked: list[ApprovalRequest] = []
    deleted: list[str] = []

    def approve(request: ApprovalRequest) -> Answer:
        asked.append(request)
        return word

    told = await answer(dispatcher(deleting(deleted), approve=approve), "delete", path="a")
    assert told.content.startswith(said)
    assert told.is_error is not bool(runs)
    assert deleted == runs
    assert asked == [
        ApprovalRequest(tool="delete", arguments={"path": "a"}, call_id="c0", reason="")
    ]


async def test_nobody_is_asked_about_a_call_that_does_not_fit_or_is_refused() -> None:
    asked: list[ApprovalRequest] = []

    def deny(request: ApprovalRequest) -> bool:
        asked.append(request)
        return False

    here = dispatcher(deleting([]), approve=deny)
    assert "do not fit" in (await answer(here, "delete", way="a")).content
    assert asked == []
    told = [await answer(here, "delete", path="a") for _ in range(3)]
    # Denied twice, the third time it is refused: a person is not asked without end.
    assert told[2].content.startswith("Not run: this very call of delete has failed 2 times")
    assert len(asked) == 2


async def test_people_are_asked_in_call_order_one_at_a_time() -> None:
    asked: list[str] = []
    at_once = 0

    async def approve(request: ApprovalRequest) -> bool:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        await anyio.sleep(0.001)
        at_once -= 1
        asked.append(str(request.arguments["path"]))
        return True

    here = dispatcher(deleting([]), approve=approve)
    calls: list[tuple[str, JsonObject]] = [("delete", {"path": path}) for path in "abcd"]
    await answers(here, *calls)
    assert asked == list("abcd")


async def test_a_changed_path_is_what_others_wait_for() -> None:
    """Approved for `b` instead of `a`, it must not run beside a call that reads `b`."""
    deleted: list[str] = []

    @tool(reads="path")
    async def look(path: str) -> str:
        return f"{path} {'is deleted' if path in deleted else 'is there'}"

    @tool(needs_approval=True, writes="path")
    async def delete(path: str) -> ToolResult:
        await anyio.sleep(0.01)
        deleted.append(path)
        return ToolResult(content="deleted", changed=True)

    here = dispatcher(delete, look, approve=lambda _: Approved(arguments={"path": "b"}))
    told = await answers(here, ("delete", {"path": "a"}), ("look", {"path": "b"}))
    assert told[1].content == "b is deleted"


async def test_what_changes_an_approval_says_in_objects_of_python_is_json() -> None:
    """A `Path` is the path that others wait for; what can be no JSON lets nothing run."""
    changes: object = {"path": Path("b")}
    deleted: list[str] = []

    @tool(reads="path")
    async def look(path: str) -> str:
        return f"{path} {'is deleted' if path in deleted else 'is there'}"

    @tool(needs_approval=True, writes="path")
    async def delete(path: str) -> str:
        await anyio.sleep(0.01)
        deleted.append(path)
        return "deleted"

    def approve(_: ApprovalRequest) -> Approved:
        return Approved(arguments=changes)  # type: ignore[arg-type]  # what callbacks really give

    here = dispatcher(delete, look, approve=approve)
    calls: list[tuple[str, JsonObject]] = [("delete", {"path": "a"}), ("look", {"path": "b"})]
    assert (await answers(here, *calls))[1].content == "b is deleted"
    for changes in ([1], {"path": object()}, 5, "text"):
        told = await answer(here, "delete", path=f"a{changes}")
        assert "the changes of its arguments could not be read" in told.content
    assert deleted == ["b"]


async def test_who_decides_whether_to_ask_cannot_change_what_is_asked_or_run() -> None:
    asked: list[object] = []
    ran: list[object] = []

    def needs(fields: Mapping[str, JsonValue]) -> bool:
        assert isinstance(fields, dict)
        fields["path"] = "harmless"
        fields["options"]["force"] = False
        return True

    @tool(needs_approval=needs, writes="path")
    async def delete(path: str, options: JsonValue) -> str:
        ran.append({"path": path, "options": options})
        return "deleted"

    def approve(request: ApprovalRequest) -> bool:
        asked.append(request.arguments)
        return True

    call: JsonObject = {"path": "/", "options": {"force": True}}
    await answers(dispatcher(delete, approve=approve), ("delete", call))
    assert asked == ran == [{"path": "/", "options": {"force": True}}]


async def test_the_person_is_told_which_arguments_are_secret() -> None:
    asked: list[ApprovalRequest] = []

    @tool(needs_approval=True)
    async def log_in(user: str, password: SecretStr) -> str:
        return user

    def approve(request: ApprovalRequest) -> bool:
        asked.append(request)
        return True

    await answer(dispatcher(log_in, approve=approve), "log_in", user="a", password="b")
    assert asked[0].secrets == {"password"}


@given(st.one_of(json_values(), st.none(), st.integers()))
async def test_whatever_an_approval_says_only_yes_is_yes(word: object) -> None:
    deleted: list[str] = []
    approve: Callable[[ApprovalRequest], object] = lambda _: word  # noqa: E731
    here = dispatcher(deleting(deleted))
    here.approve = approve  # type: ignore[assignment]  # what users' callbacks really give
    await answer(here, "delete", path="a")
    assert deleted == (["a"] if word is True else [])


# --- what a tool raises ---------------------------------------------------------------------


async def test_a_tool_may_say_what_would_do_or_that_nothing_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tool
    async def pick(number: int) -> str:
        if number > 3:
            raise ModelRetry(f"There is no row {number}: the rows are 1 to 3.")
        raise ToolFailed("The table is empty.")

    here = dispatcher(pick)
    told = [await answer(here, "pick", number=number) for number in (9, 1, 9)]
    assert [one.is_error for one in told] == [True] * 3
    assert [one.content for one in told] == [
        "There is no row 9: the rows are 1 to 3.",
        "The table is empty.",
        "There is no row 9: the rows are 1 to 3." + HINT,
    ]
    assert not caplog.records


async def test_any_other_exception_is_named_and_has_its_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tool
    async def divide(number: int) -> float:
        return number / 0

    told = await answer(dispatcher(divide), "divide", number=1)
    assert told.content == "divide failed: ZeroDivisionError: division by zero"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "divide raised"
    assert record.exc_info is not None


# --- what goes on in a thread ---------------------------------------------------------------


async def test_what_could_not_be_stopped_is_not_met_again() -> None:
    may_end, ended = threading.Event(), threading.Event()

    @tool(writes="path", timeout=0.3)
    def churn(path: str) -> str:
        may_end.wait(30)
        ended.set()
        return path

    @tool(reads="path")
    async def look(path: str) -> str:
        return f"looked at {path}"

    here = dispatcher(churn, look)
    told = await answer(here, "churn", path="a")
    assert told.is_error
    assert "may still take effect" in told.content
    # Beside it: what it touches is refused, however often; anything else is not.
    for _ in range(5):
        refused = await answer(here, "look", path="a/b")
        assert refused.content.startswith("Not run: an earlier call of churn took too long")
        assert HINT not in refused.content
    assert (await answer(here, "look", path="b")).content == "looked at b"
    may_end.set()
    assert ended.wait(10)
    for _ in range(1_000):
        told = await answer(here, "look", path="a/b")
        if not told.is_error:
            break
        await anyio.sleep(0.005)
    assert told.content == "looked at a/b"


async def test_a_call_that_waited_for_a_thread_when_the_run_was_cancelled_did_nothing() -> None:
    may_end = threading.Event()

    @tool
    def wait(number: int) -> str:
        may_end.wait(30)
        return str(number)

    here = dispatcher(wait)
    limiter = current_tool_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 1
    calls = tuple(
        ToolCall(id=f"c{number}", name="wait", arguments=f'{{"number": {number}}}')
        for number in range(3)
    )
    message = AssistantMessage(tool_calls=calls)
    try:
        with anyio.move_on_after(0.5):
            await here.dispatch(message, None, RECORD)
    finally:
        may_end.set()
        limiter.total_tokens = before
    told = [one.content for one in here.answers(message)]
    assert sum("cancelled while wait ran" in one for one in told) == 1
    assert sum("cancelled before wait ran. Nothing" in one for one in told) == 2


# --- what a call touches --------------------------------------------------------------------


async def test_what_is_left_out_touches_its_default(tmp_path: Path) -> None:
    """A list of everything waits for the write before it, though it names no folder."""
    here = dispatcher(write_file, list_files)
    here.context = ToolContext(workspace=tmp_path)
    text = "line\n" * 50_000
    _, listed = await answers(
        here,
        ("write_file", {"path": "a.md", "mode": "create", "content": text}),
        ("list_files", {}),
    )
    assert "a.md" in listed.content
