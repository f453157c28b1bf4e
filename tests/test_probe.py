"""What the probe finds, against endpoints that are known."""

import functools
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import JsonValue
from pydantic_core import to_json
from typer.testing import CliRunner, Result

from agentcore import Local, OpenRouter
from agentcore.cli.app import app
from agentcore.cli.probe import picture
from agentcore.clocks import Clocks
from agentcore.errors import ConfigurationError
from agentcore.families import family_of
from agentcore.kinds import CutCause, ErrorKind
from agentcore.messages import JsonObject, Usage
from agentcore.probe import (
    Advice,
    Arrival,
    Ask,
    Ending,
    Findings,
    LimitKind,
    Observation,
    Shape,
    Sign,
    Target,
    advise,
    find,
    gaps_of,
    next_ask,
    plan_of,
    probe_endpoint,
)
from agentcore.providers.base import OutputLimit, ProviderAdapter
from agentcore.testing import (
    CLEAN_END,
    COMMENT,
    DONE,
    EMPTY_DELTA,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Call,
    Gateway,
    GatewayTransport,
    Pause,
    Quirk,
    RecordedRequest,
    Reply,
    Respond,
    Send,
    after_arguments,
    before_finish,
    cut,
    finish,
    header_asks,
    in_packets,
    in_stream_error,
    no_response,
    run_in_virtual_time,
    status,
    stream,
    whole,
)
from agentcore.testing.script import Ending as Steps
from agentcore.testing.script import Step, event

CLAUDE = "anthropic/claude-opus-4.6"
KEY = "sk-or-v1-0123456789abcdef"
ASKS = header_asks("x-anthropic-beta", "fine-grained-tool-streaming-2025-05-14")
URL = "http://endpoint.test/v1"


# --- endpoints ------------------------------------------------------------------------------


def writer(*, pace: float = 0.4, default_cap: int = 0, calls: bool = True) -> Respond:
    """A model that does what the prompt says, in deltas of 256 characters."""

    def respond(request: RecordedRequest) -> Reply:
        prompt = json.dumps(request.messages)
        lines = int(re.findall(r"exactly (\d+) lines", prompt)[0])
        text_lines = int(re.findall(r"First write (\d+) lines|$", prompt)[0] or 0)
        text = "".join(f"{n}. A remark before the call.\n" for n in range(1, text_lines + 1))
        plan = "".join(
            f"{n}. Step {n} of the plan is checked and done.\n" for n in range(1, lines + 1)
        )
        if not calls:
            return stream(Answer(text=plan), piece=256, pace=pace)
        arguments = json.dumps({"path": "probe.txt", "content": plan})
        tokens = (len(text) + len(arguments)) // 4
        answer = Answer(
            text=text,
            calls=(Call(name="write_file", arguments=arguments),),
            usage=Usage(input_tokens=200, output_tokens=tokens),
        )
        reply = stream(answer, piece=256, pace=pace)
        sent = request.body.get("max_tokens")
        cap = sent if isinstance(sent, int) else default_cap
        return capped(reply, cap) if 0 < cap < tokens else reply

    return respond


def capped(reply: Reply, cap: int) -> Reply:
    usage: JsonValue = {"choices": [], "usage": {"prompt_tokens": 200, "completion_tokens": cap}}
    ending: Steps = (*finish("length")[:1], Send(event(usage)), *DONE)
    return cut(reply, at=after_arguments(cap * 4), by=ending)


def with_pings(respond: Respond, every: float, ping: Send = COMMENT) -> Respond:
    """Signs of life between the deltas, for an endpoint that holds those back."""

    def pinging(request: RecordedRequest) -> Reply:
        reply = respond(request)
        assert isinstance(reply, Reply)
        steps: list[Step] = []
        elapsed = 0.0
        for step in reply.steps:
            steps.append(step)
            if isinstance(step, Pause):
                elapsed += step.seconds
                if elapsed >= every:
                    steps.append(ping)
                    elapsed = 0.0
        return replace(reply, steps=tuple(steps))

    return pinging


def openrouter() -> OpenRouter:
    return OpenRouter(base_url=URL, api_key=KEY)


def probed(
    transport: GatewayTransport,
    adapter: ProviderAdapter | None = None,
    *,
    backend: Literal["asyncio", "trio"] = "asyncio",
    **options: Any,
) -> tuple[list[Observation], Findings]:
    """Every request of a probe, and what was found; in virtual time."""
    model = CLAUDE if adapter is not None else "some-model"
    target = Target(
        adapter=adapter or Local(base_url=URL), model=model, key=KEY if adapter else "", **options
    )
    seen: list[Observation] = []
    run = functools.partial(probe_endpoint, transport=transport)
    returned = run_in_virtual_time(run, target, seen.append, backend=backend)
    assert returned == tuple(seen)
    assert transport.script_error is None
    assert KEY.encode() not in to_json(seen) + to_json(find(seen))
    return seen, find(seen)


def advice_of(
    seen: Sequence[Observation], adapter: ProviderAdapter | None = None
) -> tuple[Advice, ...]:
    target = Target(adapter=adapter or Local(base_url=URL), model=CLAUDE if adapter else "m")
    usual = target.usual_wire()
    return advise(
        find(seen),
        seen,
        clocks=target.adapter.clocks,
        limit=usual.output_limit,
        buffered=usual.buffered_arguments,
    )


def settings(*args: Any) -> list[str]:
    return [advice.setting for advice in advice_of(*args)]


def shapes(findings: Findings) -> list[tuple[bool, Shape | None]]:
    return [(one.switched, one.shape) for one in findings.arguments]


def claims(findings: Findings) -> str:
    return "\n".join(one.claim for one in findings.all)


