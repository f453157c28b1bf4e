"""Anthropic's compatible endpoint: what is sent, and the switch that has to be asked for."""

import json

import pytest

from agentcore.classification import classify
from agentcore.clocks import Clocks
from agentcore.facts import Phase, Surface, facts_of_payload
from agentcore.families import family_of
from agentcore.messages import AssistantMessage, ToolCall, ToolMessage, ToolSpec, UserMessage
from agentcore.providers import Anthropic, Request, Wire
from agentcore.recovery import Adjust, Adjustments, Failure, decide
from agentcore.retry import Budget, Policy
from agentcore.verdict import Partial

OPUS = "claude-opus-4-6"
LOOK = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {}})


def encoded(adapter: Anthropic, model: str = OPUS) -> Wire:
    return adapter.encode(
        Request(
            model=model,
            family=family_of(model),
            messages=(UserMessage(content="Go on."),),
            tools=(LOOK,),
        )
    )


def test_a_request_whole() -> None:
    wire = encoded(Anthropic())
    assert wire.headers == {}
    assert json.loads(wire.body) == {
        "model": "claude-opus-4-6",
        "messages": [{"role": "user", "content": "Go on."}],
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
        "max_tokens": 128_000,
    }
    assert (wire.tool_streaming, wire.buffered_arguments) == (False, True)


def test_arguments_are_waited_for_as_long_as_a_whole_answer_takes() -> None:
    wire = encoded(Anthropic())
    limit = Anthropic.clocks.content_limit(
        Phase.TEXT, buffered=wire.buffered_arguments, output_limit=wire.output_limit.tokens
    )
    assert limit == 2_560.0
    assert Anthropic.clocks == Clocks(transport=600.0)


def test_who_asks_for_eager_streaming_has_it_on_each_tool() -> None:
    wire = encoded(Anthropic(eager_tool_streaming=True))
    assert json.loads(wire.body)["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "look",
                "description": "Look.",
                "parameters": {"type": "object", "properties": {}},
            },
            "eager_input_streaming": True,
        }
    ]
    assert (wire.tool_streaming, wire.buffered_arguments) == (True, False)


def test_a_refused_switch_is_left_out_of_the_next_request() -> None:
    """In the words that refuse the field on tools of the vendor's own: vercel/ai#13078."""
    adapter = Anthropic(eager_tool_streaming=True)
    wire = encoded(adapter)
    body = {
        "error": {
            "code": "invalid_request_error",
            "message": "tools.0.custom.eager_input_streaming: Extra inputs are not permitted",
            "type": "invalid_request_error",
            "param": None,
        }
    }
    facts = facts_of_payload(body, surface=Surface.HTTP, status=400)
    failure = Failure(
        classification=classify(facts),
        facts=facts,
        cause=None,
        partial=Partial(),
        adjustments=Adjustments(),
        added_fields=wire.added_fields,
        tool_streaming=wire.tool_streaming,
    )
    decision = decide(failure, earlier=(), budget=Budget(), policy=Policy(), roll=0.0)
    assert isinstance(decision, Adjust)
    request = Request(
        model=OPUS,
        family=family_of(OPUS),
        messages=(UserMessage(content="Go on."),),
        tools=(LOOK,),
        adjustments=decision.adjustments,
    )
    assert adapter.encode(request).body == encoded(Anthropic()).body


@pytest.mark.parametrize(
    ("id_", "sent"),
    [
        ("toolu_01A-b", "toolu_01A-b"),
        ("functions.write_file:0", "f8d7926bf"),
        ("", "e3b0c4429"),
    ],
)
def test_ids_of_another_shape_are_replaced(id_: str, sent: str) -> None:
    """Kimi's ids, met when a conversation is switched to Claude: cline/cline#8942."""
    request = Request(
        model=OPUS,
        family=family_of(OPUS),
        messages=(
            AssistantMessage(tool_calls=(ToolCall(id=id_, name="look", arguments="{}"),)),
            ToolMessage(tool_call_id=id_, name="look", content="Nothing."),
        ),
    )
    assistant, tool = json.loads(Anthropic().encode(request).body)["messages"]
    assert (assistant["tool_calls"][0]["id"], tool["tool_call_id"]) == (sent, sent)
