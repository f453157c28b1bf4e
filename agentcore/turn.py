"""One turn: ask, stream, judge, and when the answer is cut, decide and try again.

An attempt is one request (`attempt`). What came of it is judged by `verdict.judge`; what to do
about a cut is decided by `recovery.decide`. This module only carries out: it waits and records.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import anyio

from agentcore.accumulator import Accumulator
from agentcore.admission import Admission, Gates, gates
from agentcore.attempt import Attempt
from agentcore.classification import Classification, classify
from agentcore.client import Client
from agentcore.clocks import Clocks, Silence
from agentcore.draft_store import DraftStore
from agentcore.drafts import Kept, is_worth_keeping, keep
from agentcore.emitter import Emitter
from agentcore.errors import ConfigurationError
from agentcore.events import (
    AttemptCut,
    AttemptStarted,
    OutputDiscarded,
    RunEvent,
    WaitStarted,
)
from agentcore.facts import ErrorFacts
from agentcore.journal import RunState
from agentcore.journal.writing import RunJournal
from agentcore.kinds import CutCause, ErrorKind
from agentcore.ledger import PROCESS_ENDED, AttemptRecord, Decision, estimate_tokens
from agentcore.limiter import REFUSALS
from agentcore.live import Live
from agentcore.providers.base import ProviderAdapter, Request
from agentcore.recovery import Adjust, Adjustments, Failure, Keep, Recovery, Retry, Stop, decide
from agentcore.retry import Budget, Policy
from agentcore.verdict import Complete, Cut, Partial

__all__ = ["BegunTurn", "Chance", "GivenUp", "Turn", "TurnOutcome", "begun_turn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Time and chance, as arguments: tests give their own."""

    sleep: Callable[[float], Awaitable[None]]
    roll: Callable[[], float]
    """A random number, `0 <= roll < 1`."""
    clock: Callable[[], float] = anyio.current_time
    """Seconds, on the clock of the event loop."""
    new_id: Callable[[], str]
    """An id for a tool call that came without one: nine letters or digits, as Mistral demands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """No attempt can help, or may be spent."""

    reason: str
    failure: Failure


TurnOutcome: TypeAlias = Complete | Kept | GivenUp


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunTurn:
    """What another process has done in a turn that it did not end."""

    earlier: tuple[Failure, ...] = ()
    """Its attempts, oldest first."""
    budget: Budget = field(default_factory=Budget)
    """What they cost."""
    rest_seconds: float = 0.0
    """What is left of the wait after the last of them."""
    arrived: Partial | None = None
    """What it had received of an answer when it left; None when it was not reading any."""


def begun_turn(state: RunState, arrived: Partial, *, after_crash: bool, now: float) -> BegunTurn:
    """What the journal says of the turn that comes next.

    Args:
        state: Of all its rows.
        arrived: What had come of the answer under way.
        after_crash: Its process died: an attempt was under way, although nothing had come of it.
        now: Seconds since the epoch.
    """
    records = [failed.record for failed in state.failed]
    return BegunTurn(
        earlier=tuple(map(_recalled, records)),
        budget=Budget(
            failures=sum(record.decision == "retry" for record in records),
            seconds=sum(record.seconds + record.waited_seconds for record in records),
            discarded_tokens=sum(record.received_tokens for record in records),
        ),
        rest_seconds=max(0.0, state.failed[-1].rest_until - now) if records else 0.0,
        arrived=arrived if after_crash or not arrived.is_empty else None,
    )


def _recalled(record: AttemptRecord) -> Failure:
    """A failed attempt, as far as the ledger tells of it."""
    return Failure(
        classification=Classification(
            kind=record.kind or ErrorKind.UNKNOWN, rule=record.rule, evidence=record.message
        ),
        facts=None,
        cause=record.cause,
        partial=Partial(),
        adjustments=Adjustments(streamed=record.streamed),
        output_limit=record.output_limit,
        tool_streaming=record.tool_streaming,
    )


@dataclass(slots=True, kw_only=True)
class Turn:
    """One answer of the model, however many attempts it takes."""

    number: int
    """Counted from 1 within the run."""
    client: Client
    adapter: ProviderAdapter
    key: Callable[[], Awaitable[str]]
    """Gives the credential, empty for none; called before every request."""
    request: Request
    policy: Policy
    clocks: Clocks
    chance: Chance
    ledger: list[AttemptRecord]
    """The run's; every attempt appends its record."""
    emit: Emitter | None = None
    """None when nobody listens: no event is built then."""
    draft_arguments: Mapping[str, str] = field(default_factory=dict)
    no_argument_tools: frozenset[str] = frozenset()
    store: DraftStore | None = None
    """Where what arrives is written while it arrives; None for nowhere."""
    ids_in_use: Set[str] = frozenset()
    """Ids of the calls in the whole conversation: strict endpoints refuse one twice."""
    has_next: bool = False
    """Another endpoint can be asked when this one fails for good."""
    gates: Gates = field(default_factory=gates)
    """Where all runs of this event loop wait that ask the same place."""
    attempt: int = 0
    """The number of the attempt under way, or of the last one."""
    earlier: Sequence[Failure] = ()
    """Attempts of this turn that another process made, oldest first."""
    budget: Budget = field(default_factory=Budget)
    """What was spent in it."""
    rest_seconds: float = 0.0
    """How long it is waited before the first attempt: another process was asked to."""
    arrived: Partial | None = None
    """What another process had received of an answer when it died."""
    journal: RunJournal | None = None
    """Where failed attempts are written; the run writes the one that the turn ends with."""
    _live: Live | None = None
    _failures: list[Failure] = field(default_factory=list)
    _waited: float = 0.0
    """Seconds, before the attempt under way."""
    _rested_until: float = 0.0
    _started: float = 0.0
    _spent_before: float = 0.0
    """Seconds, by another process."""

    async def run(self) -> TurnOutcome:
        """Attempts until the answer is whole, something is kept, or nothing more can be done."""
        self._failures += self.earlier
        self._spent_before = self.budget.seconds
        self._started = self._rested_until = self.chance.clock()
        outcome: TurnOutcome | None = None
        if self.arrived is not None:
            self.attempt += 1
            outcome = await self._recover(*self._left_alone(self.arrived))
        elif self.rest_seconds:
            await self._wait(Retry(seconds=self.rest_seconds, reason="the last failure"))
        while outcome is None:
            self.attempt += 1
            outcome = await self._try()
        return outcome

    async def _try(self) -> TurnOutcome | None:
        """One attempt, and what to do about it; None: make another."""
        key = await self.key()
        started = self.chance.clock()
        admission = await self._admit(
            key,
            max(started, self._rested_until),
            seconds_left=self._seconds_left(started) if self._failures else None,
        )
        if admission is None:
            reason = f"no room at the endpoint within the turn's {self.policy.max_seconds:g} s"
            return GivenUp(reason=reason, failure=self._failures[-1])
        if admission.waited_seconds:
            started = self.chance.clock()
        attempt = await self._send(key, admission)
        partial = attempt.accumulator.partial(self.chance.new_id, self.ids_in_use)
        verdict = attempt.judge(
            partial,
            self._callable_with_nothing(partial),
            may_be_empty=self.request.messages[-1].role == "tool",
        )
        record = self._record(
            attempt,
            partial,
            queued=admission.waited_seconds,
            seconds=self.chance.clock() - started,
        )
        if isinstance(verdict, Complete):
            self.ledger.append(record)
            return verdict
        failure = await self._failure(attempt, verdict)
        return await self._recover(record, failure, admission)

    async def _recover(
        self, record: AttemptRecord, failure: Failure, admission: Admission | None = None
    ) -> Kept | GivenUp | None:
        """What to do about a failed attempt, done; None: make another."""
        now, roll = self.chance.clock(), self.chance.roll()
        spent = Budget(
            failures=self.budget.failures + 1,
            seconds=self._spent_before + now - self._started,
            discarded_tokens=self.budget.discarded_tokens + record.received_tokens,
        )
        recovery = decide(
            failure,
            earlier=self._failures,
            budget=spent,
            policy=self.policy,
            roll=roll,
            has_next=self.has_next,
        )
        if admission is not None and failure.classification.kind in REFUSALS:
            self._refused(admission, failure, roll)
        kept = self._kept(failure) if isinstance(recovery, Keep) else None
        await self._report(record, failure, recovery, kept)
        if kept is not None:
            return kept
        if isinstance(recovery, Stop):
            return GivenUp(reason=recovery.reason, failure=failure)
        self._failures.append(failure)
        self._waited = 0.0
        self.budget = spent
        if isinstance(recovery, Adjust):
            self.budget = replace(spent, failures=spent.failures - 1)
            self.request = replace(self.request, adjustments=recovery.adjustments)
        elif isinstance(recovery, Retry):
            self._waited = recovery.seconds
            self._rested_until = now + recovery.seconds
            await self._wait(recovery)
        return None

    # --- one attempt ------------------------------------------------------------------------

    async def _admit(self, key: str, now: float, *, seconds_left: float | None) -> Admission | None:
        """A place among the requests under way; None when there was none in time.

        The key stands for the account; its hash is enough, and differs in each process.
        """
        scope = self.adapter.limiter_scope(self.request)
        try:
            gate = self.gates.of((scope, hash(key)), now)
        except TypeError:
            raise ConfigurationError(
                f"{type(self.adapter).__name__}.limiter_scope gave a {type(scope).__name__} that "
                "cannot be hashed; give a text, or a tuple of texts"
            ) from None
        admission = gate.enter(now)
        if admission is not None:
            return admission
        seconds, reason = gate.seconds(now), gate.why(now)
        await self._tell(
            lambda: WaitStarted(
                turn=self.number, attempt=self.attempt, seconds=seconds, reason=reason
            )
        )
        with anyio.move_on_after(seconds_left):
            return await gate.wait(now, sleep=self.chance.sleep, roll=self.chance.roll)
        return None

    def _seconds_left(self, now: float) -> float | None:
        limit = self.policy.max_seconds
        spent = self._spent_before + now - self._started
        return None if limit is None else max(0.0, limit - spent)

    def _refused(self, admission: Admission, failure: Failure, roll: float) -> None:
        """What the endpoint said to this run holds for all that ask there.

        A wait that is too long to be obeyed is left to each of them to be told, and to end by.
        """
        asked = failure.classification.retry_after
        seconds = asked.seconds if asked is not None else None
        is_too_long = seconds is not None and seconds > self.policy.max_retry_after
        admission.refused(
            self.chance.clock(),
            asked=0.0 if is_too_long else seconds,
            backoff=self.policy.backoff,
            roll=roll,
        )

    async def _send(self, key: str, admission: Admission) -> Attempt:
        """One request, at its place among those under way, which it then leaves."""
        try:
            if admission.waited_seconds:
                key = await self.key()  # the other one may be an old one by now
            attempt = await self._prepare(key)
            await attempt.send(self.client, self.clocks)
            return attempt
        finally:
            admission.leave()

    async def _prepare(self, key: str) -> Attempt:
        self.settle()
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
                limit_note=limit.note,
                streamed=wire.streamed,
                tool_streaming=wire.tool_streaming,
            )
        )
        if self.journal is not None:
            self._live = self.journal.live(self.draft_arguments)
        elif self.store is not None:
            self._live = self.store.live(self.draft_arguments)
        return Attempt(
            turn=self.number,
            number=self.attempt,
            adapter=self.adapter,
            wire=wire,
            key=key,
            silence=Silence(
                self.clocks if wire.streamed else self.clocks.for_plain_answer(),
                now=self.chance.clock(),
                buffered=wire.buffered_arguments,
                output_limit=limit.tokens,
            ),
            accumulator=Accumulator(
                cumulative_arguments=self.adapter.capabilities.cumulative_arguments,
                saves_details=self.journal is not None,
            ),
            emit=self.emit,
            live=self._live,
            clock=self.chance.clock,
        )

    def settle(self) -> None:
        """What arrived has been dealt with: the file of the attempt under way goes."""
        if self._live is not None:
            self._live.close()
            self._live = None

    def leave(self) -> None:
        """The run ends in the middle: the file stays, for the next run to find."""
        if self._live is not None:
            self._live.leave()
            self._live = None

    # --- judging ----------------------------------------------------------------------------

    async def _failure(self, attempt: Attempt, verdict: Cut | None) -> Failure:
        cause = verdict.cause if verdict is not None else None
        partial = verdict.partial if verdict is not None else Partial()
        facts: ErrorFacts | None = None
        if cause is None or cause is CutCause.DROPPED:
            facts = attempt.facts()
            classification = classify(facts, self.adapter.error_rules)
        else:
            classification = attempt.classification(cause)
        is_refused = classification.kind is ErrorKind.AUTH
        return Failure(
            classification=classification,
            facts=facts,
            cause=cause,
            partial=partial,
            adjustments=self.request.adjustments,
            added_fields=attempt.wire.added_fields,
            output_limit=attempt.wire.output_limit.tokens,
            tool_streaming=attempt.wire.tool_streaming,
            switch_names=attempt.wire.switch_names,
            has_new_key=is_refused and await self._has_new_key(attempt.key),
            is_worth_keeping=self.policy.keep_drafts
            and is_worth_keeping(partial, self.draft_arguments),
        )

    def _left_alone(self, arrived: Partial) -> tuple[AttemptRecord, Failure]:
        """An answer that a process received when it died: it counts as a connection that was lost.

        Of that attempt nothing more is known than what arrived.
        """
        calls = tuple(
            replace(call, id=self.chance.new_id()) if call.id in self.ids_in_use else call
            for call in arrived.calls
        )
        arrived = replace(arrived, calls=calls)
        said = "the process that received the answer ended before the answer did"
        classification = Classification(
            kind=ErrorKind.CONNECTION, rule=PROCESS_ENDED, evidence=said
        )
        record = AttemptRecord(
            turn=self.number,
            attempt=self.attempt,
            provider=self.adapter.name or type(self.adapter).__name__,
            base_url=self.adapter.base_url,
            model=self.request.model,
            outcome="complete",
            decision="accept",
            received_bytes=arrived.size_bytes,
            received_tokens=estimate_tokens(arrived.size_bytes),
        )
        failure = Failure(
            classification=classification,
            facts=None,
            cause=CutCause.DROPPED,
            partial=arrived,
            adjustments=self.request.adjustments,
            is_worth_keeping=self.policy.keep_drafts
            and is_worth_keeping(arrived, self.draft_arguments),
        )
        return record, failure

    async def _has_new_key(self, refused: str) -> bool:
        try:
            return await self.key() != refused
        except ConfigurationError:
            return False

    def _callable_with_nothing(self, partial: Partial) -> frozenset[str]:
        """Tools that may be called with nothing: one that is not on offer is told so either way."""
        offered = {tool.name for tool in self.request.tools}
        return self.no_argument_tools | ({call.name for call in partial.calls} - offered)

    def _kept(self, failure: Failure) -> Kept:
        assert failure.cause is not None, "only an answer that began is kept"
        return keep(failure.partial, failure.cause, draft_arguments=self.draft_arguments)

    # --- telling ----------------------------------------------------------------------------

    def _record(
        self,
        attempt: Attempt,
        partial: Partial,
        *,
        queued: float,
        seconds: float,
    ) -> AttemptRecord:
        usage = attempt.accumulator.usage
        reported = usage.output_tokens if usage is not None else 0
        return AttemptRecord(
            turn=self.number,
            attempt=self.attempt,
            provider=self.adapter.name or type(self.adapter).__name__,
            base_url=self.adapter.base_url,
            model=self.request.model,
            outcome="complete",
            decision="accept",
            streamed=attempt.wire.streamed,
            tool_streaming=attempt.wire.tool_streaming,
            output_limit=attempt.wire.output_limit.tokens,
            limit_source=attempt.wire.output_limit.source,
            limit_note=attempt.wire.output_limit.note,
            waited_seconds=self._waited,
            queued_seconds=queued,
            seconds=seconds,
            received_bytes=attempt.received_bytes,
            received_tokens=reported or estimate_tokens(partial.size_bytes),
            usage=usage,
            generation_id=attempt.accumulator.generation_id,
            served_model=attempt.accumulator.served_model,
            host=attempt.accumulator.host,
        )

    async def _report(
        self, record: AttemptRecord, failure: Failure, recovery: Recovery, kept: Kept | None
    ) -> None:
        """Write the failed attempt into the ledger and tell the listener."""
        facts, classification = failure.facts, failure.classification
        discarded = kept.dropped_bytes if kept is not None else failure.partial.size_bytes
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
        if self.journal is not None and isinstance(recovery, (Retry, Adjust)):
            rest = recovery.seconds if isinstance(recovery, Retry) else 0.0
            await self.journal.attempt_ended(record, rest)
        await self._tell(lambda: AttemptCut(turn=self.number, attempt=self.attempt, record=record))
        if kept is None and not failure.partial.is_empty:
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


_DECISIONS: Mapping[type[Recovery], Decision] = {
    Retry: "retry",
    Adjust: "adjust",
    Keep: "keep",
    Stop: "stop",
}
