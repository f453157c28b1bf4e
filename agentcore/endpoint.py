"""Which endpoint a model string names, and the credential for it."""

import os

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
    if not adapter.base_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{type(adapter).__name__}(base_url={adapter.base_url!r}): give the address, with "
            'http:// or https:// and the version part, as in "http://localhost:8000/v1"'
        )
    return adapter, model


def key_of(adapter: ProviderAdapter) -> str:
    """The credential, from the adapter or the environment: the one place where that is read."""
    given = adapter.api_key
    key = given() if callable(given) else given
    if key is None and adapter.api_key_env:
        key = os.environ.get(adapter.api_key_env)
    if not key and adapter.api_key_required:
        variable = adapter.api_key_env
        way = f"set the environment variable {variable}, or " if variable else ""
        raise ConfigurationError(
            f"no key for {adapter.name or type(adapter).__name__}: {way}pass "
            f"{type(adapter).__name__}(api_key=…)"
        )
    return key or ""
