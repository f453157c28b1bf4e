"""Runs of a journal in Postgres are put into a queue: DBOS's, in the same database."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from agentcore.errors import ConfigurationError, JournalError

if TYPE_CHECKING:
    from dbos import DBOSClient

__all__ = ["APP_VERSION", "QUEUE", "WORKFLOW", "enqueue"]

QUEUE: Final = "agentcore"
WORKFLOW: Final = "agentcore.drive"
APP_VERSION: Final = "journal-1"
"""Pinned: DBOS gives work only to workers of the same version, and a journal outlives versions of
the code."""
MAX_SHOWN_CHARACTERS: Final = 300


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
        partition: The tenant, where the queue's settings are for each of them.
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
        "queue_partition_key": partition,
        "delay_seconds": delay_seconds,
    }
    options |= {name: value for name, value in settings.items() if value is not None}
    try:
        _client(url).enqueue(options, run_id)  # type: ignore[arg-type]
    except Exception as error:  # SQLAlchemy's, DBOS's and the driver's
        said = " ".join(str(error).split())[:MAX_SHOWN_CHARACTERS]
        if "UndefinedTable" in said:
            said = "no worker has made its tables yet"
        raise JournalError(
            f"run {run_id!r} is in the journal, and not in the queue: {said}. The next worker "
            "that starts finds it"
        ) from error


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
