"""Chunks that repeat the one before: read faster, and never otherwise."""

import json
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typing_extensions import override

from agentcore import chunks as chunks_module
from agentcore.chunks import ChunkDecoder
from agentcore.events import (
    Done,
    InStreamError,
    ReasoningDelta,
    ResponseInfo,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from agentcore.messages import JsonObject
from agentcore.providers import Local
from agentcore.providers.chat import decode_chunk

DELTAS = (
    '{"content":%s}',
    '{"content": %s}',
    '{"role":"assistant","content":%s}',
    '{"reasoning_content":%s}',
    '{"reasoning":%s,"content":""}',
    '{"reasoning":%s,"reasoning_details":[{"type":"text","text":%s}]}',
    '{"refusal":%s}',
    '{"content":[{"type":"text","text":%s}]}',
    '{"tool_calls":[{"index":0,"function":{"arguments":%s}}]}',
    '{"tool_calls":[{"index":1,"function":{"arguments":%s}}]}',
    '{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":%s}}]}',
    '{"tool_calls":[{"function":{"arguments":{"a":%s}}}]}',
    '{"content":%s,"tool_calls":[{"index":0,"function":{"arguments":"a"}}]}',
    '{"content":"a","refusal":%s}',
    "{%s:1}",
)
ENDS = (
    "}]}",
    ',"finish_reason":null}],"usage":null}',
    ',"finish_reason":"stop"}]}',
    '}],"usage":{"prompt_tokens":1}}',
    '}],"error":{"message":"no"}}',
    '}],"obfuscation":"x8Q"}',
    '}],"obfuscation":"0"}',
    '}],"obfuscation":""}',
    '}],"obfuscation":"a b"}',
    '}],"obfuscation":"b","content":"c"}',
)
HEADS = (
    '{"id":"one","choices":[{"delta":',
    '{"id":"two","choices":[{"delta":',
    '{"id":"one","content":"a","choices":[{"delta":',
    '{"id":"one","choices":[{"index":0,"delta":{}},{"delta":',
)
PIECES = st.text(max_size=4) | st.sampled_from(
    ("", "a", "other", '"', '\\"', '","content":"b', "}]}", "\\", "\n", "é😀", "\ud83d", "\ude00")
)
TEXTS = st.builds(
    lambda piece, is_ascii: (
        json.dumps(piece, ensure_ascii=is_ascii)
        .encode(errors="surrogatepass")
        .decode(errors="surrogatepass")
    ),
    PIECES,
    st.booleans(),
)


def _chunk(head: str, delta: str, end: str, text: str) -> bytes:
    return (head + delta.replace("%s", text) + end).encode(errors="surrogatepass")


def _said(text: str) -> bytes:
    return _chunk(HEADS[0], DELTAS[0], ENDS[0], text)


def _spoilt(data: bytes, at: int, byte: bytes) -> bytes:
    return data[: at % (len(data) + 1)] + byte + data[(at + 1) % (len(data) + 1) :]


CHUNKS = st.builds(
    _chunk, st.sampled_from(HEADS), st.sampled_from(DELTAS), st.sampled_from(ENDS), TEXTS
)
FEW_HEADS = st.builds(
    _chunk, st.just(HEADS[0]), st.sampled_from(DELTAS[:9]), st.just(ENDS[0]), TEXTS
)
SPOILT = st.builds(
    _spoilt,
    FEW_HEADS,
    st.integers(0, 90),
    st.sampled_from((b"", b'"', b"\\", b"\xff", b"{", b"}", b"\x00", b"\x85", b"0")),
)
DATA = FEW_HEADS | CHUNKS | SPOILT | st.sampled_from((b"[DONE]", b"", b"{", b'"x"', b"[]", b"null"))


EARLIER = [("", _chunk(HEADS[1], DELTAS[0], ENDS[0], '"a"'))] * 3
"""So many have to come before anything is learned."""


@given(st.lists(st.tuples(st.sampled_from(("", "", "", "error")), DATA), max_size=8))
@example([("", _said(text)) for text in ('"a"', '"b","content":"c"')])
@example([("", _said(text)) for text in ('"a"', '"b\\"', '"c"')])
@example([(name, _chunk(HEADS[0], DELTAS[0], ENDS[5], '"a"')) for name in ("", "error")])
def test_an_answer_says_what_its_chunks_say_one_by_one(events: list[tuple[str, bytes]]) -> None:
    decoder = ChunkDecoder(Local())
    said = [list(decoder.decode(event)) for event in [*EARLIER, *events]]
    assert said[3:] == [list(ChunkDecoder(Local()).decode(event)) for event in events]


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[JsonObject]:
    """The chunks that were decoded whole."""
    seen: list[JsonObject] = []

    def watched(name: str, chunk: JsonObject) -> list[StreamEvent]:
        seen.append(chunk)
        return decode_chunk(name, chunk)

    monkeypatch.setattr("agentcore.providers.base.decode_chunk", watched)
    return seen


def said_by(chunks: Sequence[bytes]) -> list[StreamEvent]:
    decoder = ChunkDecoder(Local())
    return [
        event
        for data in chunks
        for event in decoder.decode(("", data))
        if not isinstance(event, ResponseInfo)
    ]


NUMBERS = [str(number) for number in range(50)]


@pytest.mark.parametrize(
    ("delta", "kind"),
    [
        (DELTAS[0], TextDelta),
        (DELTAS[1], TextDelta),
        (DELTAS[3], ReasoningDelta),
        (DELTAS[4], ReasoningDelta),
        (DELTAS[9], lambda text: ToolCallDelta(1, "", "", text, {})),
    ],
)
@pytest.mark.parametrize("end", ENDS[:2])
def test_a_repetition_is_decoded_by_its_piece(
    delta: str, end: str, kind: type[TextDelta], whole: list[JsonObject]
) -> None:
    chunks = [_chunk(HEADS[0], delta, end, f'"{number}"') for number in NUMBERS]
    assert said_by(chunks) == [kind(number) for number in NUMBERS]
    assert len(whole) == 5  # four, and the last of them with another piece


def test_random_letters_that_say_nothing_do_not_matter(whole: list[JsonObject]) -> None:
    chunks = [
        _chunk(HEADS[0], DELTAS[0], f'}}],"obfuscation":"{number}x"}}', f'"{number}"')
        for number in NUMBERS
    ]
    assert said_by(chunks) == [TextDelta(number) for number in NUMBERS]
    assert len(whole) == 5


def test_an_answer_that_never_repeats_is_not_learned_from_for_long(
    whole: list[JsonObject],
) -> None:
    chunks = [
        _chunk(HEADS[0], DELTAS[0], f'}}],"created":{number}}}', f'"{number}"')
        for number in NUMBERS
    ]
    assert said_by(chunks) == [TextDelta(number) for number in NUMBERS]
    assert len(whole) == len(NUMBERS) + 8


def test_an_answer_with_two_pieces_a_chunk_is_not_searched_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[bytes] = []
    without_padding = chunks_module._without_padding

    def watched(data: bytes) -> bytes:
        searched.append(data)
        return without_padding(data)

    monkeypatch.setattr(chunks_module, "_without_padding", watched)
    two = '{"reasoning":%s,"reasoning_content":%s}'
    said_by([_chunk(HEADS[0], two, ENDS[0], f'"{number}"') for number in NUMBERS])
    assert len(searched) == 8


def test_a_change_on_the_way_is_learned_anew(whole: list[JsonObject]) -> None:
    pieces = [f'"{number}"' for number in NUMBERS]
    thought = [_chunk(HEADS[0], DELTAS[3], ENDS[0], piece) for piece in pieces]
    spoken = [_chunk(HEADS[0], DELTAS[0], ENDS[0], piece) for piece in pieces]
    said_by([*thought, *spoken] * 5)
    assert len(whole) == 2 * 10 + 3


class Shouting(Local):
    """An adapter that says what a chunk means by itself."""

    @override
    def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
        for event in super().decode(event_name, chunk):
            yield TextDelta(event.text.upper()) if isinstance(event, TextDelta) else event


def test_an_adapter_that_overrides_decode_is_shown_every_chunk(whole: list[JsonObject]) -> None:
    decoder = ChunkDecoder(Shouting())
    chunks = [_said(f'"a{number}"') for number in NUMBERS]
    said = [list(decoder.decode(("", data)))[-1] for data in chunks]
    assert said == [TextDelta(f"A{number}") for number in NUMBERS]
    assert len(whole) == len(NUMBERS)


def test_an_endpoint_that_sends_an_odd_thing_is_told_of() -> None:
    decoder = ChunkDecoder(Local())
    said = [list(decoder.decode(("", data))) for data in (b"[DONE]", b'"busy"', b"<html>", b"1")]
    assert said == [[Done()], [InStreamError("busy")], [InStreamError("<html>")], []]
