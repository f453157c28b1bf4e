"""Figures of a catalog: which are read, which are believed, and what is said of the rest."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agentcore.catalog import (
    MAX_COUNT,
    CatalogEntry,
    CatalogFigures,
    HostFigures,
    age_in_words,
    catalog_id,
    endpoints_path,
    judge,
    read_endpoints,
    read_models,
)
from agentcore.families import FAMILIES, ModelFamily, family_of
from agentcore.testing.strategies import json_values

DAY = 86_400.0


def host(window: int | None, output: int | None, tag: str = "here") -> HostFigures:
    return HostFigures(tag=tag, context_window_tokens=window, max_output_tokens=output)


def entry(model: str, *hosts: HostFigures) -> CatalogEntry:
    return CatalogEntry(model=model, hosts=hosts)


def figures(model: str, *hosts: HostFigures) -> CatalogFigures:
    """Of a fresh catalog."""
    return judge(entry(model, *hosts), family_of(model), age_seconds=60, max_age_seconds=DAY)


# --- reading --------------------------------------------------------------------------------

MODELS: JsonValue = {
    "data": [
        {
            "id": "anthropic/claude-sonnet-4.5",
            "canonical_slug": "anthropic/claude-4.5-sonnet-20250929",
            "context_length": 1_000_000,
            "top_provider": {"context_length": 200_000, "max_completion_tokens": 64_000},
            "pricing": {"prompt": "0.000003", "completion": "0.000015"},
            "supported_parameters": ["max_tokens", "tools"],
            "expiration_date": None,
        },
        {
            "id": "openrouter/auto",
            "context_length": 2_000_000,
            "top_provider": {"context_length": None, "max_completion_tokens": None},
            "pricing": {"prompt": "-1", "completion": "-1"},
            "expiration_date": "2026-12-31",
        },
    ]
}

ENDPOINTS: JsonValue = {
    "data": {
        "id": "deepseek/deepseek-v3.2",
        "name": "DeepSeek: DeepSeek V3.2",
        "endpoints": [
            {
                "name": "DeepInfra | deepseek/deepseek-v3.2-20251201",
                "provider_name": "DeepInfra",
                "tag": "deepinfra/fp4",
                "quantization": "fp4",
                "context_length": 163_840,
                "max_completion_tokens": 16_384,
                "max_prompt_tokens": None,
                "pricing": {"prompt": "0.00000026", "completion": "0.00000038", "discount": 0},
                "supported_parameters": ["tools", "max_tokens"],
                "status": 0,
            },
            {"provider_name": "GMICloud", "tag": "gmicloud/fp8", "max_completion_tokens": None},
            "no host",
        ],
    }
}


def test_models_are_read_by_their_id() -> None:
    assert read_models(MODELS) == {
        "anthropic/claude-sonnet-4.5": CatalogEntry(
            model="anthropic/claude-sonnet-4.5",
            hosts=(
                HostFigures(
                    context_window_tokens=200_000,
                    max_output_tokens=64_000,
                    prompt_price=0.000003,
                    completion_price=0.000015,
                    supported_parameters=frozenset({"max_tokens", "tools"}),
                ),
            ),
        ),
        "openrouter/auto": CatalogEntry(
            model="openrouter/auto",
            hosts=(HostFigures(context_window_tokens=2_000_000),),
            expires_on="2026-12-31",
        ),
    }


def test_the_hosts_of_a_model_are_read() -> None:
    assert read_endpoints(ENDPOINTS) == CatalogEntry(
        model="deepseek/deepseek-v3.2",
        hosts=(
            HostFigures(
                provider="DeepInfra",
                tag="deepinfra/fp4",
                context_window_tokens=163_840,
                max_output_tokens=16_384,
                prompt_price=0.00000026,
                completion_price=0.00000038,
                supported_parameters=frozenset({"max_tokens", "tools"}),
            ),
            HostFigures(provider="GMICloud", tag="gmicloud/fp8"),
        ),
    )


def test_a_model_without_hosts_has_an_entry() -> None:
    answer: JsonValue = {"data": {"id": "openai/gpt-5.2:free", "endpoints": []}}
    assert read_endpoints(answer) == CatalogEntry(model="openai/gpt-5.2:free")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"error": {"message": "Model not found", "code": 404}},
        {"data": {"id": "a/b", "endpoints": None}},
        {"data": {"id": "", "endpoints": []}},
        {"data": {"endpoints": []}},
        {"data": [{"id": ""}, {"id": 7}, "a/b", None]},
    ],
)
def test_what_is_no_entry_gives_none(answer: JsonValue) -> None:
    assert read_endpoints(answer) is None
    assert read_models(answer) == {}


def test_of_two_entries_with_one_id_the_first_is_read() -> None:
    answer: JsonValue = {
        "data": [{"id": "a/b", "context_length": 8_192}, {"id": "a/b", "context_length": 4_096}]
    }
    assert read_models(answer)["a/b"].hosts[0].context_window_tokens == 8_192


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        (128_000, 128_000),
        (128_000.0, 128_000),
        (1, 1),
        (MAX_COUNT, MAX_COUNT),
        (MAX_COUNT + 1, None),
        (10**40, None),
        (0, None),
        (-1, None),
        (128_000.5, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        ("128000", None),
        (None, None),
        ([128_000], None),
    ],
    ids=repr,
)
def test_a_count_is_a_whole_number_above_zero(value: JsonValue, tokens: int | None) -> None:
    row: JsonValue = {"context_length": value, "max_completion_tokens": value}
    read = read_endpoints({"data": {"id": "a/b", "endpoints": [row]}})
    assert read == entry("a/b", host(tokens, tokens, tag=""))


@pytest.mark.parametrize(
    ("value", "price"),
    [
        ("0.000015", 0.000015),
        ("1.5e-05", 0.000015),
        (0.000015, 0.000015),
        ("0", 0.0),
        (0, 0.0),
        ("-1", None),
        (-1, None),
        ("3", None),
        (10**40, None),
        ("nan", None),
        (float("nan"), None),
        ("free", None),
        (True, None),
        (None, None),
    ],
    ids=repr,
)
def test_a_price_is_a_text_or_a_number(value: JsonValue, price: float | None) -> None:
    row: JsonValue = {"pricing": {"prompt": value, "completion": value}}
    read = read_endpoints({"data": {"id": "a/b", "endpoints": [row]}})
    assert read == entry("a/b", HostFigures(prompt_price=price, completion_price=price))


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("anthropic/claude-opus-4.6", "/models/anthropic/claude-opus-4.6/endpoints"),
        ("openai/gpt-5.2:nitro:exacto", "/models/openai/gpt-5.2/endpoints"),
        ("poolside/laguna-s-2.1:nitro:free", "/models/poolside/laguna-s-2.1:free/endpoints"),
        ("~anthropic/claude-sonnet-latest", "/models/~anthropic/claude-sonnet-latest/endpoints"),
        ("openrouter/auto", "/models/openrouter/auto/endpoints"),
        ("a b/c?d#e%f\n", "/models/a%20b/c%3Fd%23e%25f%0A/endpoints"),
        ("a/\ud800", "/models/a/%3F/endpoints"),
        ("claude-opus-4.6", ""),
        ("a/b/c", ""),
        ("a/", ""),
        ("/b", ""),
        ("../b", ""),
        ("a/..", ""),
        ("a/ .", ""),
        ("a/:nitro", ""),
        ("", ""),
    ],
)
def test_the_path_to_the_hosts_of_a_model(model: str, path: str) -> None:
    assert endpoints_path(model) == path


@given(st.text())
def test_a_path_stays_below_its_folder(model: str) -> None:
    path = endpoints_path(model)
    assert path == "" or (path.count("/") == 4 and "/../" not in path and path.isascii())


def test_only_routing_variants_are_dropped_from_an_id() -> None:
    assert catalog_id("openai/gpt-5.2:online") == "openai/gpt-5.2"
    assert catalog_id("openai/gpt-5.2:free") == "openai/gpt-5.2:free"


@given(json_values())
def test_any_json_is_read(answer: JsonValue) -> None:
    read_models(answer)
    read_endpoints(answer)
    read_models({"data": [answer, {"id": "a/b", "top_provider": answer, "pricing": answer}]})
    row: JsonValue = dict.fromkeys(("tag", "pricing", "supported_parameters"), answer)
    read_endpoints({"data": {"id": "a/b", "expiration_date": answer, "endpoints": [row, answer]}})


# --- what is believed -----------------------------------------------------------------------

TRUE_FIGURES = [
    # Claude, by the vendor's table; OpenRouter lists Sonnet 4.5 with 1M.
    ("anthropic/claude-3-haiku", 200_000, 4_096),
    ("anthropic/claude-3.5-haiku", 200_000, 8_192),
    ("anthropic/claude-3.7-sonnet", 200_000, 64_000),
    ("anthropic/claude-3.7-sonnet", 200_000, 128_000),
    ("anthropic/claude-opus-4.1", 200_000, 32_000),
    ("anthropic/claude-sonnet-4", 1_000_000, 64_000),
    ("anthropic/claude-sonnet-4.5", 1_000_000, 64_000),
    ("anthropic/claude-haiku-4.5", 200_000, 64_000),
    ("anthropic/claude-opus-4.6", 1_000_000, 128_000),
    ("anthropic/claude-sonnet-4.6", 1_000_000, 64_000),
    ("anthropic/claude-fable-5.1", 1_000_000, 128_000),
    ("anthropic/claude-novel-7", 2_000_000, 256_000),
    ("openai/gpt-4o", 128_000, 16_384),
    ("openai/gpt-4o-2024-05-13", 128_000, 4_096),
    ("openai/gpt-4.1-nano", 1_047_576, 32_768),
    ("openai/o3-mini", 200_000, 100_000),
    ("openai/gpt-5.2", 400_000, 128_000),
    ("openai/gpt-5.2-chat", 128_000, 16_384),
    ("openai/gpt-6.1", 1_050_000, 128_000),
    ("openai/gpt-oss-120b", 131_072, 65_536),
    ("openai/gpt-oss-120b", 131_072, 40_960),
    ("openai/gpt-oss-120b", 131_072, 32_768),
    ("openai/gpt-oss-120b", 131_072, 131_072),
    ("google/gemini-2.5-flash", 1_048_576, 65_535),
    ("google/gemini-2.5-pro", 1_048_576, 65_536),
    ("google/gemini-4-argon", 1_048_576, 32_768),
    ("google/gemini-pro-1.5", 2_000_000, 8_192),
    ("x-ai/grok-4.3", 1_000_000, 30_000),
    ("x-ai/grok-4.5", 500_000, 500_000),
    ("x-ai/grok-4.5", 500_000, 450_000),
    ("deepseek/deepseek-v4-pro", 1_000_000, 384_000),
    ("deepseek/deepseek-v4-pro", 1_048_576, 393_216),
    ("deepseek/deepseek-v4-flash", 1_048_576, 131_072),
    ("deepseek/deepseek-v4-flash", 131_072, 16_384),
    ("deepseek/deepseek-v3.2", 163_840, 16_384),
    ("deepseek/deepseek-v3.2", 32_768, 7_168),
    ("deepseek/deepseek-chat", 131_072, 8_192),
    ("qwen/qwen-plus", 131_072, 8_192),
    ("qwen/qwen-turbo", 1_000_000, 16_384),
    ("qwen/qwen3-coder-plus", 997_952, 65_536),
    ("qwen/qwen-2.5-coder-32b", 131_072, 8_192),
    ("moonshotai/kimi-k2.5", 262_144, 262_144),
    ("moonshotai/kimi-k2.5", 262_144, 16_384),
    ("moonshotai/kimi-k3", 1_048_576, 131_072),
    ("z-ai/glm-4.6", 202_752, 131_072),
    ("z-ai/glm-4.6", 204_800, 16_384),
    ("minimax/minimax-m3", 1_000_000, 128_000),
    ("mistralai/codestral-2508", 256_000, 4_096),
    ("mistralai/codestral-2508", 256_000, 8_192),
    ("meta-llama/llama-3.3-70b-instruct", 131_072, 16_384),
    ("meta-llama/llama-3.3-70b-instruct", 131_072, 32_768),
    ("meta-llama/llama-3.3-70b-instruct", 24_000, 24_000),
    ("meta-llama/llama-4-maverick", 524_288, 32_768),
    ("meta-llama/llama-4-scout", 327_680, 16_384),
    ("meta-llama/llama-4-scout", 10_000_000, 16_384),
    ("cohere/command-r", 128_000, 4_000),
    ("openai/gpt-3.5-turbo", 16_385, 4_096),
]


@pytest.mark.parametrize(("model", "window", "output"), TRUE_FIGURES)
def test_true_figures_are_believed(model: str, window: int, output: int) -> None:
    the_host = replace(host(window, output), completion_price=0.5)
    assert figures(model, the_host) == CatalogFigures(
        context_window_tokens=window,
        max_output_tokens=output,
        hosts=(the_host,),
        age_seconds=60,
        lowest_completion_price=0.5,
        highest_completion_price=0.5,
    )


OUTPUT = "the catalog's output limit of"
WINDOW = "the catalog's context window of"


@pytest.mark.parametrize(
    ("model", "window", "output", "believed", "said"),
    [
        # Seen on OpenRouter.
        (
            "openai/gpt-4.1-nano", 1_047_576, 942_818, (1_047_576, None),
            f"{OUTPUT} 942,818 (here) is nearly all of its window of 1,047,576; "
            "the 32,768 of gpt-4.1 is used instead",
        ),
        (
            "google/gemini-4-argon", 1_048_576, 943_718, (1_048_576, None),
            f"{OUTPUT} 943,718 (here) is nearly all of its window of 1,048,576; "
            "the 32,768 of gemini-4-argon is used instead",
        ),
        (
            "moonshotai/kimi-k2.5", 262_144, 4_096, (262_144, None),
            f"{OUTPUT} 4,096 (here) is under 1/32 of its window of 262,144; "
            "none is used instead, for kimi-k2.5 names none",
        ),
        (
            "minimax/minimax-m3:free", 1_048_576, 943_718, (1_048_576, None),
            f"{OUTPUT} 943,718 (here) is nearly all of its window of 1,048,576; "
            "the 128,000 of minimax-m3 is used instead",
        ),
        # In catalogs other than OpenRouter's.
        (
            "x-ai/grok-4.3", 1_000_000, 1_000_000, (1_000_000, None),
            f"{OUTPUT} 1,000,000 (here) is nearly all of its window of 1,000,000; "
            "the 30,000 of grok-4.3 is used instead",
        ),
        (
            "minimax/minimax-m3", 1_000_000, 524_288, (1_000_000, None),
            f"{OUTPUT} 524,288 (here) is over 2 times the 128,000 of minimax-m3; "
            "the 128,000 of minimax-m3 is used instead",
        ),
        (
            "openai/gpt-5-pro", 400_000, 272_000, (400_000, None),
            f"{OUTPUT} 272,000 (here) is over 2 times the 128,000 of gpt-5-pro; "
            "the 128,000 of gpt-5-pro is used instead",
        ),
        # Made up.
        (
            "anthropic/claude-opus-4.6", 1_000_000, 4_096, (1_000_000, None),
            f"{OUTPUT} 4,096 (here) is under 1/8 of the 128,000 of claude-4.6-to-5.5; "
            "the 128,000 of claude-4.6-to-5.5 is used instead",
        ),
        (
            "openai/gpt-oss-120b", 131_072, 131_073, (131_072, None),
            f"{OUTPUT} 131,073 (here) is more than its window of 131,072; "
            "none is used instead, for gpt-oss names none",
        ),
        (
            "some/model", 32_768, 32_768, (32_768, None),
            f"{OUTPUT} 32,768 (here) is nearly all of its window of 32,768; "
            "none is used instead, for unknown names none",
        ),
        (
            "some/model", 32_768, -1, (32_768, None),
            f"{OUTPUT} -1 (here) is under 1,024; none is used instead, for unknown names none",
        ),
        (
            "some/model", 0, 8_192, (None, 8_192),
            f"{WINDOW} 0 (here) is under 1,024; none is used instead, for unknown names none",
        ),
        (
            "some/model", 10**9, 8_192, (None, 8_192),
            f"{WINDOW} 1,000,000,000 (here) is above 100,000,000; "
            "none is used instead, for unknown names none",
        ),
        (
            "openai/gpt-5.2", 32_768, 128_000, (None, 128_000),
            f"{WINDOW} 32,768 (here) is under 1/8 of the 400,000 of gpt-5; "
            "the 400,000 of gpt-5 is used instead",
        ),
        (
            "openai/gpt-4o", 2_000_000, 16_384, (None, 16_384),
            f"{WINDOW} 2,000,000 (here) is over 8 times the 128,000 of gpt-4o; "
            "the 128,000 of gpt-4o is used instead",
        ),
        (
            "anthropic/claude-haiku-4.5", 200_000, None, (200_000, None),
            "the catalog's output limit is missing for every host that may be used; "
            "the 64,000 of claude-4.5 is used instead",
        ),
        (
            "anthropic/claude-haiku-4.5", None, 64_000, (None, 64_000),
            "the catalog's context window is missing for every host that may be used; "
            "the 200,000 of claude-4.5 is used instead",
        ),
    ],
)  # fmt: skip
def test_absurd_figures_are_refused_with_a_note(
    model: str,
    window: int | None,
    output: int | None,
    believed: tuple[int | None, int | None],
    said: str,
) -> None:
    judged = figures(model, host(window, output))
    assert (judged.context_window_tokens, judged.max_output_tokens) == believed
    assert judged.notes == (f"{model}: {said}",)


def test_stale_figures_are_refused() -> None:
    fresh = entry("anthropic/claude-haiku-4.5", host(200_000, 64_000))
    family = family_of(fresh.model)
    ages = ((3 * DAY, "3 days old"), (float("inf"), "inf s old"), (-1.0, "dated in the future"))
    for age, words in ages:
        judged = judge(fresh, family, age_seconds=age, max_age_seconds=DAY)
        note = (
            f"anthropic/claude-haiku-4.5: the catalog's figures are {words}, and at most 24 h is "
            "believed; context window: the 200,000 of claude-4.5 is used instead; output limit: "
            "the 64,000 of claude-4.5 is used instead"
        )
        assert judged == CatalogFigures(notes=(note,), age_seconds=age)


def test_a_figure_of_no_age_that_can_be_told_is_stale() -> None:
    judged = judge(
        entry("a/b", host(8_192, 2_048)), FAMILIES[-1], age_seconds=float("nan"), max_age_seconds=1
    )
    assert judged.max_output_tokens is None
    assert len(judged.notes) == 1


@pytest.mark.parametrize(
    ("expires_on", "is_noted"),
    [
        ("2026-11-21", True),
        ("2026-11-21T23:00:00Z", True),
        ("2026-11-22", False),
        ("2027-01-01", False),
        ("soon", False),
        ("", False),
    ],
)
def test_a_model_that_has_expired_is_noted(expires_on: str, is_noted: bool) -> None:
    expiring = replace(entry("a/b", host(32_768, 8_192)), expires_on=expires_on)
    family, today = FAMILIES[-1], date(2026, 11, 22)
    judged = judge(expiring, family, age_seconds=0, max_age_seconds=DAY, today=today)
    note = "a/b: by the catalog it expired on 2026-11-21; it may answer no more"
    assert judged.max_output_tokens == 8_192
    assert judged.notes == ((note,) if is_noted else ())
    assert judge(expiring, family, age_seconds=0, max_age_seconds=DAY).notes == ()


# --- hosts that differ ----------------------------------------------------------------------

# As OpenRouter listed them on 2026-08-20.
DEEPSEEK_HOSTS = (
    host(163_840, None, "gmicloud/fp8"),
    host(128_000, 64_000, "streamlake/fp8"),
    host(163_840, 28_000, "digitalocean"),
    host(163_840, 16_384, "deepinfra/fp4"),
    host(131_072, 65_536, "alibaba/fp8"),
    host(32_768, 7_168, "sambanova"),
)
LLAMA_HOSTS = (
    host(131_072, 2_048, "together"),
    host(131_072, 3_072, "sambanova-turbo"),
    host(24_000, 24_000, "cloudflare"),
    host(128_000, 128_000, "coreweave"),
)


def test_what_more_than_half_of_the_hosts_support_is_asked_for() -> None:
    judged = figures("deepseek/deepseek-v3.2", *DEEPSEEK_HOSTS)
    assert (judged.context_window_tokens, judged.max_output_tokens) == (131_072, 28_000)
    assert judged.notes == ()
    assert len(judged.hosts) == 6


def test_a_host_with_an_absurd_figure_has_no_say_on_it() -> None:
    judged = figures("meta-llama/llama-3.3-70b-instruct", *LLAMA_HOSTS)
    assert (judged.context_window_tokens, judged.max_output_tokens) == (128_000, 24_000)
    assert judged.notes == (
        "meta-llama/llama-3.3-70b-instruct: the catalog's output limit of 2,048 (together) is "
        "under 1/32 of its window of 131,072; the 24,000 that other hosts support is used instead",
        "meta-llama/llama-3.3-70b-instruct: the catalog's output limit of 3,072 (sambanova-turbo) "
        "is under 1/32 of its window of 131,072; the 24,000 that other hosts support is used "
        "instead",
    )


def test_the_output_fits_the_window_also_when_they_are_of_different_hosts() -> None:
    judged = figures("a/b", host(200_000, 100_000, "x"), host(50_000, None, "y"))
    assert (judged.context_window_tokens, judged.max_output_tokens) == (50_000, 50_000)


def test_only_hosts_that_are_allowed_count() -> None:
    judged = judge(
        entry("deepseek/deepseek-v3.2", *DEEPSEEK_HOSTS),
        family_of("deepseek/deepseek-v3.2"),
        age_seconds=0,
        max_age_seconds=DAY,
        allowed=lambda each: each.tag == "sambanova",
    )
    assert (judged.context_window_tokens, judged.max_output_tokens) == (32_768, 7_168)
    assert judged.hosts == (DEEPSEEK_HOSTS[-1],)


def test_without_a_host_the_family_holds() -> None:
    judged = figures("anthropic/claude-haiku-4.5")
    assert judged.hosts == ()
    assert [note.partition("; ")[2] for note in judged.notes] == [
        "the 200,000 of claude-4.5 is used instead",
        "the 64,000 of claude-4.5 is used instead",
    ]


def test_the_same_figure_of_many_hosts_is_one_note() -> None:
    hosts = [host(1_047_576, 942_818, tag) for tag in ("openai", "azure", "x", "y", "y")]
    [note] = figures("openai/gpt-4.1", *hosts).notes
    assert "942,818 (azure, openai, x and 1 more) is nearly all" in note


def test_the_nameless_host_of_the_list_of_models_is_not_named() -> None:
    read = read_models(
        {
            "data": [
                {
                    "id": "openai/gpt-4.1-nano",
                    "context_length": 1_047_576,
                    "top_provider": {"max_completion_tokens": 942_818},
                }
            ]
        }
    )
    judged = figures("openai/gpt-4.1-nano", *read["openai/gpt-4.1-nano"].hosts)
    assert judged.notes[0].startswith(
        "openai/gpt-4.1-nano: the catalog's output limit of 942,818 is nearly all"
    )


def test_the_prices_of_the_hosts() -> None:
    hosts = [replace(host(8_192, 2_048, str(p)), completion_price=p) for p in (0.2, None, 0.1)]
    judged = figures("a/b", *hosts)
    assert (judged.lowest_completion_price, judged.highest_completion_price) == (0.1, 0.2)


def test_ages_in_words() -> None:
    ages = (0.4, 119, 120, 7_199, 7_200, 172_799, 172_800, 10**9, -7_200, float("inf"))
    assert [age_in_words(age) for age in ages] == [
        "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days", "11574 days", "-2 h", "inf s",
    ]  # fmt: skip


# --- properties -----------------------------------------------------------------------------

TOKENS = st.none() | st.integers(-10, 200_000_000) | st.sampled_from(
    [1_023, 1_024, 4_096, 8_192, 16_384, 65_536, 128_000, 131_072, 200_000, 943_718, 1_048_576]
)  # fmt: skip
HOSTS = st.lists(
    st.builds(
        HostFigures,
        provider=st.sampled_from(["", "A", "B"]),
        tag=st.sampled_from(["", "a", "b", "c/fp8"]),
        context_window_tokens=TOKENS,
        max_output_tokens=TOKENS,
        completion_price=st.none() | st.floats(0, 1),
        supported_parameters=st.frozensets(st.sampled_from(["tools", "max_tokens"])),
    ),
    max_size=5,
)
AGES = st.floats(0, 2 * DAY)


def judged_of(hosts: Sequence[HostFigures], family: ModelFamily, age: float) -> CatalogFigures:
    return judge(entry("a/b", *hosts), family, age_seconds=age, max_age_seconds=DAY)


@given(HOSTS, st.sampled_from(FAMILIES), AGES)
def test_an_output_never_exceeds_its_window(
    hosts: list[HostFigures], family: ModelFamily, age: float
) -> None:
    judged = judged_of(hosts, family, age)
    window = judged.context_window_tokens or family.context_window_tokens
    if judged.max_output_tokens is not None and window is not None:
        assert judged.max_output_tokens <= window


@given(HOSTS, st.sampled_from(FAMILIES), AGES)
def test_what_is_not_believed_is_noted_and_nothing_else(
    hosts: list[HostFigures], family: ModelFamily, age: float
) -> None:
    judged = judged_of(hosts, family, age)
    windows = {each.context_window_tokens for each in hosts} - {None}
    outputs = {each.max_output_tokens for each in hosts} - {None}
    said = " ".join(judged.notes)
    if age > DAY:
        assert len(judged.notes) == 1
        assert judged.hosts == ()
        return
    assert (judged.context_window_tokens is None) <= ("context window" in said)
    assert (judged.max_output_tokens is None) <= ("output limit" in said)
    alone = [judged_of([each], family, age) for each in hosts]
    believed_windows = {each.context_window_tokens for each in alone} - {None}
    believed_outputs = {each.max_output_tokens for each in alone} - {None}
    assert all(f"context window of {tokens:,}" in said for tokens in windows - believed_windows)
    assert all(f"output limit of {tokens:,}" in said for tokens in outputs - believed_outputs)
    if not any(each.notes for each in alone) and hosts:
        assert judged.notes == ()


@given(HOSTS, st.sampled_from(FAMILIES), st.randoms(use_true_random=False))
def test_the_order_of_hosts_never_matters(
    hosts: list[HostFigures], family: ModelFamily, chance: random.Random
) -> None:
    shuffled = chance.sample(hosts, len(hosts))
    assert judged_of(hosts, family, 0) == judged_of(shuffled, family, 0)


@given(HOSTS, st.sampled_from(FAMILIES))
def test_more_than_half_of_the_hosts_support_what_is_asked_for(
    hosts: list[HostFigures], family: ModelFamily
) -> None:
    judged = judged_of(hosts, family, 0)
    alone = [judged_of([each], family, 0).max_output_tokens for each in hosts]
    believed = [tokens for tokens in alone if tokens is not None]
    if judged.max_output_tokens is not None:
        supporting = [tokens for tokens in believed if tokens >= judged.max_output_tokens]
        assert 2 * len(supporting) > len(believed)
