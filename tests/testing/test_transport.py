"""The same script over sockets and in process: a run cannot tell which, and no time passes."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import anyio
import httpx2
import pytest

from agentcore import Agent, Clocks, Local, RunError, RunResult
from agentcore.kinds import CutCause
from agentcore.messages import Usage
from agentcore.testing import (
    CLEAN_END,
    COMMENT,
    DONE,
    EMPTY_DELTA,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Call,
    Gateway,
    GatewayTransport,
    Pause,
    Quirk,
    RecordedRequest,
    Reply,
    ScriptedServer,
    Send,
    after_bytes,
    after_events,
    after_line,
    before_finish,
    before_value,
    cut,
    finish,
    in_packets,
    in_stream_error,
    inside_escape,
    inside_event,
    inside_utf8,
    no_response,
    run_in_virtual_time,
    stall,
    status,
    stream,
    whole,
    with_bom,
    with_crlf,
    without_last_blank_line,
)
from agentcore.tools import write_file

Backend: TypeAlias = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
PATIENT = Clocks(transport=5.0, first_byte=5.0, first_event=5.0)
HASTY = Clocks(transport=0.8, first_byte=0.7, first_event=0.7, text=0.6, tool_arguments=0.6)

TEXT = Answer(text="All of it, é😀 included.", usage=Usage(input_tokens=3, output_tokens=9))
GOOD = stream(TEXT)
CONTENT = "".join(f"line {number} \\u00e9\\n" for number in range(1, 60))
PLAN = '{"path": "a.md", "mode": "create", "content": "%s"}'
WRITE = Call(name="write_file", arguments=PLAN % f"{CONTENT}é\\n", id="call_0001")
WRITING = stream(Answer(calls=(WRITE,)))
# An id that was used before would be replaced by a random one.
WRITING_AGAIN = stream(Answer(calls=(replace(WRITE, id="call_0002"),)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of a run, by its own account and by the server's."""

    text: str
    ledger: Sequence[tuple[object, ...]]
    requests: Sequence[tuple[object, ...]]


async def play(server: ScriptedServer, agent: Agent, replies: Sequence[Reply]) -> Played:
    server.play(*replies, GOOD)
    ended: RunResult | RunError
    try:
        ended = await agent.run("Go on.")
    except RunError as error:
        ended = error
    with anyio.fail_after(5.0):
        # A real server notices a little later that the client has left.
        while any(request.ended_at is None for request in server.requests):  # noqa: ASYNC110
            await anyio.sleep(0.001)
    return Played(
        text=ended.text if isinstance(ended, RunResult) else str(ended.kind),
        ledger=[
            (r.outcome, r.kind, r.rule, r.cause, r.decision, r.received_bytes, _said(r.message))
            for r in ended.attempts
        ],
        requests=[
            (r.connection, r.path, r.body, r.headers["accept"], r.sent, r.sent_arguments, r.hung_up)
            for r in server.requests
        ],
    )


def _said(message: str) -> str:
    """Trio has a text of its own for a reset before the status line."""
    is_trios = message == "socket connection broken: [Errno 104] Connection reset by peer"
    return "Connection error." if is_trios else message


async def over_sockets(replies: Sequence[Reply], clocks: Clocks, workspace: Path) -> Played:
    async def no_wait(_: float) -> None: ...

    async with Gateway() as gateway:
        agent = Agent(
            "m",
            adapter=Local(base_url=gateway.base_url),
            tools=[write_file],
            workspace=workspace,
            clocks=clocks,
            sleep=no_wait,
        )
        return await play(gateway, agent, replies)


async def in_process(replies: Sequence[Reply], clocks: Clocks, workspace: Path) -> Played:
    transport = GatewayTransport()
    agent = Agent(
        "m",
        adapter=Local(base_url="http://gateway.test/v1"),
        transport=transport,
        tools=[write_file],
        workspace=workspace,
        clocks=clocks,
    )
    return await play(transport, agent, replies)


