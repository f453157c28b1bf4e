"""Several models: the run goes on with the next when an endpoint fails for good."""

from pathlib import Path
from typing import Any

import pytest

from agentcore import Agent, ConfigurationError, Local, OpenRouter, Policy, RunError, RunEvent
from agentcore.events import EndpointChanged
from agentcore.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    GatewayTransport,
    RecordedRequest,
    Reply,
    ScriptedModel,
    after_line,
    before_value,
    check_transcript,
    cut,
    in_stream_error,
    no_response,
    run_in_virtual_time,
    status,
    stream,
)
from agentcore.tools import write_file

GOOD = stream(Answer(text="Here it is."))
NO_CREDIT = status(402, {"error": {"message": "Insufficient credits", "code": 402}})
NO_KEY = status(401, {"error": {"message": "Invalid API key", "type": "authentication_error"}})
NO_MODEL = status(404, {"error": {"message": "no such model", "code": "model_not_found"}})
OVERLOADED = status(529, {"error": {"type": "overloaded_error", "message": "Overloaded"}})

ONE = ("one", Local(base_url="http://one.test/v1"))
TWO = ("two", Local(base_url="http://two.test/v1"))


def agent_of(tmp_path: Path, transport: GatewayTransport, **options: Any) -> Agent:
    given = {"models": [ONE, TWO], "workspace": tmp_path, "transport": transport, **options}
    return Agent(**given)


def by_model(**replies: Reply) -> Any:
    return lambda request: replies[str(request.body["model"])]


@pytest.mark.parametrize(
    "refusal", [NO_CREDIT, NO_KEY, NO_MODEL, OVERLOADED, no_response(RESET)], ids=str
)
def test_a_failure_of_the_endpoint_moves_on_to_the_next(tmp_path: Path, refusal: Reply) -> None:
    transport = GatewayTransport(respond=by_model(one=refusal, two=GOOD))
    events: list[RunEvent] = []
    agent = agent_of(tmp_path, transport)
    result = run_in_virtual_time(lambda: agent.run("Go on.", on_event=events.append))
    assert result.text == "Here it is."
    assert [record.model for record in result.attempts][-1] == "two"
    changed = [event for event in events if isinstance(event, EndpointChanged)]
    assert [(event.provider, event.model) for event in changed] == [("local", "two")]


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (status(400, {"error": {"message": "messages: roles must alternate"}}), "invalid_request"),
        (
            status(400, {"error": {"code": "context_length_exceeded", "message": "too long"}}),
            "context_overflow",
        ),
        (stream(Answer(finish_reason="content_filter")), "content_policy"),
    ],
)
def test_a_fault_of_the_request_does_not(tmp_path: Path, refusal: Reply, kind: str) -> None:
    transport = GatewayTransport(respond=by_model(one=refusal, two=GOOD))
    with pytest.raises(RunError) as stopped:
        run_in_virtual_time(agent_of(tmp_path, transport).run, "Go on.")
    assert stopped.value.kind == kind
    assert {record.model for record in stopped.value.attempts} == {"one"}


def test_when_all_have_failed_the_error_names_each(tmp_path: Path) -> None:
    transport = GatewayTransport(respond=by_model(one=NO_CREDIT, two=NO_KEY))
    with pytest.raises(RunError) as stopped:
        run_in_virtual_time(agent_of(tmp_path, transport).run, "Go on.")
    assert stopped.value.kind == "auth"
    assert "before it, without success: local: one (quota)" in str(stopped.value)
    assert "two" in str(stopped.value)


def test_a_run_stays_where_it_moved_to_and_the_next_run_begins_with_the_first(
    tmp_path: Path,
) -> None:
    call = Call(name="write_file", arguments='{"path":"a","mode":"create","content":"x\\n"}')
    replies = iter([NO_CREDIT, stream(Answer(calls=(call,))), GOOD, GOOD])
    transport = GatewayTransport(respond=lambda request: next(replies))
    agent = agent_of(tmp_path, transport, tools=[write_file])
    run_in_virtual_time(agent.run, "Go on.")
    run_in_virtual_time(agent.run, "Go on.")
    assert [r.body["model"] for r in transport.requests] == ["one", "two", "two", "one"]


TARGET = "".join(f"line {number} of the text\n" for number in range(1, 401))


