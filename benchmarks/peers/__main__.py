"""Measure all clients beside each other: `python -m benchmarks.peers`, or `make bench-peers`.

Interleaved: every client once, then every client again. Each measurement is a process of its own,
and its figure is CPU time, user and system, of that process alone.
"""

import argparse
import sys
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from benchmarks.peers import report
from benchmarks.peers.cases import CASES, LIMIT, Case
from benchmarks.peers.figures import SAVED, Cell, Figures
from benchmarks.peers.processes import Failed, Machine, TooLong, endpoint
from benchmarks.peers.roster import CLIENTS, IMPORTS, Client

FRAMEWORK_SECONDS = 10.0
"""Once a framework has taken so long in one case it gets no further round there."""
MEMORY_SIZE, MEMORY_QUICK = 50_000, 2_000


def measure(
    figures: Figures, machine: Machine, case: str, size: int, client: Client, number: int = 0
) -> None:
    """One round of one client in one case, unless it has had enough."""
    cell = figures.cell(case, client.name)
    is_enough = client.is_framework and cell.seconds > FRAMEWORK_SECONDS
    if cell.has_failed or cell.more_than is not None or is_enough:
        return
    started = time.monotonic()
    try:
        values = machine.measure(client.environment, client.module, case, size)
        if values is not None:
            cell.rounds[f"{figures.run} {number}"] = values
    except TooLong:
        cell.more_than = LIMIT / size * 1e6
    except Failed:
        cell.has_failed = True
    cell.seconds += time.monotonic() - started


def measure_imports(
    figures: Figures, machine: Machine, packages: dict[str, str], number: int
) -> None:
    """One round: milliseconds of each import, less a bare interpreter of the same environment."""
    for package, environment in packages.items():
        bare = machine.cpu_of(environment, "pass")
        whole = machine.cpu_of(environment, f"import {package}")
        figures.cell("import", package).rounds[f"{figures.run} {number}"] = [whole - bare]


def measure_cases(
    figures: Figures, machine: Machine, cases: Sequence[Case], clients: Sequence[Client]
) -> None:
    """All rounds of the cases of one group."""

    def size(case: Case) -> int:
        return case.quick if figures.quick else case.size

    def measured(case: Case) -> list[Client]:
        return [client for client in clients if case.has_frameworks or not client.is_framework]

    for number in range(figures.rounds):
        for client in clients:
            for case in cases:
                if client in measured(case):
                    measure(figures, machine, case.name, size(case), client, number)
    for case in cases:
        names = [client.name for client in measured(case)]
        title = f"µs of CPU a {case.unit}, {case.name} {size(case):,}"
        show(report.case_table(figures, case.name, title, names))


def run(options: argparse.Namespace, machine: Machine) -> Figures:
    """Measure what was asked for, and show each case when it is done."""
    clients = [client for client in CLIENTS if client.name in options.clients]
    if not machine.python:
        clients = [c for c in clients if Path(machine.interpreter(c.environment)).exists()]
    environments = dict.fromkeys(client.environment for client in clients)
    now = datetime.now(UTC)
    figures = Figures(
        date=now.date().isoformat(),
        run=now.isoformat(),
        rounds=options.rounds,
        quick=options.quick,
        versions={name: machine.versions(name) for name in environments},
    )
    if options.add:
        known = Figures.load(SAVED)
        figures.versions = known.versions | figures.versions
        figures.cells = kept(known.cells, options.only, options.clients)
    wanted = [case for case in CASES if case.name in options.only]
    for _, group in groupby(wanted, key=lambda case: case.group or case.name):
        measure_cases(figures, machine, list(group), clients)
        keep(figures)
    if "memory" in options.only:
        size = MEMORY_QUICK if options.quick else MEMORY_SIZE
        for client in clients:
            if not client.is_framework:
                measure(figures, machine, "memory", size, client)
        show(report.memory(figures))
    if "import" in options.only:
        packages = {name: env for name, env in IMPORTS.items() if env in environments}
        for number in range(options.rounds):
            measure_imports(figures, machine, packages, number)
        show(report.case_table(figures, "import", "ms of CPU, import", list(packages)))
    return figures


def kept(
    cells: dict[str, dict[str, Cell]], cases: Collection[str], clients: Collection[str]
) -> dict[str, dict[str, Cell]]:
    """What an earlier run has of other cases, and in these of other clients."""
    left = {case: dict(row) for case, row in cells.items() if case not in cases}
    for case in cells.keys() & set(cases) - {"import"}:  # there a row is a package, measured anew
        row = {name: cell for name, cell in cells[case].items() if name not in clients}
        if row:
            left[case] = row
    return left


def keep(figures: Figures) -> None:
    """After each case: a run that is ended early can still be written, by `report`."""
    if not figures.quick:
        figures.save(SAVED)


def show(table: str) -> None:
    """At once, also into a file."""
    print(table, flush=True)


def one_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Reads names with commas between them."""

    def read(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{unknown} is none of {', '.join(known)}")
        return names

    return read


def main() -> None:
    cases = [*(case.name for case in CASES), "memory", "import"]
    clients = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", type=one_of(cases), default=cases, metavar="CASE,…")
    parser.add_argument("--clients", type=one_of(clients), default=clients, metavar="NAME,…")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes; no figures to keep")
    parser.add_argument("--python", default="", help="measure with this interpreter alone")
    parser.add_argument(
        "--add", action="store_true", help="keep what the last run has of other cases and clients"
    )
    parser.add_argument("--write", action="store_true", help="rewrite docs/performance.md")
    options = parser.parse_args()
    if options.write and options.quick:
        parser.error("--write: figures of --quick are not worth writing")
    if options.write and not options.add and (options.only != cases or options.clients != clients):
        parser.error("--write of a part: give --add, which keeps the rest of the page")
    with endpoint(options.python) as machine:
        figures = run(options, machine)
    keep(figures)
    if options.write:
        report.write(figures)
    if any(cell.has_failed for row in figures.cells.values() for cell in row.values()):
        sys.exit("A client failed: what it said is above.")


if __name__ == "__main__":
    main()
