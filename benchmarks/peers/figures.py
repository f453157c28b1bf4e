"""What was measured, kept in a file between measuring and writing it up."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

SAVED = Path(".venv/bench-peers.json")
"""The figures of the last run."""


@dataclass(kw_only=True)
class Cell:
    """One client in one case."""

    rounds: dict[str, list[float]] = field(default_factory=dict)
    """The figures of each round, by its run and number: one, or for `memory` two."""
    more_than: float | None = None
    """A lower bound, where a measurement was given up."""
    has_failed: bool = False
    seconds: float = 0.0
    """What measuring it has taken."""

    def figure(self, place: int = 0) -> float | None:
        """The median of the rounds; None where nothing was measured."""
        return median(figures[place] for figures in self.rounds.values()) if self.rounds else None


@dataclass(kw_only=True)
class Figures:
    """All of a run."""

    date: str
    run: str = ""
    """When this run began."""
    rounds: int
    """Of the cases that were measured last."""
    quick: bool
    versions: dict[str, dict[str, str]]
    """Of each environment."""
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    """By case, then by client."""

    def cell(self, case: str, client: str) -> Cell:
        return self.cells.setdefault(case, {}).setdefault(client, Cell())

    def figure(self, case: str, client: str, place: int = 0) -> float | None:
        cell = self.cells.get(case, {}).get(client)
        return cell.figure(place) if cell is not None else None

    def ratio(self, over: tuple[str, str], under: tuple[str, str]) -> float | None:
        """One figure over another, each given by case and client; None where one is missing.

        It is the median of what each round gives that measured both: a shared machine is half as
        fast again in one second as in the next, and what one round measured lies close together.
        Where no round did, it is the ratio of the medians.
        """
        above, below = (self.cells.get(case, {}).get(name, Cell()) for case, name in (over, under))
        if both := above.rounds.keys() & below.rounds.keys():
            return median(above.rounds[name][0] / below.rounds[name][0] for name in both)
        figure, reference = above.figure(), below.figure()
        return figure / reference if figure and reference else None

    def rounds_of(self, case: str) -> int:
        """How often the clients took turns in it; one that takes long has fewer."""
        return max((len(cell.rounds) for cell in self.cells[case].values()), default=0)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> "Figures":
        figures = cls(**json.loads(path.read_text()))
        for row in figures.cells.values():
            for client, cell in row.items():
                row[client] = Cell(**cell)
        return figures
