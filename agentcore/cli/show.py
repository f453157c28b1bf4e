"""`agentcore show`: what a run did, row by row, and how it stands."""

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from pathlib import Path
from typing import Annotated

import anyio
import anyio.to_thread
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from agentcore.cli.agents import Workspace, failures_told, standing_line
from agentcore.cli.display import PIPE_CHARACTERS, cut_to, day_and_time, harmless, one_line
from agentcore.cli.journals import Journal, RunId, command, handle_of, journal_of
from agentcore.cli.rows import RowWriter, arrived, arriving_line
from agentcore.driving import load
from agentcore.handle import Arriving, JournalEvent, Standing, info_of
from agentcore.journal import JournalStore
from agentcore.live import partial_of

__all__ = ["show"]

LOOK_SECONDS = 1.0
"""How often it is looked whether the process that drives a run is alive: no row says so."""


def show(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run ends.")] = False,
    after: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only rows with a number above this one.")
    ] = 0,
    workspace: Workspace = Path(),
    journal: Journal = "",
) -> None:
    """Show what a named run did, row by row, and how it stands now."""
    console = Console()
    with failures_told(Console(stderr=True)):
        store = journal_of(workspace, journal)
        shown = _Shown(store, run_id, console, command("resume", run_id, workspace, journal))
        shown.head()
        if follow:
            try:
                anyio.run(shown.follow, after)
            except KeyboardInterrupt:
                raise typer.Exit(130) from None  # who looks away stops nothing
        else:
            shown.rows(after)
        shown.standing()


class _Shown:
    """One run on the terminal."""

    def __init__(self, store: JournalStore, run_id: str, console: Console, resume: str) -> None:
        self._store, self._id, self._console = store, run_id, console
        self._resume = resume
        """The command that goes on with it."""
        self._width = console.width if console.is_terminal else None
        self._writer = RowWriter(self._width)
        self._arriving = ""

    def head(self) -> None:
        """Which run it is."""
        info = info_of(self._store, self._id)
        self._say(f"run {one_line(info.id)}", "bold")
        for name, text in (
            ("prompt", info.prompt),
            ("model", info.model),
            ("tools", ", ".join(info.tools) or "none"),
            ("begun", day_and_time(info.created_at)),
        ):
            self._say(self._fit(f"  {name:<8}{one_line(text)}"))

    def rows(self, after: int) -> None:
        """The rows that there are, above a number."""
        for row in self._store.rows(self._id, after=after):
            self._row(JournalEvent(seq=row.seq, at=row.at, record=row.record))

    async def follow(self, after: int) -> None:
        """The rows above a number, as they are written, until the run ends."""
        failure: list[BaseException] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_who_drives)
            try:
                with self._live():
                    await self._each(handle_of(self._store, self._id).events(after=after))
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                failure.append(error)  # raised below, outside: a task group would wrap it
            tasks.cancel_scope.cancel()
        if failure:
            raise failure[0]

    async def _each(self, events: AsyncGenerator[JournalEvent | Arriving, None]) -> None:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, JournalEvent):
                    self._arriving = ""
                    self._row(event)
                else:
                    self._arriving = arriving_line(event)

    async def _tell_who_drives(self) -> None:
        """A process that dies writes no row: who waits for one is told."""
        told: Standing = "running"
        while True:
            info = await anyio.to_thread.run_sync(info_of, self._store, self._id)
            if info.state != told and info.state == "stalled":
                self._arriving = ""
                self._say(f"nobody drives it: {self._resume} goes on with it", "yellow")
            told = info.state
            await anyio.sleep(LOOK_SECONDS)

    def standing(self) -> None:
        """How it stands now."""
        _, state = load(self._store, self._id)
        info = info_of(self._store, self._id)
        self._say("")
        self._say(standing_line(info), "bold")
        _, lines = self._store.partial(self._id)
        partial = partial_of(lines.split(b"\n")[:-1])
        calls = [(call.name, len(call.arguments.encode())) for call in partial.calls]
        if there := arrived(partial.text, calls):
            self._say(self._fit(f"of the answer under way there is {there}"))
        if info.state == "stalled":
            self._say(f"nobody drives it: {self._resume} goes on with it", "yellow")
        if state.end is not None:
            self._say("")
            self._say(harmless(state.end.text))

    def _row(self, event: JournalEvent) -> None:
        for line in self._writer.lines(event.seq, event.at, event.record):
            self._console.print(line, soft_wrap=True, highlight=False)

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True, highlight=False)

    def _fit(self, line: str) -> str:
        return cut_to(line, self._width or PIPE_CHARACTERS)

    def _live(self) -> AbstractContextManager[object]:
        """A line that moves, where there is a terminal."""
        if not self._console.is_terminal:
            return nullcontext()
        return Live(
            console=self._console,
            refresh_per_second=8,
            transient=True,
            get_renderable=lambda: Text(self._fit(f"  {self._arriving}")),
        )
