"""Measure all clients beside each other: `python -m benchmarks.peers`, or `make bench-peers`.

Interleaved: every client once, then every client again. Each measurement is a process of its own,
and its figure is CPU time, user and system, of that process alone.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers import report
from benchmarks.peers.cases import CASES, Case
from benchmarks.peers.figures import Figures
from benchmarks.peers.processes import LIMIT, ROOT, Failed, Machine, TooLong, endpoint
from benchmarks.peers.roster import CLIENTS, IMPORTS, Client

SAVED = ROOT / ".venv" / "bench-peers.json"
FRAMEWORK_SECONDS = 12.0
"""Once a framework has taken so long in one case it gets no further round there."""
MEMORY_SIZE, MEMORY_QUICK = 50_000, 2_000


def measure(figures: Figures, machine: Machine, case: str, size: int, client: Client) -> None:
    """One round of one client in one case, unless it has had enough."""
    cell = figures.cell(case, client.name)
    is_enough = client.is_framework and cell.seconds > FRAMEWORK_SECONDS
    if cell.has_failed or cell.more_than is not None or is_enough:
        return
    started = time.monotonic()
    try:
        values = machine.measure(client.environment, client.module, case, size)
        if values is not None:
            cell.rounds.append(values)
    except TooLong:
        cell.more_than = LIMIT / size * 1e6
    except Failed:
        cell.has_failed = True
    cell.seconds += time.monotonic() - started


def measure_imports(figures: Figures, machine: Machine, packages: dict[str, str]) -> None:
    """One round: milliseconds of each import, less a bare interpreter of the same environment."""
    for package, environment in packages.items():
        bare = machine.cpu_of(environment, "pass")
        whole = machine.cpu_of(environment, f"import {package}")
        figures.cell("import", package).rounds.append([whole - bare])


def rows_of(options: argparse.Namespace) -> list[Case]:
    return [row for row in CASES if not options.only or row.name in options.only]


def run(options: argparse.Namespace, machine: Machine) -> Figures:
    """Measure what was asked for, and show each case when it is done."""
    clients = [c for c in CLIENTS if not options.clients or c.name in options.clients]
    if not machine.python:
        clients = [c for c in clients if Path(machine.interpreter(c.environment)).exists()]
    names = [client.name for client in clients]
    environments = dict.fromkeys(client.environment for client in clients)
    figures = Figures(
        date=datetime.now(UTC).date().isoformat(),
        rounds=options.rounds,
        quick=options.quick,
        versions={name: machine.versions(name) for name in environments},
    )
    for row in rows_of(options):
        size = row.quick if options.quick else row.size
        for number in range(options.rounds):
            for client in clients:
                progress(f"{row.name} {size:,}, round {number + 1}: {client.name}")
                measure(figures, machine, row.name, size, client)
        progress()
        print(report.case_table(figures, row.name, f"µs a {row.unit}, {row.name} {size:,}", names))
    if not options.only or "memory" in options.only:
        size = MEMORY_QUICK if options.quick else MEMORY_SIZE
        for client in clients:
            progress(f"memory: {client.name}")
            measure(figures, machine, "memory", size, client)
        progress()
        print(report.case_table(figures, "memory", "peak memory × text, streaming", names))
    if not options.only or "import" in options.only:
        packages = {name: env for name, env in IMPORTS.items() if env in environments}
        for _ in range(max(options.rounds, 2)):
            measure_imports(figures, machine, packages)
        print(report.case_table(figures, "import", "ms of CPU, import", list(packages)))
    return figures


def progress(text: str = "") -> None:
    """What is measured now; it is overwritten, and not shown where nobody watches."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def chosen(names: str) -> Sequence[str]:
    return [name.strip() for name in names.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", type=chosen, default=(), help="cases, with commas between them")
    parser.add_argument("--clients", type=chosen, default=(), help="as the tables name them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes; no figures to keep")
    parser.add_argument("--python", default="", help="measure with this interpreter alone")
    parser.add_argument("--write", action="store_true", help="rewrite docs/performance.md")
    options = parser.parse_args()
    with endpoint(options.python) as machine:
        figures = run(options, machine)
    if options.write:
        figures.save(SAVED)
        report.write(figures)
    if any(cell.has_failed for row in figures.cells.values() for cell in row.values()):
        sys.exit("A client failed: what it said is above.")


if __name__ == "__main__":
    main()
