"""What is kept of a cut answer: whole lines, as sent, in a history that any server takes."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentcore.arguments import closed_fields, parse_arguments
from agentcore.drafts import (
    MIN_BYTES,
    MIN_LINES,
    CutCall,
    Kept,
    count_lines,
    draft_text,
    is_worth_keeping,
    joined_text,
    keep,
    kept_text,
    last_words,
    overlap_lines,
    split_lines,
)
from agentcore.kinds import CutCause
from agentcore.messages import AssistantMessage, JsonObject, ToolCall
from agentcore.testing import Answer
from agentcore.testing.strategies import answers, json_objects
from agentcore.verdict import Partial

DRAFTS = {"write_file": "content"}


def call(name: str, arguments: str, **more: Any) -> ToolCall:
    return ToolCall(id=f"{name}-id", name=name, arguments=arguments, **more)


def kept(*calls: ToolCall, **more: Any) -> Kept:
    return keep(Partial(calls=calls, **more), CutCause.DROPPED, draft_arguments=DRAFTS)


# --- the whole lines of a cut argument text -------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"path": "a", "content": "1\\n2\\n3', "1\n2\n"),
        ('{"path": "a", "content": "1\\n2\\n', "1\n2\n"),
        # A gateway may close what it cut: an unended line is no line.
        ('{"path": "a", "content": "1\\n2\\n3"}', "1\n2\n"),
        ('{"path": "a", "content": "1\\n2\\n"}', "1\n2\n"),
        ('{"path": "a", "content": "one line', ""),
        # in an escape, and in one that is a backslash and a letter
        ('{"path": "a", "content": "1\\n2\\', "1\n"),
        ('{"path": "a", "content": "1\\n\\u00', "1\n"),
        ('{"path": "a", "content": "1\\n2\\\\n', "1\n"),
        # in a surrogate pair, at its end, and half of one in the middle
        ('{"content": "1\\n\\ud83d', "1\n"),
        ('{"content": "1\\n\\ud83d\\ud', "1\n"),
        ('{"content": "😀\\n\\ud83d\\ude00\\n\\ud83d', "😀\n😀\n"),
        ('{"content": "\\ud83d\\n2\\n3', "\ufffd\n2\n"),
        # raw line breaks and other control characters
        ('{"content": "1\n2\n3', "1\n2\n"),
        ('{"content": "1\t\x01\n2', "1\t\x01\n"),
        ('{"content": "1\\n\r\n2', "1\n\r\n"),
        # Windows line ends, and other ends of lines that are none
        ('{"content": "1\\r\\n2\\r', "1\r\n"),
        ('{"content": "1\\u2028 2\\f\\n3\\u0085', "1\u2028 2\f\n"),
        # content before path
        ('{"content": "1\\n2\\n", "path": "a', "1\n2\n"),
        ('{"content": "1\\n2", "path": "a"}', "1\n"),
        # cut in a key, in the mode, in the path, before the content
        ('{"path": "a", "cont', ""),
        ('{"path": "a", "mode": "over', ""),
        ('{"path": "a\\nb', ""),
        ('{"path": "a", "content":', ""),
        ('{"path": "a", "content": ', ""),
        ('{"path": "a", "content": "', ""),
        ("", ""),
        # no text
        ('{"content": 12', ""),
        ('{"content": {"content": "1\\n2', ""),
        ('{"content": ["1\\n2', ""),
        # malformed after good lines: an escape that is none, a stray quote
        ('{"content": "1\\n2\\n\\q3\\n4\\n', "1\n2\n"),
        ('{"content": "1\\n2\\n\\u12G4\\n', "1\n2\n"),
        ('{\n"content": "é\\n2\\n\\q3\\n', "é\n2\n"),
        ('{"content": "1\\n2 "quoted" 3\\n4\\n', "1\n"),
        # Markdown around it
        ('```json\n{"content": "1\\n2', "1\n"),
    ],
)
def test_whole_lines(arguments: str, text: str) -> None:
    assert draft_text(arguments, "content") == text


def test_a_tool_without_a_draft_has_no_text() -> None:
    assert draft_text('{"content": "1\\n2', "") == ""


TEXT = 'é "q" \\n {"content": "x"}\n\ttab\r\n😀 \x01\x7f\u2028\n\n日本\nend'
ORDERS: dict[str, JsonObject] = {
    "content last": {"path": "é.md", "mode": "append", "start_line": 12, "content": TEXT},
    "content first": {"content": TEXT, "path": "é.md", "mode": "append"},
    "a line break in the path": {"path": "a\nb", "content": TEXT},
}


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escapes", "characters"])
@pytest.mark.parametrize("fields", ORDERS.values(), ids=ORDERS)
def test_at_every_cut_a_beginning_of_whole_lines(fields: JsonObject, ascii_only: bool) -> None:
    arguments = json.dumps(fields, ensure_ascii=ascii_only)
    lines = split_lines(TEXT)
    whole = ["".join(lines[:count]) for count in range(len(lines))]

    texts = [draft_text(arguments[:at], "content") for at in range(len(arguments) + 1)]

    assert list(dict.fromkeys(texts)) == whole
    assert [len(text) for text in texts] == sorted(len(text) for text in texts)


@given(json_objects(), st.text(), st.booleans(), st.booleans(), st.data())
def test_at_any_cut_what_is_kept_is_what_was_sent(
    fields: JsonObject, content: str, ascii_only: bool, raw: bool, data: st.DataObject
) -> None:
    arguments = json.dumps({**fields, "content": content}, ensure_ascii=ascii_only)
    if raw:
        arguments = arguments.replace("\\\\", "\\u005c").replace("\\n", "\n").replace("\\t", "\t")
    at = data.draw(st.integers(0, len(arguments)))

    text = draft_text(arguments[:at], "content")

    assert content.startswith(text)
    assert not text or text.endswith("\n")


@pytest.mark.parametrize(
    ("partial", "is_worth"),
    [
        (Partial(calls=(call("write_file", '{"content": "' + "\\n" * MIN_LINES),)), True),
        (Partial(calls=(call("write_file", '{"content": "' + "\\n" * (MIN_LINES - 1)),)), False),
        (Partial(calls=(call("write_file", '{"content": "' + "x" * 2_047 + "\\n"),)), True),
        (Partial(calls=(call("write_file", '{"content": "' + "x" * 9_999),)), False),
        (Partial(calls=(call("write_file", '{"content": "' + "é" * 1_024 + "\\n"),)), True),
        (Partial(calls=(call("read_file", '{"content": "' + "\\n" * 99),)), False),
        (Partial(text="x" * MIN_BYTES), True),
        (Partial(text="x" * (MIN_BYTES - 1)), False),
        (Partial(text="x" * 9_999, calls=(call("write_file", "{"),)), False),
        (Partial(reasoning="x" * 9_999), False),
        (Partial(), False),
    ],
)
def test_from_twenty_lines_or_two_kilobytes_on_it_is_worth_keeping(
    partial: Partial, is_worth: bool
) -> None:
    assert is_worth_keeping(partial, DRAFTS) is is_worth


# --- a message of a cut answer --------------------------------------------------------------


def test_a_cut_call_stands_with_its_closed_fields_and_its_whole_lines() -> None:
    raw = '{"path": "é.md", "content": "# Pl\\nan\\nhal'
    extra: JsonObject = {"extra_content": {"s": 1}}

    result = kept(call("write_file", raw, extra=extra), text="x", reasoning="hm")

    stands = call("write_file", '{"path": "é.md", "content": "# Pl\\nan\\n"}', extra=extra)
    assert result == Kept(
        message=AssistantMessage(content="x", reasoning="hm", tool_calls=(stands,)),
        cut_calls=(
            CutCall(
                call=stands,
                fields={"path": "é.md"},
                text="# Pl\nan\n",
                received_bytes=len(raw.encode()),
                received_lines=2,
                dropped_bytes=3,
            ),
        ),
        cause=CutCause.DROPPED,
        dropped_bytes=3,
    )


def test_reasoning_that_came_whole_is_kept_with_the_call() -> None:
    details: tuple[JsonObject, ...] = ({"type": "reasoning.text", "text": "hm", "signature": "s"},)

    result = kept(BEGUN, reasoning="hm", reasoning_details=details)

    assert result.message.reasoning_details == details


READ = call("read_file", '{"path": "a"}')
WRITE = call("write_file", '{"path": "a", "content": "x"}')
BEGUN = call("write_file", '{"path": "a", "content": "x')
OPEN = call("read_file", '{"path": "a')


@pytest.mark.parametrize(
    ("calls", "arguments", "cut"),
    [
        ((READ, BEGUN), ['{"path": "a"}', '{"path": "a"}'], ["write_file"]),
        # Gateways close what they cut: the last write is not to be trusted.
        ((READ, WRITE), ['{"path": "a"}', '{"path": "a"}'], ["write_file"]),
        # Once a comma too many cost the path.
        ((call("write_file", '{"path": "a",}'),), ['{"path": "a"}'], ["write_file"]),
        ((WRITE, READ), [WRITE.arguments, READ.arguments], []),
        # Of an open call that nothing can be kept of no trace is left beside others.
        ((WRITE, call("read_file", "")), [WRITE.arguments], []),
        ((OPEN, READ), [READ.arguments], []),
        ((OPEN, BEGUN), ['{"path": "a"}'], ["write_file"]),
        ((BEGUN, OPEN), ['{"path": "a"}'], ["write_file"]),
        # But one must answer for the turn: once both vanished, and an empty answer was kept.
        ((OPEN, OPEN), ["{}"], ["read_file"]),
        ((call("read_file", "nonsense"),), ["{}"], ["read_file"]),
        # Once a field without a name was taken for the draft of a tool that has none.
        ((call("read_file", '{"": 1, "path": "a'),), ['{"": 1}'], ["read_file"]),
        ((), [], []),
    ],
)
def test_which_calls_are_cut(
    calls: tuple[ToolCall, ...], arguments: list[str], cut: list[str]
) -> None:
    result = kept(*calls)

    assert [c.arguments for c in result.message.tool_calls] == arguments
    assert [c.call.name for c in result.cut_calls] == cut


@pytest.mark.parametrize(
    ("raw", "stands"),
    [
        # in the order in which the model wrote them
        ('{"content": "1\\n2", "path": "a", "mo', '{"content": "1\\n", "path": "a"}'),
        ('{"path": "a", "content": "1\\n2', '{"path": "a", "content": "1\\n"}'),
        # An open number may go on; an open path is no path.
        ('{"path": "a", "start_line": 12', '{"path": "a"}'),
        ('{"content": "1\\n", "path": "a', '{"content": "1\\n"}'),
        # Without a whole line the text leaves no trace.
        ('{"path": "a", "content": "half a li', '{"path": "a"}'),
        ('{"content": "closed", "path": "a"', '{"path": "a"}'),
        ('{"path": "a", "content": "\\ud83d\\n\\ud8', '{"path": "a", "content": "\ufffd\\n"}'),
    ],
)
def test_how_a_cut_call_stands(raw: str, stands: str) -> None:
    (cut,) = kept(call("write_file", raw)).cut_calls

    assert cut.call.arguments == stands


@pytest.mark.parametrize(
    ("calls", "summary"),
    [
        ((READ, READ, BEGUN), "2 closed calls; the closed fields of write_file"),
        ((READ,), "1 closed call"),
        ((BEGUN,), "the closed fields of write_file"),
        ((call("write_file", '{"content": "' + "é\\n" * 1_200),), "1,200 lines of write_file"),
    ],
)
def test_summary(calls: tuple[ToolCall, ...], summary: str) -> None:
    assert kept(*calls).summary == summary


def test_summary_of_a_text() -> None:
    result = kept(text="é\n" * 1_500 + "half")

    assert result.is_text
    assert result.message.content == "é\n" * 1_500
    assert (result.kept_bytes, result.dropped_bytes) == (4_500, 4)
    assert result.summary == "4,500 bytes of text"


@pytest.mark.parametrize(
    ("raw", "dropped"),
    [
        ('{"path": "a", "content": "é\\n', 0),
        # What an escape takes on the wire was counted as thrown away, in figures for the person.
        ('{"path": "a", "content": "\\u65e5\\u672c\\nha', 2),
        ('{"path": "a", "content": "1\\u000A2\\\\n', 4),
        ('{"path": "a", "content": "1\n日', 3),
        # Braces of our own were counted as kept.
        ('{"te', 4),
        ('{"path": "a", "content": "日', 16),
    ],
)
def test_what_is_dropped_is_counted_as_it_was_spelled(raw: str, dropped: int) -> None:
    result = kept(call("write_file", raw))

    assert (result.dropped_bytes, result.cut_calls[0].dropped_bytes) == (dropped, dropped)


@given(answers(), st.data())
def test_history_is_valid_and_every_call_has_its_place(answer: Answer, data: st.DataObject) -> None:
    calls = [ToolCall(id=c.id, name=c.name, arguments=c.arguments) for c in answer.calls]
    if calls:
        last = calls.pop()
        at = data.draw(st.integers(0, len(last.arguments)))
        calls.append(call(last.name, last.arguments[:at]))

    result = kept(*calls, text=answer.text)

    ids = [c.id for c in calls]
    stand = [c.id for c in result.message.tool_calls]
    assert stand in (ids, ids[:-1])
    assert bool(stand) is bool(ids)
    assert all(isinstance(json.loads(c.arguments), dict) for c in result.message.tool_calls)
    assert {c.call.id for c in result.cut_calls} <= {c.id for c in calls[-1:]}
    assert 0 <= result.dropped_bytes <= Partial(text=answer.text, calls=tuple(calls)).size_bytes


@given(json_objects(), st.text(max_size=20), st.data())
@example({"": 1, "content": "x"}, "y", None)
def test_only_closed_fields_and_whole_lines_stand_in_the_history(
    fields: JsonObject, content: str, data: st.DataObject | None
) -> None:
    text = json.dumps({"path": "a", **fields, "content": content})
    at = len(text) if data is None else data.draw(st.integers(0, len(text)))

    (cut,) = kept(call("write_file", text[:at])).cut_calls

    known = closed_fields(text[:at])
    known.pop("content", None)
    assert cut.fields == known
    lines = draft_text(text[:at], "content")
    assert cut.text == lines
    parsed = parse_arguments(cut.call.arguments)
    assert parsed is not None
    assert parsed.fields == known | ({"content": lines} if lines else {})


# --- what repeats ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "text", "count"),
    [
        ("a\nb\nc\n", "b\nc\nd\n", 2),
        ("a\nb\nc\n", "a\nb\nc\nd\n", 3),
        ("a\nb\nc\n", "b\nc\n", 2),
        ("a\nb\nc\n", "d\n", 0),
        ("a\nb\nc\n", "b\nd\n", 0),
        ("a\nb\nc\n", "", 0),
        ("", "a\nb\n", 0),
        # One line counts where it is long enough to tell, and like no other.
        ("a\n# The plan\n", "# The plan\nb\n", 1),
        ("a\n}\n", "}\nb\n", 0),
        ("# The plan\na\n# The plan\n", "# The plan\nb\n", 0),
        # Of lines that have followed themselves there, more may come: no such file was ever ended.
        ("a row\n" * 9, "a row\n" * 3, 0),
        ("\n\n\n", "\n\n\n", 0),
        ("x\na\nb\na\nb\n", "a\nb\na\n", 0),
        ("b\nc\na\nb\nc\n", "a\nb\nc\n", 0),
        ("c\na\nb\nc\n", "a\nb\nc\n", 3),
        ("b\nc\na\nx\nb\nc\n", "b\nc\nd\n", 2),
        # Never fuzzy.
        ("a\nb\nc\n", "b\nc \nd\n", 0),
        ("a\nb\r\nc\r\n", "b\nc\nd\n", 0),
        ("a\nb\nc", "b\nc\nd\n", 0),
        ("a\nb\nc", "b\nc", 2),
    ],
)
def test_overlap(before: str, text: str, count: int) -> None:
    assert overlap_lines(before, text) == count


FEW_LINES = st.lists(
    st.sampled_from(["a\n", "b\n", "\n", "a long line\n", "another one\n"]), max_size=9
).map("".join)


def slow_overlap(before: str, text: str) -> int:
    there, fresh = before.splitlines(keepends=True), text.splitlines(keepends=True)
    for count in range(min(len(there), len(fresh)), 1, -1):
        if there[-count:] == fresh[:count]:
            return 0 if is_rhythm(there[:-count], fresh[:count]) else count
    if not (there and fresh and there[-1] == fresh[0]):
        return 0
    return int(len(fresh[0].strip()) >= 8 and there.count(fresh[0]) == 1)


def is_rhythm(before: list[str], block: list[str]) -> bool:
    period = next(p for p in range(1, len(block) + 1) if block[p:] == block[: len(block) - p])
    earlier = before[-period:]
    if 2 * period <= len(block):
        return True
    return len(earlier) >= min(2, period) and block[-len(earlier) :] == earlier


@given(FEW_LINES, FEW_LINES)
@example("a\na\n", "a\na\na\n")
def test_overlap_is_the_longest_that_there_is(before: str, text: str) -> None:
    assert overlap_lines(before, text) == slow_overlap(before, text)


UNIQUE = [f"Line {number} is like no other.\n" for number in range(40)]


@given(st.integers(1, 39), st.integers(0, 39))
def test_lines_that_are_sent_again_are_found(cut_at: int, again: int) -> None:
    again = min(again, cut_at)
    assert overlap_lines("".join(UNIQUE[:cut_at]), "".join(UNIQUE[cut_at - again :])) == again


def test_a_long_overlap_is_found_in_linear_time() -> None:
    same = "x\n" * 100_000
    assert overlap_lines("y\n" + same, "y\n" + same + "z\n") == 100_001
    assert overlap_lines(same, same + "y\n") == 0


@given(st.text())
def test_lines_are_split_at_line_feeds_only(text: str) -> None:
    lines = split_lines(text)

    assert "".join(lines) == text
    assert len(lines) == count_lines(text)
    assert all(line.endswith("\n") for line in lines[:-1])
    assert all("\n" not in line[:-1] for line in lines)


# --- a text answer --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept_part"),
    [
        ("one\ntwo\nthr", "one\ntwo\n"),
        ("one\ntwo\n", "one\ntwo\n"),
        # Half a page without a line break is not thrown away for one.
        ("a\nmany words in one paragraph that goes o", "a\nmany words in one paragraph that goes "),
        ("many words in o", "many words in "),
        ("日本語のみ", "日本語のみ"),
        ("", ""),
    ],
)
def test_a_text_is_kept_to_its_last_line_or_word(text: str, kept_part: str) -> None:
    assert kept_text(text) == kept_part


@given(st.text())
@example(" \n0000")  # the last word began before the last line
def test_of_a_text_a_beginning_is_kept_and_half_of_it_at_least_unless_it_is_one_word(
    text: str,
) -> None:
    part = kept_text(text)

    assert text.startswith(part)
    assert bool(part) is bool(text)
    assert len(part) >= len(text) // 2 or not set(" \n") & set(text[len(part) :])


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb c\n\n", "b c"), ("a", "a"), ("", ""), ("x" * 300 + "\n", "x" * 200)],
)
def test_the_last_words(text: str, shown: str) -> None:
    assert last_words(text) == shown


LONG = "".join(f"Sentence {number} of the answer.\n" for number in range(200))
PARAGRAPH = "".join(f"Sentence {number} of the answer. " for number in range(200))


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a\n", "b"], "a\nb"),
        (["one\ntwo\n", "one\ntwo\nthree"], "one\ntwo\nthree"),
        (["one\ntwo\nthree\n", "two\nthree\nfour\n", "five"], "one\ntwo\nthree\nfour\nfive"),
        (["a ", "b ", "c"], "a b c"),
        # It began anew, and came less far, or farther: the beginning stood there twice.
        ([LONG[:5_000], LONG[:3_000], LONG[5_000:]], LONG),
        ([PARAGRAPH[:5_000], PARAGRAPH], PARAGRAPH),
        ([PARAGRAPH[:5_000], PARAGRAPH[:3_000], PARAGRAPH], PARAGRAPH),
        # A short end is no beginning anew.
        (["a\nb\n", "a\n"], "a\nb\na\n"),
    ],
)
def test_parts_of_a_text_are_joined(parts: list[str], text: str) -> None:
    assert joined_text(parts) == text


@given(st.lists(st.integers(0, len(LONG)), max_size=6), st.integers(0, 5))
def test_however_a_text_is_cut_and_repeated_it_is_joined_to_the_whole(
    cuts: list[int], again: int
) -> None:
    ends = sorted({len(kept_text(LONG[:at])) for at in cuts} - {0})
    lines = split_lines(LONG)
    counts = [count_lines(LONG[:end]) for end in ends]
    starts = [0, *(max(0, count - again) for count in counts)]
    parts = [
        "".join(lines[start:end]) for start, end in zip(starts, [*counts, len(lines)], strict=True)
    ]

    assert joined_text(parts) == LONG
