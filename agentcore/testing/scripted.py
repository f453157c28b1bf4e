"""`ScriptedModel`: writes a file that it knows, and obeys as far as its temperament lets it.

Like a real model it sees the request's JSON and nothing else: it keeps no state of its own, and
reads guidance as text.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, assert_never

from pydantic import JsonValue

from agentcore.messages import JsonObject, Usage
from agentcore.testing.answers import Answer, Call

__all__ = ["ScriptedModel", "Temperament"]

# --- how it reads a tool's result: the first match counts, a comma may part thousands ----------

_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+)"
_ACCEPTED = re.compile(rf"{_NUMBER} lines? on disk now")
_LINES_THERE = re.compile(
    rf"{_NUMBER} lines? on disk now"
    rf"|(?:\bhas |\balready: |\balready \(){_NUMBER} lines?\b"
    rf"|\bholds lines 1 to {_NUMBER}\b"
)
_NOT_THERE = re.compile(r"\bdoes not exist\b")
_IN_THE_WAY = re.compile(r"\bexists already\b")
_CUT = re.compile(r"\bwas cut\b")
_TEXT_FIRST = re.compile(r"\bplain text\b")
_NEXT_CALL = re.compile(r"\bnext(?: call)?:\s*(.*)", re.I)
_MODE = re.compile(r'\bmode="(\w+)"')
_START_LINE = re.compile(rf"\bstart_line={_NUMBER}")
_RESUME = re.compile(r'\bresume="([^"]+)"')
_AT_MOST = re.compile(rf"\bat most {_NUMBER} lines")
_QUOTED_TAIL = re.compile(r"last lines are:(?s:.*)|last (?:of them|line) is:[^\n]*")
"""The file's own words: they may sound like ours."""

_PLAN: Final = "Plan: one file.\n"
_CODE_TOOL: Final = "execute_code"
_FORGOTTEN_LINES: Final = 7
_OVERLAP_LINES: Final = 3
_DIGITS = re.compile(r"([0-9]{1,15})")

_PROGRAM: Final = """\
from pathlib import Path

path = Path({path})
path.parent.mkdir(parents=True, exist_ok=True)
with path.open({mode}, encoding="utf-8", newline="") as file:
    file.write({text})
with path.open("rb") as file:
    print(sum(1 for _ in file), "lines on disk now")
"""


