"""What is made of a cut answer: a message that any provider accepts, and the text worth keeping.

A call that the model closed stays as it is and is run. A call that was cut stands in the history
as a *complete* call: its closed fields, and of its large argument the whole lines that arrived,
exactly as they were sent. Guidance answers it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agentcore.arguments import closed_fields, fields_so_far
from agentcore.kinds import CutCause
from agentcore.ledger import Draft, Unfinished
from agentcore.messages import AssistantMessage, JsonObject, ToolCall
from agentcore.verdict import Partial, closed_call

__all__ = [
    "MIN_BYTES",
    "MIN_LINES",
    "CutCall",
    "Draft",
    "Kept",
    "Unfinished",
    "count_lines",
    "draft_text",
    "is_worth_keeping",
    "joined_text",
    "keep",
    "kept_text",
    "last_words",
    "overlap_lines",
    "shown_end",
    "split_lines",
]

MIN_LINES: Final = 20
MIN_BYTES: Final = 2_048
"""From either on, what arrived is kept at the first cut; below it another attempt costs less."""
MIN_TELLING_CHARACTERS: Final = 8
"""A shorter line says nothing when it is repeated."""
MAX_SHOWN_CHARACTERS: Final = 120
"""How much of a stored text's last line guidance shows."""
MAX_LAST_WORDS: Final = 200
_ESCAPE_OR_BREAK = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)|\n", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutCall:
    """One call that was cut: the evidence that its guidance is rendered from."""

    call: ToolCall
    """As it stands in the history: closed fields, and the kept text."""
    fields: JsonObject
    """The fields whose values the model had closed, without the large argument."""
    text: str = ""
    """What is kept of the large argument: whole lines."""
    received_bytes: int
    """UTF-8 bytes of raw argument text that arrived."""
    received_lines: int
    """Escaped line breaks in it: about the lines of the text that was being written."""
    dropped_bytes: int
    """UTF-8 bytes of it that are not kept: what came after the last whole line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A cut answer, ready for the history."""

    message: AssistantMessage
    cut_calls: tuple[CutCall, ...]
    """The calls of `message` that must not be run."""
    cause: CutCause
    dropped_bytes: int
    """UTF-8 bytes of output that arrived and stand nowhere in `message`."""

    @property
    def is_text(self) -> bool:
        """A text answer was cut: it goes on after a user message."""
        return not self.message.tool_calls

    @property
    def kept_bytes(self) -> int:
        """UTF-8 bytes of text that were kept, of calls or of a text answer."""
        texts = [self.message.content] if self.is_text else [cut.text for cut in self.cut_calls]
        return sum(_size(text) for text in texts)

    @property
    def summary(self) -> str:
        """What was kept, in words, for the ledger."""
        if self.is_text:
            return f"{self.kept_bytes:,} bytes of text"
        closed = len(self.message.tool_calls) - len(self.cut_calls)
        parts = [f"{closed} closed call{'s' if closed != 1 else ''}"] if closed else []
        parts += [
            f"{count_lines(cut.text):,} lines of {cut.call.name}"
            if cut.text
            else f"the closed fields of {cut.call.name}"
            for cut in self.cut_calls
        ]
        return "; ".join(parts)


def draft_text(arguments: str, name: str) -> str:
    """The whole lines of one field of a cut argument text, as far as they arrived.

    The last line counts only with its line break: also a value that looks closed may have been
    closed by a gateway that cut it.
    """
    value = fields_so_far(arguments).get(name)
    return value[: value.rfind("\n") + 1] if isinstance(value, str) else ""


def is_worth_keeping(partial: Partial, draft_arguments: Mapping[str, str]) -> bool:
    """At least 20 whole lines or 2 KB arrived of a call's large argument, or 2 KB of a text."""
    if not partial.calls:
        return _size(partial.text) >= MIN_BYTES
    last = partial.calls[-1]
    text = draft_text(last.arguments, draft_arguments.get(last.name, ""))
    return count_lines(text) >= MIN_LINES or _size(text) >= MIN_BYTES


def keep(partial: Partial, cause: CutCause, *, draft_arguments: Mapping[str, str]) -> Kept:
    """Make a history message of a cut answer.

    Args:
        partial: What arrived.
        cause: Why it is not whole.
        draft_arguments: The large argument of each tool that has one, by the tool's name. The last
            call of such a tool counts as cut even when it looks closed, for gateways close what
            they cut.
    """
    calls: list[ToolCall] = []
    cut_calls: list[CutCall] = []
    dropped = 0
    for position, call in enumerate(partial.calls):
        is_last = position == len(partial.calls) - 1
        closed = closed_call(call, may_be_empty=False)
        if closed is not None and not (is_last and call.name in draft_arguments):
            calls.append(closed)
            continue
        if call.name not in draft_arguments and (calls or not is_last):
            # Nothing of it can be kept, and its siblings answer for the turn.
            dropped += _size(call.arguments)
            continue
        cut_calls.append(_cut_call(call, draft_arguments.get(call.name, "")))
        calls.append(cut_calls[-1].call)
    text = partial.text if calls else kept_text(partial.text)
    message = AssistantMessage(
        content=text,
        tool_calls=tuple(calls),
        reasoning=partial.reasoning,
        reasoning_details=partial.reasoning_details,
    )
    dropped += sum(cut.dropped_bytes for cut in cut_calls) + _size(partial.text) - _size(text)
    return Kept(message=message, cut_calls=tuple(cut_calls), cause=cause, dropped_bytes=dropped)


