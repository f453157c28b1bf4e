"""The tools that come with agentcore, and what your own are made with."""

from typing import TYPE_CHECKING

from agentcore.late import late_names

if TYPE_CHECKING:
    from agentcore.tools.approval import ApprovalRequest, Approved, Denied
    from agentcore.tools.base import (
        NOT_DONE,
        Begun,
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
    from agentcore.tools.builtin import BUILTIN_TOOLS
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

else:
    # Not for type checkers: with it they would take any name.
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "agentcore.tools.approval": "ApprovalRequest Approved Denied",
            "agentcore.tools.base": (
                "NOT_DONE Begun Continuation CutDraft FunctionTool ModelRetry Tool ToolContext "
                "ToolFailed ToolResult tool"
            ),
            "agentcore.tools.builtin": "BUILTIN_TOOLS",
            "agentcore.tools.code": "execute_code",
            "agentcore.tools.files": (
                "FileRules PathRule edit_file file_tools list_files read_file search_files "
                "write_file"
            ),
            "agentcore.tools.toolset": "Toolset",
        },
    )

__all__ = [
    "BUILTIN_TOOLS",
    "NOT_DONE",
    "ApprovalRequest",
    "Approved",
    "Begun",
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
