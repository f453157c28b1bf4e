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

MAX_OUTPUT_BYTES = 30_000
_LAST_OUTPUT_SECONDS = 0.5
"""How long output is read on after the program has ended: a child of it may hold the pipe open."""
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
            ended = await _converse(process, code, output)
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


async def _converse(process: anyio.abc.Process, code: str, output: bytearray) -> bool:
    """Send the program and read its output until it has ended; False when there is too much."""
    assert process.stdin is not None
    with suppress(anyio.BrokenResourceError):
        await process.stdin.send(code.encode(errors="replace"))
        await process.stdin.aclose()
    closed = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            assert process.stdout is not None
            async for block in process.stdout:
                output.extend(block)
                if len(output) > MAX_OUTPUT_BYTES:
                    tasks.cancel_scope.cancel()
            closed.set()

        tasks.start_soon(read)
        await process.wait()
        with anyio.move_on_after(_LAST_OUTPUT_SECONDS):
            await closed.wait()
        tasks.cancel_scope.cancel()
    return len(output) <= MAX_OUTPUT_BYTES


def _kill(process: anyio.abc.Process) -> None:
    """The child and what it started, but for what has left its session on purpose."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
