"""OpenAI: whole requests, and histories that other endpoints have left their marks on."""

import json
from typing import Any

import pytest

from agentcore import ErrorKind, OpenAI, Surface, classify, facts_of_payload
from agentcore.families import FAMILIES, family_of
from agentcore.messages import AssistantMessage, ToolCall, ToolMessage, UserMessage
from agentcore.providers import Request


def sent(*messages: AssistantMessage | ToolMessage) -> list[Any]:
    request = Request(model="gpt-5.2", family=family_of("gpt-5.2"), messages=messages)
    history: list[Any] = json.loads(OpenAI().encode(request).body)["messages"]
    return history


@pytest.mark.parametrize(
    ("model", "cap", "tokens"),
    [
        ("gpt-4.1", "max_tokens", 32_768),
        ("gpt-5.2", "max_completion_tokens", 128_000),
        ("o3", "max_completion_tokens", 100_000),
    ],
)
def test_a_request_whole(model: str, cap: str, tokens: int) -> None:
    request = Request(
        model=model, family=family_of(model), messages=(UserMessage(content="Go on."),)
    )
    wire = OpenAI().encode(request)
    assert wire.headers == {}
    assert json.loads(wire.body) == {
        "model": model,
        "messages": [{"role": "user", "content": "Go on."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        cap: tokens,
    }


def test_what_only_others_take_is_left_out_of_a_history() -> None:
    """A call by Gemini on OpenRouter: reasoning details, and a signature with the call."""
    call = ToolCall(
        id="c1", name="look", arguments="{}", extra={"extra_content": {"google": {"x": 1}}}
    )
    answer = AssistantMessage(
        tool_calls=(call,),
        reasoning="hm",
        reasoning_details=({"type": "reasoning.encrypted", "data": "gAAA=="},),
    )
    assert sent(answer) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            ],
        }
    ]


LONG = "fc_0f0e50a1476a6c35006912c58dc9f8819192c25864eb16f07f"
"""53 characters, from the Responses API (agno-agi/agno#5382)."""


@pytest.mark.parametrize(
    ("id_", "shown"),
    [
        ("call_1", "call_1"),
        ("x" * 40, "x" * 40),
        (LONG, "021d53e00"),
    ],
)
def test_a_call_and_its_answer_go_out_under_one_id(id_: str, shown: str) -> None:
    assistant, tool = sent(
        AssistantMessage(tool_calls=(ToolCall(id=id_, name="look", arguments="{}"),)),
        ToolMessage(tool_call_id=id_, name="look", content="Nothing."),
    )
    assert (assistant["tool_calls"][0]["id"], tool["tool_call_id"]) == (shown, shown)
    assert len(shown) <= 40


def test_other_ids_stay_other() -> None:
    adapter = OpenAI()
    ids = {adapter.call_id(f"{'x' * 60}{number}", FAMILIES[-1]) for number in range(1_000)}
    assert len(ids) == 1_000


def test_the_refusal_of_a_long_id_is_final() -> None:
    """As received: agno-agi/agno#5382."""
    body = {
        "error": {
            "message": "Invalid 'messages[10].tool_calls[0].id': string too long. Expected a "
            "string with maximum length 40, but got a string with length 53 instead.",
            "type": "invalid_request_error",
            "param": "messages[10].tool_calls[0].id",
            "code": "string_above_max_length",
        }
    }
    found = classify(facts_of_payload(body, surface=Surface.HTTP, status=400), OpenAI.error_rules)
    assert found.kind is ErrorKind.INVALID_REQUEST
