"""`agentcore cancel`: the end of a run, whichever process drives it."""

from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console

from agentcore.cli.agents import Workspace, failures_told
from agentcore.cli.journals import Journal, RunId, handle_of, journal_of
from agentcore.handle import RunHandle

__all__ = ["cancel"]


def cancel(
    run_id: RunId,
    reason: Annotated[str, typer.Option(help="Why, for who reads the run.")] = "",
    workspace: Workspace = Path(),
    journal: Journal = "",
) -> None:
    """End a named run, whichever process drives it. Nobody goes on with it by itself.

    `agentcore resume` goes on with it all the same.
    """
    with failures_told(Console(stderr=True)):
        handle = handle_of(journal_of(workspace, journal), run_id)
        told = anyio.run(_cancelled, handle, reason)
    Console().print(told, markup=False, highlight=False, soft_wrap=True)


async def _cancelled(handle: RunHandle, reason: str) -> str:
    """End it; what came of that."""
    before = await handle.info()
    if before.state not in ("running", "stalled"):
        return f"run {handle.id!r} has ended already: {before.state}"
    await handle.cancel(reason)
    after = await handle.info()
    if after.state == "running":
        return f"asked for the end of run {handle.id!r}: its process stops it within a second"
    return f"run {handle.id!r}: {after.state}"
