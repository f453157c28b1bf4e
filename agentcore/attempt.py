"""One request: send it, read what comes, and watch the clocks.

Nothing is decided here. What came is folded by the accumulator; the turn asks for the verdict.
"""

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import anyio

from agentcore.accumulator import Accumulator
from agentcore.chunks import DONE, ChunkDecoder, json_value
from agentcore.classification import Classification
from agentcore.client import Client, RequestFailed, Response
from agentcore.clocks import Clocks, Silence
from agentcore.emitter import Emitter
from agentcore.event_loop import awaited
from agentcore.events import (
    Done,
    InStreamError,
    OutputDiscarded,
    ReasoningReceived,
    RunEvent,
    TextReceived,
    ToolArgumentsReceived,
)
from agentcore.facts import ErrorFacts, Phase
from agentcore.kinds import KIND_OF_CAUSE, CutCause
from agentcore.live import Live
from agentcore.providers.base import ProviderAdapter, Wire
from agentcore.sse import ServerSentEvent, SSEDecoder
from agentcore.verdict import Partial, Verdict, judge

__all__ = ["SHORTEST_SECRET", "Attempt"]

_DEADLINE_SLACK_SECONDS = 0.01
"""A clock may run out so much too early: a burst of deltas then needs no timer for each."""
_LOOK_SECONDS = 0.001
"""How often, in a burst, it is looked whether something is due: that costs as much as JSON."""
_AFTER_FINISH_SECONDS = 5.0
"""How long usage and the end of the body are waited for once the model has finished."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One request under way, and what has come of it."""

    turn: int
    """Counted from 1 within the run."""
    number: int
    """Counted from 1 within the turn."""
    adapter: ProviderAdapter
    wire: Wire
    key: str = field(repr=False)
    """The credential; empty for none."""
    silence: Silence
    accumulator: Accumulator
    emit: Emitter | None
    live: Live | None = None
    """Brings what arrives to safety; the turn closes it. None: nothing is written."""
    clock: Callable[[], float] = anyio.current_time
    """Seconds, on the clock of the event loop; looked at for every block."""
    on_block: Callable[[bytes], None] | None = None
    """Called with each block of the body as it came, once the accumulator has what is in it."""
    opened_at: float | None = None
    """When the response's head arrived, on the clock of the event loop; None: it never did."""
    is_whole: bool = False
    """The body was one JSON value, not a stream of events."""
    received_bytes: int = 0
    """Of the body, comments included."""
    error: BaseException | None = None
    """What the transport or the endpoint's refusal raised."""
    expired: str = ""
    """Which clock ran out, in words."""
    _chunks: ChunkDecoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._chunks = ChunkDecoder(self.adapter)

    async def send(self, client: Client, clocks: Clocks) -> None:
        """Send the request and read the answer to its end, whatever that is."""
        with anyio.CancelScope(deadline=self.silence.deadline) as scope:
            try:
                async with client.send(
                    self.wire, adapter=self.adapter, key=self.key, clocks=clocks
                ) as response:
                    self.opened_at = self.clock()
                    self.silence.opened(self.opened_at)
                    self.accumulator.generation_id = self.adapter.generation_id(response.headers)
                    async with AsyncExitStack() as beside:
                        await self._read(response, scope, beside)
            except RequestFailed as failed:
                self.error = failed.__cause__
        if scope.cancelled_caught:
            self.expired = self.silence.describe()
        if self.emit is not None:
            # One read may bring text and what breaks the body: no other follows to tell it before.
            for told in self._news():
                await self.emit(told)

    @property
    def failure_cause(self) -> CutCause | None:
        """What ended the answer, when it was not its own end."""
        if self.expired:
            return self.silence.cause()
        if self.error is not None or self.accumulator.error is not None:
            return CutCause.DROPPED
        return None

    def judge(
        self, partial: Partial, no_argument_tools: frozenset[str], *, may_be_empty: bool
    ) -> Verdict | None:
        """The verdict on what came; None when no answer began at all.

        Args:
            partial: What came, with ids.
            no_argument_tools: Names of the tools that may be called with nothing.
            may_be_empty: Nothing at all is an answer, as it is to a tool's result.
        """
        accumulator = self.accumulator
        if self.opened_at is None and not self.expired:
            return None
        failed = self.failure_cause is not None
        return judge(
            partial,
            # A finish reason that ended nothing before is no proof of an end now.
            finish_reason="" if failed and accumulator.went_on else accumulator.finish_reason,
            done=accumulator.done,
            done_is_terminal=self.is_whole or self.adapter.capabilities.done_is_terminal,
            failure=self.failure_cause,
            usage=accumulator.usage,
            output_limit=self.wire.output_limit.tokens,
            no_argument_tools=no_argument_tools,
            may_be_empty=may_be_empty,
        )

    def facts(self) -> ErrorFacts:
        """What is known of the failure, without the credentials that went out."""
        error = self.accumulator.error
        facts = self.adapter.facts(
            self.error if error is None else error.payload,
            phase=self.silence.phase,
            bytes_received=self.received_bytes,
            received_at=time.time(),
        )
        return _without(_credentials(self.key, self.wire.headers), facts)

    def classification(self, cause: CutCause) -> Classification:
        """The kind of an ending in which nothing was thrown."""
        accumulator = self.accumulator
        said = f"finish_reason {accumulator.finish_reason!r}" if accumulator.finish_reason else ""
        evidence = self.expired or said or "the body ended without a terminal signal"
        return Classification(kind=KIND_OF_CAUSE[cause], rule=f"cut-{cause}", evidence=evidence)

    async def _read(
        self, response: Response, scope: anyio.CancelScope, beside: AsyncExitStack
    ) -> None:
        """Read the body; what stands in the loop is paid for every delta.

        Args:
            response: It has begun.
            scope: Cancelled when a clock runs out.
            beside: Takes in what has to run beside the reading, once it has to.
        """
        accumulator, silence, clock, live = self.accumulator, self.silence, self.clock, self.live
        decoder, patience = SSEDecoder(), _Patience(scope, silence)
        unframed: list[bytes] | None = []
        look_at = -math.inf

        async def tell() -> float:
            """Tell the listener what has come; gives the time after it."""
            began = clock()
            for told in self._news():
                if self.emit is not None and (waiting := self.emit.tell(told)) is not None:
                    await awaited(waiting, on_wait=patience.stop)
            now = clock()
            patience.excuse(now - began)  # a slow display is not a silent stream
            patience.renew(now, accumulator)
            return now

        tells_before_reads = self.emit is not None and response.before_reads(tell, beside)
        async for block in response.blocks:
            now = clock()
            self.received_bytes += len(block)
            events = decoder.feed(block)
            phase = self._feed(events)
            # In a burst, more of the same: the clocks need not hear of it.
            is_more = now < look_at and phase is silence.phase and not accumulator.is_ending
            if live and not (is_more and live.is_wanted) and live.offer(accumulator, now):
                await beside.enter_async_context(live.on_time(accumulator))
            if is_more:
                # Text is told at once where no read tells it; progress of arguments soon enough.
                if not (self.emit is None or tells_before_reads or phase is Phase.TOOL_ARGUMENTS):
                    await tell()
                continue
            silence.bytes_came(now, phase)
            if self.on_block is not None:
                self.on_block(block)
            if unframed is not None:
                # Until the first event this may still turn out to be no stream at all.
                unframed.append(block)
                unframed = None if events or decoder.comments else unframed
            if self.emit is not None:
                now = await tell()
            else:
                patience.renew(now, accumulator)
            if accumulator.done or accumulator.error is not None:
                return
            look_at = now + _LOOK_SECONDS if self.on_block is None else -math.inf
        rest = decoder.finish()
        self._feed_rest(rest)
        if unframed and not rest:
            self._feed_whole(b"".join(unframed))

    def _feed(self, events: Iterable[ServerSentEvent]) -> Phase | None:
        """Take events in; the phase of the last content that they bear, None if they bear none."""
        feed, decode = self.accumulator.feed, self._chunks.decode
        phase = None
        for event in events:
            for said in decode(event):
                phase = feed(said) or phase
        return phase

    def _feed_rest(self, events: Iterable[ServerSentEvent]) -> None:
        """What the end of the body left: whole but for its blank line, or cut in two."""
        for name, data in events:
            # What the end cut in two is no error of the endpoint's: the body just ended.
            if data == DONE or not isinstance(json_value(data), InStreamError):
                self.silence.bytes_came(self.clock(), self._feed([(name, data)]))

    def _feed_whole(self, body: bytes) -> None:
        """A body that was no stream: a plain answer, an error as JSON, a page of HTML, nothing."""
        if not body.strip():
            return
        self.is_whole = True
        accumulator = self.accumulator
        self.silence.bytes_came(self.clock(), self._feed([("", body)]))
        if accumulator.is_empty and not accumulator.finish_reason and accumulator.error is None:
            value = json_value(body)
            accumulator.feed(value if isinstance(value, InStreamError) else InStreamError(value))
        accumulator.feed(Done())

    def _news(self) -> list[RunEvent]:
        """What a listener is told of what came since the last time."""
        news = self.accumulator.news()
        if news is None:
            return []
        turn, attempt = self.turn, self.number
        events: list[RunEvent] = []
        if news.restarted:
            events.append(OutputDiscarded(turn=turn, attempt=attempt, discarded_bytes=0))
        if news.reasoning:
            events.append(ReasoningReceived(turn=turn, attempt=attempt, text=news.reasoning))
        if news.text:
            events.append(TextReceived(turn=turn, attempt=attempt, text=news.text))
        for call in news.calls:
            progress = ToolArgumentsReceived(
                turn=turn,
                attempt=attempt,
                position=call.position,
                name=call.name,
                received_bytes=call.received_bytes,
                lines=call.lines,
            )
            events.append(progress)
        return events


