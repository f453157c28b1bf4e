"""What a bare HTTP client sees of a scripted server, and what the server remembers of it."""

import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import httpx2
import openai
import pytest
from pydantic import JsonValue

from agentcore.messages import Usage
from agentcore.testing import (
    CLEAN_END,
    COMMENT,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Call,
    Ending,
    Gateway,
    Pause,
    RecordedRequest,
    Reply,
    Send,
    after_events,
    cut,
    flag_asks,
    header_asks,
    in_packets,
    no_response,
    stall,
    status,
    stream,
    whole,
)

ANSWER = Answer(text="All of it.", usage=Usage(input_tokens=2, output_tokens=3))
WRITE = Answer(calls=(Call(name="write_file", arguments='{"path": "a.md", "content": "é\\n"}'),))
ASKED: Mapping[str, JsonValue] = {"model": "m", "stream": True, "messages": []}


@asynccontextmanager
async def client_of(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    # No certificates are loaded, for that takes longer than all else here.
    async with httpx2.AsyncClient(
        base_url=gateway.base_url, timeout=10.0, trust_env=False, verify=False
    ) as client:
        yield client


async def ask(
    gateway: Gateway,
    body: Mapping[str, JsonValue] = ASKED,
    headers: Mapping[str, str] | None = None,
) -> httpx2.Response:
    """One request on a connection of its own."""
    async with client_of(gateway) as client:
        return await client.post("/chat/completions", json=body, headers=headers)


async def ask_and_lose(gateway: Gateway) -> tuple[bytes, httpx2.HTTPError]:
    """What came of the body before the connection was lost, and what the client then raised."""
    body = bytearray()
    async with client_of(gateway) as client:
        with pytest.raises(httpx2.HTTPError) as caught:  # noqa: PT012
            async with client.stream("POST", "/chat/completions", json=ASKED) as response:
                async for block in response.aiter_bytes():
                    body += block
    return bytes(body), caught.value


async def connect(gateway: Gateway) -> anyio.abc.SocketStream:
    """A bare connection, for what no HTTP client does."""
    port = int(gateway.base_url.split(":")[2].partition("/")[0])
    return await anyio.connect_tcp("127.0.0.1", port)


def request_bytes() -> bytes:
    body = json.dumps(ASKED).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(10.0):
        while not is_so():  # noqa: ASYNC110 - a server tells nobody what it has written down
            await anyio.sleep(0.005)


# --- what a client sees ---------------------------------------------------------------------


async def test_an_answer_goes_out_as_the_request_wants_it() -> None:
    async with Gateway(respond=lambda _: ANSWER) as gateway:
        streamed = await ask(gateway)
        plain = await ask(gateway, {"model": "m"})
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.content == stream(ANSWER).body
    assert plain.headers["content-type"] == "application/json"
    assert plain.content == whole(ANSWER).body
    assert [request.streamed for request in gateway.requests] == [True, False]


@pytest.mark.parametrize(
    ("reply", "content_type", "body"),
    [
        (status(500, "<html>oops</html>"), "text/html", b"<html>oops</html>"),
        (status(529), "text/html", b""),
        (status(502, b"\xff\x00bytes"), "text/html", b"\xff\x00bytes"),
        (
            status(429, {"error": {"metadata": {"raw": '{"code": [1, null]}'}}}),
            "application/json",
            b'{"error": {"metadata": {"raw": "{\\"code\\": [1, null]}"}}}',
        ),
        (status(400, None), "application/json", b"null"),
        (status(404, [], {"content-type": "application/problem+json"}),
         "application/problem+json", b"[]"),
        (Reply(), "text/event-stream", b""),
        (Reply(status=201, steps=(Send(b"a"), Send(b""), Send(b"b"))), "text/event-stream", b"ab"),
    ],
)  # fmt: skip
async def test_any_status_with_any_body(reply: Reply, content_type: str, body: bytes) -> None:
    async with Gateway(respond=lambda _: reply) as gateway:
        response = await ask(gateway)
    assert response.status_code == reply.status
    assert response.headers["content-type"] == content_type
    assert response.content == reply.body == body
    assert gateway.last.sent == body


async def test_headers_go_out_with_a_status() -> None:
    limited = status(429, "slow down", {"retry-after": "20", "X-RateLimit-Reset": "1s"})
    async with Gateway(respond=lambda _: limited) as gateway:
        response = await ask(gateway)
    assert response.headers["retry-after"] == "20"
    assert response.headers["x-ratelimit-reset"] == "1s"


async def test_json_comes_where_a_stream_was_asked_for() -> None:
    async with Gateway(respond=lambda _: whole(ANSWER)) as gateway:
        response = await ask(gateway)
    assert response.json()["choices"][0]["message"]["content"] == "All of it."
    assert gateway.last.streamed


@pytest.mark.parametrize("packet", [None, 1, 7])
async def test_packets_arrive_as_one_body(packet: int | None) -> None:
    async with Gateway(respond=lambda _: in_packets(stream(ANSWER), packet)) as gateway:
        response = await ask(gateway)
    assert response.content == stream(ANSWER).body


# --- endings --------------------------------------------------------------------------------


@pytest.mark.parametrize("events", [0, 2])
@pytest.mark.parametrize(
    ("ending", "error", "says"),
    [
        (RESET, httpx2.ReadError, ""),
        (FIN, httpx2.RemoteProtocolError, "peer closed connection without sending complete mess"),
    ],
    ids=["reset", "fin"],
)
async def test_a_connection_that_is_lost_in_the_body(
    ending: Ending, error: type[httpx2.HTTPError], says: str, events: int
) -> None:
    lost = cut(stream(ANSWER), at=after_events(events), by=ending)
    async with Gateway(respond=lambda _: lost) as gateway:
        body, raised = await ask_and_lose(gateway)
    assert body == lost.body
    assert type(raised) is error
    assert str(raised).startswith(says)
    assert not gateway.last.hung_up
    assert gateway.last.ended_at is not None


async def test_a_reset_is_a_reset() -> None:
    lost = cut(stream(ANSWER), at=after_events(1), by=RESET)
    async with Gateway(respond=lambda _: lost) as gateway:
        _, raised = await ask_and_lose(gateway)
    chain: list[BaseException | None] = [raised]
    while chain[-1] is not None:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    assert any(isinstance(error, ConnectionResetError) for error in chain)


@pytest.mark.parametrize("ending", [CLEAN_END, NETWORK_LOST], ids=["clean", "error-event"])
async def test_a_body_that_ends_well_raises_nothing(ending: Ending) -> None:
    lost = cut(stream(ANSWER), at=after_events(2), by=ending)
    async with Gateway(respond=lambda _: lost) as gateway:
        response = await ask(gateway)
    assert response.content == lost.body


@pytest.mark.parametrize(
    ("ending", "error"),
    [(RESET, httpx2.ReadError), (FIN, httpx2.RemoteProtocolError)],
    ids=["reset", "fin"],
)
@pytest.mark.parametrize("after", [0.0, 0.05])
async def test_no_response_at_all(
    ending: Ending, error: type[httpx2.HTTPError], after: float
) -> None:
    async with Gateway(respond=lambda _: no_response(ending, after=after)) as gateway:
        started = time.monotonic()
        body, raised = await ask_and_lose(gateway)
        assert time.monotonic() - started >= after
    assert (body, type(raised)) == (b"", error)
    assert gateway.last.sent == b""
    assert not gateway.last.hung_up


# --- time -----------------------------------------------------------------------------------


async def test_silence_before_the_status_line() -> None:
    late = Reply(status=503, head_delay=0.1, steps=(Send(b"busy"),))
    async with Gateway(respond=lambda _: late) as gateway:
        started = time.monotonic()
        response = await ask(gateway)
        assert time.monotonic() - started >= 0.1
    assert (response.status_code, response.content) == (503, b"busy")
    assert gateway.last.ended_at is not None
    assert gateway.last.ended_at - gateway.last.at >= 0.1


async def seconds_for(reply: Reply) -> float:
    """The shortest of three times: a machine that is busy elsewhere gets another chance."""
    taken: list[float] = []
    async with Gateway(respond=lambda _: reply) as gateway:
        for _ in range(3):
            started = time.monotonic()
            response = await ask(gateway)
            taken.append(time.monotonic() - started)
            assert response.content == reply.body
    return min(taken)


async def test_a_thousand_short_pauses_take_no_longer_than_their_sum() -> None:
    # Beside the sum, what the steps cost on this machine at this moment.
    unpaced = await seconds_for(Reply(steps=(COMMENT,) * 1_000))
    paced = await seconds_for(Reply(steps=(COMMENT, Pause(0.0003)) * 1_000))
    assert 0.3 <= paced < 0.3 + 3 * unpaced


# --- limits ---------------------------------------------------------------------------------


async def test_a_limit_in_bytes() -> None:
    async with Gateway(respond=lambda _: ANSWER, byte_limit=300, dropped_by=FIN) as gateway:
        body, raised = await ask_and_lose(gateway)
        assert body == stream(ANSWER).body[:300]
        assert isinstance(raised, httpx2.RemoteProtocolError)
        gateway.byte_limit = len(stream(ANSWER).body)
        assert (await ask(gateway)).content == stream(ANSWER).body


async def test_a_limit_on_the_life_of_a_response() -> None:
    slow = stream(ANSWER, piece=1, pace=0.02)
    async with Gateway(respond=lambda _: slow, life_limit=0.1) as gateway:
        response = await ask(gateway)
    lost = Reply(steps=NETWORK_LOST).body
    assert response.content.endswith(lost)
    assert slow.body.startswith(response.content.removesuffix(lost))
    assert gateway.last.ended_at is not None
    assert 0.1 <= gateway.last.ended_at - gateway.last.at < 0.6


async def test_a_limit_on_silence() -> None:
    halted = stall(stream(ANSWER, piece=1, pace=0.01), at=after_events(3), seconds=9.0)
    async with Gateway(respond=lambda _: halted, idle_limit=0.1, dropped_by=RESET) as gateway:
        body, raised = await ask_and_lose(gateway)
    assert body == cut(halted, at=after_events(3), by=CLEAN_END).body
    assert isinstance(raised, httpx2.ReadError)


async def test_limits_are_on_responses_and_here_is_none() -> None:
    async with Gateway(
        respond=lambda _: no_response(after=0.1), idle_limit=0.01, life_limit=0.01
    ) as gateway:
        _, raised = await ask_and_lose(gateway)
    assert isinstance(raised, httpx2.ReadError)
    assert gateway.waits == []


@pytest.mark.parametrize(
    ("headers", "streams"),
    [
        ({}, False),
        ({"x-anthropic-beta": "other-2025"}, False),
        ({"X-Anthropic-Beta": "other-2025,eager-2025"}, True),
    ],
)
async def test_arguments_stream_when_a_header_asks_for_it(
    headers: dict[str, str], streams: bool
) -> None:
    paced = stream(WRITE, piece=1, pace=0.005)
    async with Gateway(
        respond=lambda _: paced,
        idle_limit=0.05,
        asks_to_stream=header_asks("X-Anthropic-Beta", "eager-2025"),
    ) as gateway:
        response = await ask(gateway, headers=headers)
    assert (b"Network connection lost." not in response.content) is streams
    assert bool(gateway.last.sent_arguments) is streams


@pytest.mark.parametrize(
    ("body", "streams"),
    [
        ({}, False),
        ({"eager": False}, False),
        ({"eager": True}, True),
        ({"tools": [{"eager": True}]}, True),
        ({"tools": [{"type": "function", "function": {"name": "f", "eager": True}}]}, True),
        ({"tools": [{"function": {"name": "eager"}}, "eager"]}, False),
    ],
)
async def test_arguments_stream_when_a_flag_asks_for_it(
    body: dict[str, JsonValue], streams: bool
) -> None:
    asks = flag_asks("eager")
    assert asks(RecordedRequest(number=1, connection=1, path="/", headers={}, body=body)) is streams


# --- other routes ---------------------------------------------------------------------------


async def test_the_models_are_listed_and_found() -> None:
    own: dict[str, JsonValue] = {"id": "anthropic/claude", "context_length": 7}
    async with Gateway(models=["gpt", own]) as gateway, client_of(gateway) as client:
        listed = (await client.get("/models")).json()
        assert listed == {"object": "list", "data": [{"id": "gpt", "object": "model"}, own]}
        assert (await client.get("/models/?limit=5")).json() == listed
        assert (await client.get("/models/gpt")).json() == {"id": "gpt", "object": "model"}
        assert (await client.get("/models/anthropic/claude")).json() == own
        unknown = await client.get("/models/o5")
    assert unknown.status_code == 404
    assert unknown.json() == {"error": {"message": "no model 'o5' here", "code": "model_not_found"}}


async def test_the_sdk_finds_a_model_with_a_slash_in_its_name() -> None:
    async with (
        Gateway(models=["anthropic/claude opus"]) as gateway,
        openai.AsyncOpenAI(base_url=gateway.base_url, api_key="k", max_retries=0) as sdk,
    ):
        found = await sdk.models.retrieve("anthropic/claude opus")
        assert found.id == "anthropic/claude opus"
        with pytest.raises(openai.NotFoundError, match="no model 'o5' here"):
            await sdk.models.retrieve("o5")


async def test_an_unknown_route_is_named() -> None:
    async with Gateway() as gateway, client_of(gateway) as client:
        for response in [await client.get("/credits"), await client.post("/models", json={})]:
            assert response.status_code == 404
            assert f"no route {response.request.method} /v1/" in response.text


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"\xff", b'"text"'])
async def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    async with Gateway(respond=lambda _: ANSWER) as gateway, client_of(gateway) as client:
        response = await client.post("/chat/completions", content=raw)
    assert response.status_code == 400
    assert "the body is no JSON object" in response.text
    assert (gateway.last.raw, gateway.last.body) == (raw, {})


