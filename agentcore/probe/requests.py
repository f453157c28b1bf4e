"""What an endpoint is asked, and what that costs. Pure."""

import copy
import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

from agentcore.errors import ConfigurationError
from agentcore.families import family_of
from agentcore.messages import ToolSpec, UserMessage
from agentcore.providers.base import ProviderAdapter, Request, Wire
from agentcore.recovery import Adjustments

__all__ = ["MOST_TEXT_LINES", "Ask", "Plan", "Target", "plan_of"]

TOOL = ToolSpec(
    name="write_file",
    description="Write a text file.",
    parameters={
        "type": "object",
        "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
        "required": ["path", "content"],
    },
)
"""What the model is asked to call; nothing is ever written."""

_TOKENS_A_LINE = 20
"""More than a line of the prompt's form takes: 12 to 16, by tokeniser."""
_SPARE_TOKENS = 2_000
"""For reasoning, and for what stands around the lines."""
MOST_TEXT_LINES = 500
_LONGEST_CALL = 100_000
"""Lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request of the experiment."""

    lines: int
    """Of the file that the model is asked to write in one call."""
    text_lines: int = 0
    """Of plain text that it is asked for before the call."""
    switch: bool = True
    """With the adapter's switch that streams arguments, if it has one."""
    capped: bool = True
    """With an output cap that fits the lines."""
    echo: bool = False
    """The endpoint is asked to show what it sends on."""
    corrections: Adjustments = field(default_factory=Adjustments)
    """What the endpoint's refusals so far demand."""

    @property
    def tokens(self) -> int:
        """A cap that an answer to this fits in."""
        return (self.lines + self.text_lines) * _TOKENS_A_LINE + _SPARE_TOKENS

    @property
    def prompt(self) -> str:
        """What the model is asked."""
        before = (
            f"First write {self.text_lines} lines of plain text, of the form "
            '"<number>. A remark before the call." Then '
            if self.text_lines
            else ""
        )
        return (
            f'{before}call write_file once, with the path "probe.txt" and a content of exactly '
            f'{self.lines} lines, of the form "<number>. Step <number> of the plan is checked and '
            f'done.", numbered from 1 to {self.lines}. Leave out none, abbreviate nothing, say '
            "nothing else."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The endpoint that is probed, and how far."""

    adapter: ProviderAdapter
    model: str
    """The id as the endpoint knows it."""
    key: str = field(default="", repr=False)
    """The credential; empty for none."""
    sizes: tuple[int, ...] = (50, 400, 1_500)
    """Lines of the calls that are asked for, ascending."""
    max_seconds: float = 600.0
    """For each request, above 0; then the probe hangs up."""

    def __post_init__(self) -> None:
        sizes = self.sizes
        if not sizes or any(not 1 <= size <= _LONGEST_CALL for size in sizes):
            raise ConfigurationError(
                f"sizes {sizes!r}: give numbers of lines from 1 to {_LONGEST_CALL}, as 50,400,1500"
            )
        if any(smaller >= larger for smaller, larger in pairwise(sizes)):
            raise ConfigurationError(f"sizes {sizes!r}: each must be larger than the one before")
        if not 0 < self.max_seconds < math.inf:
            raise ConfigurationError(
                f"max_seconds {self.max_seconds!r}: give a number of seconds above 0"
            )

    @property
    def has_switch(self) -> bool:
        """The adapter has a switch that makes tool arguments stream."""
        return bool(self.adapter.tool_streaming(family_of(self.model)).names)

    @property
    def has_echo(self) -> bool:
        """The endpoint can show what it sends on."""
        return bool(self.adapter.echo_fields)

    def wire(self, ask: Ask) -> Wire:
        """A request of the experiment as it goes out."""
        adapter = copy.copy(self.adapter)
        if ask.echo:
            adapter.extra_body = {**adapter.echo_fields, **adapter.extra_body}
        request = Request(
            model=self.model,
            # The family's cap would hide the endpoint's own.
            family=replace(family_of(self.model), max_output_tokens=None),
            messages=(UserMessage(content=ask.prompt),),
            tools=(TOOL,),
            max_output_tokens=ask.tokens if ask.capped else None,
            adjustments=replace(
                ask.corrections,
                tool_streaming=ask.switch and ask.corrections.tool_streaming,
                output_limit=ask.corrections.output_limit if ask.capped else None,
            ),
        )
        return adapter.encode(request)

    def usual_wire(self) -> Wire:
        """The request as an agent without settings of its own would send it."""
        request = Request(
            model=self.model,
            family=family_of(self.model),
            messages=(UserMessage(content=""),),
            tools=(TOOL,),
        )
        return self.adapter.encode(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a probe costs. Requests that are refused are not counted: they cost nothing."""

    requests_at_least: int
    """If nothing is cut and nothing is refused."""
    requests_at_most: int
    input_tokens: int
    """Of each request, about."""
    output_tokens_expected: int
    """If nothing is cut; about."""
    capped_tokens_at_most: int
    """The sum of the caps of all requests that have one."""
    uncapped_requests: int
    """How many may go without a cap."""
    uncapped_tokens_each: int | None
    """The most that one of them may generate: the model's limit; None when it is not known."""

    @property
    def output_tokens_at_most(self) -> int | None:
        """Of all requests; None when one without a cap has no known bound."""
        if self.uncapped_tokens_each is None:
            return None
        return self.capped_tokens_at_most + self.uncapped_requests * self.uncapped_tokens_each


def plan_of(target: Target) -> Plan:
    """What is going to be asked at most."""
    asks = [Ask(lines=size) for size in target.sizes]
    series = 1 + target.has_switch
    last = Ask(lines=target.sizes[-1], text_lines=min(MOST_TEXT_LINES, target.sizes[-1]))
    uncapped = asks[-1:] if len(asks) == 1 or not target.has_echo else [asks[0], asks[-1]]
    each = sum(ask.tokens for ask in asks)
    # Every series may have one of its requests repeated, the largest in the worst case.
    capped = series * (each + asks[-1].tokens) + last.tokens - sum(ask.tokens for ask in uncapped)
    lines = sum(target.sizes) + target.has_switch * target.sizes[0]
    return Plan(
        requests_at_least=len(asks) + target.has_switch,
        requests_at_most=series * (len(asks) + 1) + 1,
        input_tokens=len(target.wire(last).body) // 3,
        output_tokens_expected=lines * 15,
        capped_tokens_at_most=capped,
        uncapped_requests=len(uncapped),
        uncapped_tokens_each=family_of(target.model).max_output_tokens,
    )
