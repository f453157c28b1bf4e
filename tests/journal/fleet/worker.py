"""A worker of a fleet: a process that takes runs from the queue, until it is killed.

It is started as a program, with its orders as JSON. What it leaves behind is in files that a killed
process cannot take with it: which keys its tools saw, which rows the journal said it has, and what
its model was asked.
"""

import hashlib
import json
import logging
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
from typing_extensions import override

from agentcore import Agent, Backoff, Local, Policy, ToolContext, tool
from agentcore.fleet import Worker
from agentcore.journal import Record, RunStatus
from agentcore.journal.postgres import PostgresStore
from agentcore.journal.records import body_of
from agentcore.messages import JsonObject
from agentcore.testing import Answer, Call, GatewayTransport, RecordedRequest, Reply, stream
from agentcore.tools import write_file
from agentcore.tools.base import Tool

__all__ = ["EFFECTS", "READY", "Orders", "agent_of", "answer_to", "digest_of", "text_of"]

EFFECTS, ROWS, ASKED = "effects", "rows", "asked"
"""Files beside the workspace: keys of what must not be done twice; rows that were written, with
their worker; what models were asked."""
READY = "ready"


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a worker is to do."""

    url: str
    folder: str
    """Where the workspace is, and the files beside it."""
    name: str = "worker"
    concurrency: int = 10
    turns: int = 2
    """Answers with calls, before the one with the file."""
    busy_seconds: float = 0.2
    """How long a tool works at most, by chance."""
    notes: bool = True
    """Rows and questions are noted; without, a worker costs what it costs."""

    def dump(self) -> str:
        return json.dumps(asdict(self))


def note(folder: Path, name: str, line: str, *, syncs: bool = False) -> None:
    """A line at the end of a file: a killed process has written it, or has not."""
    number = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(number, f"{line}\n".encode())
        if syncs:
            os.fsync(number)
    finally:
        os.close(number)


def digest_of(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


class NotingStore(PostgresStore):
    """A journal that notes what it said was written."""

    def __init__(self, orders: Orders) -> None:
        super().__init__(orders.url)
        self._orders = orders

    @override
    def append(
        self,
        run_id: str,
        epoch: int,
        records: Sequence[Record],
        *,
        ends_partial: bool = False,
        status: RunStatus | None = None,
    ) -> int:
        last = super().append(run_id, epoch, records, ends_partial=ends_partial, status=status)
        if self._orders.notes:
            for seq, record in enumerate(records, start=last - len(records) + 1):
                line = f"{run_id} {seq} {digest_of(body_of(record))} {self._orders.name}"
                note(Path(self._orders.folder), ROWS, line)
        return last


# --- the model ------------------------------------------------------------------------------


def text_of(run_id: str) -> str:
    return "".join(f"{number:03d} a line of {run_id}\n" for number in range(20))


def answer_to(body: JsonObject, turns: int) -> Answer:
    """Some payments, then the file. It sees only the request, like any model."""
    messages = body["messages"]
    assert isinstance(messages, list)
    roles = [message["role"] for message in messages if isinstance(message, dict)]
    number = roles.count("assistant")
    opening = messages[roles.index("user")]
    assert isinstance(opening, dict)
    run_id = str(opening["content"]).split()[-1]
    if number < turns:
        invoice, name = json.dumps({"invoice": f"{run_id}-{number}"}), json.dumps({"name": run_id})
        calls = (
            Call(name="pay", arguments=invoice, id=f"pay{number}"),
            Call(name="look_up", arguments=name, id=f"look{number}"),
        )
        return Answer(text=f"Step {number}.", calls=calls)
    if number == turns:
        arguments = json.dumps(
            {"path": f"{run_id}.md", "mode": "overwrite", "content": text_of(run_id)}
        )
        return Answer(calls=(Call(name="write_file", arguments=arguments, id="file"),))
    return Answer(text="Done.")


# --- tools ----------------------------------------------------------------------------------


def tools_of(orders: Orders) -> tuple[Tool, ...]:
    folder = Path(orders.folder)

    async def work() -> None:
        await anyio.sleep(random.uniform(0.0, orders.busy_seconds))

    @tool
    async def pay(invoice: str, context: ToolContext) -> str:
        """Pay an invoice. It must not be paid twice."""
        await work()
        note(folder, EFFECTS, context.key, syncs=orders.notes)
        await work()
        return f"paid {invoice}"

    @tool(repeat="safe")
    async def look_up(name: str) -> str:
        """Look up an address."""
        await work()
        return f"{name}@example.org"

    return (pay, look_up, write_file)


def agent_of(orders: Orders, **options: Any) -> Agent:
    folder = Path(orders.folder)

    def respond(request: RecordedRequest) -> Reply:
        if orders.notes:
            note(folder, ASKED, digest_of(json.dumps(request.messages)))
        return stream(answer_to(request.body, orders.turns), piece=64)

    settings: dict[str, Any] = {
        "journal": NotingStore(orders),
        "tools": tools_of(orders),
        "policy": Policy(max_attempts=100, backoff=Backoff(first=0.01, cap=0.02)),
        "transport": GatewayTransport(respond=respond),
        **options,
    }
    return Agent(
        "scripted",
        adapter=Local(base_url="http://endpoint.test/v1"),
        workspace=folder / "work",
        **settings,
    )


def main() -> None:
    orders = Orders(**json.loads(sys.argv[1]))
    logging.basicConfig(format=f"%(asctime)s {orders.name} %(name)s %(message)s")
    worker = Worker(agent=agent_of(orders), concurrency=orders.concurrency, name=orders.name)
    print(READY, flush=True)  # noqa: T201 whoever started it waits for this
    worker.run_forever()


if __name__ == "__main__":
    main()
