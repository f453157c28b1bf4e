"""Runs against a llama.cpp server (`llama_cpp.server`) whose model has learnt nothing.

What agentcore makes of a stream is compared with what anybody gets who joins its pieces.
docs/integration.md has what was seen.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from pydantic import BaseModel, JsonValue
from typing_extensions import override

from agentcore import Local, ModelFamily, ToolContext, tool
from agentcore.messages import AssistantMessage, JsonObject, Message, ToolMessage
from agentcore.providers.base import Request
from agentcore.testing import check_transcript
from tests.integration.runs import Ran, run
from tests.integration.servers import needs

pytestmark = needs("llama")

ACCEPTED = ("complete", None, None, "accept")
CUT = ("cut", "ended", "truncated")
NOTE = "note.json"


@tool
def keep_note(title: str, text: str, context: ToolContext) -> None:
    """Keep a note."""
    (context.workspace / NOTE).write_text(json.dumps({"title": title, "text": text}))


class OneForcedCall(Local):
    """A model that has learnt nothing calls no tool unless it must: it must, once."""

    @override
    def payload(self, request: Request) -> JsonObject:
        body = super().payload(request)
        if not any(isinstance(message, ToolMessage) for message in request.messages):
            body["tool_choice"] = {"type": "function", "function": {"name": "keep_note"}}
        return body


class LlamaCpp(OneForcedCall):
    """This server refuses `"content": null` beside calls, and fails where there is none."""

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        sent = super().message(message, family)
        return {**sent, "content": sent["content"] or ""}


# --- the stream, as anybody reads it --------------------------------------------------------


class Function(BaseModel):
    name: str
    arguments: str


class CallDelta(BaseModel):
    index: int
    id: str
    function: Function


class Delta(BaseModel):
    content: str | None = None
    tool_calls: list[CallDelta] | None = None


class Choice(BaseModel):
    delta: Delta
    finish_reason: str | None


class Chunk(BaseModel):
    choices: list[Choice]
    usage: JsonValue = None


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A stream's pieces, one after the other."""

    text: str
    deltas: list[CallDelta]
    finish_reasons: list[str]
    has_usage: bool

    @classmethod
    def of(cls, body: bytes) -> "Joined":
        lines = [line for line in body.splitlines() if line.startswith(b"data: {")]
        chunks = [Chunk.model_validate_json(line.removeprefix(b"data: ")) for line in lines]
        choices = [choice for chunk in chunks for choice in chunk.choices]
        return cls(
            text="".join(choice.delta.content or "" for choice in choices),
            deltas=[delta for choice in choices for delta in choice.delta.tool_calls or []],
            finish_reasons=[choice.finish_reason for choice in choices if choice.finish_reason],
            has_usage=any(chunk.usage is not None for chunk in chunks),
        )

    @property
    def arguments(self) -> str:
        return "".join(delta.function.arguments for delta in self.deltas)


def has_raw_controls(text: str) -> bool:
    return any(character < " " for character in text)


# --- what the server does -------------------------------------------------------------------


async def test_the_server_repeats_names_leaves_controls_raw_and_tells_no_usage(
    llama_url: str,
) -> None:
    """As it was seen: if this fails, the tables of docs/integration.md are out of date."""
    body: JsonObject = {
        "messages": [{"role": "user", "content": "Go on."}],
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "keep_note"}},
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    whole, capped = [
        Joined.of(await post(llama_url, {**body, "max_tokens": cap})) for cap in (2_000, 20)
    ]

    assert len(whole.deltas) > 20
    assert {(d.index, d.id, d.function.name) for d in whole.deltas} == {
        (0, whole.deltas[0].id, "keep_note")
    }
    assert isinstance(json.loads(whole.arguments, strict=False), dict)
    assert has_raw_controls(whole.arguments)
    with pytest.raises(json.JSONDecodeError):
        json.loads(capped.arguments, strict=False)
    for stream in (whole, capped):
        assert (stream.finish_reasons, stream.has_usage) == (["tool_calls"], False)