REPLIES: dict[str, Sequence[Reply]] = {
    "good": [],
    "plain": [whole(TEXT)],
    "plain, late": [whole(TEXT, pace=0.05)],
    "a call": [WRITING],
    "a call of odd spelling": [
        stream(
            Answer(
                calls=(
                    Call(
                        name="write_file",
                        arguments='{"path": "b", "mode": "create", "content": ""}',
                    ),
                )
            ),
            quirks=[Quirk.NO_INDEX, Quirk.NAME_IN_EVERY_DELTA],
        )
    ],
    "paced": [stream(TEXT, piece=4, pace=0.02)],
    # bodies that are no answer
    "nothing": [Reply()],
    "html": [Reply(steps=(Send(b"<html>Bad Gateway</html>"),))],
    "json error": [Reply(steps=(Send(b'{"error": {"code": 503, "message": "busy"}}'),))],
    "half a line": [Reply(steps=(Send(b'data: {"choices":[{"delta":{"con\n\n'),))],
    "only comments": [Reply(steps=(COMMENT, COMMENT))],
    # endings
    "reset at once": [cut(GOOD, at=after_events(0), by=RESET)],
    "reset": [cut(GOOD, at=after_events(2), by=RESET)],
    "reset in an event": [cut(GOOD, at=inside_event(2), by=RESET)],
    "fin at once": [cut(GOOD, at=after_events(0), by=FIN)],
    "fin": [cut(GOOD, at=after_events(2), by=FIN)],
    "fin in a character": [cut(GOOD, at=inside_utf8(2), by=FIN)],
    "clean end": [cut(GOOD, at=before_finish(), by=CLEAN_END)],
    "clean end in an event": [cut(GOOD, at=after_bytes(300), by=CLEAN_END)],
    "network lost": [cut(GOOD, at=after_events(2), by=NETWORK_LOST)],
    "network lost at once": [Reply(steps=NETWORK_LOST)],
    "error with a code": [
        cut(
            GOOD,
            at=after_events(1),
            by=in_stream_error({"error": {"code": 502, "message": "Provider returned error"}}),
        )
    ],
    "unknown error": [Reply(steps=in_stream_error({"error": {"message": "Lorem ipsum."}}))],
    "done and no reason": [cut(GOOD, at=before_finish(), by=DONE)],
    "a reason that lies": [cut(WRITING, at=after_line(5), by=finish("tool_calls"))],
    "capped": [cut(WRITING, at=after_line(30), by=finish("length"))],
    "reset after the finish": [cut(GOOD, at=after_events(4), by=RESET)],
    # no response
    "no response, reset": [no_response()],
    "no response, fin": [no_response(FIN)],
    "no response after a while": [no_response(FIN, after=0.05)],
    # refusals
    "401": [status(401, {"error": {"message": "no key"}})],
    "404 html": [status(404, "<html>nginx</html>")],
    "429": [status(429, {"error": {"message": "slow down"}}, {"retry-after": "2"})],
    "500 html": [status(500, "<html>oops</html>")],
    "502 nested": [
        status(502, {"error": {"metadata": {"raw": '{"error": {"message": "upstream"}}'}}})
    ],
    "529 empty": [status(529)],
    "503 late": [Reply(status=503, head_delay=0.05, steps=(Send(b"busy"),))],
    "307": [status(307, "", {"location": "https://elsewhere.example/v1"})],
    "400 bytes": [status(400, b"\xff\xfe\x00")],
    # framing
    "byte order mark": [with_bom(GOOD)],
    "cr lf": [with_crlf(GOOD)],
    "no last blank line": [without_last_blank_line(GOOD)],
    "every byte a packet": [in_packets(GOOD, 1)],
    "one packet": [in_packets(WRITING, None)],
    "small packets, reset": [in_packets(cut(WRITING, at=inside_escape(9), by=RESET), 11)],
    # several
    "a pause that is borne": [stall(GOOD, at=after_events(3), seconds=0.05)],
    "a call cut twice": [
        cut(writing, at=after_line(50), by=NETWORK_LOST) for writing in (WRITING, WRITING_AGAIN)
    ],
    "all that a turn bears": [Reply(steps=RESET), no_response(FIN), status(500, "no"), GOOD],
}


SILENCES: dict[str, Sequence[Reply]] = {
    "never a response": [no_response(after=9.0)],
    "silent before the head": [Reply(head_delay=9.0)],
    "silent before any event": [stall(GOOD, at=after_events(0), seconds=9.0)],
    "silent in the text": [stall(GOOD, at=after_events(3), seconds=9.0)],
    "silent in an event": [stall(GOOD, at=inside_event(3), seconds=9.0)],
    "silent in the arguments": [stall(WRITING, at=before_value("content"), seconds=9.0)],
    "nothing but pings": [
        stall(GOOD, at=after_events(2), seconds=9.0, meanwhile=COMMENT, every=0.4)
    ],
    "nothing but empty deltas": [
        stall(GOOD, at=after_events(2), seconds=9.0, meanwhile=EMPTY_DELTA, every=0.4)
    ],
}

