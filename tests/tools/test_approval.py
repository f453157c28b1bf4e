"""Approval: who is asked, what is asked, and that nothing runs unless the answer is yes."""

import logging
import threading
from collections.abc import Mapping

import anyio
import pytest
from pydantic import JsonValue

from agentcore import ApprovalRequest, Approved, ConfigurationError, Denied, tool
from agentcore.settings import checked_tools
from agentcore.tools.approval import (
    Answer,
    Approve,
    NeedsApproval,
    approve_call,
    read_answer,
    reason_to_ask,
)

FIELDS: dict[str, JsonValue] = {"path": "a.txt", "lines": [1, 2]}


async def asked(approve: Approve | None, needs: NeedsApproval = True) -> Approved | Denied:
    return await approve_call("shred", needs, FIELDS, call_id="call-1", approve=approve)


def fails(fields: Mapping[str, JsonValue]) -> bool:
    raise KeyError(fields["gone"])


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        (False, None),
        (True, ""),
        (lambda fields: False, None),
        (lambda fields: "", None),
        (lambda fields: True, ""),
        (lambda fields: f"{fields['path']} is not ours", "a.txt is not ours"),
        (fails, "its own check failed (KeyError)"),
    ],
    ids=["never", "always", "no", "no reason", "yes", "a reason", "raises"],
)
def test_a_call_needs_approval_always_never_or_by_its_arguments(
    needs: NeedsApproval, reason: str | None
) -> None:
    assert reason_to_ask(needs, FIELDS) == reason


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        (True, Approved()),
        (False, Denied()),
        (" not on a Friday ", Denied(reason="not on a Friday")),
        ("", Denied()),
        # A text is a reason against, whatever it says.
        ("yes", Denied(reason="yes")),
        (Approved(arguments={"path": "b.txt"}), Approved(arguments={"path": "b.txt"})),
        (Denied(reason="no"), Denied(reason="no")),
    ],
)
def test_an_answer_is_read(answer: Answer, meant: Approved | Denied) -> None:
    assert read_answer(answer) == meant


@pytest.mark.parametrize("answer", [None, 1, 0, ["yes"], object(), Approved])
def test_what_is_no_answer_denies(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "agentcore"):
        assert read_answer(answer) == Denied(reason="the approval was not answered")
    assert "which is no answer" in caplog.text


async def test_the_callback_sees_the_call_and_may_wait_in_its_thread() -> None:
    seen: list[tuple[ApprovalRequest, bool]] = []

    def approve(request: ApprovalRequest) -> bool:
        seen.append((request, threading.current_thread() is threading.main_thread()))
        return True

    assert await asked(approve, lambda fields: "it is gone then") == Approved()
    request = ApprovalRequest(
        tool="shred", arguments=FIELDS, call_id="call-1", reason="it is gone then"
    )
    assert seen == [(request, False)]


async def test_the_callback_may_be_async_or_give_an_awaitable() -> None:
    async def approve(request: ApprovalRequest) -> Answer:
        await anyio.lowlevel.checkpoint()
        return Denied(reason=request.tool)

    class Asker:
        async def __call__(self, request: ApprovalRequest) -> Answer:
            return await approve(request)

    for one in (approve, lambda request: approve(request), Asker()):
        assert await asked(one) == Denied(reason="shred")


async def test_nobody_is_asked_about_a_call_that_needs_no_approval() -> None:
    def approve(request: ApprovalRequest) -> bool:
        raise AssertionError(request)

    assert await asked(approve, needs=False) == Approved()


async def test_a_callback_that_raises_denies(caplog: pytest.LogCaptureFixture) -> None:
    def approve(request: ApprovalRequest) -> bool:
        raise OSError("no terminal")

    with caplog.at_level(logging.WARNING, "agentcore"):
        assert await asked(approve) == Denied(reason="the approval could not be asked for")
    assert "no terminal" in caplog.text


async def test_without_a_callback_it_is_denied() -> None:
    assert await asked(None) == Denied(reason="nobody is there to approve it")


async def test_a_callback_cannot_change_the_call_unseen() -> None:
    def approve(request: ApprovalRequest) -> bool:
        lines = request.arguments["lines"]
        assert isinstance(lines, list)
        lines.append(3)
        return True

    await asked(approve)
    assert FIELDS == {"path": "a.txt", "lines": [1, 2]}


async def test_a_run_that_is_cancelled_does_not_wait_for_a_person() -> None:
    begun, answered = threading.Event(), threading.Event()

    def approve(request: ApprovalRequest) -> bool:
        begun.set()
        return answered.wait(20)

    try:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(asked, approve)
                await anyio.to_thread.run_sync(begun.wait)
                tasks.cancel_scope.cancel()
    finally:
        answered.set()


def test_the_model_is_told_what_was_changed() -> None:
    assert Approved().note(FIELDS) == ""
    assert Approved(arguments=dict(FIELDS)).note(FIELDS) == ""
    changed = Approved(arguments={"path": "b.txt", "lines": [1, 2], "mode": "x"})
    assert changed.note(FIELDS) == "The user changed path, mode of this call."
    assert Approved(arguments={"path": "a.txt"}).note(FIELDS) == (
        "The user changed lines of this call."
    )


def test_a_tool_that_needs_approval_needs_somebody_to_ask() -> None:
    @tool(needs_approval=True)
    def shred(path: str) -> str:
        return path

    with pytest.raises(ConfigurationError, match=r"'shred' needs approval.*approve=…"):
        checked_tools([shred], ())
    assert checked_tools([shred], (), approve=lambda request: True) == (shred,)
