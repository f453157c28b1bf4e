"""What is seen of a request: when which block came, how it ended, and its silences. Pure data."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agentcore.kinds import CutCause, ErrorKind
from agentcore.messages import Usage
from agentcore.probe.requests import Ask
from agentcore.recovery import Adjustments

__all__ = [
    "JITTER_SECONDS",
    "Arrival",
    "Ending",
    "Gap",
    "Observation",
    "Sign",
    "at_silent_cap",
    "gaps_of",
    "lines_a_second",
    "longest_survived",
]

JITTER_SECONDS = 0.05
"""Times that differ by less may be the same."""

_LOST = (ErrorKind.CONNECTION, ErrorKind.TIMEOUT)
_BROKEN = (*_LOST, ErrorKind.SERVER_ERROR, ErrorKind.UNKNOWN, ErrorKind.TRUNCATED)


class Sign(StrEnum):
    """What a block from the network carried."""

    ARGUMENTS = "arguments"
    TEXT = "text"
    REASONING = "reasoning"
    COMMENT = "comment"
    """A comment line of the stream: a ping."""
    EVENT = "event"
    """An event that bears no content."""
    PART = "part"
    """Nothing whole yet: a part of an event, or of a body that is no stream."""

    @property
    def is_content(self) -> bool:
        """It brings the answer on."""
        return self in (Sign.ARGUMENTS, Sign.TEXT, Sign.REASONING)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One block from the network; a block with two sorts of content counts twice."""

    at: float
    sign: Sign
    size_bytes: int = 0
    """Of content. Arguments of 0 bytes: a call was opened."""


