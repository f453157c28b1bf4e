import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentcore.families import FAMILIES, ModelFamily, ToolArguments, family_of, normalise

BY_NAME = {row.name: row for row in FAMILIES}

# id as somebody writes it, family, window, output
EXAMPLES: list[tuple[str, str, int | None, int | None]] = [
    # Claude, in the older order of words and in the newer
    ("claude-3-haiku-20240307", "claude-3", 200_000, 4_096),
    ("anthropic/claude-3-opus:beta", "claude-3", 200_000, 4_096),
    ("claude-3-5-sonnet-latest", "claude-3.5", 200_000, 8_192),
    ("anthropic/claude-3.5-haiku", "claude-3.5", 200_000, 8_192),
    ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3.5", 200_000, 8_192),
    ("claude-3-5-sonnet-v2@20241022", "claude-3.5", 200_000, 8_192),
    ("anthropic/claude-3.7-sonnet:thinking", "claude-3.7", 200_000, 64_000),
    ("claude-3-7-sonnet-20250219", "claude-3.7", 200_000, 64_000),
    ("claude-sonnet-3.7", "claude-3.7", 200_000, 64_000),
    ("claude-opus-4-20250514", "claude-opus-4", 200_000, 32_000),
    ("claude-opus-4-0", "claude-opus-4", 200_000, 32_000),
    ("claude-opus-4-20250514-thinking", "claude-opus-4", 200_000, 32_000),
    ("anthropic/claude-opus-4.1", "claude-opus-4", 200_000, 32_000),
    ("claude-opus-41", "claude-opus-4", 200_000, 32_000),
    ("claude-sonnet-4@20250514", "claude-sonnet-4", 200_000, 64_000),
    ("anthropic--claude-4-sonnet", "claude-sonnet-4", 200_000, 64_000),
    ("claude-sonnet-4-1m", "claude-sonnet-4", 200_000, 64_000),
    ("anthropic/claude-sonnet-4.5", "claude-4.5", 200_000, 64_000),
    ("claude-haiku-4-5-20251001", "claude-4.5", 200_000, 64_000),
    ("claude-opus-4-5@20251101", "claude-4.5", 200_000, 64_000),
    ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-4.5", 200_000, 64_000),
    ("claude-opus-4-6", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-opus-4.6", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-4.6-opus", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("us.anthropic.claude-opus-4-6-v1:0", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-opus-4-6@default", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("databricks-claude-sonnet-4-6", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-opus-4-8", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-sonnet-5", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("anthropic/claude-opus-5.5", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-fable-5-2", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-haiku-5-5", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-mythos-5", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-opus-9", "claude-newer", None, 128_000),
    ("claude-opus-4-60", "claude-newer", None, 128_000),
    ("~anthropic/claude-sonnet-latest", "claude-newer", None, 128_000),
    # OpenAI
    ("openai/gpt-4o", "gpt-4o", 128_000, 16_384),
    ("gpt-4o-mini-2024-07-18", "gpt-4o", 128_000, 16_384),
    ("chatgpt-4o-latest", "gpt-4o", 128_000, 16_384),
    ("ft:gpt-4o-2024-08-06:acme::abc", "gpt-4o", 128_000, 16_384),
    ("gpt-4.1-nano-2025-04-14", "gpt-4.1", 1_047_576, 32_768),
    ("openai/o3-mini", "o-series", 200_000, 100_000),
    ("o4-mini-2025-04-16", "o-series", 200_000, 100_000),
    ("gpt-5-chat-latest", "gpt-5-chat", 128_000, 16_384),
    ("openai/gpt-5.2-chat", "gpt-5-chat", 128_000, 16_384),
    ("gpt-5-pro-2025-10-06", "gpt-5-pro", 400_000, 128_000),
    ("gpt-5.4-mini", "gpt-5.4-mini", 400_000, 128_000),
    ("openai/gpt-5.5", "gpt-5.4", 1_050_000, 128_000),
    ("gpt-5.6", "gpt-5.6", 1_050_000, 128_000),
    ("gpt-6.1", "gpt-5.6", 1_050_000, 128_000),
    ("gpt-5-mini-2025-08-07", "gpt-5", 400_000, 128_000),
    ("openai/gpt-5.1-codex-max", "gpt-5", 400_000, 128_000),
    ("openai.gpt-oss-120b-1:0", "gpt-oss", 131_072, None),
    ("gpt-oss:20b", "gpt-oss", 131_072, None),
    ("gpt-7", "openai-newer", None, None),
    ("o1-mini", "openai-newer", None, None),
    # Google
    ("google/gemini-2.5-flash-lite-preview-09-2025", "gemini-2.5", 1_048_576, 65_535),
    ("gemini-2.5-pro-preview-05-06", "gemini-2.5", 1_048_576, 65_535),
    ("gemini-3.1-pro-preview", "gemini-3", 1_048_576, 65_536),
    ("google/gemini-4-argon", "gemini-4-argon", 1_048_576, 32_768),
    ("gemini-2.5-flash-image", "gemini", None, None),
    ("models/gemini-flash-latest", "gemini", None, None),
    # The rest
    ("x-ai/grok-4.3", "grok-4.3", 1_000_000, 30_000),
    ("grok-4.6", "grok-4.5", 500_000, None),
    ("grok-4-0709", "grok", None, None),
    ("deepseek/deepseek-v4-flash", "deepseek-v4", 1_000_000, 384_000),
    ("deepseek-chat", "deepseek-chat", 131_072, 8_192),
    ("deepseek-reasoner", "deepseek-reasoner", 131_072, 65_536),
    ("deepseek.v3-v1:0", "deepseek", None, None),
    ("qwen/qwen3-coder-plus", "qwen3-coder-plus", 997_952, 65_536),
    ("qwen-plus-2025-07-28", "qwen-plus", None, 8_192),
    ("accounts/fireworks/models/kimi-k2p5", "kimi-k2.5", 262_144, None),
    ("moonshotai/kimi-k2.7-code", "kimi-k2.5", 262_144, None),
    ("kimi-k3.1", "kimi-k3", 1_048_576, 131_072),
    ("moonshotai/kimi-k2-0905", "kimi", None, None),
    ("z-ai/glm-4.5-air:free", "glm-4.5", 128_000, 32_000),
    ("zai-glm-4.7", "glm-4.6", 200_000, 128_000),
    ("z-ai/glm-5", "glm-4.6", 200_000, 128_000),
    ("glm-5.2", "glm-5.2", 1_000_000, 128_000),
    ("glm-4.5v", "glm", None, None),
    ("MiniMaxAI/MiniMax-M2.7", "minimax-m2", 200_000, 8_192),
    ("minimax/minimax-m3", "minimax-m3", 1_000_000, 128_000),
    ("mistralai/codestral-2508", "codestral", 256_000, 4_096),
    ("mistral.mistral-large-2407-v1:0", "mistral", None, None),
    ("mistral.magistral-small-2509", "mistral", None, None),
    ("mistralai/devstral-medium", "mistral", None, None),
    ("us.meta.llama3-3-70b-instruct-v1:0", "llama-3.3", 128_000, None),
    ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3.3", 128_000, None),
    ("meta-llama/llama-4-maverick", "llama-4", None, None),
    # Azure writes GPT-3.5 without the dot; it is not a GPT-35.
    ("gpt-35-turbo", "unknown", None, None),
    # 1106 is a date, not version 1.
    ("gpt-4-1106-preview", "unknown", None, None),
    ("my-own-model", "unknown", None, None),
    ("", "unknown", None, None),
]

KNOWN_IDS = st.sampled_from([model for model, *_ in EXAMPLES if model])


@pytest.mark.parametrize(("model", "name", "window", "output"), EXAMPLES)
def test_id_has_its_family_and_figures(
    model: str, name: str, window: int | None, output: int | None
) -> None:
    row = family_of(model)

    assert (row.name, row.context_window_tokens, row.max_output_tokens) == (name, window, output)


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        ("us.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        ("anthropic/claude-opus-4.6:beta", "claude-opus-4-6"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("openai/gpt-5-chat-latest", "gpt-5-chat"),
        ("gpt-4o-2024-05-13", "gpt-4o"),
        ("gemini-2.5-pro-preview-05-06", "gemini-2-5-pro"),
        ("gemini-2.5-flash-preview-09-2025", "gemini-2-5-flash"),
        # A version keeps its numbers: only a leading zero makes a month.
        ("claude-opus-10-12", "claude-opus-10-12"),
        ("deepseek.v3-v1:0", "deepseek-v3"),
        ("accounts/fireworks/models/glm-4p6", "glm-4-6"),
        (" GPT_4.1 ", "gpt-4-1"),
        ("anthropic/", ""),
    ],
)
def test_normalised_id(model: str, plain: str) -> None:
    assert normalise(model) == plain


@pytest.mark.parametrize(
    ("model", "parameter"),
    [
        ("o3", "max_completion_tokens"),
        ("gpt-5-mini", "max_completion_tokens"),
        ("gpt-5.5", "max_completion_tokens"),
        ("gpt-7", "max_completion_tokens"),
        ("o1-mini", "max_completion_tokens"),
        ("grok-4.6", "max_completion_tokens"),
        ("kimi-k3", "max_completion_tokens"),
        ("gpt-4o", "max_tokens"),
        ("gpt-4.1", "max_tokens"),
        ("gpt-35-turbo", "max_tokens"),
        ("gpt-oss-120b", "max_tokens"),
        ("claude-opus-4.6", "max_tokens"),
        ("gemini-3-pro", "max_tokens"),
        ("glm-5", "max_tokens"),
        ("my-own-model", "max_tokens"),
    ],
)
def test_cap_parameter(model: str, parameter: str) -> None:
    assert family_of(model).cap_parameter == parameter


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.name)
def test_tool_arguments_and_returned_reasoning_follow_the_vendor(row: ModelFamily) -> None:
    vendor = re.split(r"[-\d]", row.name)[0]
    arguments = {
        "claude": ToolArguments.BUFFERED,
        "glm": ToolArguments.BUFFERED,
        "gemini": ToolArguments.WHOLE,
    }
    reasoning = {"deepseek": ("reasoning_content",), "kimi": ("reasoning_content",)}

    assert row.tool_arguments == arguments.get(vendor, ToolArguments.STREAMED)
    assert row.returned_reasoning == reasoning.get(vendor, ())


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(FAMILIES)


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.name)
def test_row_has_a_source_and_is_reached_by_an_example(row: ModelFamily) -> None:
    assert row.source
    assert row.name in {name for _, name, *_ in EXAMPLES}


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.name)
def test_output_fits_the_window(row: ModelFamily) -> None:
    window, output = row.context_window_tokens, row.max_output_tokens

    assert window is None or window > 0
    assert output is None or 0 < output <= (window or output)