@dataclass(slots=True)
class _Patience:
    """When reading an answer is given up: the deadline of its scope."""

    scope: anyio.CancelScope
    silence: Silence
    finished: float = math.inf
    """When the model said that it had finished."""

    def renew(self, now: float, accumulator: Accumulator) -> None:
        """Set it by what has come."""
        deadline = self.silence.deadline
        if accumulator.finish_reason:
            # Content after a finish reason: it ended nothing, and the wait begins anew.
            self.finished = now if accumulator.went_on else min(self.finished, now)
            deadline = min(deadline, self.finished + _AFTER_FINISH_SECONDS)
        if abs(deadline - self.scope.deadline) > _DEADLINE_SLACK_SECONDS:
            self.scope.deadline = deadline

    def stop(self) -> None:
        """It is given up no more, until it is renewed."""
        self.scope.deadline = math.inf

    def excuse(self, seconds: float) -> None:
        """Nobody waited for the answer meanwhile."""
        self.silence.excuse(seconds)
        self.finished += seconds


_CREDENTIAL_NAME = re.compile(r"auth|secret|cookie|credential|passw|(api-?|-|^)(key|token)$", re.I)
SHORTEST_SECRET = 8
"""Characters: what is shorter may be a word."""
_CREDENTIAL_VALUE = re.compile(rf"(?:[^\s;,=]+=)?([^\s;,]{{{SHORTEST_SECRET},}})")
"""What may be one, in such a header: `Bearer value`, `name=value; name=value`."""


