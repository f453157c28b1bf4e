"""Bad replies from good ones: cut or stalled at an exact place, or framed oddly.

A *place* splits a reply in two; `cut` puts an ending after the first part, `stall` a silence
between the two. Places inside a call's arguments split the event there, so that exactly the text
before the place arrives; places in the body may fall inside an event, which then is lost.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from pydantic import JsonValue

from agentcore.testing.script import Ending, Pause, Reply, Send, Step, event

__all__ = [
    "Place",
    "after_arguments",
    "after_bytes",
    "after_events",
    "after_line",
    "before_finish",
    "before_value",
    "cut",
    "drop_after",
    "drop_when_idle",
    "hold_arguments_back",
    "in_packets",
    "inside_escape",
    "inside_event",
    "inside_key",
    "inside_surrogates",
    "inside_utf8",
    "inside_value",
    "stall",
    "with_bom",
    "with_crlf",
    "without_last_blank_line",
]

Steps: TypeAlias = tuple[Step, ...]
Place: TypeAlias = Callable[[Steps], tuple[Steps, Steps]]
"""Splits steps in two. Raises `ValueError` for steps that have no such place."""


def cut(reply: Reply, *, at: Place, by: Ending) -> Reply:
    """What comes before a place, and then another ending."""
    head, _ = at(reply.steps)
    return replace(reply, steps=(*head, *by))


def stall(
    reply: Reply, *, at: Place, seconds: float, meanwhile: Send | None = None, every: float = 10.0
) -> Reply:
    """Silence at a place, or nothing but signs of life, and then the rest.

    Args:
        reply: A good one.
        at: Where it halts.
        seconds: For how long.
        meanwhile: What is sent in between, as `COMMENT` or `EMPTY_DELTA`; None for nothing.
        every: Seconds between two of those.
    """
    head, tail = at(reply.steps)
    silence: list[Step] = []
    left = seconds
    while meanwhile is not None and left > every:
        silence += (Pause(every), meanwhile)
        left -= every
    return replace(reply, steps=(*head, *silence, Pause(left), *tail))


# --- places in the body ---------------------------------------------------------------------


def after_bytes(count: int) -> Place:
    """After so many bytes of the body, wherever that is."""

    def split(steps: Steps) -> tuple[Steps, Steps]:
        left = count
        for position, step in enumerate(steps):
            if not isinstance(step, Send):
                continue
            if len(step.data) >= left:
                before, after = step.data[:left], step.data[left:]
                if not after:
                    return steps[: position + 1], steps[position + 1 :]
                head = (*steps[:position], Send(before))
                return head, (Send(after, step.arguments), *steps[position + 1 :])
            left -= len(step.data)
        size = sum(len(step.data) for step in steps if isinstance(step, Send))
        raise ValueError(f"after_bytes({count}): the body has {size} bytes")

    return split


def after_events(count: int) -> Place:
    """After so many events, counted from 0: `after_events(0)` is before the first."""

    def split(steps: Steps) -> tuple[Steps, Steps]:
        sends = [position for position, step in enumerate(steps) if isinstance(step, Send)]
        if count > len(sends):
            raise ValueError(f"after_events({count}): the reply has {len(sends)} events")
        end = sends[count - 1] + 1 if count else 0
        return steps[:end], steps[end:]

    return split


def inside_event(number: int) -> Place:
    """In the middle of an event, counted from 1: half a line of JSON."""

    def split(steps: Steps) -> tuple[Steps, Steps]:
        before, rest = after_events(number - 1)(steps)
        first = next((step for step in rest if isinstance(step, Send)), None)
        if first is None:
            raise ValueError(f"inside_event({number}): the reply has {number - 1} events")
        head, tail = after_bytes(len(first.data) // 2)(rest)
        return (*before, *head), tail

    return split


def inside_utf8(number: int = 1) -> Place:
    """After the first byte of a character that takes several, counted from 1.

    Text in arguments has such characters only where it is not escaped: make them with
    `json.dumps(…, ensure_ascii=False)`.
    """

    def split(steps: Steps) -> tuple[Steps, Steps]:
        body = b"".join(step.data for step in steps if isinstance(step, Send))
        leads = [at for at, byte in enumerate(body) if byte >= 0xC0]
        if number > len(leads):
            raise ValueError(f"inside_utf8({number}): {len(leads)} characters need several bytes")
        return after_bytes(leads[number - 1] + 1)(steps)

    return split


def before_finish() -> Place:
    """All of the answer, and no terminal signal."""

    def split(steps: Steps) -> tuple[Steps, Steps]:
        for position, step in enumerate(steps):
            if isinstance(step, Send) and re.search(rb'"finish_reason": ?"', step.data):
                return steps[:position], steps[position:]
        raise ValueError("before_finish(): no event has a finish reason")

    return split


# --- places in the arguments of calls -------------------------------------------------------


def after_arguments(size_bytes: int) -> Place:
    """After so many bytes of argument text (UTF-8), of all calls together.

    A place inside a character is moved to before it.
    """

    def find(text: str) -> int:
        encoded = text.encode()
        if size_bytes > len(encoded):
            raise ValueError(f"after_arguments({size_bytes}): there are {len(encoded)} bytes")
        return len(encoded[:size_bytes].decode(errors="ignore"))

    return _in_arguments(find)


def inside_escape(number: int = 1) -> Place:
    r"""After the backslash of an escape in the argument text, counted from 1."""

    def find(text: str) -> int:
        escapes = [match.start() for match in re.finditer(r"\\(?:u.{4}|.)", text)]
        if number > len(escapes):
            raise ValueError(f"inside_escape({number}): the arguments have {len(escapes)} escapes")
        return escapes[number - 1] + 1

    return _in_arguments(find)


def inside_surrogates(number: int = 1) -> Place:
    r"""Between the two escapes of one character (`\ud83d` and `\ude00`), counted from 1."""

    def find(text: str) -> int:
        pairs = [match.end() for match in re.finditer(r"\\u[dD][89abAB]..(?=\\u[dD])", text)]
        if number > len(pairs):
            raise ValueError(f"inside_surrogates({number}): the arguments have {len(pairs)} pairs")
        return pairs[number - 1]

    return _in_arguments(find)


def inside_key(name: str) -> Place:
    """In the middle of a field's name."""

    def find(text: str) -> int:
        field = _field(text, name)
        return text.rindex(f'"{name}"', 0, field.end()) + 1 + (len(name) + 1) // 2

    return _in_arguments(find)


