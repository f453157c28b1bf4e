from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore.accumulator import Accumulator, CallProgress, News, Unsaved, UnsavedCall
from agentcore.arguments import Arguments, parse_arguments
from agentcore.events import (
    Done,
    FinishReason,
    InStreamError,
    MessageRestart,
    ReasoningDelta,
    ReasoningDetail,
    ResponseInfo,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from agentcore.facts import Phase
from agentcore.kinds import CutCause
from agentcore.messages import JsonObject, ToolCall, Usage
from agentcore.providers import Local
from agentcore.testing import Answer
from agentcore.testing.strategies import answers, json_objects, json_values
from agentcore.verdict import Complete, Cut, Partial, closed_call, judge


def ids() -> Iterator[str]:
    return (f"new{number}" for number in count(1))


@dataclass(frozen=True)
class D:
    """A piece of a call: index, id, name, arguments."""

    index: int | None
    id: str
    name: str
    arguments: str

    @property
    def event(self) -> ToolCallDelta:
        return ToolCallDelta(index=self.index, id=self.id, name=self.name, arguments=self.arguments)


def calls_of(*deltas: D, cumulative: bool = False) -> list[tuple[str, str, str]]:
    accumulator = Accumulator(cumulative_arguments=cumulative)
    for delta in deltas:
        accumulator.feed(delta.event)
    new = ids()
    return [(c.id, c.name, c.arguments) for c in accumulator.partial(lambda: next(new)).calls]


ONE = [("a", "f", '{"x": 1}')]
TWO = [("a", "f", '{"x": 1}'), ("b", "f", '{"x": 2}')]

# what the endpoint does, what it sends, what comes of it
QUIRKS: dict[str, tuple[list[D], list[tuple[str, str, str]]]] = {
    "as documented": (
        [
            D(0, "a", "f", ""), D(0, "", "", '{"x"'), D(0, "", "", ": 1}"),
            D(1, "b", "f", ""), D(1, "", "", '{"x": 2}'),
        ],
        TWO,
    ),
    "interleaved": (
        [
            D(0, "a", "f", ""), D(1, "b", "f", ""), D(0, "", "", '{"x"'), D(1, "", "", '{"x": '),
            D(0, "", "", ": 1}"), D(1, "", "", "2}"),
        ],
        TWO,
    ),
    "index starts at 1": (
        [D(1, "a", "f", '{"x"'), D(1, "", "", ": 1}"), D(2, "b", "f", '{"x": 2}')],
        TWO,
    ),
    "index missing": (
        [
            D(None, "a", "f", '{"x"'), D(None, "", "", ": 1}"),
            D(None, "b", "f", '{"x": '), D(None, "", "", "2}"),
        ],
        TWO,
    ),
    "index missing, ids on every piece, interleaved": (
        [
            D(None, "a", "f", '{"x"'), D(None, "b", "g", '{"x": '), D(None, "a", "", ": 1}"),
            D(None, "b", "", "2}"),
        ],
        [("a", "f", '{"x": 1}'), ("b", "g", '{"x": 2}')],
    ),
    "index reused": (
        [D(0, "a", "f", '{"x": 1}'), D(0, "b", "f", '{"x"'), D(0, "", "", ": 2}")],
        TWO,
    ),
    # Once the piece of `a` went to `b`, the last to hold the index.
    "index reused, ids on every piece, interleaved": (
        [
            D(0, "a", "f", '{"x"'), D(0, "b", "g", '{"x": '), D(0, "a", "", ": 1}"),
            D(0, "b", "", "2}"),
        ],
        [("a", "f", '{"x": 1}'), ("b", "g", '{"x": 2}')],
    ),
    # Once both went into one call, which was then no JSON: relays of Gemini send parallel calls so.
    "index reused, no ids": (
        [D(0, "", "f", '{"x": 1}'), D(0, "", "f", '{"x": 2}'), D(0, "", "g", '{"x": 3}')],
        [("new1", "f", '{"x": 1}'), ("new2", "f", '{"x": 2}'), ("new3", "g", '{"x": 3}')],
    ),
    # Once both went into the first: nothing of it had come that could look closed.
    "two openings in a row at one index": (
        [
            D(0, "a", "f", ""), D(0, "b", "f", ""), D(0, "a", "", '{"x": 1}'),
            D(0, "b", "", '{"x": 2}'),
        ],
        TWO,
    ),
    "two openings in a row at one index, then pieces of the last": (
        [D(0, "a", "f", ""), D(0, "b", "f", ""), D(0, "", "", '{"x"'), D(0, "", "", ": 2}")],
        [("a", "f", ""), ("b", "f", '{"x": 2}')],
    ),
    "two openings in a row without index": (
        [
            D(None, "a", "f", ""), D(None, "b", "f", ""), D(None, "a", "", '{"x": 1}'),
            D(None, "b", "", '{"x": 2}'),
        ],
        TWO,
    ),
    "id changed in mid-call": (
        [D(0, "a", "f", '{"x"'), D(0, "other", "", ": 1}")],
        ONE,
    ),
    "id fresh on every piece": (
        [
            D(0, "a", "f", '{"x"'), D(0, "a2", "", ": 1}"),
            D(1, "b", "f", '{"x": '), D(1, "b2", "", "2}"),
        ],
        TWO,
    ),
    "id fresh and name repeated on every piece, no index": (
        [
            D(None, "a", "f", '{"x"'), D(None, "a2", "f", ": "), D(None, "a3", "f", "1}"),
            D(None, "b", "f", '{"x": '), D(None, "b2", "f", "2}"),
        ],
        TWO,
    ),
    "id fresh on every piece, the closing piece is empty": (
        [D(0, "a", "f", '{"x"'), D(0, "a2", "f", ": 1}"), D(0, "a3", "f", "")],
        ONE,
    ),
    "id late": (
        [D(0, "", "f", '{"x"'), D(0, "a", "f", ": 1}")],
        ONE,
    ),
    "the same id for every call": (
        [D(0, "a", "f", '{"x": '), D(1, "a", "f", '{"x": 2}'), D(0, "a", "", "1}")],
        [("a", "f", '{"x": 1}'), ("new1", "f", '{"x": 2}')],
    ),
    "name repeated": (
        [D(0, "a", "f", '{"x"'), D(0, "", "f", ": 1}"), D(0, "a", "f", "")],
        ONE,
    ),
    "name late": (
        [D(0, "a", "", '{"x"'), D(0, "", "f", ": 1}")],
        ONE,
    ),
    "no id, no index": (
        [D(None, "", "f", '{"x"'), D(None, "", "", ": 1}"), D(None, "", "g", "{}")],
        [("new1", "f", '{"x": 1}'), ("new2", "g", "{}")],
    ),
    "no id, no index, the same tool twice": (
        [D(None, "", "f", '{"x": 1}'), D(None, "", "f", '{"x": '), D(None, "", "f", "2}")],
        [("new1", "f", '{"x": 1}'), ("new2", "f", '{"x": 2}')],
    ),
    "no id, no index, a nested object in a piece of its own": (
        [D(None, "", "f", '{"x": '), D(None, "", "f", "{}"), D(None, "", "f", "}")],
        [("new1", "f", '{"x": {}}')],
    ),
    "an empty object first": (
        [D(0, "a", "f", "{}"), D(0, "", "", '{"x"'), D(0, "", "", ": 1}")],
        ONE,
    ),
    "an empty object first, name repeated": (
        [D(0, "a", "f", "{}"), D(0, "", "f", '{"x": 1}')],
        ONE,
    ),
    # Once the white space replaced the object.
    "two calls of nothing, one after the other, in pieces": (
        [D(0, "", "f", "{"), D(0, "", "", "}"), D(0, "", "f", "{"), D(0, "", "", "}")],
        [("new1", "f", "{}"), ("new2", "f", "{}")],
    ),
    "an empty object and white space": (
        [D(0, "a", "f", "{}"), D(0, "", "", "\n")],
        [("a", "f", "{}\n")],
    ),
    "no arguments": (
        [D(0, "a", "f", ""), D(0, "", "", ""), D(1, "b", "f", "")],
        [("a", "f", ""), ("b", "f", "")],
    ),
    "emoji split into halves": (
        [D(0, "a", "f", '{"x": "\ud83d'), D(0, "", "", '\ude00"}')],
        [("a", "f", '{"x": "😀"}')],
    ),
    # Once a text with halves in it was never seen to be closed.
    "emoji split into halves, index reused": (
        [D(0, "a", "f", '{"x": "\ud83d'), D(0, "", "", '\ude00"}'), D(0, "b", "f", '{"x": 2}')],
        [("a", "f", '{"x": "😀"}'), ("b", "f", '{"x": 2}')],
    ),
    "an escape split into halves, index reused": (
        [D(0, "a", "f", '{"x": "\\'), D(0, "", "", '"}"}'), D(0, "b", "f", '{"x": 2}')],
        [("a", "f", '{"x": "\\"}"}'), ("b", "f", '{"x": 2}')],
    ),
    "in a code fence, index reused": (
        [D(0, "a", "f", '```json\n{"x": 1}\n```'), D(0, "b", "f", '{"x": 2}')],
        [("a", "f", '```json\n{"x": 1}\n```'), ("b", "f", '{"x": 2}')],
    ),
    "encoded twice, index reused": (
        [D(0, "a", "f", '"{\\"x\\": 1}"'), D(0, "b", "f", '"{\\"x\\": 2}"')],
        [("a", "f", '"{\\"x\\": 1}"'), ("b", "f", '"{\\"x\\": 2}"')],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("deltas", "calls"), QUIRKS.values(), ids=QUIRKS)
def test_calls_as_endpoints_send_them(deltas: list[D], calls: list[tuple[str, str, str]]) -> None:
    assert calls_of(*deltas) == calls


def test_arguments_sent_again_and_again() -> None:
    calls = calls_of(D(0, "a", "f", '{"x"'), D(0, "", "", '{"x": 1}'), cumulative=True)

    assert calls == ONE


# one chunk after another, as JSON; what comes of them
CHUNKS: dict[str, tuple[list[JsonObject], Partial]] = {
    "arguments as an object": (
        [{"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]}],
        Partial(calls=(ToolCall(id="a", name="f", arguments='{"x":1}'),)),
    ),
    "an empty object may be an opening": (
        [
            {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": {}}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"x": 1}'}}]},
        ],
        Partial(calls=(ToolCall(id="a", name="f", arguments='{"x": 1}'),)),
    ),
    "the index as text": (
        [
            {"tool_calls": [{"index": "0", "id": "a", "function": {"name": "f"}}]},
            {"tool_calls": [{"index": "1", "id": "b", "function": {"name": "f"}}]},
            {"tool_calls": [{"index": "0", "function": {"arguments": '{"x": 1}'}}]},
            {"tool_calls": [{"index": "1", "function": {"arguments": '{"x": 2}'}}]},
        ],
        Partial(
            calls=(
                ToolCall(id="a", name="f", arguments='{"x": 1}'),
                ToolCall(id="b", name="f", arguments='{"x": 2}'),
            )
        ),
    ),
    "null everywhere": (
        [
            {"content": None, "tool_calls": None, "reasoning": None, "reasoning_details": None},
            {"content": "x", "tool_calls": [None]},
            {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]},
            {"tool_calls": [{"index": 0, "id": None, "function": {"name": None}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": None}}]},
            {"tool_calls": [{"index": 0, "function": None}]},
        ],
        Partial(text="x", calls=(ToolCall(id="a", name="f", arguments="{}"),)),
    ),
    "what is to be returned unchanged": (
        [
            {
                "tool_calls": [
                    {
                        "id": "a",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {"thought_signature": "s"}},
                    }
                ]
            }
        ],
        Partial(
            calls=(
                ToolCall(
                    id="a",
                    name="f",
                    arguments="{}",
                    extra={"extra_content": {"google": {"thought_signature": "s"}}},
                ),
            )
        ),
    ),
    "reasoning in two spellings at once": (
        [{"reasoning": "hm", "reasoning_content": "hm"}, {"reasoning": "!"}],
        Partial(reasoning="hm!"),
    ),
    "reasoning as parts of the content": (
        [{"content": [{"thinking": [{"text": "hm"}]}, {"thinking": "!"}, {"text": "x"}, 1]}],
        Partial(text="x", reasoning="hm!"),
    ),
    "reasoning details in pieces": (
        [
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "h", "n": None}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "m"}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": None}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "s"}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": None}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d"}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "e"}, None]},
        ],
        Partial(
            reasoning_details=(
                {"type": "reasoning.text", "index": 0, "text": "hm", "n": None, "signature": "s"},
                {"type": "reasoning.encrypted", "data": "d"},
                {"type": "reasoning.encrypted", "data": "e"},
            )
        ),
    ),
    "reasoning details, blocks interleaved and emoji split into halves": (
        [
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "a\ud83d"}]},
            {"reasoning_details": [{"type": "reasoning.summary", "index": 1, "summary": "s"}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "index": 2, "data": "d"}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "\ude00b"}]},
            {"reasoning_details": [{"type": "reasoning.summary", "index": 1, "summary": "t"}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "index": 2, "data": "e"}]},
        ],
        Partial(
            reasoning_details=(
                {"type": "reasoning.text", "index": 0, "text": "a😀b"},
                {"type": "reasoning.summary", "index": 1, "summary": "st"},
                {"type": "reasoning.encrypted", "index": 2, "data": "de"},
            )
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("deltas", "partial"), CHUNKS.values(), ids=CHUNKS)
def test_deltas_as_endpoints_send_them(deltas: list[JsonObject], partial: Partial) -> None:
    accumulator = Accumulator()
    for delta in deltas:
        for event in Local().decode("", {"choices": [{"delta": delta}]}):
            accumulator.feed(event)

    assert accumulator.partial(lambda: "never") == partial


