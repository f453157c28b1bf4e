"""What each attempt did and cost: one record a request, in the order made; and what it left."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from agentcore.kinds import CutCause, ErrorKind
from agentcore.messages import JsonObject, Usage

__all__ = [
    "PROCESS_ENDED",
    "AttemptRecord",
    "Decision",
    "Draft",
    "LimitSource",
    "Unfinished",
    "estimate_tokens",
]

Decision: TypeAlias = Literal["accept", "retry", "adjust", "keep", "stop"]
PROCESS_ENDED: Final = "process-ended"
"""The rule of an attempt whose process died while it received the answer."""
LimitSource: TypeAlias = Literal["user", "learned", "catalog", "family", "none"]


def estimate_tokens(size_bytes: int) -> int:
    """Tokens of so many UTF-8 bytes, rounded up: bytes ÷ 3.

    English prose runs at about 4 bytes a token and code at about 3; the low end errs to the safe
    side for a window that must not overflow.
    """
    return -(-size_bytes // 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One request: what was asked, what came, what was decided."""

    turn: int
    """Counted from 1 within the run."""
    attempt: int
    """Counted from 1 within the turn."""
    provider: str
    base_url: str = ""
    model: str
    outcome: Literal["complete", "cut", "refused"]
    """`cut` when an answer had begun (status 200), `refused` when none did."""
    decision: Decision
    cause: CutCause | None = None
    kind: ErrorKind | None = None
    rule: str = ""
    """The row of the error table that fired, or `cut-<cause>`."""
    message: str = ""
    """What the endpoint or the HTTP stack said."""
    streamed: bool = True
    """False for the one plain request of a turn."""
    tool_streaming: bool = False
    """The endpoint was told to stream tool arguments."""
    output_limit: int | None = None
    """Tokens: the cap that was sent; None when none was."""
    limit_source: LimitSource = "none"
    limit_note: str = ""
    """Why a figure of the endpoint's catalog was not used, where one was refused."""
    waited_seconds: float = 0.0
    """The wait before this attempt, after the one that failed."""
    queued_seconds: float = 0.0
    """And before that for a place, where other runs had been refused for want of room."""
    seconds: float = 0.0
    """From the request to its end."""
    received_bytes: int = 0
    """Of the response's body, comments included."""
    received_tokens: int = 0
    """Output tokens as the endpoint reported them, else text, reasoning and arguments ÷ 3."""
    discarded_bytes: int = 0
    """UTF-8 bytes of text, reasoning and arguments that were thrown away."""
    kept: str = ""
    """What was kept of a cut answer, in words."""
    usage: Usage | None = None
    """As reported; None when the attempt died before the report."""
    generation_id: str = ""
    """The endpoint's id of this answer, for looking it up there."""
    served_model: str = ""
    """The model that answered, as the endpoint named it."""
    host: str = ""
    """Who ran it, where the endpoint passes requests on and says to whom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A text that was cut and parked in the workspace, because its file could not be touched."""

    id: str
    tool: str
    """The tool whose call was cut."""
    argument: str
    """The argument that the text belongs to."""
    fields: JsonObject
    """The call's other fields, as far as the model had closed them."""
    text: str
    """Whole lines, exactly as they were sent."""
    created_at: float = 0.0
    """Seconds since the epoch."""
    extended_by: str = ""
    """The key of the call that its last lines came by; empty outside journalled runs."""

    @property
    def lines(self) -> int:
        """Whole lines in it."""
        return self.text.count("\n")

    @property
    def size_bytes(self) -> int:
        """UTF-8 bytes of its text."""
        return len(self.text.encode(errors="replace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A cut text that no whole call has gone on from."""

    tool: str
    """The tool whose call was cut."""
    target: str
    """What the call named to write to; empty where that had not come."""
    draft_id: str
    """The parked draft (`agentcore drafts show <id>`); empty: the text stands in the target."""
    on_disk: str
    """What is true of it, one or two sentences."""
