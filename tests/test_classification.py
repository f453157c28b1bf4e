"""The structure of the table, not its wording: what the texts mean is judged by the corpus."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue
from typing_extensions import override

from agentcore.classification import classify, corrected_output_limit
from agentcore.error_rules import ERROR_RULES, ErrorRule
from agentcore.facts import (
    ErrorFacts,
    Surface,
    facts_of_exception,
    facts_of_payload,
    facts_of_report,
)
from agentcore.kinds import KIND_OF_CAUSE, CutCause, ErrorKind, Strength
from agentcore.testing.strategies import (
    error_facts,
    error_payloads,
    error_rules,
    exceptions_with_causes,
)

STRENGTHS = {row.name: row.strength for row in ERROR_RULES}


def test_where_this_project_began() -> None:
    found = classify(facts_of_payload({"error": {"message": "Network connection lost."}}))

    assert found.kind is ErrorKind.CONNECTION
    assert found.is_transient


def test_what_no_row_names_is_unknown() -> None:
    found = classify(ErrorFacts(surface=Surface.SSE, messages=("Retry after 5 seconds",)))

    assert (found.kind, found.rule) == (ErrorKind.UNKNOWN, "no rule")
    assert found.retry_after is not None
    assert found.retry_after.seconds == 5


def test_an_adapters_row_is_read_before_the_common_ones_of_its_strength() -> None:
    row = ErrorRule(
        name="own", kind=ErrorKind.QUOTA, strength=Strength.DEFAULT, why="", statuses=(500,)
    )

    assert classify(ErrorFacts(surface=Surface.HTTP, status=500), [row]).rule == "own"


@pytest.mark.parametrize(
    ("row", "evidence"),
    [
        ({"statuses": (418,)}, "status 418"),
        ({"status_class": 4}, "status 418"),
        ({"statuses": (500,), "status_class": 4}, "status 418"),
        ({"statuses": (500,)}, None),
        ({"words": ("teapot",)}, "reason 'teapot'"),
        ({"words": ("pot",)}, None),
        ({"exceptions": ("TeaError",)}, "exception tea.pot.TeaError"),
        ({"exceptions": ("tea.pot.TeaError",)}, None),
        ({"phrases": ("short and STOUT",)}, "text 'short and stout'"),
        ({"phrases": ("short and st",)}, None),
        ({"phrases": ("short",), "vetoes": ("handle",)}, None),
        ({"phrases": ("short",), "vetoes": ("hand",)}, "text 'short'"),
        ({"statuses": (418,), "words": ("teapot",)}, "status 418, reason 'teapot'"),
        ({"statuses": (418,), "words": ("coffee",)}, None),
        ({"surfaces": (Surface.HTTP,)}, "surface http"),
        ({"surfaces": (Surface.SSE,)}, None),
        # Case and punctuation do not count.
        ({"words": ("TeaPot",)}, "reason 'teapot'"),
        ({"reason_patterns": (r"t[aeiou]{2}p",)}, "reason 'teapot'"),
        ({"reason_patterns": (r"coffee",)}, None),
        ({"min_wait": 60.0}, "a wait of 90 s (header retry-after)"),
        ({"min_wait": 91.0}, None),
        ({"prompt_fits": True}, None),
    ],
)
def test_conditions_of_a_row(row: dict[str, object], evidence: str | None) -> None:
    facts = ErrorFacts(
        surface=Surface.HTTP,
        status=418,
        reasons=("teapot",),
        messages=("here is my handle", "I am short and stout"),
        exceptions=("builtins.OSError", "tea.pot.TeaError"),
        headers={"retry-after": "90"},
    )
    own = ErrorRule(
        name="own",
        kind=ErrorKind.QUOTA,
        strength=Strength.SPECIFIC,
        why="",
        **row,  # type: ignore[arg-type]
    )

    found = classify(facts, [own])

    assert (found.evidence if found.rule == "own" else None) == evidence


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("You requested up to 64000 tokens, but can only afford 1,234.", 1_234),
        ("max_tokens: 64000 > 32000, which is the maximum", 32_000),
        ("supports at most 8192 completion tokens", 8_192),
        ("max_tokens must be less than or equal to 4_096", 4_096),
        ("Range of max_tokens should be in the range of [1, 8192]", 8_192),
        ("the maximum allowed output tokens is 64000", 64_000),
        ("can only afford 0", None),
        ("prompt is too long: 214000 tokens > 200000 maximum", None),
        ("maximum context length is 100 tokens (60 in the messages, 90 in the completion)", 40),
        ("maxOutputTokens value but the range of tokens is from 1 to 65537 (exclusive)", 65_536),
        ("too many", None),
    ],
)
def test_cap_that_a_refusal_names(text: str, limit: int | None) -> None:
    assert corrected_output_limit(ErrorFacts(surface=Surface.HTTP, messages=(text,))) == limit


def test_only_a_refused_cap_carries_a_cap() -> None:
    refused = ErrorFacts(surface=Surface.HTTP, status=402, messages=("can only afford 100",))

    assert classify(refused).corrected_output_limit == 100
    assert corrected_output_limit(replace(refused, messages=("limit 100",))) == 100
    assert classify(replace(refused, messages=("limit 100",))).corrected_output_limit is None


# --- the table ------------------------------------------------------------------------------


def test_strengths_ascend() -> None:
    assert all(one.strength <= two.strength for one, two in pairwise(ERROR_RULES))


def test_names_are_unique_and_every_row_says_why() -> None:
    assert len(STRENGTHS) == len(ERROR_RULES)
    assert all(row.why for row in ERROR_RULES)


def test_every_kind_comes_from_somewhere() -> None:
    of_rows = {row.kind for row in ERROR_RULES}

    assert of_rows | set(KIND_OF_CAUSE.values()) | {ErrorKind.UNKNOWN} == set(ErrorKind)
    assert set(ErrorKind) - of_rows <= {ErrorKind.UNKNOWN, ErrorKind.TRUNCATED}


def test_every_cause_but_dropped_has_a_kind() -> None:
    assert set(KIND_OF_CAUSE) == set(CutCause) - {CutCause.DROPPED}


def only(row: ErrorRule) -> list[ErrorFacts]:
    """Facts that meet a row's conditions and say nothing else, one for each of its items."""
    statuses = row.statuses or ((row.status_class * 100,) if row.status_class else (None,))
    return [
        ErrorFacts(
            surface=row.surfaces[0] if row.surfaces else Surface.HTTP,
            status=status,
            reasons=(word,) if word else (),
            exceptions=(f"somewhere.{exception}",) if exception else (),
        )
        for status in statuses
        for word in row.words or ("",)
        for exception in row.exceptions or ("",)
    ]


