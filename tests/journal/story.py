"""A run with a bit of everything, and a journal that takes a picture of the world at every row.

The world is the workspace: files, drafts, what tools did, and the journal itself. A picture is what
a process would leave behind that is killed at this moment.
"""

import json
import shutil
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from pydantic import JsonValue
from typing_extensions import override

from agentcore import Agent, Local, Policy, RunResult, ToolContext, tool
from agentcore.journal import Record, RunStatus, SqliteStore
from agentcore.messages import JsonObject
from agentcore.testing import (
    Answer,
    Call,
    GatewayTransport,
    RecordedRequest,
    Reply,
    ScriptedModel,
    Temperament,
    stream,
)
from agentcore.tools import read_file, write_file
from agentcore.tools.base import Tool

PROMPT = "Tell Ann, then write plan.md."
RUN_ID = "plan-42"
EFFECTS = "effects.log"


def lines_of_text(count: int) -> str:
    return "".join(f"{number:04d} a line of the plan, nothing special\n" for number in range(count))


@tool
def send_mail(to: str, context: ToolContext) -> str:
    """Send a mail. It must not be sent twice."""
    with (context.workspace / EFFECTS).open("a") as file:
        file.write(f"{context.key}\n")
    return f"sent to {to}"


@tool(repeat="safe")
def look_up(name: str) -> str:
    """Look up an address. May be done any number of times."""
    return f"{name}@example.org"


TOOLS: tuple[Tool, ...] = (send_mail, look_up, write_file, read_file)


@dataclass(kw_only=True)
class Story:
    """What the model says: first mails, then the file. It sees only the request, like any model."""

    text: str
    temperament: Temperament = Temperament.OBEDIENT
    mails: int = 2
    cut: Callable[[int, Reply], Reply] = lambda number, reply: reply
    """What becomes of the answer with this number, from 1."""
    requests: list[RecordedRequest] = field(default_factory=list)

    @property
    def model(self) -> ScriptedModel:
        return ScriptedModel(path="plan.md", text=self.text, temperament=self.temperament)

    def __call__(self, request: RecordedRequest) -> Reply:
        self.requests.append(request)
        return self.cut(len(self.requests), stream(self.answer(request.body)))

    def answer(self, body: JsonObject) -> Answer:
        messages = body["messages"]
        assert isinstance(messages, list)
        if not any(_calls(message) for message in messages):
            calls = [
                Call(name="send_mail", arguments=json.dumps({"to": f"ann{n}"}), id=f"mail{n}")
                for n in range(self.mails)
            ]
            look = Call(name="look_up", arguments='{"name": "bob"}', id="look")
            return Answer(text="First the mails.", calls=(*calls, look))
        return self.model({**body, "messages": [one for one in messages if _is_of_file(one)]})


def _calls(message: JsonValue) -> list[str]:
    if not isinstance(message, dict):
        return []
    calls = message.get("tool_calls") or []
    assert isinstance(calls, list)
    return [str(call["id"]) for call in calls if isinstance(call, dict)]


def _is_of_file(message: JsonValue) -> bool:
    """The scripted model knows of its file alone."""
    assert isinstance(message, dict)
    ids = [*_calls(message), str(message.get("tool_call_id", ""))]
    return not any(id_.startswith(("mail", "look")) for id_ in ids)


@dataclass(kw_only=True)
class Picture:
    """The world at one moment."""

    rows: int
    when: str
    folder: Path


class PicturingStore(SqliteStore):
    """A journal that keeps the world as it is before and after each of its rows."""

    def __init__(self, path: Path, album: Path) -> None:
        super().__init__(path)
        self.album = album
        self.pictures: list[Picture] = []
        self._one_at_a_time = threading.Lock()

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
        kinds = "+".join(record.kind for record in records)
        self._take(run_id, f"before {kinds}")
        seq = super().append(run_id, epoch, records, ends_partial=ends_partial, status=status)
        self._take(run_id, f"after {kinds}")
        return seq

    @override
    def append_partial(self, run_id: str, epoch: int, lines: bytes) -> None:
        super().append_partial(run_id, epoch, lines)
        self._take(run_id, "after a part")

    def _take(self, run_id: str, when: str) -> None:
        with self._one_at_a_time:
            self._take_now(run_id, when)

    def _take_now(self, run_id: str, when: str) -> None:
        folder = self.album / str(len(self.pictures))
        workspace = self.path.parent.parent
        shutil.copytree(
            workspace, folder, ignore=shutil.ignore_patterns("runs.db*", "*.tmp"), symlinks=True
        )
        (folder / ".agentcore").mkdir(exist_ok=True)
        with self._reads() as connection:
            assert connection is not None
            connection.execute("VACUUM INTO ?", (str(folder / ".agentcore" / "runs.db"),))
        rows = self.get(run_id).seq
        self.pictures.append(Picture(rows=rows, when=when, folder=folder))


def agent_of(workspace: Path, story: Story, **options: Any) -> Agent:
    async def no_wait(seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    settings: dict[str, Any] = {"policy": Policy(max_attempts=12), "tools": TOOLS, **options}
    return Agent(
        "some-model",
        adapter=Local(base_url="http://gateway.test/v1"),
        workspace=workspace,
        transport=GatewayTransport(respond=story),
        sleep=no_wait,
        roll=lambda: 0.5,
        **settings,
    )


def effects(workspace: Path) -> list[str]:
    path = workspace / EFFECTS
    return path.read_text().split() if path.exists() else []


def check_world(workspace: Path, story: Story, ended: RunResult, told: str) -> None:
    """What must be true of the world when a run is done, however often it was killed."""
    assert (workspace / "plan.md").read_text() == story.text, told
    done = effects(workspace)
    assert len(done) == len(set(done)), f"{told}: a mail was sent twice: {done}"
    for key in (f"{RUN_ID}:mail{number}" for number in range(story.mails)):
        answers = [
            message
            for message in ended.messages
            if message.role == "tool" and f"{RUN_ID}:{message.tool_call_id}" == key
        ]
        assert len(answers) == 1, told
        is_unknown = "is unknown" in answers[0].content
        assert is_unknown or key in done, f"{told}: {key} is told as sent, and was not"
    called = [call.id for m in ended.messages if m.role == "assistant" for call in m.tool_calls]
    answered = [m.tool_call_id for m in ended.messages if m.role == "tool"]
    assert sorted(called) == sorted(answered), told


async def leave_when(
    is_time: Callable[[], object], run: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Run, and be cancelled once it is time, as by a Ctrl-C."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.fail_after(20):
            while not is_time():  # noqa: ASYNC110 nobody tells
                await anyio.sleep(0.01)
        await anyio.sleep(0.05)  # what has come is being dealt with
        tasks.cancel_scope.cancel()
