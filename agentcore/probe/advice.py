"""What to set, after what was found. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentcore.clocks import Clocks
from agentcore.facts import Phase
from agentcore.probe.findings import Findings
from agentcore.probe.limits import LimitFinding, LimitKind
from agentcore.probe.observations import Observation, lines_a_second, longest_survived
from agentcore.probe.shapes import Shape
from agentcore.probe.words import seconds
from agentcore.providers.base import OutputLimit

__all__ = ["Advice", "advise"]


@dataclass(frozen=True, slots=True)
class Advice:
    """What to set in agentcore."""

    setting: str
    """As code, or in words."""
    why: str


def advise(
    findings: Findings,
    seen: Sequence[Observation],
    *,
    clocks: Clocks,
    limit: OutputLimit,
    buffered: bool,
) -> tuple[Advice, ...]:
    """What to set; never empty.

    Args:
        findings: Of these observations.
        seen: The observations.
        clocks: Those of the adapter.
        limit: The cap that an agent without settings sends.
        buffered: An agent without settings expects arguments to be held back.
    """
    if not any(one.has_content for one in seen):
        return (Advice("nothing yet", "no answer came: mend first what the endpoint says"),)
    if not any(one.called for one in seen):
        why = "the model made no call, so that nothing is known of calls; another model may"
        return (Advice("nothing yet", why),)
    advice = [
        *(one for found in findings.limits for one in _on_limit(found, findings, seen, clocks)),
        *_on_caps(findings, limit),
        *_on_silence(seen, clocks, limit, buffered),
    ]
    if advice:
        return tuple(advice)
    if findings.undecided is not None:
        return (Advice("nothing yet", "answers were cut, and it is not known why"),)
    if seen and all(one.is_at_own_cap for one in seen if one.is_answer):
        told = "every answer ended at the probe's own cap: ask for more lines (--sizes)"
        return (Advice("nothing is known yet", told),)
    return (Advice("nothing has to be set", "nothing was seen that the defaults do not cover"),)


def _on_limit(
    found: LimitFinding, findings: Findings, seen: Sequence[Observation], clocks: Clocks
) -> Iterator[Advice]:
    amount = f"{seconds(found.amount)} s"
    streams = any(one.switched and one.shape is Shape.STREAMED for one in findings.arguments)
    if found.kind in (LimitKind.IDLE, LimitKind.CONTENT_IDLE) and streams:
        why = f"without it arguments are silent, and cut after {amount}"
        yield Advice("tool streaming stays on, as the adapter has it", why)
        return
    if found.kind is LimitKind.SIZE:
        lines = min((one.lines_received for one in seen if one.is_cut), default=0) // 2
        why = "so that a section stays below the size limit"
    else:
        lines = int(lines_a_second(seen) * found.amount / 2)
        why = f"written in half of the {amount}"
    if lines:
        yield Advice(
            f"ask for sections of at most {lines:,} lines a call, in the prompt",
            f"{why}; what is cut is kept all the same, this saves the cut attempts",
        )
    if found.kind is LimitKind.IDLE and found.amount <= clocks.transport:
        below = found.amount * 0.95
        shown = math.floor(below + 1e-9) if below >= 10 else round(below, 2)
        why = "just below the idle limit: the loop then knows first that the stream is dead"
        yield Advice(f"Clocks(transport={shown})", why)


def _on_caps(findings: Findings, limit: OutputLimit) -> Iterator[Advice]:
    takes_less = any(not cap.is_default for cap in findings.caps)
    for cap in findings.caps:
        if cap.tokens is None:
            continue
        if not cap.is_default and (limit.tokens is None or limit.tokens > cap.tokens):
            yield Advice(f"max_output_tokens={cap.tokens}", "the endpoint takes no larger one")
        elif cap.is_default and limit.tokens is None and not takes_less:
            ends = f"answers end at {cap.tokens:,} tokens"
            why = f"no cap is sent for this model, and {ends}; set what the model can"
            yield Advice("max_output_tokens=...", why)


def _on_silence(
    seen: Sequence[Observation], clocks: Clocks, limit: OutputLimit, buffered: bool
) -> Iterator[Advice]:
    """Where healthy answers were silent for nearly as long as the clocks allow."""
    usual = [one for one in seen if one.ask.switch]
    silence = longest_survived(usual, content=False)
    if silence > 0.8 * clocks.transport:
        why = f"{seconds(silence)} s without a byte were survived"
        yield Advice(f"Clocks(transport={math.ceil(silence * 1.5)})", why)
    name = "buffered_tool_arguments" if buffered else "tool_arguments"
    allowed = clocks.content_limit(
        Phase.TOOL_ARGUMENTS, buffered=buffered, output_limit=limit.tokens
    )
    silence = longest_survived(usual, content=True)
    if silence > 0.8 * allowed:
        why = f"{seconds(silence)} s without content were healthy"
        yield Advice(f"Clocks({name}={math.ceil(silence * 2)})", why)
