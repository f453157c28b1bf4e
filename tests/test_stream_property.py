"""The central promise: block boundaries never matter; where a stream ends always does."""

from collections.abc import Iterable
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from pydantic_core import from_json

from agentcore.accumulator import Accumulator
from agentcore.events import Done, InStreamError
from agentcore.kinds import CutCause
from agentcore.providers import Local
from agentcore.sse import SSEDecoder
from agentcore.testing import Answer, Call, stream
from agentcore.testing.strategies import answers, chunkings, cuts
from agentcore.verdict import Complete, Cut, Verdict, judge

EMOJI = Answer(
    text="é😀", calls=(Call(name="write_file", arguments='{"a": "\\ud83d\\ude00 \\n é"}'),)
)


def verdict_on(blocks: Iterable[bytes], *, dropped: bool = False) -> Verdict:
    """What a turn makes of a body: one that ended by itself, or one that was dropped."""
    decoder, accumulator = SSEDecoder(), Accumulator()
    events = [event for block in blocks for event in decoder.feed(block)]
    for name, data in events if dropped else [*events, *decoder.finish()]:
        if data == b"[DONE]":
            accumulator.feed(Done())
            continue
        try:
            value: JsonValue = from_json(data)
        except ValueError:
            accumulator.feed(InStreamError(data.decode(errors="replace")))
            continue
        if isinstance(value, dict):
            for decoded in Local().decode(name, value):
                accumulator.feed(decoded)
    numbers = count()
    return judge(
        accumulator.partial(lambda: f"new{next(numbers)}"),
        finish_reason=accumulator.finish_reason,
        done=accumulator.done,
        done_is_terminal=False,
        failure=CutCause.DROPPED if dropped or accumulator.error else None,
        usage=accumulator.usage,
        output_limit=None,
    )


def end_of_finish(body: bytes) -> int:
    """Where the data of the event with the finish reason ends; quotes in texts are escaped."""
    return body.index(b"\n\n", body.index(b'"finish_reason": "'))


def test_an_answer_comes_through_as_it_was_given() -> None:
    answer = Answer(text="x", reasoning="hm", calls=(Call(name="f", arguments='{"a": 1}', id="c"),))
    verdict = verdict_on([stream(answer, piece=3).body])

    assert isinstance(verdict, Complete)
    message = verdict.message
    assert (message.content, message.reasoning) == ("x", "hm")
    assert [(c.id, c.name, c.arguments) for c in message.tool_calls] == [("c", "f", '{"a": 1}')]


@settings(deadline=None)
@given(answers(), st.integers(1, 20), st.data())
def test_block_boundaries_never_matter(answer: Answer, piece: int, data: st.DataObject) -> None:
    body = stream(answer, piece=piece).body
    verdict = verdict_on([body])

    assert isinstance(verdict, Complete)
    assert verdict.message.content == answer.text
    assert [c.arguments for c in verdict.message.tool_calls] == [c.arguments for c in answer.calls]
    assert verdict_on(data.draw(chunkings(body))) == verdict


@settings(deadline=None)
@given(answers(), st.integers(1, 20), st.booleans(), st.data())
def test_cut_before_the_end_of_the_finish_it_is_never_complete(
    answer: Answer, piece: int, dropped: bool, data: st.DataObject
) -> None:
    body = stream(answer, piece=piece).body
    arrived = body[: data.draw(cuts(body[: end_of_finish(body) - 1]))]

    verdict = verdict_on([arrived], dropped=dropped)

    assert isinstance(verdict, Cut)
    assert answer.text.startswith(verdict.partial.text)


@settings(deadline=None)
@given(answers(), st.integers(1, 20), st.booleans(), st.data())
def test_cut_after_the_finish_it_is_the_uncut_message(
    answer: Answer, piece: int, dropped: bool, data: st.DataObject
) -> None:
    body = stream(answer, piece=piece).body
    uncut = verdict_on([body])
    # A dropped event counts with its blank line; at a clean end it counts without.
    begin = end_of_finish(body) + (len(b"\n\n") if dropped else 0)
    arrived = body[: begin + data.draw(cuts(body[begin:]))]

    verdict = verdict_on([arrived], dropped=dropped)

    assert isinstance(verdict, Complete)
    assert isinstance(uncut, Complete)
    assert verdict.message == uncut.message


def test_every_single_cut_of_one_answer() -> None:
    body = stream(EMOJI, piece=2).body
    end = end_of_finish(body)

    complete = {at for at in range(len(body) + 1) if isinstance(verdict_on([body[:at]]), Complete)}

    assert complete == set(range(end, len(body) + 1))
