r"""Server-sent events from bytes, incrementally.

Pure: bytes in, events out, any chunking gives the same events. Follows the HTML standard's parsing
of event streams (https://html.spec.whatwg.org/multipage/server-sent-events.html), with two
leniencies that real servers need: at a *clean* end of the body an event without its last blank
line counts, and so does a line that is a whole JSON object, once the stream has begun.
"""

from dataclasses import dataclass

__all__ = ["SSEDecoder", "ServerSentEvent"]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of the stream."""

    event: str
    """The `event:` field; empty when there was none."""
    data: bytes
    """The `data:` lines, joined by line feeds."""


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
        self._partial: list[bytes] = []
        self._event = ""
        self._data: list[bytes] = []

    def feed(self, block: bytes) -> list[ServerSentEvent]:
        """Events completed by this block of the body, in order."""
        if self._after_cr and block.startswith(b"\n"):
            block = block[1:]
            self._after_cr = False
        if not block:
            return []
        self._after_cr = block.endswith(b"\r")
        if b"\n" not in block and b"\r" not in block:
            self._partial.append(block)
            return []
        self._partial.append(block)
        lines = b"".join(self._partial).splitlines(keepends=True)
        self._partial = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
        return self._read(lines)

    def finish(self) -> list[ServerSentEvent]:
        """The event that a cleanly ended body left without its blank line, if there is one."""
        line, self._partial = b"".join(self._partial), []
        return self._read([line, b""] if line else [b""])

    def _read(self, lines: list[bytes]) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        if self._first:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        for raw in lines:
            line = raw.rstrip(b"\r\n")
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line:
                if self._data:
                    self._framed = True
                    events.append(ServerSentEvent(self._event, b"\n".join(self._data)))
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
                events.append(ServerSentEvent("", line))
        return events