def before_value(name: str) -> Place:
    """Before a field's value begins."""
    return _in_arguments(lambda text: _field(text, name).end())


def inside_value(name: str) -> Place:
    """In the middle of a field's value, which must be text of two characters or more."""

    def find(text: str) -> int:
        begin, end = _string_value(text, name)
        return (begin + end) // 2

    return _in_arguments(find)


def after_line(number: int, *, of: str = "content") -> Place:
    """After a whole line of a field's text, counted from 1."""

    def find(text: str) -> int:
        begin, end = _string_value(text, of)
        breaks = [
            match.end()
            for match in re.finditer(r"\\(?:u.{4}|.)", text[begin:end])
            if match[0] == "\\n"
        ]
        if number > len(breaks):
            raise ValueError(f"after_line({number}): {of!r} has {len(breaks)} whole lines")
        return begin + breaks[number - 1]

    return _in_arguments(find)


def _in_arguments(find: Callable[[str], int]) -> Place:
    """The place at a character of the argument text, its event split in two there."""

    def split(steps: Steps) -> tuple[Steps, Steps]:
        text = "".join(step.arguments for step in steps if isinstance(step, Send))
        if not text:
            raise ValueError("the reply has no streamed tool arguments to find a place in")
        left = find(text)
        for position, step in enumerate(steps):
            if not isinstance(step, Send) or not step.arguments:
                continue
            if left == 0:
                return steps[:position], steps[position:]
            if left < len(step.arguments):
                before, after = step.arguments[:left], step.arguments[left:]
                head, tail = _with_arguments(step, before), _with_arguments(step, after)
                return (*steps[:position], head), (tail, *steps[position + 1 :])
            left -= len(step.arguments)
            if left == 0:
                return steps[: position + 1], steps[position + 1 :]
        raise AssertionError("a place lies within the text")

    return split


def _with_arguments(step: Send, text: str) -> Send:
    """The same event, with another piece of argument text."""
    try:
        payload: JsonValue = json.loads(step.data.removeprefix(b"data: "))
    except ValueError:
        raise ValueError(
            "a place in the arguments needs plain events: change the framing (CRLF, packets, a "
            "byte order mark) after the cut"
        ) from None
    return Send(event(_replaced(payload, step.arguments, text)), text)


def _replaced(value: JsonValue, old: str, new: str) -> JsonValue:
    if isinstance(value, list):
        return [_replaced(item, old, new) for item in value]
    if isinstance(value, dict):
        return {
            key: new if key == "arguments" and item == old else _replaced(item, old, new)
            for key, item in value.items()
        }
    return value


