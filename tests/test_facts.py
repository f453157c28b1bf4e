import time
from types import MappingProxyType, SimpleNamespace
from typing import NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue
from typing_extensions import override

from agentcore.facts import (
    ErrorFacts,
    Phase,
    RetryAfter,
    Surface,
    facts_of_exception,
    facts_of_payload,
    retry_after_of,
)
from agentcore.payloads import MAX_DEPTH
from agentcore.testing.strategies import error_facts, error_payloads, exceptions_with_causes

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
AT = 1792567680.0
"""That date, in seconds since the epoch."""


# payload; status, code, type, param, innermost message
NESTINGS: dict[str, tuple[object, tuple[object, ...]]] = {
    "as OpenAI has it": (
        {
            "error": {
                "message": "No such model",
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            }
        },
        (None, "model_not_found", "invalid_request_error", "model", "No such model"),
    ),
    "as this project began": (
        {"error": {"message": "Network connection lost."}},
        (None, None, None, None, "Network connection lost."),
    ),
    "a gateway in front, JSON inside a string": (
        {
            "error": {
                "code": 400,
                "message": "Provider returned error",
                "metadata": {
                    "raw": '{"error": {"type": "overloaded_error", "message": "Overloaded"}}'
                },
            }
        },
        (400, "400", "overloaded_error", None, "Overloaded"),
    ),
    "raw text": (
        {"error": {"code": 502, "message": "Provider error", "metadata": {"raw": "terminated"}}},
        (502, "502", None, None, "terminated"),
    ),
    "a wrapper's words before the JSON": (
        'Error code: 500 - {"error": {"message": "boom", "code": 429}}',
        (429, "429", None, None, "boom"),
    ),
    "JSON inside the message": (
        {"message": '{"error": {"message": "inner", "type": "t"}}', "code": "x"},
        (None, "x", "t", None, "inner"),
    ),
    "the innermost code is the code, the innermost number the status": (
        {"code": 500, "error": {"code": 429, "error": {"code": "slow_down", "message": "m"}}},
        (429, "slow_down", None, None, "m"),
    ),
    "a status as text": ({"error": {"code": "503"}}, (503, "503", None, None, "")),
    # Once int() met a digit that is none, and a number without an end.
    "a digit that is none": ({"code": "²"}, (None, "²", None, None, "")),
    "no number that ends": ({"code": "1" * 5_000}, (None, None, None, None, "")),
    "no status": ({"code": 7}, (None, "7", None, None, "")),
    "a list": ([{"error": {"message": "m", "code": 1}}], (None, "1", None, None, "m")),
    "details": (
        {"error": {"status": "X", "details": [{"reason": "Y", "violations": [{"quotaId": "Z"}]}]}},
        (None, None, None, None, ""),
    ),
    "bytes": (b'{"error": "bad"}', (None, None, None, None, "bad")),
    "a bare string": ("Service unavailable", (None, None, None, None, "Service unavailable")),
    "an error that is a string": ({"error": "boom"}, (None, None, None, None, "boom")),
    "null": (None, (None, None, None, None, "")),
    "a number": (529, (529, "529", None, None, "")),
    "a text in quotes": ('"Overloaded"', (None, None, None, None, "Overloaded")),
    "a repr in an SDK's text": (
        "Error code: 429 - {'error': {'code': None, 'message': \"it's busy\"}}",
        (429, None, None, None, "it's busy"),
    ),
    "escaped JSON in a log line": (
        'failed: {\\"error\\": {\\"code\\": 503, \\"message\\": \\"busy\\"}}',
        (503, "503", None, None, "busy"),
    ),
    # Once str() of a number without an end raised.
    "an integer of 5,000 digits": ({"code": 10**5_000}, (None, None, None, None, "")),
    "empty": ("", (None, None, None, None, "")),
    "odd types": (
        {"code": None, "type": 5, "param": [], "message": {}},
        (None, None, None, None, ""),
    ),
    "half an event": ('{"error": {"mess', (None, None, None, None, '{"error": {"mess')),
    # Once the parser's TypeError came through.
    "half an emoji": ('{"error": "\ud83d"}', (None, None, None, None, "\ud83d")),
}


