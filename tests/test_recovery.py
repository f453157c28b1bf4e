from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore.classification import Classification
from agentcore.facts import ErrorFacts, RetryAfter, Surface
from agentcore.kinds import KIND_OF_CAUSE, CutCause, ErrorKind
from agentcore.messages import ToolCall
from agentcore.recovery import (
    Adjust,
    Adjustments,
    Failure,
    Keep,
    Recovery,
    Retry,
    Stop,
    decide,
    is_retried,
)
from agentcore.retry import Budget, Policy
from agentcore.verdict import Partial

CALL = Partial(
    calls=(ToolCall(id="a", name="write_file", arguments='{"path": "a", "content": "x'),)
)
OTHER = Partial(calls=(ToolCall(id="a", name="execute_code", arguments='{"co'),))
TEXT = Partial(text="x")
SSE = ErrorFacts(surface=Surface.SSE)


def failure(
    kind: ErrorKind = ErrorKind.CONNECTION,
    cause: CutCause | None = None,
    *,
    partial: Partial = Partial(),  # noqa: B008 (frozen)
    retry_after: float | None = None,
    corrected: int | None = None,
    says: str | None = None,
    param: str | None = None,
    adjusted: Adjustments = Adjustments(),  # noqa: B008 (frozen)
    facts: ErrorFacts | None = None,
    added: tuple[str, ...] = (),
    limit: int | None = None,
    tool_streaming: bool = False,
) -> Failure:
    if says is not None:
        facts = ErrorFacts(surface=Surface.HTTP, status=400, messages=(says,), param=param)
    return Failure(
        classification=Classification(
            kind=kind,
            rule="a-row",
            evidence="",
            retry_after=None
            if retry_after is None
            else RetryAfter(seconds=retry_after, source="header retry-after"),
            corrected_output_limit=corrected,
        ),
        facts=facts,
        cause=cause,
        partial=partial,
        adjustments=adjusted,
        added_fields=frozenset(added),
        output_limit=limit,
        tool_streaming=tool_streaming,
    )


def cut(cause: CutCause, partial: Partial = TEXT, **more: Any) -> Failure:
    return failure(KIND_OF_CAUSE.get(cause, ErrorKind.CONNECTION), cause, partial=partial, **more)


def decision(
    failed: Failure,
    *,
    earlier: Sequence[Failure] = (),
    failures: int = 1,
    policy: Policy = Policy(),  # noqa: B008 (frozen)
    roll: float = 1.0,
    seconds: float = 0.0,
) -> Recovery:
    budget = Budget(failures=failures, seconds=seconds)
    return decide(failed, earlier=earlier, budget=budget, policy=policy, roll=roll)


REFUSED_SWITCH = failure(
    ErrorKind.INVALID_REQUEST,
    says="Unexpected value for the anthropic-beta header",
    tool_streaming=True,
)
OVER_LIMIT = failure(ErrorKind.OUTPUT_LIMIT, corrected=8_192, limit=64_000)
MALFORMED = cut(CutCause.MALFORMED, CALL, tool_streaming=True)
UNKNOWN = failure(ErrorKind.UNKNOWN, CutCause.DROPPED, facts=SSE)
REFUSED_FIELD = failure(
    ErrorKind.INVALID_REQUEST,
    says="Unrecognized request argument supplied: stream_options",
    added=("parallel_tool_calls", "stream_options", "max_tokens"),
)
OLD_CAP = failure(
    ErrorKind.INVALID_REQUEST,
    says="Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
    added=("max_tokens",),
)

