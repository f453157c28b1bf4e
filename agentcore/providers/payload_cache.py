"""What a conversation's messages and tools become on the wire, made and serialised once each.

A conversation grows at its end, and every request repeats it: without this a run of n turns does
work in n².
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from agentcore.messages import JsonObject

__all__ = ["PayloadCache"]

T = TypeVar("T")

_SPARE_ENTRIES = 100
"""How many more than twice those in use may be there before the others are dropped."""


@dataclass(slots=True)
class _Entry:
    source: object
    """Held so that no other object gets its id."""
    payload: JsonObject
    json: bytes | None = None


class PayloadCache:
    """For one adapter and one model; objects are told apart by identity, not by value.

    Messages are frozen. What is given out must not be changed: `ProviderAdapter.encode` uses a
    fresh one where a subclass could do so, in a `payload` of its own.
    """

    def __init__(self) -> None:
        self._by_source: dict[int, _Entry] = {}
        self._by_payload: dict[int, _Entry] = {}

    def payloads(self, sources: Iterable[T], make: Callable[[T], JsonObject]) -> list[JsonObject]:
        """The payload of each, made now where it is not known."""
        entries = [self._by_source.get(id(one)) or self._add(one, make(one)) for one in sources]
        if len(self._by_source) > 2 * len(entries) + _SPARE_ENTRIES:
            self._keep_only(entries)
        return [entry.payload for entry in entries]

    def json(self, payload: JsonObject, serialise: Callable[[JsonObject], bytes]) -> bytes:
        """A payload as JSON: serialised once if it was made here, else each time."""
        entry = self._by_payload.get(id(payload))
        if entry is None:
            return serialise(payload)
        if entry.json is None:
            entry.json = serialise(payload)
        return entry.json

    def _add(self, source: object, payload: JsonObject) -> _Entry:
        entry = _Entry(source, payload)
        self._by_source[id(source)] = self._by_payload[id(payload)] = entry
        return entry

    def _keep_only(self, entries: list[_Entry]) -> None:
        self._by_source = {id(entry.source): entry for entry in entries}
        self._by_payload = {id(entry.payload): entry for entry in entries}
