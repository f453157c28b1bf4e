"""The tools that come with agentcore, by name."""

from typing import Final

from agentcore.tools.approval import ApprovalRequest, Approved, Denied
from agentcore.tools.base import (
    Continuation,
    CutDraft,
    FunctionTool,
    ModelRetry,
    Tool,
    ToolContext,
    ToolFailed,
    ToolResult,
    tool,
)
from agentcore.tools.code import execute_code
from agentcore.tools.files import (
    FileRules,
    PathRule,
    edit_file,
    file_tools,
    list_files,
    read_file,
    search_files,
    write_file,
)
from agentcore.tools.toolset import Toolset

__all__ = [
    "BUILTIN_TOOLS",
    "ApprovalRequest",
    "Approved",
    "Continuation",
    "CutDraft",
    "Denied",
    "FileRules",
    "FunctionTool",
    "ModelRetry",
    "PathRule",
    "Tool",
    "ToolContext",
    "ToolFailed",
    "ToolResult",
    "Toolset",
    "edit_file",
    "execute_code",
    "file_tools",
    "list_files",
    "read_file",
    "search_files",
    "tool",
    "write_file",
]

BUILTIN_TOOLS: Final[dict[str, Tool]] = {
    built_in.name: built_in
    for built_in in (write_file, read_file, edit_file, list_files, search_files, execute_code)
}
