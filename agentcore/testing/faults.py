"""Bad replies from good ones: cut or stalled at an exact place, or framed oddly.

A *place* splits a reply in two; `cut` puts an ending after the first part, `stall` a silence
between the two. Places inside a call's arguments split the event there, so that exactly the text
before the place arrives; places in the body may fall inside an event, which then is lost.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TypeAlias

from pydantic import JsonValue

from agentcore.testing.answers import Answer
from agentcore.testing.script import (
    EMPTY_DELTA,
    Ending,
    Pause,
    Reply,
    Send,
    Step,
    checked_ending,
    event,
)

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

_BOM = b"\xef\xbb\xbf"


def cut(reply: Reply, *, at: Place, by: Ending) -> Reply:
    """What comes before a place, and then another ending.

    Raises:
        TypeError: `reply`, `at` or `by` is none.
        ValueError: The reply has no such place.
    """
    head, _ = _split("cut", reply, at)
    return replace(reply, steps=(*head, *checked_ending("cut(by=…)", by)))


def stall(
    reply: Reply, *, at: Place, seconds: float, meanwhile: Send | None = None, every: float = 10.0
) -> Reply:
    """Silence at a place, or nothing but signs of life, and then the rest.

    Args:
        reply: A good one.
        at: Where it halts.
        seconds: For how long.
        meanwhile: What is sent in between, as `COMMENT` or `EMPTY_DELTA`; None for nothing.
        every: Seconds between two of those, above 0.

    Raises:
        TypeError: `reply` or `at` is none.
        ValueError: The reply has no such place; `seconds` is below 0; or a sign of life inside an
            event, where it would be part of it.
    """
    head, tail = _split("stall", reply, at)
    if not seconds >= 0:
        raise ValueError(f"stall(seconds={seconds!r}): must be 0 or more")
    if meanwhile is not None:
        if not every > 0:
            raise ValueError(f"stall(every={every!r}): must be above 0 seconds")
        if not _ends_an_event(head):
            raise ValueError(
                "stall(meanwhile=…): the place is inside an event, and what is sent there would be "
                "part of it; choose a place between events or in the arguments, or stay silent"
            )
    silence: list[Step] = []
    left = seconds
    while meanwhile is not None and left > every:
        silence += (Pause(every), meanwhile)
        left -= every
    return replace(reply, steps=(*head, *silence, Pause(left), *tail))


def _split(where: str, reply: object, at: object) -> tuple[Steps, Steps]:
    """The steps of a reply before a place and after it, where both are what they must be."""
    steps = _reply(where, reply).steps
    if not callable(at):
        raise TypeError(f"{where}(at={at!r}): give a place, as in at=after_bytes(40)")
    head, tail = at(steps)
    return head, tail


def _reply(where: str, reply: object) -> Reply:
    if isinstance(reply, Reply):
        return reply
    kind = type(reply).__name__
    way_out = ": say stream(answer)" if isinstance(reply, Answer) else ""
    raise TypeError(f"{where}(…) takes a Reply, and got a {kind}{way_out}")


def _ends_an_event(head: Steps) -> bool:
    body = b"".join(step.data for step in head if isinstance(step, Send))
    return not body.removeprefix(_BOM) or body.replace(b"\r\n", b"\n").endswith(b"\n\n")


# --- places in the body ---------------------------------------------------------------------


def after_bytes(count: int) -> Place:
    """After so many bytes of the body, wherever that is."""

    def split(steps: Steps) -> tuple[Steps, Steps]:
        size = sum(len(step.data) for step in steps if isinstance(step, Send))
        if not 0 <= count <= size:
            raise ValueError(f"after_bytes({count}): the body has {size} bytes")
        left = count
        for position, step in enumerate(steps):
            if left == 0:
                return steps[:position], steps[position:]
            if not isinstance(step, Send):
                continue
            if left < len(step.data):
                before, after = Send(step.data[:left]), replace(step, data=step.data[left:])
                return (*steps[:position], before), (after, *steps[position + 1 :])
            left -= len(step.data)
        return steps, ()

    return split


def after_events(count: int) -> Place:
    """After so many events, counted from 0: `after_events(0)` is before the first."""

    def split(steps: Steps) -> tuple[Steps, Steps]:
        sends = [position for position, step in enumerate(steps) if isinstance(step, Send)]
        if not 0 <= count <= len(sends):
            raise ValueError(f"after_events({count}): the reply has {len(sends)} events")
        end = sends[count - 1] + 1 if count else 0
        return steps[:end], steps[end:]

    return split


def inside_event(number: int) -> Place:
    """In the middle of an event, counted from 1: half a line of JSON."""

    def split(steps: Steps) -> tuple[Steps, Steps]:
        sends = [position for position, step in enumerate(steps) if isinstance(step, Send)]
        position = _nth(sends, number, "inside_event", f"the reply has {len(sends)} events")
        step = steps[position]
        assert isinstance(step, Send)
        head, tail = after_bytes(len(step.data) // 2)(steps[position:])
        return (*steps[:position], *head), tail

    return split


def inside_utf8(number: int = 1) -> Place:
    """After the first byte of a character that takes several, counted from 1.

    Text in arguments has such characters only where it is not escaped: make them with
    `json.dumps(…, ensure_ascii=False)`.
    """

    def split(steps: Steps) -> tuple[Steps, Steps]:
        body = b"".join(step.data for step in steps if isinstance(step, Send))
        leads = [at for at, byte in enumerate(body) if byte >= 0xC0]
        told = f"{len(leads)} characters need several bytes"
        return after_bytes(_nth(leads, number, "inside_utf8", told) + 1)(steps)

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
        if not 0 <= size_bytes <= len(encoded):
            raise ValueError(f"after_arguments({size_bytes}): there are {len(encoded)} bytes")
        return len(encoded[:size_bytes].decode(errors="ignore"))

    return _in_arguments(find)


def inside_escape(number: int = 1) -> Place:
    r"""After the backslash of an escape in the argument text, counted from 1."""

    def find(text: str) -> int:
        escapes = [match.start() + 1 for match in _ESCAPE.finditer(text)]
        return _nth(escapes, number, "inside_escape", f"the arguments have {len(escapes)} escapes")

    return _in_arguments(find)


def inside_surrogates(number: int = 1) -> Place:
    r"""Between the two escapes of one character (`\ud83d` and `\ude00`), counted from 1."""

    def find(text: str) -> int:
        escapes = list(_ESCAPE.finditer(text))
        pairs = [
            high.end()
            for high, low in pairwise(escapes)
            if high.end() == low.start() and _HIGH.match(high[0]) and _LOW.match(low[0])
        ]
        return _nth(pairs, number, "inside_surrogates", f"the arguments have {len(pairs)} pairs")

    return _in_arguments(find)


def inside_key(name: str) -> Place:
    """In the middle of a field's name.

    A field, here and below, is one of the arguments themselves, not one inside a value.
    """

    def find(text: str) -> int:
        key = _field(text, name)
        return (key.start("name") + key.end("name") + 1) // 2

    return _in_arguments(find)


def before_value(name: str) -> Place:
    """Before a field's value begins."""
    return _in_arguments(lambda text: _field(text, name).end())


