"""What may run together: a table, and what holds for any two calls."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agentcore.scheduling import Touches


def reading(*paths: str) -> Touches:
    return Touches(reads=frozenset(paths))


def writing(*paths: str) -> Touches:
    return Touches(writes=frozenset(paths))


NOTHING, ALONE = Touches(), Touches(alone=True)


@pytest.mark.parametrize(
    ("one", "other", "wait"),
    [
        (reading("a"), reading("a"), False),
        (reading("a"), writing("a"), True),
        (writing("a"), writing("a"), True),
        (writing("a"), writing("b"), False),
        (writing("a", "b"), reading("c", "b"), True),
        (NOTHING, writing("a"), False),
        (NOTHING, ALONE, True),
        (ALONE, ALONE, True),
        # A folder is everything in it.
        (reading("src"), writing("src/a.py"), True),
        (reading("src"), writing("src2/a.py"), False),
        (reading("."), writing("a"), True),
        (reading("src/a.py"), writing("src"), True),
        (reading("src"), reading("src/a.py"), False),
    ],
)
def test_who_waits_for_whom(one: Touches, other: Touches, wait: bool) -> None:
    assert one.conflicts_with(other) is wait
    assert other.conflicts_with(one) is wait


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a/../b.md", {"b.md"}),
        ("./b.md", {"b.md"}),
        (["a", "b/", 3, None], {"a", "b"}),
        (None, set()),
        (7, set()),
        ({"a": 1}, set()),
    ],
)
def test_paths_are_compared_as_paths(value: JsonValue, names: set[str]) -> None:
    touches = Touches.of({"path": value}, reads="", writes="path", alone=False)
    assert touches == Touches(writes=frozenset(names))


def test_what_is_not_declared_is_not_touched() -> None:
    assert Touches.of({"path": "a"}, reads="", writes="", alone=False) == NOTHING
    assert Touches.of({}, reads="path", writes="path", alone=False) == NOTHING


PATHS = st.lists(st.sampled_from(["a", "b", "..", "."]), min_size=1, max_size=4).map(
    lambda parts: posixpath.normpath("/".join(parts))
)


@given(PATHS, PATHS)
def test_a_writer_waits_for_exactly_what_lies_on_one_line_with_it(one: str, other: str) -> None:
    def parts(path: str) -> list[str]:
        return [] if path == "." else path.split("/")

    ours, theirs = parts(one), parts(other)
    same = min(len(ours), len(theirs))
    expected = ours[:same] == theirs[:same]
    assert writing(one).conflicts_with(reading(other)) is expected
