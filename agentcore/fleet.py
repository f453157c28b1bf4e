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
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import anyio

from agentcore.agent import Agent
from agentcore.errors import (
    ConfigurationError,
    JournalError,
    NotJournalled,
    RunError,
    RunLost,
    UnknownRun,
)
from agentcore.journal.postgres import FROM_THE_FIRST, PostgresStore
from agentcore.journal.queueing import APP_VERSION, QUEUE, WORKFLOW, enqueue, queue_is_here

if TYPE_CHECKING:
    import psycopg

__all__ = ["Worker"]

SWEEP_SECONDS: Final = 1.0
REMIND_EVERY: Final = 5
"""Sweeps. Who died has to be known at once; what the queue has forgotten costs a look at each run
that waits."""
FORGOTTEN_SECONDS: Final = 5.0
"""A run that has been written to since is not looked for in the queue."""
AGAIN_SECONDS: Final = 60
"""How often a run is tried again that a worker could not drive, for want of a key for example."""
RETRY_SECONDS: Final = 1.0
"""Before a run is claimed again that was lost, as when Postgres restarts."""
GRACE_SECONDS: Final = 2.0
"""How long a worker that is told to end lets runs go on; others go on with what is left."""

UNDER_WAY: Final = ("ENQUEUED", "PENDING", "DELAYED")
FAILED: Final = "ERROR"
"""What DBOS says of a run that could not be driven; one that ended, however it did, is a success.
"""
MAX_SHOWN_CHARACTERS: Final = 300

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
    name: str = ""
    """Of this process among all, as DBOS's executor id; no two have the same. Empty for one that is
    made up, or the executor id of the host's DBOS."""
    has_own_dbos: bool = True
    """False: the host makes and launches a DBOS instance itself. It calls `register` before the
    launch and `start` after it; `dbos_settings` are what its configuration must have."""
    _store: PostgresStore = field(init=False)
    _identity: "psycopg.Connection[Any] | None" = None
    _driven: set[str] = field(default_factory=set)
    _left: set[str] = field(default_factory=set)
    """Those that `stop` has ended on the way."""
    _looked_at: tuple[float, str] = FROM_THE_FIRST
    """How far the sweep has come with runs that nobody drives."""
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
        if self.has_own_dbos and not self.name:
            self.name = f"worker-{secrets.token_hex(6)}"

    @property
    def driven(self) -> tuple[str, ...]:
        """Ids of the runs that this worker drives now, sorted."""
        return tuple(sorted(self._driven))

    @property
    def dbos_settings(self) -> dict[str, str]:
        """What DBOS's configuration has for this worker; the URL may hold a password."""
        settings = {
            "system_database_url": self._store.queue_url,
            "application_version": APP_VERSION,
        }
        return settings | ({"executor_id": self.name} if self.name else {})

    def register(self) -> None:
        """Make the workflow known to DBOS; before it is launched.

        Raises:
            ConfigurationError: DBOS is not installed.
        """
        _check_installed()
        from dbos import DBOS

        async def drive(run_id: str) -> str:
            return await self._drive(run_id)

        # A run is taken up again as often as its workers die; the budget is the journal's.
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=10**6)(drive)

    def start(self) -> None:
        """Launch DBOS and take runs; returns at once.

        Raises:
            ConfigurationError: DBOS is not installed; or the host's is not set up for this.
            JournalError: Another process has this name, or the database cannot be reached.
        """
        _check_installed()
        from dbos import DBOS

        if not self.has_own_dbos:
            self._check_host()
        self._identity = self._store.hold(self.name)
        try:
            if self.has_own_dbos:
                self._launch()
            settings = {
                "polling_interval_sec": 0.2,
                "on_conflict": "always_update",
                **self.settings,
            }
            # DBOS refuses a worker that may have more at once than all of them.
            at_once = min(self.concurrency, settings.get("global_concurrency") or self.concurrency)
            DBOS.register_queue(self.queue, worker_concurrency=at_once, **settings)
        except Exception as error:  # SQLAlchemy's, DBOS's and the driver's
            self.stop(grace_seconds=0)
            said = " ".join(str(error).split())[:MAX_SHOWN_CHARACTERS]
            kind = (
                ConfigurationError if isinstance(error, (TypeError, ValueError)) else JournalError
            )
            raise kind(f"queue {self.queue!r} in {self._store.url}: {said}") from error
        if not self.has_own_dbos and not queue_is_here(self._store.queue_url, self.queue):
            self.stop(grace_seconds=0)
            raise ConfigurationError(
                "Worker(has_own_dbos=False): DBOS has its tables elsewhere than "
                f"{self._store.url}, where runs are queued. Give it Worker.dbos_settings"
            )
        self._sweeper = threading.Thread(target=self._sweep_on, name="agentcore-sweep", daemon=True)
        self._sweeper.start()

    def _launch(self) -> None:
        from dbos import DBOS

        DBOS(config={"name": "agentcore", "log_level": "WARNING", **self.dbos_settings})  # type: ignore[typeddict-item]
        self.register()
        DBOS.listen_queues([self.queue])
        DBOS.launch()

    def _check_host(self) -> None:
        """The host's DBOS gives work to this process by a name of its own, and of our version.

        Raises:
            ConfigurationError: It does not; the text says what to set.
        """
        from dbos import DBOS

        executor = str(DBOS.executor_id)
        if executor == "local":
            raise ConfigurationError(
                "Worker(has_own_dbos=False): DBOS's executor_id is 'local', its default, which "
                "every process has: who of them died could not be told. Set executor_id in its "
                "configuration to a name that no other process has"
            )
        if self.name and self.name != executor:
            raise ConfigurationError(
                f"Worker(name={self.name!r}): DBOS's executor_id is {executor!r}; both name this "
                "process, so leave out one, or set both the same"
            )
        if (version := str(DBOS.application_version)) != APP_VERSION:
            raise ConfigurationError(
                "Worker(has_own_dbos=False): DBOS's application_version is "
                f"{version or 'unset'!r}, and runs are queued for {APP_VERSION!r}, whatever the "
                "code's version. Set it in its configuration; a host that needs another runs "
                "`agentcore work` beside it"
            )
        self.name = executor

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> tuple[str, ...]:
        """Take no more runs, and leave those under way to other workers after a while.

        Args:
            grace_seconds: How long runs may go on, in whole seconds. A host's DBOS is left alone.

        Returns:
            Ids of the runs that were left.
        """
        from dbos import DBOS

        self._stopped.set()
        if self.has_own_dbos:
            # It would warn of each run that is left: who calls this is told by what it returns.
            logging.getLogger("dbos").setLevel(logging.ERROR)
            DBOS.destroy(workflow_completion_timeout_sec=int(grace_seconds))
        if self._sweeper is not None:
            self._sweeper.join(timeout=10)
        if self._identity is not None:
            self._identity.close()
        return tuple(sorted(self._left | self._driven))

    def run_forever(self, *, started: Callable[[], object] | None = None) -> tuple[str, ...]:
        """`start`, and `stop` when this process is told to end (SIGTERM, SIGINT).

        Args:
            started: Called once runs are taken.

        Returns:
            Ids of the runs that were left to other workers.
        """
        told = threading.Event()
        before = {
            number: signal.signal(number, lambda *_: told.set())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self.start()
            if started is not None:
                started()
            while not told.wait(1.0):
                pass  # a wait without an end would not let the signal through on Windows
        finally:
            # Told a second time, it ends at once.
            for number, handler in before.items():
                signal.signal(number, handler)
        return self.stop()

    async def _drive(self, run_id: str) -> str:
        """Carry a run to its end; how it ended. Whatever is in the way passes."""
        self._driven.add(run_id)
        self._left.add(run_id)
        try:
            ended = await self._driven_to_its_end(run_id)
        except Exception as error:
            # A key that is missing here, for example: the sweep has it tried again.
            _log.error("run %r cannot be driven: %s", run_id, error)
            self._left.discard(run_id)
            raise
        else:
            self._left.discard(run_id)
            return ended
        finally:
            self._driven.discard(run_id)

    async def _driven_to_its_end(self, run_id: str) -> str:
        while True:
            try:
                await self.agent.drive(run_id)
            except UnknownRun:
                return "removed"
            except (RunLost, NotJournalled, JournalError) as error:
                _log.warning("run %r is claimed again: %s", run_id, error)
                await anyio.sleep(RETRY_SECONDS)
            except RunError:
                return "failed"  # the journal says why
            else:
                return "done"

    # --- runs of workers that died ----------------------------------------------------------

    def _sweep_on(self) -> None:
        for number in count():
            if self._stopped.wait(SWEEP_SECONDS):
                return
            try:
                self._keep_identity()
                self._take_back()
                if number % REMIND_EVERY == 0:
                    self._remind()
            except Exception as error:  # the database is away, or another worker was quicker
                _log.warning("the sweep failed, and is done again: %s", error)

    def _keep_identity(self) -> None:
        """The lock goes with its connection: take it again, on another."""
        if self._identity is not None and not _is_open(self._identity):
            self._identity = self._store.hold(self.name)

    def sweep(self) -> int:
        """Put back into the queue what dead workers drove, and what it has forgotten: how many."""
        return self._take_back() + self._remind()

    def _take_back(self) -> int:
        """Runs of workers that died."""
        from dbos import DBOS

        pending = DBOS.list_workflows(
            status="PENDING", name=WORKFLOW, load_input=False, load_output=False
        )
        lives: dict[str, bool] = {self.name: True}
        left: dict[str, list[str]] = {}
        for workflow in pending:
            executor = workflow.executor_id or ""
            if executor not in lives:
                lives[executor] = self._store.lives(executor)
            if not lives[executor]:
                # Each goes back where it came from; partition and priority stay as they are.
                left.setdefault(workflow.queue_name or self.queue, []).append(workflow.workflow_id)
        for queue, ids in left.items():
            DBOS.resume_workflows(ids, queue_name=queue)
        return sum(map(len, left.values()))

    def _remind(self) -> int:
        """The journal wins: what it has no end of, and the queue has ended or does not know."""
        from dbos import DBOS

        found, self._looked_at = self._store.stalled(
            older_than=FORGOTTEN_SECONDS, after=self._looked_at
        )
        stalled = dict(found)
        if not stalled:
            return 0
        # Tried again, it has another id: by its claims; by the minute where it came to no claim, or
        # could not be driven, which costs one.
        minute = int(time.time()) // AGAIN_SECONDS
        ids = {
            run_id: (run_id, f"{run_id}#{epoch}", f"{run_id}#.{minute}")
            for run_id, epoch in stalled.items()
        }
        known = {
            one.workflow_id: one
            for one in DBOS.list_workflows(
                workflow_ids=[id_ for three in ids.values() for id_ in three],
                load_input=False,
                load_output=False,
            )
        }
        reminded = 0
        for run_id, three in ids.items():
            there = [known[id_] for id_ in three if id_ in known]
            has_failed = any(one.status == FAILED for one in there)
            free = next((id_ for id_ in three[2 * has_failed :] if id_ not in known), None)
            if free is None or any(one.status in UNDER_WAY for one in there):
                continue
            if free == three[2] and self._is_tried(run_id):
                continue
            first = there[0] if there else None
            enqueue(
                self._store.queue_url,
                run_id,
                queue=(first.queue_name if first is not None else None) or self.queue,
                priority=(first.priority if first is not None else None) or None,
                partition=first.queue_partition_key if first is not None else None,
                workflow_id=free,
            )
            reminded += 1
        return reminded

    @staticmethod
    def _is_tried(run_id: str) -> bool:
        """Whether the queue still has what was put into it in a minute before."""
        from dbos import DBOS

        return bool(
            DBOS.list_workflows(
                workflow_id_prefix=f"{run_id}#",
                status=list(UNDER_WAY),
                limit=1,
                load_input=False,
                load_output=False,
            )
        )


def _check_installed() -> None:
    try:
        import dbos  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            'a worker needs another package: pip install "agentcore-loop[postgres]"'
        ) from None


def _is_open(connection: "psycopg.Connection[Any]") -> bool:
    try:
        connection.execute("SELECT 1")
    except Exception:
        return False
    return True