# a failed attempt; what is done about it, when it is the first
TABLE: dict[str, tuple[Failure, Recovery]] = {
    # retry: a transient kind with nothing worth keeping
    "connection": (failure(), Retry(seconds=1, reason="connection")),
    "server error": (
        failure(ErrorKind.SERVER_ERROR, cause=None),
        Retry(seconds=1, reason="server_error"),
    ),
    "overloaded: one doubling ahead": (
        failure(ErrorKind.OVERLOADED),
        Retry(seconds=2, reason="overloaded"),
    ),
    "rate limit": (failure(ErrorKind.RATE_LIMIT), Retry(seconds=1, reason="rate_limit")),
    "rate limit, 20 s asked": (
        failure(ErrorKind.RATE_LIMIT, retry_after=20),
        Retry(seconds=20.1, reason="rate_limit"),
    ),
    "rate limit, 120 s asked": (
        failure(ErrorKind.RATE_LIMIT, retry_after=120),
        Retry(seconds=120, reason="rate_limit"),
    ),
    "ended": (cut(CutCause.ENDED), Retry(seconds=1, reason="truncated")),
    "stalled": (cut(CutCause.STALLED), Retry(seconds=1, reason="timeout")),
    "silent": (cut(CutCause.SILENT, Partial()), Retry(seconds=1, reason="timeout")),
    "dropped in a call": (cut(CutCause.DROPPED, CALL), Retry(seconds=1, reason="connection")),
    "malformed without the switch": (
        cut(CutCause.MALFORMED, CALL),
        Retry(seconds=1, reason="server_error"),
    ),
    "unknown over HTTP": (failure(ErrorKind.UNKNOWN), Retry(seconds=1, reason="unknown")),
    "unknown in the stream, after output": (
        failure(ErrorKind.UNKNOWN, CutCause.DROPPED, facts=SSE, partial=TEXT),
        Retry(seconds=1, reason="unknown"),
    ),
    "unknown below the stream": (
        failure(ErrorKind.UNKNOWN, CutCause.DROPPED, facts=ErrorFacts(surface=Surface.TRANSPORT)),
        Retry(seconds=1, reason="unknown"),
    ),
    # adjust: at once, corrected
    "output limit": (
        OVER_LIMIT,
        Adjust(
            adjustments=Adjustments(output_limit=8_192),
            reason="the endpoint takes at most 8192 output tokens",
        ),
    ),
    "output limit, no cap was sent": (
        failure(ErrorKind.OUTPUT_LIMIT, corrected=8_192),
        Adjust(
            adjustments=Adjustments(output_limit=8_192),
            reason="the endpoint takes at most 8192 output tokens",
        ),
    ),
    "refused switch": (
        REFUSED_SWITCH,
        Adjust(
            adjustments=Adjustments(switch_refused=True),
            reason="the endpoint refuses the switch that streams tool arguments",
        ),
    ),
    "malformed streamed arguments": (
        MALFORMED,
        Adjust(
            adjustments=Adjustments(tool_streaming=False),
            reason="the streamed arguments are no JSON: ask for buffered ones",
        ),
    ),
    "unknown in the stream, before output": (
        UNKNOWN,
        Adjust(
            adjustments=Adjustments(streamed=False),
            reason="an unknown error in the stream: ask once without streaming",
        ),
    ),
    "a field of ours": (
        REFUSED_FIELD,
        Adjust(
            adjustments=Adjustments(omitted=frozenset({"stream_options"})),
            reason="the endpoint refuses stream_options, which we added",
        ),
    ),
    "a field of ours, named by param": (
        failure(
            ErrorKind.INVALID_REQUEST, says="no", param="stream_options", added=("stream_options",)
        ),
        Adjust(
            adjustments=Adjustments(omitted=frozenset({"stream_options"})),
            reason="the endpoint refuses stream_options, which we added",
        ),
    ),
    "the cap by its newer name": (
        OLD_CAP,
        Adjust(
            adjustments=Adjustments(cap_parameter="max_completion_tokens"),
            reason="the endpoint wants the cap as max_completion_tokens",
        ),
    ),
    "the cap by its older name": (
        failure(
            ErrorKind.INVALID_REQUEST,
            says="max_completion_tokens is unknown, did you mean max_tokens?",
            added=("max_completion_tokens",),
        ),
        Adjust(
            adjustments=Adjustments(cap_parameter="max_tokens"),
            reason="the endpoint wants the cap as max_tokens",
        ),
    ),
    # keep
    "capped in a call": (
        cut(CutCause.CAPPED, CALL, limit=100),
        Keep(reason="the output cap was reached in the middle of a tool call"),
    ),
    # stop
    "capped in text": (
        cut(CutCause.CAPPED, limit=100),
        Stop(reason="the answer reached its output cap of 100 tokens"),
    ),
    "filtered": (
        cut(CutCause.FILTERED),
        Stop(reason="a failure of kind content_policy does not pass with time"),
    ),
    "filtered in a call": (
        cut(CutCause.FILTERED, CALL),
        Stop(reason="a failure of kind content_policy does not pass with time"),
    ),
    "auth": (
        failure(ErrorKind.AUTH),
        Stop(reason="a failure of kind auth does not pass with time"),
    ),
    "quota in a call": (
        failure(ErrorKind.QUOTA, CutCause.DROPPED, partial=CALL),
        Stop(reason="a failure of kind quota does not pass with time"),
    ),
    "output limit without a figure": (
        failure(ErrorKind.OUTPUT_LIMIT, limit=101),
        Adjust(
            adjustments=Adjustments(output_limit=50, limit_lasts="run"),
            reason="the endpoint refuses the cap and names no other: half of it, 50 tokens",
        ),
    ),
    "output limit without a figure, halved before": (
        failure(ErrorKind.OUTPUT_LIMIT, limit=50, adjusted=Adjustments(output_limit=50)),
        Stop(reason="a failure of kind output_limit does not pass with time"),
    ),
    "output limit where none was sent": (
        failure(ErrorKind.OUTPUT_LIMIT),
        Stop(reason="a failure of kind output_limit does not pass with time"),
    ),
    "output limit that is no lower": (
        failure(ErrorKind.OUTPUT_LIMIT, limit=100, corrected=100),
        Stop(reason="a failure of kind output_limit does not pass with time"),
    ),
    "a field of the user's": (
        failure(ErrorKind.INVALID_REQUEST, says="stream_options is unknown", added=("max_tokens",)),
        Stop(reason="a failure of kind invalid_request does not pass with time"),
    ),
    "the switch is named, and was not sent": (
        failure(ErrorKind.INVALID_REQUEST, says="anthropic-beta"),
        Stop(reason="a failure of kind invalid_request does not pass with time"),
    ),
    "an invalid request without facts": (
        failure(ErrorKind.INVALID_REQUEST),
        Stop(reason="a failure of kind invalid_request does not pass with time"),
    ),
    "a longer wait than is obeyed": (
        failure(ErrorKind.RATE_LIMIT, retry_after=300),
        Stop(
            reason="the endpoint asks to wait 300 s (header retry-after); the longest wait that is "
            "obeyed is 120 s (Policy.max_retry_after)"
        ),
    ),
}


