"""OpenAI's own endpoint, and what its strict validation wants of histories from elsewhere."""

from typing_extensions import override

from agentcore.clocks import Clocks
from agentcore.families import ModelFamily
from agentcore.providers.base import Capabilities, ProviderAdapter
from agentcore.providers.chat import SHORT_ID, shaped_id

__all__ = ["OpenAI"]


class OpenAI(ProviderAdapter):
    """https://api.openai.com, chat completions.

    `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID` are not read: pass them as `extra_headers`
    (`OpenAI-Organization`, `OpenAI-Project`).
    """

    name = "openai"
    base_url = "https://api.openai.com/v1"
    api_key_env = "OPENAI_API_KEY"
    # Not a byte comes while a model reasons, which may take minutes (mezmo/aura#62, gpt-5.2).
    clocks = Clocks(transport=600.0, first_event=600.0)
    # Unknown fields of a message are refused by models since gpt-5: `Unknown parameter:
    # 'messages[2].tool_calls[0].index'` was reported; for these two fields it is not sure.
    capabilities = Capabilities(reasoning_details=False, extra_content=False, strict_tools=True)

    @override
    def call_id(self, id_: str, family: ModelFamily) -> str:
        """Of 40 characters at most."""
        return shaped_id(id_, SHORT_ID)
