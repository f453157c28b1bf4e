"""OpenRouter: one key, many hosts; Claude's tool arguments stream by a header."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar, Final, Literal

from pydantic import JsonValue
from pydantic_core import from_json
from typing_extensions import override

from agentcore.catalog import (
    CatalogEntry,
    CatalogFigures,
    HostFigures,
    endpoints_path,
    judge,
    read_endpoints,
    read_models,
)
from agentcore.errors import ConfigurationError
from agentcore.families import CapParameter, ModelFamily, family_of
from agentcore.messages import AssistantMessage, JsonObject, Message
from agentcore.providers.base import (
    ApiKey,
    Capabilities,
    OutputLimit,
    ProviderAdapter,
    Request,
    ToolStreaming,
    Wire,
    holds_back,
)
from agentcore.providers.chat import (
    NINE_ID,
    SHORT_ID,
    WORD_ID,
    encode_json,
    read_count,
    shaped_id,
)

__all__ = ["OpenRouter", "Reasoning", "Routing"]

EAGER_BETA = "fine-grained-tool-streaming-2025-05-14"
"""Listed as passed through on OpenRouter's provider-selection page, read 2026-11-22."""

BELIEVED_SECONDS = 7 * 86_400.0
"""How old a catalog's figures may be, where it cannot be asked again."""

WIDE_SONNET_TOKENS = 1_000_000
"""OpenRouter's catalog lists it for Sonnet 4.5, seen 2026-11-22."""

UNSIGNED = "skip_thought_signature_validator"
"""Stands where Gemini's signature of a call would: of calls that another model made."""


_ID_SHAPES: Final = (
    (("claude",), WORD_ID),
    (("gpt", "o-series", "openai"), SHORT_ID),
    (("mistral", "codestral"), NINE_ID),
)
"""Which families' vendors want ids of a certain shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Which hosts may answer: the `provider` object (openrouter.ai, provider selection).

    Fields left as they are are not sent.
    """

    order: Sequence[str] = ()
    """Hosts to try first, in this order, by the names of OpenRouter: `anthropic`."""
    only: Sequence[str] = ()
    ignore: Sequence[str] = ()
    allow_fallbacks: bool = True
    """False: fail when the hosts of `order` do, before anything is generated."""
    require_parameters: bool = False
    """Only hosts that know every parameter: others drop, in silence, what they do not know."""
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    """Only hosts that keep nothing."""
    quantizations: Sequence[str] = ()
    sort: Literal["price", "throughput", "latency"] | None = None
    max_price: Mapping[str, float] | None = None
    """US dollars for a million tokens: `{"prompt": 3, "completion": 15}`."""

    def __post_init__(self) -> None:
        for name in ("order", "only", "ignore", "quantizations"):
            _check_names(f"Routing({name}=…)", getattr(self, name))

    def allows(self, host: HostFigures) -> bool:
        """Whether a request may be answered by this host, as far as its names tell."""
        # A tag is `deepinfra/fp4`: the host, and which of its variants.
        names = {host.tag.lower(), host.tag.lower().partition("/")[0], host.provider.lower()}
        only, order, ignore = (
            {name.lower() for name in listed} for listed in (self.only, self.order, self.ignore)
        )
        if only and not names & only:
            return False
        if order and not self.allow_fallbacks and not names & order:
            return False
        return not names & ignore

    @property
    def payload(self) -> JsonObject:
        """What differs from the defaults."""
        said: JsonObject = {
            name: list(names)
            for name in ("order", "only", "ignore", "quantizations")
            if (names := getattr(self, name))
        }
        if not self.allow_fallbacks:
            said["allow_fallbacks"] = False
        if self.require_parameters:
            said["require_parameters"] = True
        for name in ("data_collection", "zdr", "sort"):
            if (value := getattr(self, name)) is not None:
                said[name] = value
        if self.max_price:
            said["max_price"] = dict(self.max_price)
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """How much a model thinks: the `reasoning` object. Its tokens count inside the output cap."""

    effort: str = ""
    """`minimal`, `low`, `medium`, `high`, …; or give `max_tokens`."""
    max_tokens: int | None = None
    """Of reasoning alone, at least 1; below the output cap."""
    exclude: bool = False
    """Think, and do not send the thoughts."""
    enabled: bool | None = None

    def __post_init__(self) -> None:
        if self.effort and self.max_tokens is not None:
            raise ConfigurationError(
                f"Reasoning(effort={self.effort!r}, max_tokens={self.max_tokens!r}): give one of "
                "them"
            )
        if self.max_tokens is not None and not self.max_tokens >= 1:
            raise ConfigurationError(
                f"Reasoning(max_tokens={self.max_tokens!r}): must be 1 or more; enabled=False "
                "turns reasoning off"
            )

    @property
    def payload(self) -> JsonObject:
        """What is set."""
        said: JsonObject = {}
        if self.effort:
            said["effort"] = self.effort
        if self.max_tokens is not None:
            said["max_tokens"] = self.max_tokens
        if self.exclude:
            said["exclude"] = True
        if self.enabled is not None:
            said["enabled"] = self.enabled
        return said


