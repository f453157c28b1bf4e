"""The endpoints that come with agentcore, by the name in `"name:model"`."""

from typing import Final

from agentcore.providers.base import (
    ApiKey,
    Capabilities,
    OutputLimit,
    ProviderAdapter,
    Request,
    ToolStreaming,
    Wire,
)
from agentcore.providers.local import Local
from agentcore.providers.openai import OpenAI
from agentcore.providers.openrouter import OpenRouter

__all__ = [
    "PROVIDERS",
    "ApiKey",
    "Capabilities",
    "Local",
    "OpenAI",
    "OpenRouter",
    "OutputLimit",
    "ProviderAdapter",
    "Request",
    "ToolStreaming",
    "Wire",
]

PROVIDERS: Final[dict[str, type[ProviderAdapter]]] = {
    adapter.name: adapter for adapter in (OpenRouter, OpenAI, Local)
}
