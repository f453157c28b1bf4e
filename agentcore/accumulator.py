"""Fold stream events into one answer, as it was received.

Endpoints differ in how they number, name and repeat tool calls. What can be told apart by structure
is told apart here; nothing is guessed, and argument text is kept as it was received.
"""

import re
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, field
from typing import assert_never

from agentcore.arguments import parse_arguments
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
from agentcore.messages import JsonObject, ToolCall, Usage, mend_surrogates
from agentcore.text_buffer import TextBuffer
from agentcore.verdict import Partial

__all__ = ["Accumulator", "CallProgress", "News", "Unsaved", "UnsavedCall"]

_BRACKET = re.compile(rb'\\.|["{}\[\]]', re.DOTALL)


@dataclass(slots=True)
class CallProgress:
    """How far one call's arguments have come."""

    position: int
    name: str
    received_bytes: int
    lines: int


@dataclass(slots=True)
class News:
    """What came since the last look."""

    restarted: bool
    """What was told of this answer before is void: a whole message came after its deltas."""
    text: str
    reasoning: str
    calls: list[CallProgress]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsavedCall:
    """What is not saved yet of one call."""

    position: int
    id: str
    """Empty while none has come; so with the name."""
    name: str
    fragment: str
    """Raw argument text; it may begin or end with half of a surrogate pair."""
    anew: bool
    """It takes the place of all argument text that was saved of this call before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaved:
    """What is not saved yet of an answer."""

    restarted: bool
    """What was saved of this answer before is void."""
    text: str
    """It may begin or end with half of a surrogate pair; so may `reasoning`."""
    reasoning: str
    details: tuple[JsonObject, ...]
    """Pieces of structured reasoning blocks, as they came."""
    calls: tuple[UnsavedCall, ...]


@dataclass(slots=True)
class _OpenCall:
    """A call under way."""

    position: int
    id: str
    name: str
    raw: TextBuffer = field(default_factory=TextBuffer)
    """Argument text, as it came."""
    is_placeholder: bool = False
    """It is an empty object that came at once: the real one may follow."""
    extra: JsonObject = field(default_factory=dict)
    ids_vary: bool = False
    """This server gives a fresh id with every fragment: an id then separates nothing."""
    announced: bool = False
    told: int = 0
    """Bytes that a listener has heard of."""
    lines: int = 0
    saved: int = 0
    """Bytes that `unsaved` gave, and that stand at the beginning of what is here."""
    anew: bool = False
    saved_as: tuple[str, str] | None = None
    """The id and the name that it gave; None before it gave anything."""

    scanned: int = 0
    """Bytes that `is_balanced` has seen."""
    depth: int = 0
    in_string: bool = False
    opened: bool = False

    @property
    def arguments(self) -> str:
        return self.raw.text()

    def start_over(self, arguments: str) -> int:
        """What came was not the arguments; this is. Says how many characters of it are new."""
        before = self.arguments
        goes_on = arguments.startswith(before)
        if not goes_on:
            self.anew = self.anew or self.saved > 0
            self.saved = 0
        self.raw.clear()
        self.raw.append(arguments)
        self.is_placeholder = arguments == "{}"
        self.told = self.lines = self.scanned = self.depth = 0
        self.in_string = self.opened = False
        return len(arguments) - (len(before) if goes_on else 0)

    def is_balanced(self) -> bool:
        """Every bracket of the arguments is closed.

        Each byte is scanned once: a server whose ids vary makes this a question for all.
        """
        rest = self.raw.data(self.scanned)
        if (len(rest) - len(rest.rstrip(b"\\"))) % 2:
            del rest[-1]  # what this backslash escapes has not come
        self.scanned += len(rest)
        for token in _BRACKET.findall(rest):
            if token == b'"':
                self.in_string = not self.in_string
                # A string on the outside: arguments that were encoded twice.
                self.opened = self.opened or (self.depth == 0 and not self.in_string)
            elif len(token) == 1 and not self.in_string:
                self.depth += 1 if token in b"{[" else -1
                self.opened = True
        return self.opened and self.depth <= 0 and not self.in_string

    def looks_closed(self) -> bool:
        return self.is_balanced() and parse_arguments(mend_surrogates(self.arguments)) is not None


class Accumulator:
    """Feed it the events of one attempt; ask it for the verdict at the end."""

    def __init__(self, *, cumulative_arguments: bool = False, saves_details: bool = False) -> None:
        """Start empty.

        Args:
            cumulative_arguments: The endpoint re-sends all arguments so far in each delta. Told by
                the adapter: it cannot be told apart by structure.
            saves_details: `unsaved` is to give the pieces of structured reasoning too.
        """
        self._cumulative = cumulative_arguments
        self._saves_details = saves_details
        self._text = TextBuffer()
        self._reasoning = TextBuffer()
        self._details: dict[tuple[str, str], JsonObject] = {}
        self._detail_texts: dict[tuple[tuple[str, str], str], list[str]] = {}
        self._calls: list[_OpenCall] = []
        self._by_index: dict[int, _OpenCall] = {}
        self._by_id: dict[str, _OpenCall] = {}
        self._told_text = 0
        self._told_reasoning = 0
        self._half_text = self._half_reasoning = ""
        self._restarted = False
        self._saved_text = self._saved_reasoning = 0
        self._unsaved_details: list[JsonObject] = []
        self._saved_is_void = False
        self.unsaved_size = 0
        """About how many characters `unsaved` would give: to ask whether it is worth a call."""
        self.finish_reason = ""
        self.went_on = False
        """Content came after a finish reason: on this endpoint it ends nothing."""
        self.done = False
        self.usage: Usage | None = None
        self._info: ResponseInfo | None = None
        self.generation_id = ""
        self.served_model = self.host = ""
        self.error: InStreamError | None = None

    def feed(self, event: StreamEvent) -> Phase | None:
        """Take one event in; the phase it belongs to if it bears content, else None."""
        if event is self._info:
            return None  # every chunk of an answer repeats it
        phase = None
        match event:
            case TextDelta():
                self._text.append(event.text)
                self.unsaved_size += len(event.text)
                phase = Phase.TEXT if event.text else None
            case ToolCallDelta():
                phase = Phase.TOOL_ARGUMENTS if self._feed_call(event) else None
            case ReasoningDelta():
                self._reasoning.append(event.text)
                phase = Phase.REASONING if event.text else None
            case ReasoningDetail(detail):
                phase = Phase.REASONING if self._feed_detail(detail) else None
            case UsageReport(usage):
                self.usage = usage
            case FinishReason(reason):
                self.finish_reason = reason.lower()
            case ResponseInfo():
                self._feed_info(event)
            case InStreamError():
                self.error = self.error or event
            case MessageRestart():
                self._restart()
            case Done():
                self.done = True
            case _:
                assert_never(event)
        if phase is not None and self.finish_reason:
            self.went_on = True
        return phase

    @property
    def is_empty(self) -> bool:
        """Nothing that a display could have shown has come."""
        return not (self._text or self._reasoning or self._calls)

    @property
    def is_ending(self) -> bool:
        """A finish reason, `[DONE]` or an error came; more may follow all the same."""
        return bool(self.finish_reason) or self.done or self.error is not None

    @property
    def text_bytes(self) -> int:
        """Of the answer's text so far."""
        return len(self._text)

    def calls_any(self, names: Container[str]) -> bool:
        """Whether one of these tools is called."""
        return any(call.name in names for call in self._calls)

    def news(self) -> News | None:
        """What came since the last call, joined; None when nothing did."""
        text = reasoning = ""
        calls: list[CallProgress] = []
        if self._told_text < (end := len(self._text)):
            text, self._half_text = _whole(self._half_text + self._text.text(self._told_text))
            self._told_text = end
        if self._told_reasoning < (end := len(self._reasoning)):
            fresh = self._half_reasoning + self._reasoning.text(self._told_reasoning)
            reasoning, self._half_reasoning = _whole(fresh)
            self._told_reasoning = end
        if self._calls:
            calls = [self._progress(call) for call in self._calls if self._has_news(call)]
        if not (text or reasoning or calls or self._restarted):
            return None
        restarted, self._restarted = self._restarted, False
        return News(restarted, text, reasoning, calls)

    def unsaved(self) -> Unsaved | None:
        """What came since the last call, for a disk; None when nothing did.

        It knows nothing of `news`. The work is in proportion to what is new, also where an endpoint
        repeats all arguments with every delta.
        """
        text = self._text.text(self._saved_text)
        reasoning = self._reasoning.text(self._saved_reasoning)
        self._saved_text, self._saved_reasoning = len(self._text), len(self._reasoning)
        details, self._unsaved_details = tuple(self._unsaved_details), []
        calls = tuple(self._unsaved_call(call) for call in self._calls if self._is_unsaved(call))
        restarted, self._saved_is_void = self._saved_is_void, False
        self.unsaved_size = 0
        if not (text or reasoning or details or calls or restarted):
            return None
        return Unsaved(
            restarted=restarted, text=text, reasoning=reasoning, details=details, calls=calls
        )

    def partial(self, new_id: Callable[[], str], taken: Collection[str] = ()) -> Partial:
        """All that came, with an id for every call that came without one or with one in use.

        A call whose name had not come is left out, and `has_nameless_call` says so.

        Args:
            new_id: Makes an id.
            taken: Ids that the conversation has already used: strict endpoints refuse an id twice.
        """
        used: set[str] = set()
        calls: list[ToolCall] = []
        for call in self._calls:
            if not call.name:
                continue
            id_ = call.id
            while not id_ or id_ in used or id_ in taken:
                id_ = new_id()
            used.add(id_)
            arguments = mend_surrogates(call.arguments)
            calls.append(ToolCall(id=id_, name=call.name, arguments=arguments, extra=call.extra))
        return Partial(
            text=mend_surrogates(self._text.text()),
            reasoning=mend_surrogates(self._reasoning.text()),
            reasoning_details=self._joined_details(),
            calls=tuple(calls),
            has_nameless_call=any(not call.name for call in self._calls),
        )

    def _feed_info(self, info: ResponseInfo) -> None:
        self._info = info
        self.generation_id = info.id or self.generation_id
        self.served_model = info.model or self.served_model
        self.host = info.host or self.host

    # --- tool calls -------------------------------------------------------------------------

    def _feed_call(self, delta: ToolCallDelta) -> bool:
        began = False
        if delta.id or delta.name or delta.extra or delta.index not in self._by_index:
            call = self._find(delta)
            if call is None:
                began = True
                call = _OpenCall(len(self._calls), delta.id, delta.name)
                self._calls.append(call)
            self._name(call, delta)
        else:
            call = self._by_index[delta.index]  # nearly every delta
        if not delta.arguments:
            return began
        # Some relays open with an empty object and then send the real one.
        is_real_one = call.is_placeholder and delta.arguments.lstrip().startswith("{")
        if self._cumulative or is_real_one:
            self.unsaved_size += call.start_over(delta.arguments)
        else:
            call.is_placeholder = delta.arguments == "{}" and not call.raw
            call.raw.append(delta.arguments)
            self.unsaved_size += len(delta.arguments)
        return True

    def _name(self, call: _OpenCall, delta: ToolCallDelta) -> None:
        """Take in what a delta says of its call beside arguments."""
        if delta.index is not None:
            self._by_index[delta.index] = call
        if delta.id:
            call.ids_vary = call.ids_vary or bool(call.id and call.id != delta.id)
            call.id = call.id or delta.id
            self._by_id[delta.id] = call
        call.name = call.name or delta.name
        call.extra.update(delta.extra)

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
        if other_id and delta.name and not (call.raw or delta.arguments):
            return True  # two openings in a row
        if not delta.name or (delta.id and not other_id):
            return False
        if delta.index is not None and call.is_placeholder and not (other_id or other_name):
            return False
        if call.ids_vary or not delta.id:
            return delta.arguments.lstrip().startswith("{") and call.looks_closed()
        return call.looks_closed()

    def _feed_detail(self, detail: JsonObject) -> bool:
        """Merge a piece of a reasoning block; True when it says something."""
        if self._saves_details:
            self._unsaved_details.append(detail)
        key = (str(detail.get("type")), str(detail.get("index", len(self._details))))
        known = self._details.setdefault(key, {})
        says_something = False
        for name, value in detail.items():
            if name in ("text", "summary", "data") and isinstance(value, str):
                self._detail_texts.setdefault((key, name), []).append(value)
                says_something = says_something or bool(value)
            elif value is not None or name not in known:
                known[name] = value
        return says_something

    def _joined_details(self) -> tuple[JsonObject, ...]:
        joined = {key: dict(detail) for key, detail in self._details.items()}
        for (key, name), pieces in self._detail_texts.items():
            joined[key][name] = mend_surrogates("".join(pieces))
        return tuple(joined.values())

    def _restart(self) -> None:
        self._restarted = self._restarted or bool(
            self._told_text or self._told_reasoning or any(c.announced for c in self._calls)
        )
        self._saved_is_void = self._saved_is_void or bool(
            self._saved_text
            or self._saved_reasoning
            or any(call.saved_as is not None for call in self._calls)
        )
        self._saved_text = self._saved_reasoning = self.unsaved_size = 0
        self._unsaved_details = []
        self._text, self._reasoning = TextBuffer(), TextBuffer()
        self._details, self._detail_texts = {}, {}
        self._calls, self._by_index, self._by_id = [], {}, {}
        self._told_text = self._told_reasoning = 0
        self._half_text = self._half_reasoning = ""

    @staticmethod
    def _has_news(call: _OpenCall) -> bool:
        return call.told < len(call.raw) or not call.announced

    @staticmethod
    def _is_unsaved(call: _OpenCall) -> bool:
        return call.saved < len(call.raw) or call.saved_as != (call.id, call.name)

    @staticmethod
    def _unsaved_call(call: _OpenCall) -> UnsavedCall:
        fragment = call.raw.text(call.saved)
        anew, call.anew = call.anew, False
        call.saved, call.saved_as = len(call.raw), (call.id, call.name)
        return UnsavedCall(
            position=call.position, id=call.id, name=call.name, fragment=fragment, anew=anew
        )

    @staticmethod
    def _progress(call: _OpenCall) -> CallProgress:
        # A backslash that was told last may have its letter only now.
        call.lines += call.raw.data(max(0, call.told - 1)).count(b"\\n")
        call.told = len(call.raw)
        call.announced = True
        return CallProgress(call.position, call.name, call.told, call.lines)


def _whole(text: str) -> tuple[str, str]:
    """Text, and half of a surrogate pair at its end, which waits for its other half."""
    if text.isascii():
        return text, ""
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    return mend_surrogates(text.removesuffix(half)), half
