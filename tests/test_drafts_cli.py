"""`agentcore drafts`, as a person meets it."""

import re
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentcore.accumulator import Accumulator
from agentcore.cli.app import app
from agentcore.draft_store import DraftStore
from agentcore.events import ToolCallDelta
from agentcore.ledger import Draft
from agentcore.messages import JsonObject

NOON = datetime(2026, 3, 1, 12).timestamp()


def drafts(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["drafts", *arguments])


def park(workspace: Path, text: str, fields: JsonObject, tool: str = "write_file") -> Draft:
    store = DraftStore(workspace, clock=lambda: NOON + len(text))
    return store.park(tool=tool, argument="content" if tool else "", fields=fields, text=text)


def in_(workspace: Path) -> list[str]:
    return ["--workspace", str(workspace)]


def test_no_drafts(tmp_path: Path) -> None:
    result = drafts(*in_(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "no drafts\n")
    assert list(tmp_path.iterdir()) == []


def test_the_list_has_what_a_person_needs_to_choose(tmp_path: Path) -> None:
    long_path = "docs/" + "a-long-name/" * 20 + "[bold]plan.md"
    first = park(tmp_path, "é\n", {"path": long_path, "mode": "create"})
    second = park(tmp_path, "A line of it.\n" * 2_345, {"mode": "create"}, tool="save")
    third = park(tmp_path, "An answer.\n" * 10_000, {}, tool="")

    result = drafts(*in_(tmp_path))

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "id      when               lines    size  tool         path",
        f"{first.id}  2026-03-01 12:00       1     3 B  write_file   {long_path}",
        f"{second.id}  2026-03-01 21:07   2,345   33 KB  save",
        f"{third.id}  2026-03-02 18:33  10,000  110 KB  (an answer)",
    ]


def test_a_name_that_a_model_chose_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    park(tmp_path, "a\n", {"path": "\x1b]0;owned\x07\nplan.md"}, tool="w\x1b[2J")
    shown = drafts(*in_(tmp_path)).stdout
    assert shown.count("\n") == 2
    assert shown.endswith("w?[2J  ?]0;owned??plan.md\n")


def test_a_draft_is_shown_exactly(tmp_path: Path) -> None:
    text = "é😀\r\n\x1b[1m[bold]\t\n\n漢 without an end"
    draft = park(tmp_path, text, {})
    result = drafts("show", draft.id, *in_(tmp_path))
    assert (result.exit_code, result.stdout_bytes) == (0, text.encode())
    # The option may stand before the command too.
    assert drafts(*in_(tmp_path), "show", draft.id).stdout_bytes == text.encode()


def test_drafts_are_discarded_by_id_or_all(tmp_path: Path) -> None:
    first, second, third, fourth = [park(tmp_path, "a\n" * n, {}) for n in (1, 2, 3, 4)]

    result = drafts("discard", first.id, third.id, *in_(tmp_path))
    said = f"discarded {first.id}\ndiscarded {third.id}\n"
    assert (result.exit_code, result.stdout) == (0, said)
    assert DraftStore(tmp_path).all() == (second, fourth)

    result = drafts("discard", "--all", *in_(tmp_path))
    said = f"discarded {second.id}\ndiscarded {fourth.id}\n"
    assert (result.exit_code, result.stdout) == (0, said)
    assert list(tmp_path.iterdir()) == []
    assert drafts("discard", "--all", *in_(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nope"], "error: there is no draft 'nope' (there are: {id})"),
        (["show", "../../etc/passwd"], "error: there is no draft '../../etc/passwd'"),
        (["discard", "nope"], "error: there is no draft 'nope' (there are: {id})"),
        (["discard"], "give the id of a draft, or more of them, or --all"),
        (["discard", "--all", "{id}"], "give the id of a draft, or more of them, or --all"),
        (["show"], "Missing argument 'ID'"),
        (["--workspace", "/not/there"], "workspace '/not/there': there is no such folder"),
    ],
)
def test_what_cannot_be_done_is_told_with_status_2(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    draft = park(tmp_path, "a\n", {})
    given = [argument.replace("{id}", draft.id) for argument in arguments]
    result = drafts(*given, *(in_(tmp_path) if "--workspace" not in given else []))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says.replace("{id}", draft.id) in re.sub(r"[│\s]+", " ", result.stderr)
    assert DraftStore(tmp_path).all() == (draft,)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / ".agentcore" / "drafts" / "held.json"
    folder.mkdir(parents=True)
    result = drafts("discard", "held", *in_(tmp_path))
    assert result.exit_code == 2
    assert "error: " in result.stderr
    assert folder.exists()


def test_what_a_dead_process_left_is_found_first(tmp_path: Path) -> None:
    live, accumulator = DraftStore(tmp_path).live({"save": "body"}), Accumulator()
    arguments = '{"path": "plan.md", "body": "a\\nb\\nhalf'
    for now, part in ((0.0, arguments), (1.0, " a line")):
        accumulator.feed(ToolCallDelta(index=0, id="x", name="save", arguments=part))
        live.offer(accumulator, now)
    assert drafts(*in_(tmp_path)).stdout == "no drafts\n"  # its process lives

    live.leave()

    shown = drafts(*in_(tmp_path)).stdout.splitlines()
    assert [line.split()[3:] for line in shown[1:]] == [["2", "4", "B", "save", "plan.md"]]
    assert drafts("show", shown[1].split()[0], *in_(tmp_path)).stdout == "a\nb\n"
