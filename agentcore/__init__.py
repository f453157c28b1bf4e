"""The tool loop for agents that write large files through gateways that drop connections."""

from typing import TYPE_CHECKING

from agentcore.late import late_names

if TYPE_CHECKING:
    from agentcore.agent import Agent, EventStream, send_all
    from agentcore.classification import Classification, classify
    from agentcore.clocks import Clocks
    from agentcore.error_rules import ErrorRule
    from agentcore.errors import (
        AgentCoreError,
        ConfigurationError,
        JournalError,
        NotJournalled,
        RunBusy,
        RunError,
        RunLost,
        UnknownRun,
    )
    from agentcore.events import RunEvent
    from agentcore.facts import (
        ErrorFacts,
        Surface,
        facts_of_exception,
        facts_of_payload,
        facts_of_report,
    )
    from agentcore.families import ModelFamily, family_of
    from agentcore.handle import Arriving, JournalEvent, RunHandle, RunInfo
    from agentcore.history import KeepUnder
    from agentcore.journal.sqlite import SqliteStore
    from agentcore.kinds import CutCause, ErrorKind, Strength
    from agentcore.ledger import AttemptRecord
    from agentcore.messages import Message, Usage, dump_messages, load_messages
    from agentcore.providers import Local, OpenAI, OpenRouter, ProviderAdapter
    from agentcore.retry import Backoff, Policy
    from agentcore.run import RunResult
    from agentcore.settings import Limits
    from agentcore.tools.approval import ApprovalRequest, Approved, Denied
    from agentcore.tools.base import (
        NOT_DONE,
        Begun,
        ModelRetry,
        Tool,
        ToolContext,
        ToolFailed,
        ToolResult,
        tool,
    )
    from agentcore.tools.toolset import Toolset

else:
    # Not for type checkers: with it they would take any name.
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "agentcore.agent": "Agent EventStream send_all",
            "agentcore.classification": "Classification classify",
            "agentcore.clocks": "Clocks",
            "agentcore.error_rules": "ErrorRule",
            "agentcore.errors": (
                "AgentCoreError ConfigurationError JournalError NotJournalled RunBusy RunError "
                "RunLost UnknownRun"
            ),
            "agentcore.events": "RunEvent",
            "agentcore.facts": (
                "ErrorFacts Surface facts_of_exception facts_of_payload facts_of_report"
            ),
            "agentcore.families": "ModelFamily family_of",
            "agentcore.handle": "Arriving JournalEvent RunHandle RunInfo",
            "agentcore.history": "KeepUnder",
            "agentcore.journal.sqlite": "SqliteStore",
            "agentcore.kinds": "CutCause ErrorKind Strength",
            "agentcore.ledger": "AttemptRecord",
            "agentcore.messages": "Message Usage dump_messages load_messages",
            "agentcore.providers": "Local OpenAI OpenRouter ProviderAdapter",
            "agentcore.retry": "Backoff Policy",
            "agentcore.run": "RunResult",
            "agentcore.settings": "Limits",
            "agentcore.tools.approval": "ApprovalRequest Approved Denied",
            "agentcore.tools.base": (
                "NOT_DONE Begun ModelRetry Tool ToolContext ToolFailed ToolResult tool"
            ),
            "agentcore.tools.toolset": "Toolset",
        },
    )

__all__ = [
    "NOT_DONE",
    "Agent",
    "AgentCoreError",
    "ApprovalRequest",
    "Approved",
    "Arriving",
    "AttemptRecord",
    "Backoff",
    "Begun",
    "Classification",
    "Clocks",
    "ConfigurationError",
    "CutCause",
    "Denied",
    "ErrorFacts",
    "ErrorKind",
    "ErrorRule",
    "EventStream",
    "JournalError",
    "JournalEvent",
    "KeepUnder",
    "Limits",
    "Local",
    "Message",
    "ModelFamily",
    "ModelRetry",
    "NotJournalled",
    "OpenAI",
    "OpenRouter",
    "Policy",
    "ProviderAdapter",
    "RunBusy",
    "RunError",
    "RunEvent",
    "RunHandle",
    "RunInfo",
    "RunLost",
    "RunResult",
    "SqliteStore",
    "Strength",
    "Surface",
    "Tool",
    "ToolContext",
    "ToolFailed",
    "ToolResult",
    "Toolset",
    "UnknownRun",
    "Usage",
    "classify",
    "dump_messages",
    "facts_of_exception",
    "facts_of_payload",
    "facts_of_report",
    "family_of",
    "load_messages",
    "send_all",
    "tool",
]
