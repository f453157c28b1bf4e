"""`ScriptedServer`: decides the reply to a request, and remembers what came.

No I/O: `Gateway` (sockets) and `GatewayTransport` (in process) carry the replies out.
"""

import json
import re
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from urllib.parse import unquote

from pydantic import JsonValue

from agentcore.messages import JsonObject
from agentcore.testing.answers import Answer, stream, whole
from agentcore.testing.faults import after_bytes, cut, drop_after, drop_when_idle
from agentcore.testing.faults import hold_arguments_back as hold_back
from agentcore.testing.script import NETWORK_LOST, Ending, Reply, Send, checked_ending, status

__all__ = ["RecordedRequest", "Respond", "ScriptedServer", "flag_asks", "header_asks"]


@dataclass(slots=True, kw_only=True)
class RecordedRequest:
    """A request as the server saw it, and what became of its response."""

    number: int
    """Counted from 1."""
    connection: int
    """Which connection it came on, counted from 1."""
    method: str = "POST"
    path: str
    headers: dict[str, str]
    """Lower-case names."""
    raw: bytes = b""
    """The body as it came."""
    body: JsonObject = field(default_factory=dict)
    """The body as JSON; empty when it is no JSON object."""
    at: float = 0.0
    """Seconds, on the clock of the event loop, when it had come whole."""
    ended_at: float | None = None
    """The same when its response was over, however it ended; None while it is under way."""
    sent: bytearray = field(default_factory=bytearray)
    """The response's body, as far as it went out."""
    sent_arguments: str = ""
    """Of tool arguments, decoded, as far as they went out whole."""
    hung_up: bool = False
    """The client closed the connection before the response was over."""

    @property
    def argument_bytes(self) -> int:
        """UTF-8 bytes of the tool arguments that went out."""
        return len(self.sent_arguments.encode(errors="replace"))

    @property
    def model(self) -> str:
        """The model that was asked for; empty when none was named."""
        model = self.body.get("model")
        return model if isinstance(model, str) else ""

    @property
    def streamed(self) -> bool:
        """A stream was asked for."""
        return self.body.get("stream") is True

    @property
    def messages(self) -> list[JsonObject]:
        """The conversation that it carries."""
        return _objects(self.body.get("messages"))

    @property
    def tools(self) -> list[JsonObject]:
        """The tools that it offers, as they stand in the body."""
        return _objects(self.body.get("tools"))


Respond: TypeAlias = Callable[[RecordedRequest], Reply | Answer]
"""Decides the reply to a request; raises `LookupError` for a model that is not served."""

_VERSION_TWICE = re.compile(r"/(v\d+\w*)/\1(?=/|$)")


def header_asks(name: str, value: str) -> Callable[[RecordedRequest], bool]:
    """Tool arguments stream when this header has this value among its own."""
    return lambda request: value in request.headers.get(name.lower(), "")


def flag_asks(name: str) -> Callable[[RecordedRequest], bool]:
    """Tool arguments stream when the body, or a tool in it, has this field set to true."""

    def asks(request: RecordedRequest) -> bool:
        functions = [tool.get("function") for tool in request.tools]
        places = [request.body, *request.tools, *functions]
        return any(isinstance(place, dict) and place.get(name) is True for place in places)

    return asks


