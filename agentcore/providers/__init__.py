"""The endpoints that come with agentcore, by the name in `"name:model"`, and yours beside them."""

import re
from typing import Final, TypeVar

from agentcore.errors import ConfigurationError
from agentcore.providers.anthropic import Anthropic
from agentcore.providers.base import (
    ApiKey,
    Capabilities,
    OutputLimit,
    ProviderAdapter,
    Request,
    ToolStreaming,
    Wire,
)
from agentcore.providers.deepseek import DeepSeek
from agentcore.providers.hosts import XAI, Azure, Fireworks, Gemini, Groq, Together
from agentcore.providers.local import Local
from agentcore.providers.mistral import Mistral
from agentcore.providers.moonshot import Moonshot
from agentcore.providers.openai import OpenAI
from agentcore.providers.openrouter import OpenRouter, Reasoning, Routing
from agentcore.providers.zai import ZAI

__all__ = [
    "PROVIDERS",
    "XAI",
    "ZAI",
    "Anthropic",
    "ApiKey",
    "Azure",
    "Capabilities",
    "DeepSeek",
    "Fireworks",
    "Gemini",
    "Groq",
    "Local",
    "Mistral",
    "Moonshot",
    "OpenAI",
    "OpenRouter",
    "OutputLimit",
    "ProviderAdapter",
    "Reasoning",
    "Request",
    "Routing",
    "Together",
    "ToolStreaming",
    "Wire",
    "register",
]

PROVIDERS: Final[dict[str, type[ProviderAdapter]]] = {
    adapter.name: adapter
    for adapter in (
        OpenRouter,
        OpenAI,
        Anthropic,
        DeepSeek,
        Mistral,
        Moonshot,
        ZAI,
        Local,
        Azure,
        Gemini,
        Groq,
        XAI,
        Together,
        Fireworks,
    )
}
"""Those of `agentcore`, and what `register` added."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")

_Adapter = TypeVar("_Adapter", bound=type[ProviderAdapter])


def register(adapter: _Adapter) -> _Adapter:
    """Make `"name:model"` find an adapter of your own; a decorator for its class.

    A package registers the adapters that come with it by entry points of the group
    `agentcore.providers`, and needs no import.

    Raises:
        ConfigurationError: It is no adapter's class, its name cannot stand before a colon, or
            another adapter has that name.
    """
    given: object = adapter
    if not isinstance(given, type) or not issubclass(given, ProviderAdapter):
        raise ConfigurationError(f"register({adapter!r}): give a subclass of ProviderAdapter")
    name: object = adapter.name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"register({adapter.__name__}): its name is {name!r}; give it one of lower-case "
            'letters, digits, dots and dashes, as in name = "acme"'
        )
    taken = PROVIDERS.get(name)
    if taken is not None and _place(taken) != _place(adapter):
        raise ConfigurationError(
            f"register({adapter.__name__}): {name!r} is the name of {_place(taken)}; choose "
            f"another, or put yours in its place with PROVIDERS[{name!r}] = {adapter.__name__}"
        )
    PROVIDERS[name] = adapter
    return adapter


def _place(adapter: type[ProviderAdapter]) -> str:
    """Where a class is defined: one that a notebook or a reload defines again has the same."""
    return f"{adapter.__module__}.{adapter.__qualname__}"