# --- what it finds --------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_healthy_endpoint_needs_three_requests_and_no_setting(
    backend: Literal["asyncio", "trio"],
) -> None:
    seen, findings = probed(GatewayTransport(respond=writer()), backend=backend)

    assert [(one.ask.lines, one.ending, one.cap) for one in seen] == [
        (50, Ending.FINISHED, 3_000),
        (400, Ending.FINISHED, 10_000),
        (1_500, Ending.FINISHED, None),
    ]
    assert all(one.arguments_closed and one.lines_received == one.ask.lines for one in seen)
    assert shapes(findings) == [(False, Shape.STREAMED)]
    assert (findings.limits, findings.undecided, findings.comments) == ((), None, None)
    assert [cap.tokens for cap in findings.caps] == [None]
    assert (findings.said, findings.others) == ((), ())
    assert settings(seen) == ["nothing has to be set"]


def test_arguments_that_stream_without_the_switch_too_are_compared_once() -> None:
    seen, findings = probed(GatewayTransport(respond=writer()), openrouter())
    assert [(one.ask.lines, one.switched) for one in seen] == [
        (50, True),
        (400, True),
        (1_500, True),
        (50, False),
    ]
    assert shapes(findings) == [(True, Shape.STREAMED), (False, Shape.STREAMED)]
    assert settings(seen, openrouter()) == ["nothing has to be set"]


def test_buffering_is_found_and_what_ends_it() -> None:
    seen, findings = probed(GatewayTransport(respond=writer(), asks_to_stream=ASKS), openrouter())
    assert shapes(findings) == [(True, Shape.STREAMED), (False, Shape.WHOLE)]
    assert findings.limits == ()
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("true", "by"),
    [
        (0.3, NETWORK_LOST),
        (2.0, RESET),
        (20.0, FIN),
        (90.0, CLEAN_END),
        (125.0, NETWORK_LOST),
        (300.0, DONE),
        (500.0, finish("stop")),
    ],
)
def test_an_idle_limit_is_found_whatever_the_cut_looks_like(true: float, by: Steps) -> None:
    transport = GatewayTransport(
        respond=writer(pace=true / 75), asks_to_stream=ASKS, idle_limit=true, dropped_by=by
    )
    seen, findings = probed(transport, openrouter())

    assert [one.kind for one in findings.limits] == [LimitKind.IDLE], claims(findings)
    (limit,) = findings.limits
    assert limit.amount == pytest.approx(true, rel=0.1)
    assert limit.survived < limit.amount
    assert findings.undecided is None
    assert settings(seen, openrouter()) == ["tool streaming stays on, as the adapter has it"]


@pytest.mark.parametrize("true", [1.0, 20.0, 60.0, 110.0])
def test_without_a_switch_text_before_the_call_tells_silence_from_life(true: float) -> None:
    def held_back(_: RecordedRequest) -> bool:
        return False

    idle = GatewayTransport(respond=writer(), asks_to_stream=held_back, idle_limit=true)
    seen, findings = probed(idle)
    assert [one.kind for one in findings.limits] == [LimitKind.IDLE], claims(findings)
    assert findings.limits[0].amount == pytest.approx(true, rel=0.1)
    assert seen[-1].ask.text_lines > 0
    assert len(seen) <= 5

    life = GatewayTransport(respond=writer(), asks_to_stream=held_back, life_limit=true)
    seen, findings = probed(life)
    assert [one.kind for one in findings.limits] == [LimitKind.LIFE], claims(findings)
    assert findings.limits[0].amount == pytest.approx(true, rel=0.1)


def test_a_model_that_says_nothing_first_leaves_it_undecided() -> None:
    model = writer()

    def silent(request: RecordedRequest) -> Reply | Answer:
        messages: Any = [{"content": re.sub(r"First write \d+", "", json.dumps(request.messages))}]
        return model(replace(request, body={"messages": messages}))

    transport = GatewayTransport(
        respond=silent, asks_to_stream=lambda _: False, idle_limit=20.0, life_limit=40.0
    )
    seen, findings = probed(transport)
    assert findings.limits == ()
    assert findings.undecided is not None
    assert findings.undecided.candidates == (LimitKind.IDLE, LimitKind.LIFE)
    assert "lives longer while bytes flow" in findings.undecided.uncertainty
    assert [one.ask.text_lines > 0 for one in seen] == [False, False, False, True]
    assert settings(seen) == ["nothing yet"]


@pytest.mark.parametrize(
    ("true", "by"),
    [(1.7, NETWORK_LOST), (30.0, RESET), (100.0, CLEAN_END), (110.0, finish("tool_calls"))],
)
def test_a_life_limit_is_found(true: float, by: Steps) -> None:
    seen, findings = probed(GatewayTransport(respond=writer(), life_limit=true, dropped_by=by))
    limit = findings.limit(LimitKind.LIFE)
    assert limit is not None
    assert limit.amount == pytest.approx(true, rel=0.01)
    assert limit.times == 2
    assert "limit on bytes is not excluded" in limit.uncertainty
    assert len(findings.limits) == 1
    assert settings(seen)[0].startswith("ask for sections of at most ")


def test_both_limits_of_one_gateway_are_found() -> None:
    transport = GatewayTransport(
        respond=writer(pace=0.8), asks_to_stream=ASKS, idle_limit=60.0, life_limit=85.0
    )
    _, findings = probed(transport, openrouter())
    found = {one.kind: one.amount for one in findings.limits}
    assert found == {
        LimitKind.IDLE: pytest.approx(60.0, rel=0.02),
        LimitKind.LIFE: pytest.approx(85.0, rel=0.02),
    }


def test_a_life_is_counted_from_the_response_where_that_fits_better() -> None:
    waits = iter([0.0, 5.0, 12.0, 1.0])
    model = writer()

    def late(request: RecordedRequest) -> Reply:
        reply = model(request)
        assert isinstance(reply, Reply)
        return replace(reply, head_delay=next(waits))

    _, findings = probed(GatewayTransport(respond=late, life_limit=20.0))
    limit = findings.limit(LimitKind.LIFE)
    assert limit is not None
    assert limit.amount == pytest.approx(20.0)
    assert "after the response began" in limit.claim


