"""What a supervisor is told, as one JSON line."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

__all__ = ["FILE", "STATUS", "TEMPORARY", "Job"]

TEMPORARY = "@temporary"
"""In `argv`, `environment` and `rules`: stands for a folder made for this run and removed after."""
STATUS = "@status"
"""In `argv`: the descriptor on which bubblewrap tells how the program ended."""
FILE = "@file:"
"""In `argv`, before a name of `files`: a descriptor from which its bytes are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command to run and to watch."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str
    """Where it runs."""
    stdin: str
    """The program."""
    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    disk_bytes: int
    files_made: int
    processes: int
    temporary: str = ""
    """The folder in which one is made for this run alone; empty for none."""
    rules: tuple[tuple[str, str], ...] = ()
    """What Landlock allows; none: Landlock is not used."""
    filter: str = ""
    """A seccomp filter for the command itself, base64."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Contents by name, base64."""

    def dump(self) -> bytes:
        """One line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def load(cls, line: bytes) -> "Job":
        """What `dump` gave."""
        told = json.loads(line)
        return cls(
            **{
                **told,
                "argv": tuple(told["argv"]),
                "rules": tuple((path, right) for path, right in told["rules"]),
            }
        )

    def file(self, name: str) -> bytes:
        """The contents of one of `files`."""
        return base64.b64decode(self.files[name])
