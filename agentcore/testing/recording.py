r"""Real exchanges, written to a file as they happen, and played back by a `Gateway`.

A recording is a file of JSON lines: the format and its version, then for each exchange what was
asked, the head of the response, each block of its body as the network gave it, and how it ended::

    {"format": "agentcore-recording", "version": 1}
    {"exchange": 1, "request": {"method": "POST", "path": "/v1/…", "headers": {}, "body": "{…}"}}
    {"exchange": 1, "at": 0.8123, "status": 200, "headers": {"content-type": "text/event-stream"}}
    {"exchange": 1, "at": 0.8401, "text": "data: {…}\n\n"}
    {"exchange": 1, "at": 1.2077, "base64": "ZGF0YTog4p8="}
    {"exchange": 1, "at": 9.9001, "end": "reset"}

`at` is in seconds since the request. A block is `text` when it is UTF-8, which one that ends inside
a character is not; a request's body alike (`body`, else `body_base64`). Exchanges that overlap have
their lines mixed. The ends:

    clean       the body came to its end
    reset       the connection broke in the middle of it
    closed      the peer closed the connection in the middle of it
    abandoned   the client left first: it had all it wanted, was cancelled, or had waited enough
    refused     no response came: no connection, or one that ended before any status line

Credentials never reach the file. Of the headers only a list of harmless names is written, of the
path no query; secrets in what is written are masked (`agentcore.testing.masking`).
"""

import base64
import json
import logging
import os
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, assert_never

import anyio
import httpx2
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import from_json
from typing_extensions import override

from agentcore.errors import ConfigurationError
from agentcore.messages import JsonObject
from agentcore.testing.masking import Credentials, Masker
from agentcore.testing.script import FIN, RESET, Ending, Pause, Reply, Send, Step

__all__ = ["RecordingError", "RecordingTransport", "load_recording"]

_FORMAT = "agentcore-recording"
_VERSION = 1

End: TypeAlias = Literal["clean", "reset", "closed", "abandoned", "refused"]

_REQUEST_HEADERS = re.compile(r"accept|content-type|user-agent|(x-)?anthropic-(beta|version)")
_RESPONSE_HEADERS = re.compile(
    r"content-type|date|server|via|age|retry-after|retry-after-ms|x-should-retry"
    r"|([a-z]+-)*request-?id|x-(generation|trace|correlation)-id"
    r"|([a-z]+-)*ratelimit(-[a-z0-9-]+)?|cf-(ray|cache-status|mitigated)|x-cache"
    r"|openai-(processing-ms|version)|x-envoy-upstream-service-time|server-timing"
)
_CREDENTIAL_NAMES = re.compile(r"auth|key|token|secret|cookie|session|passw", re.IGNORECASE)
_CREDENTIAL_VALUE = re.compile(r"(?:[^\s;,=]+=)?([^\s;,]{8,})")
"""What may be one, in such a header: `Bearer value`, `name=value; name=value`."""

_FOREVER: Final = 3600.0
"""Seconds that a silence goes on, played back, which the client once left."""
_BEFORE_RESET: Final = 0.05
"""Seconds: a reset overtakes what is under way, and what was once received would get lost."""


class RecordingError(ConfigurationError):
    """A file that is no recording, or none that can be read, or that cannot be written."""


# --- writing --------------------------------------------------------------------------------


