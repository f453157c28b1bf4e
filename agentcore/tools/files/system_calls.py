"""Two calls of Linux that Python's library does not have, found out once and used where they work.

`openat2(2)`, since 5.6: opens a path and fails when a part of it is a link or leads out, in one
step that nobody can come between. `renameat2(2)`, since 3.15: exchanges two files in one step.
"""

import ctypes
import errno
import os
import sys
from functools import cache
from typing import Final

__all__ = ["exchange", "has_openat2", "open_beneath", "rename_new"]

_OPENAT2: Final = 437
"""The same number on every architecture: all calls since 5.1 have one."""
_NO_MAGIC_LINKS: Final = 0x02
_NO_LINKS: Final = 0x04
_BENEATH: Final = 0x08
_NO_REPLACE: Final = 1
_EXCHANGE: Final = 2


class _How(ctypes.Structure):
    """`struct open_how` of linux/openat2.h."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(folder: int, path: str, flags: int) -> int:
    """Open what lies below an open folder; no part of the path may be a link.

    Raises:
        OSError: ELOOP for a link, EXDEV for what leads out, and what `open` raises.
    """
    how = _How(flags | os.O_CLOEXEC, 0, _BENEATH | _NO_MAGIC_LINKS | _NO_LINKS)
    opened = _library().syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(folder),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if opened < 0:
        raise _error(path)
    return int(opened)


@cache
def has_openat2() -> bool:
    """The kernel has it, and this process may call it: old sandboxes refuse what is new."""
    if not sys.platform.startswith("linux"):
        return False
    folder = os.open(os.sep, os.O_RDONLY)
    try:
        os.close(open_beneath(folder, ".", os.O_RDONLY))
    except OSError:
        return False
    finally:
        os.close(folder)
    return True


def exchange(folder: int, one: str, other: str) -> bool:
    """Exchange two files of a folder in one step; False where that cannot be done."""
    return _rename(folder, one, other, _EXCHANGE)


def rename_new(folder: int, one: str, other: str) -> bool:
    """Rename a file to a name that is free; False where that cannot be done in one step.

    Raises:
        FileExistsError: The name is taken.
    """
    return _rename(folder, one, other, _NO_REPLACE)


# Of a kernel, a file system and a sandbox that do not have it.
_NOT_HERE: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})


def _rename(folder: int, one: str, other: str, flags: int) -> bool:
    if not sys.platform.startswith("linux") or not hasattr(_library(), "renameat2"):
        return False
    done = _library().renameat2(
        ctypes.c_int(folder),
        ctypes.c_char_p(os.fsencode(one)),
        ctypes.c_int(folder),
        ctypes.c_char_p(os.fsencode(other)),
        ctypes.c_uint(flags),
    )
    if done < 0:
        error = _error(other)
        if error.errno in _NOT_HERE:
            return False
        raise error
    return True


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _error(path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)
