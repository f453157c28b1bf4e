"""What kind of failure is this? A table of named rules, read in order; the first that fits wins.

The order of evidence is the order of the table: *specific* structure (a code, a type, a reason, a
status that has one meaning), then *wording* as fenced phrases with vetoes, then the generic status
or exception as a *default*. Wording never overrules a specific fact, whoever's row it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Final

from agentcore.facts import MAX_TEXT_CHARACTERS, ErrorFacts, RetryAfter, Surface, retry_after_of

__all__ = [
    "ERROR_RULES",
    "KIND_OF_CAUSE",
    "Classification",
    "CutCause",
    "ErrorKind",
    "ErrorRule",
    "Strength",
    "classify",
    "corrected_output_limit",
]


class ErrorKind(StrEnum):
    """The name of a failure."""

    CONNECTION = "connection"
    """The connection was lost, reset, refused or closed early."""
    TIMEOUT = "timeout"
    """A connect, read, idle, first-byte or gateway time-out."""
    OVERLOADED = "overloaded"
    """The provider is out of capacity; it is not our own rate."""
    SERVER_ERROR = "server_error"
    """An internal error, garbage from a proxy, a malformed stream."""
    RATE_LIMIT = "rate_limit"
    """Throttling that passes within seconds or minutes."""
    QUOTA = "quota"
    """Money, credits, a plan or a daily cap is used up."""
    AUTH = "auth"
    """The key, the account, the region or a permission is refused."""
    NOT_FOUND = "not_found"
    """Unknown model, deployment or route."""
    CONTEXT_OVERFLOW = "context_overflow"
    """The prompt alone is longer than the context window."""
    OUTPUT_LIMIT = "output_limit"
    """The cap that was asked for is larger than allowed."""
    CONTENT_POLICY = "content_policy"
    """Moderation, a safety filter, a refusal by a classifier."""
    INVALID_REQUEST = "invalid_request"
    """A malformed or unsupported parameter, schema or message order."""
    REQUEST_TOO_LARGE = "request_too_large"
    """Too many bytes, or one request larger than a whole rate window."""
    TRUNCATED = "truncated"
    """The answer ended early and nothing was thrown."""
    CANCELLED = "cancelled"
    """The caller's own wish."""
    UNKNOWN = "unknown"
    """Not to be told from what was received."""

    @property
    def is_transient(self) -> bool:
        """A later, unchanged attempt can pass."""
        return self in _TRANSIENT


_TRANSIENT: Final = frozenset(
    {
        ErrorKind.CONNECTION,
        ErrorKind.TIMEOUT,
        ErrorKind.OVERLOADED,
        ErrorKind.SERVER_ERROR,
        ErrorKind.RATE_LIMIT,
        ErrorKind.TRUNCATED,
        ErrorKind.UNKNOWN,
    }
)


class CutCause(StrEnum):
    """Why an answer is not whole."""

    DROPPED = "dropped"
    """The transport failed, or an error came inside the stream; the error names the kind."""
    ENDED = "ended"
    """The body ended without a terminal signal, or with arguments that are a mere prefix."""
    STALLED = "stalled"
    """Content had begun to come, and stopped coming."""
    SILENT = "silent"
    """Nothing that bears content came at all."""
    CAPPED = "capped"
    """The output cap was reached, whatever the finish reason says."""
    MALFORMED = "malformed"
    """The answer is whole and its arguments are no JSON object."""
    FILTERED = "filtered"
    """A content filter ended the answer."""


KIND_OF_CAUSE: Final = {
    CutCause.ENDED: ErrorKind.TRUNCATED,
    CutCause.CAPPED: ErrorKind.TRUNCATED,
    CutCause.STALLED: ErrorKind.TIMEOUT,
    CutCause.SILENT: ErrorKind.TIMEOUT,
    CutCause.MALFORMED: ErrorKind.SERVER_ERROR,
    CutCause.FILTERED: ErrorKind.CONTENT_POLICY,
}
"""The kind of each cause but `dropped`, whose kind is the error's own."""


