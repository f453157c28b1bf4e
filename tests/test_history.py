import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentcore.errors import ConfigurationError
from agentcore.history import (
    KEEP_LATEST,
    KeepUnder,
    Section,
    compact,
    find_sections,
    has_stand_in,
    message_tokens,
)
from agentcore.ledger import estimate_tokens
from agentcore.messages import (
    AssistantMessage,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
    dump_messages,
)
from agentcore.testing.strategies import conversations, texts

DRAFTS = {"write_file": "content", "execute_code": "code"}
PATHS = {"write_file": "path"}


def lines(first: int, last: int) -> str:
    return "".join(
        f"line {number:05}: the quick brown fox jumps\n" for number in range(first, last + 1)
    )


def section(text: str, path: str = "plan.md", first: int = 1) -> Section:
    last = first + text.count("\n") - text.endswith("\n")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Section(path=path, first_line=first, last_line=last, digest=digest)


def write(id_: str, text: str, **fields: Any) -> ToolCall:
    arguments = json.dumps({"path": "plan.md", "mode": "append", **fields, "content": text})
    return ToolCall(id=id_, name="write_file", arguments=arguments)


def exchange(*calls: ToolCall) -> list[Message]:
    return [
        AssistantMessage(tool_calls=calls),
        *(ToolMessage(tool_call_id=call.id, name=call.name, content="done") for call in calls),
    ]


def long_write(sections: int, size: int = 100) -> tuple[list[Message], dict[str, Section]]:
    """A conversation that wrote so many sections of so many lines, each in a turn of its own."""
    messages: list[Message] = [SystemMessage(content="Be brief."), UserMessage(content="Write.")]
    found: dict[str, Section] = {}
    for number in range(sections):
        first = number * size + 1
        text = lines(first, first + size - 1)
        messages += exchange(write(f"c{number}", text, start_line=first))
        found[f"c{number}"] = section(text, first=first)
    return messages, found


def contents(messages: Sequence[Message]) -> list[str]:
    """The large argument of every write, as a request has it."""
    return [
        str(json.loads(call.arguments).get("content"))
        for message in messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls
        if call.name == "write_file"
    ]


# --- what a request carries -----------------------------------------------------------------


def test_the_oldest_sections_become_a_line_each() -> None:
    messages, sections = long_write(4)
    whole = message_tokens(messages)

    sent = compact(messages, limit_tokens=whole - 1, sections=sections, draft_arguments=DRAFTS)

    assert contents(sent) == [
        f'[left out: lines 1 to 100 of "plan.md", on disk, sha256 {sections["c0"].digest[:12]}]',
        f'[left out: lines 101 to 200 of "plan.md", on disk, sha256 {sections["c1"].digest[:12]}]',
        lines(201, 300),
        lines(301, 400),
    ]
    first = sent[2]
    assert isinstance(first, AssistantMessage)
    assert list(json.loads(first.tool_calls[0].arguments)) == [
        "path", "mode", "start_line", "content",
    ]  # fmt: skip
    assert [message for message in sent if message.role != "assistant"] == [
        message for message in messages if message.role != "assistant"
    ]


def test_below_the_limit_messages_are_what_they_were() -> None:
    messages, sections = long_write(4)
    limit = message_tokens(messages)

    sent = compact(messages, limit_tokens=limit, sections=sections, draft_arguments=DRAFTS)

    assert [id(message) for message in sent] == [id(message) for message in messages]


def test_the_latest_sections_stay_however_small_the_limit() -> None:
    messages, sections = long_write(5)

    sent = compact(messages, limit_tokens=-1_000, sections=sections, draft_arguments=DRAFTS)

    assert [text == lines(n * 100 + 1, n * 100 + 100) for n, text in enumerate(contents(sent))] == [
        False, False, False, True, True,
    ]  # fmt: skip


