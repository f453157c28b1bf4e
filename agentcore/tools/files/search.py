"""`search_files`: lines that hold a text, or match a pattern.

The standard library's patterns cannot be stopped: `(a+)+$` over thirty letters holds the whole
process for minutes. So patterns are matched by the `regex` package, which takes a time limit.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from agentcore.tools.base import Tool, ToolContext, ToolResult, tool
from agentcore.tools.files.access import Access, Place, error_result, told_os_error, told_size
from agentcore.tools.files.confined import open_folder
from agentcore.tools.files.listing import MAX_SEEN
from agentcore.tools.files.paths import FileError, shown_name
from agentcore.tools.files.replacing import read_regular
from agentcore.tools.files.rules import FileRules
from agentcore.tools.files.texts import NotText, decoded
from agentcore.tools.files.tree import MAX_DEPTH, Entry, is_wanted, walk

__all__ = ["search_tool"]

MAX_SECONDS: Final = 10.0
"""For one search."""
MAX_FOUND_BYTES: Final = 24_000
MAX_SHOWN_CHARACTERS: Final = 300
"""Of one line: around what was found."""
BEFORE_CHARACTERS: Final = 80

_LEFT_OUT: Final = {
    "deeper": "folders too deep",
    "link": "links",
    "ignored": "folders such as .git",
    "unreadable": "that cannot be read",
}

Find: TypeAlias = Callable[[str], int]
"""Where in a line it stands, from 0 on; -1 when nowhere. Raises `TimeoutError`."""


def search_tool(rules: FileRules) -> Tool:
    """`search_files`, by rules."""

    @tool(reads="path", repeat="safe")
    def search_files(
        text: Annotated[
            str, Field(min_length=1, description="What to find, within one line, exactly.")
        ],
        context: ToolContext,
        path: Annotated[
            str, Field(description="Folder or file, relative to the workspace; '.' for all of it.")
        ] = ".",
        pattern: Annotated[
            str, Field(description="Only in files with such names, as in *.py or src/**/*.py.")
        ] = "",
        is_regex: Annotated[
            bool, Field(description="text is a regular expression, as Python has them.")
        ] = False,
        ignore_case: bool = False,
        context_lines: Annotated[
            int, Field(ge=0, le=10, description="Lines to show before and after each.")
        ] = 0,
        max_results: Annotated[int, Field(ge=1, le=500)] = 100,
    ) -> ToolResult:
        """Find lines in text files. Each is shown as path:line: text."""
        access = Access(context, rules)
        deadline = time.monotonic() + MAX_SECONDS
        try:
            find = _finder(text, deadline, is_regex=is_regex, ignore_case=ignore_case)
            found = _Found(context_lines=context_lines, max_results=max_results)
            _search(access, access.place(path), pattern, find, found, deadline)
            return ToolResult(content=found.told(shown_name(text)))
        except FileError as error:
            return error_result(str(error))

    return search_files


def _finder(text: str, deadline: float, *, is_regex: bool, ignore_case: bool) -> Find:
    """Raises FileError: `text` cannot be searched for."""
    if not is_regex:
        if "\n" in text:
            raise FileError("text has a line break: a search looks at each line by itself.")
        if not ignore_case:
            return lambda line: line.find(text)
        sought = text.casefold()
        return lambda line: line.casefold().find(sought)
    import regex  # only who searches by patterns needs it

    try:
        compiled = regex.compile(text, regex.IGNORECASE if ignore_case else 0)
    except (regex.error, OverflowError, RecursionError) as error:
        raise FileError(
            f"{shown_name(text)} is no regular expression: {error}. To find it as it stands, leave "
            "is_regex out."
        ) from None

    def find(line: str) -> int:
        match = compiled.search(line, timeout=max(deadline - time.monotonic(), 0.001))
        return -1 if match is None else match.start()

    return find


@dataclass(slots=True, kw_only=True)
class _Found:
    """What a search has come to so far."""

    context_lines: int
    max_results: int
    lines: list[str] = field(default_factory=list)
    count: int = 0
    files: int = 0
    room: int = MAX_FOUND_BYTES
    stopped: str = ""
    """Why it ended before the end."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why files were left out → how many."""

    def skip(self, why: str) -> None:
        self.skipped[why] = self.skipped.get(why, 0) + 1

    def add(self, shown: str) -> bool:
        """Another line to show; False when there is no room for it."""
        self.room -= len(shown.encode(errors="replace")) + 1
        if self.room < 0:
            self.stopped = "the result is full"
            return False
        self.lines.append(shown)
        return True

    def told(self, text: str) -> str:
        """All of it, for the model."""
        head = f"{text}: {self.count} lines in {self.files} files"
        if self.stopped:
            head += f"; stopped early, {self.stopped}: narrow it by path or pattern"
        left_out = ", ".join(f"{count} {why}" for why, count in sorted(self.skipped.items()))
        return "\n".join([head, *self.lines, *([f"Left out: {left_out}."] if left_out else [])])


