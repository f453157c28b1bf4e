"""A cut and what was spent so far give one decision: retry, adjust, keep or stop.

Pure. The turn carries out what is decided here; dispatch answers what is kept.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from agentcore.classification import Classification
from agentcore.facts import ErrorFacts, Surface
from agentcore.families import CapParameter
from agentcore.kinds import CutCause, ErrorKind
from agentcore.payloads import shortened
from agentcore.retry import Budget, Policy
from agentcore.token_figures import read_figures
from agentcore.verdict import Partial

__all__ = [
    "Adjust",
    "Adjustments",
    "Failure",
    "Keep",
    "Recovery",
    "Retry",
    "Stop",
    "concerns_endpoint",
    "decide",
    "is_retried",
]


LimitLasts: TypeAlias = Literal["turn", "run", "agent"]

AFFORD_RULE = "can-only-afford"
"""The row of the error table for a cap that the credit does not cover."""
LEAST_AFFORDABLE_TOKENS = 256
"""What is less is no credit: nothing can be said in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustments:
    """How the next request differs from the one that the adapter would make by itself."""

    streamed: bool = True
    """False for the one plain request of a turn."""
    tool_streaming: bool = True
    """False: leave out the switch that asks for streamed tool arguments."""
    output_limit: int | None = None
    """Tokens: a cap that this endpoint named when it refused ours."""
    limit_lasts: LimitLasts = "agent"
    """How long that cap is true: the room beside one prompt for a turn, what the credit covers for
    a run, the most that the model gives for every run of an agent."""
    cap_parameter: CapParameter | None = None
    """The cap's name that this endpoint asked for when it refused ours."""
    switch_refused: bool = False
    """The endpoint refused that switch by name: it is left out from now on."""
    omitted: frozenset[str] = field(default_factory=frozenset)
    """Payload fields to leave out: ours, refused by this endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One attempt that failed, as far as a decision needs to know it."""

    classification: Classification
    facts: ErrorFacts | None
    """None when nothing was thrown: the answer just was not whole."""
    cause: CutCause | None
    """None when the request was refused before an answer began."""
    partial: Partial
    adjustments: Adjustments
    """Those that the failed request was made with."""
    added_fields: frozenset[str] = frozenset()
    """Payload fields that we added, not the user."""
    output_limit: int | None = None
    """Tokens: the cap that was sent."""
    tool_streaming: bool = False
    """The request asked for streamed tool arguments."""
    switch_names: frozenset[str] = frozenset()
    """Of headers and fields by which it did."""
    has_new_key: bool = False
    """The key was refused, and the function that gives it has another one now."""
    is_worth_keeping: bool = False
    """Enough of a large argument, or of a text, arrived to go on from it (`drafts`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The same request again, after a wait, on a fresh connection."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """Another request at once, corrected; it uses up no attempt."""

    adjustments: Adjustments
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What arrived becomes the answer of this turn; its cut call is answered with guidance."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """No further attempt can help."""

    reason: str


Recovery: TypeAlias = Retry | Adjust | Keep | Stop

_STREAMING_SWITCH = re.compile(
    r"anthropic[-_]beta|fine-grained-tool-streaming|eager_input_streaming|tool_stream\b", re.I
)
_CAP_NAMES: tuple[CapParameter, ...] = ("max_tokens", "max_completion_tokens")


def decide(
    failure: Failure,
    *,
    earlier: Sequence[Failure],
    budget: Budget,
    policy: Policy,
    roll: float,
    has_next: bool = False,
) -> Recovery:
    """What to do about a failed attempt.

    Args:
        failure: The attempt that has just failed.
        earlier: Those of the same turn before it, oldest first.
        budget: What the turn has spent, this attempt included.
        policy: The limits.
        roll: A random number between 0 and 1, for the wait.
        has_next: Another endpoint can go on from what is kept, when this one cannot.
    """
    kept = _worth_keeping(failure, earlier, budget, policy, has_next)
    if kept is not None:
        return kept
    correction = _correction(failure, earlier)
    if correction is not None:
        return correction
    kind = failure.classification.kind
    if failure.cause is CutCause.CAPPED:
        cap = f" of {failure.output_limit} tokens" if failure.output_limit else ""
        return Stop(reason=f"the answer reached its output cap{cap}")
    if not kind.is_transient:
        return Stop(reason=f"a failure of kind {kind} does not pass with time")
    return _retry(failure, budget, policy, roll)


def concerns_endpoint(failure: Failure) -> bool:
    """Another endpoint may do what this one does not: the request itself is not at fault.

    Of an answer that just ends this holds too; of one that reached its cap it does not.
    """
    if failure.cause is CutCause.CAPPED:
        return False
    # A cap that the credit does not cover is a want of credit.
    if failure.classification.rule == AFFORD_RULE:
        return True
    return failure.classification.kind not in _FAULTS_OF_THE_REQUEST


_FAULTS_OF_THE_REQUEST = frozenset(
    {
        ErrorKind.CANCELLED,
        ErrorKind.CONTENT_POLICY,
        ErrorKind.CONTEXT_OVERFLOW,
        ErrorKind.INVALID_REQUEST,
        ErrorKind.OUTPUT_LIMIT,
        ErrorKind.REQUEST_TOO_LARGE,
    }
)


def is_retried(classification: Classification, policy: Policy) -> bool:
    """Whether the loop by itself makes another attempt after such a failure, corrected or not.

    It says what `decide` does about a first failure whose answer had not begun; refused fields of
    our own, which are left out of the next request, are not counted.
    """
    if classification.kind is ErrorKind.OUTPUT_LIMIT:
        return True
    asked = classification.retry_after
    too_long = asked is not None and asked.seconds > policy.max_retry_after
    return classification.is_transient and not too_long


def _worth_keeping(
    failure: Failure, earlier: Sequence[Failure], budget: Budget, policy: Policy, has_next: bool
) -> Keep | None:
    """What arrived is kept when it is much, or when another attempt would only repeat the cut."""
    if not policy.keep_drafts or failure.cause in (None, CutCause.FILTERED):
        return None
    is_elsewhere = has_next and concerns_endpoint(failure) and failure.is_worth_keeping
    if not failure.classification.kind.is_transient and not is_elsewhere:
        return None
    if failure.is_worth_keeping:
        return Keep(reason="enough arrived to go on from it")
    if not failure.partial.calls:
        return None
    if failure.cause is CutCause.CAPPED:
        return Keep(reason="the output cap was reached in the middle of a tool call")
    exhausted = budget.exhausted(policy)
    if exhausted is not None:
        return Keep(reason=exhausted)
    next_is_last = budget.failures == policy.max_attempts - 1
    if next_is_last and any(_same_cut(failure, other) for other in earlier):
        tool = failure.partial.calls[-1].name
        return Keep(reason=f"a call of {tool} was cut twice: the last attempt would repeat it")
    return None


def _same_cut(one: Failure, other: Failure) -> bool:
    """Both were cut in the last call, of the same tool."""
    if not (one.partial.calls and other.partial.calls) or other.cause is None:
        return False
    return one.partial.calls[-1].name == other.partial.calls[-1].name


def _correction(failure: Failure, earlier: Sequence[Failure]) -> Adjust | None:
    """The next request, corrected, if this failure names what was wrong; once for each cause."""
    tried = [other.adjustments for other in (*earlier, failure)]
    now = failure.adjustments
    kind = failure.classification.kind
    if kind is ErrorKind.OUTPUT_LIMIT:
        limit = failure.classification.corrected_output_limit
        is_price = failure.classification.rule == AFFORD_RULE
        if is_price and (limit or 0) < LEAST_AFFORDABLE_TOKENS:
            return None
        is_lower = limit and (failure.output_limit is None or limit < failure.output_limit)
        if is_lower and now.output_limit is None:
            reason = f"the endpoint takes at most {limit} output tokens"
            lasts = _lasts(failure)
            return Adjust(
                adjustments=replace(now, output_limit=limit, limit_lasts=lasts), reason=reason
            )
        if limit is None and (failure.output_limit or 0) > 1 and now.output_limit is None:
            half = (failure.output_limit or 0) // 2
            reason = f"the endpoint refuses the cap and names no other: half of it, {half} tokens"
            return Adjust(
                adjustments=replace(now, output_limit=half, limit_lasts="run"), reason=reason
            )
    if failure.has_new_key and not any(other.has_new_key for other in earlier):
        return Adjust(adjustments=now, reason="there is another key than the one refused")
    if kind is ErrorKind.INVALID_REQUEST and failure.facts is not None:
        return _without_refused_field(failure, failure.facts)
    if failure.cause is CutCause.MALFORMED and failure.tool_streaming:
        reason = "the streamed arguments are no JSON: ask for buffered ones"
        return Adjust(adjustments=replace(now, tool_streaming=False), reason=reason)
    if _is_unknown_in_stream(failure) and all(one.streamed for one in tried):
        reason = "an unknown error in the stream: ask once without streaming"
        return Adjust(adjustments=replace(now, streamed=False), reason=reason)
    return None


def _is_unknown_in_stream(failure: Failure) -> bool:
    return (
        failure.cause is CutCause.DROPPED
        and failure.classification.kind is ErrorKind.UNKNOWN
        and failure.facts is not None
        and failure.facts.surface is Surface.SSE
        and failure.partial.is_empty
    )


def _without_refused_field(failure: Failure, facts: ErrorFacts) -> Adjust | None:
    """Leave out, or rename, a field that we added ourselves and the endpoint refuses by name."""
    now = failure.adjustments
    text = f"{facts.param or ''}\n{shortened(facts.text)}"
    if failure.tool_streaming and _names_switch(text, failure.switch_names):
        reason = "the endpoint refuses the switch that streams tool arguments"
        return Adjust(adjustments=replace(now, switch_refused=True), reason=reason)
    for sent, asked in (_CAP_NAMES, _CAP_NAMES[::-1]):
        if sent in failure.added_fields and now.cap_parameter is None and _names(text, sent, asked):
            reason = f"the endpoint wants the cap as {asked}"
            return Adjust(adjustments=replace(now, cap_parameter=asked), reason=reason)
    for name in sorted(failure.added_fields - now.omitted - set(_CAP_NAMES)):
        if re.search(rf"\b{re.escape(name)}\b", text):
            reason = f"the endpoint refuses {name}, which we added"
            return Adjust(adjustments=replace(now, omitted=now.omitted | {name}), reason=reason)
    return None


def _lasts(failure: Failure) -> LimitLasts:
    """How long the cap is true that a refusal names."""
    if failure.facts is not None and read_figures(failure.facts.text) is not None:
        return "turn"
    return "run" if failure.classification.rule == AFFORD_RULE else "agent"


def _names_switch(text: str, names: frozenset[str]) -> bool:
    if _STREAMING_SWITCH.search(text):
        return True
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.I) for name in names)


def _names(text: str, *names: str) -> bool:
    return all(re.search(rf"\b{name}\b", text) for name in names)


def _retry(failure: Failure, budget: Budget, policy: Policy, roll: float) -> Retry | Stop:
    exhausted = budget.exhausted(policy)
    if exhausted is not None:
        return Stop(reason=exhausted)
    asked = failure.classification.retry_after
    if asked is not None and asked.seconds > policy.max_retry_after:
        return Stop(
            reason=f"the endpoint asks to wait {asked.seconds:.0f} s ({asked.source}); the longest "
            f"wait that is obeyed is {policy.max_retry_after:.0f} s (Policy.max_retry_after)"
        )
    kind = failure.classification.kind
    # Capacity comes back more slowly than a connection does: one doubling ahead.
    failures = max(budget.failures, 1) + (kind is ErrorKind.OVERLOADED)
    seconds = policy.backoff.delay(failures, roll)
    if asked is not None:
        # Never earlier than asked, and not all at the same moment either.
        seconds = min(asked.seconds + seconds * 0.1, policy.max_retry_after)
    if policy.max_seconds is not None and budget.seconds + seconds > policy.max_seconds:
        return Stop(
            reason=f"a wait of {seconds:.0f} s would pass the turn's {policy.max_seconds:g} s"
        )
    return Retry(seconds=seconds, reason=str(kind))