FUNCTION: JsonObject = {"name": "keep_note", "parameters": keep_note.spec.parameters}


async def post(url: str, body: JsonObject) -> bytes:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.post(f"{url}/chat/completions", json=body)
    return response.content


# --- what agentcore makes of it -------------------------------------------------------------


async def test_a_call_runs_with_the_arguments_that_were_sent(
    llama_url: str, tmp_path: Path
) -> None:
    ran = await forced(llama_url, tmp_path)

    call, text = (Joined.of(body) for body in ran.sent)
    assert has_raw_controls(call.arguments)
    assert json.loads((tmp_path / NOTE).read_text()) == json.loads(call.arguments, strict=False)
    assert ran.rows == [ACCEPTED, ACCEPTED]
    assert ran.result.text == text.text
    # The next request carries it: there it must be JSON for a strict reader too.
    assert [json.loads(arguments) for arguments in calls_of(ran)] == [
        json.loads(call.arguments, strict=False)
    ]


async def test_the_common_adapter_gets_past_the_first_call(llama_url: str, tmp_path: Path) -> None:
    ran = await run(OneForcedCall(base_url=llama_url), tmp_path, tools=[keep_note])
    assert ran.rows == [ACCEPTED, ACCEPTED]


async def test_a_capped_call_is_not_run_although_the_server_says_that_it_is_whole(
    llama_url: str, tmp_path: Path
) -> None:
    ran = await forced(llama_url, tmp_path, max_output_tokens=20)

    assert ran.rows[:2] == [(*CUT, "retry"), (*CUT, "keep")]
    assert ran.ended.attempts[1].message == "finish_reason 'tool_calls'"
    assert not (tmp_path / NOTE).exists()


async def test_whatever_the_cap_a_call_runs_if_and_only_if_it_was_closed(
    llama_url: str, tmp_path: Path
) -> None:
    closed: list[bool] = []
    for cap in range(10, 210, 20):
        folder = tmp_path / f"{cap}"
        folder.mkdir()
        ran = await forced(llama_url, folder, max_output_tokens=cap)
        first, *_ = joined = [Joined.of(body) for body in ran.sent]
        calls = [stream for stream in joined if stream.deltas]
        closed.append(any(is_closed(stream.arguments) for stream in calls))
        assert (folder / NOTE).exists() == closed[-1]
        assert first.deltas
    assert {True, False} == set(closed)


async def test_a_text_that_reaches_the_cap_stops_the_run_and_is_given(
    llama_url: str, tmp_path: Path
) -> None:
    ran = await run(Local(base_url=llama_url), tmp_path, max_output_tokens=2)

    assert ran.rows == [("cut", "capped", "truncated", "stop")]
    assert ran.error.partial is not None
    assert ran.error.partial.text == Joined.of(ran.sent[0]).text != ""


async def test_a_prompt_beyond_the_window_is_a_lost_stream_for_the_server_says_nothing(
    llama_url: str, tmp_path: Path
) -> None:
    ran = await run(Local(base_url=llama_url), tmp_path, prompt="word " * 2_000)

    assert ran.sent == [b"", b"", b""]
    assert ran.rows == [(*CUT, "retry"), (*CUT, "retry"), (*CUT, "stop")]


async def forced(url: str, workspace: Path, *, max_output_tokens: int | None = 2_000) -> Ran:
    ran = await run(
        LlamaCpp(base_url=url),
        workspace,
        tools=[keep_note],
        max_output_tokens=max_output_tokens,
    )
    check_transcript(ran.ended.messages, ran.ended.attempts, sent=ran.sent)
    return ran


def calls_of(ran: Ran) -> list[str]:
    return [
        call.arguments
        for message in ran.ended.messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls
    ]


def is_closed(arguments: str) -> bool:
    try:
        json.loads(arguments, strict=False)
    except json.JSONDecodeError:
        return False
    return True
