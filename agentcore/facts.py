"""What is known of a failure, as plain data: no exception, no response, no judgement.

Exceptions are matched by module and class *name* along their cause chain, because the SDK and its
HTTP library change their class trees between versions. Payloads are read from the outside in, as
gateways nest them: an `error` member, `metadata.raw`, JSON inside a string, a list, `details[]`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from agentcore.durations import parse_duration, parse_http_date, parse_number, wait_in_text
from agentcore.payloads import Layer, read_layers, shortened

__all__ = [
    "ErrorFacts",
    "Phase",
    "RetryAfter",
    "Surface",
    "facts_of_exception",
    "facts_of_payload",
    "facts_of_report",
    "retry_after_of",
]

_KEPT_HEADERS = re.compile(
    r"(?:llm_provider-)?retry-after|x-should-retry|x-ratelimit|ratelimit|date$|server$|content-type|cf-|x-request-id"
)
_STATUS_IN_TEXT = re.compile(
    r"(?:http(?:/[\d.]+)?|status(?:[ _]?code)?|error(?:[ _]code)?|code|response|rejected)\W{0,3}"
    r"(?:was |is |of |code )?\W?(?P<a>[45][0-9]{2})(?![\w.%])"
    r"|\A\W{0,2}(?P<b>[45][0-9]{2})(?![\w.%])(?!\s*(?:tokens|characters|bytes|ms|s)\b)"
    r"|[(\[](?P<c>[45][0-9]{2})[)\]]"
    r"|(?<![\w.])(?P<d>[45][0-9]{2}):? (?:bad|unauthorized|forbidden|not found|too many|internal"
    r"|service|gateway|payment)",
    re.IGNORECASE,
)


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
    """The innermost error status: of a payload's own code, else of the HTTP response, else of the
    text ("Error code: 429"). None when none is told."""
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
    """`module.Class` of each exception along the cause chain, outermost first; then those that
    texts name at their head, as relays and logs do."""
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
    body = next((b for link in chain if (b := _attribute(link, "body")) is not None), None)
    status = next((s for link in chain if (s := _status(link)) is not None), None)
    surface = Surface.HTTP if status is not None else Surface.TRANSPORT
    if body is not None and status is None:
        surface = Surface.SSE
    # All texts at once: what is read of them has one bound.
    texts = read_layers([text for link in chain if (text := _text(link))])
    return _facts_of_layers(
        # What the body says goes before what an SDK makes of it; both are read from the inside.
        texts + read_layers(body),
        surface=surface,
        status=status,
        headers=next((h for link in chain if (h := _headers(link))), {}),
        exceptions=tuple(f"{type(link).__module__}.{type(link).__qualname__}" for link in chain),
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
    return _facts_of_layers(
        read_layers(payload),
        surface=surface,
        status=status,
        headers=_relevant(headers or {}),
        phase=phase,
        bytes_received=bytes_received,
        received_at=received_at,
    )


def facts_of_report(
    *,
    surface: Surface = Surface.TRANSPORT,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    body: object = None,
    exception: str | None = None,
    message: str = "",
) -> ErrorFacts:
    """Facts of a failure that somebody reports: a pasted payload, a log line, a traceback.

    Args:
        surface: Where it showed itself.
        status: The HTTP status, if it is told.
        headers: Response headers, if they are told.
        body: The payload, in any shape.
        exception: Name of the exception class, with or without its module.
        message: The text as it was seen; payloads and statuses inside it are read too.
    """
    return _facts_of_layers(
        # A class name is told here as a code is: "openai.RateLimitError".
        (
            Layer(reasons=((exception or "")[:200].rpartition(".")[2].lower(),)),
            *read_layers(message),
            *read_layers(body),
        ),
        surface=surface,
        status=status,
        headers=_relevant(headers or {}),
        exceptions=(exception[:200],) if exception else (),
    )


def _facts_of_layers(
    outermost_first: tuple[Layer, ...],
    *,
    surface: Surface,
    status: int | None,
    headers: Mapping[str, str],
    exceptions: tuple[str, ...] = (),
    phase: Phase = Phase.CONNECT,
    bytes_received: int = 0,
    received_at: float = 0.0,
) -> ErrorFacts:
    layers = outermost_first[::-1]
    messages = tuple(dict.fromkeys(layer.message for layer in layers if layer.message))
    # A report may spell the status as text.
    whole = isinstance(status, int) or (isinstance(status, str) and status.isdecimal())
    status = int(status) if whole and status is not None else None
    told = next((number for layer in layers for number in layer.statuses), status)
    if told is None or told < 400:
        searched = map(_status_in, messages[:MAX_SEARCHED])
        told = next((number for number in searched if number is not None), told)
    return ErrorFacts(
        surface=surface,
        status=told,
        code=next((layer.code for layer in layers if layer.code), None),
        type=next((layer.type for layer in layers if layer.type), None),
        param=next((layer.param for layer in layers if layer.param), None),
        message=messages[0] if messages else "",
        reasons=tuple(
            dict.fromkeys(reason for layer in layers for reason in layer.reasons if reason)
        ),
        messages=messages,
        headers=headers,
        exceptions=exceptions + tuple(name for one in outermost_first for name in one.exceptions),
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
    milliseconds = parse_number(facts.headers.get("retry-after-ms"))
    if milliseconds is not None:
        return RetryAfter(seconds=milliseconds / 1000, source="header retry-after-ms")
    # LiteLLM renames what the endpoint behind it said (tests/integration/test_litellm.py).
    header = facts.headers.get("retry-after") or facts.headers.get("llm_provider-retry-after")
    seconds = parse_number(header)
    if seconds is None and header is not None:
        seconds = parse_duration(header)
    if seconds is None and header is not None:
        seconds = _until(header, facts)
    if seconds is not None:
        return RetryAfter(seconds=seconds, source="header retry-after")
    if facts.delays:
        name, seconds = facts.delays[0]
        return RetryAfter(seconds=seconds, source=f"body field {name}")
    for message in facts.messages[:MAX_SEARCHED]:
        asked = wait_in_text(shortened(message))
        if asked is not None:
            return RetryAfter(seconds=asked[0], source=f"text {asked[1]!r}")
    return None


MAX_SEARCHED = 4
"""How many texts are searched for a wait or a status, innermost first."""


def _status_in(text: str) -> int | None:
    match = _STATUS_IN_TEXT.search(shortened(text))
    return int(next(group for group in match.groups() if group)) if match else None


def _until(date: str, facts: ErrorFacts) -> float | None:
    then = parse_http_date(date)
    now = parse_http_date(facts.headers.get("date", "")) or facts.received_at
    return max(0.0, then - now) if then is not None and now else None


# --- exceptions -----------------------------------------------------------------------------


MAX_CHAIN = 16
"""How many exceptions of a cause chain are read, outermost first; of a group, all members,
the first of them as the innermost."""


def _cause_chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting and len(seen) < MAX_CHAIN:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            waiting[:0] = link.exceptions[:MAX_CHAIN][::-1]
        # A cause that was set suppresses the context.
        cause = link.__cause__ if link.__suppress_context__ else link.__context__
        # A deadline is kept by cancelling: the timeout is what happened, and nobody's wish.
        if cause is not None and not (_is_timeout(link) and not isinstance(cause, Exception)):
            waiting.append(cause)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or type(error).__name__ == "TooSlowError"


def _text(error: BaseException) -> str:
    try:
        return str(error).strip()
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
    kept: dict[str, str] = {}
    # A foreign mapping may do anything, and hold anything.
    with suppress(Exception):
        for name, value in islice(headers.items(), 256):
            if _KEPT_HEADERS.match(str(name).lower()):
                kept[str(name).lower()] = str(value)[:200]
    return kept
