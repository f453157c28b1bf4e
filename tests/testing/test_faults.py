"""Faults arrive at exactly the place that they name, and what comes after it is not lost."""

import json
import re

import pytest
from hypothesis import assume, example, given, reject, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from pydantic_core import from_json

from agentcore import ProviderAdapter
from agentcore.accumulator import Accumulator
from agentcore.providers import Capabilities, Local
from agentcore.sse import SSEDecoder
from agentcore.testing import (
    CLEAN_END,
    COMMENT,
    EMPTY_DELTA,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Call,
    Pause,
    Place,
    Quirk,
    Reply,
    Send,
    Step,
    after_arguments,
    after_bytes,
    after_events,
    after_line,
    before_finish,
    before_value,
    cut,
    drop_after,
    drop_when_idle,
    hold_arguments_back,
    in_packets,
    inside_escape,
    inside_event,
    inside_key,
    inside_surrogates,
    inside_utf8,
    inside_value,
    stall,
    status,
    stream,
    whole,
    with_bom,
    with_crlf,
    without_last_blank_line,
)
from agentcore.testing.strategies import answers
from agentcore.verdict import Partial

TEXT = 'say "é",\n\tthen 😀\\n {"content": "no"}\nand the last\n'
FIELDS: dict[str, JsonValue] = {
    "note": 'here is, "content": "not this"',
    "meta": {"content": "nor\nthis", "more": [{"content": "nor\nthis"}, "content"]},
    "path": "src/plän.py",
    "content": TEXT,
    "count": 3,
}


def writing(*, ascii_only: bool = True, piece: int = 7, others: int = 0) -> Reply:
    """A text, a call with the fields above, and other calls after it."""
    first = Call(name="write_file", arguments=json.dumps(FIELDS, ensure_ascii=ascii_only))
    more = [Call(name="read_file", arguments='{"path": "b\\n"}', id=f"c{n}") for n in range(others)]
    return stream(Answer(text="On it.", calls=(first, *more)), piece=piece)


WRITING = pytest.mark.parametrize(
    "reply",
    [
        pytest.param(writing(ascii_only=ascii_only, piece=piece, others=2), id=f"{name}-{piece}")
        for name, ascii_only in (("ascii", True), ("utf-8", False))
        for piece in (1, 7, 10_000)
    ],
)


def sends(reply: Reply) -> list[Send]:
    return [step for step in reply.steps if isinstance(step, Send)]


def sent(reply: Reply) -> str:
    """The argument text that arrives, by the reply's own account."""
    return "".join(step.arguments for step in sends(reply))


def received(reply: Reply, adapter: ProviderAdapter | None = None) -> Partial:
    """What a client makes of the body; an event that an end cut in two is lost."""
    adapter = adapter or Local()
    decoder = SSEDecoder()
    accumulator = Accumulator(cumulative_arguments=adapter.capabilities.cumulative_arguments)
    for name, data in (*decoder.feed(reply.body), *decoder.finish()):
        try:
            chunk: JsonValue = from_json(data)
        except ValueError:
            continue
        if isinstance(chunk, dict):
            for decoded in adapter.decode(name, chunk):
                accumulator.feed(decoded)
    return accumulator.partial(lambda: "new")


def before(place: Place, reply: Reply, adapter: ProviderAdapter | None = None) -> str:
    """The argument text before a place, on which the reply and a client agree."""
    head = cut(reply, at=place, by=CLEAN_END)
    arrived = "".join(call.arguments for call in received(head, adapter).calls)
    assert arrived == sent(head)
    return arrived


def fields_of(prefix: str) -> dict[str, JsonValue]:
    """The fields of the beginning of some arguments; the last may be a beginning itself."""
    fields = from_json(prefix, allow_partial="trailing-strings")
    assert isinstance(fields, dict)
    return fields


def seconds_of(reply: Reply) -> float:
    return sum(step.seconds for step in reply.steps if isinstance(step, Pause))


