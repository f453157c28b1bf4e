"""What is written of a run: one row a fact, in the order in which they became true.

A row is its run, its number, when, its kind and a JSON body. Nothing is ever changed. What a row
means is said here once; which state many of them make, in `state`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Final, Literal, TypeAlias

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json, to_jsonable_python

from agentcore.drafts import CutCall, Kept
from agentcore.kinds import CutCause
from agentcore.ledger import AttemptRecord, Unfinished
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    ToolCall,
    UserMessage,
    mend_surrogates,
)

__all__ = [
    "RECORD_VERSION",
    "AttemptEnded",
    "CallBegun",
    "CallEnded",
    "EndpointGivenUp",
    "Noted",
    "NotesTaken",
    "Record",
    "RecordError",
    "RunEnded",
    "RunResumed",
    "RunStatus",
    "Stored",
    "TurnEnded",
    "body_of",
    "record_of",
]

RECORD_VERSION: Final = 1
"""Of the bodies. Rows of an older one are brought up to date when they are read (`_UPCASTERS`)."""

RunStatus: TypeAlias = Literal["running", "done", "failed", "cancelled"]
"""`running` until an end is written, whether a process drives the run or not."""


class RecordError(ValueError):
    """A row that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An attempt that came to nothing, or to what the turn's row beside it says."""

    kind: ClassVar[str] = "attempt"
    record: AttemptRecord
    """The ledger's row."""
    rest_until: float = 0.0
    """Seconds since the epoch: not before is the next attempt made. 0 for at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """Of a call that was cut, what its arguments do not say."""

    call_id: str
    draft: str
    """The tool's large argument; empty where it has none."""
    received_bytes: int
    received_lines: int
    dropped_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """The model's answer, whole or kept, as it stands in the conversation from now on."""

    kind: ClassVar[str] = "turn"
    message: AssistantMessage
    reply: UserMessage | None = None
    """What a text answer that was cut is told at once, so that it goes on."""
    cause: CutCause | None = None
    """What cut it; None for a whole answer."""
    cut_calls: tuple[Cutting, ...] = ()
    dropped_bytes: int = 0

    @classmethod
    def of(
        cls,
        message: AssistantMessage,
        kept: Kept | None,
        draft_arguments: Mapping[str, str],
        reply: UserMessage | None = None,
    ) -> "TurnEnded":
        """The row of an answer.

        Args:
            message: The answer.
            kept: What was cut in it; None for a whole one.
            draft_arguments: The large argument of each tool that has one, by the tool's name.
            reply: What follows a text answer that was cut.
        """
        if kept is None:
            return cls(message=message)
        return cls(
            message=message,
            reply=reply,
            cause=kept.cause,
            dropped_bytes=kept.dropped_bytes,
            cut_calls=tuple(
                Cutting(
                    call_id=cut.call.id,
                    draft=draft_arguments.get(cut.call.name, ""),
                    received_bytes=cut.received_bytes,
                    received_lines=cut.received_lines,
                    dropped_bytes=cut.dropped_bytes,
                )
                for cut in kept.cut_calls
            ),
        )

    @property
    def kept(self) -> Kept | None:
        """What was cut, as it was when it was cut; None for a whole answer."""
        if self.cause is None:
            return None
        calls = {call.id: call for call in self.message.tool_calls}
        return Kept(
            message=self.message,
            cause=self.cause,
            dropped_bytes=self.dropped_bytes,
            cut_calls=tuple(_cut_call(calls[one.call_id], one) for one in self.cut_calls),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBegun:
    """The next thing that happens is the effect of a call that must not be repeated."""

    kind: ClassVar[str] = "begin"
    call_id: str
    tool: str
    key: str
    """What makes the call one for whoever receives it: `run_id:call_id`."""
    evidence: JsonObject = field(default_factory=dict)
    """By which the tool can tell afterwards whether it took effect."""
    arguments: JsonObject | None = None
    """Those that a person chose for it; None for the model's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """A call has its result."""

    kind: ClassVar[str] = "result"
    call_id: str
    tool: str
    content: str
    """What the model reads; of a long one without its middle, which is in a file."""
    is_error: bool = False
    changed: bool = False
    seconds: float = 0.0
    writes: tuple[str, ...] = ()
    """The names that it wrote, as the tool's `writes` parameter had them."""
    clears: bool = False
    """It may have changed anything: what failed before may work now."""
    is_counted: bool = True
    """A failure counts among those of the same call."""
    notes: dict[str, str] = field(default_factory=dict)
    """What tools keep between calls (`ToolContext.notes`): what is new since the last row."""
    kept_lines: int = 0
    """Of a call that was cut: whole lines that were stored and were not there before."""
    unfinished: Unfinished | None = None
    """Of a call that was cut: where its text is now, while no whole call has gone on from it."""
    finishes: tuple[str, ...] = ()
    """Ids of drafts, and targets, whose cut texts are whole by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointGivenUp:
    """An endpoint of the list failed for good: the next one is asked from now on."""

    kind: ClassVar[str] = "endpoint"
    position: int
    base_url: str
    model: str
    how: str
    """In words, for the person."""
    forgets_cuts: bool = False
    """What did not get through there may do so elsewhere: cuts are counted anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Put in by anyone, at any time: it needs no ownership of the run."""

    kind: ClassVar[str] = "note"
    purpose: Literal["say", "cancel"]
    """`say`: for the model, as what the person says next. `cancel`: end the run."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesTaken:
    """What was said meanwhile has become part of the conversation."""

    kind: ClassVar[str] = "taken"
    through: int
    """The number of the last note that is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """A process goes on with the run."""

    kind: ClassVar[str] = "resume"
    after_crash: bool
    """The one before it died; else it was left in good order, or had ended."""
    changed: str = ""
    """What is set otherwise than when the run was submitted, in words; empty for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The run has ended; what follows, if anything does, was said to it or goes on with it."""

    kind: ClassVar[str] = "end"
    status: Literal["done", "failed", "cancelled"]
    text: str
    """The model's last answer; or why the run stopped, for a person."""
    error_kind: str = ""
    """Why the last attempt failed; empty when it did not, or when a limit was reached."""
    drafts: tuple[Unfinished, ...] = ()
    """Texts that were cut and that no whole call went on from."""


Record: TypeAlias = (
    AttemptEnded
    | TurnEnded
    | CallBegun
    | CallEnded
    | EndpointGivenUp
    | Noted
    | NotesTaken
    | RunResumed
    | RunEnded
)

_KINDS: Final[Mapping[str, type[Record]]] = {
    kind.kind: kind
    for kind in (
        AttemptEnded,
        TurnEnded,
        CallBegun,
        CallEnded,
        EndpointGivenUp,
        Noted,
        NotesTaken,
        RunResumed,
        RunEnded,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A row."""

    seq: int
    """From 1, without gaps, within the run."""
    at: float
    """Seconds since the epoch, by the clock of the machine that wrote it."""
    record: Record


# --- bodies ---------------------------------------------------------------------------------

_UPCASTERS: Mapping[int, Callable[[str, JsonObject], JsonObject]] = {}
"""Version → what makes a body of this version one of the next, given its kind."""


def body_of(record: Record) -> str:
    """The body of a row, as JSON. Half of a character, which has no UTF-8, is replaced."""
    try:
        return to_json(record).decode()
    except ValueError:  # endpoints, models and tools may all say such a thing
        return mend_surrogates(json.dumps(to_jsonable_python(record), ensure_ascii=False))


def record_of(kind: str, version: int, body: str | bytes) -> Record:
    """The record of a row.

    Raises:
        RecordError: It is of a newer version or kind, or no such record.
    """
    if version > RECORD_VERSION or kind not in _KINDS:
        raise RecordError(
            f"a row of kind {kind!r}, version {version}: this agentcore knows version "
            f"{RECORD_VERSION}, and a newer one may have written it"
        )
    try:
        content = from_json(body)
        while version < RECORD_VERSION:
            content = _UPCASTERS[version](kind, content)
            version += 1
        made: Record = _adapter(kind).validate_python(content)
    except ValueError as error:
        raise RecordError(f"a row of kind {kind!r} cannot be read: {error}") from None
    return made


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    """Built for the first row of a kind: it takes longer than all else here."""
    return TypeAdapter(_KINDS[kind])


def _cut_call(call: ToolCall, cutting: Cutting) -> CutCall:
    fields: JsonObject = from_json(call.arguments)
    text = fields.pop(cutting.draft, "") if cutting.draft else ""
    return CutCall(
        call=call,
        fields=fields,
        text=text if isinstance(text, str) else "",
        received_bytes=cutting.received_bytes,
        received_lines=cutting.received_lines,
        dropped_bytes=cutting.dropped_bytes,
    )
