"""One text in a file exchanged for another: exactly, where it stands, and nothing else. Pure.

Line ends are the one thing that is not compared: models write line feeds, whatever a file has.
"""

from dataclasses import dataclass
from typing import Final

from agentcore.drafts import split_lines
from agentcore.tools.files.texts import Feeds, Text

__all__ = ["Edited", "NoEdit", "edited"]

MAX_SHOWN_PLACES: Final = 20
MAX_COUNTED_PLACES: Final = 100
"""Overlapping ones beyond are not looked for: in a text of one letter each takes all of `old`."""
MAX_SHOWN_BYTES: Final = 2_048
MAX_COMPARED_LINES: Final = 20_000
"""Of a longer file only lines that differ in blanks are found."""
MAX_COMPARED_CHARACTERS: Final = 200
MIN_LIKENESS: Final = 0.6


class NoEdit(Exception):
    """The edit cannot be made as it is; the text tells the model why, without the file's name."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A text with an edit made."""

    text: str
    lines: tuple[int, ...]
    """The lines at which it was made, counted from 1, as they were before it."""


def edited(there: Text, old: str, new: str, *, replace_all: bool) -> Edited:
    """Put `new` in the place of `old`.

    Every character outside of `old` stays, and of a line that stands alike at the beginning or the
    end of both its line end as well.

    Args:
        there: The file's text.
        old: What stands there; it must be found once, or `replace_all` be set.
        new: What is to stand there.
        replace_all: At every place, from the beginning on; those that overlap one before are left.

    Raises:
        NoEdit: `old` is empty, is not there, or more than once.
    """
    feeds, sought = Feeds.of(there.text), old.replace("\r\n", "\n")
    if not sought:
        raise NoEdit("old is empty: give the text that is to be replaced")
    if old == new:
        raise NoEdit("old and new are the same text")
    places = _places(feeds.text, sought, overlapping=not replace_all)
    numbers = _line_numbers(feeds.text, places)
    if not places:
        raise NoEdit(_not_found(feeds.text, sought, new.replace("\r\n", "\n")))
    if len(places) > 1 and not replace_all:
        or_more = " or more" if len(places) >= MAX_COUNTED_PLACES else ""
        shown = ", ".join(map(str, numbers[:MAX_SHOWN_PLACES]))
        more = " and more" if len(numbers) > MAX_SHOWN_PLACES else ""
        raise NoEdit(
            f"old stands at {len(places)} places{or_more}, which begin at lines "
            f"{shown}{more}: give more "
            "lines around the one that is meant, or set replace_all"
        )
    parts: list[str] = []
    end = 0
    for place in places:
        start = feeds.original(place)
        parts.append(there.text[end:start])
        end = feeds.original(place + len(sought))
        parts.append(_in_place(there, there.text[start:end], old, new))
    text = "".join([*parts, there.text[end:]])
    if text == there.text:
        raise NoEdit("it holds exactly this already; line ends are kept as they are")
    return Edited(text, tuple(numbers))


def _in_place(there: Text, matched: str, old: str, new: str) -> str:
    """`new` with the line ends that belong at a place, which holds `matched`."""
    if "\r\n" in old and "\r\n" not in matched:
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")  # of the model's own making
    stand, before, after = split_lines(matched), split_lines(old), split_lines(new)
    shortest = min(len(before), len(after))
    head = 0
    while head < shortest and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < shortest - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    fresh = after[head : len(after) - tail]
    if "\r" not in new:
        gone = stand[head : len(stand) - tail]
        if len(gone) == len(fresh):  # line for line
            ends = ["\r\n" if line.endswith("\r\n") else "\n" for line in gone]
        else:
            ends = [_line_end(there, matched)] * len(fresh)
        fresh = [line.replace("\n", end) for line, end in zip(fresh, ends, strict=True)]
    return "".join([*stand[:head], *fresh, *stand[len(stand) - tail :]])


def _line_end(there: Text, matched: str) -> str:
    """The line end of a place: what most of its own lines have, else what the file's have."""
    return Text(matched).line_end if "\n" in matched else there.line_end


def _places(text: str, sought: str, *, overlapping: bool) -> list[int]:
    places: list[int] = []
    place = text.find(sought)
    while place >= 0 and not (overlapping and len(places) >= MAX_COUNTED_PLACES):
        places.append(place)
        place = text.find(sought, place + (1 if overlapping else len(sought)))
    return places


def _line_numbers(text: str, places: list[int]) -> list[int]:
    """The line of each place, counted from 1; places ascend."""
    numbers: list[int] = []
    line, counted = 1, 0
    for place in places:
        line += text.count("\n", counted, place)
        counted = place
        numbers.append(line)
    return numbers


# --- what is nearest ------------------------------------------------------------------------


def _not_found(text: str, sought: str, new: str) -> str:
    said = "old does not stand there"
    again = text.find(new) if new.strip() else -1
    if again >= 0:
        line = text.count("\n", 0, again) + 1
        return (
            f"{said}, but new does, at line {line}: the edit may have been made before. Read the "
            "file before you go on"
        )
    lines, wanted = split_lines(text), split_lines(sought)
    # The longest line is the one that is most likely to be like no other.
    anchor = max(range(len(wanted)), key=lambda number: len(wanted[number].strip()))
    nearest, is_blanks = _nearest(lines, wanted[anchor])
    if nearest is None:
        return f"{said}, nor anything like it. Read the file, and copy what it holds"
    first = max(0, nearest - anchor)
    shown = _numbered(lines, first, min(len(lines), first + len(wanted)), nearest)
    why = " (it differs in blanks)" if is_blanks else ""
    return f"{said}. Nearest is{why}, to be copied exactly, without the numbers:\n{shown}"


def _nearest(lines: list[str], wanted: str) -> tuple[int | None, bool]:
    """The line that is most like one that is wanted, and whether only blanks differ."""
    plain = "".join(wanted.split())
    if not plain:
        return None, False
    for number, line in enumerate(lines):
        if len(line) >= len(plain) and "".join(line.split()) == plain:
            return number, True
    if len(lines) > MAX_COMPARED_LINES:
        return None, False
    from difflib import SequenceMatcher  # only for a text that is not there

    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted.strip()[:MAX_COMPARED_CHARACTERS])
    best, nearest = MIN_LIKENESS, None
    for number, line in enumerate(lines):
        matcher.set_seq1(line.strip()[:MAX_COMPARED_CHARACTERS])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
            ratio = matcher.ratio()
            if ratio > best:
                best, nearest = ratio, number
    return nearest, False


def _numbered(lines: list[str], first: int, end: int, nearest: int) -> str:
    """Lines with their numbers, as many as fit, the nearest among them."""
    shown: list[str] = []
    room = MAX_SHOWN_BYTES
    if sum(len(line.encode()) + 8 for line in lines[first : nearest + 1]) > room:
        first = nearest
    for number in range(first, end):
        line = lines[number].rstrip("\n")
        room -= len(line.encode()) + 8
        if room < 0:
            if not shown:
                line = line.encode()[: MAX_SHOWN_BYTES - 8].decode(errors="ignore")
                shown.append(f"{number + 1}: {line}…")
            break
        shown.append(f"{number + 1}: {line}")
    return "\n".join(shown)
