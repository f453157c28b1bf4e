"""`ProviderAdapter`: decides what is sent to an endpoint, and reads what comes back. Pure.

Subclass it where your endpoint differs. Every hook has a default, is called in one place, and is
computed for each request from the request alone, so that a switch of model or key loses nothing.
"""

import re
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import ClassVar, Final, TypeAlias, final, get_args

from pydantic import JsonValue
from typing_extensions import override

from agentcore.catalog import CatalogFigures
from agentcore.clocks import Clocks
from agentcore.error_rules import ErrorRule
from agentcore.errors import ConfigurationError
from agentcore.events import (
    StreamEvent,
)
from agentcore.facts import (
    ErrorFacts,
    Phase,
    Surface,
    facts_of_exception,
    facts_of_payload,
)
from agentcore.families import CapParameter, ModelFamily, ToolArguments
from agentcore.ledger import LimitSource, estimate_tokens
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    Message,
    SystemMessage,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from agentcore.providers.chat import (
    call_payload,
    decode_chunk,
    encode_json,
    read_count,
    tool_payload,
)
from agentcore.providers.payload_cache import PayloadCache
from agentcore.recovery import Adjustments

__all__ = [
    "ApiKey",
    "Capabilities",
    "OutputLimit",
    "ProviderAdapter",
    "Request",
    "ToolStreaming",
    "Wire",
    "holds_back",
]