NAMED = [
    row
    for row in ERROR_RULES
    if not (row.phrases or row.reason_patterns or row.min_wait or row.prompt_fits is not None)
]


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.name)
def test_no_row_is_hidden_by_those_before_it(row: ErrorRule) -> None:
    assert {classify(facts).rule for facts in only(row)} == {row.name}


@given(error_facts(), st.lists(error_rules(), max_size=3))
def test_any_facts_have_one_kind(facts: ErrorFacts, rules: list[ErrorRule]) -> None:
    found = classify(facts, rules)

    assert found == classify(facts, rules)
    assert found.evidence


@given(error_payloads() | st.text(st.characters()) | st.binary())
def test_any_payload_has_one_kind(payload: JsonValue | bytes) -> None:
    assert classify(facts_of_payload(payload)) == classify(facts_of_payload(payload))


@given(exceptions_with_causes())
def test_any_exception_has_one_kind(error: BaseException) -> None:
    assert classify(facts_of_exception(error)) == classify(facts_of_exception(error))


@given(error_facts(), st.lists(error_rules(), max_size=3))
def test_weaker_evidence_never_overrules_stronger(
    facts: ErrorFacts, rules: list[ErrorRule]
) -> None:
    before = classify(facts)
    strength = STRENGTHS.get(before.rule)
    weaker = [row for row in rules if strength is not None and row.strength > strength]

    assert classify(facts, weaker) == before


