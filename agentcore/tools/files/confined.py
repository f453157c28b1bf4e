"""Folders below the workspace, opened so that no link can lead out, whoever changes what meanwhile.

First links are followed by name, which finds where a path leads (`resolved`). Then the folder is
opened on a way without any link: by `openat2` where the kernel has it, else one folder at a time,
none of which may be a link (`open_folder`). What is done in it is done relative to the open folder,
so an exchange of a folder for a link makes a call fail, and never reaches outside.

Where Python has no calls that are relative to folders (Windows), the folder's real path is checked
instead, and somebody who is quick can come between.

`system_calls` brings ctypes: it is loaded with the first folder that is opened.
"""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from agentcore.tools.files.paths import FileError

__all__ = [
    "Folder",
    "NotRegular",
    "make_folders",
    "open_folder",
    "remove_folders",
    "resolved",
]

MAX_LINKS: Final = 40
"""On one path, as Linux has it."""

HAS_FOLDER_CALLS: Final = {os.open, os.stat, os.mkdir, os.unlink, os.rename, os.rmdir} <= (
    os.supports_dir_fd
)

# Each is 0 where the system does not have it.
_DIRECTORY: Final[int] = getattr(os, "O_DIRECTORY", 0)
_NO_FOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT: Final[int] = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
_FOLDER: Final = os.O_RDONLY | _DIRECTORY | _NO_FOLLOW


def resolved(workspace: Path, parts: Sequence[str]) -> tuple[str, ...]:
    """Where a path leads: the same place by names of which none is a link.

    Args:
        workspace: Absolute, links resolved.
        parts: The path's names; what is not there counts as itself.

    Raises:
        FileError: A link leads out of the workspace, or links go round in circles.
    """
    waiting = list(reversed(parts))
    done: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part in ("", "."):
            continue
        if part == "..":  # of a link
            if not done:
                raise _outside(parts)
            done.pop()
            continue
        try:
            target = workspace.joinpath(*done, part).readlink()
        except (OSError, ValueError):  # no link, or nothing there
            done.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            raise FileError(f"{'/'.join(parts)} leads through links that go round in circles.")
        if target.is_absolute():
            if not target.is_relative_to(workspace):
                raise _outside(parts)
            done.clear()
            target = target.relative_to(workspace)
        waiting.extend(reversed(target.parts))
    return tuple(done)


def _outside(parts: Sequence[str]) -> FileError:
    return FileError(
        f"{'/'.join(parts)} lies outside the workspace: a link leads there. Give a path that stays "
        "in the workspace."
    )


