"""Every situation that is told in words: the name of its template, and the template's variables.

One template a situation, one frozen dataclass of variables each. `template` is the file's name
without its suffix, and the first line of the docstring says when it is given. All are data: the
words are in the templates.
"""

from dataclasses import dataclass, fields
from typing import ClassVar, Final, Literal, TypeAlias

from typing_extensions import override

__all__ = [
    "MAX_NOTE_BYTES",
    "SITUATIONS",
    "ArgumentsGuidance",
    "CancelledGuidance",
    "CapGuidance",
    "CutGuidance",
    "DeniedGuidance",
    "FilteredGuidance",
    "Guidance",
    "LeftOutGuidance",
    "MalformedGuidance",
    "RaisedGuidance",
    "RepeatedGuidance",
    "SectionsGuidance",
    "SilenceGuidance",
    "Situation",
    "StandInGuidance",
    "StillRunningGuidance",
    "StoppedText",
    "TextGuidance",
    "TimedOutGuidance",
    "UnknownOutcomeGuidance",
    "UnknownToolGuidance",
    "Value",
    "suggest_lines",
]

MIN_SECTION_LINES = 50
MAX_SECTION_LINES = 400
MAX_BYTES: Final = 2_048
"""Of UTF-8: what a model reads of an error."""
MAX_NOTE_BYTES: Final = 254
"""Of UTF-8: what stands inside, or below, a result that is long itself."""

Value: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is to tell. One subclass a template."""

    template: ClassVar[str]
    """Name of its file, without the suffix."""
    reader: ClassVar[Literal["model", "person"]] = "model"
    max_bytes: ClassVar[int] = MAX_BYTES
    """How long the text may be, with values of ordinary length."""
    may_be_empty: ClassVar[frozenset[str]] = frozenset()
    """Variables that may be empty, 0 or False."""
    tells: ClassVar[tuple[str, ...]] = ()
    """Variables whose values the text must hold as they are, where they are not empty."""
    offers: ClassVar[frozenset[str]] = frozenset()
    """Variables that name a tool only when it is on offer."""

    @classmethod
    def levels(cls) -> tuple[int, ...]:
        """The values of `level` that change the text, upwards; none where it does not escalate."""
        return ()

    def values(self) -> dict[str, Value]:
        """The variables by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def essentials(self) -> dict[str, str]:
        """The values that the text must hold as they are, by name."""
        values = self.values()
        return {name: str(values[name]) for name in self.tells if values[name]}


# --- a call that was cut --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CutGuidance(Situation):
    """A call was cut. It is not run; what arrived of its text is kept where it can be."""

    max_in_a_row: ClassVar[int] = 3
    """How often it is given while nothing of a text gets through; the next cut stops the run."""
    may_be_empty: ClassVar[frozenset[str]] = frozenset(
        (
            "target",
            "on_disk",
            "next_call",
            "draft_id",
            "received_lines",
            "kept_lines",
            "output_limit",
            "code_tool",
        )
    )
    tells: ClassVar[tuple[str, ...]] = ("tool", "on_disk", "next_call", "section_lines")
    offers: ClassVar[frozenset[str]] = frozenset({"code_tool"})
    tool: str
    """Name of the tool whose call was cut."""
    target: str
    """What it was about to write, quoted; empty when its name had not come yet."""
    reason: str
    """What happened, in a few words that complete "Your call was cut: …"."""
    on_disk: str
    """What is true of the target now, one sentence; empty when it cannot be told."""
    level: int
    """How often this cut has brought nothing in a row, from 1. The text escalates with it; above
    `max_in_a_row` it says that the run ends."""
    next_call: str
    """The arguments of the next call, ready to copy, but for the text; empty when unknown."""
    draft_id: str
    """The parked draft that holds the kept lines; empty when they stand in the target, or nowhere.
    The next call then names it as `resume`."""
    section_lines: int
    """How many lines the next call may hold."""
    received_lines: int
    """About how many lines of the cut call had arrived."""
    kept_lines: int
    """How many of them are stored and were not there before."""
    output_limit: int
    """The cap in tokens that the request carried; 0 for none."""
    code_tool: str
    """Name of a tool that runs programs, when one is on offer; else empty."""

    @classmethod
    @override
    def levels(cls) -> tuple[int, ...]:
        """From the first cut to the one that ends the run."""
        return tuple(range(1, cls.max_in_a_row + 2))

    @override
    def essentials(self) -> dict[str, str]:
        """At the cut that ends the run there is no next call."""
        told = Situation.essentials(self)
        is_last = self.level > self.max_in_a_row
        if is_last or not self.next_call:
            told.pop("next_call", None)
            told.pop("section_lines", None)
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionsGuidance(CutGuidance):
    """A part of the arguments had arrived: write in sections."""

    template: ClassVar[str] = "sections"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapGuidance(CutGuidance):
    """The output cap was reached: write in sections below it."""

    template: ClassVar[str] = "cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceGuidance(CutGuidance):
    """No argument had arrived: the silence is what was cut, so think less and plan first."""

    template: ClassVar[str] = "silence"
    tells: ClassVar[tuple[str, ...]] = ("tool", "on_disk")
    max_in_a_row: ClassVar[int] = 2
    # There is no smaller step to propose, and each round is paid in full.


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedGuidance(CutGuidance):
    """The arguments arrived whole and are no JSON object."""

    template: ClassVar[str] = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredGuidance(CutGuidance):
    """A content filter ended the answer: other words, for smaller sections do not help."""

    template: ClassVar[str] = "filtered"
    tells: ClassVar[tuple[str, ...]] = ("tool", "on_disk", "next_call")
    max_in_a_row: ClassVar[int] = 2
    # Other words, then less of the matter; the same filter judges every further try.


