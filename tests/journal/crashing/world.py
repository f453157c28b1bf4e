"""Where workers live and die: a folder, a gateway with a model behind it, and an oracle.

What must be true in the end is checked by what a killed process cannot take with it: a log of
effects, the rows that the process and a watcher have seen, and the file itself.
"""

import json
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread
from pydantic import JsonValue

from agentcore import Agent, RunResult
from agentcore.errors import UnknownRun
from agentcore.journal import AttemptEnded, CallBegun, CallEnded, SqliteStore, Stored, TurnEnded
from agentcore.ledger import PROCESS_ENDED
from agentcore.messages import JsonObject
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    Gateway,
    RecordedRequest,
    Reply,
    ScriptedModel,
    Temperament,
    after_arguments,
    cut,
    stream,
)
from tests.journal.crashing import worker
from tests.journal.crashing.worker import PROMPT, READY, RUN_ID, Orders, agent_of, digest_of

__all__ = ["Oracle", "Script", "World", "cut_sometimes", "lines_of_text", "until"]

NEVER = ("send_mail", "wait_and_send", "start_program", "fork", "execute_code")
"""Tools that must not be repeated."""
PATIENCE_SECONDS = 60.0
"""A busy machine takes its time to start a process."""
LOOK_SECONDS = 0.01


def lines_of_text(count: int) -> str:
    return "".join(f"{number:05d} a line of the plan, with é and 😀\n" for number in range(count))


# --- the model ------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Script:
    """What the model says: a mail with each section of the file, and then mails alone.

    It sees only the request, like any model.
    """

    text: str = field(default_factory=lambda: lines_of_text(200))
    mails: int = 3
    """Answers with mails, at least."""
    apart: bool = False
    """The mails come first, in answers of their own."""
    special: Call | None = None
    """A call that stands alone in the first answer."""
    temperament: Temperament = Temperament.OBEDIENT
    treat: Callable[[int, Reply], Reply] = lambda number, reply: reply
    """What becomes of the answer to the request with this number, from 1."""
    piece: int = 256
    pace: float = 0.0
    """Seconds between two pieces."""

    def __call__(self, request: RecordedRequest) -> Reply:
        reply = stream(self.answer(request.body), piece=self.piece, pace=self.pace)
        return self.treat(request.number, reply)

    def answer(self, body: JsonObject) -> Answer:
        messages = body["messages"]
        assert isinstance(messages, list)
        made = {id_ for message in messages for id_ in _ids(message)}
        if self.special is not None and "special" not in made:
            return Answer(calls=(replace(self.special, id="special"),))
        number = sum(id_.startswith("mail") for id_ in made)
        writer = ScriptedModel(path="plan.md", text=self.text, temperament=self.temperament)
        of_file = [_of_file(message) for message in messages]
        answer = writer({**body, "messages": [message for message in of_file if message]})
        if number >= self.mails and (self.apart or not answer.calls):
            return answer
        to, name = json.dumps({"to": f"ann{number}"}), json.dumps({"name": f"bob{number}"})
        asides = [
            Call(name="send_mail", arguments=to, id=f"mail{number}"),
            Call(name="look_up", arguments=name, id=f"look{number}"),
        ]
        calls = () if self.apart else answer.calls
        return replace(answer, text=f"Step {number}.", calls=(*asides, *calls))


def _ids(message: JsonValue) -> list[str]:
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(calls, list):
        return []
    return [str(call["id"]) for call in calls if isinstance(call, dict)]


def _of_file(message: JsonValue) -> JsonObject | None:
    """A message as the writer of the file may see it; None for what does not concern it."""
    assert isinstance(message, dict)
    if _is_aside(message.get("tool_call_id")):
        return None
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    left = [call for call in calls if isinstance(call, dict) and not _is_aside(call["id"])]
    return {**message, "tool_calls": [*left]} if left else None


def _is_aside(call_id: JsonValue) -> bool:
    return str(call_id).startswith(("mail", "look", "special"))