def _search(
    access: Access, place: Place, pattern: str, find: Find, found: _Found, deadline: float
) -> None:
    with closing(_files(access, place, pattern, found)) as files:
        for parts in files:
            text = _text(access, parts, found)
            try:
                if text is not None:
                    _search_text("/".join(map(shown_name, parts)), text, find, found)
            except TimeoutError:
                found.stopped = f"{MAX_SECONDS:.0f} s are over"
            if time.monotonic() > deadline:
                found.stopped = f"{MAX_SECONDS:.0f} s are over"
            if found.stopped:
                return


def _files(
    access: Access, place: Place, pattern: str, found: _Found
) -> Generator[tuple[str, ...], None, None]:
    """The files to search, those left out counted."""
    workspace = access.context.workspace
    skip = len(place.parts)
    try:
        with closing(walk(workspace, place.parts, MAX_DEPTH)) as entries:
            for seen, entry in enumerate(entries):
                if seen >= MAX_SEEN:
                    found.stopped = "there are too many files"
                    return
                if why := _left_out(access.rules, entry):
                    found.skip(why)
                elif entry.kind == "file" and is_wanted(entry.parts[skip:], pattern):
                    yield entry.parts
    except NotADirectoryError:
        yield place.parts
    except FileNotFoundError:
        access.read(place)  # says which names are near
    except OSError as error:
        raise FileError(told_os_error(place.path, error)) from error


def _left_out(rules: FileRules, entry: Entry) -> str:
    """Why what was found is not searched; empty when it may be."""
    if entry.kind == "file":
        if rules.refusal(entry.parts, writes=False):
            return "that may hold secrets"
        is_large = entry.size > rules.max_search_bytes
        return f"over {told_size(rules.max_search_bytes)}" if is_large else ""
    return _LEFT_OUT.get(entry.kind, "")


def _text(access: Access, parts: Sequence[str], found: _Found) -> str | None:
    limit = access.rules.max_search_bytes
    try:
        with open_folder(access.context.workspace, parts[:-1]) as folder:
            data = read_regular(folder, parts[-1], limit)
    except OSError:
        found.skip("that cannot be read")
        return None
    if data is None:
        return None  # removed just now
    if len(data) > limit:
        found.skip(f"over {told_size(limit)}")
        return None
    try:
        return decoded(data).text
    except NotText:
        found.skip("that are no text")
        return None


def _search_text(path: str, text: str, find: Find, found: _Found) -> None:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if not lines[-1]:
        lines.pop()
    shown_to = 0
    """Lines of this file that have been shown, or were passed by."""
    hits = 0
    for number, line in enumerate(lines):
        place = find(line)
        if place < 0:
            continue
        if found.count >= found.max_results:
            found.stopped = f"there are more than {found.max_results}"
            break
        found.count += 1
        hits += 1
        around = found.context_lines
        first = max(shown_to, number - around)
        if around and hits > 1 and first > shown_to and not found.add("--"):
            break
        end = min(len(lines), number + around + 1)
        for near in range(first, end):
            mark, at = (":", place) if near == number else ("-", 0)
            if not found.add(f"{path}{mark}{near + 1}{mark} {_part(lines[near], at)}"):
                break
        shown_to = end
        if found.stopped:
            break
    found.files += hits > 0


def _part(line: str, place: int) -> str:
    """A line, of a long one the part around a place."""
    if len(line) <= MAX_SHOWN_CHARACTERS:
        return line
    start = max(0, place - BEFORE_CHARACTERS)
    end = start + MAX_SHOWN_CHARACTERS
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