def _field(text: str, name: str) -> re.Match[str]:
    """A field's name and colon. Inside a text its quotes would be escaped, so none is mistaken."""
    found = re.search(rf'[{{,]\s*"{re.escape(name)}"\s*:\s*', text)
    if found is None:
        raise ValueError(f"no field {name!r} in the arguments {text[:60]!r}…")
    return found


def _string_value(text: str, name: str) -> tuple[int, int]:
    """Where the text of a field begins and ends, without its quotes."""
    found = re.compile(r'"((?:[^"\\]|\\.)*)"').match(text, _field(text, name).end())
    if found is None:
        raise ValueError(f"the field {name!r} is no text")
    return found.span(1)


# --- framing --------------------------------------------------------------------------------


def with_bom(reply: Reply) -> Reply:
    """A byte order mark before the first byte."""
    return replace(reply, steps=(Send(b"\xef\xbb\xbf"), *reply.steps))


def with_crlf(reply: Reply) -> Reply:
    """Lines end with CR LF."""
    return _framed(reply, lambda data: data.replace(b"\n", b"\r\n"))


def without_last_blank_line(reply: Reply) -> Reply:
    """The last event is not ended by a blank line."""
    last = max(at for at, step in enumerate(reply.steps) if isinstance(step, Send))
    step = reply.steps[last]
    assert isinstance(step, Send)
    ended = replace(step, data=step.data.rstrip(b"\n"))
    return replace(reply, steps=(*reply.steps[:last], ended, *reply.steps[last + 1 :]))


def in_packets(reply: Reply, size: int | None) -> Reply:
    """Every so many bytes a packet of their own; None for as few packets as there can be.

    A packet here is one HTTP chunk, written by itself.
    """
    steps: list[Step] = []
    for is_send, run in _runs(reply.steps):
        if not is_send:
            steps += run
            continue
        sends = [step for step in run if isinstance(step, Send)]
        data = b"".join(step.data for step in sends)
        width = size or max(len(data), 1)
        packets = [Send(data[at : at + width]) for at in range(0, len(data), width)]
        arguments = "".join(step.arguments for step in sends)
        steps += [*packets[:-1], *(replace(last, arguments=arguments) for last in packets[-1:])]
    return replace(reply, steps=tuple(steps))


def _runs(steps: Iterable[Step]) -> Iterable[tuple[bool, list[Step]]]:
    """Steps in order, neighbours of one sort together: sends, or anything else."""
    run: list[Step] = []
    for step in steps:
        if run and isinstance(run[-1], Send) is not isinstance(step, Send):
            yield isinstance(run[-1], Send), run
            run = []
        run.append(step)
    if run:
        yield isinstance(run[-1], Send), run


def _framed(reply: Reply, change: Callable[[bytes], bytes]) -> Reply:
    steps = [
        replace(step, data=change(step.data)) if isinstance(step, Send) else step
        for step in reply.steps
    ]
    return replace(reply, steps=tuple(steps))


# --- what stands between a client and a model ------------------------------------------------


def hold_arguments_back(reply: Reply) -> Reply:
    """Buffer tool arguments until they are whole: the same time passes, in silence."""
    steps: list[Step] = []
    held: list[Send] = []
    for step in reply.steps:
        if isinstance(step, Send) and step.arguments:
            held.append(step)
            continue
        if isinstance(step, Send):
            steps += held
            held = []
        steps.append(step)
    return replace(reply, steps=(*steps, *held))


def drop_when_idle(reply: Reply, seconds: float, by: Ending) -> Reply:
    """What a proxy does that cuts silent connections."""
    return _drop(reply, seconds, by, starts_anew=True)


def drop_after(reply: Reply, seconds: float, by: Ending) -> Reply:
    """What a proxy does that gives every response a fixed life."""
    return _drop(reply, seconds, by, starts_anew=False)


def _drop(reply: Reply, seconds: float, by: Sequence[Step], *, starts_anew: bool) -> Reply:
    """Another ending once the pauses add up to a limit, counted anew after each send or not."""
    kept: list[Step] = []
    elapsed = 0.0
    for step in reply.steps:
        if isinstance(step, Pause):
            elapsed += step.seconds
            if elapsed > seconds:
                return replace(reply, steps=(*kept, Pause(seconds - elapsed + step.seconds), *by))
        elif starts_anew:
            elapsed = 0.0
        kept.append(step)
    return replace(reply, steps=tuple(kept))