def test_comments_that_keep_a_connection_alive_are_told_from_those_that_do_not() -> None:
    pinging = GatewayTransport(
        respond=with_pings(writer(), 5.0), asks_to_stream=ASKS, idle_limit=20.0
    )
    seen, findings = probed(pinging, openrouter())
    assert shapes(findings) == [(True, Shape.STREAMED), (False, Shape.WHOLE)]
    assert findings.limits == ()
    assert findings.comments is not None
    assert "whether they keep the connection alive is not known" in findings.comments.claim
    assert all(one.ending is Ending.FINISHED for one in seen)


@pytest.mark.parametrize("ping", [COMMENT, EMPTY_DELTA])
def test_a_proxy_that_counts_content_alone_is_found(ping: Send) -> None:
    """Pings come, and the answer is cut all the same, at another age with text before it."""
    model = with_pings(writer(), 2.0, ping)

    def judged(request: RecordedRequest) -> Reply:
        reply = model(request)
        assert isinstance(reply, Reply)
        steps: list[Step] = []
        silent = 0.0
        for step in reply.steps:
            if isinstance(step, Pause):
                silent += step.seconds
            elif isinstance(step, Send) and b"content" in step.data:
                silent = 0.0
            if isinstance(step, Send) and step.arguments:
                continue
            steps.append(step)
            if silent >= 15.0:
                return replace(reply, steps=(*steps, *NETWORK_LOST))
        return reply

    _, findings = probed(GatewayTransport(respond=judged))
    limit = findings.limit(LimitKind.CONTENT_IDLE)
    assert limit is not None, claims(findings)
    assert limit.amount == pytest.approx(15.0, rel=0.1)
    assert findings.comments is not None
    assert findings.comments.claim == "comments do not keep the connection alive"


@pytest.mark.parametrize("true", [1_000, 4_096, 8_192])
def test_a_default_cap_is_met_by_the_largest_call(true: int) -> None:
    seen, findings = probed(GatewayTransport(respond=writer(default_cap=true)))
    (cap,) = findings.caps
    assert (cap.tokens, cap.is_default, cap.known_from) == (true, True, "answer")
    assert settings(seen) == ["max_output_tokens=..."]


@pytest.mark.parametrize(
    "cap",
    [
        {"max_tokens": 65_536},
        {"max_completion_tokens": 65_536},
        {"max_output_tokens": 65_536},
        {"generationConfig": {"maxOutputTokens": 65_536}},
        {"inferenceConfig": {"maxTokens": 65_536}},
    ],
)
def test_a_default_cap_is_read_from_the_echo(cap: Any) -> None:
    transport = GatewayTransport(respond=echoing(cap))
    seen, findings = probed(transport, openrouter())

    assert transport.requests[0].body["debug"] == {"echo_upstream_body": True}
    assert "max_tokens" not in transport.requests[0].body
    assert [one.cap for one in seen] == [None, 10_000, 32_000, 3_000]
    (found,) = findings.caps
    assert (found.tokens, found.known_from) == (65_536, "echo")
    # A cap of 128,000 is sent by itself.
    assert settings(seen, openrouter()) == ["nothing has to be set"]


def echoing(default: Any) -> Respond:
    model = writer()

    def respond(request: RecordedRequest) -> Reply:
        reply = model(request)
        assert isinstance(reply, Reply)
        body: JsonObject = {"model": request.model, "messages": [], **default}
        if "max_tokens" in request.body:
            body = {"max_tokens": request.body["max_tokens"]}
        shown: JsonValue = {"id": "gen-1", "choices": [], "debug": {"echo_upstream_body": body}}
        return replace(reply, steps=(Send(event(shown)), *reply.steps))

    return respond


def test_an_echo_without_a_cap_leaves_the_question_to_the_largest_call() -> None:
    seen, findings = probed(GatewayTransport(respond=echoing({})), openrouter())
    assert [one.cap for one in seen][:3] == [None, 10_000, None]
    assert all(one.echoed for one in seen)
    assert findings.caps[0].tokens is None


def test_an_endpoint_that_refuses_the_echo_is_probed_without() -> None:
    model = writer()

    def strict(request: RecordedRequest) -> Reply | Answer:
        if "debug" in request.body:
            told: JsonValue = {
                "message": "Unknown parameter: 'debug'.",
                "type": "invalid_request_error",
            }
            return status(400, {"error": told})
        return model(request)

    seen, findings = probed(GatewayTransport(respond=strict), openrouter())
    assert [one.ending for one in seen[:2]] == [Ending.REFUSED, Ending.FINISHED]
    assert shapes(findings)[0] == (True, Shape.STREAMED)


def test_a_cap_that_is_refused_is_lowered_and_told() -> None:
    model = writer()

    def strict(request: RecordedRequest) -> Reply | Answer:
        cap = request.body.get("max_tokens")
        if isinstance(cap, int) and cap > 4_096:
            told = f"max_tokens is too large: {cap}. This model supports at most 4096 tokens"
            return status(400, {"error": {"message": told, "param": "max_tokens"}})
        return model(request)

    seen, findings = probed(GatewayTransport(respond=strict))
    assert [(one.ending, one.cap) for one in seen] == [
        (Ending.FINISHED, 3_000),
        (Ending.REFUSED, 10_000),
        (Ending.FINISHED, 4_096),
    ]
    assert seen[-1].cause is CutCause.CAPPED
    (refused,) = findings.caps
    assert (refused.tokens, refused.known_from) == (4_096, "refusal")
    assert settings(seen) == ["max_output_tokens=4096"]


def test_a_switch_that_is_refused_is_told_and_left_out() -> None:
    model = writer()

    def strict(request: RecordedRequest) -> Reply | Answer:
        if ASKS(request):
            told = "invalid beta flag in anthropic-beta: fine-grained-tool-streaming-2025-05-14"
            return status(400, {"error": {"message": told}})
        return model(request)

    seen, findings = probed(GatewayTransport(respond=strict), openrouter())
    assert [one.switched for one in seen] == [True, False, False, False]
    assert "the endpoint refuses the switch that streams arguments" in claims(findings)


