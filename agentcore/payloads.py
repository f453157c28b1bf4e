"""Error payloads as gateways nest them, taken apart into layers, outermost first.

A layer is what one object says of itself. Inside it may lie another: an `error` member,
`metadata.raw`, `details[]`, a list, or an object spelled inside a text, as JSON or as Python's
`repr`. Only members that name failures are opened: what a request echo holds stays shut.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from pydantic_core import from_json

from agentcore.durations import parse_duration, parse_number

__all__ = ["MAX_LAYERS", "MAX_TEXT_CHARACTERS", "Layer", "is_word", "read_layers", "shortened"]

MAX_TEXT_CHARACTERS = 1_408
"""How much of any one text is read: three quarters from its front, where bodies give their reason,
the rest from its end, where tracebacks do. A proxy's HTML page may be 1 MB."""

MAX_JSON_CHARACTERS = 8_192
"""How much of a text is parsed as JSON; of a longer one, the members that begin before."""

MAX_REPR_CHARACTERS = 1_280
"""The same for a Python `repr`, which takes longer to read."""

MAX_ALL_CHARACTERS = 10_240
"""How much of all texts of one payload is read."""

MAX_LAYERS = 64
"""How many objects, lists and texts of one payload are opened, in all. Seen in the wild: ten."""

MAX_DEPTH = 32
"""How many layers of nesting are opened. Seen in the wild: four."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer of a nested payload says of itself; empty where it says nothing."""

    code: str = ""
    type: str = ""
    param: str = ""
    message: str = ""
    reasons: tuple[str, ...] = ()
    """Codes, types, status words and reasons, lower case, without spaces."""
    statuses: tuple[int, ...] = ()
    """Numbers that read as an HTTP error status, 400 to 599."""
    delays: tuple[tuple[str, float], ...] = ()
    """Waits in a field of their own: (field, seconds)."""
    exceptions: tuple[str, ...] = ()
    """Class names at the head of the text: "litellm.RateLimitError: …"."""


_CODE_KEYS = (
    "code", "statusCode", "status_code", "http_code", "error_code", "errorCode", "errcode",
    "http_status_code", "http_status", "upstream_status", "error_status", "status", "Code",
    "err_code", "errno",
)  # fmt: skip
_WORD_KEYS = (
    *_CODE_KEYS, "type", "__type", "reason", "error_type", "errorType", "limit_source", "quotaId",
    "blockReason", "block_reason", "finish_reason", "finishReason", "stop_reason", "error",
    ":exception-type",
)  # fmt: skip
_TEXT_KEYS = (
    "message", "Message", "msg", "detail", "error_message", "errorMessage", "error_msg",
    "error_description", "description", "title", "status_msg", "finish_message", "err_msg",
)  # fmt: skip
_DELAY_KEYS = (
    "retry_after", "retryAfter", "retry-after", "Retry-After", "retry_after_seconds", "retryDelay",
    "retry_after_ms", "retry-after-ms",
)  # fmt: skip
_INNER_KEYS = (
    "error", "errors", "base_resp", "metadata", "headers", "raw", "details", "detail", "violations",
    "body", "response", "innererror", "inner_error", "cause", "choices", "promptFeedback", "param",
    "code", "Error", "header", "data", "responseBody", "response_body", "responseHeaders",
    "lastError", "incomplete_details", *_TEXT_KEYS,
)  # fmt: skip
# Case does not count: logs lower it. A bare "timeout" is a word, "readtimeout" is a name.
_CLASS = re.compile(
    r"(?<![\w.])(?:(?:[a-z_]\w{0,40}\.){1,8}\w{0,60}?|\w{3,60}?)"
    r"(?:error|exception|timeout|exhausted)\b",
    re.IGNORECASE,
)
_SAID = re.compile(
    r"\b(?:finish_?reason|stop_?reason|block_?reason|error_?type|limit_source)[\"']?\s*[:=(]\s*[\"']?"
    r"(\w{3,60})",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"[\"'`“]")
_STATUS = re.compile(r"[45][0-9]{2}")
_OBJECT = re.compile(r"[\[{]\s*(?:[\"'{\\]|u')")
_FIELD = re.compile(r"""["'\\](?:code|type|status|reason)\\*["']\s*:\s*\\*["']?([\w.-]{1,120})""")
# Each takes all up to its end, found or not, so that nothing is read twice.
_HIDDEN = re.compile(
    r"<(script|style)\b(?:[^<]|<(?!/\1))*(?:</\1>|\Z)|<!--(?:[^-]|-(?!->))*(?:-->|\Z)",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^<>]{0,400}>")
