"""The HTTP stacks under the loop give the same answers, and fail alike for the same fault.

The stock stack on both event loops, and the one of the extra `fast`, which is asyncio's alone. A
server that writes bytes as they are: what is wrong with an answer is wrong below HTTP, too.
"""

import gzip
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.abc
import pytest

from agentcore import Agent, ConfigurationError, Local, RunError
from agentcore.classification import classify
from agentcore.client import Client, RequestFailed, StatusError
from agentcore.clocks import Clocks
from agentcore.connections import Connections
from agentcore.events import AttemptCut, RunEvent, TextReceived
from agentcore.facts import facts_of_exception
from agentcore.providers.base import Capabilities, OutputLimit, Wire
from agentcore.testing import Answer, Gateway, Reply, stream

Step: TypeAlias = bytes | float
"""Bytes to send, or seconds to wait."""
TLS_HELLO = b"\x16"
RESET = b"RST"
"""The connection is reset, instead of being closed."""

FIN_AT_ONCE = b"FIN"
"""It is closed."""

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"a":1}\n\n'
EVENTS = b"f\r\n" + EVENT + b"\r\n"
END = b"0\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
PACKED = gzip.compress(EVENT * 1000)
DONE = stream(Answer(text="done")).body


@pytest.fixture(params=["asyncio-stock", "trio-stock", "asyncio-fast"])
def anyio_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    loop, _, stack = str(request.param).partition("-")
    if stack == "fast":
        pytest.importorskip("aiohttp")
        monkeypatch.setattr("agentcore.connections.fast_is_installed", lambda: True)
    return loop


@pytest.fixture
def is_fast(request: pytest.FixtureRequest) -> bool:
    return str(request.node.callspec.id).startswith("asyncio-fast")


@dataclass(kw_only=True)
class Server:
    """Sends the same steps to whoever connects, and closes."""

    steps: Sequence[Step]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    hung_up: anyio.Event = field(default_factory=anyio.Event)

    async def serve(self, client: anyio.abc.SocketStream) -> None:
        async with client:
            request = await client.receive()
            while not request.endswith(b"}") and not request.startswith(TLS_HELLO):
                request += await client.receive()
            self.requests.append(request)
            try:
                for step in self.steps:
                    if step is RESET:
                        close(client, RESET)
                    elif isinstance(step, float):
                        await anyio.sleep(step)
                    else:
                        await client.send(step)
            except anyio.BrokenResourceError:
                self.hung_up.set()


def close(client: anyio.abc.SocketStream, how: bytes) -> None:
    """Have it closed so when it is left."""
    if how is RESET:
        raw: socket.socket = client.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0" + bytes(4))


@asynccontextmanager
async def serving(*steps: Step) -> AsyncIterator[Server]:
    server = Server(steps=steps)
    async with serving_by(server.serve) as server.url:
        yield server


@asynccontextmanager
async def serving_by(
    serve: Callable[[anyio.abc.SocketStream], Awaitable[None]],
) -> AsyncIterator[str]:
    """The address of a server that does this with each connection."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{port}/v1"
        tasks.cancel_scope.cancel()


@dataclass(kw_only=True)
class Got:
    """What came of a request."""

    body: bytes
    blocks: int
    ending: str
    """The kind of failure; "end" for the body's own end."""
    status: int | None = None


def wire(body: bytes = b'{"a":1}', headers: Mapping[str, str] | None = None) -> Wire:
    return Wire(
        path="/chat/completions",
        headers=headers or {},
        body=body,
        output_limit=OutputLimit(),
        streamed=True,
        switch_names=frozenset(),
        buffered_arguments=False,
        added_fields=frozenset(),
    )


async def nothing() -> None:
    """What a quick reader does between two blocks."""


async def ask(
    url: str,
    *,
    sent: bytes = b'{"a":1}',
    between: Callable[[], Awaitable[None]] = nothing,
    clocks: Clocks = Clocks(),  # noqa: B008
    fast: bool = True,
) -> Got:
    blocks: list[bytes] = []
    failure: BaseException | None = None
    async with Client(fast=fast) as client:
        try:
            async with client.send(
                wire(sent), adapter=Local(base_url=url), key="", clocks=clocks
            ) as response:
                async for block in response.blocks:
                    blocks.append(block)
                    await between()
        except RequestFailed as failed:
            failure = failed.__cause__
    body = b"".join(blocks)
    if failure is None:
        return Got(body=body, blocks=len(blocks), ending="end")
    facts = facts_of_exception(failure)
    kind = str(classify(facts).kind)
    return Got(body=body, blocks=len(blocks), ending=kind, status=facts.status)