class Ending(StrEnum):
    """How a request ended."""

    FINISHED = "finished"
    """A terminal signal came."""
    RESET = "connection lost"
    """The transport failed in the middle of the body."""
    ENDED = "ended early"
    """The body ended without a terminal signal."""
    ERROR = "error in the stream"
    REFUSED = "refused"
    """A status that is an error."""
    UNREACHED = "no response"
    """The transport failed before a response began."""
    LIMIT = "our limit"
    """The probe hung up: its time was over, or more came than was asked for."""
    STOPPED = "stopped"
    """The probe itself was stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One request, and what came of it."""

    ask: Ask
    switched: bool = False
    """A switch that streams arguments was in it."""
    cap: int | None = None
    """Tokens: the cap that was sent; None for none."""
    opened_at: float | None = None
    """When the response's head arrived; None when it never did."""
    arrivals: tuple[Arrival, ...] = ()
    """In the order of time."""
    ended_at: float
    ending: Ending
    cause: CutCause | None = None
    """Why the answer is not whole; None when it is, or when none began."""
    received_bytes: int = 0
    """Of the body, comments and framing included."""
    is_stream: bool = True
    """False: the body was one piece of JSON or text."""
    called: bool = False
    """The model made a call."""
    arguments_closed: bool = False
    """The arguments of its last call are a JSON object that the model closed."""
    lines_received: int = 0
    """Of the arguments' text."""
    finish_reason: str = ""
    usage: Usage | None = None
    """As the endpoint reports it."""
    echoed: bool = False
    """The endpoint showed what it sends on."""
    echoed_cap: int | None = None
    """Tokens: the cap in what it sends on."""
    kind: ErrorKind | None = None
    """What the failure is called; None when there was none."""
    rule: str = ""
    said: str = ""
    """The endpoint's words, or those of the HTTP stack, without credentials."""
    accepted_cap: int | None = None
    """Tokens: the largest cap that the endpoint says it takes."""
    correction: Adjustments | None = None
    """How the refused request can be mended."""

    @property
    def is_answer(self) -> bool:
        """A response came that was no refusal."""
        return self.opened_at is not None

    @property
    def has_content(self) -> bool:
        """Something of an answer came."""
        return any(arrival.sign.is_content for arrival in self.arrivals)

    @property
    def tokens(self) -> int | None:
        """Output tokens; None when the endpoint reported none."""
        return self.usage.output_tokens or None if self.usage is not None else None

    @property
    def is_cut(self) -> bool:
        """Somebody on the way ended the answer: what a limit of time or size looks like."""
        match self.ending:
            case Ending.RESET | Ending.ENDED:
                return True
            case Ending.ERROR:
                return self.kind in (_BROKEN if self.has_content else _LOST)
            case Ending.UNREACHED:
                return self.kind in _LOST
            case Ending.REFUSED:
                return self.kind is ErrorKind.TIMEOUT
            case Ending.FINISHED:
                return self.cause is CutCause.ENDED  # a finish reason that lies
            case Ending.LIMIT | Ending.STOPPED:
                return False

    @property
    def is_capped(self) -> bool:
        """It ended at an output cap; one that is whole all the same went over it."""
        return self.cause is CutCause.CAPPED and not self.arguments_closed

    @property
    def is_at_own_cap(self) -> bool:
        """The answer is as long as the cap that the probe sent: it says nothing of the endpoint."""
        is_ours = self.ask.corrections.output_limit is None and self.cap is not None
        return self.is_capped and is_ours and (self.tokens or 0) >= (self.cap or 0)

    @property
    def is_failure(self) -> bool:
        """It failed, and not as a limit of time or size makes it fail."""
        failed = self.ending in (Ending.ERROR, Ending.REFUSED, Ending.UNREACHED)
        return failed and not self.is_cut


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nothing of a sort came."""

    start: float
    seconds: float
    ended_by: str
    """A sign (`arguments`, `comment`, …), or how the request ended (`connection lost`, …)."""
    comments: int = 0
    """How many came in it; of silence without content only."""
    events: int = 0
    """Empty ones, alike."""
    is_last: bool = False
    """The request ended it."""

    @property
    def is_bridged(self) -> bool:
        """Signs of life came in it; most streams open with an empty event or two."""
        return self.comments > 0 or self.events > 2


def gaps_of(seen: Observation, *, content: bool = False) -> list[Gap]:
    """The silences of a request, in order; the wait for the response's head is none of them.

    Args:
        seen: The request.
        content: Silences without content, through which comments and empty events may have come;
            else silences without any byte.
    """
    start = seen.opened_at or 0.0
    comments = events = 0
    gaps: list[Gap] = []
    for arrival in _arrivals_before_the_end(seen):
        if content and not arrival.sign.is_content:
            comments += arrival.sign is Sign.COMMENT
            events += arrival.sign is Sign.EVENT
            continue
        gaps.append(Gap(start, arrival.at - start, arrival.sign, comments, events))
        start, comments, events = arrival.at, 0, 0
    last = Gap(start, seen.ended_at - start, seen.ending, comments, events, is_last=True)
    return [*gaps, last]


def _arrivals_before_the_end(seen: Observation) -> Sequence[Arrival]:
    """Without the event that ends an answer: who cuts one may say so, and ends no silence by it."""
    count = len(seen.arrivals)
    while count and (seen.is_cut or seen.is_failure):
        last = seen.arrivals[count - 1]
        if last.sign not in (Sign.EVENT, Sign.PART) or seen.ended_at - last.at > JITTER_SECONDS:
            break
        count -= 1
    return seen.arrivals[:count]


def longest_survived(seen: Sequence[Observation], *, content: bool) -> float:
    """The longest silence (see `gaps_of`) that did not end in a cut; 0 when there is none."""
    survived = [
        gap.seconds
        for one in seen
        if one.is_answer
        for gap in gaps_of(one, content=content)
        if not (gap.is_last and (one.is_cut or one.is_failure))
    ]
    return max(survived, default=0.0)


def lines_a_second(seen: Sequence[Observation]) -> float:
    """How fast the model writes; 0 when it is not known."""
    rates = [
        one.lines_received / one.ended_at
        for one in seen
        if one.lines_received >= 10 and one.ended_at > 0 and one.ending is not Ending.STOPPED
    ]
    return max(rates, default=0.0)


def at_silent_cap(one: Observation, seen: Sequence[Observation]) -> bool:
    """An answer without a cap that ended in its arguments, where one with a cap went on."""
    return (
        one.cap is None
        and one.cause is CutCause.ENDED
        and one.ending is Ending.FINISHED
        and any(
            other.cap is not None and other.arguments_closed and other.ask.lines == one.ask.lines
            for other in seen
        )
    )
