import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from agentcore.catalog import CatalogFigures
from agentcore.families import FAMILIES, ModelFamily, ToolArguments, family_of, normalise
from agentcore.ledger import estimate_tokens
from agentcore.providers import PROVIDERS, ProviderAdapter, Request

BY_NAME = {row.name: row for row in FAMILIES}

# id as somebody writes it, family, window, output
EXAMPLES: list[tuple[str, str, int | None, int | None]] = [
    # Claude, in the older order of words and in the newer
    ("anthropic.claude-v2:1", "claude-2", 100_000, 8_191),
    ("anthropic.claude-instant-v1", "claude-2", 100_000, 8_191),
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
    # Cortecs leaves a dash out, GitLab the vendor's name.
    ("claude-opus4-5", "claude-4.5", 200_000, 64_000),
    ("duo-chat-opus-4-8", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("anthropic.claude-mythos-preview", "claude-4.6-to-5.5", 1_000_000, 128_000),
    ("claude-opus-9", "claude-newer", None, 128_000),
    ("claude-opus-4-60", "claude-newer", None, 128_000),
    ("~anthropic/claude-sonnet-latest", "claude-newer", None, 128_000),
    # OpenAI; Azure writes GPT-3.5 without the dot.
    ("gpt-35-turbo", "gpt-3.5-turbo", 16_385, 4_096),
    ("openai/gpt-3.5-turbo-0613", "unknown", None, None),
    ("gpt-4-turbo-2024-04-09", "gpt-4-turbo", 128_000, 4_096),
    # 1106 is a date, not version 1.
    ("gpt-4-1106-preview", "gpt-4-turbo", 128_000, 4_096),
    ("gpt-4-0613", "gpt-4", 8_192, None),
    ("gpt-4-32k", "unknown", None, None),
    ("openai/gpt-4o", "gpt-4o", 128_000, 16_384),
    ("gpt-4-o-preview", "gpt-4o", 128_000, 16_384),
    ("gpt-4o-mini-2024-07-18", "gpt-4o", 128_000, 16_384),
    ("chatgpt-4o-latest", "gpt-4o", 128_000, 16_384),
    ("ft:gpt-4o-2024-08-06:acme::abc", "gpt-4o", 128_000, 16_384),
    ("gpt-4.1-nano-2025-04-14", "gpt-4.1", 1_047_576, 32_768),
    ("openai/o3-mini", "o-series", 200_000, 100_000),
    ("o4-mini-2025-04-16", "o-series", 200_000, 100_000),
    ("gpt-5-chat-latest", "gpt-5-chat", 128_000, 16_384),
    ("openai/gpt-5.2-chat", "gpt-5-chat", 128_000, 16_384),
    ("openai/gpt-5.3-instant", "gpt-5-chat", 128_000, 16_384),
    ("gpt-5-pro-2025-10-06", "gpt-5-pro", 400_000, 128_000),
    ("gpt-5.4-mini", "gpt-5.4-mini", 400_000, 128_000),
    ("~openai/gpt-mini-latest", "gpt-5.4-mini", 400_000, 128_000),
    ("openai.gpt-5.6-cyber", "gpt-5.4-mini", 400_000, 128_000),
    ("openai-gpt-55-pro", "gpt-5.4", 1_050_000, 128_000),
    ("~openai/gpt-sol-latest", "gpt-5.6", 1_050_000, 128_000),
    ("openai/gpt-5.5", "gpt-5.4", 1_050_000, 128_000),
    ("gpt-5.6", "gpt-5.6", 1_050_000, 128_000),
    ("gpt-6.1", "gpt-5.6", 1_050_000, 128_000),
    ("gpt-5-mini-2025-08-07", "gpt-5", 400_000, 128_000),
    ("openai/gpt-5.1-codex-max", "gpt-5", 400_000, 128_000),
    ("openai/gpt-5.3-codex", "gpt-5", 400_000, 128_000),
    ("gpt-5.3-codex-spark", "gpt-5.3-codex-spark", 128_000, 32_000),
    ("codex-mini-latest", "o-series", 200_000, 100_000),
    ("openai.gpt-oss-120b-1:0", "gpt-oss", 131_072, None),
    ("gpt-oss:20b", "gpt-oss", 131_072, None),
    ("gpt-7", "openai-newer", None, None),
    ("o1-mini", "openai-newer", None, None),
    # Google
    ("google/gemini-2.5-flash-lite-preview-09-2025", "gemini-2.5", 1_048_576, 65_535),
    ("gemini-2.5-pro-preview-05-06", "gemini-2.5", 1_048_576, 65_535),
    ("gemini-3.1-pro-preview", "gemini-3", 1_048_576, 65_536),
    ("google/gemini-4-argon", "gemini-4-argon", 1_048_576, 32_768),
    ("models/gemini-flash-latest", "gemini-3", 1_048_576, 65_536),
    ("google/gemini-2.0-flash-001", "gemini-2.0", 1_048_576, 8_192),
    ("gemini-2.5-flash-image", "gemini", None, None),
    ("google/gemini-flash-1.5", "gemini", None, None),
    ("gemma4:31b", "gemma-4", 256_000, None),
    ("google/gemma-3-27b-it", "gemma-3", 128_000, None),
    ("google/gemma-3n-e4b-it", "unknown", None, None),
    # The rest
    ("x-ai/grok-4.3", "grok-4.3", 1_000_000, 30_000),
    ("grok-4.6", "grok-4.5", 500_000, None),
    ("x-ai/grok-4.20-multi-agent-beta", "grok-4.20", 1_000_000, 30_000),
    ("grok-4-1-fast-reasoning", "grok-4-fast", 2_000_000, 30_000),
    ("grok-4-0709", "grok-4", 256_000, None),
    ("x-ai/grok-code-fast-1", "grok-4", 256_000, None),
    ("grok-4.1", "grok", None, None),
    ("grok-3-mini-beta", "grok-3", 131_072, None),
    ("deepseek/deepseek-v4-flash", "deepseek-v4", 1_000_000, 384_000),
    ("deepseek-v4p1-flash-1017", "deepseek-v4", 1_000_000, 384_000),
    ("~deepseek/deepseek-flash-latest", "deepseek-v4", 1_000_000, 384_000),
    ("deepseek-chat", "deepseek-chat", 131_072, 8_192),
    ("deepseek/deepseek-chat-v3-0324", "deepseek", None, None),
    ("deepseek-reasoner", "deepseek-reasoner", 131_072, 65_536),
    ("deepseek.v3-v1:0", "deepseek", None, None),
    ("qwen/qwen3-coder-plus", "qwen3-coder-plus", 997_952, 65_536),
    ("qwen-plus-2025-07-28", "qwen-plus", None, 8_192),
    ("qwen-max-latest", "qwen-plus", None, 8_192),
    ("qwen3-coder:480b", "qwen3-coder", 262_144, None),
    ("qwen/qwen3.8-max-0902", "qwen3.8", 991_000, 128_000),
    ("qwen/qwen3.5-flash-02-23", "qwen3.5-plus", 991_000, 65_536),
    ("alibaba/qwen-3.6-max-preview", "qwen3-max", 245_800, 32_768),
    ("qwen3.5:397b", "qwen3.5-weights", 256_000, None),
    ("qwen3p8-2p4t-a95b", "qwen3.5-weights", 256_000, None),
    # Qwen3 with 8B, not Qwen3.8
    ("qwen/qwen3-8b", "qwen", None, None),
    ("accounts/fireworks/models/kimi-k2p5", "kimi-k2.5", 262_144, None),
    ("moonshotai/kimi-k2.7-code", "kimi-k2.5", 262_144, None),
    ("kimi-k3.1", "kimi-k3", 1_048_576, 131_072),
    ("k2p6", "kimi-k2.5", 262_144, None),
    ("k2-think", "unknown", None, None),
    ("kimi-k2-thinking-251104", "kimi-k2-thinking", 256_000, None),
    ("moonshotai/kimi-k2-0905", "kimi", None, None),
    ("z-ai/glm-4.5-air:free", "glm-4.5", 128_000, 32_000),
    ("zai-glm-4.7", "glm-4.6", 200_000, 128_000),
    ("z-ai/glm-5", "glm-4.6", 200_000, 128_000),
    ("glm-5.2", "glm-5.2", 1_000_000, 128_000),
    # Volcengine writes a year with two digits.
    ("glm-4-7-251222", "glm-4.6", 200_000, 128_000),
    ("zai/glm-5v-turbo", "glm-4.6", 200_000, 128_000),
    ("glm-4.5v", "glm-4.5v", 64_000, 16_384),
    ("z-ai/glm-4.6v", "glm-4.6v", 128_000, 32_768),
    ("~z-ai/glm-latest", "glm", None, None),
    ("MiniMaxAI/MiniMax-M2.7", "minimax-m2", 196_608, 128_000),
    ("minimax-m25", "minimax-m2", 196_608, 128_000),
    ("MiniMax-M3.1-Flash", "minimax-m3", 1_000_000, 128_000),
    ("minimax/minimax-m3", "minimax-m3", 1_000_000, 128_000),
    ("mistralai/codestral-2508", "codestral", 256_000, 4_096),
    ("mistral-large-4-0", "mistral-large-4", 1_000_000, None),
    ("mistral-large-2512", "mistral-large-3", 256_000, None),
    ("devstral-2:123b", "mistral-large-3", 256_000, None),
    ("mistral.mistral-large-2407-v1:0", "mistral-large-2", 128_000, None),
    ("mistral-medium-3@001", "mistral-large-2", 128_000, None),
    ("mistral-large-latest", "mistral", None, None),
    ("mistral.magistral-small-2509", "mistral", None, None),
    ("mistralai/devstral-medium", "mistral", None, None),
    ("us.meta.llama3-3-70b-instruct-v1:0", "llama-3.3", 128_000, None),
    ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3.3", 128_000, None),
    ("groq-llama-4-maverick-17b-128e-instruct", "llama-4", None, None),
    ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama-3.1", 128_000, None),
    ("meta/muse-spark-1.3", "muse-spark", 1_048_576, 131_072),
    ("xiaomi-mimo-v2.5-pro", "mimo-v2.5", 1_000_000, 128_000),
    ("us.amazon.nova-pro-v1:0", "nova", None, 5_120),
    ("global.amazon.nova-2-lite-v1:0", "nova-2", 1_000_000, 64_000),
    ("cohere.command-a-03-2025", "command-a", 256_000, 8_000),
    ("command-a-vision-07-2025", "unknown", None, None),
    ("cohere/command-r7b-12-2024", "command-r", 128_000, 4_000),
    ("my-own-model", "unknown", None, None),
    ("", "unknown", None, None),
]

# More ids, as three catalogs spell them.
SPELT = {
    "claude-2": "bedrock/us-west-2/anthropic.claude-instant-v1 anthropic.claude-v1",
    "claude-3": "vertex_ai/claude-3-haiku@20240307 anthropic-claude-3-opus",
    "claude-3.5": "anthropic/claude-sonnet-3.5-june heroku/claude-3-5-sonnet-latest"
    " bedrock/invoke/anthropic.claude-3-5-sonnet-20240620-v1:0",
    "claude-3.7": "eu.anthropic.claude-3-7-sonnet-20250219-v1:0 gradient_ai/anthropic-claude-3.7-"
    "sonnet",
    "claude-opus-4": "deepinfra/anthropic/claude-4-opus anthropic/claude-opus-4.1:batch"
    " claude-opus-4-1-thinking:1024 claude-opus-4-1-20250805-thinking claude-4.1-opus",
    "claude-sonnet-4": "global.anthropic.claude-sonnet-4-20250514-v1:0"
    " gmi/anthropic/claude-sonnet-4 claude-sonnet-4-thinking:32768",
    "claude-4.5": "bedrock/us-gov-east-1/anthropic.claude-haiku-4-5-20251001-v1:0"
    " vertex_ai/claude-opus-4-5@20251101 in.anthropic.claude-haiku-4-5-20251001-v1:0"
    " duo-chat-sonnet-4-5 claude-4.5-opus",
    "claude-4.6-to-5.5": "vertex_ai/claude-fable-5@default claude-opus-4-7-20260416"
    " bedrock/claude_platform/claude-sonnet-5 anthropic/claude-opus-4.6:batch claude-opus4-8"
    " in.anthropic.claude-opus-5 anthropic/claude-sonnet-5-5",
    "claude-newer": "anthropic/claude-opus-latest ~anthropic/claude-haiku-latest",
    "gpt-3.5-turbo": "azure/gpt-35-turbo ft:gpt-3.5-turbo-1106 github_copilot/gpt-3.5-turbo",
    "gpt-4-turbo": "azure/gpt-4-turbo-vision-preview azure-gpt-4-turbo gpt-4-0125-preview",
    "gpt-4o": "gradient_ai/openai-gpt-4o azure/gpt-4o-mini-audio-preview-2024-12-17"
    " gpt-4o-mini-search-preview-2025-03-11 azure-gpt-4o-mini openai/gpt-4o:extended",
    "gpt-4.1": "azure/us/gpt-4.1 ft:gpt-4.1-mini-2025-04-14 openai/gpt-4.1:batch",
    "gpt-4": "ft:gpt-4-0613 azure/gpt-4",
    "o-series": "azure/us/o1-2024-12-17 o3-deep-research ft:o4-mini-2025-04-16 azure-o3-mini",
    "gpt-5-chat": "azure/us/gpt-5.2-chat gpt-5.1-chat-latest openai/gpt-5.3-chat",
    "gpt-5-pro": "openai/gpt-5-pro:batch azure/us/gpt-5-pro",
    "gpt-5.4-mini": "azure/gpt-5.4-nano-2026-03-17 duo-chat-gpt-5-4-nano azure_ai/gpt-chat-latest",
    "gpt-5.4": "bedrock_mantle/us-gov-west-1/openai.gpt-5.4 gpt-5.4-pro-2026-03-05"
    " databricks/databricks-gpt-5-4-pro duo-chat-gpt-5-5 azure/eu/gpt-5.5-2026-04-24",
    "gpt-5.6": "bedrock_mantle/openai.gpt-6.1-terra us.openai.gpt-5.6-sol openai.gpt-6-luna"
    " azure/gpt-5.6-terra-2026-07-09",
    "gpt-5": "openai/gpt-5.2-pro:batch azure/global/gpt-5.1-codex-mini gpt-5-mini-2025-08-07"
    " duo-chat-gpt-5-3-codex gpt-52",
    "gpt-oss": "@cf/openai/gpt-oss-20b fireworks_ai/accounts/fireworks/models/gpt-oss-safeguard-20b"
    " us-gov.openai.gpt-oss-120b-1:0 openai/gpt-oss-120b:exacto azure_ai/FW-GPT-OSS-120B",
    "gemini-2.5": "oci/google.gemini-2.5-pro gemini-2.5-flash-preview-04-17:thinking"
    " databricks-gemini-2-5-flash",
    "gemini-3": "~google/gemini-flash-latest google/gemini-3.6-flash:batch gemini-3-1-flash-lite"
    " vertex_ai/gemini-3.1-pro-preview-customtools",
    "gemini": "gemini-2.5-computer-use-preview-10-2025 gemini/gemini-exp-1114"
    " gemini/gemini-2.5-pro-preview-tts gemini-3-pro-image-preview",
    "gemma-4": "TEE/gemma4-31b:thinking bedrock_mantle/us-gov-west-1/google.gemma-4-31b",
    "grok-4.3": "vertex_ai/xai/grok-4.3 xai.grok-4.3 x-ai/grok-4.3:batch xai/grok-4.3-latest",
    "grok-4.5": "bedrock_mantle/us-gov-west-1/xai.grok-4.6 global.xai.grok-4.6 xai/grok-4.7",
    "grok-4.20": "oci/xai.grok-4.20-0309-reasoning xai/grok-4.20-non-reasoning-latest",
    "grok-4-fast": "oci/xai.grok-4.1-fast x-ai/grok-4-fast:free",
    "grok-4": "xai/grok-code-fast-1-0825 aihubmix/grok-build-0.1",
    "grok": "~x-ai/grok-latest vercel_ai_gateway/xai/grok-2-vision",
    "deepseek-v4": "databricks/system.ai.deepseek-v4-flash-0731 alicloud-deepseek-v4-pro"
    " streamlake/deepseek-v4.1-flash-260910 baseten/deepseek-ai/DeepSeek-V4.1-Flash-1017-Fast",
    "deepseek": "azure_ai/FW-DeepSeek-V3.2 vertex_ai/deepseek-ai/deepseek-r1-0528-maas"
    " deepseek-v3.1:671b deepseek-v3-2-251201 Pro/deepseek-ai/DeepSeek-R1",
    "qwen3-coder-plus": "dashscope/qwen3-coder-plus-2025-07-22 qwen3-coder-flash",
    "qwen3-coder": "bedrock_mantle/qwen.qwen3-coder-480b-a35b-instruct kyma/qwen-3-coder"
    " bedrock/ap-south-1/qwen.qwen3-coder-next qwen/qwen3-coder:free",
    "qwen3.8": "fireworks_ai/accounts/fireworks/models/qwen3p8-max qwen/qwen3.8-max-0902:batch",
    "qwen3.5-plus": "accounts/fireworks/models/qwen3p7-plus deepinfra/Qwen/Qwen3.7-Max",
    "qwen3-max": "qwen3-max-2025-09-23 deepinfra/Qwen/Qwen3-Max-Thinking",
    "qwen3.5-weights": "hf:Qwen/Qwen3.6-27B Qwen3_5-9B-Q4_K_M clf_ai_gateway/qwen3.8-27b",
    "qwen-plus": "qwen/qwen-plus-2025-07-28:thinking accounts/fireworks/routers/qwen-max-latest",
    "qwen": "qwen.qwen3-235b-a22b-2507-v1:0 @cf/qwen/qwq-32b alibaba-qwen3-32b",
    "kimi-k2.5": "hf:moonshotai/Kimi-K2.6 moonshotai.kimi-k2.5 @cf/moonshotai/kimi-k2.7-code"
    " fireworks_ai/accounts/fireworks/routers/kimi-k2p7-code-fast azure_ai/FW-Kimi-K2.6",
    "kimi-k3": "us.moonshotai.kimi-k3.1 coding-kimi-k3 databricks/system.ai.kimi-k3 k3",
    "kimi": "moonshot-kimi-k2-instruct kimi-k2:1t accounts/fireworks/routers/kimi-latest",
    "glm-4.5": "together_ai/zai-org/GLM-4.5-Air-FP8 zai-org/GLM-4.5:thinking",
    "glm-4.6": "zai-org-glm-5-1 azure_ai/FW-GLM-5 coding-glm-5.1 cc-glm-5.1 glm-5-turbo"
    " cloudflare/@cf/zai-org/glm-4.7-flash",
    "glm-5.2": "global.zai.glm-5.3 azure_ai/FW-GLM-5.2-Fast fireworks_ai/glm-5p2",
    "glm": "THUDM/GLM-4-32B-0414 glm-4-plus-0111 glm-zero-preview",
    "minimax-m2": "vertex_ai/minimaxai/minimax-m2-maas fireworks_ai/minimax-m2p1 minimax.minimax-m2"
    " deepinfra/MiniMaxAI/MiniMax-M2.7-Turbo coding-minimax-m2.7",
    "minimax-m3": "fireworks_ai/accounts/fireworks/models/minimax-m3p1-flash minimax/minimax-m3",
    "codestral": "vertex_ai/codestral@latest vertex_ai/codestral-2@001 codestral-latest",
    "mistral-large-3": "mistralai/mistral-small-4-119b-2603:thinking labs-devstral-small-2512"
    " mistralai/Mistral-Medium-3.5-128B",
    "mistral-large-2": "vertex_ai/mistral-nemo@2407 mistral-small-3-2-24b-instruct",
    "mistral": "eu.mistral.pixtral-large-2502-v1:0 bedrock/us-east-1/mistral.mixtral-8x7b-instruct-"
    "v0:1 Magistral-Small-2506 open-mistral-7b ministral-3:14b",
    "llama-3.3": "oci/meta.llama-3.3-70b-instruct-fp8-dynamic meta-llama-3_3-70b-instruct"
    " databricks/databricks-meta-llama-3-3-70b-instruct snowflake-llama3.3-70b",
    "llama-3.1": "Meta-Llama-3_1-8B-Instruct-GGUF lambda_ai/llama3.1-8b-instruct",
    "llama-4": "us.meta.llama4-scout-17b-instruct-v1:0 cerebras-llama-4-scout-17b-16e-instruct",
    "mimo-v2.5": "deepinfra/XiaomiMiMo/MiMo-V2.5 xiaomi_mimo/mimo-v2.6-flash",
    # Made of another model, or none that talks.
    "unknown": "nousresearch/hermes-3-llama-3.1-70b aion-labs/aion-rp-llama-3.1-8b codellama:70b"
    " cognitivecomputations/dolphin-mistral-24b-venice-edition:free text-embedding-3-large"
    " morph/morph-kimik3 gpt-image-1 openai/gpt-audio-mini intfloat/e5-mistral-7b-instruct",
}

KNOWN = [model for model, *_ in EXAMPLES if model]
KNOWN += [row.example for row in FAMILIES]
KNOWN += [model for ids in SPELT.values() for model in ids.split()]


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.name)
def test_example_leads_to_its_row(row: ModelFamily) -> None:
    assert family_of(row.example) is row


