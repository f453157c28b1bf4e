"""Moonshot (Kimi): calls must come back with the reasoning that led to them."""

from typing_extensions import override

from agentcore.families import CapParameter, ModelFamily
from agentcore.messages import JsonObject, Message
from agentcore.providers.base import Capabilities, ProviderAdapter, Request

__all__ = ["Moonshot"]

NO_REASONING = " "
"""Stands for reasoning that a call does not have: an empty text counts as missing, a space does
not (theopenco/llmgateway#2093, tried on kimi-k2.5 and k2.6; earendil-works/pi#4178)."""


class Moonshot(ProviderAdapter):
    """https://api.moonshot.ai, chat completions.

    Accounts of the Chinese platform use `base_url="https://api.moonshot.cn/v1"`.
    """

    name = "moonshot"
    base_url = "https://api.moonshot.ai/v1"
    api_key_env = "MOONSHOT_API_KEY"
    # Nowhere documented here; MiniMax refuses it (iOfficeAI/gemini-cli-pro#33).
    capabilities = Capabilities(reasoning_details=False, extra_content=False)

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """The vendor's own client (kimi-cli at 4a550eff) calls the other one deprecated."""
        return "max_completion_tokens"

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        """Every message with calls carries its reasoning, or what stands for it.

        `thinking is enabled but reasoning_content is missing in assistant tool call message`: so it
        is for calls that another endpoint's model made.
        """
        body = super().message(message, family)
        if "tool_calls" in body:
            for name in family.returned_reasoning:
                body.setdefault(name, NO_REASONING)
        return body
