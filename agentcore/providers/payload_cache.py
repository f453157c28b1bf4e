"""What a conversation's messages and tools become on the wire, made and serialised once each.

A conversation grows at its end, and every request repeats it: without this a run of n turns does
work in n².
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from pydantic import JsonValue

from agentcore.messages import JsonObject, Message, ToolSpec

__all__ = ["PayloadCache"]

S = TypeVar("S", Message, ToolSpec)

_Made: TypeAlias = dict[int, tuple[S, JsonObject]]
"""What was made of which object, by its id; it is held so that no other object gets that id."""

_SPARE_PAIRS = 100
"""How many more than twice those in use may be there before the others are dropped."""


class PayloadCache:
    """For one adapter and one model; objects are told apart by identity, not by value.

    Messages are frozen. What is given out must not be changed: `ProviderAdapter.payload` uses a
    fresh one, for a subclass could do so in a `payload` or an `encode` of its own.
    """

    def __init__(self) -> None:
        self._messages: _Made[Message] = {}
        self._tools: _Made[ToolSpec] = {}
        self._json: dict[int, bytes] = {}
        """Of payloads that were made here and serialised, by their ids; empty until they are."""

    def messages(
        self, messages: Sequence[Message], make: Callable[[Message], JsonObject]
    ) -> list[JsonObject]:
        """The payload of each message, made now where it is not known."""
        return self._payloads(self._messages, messages, make)

    def tools(
        self, tools: Sequence[ToolSpec], make: Callable[[ToolSpec], JsonObject]
    ) -> list[JsonObject]:
        """The same of tools."""
        return self._payloads(self._tools, tools, make)

    def json(
        self, values: Sequence[JsonValue], serialise: Callable[[JsonValue], bytes]
    ) -> list[bytes]:
        """Each value as JSON: serialised once if it is a payload made here, else each time."""
        known = self._json
        return [known.get(id(value)) or self._serialised(value, serialise) for value in values]

    def _serialised(self, value: JsonValue, serialise: Callable[[JsonValue], bytes]) -> bytes:
        data = serialise(value)
        if id(value) in self._json:
            self._json[id(value)] = data
        return data

    def _payloads(
        self, made: "_Made[S]", sources: Sequence[S], make: Callable[[S], JsonObject]
    ) -> list[JsonObject]:
        pairs = [made.get(id(one)) or self._add(made, one, make(one)) for one in sources]
        if len(made) > 2 * len(pairs) + _SPARE_PAIRS:
            # A history that is compacted, or tools of a set, are other objects each time.
            for key in made.keys() - {id(one) for one in sources}:
                # A subclass may make one payload of several messages.
                self._json.pop(id(made.pop(key)[1]), None)
        return [payload for _, payload in pairs]

    def _add(self, made: "_Made[S]", source: S, payload: JsonObject) -> tuple[S, JsonObject]:
        pair = made[id(source)] = source, payload
        self._json[id(payload)] = b""
        return pair