def test_a_model_that_answers_with_text_is_asked_twice_and_no_more() -> None:
    seen, findings = probed(GatewayTransport(respond=writer(calls=False)))
    assert len(seen) == 2
    assert "the model answered without calling the tool" in claims(findings)
    assert [one.shape for one in findings.arguments] == [None]
    assert settings(seen) == ["nothing yet"]


@pytest.mark.parametrize(
    ("code", "kind", "requests"),
    [(401, "auth", 1), (402, "quota", 1), (404, "not_found", 1), (429, "rate_limit", 1),
     (500, "server_error", 2), (503, "overloaded", 2)],
)  # fmt: skip
def test_a_refusal_ends_it_at_once_and_shows_no_key(code: int, kind: str, requests: int) -> None:
    body: JsonValue = {"error": {"message": f"Key {KEY} is no good here", "code": code}}
    seen, findings = probed(GatewayTransport(respond=lambda _: status(code, body)), openrouter())
    assert [one.kind for one in seen] == [kind] * requests
    assert findings.said[0].claim == f"the endpoint failed: {kind}"
    assert "Key [key] is no good here" in findings.said[0].evidence
    assert findings.limits == ()
    assert settings(seen, openrouter()) == ["nothing yet"]


@pytest.mark.parametrize(
    ("reply", "requests", "claim"),
    [
        (status(200, "<html><h1>Welcome</h1></html>"), 2, "the endpoint failed: unknown"),
        (Reply(), 2, "a response ended without an answer in it"),
        (Reply(steps=finish("stop")), 2, "a response ended without an answer in it"),
        (Reply(steps=NETWORK_LOST), 2, "the endpoint failed: connection"),
        (Reply(steps=in_stream_error({"error": {"message": "Insufficient credits"}})), 1, "quota"),
        (Reply(steps=in_stream_error({"error": {"message": "It broke."}})), 2, "unknown"),
        (no_response(), 1, "the endpoint failed: connection"),
        (no_response(after=0.5), 1, "the endpoint failed: connection"),
    ],
)
def test_an_endpoint_that_gives_no_answer(reply: Reply, requests: int, claim: str) -> None:
    seen, findings = probed(GatewayTransport(respond=lambda _: reply))
    assert len(seen) == requests
    assert claim in claims(findings)
    assert findings.limits == ()
    assert settings(seen) == ["nothing yet"]


def test_a_gateway_that_times_out_before_the_response_is_no_pattern_yet() -> None:
    late = replace(status(504, "<html>504 Gateway Time-out</html>"), head_delay=60.0)
    seen, findings = probed(GatewayTransport(respond=lambda _: late))
    assert len(seen) == 3
    assert findings.undecided is not None
    assert "after 60.0 s" in findings.said[0].uncertainty


def test_an_answer_of_one_piece_is_told() -> None:
    arguments = json.dumps({"path": "a", "content": "A line.\n" * 100})
    answer = whole(Answer(calls=(Call(name="write_file", arguments=arguments),)), pace=5.0)
    seen, findings = probed(GatewayTransport(respond=lambda _: answer))
    assert shapes(findings) == [(False, Shape.WHOLE)]
    assert "does not stream: the answer is one piece of JSON" in claims(findings)
    assert all(one.ending is Ending.FINISHED for one in seen)


def test_an_answer_that_comes_at_once_has_no_shape() -> None:
    _, findings = probed(GatewayTransport(respond=writer(pace=0.0)))
    assert shapes(findings) == [(False, None)]
    assert "came at once" in findings.arguments[0].evidence


def test_bursts_are_told_from_a_stream() -> None:
    model = writer(pace=0.0)

    def bursts(request: RecordedRequest) -> Reply:
        reply = model(request)
        assert isinstance(reply, Reply)
        steps: list[Step] = []
        for number, step in enumerate(reply.steps):
            steps += [step] if number % 4 else [Pause(3.0), step]
        return replace(reply, steps=tuple(steps))

    _, findings = probed(GatewayTransport(respond=bursts), sizes=(50,))
    assert shapes(findings) == [(False, Shape.BURSTS)]


def test_a_limit_on_bytes_is_told_where_no_time_fits() -> None:
    paces = iter([0.4, 0.4, 0.8])

    def varying(request: RecordedRequest) -> Reply | Answer:
        return writer(pace=next(paces, 1.2))(request)

    transport = GatewayTransport(respond=varying, byte_limit=60_000, dropped_by=RESET)
    seen, findings = probed(transport)
    limit = findings.limit(LimitKind.SIZE)
    assert limit is not None, claims(findings)
    assert limit.amount == pytest.approx(60_000, rel=0.1)
    assert settings(seen)[0].startswith("ask for sections of at most ")


def test_a_cap_that_is_not_applied_is_told() -> None:
    arguments = json.dumps({"content": "A line of the plan.\n" * 50})
    answer = Answer(
        calls=(Call(name="write_file", arguments=arguments),), usage=Usage(output_tokens=9_000)
    )
    reply = stream(answer, piece=32, pace=0.1)
    seen, findings = probed(GatewayTransport(respond=lambda _: reply), sizes=(50, 60))
    assert "the endpoint does not apply the cap that is sent" in claims(findings)
    assert [one.ask.lines for one in seen] == [50, 60]
    assert [cap.tokens for cap in findings.caps] == [None]


def test_an_answer_in_tiny_packets_has_no_empty_events() -> None:
    model = writer()

    def packets(request: RecordedRequest) -> Reply:
        reply = model(request)
        assert isinstance(reply, Reply)
        return in_packets(reply, 50)

    seen, findings = probed(GatewayTransport(respond=packets), sizes=(50,))
    assert Sign.PART in {one.sign for one in seen[0].arrivals}
    assert (findings.comments, findings.limits) == (None, ())


