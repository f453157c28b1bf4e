"""OpenAI's own endpoint: the base class as it is, with its address."""

from agentcore.providers.base import ProviderAdapter

__all__ = ["OpenAI"]


class OpenAI(ProviderAdapter):
    """https://api.openai.com, chat completions.

    `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID` are not read: pass them as `extra_headers`
    (`OpenAI-Organization`, `OpenAI-Project`).
    """

    name = "openai"
    base_url = "https://api.openai.com/v1"
    api_key_env = "OPENAI_API_KEY"
