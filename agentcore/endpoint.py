"""Which endpoint a model string names, and the credential for it."""

import importlib.metadata
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import isawaitable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from agentcore.errors import ConfigurationError
from agentcore.providers import PROVIDERS, register
from agentcore.providers.base import ProviderAdapter

__all__ = [
    "Endpoint",
    "ModelChoice",
    "all_providers",
    "cache_folder",
    "check_key",
    "key_of",
    "made",
    "resolve_model",
    "resolve_models",
]

ModelChoice: TypeAlias = str | tuple[str, ProviderAdapter]
"""`"provider:model-id"`, or the endpoint's own model id beside its adapter."""

_GROUP = "agentcore.providers"
"""The entry points by which an installed package adds its adapters."""

_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model at the endpoint that serves it."""

    adapter: ProviderAdapter
    model: str
    """The id as the endpoint knows it."""
    number: int = 0
    """Where it stands in its list: one model may stand there twice, with another key."""

    @property
    def name(self) -> str:
        """`"provider:model-id"`, as `resolve_model` takes it; the id alone where it has no name."""
        return f"{self.adapter.name}:{self.model}" if self.adapter.name else self.model

    @property
    def place(self) -> tuple[str, str]:
        """What is learned of it holds for: the address and the model."""
        return self.adapter.base_url, self.model

    @property
    def entry(self) -> tuple[int, str, str]:
        """What tells it from the others of its list."""
        return self.number, *self.place


def resolve_models(
    model: str | Sequence[ModelChoice], adapter: ProviderAdapter | None
) -> tuple[Endpoint, ...]:
    """The endpoints to try in turn: one, or those of a list.

    Raises:
        ConfigurationError: The list is empty, or one of them cannot be used.
    """
    if isinstance(model, str):
        return (resolve_model(model, adapter),)
    given: object = model
    if not isinstance(given, Sequence) or not given:
        raise ConfigurationError(
            f"model {model!r}: give one id as text, or a list of them to try in turn"
        )
    if adapter is not None:
        raise ConfigurationError(
            "adapter: it goes with one model; in a list write it beside its model, as in "
            'models=[("qwen3-coder", Local(base_url=…)), "openrouter:…"]'
        )
    endpoints: list[Endpoint] = []
    for number, choice in enumerate(model):
        match choice:
            case (str(id_), ProviderAdapter() as own):
                endpoints.append(replace(resolve_model(id_, own), number=number))
            case str():
                endpoints.append(replace(resolve_model(choice, None), number=number))
            case _:
                raise ConfigurationError(
                    f'models: {choice!r} is none; write "provider:model-id", or a pair of the '
                    "endpoint's own id and its adapter"
                )
    return tuple(endpoints)


def resolve_model(
    model: str, adapter: ProviderAdapter | None, *, base_url: str | None = None
) -> Endpoint:
    """The endpoint and its own model id.

    Args:
        model: `"provider:model-id"`, or the endpoint's own id beside `adapter`.
        adapter: The endpoint; None means the one that `model` names.
        base_url: The address for a provider that `model` names; None means its own.

    Raises:
        ConfigurationError: The string names no provider that is known, or no model.
    """
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
                f'"openrouter:anthropic/claude-opus-4.6" (providers: {_known()}), or pass adapter=…'
            )
        found = _find_provider(provider, model)
        adapter, model = made(found, base_url=base_url), model_id
    if not model:
        raise ConfigurationError("model '': give the model's id as the endpoint knows it")
    if not _is_address(adapter.base_url):
        _refuse_address(adapter)
    return Endpoint(adapter=adapter, model=model)


def made(provider: type[ProviderAdapter], **options: object) -> ProviderAdapter:
    """An adapter of a class that is known by its name alone.

    Raises:
        ConfigurationError: Its constructor wants other arguments.
    """
    make: Callable[..., ProviderAdapter] = provider
    try:
        return make(**{name: value for name, value in options.items() if value is not None})
    except TypeError as error:
        raise ConfigurationError(
            f"provider {provider.name!r} cannot be made by its name: {error}; make the adapter "
            "yourself and pass it as adapter=…"
        ) from error


def _is_address(url: str) -> bool:
    if not _ADDRESS.fullmatch(url):
        return False
    try:
        return urlsplit(url).port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


def _refuse_address(adapter: ProviderAdapter) -> None:
    # What stands before an @, or in a query, may be a credential: it is shown to nobody.
    shown = re.sub(r"//[^/]*@", "//…@", re.sub(r"[?#].*", "?…", adapter.base_url))
    way = "give the address, with http:// or https:// and the version part, without a query"
    if "@" in shown:
        way = "leave out the credential, it would stand in texts and logs; pass api_key=…"
    raise ConfigurationError(
        f'{type(adapter).__name__}(base_url={shown!r}): {way}, as in "{adapter.example_url}"'
    )


# --- providers ------------------------------------------------------------------------------


def _find_provider(name: str, model: str) -> type[ProviderAdapter]:
    if name in PROVIDERS:
        return PROVIDERS[name]
    for entry in importlib.metadata.entry_points(group=_GROUP, name=name):
        return _load(entry)
    raise ConfigurationError(
        f"model {model!r}: there is no provider {name!r} (providers: {_known()}); for another "
        "endpoint pass adapter=Local(base_url=…) or your own adapter"
    )


def _load(entry: importlib.metadata.EntryPoint) -> type[ProviderAdapter]:
    try:
        offered = entry.load()
        name = getattr(offered, "name", entry.name)
        if name != entry.name:
            raise ConfigurationError(
                f"its name is {name!r}; the entry point and the adapter must have the same"
            )
        adapter: type[ProviderAdapter] = register(offered)
    except Exception as error:
        package = entry.dist.name if entry.dist is not None else "an installed package"
        raise ConfigurationError(
            f"provider {entry.name!r}: {package} offers it as {entry.value}, which cannot be used: "
            f"{type(error).__name__}: {error}"
        ) from error
    return adapter


def all_providers() -> dict[str, type[ProviderAdapter]]:
    """Every provider by its name, those of installed packages too.

    Raises:
        ConfigurationError: A package offers something that is no adapter.
    """
    for entry in importlib.metadata.entry_points(group=_GROUP):
        if entry.name not in PROVIDERS:
            _load(entry)
    return dict(PROVIDERS)


def _known() -> str:
    offered = {entry.name for entry in importlib.metadata.entry_points(group=_GROUP)}
    return ", ".join(sorted({*PROVIDERS, *offered}))


# --- what the environment says --------------------------------------------------------------


async def key_of(adapter: ProviderAdapter) -> str:
    """The credential: the adapter's own, what its function gives, or the environment's.

    Raises:
        ConfigurationError: There is none and one is needed, or it is no key.
    """
    given = adapter.api_key
    return _checked_key(adapter, await _asked(adapter) if callable(given) else given)


def check_key(adapter: ProviderAdapter) -> None:
    """Find a missing key before any request; a function is asked only when a request is made.

    Raises:
        ConfigurationError: There is none and one is needed, or it is no key.
    """
    if not callable(adapter.api_key):
        _checked_key(adapter, adapter.api_key)


def cache_folder() -> Path:
    """Where what can be fetched again is kept: `$XDG_CACHE_HOME/agentcore`, or in `~/.cache`."""
    return _cache_folder(os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME"))


@lru_cache
def _cache_folder(xdg_cache_home: str | None, home_folder: str | None) -> Path:
    """Every run asks; what decides is in the arguments."""
    try:
        home = Path(xdg_cache_home or "~/.cache").expanduser()
    except RuntimeError:  # a user without a home directory
        home = Path(tempfile.gettempdir())
    return home / "agentcore"


def _checked_key(adapter: ProviderAdapter, key: str | None) -> str:
    """White space around a key is dropped: keys are read from files. Its text is in no error."""
    who = _name_of(adapter)
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


async def _asked(adapter: ProviderAdapter) -> str:
    given = adapter.api_key
    assert callable(given)
    who = _name_of(adapter)
    try:
        answer = given()
        key: object = await answer if isawaitable(answer) else answer
    except Exception as error:
        raise ConfigurationError(
            f"the api_key function for {who} raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(key, str):
        raise ConfigurationError(
            f"the api_key function for {who} gave a {type(key).__name__}; it must give text"
        )
    return key


def _name_of(adapter: ProviderAdapter) -> str:
    return adapter.name or type(adapter).__name__
