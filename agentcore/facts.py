"""What is known of a failure, as plain data: no exception, no response, no judgement.

Exceptions are matched by module and class *name* along their cause chain, because the SDK and its
HTTP library change their class trees between versions. Payloads are read from the outside in, as
gateways nest them: an `error` member, `metadata.raw`, JSON inside a string, a list, `details[]`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

from pydantic_core import from_json

__all__ = [
    "ErrorFacts",
    "Phase",
    "RetryAfter",
    "Surface",
    "facts_of_exception",
    "facts_of_payload",
    "retry_after_of",
]

MAX_TEXT_CHARACTERS = 8_192
"""How much of any one text is read. Reasons stand at the front; a proxy's HTML page may be 1 MB."""

MAX_DEPTH = 12
"""How many layers of nesting are opened. Seen in the wild: four."""

_KEPT_HEADERS = re.compile(
    r"retry-after|x-should-retry|x-ratelimit|ratelimit|date$|server$|content-type|cf-|x-request-id"
)
_STATUS = re.compile(r"[1-5][0-9]{2}")
_JSON_INSIDE = re.compile(r"[\[{]\s*[\"{\\]")


class Surface(StrEnum):
    """Where a failure showed itself."""

    HTTP = "http"
    """The response's status."""
    SSE = "sse"
    """An event or payload inside a response that had begun with status 200."""
    TRANSPORT = "transport"
    """An exception of the HTTP stack or the socket below it."""
    FINISH = "finish"
    """An ending: nothing was thrown, but the answer is not whole."""


