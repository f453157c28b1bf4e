"""A folder of templates of the user's own: what is in it, read whole and within bounds."""

import os
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from typing_extensions import override

__all__ = [
    "SUFFIX",
    "Problem",
    "Stamp",
    "nearest",
    "read_folder",
    "stamp_of",
    "template_names",
]

SUFFIX: Final = ".md.jinja"
MAX_TEMPLATE_BYTES: Final = 16 * 1024
"""Of one file. With no loops in it, this bounds what a template can take."""
MAX_ENTRIES: Final = 1_000

Stamp: TypeAlias = tuple[tuple[str, int, int, int, int], ...]
"""Changes with the folder's files: name, inode, size, times of change in ns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a folder of templates cannot be used."""

    file: str
    """Its path, as it was given."""
    line: int = 0
    """From 1; 0 where it is none of a line."""
    text: str

    @override
    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.text}"


@cache
def template_names() -> tuple[str, ...]:
    """The names that templates have, without the suffix."""
    from agentcore.guidance.situations import SITUATIONS  # only who has a folder needs them

    return tuple(kind.template for kind in SITUATIONS)


def read_folder(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    """The sources of a folder's templates by name, and what is wrong with its files."""
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        entries = sorted(folder.iterdir())[:MAX_ENTRIES]
    except FileNotFoundError:
        return {}, [Problem(file=str(folder), text="there is no such folder; create it first")]
    except NotADirectoryError:
        told = "this is a file; give the folder that holds <name>.md.jinja"
        return {}, [Problem(file=str(folder), text=told)]
    except (OSError, ValueError) as error:
        return {}, [Problem(file=str(folder), text=f"it cannot be read ({error})")]
    for path in entries:
        if _is_none_of_ours(path.name):
            continue
        try:
            sources[_name_of(path)] = _read(path)
        except ValueError as error:
            problems.append(Problem(file=str(path), text=str(error)))
        except OSError as error:
            told = f"it cannot be read ({error.strerror or error})"
            problems.append(Problem(file=str(path), text=told))
    if not sources and not problems:
        told = (
            "there is no template in it; put <name>.md.jinja there (`agentcore guidance` lists the "
            "names), or leave guidance out"
        )
        problems.append(Problem(file=str(folder), text=told))
    return sources, problems


def stamp_of(folder: Path) -> Stamp:
    """What tells whether a folder has changed; empty for one that cannot be read."""
    try:
        found = [
            (entry.name, entry.stat())
            for entry in os.scandir(folder)
            if not _is_none_of_ours(entry.name)
        ]
    except (OSError, ValueError):
        return ()
    return tuple(
        sorted(
            (name, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns)
            for name, told in found
        )
    )


def nearest(word: str, known: tuple[str, ...]) -> str:
    """` (did you mean 'x'?)`, or all that there is when nothing is like it."""
    from difflib import get_close_matches  # only for who gets a name wrong

    near = get_close_matches(word, known, n=2, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"there are: {', '.join(known)}"


def _is_none_of_ours(name: str) -> bool:
    """What file systems and editors leave in a folder."""
    return name.startswith(".") or name.endswith("~")


def _name_of(path: Path) -> str:
    name = path.name.removesuffix(SUFFIX)
    known = template_names()
    if name in known and path.name.endswith(SUFFIX):
        return name
    meant = path.name.partition(".")[0]
    if meant in known:
        raise ValueError(f"this is no name of a template; did you mean '{meant}{SUFFIX}'?")
    raise ValueError(f"there is no template {meant!r}; {nearest(meant, known)}")


def _read(path: Path) -> str:
    # A pipe or a device would be read for ever.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("this is no file; a template is one file")
    with path.open("rb") as file:
        data = file.read(MAX_TEMPLATE_BYTES + 1)
    if len(data) > MAX_TEMPLATE_BYTES:
        raise ValueError(f"it is longer than {MAX_TEMPLATE_BYTES:,} bytes; a text of 120 words is")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    if control := next((c for c in text if ord(c) < 32 and c not in "\t\n\r"), ""):
        raise ValueError(f"it holds the control character {control!r}; leave it out")
    return text