def _credentials(key: str, headers: Mapping[str, str]) -> list[str]:
    """The key, and what goes out in headers that may carry one; longer ones first.

    A short key is none that has to be hidden, and may be a word: servers of one's own are given
    "none" or "token", and without these words their errors could not be read.
    """
    found = {key} if len(key) >= SHORTEST_SECRET else set()
    for name, value in headers.items():
        if _CREDENTIAL_NAME.search(name):
            found.update(_CREDENTIAL_VALUE.findall(value))
    return sorted(found, key=len, reverse=True)


def _without(credentials: Sequence[str], facts: ErrorFacts) -> ErrorFacts:
    """An endpoint may repeat a credential in its refusal; it goes no further."""
    if not credentials:
        return facts
    # Reasons are lower case.
    pattern = re.compile("|".join(re.escape(one) for one in credentials), re.IGNORECASE)
    said = (facts.message, facts.code, facts.type, facts.param, *facts.messages, *facts.reasons)
    if not any(pattern.search(text) for text in said if text):
        return facts

    def masked(text: str) -> str:
        return pattern.sub("[key]", text)

    return replace(
        facts,
        message=masked(facts.message),
        code=facts.code and masked(facts.code),
        type=facts.type and masked(facts.type),
        param=facts.param and masked(facts.param),
        messages=tuple(masked(message) for message in facts.messages),
        reasons=tuple(masked(reason) for reason in facts.reasons),
    )
