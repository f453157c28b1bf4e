"""The tools that come with agentcore, by name."""

from typing import Final

from agentcore.tools.base import Continuation, CutDraft, Tool, ToolContext, ToolResult, tool
from agentcore.tools.code import execute_code
from agentcore.tools.files import read_file, write_file

__all__ = [
    "BUILTIN_TOOLS",
    "Continuation",
    "CutDraft",
    "Tool",
    "ToolContext",
    "ToolResult",
    "execute_code",
    "read_file",
    "tool",
    "write_file",
]

BUILTIN_TOOLS: Final[dict[str, Tool]] = {
    built_in.name: built_in for built_in in (write_file, read_file, execute_code)
}