SPECIFIC_WORDS = [row for row in ERROR_RULES if row.words and row.strength is Strength.SPECIFIC]


@given(
    st.sampled_from(SPECIFIC_WORDS),
    error_facts(),
    st.lists(error_rules(), max_size=3, unique_by=lambda own: own.name),
)
def test_wording_never_overrules_a_specific_fact(
    row: ErrorRule, facts: ErrorFacts, rules: list[ErrorRule]
) -> None:
    strengths = STRENGTHS | {own.name: own.strength for own in rules}
    told = replace(only(row)[0], messages=facts.messages)

    assert strengths[classify(told, rules).rule] is Strength.SPECIFIC


@given(error_facts(), error_rules())
def test_a_row_at_the_end_never_changes_an_answer_of_its_strength(
    facts: ErrorFacts, row: ErrorRule
) -> None:
    before = classify(facts)
    strength = STRENGTHS.get(before.rule)

    # The whole table as an adapter's rows: the new one then stands at the end of its strength.
    after = classify(facts, (*ERROR_RULES, row))

    if strength is not None and row.strength >= strength:
        assert after == before
    else:
        assert after.rule in (before.rule, row.name)


@given(error_facts(), error_rules())
def test_a_row_after_all_others_never_changes_a_named_answer(
    facts: ErrorFacts, row: ErrorRule
) -> None:
    before = classify(facts)
    last = replace(row, strength=Strength.DEFAULT)

    after = classify(facts, (*ERROR_RULES, last))

    assert after == before or before.rule == "no rule"


@given(error_facts(), error_rules())
def test_an_adapters_row_makes_auth_or_quota_transient_only_if_it_says_so(
    facts: ErrorFacts, row: ErrorRule
) -> None:
    common = classify(facts)
    silent = classify(facts, [replace(row, makes_transient=False)])
    saying = classify(facts, [replace(row, makes_transient=True)])

    if common.kind in (ErrorKind.AUTH, ErrorKind.QUOTA):
        assert not silent.is_transient
        assert silent.kind is not ErrorKind.OUTPUT_LIMIT
    assert saying == silent or saying.rule == row.name


def test_an_adapter_may_know_a_quota_that_passes() -> None:
    facts = facts_of_payload({"error": {"code": "insufficient_quota"}})
    row = ErrorRule(
        name="own",
        kind=ErrorKind.RATE_LIMIT,
        strength=Strength.SPECIFIC,
        why="",
        words=("insufficient_quota",),
    )

    assert classify(facts, [row]).rule == "credit-code"
    assert classify(facts, [replace(row, makes_transient=True)]).rule == "own"


# --- what must not matter -------------------------------------------------------------------

REPORTED = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "errors.jsonl").read_text().splitlines()
]
BODIES = [row["body"] for row in REPORTED if row.get("body")]
# A text with an object, a figure or a quotation in it is no plain sentence.
SENTENCES = [row["message"] for row in REPORTED if re.fullmatch(r"[\w ,.:;()/-]+", row["message"])]


def wrappings(body: JsonValue) -> list[JsonValue]:
    return [
        json.dumps(body),
        json.dumps(body, ensure_ascii=False, indent=2),
        {"error": body},
        [body],
        {"error": {"metadata": {"raw": json.dumps(body)}}},
        {"error": {"message": json.dumps(body)}},
        {"error": {"metadata": {"raw": body}}},
    ]


@given(st.sampled_from(BODIES) | error_payloads(), st.integers(0, 6), st.integers(0, 6))
def test_wrapping_a_body_once_more_never_changes_the_kind(
    body: JsonValue, first: int, second: int
) -> None:
    kind = classify(facts_of_payload(body)).kind

    once = wrappings(body)[first]
    assert classify(facts_of_payload(once)).kind is kind
    assert classify(facts_of_payload(wrappings(once)[second])).kind is kind


