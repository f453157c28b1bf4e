"""Anthropic's OpenAI-compatible endpoint. Its arguments count as held back until it is known."""

from collections.abc import Mapping

from pydantic import JsonValue
from typing_extensions import override

from agentcore.clocks import Clocks
from agentcore.families import CapParameter, ModelFamily
from agentcore.providers.base import (
    ApiKey,
    Capabilities,
    ProviderAdapter,
    Request,
    ToolStreaming,
)
from agentcore.providers.chat import WORD_ID, shaped_id

__all__ = ["Anthropic"]


class Anthropic(ProviderAdapter):
    """https://api.anthropic.com/v1, chat completions: a layer over the Messages API.

    The vendor means it for tests and comparison. Thinking is not returned, prompts are not cached,
    and system messages are joined and moved to the front
    (platform.claude.com/docs/en/api/openai-sdk, read 2026-11-22).
    """

    name = "anthropic"
    base_url = "https://api.anthropic.com/v1"
    api_key_env = "ANTHROPIC_API_KEY"
    # While a call is held back, the Messages API pings; whether this endpoint does is not
    # documented. A relay of it was silent for 330 s (github/copilot-cli#4286, 36,000 tokens).
    clocks = Clocks(transport=600.0)
    capabilities = Capabilities(reasoning_details=False, extra_content=False)

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: ApiKey | None = None,
        extra_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, JsonValue] | None = None,
        eager_tool_streaming: bool = False,
    ) -> None:
        """Set what the user wants different for this endpoint.

        Args:
            base_url: Instead of the class's own.
            api_key: As for every adapter.
            extra_headers: Sent with every request.
            extra_body: Top-level payload fields, sent with every request.
            eager_tool_streaming: Ask for each tool's arguments as they are generated, by the
                Messages API's field `eager_input_streaming`. This endpoint may ignore the field:
                then a large call looks stalled, and is cut after `Clocks.tool_arguments`. If it is
                refused, the next request goes without it.
        """
        super().__init__(
            base_url=base_url, api_key=api_key, extra_headers=extra_headers, extra_body=extra_body
        )
        self.eager_tool_streaming = eager_tool_streaming

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        """Nothing is sent by default: that this endpoint takes the field is not documented."""
        if self.eager_tool_streaming and family.name.startswith("claude"):
            return ToolStreaming(tool_fields={"eager_input_streaming": True})
        return ToolStreaming()

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """Both names are documented; this one is the Messages API's."""
        return "max_tokens"

    @override
    def call_id(self, id_: str, family: ModelFamily) -> str:
        """Of letters, digits, dashes and underscores."""
        return shaped_id(id_, WORD_ID)