def test_a_whole_message_replaces_what_came_before() -> None:
    accumulator = Accumulator()
    message: JsonObject = {
        "content": "whole",
        "tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}],
    }
    for event in (
        TextDelta("half"),
        ReasoningDelta("hm"),
        ReasoningDetail({"type": "t"}),
        D(0, "a", "f", "{").event,
        *Local().decode("", {"choices": [{"message": message, "finish_reason": "stop"}]}),
    ):
        accumulator.feed(event)

    assert accumulator.partial(lambda: "never") == Partial(
        text="whole", calls=(ToolCall(id="b", name="g", arguments="{}"),)
    )
    assert accumulator.finish_reason == "stop"


def test_usage_without_choices() -> None:
    accumulator = Accumulator()
    for event in Local().decode(
        "", {"id": "gen", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    ):
        accumulator.feed(event)

    assert accumulator.usage == Usage(input_tokens=1, output_tokens=2)
    assert accumulator.generation_id == "gen"


def test_ids_of_the_conversation_are_not_used_again() -> None:
    accumulator = Accumulator()
    for delta in (D(0, "call_0", "f", "{}"), D(1, "", "f", "{}"), D(2, "call_2", "f", "{}")):
        accumulator.feed(delta.event)
    new = iter(["call_0", "call_1", "call_3"])

    partial = accumulator.partial(lambda: next(new), {"call_0"})

    assert [call.id for call in partial.calls] == ["call_1", "call_3", "call_2"]


@pytest.mark.parametrize(
    ("event", "phase"),
    [
        (TextDelta("x"), Phase.TEXT),
        (TextDelta(""), None),
        (ReasoningDelta("x"), Phase.REASONING),
        (ReasoningDelta(""), None),
        (ReasoningDetail({}), None),
        (ReasoningDetail({"type": "reasoning.text", "text": ""}), None),
        (ReasoningDetail({"type": "reasoning.text", "text": None, "signature": "s"}), None),
        (ReasoningDetail({"type": "reasoning.text", "text": "x"}), Phase.REASONING),
        (ReasoningDetail({"type": "reasoning.summary", "summary": "x"}), Phase.REASONING),
        (ReasoningDetail({"type": "reasoning.encrypted", "data": "x"}), Phase.REASONING),
        (ToolCallDelta(index=0, id="a"), Phase.TOOL_ARGUMENTS),
        (UsageReport(Usage()), None),
        (FinishReason("stop"), None),
        (ResponseInfo("gen"), None),
        (InStreamError("x"), None),
        (MessageRestart(), None),
        (Done(), None),
    ],
)
def test_only_content_counts_as_progress(
    event: TextDelta | ToolCallDelta, phase: Phase | None
) -> None:
    assert Accumulator().feed(event) is phase


def test_an_empty_piece_of_a_known_call_is_no_progress() -> None:
    accumulator = Accumulator()
    accumulator.feed(ToolCallDelta(index=0, id="a", name="f"))

    assert accumulator.feed(ToolCallDelta(index=0)) is None
    assert accumulator.feed(ToolCallDelta(index=0, arguments="{")) is Phase.TOOL_ARGUMENTS


def test_the_first_error_is_the_one() -> None:
    accumulator = Accumulator()
    accumulator.feed(InStreamError("first"))
    accumulator.feed(InStreamError("second"))

    assert accumulator.error == InStreamError("first")


def test_news_is_what_came_since_the_last_look() -> None:
    accumulator = Accumulator()
    assert accumulator.news() is None

    for event in (
        ReasoningDelta("h"),
        ReasoningDelta("m"),
        TextDelta("x"),
        D(0, "a", "f", "").event,
    ):
        accumulator.feed(event)
    assert accumulator.news() == News(
        restarted=False,
        text="x",
        reasoning="hm",
        calls=[CallProgress(position=0, name="f", received_bytes=0, lines=0)],
    )

    accumulator.feed(D(0, "", "", '{"x": "é\\n').event)
    assert accumulator.news() == News(
        restarted=False,
        text="",
        reasoning="",
        calls=[CallProgress(position=0, name="f", received_bytes=11, lines=1)],
    )
    assert accumulator.news() is None


def told(text: str, *, restarted: bool = False) -> News:
    return News(restarted=restarted, text=text, reasoning="", calls=[])


# A display got a replacement character for each half once.
def test_half_an_emoji_in_news_waits_for_its_other_half() -> None:
    accumulator = Accumulator()

    accumulator.feed(TextDelta("x\ud83d"))
    assert accumulator.news() == told("x")
    assert accumulator.news() is None

    accumulator.feed(TextDelta("\ude00y"))
    assert accumulator.news() == told("😀y")
    assert accumulator.news() is None


def test_half_an_emoji_whose_other_half_never_comes_is_told_as_none() -> None:
    accumulator = Accumulator()
    accumulator.feed(TextDelta("\ud83d"))
    assert accumulator.news() is None

    accumulator.feed(TextDelta("x\ude00"))
    assert accumulator.news() == told("\ufffdx\ufffd")


@pytest.mark.parametrize(
    "before",
    [TextDelta("half"), ReasoningDelta("hm"), ToolCallDelta(index=0, id="a", name="f")],
    ids=["text", "reasoning", "a call"],
)
def test_news_after_a_restart_says_that_what_was_told_is_void(
    before: TextDelta | ReasoningDelta | ToolCallDelta,
) -> None:
    accumulator = Accumulator()
    accumulator.feed(before)
    accumulator.news()

    accumulator.feed(MessageRestart())
    accumulator.feed(TextDelta("whole"))

    assert accumulator.news() == told("whole", restarted=True)
    accumulator.feed(TextDelta("!"))
    assert accumulator.news() == told("!")


def test_a_restart_alone_is_news_when_something_was_told() -> None:
    accumulator = Accumulator()
    accumulator.feed(TextDelta("half"))
    accumulator.news()
    accumulator.feed(MessageRestart())

    assert accumulator.news() == told("", restarted=True)
    assert accumulator.news() is None


def test_a_restart_of_what_was_not_told_is_no_news() -> None:
    accumulator = Accumulator()
    accumulator.feed(TextDelta("half"))
    accumulator.feed(MessageRestart())
    assert accumulator.news() is None

    accumulator.feed(TextDelta("whole"))
    assert accumulator.news() == told("whole")


# An endpoint whose every chunk is the whole message so far may have two of them in one block.
def test_two_restarts_between_two_looks_do_not_hide_each_other() -> None:
    accumulator = Accumulator()
    accumulator.feed(TextDelta("half"))
    accumulator.news()
    for text in ("more", "whole"):
        accumulator.feed(MessageRestart())
        accumulator.feed(TextDelta(text))

    assert accumulator.news() == told("whole", restarted=True)


def test_the_half_of_an_emoji_that_waits_is_void_after_a_restart() -> None:
    accumulator = Accumulator()
    accumulator.feed(TextDelta("x\ud83d"))
    accumulator.news()
    accumulator.feed(MessageRestart())
    accumulator.feed(TextDelta("whole"))

    assert accumulator.news() == told("whole", restarted=True)


# All that had come was parsed again with each fragment that ended in a brace.
def test_fresh_ids_and_braces_in_the_text_take_linear_work(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []

    def counting(text: str) -> Arguments | None:
        parsed.append(len(text))
        return parse_arguments(text)

    monkeypatch.setattr("agentcore.accumulator.parse_arguments", counting)
    pieces = ['{"css": "', *["{ color: red }"] * 4_000, '"}']
    deltas = [D(None, f"a{number}", "f", piece) for number, piece in enumerate(pieces)]

    calls = calls_of(*deltas, D(None, "b", "f", '{"x": 2}'))

    assert calls == [("a0", "f", "".join(pieces)), ("b", "f", '{"x": 2}')]
    assert parsed == [len("".join(pieces))]


def test_news_of_arguments_sent_again_is_their_whole_size() -> None:
    accumulator = Accumulator(cumulative_arguments=True)
    accumulator.feed(D(0, "a", "f", '{"x"').event)
    accumulator.news()
    accumulator.feed(D(0, "a", "f", '{"x": 1}').event)

    news = accumulator.news()

    assert news is not None
    assert news.calls[0].received_bytes == 8


def test_size_counts_utf8_bytes_of_everything() -> None:
    partial = Partial(
        text="é", reasoning="x", calls=(ToolCall(id="a", name="f", arguments="{}\ud83d"),)
    )

    assert partial.size_bytes == 2 + 1 + 3
    assert not partial.is_empty
    assert Partial(reasoning_details=({"type": "t"},)).is_empty


def call(arguments: str, name: str = "f") -> ToolCall:
    return ToolCall(id="a", name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("arguments", "may_be_empty", "closed"),
    [
        ("{}", False, True),
        ("", False, False),
        ("", True, True),
        (" null ", True, True),
        ("null", False, False),
        ('{"x"', True, False),
    ],
)
def test_closed(arguments: str, may_be_empty: bool, closed: bool) -> None:
    assert (closed_call(call(arguments), may_be_empty=may_be_empty) is not None) is closed


TEXT = Partial(text="x")
CALL = Partial(calls=(call('{"x": 1}'),))
BEGUN = Partial(calls=(call('{"x": 1}'), call('{"x": "y')))
GARBLED = Partial(calls=(call("{'x': 1}"),))
EMPTY_CALL = Partial(calls=(call("", "g"),))


# what came, finish reason, [DONE] came, what ended the stream, output tokens reported of a cap of
# 100, cause (None: complete)
VERDICTS: list[tuple[Partial, str, bool, CutCause | None, int, CutCause | None]] = [
    (TEXT, "stop", True, None, 0, None),
    (Partial(), "stop", True, None, 0, None),
    (CALL, "tool_calls", True, None, 0, None),
    (CALL, "tool_use", False, None, 0, None),
    # Finish reasons lie; the argument text decides.
    (CALL, "stop", True, None, 0, None),
    (BEGUN, "tool_calls", True, None, 0, CutCause.ENDED),
    (BEGUN, "stop", True, None, 0, CutCause.ENDED),
    (EMPTY_CALL, "tool_calls", True, None, 0, None),
    (Partial(calls=(call("null", "g"),)), "tool_calls", True, None, 0, None),
    (Partial(calls=(call(""),)), "tool_calls", True, None, 0, CutCause.ENDED),
    (GARBLED, "tool_calls", True, None, 0, CutCause.MALFORMED),
    (TEXT, "tool_calls", True, None, 0, CutCause.MALFORMED),
    (TEXT, "malformed_function_call", True, None, 0, CutCause.MALFORMED),
    # No terminal signal.
    (TEXT, "", False, None, 0, CutCause.ENDED),
    (CALL, "", True, None, 0, CutCause.ENDED),
    (CALL, "error", True, None, 0, CutCause.ENDED),
    (CALL, "error", False, CutCause.DROPPED, 0, CutCause.DROPPED),
    (CALL, "", False, CutCause.DROPPED, 0, CutCause.DROPPED),
    (TEXT, "", False, CutCause.STALLED, 0, CutCause.STALLED),
    (Partial(), "", False, CutCause.SILENT, 0, CutCause.SILENT),
    # After a terminal signal it does not matter how the connection ended.
    (TEXT, "stop", False, CutCause.DROPPED, 0, None),
    (CALL, "tool_calls", False, CutCause.STALLED, 0, None),
    (BEGUN, "tool_calls", False, CutCause.DROPPED, 0, CutCause.ENDED),
    # The cap, said or counted.
    (TEXT, "length", True, None, 0, CutCause.CAPPED),
    (BEGUN, "max_tokens", False, CutCause.DROPPED, 0, CutCause.CAPPED),
    (TEXT, "stop", True, None, 99, None),
    (TEXT, "stop", True, None, 100, CutCause.CAPPED),
    (BEGUN, "tool_calls", True, None, 101, CutCause.CAPPED),
    (BEGUN, "", True, None, 100, CutCause.CAPPED),
    (BEGUN, "", False, CutCause.DROPPED, 100, CutCause.DROPPED),
    # A filter.
    (TEXT, "content_filter", True, None, 0, CutCause.FILTERED),
    (CALL, "refusal", False, CutCause.DROPPED, 100, CutCause.FILTERED),
]


@pytest.mark.parametrize(("partial", "reason", "done", "failure", "tokens", "cause"), VERDICTS)
def test_verdict(
    partial: Partial,
    reason: str,
    done: bool,
    failure: CutCause | None,
    tokens: int,
    cause: CutCause | None,
) -> None:
    usage = Usage(output_tokens=tokens) if tokens else None
    verdict = judge(
        partial,
        finish_reason=reason,
        done=done,
        done_is_terminal=False,
        failure=failure,
        usage=usage,
        output_limit=100,
        no_argument_tools={"g"},
    )

    if cause is None:
        assert isinstance(verdict, Complete)
        calls = tuple(
            replace(call, arguments="{}") if call.name == "g" else call for call in partial.calls
        )
        assert (verdict.message.content, verdict.message.tool_calls, verdict.usage) == (
            partial.text,
            calls,
            usage,
        )
    else:
        assert verdict == Cut(cause=cause, partial=partial, usage=usage)


def test_every_cause_has_a_verdict() -> None:
    assert {cause for *_, cause in VERDICTS} == {None, *CutCause}


@pytest.mark.parametrize(
    ("failure", "is_complete"), [(None, True), (CutCause.DROPPED, False), (CutCause.STALLED, False)]
)
def test_done_is_a_terminal_signal_where_the_adapter_says_so(
    failure: CutCause | None, is_complete: bool
) -> None:
    verdict = judge(
        CALL,
        finish_reason="",
        done=True,
        done_is_terminal=True,
        failure=failure,
        usage=None,
        output_limit=None,
    )

    assert isinstance(verdict, Complete) is is_complete


def pieces(text: str, data: st.DataObject) -> list[str]:
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


@given(
    answers(), st.sampled_from(["index", "id", "reused index and id", "index and id"]), st.data()
)
def test_interleaved_calls_stay_apart(answer: Answer, told_by: str, data: st.DataObject) -> None:
    waiting: list[list[D]] = []
    for number, made in enumerate(answer.calls):
        index = {"id": None, "reused index and id": 0}.get(told_by, number)
        id_ = "" if told_by == "index" else made.id
        opening = D(index, made.id, f"tool{number}", "")
        waiting.append(
            [opening, *(D(index, id_, "", text) for text in pieces(made.arguments, data))]
        )
    # Calls open in order; what follows comes in any order.
    deltas = [queue.pop(0) for queue in waiting]
    while any(waiting):
        deltas.append(data.draw(st.sampled_from([queue for queue in waiting if queue])).pop(0))

    assert calls_of(*deltas) == [
        (made.id, f"tool{number}", made.arguments) for number, made in enumerate(answer.calls)
    ]


@given(st.lists(st.tuples(st.sampled_from("tr0"), st.text(max_size=5)), max_size=20), st.data())
def test_news_add_up_to_what_came(parts: list[tuple[str, str]], data: st.DataObject) -> None:
    accumulator = Accumulator()
    text = reasoning = ""
    size = 0
    for kind, piece in (*parts, ("t", "")):
        if kind == "0":
            accumulator.feed(ToolCallDelta(index=0, name="f", arguments=piece))
        else:
            accumulator.feed(TextDelta(piece) if kind == "t" else ReasoningDelta(piece))
        if (data.draw(st.booleans()) or not piece) and (news := accumulator.news()):
            text, reasoning = text + news.text, reasoning + news.reasoning
            size = news.calls[0].received_bytes if news.calls else size
    if news := accumulator.news():
        text, reasoning = text + news.text, reasoning + news.reasoning
        size = news.calls[0].received_bytes if news.calls else size

    partial = accumulator.partial(lambda: "new")
    assert (text, reasoning) == (partial.text, partial.reasoning)
    assert size + len((text + reasoning).encode()) == partial.size_bytes


ODD_DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": json_values(),
        "reasoning_details": st.lists(
            st.dictionaries(st.sampled_from(["type", "index", "text"]), json_values())
        ),
        "tool_calls": st.lists(
            st.dictionaries(st.sampled_from(["index", "id", "function", "type"]), json_values())
        )
        | json_values(),
    },
)