def cut_sometimes(chance: random.Random, share: float) -> Callable[[int, Reply], Reply]:
    """A gateway that resets this share of the answers, somewhere in the arguments."""

    def treat(number: int, reply: Reply) -> Reply:
        size = sum(len(getattr(step, "arguments", "")) for step in reply.steps)
        if not size or chance.random() >= share:
            return reply
        return cut(reply, at=after_arguments(chance.randrange(size)), by=RESET)

    return treat


# --- the oracle -----------------------------------------------------------------------------


@dataclass(kw_only=True)
class Oracle:
    """What a run that is done came to, once everything about it was found to be right."""

    rows: int = 0
    seen: int = 0
    """Rows that the watcher had read while processes lived."""
    told: int = 0
    """Rows that a process had noted as written before it died or ended."""
    results: int = 0
    unknown: int = 0
    """Calls of which the model was told that nobody knows."""
    kept: int = 0
    """Answers of which what a dead process had read was kept."""
    asked_twice: int = 0
    """Requests that repeat one whose answer a dead process took with it."""
    cuts: int = 0
    """Answers that the gateway cut."""


class World:
    """A folder with a workspace, and a gateway that serves its model."""

    def __init__(self, folder: Path, script: Script, *, watched: bool = True) -> None:
        self.folder, self.script = folder, script
        self.workspace = folder / "work"
        self.workspace.mkdir(parents=True)
        self.gateway = Gateway(respond=script)
        self.path = self.workspace / ".agentcore" / "runs.db"
        self.seen: dict[int, Stored] = {}
        """Rows that the watcher has read, as they were then."""
        self._watched = watched
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.gateway)
        tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(tasks.cancel_scope.cancel)
        if self._watched:
            tasks.start_soon(self._watch)
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._stack.aclose()

    async def _watch(self) -> None:
        store = SqliteStore(self.path)
        while True:
            try:
                found = await anyio.to_thread.run_sync(
                    lambda: store.rows(RUN_ID, after=max(self.seen, default=0))
                )
            except UnknownRun:
                found = []
            for row in found:
                assert row.seq not in self.seen
                self.seen[row.seq] = row
            await anyio.sleep(LOOK_SECONDS)

    # --- processes --------------------------------------------------------------------------

    def orders(self, **changes: Any) -> Orders:
        return Orders(base_url=self.gateway.base_url, workspace=str(self.workspace), **changes)

    @asynccontextmanager
    async def process(self, orders: Orders) -> AsyncIterator[anyio.abc.Process]:
        """A worker that is about to begin; killed in the end, if it is still there."""
        assert worker.__file__ is not None
        with (self.folder / "stderr").open("ab") as errors:
            process = await anyio.open_process(
                [sys.executable, worker.__file__, orders.dump()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        async with process:
            try:
                assert process.stdout is not None
                with anyio.fail_after(PATIENCE_SECONDS):
                    try:
                        said = await process.stdout.receive()
                    except anyio.EndOfStream:
                        raise AssertionError(self.errors) from None
                assert said.decode().startswith(READY), said
                yield process
            finally:
                if process.returncode is None:
                    process.kill()

    async def ended(self, orders: Orders) -> tuple[int, str]:
        """How a worker ends by itself, and what it prints."""
        async with self.process(orders) as process:
            assert process.stdout is not None
            said = b""
            with anyio.move_on_after(PATIENCE_SECONDS):
                async for part in process.stdout:
                    said += part
                return await process.wait(), said.decode()
        raise AssertionError(f"a process does not end by itself: {orders}\n{self.errors}")

    @property
    def errors(self) -> str:
        """What all workers wrote to standard error."""
        return (self.folder / "stderr").read_text()

    def agent(self, **options: Any) -> Agent:
        """An agent in this process, as a worker has it."""
        return agent_of(self.orders(max_attempts=12), **options)

    async def run_here(self, **options: Any) -> RunResult:
        return await self.agent(**options).run(PROMPT, run_id=RUN_ID)

    def lines(self, name: str) -> list[str]:
        """The whole lines of a file beside the workspace."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def take_by_force(self) -> None:
        """As an administrator would who believes that the owner will not come back."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("UPDATE run SET epoch = epoch + 1, owner = ''")
        connection.close()

    # --- the end ----------------------------------------------------------------------------

    def rows(self) -> list[Stored]:
        return SqliteStore(self.path).rows(RUN_ID)

    async def check(self) -> Oracle:
        """What must be true of a run that is done, however often it was killed."""
        result = await self.agent().get_run(RUN_ID).result()
        rows = await anyio.to_thread.run_sync(self.rows)
        self._check_rows(rows)
        assert SqliteStore(self.path).check() == []
        text = (self.workspace / "plan.md").read_text(encoding="utf-8")
        assert text == self.script.text, "a character is lost, or there twice"

        called = [call for m in result.messages if m.role == "assistant" for call in m.tool_calls]
        answers = {m.tool_call_id: m for m in result.messages if m.role == "tool"}
        assert Counter(call.id for call in called) == Counter(
            m.tool_call_id for m in result.messages if m.role == "tool"
        ), "a call has no result, or two"
        unknown = {id_ for id_, message in answers.items() if "is unknown" in message.content}
        done = self.lines(worker.EFFECTS)
        assert len(done) == len(set(done)), f"done twice: {done}"
        keys = {f"{RUN_ID}:{call.id}" for call in called if call.name in NEVER}
        assert set(done) <= keys, "done, and never asked for"
        for call in called:
            if call.name in ("send_mail", "wait_and_send") and call.id not in unknown:
                assert f"{RUN_ID}:{call.id}" in done, f"{call.id}: told as sent, and was not"
        attempts = [row.record.record for row in rows if isinstance(row.record, AttemptEnded)]
        return Oracle(
            rows=len(rows),
            seen=len(self.seen),
            told=len(self.lines(worker.ROWS)),
            results=len(answers),
            unknown=len(unknown),
            asked_twice=self._asked_twice(rows),
            kept=sum(one.rule == PROCESS_ENDED and one.decision == "keep" for one in attempts),
            cuts=sum(one.rule != PROCESS_ENDED and one.outcome == "cut" for one in attempts),
        )

    def _check_rows(self, rows: list[Stored]) -> None:
        """No row that was seen is lost or changed; each call has one result, and one begin."""
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1)), "numbers have gaps"
        there = {row.seq: row for row in rows}
        for seq, row in self.seen.items():
            assert there.get(seq) == row, f"row {seq} was seen, and is lost or changed"
        for line in self.lines(worker.ROWS):
            number, digest = line.split()
            row_there = there.get(int(number))
            assert row_there is not None, f"row {number} was written, and is lost"
            assert digest_of(row_there.record) == digest, f"row {number} was changed"
        ended = Counter(row.record.call_id for row in rows if isinstance(row.record, CallEnded))
        turns = [row.record for row in rows if isinstance(row.record, TurnEnded)]
        assert ended == Counter(call.id for turn in turns for call in turn.message.tool_calls)
        begun = Counter(
            row.record.call_id
            for row in rows
            if isinstance(row.record, CallBegun) and row.record.tool in NEVER
        )
        assert all(count == 1 for count in begun.values()), f"begun twice: {begun}"

    def _asked_twice(self, rows: list[Stored]) -> int:
        """Requests that were made before word for word, and that no journalled failure explains."""
        asked = Counter(json.dumps(request.messages) for request in self.gateway.requests)
        again = sum(asked.values()) - len(asked)
        wanted = sum(
            isinstance(row.record, AttemptEnded)
            and row.record.record.decision in ("retry", "adjust")
            and row.record.record.rule != PROCESS_ENDED
            for row in rows
        )
        return max(0, again - wanted)


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    with anyio.move_on_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 it is a file, or another process
            await anyio.sleep(LOOK_SECONDS)
        return
    raise AssertionError(f"waited in vain: {what}")