@pytest.mark.parametrize(("payload", "expected"), NESTINGS.values(), ids=NESTINGS)
def test_payload(payload: object, expected: tuple[object, ...]) -> None:
    facts = facts_of_payload(payload)

    assert (facts.status, facts.code, facts.type, facts.param, facts.message) == expected


def test_reasons_and_messages_are_innermost_first() -> None:
    facts = facts_of_payload(
        {
            "type": "error",
            "message": "outer",
            "error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "inner"},
        }
    )

    assert facts.reasons == ("429", "resource_exhausted", "error")
    assert facts.text == "inner\nouter"


def test_the_innermost_error_status_counts() -> None:
    assert facts_of_payload({"code": 429}, surface=Surface.HTTP, status=400).status == 429
    assert facts_of_payload({"code": 200}, surface=Surface.HTTP, status=400).status == 400
    assert facts_of_payload("bad status code: 503", surface=Surface.HTTP, status=200).status == 503
    assert facts_of_payload("it took 503 ms", surface=Surface.HTTP, status=200).status == 200


def test_nesting_has_an_end() -> None:
    deep: JsonValue = "too deep"
    for _ in range(MAX_DEPTH):
        deep = {"error": deep}

    assert facts_of_payload(deep).message == "too deep"
    assert facts_of_payload({"error": deep}).message == ""


def test_only_headers_that_tell_something_are_kept() -> None:
    facts = facts_of_payload(
        None,
        headers={
            "Retry-After": "5",
            "Date": DATE,
            "CF-Ray": "x",
            "Authorization": "secret",
            "Set-Cookie": "secret",
            "Updated": "x",
        },
        phase=Phase.TEXT,
        bytes_received=7,
        received_at=AT,
    )

    assert facts == ErrorFacts(
        surface=Surface.SSE,
        headers={"retry-after": "5", "date": DATE, "cf-ray": "x"},
        phase=Phase.TEXT,
        bytes_received=7,
        received_at=AT,
    )


# --- exceptions -----------------------------------------------------------------------------


class StatusError(Exception):
    """As SDKs have them: a response and a decoded body."""

    def __init__(self, status: object, body: object, headers: object = None) -> None:
        super().__init__("Error code: 429")
        self.response = SimpleNamespace(status_code=status, headers=headers)
        self.body = body


class TooSlowError(Exception):
    """As trio names it."""


class BrokenError(Exception):
    """Nothing of it works."""

    status_code = True

    @property
    def response(self) -> object:
        raise RuntimeError("gone")

    @override
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def in_turn() -> BaseException:
    try:
        try:
            raise OSError("socket closed")
        except OSError:
            raise ValueError("while reading") from None
    except ValueError as first:
        try:
            raise RuntimeError("wrapped")
        except RuntimeError as second:
            second.__context__ = first
            return second


def cycle() -> BaseException:
    one, two = ValueError("one"), OSError("two")
    one.__cause__, two.__cause__ = two, one
    return one


