"""Z.ai (GLM): tool arguments stream when the body says so."""

from typing import ClassVar

from typing_extensions import override

from agentcore.error_rules import ErrorRule
from agentcore.families import CapParameter, ModelFamily
from agentcore.kinds import ErrorKind, Strength
from agentcore.providers.base import Capabilities, ProviderAdapter, Request, ToolStreaming

__all__ = ["ZAI"]


class ZAI(ProviderAdapter):
    """https://api.z.ai, chat completions.

    Coding plans use `base_url="https://api.z.ai/api/coding/paas/v4"`, accounts of the Chinese
    platform `base_url="https://open.bigmodel.cn/api/paas/v4"`.
    """

    name = "zai"
    base_url = "https://api.z.ai/api/paas/v4"
    api_key_env = "ZAI_API_KEY"
    # Nowhere documented here; MiniMax refuses it (iOfficeAI/gemini-cli-pro#33).
    capabilities = Capabilities(reasoning_details=False, extra_content=False)
    # The common table has Zhipu's other numbers, for status 429 alone: here they mean the same
    # inside a stream, which has no status (docs.z.ai/api-reference/api-code).
    error_rules: ClassVar[tuple[ErrorRule, ...]] = (
        ErrorRule(
            name="zai-plan",
            kind=ErrorKind.QUOTA,
            strength=Strength.SPECIFIC,
            why="Z.ai's numbers for arrears, and for plans used up, ended or throttled for a day",
            words=("1113", "1304", "1308", "1309", "1310", "1311", "1313"),
        ),
        ErrorRule(
            name="zai-rate",
            kind=ErrorKind.RATE_LIMIT,
            strength=Strength.SPECIFIC,
            why="Z.ai's numbers for too many requests at once or a minute",
            words=("1302", "1303"),
        ),
    )

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        """Documented from GLM 4.6 on (docs.z.ai/guides/tools/stream-tool).

        What 4.5 does with the field is not known: without it, its calls get the long clock.
        """
        if not family.name.startswith("glm") or family.name.startswith("glm-4.5"):
            return ToolStreaming()
        return ToolStreaming(body={"tool_stream": True})

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """The only name (pi-ai 1.5.2; earendil-works/pi#7174)."""
        return "max_tokens"
