"""What observations tell. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentcore.kinds import CutCause
from agentcore.probe.caps import CapFinding, find_caps
from agentcore.probe.limits import (
    LEAST_SECONDS,
    LimitFinding,
    LimitKind,
    UndecidedFinding,
    find_limits,
)
from agentcore.probe.observations import Ending, Observation, gaps_of
from agentcore.probe.shapes import ArgumentsFinding, arguments_finding
from agentcore.probe.words import Finding, seconds, span, times

__all__ = ["Findings", "find"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that observations tell."""

    arguments: tuple[ArgumentsFinding, ...] = ()
    """With the switch first."""
    limits: tuple[LimitFinding, ...] = ()
    undecided: UndecidedFinding | None = None
    comments: Finding | None = None
    first_byte: Finding | None = None
    caps: tuple[CapFinding, ...] = ()
    said: tuple[Finding, ...] = ()
    """What the endpoint said when it failed, each text once."""
    others: tuple[Finding, ...] = ()

    @property
    def all(self) -> tuple[Finding, ...]:
        """Every finding, in the order in which they are told."""
        single = (self.undecided, self.comments, self.first_byte)
        known = [one for one in single if one is not None]
        return (*self.arguments, *self.limits, *known, *self.caps, *self.others, *self.said)

    def limit(self, kind: LimitKind) -> LimitFinding | None:
        """The limit of a kind, if one was found."""
        return next((one for one in self.limits if one.kind is kind), None)


def find(seen: Sequence[Observation]) -> Findings:
    """Findings of observations. Total: any observations give findings, none raise."""
    limits, undecided = find_limits(seen)
    arguments = [arguments_finding(seen, switched=switched) for switched in (True, False)]
    return Findings(
        arguments=tuple(one for one in arguments if one is not None),
        limits=limits,
        undecided=undecided,
        comments=_comments(seen, limits),
        first_byte=_first_byte(seen),
        caps=find_caps(seen),
        said=_said(seen),
        others=tuple(_others(seen)),
    )


def _comments(seen: Sequence[Observation], limits: Sequence[LimitFinding]) -> Finding | None:
    bridged = [
        (gap, gap.is_last and one.is_cut)
        for one in seen
        for gap in gaps_of(one, content=True)
        if gap.is_bridged
        and gap.seconds >= LEAST_SECONDS
        and not (gap.is_last and one.ending is Ending.FINISHED)
    ]
    if not bridged:
        return None
    longest = max((gap.seconds for gap, was_cut in bridged if not was_cut), default=0.0)
    amounts = {one.kind: one.amount for one in limits}
    idle = amounts.get(LimitKind.IDLE, math.inf)
    if LimitKind.CONTENT_IDLE in amounts:
        claim, uncertainty = "comments do not keep the connection alive", "see the limit above"
    elif longest > idle:
        claim = "comments keep the connection alive"
        uncertainty = f"without them it is cut after {seconds(idle)} s"
    else:
        claim = "comments come; whether they keep the connection alive is not known"
        uncertainty = "no silence was cut with which to compare"
    count = sum(gap.comments + gap.events for gap, _ in bridged)
    told = f"the longest time without content that they bridged is {seconds(longest)} s"
    evidence = f"{count:,} comments or empty events; {told}"
    return Finding(claim=claim, evidence=evidence, uncertainty=uncertainty)


def _first_byte(seen: Sequence[Observation]) -> Finding | None:
    heads = [one.opened_at for one in seen if one.opened_at is not None]
    if not heads:
        return None
    firsts = [
        next(arrival.at for arrival in one.arrivals if arrival.sign.is_content)
        for one in seen
        if one.has_content
    ]
    return Finding(
        claim=f"first byte: the response begins after {span(heads)} s",
        evidence=f"first content after {span(firsts)} s" if firsts else "no content came at all",
        uncertainty=f"{times(len(heads), 'request')}, each on a connection of its own",
    )


def _said(seen: Sequence[Observation]) -> tuple[Finding, ...]:
    told: dict[tuple[str, str], list[Observation]] = {}
    for one in seen:
        if one.kind is not None and (one.said or one.is_failure):
            told.setdefault((one.kind, one.said), []).append(one)
    return tuple(
        Finding(
            claim=f"the endpoint failed: {kind}",
            evidence=f"it said: {text or '(nothing)'}",
            uncertainty=(
                f"{times(len(ones))}, after {span([one.ended_at for one in ones])} s "
                f"({ones[0].ending}); named by the rule {ones[0].rule}"
            ),
        )
        for (kind, text), ones in told.items()
    )


@dataclass(frozen=True, slots=True)
class OddityRule:
    """Something odd about requests, which is told once."""

    claim: str
    evidence: str
    """With places for the first of them, `one`."""
    uncertainty: str
    is_odd: Callable[[Observation], bool]


ODDITY_RULES = (
    OddityRule(
        "the model answered without calling the tool",
        "content came, and no call",
        "of these, only how text arrives can be told",
        lambda one: one.ending is Ending.FINISHED and one.has_content and not one.called,
    ),
    OddityRule(
        "a response ended without an answer in it",
        "{one.received_bytes:,} B came",
        "status 200 all the same: no error said why",
        lambda one: one.cause is CutCause.ENDED and not one.has_content,
    ),
    OddityRule(
        "the endpoint refuses the switch that streams arguments",
        "the refusal names it; the requests after it went without",
        "agentcore leaves it out by itself after such a refusal",
        lambda one: one.correction is not None and one.correction.switch_refused and one.switched,
    ),
    OddityRule(
        "the endpoint does not apply the cap that is sent",
        "whole, {one.tokens:,} tokens, where the cap was {one.cap:,}",
        "as the endpoint counts them",
        lambda one: one.arguments_closed and (one.tokens or 0) > (one.cap or math.inf),
    ),
    OddityRule(
        "the probe hung up itself",
        "after {one.ended_at:.2f} s",
        "its time was over (--max-seconds), or more came than was asked for",
        lambda one: one.ending is Ending.LIMIT,
    ),
    OddityRule(
        "the endpoint does not stream: the answer is one piece of JSON",
        "{one.received_bytes:,} B came in one piece",
        "a stream was asked for each time",
        lambda one: one.ending is Ending.FINISHED and not one.is_stream,
    ),
)


def _others(seen: Sequence[Observation]) -> list[Finding]:
    return [
        Finding(
            claim=rule.claim,
            evidence=f"{rule.evidence.format(one=odd[0])}; seen {times(len(odd))}",
            uncertainty=rule.uncertainty,
        )
        for rule in ODDITY_RULES
        if (odd := [one for one in seen if rule.is_odd(one)])
    ]