# A traceback's frames: paths and source lines name no failure.
_FRAME = re.compile(
    r'^[ \t]*File "[^"\n]{1,400}", line \d{1,9}[^\n]*\n(?:[ \t]{3,}[^\n]*\n)*', re.M
)
_REPR_TOKEN = re.compile(
    r"""[bu]?'((?:[^'\\]|\\.)*)'|("(?:[^"\\]|\\.)*")|\b(None|True|False)\b""", re.DOTALL
)
_REPR_NAMES = {"None": "null", "True": "true", "False": "false"}
_LONE_ESCAPE = re.compile(r"\\(?![\"\\/bfnrtu])(?:x([0-9a-fA-F]{2}))?")
_DECODER = json.JSONDecoder(strict=False, parse_int=lambda digits: int(digits[:18]))


def read_layers(payload: object) -> tuple[Layer, ...]:
    """The layers of a payload, outermost first. Total: anything gives layers, or none."""
    layers: list[Layer] = []
    # A foreign object may do anything when it is asked.
    with suppress(Exception):
        layers.extend(_Reader().read(payload, 0))
    return tuple(layers)


def is_word(text: str) -> bool:
    """One token, as codes and reasons are: no spaces, at most 120 characters."""
    return 0 < len(text) <= 120 and not any(map(str.isspace, text))


def shortened(text: str) -> str:
    """At most `MAX_TEXT_CHARACTERS` of a text: its front and its end."""
    if len(text) <= MAX_TEXT_CHARACTERS:
        return text
    front = MAX_TEXT_CHARACTERS * 3 // 4
    return f"{text[:front]}\n{text[front - MAX_TEXT_CHARACTERS + 1 :]}"


class _Reader:
    """Reads one payload, and stops when it has read enough: payloads may share or repeat parts."""

    def __init__(self) -> None:
        self._layers = MAX_LAYERS
        self._characters = MAX_ALL_CHARACTERS

    def read(self, node: object, depth: int) -> Iterator[Layer]:
        if depth > MAX_DEPTH or self._layers <= 0 or self._characters <= 0:
            return
        self._layers -= 1
        if isinstance(node, (bytes, bytearray)):
            node = node[: 4 * MAX_JSON_CHARACTERS].decode(errors="replace")
        if isinstance(node, str):
            self._characters -= min(len(node), MAX_JSON_CHARACTERS)
            words, found = _taken_apart(node)
            inside = list(self.read(found.value, depth + 1)) if found is not None else []
            # An object that was cut off before it said anything is a text like any other.
            if found is not None and not (found.is_whole or any(one.message for one in inside)):
                words = shortened(node.strip())
            if words:
                yield _layer_of_text(words, node)
            yield from inside
        elif isinstance(node, dict):
            if not _is_request(node):
                yield from self._object(node, depth)
        elif isinstance(node, (list, tuple)):
            for item in node[:MAX_LAYERS]:
                yield from self.read(item, depth + 1)
        elif (number := _number(node)) and _STATUS.fullmatch(number):
            yield Layer(code=number, reasons=(number,), statuses=(int(number),))

    def _object(self, node: dict[object, object], depth: int) -> Iterator[Layer]:
        texts: list[str] = []
        inner: list[object] = []
        for key in _INNER_KEYS:
            value = node.get(key)
            if isinstance(value, (dict, list, tuple, bytes)):
                inner.append(value)
            elif isinstance(value, str) and value:
                # Some put a sentence, or a whole payload, where a word belongs.
                front = value[:MAX_TEXT_CHARACTERS].lstrip()
                is_plain = not front.startswith(('"', "[", "{")) and _OBJECT.search(front) is None
                if key in _TEXT_KEYS and is_plain:
                    texts.append(value)
                elif key == "param" and not any(map(str.isdigit, front)):
                    continue
                elif key in ("error", "raw", *_TEXT_KEYS) or (" " in value and not is_word(value)):
                    inner.append(value)
            elif key in ("error", "raw"):
                inner.append(value)
        yield _layer(node, texts[:2])
        for value in inner:
            yield from self.read(value, depth + 1)


def _is_request(node: dict[object, object]) -> bool:
    """The request itself, repeated in a refusal: it holds the user's words, not the endpoint's."""
    messages = node.get("messages")
    return isinstance(messages, list) and any(
        isinstance(message, dict) and "role" in message for message in messages[:4]
    )


def _layer(node: dict[object, object], texts: list[str]) -> Layer:
    found = {key: word for key in _WORD_KEYS if (word := _word(node.get(key)))}
    words = list(found.values())
    if "status_msg" in node and "status_code" in found:
        # MiniMax: numbers of its own, which mean other things elsewhere.
        words = [f"base_resp:{found['status_code']}"]
    message = without_tags("\n".join(shortened(text.strip()) for text in texts))
    classes = _classes(message)
    words += [*_SAID.findall(message), *map(_last_part, classes)]
    numbers = [found[key] for key in _CODE_KEYS if key in found]
    kind = node.get("type")
    return Layer(
        code=next((found[key] for key in _CODE_KEYS if key in found and key != "status"), ""),
        type=found.get("type", "") if isinstance(kind, str) else "",
        param=_word(node.get("param")),
        message=message,
        reasons=tuple(word.lower() for word in words),
        statuses=tuple(int(number) for number in numbers if _STATUS.fullmatch(number)),
        delays=tuple(_delays(node)),
        exceptions=classes,
    )


