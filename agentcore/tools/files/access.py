"""What the file tools share: a path checked and opened, a file read, changed and remembered."""

import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from agentcore.tools.base import NOT_DONE, Begun, Settled, ToolContext, ToolResult
from agentcore.tools.files.confined import (
    Folder,
    NotRegular,
    make_folders,
    open_folder,
    remove_folders,
    resolved,
)
from agentcore.tools.files.paths import FileError, parts_of, shown_name
from agentcore.tools.files.replacing import Changed, read_regular, replace_file
from agentcore.tools.files.rules import FileRules
from agentcore.tools.files.texts import NotText, Text, decoded

__all__ = [
    "TRIES",
    "Access",
    "Change",
    "Place",
    "as_text",
    "error_result",
    "settled_by",
    "told_os_error",
    "told_size",
]

SEEN: Final = "files/seen/"
"""Notes of the run: this and a resolved path → SHA-256 of what was last read or written there."""

TRIES: Final = 3
"""How often what was changed in between is looked at anew, where that can be done."""

_OS_ERRORS: Final[dict[int, str]] = {
    errno.ENOSPC: "the disk is full. Nothing can be written until somebody makes room",
    errno.EDQUOT: "the disk quota is used up. Nothing can be written until somebody makes room",
    errno.EFBIG: "the system allows no file of this size here. Write a shorter one",
    errno.EROFS: "it is on a file system that is read-only. Take another path",
    errno.EACCES: "this user has no permission. Take another path, or ask for the permission",
    errno.EPERM: "the system does not permit it. Take another path, or ask for the permission",
    errno.ENAMETOOLONG: "the name is too long for this file system. Take a shorter one",
    errno.ENOTDIR: "a part of its path is a file, and no folder. Take another path",
    errno.ELOOP: "a part of its path is a link by now that was none before. Look again",
    errno.EMFILE: "this process has too many files open. Try again later",
    errno.ENFILE: "the system has too many files open. Try again later",
    errno.EIO: "the disk failed. Somebody has to look at it",
}
"""What a failure of the system means, and the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a path leads."""

    path: str
    """As the model gave it, fit to be shown."""
    parts: tuple[str, ...]
    """The names from the workspace on, none of them a link; empty for the workspace itself."""

    @property
    def key(self) -> str:
        """The resolved path, relative to the workspace."""
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One file, held for a change: no other thread of this process changes it meanwhile."""

    access: "Access"
    place: Place
    before: bytes | None
    """What it holds; None when it is not there."""
    has_other_names: bool
    """Hard links: other names of the same file keep the text of before."""

    @property
    def text(self) -> Text:
        """The text that it holds; empty when it is not there.

        Raises:
            FileError: It is no text.
        """
        return as_text(self.place, self.before or b"", "Nothing was written.")

    def check_seen(self) -> None:
        """Nobody else has changed it since this run last read or wrote it.

        Raises:
            FileError: Somebody has.
        """
        seen = self.access.context.notes.get(SEEN + self.place.key)
        if self.before is not None and seen not in (None, _digest(self.before)):
            raise _changed(self.place)

    def encoded(self, text: str) -> bytes:
        """The bytes of its new text.

        Raises:
            FileError: They cannot be stored, or are too many.
        """
        try:
            data = self.text.encoded(text)
        except NotText as error:
            raise FileError(f"The text cannot be stored: {error}. Nothing was written.") from None
        limit = self.access.rules.max_write_bytes
        if len(data) > limit:
            raise FileError(
                f"{self.place.path} would have {len(data):,} bytes; a file may have {limit:,}. "
                "Nothing was written; split the text over several files."
            )
        return data

    def store(self, after: bytes) -> None:
        """Replace what it holds.

        Raises:
            FileError: It cannot be written. All is as it was.
            JournalError: That it comes next cannot be written. All is as it was.
            Changed: Somebody else has written it since it was read. All is as it was.
        """
        place, access = self.place, self.access
        root = access.context.workspace
        access.context.begin(
            {
                "path": place.key,
                "before": None if self.before is None else _digest(self.before),
                "after": _digest(after),
                "lines_before": (self.before or b"").count(b"\n"),
            }
        )
        folder, made = make_folders(root, place.parts[:-1])
        try:
            with folder:
                replace_file(folder, place.parts[-1], self.before, after)
        except BaseException:
            remove_folders(root, place.parts[:-1], made)
            raise
        # Somebody else's change that this run has not read must still be found later.
        notes, key = access.context.notes, SEEN + place.key
        if self.before is None or notes.get(key) in (None, _digest(self.before)):
            notes[key] = _digest(after)


@dataclass(frozen=True, slots=True)
class Access:
    """What one call may do with files."""

    context: ToolContext
    rules: FileRules

    def place(self, path: str, *, writes: bool = False) -> Place:
        """Where a path leads.

        Raises:
            FileError: It leads out, or to what the rules keep.
        """
        workspace = self.context.workspace
        named = parts_of(path, workspace)
        parts = resolved(workspace, named)
        for one in (named, parts):
            if reason := self.rules.refusal(one, writes=writes):
                raise FileError(f"{shown_name(path)} is not touched: {reason}.")
        return Place(path=shown_name(path), parts=parts)

    def read(self, place: Place) -> bytes:
        """The bytes of a file; this run has seen them from now on.

        Raises:
            FileError: There is none, it is too large, or cannot be read.
        """
        limit = self.rules.max_read_bytes
        try:
            data = self._read(place, limit)
        except OSError as error:
            raise FileError(self._told(place, error)) from error
        if data is None:
            raise FileError(f"{place.path} does not exist.{self._near(place)}")
        if len(data) > limit:
            raise FileError(f"{place.path} has more than {told_size(limit)}, too much to be read.")
        self.context.notes[SEEN + place.key] = _digest(data)
        return data

    def bytes_of(self, place: Place) -> bytes | None:
        """The bytes of a file; None when it is not there.

        Raises:
            OSError: It is no regular file, or cannot be read.
        """
        return self._read(place, self.rules.max_read_bytes)

    @contextmanager
    def changing(self, path: str) -> Iterator[Change]:
        """Hold a file for a change; other threads of this process wait.

        Raises:
            FileError: It must not or cannot be changed, or inside: the text says that nothing was.
        """
        place = self.place(path, writes=True)
        if not place.parts:
            raise FileError(f"{place.path} is the workspace itself; name a file in it.")
        with _lock_of(self.context.workspace.joinpath(*place.parts)):
            try:
                yield self._opened(place)
            except Changed:
                raise _changed(place) from None
            except OSError as error:
                told = self._told(place, error)
                raise FileError(f"{told} Nothing was written.") from error

    def _opened(self, place: Place) -> Change:
        before: bytes | None = None
        has_other_names = False
        limit = self.rules.max_read_bytes
        try:
            with open_folder(self.context.workspace, place.parts[:-1]) as folder:
                name = place.parts[-1]
                before = read_regular(folder, name, limit)
                status = folder.status(name)
                if before is not None and status is not None:
                    has_other_names = status.st_nlink > 1
                    _check_writable(folder, name, place, status)
        except FileNotFoundError:
            before = None  # nor is its folder there
        if before is not None and len(before) > limit:
            raise FileError(
                f"{place.path} has more than {told_size(limit)}, too much to be changed by this "
                "tool. Nothing was written."
            )
        return Change(access=self, place=place, before=before, has_other_names=has_other_names)

    def _read(self, place: Place, limit: int) -> bytes | None:
        if not place.parts:
            raise NotRegular(errno.EISDIR, "a folder", place.path)
        try:
            with open_folder(self.context.workspace, place.parts[:-1]) as folder:
                return read_regular(folder, place.parts[-1], limit)
        except FileNotFoundError:
            return None

    def _told(self, place: Place, error: OSError) -> str:
        if not isinstance(error, NotRegular):
            return told_os_error(place.path, error)
        if error.strerror == "a folder":
            return f"{place.path} is a folder.{self._content(place.parts)}"
        return f"{place.path} is {error.strerror}, and no file with a text."

    def _near(self, place: Place) -> str:
        """Names that are like one that is not there."""
        for end in range(len(place.parts) - 1, -1, -1):
            try:
                names = self._names(place.parts[:end])
            except OSError:
                continue
            from difflib import get_close_matches  # only for who gets a name wrong

            near = get_close_matches(place.parts[end], names, n=3)
            above = "".join(f"{part}/" for part in place.parts[:end])
            told = ", ".join(shown_name(above + name) for name in near)
            return f" There is: {told}." if near else ""
        return ""

    def _content(self, parts: Sequence[str]) -> str:
        try:
            names = self._names(parts)
        except OSError:
            return ""
        if not names:
            return " It is empty."
        told = ", ".join(shown_name(name) for name in sorted(names)[:20])
        return f" In it: {told}{' and more' if len(names) > 20 else ''}."

    def _names(self, parts: Sequence[str]) -> list[str]:
        with open_folder(self.context.workspace, parts) as folder:
            return [entry.name for entry in folder.names()]


def settled_by(rules: FileRules) -> Settled:
    """What came of a change that a process died in, by what is on disk: exact, or not known."""

    def settled(key: str, arguments: Mapping[str, object], begun: Begun) -> object:
        """As `Tool.settled` has it."""
        path, evidence = begun.evidence.get("path"), begun.evidence
        if not isinstance(path, str):
            return None
        access = Access(begun.context, rules)
        try:
            place = access.place(path)
            data = access.bytes_of(place)
        except (FileError, OSError):
            return None
        digest = None if data is None else _digest(data)
        if data is None or digest != evidence.get("after"):
            return NOT_DONE if digest == evidence.get("before") else None
        begun.context.notes[SEEN + place.key] = _digest(data)
        lines = len(as_text(place, data).lines)
        return ToolResult(content=f"{place.path}: {lines} lines on disk now.", changed=True)

    return settled


def as_text(place: Place, data: bytes, more: str = "") -> Text:
    """The text of a file.

    Raises:
        FileError: It is none.
    """
    try:
        return decoded(data)
    except NotText as error:
        raise FileError(f"{place.path} {error}. {more}".rstrip()) from None


def error_result(text: str) -> ToolResult:
    """A failed call."""
    return ToolResult(content=text, is_error=True)


def told_os_error(path: str, error: OSError) -> str:
    """What failed, and the way out; a sentence."""
    known = _OS_ERRORS.get(error.errno or 0)
    return f"{path}: {known or error.strerror or type(error).__name__}."


def told_size(size: int) -> str:
    """A number of bytes, short."""
    for unit, factor in (("MiB", 1024 * 1024), ("KiB", 1024)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}".replace(".0 ", " ")
    return f"{size} bytes"


def _check_writable(folder: Folder, name: str, place: Place, status: os.stat_result) -> None:
    """A file that is marked as read-only stays, although its folder would let it be replaced."""
    # The second question is also answered for root, who may write everything.
    is_writable = status.st_mode & 0o222 and (
        folder.number is None or os.access(name, os.W_OK, dir_fd=folder.number)
    )
    if not is_writable:
        raise FileError(
            f"{place.path} is read-only (mode {status.st_mode & 0o777:o}). Nothing was written: "
            "take another path, or ask for the permission."
        )


def _changed(place: Place) -> FileError:
    return FileError(
        f"{place.path} changed on disk since this run last read or wrote it, so somebody else's "
        "text would be lost. Nothing was written: read it again, then make the change to what it "
        "holds now."
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- locks ----------------------------------------------------------------------------------


class _Lock:
    """A lock that is there as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


_locks: WeakValueDictionary[str, _Lock] = WeakValueDictionary()
_guard = threading.Lock()


@contextmanager
def _lock_of(path: Path) -> Iterator[None]:
    """Hold a file: agents of one process change it one after the other."""
    key = os.path.normcase(path)
    with _guard:
        lock = _locks.get(key)
        if lock is None:
            lock = _locks[key] = _Lock()
    with lock.lock:
        yield
