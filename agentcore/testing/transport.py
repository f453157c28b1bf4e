"""`GatewayTransport`: the same scripts in process, without sockets, for exact and fast tests.

What it raises is what the HTTP stack raises on a real connection. Pauses sleep on the event loop's
clock: under `run_in_virtual_time` they cost nothing and are exact.
"""

import errno
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import anyio
import httpx2
from typing_extensions import override

from agentcore.testing.script import Close, Pause, Reply, Reset, Send, Step
from agentcore.testing.server import RecordedRequest, ScriptedServer, body_of_request, note_sent

__all__ = ["GatewayTransport"]


@dataclass(kw_only=True, eq=False)
class GatewayTransport(ScriptedServer, httpx2.AsyncBaseTransport):
    """`Agent(…, transport=GatewayTransport(respond=…))`; the base URL may be any.

    A connection is counted as new when all that were opened before are in use, were closed by the
    client, or had a response that did not come to its end.
    """

    _opened: int = 0
    _idle: list[int] = field(default_factory=list)

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request as the script says."""
        raw = await request.aread()
        if not self._idle:
            self._opened += 1
            self._idle.append(self._opened)
        recorded = RecordedRequest(
            number=len(self.requests) + 1,
            connection=self._idle.pop(),
            method=request.method,
            path=request.url.raw_path.decode(),
            headers=dict(request.headers),
            raw=raw,
            body=body_of_request(raw),
            at=anyio.current_time(),
        )
        reply = self.reply_to(recorded)
        body = _Body(reply, recorded, self)
        if reply.head_delay:
            await body.pause(reply.head_delay)
        if reply.status is None:
            async for _ in body:
                pass
            raise AssertionError("a Reply without a status ends in an error")
        return httpx2.Response(reply.status, headers=dict(reply.headers), stream=body)

    @override
    async def aclose(self) -> None:
        """The client closes its connections: the next request comes on another."""
        self._idle.clear()

    def keep_connection(self, number: int) -> None:
        """A response came to its end: the next request may come on the same connection."""
        self._idle.append(number)


class _Body(httpx2.AsyncByteStream):
    """Carries out a reply's steps, one block a `Send`."""

    def __init__(self, reply: Reply, request: RecordedRequest, transport: GatewayTransport) -> None:
        self._reply = reply
        self._steps: Iterator[Step] = iter(reply.steps)
        self._request = request
        self._transport = transport
        self._due = request.at

    @override
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for step in self._steps:
            if self._request.ended_at is not None:
                break
            match step:
                case Send():
                    note_sent(self._request, step)
                    return step.data
                case Pause():
                    await self.pause(step.seconds)
                case Reset():
                    self._over(whole=False)
                    reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
                    raise httpx2.ReadError("") from reset
                case Close():
                    self._over(whole=False)
                    raise httpx2.RemoteProtocolError(_closed(self._reply))
        self._over(whole=True)
        raise StopAsyncIteration

    async def pause(self, seconds: float) -> None:
        """Sleep; a client that gives up meanwhile has hung up.

        Against a schedule: on a server, too, time passes while the client is busy elsewhere.
        """
        self._due += seconds
        try:
            await anyio.sleep_until(self._due)
        except anyio.get_cancelled_exc_class():
            await self.aclose()
            raise

    @override
    async def aclose(self) -> None:
        """The client leaves: before the end it has hung up."""
        if self._request.ended_at is None:
            self._request.hung_up = True
            self._over(whole=False)

    def _over(self, *, whole: bool) -> None:
        if self._request.ended_at is None:
            self._request.ended_at = anyio.current_time()
            if whole:
                self._transport.keep_connection(self._request.connection)


def _closed(reply: Reply) -> str:
    """What the HTTP stack says when the peer closes too early."""
    if reply.status is None:
        return "Server disconnected without sending a response."
    return "peer closed connection without sending complete message body (incomplete chunked read)"
