"""What a misbehaving server does, as data: steps that send, pause, reset or close.

Pure. A `Reply` is a list of steps; a fault is a function from a reply to a reply, so that faults
combine and every place of a cut is exact. `gateway` carries the steps out on a socket.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from pydantic import JsonValue

from agentcore.messages import JsonObject, Usage

__all__ = [
    "CLEAN_END",
    "FIN",
    "NETWORK_LOST",
    "RESET",
    "Answer",
    "Call",
    "Close",
    "Pause",
    "Reply",
    "Reset",
    "Send",
    "Step",
    "cut_after_arguments",
    "cut_after_bytes",
    "cut_after_events",
    "drop_after",
    "drop_when_idle",
    "hold_arguments_back",
    "in_stream_error",
    "stall_after_events",
    "status",
    "stream",
    "whole",
]


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes of the body."""

    data: bytes
    argument_bytes: int = 0
    """How many UTF-8 bytes of tool arguments are in it, decoded."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (TCP RST)."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection in the middle of the body (TCP FIN)."""


Step: TypeAlias = Send | Pause | Reset | Close


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response. When its steps are done, the body ends as it should."""

    steps: tuple[Step, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"content-type": "text/event-stream"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call of an answer."""

    name: str
    arguments: str
    """As JSON text."""
    id: str = "call_0001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model says, before any wire format."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish_reason: str = ""
    """Empty: `tool_calls` when there are calls, else `stop`."""
    usage: Usage | None = None

    @property
    def reason(self) -> str:
        """The finish reason that goes out."""
        return self.finish_reason or ("tool_calls" if self.calls else "stop")


def _event(payload: JsonValue) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def in_stream_error(payload: JsonValue) -> tuple[Step, ...]:
    """An ending: an event with this error payload, then a clean end of the body."""
    return (Send(_event(payload)),)


RESET: Final[tuple[Step, ...]] = (Reset(),)
FIN: Final[tuple[Step, ...]] = (Close(),)
CLEAN_END: Final[tuple[Step, ...]] = ()
NETWORK_LOST: Final = in_stream_error({"error": {"message": "Network connection lost."}})
"""The case that this project began with: no status, no code."""


def stream(answer: Answer, *, piece: int = 16, pace: float = 0.0, done: bool = True) -> Reply:
    """An answer as a chat-completions stream.

    Args:
        answer: What is said.
        piece: Characters a delta.
        pace: Seconds between two deltas.
        done: End with `data: [DONE]`.
    """
    steps: list[Step] = []
    for chunk, argument_bytes in _chunks(answer, piece):
        steps.append(Send(_event(chunk), argument_bytes))
        if pace:
            steps.append(Pause(pace))
    if done:
        steps.append(Send(b"data: [DONE]\n\n"))
    return Reply(steps=tuple(steps))


def whole(answer: Answer, *, pace: float = 0.0) -> Reply:
    """An answer as one JSON body, after `pace` seconds."""
    message: JsonObject = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = [
            _call(call, position) for position, call in enumerate(answer.calls)
        ]
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": answer.reason}
    body: JsonObject = {"id": "gen-1", "object": "chat.completion", "choices": [choice]}
    if answer.usage is not None:
        body["usage"] = _usage(answer.usage)
    steps: tuple[Step, ...] = (Send(json.dumps(body).encode()),)
    if pace:
        steps = (Pause(pace), *steps)
    return Reply(steps=steps, headers={"content-type": "application/json"})


def status(code: int, body: JsonValue, headers: Mapping[str, str] | None = None) -> Reply:
    """A refusal: a text body goes out as it is, anything else as JSON."""
    data = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if isinstance(body, str) else "application/json"
    return Reply(
        steps=(Send(data.encode()),),
        status=code,
        headers={"content-type": kind, **(headers or {})},
    )


# --- faults: from a reply to a reply --------------------------------------------------------