@pytest.mark.parametrize(("failed", "expected"), TABLE.values(), ids=TABLE)
def test_first_attempt(failed: Failure, expected: Recovery) -> None:
    assert decision(failed) == expected


@pytest.mark.parametrize("kind", ErrorKind)
@pytest.mark.parametrize("retry_after", [None, 120, 121])
def test_what_is_retried_is_what_is_decided(kind: ErrorKind, retry_after: float | None) -> None:
    failed = failure(kind, retry_after=retry_after, corrected=10, limit=20)

    made = not isinstance(decision(failed), Stop)
    assert is_retried(failed.classification, Policy()) is made


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_refusal_is_retried_exactly_when_its_kind_is_transient(kind: ErrorKind) -> None:
    assert isinstance(decision(failure(kind)), Retry) is kind.is_transient


# Once per cause: the corrected request failed in the same way.
AGAIN: dict[str, tuple[Failure, Adjustments, type[Recovery]]] = {
    "output limit": (
        replace(OVER_LIMIT, output_limit=8_192),
        Adjustments(output_limit=8_192),
        Stop,
    ),
    "a lower output limit yet": (
        failure(ErrorKind.OUTPUT_LIMIT, corrected=4_096, limit=8_192),
        Adjustments(output_limit=8_192),
        Stop,
    ),
    "refused switch": (
        replace(REFUSED_SWITCH, tool_streaming=False),
        Adjustments(switch_refused=True),
        Stop,
    ),
    "malformed": (
        replace(MALFORMED, tool_streaming=False),
        Adjustments(tool_streaming=False),
        Retry,
    ),
    "unknown, plain": (UNKNOWN, Adjustments(streamed=False), Retry),
    "a field of ours": (REFUSED_FIELD, Adjustments(omitted=frozenset({"stream_options"})), Stop),
    "the cap's name": (
        replace(OLD_CAP, added_fields=frozenset({"max_completion_tokens"})),
        Adjustments(cap_parameter="max_completion_tokens"),
        Stop,
    ),
}


@pytest.mark.parametrize(("failed", "adjusted", "expected"), AGAIN.values(), ids=AGAIN)
def test_once_per_cause(failed: Failure, adjusted: Adjustments, expected: type[Recovery]) -> None:
    assert isinstance(decision(replace(failed, adjustments=adjusted)), expected)


def test_a_plain_request_is_made_once_a_turn() -> None:
    plain = replace(UNKNOWN, adjustments=Adjustments(streamed=False))

    assert isinstance(decision(UNKNOWN, earlier=[UNKNOWN, plain], failures=2), Retry)


def test_adjustments_add_up() -> None:
    failed = replace(REFUSED_SWITCH, adjustments=Adjustments(output_limit=8_192))

    assert decision(failed) == Adjust(
        adjustments=Adjustments(output_limit=8_192, switch_refused=True),
        reason="the endpoint refuses the switch that streams tool arguments",
    )


DROPPED = cut(CutCause.DROPPED, CALL)