class Strength(IntEnum):
    """How good the evidence of a rule is; stronger rows are read first."""

    SPECIFIC = 0
    """Structure with one meaning: a code, a type, a reason, a telling status."""
    WORDING = 1
    """A phrase in a human text."""
    DEFAULT = 2
    """The generic status or exception, when nothing better is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """One row: every condition that is given must hold; within one, any item is enough."""

    name: str
    kind: ErrorKind
    strength: Strength
    why: str
    """One line: why this evidence means this kind."""
    surfaces: tuple[Surface, ...] = ()
    statuses: tuple[int, ...] = ()
    status_class: int | None = None
    """Hundreds digit of the status: 4 stands for 400 to 499."""
    words: tuple[str, ...] = ()
    """Codes, types or reasons, lower case, compared whole with `ErrorFacts.reasons`."""
    exceptions: tuple[str, ...] = ()
    """Class names, compared with the last part of `ErrorFacts.exceptions`, on any link."""
    phrases: tuple[str, ...] = ()
    """Regular expressions, case ignored, fenced so that they match whole words only."""
    vetoes: tuple[str, ...] = ()
    """Phrases that forbid the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """A kind, and why."""

    kind: ErrorKind
    rule: str
    """Name of the row that fired, or `"no rule"`."""
    evidence: str
    """Which fact matched."""
    retry_after: RetryAfter | None = None
    corrected_output_limit: int | None = None
    """Tokens: the largest cap that the endpoint says it takes; for `output_limit` only."""

    @property
    def is_transient(self) -> bool:
        """A later, unchanged attempt can pass."""
        return self.kind.is_transient


def classify(facts: ErrorFacts, rules: Sequence[ErrorRule] = ()) -> Classification:
    """Name a failure. Total and deterministic: any facts give a kind, none raise.

    Args:
        facts: What is known.
        rules: An adapter's own rows, read before the rows of `ERROR_RULES` of equal strength.
    """
    for rule in _ordered(tuple(rules)):
        evidence = _match(rule, facts)
        if evidence is not None:
            limit = corrected_output_limit(facts) if rule.kind is ErrorKind.OUTPUT_LIMIT else None
            return Classification(
                kind=rule.kind,
                rule=rule.name,
                evidence=evidence,
                retry_after=retry_after_of(facts),
                corrected_output_limit=limit,
            )
    return Classification(
        kind=ErrorKind.UNKNOWN,
        rule="no rule",
        evidence="nothing that a rule knows",
        retry_after=retry_after_of(facts),
    )


def corrected_output_limit(facts: ErrorFacts) -> int | None:
    """The cap in tokens that the refusal names as allowed, or None.

    Reads "can only afford N", "N > M", "must be ≤ N", "supports at most N" and
    "maximum allowed … is N"; the smallest positive figure of the first form that fits.
    """
    text = facts.text[:MAX_TEXT_CHARACTERS]
    for pattern in _LIMIT_FORMS:
        if match := pattern.search(text):
            limit = int(match["limit"].replace(",", "").replace("_", ""))
            if limit > 0:
                return limit
    return None


_N = r"(?P<limit>\d[\d,_]*)"
_LIMIT_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"can only afford {_N}",
        rf"max\w*tokens\W+\d[\d,_]* > {_N}",
        rf"(?:at most|up to|less than or equal to|not exceed|<=|≤) {_N}",
        rf"range of \[\s*\d+\s*,\s*{_N}\s*\]",
        rf"max\w*(?: \w+){{0,4}} (?:is|of|:) {_N}",
    )
)


@lru_cache(maxsize=64)
def _ordered(rules: tuple[ErrorRule, ...]) -> tuple[ErrorRule, ...]:
    return tuple(sorted((*rules, *ERROR_RULES), key=lambda rule: rule.strength))


