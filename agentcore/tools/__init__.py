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
from agentcore.tools.files import read_file, write_file
from agentcore.tools.toolset import Toolset

__all__ = [
    "BUILTIN_TOOLS",
    "ApprovalRequest",
    "Approved",
    "Continuation",
    "CutDraft",
    "Denied",
    "FunctionTool",
    "ModelRetry",
    "Tool",
    "ToolContext",
    "ToolFailed",
    "ToolResult",
    "Toolset",
    "execute_code",
    "read_file",
    "tool",
    "write_file",
]

BUILTIN_TOOLS: Final[dict[str, Tool]] = {
    built_in.name: built_in for built_in in (write_file, read_file, execute_code)
}