def _layer_of_text(words: str, text: str) -> Layer:
    number = (int(words),) if _STATUS.fullmatch(words) else ()
    words = without_tags(words)
    classes = _classes(words)
    # An object that was cut off too early to be read may still name its code.
    spelled = [words] if is_word(words) else _FIELD.findall(text[:MAX_TEXT_CHARACTERS])
    return Layer(
        message=words,
        reasons=tuple(
            word.lower() for word in (*spelled, *_SAID.findall(words), *map(_last_part, classes))
        ),
        statuses=number,
        exceptions=classes,
    )


def _classes(text: str) -> tuple[str, ...]:
    """Names of exceptions at the head of a text, before anything is quoted."""
    head = _QUOTE.split(text[:300], maxsplit=1)[0]
    return tuple(_CLASS.findall(head)[:8])


def _last_part(name: str) -> str:
    """A class name without its module: `openai.RateLimitError` is told as a code is."""
    return name.rpartition(".")[2]


def _word(value: object) -> str:
    if isinstance(value, str):
        return value if is_word(value) else ""
    return _number(value)


def _number(value: object) -> str:
    """Digits of a whole number; longer ones than 64 bits are no code, and `str` may refuse them."""
    if isinstance(value, bool) or not isinstance(value, int) or value.bit_length() > 64:
        return ""
    return str(value)


def _delays(node: dict[object, object]) -> Iterator[tuple[str, float]]:
    for key in _DELAY_KEYS:
        value = node.get(key)
        number = str(value) if isinstance(value, (str, float)) else _number(value)
        if not number or len(number) > 40:
            continue
        seconds = parse_number(number)
        if seconds is None:
            seconds = parse_duration(number)
        elif key.endswith("ms"):
            seconds /= 1000
        if seconds is not None:
            yield key, seconds


# --- texts ----------------------------------------------------------------------------------


def without_tags(text: str) -> str:
    """The words of an HTML page; any other text as it is."""
    if "<" not in text or ">" not in text:
        return text
    return " ".join(_TAG.sub(" ", _HIDDEN.sub(" ", text)).split()) or text


@dataclass(frozen=True, slots=True)
class _Spelled:
    """What a text spells from some place on."""

    value: object
    length: int
    """Characters that it takes."""
    is_whole: bool
    """False when it was cut off."""


def _taken_apart(text: str) -> tuple[str, _Spelled | None]:
    """The words around an object that is spelled in a text, and the object; None when none is."""
    text = _FRAME.sub("", text[:MAX_ALL_CHARACTERS]).strip() if 'File "' in text else text.strip()
    if not text.startswith(("{", "[", '"')):
        match = _OBJECT.search(text[:MAX_TEXT_CHARACTERS])
        start = match.start() if match else len(text)
    else:
        start = 0
    found = _first_object(text[start : start + MAX_JSON_CHARACTERS])
    if found is None and start == 0 and (match := _OBJECT.search(text[1:MAX_TEXT_CHARACTERS])):
        # The brackets at the front were those of a log line.
        start = match.start() + 1
        found = _first_object(text[start : start + MAX_JSON_CHARACTERS])
    if found is None:
        return shortened(text), None
    around = f"{text[:start]} {text[start + found.length :]}"
    return shortened(around.strip()), found


def _first_object(text: str) -> _Spelled | None:
    """The object, list or text in quotes that a text begins with."""
    if not text:
        return None
    if text.startswith(('{\\"', '[\\"', '[{\\"')):
        text = text.replace('\\"', '"')
    # Without a single quote it is no repr, and looking for one costs more than all the rest.
    spellings = (text, _json_of_repr(text[:MAX_REPR_CHARACTERS])) if "'" in text else (text,)
    for spelled in spellings:
        try:
            value, end = _DECODER.raw_decode(spelled)
        except (ValueError, RecursionError):
            continue
        # The length is exact for JSON; what follows a repr is rarely worth reading.
        return _Spelled(value, end if spelled is text else len(text), is_whole=True)
    try:
        partial: object = from_json(spellings[-1], allow_partial=True)
    except (TypeError, ValueError):  # a TypeError: half of a surrogate pair in the text
        return None
    return _Spelled(partial, len(text), is_whole=False) if partial else None


def _json_of_repr(text: str) -> str:
    """A Python literal as JSON. By tokens: evaluating foreign text costs time and warns."""

    def token(match: re.Match[str]) -> str:
        single, double, name = match.groups()
        if name:
            return _REPR_NAMES[name]
        if double:
            return _LONE_ESCAPE.sub(_escape, double)
        plain = single.replace("\\'", "'").replace('\\"', '"').replace('"', '\\"')
        return f'"{_LONE_ESCAPE.sub(_escape, plain)}"'

    return _REPR_TOKEN.sub(token, text)


def _escape(match: re.Match[str]) -> str:
    return f"\\u00{match[1]}" if match[1] else ""
