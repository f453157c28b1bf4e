"""What a supervisor is told.

No dataclass, and no JSON: these two would be half of the time in which a supervisor starts. What it
is told comes from us alone, by the same interpreter; what it tells is text.
"""

import marshal
from collections.abc import Mapping

__all__ = ["FILE", "SIZE_BYTES", "STATUS", "TEMPORARY", "Job"]

TEMPORARY = "@temporary"
"""In `argv`, `environment` and `rules`: stands for a folder made for this run and removed after."""
STATUS = "@status"
"""In `argv`: the descriptor on which bubblewrap tells how the program ended."""
FILE = "@file:"
"""In `argv`, before a name of `files`: a descriptor from which its bytes are read."""
SIZE_BYTES = 8


class Job:
    """A command to run and to watch."""

    def __init__(
        self,
        *,
        argv: tuple[str, ...],
        environment: Mapping[str, str],
        folder: str,
        stdin: str,
        wall_seconds: float,
        cpu_seconds: int,
        memory_bytes: int,
        file_bytes: int,
        disk_bytes: int,
        files_made: int,
        processes: int,
        temporary: str = "",
        rules: tuple[tuple[str, str], ...] = (),
        filter_: bytes = b"",
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.argv = argv
        self.environment = dict(environment)
        self.folder = folder
        """Where it runs."""
        self.stdin = stdin
        """The program."""
        self.wall_seconds = wall_seconds
        self.cpu_seconds = cpu_seconds
        self.memory_bytes = memory_bytes
        self.file_bytes = file_bytes
        self.disk_bytes = disk_bytes
        self.files_made = files_made
        self.processes = processes
        self.temporary = temporary
        """A folder that is made for this run alone, and removed; empty for none."""
        self.rules = rules
        """What Landlock allows; none: Landlock is not used."""
        self.filter_ = filter_
        """A seccomp filter for the command itself."""
        self.files = dict(files or {})
        """Contents by name."""

    def dump(self) -> bytes:
        """Its size in eight bytes, and itself."""
        told = marshal.dumps(vars(self))
        return len(told).to_bytes(SIZE_BYTES, "little") + told

    @classmethod
    def load(cls, told: bytes) -> "Job":
        """What `dump` gave, without the size."""
        return cls(**marshal.loads(told))