@given(st.lists(ODD_DELTAS | json_objects(), max_size=4))
def test_no_delta_at_all_raises(deltas: list[JsonObject]) -> None:
    accumulator = Accumulator()
    for delta in deltas:
        for event in Local().decode("", {"choices": [{"delta": delta}]}):
            accumulator.feed(event)
    new = ids()

    made = [call.id for call in accumulator.partial(lambda: next(new)).calls]
    assert len(set(made)) == len(made)


def test_a_call_that_needed_a_repair_goes_into_the_history_as_plain_json() -> None:
    fenced = call('```json\n{"path": "a.md",}\n```')
    assert closed_call(fenced, may_be_empty=False) == replace(fenced, arguments='{"path": "a.md"}')


def test_a_nameless_call_beside_a_named_one_is_not_lost_in_silence() -> None:
    accumulator = Accumulator()
    accumulator.feed(ToolCallDelta(index=0, id="a", name="f", arguments="{}"))
    accumulator.feed(ToolCallDelta(index=1, id="b", arguments="{}"))
    accumulator.feed(FinishReason("tool_calls"))
    partial = accumulator.partial(lambda: "new")
    verdict = judge(
        partial,
        finish_reason=accumulator.finish_reason,
        done=True,
        done_is_terminal=False,
        failure=None,
        usage=None,
        output_limit=None,
    )
    assert isinstance(verdict, Cut)
    assert verdict.cause is CutCause.MALFORMED
    assert [named.name for named in partial.calls] == ["f"]


