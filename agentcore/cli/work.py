"""`agentcore work`: a worker, which drives the runs of a queue by an agent of one's own."""

import logging
from math import isfinite
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from agentcore.cli.agents import failures_told
from agentcore.cli.display import counted, harmless, one_line
from agentcore.cli.resume import agent_of
from agentcore.errors import ConfigurationError
from agentcore.fleet import Worker
from agentcore.journal.queueing import QUEUE

__all__ = ["rate_of", "work"]

MAX_LEFT_SHOWN = 10


def work(
    app: Annotated[
        str,
        typer.Argument(
            metavar="APP",
            help="An agent of your own, as module:attribute, or a function that makes one; found "
            "from the current folder. Its journal is in Postgres.",
            show_default=False,
        ),
    ],
    concurrency: Annotated[
        int, typer.Option(metavar="N", min=1, help="Runs at once, in each worker of the queue.")
    ] = 10,
    queue: Annotated[str, typer.Option(help="Its name, as of `submit(queue=…)`.")] = QUEUE,
    in_all: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Runs at once, in all workers.", show_default="any"),
    ] = None,
    rate: Annotated[
        str,
        typer.Option(
            metavar="N/SECONDS",
            help="At most so many runs begin in so many seconds, in all workers.",
            show_default="any",
        ),
    ] = "",
    per_partition: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Runs at once of each partition, as of `submit(partition=…)`, in all workers.",
            show_default="any",
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            help="Of this worker: no two have the same. One that starts again by the same name "
            "takes up at once what it left.",
            show_default="made up",
        ),
    ] = "",
) -> None:
    """Drive the runs of a queue by an agent of your own, on as many machines as you like.

    Give the same limits to all workers of a queue: those of the last that starts are for all.
    """
    console = Console(stderr=True)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    with failures_told(console):
        worker = Worker(
            agent=agent_of(app),
            concurrency=concurrency,
            queue=queue,
            settings=_settings(in_all, rate, per_partition),
            name=name,
        )
        left = worker.run_forever(started=lambda: _say(console, _begun(worker)))
        _say(console, _ended(left))


def _settings(in_all: int | None, rate: str, per_partition: int | None) -> dict[str, Any]:
    """DBOS's own words for the limits that were given."""
    settings = {
        "global_concurrency": in_all,
        "limiter": rate_of(rate) if rate else None,
        "partition_concurrency": per_partition,
    }
    return {name: value for name, value in settings.items() if value is not None}


def rate_of(text: str) -> dict[str, float]:
    """`5/60`: five in a minute.

    Raises:
        ConfigurationError: It is something else.
    """
    limit, _, period = text.partition("/")
    try:
        rate = {"limit": int(limit), "period": float(period)}
    except ValueError:
        rate = {}
    if not rate or min(rate.values()) <= 0 or not isfinite(rate["period"]):
        raise ConfigurationError(f"--rate {text}: write N/SECONDS, as in 5/60: five in a minute")
    return rate


def _begun(worker: Worker) -> str:
    journal = worker.agent.journal_store().url
    return (
        f"{worker.name}: takes runs from queue {worker.queue!r} in {journal}, "
        f"{worker.concurrency} at once. Ctrl-C or SIGTERM ends it"
    )


def _ended(left: tuple[str, ...]) -> str:
    if not left:
        return "ended; nothing was left on the way"
    named = ", ".join(map(one_line, left[:MAX_LEFT_SHOWN]))
    more = f" and {len(left) - MAX_LEFT_SHOWN} more" if len(left) > MAX_LEFT_SHOWN else ""
    return f"ended; another worker goes on with {counted(len(left), 'run')}: {named}{more}"


def _say(console: Console, line: str) -> None:
    console.print(Text(harmless(line)), soft_wrap=True)