def test_calls_of_one_message_are_replaced_one_by_one() -> None:
    calls = [write(f"c{number}", lines(1, 50), path=f"{number}.md") for number in range(4)]
    sections = {call.id: section(lines(1, 50)) for call in calls}
    look = ToolCall(id="look", name="read_file", arguments='{"path": "plan.md"}')
    messages = [UserMessage(content="Write."), *exchange(calls[0], look, *calls[1:])]

    sent = compact(messages, limit_tokens=0, sections=sections, draft_arguments=DRAFTS)

    assert [has_stand_in(text) for text in contents(sent)] == [True, True, False, False]
    assert isinstance(sent[1], AssistantMessage)
    assert sent[1].tool_calls[1] is look
    assert [call.id for call in sent[1].tool_calls] == ["c0", "look", "c1", "c2", "c3"]


@pytest.mark.parametrize(
    "call",
    [
        write("c0", lines(1, 99)),
        replace(write("c0", lines(1, 100)), name="read_file"),
        ToolCall(id="c0", name="write_file", arguments='{"path": "plan.md", "content": 7}'),
        ToolCall(id="c0", name="write_file", arguments='{"path": "plan.md"}'),
        ToolCall(id="c0", name="write_file", arguments='{"path": "plan.md", "content": "# Pl'),
        replace(
            write("c0", lines(1, 100)),
            arguments=write("c0", lines(1, 100)).arguments.replace('"append"', "1e999"),
        ),
    ],
    ids=["another text", "no draft", "no text", "absent", "cut", "infinite, which JSON is not"],
)
def test_a_call_that_is_not_its_section_is_left_alone(call: ToolCall) -> None:
    later, sections = long_write(4)
    sections["c0"] = section(lines(1, 100))
    messages = [*exchange(call), *later[4:]]

    sent = compact(messages, limit_tokens=0, sections=sections, draft_arguments=DRAFTS)

    assert sent[0] is messages[0]
    assert has_stand_in(contents(sent[2:])[0])


def test_a_text_that_is_shorter_than_its_line_stays() -> None:
    call = write("c0", "x\n")
    later, sections = long_write(4)
    messages = [*exchange(call), *later[4:]]

    sent = compact(
        messages,
        limit_tokens=0,
        sections={**sections, "c0": section("x\n")},
        draft_arguments=DRAFTS,
    )

    assert [has_stand_in(text) for text in contents(sent)] == [False, True, False, False]


def test_a_lone_surrogate_in_a_message_does_not_stop_a_request() -> None:
    messages, sections = long_write(3)
    messages.insert(0, UserMessage(content="half \ud83d of it"))

    sent = compact(messages, limit_tokens=0, sections=sections, draft_arguments=DRAFTS)

    assert [has_stand_in(text) for text in contents(sent)] == [True, False, False]


@pytest.mark.parametrize("path", ["plan.md", 'a "quoted" name.md', "two\nlines.md", "é漢😀.md"])
def test_a_stand_in_is_one_line_and_is_known_again(path: str) -> None:
    line = section(lines(3, 9), path=path, first=3).stand_in

    assert "\n" not in line
    assert has_stand_in(line)
    assert has_stand_in(f"# Plan\n  {line}\nmore\n")
    assert not has_stand_in(f"The request says {line}\n")
    assert not has_stand_in(lines(1, 3))


# --- a long write ---------------------------------------------------------------------------


def requests_of(
    messages: Sequence[Message], sections: Mapping[str, Section], limit: int
) -> list[tuple[Message, ...]]:
    """The messages of each request that a conversation was made with, one before each answer."""
    ends = [at for at, message in enumerate(messages) if message.role == "assistant"]
    return [
        compact(messages[:end], limit_tokens=limit, sections=sections, draft_arguments=DRAFTS)
        for end in [*ends, len(messages)]
    ]


@pytest.mark.parametrize(
    ("limit", "changes"),
    # The whole of it takes 144,000 tokens, one section 1,440.
    [(200_000, 0), (100_000, 2), (50_000, 8), (25_000, 17)],
)
def test_over_a_hundred_sections_the_beginning_of_a_request_seldom_changes(
    limit: int, changes: int
) -> None:
    """What a cache holds of the last request is in the next one, but for so many times."""
    messages, sections = long_write(100)

    sent = requests_of(messages, sections, limit)

    pairs = list(pairwise(sent))
    assert sum(after[: len(before)] != before for before, after in pairs) == changes
    assert max(map(message_tokens, sent)) <= limit


