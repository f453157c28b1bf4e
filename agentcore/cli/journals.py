"""What the commands for named runs have in common: options, the journal, a handle."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from agentcore.errors import ConfigurationError
from agentcore.handle import RunHandle
from agentcore.journal import JournalStore, SqliteStore
from agentcore.journal.places import default_place, journal_at
from agentcore.settings import checked_workspace

if TYPE_CHECKING:
    from agentcore.emitter import Listener
    from agentcore.run import RunResult

__all__ = [
    "Journal",
    "RunId",
    "command",
    "handle_of",
    "journal_of",
]

Journal: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="FILE-OR-URL",
        help="Where named runs are written.",
        show_default=".agentcore/runs.db in the workspace",
    ),
]
RunId: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="As `agentcore runs` names it.", show_default=False)
]


def journal_of(workspace: Path, journal: str, name: str = "--journal") -> JournalStore:
    """The journal of `--workspace` and `--journal`, which need not be there.

    Args:
        workspace: Of `--workspace`.
        journal: Of `--journal`; empty for the workspace's.
        name: How the person has given it.

    Raises:
        ConfigurationError: There is no such folder; or no such file, where one was named.
    """
    store = journal_at(journal or default_place(checked_workspace(workspace)))
    if journal and isinstance(store, SqliteStore) and not store.path.exists():
        raise ConfigurationError(f"{name} {journal}: there is no such file")
    return store


def handle_of(store: JournalStore, run_id: str) -> RunHandle:
    """A handle to a run, to be watched or ended: nothing goes on with it by this one."""

    async def refuse(run_id: str, *, on_event: "Listener | None" = None) -> "RunResult":
        raise ConfigurationError(f"run {run_id!r}: an agent goes on with it, and here is none")

    return RunHandle(store, run_id, refuse)


def command(name: str, run_id: str, workspace: Path, journal: str) -> str:
    """A command for a run, to be copied."""
    words = ["agentcore", *name.split(), run_id]
    if workspace != Path():
        words += ["--workspace", str(workspace)]
    if journal:
        # A password in it is left out: it would stay on the screen, and in logs.
        words += ["--journal", journal_at(journal).url if "://" in journal else journal]
    return " ".join(map(quote, words))
