"""The price of the history: what a request repeats of texts that are on disk already. Pure.

A long write grows the conversation by its own sections. Past a share of the window, the oldest of
them that are verified to be on disk are replaced in the request by one line each; the stored
messages keep all.
"""

import json
import posixpath
import re
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from hashlib import sha256
from typing import Final, TypeAlias

from pydantic_core import to_json

from agentcore.arguments import parse_arguments
from agentcore.errors import ConfigurationError
from agentcore.ledger import estimate_tokens
from agentcore.messages import AssistantMessage, JsonObject, Message, ToolCall, ToolSpec

__all__ = [
    "KEEP_LATEST",
    "KeepUnder",
    "MessageTokens",
    "Section",
    "as_told_elsewhere",
    "compact",
    "find_sections",
    "has_stand_in",
    "message_tokens",
]

KEEP_LATEST: Final = 2
"""So many sections are never replaced: in them the model hears its own voice."""
STEP: Final = 0.75
"""Past the limit, room is made down to this share of it. Each replacement changes the beginning of
the request, which is what a prompt cache holds; made in steps, most requests share theirs."""
SHOWN_DIGITS: Final = 12

_STAND_IN = re.compile(
    rf'^[ \t]*\[left out: lines \d+ to \d+ of ".*", on disk, sha256 [0-9a-f]{{{SHOWN_DIGITS}}}\]',
    re.M,
)


