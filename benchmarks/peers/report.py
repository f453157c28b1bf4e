"""Tables of what was measured, for the terminal and for docs/performance.md."""

from benchmarks.peers.figures import Cell, Figures

FLOOR, SDK = "floor-httpx2", "openai-sdk"


def case_table(figures: Figures, case: str, title: str, names: list[str]) -> str:
    """One case, a line a client, for a person at a terminal."""
    reference = {"import": "openai"}.get(case, SDK)
    lines = [f"\n{title:<42}{'':>10}{'× floor':>10}{'× SDK':>10}  rounds"]
    for name in names:
        cell = figures.cell(case, name)
        figure = cell.figure()
        lines.append(
            f"  {name:<40}{shown(cell):>10}"
            f"{ratio(figure, figures.figure(case, FLOOR)):>10}"
            f"{ratio(figure, figures.figure(case, reference)):>10}  {len(cell.rounds)}"
        )
    return "\n".join(lines)


def shown(cell: Cell, place: int = 0) -> str:
    """A figure with three digits, `> figure` where it was given up, a dash where there is none."""
    if cell.has_failed:
        return "failed"
    if cell.more_than is not None:
        return f"> {digits(cell.more_than)}"
    figure = cell.figure(place)
    return "–" if figure is None else digits(figure)


def digits(figure: float) -> str:
    return (
        f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"
    )


def ratio(figure: float | None, reference: float | None) -> str:
    return "" if figure is None or not reference else f"{figure / reference:.2f}"
