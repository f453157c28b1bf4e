"""A file replaced whole and at once, and only if it is still the one that was read.

The new text goes to a file beside it, to the medium, and then takes the name. Where the system can
exchange two files in one step, what was replaced is looked at afterwards and put back if somebody
else had written it in between: no moment is left in which their text could be lost. Elsewhere it is
looked at directly before.
"""

import os
import secrets
import stat
import sys
from contextlib import suppress
from typing import Final

from agentcore.tools.files.confined import Folder

__all__ = ["Changed", "is_temporary", "read_regular", "replace_file"]

_PREFIX: Final = ".agentcore-"
_SUFFIX: Final = ".tmp"
_CHUNK_BYTES: Final = 1024 * 1024


class Changed(Exception):
    """Somebody else has written the file meanwhile. Nothing was written."""


def is_temporary(name: str) -> bool:
    """A file that a process which was killed has left behind, or another is about to rename."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def read_regular(folder: Folder, name: str, max_bytes: int) -> bytes | None:
    """The bytes of a regular file; None when nothing has the name.

    Of a larger file one byte more than `max_bytes` is given.

    Raises:
        OSError: It is no regular file, or cannot be read.
    """
    number = folder.open_regular(name)
    if number is None:
        return None
    with os.fdopen(number, "rb", buffering=0) as file:
        chunks: list[bytes] = []
        room = max_bytes + 1
        while room > 0 and (chunk := file.read(min(room, _CHUNK_BYTES))):
            chunks.append(chunk)
            room -= len(chunk)
    return b"".join(chunks)


def replace_file(folder: Folder, name: str, before: bytes | None, after: bytes) -> None:
    """Store a file whole and at once; permissions, and where allowed owner and attributes, stay.

    Args:
        folder: The folder that it is in.
        name: Its name there.
        before: What it holds, as it was read; None when it is to be new.
        after: What it is to hold.

    Raises:
        Changed: It holds something else by now, or is there although it should be new.
        OSError: It cannot be written. In either case all is as it was.
    """
    fresh = f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    old = folder.status(name) if before is not None else None
    if (old is None) is not (before is None):
        raise Changed
    number = folder.create(fresh, 0o666 if old is None else 0o600)
    try:
        with os.fdopen(number, "wb", buffering=0) as file:
            _write_all(file.fileno(), after)
            if old is not None:
                _copy_attributes(folder, name, file.fileno(), old)
            os.fsync(file.fileno())
        if before is None:
            _take_new_name(folder, fresh, name)
            is_taken = True
        elif not _holds(folder, name, before):
            raise Changed
        else:
            is_taken = not folder.exchange(fresh, name)
            if is_taken:
                folder.replace(fresh, name)
    except BaseException:
        with suppress(OSError):
            folder.unlink(fresh)
        raise
    if not is_taken:
        _look_at_replaced(folder, fresh, name, before or b"", after)
    with suppress(OSError):  # the text is there; only a power cut could still undo it
        folder.synchronise()


def _take_new_name(folder: Folder, fresh: str, name: str) -> None:
    try:
        folder.rename_new(fresh, name)
    except FileExistsError:
        raise Changed from None


def _look_at_replaced(folder: Folder, fresh: str, name: str, before: bytes, after: bytes) -> None:
    """After an exchange: `fresh` is what was replaced, and goes back unless it is as expected."""
    is_expected = False
    try:
        is_expected = _holds(folder, fresh, before)
    finally:
        if not is_expected:
            # Whatever fails from here on, `fresh` is not removed: it is somebody else's text.
            folder.exchange(fresh, name)
            if not _holds(folder, fresh, after):
                folder.exchange(fresh, name)  # written once more meanwhile: the latest stays
    with suppress(OSError):
        folder.unlink(fresh)
    if not is_expected:
        raise Changed


def _holds(folder: Folder, name: str, before: bytes) -> bool:
    return read_regular(folder, name, len(before)) == before


def _write_all(number: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(number, rest) :]


def _copy_attributes(folder: Folder, name: str, number: int, old: os.stat_result) -> None:
    """Owner, permissions and extended attributes, as far as this user may give them."""
    if sys.platform == "win32":
        return
    new = os.fstat(number)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):
            os.fchown(number, old.st_uid, old.st_gid)
            new = os.fstat(number)
    if sys.platform == "linux":
        with suppress(OSError):
            _copy_extended(folder, name, number)
    is_same_owner = (new.st_uid, new.st_gid) == (old.st_uid, old.st_gid)
    # Last, for a change of owner takes bits away. What runs as its owner does so as the old one's.
    os.fchmod(number, stat.S_IMODE(old.st_mode) & (0o7777 if is_same_owner else 0o777))


if sys.platform == "linux":

    def _copy_extended(folder: Folder, name: str, number: int) -> None:
        source = folder.open_regular(name)
        if source is None:
            return
        try:
            for attribute in os.listxattr(source):
                if not attribute.startswith("security."):  # capabilities are of the old text
                    with suppress(OSError):
                        os.setxattr(number, attribute, os.getxattr(source, attribute))
        finally:
            os.close(source)
