"""One turn: ask, stream, judge, and when the answer is cut, decide and try again.

An attempt is one request. What came of it is judged by `accumulator.judge`; what to do about a cut
is decided by `recovery.decide`. This module only carries out: it sends, reads, waits and records.
"""

import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import anyio
from pydantic import JsonValue
from pydantic_core import from_json

from agentcore.accumulator import Accumulator, Complete, Cut, Partial, Verdict, judge
from agentcore.classification import Classification, classify
from agentcore.client import Client, RequestFailed
from agentcore.clocks import Clocks, Silence
from agentcore.drafts import Kept, keep
from agentcore.events import (
    AttemptCut,
    AttemptStarted,
    Done,
    InStreamError,
    OutputDiscarded,
    ReasoningReceived,
    RunEvent,
    TextReceived,
    ToolArgumentsReceived,
    WaitStarted,
)
from agentcore.facts import ErrorFacts
from agentcore.kinds import KIND_OF_CAUSE, CutCause
from agentcore.ledger import AttemptRecord, Decision, estimate_tokens
from agentcore.providers.base import ProviderAdapter, Request, Wire
from agentcore.recovery import Adjust, Failure, Keep, Recovery, Retry, Stop, decide
from agentcore.retry import Budget, Policy
from agentcore.sse import ServerSentEvent, SSEDecoder

__all__ = ["Chance", "Emit", "GivenUp", "Turn", "TurnOutcome"]

Emit: TypeAlias = Callable[[RunEvent], Awaitable[None]]

_AFTER_FINISH_SECONDS = 5.0
"""How long usage and the end of the body are waited for once the model has finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Time and chance, as arguments: tests give their own."""

    sleep: Callable[[float], Awaitable[None]]
    roll: Callable[[], float]
    """A random number, `0 <= roll < 1`."""
    new_id: Callable[[], str]
    """An id for a tool call that came without one: nine letters or digits, as Mistral demands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """No attempt can help, or may be spent."""

    reason: str
    failure: Failure


TurnOutcome: TypeAlias = Complete | Kept | GivenUp


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One request under way, and what has come of it."""

    wire: Wire
    silence: Silence
    accumulator: Accumulator
    began: bool = False
    """The response's head arrived."""
    is_whole: bool = False
    """The body was one JSON value, not a stream of events."""
    received_bytes: int = 0
    error: BaseException | None = None
    expired: str = ""
    """Which clock ran out, in words."""

    @property
    def failure_cause(self) -> CutCause | None:
        if self.expired:
            return self.silence.cause()
        if self.error is not None or self.accumulator.error is not None:
            return CutCause.DROPPED
        return None


