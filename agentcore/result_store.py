"""Long results of tools, whole, in files that the model can page through."""

import errno
import os
import secrets
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final

__all__ = ["ResultStore", "storable"]

MAX_FILES: Final = 50
"""The oldest goes when one more comes: a conversation seldom looks further back."""
MAX_BYTES: Final = 10 * 1024 * 1024
"""Of one result; what is longer is stored up to here, so that no tool fills the disk."""


def storable(text: str) -> str:
    """What is stored of a result: all, or its beginning, in whole characters.

    Half of a character at the end would make the file no text, which `read_file` refuses.
    """
    data = text.encode(errors="replace")
    return text if len(data) <= MAX_BYTES else data[:MAX_BYTES].decode(errors="ignore")


class ResultStore:
    """Files `<workspace>/.agentcore/results/<id>.txt` (folder 0700, files 0600)."""

    def __init__(self, workspace: Path) -> None:
        """Create nothing yet."""
        self._workspace = workspace

    @cached_property
    def _folder(self) -> Path:
        return self._workspace / ".agentcore" / "results"

    def store(self, text: str) -> str:
        """Store a result; its path, relative to the workspace, with forward slashes.

        Raises:
            OSError: It could not be written; nothing of it is left.
        """
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.is_symlink():
                told = "a link, which may lead out of the workspace"
                raise OSError(errno.ELOOP, told, str(folder))
        self._make_room()
        path = self._folder / f"{secrets.token_hex(4)}.txt"
        try:
            with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(storable(text).encode(errors="replace"))
        except FileExistsError:
            raise
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path.relative_to(self._workspace).as_posix()

    def _make_room(self) -> None:
        found: list[tuple[float, Path]] = []
        for path in self._folder.glob("*.txt"):
            with suppress(OSError):  # another run has removed it just now
                found.append((path.stat().st_mtime, path))
        for _, path in sorted(found)[: max(0, len(found) - MAX_FILES + 1)]:
            with suppress(OSError):
                path.unlink()