# --- what comes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "body"),
    [
        pytest.param((HEAD + EVENTS * 3 + END,), EVENT * 3, id="chunked"),
        pytest.param((PLAIN % 15, EVENT), EVENT, id="with a length"),
        pytest.param((b"HTTP/1.1 200 OK\r\n\r\n" + EVENT,), EVENT, id="until it is closed"),
        pytest.param((b"HTTP/1.0 200 OK\r\n\r\n" + EVENT,), EVENT, id="HTTP/1.0"),
        pytest.param((PLAIN % 0,), b"", id="empty"),
        pytest.param(
            (HEAD + b'00F;a=b;c="d"\r\n' + EVENT + b"\r\n0\r\nx-after: 1\r\n\r\n",),
            EVENT,
            id="chunk extensions and trailers",
        ),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + EVENTS + END,), EVENT, id="100"),
        pytest.param(
            (PLAIN.replace(b"OK", b"\xe9\xff", 1) % 15, EVENT), EVENT, id="a reason of odd bytes"
        ),
        pytest.param(
            (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + HEAD + EVENTS + END,), EVENT, id="103"
        ),
        pytest.param(
            (PLAIN.replace(b"\r\n", b"\r\nx: " + b"y" * 60_000 + b"\r\n", 1) % 15, EVENT),
            EVENT,
            id="a long header",
        ),
        pytest.param(
            (PLAIN.replace(b"\r\n", b"\r\n" + b"x: y\r\n" * 300, 1) % 15, EVENT),
            EVENT,
            id="many headers",
        ),
        pytest.param(
            (
                PLAIN.replace(b"\r\n", b"\r\ncontent-encoding: gzip\r\n", 1) % len(PACKED),
                PACKED,
            ),
            EVENT * 1000,
            id="gzip",
        ),
    ],
)
async def test_a_body_is_the_same(steps: tuple[Step, ...], body: bytes) -> None:
    async with serving(*steps) as server:
        got = await ask(server.url)
    assert (got.body, got.ending) == (body, "end")


async def test_the_fast_stack_joins_what_one_read_brings(is_fast: bool) -> None:
    async with serving(HEAD, 0.1, EVENTS * 50 + END) as server:
        got = await ask(server.url)
    assert got.blocks == (1 if is_fast else 50)


async def test_a_large_request_goes_out_whole() -> None:
    async with Gateway(respond=lambda _: stream(Answer(text="done"))) as gateway:
        body = b'{"text":"' + b"x" * 3_000_000 + b'"}'
        got = await ask(gateway.base_url, sent=body)
        assert got.ending == "end"
        assert gateway.requests[0].raw == body


# --- what fails -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "received", "kind"),
    [
        pytest.param((), 0, "connection", id="closed before the head"),
        pytest.param((RESET,), 0, "connection", id="reset before the head"),
        pytest.param((HEAD[:30],), 0, "connection", id="closed in the head"),
        pytest.param((HEAD + EVENTS * 3,), 45, "connection", id="closed between chunks"),
        pytest.param((HEAD + EVENTS * 3 + b"40\r\nabc",), 48, "connection", id="in a chunk"),
        pytest.param((HEAD + EVENTS * 3, 0.1, RESET), 45, "connection", id="reset"),
        pytest.param((PLAIN % 100, EVENT), 15, "connection", id="shorter than its length"),
        pytest.param((b"HELLO\r\n\r\n",), 0, "connection", id="no HTTP"),
        pytest.param((b"HTTP/1.1 200 OK\r\nfoo bar\r\n\r\n",), 0, "connection", id="a bad header"),
        pytest.param((HEAD + EVENTS, 0.1, b"zz\r\n"), 15, "connection", id="a bad chunk"),
    ],
)
async def test_a_fault_has_the_same_kind(steps: tuple[Step, ...], received: int, kind: str) -> None:
    async with serving(*steps) as server:
        got = await ask(server.url)
    assert (len(got.body), got.ending, got.status) == (received, kind, None)


async def test_what_lay_ready_before_a_cut_is_read_by_a_slow_reader_too() -> None:
    steps = [step for _ in range(10) for step in (EVENTS, 0.01)]
    async with serving(HEAD, *steps) as server:
        got = await ask(server.url, between=lambda: anyio.sleep(0.15))
    assert (got.body, got.ending) == (EVENT * 10, "connection")


