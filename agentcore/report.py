"""What would be sent for a model, and why: the words behind `agentcore models`. No I/O."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue
from pydantic_core import from_json

from agentcore.catalog import CatalogFigures
from agentcore.endpoint import Endpoint
from agentcore.families import family_of
from agentcore.ledger import LimitSource
from agentcore.messages import AssistantMessage, JsonObject, ToolCall, ToolSpec, UserMessage
from agentcore.providers.base import Request, ToolStreaming, Wire

__all__ = ["ModelReport", "report_on"]

SAMPLE = (UserMessage(content="Go on."),)
SAMPLE_TOOL = ToolSpec(
    name="write_file",
    description="…",
    parameters={"type": "object", "properties": {"content": {"type": "string"}}},
)
SAMPLE_ANSWER = AssistantMessage(
    tool_calls=(
        ToolCall(
            id="call_1", name="look", arguments="{}", extra={"extra_content": {"signature": "…"}}
        ),
    ),
    reasoning="…",
    reasoning_details=({"type": "reasoning.text", "text": "…"},),
)
MASKED = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """The settings that a request for one model would have."""

    provider: str
    model: str
    """The id as the endpoint knows it."""
    base_url: str
    family: str
    family_source: str
    """Where the family's figures are from, and when they were read."""
    doubt: str
    """What is not sure about them; empty where nothing is known to be."""
    context_window_tokens: int | None
    """None: not known, or the host's affair."""
    window_source: str
    """`catalog`, `family` or `none`."""
    output_limit: int | None
    """Tokens: the cap that is sent; None: none is, and the endpoint's default holds."""
    limit_source: LimitSource
    limit_note: str
    """Why a figure of the catalog is not used; empty where none was refused."""
    catalog_age_seconds: float | None
    """Since the catalog's answer was fetched; None where none was asked, or none is to be had."""
    cap_parameter: str
    """The payload's name for the cap."""
    tool_arguments: str
    """How they arrive: `streamed`, `asked to stream`, or `held back` until whole."""
    switch: ToolStreaming
    """How the endpoint is told to stream them; all empty where it is not."""
    returned: tuple[str, ...]
    """Fields in which reasoning and signatures go back, of assistant messages or of their calls."""
    key_variable: str
    """The environment variable of the key; empty where there is none."""
    headers: Mapping[str, str] = field(repr=False)
    """As they would go out, without the key; values that the user set are not shown."""
    body: JsonObject = field(repr=False)
    """As it would go out, for the prompt "Go on." and one tool."""

    def as_json(self) -> dict[str, JsonValue]:
        """Everything, as JSON values."""
        return {
            "provider": self.provider,
            "model": self.model,
            "base_url": self.base_url,
            "family": self.family,
            "family_source": self.family_source,
            "doubt": self.doubt,
            "context_window_tokens": self.context_window_tokens,
            "window_source": self.window_source,
            "output_limit": self.output_limit,
            "limit_source": self.limit_source,
            "limit_note": self.limit_note,
            "catalog_age_seconds": self.catalog_age_seconds,
            "cap_parameter": self.cap_parameter,
            "tool_arguments": self.tool_arguments,
            "switch": {
                "headers": dict(self.switch.headers),
                "body": dict(self.switch.body),
                "tool_fields": dict(self.switch.tool_fields),
            },
            "returned": list(self.returned),
            "key_variable": self.key_variable,
            "headers": dict(self.headers),
            "body": self.body,
        }


def report_on(
    endpoint: Endpoint,
    *,
    max_output_tokens: int | None = None,
    catalog: CatalogFigures | None = None,
) -> ModelReport:
    """What would be sent for a first, short request.

    Args:
        endpoint: The model and its adapter; no key is looked up.
        max_output_tokens: The user's cap; None when they set none.
        catalog: What the endpoint's catalog says, where it was asked.
    """
    adapter = endpoint.adapter
    family = family_of(endpoint.model)
    request = Request(
        model=endpoint.model,
        family=family,
        messages=SAMPLE,
        tools=(SAMPLE_TOOL,),
        max_output_tokens=max_output_tokens,
        catalog=catalog,
    )
    wire = adapter.encode(request)
    body: JsonObject = from_json(wire.body)
    window = adapter.context_window(request)
    from_catalog = catalog is not None and catalog.context_window_tokens is not None
    known = "catalog" if from_catalog else "family"
    theirs = {name.lower() for name in adapter.extra_headers}
    return ModelReport(
        provider=adapter.name or type(adapter).__name__,
        model=endpoint.model,
        base_url=adapter.base_url,
        family=family.name,
        family_source=family.source,
        doubt=family.doubt,
        context_window_tokens=window,
        window_source=known if window is not None else "none",
        output_limit=wire.output_limit.tokens,
        limit_source=wire.output_limit.source,
        limit_note=wire.output_limit.note,
        catalog_age_seconds=catalog.age_seconds
        if catalog is not None and catalog.age_seconds < math.inf
        else None,
        cap_parameter=adapter.cap_parameter(request),
        tool_arguments=_arrival(wire),
        switch=adapter.tool_streaming(family),
        returned=_returned(adapter.message(SAMPLE_ANSWER, family)),
        key_variable=adapter.api_key_env,
        headers={name: MASKED if name in theirs else value for name, value in wire.headers.items()},
        body=body,
    )


def _returned(message: JsonObject) -> tuple[str, ...]:
    calls = message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else None
    extra = set(call) - {"id", "type", "function"} if isinstance(call, dict) else set()
    return tuple(sorted((set(message) - {"role", "content", "tool_calls"}) | extra))


def _arrival(wire: Wire) -> str:
    if wire.buffered_arguments:
        return "held back"
    return "asked to stream" if wire.tool_streaming else "streamed"
