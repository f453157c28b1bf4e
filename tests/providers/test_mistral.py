"""Mistral: nothing that its schema does not know, ids of nine characters, an order of roles."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore import ErrorKind, Surface, classify, facts_of_payload
from agentcore.events import ReasoningDelta, TextDelta
from agentcore.families import FAMILIES, family_of
from agentcore.messages import (
    AssistantMessage,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from agentcore.providers import Mistral, Request, Wire

LOOK = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {}})


def encoded(*messages: Message, model: str = "devstral-medium") -> Wire:
    return Mistral().encode(
        Request(model=model, family=family_of(model), messages=messages, tools=(LOOK,))
    )


def roles(*messages: Message) -> list[str]:
    return [message["role"] for message in json.loads(encoded(*messages).body)["messages"]]


def test_a_request_whole() -> None:
    foreign = ToolCall(
        id="functions.look:0",
        name="look",
        arguments='{"a": 1}',
        extra={"extra_content": {"google": {"thought_signature": "zz9="}}},
    )
    wire = encoded(
        SystemMessage(content="Be brief."),
        UserMessage(content="Look."),
        AssistantMessage(
            tool_calls=(foreign,), reasoning="hm", reasoning_details=({"type": "reasoning.text"},)
        ),
        ToolMessage(tool_call_id=foreign.id, name="look", content="Nothing."),
        model="codestral-2508",
    )
    assert wire.headers == {}
    assert json.loads(wire.body) == {
        "model": "codestral-2508",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "ec0002042",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"a": 1}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "ec0002042", "content": "Nothing."},
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
        "max_tokens": 4_096,
    }
    assert wire.buffered_arguments


@pytest.mark.parametrize("id_", ["a1B2c3D4e", "000000000", "ABCDEFGHI"])
def test_an_id_of_the_right_shape_stays(id_: str) -> None:
    assert Mistral().call_id(id_, FAMILIES[-1]) == id_


@given(st.text())
def test_any_id_gets_the_right_shape_and_keeps_it(id_: str) -> None:
    sent = Mistral().call_id(id_, FAMILIES[-1])
    assert len(sent) == 9
    assert sent.isascii()
    assert sent.isalnum()
    assert Mistral().call_id(id_, FAMILIES[-1]) == Mistral().call_id(sent, FAMILIES[-1]) == sent


def test_no_two_calls_of_a_long_conversation_share_an_id() -> None:
    ids = {Mistral().call_id(f"call_{number}", FAMILIES[-1]) for number in range(5_000)}
    assert len(ids) == 5_000


def test_an_answer_stands_between_results_and_what_the_user_says_next() -> None:
    """`Unexpected role 'user' after role 'tool'`: datapizza-labs/datapizza-ai#98."""
    user = UserMessage(content="Go on.")
    calls = AssistantMessage(
        tool_calls=(
            ToolCall(id="000000001", name="look", arguments="{}"),
            ToolCall(id="000000002", name="look", arguments="{}"),
        )
    )
    results = tuple(
        ToolMessage(tool_call_id=call.id, name="look", content="x") for call in calls.tool_calls
    )
    assert roles(user, calls, *results) == ["user", "assistant", "tool", "tool"]
    assert roles(user, calls, *results, user, user) == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
        "user",
    ]
    bridge = json.loads(encoded(user, calls, *results, user).body)["messages"][4]
    assert bridge == {"role": "assistant", "content": "I have read the results."}


def test_thinking_of_magistral_is_read() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Yes."},
    ]
    chunk = {"choices": [{"index": 0, "delta": {"content": content}}]}
    assert list(Mistral().decode("", chunk)) == [ReasoningDelta("Hm."), TextDelta("Yes.")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # editor-code-assistant/eca#231
        (
            422,
            {
                "object": "error",
                "message": {
                    "detail": [
                        {
                            "type": "extra_forbidden",
                            "loc": ["body", "max_completion_tokens"],
                            "msg": "Extra inputs are not permitted",
                            "input": 32000,
                        }
                    ]
                },
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            },
            ErrorKind.INVALID_REQUEST,
        ),
        # openclaw/openclaw#57672
        (
            400,
            {
                "object": "error",
                "message": "Tool call id was exec1774786568428215 but must be a-z, A-Z, 0-9, with "
                "a length of 9.",
                "type": "invalid_function_call",
                "param": None,
                "code": "3280",
                "raw_status_code": 400,
            },
            ErrorKind.INVALID_REQUEST,
        ),
        # datapizza-labs/datapizza-ai#98
        (
            400,
            {
                "object": "error",
                "message": "Unexpected role 'user' after role 'tool'",
                "type": "invalid_request_message_order",
                "param": None,
                "code": "3230",
            },
            ErrorKind.INVALID_REQUEST,
        ),
        # raycast/extensions#31107
        (
            429,
            {
                "object": "error",
                "message": "Rate limit exceeded",
                "type": "rate_limited",
                "param": None,
                "code": "1300",
                "raw_status_code": 429,
            },
            ErrorKind.RATE_LIMIT,
        ),
        # continuedev/continue#6185, which gives no status
        (
            None,
            {
                "object": "error",
                "message": "Service tier capacity exceeded for this model.",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            },
            ErrorKind.OVERLOADED,
        ),
    ],
)
def test_its_refusals_are_known(
    status: int | None, body: dict[str, object], kind: ErrorKind
) -> None:
    facts = facts_of_payload(body, surface=Surface.HTTP, status=status)
    assert classify(facts, Mistral.error_rules).kind is kind


def test_an_empty_answer_is_not_sent_empty() -> None:
    assert Mistral().message(AssistantMessage(), FAMILIES[-1])["content"] == "(nothing said)"