@pytest.mark.parametrize(("name", "ids"), SPELT.items())
def test_id_as_catalogs_spell_it_has_its_family(name: str, ids: str) -> None:
    assert {model: family_of(model).name for model in ids.split()} == dict.fromkeys(
        ids.split(), name
    )


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
        ("glm-4-7-251222", "glm-4-7"),
        ("anthropic.claude-v2", "claude-v2"),
        ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5"),
        ("openai:gpt-5", "gpt-5"),
        # Ollama has models of these names.
        ("mistral:7b", "mistral"),
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
    reasoning = dict.fromkeys(("deepseek", "kimi", "mimo"), ("reasoning_content",))

    assert row.tool_arguments == arguments.get(vendor, ToolArguments.STREAMED)
    assert row.returned_reasoning == reasoning.get(vendor, ())


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(FAMILIES)


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.name)
def test_row_says_where_it_is_from_and_what_is_not_sure(row: ModelFamily) -> None:
    assert row.source
    assert row.patterns
    assert row.doubt == "" or row.doubt.endswith(".")
    if row.context_window_tokens is None and row.max_output_tokens is None:
        assert row.doubt


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.name)
def test_output_fits_the_window(row: ModelFamily) -> None:
    window, output = row.context_window_tokens, row.max_output_tokens

    assert window is None or window > 0
    assert output is None or 0 < output <= (window or output)


