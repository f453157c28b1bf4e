"""DeepSeek: reasoning that goes back with every answer, and patience while it is queued."""

import json

import pytest

from agentcore import ErrorKind, Surface, classify, facts_of_payload
from agentcore.clocks import Clocks
from agentcore.events import UsageReport
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
from agentcore.providers import DeepSeek, Request

CALL = ToolCall(id="call_00_9nLf", name="look", arguments="{}")


def test_a_request_whole() -> None:
    messages: tuple[Message, ...] = (
        UserMessage(content="Look."),
        AssistantMessage(tool_calls=(CALL,), reasoning="Let me look."),
        ToolMessage(tool_call_id=CALL.id, name="look", content="Nothing."),
        AssistantMessage(content="Nothing there."),
        UserMessage(content="Look again."),
    )
    model = "deepseek-v4-pro"
    wire = DeepSeek().encode(Request(model=model, family=family_of(model), messages=messages))
    assert wire.headers == {}
    assert json.loads(wire.body) == {
        "model": "deepseek-v4-pro",
        "messages": [
            {"role": "user", "content": "Look."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_00_9nLf",
                        "type": "function",
                        "function": {"name": "look", "arguments": "{}"},
                    }
                ],
                "reasoning_content": "Let me look.",
            },
            {"role": "tool", "tool_call_id": "call_00_9nLf", "content": "Nothing."},
            {"role": "assistant", "content": "Nothing there.", "reasoning_content": " "},
            {"role": "user", "content": "Look again."},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 384_000,
    }


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner", "deepseek-v4-flash"])
def test_an_answer_of_another_endpoint_gets_what_stands_for_reasoning(model: str) -> None:
    answer = AssistantMessage(tool_calls=(CALL,), reasoning_details=({"type": "x"},))
    message = DeepSeek().message(answer, family_of(model))
    assert message["reasoning_content"] == " "
    assert "reasoning_details" not in message


def test_a_queued_request_may_wait_for_ten_minutes() -> None:
    assert DeepSeek.clocks == Clocks(first_event=600.0)


def test_what_came_from_its_cache_is_counted() -> None:
    usage: JsonObject = {"prompt_tokens": 30, "completion_tokens": 4, "prompt_cache_hit_tokens": 20}
    assert list(DeepSeek().decode("", {"choices": [], "usage": usage})) == [
        UsageReport(Usage(input_tokens=30, output_tokens=4, cached_tokens=20))
    ]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # MoonshotAI/kimi-cli#2141
        (
            400,
            {
                "error": {
                    "message": "The `reasoning_content` in the thinking mode must be passed back "
                    "to the API."
                }
            },
            ErrorKind.INVALID_REQUEST,
        ),
        # 666ghj/BettaFish#286
        (
            402,
            {
                "error": {
                    "message": "Insufficient Balance",
                    "type": "unknown_error",
                    "param": None,
                    "code": "invalid_request_error",
                }
            },
            ErrorKind.QUOTA,
        ),
        # evalstate/fast-agent#621
        (
            400,
            {
                "error": {
                    "message": "This model's maximum context length is 131072 tokens. However, you "
                    "requested 131134 tokens (122942 in the messages, 8192 in the completion). "
                    "Please reduce the length of the messages or completion.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "invalid_request_error",
                }
            },
            ErrorKind.OUTPUT_LIMIT,
        ),
    ],
)
def test_its_refusals_are_known(status: int, body: dict[str, object], kind: ErrorKind) -> None:
    facts = facts_of_payload(body, surface=Surface.HTTP, status=status)
    assert classify(facts, DeepSeek.error_rules).kind is kind
