"""The files below a folder, in order, without following any link."""

import os
import stat
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from agentcore.tools.files.confined import Folder, open_folder
from agentcore.tools.files.paths import folded, matches
from agentcore.tools.files.replacing import is_temporary

__all__ = ["IGNORED", "Entry", "is_wanted", "walk"]

IGNORED: Final[frozenset[str]] = frozenset(
    {
        ".agentcore",
        ".git",
        ".hg",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
        "venv",
    }
)
"""Folders that are not gone into unless they are named: programs keep their own things there."""

MAX_DEPTH: Final = 64

Kind: TypeAlias = Literal["file", "folder", "ignored", "deeper", "link", "unreadable", "other"]
"""`ignored` and `deeper` are folders that were not gone into, `unreadable` one that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a folder has in it."""

    parts: tuple[str, ...]
    """From the workspace on."""
    kind: Kind
    size: int = 0
    """Bytes of a file."""
    target: str = ""
    """Where a link says that it leads."""


def walk(workspace: Path, start: Sequence[str], depth: int) -> Generator[Entry, None, None]:
    """What is below a folder, each folder directly before what is in it, names in order.

    Args:
        workspace: Absolute.
        start: The folder, by names of which none is a link.
        depth: How many levels of it; 1 for the folder's own.

    Raises:
        OSError: The folder itself cannot be read; another gives an entry.
    """
    with open_folder(workspace, start) as folder:
        yield from _below(folder, tuple(start), min(depth, MAX_DEPTH))


def _below(folder: Folder, parts: tuple[str, ...], depth: int) -> Generator[Entry, None, None]:
    for name in sorted(entry.name for entry in folder.names()):
        if is_temporary(name):
            continue
        here = (*parts, name)
        try:
            status = folder.status(name)
        except OSError:
            yield Entry(parts=here, kind="unreadable")
            continue
        if status is None:
            continue  # removed just now
        if not stat.S_ISDIR(status.st_mode):
            yield _entry(folder, here, status)
        elif folded(name) in IGNORED:
            yield Entry(parts=here, kind="ignored")
        elif depth <= 1:
            yield Entry(parts=here, kind="deeper")
        else:
            yield from _inside(folder, here, depth)


def _inside(folder: Folder, parts: tuple[str, ...], depth: int) -> Generator[Entry, None, None]:
    try:
        inside = folder.open_folder(parts[-1])
    except OSError:  # no permission, or exchanged for a link just now
        yield Entry(parts=parts, kind="unreadable")
        return
    with inside:
        yield Entry(parts=parts, kind="folder")
        yield from _below(inside, parts, depth - 1)


def _entry(folder: Folder, parts: tuple[str, ...], status: os.stat_result) -> Entry:
    if stat.S_ISREG(status.st_mode):
        return Entry(parts=parts, kind="file", size=status.st_size)
    if not stat.S_ISLNK(status.st_mode):
        return Entry(parts=parts, kind="other")
    try:
        target = folder.link_target(parts[-1])
    except OSError:
        target = "?"
    return Entry(parts=parts, kind="link", target=target)


def is_wanted(parts: Sequence[str], pattern: str) -> bool:
    """A pattern names this path: by its last name alone, or with a slash by the whole of it.

    Args:
        parts: From the folder on that was asked for.
        pattern: Empty for all.
    """
    if not pattern:
        return True
    pieces = [piece for piece in pattern.split("/") if piece not in ("", ".")]
    return matches(parts if "/" in pattern else parts[-1:], pieces)
