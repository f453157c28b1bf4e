"""Z.ai: the field that makes arguments stream, and numbers for errors."""

import json

import pytest

from agentcore import ErrorKind, Surface, classify, facts_of_payload
from agentcore.families import family_of
from agentcore.messages import UserMessage
from agentcore.providers import ZAI, Request, Wire
from agentcore.recovery import Adjustments


def encoded(model: str, tool_streaming: bool = True) -> Wire:
    return ZAI().encode(
        Request(
            model=model,
            family=family_of(model),
            messages=(UserMessage(content="Go on."),),
            adjustments=Adjustments(tool_streaming=tool_streaming),
        )
    )


def test_a_request_whole() -> None:
    wire = encoded("glm-5.3")
    assert wire.headers == {}
    assert json.loads(wire.body) == {
        "model": "glm-5.3",
        "messages": [{"role": "user", "content": "Go on."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tool_stream": True,
        "max_tokens": 128_000,
    }
    assert (wire.tool_streaming, wire.buffered_arguments) == (True, False)


@pytest.mark.parametrize(
    ("model", "asks"),
    [
        ("glm-4.5", False),
        ("glm-4.5-air", False),
        ("glm-4.6", True),
        ("glm-4.7", True),
        ("glm-5", True),
        ("glm-9", True),
        ("charglm-4", False),
    ],
)
def test_only_models_that_are_said_to_take_the_field_get_it(model: str, asks: bool) -> None:
    assert ("tool_stream" in json.loads(encoded(model).body)) is asks


def test_without_the_field_arguments_are_held_back() -> None:
    wire = encoded("glm-5.3", tool_streaming=False)
    assert "tool_stream" not in json.loads(wire.body)
    assert wire.buffered_arguments


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        # dirge-code/dirge#818
        (
            "1308",
            "已达到 5\n小时的使用上限。您的限额将在 2026-08-25 07:41:44 重置。",
            ErrorKind.QUOTA,
        ),
        # zai-org/GLM-5#77; that it passed by the next day: zai-org/GLM-5#68
        (
            "1313",
            "Your account's current usage pattern does not comply with the Fair Usage Policy, and "
            "your request frequency has been limited. For details, please refer to the "
            "Subscription Service Agreement. To restore access, please submit a request.",
            ErrorKind.QUOTA,
        ),
        # kaitranntt/ccs#402
        (
            "1302",
            "High concurrency usage of this API, please reduce concurrency or contact customer "
            "service to increase limits",
            ErrorKind.RATE_LIMIT,
        ),
        # openclaw/openclaw#98109
        (
            "1305",
            "The service may be temporarily overloaded, please try again later",
            ErrorKind.OVERLOADED,
        ),
    ],
)
@pytest.mark.parametrize("surface", [Surface.HTTP, Surface.SSE])
def test_its_numbers_mean_the_same_as_an_answer_and_in_a_stream(
    code: str, message: str, kind: ErrorKind, surface: Surface
) -> None:
    status = 429 if surface is Surface.HTTP else None
    body = {"error": {"code": code, "message": message}}
    facts = facts_of_payload(body, surface=surface, status=status)
    assert classify(facts, ZAI.error_rules).kind is kind


def test_a_number_in_a_text_is_no_code() -> None:
    body = {"error": {"code": "500", "message": "1308 tokens were lost"}}
    facts = facts_of_payload(body, surface=Surface.HTTP, status=500)
    assert classify(facts, ZAI.error_rules).kind is ErrorKind.SERVER_ERROR
