"""Lines of models that share facts, whoever serves them: a table, and one lookup.

A row says what holds for the model itself. What an endpoint adds or forbids is its adapter's word.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal, TypeAlias

__all__ = ["FAMILIES", "CapParameter", "ModelFamily", "ToolArguments", "family_of"]

CapParameter: TypeAlias = Literal["max_tokens", "max_completion_tokens"]


class ToolArguments(StrEnum):
    """How a model's tool arguments arrive when nothing is asked for."""

    STREAMED = "streamed"
    """Piece by piece, as they are generated."""
    BUFFERED = "buffered"
    """Held back until whole, unless the endpoint is told to stream them."""
    WHOLE = "whole"
    """In one piece, always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """Facts about a line of models."""

    name: str
    """Unique; a Claude family's name begins with `claude`."""
    patterns: tuple[str, ...]
    """Regular expressions, matched from the start of the normalised id (see `normalise`)."""
    source: str
    """The page or catalog that the figures come from, and the day they were read."""
    context_window_tokens: int | None = None
    """Prompt and answer together; None when it is not known or differs by host."""
    max_output_tokens: int | None = None
    """The most that one answer may hold, reasoning included; None when it shares the window,
    differs by host, or is not known."""
    cap_parameter: CapParameter = "max_tokens"
    """The payload's name for the cap, on chat completions."""
    tool_arguments: ToolArguments = ToolArguments.STREAMED
    returned_reasoning: tuple[str, ...] = ()
    """Reasoning fields that assistant messages must carry back in a tool loop."""


_NO_FURTHER_NUMBER: Final = r"(?!-?\d+\b)"
"""Ends a version, so that 4 is not read out of 4-6; `-1m` and `-120b` are no versions."""

_TEXT_ONLY: Final = r"(?!.*-(?:audio|image|live|tts)\b)"
"""Leaves out the variants that speak or draw, which have limits of their own."""


def _claude(tiers: str, versions: str) -> str:
    """A pattern for both orders in use: `claude-3-7-sonnet` and `claude-sonnet-3-7`."""
    orders = rf"(?:{tiers})-(?:{versions})|(?:{versions})-(?:{tiers})"
    return rf"claude-(?:{orders}){_NO_FURTHER_NUMBER}"


# Where catalogs disagree, a row has the smaller output figure: a cap that is too small costs a
# continuation, one that is too big costs a refusal. The comments say how sure a doubtful row is.

