"""What the loop really does passes; what was tampered with is found, and named."""

import ast
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agentcore import Agent, Clocks, CutCause, ErrorKind, Local, Policy, RunError, tool
from agentcore.ledger import AttemptRecord
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agentcore.providers import Capabilities
from agentcore.testing import (
    CLEAN_END,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Call,
    Gateway,
    Pause,
    RecordedRequest,
    Reply,
    Send,
    in_stream_error,
    sent,
    status,
    stream,
    transcript,
    whole,
)
from agentcore.testing.script import Step
from agentcore.testing.strategies import answers, cuts, texts
from agentcore.testing.transcript import (
    TranscriptError,
    check_transcript,
    transcript_problems,
)
from agentcore.tools import write_file


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What a run leaves behind, and what was sent to it."""

    messages: tuple[Message, ...]
    attempts: tuple[AttemptRecord, ...]
    sent: tuple[bytes, ...] = ()

    def problems(self, **options: Any) -> list[str]:
        return transcript_problems(self.messages, self.attempts, sent=self.sent, **options)


Change = Callable[[Transcript], Transcript]


def body_of(reply: Reply) -> bytes:
    return b"".join(step.data for step in reply.steps if isinstance(step, Send))


def cut(reply: Reply, size: int, by: Sequence[Step] = CLEAN_END) -> Reply:
    """The first bytes of a body, and then another ending."""
    return replace(reply, steps=(Send(body_of(reply)[:size]), *by))


def cut_in(reply: Reply, text: str, by: Sequence[Step] = CLEAN_END) -> Reply:
    """Cut behind a text, which must be sent in one piece, and end its event."""
    size = body_of(reply).index(text.encode()) + len(text.encode())
    head = body_of(reply)[:size] + b'"}}]}}]}\n\n'
    return replace(reply, steps=(Send(head), *by))


# --- by hand --------------------------------------------------------------------------------

NOTES = Answer(
    calls=(
        Call(name="note", arguments='{"text": "a"}', id="call_1"),
        Call(name="note", arguments='{"text": "b"}', id="call_2"),
    )
)
WRITE = Answer(
    text="Now the file.",
    reasoning="It is long.",
    calls=(
        Call(
            name="write_file",
            arguments='{"path": "plan.md", "start_line": 1, "content": "one\\ntwo\\nthree\\n"}',
            id="call_3",
        ),
    ),
)
CUT_WRITE = cut_in(stream(WRITE, piece=1000), '\\"one\\\\ntwo\\\\nthr')
BODIES = (
    b'{"error": {"message": "max_tokens: 9000 > 4096"}}',
    body_of(stream(NOTES)),
    body_of(cut(stream(WRITE), 400)),
    body_of(CUT_WRITE),
    body_of(stream(Answer(text="Done."))),
)


def answered(call_id: str, *, name: str = "note", is_error: bool = False) -> ToolMessage:
    return ToolMessage(tool_call_id=call_id, name=name, content="…", is_error=is_error)


def attempt(turn: int, number: int, **fields: Any) -> AttemptRecord:
    whole: dict[str, Any] = {"outcome": "complete", "decision": "accept", "received_bytes": 9_000}
    return AttemptRecord(turn=turn, attempt=number, provider="p", model="m", **(whole | fields))


CUT: dict[str, Any] = {
    "outcome": "cut",
    "cause": CutCause.DROPPED,
    "kind": ErrorKind.CONNECTION,
}

NOTE_CALLS = (
    ToolCall(id="call_1", name="note", arguments='{"text": "a"}'),
    ToolCall(id="call_2", name="note", arguments='{"text": "b"}'),
)
GOOD = Transcript(
    messages=(
        SystemMessage(content="Be brief."),
        UserMessage(content="Write the plan."),
        AssistantMessage(tool_calls=NOTE_CALLS),
        answered("call_1"),
        answered("call_2", is_error=True),
        AssistantMessage(
            content="Now the file.",
            reasoning="It is long.",
            tool_calls=(
                ToolCall(
                    id="call_3",
                    name="write_file",
                    arguments='{"path": "plan.md", "start_line": 1, "content": "one\\ntwo\\n"}',
                ),
            ),
        ),
        answered("call_3", name="write_file", is_error=True),
        AssistantMessage(content="Done."),
    ),
    attempts=(
        attempt(1, 1, outcome="refused", decision="adjust", kind=ErrorKind.OUTPUT_LIMIT),
        attempt(1, 2),
        attempt(2, 1, decision="retry", **CUT),
        attempt(2, 2, decision="keep", waited_seconds=1.5, kept="…", discarded_bytes=3, **CUT),
        attempt(3, 1),
    ),
)
SENT = replace(
    GOOD,
    sent=BODIES,
    attempts=tuple(
        replace(record, received_bytes=len(body))
        for record, body in zip(GOOD.attempts, BODIES, strict=True)
    ),
)


def message(at: int, **fields: Any) -> Change:
    """Change fields of a message; `at` counts from 1, as the sentences do."""

    def change(good: Transcript) -> Transcript:
        changed = [*good.messages]
        changed[at - 1] = replace(changed[at - 1], **fields)
        return replace(good, messages=tuple(changed))

    return change


def call(at: int, position: int, **fields: Any) -> Change:
    """Change fields of a call of a message."""

    def change(good: Transcript) -> Transcript:
        made = good.messages[at - 1]
        assert isinstance(made, AssistantMessage)
        calls = [*made.tool_calls]
        calls[position] = replace(calls[position], **fields)
        return message(at, tool_calls=tuple(calls))(good)

    return change


def order(*places: int) -> Change:
    """Take these messages in this order; `order(1, 2, 2)` has the second twice."""
    return lambda good: replace(good, messages=tuple(good.messages[at - 1] for at in places))


def insert(at: int, said: Message) -> Change:
    return lambda good: replace(
        good, messages=(*good.messages[: at - 1], said, *good.messages[at - 1 :])
    )


def record(at: int, **fields: Any) -> Change:
    """Change fields of a record, counted from 1."""

    def change(good: Transcript) -> Transcript:
        changed = [*good.attempts]
        changed[at - 1] = replace(changed[at - 1], **fields)
        return replace(good, attempts=tuple(changed))

    return change


def both(*changes: Change) -> Change:
    def change(good: Transcript) -> Transcript:
        for one in changes:
            good = one(good)
        return good

    return change


def body(at: int, sent: bytes) -> Change:
    """Another body for an attempt, and all of it received."""

    def change(good: Transcript) -> Transcript:
        bodies = (*good.sent[: at - 1], sent, *good.sent[at:])
        return record(at, received_bytes=len(sent))(replace(good, sent=bodies))

    return change


def without_last_record(good: Transcript) -> Transcript:
    return replace(good, attempts=good.attempts[:-1])


@pytest.mark.parametrize("good", [GOOD, SENT], ids=["alone", "with what was sent"])
def test_a_good_transcript_passes(good: Transcript) -> None:
    assert good.problems() == []
    check_transcript(good.messages, good.attempts, sent=good.sent)


TAMPERED: list[tuple[str, Change, list[str]]] = [
    # Every call is answered once and in order.
    ("no answer", order(1, 2, 3, 4, 6, 7, 8), ["turn 1, attempt 2: call_2 (note) has no answer"]),
    (
        "two answers",
        order(1, 2, 3, 4, 4, 5, 6, 7, 8),
        [
            "turn 1, attempt 2: call_1 (note) is answered 2 times, and its side effect may have "
            "happened twice"
        ],
    ),
    (
        "two errors",
        order(1, 2, 3, 4, 5, 5, 6, 7, 8),
        ["turn 1, attempt 2: call_2 (note) is answered 2 times"],
    ),
    (
        "out of order",
        order(1, 2, 3, 5, 4, 6, 7, 8),
        ["turn 1, attempt 2: answered are call_2, call_1; called were call_1, call_2"],
    ),
    (
        "answer to nobody",
        insert(5, answered("call_9")),
        ["turn 1, attempt 2: call_9 (note) is answered here, and no call of this message"],
    ),
    (
        "answer before anything",
        insert(1, answered("call_0")),
        [
            "the beginning: call_0 (note) is answered here, and no call of this message",
            "message 2 is of role system, which only the first may be",
        ],
    ),
    (
        "answer too late",
        order(1, 2, 3, 4, 6, 7, 5, 8),
        [
            "turn 1, attempt 2: call_2 (note) has no answer",
            "turn 2, attempt 2: call_2 (note) is answered here, and no call of this message",
        ],
    ),
    (
        "another tool's name",
        message(4, name="read_file"),
        ["turn 1, attempt 2: the answer to call_1 (note) is by read_file"],
    ),
    (
        "an id of before",
        both(call(6, 0, id="call_1"), message(7, tool_call_id="call_1")),
        ["message 6: the id of call_1 (write_file) is that of a call in message 3"],
    ),
    (
        "an id twice in one message",
        both(call(3, 1, id="call_1"), message(5, tool_call_id="call_1")),
        ["message 3: the id of call_1 (note) is that of a call in message 3"],
    ),
    # No cut call is run.
    (
        "the cut call was run",
        message(7, is_error=False),
        ["turn 2, attempt 2: call_3 (write_file) was cut and answered without an error"],
    ),
    (
        "a cut call among others was run",
        both(
            message(7, is_error=False),
            message(
                6,
                tool_calls=(
                    ToolCall(id="call_3", name="write_file", arguments="{}"),
                    ToolCall(id="call_4", name="note", arguments="{}"),
                ),
            ),
            insert(8, answered("call_4")),
        ),
        [
            "turn 2, attempt 2: one of call_3 (write_file), call_4 (note) was cut and answered "
            "without an error"
        ],
    ),
    (
        "open arguments were run",
        call(3, 0, arguments='{"text": "a'),
        [
            "turn 1, attempt 2: call_1 (note) was run, and its arguments are no JSON object: "
            '\'{"text": "a\''
        ],
    ),
    (
        "open arguments in the history",
        call(3, 1, arguments="[]"),
        ["turn 1, attempt 2: call_2 (note) has arguments that are no JSON object: '[]'"],
    ),
    (
        "arguments that need mending in the history",
        call(3, 1, arguments='{"text": "b",}'),
        [
            "turn 1, attempt 2: call_2 (note) has arguments that are no JSON object: "
            '\'{"text": "b",}\''
        ],
    ),
    # Only the last attempt of a turn makes a message.
    (
        "a dead attempt made a message",
        both(
            insert(6, AssistantMessage(tool_calls=(ToolCall(id="c", name="x", arguments="{}"),))),
            insert(7, answered("c", name="x")),
        ),
        [
            "3 attempts were accepted or kept, and the message before those that they made is no "
            "prompt, but of role tool. Either other attempts made messages too, or the run went on "
            "without a prompt: then give `earlier`"
        ],
    ),
    (
        "an answer is lost",
        order(1, 2, 3, 4, 5, 8),
        ["3 attempts were accepted or kept, and the model has 2 messages in the conversation"],
    ),
    (
        "a turn without an answer has one",
        both(record(5, decision="stop", **CUT)),
        [
            "2 attempts were accepted or kept, and the message before those that they made is no "
            "prompt, but of role tool. Either other attempts made messages too, or the run went on "
            "without a prompt: then give `earlier`"
        ],
    ),
    # The ledger.
    (
        "a turn is left out",
        record(5, turn=4),
        [
            "turn 4, attempt 1: turn 3, attempt 1 must stand here after turn 2, attempt 2, where "
            "the decision was keep"
        ],
    ),
    (
        "an attempt after the last",
        lambda good: replace(
            good, attempts=(*good.attempts, attempt(3, 2, decision="stop", **CUT))
        ),
        [
            "turn 3, attempt 2: turn 4, attempt 1 must stand here after turn 3, attempt 1, where "
            "the decision was accept"
        ],
    ),
    (
        "an attempt after the stop",
        lambda good: replace(
            good,
            attempts=(
                *good.attempts[:-1],
                attempt(3, 1, decision="stop", **CUT),
                attempt(4, 1),
            ),
        ),
        [
            "turn 4, attempt 1: there must be none after turn 3, attempt 1, where the decision was "
            "stop"
        ],
    ),
    (
        "it does not begin at the beginning",
        lambda good: replace(good, attempts=good.attempts[1:]),
        ["turn 1, attempt 2: turn 1, attempt 1 must stand here"],
    ),
    (
        "a cut answer is accepted",
        record(5, **CUT),
        ["turn 3, attempt 1: the outcome is cut, and the decision accept"],
    ),
    (
        "kept of nothing",
        record(4, outcome="refused", cause=None),
        ["turn 2, attempt 2: the outcome is refused, and the decision keep"],
    ),
    ("no cause", record(3, cause=None), ["turn 2, attempt 1: it was cut, and no cause is told"]),
    (
        "a cause too many",
        record(1, cause=CutCause.SILENT),
        ["turn 1, attempt 1: the outcome is refused, and a cause of a cut is told: silent"],
    ),
    (
        "no kind",
        record(1, kind=None),
        ["turn 1, attempt 1: the outcome is refused, and no kind of failure is told"],
    ),
    (
        "a kind too many",
        record(5, kind=ErrorKind.AUTH),
        ["turn 3, attempt 1: the answer is complete, and a kind of failure is told: auth"],
    ),
    (
        "kept and tried again",
        record(3, kept="2 closed calls"),
        ["turn 2, attempt 1: the decision was retry, and something is kept: 2 closed calls"],
    ),
    # Budget and waits.
    (
        "one attempt too many",
        lambda good: replace(
            good,
            attempts=(
                *good.attempts[:2],
                *(attempt(2, number, decision="retry", **CUT) for number in (1, 2, 3)),
                replace(good.attempts[3], attempt=4),
                good.attempts[4],
            ),
        ),
        [
            "turn 2, attempt 3: retry, although all 3 (`max_attempts`) are used up",
            "turn 2, attempt 4: attempt 4 of 3 (`max_attempts`), adjusted ones not counted",
        ],
    ),
    (
        "a permanent kind is tried again",
        record(3, kind=ErrorKind.AUTH),
        ["turn 2, attempt 1: retry, although kind auth does not pass with time"],
    ),
    (
        "a wait before the first attempt",
        record(5, waited_seconds=0.1),
        ["turn 3, attempt 1: it waited 0.1 s, and only a retry may be waited for"],
    ),
    (
        "a wait before a corrected request",
        record(2, waited_seconds=2.0),
        ["turn 1, attempt 2: it waited 2 s, and only a retry may be waited for"],
    ),
    (
        "too long a wait",
        record(4, waited_seconds=121.0),
        [
            "turn 2, attempt 2: it waited 121 s, and at most 120 s (`longest_wait`) may be waited "
            "for"
        ],
    ),
    (
        "time runs backwards",
        record(4, waited_seconds=-1.0),
        ["turn 2, attempt 2: it waited -1 s, and at most 120 s (`longest_wait`) may be waited for"],
    ),
    # The history can be sent again.
    (
        "instructions in the middle",
        insert(2, SystemMessage(content="Be long.")),
        ["message 2 is of role system, which only the first may be"],
    ),
    (
        "an answer after the last",
        both(message(6, tool_calls=()), order(1, 2, 3, 4, 5, 6, 8), record(4, decision="accept")),
        [
            "turn 2, attempt 2: the outcome is cut, and the decision accept",
            "turn 2, attempt 2: the decision was accept, and something is kept: …",
            "turn 2, attempt 2: an answer without calls ends the run, and message 7 (assistant) "
            "follows",
        ],
    ),
    (
        "a kept text that nobody goes on with",
        both(message(6, tool_calls=()), order(1, 2, 3, 4, 5, 6, 8)),
        [
            "turn 2, attempt 2: a kept text is gone on with by the user, and message 7 (assistant) "
            "follows"
        ],
    ),
    (
        "nothing was kept",
        both(message(6, tool_calls=(), content=""), order(1, 2, 3, 4, 5, 6), without_last_record),
        ["turn 2, attempt 2: it was kept, and its message has neither text nor calls"],
    ),
    (
        "a user in the middle",
        insert(6, UserMessage(content="Faster!")),
        ["turn 1, attempt 2: message 6 (user) follows, and only the model's next answer may"],
    ),
    (
        "a message after the end",
        insert(9, UserMessage(content="Thanks.")),
        ["turn 3, attempt 1: an answer without calls ends the run, and message 9 (user) follows"],
    ),
    # Nothing is kept that was not sent: without what was sent, the sizes tell.
    (
        "more was kept than came",
        record(4, received_bytes=20),
        ["turn 2, attempt 2: its message holds 39 characters, and 20 bytes were received"],
    ),
]


@pytest.mark.parametrize(
    ("change", "says"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED]
)
def test_what_was_tampered_with_is_named(change: Change, says: list[str]) -> None:
    bad = change(GOOD)
    assert bad.problems() == says
    with pytest.raises(TranscriptError) as caught:
        check_transcript(bad.messages, bad.attempts)
    assert str(caught.value) == "\n".join(says)


KEPT = '{"path": "plan.md", "start_line": 1, "content": "one\\ntwo\\n"}'
CLOSED = KEPT[:-2] + 'three\\n"}'
LIE = stream(
    Answer(calls=(Call(name="note", arguments='{"text": "a'), *NOTES.calls[1:])), piece=1000
)

UNSENT: list[tuple[str, Change, list[str]]] = [
    (
        "another number of bodies",
        lambda good: replace(good, sent=good.sent[1:]),
        ["the ledger has 5 attempts; 4 bodies were sent"],
    ),
    (
        "more received than sent",
        record(3, received_bytes=10_000),
        ["turn 2, attempt 1: 10000 bytes are received, where 400 were sent"],
    ),
    # Accepted.
    (
        "text",
        message(8, content="Done!"),
        ["turn 3, attempt 1: its text is not what was sent: '!' for '.' at character 5"],
    ),
    (
        "a text that is not all",
        message(8, content="Do"),
        ["turn 3, attempt 1: its text is not what was sent: '' for 'ne.' at character 3"],
    ),
    (
        "arguments",
        call(3, 0, arguments='{"text": "A"}'),
        [
            "turn 1, attempt 2: call_1 (note) has text not as it was sent: 'A' for 'a' at "
            "character 1"
        ],
    ),
    (
        "fewer arguments",
        call(3, 0, arguments="{}"),
        ["turn 1, attempt 2: call_1 (note) lacks text, which was sent"],
    ),
    (
        "a call is lost",
        both(message(3, tool_calls=NOTE_CALLS[:1]), order(1, 2, 3, 4, 6, 7, 8)),
        ["turn 1, attempt 2: its calls are of note; those that were sent, of note, note"],
    ),
    (
        "another tool",
        both(call(3, 0, name="erase"), message(4, name="erase")),
        ["turn 1, attempt 2: its calls are of erase, note; those that were sent, of note, note"],
    ),
    (
        "the end was not sent",
        body(5, body_of(stream(Answer(text="Done.")))[:-100]),
        ["turn 3, attempt 1: it was accepted, and no end of the answer was sent"],
    ),
    (
        "a cut call, accepted and run",
        body(2, body_of(LIE)),
        ["turn 1, attempt 2: call_1 (note) was cut and answered without an error"],
    ),
    (
        "a cut call, accepted",
        both(body(2, body_of(LIE)), message(4, is_error=True)),
        ["turn 1, attempt 2: call_1 (note) was cut and accepted as a whole one"],
    ),
    # Kept.
    (
        "a letter of the kept text",
        call(6, 0, arguments=KEPT.replace("two", "twO")),
        [
            "turn 2, attempt 2: call_3 (write_file) has content not as it was sent: "
            r"'O\n' for 'o\nthr' at character 7"
        ],
    ),
    (
        "half a line",
        call(6, 0, arguments=KEPT.replace("two\\n", "two\\nth")),
        [
            "turn 2, attempt 2: call_3 (write_file) has content without its end: "
            "'\"one\\\\ntwo\\\\nth\"'"
        ],
    ),
    (
        "more than came",
        call(6, 0, arguments=CLOSED),
        [
            "turn 2, attempt 2: call_3 (write_file) has content not as it was sent: "
            r"'ee\n' for '' at character 12"
        ],
    ),
    (
        "half a path",
        both(
            call(6, 0, arguments='{"path": "pla"}'),
            body(4, body_of(cut_in(stream(WRITE, piece=1000), 'path\\": \\"pla'))),
        ),
        ["turn 2, attempt 2: call_3 (write_file) has path without its end: '\"pla\"'"],
    ),
    (
        "half a number",
        both(
            call(6, 0, arguments='{"start_line": 1}'),
            body(4, body_of(cut_in(stream(WRITE, piece=1000), 'start_line\\": 1'))),
        ),
        ["turn 2, attempt 2: call_3 (write_file) has start_line without its end: '1'"],
    ),
    (
        "another value",
        call(6, 0, arguments=KEPT.replace("1", "true")),
        [
            "turn 2, attempt 2: call_3 (write_file) has start_line not as it was sent: "
            "'true' for '1' at character 1"
        ],
    ),
    (
        "a field of its own",
        call(6, 0, arguments='{"mode": "append"}'),
        ["turn 2, attempt 2: call_3 (write_file) has mode, which was not sent"],
    ),
    (
        "a call of its own",
        both(call(6, 0, name="note"), message(7, name="note")),
        ["turn 2, attempt 2: its calls are of note; those that were sent, of write_file"],
    ),
    (
        "kept reasoning",
        message(6, reasoning="It is short."),
        [
            "turn 2, attempt 2: its reasoning is not what was sent: "
            "'short.' for 'long.' at character 7"
        ],
    ),
    (
        "the cut call was run",
        message(7, is_error=False),
        ["turn 2, attempt 2: call_3 (write_file) was cut and answered without an error"],
    ),
    (
        "a closed call was run with less",
        both(
            message(7, is_error=False),
            body(4, body_of(stream(WRITE))),
        ),
        [
            "turn 2, attempt 2: call_3 (write_file) has content without its end: "
            r"""'"one\\ntwo\\n"'"""
        ],
    ),
]


@pytest.mark.parametrize(
    ("change", "says"), [row[1:] for row in UNSENT], ids=[row[0] for row in UNSENT]
)
def test_what_was_not_sent_is_named(change: Change, says: list[str]) -> None:
    assert change(SENT).problems() == says


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        pytest.param(KEPT, CUT_WRITE, id="whole lines of a text that was cut"),
        pytest.param('{"path": "plan.md"}', CUT_WRITE, id="the closed fields"),
        pytest.param("{}", CUT_WRITE, id="nothing"),
        pytest.param(KEPT, stream(WRITE), id="whole lines of a text that somebody closed"),
        pytest.param(CLOSED, stream(WRITE), id="all, and the tool failed"),
        pytest.param('{"path": ""}', cut_in(stream(WRITE, piece=1000), 'path\\": \\"'), id="empty"),
    ],
)
def test_what_a_cut_call_may_keep(arguments: str, sent: Reply) -> None:
    kept = both(call(6, 0, arguments=arguments), body(4, body_of(sent)))(SENT)
    assert kept.problems() == []


def test_a_kept_text_is_gone_on_with_by_a_user_message() -> None:
    texts = both(
        order(1, 2, 6, 8),
        message(3, tool_calls=()),
        insert(4, UserMessage(content="Go on.")),
        lambda good: replace(
            good,
            attempts=(
                replace(good.attempts[2], turn=1),
                replace(good.attempts[3], turn=1),
                replace(good.attempts[4], turn=2),
            ),
            sent=good.sent[2:],
        ),
    )
    assert texts(GOOD).problems() == []
    assert texts(SENT).problems() == []


def test_limits_are_those_of_the_runs_policy() -> None:
    assert GOOD.problems(max_attempts=2) == []
    assert GOOD.problems(max_attempts=1) == [
        "turn 2, attempt 1: retry, although all 1 (`max_attempts`) are used up",
        "turn 2, attempt 2: attempt 2 of 1 (`max_attempts`), adjusted ones not counted",
    ]
    assert GOOD.problems(longest_wait=1.0) == [
        "turn 2, attempt 2: it waited 1.5 s, and at most 1 s (`longest_wait`) may be waited for"
    ]


def test_all_problems_are_told() -> None:
    bad = both(record(5, waited_seconds=3.0), message(7, is_error=False))(GOOD)
    assert len(bad.problems()) == 2


def test_an_earlier_conversation_may_stand_before_the_run() -> None:
    first = GOOD.messages
    said = (UserMessage(content="More."), AssistantMessage(content="No more."))
    second = Transcript(messages=(*first, *said), attempts=(attempt(1, 1),))
    assert second.problems() == []
    assert second.problems(earlier=first) == []
    assert second.problems(earlier=first[1:]) == []
    assert second.problems(earlier=first[2:]) == [
        "the conversation does not begin with the earlier one that was given"
    ]
    assert second.problems(earlier=first[:-1]) == [
        "1 attempts were accepted or kept, and the model has 2 messages in the conversation since "
        "the earlier one"
    ]


def test_a_run_that_goes_on_without_a_prompt_needs_the_earlier_conversation() -> None:
    going_on = replace(GOOD, attempts=(attempt(1, 1),))
    (problem,) = going_on.problems()
    assert problem.endswith("then give `earlier`")
    assert going_on.problems(earlier=GOOD.messages[:-1]) == []


def test_a_run_may_end_before_anything_was_said() -> None:
    refused = attempt(1, 1, outcome="refused", decision="stop", kind=ErrorKind.AUTH)
    silent = Transcript(messages=GOOD.messages[:2], attempts=(refused,))
    assert silent.problems() == []


def test_it_shares_no_code_with_what_it_judges() -> None:
    modules = [Path(str(module.__file__)) for module in (sent, transcript)]
    imported = {
        node.module
        for module in modules
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("agentcore")
    }
    assert imported == {"agentcore.ledger", "agentcore.messages", "agentcore.testing.sent"}


# --- real runs ------------------------------------------------------------------------------


@tool
def note(text: str) -> str:
    """Keep a note."""
    if not text:
        raise ValueError("nothing to note")
    return f"noted {text}"


async def no_wait(_: float) -> None:
    """Waits are recorded in the ledger; nobody sits them out."""


@dataclass(kw_only=True)
class Player:
    workspace: Path

    async def __call__(
        self, replies: Sequence[Reply], *, adapter: type[Local] = Local, **options: Any
    ) -> Transcript:
        script = iter(replies)

        def respond(request: RecordedRequest) -> Reply:
            return next(script, stream(Answer(text="the script is over")))

        async with Gateway(respond=respond) as gateway:
            agent = Agent(
                "m",
                adapter=adapter(base_url=gateway.base_url),
                workspace=self.workspace,
                tools=[note, write_file],
                sleep=no_wait,
                **options,
            )
            ended = await outcome_of(agent)
            return replace(ended, sent=tuple(bytes(request.sent) for request in gateway.requests))


async def outcome_of(agent: Agent) -> Transcript:
    try:
        result = await agent.run("Go on.")
    except RunError as error:
        return Transcript(messages=error.messages, attempts=error.attempts)
    return Transcript(messages=result.messages, attempts=result.attempts)


@pytest.fixture
def play(tmp_path: Path) -> Player:
    return Player(workspace=tmp_path)


def noting(*words: str) -> Answer:
    return Answer(
        calls=tuple(
            Call(name="note", arguments=json.dumps({"text": word}), id=f"call_{position}")
            for position, word in enumerate(words)
        )
    )


def writing(path: str, lines: int) -> Answer:
    content = "".join(f'line {number}: "é😀"\n' for number in range(lines))
    arguments = json.dumps({"path": path, "mode": "create", "content": content})
    return Answer(text="I write.", calls=(Call(name="write_file", arguments=arguments),))


ENDINGS: dict[str, Sequence[Step]] = {
    "lost": NETWORK_LOST,
    "reset": RESET,
    "fin": FIN,
    "end": CLEAN_END,
    "unknown": in_stream_error({"error": {"message": "Lorem ipsum."}}),
    "auth": in_stream_error({"error": {"code": 401, "message": "Unauthorized"}}),
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("ending", ENDINGS)
async def test_whatever_a_lost_connection_makes_of_a_run_passes(
    play: Player, ending: str, times: int
) -> None:
    for answer in (writing("plan.md", 30), noting("a", "", "c")):
        good = stream(answer)
        for share in (0.0, 0.1, 0.5, 0.98, 1.0):
            bad = cut(good, int(len(body_of(good)) * share), ENDINGS[ending])
            run = await play([stream(noting("begin")), *[bad] * times, good])
            assert run.problems() == []
            assert replace(run, sent=()).problems() == []


REFUSED = status(400, {"error": {"message": "Unrecognized request argument: stream_options"}})
LIMITED = status(429, {"error": {"message": "slow down"}}, {"retry-after": "120"})
CAPPED = stream(replace(writing("plan.md", 30), finish_reason="length"))
DOUBLE = Call(name="note", arguments=json.dumps('{"text": "twice"}'))
COMMA = Call(name="note", arguments='{"text": "a,}",}', id="call_2")
FENCED = Call(name="note", arguments='```json\n{"text": "x"}\n```', id="call_3")


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([REFUSED, LIMITED, stream(noting("a"))], id="refused and limited"),
        pytest.param([LIMITED] * 3, id="given up"),
        pytest.param([status(401, "")], id="stopped"),
        pytest.param([stream(Answer())], id="an empty answer"),
        pytest.param([stream(Answer(reasoning="Hm."))], id="nothing but reasoning"),
        pytest.param([whole(noting("a", "b")), whole(Answer(text="é"))], id="whole answers"),
        pytest.param([CAPPED], id="capped"),
        pytest.param([stream(Answer(calls=(DOUBLE, COMMA, FENCED)))], id="mended spelling"),
        pytest.param([stream(noting("a"))] * 3, id="the same id again"),
        pytest.param([stream(Answer(calls=(Call(name="no", arguments=""),)))], id="no such tool"),
        pytest.param([stream(noting(""))] * 4, id="the same failing call"),
        pytest.param([replace(CAPPED, steps=(*CAPPED.steps[:9], Pause(9)))] * 3, id="stalled"),
    ],
)
async def test_whatever_else_may_come_passes(play: Player, replies: Sequence[Reply]) -> None:
    run = await play(replies, clocks=Clocks(transport=0.1))
    assert run.problems() == []
    assert replace(run, sent=()).problems() == []


TERMINAL: JsonObject = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
FINISHED = b'{"content": "Hi."}, "finish_reason": "stop"}]}\r\n'


def raw(*chunks: JsonObject | bytes) -> Reply:
    return Reply(
        steps=tuple(
            Send(part if isinstance(part, bytes) else f"data: {json.dumps(part)}\n\n".encode())
            for part in chunks
        )
    )


def calling(*deltas: JsonObject) -> JsonObject:
    return {"choices": [{"delta": {"tool_calls": [*deltas]}}]}


def delta(name: str, arguments: JsonValue, **fields: JsonValue) -> JsonObject:
    return {"function": {"name": name, "arguments": arguments}, **fields}


DONE = b"data: [DONE]\n\n"
ODD = [
    pytest.param(
        raw(b"\xef\xbb\xbf: hello\r\n\r\n", b'data: {"choices": [{"delta": ', FINISHED),
        id="a byte order mark, a comment, and no last blank line",
    ),
    pytest.param(
        raw(
            calling(delta("note", "", index=0, id="a"), delta("note", "", index=1, id="b")),
            calling(delta("", '{"text":', index=1), delta("", '{"text"', index=0)),
            calling(delta("", ' "b"}', index=1), delta("", ': "a"}', index=0)),
            TERMINAL,
        ),
        id="interleaved",
    ),
    pytest.param(
        raw(
            calling(delta("note", '{"te', id="x1")),
            calling(delta("note", 'xt": "a"}', id="x2")),
            calling(delta("note", '{"text": "b"}', id="y")),
            TERMINAL,
        ),
        id="fresh ids, no index, the name again",
    ),
    pytest.param(
        raw(
            calling(delta("note", "{}", index=0, id="a")),
            calling(delta("", '{"text": "a"}', index=0)),
            TERMINAL,
        ),
        id="opened with an empty object",
    ),
    pytest.param(
        raw(
            calling(delta("note", '{"text": "a"}', index=0, id="a")),
            calling(delta("note", {"text": "b"}, index=0, id="b")),
            TERMINAL,
        ),
        id="one index, and an object as it is",
    ),
    pytest.param(
        raw(
            calling(delta("note", '{"text": "a"}')),
            calling(delta("write_file", '{"path": "a"}')),
            TERMINAL,
        ),
        id="neither index nor id, and another name",
    ),
    pytest.param(
        raw(
            calling(delta("note", "", index=0, id="a"), delta("note", "", index=0, id="b")),
            calling(delta("", '{"text": "b"}', index=0)),
            TERMINAL,
        ),
        id="two openings at one index",
    ),
    pytest.param(
        raw(
            calling(delta("note", "{}", index=0)),
            calling(delta("note", '{"text": "a"}', index=0)),
            TERMINAL,
        ),
        id="opened with an empty object, and the name again",
    ),
    pytest.param(
        raw(
            calling(delta("", '{"text": "a"}', index=0)),
            calling(delta("note", "{}", index=1)),
            DONE,
        ),
        id="a call without a name",
    ),
    pytest.param(
        raw(
            {"choices": [{"delta": {"content": "Hello"}}]},
            {"choices": [{"message": {"content": "Hello world"}, "finish_reason": "stop"}]},
        ),
        id="a whole message after its deltas",
    ),
    pytest.param(
        raw(
            {"choices": [{"delta": {"content": [{"text": "a"}, {"thinking": [{"text": "b"}]}]}}]},
            {"choices": [{"delta": {"content": [{"thinking": "c"}], "reasoning": "d"}}]},
            {"choices": [{"delta": {"refusal": "e"}, "finish_reason": "stop"}]},
        ),
        id="content in parts, and a refusal",
    ),
    pytest.param(
        raw(
            b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"\\ude00 \\ud83d \xff"}}]}\n\n',
            calling(delta("note", '{"text": "\\ud83d"}', index=0)),
            TERMINAL,
        ),
        id="halves of characters",
    ),
    pytest.param(raw(b"data: [1, 2]\n\n", b"data: {\n\n", TERMINAL), id="no answer at all"),
]


@pytest.mark.parametrize("reply", ODD)
async def test_what_odd_servers_send_is_read_as_the_loop_reads_it(
    play: Player, reply: Reply
) -> None:
    run = await play([reply])
    assert run.problems() == []


async def test_all_arguments_so_far_in_each_delta(play: Player) -> None:
    class Cumulative(Local):
        capabilities = Capabilities(cumulative_arguments=True, family_limits=False)

    reply = raw(
        *(calling(delta("note", '{"text": "a"}'[:size], index=0)) for size in (3, 9, 13)), TERMINAL
    )
    run = await play([reply], adapter=Cumulative)
    assert run.problems() == []


# --- tampering with a real run --------------------------------------------------------------


async def eventful(play: Player) -> Transcript:
    """Two notes, a write that is cut twice and kept, the write, the end."""
    good = stream(writing("plan.md", 30))
    bad = cut(good, len(body_of(good)) // 2, NETWORK_LOST)
    run = await play([stream(noting("a", "b")), bad, bad, good])
    roles = [said.role for said in run.messages]
    assert roles == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]
    assert [r.decision for r in run.attempts] == ["accept", "retry", "keep", "accept", "accept"]
    assert run.problems() == []
    return run


async def test_a_message_lost_doubled_or_moved_is_found(play: Player) -> None:
    run = await eventful(play)
    places = list(range(1, len(run.messages) + 1))
    for at in places:
        assert order(*places[: at - 1], *places[at:])(run).problems(), f"lost: {at}"
        # A prompt may follow a prompt: the first had no answer.
        if at > 1:
            assert order(*places[:at], *places[at - 1 :])(run).problems(), f"doubled: {at}"
    for at in places[:-1]:
        moved = order(*places[: at - 1], at + 1, at, *places[at + 1 :])(run)
        assert moved.problems(), f"moved: {at}"


async def test_a_record_lost_doubled_or_moved_is_found(play: Player) -> None:
    run = await eventful(play)
    for at in range(len(run.attempts)):
        before, one, after = run.attempts[:at], run.attempts[at], run.attempts[at + 1 :]
        for attempts in ((*before, *after), (*before, one, one, *after)):
            assert replace(run, attempts=attempts, sent=()).problems()
        if after:
            attempts = (*before, after[0], one, *after[1:])
            assert replace(run, attempts=attempts, sent=()).problems()


async def test_another_decision_is_found(play: Player) -> None:
    run = await eventful(play)
    for at, one in enumerate(run.attempts, start=1):
        for decision in {"accept", "retry", "adjust", "keep", "stop"} - {one.decision}:
            # Of a retry that did not wait one cannot tell whether it was an adjusted one.
            if (one.decision, decision) != ("retry", "adjust") or run.attempts[at].waited_seconds:
                assert record(at, decision=decision)(run).problems(), f"{at}: {decision}"


async def test_a_longer_wait_is_found(play: Player) -> None:
    run = await eventful(play)
    for at in range(1, len(run.attempts) + 1):
        assert record(at, waited_seconds=130.0)(run).problems()


async def test_the_answer_to_the_cut_call_as_a_success_is_found(play: Player) -> None:
    run = message(6, is_error=False)(await eventful(play))
    says = ["turn 2, attempt 2: call_0001 (write_file) was cut and answered without an error"]
    assert run.problems() == says
    assert replace(run, sent=()).problems() == says


async def test_one_character_of_what_the_model_said_is_found(play: Player) -> None:
    run = await eventful(play)
    for at, said in enumerate(run.messages, start=1):
        if not isinstance(said, AssistantMessage):
            continue
        if said.content:
            assert message(at, content=other(said.content))(run).problems()
        for position, made in enumerate(said.tool_calls):
            fields: dict[str, str] = json.loads(made.arguments)
            for name, value in fields.items():
                arguments = json.dumps({**fields, name: other(value)})
                assert call(at, position, arguments=arguments)(run).problems()


def other(text: str) -> str:
    """The same text, but for one character in its middle."""
    at = len(text) // 2
    return text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :]


# --- any run at all -------------------------------------------------------------------------


@tool(draft="content")
def save(path: str, content: str = "") -> str:
    """Save nothing."""
    return f"saved {len(content)} characters as {path}"


def own_answers() -> st.SearchStrategy[Answer]:
    """Answers whose calls can be run."""
    arguments = st.fixed_dictionaries({"path": texts()}, optional={"content": texts()})
    calls = st.lists(
        st.tuples(st.just("note"), st.builds(lambda text: {"text": text}, texts()))
        | st.tuples(st.just("save"), arguments),
        max_size=3,
    )
    return st.builds(
        lambda text, calls: Answer(
            text=text,
            calls=tuple(
                Call(name=name, arguments=json.dumps(fields), id=f"call_{number}")
                for number, (name, fields) in enumerate(calls)
            ),
        ),
        texts(),
        calls,
    )


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """What is sent for a request: an answer, often cut, often with an error at its end."""
    answer = draw(own_answers() | answers())
    is_whole = draw(st.integers(0, 4)) == 0
    reply = whole(answer) if is_whole else stream(answer, piece=draw(st.integers(1, 20)))
    body = body_of(reply)
    if draw(st.booleans()):
        body = body[: draw(cuts(body))]
    ending = draw(st.sampled_from([CLEAN_END, NETWORK_LOST, ENDINGS["unknown"]]))
    return body + body_of(Reply(steps=tuple(ending)))


@settings(max_examples=60)
@given(st.lists(bodies(), max_size=6), st.integers(1, 3))
def test_any_run_passes(script: Sequence[bytes], max_attempts: int) -> None:
    sent: list[bytes] = []

    def handle(_: httpx2.Request) -> httpx2.Response:
        last = body_of(stream(Answer(text="the script is over")))
        sent.append([*script, last][min(len(sent), len(script))])
        kind = "application/json" if sent[-1].startswith(b"{") else "text/event-stream"
        return httpx2.Response(200, headers={"content-type": kind}, content=sent[-1])

    agent = Agent(
        "m",
        adapter=Local(base_url="http://127.0.0.1:9/v1"),
        transport=httpx2.MockTransport(handle),
        tools=[note, save],
        policy=Policy(max_attempts=max_attempts),
        sleep=no_wait,
    )
    run = replace(anyio.run(outcome_of, agent), sent=tuple(sent))
    assert run.problems(max_attempts=max_attempts) == []
    assert replace(run, sent=()).problems(max_attempts=max_attempts) == []
