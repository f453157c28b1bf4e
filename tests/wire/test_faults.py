"""What the loop does about each way in which a real connection fails."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from typing_extensions import override

from agentcore import (
    Agent,
    Clocks,
    ErrorKind,
    Local,
    ModelFamily,
    OpenRouter,
    Policy,
    ProviderAdapter,
    RunEvent,
)
from agentcore.events import (
    AttemptCut,
    AttemptStarted,
    OutputDiscarded,
    StreamEvent,
    TextReceived,
    WaitStarted,
)
from agentcore.messages import JsonObject, Usage
from agentcore.providers import ToolStreaming
from agentcore.testing import (
    CLEAN_END,
    COMMENT,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Call,
    Ending,
    Gateway,
    Pause,
    Reply,
    Send,
    after_arguments,
    after_bytes,
    after_events,
    before_value,
    cut,
    in_stream_error,
    stall,
    status,
    stream,
    whole,
)
from agentcore.tools import write_file

if TYPE_CHECKING:
    from tests.wire.conftest import Player

ANSWER = Answer(text="All of the answer, in several pieces.", usage=Usage(output_tokens=9))
GOOD = stream(ANSWER)
SHORT_CLOCKS = Clocks(transport=0.6, first_event=0.6, text=0.5, tool_arguments=0.5)

WRITE = Call(
    name="write_file",
    arguments=json.dumps(
        {
            "path": "plan.md",
            "mode": "create",
            "content": "".join(f"line {number}\n" for number in range(1, 201)),
        }
    ),
)


@pytest.mark.parametrize("events_before", [0, 1, 3], ids=["nothing", "role", "text"])
@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        pytest.param(NETWORK_LOST, "connection", id="network-lost"),
        pytest.param(RESET, "connection", id="reset"),
        pytest.param(FIN, "connection", id="fin"),
        pytest.param(CLEAN_END, "truncated", id="no-terminal-signal"),
        pytest.param((Pause(5.0),), "timeout", id="stalled"),
    ],
)
async def test_a_lost_stream_is_asked_for_again_on_a_fresh_connection(
    play: "Player", ending: Ending, kind: str, events_before: int
) -> None:
    lost = cut(GOOD, at=after_events(events_before), by=ending)
    clocks = SHORT_CLOCKS if kind == "timeout" else Clocks()
    played = await play([lost, GOOD], clocks=clocks)
    assert played.result is not None
    assert played.result.text == ANSWER.text
    assert played.attempts == [("cut", kind, "retry"), ("complete", None, "accept")]
    assert played.waits == [0.5]
    assert [request.connection for request in played.requests] == [1, 2]


async def test_what_a_dead_attempt_showed_is_called_void_before_the_next_one_speaks(
    play: "Player",
) -> None:
    played = await play([cut(GOOD, at=after_events(2), by=RESET), GOOD])
    kinds = [
        type(event)
        for event in played.events
        if isinstance(
            event, (AttemptStarted, TextReceived, AttemptCut, OutputDiscarded, WaitStarted)
        )
    ]
    once = list(dict.fromkeys(kinds[: kinds.index(WaitStarted)]))
    assert once == [AttemptStarted, TextReceived, AttemptCut, OutputDiscarded]
    second = "".join(
        event.text
        for event in played.events
        if isinstance(event, TextReceived) and event.attempt == 2
    )
    assert second == ANSWER.text


async def test_a_cut_inside_an_event_loses_nothing_but_the_attempt(play: "Player") -> None:
    size = sum(len(step.data) for step in GOOD.steps if isinstance(step, Send))
    for place in (1, size // 3, size // 2):
        played = await play([cut(GOOD, at=after_bytes(place), by=FIN), GOOD])
        assert played.result is not None
        assert played.result.text == ANSWER.text


async def test_an_unknown_error_before_any_output_falls_back_to_one_plain_request(
    play: "Player",
) -> None:
    odd = Reply(steps=in_stream_error({"error": {"message": "Lorem ipsum dolor."}}))
    played = await play([odd, whole(ANSWER)])
    assert played.result is not None
    assert played.result.text == ANSWER.text
    assert played.attempts == [("cut", "unknown", "adjust"), ("complete", None, "accept")]
    assert played.waits == []
    assert set(played.requests[0].body) - set(played.requests[1].body) == {
        "stream",
        "stream_options",
    }


async def test_the_plain_request_is_made_once_a_turn_and_uses_up_no_retry(play: "Player") -> None:
    odd = Reply(steps=in_stream_error({"error": {"message": "Lorem ipsum dolor."}}))
    played = await play([odd, status(500, {"error": {"message": "no"}}), odd, GOOD])
    assert [decision for *_, decision in played.attempts] == ["adjust", "retry", "retry", "accept"]
    assert ["stream" in request.body for request in played.requests] == [True, False, True, True]


async def test_an_unknown_error_after_output_is_handled_as_a_transient_one(play: "Player") -> None:
    odd = in_stream_error({"error": {"message": "Lorem ipsum dolor."}})
    played = await play([cut(GOOD, at=after_events(3), by=odd), GOOD])
    assert played.attempts == [("cut", "unknown", "retry"), ("complete", None, "accept")]
    assert len(played.waits) == 1


async def test_a_stream_that_only_pings_is_given_up_in_the_end(play: "Player") -> None:
    pings = stall(GOOD, at=after_events(3), seconds=5.0, meanwhile=COMMENT, every=0.02)
    played = await play([pings, GOOD], clocks=SHORT_CLOCKS)
    assert played.attempts == [("cut", "timeout", "retry"), ("complete", None, "accept")]


async def test_a_slow_stream_is_not_killed_while_content_comes(play: "Player") -> None:
    slow = stream(ANSWER, piece=4, pace=0.25)
    played = await play([slow], clocks=Clocks(transport=1.0, first_event=1.0, text=1.0))
    assert played.attempts == [("complete", None, "accept")]
    assert played.result is not None
    assert played.result.attempts[0].seconds > 2.0


@pytest.mark.parametrize(
    ("reply", "kind", "decision"),
    [
        pytest.param(Reply(), "truncated", "retry", id="empty-200"),
        pytest.param(
            Reply(steps=(Send(b"<html>Bad Gateway</html>"),)),
            "server_error",
            "retry",
            id="html-200",
        ),
        pytest.param(
            Reply(steps=(Send(b'{"error":{"code":503,"message":"busy"}}'),)),
            "overloaded",
            "retry",
            id="json-error-200",
        ),
        pytest.param(
            Reply(steps=(Send(b'data: {"choices":[{"delta":{"con\n\n'),)),
            "server_error",
            "retry",
            id="half-a-json-line",
        ),
        pytest.param(Reply(steps=(Send(b"[DONE]"),)), "server_error", "retry", id="a-bare-end-200"),
        pytest.param(status(401, {"error": {"message": "no"}}), "auth", "stop", id="401"),
        pytest.param(status(500, "<html>oops</html>"), "server_error", "retry", id="500-html"),
        pytest.param(status(529, ""), "overloaded", "retry", id="529-empty"),
        pytest.param(
            status(402, {"error": {"code": 402, "message": "no money"}}), "quota", "stop", id="402"
        ),
    ],
)
async def test_odd_replies(play: "Player", reply: Reply, kind: str, decision: str) -> None:
    played = await play([reply, GOOD])
    assert played.attempts[0][1:] == (kind, decision)


async def test_a_whole_answer_where_a_stream_was_asked_for_is_taken(play: "Player") -> None:
    played = await play([whole(ANSWER)])
    assert played.attempts == [("complete", None, "accept")]
    assert played.result is not None
    assert played.result.text == ANSWER.text


async def test_a_slow_display_is_not_a_silent_stream(tmp_path: Path) -> None:
    async def slow(event: RunEvent) -> None:
        if isinstance(event, TextReceived):
            await anyio.sleep(1.2)

    pieces = stream(ANSWER, piece=20, pace=0.01)
    async with Gateway(respond=lambda _: pieces) as gateway:
        agent = Agent(
            "m",
            adapter=Local(base_url=gateway.base_url),
            workspace=tmp_path,
            clocks=Clocks(transport=1.0, first_event=1.0, text=1.0),
        )
        result = await agent.run("Go on.", on_event=slow)
    assert [record.outcome for record in result.attempts] == ["complete"]


async def test_nor_is_it_at_the_end_of_a_plain_answer(tmp_path: Path) -> None:
    shown: list[str] = []

    async def slow(event: RunEvent) -> None:
        if isinstance(event, TextReceived):
            await anyio.sleep(1.2)
            shown.append(event.text)

    reply = whole(ANSWER)
    async with Gateway(respond=lambda _: reply) as gateway:
        agent = Agent(
            "m",
            adapter=Local(base_url=gateway.base_url),
            workspace=tmp_path,
            clocks=Clocks(transport=1.0, first_event=1.0, plain=1.0),
        )
        result = await agent.run("Go on.", on_event=slow)
    assert [record.outcome for record in result.attempts] == ["complete"]
    assert shown == [ANSWER.text]


async def test_a_call_whose_name_never_came_leaves_no_trace(play: "Player") -> None:
    unnamed = Send(b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c"}]}}]}\n\n')
    played = await play([Reply(steps=(unnamed, *RESET))] * 2 + [GOOD])
    assert [decision for *_, decision in played.attempts] == ["retry", "retry", "accept"]


async def test_a_fault_in_an_adapter_closes_the_connection_and_surfaces(tmp_path: Path) -> None:
    class Faulty(Local):
        @override
        def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
            raise ZeroDivisionError("in the adapter")

    slow = stream(ANSWER, piece=2, pace=0.05)
    async with Gateway(respond=lambda _: slow) as gateway:
        agent = Agent("m", adapter=Faulty(base_url=gateway.base_url), workspace=tmp_path)
        with pytest.raises(ZeroDivisionError, match="in the adapter"):
            await agent.run("Go on.")
        await anyio.sleep(0.1)
        assert gateway.requests[0].hung_up


async def test_retry_after_is_obeyed(play: "Player") -> None:
    limited = status(429, {"error": {"message": "slow down"}}, {"retry-after": "20"})
    played = await play([limited, GOOD])
    assert played.attempts[0] == ("refused", "rate_limit", "retry")
    assert 20 <= played.waits[0] <= 25


async def test_a_wait_that_is_too_long_stops_the_run_and_is_named(play: "Player") -> None:
    limited = status(429, {"error": {"message": "slow down"}}, {"retry-after": "600"})
    played = await play([limited])
    assert played.waits == []
    assert played.error is not None
    assert "600 s (header retry-after)" in str(played.error)


async def test_attempts_are_counted_once_and_then_the_run_stops(play: "Player") -> None:
    played = await play([Reply(steps=RESET)] * 9, policy=Policy(max_attempts=4))
    assert played.attempts == [("cut", "connection", "retry")] * 3 + [("cut", "connection", "stop")]
    assert played.error is not None
    assert played.error.kind is ErrorKind.CONNECTION


async def test_a_refused_switch_is_left_out(play: "Player") -> None:
    refusal = status(
        400,
        {
            "error": {
                "code": 400,
                "message": "anthropic-beta: fine-grained-tool-streaming not allowed",
            }
        },
    )
    played = await play(
        [refusal, GOOD],
        adapter=lambda url: OpenRouter(base_url=url, api_key="k"),
        model="anthropic/claude-opus-4.7",
    )
    assert [("x-anthropic-beta" in r.headers) for r in played.requests] == [True, False]
    assert played.attempts[0] == ("refused", "invalid_request", "adjust")


async def test_a_cap_that_is_too_high_is_lowered_to_the_figure_named_and_remembered(
    play: "Player",
) -> None:
    refusal = status(
        402,
        {
            "error": {
                "code": 402,
                "message": "This request requires more credits, or fewer max_tokens. You requested "
                "up to 128000 tokens, but can only afford 9000.",
            }
        },
    )
    call = Call(name="write_file", arguments='{"path":"a","mode":"create","content":"x\\n"}')
    played = await play(
        [refusal, stream(Answer(calls=(call,))), GOOD],
        adapter=lambda url: OpenRouter(base_url=url, api_key="k"),
        model="anthropic/claude-opus-4.6",
        tools=[write_file],
    )
    assert [r.body["max_tokens"] for r in played.requests] == [128_000, 9_000, 9_000]
    assert played.result is not None
    assert [r.limit_source for r in played.result.attempts] == ["family", "learned", "learned"]


async def test_the_caps_name_is_changed_when_the_endpoint_asks_for_the_other(
    play: "Player",
) -> None:
    refusal = status(
        400,
        {
            "error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            }
        },
    )
    played = await play([refusal, GOOD], max_output_tokens=100)
    assert played.requests[1].body["max_completion_tokens"] == 100
    assert "max_tokens" not in played.requests[1].body


async def test_a_field_that_we_added_is_left_out_when_it_is_refused(play: "Player") -> None:
    refusal = status(400, {"error": {"message": "Unrecognized request argument: stream_options"}})
    played = await play([refusal, GOOD])
    assert "stream_options" not in played.requests[1].body
    assert played.requests[1].body["stream"] is True


async def test_malformed_streamed_arguments_are_asked_for_again_without_the_switch(
    play: "Player",
) -> None:
    broken = Call(name="write_file", arguments='{"path": "a", content: oops}')
    good = Call(name="write_file", arguments='{"path":"a","mode":"create","content":"x\\n"}')
    played = await play(
        [stream(Answer(calls=(broken,))), stream(Answer(calls=(good,))), GOOD],
        adapter=lambda url: OpenRouter(base_url=url, api_key="k"),
        model="anthropic/claude-opus-4.6",
        tools=[write_file],
    )
    assert [("x-anthropic-beta" in r.headers) for r in played.requests] == [True, False, True]
    assert (play.workspace / "a").read_text() == "x\n"


async def test_a_call_that_is_cut_twice_is_answered_with_guidance_and_never_run(
    play: "Player",
) -> None:
    lost = cut(stream(Answer(calls=(WRITE,))), at=before_value("content"), by=NETWORK_LOST)
    played = await play([lost, lost, GOOD], tools=[write_file])
    assert [decision for *_, decision in played.attempts] == ["retry", "keep", "accept"]
    assert not (play.workspace / "plan.md").exists()
    history = played.requests[2].body["messages"]
    assert isinstance(history, list)
    _, call, guidance = history
    assert isinstance(call, dict)
    assert isinstance(guidance, dict)
    assert call["tool_calls"] == [
        {
            "id": "call_0001",
            "type": "function",
            "function": {
                "name": "write_file",
                "arguments": '{"path": "plan.md", "mode": "create"}',
            },
        }
    ]
    assert 'path="plan.md", mode="create", start_line=1' in str(guidance["content"])


async def test_a_capped_call_is_answered_at_once(play: "Player") -> None:
    capped = cut(stream(Answer(calls=(WRITE,))), at=after_arguments(700), by=())
    finish = stream(Answer(finish_reason="length")).steps[-2:]
    played = await play([Reply(steps=(*capped.steps, *finish)), GOOD], tools=[write_file])
    assert played.attempts == [("cut", "truncated", "keep"), ("complete", None, "accept")]
    assert "output cap" in str(played.requests[1].body)


async def test_a_cap_that_is_reached_is_noticed_although_the_finish_reason_lies(
    play: "Player",
) -> None:
    lie = stream(Answer(text="Half an ans", finish_reason="stop", usage=Usage(output_tokens=4)))
    played = await play([lie], max_output_tokens=4)
    assert played.attempts == [("cut", "truncated", "stop")]
    assert played.error is not None
    assert played.error.partial is not None
    assert played.error.partial.text == "Half an ans"


async def test_cancelling_closes_the_connection_at_once_and_retries_nothing(
    tmp_path: Path,
) -> None:
    slow = stream(ANSWER, piece=2, pace=0.2)
    async with Gateway(respond=lambda _: slow) as gateway:
        agent = Agent("m", adapter=Local(base_url=gateway.base_url), workspace=tmp_path)
        with anyio.move_on_after(0.5) as scope:
            await agent.run("Go on.")
        cancelled = anyio.current_time()
        while not gateway.requests[0].hung_up:
            await anyio.sleep(0.005)
            assert anyio.current_time() - cancelled < 2.0
    assert scope.cancelled_caught
    assert len(gateway.requests) == 1


EMPTY = stream(Answer())


async def test_nothing_is_no_answer_to_a_prompt(play: "Player") -> None:
    played = await play([EMPTY, GOOD])
    assert played.attempts == [("cut", "truncated", "retry"), ("complete", None, "accept")]


async def test_nothing_is_an_answer_to_a_tools_result(play: "Player") -> None:
    call = Call(name="write_file", arguments='{"path":"a","mode":"create","content":"x\\n"}')
    played = await play([stream(Answer(calls=(call,))), EMPTY], tools=[write_file])
    assert played.result is not None
    assert (played.result.text, len(played.result.attempts)) == ("", 2)


class OwnSwitch(ProviderAdapter):
    name = "own"
    api_key_required = False

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        return ToolStreaming(body={"stream_arguments": True}, headers={"x-eager": "yes"})


@pytest.mark.parametrize("named", ["Unknown field: stream_arguments", "bad header X-Eager"])
async def test_a_switch_of_ones_own_is_left_out_when_it_is_refused(
    play: "Player", named: str
) -> None:
    refusal = status(400, {"error": {"message": named}})
    played = await play([refusal, GOOD], adapter=lambda url: OwnSwitch(base_url=url))
    first, second = played.requests
    assert ("stream_arguments" in first.body, "stream_arguments" in second.body) == (True, False)
    assert "x-eager" not in second.headers
