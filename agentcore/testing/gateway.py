"""`Gateway`: a real HTTP/1.1 server on loopback that does what a script says, faults included."""

import socket
import struct
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
import h11

from agentcore.testing.script import Close, Pause, Reply, Reset, Send, Step
from agentcore.testing.server import (
    RecordedRequest,
    ScriptedServer,
    body_of_request,
    joined_headers,
    note_sent,
)

__all__ = ["Gateway"]

_READ_BYTES = 65_536
_LATEST_SECONDS = 0.05
"""How far behind its schedule a reply may run before the schedule is moved."""


@dataclass(kw_only=True)
class Gateway(ScriptedServer):
    """`async with Gateway(respond=…) as gateway`, then point an adapter at `gateway.base_url`."""

    port: int = 0
    """On loopback; 0 picks a free one."""
    _base_url: str = ""
    _accepted: int = 0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def base_url(self) -> str:
        """Where it listens, known from entering on."""
        if not self._base_url:
            raise RuntimeError("Gateway: it does not listen yet; use it as `async with Gateway(…)`")
        return self._base_url

    async def __aenter__(self) -> Self:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        self._base_url = f"http://127.0.0.1:{port}/v1"
        await self._stack.enter_async_context(listener)
        tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(tasks.cancel_scope.cancel)
        tasks.start_soon(listener.serve, self._serve)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        if self.script_error is not None and (error is None or isinstance(error, Exception)):
            raise self.script_error

    async def _serve(self, connection: anyio.abc.SocketStream) -> None:
        self._accepted += 1
        number = self._accepted
        protocol = h11.Connection(h11.SERVER)
        async with connection:
            try:
                while await self._exchange(connection, protocol, number):
                    protocol.start_next_cycle()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, h11.ProtocolError):
                pass  # the client is gone, or speaks something else

    async def _exchange(
        self, connection: anyio.abc.SocketStream, protocol: h11.Connection, number: int
    ) -> bool:
        """One request and its reply; True when the connection can take another."""
        request = await self._read_request(connection, protocol, number)
        if request is None:
            return False
        try:
            return await self._respond(self.reply_to(request), connection, protocol, request)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            request.hung_up = True
            return False
        finally:
            request.ended_at = anyio.current_time()

    async def _respond(
        self,
        reply: Reply,
        connection: anyio.abc.SocketStream,
        protocol: h11.Connection,
        request: RecordedRequest,
    ) -> bool:
        due = anyio.current_time() + reply.head_delay
        if reply.head_delay and not await self._perform(
            Pause(0), due, connection, protocol, request
        ):
            return False
        if reply.status is not None:
            head = h11.Response(
                status_code=reply.status,
                headers=[*reply.headers.items(), ("transfer-encoding", "chunked")],
            )
            await _write(connection, protocol, head)
        for step in reply.steps:
            if isinstance(step, Pause):
                # Against a schedule, so that a thousand short pauses take no longer than their sum.
                due = max(due + step.seconds, anyio.current_time() - _LATEST_SECONDS)
            if not await self._perform(step, due, connection, protocol, request):
                return False
        await _write(connection, protocol, h11.EndOfMessage())
        return protocol.our_state is h11.DONE and protocol.their_state is h11.DONE

    async def _perform(
        self,
        step: Step,
        due: float,
        connection: anyio.abc.SocketStream,
        protocol: h11.Connection,
        request: RecordedRequest,
    ) -> bool:
        """Carry out a step, a pause until it is due; False when the connection is over."""
        match step:
            case Send():
                await _write(connection, protocol, h11.Data(data=step.data))
                note_sent(request, step)
            case Pause():
                request.hung_up = await _hung_up_before(due, connection, protocol)
                return not request.hung_up
            case Reset():
                raw: socket.socket = connection.extra(anyio.abc.SocketAttribute.raw_socket)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case Close():
                return False
        return True

    async def _read_request(
        self, connection: anyio.abc.SocketStream, protocol: h11.Connection, number: int
    ) -> RecordedRequest | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                try:
                    protocol.receive_data(await connection.receive(_READ_BYTES))
                except anyio.EndOfStream:
                    protocol.receive_data(b"")
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                raw = bytes(body)
                return RecordedRequest(
                    number=len(self.requests) + 1,
                    connection=number,
                    method=head.method.decode(),
                    path=head.target.decode(),
                    headers=joined_headers(head.headers),
                    raw=raw,
                    body=body_of_request(raw),
                    at=anyio.current_time(),
                )
            else:
                return None


async def _write(
    connection: anyio.abc.SocketStream, protocol: h11.Connection, event: h11.Event
) -> None:
    data = protocol.send(event)
    if data:
        await connection.send(data)


async def _hung_up_before(
    due: float, connection: anyio.abc.SocketStream, protocol: h11.Connection
) -> bool:
    """Wait, but notice at once when the client closes the connection."""
    with anyio.CancelScope(deadline=due):
        try:
            while True:
                # What comes early is the next request.
                protocol.receive_data(await connection.receive(_READ_BYTES))
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True
    return False
