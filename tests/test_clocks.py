import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore.clocks import Clocks, Silence
from agentcore.facts import Phase
from agentcore.kinds import CutCause

CONTENT = (Phase.REASONING, Phase.TEXT, Phase.TOOL_ARGUMENTS)


@pytest.mark.parametrize(
    ("phase", "buffered", "output_limit", "seconds"),
    [
        (Phase.CONNECT, False, None, 300),
        (Phase.FIRST_EVENT, False, None, 300),
        (Phase.REASONING, False, None, 300),
        (Phase.TEXT, False, None, 90),
        (Phase.TOOL_ARGUMENTS, False, 128_000, 90),
        # Buffered: the cap bounds how long a write is silent, and text may announce a call.
        (Phase.TOOL_ARGUMENTS, True, None, 300),
        (Phase.TOOL_ARGUMENTS, True, 8_000, 300),
        (Phase.TOOL_ARGUMENTS, True, 128_000, 2_560),
        (Phase.TEXT, True, 64_000, 1_280),
        (Phase.REASONING, True, None, 300),
        (Phase.FIRST_EVENT, True, 128_000, 300),
    ],
)
def test_default_limits(
    phase: Phase, buffered: bool, output_limit: int | None, seconds: float
) -> None:
    assert Clocks().content_limit(phase, buffered=buffered, output_limit=output_limit) == seconds


def test_a_limit_of_ones_own_for_buffered_arguments() -> None:
    clocks = Clocks(buffered_tool_arguments=100)

    assert (
        clocks.content_limit(Phase.TOOL_ARGUMENTS, buffered=True, output_limit=128_000),
        clocks.content_limit(Phase.REASONING, buffered=True, output_limit=128_000),
    ) == (100, 300)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_limit_must_be_above_zero(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"Clocks\(text=.*must be above 0"):
        Clocks(text=seconds)


def test_a_plain_answer_is_silent_until_it_is_whole() -> None:
    silence = Silence(Clocks(plain=700).for_plain_answer(), now=0)

    assert silence.deadline == 700
    silence.opened(1)
    assert silence.deadline == 700


def test_a_server_that_loads_a_model_has_its_own_first_limit() -> None:
    silence = Silence(Clocks(first_byte=200), now=0)

    assert silence.deadline == 200
    assert silence.describe() == "no byte came for 200 s"
    silence.opened(150)
    assert silence.deadline == 270


def test_a_stream_that_only_pings_is_killed_in_the_end() -> None:
    silence = Silence(Clocks(), now=0)
    silence.opened(1)
    for now in range(1, 300, 10):
        silence.bytes_came(now)

    assert silence.deadline == 300
    assert silence.describe() == "no content came for 300 s (phase: first event)"
    assert silence.cause() is CutCause.SILENT


def test_time_in_which_nobody_listened_is_no_silence() -> None:
    silence = Silence(Clocks(), now=0)
    silence.opened(1)
    silence.bytes_came(10, Phase.TEXT)
    silence.bytes_came(10)
    silence.excuse(60)

    assert silence.deadline == 160


def test_a_stream_that_went_silent_has_stalled() -> None:
    silence = Silence(Clocks(), now=0)
    silence.opened(1)
    silence.bytes_came(10, Phase.TOOL_ARGUMENTS)
    silence.bytes_came(95)

    assert silence.deadline == 100
    assert silence.describe() == "no content came for 90 s (phase: tool arguments)"
    assert silence.cause() is CutCause.STALLED


@given(
    st.lists(st.tuples(st.floats(0.1, 89), st.sampled_from(CONTENT)), max_size=30),
    st.booleans(),
    st.integers(1, 200_000),
)
def test_a_healthy_write_of_any_length_is_never_killed(
    deltas: list[tuple[float, Phase]], buffered: bool, output_limit: int
) -> None:
    now = 0.0
    silence = Silence(Clocks(), now=now, buffered=buffered, output_limit=output_limit)
    silence.opened(now)
    for seconds, phase in deltas:
        now += seconds
        assert now < silence.deadline
        silence.bytes_came(now)
        silence.bytes_came(now, phase)


@given(st.floats(1, 1e4), st.sampled_from(CONTENT), st.booleans(), st.integers(1, 200_000))
def test_no_phase_waits_longer_than_its_clocks(
    now: float, phase: Phase, buffered: bool, output_limit: int
) -> None:
    silence = Silence(Clocks(), now=0, buffered=buffered, output_limit=output_limit)
    silence.opened(now)
    silence.bytes_came(now, phase)

    assert now + 90 <= silence.deadline <= now + 120
