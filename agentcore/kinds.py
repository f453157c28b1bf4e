"""The names: what kinds of failure there are, and why an answer may be cut."""

from enum import IntEnum, StrEnum
from typing import Final

__all__ = ["KIND_OF_CAUSE", "CutCause", "ErrorKind", "Strength"]


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
