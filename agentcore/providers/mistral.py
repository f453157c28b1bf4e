"""Mistral: a strict schema, ids of nine characters, and an order of roles of its own."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import JsonValue
from typing_extensions import override

from agentcore.clocks import Clocks
from agentcore.error_rules import ErrorRule
from agentcore.families import CapParameter, ModelFamily
from agentcore.kinds import ErrorKind, Strength
from agentcore.messages import JsonObject, Message
from agentcore.providers.base import Capabilities, ProviderAdapter, Request
from agentcore.providers.chat import NINE_ID, NOTHING_SAID, shaped_id

__all__ = ["Mistral"]

_BRIDGE: JsonObject = {"role": "assistant", "content": "I have read the results."}
"""An answer must not be empty; avante-corp/avante.nvim#2695 inserts a similar one."""


class Mistral(ProviderAdapter):
    """https://api.mistral.ai, chat completions."""

    name = "mistral"
    base_url = "https://api.mistral.ai/v1"
    api_key_env = "MISTRAL_API_KEY"
    # A call comes in one piece, says the AI SDK's Mistral provider; what comes meanwhile is not
    # known, so that silence may be a long call.
    clocks = Clocks(transport=600.0, first_event=600.0, buffered_tool_arguments=600.0)
    # `extra_forbidden` for `stream_options` (avante-corp/avante.nvim#2347; usage comes by itself)
    # and for unknown fields of messages, any reasoning among them (charmbracelet/crush#1590).
    capabilities = Capabilities(
        usage_in_stream=False,
        reasoning_details=False,
        reasoning_text=False,
        extra_content=False,
        whole_arguments=True,
    )
    error_rules: ClassVar[tuple[ErrorRule, ...]] = (
        ErrorRule(
            name="mistral-capacity",
            kind=ErrorKind.OVERLOADED,
            strength=Strength.WORDING,
            why="Mistral's words for a busy model, under the type of an invalid request "
            "(continuedev/continue#6185 alone; no other vendor says it so)",
            phrases=(r"service tier capacity exceeded",),
        ),
    )

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """`max_completion_tokens` is `extra_forbidden` (editor-code-assistant/eca#231)."""
        return "max_tokens"

    @override
    def call_id(self, id_: str, family: ModelFamily) -> str:
        """Of nine letters or digits."""
        return shaped_id(id_, NINE_ID)

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        """Never empty.

        `Assistant message must have either content or tool_calls` (All-Hands-AI/OpenHands#8685).
        """
        body = super().message(message, family)
        is_empty = not (body["content"] or body.get("tool_calls"))
        return body | {"content": NOTHING_SAID} if is_empty else body

    @override
    def payload(self, request: Request) -> JsonObject:
        """An answer stands between tool results and what the user says next.

        Without it: `Unexpected role 'user' after role 'tool'` (datapizza-labs/datapizza-ai#98).
        """
        body = super().payload(request)
        messages = body["messages"]
        assert isinstance(messages, list)
        return {**body, "messages": list(_bridged(messages))}


def _bridged(messages: Iterable[JsonValue]) -> Iterator[JsonValue]:
    before: JsonValue = None
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if (before, role) == ("tool", "user"):
            yield _BRIDGE
        yield message
        before = role
