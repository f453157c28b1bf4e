"""The registry: the tools that come with agentcore, by name."""

from typing import Final

from agentcore.tools.base import Tool
from agentcore.tools.code import execute_code
from agentcore.tools.files import edit_file, list_files, read_file, search_files, write_file

__all__ = ["BUILTIN_TOOLS"]

BUILTIN_TOOLS: Final[dict[str, Tool]] = {
    built_in.name: built_in
    for built_in in (write_file, read_file, edit_file, list_files, search_files, execute_code)
}
