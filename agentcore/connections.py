"""Connections to endpoints, kept between requests and shared by the runs that want to.

Each request has an HTTP transport for itself while it is under way; one that is done with is kept,
with its open connection, for the next. A single pool for all is searched whole at every request: at
400 streams one costs 5.7 ms of CPU so, and 0.75 ms here. And a transport under way is nobody
else's: renewing, after a failure, closes those that lie ready, never another run's stream.
"""

import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, TypeAlias
from urllib.request import getproxies

import anyio

from agentcore.errors import ConfigurationError
from agentcore.event_loop import event_loop_clock

if TYPE_CHECKING:
    import httpx2

    from agentcore.httpcore_transport import HttpcoreTransport

    Http: TypeAlias = HttpcoreTransport | httpx2.AsyncBaseTransport | httpx2.AsyncClient

__all__ = ["Connections", "closed", "fast_is_installed", "sent"]

KEEP_ALIVE_SECONDS = 4.0
"""How long a connection without a request is kept: less than the least that common servers keep one
(uvicorn, Node.js, llama.cpp: 5). A request that goes out just when the server closes is lost, and
costs an attempt and a wait; what is kept for longer may have been dropped on the way, unsaid."""
CLOSE_SECONDS = 1.0
"""How long closing may take."""
_OLDEST_AIOHTTP = (3, 14, 4)
"""As in the extra `fast`, and the one of the openai SDK."""


@dataclass(frozen=True, slots=True)
class _Idle:
    http: "Http"
    since: float


@dataclass(eq=False, kw_only=True)
class Connections:
    """HTTP transports that lie ready, on one event loop."""

    transport: "httpx2.AsyncBaseTransport | None" = None
    """Takes the place of the network, for tests in process. All requests share it."""
    fast: bool = True
    """Go through aiohttp where the extra `fast` is installed and the loop is asyncio's."""
    generation: int = 0
    """How often the connections were renewed."""
    _idle: deque[_Idle] = field(default_factory=deque)
    """The one that lies ready for longest is first; the last is taken first."""
    _is_closed: bool = False

    @cached_property
    def _clock(self) -> Callable[[], float]:
        return event_loop_clock()

    def load(self) -> None:
        """Load the HTTP stack, 0.1 s: no clock that watches a request may pay for that."""
        if self._idle:
            return  # it is loaded: something lies ready
        if self._is_fast():
            import agentcore.aiohttp_transport
        else:
            import agentcore.httpcore_transport  # noqa: F401

    @asynccontextmanager
    async def http(self) -> AsyncIterator["Http"]:
        """A transport for one request, which has to be over when the context is left."""
        await self._close_idle(self._clock() - KEEP_ALIVE_SECONDS)
        http = self._idle.pop().http if self._idle else self._new()
        generation = self.generation
        try:
            yield http
        finally:
            if self.transport is not None:
                pass  # it is everybody's
            elif self._is_closed or generation != self.generation:
                await closed(http)
            else:
                self._idle.append(_Idle(http, self._clock()))

    async def renew(self, generation: int) -> None:
        """Have the next requests open fresh connections.

        Args:
            generation: Of the request that failed. Where it is not the present one, another run
                has renewed the connections since.
        """
        if generation != self.generation:
            return
        self.generation += 1
        await self._close_ready()

    async def aclose(self) -> None:
        """Close what lies ready; what is under way is closed when it is over."""
        self._is_closed = True
        await self._close_ready()

    async def _close_ready(self) -> None:
        if self.transport is not None:
            # It stays in use, and says itself what closing its connections means.
            await closed(self.transport)
        await self._close_idle(self._clock())

    async def _close_idle(self, until: float) -> None:
        """Close those that lie ready since then or earlier."""
        while self._idle and self._idle[0].since <= until:
            await closed(self._idle.popleft().http)

    def _new(self) -> "Http":
        if self.transport is not None:
            return self.transport
        if getproxies().keys() - {"no"}:
            return _over_proxies()
        if self._is_fast():
            from agentcore.aiohttp_transport import AiohttpTransport

            return AiohttpTransport(verify=_tls_context(), keep_alive_seconds=KEEP_ALIVE_SECONDS)
        from agentcore.httpcore_transport import HttpcoreTransport

        return HttpcoreTransport(verify=_tls_context(), keep_alive_seconds=KEEP_ALIVE_SECONDS)

    def _is_fast(self) -> bool:
        return self.fast and self.transport is None and _on_asyncio() and fast_is_installed()


