"""Cache breakpoints: where they stand in a request, and how they are left out."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from pydantic import JsonValue
from typing_extensions import override

from agentcore import Local, OpenAI, OpenRouter, ProviderAdapter
from agentcore.classification import classify
from agentcore.facts import Surface, facts_of_payload
from agentcore.families import family_of
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agentcore.providers.base import Request
from agentcore.recovery import Adjust, Adjustments, Failure, decide
from agentcore.retry import Budget, Policy
from agentcore.testing.strategies import conversations, texts
from agentcore.verdict import Partial

OPUS = "anthropic/claude-opus-4.6"
EPHEMERAL: JsonObject = {"type": "ephemeral"}


def marked(text: str) -> JsonValue:
    return [{"type": "text", "text": text, "cache_control": EPHEMERAL}]


def calls(*ids: str) -> AssistantMessage:
    return AssistantMessage(
        tool_calls=tuple(ToolCall(id=id_, name="look", arguments="{}") for id_ in ids)
    )


def answer(id_: str, content: str) -> ToolMessage:
    return ToolMessage(tool_call_id=id_, name="look", content=content)


def request_for(
    messages: Sequence[Message], model: str = OPUS, adjustments: Adjustments | None = None
) -> Request:
    return Request(
        model=model,
        family=family_of(model),
        messages=tuple(messages),
        adjustments=adjustments or Adjustments(),
    )


def sent(request: Request, adapter: ProviderAdapter | None = None) -> list[Any]:
    """The messages as they go out."""
    body = json.loads((adapter or OpenRouter()).encode(request).body)
    messages: list[Any] = body["messages"]
    return messages


def marked_places(messages: Sequence[Message]) -> list[int]:
    contents = [message["content"] for message in sent(request_for(messages))]
    return [at for at, content in enumerate(contents) if isinstance(content, list)]


SYSTEM = SystemMessage(content="Be brief.")
PROMPT = UserMessage(content="Look.")
HM = AssistantMessage(content="Hm.")


def test_a_request_to_claude_through_openrouter() -> None:
    messages: list[Message] = [
        SYSTEM,
        PROMPT,
        calls("c1"),
        answer("c1", "One."),
        calls("c2"),
        answer("c2", "Two."),
    ]

    assert sent(request_for(messages)) == [
        {"role": "system", "content": marked("Be brief.")},
        {"role": "user", "content": "Look."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": marked("One.")},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c2", "content": marked("Two.")},
    ]


@pytest.mark.parametrize(
    ("messages", "places"),
    [
        ([PROMPT], [0]),
        ([SYSTEM, PROMPT], [0, 1]),
        ([SYSTEM, SystemMessage(content="And kind."), PROMPT], [1, 2]),
        ([PROMPT, calls("a"), answer("a", "x")], [0, 2]),
        ([PROMPT, calls("a"), answer("a", ""), calls("b"), answer("b", "x")], [0, 4]),
        ([PROMPT, calls("a"), answer("a", " \n")], [0]),
        # What a request ends with, and not two answers to the same message.
        ([PROMPT, calls("a", "b"), answer("a", "x"), answer("b", "y")], [0, 3]),
        ([PROMPT, calls("a", "b"), answer("a", "x"), answer("b", "")], [0, 2]),
        ([PROMPT, HM, PROMPT, HM, PROMPT, HM], [2, 4]),
        ([SystemMessage(content=""), UserMessage(content="")], []),
    ],
)  # fmt: skip
def test_breakpoints_stand_where_requests_end(messages: list[Message], places: list[int]) -> None:
    assert marked_places(messages) == places


@pytest.mark.parametrize(
    ("adapter", "model"),
    [
        (OpenRouter(), "openai/gpt-5.2"),
        (OpenRouter(), "google/gemini-3-pro"),
        (OpenAI(), "claude-opus-4.6"),
        (Local(base_url="http://localhost:8000/v1"), "claude-opus-4.6"),
        (OpenRouter(extra_body={"cache_control": EPHEMERAL}), OPUS),
    ],
    ids=["gpt", "gemini", "no such endpoint", "a server of one's own", "the user caches"],
)
def test_nobody_else_gets_them(adapter: ProviderAdapter, model: str) -> None:
    request = request_for([SYSTEM, PROMPT], model)

    assert [message["content"] for message in sent(request, adapter)] == ["Be brief.", "Look."]
    assert "cache_control" not in adapter.encode(request).added_fields


REFUSALS: list[JsonValue] = [
    # LiteLLM, as in NousResearch/hermes-agent#89931.
    {"message": "messages.2: cache_control may not be specified within tool_result.content"},
    {"message": "Extra inputs are not permitted", "param": "messages.0.content.0.cache_control"},
]


@pytest.mark.parametrize("error", REFUSALS)
def test_an_endpoint_that_refuses_them_is_asked_without(error: JsonValue) -> None:
    adapter = OpenRouter()
    request = request_for([SYSTEM, PROMPT])
    facts = facts_of_payload({"error": error}, surface=Surface.HTTP, status=400)

    recovery = decide(
        Failure(
            classification=classify(facts, adapter.error_rules),
            facts=facts,
            cause=None,
            partial=Partial(),
            adjustments=request.adjustments,
            added_fields=adapter.encode(request).added_fields,
        ),
        earlier=[],
        budget=Budget(failures=1),
        policy=Policy(),
        roll=0.5,
    )

    assert isinstance(recovery, Adjust)
    again = request_for([SYSTEM, PROMPT], adjustments=recovery.adjustments)
    assert [message["content"] for message in sent(again)] == ["Be brief.", "Look."]
    assert "cache_control" not in adapter.encode(again).added_fields


class Odd(OpenRouter):
    """A format of one's own: messages that are none, and content in parts."""

    @override
    def payload(self, request: Request) -> JsonObject:
        parts: JsonValue = [{"type": "text", "text": "Look."}]
        return {"model": request.model, "messages": [None, {"role": "user", "content": parts}]}


class Elsewhere(OpenRouter):
    @override
    def payload(self, request: Request) -> JsonObject:
        return {"model": request.model, "input": "Look."}


def test_what_a_subclass_writes_otherwise_is_left_as_it_is() -> None:
    body = json.loads(Odd().encode(request_for([PROMPT])).body)
    assert body["messages"] == [
        None,
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
    ]
    body = json.loads(Elsewhere().encode(request_for([PROMPT])).body)
    assert body["input"] == "Look."


@given(conversations())
def test_no_more_than_four_never_on_blank_text_and_nothing_is_lost(messages: list[Message]) -> None:
    request = request_for([SYSTEM, *messages])
    plain = request_for(
        [SYSTEM, *messages], adjustments=Adjustments(omitted=frozenset({"cache_control"}))
    )

    count = 0
    for with_, without in zip(sent(request), sent(plain), strict=True):
        if with_ == without:
            continue
        (part,) = with_["content"]
        assert {**with_, "content": part["text"]} == without
        assert part["text"].strip()
        count += 1
    assert 1 <= count <= 3


@given(conversations(), texts(), texts())
def test_where_a_request_ends_the_next_one_has_a_breakpoint(
    messages: list[Message], one: str, other: str
) -> None:
    """What the one wrote into the cache, the other asks for."""
    before = [*messages, PROMPT]
    after = [*before, calls("a", "b"), answer("a", one), answer("b", other)]

    assert marked_places(before)[-1] == len(messages)
    assert len(messages) in marked_places(after)
