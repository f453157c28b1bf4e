"""`list_files`: what is in a folder of the workspace."""

from contextlib import closing
from typing import Annotated, Final

from pydantic import Field

from agentcore.tools.base import Tool, ToolContext, ToolResult, tool
from agentcore.tools.files.access import Access, Place, error_result, told_os_error
from agentcore.tools.files.paths import FileError, shown_name
from agentcore.tools.files.rules import FileRules
from agentcore.tools.files.tree import Entry, is_wanted, walk

__all__ = ["FolderPath", "list_tool"]

MAX_ENTRIES: Final = 500
MAX_LISTED_BYTES: Final = 24_000
MAX_SEEN: Final = 100_000
"""Names that are looked at before a listing gives up."""

FolderPath = Annotated[
    str, Field(description="Folder, relative to the workspace; '.' for the workspace itself.")
]


def list_tool(rules: FileRules) -> Tool:
    """`list_files`, by rules."""

    @tool(reads="path", repeat="safe")
    def list_files(
        context: ToolContext,
        path: FolderPath = ".",
        pattern: Annotated[
            str,
            Field(
                description="Only names that match, as in *.py; with a slash, whole paths from the "
                "folder on, as in src/**/*.py."
            ),
        ] = "",
        depth: Annotated[int, Field(ge=1, le=64, description="How many levels of folders.")] = 3,
    ) -> ToolResult:
        """List files and folders, with sizes in bytes. Folders end with a slash."""
        access = Access(context, rules)
        try:
            return _list(access, access.place(path), pattern, depth)
        except FileError as error:
            return error_result(str(error))

    return list_files


def _list(access: Access, place: Place, pattern: str, depth: int) -> ToolResult:
    lines: list[str] = []
    room = MAX_LISTED_BYTES
    is_cut = is_deeper = False
    skip = len(place.parts)
    try:
        with closing(walk(access.context.workspace, place.parts, depth)) as entries:
            for seen, entry in enumerate(entries):
                is_deeper |= entry.kind == "deeper"
                is_cut = seen >= MAX_SEEN
                if not is_cut and is_wanted(entry.parts[skip:], pattern):
                    line = _line(entry, skip)
                    room -= len(line.encode()) + 1
                    is_cut = room < 0 or len(lines) >= MAX_ENTRIES
                    if not is_cut:
                        lines.append(line)
                if is_cut:
                    break
    except NotADirectoryError:
        raise FileError(f"{place.path} is a file, and no folder.") from None
    except FileNotFoundError:
        access.read(place)  # says which names are near
        raise FileError(f"{place.path} does not exist.") from None
    except OSError as error:
        raise FileError(told_os_error(place.path, error)) from error
    head = f"{place.path}: {len(lines)} entries"
    if pattern:
        head += f" that match {shown_name(pattern)}"
    notes: list[str] = []
    if is_cut:
        notes.append("There are more: give a folder in path, or a pattern.")
    if is_deeper:
        notes.append(f"Folders with (…) were not gone into: their depth is above {depth}.")
    return ToolResult(content="\n".join([head, *lines, *notes]))


def _line(entry: Entry, skip: int) -> str:
    name = "/".join(shown_name(part) for part in entry.parts[skip:])
    match entry.kind:
        case "file":
            return f"{name} {entry.size}"
        case "folder":
            return f"{name}/"
        case "ignored":
            return f"{name}/ (not listed: name it in path to see it)"
        case "deeper":
            return f"{name}/ (…)"
        case "link":
            return f"{name} -> {shown_name(entry.target)} (a link)"
        case "unreadable":
            return f"{name} (cannot be read)"
        case "other":
            return f"{name} (no regular file)"
