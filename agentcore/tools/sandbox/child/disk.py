"""How much a run takes of the disk."""

import os
import stat
import sys
import time
from collections.abc import Iterator, Sequence

from agentcore.tools.sandbox.child.job import Job
from agentcore.tools.sandbox.child.tree import written_bytes

__all__ = ["Disk"]

_CLOCK = 5 if sys.platform == "linux" else time.CLOCK_REALTIME
"""CLOCK_REALTIME_COARSE, which is what file systems take the time of."""
_REST = 4
"""After a count a rest so many times as long: files may be many, and others may fill the disk."""


class Disk:
    """Looks at free space often; counts files only when much of it is gone.

    Free space alone accuses the wrong one: others write too. So the program is stopped when the
    space is gone and what it has changed, or has written by the kernel's account, explains that.
    """

    def __init__(self, job: Job, places: Sequence[str]) -> None:
        self._bytes, self._files = job.disk_bytes, job.files_made
        self._places = places
        # Of the kernel's clock, as a file's time of change is, which no program can set back.
        self._since = time.clock_gettime_ns(_CLOCK)
        self._before = [_free(place) for place in places]
        self._next_count = 0.0

    def over(self, pids: list[int]) -> str:
        """The limit that is passed; empty for none."""
        lost_bytes = lost_files = 0
        for place, (free_bytes, free_files) in zip(self._places, self._before, strict=True):
            now_bytes, now_files = _free(place)
            lost_bytes = max(lost_bytes, free_bytes - now_bytes)
            lost_files = max(lost_files, free_files - now_files)
        is_many_bytes, is_many_files = lost_bytes > self._bytes, lost_files > self._files
        if is_many_bytes and written_bytes(pids) > self._bytes:
            return "disk_bytes"
        if (is_many_bytes or is_many_files) and time.monotonic() >= self._next_count:
            made_bytes, made_files = self._made(pids)
            if is_many_bytes and made_bytes > self._bytes:
                return "disk_bytes"
            if is_many_files and made_files > self._files:
                return "files"
        return ""

    def at_end(self) -> str:
        """Likewise, when the program has ended faster than anybody looked."""
        self._next_count = 0.0
        return self.over([])

    def _made(self, pids: list[int]) -> tuple[int, int]:
        """Bytes and number of the files that were changed since the start, also deleted ones."""
        began = time.monotonic()
        seen: dict[tuple[int, int], int] = {}
        for found in self._changed(pids):
            if found.st_ctime_ns >= self._since:
                seen[found.st_dev, found.st_ino] = found.st_blocks * 512
        ended = time.monotonic()
        self._next_count = ended + _REST * (ended - began)
        return sum(seen.values()), len(seen)

    def _changed(self, pids: list[int]) -> Iterator[os.stat_result]:
        for place in self._places:
            for folder, _, names in os.walk(place):
                for name in (".", *names):
                    try:
                        yield os.lstat(f"{folder}/{name}")
                    except OSError:
                        continue
        for pid in pids:
            yield from _open_files(pid)


def _open_files(pid: int) -> Iterator[os.stat_result]:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for descriptor in descriptors:
        try:
            found = os.stat(f"/proc/{pid}/fd/{descriptor}")
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and not found.st_nlink:
            yield found


def _free(place: str) -> tuple[int, int]:
    """Bytes and inodes; file systems that have no fixed number of these say 0."""
    found = os.statvfs(place)
    return found.f_bfree * found.f_frsize, found.f_ffree
