"""Answers that look whole and are not, or are whole and do not look it; and what must not leak."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import JsonValue
from typing_extensions import override

from agentcore import (
    Agent,
    Clocks,
    ConfigurationError,
    Local,
    OpenRouter,
    RunError,
    RunEvent,
    tool,
)
from agentcore.events import OutputDiscarded, TextReceived, ToolArgumentsReceived
from agentcore.messages import JsonObject, ToolMessage, Usage
from agentcore.providers import Capabilities
from agentcore.testing import (
    CLEAN_END,
    FIN,
    RESET,
    Answer,
    Call,
    Gateway,
    Pause,
    RecordedRequest,
    Reply,
    Send,
    Step,
    after_events,
    cut,
    status,
    stream,
)

if TYPE_CHECKING:
    from tests.wire.conftest import Player

GOOD = stream(Answer(text="All of it."))


def event(payload: JsonValue) -> Send:
    return Send(b"data: " + json.dumps(payload).encode() + b"\n\n")


def delta(text: str, reason: str | None = None) -> Send:
    return event({"choices": [{"delta": {"content": text}, "finish_reason": reason}]})


def usage(tokens: int) -> Send:
    return event({"choices": [], "usage": {"completion_tokens": tokens}})


DONE = Send(b"data: [DONE]\n\n")


@tool
def note(text: str) -> str:
    """Keep a note."""
    return f"noted {text}"


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"detail": "Not Found"}',
        '{"message": "Unauthorized"}',
        '{"object": "error", "message": "The model does not exist", "code": 404}',
        '{"choices": []}',
    ],
)
async def test_an_object_that_answers_nothing_is_no_answer(play: "Player", body: str) -> None:
    nothing = Reply(steps=(Send(body.encode()),), headers={"content-type": "application/json"})
    played = await play([nothing, GOOD])
    assert played.attempts[0][2] != "accept"


async def test_an_error_without_an_error_member_is_one(play: "Player") -> None:
    odd = Reply(steps=(event({"object": "error", "message": "The server is overloaded"}), DONE))
    played = await play([odd, GOOD])
    assert played.attempts[0] == ("cut", "overloaded", "retry")


async def test_an_error_that_lost_its_framing_is_read(play: "Player") -> None:
    line = b'{"error": {"code": 402, "message": "Insufficient credits"}}\n\n'
    played = await play([Reply(steps=(delta("Some"), Send(line)))])
    assert played.attempts == [("cut", "quota", "stop")]


async def test_a_finish_reason_with_every_delta_ends_nothing(
    play: "Player", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentcore.attempt._AFTER_FINISH_SECONDS", 0.2)
    steps = [step for n in range(8) for step in (delta(f"w{n} ", "stop"), Pause(0.1))]
    played = await play([Reply(steps=(*steps, DONE))])
    assert played.result is not None
    assert played.result.text == "w0 w1 w2 w3 w4 w5 w6 w7 "


async def test_after_such_a_reason_a_lost_connection_is_a_cut(play: "Player") -> None:
    steps = [delta(f"w{n} ", "stop") for n in range(4)]
    played = await play([Reply(steps=(*steps, *RESET)), GOOD])
    assert played.attempts[0] == ("cut", "connection", "retry")


@pytest.mark.parametrize("ending", [(DONE,), FIN, CLEAN_END], ids=["done", "fin", "end"])
async def test_the_cap_counts_however_the_connection_ended(play: "Player", ending: Any) -> None:
    played = await play(
        [Reply(steps=(delta("half"), delta("", "stop"), usage(100), *ending))],
        max_output_tokens=100,
    )
    assert played.attempts == [("cut", "truncated", "stop")]


async def test_a_slow_display_does_not_cost_the_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anyio

    monkeypatch.setattr("agentcore.attempt._AFTER_FINISH_SECONDS", 1.0)
    late = Reply(steps=(delta("half", "stop"), Pause(0.5), usage(100), DONE))

    async def slow(event: RunEvent) -> None:
        if isinstance(event, TextReceived):
            await anyio.sleep(1.2)

    async with Gateway(respond=lambda _: late) as gateway:
        agent = Agent(
            "m",
            adapter=Local(base_url=gateway.base_url),
            workspace=tmp_path,
            max_output_tokens=100,
        )
        with pytest.raises(RunError, match="output cap of 100 tokens"):
            await agent.run("Go on.", on_event=slow)


async def test_a_refusal_is_the_answers_text(play: "Player") -> None:
    said = event({"choices": [{"delta": {"refusal": "I will not."}, "finish_reason": "stop"}]})
    played = await play([Reply(steps=(said, DONE))])
    assert played.result is not None
    assert played.result.text == "I will not."


async def test_what_the_end_cut_in_two_is_never_read_for_words(play: "Player") -> None:
    half = b'data: {"choices":[{"delta":{"content":"You exceeded your current quota, please check'
    played = await play([Reply(steps=(delta("Some"), Send(half))), GOOD])
    assert played.attempts[0] == ("cut", "truncated", "retry")


async def test_half_an_event_in_the_middle_is_never_read_for_words(play: "Player") -> None:
    half = b'data: {"choices":[{"delta":{"content":"You exceeded your current quota\n\n'
    played = await play([Reply(steps=(delta("Some"), Send(half), DONE)), GOOD])
    assert played.attempts[0] == ("cut", "server_error", "retry")


async def test_a_redirect_is_not_followed_and_is_named(play: "Player") -> None:
    moved = status(307, "", {"location": "https://elsewhere.example/v1/chat/completions"})
    played = await play([moved])
    assert played.attempts == [("refused", "invalid_request", "stop")]
    assert played.error is not None
    assert "elsewhere.example" in str(played.error)
    assert len(played.requests) == 1


async def test_deep_nesting_and_surrogates_are_errors_of_the_stream(play: "Player") -> None:
    deep = Send(b"data: " + b"[" * 50_000 + b"\n\n")
    lone = event(
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {"c": "\ud83d"}}}]}}]}
    )
    for odd in (deep, lone):
        played = await play([Reply(steps=(odd, DONE)), GOOD])
        assert played.result is not None
        assert played.result.text == "All of it."


async def test_a_tool_that_is_not_on_offer_may_be_called_with_nothing(play: "Player") -> None:
    played = await play([stream(Answer(calls=(Call(name="list", arguments=""),))), GOOD])
    assert played.attempts[0] == ("complete", None, "accept")
    assert played.result is not None
    told = played.result.messages[-2]
    assert isinstance(told, ToolMessage)
    assert told.content == "There is no tool 'list'. The tools are: none."


async def test_a_whole_message_after_its_deltas_is_shown_once(play: "Player") -> None:
    whole = event({"choices": [{"message": {"content": "Hello world"}, "finish_reason": "stop"}]})
    played = await play([Reply(steps=(delta("Hello "), delta("world"), whole, DONE))])
    shown = ""
    for seen in played.events:
        if isinstance(seen, TextReceived):
            shown += seen.text
        elif isinstance(seen, OutputDiscarded):
            shown = ""
    assert played.result is not None
    assert shown == played.result.text == "Hello world"


async def test_a_split_emoji_is_shown_whole(play: "Player") -> None:
    halves: list[Step] = [
        Send(b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'),
        Pause(0.05),
        Send(b'data: {"choices":[{"delta":{"content":"\\ude00"},"finish_reason":"stop"}]}\n\n'),
    ]
    played = await play([Reply(steps=(*halves, DONE))])
    shown = [seen.text for seen in played.events if isinstance(seen, TextReceived)]
    assert shown == ["\U0001f600"]


async def test_a_call_that_was_only_announced_is_called_void_too(play: "Player") -> None:
    call = stream(Answer(calls=(Call(name="note", arguments='{"text": "x"}'),)))
    played = await play([cut(call, at=after_events(2), by=RESET), GOOD], tools=[note])
    kinds = [type(seen) for seen in played.events]
    assert kinds.index(ToolArgumentsReceived) < kinds.index(OutputDiscarded)


async def test_an_empty_keep_alive_of_reasoning_is_no_content(play: "Player") -> None:
    ping = event({"choices": [{"delta": {"reasoning_details": [{}]}}]})
    pings: list[Step] = [ping, Pause(0.05)] * 40
    played = await play(
        [Reply(steps=(*pings, DONE)), GOOD], clocks=Clocks(transport=0.5, first_event=0.4)
    )
    assert played.attempts[0] == ("cut", "timeout", "retry")


# --- credentials ----------------------------------------------------------------------------


async def test_a_key_from_a_file_loses_its_line_break(play: "Player") -> None:
    played = await play([GOOD], adapter=lambda url: Local(base_url=url, api_key="sk-1\n"))
    assert played.requests[0].headers["authorization"] == "Bearer sk-1"


def a_failing_key() -> str:
    raise OSError("no vault")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("sk-se\ncret", "characters that no header may carry"),
        ("sk-sécret", "characters that no header may carry"),
        (a_failing_key, "raised OSError: no vault"),
    ],
)
async def test_a_key_that_is_none_is_told_without_it(key: Any, says: str) -> None:
    agent = Agent("m", adapter=Local(base_url="http://127.0.0.1:9/v1", api_key=key))
    with pytest.raises(ConfigurationError, match=says) as caught:
        await agent.run("Go on.")
    assert "cret" not in str(caught.value)


async def test_a_key_that_an_endpoint_repeats_goes_no_further(play: "Player") -> None:
    refusal = status(401, {"error": {"message": "Incorrect API key provided: sk-secret-1."}})
    played = await play(
        [refusal], adapter=lambda url: OpenRouter(base_url=url, api_key="sk-secret-1")
    )
    assert played.error is not None
    assert "Incorrect API key provided: [key]." in str(played.error)
    assert "sk-secret" not in repr((played.error.attempts, played.events))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("api-key", "Azure-0123456789", "Azure-0123456789"),
        ("X-Api-Key", "sk-0123456789", "sk-0123456789"),
        ("x-goog-token", "ya29.0123456789", "ya29.0123456789"),
        ("authorization", "Bearer gw-0123456789", "gw-0123456789"),
        ("cookie", "theme=dark; session=s3ss10n-0123", "s3ss10n-0123"),
    ],
)
async def test_nor_does_one_that_goes_out_in_a_header_of_the_users(
    play: "Player", name: str, value: str, told: str
) -> None:
    error: JsonObject = {"message": f"Access denied for {told}, sorry.", "code": told, "type": told}
    played = await play(
        [status(401, {"error": error})],
        adapter=lambda url: Local(base_url=url, extra_headers={name: value}),
    )
    assert played.error is not None
    assert "Access denied for [key], sorry." in str(played.error)
    everything = f"{played.error}{played.error.attempts}{played.events}"
    assert told.lower() not in everything.lower()


async def test_a_header_that_is_no_credential_is_repeated(play: "Player") -> None:
    error: JsonObject = {"message": "Unknown team: infrastructure."}
    played = await play(
        [status(401, {"error": error})],
        adapter=lambda url: Local(base_url=url, extra_headers={"x-team": "infrastructure"}),
    )
    assert "Unknown team: infrastructure." in str(played.error)


async def test_what_the_sdk_would_add_from_its_environment_stays_here(
    play: "Player", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-private: 1")
    played = await play([GOOD])
    assert "x-private" not in played.requests[0].headers


async def test_a_key_that_fails_later_keeps_what_was_reached(tmp_path: Path) -> None:
    keys = iter(["sk-1", ""])
    call = stream(Answer(calls=(Call(name="note", arguments='{"text": "x"}'),)))
    async with Gateway(respond=lambda _: call) as gateway:
        adapter = OpenRouter(base_url=gateway.base_url, api_key=lambda: next(keys))
        agent = Agent("m", adapter=adapter, tools=[note], workspace=tmp_path)
        with pytest.raises(RunError, match="no key for openrouter") as caught:
            await agent.run("Go on.")
    assert [message.role for message in caught.value.messages] == ["user", "assistant", "tool"]
    assert len(caught.value.attempts) == 1


async def test_settings_are_checked_again_before_each_turn(tmp_path: Path) -> None:
    @tool(confined=False)
    def anything() -> None:
        """Do anything."""

    def respond(_: RecordedRequest) -> Reply:
        return stream(Answer(calls=(Call(name="note", arguments='{"text": "x"}'),)))

    async with Gateway(respond=respond) as gateway:
        adapter = Local(base_url=gateway.base_url)
        agent = Agent("m", adapter=adapter, tools=[note], workspace=tmp_path)

        def change(_: RunEvent) -> None:
            agent.tools = [anything]

        with pytest.raises(RunError, match="'anything' is not confined"):
            await agent.run("Go on.", on_event=change)


async def test_an_address_where_nobody_listens_is_named(tmp_path: Path) -> None:
    async def no_wait(_: float) -> None: ...

    adapter = Local(base_url="http://127.0.0.1:9/v1")
    agent = Agent("m", adapter=adapter, workspace=tmp_path, sleep=no_wait)
    with pytest.raises(RunError, match="check the base URL") as caught:
        await agent.run("Go on.")
    assert "http://127.0.0.1:9/v1" in str(caught.value)


async def test_a_cap_that_a_subclass_writes_into_the_body_counts(play: "Player") -> None:
    class Capped(Local):
        @override
        def payload(self, request: Any) -> Any:
            return {**super().payload(request), "max_tokens": 5}

    half = stream(Answer(text="half", usage=Usage(output_tokens=5)))
    played = await play([half], adapter=lambda url: Capped(base_url=url))
    assert played.attempts == [("cut", "truncated", "stop")]
    assert played.requests[0].body["max_tokens"] == 5


async def test_a_cap_in_extra_body_is_lowered_when_it_is_refused(play: "Player") -> None:
    refusal = status(400, {"error": {"message": "max_tokens: 9000 > 4096", "type": "x"}})
    played = await play(
        [refusal, GOOD],
        adapter=lambda url: Local(base_url=url, extra_body={"max_tokens": 9_000}),
    )
    assert [request.body["max_tokens"] for request in played.requests] == [9_000, 4_096]


async def test_a_last_line_without_its_break_may_still_say_done(play: "Player") -> None:
    class Wordless(Local):
        capabilities = Capabilities(done_is_terminal=True, family_limits=False)

    unbroken = Send(b"data: [DONE]")
    played = await play(
        [Reply(steps=(delta("All"), unbroken))], adapter=lambda url: Wordless(base_url=url)
    )
    assert played.attempts == [("complete", None, "accept")]


async def test_a_key_that_comes_back_as_a_code_goes_no_further(play: "Player") -> None:
    refusal = status(401, {"error": {"message": "refused", "code": "sk-SECRET-1"}})
    played = await play([refusal], adapter=lambda url: Local(base_url=url, api_key="sk-SECRET-1"))
    assert played.error is not None
    assert "secret" not in repr((played.error.attempts, played.events)).lower()