def test_only_the_last_row_matches_everything() -> None:
    assert [row.name for row in FAMILIES if any(re.match(p, "") for p in row.patterns)] == [
        FAMILIES[-1].name
    ]


@given(st.text() | st.text("-./:@[_0123456789vclaudegpt"))
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


# Ids that may exist one day: a line, a version, a word.
LINES = [
    *("claude-opus-", "claude-", "gpt-", "gpt-5.", "o", "gemini-", "gemini-flash-", "grok-4."),
    *("deepseek-v", "qwen", "qwen3.", "qwen3-coder-", "kimi-k", "glm-", "glm-4.", "minimax-m"),
    *("codestral-", "mistral-large-", "devstral-", "llama-", "mimo-v", "nova-", "command-", "no-"),
]
MADE_UP = st.builds(
    "{}{}{}".format,
    st.sampled_from(LINES),
    st.from_regex(r"[1-9][0-9]?(\.[1-9][0-9]?)?", fullmatch=True),
    st.sampled_from(["", "-mini", "-pro", "-flash", "-chat", "-opus", "-32b", "v", "-vl-30b-a3b"]),
)
MODELS = st.sampled_from(KNOWN) | MADE_UP

PLACES = [
    *("", "anthropic/", "openrouter/anthropic/", "~anthropic/", "models/", "azure/", "vertex_ai/"),
    *("accounts/fireworks/models/", "bedrock/converse/", "together_ai/", "hf:org/", "openai:"),
    *("@cf/meta/", "a/b.c/d:e/", "projects/p@1/", "local:", "publishers/google/models/"),
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/",
]
OWNERS = ["", "us.", "us.anthropic.", "eu.", "global.", "us-gov.", "in.", "openai.", "databricks-"]
DATES = [
    *("", "-20250514", "-2025-05-14", "@20251101", "_2025_11_01", "-250715", "-0813", "-05-06"),
    *("-09-2025", "-2025-05"),
]
TAILS = ["", "-latest", "-preview", "@default", "-001", "@001", "-v1", "-v2"]
VARIANTS = [
    *("", ":free", ":beta", ":thinking", ":nitro", ":floor", ":online", ":exacto", ":extended"),
    *(":0", ":20b", ":latest", "[1m]"),
]


