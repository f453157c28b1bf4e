"""The output cap that an endpoint applies. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentcore.kinds import CutCause
from agentcore.probe.observations import Ending, Observation, at_silent_cap
from agentcore.probe.words import Finding

__all__ = ["CapFinding", "find_caps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapFinding(Finding):
    """The output cap that the endpoint applies."""

    tokens: int | None
    """None when none was met."""
    is_default: bool
    """It applies where no cap is sent; False: it takes the place of a larger one that was."""
    known_from: str
    """`echo`, `answer`, `refusal`, or empty."""


def find_caps(seen: Sequence[Observation]) -> tuple[CapFinding, ...]:
    """The default cap, and the largest that is taken."""
    capped = [one for one in seen if one.cap is not None]
    uncapped = [one for one in seen if one.cap is None and one.is_answer]
    default = _told(uncapped, seen, is_default=True) or _no_default(uncapped)
    largest = _told(capped, seen, is_default=False)
    return tuple(one for one in (default, largest) if one is not None)


def _refused(one: Observation, seen: Sequence[Observation]) -> int | None:
    return one.accepted_cap


def _echoed(one: Observation, seen: Sequence[Observation]) -> int | None:
    sent = one.cap
    return one.echoed_cap if sent is None or (one.echoed_cap or sent) < sent else None


def _reached(one: Observation, seen: Sequence[Observation]) -> int | None:
    if one.cap is not None:
        return one.tokens if one.is_capped and (one.tokens or 0) < 0.9 * one.cap else None
    is_capped = one.is_capped or at_silent_cap(one, seen)
    return (one.tokens or max(1, _size(one) // 3)) if is_capped else None


CAP_RULES: tuple[tuple[str, Callable[[Observation, Sequence[Observation]], int | None]], ...] = (
    ("refusal", _refused),
    ("echo", _echoed),
    ("answer", _reached),
)
"""Where a cap is known from, and the tokens that a request tells: the first that fits any."""


def _told(
    mine: Sequence[Observation], seen: Sequence[Observation], *, is_default: bool
) -> CapFinding | None:
    for known_from, tokens_of in CAP_RULES:
        for one in mine:
            tokens = tokens_of(one, seen)
            if tokens is not None:
                evidence, uncertainty = _grounds(known_from, one)
                cap = f"{tokens:,} tokens"
                return CapFinding(
                    tokens=tokens,
                    is_default=is_default,
                    known_from=known_from,
                    claim=f"default cap: {cap} where none is sent"
                    if is_default
                    else f"largest cap: {cap}",
                    evidence=f"{evidence}; sent: {'no cap' if one.cap is None else f'{one.cap:,}'}",
                    uncertainty=uncertainty,
                )
    return None


def _grounds(known_from: str, one: Observation) -> tuple[str, str]:
    """Evidence and uncertainty."""
    if known_from == "refusal":
        return "the refusal of a larger one names it", "the endpoint's own word"
    if known_from == "echo":
        return "the endpoint's echo of what it sends on", "the host may apply a smaller one"
    counted = "as the endpoint counts them"
    if not one.tokens:
        counted = f"estimated from {_size(one):,} B: no usage came"
    lies = "" if one.cause is CutCause.CAPPED else "; the finish reason says nothing of a cap"
    ended = f"an answer ended there (finish reason {one.finish_reason!r})"
    return ended, f"seen once; tokens {counted}{lies}"


def _size(one: Observation) -> int:
    return sum(arrival.size_bytes for arrival in one.arrivals)


def _no_default(uncapped: Sequence[Observation]) -> CapFinding | None:
    if not uncapped:
        return None
    whole = [one for one in uncapped if one.ending is Ending.FINISHED and not one.is_cut]
    most = max((one.tokens or 0 for one in whole), default=0)
    own = f"ended by itself, after {most:,} tokens" if whole else "did not come to its own end"
    return CapFinding(
        tokens=None,
        is_default=True,
        known_from="",
        claim=f"default cap: {'none was met' if whole else 'not to be told'}",
        evidence=f"the answer without a cap {own}",
        uncertainty="a larger one may be there; a longer call (--sizes) would meet it",
    )
