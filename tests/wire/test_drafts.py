"""Nothing that arrived is lost: whole runs, cut at every place, with what was sent and stored.

In process and in virtual time: the loop, the SDK, the HTTP client, tools and files are real.
"""

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import JsonValue

from agentcore import (
    Agent,
    Limits,
    Policy,
    ProviderAdapter,
    RunError,
    RunEvent,
    RunResult,
    ToolContext,
    ToolResult,
    tool,
)
from agentcore.draft_store import DraftStore
from agentcore.events import DraftKept, DraftsFound, TextKept
from agentcore.messages import JsonObject, Message
from agentcore.testing import (
    CLEAN_END,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Call,
    Ending,
    GatewayTransport,
    Place,
    RecordedRequest,
    Reply,
    ScriptedModel,
    Send,
    Step,
    Temperament,
    after_arguments,
    after_bytes,
    after_events,
    after_line,
    cut,
    finish,
    in_stream_error,
    inside_value,
    run_in_virtual_time,
    stream,
    transcript_problems,
)
from agentcore.testing.sent import SentAnswer
from agentcore.tools import execute_code, read_file, write_file
from agentcore.tools.base import Continuation, CutDraft, Tool

Backend = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
PIECE = 150
ENDINGS: dict[str, Ending] = {
    "reset": RESET,
    "fin": FIN,
    "clean end": CLEAN_END,
    "network lost": NETWORK_LOST,
}


# --- a run, and what every run must be ------------------------------------------------------