# --- the script -----------------------------------------------------------------------------


async def test_what_is_played_comes_in_order_and_then_the_script_is_over() -> None:
    async with Gateway() as gateway:
        gateway.play(status(503, "busy"), ANSWER)
        gateway.play(status(500))
        answers = [await ask(gateway) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 200, 500, 400]
    assert answers[1].content == stream(ANSWER).body
    assert "the script is over: it has no reply for request 4" in answers[3].text


async def test_a_model_that_is_not_served_is_not_found() -> None:
    def respond(request: RecordedRequest) -> Answer:
        if request.model != "m":
            raise LookupError(f"no model {request.model}")
        return ANSWER

    async with Gateway(respond=respond) as gateway:
        assert (await ask(gateway)).status_code == 200
        unknown = await ask(gateway, {**ASKED, "model": "o5"})
    assert (unknown.status_code, unknown.json()["error"]["message"]) == (404, "no model o5")


async def test_a_fault_in_respond_surfaces() -> None:
    def respond(_: RecordedRequest) -> Answer:
        raise ZeroDivisionError("in respond")

    async def meet() -> None:
        async with Gateway(respond=respond) as gateway:
            refused = await ask(gateway)
            assert "the script raised ZeroDivisionError: in respond" in refused.text
            assert refused.status_code == 400

    with pytest.raises(ZeroDivisionError, match="in respond"):
        await meet()


