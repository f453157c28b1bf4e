"""Runs of a journal in Postgres are put into a queue: DBOS's, in the same database."""

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from agentcore.errors import ConfigurationError, JournalError

if TYPE_CHECKING:
    from dbos import DBOSClient

__all__ = ["APP_VERSION", "QUEUE", "WORKFLOW", "enqueue", "queue_is_here", "queued"]

QUEUE: Final = "agentcore"
WORKFLOW: Final = "agentcore.drive"
APP_VERSION: Final = "journal-1"
"""Pinned: DBOS gives work only to workers of the same version, and a journal outlives versions of
the code."""
NO_PARTITION: Final = "agentcore"
"""The partition of runs that were given none. A queue without partitions takes no notice of it; in
one with partitions DBOS would never come to a run that has none."""
MAX_SHOWN_CHARACTERS: Final = 300

_one_at_a_time = threading.Lock()
"""Two who are the first to ask for a client would have made one each."""


def enqueue(
    url: str,
    run_id: str,
    *,
    queue: str = QUEUE,
    priority: int | None = None,
    partition: str | None = None,
    delay_seconds: float | None = None,
    workflow_id: str = "",
) -> None:
    """Put a run of the journal into the queue. Twice is once.

    Args:
        url: Of the database that holds the journal, and the queue.
        run_id: A run that is in the journal.
        queue: The queue's name.
        priority: 1 and up; a smaller number comes first. None comes before all.
        partition: The tenant, where the queue's settings are for each of them. All that have none
            are one.
        delay_seconds: Not before then.
        workflow_id: Other than the run's id, where DBOS has ended one of that id.

    Raises:
        JournalError: The queue cannot be written to: no worker was ever started, for example.
    """
    options: dict[str, Any] = {
        "workflow_name": WORKFLOW,
        "queue_name": queue,
        "workflow_id": workflow_id or run_id,
        "app_version": APP_VERSION,
    }
    settings = {
        "priority": priority,
        "queue_partition_key": partition or NO_PARTITION,
        "delay_seconds": delay_seconds,
    }
    options |= {name: value for name, value in settings.items() if value is not None}
    try:
        with _one_at_a_time:
            client = _client(url)
        client.enqueue(options, run_id)  # type: ignore[arg-type]
    except Exception as error:  # SQLAlchemy's, DBOS's and the driver's
        said = " ".join(str(error).split())[:MAX_SHOWN_CHARACTERS]
        if "UndefinedTable" in said or "UndefinedColumn" in said:  # it is making them just now
            said = "no worker has made its tables yet"
        raise JournalError(
            f"run {run_id!r} is in the journal, and not in the queue: {said}. The next worker "
            "that starts finds it"
        ) from error


def queued(url: str, run_ids: Sequence[str]) -> frozenset[str]:
    """Those of the runs that wait for a worker to take them.

    Args:
        url: Of the database that holds the journal, and the queue.
        run_ids: In the journal.

    Raises:
        ConfigurationError: DBOS is not installed.
        JournalError: The queue cannot be read: no worker was ever started, for example.
    """
    try:
        waiting = _client(url).list_workflows(
            workflow_ids=list(run_ids),
            status=["ENQUEUED", "DELAYED"],
            load_input=False,
            load_output=False,
        )
    except ConfigurationError:
        raise
    except Exception as error:  # SQLAlchemy's, DBOS's and the driver's
        raise JournalError(f"the queue cannot be read: {type(error).__name__}") from error
    return frozenset(one.workflow_id for one in waiting)


def queue_is_here(url: str, queue: str) -> bool:
    """Whether DBOS's tables in this database have a queue of this name."""
    try:
        return _client(url).retrieve_queue(queue) is not None
    except Exception:  # no tables of DBOS at all
        return False


@lru_cache(maxsize=8)
def _client(url: str) -> "DBOSClient":
    """Kept: it has a pool of connections."""
    try:
        from dbos import DBOSClient
    except ImportError:
        raise ConfigurationError(
            'the queue needs another package: pip install "agentcore-loop[postgres]"'
        ) from None
    return DBOSClient(system_database_url=url, lazy=True, retry_connection_errors=False)
