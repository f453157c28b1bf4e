r"""Is this argument text one closed JSON object, and what does it say?

One function answers for the whole library: the verdict on a stream and the dispatch of a call
must never disagree on what "closed" means. Repairs are lossless only: they change how a value is
spelled, never what it is, and nothing is closed that the model left open.
"""

import re
from dataclasses import dataclass

from pydantic import JsonValue
from pydantic_core import from_json

__all__ = [
    "Arguments",
    "closed_fields",
    "escape_control_characters",
    "fields_so_far",
    "is_open_object",
    "parse_arguments",
]

_CONTROL = re.compile("[\x00-\x1f]")
# An escape is one token: a raw line feed after a backslash is no line feed that lost its spelling.
_CONTROL_OR_ESCAPE = re.compile("\\\\.|[\x00-\x1f]", re.DOTALL)
_SURROGATE_ESCAPE = re.compile(
    r"(?P<whole>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(?!u[dD][89a-fA-F]).)"
    r"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
# A string that is not closed is matched to the end of the text, so that every scan is linear.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?P<closed>")?', re.DOTALL)
_ERROR_PLACE = re.compile(r"line (?P<line>\d+) column (?P<column>\d+)$")
_TOKEN = re.compile(rf"{_STRING.pattern}|[{{}}\[\],:]", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Arguments that the model closed."""

    fields: dict[str, JsonValue]
    repairs: tuple[str, ...] = ()
    """Names of the lossless repairs that were needed, in the order they were made."""


def parse_arguments(text: str) -> Arguments | None:
    """The object that `text` spells, or None when it is not one closed JSON object.

    Tried in order, each on top of those before: as it is; without a byte-order mark; without a
    Markdown fence; with raw control characters in strings escaped; without trailing commas; and
    once more when the whole is a JSON string that holds an object (encoded twice).
    """
    repairs: list[str] = []
    value = _decode(text)
    for name, repair in _REPAIRS:
        if value is not _INVALID:
            break
        repaired = repair(text)
        if repaired != text:
            text = repaired
            repairs.append(name)
            value = _decode(text)
    if isinstance(value, str):
        inner = parse_arguments(value) if value.lstrip().startswith("{") else None
        if inner is None:
            return None
        return Arguments(fields=inner.fields, repairs=(*repairs, "double encoding", *inner.repairs))
    if not isinstance(value, dict):
        return None
    return Arguments(fields=value, repairs=tuple(repairs))


def closed_fields(text: str) -> dict[str, JsonValue]:
    r"""The top-level fields of a cut argument text whose values the model had closed.

    `'{"path": "a.md", "content": "# Pl'` gives `{"path": "a.md"}`. A number at the very end is not
    closed: `12` may have become `120`. Text that is no prefix of an object gives `{}`.
    """
    text = _repaired(text)
    end = 0
    depth = 0
    last = ""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token[0] == '"' and not match["closed"]:
            break
        if token in "{[":
            depth += 1
        elif token in "}]":
            depth -= 1
        if depth == 1 and token == ",":
            end = match.start()
        elif (depth == 1 and (last == ":" or token in "}]")) or depth == 0:
            end = match.end()
        if depth <= 0:
            break
        last = token
    whole = text[:end] if depth == 0 else text[:end] + "}"
    arguments = parse_arguments(whole)
    if arguments is not None:
        return arguments.fields
    # One of them is no JSON, say by a wrong escape: those before it were closed.
    return dict([*fields_so_far(text).items()][:-1])


def fields_so_far(text: str) -> dict[str, JsonValue]:
    r"""The top-level fields of a cut argument text, the last value as far as it arrived.

    `'{"path": "a.md", "content": "# Pl'` gives both fields. What is not ended may not be what was
    meant: a text may go on, and `12` may become `120`.
    """
    text = _repaired(text)
    try:
        value = from_json(text, allow_partial="trailing-strings")
    except TypeError:
        return {}
    except ValueError as error:
        value = _before_error(text, str(error))
    return value if isinstance(value, dict) else {}


def _before_error(text: str, error: str) -> object:
    """What a text says before the place at which it stops being JSON, say a wrong escape."""
    place = _ERROR_PLACE.search(error)
    if place is None:
        return None
    encoded = text.encode()
    begin = 0
    for _ in range(int(place["line"]) - 1):
        begin = encoded.index(b"\n", begin) + 1
    # The column is counted in bytes from 1; the backslash of an escape stands before it.
    before = encoded[: max(0, begin + int(place["column"]) - 2)].decode(errors="ignore")
    try:
        return from_json(before, allow_partial="trailing-strings")
    except (TypeError, ValueError):
        return None


def is_open_object(text: str) -> bool:
    """The text is no closed object, but the beginning of one: more of it could close it."""
    text = _repaired(text).strip()
    if text and not text.startswith("{"):
        return False
    try:
        from_json(text or "{", allow_partial="trailing-strings")
    except (TypeError, ValueError):
        return False
    return not _closes(text)


def escape_control_characters(text: str) -> str:
    r"""Spell raw control characters inside JSON strings as escapes (`\n`, `\u0001`).

    Some servers send them raw (llama.cpp's and several relays' tool arguments), which strict
    JSON refuses. An unclosed last string is covered too.
    """
    if not _CONTROL.search(text):
        return text
    return _STRING.sub(lambda string: _CONTROL_OR_ESCAPE.sub(_escape, string[0]), text)


def _escape(match: re.Match[str]) -> str:
    if len(match[0]) > 1:
        return match[0]
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(match[0], f"\\u{ord(match[0]):04x}")


def _closes(text: str) -> bool:
    """The first bracket of a text is closed in it; the partial parser ignores what follows."""
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match[0] in "{[") - (match[0] in "}]")
        if depth == 0:
            return True
    return False


def _repaired(text: str) -> str:
    for _, repair in _REPAIRS:
        text = repair(text)
    return text


def _without_mark(text: str) -> str:
    return text.lstrip("\ufeff")


def _without_fence(text: str) -> str:
    stripped = text.strip()
    if not stripped.startswith("```"):
        return text
    _, _, body = stripped.partition("\n")
    return body.removesuffix("```").rstrip()


def _without_trailing_commas(text: str) -> str:
    pieces: list[str] = []
    end = 0
    for match in _STRING.finditer(text):
        pieces += _TRAILING_COMMA.sub(r"\1", text[end : match.start()]), match[0]
        end = match.end()
    pieces.append(_TRAILING_COMMA.sub(r"\1", text[end:]))
    return "".join(pieces)


def _without_lone_surrogates(text: str) -> str:
    r"""Half of an emoji, spelled `\ud83d`, is no character: it becomes U+FFFD, as everywhere."""
    return _SURROGATE_ESCAPE.sub(lambda match: match["whole"] or "\\ufffd", text)


_REPAIRS = (
    ("byte-order mark", _without_mark),
    ("code fence", _without_fence),
    ("control characters", escape_control_characters),
    ("trailing comma", _without_trailing_commas),
    ("lone surrogate", _without_lone_surrogates),
)
_INVALID = object()


def _decode(text: str) -> object:
    try:
        # NaN and Infinity are no JSON: strict endpoints would refuse the history.
        return from_json(text, allow_inf_nan=False)
    except (TypeError, ValueError):  # a TypeError: half of a surrogate pair in the text
        return _INVALID
