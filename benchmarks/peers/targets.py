"""What the loop is meant to reach: ratios of figures of one run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from benchmarks.peers.figures import Figures
from benchmarks.peers.roster import CLIENTS

OURS, FAST, LISTENING = "agentcore", "agentcore-fast", "agentcore-on-event"
SDK, FLOOR, BARE = "openai-sdk", "floor-httpx2", "floor-asyncio"
FRAMEWORK = "the fastest framework"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One figure over another, and the bound that it must keep."""

    what: str
    cases: tuple[str, ...]
    """Of several the worst counts."""
    over: str
    """Above the line: a client, or `FRAMEWORK`."""
    under: str
    """Below the line."""
    sense: Literal["≤", "≥"]
    bound: float

    @property
    def must(self) -> str:
        """In words."""
        if self.sense == "≥":
            return f"≥ {self.bound:g} × less than {self.over}"
        return f"≤ {self.bound:g} × {self.under}"

    def measured(self, figures: Figures) -> float | None:
        """The ratio; None where one of the figures is missing."""
        ratios = [
            ratio
            for case in self.cases
            if (ratio := between(figures, case, self.over, self.under)) is not None
        ]
        if len(ratios) < len(self.cases):
            return None
        return max(ratios) if self.sense == "≤" else min(ratios)

    def is_reached(self, ratio: float) -> bool:
        return ratio <= self.bound if self.sense == "≤" else ratio >= self.bound


def between(figures: Figures, case: str, over: str, under: str) -> float | None:
    """One client's figure over another's; None where one is missing."""
    over, under = (fastest(figures, case) if name == FRAMEWORK else name for name in (over, under))
    if (ratio := figures.ratio((case, over), (case, under))) is not None:
        return ratio
    row = figures.cells.get(case, {})
    figure, more_than = figures.figure(case, under), row[over].more_than if over in row else None
    return more_than / figure if more_than and figure else None


def fastest(figures: Figures, case: str) -> str:
    """The framework with the least figure, or the least lower bound; empty where there is none."""
    frameworks = {row.name for row in CLIENTS if row.is_framework}
    told = {
        name: figure
        for name, cell in figures.cells.get(case, {}).items()
        if name in frameworks and (figure := cell.figure() or cell.more_than)
    }
    return min(told, key=told.__getitem__, default="")


def at_most(what: str, cases: str, over: str, bounds: dict[str, float]) -> Iterable[Target]:
    for under, bound in bounds.items():
        yield Target(
            what=what, cases=tuple(cases.split()), over=over, under=under, sense="≤", bound=bound
        )


def less_than(what: str, cases: str, under: str, bounds: dict[str, float]) -> Iterable[Target]:
    for over, bound in bounds.items():
        yield Target(
            what=what, cases=tuple(cases.split()), over=over, under=under, sense="≥", bound=bound
        )


TARGETS = (
    *at_most("a large tool call, stock stack", "tool", OURS, {FLOOR: 1.25}),
    *less_than("a large tool call, stock stack", "tool", OURS, {SDK: 7, FRAMEWORK: 8}),
    *at_most("a large tool call, `fast`", "tool", FAST, {BARE: 2}),
    *less_than("a large tool call, `fast`", "tool", FAST, {SDK: 16, FRAMEWORK: 18}),
    *less_than("20,000 deltas of text, stock stack", "text", OURS, {FRAMEWORK: 8}),
    *less_than("20,000 deltas of text, `fast`", "text", FAST, {FRAMEWORK: 18}),
    *at_most("each event to `on_event`, text and call", "text tool", LISTENING, {OURS: 1.4}),
    *at_most("a one-turn answer", "one-turn", OURS, {FLOOR: 1.3, SDK: 0.6}),
    *at_most("a loop of 200 tiny turns", "loop", OURS, {FLOOR: 1.5, FRAMEWORK: 0.1}),
    *at_most("1,000 messages of history", "history", OURS, {SDK: 0.1}),
    *at_most("`import`", "import", OURS, {"openai": 0.35}),
    *at_most("200 streams of 200 deltas at once", "concurrent-short", OURS, {FLOOR: 1.25}),
    *less_than("200 streams of 200 deltas at once", "concurrent-short", OURS, {SDK: 4.5}),
    *less_than("200 streams of 200 deltas at once, `fast`", "concurrent-short", FAST, {SDK: 11}),
)
GROWTH = (9.0, 11.0)
"""CPU of ten times the deltas, as a multiple."""
MEMORY = {"while streaming": 3.0, "whole turn": 6.0}
"""Peak memory as a multiple of the text, in the order of the figures of `memory`."""