def overlap_lines(before: str, text: str) -> int:
    """How many lines at the beginning of `text` repeat the end of `before`. Exact, never fuzzy.

    Two lines or more count, and one alone where it is like no other: a model is shown the last line
    that is kept, and likes to begin with it; but a brace, or a blank line, is followed by its like.
    Nor do lines count that have already followed themselves in `before`: in such a text (rows that
    are all the same, a table in a rhythm) they come once more because it goes on.
    """
    there, fresh = split_lines(before), split_lines(text)
    count, period = _longest_border(there[-len(fresh) :] if fresh else [], fresh)
    if count == 1:
        is_telling = len(fresh[0].strip()) >= MIN_TELLING_CHARACTERS and there.count(fresh[0]) == 1
        return int(is_telling)
    end = len(there) - count
    earlier = there[max(0, end - period) : end]
    is_rhythm = 2 * period <= count or (
        len(earlier) >= min(2, period) and earlier == fresh[count - len(earlier) : count]
    )
    return 0 if is_rhythm else count


def split_lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one, as in every editor's count."""
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _longest_border(there: list[str], fresh: list[str]) -> tuple[int, int]:
    """The longest end of `there` that begins `fresh`, and its smallest period, both in lines.

    Linear (Knuth, Morris, Pratt).
    """
    fallback = [0] * len(fresh)
    matched = 0
    for position in range(1, len(fresh)):
        while matched and fresh[position] != fresh[matched]:
            matched = fallback[matched - 1]
        matched += fresh[position] == fresh[matched]
        fallback[position] = matched
    matched = 0
    for line in there:
        while matched and (matched == len(fresh) or line != fresh[matched]):
            matched = fallback[matched - 1]
        matched += line == fresh[matched]
    return matched, matched - fallback[matched - 1] if matched else 0


def kept_text(text: str) -> str:
    """What is kept of a text answer that was cut: up to its last line end, or its last word's.

    Half a line would be joined to a continuation that may begin with the whole of it.
    """
    end = text.rfind("\n") + 1
    if end < len(text) // 2:
        end = max(end, text.rfind(" ") + 1)
    return text[:end] if end else text


def last_words(text: str) -> str:
    """The end of a text, to show where it goes on: its last line, of 200 characters at most."""
    lines = [line for line in text.split("\n") if line.strip()]
    return lines[-1][-MAX_LAST_WORDS:] if lines else ""


def shown_end(text: str) -> str:
    """The last line of a text that is stored, as guidance shows it: 120 characters at most."""
    last = split_lines(text)[-1].rstrip("\r\n") if text else ""
    return last if len(last) <= MAX_SHOWN_CHARACTERS else "…" + last[-MAX_SHOWN_CHARACTERS:]


def joined_text(parts: Sequence[str]) -> str:
    """Parts of one text, each without what it repeats of those before; it may begin anew."""
    joined = ""
    for part in parts:
        if part.startswith(joined):
            joined = part
        elif not (_size(part) >= MIN_BYTES and joined.startswith(part)):
            repeated = overlap_lines(joined, part)
            joined += "".join(split_lines(part)[repeated:])
    return joined


def count_lines(text: str) -> int:
    """Lines of a text; only a line feed ends one, and an unended last one counts."""
    return text.count("\n") + (not text.endswith("\n") and bool(text))


def _cut_call(call: ToolCall, draft: str) -> CutCall:
    text = draft_text(call.arguments, draft)
    closed = closed_fields(call.arguments)
    if draft:
        closed.pop(draft, None)
    # In the order in which the model wrote them.
    order = [*fields_so_far(call.arguments), *closed]
    kept = {name: text if text and name == draft else closed[name]
            for name in order if name in closed or (text and name == draft)}  # fmt: skip
    stands = replace(call, arguments=json.dumps(kept, ensure_ascii=False))
    received = _size(call.arguments)
    if text:
        # As it was spelled: an escape takes more bytes than what it stands for.
        dropped = _size(call.arguments[_end_of_last_line(call.arguments) :])
    else:
        dropped = max(0, received - _size(stands.arguments)) if kept else received
    return CutCall(
        call=stands,
        fields=closed,
        text=text,
        received_bytes=received,
        received_lines=call.arguments.count("\\n"),
        dropped_bytes=dropped,
    )


def _end_of_last_line(arguments: str) -> int:
    """Where in an argument text its last line break ends, however it is spelled."""
    end = 0
    for match in _ESCAPE_OR_BREAK.finditer(arguments):
        if match[0].lower() in ("\n", "\\n", "\\u000a"):
            end = match.end()
    return end


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))