class Temperament(StrEnum):
    """How a model takes what it is told."""

    OBEDIENT = "obedient"
    """Makes the next call that it is told: its mode, its first line, at most so many lines."""
    REPEATS = "repeats"
    """Sends every section that went through a second time before it goes on."""
    FORGETS = "forgets"
    """Goes on some lines too early or too late, until an error tells the true count."""
    STUBBORN = "stubborn"
    """Sends the whole file in one call, whatever it is told."""
    OVERLAPS = "overlaps"
    """Begins an append some lines before the line that it was told, and that it states."""
    SWITCHES_TOOL = "switches-tool"
    """Writes the rest with a program once a call was cut, if `execute_code` is on offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedModel:
    """Call it with the request's JSON; it gives the answer. The same JSON, the same answer."""

    path: str
    text: str
    """What the file must hold in the end: any text that UTF-8 can carry."""
    tool: str = "write_file"
    temperament: Temperament = Temperament.OBEDIENT
    lines_off: int = 0
    """How many lines `FORGETS` and `OVERLAPS` are off; 0 for 7 and 3."""
    deaf_for: int = 0
    """How many cuts `STUBBORN` takes before it obeys; 0: it never does."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("ScriptedModel(path=''): name the file that it writes")
        if not self.tool:
            raise ValueError("ScriptedModel(tool=''): name the tool that it writes with")
        if self.temperament not in set(Temperament):
            raise ValueError(
                f"ScriptedModel(temperament={self.temperament!r}): there are "
                f"{', '.join(Temperament)}"
            )
        object.__setattr__(self, "temperament", Temperament(self.temperament))
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"ScriptedModel(text=…): character {error.start} is half of a surrogate pair, "
                "which no file can hold; leave it out"
            ) from error

    def __call__(self, body: Mapping[str, JsonValue]) -> Answer:
        """The next answer to this conversation."""
        talk = _read(body)
        call = self._call(talk)
        if call is None:
            count = talk.whereabouts.lines or len(self._lines)
            text = f"{self.path} is written: {count} lines."
        else:
            text = _PLAN if talk.told.text_first else ""
        return Answer(
            text=text,
            calls=(call,) if call is not None else (),
            usage=Usage(
                input_tokens=talk.characters // 4,
                output_tokens=(len(text) + len(call.arguments if call else "")) // 4 + 1,
            ),
        )

    @property
    def _lines(self) -> list[str]:
        """With their ends; only a line feed ends one, as in every editor's count."""
        return re.findall(r"[^\n]*\n|[^\n]+", self.text)

    def _call(self, talk: "_Talk") -> Call | None:
        """What its temperament makes of the section that it should send; None when it is done."""
        section = self._section(talk)
        match self.temperament:
            case Temperament.OBEDIENT:
                pass
            case Temperament.REPEATS:
                if talk.has_new_section:
                    return replace(talk.exchanges[-1].call, id=talk.next_id)
            case Temperament.FORGETS:
                section = self._miscounted(section, talk)
            case Temperament.STUBBORN:
                cuts = sum(one.told.was_cut for one in talk.exchanges)
                is_deaf = not self.deaf_for or cuts <= self.deaf_for
                if is_deaf and (section is not None or talk.told.was_cut):
                    section = self._whole
            case Temperament.OVERLAPS:
                section = _overlapping(section, self.lines_off or _OVERLAP_LINES)
            case Temperament.SWITCHES_TOOL:
                if section is not None and talk.can_switch:
                    return self._program(section, talk)
            case _:
                assert_never(self.temperament)
        return self._write(section, talk) if section is not None else None

    # --- what it should send ----------------------------------------------------------------

    def _section(self, talk: "_Talk") -> "_Section | None":
        """What the conversation asks for; None when the file has all its lines."""
        told = talk.whereabouts
        total = len(self._lines)
        at_most = talk.at_most or total
        if told.start_line is not None:
            if told.start_line > max(total, 1) and not told.resume:
                return None
            return _Section(
                mode=told.mode, start_line=told.start_line, count=at_most, resume=told.resume
            )
        if told.lines is None:
            return self._whole
        if told.in_the_way and not talk.accepted:
            return _Section(mode="overwrite", start_line=1, count=at_most)
        if told.lines >= total:
            return None
        return _Section(mode="append", start_line=told.lines + 1, count=at_most)

    @property
    def _whole(self) -> "_Section":
        return _Section(mode="overwrite", start_line=1, count=len(self._lines))

    # --- what its temperament makes of it ---------------------------------------------------

    def _miscounted(self, section: "_Section | None", talk: "_Talk") -> "_Section | None":
        """Too early once an odd number of sections went through, too late once an even one did."""
        if section is None or section.mode != "append" or not talk.told.accepted:
            return section
        off = self.lines_off or _FORGOTTEN_LINES
        early = max(section.start_line - off, 1)
        late = section.start_line + off
        is_late = talk.accepted % 2 == 0 and late <= len(self._lines)
        return replace(section, start_line=late if is_late else early)

    def _program(self, section: "_Section", talk: "_Talk") -> Call:
        """A program that writes the rest; after a program was cut, a shorter part of it."""
        if section.resume:
            section = self._whole  # what was parked is out of a program's reach
        count = len(self._lines)
        if cuts := sum(one.told.was_cut for one in talk.programs):
            count = max(min(talk.at_most or count, count >> cuts), 1)
        code = _PROGRAM.format(
            path=ascii(self.path),
            mode=ascii("a" if section.mode == "append" else "w"),
            text=_expression(replace(section, count=count).of(self._lines)),
        )
        return Call(name=_CODE_TOOL, arguments=json.dumps({"code": code}), id=talk.next_id)

    def _write(self, section: "_Section", talk: "_Talk") -> Call:
        states_line = section.mode == "append" or section.start_line > 1
        arguments: JsonObject = {
            "path": self.path,
            "mode": section.mode,
            "start_line": section.start_line if states_line else None,
        }
        if section.resume and "resume" in talk.on_offer.get(self.tool, ()):
            arguments["resume"] = section.resume
        arguments["content"] = "".join(section.of(self._lines))
        return Call(name=self.tool, arguments=json.dumps(arguments), id=talk.next_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """Lines of the file for one call."""

    mode: str
    start_line: int
    """What the call states, from 1."""
    count: int
    overlap: int = 0
    """So many lines before `start_line` it really begins."""
    resume: str = ""

    def of(self, lines: Sequence[str]) -> Sequence[str]:
        """Its part of all the lines."""
        first = self.start_line - 1 - self.overlap
        return lines[first : first + self.count]


def _overlapping(section: _Section | None, lines: int) -> _Section | None:
    if section is None or section.mode != "append":
        return section
    overlap = min(lines, section.start_line - 1)
    return replace(section, overlap=overlap, count=max(section.count, overlap + 1))


# --- a text as an expression of Python ------------------------------------------------------


def _expression(lines: Sequence[str]) -> str:
    """Python that gives these lines: computed where that is shorter, else the literal text."""
    literal = ascii("".join(lines))
    computed = _computed(lines)
    return computed if 0 < len(computed) < len(literal) else literal


def _computed(lines: Sequence[str]) -> str:
    """Python that computes lines in which only numbers differ, evenly growing; empty for others."""
    if len(lines) < 2:
        return ""
    first, second = (_DIGITS.split(line) for line in lines[:2])
    if len(first) != len(second):
        return ""
    template = "".join(
        _number_field(part) if position % 2 else part.replace("%", "%%")
        for position, part in enumerate(first)
    )
    starts = [int(digits) for digits in first[1::2]]
    steps = [int(digits) - start for digits, start in zip(second[1::2], starts, strict=True)]
    numbers = list(zip(starts, steps, strict=True))
    rows = (
        template % tuple(start + step * i for start, step in numbers) for i in range(len(lines))
    )
    text, wanted = "".join(rows), "".join(lines)
    if text not in (wanted, wanted + "\n"):
        return ""
    fields = "".join(f"{start} + {step} * i, " for start, step in numbers)
    clip = "" if text == wanted else "[:-1]"  # the file's last line has no line break
    return f"''.join({template!a} % ({fields}) for i in range({len(lines)})){clip}"


def _number_field(digits: str) -> str:
    return f"%0{len(digits)}d" if digits.startswith("0") else "%d"


# --- reading the request --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What one tool result says, as far as this model understands it."""

    accepted: bool = False
    """A section went through."""
    was_cut: bool = False
    text_first: bool = False
    """Plain text is to come before the next call."""
    in_the_way: bool = False
    """The file was there already, and was not touched."""
    lines: int | None = None
    """How many lines the file has."""
    start_line: int | None = None
    """Where the next call begins; None when no next call is told."""
    mode: str = ""
    """Of the next call."""
    resume: str = ""
    """Of the next call: the id of a text that was put aside."""
    at_most: int = 0
    """Lines a call may have; 0 when no limit is told."""

    @property
    def says_where(self) -> bool:
        """It tells at which line to go on."""
        return self.lines is not None or self.start_line is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exchange:
    """A call and its result."""

    call: Call
    told: _Told

    def is_again(self, other: "_Exchange") -> bool:
        """The same call a second time."""
        return replace(self.call, id="") == replace(other.call, id="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talk:
    """A request, read."""

    exchanges: tuple[_Exchange, ...]
    """The calls and results since the person spoke last, oldest first."""
    on_offer: Mapping[str, Sequence[str]]
    """Each tool's parameters."""
    next_id: str
    characters: int
    """Length of all messages, as JSON."""

    @property
    def told(self) -> _Told:
        """What the latest result says."""
        return self.exchanges[-1].told if self.exchanges else _Told()

    @property
    def whereabouts(self) -> _Told:
        """The latest result that tells where to go on."""
        told = (one.told for one in reversed(self.exchanges) if one.told.says_where)
        return next(told, _Told())

    @property
    def at_most(self) -> int:
        """The last limit on lines that was told; 0 for none."""
        return next((one.told.at_most for one in reversed(self.exchanges) if one.told.at_most), 0)

    @property
    def accepted(self) -> int:
        """How many sections went through."""
        return sum(one.told.accepted for one in self.exchanges)

    @property
    def has_new_section(self) -> bool:
        """The last call went through, and was not itself a repetition."""
        before = (one for one in self.exchanges[-2:-1] if one.told.accepted)
        return self.told.accepted and not any(self.exchanges[-1].is_again(one) for one in before)

    @property
    def programs(self) -> tuple[_Exchange, ...]:
        """The calls that ran a program, or were cut in one."""
        return tuple(one for one in self.exchanges if one.call.name == _CODE_TOOL)

    @property
    def can_switch(self) -> bool:
        """A call was cut, programs are on offer, and none has failed by itself."""
        return (
            any(one.told.was_cut for one in self.exchanges)
            and "code" in self.on_offer.get(_CODE_TOOL, ())
            and all(one.told.accepted or one.told.was_cut for one in self.programs)
        )


def _read(body: Mapping[str, JsonValue]) -> _Talk:
    messages = _objects(body.get("messages"))
    exchanges: list[_Exchange] = []
    calls: dict[str, Call] = {}
    for message in messages:
        for made in _objects(message.get("tool_calls")):
            function = _object(made.get("function"))
            calls[str(made.get("id"))] = Call(
                name=str(function.get("name")), arguments=str(function.get("arguments"))
            )
        if message.get("role") == "tool":
            call = calls.get(str(message.get("tool_call_id")), Call(name="", arguments=""))
            told = _understand(_content(message))
            exchanges.append(_Exchange(call=call, told=told))
        elif message.get("role") == "user":
            exchanges.clear()
    answers = sum(message.get("role") == "assistant" for message in messages)
    return _Talk(
        exchanges=tuple(exchanges),
        on_offer=dict(_parameters(tool) for tool in _objects(body.get("tools"))),
        next_id=f"call_{answers + 1:04}",
        characters=len(json.dumps(messages)),
    )


def _content(message: JsonObject) -> str:
    """A message's text, also when it comes in parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in _objects(content))
    return str(content or "")


def _understand(result: str) -> _Told:
    said = _QUOTED_TAIL.sub("", result)
    told = (match[1] for match in _NEXT_CALL.finditer(said))
    next_call = next((call for call in told if _START_LINE.search(call)), "")
    start_line = _number(_START_LINE, next_call)
    if start_line is None and _NOT_THERE.search(said):
        start_line = 1
    return _Told(
        accepted=_ACCEPTED.search(said) is not None,
        was_cut=_CUT.search(said) is not None,
        text_first=_TEXT_FIRST.search(said) is not None,
        in_the_way=_IN_THE_WAY.search(said) is not None,
        lines=_number(_LINES_THERE, said),
        start_line=start_line,
        mode=_word(_MODE, next_call) or ("overwrite" if start_line in (None, 1) else "append"),
        resume=_word(_RESUME, next_call),
        at_most=_number(_AT_MOST, said) or 0,
    )


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return int(found[found.lastindex or 0].replace(",", "")) if found else None


def _word(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _parameters(tool: JsonObject) -> tuple[str, Sequence[str]]:
    """A tool's name and its parameters' names."""
    function = _object(tool.get("function"))
    schema = _object(function.get("parameters"))
    return str(function.get("name")), tuple(_object(schema.get("properties")))


def _objects(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
