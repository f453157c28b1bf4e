"""Sends requests and reads their answers as bytes.

The request goes out as encoded, over httpx2, the HTTP library of the openai SDK, or over what
lies beneath it; proxies and trust stores are its business. The SDK itself has no part in it and is
not loaded: its typed chunk costs ten times what the wire needs, its request 300 µs more than the
library's, and its import as much as a hundred requests.
"""

import json
import ssl
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
)
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING

import anyio

from agentcore.clocks import Clocks
from agentcore.connections import CLOSE_SECONDS, Connections, sent
from agentcore.providers.base import ProviderAdapter, Wire

if TYPE_CHECKING:
    import httpx2

    from agentcore.connections import Http
    from agentcore.httpcore_transport import Network

__all__ = ["Client", "RequestFailed", "Response", "StatusError"]

_DRAIN_SECONDS = 0.1
_MOST_ERROR_BYTES = 1 << 20
"""A refusal is read so far."""
_MOST_LINKS = 8
"""Of a chain of causes that is followed."""
_FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that the stack makes of the body. Another's would have the endpoint read a part of one
request as the next."""


class RequestFailed(Exception):
    """The network or the endpoint failed a request; the cause is the foreign error.

    It separates their failures from faults in an adapter or in our own code, which must surface.
    """


class StatusError(Exception):
    """The endpoint answered with a status that is no success."""

    def __init__(self, response: "httpx2.Response", content: bytes) -> None:
        """Read what it says of itself.

        Args:
            response: Its head.
            content: Its body, decoded, or the beginning of one.
        """
        text = content.decode(response.encoding or "utf-8", errors="replace").strip()
        body: object = text
        with suppress(ValueError, RecursionError):
            body = json.loads(text)
        if isinstance(body, dict):
            body = body.get("error", body)
        message = body.get("message") if isinstance(body, dict) else None
        told = f" - {message}" if isinstance(message, str) and message else ""
        super().__init__(f"Error code: {response.status_code}{told}")
        self.status_code = response.status_code
        self.response = response
        self.body = body


class _Redirected(Exception):
    """The endpoint answers that it is elsewhere."""

    def __init__(self, status_code: int, location: str) -> None:
        super().__init__(f"redirected to {location!r}: give the final address as the base URL")
        self.status_code = status_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response that has begun."""

    headers: Mapping[str, str]
    """Names compare without case."""
    blocks: AsyncIterator[bytes]
    """The body, content-decoded: a block for each network read or HTTP chunk."""
    network: "Network | None" = None
    """What it is read from, where the stack tells of that."""

    def before_reads(self, work: Callable[[], Awaitable[object]], until: AsyncExitStack) -> bool:
        """Have `work` done before each read of the network, which may have to wait.

        Args:
            work: Called in the middle of reading `blocks`, and awaited.
            until: The end of it.

        Returns:
            It will be done; some stacks do not tell of reads.
        """
        if self.network is None:
            return False
        self.network.before_read = work
        until.callback(setattr, self.network, "before_read", None)
        return True