@pytest.mark.parametrize(
    "ending",
    [
        RESET,
        in_stream_error({"error": {"code": 402, "message": "Insufficient credits"}}),
    ],
    ids=["the connection is lost", "the credit runs out in the middle"],
)
def test_what_was_kept_goes_along(tmp_path: Path, ending: Any) -> None:
    model = ScriptedModel(path="plan.md", text=TARGET)

    def respond(request: RecordedRequest) -> Reply:
        answer = stream(model(request.body), piece=64)
        if request.body["model"] == "two":
            return answer
        first = sum(earlier.body["model"] == "one" for earlier in transport.requests) == 1
        return cut(answer, at=after_line(150), by=ending) if first else NO_CREDIT

    transport = GatewayTransport(respond=respond)
    agent = agent_of(tmp_path, transport, tools=[write_file])
    result = run_in_virtual_time(agent.run, "Write plan.md")
    assert (tmp_path / "plan.md").read_text() == TARGET
    assert result.attempts[-1].model == "two"
    sent = sum(request.sent_arguments.count("of the text") for request in transport.requests)
    assert sent == 400, "no line was paid for twice"
    check_transcript(
        result.messages, result.attempts, sent=[request.sent for request in transport.requests]
    )


def test_the_second_gets_nothing_that_only_the_first_can_read(tmp_path: Path) -> None:
    signed = AssistantMessage(
        tool_calls=(
            ToolCall(
                id="c1", name="look", arguments="{}", extra={"extra_content": {"google": "sig"}}
            ),
        ),
        reasoning="Hm.",
        reasoning_details=({"type": "reasoning.encrypted", "data": "xyz"},),
    )
    messages: list[Message] = [
        UserMessage(content="Look."),
        signed,
        ToolMessage(tool_call_id="c1", name="look", content="Nothing."),
    ]
    transport = GatewayTransport(respond=by_model(one=NO_CREDIT, two=GOOD))
    result = run_in_virtual_time(lambda: agent_of(tmp_path, transport).run(messages=messages))
    first, second = transport.requests
    assert "sig" in first.raw.decode()
    assert "xyz" in first.raw.decode()
    assert second.messages[1] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        ],
    }
    assert result.messages[1] == signed, "the stored conversation keeps all"


def test_a_conversation_that_ends_with_an_answer_is_still_asked_about(tmp_path: Path) -> None:
    messages: list[Message] = [UserMessage(content="Go on."), AssistantMessage(content="Half of")]
    transport = GatewayTransport(respond=by_model(one=NO_CREDIT, two=GOOD))
    result = run_in_virtual_time(lambda: agent_of(tmp_path, transport).run(messages=messages))
    assert result.text == "Here it is."


def test_the_budget_of_attempts_is_each_endpoints_own(tmp_path: Path) -> None:
    replies = iter([OVERLOADED, OVERLOADED, OVERLOADED, GOOD])
    transport = GatewayTransport(respond=lambda request: next(replies))
    agent = agent_of(tmp_path, transport, policy=Policy(max_attempts=2))
    result = run_in_virtual_time(agent.run, "Go on.")
    assert [(r.turn, r.attempt, r.model, r.decision) for r in result.attempts] == [
        (1, 1, "one", "retry"),
        (1, 2, "one", "stop"),
        (2, 1, "two", "retry"),
        (2, 2, "two", "accept"),
    ]


def afford(tokens: int) -> Reply:
    said = f"You requested up to 128000 tokens, but can only afford {tokens}."
    return status(402, {"error": {"message": said, "code": 402}})


def router(key: str, **options: Any) -> OpenRouter:
    return OpenRouter(base_url="http://one.test/v1", api_key=key, **options)


OPUS = "anthropic/claude-opus-4.6"


def test_one_model_may_stand_twice_in_the_list_with_another_key(tmp_path: Path) -> None:
    def respond(request: RecordedRequest) -> Reply:
        return NO_CREDIT if request.headers["authorization"] == "Bearer first-key" else GOOD

    transport = GatewayTransport(respond=respond)
    models = [(OPUS, router("first-key")), (OPUS, router("second-key"))]
    result = run_in_virtual_time(agent_of(tmp_path, transport, models=models).run, "Go on.")
    assert [record.decision for record in result.attempts] == ["stop", "accept"]


def test_a_key_that_is_not_to_be_had_moves_on(tmp_path: Path) -> None:
    def key() -> str:
        raise OSError("token service down")

    transport = GatewayTransport(respond=lambda request: GOOD)
    first = ("one", Local(base_url="http://one.test/v1", api_key=key))
    result = run_in_virtual_time(agent_of(tmp_path, transport, models=[first, TWO]).run, "Go on.")
    assert [record.model for record in result.attempts] == ["two"]


def test_a_key_that_is_not_to_be_had_again_costs_no_record(tmp_path: Path) -> None:
    given = iter(["first-key"])

    def key() -> str:
        return next(given, "") or str(1 / 0)

    transport = GatewayTransport(respond=by_model(one=NO_KEY, two=GOOD))
    first = ("one", Local(base_url="http://one.test/v1", api_key=key))
    result = run_in_virtual_time(agent_of(tmp_path, transport, models=[first, TWO]).run, "Go on.")
    assert [(r.model, r.decision) for r in result.attempts] == [("one", "stop"), ("two", "accept")]