# --- what is on disk ------------------------------------------------------------------------


def found(messages: Sequence[Message], files: Mapping[str, bytes]) -> dict[str, Section]:
    return find_sections(messages, draft_arguments=DRAFTS, path_arguments=PATHS, read=files.get)


def test_sections_are_found_where_they_stand() -> None:
    messages, sections = long_write(3)

    assert found(messages, {"plan.md": lines(1, 300).encode()}) == sections


def test_what_was_written_over_is_no_section_and_what_moved_has_moved() -> None:
    messages, sections = long_write(3)
    text = "A new line\n" + lines(1, 300).replace("line 00150", "LINE 00150")

    assert found(messages, {"plan.md": text.encode()}) == {
        "c0": replace(sections["c0"], first_line=2, last_line=101),
        "c2": replace(sections["c2"], first_line=202, last_line=301),
    }


@pytest.mark.parametrize(
    ("text", "file", "place"),
    [
        ("a\nb\n", b"a\nb\n", (1, 2)),
        ("a\nb", b"a\nb", (1, 2)),
        ("a\nb", b"a\nb\nc\n", (1, 2)),
        ("b\n", b"a\nb\n", (2, 2)),
        ("b", b"ab\nb", (2, 2)),
        ("b\n", b"ab\nbc\nb\n", (3, 3)),
        ("\n", b"a\n\nb", (2, 2)),
        ("a\nb\n", b"a\r\nb\r\n", (1, 2)),
        ("a\r\nb\r\n", b"a\r\nb\r\n", (1, 2)),
        ("a\n", b"\xef\xbb\xbfa\n", (1, 1)),
        ("\ufeffa\n", b"\xef\xbb\xbfa\n", (1, 1)),
        ("é漢\n", "x\né漢\n".encode(), (2, 2)),
        ("b\n", b"ab\n", None),
        ("b", b"bc", None),
        ("a\n", b"a", None),
        ("a\n", b"", None),
        ("a\n", None, None),
        ("", b"a\n", None),
        ("\ufeff", b"a\n", None),
        ("a\n", b"\xff\xfe\x00", None),
    ],
)
def test_a_section_is_whole_lines(
    text: str, file: bytes | None, place: tuple[int, int] | None
) -> None:
    files = {"plan.md": file} if file is not None else {}

    sections = found(exchange(write("c", text)), files)

    assert [(one.first_line, one.last_line) for one in sections.values()] == (
        [place] if place else []
    )


@pytest.mark.parametrize(
    "call",
    [
        ToolCall(id="c", name="execute_code", arguments='{"code": "a\\n", "path": "plan.md"}'),
        ToolCall(id="c", name="read_file", arguments='{"path": "plan.md", "content": "a\\n"}'),
        ToolCall(id="c", name="write_file", arguments='{"path": 7, "content": "a\\n"}'),
        ToolCall(id="c", name="write_file", arguments='{"content": "a\\n"}'),
        ToolCall(id="c", name="write_file", arguments='{"path": "plan.md", "content": "a\\n'),
    ],
    ids=["names no file", "writes nothing", "path is none", "no path", "cut"],
)
def test_other_calls_are_no_sections(call: ToolCall) -> None:
    assert found(exchange(call), {"plan.md": b"a\n"}) == {}


def test_repeated_texts_are_told_apart_by_their_order_and_each_file_is_read_once() -> None:
    messages = [
        message for id_ in ("c0", "c1", "c2") for message in exchange(write(id_, "same\n" * 30))
    ]
    messages += exchange(write("c3", "other\n", path="./plan.md"))
    read: list[str] = []

    def file(path: str) -> bytes:
        read.append(path)
        return b"same\n" * 90 + b"other\n"

    sections = find_sections(messages, draft_arguments=DRAFTS, path_arguments=PATHS, read=file)

    assert [(one.first_line, one.last_line) for one in sections.values()] == [
        (1, 30), (31, 60), (61, 90), (91, 91),
    ]  # fmt: skip
    assert read == ["plan.md"]