def test_reasoning_and_a_whole_message_after_deltas_are_read() -> None:
    arguments = json.dumps({"content": "A line of the plan.\n" * 50})
    call = Call(name="write_file", arguments=arguments)
    deltas = stream(Answer(reasoning="So it is. " * 20, calls=(call,)), piece=32, pace=0.1)
    again = stream(Answer(calls=(call,)), quirks=[Quirk.WHOLE_MESSAGE])
    both = cut(deltas, at=before_finish(), by=again.steps)
    seen, _ = probed(GatewayTransport(respond=lambda _: both), sizes=(50,))
    signs = [one.sign for one in seen[0].arrivals]
    assert signs[0] is Sign.EVENT
    assert Sign.REASONING in signs
    assert seen[0].lines_received == 50
    sizes = [one.size_bytes for one in seen[0].arrivals if one.sign is Sign.ARGUMENTS]
    assert sizes[-1] == len(arguments)


def test_no_word_of_the_endpoint_shows_the_key() -> None:
    """It may say it anywhere; and an echo that is no JSON is none."""
    broken = Send(b'data: {"debug": {"echo_upstream_body": \n\n')
    named: JsonValue = {"choices": [{"delta": {"content": KEY}, "finish_reason": KEY}]}
    odd: JsonValue = {"choices": [{"delta": {"content": "x"}, "finish_reason": "\x1b[2J"}]}
    replies = iter(
        [
            Reply(steps=(Send(event(named)), Send(f": {KEY}\n\n".encode()), *DONE)),
            Reply(steps=(Send(event(odd)), *DONE)),
            Reply(steps=(broken,)),
        ]
    )
    seen, _ = probed(GatewayTransport(respond=lambda _: next(replies)), openrouter())
    assert [one.finish_reason for one in seen] == ["[key]", "(no plain word)"]
    refused, _ = probed(GatewayTransport(respond=lambda _: Reply(steps=(broken,))), openrouter())
    assert not any(one.echoed for one in refused)


def test_one_cut_is_no_limit() -> None:
    replies = iter([RESET])
    model = writer()

    def once(request: RecordedRequest) -> Reply | Answer:
        reply = model(request)
        ending = next(replies, None)
        assert isinstance(reply, Reply)
        return cut(reply, at=after_arguments(500), by=ending) if ending else reply

    seen, findings = probed(GatewayTransport(respond=once))
    assert findings.limits == ()
    assert findings.undecided is not None
    assert findings.undecided.claim == "one cut, which tells nothing of a limit yet"
    assert [one.ask.lines for one in seen] == [50, 50, 400, 1_500]


def test_the_probe_hangs_up_when_its_time_is_over() -> None:
    seen, findings = probed(GatewayTransport(respond=writer()), max_seconds=10.0)
    assert [one.ending for one in seen] == [Ending.FINISHED, Ending.LIMIT]
    assert seen[-1].ended_at == pytest.approx(10.0)
    assert "the probe hung up itself" in claims(findings)
    assert findings.limits == ()


def test_the_probe_hangs_up_when_more_comes_than_was_asked_for() -> None:
    """Without a cap somebody has to watch the cost."""
    arguments = json.dumps({"content": "A line that nobody has asked for.\n" * 4_000})
    answer = Answer(calls=(Call(name="write_file", arguments=arguments),))
    transport = GatewayTransport(respond=lambda _: stream(answer, piece=64, pace=0.01))
    seen, _ = probed(transport, sizes=(50,))
    assert seen[0].ending is Ending.LIMIT
    assert sum(one.size_bytes for one in seen[0].arrivals) == pytest.approx(12_000, abs=128)


# --- pure -----------------------------------------------------------------------------------


def seen_of(
    *gaps: float,
    ending: Ending = Ending.FINISHED,
    last: float = 0.0,
    sign: Sign = Sign.ARGUMENTS,
    **fields: Any,
) -> Observation:
    """Arrivals of content after these gaps, and an ending."""
    arrivals, now = [], 0.0
    for gap in gaps:
        now += gap
        arrivals.append(Arrival(now, sign, 50))
    known: dict[str, Any] = {"ask": Ask(lines=50), "opened_at": 0.0, "cap": 3_000, "called": True}
    return Observation(
        arrivals=tuple(arrivals),
        ended_at=now + last,
        ending=ending,
        received_bytes=100 * len(arrivals) + 7 * int(now),
        **known | fields,
    )


def test_silence_with_a_known_limit_shows_that_comments_help() -> None:
    arrivals = (
        Arrival(0.1, Sign.ARGUMENTS, 0),
        *(Arrival(at, Sign.COMMENT) for at in (4.0, 8.0, 12.0, 16.0)),
        Arrival(19.0, Sign.ARGUMENTS, 900),
    )
    kept = replace(seen_of(), arrivals=arrivals, ended_at=19.0)
    cuts = [seen_of(0.1, age, ending=Ending.RESET, last=10.0) for age in (1.0, 5.0)]
    findings = find([kept, *cuts])
    limit = findings.limit(LimitKind.IDLE)
    assert limit is not None
    assert (limit.amount, limit.survived) == (10.0, 5.0)
    assert findings.comments is not None
    assert findings.comments.claim == "comments keep the connection alive"


def test_the_error_that_tells_of_a_cut_ends_no_silence() -> None:
    told = replace(
        seen_of(0.1, ending=Ending.ERROR, last=9.0, kind=ErrorKind.CONNECTION),
        arrivals=(Arrival(0.1, Sign.ARGUMENTS, 9), Arrival(9.1, Sign.EVENT)),
    )
    (last,) = [gap for gap in gaps_of(told) if gap.is_last]
    assert last.seconds == pytest.approx(9.0)


def test_cuts_without_a_pattern_are_called_so() -> None:
    cuts = [
        seen_of(*[0.1] * count, ending=Ending.RESET, last=0.02 * count) for count in (4, 30, 90)
    ]
    findings = find(cuts)
    assert findings.limits == ()
    assert findings.undecided is not None
    assert findings.undecided.claim.startswith("cuts without a pattern")