@given(
    model=MODELS,
    place=st.sampled_from(PLACES),
    owner=st.sampled_from(OWNERS),
    date=st.sampled_from(DATES),
    tails=st.lists(st.sampled_from(TAILS), max_size=2, unique=True).map("".join),
    variant=st.sampled_from(VARIANTS),
)
# Once `ft:` was only known at the very beginning.
@example(model="ft:gpt-4o:acme::abc", place="openrouter/", owner="", date="", tails="", variant="")
# Once a name that may have no word after it was lost under a date.
@example(model="gemini-flash", place="", owner="", date="-0813", tails="", variant="")
@example(model="mistral-medium-3@001", place="", owner="", date="-0813", tails="", variant="")
def test_nothing_around_a_name_changes_the_family(
    model: str, place: str, owner: str, date: str, tails: str, variant: str
) -> None:
    # Bedrock, which puts owners before an id, tunes no `ft:` models.
    assume(not (owner and model.startswith("ft:")))

    row = family_of(model)

    assert family_of(f"{place}{owner}{model}{date}{tails}{variant}") is row
    assert family_of(f"{place}{owner}{model}{tails}{date}{variant}") is row


@given(model=MODELS, data=st.data())
def test_case_and_separators_never_change_the_family(model: str, data: st.DataObject) -> None:
    separator = st.sampled_from(".-_ ")
    spelt = [
        data.draw(separator)
        if letter in ".-_"
        else data.draw(st.sampled_from([letter.lower(), letter.upper()]))
        for letter in model
    ]

    assert family_of("".join(spelt)) is family_of(model)