def as_told_elsewhere(messages: Sequence[Message]) -> list[Message]:
    """Messages without what only the endpoint that gave them can read: signatures of reasoning.

    Another one refuses them, or a request that has them (litellm documents it of Claude's thinking
    blocks; OpenAI and Mistral refuse unknown fields of a message).
    """
    return [
        replace(
            message,
            reasoning_details=(),
            tool_calls=tuple(replace(call, extra={}) for call in message.tool_calls),
        )
        if isinstance(message, AssistantMessage)
        else message
        for message in messages
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepUnder:
    """The default history: messages and tools stay under a share of the model's window.

    Where the window is not known nothing is replaced: there is no figure to keep under, and a
    guess would take sections away from a model that has room for them. So it is with a server of
    one's own, until `window_tokens` names its window.
    """

    share: float = 0.5
    """Of the window, `0 < share <= 1`; the rest is for the answer and for what estimates miss."""
    window_tokens: int | None = None
    """Tokens: the window, where you know it better; None means the model family's figure."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigurationError(
                f"KeepUnder(share={self.share!r}): must be above 0 and at most 1, as in 0.5 for "
                "half of the window"
            )
        if self.window_tokens is not None and not self.window_tokens >= 1:
            raise ConfigurationError(
                f"KeepUnder(window_tokens={self.window_tokens!r}): must be at least 1, or None for "
                "the model's own"
            )

    def limit_tokens(self, window_tokens: int | None, tools: Sequence[ToolSpec] = ()) -> int | None:
        """Tokens that the messages may take; 0 or less when the tools alone take the share.

        Args:
            window_tokens: The window as the family has it; None when it is not known.
            tools: Those on offer, whose schemas are part of the request.
        """
        window = self.window_tokens if self.window_tokens is not None else window_tokens
        if window is None:
            return None
        told = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in tools
        ]
        return int(window * self.share) - estimate_tokens(_size(told))


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A text of a call's large argument that is verified to be on disk."""

    path: str
    """As the call names it."""
    first_line: int
    """Counted from 1."""
    last_line: int
    """Inclusive."""
    digest: str
    """SHA-256, in hex, of exactly the call's text, in UTF-8."""

    @property
    def stand_in(self) -> str:
        """The line that takes the place of the text in a request."""
        path = json.dumps(self.path, ensure_ascii=False)
        return (
            f"[left out: lines {self.first_line} to {self.last_line} of {path}, on disk, "
            f"sha256 {self.digest[:SHOWN_DIGITS]}]"
        )


def message_tokens(messages: Sequence[Message]) -> int:
    """Tokens of messages, estimated as everywhere: UTF-8 bytes of their JSON ÷ 3."""
    return MessageTokens().of(messages)


class MessageTokens:
    """The same for a conversation that grows: each message is measured once, by identity."""

    def __init__(self) -> None:
        self._sizes: dict[int, tuple[Message, int]] = {}

    def of(self, messages: Sequence[Message]) -> int:
        """Tokens of messages."""
        known, size = self._sizes, _BRACKET
        for message in messages:
            entry = known.get(id(message))
            if entry is None:
                entry = known[id(message)] = message, _message_size(message)
            size += entry[1]
        return estimate_tokens(size)


def compact(
    messages: Sequence[Message],
    *,
    limit_tokens: int,
    sections: Mapping[str, Section],
    draft_arguments: Mapping[str, str],
) -> tuple[Message, ...]:
    """The messages of a request, the oldest sections replaced when they pass the limit.

    Every call stays, as an object with the same fields in the same order; nothing but the large
    argument changes. Nothing is remembered between requests: what earlier ones replaced is found
    again from the messages, so that for a conversation that grows the set grows in steps (`STEP`).

    Args:
        messages: A valid conversation.
        limit_tokens: Of the messages; it is passed only when nothing is left to replace but the
            latest sections.
        sections: Tool call id → its text on disk. A call whose text is another is left alone.
        draft_arguments: The large argument of each tool that has one, by the tool's name.
    """
    messages = tuple(messages)
    sizes = [_message_size(message) for message in messages]
    if estimate_tokens(_BRACKET + sum(sizes)) <= limit_tokens:
        return messages
    shorter: dict[_Place, ToolCall] = {}
    for position, message in enumerate(messages):
        for index, call in enumerate(_calls(message)):
            section = sections.get(call.id)
            stand_in = _shorten(call, section, draft_arguments) if section is not None else None
            if stand_in is not None:
                shorter[position, index] = stand_in
    replaced = _replaced(messages, sizes, limit_tokens, shorter)
    return tuple(_with_calls(*numbered, replaced) for numbered in enumerate(messages))


def find_sections(
    messages: Sequence[Message],
    *,
    draft_arguments: Mapping[str, str],
    path_arguments: Mapping[str, str],
    read: Callable[[str], bytes | None],
) -> dict[str, Section]:
    """The calls whose whole text stands in the file that they name, now, as whole lines.

    Whoever wrote it there, and wherever in the file it came to stand: also the kept part of a cut
    call counts, and so do the calls of an earlier run. Line ends and a byte-order mark are not
    compared. A text that was changed on disk since is no section: it stays in the history.

    Args:
        messages: The conversation.
        draft_arguments: The large argument of each tool that has one, by the tool's name.
        path_arguments: The argument that names the file, likewise.
        read: The bytes of a file; None when there is none. Called once for each path.
    """
    files: dict[str, _File] = {}
    sections: dict[str, Section] = {}
    for call in (call for message in messages for call in _calls(message)):
        fields, text = _draft(call, draft_arguments)
        path = fields.get(path_arguments.get(call.name, ""))
        if not text or not isinstance(path, str):
            continue
        file = posixpath.normpath(path)
        if file not in files:
            files[file] = _File(data=_plain(read(path) or b""))
        lines = files[file].find(_plain(text.encode()))
        if lines is not None:
            first, last = lines
            sections[call.id] = Section(
                path=path, first_line=first, last_line=last, digest=_digest(text)
            )
    return sections


def has_stand_in(text: str) -> bool:
    """A line of a text is a stand-in: a model took it for its own words, and would write it."""
    return _STAND_IN.search(text) is not None


# --- which calls, and how ------------------------------------------------------------------------

_Place: TypeAlias = tuple[int, int]
"""Of a call: the message's position, and the call's in it."""

_BRACKET: Final = 1
"""Bytes: of a list's two, one is in each message's size, in place of the comma."""


def _replaced(
    messages: Sequence[Message],
    sizes: Sequence[int],
    limit_tokens: int,
    shorter: Mapping[_Place, ToolCall],
) -> dict[_Place, ToolCall]:
    """Go through the requests that led here, one before each answer, and make room as they did.

    So a request replaces what the one before it did, and more only when it passes the limit
    itself.
    """
    replaced: dict[_Place, ToolCall] = {}
    whole: deque[_Place] = deque()
    size = _BRACKET
    for position, message in enumerate((*messages, None)):
        is_request = message is None or message.role == "assistant"
        if is_request and estimate_tokens(size) > limit_tokens:
            while len(whole) > KEEP_LATEST and estimate_tokens(size) > limit_tokens * STEP:
                place = whole.popleft()
                replaced[place] = shorter[place]
                size -= _saved(messages, place, shorter[place])
        if message is not None:
            size += sizes[position]
            places = ((position, index) for index in range(len(_calls(message))))
            whole.extend(place for place in places if place in shorter)
    return replaced


def _saved(messages: Sequence[Message], place: _Place, shorter: ToolCall) -> int:
    position, index = place
    return _size(_calls(messages[position])[index].arguments) - _size(shorter.arguments)


def _shorten(
    call: ToolCall, section: Section, draft_arguments: Mapping[str, str]
) -> ToolCall | None:
    """The call with a line for its text; None when that is not its text, or no shorter."""
    fields, text = _draft(call, draft_arguments)
    if _digest(text) != section.digest or _size(text) <= _size(section.stand_in):
        return None
    fields[draft_arguments[call.name]] = section.stand_in
    try:
        arguments = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    except ValueError:  # 1e999 is JSON, and reads as infinity, which is not
        return None
    is_shorter = _size(arguments) < _size(call.arguments)
    return replace(call, arguments=arguments) if is_shorter else None


def _with_calls(position: int, message: Message, made: Mapping[_Place, ToolCall]) -> Message:
    """The message with those of its calls that were made anew."""
    own = _calls(message)
    calls = tuple(made.get((position, index), call) for index, call in enumerate(own))
    if not isinstance(message, AssistantMessage) or calls == own:
        return message
    return replace(message, tool_calls=calls)


def _draft(call: ToolCall, draft_arguments: Mapping[str, str]) -> tuple[JsonObject, str]:
    """The fields of a call, and the text of its large argument; empty when there is none."""
    name = draft_arguments.get(call.name)
    parsed = parse_arguments(call.arguments) if name is not None else None
    fields = parsed.fields if parsed is not None else {}
    text = fields.get(name) if name is not None else None
    return fields, text if isinstance(text, str) else ""


def _calls(message: Message) -> tuple[ToolCall, ...]:
    return message.tool_calls if isinstance(message, AssistantMessage) else ()


def _message_size(message: Message) -> int:
    return _size(message) + len(",")


def _size(value: object) -> int:
    """UTF-8 bytes of a value as JSON; half of a surrogate pair counts as what replaces it."""
    with suppress(ValueError):  # which such a half raises
        return len(to_json(value))
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode(errors="surrogatepass"))