class Phase(StrEnum):
    """How far the answer was; the content clock's limit depends on it."""

    CONNECT = "connect"
    FIRST_EVENT = "first event"
    REASONING = "reasoning"
    TEXT = "text"
    TOOL_ARGUMENTS = "tool arguments"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """Everything a rule may look at."""

    surface: Surface
    status: int | None = None
    """HTTP status, or a status that an in-stream error carries as its numeric code."""
    code: str | None = None
    """The innermost `code`, as text."""
    type: str | None = None
    """The innermost `type`."""
    param: str | None = None
    """The parameter that the endpoint complains of."""
    message: str = ""
    """The innermost human text."""
    reasons: tuple[str, ...] = ()
    """Every code, type, status word and reason found, lower case, innermost first."""
    messages: tuple[str, ...] = ()
    """Every human text found, innermost first."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names; only those that say something of the failure, never a credential."""
    exceptions: tuple[str, ...] = ()
    """`module.Class` of each exception along the cause chain, outermost first."""
    delays: tuple[tuple[str, float], ...] = ()
    """Waits that the body names in a field of its own: (field, seconds)."""
    phase: Phase = Phase.CONNECT
    bytes_received: int = 0
    """Bytes of the body that had arrived."""
    received_at: float = 0.0
    """Wall-clock time, seconds since the epoch; resolves a `Retry-After` date. 0 when unknown."""

    @property
    def text(self) -> str:
        """All human texts, innermost first, a line each."""
        return "\n".join(self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAfter:
    """A wait that the endpoint asked for."""

    seconds: float
    source: str
    """Which header, field or text said so."""


def facts_of_exception(
    error: BaseException,
    *,
    phase: Phase = Phase.CONNECT,
    bytes_received: int = 0,
    received_at: float = 0.0,
) -> ErrorFacts:
    """Facts of an exception of any library. Total: every exception gives facts."""
    chain = tuple(_cause_chain(error))
    names = tuple(f"{type(link).__module__}.{type(link).__qualname__}" for link in chain)
    texts = tuple(text for link in reversed(chain) if (text := _text(link)))
    status = next((s for link in chain if (s := _status(link)) is not None), None)
    body = next((b for link in chain if (b := _attribute(link, "body")) is not None), None)
    headers = next((h for link in chain if (h := _headers(link))), {})
    surface = Surface.HTTP if status is not None else Surface.TRANSPORT
    if body is not None and status is None:
        surface = Surface.SSE
    found = facts_of_payload(body, surface=surface, status=status)
    messages = found.messages + tuple(text for text in texts if text not in found.messages)
    return ErrorFacts(
        surface=surface,
        status=found.status,
        code=found.code,
        type=found.type,
        param=found.param,
        message=found.message or (texts[0] if texts else ""),
        reasons=found.reasons,
        messages=messages,
        headers=headers,
        exceptions=names,
        delays=found.delays,
        phase=phase,
        bytes_received=bytes_received,
        received_at=received_at,
    )


def facts_of_payload(
    payload: object,
    *,
    surface: Surface = Surface.SSE,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    phase: Phase = Phase.CONNECT,
    bytes_received: int = 0,
    received_at: float = 0.0,
) -> ErrorFacts:
    """Facts of an error body or an in-stream error: a dict, a list, a text, anything."""
    layers = tuple(_layers(payload, 0))[::-1]
    code = next((layer.code for layer in layers if layer.code), None)
    if status is None:
        numbers = (int(layer.code) for layer in layers if _STATUS.fullmatch(layer.code))
        status = next(numbers, None)
    messages = tuple(dict.fromkeys(layer.message for layer in layers if layer.message))
    return ErrorFacts(
        surface=surface,
        status=status,
        code=code,
        type=next((layer.type for layer in layers if layer.type), None),
        param=next((layer.param for layer in layers if layer.param), None),
        message=messages[0] if messages else "",
        reasons=tuple(dict.fromkeys(reason for layer in layers for reason in layer.reasons)),
        messages=messages,
        headers=_relevant(headers or {}),
        delays=tuple(delay for layer in layers for delay in layer.delays),
        phase=phase,
        bytes_received=bytes_received,
        received_at=received_at,
    )


def retry_after_of(facts: ErrorFacts) -> RetryAfter | None:
    """The wait that the endpoint asks for, from the most exact source that it used.

    Read in this order: `retry-after-ms`, `retry-after` (seconds or an HTTP date), a field of the
    body (`retry_after`, `retryDelay`), the text ("try again in 20s"). Nonsense, negative and
    unreadable values count as absent.
    """
    milliseconds = _number(facts.headers.get("retry-after-ms"))
    if milliseconds is not None:
        return RetryAfter(seconds=milliseconds / 1000, source="header retry-after-ms")
    header = facts.headers.get("retry-after")
    seconds = _number(header)
    if seconds is None and header is not None:
        seconds = _until(header, facts)
    if seconds is not None:
        return RetryAfter(seconds=seconds, source="header retry-after")
    if facts.delays:
        name, seconds = facts.delays[0]
        return RetryAfter(seconds=seconds, source=f"body field {name}")
    for message in facts.messages:
        if match := _TRY_AGAIN_IN.search(message[:MAX_TEXT_CHARACTERS]):
            wait = _duration(match["wait"])
            if wait is not None:
                return RetryAfter(seconds=wait, source=f"text {match[0].strip()!r}")
    return None


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = (
    r"\d+(?:\.\d+)?\s*(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)"
)
# Not \b after the unit: OpenAI writes "6m0s".
_DURATIONS = rf"(?:{_DURATION}(?![A-Za-z])\s*)+"
_TRY_AGAIN_IN = re.compile(
    rf"(?:try again|retry|available again|resets?|wait)"
    rf"(?:\s++\w+){{0,2}}?\s++(?:(?:in|after|for)\s*+)?(?P<wait>{_DURATIONS})",
    re.IGNORECASE,
)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|s|m|h|d)", re.IGNORECASE)


def _duration(text: str) -> float | None:
    if not re.fullmatch(_DURATIONS, text.strip(), re.IGNORECASE):
        return None
    seconds = sum(
        float(number) * _UNITS["ms" if unit.lower() == "milli" else unit.lower()]
        for number, unit in _DURATION_PART.findall(text)
    )
    return seconds if seconds < float("inf") else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _until(date: str, facts: ErrorFacts) -> float | None:
    try:
        then = _timestamp(date)
        sent = facts.headers.get("date")
        now = _timestamp(sent) if sent else facts.received_at
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, then - now) if now else None


def _timestamp(date: str) -> float:
    when = parsedate_to_datetime(date)
    # HTTP knows no other zone, also where a server leaves it out.
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()


# --- exceptions -----------------------------------------------------------------------------


def _cause_chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            link = link.exceptions[0]
        else:
            # A cause that was set suppresses the context.
            link = link.__cause__ if link.__suppress_context__ else link.__context__


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MAX_TEXT_CHARACTERS].strip()
    except Exception:  # a foreign __str__ may do anything
        return ""


def _attribute(owner: object, name: str) -> object:
    try:
        return getattr(owner, name, None)
    except Exception:  # a foreign property may do anything
        return None


