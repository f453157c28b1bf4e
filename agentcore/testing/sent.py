"""What a server sent, decoded for `check_transcript`: chat completions to texts and calls.

A decoder of its own, so that the judge shares no code with what it judges. It reads what arrived
and decides nothing.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from pydantic import JsonValue

from agentcore.messages import JsonObject

__all__ = ["SentAnswer", "SentCall", "as_object", "fields_so_far", "is_plain_object", "mended"]


@dataclass(slots=True)
class SentCall:
    """A call, as a server sent it."""

    id: str
    name: str
    fragments: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        """The argument text, its pieces joined."""
        # Some endpoints send all arguments so far with each delta.
        if len(self.fragments) > 1 and all(b.startswith(a) for a, b in pairwise(self.fragments)):
            return mended(self.fragments[-1])
        return mended("".join(self.fragments))

    @property
    def is_closed(self) -> bool:
        """The argument text is one closed object."""
        # The cheap question first: it is asked for every delta of a server that repeats the name.
        last = self.fragments[-1].rstrip() if self.fragments else ""
        return last.endswith(("}", '"', "`")) and as_object(self.arguments) is not None


@dataclass(slots=True)
class SentAnswer:
    """One answer, as a server sent it in chat completions."""

    text: str = ""
    reasoning: str = ""
    calls: list[SentCall] = field(default_factory=list)
    ended: bool = False
    """A finish reason came, or `[DONE]`, or the body was one JSON value."""
    by_index: dict[str, SentCall] = field(default_factory=dict)
    by_id: dict[str, SentCall] = field(default_factory=dict)

    @classmethod
    def of(cls, body: bytes | bytearray) -> "SentAnswer":
        """Decode the bytes of a response's body, whole or cut."""
        sent = cls()
        for data in _events(body.decode("utf-8-sig", "replace")):
            if data == "[DONE]":
                sent.ended = True
                break
            try:
                chunk: JsonValue = json.loads(data, strict=False)
            except (ValueError, RecursionError):
                continue
            choices = chunk.get("choices") if isinstance(chunk, dict) else None
            if isinstance(choices, list) and choices and isinstance(choices[0], dict):
                sent._take_choice(choices[0])
        sent.text, sent.reasoning = mended(sent.text), mended(sent.reasoning)
        # No history can hold a call without a name.
        sent.calls = [call for call in sent.calls if call.name]
        return sent

    def _take_choice(self, choice: JsonObject) -> None:
        delta, whole = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict) and delta:
            self._take(delta)
        elif isinstance(whole, dict):
            if whole.get("content") or whole.get("tool_calls") or whole.get("refusal"):
                self.text = self.reasoning = ""
                self.calls, self.by_index, self.by_id = [], {}, {}
                self._take(whole)
            self.ended = True
        self.ended = self.ended or choice.get("finish_reason") not in (None, "", "null")

    def _take(self, delta: JsonObject) -> None:
        self.reasoning += _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        content = delta.get("content") or delta.get("refusal")
        for part in content if isinstance(content, list) else [{"text": content}]:
            if isinstance(part, dict):
                self.text += _text(part.get("text"))
                thinking = part.get("thinking")
                for piece in thinking if isinstance(thinking, list) else [{"text": thinking}]:
                    self.reasoning += _text(piece.get("text")) if isinstance(piece, dict) else ""
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict):
                self._take_call(call)

    def _take_call(self, delta: JsonObject) -> None:
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        arguments = function.get("arguments")
        if isinstance(arguments, dict | list):
            arguments = json.dumps(arguments) if arguments else ""
        fragment = _text(arguments)
        index, id_, name = delta.get("index"), _text(delta.get("id")), _text(function.get("name"))
        call = self._find(index, id_)
        if call is None or _is_another(call, index, id_, name, fragment):
            call = SentCall(id_, name)
            self.calls.append(call)
        if index is not None:
            self.by_index[str(index)] = call
        if id_:
            self.by_id[id_] = call
        call.id, call.name = call.id or id_, call.name or name
        if call.fragments == ["{}"] and fragment.lstrip().startswith("{"):
            call.fragments.clear()  # some relays open with an empty object
        if fragment:
            call.fragments.append(fragment)

    def _find(self, index: JsonValue, id_: str) -> SentCall | None:
        known = self.by_id.get(id_)
        if index is None:
            return known or (self.calls[-1] if self.calls else None)
        call = self.by_index.get(str(index))
        return known if call is not None and known is not None and call.id != id_ else call


def _is_another(call: SentCall, index: JsonValue, id_: str, name: str, fragment: str) -> bool:
    """The delta begins a new call at the place of this one, as servers do that count badly."""
    other_id = bool(id_ and call.id and id_ != call.id)
    other_name = bool(call.name and name != call.name)
    if not name or (id_ and not other_id):
        return False
    if other_name and (other_id or index is None):
        return True
    if other_id and not call.fragments and not fragment:
        return True  # two openings in a row
    if call.fragments == ["{}"] and index is not None and not (other_id or other_name):
        return False
    return call.is_closed and (other_id or fragment.lstrip().startswith("{"))


def _events(text: str) -> Iterator[str]:
    """The data of each server-sent event; all of the body when it is no stream of them."""
    lines = re.split(r"\r\n|\r|\n", text)
    if not any(line.startswith("data:") for line in lines):
        yield text
        return
    data: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


# --- JSON as models write it ----------------------------------------------------------------

_STRING = r'"(?:[^"\\]|\\.)*+"'
_TRAILING_COMMA = re.compile(rf"({_STRING}?)|,(?=\s*[}}\]])", re.DOTALL)
_NAME = re.compile(rf"[\s,]*({_STRING})\s*:\s*", re.DOTALL)
_BEGUN = re.compile(r'"(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt])*+')


def as_object(text: str) -> JsonObject | None:
    """The object that a text spells; None when it is no closed one."""
    value = _loads(text)
    if value is None:
        value = _loads(_plainer(text))
    if isinstance(value, str):  # encoded twice
        value = as_object(value) if value.lstrip().startswith("{") else None
    return value if isinstance(value, dict) else None


def is_plain_object(text: str) -> bool:
    """An object as strict endpoints take it back: nothing needs to be mended."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _loads(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value


def _plainer(text: str) -> str:
    """Without a byte order mark, a Markdown fence and trailing commas."""
    text = text.lstrip("\ufeff")
    if text.strip().startswith("```"):
        text = text.strip().partition("\n")[2].removesuffix("```")
    return _TRAILING_COMMA.sub(lambda match: match[1] or "", text)


def fields_so_far(text: str) -> dict[str, tuple[JsonValue, bool]]:
    """The fields that a text spells, cut or not: each value, and whether it has its end."""
    whole = as_object(text)
    if whole is not None:
        return {name: (value, True) for name, value in whole.items()}
    text = _plainer(text).lstrip()
    fields: dict[str, tuple[JsonValue, bool]] = {}
    at = 1
    while text.startswith("{") and (match := _NAME.match(text, at)):
        name, at = str(_loads(match[1])), match.end()
        try:
            value, at = json.JSONDecoder(strict=False).raw_decode(text, at)
        except (ValueError, RecursionError):
            if begun := _BEGUN.match(text, at):
                fields[name] = (_text(_loads(begun[0] + '"')), False)
            break
        # 12 may have become 120.
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fields[name] = (value, not is_number or at < len(text))
    return fields


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def mended(text: str) -> str:
    """Halves of a character joined, or replaced where they are alone: UTF-8 has no halves."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
