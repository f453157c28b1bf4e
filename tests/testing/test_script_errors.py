"""Errors in a script are told as such, where they are made: none looks like the endpoint's."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agentcore.testing import (
    COMMENT,
    RESET,
    Answer,
    Call,
    Pause,
    Quirk,
    RecordedRequest,
    Reply,
    Reset,
    ScriptedModel,
    ScriptedServer,
    Send,
    Temperament,
    after_bytes,
    cut,
    in_packets,
    stall,
    stream,
)

CALL = Call(name="write_file", arguments="{}")
ANSWER = Answer(text="All of it.")


async def async_respond(_: RecordedRequest) -> Reply:
    return stream(ANSWER)


def responds(value: Any) -> Callable[[RecordedRequest], Any]:
    return lambda _: value


def wrong(value: object) -> Any:
    """A value that has not the type that is asked for."""
    return value


MODEL = ScriptedModel(path="a.txt", text="a\n")
SCRIPT_ERRORS: dict[str, tuple[Callable[[ScriptedServer], object], str]] = {
    "a list played": (lambda s: s.play(wrong([ANSWER])), r"play\(\*replies\)"),
    "a model played": (lambda s: s.play(wrong(MODEL)), "set as `respond`"),
    "a text played": (lambda s: s.play(wrong("Yes.")), "Replies and Answers, and got a str"),
    "no place": (lambda s: cut(stream(ANSWER), at=wrong(40), by=RESET), r"after_bytes\(40\)"),
    "a step": (
        lambda s: cut(stream(ANSWER), at=after_bytes(4), by=wrong(Reset())),
        "as RESET is one",
    ),
    "an answer cut": (
        lambda s: cut(wrong(ANSWER), at=after_bytes(4), by=RESET),
        r"say stream\(answer\)",
    ),
    "an answer stalled": (lambda s: stall(wrong(ANSWER), at=after_bytes(4), seconds=1.0), "stall"),
    "a negative stall": (
        lambda s: stall(stream(ANSWER), at=after_bytes(4), seconds=-1),
        "0 or more",
    ),
    "steps in a list": (lambda s: Reply(steps=wrong([COMMENT])), "give a tuple of steps"),
    "a step of bytes": (lambda s: Reply(steps=wrong((b"x",))), "steps are Send"),
    "a text sent": (lambda s: Reply(steps=(Send(wrong("x")),)), "Send takes bytes"),
    "a negative pause": (lambda s: Reply(steps=(Pause(-1.0),)), "0 seconds or more"),
    "a body and no head": (lambda s: Reply(status=None, steps=(COMMENT,)), "cannot Send a body"),
    "no head and no end": (lambda s: Reply(status=None), r"end it with Reset\(\)"),
    "no quirk": (lambda s: stream(ANSWER, quirks=wrong(["odd"])), r"\['odd'\]\): unknown"),
    "a quirk alone": (lambda s: stream(ANSWER, quirks=wrong(Quirk.NO_ID)), "a list of them"),
    "no piece": (lambda s: stream(ANSWER, piece=0), "1 character or more"),
    "no packet": (lambda s: in_packets(stream(ANSWER), 0), "1 byte or more"),
    "no answer": (lambda s: stream(wrong("Yes.")), "puts an Answer on the wire, and got a str"),
    "an object": (lambda s: Call(name="a", arguments=wrong({})), "json.dumps it"),
    "a call alone": (lambda s: Answer(calls=wrong(CALL)), "a tuple of Calls"),
    "no temperament": (lambda s: replace(MODEL, temperament=wrong("odd")), "there are obedient, "),
}


@pytest.mark.parametrize(("err", "says"), SCRIPT_ERRORS.values(), ids=SCRIPT_ERRORS)
def test_an_error_in_a_script_is_told_where_it_is_made(
    err: Callable[[ScriptedServer], object], says: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        err(ScriptedServer())


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (ScriptedServer(respond=wrong(async_respond)), "must be no async function"),
        (ScriptedServer(respond=responds(None)), "a Reply or an Answer, not a NoneType"),
        (
            ScriptedServer(respond=responds(ANSWER), dropped_by=wrong(Reset())),
            "dropped_by: give a tuple",
        ),
    ],
)
def test_and_one_that_shows_only_later_refuses_the_request(
    server: ScriptedServer, says: str
) -> None:
    request = RecordedRequest(number=1, connection=1, path="/", headers={}, body={"model": "m"})
    reply = server.reply_to(request)
    assert (reply.status, says in reply.body.decode()) == (400, True)
    assert says in str(server.script_error)


def test_respond_and_play_are_either_or() -> None:
    server = ScriptedServer(respond=responds(ANSWER))
    with pytest.raises(RuntimeError, match="`respond` is set and decides every reply"):
        server.play(ANSWER)


def test_what_was_not_asked_for_is_counted() -> None:
    server = ScriptedServer()
    server.play(ANSWER, ANSWER)
    server.reply_to(
        RecordedRequest(number=1, connection=1, path="/", headers={}, body={"model": "m"})
    )
    assert server.unplayed == 1


def test_a_temperament_may_be_given_by_its_name() -> None:
    assert replace(MODEL, temperament=wrong("forgets")).temperament is Temperament.FORGETS
