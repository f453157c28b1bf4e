"""What a sandbox is: programs with limits go in, what became of them comes out.

Write your own by giving an object the two members of `Sandbox`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from typing_extensions import override

from agentcore.errors import ConfigurationError

__all__ = [
    "CONFINED",
    "MEANINGS",
    "Ending",
    "Finished",
    "Program",
    "ProgramLimits",
    "Protection",
    "Sandbox",
    "SandboxReport",
]


class Protection(StrEnum):
    """What a sandbox may keep a program from."""

    FILES = "files"
    KEPT_PLACES = "kept_places"
    NETWORK = "network"
    UNIX_SOCKETS = "unix_sockets"
    ENVIRONMENT = "environment"
    OTHER_PROCESSES = "other_processes"
    SIGNALS = "signals"
    NESTED_NAMESPACES = "nested_namespaces"
    KERNEL = "kernel"
    DAEMONS = "daemons"
    PROCESSES = "processes"
    MEMORY = "memory"
    CPU = "cpu"
    DISK = "disk"


MEANINGS: Final[Mapping[Protection, str]] = {
    Protection.FILES: "no file outside the workspace is read, written or changed, but the system's "
    "programs and libraries are read",
    Protection.KEPT_PLACES: "of the workspace itself, `.git`, `.agentcore` and an environment that "
    "lies in it cannot be written, `.env*`, `.ssh` and sockets cannot be seen",
    Protection.NETWORK: "no connection, no datagram, no name look-up",
    Protection.UNIX_SOCKETS: "no socket of another program is reached, by path or abstract",
    Protection.ENVIRONMENT: "the environment of this process cannot be read",
    Protection.OTHER_PROCESSES: "no other process is seen, traced or given other limits",
    Protection.SIGNALS: "no other process can be signalled",
    Protection.NESTED_NAMESPACES: "no new user namespace, no mount",
    Protection.KERNEL: "no io_uring, keyring, bpf, perf, System V memory; no setting of "
    "the machine is changed, no setuid bit set",
    Protection.DAEMONS: "nothing outlives the run, whatever it calls",
    Protection.PROCESSES: "processes and threads together stay below a number",
    Protection.MEMORY: "memory of all its processes together stays below a number",
    Protection.CPU: "seconds of all its processes together stay below a number",
    Protection.DISK: "the size of a file, and what the disk loses in all",
}
"""One line each, for people."""

CONFINED: Final = frozenset({Protection.FILES, Protection.NETWORK, Protection.ENVIRONMENT})
"""The least that makes a program confined: it can neither take anything away nor spoil anything
but its workspace."""


class Ending(StrEnum):
    """What ended a program, other than itself."""

    ITSELF = ""
    WALL = "wall_seconds"
    CPU = "cpu_seconds"
    MEMORY = "memory_bytes"
    DISK = "disk_bytes"
    FILES = "files"
    PROCESSES = "processes"
    OUTPUT = "output_bytes"
    NOT_STARTED = "not_started"
    """The sandbox could not be set up; nothing was run."""
    LOST = "lost"
    """The process that watches the program was killed, and the program with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """How much one program may use, with all the processes that it starts."""

    wall_seconds: float = 600.0
    """The most that a call may ask for."""
    cpu_seconds: int = 600
    """Of all processes together: one core for the longest run."""
    memory_bytes: int = 2 * 1024**3
    """Of all processes together. A single allocation beyond it fails in the program itself; where
    `/tmp` and `/dev/shm` lie in memory, each may hold a quarter of this on top."""
    file_bytes: int = 1024**3
    """The size of one file: a write beyond it fails in the program itself."""
    disk_bytes: int = 2 * 1024**3
    """What the run may take of the disk in all."""
    files: int = 100_000
    """How many files and folders the run may make: inodes run out before blocks do."""
    processes: int = 256
    """Processes and threads together. A pool of numerical threads takes one a core."""
    output_bytes: int = 16 * 1024**2
    """A program that prints more is stopped: nobody reads it, and it is a loop."""
    shown_bytes: int = 30_000
    """Of the output the model is given so much, beginning and end; a result holds 32 KB."""

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if not value > 0:
                raise ConfigurationError(f"ProgramLimits({spec.name}={value!r}): must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A Python program to run."""

    code: str
    workspace: Path
    """Absolute, links resolved: it runs there, and may write there."""
    python: str
    """The interpreter, an absolute path."""
    limits: ProgramLimits = field(default_factory=ProgramLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What became of a program."""

    output: str
    """What it printed, both streams in one, cut in its middle to `shown_bytes`; why it could not
    be started, when it was not."""
    status: int | None
    """Exit status, or minus the number of the signal; None when something else ended it."""
    ended_by: Ending = Ending.ITSELF
    output_bytes: int = 0
    """How much it printed in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxReport:
    """What a sandbox holds a program to. `str()` gives a sentence or two."""

    backend: str
    version: str = ""
    enforced: tuple[Protection, ...] = ()
    not_enforced: tuple[Protection, ...] = ()
    note: str = ""
    """What else a reader should know."""

    @property
    def is_confined(self) -> bool:
        """It enforces at least `CONFINED`."""
        return frozenset(self.enforced) >= CONFINED

    @override
    def __str__(self) -> str:
        name = " ".join(filter(None, (self.backend, self.version)))
        parts = [f"{name}: enforced: {', '.join(self.enforced) or 'nothing'}"]
        parts.append(f"not enforced: {', '.join(self.not_enforced) or 'nothing'}")
        return "; ".join([*parts, self.note] if self.note else parts)


class Sandbox(Protocol):
    """Runs programs. What it claims in `report` is what the model and the user are told."""

    @property
    def report(self) -> SandboxReport:
        """What is enforced, and what is not; cheap, and the same for the life of the object."""

    async def run(self, program: Program) -> Finished:
        """Run it to its end, or to a limit.

        MUST NOT raise for anything that the program does. When cancelled it MUST leave no process
        of the program behind.
        """