# --- what is on disk -----------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _File:
    """A file, and the place where the last text was found: the next one mostly follows it."""

    data: bytes
    offset: int = field(default=0, init=False)
    line: int = field(default=1, init=False)
    """The line that `offset` is in."""

    def find(self, text: bytes) -> tuple[int, int] | None:
        """The first and the last line of a text that is whole lines of the file."""
        for start, line in ((self.offset, self.line), (0, 1)) if text else ():
            at = self._find_from(start, text)
            if at >= 0:
                first = line + self.data.count(b"\n", start, at)
                self.offset, self.line = at + len(text), first + text.count(b"\n")
                return first, self.line - text.endswith(b"\n")
        return None

    def _find_from(self, start: int, text: bytes) -> int:
        at = self.data.find(text, start)
        while at >= 0 and not self._is_whole(at, at + len(text)):
            at = self.data.find(text, at + 1)
        return at

    def _is_whole(self, start: int, end: int) -> bool:
        """A line begins at the start and one ends at the end, with its line break or before it."""
        begins = start == 0 or self.data.startswith(b"\n", start - 1)
        breaks = self.data.startswith(b"\n", end - 1) or self.data.startswith(b"\n", end)
        return begins and (breaks or end == len(self.data))


def _plain(data: bytes) -> bytes:
    """Without a byte-order mark, and with line feeds for line ends."""
    return data.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