def test_a_lower_cap_than_the_one_that_was_sent_is_told() -> None:
    short = seen_of(
        0.1,
        cap=10_000,
        cause=CutCause.CAPPED,
        finish_reason="length",
        usage=Usage(output_tokens=4_096),
    )
    (cap,) = find([short]).caps
    assert (cap.tokens, cap.is_default, cap.known_from) == (4_096, False, "answer")
    (cap,) = find([seen_of(0.1, cap=10_000, echoed=True, echoed_cap=8_192)]).caps
    assert (cap.tokens, cap.known_from) == (8_192, "echo")


def test_a_default_cap_that_nobody_tells_shows_where_a_request_with_a_cap_goes_on() -> None:
    lying = seen_of(*[0.1] * 60, cap=None, cause=CutCause.ENDED, finish_reason="stop")
    (cap,) = find([lying]).caps
    assert cap.claim == "default cap: not to be told"
    ask = next_ask([lying], sizes=(50,), has_switch=False, has_echo=False)
    assert ask == Ask(lines=50)
    findings = find([lying, seen_of(*[0.1] * 90, arguments_closed=True)])
    (cap,) = findings.caps
    assert findings.undecided is None
    assert cap.tokens == 1_000
    assert "estimated from 3,000 B" in cap.uncertainty
    assert "the finish reason says nothing of a cap" in cap.uncertainty


def test_healthy_silence_beyond_the_clocks_is_advised() -> None:
    seen = [seen_of(0.1, 110.0, 0.1)]
    assert [
        advice.setting
        for advice in advise(find(seen), seen, clocks=Clocks(), limit=OutputLimit(), buffered=False)
    ] == ["Clocks(transport=165)", "Clocks(tool_arguments=220)"]
    seen = [seen_of(0.1, 350.0, 0.1)]
    clocks = Clocks(transport=1_000.0)
    (advice,) = advise(find(seen), seen, clocks=clocks, limit=OutputLimit(), buffered=True)
    assert advice.setting == "Clocks(buffered_tool_arguments=700)"


def test_an_idle_limit_below_the_clock_is_advised() -> None:
    cuts = [
        seen_of(*[0.1] * age, ending=Ending.RESET, last=50.0, lines_received=40) for age in (3, 100)
    ]
    assert settings(cuts) == [
        "ask for sections of at most 19 lines a call, in the prompt",
        "Clocks(transport=47)",
    ]


def test_a_finish_reason_in_the_middle_of_arguments_is_a_cut() -> None:
    assert seen_of(0.1, cause=CutCause.ENDED, finish_reason="stop").is_cut


def test_a_stopped_probe_asks_nothing_more() -> None:
    stopped = seen_of(0.1, ending=Ending.STOPPED)
    assert next_ask([stopped], sizes=(50, 400), has_switch=True, has_echo=False) is None


def test_the_plan_bounds_what_is_asked() -> None:
    local = plan_of(Target(adapter=Local(base_url=URL), model="m"))
    assert (local.requests_at_least, local.requests_at_most) == (3, 5)
    assert (local.uncapped_requests, local.output_tokens_at_most) == (1, None)
    switched = plan_of(Target(adapter=openrouter(), model=CLAUDE))
    assert (switched.requests_at_least, switched.requests_at_most) == (4, 9)
    limit = family_of(CLAUDE).max_output_tokens
    assert limit is not None
    assert switched.output_tokens_at_most == switched.capped_tokens_at_most + 2 * limit


