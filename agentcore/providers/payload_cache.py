"""What a conversation's messages and tools become on the wire, made and serialised once each.

A conversation grows at its end, and every request repeats it: without this a run of n turns does
work in n².
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agentcore.messages import JsonObject, Message, ToolSpec

__all__ = ["PayloadCache"]

S = TypeVar("S", Message, ToolSpec)

_SPARE_ENTRIES = 100
"""How many more than twice those in use may be there before the others are dropped."""


@dataclass(slots=True)
class _Entry(Generic[S]):
    source: S
    """Held so that no other object gets its id."""
    payload: JsonObject
    json: bytes | None = None


class PayloadCache:
    """For one adapter and one model; objects are told apart by identity, not by value.

    Messages are frozen. What is given out must not be changed: `ProviderAdapter.encode` uses a
    fresh one where a subclass could do so, in a `payload` of its own.
    """

    def __init__(self) -> None:
        self._messages: _Made[Message] = _Made()
        self._tools: _Made[ToolSpec] = _Made()

    def messages(
        self, messages: Sequence[Message], make: Callable[[Message], JsonObject]
    ) -> list[JsonObject]:
        """The payload of each message, made now where it is not known."""
        return self._messages.payloads(messages, make)

    def tools(
        self, tools: Sequence[ToolSpec], make: Callable[[ToolSpec], JsonObject]
    ) -> list[JsonObject]:
        """The same of tools."""
        return self._tools.payloads(tools, make)

    def json(self, payload: JsonObject, serialise: Callable[[JsonObject], bytes]) -> bytes:
        """A payload as JSON: serialised once if it was made here, else each time."""
        entry = self._messages.by_payload.get(id(payload)) or self._tools.by_payload.get(
            id(payload)
        )
        if entry is None:
            return serialise(payload)
        if entry.json is None:
            entry.json = serialise(payload)
        return entry.json


class _Made(Generic[S]):
    """Entries of one kind."""

    def __init__(self) -> None:
        self.by_source: dict[int, _Entry[S]] = {}
        self.by_payload: dict[int, _Entry[S]] = {}

    def payloads(self, sources: Sequence[S], make: Callable[[S], JsonObject]) -> list[JsonObject]:
        entries = [self.by_source.get(id(one)) or self._add(one, make(one)) for one in sources]
        if len(self.by_source) > 2 * len(entries) + _SPARE_ENTRIES:
            # A history that is compacted, or tools of a set, are other objects each time.
            self.by_source = {id(entry.source): entry for entry in entries}
            self.by_payload = {id(entry.payload): entry for entry in entries}
        return [entry.payload for entry in entries]

    def _add(self, source: S, payload: JsonObject) -> _Entry[S]:
        entry = _Entry(source, payload)
        self.by_source[id(source)] = self.by_payload[id(payload)] = entry
        return entry