_CLAUDE: Final = (
    ModelFamily(
        name="claude-3",
        patterns=(_claude("haiku|opus|sonnet", "3"),),
        source="models.dev, AI SDK; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=4_096,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-3.5",
        patterns=(_claude("haiku|sonnet", "3-5"),),
        source="vendor documentation, models.dev; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=8_192,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-3.7",
        patterns=(_claude("sonnet", "3-7"),),
        source="models.dev, Roo Code; 2026-11-22",
        context_window_tokens=200_000,
        # 128,000 only with the beta `output-128k-2025-02-19`.
        max_output_tokens=64_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-opus-4",
        # Undotted 41 is how GitHub Copilot writes 4.1.
        patterns=(_claude("opus", "4|4-0|4-?1"),),
        source="vendor documentation, anthropic SDK 2.12.0; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=32_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-sonnet-4",
        patterns=(_claude("sonnet", "4|4-0"),),
        source="vendor documentation; 2026-11-22",
        # 1M only with the beta `context-1m-2025-08-07`.
        context_window_tokens=200_000,
        max_output_tokens=64_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-4.5",
        patterns=(_claude("haiku|opus|sonnet", "4-5"),),
        source="vendor documentation; 2026-11-22",
        # OpenRouter lists 1M for Sonnet 4.5; elsewhere that takes the same beta as Sonnet 4.
        context_window_tokens=200_000,
        max_output_tokens=64_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-4.6-to-5.5",
        patterns=(
            _claude("opus", "4-[678]|5|5-5"),
            # Older tables say 64,000 for Sonnet 4.6; Effect's release notes corrected it.
            _claude("sonnet", "4-6|5|5-5"),
            # Less sure (two catalogs at most): Haiku, Mythos, Fable 5.2, Sonnet 5.5.
            _claude("haiku", "5-5"),
            _claude("fable", "5|5-[12]"),
            _claude("mythos", "5|5-1"),
        ),
        source="vendor documentation, four catalogs, LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-newer",
        # An unlisted Claude counts as newer, not older: every line since 4.6 has had 128,000.
        patterns=(r"claude\b",),
        source="AI SDK at ed857f50, which assumes the same; 2026-11-22",
        max_output_tokens=128_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
)

_OPENAI: Final = (
    ModelFamily(
        name="gpt-4o",
        patterns=(r"(?:chat)?gpt-4o\b",),
        source="vendor documentation; 2026-11-22",
        context_window_tokens=128_000,
        # The snapshot of 2024-05-13 ends at 4,096; a date does not make a family of its own.
        max_output_tokens=16_384,
    ),
    ModelFamily(
        name="gpt-4.1",
        patterns=(r"gpt-4-1\b",),
        # OpenRouter has shown 942,818 for nano, which is not the model's limit.
        source="vendor documentation, public catalogs; 2026-11-22",
        context_window_tokens=1_047_576,
        max_output_tokens=32_768,
    ),
    ModelFamily(
        name="o-series",
        # o1-mini is older and smaller than the rest.
        patterns=(r"o1\b(?!-mini)", r"o3\b", r"o4-mini\b"),
        source="vendor documentation; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=100_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5-chat",
        patterns=(r"gpt-5(?:-\d+)?-chat\b",),
        source="two public catalogs or more; 2026-11-22",
        context_window_tokens=128_000,
        max_output_tokens=16_384,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5-pro",
        patterns=(r"gpt-5-pro\b",),
        # Not sure: LiteLLM says 272,000, which earendil-works/pi#5559 calls the input's sub-limit.
        source="pi-ai 1.5.2, against LiteLLM 1.109.1; 2026-11-22",
        context_window_tokens=400_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5.4-mini",
        patterns=(r"gpt-5-[45]-(?:mini|nano)\b",),
        source="vendor documentation, public catalogs; 2026-11-22",
        context_window_tokens=400_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5.4",
        patterns=(rf"gpt-5-[45]\b{_NO_FURTHER_NUMBER}",),
        source="vendor documentation, public catalogs; 2026-11-22",
        context_window_tokens=1_050_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5.6",
        # No figures were found for a mini or nano of this line; in 5.4 their window is smaller.
        patterns=(rf"gpt-(?:5-6|6|6-1)\b{_NO_FURTHER_NUMBER}(?!.*-(?:mini|nano)\b)",),
        source="two public catalogs or more; 2026-11-22",
        context_window_tokens=1_050_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5",
        patterns=(rf"gpt-5(?:-[12])?\b{_NO_FURTHER_NUMBER}",),
        source="vendor documentation, public catalogs; 2026-11-22",
        # The prompt may have 272,000 of it.
        context_window_tokens=400_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-oss",
        patterns=(r"gpt-oss\b",),
        # The output is the host's: Groq 65,536, Cerebras 32,768 or 40,960. Hosts take either cap.
        source="public catalogs of hosts; 2026-11-22",
        context_window_tokens=131_072,
    ),
    ModelFamily(
        name="openai-newer",
        # Figures unknown, but every reasoning line since o1 refuses `max_tokens`. Azure's
        # `gpt-35-turbo` is GPT-3.5.
        patterns=(r"o[1-9]\b", r"gpt-(?!35\b)(?:[5-9]|[1-9]\d)\b"),
        source="Cline at 21cb8d25, error text of the API; 2026-11-22",
        cap_parameter="max_completion_tokens",
    ),
)

_GOOGLE: Final = (
    ModelFamily(
        name="gemini-2.5",
        patterns=(rf"gemini-2-5-(?:pro|flash)\b{_TEXT_ONLY}",),
        # 65,536 by Google's documentation, 65,535 for flash on OpenRouter.
        source="vendor documentation, OpenRouter; 2026-11-22",
        context_window_tokens=1_048_576,
        max_output_tokens=65_535,
        tool_arguments=ToolArguments.WHOLE,
    ),
    ModelFamily(
        name="gemini-3",
        patterns=(rf"gemini-3\b{_TEXT_ONLY}",),
        source="vendor documentation, public catalogs; 2026-11-22",
        context_window_tokens=1_048_576,
        max_output_tokens=65_536,
        tool_arguments=ToolArguments.WHOLE,
    ),
    ModelFamily(
        name="gemini-4-argon",
        patterns=(rf"gemini-4-argon\b{_TEXT_ONLY}",),
        # Not sure: one catalog only. The 943,718 seen on OpenRouter is window, not answer.
        source="pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_048_576,
        max_output_tokens=32_768,
        tool_arguments=ToolArguments.WHOLE,
    ),
    ModelFamily(
        name="gemini",
        patterns=(r"gemini\b",),
        source="vendor documentation of function calling, google-genai SDK; 2026-11-22",
        tool_arguments=ToolArguments.WHOLE,
    ),
)

_XAI: Final = (
    ModelFamily(
        name="grok-4.3",
        patterns=(rf"grok-4-3\b{_NO_FURTHER_NUMBER}",),
        # Not sure: LiteLLM gives the whole window, 1M, as the output.
        source="pi-ai 1.5.2, against LiteLLM 1.109.1; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=30_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="grok-4.5",
        patterns=(rf"grok-4-[567]\b{_NO_FURTHER_NUMBER}",),
        source="pi-ai 1.5.2, LiteLLM 1.109.1; 2026-11-22",
        context_window_tokens=500_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="grok",
        patterns=(r"grok\b",),
        source="pi-ai 1.5.2, LiteLLM 1.109.1; 2026-11-22",
        cap_parameter="max_completion_tokens",
    ),
)

_DEEPSEEK: Final = (
    ModelFamily(
        name="deepseek-v4",
        patterns=(rf"deepseek-v4\b{_NO_FURTHER_NUMBER}",),
        # LiteLLM says 393,216.
        source="pi-ai 1.5.2, against LiteLLM 1.109.1; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=384_000,
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="deepseek-chat",
        # The vendor's alias; `deepseek-chat-v3-1` and the like are open weights on many hosts.
        patterns=(r"deepseek-chat\b(?!-v\d)",),
        source="two public catalogs or more; 2026-11-22",
        context_window_tokens=131_072,
        max_output_tokens=8_192,
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="deepseek-reasoner",
        patterns=(r"deepseek-reasoner\b",),
        source="two public catalogs or more; 2026-11-22",
        context_window_tokens=131_072,
        max_output_tokens=65_536,
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="deepseek",
        patterns=(r"deepseek\b",),
        source="pi-ai 1.5.2; 2026-11-22",
        returned_reasoning=("reasoning_content",),
    ),
)

_QWEN: Final = (
    ModelFamily(
        name="qwen3-coder-plus",
        patterns=(r"qwen-?3-coder-(?:plus|flash)\b",),
        source="two public catalogs or more; 2026-11-22",
        context_window_tokens=997_952,
        max_output_tokens=65_536,
    ),
    ModelFamily(
        name="qwen-plus",
        patterns=(r"qwen-(?:plus|flash|turbo)\b",),
        # 8,192 to 32,768 by member, far under what the open weights can; windows of 129K to 1M.
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        max_output_tokens=8_192,
    ),
)

# Moonshot's own client calls `max_tokens` a deprecated alias.
_MOONSHOT: Final = (
    ModelFamily(
        name="kimi-k2.5",
        patterns=(rf"kimi-k2-[567]\b{_NO_FURTHER_NUMBER}",),
        # OpenRouter has shown an output of 4,096 for K2.5; the answer shares the window.
        source="kimi-cli at 4a550eff, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=262_144,
        cap_parameter="max_completion_tokens",
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="kimi-k3",
        patterns=(rf"kimi-k3(?:-1)?\b{_NO_FURTHER_NUMBER}",),
        # OpenRouter's figure; at the vendor the answer shares the window.
        source="OpenRouter, kimi-cli at 4a550eff, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_048_576,
        max_output_tokens=131_072,
        cap_parameter="max_completion_tokens",
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="kimi",
        patterns=(r"kimi\b",),
        source="kimi-cli at 4a550eff, pi-ai 1.5.2; 2026-11-22",
        cap_parameter="max_completion_tokens",
        returned_reasoning=("reasoning_content",),
    ),
)

# The smaller of two roundings: 200K or 205K, 128,000 or 131,072.
_ZAI: Final = (
    ModelFamily(
        name="glm-4.5",
        patterns=(rf"glm-4-5\b{_NO_FURTHER_NUMBER}",),
        source="LiteLLM 1.109.1; 2026-11-22",
        context_window_tokens=128_000,
        max_output_tokens=32_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="glm-4.6",
        patterns=(rf"glm-(?:4-[67]|5|5-1)\b{_NO_FURTHER_NUMBER}",),
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=128_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="glm-5.2",
        patterns=(rf"glm-5-[23]\b{_NO_FURTHER_NUMBER}",),
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="glm",
        patterns=(r"glm\b",),
        source="pi-ai 1.5.2, `zaiToolStream`; 2026-11-22",
        tool_arguments=ToolArguments.BUFFERED,
    ),
)

_MINIMAX: Final = (
    ModelFamily(
        name="minimax-m2",
        patterns=(r"minimax-m2\b",),
        # Not sure: pi-ai has 131,072 for M2.7, and LiteLLM's MiniMax figures are old ones.
        source="LiteLLM 1.109.1, against pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=8_192,
    ),
    ModelFamily(
        name="minimax-m3",
        patterns=(rf"minimax-m3\b{_NO_FURTHER_NUMBER}",),
        # Not sure: pi-ai has 524,288.
        source="LiteLLM 1.109.1, against pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=128_000,
    ),
)

_MISTRAL: Final = (
    ModelFamily(
        name="codestral",
        # Not sure: one catalog, read for 2508 only, with 4,096 and 8,192.
        patterns=(r"codestral\b(?!-(?:embed|mamba))",),
        source="pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=256_000,
        max_output_tokens=4_096,
    ),
    ModelFamily(
        name="mistral",
        # The answer shares a window of 131K to 1M, by member.
        patterns=(r"mistral-(?:large|medium)\b", r"(?:dev|magi)stral\b"),
        source="two public catalogs or more; 2026-11-22",
    ),
)

_META: Final = (
    ModelFamily(
        name="llama-3.3",
        patterns=(r"llama-?3-3\b",),
        # The output is the host's, such as 32,768 on Groq.
        source="public catalogs of hosts; 2026-11-22",
        context_window_tokens=128_000,
    ),
    ModelFamily(
        name="llama-4",
        # Not sure: OpenRouter alone, 32,768 of 524K for Maverick and 16,384 of 328K for Scout.
        patterns=(r"llama-?4\b",),
        source="OpenRouter; 2026-11-22",
    ),
)

FAMILIES: Final[tuple[ModelFamily, ...]] = (
    *_CLAUDE,
    *_OPENAI,
    *_GOOGLE,
    *_XAI,
    *_DEEPSEEK,
    *_QWEN,
    *_MOONSHOT,
    *_ZAI,
    *_MINIMAX,
    *_MISTRAL,
    *_META,
    ModelFamily(name="unknown", patterns=("",), source="no source: nothing is claimed"),
)
"""Read in order, the first match wins: specific rows stand before general ones. The last row
matches any id at all."""

_SEPARATORS: Final = re.compile(r"[-._@\s]+")

# Fireworks writes a version's dot as a p: `kimi-k2p5`, `glm-4p6`.
_LETTER_FOR_DOT: Final = re.compile(r"(?<=\d)p(?=\d)")

# Bedrock puts a region and an owner before the id, SAP AI Core and Databricks an owner. An owner's
# name that also begins model names goes only where the model's own name follows.
_OWNERS: Final = re.compile(
    r"(?:(?:us-gov|us|eu|apac|au|jp|ca|global"
    r"|anthropic|databricks|google|meta|openai|xai|z-?ai|moonshot(?:ai)?(?=-kimi)"
    r"|mistral(?=-\w*stral)|deepseek(?=-deepseek)|minimax(?=-minimax)|qwen(?=-qwen))-)+"
)

_DATE: Final = re.compile(r"-20\d\d-?[01]\d-?[0-3]\d(?!\d)")

# A date without a year only with a month's leading zero, which no version has (Gemini: `-05-06`,
# `-09-2025`). Bedrock counts revisions, `-v1` and `-v2`; a larger one may be a name: `deepseek-v3`.
_TAIL: Final = re.compile(
    r"(?:-(?:latest|preview|default|v[12]|0[1-9]-[0-3]\d|(?:0[1-9]|1[0-2])-20\d\d))+\Z"
)


def normalise(model: str) -> str:
    """The id as rows match it: lower case, dashes only, no owner, variant, date or `-latest`.

    `us.anthropic.claude-opus-4-6-v1:0` and `anthropic/claude-opus-4.6:beta` both become
    `claude-opus-4-6`. Any text is taken; what is left may be empty.
    """
    # OpenAI's tuned models are `ft:<base>:<organisation>:…`.
    plain = model.strip().lower().rpartition("/")[2].removeprefix("ft:").partition(":")[0]
    dashed = _SEPARATORS.sub("-", _LETTER_FOR_DOT.sub("-", plain)).strip("-")
    owned = _OWNERS.match(dashed)
    bare = dashed[owned.end() :] if owned else dashed
    return _TAIL.sub("", _DATE.sub("", bare))


@lru_cache(maxsize=256)
def family_of(model: str) -> ModelFamily:
    """The first row that matches; the row `unknown` for an id that no other row knows."""
    plain = normalise(model)
    return next(row for row in FAMILIES if any(re.match(p, plain) for p in row.patterns))
