"""`execute_code`: Python that the model wrote, in a child process that a sandbox holds.

Which one, and what it keeps a program from, is found out by trying; the user sees it in the log,
the model in the first result of a run. Where nothing holds a program, an agent takes the tool only
when it is allowed by name.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from agentcore.tools.base import Tool, ToolContext, ToolResult, tool

if TYPE_CHECKING:
    from agentcore.tools.sandbox import ProgramLimits, Sandbox

__all__ = ["code_tool", "execute_code"]

MAX_SECONDS: Final = 600.0


def code_tool(
    *,
    sandbox: "Sandbox | None" = None,
    limits: "ProgramLimits | None" = None,
    python: str = sys.executable,
) -> Tool:
    """An `execute_code` with another sandbox, other limits or another interpreter.

    Args:
        sandbox: Where programs run; None for the strongest that works on this machine. One of your
            own counts as confined when its report enforces files, network and environment.
        limits: What one program may use; None for `ProgramLimits()`.
        python: The interpreter, an absolute path.
    """

    def why_unconfined() -> str:
        # Here and not above: `import agentcore` does not pay for the sandboxes, and an agent
        # without this tool never does.
        from agentcore.tools import programs

        return programs.why_unconfined(sandbox, python)

    @tool(alone=True, confined=why_unconfined)
    async def execute_code(
        code: Annotated[str, Field(description="A Python program. Print what you want to see.")],
        context: ToolContext,
        timeout_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = 60.0,
    ) -> ToolResult:
        """Run a Python program in the workspace and read what it prints."""
        from agentcore.tools.programs import run_program

        return await run_program(
            code,
            context,
            seconds=timeout_seconds,
            max_seconds=MAX_SECONDS,
            sandbox=sandbox,
            limits=limits,
            python=python,
        )

    execute_code.built_in = execute_code.name
    return execute_code


execute_code: Final[Tool] = code_tool()
