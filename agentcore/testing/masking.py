r"""Credentials out of bytes: each becomes as many asterisks, so that every offset stays.

Pure. Two kinds are found: secrets that are named, in every spelling that JSON and URLs have for
them, and what has the form of a credential. A named secret is found also where a stream spells it
over several deltas (`{"content": "sk-s"}`, `{"content": "ecret"}`); of a credential that nobody
named, a stream may show the first dozen characters there, up to where its form can be told.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import quote

__all__ = ["SHORTEST_SECRET", "Credentials", "Masker"]

SHORTEST_SECRET: Final = 4
"""Characters. What is shorter is no secret and stays: to mask it would only spoil other text."""

_LONGEST_LINE = 65_536
"""Bytes of a line that are held back at most."""
_LONGEST_CREDENTIAL = 4_096
_WINDOW = 256
"""Bytes of a text, spelled over several deltas, that are looked at again with the next one."""

# A word begins here: not after a letter, except that of an escape in JSON (\nsk-…, \u003csk-…).
_BEGIN = rb"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4}))"
_TOKEN = rb"[A-Za-z0-9_.~+/-]"
_WITH_DIGIT = rb"(?=[A-Za-z_.~+/-]{0,100}[0-9])"

_STRING = re.compile(rb'"(\w+)":[ ]?"((?:[^"\\]|\\.)*)"')
"""A text in JSON, with its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the credentials of somebody look like."""

    whose: str
    signs: tuple[bytes, ...]
    """One of these is in any text that has one, in lower case: a quick look before the long one."""
    pattern: re.Pattern[bytes]
    """Its group is what gets masked. It crosses no line."""


FORMS: Final = (
    Form(
        whose="OpenAI, Anthropic, OpenRouter, DeepSeek, LiteLLM",
        signs=(b"sk-",),
        pattern=re.compile(_BEGIN + rb"(sk-[A-Za-z0-9_-]{8,2000})"),
    ),
    Form(
        whose="Groq, Hugging Face, Replicate, GitHub",
        signs=(b"gsk_", b"hf_", b"r8_", b"gh", b"github_pat_"),
        pattern=re.compile(_BEGIN + rb"((?:gsk|hf|r8|gh[oprsu]|github_pat)_[A-Za-z0-9_]{16,255})"),
    ),
    Form(
        whose="xAI, Perplexity, NVIDIA, GitLab, Slack",
        signs=(b"xai-", b"pplx-", b"nvapi-", b"glpat-", b"xox"),
        pattern=re.compile(
            _BEGIN + rb"((?:xai|pplx|nvapi|glpat|xox[abeprs])-[A-Za-z0-9_-]{16,255})"
        ),
    ),
    Form(
        whose="Google, AWS",
        signs=(b"aiza", b"akia", b"asia"),
        pattern=re.compile(_BEGIN + rb"(AIza[A-Za-z0-9_-]{30,60}|A[KS]IA[A-Z0-9]{16})"),
    ),
    Form(
        whose="JSON web tokens",
        signs=(b".eyj",),
        pattern=re.compile(_BEGIN + rb"(eyJ[A-Za-z0-9_-]{8,999}\.eyJ[A-Za-z0-9_.-]{8,2000})"),
    ),
    Form(
        whose="anybody, as a header has it",
        signs=(b"bearer ",),
        # A digit or some length, for "Bearer authentication" is none.
        pattern=re.compile(
            rb"(?i:bearer)[ ]{1,4}("
            + (_WITH_DIGIT + _TOKEN + rb"{8,2000}|" + _TOKEN + rb"{20,2000})")
        ),
    ),
    Form(
        whose='anybody, after its name: "api_key": "…", API key provided: …',
        signs=(b"key", b"token", b"secret", b"password", b"authorization"),
        pattern=re.compile(
            rb"(?i:api[ _-]?key|token|secret|password|authorization)"
            rb"(?i:[ \t\"'\\:=(\[]|provided|given|basic|bearer|is){1,16}"
            rb"(" + _WITH_DIGIT + _TOKEN + rb"{16,2000}={0,2})"
        ),
    ),
)

Span: TypeAlias = tuple[int, int]
"""Where something begins, and where it ends."""


class Credentials:
    """Secrets by name, and the forms of others."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = _long_enough(secrets)
        # Of two that begin alike the longer one counts.
        self._spellings = sorted(
            {spelling for secret in self._secrets for spelling in _spellings(secret)},
            key=len,
            reverse=True,
        )
        self._named = re.compile(b"|".join(map(re.escape, self._spellings)) or rb"(?!)")
        self.longest_bytes = max(map(len, self._spellings), default=0)
        """Of a named secret."""

    def including(self, secrets: Iterable[str]) -> "Credentials":
        """These and more."""
        more = _long_enough(secrets) - self._secrets
        return Credentials(self._secrets | more) if more else self

    def spans(self, data: bytes) -> Iterator[Span]:
        """Where credentials are: what of it is to be masked."""
        for match in self._named.finditer(data):
            yield match.span()
        lower = data.lower()
        for form in FORMS:
            if any(sign in lower for sign in form.signs):
                for match in form.pattern.finditer(data):
                    yield match.span(1)

    def opening(self, data: bytes) -> int:
        """Where a named secret begins that the end of the data cuts off; without one, the end.

        Fewer than `SHORTEST_SECRET` bytes of it are no beginning.
        """
        first = len(data)
        for spelling in self._spellings:
            sign = spelling[:SHORTEST_SECRET]
            at = data.find(sign, max(0, len(data) - len(spelling) + 1))
            while at >= 0 and not spelling.startswith(data[at:]):
                at = data.find(sign, at + 1)
            first = min(first, at) if at >= 0 else first
        return first

    def mask(self, data: bytes) -> bytes:
        """The same, as long as before, with an asterisk for each byte of a credential."""
        masked = bytearray(data)
        for begin, end in self.spans(data):
            masked[begin:end] = b"*" * (end - begin)
        return bytes(masked)


