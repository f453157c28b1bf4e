"""`agentcore models`, as a person and as a script meet it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from pydantic import JsonValue
from typer.testing import CliRunner, Result

from agentcore import ProviderAdapter
from agentcore.cli.app import app
from agentcore.families import FAMILIES
from agentcore.messages import JsonObject
from agentcore.providers import PROVIDERS, register
from agentcore.testing import Gateway


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def models(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1"}).invoke(app, ["models", *arguments])


def told(*arguments: str) -> list[dict[str, Any]]:
    ran = models(*arguments, "--json")
    assert ran.exit_code == 0, ran.output
    reports: list[dict[str, Any]] = json.loads(ran.stdout)
    return reports


@contextmanager
def catalog_of(*listed: JsonObject) -> Iterator[Gateway]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Gateway(models=listed)) as gateway,
    ):
        yield gateway


def listed(model: str, output: JsonValue) -> JsonObject:
    top: JsonObject = {"context_length": 1_000_000, "max_completion_tokens": output}
    return {"id": model, "context_length": 1_000_000, "top_provider": top}


def test_one_model_in_full() -> None:
    ran = models("openrouter:anthropic/claude-opus-4.6")
    assert ran.exit_code == 0
    head, body = ran.stdout.split("\n\n")
    assert head.splitlines()[:3] == [
        "model          openrouter: anthropic/claude-opus-4.6",
        "address        https://openrouter.ai/api/v1",
        "key            api_key=…, or the environment's OPENROUTER_API_KEY",
    ]
    assert "cap            128,000 as max_tokens (the family's)" in head
    assert "tool arguments stream, because the endpoint is told to (below)" in head
    assert "  x-anthropic-beta: fine-grained-tool-streaming-2025-05-14" in body
    assert '    "max_tokens": 128000' in body


def test_all_that_a_script_may_want() -> None:
    (report,) = told("zai:glm-5.2")
    body = report.pop("body")
    assert (body["model"], body["tool_stream"]) == ("glm-5.2", True)
    assert report == {
        "provider": "zai",
        "model": "glm-5.2",
        "base_url": "https://api.z.ai/api/paas/v4",
        "family": "glm-5.2",
        "family_source": report["family_source"],
        "doubt": report["doubt"],
        "context_window_tokens": 1_000_000,
        "window_source": "family",
        "output_limit": 128_000,
        "limit_source": "family",
        "limit_note": "",
        "catalog_age_seconds": None,
        "cap_parameter": "max_tokens",
        "tool_arguments": "asked to stream",
        "switch": {"headers": {}, "body": {"tool_stream": True}, "tool_fields": {}},
        "returned": [],
        "key_variable": "ZAI_API_KEY",
        "headers": {},
    }


def test_without_a_pattern_every_family_is_listed() -> None:
    assert [report["family"] for report in told()] == [row.name for row in FAMILIES]
    ran = models()
    assert "claude-4.6-to-5.5" in ran.stdout
    same, _, *lines = ran.stdout.splitlines()
    assert same == "All of them: as: max_tokens"
    assert len(lines) == len(FAMILIES), "a line each: nothing is folded"


def test_a_pattern_finds_families_and_providers() -> None:
    assert {report["family"] for report in told("*claude*4.6*")} == {"claude-4.6-to-5.5"}
    found = told("m*:gpt-5.2")
    assert [report["provider"] for report in found] == ["mistral", "moonshot"]


def test_case_makes_no_difference_and_a_bracket_is_no_pattern() -> None:
    assert told("*CLAUDE*4.6*") == told("*claude*4.6*")
    (report,) = told("anthropic:claude-sonnet-4.5[1m]")
    assert report["family"] == "claude-4.5"


@pytest.mark.parametrize(
    ("model", "returned"),
    [
        ("groq:moonshotai/kimi-k2-thinking", []),
        ("gemini:gemini-3-pro-preview", ["extra_content"]),
        ("deepseek:deepseek-v4-pro", ["reasoning_content"]),
    ],
)
def test_what_goes_back_is_what_the_adapter_sends(model: str, returned: list[str]) -> None:
    assert told(model)[0]["returned"] == returned


def test_an_id_alone_is_asked_of_every_provider() -> None:
    assert [report["provider"] for report in told("gpt-5.2")] == sorted(PROVIDERS)


def test_a_cap_of_ones_own_and_an_address_of_ones_own() -> None:
    (report,) = told("local:m", "--max-output-tokens", "500", "--base-url", "http://localhost:1/v1")
    assert (report["output_limit"], report["limit_source"]) == (500, "user")
    assert report["base_url"] == "http://localhost:1/v1"


def test_an_endpoint_without_an_address_can_be_looked_at() -> None:
    ran = models("local:m")
    assert "address        yours: --base-url, or the adapter's base_url" in ran.stdout
    assert "none is sent: the endpoint's default holds" in ran.stdout


def test_a_provider_that_was_registered_is_there() -> None:
    class Acme(ProviderAdapter):
        name = "acme"
        base_url = "https://llm.acme.example/v1"

    register(Acme)
    try:
        (report,) = told("acme:claude-opus-4.6")
    finally:
        del PROVIDERS["acme"]
    assert report["tool_arguments"] == "held back"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["*nothing*"], "no model that is known matches"),
        (["opanai:gpt-5.2"], "did you mean 'openai'?"),
        (["openai:gpt-5.2", "--catalog"], "only OpenRouter has one"),
    ],
)
def test_what_cannot_be_answered_is_told(arguments: list[str], says: str) -> None:
    ran = models(*arguments)
    assert ran.exit_code == 2
    assert says in ran.stderr


# --- the catalog ----------------------------------------------------------------------------


def test_the_live_catalog_of_one_model() -> None:
    row: JsonObject = {
        "provider_name": "Anthropic",
        "tag": "anthropic",
        "context_length": 1_000_000,
        "max_completion_tokens": 100_000,
    }
    with catalog_of({"id": "anthropic/claude-opus-4.6", "endpoints": [row]}) as gateway:
        model = "openrouter:anthropic/claude-opus-4.6"
        (report,) = told(model, "--catalog", "--base-url", gateway.base_url)
        assert (report["output_limit"], report["limit_source"]) == (100_000, "catalog")
        told(model, "--catalog", "--base-url", gateway.base_url)
        assert len(gateway.requests) == 1, "the answer is kept on disk"


def test_the_live_catalog_is_searched_and_judged() -> None:
    rows = [
        listed("openai/gpt-4.1-nano", 942_818),
        listed("openai/gpt-5.2", 128_000),
        listed("google/gemini-3-pro", 65_536),
    ]
    with catalog_of(*rows) as gateway:
        found = told("openrouter:openai/*", "--catalog", "--base-url", gateway.base_url)
    assert [(r["model"], r["output_limit"], r["limit_source"]) for r in found] == [
        ("openai/gpt-4.1-nano", 32_768, "family"),
        ("openai/gpt-5.2", 128_000, "catalog"),
    ]
    assert "942,818" in found[0]["limit_note"]


def test_a_catalog_that_is_not_there_is_told() -> None:
    ran = models("openrouter:*", "--catalog", "--base-url", "http://127.0.0.1:9/v1")
    assert ran.exit_code == 2
    assert "the catalog at http://127.0.0.1:9/v1/models" in ran.stderr
