"""What the model is told about a cut, and the person about a stop: templates and their variables.

One template a situation, one frozen dataclass of variables each. Values reach the text as they are;
nothing in them is ever evaluated.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from agentcore.kinds import ErrorKind

if TYPE_CHECKING:
    import jinja2

__all__ = [
    "ADVICE",
    "UNREACHABLE",
    "CapGuidance",
    "Guidance",
    "MalformedGuidance",
    "SectionsGuidance",
    "SilenceGuidance",
    "StoppedText",
    "TextGuidance",
    "render",
    "suggest_lines",
]

MIN_SECTION_LINES = 50
MAX_SECTION_LINES = 400
TEMPLATE_SUFFIX = ".md.jinja"


@dataclass(frozen=True, slots=True, kw_only=True)
class _CutGuidance:
    template: ClassVar[str]
    """Name of its file, without the suffix."""
    max_in_a_row: ClassVar[int] = 3
    """How often it is given while nothing of a text gets through; the next cut stops the run."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionsGuidance(_CutGuidance):
    """A part of the arguments had arrived: write in sections."""

    template: ClassVar[str] = "sections"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapGuidance(_CutGuidance):
    """The output cap was reached: write in sections below it."""

    template: ClassVar[str] = "cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceGuidance(_CutGuidance):
    """No argument had arrived: the silence is what was cut, so think less and plan first."""

    template: ClassVar[str] = "silence"
    max_in_a_row: ClassVar[int] = 2
    # There is no smaller step to propose, and each round is paid in full.


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedGuidance(_CutGuidance):
    """The arguments arrived whole and are no JSON object."""

    template: ClassVar[str] = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextGuidance:
    """A text answer was cut: go on after what is kept."""

    template: ClassVar[str] = "text"
    reason: str
    kept_bytes: int
    last_line: str
    """The end of what is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedText:
    """For the person, when a run stops."""

    template: ClassVar[str] = "stopped"
    provider: str
    base_url: str
    model: str
    kind: str
    reason: str
    """Why nothing more is tried."""
    message: str
    """What the endpoint or the HTTP stack said; empty for nothing."""
    rule: str
    attempts: int
    """Requests of the whole run."""
    tool: str
    """The tool whose call was being made; empty outside a call."""
    on_disk: str
    received: str
    """What had arrived of the answer that was cut, in words; empty for nothing."""
    advice: str
    """What to change, one or two sentences."""


Guidance: TypeAlias = SectionsGuidance | CapGuidance | SilenceGuidance | MalformedGuidance


def render(variables: Guidance | StoppedText | TextGuidance) -> str:
    """The text of a situation."""
    template = _environment().get_template(variables.template + TEMPLATE_SUFFIX)
    values = {field.name: getattr(variables, field.name) for field in fields(variables)}
    return template.render(values).strip()


def suggest_lines(smallest_cut: int) -> int:
    """Lines for the next section: half of the smallest amount that failed, from 50 to 400."""
    return max(MIN_SECTION_LINES, min(MAX_SECTION_LINES, smallest_cut // 2))


ADVICE: Final[dict[ErrorKind | None, str]] = {
    None: "look at the conversation in RunError.messages: what was tried again and again says what "
    "to change; raise the limit if it was progress.",
    ErrorKind.CONNECTION: "choose an endpoint that streams tool arguments or keeps its connections "
    "longer, or ask for smaller sections; then go on with RunError.messages.",
    ErrorKind.TIMEOUT: "choose an endpoint that streams tool arguments, raise the clock that ran "
    "out (Clocks), or ask for less reasoning; then go on with RunError.messages.",
    ErrorKind.TRUNCATED: "raise max_output_tokens if the model allows it, or ask for smaller "
    "sections; then go on with RunError.messages.",
    ErrorKind.OVERLOADED: "wait, or choose another model or provider.",
    ErrorKind.SERVER_ERROR: "try again later, or choose another provider.",
    ErrorKind.RATE_LIMIT: "wait, lower the rate, or use a key with a higher limit.",
    ErrorKind.QUOTA: "add credit or raise the plan's limit; waiting seconds does not help.",
    ErrorKind.AUTH: "check the key, its permissions and the account's region.",
    ErrorKind.NOT_FOUND: "check the model id and the base URL.",
    ErrorKind.CONTEXT_OVERFLOW: "shorten the conversation (Agent(history=…)) or choose a model "
    "with a larger window.",
    ErrorKind.OUTPUT_LIMIT: "set a smaller max_output_tokens.",
    ErrorKind.CONTENT_POLICY: "change the prompt, or choose another model.",
    ErrorKind.INVALID_REQUEST: "correct what the endpoint names; the same request fails again.",
    ErrorKind.REQUEST_TOO_LARGE: "send less: shorten the conversation or split the task.",
    ErrorKind.CANCELLED: "go on with RunError.messages if the run was not meant to end.",
    ErrorKind.UNKNOWN: "look at the message above; if it passes with time, run again.",
}
"""What a person can do about a stop, by the kind of the last failure."""

UNREACHABLE: Final = (
    "nothing answers at this address: check the base URL, and that the server is running."
)
"""Instead, when no connection could be made at all."""


@cache
def _environment() -> "jinja2.Environment":
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        loader=PackageLoader("agentcore"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
