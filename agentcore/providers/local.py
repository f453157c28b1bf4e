"""Any OpenAI-compatible server of one's own: vLLM, SGLang, llama.cpp, Ollama, LM Studio."""

from typing_extensions import override

from agentcore.clocks import Clocks
from agentcore.families import CapParameter, ModelFamily
from agentcore.messages import JsonObject, Message
from agentcore.providers.base import Capabilities, ProviderAdapter, Request

__all__ = ["Local"]


class Local(ProviderAdapter):
    """A server at an address that you give; a key only if it wants one.

    The host decides windows and caps, so no family's figures are sent. Loading a model may take
    minutes before the first byte. Ollama sends a call in one piece, and not a byte while it is
    written (ollama/ollama#13581, #14902), vLLM does so with some of its parsers
    (vllm-project/vllm#50627): such a server wants longer clocks (docs/providers.md).
    """

    name = "local"
    api_key_env = "LOCAL_API_KEY"
    api_key_required = False
    clocks = Clocks(first_byte=600.0, first_event=600.0)
    capabilities = Capabilities(family_limits=False)

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        """With an empty text where a message only calls: llama.cpp's server refuses null there.

        (llama-cpp-python 0.3.36: `string_type`, `input: None`; without the field it answers
        nothing.)
        """
        body = super().message(message, family)
        return body | {"content": ""} if body["content"] is None else body

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """The older name is the one that every such server takes."""
        return "max_tokens"