@given(place=st.sampled_from([place for place in PLACES if place.endswith("/")]), text=st.text())
@example(place="a/", text=" ft:gpt-4o")
def test_a_path_before_it_never_changes_the_family_of_any_text(place: str, text: str) -> None:
    assert family_of(f"\t{place}{text}\n") is family_of(text)


# What is a name and no variant of one; docs/add-a-family.md says so.
@pytest.mark.parametrize(
    ("model", "other"),
    [
        ("mistral-large", "mistral-large-2512"),
        ("gpt-4", "gpt-4-1106"),
        ("claude", "claude-v2"),
        ("gpt-oss:20b", "gpt-20b"),
        ("kimi-k2", "kimi-k2-thinking"),
        ("gemini-2.5-flash", "gemini-2.5-flash-image"),
    ],
)
def test_a_name_of_its_own_has_a_family_of_its_own(model: str, other: str) -> None:
    assert family_of(model) is not family_of(other)


TOKENS = st.integers(1, 10**7)


@given(
    adapter=st.sampled_from(list(PROVIDERS.values())),
    row=st.sampled_from(FAMILIES),
    prompt_bytes=st.integers(0, 10_000_000),
    user=st.none() | TOKENS,
    learned=st.none() | TOKENS,
    catalog=st.none()
    | st.builds(
        CatalogFigures,
        context_window_tokens=st.none() | TOKENS,
        max_output_tokens=st.none() | TOKENS,
        age_seconds=st.just(0.0),
    ),
)
def test_a_cap_never_exceeds_what_the_prompt_leaves_of_the_window(
    adapter: type[ProviderAdapter],
    row: ModelFamily,
    prompt_bytes: int,
    user: int | None,
    learned: int | None,
    catalog: CatalogFigures | None,
) -> None:
    request = Request(
        model=row.example,
        family=row,
        messages=(),
        max_output_tokens=user,
        learned_output_tokens=learned,
        catalog=catalog,
        prompt_bytes=prompt_bytes,
    )
    endpoint = adapter(base_url="http://localhost/v1")
    cap, window = endpoint.output_limit(request).tokens, endpoint.context_window(request)

    if cap is not None:
        assert cap >= 1
        assert window is None or cap <= max(1, window - estimate_tokens(prompt_bytes))
