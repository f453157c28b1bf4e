"""However an answer is spelled on the wire, it is the same answer."""

import json
from collections.abc import Collection
from itertools import count

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import JsonValue
from pydantic_core import from_json

from agentcore import ProviderAdapter
from agentcore.accumulator import Accumulator
from agentcore.events import Done
from agentcore.messages import Usage
from agentcore.providers import Capabilities, Local
from agentcore.sse import SSEDecoder
from agentcore.testing import Answer, Call, Pause, Quirk, Reply, Send, stream, whole
from agentcore.testing.strategies import answers
from agentcore.verdict import Complete, judge

CALLS = (
    Call(name="write_file", arguments='{"path": "é.md", "content": "a\\n😀 {}\\"b"}', id="call_1"),
    Call(name="write_file", arguments='{"path": "b.md", "content": "", "n": [1.5, null]}', id="c2"),
    Call(name="list_files", arguments="{}", id="3"),
)


class Repeating(Local):
    """An endpoint whose every delta repeats all argument text so far."""

    capabilities = Capabilities(cumulative_arguments=True)


def adapter_for(quirks: Collection[Quirk]) -> ProviderAdapter:
    return Repeating() if Quirk.CUMULATIVE_ARGUMENTS in quirks else Local()


def payloads(reply: Reply) -> list[JsonValue]:
    """The JSON values of a stream's events, without `[DONE]`; or the one of a plain body."""
    if reply.headers["content-type"] == "application/json":
        return [from_json(reply.body)]
    events = SSEDecoder().feed(reply.body)
    return [from_json(data) for _, data in events if data != b"[DONE]"]


def received(reply: Reply, adapter: ProviderAdapter | None = None) -> Complete:
    """What a client makes of it, complete as it must be."""
    adapter = adapter or Local()
    accumulator = Accumulator(cumulative_arguments=adapter.capabilities.cumulative_arguments)
    for chunk in payloads(reply):
        assert isinstance(chunk, dict)
        for decoded in adapter.decode("", chunk):
            accumulator.feed(decoded)
    accumulator.feed(Done())
    numbers = count()
    verdict = judge(
        accumulator.partial(lambda: f"new{next(numbers)}"),
        finish_reason=accumulator.finish_reason,
        done=accumulator.done,
        done_is_terminal=False,
        failure=None,
        usage=accumulator.usage,
        output_limit=None,
        no_argument_tools={"write_file", "read_file", "list_files"},
    )
    assert isinstance(verdict, Complete)
    return verdict


def normal(text: str) -> str:
    """Argument text as another encoder spells the same JSON."""
    return json.dumps(json.loads(text))


# --- examples -------------------------------------------------------------------------------