@dataclass(kw_only=True)
class ScriptedServer:
    """What every scripted server can be told, and asked.

    Give it `respond`, or tell it what to `play`. Every POST of a JSON object is answered, whatever
    its path, but for one whose version part is doubled.
    """

    respond: Respond | None = None
    """Decides the reply to each request. An `Answer` goes out as the request wants it: as a stream
    or whole. None: what `play` was told."""
    idle_limit: float | None = None
    """Seconds of silence within a response after which the connection is dropped."""
    life_limit: float | None = None
    """Seconds after which every response is dropped, silent or not."""
    byte_limit: int | None = None
    """Bytes of body after which every response is dropped."""
    dropped_by: Ending = NETWORK_LOST
    """How a drop shows itself."""
    asks_to_stream: Callable[[RecordedRequest], bool] | None = None
    """Tool arguments are held back until whole unless this says that the request asks for more:
    `header_asks(…)`, `flag_asks(…)`. None: they always stream."""
    models: Sequence[str | JsonObject] = ()
    """What `GET /models` lists, and `GET /models/{id}` finds; one with `endpoints` is found at
    `GET /models/{id}/endpoints` as well, as OpenRouter lists the hosts of a model."""
    requests: list[RecordedRequest] = field(default_factory=list)
    """All that came, in order."""
    script_error: Exception | None = None
    """The first error in the script itself, as what `respond` raised. The request that met it was
    refused with status 400, so that the loop stops; the fixtures, and `Gateway` on leaving, raise
    it."""
    _script: list[Reply | Answer] = field(default_factory=list)
    _played: int = 0

    def play(self, *replies: Reply | Answer) -> None:
        """Answer the next requests with these, one after the other.

        A request beyond them is refused with status 400 and a text that says so, and the loop stops
        there: a test that makes more requests than it thought fails, and says why.

        Raises:
            TypeError: One of them is no reply.
            RuntimeError: `respond` is set, and would go before.
        """
        if self.respond is not None:
            raise RuntimeError("play(…): `respond` is set and decides every reply; use one of them")
        for reply in replies:
            _check_played(reply)
        self._script += replies

    # --- questions --------------------------------------------------------------------------

    @property
    def unplayed(self) -> int:
        """How many replies nobody has asked for yet."""
        return len(self._script) - self._played

    @property
    def last(self) -> RecordedRequest:
        """The request that came last."""
        if not self.requests:
            raise LookupError(f"{type(self).__name__}: no request has come")
        return self.requests[-1]

    @property
    def waits(self) -> list[float]:
        """Seconds from the end of each response to the next request; one less than requests."""
        pairs = zip(self.requests, self.requests[1:], strict=False)
        return [
            max(0.0, after.at - (before.at if before.ended_at is None else before.ended_at))
            for before, after in pairs
        ]

    @property
    def connections(self) -> int:
        """How many connections carried requests."""
        return len({request.connection for request in self.requests})

    # --- replies ----------------------------------------------------------------------------

    def reply_to(self, request: RecordedRequest) -> Reply:
        """Record a request, and decide its reply."""
        self.requests.append(request)
        path = request.path.partition("?")[0].rstrip("/")
        if request.method == "GET" and "/models" in path:
            return self._models(unquote(path.partition("/models")[2].lstrip("/")))
        if request.method != "POST" or path.endswith("/models") or _VERSION_TWICE.search(path):
            told = f"no route {request.method} {path}"
            return status(404, {"error": {"message": told, "code": 404}})
        if not request.body:
            return status(400, {"error": {"message": "the body is no JSON object", "code": 400}})
        try:
            return self._limited(self._scripted(request), request)
        except Exception as error:
            self.script_error = self.script_error or error
            told = f"the script raised {type(error).__name__}: {error}"
            return status(400, {"error": {"message": told, "type": "invalid_request_error"}})

    def _limited(self, reply: Reply, request: RecordedRequest) -> Reply:
        """A reply as it comes through what stands between."""
        if reply.status is None:
            return reply  # no response, so that no limit on one is reached
        dropped_by = checked_ending("dropped_by", self.dropped_by)
        if self.asks_to_stream is not None and not self.asks_to_stream(request):
            reply = hold_back(reply)
        if self.idle_limit is not None:
            reply = drop_when_idle(reply, self.idle_limit, dropped_by)
        if self.life_limit is not None:
            reply = drop_after(reply, self.life_limit, dropped_by)
        if self.byte_limit is not None and len(reply.body) > self.byte_limit:
            reply = cut(reply, at=after_bytes(self.byte_limit), by=dropped_by)
        return reply

    def _scripted(self, request: RecordedRequest) -> Reply:
        if self.respond is not None:
            try:
                answer = self.respond(request)
            except LookupError as error:
                if type(error) is not LookupError:
                    raise  # a KeyError is a bug of the script's
                return status(404, {"error": {"message": str(error), "code": "model_not_found"}})
        elif self._played < len(self._script):
            answer = self._script[self._played]
            self._played += 1
        else:
            told = f"the script is over: it has no reply for request {request.number}"
            return status(400, {"error": {"message": told, "type": "invalid_request_error"}})
        _check_responded(answer)
        if isinstance(answer, Reply):
            return answer
        return stream(answer) if request.streamed else whole(answer)

    def _models(self, wanted: str) -> Reply:
        listed: list[JsonObject] = [
            {"id": model, "object": "model"} if isinstance(model, str) else model
            for model in self.models
        ]
        if not wanted:
            return _json({"object": "list", "data": list(listed)})
        hosts = wanted.removesuffix("/endpoints")
        for model in listed:
            if model.get("id") == wanted:
                return _json(model)
            if model.get("id") == hosts and "endpoints" in model:
                return _json({"data": model})
        message = f"no model {wanted!r} here"
        return status(404, {"error": {"message": message, "code": "model_not_found"}})


def _check_played(reply: object) -> None:
    if isinstance(reply, (Reply, Answer)):
        return
    kind = type(reply).__name__
    if isinstance(reply, (list, tuple)):
        raise TypeError(f"play(…) got a {kind}: say play(*replies)")
    if callable(reply):
        raise TypeError(
            f"play(…) got a {kind}: what decides each reply is set as `respond`, as in "
            "respond = lambda request: model(request.body)"
        )
    raise TypeError(f"play(…) takes Replies and Answers, and got a {kind}")


def _check_responded(answer: object) -> None:
    if isinstance(answer, (Reply, Answer)):
        return
    if isinstance(answer, Coroutine):
        answer.close()
        raise TypeError("`respond` must be no async function: a reply pauses by its steps")
    raise TypeError(f"`respond` must return a Reply or an Answer, not a {type(answer).__name__}")


def body_of_request(raw: bytes) -> JsonObject:
    """A request's body as JSON; empty when it is no JSON object."""
    try:
        value: JsonValue = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def joined_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name, those of one name joined as HTTP joins them."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def note_sent(request: RecordedRequest, step: Send) -> None:
    """Write down that a piece of the body went out."""
    request.sent += step.data
    request.sent_arguments += step.arguments


def _json(value: JsonObject) -> Reply:
    return replace(status(200, value), headers={"content-type": "application/json"})


def _objects(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
