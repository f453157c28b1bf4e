"""Start a supervisor, read what the program prints, and what became of it."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import anyio
import anyio.abc
import anyio.to_thread

from agentcore.tools.sandbox.base import Ending, Finished, Program
from agentcore.tools.sandbox.child.job import Job
from agentcore.tools.sandbox.output import Output

__all__ = ["PASSED_VARIABLES", "job_for", "supervised"]

PASSED_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""All of our environment that a program sees as it is: no key, no token, no path."""
_SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
PYTHON_OPTIONS = ("-E", "-s", "-B", "-u", "-")
"""No variable and no user's packages change what is imported; nothing is written beside what is.
Unbuffered: what was printed is there when a limit ends the program. The program comes by standard
input, so its folder, the workspace, can be imported from."""
_PACKAGE = Path(__file__).parent
_SUPERVISOR = f"""
import sys, types
root = {str(_PACKAGE.parent.parent)!r}
for name in ("agentcore", "agentcore.tools", "agentcore.tools.sandbox"):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [root + name.removeprefix("agentcore").replace(".", "/")]
from agentcore.tools.sandbox.child.supervisor import main
main()
"""
"""Without what the packages above import: 15 ms instead of 300."""
_GRACE_SECONDS = 10.0
"""Beyond its own limit a supervisor has so long to kill and to tell."""
_LAST_OUTPUT_SECONDS = 0.5
"""How long output is read on after the end: what has escaped may hold the pipe open."""


def job_for(
    program: Program,
    *,
    argv: tuple[str, ...],
    home: str,
    rules: tuple[tuple[str, str], ...] = (),
    filter_: bytes = b"",
    files: dict[str, bytes] | None = None,
    needs_temporary: bool = False,
) -> Job:
    """The job of a program, with the environment that all backends give."""
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    limits = program.limits
    environment = {
        "PATH": os.pathsep.join((str(Path(program.python).parent), _SEARCH_PATH)),
        "HOME": home,
        "TMPDIR": home,
        **passed,
    }
    return Job(
        argv=argv,
        environment=environment,
        folder=str(program.workspace),
        stdin=program.code,
        wall_seconds=limits.wall_seconds,
        cpu_seconds=limits.cpu_seconds,
        memory_bytes=limits.memory_bytes,
        file_bytes=limits.file_bytes,
        disk_bytes=limits.disk_bytes,
        files_made=limits.files,
        processes=limits.processes,
        temporary=f"{tempfile.gettempdir()}/agentcore-{token_hex(8)}" if needs_temporary else "",
        rules=rules,
        filter_=filter_,
        files=files,
    )


@dataclass(slots=True)
class _Talk:
    """What a supervisor has said so far."""

    output: Output
    report: bytearray = field(default_factory=bytearray)
    too_much: bool = False


async def supervised(job: Job, program: Program) -> tuple[Finished, str]:
    """Run a job to its end; also what bubblewrap said of it, if it was one.

    When cancelled, the supervisor is told to stop and waited for: it leaves nothing behind.
    """
    process = await anyio.open_process(
        [sys.executable, "-I", "-S", "-c", _SUPERVISOR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
    )
    talk = _Talk(Output(program.limits.shown_bytes))
    try:
        with anyio.move_on_after(program.limits.wall_seconds + _GRACE_SECONDS):
            await _converse(process, job, talk, program.limits.output_bytes)
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process)
            if process.returncode and job.temporary:  # killed, it could not remove it itself
                await anyio.to_thread.run_sync(_remove, job.temporary)
    return _finished(talk)


def _remove(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


async def _converse(process: anyio.abc.Process, job: Job, talk: _Talk, most: int) -> None:
    assert process.stdin is not None
    try:
        await process.stdin.send(job.dump())
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return
    read = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            assert process.stderr is not None
            async for block in process.stderr:
                talk.report += block

        async def look() -> None:
            assert process.stdout is not None
            async for block in process.stdout:
                talk.output.feed(block)
                if talk.output.total > most and not talk.too_much:
                    talk.too_much = True
                    # Read on: what is in the pipe would keep the rest from ending.
                    tasks.start_soon(_hang_up, process)
            read.set()

        tasks.start_soon(listen)
        tasks.start_soon(look)
        await process.wait()
        with anyio.move_on_after(_LAST_OUTPUT_SECONDS):
            await read.wait()
        tasks.cancel_scope.cancel()


async def _hang_up(process: anyio.abc.Process) -> None:
    assert process.stdin is not None
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()


async def _stop(process: anyio.abc.Process) -> None:
    """The end of its input tells the supervisor to kill; killed itself, it could not."""
    await _hang_up(process)
    with anyio.move_on_after(_GRACE_SECONDS):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.aclose()


def _finished(talk: _Talk) -> tuple[Finished, str]:
    text, total = talk.output.text(), talk.output.total
    try:
        why, limit, status, bubblewrap = bytes(talk.report).decode(errors="replace").split("\0")
        ended_by = Ending.OUTPUT if talk.too_much else _ending(limit)
        number = int(status) if status else None
    except ValueError:
        said = bytes(talk.report[-500:]).decode(errors="replace").strip()
        text = f"{text}\n{said}" if said else text
        return Finished(output=text, status=None, ended_by=Ending.LOST, output_bytes=total), ""
    if why:
        not_started = Finished(
            output=why, status=None, ended_by=Ending.NOT_STARTED, output_bytes=total
        )
        return not_started, ""
    finished = Finished(
        output=text,
        status=None if ended_by else number,
        ended_by=ended_by,
        output_bytes=total,
    )
    return finished, bubblewrap


def _ending(name: str) -> Ending:
    return Ending.LOST if name == "stopped" else Ending(name)
