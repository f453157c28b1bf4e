"""The same failing call: a hint at the second failure, a refusal at the third, the end after it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agentcore.messages import JsonObject
from agentcore.repeats import HINT_AT, REFUSE_AT, STOP_AT, Repeats
from agentcore.testing.strategies import json_objects

CALL: JsonObject = {"path": "a.md", "lines": [1, 2]}


def made(repeats: Repeats, name: str, fields: JsonObject) -> int:
    """A call that fails wherever it runs: which failure it is."""
    repeats.new_answer()
    return repeats.refuse(name, fields) or repeats.failed(name, fields)


def test_the_numbers_of_the_design() -> None:
    assert (HINT_AT, REFUSE_AT, STOP_AT) == (2, 3, 4)


def test_failures_count_up_and_the_third_is_not_run() -> None:
    repeats = Repeats()
    ran: list[bool] = []
    for _ in range(4):
        repeats.new_answer()
        refused = repeats.refuse("read", CALL)
        ran.append(not refused)
        if not refused:
            repeats.failed("read", CALL)
    assert ran == [True, True, False, False]


def test_equal_calls_of_one_answer_count_once() -> None:
    repeats = Repeats()
    assert [repeats.failed("read", CALL) for _ in range(9)] == [1] * 9
    assert made(repeats, "read", CALL) == 2
    repeats.new_answer()
    assert [repeats.refuse("read", CALL) for _ in range(9)] == [3] * 9


def test_how_arguments_are_spelled_does_not_count() -> None:
    repeats = Repeats()
    made(repeats, "read", {"a": {"x": 1, "y": [2]}, "b": "ü"})
    assert made(repeats, "read", {"b": "ü", "a": {"y": [2], "x": 1}}) == 2
    assert made(repeats, "read", {"b": "ü", "a": {"y": [3], "x": 1}}) == 1
    assert made(repeats, "write", {"b": "ü", "a": {"y": [2], "x": 1}}) == 1


def test_a_success_ends_the_row_of_that_call_only() -> None:
    repeats = Repeats()
    made(repeats, "read", CALL)
    made(repeats, "read", {})
    repeats.succeeded("read", CALL, changed=False)
    assert made(repeats, "read", CALL) == 1
    assert made(repeats, "read", {}) == 2


def test_a_changed_world_ends_every_row() -> None:
    repeats = Repeats()
    for _ in range(3):
        made(repeats, "read", CALL)
    repeats.succeeded("write", {"path": "a.md"}, changed=True)
    repeats.new_answer()
    assert not repeats.refuse("read", CALL)


@given(st.lists(st.tuples(st.sampled_from("ab"), json_objects()), max_size=12))
def test_each_call_counts_for_itself(calls: list[tuple[str, JsonObject]]) -> None:
    repeats = Repeats()
    seen: list[str] = []
    for name, fields in calls:
        seen.append(name + json.dumps(fields, sort_keys=True))
        assert made(repeats, name, fields) == seen.count(seen[-1])
