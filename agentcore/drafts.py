"""What is made of a cut answer: a message that any provider accepts in its history.

A call that the model closed stays as it is and is run. A call that was cut stands in the history
as a *complete* call with its closed fields only, never with raw text; guidance answers it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from agentcore.arguments import closed_fields
from agentcore.kinds import CutCause
from agentcore.messages import AssistantMessage, JsonObject, ToolCall
from agentcore.verdict import Partial, closed_call

__all__ = ["CutCall", "Kept", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutCall:
    """One call that was cut: the evidence that its guidance is rendered from."""

    call: ToolCall
    """As it stands in the history: closed fields only."""
    fields: JsonObject
    """The fields whose values the model had closed."""
    received_bytes: int
    """UTF-8 bytes of raw argument text that arrived."""
    received_lines: int
    """Escaped line breaks in it: about the lines of the text that was being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A cut answer, ready for the history."""

    message: AssistantMessage
    cut_calls: tuple[CutCall, ...]
    """The calls of `message` that must not be run."""
    cause: CutCause

    @property
    def summary(self) -> str:
        """What was kept, in words, for the ledger."""
        closed = len(self.message.tool_calls) - len(self.cut_calls)
        names = ", ".join(cut.call.name for cut in self.cut_calls)
        parts = [f"{closed} closed call{'s' if closed != 1 else ''}"] if closed else []
        if self.cut_calls:
            parts.append(f"the closed fields of {names}, its text dropped")
        return "; ".join(parts)


def keep(partial: Partial, cause: CutCause, *, draft_arguments: Mapping[str, str]) -> Kept:
    """Make a history message of a cut answer.

    Args:
        partial: What arrived.
        cause: Why it is not whole.
        draft_arguments: The large argument of each tool that has one, by the tool's name. The last
            call of such a tool counts as cut even when it looks closed, for gateways close what
            they cut; its large argument never stands in the history.
    """
    calls: list[ToolCall] = []
    cut_calls: list[CutCall] = []
    for position, call in enumerate(partial.calls):
        is_last = position == len(partial.calls) - 1
        closed = closed_call(call, may_be_empty=False)
        if closed is not None and not (is_last and call.name in draft_arguments):
            calls.append(closed)
            continue
        fields = closed_fields(call.arguments)
        if call.name in draft_arguments:
            fields.pop(draft_arguments[call.name], None)
        calls.append(replace(call, arguments=json.dumps(fields, ensure_ascii=False)))
        cut_calls.append(
            CutCall(
                call=calls[-1],
                fields=fields,
                received_bytes=len(call.arguments.encode(errors="replace")),
                received_lines=call.arguments.count("\\n"),
            )
        )
    message = AssistantMessage(
        content=partial.text,
        tool_calls=tuple(calls),
        reasoning=partial.reasoning,
        reasoning_details=partial.reasoning_details,
    )
    return Kept(message=message, cut_calls=tuple(cut_calls), cause=cause)
