"""Places for worker threads, of each kind its own: what waits for one must not hold up another.

What agentcore itself does on disk, drafts above all, takes the places of `anyio.to_thread`. Sync
tools may take minutes and approvals wait for a person: forty of either would keep every other run
of the event loop from storing what arrived. All limits are those of the event loop that runs.
"""

import math

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

__all__ = ["approval_threads", "current_tool_thread_limiter", "thread_limiters"]

TOOL_THREADS = 40
"""Sync tools at once in an event loop; anyio allows as many threads of its own."""

_tools: RunVar[anyio.CapacityLimiter] = RunVar("agentcore_tool_threads")
_approvals: RunVar[anyio.CapacityLimiter] = RunVar("agentcore_approval_threads")


def current_tool_thread_limiter() -> anyio.CapacityLimiter:
    """How many sync tools run at once in this event loop: assign its `total_tokens` for another."""
    return _limiter(_tools, TOOL_THREADS)


def approval_threads() -> anyio.CapacityLimiter:
    """How many sync approvals wait at once: as many as there are. One run asks one at a time."""
    return _limiter(_approvals, math.inf)


def thread_limiters() -> tuple[anyio.CapacityLimiter, ...]:
    """Those of every kind, anyio's own first: what they lend out is threads at work."""
    return (
        anyio.to_thread.current_default_thread_limiter(),
        current_tool_thread_limiter(),
        approval_threads(),
    )


def _limiter(kind: RunVar[anyio.CapacityLimiter], threads: float) -> anyio.CapacityLimiter:
    limiter = kind.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(threads)
        kind.set(limiter)
    return limiter