# --- places in the arguments ----------------------------------------------------------------


@WRITING
def test_after_a_line_of_the_content(reply: Reply) -> None:
    lines = TEXT.splitlines(keepends=True)
    for number in (1, 2, 3):
        assert fields_of(before(after_line(number), reply))["content"] == "".join(lines[:number])


@WRITING
def test_after_a_line_of_another_field(reply: Reply) -> None:
    with pytest.raises(ValueError, match=r"after_line\(1\): 'note' has 0 whole lines"):
        before(after_line(1, of="note"), reply)


@WRITING
def test_before_the_content_begins(reply: Reply) -> None:
    arrived = before(before_value("content"), reply)
    assert arrived.endswith('"content": ')
    assert list(fields_of(arrived + "0}")) == ["note", "meta", "path", "content"]


@WRITING
def test_inside_the_path_or_any_other_text(reply: Reply) -> None:
    for name in ("note", "path", "content"):
        begun, text = fields_of(before(inside_value(name), reply))[name], FIELDS[name]
        assert isinstance(begun, str)
        assert isinstance(text, str)
        assert text.startswith(begun)
        assert 0 < len(begun) < len(text)


@WRITING
def test_inside_a_key(reply: Reply) -> None:
    arrived = before(inside_key("content"), reply)
    assert arrived.endswith(', "cont')
    assert list(fields_of(arrived)) == ["note", "meta", "path"]


@WRITING
def test_inside_an_escape(reply: Reply) -> None:
    total = len(re.findall(r"\\(?:u....|.)", sent(reply)))
    for number in range(1, total + 1, 2):
        arrived = before(inside_escape(number), reply)
        assert arrived.endswith("\\")
        assert len(re.findall(r"\\(?:u....|.)", arrived)) == number - 1
    with pytest.raises(ValueError, match=f"the arguments have {total} escapes, counted from 1"):
        before(inside_escape(total + 1), reply)


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_between_the_escapes_of_one_character(piece: int) -> None:
    arrived = before(inside_surrogates(), writing(piece=piece))
    assert arrived.endswith("\\ud83d")
    assert sent(writing()).removeprefix(arrived).startswith("\\ude00")


def test_an_escaped_backslash_begins_no_surrogate() -> None:
    arguments = r'{"content": "\\ud83d\ud83d\ude00"}'
    reply = stream(Answer(calls=(Call(name="f", arguments=arguments),)))
    assert before(inside_surrogates(), reply) == r'{"content": "\\ud83d\ud83d'


@WRITING
def test_after_so_many_bytes_of_arguments(reply: Reply) -> None:
    every = sent(reply).encode()
    for size in (*range(140, 190), len(every)):
        arrived = before(after_arguments(size), reply).encode()
        # A place inside a character is moved to before it.
        assert arrived == every[:size].decode(errors="ignore").encode()


@WRITING
def test_arguments_are_counted_over_all_calls(reply: Reply) -> None:
    calls = received(reply).calls
    first = len(calls[0].arguments.encode())
    for size, expected in [(first, []), (first + 1, ["{"])]:
        head = cut(reply, at=after_arguments(size), by=CLEAN_END)
        assert [call.arguments for call in received(head).calls[1:]] == expected


@pytest.mark.parametrize("quirk", [Quirk.NO_INDEX, Quirk.NULL_FIELDS, Quirk.ONE_DELTA_A_CALL])
def test_places_are_found_in_odd_spellings_too(quirk: Quirk) -> None:
    call = Call(name="write_file", arguments=json.dumps(FIELDS))
    reply = stream(Answer(calls=(call,)), quirks=[quirk])
    assert before(inside_key("content"), reply).endswith('"cont')