Guidance: TypeAlias = (
    SectionsGuidance | CapGuidance | SilenceGuidance | MalformedGuidance | FilteredGuidance
)
"""What answers a call that was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextGuidance(Situation):
    """A text answer was cut: go on after what is kept. The model reads it as a user message."""

    template: ClassVar[str] = "text"
    tells: ClassVar[tuple[str, ...]] = ("last_line",)
    may_be_empty: ClassVar[frozenset[str]] = frozenset({"last_line"})
    reason: str
    """What happened, in a few words that complete "Your answer was cut: …"."""
    kept_bytes: int
    """UTF-8 bytes of the answer that are kept."""
    last_line: str
    """The end of what is kept."""
    level: int
    """1 after a cut that brought something new; then how often in a row none did, plus 1. Above 3
    it says that the run ends."""

    @classmethod
    @override
    def levels(cls) -> tuple[int, ...]:
        """From a cut that brought something new to the one that ends the run."""
        return (1, 2, 3, 4)


# --- a call that is not run -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentsGuidance(Situation):
    """The arguments of a call do not fit; it was not run."""

    template: ClassVar[str] = "arguments"
    tells: ClassVar[tuple[str, ...]] = ("problems",)
    tool: str
    """Name of the tool that was called."""
    problems: str
    """What does not fit: the field, what was expected, what came. Whole sentences or lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownToolGuidance(Situation):
    """A tool was called that is not on offer."""

    template: ClassVar[str] = "unknown-tool"
    may_be_empty: ClassVar[frozenset[str]] = frozenset({"near", "known", "more"})
    tells: ClassVar[tuple[str, ...]] = ("called", "known")
    called: str
    """The name that the model called, quoted, at most 64 characters of it."""
    near: str
    """The tool on offer that it may have meant; empty when none is like it."""
    known: str
    """Names of the tools on offer, with commas; empty when there are none."""
    more: int
    """How many more are on offer than `known` names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInGuidance(Situation):
    """The text of a call holds a line that the history put in a text's place."""

    template: ClassVar[str] = "stand-in"
    tells: ClassVar[tuple[str, ...]] = ("argument",)
    tool: str
    """Name of the tool that was called."""
    argument: str
    """Name of its large argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedGuidance(Situation):
    """The same call failed before: a hint below its error, then a refusal, then the end."""

    template: ClassVar[str] = "repeated"
    max_bytes: ClassVar[int] = MAX_NOTE_BYTES
    tool: str
    """Name of the tool that was called."""
    level: int
    """Which failure in the same form this is. 2: the call ran, and the text stands below its error.
    3: it was not run. 4: nor was it now, and the run ends."""

    @classmethod
    @override
    def levels(cls) -> tuple[int, ...]:
        """The hint, the refusal, the end of the run."""
        return (2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedGuidance(Situation):
    """The person, or a rule of theirs, did not allow a call; it was not run."""

    template: ClassVar[str] = "denied"
    may_be_empty: ClassVar[frozenset[str]] = frozenset({"reason"})
    tells: ClassVar[tuple[str, ...]] = ("tool", "reason")
    tool: str
    """Name of the tool that was called."""
    reason: str
    """Why, in the person's words, without a full stop; empty when they gave none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StillRunningGuidance(Situation):
    """A call was not run: one that was given up earlier still runs, and holds what it needs."""

    template: ClassVar[str] = "still-running"
    may_be_empty: ClassVar[frozenset[str]] = frozenset({"target"})
    tells: ClassVar[tuple[str, ...]] = ("tool", "holder", "target")
    tool: str
    """Name of the tool that was called now."""
    holder: str
    """Name of the tool whose earlier call still runs."""
    target: str
    """What both touch, quoted; empty when the earlier call may touch anything."""


