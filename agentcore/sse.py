r"""Server-sent events from bytes, incrementally.

Pure: bytes in, events out, any chunking gives the same events. Follows the HTML standard's parsing
of event streams (https://html.spec.whatwg.org/multipage/server-sent-events.html), with two
leniencies that real servers need: at a *clean* end of the body an event without its last blank
line counts, and so does a line that is a whole JSON object, once the stream has begun.
"""

from typing import TypeAlias

__all__ = ["SSEDecoder", "ServerSentEvent"]

_BOM = b"\xef\xbb\xbf"

ServerSentEvent: TypeAlias = tuple[str, bytes]
"""The `event:` field, empty when there was none; and the `data:` lines, joined by line feeds."""


class SSEDecoder:
    """Feed it the body's blocks; it gives the events that each block completes.

    Work is linear in the bytes: a line that arrives in many blocks is joined once.
    """

    def __init__(self) -> None:
        self.comments = 0
        """Comment lines seen: a sign of life from the connection, not of progress."""
        self._first = True
        self._framed = False
        self._after_cr = False
        self._is_between = False
        """What comes next begins an event; the first block may begin with a mark instead."""
        self._partial: list[bytes] = []
        self._event = ""
        self._data: list[bytes] = []

    def feed(self, block: bytes) -> list[ServerSentEvent]:
        """Events completed by this block of the body, in order."""
        if self._after_cr and block:
            self._after_cr = False
            block = block.removeprefix(b"\n")
        if self._partial:
            self._partial.append(block)
            if b"\n" not in block and b"\r" not in block:
                return []
            block = b"".join(self._partial)
            self._partial.clear()
        if self._first and block and not block.startswith(_BOM[:1]):
            self._first, self._is_between = False, True
        if not self._is_between or b"\r" in block:
            return self._read_lines(block)
        if block.startswith(b"data: ") and block.find(b"\n") == len(block) - 2 and block[-1] == 10:
            self._framed = True
            return [("", block[6:-2])]  # one whole event, which is what most blocks are
        return self._read_events(block)

    def finish(self) -> list[ServerSentEvent]:
        """The event that a cleanly ended body left without its blank line, if there is one."""
        line, self._partial = b"".join(self._partial), []
        return self._read([line, b""] if line else [b""])

    def _read_events(self, block: bytes) -> list[ServerSentEvent]:
        """A block that begins between two events, with line feeds alone.

        That is what endpoints send, and nearly every event is one `data:` line: where all are, they
        are cut out without a look at lines. All else goes the way of lines.
        """
        wholes = block.split(b"\n\n")
        rest = wholes.pop()
        events = [("", whole[6:]) for whole in wholes if whole.startswith(b"data: ")]
        if len(events) == len(wholes) == block.count(b"\n") / 2:
            self._framed = self._framed or bool(events)
        else:
            events = [event for whole in wholes for event in self._read_event(whole)]
        return events + self._read_lines(rest) if rest else events

    def _read_event(self, whole: bytes) -> list[ServerSentEvent]:
        if whole.startswith(b"data: ") and b"\n" not in whole:
            self._framed = True
            return [("", whole[6:])]
        return self._read([*whole.split(b"\n"), b""])

    def _read_lines(self, block: bytes) -> list[ServerSentEvent]:
        lines = block.splitlines(keepends=True)
        if block.endswith(b"\r"):
            self._after_cr = True
        elif lines and not block.endswith(b"\n"):
            self._partial.append(lines.pop())
        return self._read(lines)

    def _read(self, lines: list[bytes]) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        if self._first and lines:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        for raw in lines:
            line = raw.rstrip(b"\r\n")
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line:
                if self._data:
                    self._framed = True
                    events.append((self._event, b"\n".join(self._data)))
                    self._data = []
                self._event = ""
            elif line.startswith(b":"):
                self.comments += 1
            elif line.startswith(b"event:"):
                self._event = line[6:].strip().decode(errors="replace")
            elif line == b"data":
                self._data.append(b"")
            elif self._framed and line.startswith(b"{") and line.endswith(b"}"):
                # Relays were seen to write an error into the stream without its framing.
                events.append(("", line))
        self._is_between = not (self._first or self._data or self._event)
        return events