# earlier failures, the one that has just happened, attempts without progress; what is done
KEEPING: dict[str, tuple[list[Failure], Failure, int, type[Recovery]]] = {
    "first cut": ([], DROPPED, 1, Retry),
    "the same call cut twice, one attempt left": ([DROPPED], DROPPED, 2, Keep),
    "two different calls": ([cut(CutCause.DROPPED, OTHER)], DROPPED, 2, Retry),
    "a refusal and then a cut": ([failure()], DROPPED, 2, Retry),
    "a refusal counts as no cut": ([failure(partial=CALL)], DROPPED, 2, Retry),
    "attempts used up in a call": ([], DROPPED, 3, Keep),
    "attempts used up in text": ([], cut(CutCause.DROPPED), 3, Stop),
    "attempts used up, nothing began": ([], failure(), 3, Stop),
    "keep before retry, whatever the wait": (
        [DROPPED],
        cut(CutCause.DROPPED, CALL, retry_after=300),
        2,
        Keep,
    ),
    "keep before adjust": ([], MALFORMED, 3, Keep),
    "adjust while attempts are left": ([], MALFORMED, 1, Adjust),
    "a permanent kind is not kept": ([DROPPED], cut(CutCause.FILTERED, CALL), 3, Stop),
    "nor one that came as an error": (
        [DROPPED],
        failure(ErrorKind.QUOTA, CutCause.DROPPED, partial=CALL),
        3,
        Stop,
    ),
}


@pytest.mark.parametrize(
    ("earlier", "failed", "failures", "expected"), KEEPING.values(), ids=KEEPING
)
def test_keep(
    earlier: list[Failure], failed: Failure, failures: int, expected: type[Recovery]
) -> None:
    assert isinstance(decision(failed, earlier=earlier, failures=failures), expected)


def much(cause: CutCause, partial: Partial = CALL, **more: Any) -> Failure:
    """A failure of which enough arrived to go on from it."""
    return replace(cut(cause, partial, **more), is_worth_keeping=True)


@pytest.mark.parametrize("partial", [CALL, TEXT], ids=["call", "text"])
@pytest.mark.parametrize(
    "cause",
    [
        CutCause.DROPPED,
        CutCause.ENDED,
        CutCause.STALLED,
        CutCause.CAPPED,
        CutCause.MALFORMED,
    ],
)
def test_what_is_much_is_kept_at_the_first_cut(cause: CutCause, partial: Partial) -> None:
    failed = replace(much(cause, partial), tool_streaming=True)

    assert decision(failed) == Keep(reason="enough arrived to go on from it")


def test_much_of_what_does_not_pass_with_time_is_not_kept() -> None:
    quota = failure(ErrorKind.QUOTA, CutCause.DROPPED, partial=CALL)

    assert isinstance(decision(replace(quota, is_worth_keeping=True)), Stop)
    assert isinstance(decision(much(CutCause.FILTERED)), Stop)


def test_with_drafts_off_nothing_is_kept() -> None:
    policy = Policy(keep_drafts=False)

    assert isinstance(decision(much(CutCause.DROPPED), policy=policy), Retry)
    assert isinstance(decision(much(CutCause.DROPPED), policy=policy, failures=3), Stop)
    assert isinstance(decision(much(CutCause.CAPPED), policy=policy), Stop)


def test_a_budget_that_is_used_up_says_which() -> None:
    assert decision(failure(), failures=3) == Stop(reason="3 attempts without progress")
    assert decision(DROPPED, failures=3) == Keep(reason="3 attempts without progress")


def test_no_wait_passes_the_seconds_of_the_turn() -> None:
    policy = Policy(max_seconds=60)
    asked = failure(ErrorKind.RATE_LIMIT, retry_after=20)

    assert decision(asked, policy=policy, seconds=50) == Stop(
        reason="a wait of 20 s would pass the turn's 60 s"
    )
    assert isinstance(decision(asked, policy=policy, seconds=30), Retry)


@given(
    st.sampled_from(ErrorKind),
    st.none() | st.floats(0, 1e6),
    st.integers(0, 5),
    st.floats(0, 1),
    st.none() | st.sampled_from(CutCause),
    st.sampled_from([Partial(), TEXT, CALL]),
)
def test_any_wait_is_within_its_limits(
    kind: ErrorKind,
    asked: float | None,
    failures: int,
    roll: float,
    cause: CutCause | None,
    partial: Partial,
) -> None:
    failed = failure(kind, cause, retry_after=asked, partial=partial)

    made = decision(failed, failures=failures, roll=roll)

    if isinstance(made, Retry):
        assert kind.is_transient
        assert failures < Policy().max_attempts
        assert (asked or 0) <= made.seconds <= (30 if asked is None else 120)
