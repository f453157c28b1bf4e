"""Two clocks on a stream: is the connection alive, and is the answer getting on?

*Transport silence* is no byte at all; comments and pings count as life. *Content silence* is no
event that bears content; comments do not count, and the limit depends on the phase. A healthy
eight-minute write must never be killed; a stream that only pings must be, in the end.
"""

from dataclasses import dataclass, replace

from agentcore.errors import ConfigurationError
from agentcore.facts import Phase
from agentcore.kinds import CutCause

__all__ = ["Clocks", "Silence"]

_SLOWEST_TOKENS_PER_SECOND = 50


_LIMIT_OF_PHASE = {
    Phase.CONNECT: "first_event",
    Phase.FIRST_EVENT: "first_event",
    Phase.REASONING: "reasoning",
    Phase.TEXT: "text",
    Phase.TOOL_ARGUMENTS: "tool_arguments",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Limits in seconds, each above 0. None on a field that allows it means the default rule."""

    connect: float = 15.0
    """To open a connection, TLS included."""
    transport: float = 120.0
    """Without any byte. A gateway was seen to cut at about 125 s; better to know it first."""
    first_byte: float | None = None
    """Without any byte before the response begins; None means `transport`. Local servers that load
    a model need 600."""
    first_event: float = 300.0
    """Without content before the first of it."""
    reasoning: float = 300.0
    """Without content while the model reasons."""
    text: float = 90.0
    """Without content while text is written."""
    tool_arguments: float = 90.0
    """Without content while arguments are written, when they stream."""
    buffered_tool_arguments: float | None = None
    """The same when the endpoint buffers them; None means the larger of 300 and the cap in tokens ÷
    50. 167 s of pings was seen on a healthy call (docs/design.md)."""
    plain: float = 600.0
    """For the whole of a plain, non-streaming answer."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(
                    f"Clocks({name}={value!r}): a limit in seconds must be above 0"
                )

    def for_plain_answer(self) -> "Clocks":
        """The clocks of a plain answer, which is silent until it is whole."""
        return replace(self, transport=self.plain, first_byte=self.plain, first_event=self.plain)

    def content_limit(self, phase: Phase, *, buffered: bool, output_limit: int | None) -> float:
        """How long content may fail to come in this phase.

        Args:
            phase: How far the answer is.
            buffered: The endpoint holds tool arguments back until they are whole.
            output_limit: The cap that was sent, in tokens; bounds how long a buffered write takes.
        """
        limit: float = getattr(self, _LIMIT_OF_PHASE[phase])
        # Where arguments are buffered, text or reasoning may be followed by the silence of a call
        # that has not been announced yet: from the first content on, one limit holds.
        if buffered and phase not in (Phase.CONNECT, Phase.FIRST_EVENT):
            return max(limit, self._buffered_limit(output_limit))
        return limit

    def _buffered_limit(self, output_limit: int | None) -> float:
        if self.buffered_tool_arguments is not None:
            return self.buffered_tool_arguments
        return max(300.0, (output_limit or 0) / _SLOWEST_TOKENS_PER_SECOND)


class Silence:
    """How long a stream has been silent, on both clocks. Time is an argument: it never looks."""

    def __init__(
        self, clocks: Clocks, *, now: float, buffered: bool = False, output_limit: int | None = None
    ) -> None:
        self._clocks = clocks
        self._buffered = buffered
        self._output_limit = output_limit
        self._bytes_limit = clocks.first_byte or clocks.transport
        self._bytes_at = now
        self._content_at = now
        self._enter(Phase.CONNECT)

    def opened(self, now: float) -> None:
        """The response has begun."""
        self._bytes_at = now
        self._bytes_limit = self._clocks.transport
        self._enter(Phase.FIRST_EVENT)

    def bytes_came(self, now: float, phase: Phase | None = None) -> None:
        """Something arrived: a comment will do.

        Args:
            now: When.
            phase: Of the content that came with it; None for none.
        """
        self._bytes_at = now
        if phase is not None:
            self._content_at = now
            if phase is not self.phase:
                self._enter(phase)

    def excuse(self, seconds: float) -> None:
        """Time in which nobody was listening to the stream: it counts as silence on no clock."""
        self._bytes_at += seconds
        self._content_at += seconds

    @property
    def deadline(self) -> float:
        """The moment at which the first of the two clocks runs out."""
        bytes_out = self._bytes_at + self._bytes_limit
        content_out = self._content_at + self._content_limit
        return bytes_out if bytes_out < content_out else content_out

    def cause(self) -> CutCause:
        """What a stream that is cut now died of."""
        began = self.phase not in (Phase.CONNECT, Phase.FIRST_EVENT)
        return CutCause.STALLED if began else CutCause.SILENT

    def describe(self) -> str:
        """Which clock runs out at the deadline, for the ledger."""
        bytes_out = self._bytes_at + self._bytes_limit
        if bytes_out <= self._content_at + self._content_limit:
            return f"no byte came for {self._bytes_limit:g} s"
        return f"no content came for {self._content_limit:g} s (phase: {self.phase})"

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._content_limit = self._clocks.content_limit(
            phase, buffered=self._buffered, output_limit=self._output_limit
        )
