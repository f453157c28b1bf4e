"""`agentcore drafts`: the texts that were cut and are not in their files yet."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentcore.cli.agents import Workspace, failures_told
from agentcore.cli.display import size
from agentcore.draft_store import DraftStore
from agentcore.drafts import Draft
from agentcore.settings import checked_workspace

__all__ = ["drafts"]

drafts = typer.Typer(name="drafts", add_completion=False)

_console = Console()
_errors = Console(stderr=True)


@drafts.callback(invoke_without_command=True)
def list_drafts(context: typer.Context, workspace: Workspace = Path()) -> None:
    """List, show or discard texts that were cut and are not in their files yet.

    What a process that was killed had received is found here too.
    """
    if context.invoked_subcommand is not None:
        # `drafts --workspace x show ID` is `drafts show ID --workspace x`.
        context.default_map = {name: {"workspace": str(workspace)} for name in ("show", "discard")}
        return
    with _store_of(workspace) as store:
        found = store.all()
    if not found:
        _console.print("no drafts")
        return
    rows = [_HEADS, *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        # No table of rich's: in a narrow terminal it would shorten the ids.
        cells = map(
            format, row, (f"{at}{width}" for at, width in zip(_ALIGNS, widths, strict=True))
        )
        _console.print(Text("  ".join(cells).rstrip()), soft_wrap=True)


@drafts.command()
def show(
    draft_id: Annotated[str, typer.Argument(metavar="ID", help="As the list names it.")],
    workspace: Workspace = Path(),
) -> None:
    """Print the text of a draft, exactly, and nothing else."""
    with _store_of(workspace) as store:
        draft = store.read(draft_id)
    # As bytes: a terminal's encoding and its line ends are none of the text's.
    sys.stdout.buffer.write(draft.text.encode())
    sys.stdout.buffer.flush()


@drafts.command()
def discard(
    draft_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="As the list names them.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every draft of the list.")] = False,
    workspace: Workspace = Path(),
) -> None:
    """Remove drafts for good."""
    if bool(draft_ids) == all_:
        raise typer.BadParameter("give the id of a draft, or more of them, or --all")
    with _store_of(workspace) as store:
        for draft_id in draft_ids or [draft.id for draft in store.all()]:
            store.discard(draft_id)
            _console.print(f"discarded {draft_id}", highlight=False)


@contextmanager
def _store_of(workspace: Path) -> Iterator[DraftStore]:
    """The drafts of a workspace, with those that a killed process left; failures are told."""
    with failures_told(_errors):
        try:
            store = DraftStore(checked_workspace(workspace))
            store.rescue()
            yield store
        except OSError as error:
            _errors.print(Text(f"error: {error}"), soft_wrap=True)
            raise typer.Exit(2) from None


_HEADS = ("id", "when", "lines", "size", "tool", "path")
_ALIGNS = "<<>><<"


def _row(draft: Draft) -> tuple[str, ...]:
    path = draft.fields.get("path")
    if not isinstance(path, str):
        path = ""
    # A model chose them: nothing in them may speak to the terminal.
    tool, path = ("".join(c if c.isprintable() else "?" for c in s) for s in (draft.tool, path))
    return (
        draft.id,
        f"{datetime.fromtimestamp(draft.created_at):%Y-%m-%d %H:%M}",
        f"{draft.lines:,}",
        size(draft.size_bytes),
        tool or "(an answer)",
        path,
    )