def test_a_text_that_begins_with_lines_that_were_there_is_found() -> None:
    """The first append after a cut may repeat the last lines; only the rest was written."""
    messages = [*exchange(write("c0", lines(1, 50))), *exchange(write("c1", lines(48, 90)))]

    sections = found(messages, {"plan.md": lines(1, 90).encode()})

    assert [(one.first_line, one.last_line) for one in sections.values()] == [(1, 50), (48, 90)]


# --- the setting ----------------------------------------------------------------------------


def test_half_of_the_window_is_kept_under_less_what_the_tools_take() -> None:
    spec = ToolSpec(name="look", description="Look.", parameters={"type": "object"})
    taken = estimate_tokens(
        len('[{"name":"look","description":"Look.","parameters":{"type":"object"}}]')
    )

    assert KeepUnder().limit_tokens(200_000, [spec]) == 100_000 - taken
    assert KeepUnder(share=0.25).limit_tokens(100_000) == 25_000 - 1


def test_without_a_known_window_there_is_no_limit() -> None:
    assert KeepUnder().limit_tokens(None) is None
    assert KeepUnder(window_tokens=32_000).limit_tokens(None) == 16_000 - 1
    assert KeepUnder(window_tokens=32_000).limit_tokens(200_000) == 16_000 - 1


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_a_share_is_above_0_and_at_most_1(share: float) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"share={share!r}\): must be above 0 and at most"
    ):
        KeepUnder(share=share)


def test_a_window_holds_something() -> None:
    with pytest.raises(ConfigurationError, match=r"window_tokens=0\): must be at least 1, or None"):
        KeepUnder(window_tokens=0)


# --- properties -----------------------------------------------------------------------------


@st.composite
def written(draw: st.DrawFn) -> tuple[list[Message], dict[str, Section]]:
    """Any conversation with writes among it, most of which are verified."""
    messages: list[Message] = []
    sections: dict[str, Section] = {}
    for number, between in enumerate(draw(st.lists(conversations(), max_size=2))):
        messages += [_renamed(message, f"_{number}") for message in between]
        calls = []
        for index in range(draw(st.integers(0, 4))):
            text = draw(texts()) * draw(st.sampled_from([1, 8, 60]))
            calls.append(write(f"w{number}_{index}", text, note=draw(texts())))
            if draw(st.integers(0, 4)):
                sections[calls[-1].id] = section(text)
        messages += exchange(*calls)
    return messages, sections


def _renamed(message: Message, suffix: str) -> Message:
    """Ids are unique in a conversation, also in one that is made of several."""
    if isinstance(message, AssistantMessage):
        calls = (replace(call, id=call.id + suffix) for call in message.tool_calls)
        return replace(message, tool_calls=tuple(calls))
    if isinstance(message, ToolMessage):
        return replace(message, tool_call_id=message.tool_call_id + suffix)
    return message


def size(text: str) -> int:
    """Bytes of a text in a request."""
    return len(json.dumps(text, ensure_ascii=False).encode())


LIMITS = st.integers(-10, 1_500)


@given(written(), LIMITS)
def test_only_large_arguments_change_and_only_to_their_lines(
    conversation: tuple[list[Message], dict[str, Section]], limit: int
) -> None:
    messages, sections = conversation

    sent = compact(messages, limit_tokens=limit, sections=sections, draft_arguments=DRAFTS)

    assert len(sent) == len(messages)
    for before, after in zip(messages, sent, strict=True):
        if after is before:
            continue
        assert isinstance(before, AssistantMessage)
        assert isinstance(after, AssistantMessage)
        assert replace(after, tool_calls=before.tool_calls) == before
        for was, now in zip(before.tool_calls, after.tool_calls, strict=True):
            if was is now:
                continue
            assert replace(now, arguments=was.arguments) == was
            fields = json.loads(was.arguments)
            fields["content"] = sections[was.id].stand_in
            assert list(json.loads(now.arguments).items()) == list(fields.items())
            assert size(now.arguments) < size(was.arguments)
            assert size(sections[was.id].stand_in) < size(json.loads(was.arguments)["content"])


