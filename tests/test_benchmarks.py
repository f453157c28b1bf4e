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
