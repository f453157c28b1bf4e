"""Runs one program, watches what it uses, and leaves nothing of it behind.

Standard input brings the job, and its end means: stop. So the program dies with the agent, however
the agent dies. Standard output is the program's. Standard error takes the report at the end: four
texts with NUL between them.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable

from agentcore.tools.sandbox.child.disk import Disk
from agentcore.tools.sandbox.child.job import SIZE_BYTES, Job
from agentcore.tools.sandbox.child.start import start, with_temporary
from agentcore.tools.sandbox.child.tree import descendants, exact_memory, use_of

__all__ = ["main"]

_LOOK_SECONDS = 0.05
"""How often the use is read: at a few GB/s a limit of memory is passed by some 100 MB."""
_KILL_SECONDS = 5.0
"""How long processes are hunted that leave their group as fast as they are found."""


class Watch:
    """A program that runs."""

    def __init__(self, job: Job, child: int, disk: Disk) -> None:
        self.job, self.child, self.disk = job, child, disk
        self.deadline = time.monotonic() + job.wall_seconds
        self.status: int | None = None
        """As `waitstatus_to_exitcode` gives it."""
        self.reaped_seconds = 0.0
        self.is_alone = False
        """Nothing descends from us any more."""

    def reap(self) -> bool:
        """Collect what has ended; True while the program itself runs."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.is_alone = True
                return False
            if not pid:
                return self.status is None
            self.reaped_seconds += used.ru_utime + used.ru_stime
            if pid == self.child:
                self.status = os.waitstatus_to_exitcode(status)

    def over(self) -> str:
        """The limit that is passed; empty for none."""
        job = self.job
        if time.monotonic() >= self.deadline:
            return "wall_seconds"
        if sys.platform != "linux":
            return ""
        pids = descendants(os.getpid())
        tasks, cpu_seconds, memory_bytes = use_of(pids)
        if tasks > job.processes:
            return "processes"
        if cpu_seconds + self.reaped_seconds > job.cpu_seconds:
            return "cpu_seconds"
        if memory_bytes > job.memory_bytes and exact_memory(pids) > job.memory_bytes:
            return "memory_bytes"
        return self.disk.over(pids)

    def kill(self) -> None:
        """The program, its group, and whatever descends from it."""
        end = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < end:
            _kill(os.killpg, self.child)
            for pid in descendants(os.getpid()) if sys.platform == "linux" else ():
                _kill(os.kill, pid)
            self.reap()
            if self.is_alone:
                return
            time.sleep(0.001)


def _kill(call: Callable[[int, int], None], number: int) -> None:
    try:
        call(number, signal.SIGKILL)
    except OSError:
        return


def main() -> None:
    """Run the job that standard input brings, and end."""
    size = int.from_bytes(_told(SIZE_BYTES), "little")
    report = _run(Job.load(_told(size)))
    os.write(2, "\0".join(part.replace("\0", " ") for part in report).encode())
    os._exit(0)


def _told(size: int) -> bytes:
    told = bytearray()
    while len(told) < size:
        block = os.read(0, min(1 << 20, size - len(told)))
        if not block:
            os._exit(1)
        told += block
    return bytes(told)


def _run(job: Job) -> tuple[str, str, str, str]:
    """Why it could not be started, what ended it, its status, what bubblewrap said."""
    if sys.platform == "linux" and not os.path.exists("/proc/self/fd"):
        return "/proc is not mounted, and without it nobody sees what a program does", "", "", ""
    _adopt_orphans()
    _go_first()
    folder = job.temporary
    if folder:
        os.mkdir(folder, 0o700)
    try:
        return _watched(with_temporary(job, folder) if folder else job, folder)
    finally:
        if folder:
            _remove(folder)


def _remove(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:  # something was left in it
        import shutil  # 10 ms that only this needs

        shutil.rmtree(folder, ignore_errors=True)


def _watched(job: Job, temporary: str) -> tuple[str, str, str, str]:
    wake = _wake_on_child()
    status_told, status_tell = os.pipe()
    disk = Disk(job, [job.folder, *([temporary] if temporary else [])])
    child, why = start(job, status_tell)
    os.close(status_tell)
    watch = Watch(job, child, disk)
    with open(why, "rb") as file:
        problem = file.read().decode(errors="replace")
    ended_by = "" if problem else _wait(watch, wake)
    watch.kill()
    with open(status_told, "rb") as file:
        inner = file.read()
    status = "" if watch.status is None else str(watch.status)
    return problem, ended_by or watch.disk.at_end(), status, inner.decode(errors="replace")


def _wait(watch: Watch, wake: int) -> str:
    """Until it has ended, a limit is passed, or whoever started us is gone."""
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(wake, select.POLLIN)
    while watch.reap():
        if passed := watch.over():
            return passed
        left = max(0.0, watch.deadline - time.monotonic())
        for descriptor, _ in poll.poll(1_000 * min(_LOOK_SECONDS, left) + 1):
            if descriptor == 0 and not os.read(0, 1):
                return "stopped"
            if descriptor == wake:
                os.read(wake, 512)
    return ""


def _wake_on_child() -> int:
    """A descriptor that can be read once a child has ended."""
    told, tell = os.pipe()
    os.set_blocking(told, False)
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Ctrl-C reaches the whole group of a terminal: the agent decides, not the key.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return told


def _adopt_orphans() -> None:
    """Processes that lose their parent become our children, instead of the system's."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _go_first() -> None:
    """Be woken before everything that is not real-time, where that is allowed (to root).

    On a machine with more to do than it can, a look comes seconds late, and a fork bomb doubles
    meanwhile; for root no limit of the kernel stops it. What we start is as any other process.
    """
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        except OSError:
            return