@dataclass(kw_only=True)
class Played:
    """What came of a run."""

    ended: RunResult | RunError
    requests: list[RecordedRequest]
    events: list[RunEvent] = field(default_factory=list)

    @property
    def result(self) -> RunResult:
        assert isinstance(self.ended, RunResult), self.ended
        return self.ended

    @property
    def error(self) -> RunError:
        assert isinstance(self.ended, RunError), self.ended
        return self.ended

    @property
    def decisions(self) -> list[str]:
        return [record.decision for record in self.ended.attempts]

    def last_result(self, request: int = -1) -> str:
        """What the last message of a request says: guidance, or a tool's result."""
        messages = self.requests[request].body["messages"]
        assert isinstance(messages, list)
        assert isinstance(messages[-1], dict)
        return str(messages[-1]["content"])

    def of(self, kind: type[RunEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Plain(ProviderAdapter):
    """What the base class sends, which the strictest endpoints take."""

    name = "plain"
    api_key_required = False


def play(
    workspace: Path,
    respond: Callable[[RecordedRequest], Reply | Answer] | Sequence[Reply | Answer],
    *,
    tools: Sequence[Tool] = (write_file, read_file),
    policy: Policy | None = None,
    backend: Backend = "asyncio",
    listen: bool = True,
    messages: Sequence[Message] = (),
    **options: Any,
) -> Played:
    """One run, checked as every run is."""
    policy = policy or Policy()
    transport = GatewayTransport()
    if isinstance(respond, Sequence):
        transport.play(*respond)
    else:
        transport.respond = respond
    agent = Agent(
        "some-model",
        adapter=Plain(base_url="http://gateway.test/v1"),
        tools=tools,
        workspace=workspace,
        policy=policy,
        transport=transport,
        **options,
    )
    events: list[RunEvent] = []
    told = events.append if listen else None

    async def run() -> RunResult:
        return await agent.run("Write it.", messages=messages, on_event=told)

    ended: RunResult | RunError
    try:
        ended = run_in_virtual_time(run, backend=backend)
    except RunError as error:
        ended = error
    sent = [bytes(request.sent) for request in transport.requests]
    problems = transcript_problems(
        ended.messages, ended.attempts, sent=sent, max_attempts=policy.max_attempts
    )
    for number, request in enumerate(transport.requests, start=1):
        problems += [f"request {number}: {text}" for text in refused(request.body)]
    for record, body in zip(ended.attempts, sent, strict=True):
        size = output_bytes(body)
        if not 0 <= record.discarded_bytes <= size:
            problems.append(f"{record.discarded_bytes} bytes thrown away of {size}")
        # The last event counts with its blank line only, unless the body ended in good order.
        whole = (size, output_bytes(body[: body.rfind(b"\n\n") + 2]))
        if record.decision == "retry" and record.discarded_bytes not in whole:
            problems.append(f"retry, and {record.discarded_bytes} bytes of {size} thrown away")
    assert problems == []
    return Played(ended=ended, requests=transport.requests, events=events)


def output_bytes(body: bytes) -> int:
    """UTF-8 bytes of text, reasoning and arguments that a server sent."""
    answer = SentAnswer.of(body)
    texts = [answer.text, answer.reasoning, *(call.arguments for call in answer.calls)]
    return sum(len(text.encode()) for text in texts)


def refused(body: Mapping[str, JsonValue]) -> Iterator[str]:
    """What strict servers refuse in a request's history: all of them together."""
    messages = body["messages"]
    assert isinstance(messages, list)
    open_calls: list[str] = []
    used: set[str] = set()
    before = ""
    for message in messages:
        assert isinstance(message, dict)
        role, content, calls = message["role"], message.get("content"), message.get("tool_calls")
        if role != "tool" and open_calls:
            yield f"{', '.join(open_calls)} unanswered before a message of role {role}"
            open_calls = []
        match role:
            case "system" if before:
                yield "a system message that is not the first"
            case "user" if not content:
                yield "a user message without content"
            case "assistant":
                if before not in ("user", "tool"):
                    yield f"the model speaks after {before or 'nobody'}"
                if not calls and not content:
                    yield "an answer with neither content nor calls"
                if content == "" or calls == []:
                    yield "empty content or calls that should be left out"
                for call in calls if isinstance(calls, list) else []:
                    assert isinstance(call, dict)
                    id_, function = str(call["id"]), call["function"]
                    assert isinstance(function, dict)
                    if not id_ or id_ in used:
                        yield f"the id {id_!r} twice"
                    used.add(id_)
                    open_calls.append(id_)
                    if not function["name"]:
                        yield "a call without a name"
                    if not isinstance(json.loads(str(function["arguments"])), dict):
                        yield f"arguments that are no object: {function['arguments']}"
            case "tool":
                if message["tool_call_id"] not in open_calls:
                    yield f"an answer to {message['tool_call_id']}, which nobody called just before"
                else:
                    open_calls.remove(str(message["tool_call_id"]))
                if not content:
                    yield "a tool's answer without content"
            case _:
                pass
        before = str(role)
    if open_calls:
        yield f"{', '.join(open_calls)} unanswered"
    if before not in ("user", "tool"):
        yield f"the last message is of role {before}"


def is_beginning(path: Path, text: str) -> bool:
    """The file holds whole lines of the text, from its first on, or is not there."""
    whole = text.encode()
    there = path.read_bytes() if path.exists() else b""
    return whole.startswith(there) and (there == whole or not there or there.endswith(b"\n"))


def long_text(lines: int) -> str:
    return "".join(
        f"{number:>5}. Move table t{number * 7919 % 30_011:05} to the new store.\n"
        for number in range(1, lines + 1)
    )


# --- cut at every byte ----------------------------------------------------------------------

UNICODE = "".join(
    line
    for number in range(7)
    for line in (f"{number} é\n", '"\\n\t\n', "😀\r\n", "日\x01\n" if number % 3 else "\n")
)
SHORT = "".join(f"{number} 😀é\n" for number in range(5))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two models that write a file each, in parallel calls of one answer."""

    one: ScriptedModel
    two: ScriptedModel

    def __call__(self, body: Mapping[str, JsonValue]) -> Answer:
        calls: list[Call] = []
        for name, model in (("a", self.one), ("b", self.two)):
            answer = model(self._only(body, model.path))
            calls += [
                Call(name=call.name, arguments=call.arguments, id=f"{name}{call.id}")
                for call in answer.calls
            ]
        count = len(body["messages"])  # type: ignore[arg-type]
        return Answer(
            text="" if calls else "Both are written.",
            calls=tuple(
                Call(name=call.name, arguments=call.arguments, id=f"{call.id}_{count}")
                for call in calls
            ),
        )

    @staticmethod
    def _only(body: Mapping[str, JsonValue], path: str) -> JsonObject:
        """The conversation as far as it is about one path."""
        messages: list[JsonValue] = []
        ids: set[JsonValue] = set()
        for message in body["messages"]:  # type: ignore[union-attr]
            assert isinstance(message, dict)
            calls = message.get("tool_calls") or []
            assert isinstance(calls, list)
            own: list[JsonValue] = [
                call
                for call in calls
                if json.loads(call["function"]["arguments"]).get("path") == path  # type: ignore[index,call-overload,arg-type]
            ]
            if message["role"] == "tool":
                if message["tool_call_id"] in ids:
                    messages.append(message)
            elif message["role"] == "user" or own:
                ids.update(call["id"] for call in own)  # type: ignore[index,call-overload]
                messages.append({**message, "tool_calls": own})
        return {**body, "messages": messages}


def escaped(answer: Answer) -> Answer:
    """The arguments with escapes for all that is not ASCII, as some models write them."""
    return Answer(
        text=answer.text,
        calls=tuple(
            Call(
                name=call.name,
                arguments=json.dumps(json.loads(call.arguments), ensure_ascii=True),
                id=call.id,
            )
            for call in answer.calls
        ),
    )


def unescaped(answer: Answer) -> Answer:
    """The arguments with characters as they are."""
    return Answer(
        text=answer.text,
        calls=tuple(
            Call(
                name=call.name,
                arguments=json.dumps(json.loads(call.arguments), ensure_ascii=False),
                id=call.id,
            )
            for call in answer.calls
        ),
    )


ONE = ScriptedModel(path="plan.md", text=UNICODE)
PAIR = Pair(
    one=ScriptedModel(path="a.md", text=SHORT), two=ScriptedModel(path="b.md", text=UNICODE)
)
WRITERS: dict[str, tuple[Callable[[Mapping[str, JsonValue]], Answer], Mapping[str, str]]] = {
    "escapes": (lambda body: escaped(ONE(body)), {"plan.md": UNICODE}),
    "characters": (lambda body: unescaped(ONE(body)), {"plan.md": UNICODE}),
    "two calls": (lambda body: unescaped(PAIR(body)), {"a.md": SHORT, "b.md": UNICODE}),
}


def opening(model: Callable[[Mapping[str, JsonValue]], Answer]) -> Answer:
    return model({"messages": [{"role": "user", "content": "Write it."}], "tools": []})


def cut_once(
    folder: Path,
    model: Callable[[Mapping[str, JsonValue]], Answer],
    texts: Mapping[str, str],
    at: Place,
    by: Ending,
    **options: Any,
) -> Played:
    """A run whose first answer is cut; at every request each file is a beginning of its text."""
    folder.mkdir()

    def respond(request: RecordedRequest) -> Reply:
        for name, text in texts.items():
            assert is_beginning(folder / name, text), name
        reply = stream(model(request.body), piece=PIECE)
        return cut(reply, at=at, by=by) if request.number == 1 else reply

    played = play(folder, respond, **options)
    for name, text in texts.items():
        assert (folder / name).read_bytes() == text.encode(), name
    for draft in played.result.drafts:
        # No whole call went on from it, for it was the whole.
        lines = texts[draft.target].count("\n")
        assert draft.draft_id == ""
        assert draft.on_disk.startswith(f'"{draft.target}" has {lines} lines on disk')
    assert not (folder / ".agentcore").exists()
    return played


@pytest.mark.parametrize("writer", WRITERS)
def test_cut_at_every_byte_of_its_arguments_a_file_comes_out_right(
    writer: str, tmp_path: Path
) -> None:
    model, texts = WRITERS[writer]
    size = sum(len(call.arguments.encode()) for call in opening(model).calls)
    endings = itertools.cycle(ENDINGS.values())
    decided: Counter[str] = Counter()
    for at in range(size + 1):
        played = cut_once(
            tmp_path / f"{at}", model, texts, after_arguments(at), next(endings), listen=False
        )
        decided[played.decisions[0]] += 1
    # Less than twenty lines are asked for again; from there on what arrived is kept.
    assert set(decided) == {"keep", "retry"}
    assert decided["keep"] > size / 10


def test_cut_at_every_byte_of_the_stream_a_file_comes_out_right(tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=UNICODE[:24])
    texts = {model.path: model.text}
    endings = itertools.cycle(ENDINGS.values())
    for at in range(len(stream(opening(model), piece=PIECE).body) + 1):
        cut_once(tmp_path / f"{at}", model, texts, after_bytes(at), next(endings), listen=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_large_call_cut_anywhere_comes_out_right(backend: Backend, tmp_path: Path) -> None:
    text = long_text(3_000)
    assert len(text) > 125_000
    model = ScriptedModel(path="plan.md", text=text)
    size = len(stream(opening(model), piece=PIECE).body)
    chance = random.Random(5)
    endings = itertools.cycle(ENDINGS.values())
    for number in range(30):
        at = after_bytes(chance.randrange(size))
        cut_once(
            tmp_path / f"{number}",
            model,
            {"plan.md": text},
            at,
            next(endings),
            backend=backend,
            listen=False,
        )


# --- models of every kind, and gateways that never hold a connection long enough --------------

PLAN = long_text(300)


def killing(
    model: Callable[[Mapping[str, JsonValue]], Answer],
    percent: float,
    by: Ending,
    *,
    limit: int = 99,
    of: str = "",
    look: Callable[[], None] = lambda: None,
) -> Callable[[RecordedRequest], Reply]:
    """A gateway that ends every answer after so many percent of the plan's arguments."""
    most = int(len(json.dumps(of or PLAN)) * percent / 100)

    def respond(request: RecordedRequest) -> Reply:
        assert request.number <= limit, "the run does not end"
        look()
        answer = model(request.body)
        reply = stream(answer, piece=PIECE)
        size = sum(len(call.arguments.encode()) for call in answer.calls)
        return cut(reply, at=after_arguments(most), by=by) if size > most else reply

    return respond


def is_told_truly(error: RunError, path: Path) -> bool:
    """What the person reads about a file is what is on disk."""
    if not path.exists():
        return "lines on disk" not in str(error)
    return f'"{path.name}" has {path.read_bytes().count(10)} lines on disk' in str(error)


@pytest.mark.parametrize("by", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("percent", [8, 21, 45, 80])
@pytest.mark.parametrize("temperament", [each for each in Temperament if each != "switches-tool"])
def test_any_model_ends_with_the_right_file_or_a_true_error(
    temperament: Temperament, percent: float, by: Ending, tmp_path: Path
) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN, temperament=temperament)
    target = tmp_path / "plan.md"

    def look() -> None:
        assert is_beginning(target, PLAN)

    played = play(tmp_path, killing(model, percent, by, look=look))

    if temperament is Temperament.STUBBORN:
        assert is_beginning(target, PLAN)
        assert is_told_truly(played.error, target)
        assert [draft.target for draft in played.error.drafts] == ["plan.md"]
    else:
        assert target.read_text() == PLAN
        assert played.result.drafts == ()
    assert not (tmp_path / ".agentcore").exists()


# Sections of such a text look like what is there; none of them was ever ended after a cut.
@pytest.mark.parametrize(
    "rows",
    [["a row\n"], ["\n"], ["| a | 1 |\n", "| b | 2 |\n"], [f"row {n}\n" for n in range(25)]],
    ids=["same", "blank", "two", "many"],
)
@pytest.mark.parametrize("percent", [7, 20, 60])
def test_a_text_in_a_rhythm_is_ended(rows: list[str], percent: float, tmp_path: Path) -> None:
    text = "# Rows\n" + "".join(rows) * (1_000 // len(rows))
    model = ScriptedModel(path="plan.md", text=text)
    played = play(tmp_path, killing(model, percent, RESET, of=text))
    assert isinstance(played.ended, RunResult)
    assert (tmp_path / "plan.md").read_text() == text


def test_a_second_version_of_a_file_is_not_put_after_the_first(tmp_path: Path) -> None:
    """Cut before the place in which they differ, it is parked and the file left as it is."""
    second = NOTE.replace("Line 50", "LINE 50")
    again = Answer(calls=(Call(name="write_file", arguments=arguments(second), id="call_0002"),))

    def respond(request: RecordedRequest) -> Reply | Answer:
        match request.number:
            case 1:
                return Answer(calls=(Call(name="write_file", arguments=arguments(NOTE)),))
            case 2:
                return cut(stream(again, piece=PIECE), at=after_line(40), by=RESET)
            case 3:
                assert (tmp_path / "plan.md").read_text() == NOTE
                rest = "".join(second.splitlines(keepends=True)[40:])
                made = arguments(rest, resume=the_draft(tmp_path), start_line=41)
                return Answer(calls=(Call(name="write_file", arguments=made, id="call_0003"),))
            case _:
                return Answer(text="Done.")

    played = play(tmp_path, respond)

    assert (tmp_path / "plan.md").read_text() == second
    assert played.result.drafts == ()


@pytest.mark.parametrize("lines_off", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("temperament", [Temperament.OVERLAPS, Temperament.FORGETS])
def test_lines_that_come_again_or_too_early_or_too_late_are_mended(
    temperament: Temperament, lines_off: int, tmp_path: Path
) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN, temperament=temperament, lines_off=lines_off)
    played = play(tmp_path, killing(model, 9, RESET))
    assert isinstance(played.ended, RunResult)
    assert (tmp_path / "plan.md").read_text() == PLAN


@pytest.mark.parametrize("percent", [8, 45])
def test_one_that_is_deaf_for_two_cuts_comes_to_the_right_file(
    percent: float, tmp_path: Path
) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN, temperament=Temperament.STUBBORN, deaf_for=2)
    played = play(tmp_path, killing(model, percent, NETWORK_LOST))
    assert (tmp_path / "plan.md").read_text() == PLAN
    assert played.result.drafts == ()


def test_one_that_switches_to_a_program_comes_to_the_right_file(tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN, temperament=Temperament.SWITCHES_TOOL)
    played = play(
        tmp_path,
        killing(model, 30, RESET),
        tools=[write_file, execute_code],
        allow_unconfined=[] if not execute_code.why_unconfined else ["execute_code"],
    )
    assert isinstance(played.ended, RunResult)
    assert (tmp_path / "plan.md").read_text() == PLAN


@pytest.mark.parametrize("percent", [8, 45, 80])
@pytest.mark.parametrize(
    "temperament",
    [Temperament.OBEDIENT, Temperament.REPEATS, Temperament.STUBBORN, Temperament.OVERLAPS],
)
def test_a_file_of_somebody_else_is_as_it_was_until_a_whole_write_replaces_it(
    temperament: Temperament, percent: float, tmp_path: Path
) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN, temperament=temperament)
    old = "not yours\n" * 40
    target = tmp_path / "plan.md"
    target.write_text(old)
    seen: list[str] = []

    def look() -> None:
        seen.append(target.read_text())

    played = play(tmp_path, killing(model, percent, RESET, look=look, limit=60))

    # First the old one; from the first whole write on, what this run has written.
    writes = [text for text in seen if text != old]
    assert seen == [old] * (len(seen) - len(writes)) + writes
    assert all(PLAN.startswith(text) for text in writes)
    if temperament is Temperament.STUBBORN:
        assert target.read_text() == old
        (draft,) = DraftStore(tmp_path).all()
        assert PLAN.startswith(draft.text)
        assert f"{draft.lines} lines of it are kept as draft {draft.id}" in str(played.error)
        assert [one.draft_id for one in played.error.drafts] == [draft.id]
    else:
        assert target.read_text() == PLAN
        assert played.result.drafts == ()
        assert not (tmp_path / ".agentcore").exists()


def test_a_whole_write_that_holds_a_parked_text_leaves_none_behind(tmp_path: Path) -> None:
    (tmp_path / "plan.md").write_text("old\n")
    whole = stream(ScriptedModel(path="plan.md", text=PLAN)({"messages": []}), piece=PIECE)
    again = stream(
        Answer(calls=(Call(name="write_file", arguments=arguments(PLAN), id="call_0002"),))
    )

    played = play(tmp_path, [cut(whole, at=after_line(50), by=RESET), again, Answer(text="Done.")])

    assert (tmp_path / "plan.md").read_text() == PLAN
    assert played.result.drafts == ()
    assert not (tmp_path / ".agentcore").exists()


def arguments(content: str, **fields: JsonValue) -> str:
    return json.dumps({"path": "plan.md", "mode": "overwrite", **fields, "content": content})


# --- progress, and none ---------------------------------------------------------------------


def test_progress_refills_the_attempts(tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN)
    respond = killing(model, 20, RESET)
    policy = Policy(max_attempts=2)

    def every_second(request: RecordedRequest) -> Reply:
        return Reply(steps=RESET) if request.number % 2 else respond(request)

    played = play(tmp_path, every_second, policy=policy)

    assert (tmp_path / "plan.md").read_text() == PLAN
    assert played.decisions.count("retry") > policy.max_attempts


@pytest.mark.parametrize("backend", BACKENDS)
def test_cuts_at_the_same_place_without_a_new_line_end_the_run(
    backend: Backend, tmp_path: Path
) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN, temperament=Temperament.STUBBORN)

    played = play(tmp_path, killing(model, 45, RESET), backend=backend)

    kept = (tmp_path / "plan.md").read_text()
    lines = kept.count("\n")
    assert 100 < lines < 150
    assert PLAN.startswith(kept)
    assert played.decisions == ["keep"] * len(played.decisions)
    assert [event.new_lines for event in played.of(DraftKept)] == [lines]
    assert str(played.error).startswith("The run stopped: ")
    assert "cuts in a row in write_file: nothing further of its text got through" in str(
        played.error
    )
    last = kept.splitlines()[-1]
    assert f'"plan.md" has {lines} lines on disk; they are safe. The last of them is: {last}' in (
        str(played.error)
    )
    (draft,) = played.error.drafts
    assert (draft.tool, draft.target, draft.draft_id) == ("write_file", "plan.md", "")


