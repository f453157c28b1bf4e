"""Servers that other people wrote, each a child process from an environment of its own."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

__all__ = ["free_port", "needs", "program", "running"]

_READY_SECONDS = 120.0
"""A proxy imports for ten seconds on an idle machine."""
_END_SECONDS = 10.0
_NOWHERE = "http://127.0.0.1:9"
"""Nobody listens on the discard port: what a server would ask of the internet fails at once."""


def program(environment: str, name: str) -> Path:
    """A program of an environment that `make integration` makes."""
    return Path(__file__).parents[2] / ".venv" / environment / "bin" / name


def needs(environment: str) -> pytest.MarkDecorator:
    """Skip, unless these tests were asked for and the environment is there."""
    asked = os.environ.get("AGENTCORE_INTEGRATION") == "1"
    is_there = program(environment, "python").exists()
    return pytest.mark.skipif(
        not (asked and is_there), reason=f"runs a server from .venv/{environment}: make integration"
    )


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ready_url: str,
    folder: Path,
    settings: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """A server, from the moment it answers until the block is left.

    Args:
        command: What starts it.
        ready_url: Answers with status 200 once it is ready.
        folder: Its working directory and home, so that it reads no settings of anybody's.
        settings: Its environment, beside the path: no credential reaches it.

    Raises:
        RuntimeError: It ended, or was not ready in time; the text has the end of what it wrote.
    """
    log = folder / "server.log"
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
        "NO_PROXY": "127.0.0.1",
        **(settings or {}),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, ready_url, log)
        yield
    finally:
        _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    with httpx2.Client(trust_env=False) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx2.TransportError):
                if client.get(url).status_code == 200:
                    return
            time.sleep(0.1)
    state = "is not ready" if process.poll() is None else f"ended with {process.returncode}"
    end = log.read_text(errors="replace")[-2_000:]
    raise RuntimeError(f"{process.args!r} {state}; it wrote:\n{end}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """The server and all that it started: it leads a process group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