@pytest.mark.parametrize("piece", [1, 7])
def test_places_are_found_where_every_delta_repeats_what_came(piece: int) -> None:
    class Repeating(Local):
        capabilities = Capabilities(cumulative_arguments=True)

    call = Call(name="write_file", arguments=json.dumps(FIELDS))
    reply = stream(Answer(calls=(call,)), piece=piece, quirks=[Quirk.CUMULATIVE_ARGUMENTS])
    for size in range(0, len(call.arguments), 5):
        assert before(after_arguments(size), reply, Repeating()) == call.arguments[:size]
        halted = stall(reply, at=after_arguments(size), seconds=1.0)
        assert received(halted, Repeating()) == received(reply, Repeating())


@pytest.mark.parametrize("name", ["é", 'a"b', "a\\", "", "名前"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_any_name_of_a_field_is_found(name: str, ascii_only: bool) -> None:
    arguments = json.dumps({f"{name}x": 1, name: "ab"}, ensure_ascii=ascii_only)
    reply = stream(Answer(calls=(Call(name="f", arguments=arguments),)))
    assert before(before_value(name), reply) == arguments.removesuffix('"ab"}')
    assert before(inside_value(name), reply) == arguments.removesuffix('b"}')


# --- places in the body ---------------------------------------------------------------------


@WRITING
def test_after_every_byte_of_the_body(reply: Reply) -> None:
    for count in {*range(0, len(reply.body), 97), len(reply.body)}:
        assert cut(reply, at=after_bytes(count), by=RESET).body == reply.body[:count]


def test_a_place_between_two_events_splits_none() -> None:
    reply = writing()
    first = len(sends(reply)[0].data)
    for count, number in [(0, 0), (first, 1)]:
        assert after_bytes(count)(reply.steps) == after_events(number)(reply.steps)
    assert after_events(1)(reply.steps) == (reply.steps[:1], reply.steps[1:])
    assert after_bytes(len(reply.body))(reply.steps) == (reply.steps, ())


def test_pauses_stay_with_what_comes_after_them() -> None:
    reply = stream(Answer(text="abc"), piece=1, pace=1.0)
    head, tail = after_events(2)(reply.steps)
    assert isinstance(head[-1], Send)
    assert isinstance(tail[0], Pause)


def test_inside_an_event_is_half_of_its_bytes() -> None:
    reply = writing()
    body = cut(reply, at=inside_event(3), by=FIN).body
    two, third = (b"".join(step.data for step in sends(reply)[:2]), sends(reply)[2].data)
    assert body == two + third[: len(third) // 2]
    assert received(cut(reply, at=inside_event(3), by=FIN)).text == "On it."


def test_inside_a_character_of_several_bytes() -> None:
    reply = writing(ascii_only=False)
    for number, character in [(1, "ä"), (2, "é"), (3, "😀")]:
        body = cut(reply, at=inside_utf8(number), by=RESET).body
        with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
            body.decode()
        assert (
            body[:-1] + character.encode() == reply.body[: len(body) - 1 + len(character.encode())]
        )


@WRITING
def test_before_the_finish_all_of_the_answer_came_and_no_terminal_signal(reply: Reply) -> None:
    head = cut(reply, at=before_finish(), by=CLEAN_END)
    assert received(head) == received(reply)
    assert b'"finish_reason": "' not in head.body
    assert b"[DONE]" not in head.body


# --- any place ------------------------------------------------------------------------------

PLACES: st.SearchStrategy[Place] = st.one_of(
    st.builds(after_bytes, st.integers(0, 2_000)),
    st.builds(after_events, st.integers(0, 30)),
    st.builds(inside_event, st.integers(1, 30)),
    st.builds(inside_utf8, st.integers(1, 5)),
    st.builds(before_finish),
    st.builds(after_arguments, st.integers(0, 100)),
    st.builds(inside_escape, st.integers(1, 5)),
    st.builds(inside_surrogates, st.integers(1, 3)),
)


@st.composite
def places_in(draw: st.DrawFn, answer: Answer) -> Place:
    """Any place, also at the fields that this answer's calls have."""
    names = sorted({name for call in answer.calls for name in json.loads(call.arguments)})
    if not names:
        return draw(PLACES)
    name = st.sampled_from(names)
    at_fields: st.SearchStrategy[Place] = st.one_of(
        st.builds(inside_key, name),
        st.builds(before_value, name),
        st.builds(inside_value, name),
        st.builds(after_line, st.integers(1, 3), of=name),
    )
    return draw(PLACES | at_fields)


@settings(max_examples=50)
@given(st.data(), answers(), st.integers(1, 20))
def test_what_comes_before_a_place_and_after_it_is_the_whole(
    data: st.DataObject, answer: Answer, piece: int
) -> None:
    reply = stream(answer, piece=piece)
    place = data.draw(places_in(answer))
    try:
        head, tail = place(reply.steps)
    except ValueError:
        reject()
    again = Reply(steps=(*head, *tail))
    assert sent(again) == sent(reply)
    assert received(again) == received(reply)
    arrived, every = received(Reply(steps=head)), received(reply)
    assert every.text.startswith(arrived.text)
    calls = zip(arrived.calls, every.calls, strict=False)
    assert all(call.arguments.startswith(begun.arguments) for begun, call in calls)


@settings(max_examples=50)
@given(answers(), st.integers(1, 20), st.data())
@example(Answer(calls=(Call(name="f", arguments='{"😀": "\\ud83d\\ude00"}'),)), 3, None)
def test_a_place_in_the_arguments_is_exact_to_the_byte(
    answer: Answer, piece: int, data: st.DataObject | None
) -> None:
    reply = stream(answer, piece=piece)
    every = "".join(call.arguments for call in answer.calls).encode()
    assume(every)
    sizes = range(len(every) + 1) if data is None else [data.draw(st.integers(0, len(every)))]
    for size in sizes:
        expected = every[:size].decode(errors="ignore")
        assert before(after_arguments(size), reply) == expected


# --- places that do not exist ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (after_bytes(10_000_000), r"after_bytes\(10000000\): the body has \d+ bytes"),
        (after_bytes(-1), r"after_bytes\(-1\): the body has \d+ bytes"),
        (after_events(900), r"after_events\(900\): the reply has \d+ events"),
        (after_events(-1), r"after_events\(-1\): the reply has \d+ events"),
        (inside_event(900), r"inside_event\(900\): the reply has \d+ events, counted from 1"),
        (inside_event(0), r"inside_event\(0\): the reply has \d+ events, counted from 1"),
        (inside_utf8(), r"inside_utf8\(1\): 0 characters need several bytes"),
        (inside_utf8(0), r"inside_utf8\(0\): .* counted from 1"),
        (after_arguments(9_000), r"after_arguments\(9000\): there are \d+ bytes"),
        (after_arguments(-1), r"after_arguments\(-1\): there are \d+ bytes"),
        (inside_escape(0), r"inside_escape\(0\): the arguments have \d+ escapes, counted from 1"),
        (inside_surrogates(2), r"inside_surrogates\(2\): the arguments have 1 pairs"),
        (inside_key("mode"), r"no field 'mode' in the arguments '\{\"note\": "),
        (before_value("mode"), r"no field 'mode'"),
        (before_value("more"), r"no field 'more'"),
        (inside_value("count"), r"the field 'count' is no text"),
        (after_line(0), r"after_line\(0\): 'content' has 3 whole lines, counted from 1"),
        (after_line(4), r"after_line\(4\): 'content' has 3 whole lines, counted from 1"),
        (after_line(1, of="meta"), r"the field 'meta' is no text"),
    ],
)
def test_a_place_that_does_not_exist_is_named(place: Place, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cut(writing(), at=place, by=RESET)


@pytest.mark.parametrize("text", ["", "x"])
def test_a_short_text_has_no_inside(text: str) -> None:
    reply = stream(Answer(calls=(Call(name="f", arguments=json.dumps({"a": text})),)))
    with pytest.raises(ValueError, match=r"inside_value\('a'\): the text has less than two"):
        cut(reply, at=inside_value("a"), by=RESET)


@pytest.mark.parametrize(
    "reply",
    [
        stream(Answer(text="no call")),
        stream(Answer(calls=(Call(name="f", arguments="{}"),)), quirks=[Quirk.WHOLE_MESSAGE]),
        stream(Answer(calls=(Call(name="f", arguments="{}"),)), quirks=[Quirk.ARGUMENTS_AS_OBJECT]),
        whole(Answer(calls=(Call(name="f", arguments="{}"),))),
    ],
    ids=["text", "whole-message", "object", "plain"],
)
def test_without_streamed_arguments_there_are_no_places_in_them(reply: Reply) -> None:
    with pytest.raises(ValueError, match="no streamed tool arguments to find a place in"):
        cut(reply, at=after_arguments(0), by=RESET)


def test_a_refusal_has_no_finish() -> None:
    with pytest.raises(ValueError, match="no event has a finish reason"):
        cut(status(500, "<html>"), at=before_finish(), by=RESET)


# --- silence --------------------------------------------------------------------------------


@pytest.mark.parametrize("meanwhile", [None, COMMENT, EMPTY_DELTA], ids=["none", "pings", "empty"])
@pytest.mark.parametrize(("seconds", "every"), [(25.0, 10.0), (30.0, 10.0), (4.0, 10.0), (1, 0.1)])
def test_a_stall_lasts_exactly_so_long(
    seconds: float, every: float, meanwhile: Send | None
) -> None:
    reply = writing()
    halted = stall(reply, at=after_line(1), seconds=seconds, meanwhile=meanwhile, every=every)
    assert seconds_of(halted) == pytest.approx(seconds)
    silences = [step.seconds for step in halted.steps if isinstance(step, Pause)]
    assert max(silences) == pytest.approx(seconds if meanwhile is None else min(every, seconds))
    assert received(halted) == received(reply)


def test_signs_of_life_come_between_the_pauses() -> None:
    halted = stall(writing(), at=after_events(1), seconds=25.0, meanwhile=COMMENT, every=10.0)
    assert halted.steps[1:6] == (Pause(10.0), COMMENT, Pause(10.0), COMMENT, Pause(5.0))
    assert isinstance(halted.steps[6], Send)


def test_a_silent_stall_is_one_pause_at_the_place() -> None:
    halted = stall(writing(ascii_only=False), at=inside_utf8(2), seconds=60.0)
    (position,) = [at for at, step in enumerate(halted.steps) if step == Pause(60.0)]
    head = b"".join(step.data for step in halted.steps[:position] if isinstance(step, Send))
    assert head == cut(writing(ascii_only=False), at=inside_utf8(2), by=CLEAN_END).body


@pytest.mark.parametrize(
    "place",
    [inside_event(2), after_bytes(10), inside_utf8(1)],
    ids=["inside_event", "after_bytes", "inside_utf8"],
)
def test_a_sign_of_life_inside_an_event_would_be_part_of_it(place: Place) -> None:
    with pytest.raises(ValueError, match="choose a place between events or in the arguments"):
        stall(writing(ascii_only=False), at=place, seconds=5.0, meanwhile=COMMENT)


@pytest.mark.parametrize("frame", [with_bom, with_crlf])
def test_signs_of_life_may_come_between_framed_events(frame: object) -> None:
    assert callable(frame)
    framed = frame(writing())
    for number in range(len(sends(framed))):
        halted = stall(framed, at=after_events(number), seconds=5.0, meanwhile=COMMENT, every=1.0)
        assert received(halted) == received(writing())


def test_without_time_between_them_signs_of_life_would_never_end() -> None:
    with pytest.raises(ValueError, match=r"stall\(every=0\): must be above 0 seconds"):
        stall(writing(), at=after_events(1), seconds=5.0, meanwhile=COMMENT, every=0)


@settings(max_examples=50)
@given(st.data(), answers(), st.integers(1, 20), st.sampled_from([None, COMMENT, EMPTY_DELTA]))
def test_a_stall_changes_nothing_but_the_time(
    data: st.DataObject, answer: Answer, piece: int, meanwhile: Send | None
) -> None:
    reply = stream(answer, piece=piece)
    try:
        place = data.draw(places_in(answer))
        halted = stall(reply, at=place, seconds=9.0, meanwhile=meanwhile, every=2.0)
    except ValueError:
        reject()
    assert received(halted) == received(reply)
    assert sent(halted) == sent(reply)
    assert seconds_of(halted) == 9.0


# --- framing --------------------------------------------------------------------------------


@settings(max_examples=30)
@given(answers(), st.integers(1, 20), st.integers(1, 50))
@example(Answer(text="é😀\r\n\ufeff"), 1, 1)
def test_framing_changes_no_answer(answer: Answer, piece: int, size: int) -> None:
    reply = stream(answer, piece=piece)
    for framed in (
        with_bom(reply),
        with_crlf(reply),
        without_last_blank_line(reply),
        without_last_blank_line(with_crlf(reply)),
        in_packets(reply, size),
        in_packets(reply, None),
        in_packets(with_bom(with_crlf(without_last_blank_line(reply))), size),
    ):
        assert received(framed) == received(reply)
        assert sent(framed) == sent(reply)


def test_each_framing_is_what_its_name_says() -> None:
    reply = stream(Answer(text="x"), done=False)
    assert with_bom(reply).body == b"\xef\xbb\xbf" + reply.body
    assert with_crlf(reply).body == reply.body.replace(b"\n", b"\r\n")
    assert without_last_blank_line(reply).body == reply.body.removesuffix(b"\n\n")
    crlf = with_crlf(reply)
    assert without_last_blank_line(crlf).body == crlf.body.removesuffix(b"\r\n\r\n")
    assert {len(step.data) for step in sends(in_packets(reply, 1))} == {1}
    assert [step.data for step in sends(in_packets(reply, None))] == [reply.body]


def test_packets_do_not_cross_a_pause() -> None:
    paced = stream(Answer(text="abc"), piece=1, pace=1.0, done=False)
    packed = in_packets(paced, None)
    assert packed == paced


@pytest.mark.parametrize("size", [50, 100, 1_000])
def test_arguments_count_as_sent_with_the_last_byte_of_their_event(size: int) -> None:
    reply = writing()
    body = bytearray()
    arguments = ""
    for packet in sends(in_packets(reply, size)):
        body += packet.data
        arguments += packet.arguments
        whole_events = bytes(body[: body.rfind(b"\n\n") + 2])
        calls = received(Reply(steps=(Send(whole_events),))).calls
        assert arguments == "".join(call.arguments for call in calls)


@pytest.mark.parametrize(
    "framed",
    [with_crlf(writing()), in_packets(writing(), 5), in_packets(writing(), None)],
    ids=["crlf", "small-packets", "one-packet"],
)
def test_a_cut_in_the_arguments_after_framing_says_what_to_do(framed: Reply) -> None:
    with pytest.raises(ValueError, match=r"change the framing .* after the cut"):
        cut(framed, at=inside_escape(), by=RESET)


def test_framing_after_the_cut_keeps_the_place() -> None:
    lost = cut(writing(), at=inside_escape(2), by=RESET)
    for framed in (with_bom(lost), with_crlf(lost), in_packets(lost, 3)):
        assert received(framed) == received(lost)
        assert framed.steps[-1:] == RESET


def test_a_body_of_nothing_has_no_last_line() -> None:
    assert without_last_blank_line(Reply()) == Reply()


# --- what stands between a client and a model -----------------------------------------------


def times_of(reply: Reply) -> list[tuple[float, Step]]:
    """When each step but the pauses is due."""
    now = 0.0
    timed: list[tuple[float, Step]] = []
    for step in reply.steps:
        if isinstance(step, Pause):
            now += step.seconds
        else:
            timed.append((now, step))
    return timed


SLOW = stream(Answer(text="abcd", calls=(Call(name="f", arguments='{"a": 1}'),)), piece=1, pace=1.0)


def test_a_response_is_dropped_after_so_many_seconds() -> None:
    dropped = drop_after(SLOW, 3.5, RESET)
    assert seconds_of(dropped) == 3.5
    assert times_of(dropped) == [
        *[(at, step) for at, step in times_of(SLOW) if at < 3.5],
        (3.5, *RESET),
    ]
    assert drop_after(SLOW, 1_000.0, RESET) == SLOW


def test_a_silence_is_dropped_after_so_many_seconds_of_it() -> None:
    halted = stall(SLOW, at=after_events(3), seconds=60.0)
    dropped = drop_when_idle(halted, 10.0, NETWORK_LOST)
    assert times_of(dropped) == [*times_of(halted)[:3], (12.0, *NETWORK_LOST)]
    assert drop_when_idle(SLOW, 10.0, RESET) == SLOW


def test_a_silence_of_several_pauses_is_one() -> None:
    silent = Reply(steps=(COMMENT, Pause(4.0), Pause(4.0), Pause(4.0), COMMENT))
    assert drop_when_idle(silent, 10.0, RESET).steps == (
        COMMENT, Pause(4.0), Pause(4.0), Pause(2.0), *RESET,
    )  # fmt: skip


def test_pings_keep_a_connection_from_being_idle() -> None:
    pinged = stall(SLOW, at=after_events(3), seconds=60.0, meanwhile=COMMENT, every=5.0)
    assert drop_when_idle(pinged, 10.0, RESET) == pinged
    assert seconds_of(drop_after(pinged, 30.0, RESET)) == 30.0


def test_a_limit_that_is_just_reached_drops_nothing() -> None:
    halted = Reply(steps=(Pause(10.0), COMMENT))
    assert drop_when_idle(halted, 10.0, RESET) == halted
    assert drop_after(halted, 10.0, RESET) == halted


def test_held_back_arguments_come_at_once_and_not_sooner() -> None:
    held = hold_arguments_back(SLOW)
    assert received(held) == received(SLOW)
    assert sent(held) == sent(SLOW)
    assert seconds_of(held) == seconds_of(SLOW)
    moments = {at for at, step in times_of(held) if isinstance(step, Send) and step.arguments}
    ended = max(at for at, step in times_of(SLOW) if isinstance(step, Send) and step.arguments)
    assert moments == {ended + 1.0}


def test_the_arguments_of_each_call_are_held_back_by_themselves() -> None:
    held = hold_arguments_back(
        stream(
            Answer(calls=tuple(Call(name="f", arguments='{"a": 1}', id=str(n)) for n in range(2))),
            piece=1,
            pace=1.0,
        )
    )
    moments = [at for at, step in times_of(held) if isinstance(step, Send) and step.arguments]
    assert len(set(moments)) == 2
    assert moments == sorted(moments)


@pytest.mark.parametrize("sign", [COMMENT, EMPTY_DELTA, Send(b": OPENROUTER PROCESSING\n\n")])
def test_signs_of_life_do_not_release_what_is_held_back(sign: Send) -> None:
    pinged = stall(SLOW, at=after_arguments(4), seconds=60.0, meanwhile=sign, every=5.0)
    held = hold_arguments_back(pinged)
    positions = [at for at, step in enumerate(held.steps) if step in sends(SLOW) and step.arguments]
    assert positions == list(range(positions[0], positions[0] + len(positions)))
    assert [step for step in held.steps if step == sign] == [sign] * 11
    assert positions[0] > max(at for at, step in enumerate(held.steps) if step == sign)


def test_a_proxy_drops_the_silence_in_which_arguments_are_held_back() -> None:
    dropped = drop_when_idle(hold_arguments_back(SLOW), 5.0, NETWORK_LOST)
    assert received(dropped).text == "abcd"
    assert sent(dropped) == ""
    assert [call.name for call in received(dropped).calls] == ["f"]
