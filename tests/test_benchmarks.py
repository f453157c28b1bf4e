"""The benchmark beside other clients works: what is sent arrives, at all sizes, in other processes.

Its figures are no test's business.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLIENTS = ("floor-asyncio", "agentcore")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_each_client_measures_each_kind_of_case() -> None:
    ran = run(
        *("-m", "benchmarks.peers", "--python", sys.executable, "--quick", "--rounds", "1"),
        *("--clients", ",".join(CLIENTS), "--only", "mixed,tool-tenth,loop"),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for client in CLIENTS:
        lines = [line.split() for line in ran.stdout.splitlines() if line.split()[:1] == [client]]
        assert len(lines) == 3, ran.stdout
        assert all(float(figure.replace(",", "")) > 0 for _, figure, *_ in lines), lines


def test_a_client_that_loses_a_character_fails() -> None:
    """Every case goes through `timed`."""
    program = (
        "import asyncio; from benchmarks.peers.cases import timed\n"
        "async def work(): return 'The plan'\n"
        "asyncio.run(timed(work(), 'The plan.'))"
    )
    ran = run("-c", program)
    assert ran.returncode == 1
    assert "what was sent did not arrive: 8 characters of 9" in ran.stderr


def test_the_yardsticks_own_work_is_not_counted() -> None:
    program = """
import time
from benchmarks.peers.yardstick import YARDSTICK
def spin(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
with YARDSTICK:
    whole, used = time.process_time(), YARDSTICK.used()
    spin(0.3)
    used, whole = YARDSTICK.used() - used, time.process_time() - whole
measured = len(YARDSTICK._speeds)
assert 0 < used < whole, (used, whole)
assert measured > 10, measured
assert YARDSTICK.speed > 0
spin(0.1)
assert len(YARDSTICK._speeds) == measured
"""
    ran = run("-c", program)
    assert ran.returncode == 0, ran.stderr


def test_a_ratio_is_taken_within_rounds() -> None:
    program = """
from benchmarks.peers.figures import Cell, Figures
figures = Figures(date="2026-01-01", rounds=3, quick=False, versions={})
figures.cells["text"] = {
    "a": Cell(rounds={"1": [2.0], "2": [30.0], "3": [4.0]}),
    "b": Cell(rounds={"1": [1.0], "2": [10.0], "3": [1.0]}),
    "fewer": Cell(rounds={"3": [8.0]}),
    "later": Cell(rounds={"4": [1.0], "5": [1.0], "6": [2.0]}),
}
others = ("b", "fewer", "later", "none")
print([figures.ratio(("text", "a"), ("text", other)) for other in others])
"""
    ran = run("-c", program)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "[3.0, 0.5, 4.0, None]\n"


def test_what_is_measured_anew_takes_the_place_of_what_was() -> None:
    """And a run that was ended before all of it was measured can still be written up."""
    program = """
from benchmarks.peers import report
from benchmarks.peers.__main__ import kept
from benchmarks.peers.figures import Cell, Figures
cells = {
    "import": {"openai": Cell(rounds={"1": [800.0]})},
    "text": {"agno": Cell(rounds={"1": [200.0]}), "agentcore": Cell(rounds={"1": [20.0]})},
    "tool": {"agentcore": Cell(rounds={"1": [20.0]})},
    "loop": {"agentcore": Cell(rounds={"1": [20.0]})},
}
left = kept(cells, ["import", "text", "tool"], ["agentcore"])
print({case: sorted(row) for case, row in sorted(left.items())})
figures = Figures(date="2026-01-01", rounds=1, quick=False, versions={}, cells=left)
figures.cells["mixed"] = {}
print(report.page(figures).split("\\n")[0])
"""
    ran = run("-c", program)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "{'loop': ['agentcore'], 'text': ['agno']}",
        "Measured on 2026-01-01. Rounds: 1 of `loop`, `text`.",
    ]


def test_a_bound_that_is_not_kept_is_told() -> None:
    """Of several cases the worst counts; what was not measured is neither kept nor broken."""
    program = """
from benchmarks.peers import report
from benchmarks.peers.figures import Cell, Figures
figures = Figures(date="2026-01-01", rounds=1, quick=False, versions={})
for case, client, *rounds in [
    ("tool", "floor-httpx2", 10.0), ("tool", "agentcore", 12.0, 12.6, 99.0),
    ("tool", "openai-sdk", 100.0), ("tool", "agno", 130.0),
    ("tool", "agentcore-on-event", 13.0), ("tool-tenth", "agentcore", 12.0),
    ("text", "agentcore", 10.0), ("text", "agentcore-on-event", 15.0),
]:
    for number, figure in enumerate(rounds):
        figures.cell(case, client).rounds[f"{case} {client} {number}"] = [figure]
figures.cell("tool", "strands").more_than = 90.0
print(report.targets(figures))
"""
    ran = run("-c", program)
    assert ran.returncode == 0, ran.stderr
    for told in (
        "| a large tool call, stock stack | ≤ 1.25 × floor-httpx2 | 1.26 | **no** |",
        "| a large tool call, stock stack | ≥ 7 × less than openai-sdk | 7.94 | yes |",
        "| a large tool call, stock stack "
        "| ≥ 8 × less than the fastest framework | 7.14 | **no** |",
        "| a large tool call, `fast` | ≤ 2 × floor-asyncio | – | – |",
        "| each event to `on_event`, text and call | ≤ 1.4 × agentcore | 1.50 | **no** |",
        "| CPU of ten times the deltas | 9 to 11 × | 10.5 | yes |",
    ):
        assert told in ran.stdout.splitlines(), ran.stdout
