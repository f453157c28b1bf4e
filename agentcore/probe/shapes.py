"""How the arguments of a call arrive: streamed, in bursts, or whole. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from agentcore.probe.observations import Arrival, Ending, Observation, Sign, gaps_of
from agentcore.probe.words import Finding, seconds, times

__all__ = ["ArgumentsFinding", "Shape", "arguments_finding", "shape_of"]

_LEAST_BYTES = 200
"""Fewer bytes of arguments have no shape."""
_LEAST_SECONDS = 0.1
"""What is over sooner has no shape."""
_WINDOW_SHARE = 0.02
_WHOLE_SHARE = 0.9
_SLOTS = 20
_STREAMED_SLOTS = 0.6
_LEAST_PIECES = 8


class Shape(StrEnum):
    """How arguments arrive."""

    STREAMED = "streamed"
    BURSTS = "in bursts"
    WHOLE = "buffered until whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentsFinding(Finding):
    """How the arguments of a call arrive."""

    switched: bool
    """With the switch that streams them."""
    shape: Shape | None
    """None when it cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """How the arguments of one answer arrived, in figures."""

    shape: Shape
    seconds: float
    """From the last other sign of the answer to the last byte of the arguments."""
    window_share: float
    """The largest part of the bytes that came within 2 % of that time."""
    filled_share: float
    """Of twenty equal parts of the time between the first and the last byte: how many had some."""


def shape_of(seen: Observation) -> Shaped | None:
    """The shape of an answer's arguments; None when too little came, or all of it at once."""
    pieces = [one for one in seen.arrivals if one.sign is Sign.ARGUMENTS and one.size_bytes]
    total = sum(piece.size_bytes for piece in pieces)
    if total < _LEAST_BYTES:
        return None
    before = [one.at for one in seen.arrivals if one.sign.is_content and one.at < pieces[0].at]
    took = pieces[-1].at - max([seen.opened_at or 0.0, *before])
    if took < _LEAST_SECONDS:
        return None
    share = _largest_share(pieces, max(_WINDOW_SHARE * took, 0.02)) / total
    filled = _filled(pieces)
    if share >= _WHOLE_SHARE and seen.arguments_closed:
        shape = Shape.WHOLE
    elif filled >= _STREAMED_SLOTS and len(pieces) >= _LEAST_PIECES:
        shape = Shape.STREAMED
    else:
        shape = Shape.BURSTS
    return Shaped(shape=shape, seconds=took, window_share=share, filled_share=filled)


def _largest_share(pieces: Sequence[Arrival], window: float) -> int:
    """The most bytes that came within a time."""
    at = [piece.at for piece in pieces]
    sums = list(accumulate((piece.size_bytes for piece in pieces), initial=0))
    return max(
        sums[end] - sums[bisect_left(at, at[end - 1] - window)] for end in range(1, len(sums))
    )


def _filled(pieces: Sequence[Arrival]) -> float:
    first, took = pieces[0].at, pieces[-1].at - pieces[0].at
    if took <= 0:
        return 1 / _SLOTS
    slots = {min(int((piece.at - first) / took * _SLOTS), _SLOTS - 1) for piece in pieces}
    return len(slots) / min(_SLOTS, len(pieces))


def arguments_finding(seen: Sequence[Observation], *, switched: bool) -> ArgumentsFinding | None:
    """What the answers with the switch tell, or those without; None when there are none."""
    mine = [one for one in seen if one.switched is switched and one.is_answer]
    if not mine:
        return None
    how = "with the switch" if switched else "without a switch"
    shaped = [(one, shape) for one in mine if (shape := shape_of(one)) is not None]
    if not shaped:
        called = any(one.called for one in mine)
        larger = "a larger call (--sizes) takes longer, and may tell"
        return ArgumentsFinding(
            switched=switched,
            shape=None,
            claim=f"arguments {how}: not to be told",
            evidence="; ".join(dict.fromkeys(_why_shapeless(one) for one in mine)),
            uncertainty=larger if called else "what would tell: a call",
        )
    # The longest one says most: a short call may be whole before anything is sent.
    longest, shape = max(shaped, key=lambda pair: pair[1].seconds)
    others = {other.shape for _, other in shaped} - {shape.shape}
    differ = f"; smaller calls looked {', '.join(sorted(others))}" if others else ""
    waits = [gap.seconds for gap in gaps_of(longest, content=True)[:-1]]
    return ArgumentsFinding(
        switched=switched,
        shape=shape.shape,
        claim=f"arguments {how}: {shape.shape}",
        evidence=(
            f"a call of {longest.lines_received:,} lines in {seconds(shape.seconds)} s: "
            f"{shape.window_share:.0%} of its bytes came within 2% of that time, and "
            f"{shape.filled_share:.0%} of the time from its first byte to its last had some; the "
            f"longest time without content was {seconds(max(waits, default=0.0))} s"
        ),
        uncertainty=f"seen in {times(len(shaped), 'answer')}{differ}",
    )


def _why_shapeless(seen: Observation) -> str:
    size = sum(one.size_bytes for one in seen.arrivals if one.sign is Sign.ARGUMENTS)
    if size >= _LEAST_BYTES:
        return f"{size:,} B of arguments came at once, within {seconds(seen.ended_at)} s"
    if not seen.called and seen.ending is Ending.FINISHED:
        return "the model made no call"
    return f"{size:,} B of arguments came in {seconds(seen.ended_at)} s ({seen.ending})"
