"""The named runs of an agent: entered into its journal, and gone on with from there.

Unlike `Agent.run`, which carries a prompt to its end here and now, all of this works on what the
journal holds, whichever process put it there.
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from agentcore.emitter import Listener
from agentcore.errors import ConfigurationError, JournalError
from agentcore.messages import Message, dump_messages, load_messages
from agentcore.settings import Settings, checked_workspace

if TYPE_CHECKING:
    from agentcore.handle import RunHandle, RunInfo
    from agentcore.journal import JournalStore
    from agentcore.journal.writing import RunJournal
    from agentcore.run import Run, RunResult

__all__ = ["NamedRuns"]


class NamedRuns(ABC):
    """What `Agent` can do with runs that have a `run_id`."""

    journal: "str | os.PathLike[str] | JournalStore | None"
    workspace: str | os.PathLike[str]
    _opened: "tuple[str, JournalStore] | None"

    @abstractmethod
    def _settings(self) -> Settings:
        """What the agent is set to now."""

    @abstractmethod
    def _opening(
        self, prompt: str | None, messages: Sequence[Message]
    ) -> tuple[list[Message], bool]:
        """The conversation that a run begins with, and whether it begins with our instructions."""

    @abstractmethod
    def _started(
        self, settings: Settings, on_event: Listener | None, journal: "RunJournal | None"
    ) -> "AbstractAsyncContextManager[Run]":
        """A run that is about to begin, or to go on."""

    async def submit(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] = (),
        run_id: str,
        queue: str | None = None,
        priority: int | None = None,
        partition: str | None = None,
        delay_seconds: float | None = None,
    ) -> "RunHandle":
        """Enter a run into the journal; whoever resumes or drives it carries it to its end.

        In a journal in Postgres it is also put into the queue, and a worker (`agentcore work`)
        drives it. Submitting the same run twice is submitting it once.

        Args:
            prompt: As of `run`.
            messages: As of `run`.
            run_id: As of `run`.
            queue: Its name; None for `agentcore`, which workers take from unless told otherwise;
                empty for none, where another engine is to call `drive`.
            priority: In the queue: 1 and up, a smaller number first; None before all.
            partition: Whose share of the queue it takes, where the queue has partitions.
            delay_seconds: No worker takes it before then.

        Raises:
            ConfigurationError: The run of this id was given another prompt; or the journal has no
                queue, and an argument is for one.
            JournalError: It cannot be written.
        """
        handle = await self._enter(prompt, messages, run_id)
        queued = {
            "queue": queue,
            "priority": priority,
            "partition": partition,
            "delay_seconds": delay_seconds,
        }
        wanted = {name: value for name, value in queued.items() if value is not None}
        store = self.journal_store()
        if queue == "":
            return handle
        if store.queue_url:
            await anyio.to_thread.run_sync(_enqueue, store.queue_url, run_id, wanted)
        elif wanted:
            raise ConfigurationError(
                f"submit({next(iter(wanted))}=…): the journal {store.url} has no queue; a fleet "
                'needs one in Postgres: Agent(journal="postgresql://host/database")'
            )
        return handle

    async def _enter(
        self, prompt: str | None, messages: Sequence[Message], run_id: str
    ) -> "RunHandle":
        """Enter a run into the journal, or find that it was asked for the same."""
        from agentcore.driving import check_given, check_run_id
        from agentcore.journal import NewRun

        opening, added_system = self._opening(prompt, messages)
        settings = self._settings()
        new = NewRun(
            id=check_run_id(run_id),
            opening=load_messages(dump_messages(opening)),  # as it is read, to be compared
            added_system=added_system,
            model=settings.endpoints[0].name,
            base_url=settings.endpoints[0].adapter.base_url,
            tools=tuple(tool.name for tool in settings.tools),
            asks=tuple(tool.name for tool in settings.tools if tool.needs_approval),
        )
        stored = await anyio.to_thread.run_sync(self.journal_store().submit, new)
        check_given(stored, new.given)
        return self.get_run(run_id)

    async def resume(self, run_id: str, *, on_event: Listener | None = None) -> "RunResult":
        """Go on with a run of the journal, also with one that failed or was cancelled.

        Raises:
            UnknownRun: There is none of this id.
            RunBusy: A process that lives drives it.
            RunError: It cannot go on.
        """
        return await self._drive(run_id, on_event, goes_on_from=frozenset({"failed", "cancelled"}))

    async def drive(self, run_id: str, *, on_event: Listener | None = None) -> "RunResult":
        """Carry a submitted run to its end, or give the end that it has: for engines.

        It may be called any number of times, from anywhere, at once: one call drives, the others
        wait until it is done or its process is dead, and go on then.

        Raises:
            UnknownRun: There is none of this id.
            RunError: It ended so, now or before.
        """
        return await self._drive(run_id, on_event, waits=True)

    async def runs(self) -> "tuple[RunInfo, ...]":
        """All runs of the journal, the one that was written to last first."""
        from agentcore.handle import info_of

        def find() -> "tuple[RunInfo, ...]":
            store = self.journal_store()
            return tuple(info_of(store, run) for run in store.all())

        return await anyio.to_thread.run_sync(find)

    def get_run(self, run_id: str) -> "RunHandle":
        """A handle to a run of the journal; nothing is read yet."""
        from agentcore.handle import RunHandle

        return RunHandle(self.journal_store(), run_id, self.resume)

    async def cancel(self, run_id: str, reason: str = "") -> None:
        """End a run, whichever process drives it. See `RunHandle.cancel`."""
        await self.get_run(run_id).cancel(reason)

    async def send(self, run_id: str, text: str) -> int:
        """Say something to a run, whichever process drives it. See `RunHandle.send`."""
        return await self.get_run(run_id).send(text)

    async def fork(
        self, run_id: str, new_id: str, *, after: int | None = None, text: str = ""
    ) -> "RunHandle":
        """Copy a run's rows into a new run. See `RunHandle.fork`."""
        return await self.get_run(run_id).fork(new_id, after=after, text=text)

    async def _drive(
        self,
        run_id: str,
        on_event: Listener | None,
        *,
        goes_on_from: frozenset[str] = frozenset(),
        waits: bool = False,
    ) -> "RunResult":
        from agentcore.driving import check_run_id, drive

        settings = self._settings()
        return await drive(
            self.journal_store(),
            check_run_id(run_id),
            settings,
            lambda journal: self._started(settings, on_event, journal),
            goes_on_from=goes_on_from,
            waits=waits,
        )

    def journal_store(self) -> "JournalStore":
        """Where named runs are written, opened once for as long as it is the same place."""
        from agentcore.journal.places import default_place, journal_at

        if self.journal is not None and not isinstance(self.journal, (str, os.PathLike)):
            return self.journal
        place = os.fspath(self.journal) if self.journal is not None else ""
        place = place or default_place(checked_workspace(self.workspace))
        if self._opened is None or self._opened[0] != place:
            self._opened = place, journal_at(place)
        return self._opened[1]


def _enqueue(url: str, run_id: str, wanted: dict[str, Any]) -> None:
    from agentcore.journal.queueing import enqueue

    try:
        enqueue(url, run_id, **wanted)
    except JournalError as error:
        logging.getLogger("agentcore").warning("%s", error)
