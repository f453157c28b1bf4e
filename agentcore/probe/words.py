"""What is told: `Finding`, and figures in words."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Finding", "seconds", "span", "times"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was found, for a person to read."""

    claim: str
    evidence: str
    uncertainty: str
    """How sure it is, and what it does not say."""


def seconds(count: float) -> str:
    """Seconds for a person, to three digits or so."""
    return f"{count:.0f}" if count >= 100 else f"{count:.1f}" if count >= 10 else f"{count:.2f}"


def span(values: Sequence[float]) -> str:
    """`1.70`, or `1.70 to 1.85`: seconds, from the least to the most."""
    low, high = seconds(min(values)), seconds(max(values))
    return low if low == high else f"{low} to {high}"


def times(count: int, noun: str = "") -> str:
    """`3 answers`, or without a noun: `twice`."""
    if noun:
        return f"{count} {noun}{'' if count == 1 else 's'}"
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
