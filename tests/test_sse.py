import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore.sse import SSEDecoder
from agentcore.testing.strategies import chunkings

LINES = st.lists(
    st.sampled_from(
        [
            b"", b"", b"data: {}", b"data:x", b"data", b"data:  y", b"event: error", b"event:e",
            b": ping", b":", b"id: 1", b"retry: 5", b"nonsense", b"\xef\xbb\xbfdata: z", b"\xff",
            b"data: \xc3\xa9", b'{"error": 1}',
        ]
    ),
    max_size=12,
)  # fmt: skip
BODIES = st.builds(
    lambda lines, ends: b"".join(line + end for line, end in zip(lines, ends, strict=False)),
    LINES,
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=12, max_size=12),
) | st.binary(max_size=40)


def decoded(*blocks: bytes) -> list[tuple[str, bytes]]:
    decoder = SSEDecoder()
    events = [event for block in blocks for event in decoder.feed(block)]
    return [*events, *decoder.finish()]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b'data: {"a": 1}\n\ndata: [DONE]\n\n', [("", b'{"a": 1}'), ("", b"[DONE]")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("", b"a")]),
        (b"data: a\ndata: b\ndata\ndata:c\n\n", [("", b"a\nb\n\nc")]),
        (b"data:a\n\ndata:  a\n\n", [("", b"a"), ("", b" a")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [("error", b"a"), ("", b"b")]),
        (b"event: error\n\ndata: a\n\n", [("", b"a")]),
        (b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")]),
        (b"id: 1\nretry: 5\ndatum: x\ndata: a\n\n", [("", b"a")]),
        (b": ping\n\ndata: a\n\n", [("", b"a")]),
        # Lenient at a clean end: the last blank line, or the last line feed, may be missing.
        (b"data: a\n", [("", b"a")]),
        (b"data: a", [("", b"a")]),
        (b"event: e\r\ndata: a\r", [("e", b"a")]),
        (b": ping", []),
        (b"", []),
        (b"\n\n\n", []),
        (b"<html>502</html>", []),
    ],
)
def test_events_of_a_body(body: bytes, events: list[tuple[str, bytes]]) -> None:
    assert decoded(body) == events


def test_an_error_without_framing_counts_from_the_first_event_on() -> None:
    # Found beside the decoder that read lines alone: a block that began between two events knew
    # of the events before it only at its end.
    assert decoded(b": ping\n\n", b'data: a\n\n{"error": 1}\n\n') == [
        ("", b"a"),
        ("", b'{"error": 1}'),
    ]


def test_an_empty_block_is_nothing() -> None:
    assert decoded(b"data: a\r", b"", b"\ndata: b\r\n\r\n") == [("", b"a\nb")]


def test_a_carriage_return_and_its_line_feed_may_come_in_two_blocks() -> None:
    assert decoded(b"data: a\r", b"", b"\n", b"\r", b"\ndata: b") == [("", b"a"), ("", b"b")]


def test_an_event_is_there_with_its_blank_line_and_not_before() -> None:
    decoder = SSEDecoder()

    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [("", b"a")]


def test_comments_are_counted() -> None:
    decoder = SSEDecoder()
    decoder.feed(b": OPENROUTER PROCESSING\n\n:\n: cut sh")
    decoder.finish()

    assert decoder.comments == 3


@given(BODIES, st.data())
def test_any_chunking_gives_the_same_events_and_comments(body: bytes, data: st.DataObject) -> None:
    whole, split = SSEDecoder(), SSEDecoder()
    blocks = data.draw(chunkings(body))

    assert [e for block in blocks for e in split.feed(block)] == whole.feed(body)
    assert split.finish() == whole.finish()
    assert split.comments == whole.comments


@given(
    st.lists(st.lists(st.binary(max_size=8), min_size=1, max_size=3), max_size=4),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
)
def test_what_is_written_as_events_is_read_as_events(events: list[list[bytes]], end: bytes) -> None:
    events = [[line.translate(None, b"\r\n") for line in lines] for lines in events]
    body = b"".join(b"".join(b"data: " + line + end for line in lines) + end for lines in events)

    assert decoded(body) == [("", b"\n".join(lines)) for lines in events]
