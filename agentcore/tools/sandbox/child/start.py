"""Between fork and exec: the child gives up its rights and becomes the program."""

import os
import resource
import signal
import sys

from agentcore.tools.sandbox.child.job import FILE, STATUS, TEMPORARY, Job
from agentcore.tools.sandbox.child.tree import tasks_of_user

__all__ = ["start", "with_temporary"]

_OPEN_FILES = 1024
_SPARE_TASKS = 64
_NICENESS = 5
"""The agent's own work, and the user's, come first."""
_FIRST_TO_DIE = b"800"
"""For the kernel, when memory is short all the same: the program before the agent."""


def with_temporary(job: Job, folder: str) -> Job:
    """The job with a folder for its place-holder."""
    told = {
        "argv": tuple(part.replace(TEMPORARY, folder) for part in job.argv),
        "environment": {k: v.replace(TEMPORARY, folder) for k, v in job.environment.items()},
        "rules": tuple((path.replace(TEMPORARY, folder), right) for path, right in job.rules),
    }
    return Job(**{**vars(job), **told})


def start(job: Job, status: int) -> tuple[int, int]:
    """Fork the program; its process id, and a descriptor that says why it could not begin.

    What is read from the descriptor is empty when the program runs. `status` is handed to it.
    """
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        return child, told
    try:
        _become(job, status, tell)
    except BaseException as error:
        os.write(tell, f"{type(error).__name__}: {error}".encode(errors="replace")[:2_000])
    os._exit(127)


def _become(job: Job, status: int, tell: int) -> None:
    os.setsid()
    _die_with_parent()
    for name in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    os.dup2(_file(job.stdin.encode(errors="surrogatepass")), 0)
    os.dup2(1, 2)
    argv, kept = _with_descriptors(job, status)
    for descriptor in os.listdir("/dev/fd"):
        number = int(descriptor)
        if number > 2 and number not in (*kept, tell):
            _close(number)
    _limits(job)
    os.chdir(job.folder)
    if job.rules or job.filter_:
        _confine(job)
    os.execve(argv[0], argv, dict(job.environment))


def _die_with_parent() -> None:
    """Also when the supervisor is killed, as by the kernel when memory is short."""
    if sys.platform == "linux":
        import ctypes  # loaded by the supervisor before it forks

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:  # the one by which the folder was listed
        return


def _file(content: bytes) -> int:
    """A descriptor from which the content is read, and that leaves nothing on disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("program")
    else:
        import tempfile  # 15 ms that only other systems need

        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
    with os.fdopen(os.dup(descriptor), "wb") as writer:
        writer.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _with_descriptors(job: Job, status: int) -> tuple[list[str], list[int]]:
    kept: list[int] = []
    argv: list[str] = []
    for part in job.argv:
        if part == STATUS:
            kept.append(status)
            argv.append(str(status))
        elif part.startswith(FILE):
            kept.append(_file(job.files[part.removeprefix(FILE)]))
            argv.append(str(kept[-1]))
        else:
            argv.append(part)
    for descriptor in kept:
        os.set_inheritable(descriptor, True)
    return argv, kept


def _limits(job: Job) -> None:
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_NOFILE", _OPEN_FILES)
    _limit("RLIMIT_MSGQUEUE", 0)
    _limit("RLIMIT_FSIZE", job.file_bytes)
    # Later than the supervisor, who says why: the kernel only kills.
    _limit("RLIMIT_CPU", job.cpu_seconds + 1)
    # Not the address space: runtimes reserve tens of gigabytes that they never use.
    _limit("RLIMIT_DATA", job.memory_bytes)
    # Only a stop for what is faster than the supervisor looks: the kernel counts all that this user
    # runs, also what others start meanwhile, and does not count at all for root.
    if sys.platform == "linux" and os.getuid():
        _limit("RLIMIT_NPROC", tasks_of_user(os.getuid()) + 2 * job.processes + _SPARE_TASKS)
    os.nice(_NICENESS)
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "wb") as file:
            file.write(_FIRST_TO_DIE)


def _limit(name: str, value: int) -> None:
    which = getattr(resource, name, None)
    if which is None:  # not on this system
        return
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _confine(job: Job) -> None:
    from agentcore.tools.sandbox.child import confine  # ctypes: 5 ms that only this needs

    confine.drop_capabilities()
    if job.rules:
        confine.restrict_files(job.rules)
    if job.filter_:
        confine.install_filter(job.filter_)
