"""`execute_code`: Python that the model wrote, in a child process.

The child is *not confined*: it runs as this user and can do what this user can. Time, output and
the environment are limited; nothing else is. An agent takes it only when it is allowed by name.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Annotated

import anyio
import anyio.abc
from pydantic import Field

from agentcore.tools.base import ToolContext, ToolResult, tool

__all__ = ["execute_code"]

MAX_OUTPUT_BYTES = 32_768
MAX_SECONDS = 600.0
PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")
"""All of our environment that the child sees: no key, no token."""
NOTICE = "(not confined: this ran with the rights of the user who runs the agent)"


@tool(alone=True, confined=False)
async def execute_code(
    code: Annotated[str, Field(description="A Python program. Print what you want to see.")],
    context: ToolContext,
    timeout_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = 60.0,
) -> ToolResult:
    """Run a Python program in the workspace and read what it prints."""
    environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    process = await anyio.open_process(
        [sys.executable, "-E", "-s", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=context.workspace,
        env=environment,
        start_new_session=True,
    )
    output = bytearray()
    ended = False
    try:
        with anyio.move_on_after(timeout_seconds):
            await _converse(process, code, output)
            if len(output) <= MAX_OUTPUT_BYTES:
                await process.wait()
                ended = True
    finally:
        with anyio.CancelScope(shield=True):
            _kill(process)
            await process.wait()
            await process.aclose()
    text = output[:MAX_OUTPUT_BYTES].decode(errors="replace")
    if not ended:
        over = len(output) > MAX_OUTPUT_BYTES
        limit = f"{MAX_OUTPUT_BYTES} bytes of output" if over else f"{timeout_seconds:g} s"
        return ToolResult(content=f"{text}\nStopped after {limit}. {NOTICE}", is_error=True)
    status = process.returncode
    return ToolResult(content=f"{text}\nexit status {status} {NOTICE}", is_error=status != 0)


async def _converse(process: anyio.abc.Process, code: str, output: bytearray) -> None:
    """Send the program and read its output until it ends, or there is too much of it."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(anyio.BrokenResourceError):
        await process.stdin.send(code.encode(errors="replace"))
        await process.stdin.aclose()
    async for block in process.stdout:
        output += block
        if len(output) > MAX_OUTPUT_BYTES:
            return


def _kill(process: anyio.abc.Process) -> None:
    """The child and whatever it started in its session."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
