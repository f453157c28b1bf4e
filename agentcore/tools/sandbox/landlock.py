"""Programs that Landlock and seccomp hold, where there is no `bwrap`."""

import platform
import sys
from dataclasses import dataclass
from functools import cache

from agentcore.tools.sandbox.base import Ending, Finished, Program
from agentcore.tools.sandbox.child.job import TEMPORARY
from agentcore.tools.sandbox.launch import PYTHON_OPTIONS, job_for, supervised
from agentcore.tools.sandbox.places import SETTINGS, SYSTEM, interpreter_places, refusal
from agentcore.tools.sandbox.seccomp import filter_for

__all__ = ["Landlock"]

_READ = (*SYSTEM, *SETTINGS, "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat")
"""Of `/proc` only the program's own folder: `/proc/self` is looked up when it becomes one."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Landlock:
    """Rules for files, a filter for system calls, one process group."""

    name: str = "landlock"

    def version(self) -> str:
        """Of Landlock, as the kernel counts it.

        Raises:
            OSError: It has none, or the machine's system calls are not known here.
        """
        if sys.platform != "linux":  # there the numbers are those of other calls
            raise OSError(f"{sys.platform!r} has no Landlock")
        if not filter_for("landlock", platform.machine()):
            raise OSError(f"no filter of system calls for {platform.machine()!r}")
        if not _abi():
            raise OSError("the kernel has no Landlock (Linux 6.2 and later, unless switched off)")
        return f"{_abi()} with seccomp"

    async def run(self, program: Program) -> Finished:
        """Run a program; see `Sandbox.run`."""
        if why := refusal(program.workspace):
            return Finished(output=why, status=None, ended_by=Ending.NOT_STARTED)
        job = job_for(
            program,
            argv=(program.python, *PYTHON_OPTIONS),
            home=TEMPORARY,
            needs_temporary=True,
            rules=(
                *((place, "read") for place in (*_READ, *interpreter_places(program.python))),
                *((place, "device") for place in _DEVICES),
                (str(program.workspace), "write"),
                (TEMPORARY, "write"),
            ),
            filter_=filter_for("landlock", platform.machine()),
        )
        return (await supervised(job, program))[0]


@cache
def _abi() -> int:
    from agentcore.tools.sandbox.child.confine import landlock_abi  # ctypes, and Linux only

    return landlock_abi()
