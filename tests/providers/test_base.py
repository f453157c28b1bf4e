"""What an adapter sends, as literals, and what it reads from the odd things that endpoints send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue
from typing_extensions import override

from agentcore import Local, OpenAI, OpenRouter, ProviderAdapter
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
from agentcore.families import ModelFamily, family_of
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
)
from agentcore.providers import PROVIDERS
from agentcore.providers.base import OutputLimit, Request, ToolStreaming, merge_headers
from agentcore.recovery import Adjustments

SPEC = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {}})
LOCAL = Local(base_url="http://localhost:8000/v1")


def request_for(model: str, **options: Any) -> Request:
    fields = {"messages": (UserMessage(content="Go on."),), **options}
    return Request(model=model, family=family_of(model), **fields)


def body_of(adapter: ProviderAdapter, request: Request) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = json.loads(adapter.encode(request).body)
    return body


def decoded(chunk: JsonObject, event_name: str = "") -> list[StreamEvent]:
    return list(LOCAL.decode(event_name, chunk))


def choice(**fields: JsonValue) -> JsonObject:
    return {"choices": [{"index": 0, **fields}]}


# --- what is sent ---------------------------------------------------------------------------


def test_a_conversation_with_tools_as_it_goes_out() -> None:
    messages = (
        SystemMessage(content="Be brief."),
        UserMessage(content="Look."),
        AssistantMessage(
            tool_calls=(
                ToolCall(
                    id="c1",
                    name="look",
                    arguments='{"a": 1}',
                    extra={"extra_content": {"google": {"thought_signature": "xyz"}}},
                ),
            ),
            reasoning="Let me look.",
            reasoning_details=({"type": "reasoning.text", "text": "Let me look."},),
        ),
        ToolMessage(tool_call_id="c1", name="look", content="Nothing.", is_error=True),
        AssistantMessage(content="Nothing there."),
    )
    body = body_of(LOCAL, request_for("deepseek-v4-pro", messages=messages, tools=(SPEC,)))
    assert body == {
        "model": "deepseek-v4-pro",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look."},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"a": 1}'},
                        "extra_content": {"google": {"thought_signature": "xyz"}},
                    }
                ],
                "reasoning_details": [{"type": "reasoning.text", "text": "Let me look."}],
                "reasoning_content": "Let me look.",
            },
            {"role": "tool", "tool_call_id": "c1", "content": "Nothing."},
            {"role": "assistant", "content": "Nothing there."},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "Look.",
                    "parameters": {"type": "object", "properties": {}},
                },
            }
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_plain_request_has_no_stream_options() -> None:
    plain = request_for("m", adjustments=Adjustments(streamed=False))
    assert set(body_of(LOCAL, plain)) == {"model", "messages"}


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, OutputLimit(tokens=128_000, source="family")),
        ({"max_output_tokens": 5}, OutputLimit(tokens=5, source="user")),
        ({"learned_output_tokens": 9_000}, OutputLimit(tokens=9_000, source="learned")),
        (
            {"learned_output_tokens": 9_000, "max_output_tokens": 5},
            OutputLimit(tokens=5, source="user"),
        ),
        (
            {"learned_output_tokens": 9_000, "max_output_tokens": 10_000},
            OutputLimit(tokens=9_000, source="learned"),
        ),
        (
            {"adjustments": Adjustments(output_limit=7), "max_output_tokens": 9},
            OutputLimit(tokens=7, source="learned"),
        ),
        (
            {"adjustments": Adjustments(output_limit=70), "max_output_tokens": 9},
            OutputLimit(tokens=9, source="user"),
        ),
    ],
)
def test_the_first_cap_that_is_known_is_sent(options: dict[str, Any], limit: OutputLimit) -> None:
    wire = OpenRouter().encode(request_for("anthropic/claude-opus-4.6", **options))
    assert wire.output_limit == limit


def test_a_cap_in_extra_body_is_the_users() -> None:
    adapter = OpenRouter(extra_body={"max_completion_tokens": 11})
    request = request_for("anthropic/claude-opus-4.6")
    assert adapter.encode(request).output_limit == OutputLimit(tokens=11, source="user")
    assert "max_tokens" not in body_of(adapter, request)


@given(st.integers(0, 3_000_000))
def test_cap_and_prompt_together_never_pass_the_window(size: int) -> None:
    request = request_for("anthropic/claude-opus-4.5", prompt_bytes=size)
    tokens = OpenRouter().output_limit(request).tokens
    assert tokens is not None
    assert 1 <= tokens <= max(1, 200_000 - size // 3)


def test_a_host_of_ones_own_decides_its_own_limits() -> None:
    assert LOCAL.encode(request_for("claude-opus-4.6")).output_limit == OutputLimit()


@pytest.mark.parametrize(
    ("own", "extra", "switch", "merged"),
    [
        ({}, {}, {}, {}),
        ({"X-A": "1"}, {"x-a": "2"}, {}, {"x-a": "2"}),
        ({}, {"X-B": "p, q"}, {"x-b": "r"}, {"x-b": "p,q,r"}),
        ({}, {"x-b": "r, p"}, {"x-b": "r"}, {"x-b": "r,p"}),
    ],
)
def test_headers_merge_without_case(
    own: dict[str, str], extra: dict[str, str], switch: dict[str, str], merged: dict[str, str]
) -> None:
    assert merge_headers(own, extra, switch) == merged


class Switching(ProviderAdapter):
    name = "switching"
    base_url = "https://example.com/v1"

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        return ToolStreaming(tool_fields={"eager": True}, body={"tool_stream": True})


def test_a_switch_may_be_a_field_of_each_tool_or_of_the_body() -> None:
    request = request_for("glm-5", tools=(SPEC,))
    body = body_of(Switching(), request)
    assert isinstance(body["tools"], list)
    assert isinstance(body["tools"][0], dict)
    assert (body["tools"][0]["eager"], body["tool_stream"]) == (True, True)
    without = body_of(
        Switching(), request_for("glm-5", adjustments=Adjustments(tool_streaming=False))
    )
    assert "tool_stream" not in without


@pytest.mark.parametrize(
    ("adapter", "model", "buffered"),
    [
        (OpenRouter(), "anthropic/claude-opus-4.6", False),
        (OpenAI(), "claude-opus-4.6", True),
        (OpenAI(), "gemini-3-pro", True),
        (OpenAI(), "gpt-5.2", False),
    ],
)
def test_an_endpoint_that_holds_arguments_back_is_known(
    adapter: ProviderAdapter, model: str, buffered: bool
) -> None:
    assert adapter.encode(request_for(model)).buffered_arguments is buffered


def test_what_the_user_added_is_not_ours_to_leave_out() -> None:
    adapter = Local(base_url="http://x/v1", extra_body={"stream_options": {"mine": True}})
    request = request_for("m", adjustments=Adjustments(omitted=frozenset({"stream_options"})))
    assert body_of(adapter, request)["stream_options"] == {"mine": True}
    assert "stream_options" not in adapter.encode(request).added_fields


def test_a_lone_surrogate_in_a_prompt_does_not_stop_a_request() -> None:
    lone = request_for("m", messages=(UserMessage(content="half \ud83d of it"),))
    messages = body_of(LOCAL, lone)["messages"]
    assert messages == [{"role": "user", "content": "half \ufffd of it"}]


def test_every_provider_is_registered_under_its_name() -> None:
    assert {name: adapter.name for name, adapter in PROVIDERS.items()} == {
        name: name for name in PROVIDERS
    }


def test_a_key_does_not_stand_in_the_repr() -> None:
    assert "sk-1" not in repr(OpenAI(api_key="sk-1"))


# --- what comes back ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunk", "events"),
    [
        ({}, []),
        ({"id": "gen-7"}, [ResponseInfo("gen-7")]),
        (choice(delta={"role": "assistant", "content": ""}), []),
        (choice(delta={"content": None, "tool_calls": None, "reasoning": None}), []),
        (choice(delta=None, finish_reason=None), []),
        (choice(delta={"content": "Hi"}), [TextDelta("Hi")]),
        (
            choice(delta={"content": [{"type": "text", "text": "Hi"}, 7]}),
            [TextDelta("Hi")],
        ),
        (
            choice(
                delta={
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                        {"type": "thinking", "thinking": "So"},
                    ]
                }
            ),
            [ReasoningDelta("Hm"), ReasoningDelta("So")],
        ),
        (choice(delta={"reasoning_content": "Hm"}), [ReasoningDelta("Hm")]),
        (choice(delta={"reasoning": "Hm", "reasoning_content": "Hm"}), [ReasoningDelta("Hm")]),
        (
            choice(delta={"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}, 3]}),
            [ReasoningDetail({"type": "reasoning.encrypted", "data": "x"})],
        ),
        (choice(finish_reason="stop"), [FinishReason("stop")]),
        (
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
            [UsageReport(Usage(input_tokens=3, output_tokens=4))],
        ),
        (
            {
                "usage": {
                    "prompt_tokens": 3.0,
                    "completion_tokens": None,
                    "completion_tokens_details": {"reasoning_tokens": 2},
                    "prompt_tokens_details": {"cached_tokens": 1},
                }
            },
            [UsageReport(Usage(input_tokens=3, reasoning_tokens=2, cached_tokens=1))],
        ),
        (
            choice(message={"content": "All"}, finish_reason="stop"),
            [MessageRestart(), TextDelta("All"), FinishReason("stop")],
        ),
        (choice(delta={"content": "x"}, message={"content": "All"}), [TextDelta("x")]),
        (choice(message={"role": "assistant", "content": None}), []),
        (
            {"error": {"message": "Network connection lost."}},
            [InStreamError({"error": {"message": "Network connection lost."}})],
        ),
        (
            {**choice(delta={"content": "x"}, finish_reason="error"), "error": {"code": 502}},
            [TextDelta("x"), FinishReason("error"), InStreamError({"error": {"code": 502}})],
        ),
        (
            choice(error={"code": 502}, finish_reason="error"),
            [FinishReason("error"), InStreamError({"error": {"code": 502}})],
        ),
        ({"type": "error", "message": "x"}, [InStreamError({"type": "error", "message": "x"})]),
    ],
)
def test_a_chunk(chunk: JsonObject, events: list[StreamEvent]) -> None:
    assert decoded(chunk) == events


def test_an_event_that_is_named_error_is_one() -> None:
    assert decoded({"message": "x"}, "error") == [InStreamError({"message": "x"})]


@pytest.mark.parametrize(
    ("call", "delta"),
    [
        ({}, ToolCallDelta()),
        (
            {"index": 1, "id": "c", "function": {"name": "f", "arguments": "{"}},
            ToolCallDelta(index=1, id="c", name="f", arguments="{"),
        ),
        ({"index": "0"}, ToolCallDelta(index=0)),
        ({"index": "1"}, ToolCallDelta(index=1)),
        ({"index": ""}, ToolCallDelta()),
        ({"index": "first"}, ToolCallDelta()),
        ({"index": "9999"}, ToolCallDelta()),
        ({"function": {"arguments": {"a": 1}}}, ToolCallDelta(arguments='{"a":1}')),
        ({"function": {"arguments": {}}}, ToolCallDelta()),
        ({"index": None, "id": None, "function": None}, ToolCallDelta()),
        (
            {"extra_content": {"google": {"thought_signature": "x"}}},
            ToolCallDelta(extra={"extra_content": {"google": {"thought_signature": "x"}}}),
        ),
    ],
)
def test_a_tool_call_delta(call: JsonObject, delta: ToolCallDelta) -> None:
    assert decoded(choice(delta={"tool_calls": [call, "odd"]})) == [delta]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "usage": JSON | st.fixed_dictionaries({"prompt_tokens": JSON, "completion_tokens": JSON}),
        "error": JSON,
        "choices": JSON
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "delta": JSON
                    | st.fixed_dictionaries(
                        {},
                        optional={
                            "content": JSON,
                            "tool_calls": JSON
                            | st.lists(
                                st.fixed_dictionaries(
                                    {}, optional={"index": JSON, "id": JSON, "function": JSON}
                                )
                            ),
                            "reasoning": JSON,
                            "reasoning_details": JSON,
                        },
                    ),
                    "message": JSON,
                    "finish_reason": JSON,
                },
            )
        ),
    },
)


@given(SHAPES)
def test_no_shape_of_a_chunk_makes_decode_raise(chunk: JsonObject) -> None:
    decoded(chunk)