async def test_a_refused_connection() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    got = await ask(f"http://127.0.0.1:{port}/v1")
    assert (got.ending, got.status) == ("connection", None)


async def test_a_name_that_nobody_has() -> None:
    got = await ask("http://no-such-host.invalid/v1")
    assert (got.ending, got.status) == ("connection", None)


async def test_plain_text_where_tls_is_expected() -> None:
    async with serving(HEAD) as server:
        got = await ask(server.url.replace("http:", "https:"))
    assert (got.ending, got.status) == ("connection", None)


async def test_a_connection_that_never_opens_is_a_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        got = await ask(url, clocks=Clocks(connect=0.2))
        for one in waiting:
            one.close()
    assert (got.ending, got.status) == ("timeout", None)


async def test_a_refusal_knows_what_was_refused() -> None:
    async with (
        serving(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n") as server,
        Client() as client,
    ):
        with pytest.raises(RequestFailed) as caught:
            async with client.send(
                wire(), adapter=Local(base_url=server.url), key="", clocks=Clocks()
            ):
                pass
    refusal = caught.value.__cause__
    assert isinstance(refusal, StatusError)
    request = refusal.response.request
    assert (request.method, str(request.url), request.content) == (
        "POST",
        f"{server.url}/chat/completions",
        b'{"a":1}',
    )


async def test_a_refusal_keeps_its_status_when_its_body_is_cut() -> None:
    async with serving(b'HTTP/1.1 401 No\r\ncontent-length: 400\r\n\r\n{"error":{"mes') as server:
        got = await ask(server.url)
    assert (got.ending, got.status) == ("auth", 401)


async def test_a_redirect_is_told_and_not_followed() -> None:
    async with serving(
        b"HTTP/1.1 307 Elsewhere\r\nlocation: /v2\r\ncontent-length: 0\r\n\r\n"
    ) as server:
        got = await ask(server.url)
    assert (got.ending, got.status) == ("invalid_request", 307)
    assert len(server.requests) == 1


# --- connections ----------------------------------------------------------------------------


async def test_leaving_in_the_middle_closes_the_connection() -> None:
    async with serving(HEAD, *[step for _ in range(200) for step in (EVENTS, 0.02)]) as server:
        with anyio.move_on_after(0.2) as scope:
            await ask(server.url)
        assert scope.cancelled_caught
        with anyio.fail_after(10):
            await server.hung_up.wait()


async def test_a_handshake_that_is_given_up_closes_the_connection() -> None:
    hung_up = anyio.Event()

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client:
            assert (await client.receive()).startswith(TLS_HELLO)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await client.receive()
            hung_up.set()

    async with serving_by(serve) as url:
        with anyio.move_on_after(0.2) as scope:
            await ask(url.replace("http:", "https:"))
        assert scope.cancelled_caught
        with anyio.fail_after(10):
            await hung_up.wait()


async def test_a_connection_is_used_again_when_the_body_was_read_to_its_end() -> None:
    done = stream(Answer(text="done"))
    async with Gateway(respond=lambda _: done) as gateway, Client() as client:
        for _ in range(3):
            async with client.send(
                wire(), adapter=Local(base_url=gateway.base_url), key="", clocks=Clocks()
            ) as response:
                async for block in response.blocks:
                    if b"[DONE]" in block:
                        break
        assert [request.connection for request in gateway.requests] == [1, 1, 1]


async def test_nothing_goes_out_that_we_did_not_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    answer = stream(Answer(text="done"))
    sticky = Reply(steps=answer.steps, headers={**answer.headers, "set-cookie": "a=1; Path=/"})
    async with Gateway(respond=lambda _: sticky) as gateway, Client() as client:
        for _ in range(2):
            async with client.send(
                wire(), adapter=Local(base_url=gateway.base_url), key="", clocks=Clocks()
            ):
                pass
        sent = {**gateway.requests[1].headers}
        assert sent.pop("user-agent").startswith("agentcore/")
        assert sent == {
            "accept": "text/event-stream",
            "accept-encoding": "gzip, deflate",
            "connection": "keep-alive",
            "content-length": "7",
            "content-type": "application/json",
            "host": gateway.base_url.split("/")[2],
        }


async def test_headers_of_the_users_that_no_stack_may_send_as_they_are() -> None:
    given = {
        "Content-Length": "3",
        "Transfer-Encoding": "chunked",
        "X-Project": " mine ",
        "X-No": "",
    }
    async with (
        Gateway(respond=lambda _: stream(Answer(text="done"))) as gateway,
        Client() as client,
        client.send(
            wire(headers=given),
            adapter=Local(base_url=gateway.base_url),
            key="",
            clocks=Clocks(),
        ),
    ):
        pass
    (request,) = gateway.requests
    assert request.raw == b'{"a":1}'
    sent = {**request.headers}
    assert "transfer-encoding" not in sent
    assert (sent["content-length"], sent["x-project"], sent["x-no"]) == ("7", "mine", "")


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with serving(HEAD + EVENTS + END) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        got = await ask("http://far-away.invalid/v1")
    assert (got.body, got.ending) == (EVENT, "end")
    assert proxy.requests[0].startswith(b"POST http://far-away.invalid/v1/chat/completions ")


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("socks5://me:secret@127.0.0.1:9", "a SOCKS proxy needs another package"),
        ("odd://me:secret@127.0.0.1:9", "no address of a proxy"),
        ("http://me:secret", "no address of a proxy"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_told_before_a_request(
    proxy: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentcore.connections.getproxies", lambda: {"all": proxy, "no": "x"})
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)  # not installed
    agent = Agent("m", adapter=Local(base_url="http://far-away.invalid/v1"), workspace=tmp_path)
    with pytest.raises(ConfigurationError, match=f"all_proxy: {words}") as told:
        await agent.run("Go on.")
    assert "secret" not in str(told.value)


async def test_exceptions_from_proxies_alone_are_no_proxy(
    is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "example.test")
    async with serving(HEAD, 0.1, EVENTS * 50 + END) as server:
        got = await ask(server.url)
    assert got.blocks == (1 if is_fast else 50)


@pytest.mark.parametrize("how", [FIN_AT_ONCE, RESET], ids=["closed", "reset"])
async def test_a_kept_connection_that_the_server_closes_under_a_request_costs_an_attempt(
    how: bytes, tmp_path: Path
) -> None:
    """Nobody can tell whether the request was read, so it is in the ledger as one that was lost."""
    requests: list[int] = []

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client:
            for number in range(2):
                request = await client.receive()
                while not request.endswith(b"}"):
                    request += await client.receive()
                requests.append(number)
                if number == 0:
                    await client.send(PLAIN % len(DONE) + DONE)
            close(client, how)

    async with serving_by(serve) as url:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        async with Agent(
            "m", adapter=Local(base_url=url), workspace=tmp_path, sleep=sleep
        ) as agent:
            await agent.run("Go on.")
            result = await agent.run("Go on.")
    assert [one.kind for one in result.attempts] == ["connection", None]
    assert [one.decision for one in result.attempts] == ["retry", "accept"]
    assert requests == [0, 1, 0]
    assert len(waits) == 1


async def test_a_run_that_says_no_takes_the_stock_stack(tmp_path: Path) -> None:
    async with Gateway(respond=lambda _: stream(Answer(text="done"))) as gateway:
        agent = Agent("m", adapter=Local(base_url=gateway.base_url), workspace=tmp_path, fast=False)
        assert (await agent.run("Go on.")).text == "done"
    async with serving(HEAD, 0.1, EVENTS * 50 + END) as server:
        assert (await ask(server.url, fast=False)).blocks == 50


def test_connections_are_fast_unless_told_otherwise() -> None:
    assert Connections().fast


# --- what keeps it cheap --------------------------------------------------------------------

WORDS = [f"word {number} " for number in range(300)]


def chunked(*events: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_a_listener_hears_a_burst_together_and_before_more_is_waited_for(
    is_async: bool, tmp_path: Path
) -> None:
    """The server goes on only once all that it sent was heard."""
    heard: list[str] = []
    all_heard = anyio.Event()

    def hear(event: RunEvent) -> None:
        if isinstance(event, TextReceived):
            heard.append(event.text)
            if "".join(heard) == "".join(WORDS):
                all_heard.set()

    async def hear_and_wait(event: RunEvent) -> None:
        await anyio.sleep(0.001)
        hear(event)

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client:
            await client.receive()
            deltas = [{"choices": [{"delta": {"content": word}}]} for word in WORDS]
            events = [b"data: %b\n\n" % json.dumps(delta).encode() for delta in deltas]
            await client.send(HEAD + chunked(*events))
            with anyio.fail_after(5):
                await all_heard.wait()
            end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
            await client.send(chunked(b"data: %b\n\n" % json.dumps(end).encode()) + END)

    async with serving_by(serve) as url:
        agent = Agent("m", adapter=Local(base_url=url), workspace=tmp_path)
        result = await agent.run("Go on.", on_event=hear_and_wait if is_async else hear)
    assert result.text == "".join(WORDS)
    assert len(heard) < len(WORDS) / 2


def saying(word: str) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": word}}]}).encode()


async def no_sleep(_: float) -> None:
    """Wait for nothing."""


class NoReason(Local):
    """An endpoint that sends no finish reason."""

    capabilities = Capabilities(done_is_terminal=True)


async def test_what_came_in_the_read_that_broke_the_body_is_heard_all_the_same(
    tmp_path: Path, is_fast: bool
) -> None:
    if is_fast:
        pytest.skip("aiohttp hands over nothing of a read that it cannot parse")
    heard: list[str] = []
    heard_at_a_cut: list[str] = []

    def hear(event: RunEvent) -> None:
        if isinstance(event, TextReceived):
            heard.append(event.text)
        elif isinstance(event, AttemptCut):
            heard_at_a_cut.append("".join(heard))

    broken = HEAD + chunked(*map(saying, WORDS[:30])) + b"odd\r\n"
    async with serving(broken, 0.1) as server:
        agent = Agent("m", adapter=Local(base_url=server.url), workspace=tmp_path, sleep=no_sleep)
        with pytest.raises(RunError):
            await agent.run("Go on.", on_event=hear)
    assert heard_at_a_cut[0] == "".join(WORDS[:30])


async def test_the_end_is_seen_where_it_comes_with_the_last_words_of_a_burst(
    tmp_path: Path,
) -> None:
    """The server keeps the connection open: who looked for more would be there until a clock."""
    *words, last = map(saying, WORDS[:30])
    burst = HEAD + chunked(*words, last + b"data: [DONE]\n\n")
    async with serving(burst, 10.0) as server:
        agent = Agent("m", adapter=NoReason(base_url=server.url), workspace=tmp_path)
        with anyio.fail_after(5):
            result = await agent.run("Go on.", on_event=lambda _: None)
    assert result.text == "".join(WORDS[:30])


async def test_a_short_request_goes_out_at_once(is_fast: bool) -> None:
    received: list[bytes] = []

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client:
            received.append(await client.receive())
            await client.send(PLAIN % len(DONE) + DONE)

    async with serving_by(serve) as url:
        assert (await ask(url)).ending == "end"
    assert received[0].endswith(b'{"a":1}')


async def test_a_kept_connection_that_was_closed_meanwhile_is_not_used(tmp_path: Path) -> None:
    async with (
        serving(PLAIN % len(DONE) + DONE) as server,
        Agent("m", adapter=Local(base_url=server.url), workspace=tmp_path) as agent,
    ):
        for _ in range(3):
            assert len((await agent.run("Go on.")).attempts) == 1
            await anyio.sleep(0.05)
    assert len(server.requests) == 3


async def test_an_endpoint_keeps_its_connection_while_another_is_asked() -> None:
    async with (
        Gateway(respond=lambda _: stream(Answer(text="done"))) as one,
        Gateway(respond=lambda _: stream(Answer(text="done"))) as two,
        Client() as client,
    ):
        for gateway in (one, two, one, two):
            adapter = Local(base_url=gateway.base_url)
            async with client.send(wire(), adapter=adapter, key="", clocks=Clocks()) as response:
                async for _ in response.blocks:
                    pass
    for gateway in (one, two):
        assert [request.connection for request in gateway.requests] == [1, 1]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\n", "Error code: 404 - nothing here"),
        (b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /v2\r\n", "Error code: 307"),
    ],
)
async def test_a_look_up_that_is_refused_says_how(head: bytes, said: str) -> None:
    body = b'{"error": {"message": "nothing here"}}'

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client:
            await client.receive()
            await client.send(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    async with serving_by(serve) as url, Client() as client:
        with pytest.raises(RequestFailed) as failed:
            await client.get(f"{url}/models", headers={}, max_bytes=1_000)
    assert str(failed.value.__cause__).startswith(said)


async def test_an_address_of_another_kind_is_refused_in_words() -> None:
    async with Client(fast=False) as client:
        with pytest.raises(RequestFailed) as failed:
            await client.get("ftp://user:secret@a.test/models", headers={}, max_bytes=1_000)
    assert "http:// or https://" in str(failed.value.__cause__)
    assert "secret" not in str(failed.value.__cause__)