@pytest.mark.parametrize(
    ("error", "names", "messages"),
    [
        (
            raised(ConnectionError("Connection error."), OSError("peer closed connection")),
            ("builtins.ConnectionError", "builtins.OSError"),
            ("peer closed connection", "Connection error."),
        ),
        # `from None` hides what it was raised in.
        (in_turn(), ("builtins.RuntimeError", "builtins.ValueError"), ("while reading", "wrapped")),
        # A deadline is kept by cancelling, which nobody wished for.
        (
            raised(TimeoutError("slow"), BaseException("cancelled by a scope")),
            ("builtins.TimeoutError",),
            ("slow",),
        ),
        (
            raised(TooSlowError(), BaseException("cancelled by a scope")),
            (f"{__name__}.TooSlowError",),
            (),
        ),
        (
            raised(TimeoutError("slow"), OSError("no route")),
            ("builtins.TimeoutError", "builtins.OSError"),
            ("no route", "slow"),
        ),
        (cycle(), ("builtins.ValueError", "builtins.OSError"), ("two", "one")),
        (
            ExceptionGroup("all", [TimeoutError("slow"), OSError("other")]),
            ("builtins.ExceptionGroup", "builtins.OSError", "builtins.TimeoutError"),
            ("slow", "other", "all (2 sub-exceptions)"),
        ),
        (ValueError(), ("builtins.ValueError",), ()),
        (KeyboardInterrupt(), ("builtins.KeyboardInterrupt",), ()),
        # Once a foreign property, or truth value, that raises came through.
        (
            raised(ValueError("x"), BrokenError()),
            ("builtins.ValueError", f"{__name__}.BrokenError"),
            ("x",),
        ),
    ],
    ids=[
        "cause",
        "context",
        "deadline",
        "trio's deadline",
        "timeout",
        "cycle",
        "group",
        "no text",
        "interrupt",
        "broken",
    ],
)
def test_exception_without_a_response(
    error: BaseException, names: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    facts = facts_of_exception(error, phase=Phase.TEXT, bytes_received=3, received_at=AT)

    assert facts == ErrorFacts(
        surface=Surface.TRANSPORT,
        exceptions=names,
        message=messages[0] if messages else "",
        messages=messages,
        reasons=tuple(message for message in messages if " " not in message),
        phase=Phase.TEXT,
        bytes_received=3,
        received_at=AT,
    )


def test_exception_with_a_response() -> None:
    error = StatusError(
        429,
        {"message": "Slow down", "type": "requests", "code": "rate_limit_exceeded"},
        MappingProxyType({"Retry-After": "7", "Authorization": "secret"}),
    )

    facts = facts_of_exception(raised(RuntimeError("wrapped"), error))

    assert facts == ErrorFacts(
        surface=Surface.HTTP,
        status=429,
        code="rate_limit_exceeded",
        type="requests",
        message="Slow down",
        reasons=("rate_limit_exceeded", "requests", "wrapped"),
        messages=("Slow down", "Error code: 429", "wrapped"),
        headers={"retry-after": "7"},
        exceptions=("builtins.RuntimeError", f"{__name__}.StatusError"),
    )


def test_an_exception_with_a_body_and_no_status_came_in_the_stream() -> None:
    facts = facts_of_exception(StatusError(None, {"message": "Network connection lost."}))

    assert (facts.surface, facts.status) == (Surface.SSE, 429)
    assert facts.message == "Network connection lost."


# --- Retry-After ----------------------------------------------------------------------------


def asked(
    messages: tuple[str, ...] = (),
    delays: tuple[tuple[str, float], ...] = (),
    received_at: float = 0.0,
    **headers: str,
) -> tuple[float, str] | None:
    facts = ErrorFacts(
        surface=Surface.HTTP,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        messages=messages,
        delays=delays,
        received_at=received_at,
    )
    wait = retry_after_of(facts)
    return None if wait is None else (wait.seconds, wait.source)


def test_retry_after_in_headers() -> None:
    header = "header retry-after"

    assert asked(retry_after="20") == (20, header)
    assert asked(retry_after="0") == (0, header)
    assert asked(retry_after="1.5") == (1.5, header)
    assert asked(retry_after_ms="1500", retry_after="2") == (1.5, "header retry-after-ms")
    assert asked(retry_after_ms="soon", retry_after="2") == (2, header)


@pytest.mark.parametrize("sent", ["Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00"])
def test_retry_after_as_a_date(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Once a date without a zone was read as local time.
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    header = "header retry-after"
    earlier = "Wed, 21 Oct 2026 07:27:30 GMT"

    assert asked(retry_after=sent, received_at=AT - 10) == (10, header)
    # The server's own clock is the one that counts.
    assert asked(retry_after=sent, received_at=AT - 10, date=earlier) == (30, header)
    assert asked(retry_after=sent, received_at=AT + 10) == (0, header)
    assert asked(retry_after=sent) is None
    assert asked(retry_after=sent, received_at=AT - 10, date="nonsense") == (10, header)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("nonsense", ["", "soon", "-5", "nan", "inf", "1" * 400, "Wed, 99 Foo"])
def test_retry_after_that_is_nonsense(nonsense: str) -> None:
    assert asked(retry_after=nonsense, retry_after_ms=nonsense, received_at=AT) is None


@pytest.mark.parametrize(
    ("field", "value", "seconds"),
    [
        ("retry_after", 20, 20),
        ("retry_after", "21", 21),
        ("retryAfter", "20s", 20),
        ("retryDelay", "1.5s", 1.5),
        ("retryDelay", "1m30s", 90),
        ("retry_after_ms", 1500, 1.5),
        ("retry_after_seconds", 0, 0),
        ("retry_after", True, None),
        ("retry_after", -5, None),
        # Once this was read as 5.
        ("retryDelay", "-5s", None),
        ("retry_after", "in a while", None),
        ("retry_after", [5], None),
    ],
)
def test_retry_after_in_the_body(field: str, value: JsonValue, seconds: float | None) -> None:
    facts = facts_of_payload({"error": {"message": "m", "metadata": {field: value}}})

    expected = None
    if seconds is not None:
        expected = RetryAfter(seconds=seconds, source=f"body field {field}")
    assert retry_after_of(facts) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 20s.", 20),
        # OpenAI's own way to say it; once it was not read.
        ("Please try again in 6m0s.", 360),
        ("Please try again in 1h2m3.5s", 3723.5),
        ("try again in 250ms", 0.25),
        ("Try again in 2 milliseconds", 0.002),
        ("Retry after 5 seconds", 5),
        ("Please retry in about 5 minutes", 300),
        ("Retry after 1m30s", 90),
        ("retry 3 days of work", None),
        ("请在 20 秒后重试", 20),
        ("Retry-After: 12", 12),
        ("the limit resets in 1 day", 86_400),
        ("Please wait 3 mins", 180),
        ("available again in 2 hours", 7_200),
        ("try again in 3 months", None),
        ("try again later", None),
        ("it took 5s", None),
        ("wait " + "9" * 400 + "s", None),
    ],
)
def test_retry_after_in_the_text(text: str, seconds: float | None) -> None:
    wait = asked(messages=("Rate limit reached.", text))

    assert (wait and wait[0]) == (seconds and pytest.approx(seconds))


