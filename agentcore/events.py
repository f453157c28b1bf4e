"""What a stream is made of, and what a listener is told.

*Stream events* are what an adapter decodes from a chunk: provider-neutral, no attempt number.
*Run events* are what `on_event` gets: every one carries its turn and attempt, so that a display can
drop what a dead attempt showed.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from agentcore.ledger import AttemptRecord, Draft
from agentcore.messages import AssistantMessage, JsonObject, ToolMessage, Usage

__all__ = [
    "AttemptCut",
    "AttemptStarted",
    "Done",
    "DraftKept",
    "DraftsFound",
    "EndpointChanged",
    "FinishReason",
    "GuidanceGiven",
    "InStreamError",
    "MessageRestart",
    "OutputDiscarded",
    "ReasoningDelta",
    "ReasoningDetail",
    "ReasoningReceived",
    "ResponseInfo",
    "RunEvent",
    "StreamEvent",
    "TextDelta",
    "TextKept",
    "TextReceived",
    "ToolArgumentsReceived",
    "ToolCallDelta",
    "ToolFinished",
    "ToolStarted",
    "TurnFinished",
    "UsageReport",
    "WaitStarted",
]

# --- stream events --------------------------------------------------------------------------

# The three that come with every delta are not frozen: freezing makes building one twice as slow.


@dataclass(slots=True, unsafe_hash=True)
class TextDelta:
    """More of the answer's text."""

    text: str


@dataclass(slots=True, unsafe_hash=True)
class ReasoningDelta:
    """More of the reasoning's plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDetail:
    """A piece of a structured reasoning block; pieces of one type and index are merged."""

    detail: JsonObject


@dataclass(slots=True, unsafe_hash=True)
class ToolCallDelta:
    """A piece of a tool call. Empty fields were absent from the chunk."""

    index: int | None = None
    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: JsonObject = field(default_factory=dict)
    """Fields of the call to be returned unchanged (`extra_content`)."""


@dataclass(frozen=True, slots=True)
class MessageRestart:
    """A whole message follows: what came of this answer before it is replaced."""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Tokens as the endpoint counts them; a later report replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class FinishReason:
    """The endpoint's word for why the answer ended. It may lie."""

    reason: str


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """Where an answer comes from, as its chunks say; empty fields were absent."""

    id: str = ""
    """The endpoint's id of this answer."""
    model: str = ""
    """The model that answers: a snapshot of the one that was asked, or another one."""
    host: str = ""
    """Who runs it, where the endpoint passes requests on."""


@dataclass(frozen=True, slots=True)
class InStreamError:
    """An error that came as an event, after status 200: its payload as it was."""

    payload: object


@dataclass(frozen=True, slots=True)
class Done:
    """The `[DONE]` line; a terminal signal only where the adapter says that it is one."""


StreamEvent: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | ReasoningDetail
    | ToolCallDelta
    | MessageRestart
    | UsageReport
    | FinishReason
    | ResponseInfo
    | InStreamError
    | Done
)

# --- run events -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunEvent:
    turn: int
    """Counted from 1 within the run."""
    attempt: int
    """Counted from 1 within the turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(_RunEvent):
    """A request is about to be sent."""

    provider: str
    model: str
    output_limit: int | None
    """Tokens: the cap that is sent; None for none."""
    limit_source: str
    """Where the cap comes from: `user`, `learned`, `catalog`, `family` or `none`."""
    limit_note: str
    """Why a figure of the endpoint's catalog is not used; empty where none was refused."""
    streamed: bool
    tool_streaming: bool
    """The endpoint is told to stream tool arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReceived(_RunEvent):
    """Text of one network read, several deltas joined."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningReceived(_RunEvent):
    """Reasoning of one network read, several deltas joined."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolArgumentsReceived(_RunEvent):
    """How far the arguments of a call have come; totals, not increments.

    Of a burst, which brings hundreds of deltas in a network read, it is told once a millisecond.
    """

    position: int
    """Which call of the answer, from 0."""
    name: str
    received_bytes: int
    """UTF-8 bytes of argument text so far."""
    lines: int
    """Escaped line breaks in them so far: about the lines of the text being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCut(_RunEvent):
    """An attempt ended without a whole answer."""

    record: AttemptRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDiscarded(_RunEvent):
    """What this attempt showed is void: a display drops it before the next attempt speaks."""

    discarded_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStarted(_RunEvent):
    """The loop waits before an attempt: after a failed one, or for room at the endpoint."""

    seconds: float
    """For room the longest, as far as is known: it comes sooner when other requests end, and later
    when others wait before, or are refused."""
    reason: str
    """The kind of the failure, or why there is no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointChanged(_RunEvent):
    """The run goes on with the next model of its list: this one's endpoint failed for good."""

    provider: str
    """The one that is asked from now on."""
    model: str
    reason: str
    """Why the one before is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftsFound(_RunEvent):
    """The first event of a run whose workspace holds texts that earlier runs left unfinished."""

    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftKept(_RunEvent):
    """What arrived of a cut call's large text is stored, and the model goes on from it."""

    call_id: str
    name: str
    target: str
    """What the call named to write to; empty where that had not come."""
    draft_id: str
    """The parked draft; empty: the text stands in the target."""
    new_lines: int
    """Whole lines that were not there before."""
    new_bytes: int
    """UTF-8 bytes of whole lines that arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextKept(_RunEvent):
    """A text answer was cut; what arrived is kept, and the model is asked to go on."""

    kept_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidanceGiven(_RunEvent):
    """A cut call was answered with guidance for the model; it was not run."""

    call_id: str
    name: str
    template: str
    dropped_bytes: int
    """UTF-8 bytes of argument text that arrived and were not kept."""
    text: str
    """The guidance as the model reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(_RunEvent):
    """A closed call begins to run."""

    call_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(_RunEvent):
    """A call has its result."""

    call_id: str
    name: str
    is_error: bool
    seconds: float
    content: str
    """The result as the model reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished(_RunEvent):
    """The model's answer of this turn and its tools' results are in the conversation.

    It also comes when the run is cancelled while tools run: then it is the last event.
    """

    message: AssistantMessage
    results: tuple[ToolMessage, ...]
    """One for each call of the answer, in call order, also for calls that were cancelled."""
    usage: Usage | None


RunEvent: TypeAlias = (
    AttemptStarted
    | TextReceived
    | ReasoningReceived
    | ToolArgumentsReceived
    | AttemptCut
    | OutputDiscarded
    | WaitStarted
    | EndpointChanged
    | DraftsFound
    | DraftKept
    | TextKept
    | GuidanceGiven
    | ToolStarted
    | ToolFinished
    | TurnFinished
)