ApiKey: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A key, or a function that gives the one that is good now; sync or async."""

CACHE_FIELD = "cache_control"
"""Of a text part; like a field of the body it stands in `added_fields`, and can be omitted."""

NO_CATALOG: Final = CatalogFigures(age_seconds=0.0)

_HEADER_NAME: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)

_CAPS: Final[tuple[CapParameter, ...]] = get_args(CapParameter)

PROMPT_MARGIN = 1.12
"""OpenRouter's count of a prompt was seen up to 12 % above the host's (earendil-works/pi#10497)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, before it has any wire format."""

    model: str
    """The id as the endpoint knows it."""
    family: ModelFamily
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_output_tokens: int | None = None
    """The user's cap; None when they set none."""
    learned_output_tokens: int | None = None
    """A cap that this endpoint named for this model when it refused a larger one."""
    catalog: CatalogFigures | None = None
    """What the endpoint's own catalog says, where it is asked (`catalog_path`)."""
    adjustments: Adjustments = field(default_factory=Adjustments)
    """What recovery changed for this attempt."""
    prompt_bytes: int = 0
    """UTF-8 bytes of the encoded body without its cap; set by `encode`."""
    cache: PayloadCache = field(default_factory=PayloadCache, repr=False, compare=False)
    """What earlier requests of this conversation, to this adapter and model, have made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLimit:
    """The cap that a request carries, and where it is from."""

    tokens: int | None = None
    """None: no cap is sent."""
    source: LimitSource = "none"
    note: str = ""
    """Why a figure of the endpoint's catalog was not used, or that the prompt fills the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStreaming:
    """How an endpoint is told to stream tool arguments; all empty when it needs no telling."""

    headers: Mapping[str, str] = field(default_factory=dict)
    tool_fields: Mapping[str, JsonValue] = field(default_factory=dict)
    """Fields added to each tool of the payload."""
    body: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Of its headers and fields; empty when nothing has to be said."""
        return frozenset({*self.headers, *self.tool_fields, *self.body})


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an endpoint takes and how it behaves."""

    usage_in_stream: bool = True
    """Takes `stream_options: {"include_usage": true}`."""
    done_is_terminal: bool = False
    """Sends no finish reason: its `[DONE]` line is the terminal signal."""
    cumulative_arguments: bool = False
    """Each delta repeats all argument text so far."""
    family_limits: bool = True
    """Serves models with their own figures; False where the host decides (local servers)."""
    cache_breakpoints: bool = False
    """Takes `cache_control` on the text parts of system, user and tool messages, for Claude."""
    reasoning_details: bool = True
    """Takes structured reasoning back, on the messages that it came with."""
    reasoning_text: bool = True
    """Takes plain reasoning back, under the names that the family wants."""
    extra_content: bool = True
    """Takes `extra_content` back, on the calls that it came with."""
    whole_arguments: bool = False
    """Sends each tool call in one piece, whatever the model."""
    strict_tools: bool = False
    """Takes `strict: true` on the function of a tool, and holds the model to the schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A request as it goes out."""

    path: str
    """Below the base URL, with a leading slash."""
    headers: Mapping[str, str] = field(repr=False)
    """Without the credential, which the client adds; but the user may have put another one in."""
    body: bytes = field(repr=False)
    """JSON, UTF-8."""
    output_limit: OutputLimit
    streamed: bool
    switch_names: frozenset[str]
    """Of headers and fields that ask for streamed tool arguments; empty where nothing does."""
    buffered_arguments: bool
    """The endpoint will hold tool arguments back until they are whole."""
    added_fields: frozenset[str]
    """Payload fields that we added of our own accord; recovery may leave them out."""

    @property
    def tool_streaming(self) -> bool:
        """The endpoint is told to stream tool arguments."""
        return bool(self.switch_names)


class ProviderAdapter:
    """An OpenAI-compatible endpoint that speaks chat completions."""

    name: str = ""
    """In `"name:model"` and in the ledger."""
    base_url: str = ""
    """With the version part, as in `https://openrouter.ai/api/v1`."""
    example_url: ClassVar[str] = "http://localhost:8000/v1"
    """For the error about a missing or wrong `base_url`."""
    api_key_env: str = ""
    """The environment variable that holds the key; empty when the endpoint needs none."""
    api_key_required: bool = True
    """A run without a key fails before its first request."""
    clocks: Clocks = Clocks()
    """Limits on silence that suit this endpoint; `Agent(clocks=…)` overrides them."""
    capabilities: Capabilities = Capabilities()
    error_rules: ClassVar[tuple[ErrorRule, ...]] = ()
    """Rows for this endpoint's own errors, read before the common ones of equal strength."""
    echo_fields: ClassVar[Mapping[str, JsonValue]] = {}
    """Body fields that make the endpoint show what it sends on to a host, for `agentcore probe`."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: ApiKey | None = None,
        extra_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Set what the user wants different for this endpoint.

        Args:
            base_url: Instead of the class's own.
            api_key: The key, or a function that gives it, sync or async, called before every
                request and once more when the endpoint refuses the key. None means the environment
                variable `api_key_env`.
            extra_headers: Sent with every request; they win over the adapter's, except that a
                list-valued beta header is merged.
            extra_body: Top-level payload fields, sent with every request; they win.
        """
        if base_url is not None:
            self.base_url = base_url
        self.api_key = api_key
        self.extra_headers = dict(extra_headers or {})
        _check_headers(self, self.extra_headers)
        self.extra_body = dict(extra_body or {})

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    # --- what is sent -----------------------------------------------------------------------

    def headers(self, request: Request) -> Mapping[str, str]:
        """Headers of this endpoint, without the credential."""
        return {}

    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        """How this endpoint is told to stream the tool arguments of a family."""
        return ToolStreaming()

    def cap_parameter(self, request: Request) -> CapParameter:
        """The payload's name for the output cap."""
        return request.family.cap_parameter

    def output_limit(self, request: Request) -> OutputLimit:
        """The cap for this request: the user's, else the catalog's, else the family's, else none.

        A smaller one that the endpoint named when it refused ours goes before any; and the cap is
        clamped to the window minus the estimated prompt, so that the sum is never refused.
        """
        family = request.family
        catalog = request.catalog if request.catalog is not None else NO_CATALOG
        candidates: tuple[tuple[int | None, LimitSource], ...] = (
            (request.max_output_tokens, "user"),
            (catalog.max_output_tokens, "catalog"),
            (family.max_output_tokens if self.capabilities.family_limits else None, "family"),
        )
        tokens, source = next((c for c in candidates if c[0] is not None), (None, "none"))
        for learned in (request.learned_output_tokens, request.adjustments.output_limit):
            if learned is not None and (tokens is None or learned < tokens):
                tokens, source = learned, "learned"
        note = " ".join(catalog.notes) if source in ("catalog", "family", "none") else ""
        limit = OutputLimit(tokens=tokens, source=source, note=note)
        return self.within_window(limit, request)

    @final
    def within_window(self, limit: OutputLimit, request: Request) -> OutputLimit:
        """The cap, clamped to what the estimated prompt leaves of the window; at least 1."""
        window = self.context_window(request)
        if limit.tokens is None or window is None:
            return limit
        prompt = int(estimate_tokens(request.prompt_bytes) * PROMPT_MARGIN)
        if limit.tokens <= max(1, window - prompt):
            return limit
        note = limit.note
        if window <= prompt:
            full = f"the prompt is estimated at {prompt:,} tokens, and the window has {window:,}"
            note = f"{note} {full}".strip()
        return replace(limit, tokens=max(1, window - prompt), note=note)

    def context_window(self, request: Request) -> int | None:
        """Tokens, the catalog's or else the family's; None where neither is known to hold here."""
        if request.catalog is not None and request.catalog.context_window_tokens is not None:
            return request.catalog.context_window_tokens
        return request.family.context_window_tokens if self.capabilities.family_limits else None

    def catalog_path(self, model: str) -> str:
        """The path below the base URL that tells a model's limits; empty: it is not asked."""
        return ""

    def read_catalog(
        self,
        answer: JsonValue,
        model: str,
        family: ModelFamily,
        *,
        age_seconds: float,
        today: date,
    ) -> CatalogFigures | None:
        """What is believed of the answer at `catalog_path`; None for an answer that is none.

        Args:
            answer: JSON of any shape; None where there is none.
            model: The id as the endpoint knows it.
            family: Of the model: its figures decide what is sane.
            age_seconds: Since the answer was fetched.
            today: In UTC; catalogs say when a model expires.
        """
        return None

    def payload(self, request: Request) -> JsonObject:
        """The body without its cap and without the tool-streaming switch."""
        # Who overrides this, or asks for it, may change in place what comes.
        return self._payload(request, PayloadCache())

    def _payload(self, request: Request, cache: PayloadCache) -> JsonObject:
        messages = cache.messages(
            request.messages, lambda message: self.message(message, request.family)
        )
        body: JsonObject = {
            "model": request.model,
            "messages": [*messages],
        }
        if request.tools:
            with_strict = self.capabilities.strict_tools
            body["tools"] = [
                *cache.tools(
                    request.tools, lambda spec: tool_payload(spec, with_strict=with_strict)
                )
            ]
        if request.adjustments.streamed:
            body["stream"] = True
            if self.capabilities.usage_in_stream:
                body["stream_options"] = {"include_usage": True}
        return body

    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        """One message as this endpoint takes it."""
        match message:
            case SystemMessage() | UserMessage():
                return {"role": message.role, "content": message.content}
            case ToolMessage():
                return {
                    "role": "tool",
                    "tool_call_id": self.call_id(message.tool_call_id, family),
                    "content": message.content,
                }
            case AssistantMessage():
                return self._assistant(message, family)

    def call_id(self, id_: str, family: ModelFamily) -> str:
        """The id of a tool call as this endpoint takes it; the same one for the same call.

        A conversation may hold calls that another endpoint named, under ids of another shape.
        """
        return id_

    def limiter_scope(self, request: Request) -> Hashable:
        """What this request has in common with all that are limited together with it.

        All runs of an event loop whose scope and key are equal are held back when the endpoint
        refuses one of them for want of room (`limiter`). By default the scope is the address, the
        model and the user's headers: they may name a project that has limits of its own.
        """
        return self.base_url, request.model, hash(frozenset(self.extra_headers.items()))

    def encode(self, request: Request) -> Wire:
        """The request as bytes: the one seam that another wire format replaces."""
        is_own = type(self).payload is not ProviderAdapter.payload
        body = self.payload(request) if is_own else self._payload(request, request.cache)
        ours = set(body) - {"model", "messages", "tools", "stream"}
        if self._sets_cache_breakpoints(request):
            _add_cache_breakpoints(body)
            ours.add(CACHE_FIELD)
        switch = self.tool_streaming(request.family)
        if request.adjustments.switch_refused or not request.adjustments.tool_streaming:
            switch = ToolStreaming()
        _add_tool_fields(body, switch.tool_fields)
        for name, value in switch.body.items():
            body.setdefault(name, value)
        body.update(self.extra_body)
        if not request.adjustments.streamed:
            body.pop("stream_options", None)
        for name in request.adjustments.omitted - set(self.extra_body):
            body.pop(name, None)
        fields = {name: _encoded(name, value, request.cache) for name, value in body.items()}
        # A brace at each end, and a comma between two.
        prompt_bytes = sum(map(len, fields.values())) + len(fields) + 1
        request = replace(request, prompt_bytes=prompt_bytes)
        cap = request.adjustments.cap_parameter or self.cap_parameter(request)
        # A cap that a subclass or the user wrote into the body by its wire name is the user's.
        written = next((name for name in _CAPS if _is_cap(body.get(name))), None)
        if written is not None:
            cap, request = written, replace(request, max_output_tokens=read_count(body, written))
        else:
            ours.add(cap)
        limit = self.output_limit(request)
        if limit.tokens is not None:
            fields[cap] = _encoded(cap, limit.tokens, request.cache)
        headers = merge_headers(self.headers(request), self.extra_headers, switch.headers)
        _check_headers(self, headers)
        return Wire(
            path="/chat/completions",
            headers=headers,
            body=b"{%b}" % b",".join(fields.values()),
            output_limit=limit,
            streamed=request.adjustments.streamed,
            switch_names=switch.names,
            buffered_arguments=self.capabilities.whole_arguments
            or holds_back(request.family, switch),
            added_fields=frozenset(ours - set(self.extra_body)),
        )

    def _sets_cache_breakpoints(self, request: Request) -> bool:
        """For Claude, unless the endpoint refused them or the user takes care of the cache."""
        return (
            self.capabilities.cache_breakpoints
            and request.family.name.startswith("claude")
            and CACHE_FIELD not in request.adjustments.omitted
            and CACHE_FIELD not in self.extra_body
        )

    def _assistant(self, message: AssistantMessage, family: ModelFamily) -> JsonObject:
        body: JsonObject = {"role": "assistant", "content": message.content or None}
        if message.tool_calls:
            body["tool_calls"] = [
                call_payload(
                    call,
                    self.call_id(call.id, family),
                    with_extra=self.capabilities.extra_content,
                )
                for call in message.tool_calls
            ]
        elif body["content"] is None:
            body["content"] = ""
        if message.reasoning_details and self.capabilities.reasoning_details:
            body["reasoning_details"] = list(message.reasoning_details)
        if message.reasoning and self.capabilities.reasoning_text:
            for name in family.returned_reasoning:
                body[name] = message.reasoning
        return body

    # --- what comes back --------------------------------------------------------------------

    def generation_id(self, headers: Mapping[str, str]) -> str:
        """The endpoint's id of an answer, from the response's headers; empty where it has none.

        It is there before the first event: an answer that dies at once can still be looked up. The
        id in a chunk takes its place.
        """
        return headers.get("x-request-id", "")

    def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
        """Stream events of one chunk, or of one whole answer.

        Args:
            event_name: The SSE `event:` field; usually empty.
            chunk: The decoded JSON object of one event, or the body of a plain answer.
        """
        return decode_chunk(event_name, chunk)

    def facts(
        self,
        error: object,
        *,
        phase: Phase = Phase.CONNECT,
        bytes_received: int = 0,
        received_at: float = 0.0,
    ) -> ErrorFacts:
        """Translate a foreign error, once: an exception, or the payload of an in-stream error."""
        if isinstance(error, BaseException):
            return facts_of_exception(
                error, phase=phase, bytes_received=bytes_received, received_at=received_at
            )
        return facts_of_payload(
            error,
            surface=Surface.SSE,
            phase=phase,
            bytes_received=bytes_received,
            received_at=received_at,
        )


def _encoded(name: str, value: JsonValue, cache: PayloadCache) -> bytes:
    """A field of the body as JSON; messages and tools that were sent before are not encoded again.

    It is what `encode_json` gives, byte for byte.
    """
    if isinstance(value, list):
        data = b"[%b]" % cache.joined(name, value, encode_json)
    else:
        data = encode_json(value)
    return b"%b:%b" % (_encoded_name(name), data)


@lru_cache
def _encoded_name(name: str) -> bytes:
    return encode_json(name)


def merge_headers(
    own: Mapping[str, str], extra: Mapping[str, str], switch: Mapping[str, str]
) -> dict[str, str]:
    """The user's headers over the adapter's; the switch's values are appended to what is there.

    Names compare without case. A value is a comma-separated list: what is already in it is not
    added twice.
    """
    merged = {name.lower(): value for name, value in own.items()}
    merged.update({name.lower(): value for name, value in extra.items()})
    for name, value in switch.items():
        present = [item.strip() for item in merged.get(name.lower(), "").split(",") if item.strip()]
        if value not in present:
            present.append(value)
        merged[name.lower()] = ",".join(present)
    return merged


def holds_back(family: ModelFamily, switch: ToolStreaming) -> bool:
    """Whether a family's tool arguments come only when they are whole."""
    match family.tool_arguments:
        case ToolArguments.STREAMED:
            return False
        case ToolArguments.BUFFERED:
            return not switch.names
        case ToolArguments.WHOLE:
            return True


def _add_tool_fields(body: JsonObject, fields: Mapping[str, JsonValue]) -> None:
    tools = body.get("tools")
    if fields and isinstance(tools, list):
        body["tools"] = [{**tool, **fields} if isinstance(tool, dict) else tool for tool in tools]


def _add_cache_breakpoints(body: JsonObject) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return
    marked: list[JsonValue] = list(messages)
    for position in _breakpoints(messages):
        message = marked[position]
        assert isinstance(message, dict)
        part: JsonObject = {
            "type": "text",
            "text": message["content"],
            CACHE_FIELD: {"type": "ephemeral"},
        }
        marked[position] = {**message, "content": [part]}
    body["messages"] = marked


def _breakpoints(messages: list[JsonValue]) -> list[int]:
    """Where a prefix ends that requests share: three places, of the four that Anthropic allows.

    The system message, and what the model answers in this request and in the one before: there
    that one wrote the cache, which a breakpoint finds only twenty content blocks back, and a
    message of many calls has more.
    """
    system: list[int] = []
    answered: list[int] = []
    is_answered = True
    for position in reversed(range(len(messages))):
        message = messages[position]
        if not isinstance(message, dict):
            continue
        role, content = message.get("role"), message.get("content")
        if role == "assistant":
            is_answered = True
        elif not isinstance(content, str) or not content.strip():
            continue  # no breakpoint on empty text (anthropics/claude-code#55302), nor on blank
        elif role == "system":
            system.append(position)
        elif is_answered:
            answered.append(position)
            is_answered = False
    return [*system[:1], *answered[:2]]


def _is_cap(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_headers(adapter: ProviderAdapter, headers: Mapping[str, str]) -> None:
    """No value stands in the error: it may be a credential."""
    for name, value in headers.items():
        given: object = value
        if not isinstance(given, str):
            raise ConfigurationError(
                f"{type(adapter).__name__}: header {name!r} must be text, not "
                f"{type(given).__name__}"
            )
        if not value.isascii() or not value.isprintable() or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(
                f"{type(adapter).__name__}: header {name!r} holds characters that no header may "
                "carry: line ends, or letters beyond ASCII"
            )
