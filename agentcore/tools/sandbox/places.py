"""What a program may see of the system, and what of the workspace it may not touch."""

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["SETTINGS", "SYSTEM", "Kept", "interpreter_places", "kept_places", "refusal"]

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Programs and libraries of the system."""
SETTINGS: Final = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/ssl/certs",
    "/etc/timezone",
)
"""Of `/etc` only what programs cannot do without: no names of users, no addresses."""
READ_ONLY: Final = frozenset({".git", ".agentcore"})
"""A hook or a setting of git runs as the user, later; our state is ours."""
_MAX_DEPTH, _MAX_ENTRIES = 3, 20_000
"""How far a workspace is searched for them, in folders and in entries: 20 ms at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Places of a workspace, absolute."""

    read_only: tuple[str, ...] = ()
    hidden_files: tuple[str, ...] = ()
    hidden_folders: tuple[str, ...] = ()


def refusal(workspace: Path) -> str:
    """Why a folder can be no workspace of a sandbox; empty when it can."""
    if workspace == Path("/"):
        return "the workspace is '/', so nothing would be outside of it; give a folder below"
    system = next((place for place in SYSTEM if workspace.is_relative_to(place)), "")
    if system:
        return f"the workspace {str(workspace)!r} is a part of the system, {system}; give another"
    return ""


def kept_places(workspace: Path) -> Kept:
    """What is there now and is kept from a program; links are not followed."""
    read_only: list[str] = []
    files: list[str] = []
    folders: list[str] = []
    for entry in _entries(str(workspace)):
        name = entry.name
        if name in READ_ONLY or (name == "pyvenv.cfg" and not entry.is_symlink()):
            read_only.append(entry.path if name in READ_ONLY else str(Path(entry.path).parent))
        elif name == ".ssh" and entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
        elif _is_secret(name) or _is_socket(entry):
            (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.path)
    # A link is replaced by what it leads to when something is mounted on it.
    return Kept(
        read_only=tuple(path for path in read_only if not os.path.islink(path)),  # noqa: PTH114
        hidden_files=tuple(path for path in files if not os.path.islink(path)),  # noqa: PTH114
        hidden_folders=tuple(folders),
    )


def _is_secret(name: str) -> bool:
    return name == ".env" or name.startswith(".env.")


def _is_socket(entry: os.DirEntry[str]) -> bool:
    # These two come with the listing; to ask for more is a call for each of many entries.
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
        return False
    try:
        return stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)
    except OSError:  # removed meanwhile, by another program
        return False


def _entries(workspace: str) -> Iterator[os.DirEntry[str]]:
    """Level by level, so that what is cut off is what is deepest."""
    level, seen = [workspace], 0
    for _ in range(_MAX_DEPTH):
        below: list[str] = []
        for folder in level:
            try:
                found = list(os.scandir(folder))
            except OSError:
                continue
            for entry in found:
                seen += 1
                # The workspace itself is looked at whole: else a program hides what is in it from
                # the next run, behind files that it makes.
                if seen > _MAX_ENTRIES and folder != workspace:
                    return
                yield entry
                if entry.is_dir(follow_symlinks=False) and entry.name not in READ_ONLY:
                    below.append(entry.path)
        level = below


def interpreter_places(python: str) -> tuple[str, ...]:
    """The folders that an interpreter needs beside the system's, outermost first."""
    given, real = Path(python), Path(python).resolve()
    found = {real.parent.parent, given.parent.parent}
    if given == Path(sys.executable):
        found |= {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix)}
    else:
        found |= _chain(given)
    needed = {path for path in found if not _is_system(path)}
    return tuple(sorted(str(path) for path in needed if not any(p in needed for p in path.parents)))


def _chain(python: Path) -> set[Path]:
    """The environments that links of an interpreter lead through."""
    found: set[Path] = set()
    while python.is_symlink():
        python = python.parent / python.readlink()
        found.add(Path(os.path.normpath(python)).parent.parent)
    return found


def _is_system(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in SYSTEM) or path == Path("/")
