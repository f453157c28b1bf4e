"""OpenRouter: one key, many hosts; Claude's tool arguments stream by a header."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue
from typing_extensions import override

from agentcore.families import CapParameter, ModelFamily
from agentcore.providers.base import Capabilities, ProviderAdapter, Request, ToolStreaming

__all__ = ["OpenRouter"]

EAGER_BETA = "fine-grained-tool-streaming-2025-05-14"
"""Listed as passed through on OpenRouter's provider-selection page, read 2026-11-22."""


class OpenRouter(ProviderAdapter):
    """https://openrouter.ai, chat completions."""

    name = "openrouter"
    base_url = "https://openrouter.ai/api/v1"
    api_key_env = "OPENROUTER_API_KEY"
    # On text parts only, four at most: openrouter.ai/docs/guides/best-practices/prompt-caching, a
    # stored copy. Of tool messages the page says nothing: a breakpoint on their part was seen to
    # work (NousResearch/hermes-agent#57845), one beside their content hangs the request (#2391).
    capabilities = Capabilities(cache_breakpoints=True)

    echo_fields: ClassVar[Mapping[str, JsonValue]] = {"debug": {"echo_upstream_body": True}}

    @override
    def generation_id(self, headers: Mapping[str, str]) -> str:
        """What `GET /generation?id=…` is asked with."""
        return headers.get("x-generation-id", "")

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        """Without the beta a Claude call is silent until its arguments are whole.

        That silence is what a hop in between cuts at about 125 s (NousResearch/hermes-agent#3497).
        """
        if family.name.startswith("claude"):
            return ToolStreaming(headers={"x-anthropic-beta": EAGER_BETA})
        return ToolStreaming()

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """Both names are accepted; this one is documented."""
        return "max_tokens"