async def test_an_address_before_it_listens_is_none() -> None:
    with pytest.raises(RuntimeError, match=r"use it as `async with Gateway"):
        assert Gateway().base_url


async def test_any_path_is_served_but_one_with_its_version_doubled() -> None:
    async with Gateway(respond=lambda _: ANSWER) as gateway, client_of(gateway) as client:
        served = await client.post("/deployments/gpt/chat?api-version=1", json=ASKED)
        doubled = await client.post("/v1/chat/completions", json=ASKED)
    assert (served.status_code, doubled.status_code) == (200, 404)
    assert "no route POST /v1/v1/chat/completions" in doubled.text


async def test_an_error_in_the_block_is_not_wrapped() -> None:
    async def fail() -> None:
        async with Gateway(respond=lambda _: ANSWER) as gateway:
            await ask(gateway)
            raise ZeroDivisionError("in the block")

    with pytest.raises(ZeroDivisionError, match="in the block"):
        await fail()


async def test_leaving_the_block_drops_what_is_under_way() -> None:
    gateway = Gateway(respond=lambda _: Reply(steps=(COMMENT, Pause(9.0))))
    lost: list[httpx2.HTTPError] = []

    async def lose() -> None:
        lost.append((await ask_and_lose(gateway))[1])

    async with anyio.create_task_group() as tasks, gateway:
        tasks.start_soon(lose)
        await until(lambda: bool(gateway.requests and gateway.last.sent))
    assert isinstance(lost[0], httpx2.RemoteProtocolError)
    assert gateway.last.ended_at is not None