@given(
    st.sampled_from(SENTENCES),
    st.sampled_from([str.lower, str.upper, str.title, str.swapcase]),
    st.sampled_from([" ", "  ", "\n", "\t ", "\r\n"]),
    st.from_regex(r"( \((request id|ref): [a-z]{2}[0-9a-f]{16}\))?", fullmatch=True),
)
def test_case_space_and_an_id_never_change_the_kind(
    sentence: str, case: Callable[[str], str], space: str, id_: str
) -> None:
    def kind(message: str) -> ErrorKind:
        return classify(facts_of_payload({"error": {"message": message}})).kind

    assert kind(case(sentence).replace(" ", space) + id_) is kind(sentence)


@pytest.mark.parametrize(
    "quotation",
    [
        'prompt: "rate limit exceeded, insufficient credits"',
        "failed_generation: 'invalid api key'",
        "```\nNetwork connection lost.\n```",
        f'I cannot go on from "{"the context window is exceeded " * 4}"',
        "“人工智能 insufficient balance 余额不足 and a long quotation that a user wrote”",
    ],
)
def test_what_is_quoted_is_no_wording(quotation: str) -> None:
    facts = facts_of_payload({"error": {"message": f"It failed. {quotation}"}})

    assert classify(facts).kind is ErrorKind.UNKNOWN


def test_what_an_error_field_introduces_is_its_own_text() -> None:
    told = "You exceeded your current quota, please check your plan and billing details. " * 2

    for before in ("Request failed: ", "error: ", "the upstream returned ", "message="):
        assert classify(facts_of_payload(f'{before}"{told}"')).kind is ErrorKind.QUOTA


def test_what_a_terminal_showed_before_its_error_is_no_wording() -> None:
    text = "cat notes.md\nrate limit, insufficient credits\nAPI Error: Connection reset by peer"

    assert classify(facts_of_payload(text)).kind is ErrorKind.CONNECTION


@pytest.mark.parametrize(
    "text", ["took 429 ms", "id 5031", "v4.29", "429 tokens were sent", "port 503x", "$4.02"]
)
def test_a_status_counts_only_as_a_token_of_its_own(text: str) -> None:
    assert classify(facts_of_payload({"error": {"message": text}})).kind is ErrorKind.UNKNOWN


@pytest.mark.parametrize(
    "payload",
    [
        {"code": 10**5_000},
        {"message": "max_tokens must be at most " + "9" * 5_000},
        {"code": "²"},
        {"retry_after": float("nan"), "code": float("inf")},
        {"error": {"error": [{"code": 1}] * 100_000}},
    ],
    ids=["long code", "long cap", "no digit", "no number", "wide"],
)
def test_what_once_raised_or_hung(payload: object) -> None:
    assert classify(facts_of_payload(payload)).kind in ErrorKind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "limit: 0, please retry in 20s", "code": 429}}, ErrorKind.QUOTA),
        ({"error": {"message": "daily limit reached, try again in 5s"}}, ErrorKind.QUOTA),
        ({"error": {"code": "insufficient_quota", "retry_after": 3}}, ErrorKind.QUOTA),
        ({"error": {"code": "invalid_api_key", "retry_after": 3}}, ErrorKind.AUTH),
        ({"error": {"code": 429, "retry_after": 86_400}}, ErrorKind.QUOTA),
    ],
)
def test_a_wait_beside_a_permanent_cause_does_not_make_it_transient(
    body: JsonValue, kind: ErrorKind
) -> None:
    found = classify(facts_of_payload(body))

    assert found.kind is kind
    assert found.retry_after is not None
    assert not found.is_transient


@pytest.mark.parametrize(
    "row",
    [row for row in ERROR_RULES if row.phrases and row.strength is Strength.WORDING],
    ids=lambda row: row.name,
)
def test_a_wording_is_known_of_two_sources(row: ErrorRule) -> None:
    assert len(set(row.sources)) >= 2 or "one source" in row.why


