"""What a recording holds, what it must not hold, and that it plays back as it was."""

import gzip
import json
import math
import shutil
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import httpx2
import pytest

from agentcore import Agent, Clocks, ConfigurationError, Local, RunError, RunResult
from agentcore.testing import (
    FIN,
    RESET,
    Answer,
    Call,
    Close,
    Ending,
    Gateway,
    GatewayTransport,
    Pause,
    Reply,
    Reset,
    Send,
    after_bytes,
    cut,
    no_response,
    run_in_virtual_time,
    status,
    stream,
)
from agentcore.testing.recording import RecordingError, RecordingTransport, load_recording
from agentcore.tools import read_file, write_file

KEY = "ak-4f9c02e7-b1d8-secret"
HEADER = '{"format": "agentcore-recording", "version": 1}'
GOOD = stream(Answer(text="All of it."))


def broken_after(reply: Reply, count: int, by: Ending) -> Reply:
    return cut(reply, at=after_bytes(count), by=by)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ends_of(path: Path) -> list[str]:
    return [line["end"] for line in lines_of(path) if "end" in line]


async def no_wait(_: float) -> None: ...


@dataclass(kw_only=True)
class Ran:
    """What came of a run against replies, and what its gateway saw."""

    ended: RunResult | RunError
    gateway: Gateway = field(repr=False)

    @property
    def text(self) -> str:
        return self.ended.text if isinstance(self.ended, RunResult) else ""

    @property
    def ledger(self) -> list[tuple[str, str | None, str, str, int]]:
        return [
            (r.outcome, r.kind and str(r.kind), r.rule, r.decision, r.received_bytes)
            for r in self.ended.attempts
        ]


async def run(
    replies: Sequence[Reply],
    workspace: Path,
    *,
    to: Path | None = None,
    secrets: Sequence[str] = (),
    key: str = "",
    prompt: str = "Go on.",
    clocks: Clocks | None = None,
) -> Ran:
    await anyio.Path(workspace).mkdir(exist_ok=True)
    async with Gateway() as gateway:
        gateway.play(*replies)
        agent = Agent(
            "some-model",
            adapter=Local(base_url=gateway.base_url, api_key=key),
            tools=[write_file, read_file],
            workspace=workspace,
            clocks=clocks,
            transport=RecordingTransport(to, secrets=secrets) if to is not None else None,
            sleep=no_wait,
        )
        try:
            return Ran(ended=await agent.run(prompt), gateway=gateway)
        except RunError as error:
            return Ran(ended=error, gateway=gateway)


async def ask(transport: httpx2.AsyncBaseTransport, **headers: str) -> bytes:
    """One request, its response read to the end."""
    async with httpx2.AsyncClient(transport=transport) as client:
        response = await client.post(
            "http://gateway.example/v1/chat/completions?api-key=hidden-in-the-query",
            json={"model": "m", "messages": []},
            headers=headers,
        )
        return response.content


# --- the file -------------------------------------------------------------------------------