def _long_enough(secrets: Iterable[str]) -> frozenset[str]:
    return frozenset(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)


def _spellings(secret: str) -> Iterator[bytes]:
    escaped = json.dumps(secret, ensure_ascii=False)[1:-1]
    twice = json.dumps(escaped, ensure_ascii=False)[1:-1]
    for text in (secret, escaped, twice, escaped.replace("/", "\\/"), quote(secret, safe="")):
        yield text.encode(errors="replace")


class Masker:
    """A body, masked as it comes: what goes out is as long as what came in, a little later.

    Held back are the line that has not ended, for a credential may go on in the next block, and
    what may turn out to be the beginning of a named secret.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._margin = max(_LONGEST_CREDENTIAL, credentials.longest_bytes)
        self._held = bytearray()
        self._offset = 0
        """Of the first held byte, in the body."""
        self._examined = 0
        """So many of the held bytes are masked."""
        self._texts: dict[bytes, _Text] = {}

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; gives those that nothing to come can change."""
        self._held += data
        lines = len(self._held) - len(data) + data.rfind(b"\n") + 1
        if lines > len(self._held) - len(data):
            self._examine(lines, seen=lines)
        elif len(self._held) - self._examined > _LONGEST_LINE + self._margin:
            self._examine(len(self._held) - self._margin, seen=len(self._held))
        held_from = min(
            (text.opened[0] for text in self._texts.values() if text.opened),
            default=self._offset + self._examined,
        )
        # A secret that is spelled over deltas is spelled at once: what is old begins none.
        return self._give(max(held_from - self._offset, self._examined - _LONGEST_LINE, 0))

    def finish(self) -> bytes:
        """The rest. What may be the beginning of a named secret is masked too."""
        begin, end = self._examined, len(self._held)
        rest = bytes(self._held[begin:])
        self._examine(end, seen=end + 1)
        self._mask(
            range(self._offset + begin + self._credentials.opening(rest), self._offset + end)
        )
        for text in self._texts.values():
            self._mask(text.opened)
        return self._give(end)

    def _examine(self, end: int, *, seen: int) -> None:
        """Mask the held bytes up to `end`, in the light of those up to `seen`."""
        begin, self._examined = self._examined, end
        data = bytes(self._held[begin:seen])
        at = self._offset + begin
        for start, stop in self._credentials.spans(data):
            # What touches the end of what is seen may go on: it is met again.
            if begin + stop < seen:
                self._mask(range(at + start, at + stop))
        for match in _STRING.finditer(data, 0, end - begin):
            text = self._texts.setdefault(match[1], _Text(self._credentials))
            self._mask(text.add(match[2], at + match.start(2)))

    def _mask(self, places: Iterable[int]) -> None:
        for place in places:
            if place >= self._offset:
                self._held[place - self._offset] = ord("*")

    def _give(self, count: int) -> bytes:
        given = bytes(self._held[:count])
        del self._held[:count]
        self._offset += count
        self._examined -= count
        return given


class _Text:
    """What the values of one key spell together, from delta to delta."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._tail = b""
        self._places: list[int] = []
        """Of each byte of the tail, in the body."""
        self.opened: list[int] = []
        """Of what may be the beginning of a named secret."""

    def add(self, piece: bytes, place: int) -> list[int]:
        """Take the next value; gives the places of what is a credential only beside the last."""
        window = max(_WINDOW, self._credentials.longest_bytes)
        border = len(self._tail)
        text = self._tail + piece
        places = [*self._places, *range(place, place + len(piece))]
        masked: list[int] = []
        keep = len(text) - window
        for begin, end in self._credentials.spans(text[: border + window]):
            if begin < border < end:
                masked += places[begin:end]
            if end == len(text):
                keep = min(keep, begin)
        self.opened = places[self._credentials.opening(text) :]
        keep = max(keep, 0)
        self._tail, self._places = text[keep:], places[keep:]
        return masked