class RecordingTransport(httpx2.AsyncBaseTransport):
    """`Agent(…, transport=RecordingTransport("exchange.jsonl", secrets=[key]))`.

    A killed process loses the line that it was writing, and of a body the line that had not ended.
    A file that can no longer be written costs no call: the recording stops there, see `failure`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        secrets: Iterable[str] = (),
        transport: httpx2.AsyncBaseTransport | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write nothing yet: the file is made with the first request, readable by its owner alone.

        Args:
            path: Of the file, in a folder that exists.
            secrets: What must not stand in it; the credentials that the requests carry in their
                headers are known without. Fewer than 4 characters are no secret.
            transport: What carries the requests; None means the network, TLS verified, by the
                proxies of the environment.
            overwrite: A file that is there may be replaced.

        Raises:
            RecordingError: The file is there, or its folder is not, or may not be written to.
        """
        if isinstance(secrets, str):
            raise ConfigurationError("RecordingTransport(secrets=…): give a list of them")
        self.path = Path(path).absolute()
        """Of the file."""
        self.exchanges = 0
        """How many have begun."""
        self.failure: OSError | None = None
        """Why the recording stopped too early, if it did."""
        self._credentials = Credentials(secrets)
        self._transport = _Network() if transport is None else transport
        self._overwrite = overwrite
        self._begun = False
        if not overwrite and self.path.exists():
            raise RecordingError(
                f"recording {path}: the file exists; choose another, or overwrite=True (--force)"
            )
        if self.path.is_dir() or not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise RecordingError(f"recording {path}: no file can be written there")

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request on, and write down what comes."""
        body = await request.aread()
        # Bytes that are compressed can be neither read nor masked.
        request.headers["accept-encoding"] = "identity"
        self.exchanges += 1
        # Kept for later exchanges too: a body may repeat the key of an endpoint that was left.
        self._credentials = self._credentials.including(_credentials_in(request))
        exchange = _Exchange(
            number=self.exchanges, credentials=self._credentials, write=self._write
        )
        exchange.asked(request, body)
        try:
            response = await self._transport.handle_async_request(request)
        except Exception as error:
            exchange.end(_end_of(error, "refused"))
            raise
        except BaseException:
            exchange.end("abandoned")
            raise
        exchange.answered(response)
        headers = response.headers.copy()
        if "content-encoding" in headers:
            # Compressed all the same: what is recorded and handed on is the decoded body.
            del headers["content-encoding"]
            headers.pop("content-length", None)
        return httpx2.Response(
            response.status_code,
            headers=headers,
            stream=_Body(response, exchange),
            extensions=response.extensions,
        )

    @override
    async def aclose(self) -> None:
        """Close the connections. The transport can be used again, as after a retry."""
        await self._transport.aclose()

    def _write(self, line: JsonObject) -> None:
        """Append a line. The file is not kept open: nothing gets lost, nothing is to be closed."""
        if self.failure is not None:
            return
        data = _encoded(line)
        flags = os.O_WRONLY | os.O_APPEND
        try:
            if not self._begun:
                data = _encoded({"format": _FORMAT, "version": _VERSION}) + data
                flags |= os.O_CREAT | os.O_EXCL
                if self._overwrite:
                    self.path.unlink(missing_ok=True)
            with os.fdopen(os.open(self.path, flags, 0o600), "ab") as file:
                file.write(data)
            self._begun = True
        except OSError as error:
            self.failure = error
            logging.getLogger("agentcore").warning("recording %s stopped: %s", self.path, error)


class _Network(httpx2.AsyncBaseTransport):
    """The network as a client without a transport reaches it, proxies of the environment included.

    A transport that is given to a client takes the place of these proxies, so that a client has to
    stand behind it.
    """

    def __init__(self) -> None:
        self._tls = httpx2.create_ssl_context()
        self._client: httpx2.AsyncClient | None = None

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._client is None:
            self._client = httpx2.AsyncClient(verify=self._tls)
        return await self._client.send(request, stream=True)

    @override
    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


class _Exchange:
    """One exchange on its way into the file."""

    def __init__(
        self, *, number: int, credentials: Credentials, write: Callable[[JsonObject], None]
    ) -> None:
        self._number = number
        self._credentials = credentials
        self._write_line = write
        self._asked_at = 0.0
        self._masker = Masker(credentials)
        self._blocks: deque[tuple[float, int]] = deque()
        """When those that are not written yet came, and their sizes."""
        self._masked = bytearray()
        self._ended = False

    def asked(self, request: httpx2.Request, body: bytes) -> None:
        """The request goes out."""
        path = request.url.raw_path.partition(b"?")[0]
        self._write(
            request={
                "method": request.method,
                "path": self._credentials.mask(path).decode(errors="replace"),
                "headers": self._harmless(request.headers, _REQUEST_HEADERS),
                **_text("body", "body_base64", self._credentials.mask(body)),
            }
        )
        self._asked_at = anyio.current_time()

    def answered(self, response: httpx2.Response) -> None:
        """The head of the response is here."""
        headers = self._harmless(response.headers, _RESPONSE_HEADERS)
        self._write(at=self._now(), status=response.status_code, headers=headers)

    def block(self, data: bytes) -> None:
        """A block of the body is here."""
        if not self._ended:
            self._blocks.append((self._now(), len(data)))
            self._write_blocks(self._masker.feed(data))

    def end(self, end: End) -> None:
        """It is over; what is told first counts."""
        if not self._ended:
            self._ended = True
            at = self._now()
            self._write_blocks(self._masker.finish())
            self._write(at=at, end=end)

    def _write_blocks(self, masked: bytes) -> None:
        """Write the blocks that are masked to their end: nothing to come can change them."""
        self._masked += masked
        while self._blocks and self._blocks[0][1] <= len(self._masked):
            at, size = self._blocks.popleft()
            self._write(at=at, **_text("text", "base64", bytes(self._masked[:size])))
            del self._masked[:size]

    def _write(self, **line: JsonValue) -> None:
        self._write_line({"exchange": self._number, **line})

    def _now(self) -> float:
        return round(anyio.current_time() - self._asked_at, 4)

    def _harmless(self, headers: httpx2.Headers, names: re.Pattern[str]) -> JsonObject:
        return {
            name: self._credentials.mask(value.encode()).decode()
            for name, value in headers.items()
            if names.fullmatch(name) and value.isascii()
        }


class _Body(httpx2.AsyncByteStream):
    """The body of a response, written down as it is read."""

    def __init__(self, response: httpx2.Response, exchange: _Exchange) -> None:
        self._response = response
        self._exchange = exchange

    @override
    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(self._response.aiter_bytes()) as blocks:
                async for block in blocks:
                    self._exchange.block(block)
                    yield block
        except Exception as error:
            self._exchange.end(_end_of(error, "reset"))
            raise
        except BaseException:
            self._exchange.end("abandoned")
            raise
        self._exchange.end("clean")

    @override
    async def aclose(self) -> None:
        self._exchange.end("abandoned")
        await self._response.aclose()


def _end_of(error: Exception, default: End) -> End:
    if isinstance(error, httpx2.ReadTimeout):
        return "abandoned"
    if isinstance(error, httpx2.RemoteProtocolError) and default == "reset":
        return "closed"
    return default


def _credentials_in(request: httpx2.Request) -> Iterator[str]:
    """What a request carries as its credentials, wherever else it may stand."""
    yield request.url.password
    for name, value in (*request.headers.items(), *request.url.params.multi_items()):
        if _CREDENTIAL_NAMES.search(name):
            yield from _CREDENTIAL_VALUE.findall(value)


def _text(name: str, base64_name: str, data: bytes) -> JsonObject:
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {base64_name: base64.b64encode(data).decode()}


def _encoded(line: JsonObject) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


# --- reading --------------------------------------------------------------------------------


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True)

    exchange: int = Field(ge=1)


class _Asked(_Line):
    request: JsonObject


class _Timed(_Line):
    at: float = Field(ge=0, allow_inf_nan=False)


_HeaderName: TypeAlias = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
_HeaderValue: TypeAlias = Annotated[str, Field(pattern=r"^([!-~]([\t -~]*[!-~])?)?$")]


class _Answered(_Timed):
    status: int = Field(ge=200, le=599)
    headers: dict[_HeaderName, _HeaderValue]


class _TextBlock(_Timed):
    text: str

    @property
    def data(self) -> bytes:
        return self.text.encode()


def _decoded(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("this is no text")
    return base64.b64decode(value, validate=True)


class _Base64Block(_Timed):
    base64: Annotated[bytes, BeforeValidator(_decoded)]

    @property
    def data(self) -> bytes:
        return self.base64


class _Ended(_Timed):
    end: End


_Entry: TypeAlias = _Asked | _Answered | _TextBlock | _Base64Block | _Ended

_ENTRIES: Final[Mapping[str, type[_Entry]]] = {
    "request": _Asked,
    "status": _Answered,
    "text": _TextBlock,
    "base64": _Base64Block,
    "end": _Ended,
}
"""By the field that no other line has."""

_ENDINGS: Final[Mapping[End | None, Ending]] = {
    "clean": (),
    "reset": RESET,
    "closed": FIN,
    "abandoned": (Pause(_FOREVER), *RESET),
    "refused": RESET,
    # The recording ends first: the connection was lost with the process that wrote it.
    None: RESET,
}


def load_recording(path: str | os.PathLike[str], *, speed: float = 1.0) -> tuple[Reply, ...]:
    """The responses of a recording, in the order of their requests, for a `Gateway` to play.

    Everything comes when it came; a reset no sooner than 0.05 s after the last block, for it
    overtakes what is under way. Where the client left first, silence follows, for an hour, so that
    it leaves again. A request that was refused is answered by a reset before any status line.

    A process that was killed leaves a last line that is cut, which is not read, and exchanges
    without an end, which are played as resets at the place.

    Args:
        path: Of the file.
        speed: What every time is divided by; `math.inf` for no pauses.

    Raises:
        RecordingError: The file is no recording, is broken, or has a version that is not known;
            the text names the line.
        OSError: The file cannot be read.
    """
    if not speed > 0:
        raise ConfigurationError(f"load_recording(speed={speed!r}): give a number above 0")
    playbacks: dict[int, _Playback] = {}
    for number, line in _lines(Path(path).read_bytes()):
        try:
            value = _object(line)
            if number == 1:
                _check_header(value)
            else:
                _take(_entry(value), playbacks)
        except ValueError as error:
            raise RecordingError(f"{path}, line {number}: {_what(error)}") from error
    return tuple(playback.reply(speed) for playback in playbacks.values())


@dataclass(slots=True, kw_only=True)
class _Playback:
    """The response of an exchange, as far as it is read."""

    head: _Answered | None = None
    blocks: list[_TextBlock | _Base64Block] = field(default_factory=list)
    end: _Ended | None = None
    at: float = 0.0
    """Of its last line."""

    def take(self, entry: _Answered | _TextBlock | _Base64Block | _Ended) -> None:
        """The next line of it; a `ValueError` says why it cannot be that."""
        if self.end is not None:
            raise ValueError(f"exchange {entry.exchange} has ended before")
        if entry.at < self.at:
            raise ValueError(f"time goes back, from {self.at} to {entry.at}")
        self.at = entry.at
        match entry:
            case _Answered():
                if self.head is not None:
                    raise ValueError(f"a second status for exchange {entry.exchange}")
                self.head = entry
            case _TextBlock() | _Base64Block():
                self._need_head("a block", entry.exchange)
                self.blocks.append(entry)
            case _Ended():
                if entry.end not in ("abandoned", "refused"):
                    self._need_head(f"the end {entry.end!r}", entry.exchange)
                self.end = entry
            case _:
                assert_never(entry)

    def reply(self, speed: float) -> Reply:
        """What a gateway does for it to happen again."""
        steps: list[Step] = []
        begin = at = self.head.at if self.head is not None else 0.0
        for block in self.blocks:
            steps += (*_pause((block.at - at) / speed), Send(block.data))
            at = block.at
        ending = _ENDINGS[self.end.end if self.end is not None else None]
        silence = (self.at - at) / speed
        if self.blocks and ending == RESET:
            silence = max(silence, _BEFORE_RESET)
        steps += (*_pause(silence), *ending)
        if self.head is None:
            return Reply(status=None, steps=tuple(steps))
        return Reply(
            steps=tuple(steps),
            status=self.head.status,
            headers=self.head.headers,
            head_delay=begin / speed,
        )

    def _need_head(self, what: str, exchange: int) -> None:
        if self.head is None:
            raise ValueError(f"{what} before the status of exchange {exchange}")


def _pause(seconds: float) -> tuple[Step, ...]:
    return (Pause(seconds),) if seconds > 0 else ()


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines and their numbers: the first in any case, a last one that was cut in none."""
    *whole, rest = data.split(b"\n")
    with suppress(ValueError):
        # Half of an object is none.
        _object(rest)
        whole.append(rest)
    for number, line in enumerate(whole or [rest], 1):
        if number == 1 or line.strip():
            yield number, line


def _object(line: bytes) -> JsonObject:
    value: JsonValue = from_json(line)
    if not isinstance(value, dict):
        raise ValueError("this is no JSON object")
    return value


def _check_header(value: JsonObject) -> None:
    version = value.get("version")
    if value.get("format") != _FORMAT or not isinstance(version, int):
        raise ValueError(f'no recording: it would begin with {{"format": "{_FORMAT}", …}}')
    if version != _VERSION:
        raise ValueError(
            f"version {version} of the format; this agentcore reads version {_VERSION}: "
            "a newer one may read it"
        )


def _entry(value: JsonObject) -> _Entry:
    for name, model in _ENTRIES.items():
        if name in value:
            return model.model_validate(value)
    raise ValueError(f"none of {', '.join(_ENTRIES)} is in this line")


def _take(entry: _Entry, playbacks: dict[int, _Playback]) -> None:
    playback = playbacks.get(entry.exchange)
    if isinstance(entry, _Asked):
        if playback is not None:
            raise ValueError(f"a second request for exchange {entry.exchange}")
        playbacks[entry.exchange] = _Playback()
    elif playback is None:
        raise ValueError(f"exchange {entry.exchange} has no request before this line")
    else:
        playback.take(entry)


def _what(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
