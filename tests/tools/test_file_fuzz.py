"""The fuzz of the file tools, in short; `make bench` has the long one."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "file_fuzz.py"


def test_no_byte_is_lost_and_nothing_escapes() -> None:
    command = [sys.executable, str(PROGRAM), "--rounds", "5", "--seed", "7"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ": 0 lost bytes, 0 escapes, 0 temporary files left behind" in ran.stdout
