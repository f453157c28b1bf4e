"""Programs in namespaces of their own, made by `bwrap`."""

import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from agentcore.tools.sandbox.base import Ending, Finished, Program
from agentcore.tools.sandbox.child.job import FILE, STATUS
from agentcore.tools.sandbox.launch import PYTHON_OPTIONS, job_for, supervised
from agentcore.tools.sandbox.places import (
    SETTINGS,
    SYSTEM,
    Kept,
    interpreter_places,
    kept_places,
    refusal,
)
from agentcore.tools.sandbox.seccomp import filter_for

__all__ = ["Bubblewrap"]

_NAMESPACES = ("user", "ipc", "pid", "net", "uts")
_HOME = "/tmp"
_PASSWD, _EMPTY, _FILTER = "passwd", "empty", "filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """One way of running `bwrap`."""

    name: str = "bubblewrap"
    disable_userns: bool = True
    """Needs bubblewrap 0.8 and a `/proc/sys` that it may write to."""

    def version(self) -> str:
        """Of the program that is installed.

        Raises:
            OSError: There is none, or it does not run.
        """
        told = subprocess.run(
            [_bwrap(), "--version"], capture_output=True, text=True, check=False, timeout=10
        )
        found = re.search(r"\d[\d.]*", told.stdout)
        return found[0] if found else "of an unknown version"

    async def run(self, program: Program) -> Finished:
        """Run a program; see `Sandbox.run`."""
        if why := refusal(program.workspace):
            return Finished(output=why, status=None, ended_by=Ending.NOT_STARTED)
        try:
            argv = self._argv(program)
        except OSError as error:
            return Finished(output=str(error), status=None, ended_by=Ending.NOT_STARTED)
        me = f"user:x:{os.getuid()}:{os.getgid()}:user:{_HOME}:/bin/sh\n"
        contents = {
            _PASSWD: me.encode(),
            _EMPTY: b"",
            _FILTER: filter_for("bubblewrap", platform.machine()),
        }
        job = job_for(
            program,
            argv=argv,
            home=_HOME,
            files=contents,
        )
        return _judged(*await supervised(job, program))

    def _argv(self, program: Program) -> tuple[str, ...]:
        workspace = str(program.workspace)
        kept = kept_places(program.workspace)
        return (
            _bwrap(),
            *(f"--unshare-{name}" for name in _NAMESPACES),
            "--unshare-cgroup-try",
            *(("--disable-userns",) if self.disable_userns else ()),
            *("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox"),
            *_system(),
            *("--proc", "/proc", "--dev", "/dev"),
            *_memory_folder("/dev/shm", program),
            *_memory_folder("/tmp", program),
            *(p for place in interpreter_places(program.python) for p in _read_only(place)),
            *("--bind", workspace, workspace),
            # Once more, when the workspace holds it: what runs the agent is not to be changed.
            *(
                p
                for place in interpreter_places(program.python)
                for p in _read_only(place)
                if Path(place).is_relative_to(workspace)
            ),
            *_kept(kept),
            # Both are folders in memory, without a size.
            *("--remount-ro", "/dev", "--remount-ro", "/"),
            # Root without capabilities still owns /proc/sys: settings of the whole machine.
            *_masked_in_proc(),
            *("--remount-ro", "/proc"),
            *("--chdir", workspace, "--json-status-fd", STATUS),
            *(
                ("--seccomp", FILE + _FILTER)
                if filter_for("bubblewrap", platform.machine())
                else ()
            ),
            "--",
            program.python,
            *PYTHON_OPTIONS,
        )


def _bwrap() -> str:
    """Where it is. Not searched in the folder we are in: the model writes there."""
    path = os.pathsep.join(p for p in os.get_exec_path() if os.path.isabs(p))  # noqa: PTH117
    found = shutil.which("bwrap", path=path)
    if found is None:
        raise FileNotFoundError("bwrap is not installed (Debian, Fedora, Arch: bubblewrap)")
    return found


def _read_only(place: str) -> tuple[str, str, str]:
    return ("--ro-bind", place, place)


def _memory_folder(place: str, program: Program) -> tuple[str, ...]:
    return ("--size", str(program.limits.memory_bytes // 4), "--tmpfs", place)


def _system() -> tuple[str, ...]:
    parts: list[str] = []
    for place in map(Path, SYSTEM):
        if place.is_symlink():
            parts += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            parts += _read_only(str(place))
    for place in map(Path, SETTINGS):
        if place.exists():
            parts += ["--ro-bind", str(place.resolve()), str(place)]
    return (*parts, "--ro-bind-data", FILE + _PASSWD, "/etc/passwd")


def _masked_in_proc() -> tuple[str, ...]:
    places = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug")
    return tuple(
        part
        for place in places
        if Path(place).exists()
        for part in ("--ro-bind", "/dev/null", place)
    )


def _kept(kept: Kept) -> tuple[str, ...]:
    parts: list[str] = []
    for place in kept.read_only:
        parts += _read_only(place)
    for place in kept.hidden_files:
        parts += ["--ro-bind", "/dev/null", place]
    for place in kept.hidden_folders:
        parts += ["--tmpfs", place, "--remount-ro", place]
    return tuple(parts)


def _judged(finished: Finished, told: str) -> Finished:
    """With what bwrap itself says: its exit status alone may be the program's or its own."""
    if finished.ended_by:
        return finished
    documents = [json.loads(line) for line in told.splitlines() if line.strip()]
    statuses = [document["exit-code"] for document in documents if "exit-code" in document]
    if not statuses:
        why = f"bwrap could not set up the sandbox: {finished.output.strip()}"
        return Finished(output=why, status=None, ended_by=Ending.NOT_STARTED)
    return _as_ended(finished, statuses[-1])


def _as_ended(finished: Finished, status: int) -> Finished:
    """A shell's 128 + n is a signal; of the processor's limit it is the one."""
    signal_ = status - 128
    if signal_ == _SIGXCPU:
        return Finished(
            output=finished.output,
            status=None,
            ended_by=Ending.CPU,
            output_bytes=finished.output_bytes,
        )
    return Finished(
        output=finished.output,
        status=-signal_ if 0 < signal_ <= _LAST_SIGNAL else status,
        output_bytes=finished.output_bytes,
    )


_SIGXCPU, _LAST_SIGNAL = 24, 64