CASES = [
    *[pytest.param(replies, PATIENT, id=name) for name, replies in REPLIES.items()],
    *[pytest.param(replies, HASTY, id=name) for name, replies in SILENCES.items()],
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("replies", "clocks"), CASES)
def test_a_run_is_the_same_over_sockets_and_in_process(
    replies: Sequence[Reply], clocks: Clocks, backend: Backend, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()

    real = anyio.run(over_sockets, replies, clocks, one, backend=backend)
    virtual = run_in_virtual_time(in_process, replies, clocks, two, backend=backend)

    assert virtual == real
    assert files_in(two) == files_in(one)


def files_in(folder: Path) -> list[tuple[str, bytes]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in files]


# --- minutes that pass at once --------------------------------------------------------------


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return "trio" if request.param == "trio" else "asyncio"


def run(
    transport: GatewayTransport, backend: Backend, workspace: Path, clocks: Clocks | None = None
) -> RunResult:
    async def main() -> RunResult:
        agent = Agent(
            "m",
            adapter=Local(base_url="http://gateway.test/v1"),
            transport=transport,
            tools=[write_file],
            workspace=workspace,
            clocks=clocks,
            roll=lambda: 1.0,
        )
        return await agent.run("Go on.")

    return run_in_virtual_time(main, backend=backend)


def test_a_healthy_write_of_eight_minutes_is_not_killed(backend: Backend, tmp_path: Path) -> None:
    call = Call(name="write_file", arguments=PLAN % ("x" * 950))
    transport = GatewayTransport()
    transport.play(stream(Answer(calls=(call,)), piece=1, pace=0.5), GOOD)
    result = run(transport, backend, tmp_path)
    assert [record.outcome for record in result.attempts] == ["complete", "complete"]
    assert result.attempts[0].seconds == pytest.approx(500, abs=5)
    assert (tmp_path / "a.md").read_text() == "x" * 950


def test_a_stream_that_only_pings_is_given_up_in_the_end(backend: Backend, tmp_path: Path) -> None:
    pings = stall(GOOD, at=after_events(2), seconds=900.0, meanwhile=COMMENT, every=15.0)
    transport = GatewayTransport()
    transport.play(pings, GOOD)
    result = run(transport, backend, tmp_path)
    assert [(r.cause, r.seconds) for r in result.attempts] == [(CutCause.STALLED, 90.0), (None, 0)]
    assert transport.requests[0].hung_up
    assert transport.requests[0].sent.count(COMMENT.data) == 5


def test_a_proxy_that_drops_after_two_minutes_of_silence(backend: Backend, tmp_path: Path) -> None:
    transport = GatewayTransport(idle_limit=125.0, asks_to_stream=lambda _: False)
    slow = stream(Answer(text="x", calls=(Call(name="f", arguments='{"a": 123}'),)), pace=100.0)
    transport.play(slow, slow, GOOD)
    clocks = Clocks(transport=600.0, text=600.0, tool_arguments=600.0)
    result = run(transport, backend, tmp_path, clocks)
    # Role, text and the call's name at 0, 100 and 200 s; then nothing that the proxy lets through.
    assert [(r.decision, r.waited_seconds, r.seconds) for r in result.attempts] == [
        ("retry", 0.0, 325.0),
        ("keep", 1.0, 325.0),
        ("accept", 0.0, 0.0),
    ]
    assert [request.at for request in transport.requests] == [0.0, 326.0, 651.0]
    assert transport.waits == [1.0, 0.0]
    assert [request.sent_arguments for request in transport.requests] == ["", "", ""]


def test_retry_after_takes_no_time(backend: Backend, tmp_path: Path) -> None:
    transport = GatewayTransport()
    transport.play(status(429, {"error": {"message": "slow"}}, {"retry-after": "60"}), GOOD)
    started = time.monotonic()
    assert run(transport, backend, tmp_path).text == TEXT.text
    assert transport.waits == [pytest.approx(60, abs=1)]
    assert time.monotonic() - started < 20.0


# --- what it remembers ----------------------------------------------------------------------

Script: TypeAlias = Callable[[httpx2.AsyncClient, GatewayTransport], Awaitable[None]]


def with_client(script: Script, transport: GatewayTransport, backend: Backend) -> None:
    async def main() -> None:
        async with httpx2.AsyncClient(transport=transport, base_url="http://x/v1") as client:
            await script(client, transport)

    run_in_virtual_time(main, backend=backend)


async def ask(client: httpx2.AsyncClient) -> bytes:
    response = await client.post("/chat/completions", json={"stream": True})
    return response.content


def test_a_request_as_the_server_saw_it(backend: Backend) -> None:
    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        await anyio.sleep(5.0)
        headers = [("X-One", "1"), ("x-one", "2")]
        await client.post("/chat/completions?a=b", content=b'{"model": "m"}', headers=headers)
        request = transport.last
        assert (request.number, request.connection, request.method) == (1, 1, "POST")
        assert request.path == "/v1/chat/completions?a=b"
        assert request.headers["x-one"] == "1, 2"
        assert (request.raw, request.body) == (b'{"model": "m"}', {"model": "m"})
        assert (request.at, request.ended_at) == (5.0, 7.0)
        assert request.sent == whole(TEXT).body

    with_client(script, GatewayTransport(respond=lambda _: whole(TEXT, pace=2.0)), backend)


def test_pauses_are_exact(backend: Backend) -> None:
    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        assert await ask(client) == COMMENT.data * 2
        assert anyio.current_time() == 3.0 + 60.0 + 0.25

    steps = (COMMENT, Pause(60.0), COMMENT, Pause(0.25))
    transport = GatewayTransport(respond=lambda _: Reply(head_delay=3.0, steps=steps))
    with_client(script, transport, backend)


def test_pauses_pass_while_the_client_is_busy_as_they_do_on_a_server(backend: Backend) -> None:
    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        request = client.build_request("POST", "/chat/completions", json={"stream": True})
        response = await client.send(request, stream=True)
        async for _ in response.aiter_raw():
            await anyio.sleep(3.0)  # as a slow display does
        assert anyio.current_time() == 10.0 + 3.0

    steps = (COMMENT, Pause(2.0), COMMENT, Pause(8.0), COMMENT)
    with_client(script, GatewayTransport(respond=lambda _: Reply(steps=steps)), backend)


def test_connections_are_counted(backend: Backend) -> None:
    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        for _ in range(2):
            await ask(client)
        for _ in range(2):
            with pytest.raises(httpx2.HTTPError):
                await ask(client)
        await ask(client)
        await client.aclose()
        async with httpx2.AsyncClient(transport=transport, base_url="http://x/v1") as another:
            await ask(another)
        assert [request.connection for request in transport.requests] == [1, 1, 1, 2, 3, 4]
        assert transport.connections == 4

    transport = GatewayTransport()
    transport.play(GOOD, GOOD, no_response(), cut(GOOD, at=after_events(1), by=FIN), GOOD, GOOD)
    with_client(script, transport, backend)


def test_requests_that_overlap_come_on_connections_of_their_own(backend: Backend) -> None:
    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, client)
            tasks.start_soon(ask, client)
        await ask(client)
        first, second, third = (request.connection for request in transport.requests)
        assert {first, second} == {1, 2}
        assert third in (1, 2)
        assert transport.waits == [0.0, 0.0]

    with_client(script, GatewayTransport(respond=lambda _: whole(TEXT, pace=2.0)), backend)


