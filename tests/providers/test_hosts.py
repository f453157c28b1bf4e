"""Hosts of one table: whole requests, and the few facts in which they differ."""

import json
import re

import pytest
from pydantic import JsonValue

from agentcore import ErrorKind, Surface, classify, facts_of_payload
from agentcore.endpoint import resolve_model
from agentcore.errors import ConfigurationError
from agentcore.families import family_of
from agentcore.messages import AssistantMessage, JsonObject, Message, ToolCall, UserMessage
from agentcore.providers import (
    PROVIDERS,
    XAI,
    Azure,
    Fireworks,
    Gemini,
    Groq,
    ProviderAdapter,
    Request,
    Together,
    Wire,
)
from agentcore.providers.hosts import HOSTS, Hosted
from agentcore.recovery import Adjustments

GO_ON = UserMessage(content="Go on.")
SIGNED: JsonObject = {"extra_content": {"google": {"thought_signature": "zz9="}}}


def encoded(
    adapter: type[ProviderAdapter], model: str, *messages: Message, streamed: bool = True
) -> Wire:
    request = Request(
        model=model,
        family=family_of(model),
        messages=messages or (GO_ON,),
        adjustments=Adjustments(streamed=streamed),
    )
    return adapter().encode(request)


@pytest.mark.parametrize(
    ("adapter", "model", "cap"),
    [
        (Azure, "gpt-5.2", {"max_completion_tokens": 128_000}),
        (Azure, "my-deployment", {}),
        (Gemini, "gemini-3-pro-preview", {"max_tokens": 65_536}),
        (Groq, "llama-3.3-70b-versatile", {}),
        (XAI, "grok-4.3", {"max_completion_tokens": 30_000}),
        (Together, "moonshotai/Kimi-K3", {"max_tokens": 131_072}),
        (Fireworks, "accounts/fireworks/models/kimi-k3", {"max_tokens": 131_072}),
    ],
)
def test_a_request_whole(
    adapter: type[ProviderAdapter], model: str, cap: dict[str, JsonValue]
) -> None:
    wire = encoded(adapter, model)
    assert wire.headers == {}
    assert json.loads(wire.body) == {
        "model": model,
        "messages": [{"role": "user", "content": "Go on."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **cap,
    }


def test_every_row_makes_an_adapter_and_says_where_it_is_from() -> None:
    made = {name: kind for name, kind in PROVIDERS.items() if issubclass(kind, Hosted)}
    assert set(made) == set(HOSTS)
    for name, kind in made.items():
        row = HOSTS[name]
        assert (kind.name, kind.base_url, kind.api_key_env) == (
            name,
            row.base_url,
            row.api_key_env,
        )
        assert row.source
        assert row.not_sure


def test_a_subclass_of_a_host_keeps_its_row() -> None:
    class Mine(Groq):
        name = "mine"

    assert (Mine.name, Mine().base_url) == ("mine", "https://api.groq.com/openai/v1")


def test_azure_asks_for_an_address_and_shows_one() -> None:
    example = re.escape("https://YOUR-RESOURCE.openai.azure.com/openai/v1")
    with pytest.raises(ConfigurationError, match=example):
        resolve_model("azure:gpt-5.2", None)


def test_azure_is_as_strict_about_ids_as_openai() -> None:
    call = ToolCall(id="x" * 41, name="look", arguments="{}", extra=SIGNED)
    body = json.loads(encoded(Azure, "gpt-5.2", AssistantMessage(tool_calls=(call,))).body)
    sent = body["messages"][0]["tool_calls"][0]
    assert len(sent["id"]) <= 40
    assert set(sent) == {"id", "type", "function"}


def test_azures_keep_alive_is_no_content() -> None:
    assert list(Azure().decode("keepalive", {})) == []


@pytest.mark.parametrize(
    ("adapter", "model", "whole"),
    [
        (Azure, "gpt-5.2", False),
        (Gemini, "gemini-3-pro-preview", True),
        (Groq, "openai/gpt-oss-120b", True),
        (XAI, "grok-4.6", True),
        (Together, "openai/gpt-oss-120b", False),
        (Fireworks, "accounts/fireworks/models/kimi-k2p6", False),
    ],
)
def test_whose_calls_come_whole_is_waited_for(
    adapter: type[ProviderAdapter], model: str, whole: bool
) -> None:
    assert encoded(adapter, model).buffered_arguments is whole


def of_assistant(
    adapter: type[ProviderAdapter], model: str, message: AssistantMessage
) -> JsonObject:
    sent: JsonObject = json.loads(encoded(adapter, model, message).body)["messages"][0]
    return sent


def test_reasoning_goes_back_where_it_is_taken() -> None:
    answer = AssistantMessage(content="So.", reasoning="hm", reasoning_details=({"type": "x"},))
    without = {"role": "assistant", "content": "So."}
    assert of_assistant(Groq, "moonshotai/kimi-k2-instruct-0905", answer) == without
    assert of_assistant(Fireworks, "accounts/fireworks/models/kimi-k2p6", answer) == {
        **without,
        "reasoning_content": "hm",
    }


@pytest.mark.parametrize("adapter", [Azure, Groq, XAI, Together, Fireworks])
def test_a_signature_of_gemini_goes_to_nobody_else(adapter: type[ProviderAdapter]) -> None:
    call = ToolCall(id="c", name="look", arguments="{}", extra=SIGNED)
    assert "extra_content" not in str(
        of_assistant(adapter, "some-model", AssistantMessage(tool_calls=(call,)))
    )


STAND_IN: JsonObject = {
    "extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}
}


@pytest.mark.parametrize(
    ("model", "extras", "sent"),
    [
        ("gemini-3-pro-preview", (SIGNED, {}), (SIGNED, {})),
        ("gemini-3-pro-preview", ({}, {}), (STAND_IN, {})),
        ("gemini-4-argon", ({},), (STAND_IN,)),
        ("gemini-2.5-pro", ({}, {}), ({}, {})),
    ],
)
def test_the_first_call_of_an_answer_has_a_signature(
    model: str, extras: tuple[JsonObject, ...], sent: tuple[JsonObject, ...]
) -> None:
    calls = tuple(
        ToolCall(id=f"c{number}", name="look", arguments="{}", extra=extra)
        for number, extra in enumerate(extras)
    )
    message = of_assistant(Gemini, model, AssistantMessage(tool_calls=calls))
    assert message["tool_calls"] == [
        {
            "id": f"c{number}",
            "type": "function",
            "function": {"name": "look", "arguments": "{}"},
            **extra,
        }
        for number, extra in enumerate(sent)
    ]


def test_an_answer_without_calls_needs_no_signature() -> None:
    message = of_assistant(Gemini, "gemini-3-pro-preview", AssistantMessage(content="So."))
    assert message == {"role": "assistant", "content": "So."}


@pytest.mark.parametrize(
    ("model", "streamed", "tokens"),
    [
        ("accounts/fireworks/models/kimi-k3", True, 131_072),
        ("accounts/fireworks/models/kimi-k3", False, 4_096),
        ("accounts/fireworks/models/some-model", False, None),
    ],
)
def test_fireworks_refuses_long_answers_without_a_stream(
    model: str, streamed: bool, tokens: int | None
) -> None:
    assert encoded(Fireworks, model, streamed=streamed).output_limit.tokens == tokens


@pytest.mark.parametrize(
    ("adapter", "status", "body", "kind"),
    [
        # NousResearch/hermes-agent#11089
        (
            Groq,
            400,
            {
                "error": {
                    "message": "'messages.4' : for 'role:assistant' the following must be satisfied"
                    "[('messages.4' : property 'reasoning_content' is unsupported)]",
                    "type": "invalid_request_error",
                }
            },
            ErrorKind.INVALID_REQUEST,
        ),
        # groq/groq-typescript#28
        (
            Groq,
            400,
            {
                "error": {
                    "message": "Failed to call a function. Please adjust your prompt. See "
                    "'failed_generation' for more details.",
                    "type": "invalid_request_error",
                    "code": "tool_use_failed",
                    "failed_generation": '```\n{\n  "tool_calls',
                }
            },
            ErrorKind.SERVER_ERROR,
        ),
        # langroid/langroid#969
        (
            Gemini,
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "Function call is missing a thought_signature in functionCall "
                        "parts. This is required for tools to work correctly",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            ErrorKind.INVALID_REQUEST,
        ),
        # continuedev/continue#10373
        (
            XAI,
            429,
            "Your team [id] has either used all available credits or reached its monthly spending "
            "limit. To continue making API requests, please purchase more credits or raise your "
            "spending limit.",
            ErrorKind.QUOTA,
        ),
        # togethercomputer/together-cookbook#57
        (Together, 503, "The server is overloaded or not ready yet.", ErrorKind.OVERLOADED),
        # nullclaw/nullclaw#231
        (
            Fireworks,
            400,
            {
                "error": {
                    "message": "Requests with max_tokens > 4096 must have stream=true",
                    "param": "max_tokens",
                    "code": "BAD_REQUEST",
                    "type": "error",
                }
            },
            ErrorKind.INVALID_REQUEST,
        ),
        # browser-use/browser-use#262
        (
            Azure,
            400,
            {
                "error": {
                    "inner_error": {"code": "ResponsibleAIPolicyViolation"},
                    "code": "content_filter",
                    "message": "The response was filtered due to the prompt triggering Azure "
                    "OpenAI's content management policy.",
                }
            },
            ErrorKind.CONTENT_POLICY,
        ),
    ],
)
def test_their_refusals_are_known(
    adapter: type[ProviderAdapter], status: int, body: object, kind: ErrorKind
) -> None:
    facts = facts_of_payload(body, surface=Surface.HTTP, status=status)
    assert classify(facts, adapter.error_rules).kind is kind
