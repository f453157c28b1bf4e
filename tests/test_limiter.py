import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentcore.classification import Classification
from agentcore.facts import RetryAfter
from agentcore.kinds import ErrorKind
from agentcore.limiter import MEMORY_SECONDS, REFUSALS, SHARE, SPREAD_SECONDS, TOLERANCE, Limiter
from agentcore.recovery import Adjustments, Failure, Retry, decide
from agentcore.retry import Backoff, Budget, Policy
from agentcore.verdict import Partial

BACKOFF = Backoff()


def full(requests: int) -> Limiter:
    """So many requests under way, numbered from 1."""
    limiter = Limiter()
    for number in range(1, requests + 1):
        assert limiter.begin() == number
    return limiter


def refuse(
    limiter: Limiter, *numbers: int, now: float = 0.0, asked: float | None = None, roll: float = 1.0
) -> None:
    for number in numbers:
        limiter.end()
        limiter.refused(number, now, asked=asked, backoff=BACKOFF, roll=roll)


def test_nothing_is_limited_until_the_first_refusal() -> None:
    limiter = full(10_000)
    assert (limiter.limit(0.0), limiter.seconds_full(0.0), limiter.seconds_held(0.0)) == (
        math.inf,
        0.0,
        0.0,
    )


def test_the_limit_after_a_refusal_is_a_share_of_what_was_under_way() -> None:
    limiter = full(100)
    refuse(limiter, *range(1, 12))
    assert limiter.limit(0.0) == 75
    assert limiter.seconds_full(0.0) > 0
    for _ in range(15):
        limiter.end()
    assert limiter.seconds_full(0.0) == 0


def test_one_refused_now_and_then_lowers_nothing() -> None:
    """One in 25, whatever the load, as a relay whose hosts are full now and then."""
    limiter = full(100)
    for number in range(1, 10_001):
        if number % 25:
            limiter.end()
        else:
            refuse(limiter, number)
        limiter.begin()
    assert limiter.limit(0.0) == math.inf


def test_refusals_of_one_burst_count_once_and_leave_what_was_taken() -> None:
    limiter = full(1_000)
    refuse(limiter, *range(1, 102))
    assert limiter.limit(0.0) == 750
    refuse(limiter, *range(102, 951))
    assert limiter.limit(0.0) == 50
    assert limiter.seconds_held(0.0) == 0


def test_when_all_are_refused_one_is_left() -> None:
    limiter = full(1_000)
    refuse(limiter, *range(1, 1_001))
    assert (limiter.limit(0.0), limiter.under_way) == (1, 0)


@pytest.mark.parametrize(
    ("seconds", "limit"), [(0, 1), (5, 1.78), (5.5, 2.04), (12, 11.8), (25, 98.7), (54, 985.1)]
)
def test_it_grows_with_the_time(seconds: float, limit: float) -> None:
    limiter = full(1)
    refuse(limiter, 1)
    assert limiter.limit(seconds) == pytest.approx(limit, abs=0.06)


def test_it_grows_fast_to_where_it_was_refused_and_slowly_past_there() -> None:
    limiter = full(100)
    refuse(limiter, *range(1, 12))
    at = [limiter.limit(float(second)) for second in range(0, 40, 4)]
    assert at == sorted(at)
    assert at[0] == 75
    assert at[3] == pytest.approx(99.65, abs=0.1)
    assert at[4] == pytest.approx(100, abs=0.1)  # after 15.9 s
    assert at[5] == pytest.approx(100.4, abs=0.1)
    assert at[9] > 145


def test_an_old_limit_is_gone() -> None:
    limiter = full(4)
    refuse(limiter, 1)
    assert limiter.limit(MEMORY_SECONDS - 1) < math.inf
    assert limiter.limit(MEMORY_SECONDS) == math.inf


def test_what_an_endpoint_asks_for_holds_everybody() -> None:
    limiter = full(4)
    refuse(limiter, 1, now=5.0, asked=20.0)
    assert limiter.seconds_held(5.0) == 20
    refuse(limiter, 2, now=6.0, asked=3.0)  # nothing is cut short by a smaller wish
    assert limiter.seconds_held(6.0) == 19
    refuse(limiter, 3, now=7.0, asked=30.0)
    assert limiter.seconds_held(7.0) == 30
    assert limiter.limit(37.0) == 1  # and the limit does not grow meanwhile


def test_a_hold_doubles_while_every_next_request_is_refused() -> None:
    limiter = full(1)
    refuse(limiter, 1)
    holds = [limiter.seconds_held(0.0)]
    for _ in range(6):
        refuse(limiter, limiter.begin())
        holds.append(limiter.seconds_held(0.0))
    assert holds == [0, 1, 2, 4, 8, 16, 30]
    limiter.begin()
    refuse(limiter, limiter.begin())  # the one before was not
    limiter.held_until = 0.0
    refuse(limiter, limiter.begin())
    assert limiter.seconds_held(0.0) == 1


