import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from agentcore.text_buffer import TextBuffer

FRAGMENTS = st.lists(st.text(st.characters(codec=None, exclude_categories=()), max_size=5))


@given(FRAGMENTS)
def test_fragments_are_joined_as_they_came(fragments: list[str]) -> None:
    buffer = TextBuffer()
    ends = [0]
    for fragment in fragments:
        buffer.append(fragment)
        ends.append(len(buffer))
    assert buffer.text() == "".join(fragments)
    for count, end in enumerate(ends):
        assert buffer.text(end) == "".join(fragments[count:])


def test_halves_of_a_pair_stay_halves() -> None:
    buffer = TextBuffer()
    buffer.append("a\ud83d")
    buffer.append("\ude00")
    assert buffer.text() == "a\ud83d\ude00"
    assert len(buffer) == 7


def test_small_fragments_take_little_more_memory_than_their_text() -> None:
    tracemalloc.start()
    try:
        buffer = TextBuffer()
        for number in range(20_000):
            buffer.append(f"{number:>8}")
        assert tracemalloc.get_traced_memory()[1] < 1.5 * len(buffer)
    finally:
        tracemalloc.stop()


def test_what_is_cleared_is_empty() -> None:
    buffer = TextBuffer()
    buffer.append("{}")
    buffer.clear()
    assert not buffer
    assert buffer.text() == ""