def test_a_client_that_leaves_in_a_pause_has_hung_up(backend: Backend) -> None:
    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        for head_delay, sent in [(0.0, COMMENT.data), (5.0, b"")]:
            transport.play(Reply(head_delay=head_delay, steps=(COMMENT, Pause(9.0), COMMENT)))
            began = anyio.current_time()
            with anyio.move_on_after(2.0):
                await ask(client)
            assert transport.last.hung_up
            assert transport.last.ended_at == began + 2.0
            assert transport.last.sent == sent

    with_client(script, GatewayTransport(), backend)


def test_a_client_that_leaves_while_data_flows_has_hung_up(backend: Backend) -> None:
    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        request = client.build_request("POST", "/chat/completions", json={"stream": True})
        response = await client.send(request, stream=True)
        assert not transport.last.hung_up
        await response.aclose()
        assert transport.last.hung_up
        assert transport.last.ended_at == 0.0
        assert transport.last.sent == b""

    with_client(script, GatewayTransport(respond=lambda _: GOOD), backend)


def test_the_models_are_listed(backend: Backend) -> None:
    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        assert (await client.get("/models/a%2Fb")).json() == {"id": "a/b", "object": "model"}
        assert (await client.get("/models/c")).status_code == 404
        assert (await client.get("/credits")).status_code == 404

    with_client(script, GatewayTransport(models=["a/b"]), backend)


def test_a_fault_in_respond_stops_the_loop_and_is_remembered(backend: Backend) -> None:
    def respond(_: RecordedRequest) -> Reply:
        raise ZeroDivisionError("in respond")

    transport = GatewayTransport(respond=respond)

    async def script(client: httpx2.AsyncClient, transport: GatewayTransport) -> None:
        refused = await ask(client)
        assert "the script raised ZeroDivisionError: in respond" in refused.decode()

    with_client(script, transport, backend)
    assert isinstance(transport.script_error, ZeroDivisionError)
