"""What a person at the terminal is shown of a call before it runs."""

import io
import json

import pytest
from pydantic import JsonValue
from rich.console import Console

from agentcore.cli.display import Display, harmless
from agentcore.tools.approval import ApprovalRequest


def ask(
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, JsonValue],
    *typed: str,
    secrets: frozenset[str] = frozenset(),
) -> tuple[bool | str, str]:
    """The answer, and what was shown."""
    shown = io.StringIO()
    words = iter(typed)
    console = Console(file=shown, width=60)
    monkeypatch.setattr(console, "input", lambda question: shown.write(question) and next(words))
    display = Display(console)
    request = ApprovalRequest(
        tool="execute_code", arguments=arguments, call_id="c", reason="", secrets=secrets
    )
    with display:
        answer = display.ask(request)
    return answer, shown.getvalue()


def test_all_of_a_short_program_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    code = 'print("harmless")\nimport shutil\nshutil.rmtree("docs")\n'
    answer, shown = ask(monkeypatch, {"code": code}, "y")
    assert answer is True
    for line in code.splitlines():
        assert line in shown
    assert "v to view" not in shown


def test_all_of_a_long_one_when_the_person_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "pass\n" * 500 + "the_last()"
    _, shown = ask(monkeypatch, {"code": code}, "n")
    assert "501 lines" in shown
    assert "the_last()" not in shown
    answer, shown = ask(monkeypatch, {"code": code}, "v", "n")
    assert answer is False
    assert shown.count("pass") >= 500
    assert "the_last()" in shown
    # One line without end, also deep in a list, is no way to hide something.
    _, shown = ask(monkeypatch, {"rows": ["x" * 99_000, "the end"]}, "v", "n")
    assert '"the end"]' in shown


def test_nothing_steers_the_terminal_and_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steering = "a\x1b[2K\x1b[1Ab\x9b31m\r\u202ec"
    arguments: dict[str, JsonValue] = {"code": steering, "key": "hunter2"}
    _, shown = ask(monkeypatch, arguments, "n", secrets=frozenset({"key"}))
    assert "a\\x1b[2K\\x1b[1Ab\\x9b31m\\r\\u202ec" in shown
    assert "hunter2" not in shown
    assert "key: (secret)" in shown
    assert json.dumps("hunter2") not in shown


def test_what_does_not_steer_stays() -> None:
    text = "tab\tline\né 漢 👩\u200d💻 \xa0"
    assert harmless(text) == text