@dataclass(slots=True, kw_only=True)
class Turn:
    """One answer of the model, however many attempts it takes."""

    number: int
    """Counted from 1 within the run."""
    client: Client
    adapter: ProviderAdapter
    key: Callable[[], str]
    """Gives the credential, empty for none; called before every request."""
    request: Request
    policy: Policy
    clocks: Clocks
    chance: Chance
    ledger: list[AttemptRecord]
    """The run's; every attempt appends its record."""
    emit: Emit | None = None
    """None when nobody listens: no event is built then."""
    draft_arguments: Mapping[str, str] = field(default_factory=dict)
    no_argument_tools: frozenset[str] = frozenset()
    attempt: int = 0
    """The number of the attempt under way, or of the last one."""

    async def run(self) -> TurnOutcome:
        """Attempts until the answer is whole, something is kept, or nothing more can be done."""
        started = anyio.current_time()
        failures: list[Failure] = []
        budget = Budget()
        waited = 0.0
        while True:
            self.attempt += 1
            attempt_started = anyio.current_time()
            attempt = await self._send()
            partial = attempt.accumulator.partial(self.chance.new_id, self._ids_in_use())
            verdict = self._judge(attempt, partial)
            now = anyio.current_time()
            record = self._record(attempt, partial, waited=waited, seconds=now - attempt_started)
            if isinstance(verdict, Complete):
                self.ledger.append(record)
                return verdict
            failure = self._failure(attempt, verdict)
            spent = replace(
                budget,
                failures=budget.failures + 1,
                seconds=now - started,
                discarded_tokens=budget.discarded_tokens + record.received_tokens,
            )
            recovery = decide(
                failure,
                earlier=failures,
                budget=spent,
                policy=self.policy,
                roll=self.chance.roll(),
            )
            kept = self._kept(failure) if isinstance(recovery, Keep) else None
            await self._report(record, failure, recovery, kept)
            if kept is not None:
                return kept
            if isinstance(recovery, Stop):
                return GivenUp(reason=recovery.reason, failure=failure)
            failures.append(failure)
            waited = 0.0
            if isinstance(recovery, Adjust):
                budget = replace(spent, failures=budget.failures)
                self.request = replace(self.request, adjustments=recovery.adjustments)
            elif isinstance(recovery, Retry):
                budget = spent
                waited = recovery.seconds
                await self._wait(recovery)

    # --- one attempt ------------------------------------------------------------------------

    async def _send(self) -> _Attempt:
        key = self.key()
        wire = self.adapter.encode(self.request)
        limit = wire.output_limit
        await self._tell(
            lambda: AttemptStarted(
                turn=self.number,
                attempt=self.attempt,
                provider=self.adapter.name,
                model=self.request.model,
                output_limit=limit.tokens,
                limit_source=limit.source,
                streamed=wire.streamed,
                tool_streaming=wire.tool_streaming,
            )
        )
        now = anyio.current_time()
        silence = Silence(
            self.clocks if wire.streamed else self.clocks.for_plain_answer(),
            now=now,
            buffered=wire.buffered_arguments,
            output_limit=limit.tokens,
        )
        accumulator = Accumulator(
            cumulative_arguments=self.adapter.capabilities.cumulative_arguments
        )
        attempt = _Attempt(wire=wire, silence=silence, accumulator=accumulator)
        with anyio.CancelScope(deadline=silence.deadline) as scope:
            try:
                async with self.client.send(
                    wire, adapter=self.adapter, key=key, clocks=self.clocks
                ) as blocks:
                    attempt.began = True
                    silence.opened(anyio.current_time())
                    await self._read(blocks, attempt, scope)
            except RequestFailed as failed:
                attempt.error = failed.__cause__
        if scope.cancelled_caught:
            attempt.expired = silence.describe()
        return attempt

    async def _read(
        self, blocks: AsyncIterator[bytes], attempt: _Attempt, scope: anyio.CancelScope
    ) -> None:
        accumulator, silence = attempt.accumulator, attempt.silence
        decoder = SSEDecoder()
        unframed: list[bytes] | None = []
        last_call = math.inf
        async for block in blocks:
            now = anyio.current_time()
            attempt.received_bytes += len(block)
            silence.bytes_came(now)
            events = decoder.feed(block)
            for event in events:
                self._feed(event, attempt, now)
            if unframed is not None:
                # Until the first event this may still turn out to be no stream at all.
                unframed.append(block)
                unframed = None if events or decoder.comments else unframed
            if self.emit is not None:
                # A slow display is not a silent stream.
                scope.deadline = math.inf
                await self._tell_news(accumulator, self.emit)
                silence.excuse(anyio.current_time() - now)
            if accumulator.done or accumulator.error is not None:
                return
            if accumulator.finish_reason:
                last_call = min(last_call, now + _AFTER_FINISH_SECONDS)
            scope.deadline = min(silence.deadline, last_call)
        for event in decoder.finish():
            unframed = None
            self._feed(event, attempt, anyio.current_time())
        if unframed:
            self._feed_whole(b"".join(unframed), attempt)
        if self.emit is not None:
            await self._tell_news(accumulator, self.emit)

    def _feed(self, event: ServerSentEvent, attempt: _Attempt, now: float) -> None:
        if event.data == b"[DONE]":
            attempt.accumulator.feed(Done())
            return
        self._feed_value(_decode(event.data), event.event, attempt, now)

    def _feed_whole(self, body: bytes, attempt: _Attempt) -> None:
        """A body that was no stream: a plain answer, an error as JSON, a page of HTML, nothing."""
        if body.strip():
            attempt.is_whole = True
            self._feed_value(_decode(body), "", attempt, anyio.current_time())
            attempt.accumulator.feed(Done())

    def _feed_value(
        self, value: JsonValue | InStreamError, name: str, attempt: _Attempt, now: float
    ) -> None:
        accumulator = attempt.accumulator
        if isinstance(value, dict):
            for decoded in self.adapter.decode(name, value):
                phase = accumulator.feed(decoded)
                if phase is not None:
                    attempt.silence.content_came(now, phase)
        elif isinstance(value, InStreamError):
            accumulator.feed(value)
        elif isinstance(value, (str, list)) and value:
            accumulator.feed(InStreamError(value))

    # --- judging ----------------------------------------------------------------------------

    def _judge(self, attempt: _Attempt, partial: Partial) -> Verdict | None:
        """The verdict; None when no answer began at all."""
        accumulator = attempt.accumulator
        if not attempt.began and not attempt.expired:
            return None
        return judge(
            partial,
            finish_reason=accumulator.finish_reason,
            done=accumulator.done,
            done_is_terminal=attempt.is_whole or self.adapter.capabilities.done_is_terminal,
            failure=attempt.failure_cause,
            usage=accumulator.usage,
            output_limit=attempt.wire.output_limit.tokens,
            no_argument_tools=self.no_argument_tools,
        )

    def _failure(self, attempt: _Attempt, verdict: Cut | None) -> Failure:
        cause = verdict.cause if verdict is not None else None
        partial = verdict.partial if verdict is not None else Partial()
        facts = self._facts(attempt) if cause in (None, CutCause.DROPPED) else None
        if facts is not None:
            classification = classify(facts, self.adapter.error_rules)
        else:
            classification = _classification_of(cause, attempt)
        return Failure(
            classification=classification,
            facts=facts,
            cause=cause,
            partial=partial,
            adjustments=self.request.adjustments,
            added_fields=attempt.wire.added_fields,
            output_limit=attempt.wire.output_limit.tokens,
            tool_streaming=attempt.wire.tool_streaming,
        )

    def _facts(self, attempt: _Attempt) -> ErrorFacts:
        error = attempt.accumulator.error
        return self.adapter.facts(
            attempt.error if error is None else error.payload,
            phase=attempt.silence.phase,
            bytes_received=attempt.received_bytes,
            received_at=time.time(),
        )

    def _kept(self, failure: Failure) -> Kept:
        assert failure.cause is not None, "only an answer that began is kept"
        return keep(failure.partial, failure.cause, draft_arguments=self.draft_arguments)

    def _ids_in_use(self) -> frozenset[str]:
        return frozenset(
            call.id
            for message in self.request.messages
            if message.role == "assistant"
            for call in message.tool_calls
        )

    # --- telling ----------------------------------------------------------------------------

    def _record(
        self, attempt: _Attempt, partial: Partial, *, waited: float, seconds: float
    ) -> AttemptRecord:
        usage = attempt.accumulator.usage
        reported = usage.output_tokens if usage is not None else 0
        return AttemptRecord(
            turn=self.number,
            attempt=self.attempt,
            provider=self.adapter.name,
            model=self.request.model,
            outcome="complete",
            decision="accept",
            streamed=attempt.wire.streamed,
            tool_streaming=attempt.wire.tool_streaming,
            output_limit=attempt.wire.output_limit.tokens,
            limit_source=attempt.wire.output_limit.source,
            waited_seconds=waited,
            seconds=seconds,
            received_bytes=attempt.received_bytes,
            received_tokens=reported or estimate_tokens(partial.size_bytes),
            usage=usage,
            generation_id=attempt.accumulator.generation_id,
        )

    async def _report(
        self, record: AttemptRecord, failure: Failure, recovery: Recovery, kept: Kept | None
    ) -> None:
        """Write the failed attempt into the ledger and tell the listener."""
        facts, classification = failure.facts, failure.classification
        discarded = failure.partial.size_bytes
        if kept is not None:
            discarded = sum(cut.received_bytes for cut in kept.cut_calls)
        record = replace(
            record,
            outcome="refused" if failure.cause is None else "cut",
            decision=_DECISIONS[type(recovery)],
            cause=failure.cause,
            kind=classification.kind,
            rule=classification.rule,
            message=facts.message if facts is not None else classification.evidence,
            discarded_bytes=discarded,
            kept=kept.summary if kept is not None else "",
        )
        self.ledger.append(record)
        await self._tell(lambda: AttemptCut(turn=self.number, attempt=self.attempt, record=record))
        if discarded and kept is None:
            await self._tell(
                lambda: OutputDiscarded(
                    turn=self.number, attempt=self.attempt, discarded_bytes=discarded
                )
            )

    async def _wait(self, retry: Retry) -> None:
        await self._tell(
            lambda: WaitStarted(
                turn=self.number, attempt=self.attempt, seconds=retry.seconds, reason=retry.reason
            )
        )
        # A plain request was for once; and a pooled connection may be as dead as the last one.
        adjustments = replace(self.request.adjustments, streamed=True)
        self.request = replace(self.request, adjustments=adjustments)
        await self.client.renew()
        await self.chance.sleep(retry.seconds)

    async def _tell(self, event: Callable[[], RunEvent]) -> None:
        if self.emit is not None:
            await self.emit(event())

    async def _tell_news(self, accumulator: Accumulator, emit: Emit) -> None:
        news = accumulator.news()
        if news is None:
            return
        at = {"turn": self.number, "attempt": self.attempt}
        if news.reasoning:
            await emit(ReasoningReceived(**at, text=news.reasoning))
        if news.text:
            await emit(TextReceived(**at, text=news.text))
        for call in news.calls:
            await emit(
                ToolArgumentsReceived(
                    **at,
                    position=call.position,
                    name=call.name,
                    received_bytes=call.received_bytes,
                    lines=call.lines,
                )
            )


_DECISIONS: Mapping[type[Recovery], Decision] = {
    Retry: "retry",
    Adjust: "adjust",
    Keep: "keep",
    Stop: "stop",
}


def _classification_of(cause: CutCause | None, attempt: _Attempt) -> Classification:
    assert cause is not None, "a refusal has facts"
    accumulator = attempt.accumulator
    said = f"finish_reason {accumulator.finish_reason!r}" if accumulator.finish_reason else ""
    evidence = attempt.expired or said or "the body ended without a terminal signal"
    return Classification(kind=KIND_OF_CAUSE[cause], rule=f"cut-{cause}", evidence=evidence)


def _decode(data: bytes) -> JsonValue | InStreamError:
    """The JSON value of an event; text that is no JSON is an error in the stream."""
    try:
        value: JsonValue = from_json(data)
    except ValueError:
        text = data.decode(errors="replace")
        try:
            # More lenient: lone surrogate escapes, which a split emoji leaves, and raw controls.
            value = json.loads(text, strict=False)
        except ValueError:
            return InStreamError(text) if text.strip() else None
    return value
