"""Lines of models that share facts, whoever serves them: a table, and one lookup.

A row says what holds for the model itself. What an endpoint adds or forbids is its adapter's word.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
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
    example: str = ""
    """An id as an endpoint really spells it."""
    doubt: str = ""
    """What is not sure of the figures, in words for users; empty where sources agree."""


_NO_FURTHER_NUMBER: Final = r"(?!-?(?!0\d)\d{1,3}\b)"
"""Ends a version, so that 4 is not read out of 4-6; `-1m` and `-120b` are no versions, four digits
are a date and `-001` is Google's count of revisions."""

_MARKS: Final = r"latest|preview|default|00[1-9]|(?<!claude-)v[12]"
"""Words after a name that make it no other. Google counts revisions `-001`, Bedrock `-v1` and
`-v2`; a larger one may be a name, as in `deepseek-v3`, and so is `claude-v2`."""

_NOTHING_ELSE: Final = rf"(?=(?:-(?:{_MARKS}))*(?:\Z|-\d{{4}}\b))"
"""Ends a name that would be another with a word more; only marks and a date may follow."""

_TEXT_ONLY: Final = r"(?!.*-(?:audio|image|live|tts)\b)"
"""Leaves out the variants that speak or draw, which have limits of their own."""


def _claude(tiers: str, versions: str) -> str:
    """A pattern for both orders in use: `claude-3-7-sonnet` and `claude-sonnet-3-7`.

    GitLab writes `duo-chat-opus-4-6`, Cortecs `claude-opus4-6`.
    """
    orders = rf"(?:{tiers})-?(?:{versions})|(?:{versions})-(?:{tiers})"
    return rf"(?:claude-)?(?:{orders}){_NO_FURTHER_NUMBER}"


# Where catalogs disagree, a row has the smaller output figure: a cap that is too small costs a
# continuation, one that is too big costs a refusal. With windows it is the other way round: under
# one that is too small nothing is left for the answer to a long prompt. Of two roundings of one
# window the smaller is taken; where members or hosts truly differ, it is None. An output is None
# where it shares the window or is the host's. Doubts that concern users stand in `doubt`.

_CATALOGS: Final = "LiteLLM 1.109.1, models.dev at f3fc6922, pi-ai 1.5.2"