def test_a_recording_line_by_line(tmp_path: Path) -> None:
    gateway = GatewayTransport()
    gateway.play(
        Reply(
            head_delay=0.5,
            steps=(
                Send(b'data: {"one"'),
                Pause(0.25),
                Send(b": 1}\n\ndata: caf\xc3"),
                Pause(0.125),
                Send(b"\xa9\n\n"),
                Pause(60.0),
            ),
        ),
        status(429, {"error": "slow down"}, {"retry-after": "7", "set-cookie": "a=b", "x-y": "z"}),
        no_response(after=2.0),
    )
    path = tmp_path / "exchange.jsonl"

    async def record() -> None:
        transport = RecordingTransport(path, transport=gateway)
        await ask(transport, authorization=f"Bearer {KEY}", **{"x-api-key": KEY})
        await ask(transport, cookie="session=0123456789", **{"user-agent": "me/1"})
        with pytest.raises(httpx2.ReadError):
            await ask(transport)

    run_in_virtual_time(record)
    version = f"python-httpx2/{httpx2.__version__}"
    request = {
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": {"accept": "*/*", "user-agent": version, "content-type": "application/json"},
        "body": '{"model":"m","messages":[]}',
    }
    as_me = {"accept": "*/*", "content-type": "application/json", "user-agent": "me/1"}
    refused = {"content-type": "application/json", "retry-after": "7"}
    assert lines_of(path) == [
        {"format": "agentcore-recording", "version": 1},
        {"exchange": 1, "request": request},
        {
            "exchange": 1,
            "at": 0.5,
            "status": 200,
            "headers": {"content-type": "text/event-stream"},
        },
        {"exchange": 1, "at": 0.5, "text": 'data: {"one"'},
        {"exchange": 1, "at": 0.75, "base64": "OiAxfQoKZGF0YTogY2Fmww=="},
        {"exchange": 1, "at": 0.875, "base64": "qQoK"},
        {"exchange": 1, "at": 60.875, "end": "clean"},
        {"exchange": 2, "request": {**request, "headers": as_me}},
        {"exchange": 2, "at": 0.0, "status": 429, "headers": refused},
        {"exchange": 2, "at": 0.0, "text": '{"error": "slow down"}'},
        {"exchange": 2, "at": 0.0, "end": "clean"},
        {"exchange": 3, "request": request},
        {"exchange": 3, "at": 2.0, "end": "refused"},
    ]
    assert all(request.headers["accept-encoding"] == "identity" for request in gateway.requests)
    assert gateway.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    assert load_recording(path) == (
        Reply(
            head_delay=0.5,
            steps=(
                Send(b'data: {"one"'),
                Pause(0.25),
                Send(b": 1}\n\ndata: caf\xc3"),
                Pause(0.125),
                Send(b"\xa9\n\n"),
                Pause(60.0),
            ),
        ),
        status(429, {"error": "slow down"}, {"retry-after": "7"}),
        no_response(after=2.0),
    )
    first, _, third = load_recording(path, speed=10.0)
    assert (first.head_delay, first.steps[1], third) == (0.05, Pause(0.025), no_response(after=0.2))
    at_once = load_recording(path, speed=math.inf)
    assert not any(isinstance(step, Pause) for reply in at_once for step in reply.steps)


async def test_each_block_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    slow = stream(Answer(text="one two three"), piece=4, pace=0.2)
    await run([slow], tmp_path, to=path)
    times = [line["at"] for line in lines_of(path) if "text" in line]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == len([step for step in slow.steps if isinstance(step, Send)]) - 1
    # A machine that stands still for a moment delays one block, not the schedule.
    assert median(gaps) == pytest.approx(0.2, abs=0.05)
    assert sum(gaps) == pytest.approx(0.2 * len(gaps), abs=0.3)

    (reply,) = load_recording(path)
    assert reply.body == slow.body
    began = time.monotonic()
    await run([reply], tmp_path)
    assert time.monotonic() - began == pytest.approx(sum(gaps), abs=0.3)


def test_every_prefix_of_a_recording_loads(tmp_path: Path) -> None:
    path, part = tmp_path / "exchange.jsonl", tmp_path / "part.jsonl"
    gateway = GatewayTransport()
    gateway.play(broken_after(GOOD, 300, FIN), stream(Answer(text="Größe, 漢字."), piece=3))

    async def record() -> None:
        transport = RecordingTransport(path, transport=gateway)
        with pytest.raises(httpx2.RemoteProtocolError):
            await ask(transport)
        await ask(transport)

    run_in_virtual_time(record)
    data = path.read_bytes()
    whole = load_recording(path)
    for size in range(len(HEADER), len(data)):
        part.write_bytes(data[:size])
        replies = load_recording(part)
        assert len(replies) <= len(whole)
        for reply, full in zip(replies, whole, strict=False):
            assert full.body.startswith(reply.body)
    part.write_bytes(data[: data.index(b'"status"')])
    assert load_recording(part) == (no_response(),)
    part.write_bytes(data[: data.index(b'"end"')])
    assert load_recording(part)[0].steps[-2:] == (Pause(0.05), Reset())


async def test_a_file_is_not_replaced_unless_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    path.write_text("mine")
    with pytest.raises(RecordingError, match=r"exchange\.jsonl: the file exists; choose another"):
        RecordingTransport(path)
    transport = RecordingTransport(path, overwrite=True, transport=GatewayTransport())
    assert path.read_text() == "mine"
    await ask(transport)
    await ask(transport)
    assert len(load_recording(path)) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no file can be written there"):
        RecordingTransport(tmp_path / "no" / "exchange.jsonl")


def test_one_secret_is_no_list_of_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="give a list"):
        RecordingTransport(tmp_path / "exchange.jsonl", secrets=KEY)


