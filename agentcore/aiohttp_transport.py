"""The extra `fast`: requests over aiohttp, whose parser is written in C; asyncio only.

The stock stack hands over each HTTP chunk by itself, and h11 takes about 8 µs for one; servers send
a chunk an event. aiohttp joins what lies in one network read. Everything else has to be as on the
stock stack: the errors raised here are the ones that it raises for the same fault, no cookie is
kept, no netrc file is read, no redirect followed, names are resolved by the system. The openai
SDK's own transport over aiohttp is not used: with it a refused connection and a server that hangs
up are connect timeouts, cookies are kept, a hundred connections are the most, bodies over 1 MiB
raise a warning, and what came before a cut may be lost (openai 3.57.0, aiohttp 3.14.5, read).
"""

import io
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING

import aiohttp
import httpx2
import yarl
from typing_extensions import override

if TYPE_CHECKING:
    from asyncio import Future  # noqa: TID251 - aiohttp is asyncio's

__all__ = ["AiohttpTransport"]

_LONGEST_HEADER_BYTES = 100 * 1024
"""What the stock stack (httpcore2 2.16.2) takes for all headers; aiohttp would take 8 KiB each."""
_MOST_HEADERS = 1000
"""The stock stack counts bytes only."""
_LARGE_BODY_BYTES = 64 * 1024
"""Larger bodies are written piece by piece; of one over 1 MiB at once aiohttp warns."""


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """One aiohttp session; made and closed on the same event loop."""

    def __init__(self, *, verify: ssl.SSLContext, keep_alive_seconds: float) -> None:
        """Open nothing yet.

        Args:
            verify: For every TLS connection.
            keep_alive_seconds: How long a connection without a request is kept.
        """
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=verify,
                limit=0,
                keepalive_timeout=keep_alive_seconds,
                # With aiodns installed it would be another resolver, with settings of its own.
                resolver=aiohttp.ThreadedResolver(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_LONGEST_HEADER_BYTES,
            max_field_size=_LONGEST_HEADER_BYTES,
            max_headers=_MOST_HEADERS,
        )

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; gives the response once its head has come.

        Raises:
            httpx2.TransportError: What the stock stack raises for the same fault.
        """
        content = await request.aread()
        timeout = request.extensions.get("timeout", {})
        try:
            response = await self._session.request(
                request.method,
                _url(str(request.url)),
                headers=request.headers.multi_items(),
                data=content if len(content) < _LARGE_BODY_BYTES else io.BytesIO(content),
                allow_redirects=False,
                # Of the whole way to an open connection, the look-up of the name included.
                timeout=aiohttp.ClientTimeout(
                    connect=timeout.get("connect"), sock_read=timeout.get("read")
                ),
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = _before_the_head(error)
            raise failure from failure.__cause__
        # It may hold any bytes: aiohttp hands them over as surrogates.
        reason = (response.reason or "").encode("utf-8", "surrogateescape")
        return httpx2.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        )

    @override
    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Body(httpx2.AsyncByteStream):
    """Of a response, as it came: a block has what lay ready."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self._failure: httpx2.TransportError | None = None
        self._is_left = False
        connection = response.connection
        protocol = connection.protocol if connection is not None else None
        self._closed = protocol.closed if protocol is not None else None
        if self._closed is not None:
            self._closed.add_done_callback(self._lost)

    @override
    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        if self._is_left:
            raise StopAsyncIteration
        if self._failure is not None:
            raise self._failure from None
        try:
            block = await self._content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            block = self._cut_off(error)
        if not block:
            raise StopAsyncIteration
        return block

    def _lost(self, closed: "Future[None]") -> None:
        """The connection is closed: after a malformed chunk aiohttp does not tell the reader."""
        closed.exception()
        if not self._content.is_eof() and self._content.exception() is None:
            self._content.set_exception(aiohttp.ClientPayloadError())

    def _cut_off(self, error: Exception) -> bytes:
        """What came before the end, which aiohttp keeps back once it knows of the end."""
        failure = _in_the_body(error)
        # There is no public way to it. Without it the cut of a stream that is read slowly, by a
        # listener that takes its time, would cost all that lay ready.
        block = self._content._read_nowait(-1)
        if not block:
            raise failure from None
        self._failure = failure
        return block

    @override
    async def aclose(self) -> None:
        """Keep the connection if the body came to its end, else close it."""
        self._is_left = True
        if self._closed is not None:
            self._closed.remove_done_callback(self._lost)
        if not self._response.closed:
            self._response.close()


@lru_cache(maxsize=64)
def _url(url: str) -> yarl.URL:
    return yarl.URL(url, encoded=True)


def _before_the_head(error: Exception) -> httpx2.TransportError:
    match error:
        case TimeoutError():
            return httpx2.ConnectTimeout("")
        case aiohttp.ClientConnectorCertificateError():
            return _caused(httpx2.ConnectError(str(error.certificate_error)), error)
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorDNSError():
            return _caused(httpx2.ConnectError(str(error.os_error)), error)
        case aiohttp.ClientConnectorError():
            return _caused(httpx2.ConnectError("All connection attempts failed"), error)
        case aiohttp.ServerDisconnectedError():
            return httpx2.RemoteProtocolError("Server disconnected without sending a response.")
        case aiohttp.ClientResponseError():
            return httpx2.RemoteProtocolError(error.message)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return httpx2.UnsupportedProtocol(str(error))
        case _:
            return _caused(httpx2.ReadError(""), error)


def _in_the_body(error: Exception) -> httpx2.TransportError:
    match error:
        case TimeoutError():
            return httpx2.ReadTimeout("")
        # How the connection was lost stands in the text alone.
        case aiohttp.ClientPayloadError() if "ConnectionResetError" not in str(error):
            return httpx2.RemoteProtocolError(
                "peer closed connection without sending complete message body"
            )
        case _:
            return httpx2.ReadError("Connection reset by peer")


def _caused(error: httpx2.TransportError, by: BaseException) -> httpx2.TransportError:
    """With what the system said as the cause, and not what aiohttp makes of it.

    Its own errors would be read as the endpoint's: their texts begin with "400, message:", and at
    the root of a timeout lies a cancellation.
    """
    error.__cause__ = by.__cause__
    return error