def test_after_a_hold_requests_begin_one_after_the_other() -> None:
    limiter = full(20)
    refuse(limiter, *range(1, 11), asked=20.0)
    limit = limiter.limit(20.0)
    for _ in range(10):
        limiter.end()
    now = 20.0
    assert limiter.seconds_held(now) == 0
    limiter.begin()
    limiter.spread(now, 0.5)
    assert limiter.seconds_held(now) == pytest.approx(SPREAD_SECONDS / limit)
    now = 20.0 + SPREAD_SECONDS
    limiter.spread(now, 0.5)
    assert limiter.seconds_held(now) == 0


@given(st.integers(1, 2_000), st.data())
def test_of_one_burst_no_more_is_left_than_was_taken(requests: int, data: st.DataObject) -> None:
    limiter = full(requests)
    refused = data.draw(st.integers(1, requests))
    refuse(limiter, *range(1, refused + 1))
    taken = requests - refused
    if refused <= TOLERANCE * 2 * requests:
        assert limiter.limit(0.0) == math.inf
        return
    limit = max(1, min(math.floor(requests * SHARE), taken))
    assert limiter.limit(0.0) == pytest.approx(limit)


class AnyEndpoint(RuleBasedStateMachine):
    """Whatever an endpoint answers, and whenever: one may always begin in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.limiter = Limiter()
        self.now = 0.0
        self.under_way: list[int] = []

    @rule(seconds=st.floats(0, 300))
    def time_passes(self, seconds: float) -> None:
        before = self.limiter.limit(self.now)
        self.now += seconds
        assert self.limiter.limit(self.now) >= before - 1e-6

    @rule()
    def one_begins_when_it_may(self) -> None:
        limiter = self.limiter
        self.now += limiter.seconds_held(self.now)
        assert limiter.seconds_held(self.now) < 1e-6
        self.now += limiter.seconds_full(self.now)
        assert limiter.seconds_full(self.now) == 0
        self.under_way.append(limiter.begin())

    @rule(roll=st.floats(0, 1))
    def one_that_waited_begins(self, roll: float) -> None:
        self.now += self.limiter.seconds_held(self.now)
        self.limiter.spread(self.now, roll)
        # It is a difference of two times, each rounded.
        assert self.limiter.seconds_held(self.now) <= SPREAD_SECONDS + 1e-9

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_ends(self, data: st.DataObject) -> None:
        self.under_way.remove(data.draw(st.sampled_from(self.under_way)))
        self.limiter.end()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), asked=st.none() | st.floats(0, 120), roll=st.floats(0, 1))
    def one_is_refused(self, data: st.DataObject, asked: float | None, roll: float) -> None:
        before = self.limiter.limit(self.now)
        number = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(number)
        refuse(self.limiter, number, now=self.now, asked=asked, roll=roll)
        assert self.limiter.limit(self.now) <= before + 1e-6
        assert self.limiter.seconds_held(self.now) >= (asked or 0) - 1e-6

    @invariant()
    def it_counts(self) -> None:
        assert self.limiter.under_way == len(self.under_way)

    @invariant()
    def one_may_always_begin_in_the_end(self) -> None:
        limiter = self.limiter
        assert limiter.limit(self.now) >= 1
        assert 0 <= limiter.seconds_held(self.now) <= 121
        assert 0 <= limiter.seconds_full(self.now) <= MEMORY_SECONDS + 121

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        if not self.under_way:
            assert self.limiter.seconds_full(self.now) == 0


TestAnyEndpoint = AnyEndpoint.TestCase
TestAnyEndpoint.settings = settings(max_examples=100, stateful_step_count=30)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(REFUSALS)), st.none() | st.floats(0, 120), st.floats(0, 1)
        ),
        max_size=20,
    )
)
def test_a_run_by_itself_never_waits_for_more_than_its_own_wait(
    refusals: list[tuple[ErrorKind, float | None, float]],
) -> None:
    limiter, now = Limiter(), 0.0
    for failures, (kind, asked, roll) in enumerate(refusals, 1):
        number = limiter.begin()
        told = None if asked is None else RetryAfter(seconds=asked, source="retry-after")
        failure = Failure(
            classification=Classification(kind=kind, rule="", evidence="", retry_after=told),
            facts=None,
            cause=None,
            partial=Partial(),
            adjustments=Adjustments(),
        )
        policy = Policy(max_attempts=100)
        recovery = decide(
            failure, earlier=(), budget=Budget(failures=failures), policy=policy, roll=roll
        )
        assert isinstance(recovery, Retry)
        refuse(limiter, number, now=now, asked=asked, roll=roll)
        now += recovery.seconds
        assert limiter.seconds_held(now) < 1e-6
        assert limiter.seconds_full(now) == 0
