"""`Watch`: writes down what arrives, and when, and what the request was in the end."""

import math

import anyio
from pydantic import JsonValue
from pydantic_core import from_json

from agentcore.accumulator import Accumulator
from agentcore.arguments import parse_arguments
from agentcore.attempt import SHORTEST_SECRET, Attempt
from agentcore.classification import Classification, classify
from agentcore.facts import ErrorFacts
from agentcore.payloads import shortened
from agentcore.probe.observations import Arrival, Ending, Observation, Sign
from agentcore.probe.requests import Ask
from agentcore.recovery import Adjust, Adjustments, Failure, decide
from agentcore.retry import Budget, Policy
from agentcore.sse import SSEDecoder
from agentcore.verdict import Cut, Partial

__all__ = ["Watch"]


class Watch:
    """Over one request, which is sent now."""

    def __init__(self, ask: Ask, accumulator: Accumulator, scope: anyio.CancelScope) -> None:
        """Start with nothing.

        Args:
            ask: The request. Without a cap, somebody has to watch the cost.
            accumulator: The loop's own reading of what comes.
            scope: Is cancelled when more comes than was asked for.
        """
        self.started = anyio.current_time()
        self._ask = ask
        self._accumulator = accumulator
        self._scope = scope
        self._budget_bytes = math.inf if ask.capped else ask.tokens * 4
        self._decoder = SSEDecoder()
        self._arrivals: list[Arrival] = []
        self._calls: dict[int, int] = {}
        self._echo: JsonValue = None
        self._block_at = 0.0

    def see(self, block: bytes) -> None:
        """A block came; the accumulator has what is in it."""
        self._block_at = anyio.current_time() - self.started
        comments = self._decoder.comments
        events = self._decoder.feed(block)
        for _, data in events:
            self._echo = self._echo or _echo_in(data)
        is_comment = self._decoder.comments > comments
        sign = Sign.EVENT if events else Sign.COMMENT if is_comment else Sign.PART
        self._arrivals.append(Arrival(self._block_at, sign))
        self._note_content()

    def _note_content(self) -> None:
        news = self._accumulator.news()
        if news is None:
            return
        if news.restarted:
            self._calls.clear()
        for sign, text in ((Sign.REASONING, news.reasoning), (Sign.TEXT, news.text)):
            if text:
                self._arrived(sign, len(text.encode(errors="replace")))
        for call in news.calls:
            before = self._calls.get(call.position, 0)
            self._calls[call.position] = call.received_bytes
            self._arrived(Sign.ARGUMENTS, max(0, call.received_bytes - before))

    def _arrived(self, sign: Sign, size_bytes: int) -> None:
        if self._arrivals and not self._arrivals[-1].sign.is_content:
            self._arrivals.pop()
        self._arrivals.append(Arrival(self._block_at, sign, size_bytes))
        self._budget_bytes -= size_bytes
        if self._budget_bytes < 0:
            self._scope.cancel()

    def observation(self, attempt: Attempt, ended_by: Ending | None = None) -> Observation:
        """The request, which is over now.

        Args:
            attempt: What came of it.
            ended_by: How the probe ended it; None: it came to an end by itself.
        """
        self._note_content()  # of a body that was no stream
        accumulator = attempt.accumulator
        partial = accumulator.partial(lambda: "call")
        ending = ended_by or _ending(attempt)
        verdict = attempt.judge(partial, frozenset(), may_be_empty=False)
        failed = ending in (Ending.RESET, Ending.ERROR, Ending.REFUSED, Ending.UNREACHED)
        facts = attempt.facts() if failed else None
        found = classify(facts, attempt.adapter.error_rules) if facts is not None else None
        last = partial.calls[-1].arguments if partial.calls else ""
        opened = attempt.opened_at
        return Observation(
            ask=self._ask,
            switched=attempt.wire.tool_streaming,
            cap=attempt.wire.output_limit.tokens,
            opened_at=opened - self.started if opened is not None else None,
            arrivals=tuple(self._arrivals),
            ended_at=anyio.current_time() - self.started,
            ending=ending,
            cause=verdict.cause if isinstance(verdict, Cut) else None,
            received_bytes=attempt.received_bytes,
            is_stream=not attempt.is_whole,
            called=bool(partial.calls),
            arguments_closed=parse_arguments(last) is not None,
            lines_received=last.count("\\n"),
            finish_reason=_plain_word(accumulator.finish_reason, attempt.key),
            usage=accumulator.usage,
            echoed=self._echo is not None,
            echoed_cap=_cap_in(self._echo),
            kind=found.kind if found is not None else None,
            rule=found.rule if found is not None else "",
            said=_words(facts) if facts is not None else "",
            accepted_cap=found.corrected_output_limit if found is not None else None,
            correction=_correction(self._ask, attempt, partial, facts, found),
        )


