"""`agentcore runs`: the runs of a journal."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from agentcore.cli.agents import Workspace, failures_told
from agentcore.cli.display import PIPE_CHARACTERS, counted, cut_to, harmless, one_line
from agentcore.cli.journals import Journal, journal_of
from agentcore.errors import ConfigurationError, JournalError, UnknownRun
from agentcore.handle import RunInfo, info_of
from agentcore.journal import JournalStore
from agentcore.journal.copying import Outcome, copy_run
from agentcore.journal.places import journal_at
from agentcore.journal.queueing import queued
from agentcore.journal.sql import SqlStore

__all__ = ["runs", "table"]

runs = typer.Typer(name="runs", add_completion=False)

_console = Console()
_errors = Console(stderr=True)

LEAST_PROMPT_COLUMNS = 30
"""Where less is left for it, the prompt has a line of its own."""


@runs.callback(invoke_without_command=True)
def list_runs(context: typer.Context, workspace: Workspace = Path(), journal: Journal = "") -> None:
    """List the named runs of a workspace, check their journal, or copy them to another.

    `running`: a process drives it. `stalled`: it has no end, and nobody drives it. `queued`: it
    waits for a worker.
    """
    if context.invoked_subcommand is not None:
        # `runs --workspace x check` is `runs check --workspace x`.
        context.default_map = {"check": {"workspace": str(workspace), "journal": journal}}
        return
    with failures_told(_errors):
        store = journal_of(workspace, journal)
        found, failures = _found(store)
    if not found and not failures:
        _console.print(Text(f"no runs in {one_line(store.url)}"), soft_wrap=True)
        return
    width = _console.width if _console.is_terminal else None
    for line in table(found, width, _queued(store, found)):
        # No table of rich's: in a narrow terminal it would shorten the ids.
        _console.print(Text(line), soft_wrap=True)
    for failure in failures:
        _errors.print(Text(f"error: {one_line(failure)}", style="red"), soft_wrap=True)
    if failures:
        raise typer.Exit(1)


@runs.command()
def check(workspace: Workspace = Path(), journal: Journal = "") -> None:
    """Say what is wrong with the journal; exit status 1 when something is."""
    with failures_told(_errors):
        store = journal_of(workspace, journal)
    try:
        wrong = store.check()
        last_rows = [] if wrong else [store.get(run_id).seq for run_id in store.all()]
    except JournalError as error:
        wrong, last_rows = [str(error)], []
    for sentence in wrong:
        _console.print(Text(harmless(sentence)), soft_wrap=True)
    if wrong:
        raise typer.Exit(1)
    told = f"{counted(len(last_rows), 'run')}, {counted(sum(last_rows), 'row')}"
    if not last_rows:
        told = f"no runs in {one_line(store.url)}"
    _console.print(Text(f"ok: {told}"), soft_wrap=True)


@runs.command()
def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="A journal: a file or a URL.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="Another one; a file need not be there.", show_default=False
        ),
    ],
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Runs.", show_default="all")
    ] = None,
    move: Annotated[
        bool,
        typer.Option(
            "--move",
            help="Also runs that can still go on: from now on in TO alone. In FROM they are "
            "cancelled, and say where they went.",
        ),
    ] = False,
) -> None:
    """Copy runs to another journal, from SQLite to Postgres or back; files are not copied.

    What is there already with the same rows is left alone. Exit status 1 when a run is refused.
    """
    with failures_told(_errors):
        at, to = journal_of(Path(), source, name="FROM"), journal_at(target)
        assert isinstance(at, SqlStore)
        assert isinstance(to, SqlStore)
        refused = 0
        for run_id in ids or at.all():
            try:
                outcome = copy_run(at, to, run_id, moves=move)
            except JournalError as error:
                _errors.print(Text(f"error: {one_line(str(error))}", style="red"), soft_wrap=True)
                refused += 1
            else:
                told = f"{one_line(run_id)}: {_OUTCOMES[outcome]}"
                _console.print(Text(told), soft_wrap=True)
    if refused:
        raise typer.Exit(1)


_OUTCOMES: Final[dict[Outcome, str]] = {
    "copied": "copied",
    "moved": "moved",
    "there": "is there already",
}


def _found(store: JournalStore) -> tuple[list[RunInfo], list[str]]:
    """The runs, and what is wrong with those that cannot be read."""
    found: list[RunInfo] = []
    failures: list[str] = []
    for run_id in store.all():
        try:
            found.append(info_of(store, run_id))
        except UnknownRun:
            pass  # it was removed a moment ago
        except JournalError as error:
            failures.append(str(error))
    return found, failures


def _queued(store: JournalStore, found: Sequence[RunInfo]) -> frozenset[str]:
    """Those that wait in the queue, where there is one and it can be read."""
    stalled = [info.id for info in found if info.state == "stalled"]
    if not stalled or not store.queue_url:
        return frozenset()
    try:
        return queued(store.queue_url, stalled)
    except (ConfigurationError, JournalError):
        return frozenset()  # no worker was there yet


def table(
    found: Sequence[RunInfo], width: int | None, waiting: frozenset[str] = frozenset()
) -> list[str]:
    """The runs, a line each; two where the terminal is too narrow for the prompt.

    Args:
        found: In order.
        width: Columns of the terminal; None for none.
        waiting: Ids of those that wait for a worker.
    """
    if not found:
        return []
    rows = [_HEADS, *(_row(info, info.id in waiting) for info in found)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    beside = sum(widths) + len(_GAP) * len(widths)
    prompts = ["prompt", *(one_line(info.prompt) for info in found)]
    is_beside = width is None or width - beside >= LEAST_PROMPT_COLUMNS
    lines: list[str] = []
    for row, prompt in zip(rows, prompts, strict=True):
        cells = _GAP.join(
            _padded(cell, size, right=head == "rows")
            for cell, size, head in zip(row, widths, _HEADS, strict=True)
        )
        if is_beside:
            room = PIPE_CHARACTERS if width is None else width - beside
            lines.append(f"{cells}{_GAP}{cut_to(prompt, room)}".rstrip())
        else:
            assert width is not None
            lines += [cells.rstrip(), f"{_INDENT}{cut_to(prompt, width - len(_INDENT))}"]
    return lines


_HEADS = ("id", "state", "last written", "rows", "model")
_GAP = "  "
_INDENT = "    "


def _row(info: RunInfo, is_queued: bool) -> tuple[str, ...]:
    # Whoever wrote the file chose them: nothing in them may speak to the terminal.
    return (
        one_line(info.id),
        "queued" if is_queued else info.state,
        f"{datetime.fromtimestamp(info.updated_at):%Y-%m-%d %H:%M}",
        f"{info.seq:,}",
        one_line(info.model),
    )


def _padded(text: str, columns: int, *, right: bool) -> str:
    space = " " * (columns - cell_len(text))
    return f"{space}{text}" if right else f"{text}{space}"