def unsaved_call(fragment: str) -> UnsavedCall:
    return UnsavedCall(position=0, id="a", name="f", fragment=fragment, anew=False)


def unsaved(*, restarted: bool, text: str, calls: tuple[UnsavedCall, ...]) -> Unsaved:
    return Unsaved(restarted=restarted, text=text, reasoning="", details=(), calls=calls)


def test_what_is_not_saved_is_given_once_and_apart_from_the_news() -> None:
    accumulator = Accumulator()
    assert accumulator.unsaved() is None

    accumulator.feed(TextDelta("x"))
    accumulator.feed(D(0, "", "", '{"x').event)
    accumulator.news()
    assert accumulator.unsaved_size == 4
    nameless = replace(unsaved_call('{"x'), id="", name="")
    assert accumulator.unsaved() == unsaved(restarted=False, text="x", calls=(nameless,))
    assert accumulator.unsaved() is None
    assert accumulator.unsaved_size == 0

    accumulator.feed(D(0, "a", "f", "").event)
    assert accumulator.unsaved() == unsaved(restarted=False, text="", calls=(unsaved_call(""),))
    accumulator.feed(D(0, "", "", '": 1').event)
    accumulator.feed(D(1, "b", "g", "{").event)
    beside = UnsavedCall(position=1, id="b", name="g", fragment="{", anew=False)
    calls = (unsaved_call('": 1'), beside)
    assert accumulator.unsaved() == unsaved(restarted=False, text="", calls=calls)

    accumulator.feed(MessageRestart())
    accumulator.feed(MessageRestart())
    assert accumulator.unsaved() == unsaved(restarted=True, text="", calls=())
    accumulator.feed(MessageRestart())
    assert accumulator.unsaved() is None