@pytest.mark.parametrize(
    ("sizes", "max_seconds", "says"),
    [
        ((), 1.0, "give numbers of lines from 1"),
        ((0,), 1.0, "give numbers of lines from 1"),
        ((50, 50), 1.0, "each must be larger"),
        ((50,), 0.0, "max_seconds 0.0: give a number of seconds above 0"),
        ((50,), float("nan"), "give a number of seconds above 0"),
    ],
)
def test_a_target_that_cannot_be_probed(
    sizes: tuple[int, ...], max_seconds: float, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        Target(adapter=Local(base_url=URL), model="m", sizes=sizes, max_seconds=max_seconds)


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(Target(adapter=openrouter(), model=CLAUDE, key=KEY))


# --- properties -----------------------------------------------------------------------------

times = st.floats(min_value=0.0, max_value=1e6)
arrivals = st.lists(
    st.builds(Arrival, times, st.sampled_from(Sign), st.integers(0, 10_000)), max_size=10
)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    came = sorted(draw(arrivals), key=lambda one: one.at)
    opened = draw(st.none() | st.floats(0.0, came[0].at if came else 10.0))
    return Observation(
        ask=draw(
            st.builds(Ask, lines=st.sampled_from([50, 400]), switch=st.booleans(),
                      text_lines=st.sampled_from([0, 20]), echo=st.booleans())
        ),
        switched=draw(st.booleans()),
        cap=draw(st.none() | st.integers(1, 100_000)),
        opened_at=opened if not came else opened or 0.0,
        arrivals=tuple(came),
        ended_at=(came[-1].at if came else opened or 0.0) + draw(times),
        ending=draw(st.sampled_from(Ending)),
        cause=draw(st.none() | st.sampled_from(CutCause)),
        received_bytes=draw(st.integers(0, 10**9)),
        is_stream=draw(st.booleans()),
        called=draw(st.booleans()),
        arguments_closed=draw(st.booleans()),
        lines_received=draw(st.integers(0, 10_000)),
        finish_reason=draw(st.sampled_from(["", "stop", "length"])),
        usage=draw(st.none() | st.builds(Usage, output_tokens=st.integers(0, 10**6))),
        echoed_cap=draw(st.none() | st.integers(1, 10**6)),
        kind=draw(st.none() | st.sampled_from(ErrorKind)),
        said=draw(st.text(max_size=10)),
        accepted_cap=draw(st.none() | st.integers(1, 10**6)),
    )  # fmt: skip


@examples(max_examples=25)
@given(st.lists(observations(), max_size=5), st.booleans())
def test_any_observations_give_findings_advice_a_next_request_and_a_picture(
    seen: list[Observation], flag: bool
) -> None:
    findings = find(seen)
    assert json.loads(to_json(findings))
    for limit in findings.limits:
        assert limit.times >= 2
        assert limit.amount <= limit.largest_cut
        if limit.kind is not LimitKind.LIFE:
            assert limit.survived <= limit.amount
    advised = advise(findings, seen, clocks=Clocks(), limit=OutputLimit(), buffered=flag)
    assert advised
    next_ask(seen, sizes=(50, 400), has_switch=flag, has_echo=flag)
    if seen:
        for fancy in (True, False):
            rows = picture(seen, fancy=fancy)
            assert max(map(len, rows)) <= 80
            assert fancy or "".join(rows).isascii()


def through(limit: float, pauses: Sequence[float], *, by_age: bool) -> Observation:
    """A stream with these pauses, through something that cuts by silence or by age."""
    now = 0.0
    came: list[Arrival] = []
    for pause in pauses:
        room = limit - now if by_age else limit
        if pause > room:
            return Observation(
                ask=Ask(lines=50), cap=3_000, opened_at=0.0, arrivals=tuple(came),
                ended_at=now + room, ending=Ending.RESET, kind=ErrorKind.CONNECTION,
                received_bytes=50 * len(came), called=True,
            )  # fmt: skip
        now += pause
        came.append(Arrival(now, Sign.ARGUMENTS, 50))
    return Observation(
        ask=Ask(lines=50), cap=3_000, opened_at=0.0, arrivals=tuple(came), ended_at=now,
        ending=Ending.FINISHED, received_bytes=50 * len(came), called=True,
    )  # fmt: skip


streams = st.lists(st.lists(st.floats(0.01, 30.0), min_size=1, max_size=12), min_size=1, max_size=6)


@examples(max_examples=40)
@given(st.floats(1.0, 20.0), streams)
def test_where_only_silence_is_cut_no_other_limit_is_found(
    true: float, pauses: list[list[float]]
) -> None:
    seen = [through(true, one, by_age=False) for one in pauses]
    for limit in find(seen).limits:
        assert limit.kind is LimitKind.IDLE
        assert limit.amount == pytest.approx(true)
        assert limit.survived <= limit.amount


@examples(max_examples=40)
@given(st.floats(1.0, 20.0), streams)
def test_where_only_age_is_cut_no_other_limit_is_found(
    true: float, pauses: list[list[float]]
) -> None:
    seen = [through(true, one, by_age=True) for one in pauses]
    for limit in find(seen).limits:
        assert limit.kind is LimitKind.LIFE
        assert limit.amount == pytest.approx(true)


@examples(max_examples=25)
@given(st.lists(observations(), min_size=1, max_size=5))
def test_the_experiment_ends(seen: list[Observation]) -> None:
    """Whatever comes back, it does not go on asking."""
    so_far: list[Observation] = []
    for number in range(40):
        ask = next_ask(so_far, sizes=(50, 400), has_switch=True, has_echo=True)
        if ask is None:
            return
        so_far.append(replace(seen[number % len(seen)], ask=ask))
    pytest.fail("forty requests, and no end")


# --- the command ----------------------------------------------------------------------------


def command(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["probe", *arguments], env=environment)


def test_without_yes_the_cost_is_told_and_nothing_is_sent(agentcore_gateway: Gateway) -> None:
    agentcore_gateway.respond = writer()
    base = ["--base-url", agentcore_gateway.base_url]
    result = command(f"openrouter:{CLAUDE}", *base, "--price", "25", OPENROUTER_API_KEY=KEY)
    assert (result.exit_code, agentcore_gateway.requests) == (2, [])
    assert "4 to 9, one after the other" in result.stdout
    assert "the endpoint decides: at most 128,000 each" in " ".join(result.stdout.split())
    assert "about $0.75 for output if nothing is cut; at most $" in " ".join(result.stdout.split())
    assert "Nothing was sent. Add --yes to go on." in result.stdout
    assert KEY not in result.output
    assert max(map(len, result.stdout.splitlines())) <= 80

    unknown = command("local:m", *base, "--price", "1")
    assert "no bound is known" in " ".join(unknown.stdout.split())
    assert "not known here" in command("local:m", *base).stdout


def test_the_price_is_read_from_the_catalog(
    agentcore_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hosts: list[JsonValue] = [
        {"provider_name": name, "tag": name.lower(), "context_length": 1_000_000,
         "max_completion_tokens": 128_000, "pricing": {"completion": price}}
        for name, price in (("Anthropic", "0.000025"), ("Other", "0.00005"))
    ]  # fmt: skip
    agentcore_gateway.models = [{"id": CLAUDE, "endpoints": hosts}]
    folder = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    asked = (f"openrouter:{CLAUDE}", "--base-url", agentcore_gateway.base_url, "--catalog")
    told = " ".join(command(*asked, **folder).stdout.split())
    assert "about $0.75 to $1.50, by host, for output if nothing is cut; at most $" in told
    assert "about $0.03 for output" in " ".join(command(*asked, "--price", "1").stdout.split())
    assert [request.method for request in agentcore_gateway.requests] == ["GET"]


def test_with_yes_the_report_is_printed(agentcore_gateway: Gateway) -> None:
    agentcore_gateway.respond = writer(pace=0.03)
    agentcore_gateway.asks_to_stream = ASKS
    agentcore_gateway.idle_limit = 0.5
    result = command(
        f"openrouter:{CLAUDE}", "--base-url", agentcore_gateway.base_url, "--yes",
        "--sizes", "20,100", OPENROUTER_API_KEY=KEY,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = result.stdout
    assert told.startswith("endpoint   openrouter, anthropic/claude-opus-4.6, http://127.0.0.1:")
    assert "lines switch 0 " in told
    assert "- arguments with the switch: streamed" in told
    assert "- arguments without a switch: buffered until whole" in told
    (found,) = re.findall(r"idle limit: the connection is cut after ([\d.]+) s", told)
    assert float(found) == pytest.approx(0.5, rel=0.1)
    assert "- tool streaming stays on, as the adapter has it" in told
    assert "\x1b" not in told
    assert max(map(len, told.splitlines())) <= 80
    assert (
        "request 1 of at most 7: a call of 20 lines, no cap, the switch: finished" in result.stderr
    )
    assert KEY not in result.output


def test_json_has_everything_and_nothing_else(agentcore_gateway: Gateway) -> None:
    agentcore_gateway.respond = writer(pace=0.03)
    agentcore_gateway.life_limit = 0.4
    result = command(
        "local:m", "--base-url", agentcore_gateway.base_url, "--yes", "--json",
        "--sizes", "20,100", LOCAL_API_KEY=KEY,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert set(value) == {
        "provider", "model", "base_url", "plan", "observations", "findings", "advice",
    }  # fmt: skip
    assert value["plan"]["requests_at_most"] == 4
    (limit,) = value["findings"]["limits"]
    assert limit["kind"] == "life limit"
    assert limit["amount"] == pytest.approx(0.4, rel=0.1)
    first = value["observations"][0]
    assert (first["ending"], first["ask"]["lines"]) == ("finished", 20)
    assert ["arguments", 256] in [arrival[1:] for arrival in first["arrivals"]]
    assert value["observations"][-1]["silences"] == []
    assert "requests   2 to 4" in result.stderr
    assert KEY not in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody:m"], "there is no provider 'nobody'"),
        (["local:m"], "give the address"),
        (["local:m", "--base-url", URL, "--sizes", "a,b"], "--sizes 'a,b': give numbers of lines"),
        (["local:m", "--base-url", URL, "--sizes", "400,50"], "each must be larger"),
        (["local:m", "--base-url", URL, "--max-seconds", "0"], "give a number of seconds above 0"),
        (["local:m", "--base-url", URL, "--catalog"], "--catalog: only OpenRouter has one"),
        (["openrouter:m", "--yes"], "set the environment variable OPENROUTER_API_KEY"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(arguments: list[str], says: str) -> None:
    result = command(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr.splitlines()[-1]


def test_an_endpoint_that_refuses_the_key_ends_with_exit_status_1(
    agentcore_gateway: Gateway,
) -> None:
    told: JsonValue = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": 401}}
    agentcore_gateway.respond = lambda _: status(401, told)
    result = command(
        f"openrouter:{CLAUDE}", "--base-url", agentcore_gateway.base_url, "--yes",
        OPENROUTER_API_KEY=KEY,
    )  # fmt: skip
    assert result.exit_code == 1
    assert len(agentcore_gateway.requests) == 1
    assert "- the endpoint failed: auth" in result.stdout
    assert "- nothing yet: no answer came" in result.stdout
    assert KEY not in result.output


def test_stopped_by_the_person_it_tells_what_it_saw(agentcore_gateway: Gateway) -> None:
    """In a process of its own: a worker of a test runner may have signals of its own."""
    agentcore_gateway.respond = writer(pace=0.1)
    options = ["--base-url", agentcore_gateway.base_url, "--yes", "--sizes", "10,5000"]
    with subprocess.Popen(
        [sys.executable, "-m", "agentcore.cli", "probe", "local:m", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while not any(len(one.sent) > 2_000 for one in agentcore_gateway.requests[1:]):
            assert time.monotonic() < until
            time.sleep(0.05)
        while process.poll() is None and time.monotonic() < until:
            process.send_signal(signal.SIGINT)
            time.sleep(2.0)
        told, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert " 1  a call of 10 lines" in told
    assert "stopped after" in told
    assert "stopped by you" in errors


def test_a_console_without_block_characters_gets_ascii(agentcore_gateway: Gateway) -> None:
    agentcore_gateway.respond = lambda _: status(402, {"error": {"message": "Kein Guthaben für ·"}})
    arguments = ["probe", "local:m", "--base-url", agentcore_gateway.base_url, "--yes"]
    told = CliRunner(charset="ascii").invoke(app, arguments).stdout_bytes
    assert told.isascii()
    assert b"it said: Kein Guthaben f?r ?" in told
    assert b"\x1b" not in told


def test_the_picture() -> None:
    streamed = seen_of(4 / 58, *[8 / 58] * 28, arguments_closed=True, switched=True)
    silent = replace(
        seen_of(0.1, ending=Ending.RESET, last=7.9),
        arrivals=(Arrival(0.1, Sign.ARGUMENTS, 0), Arrival(4.0, Sign.COMMENT)),
    )
    at_cap = seen_of(0.1, 1.9, cause=CutCause.CAPPED)
    hung_up = seen_of(0.1, ending=Ending.LIMIT, last=3.0)
    failed = seen_of(ending=Ending.REFUSED, last=1.0, kind=ErrorKind.AUTH, opened_at=None)
    stopped = seen_of(0.1, ending=Ending.STOPPED, ask=Ask(lines=400, text_lines=30))
    seen = [streamed, silent, at_cap, hung_up, failed, stopped]
    assert picture(seen, fancy=True) == [
        "        lines switch 0             2              4              6 s",
        " 1         50 yes    " + "█" * 29 + "✓",
        " 2         50 no     ·" + " " * 28 + "·" + " " * 28 + "✗",
        " 3         50 no     █" + " " * 13 + "█]",
        " 4         50 no     █" + " " * 22 + ">",
        " 5         50 no             !",
        " 6     30+400 no     █~",
        "",
        "Heights: bytes of the answer in a slot of 0.14 s, against the fullest slot of",
        "its line; · nothing but comments or empty events; blank: no byte; ✓ finished, ✗",
        "cut, ] at a cap, > our limit, ! failed, ~ stopped",
    ]
    plain = picture(seen, fancy=False)
    assert plain[2] == " 2         50 no     ." + " " * 28 + "." + " " * 28 + "x"
    assert "= finished, x cut" in " ".join(plain)


@pytest.mark.parametrize("span", [0.0, 0.003, 0.4, 1.0, 59.9, 600.0, 100_000.0])
def test_the_scale_fits(span: float) -> None:
    (scale, *_) = picture([seen_of(span)], fancy=False)
    assert len(scale) <= 80
    assert scale.endswith(" s")
