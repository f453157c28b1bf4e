"""`agentcore guidance`, as a person and as CI meet it."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from agentcore.cli.app import app
from agentcore.guidance import SITUATIONS, Templates
from agentcore.guidance.descriptions import variables_of, when


def guidance(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1"}).invoke(app, ["guidance", *arguments])


def test_without_a_name_every_template_is_listed() -> None:
    ran = guidance()

    assert ran.exit_code == 0
    head, *rows = ran.stdout.splitlines()
    assert head.split() == ["template", "for", "words", "when"]
    assert [row.split()[0] for row in rows] == [kind.template for kind in SITUATIONS]
    assert all(int(row.split()[3]) <= 120 for row in rows)
    assert "model" in rows[0]
    assert "person" in rows[-1]


def test_one_template_is_shown_with_its_samples_and_variables() -> None:
    ran = guidance("denied")

    assert ran.exit_code == 0
    assert ran.stdout.startswith("template  denied\nwhen      The person, or a rule of theirs,")
    assert "--- no reason: 25 words\nNot run: the user denied this call of write_file.\n" in (
        ran.stdout
    )
    assert "  reason  Why, in the person's words, without a full stop; empty when" in ran.stdout


def test_a_text_in_square_brackets_is_shown_as_it_is() -> None:
    assert "\n[… 182040 bytes left out; all 4210 lines are in" in guidance("left-out").stdout


def test_one_level_is_shown() -> None:
    shown = guidance("sections", "--level", "3").stdout

    assert "level 3, parked" in shown
    assert "level 2" not in shown


def test_what_is_asked_for_and_not_there_is_told() -> None:
    for arguments, told in [
        (("section",), "there is no such template; did you mean 'sections'?"),
        (("sections", "--level", "9"), "--level 9: its levels are 1, 2, 3, 4 (sections)"),
        (("raised", "--level", "1"), "--level 1: it has no levels (raised)"),
        (("--level", "1"), "--level: name the template"),
    ]:
        ran = guidance(*arguments)

        assert ran.exit_code == 2
        assert told in ran.stderr


def test_a_folder_that_is_right_is_shown_as_the_source(tmp_path: Path) -> None:
    file = tmp_path / "raised.md.jinja"
    file.write_text("{{ tool }}: read_file tells more.")

    ran = guidance("raised", "--folder", str(tmp_path), "--tool", "read_file")
    assert ran.exit_code == 0
    assert f"from      {file}" in ran.stdout
    assert "import_rows: read_file tells more." in ran.stdout
    listed = guidance("--folder", str(tmp_path), "--tool", "read_file").stdout.splitlines()
    (mine,) = (row for row in listed if row.rstrip().endswith("your folder"))
    assert mine.startswith("raised ")


def test_a_folder_that_is_wrong_fails_with_every_reason(tmp_path: Path) -> None:
    (tmp_path / "raised.md.jinja").write_text("{{ toool }}")
    for number in range(20):
        (tmp_path / f"unknown{number}.md.jinja").touch()

    ran = guidance("--folder", str(tmp_path))
    assert ran.exit_code == 1
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 21
    assert "raised.md.jinja, line 1: there is no variable 'toool'" in ran.stderr

    told = guidance("--folder", str(tmp_path), "--json")
    assert told.exit_code == 1
    problems = json.loads(told.stdout)["problems"]
    assert len(problems) == 21
    assert {
        "file": str(tmp_path / "raised.md.jinja"),
        "line": 1,
        "problem": "there is no variable 'toool'; did you mean 'tool'?",
    } in problems


def test_a_script_reads_all_of_it() -> None:
    told: dict[str, Any] = json.loads(guidance("--json").stdout)

    assert told["problems"] == []
    assert [one["name"] for one in told["templates"]] == [kind.template for kind in SITUATIONS]
    assert all(one["source"] == "package" for one in told["templates"])
    assert all(one["words"] <= 120 for one in told["templates"])


def test_every_template_and_every_variable_is_described() -> None:
    for kind in SITUATIONS:
        assert when(kind).endswith(".")
        assert all(variables_of(kind).values()), kind
    assert Templates().folder is None