# --- what it remembers ----------------------------------------------------------------------


async def test_a_request_as_the_server_saw_it() -> None:
    body: dict[str, JsonValue] = {
        "model": "m",
        "stream": True,
        "messages": [{"role": "user", "content": "é"}, "odd"],
        "tools": [{"type": "function"}],
    }
    async with Gateway(respond=lambda _: WRITE) as gateway:
        with pytest.raises(LookupError, match="Gateway: no request has come"):
            _ = gateway.last
        began = anyio.current_time()
        await ask(gateway, body, {"X-One": "1"})
        request = gateway.last
        ended = anyio.current_time()
    assert (request.number, request.connection, request.method) == (1, 1, "POST")
    assert request.path == "/v1/chat/completions"
    assert request.headers["x-one"] == "1"
    assert request.headers["content-length"] == str(len(request.raw))
    assert request.body == body
    assert (request.model, request.streamed) == ("m", True)
    assert request.messages == [{"role": "user", "content": "é"}]
    assert request.tools == [{"type": "function"}]
    assert request.ended_at is not None
    assert began <= request.at <= request.ended_at <= ended
    assert request.sent == stream(WRITE).body
    assert request.sent_arguments == WRITE.calls[0].arguments
    assert request.argument_bytes == len(WRITE.calls[0].arguments.encode())
    assert not request.hung_up


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X-One", "1"), ("x-one", "2")], "1, 2"),
        ([("X-One", "é".encode("latin-1"))], "é"),
    ],
    ids=["twice", "latin-1"],
)
async def test_odd_headers_are_remembered_as_they_came(
    headers: list[tuple[str, str | bytes]], expected: str
) -> None:
    async with Gateway(respond=lambda _: ANSWER) as gateway, client_of(gateway) as client:
        encoded = [
            (name.encode(), value.encode() if isinstance(value, str) else value)
            for name, value in headers
        ]
        await client.post("/chat/completions", json=ASKED, headers=encoded)
    assert gateway.last.headers["x-one"] == expected


