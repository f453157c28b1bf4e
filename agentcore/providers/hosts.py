"""Hosts that differ from each other in an address, a key and a few facts: one table."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from typing_extensions import override

from agentcore.clocks import Clocks
from agentcore.families import CapParameter, ModelFamily
from agentcore.messages import AssistantMessage, JsonObject, Message
from agentcore.providers.base import Capabilities, OutputLimit, ProviderAdapter, Request
from agentcore.providers.openai import OpenAI

__all__ = ["HOSTS", "XAI", "Azure", "Fireworks", "Gemini", "Groq", "Host", "Hosted", "Together"]

_STRICT: Final = Capabilities(reasoning_details=False, extra_content=False)
"""Only Gemini wants `extra_content` returned with calls; others know no such field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What is known of one host."""

    name: str
    base_url: str
    """Empty where each account has its own address."""
    api_key_env: str
    source: str
    """Where the facts of this row are from."""
    not_sure: str = ""
    """What nobody was found to say for certain."""
    example_url: str = ""
    """In the error where the address is missing."""
    cap_parameter: CapParameter | None = None
    """None: as the family has it."""
    capabilities: Capabilities = _STRICT
    clocks: Clocks = ProviderAdapter.clocks
    plain_output_tokens: int | None = None
    """The largest cap that a request without streaming may carry."""


# Where calls come whole, not a byte may come for as long as one takes to be written.
_WHOLE: Final = Clocks(transport=600.0, first_event=600.0, buffered_tool_arguments=600.0)

HOSTS: Final = {
    host.name: host
    for host in (
        Host(
            name="azure",
            base_url="",
            example_url="https://YOUR-RESOURCE.openai.azure.com/openai/v1",
            api_key_env="AZURE_OPENAI_API_KEY",
            capabilities=replace(_STRICT, strict_tools=True),
            clocks=OpenAI.clocks,
            source="learn.microsoft.com/azure/foundry/openai/api-version-lifecycle: the v1 API, "
            "with the key as a bearer token",
            not_sure="`event: keepalive` after 30 s of silence (AntigmaLabs/ante#187 alone)",
        ),
        Host(
            name="gemini",
            base_url="https://generativelanguage.googleapis.com/v1beta/openai",
            api_key_env="GEMINI_API_KEY",
            cap_parameter="max_tokens",
            clocks=_WHOLE,
            capabilities=Capabilities(reasoning_details=False, whole_arguments=True),
            source="ai.google.dev/gemini-api/docs/openai and docs/thought-signatures; unknown "
            "fields are refused (Alishahryar1/free-claude-code#1548)",
            not_sure="whether this endpoint takes the stand-in signature, as the native API does",
        ),
        Host(
            name="groq",
            base_url="https://api.groq.com/openai/v1",
            api_key_env="GROQ_API_KEY",
            clocks=_WHOLE,
            capabilities=replace(_STRICT, whole_arguments=True, reasoning_text=False),
            source="calls of 10,000 characters come in one chunk (ogx-ai/ogx#630, and Groq's own "
            "word in vercel/ai#1653); `property 'reasoning_content' is unsupported` "
            "(janhq/jan#8136)",
            not_sure="whether gpt-oss wants its `reasoning` back (vercel/ai#8057: others refuse)",
        ),
        Host(
            name="xai",
            base_url="https://api.x.ai/v1",
            api_key_env="XAI_API_KEY",
            clocks=_WHOLE,
            capabilities=replace(_STRICT, whole_arguments=True),
            source="docs.x.ai, best practices: at least 900 s a request, chat completions "
            "deprecated; the AI SDK's xAI provider: calls come in one piece",
            not_sure="whether it pings while a call is written",
        ),
        Host(
            name="together",
            base_url="https://api.together.xyz/v1",
            api_key_env="TOGETHER_API_KEY",
            cap_parameter="max_tokens",
            source="pi-ai 1.5.2 sends this cap parameter; 2026-11-22",
            not_sure="keep-alive, and whether it takes `reasoning_content` back",
        ),
        Host(
            name="fireworks",
            base_url="https://api.fireworks.ai/inference/v1",
            api_key_env="FIREWORKS_API_KEY",
            cap_parameter="max_tokens",
            plain_output_tokens=4_096,
            source="`Requests with max_tokens > 4096 must have stream=true` (nullclaw/nullclaw#231)"
            "; usage in the stream has to be asked for (langchain-ai/langchain#36977); unknown "
            "fields of a text part are refused (musistudio/claude-code-router#377)",
            not_sure="keep-alive, and whether every model takes its reasoning back",
        ),
    )
}


class Hosted(ProviderAdapter):
    """An adapter made of a row: `class Groq(Hosted, host=HOSTS["groq"])`."""

    host: ClassVar[Host]

    @override
    def __init_subclass__(cls, host: Host | None = None) -> None:
        """Take the row's facts; a subclass of one that has a row needs none."""
        super().__init_subclass__()
        if host is not None:
            cls.host = host
            cls.name, cls.base_url, cls.api_key_env = host.name, host.base_url, host.api_key_env
            cls.example_url = host.example_url or host.base_url
            cls.clocks, cls.capabilities = host.clocks, host.capabilities

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        return self.host.cap_parameter or super().cap_parameter(request)

    @override
    def output_limit(self, request: Request) -> OutputLimit:
        limit = super().output_limit(request)
        most = None if request.adjustments.streamed else self.host.plain_output_tokens
        if most is None or limit.tokens is None:
            return limit
        return replace(limit, tokens=min(limit.tokens, most))


class Azure(Hosted, OpenAI, host=HOSTS["azure"]):
    """Azure OpenAI, v1 API: the model is the name of your deployment.

    A name that is not the model's own tells nothing of its family: then no cap is sent, and
    `max_output_tokens` may have to be set.
    """


class Gemini(Hosted, host=HOSTS["gemini"]):
    """Gemini's OpenAI-compatible endpoint: calls come whole, with a signature to be returned."""

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        """A call that Gemini did not make gets the signature that stands for one.

        From Gemini 3 on, the first call of an answer without one is refused: `Function call is
        missing a thought_signature` (ai.google.dev/gemini-api/docs/thought-signatures).
        """
        if family.name in _SIGNED and isinstance(message, AssistantMessage):
            message = _signed(message)
        return super().message(message, family)


_SIGNED = frozenset({"gemini-3", "gemini-4-argon"})
_STAND_IN: Final[JsonObject] = {
    "extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}
}


def _signed(message: AssistantMessage) -> AssistantMessage:
    first = message.tool_calls[:1]
    if not first or first[0].extra:
        return message
    signed = replace(first[0], extra=_STAND_IN)
    return replace(message, tool_calls=(signed, *message.tool_calls[1:]))


class Groq(Hosted, host=HOSTS["groq"]):
    """Open models on Groq."""


class XAI(Hosted, host=HOSTS["xai"]):
    """Grok at xAI."""


class Together(Hosted, host=HOSTS["together"]):
    """Open models on Together AI."""


class Fireworks(Hosted, host=HOSTS["fireworks"]):
    """Open models on Fireworks."""
