"""What a sandbox really does on this machine: seen by running a program in it that tries."""

import json
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import anyio
from typing_extensions import override

from agentcore.tools.sandbox.base import (
    Ending,
    Finished,
    Program,
    ProgramLimits,
    Protection,
    SandboxReport,
)

__all__ = ["Backend", "report_of"]

_LIMITS = ProgramLimits(
    wall_seconds=15.0, memory_bytes=256 * 1024**2, file_bytes=1024**2, processes=24
)
_REFUSED = 75
"""Exit status of the attempts: the kernel itself lets them have no more processes."""


class Backend(Protocol):
    """One way of running programs, before anybody knows whether it works here; immutable."""

    @override
    def __hash__(self) -> int: ...

    @property
    def name(self) -> str:
        """For people."""

    def version(self) -> str:
        """Of what it is made of. Raises `OSError`, with the reason, where there is none."""

    async def run(self, program: Program) -> Finished:
        """See `Sandbox.run`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """A small world with things that must not be reached."""

    workspace: Path
    outside: Path
    targets: dict[str, str]
    udp: socket.socket

    def seen(self) -> set[Protection]:
        """What was broken, by what is to be seen from outside."""
        broken: set[Protection] = set()
        spoiled = self.outside / "spoiled"
        if (
            (self.outside / "new").exists()
            or spoiled.read_text() != "whole"
            or stat.S_IMODE(spoiled.stat().st_mode) != 0o600
        ):
            broken.add(Protection.FILES)
        if (self.workspace / ".git" / "config").read_text() != "whole":
            broken.add(Protection.KEPT_PLACES)
        tool = self.workspace / "tool"
        if tool.exists() and tool.stat().st_mode & stat.S_ISUID:
            broken.add(Protection.KERNEL)
        if _received(self.udp):
            broken.add(Protection.NETWORK)
        if not _is_free(self.workspace / "daemon"):
            broken.add(Protection.DAEMONS)
        return broken


def report_of(backend: Backend, python: str) -> SandboxReport:
    """Run the probe in a backend.

    Blocking, half a second; safe to call from any thread, also one in which an event loop runs.

    Raises:
        OSError: It cannot run programs here; the text says why.
    """
    version = backend.version()
    with _scene() as scene:
        code = f"{_attempts()}\nmain({scene.targets!r})\n"
        program = Program(code=code, workspace=scene.workspace, python=python, limits=_LIMITS)
        finished = _in_thread(lambda: anyio.run(backend.run, program))
        told = _told(finished)
        blocked = {protection for protection in Protection if told.get(protection)} - scene.seen()
    if finished.ended_by is Ending.PROCESSES or finished.status == _REFUSED:
        blocked.add(Protection.PROCESSES)
    return SandboxReport(
        backend=backend.name,
        version=version,
        enforced=tuple(p for p in Protection if p in blocked),
        not_enforced=tuple(p for p in Protection if p not in blocked),
    )


def _attempts() -> str:
    return files("agentcore.tools.sandbox").joinpath("attempts.py").read_text(encoding="utf-8")


def _told(finished: Finished) -> dict[str, bool]:
    for line in finished.output.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            return {str(name): value is True for name, value in told.items()}
    why = " ".join(finished.output.split())[-300:] or f"the probe ended with {finished}"
    raise OSError(why)


@contextmanager
def _scene() -> Iterator[_Scene]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="agentcore-probe-"))
        root = Path(folder).resolve()
        workspace, outside = root / "workspace", root / "outside"
        (workspace / ".git").mkdir(parents=True)
        outside.mkdir()
        for path, text in (
            (workspace / ".git" / "config", "whole"),
            (workspace / ".env", "KEY=secret"),
            (outside / "secret", "secret"),
            (outside / "spoiled", "whole"),
        ):
            path.write_text(text)
            path.chmod(0o600)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        targets = {
            "secret": str(outside / "secret"),
            "spoiled": str(outside / "spoiled"),
            "outside": str(outside),
            "tcp": str(tcp.getsockname()[1]),
            "udp": str(udp.getsockname()[1]),
            "abstract": f"agentcore-{uuid4().hex}",
            "pid": str(os.getpid()),
            "started": _started(),
            "memory": str(_LIMITS.memory_bytes),
            "file": str(_LIMITS.file_bytes),
            "processes": str(_LIMITS.processes),
            "refused": str(_REFUSED),
        }
        _listen(stack, f"{_short(stack, outside)}/socket")
        if _started():  # Linux: only there are names without a file
            _listen(stack, "\0" + targets["abstract"])
        yield _Scene(workspace=workspace, outside=outside, targets=targets, udp=udp)


def _listen(stack: ExitStack, address: str) -> None:
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(address)
    listener.listen()


def _short(stack: ExitStack, folder: Path) -> str:
    """Another name for a folder: an address has room for 107 bytes, and TMPDIR may be longer."""
    if not _started():
        return str(folder)
    number = os.open(folder, os.O_RDONLY)
    stack.callback(os.close, number)
    return f"/proc/self/fd/{number}"


def _started() -> str:
    """When this process began, by which one tells it from another of the same number."""
    try:
        return Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _received(udp: socket.socket) -> bool:
    udp.setblocking(False)
    try:
        return bool(udp.recv(1))
    except BlockingIOError:
        return False


def _is_free(lock: Path) -> bool:
    """Whoever held it is dead."""
    if not lock.exists():
        return True
    import fcntl  # not on Windows, where the package is to be imported all the same

    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _in_thread(work: Callable[[], Finished]) -> Finished:
    """An event loop may run in the thread that asks, and two in one thread cannot."""
    done: list[Finished] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="agentcore-probe")
    thread.start()
    thread.join()
    if failed:
        raise OSError(f"the probe failed: {failed[0]!r}") from failed[0]
    return done[0]
