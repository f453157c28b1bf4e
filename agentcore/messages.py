"""A conversation: what was said by whom, and nothing of how it is sent.

Messages are frozen, compare by value and go to JSON and back without loss
(`dump_messages`, `load_messages`). Wire formats are the adapters' business.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, JsonValue, TypeAdapter

__all__ = [
    "AssistantMessage",
    "JsonObject",
    "Message",
    "SystemMessage",
    "ToolCall",
    "ToolMessage",
    "ToolSpec",
    "Usage",
    "UserMessage",
    "dump_messages",
    "load_messages",
    "mend_surrogates",
]

JsonObject: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call that the model made, with its arguments as the text that was received."""

    id: str
    """Unique within the conversation; the tool's answer names it."""
    name: str
    """The tool's name as the model wrote it."""
    arguments: str
    """Raw argument text: a JSON object if the model closed it, else a prefix of one."""
    extra: JsonObject = field(default_factory=dict)
    """Fields of the call that the endpoint wants returned unchanged (`extra_content`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMessage:
    """Instructions that stand above the conversation."""

    content: str
    role: Literal["system"] = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    """What the person said, or guidance that the loop adds in their place."""

    content: str
    role: Literal["user"] = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantMessage:
    """One whole answer of the model."""

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    """Plain reasoning text; returned to endpoints whose family asks for it."""
    reasoning_details: tuple[JsonObject, ...] = ()
    """Structured reasoning blocks, whole, to be returned unchanged and in order."""
    role: Literal["assistant"] = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolMessage:
    """A tool's answer to one call."""

    tool_call_id: str
    name: str
    content: str
    is_error: bool = False
    """The call failed or was not run; `content` says what to do. Not sent to the endpoint."""
    role: Literal["tool"] = "tool"


Message: TypeAlias = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Discriminator("role")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """What a model is told of a tool."""

    name: str
    description: str
    parameters: JsonObject
    """JSON Schema of an object."""
    strict: bool = False
    """An endpoint that can is asked to hold the model to the schema, which must be written so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the endpoint counted them; 0 where it said nothing."""

    input_tokens: int = 0
    output_tokens: int = 0
    """Reasoning included."""
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    """The part of `input_tokens` that was read from a cache."""
    cost: float = 0.0
    """US dollars, as billed; 0 where the endpoint does not say (most do not, OpenRouter does)."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cost=self.cost + other.cost,
        )


@cache
def _adapter() -> TypeAdapter[tuple[Message, ...]]:
    """Built when a conversation is first stored or read: it takes longer than all else here."""
    return TypeAdapter(tuple[Message, ...])


def dump_messages(messages: Sequence[Message]) -> str:
    """Messages as JSON text; `load_messages` gives equal ones back.

    Half of a character, which has no UTF-8, is replaced, as it is in requests.
    """
    try:
        return _adapter().dump_json(tuple(messages)).decode()
    except ValueError:
        plain = _adapter().dump_python(tuple(messages), mode="json")
        return mend_surrogates(json.dumps(plain, ensure_ascii=False))


def load_messages(text: str | bytes) -> tuple[Message, ...]:
    """Messages from the text of `dump_messages`.

    Raises:
        pydantic.ValidationError: The text is not a list of messages; it names the place.
    """
    return _adapter().validate_json(text)


def mend_surrogates(text: str) -> str:
    r"""Join surrogate halves that came in different fragments; replace those left alone.

    JSON may spell an emoji as `"\ud83d\ude00"`, and a stream may be split between the two:
    each half then decodes to a lone surrogate, which no UTF-8 request can carry.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