def inside_value(name: str) -> Place:
    """In the middle of a field's value, which must be text of two characters or more."""

    def find(text: str) -> int:
        begin, end = _string_value(text, name)
        if end - begin < 2:
            raise ValueError(f"inside_value({name!r}): the text has less than two characters")
        return (begin + end) // 2

    return _in_arguments(find)


def after_line(number: int, *, of: str = "content") -> Place:
    """After a whole line of a field's text, counted from 1."""

    def find(text: str) -> int:
        begin, end = _string_value(text, of)
        breaks = [match.end() for match in _ESCAPE.finditer(text, begin, end) if match[0] == "\\n"]
        return _nth(breaks, number, "after_line", f"{of!r} has {len(breaks)} whole lines")

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
                head, tail = _split_event(step, left)
                return (*steps[:position], head), (tail, *steps[position + 1 :])
            left -= len(step.arguments)
            if left == 0:
                return steps[: position + 1], steps[position + 1 :]
        raise AssertionError("a place lies within the text")

    return split


def _split_event(step: Send, at: int) -> tuple[Send, Send]:
    """Two events in place of one, with the argument text before a place and after it."""
    payload: JsonValue = None
    if b"\r" not in step.data:
        with suppress(ValueError):
            payload = json.loads(step.data.removeprefix(b"data: "))
    if payload is None:
        raise ValueError(
            "a place in the arguments needs plain events: change the framing (CRLF, packets, a "
            "byte order mark) after the cut"
        )
    piece, before, after = step.arguments, step.arguments[:at], step.arguments[at:]
    # Where every event repeats all that came before, the second still has to.
    head = _replaced(payload, piece, lambda sent: sent.removesuffix(after))
    tail = _replaced(payload, piece, lambda sent: after if sent == piece else sent)
    return Send(event(head), before), Send(event(tail), after)


def _replaced(value: JsonValue, piece: str, change: Callable[[str], str]) -> JsonValue:
    """The payload, with the arguments changed that end with this piece."""
    if isinstance(value, list):
        return [_replaced(item, piece, change) for item in value]
    if isinstance(value, dict):
        return {
            key: change(item)
            if key == "arguments" and isinstance(item, str) and item.endswith(piece)
            else _replaced(item, piece, change)
            for key, item in value.items()
        }
    return value


_ESCAPE = re.compile(r"\\(?:u.{4}|.)")
_HIGH, _LOW = re.compile(r"\\u[dD][89abAB]"), re.compile(r"\\u[dD][c-fC-F]")
_TOKEN = re.compile(r'(?P<name>"(?:[^"\\]|\\.)*")(?P<colon>\s*:\s*)?|[{}\[\]]', re.DOTALL)


