"""`execute_code`: Python that the model wrote, in a child process that a sandbox holds.

Which one, and what it keeps a program from, is found out by trying; the user sees it in the log,
the model in the first result of a run. Where nothing holds a program, an agent takes the tool only
when it is allowed by name.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final

import anyio.to_thread
from pydantic import Field

from agentcore.tools.base import Tool, ToolContext, ToolResult, tool
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

__all__ = ["NOTICE", "code_tool", "execute_code"]

NOTICE: Final = "(not confined: this ran with the rights of the user who runs the agent)"
_TOLD: Final = "execute_code/told"
_LIMITS: Final = ProgramLimits()
MAX_SECONDS: Final = 600.0
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


def code_tool(
    *,
    sandbox: Sandbox | None = None,
    limits: ProgramLimits = _LIMITS,
    python: str = sys.executable,
) -> Tool:
    """An `execute_code` with another sandbox, other limits or another interpreter.

    Args:
        sandbox: Where programs run; None for the strongest that works on this machine. One of your
            own counts as confined when its report enforces files, network and environment.
        limits: What one program may use.
        python: The interpreter, an absolute path.
    """

    def why_unconfined() -> str:
        if sandbox is None:
            return choose(python).why_none
        return "" if sandbox.report.is_confined else f"its sandbox is {sandbox.report}"

    @tool(alone=True, confined=why_unconfined)
    async def execute_code(
        code: Annotated[str, Field(description="A Python program. Print what you want to see.")],
        context: ToolContext,
        timeout_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = 60.0,
    ) -> ToolResult:
        """Run a Python program in the workspace and read what it prints."""
        why = await anyio.to_thread.run_sync(why_unconfined)
        if why and not context.unconfined_allowed:
            return ToolResult(content=f"Nothing was run: {why}.", is_error=True)
        try:
            chosen = await anyio.to_thread.run_sync(_chosen, sandbox, python)
        except OSError as error:
            return ToolResult(content=f"Nothing was run: {error}.", is_error=True)
        wall = min(timeout_seconds, limits.wall_seconds)
        held = replace(limits, wall_seconds=wall)
        program = Program(code=code, workspace=context.workspace, python=python, limits=held)
        finished = await chosen.run(program)
        words = _words(finished, held, limits.wall_seconds)
        return ToolResult(
            content=f"{finished.output}\n{words}{_report(chosen.report, context.notes)}",
            is_error=finished.status != 0,
        )

    execute_code.built_in = execute_code.name
    return execute_code


def _chosen(sandbox: Sandbox | None, python: str) -> Sandbox:
    return sandbox or choose(python).sandbox or plain(python)


def _words(finished: Finished, limits: ProgramLimits, most: float) -> str:
    """How it ended."""
    if finished.ended_by is Ending.NOT_STARTED:
        return "Nothing was run: the sandbox could not be set up."
    if not finished.ended_by:
        return f"exit status {finished.status}"
    most = min(most, MAX_SECONDS)
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


execute_code: Final[Tool] = code_tool()
