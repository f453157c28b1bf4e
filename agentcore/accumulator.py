"""Fold stream events into one answer, and judge it: complete, or cut and why.

Endpoints differ in how they number, name and repeat tool calls. What can be told apart by structure
is told apart here; nothing is guessed, and argument text is kept as it was received.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never

from agentcore.arguments import is_open_object, parse_arguments
from agentcore.events import (
    Done,
    FinishReason,
    InStreamError,
    MessageRestart,
    ReasoningDelta,
    ReasoningDetail,
    ResponseInfo,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from agentcore.facts import Phase
from agentcore.kinds import CutCause
from agentcore.messages import AssistantMessage, JsonObject, ToolCall, Usage, mend_surrogates

__all__ = [
    "Accumulator",
    "CallProgress",
    "Complete",
    "Cut",
    "News",
    "Partial",
    "Verdict",
    "closed_call",
    "judge",
]

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
    {"content_filter", "safety", "refusal", "recitation", "prohibited_content", "blocklist"}
)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallProgress:
    """How far one call's arguments have come."""

    position: int
    name: str
    received_bytes: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What came since the last look."""

    text: str
    reasoning: str
    calls: tuple[CallProgress, ...]


@dataclass(slots=True)
class _OpenCall:
    """A call under way."""

    position: int
    id: str
    name: str
    fragments: list[str] = field(default_factory=list)
    extra: JsonObject = field(default_factory=dict)
    ids_vary: bool = False
    """This server gives a fresh id with every fragment: an id then separates nothing."""
    announced: bool = False
    told: int = 0
    """Fragments that a listener has heard of."""
    received_bytes: int = 0
    lines: int = 0

    @property
    def arguments(self) -> str:
        return "".join(self.fragments)

    def looks_closed(self) -> bool:
        """Cheap test first: this is asked for every fragment of a server whose ids vary."""
        last = self.fragments[-1] if self.fragments else ""
        return (
            last.rstrip().endswith(("}", "`", '"'))
            and parse_arguments(mend_surrogates(self.arguments)) is not None
        )


class Accumulator:
    """Feed it the events of one attempt; ask it for the verdict at the end."""

    def __init__(self, *, cumulative_arguments: bool = False) -> None:
        """Start empty.

        Args:
            cumulative_arguments: The endpoint re-sends all arguments so far in each delta. Told by
                the adapter: it cannot be told apart by structure.
        """
        self._cumulative = cumulative_arguments
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._details: dict[tuple[str, str], JsonObject] = {}
        self._calls: list[_OpenCall] = []
        self._by_index: dict[int, _OpenCall] = {}
        self._by_id: dict[str, _OpenCall] = {}
        self._told_text = 0
        self._told_reasoning = 0
        self.finish_reason = ""
        self.done = False
        self.usage: Usage | None = None
        self.generation_id = ""
        self.error: InStreamError | None = None

    def feed(self, event: StreamEvent) -> Phase | None:
        """Take one event in; the phase it belongs to if it bears content, else None."""
        match event:
            case TextDelta(text):
                self._text.append(text)
                return Phase.TEXT if text else None
            case ToolCallDelta():
                return Phase.TOOL_ARGUMENTS if self._feed_call(event) else None
            case ReasoningDelta(text):
                self._reasoning.append(text)
                return Phase.REASONING if text else None
            case ReasoningDetail(detail):
                self._feed_detail(detail)
                return Phase.REASONING
            case UsageReport(usage):
                self.usage = usage
            case FinishReason(reason):
                self.finish_reason = reason.lower()
            case ResponseInfo(id):
                self.generation_id = id
            case InStreamError():
                self.error = self.error or event
            case MessageRestart():
                self._restart()
            case Done():
                self.done = True
            case _:
                assert_never(event)
        return None

    def news(self) -> News | None:
        """What came since the last call, joined; None when nothing did."""
        text = "".join(self._text[self._told_text :])
        reasoning = "".join(self._reasoning[self._told_reasoning :])
        self._told_text, self._told_reasoning = len(self._text), len(self._reasoning)
        calls = tuple(self._progress(call) for call in self._calls if self._has_news(call))
        if not (text or reasoning or calls):
            return None
        return News(text=text, reasoning=reasoning, calls=calls)

    def partial(self, new_id: Callable[[], str], taken: Collection[str] = ()) -> Partial:
        """All that came, with an id for every call that came without one or with one in use.

        A call whose name had not come is left out, and `has_nameless_call` says so.

        Args:
            new_id: Makes an id.
            taken: Ids that the conversation has already used: strict endpoints refuse an id twice.
        """
        used = set(taken)
        calls: list[ToolCall] = []
        for call in self._calls:
            if not call.name:
                continue
            id_ = call.id
            while not id_ or id_ in used:
                id_ = new_id()
            used.add(id_)
            arguments = mend_surrogates(call.arguments)
            calls.append(ToolCall(id=id_, name=call.name, arguments=arguments, extra=call.extra))
        return Partial(
            text=mend_surrogates("".join(self._text)),
            reasoning=mend_surrogates("".join(self._reasoning)),
            reasoning_details=tuple(self._details.values()),
            calls=tuple(calls),
            has_nameless_call=any(not call.name for call in self._calls),
        )

    # --- tool calls -------------------------------------------------------------------------

    def _feed_call(self, delta: ToolCallDelta) -> bool:
        call = self._find(delta)
        began = call is None
        if call is None:
            call = _OpenCall(len(self._calls), delta.id, delta.name)
            self._calls.append(call)
        if delta.index is not None:
            self._by_index[delta.index] = call
        if delta.id:
            call.ids_vary = call.ids_vary or bool(call.id and call.id != delta.id)
            call.id = call.id or delta.id
            self._by_id[delta.id] = call
        call.name = call.name or delta.name
        call.extra.update(delta.extra)
        if not delta.arguments:
            return began
        # Some relays open with an empty object and then send the real one.
        is_real_one = call.fragments == ["{}"] and delta.arguments.lstrip().startswith("{")
        if self._cumulative or is_real_one:
            call.fragments = [delta.arguments]
            call.told = 0
            call.received_bytes = call.lines = 0
        else:
            call.fragments.append(delta.arguments)
        return True

    def _find(self, delta: ToolCallDelta) -> _OpenCall | None:
        """The call that a delta goes on with; None when it opens a new one."""
        known = self._by_id.get(delta.id)
        if delta.index is not None:
            call = self._by_index.get(delta.index)
            if call is not None and known is not None and call.id != delta.id:
                return known
        elif known is not None:
            return known
        else:
            call = self._calls[-1] if self._calls else None
        if call is None:
            return None
        return None if self._opens_anew(delta, call) else call

    def _opens_anew(self, delta: ToolCallDelta, call: _OpenCall) -> bool:
        """A delta that carries the place of a known call: is it another call all the same?"""
        other_id = bool(delta.id and call.id and delta.id != call.id)
        other_name = bool(delta.name and call.name and delta.name != call.name)
        if other_name and (other_id or delta.index is None):
            return True
        if not delta.name or (delta.id and not other_id):
            return False
        if delta.index is not None and call.fragments == ["{}"] and not (other_id or other_name):
            return False
        if call.ids_vary or not delta.id:
            return delta.arguments.lstrip().startswith("{") and call.looks_closed()
        return call.looks_closed()

    def _feed_detail(self, detail: JsonObject) -> None:
        key = (str(detail.get("type")), str(detail.get("index", len(self._details))))
        known = self._details.setdefault(key, {})
        for name, value in detail.items():
            before = known.get(name)
            if name in ("text", "summary", "data") and isinstance(before, str):
                known[name] = before + value if isinstance(value, str) else before
            elif value is not None or name not in known:
                known[name] = value

    def _restart(self) -> None:
        self._text, self._reasoning, self._details = [], [], {}
        self._calls, self._by_index, self._by_id = [], {}, {}
        self._told_text = self._told_reasoning = 0

    @staticmethod
    def _has_news(call: _OpenCall) -> bool:
        return call.told < len(call.fragments) or not call.announced

    @staticmethod
    def _progress(call: _OpenCall) -> CallProgress:
        fresh = "".join(call.fragments[call.told :])
        call.told = len(call.fragments)
        call.announced = True
        call.received_bytes += len(fresh.encode(errors="replace"))
        call.lines += fresh.count("\\n")
        return CallProgress(
            position=call.position,
            name=call.name,
            received_bytes=call.received_bytes,
            lines=call.lines,
        )


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
    if finish_reason in _CAPPED_REASONS or (cap_reached and failure is None):
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
