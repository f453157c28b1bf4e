"""From the events of a stream of bytes to what they say: the chunks of one answer, decoded.

A chunk of a large write is the chunk before it with another piece of text in one place, and so
50,000 times. What stands around the piece is learned from one chunk and compared as bytes in the
next; then the piece alone is decoded, at a quarter to a third of what the whole chunk costs. That
is no guess: a head that ends inside a string, one JSON string, and the rest can be read in one way.
Pure.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jiter
from pydantic import JsonValue

from agentcore.events import (
    Done,
    InStreamError,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from agentcore.providers.base import ProviderAdapter
from agentcore.sse import ServerSentEvent

__all__ = ["DONE", "ChunkDecoder", "json_value"]

DONE = b"[DONE]"
_PIECE = re.compile(
    rb'"(?:content|arguments|reasoning|reasoning_content)": ?"((?:[^"\\]|\\.)++)"', re.DOTALL
)
"""A piece of text with its name. In valid JSON these quotes stand in no string: there they would be
escaped."""
_OTHER = "other"
"""A piece to try a pattern with."""
_PADDING = b',"obfuscation":"'
"""Random letters at the end of each chunk, which hide how long its piece is: OpenAI sends them
where `include_obfuscation` is not false (a recorded stream: ENTERPILOT/GoModel#46)."""
_FIRST = 4
"""The piece of an answer that is learned from at the earliest: it has to pay for that."""
_TRIES = 8
"""So many chunks in a row may be learned from in vain. Then this answer's chunks are no
repetitions, and nothing more is spent on it."""


@dataclass(slots=True)
class _Pattern:
    """A chunk all but its piece."""

    head: bytes
    """What stands before the piece, with the quote that opens it."""
    tail: bytes
    """What stands after it, with the quote that closes it."""
    before: tuple[StreamEvent, ...]
    """What the chunk says beside the piece."""
    make: Callable[[str], StreamEvent]
    """How it says the piece, which is last."""
    is_padded: bool

    def piece_of(self, data: bytes) -> str:
        """The piece of a chunk that is this one but for it; empty if it is not, or has none."""
        bare = _without_padding(data) if self.is_padded else data
        if not (bare.startswith(self.head) and bare.endswith(self.tail)):
            return ""
        try:
            # With both quotes: it is one JSON string, or the chunk is none of this pattern.
            text: str = jiter.from_json(bare[len(self.head) - 1 : 1 - len(self.tail)])
        except ValueError:
            return ""
        return text


class ChunkDecoder:
    """Decodes the chunks of one answer, each as if it were the only one."""

    def __init__(self, adapter: ProviderAdapter) -> None:
        """Know nothing of the answer yet.

        Args:
            adapter: Says what a chunk means. One that overrides `decode` is shown every chunk.
        """
        self._adapter = adapter
        is_ours = getattr(adapter.decode, "__func__", None) is ProviderAdapter.decode
        self._tries_left = _TRIES if is_ours else 0
        self._pieces_seen = 0
        self._pattern: _Pattern | None = None
        """Of the chunk before, if that was one."""

    def decode(self, event: ServerSentEvent) -> Iterable[StreamEvent]:
        """What one event of the stream says."""
        name, data = event
        pattern = self._pattern
        if pattern is not None and not name and (text := pattern.piece_of(data)):
            self._tries_left = _TRIES
            return (*pattern.before, pattern.make(text))
        self._pattern = None
        return self._decode_whole(name, data)

    def _decode_whole(self, name: str, data: bytes) -> Iterable[StreamEvent]:
        if data == DONE:
            return (Done(),)
        value = json_value(data)
        if isinstance(value, dict):
            said = self._adapter.decode(name, value)
            if self._tries_left and not name:
                said = tuple(said)
                self._learn(data, said)
            return said
        if isinstance(value, InStreamError):
            return (value,)
        return (InStreamError(value),) if value and isinstance(value, (str, list)) else ()

    def _learn(self, data: bytes, said: tuple[StreamEvent, ...]) -> None:
        """Take a chunk as the pattern of the next, where trying it shows that it is one."""
        make = _maker(said[-1]) if said else None
        if make is None:
            return
        self._pieces_seen += 1
        if self._pieces_seen < _FIRST:
            return
        self._tries_left -= 1
        bare = _without_padding(data)
        places = [found.span(1) for found in _PIECE.finditer(bare)]
        if len(places) != 1:
            return
        begin, end = places[0]
        head, tail, before = bare[:begin], bare[end:], said[:-1]
        tried = json_value(b"%b%b%b" % (head, _OTHER.encode(), tail))
        if not isinstance(tried, dict):
            return
        if tuple(self._adapter.decode("", tried)) == (*before, make(_OTHER)):
            self._pattern = _Pattern(head, tail, before, make, is_padded=bare is not data)


def _without_padding(data: bytes) -> bytes:
    """A chunk without the random letters at its end, if it has any."""
    at = data.rfind(_PADDING)
    if at > 0 and data.endswith(b'"}') and data[at + len(_PADDING) : -2].isalnum():
        return data[:at] + b"}"
    return data


def _maker(event: StreamEvent) -> Callable[[str], StreamEvent] | None:
    """What makes such an event of another piece of text; None where it says more than a piece."""
    match event:
        case TextDelta() | ReasoningDelta():
            return type(event)
        case ToolCallDelta(index=index, id="", name="", extra=extra) if not extra:
            return lambda arguments: ToolCallDelta(index, "", "", arguments, {})
    return None


def json_value(data: bytes) -> JsonValue | InStreamError:
    """The JSON value of an event; text that is no JSON is an error in the stream."""
    try:
        value: JsonValue = jiter.from_json(data)  # a fifth less than pydantic_core's
    except ValueError:
        text = data.decode(errors="replace")
        try:
            # More lenient: lone surrogate escapes, which a split emoji leaves, and raw controls.
            value = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            return _error_of(text.strip())
    return value


def _error_of(text: str) -> InStreamError | None:
    """An event that is no JSON. Half of a chunk may hold the model's words: they name no error."""
    if text.startswith(("{", "[")):
        broken = f"an event that is no JSON ({len(text)} characters)"
        return InStreamError({"error": {"type": "server_error", "message": broken}})
    return InStreamError(text) if text else None
