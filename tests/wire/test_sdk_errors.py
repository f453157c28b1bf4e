"""The openai SDK's own exceptions are read as the endpoint's failures that they are.

agentcore does not raise them, but adapters' tests, `explain` and users' code hold them against it.
"""

import socket

import openai
import pytest

from agentcore.classification import classify
from agentcore.facts import Surface, facts_of_exception
from agentcore.messages import JsonObject
from agentcore.testing import (
    FIN,
    Answer,
    Gateway,
    Reply,
    after_events,
    cut,
    in_stream_error,
    no_response,
    stall,
    status,
    stream,
)

WHOLE = stream(Answer(text="It goes on for a while, all of it."), piece=4)
LIMITED: JsonObject = {
    "error": {"message": "Rate limit reached, try again in 20s", "code": "rate_limit"}
}


@pytest.fixture
def anyio_backend() -> str:
    """The SDK leaves generators unfinished after an error in a stream, which trio warns of."""
    return "asyncio"


async def failed(base_url: str) -> openai.APIError:
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key="k", max_retries=0, timeout=0.3
    ) as sdk:
        try:
            async with await sdk.chat.completions.create(
                model="m", messages=[], stream=True
            ) as answer:
                async for _ in answer:
                    pass
        except openai.APIError as error:
            return error
    raise AssertionError("it did not fail")


@pytest.mark.parametrize(
    ("reply", "name", "kind", "number", "surface"),
    [
        (status(429, LIMITED), "RateLimitError", "rate_limit", 429, Surface.HTTP),
        (status(401, {"error": "no"}), "AuthenticationError", "auth", 401, Surface.HTTP),
        (status(503, "<html>busy</html>"), "InternalServerError", "overloaded", 503, Surface.HTTP),
        (
            cut(WHOLE, at=after_events(3), by=in_stream_error(LIMITED)),
            "APIError",
            "rate_limit",
            None,
            Surface.SSE,
        ),
        (
            cut(WHOLE, at=after_events(3), by=FIN),
            "APIConnectionError",
            "connection",
            None,
            Surface.TRANSPORT,
        ),
        (no_response(), "APIConnectionError", "connection", None, Surface.TRANSPORT),
        (
            stall(WHOLE, at=after_events(3), seconds=2),
            "APITimeoutError",
            "timeout",
            None,
            Surface.TRANSPORT,
        ),
    ],
)
async def test_what_the_sdk_raises_has_its_kind(
    reply: Reply, name: str, kind: str, number: int | None, surface: Surface
) -> None:
    async with Gateway(respond=lambda _: reply) as gateway:
        facts = facts_of_exception(await failed(gateway.base_url))
    assert facts.exceptions[0] == f"openai.{name}"
    assert (str(classify(facts).kind), facts.status, facts.surface) == (kind, number, surface)


async def test_a_refused_connection_of_the_sdk() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    facts = facts_of_exception(await failed(f"http://127.0.0.1:{port}/v1"))
    assert (str(classify(facts).kind), facts.status) == ("connection", None)
