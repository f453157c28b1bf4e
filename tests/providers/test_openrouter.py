"""OpenRouter: what its settings send, what its catalog says, and what its refusals change."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from agentcore import Agent, ConfigurationError, OpenRouter
from agentcore.catalog import CatalogFigures
from agentcore.events import AttemptStarted, ResponseInfo, UsageReport
from agentcore.families import family_of
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from agentcore.providers import OutputLimit, Reasoning, Request, Routing
from agentcore.providers.openrouter import EAGER_BETA, UNSIGNED
from agentcore.testing import Answer, GatewayTransport, run_in_virtual_time, status, stream

OPUS = "anthropic/claude-opus-4.6"


def request_for(model: str, **options: Any) -> Request:
    fields = {"messages": (UserMessage(content="Go on."),), **options}
    return Request(model=model, family=family_of(model), **fields)


def body_of(adapter: OpenRouter, request: Request) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = json.loads(adapter.encode(request).body)
    return body


# --- settings -------------------------------------------------------------------------------


def test_every_setting_as_it_goes_out() -> None:
    adapter = OpenRouter(
        routing=Routing(
            order=["anthropic", "google-vertex"],
            only=["anthropic", "google-vertex", "amazon-bedrock"],
            ignore=["azure"],
            allow_fallbacks=False,
            require_parameters=True,
            data_collection="deny",
            zdr=True,
            quantizations=["fp8"],
            sort="throughput",
            max_price={"prompt": 3, "completion": 15},
        ),
        fallbacks=["openai/gpt-4o"],
        reasoning=Reasoning(max_tokens=2_000, exclude=True),
        site_url="https://acme.example",
        site_title="Acme",
    )
    wire = adapter.encode(request_for("openai/gpt-5.2"))
    assert json.loads(wire.body) == {
        "model": "openai/gpt-5.2",
        "models": ["openai/gpt-4o"],
        "route": "fallback",
        "messages": [{"role": "user", "content": "Go on."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "provider": {
            "order": ["anthropic", "google-vertex"],
            "only": ["anthropic", "google-vertex", "amazon-bedrock"],
            "ignore": ["azure"],
            "allow_fallbacks": False,
            "require_parameters": True,
            "data_collection": "deny",
            "zdr": True,
            "quantizations": ["fp8"],
            "sort": "throughput",
            "max_price": {"prompt": 3, "completion": 15},
        },
        "reasoning": {"max_tokens": 2_000, "exclude": True},
        "max_tokens": 16_384,
    }
    assert wire.headers == {"http-referer": "https://acme.example", "x-title": "Acme"}
    assert wire.added_fields == {"stream_options", "max_tokens"}, "a user's wish is not left out"


@pytest.mark.parametrize(
    ("reasoning", "sent"),
    [
        (Reasoning(effort="high"), {"effort": "high"}),
        (Reasoning(enabled=False), {"enabled": False}),
        (Reasoning(), None),
    ],
)
def test_reasoning(reasoning: Reasoning, sent: JsonObject | None) -> None:
    adapter = OpenRouter(reasoning=reasoning, routing=Routing())
    assert body_of(adapter, request_for("openai/gpt-5.2")).get("reasoning") == sent


def test_what_the_user_writes_by_its_wire_name_wins() -> None:
    adapter = OpenRouter(
        reasoning=Reasoning(effort="high"),
        site_title="Acme",
        extra_body={"reasoning": {"effort": "low"}},
        extra_headers={"x-title": "Mine"},
    )
    wire = adapter.encode(request_for("openai/gpt-5.2"))
    assert json.loads(wire.body)["reasoning"] == {"effort": "low"}
    assert wire.headers == {"x-title": "Mine"}


def test_the_cap_is_one_that_each_of_the_models_takes() -> None:
    adapter = OpenRouter(fallbacks=["openai/gpt-4o", "somebody/unknown"])
    assert adapter.encode(request_for(OPUS)).output_limit == OutputLimit(
        tokens=16_384, source="family"
    )


def test_the_window_of_each_of_the_models_holds() -> None:
    adapter = OpenRouter(fallbacks=[OPUS])
    request = request_for("qwen/qwen3-coder", prompt_bytes=600_000)
    assert adapter.output_limit(request).tokens == 262_144 - 224_000


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("anthropic/claude-sonnet-4.5", 1_000_000),
        ("anthropic/claude-haiku-4.5", 200_000),
        ("anthropic/claude-sonnet-4", 200_000),
    ],
)
def test_a_window_that_is_wider_here(model: str, window: int) -> None:
    assert OpenRouter().context_window(request_for(model)) == window


def test_a_prompt_that_fills_the_window_is_noted() -> None:
    limit = OpenRouter().output_limit(request_for(OPUS, prompt_bytes=3_000_000))
    assert limit == OutputLimit(
        tokens=1,
        source="family",
        note="the prompt is estimated at 1,120,000 tokens, and the window has 1,000,000",
    )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Reasoning(effort="high", max_tokens=5), "give one of them"),
        (lambda: Reasoning(max_tokens=0), "must be 1 or more"),
        (lambda: Routing(order="anthropic"), r"Routing\(order=…\): give a list of names"),
        (lambda: OpenRouter(fallbacks="openai/gpt-4o"), r"OpenRouter\(fallbacks=…\)"),
        (lambda: OpenRouter(fallbacks=[""]), "give a list of names"),
    ],
)
def test_settings_that_cannot_be_used_are_told(make: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        make()


def test_every_model_that_may_answer_is_thought_of() -> None:
    adapter = OpenRouter(fallbacks=[OPUS, "google/gemini-3-pro", "mistralai/devstral-medium"])
    request = request_for("openai/gpt-5.2")
    wire = adapter.encode(request)
    assert wire.headers == {"x-anthropic-beta": EAGER_BETA}
    assert wire.buffered_arguments, "Gemini's calls come whole"
    assert adapter.call_id("functions.write_file:0", request.family) == "f8d7926bf"


@pytest.mark.parametrize(
    ("cap", "budget"), [(100_000, 8_000), (8_001, 8_000), (8_000, 4_000), (1_000, 500)]
)
def test_a_budget_of_reasoning_is_below_the_cap(cap: int, budget: int) -> None:
    adapter = OpenRouter(reasoning=Reasoning(max_tokens=8_000))
    body = body_of(adapter, request_for(OPUS, max_output_tokens=cap))
    assert (body["max_tokens"], body["reasoning"]) == (cap, {"max_tokens": budget})


# --- histories ------------------------------------------------------------------------------

CALLED = AssistantMessage(tool_calls=(ToolCall(id="c1", name="look", arguments="{}"),))
STAND_IN: JsonObject = {
    "type": "reasoning.encrypted",
    "data": UNSIGNED,
    "id": "c1",
    "format": "google-gemini-v1",
    "index": 0,
}
TEXT: JsonObject = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "index": 0}
SIGNED: JsonObject = {"type": "reasoning.encrypted", "data": "xyz", "id": "c1", "index": 0}


@pytest.mark.parametrize(
    ("model", "details", "sent"),
    [
        ("google/gemini-3-pro", (), [STAND_IN]),
        ("google/gemini-3-pro", (TEXT,), [TEXT, STAND_IN]),
        ("google/gemini-3-pro", (TEXT, SIGNED), [TEXT, SIGNED]),
        (OPUS, (TEXT,), [TEXT]),
        (OPUS, (), None),
    ],
)
def test_reasoning_goes_back_unchanged_and_gemini_gets_a_signature_for_every_message_that_calls(
    model: str, details: tuple[JsonObject, ...], sent: list[JsonObject] | None
) -> None:
    called = AssistantMessage(tool_calls=CALLED.tool_calls, reasoning_details=details)
    answer = ToolMessage(tool_call_id="c1", name="look", content="Nothing.")
    request = request_for(model, messages=(UserMessage(content="Look."), called, answer))
    messages = body_of(OpenRouter(), request)["messages"]
    assert isinstance(messages, list)
    assert isinstance(messages[1], dict)
    assert messages[1].get("reasoning_details") == sent


def test_a_text_of_gemini_needs_no_signature() -> None:
    spoken = AssistantMessage(content="Nothing there.")
    assert "reasoning_details" not in OpenRouter().message(spoken, family_of("gemini-3-pro"))


# --- what comes back ------------------------------------------------------------------------


def test_the_last_chunk_has_usage_and_cost() -> None:
    chunk: JsonObject = {
        "id": "gen-7",
        "provider": "Amazon Bedrock",
        "model": "anthropic/claude-4.6-opus-20260205",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
        "usage": {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "cost": 0.95,
            "cost_details": {"upstream_inference_cost": 19},
            "prompt_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }
    assert list(OpenRouter().decode("", chunk)) == [
        ResponseInfo(id="gen-7", model="anthropic/claude-4.6-opus-20260205", host="Amazon Bedrock"),
        UsageReport(
            Usage(
                input_tokens=194, output_tokens=2, reasoning_tokens=1, cached_tokens=12, cost=0.95
            )
        ),
    ]


@pytest.mark.parametrize("cost", [None, "0.5", -1, float("nan"), float("inf"), True, 1e300])
def test_a_cost_that_is_none_counts_as_nothing(cost: JsonValue) -> None:
    (report,) = OpenRouter().decode("", {"usage": {"cost": cost}})
    assert report == UsageReport(Usage())


def test_the_ledger_has_the_generation_id_also_of_an_answer_that_dies_at_once(
    tmp_path: Path,
) -> None:
    dead = status(200, b"", {"content-type": "text/event-stream", "X-Generation-Id": "gen-dead"})
    transport = GatewayTransport()
    transport.play(dead, stream(Answer(text="Here it is.")))
    agent = Agent(OPUS, adapter=OpenRouter(api_key="k"), workspace=tmp_path, transport=transport)
    result = run_in_virtual_time(agent.run, "Go on.")
    assert [record.generation_id for record in result.attempts] == ["gen-dead", "gen-1"]


# --- refusals -------------------------------------------------------------------------------

GOOD = stream(Answer(text="Here it is."))


def in_flight(**headers: str) -> Any:
    body: JsonObject = {
        "error": {
            "code": 402,
            "message": "Too many requests in flight for this balance",
            "metadata": {
                "limit_source": "openrouter_in_flight_budget",
                "reason": "in_flight_budget_exhausted",
            },
        }
    }
    return status(402, body, headers)


def test_a_budget_in_flight_is_waited_for(tmp_path: Path) -> None:
    transport = GatewayTransport()
    transport.play(in_flight(**{"retry-after": "7"}), GOOD)
    agent = Agent(
        OPUS,
        adapter=OpenRouter(api_key="k"),
        workspace=tmp_path,
        transport=transport,
        roll=lambda: 0.0,
    )
    result = run_in_virtual_time(agent.run, "Go on.")
    assert [record.waited_seconds for record in result.attempts] == [0.0, 7.0]


def test_a_refusal_is_corrected_once_and_remembered_by_all_runs_of_an_agent(
    tmp_path: Path,
) -> None:
    said = "max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens"
    unknown = "Unrecognized request argument supplied: stream_options"
    switch = "Unexpected value for the `anthropic-beta` header"
    transport = GatewayTransport()
    transport.play(
        status(400, {"error": {"message": said, "code": 400}}),
        status(400, {"error": {"message": unknown, "code": 400}}),
        status(400, {"error": {"message": switch, "code": 400}}),
        GOOD,
        GOOD,
    )
    agent = Agent(OPUS, adapter=OpenRouter(api_key="k"), workspace=tmp_path, transport=transport)
    run_in_virtual_time(agent.run, "Go on.")
    run_in_virtual_time(agent.run, "Go on.")
    sent = [
        (
            request.body["max_tokens"],
            "stream_options" in request.body,
            request.headers.get("x-anthropic-beta"),
        )
        for request in transport.requests
    ]
    assert sent == [
        (128_000, True, EAGER_BETA),
        (64_000, True, EAGER_BETA),
        (64_000, False, EAGER_BETA),
        (64_000, False, None),
        (64_000, False, None),
    ]


# --- the catalog ----------------------------------------------------------------------------


def hosts(*rows: JsonObject) -> JsonObject:
    return {"id": OPUS, "endpoints": list(rows)}


def host(tag: str, window: JsonValue, output: JsonValue) -> JsonObject:
    return {
        "provider_name": tag.title(),
        "tag": tag,
        "context_length": window,
        "max_completion_tokens": output,
    }


def asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *models: JsonObject,
    model: str = OPUS,
    runs: int = 1,
    **options: Any,
) -> tuple[list[AttemptStarted], GatewayTransport]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    transport = GatewayTransport(models=models, respond=lambda request: GOOD)
    adapter = OpenRouter(api_key="k", **options)
    agent = Agent(model, adapter=adapter, workspace=tmp_path, transport=transport)
    events: list[AttemptStarted] = []

    def listen(event: object) -> None:
        if isinstance(event, AttemptStarted):
            events.append(event)

    for _ in range(runs):
        run_in_virtual_time(lambda: agent.run("Go on.", on_event=listen))
    return events, transport


def test_the_catalog_goes_before_the_family_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = hosts(host("anthropic", 1_000_000, 100_000))
    events, transport = asked(tmp_path, monkeypatch, row, catalog=True, runs=2)
    limits = [(event.output_limit, event.limit_source, event.limit_note) for event in events]
    assert limits == [(100_000, "catalog", "")] * 2
    asked_for = [r.path for r in transport.requests if r.method == "GET"]
    assert asked_for == [f"/api/v1/models/{OPUS}/endpoints"]
    assert "authorization" not in transport.requests[0].headers


def test_without_being_told_to_nobody_asks_a_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, transport = asked(tmp_path, monkeypatch, hosts(host("anthropic", 1_000_000, 100_000)))
    assert [event.limit_source for event in events] == ["family"]
    assert {request.method for request in transport.requests} == {"POST"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (host("anthropic", 1_000_000, None), "output limit is missing"),
        (host("anthropic", 1_000_000, 943_718), "943,718"),
        (host("anthropic", 1_000_000, 4_096), "4,096"),
        (host("anthropic", None, 0), "context window is missing"),
    ],
)
def test_figures_that_cannot_be_are_refused_in_favour_of_the_family_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: JsonObject, told: str
) -> None:
    events, _ = asked(tmp_path, monkeypatch, hosts(row), catalog=True)
    assert [(e.output_limit, e.limit_source) for e in events] == [(128_000, "family")]
    assert told in events[0].limit_note


def test_a_catalog_that_cannot_be_had_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, _ = asked(tmp_path, monkeypatch, catalog=True)
    assert [(e.output_limit, e.limit_source) for e in events] == [(128_000, "family")]
    assert "404" in events[0].limit_note


def test_a_catalog_that_cannot_be_had_leaves_the_wider_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = "anthropic/claude-sonnet-4.5"
    events, _ = asked(tmp_path, monkeypatch, catalog=True, model=model)
    figures = CatalogFigures(age_seconds=0.0, notes=("404",))
    window = OpenRouter().context_window(request_for(model, catalog=figures))
    assert (events[0].output_limit, window) == (64_000, 1_000_000)


def test_hosts_that_the_routing_leaves_out_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        host("anthropic", 1_000_000, 128_000),
        host("amazon-bedrock/eu", 1_000_000, 32_000),
        host("azure", 1_000_000, 64_000),
    ]
    wanted = Routing(only=["Amazon-Bedrock", "azure"], ignore=["Azure"])
    events, _ = asked(tmp_path, monkeypatch, hosts(*rows), catalog=True, routing=wanted)
    assert [(e.output_limit, e.limit_source) for e in events] == [(32_000, "catalog")]


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        (OPUS, "f8d7926bf"),
        ("mistralai/devstral-medium", "f8d7926bf"),
        ("openai/gpt-5.2", "functions.write_file:0"),
        ("moonshotai/kimi-k2.6", "functions.write_file:0"),
    ],
)
def test_ids_of_calls_have_the_shape_that_the_models_vendor_wants(model: str, sent: str) -> None:
    assert OpenRouter().call_id("functions.write_file:0", family_of(model)) == sent
