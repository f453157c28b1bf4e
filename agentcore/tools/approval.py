"""A person's word before a call runs: which calls need it, what is asked, what may be answered.

Whatever goes wrong on the way, the call does not run: an answer that is none, a callback that
raises, a question to nobody.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import anyio.to_thread
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from agentcore.threads import approval_threads
from agentcore.tools.signature import is_async

__all__ = [
    "Answer",
    "ApprovalRequest",
    "Approve",
    "Approved",
    "Denied",
    "NeedsApproval",
    "approve_call",
    "read_answer",
    "reason_to_ask",
]

_log = logging.getLogger("agentcore")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A call that waits for a person's word."""

    tool: str
    """Its name."""
    arguments: Mapping[str, JsonValue]
    """As the function will get them, before they are turned into its types."""
    call_id: str
    reason: str = ""
    """Why this call needs approval; empty when every call of the tool does."""
    secrets: frozenset[str] = frozenset()
    """Arguments with something secret in them (`SecretStr`): a display should not show them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The call may run."""

    arguments: Mapping[str, JsonValue] | None = None
    """All arguments to run it with instead; they are validated. None: those of the model."""

    def note(self, asked: Mapping[str, JsonValue]) -> str:
        """What the model is told beside the result; empty when nothing was changed."""
        if self.arguments is None or dict(self.arguments) == dict(asked):
            return ""
        names = [name for name in {**asked, **self.arguments} if self._differs(name, asked)]
        return f"The user changed {', '.join(names)} of this call."

    def _differs(self, name: str, asked: Mapping[str, JsonValue]) -> bool:
        new = self.arguments or {}
        return name not in asked or name not in new or asked[name] != new[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The call must not run."""

    reason: str = ""
    """For the model: why, and what would do."""


Answer: TypeAlias = bool | str | Approved | Denied
"""True or False, or why not; `Approved(arguments=…)` changes them."""
Approve: TypeAlias = Callable[[ApprovalRequest], Answer | Awaitable[Answer]]
"""Sync or async; a sync one is asked in a thread, so that it may wait for a person."""
NeedsApproval: TypeAlias = bool | Callable[[Mapping[str, JsonValue]], bool | str]
"""For every call, for none, or by its arguments: True, or a text that says why."""


def reason_to_ask(needs: NeedsApproval, fields: Mapping[str, JsonValue]) -> str | None:
    """Why a person is to be asked, which may be an empty text; None when nobody need be.

    A function that raises is answered with asking.
    """
    if not callable(needs):
        return "" if needs else None
    try:
        said = needs(fields)
    except (Exception, SystemExit) as error:
        _log.warning("needs_approval raised, so the user is asked", exc_info=True)
        return f"its own check failed ({type(error).__name__})"
    if isinstance(said, str):
        return said or None
    return "" if said else None


def read_answer(answer: object) -> Approved | Denied:
    """What a callback's answer means; nothing but True and `Approved` lets a call run."""
    match answer:
        case Approved(arguments=None) | Denied():
            return answer
        case Approved():
            return _read_changes(answer)
        case True:
            return Approved()
        case False:
            return Denied()
        case str():
            return Denied(reason=answer.strip())
        case _:
            _log.warning(
                "approve gave %s, which is no answer, so the call is denied; give True, False, a "
                "text that says why not, Approved(…) or Denied(…)",
                type(answer).__name__,
            )
            return Denied(reason="the approval was not answered")


def _read_changes(answer: Approved) -> Approved | Denied:
    """Changed arguments as JSON: what they are compared by, and wait for others by."""
    try:
        return Approved(arguments=_as_json(answer.arguments or {}))
    except (TypeError, ValueError) as error:
        _log.warning(
            "approve gave arguments that are no JSON object, so the call is denied: %s", error
        )
        return Denied(reason="the changes of its arguments could not be read")


def _as_json(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A copy at every depth; a path or a date, which people's code may give, as its text."""
    copy: dict[str, JsonValue] = json.loads(json.dumps(dict(fields), default=to_jsonable_python))
    return copy


async def approve_call(
    tool: str,
    needs: NeedsApproval,
    fields: Mapping[str, JsonValue],
    *,
    call_id: str,
    approve: Approve | None,
    secrets: frozenset[str] = frozenset(),
) -> Approved | Denied:
    """Whether a call may run, with which arguments. Raises nothing but cancellation.

    Args:
        tool: Its name.
        needs: `Tool.needs_approval`.
        fields: The arguments, validated, but as JSON.
        call_id: Of the call.
        approve: The user's callback; None denies whatever needs approval.
        secrets: `Tool.secrets`.
    """
    # Copies: what a function or the callback does to them must not reach the call unseen.
    reason = reason_to_ask(needs, _as_json(fields) if callable(needs) else fields)
    if reason is None:
        return Approved()
    if approve is None:
        return Denied(reason="nobody is there to approve it")
    request = ApprovalRequest(
        tool=tool, arguments=_as_json(fields), call_id=call_id, reason=reason, secrets=secrets
    )
    try:
        if is_async(approve):
            answer: object = approve(request)
        else:
            # In a list: trio takes no bare coroutine from a thread.
            given: list[object] = []
            await anyio.to_thread.run_sync(
                partial(_ask, approve, request, given),
                abandon_on_cancel=True,
                limiter=approval_threads(),
            )
            answer = given[0]
        if isinstance(answer, Awaitable):
            answer = await answer
    except (Exception, SystemExit):
        _log.warning("approve raised, so the call of %s is denied", tool, exc_info=True)
        return Denied(reason="the approval could not be asked for")
    return read_answer(answer)


def _ask(approve: Approve, request: ApprovalRequest, given: list[object]) -> None:
    given.append(approve(request))
