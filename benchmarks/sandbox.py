"""What it costs to start a program in each sandbox: the median of 20, one after another in turn.

    python benchmarks/sandbox.py

The program does nothing. `bare` is the interpreter by itself, without us.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import anyio

from agentcore.tools.sandbox import BACKENDS, Program
from agentcore.tools.sandbox.choice import Probed, probed
from agentcore.tools.sandbox.plain import Plain

ROUNDS = 20


def sandboxes() -> dict[str, Probed]:
    found: dict[str, Probed] = {}
    for backend in (Plain(), *reversed(BACKENDS)):
        try:
            found[backend.name] = probed(backend, sys.executable)
        except OSError as error:
            print(f"{backend.name}: not here: {error}")
    return found


async def main() -> None:
    kinds = sandboxes()
    seconds: dict[str, list[float]] = {"bare": [], **{name: [] for name in kinds}}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder).resolve()  # noqa: ASYNC240 - before anything is measured
        program = Program(code="", workspace=workspace, python=sys.executable)
        command = [sys.executable, "-E", "-s", "-c", ""]
        for _ in range(ROUNDS):
            began = time.perf_counter()
            subprocess.run(command, check=True)  # noqa: ASYNC221 - what is measured against
            seconds["bare"].append(time.perf_counter() - began)
            for name, sandbox in kinds.items():
                began = time.perf_counter()
                finished = await sandbox.run(program)
                seconds[name].append(time.perf_counter() - began)
                assert finished.status == 0, finished
    for name, taken in seconds.items():
        print(f"{name:12}{median(taken) * 1000:7.0f} ms, least {min(taken) * 1000:.0f} ms")


if __name__ == "__main__":
    anyio.run(main)