@dataclass(slots=True)
class Folder:
    """An open folder; what is done by name is done in it, wherever it is moved meanwhile."""

    path: Path
    """Where it was when it was opened."""
    number: int | None
    """Its descriptor; None where calls cannot be relative to a folder."""

    def __enter__(self) -> "Folder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give it up."""
        number, self.number = self.number, None
        if number is not None:
            os.close(number)

    def status(self, name: str) -> os.stat_result | None:
        """Of what has this name, a link itself; None when nothing has.

        Raises:
            OSError: It cannot be found out.
        """
        try:
            return os.stat(self._at(name), dir_fd=self.number, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open_regular(self, name: str) -> int | None:
        """A descriptor to read a regular file from; None when nothing has the name.

        Never waits: a pipe has no other end, and a device is not even opened.

        Raises:
            OSError: It is something else (the text says what), or cannot be opened.
        """
        status = self.status(name)
        if status is None:
            return None
        _check_regular(status.st_mode, name)
        flags = os.O_RDONLY | _NO_FOLLOW | _NO_WAIT | _BINARY
        try:
            number = os.open(self._at(name), flags, dir_fd=self.number)
        except FileNotFoundError:
            return None
        try:
            _check_regular(os.fstat(number).st_mode, name)  # it may be another one by now
        except BaseException:
            os.close(number)
            raise
        return number

    def create(self, name: str, mode: int) -> int:
        """A descriptor to write a new file to, which nothing had the name of before."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
        return os.open(self._at(name), flags, mode, dir_fd=self.number)

    def unlink(self, name: str) -> None:
        """Remove a file, or a link."""
        os.unlink(self._at(name), dir_fd=self.number)

    def replace(self, name: str, other: str) -> None:
        """Give a file another name, in place of what has it."""
        if self.number is None:
            (self.path / name).replace(self.path / other)
        else:
            os.rename(name, other, src_dir_fd=self.number, dst_dir_fd=self.number)

    def rename_new(self, name: str, other: str) -> None:
        """Give a file a name that nothing has.

        Raises:
            FileExistsError: Something has it.
        """
        from agentcore.tools.files import system_calls

        if self.number is not None and system_calls.rename_new(self.number, name, other):
            return
        if self.status(other) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), other)
        if self.number is not None:
            try:
                os.link(name, other, src_dir_fd=self.number, dst_dir_fd=self.number)
            except FileExistsError:
                raise
            except OSError:  # a file system without a second name for a file
                self.replace(name, other)
            else:
                self.unlink(name)
            return
        (self.path / name).rename(self.path / other)  # Windows: fails when the name is taken

    def exchange(self, name: str, other: str) -> bool:
        """Exchange two files in one step; False where that cannot be done."""
        from agentcore.tools.files import system_calls

        return self.number is not None and system_calls.exchange(self.number, name, other)

    def make_folder(self, name: str) -> bool:
        """Make a folder in it; False when something has the name already."""
        try:
            os.mkdir(self._at(name), dir_fd=self.number)
        except FileExistsError:
            return False
        return True

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(self._at(name), dir_fd=self.number)

    def open_folder(self, name: str) -> "Folder":
        """A folder in it.

        Raises:
            OSError: It is none, or a link.
        """
        if self.number is None:
            return _checked_folder(self.path, (name,))
        return Folder(self.path / name, os.open(name, _FOLDER, dir_fd=self.number))

    def names(self) -> list[os.DirEntry[str]]:
        """What is in it, in no order."""
        with os.scandir(self.path if self.number is None else self.number) as entries:
            return list(entries)

    def link_target(self, name: str) -> str:
        """Where a link in it leads, as the link says it."""
        return os.readlink(self._at(name), dir_fd=self.number)

    def synchronise(self) -> None:
        """Bring names to the medium, where the system can do that."""
        if self.number is not None:
            try:
                os.fsync(self.number)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                    raise

    def _at(self, name: str) -> str:
        return name if self.number is not None else str(self.path / name)


def open_folder(workspace: Path, parts: Sequence[str]) -> Folder:
    """A folder below the workspace, by names of which none is a link.

    Raises:
        OSError: It is not there, is no folder, or one of its names is a link by now.
    """
    if not HAS_FOLDER_CALLS:
        return _checked_folder(workspace, parts)
    from agentcore.tools.files import system_calls

    # The workspace is the user's to choose, also by a link.
    folder = Folder(workspace, os.open(workspace, os.O_RDONLY | _DIRECTORY))
    if not parts:
        return folder
    with folder:
        if folder.number is not None and system_calls.has_openat2():
            number = system_calls.open_beneath(folder.number, "/".join(parts), _FOLDER)
            return Folder(workspace.joinpath(*parts), number)
        return _walked(folder, parts)


def _walked(folder: Folder, parts: Sequence[str]) -> Folder:
    """One folder at a time, each of which may be no link."""
    here = folder
    for part in parts:
        try:
            there = here.open_folder(part)
        finally:
            if here is not folder:
                here.close()
        here = there
    return here


def make_folders(workspace: Path, parts: Sequence[str]) -> tuple[Folder, int]:
    """A folder below the workspace, made with those above it where they are not there.

    Also how many were made. Those are removed again when it fails midway.

    Raises:
        OSError: As `open_folder`, and what making one raises.
    """
    here = open_folder(workspace, ())
    made = 0
    for position, part in enumerate(parts):
        try:
            made += here.make_folder(part)
            there = here.open_folder(part)
        except BaseException:
            remove_folders(workspace, parts[:position], made)
            raise
        finally:
            here.close()
        here = there
    return here, made


def remove_folders(workspace: Path, parts: Sequence[str], count: int) -> None:
    """Remove the last folders of a path, while they are empty."""
    for end in range(len(parts), max(len(parts) - count, 0), -1):
        try:
            with open_folder(workspace, parts[: end - 1]) as above:
                above.remove_folder(parts[end - 1])
        except OSError:
            return


def _checked_folder(above: Path, parts: Sequence[str]) -> Folder:
    """Without calls relative to folders: the real path is the one that was asked for."""
    path = above.joinpath(*parts)
    real = path.resolve(strict=True)
    if not real.is_relative_to(above.resolve()):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if not real.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return Folder(real, None)


_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a link by now"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(OSError):
    """Something that is no file of bytes; the text says what."""


def _check_regular(mode: int, name: str) -> None:
    if not stat.S_ISREG(mode):
        told = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "no regular file")
        raise NotRegular(errno.EINVAL, told, name)
