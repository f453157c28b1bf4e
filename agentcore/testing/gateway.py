"""`Gateway`: a real HTTP/1.1 server on loopback that does what a script says, faults included."""

import json
import socket
import struct
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
import anyio.abc
import h11
from pydantic import JsonValue

from agentcore.testing.script import (
    NETWORK_LOST,
    Close,
    Pause,
    Reply,
    Reset,
    Send,
    Step,
    drop_after,
    drop_when_idle,
    hold_arguments_back,
    status,
)

__all__ = ["Gateway", "RecordedRequest", "Respond"]

_READ_BYTES = 65_536
_LATEST_SECONDS = 0.05
"""How far behind its schedule a reply may run before the schedule is moved."""


@dataclass(slots=True, kw_only=True)
class RecordedRequest:
    """A request as the server saw it."""

    number: int
    """Counted from 1."""
    connection: int
    """Which TCP connection it came on, counted from 1."""
    path: str
    headers: dict[str, str]
    """Lower-case names."""
    body: dict[str, JsonValue]
    sent_bytes: int = 0
    """Of the response's body."""
    argument_bytes: int = 0
    """Of tool arguments, decoded."""
    hung_up: bool = False
    """The client closed the connection before the response was over."""


Respond: TypeAlias = Callable[[RecordedRequest], Reply]


@dataclass(slots=True, kw_only=True)
class Gateway:
    """`async with Gateway(respond=…) as gateway`, then point an adapter at `gateway.base_url`."""

    respond: Respond
    """Decides the reply to each request; raises `LookupError` for a model that is not served."""
    idle_limit: float | None = None
    """Seconds of silence after which the connection is dropped."""
    life_limit: float | None = None
    """Seconds after which every response is dropped, silent or not."""
    dropped_by: tuple[Step, ...] = NETWORK_LOST
    """How a drop shows itself."""
    streaming_header: tuple[str, str] | None = None
    """(name, value): tool arguments are held back until whole unless the value is in it."""
    port: int = 0
    """On loopback; 0 picks a free one."""
    requests: list[RecordedRequest] = field(default_factory=list)
    """All that came, in order."""
    base_url: str = ""
    """Set on entering."""
    _connections: int = 0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> "Gateway":
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        self.base_url = f"http://127.0.0.1:{port}/v1"
        await self._stack.enter_async_context(listener)
        tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(tasks.cancel_scope.cancel)
        tasks.start_soon(listener.serve, self._serve)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _serve(self, connection: anyio.abc.SocketStream) -> None:
        self._connections += 1
        number = self._connections
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
        self.requests.append(request)
        reply = self._reply(request)
        head = h11.Response(
            status_code=reply.status,
            headers=[*reply.headers.items(), ("transfer-encoding", "chunked")],
        )
        await _write(connection, protocol, head)
        due = anyio.current_time()
        for step in reply.steps:
            if isinstance(step, Pause):
                # Against a schedule, so that a thousand short pauses take no longer than their sum.
                due = max(due + step.seconds, anyio.current_time() - _LATEST_SECONDS)
            if not await self._perform(step, due, connection, protocol, request):
                return False
        await _write(connection, protocol, h11.EndOfMessage())
        return protocol.our_state is h11.DONE and protocol.their_state is h11.DONE

    def _reply(self, request: RecordedRequest) -> Reply:
        if not request.path.endswith("/chat/completions"):
            return status(404, {"error": {"message": f"no route {request.path}", "code": 404}})
        try:
            reply = self.respond(request)
        except LookupError as error:
            return status(404, {"error": {"message": str(error), "code": "model_not_found"}})
        if self.streaming_header is not None:
            name, value = self.streaming_header
            if value not in request.headers.get(name.lower(), ""):
                reply = hold_arguments_back(reply)
        if self.idle_limit is not None:
            reply = drop_when_idle(reply, self.idle_limit, self.dropped_by)
        if self.life_limit is not None:
            reply = drop_after(reply, self.life_limit, self.dropped_by)
        return reply

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
            case Send(data, argument_bytes):
                try:
                    await _write(connection, protocol, h11.Data(data=data))
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    request.hung_up = True
                    return False
                request.sent_bytes += len(data)
                request.argument_bytes += argument_bytes
            case Pause():
                request.hung_up = await _hung_up_before(connection, due)
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
                return RecordedRequest(
                    number=len(self.requests) + 1,
                    connection=number,
                    path=head.target.decode(),
                    headers={name.decode(): value.decode() for name, value in head.headers},
                    body=json.loads(body) if body else {},
                )
            else:
                return None


async def _write(
    connection: anyio.abc.SocketStream, protocol: h11.Connection, event: h11.Event
) -> None:
    data = protocol.send(event)
    if data:
        await connection.send(data)


async def _hung_up_before(connection: anyio.abc.SocketStream, due: float) -> bool:
    """Wait, but notice at once when the client closes the connection."""
    with anyio.CancelScope(deadline=due):
        try:
            await connection.receive(1)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True
    return False
