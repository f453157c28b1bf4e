"""Moonshot: calls go back with the reasoning that led to them."""

import json

import pytest

from agentcore import ErrorKind, Surface, classify, facts_of_payload
from agentcore.events import FinishReason, TextDelta, UsageReport
from agentcore.families import family_of
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    Message,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from agentcore.providers import Moonshot, Request

CALL = ToolCall(id="functions.look:0", name="look", arguments="{}")


def test_a_request_whole() -> None:
    messages: tuple[Message, ...] = (
        UserMessage(content="Look."),
        AssistantMessage(tool_calls=(CALL,), reasoning="Let me look."),
        ToolMessage(tool_call_id=CALL.id, name="look", content="Nothing."),
        AssistantMessage(content="Nothing there."),
        UserMessage(content="Look again."),
    )
    wire = Moonshot().encode(
        Request(model="kimi-k3", family=family_of("kimi-k3"), messages=messages)
    )
    assert wire.headers == {}
    assert json.loads(wire.body) == {
        "model": "kimi-k3",
        "messages": [
            {"role": "user", "content": "Look."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "functions.look:0",
                        "type": "function",
                        "function": {"name": "look", "arguments": "{}"},
                    }
                ],
                "reasoning_content": "Let me look.",
            },
            {"role": "tool", "tool_call_id": "functions.look:0", "content": "Nothing."},
            {"role": "assistant", "content": "Nothing there."},
            {"role": "user", "content": "Look again."},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 131_072,
    }


@pytest.mark.parametrize(
    ("model", "reasoning"),
    [("kimi-k2.6", " "), ("kimi-k3", " "), ("moonshot-v1-128k", None)],
)
def test_a_call_of_another_endpoint_gets_what_stands_for_reasoning(
    model: str, reasoning: str | None
) -> None:
    answer = AssistantMessage(tool_calls=(CALL,), reasoning_details=({"type": "x"},))
    message = Moonshot().message(answer, family_of(model))
    assert message.get("reasoning_content") == reasoning
    assert "reasoning_details" not in message


def test_usage_may_stand_in_the_choice() -> None:
    usage: JsonObject = {"prompt_tokens": 30, "completion_tokens": 4, "cached_tokens": 20}
    choice: JsonObject = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}
    assert list(Moonshot().decode("", {"choices": [choice]})) == [
        FinishReason("stop"),
        UsageReport(Usage(input_tokens=30, output_tokens=4, cached_tokens=20)),
    ]


def test_usage_that_says_nothing_is_none() -> None:
    choice: JsonObject = {"index": 0, "delta": {"content": "a"}}
    assert list(Moonshot().decode("", {"choices": [choice], "usage": {}})) == [TextDelta("a")]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # MoonshotAI/kimi-cli#2209
        (
            429,
            {
                "error": {
                    "message": "The engine is currently overloaded, please try again later",
                    "type": "engine_overloaded_error",
                }
            },
            ErrorKind.OVERLOADED,
        ),
        # openclaw/openclaw#13793
        (
            429,
            "request reached organization TPD rate limit, current: 1506556, limit: 1500000",
            ErrorKind.QUOTA,
        ),
        # gptme/gptme#1181
        (
            400,
            {
                "error": {
                    "message": "thinking is enabled but reasoning_content is missing in assistant "
                    "tool call message at index 11",
                    "type": "invalid_request_error",
                }
            },
            ErrorKind.INVALID_REQUEST,
        ),
        # MoonshotAI/kimi-cli#1002
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "The request was rejected because it was considered high risk",
                    "param": "prompt",
                    "type": "content_filter",
                }
            },
            ErrorKind.CONTENT_POLICY,
        ),
    ],
)
def test_its_refusals_are_known(status: int, body: object, kind: ErrorKind) -> None:
    facts = facts_of_payload(body, surface=Surface.HTTP, status=status)
    assert classify(facts, Moonshot.error_rules).kind is kind