def _nth(places: Sequence[int], number: int, name: str, told: str) -> int:
    """The place of this number, counted from 1."""
    if not 1 <= number <= len(places):
        raise ValueError(f"{name}({number}): {told}, counted from 1")
    return places[number - 1]


def _field(text: str, name: str) -> re.Match[str]:
    """A field's name and colon, in the arguments themselves: values are passed over."""
    spelled = (json.dumps(name), json.dumps(name, ensure_ascii=False))
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in ("{", "["):
            depth += 1
        elif token[0] in ("}", "]"):
            depth -= 1
        elif depth == 1 and token["colon"] and token["name"] in spelled:
            return token
    raise ValueError(f"no field {name!r} in the arguments {text[:60]!r}…")


def _string_value(text: str, name: str) -> tuple[int, int]:
    """Where the text of a field begins and ends, without its quotes."""
    value = _TOKEN.match(text, _field(text, name).end())
    if value is None or not value["name"]:
        raise ValueError(f"the field {name!r} is no text")
    return value.start("name") + 1, value.end("name") - 1


# --- framing --------------------------------------------------------------------------------


def with_bom(reply: Reply) -> Reply:
    """A byte order mark before the first byte."""
    return replace(reply, steps=(Send(_BOM), *_reply("with_bom", reply).steps))


def with_crlf(reply: Reply) -> Reply:
    """Lines end with CR LF."""
    return _framed(reply, lambda data: data.replace(b"\n", b"\r\n"))


def without_last_blank_line(reply: Reply) -> Reply:
    """The last event is not ended by a blank line."""
    steps = _reply("without_last_blank_line", reply).steps
    for at, step in reversed(list(enumerate(steps))):
        if isinstance(step, Send):
            ended = replace(step, data=step.data.rstrip(b"\r\n"))
            return replace(reply, steps=(*steps[:at], ended, *steps[at + 1 :]))
    return reply


def in_packets(reply: Reply, size: int | None) -> Reply:
    """Every so many bytes a packet of their own; None for as few packets as there can be.

    A packet here is one HTTP chunk, written by itself.
    """
    if size is not None and not size >= 1:
        raise ValueError(f"in_packets(size={size!r}): must be 1 byte or more, or None")
    steps: list[Step] = []
    for is_send, run in _runs(_reply("in_packets", reply).steps):
        if not is_send:
            steps += run
            continue
        sends = [step for step in run if isinstance(step, Send)]
        data = b"".join(step.data for step in sends)
        width = size or max(len(data), 1)
        ends = list(zip(accumulate(len(step.data) for step in sends), sends, strict=True))[::-1]
        for at in range(0, len(data), width):
            arguments = ""
            while ends and ends[-1][0] <= at + width:
                arguments += ends.pop()[1].arguments
            steps.append(Send(data[at : at + width], arguments))
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
        for step in _reply("with_crlf", reply).steps
    ]
    return replace(reply, steps=tuple(steps))


# --- what stands between a client and a model ------------------------------------------------


def hold_arguments_back(reply: Reply) -> Reply:
    """Buffer tool arguments until they are whole: the same time passes.

    Signs of life go through, as endpoints that buffer send them.
    """
    steps: list[Step] = []
    held: list[Send] = []
    for step in _reply("hold_arguments_back", reply).steps:
        if isinstance(step, Send) and step.arguments:
            held.append(step)
            continue
        if isinstance(step, Send) and not _is_sign_of_life(step):
            steps += held
            held = []
        steps.append(step)
    return replace(reply, steps=(*steps, *held))


def _is_sign_of_life(step: Send) -> bool:
    return step.data.startswith(b":") or step.data == EMPTY_DELTA.data


def drop_when_idle(reply: Reply, seconds: float, by: Ending) -> Reply:
    """What a proxy does that cuts silent connections."""
    return _drop(reply, seconds, by, starts_anew=True)


def drop_after(reply: Reply, seconds: float, by: Ending) -> Reply:
    """What a proxy does that gives every response a fixed life."""
    return _drop(reply, seconds, by, starts_anew=False)


def _drop(reply: Reply, seconds: float, by: Sequence[Step], *, starts_anew: bool) -> Reply:
    """Another ending once the pauses add up to a limit, counted anew after each send or not."""
    name = "drop_when_idle" if starts_anew else "drop_after"
    by = checked_ending(f"{name}(by=…)", by)
    kept: list[Step] = []
    elapsed = 0.0
    for step in _reply(name, reply).steps:
        if isinstance(step, Pause):
            elapsed += step.seconds
            if elapsed > seconds:
                left = max(0.0, seconds - elapsed + step.seconds)
                return replace(reply, steps=(*kept, Pause(left), *by))
        elif starts_anew:
            elapsed = 0.0
        kept.append(step)
    return replace(reply, steps=tuple(kept))
