"""Bytes to text and back without loss: encoding, byte-order mark and line ends of a file. Pure.

An encoding is known by its mark, or it is UTF-8; what is neither is no text, and never guessed.
Models write line feeds, files keep the line ends that they have.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from agentcore.drafts import split_lines

__all__ = ["ENCODINGS", "UTF_8", "Encoding", "Feeds", "NotText", "Text", "decoded"]

LineEnd: TypeAlias = Literal["\n", "\r\n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a text is stored."""

    name: str
    """As a model is told."""
    codec: str
    """As Python calls it; one that neither writes nor reads a mark."""
    mark: bytes
    """What such a file begins with; empty for none."""


UTF_8: Final = Encoding(name="UTF-8", codec="utf-8", mark=b"")

# The longer marks first: that of UTF-32, little end first, begins with that of UTF-16.
ENCODINGS: Final[tuple[Encoding, ...]] = (
    Encoding(name="UTF-32 with a mark", codec="utf-32-le", mark=b"\xff\xfe\0\0"),
    Encoding(name="UTF-32 with a mark", codec="utf-32-be", mark=b"\0\0\xfe\xff"),
    Encoding(name="UTF-8 with a mark", codec="utf-8", mark=b"\xef\xbb\xbf"),
    Encoding(name="UTF-16 with a mark", codec="utf-16-le", mark=b"\xff\xfe"),
    Encoding(name="UTF-16 with a mark", codec="utf-16-be", mark=b"\xfe\xff"),
    UTF_8,
)
"""The first whose mark a file begins with; the last has none."""

MIN_WIDE_BYTES: Final = 64
"""Of a shorter text nothing is said by its zeros."""
WIDE_BYTES: Final = 4_096


class NotText(Exception):
    """Bytes that are no text, or a text that cannot be stored; says where."""


@dataclass(frozen=True, slots=True)
class Text:
    """A file's text."""

    text: str
    """Without the mark, with the line ends as they are."""
    encoding: Encoding = UTF_8

    @property
    def line_end(self) -> LineEnd:
        """The line end that most lines have; a line feed when none has more than another."""
        crlf = self.text.count("\r\n")
        return "\r\n" if crlf > self.text.count("\n") - crlf else "\n"

    @property
    def lines(self) -> list[str]:
        """Lines with their ends."""
        return split_lines(self.text)

    def as_here(self, text: str, *, begins: bool) -> str:
        """A model's text with the line ends of this file, unless it has some of its own.

        Args:
            text: The text.
            begins: It is to begin the file: a mark of its own is left out where the file has one.
        """
        if begins and self.encoding.mark:
            text = text.removeprefix("\ufeff")
        if self.line_end == "\r\n" and "\r" not in text:
            return text.replace("\n", "\r\n")
        return text

    def encoded(self, text: str) -> bytes:
        """The bytes of another text, stored as this one is.

        Raises:
            NotText: It has half of a surrogate pair, which no file can hold.
        """
        try:
            return self.encoding.mark + text.encode(self.encoding.codec)
        except UnicodeEncodeError as error:
            raise NotText(
                f"character {error.start + 1} is half of a surrogate pair, which no file can hold"
            ) from None

    @property
    def told(self) -> str:
        """What is special about it, for a model: empty for UTF-8 with line feeds."""
        special = [self.encoding.name] if self.encoding.mark else []
        if self.line_end == "\r\n":
            special.append("CRLF line ends")
        return " and ".join(special)


def decoded(data: bytes) -> Text:
    """The text of a file.

    Raises:
        NotText: It is none; the text says what, and at which byte, counted from 0.
    """
    encoding = next(row for row in ENCODINGS if data.startswith(row.mark))
    start = len(encoding.mark)
    try:
        text = data[start:].decode(encoding.codec)
    except UnicodeDecodeError as error:
        name = encoding.name.removesuffix(" with a mark")
        raise NotText(f"is not {name} text (byte {start + error.start})") from None
    if encoding is UTF_8 and _is_wide(data[:WIDE_BYTES]):
        # It reads as UTF-8 with many NULs, and UTF-8 put after it would spoil it.
        raise NotText("is not UTF-8 text: each second byte is 0, as in UTF-16 without a mark")
    return Text(text, encoding)


def _is_wide(data: bytes) -> bool:
    """Zeros stand at every other place, and hardly anywhere else."""
    zeros = sorted((data[0::2].count(0), data[1::2].count(0)))
    return (
        len(data) >= MIN_WIDE_BYTES and zeros[1] * 5 > len(data) * 2 and zeros[0] * 20 < len(data)
    )


@dataclass(frozen=True, slots=True)
class Feeds:
    """A text with line feeds only, and the way back to places in the text as it is."""

    text: str
    crlf: tuple[int, ...]
    """Places in it of the line feeds that stand for two characters, ascending."""

    @classmethod
    def of(cls, text: str) -> "Feeds":
        """Take the carriage return from before each line feed."""
        if "\r\n" not in text:
            return cls(text, ())
        places: list[int] = []
        place = text.find("\r\n")
        while place >= 0:
            places.append(place - len(places))
            place = text.find("\r\n", place + 2)
        return cls(text.replace("\r\n", "\n"), tuple(places))

    def original(self, place: int) -> int:
        """The same place in the text as it is; one at a line end is before both its characters."""
        return place + bisect_left(self.crlf, place)
