"""Files below the workspace: written, edited, read, listed and searched.

Paths are relative to the workspace and cannot leave it, also when somebody exchanges folders for
links meanwhile. A file is replaced whole and at once, so that nobody ever sees half of a write, and
it keeps its encoding, line ends and permissions. `file_tools` makes the tools with other rules.
"""

from pathlib import Path
from typing import Final

from agentcore.tools.base import Tool
from agentcore.tools.files.confined import open_folder, resolved
from agentcore.tools.files.edit import edit_tool
from agentcore.tools.files.listing import list_tool
from agentcore.tools.files.paths import FileError, parts_of
from agentcore.tools.files.read import read_tool
from agentcore.tools.files.replacing import read_regular
from agentcore.tools.files.rules import PATH_RULES, FileRules, PathRule
from agentcore.tools.files.search import search_tool
from agentcore.tools.files.write import write_tool

__all__ = [
    "PATH_RULES",
    "FileRules",
    "PathRule",
    "edit_file",
    "file_tools",
    "list_files",
    "read_below",
    "read_file",
    "search_files",
    "write_file",
]

MAX_COMPARED_BYTES: Final = 64 * 1024 * 1024
"""A larger file is not read to see whether a section stands in it."""


def file_tools(rules: FileRules | None = None) -> tuple[Tool, ...]:
    """`write_file`, `read_file`, `edit_file`, `list_files` and `search_files`, by your rules.

    Args:
        rules: What may be read and written; None for `FileRules()`.
    """
    rules = rules if rules is not None else FileRules()
    made = tuple(make(rules) for make in (write_tool, read_tool, edit_tool, list_tool, search_tool))
    for one in made:
        one.built_in = one.name
    return made


write_file, read_file, edit_file, list_files, search_files = file_tools()


def read_below(workspace: Path, path: str) -> bytes | None:
    """The bytes of a file below the workspace; None when there is none that can be read."""
    try:
        parts = resolved(workspace, parts_of(path, workspace))
        if not parts:
            return None
        with open_folder(workspace, parts[:-1]) as folder:
            data = read_regular(folder, parts[-1], MAX_COMPARED_BYTES)
    except (FileError, OSError):
        return None
    return data if data is not None and len(data) <= MAX_COMPARED_BYTES else None