class OpenRouter(ProviderAdapter):
    """https://openrouter.ai, chat completions."""

    name = "openrouter"
    base_url = "https://openrouter.ai/api/v1"
    api_key_env = "OPENROUTER_API_KEY"
    # On text parts only, four at most: openrouter.ai/docs/guides/best-practices/prompt-caching, a
    # stored copy. Of tool messages the page says nothing: a breakpoint on their part was seen to
    # work (NousResearch/hermes-agent#57845), one beside their content hangs the request (#2391).
    # Usage and cost come with every answer, asked for or not (openrouter.ai, usage accounting);
    # hosts behind it may still want to be asked.
    capabilities = Capabilities(cache_breakpoints=True, strict_tools=True)
    models_path: ClassVar[str] = "/models"
    """Lists every model, with one host of each."""
    echo_fields: ClassVar[Mapping[str, JsonValue]] = {"debug": {"echo_upstream_body": True}}

    def __init__(
        self,
        *,
        routing: Routing | None = None,
        fallbacks: Sequence[str] = (),
        reasoning: Reasoning | None = None,
        catalog: bool = False,
        site_url: str = "",
        site_title: str = "",
        base_url: str | None = None,
        api_key: ApiKey | None = None,
        extra_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Set what the user wants different.

        Args:
            routing: Which hosts may answer.
            fallbacks: Model ids that OpenRouter tries in turn when the first has no host that
                answers. It moves on only before anything is generated; `Agent(models=…)` does it
                at any time, and across endpoints.
            reasoning: How much the model thinks.
            catalog: Ask OpenRouter for the limits of the model's hosts, once a day at most. What is
                sane goes before the family table; `AttemptRecord.limit_note` says what is not.
            site_url: Shown in OpenRouter's rankings (`HTTP-Referer`).
            site_title: The same (`X-Title`).
            base_url: See `ProviderAdapter`.
            api_key: See `ProviderAdapter`.
            extra_headers: See `ProviderAdapter`; they win over the settings above.
            extra_body: See `ProviderAdapter`; it wins over the settings above.
        """
        _check_names("OpenRouter(fallbacks=…)", fallbacks)
        self.fallbacks = tuple(fallbacks)
        self.routing = routing if routing is not None else Routing()
        self.catalog = catalog
        chosen: JsonObject = {}
        if self.routing.payload:
            chosen["provider"] = self.routing.payload
        if fallbacks:
            chosen |= {"models": list(fallbacks), "route": "fallback"}
        if reasoning is not None and reasoning.payload:
            chosen["reasoning"] = reasoning.payload
        named = {"HTTP-Referer": site_url, "X-Title": site_title}
        super().__init__(
            base_url=base_url,
            api_key=api_key,
            extra_headers={
                **{name: value for name, value in named.items() if value},
                **(extra_headers or {}),
            },
            extra_body={**chosen, **(extra_body or {})},
        )

    @override
    def generation_id(self, headers: Mapping[str, str]) -> str:
        """What `GET /generation?id=…` is asked with."""
        return headers.get("x-generation-id", "")

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        """Without the beta a Claude call is silent until its arguments are whole.

        That silence is what a hop in between cuts at about 125 s (NousResearch/hermes-agent#3497).
        """
        if any(one.name.startswith("claude") for one in self._candidates(family)):
            return ToolStreaming(headers={"x-anthropic-beta": EAGER_BETA})
        return ToolStreaming()

    def _candidates(self, family: ModelFamily) -> list[ModelFamily]:
        """The families of all models that may answer."""
        return [family, *(family_of(model) for model in self.fallbacks)]

    @override
    def encode(self, request: Request) -> Wire:
        """Arguments may be held back if any model that may answer holds them back.

        A budget of reasoning that the cap leaves no room for becomes half of the cap: Anthropic
        refuses one that is not below it.
        """
        wire = super().encode(request)
        switch = self.tool_streaming(request.family) if wire.tool_streaming else ToolStreaming()
        is_held = any(holds_back(one, switch) for one in self._candidates(request.family))
        return replace(
            wire,
            buffered_arguments=wire.buffered_arguments or is_held,
            body=_with_room(wire.body, wire.output_limit.tokens),
        )

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        """Both names are accepted; this one is documented."""
        return "max_tokens"

    @override
    def context_window(self, request: Request) -> int | None:
        """Sonnet 4.5 has here what it has elsewhere only with a beta header."""
        is_sonnet = request.family.name == "claude-4.5" and "sonnet" in request.model.lower()
        catalog = request.catalog
        if is_sonnet and (catalog is None or catalog.context_window_tokens is None):
            return WIDE_SONNET_TOKENS
        return super().context_window(request)

    @override
    def output_limit(self, request: Request) -> OutputLimit:
        """One that every model takes that may answer: the smallest of theirs."""
        others = [
            replace(request, model=model, family=family_of(model), catalog=None)
            for model in self.fallbacks
        ]
        usual = super().output_limit
        limits = [usual(one) for one in (request, *others)]
        known = [limit for limit in limits if limit.tokens is not None]
        least = min(known, key=lambda limit: limit.tokens or 0, default=limits[0])
        # A model that shares its window has no cap of its own, and a window all the same.
        for one in (request, *others):
            least = self.within_window(least, one)
        return least

    @override
    def call_id(self, id_: str, family: ModelFamily) -> str:
        """As the vendors of all models take it: ids go through as they are (cline/cline#8942)."""
        names = [one.name for one in self._candidates(family)]
        for prefixes, shape in _ID_SHAPES:
            if any(name.startswith(prefixes) for name in names):
                id_ = shaped_id(id_, shape)
        return id_

    @override
    def catalog_path(self, model: str) -> str:
        """Of the hosts of one model: their limits differ."""
        return endpoints_path(model) if self.catalog else ""

    @override
    def read_catalog(
        self,
        answer: JsonValue,
        model: str,
        family: ModelFamily,
        *,
        age_seconds: float,
        today: date,
    ) -> CatalogFigures | None:
        """Of the hosts that the routing allows."""
        entry = read_endpoints(answer)
        return None if entry is None else self._judged(entry, family, age_seconds, today)

    def read_models(
        self, answer: JsonValue, *, age_seconds: float, today: date
    ) -> dict[str, CatalogFigures]:
        """What is believed of the answer at `models_path`, by the models' ids."""
        return {
            model: self._judged(entry, family_of(model), age_seconds, today)
            for model, entry in read_models(answer).items()
        }

    def _judged(
        self, entry: CatalogEntry, family: ModelFamily, age_seconds: float, today: date
    ) -> CatalogFigures:
        return judge(
            entry,
            family,
            age_seconds=age_seconds,
            max_age_seconds=BELIEVED_SECONDS,
            allowed=self.routing.allows,
            today=today,
        )

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        """With a stand-in for the signature that Gemini wants of each message that calls.

        Without an encrypted block such a message is refused; the stand-in is accepted (Roo Code at
        cb836567, openrouter.ts, which quotes OpenRouter's staff; cline/cline#8214).
        """
        body = super().message(message, family)
        if not isinstance(message, AssistantMessage) or not message.tool_calls:
            return body
        details = list(message.reasoning_details)
        is_signed = any(detail.get("type") == "reasoning.encrypted" for detail in details)
        if family.name.startswith("gemini") and not is_signed:
            stand_in: JsonObject = {
                "type": "reasoning.encrypted",
                "data": UNSIGNED,
                "id": self.call_id(message.tool_calls[0].id, family),
                "format": "google-gemini-v1",
                "index": 0,
            }
            body["reasoning_details"] = [*details, stand_in]
        return body


def _with_room(body: bytes, cap: int | None) -> bytes:
    """The body, with a budget of reasoning that is below its cap."""
    if cap is None or b'"reasoning":{' not in body:
        return body
    fields: JsonObject = from_json(body)
    reasoning = fields.get("reasoning")
    if not isinstance(reasoning, dict) or not 0 < cap <= read_count(reasoning, "max_tokens"):
        return body
    return encode_json({**fields, "reasoning": {**reasoning, "max_tokens": max(1, cap // 2)}})


def _check_names(where: str, names: Sequence[str]) -> None:
    given: object = names
    if isinstance(given, str) or not all(names):
        raise ConfigurationError(f"{where}: give a list of names, not {names!r}")
