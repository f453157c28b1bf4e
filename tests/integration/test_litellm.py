"""Runs through a LiteLLM proxy whose upstream is cut: what it makes of that, and what we do.

docs/integration.md has what was seen as tables.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentcore.testing import (
    CLEAN_END,
    DONE,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Ending,
    Pause,
    RecordedRequest,
    Reply,
    ScriptedModel,
    after_events,
    after_line,
    before_value,
    check_transcript,
    cut,
    finish,
    no_response,
    status,
    stream,
)
from agentcore.tools import read_file, write_file
from tests.integration.runs import Ran, run
from tests.integration.servers import needs

if TYPE_CHECKING:
    from tests.integration.conftest import Proxy

pytestmark = needs("litellm")

ACCEPTED = ("complete", None, None, "accept")
LATE = Pause(0.3)
"""A break overtakes what is under way, in the network and in the proxy: all of it shall be read."""
SAID_LOST = "Network connection lost."
SAID_BROKEN = "Connection error."
SAID_STOP = "finish_reason 'stop'"
ENDINGS = {
    "reset": ((LATE, *RESET), "dropped", "connection", SAID_BROKEN),
    "fin": ((LATE, *FIN), "dropped", "connection", SAID_BROKEN),
    "network lost": (NETWORK_LOST, "dropped", "connection", SAID_LOST),
    "clean end": (CLEAN_END, "ended", "truncated", SAID_STOP),
    "done": (DONE, "ended", "truncated", SAID_STOP),
    "false stop": (finish("stop"), "ended", "truncated", SAID_STOP),
    "length": (finish("length"), "capped", "truncated", "finish_reason 'length'"),
}
"""How the upstream ends; the cause and the kind of the cut; what the proxy said."""
BROKEN = {name: case for name, case in ENDINGS.items() if case[1] == "dropped"}
STOPPED = {name: case[0] for name, case in ENDINGS.items() if case[3] == SAID_STOP}
REFUSALS = {
    "429": (status(429, {"error": {"message": "Slow down."}}), "rate_limit", "retry"),
    "401": (
        status(401, {"error": {"message": "Incorrect API key.", "code": "invalid_api_key"}}),
        "auth",
        "stop",
    ),
    "400 context": (
        status(
            400,
            {
                "error": {
                    "message": "This model's maximum context length is 8192 tokens. However, your "
                    "messages resulted in 10000 tokens. Please reduce the length of the messages.",
                    "type": "invalid_request_error",
                    "param": "messages",
                    "code": "context_length_exceeded",
                }
            },
        ),
        "context_overflow",
        "stop",
    ),
    "529": (status(529, ""), "overloaded", "retry"),
    "no response": (no_response(), "connection", "retry"),
}


def plan(lines: int) -> str:
    return "".join(f"{n:>5}. Move table t{n:05} to the new store.\n" for n in range(1, lines + 1))


async def write(
    proxy: "Proxy", workspace: Path, text: str, *, first: Callable[[Reply], Reply] = lambda r: r
) -> Ran:
    """A run in which a model writes a file; what becomes of its first answer is given."""
    model = ScriptedModel(path="plan.md", text=text)

    def respond(request: RecordedRequest) -> Reply:
        reply = stream(model(request.body), piece=64)
        return first(reply) if request.number == 1 else reply

    proxy.upstream.respond = respond
    ran = await run(proxy.adapter, workspace, tools=[write_file, read_file])
    assert (workspace / "plan.md").read_text() == text
    check_transcript(ran.result.messages, ran.result.attempts, sent=ran.sent)
    return ran


async def answer(proxy: "Proxy", workspace: Path, *replies: Reply) -> Ran:
    """A run that is answered with text."""
    proxy.upstream.respond = lambda request: replies[request.number - 1]
    return await run(proxy.adapter, workspace)


async def test_a_large_file_comes_through_whole(litellm: "Proxy", tmp_path: Path) -> None:
    ran = await write(litellm, tmp_path, plan(3_000))
    assert ran.rows == [ACCEPTED, ACCEPTED]


@pytest.mark.parametrize("case", ENDINGS.values(), ids=ENDINGS)
async def test_a_write_that_is_cut_upstream_is_noticed_and_goes_on_from_what_arrived(
    case: tuple[Ending, str, str, str], litellm: "Proxy", tmp_path: Path
) -> None:
    ending, cause, kind, said = case
    ran = await write(
        litellm, tmp_path, plan(300), first=lambda r: cut(r, at=after_line(120), by=ending)
    )
    assert ran.rows[0] == ("cut", cause, kind, "keep")
    assert said in ran.result.attempts[0].message
    assert "120 lines" in ran.result.attempts[0].kept
    assert set(ran.rows[1:]) == {ACCEPTED}


@pytest.mark.parametrize("case", ENDINGS.values(), ids=ENDINGS)
async def test_a_call_that_is_cut_before_its_text_is_not_run(
    case: tuple[Ending, str, str, str], litellm: "Proxy", tmp_path: Path
) -> None:
    ending, cause, kind, _ = case
    ran = await write(
        litellm, tmp_path, plan(30), first=lambda r: cut(r, at=before_value("content"), by=ending)
    )
    assert ran.rows[0][:3] == ("cut", cause, kind)
    assert set(ran.rows[1:]) == {ACCEPTED}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
async def test_a_stream_that_breaks_before_its_first_event_is_asked_for_again(
    case: tuple[Ending, str, str, str], litellm: "Proxy", tmp_path: Path
) -> None:
    ran = await write(
        litellm, tmp_path, plan(30), first=lambda r: cut(r, at=after_events(0), by=case[0])
    )
    assert ran.rows == [("refused", None, "connection", "retry"), ACCEPTED, ACCEPTED]


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
async def test_a_text_answer_that_breaks_is_asked_for_again(
    case: tuple[Ending, str, str, str], litellm: "Proxy", tmp_path: Path
) -> None:
    whole = stream(Answer(text="All of the answer."))
    ran = await answer(litellm, tmp_path, cut(whole, at=after_events(2), by=case[0]), whole)
    assert ran.rows == [("cut", *case[1:3], "retry"), ACCEPTED]
    assert ran.result.text == "All of the answer."


@pytest.mark.parametrize("events", [0, 1])
@pytest.mark.parametrize("ending", STOPPED.values(), ids=STOPPED)
async def test_nothing_at_all_that_the_proxy_calls_stopped_is_asked_for_again(
    ending: Ending, events: int, litellm: "Proxy", tmp_path: Path
) -> None:
    whole = stream(Answer(text="All of the answer."))
    ran = await answer(litellm, tmp_path, cut(whole, at=after_events(events), by=ending), whole)
    assert ran.rows == [("cut", "ended", "truncated", "retry"), ACCEPTED]
    assert ran.result.text == "All of the answer."


@pytest.mark.parametrize("ending", STOPPED.values(), ids=STOPPED)
async def test_a_text_answer_that_the_proxy_calls_stopped_cannot_be_told_from_a_whole_one(
    ending: Ending, litellm: "Proxy", tmp_path: Path
) -> None:
    """No promise, but a limit that is known: only the upstream knows that there was more."""
    whole = stream(Answer(text="All of the answer."))
    ran = await answer(litellm, tmp_path, cut(whole, at=after_events(2), by=ending))
    assert (ran.result.text, ran.rows) == ("All of the answe", [ACCEPTED])


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_of_the_upstream_keeps_its_kind(
    case: tuple[Reply, str, str], litellm: "Proxy", tmp_path: Path
) -> None:
    refusal, kind, decision = case
    ran = await answer(litellm, tmp_path, refusal, stream(Answer(text="Here it is.")))
    assert ran.rows[0] == ("refused", None, kind, decision)
    if decision == "stop":
        assert ran.error.kind == kind
    else:
        assert ran.result.text == "Here it is."


async def test_the_wait_that_the_upstream_asks_for_is_kept(
    litellm: "Proxy", tmp_path: Path
) -> None:
    busy = status(429, {"error": {"message": "Slow down."}}, {"retry-after": "20"})
    ran = await answer(litellm, tmp_path, busy, stream(Answer(text="Here it is.")))
    assert ran.waits[0] >= 20
