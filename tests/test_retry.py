import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore.retry import Backoff, Budget, Policy

SECONDS = st.floats(0, 1e9)


@pytest.mark.parametrize(
    ("failures", "roll", "seconds"),
    [(1, 1.0, 1), (2, 1.0, 2), (3, 1.0, 4), (5, 0.5, 8), (6, 1.0, 30), (99, 1.0, 30), (1, 0.0, 0)],
)
def test_waits_double_up_to_the_cap(failures: int, roll: float, seconds: float) -> None:
    assert Backoff().delay(failures, roll) == seconds


@pytest.mark.parametrize(("first", "cap"), [(-1, 30), (31, 30), (math.nan, 30), (1, math.nan)])
def test_a_window_must_fit_its_cap(first: float, cap: float) -> None:
    with pytest.raises(ValueError, match="0 <= first <= cap must hold"):
        Backoff(first=first, cap=cap)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"max_attempts": 0}, r"max_attempts=0\): must be a whole number from 1 on$"),
        ({"max_attempts": 1.5}, r"max_attempts=1.5\): must be a whole number from 1 on$"),
        ({"max_attempts": math.nan}, r"max_attempts=nan\): must be a whole number from 1 on$"),
        ({"max_retry_after": -1.0}, r"max_retry_after=-1.0\): must be 0 or more seconds$"),
        ({"max_retry_after": math.nan}, r"max_retry_after=nan\): must be 0 or more seconds$"),
        ({"max_seconds": math.nan}, r"max_seconds=nan\): must be above 0"),
        ({"max_seconds": 0.0}, r"max_seconds=0.0\): must be above 0"),
        ({"max_discarded_tokens": -1}, r"max_discarded_tokens=-1\): must be above 0"),
    ],
)
def test_a_policy_leaves_room_for_one_attempt(limits: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Policy(**limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("budget", "policy", "words"),
    [
        (Budget(failures=2), Policy(), None),
        (Budget(failures=3), Policy(), "3 attempts without progress"),
        (Budget(failures=1), Policy(max_attempts=1), "1 attempt without progress"),
        (Budget(seconds=1e9, discarded_tokens=10**9), Policy(), None),
        (Budget(seconds=59), Policy(max_seconds=60), None),
        (Budget(seconds=60), Policy(max_seconds=60), "60 s spent on this turn"),
        (Budget(discarded_tokens=9), Policy(max_discarded_tokens=10), None),
        (
            Budget(discarded_tokens=10),
            Policy(max_discarded_tokens=10),
            "10 tokens thrown away in this turn",
        ),
    ],
)
def test_one_budget(budget: Budget, policy: Policy, words: str | None) -> None:
    assert budget.exhausted(policy) == words


@given(SECONDS, SECONDS, st.integers(1, 10**6), st.floats(0, 1))
def test_any_delay_is_within_its_cap(one: float, two: float, failures: int, roll: float) -> None:
    first, cap = sorted((one, two))

    assert 0 <= Backoff(first=first, cap=cap).delay(failures, roll) <= cap


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_windows_never_shrink(failures: int, roll: float) -> None:
    assert Backoff().delay(failures, roll) <= Backoff().delay(failures + 1, roll)