def _match(rule: ErrorRule, facts: ErrorFacts) -> str | None:
    """The evidence for a rule, or None when a condition does not hold."""
    evidence: list[str] = []
    if rule.surfaces and facts.surface not in rule.surfaces:
        return None
    if rule.statuses or rule.status_class is not None:
        status = facts.status
        if status is None or not (status in rule.statuses or status // 100 == rule.status_class):
            return None
        evidence.append(f"status {status}")
    if rule.words:
        word = next((reason for reason in facts.reasons if reason in rule.words), None)
        if word is None:
            return None
        evidence.append(f"reason {word!r}")
    if rule.exceptions:
        name = next((n for n in facts.exceptions if n.rpartition(".")[2] in rule.exceptions), None)
        if name is None:
            return None
        evidence.append(f"exception {name}")
    text = facts.text[:MAX_TEXT_CHARACTERS]
    if rule.phrases:
        match = _compiled(rule.phrases).search(text)
        if match is None:
            return None
        evidence.append(f"text {match[0]!r}")
    if rule.vetoes and _compiled(rule.vetoes).search(text):
        return None
    return ", ".join(evidence) or f"surface {facts.surface}"


@lru_cache(maxsize=512)
def _compiled(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(phrases)})(?![A-Za-z0-9_])", re.IGNORECASE)


_SPECIFIC = Strength.SPECIFIC
_WORDING = Strength.WORDING
_DEFAULT = Strength.DEFAULT

_CONNECTION_ERRORS = (
    "APIConnectionError",
    "BrokenPipeError",
    "BrokenResourceError",
    "ClientConnectionError",
    "ClientConnectorError",
    "ClientOSError",
    "ClientPayloadError",
    "ClosedResourceError",
    "ConnectError",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "EndOfStream",
    "IncompleteRead",
    "LocalProtocolError",
    "NetworkError",
    "ReadError",
    "RemoteProtocolError",
    "SSLEOFError",
    "SSLError",
    "ServerDisconnectedError",
    "TransportError",
    "WriteError",
    "gaierror",
)
_TIMEOUT_ERRORS = (
    "APITimeoutError",
    "ConnectTimeout",
    "PoolTimeout",
    "ReadTimeout",
    "ServerTimeoutError",
    "SocketTimeoutError",
    "TimeoutError",
    "TimeoutException",
    "WriteTimeout",
)

