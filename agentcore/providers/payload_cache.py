"""What a conversation's messages and tools become on the wire, made and serialised once each.

A conversation grows at its end, and every request repeats it: without this a run of n turns does
work in n².
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import TypeAlias, TypeVar

from pydantic import JsonValue

from agentcore.messages import JsonObject, Message, ToolSpec

__all__ = ["PayloadCache"]

S = TypeVar("S", Message, ToolSpec)

_Made: TypeAlias = dict[int, tuple[S, JsonObject]]
"""What was made of which object, by its id; it is held so that no other object gets that id."""

_SPARE_PAIRS = 100
"""How many more than twice those in use may be there before the others are dropped."""


@dataclass(frozen=True, slots=True)
class _Joined:
    """What a field of the last request was made of, and what became of it."""

    values: list[JsonValue]
    data: bytes


class PayloadCache:
    """For one adapter and one model; objects are told apart by identity, not by value.

    Messages are frozen. What is given out must not be changed: `ProviderAdapter.payload` uses a
    fresh one, for a subclass could do so in a `payload` or an `encode` of its own.
    """

    def __init__(self) -> None:
        self._asked: Sequence[Message] = ()
        """The messages of the last request."""
        self._given: list[JsonObject] = []
        """Their payloads."""
        self._joined: dict[str, _Joined] = {}
        """Field of the body → what it was at the last request."""
        self._messages: _Made[Message] = {}
        self._tools: _Made[ToolSpec] = {}
        self._json: dict[int, bytes] = {}
        """Of payloads that were made here and serialised, by their ids; empty until they are."""

    def messages(
        self, messages: Sequence[Message], make: Callable[[Message], JsonObject]
    ) -> list[JsonObject]:
        """The payload of each message, made now where it is not known."""
        if _begins_with(messages, self._asked):
            new = self._payloads(self._messages, messages[len(self._asked) :], make, whole=messages)
            self._given = [*self._given, *new]
        else:
            self._given = self._payloads(self._messages, messages, make, whole=messages)
        self._asked = messages
        return self._given

    def tools(
        self, tools: Sequence[ToolSpec], make: Callable[[ToolSpec], JsonObject]
    ) -> list[JsonObject]:
        """The same of tools."""
        return self._payloads(self._tools, tools, make, whole=tools)

    def joined(
        self, name: str, values: list[JsonValue], serialise: Callable[[JsonValue], bytes]
    ) -> bytes:
        """The values as JSON, with commas between them.

        Each is serialised once if it is a payload made here, else each time; and what the field
        began with at the last request is joined already.

        Args:
            name: Of the field of the body.
            values: What stands in it.
            serialise: Gives the JSON of one value.
        """
        before = self._joined.get(name)
        if before is None or not _begins_with(values, before.values):
            before = _Joined([], b"")
        new = values[len(before.values) :]
        parts = [self._json.get(id(value)) or self._serialised(value, serialise) for value in new]
        data = b",".join([before.data, *parts] if before.values else parts)
        if all(id(value) in self._json for value in new):
            # What was not made here may be changed in place by whoever made it.
            self._joined[name] = _Joined(values, data)
        return data

    def _serialised(self, value: JsonValue, serialise: Callable[[JsonValue], bytes]) -> bytes:
        data = serialise(value)
        if id(value) in self._json:
            self._json[id(value)] = data
        return data

    def _payloads(
        self,
        made: "_Made[S]",
        sources: Sequence[S],
        make: Callable[[S], JsonObject],
        *,
        whole: Sequence[S],
    ) -> list[JsonObject]:
        """The payloads of these sources, of all that are in use now."""
        pairs = [made.get(id(one)) or self._add(made, one, make(one)) for one in sources]
        if len(made) > 2 * len(whole) + _SPARE_PAIRS:
            # A history that is compacted, or tools of a set, are other objects each time.
            for key in made.keys() - {id(one) for one in whole}:
                # A subclass may make one payload of several messages.
                self._json.pop(id(made.pop(key)[1]), None)
        return [payload for _, payload in pairs]

    def _add(self, made: "_Made[S]", source: S, payload: JsonObject) -> tuple[S, JsonObject]:
        pair = made[id(source)] = source, payload
        self._json[id(payload)] = b""
        return pair


def _begins_with(values: Sequence[object], known: Sequence[object]) -> bool:
    """These are the same objects, and others may follow: a conversation that has grown."""
    return len(values) >= len(known) and all(map(is_, known, values))
