"""A correct adapter in ten lines, and others that are broken in one place each."""

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from typing_extensions import override

from agentcore import ErrorKind, ErrorRule, ModelFamily, ProviderAdapter, Strength
from agentcore.events import FinishReason, StreamEvent, TextDelta, ToolCallDelta
from agentcore.facts import ErrorFacts
from agentcore.messages import JsonObject
from agentcore.providers import Request, ToolStreaming, Wire


class Relay(ProviderAdapter):
    name = "relay"
    base_url = "https://llm.example.com/v1"
    api_key_env = "RELAY_KEY"

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        if not family.name.startswith("claude"):
            return ToolStreaming()
        return ToolStreaming(headers={"x-stream-arguments": "eager"})


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class DropsRawArguments(Relay):
    """It hands on only those pieces of argument text that are JSON by themselves."""

    @override
    def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
        for event in super().decode(event_name, chunk):
            if isinstance(event, ToolCallDelta) and not _is_json(event.arguments):
                event = replace(event, arguments="")
            yield event


@dataclass
class _Gathered:
    name: str = ""
    arguments: str = ""
    first: ToolCallDelta = field(default_factory=ToolCallDelta)


class ConcatenatesNames(Relay):
    """It gathers the deltas of a call itself, and joins their names as it joins their arguments."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._calls: dict[int | None, _Gathered] = {}

    @override
    def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
        for event in super().decode(event_name, chunk):
            if isinstance(event, ToolCallDelta):
                call = self._calls.setdefault(event.index, _Gathered(first=event))
                call.name += event.name
                call.arguments += event.arguments
                continue
            if isinstance(event, FinishReason):
                for call in self._calls.values():
                    yield replace(call.first, name=call.name, arguments=call.arguments)
                self._calls.clear()
            yield event


class TakesTheEndForAStop(Relay):
    """It yields a finish reason with every chunk, so that a body that ends counts as an answer."""

    @override
    def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
        yield from super().decode(event_name, chunk)
        yield FinishReason("stop")


class LosesTheHeader(Relay):
    """It computes the headers of the first request and sends them ever after."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._switch: ToolStreaming | None = None

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        self._switch = self._switch or super().tool_streaming(family)
        return self._switch


class HoldsCancellationUp(Relay):
    """It waits in a hook, say for a log, so that nobody hears of a cancellation meanwhile."""

    @override
    def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
        if chunk.get("choices"):
            time.sleep(0.25)
        return super().decode(event_name, chunk)


class RetriesWithoutMoney(Relay):
    """A row calls status 402 a state of the server that will pass."""

    error_rules = (
        ErrorRule(
            name="relay-402",
            kind=ErrorKind.OVERLOADED,
            strength=Strength.SPECIFIC,
            why="the relay says so when it is busy, we thought",
            statuses=(402,),
            makes_transient=True,
        ),
    )


class LeaksTheKey(Relay):
    """It helps the person along by showing which key was refused."""

    @override
    def facts(self, error: object, **known: Any) -> ErrorFacts:
        facts = super().facts(error, **known)
        return replace(facts, message=f"{facts.message} (key {str(self.api_key)[:-4]}…)")


class IgnoresRetryAfter(Relay):
    """It drops the headers of a refusal."""

    @override
    def facts(self, error: object, **known: Any) -> ErrorFacts:
        return replace(super().facts(error, **known), headers={}, delays=())


class ShortensTheHistory(Relay):
    """It sends no more than the last two messages, to save tokens."""

    @override
    def payload(self, request: Request) -> JsonObject:
        return super().payload(replace(request, messages=request.messages[-2:]))


class HoldsTextBack(Relay):
    """It gathers the text, and yields it when the answer is whole."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._text = ""

    @override
    def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
        for event in super().decode(event_name, chunk):
            if isinstance(event, TextDelta):
                self._text += event.text
                continue
            if isinstance(event, FinishReason):
                yield TextDelta(self._text)
                self._text = ""
            yield event


class KnowsBetter(Relay):
    """It sets a field after `encode`, over the user's own."""

    @override
    def encode(self, request: Request) -> Wire:
        wire = super().encode(request)
        body = {**json.loads(wire.body), "temperature": 0.7}
        added = wire.added_fields | {"temperature"}
        return replace(wire, body=json.dumps(body).encode(), added_fields=added)


class LogsTheKey(Relay):
    """It logs what it is set to."""

    @override
    def headers(self, request: Request) -> Mapping[str, str]:
        logging.getLogger("relay").debug("key %s", self.api_key)
        return super().headers(request)


BROKEN: Mapping[type[Relay], str] = {
    DropsRawArguments: "raw-arguments-arrive-byte-for-byte",
    ConcatenatesNames: "quirk-name-in-every-delta",
    TakesTheEndForAStop: "a-text-that-ends-early-is-no-answer",
    LosesTheHeader: "a-switch-of-model-loses-no-header",
    HoldsCancellationUp: "cancelling-takes-no-time",
    RetriesWithoutMoney: "status-402",
    LeaksTheKey: "no-text-holds-the-key",
    IgnoresRetryAfter: "retry-after-seconds",
    ShortensTheHistory: "history-goes-out-whole",
    HoldsTextBack: "nothing-is-held-back",
    KnowsBetter: "what-the-user-sets-wins",
    LogsTheKey: "no-text-holds-the-key",
}
"""Each broken adapter and the case that is meant for it."""
