"""Chat completions on the wire: chunks to events, and messages to JSON. Pure, and total."""

import re
from functools import lru_cache
from hashlib import sha256
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from agentcore.events import (
    FinishReason,
    InStreamError,
    MessageRestart,
    ReasoningDelta,
    ReasoningDetail,
    ResponseInfo,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from agentcore.messages import JsonObject, ToolCall, ToolSpec, Usage, mend_surrogates

__all__ = [
    "NINE_ID",
    "NOTHING_SAID",
    "SHORT_ID",
    "WORD_ID",
    "call_payload",
    "decode_chunk",
    "encode_json",
    "read_count",
    "shaped_id",
    "tool_payload",
]


def encode_json(body: JsonValue) -> bytes:
    """Compact UTF-8; lone surrogates, which no encoder takes, become replacement characters."""
    try:
        return to_json(body)
    except ValueError:
        return to_json(_without_surrogates(body))


def _without_surrogates(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return mend_surrogates(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in value.items()}
    return value


def tool_payload(spec: ToolSpec, *, with_strict: bool) -> JsonObject:
    """What a model is told of a tool."""
    function: JsonObject = {
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
    }
    if spec.strict and with_strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def call_payload(call: ToolCall, id_: str, *, with_extra: bool) -> JsonObject:
    """A call as it stands in the history, under the id that the endpoint takes."""
    function: JsonObject = {"name": call.name, "arguments": call.arguments or "{}"}
    extra = call.extra if with_extra else {}
    return {"id": id_, "type": "function", "function": function, **extra}


NOTHING_SAID: Final = "(nothing said)"
"""Of a message that neither says nor calls anything, where an endpoint refuses an empty one."""

SHORT_ID: Final = re.compile(r".{1,40}", re.DOTALL)
"""OpenAI: `Invalid 'messages[10].tool_calls[0].id': string too long` (agno-agi/agno#5382,
vercel/ai#5171); ids of 53 and 83 characters come from other endpoints and APIs."""
WORD_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
"""Anthropic: `tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'`: Kimi's
`functions.write_file:0` does not (cline/cline#8942, BlockRunAI/ClawRouter#17)."""
NINE_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
"""Mistral: `Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9`
(langchain-ai/langchain#24668, openclaw/openclaw#57672)."""


def shaped_id(id_: str, shape: re.Pattern[str]) -> str:
    """The id of a call, or nine digits of its digest where it has not the shape.

    Nine letters or digits are what every endpoint takes; the same id always gives the same.
    """
    if shape.fullmatch(id_):
        return id_
    return sha256(id_.encode(errors="surrogatepass")).hexdigest()[:9]


def decode_chunk(event_name: str, chunk: JsonObject) -> list[StreamEvent]:
    """Stream events of one chunk, or of one whole answer; every field may be of an odd type.

    Args:
        event_name: The SSE `event:` field; usually empty.
        chunk: The decoded JSON object of one event, or the body of a plain answer.
    """
    # This runs for every delta. What few chunks have is looked for by `in`: it calls nothing.
    events: list[StreamEvent] = []
    if info := _info(chunk):
        events.append(info)
    choices = chunk.get("choices")
    choice = choices[0] if choices and isinstance(choices, list) else None
    usage = error = None
    if "usage" in chunk:
        usage = chunk["usage"]
    if "error" in chunk:
        error = chunk["error"]
    if isinstance(choice, dict):
        _choice(choice, events)
        if "usage" in choice:
            usage = usage or choice["usage"]  # where Moonshot puts it
        if "error" in choice:
            error = error or choice["error"]
    if usage and isinstance(usage, dict):
        events.append(UsageReport(_usage(usage)))
    if error:
        events.append(InStreamError({"error": error}))
    elif event_name == "error" or _is_error(chunk):
        events.append(InStreamError(chunk))
    return events


def _info(chunk: JsonObject) -> ResponseInfo | None:
    given = chunk.get("id"), chunk.get("model"), chunk.get("provider")
    try:
        return _response_info(given)
    except TypeError:  # a list or an object, which cannot be looked up
        return _response_info(tuple(one if isinstance(one, str) else "" for one in given))


@lru_cache(maxsize=1024)
def _response_info(given: tuple[JsonValue, ...]) -> ResponseInfo | None:
    """The same one for all chunks of an answer, which all repeat it; None if they say nothing."""
    texts = [one if isinstance(one, str) else "" for one in given]
    return ResponseInfo(*texts) if any(texts) else None


def _is_error(chunk: JsonObject) -> bool:
    """An object that says it is an error, or that is no part of an answer and carries a text."""
    if chunk.get("object") == "error" or ("type" in chunk and chunk["type"] == "error"):
        return True
    if "choices" in chunk or "usage" in chunk:
        return False
    return any(isinstance(chunk.get(name), str) for name in ("message", "detail", "msg"))


_SPOKEN = ("content", "tool_calls", "refusal")


def _choice(choice: JsonObject, events: list[StreamEvent]) -> None:
    delta = choice.get("delta")
    if delta and isinstance(delta, dict):
        _delta(delta, events)
    else:
        whole = choice.get("message")
        if isinstance(whole, dict) and any(whole.get(name) for name in _SPOKEN):
            events.append(MessageRestart())
            _delta(whole, events)
    reason = choice.get("finish_reason")
    if reason and isinstance(reason, str) and reason.lower() not in ("", "null", "none"):
        events.append(FinishReason(reason))


def _delta(delta: JsonObject, events: list[StreamEvent]) -> None:
    """A delta or a whole message; every field may be absent, null or of an odd type."""
    for name in ("reasoning_content", "reasoning"):
        if name in delta and isinstance(text := delta[name], str) and text:
            events.append(ReasoningDelta(text))
            break
    if "reasoning_details" in delta and isinstance(details := delta["reasoning_details"], list):
        events += [ReasoningDetail(detail) for detail in details if isinstance(detail, dict)]
    content = delta.get("content")
    if not content and "refusal" in delta:
        content = delta["refusal"]
    if content:
        if isinstance(content, str):
            events.append(TextDelta(content))
        elif isinstance(content, list):
            _parts(content, events)
    if "tool_calls" in delta and isinstance(calls := delta["tool_calls"], list):
        for call in calls:
            if isinstance(call, dict):
                events.append(_call_delta(call))


def _parts(parts: list[JsonValue], events: list[StreamEvent]) -> None:
    """Content as a list of typed parts (Mistral's magistral sends thinking this way)."""
    for part in parts:
        if not isinstance(part, dict):
            continue
        if isinstance(text := part.get("text"), str) and text:
            events.append(TextDelta(text))
        thinking = part.get("thinking")
        if isinstance(thinking, str) and thinking:
            events.append(ReasoningDelta(thinking))
        elif isinstance(thinking, list):
            pieces = [piece.get("text") for piece in thinking if isinstance(piece, dict)]
            events += [ReasoningDelta(text) for text in pieces if isinstance(text, str)]


def _call_delta(call: JsonObject) -> ToolCallDelta:
    function = call.get("function")
    if not isinstance(function, dict):
        function = {}
    index, id_, extra = call.get("index"), call.get("id"), call.get("extra_content")
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(arguments, str):
        # Ollama and some relays send the object itself. An empty one may only be an opening.
        is_object = arguments and isinstance(arguments, (dict, list))
        arguments = encode_json(arguments).decode() if is_object else ""
    if isinstance(index, str) and index.isdecimal() and len(index) < 4:
        index = int(index)
    # By position: keywords cost a third more.
    return ToolCallDelta(
        index if isinstance(index, int) else None,
        id_ if id_ and isinstance(id_, str) else "",
        name if name and isinstance(name, str) else "",
        arguments,
        {"extra_content": extra} if extra else {},
    )


def read_count(source: JsonValue, name: str) -> int:
    """A number of tokens, 0 where there is none."""
    value = source.get(name) if isinstance(source, dict) else None
    return int(value) if isinstance(value, (int, float)) and 0 <= value < 1e15 else 0


def _usage(usage: JsonObject) -> Usage:
    return Usage(
        input_tokens=read_count(usage, "prompt_tokens"),
        output_tokens=read_count(usage, "completion_tokens"),
        reasoning_tokens=read_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
        cached_tokens=read_count(usage.get("prompt_tokens_details"), "cached_tokens")
        or read_count(usage, "prompt_cache_hit_tokens")  # DeepSeek
        or read_count(usage, "cached_tokens"),  # Moonshot
        cost=_cost(usage.get("cost")),
    )


def _cost(value: JsonValue) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if 0 <= value < 1e9 else 0.0
