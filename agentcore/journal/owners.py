"""Who drives a run, and whether they live: a lock that the operating system gives up for the dead.

Each process that drives runs holds a lock on a file of its own, `<journal>-owners/<id>`. The kernel
drops it when the process ends in whatever way, at once: no heartbeat, no clock, and a process that
is only stopped keeps it. On network file systems locks may lie; a journal does not belong there.
"""

import os
import secrets
import sys
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

__all__ = ["Owner", "is_alive", "remove_dead"]

_ID_BYTES: Final = 8
_SETTLED_SECONDS: Final = 3_600.0
"""A younger file is left alone: its process may be about to lock it."""

if sys.platform == "win32":
    _TRIES, _PAUSE_SECONDS = 3, 0.01

    def _lock(file: FileIO, *, shared: bool) -> bool:
        """Lock a file until it is closed; False when its owner holds it.

        There are no shared locks here: who only asks may be in the way of another who does.
        """
        import msvcrt

        for _ in range(_TRIES if shared else 1):
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                time.sleep(_PAUSE_SECONDS)
        return False

else:
    import fcntl

    def _lock(file: FileIO, *, shared: bool) -> bool:
        """Lock a file until it is closed; False when its owner holds it.

        Args:
            file: Of an owner.
            shared: Only to ask: several may at once.

        Raises:
            OSError: This file system has no locks.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Owner:
    """This process, as one that drives runs."""

    def __init__(self, folder: Path) -> None:
        """Take a file, and lock it.

        Args:
            folder: Of the lock files; made when it is not there.

        Raises:
            OSError: The file cannot be made or locked.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        self.id = secrets.token_hex(_ID_BYTES)
        self._path = folder / self.id
        self._file: FileIO | None = FileIO(
            self._path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)
        )
        try:
            if not _lock(self._file, shared=False):
                raise OSError(f"{self._path}: somebody else holds the lock of a new file")
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Give the lock up. May be called twice."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                self._path.unlink()
            with suppress(OSError):
                file.close()

    def forget(self) -> None:
        """In the child of a fork: the lock is the parent's alone."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()


def is_alive(folder: Path, owner: str) -> bool:
    """Whether the process with this id still runs."""
    try:
        file = FileIO(folder / owner, "r+b")
    except FileNotFoundError:
        return False
    except OSError:
        return True  # Windows opens no locked file; and who cannot look must not take over
    try:
        return not _lock(file, shared=True)
    finally:
        file.close()


def remove_dead(folder: Path) -> None:
    """Remove the files of processes that have been gone for a while."""
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                is_settled = time.time() - path.stat().st_mtime > _SETTLED_SECONDS
                if is_settled and not is_alive(folder, path.name):
                    path.unlink()
