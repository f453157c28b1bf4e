"""`read_file`: lines of a text file, page by page."""

from typing import Annotated, Final

from pydantic import Field

from agentcore.tools.base import Tool, ToolContext, ToolResult, tool
from agentcore.tools.files.access import Access, Place, as_text, error_result
from agentcore.tools.files.paths import FileError
from agentcore.tools.files.rules import FileRules
from agentcore.tools.files.write import FilePath

__all__ = ["read_tool"]

MAX_READ_LINES: Final = 2_000
MAX_READ_BYTES: Final = 30_000
"""So that what is read fits into a tool's result, whole lines only."""


def read_tool(rules: FileRules) -> Tool:
    """`read_file`, by rules."""

    @tool(reads="path", repeat="safe")
    def read_file(
        path: FilePath,
        context: ToolContext,
        start_line: Annotated[int, Field(ge=1, description="First line to read.")] = 1,
        max_lines: Annotated[int, Field(ge=1, le=MAX_READ_LINES)] = MAX_READ_LINES,
        start_character: Annotated[
            int,
            Field(ge=1, description="Where in start_line to begin, for a line too long to show."),
        ] = 1,
    ) -> ToolResult:
        """Read lines of a text file."""
        access = Access(context, rules)
        try:
            place = access.place(path)
            lines = as_text(place, access.read(place)).lines
            if start_line > max(len(lines), 1):
                raise FileError(
                    f"{place.path} has {len(lines)} lines; line {start_line} is past its end."
                )
            if start_character > 1:
                return _within(place, lines, start_line, start_character)
            return _page(place, lines, start_line, max_lines)
        except FileError as error:
            return error_result(str(error))

    return read_file


def _page(place: Place, lines: list[str], start_line: int, max_lines: int) -> ToolResult:
    """As many whole lines as fit."""
    shown: list[str] = []
    room = MAX_READ_BYTES
    for line in lines[start_line - 1 : start_line - 1 + max_lines]:
        room -= len(line.encode())
        if room < 0:
            break
        shown.append(line)
    if lines and not shown:
        begun = _fitting(lines[start_line - 1])
        head = (
            f"{place.path}: the first {MAX_READ_BYTES} bytes of line {start_line} of {len(lines)}; "
            f"it goes on at start_character={len(begun) + 1}\n"
        )
        return ToolResult(content=head + begun)
    last = start_line - 1 + len(shown)
    head = f"{place.path}: lines {start_line} to {last} of {len(lines)}\n"
    return ToolResult(content=head + "".join(shown))


def _within(place: Place, lines: list[str], start_line: int, start: int) -> ToolResult:
    """A part of one long line."""
    line = lines[start_line - 1] if lines else ""
    if start > len(line):
        raise FileError(
            f"line {start_line} of {place.path} has {len(line)} characters; character {start} is "
            "past its end."
        )
    shown = _fitting(line[start - 1 :])
    last = start - 1 + len(shown)
    head = (
        f"{place.path}: characters {start} to {last} of {len(line)} of line {start_line} of "
        f"{len(lines)}\n"
    )
    return ToolResult(content=head + shown)


def _fitting(text: str) -> str:
    return text[:MAX_READ_BYTES].encode()[:MAX_READ_BYTES].decode(errors="ignore")