@given(written(), LIMITS)
def test_the_limit_is_passed_only_when_just_the_latest_are_left(
    conversation: tuple[list[Message], dict[str, Section]], limit: int
) -> None:
    messages, sections = conversation
    options: Any = {"sections": sections, "draft_arguments": DRAFTS}
    least = compact(messages, limit_tokens=-(10**9), **options)

    sent = compact(messages, limit_tokens=limit, **options)

    assert message_tokens(sent) <= limit or sent == least
    if message_tokens(messages) <= limit:
        assert sent == tuple(messages)
    replaced = [now is not was for was, now in zip(calls_of(messages), calls_of(sent), strict=True)]
    possible = [now != was for was, now in zip(calls_of(messages), calls_of(least), strict=True)]
    assert all(could for did, could in zip(replaced, possible, strict=True) if did)
    assert sum(has_stand_in(text) for text in contents(least)) <= max(
        0, len(sections) - KEEP_LATEST
    )


def calls_of(messages: Sequence[Message]) -> list[ToolCall]:
    return [
        call
        for message in messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls
    ]


@given(written(), LIMITS)
def test_to_compact_twice_is_to_compact_once(
    conversation: tuple[list[Message], dict[str, Section]], limit: int
) -> None:
    messages, sections = conversation
    options: Any = {"limit_tokens": limit, "sections": sections, "draft_arguments": DRAFTS}
    once = compact(messages, **options)

    assert compact(once, **options) == once


@given(written(), LIMITS)
def test_what_one_request_leaves_out_the_next_leaves_out(
    conversation: tuple[list[Message], dict[str, Section]], limit: int
) -> None:
    messages, sections = conversation
    sent = requests_of(messages, sections, limit)

    for before, after in pairwise(sent):
        for was, now in zip(contents(before), contents(after), strict=False):
            assert was == now or has_stand_in(now)
            assert not has_stand_in(was) or was == now


@given(conversations())
def test_tokens_are_bytes_of_the_dump(messages: list[Message]) -> None:
    assert message_tokens(messages) == estimate_tokens(len(dump_messages(messages).encode()))


TEXTS = st.text("ab\r\n\ufeffé", max_size=12)


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=6))
@example(["\n"], ["a", "\n"])
@example(["a\n", "a\n"], ["a\n", "b\n", "a\n"])
def test_a_section_is_what_the_file_holds_in_its_lines(
    written_texts: list[str], pieces: list[str]
) -> None:
    file = "".join(pieces).encode()
    messages = [
        message
        for number, text in enumerate(written_texts)
        for message in exchange(write(f"c{number}", text))
    ]

    sections = found(messages, {"plan.md": file})

    plain = file.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    there = plain.splitlines(keepends=True) if b"\r" not in plain else None
    for number, text in enumerate(written_texts):
        one = sections.get(f"c{number}")
        if one is None or there is None:
            continue
        assert one.digest == hashlib.sha256(text.encode()).hexdigest()
        held = b"".join(there[one.first_line - 1 : one.last_line])
        wanted = text.removeprefix("\ufeff").replace("\r\n", "\n").encode()
        assert held in (wanted, wanted + b"\n")


@given(st.integers(1, 60), st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 3))
def test_every_section_of_a_file_is_found(offset: int, sizes: list[int], overlap: int) -> None:
    """However large the sections are, what stands before them, and how far they overlap."""
    messages: list[Message] = []
    end, places = offset, []
    for number, size in enumerate(sizes):
        first = max(offset + 1, end + 1 - overlap)
        messages += exchange(write(f"c{number}", lines(first, end + size)))
        places.append((first, end + size))
        end += size

    sections = found(messages, {"plan.md": lines(1, end).encode()})

    assert [(one.first_line, one.last_line) for one in sections.values()] == places