def test_of_arguments_that_are_repeated_only_the_new_ones_are_not_saved() -> None:
    accumulator = Accumulator(cumulative_arguments=True)
    given = []
    for arguments in ('{"x": ', '{"x": 1', '{"x": 12', '{"y"', '{"y": 2'):
        accumulator.feed(D(0, "a", "f", arguments).event)
        size = accumulator.unsaved_size
        unsaved = accumulator.unsaved()
        assert unsaved is not None
        assert [len(call.fragment) for call in unsaved.calls] == [size]
        given += [(call.fragment, call.anew) for call in unsaved.calls]
    assert given == [('{"x": ', False), ("1", False), ("2", False), ('{"y"', True), (": 2", False)]


@given(answers(), st.integers(1, 20), st.booleans(), st.data())
def test_what_was_saved_bit_by_bit_is_all_that_came(
    answer: Answer, piece: int, cumulative: bool, data: st.DataObject
) -> None:
    accumulator = Accumulator(cumulative_arguments=cumulative)
    events: list[StreamEvent] = [TextDelta(letter) for letter in answer.text]
    for index, call in enumerate(answer.calls):
        ends = range(piece, len(call.arguments) + piece, piece)
        starts = [0 if cumulative else end - piece for end in ends]
        events += [
            D(index, call.id, call.name, call.arguments[start:end]).event
            for start, end in zip(starts, ends, strict=True)
        ]
    text, calls = "", dict.fromkeys(range(len(answer.calls)), "")
    for event in [*events, Done()]:
        accumulator.feed(event)
        if isinstance(event, Done) or data.draw(st.booleans()):
            size = accumulator.unsaved_size
            unsaved = accumulator.unsaved()
            if unsaved is not None:
                text += unsaved.text
                for part in unsaved.calls:
                    calls[part.position] += part.fragment
                assert size == len(unsaved.text) + sum(len(part.fragment) for part in unsaved.calls)
    assert text == answer.text
    assert list(calls.values()) == [call.arguments for call in answer.calls]
