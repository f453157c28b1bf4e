"""Adapters of one's own by name: registered by hand, or by an installed package."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentcore import Agent, ConfigurationError, OpenRouter, ProviderAdapter
from agentcore.endpoint import all_providers, resolve_model
from agentcore.providers import PROVIDERS, register


@pytest.fixture(autouse=True)
def _registry_as_before() -> Iterator[None]:
    before = dict(PROVIDERS)
    yield
    PROVIDERS.clear()
    PROVIDERS.update(before)


class Acme(ProviderAdapter):
    name = "acme"
    base_url = "https://llm.acme.example/v1"


def test_a_registered_adapter_is_found_by_its_name() -> None:
    assert register(Acme) is Acme
    endpoint = resolve_model("acme:claude-opus-4.6", None)
    assert isinstance(endpoint.adapter, Acme)
    assert endpoint.model == "claude-opus-4.6"


def test_the_same_class_may_be_defined_again_as_notebooks_do() -> None:
    def define() -> type[ProviderAdapter]:
        class Acme(ProviderAdapter):
            name = "acme"
            base_url = "https://llm.acme.example/v1"

        return register(Acme)

    define()
    again = define()
    assert PROVIDERS["acme"] is again


class Thief(ProviderAdapter):
    name = "openrouter"


class Shouting(ProviderAdapter):
    name = "Acme:2"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Thief, r"'openrouter' is the name of agentcore\.providers\.openrouter\.OpenRouter"),
        (Shouting, "its name is 'Acme:2'"),
        (ProviderAdapter, "its name is ''"),
        (Acme(), "give a subclass of ProviderAdapter"),
        (dict, "give a subclass of ProviderAdapter"),
    ],
)
def test_what_cannot_be_registered_is_told(given: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        register(given)
    assert PROVIDERS["openrouter"] is OpenRouter


# --- installed packages ---------------------------------------------------------------------


def install(folder: Path, code: str, *entries: str) -> None:
    """A package as pip leaves it: a module, and what it offers."""
    (folder / "acme_llm.py").write_text(code)
    info = folder / "acme_llm-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-llm\nVersion: 1.0\n")
    offered = "\n".join(entries)
    (info / "entry_points.txt").write_text(f"[agentcore.providers]\n{offered}\n")


GOOD = """
from agentcore import ProviderAdapter

class Plugged(ProviderAdapter):
    name = "plugged"
    base_url = "https://plugged.example/v1"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_llm", raising=False)
    return tmp_path


def test_an_installed_package_offers_its_adapters(site: Path) -> None:
    install(site, GOOD, "plugged = acme_llm:Plugged")
    agent = Agent("plugged:some-model")
    assert agent._settings().endpoints[0].adapter.base_url == "https://plugged.example/v1"
    assert "plugged" in all_providers()


def test_it_stands_in_the_list_of_those_that_are_known(site: Path) -> None:
    install(site, GOOD, "plugged = acme_llm:Plugged")
    with pytest.raises(ConfigurationError, match=r"providers: .*plugged"):
        Agent("nobody:some-model")


def test_a_package_cannot_take_the_place_of_an_adapter_of_ours(site: Path) -> None:
    install(site, GOOD, "openrouter = acme_llm:Plugged")
    assert type(resolve_model("openrouter:m", None).adapter) is OpenRouter
    assert all_providers()["openrouter"] is OpenRouter


@pytest.mark.parametrize(
    ("code", "entry", "told"),
    [
        ("import missing_thing", "plugged = acme_llm:Plugged", "ModuleNotFoundError"),
        (GOOD, "plugged = acme_llm:Missing", "AttributeError"),
        ("Plugged = 7", "plugged = acme_llm:Plugged", "give a subclass of ProviderAdapter"),
        (GOOD, "other = acme_llm:Plugged", "must have the same"),
    ],
)
def test_a_broken_package_is_named(site: Path, code: str, entry: str, told: str) -> None:
    install(site, code, entry)
    name = entry.partition(" ")[0]
    with pytest.raises(ConfigurationError, match=told) as raised:
        Agent(f"{name}:some-model")
    assert str(raised.value).startswith(f"provider {name!r}: ")
