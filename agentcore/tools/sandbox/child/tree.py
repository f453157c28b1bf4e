"""What a tree of processes uses, read from `/proc`."""

import os

__all__ = ["descendants", "exact_memory", "tasks_of_user", "use_of", "written_bytes"]

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def descendants(root: int) -> list[int]:
    """All processes below one, nearest first. Those that ended while we looked are left out."""
    found: list[int] = []
    level = [root]
    while level:
        level = [child for pid in level for child in _children(pid)]
        found += level
    return found


def _children(pid: int) -> list[int]:
    """Of every thread: a process belongs to the thread that forked it."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
        except OSError:  # ended, or a kernel without CONFIG_PROC_CHILDREN
            if int(task) == pid and os.path.exists(f"/proc/{pid}"):
                return _children_by_parent(pid)
    return found


def _children_by_parent(pid: int) -> list[int]:
    return [
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and (stat := _stat(int(name))) and int(stat[1]) == pid
    ]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _stat(pid: int) -> list[bytes]:
    """The fields of `/proc/PID/stat` from the state on; empty for a process that is gone."""
    try:
        # The name may hold blanks and parentheses: what follows the last one is ours.
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return []


def use_of(pids: list[int]) -> tuple[int, float, int]:
    """Sums over processes, with what their ended children used.

    Processes and threads; seconds of the processor; bytes of memory, an upper bound: pages that
    several share are counted for each.
    """
    tasks = cpu = pages = 0
    for pid in pids:
        if stat := _stat(pid):
            tasks += int(stat[17])
            cpu += sum(map(int, stat[11:15]))
            pages += int(stat[21])
    return tasks, cpu / _TICKS, pages * _PAGE


def exact_memory(pids: list[int]) -> int:
    """Bytes, each shared page counted once. Slow for large processes: asked only near a limit."""
    total = 0
    for pid in pids:
        try:
            text = _read(f"/proc/{pid}/smaps_rollup")
        except OSError:
            continue
        sizes = {
            name: int(rest.split()[0])
            for name, _, rest in (line.partition(b":") for line in text.splitlines()[1:])
        }
        # Without the pages of files, which the kernel takes back when it needs them.
        known = b"Pss_Anon" in sizes
        total += sizes[b"Pss_Anon"] + sizes[b"Pss_Shmem"] if known else sizes.get(b"Pss", 0)
    return total * 1024


def written_bytes(pids: list[int]) -> int:
    """What processes and their ended children made the kernel write, by its own account."""
    total = 0
    for pid in pids:
        try:
            lines = _read(f"/proc/{pid}/io").splitlines()
        except OSError:
            continue
        counts = dict(line.split(b": ") for line in lines)
        total += int(counts[b"write_bytes"]) - int(counts[b"cancelled_write_bytes"])
    return total


def tasks_of_user(uid: int) -> int:
    """How many processes and threads a user has."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = os.stat(f"/proc/{name}/task")
            except OSError:
                continue
            count += stat.st_nlink - 2 if stat.st_uid == uid else 0
    return count
