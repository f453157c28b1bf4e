"""Any OpenAI-compatible server of one's own: vLLM, llama.cpp, Ollama, LM Studio, LiteLLM."""

from typing_extensions import override

from agentcore.clocks import Clocks
from agentcore.families import CapParameter
from agentcore.providers.base import Capabilities, ProviderAdapter, Request

__all__ = ["Local"]


class Local(ProviderAdapter):
    """A server at an address that you give; a key only if it wants one.

    The host decides windows and caps, so no family's figures are sent. Loading a model may take
    minutes before the first byte.
    """

    name = "local"
    api_key_env = "LOCAL_API_KEY"
    api_key_required = False
    clocks = Clocks(first_byte=600.0, first_event=600.0)
    capabilities = Capabilities(family_limits=False)

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """The older name is the one that every such server takes."""
        return "max_tokens"