async def test_connections_are_counted_and_waits_are_measured() -> None:
    async with Gateway() as gateway:
        gateway.play(ANSWER, ANSWER, no_response(), ANSWER)
        async with client_of(gateway) as client:
            await client.post("/chat/completions", json=ASKED)
            await anyio.sleep(0.05)
            await client.post("/chat/completions", json=ASKED)
            with pytest.raises(httpx2.ReadError):
                await client.post("/chat/completions", json=ASKED)
            await client.post("/chat/completions", json=ASKED)
    assert [request.connection for request in gateway.requests] == [1, 1, 1, 2]
    assert [request.number for request in gateway.requests] == [1, 2, 3, 4]
    assert gateway.connections == 2
    first, second, third = gateway.waits
    assert first >= 0.05
    assert 0.0 <= second < first
    assert 0.0 <= third < first


async def test_requests_that_overlap_have_no_wait_between_them() -> None:
    gateway = Gateway(respond=lambda _: whole(ANSWER, pace=0.05))
    async with gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, gateway)
        tasks.start_soon(ask, gateway)
    assert gateway.waits == [0.0]
    assert gateway.connections == 2


@pytest.mark.parametrize("head_delay", [0.0, 9.0], ids=["in-the-body", "before-the-head"])
async def test_a_client_that_leaves_in_a_pause_has_hung_up(head_delay: float) -> None:
    silent = Reply(steps=(COMMENT, Pause(9.0)), head_delay=head_delay)
    async with Gateway(respond=lambda _: silent) as gateway:
        with anyio.move_on_after(0.5):
            await ask(gateway)
        left = anyio.current_time()
        await until(lambda: gateway.last.ended_at is not None)
        assert anyio.current_time() - left < 5.0
    assert gateway.last.hung_up
    assert gateway.last.sent == (b"" if head_delay else COMMENT.data)


