"""Is an answer complete, or cut and why? Finish reasons lie; the argument text decides."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TypeAlias

from agentcore.arguments import is_open_object, parse_arguments
from agentcore.kinds import CutCause
from agentcore.messages import AssistantMessage, JsonObject, ToolCall, Usage

__all__ = ["Complete", "Cut", "Partial", "Verdict", "closed_call", "judge"]

_COMPLETE_REASONS = frozenset(
    {
        "stop", "tool_calls", "function_call", "end_turn", "stop_sequence", "tool_use", "eos",
        "completed", "complete",
    }
)  # fmt: skip
_CAPPED_REASONS = frozenset(
    {
        "length", "max_tokens", "max_output_tokens", "model_length",
        "model_context_window_exceeded",
    }
)  # fmt: skip
_FILTERED_REASONS = frozenset(
    {
        "content_filter", "safety", "refusal", "recitation", "prohibited_content", "blocklist",
        "sensitive",  # Z.ai
    }
)  # fmt: skip
_MALFORMED_REASONS = frozenset({"malformed_function_call", "unexpected_tool_call"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What came of an answer, whole or not: the one form in which received output is passed on."""

    text: str = ""
    reasoning: str = ""
    reasoning_details: tuple[JsonObject, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    """In order of their first appearance, each with its raw argument text."""
    has_nameless_call: bool = False
    """A call came whose name did not: no tool can answer it, no history hold it."""

    @property
    def size_bytes(self) -> int:
        """UTF-8 bytes of text, reasoning and arguments."""
        texts = (self.text, self.reasoning, *(call.arguments for call in self.calls))
        return sum(len(text.encode(errors="replace")) for text in texts)

    @property
    def is_empty(self) -> bool:
        """Nothing that a display could have shown, and no call begun."""
        return not (self.text or self.reasoning or self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The model said all it wanted to say, and closed every call."""

    message: AssistantMessage
    usage: Usage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The answer is not whole."""

    cause: CutCause
    partial: Partial
    usage: Usage | None


Verdict: TypeAlias = Complete | Cut


def closed_call(call: ToolCall, *, may_be_empty: bool) -> ToolCall | None:
    """The call, if the model closed its arguments itself; None when it did not.

    Arguments that needed a lossless repair come back as plain JSON: they are sent again with every
    later request, and strict endpoints refuse what is not.

    Args:
        call: The call, with its raw argument text.
        may_be_empty: A terminal signal came and the tool requires nothing, so that no text at all
            (or `null`) means `{}`.
    """
    if call.arguments.strip() in ("", "null"):
        return replace(call, arguments="{}") if may_be_empty else None
    arguments = parse_arguments(call.arguments)
    if arguments is None or not arguments.repairs:
        return call if arguments is not None else None
    return replace(call, arguments=json.dumps(arguments.fields, ensure_ascii=False))


def judge(
    partial: Partial,
    *,
    finish_reason: str,
    done: bool,
    done_is_terminal: bool,
    failure: CutCause | None,
    usage: Usage | None,
    output_limit: int | None,
    no_argument_tools: Collection[str] = (),
    may_be_empty: bool = True,
) -> Verdict:
    """Judge an answer. Finish reasons lie; the argument text decides.

    Args:
        partial: All that came.
        finish_reason: The endpoint's word, lower case; empty when none came.
        done: The `[DONE]` line came.
        done_is_terminal: This endpoint sends no finish reasons: `[DONE]` is the terminal signal.
        failure: What ended the stream when it was not its own end. After a terminal signal it does
            not matter any more.
        usage: As reported, if it was.
        output_limit: The cap that was sent, in tokens.
        no_argument_tools: Names of the tools that require no argument.
        may_be_empty: Nothing at all is an answer here, as it is to a tool's result. To a prompt it
            is none: LiteLLM calls a stream that was lost before its first event stopped.
    """
    cause = _cause(
        partial,
        finish_reason=finish_reason,
        terminal=finish_reason in _COMPLETE_REASONS
        or (done and done_is_terminal and failure is None),
        failure=failure,
        cap_reached=bool(output_limit and usage and usage.output_tokens >= output_limit),
        no_argument_tools=no_argument_tools,
    )
    if cause is None and partial.is_empty and not may_be_empty:
        cause = CutCause.ENDED
    if cause is not None:
        return Cut(cause=cause, partial=partial, usage=usage)
    message = AssistantMessage(
        content=partial.text,
        tool_calls=tuple(
            closed
            for call in partial.calls
            if (closed := closed_call(call, may_be_empty=True)) is not None
        ),
        reasoning=partial.reasoning,
        reasoning_details=partial.reasoning_details,
    )
    return Complete(message=message, usage=usage)


def _cause(
    partial: Partial,
    *,
    finish_reason: str,
    terminal: bool,
    failure: CutCause | None,
    cap_reached: bool,
    no_argument_tools: Collection[str],
) -> CutCause | None:
    if finish_reason in _FILTERED_REASONS:
        return CutCause.FILTERED
    if finish_reason in _CAPPED_REASONS or (cap_reached and (terminal or failure is None)):
        return CutCause.CAPPED
    if finish_reason in _MALFORMED_REASONS:
        return CutCause.MALFORMED
    if not terminal:
        return failure or CutCause.ENDED
    promised = finish_reason in ("tool_calls", "tool_use", "function_call")
    if partial.has_nameless_call or (promised and not partial.calls):
        return CutCause.MALFORMED
    for call in partial.calls:
        if closed_call(call, may_be_empty=call.name in no_argument_tools) is None:
            # A prefix is a lie about the ending; anything else, a model that cannot spell.
            return CutCause.ENDED if is_open_object(call.arguments) else CutCause.MALFORMED
    return None
