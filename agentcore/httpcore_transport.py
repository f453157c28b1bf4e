"""The stock HTTP stack: requests over httpcore2, HTTP/1.1, on asyncio and trio.

httpx2's own transport is a pool of the same connections. For one request at a time, which is all
that a transport has here, the pool costs as much as writing the request does, and its streams are
two generators more under every block. And nobody is told when the network is read.
"""

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

import anyio
import httpcore2
import httpx2
from typing_extensions import override

__all__ = ["HttpcoreTransport", "Network"]

_JOINED_BYTES = 65_536
"""What is written at once and is longer than this is not copied to be joined."""


class HttpcoreTransport:
    """A connection to each origin that it is asked for; one request at a time.

    A response has the extension `network`, a `Network`.
    """

    def __init__(self, *, verify: ssl.SSLContext, keep_alive_seconds: float) -> None:
        """Open nothing yet.

        Args:
            verify: For every TLS connection.
            keep_alive_seconds: How long a connection without a request is kept.
        """
        self._verify = verify
        self._keep_alive_seconds = keep_alive_seconds
        self._connections: dict[tuple[bytes, bytes, int], httpcore2.AsyncHTTPConnection] = {}

    async def send(
        self,
        method: str,
        url: httpx2.URL,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        connect_seconds: float | None,
    ) -> httpx2.Response:
        """Send a request; gives the response once its head has come.

        Args:
            method: As HTTP spells it.
            url: Absolute.
            headers: None that frames the body; `host` is added where it is missing.
            content: The body; None for none.
            connect_seconds: How long an open connection may take to get; None for no limit.

        Raises:
            httpx2.TransportError: The transport failed.
        """
        if url.scheme not in ("http", "https"):
            raise httpx2.UnsupportedProtocol(
                f"an address begins with http:// or https://, and not with {url.scheme!r}"
            )
        target = httpcore2.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        fields = [(name.encode("ascii"), text.encode("ascii")) for name, text in headers.items()]
        if "host" not in headers:
            fields.insert(0, (b"host", url.netloc))
        if content is not None:
            fields.append((b"content-length", b"%d" % len(content)))
        with _as_httpx2():
            connection = await self._connection_to(target.origin)
            response = await connection.handle_async_request(
                httpcore2.Request(
                    method,
                    target,
                    headers=fields,
                    content=content,
                    extensions={"timeout": {"connect": connect_seconds}},
                )
            )
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions={"network": response.extensions["network_stream"]},
        )

    async def aclose(self) -> None:
        """Close every connection."""
        while self._connections:
            _, connection = self._connections.popitem()
            await connection.aclose()

    async def _connection_to(self, origin: httpcore2.Origin) -> httpcore2.AsyncHTTPConnection:
        """The one that lies ready, if it still stands; else one that is opened by its request."""
        for place, connection in list(self._connections.items()):
            if not connection.is_idle() or connection.has_expired():
                del self._connections[place]
                await connection.aclose()
        wanted = origin.scheme, origin.host, origin.port
        if wanted not in self._connections:
            self._connections[wanted] = httpcore2.AsyncHTTPConnection(
                origin,
                ssl_context=self._verify,
                keepalive_expiry=self._keep_alive_seconds,
                network_backend=_Backend(),
            )
        return self._connections[wanted]


class Network(httpcore2.AsyncNetworkStream):
    """A stream of the network that says when it is about to be read."""

    before_read: Callable[[], Awaitable[object]] | None = None
    """Awaited before each read; whoever sets it takes it back."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._unsent = b""

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unsent:
            # A server may answer before it has read all, and close: the answer is what counts.
            with suppress(httpcore2.WriteError):
                await self._send()
        if self.before_read is not None:
            await self.before_read()
        return await self._stream.read(max_bytes, timeout)

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Have it sent: at once where it is much, else with what follows, before the next read.

        So a short request goes out as one packet, head and body, after one round of the event loop.
        No timeout of a write is kept: none is given here.
        """
        if len(buffer) > _JOINED_BYTES:
            await self._send()
            await self._stream.write(buffer, timeout)
        else:
            self._unsent += buffer

    async def _send(self) -> None:
        unsent, self._unsent = self._unsent, b""
        await self._stream.write(unsent)

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()

    @override
    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "Network":
        try:
            stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            # httpcore2 closes what failed, and leaves what was cancelled to the garbage collector.
            with anyio.CancelScope(shield=True):
                await self.aclose()
            raise
        return Network(stream)

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore2.AnyIOBackend):
    @override
    async def connect_tcp(self, *args: Any, **options: Any) -> Network:
        return Network(await super().connect_tcp(*args, **options))


class _Body(httpx2.AsyncByteStream):
    """Of a response, as it came: a block is an HTTP chunk, or what was read of one."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx2():
            async for block in cast("AsyncIterable[bytes]", self._response.stream):
                yield block

    @override
    async def aclose(self) -> None:
        """Keep the connection if the body came to its end, else close it."""
        await self._response.aclose()


@contextmanager
def _as_httpx2() -> Iterator[None]:
    """Failures of network and protocol have namesakes in httpx2, which are what callers know.

    Others do not come: there is one request at a time, no proxy, and the scheme is checked.
    """
    try:
        yield
    except (
        httpcore2.TimeoutException,
        httpcore2.NetworkError,
        httpcore2.ProtocolError,
    ) as error:
        namesake = getattr(httpx2, type(error).__name__)
        raise namesake(str(error)) from error