def test_a_run_that_stops_for_good_in_a_long_call_keeps_what_arrived(tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN)
    quota = in_stream_error(
        {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota."}}
    )

    played = play(tmp_path, killing(model, 45, quota))

    assert played.decisions == ["stop"]
    kept = (tmp_path / "plan.md").read_text()
    assert is_beginning(tmp_path / "plan.md", PLAN)
    assert is_told_truly(played.error, tmp_path / "plan.md")
    assert kept.count("\n") > 100


def test_with_drafts_off_nothing_is_kept_and_nothing_stored(tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN)
    stored: list[Path] = []

    played = play(
        tmp_path,
        killing(model, 80, RESET, look=lambda: stored.extend(tmp_path.iterdir())),
        policy=Policy(keep_drafts=False),
    )

    assert played.decisions == ["retry", "retry", "stop"]
    assert [*stored, *tmp_path.iterdir()] == []
    assert played.error.drafts == ()
    assert played.of(DraftKept) == []


# --- what is told and counted ---------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_kept_is_told(backend: Backend, tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN)
    respond = killing(model, 45, RESET)
    played = play(
        tmp_path,
        lambda request: respond(request) if request.number == 1 else stream(model(request.body)),
        backend=backend,
    )

    (kept,) = played.of(DraftKept)
    lines = PLAN.splitlines(keepends=True)[: kept.new_lines]
    assert kept == DraftKept(
        turn=1,
        attempt=1,
        call_id="call_0001",
        name="write_file",
        target="plan.md",
        draft_id="",
        new_lines=kept.new_lines,
        new_bytes=len("".join(lines).encode()),
    )
    record = played.result.attempts[0]
    assert record.kept == f"{kept.new_lines} lines of write_file"
    # All that is thrown away is the line in which it was cut.
    assert 0 <= record.discarded_bytes < len(lines[0]) + 2
    assert f"What arrived is kept: {kept.new_lines} new lines" in played.last_result(1)
    assert played.of(DraftsFound) == []


def test_drafts_of_earlier_runs_are_told_first(tmp_path: Path) -> None:
    draft = DraftStore(tmp_path).park(
        tool="write_file", argument="content", fields={"path": "a.md"}, text="1\n2\n"
    )

    played = play(tmp_path, [Answer(text="Nothing to do.")])

    assert played.events[0] == DraftsFound(turn=0, attempt=0, drafts=(draft,))
    assert played.result.drafts == ()


# --- parked drafts --------------------------------------------------------------------------


@tool(draft="text")
def save_note(name: str, text: str, context: ToolContext) -> ToolResult:
    """Save a note."""
    (context.workspace / name).write_text(text)
    return ToolResult(content=f"{name} is saved.", changed=True)


LINES = [f"Line {number} of the note.\n" for number in range(1, 61)]
NOTE = "".join(LINES)


def note(content: str, id_: int = 1, **fields: JsonValue) -> Answer:
    made = json.dumps({"name": "note.md", **fields, "text": content})
    return Answer(calls=(Call(name="save_note", arguments=made, id=f"call_{id_:04}"),))


def begun(content: str, id_: int = 1, **fields: JsonValue) -> Reply:
    """A note, cut in the line after so much of it."""
    whole = stream(note(content + "half a li", id_, **fields), piece=PIECE)
    return cut(whole, at=before_end, by=RESET)


def before_end(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Before the quote that ends the text."""
    size = sum(len(step.arguments.encode()) for step in steps if isinstance(step, Send))
    return after_arguments(size - len('"}'))(steps)


def the_draft(workspace: Path) -> str:
    (draft,) = DraftStore(workspace).all()
    return draft.id


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tool_takes_part_with_one_word(backend: Backend, tmp_path: Path) -> None:
    def respond(request: RecordedRequest) -> Reply | Answer:
        if request.number == 1:
            return begun("".join(LINES[:40]))
        if request.number == 2:
            rest = "".join(LINES[40:])
            return note(rest, 2, resume=the_draft(tmp_path), start_line=41)
        return Answer(text="Saved.")

    played = play(tmp_path, respond, tools=[save_note], backend=backend)

    assert (tmp_path / "note.md").read_text() == NOTE
    (kept,) = played.of(DraftKept)
    assert (kept.new_lines, kept.target) == (40, "")
    assert played.last_result(1).startswith("Your call of save_note was cut: ")
    assert (
        f"40 lines of it are kept as draft {kept.draft_id}, and are in no file yet. The last of "
        "them is: Line 40 of the note."
    ) in played.last_result(1)
    assert f'save_note with name="note.md", resume="{kept.draft_id}", start_line=41' in (
        played.last_result(1)
    )
    assert played.last_result(2) == "note.md is saved."
    assert played.result.drafts == ()
    assert not (tmp_path / ".agentcore").exists()


def resumed(tmp_path: Path, call: Callable[[str], Answer | Reply], *more: Answer) -> Played:
    """A note that was cut after 40 lines, and the call that goes on with it."""
    after = iter(more)

    def respond(request: RecordedRequest) -> Reply | Answer:
        if request.number == 1:
            return begun("".join(LINES[:40]))
        if request.number == 2:
            return call(the_draft(tmp_path))
        return next(after, Answer(text="Saved."))

    return play(tmp_path, respond, tools=[save_note])


@pytest.mark.parametrize(
    ("first", "start_line"),
    [(38, 39), (38, 41), (38, None), (39, None), (40, None), (0, 1)],
    ids=["states it", "states the end", "states nothing", "one line", "right", "from the first"],
)
def test_lines_that_a_draft_holds_are_not_put_in_twice(
    tmp_path: Path, first: int, start_line: int | None
) -> None:
    rest = "".join(LINES[first:])
    resumed(tmp_path, lambda id_: note(rest, 2, resume=id_, start_line=start_line))

    assert (tmp_path / "note.md").read_text() == NOTE


@pytest.mark.parametrize(("first", "start_line"), [(45, 46), (20, 42), (41, 40)])
def test_a_text_that_is_meant_for_another_line_is_refused(
    tmp_path: Path, first: int, start_line: int
) -> None:
    rest = "".join(LINES[first:])
    played = resumed(tmp_path, lambda id_: note(rest, 2, resume=id_, start_line=start_line))

    id_ = the_draft(tmp_path)
    assert played.last_result() == (
        f"Draft {id_} has 40 lines, so its text goes on at line 41, not at {start_line}. Nothing "
        "was written. Its last line is: Line 40 of the note."
    )
    assert not (tmp_path / "note.md").exists()
    (draft,) = played.result.drafts
    assert (draft.draft_id, draft.tool) == (id_, "save_note")


@pytest.mark.parametrize("id_", ["nosuch", "../../secret", "é", " "])
def test_an_unknown_draft_is_answered_with_those_that_there_are(tmp_path: Path, id_: str) -> None:
    played = resumed(tmp_path, lambda _: note("".join(LINES[40:]), 2, resume=id_))

    assert played.last_result() == (f"there is no draft {id_!r} (there are: {the_draft(tmp_path)})")
    assert not (tmp_path / "note.md").exists()


def test_without_an_id_a_call_is_a_whole_one(tmp_path: Path) -> None:
    played = resumed(tmp_path, lambda _: note(NOTE, 2, resume=None, start_line=None))

    assert (tmp_path / "note.md").read_text() == NOTE
    assert played.last_result() == "note.md is saved."


def test_a_resumed_call_that_fails_keeps_the_draft(tmp_path: Path) -> None:
    played = resumed(tmp_path, lambda id_: note(NOTE, 2, resume=id_, name="no/such/note.md"))

    assert "FileNotFoundError" in played.last_result()
    assert [draft.draft_id for draft in played.result.drafts] == [the_draft(tmp_path)]


def test_cut_again_while_it_is_resumed(tmp_path: Path) -> None:
    def respond(request: RecordedRequest) -> Reply | Answer:
        match request.number:
            case 1:
                return begun("".join(LINES[:20]))
            case 2:
                return begun("".join(LINES[20:45]), 2, resume=the_draft(tmp_path), start_line=21)
            case 3:
                # with the last two lines once more
                return begun("".join(LINES[43:50]), 3, resume=the_draft(tmp_path), start_line=46)
            case 4:
                return note("".join(LINES[50:]), 4, resume=the_draft(tmp_path), start_line=51)
            case _:
                return Answer(text="Saved.")

    played = play(tmp_path, respond, tools=[save_note], policy=Policy(max_attempts=1))

    assert (tmp_path / "note.md").read_text() == NOTE
    assert [event.new_lines for event in played.of(DraftKept)] == [20, 25, 5]
    assert len({event.draft_id for event in played.of(DraftKept)}) == 1
    assert played.result.drafts == ()


# The place that was stated was forgotten, and the file had a gap that nobody saw.
def test_what_was_cut_at_a_wrong_line_is_refused_when_it_is_resumed_too(tmp_path: Path) -> None:
    def append(content: str, number: int, **fields: JsonValue) -> Answer:
        made = arguments(content, mode="append", **fields)
        return Answer(calls=(Call(name="write_file", arguments=made, id=f"call_{number:04d}"),))

    def respond(request: RecordedRequest) -> Reply | Answer:
        match request.number:
            case 1:
                first = arguments("".join(LINES[:5]), mode="create")
                return Answer(calls=(Call(name="write_file", arguments=first),))
            case 2:
                ahead = stream(append("".join(LINES[8:]), 2, start_line=9), piece=PIECE)
                return cut(ahead, at=after_line(40), by=RESET)
            case 3:
                rest = "".join(LINES[48:])
                return append(rest, 3, resume=the_draft(tmp_path), start_line=41)
            case 4:
                return append("".join(LINES[5:8]), 4, start_line=6)
            case 5:
                rest = "".join(LINES[48:])
                return append(rest, 5, resume=the_draft(tmp_path), start_line=41)
            case _:
                return Answer(text="Done.")

    played = play(tmp_path, respond)

    assert played.last_result(3).startswith(
        "plan.md has 5 lines, so an append begins at line 6, not at 9. Nothing was written."
    )
    assert (tmp_path / "plan.md").read_text() == NOTE
    assert played.result.drafts == ()


# It ended the run with an exception of ours.
def test_cut_while_it_is_resumed_at_a_wrong_line(tmp_path: Path) -> None:
    rest = "".join(LINES[20:55])
    played = resumed(tmp_path, lambda id_: begun(rest, 2, resume=id_, start_line=45))

    id_ = the_draft(tmp_path)
    assert f"Draft {id_} has 40 lines, so its text goes on at line 41, not at 45." in (
        played.last_result()
    )
    assert f'resume="{id_}", start_line=41' in played.last_result()


def test_cut_while_an_unknown_draft_is_resumed(tmp_path: Path) -> None:
    rest = "".join(f"Another line {number}.\n" for number in range(30))
    played = resumed(tmp_path, lambda _: begun(rest, 2, resume="nosuch", start_line=41))

    texts = [draft.text for draft in DraftStore(tmp_path).all()]
    assert sorted(texts) == sorted(["".join(LINES[:40]), rest])
    assert len(played.result.drafts) == 2


def test_two_drafts_are_kept_apart(tmp_path: Path) -> None:
    other = [line.replace("note", "other note") for line in LINES]
    store = DraftStore(tmp_path)

    def id_of(text: str) -> str:
        return next(draft.id for draft in store.all() if draft.text.startswith(text))

    def respond(request: RecordedRequest) -> Reply | Answer:
        match request.number:
            case 1:
                return begun("".join(LINES[:30]))
            case 2:
                return begun("".join(other[:25]), 2, name="other.md")
            case 3:
                rest = "".join(LINES[30:])
                return note(rest, 3, resume=id_of(LINES[0]), start_line=31)
            case 4:
                rest = "".join(other[25:])
                return note(rest, 4, resume=id_of(other[0]), start_line=26, name="other.md")
            case _:
                return Answer(text="Saved.")

    played = play(tmp_path, respond, tools=[save_note])

    assert (tmp_path / "note.md").read_text() == NOTE
    assert (tmp_path / "other.md").read_text() == "".join(other)
    assert played.result.drafts == ()


def test_a_tool_with_a_parameter_of_that_name_is_left_alone(tmp_path: Path) -> None:
    got: list[object] = []

    @tool(draft="text")
    def go_on(resume: bool, text: str) -> str:
        got.append((resume, text))
        return "done"

    assert go_on.spec.parameters == go_on.parameters
    made = json.dumps({"resume": True, "text": NOTE})
    whole = Answer(calls=(Call(name="go_on", arguments=made),))
    played = play(
        tmp_path,
        [
            cut(stream(whole, piece=PIECE), at=after_line(30, of="text"), by=RESET),
            Answer(calls=(Call(name="go_on", arguments=made, id="call_0002"),)),
            Answer(text="Done."),
        ],
        tools=[go_on],
    )

    assert got == [(True, NOTE)]
    assert len(DraftStore(tmp_path).all()) == len(played.result.drafts) == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
def test_a_hook_stores_what_arrived_where_it_belongs(
    is_async: bool, backend: Backend, tmp_path: Path
) -> None:
    store: dict[str, str] = {}

    @tool(writes="key", draft="value")
    def put(key: str, value: str) -> ToolResult:
        store[key] = store.get(key, "") + value
        return ToolResult(content="stored", changed=True)

    def keep(cut: CutDraft) -> Continuation:
        key = str(cut.fields["key"])
        store[key] = store.get(key, "") + cut.text
        lines = store[key].count("\n")
        return Continuation(
            on_disk=f"{key} has {lines} lines.",
            next_call=f"key={key}",
            new_lines=cut.text.count("\n"),
        )

    @put.on_cut
    def keep_it(_: ToolContext, cut: CutDraft) -> Continuation:
        return keep(cut)

    if is_async:

        @put.on_cut
        async def keep_it_later(_: ToolContext, cut: CutDraft) -> Continuation:
            return keep(cut)

    def call(text: str, id_: str) -> Answer:
        made = json.dumps({"key": "k", "value": text})
        return Answer(calls=(Call(name="put", arguments=made, id=id_),))

    played = play(
        tmp_path,
        [
            cut(stream(call(NOTE, "one"), piece=PIECE), at=after_line(30, of="value"), by=RESET),
            call("".join(LINES[30:]), "two"),
            Answer(text="Done."),
        ],
        tools=[put],
        backend=backend,
    )

    assert store == {"k": NOTE}
    assert "k has 30 lines." in played.last_result(1)
    assert "Next call: put with key=k and at most" in played.last_result(1)
    (kept,) = played.of(DraftKept)
    assert (kept.target, kept.draft_id, kept.new_lines) == ("k", "", 30)
    assert played.result.drafts == ()


@pytest.mark.parametrize("raises", [True, False], ids=["raises", "says nothing"])
def test_when_a_hook_cannot_store_it_the_text_is_parked(raises: bool, tmp_path: Path) -> None:
    @tool(draft="text")
    def save(text: str) -> str:
        return text

    @save.on_cut
    def fail(context: ToolContext, cut: CutDraft) -> Continuation | None:
        if raises:
            raise RuntimeError("no")
        return None

    whole = stream(
        Answer(calls=(Call(name="save", arguments=json.dumps({"text": NOTE})),)), piece=PIECE
    )
    played = play(
        tmp_path,
        [cut(whole, at=after_line(30, of="text"), by=RESET), Answer(text="Never mind.")],
        tools=[save],
    )

    (draft,) = DraftStore(tmp_path).all()
    assert draft.text == "".join(LINES[:30])
    assert f'save with resume="{draft.id}", start_line=31' in played.last_result()
    assert [one.draft_id for one in played.result.drafts] == [draft.id]


def test_what_cannot_be_stored_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".agentcore").write_text("in the way")

    played = play(tmp_path, [begun("".join(LINES[:40])), Answer(text="Oh.")], tools=[save_note])

    assert "Nothing of it could be kept (" in played.last_result()
    assert "is kept" not in played.last_result()
    assert "resume=" not in played.last_result()
    assert played.of(DraftKept) == []
    assert played.result.drafts == ()


def test_a_capped_call_is_kept_like_any_other(tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN)
    played = play(tmp_path, killing(model, 30, finish("length")))

    assert (tmp_path / "plan.md").read_text() == PLAN
    assert "your answer reached the output cap" in played.last_result(1)


def test_malformed_after_good_lines_is_kept_to_the_last_good_one(tmp_path: Path) -> None:
    head = json.dumps({"path": "plan.md", "mode": "create", "content": "".join(LINES)})[:-2]
    bad = Answer(calls=(Call(name="write_file", arguments=head + '\\q and on\\n"}'),))

    played = play(
        tmp_path,
        [bad, Answer(text="Never mind.")],
    )

    assert played.decisions == ["keep", "accept"]
    assert (tmp_path / "plan.md").read_text() == NOTE
    assert "What was valid of its text is kept: 60 new lines." in played.last_result()


def test_a_cut_in_the_path_keeps_nothing_and_names_nothing(tmp_path: Path) -> None:
    whole = stream(Answer(calls=(Call(name="write_file", arguments=arguments(PLAN)),)))
    lost = cut(whole, at=inside_value("path"), by=RESET)

    played = play(tmp_path, [lost, lost, Answer(text="Never mind.")])

    assert played.decisions == ["retry", "keep", "accept"]
    assert "plan" not in played.last_result()
    assert list(tmp_path.iterdir()) == []


# --- long text answers ----------------------------------------------------------------------

ANSWER = "".join(f"{number}. A sentence of the é answer 日本.\n" for number in range(1, 251))
PARAGRAPH = ANSWER.replace("\n", " ")


def going_on(
    text: str, by: Ending, places: Sequence[int], again: int = 0
) -> Callable[[RecordedRequest], Reply]:
    """A model that says one text, and after a cut repeats some lines and goes on.

    Args:
        text: All of it.
        by: How each of its answers is cut.
        places: Where, in characters of the answer; those after them come through.
        again: How many lines of what stands there it repeats.
    """

    def respond(request: RecordedRequest) -> Reply:
        messages = request.body["messages"]
        assert isinstance(messages, list)
        done = 0
        for message in messages:
            assert isinstance(message, dict)
            if message["role"] == "assistant":
                part = str(message["content"])
                begin = back(text, done, again)
                assert text.startswith(part, begin)
                done = begin + len(part)
        reply = stream(Answer(text=text[back(text, done, again) :]), piece=50)
        if request.number > len(places):
            return reply
        return cut(reply, at=after_events(1 + places[request.number - 1] // 50), by=by)

    return respond


def back(text: str, at: int, lines: int) -> int:
    """Where so many lines before a line's end begin."""
    for _ in range(lines if at else 0):
        at = text.rfind("\n", 0, max(at - 1, 0)) + 1
    return at


@pytest.mark.parametrize("by", [*ENDINGS.values(), finish("length")], ids=[*ENDINGS, "capped"])
@pytest.mark.parametrize("text", [ANSWER, PARAGRAPH], ids=["lines", "paragraph"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_long_text_is_kept_and_gone_on_with(
    by: Ending, text: str, backend: Backend, tmp_path: Path
) -> None:
    for place in range(2_500, len(text) - 100, 700):
        played = play(tmp_path, going_on(text, by, [place]), backend=backend)
        assert played.result.text == text
        assert played.decisions == ["keep", "accept"]
        (kept,) = played.of(TextKept)
        first = played.result.messages[1]
        assert kept.kept_bytes == len(first.content.encode())
        assert text.startswith(first.content)
        assert "Go on right after it." in played.last_result()
        # The ledger counts the rest of a line, or of a word, as thrown away.
        received = output_bytes(bytes(played.requests[0].sent))
        assert kept.kept_bytes + played.result.attempts[0].discarded_bytes == received


@pytest.mark.parametrize("again", [0, 1, 2, 5])
def test_a_text_that_is_cut_often_and_repeats_its_last_lines_is_joined(
    again: int, tmp_path: Path
) -> None:
    played = play(tmp_path, going_on(ANSWER, RESET, [2_400, 2_300, 2_600], again))

    assert played.result.text == ANSWER
    assert played.decisions == ["keep", "keep", "keep", "accept"]


def test_a_short_text_is_asked_for_again(tmp_path: Path) -> None:
    played = play(
        tmp_path,
        [cut(stream(Answer(text="x" * 1_900)), at=after_events(20), by=RESET), Answer(text="y")],
    )

    assert played.decisions == ["retry", "accept"]
    assert played.result.text == "y"
    assert played.of(TextKept) == []


# It went on for ever.
def test_a_text_that_makes_no_progress_ends_the_run(tmp_path: Path) -> None:
    def respond(request: RecordedRequest) -> Reply:
        assert request.number <= 20, "the run does not end"
        return cut(stream(Answer(text=ANSWER), piece=50), at=after_events(60), by=RESET)

    played = play(tmp_path, respond)

    assert played.decisions == ["keep"] * 4
    assert "3 cuts in a row in a text answer that brought nothing new" in str(played.error)


def test_a_text_that_begins_anew_is_joined_all_the_same(tmp_path: Path) -> None:
    places = iter([100, 60, 120])

    def respond(request: RecordedRequest) -> Reply:
        reply = stream(Answer(text=ANSWER), piece=50)
        place = next(places, None)
        return reply if place is None else cut(reply, at=after_events(place), by=RESET)

    played = play(tmp_path, respond)

    assert played.decisions == ["keep", "keep", "keep", "accept"]
    assert played.result.text == ANSWER


def test_a_conversation_goes_on_after_a_text_that_was_kept(tmp_path: Path) -> None:
    first = play(tmp_path, going_on(ANSWER, RESET, [3_000]))
    second = play(tmp_path, [Answer(text="Yes.")], messages=first.result.messages)

    assert second.result.text == "Yes."


def test_limits_count_sections_as_progress(tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=PLAN, temperament=Temperament.OBEDIENT)
    played = play(tmp_path, killing(model, 8, RESET), limits=Limits(idle_turns=1))
    assert isinstance(played.ended, RunResult)
    assert (tmp_path / "plan.md").read_text() == PLAN
