"""Text that comes in small fragments, in memory of about its own size."""

__all__ = ["TextBuffer"]


class TextBuffer:
    """Fragments of text, joined as they come.

    Kept as UTF-8: a `str` of 20 characters takes 69 bytes and 8 more in a list, here 20. A place in
    it is a number of bytes; those where a fragment ends may be given to `text` and `data`.
    """

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def append(self, fragment: str) -> None:
        """Add a fragment. It may begin or end with half of a surrogate pair."""
        try:
            self._data += fragment.encode()
        except UnicodeEncodeError:
            self._data += fragment.encode(errors="surrogatepass")

    def clear(self) -> None:
        """Forget all."""
        self._data.clear()

    def text(self, start: int = 0) -> str:
        """What came after the first `start` bytes; half pairs are in it as they came."""
        data = self._data[start:] if start else self._data
        return data.decode(errors="surrogatepass")

    def data(self, start: int = 0) -> bytearray:
        """The same as UTF-8; a half of a surrogate pair takes three bytes."""
        return self._data[start:]

    def __len__(self) -> int:
        """Bytes, all fragments together."""
        return len(self._data)
