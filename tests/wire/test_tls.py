"""TLS: whom the HTTP stacks trust, and what a connection that ends under TLS is told as.

An authority made for the test signs the server's certificate; `SSL_CERT_FILE` names the authority.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path

import anyio
import anyio.abc
import pytest
import trustme
from anyio.streams.tls import TLSListener, TLSStream

from agentcore import Agent, Local, RunError, RunResult
from agentcore.connections import _tls_context
from agentcore.testing import Answer, stream

ANSWER = stream(Answer(text="It goes on for a while, all of it.")).body
HALF = len(ANSWER) // 2
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
WHOLE = HEAD % len(ANSWER) + ANSWER

pytestmark = pytest.mark.usefixtures("_trust")


@pytest.fixture(params=["asyncio-stock", "trio-stock", "asyncio-fast"])
def anyio_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    loop, _, stack = str(request.param).partition("-")
    if stack == "fast":
        pytest.importorskip("aiohttp")
        monkeypatch.setattr("agentcore.connections.fast_is_installed", lambda: True)
    return loop


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def _trust(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The trust store is read once a process: here, once a test."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    _tls_context.cache_clear()
    yield
    _tls_context.cache_clear()


class Ending(StrEnum):
    """How a connection is closed in the middle of the body."""

    SAID = "close_notify"
    UNSAID = "FIN"
    RESET = "RST"


class Server:
    """Ends the first connections so, in the middle; answers the later ones wholly."""

    def __init__(self, *endings: Ending) -> None:
        self.url = ""
        self.requests = 0
        self._endings = list(endings)

    async def serve(self, client: TLSStream) -> None:
        request = await client.receive()
        while not request.endswith(b"}"):
            request += await client.receive()
        self.requests += 1
        if not self._endings:
            await client.send(WHOLE)
            await client.aclose()
            return
        await client.send(WHOLE[: WHOLE.index(ANSWER) + HALF])
        await anyio.sleep(0.05)
        await end(client, self._endings.pop(0))


async def end(client: TLSStream, ending: Ending) -> None:
    if ending is Ending.SAID:
        await client.aclose()
        return
    if ending is Ending.RESET:
        raw: socket.socket = client.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0" + bytes(4))
    await client.transport_stream.aclose()


@asynccontextmanager
async def serving(certificate: trustme.LeafCert, *endings: Ending) -> AsyncIterator[Server]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    server = Server(*endings)
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    # A client that does not trust the certificate says so by hanging up.
    listener = TLSListener(tcp, context, standard_compatible=False)
    server.url = f"https://127.0.0.1:{tcp.extra(anyio.abc.SocketAttribute.local_port)}/v1"
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


async def run_of(server: Server, workspace: Path) -> RunResult:
    async def no_wait(seconds: float) -> None:
        """Waits are decided, and not slept."""

    agent = Agent("m", adapter=Local(base_url=server.url), workspace=workspace, sleep=no_wait)
    with anyio.fail_after(20):
        return await agent.run("Go on.")


async def test_who_is_trusted_is_asked(authority: trustme.CA, tmp_path: Path) -> None:
    async with serving(authority.issue_cert("127.0.0.1")) as server:
        result = await run_of(server, tmp_path)
    assert result.text == "It goes on for a while, all of it."
    assert len(result.attempts) == 1


@pytest.mark.parametrize(
    ("is_ours", "name", "why"),
    [
        (False, "127.0.0.1", "certificate verify failed: unable to get local issuer certificate"),
        (True, "elsewhere.test", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
    ids=["of nobody we trust", "of another host"],
)
async def test_who_is_not_trusted_is_sent_nothing(
    is_ours: bool, name: str, why: str, authority: trustme.CA, tmp_path: Path
) -> None:
    issuer = authority if is_ours else trustme.CA()
    async with serving(issuer.issue_cert(name)) as server:
        with pytest.raises(RunError) as stopped:
            await run_of(server, tmp_path)
    assert stopped.value.kind == "invalid_request"
    # Asked once: a fresh connection would fail in the same way.
    (attempt,) = stopped.value.attempts
    assert why in attempt.message
    assert server.requests == 0


@pytest.mark.parametrize("ending", Ending)
async def test_a_cut_under_tls_is_a_lost_connection(
    ending: Ending, authority: trustme.CA, tmp_path: Path
) -> None:
    async with serving(authority.issue_cert("127.0.0.1"), ending) as server:
        result = await run_of(server, tmp_path)
    assert result.text == "It goes on for a while, all of it."
    cut, whole = result.attempts
    assert (cut.outcome, cut.kind, cut.decision) == ("cut", "connection", "retry")
    assert cut.received_bytes == HALF
    assert whole.outcome == "complete"