# --- found by a review ----------------------------------------------------------------------


def kind_of(payload: object, status: int | None = None) -> str:
    return str(classify(facts_of_payload(payload, status=status, surface=Surface.HTTP)).kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("openai.AuthenticationError: x", "auth"),
        ("litellm.RateLimitError: x", "rate_limit"),
        ("litellm.ContextWindowExceededError: x", "context_overflow"),
        ("TypeError: Object of type datetime is not JSON serializable", "invalid_request"),
        ("httpx.LocalProtocolError: Illegal header value", "invalid_request"),
    ],
)
def test_a_class_name_is_read_with_or_without_its_module(text: str, kind: str) -> None:
    assert str(classify(facts_of_report(message=text)).kind) == kind


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Timeout while downloading https://example.com/cat.png.", "invalid_image_url"),
        ("'rate_limit' is not one of the allowed tool names", "invalid_tool_name"),
        ("Tool 'throttled' is not in request.tools", None),
        ("tools.0: 'no_capacity' is not valid; overloaded functions are not allowed", None),
        ("Invalid 'tools[2].function.description': string too long.", "string_above_max_length"),
    ],
)
def test_what_a_parameter_is_called_is_no_transient_failure(message: str, code: str | None) -> None:
    error = {"message": message, "type": "invalid_request_error", "code": code}
    assert kind_of({"error": error}, 400) == "invalid_request"


@pytest.mark.parametrize(
    ("payload", "status", "kind"),
    [
        # A passing limit with an advertisement behind it.
        (
            {
                "error": {
                    "type": "requests",
                    "code": "rate_limit_exceeded",
                    "message": "Rate limit reached on requests per min. Limit: 3 / min. Please try "
                    "again in 20s. Visit https://platform.example/account/billing to add a "
                    "payment method.",
                }
            },
            429,
            "rate_limit",
        ),
        # Numbers and words that mean something elsewhere.
        ("Internal server error after 407 tokens", 500, "server_error"),
        ({"errno": 1308, "message": "Database deadlock"}, 500, "server_error"),
        (
            {"error": {"message": "Internal server error", "param": "the user is out of credits"}},
            500,
            "server_error",
        ),
        # The request itself, repeated in the refusal.
        (
            {
                "error": {"message": "Internal server error"},
                "body": {"messages": [{"role": "user", "content": "x"}], "message": "no credits"},
            },
            500,
            "server_error",
        ),
    ],
)
def test_what_merely_stands_beside_the_reason_does_not_decide(
    payload: object, status: int, kind: str
) -> None:
    assert kind_of(payload, status) == kind


def test_a_tracebacks_paths_and_source_lines_do_not_decide() -> None:
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/app/billing/overloaded.py", line 3, in timeout_handler\n'
        "    return insufficient_quota(client)\n"
        "openai.InternalServerError: Error code: 500 - {'error': {'type': 'server_error'}}\n"
    )
    assert str(classify(facts_of_report(message=trace)).kind) == "server_error"


@pytest.mark.parametrize(
    "payload",
    [
        {"error": {"metadata": {"raw": '{"error":{"message":"rate limited \ud83d'}}},
        '{"a":"\ud800',
    ],
)
def test_a_text_cut_inside_an_emoji_is_read(payload: object) -> None:
    kind_of(payload)


class Awkward(dict[str, object]):
    @override
    def get(self, *_: object) -> object:
        raise RuntimeError("ask me not")


def test_objects_that_raise_when_they_are_asked_raise_nothing_here() -> None:
    assert kind_of(Awkward(a=1)) == "unknown"
    headers: Any = {1: 2, b"retry-after": b"5"}
    facts_of_payload("x", headers=headers)
    status: Any = "429"
    assert str(classify(facts_of_payload("x", status=status)).kind) == "rate_limit"


def test_every_member_of_a_group_is_read() -> None:
    group = ExceptionGroup("g", [ValueError("1"), ConnectionResetError("x")])
    assert str(classify(facts_of_exception(group)).kind) == "connection"
