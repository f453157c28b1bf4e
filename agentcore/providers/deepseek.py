"""DeepSeek: keep-alive comments while a request is queued, and reasoning that must go back."""

from typing_extensions import override

from agentcore.clocks import Clocks
from agentcore.families import CapParameter, ModelFamily
from agentcore.messages import JsonObject, Message
from agentcore.providers.base import Capabilities, ProviderAdapter, Request

__all__ = ["DeepSeek"]

NO_REASONING = " "
"""Stands for reasoning that a message does not have. V4 was seen to refuse an empty text
(NousResearch/hermes-agent#17341) and to take it (theopenco/llmgateway#2093); it takes this."""


class DeepSeek(ProviderAdapter):
    """https://api.deepseek.com, chat completions."""

    name = "deepseek"
    base_url = "https://api.deepseek.com/v1"
    api_key_env = "DEEPSEEK_API_KEY"
    # `: keep-alive` comes while a request waits; one that has not begun after 10 minutes is closed
    # (api-docs.deepseek.com/quick_start/rate_limit; an older page said 30).
    clocks = Clocks(first_event=600.0)
    # Nowhere documented here; MiniMax refuses it (iOfficeAI/gemini-cli-pro#33).
    capabilities = Capabilities(reasoning_details=False, extra_content=False)

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """The one that is documented (pi-ai 1.5.2 sends it, too)."""
        return "max_tokens"

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        """Every assistant message carries its reasoning, or what stands for it.

        With tools, the thinking models refuse a history in which one lacks it, be it a text
        (MoonshotAI/kimi-cli#2141) or from another endpoint: `The reasoning_content in the thinking
        mode must be passed back to the API`. That came with V3.2 on 2025-12-01
        (AstrBotDevs/AstrBot#4174); before, the page on R1 said that the very field is refused.
        """
        body = super().message(message, family)
        if message.role == "assistant":
            for name in family.returned_reasoning:
                body.setdefault(name, NO_REASONING)
        return body