async def test_a_file_that_cannot_be_written_any_more_costs_no_call(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    gateway = GatewayTransport()
    gateway.play(GOOD)
    transport = RecordingTransport(folder / "exchange.jsonl", transport=gateway)
    shutil.rmtree(folder)
    agent = Agent(
        "m",
        adapter=Local(base_url="http://gateway.example/v1"),
        workspace=tmp_path,
        transport=transport,
    )
    assert (await agent.run("Go on.")).text == "All of it."
    assert isinstance(transport.failure, FileNotFoundError)


# --- endings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "end", "played"),
    [
        pytest.param((), "clean", (), id="clean"),
        pytest.param((Pause(0.1), Reset()), "reset", (Reset(),), id="reset"),
        pytest.param((Pause(0.1), Close()), "closed", (Close(),), id="closed"),
        pytest.param((Pause(9.0),), "abandoned", (Pause(3600.0), Reset()), id="abandoned"),
    ],
)
async def test_an_ending_is_told_apart_and_played_alike(
    tmp_path: Path, ending: Ending, end: str, played: Ending
) -> None:
    path = tmp_path / "exchange.jsonl"
    clocks = Clocks(first_event=1.0, text=1.0)
    replies = [broken_after(GOOD, len(GOOD.body) - 200, ending), GOOD]
    recorded = await run(replies, tmp_path, to=path, clocks=clocks)
    assert ends_of(path) == [end, "clean"]

    first, second = load_recording(path)
    assert first.steps[-len(played) or len(first.steps) :] == played
    again = await run([first, second], tmp_path, clocks=clocks)
    assert again.ledger == recorded.ledger
    assert recorded.ledger[0][0] == "cut"


@pytest.mark.parametrize(
    ("reply", "end"),
    [
        (no_response(after=0.1), "refused"),
        (no_response(FIN), "refused"),
        (no_response(after=9.0), "abandoned"),
    ],
    ids=["reset", "closed", "silence"],
)
async def test_a_request_without_a_response_is_played_alike(
    tmp_path: Path, reply: Reply, end: str
) -> None:
    path = tmp_path / "exchange.jsonl"
    clocks = Clocks(first_byte=1.0, transport=1.0)
    recorded = await run([reply, GOOD], tmp_path, to=path, clocks=clocks)
    assert ends_of(path) == [end, "clean"]
    again = await run(load_recording(path), tmp_path, clocks=clocks)
    first, *rest = recorded.ledger
    assert [(entry[0], entry[1]) for entry in again.ledger[:1]] == [(first[0], first[1])]
    assert again.ledger[1:] == rest