_CLAUDE: Final = (
    ModelFamily(
        name="claude-2",
        example="anthropic.claude-v2:1",
        patterns=(r"claude-(?:v?[12]|instant)\b",),
        source="LiteLLM 1.109.1; 2026-11-22",
        doubt="One catalog only; the vendor has retired these models.",
        context_window_tokens=100_000,
        max_output_tokens=8_191,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-3",
        example="anthropic.claude-3-haiku-20240307-v1:0",
        patterns=(_claude("haiku|opus|sonnet", "3"),),
        source="models.dev, AI SDK; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=4_096,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-3.5",
        example="claude-3-5-sonnet-20241022",
        patterns=(_claude("haiku|sonnet", "3-5"),),
        source="vendor documentation, models.dev; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=8_192,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-3.7",
        example="anthropic/claude-3.7-sonnet:thinking",
        patterns=(_claude("sonnet", "3-7"),),
        source="models.dev, Roo Code; 2026-11-22",
        doubt="Up to 128,000 tokens of output with the beta output-128k-2025-02-19.",
        context_window_tokens=200_000,
        max_output_tokens=64_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-opus-4",
        example="claude-opus-4-1-20250805",
        # Undotted 41 is how GitHub Copilot writes 4.1.
        patterns=(_claude("opus", "4|4-0|4-?1"),),
        source="vendor documentation, anthropic SDK 2.12.0; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=32_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-sonnet-4",
        example="claude-sonnet-4@20250514",
        patterns=(_claude("sonnet", "4|4-0"),),
        source="vendor documentation; 2026-11-22",
        doubt="The window has 1,000,000 tokens with the beta context-1m-2025-08-07.",
        context_window_tokens=200_000,
        max_output_tokens=64_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-4.5",
        example="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        patterns=(_claude("haiku|opus|sonnet", "4-5"),),
        source="vendor documentation; 2026-11-22",
        doubt="Sonnet's window has 1,000,000 tokens on OpenRouter, and elsewhere with the beta "
        "context-1m-2025-08-07.",
        context_window_tokens=200_000,
        max_output_tokens=64_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-4.6-to-5.5",
        example="anthropic/claude-opus-4.6",
        patterns=(
            _claude("opus", "4-[678]|5|5-5"),
            _claude("sonnet", "4-6|5|5-5"),
            _claude("haiku", "5-5"),
            _claude("fable", "5|5-[12]"),
            _claude("mythos", "5|5-1"),
            # Its preview has no number.
            rf"claude-mythos{_NOTHING_ELSE}",
        ),
        # Older tables say 64,000 for Sonnet 4.6; Effect's release notes corrected it.
        source="vendor documentation, four catalogs, LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        doubt="Haiku 5.5, Mythos, Fable 5.2 and Sonnet 5.5 are by one or two catalogs; some give "
        "64,000 for the output of Sonnet 4.6.",
        context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="claude-newer",
        example="~anthropic/claude-sonnet-latest",
        # An unlisted Claude counts as newer, not older: every line since 4.6 has had 128,000.
        # Their window of 1M is not assumed: a larger one would leave more room.
        patterns=(r"claude\b",),
        source="AI SDK at ed857f50, which assumes the same; 2026-11-22",
        doubt="No row names this model; it is taken for one that is newer than those listed.",
        max_output_tokens=128_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
)

_OPENAI: Final = (
    ModelFamily(
        name="gpt-3.5-turbo",
        example="openai/gpt-3.5-turbo-0125",
        # Azure writes it without the dot.
        patterns=(r"gpt-3-?5-turbo\b(?!-(?:instruct|0301|0613))",),
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=16_385,
        max_output_tokens=4_096,
    ),
    ModelFamily(
        name="gpt-4-turbo",
        example="gpt-4-1106-preview",
        # 1106 and 0125 are how its previews were called.
        patterns=(r"gpt-4-(?:turbo|vision|1106|0125)\b",),
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=128_000,
        max_output_tokens=4_096,
    ),
    ModelFamily(
        name="gpt-4o",
        example="openai/gpt-4o-2024-08-06",
        # GitHub Copilot has had `gpt-4-o-preview`.
        patterns=(r"(?:chat)?gpt-4-?o\b",),
        source="vendor documentation; 2026-11-22",
        # A date does not make a family of its own: the refusal names the smaller cap.
        doubt="The snapshot of 2024-05-13 ends at 4,096 tokens of output.",
        context_window_tokens=128_000,
        max_output_tokens=16_384,
    ),
    ModelFamily(
        name="gpt-4.1",
        example="gpt-4.1-nano-2025-04-14",
        patterns=(r"gpt-4-1\b",),
        # OpenRouter has shown 942,818 for nano, which is not the model's limit.
        source="vendor documentation, public catalogs; 2026-11-22",
        context_window_tokens=1_047_576,
        max_output_tokens=32_768,
    ),
    ModelFamily(
        name="gpt-4",
        example="openai/gpt-4-0613",
        patterns=(rf"gpt-4\b{_NO_FURTHER_NUMBER}(?!-32k)",),
        # Catalogs give 4,096 or the whole window; the answer shares it.
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=8_192,
    ),
    ModelFamily(
        name="o-series",
        example="openai/o3-mini",
        # o1-mini is older and smaller than the rest; codex-mini is an o4-mini.
        patterns=(r"o1\b(?!-mini)", r"o3\b", r"o4-mini\b", r"codex-mini\b"),
        source="vendor documentation; 2026-11-22",
        doubt="The retired o1-preview ended at 32,768 tokens of output.",
        context_window_tokens=200_000,
        max_output_tokens=100_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5-chat",
        example="gpt-5-chat-latest",
        patterns=(r"gpt-5(?:-\d+)?-chat\b", r"gpt-5-[123]-instant\b"),
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=128_000,
        max_output_tokens=16_384,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5-pro",
        example="gpt-5-pro-2025-10-06",
        patterns=(r"gpt-5-pro\b",),
        source="pi-ai 1.5.2, against LiteLLM 1.109.1; 2026-11-22",
        doubt="LiteLLM gives 272,000 as its output, which earendil-works/pi#5559 calls the "
        "input's limit.",
        context_window_tokens=400_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5.4-mini",
        example="openai/gpt-5.4-mini",
        # OpenRouter's moving names are `gpt-mini-latest` and `gpt-chat-latest`; Venice writes 5.4
        # as 54. The cyber model has their window, not that of its line.
        patterns=(
            r"gpt-5-?[45]-(?:mini|nano)\b",
            r"gpt-(?:mini|chat)\b",
            r"gpt-5-6-cyber\b",
        ),
        source=f"vendor documentation, {_CATALOGS}; 2026-11-22",
        context_window_tokens=400_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5.4",
        example="openai/gpt-5.5",
        patterns=(rf"gpt-5-?[45]\b{_NO_FURTHER_NUMBER}",),
        source="vendor documentation, public catalogs; 2026-11-22",
        context_window_tokens=1_050_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5.6",
        example="openai/gpt-5.6-sol",
        patterns=(
            # No figures were found for a mini or nano of this line; in 5.4 their window is smaller.
            rf"gpt-(?:5-6|6|6-1)\b{_NO_FURTHER_NUMBER}(?!.*-(?:mini|nano)\b)",
            # OpenRouter's moving names, as `gpt-sol-latest`.
            r"gpt-(?:astra|luna|sol|terra)\b",
        ),
        # The prompt may have 922,000 of it.
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_050_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5.3-codex-spark",
        example="gpt-5.3-codex-spark",
        patterns=(r"gpt-5-3-codex-spark\b",),
        source="models.dev at f3fc6922, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=128_000,
        max_output_tokens=32_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-5",
        example="openai/gpt-5.1-codex-max",
        # Venice writes 5.2 as 52.
        patterns=(rf"gpt-5(?:-?[123])?\b{_NO_FURTHER_NUMBER}",),
        # The prompt may have 272,000 of it.
        source="vendor documentation, public catalogs; 2026-11-22",
        doubt="OpenRouter gives 100,000 tokens of output for gpt-5.1-codex-mini.",
        context_window_tokens=400_000,
        max_output_tokens=128_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="gpt-oss",
        example="openai/gpt-oss-120b:free",
        patterns=(r"gpt-oss\b",),
        # Hosts take either cap parameter.
        source="public catalogs of hosts; 2026-11-22",
        doubt="The host sets the output: Groq 65,536 tokens, Cerebras 32,768 or 40,960.",
        context_window_tokens=131_072,
    ),
    ModelFamily(
        name="openai-newer",
        example="openai/o1-mini",
        # Every reasoning line since o1 refuses `max_tokens`. `gpt-35` is GPT-3.5.
        patterns=(r"o[1-9]\b", r"gpt-(?!35\b)(?:[5-9]|[1-9]\d)\b"),
        source="Cline at 21cb8d25, error text of the API; 2026-11-22",
        doubt="No row names this model; only the name of its cap parameter is known.",
        cap_parameter="max_completion_tokens",
    ),
)

_GOOGLE: Final = (
    ModelFamily(
        name="gemini-2.0",
        example="google/gemini-2.0-flash-001",
        patterns=(rf"gemini-2-0-flash\b{_TEXT_ONLY}",),
        source="LiteLLM 1.109.1, models.dev at f3fc6922; 2026-11-22",
        context_window_tokens=1_048_576,
        max_output_tokens=8_192,
        tool_arguments=ToolArguments.WHOLE,
    ),
    ModelFamily(
        name="gemini-2.5",
        example="google/gemini-2.5-flash-lite-preview-09-2025",
        patterns=(rf"gemini-2-5-(?:pro|flash)\b{_TEXT_ONLY}",),
        # 65,536 by Google's documentation, 65,535 for flash on OpenRouter.
        source="vendor documentation, OpenRouter; 2026-11-22",
        context_window_tokens=1_048_576,
        max_output_tokens=65_535,
        tool_arguments=ToolArguments.WHOLE,
    ),
    ModelFamily(
        name="gemini-3",
        example="gemini-3.1-pro-preview",
        patterns=(
            rf"gemini-3\b{_TEXT_ONLY}",
            # Google's moving names, as `gemini-flash-latest`: they have come to 3.x.
            rf"gemini-(?:pro|flash|flash-lite){_NOTHING_ELSE}",
        ),
        source=f"vendor documentation, {_CATALOGS}; 2026-11-22",
        context_window_tokens=1_048_576,
        max_output_tokens=65_536,
        tool_arguments=ToolArguments.WHOLE,
    ),
    ModelFamily(
        name="gemini-4-argon",
        example="google/gemini-4-argon",
        patterns=(rf"gemini-4-argon\b{_TEXT_ONLY}",),
        # The 943,718 seen on OpenRouter and LiteLLM's 1,048,576 are window, not answer.
        source="pi-ai 1.5.2, of Google's own endpoint; 2026-11-22",
        doubt="Other entries of the same catalog give 65,536 tokens of output.",
        context_window_tokens=1_048_576,
        max_output_tokens=32_768,
        tool_arguments=ToolArguments.WHOLE,
    ),
    ModelFamily(
        name="gemini",
        example="google/gemini-2.5-flash-image",
        patterns=(r"gemini\b",),
        source="vendor documentation of function calling, google-genai SDK; 2026-11-22",
        doubt="No row names this model; only how its calls arrive is known.",
        tool_arguments=ToolArguments.WHOLE,
    ),
    ModelFamily(
        name="gemma-4",
        example="google/gemma-4-31b-it:free",
        # The small members, e2b and e4b, have half the window.
        patterns=(r"gemma-?4\b(?!-e\d)",),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="The host sets the output: Google 32,768 tokens, others 8,192 to the whole window.",
        context_window_tokens=256_000,
    ),
    ModelFamily(
        name="gemma-3",
        example="google/gemma-3-27b-it",
        patterns=(r"gemma-?3\b",),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="The host sets the output: 8,192 to 131,072 tokens.",
        context_window_tokens=128_000,
    ),
)

_XAI: Final = (
    ModelFamily(
        name="grok-4.3",
        example="x-ai/grok-4.3",
        patterns=(rf"grok-4-3\b{_NO_FURTHER_NUMBER}",),
        source="pi-ai 1.5.2, models.dev at f3fc6922, against LiteLLM 1.109.1; 2026-11-22",
        doubt="LiteLLM gives the whole window as its output.",
        context_window_tokens=1_000_000,
        max_output_tokens=30_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="grok-4.5",
        example="x-ai/grok-4.5",
        patterns=(rf"grok-4-[567]\b{_NO_FURTHER_NUMBER}",),
        source="pi-ai 1.5.2, LiteLLM 1.109.1; 2026-11-22",
        context_window_tokens=500_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="grok-4.20",
        example="x-ai/grok-4.20",
        patterns=(r"grok-4-20\b",),
        source="models.dev at f3fc6922, against LiteLLM 1.109.1; 2026-11-22",
        doubt="OpenRouter gives a window of 2,000,000 tokens, and LiteLLM the whole window as the "
        "output.",
        context_window_tokens=1_000_000,
        max_output_tokens=30_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="grok-4-fast",
        example="x-ai/grok-4.1-fast",
        patterns=(r"grok-4-(?:1-)?fast\b",),
        source="models.dev at f3fc6922, against LiteLLM 1.109.1; 2026-11-22",
        doubt="LiteLLM gives the whole window as its output.",
        context_window_tokens=2_000_000,
        max_output_tokens=30_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="grok-4",
        example="x-ai/grok-code-fast-1",
        patterns=(rf"grok-4\b{_NO_FURTHER_NUMBER}", r"grok-(?:build-0|code)\b"),
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=256_000,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="grok-3",
        example="x-ai/grok-3-mini",
        patterns=(r"grok-3\b",),
        source="LiteLLM 1.109.1, models.dev at f3fc6922; 2026-11-22",
        context_window_tokens=131_072,
        cap_parameter="max_completion_tokens",
    ),
    ModelFamily(
        name="grok",
        example="x-ai/grok-2-vision-1212",
        patterns=(r"grok\b",),
        source="pi-ai 1.5.2, LiteLLM 1.109.1; 2026-11-22",
        doubt="No row names this model; only the name of its cap parameter is known.",
        cap_parameter="max_completion_tokens",
    ),
)

_DEEPSEEK: Final = (
    ModelFamily(
        name="deepseek-v4",
        example="deepseek/deepseek-v4-flash",
        patterns=(
            rf"deepseek-v4(?:-1)?\b{_NO_FURTHER_NUMBER}",
            # The vendor's moving names.
            r"deepseek-(?:flash|pro)\b",
        ),
        # LiteLLM and some hosts say 393,216.
        source="pi-ai 1.5.2, against LiteLLM 1.109.1; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=384_000,
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="deepseek-chat",
        example="deepseek-chat",
        # The vendor's alias; `deepseek-chat-v3…` are open weights on many hosts.
        patterns=(r"deepseek-chat\b(?!-v3)",),
        source="LiteLLM 1.109.1, against models.dev at f3fc6922; 2026-11-22",
        doubt="models.dev says that this name now means V4, with 384,000 tokens of output.",
        context_window_tokens=131_072,
        max_output_tokens=8_192,
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="deepseek-reasoner",
        example="deepseek-reasoner",
        patterns=(r"deepseek-reasoner\b",),
        source="LiteLLM 1.109.1, against models.dev at f3fc6922; 2026-11-22",
        doubt="models.dev says that this name now means V4, with 384,000 tokens of output.",
        context_window_tokens=131_072,
        max_output_tokens=65_536,
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="deepseek",
        example="deepseek-ai/DeepSeek-V3.2",
        patterns=(r"deepseek\b",),
        source="pi-ai 1.5.2; 2026-11-22",
        doubt="The host sets window and output of V3 and R1: 32,768 to 163,840 tokens, and from "
        "8,000 to the whole window.",
        returned_reasoning=("reasoning_content",),
    ),
)

_QWEN: Final = (
    ModelFamily(
        name="qwen3-coder-plus",
        example="qwen/qwen3-coder-plus",
        patterns=(r"qwen-?3-coder-(?:plus|flash)\b",),
        source="LiteLLM 1.109.1, models.dev at f3fc6922; 2026-11-22",
        context_window_tokens=997_952,
        max_output_tokens=65_536,
    ),
    ModelFamily(
        name="qwen3-coder",
        example="Qwen/Qwen3-Coder-480B-A35B-Instruct",
        patterns=(r"qwen-?3-coder\b",),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="The host sets the output, mostly 16,384 or 65,536 tokens; a few halve the window.",
        context_window_tokens=262_144,
    ),
    ModelFamily(
        name="qwen3.8",
        example="qwen/qwen3.8-max",
        patterns=(r"qwen-?3-8-(?:max|flash|omni-flash)\b",),
        # 991,808 or 1,000,000; 128,000 or 131,072.
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=991_000,
        max_output_tokens=128_000,
    ),
    ModelFamily(
        name="qwen3.5-plus",
        example="qwen/qwen3.6-plus",
        patterns=(r"qwen-?3-[567]-(?:plus|flash)\b", r"qwen-?3-7-max\b"),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="pi-ai gives 131,072 tokens of output for Qwen 3.7.",
        context_window_tokens=991_000,
        max_output_tokens=65_536,
    ),
    ModelFamily(
        name="qwen3-max",
        example="qwen/qwen3-max",
        patterns=(r"qwen-?3-(?:6-)?max\b",),
        source="OpenRouter, LiteLLM 1.109.1; 2026-11-22",
        doubt="Its vendor gives 65,536 tokens of output, OpenRouter 32,768.",
        context_window_tokens=245_800,
        max_output_tokens=32_768,
    ),
    ModelFamily(
        name="qwen3.5-weights",
        example="Qwen/Qwen3.5-397B-A17B",
        # Venice writes 3.5 as 35, Ollama the size as a tag.
        patterns=(r"qwen-?3-?[5-8]-[\d-]+[bt]\b", rf"qwen-?3-[5-8]{_NOTHING_ELSE}"),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="The host sets the output: 16,384 tokens to the whole window.",
        context_window_tokens=256_000,
    ),
    ModelFamily(
        name="qwen-plus",
        example="qwen-plus-2025-07-28",
        patterns=(r"qwen-(?:plus|flash|turbo|max)\b",),
        source="LiteLLM 1.109.1, models.dev at f3fc6922; 2026-11-22",
        doubt="8,192 to 32,768 tokens of output and windows of 30,720 to 1,000,000, by member.",
        max_output_tokens=8_192,
    ),
    ModelFamily(
        name="qwen",
        example="Qwen/Qwen3-32B",
        patterns=(r"(?:qwen|qwq|qvq)",),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="The host sets window and output; 40,960 to 262,144 tokens are seen for Qwen 3.",
    ),
)

# Moonshot's own client calls `max_tokens` a deprecated alias. Its coding plan leaves `kimi-` out.
_MOONSHOT: Final = (
    ModelFamily(
        name="kimi-k2.5",
        example="accounts/fireworks/models/kimi-k2p5",
        patterns=(rf"(?:kimi-)?k2-[567]\b{_NO_FURTHER_NUMBER}",),
        # OpenRouter has shown an output of 4,096 for K2.5; the answer shares the window.
        source="kimi-cli at 4a550eff, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=262_144,
        cap_parameter="max_completion_tokens",
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="kimi-k3",
        example="moonshotai/kimi-k3",
        patterns=(rf"(?:kimi-)?k3(?:-1)?\b{_NO_FURTHER_NUMBER}",),
        source="OpenRouter, kimi-cli at 4a550eff, pi-ai 1.5.2; 2026-11-22",
        doubt="The output is OpenRouter's figure; at the vendor it shares the window.",
        context_window_tokens=1_048_576,
        max_output_tokens=131_072,
        cap_parameter="max_completion_tokens",
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="kimi-k2-thinking",
        example="moonshotai/kimi-k2-thinking",
        patterns=(r"kimi-k2-thinking\b",),
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=256_000,
        cap_parameter="max_completion_tokens",
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="kimi",
        example="moonshotai/Kimi-K2-Instruct-0905",
        patterns=(r"kimi\b",),
        source="kimi-cli at 4a550eff, pi-ai 1.5.2; 2026-11-22",
        # A date does not make a family of its own.
        doubt="The first K2 has a window of 131,072 tokens, from 0905 on it is 262,144.",
        cap_parameter="max_completion_tokens",
        returned_reasoning=("reasoning_content",),
    ),
)

# The smaller of two roundings: 200K or 205K, 128,000 or 131,072.
_ZAI: Final = (
    ModelFamily(
        name="glm-4.5",
        example="z-ai/glm-4.5-air:free",
        patterns=(rf"glm-4-5\b{_NO_FURTHER_NUMBER}",),
        source="LiteLLM 1.109.1; 2026-11-22",
        doubt="models.dev gives 98,304 tokens of output, LiteLLM 32,000.",
        context_window_tokens=128_000,
        max_output_tokens=32_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="glm-4.6",
        example="zai-org/GLM-4.6",
        patterns=(rf"glm-(?:4-[67]|5|5-1)\b{_NO_FURTHER_NUMBER}", r"glm-5v\b"),
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=200_000,
        max_output_tokens=128_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="glm-5.2",
        example="z-ai/glm-5.2",
        patterns=(rf"glm-5-[23]\b{_NO_FURTHER_NUMBER}",),
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="glm-4.5v",
        example="z-ai/glm-4.5v",
        patterns=(r"glm-4-5v\b",),
        source="models.dev at f3fc6922, pi-ai 1.5.2; 2026-11-22",
        doubt="LiteLLM gives twice as much: 128,000 and 32,000.",
        context_window_tokens=64_000,
        max_output_tokens=16_384,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="glm-4.6v",
        example="z-ai/glm-4.6v",
        patterns=(r"glm-4-6v\b",),
        source="models.dev at f3fc6922, pi-ai 1.5.2; 2026-11-22",
        doubt="Some resellers give 24,000 tokens of output.",
        context_window_tokens=128_000,
        max_output_tokens=32_768,
        tool_arguments=ToolArguments.BUFFERED,
    ),
    ModelFamily(
        name="glm",
        example="z-ai/glm-4-32b",
        patterns=(r"glm\b",),
        source="pi-ai 1.5.2, `zaiToolStream`; 2026-11-22",
        doubt="No row names this model; only how its calls arrive is known.",
        tool_arguments=ToolArguments.BUFFERED,
    ),
)

_MINIMAX: Final = (
    ModelFamily(
        name="minimax-m2",
        example="MiniMaxAI/MiniMax-M2.7",
        # Venice writes 2.5 as 25.
        patterns=(r"minimax-m2\d?\b",),
        # Not LiteLLM's 8,192: it comes with windows of 1M for M2.1 and M2.5 that nobody else has.
        # 196,608 or 204,800; 128,000 or 131,072.
        source="models.dev at f3fc6922, pi-ai 1.5.2, against LiteLLM 1.109.1; 2026-11-22",
        doubt="LiteLLM gives 8,192 tokens of output, some hosts 32,768.",
        context_window_tokens=196_608,
        max_output_tokens=128_000,
    ),
    ModelFamily(
        name="minimax-m3",
        example="minimax/minimax-m3",
        patterns=(rf"minimax-m3(?:-1)?\b{_NO_FURTHER_NUMBER}",),
        source="LiteLLM 1.109.1, against pi-ai 1.5.2; 2026-11-22",
        doubt="pi-ai gives 524,288 tokens of output; many hosts halve the window.",
        context_window_tokens=1_000_000,
        max_output_tokens=128_000,
    ),
)

# A date of four digits, year and month, is the version here: `mistral-large-2512` is Large 3.
_MISTRAL: Final = (
    ModelFamily(
        name="codestral",
        example="mistralai/codestral-2508",
        patterns=(r"codestral\b(?!-(?:embed|mamba))",),
        source="models.dev at f3fc6922, pi-ai 1.5.2; 2026-11-22",
        doubt="LiteLLM gives 128,000 for window and output, pi-ai 8,192 tokens of output for 2508.",
        context_window_tokens=256_000,
        max_output_tokens=4_096,
    ),
    ModelFamily(
        name="mistral-large-4",
        example="mistralai/mistral-large-4-0",
        patterns=(r"mistral-large-4\b",),
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        doubt="pi-ai gives 262,144 tokens of output; by LiteLLM it shares the window.",
        context_window_tokens=1_000_000,
    ),
    ModelFamily(
        name="mistral-large-3",
        example="mistralai/mistral-large-2512",
        patterns=(
            rf"mistral-large-(?:2512|3)\b{_NO_FURTHER_NUMBER}",
            r"mistral-medium-(?:2508|2604|3-1|3-5)\b",
            r"mistral-small-(?:2603|4)\b",
            r"devstral-(?:2|2512|small-2|small-2512|medium-2512)\b",
        ),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="OpenRouter gives Medium 3.1 a window of 131,072 tokens.",
        context_window_tokens=256_000,
    ),
    ModelFamily(
        name="mistral-large-2",
        example="mistral.mistral-large-2407-v1:0",
        patterns=(
            r"mistral-large-(?:2407|2411)\b",
            rf"mistral-medium-(?:2505|3)\b{_NO_FURTHER_NUMBER}",
            r"mistral-small-(?:2503|2506|3-[12])\b",
            r"devstral-(?:small|medium)-(?:2505|2507)\b",
            r"(?:open-)?mistral-nemo\b",
        ),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="Some hosts set an output of 4,096 to 32,768 tokens.",
        context_window_tokens=128_000,
    ),
    ModelFamily(
        name="mistral",
        example="mistral-large-latest",
        # A bare name is the newest at the vendor, and on OpenRouter the one it was given to.
        patterns=(r"(?:open-)?mi[sx]tral\b", r"(?:dev|magi|mini)stral\b", r"pixtral\b"),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="The answer shares a window of 32,000 to 1,048,576 tokens, by member.",
    ),
)

_META: Final = (
    ModelFamily(
        name="llama-3.3",
        example="us.meta.llama3-3-70b-instruct-v1:0",
        patterns=(r"llama-?3-3\b",),
        source="public catalogs of hosts; 2026-11-22",
        doubt="The host sets the output, such as 32,768 tokens on Groq.",
        context_window_tokens=128_000,
    ),
    ModelFamily(
        name="llama-3.1",
        example="meta-llama/llama-3.1-70b-instruct",
        patterns=(r"llama-?3-[12]\b",),
        source=f"{_CATALOGS}; 2026-11-22",
        doubt="The host sets the output, mostly 4,096 or 8,192 tokens; some have a smaller window.",
        context_window_tokens=128_000,
    ),
    ModelFamily(
        name="llama-4",
        example="meta-llama/llama-4-maverick",
        patterns=(r"llama-?4\b",),
        # None: windows from 128,000 to 10,000,000 were seen.
        source=f"{_CATALOGS}, OpenRouter; 2026-11-22",
        doubt="The host sets window and output: on OpenRouter 524,288 with 32,768 for Maverick, "
        "327,680 with 16,384 for Scout.",
    ),
    ModelFamily(
        name="muse-spark",
        example="meta/muse-spark-1.3",
        patterns=(r"muse-spark\b",),
        # The 943,718 and 1,048,576 of some resellers are window, not answer.
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_048_576,
        max_output_tokens=131_072,
    ),
)

_OTHERS: Final = (
    ModelFamily(
        name="mimo-v2.5",
        example="xiaomi/mimo-v2.5-pro",
        patterns=(r"mimo-v2-(?:5|6|pro)\b",),
        # 1,000,000 or 1,048,576; 128,000 or 131,072. pi-ai has the reasoning returned.
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        returned_reasoning=("reasoning_content",),
    ),
    ModelFamily(
        name="nova",
        example="us.amazon.nova-pro-v1:0",
        patterns=(r"nova-(?:lite|micro|premier|pro)\b",),
        source="OpenRouter, against LiteLLM 1.109.1; 2026-11-22",
        doubt="5,120 to 10,000 tokens of output, and windows of 128,000 to 1,000,000 by member.",
        max_output_tokens=5_120,
    ),
    ModelFamily(
        name="nova-2",
        example="amazon/nova-2-lite-v1",
        patterns=(r"nova-2-(?:lite|pro)\b",),
        source="LiteLLM 1.109.1, pi-ai 1.5.2; 2026-11-22",
        context_window_tokens=1_000_000,
        max_output_tokens=64_000,
    ),
    ModelFamily(
        name="command-a",
        example="cohere/command-a",
        # These variants have limits of their own.
        patterns=(r"command-a\b(?!-(?:plus|reasoning|translate|vision))",),
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=256_000,
        max_output_tokens=8_000,
    ),
    ModelFamily(
        name="command-r",
        example="cohere/command-r-plus-08-2024",
        patterns=(r"command-r(?:-plus|7b)?\b",),
        source=f"{_CATALOGS}; 2026-11-22",
        context_window_tokens=128_000,
        max_output_tokens=4_000,
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
    *_OTHERS,
    ModelFamily(
        name="unknown",
        example="somebody/some-model-7b",
        patterns=("",),
        source="no source: nothing is claimed",
        doubt="No row names this model; nothing is claimed of it.",
    ),
)
"""Read in order, the first match wins: specific rows stand before general ones. The last row
matches any id at all."""

_SEPARATORS: Final = re.compile(r"[-._@\s]+")

# Fireworks writes a version's dot as a p: `kimi-k2p5`, `glm-4p6`.
_LETTER_FOR_DOT: Final = re.compile(r"(?<=\d)p(?=\d)")

# Before a colon these are no model but say where it is from, `ft` that it was tuned
# (`ft:<base>:<organisation>:…`). Ollama has models called `mistral:` and `deepseek…:`.
_ORIGIN: Final = re.compile(
    r"\A(?:(?:ft|hf|anthropic|azure|bedrock|fireworks|google|groq|local|ollama|openai|openrouter"
    r"|together|vertex|xai|zai):)+"
)

# `:free`, Ollama's size in `gpt-oss:20b`, and `[1m]` of Claude Code.
_VARIANT: Final = re.compile(r"[:\[]")

# Bedrock puts a region and an owner before the id; SAP AI Core, Databricks, Snowflake, Azure,
# GitLab (`duo-chat`), AIHubMix (`coding`, `cc`) and others an owner or their own name. A name that
# also begins model names goes only where the model's own name follows.
_OWNERS: Final = re.compile(
    r"\A(?:(?:us-gov|us|eu|apac|au|jp|in|ca|global"
    r"|anthropic|databricks|google|meta|openai|x-?ai|z-?ai(?:-org)?|moonshot(?:ai)?(?=-kimi)"
    r"|mistral(?:ai)?(?=-\w*stral)|deepseek(?:-ai)?(?=-deepseek)|minimax(?=-minimax)|qwen(?=-qwen)"
    r"|amazon(?=-nova)|cohere(?=-command)|xiaomi(?=-mimo)|labs(?=-devstral)|system-ai"
    r"|azure|fw|duo-chat|coding|cc|alicloud|alibaba(?=-qwen)|deep(?=-deepseek)"
    r"|(?:cerebras|groq|snowflake)(?=-llama))-)+"
)

# 2025-05-14, 20250514 and, at ByteDance's hosts, 250514.
_DATE: Final = re.compile(r"-(?:20\d\d-?[01]\d-?[0-3]\d|2[3-9][01]\d[0-3]\d)(?!\d)")

# A date without a year only with a month's leading zero, which no version has (Gemini: `-05-06`,
# `-09-2025`).
_TAIL: Final = re.compile(rf"(?:-(?:{_MARKS}|0[1-9]-[0-3]\d|(?:0[1-9]|1[0-2])-20\d\d))+\Z")


def normalise(model: str) -> str:
    """The id as rows match it: lower case, dashes only, no owner, variant, date or `-latest`.

    `us.anthropic.claude-opus-4-6-v1:0` and `anthropic/claude-opus-4.6:beta` both become
    `claude-opus-4-6`. Any text is taken; what is left may be empty.
    """
    last = model.lower().rpartition("/")[2].strip()
    plain = _VARIANT.split(_ORIGIN.sub("", last), maxsplit=1)[0]
    dashed = _SEPARATORS.sub("-", _LETTER_FOR_DOT.sub("-", plain)).strip("-")
    return _TAIL.sub("", _DATE.sub("", _OWNERS.sub("", dashed)))


@lru_cache(maxsize=256)
def family_of(model: str) -> ModelFamily:
    """The first row that matches; the row `unknown` for an id that no other row knows."""
    plain = normalise(model)
    return next(row for row in FAMILIES if _compiled(row.patterns).match(plain))


@cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """A row's patterns as one, compiled when the row is first tried."""
    return re.compile("|".join(patterns))
