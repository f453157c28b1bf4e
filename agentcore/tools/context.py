"""What a tool gets of the run, and what it gives back."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json
from typing_extensions import override

from agentcore.messages import JsonObject
from agentcore.tools.failures import CallCancelled

__all__ = [
    "NOT_DONE",
    "Begun",
    "Continuation",
    "CutDraft",
    "NotDone",
    "ToolContext",
    "ToolResult",
    "result_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What a tool may know of the run; give a parameter this type to receive it."""

    workspace: Path
    """An absolute path: the folder that file tools stay in and programs run in."""
    call_id: str = ""
    key: str = ""
    """`run_id:call_id`, the same one whenever this call is made: give it as idempotency key to what
    takes one (a payment, a mail, a ticket). Empty in a run without `run_id`."""
    continued: frozenset[str] = frozenset()
    """Targets that hold text of a cut call of this run: what follows may begin with the lines that
    the model was shown, or wrote last."""
    notes: dict[str, str] = field(default_factory=dict)
    """What tools keep between the calls of one run, the same for all of them. Keys begin with the
    name of the tool or module and a slash: `files/seen/a.txt`."""
    unconfined_allowed: bool = False
    """The user has allowed this tool by name to run although nothing confines it."""
    announce: Callable[[JsonObject], None] | None = field(default=None, repr=False, compare=False)
    """Of a journalled run: writes that the effect comes next. See `begin`."""
    cancelled: threading.Event = field(
        default_factory=threading.Event, repr=False, compare=False, kw_only=True
    )
    """Set when this call is to end; `Tool.run` gives each call of a sync function its own."""

    @property
    def is_cancelled(self) -> bool:
        """The run was cancelled or the call's time is up: a sync function should end by itself.

        An async function is cancelled at its next await, and need not ask.
        """
        return self.cancelled.is_set()

    def begin(self, evidence: JsonObject) -> None:
        """Say that the effect of this call comes next; for tools made with `begins_itself=True`.

        In a journalled run it is on the medium when this returns: after a crash the `settled` hook
        gets the evidence and can tell whether the effect took place. Elsewhere it does nothing.

        Args:
            evidence: What tells afterwards, as JSON: a digest, a number, a version.

        Raises:
            JournalError: It could not be written: the effect must not take place.
        """
        if self.announce is not None:
            self.announce(evidence)

    def check_cancelled(self) -> None:
        """Give up where that does no harm; for loops of sync functions.

        Raises:
            CallCancelled: The call is to end.
        """
        if self.is_cancelled:
            raise CallCancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """A tool's answer."""

    content: str
    """What the model reads."""
    is_error: bool = False
    changed: bool = False
    """Something new was written: this is what counts as progress of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutDraft:
    """A call that was cut, for the tool's `on_cut` hook."""

    fields: Mapping[str, JsonValue]
    """The arguments that the model had closed, without the large one."""
    text: str
    """The whole lines of the large one that arrived, exactly as sent; empty for none."""
    ours: bool
    """This run has written the same target before."""
    stored_after: int | None = None
    """Not None: the text is in its place already. A process put it there, after so many lines, and
    died before it could say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """How to go on after a cut call, for guidance: exact, or not told at all."""

    on_disk: str
    """One sentence: what is true now of what the call was to write."""
    next_call: str
    """The arguments of the next call, but for the large one, ready to copy; empty when unknown."""
    new_lines: int = 0
    """Whole lines of the cut text that were stored and were not there before."""
    park_with: Mapping[str, JsonValue] | None = None
    """Not None: the hook stored nothing, and the text is to be parked. The call that takes it up
    needs these arguments instead of its own; `next_call` is made of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A call that a process died in, for the tool's `settled` hook."""

    at: float
    """When it began, in seconds since the epoch."""
    evidence: JsonObject
    """What the call gave to `ToolContext.begin`; empty when it did not."""
    context: ToolContext


class NotDone:
    """Of `NOT_DONE`."""

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        return "NOT_DONE"


NOT_DONE: Final = NotDone()
"""What a `settled` hook gives when a call certainly took no effect: it is made, by the same key."""


def result_of(value: object) -> ToolResult:
    """What a function gave, as text: a `str` as it is, None as "done", anything else as JSON."""
    if not isinstance(value, ToolResult):
        return ToolResult(content=_as_text(value))
    if isinstance(value.content, str):
        return value
    return replace(value, content=_as_text(value.content))


def _as_text(value: object) -> str:
    if value is None:
        return "done"
    if isinstance(value, str):
        return value
    try:
        return to_json(value).decode()
    except ValueError:
        return str(value)
