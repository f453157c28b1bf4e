"""Output that is read whole and kept in part: the beginning, and the end."""

__all__ = ["Output"]

_HEAD_SHARE = 0.4
"""A program says first what it does and last what went wrong; the end is worth more."""


class Output:
    """Takes any number of bytes, and holds no more than twice `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        """Bytes that came in all."""
        self._head_size = int(limit * _HEAD_SHARE)
        self._tail_size = limit - self._head_size
        self._head = bytearray()
        self._tail = bytearray()

    def feed(self, block: bytes) -> None:
        """Take what came next."""
        self.total += len(block)
        room = self._head_size - len(self._head)
        if room > 0:
            self._head += block[:room]
            block = block[room:]
        self._tail += block[-self.limit :]
        if len(self._tail) > self.limit:
            del self._tail[: -self._tail_size]

    def text(self) -> str:
        """What is kept; where something is missing, a line says how much."""
        tail = bytes(self._tail[-self._tail_size :])
        left_out = self.total - len(self._head) - len(tail)
        if not left_out:
            return (bytes(self._head) + tail).decode(errors="replace")
        # A character that the cut went through would show as rubbish of our making.
        head = bytes(self._head).decode(errors="replace").rstrip("\ufffd")
        return f"{head}\n[… {left_out} bytes left out …]\n{tail.decode(errors='replace')}"