class Client:
    """What a run sends its requests with, one after the other; an async context manager."""

    def __init__(
        self,
        *,
        transport: "httpx2.AsyncBaseTransport | None" = None,
        fast: bool = True,
        connections: Connections | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            transport: Takes the place of the network, for tests in process.
            fast: Use the extra `fast` where it is installed.
            connections: Shared with others, and closed by whoever made them; then the arguments
                above are theirs. None: the client's own, reused between its requests.
        """
        self._is_shared = connections is not None
        self._connections = connections or Connections(transport=transport, fast=fast)
        self._generation = self._connections.generation

    async def __aenter__(self) -> "Client":
        self._connections.load()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if not self._is_shared:
            await self._connections.aclose()

    async def renew(self) -> None:
        """The next request opens a fresh connection; so do those of whoever shares them."""
        await self._connections.renew(self._generation)

    @asynccontextmanager
    async def send(
        self, wire: Wire, *, adapter: ProviderAdapter, key: str, clocks: Clocks
    ) -> AsyncIterator[Response]:
        """Send a request; gives the response once it has begun.

        Leaving the context closes it, whatever ended it; left without an error, the rest of the
        body is read first (for 0.1 s at most), so that the connection can be used again.

        Raises:
            RequestFailed: The endpoint refused the request, or the transport failed.
        """
        self._generation = self._connections.generation
        async with self._connections.http() as http:
            response = await _opened(http, wire, adapter, key, clocks)
            blocks = _blocks(response)
            is_read = False
            try:
                yield Response(
                    headers=response.headers,
                    blocks=blocks,
                    network=response.extensions.get("network"),
                )
                with anyio.move_on_after(_DRAIN_SECONDS), suppress(RequestFailed):
                    async for _ in blocks:
                        pass
                    is_read = True
            finally:
                if is_read:
                    await response.aclose()  # there is nothing left to wait for
                else:
                    await _close(response, blocks)

    async def get(self, url: str, *, headers: Mapping[str, str], max_bytes: int) -> bytes:
        """The body of a plain GET that is answered with a status of 200 to 299.

        Args:
            url: Absolute. Redirects are not followed.
            headers: All that is said beside what HTTP needs; a credential too, if one is wanted.
            max_bytes: A longer body, decoded, is given up when it has come so far.

        Raises:
            RequestFailed: It is answered with another status or too much, or the transport failed.
        """
        body = bytearray()
        async with self._connections.http() as http:
            try:
                response = await sent(
                    http, "GET", _url(url), headers={**_stack_headers(), **headers}
                )
            except Exception as error:
                raise RequestFailed from error
            if not response.is_success:
                raise RequestFailed from StatusError(response, await _refusal(response))
            blocks = _blocks(response)
            try:
                async for block in blocks:
                    body += block
                    if len(body) > max_bytes:
                        too_much = f"the answer has more than {max_bytes:,} bytes"
                        raise RequestFailed from ValueError(too_much)
            finally:
                await _close(response, blocks)
        return bytes(body)


async def _opened(
    http: "Http", wire: Wire, adapter: ProviderAdapter, key: str, clocks: Clocks
) -> "httpx2.Response":
    """The response to a request, once its head has come and says that it is a success."""
    import httpx2

    try:
        response = await sent(
            http,
            "POST",
            _url(adapter.base_url.rstrip("/") + wire.path),
            headers=_headers(wire, key),
            content=wire.body,
            connect_seconds=clocks.connect,
        )
    except httpx2.TransportError as error:
        raise RequestFailed from (error if str(error) else _in_words(error))
    except Exception as error:
        raise RequestFailed from error
    if response.is_success:
        return response
    content = await _refusal(response)
    if response.is_redirect:
        location = response.headers.get("location", "")
        raise RequestFailed from _Redirected(response.status_code, location)
    raise RequestFailed from StatusError(response, content)


def _in_words(error: "httpx2.TransportError") -> "httpx2.TransportError":
    """The HTTP stack says nothing of a lost connection but its class: a person is told more."""
    import httpx2

    tls = _tls_failure(error)
    if tls is not None:
        words = str(tls)
    elif isinstance(error, httpx2.TimeoutException):
        words = "Request timed out."
    else:
        words = "Connection error."
    worded = type(error)(words)
    worded.__cause__ = tls or error
    return worded


def _tls_failure(error: BaseException) -> ssl.SSLError | None:
    """What OpenSSL said, if it did: on trio an untrusted certificate is but a broken stream."""
    link: object = error
    for _ in range(_MOST_LINKS):
        if isinstance(link, ssl.SSLError) or not isinstance(link, BaseException):
            break
        # httpcore2 breaks the chain, and keeps the exception below as an argument.
        link = link.__cause__ or next(iter(link.args), None)
    return link if isinstance(link, ssl.SSLError) else None


async def _refusal(response: "httpx2.Response") -> bytes:
    """The body of a refusal, or what came of it: the status is known, whatever ends the body."""
    content = bytearray()
    blocks = _blocks(response)
    try:
        with suppress(RequestFailed):
            async for block in blocks:
                content += block
                if len(content) > _MOST_ERROR_BYTES:
                    break
    finally:
        await _close(response, blocks)
    return bytes(content)


def _headers(wire: Wire, key: str) -> dict[str, str]:
    """Ours, the key, and over them the adapter's and the user's."""
    headers = _stack_headers() | {
        "accept": "text/event-stream" if wire.streamed else "application/json",
        "content-type": "application/json",
    }
    if key:
        headers["authorization"] = f"Bearer {key}"
    for name, value in wire.headers.items():
        if name.lower() not in _FRAMING:
            # Blanks around a value mean nothing, and a stack that refuses them shows the value.
            headers[name.lower()] = value.strip()
    return headers


@cache
def _stack_headers() -> dict[str, str]:
    """What is said of the program and the connection.

    The encodings are those that are always there: others come and go with what is installed.
    """
    return {
        "accept-encoding": "gzip, deflate",
        "connection": "keep-alive",
        "user-agent": f"agentcore/{_version()}",
    }


def _version() -> str:
    try:
        return metadata.version("agentcore-loop")
    except metadata.PackageNotFoundError:
        return "0"  # run from its source, and not installed


@lru_cache(maxsize=64)
def _url(url: str) -> "httpx2.URL":
    """Parsed once: every request goes to the same few."""
    import httpx2

    return httpx2.URL(url)


async def _blocks(response: "httpx2.Response") -> AsyncGenerator[bytes, None]:
    blocks: AsyncIterable[bytes] = (
        response.stream
        # Nothing to decode: `aiter_bytes` would add two generators to every block.
        if "content-encoding" not in response.headers and isinstance(response.stream, AsyncIterable)
        else response.aiter_bytes()
    )
    try:
        async for block in blocks:
            yield block
    except Exception as error:
        raise RequestFailed from error


async def _close(response: "httpx2.Response", blocks: AsyncGenerator[bytes, None]) -> None:
    with anyio.move_on_after(CLOSE_SECONDS, shield=True):
        await response.aclose()
        # Run out the generators inside the HTTP stack: left suspended they would be finished by
        # the garbage collector, which trio rightly warns of.
        with suppress(RequestFailed):
            async for _ in blocks:
                pass