def test_a_stream_whole() -> None:
    answer = Answer(
        text="Hi.",
        reasoning="hm",
        reasoning_details=({"type": "reasoning.text", "text": "hm", "signature": "s"},),
        calls=(Call(name="f", arguments='{"a": 1}', id="c1"),),
        usage=Usage(input_tokens=5, output_tokens=7),
    )

    def chunk(delta: JsonValue, reason: str | None = None) -> JsonValue:
        choice: JsonValue = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "gen-1", "object": "chat.completion.chunk", "choices": [choice]}

    def call(fields: dict[str, JsonValue]) -> JsonValue:
        return chunk({"tool_calls": [{"index": 0, **fields}]})

    usage: JsonValue = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    assert payloads(stream(answer, piece=6)) == [
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}]}),
        chunk({"content": "Hi."}),
        call({"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}),
        call({"function": {"arguments": '{"a": '}}),
        call({"function": {"arguments": "1}"}}),
        chunk({}, "tool_calls"),
        {"id": "gen-1", "choices": [], "usage": usage},
    ]


def test_a_plain_answer_whole() -> None:
    answer = Answer(
        text="Hi.",
        reasoning="hm",
        calls=(Call(name="f", arguments='{"a": 1}', id="c1"),),
        usage=Usage(input_tokens=5, output_tokens=7),
    )
    reply = whole(answer)
    function: JsonValue = {"name": "f", "arguments": '{"a": 1}'}
    assert reply.headers == {"content-type": "application/json"}
    assert payloads(reply) == [
        {
            "id": "gen-1",
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "Hi.",
                        "reasoning_content": "hm",
                        "tool_calls": [
                            {"index": 0, "id": "c1", "type": "function", "function": function}
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        }
    ]


def test_a_plain_answer_takes_its_time_first() -> None:
    reply = whole(Answer(text="Hi."), pace=2.0)
    assert reply.steps[0] == Pause(2.0)
    assert received(reply).message.content == "Hi."


def test_a_finish_reason_may_lie() -> None:
    assert Answer().reason == "stop"
    assert Answer(calls=CALLS).reason == "tool_calls"
    assert Answer(calls=CALLS, finish_reason="length").reason == "length"


def test_a_stream_ends_with_done_unless_it_is_told_not_to() -> None:
    answer = Answer(text="Hi.")
    assert stream(answer).body == stream(answer, done=False).body + b"data: [DONE]\n\n"


def test_a_pace_is_a_pause_after_every_delta() -> None:
    reply = stream(Answer(text="abc", calls=CALLS[:1]), piece=1, pace=0.5, done=False)
    kinds = [type(step) for step in reply.steps]
    assert kinds == [Send, Pause] * (len(kinds) // 2)
    assert reply.body == stream(Answer(text="abc", calls=CALLS[:1]), piece=1, done=False).body


def test_each_step_names_the_arguments_in_it() -> None:
    reply = stream(Answer(text="abc", calls=CALLS), piece=5)
    arguments = [step.arguments for step in reply.steps if isinstance(step, Send)]
    assert "".join(arguments) == "".join(call.arguments for call in CALLS)
    assert max(map(len, arguments)) == 5


# --- quirks ---------------------------------------------------------------------------------


def fragments(quirk: Quirk, number_of_calls: int = 2) -> list[dict[str, JsonValue]]:
    """The tool-call deltas of calls of two fragments each, after an opening."""
    calls = tuple(
        Call(name="f", arguments="{}", id=f"c{number}") for number in range(number_of_calls)
    )
    found: list[dict[str, JsonValue]] = []
    for chunk in payloads(stream(Answer(calls=calls), piece=1, quirks=[quirk])):
        match chunk:
            case {"choices": [{"delta": {"tool_calls": [dict(fragment)]}}]}:
                found.append(fragment)
            case _:
                pass
    return found


def test_names_and_ids_that_are_repeated_or_missing() -> None:
    def ids(quirk: Quirk) -> list[JsonValue]:
        return [fragment.get("id", "-") for fragment in fragments(quirk)]

    def names(quirk: Quirk) -> list[JsonValue]:
        functions = [fragment["function"] for fragment in fragments(quirk)]
        return [f.get("name", "-") for f in functions if isinstance(f, dict)]

    assert ids(Quirk.INDEX_FROM_ONE) == ["c0", "-", "-", "c1", "-", "-"]
    assert ids(Quirk.ID_IN_EVERY_DELTA) == ["c0", "c0", "c0", "c1", "c1", "c1"]
    assert ids(Quirk.FRESH_IDS) == ["c0-0", "c0-1", "c0-2", "c1-0", "c1-1", "c1-2"]
    assert ids(Quirk.NO_ID) == ["-"] * 6
    assert ids(Quirk.NULL_FIELDS) == ["c0", None, None, "c1", None, None]
    assert names(Quirk.NO_ID) == ["f", "-", "-", "f", "-", "-"]
    assert names(Quirk.NAME_IN_EVERY_DELTA) == ["f"] * 6
    assert names(Quirk.NULL_FIELDS) == ["f", None, None, "f", None, None]


def test_indexes_that_are_missing_reused_or_begin_at_one() -> None:
    def indexes(quirk: Quirk) -> list[JsonValue]:
        return [fragment.get("index", "-") for fragment in fragments(quirk)]

    assert indexes(Quirk.NO_ID) == [0, 0, 0, 1, 1, 1]
    assert indexes(Quirk.NO_INDEX) == ["-"] * 6
    assert indexes(Quirk.INDEX_REUSED) == [0] * 6
    assert indexes(Quirk.INDEX_FROM_ONE) == [1, 1, 1, 2, 2, 2]


def test_arguments_in_other_spellings() -> None:
    def arguments(quirk: Quirk) -> list[JsonValue]:
        functions = [fragment["function"] for fragment in fragments(quirk, 1)]
        return [f["arguments"] for f in functions if isinstance(f, dict)]

    assert arguments(Quirk.NO_ID) == ["", "{", "}"]
    assert arguments(Quirk.ARGUMENTS_AS_OBJECT) == [{}]
    assert arguments(Quirk.ONE_DELTA_A_CALL) == ["{}"]
    assert arguments(Quirk.CUMULATIVE_ARGUMENTS) == ["", "{", "{}"]


def test_a_whole_message_comes_in_one_event() -> None:
    answer = Answer(text="Hi.", calls=CALLS[:1], usage=Usage(output_tokens=1))
    message, usage = payloads(stream(answer, quirks=[Quirk.WHOLE_MESSAGE]))
    assert isinstance(message, dict)
    assert isinstance(usage, dict)
    (plain,) = payloads(whole(answer))
    assert isinstance(plain, dict)
    match message["choices"], plain["choices"]:
        case [dict(streamed)], [dict(unstreamed)]:
            assert streamed == {**unstreamed, "delta": {}}
        case _:
            pytest.fail("one choice each")


def assert_same(answer: Answer, piece: int, quirks: Collection[Quirk]) -> None:
    """A client makes the same of it, whatever its spelling."""
    complete = received(stream(answer, piece=piece, quirks=quirks), adapter_for(quirks))
    message = complete.message
    is_encoded_again = Quirk.ARGUMENTS_AS_OBJECT in quirks and Quirk.WHOLE_MESSAGE not in quirks
    spelled = normal if is_encoded_again else str
    assert (message.content, message.reasoning) == (answer.text, answer.reasoning)
    assert [(call.name, spelled(call.arguments)) for call in message.tool_calls] == [
        (call.name, spelled(call.arguments)) for call in answer.calls
    ]
    assert len({call.id for call in message.tool_calls}) == len(answer.calls)
    assert complete.usage == answer.usage


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("number_of_calls", [0, 1, 2, 3])
@pytest.mark.parametrize("quirk", Quirk)
def test_a_quirk_changes_no_answer(quirk: Quirk, number_of_calls: int, piece: int) -> None:
    for calls in (CALLS[:number_of_calls], CALLS[::-1][:number_of_calls]):
        answer = Answer(text="é😀", reasoning="hm", calls=calls, usage=Usage(output_tokens=3))
        assert_same(answer, piece, [quirk])


NAMELESS = {Quirk.NO_ID, Quirk.FRESH_IDS}
PLACELESS = {Quirk.NO_INDEX, Quirk.INDEX_REUSED}


@given(answers(), st.integers(1, 20), st.sets(st.sampled_from(Quirk), max_size=4))
def test_any_quirks_together_change_no_answer(
    answer: Answer, piece: int, quirks: set[Quirk]
) -> None:
    # Where neither an index nor an id tells two calls apart, nothing is promised.
    assume(len(answer.calls) < 2 or not (quirks & NAMELESS and quirks & PLACELESS))
    if Quirk.ARGUMENTS_AS_OBJECT in quirks and quirks & PLACELESS:
        # An object without fields is taken for the opening of a call: it closes none.
        assume(all(call.arguments != "{}" for call in answer.calls))
    if Quirk.WHOLE_MESSAGE in quirks:
        assume(answer.text or answer.calls)  # reasoning alone is no message
    assert_same(answer, piece, quirks)


@given(answers())
def test_a_plain_answer_is_the_same_as_a_stream(answer: Answer) -> None:
    assume(answer.text or answer.calls)
    assert received(whole(answer)) == received(stream(answer))
