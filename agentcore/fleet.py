"""Runs on many machines: DBOS is the queue that gives each run to a live worker, and nothing else.

The journal holds the truth. A workflow of DBOS is one call of `Agent.drive`, without steps: it may
be called any number of times, and what it does is in the journal. What a queue can do (how many at
once on a worker and in all, how often, in which order, how many for each tenant) are settings of
DBOS.

DBOS does not notice a worker that died. Each worker holds a lock in Postgres, and every worker
looks, each second, whose locks are free: their runs go back into the queue.
"""

import logging
import secrets
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio

from agentcore.agent import Agent
from agentcore.errors import ConfigurationError, JournalError, NotJournalled, RunError, RunLost
from agentcore.journal.postgres import PostgresStore
from agentcore.journal.queueing import APP_VERSION, QUEUE, WORKFLOW, enqueue

if TYPE_CHECKING:
    import psycopg

__all__ = ["Worker"]

SWEEP_SECONDS: Final = 1.0
FORGOTTEN_SECONDS: Final = 5.0
"""A run that has been written to since is not looked for in the queue."""
RETRY_SECONDS: Final = 1.0
"""Before a run is claimed again that was lost, as when Postgres restarts."""
GRACE_SECONDS: Final = 2.0
"""How long a worker that is told to end lets runs go on; others go on with what is left."""

_log = logging.getLogger("agentcore")


@dataclass(eq=False, kw_only=True)
class Worker:
    """Takes runs from the queue and drives them, until it is stopped."""

    agent: Agent
    """With `journal="postgresql://…"`: the queue is in the same database."""
    concurrency: int = 10
    """Runs at once on this worker, at least 1."""
    queue: str = QUEUE
    settings: Mapping[str, Any] = field(default_factory=dict)
    """More of DBOS's own for the queue: `global_concurrency`, `limiter` (`{"limit": 5, "period":
    60}`), `partition_concurrency`, `polling_interval_sec` and so on."""
    name: str = field(default_factory=lambda: f"worker-{secrets.token_hex(6)}")
    """Of this process among all, as DBOS's executor id; no two have the same."""
    has_own_dbos: bool = True
    """False: the host has made a DBOS instance, which it launches itself, after `register` and with
    `executor_id` and `application_version` as they are here."""
    _store: PostgresStore = field(init=False)
    _identity: "psycopg.Connection[Any] | None" = None
    _stopped: threading.Event = field(default_factory=threading.Event)
    _sweeper: threading.Thread | None = None

    def __post_init__(self) -> None:
        store = self.agent.journal_store()
        if not isinstance(store, PostgresStore):
            raise ConfigurationError(
                f"Worker(agent=…): its journal is {store.url}; a fleet needs one in Postgres: "
                'Agent(journal="postgresql://host/database")'
            )
        if self.concurrency < 1:
            raise ConfigurationError(f"Worker(concurrency={self.concurrency}): at least 1")
        self._store = store

    def register(self) -> None:
        """Make the workflow known to DBOS; before it is launched."""
        from dbos import DBOS

        async def drive(run_id: str) -> str:
            return await self._drive(run_id)

        # A run is taken up again as often as its workers die; the budget is the journal's.
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=10**6)(drive)

    def start(self) -> None:
        """Launch DBOS and take runs; returns at once.

        Raises:
            JournalError: Another process has this name, or the database cannot be reached.
        """
        from dbos import DBOS

        self._identity = self._store.hold(self.name)
        if self.has_own_dbos:
            DBOS(
                config={
                    "name": "agentcore",
                    "system_database_url": self._store.queue_url,
                    "executor_id": self.name,
                    "application_version": APP_VERSION,
                    "log_level": "WARNING",
                }
            )
            self.register()
            DBOS.listen_queues([self.queue])
            DBOS.launch()
        settings = {"polling_interval_sec": 0.2, "on_conflict": "always_update", **self.settings}
        DBOS.register_queue(self.queue, worker_concurrency=self.concurrency, **settings)
        self._sweeper = threading.Thread(target=self._sweep_on, name="agentcore-sweep", daemon=True)
        self._sweeper.start()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Take no more runs, and leave those under way to other workers after a while."""
        from dbos import DBOS

        self._stopped.set()
        if self.has_own_dbos:
            DBOS.destroy(workflow_completion_timeout_sec=int(grace_seconds))
        if self._sweeper is not None:
            self._sweeper.join(timeout=10)
        if self._identity is not None:
            self._identity.close()

    def run_forever(self) -> None:
        """`start`, and `stop` when this process is told to end (SIGTERM, SIGINT)."""
        told = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told.set())
        self.start()
        while not told.wait(1.0):
            pass  # a wait without an end would not let the signal through on Windows
        self.stop()

    async def _drive(self, run_id: str) -> str:
        """Carry a run to its end; how it ended. Whatever is in the way passes."""
        while True:
            try:
                await self.agent.drive(run_id)
            except (RunLost, NotJournalled, JournalError) as error:
                _log.warning("run %r is claimed again: %s", run_id, error)
                await anyio.sleep(RETRY_SECONDS)
            except RunError:
                return "failed"  # the journal says why
            else:
                return "done"

    # --- runs of workers that died ----------------------------------------------------------

    def _sweep_on(self) -> None:
        while not self._stopped.wait(SWEEP_SECONDS):
            try:
                self._keep_identity()
                self.sweep()
            except Exception as error:  # the database is away, or another worker was quicker
                _log.warning("the sweep failed, and is done again: %s", error)

    def _keep_identity(self) -> None:
        """The lock goes with its connection: take it again, on another."""
        if self._identity is not None and not _is_open(self._identity):
            self._identity = self._store.hold(self.name)

    def sweep(self) -> int:
        """Put back into the queue what dead workers drove, and what it has forgotten: how many."""
        from dbos import DBOS

        pending = DBOS.list_workflows(
            status="PENDING", name=WORKFLOW, load_input=False, load_output=False
        )
        lives: dict[str, bool] = {self.name: True}
        left: list[str] = []
        for workflow in pending:
            executor = workflow.executor_id or ""
            if executor not in lives:
                lives[executor] = self._store.lives(executor)
            if not lives[executor]:
                left.append(workflow.workflow_id)
        if left:
            DBOS.resume_workflows(left, queue_name=self.queue)
        return len(left) + self._remind()

    def _remind(self) -> int:
        """The journal wins: what it has no end of, and the queue has ended or does not know."""
        from dbos import DBOS

        stalled = dict(self._store.stalled(older_than=FORGOTTEN_SECONDS))
        if not stalled:
            return 0
        names = {f"{run_id}#{epoch}": run_id for run_id, epoch in stalled.items()}
        known = DBOS.list_workflows(
            workflow_ids=[*stalled, *names], load_input=False, load_output=False
        )
        waiting = {
            names.get(one.workflow_id, one.workflow_id)
            for one in known
            if one.status in ("ENQUEUED", "PENDING", "DELAYED")
        }
        ended = {one.workflow_id for one in known}
        forgotten = [run_id for run_id in stalled if run_id not in waiting]
        for run_id in forgotten:
            other = f"{run_id}#{stalled[run_id]}" if run_id in ended else run_id
            enqueue(self._store.queue_url, run_id, queue=self.queue, workflow_id=other)
        return len(forgotten)


def _is_open(connection: "psycopg.Connection[Any]") -> bool:
    try:
        connection.execute("SELECT 1")
    except Exception:
        return False
    return True
