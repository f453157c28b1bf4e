"""What a server does with one response, as data: steps that send, pause, reset or close.

Pure. `answers` makes replies of what a model says, `faults` makes bad replies of good ones, and
`gateway` (sockets) or `transport` (in process) carries them out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final, TypeAlias

from pydantic import JsonValue

from agentcore.messages import JsonObject

__all__ = [
    "CLEAN_END",
    "COMMENT",
    "DONE",
    "EMPTY_DELTA",
    "FIN",
    "NETWORK_LOST",
    "RESET",
    "Close",
    "Ending",
    "Pause",
    "Reply",
    "Reset",
    "Send",
    "Step",
    "chunk",
    "event",
    "finish",
    "in_stream_error",
    "no_response",
    "status",
]


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes of the body."""

    data: bytes
    arguments: str = ""
    """The piece of tool-argument text that is whole in it, decoded."""


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
Ending: TypeAlias = tuple[Step, ...]
"""Steps that end a body. None at all is a clean end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response. When its steps are done, the body ends as it should."""

    steps: tuple[Step, ...] = ()
    status: int | None = 200
    """None: no status line goes out at all; the steps then only pause, and end the connection."""
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"content-type": "text/event-stream"}
    )
    head_delay: float = 0.0
    """Seconds of silence before the status line."""

    def __post_init__(self) -> None:
        if not isinstance(self.steps, tuple):
            raise TypeError(f"Reply(steps=…): give a tuple of steps, got {_shown(self.steps)}")
        for step in self.steps:
            _check_step("Reply(steps=…)", step)
        if self.status is None:
            if any(isinstance(step, Send) for step in self.steps):
                raise ValueError("Reply(status=None) sends no head, and so cannot Send a body")
            if not any(isinstance(step, (Reset, Close)) for step in self.steps):
                raise ValueError("Reply(status=None) sends no head: end it with Reset() or Close()")

    @property
    def body(self) -> bytes:
        """All bytes that it sends, whatever happens between them."""
        return b"".join(step.data for step in self.steps if isinstance(step, Send))


def checked_ending(where: str, ending: object) -> Ending:
    """An ending as it was given.

    Raises:
        TypeError: It is no tuple of steps; the text says `where`.
    """
    if not isinstance(ending, tuple):
        raise TypeError(f"{where}: give a tuple of steps, as RESET is one; got {_shown(ending)}")
    for step in ending:
        _check_step(where, step)
    return ending


def _check_step(where: str, step: object) -> None:
    match step:
        case Send(data=data) if not isinstance(data, bytes):
            raise TypeError(f"{where}: Send takes bytes, got {_shown(data)}")
        case Pause(seconds=seconds) if not 0 <= seconds < inf:
            raise ValueError(f"{where}: Pause({seconds!r}) must be of 0 seconds or more")
        case Send() | Pause() | Reset() | Close():
            pass
        case _:
            raise TypeError(
                f"{where}: steps are Send(…), Pause(…), Reset() and Close(); got {_shown(step)}"
            )


def _shown(value: object) -> str:
    """A value in an error's text, cut short."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def event(payload: JsonValue) -> bytes:
    """One server-sent event that carries this JSON."""
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
    """A chat-completions chunk with one choice."""
    choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "gen-1", "object": "chat.completion.chunk", "choices": [choice]}


def in_stream_error(payload: JsonValue) -> Ending:
    """An event with this error payload, then a clean end of the body."""
    return (Send(event(payload)),)


def finish(reason: str) -> Ending:
    """A finish reason, true or not, and `[DONE]`."""
    return (Send(event(chunk({}, reason))), *DONE)


RESET: Final[Ending] = (Reset(),)
FIN: Final[Ending] = (Close(),)
CLEAN_END: Final[Ending] = ()
DONE: Final[Ending] = (Send(b"data: [DONE]\n\n"),)
"""`[DONE]`, then a clean end: no finish reason came."""
NETWORK_LOST: Final = in_stream_error({"error": {"message": "Network connection lost."}})
"""The case that this project began with: no status, no code."""

COMMENT: Final = Send(b": ping\n\n")
"""A sign of life that bears no content."""
EMPTY_DELTA: Final = Send(event(chunk({})))
"""A chunk that bears no content."""


def status(
    code: int, body: JsonValue | bytes = "", headers: Mapping[str, str] | None = None
) -> Reply:
    """A refusal, or any other response of one piece.

    Args:
        code: The HTTP status.
        body: Text and bytes go out as they are, called HTML; anything else goes out as JSON.
        headers: Beside or instead of the content type.
    """
    kind = "text/html"
    if isinstance(body, str):
        data = body.encode()
    elif isinstance(body, bytes):
        data = body
    else:
        data, kind = json.dumps(body).encode(), "application/json"
    return Reply(
        steps=(Send(data),) if data else (),
        status=code,
        headers={"content-type": kind, **(headers or {})},
    )


def no_response(by: Ending = RESET, *, after: float = 0.0) -> Reply:
    """The connection ends before any status line, after so many seconds."""
    return Reply(status=None, steps=(Pause(after), *by) if after else by)
