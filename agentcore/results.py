"""What of a tool's long result a model reads: its beginning and its end, whole lines."""

from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_ERROR_BYTES", "MAX_RESULT_BYTES", "NOTE_BYTES", "Shortened", "clip", "shorten"]

MAX_RESULT_BYTES: Final = 32_768
"""Of UTF-8, for a result with its note; what is longer is cut in its middle."""
NOTE_BYTES: Final = 256
"""Of them, for the note that says what was left out and where it is."""
HEAD_SHARE: Final = 0.4
"""The rest is the tail's: programs say at their end what came of them."""
MAX_ERROR_BYTES: Final = 2_048
"""Of UTF-8, for an error's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """A text without its middle."""

    head: str
    tail: str
    left_out_bytes: int
    next_line: int
    """The line, from 1, that the left out part begins in."""

    def told(self, note: str) -> str:
        """The text with a note in the middle, at most so long that all has its room.

        A line break stands on each side of the note.
        """
        return f"{self.head}\n{clip(note, NOTE_BYTES - 2)}\n{self.tail}"


def shorten(text: str) -> Shortened | None:
    """A text that is too long, without its middle; None for one that is not."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= MAX_RESULT_BYTES:
        return None
    room = MAX_RESULT_BYTES - NOTE_BYTES
    head = encoded[: int(room * HEAD_SHARE)].decode(errors="ignore")
    tail = encoded[-int(room * (1 - HEAD_SHARE)) :].decode(errors="ignore")
    # At line ends, unless that would lose a good part of it: a line may be very long.
    head_end, tail_start = head.rfind("\n") + 1, tail.find("\n") + 1
    head = head[:head_end] if head_end > len(head) // 2 else head
    tail = tail[tail_start:] if tail_start < len(tail) // 2 else tail
    return Shortened(
        head=head,
        tail=tail,
        left_out_bytes=len(encoded) - len(head.encode()) - len(tail.encode()),
        next_line=head.count("\n") + 1,
    )


def clip(text: str, room: int = MAX_ERROR_BYTES) -> str:
    """A text of at most so many bytes of UTF-8, its end left out where it is longer."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= room:
        return text
    return encoded[: room - len("…".encode())].decode(errors="ignore") + "…"
