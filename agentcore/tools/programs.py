"""A program that the model wrote: where it runs, and what the model is told of its end.

Loads the sandboxes, so `code` loads it when an agent takes `execute_code`, or runs it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import anyio.to_thread

from agentcore.tools.context import ToolContext, ToolResult
from agentcore.tools.sandbox import (
    Ending,
    Finished,
    Program,
    ProgramLimits,
    Sandbox,
    SandboxReport,
    choose,
    plain,
)

__all__ = ["NOTICE", "run_program", "why_unconfined"]

NOTICE: Final = "(not confined: this ran with the rights of the user who runs the agent)"
_TOLD: Final = "execute_code/told"
_LIMITS: Final = ProgramLimits()
_WHY_NOT: Final = {
    Ending.WALL: "it ran for {wall_seconds:g} s. {way}",
    Ending.CPU: "it used {cpu_seconds} s of processor time, all its processes together",
    Ending.MEMORY: "it used more than {memory_bytes} bytes of memory, all its processes together",
    Ending.DISK: "it took more than {disk_bytes} bytes of the disk",
    Ending.FILES: "it made more than {files} files",
    Ending.PROCESSES: "it had more than {processes} processes and threads at once",
    Ending.OUTPUT: "it printed more than {output_bytes} bytes. Print less, or write to a file",
    Ending.LOST: "the process that watches it was killed, and it with that process",
}


def why_unconfined(sandbox: Sandbox | None, python: str) -> str:
    """Why nothing would hold a program; empty when something does. Tries sandboxes out: slow."""
    if sandbox is None:
        return choose(python).why_none
    return "" if sandbox.report.is_confined else f"its sandbox is {sandbox.report}"


async def run_program(
    code: str,
    context: ToolContext,
    *,
    seconds: float,
    max_seconds: float,
    sandbox: Sandbox | None,
    limits: ProgramLimits | None,
    python: str,
) -> ToolResult:
    """Run a program in the workspace.

    Args:
        code: Python.
        context: Of the call.
        seconds: That it was given.
        max_seconds: The most that the model may give.
        sandbox: Where it runs; None for the strongest that works on this machine.
        limits: What it may use; None for `ProgramLimits()`.
        python: The interpreter, an absolute path.
    """
    limits = limits if limits is not None else _LIMITS
    why = await anyio.to_thread.run_sync(why_unconfined, sandbox, python)
    if why and not context.unconfined_allowed:
        return ToolResult(content=f"Nothing was run: {why}.", is_error=True)
    try:
        chosen = await anyio.to_thread.run_sync(_chosen, sandbox, python)
    except OSError as error:
        return ToolResult(content=f"Nothing was run: {error}.", is_error=True)
    held = replace(limits, wall_seconds=min(seconds, limits.wall_seconds))
    program = Program(code=code, workspace=context.workspace, python=python, limits=held)
    finished = await chosen.run(program)
    words = _words(finished, held, min(limits.wall_seconds, max_seconds))
    return ToolResult(
        content=f"{finished.output}\n{words}{_report(chosen.report, context.notes)}",
        is_error=finished.status != 0,
    )


def _chosen(sandbox: Sandbox | None, python: str) -> Sandbox:
    return sandbox or choose(python).sandbox or plain(python)


def _words(finished: Finished, limits: ProgramLimits, most: float) -> str:
    """How it ended.

    Args:
        finished: What became of it.
        limits: Those that it ran with.
        most: The most seconds that it could have been given.
    """
    if finished.ended_by is Ending.NOT_STARTED:
        return "Nothing was run: the sandbox could not be set up."
    if not finished.ended_by:
        return f"exit status {finished.status}"
    more = f"Ask for more with timeout_seconds, at most {most:g}, or do less in one call"
    values: Mapping[str, object] = {
        "way": more if limits.wall_seconds < most else "It is the most: do less in one call",
        "wall_seconds": limits.wall_seconds,
        "cpu_seconds": limits.cpu_seconds,
        "memory_bytes": limits.memory_bytes,
        "disk_bytes": limits.disk_bytes,
        "files": limits.files,
        "processes": limits.processes,
        "output_bytes": limits.output_bytes,
    }
    why = _WHY_NOT[finished.ended_by].format_map(values)
    return f"Stopped by {finished.ended_by}: {why}. What it had written is on disk."


def _report(report: SandboxReport, notes: dict[str, str]) -> str:
    """Said once in a run; that nothing holds a program is said each time."""
    notice = "" if report.is_confined else f" {NOTICE}"
    if _TOLD in notes:
        return notice
    notes[_TOLD] = str(report)
    return f"{notice}\nSandbox: {report}."