def _ending(attempt: Attempt) -> Ending:
    accumulator = attempt.accumulator
    if attempt.opened_at is None:
        # A refusal has a status; else nobody answered.
        return Ending.REFUSED if attempt.facts().status is not None else Ending.UNREACHED
    if accumulator.finish_reason and not accumulator.went_on:
        return Ending.FINISHED
    if accumulator.error is not None:
        return Ending.ERROR
    if attempt.error is not None:
        return Ending.RESET
    is_terminal = attempt.is_whole or attempt.adapter.capabilities.done_is_terminal
    return Ending.FINISHED if accumulator.done and is_terminal else Ending.ENDED


def _correction(
    ask: Ask,
    attempt: Attempt,
    partial: Partial,
    facts: ErrorFacts | None,
    found: Classification | None,
) -> Adjustments | None:
    """How the loop would mend a refused request; None when it would not."""
    if facts is None or found is None or attempt.opened_at is not None:
        return None
    failure = Failure(
        classification=found,
        facts=facts,
        cause=None,
        partial=partial,
        adjustments=ask.corrections,
        added_fields=attempt.wire.added_fields,
        output_limit=attempt.wire.output_limit.tokens,
        tool_streaming=attempt.wire.tool_streaming,
    )
    budget = Budget(failures=1)
    decision = decide(failure, earlier=(), budget=budget, policy=Policy(), roll=0.0)
    return decision.adjustments if isinstance(decision, Adjust) else None


# --- the endpoint's words -------------------------------------------------------------------


def _words(facts: ErrorFacts) -> str:
    """What was said, on one line; nothing in it may speak to a terminal."""
    text = " ".join(shortened(facts.message).split())[:300]
    return "".join(character if character.isprintable() else "?" for character in text)


def _plain_word(reason: str, key: str) -> str:
    """A finish reason as it may be shown: whoever serves it chose it."""
    if len(key) >= SHORTEST_SECRET and key.lower() in reason:
        return "[key]"
    return reason if reason.isidentifier() and len(reason) <= 40 else reason and "(no plain word)"


def _echo_in(data: bytes) -> JsonValue:
    """The body that the endpoint sends on, if this event shows it."""
    if b"echo_upstream_body" not in data:
        return None
    try:
        value: JsonValue = from_json(data)
    except ValueError:
        return None
    debug = value.get("debug") if isinstance(value, dict) else None
    return debug.get("echo_upstream_body") if isinstance(debug, dict) else None


_CAP_NAMES = (
    "max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens",
)  # fmt: skip
_CAP_PLACES = ("generationConfig", "generation_config", "inferenceConfig")


def _cap_in(echo: JsonValue) -> int | None:
    """The cap in a request's body, by whichever name the host has for it."""
    if not isinstance(echo, dict):
        return None
    places: list[JsonValue] = [echo, *(echo.get(name) for name in _CAP_PLACES)]
    for place in places:
        for name in _CAP_NAMES:
            value = place.get(name) if isinstance(place, dict) else None
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None
