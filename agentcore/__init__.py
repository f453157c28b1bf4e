"""The tool loop for agents that write large files through gateways that drop connections."""

from agentcore.agent import Agent, EventStream, send_all
from agentcore.classification import Classification, classify
from agentcore.clocks import Clocks
from agentcore.error_rules import ErrorRule
from agentcore.errors import AgentCoreError, ConfigurationError, RunError
from agentcore.events import RunEvent
from agentcore.facts import (
    ErrorFacts,
    Surface,
    facts_of_exception,
    facts_of_payload,
    facts_of_report,
)
from agentcore.families import ModelFamily, family_of
from agentcore.history import KeepUnder
from agentcore.kinds import CutCause, ErrorKind, Strength
from agentcore.ledger import AttemptRecord
from agentcore.messages import Message, Usage, dump_messages, load_messages
from agentcore.providers import Local, OpenAI, OpenRouter, ProviderAdapter
from agentcore.retry import Backoff, Policy
from agentcore.run import RunResult
from agentcore.settings import Limits
from agentcore.tools.approval import ApprovalRequest, Approved, Denied
from agentcore.tools.base import ModelRetry, Tool, ToolContext, ToolFailed, ToolResult, tool
from agentcore.tools.toolset import Toolset

__all__ = [
    "Agent",
    "AgentCoreError",
    "ApprovalRequest",
    "Approved",
    "AttemptRecord",
    "Backoff",
    "Classification",
    "Clocks",
    "ConfigurationError",
    "CutCause",
    "Denied",
    "ErrorFacts",
    "ErrorKind",
    "ErrorRule",
    "EventStream",
    "KeepUnder",
    "Limits",
    "Local",
    "Message",
    "ModelFamily",
    "ModelRetry",
    "OpenAI",
    "OpenRouter",
    "Policy",
    "ProviderAdapter",
    "RunError",
    "RunEvent",
    "RunResult",
    "Strength",
    "Surface",
    "Tool",
    "ToolContext",
    "ToolFailed",
    "ToolResult",
    "Toolset",
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
