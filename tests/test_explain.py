"""`agentcore explain`, as a person and as a script meet it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import JsonValue

from agentcore.classification import Classification
from agentcore.cli.explain import action_of, explained_lines
from agentcore.facts import RetryAfter
from agentcore.kinds import ErrorKind
from agentcore.retry import Policy

CORPUS = Path(__file__).parent / "data" / "errors.jsonl"
ENVIRONMENT = {"COLUMNS": "60", "PATH": "/usr/bin:/bin", "NO_COLOR": "1", "PYTHONUTF8": "1"}
LOST = {"error": {"message": "Network connection lost."}}


def explain(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agentcore.cli", "explain", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )


def test_a_payload_is_explained() -> None:
    ran = explain(json.dumps(LOST))

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "kind      connection",
        "the loop  try again after a wait, on a fresh connection",
        "rule      connection-text",
        "why       a hop lost its connection, or never had it, and says so in words",
        "evidence  text 'network connection lost'",
    ]


def test_a_wait_and_a_cap_are_told() -> None:
    text = 'HTTP 402: {"error": {"message": "can only afford 5310", "retry_after": 7}}'

    shown = explain(stdin=text).stdout
    assert "the loop  try again at once with a cap of 5310 tokens" in shown
    assert "wait      7 s (body field retry_after)" in shown
    assert "cap       5310 tokens" in shown


def test_markup_in_a_text_is_text(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    path.write_text("[red]fetch failed[/] [/nothing]")

    ran = explain("--file", str(path))
    assert ran.returncode == 0, ran.stderr
    assert "text 'fetch failed'" in ran.stdout


def test_as_json() -> None:
    ran = explain("--json", "429 Too Many Requests, please retry in 300 seconds")

    assert json.loads(ran.stdout) == {
        "kind": "rate_limit",
        "retryable": False,
        "action": "stop: it asks for a longer wait than 120 s (Policy.max_retry_after)",
        "rule": "rate-limit-text",
        "why": "throttling is named",
        "evidence": "text 'too many requests'",
        "retry_after": {"seconds": 300.0, "source": "text 'retry in 300 seconds'"},
        "corrected_output_limit": None,
    }


def test_reports_a_line() -> None:
    rows = [
        {"id": "a", "surface": "sse", "status": None, "body": LOST, "message": None},
        {"id": 7, "surface": "http", "status": "401", "headers": None, "model": None},
        {"surface": "elsewhere", "exception": "httpx.ReadTimeout", "message": ["x"]},
    ]
    stdin = "\n\n".join(json.dumps(row) for row in rows)

    ran = explain("--jsonl", stdin=f"{stdin}\nno JSON\n[1]\n")
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert answers[:3] == [
        {"id": "a", "kind": "connection", "retryable": True, "rule": "connection-text"},
        {"id": 7, "kind": "auth", "retryable": False, "rule": "status-401-403"},
        {"id": None, "kind": "timeout", "retryable": True, "rule": "timeout-exception"},
    ]
    assert [answer["rule"] for answer in answers[3:]] == ["no report", "no report"]


def test_the_labels_are_not_looked_at() -> None:
    lines = CORPUS.read_text().splitlines()
    labels = ("category", "retryable", "why", "source", "hard", "also", "recon")
    bare = [
        json.dumps({name: value for name, value in json.loads(line).items() if name not in labels})
        for line in lines
    ]

    assert list(explained_lines(lines)) == list(explained_lines(bare))
    assert [json.loads(line)["id"] for line in explained_lines(lines)] == [
        json.loads(line)["id"] for line in lines
    ]


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_an_action(kind: ErrorKind) -> None:
    found = Classification(kind=kind, rule="", evidence="")

    assert action_of(found, Policy()).startswith(
        "try again" if kind.is_transient or kind is ErrorKind.OUTPUT_LIMIT else "stop"
    ) or (kind is ErrorKind.TRUNCATED)


def test_a_short_wait_is_part_of_the_action() -> None:
    wait = RetryAfter(seconds=2.5, source="header retry-after")
    found = Classification(kind=ErrorKind.RATE_LIMIT, rule="", evidence="", retry_after=wait)

    assert action_of(found, Policy()) == "try again after a wait, of 2.5 s at least"


@pytest.mark.parametrize("body", [None, 5, "", [], {"error": None}, [[]]])
def test_an_odd_body_is_answered(body: JsonValue) -> None:
    (line,) = explained_lines([json.dumps({"id": 1, "surface": "sse", "body": body})])

    assert json.loads(line)["kind"] == "unknown"


def test_nothing_to_explain_is_told() -> None:
    ran = explain(stdin="  \n")
    assert ran.returncode == 2
    assert "nothing to explain" in ran.stderr


def test_a_text_and_a_file_are_not_taken_together(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x")
    ran = explain("a text", "--file", str(tmp_path / "log"))
    assert ran.returncode == 2
    assert "not both" in ran.stderr


def test_bytes_that_are_no_text_stop_no_batch(tmp_path: Path) -> None:
    reports = tmp_path / "reports.jsonl"
    reports.write_bytes(b'\xff\xfe{"id": 1}\n{"id": 2, "status": 500}\n')
    ran = explain("--jsonl", "--file", str(reports))
    assert [json.loads(line)["kind"] for line in ran.stdout.splitlines()] == [
        "unknown",
        "server_error",
    ]
