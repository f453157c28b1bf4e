"""The three facts that this project started from, as they stand on the wire."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import JsonValue

from agentcore import Agent, Local, OpenAI, OpenRouter, ProviderAdapter, RunEvent
from agentcore.events import ToolFinished, TurnFinished
from agentcore.testing import Answer, Call, Gateway, stream
from agentcore.tools import write_file

if TYPE_CHECKING:
    from tests.wire.conftest import Player

EAGER = "fine-grained-tool-streaming-2025-05-14"
OPUS = "anthropic/claude-opus-4.6"
DONE = stream(Answer(text="done"))


def openrouter(url: str, **options: Any) -> ProviderAdapter:
    return OpenRouter(base_url=url, api_key="sk-or", **options)


@pytest.mark.parametrize(
    ("theirs", "sent"),
    [
        ({}, EAGER),
        ({"X-Anthropic-Beta": "interleaved-thinking-2025-05-14"},
         f"interleaved-thinking-2025-05-14,{EAGER}"),
        ({"x-anthropic-beta": EAGER}, EAGER),
    ],
)  # fmt: skip
async def test_claude_through_openrouter_carries_the_header_merged_into_what_the_user_set(
    play: "Player", theirs: Mapping[str, str], sent: str
) -> None:
    played = await play(
        [DONE], adapter=lambda url: openrouter(url, extra_headers=theirs), model=OPUS
    )
    assert played.requests[0].headers["x-anthropic-beta"] == sent


@pytest.mark.parametrize(
    ("adapter", "model"),
    [
        (openrouter, "openai/gpt-5.2"),
        (openrouter, "deepseek/deepseek-v4-pro"),
        (lambda url: OpenAI(base_url=url, api_key="sk"), "gpt-4.1"),
        (lambda url: Local(base_url=url), "claude-opus-4.6"),
    ],
)
async def test_nobody_else_gets_it(play: "Player", adapter: Any, model: str) -> None:
    played = await play([DONE], adapter=adapter, model=model)
    assert "anthropic" not in " ".join(played.requests[0].headers)


async def test_what_an_adapter_is_found_to_lack_holds_for_all_messages(tmp_path: Path) -> None:
    call = Call(name="write_file", arguments='{"path":"a","mode":"append","content":"x\n"}')
    working = stream(Answer(calls=(call,), reasoning="Hm."))

    async with Gateway(respond=lambda r: working if r.number < 3 else DONE) as gateway:
        adapter = Local(base_url=gateway.base_url)
        agent = Agent("deepseek-v4-pro", adapter=adapter, tools=[write_file], workspace=tmp_path)

        def switch(event: RunEvent) -> None:
            if isinstance(event, TurnFinished) and event.turn == 2:
                adapter.capabilities = replace(adapter.capabilities, reasoning_text=False)

        await agent.run("Go on.", on_event=switch)
    said = ["reasoning_content" in json.dumps(r.body["messages"]) for r in gateway.requests]
    assert said == [False, True, False]


async def test_a_switch_of_model_or_key_between_turns_loses_nothing(tmp_path: Path) -> None:
    call = Call(name="write_file", arguments='{"path":"a","mode":"append","content":"x\\n"}')
    working = stream(Answer(calls=(call,)))
    keys = iter(["first", "second", "third", "fourth"])
    models = iter(["openai/gpt-4.1", "anthropic/claude-sonnet-4.5"])

    async with Gateway(respond=lambda r: working if r.number < 3 else DONE) as gateway:
        agent = Agent(
            OPUS,
            adapter=OpenRouter(base_url=gateway.base_url, api_key=lambda: next(keys)),
            tools=[write_file],
            workspace=tmp_path,
        )

        def switch(event: RunEvent) -> None:
            if isinstance(event, ToolFinished):
                agent.model = next(models)

        await agent.run("Go on.", on_event=switch)
    seen = [
        (r.body["model"], r.headers.get("x-anthropic-beta"), r.body.get("max_tokens"))
        for r in gateway.requests
    ]
    assert seen == [
        (OPUS, EAGER, 128_000),
        ("openai/gpt-4.1", None, 32_768),
        ("anthropic/claude-sonnet-4.5", EAGER, 64_000),
    ]
    assert len({r.headers["authorization"] for r in gateway.requests}) == 3


@pytest.mark.parametrize(
    ("model", "cap"),
    [
        ("anthropic/claude-opus-4.6", 128_000),
        ("anthropic/claude-opus-4-6", 128_000),
        ("anthropic/claude-opus-4-6-20260205", 128_000),
        ("anthropic/claude-opus-4.6:beta", 128_000),
        ("anthropic/claude-something-new", 128_000),
        ("anthropic/claude-opus-4.1", 32_000),
    ],
)
async def test_claude_through_openrouter_gets_the_models_real_limit(
    play: "Player", model: str, cap: int
) -> None:
    played = await play([DONE], adapter=openrouter, model=model)
    assert played.requests[0].body["max_tokens"] == cap


@pytest.mark.parametrize(
    ("adapter", "model", "name"),
    [
        (lambda url: OpenAI(base_url=url, api_key="sk"), "gpt-5.2", "max_completion_tokens"),
        (lambda url: OpenAI(base_url=url, api_key="sk"), "gpt-4.1", "max_tokens"),
        (openrouter, "openai/gpt-5.2", "max_tokens"),
        (lambda url: Local(base_url=url), "gpt-5.2", "max_tokens"),
    ],
)
async def test_the_caps_name_follows_family_and_endpoint(
    play: "Player", adapter: Any, model: str, name: str
) -> None:
    played = await play([DONE], adapter=adapter, model=model, max_output_tokens=1_000)
    caps = {key: value for key, value in played.requests[0].body.items() if "tokens" in key}
    assert caps == {name: 1_000}


async def test_a_request_whole(play: "Player") -> None:
    played = await play(
        [DONE],
        adapter=openrouter,
        model=OPUS,
        system="Be brief.",
        prompt="Write plan.md.",
        tools=[write_file],
    )
    body = dict(played.requests[0].body)
    tools = body.pop("tools")
    expected: dict[str, JsonValue] = {
        "model": OPUS,
        "messages": [
            {
                "role": "system",
                "content": [
                    {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "text",
                        "text": "Write plan.md.",
                        "cache_control": {"type": "ephemeral"},
                    }
                ],
            },
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 128_000,
    }
    assert body == expected
    assert isinstance(tools, list)
    assert [tool["function"]["name"] for tool in tools if isinstance(tool, dict)] == ["write_file"]  # type: ignore[index,call-overload]
    headers = {
        name: value
        for name, value in played.requests[0].headers.items()
        if not name.startswith(("x-stainless", "user-agent", "content-length", "host"))
    }
    assert headers == {
        "accept": "text/event-stream",
        "accept-encoding": "gzip, deflate",
        "authorization": "Bearer sk-or",
        "connection": "keep-alive",
        "content-type": "application/json",
        "x-anthropic-beta": EAGER,
    }


async def test_what_the_environment_holds_for_openai_goes_nowhere_else(
    play: "Player", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-secret-admin")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-secret-custom")
    played = await play([DONE])
    assert "secret" not in str(played.requests[0].headers)
    assert "authorization" not in played.requests[0].headers


async def test_a_key_is_read_from_the_adapters_own_variable(
    play: "Player", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-env")
    played = await play([DONE], adapter=lambda url: OpenRouter(base_url=url), model=OPUS)
    assert played.requests[0].headers["authorization"] == "Bearer sk-or-env"
    assert os.environ["OPENROUTER_API_KEY"] not in repr(OpenRouter())


async def test_connections_are_used_again_between_turns(play: "Player") -> None:
    call = Call(name="write_file", arguments='{"path":"a","mode":"append","content":"x\\n"}')
    played = await play([stream(Answer(calls=(call,)))] * 3, tools=[write_file])
    assert [request.connection for request in played.requests] == [1, 1, 1, 1]
