"""Which request comes next. Pure."""

import math
from collections.abc import Sequence
from dataclasses import replace

from agentcore.kinds import ErrorKind
from agentcore.probe.limits import cuts_of, find_limits
from agentcore.probe.observations import Ending, Observation, lines_a_second
from agentcore.probe.requests import MOST_TEXT_LINES, Ask
from agentcore.probe.shapes import Shape, shape_of

__all__ = ["next_ask"]


def next_ask(
    seen: Sequence[Observation], *, sizes: Sequence[int], has_switch: bool, has_echo: bool
) -> Ask | None:
    """The request that tells most for its price; None when the questions are answered.

    Args:
        seen: All requests so far, in order.
        sizes: Lines of the calls, ascending.
        has_switch: There is a switch that streams arguments, to be compared with its absence.
        has_echo: The endpoint can show what it sends on.
    """
    if not seen:
        capped = not has_echo and _is_capped(seen, sizes, sizes[0], switch=True)
        return Ask(lines=sizes[0], capped=capped, echo=has_echo)
    last = seen[-1]
    if last.correction is not None:
        return replace(last.ask, corrections=last.correction)
    if last.ending is Ending.REFUSED and last.ask.echo and last.kind is ErrorKind.INVALID_REQUEST:
        return replace(last.ask, echo=False, capped=True)
    if _is_hopeless(seen):
        return None
    if last.is_failure:
        return last.ask
    refused = any(one.ask.switch and one.is_answer and not one.switched for one in seen)
    for switch in (True, False) if has_switch and not refused else (True,):
        ask = _next_of_series(seen, sizes, switch)
        if ask is not None:
            return replace(ask, echo=last.ask.echo, corrections=last.ask.corrections)
    ask = _telling_ask(seen)
    return ask and replace(ask, corrections=last.ask.corrections)


def _is_hopeless(seen: Sequence[Observation]) -> bool:
    """Another request would not tell more, or only cost more."""
    last = seen[-1]
    if last.ending is Ending.STOPPED:
        return True
    if last.ending is Ending.UNREACHED and not any(one.is_answer for one in seen):
        return True  # nobody lives there
    if last.is_failure:
        passes = last.kind is not None and last.kind.is_transient
        failed = [one for one in seen if one.is_failure and one.correction is None]
        return not passes or last.kind is ErrorKind.RATE_LIMIT or len(failed) > 1
    answers = [one for one in seen if one.ending is Ending.FINISHED]
    return len(answers) > 1 and not any(one.called for one in answers)


def _next_of_series(seen: Sequence[Observation], sizes: Sequence[int], switch: bool) -> Ask | None:
    """Growing calls until they are cut: then once more, since one cut tells nothing."""
    mine = [one for one in seen if one.ask.switch is switch and not one.ask.text_lines]
    for size in sizes:
        of_size = [one for one in mine if one.ask.lines == size and not one.is_failure]
        if not of_size:
            capped = _is_capped(seen, sizes, size, switch=switch)
            return Ask(lines=size, switch=switch, capped=capped)
        last = of_size[-1]
        if len(of_size) == 1 and last.is_cut:
            return Ask(lines=size, switch=switch)
        if last.is_at_own_cap:
            continue  # a larger call has a larger cap
        if all(one.is_cut for one in of_size) or last.is_capped or last.ending is Ending.LIMIT:
            return None
        shaped = shape_of(last)
        if not switch and shaped is not None and shaped.shape is Shape.STREAMED:
            return None
    return None


def _is_capped(
    seen: Sequence[Observation], sizes: Sequence[int], size: int, *, switch: bool
) -> bool:
    """One request goes without a cap, the largest: an answer that ends at the default shows it."""
    known = any(one.cap is None and one.echoed_cap is not None for one in seen)
    return known or not switch or size != sizes[-1]


def _telling_ask(seen: Sequence[Observation]) -> Ask | None:
    """A call after some text: a limit on silence then cuts later, a limit on life does not."""
    _, undecided = find_limits(seen)
    told = undecided is not None and len(undecided.candidates) > 1
    if not told or any(one.ask.text_lines for one in seen):
        return None
    last = cuts_of(seen)[-1]
    rate = lines_a_second(seen)
    lines = math.ceil(rate * 0.4 * last.ended_at) if rate else last.ask.lines
    most = min(MOST_TEXT_LINES, max(one.ask.lines for one in seen))
    return Ask(lines=last.ask.lines, text_lines=max(10, min(lines, most)), switch=last.ask.switch)
