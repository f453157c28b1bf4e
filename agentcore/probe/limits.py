"""Who cuts: limits of silence, age or size that explain the cuts. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agentcore.probe.observations import (
    JITTER_SECONDS,
    Ending,
    Observation,
    at_silent_cap,
    gaps_of,
    longest_survived,
)
from agentcore.probe.words import Finding, seconds, times

__all__ = [
    "LEAST_SECONDS",
    "LimitFinding",
    "LimitKind",
    "UndecidedFinding",
    "cuts_of",
    "find_limits",
]

LEAST_SECONDS = 0.1
"""No silence, and no life, that is shorter means anything."""
_PACE_SECONDS = 0.25
"""So long a slow stream may take between two blocks."""
_SPREAD = 0.1
"""Values that differ by less, as a part of the largest, may be one limit."""


class LimitKind(StrEnum):
    """What a cut depends on."""

    IDLE = "idle limit"
    """Seconds without a byte."""
    CONTENT_IDLE = "idle limit that comments do not help against"
    """Seconds without content, although comments or empty events came."""
    LIFE = "life limit"
    """Seconds since the request was sent or its response began, whatever flowed."""
    SIZE = "size limit"
    """Bytes of body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFinding(Finding):
    """A limit at which somebody on the way ends an answer."""

    kind: LimitKind
    amount: float
    """Seconds, or bytes for a size limit: the smallest at which a cut was seen."""
    largest_cut: float
    """The largest at which one was."""
    survived: float
    """The most that was survived; below `amount`, or within the jitter of it for a life limit."""
    times: int
    """How many cuts were seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndecidedFinding(Finding):
    """Cuts that more than one limit explains, or none."""

    candidates: tuple[LimitKind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRule:
    """How a limit of a kind shows itself."""

    kind: LimitKind
    claim: str
    """With a place for the amount."""
    reached: Callable[[Observation], float]
    """What an answer had reached when it ended."""


LIMIT_RULES = (
    LimitRule(
        kind=LimitKind.IDLE,
        claim="the connection is cut after {} without a byte",
        reached=lambda one: gaps_of(one)[-1].seconds,
    ),
    # Gateways count a life from either; the one that varies less is the better guess.
    LimitRule(
        kind=LimitKind.LIFE,
        claim="the connection is cut {} after the response began, although bytes flow",
        reached=lambda one: one.ended_at - (one.opened_at or 0.0),
    ),
    LimitRule(
        kind=LimitKind.LIFE,
        claim="the connection is cut {} after the request, although bytes flow",
        reached=lambda one: one.ended_at,
    ),
    LimitRule(
        kind=LimitKind.CONTENT_IDLE,
        claim="the answer is cut after {} without content, comments or not",
        reached=lambda one: gaps_of(one, content=True)[-1].seconds,
    ),
    LimitRule(
        kind=LimitKind.SIZE,
        claim="the answer is cut after {} of body",
        reached=lambda one: float(one.received_bytes),
    ),
)
"""Of two for one kind that vary alike, the later counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A limit that may explain cuts."""

    rule: LimitRule
    low: float
    """The least that was reached at a cut."""
    high: float
    survived: float

    @property
    def spread(self) -> float:
        """How far the values lie apart, as a part of the largest."""
        return (self.high - self.low) / self.high if self.high > 0 else 0.0

    def explains(self, cuts: Sequence[Observation]) -> bool:
        """It may be the cause of these cuts."""
        if len(cuts) < 2 or self.high - self.low > _SPREAD * self.high + JITTER_SECONDS / 2:
            return False
        match self.rule.kind:
            case LimitKind.SIZE:
                return self.low > 0 and self.survived <= self.low
            case LimitKind.LIFE:
                return self.low >= LEAST_SECONDS and self.survived <= self.high
            case LimitKind.IDLE:
                return _is_longer(self.low, self.survived)
            case LimitKind.CONTENT_IDLE:
                return _is_longer(self.low, self.survived) and all(map(_is_kept_alive, cuts))


def _is_longer(silence: float, survived: float) -> bool:
    """A silence that may be the cause of a cut: between two blocks there is always some time."""
    margin = JITTER_SECONDS if silence < _PACE_SECONDS else 0.0
    return silence >= LEAST_SECONDS and survived + margin <= silence


def _is_kept_alive(cut: Observation) -> bool:
    """Signs of life came to the end, and no content."""
    gap = gaps_of(cut, content=True)[-1]
    return gap.is_bridged and gap.seconds > 1.5 * gaps_of(cut)[-1].seconds


def cuts_of(seen: Sequence[Observation]) -> list[Observation]:
    """Cuts that may tell of a limit: where nobody ever answers, there is none to find."""
    if not any(one.is_answer or one.ending is Ending.REFUSED for one in seen):
        return []
    cuts = [one for one in seen if one.is_cut and one.ended_at >= LEAST_SECONDS]
    return [one for one in cuts if not at_silent_cap(one, seen)]


def find_limits(
    seen: Sequence[Observation],
) -> tuple[tuple[LimitFinding, ...], UndecidedFinding | None]:
    """The limits that explain the cuts, and what is to be said of cuts that none explains."""
    cuts = cuts_of(seen)
    groups = [cuts]
    if not _possible(cuts, seen):
        # Those in a silence longer than any that was survived, and the others.
        survived = longest_survived(seen, content=False)
        silent = [one for one in cuts if _is_longer(gaps_of(one)[-1].seconds, survived)]
        groups = [silent, [one for one in cuts if one not in silent]]
    limits: list[LimitFinding] = []
    left: list[Observation] = []
    kinds: list[LimitKind] = []
    for group in groups:
        possible = _possible(group, seen)
        if len(possible) == 1:
            limits.append(_limit(possible[0], group, seen))
        else:
            left += group
            kinds += [one.rule.kind for one in possible]
    undecided = _undecided(left, tuple(dict.fromkeys(kinds))) if left else None
    return tuple(limits), undecided


def _possible(cuts: Sequence[Observation], seen: Sequence[Observation]) -> list[_Candidate]:
    """The limits that explain all these cuts, one of a kind; a size only where no time does."""
    if not cuts:
        return []
    others = [one for one in seen if one not in cuts and one.is_answer and not one.is_failure]
    of_kind: dict[LimitKind, _Candidate] = {}
    for rule in LIMIT_RULES:
        reached = [rule.reached(one) for one in cuts]
        if rule.kind in (LimitKind.IDLE, LimitKind.CONTENT_IDLE):
            content = rule.kind is LimitKind.CONTENT_IDLE
            survived = longest_survived(seen, content=content)
        else:
            survived = max(map(rule.reached, others), default=0.0)
        found = _Candidate(rule=rule, low=min(reached), high=max(reached), survived=survived)
        if rule.kind not in of_kind or found.spread <= of_kind[rule.kind].spread:
            of_kind[rule.kind] = found
    possible = [one for one in of_kind.values() if one.explains(cuts)]
    return [one for one in possible if one.rule.kind is not LimitKind.SIZE] or possible


def _limit(
    found: _Candidate, cuts: Sequence[Observation], seen: Sequence[Observation]
) -> LimitFinding:
    kind = found.rule.kind

    def shown(amount: float) -> str:
        return f"{amount:,.0f} B" if kind is LimitKind.SIZE else f"{seconds(amount)} s"

    low, high = shown(found.low), shown(found.high)
    evidence = [
        f"{low if low == high else f'between {low} and {high}'}, seen {times(len(cuts))}",
        f"ended by: {', '.join(dict.fromkeys(_ended_by(one) for one in cuts))}",
    ]
    longest = max((one.ended_at for one in seen if one not in cuts), default=0.0)
    if kind in (LimitKind.IDLE, LimitKind.CONTENT_IDLE) and longest > found.low:
        evidence.append(f"another connection lived for {seconds(longest)} s")
    uncertainty = [
        f"the most that was survived is {shown(found.survived)}"
        if found.survived > 0
        else "nothing that survived was seen to compare with"
    ]
    sizes = [one.received_bytes for one in cuts]
    if kind is LimitKind.LIFE and max(sizes) - min(sizes) <= _SPREAD * max(sizes):
        came = f"{min(sizes):,} to {max(sizes):,} B had come each time"
        uncertainty.append(f"{came}, so that a limit on bytes is not excluded")
    if all(one.ending is Ending.FINISHED for one in cuts):
        uncertainty.append("a model that breaks off by itself would look the same")
    return LimitFinding(
        kind=kind,
        amount=found.low,
        largest_cut=found.high,
        survived=found.survived,
        times=len(cuts),
        claim=f"{kind}: {found.rule.claim.format(low)}",
        evidence="; ".join(evidence),
        uncertainty="; ".join(uncertainty),
    )


def _ended_by(seen: Observation) -> str:
    if seen.ending is Ending.FINISHED:
        return f"the finish reason {seen.finish_reason!r}, in the middle of the arguments"
    return f"{seen.ending} ({seen.kind})" if seen.kind is not None else str(seen.ending)


def _undecided(cuts: Sequence[Observation], candidates: tuple[LimitKind, ...]) -> UndecidedFinding:
    rows = [
        f"after {seconds(one.ended_at)} s, of them {seconds(gaps_of(one)[-1].seconds)} s silent"
        for one in cuts
    ]
    if len(candidates) > 1:
        claim = f"cuts that more than one limit explains: {', '.join(candidates)}"
        would_tell = (
            "a connection that lives longer while bytes flow: if it is cut at the same age, it is "
            "the life limit"
        )
    elif len(cuts) == 1:
        claim = "one cut, which tells nothing of a limit yet"
        would_tell = "the same request again: a limit cuts at the same place"
    else:
        claim = "cuts without a pattern: neither silence nor age nor size is the same"
        would_tell = "more requests; connections that just break have no pattern"
    return UndecidedFinding(
        claim=claim,
        evidence=f"cut {times(len(cuts))}: {'; '.join(rows)}",
        uncertainty=f"what would tell: {would_tell}",
        candidates=candidates,
    )