async def test_a_connection_that_is_refused_is_an_exchange_too(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    agent = Agent(
        "m",
        adapter=Local(base_url="http://127.0.0.1:9/v1"),
        workspace=tmp_path,
        transport=RecordingTransport(path),
        sleep=no_wait,
    )
    with pytest.raises(RunError):
        await agent.run("Go on.")
    assert ends_of(path) == ["refused"] * 3
    again = await run(load_recording(path), tmp_path)
    assert [entry[:2] for entry in again.ledger] == [("refused", "connection")] * 3


async def test_a_client_whose_own_time_is_up_has_left(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    async with Gateway() as gateway:
        gateway.play(Reply(steps=(Send(b": ping\n\n"), Pause(9.0))), no_response(after=9.0))
        async with httpx2.AsyncClient(transport=RecordingTransport(path), timeout=1.0) as client:
            for _ in range(2):
                with pytest.raises(httpx2.ReadTimeout):
                    await client.post(f"{gateway.base_url}/chat/completions", json={"model": "m"})
    assert ends_of(path) == ["abandoned"] * 2


async def test_a_run_that_is_cancelled_ends_its_exchange(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    with anyio.move_on_after(1.0):
        await run([stream(Answer(text="Slow."), pace=2.0)], tmp_path, to=path)
    assert ends_of(path) == ["abandoned"]


# --- a whole run ----------------------------------------------------------------------------


async def test_a_run_with_a_cut_is_played_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    text = "".join(f"Zeile {number}: Größe, Maß, 漢字.\n" for number in range(1, 41))
    arguments = {"path": "plan.md", "mode": "create", "content": text}
    call = Call(name="write_file", arguments=json.dumps(arguments, ensure_ascii=False))
    writes = stream(Answer(calls=(call,)), pace=0.002)
    replies = [
        broken_after(writes, 2001, by=(Pause(0.1), *RESET)),
        status(503, {"error": {"message": "overloaded", "code": 503}}, {"retry-after": "1"}),
        writes,
        GOOD,
    ]
    recorded = await run(replies, tmp_path / "first", to=path)
    assert (tmp_path / "first" / "plan.md").read_text() == text

    loaded = load_recording(path)
    again = await run(loaded, tmp_path / "second", to=tmp_path / "again.jsonl")
    assert (tmp_path / "second" / "plan.md").read_text() == text
    assert again.ledger == recorded.ledger
    assert again.text == recorded.text == "All of it."
    assert [entry[0] for entry in recorded.ledger] == ["cut", "refused", "complete", "complete"]
    assert [reply.body for reply in load_recording(tmp_path / "again.jsonl")] == [
        reply.body for reply in loaded
    ]


async def test_connections_are_kept_and_renewed_as_without_a_recording(tmp_path: Path) -> None:
    call = stream(Answer(calls=(Call(name="list", arguments=""),)))
    replies = [call, broken_after(GOOD, 300, FIN), GOOD]
    plain = await run(replies, tmp_path)
    recorded = await run(replies, tmp_path, to=tmp_path / "exchange.jsonl")
    assert [request.connection for request in plain.gateway.requests] == [1, 1, 2]
    assert [request.connection for request in recorded.gateway.requests] == [1, 1, 2]


async def test_exchanges_that_overlap_stay_apart(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    gateway = GatewayTransport(
        respond=lambda request: stream(Answer(text=f"answer {request.number}"), pace=0.005)
    )
    transport = RecordingTransport(path, transport=gateway)
    bodies: dict[int, bytes] = {}

    async def one(number: int) -> None:
        bodies[number] = await ask(transport)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(one, number)
    numbers = [line["exchange"] for line in lines_of(path)[1:]]
    assert numbers != sorted(numbers)
    assert sorted(reply.body for reply in load_recording(path)) == sorted(bodies.values())


async def test_a_body_that_is_compressed_all_the_same_is_recorded_decoded(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    packed = Reply(
        steps=(Send(gzip.compress(f"Your key is {KEY}.".encode())),),
        headers={"content-type": "text/plain", "content-encoding": "gzip"},
    )
    gateway = GatewayTransport()
    gateway.play(packed)
    transport = RecordingTransport(path, secrets=[KEY], transport=gateway)
    assert await ask(transport) == f"Your key is {KEY}.".encode()
    assert load_recording(path)[0].body == f"Your key is {'*' * len(KEY)}.".encode()


async def test_the_proxy_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Gateway() as proxy:
        proxy.play(GOOD)
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        monkeypatch.setenv("NO_PROXY", "")
        transport = RecordingTransport(tmp_path / "exchange.jsonl")
        assert await ask(transport) == GOOD.body
        assert proxy.last.path.startswith("http://gateway.example/")


# --- secrets --------------------------------------------------------------------------------


def echo(where: str) -> list[Reply]:
    said = f"Incorrect API key provided: {KEY}. You gave Bearer {KEY}"
    refusal = status(401, {"error": {"message": said}}, {"x-request-id": f"for {KEY}"})
    match where:
        case "in an error":
            return [refusal]
        case "over blocks":
            (send,) = [step for step in refusal.steps if isinstance(step, Send)]
            at = send.data.index(KEY.encode()) + 7
            split = (Send(send.data[:at]), Pause(0.05), Send(send.data[at:]))
            return [Reply(status=401, steps=split, headers=refusal.headers)]
        case "byte by byte":
            body = b"".join(step.data for step in refusal.steps if isinstance(step, Send))
            steps = tuple(Send(body[at : at + 1]) for at in range(len(body)))
            return [Reply(status=401, steps=steps)]
        case "in text":
            return [stream(Answer(text=f"The key is {KEY}."), piece=400)]
        case "over deltas":
            return [stream(Answer(text=f"The key is {KEY}, not {KEY[:-1]}."), piece=3)]
        case "in arguments":
            file = {"path": ".env", "mode": "create", "content": f"KEY={KEY}\n"}
            call = Call(name="write_file", arguments=json.dumps(file))
            return [stream(Answer(calls=(call,)), piece=5), GOOD]
        case _:
            cookie = {"set-cookie": f"key={KEY}; path=/", "location": f"/?key={KEY}"}
            return [Reply(headers={"content-type": "text/event-stream", **cookie}, steps=DONE)]


DONE = GOOD.steps
PLACES = [
    "in an error", "over blocks", "byte by byte", "in text", "over deltas", "in arguments",
    "in headers",
]  # fmt: skip


@pytest.mark.parametrize("named", [True, False], ids=["named", "from the header"])
@pytest.mark.parametrize("where", PLACES)
async def test_a_key_is_nowhere_in_the_file(tmp_path: Path, where: str, named: bool) -> None:
    path = tmp_path / "exchange.jsonl"
    replies = echo(where)
    await run(
        replies,
        tmp_path / "work",
        to=path,
        key=KEY,
        secrets=[KEY] if named else [],
        prompt=f"The key is {KEY}, keep it.",
    )
    raw = path.read_bytes()
    loaded = load_recording(path)
    joined = b"".join(reply.body for reply in loaded)
    for data in (raw, joined):
        assert KEY.encode() not in data
        assert b"authorization" not in data.lower()
    # Nor what a client makes of the deltas.
    again = await run(loaded, tmp_path / "again")
    assert KEY[4:] not in again.text
    assert all(KEY[4:] not in file.read_text() for file in (tmp_path / "again").glob(".env"))
    # Offsets stay.
    assert len(joined) == sum(len(reply.body) for reply in replies)
    assert f"The key is {'*' * len(KEY)}, keep it." in raw.decode()


# --- broken files ---------------------------------------------------------------------------

ASKED = '{"exchange": 1, "request": {"method": "POST"}}'
HEAD = '{"exchange": 1, "at": 0.5, "status": 200, "headers": {}}'
BLOCK = '{"exchange": 1, "at": 0.75, "text": "data: 1"}'
END = '{"exchange": 1, "at": 1.0, "end": "clean"}'


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "line 1: "),
        (["no JSON"], "line 1: expected"),
        (["[]"], "line 1: this is no JSON object"),
        (['{"id": 1}'], 'line 1: no recording: it would begin with {"format"'),
        (['{"format": "agentcore-recording", "version": 2}'], "line 1: version 2 of the format"),
        ([HEADER, ASKED, "{half", HEAD], "line 3: "),
        ([HEADER, ASKED, HEAD, BLOCK, "{half"], "line 5: "),
        ([HEADER, "", ASKED, "[1]"], "line 4: this is no JSON object"),
        ([HEADER, ASKED, '{"exchange": 1, "at": 1}'], "line 3: none of request, status, text"),
        ([HEADER, HEAD], "line 2: exchange 1 has no request before this line"),
        ([HEADER, ASKED, ASKED], "line 3: a second request for exchange 1"),
        ([HEADER, ASKED, HEAD, HEAD], "line 4: a second status for exchange 1"),
        ([HEADER, ASKED, BLOCK], "line 3: a block before the status of exchange 1"),
        ([HEADER, ASKED, END], "line 3: the end 'clean' before the status of exchange 1"),
        ([HEADER, ASKED, HEAD, END, BLOCK], "line 5: exchange 1 has ended before"),
        (
            [HEADER, ASKED, HEAD, BLOCK.replace("0.75", "0.25")],
            "line 4: time goes back, from 0.5 to 0.25",
        ),
        ([HEADER, ASKED, HEAD.replace("0.5", "-1")], "line 3: at: Input should be greater"),
        ([HEADER, ASKED, HEAD.replace("200", "20")], "line 3: status: Input should be greater"),
        ([HEADER, ASKED, HEAD.replace("{}", '{"a b": "c"}')], "line 3: headers.a b"),
        ([HEADER, ASKED, END.replace("clean", "gone")], "line 3: end: Input should be 'clean'"),
        ([HEADER, ASKED, HEAD, BLOCK, '{"exchange": 1, "at": 1, "base64": "?"}'], "line 5: base64"),
        ([HEADER, ASKED, HEAD, BLOCK, '{"exchange": 1, "at": 1, "base64": 7}'], "line 5: base64"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, lines: list[str], says: str) -> None:
    path = tmp_path / "exchange.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(RecordingError) as caught:
        load_recording(path)
    assert str(caught.value).startswith(f"{path}, {says}")
    assert isinstance(caught.value, ValueError)


def test_bytes_that_are_no_text_are_a_broken_line(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    path.write_bytes(HEADER.encode() + b'\n{"exchange": 1, "request": {"body": "\xff"}}\n')
    with pytest.raises(RecordingError, match=r"exchange\.jsonl, line 2: "):
        load_recording(path)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_speed_that_is_none_is_told(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ConfigurationError, match="give a number above 0"):
        load_recording(tmp_path / "exchange.jsonl", speed=speed)


@pytest.mark.parametrize("last", [f"{END}\n", END, f"{END}\n\n"])
def test_a_file_made_by_hand_may_lack_its_last_line_break(tmp_path: Path, last: str) -> None:
    path = tmp_path / "exchange.jsonl"
    path.write_text("\n".join([HEADER, ASKED, HEAD, BLOCK, last]))
    assert load_recording(path) == (
        Reply(head_delay=0.5, headers={}, steps=(Pause(0.25), Send(b"data: 1"), Pause(0.25))),
    )