def test_only_the_last_row_matches_everything() -> None:
    assert [row.name for row in FAMILIES if any(re.match(p, "") for p in row.patterns)] == [
        FAMILIES[-1].name
    ]


@given(st.text() | st.text("-./:@_0123456789vclaudegpt"))
@example("\ud800")
@example("/:-")
def test_any_text_has_exactly_one_family(model: str) -> None:
    row = family_of(model)

    assert FAMILIES.count(row) == 1
    assert family_of(model) is row


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", max_size=12))
def test_any_claude_at_all_has_a_claude_row_with_a_cap(tail: str) -> None:
    row = family_of(f"claude-{tail}")

    assert row.name.startswith("claude")
    assert row.max_output_tokens is not None


@given(
    model=KNOWN_IDS,
    prefix=st.sampled_from(["", "openrouter/", "anthropic/", "a/b.c/d:e/", "projects/p@1/"]),
    date=st.sampled_from(["", "-20250514", "-2025-05-14", "@20251101", "-latest", "-preview"]),
    suffix=st.sampled_from(["", ":free", ":beta", ":thinking", ":nitro", ":0"]),
)
# Once `ft:` was only known at the very beginning.
@example(model="ft:gpt-4o:acme::abc", prefix="openrouter/", date="", suffix="")
def test_prefix_date_and_suffix_never_change_the_family(
    model: str, prefix: str, date: str, suffix: str
) -> None:
    assert family_of(f"{prefix}{model}{date}{suffix}") is family_of(model)


@given(model=KNOWN_IDS, data=st.data())
def test_case_and_separators_never_change_the_family(model: str, data: st.DataObject) -> None:
    separator = st.sampled_from(".-_")
    spelt = [
        data.draw(separator)
        if letter in ".-_"
        else data.draw(st.sampled_from([letter.lower(), letter.upper()]))
        for letter in model
    ]

    assert family_of("".join(spelt)) is family_of(model)
