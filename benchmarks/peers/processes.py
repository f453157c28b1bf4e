"""The processes of a run: the endpoint, and one for each measurement in a client's environment."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 900.0
"""Seconds on the clock; a measurement that hangs ends here."""


class TooLong(Exception):
    """A measurement was given up after `LIMIT` seconds of CPU."""


class Failed(Exception):
    """A measurement ended in an error; what it said is on standard error."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where measurements run."""

    base_url: str
    python: str = ""
    """An interpreter for all clients, in place of the environments."""

    def interpreter(self, environment: str) -> str:
        return self.python or str(ROOT / ".venv" / f"bench-{environment}" / "bin" / "python")

    def measure(self, environment: str, module: str, case: str, size: int) -> list[float] | None:
        """The figures of one measurement; None where the client cannot do this.

        Raises:
            TooLong: It was given up.
            Failed: It ended in an error, or what it received is not what was sent.
        """
        command = [self.interpreter(environment), "-m", "benchmarks.peers.measure"]
        try:
            ran = subprocess.run(
                [*command, module, case, str(size), self.base_url],
                cwd=ROOT,
                env=surroundings(),
                stdout=subprocess.PIPE,
                timeout=PATIENCE,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise (TooLong if error.returncode == -signal.SIGXCPU else Failed) from error
        except subprocess.TimeoutExpired as error:
            raise Failed from error
        # A client may print before it.
        return json.loads(ran.stdout.splitlines()[-1]).get("figures")

    def cpu_of(self, environment: str, program: str) -> float:
        """Milliseconds of CPU of a process that runs a line of Python."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [self.interpreter(environment), "-I", "-c", program]
        subprocess.run(command, cwd=ROOT, env=surroundings(), check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def versions(self, environment: str) -> dict[str, str]:
        """What is installed, by name; empty where the environment is not there."""
        program = (
            "import json, importlib.metadata as m, platform; "
            "print(json.dumps({'Python': platform.python_version()} | "
            "{d.name.lower().replace('_', '-'): d.version for d in m.distributions()}))"
        )
        command = [self.interpreter(environment), "-I", "-c", program]
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return json.loads(ran.stdout)


def surroundings() -> dict[str, str]:
    """The environment without a proxy and without credentials; nothing is sent elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith(("_proxy", "_api_key", "_base_url"))
    }
    return kept | {
        "OPENAI_API_KEY": "none",
        "PYTHONHASHSEED": "0",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or importing litellm fetches it
    }


@contextmanager
def endpoint(python: str = "") -> Iterator[Machine]:
    """The endpoint, up for as long as the context is open."""
    command = [sys.executable, "-m", "benchmarks.peers.endpoint"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield Machine(base_url=f"http://127.0.0.1:{port}/v1", python=python)
        finally:
            process.stdin.close()
