"""Which endpoint a model string names, and the credential for it."""

import os
import re
from collections.abc import Coroutine

from agentcore.errors import ConfigurationError
from agentcore.providers import PROVIDERS
from agentcore.providers.base import ProviderAdapter

__all__ = ["key_of", "resolve_model"]


def resolve_model(model: str, adapter: ProviderAdapter | None) -> tuple[ProviderAdapter, str]:
    """The endpoint and its own model id.

    Raises:
        ConfigurationError: The string names no provider that is known, or no model.
    """
    known = ", ".join(sorted(PROVIDERS))
    if not isinstance(model, str):
        raise ConfigurationError(f"model {model!r}: give one id as text")
    if adapter is not None and not isinstance(adapter, ProviderAdapter):
        raise ConfigurationError(
            f"adapter {adapter!r}: give an adapter, as in adapter=Local(base_url=…)"
        )
    if adapter is not None and adapter.name:
        model = model.removeprefix(f"{adapter.name}:")
    if adapter is None:
        provider, colon, model_id = model.partition(":")
        if not colon or not model_id:
            raise ConfigurationError(
                f'model {model!r}: write "provider:model-id", for example '
                f'"openrouter:anthropic/claude-opus-4.6" (providers: {known}), or pass adapter=…'
            )
        if provider not in PROVIDERS:
            raise ConfigurationError(
                f"model {model!r}: there is no provider {provider!r} (providers: {known}); for "
                "another endpoint pass adapter=Local(base_url=…) or your own adapter"
            )
        adapter, model = PROVIDERS[provider](), model_id
    if not model:
        raise ConfigurationError("model '': give the model's id as the endpoint knows it")
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", adapter.base_url):
        raise ConfigurationError(
            f"{type(adapter).__name__}(base_url={adapter.base_url!r}): give the address, with "
            'http:// or https:// and the version part, without a query, as in "http://localhost:8000/v1"'
        )
    return adapter, model


def key_of(adapter: ProviderAdapter) -> str:
    """The credential, from the adapter or the environment: the one place where that is read.

    White space around it is dropped: keys are read from files. Its text stands in no error.

    Raises:
        ConfigurationError: There is none and one is needed, or it is no key.
    """
    who = adapter.name or type(adapter).__name__
    key = _given_key(adapter, who)
    if key is None and adapter.api_key_env:
        key = os.environ.get(adapter.api_key_env)
    key = (key or "").strip()
    if not key and adapter.api_key_required:
        variable = adapter.api_key_env
        way = f"set the environment variable {variable}, or " if variable else ""
        raise ConfigurationError(f"no key for {who}: {way}pass {type(adapter).__name__}(api_key=…)")
    if not key.isascii() or any(not character.isprintable() for character in key):
        raise ConfigurationError(
            f"the key for {who} holds characters that no header may carry; copy it once more"
        )
    return key


def _given_key(adapter: ProviderAdapter, who: str) -> str | None:
    given = adapter.api_key
    if not callable(given):
        return given
    try:
        key: object = given()
    except Exception as error:
        raise ConfigurationError(
            f"the api_key function for {who} raised {type(error).__name__}: {error}"
        ) from error
    if isinstance(key, Coroutine):
        key.close()
    if not isinstance(key, str):
        raise ConfigurationError(
            f"the api_key function for {who} gave a {type(key).__name__}; it must return text, "
            "and must not be async"
        )
    return key