def _status(error: BaseException) -> int | None:
    for owner in (error, _attribute(error, "response")):
        value = _attribute(owner, "status_code")
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _headers(error: BaseException) -> Mapping[str, str]:
    headers = _attribute(_attribute(error, "response"), "headers")
    return _relevant(headers) if isinstance(headers, Mapping) else {}


def _relevant(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {
        name.lower(): value for name, value in headers.items() if _KEPT_HEADERS.match(name.lower())
    }


# --- payloads -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one layer of a nested payload says of itself."""

    code: str = ""
    type: str = ""
    param: str = ""
    message: str = ""
    reasons: tuple[str, ...] = ()
    delays: tuple[tuple[str, float], ...] = ()


_CODE_KEYS = ("code", "statusCode", "status_code", "http_code", "error_code")
_WORD_KEYS = (
    *_CODE_KEYS, "type", "status", "reason", "error_type", "errorType", "limit_source", "quotaId",
)  # fmt: skip
_TEXT_KEYS = ("message", "msg", "detail", "error_message", "errorMessage", "description", "title")
_DELAY_KEYS = ("retry_after", "retryAfter", "retry_after_seconds", "retryDelay", "retry_after_ms")
_INNER_KEYS = (
    "error", "errors", "metadata", "raw", "details", "detail", "violations", "body", "response",
    "innererror", "inner_error", "cause", "choices", *_TEXT_KEYS,
)  # fmt: skip


def _layers(node: object, depth: int) -> Iterator[_Layer]:
    """The layers of a payload, outermost first."""
    if depth > MAX_DEPTH:
        return
    if isinstance(node, (bytes, bytearray)):
        node = node[:MAX_TEXT_CHARACTERS].decode(errors="replace")
    if isinstance(node, str):
        yield from _text_layers(node, depth)
    elif isinstance(node, (list, tuple)):
        for item in node[:16]:
            yield from _layers(item, depth + 1)
    elif isinstance(node, Mapping):
        yield _layer(node)
        for key in dict.fromkeys(_INNER_KEYS):
            value = node.get(key)
            if isinstance(value, (Mapping, list, tuple)) or (
                isinstance(value, str) and (key in ("error", "raw") or _holds_json(value))
            ):
                yield from _layers(value, depth + 1)


def _text_layers(text: str, depth: int) -> Iterator[_Layer]:
    text = text[:MAX_TEXT_CHARACTERS].strip()
    inner = _json_inside(text)
    words = text if inner is None else text[: _start_of_json(text)].strip()
    if words:
        yield _Layer(message=words)
    if inner is not None:
        yield from _layers(inner, depth + 1)


def _layer(node: Mapping[object, object]) -> _Layer:
    words = [str(node[key]) for key in _WORD_KEYS if isinstance(node.get(key), (str, int))]
    message = next(
        (value for key in _TEXT_KEYS if isinstance(value := node.get(key), str) and value), ""
    )
    return _Layer(
        code=next(
            (str(v) for k in _CODE_KEYS if isinstance(v := node.get(k), (str, int)) and v), ""
        ),
        type=_word(node, "type"),
        param=_word(node, "param"),
        message="" if _holds_json(message) else message[:MAX_TEXT_CHARACTERS].strip(),
        reasons=tuple(word.lower() for word in words if word and len(word) <= 120),
        delays=tuple(_delays(node)),
    )


def _word(node: Mapping[object, object], key: str) -> str:
    value = node.get(key)
    return value if isinstance(value, str) else ""


def _delays(node: Mapping[object, object]) -> Iterator[tuple[str, float]]:
    for key in _DELAY_KEYS:
        value = node.get(key)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            seconds = _number(str(value))
            if seconds is None:
                seconds = _duration(str(value))
            elif key.endswith("_ms"):
                seconds /= 1000
            if seconds is not None:
                yield key, seconds


def _holds_json(text: str) -> bool:
    return _json_inside(text[:MAX_TEXT_CHARACTERS].strip()) is not None


def _json_inside(text: str) -> object:
    """The JSON value that a text is, or ends with after a few words of a wrapper; else None."""
    try:
        value: object = from_json(text[_start_of_json(text) :])
    except (TypeError, ValueError):  # a TypeError: half of a surrogate pair in the text
        return None
    return value if isinstance(value, (dict, list)) else None


def _start_of_json(text: str) -> int:
    match = _JSON_INSIDE.search(text)
    return match.start() if match else len(text)