async def test_a_client_that_leaves_while_data_flows_has_hung_up() -> None:
    flood = Reply(steps=(Send(b": " + b"x" * 65_536 + b"\n\n"),) * 1_000)
    async with Gateway(respond=lambda _: flood) as gateway:
        async with await connect(gateway) as connection:
            await connection.send(request_bytes())
            await connection.receive()
        await until(lambda: gateway.last.ended_at is not None)
    assert gateway.last.hung_up
    assert len(gateway.last.sent) < len(flood.body)


async def test_a_client_that_is_gone_before_the_status_line_has_hung_up() -> None:
    def respond(_: RecordedRequest) -> Reply:
        time.sleep(0.05)  # until the reset has come
        return Reply()

    async with Gateway(respond=respond) as gateway:
        async with await connect(gateway) as connection:
            await connection.send(request_bytes())
            raw = connection.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: bool(gateway.requests and gateway.last.ended_at))
    assert gateway.last.hung_up


async def test_a_request_that_comes_early_shortens_no_pause() -> None:
    gateway = Gateway(models=["gpt"], respond=lambda _: whole(ANSWER, pace=0.1))
    received = b""
    async with gateway, await connect(gateway) as connection:
        await connection.send(request_bytes())
        await anyio.sleep(0.02)
        await connection.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        with anyio.fail_after(10.0):
            while b'"gpt"' not in received:
                received += await connection.receive()
    first, models = gateway.requests
    assert first.ended_at is not None
    assert first.ended_at - first.at >= 0.1
    assert models.path == "/v1/models"


async def test_what_is_no_http_is_hung_up_on() -> None:
    async with Gateway(respond=lambda _: ANSWER) as gateway:
        async with await connect(gateway) as connection:
            await connection.send(b"hello\r\n\r\n")
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await connection.receive()
        assert (await ask(gateway)).status_code == 200
    assert len(gateway.requests) == 1


async def test_a_gateway_listens_on_the_port_that_it_is_given() -> None:
    async with Gateway(respond=lambda _: ANSWER) as first:
        port = int(first.base_url.split(":")[2].partition("/")[0])
    async with Gateway(respond=lambda _: ANSWER, port=port) as second:
        assert second.base_url == first.base_url
        assert (await ask(second)).status_code == 200