def test_the_most_exact_source_counts() -> None:
    messages, delays = ("try again in 3s",), (("retry_after", 2.0),)

    assert asked(messages, delays, retry_after="1") == (1, "header retry-after")
    assert asked(messages, delays, retry_after="x") == (2, "body field retry_after")
    assert asked(messages) == (3, "text 'try again in 3s'")


def test_a_hostile_text_takes_no_time() -> None:
    # Once half of this took 1.2 s.
    started = time.thread_time()
    asked(messages=("wait" + " " * 16_000, "retry a" * 2_200, "wait " + "1s" * 8_000 + "x"))

    assert time.thread_time() - started < 0.5


@given(error_payloads() | st.text(st.characters()) | st.binary())
@example({"code": "²"})
def test_any_payload_gives_the_same_facts_twice(payload: object) -> None:
    facts = facts_of_payload(payload)

    assert facts == facts_of_payload(payload)
    assert facts.status is None or 100 <= facts.status <= 599
    assert facts.message in ("", *facts.messages)


@given(exceptions_with_causes())
def test_any_exception_gives_facts_with_its_name_first(error: BaseException) -> None:
    facts = facts_of_exception(error)

    assert facts.exceptions[0] == f"{type(error).__module__}.{type(error).__qualname__}"
    assert facts == facts_of_exception(error)


@given(error_facts())
def test_any_wait_is_a_number_of_seconds(facts: ErrorFacts) -> None:
    wait = retry_after_of(facts)

    assert wait is None or 0 <= wait.seconds < float("inf")


class BrokenHeaders(dict[str, str]):
    """Headers of a response that is gone."""

    @override
    def items(self) -> NoReturn:
        raise RuntimeError("gone")


def test_headers_that_cannot_be_read_are_none() -> None:
    assert facts_of_exception(StatusError(500, None, BrokenHeaders(date="x"))).headers == {}