ERROR_RULES: Final[tuple[ErrorRule, ...]] = (
    # --- specific: structure with one meaning ------------------------------------------------
    ErrorRule(
        name="cancelled-exception",
        kind=ErrorKind.CANCELLED,
        strength=_SPECIFIC,
        why="a task was cancelled; no endpoint raises this",
        exceptions=("CancelledError", "Cancelled"),
    ),
    ErrorRule(
        name="certificate",
        kind=ErrorKind.INVALID_REQUEST,
        strength=_SPECIFIC,
        why="a trust store does not mend itself: a fresh connection fails the same way",
        exceptions=("SSLCertVerificationError",),
    ),
    ErrorRule(
        name="context-length-code",
        kind=ErrorKind.CONTEXT_OVERFLOW,
        strength=_SPECIFIC,
        why="OpenAI's code for a prompt over the window",
        words=("context_length_exceeded", "model_context_window_exceeded"),
    ),
    ErrorRule(
        name="quota-code",
        kind=ErrorKind.QUOTA,
        strength=_SPECIFIC,
        why="codes that speak of money or a plan, whatever the status",
        words=(
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_credits",
            "insufficient_balance",
            "openrouter_key_limit",
            "quota_exceeded",
        ),
    ),
    ErrorRule(
        name="in-flight-budget",
        kind=ErrorKind.RATE_LIMIT,
        strength=_SPECIFIC,
        why="OpenRouter holds the price of running requests: it passes when one of them ends",
        words=("openrouter_in_flight_budget", "in_flight_budget_exhausted"),
    ),
    ErrorRule(
        name="can-only-afford",
        kind=ErrorKind.OUTPUT_LIMIT,
        strength=_SPECIFIC,
        why="a 402 that prices the cap, and names the cap that the credit covers",
        statuses=(402,),
        phrases=(r"can only afford [1-9]\d*",),
    ),
    ErrorRule(
        name="max-tokens-param",
        kind=ErrorKind.OUTPUT_LIMIT,
        strength=_SPECIFIC,
        why="the cap's own parameter, refused beside a figure",
        statuses=(400, 422),
        phrases=(
            r"max\w*_tokens\W+(?:is )?too large",
            r"max\w*_tokens\W+\d+ > \d+",
            r"max\w*_tokens.{0,40}(?:at most|<=|≤|less than or equal to|not exceed) ?\d+",
            r"range of max\w*_tokens should be",
        ),
    ),
    ErrorRule(
        name="overloaded-type",
        kind=ErrorKind.OVERLOADED,
        strength=_SPECIFIC,
        why="types and codes for a provider without capacity",
        words=("overloaded_error", "overloaded", "server_overloaded", "engine_overloaded", "529"),
    ),
    ErrorRule(
        name="status-529",
        kind=ErrorKind.OVERLOADED,
        strength=_SPECIFIC,
        why="529 has one meaning wherever it is used",
        statuses=(529,),
    ),
    ErrorRule(
        name="content-policy-code",
        kind=ErrorKind.CONTENT_POLICY,
        strength=_SPECIFIC,
        why="codes of moderation",
        words=(
            "content_policy_violation",
            "content_filter",
            "moderation_blocked",
            "data_inspection_failed",
            "safety",
        ),
    ),
    ErrorRule(
        name="auth-code",
        kind=ErrorKind.AUTH,
        strength=_SPECIFIC,
        why="codes of a refused key or permission",
        words=("invalid_api_key", "authentication_error", "permission_error", "unauthenticated"),
    ),
    ErrorRule(
        name="model-not-found-code",
        kind=ErrorKind.NOT_FOUND,
        strength=_SPECIFIC,
        why="codes of an unknown model or deployment",
        words=("model_not_found", "not_found_error", "deploymentnotfound"),
    ),
    ErrorRule(
        name="too-large-code",
        kind=ErrorKind.REQUEST_TOO_LARGE,
        strength=_SPECIFIC,
        why="a payload too big in bytes",
        words=("request_too_large",),
    ),
    ErrorRule(
        name="rate-limit-code",
        kind=ErrorKind.RATE_LIMIT,
        strength=_SPECIFIC,
        why="codes of throttling by the second or the minute",
        words=("rate_limit_exceeded", "rate_limit_error"),
    ),
    ErrorRule(
        name="timeout-exception",
        kind=ErrorKind.TIMEOUT,
        strength=_SPECIFIC,
        why="a clock of the HTTP stack ran out",
        exceptions=_TIMEOUT_ERRORS,
    ),
    ErrorRule(
        name="gateway-timeout",
        kind=ErrorKind.TIMEOUT,
        strength=_SPECIFIC,
        why="statuses that only gateways and servers use for a clock that ran out",
        statuses=(408, 504, 522, 524),
    ),
    # --- wording: fenced phrases, with vetoes ------------------------------------------------
    ErrorRule(
        name="context-overflow-text",
        kind=ErrorKind.CONTEXT_OVERFLOW,
        strength=_WORDING,
        why="the prompt does not fit the window (OpenAI, Anthropic, vLLM, llama.cpp)",
        phrases=(
            r"maximum context length",
            r"prompt is too long",
            r"exceeds? the (?:available )?context",
            r"context (?:window|length|size) (?:is )?exceeded",
        ),
    ),
    ErrorRule(
        name="quota-text",
        kind=ErrorKind.QUOTA,
        strength=_WORDING,
        why="money or a plan is named",
        phrases=(
            r"insufficient (?:credits?|balance|funds|quota)",
            r"credit balance is too low",
            r"requires more credits",
            r"exceeded your current quota",
            r"余额不足",
        ),
    ),
    ErrorRule(
        name="connection-lost-text",
        kind=ErrorKind.CONNECTION,
        strength=_WORDING,
        why="a hop behind the gateway lost its connection and says so in words",
        phrases=(
            r"network connection lost",
            r"connection (?:was )?(?:lost|reset|refused|closed|aborted)",
            r"socket hang up",
            r"incomplete chunked read",
            r"econnreset",
            r"econnrefused",
            r"server disconnected",
            r"peer closed connection",
            r"goaway",
            r"broken pipe",
        ),
        vetoes=(r"invalid request", r"content policy"),
    ),
    ErrorRule(
        name="timeout-text",
        kind=ErrorKind.TIMEOUT,
        strength=_WORDING,
        why="a clock of some hop ran out and says so in words",
        phrases=(r"timed? ?out", r"deadline exceeded", r"etimedout"),
        vetoes=(r"invalid \w*timeout", r"timeout (?:must|should)"),
    ),
    ErrorRule(
        name="overloaded-text",
        kind=ErrorKind.OVERLOADED,
        strength=_WORDING,
        why="capacity is named, not our rate",
        phrases=(
            r"overloaded",
            r"(?:at|over|out of) capacity",
            r"no available (?:slots?|workers?)",
        ),
    ),
    ErrorRule(
        name="rate-limit-text",
        kind=ErrorKind.RATE_LIMIT,
        strength=_WORDING,
        why="throttling is named",
        phrases=(r"rate[ -]?limit(?:ed|s|ing)?", r"too many requests"),
    ),
    # --- defaults: the generic status or exception -------------------------------------------
    ErrorRule(
        name="connection-exception",
        kind=ErrorKind.CONNECTION,
        strength=_DEFAULT,
        why="the HTTP stack lost the connection or never had it",
        exceptions=_CONNECTION_ERRORS,
    ),
    ErrorRule(
        name="status-401-403",
        kind=ErrorKind.AUTH,
        strength=_DEFAULT,
        why="credentials or permission, by the standard",
        statuses=(401, 403, 407),
    ),
    ErrorRule(
        name="status-402",
        kind=ErrorKind.QUOTA,
        strength=_DEFAULT,
        why="payment required",
        statuses=(402,),
    ),
    ErrorRule(
        name="status-404",
        kind=ErrorKind.NOT_FOUND,
        strength=_DEFAULT,
        why="no such model or route",
        statuses=(404, 410),
    ),
    ErrorRule(
        name="status-413",
        kind=ErrorKind.REQUEST_TOO_LARGE,
        strength=_DEFAULT,
        why="content too large, by the standard",
        statuses=(413,),
    ),
    ErrorRule(
        name="status-429",
        kind=ErrorKind.RATE_LIMIT,
        strength=_DEFAULT,
        why="too many requests, by the standard; quota and overload were ruled out above",
        statuses=(429,),
    ),
    ErrorRule(
        name="status-503",
        kind=ErrorKind.OVERLOADED,
        strength=_DEFAULT,
        why="service unavailable, by the standard",
        statuses=(503,),
    ),
    ErrorRule(
        name="status-5xx",
        kind=ErrorKind.SERVER_ERROR,
        strength=_DEFAULT,
        why="the server's own fault, by the standard",
        status_class=5,
    ),
    ErrorRule(
        name="status-4xx",
        kind=ErrorKind.INVALID_REQUEST,
        strength=_DEFAULT,
        why="the request's fault, by the standard",
        status_class=4,
    ),
    ErrorRule(
        name="status-3xx",
        kind=ErrorKind.INVALID_REQUEST,
        strength=_DEFAULT,
        why="a redirect, which is not followed: the base URL must be the final one",
        status_class=3,
    ),
    ErrorRule(
        name="garbage-in-stream",
        kind=ErrorKind.SERVER_ERROR,
        strength=_DEFAULT,
        why="a proxy's page or half an event where an event was due",
        surfaces=(Surface.SSE,),
        phrases=(r"\A\s*<(?:!doctype|html)", r"\A\s*[\[{]"),
    ),
    ErrorRule(
        name="server-error-type",
        kind=ErrorKind.SERVER_ERROR,
        strength=_DEFAULT,
        why="types that say no more than that the server failed",
        words=("api_error", "server_error", "internal_server_error", "internal_error"),
    ),
    ErrorRule(
        name="invalid-request-type",
        kind=ErrorKind.INVALID_REQUEST,
        strength=_DEFAULT,
        why="a type that says no more than that the request was refused",
        words=("invalid_request_error", "invalid_argument"),
    ),
)
"""Read top down; strengths ascend, so that a wording can never stand before a specific fact."""