@pytest.mark.parametrize("refusals", [[afford(12)], [afford(900), afford(800)]])
def test_a_credit_that_covers_too_little_is_none(tmp_path: Path, refusals: list[Reply]) -> None:
    left = list(refusals)
    transport = GatewayTransport(
        respond=lambda request: left.pop(0) if request.body["model"] == OPUS else GOOD
    )
    models = [(OPUS, router("the-key")), TWO]
    result = run_in_virtual_time(agent_of(tmp_path, transport, models=models).run, "Go on.")
    assert result.attempts[-1].model == "two"


def test_what_never_gets_through_at_one_endpoint_is_asked_of_the_next(tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=TARGET)

    def respond(request: RecordedRequest) -> Reply:
        answer = stream(model(request.body), piece=64)
        if request.body["model"] == "two":
            return answer
        return cut(answer, at=before_value("content"), by=RESET)

    transport = GatewayTransport(respond=respond)
    agent = agent_of(tmp_path, transport, tools=[write_file])
    result = run_in_virtual_time(agent.run, "Write plan.md")
    assert (tmp_path / "plan.md").read_text() == TARGET
    assert {record.model for record in result.attempts} == {"one", "two"}


def test_what_the_credit_covers_is_true_for_a_run_only(tmp_path: Path) -> None:
    replies = iter([afford(500), GOOD, GOOD])
    transport = GatewayTransport(respond=lambda request: next(replies))
    agent = Agent(OPUS, adapter=router("the-key"), workspace=tmp_path, transport=transport)
    run_in_virtual_time(agent.run, "Go on.")
    run_in_virtual_time(agent.run, "Go on.")
    assert [r.body["max_tokens"] for r in transport.requests] == [128_000, 500, 128_000]


def test_the_room_beside_one_prompt_is_true_for_a_turn_only(tmp_path: Path) -> None:
    said = "input length and `max_tokens` exceed context limit: 198000 + 64000 > 200000"
    refusal = status(400, {"error": {"message": said, "type": "invalid_request_error"}})
    replies = iter([refusal, GOOD, GOOD])
    transport = GatewayTransport(respond=lambda request: next(replies))
    agent = Agent(OPUS, adapter=router("the-key"), workspace=tmp_path, transport=transport)
    run_in_virtual_time(agent.run, "Go on.")
    run_in_virtual_time(agent.run, "Go on.")
    assert [r.body["max_tokens"] for r in transport.requests] == [128_000, 2_000, 128_000]


def test_the_list_may_be_assigned(tmp_path: Path) -> None:
    transport = GatewayTransport(respond=by_model(one=NO_CREDIT, two=GOOD))
    agent = agent_of(tmp_path, transport, models=[ONE])
    agent.models = [TWO]
    assert run_in_virtual_time(agent.run, "Go on.").text == "Here it is."


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"models": []}, "give one id as text, or a list"),
        ({}, "give one id as text, or a list"),
        ({"model": "openai:gpt-5.2", "models": ["openai:o3"]}, "give one of them"),
        ({"models": ["gpt-5.2"]}, 'write "provider:model-id"'),
        ({"models": [7]}, "7 is none"),
        ({"models": [("gpt", "openai")]}, "a pair of the endpoint's own id and its adapter"),
        ({"models": ["openai:o3"], "adapter": Local(base_url="http://x/v1")}, "beside its model"),
        ({"models": [("a", Local())]}, "give the address"),
    ],
)
def test_a_list_that_cannot_be_used_is_told(given: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Agent(**given)


def test_a_list_may_be_given_as_the_model() -> None:
    agent = Agent([ONE, "openrouter:openai/gpt-5.2"])
    assert [e.model for e in agent._settings().endpoints] == ["one", "openai/gpt-5.2"]


def test_a_missing_key_of_a_later_one_is_found_before_the_first_request(tmp_path: Path) -> None:
    transport = GatewayTransport(respond=by_model(one=GOOD))
    agent = agent_of(tmp_path, transport, models=[ONE, "openrouter:openai/gpt-5.2"])
    with pytest.raises(ConfigurationError, match="no key for openrouter"):
        run_in_virtual_time(agent.run, "Go on.")
    assert transport.requests == []


def test_a_function_for_a_later_key_is_not_called_before_it_is_needed(tmp_path: Path) -> None:
    def key() -> str:
        raise AssertionError("nobody asked")

    transport = GatewayTransport(respond=by_model(one=GOOD))
    later = ("two", OpenRouter(base_url="http://two.test/v1", api_key=key))
    agent = agent_of(tmp_path, transport, models=[ONE, later])
    assert run_in_virtual_time(agent.run, "Go on.").text == "Here it is."
