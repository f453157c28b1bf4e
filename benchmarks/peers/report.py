"""Tables of what was measured, for the terminal and for docs/performance.md.

`python -m benchmarks.peers.report` writes the page anew from the last run.
"""

from collections.abc import Callable, Iterable

from benchmarks.peers.cases import CASES
from benchmarks.peers.figures import SAVED, Cell, Figures
from benchmarks.peers.processes import ROOT
from benchmarks.peers.roster import CLIENTS
from benchmarks.peers.targets import FLOOR, GROWTH, MEMORY, OURS, SDK, TARGETS

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: make bench-peers writes them -->\n", "<!-- end of figures -->\n"


def case_table(figures: Figures, case: str, title: str, names: list[str]) -> str:
    """One case, a line a client, for a person at a terminal."""
    reference = "openai" if case == "import" else SDK
    lines = [f"\n{title:<42}{'':>10}{'× floor':>10}{'× SDK':>10}  rounds"]
    for name in names:
        cell = figures.cell(case, name)
        lines.append(
            f"  {name:<40}{shown(cell):>10}"
            f"{ratio(figures, case, name, FLOOR):>10}"
            f"{ratio(figures, case, name, reference):>10}  {len(cell.rounds)}"
        )
    return "\n".join(lines)


def shown(cell: Cell, place: int = 0) -> str:
    """A figure, `> figure` where it was given up, a dash where there is none."""
    if cell.has_failed:
        return "failed"
    if cell.more_than is not None:
        return f"> {digits(cell.more_than)}"
    figure = cell.figure(place)
    return "–" if figure is None else digits(figure)


def digits(figure: float) -> str:
    decimals = 0 if figure >= 100 else 1 if figure >= 10 else 2
    return f"{figure:,.{decimals}f}"


def ratio(figures: Figures, case: str, client: str, reference: str) -> str:
    measured = figures.ratio((case, client), (case, reference))
    return "" if measured is None else f"{measured:.2f}"


def write(figures: Figures) -> None:
    """Put the tables into the page, in the place of the ones before."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{page(figures)}\n{END}{after}")


def page(figures: Figures) -> str:
    """All tables, as Markdown."""
    return "\n".join(
        (
            f"Measured on {figures.date}. Rounds: {rounds(figures)}.\n",
            "### What must be reached\n",
            targets(figures),
            "### CPU, microseconds\n",
            costs(figures),
            "### Beside the floor and beside the SDK\n",
            "How many times the bare httpx2 reader's CPU, and how many times the SDK's.\n",
            ratios(figures),
            "### Import and memory\n",
            imports(figures),
            memory(figures),
            "### Versions\n",
            versions(figures),
        )
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines.append(["---"] + ["--:"] * (len(lines[0]) - 1))
    lines += [list(row) for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def targets(figures: Figures) -> str:
    rows = [
        [target.what, target.must, *verdict(target.measured(figures), target.is_reached)]
        for target in TARGETS
    ]
    growth = figures.ratio(("tool", OURS), ("tool-tenth", OURS))
    growth = 10 * growth if growth is not None else None
    low, high = GROWTH
    is_linear = verdict(growth, lambda measured: low <= measured <= high)
    rows.append(["CPU of ten times the deltas", f"{low:g} to {high:g} ×", *is_linear])
    for place, (when, bound) in enumerate(MEMORY.items()):
        is_small = verdict(figures.figure("memory", OURS, place), bound.__ge__)
        rows.append([f"peak memory, {when}", f"≤ {bound:g} × the text", *is_small])
    return table(("what", "must", "measured", "reached"), rows)


def verdict(measured: float | None, is_reached: Callable[[float], bool]) -> list[str]:
    if measured is None:
        return ["–", "–"]
    return [digits(measured), "yes" if is_reached(measured) else "**no**"]


def measured_cases(figures: Figures) -> list[str]:
    return [case.name for case in CASES if case.name in figures.cells]


def costs(figures: Figures) -> str:
    """Each client's figures; how many rounds, where it had fewer than the others."""
    cases = measured_cases(figures)

    def cell(case: str, client: str) -> str:
        found = figures.cell(case, client)
        is_less = found.rounds and len(found.rounds) < figures.rounds_of(case)
        return shown(found) + (f" ({len(found.rounds)})" if is_less else "")

    units = {case.name: case.unit for case in CASES}
    return table(
        ("client", *(f"{case}, a {units[case]}" for case in cases)),
        [(row.name, *(cell(case, row.name) for case in cases)) for row in CLIENTS],
    )


def rounds(figures: Figures) -> str:
    """How many, and of which cases."""
    by_number: dict[int, list[str]] = {}
    for case in filter(figures.rounds_of, figures.cells):
        by_number.setdefault(figures.rounds_of(case), []).append(f"`{case}`")
    counts = [f"{number} of {', '.join(cases)}" for number, cases in sorted(by_number.items())]
    return "; ".join(counts)


def ratios(figures: Figures) -> str:
    cases = measured_cases(figures)

    def cell(case: str, client: str) -> str:
        pair = [ratio(figures, case, client, reference) for reference in (FLOOR, SDK)]
        return " · ".join(filter(None, pair)) or "–"

    return table(
        ("client", *cases),
        [(row.name, *(cell(case, row.name) for case in cases)) for row in CLIENTS],
    )


def imports(figures: Figures) -> str:
    found = figures.cells.get("import", {})
    return table(
        ("import", "ms of CPU", "× openai"),
        [
            (name, shown(cell), ratio(figures, "import", name, "openai"))
            for name, cell in found.items()
        ],
    )


def memory(figures: Figures) -> str:
    found = figures.cells.get("memory", {})
    return table(
        ("peak memory, × the text", "while streaming", "whole turn"),
        [(name, shown(cell), shown(cell, 1)) for name, cell in found.items() if cell.rounds],
    )


def versions(figures: Figures) -> str:
    """What each environment's file names first."""
    lines = []
    for environment, installed in figures.versions.items():
        named = (ROOT / "benchmarks" / "peers" / f"{environment}.txt").read_text().split("\n\n")[0]
        names = [line.partition("==")[0] for line in named.splitlines() if "==" in line]
        pairs = [f"{name} {installed[name]}" for name in ("Python", *names) if name in installed]
        lines.append(f"- `{environment}`: {', '.join(pairs)}\n")
    return "".join(lines)


if __name__ == "__main__":
    write(Figures.load(SAVED))