# --- a call that ran ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedGuidance(Situation):
    """A tool raised an exception."""

    template: ClassVar[str] = "raised"
    tells: ClassVar[tuple[str, ...]] = ("tool",)
    # Not the exception: a template may hide it, for it may tell more than a model should know.
    tool: str
    """Name of the tool."""
    error: str
    """Name of the exception's class."""
    message: str
    """Its text, as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOutGuidance(Situation):
    """A tool took longer than it may, and was given up."""

    template: ClassVar[str] = "timed-out"
    may_be_empty: ClassVar[frozenset[str]] = frozenset({"still_running"})
    tells: ClassVar[tuple[str, ...]] = ("tool",)
    tool: str
    """Name of the tool."""
    seconds: float
    """After how many it was given up."""
    still_running: bool
    """It cannot be stopped (a sync function in its thread), and may still take effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledGuidance(Situation):
    """A call was cancelled: with the run, so that it has a result all the same, or by itself."""

    template: ClassVar[str] = "cancelled"
    may_be_empty: ClassVar[frozenset[str]] = frozenset({"began", "by_itself"})
    tells: ClassVar[tuple[str, ...]] = ("tool",)
    tool: str
    """Name of the tool."""
    began: bool
    """Its function was called."""
    by_itself: bool
    """The run goes on: the function raised the cancellation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOutcomeGuidance(Situation):
    """The process that made a call died in it: nobody knows whether the call took effect."""

    template: ClassVar[str] = "unknown-outcome"
    tells: ClassVar[tuple[str, ...]] = ("tool", "target")
    may_be_empty: ClassVar[frozenset[str]] = frozenset({"target"})
    tool: str
    """Name of the tool."""
    target: str
    """What it was about to write, quoted; empty where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutGuidance(Situation):
    """The middle of a long result was left out: the note that stands there, one line."""

    template: ClassVar[str] = "left-out"
    max_bytes: ClassVar[int] = MAX_NOTE_BYTES
    may_be_empty: ClassVar[frozenset[str]] = frozenset({"path", "read_tool", "is_whole"})
    tells: ClassVar[tuple[str, ...]] = ("left_out_bytes", "path")
    offers: ClassVar[frozenset[str]] = frozenset({"read_tool"})
    left_out_bytes: int
    """UTF-8 bytes that are not shown."""
    lines: int
    """Of what is in the file."""
    is_whole: bool
    """The file holds all of the result, not only its beginning."""
    next_line: int
    """The line, from 1, that the left out part begins in."""
    path: str
    """The file that holds the result, relative to the workspace; empty for nowhere."""
    read_tool: str
    """Name of a tool that reads it from a line on, when one is on offer; else empty."""


# --- the end of a run -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedText(Situation):
    """A run stops before the model was done."""

    template: ClassVar[str] = "stopped"
    reader: ClassVar[Literal["model", "person"]] = "person"
    may_be_empty: ClassVar[frozenset[str]] = frozenset(
        ("kind", "message", "tool", "on_disk", "received")
    )
    tells: ClassVar[tuple[str, ...]] = ("reason", "on_disk", "advice")
    provider: str
    """Name of the adapter that was asked last."""
    base_url: str
    """Its address."""
    model: str
    """The id of the model that was asked last."""
    kind: str
    """Why the last attempt failed; empty when a limit of the run was reached."""
    reason: str
    """Why nothing more is tried."""
    message: str
    """What the endpoint or the HTTP stack said; empty for nothing."""
    rule: str
    """The row that gave the kind."""
    attempts: int
    """Requests of the whole run."""
    tool: str
    """The tool whose call was being made; empty outside a call."""
    on_disk: str
    """What is true of the texts that were cut; empty when none was."""
    received: str
    """What had arrived of the answer that was cut, in words; empty for nothing."""
    advice: str
    """What to change, one or two sentences."""


SITUATIONS: Final[tuple[type[Situation], ...]] = (
    SectionsGuidance,
    CapGuidance,
    SilenceGuidance,
    MalformedGuidance,
    FilteredGuidance,
    TextGuidance,
    ArgumentsGuidance,
    UnknownToolGuidance,
    StandInGuidance,
    RepeatedGuidance,
    DeniedGuidance,
    StillRunningGuidance,
    RaisedGuidance,
    TimedOutGuidance,
    CancelledGuidance,
    UnknownOutcomeGuidance,
    LeftOutGuidance,
    StoppedText,
)
"""All of them, in the order in which a list shows them."""


def suggest_lines(smallest_cut: int) -> int:
    """Lines for the next section: half of the smallest amount that failed, from 50 to 400."""
    return max(MIN_SECTION_LINES, min(MAX_SECTION_LINES, smallest_cut // 2))
