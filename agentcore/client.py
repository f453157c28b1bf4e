"""The one module that opens connections to providers.

The openai SDK opens the request: credentials, proxies, headers, typed status errors, with its own
retries off. The body is read as bytes: the SDK's typed chunk costs ten times what the wire needs.
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import anyio

from agentcore.clocks import Clocks
from agentcore.providers.base import ProviderAdapter, Wire

if TYPE_CHECKING:
    import httpx2
    import openai

__all__ = ["Client", "RequestFailed", "Response"]

_DRAIN_SECONDS = 0.1
_CLOSE_SECONDS = 1.0


class RequestFailed(Exception):
    """The network or the endpoint failed a request; the cause is the foreign error.

    It separates their failures from faults in an adapter or in our own code, which must surface.
    """


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


class Client:
    """Connections of one run, reused between its turns; an async context manager."""

    def __init__(self, *, transport: "httpx2.AsyncBaseTransport | None" = None) -> None:
        """Open nothing yet.

        Args:
            transport: Takes the place of the network, for tests in process.
        """
        self._transport = transport
        self._http: httpx2.AsyncClient | None = None
        self._sdk: dict[tuple[str, str], openai.AsyncOpenAI] = {}

    async def __aenter__(self) -> "Client":
        # Loading the SDK takes 0.3 s: `import agentcore` does not pay for it, and no clock that
        # watches a request may either.
        import openai  # noqa: F401

        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close()

    async def renew(self) -> None:
        """Close every connection: the next request opens a fresh one."""
        if self._transport is None:
            await self._close()
        else:
            # It stays in use, and says itself what closing its connections means.
            await _closed(self._transport)

    async def _close(self) -> None:
        http, self._http, self._sdk = self._http, None, {}
        if http is not None:
            await _closed(http)

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
        response = await self._post(wire, adapter, key, clocks)
        blocks = _blocks(response)
        try:
            yield Response(headers=response.headers, blocks=blocks)
            with anyio.move_on_after(_DRAIN_SECONDS), suppress(RequestFailed):
                async for _ in blocks:
                    pass
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
                await response.aclose()
                # Run out the generators inside the SDK's HTTP stack: left suspended they would be
                # finished by the garbage collector, which trio rightly warns of.
                with suppress(RequestFailed):
                    async for _ in blocks:
                        pass

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
        try:
            async with self._connections().stream("GET", url, headers=dict(headers)) as response:
                response.raise_for_status()
                async for block in response.aiter_bytes():
                    body += block
                    if len(body) > max_bytes:
                        raise ValueError(f"the answer has more than {max_bytes:,} bytes")
        except Exception as error:
            raise RequestFailed from error
        return bytes(body)

    async def _post(
        self, wire: Wire, adapter: ProviderAdapter, key: str, clocks: Clocks
    ) -> "httpx2.Response":
        # Imported here so that `import agentcore` does not pay for the SDK's types.
        import httpx2
        import openai

        sdk = self._client(adapter.base_url, key)
        # The SDK hands over the open response itself when that is what it is asked to cast to.
        post: Callable[..., Awaitable[httpx2.Response]] = sdk.post
        try:
            return await post(
                wire.path,
                cast_to=httpx2.Response,
                content=wire.body,
                stream=True,
                stream_cls=openai.AsyncStream[object],
                options={
                    "headers": _headers(wire, key, sdk.default_headers),
                    # Without this the SDK may send an admin key where there is no other.
                    "security": {"bearer_auth": True},
                    "timeout": httpx2.Timeout(None, connect=clocks.connect),
                },
            )
        except openai.APIStatusError as error:
            if error.response.is_redirect:
                location = error.response.headers.get("location", "")
                raise RequestFailed from _Redirected(error.status_code, location)
            raise RequestFailed from error
        except Exception as error:
            raise RequestFailed from error

    def _client(self, base_url: str, key: str) -> "openai.AsyncOpenAI":
        import openai

        sdk = self._sdk.get((base_url, key))
        if sdk is None:
            # The SDK insists on some key; the header that goes out is always our own.
            sdk = self._sdk[base_url, key] = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=base_url,
                http_client=self._connections(),
                max_retries=0,
            )
        return sdk

    def _connections(self) -> "httpx2.AsyncClient":
        import httpx2

        if self._http is None:
            transport = self._transport
            # Redirects are not followed: they would carry the conversation, and headers with
            # credentials, to a host that nobody named; and a 302 turns a POST into a GET.
            self._http = (
                httpx2.AsyncClient(transport=transport)
                if transport is not None
                else httpx2.AsyncClient(verify=_tls_context())
            )
        return self._http


async def _closed(connections: "httpx2.AsyncClient | httpx2.AsyncBaseTransport") -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
        await connections.aclose()


@cache
def _tls_context() -> ssl.SSLContext:
    """Built once a process: loading the trust store takes about 20 ms."""
    import httpx2

    return httpx2.create_ssl_context()


_SDK_HEADERS = ("accept", "content-type", "user-agent", "x-stainless-")


def _headers(
    wire: Wire, key: str, sdk_headers: "Mapping[str, str | openai.Omit]"
) -> "dict[str, str | openai.Omit]":
    """Ours alone: nothing that the SDK reads from its environment goes out.

    `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID` and `OPENAI_CUSTOM_HEADERS` are meant for one host.
    """
    import openai

    headers: dict[str, str | openai.Omit] = {
        name: openai.Omit()
        for name in sdk_headers
        if not name.lower().startswith(_SDK_HEADERS) and name.lower() != "authorization"
    }
    headers |= {
        "Authorization": f"Bearer {key}" if key else openai.Omit(),
        "Accept": "text/event-stream" if wire.streamed else "application/json",
    }
    for name, value in wire.headers.items():
        for known in [known for known in headers if known.lower() == name.lower()]:
            del headers[known]
        headers[name] = value
    return headers


async def _blocks(response: "httpx2.Response") -> AsyncGenerator[bytes, None]:
    try:
        async for block in response.aiter_bytes():
            yield block
    except Exception as error:
        raise RequestFailed from error