def _over_proxies() -> "httpx2.AsyncClient":
    """A client: proxies of every kind, and the exceptions from them, are its business.

    Raises:
        ConfigurationError: A proxy of the environment cannot be used. No address is in the text:
            it may have a credential in it.
    """
    import httpx2

    limits = httpx2.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS)
    try:
        return httpx2.AsyncClient(verify=_tls_context(), limits=limits)
    except ImportError:
        raise ConfigurationError(
            f"{_proxy_variables()}: a SOCKS proxy needs another package: pip install httpx2[socks]"
        ) from None
    except (ValueError, httpx2.InvalidURL):
        raise ConfigurationError(
            f"{_proxy_variables()}: no address of a proxy, as in http://proxy.test:3128"
        ) from None


def _proxy_variables() -> str:
    return ", ".join(f"{scheme}_proxy" for scheme in sorted(getproxies()) if scheme != "no")


async def sent(
    http: "Http",
    method: str,
    url: "httpx2.URL",
    *,
    headers: Mapping[str, str],
    content: bytes | None = None,
    connect_seconds: float | None = None,
) -> "httpx2.Response":
    """The response, whatever its status, once its head has come; its body is still to be read.

    Past a client, except where the environment names a proxy. It does much that is not wanted here:
    it follows redirects, which would carry the conversation, and headers with credentials, to a
    host that nobody named; it keeps cookies, and reads credentials from files.

    Args:
        http: A transport that no other request uses.
        method: As HTTP spells it.
        url: Absolute.
        headers: None that frames the body; `host` is added where it is missing.
        content: The body; None for none.
        connect_seconds: How long an open connection may take to get; None for no limit.

    Raises:
        httpx2.TransportError: The transport failed.
    """
    import httpx2

    # `HttpcoreTransport`, unnamed here: the extra `fast` does without it, and without its import.
    if not isinstance(http, httpx2.AsyncClient) and not hasattr(http, "handle_async_request"):
        response = await http.send(
            method, url, headers=headers, content=content, connect_seconds=connect_seconds
        )
        if not response.is_success:  # whoever reads a refusal may ask what was refused
            response.request = httpx2.Request(method, url, headers=headers, content=content)
        return response
    timeout = {"connect": connect_seconds, "read": None, "write": None, "pool": None}
    request = httpx2.Request(
        method, url, headers=headers, content=content, extensions={"timeout": timeout}
    )
    if isinstance(http, httpx2.AsyncClient):
        return await http.send(request, stream=True, auth=None)
    response = await http.handle_async_request(request)
    response.request = request
    return response


async def closed(connections: "Http") -> None:
    """Close them, whatever is being cancelled, and do not wait for it for long."""
    with anyio.move_on_after(CLOSE_SECONDS, shield=True):
        await connections.aclose()


@cache
def fast_is_installed() -> bool:
    """An aiohttp that is new enough is there; loads it, 0.1 s."""
    try:
        import aiohttp
    except ImportError:
        return False
    numbers = aiohttp.__version__.split(".")[:3]
    return all(map(str.isdecimal, numbers)) and tuple(map(int, numbers)) >= _OLDEST_AIOHTTP


def _on_asyncio() -> bool:
    return anyio.get_cancelled_exc_class().__module__.startswith("asyncio")


@cache
def _tls_context() -> ssl.SSLContext:
    """Built once a process: loading the trust store takes about 20 ms."""
    import httpx2

    return httpx2.create_ssl_context()
