"""What a path of a model may look like, and patterns for paths. Pure."""

import os
import re
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Final

__all__ = ["FileError", "folded", "matches", "parts_of", "shown_name"]

MAX_NAME_BYTES: Final = 255
"""Of one name, on every file system in use."""
MAX_PATH_BYTES: Final = 4_095
MAX_SHOWN_CHARACTERS: Final = 120
_DRIVE = re.compile(r"[A-Za-z]:([/\\]|$)")
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Names that are devices in every folder of Windows."""


class FileError(Exception):
    """What a file tool cannot do; the text tells the model what, why, and the way out."""


def parts_of(path: str, workspace: Path, *, is_windows: bool = os.name == "nt") -> tuple[str, ...]:
    """The names that a path goes through, from the workspace on; none for the workspace itself.

    An absolute path is taken when it names something in the workspace: programs that the model
    has run print such paths.

    Raises:
        FileError: It is no path below the workspace, whatever is on disk.
    """
    if not path or "\0" in path:
        raise FileError(f"{path!r} is no path.")
    shown = shown_name(path)
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise FileError(
            f"{shown} has half of a surrogate pair in it, which no path can hold."
        ) from None
    root = workspace.as_posix()
    if path == root or path.startswith(f"{root}/"):
        path = path[len(root) + 1 :]
    elif path.startswith(("/", "\\\\")) or _DRIVE.match(path):
        raise FileError(f"{shown} lies outside the workspace; give a path relative to it.")
    if "\\" in path:
        raise FileError(f"{shown} has a backslash in it; write folders with forward slashes.")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        # With links, `a/..` need not be where `a` was.
        raise FileError(
            f"{shown} goes up by '..', which may lie outside the workspace; give the path from the "
            "workspace on."
        )
    if size > MAX_PATH_BYTES or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise FileError(
            f"{shown} is too long: a name may have {MAX_NAME_BYTES} bytes, a path {MAX_PATH_BYTES}."
        )
    if is_windows:
        for part in parts:
            if part[-1] in ". " or ":" in part or _DEVICE.fullmatch(part):
                raise FileError(f"{shown}: {part!r} is no name for a file on Windows.")
    return parts


@lru_cache(maxsize=4_096)
def folded(name: str) -> str:
    """One spelling for all that some file system takes for the same name.

    Case, compatibility forms, characters that are not seen (HFS+ leaves them out), and what
    Windows strips from the end.
    """
    plain = "".join(
        c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf"
    )
    return plain.casefold().rstrip(". ") or plain


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """The parts of a path match those of a pattern: `*` within a part, `**` for any parts."""
    # Which beginnings of the path the pattern so far matches: linear in each, whatever the stars.
    reached = {0}
    for piece in pattern:
        if piece == "**":
            reached = set(range(min(reached), len(parts) + 1)) if reached else set()
        else:
            reached = {
                place + 1
                for place in reached
                if place < len(parts) and fnmatchcase(parts[place], piece)
            }
    return len(parts) in reached


def shown_name(name: str) -> str:
    """A name or path for a text of one line: what cannot be printed is escaped, its middle cut."""
    if not name.isprintable():
        name = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    if len(name) > MAX_SHOWN_CHARACTERS:
        half = MAX_SHOWN_CHARACTERS // 2
        return f"{name[:half]}…{name[-half:]}"
    return name