def cut_after_bytes(reply: Reply, count: int, by: Sequence[Step]) -> Reply:
    """The body's first `count` bytes, and then another ending."""
    kept: list[Step] = []
    for step in reply.steps:
        if isinstance(step, Send):
            if len(step.data) >= count:
                return replace(reply, steps=(*kept, Send(step.data[:count]), *by))
            count -= len(step.data)
        kept.append(step)
    return replace(reply, steps=(*kept, *by))


def cut_after_events(reply: Reply, count: int, by: Sequence[Step]) -> Reply:
    """The first `count` events, and then another ending."""
    kept: list[Step] = []
    for step in reply.steps:
        if count == 0:
            break
        kept.append(step)
        count -= isinstance(step, Send)
    return replace(reply, steps=(*kept, *by))


def cut_after_arguments(reply: Reply, size_bytes: int, by: Sequence[Step]) -> Reply:
    """Events until this many bytes of tool arguments are out, and then another ending."""
    kept: list[Step] = []
    for step in reply.steps:
        if size_bytes <= 0:
            break
        kept.append(step)
        size_bytes -= step.argument_bytes if isinstance(step, Send) else 0
    return replace(reply, steps=(*kept, *by))


def stall_after_events(
    reply: Reply, count: int, *, seconds: float, comment_every: float | None = None
) -> Reply:
    """The first `count` events, then silence, or nothing but comments, and then the rest."""
    head = cut_after_events(reply, count, ()).steps
    silence: list[Step] = [Pause(seconds)]
    if comment_every is not None:
        pings = int(seconds / comment_every)
        silence = [
            step for _ in range(pings) for step in (Pause(comment_every), Send(b": ping\n\n"))
        ]
    return replace(reply, steps=(*head, *silence, *reply.steps[len(head) :]))


def hold_arguments_back(reply: Reply) -> Reply:
    """Buffer tool arguments until they are whole: the same time passes, in silence."""
    steps: list[Step] = []
    held: list[Send] = []
    for step in reply.steps:
        if isinstance(step, Send) and step.argument_bytes:
            held.append(step)
            continue
        if isinstance(step, Send):
            steps += held
            held = []
        steps.append(step)
    return replace(reply, steps=(*steps, *held))


def drop_when_idle(reply: Reply, seconds: float, by: Sequence[Step]) -> Reply:
    """What a proxy does that cuts silent connections."""
    return _drop(reply, seconds, by, starts_anew=True)


def drop_after(reply: Reply, seconds: float, by: Sequence[Step]) -> Reply:
    """What a proxy does that gives every connection a fixed life."""
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


# --- wire format ----------------------------------------------------------------------------


def _chunks(answer: Answer, piece: int) -> Iterator[tuple[JsonObject, int]]:
    """Chunks, each with the bytes of tool arguments in it."""
    yield _chunk({"role": "assistant", "content": ""}), 0
    for text in _pieces(answer.reasoning, piece):
        yield _chunk({"reasoning_content": text}), 0
    for text in _pieces(answer.text, piece):
        yield _chunk({"content": text}), 0
    for position, call in enumerate(answer.calls):
        opening = _call(replace(call, arguments=""), position)
        yield _chunk({"tool_calls": [opening]}), 0
        for text in _pieces(call.arguments, piece):
            delta: JsonObject = {"index": position, "function": {"arguments": text}}
            yield _chunk({"tool_calls": [delta]}), len(text.encode())
    yield _chunk({}, answer.reason), 0
    if answer.usage is not None:
        yield {"id": "gen-1", "choices": [], "usage": _usage(answer.usage)}, 0


def _chunk(delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
    choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "gen-1", "object": "chat.completion.chunk", "choices": [choice]}


def _call(call: Call, position: int) -> JsonObject:
    function: JsonObject = {"name": call.name, "arguments": call.arguments}
    return {"index": position, "id": call.id, "type": "function", "function": function}


def _usage(usage: Usage) -> JsonObject:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _pieces(text: str, size: int) -> Iterable[str]:
    return (text[start : start + size] for start in range(0, len(text), size))
