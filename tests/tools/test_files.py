"""Files: whole or not at all, where the model believes they are, and never outside."""

import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agentcore.results import MAX_RESULT_BYTES
from agentcore.tools import Tool, ToolContext, ToolResult, read_file, write_file
from agentcore.tools.base import Continuation, CutDraft


def use(tool: Tool, workspace: Path, **fields: JsonValue) -> ToolResult:
    context = ToolContext(workspace=workspace)
    result = tool.function(**tool.validate(fields), context=context)
    assert isinstance(result, ToolResult)
    return result


def write(workspace: Path, path: str, mode: str, content: str, **more: JsonValue) -> ToolResult:
    return use(write_file, workspace, path=path, mode=mode, content=content, **more)


def append(workspace: Path, content: str, start_line: int | None = None) -> ToolResult:
    return write(workspace, "a.md", "append", content, start_line=start_line)


def cut_off(
    workspace: Path,
    text: str = "",
    *,
    ours: bool = False,
    continued: frozenset[str] = frozenset(),
    **fields: Any,
) -> Continuation | None:
    """What the hook makes of a call that was cut."""
    hook = write_file.on_cut_hook
    assert hook is not None
    context = ToolContext(workspace=workspace, continued=continued)
    said = hook(context, CutDraft(fields=fields, text=text, ours=ours))
    assert said is None or isinstance(said, Continuation)
    return said


# --- write_file -----------------------------------------------------------------------------


def test_a_file_is_created_with_its_folders(tmp_path: Path) -> None:
    result = write(tmp_path, "docs/plan.md", "create", "# Plan\n\nÜber.\n")

    assert result == ToolResult(content="docs/plan.md: 3 lines on disk now.", changed=True)
    assert (tmp_path / "docs/plan.md").read_bytes() == "# Plan\n\nÜber.\n".encode()


def test_create_touches_nothing_that_exists(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("old\n")

    result = write(tmp_path, "a.md", "create", "new\n")

    assert result.is_error
    assert "a.md exists already (1 lines) and was not touched" in result.content
    assert (tmp_path / "a.md").read_text() == "old\n"


def test_overwrite_replaces_the_whole(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("old\n" * 10)

    assert write(tmp_path, "a.md", "overwrite", "new\n").changed
    assert (tmp_path / "a.md").read_text() == "new\n"


def test_writing_what_is_there_is_success_and_no_progress(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("same\n")

    assert write(tmp_path, "a.md", "overwrite", "same\n") == ToolResult(
        content="a.md holds exactly this already: 1 lines."
    )


def test_append_goes_on_where_the_file_ends(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("1\n2\n")

    assert append(tmp_path, "3\n", start_line=3) == ToolResult(
        content="a.md: 3 lines on disk now.", changed=True
    )
    assert (tmp_path / "a.md").read_text() == "1\n2\n3\n"


def test_append_begins_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert append(tmp_path, "1\n", start_line=1).changed
    assert (tmp_path / "a.md").read_text() == "1\n"


@pytest.mark.parametrize(
    ("start_line", "content"),
    [(2, "2\n3\n"), (1, "1\n"), (3, "3\n"), (3, "3"), (2, "2\n3"), (1, "1\r\n")],
)
def test_lines_that_are_there_already_are_success(
    tmp_path: Path, start_line: int, content: str
) -> None:
    (tmp_path / "a.md").write_text("1\n2\n3\n")

    result = append(tmp_path, content, start_line)

    assert not result.is_error
    assert not result.changed
    assert "lines are already there; the file has 3 lines." in result.content
    assert (tmp_path / "a.md").read_text() == "1\n2\n3\n"


@pytest.mark.parametrize("content", ["2", "2\n", "2\r\n"], ids=repr)
@pytest.mark.parametrize("before", [b"1\n2", b"1\r\n2\r\n"], ids=repr)
def test_line_ends_do_not_hide_what_is_there_already(
    tmp_path: Path, before: bytes, content: str
) -> None:
    (tmp_path / "a.md").write_bytes(before)

    assert append(tmp_path, content, 2) == ToolResult(
        content="a.md: these 1 lines are already there; the file has 2 lines."
    )
    assert (tmp_path / "a.md").read_bytes() == before


def test_an_append_in_the_midst_of_a_missing_file_is_told_that_it_is_missing(
    tmp_path: Path,
) -> None:
    assert append(tmp_path, "5\n", 5) == ToolResult(
        content="a.md does not exist or is empty, so its first line is line 1, not 5. Nothing was "
        "written.",
        is_error=True,
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("start_line", "content"),
    [(6, "7\n"), (99, "7\n"), (3, "other\n"), (3, "3\n4\n5\n"), (4, "fo"), (4, "")],
    ids=["one too far", "far off", "other text", "other past the end", "half a line", "nothing"],
)
def test_an_append_at_a_wrong_line_is_told_the_true_end(
    tmp_path: Path, start_line: int, content: str
) -> None:
    (tmp_path / "a.md").write_text("1\n2\n3\nfour\n")

    assert append(tmp_path, content, start_line) == ToolResult(
        content=f"a.md has 4 lines, so an append begins at line 5, not at {start_line}. "
        "Nothing was written. Its last lines are:\n2\n3\nfour\n",
        is_error=True,
    )
    assert (tmp_path / "a.md").read_text() == "1\n2\n3\nfour\n"


def test_an_append_that_begins_with_the_lines_that_are_there_goes_on_after_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.md").write_text("1\n2\n3\nfour\n")

    assert append(tmp_path, "3\nfour\n5\n6\n", 3) == ToolResult(
        content="a.md: 6 lines on disk now.\nThe first 2 lines of your text repeated what was "
        "there, and were left out.",
        changed=True,
    )
    assert (tmp_path / "a.md").read_text() == "1\n2\n3\nfour\n5\n6\n"


def test_a_line_without_its_end_is_ended_before_an_append(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("1\n2")

    append(tmp_path, "3\n", start_line=3)

    assert (tmp_path / "a.md").read_text() == "1\n2\n3\n"


@pytest.mark.parametrize(
    ("before", "content", "after"),
    [
        (b"1\r\n2\r\n", "3\n4\n", b"1\r\n2\r\n3\r\n4\r\n"),
        (b"1\r\n2", "3\n", b"1\r\n2\r\n3\r\n"),
        (b"1\r\n", "2\r\n3\n", b"1\r\n2\r\n3\n"),
        (b"1\r\n2\n", "3\n", b"1\r\n2\n3\n"),
        (b"\xef\xbb\xbf1\r\n", "2\n", b"\xef\xbb\xbf1\r\n2\r\n"),
    ],
    ids=["kept", "no final line end", "as the model wrote it", "mixed file", "with mark"],
)
def test_an_append_keeps_the_files_line_ends(
    tmp_path: Path, before: bytes, content: str, after: bytes
) -> None:
    (tmp_path / "a.md").write_bytes(before)

    assert append(tmp_path, content).changed
    assert (tmp_path / "a.md").read_bytes() == after


def test_lines_are_already_there_whatever_their_ends(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"1\r\n2\r\n")

    assert "already there" in append(tmp_path, "2\n", start_line=2).content


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()

    assert write(tmp_path, "docs", "overwrite", "x") == ToolResult(
        content="docs is a folder. It is empty. Nothing was written.", is_error=True
    )


@pytest.mark.parametrize("mode", ["overwrite", "append"])
@pytest.mark.parametrize("permissions", [0o600, 0o755, 0o666])
def test_a_files_permissions_are_kept(tmp_path: Path, mode: str, permissions: int) -> None:
    file = tmp_path / "a.sh"
    file.write_text("old\n")
    file.chmod(permissions)

    write(tmp_path, "a.sh", mode, "new\n")

    assert stat.S_IMODE(file.stat().st_mode) == permissions


def test_a_new_file_gets_what_the_umask_leaves(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write(tmp_path, "a.md", "create", "new\n")
    finally:
        os.umask(umask)

    assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a.md").write_text("old\n")
    monkeypatch.setattr(os, "fsync", full)

    assert write(tmp_path, "a.md", "overwrite", "new\n") == ToolResult(
        content="a.md: the disk is full. Nothing can be written until somebody makes room. "
        "Nothing was written.",
        is_error=True,
    )

    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.md": "old\n"}


def test_a_write_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    # The longest name that a file may have: one put before it did not fit.
    name = "n" * 255

    write(tmp_path, name, "create", "1\n")
    write(tmp_path, name, "append", "2\n")

    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_link_inside_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text("old\n")
    (tmp_path / "link.md").symlink_to("real.md")

    write(tmp_path, "link.md", "overwrite", "new\n")

    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_text() == "new\n"


# --- the workspace --------------------------------------------------------------------------

OUTSIDE = ["../b.md", "docs/../../b.md", "/etc/passwd", "out/b.md", "b-link.md", ".", "", "a\0b"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with a secret beside it and links that lead out."""
    inside = tmp_path / "workspace"
    inside.mkdir()
    (tmp_path / "b.md").write_text("secret\n")
    (inside / "out").symlink_to(tmp_path)
    (inside / "b-link.md").symlink_to(tmp_path / "b.md")
    return inside


@pytest.mark.parametrize("path", OUTSIDE, ids=repr)
@pytest.mark.parametrize("mode", ["overwrite", "append", "create"])
def test_no_write_leaves_the_workspace(workspace: Path, path: str, mode: str) -> None:
    assert write(workspace, path, mode, "x").is_error
    assert (workspace.parent / "b.md").read_text() == "secret\n"
    assert sorted(file.name for file in workspace.iterdir()) == ["b-link.md", "out"]


@pytest.mark.parametrize("path", OUTSIDE, ids=repr)
def test_no_read_leaves_the_workspace(workspace: Path, path: str) -> None:
    result = use(read_file, workspace, path=path)

    assert result.is_error
    assert "secret" not in result.content


def test_an_absolute_path_inside_is_inside(workspace: Path) -> None:
    assert write(workspace, str(workspace / "a.md"), "create", "x\n").changed
    assert (workspace / "a.md").read_text() == "x\n"


FEW_LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "a"]), max_size=6).map("".join)


# --- what is kept of a cut call -------------------------------------------------------------


def test_a_new_file_takes_what_arrived(tmp_path: Path) -> None:
    kept = cut_off(tmp_path, "# Plan\n\nÜber.\n", path="docs/a.md", mode="overwrite")

    assert kept == Continuation(
        on_disk='"docs/a.md" has 3 lines on disk; they are safe. The last of them is: Über.',
        next_call='path="docs/a.md", mode="append", start_line=4',
        new_lines=3,
    )
    assert (tmp_path / "docs/a.md").read_bytes() == "# Plan\n\nÜber.\n".encode()


def test_a_long_last_line_is_shown_by_its_end(tmp_path: Path) -> None:
    kept = cut_off(tmp_path, "x" * 500 + "end\n", path="a.md", mode="create")

    assert kept is not None
    assert kept.on_disk.endswith("is: …" + "x" * 117 + "end")


def test_without_a_text_a_file_that_is_not_there_is_created_next(tmp_path: Path) -> None:
    assert cut_off(tmp_path, path="a.md", mode="overwrite") == Continuation(
        on_disk='"a.md" does not exist on disk.',
        next_call='path="a.md", mode="create", start_line=1',
    )
    assert not (tmp_path / "a.md").exists()


OURS = "1\n2\n3\n"
# The mode, the line, the text that arrived, and what the file holds then; None: it is parked.
GOING_ON: list[tuple[str, int | None, str, str | None]] = [
    ("append", None, "4\n5\n", OURS + "4\n5\n"),
    ("append", 4, "4\n5\n", OURS + "4\n5\n"),
    # too early, with the very lines that are there
    ("append", 2, "2\n3\n4\n", OURS + "4\n"),
    ("append", 2, "2\n", OURS),
    # too early with others, and too late
    ("append", 2, "x\n3\n4\n", None),
    ("append", 5, "5\n6\n", None),
    # begun anew: longer, as long, shorter, different
    ("overwrite", None, OURS + "4\n", OURS + "4\n"),
    ("create", None, OURS + "4\n", OURS + "4\n"),
    ("overwrite", None, OURS, OURS),
    ("create", 1, "1\n2\n", OURS),
    ("overwrite", None, "1\nx\n", None),
    ("create", None, "x\n" * 9, None),
]


@pytest.mark.parametrize(("mode", "start_line", "text", "after"), GOING_ON)
def test_a_file_of_this_run_is_gone_on_with(
    tmp_path: Path, mode: str, start_line: int | None, text: str, after: str | None
) -> None:
    (tmp_path / "a.md").write_text(OURS)
    kept = cut_off(
        tmp_path,
        text,
        ours=True,
        continued=frozenset({"a.md"}),
        path="./a.md",
        mode=mode,
        start_line=start_line,
    )

    assert (tmp_path / "a.md").read_text() == (OURS if after is None else after)
    if after is None:
        assert is_parked(kept, mode)
    else:
        lines = after.count("\n")
        assert kept == Continuation(
            on_disk=f'"./a.md" has {lines} lines on disk; they are safe. '
            f"The last of them is: {after.splitlines()[-1]}",
            next_call=f'path="./a.md", mode="append", start_line={lines + 1}',
            new_lines=lines - 3,
        )


def is_parked(kept: object, mode: str | None) -> bool:
    """The text is left to be parked; to create what is there is not told once more."""
    if mode != "create":
        return kept is None
    return isinstance(kept, Continuation) and kept.park_with == {"path": "a-2.md"}


# A second version that was cut was answered with "append to the first".
@pytest.mark.parametrize("mode", ["overwrite", "create"])
@pytest.mark.parametrize("text", ["1\n2\n", OURS, OURS + "4\n", "x\n"])
def test_a_file_that_this_run_wrote_whole_is_not_gone_on_with(
    tmp_path: Path, mode: str, text: str
) -> None:
    (tmp_path / "a.md").write_text(OURS)

    assert is_parked(cut_off(tmp_path, text, ours=True, path="a.md", mode=mode), mode)
    assert (tmp_path / "a.md").read_text() == OURS


def test_lines_that_are_repeated_after_a_cut_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("1\n2\n3\n")
    context = ToolContext(workspace=tmp_path, continued=frozenset({"a.md"}))
    fields: dict[str, JsonValue] = {"path": "./a.md", "mode": "append", "start_line": 4}
    hook = write_file.on_cut_hook
    assert hook is not None

    kept = hook(context, CutDraft(fields=fields, text="2\n3\n4\n", ours=True))

    assert isinstance(kept, Continuation)
    assert kept.new_lines == 1
    assert (tmp_path / "a.md").read_text() == "1\n2\n3\n4\n"

    result = write_file.function(
        **write_file.validate(fields | {"start_line": 5, "content": "3\n4\n5\n"}),
        context=context,
    )

    assert result == ToolResult(
        content="./a.md: 5 lines on disk now.\nThe last of them is: 5\nThe first 2 lines of your "
        "text repeated what was there, and were left out.",
        changed=True,
    )
    assert (tmp_path / "a.md").read_text() == "1\n2\n3\n4\n5\n"


def test_without_a_cut_lines_may_repeat(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("1\n2\n")

    assert append(tmp_path, "1\n2\n", 3).content == "a.md: 4 lines on disk now."


@pytest.mark.parametrize("mode", ["overwrite", "append", "create"])
@pytest.mark.parametrize("before", [b"old\n", b"old\r\n", b"\xff\xfe", b"", b"1\n"])
def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path, mode: str, before: bytes) -> None:
    target = tmp_path / "a.md"
    target.write_bytes(before)
    status = target.stat()

    assert is_parked(cut_off(tmp_path, "1\n2\n", path="a.md", mode=mode), mode)
    assert target.read_bytes() == before
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)


def test_without_a_text_a_file_of_somebody_else_is_replaced_as_was_meant(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("1\n2\n")

    assert cut_off(tmp_path, path="a.md", mode="overwrite") == Continuation(
        on_disk='"a.md" still holds the 2 lines that it had before this call.',
        next_call='path="a.md", mode="overwrite", start_line=1',
    )
    assert cut_off(tmp_path, path="a.md", mode="append") == Continuation(
        on_disk='"a.md" has 2 lines on disk.',
        next_call='path="a.md", mode="append", start_line=3',
    )


def test_without_a_text_a_file_of_ours_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("1\n2\n")

    assert cut_off(tmp_path, ours=True, path="a.md", mode="overwrite") == Continuation(
        on_disk='"a.md" has 2 lines on disk; they are safe. The last of them is: 2',
        next_call='path="a.md", mode="append", start_line=3',
    )


def test_a_file_keeps_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"1\r\n2\r\n")

    kept = cut_off(tmp_path, "3\n4\n", ours=True, path="a.md", mode="append", start_line=3)

    assert kept is not None
    assert kept.new_lines == 2
    assert kept.on_disk.endswith("The last of them is: 4")
    assert (tmp_path / "a.md").read_bytes() == b"1\r\n2\r\n3\r\n4\r\n"


def test_bytes_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xff\xfe\n")

    kept = cut_off(tmp_path, "3\n", ours=True, path="a.md", mode="append", start_line=2)

    assert kept is None
    assert (tmp_path / "a.md").read_bytes() == b"\xff\xfe\n"


@pytest.mark.parametrize("start_line", [2, 7])
def test_an_append_to_nothing_begins_at_the_first_line(tmp_path: Path, start_line: int) -> None:
    fields: dict[str, Any] = {"path": "a.md", "mode": "append"}

    assert cut_off(tmp_path, "1\n", **fields, start_line=start_line) is None
    assert not (tmp_path / "a.md").exists()
    assert cut_off(tmp_path, "1\n", **fields, start_line=1) is not None
    assert (tmp_path / "a.md").read_text() == "1\n"


@pytest.mark.parametrize(
    "fields",
    [{}, {"path": 7}, {"path": None}, {"path": ""}, {"path": "../a.md"}, {"path": "docs"}],
    ids=repr,
)
@pytest.mark.parametrize("text", ["", "1\n"], ids=["no text", "text"])
def test_what_names_no_file_is_not_gone_on_with(
    tmp_path: Path, fields: dict[str, Any], text: str
) -> None:
    (tmp_path / "docs").mkdir()

    assert cut_off(tmp_path, text, **fields) is None
    assert [path.name for path in tmp_path.iterdir()] == ["docs"]


@given(
    before=st.none() | FEW_LINES,
    text=FEW_LINES.map(lambda text: text + "\n" if text and text[-1] != "\n" else text),
    mode=st.sampled_from(["overwrite", "append", "create"]),
    ours=st.booleans(),
    continued=st.sampled_from([frozenset[str](), frozenset({"a.md"})]),
    start_line=st.none() | st.integers(1, 9),
)
@settings(max_examples=200)
def test_whatever_is_cut_nothing_that_was_there_is_lost(
    before: str | None,
    text: str,
    mode: str,
    ours: bool,
    continued: frozenset[str],
    start_line: int | None,
) -> None:
    with TemporaryDirectory() as folder:
        target = Path(folder) / "a.md"
        if before is not None:
            target.write_bytes(before.encode())
        kept = cut_off(
            Path(folder),
            text,
            ours=ours,
            continued=continued,
            path="a.md",
            mode=mode,
            start_line=start_line,
        )
        after = target.read_bytes().decode() if target.exists() else None

    if before is not None:
        assert after is not None
        assert after.startswith(before)
    if kept is None:
        assert after == before
    if after != before:
        assert kept is not None
        assert after is not None
        # A last line without its end may have got it.
        assert kept.new_lines > 0 or after == f"{before}\n"
        assert text.endswith(after.removeprefix(before or "").lstrip("\n") or text)


# --- read_file ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({}, "a.md: lines 1 to 5 of 5\n1\n2\n3\n4\n5\n"),
        ({"start_line": 2, "max_lines": 2}, "a.md: lines 2 to 3 of 5\n2\n3\n"),
        ({"start_line": 4, "max_lines": 2}, "a.md: lines 4 to 5 of 5\n4\n5\n"),
        ({"start_line": 5, "max_lines": 2_000}, "a.md: lines 5 to 5 of 5\n5\n"),
    ],
    ids=["all", "middle", "to the end", "past the end"],
)
def test_a_file_is_read_in_pages(
    tmp_path: Path, fields: dict[str, JsonValue], content: str
) -> None:
    (tmp_path / "a.md").write_text("1\n2\n3\n4\n5\n")

    assert use(read_file, tmp_path, path="a.md", **fields) == ToolResult(content=content)


@pytest.mark.parametrize(
    ("before", "content"),
    [
        (b"", "a.md: lines 1 to 0 of 0\n"),
        (b"1\n2", "a.md: lines 1 to 2 of 2\n1\n2"),
        (b"1\r\n2\r\n", "a.md: lines 1 to 2 of 2\n1\r\n2\r\n"),
        ("1\u2028\x0c\n".encode(), "a.md: lines 1 to 1 of 1\n1\u2028\x0c\n"),
    ],
    ids=["empty", "no final line end", "carriage returns", "only a line feed ends a line"],
)
def test_a_file_is_read_as_it_is(tmp_path: Path, before: bytes, content: str) -> None:
    (tmp_path / "a.md").write_bytes(before)

    assert use(read_file, tmp_path, path="a.md").content == content


@pytest.mark.parametrize(
    ("path", "start_line", "content"),
    [
        ("a.md", 3, "a.md has 2 lines; line 3 is past its end."),
        ("none.md", 1, "none.md does not exist."),
        ("picture", 1, "picture is not UTF-8 text (byte 1)."),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, path: str, start_line: int, content: str
) -> None:
    (tmp_path / "a.md").write_text("1\n2\n")
    (tmp_path / "picture").write_bytes(b"x\xff\n")

    result = use(read_file, tmp_path, path=path, start_line=start_line)

    assert result == ToolResult(content=content, is_error=True)


# The result was cut in its middle, below a first line that promised all of it.
@pytest.mark.parametrize(
    ("start_line", "last"), [(1, 300), (2, 301), (301, 600), (701, 1_000), (950, 1_000)]
)
def test_a_page_has_as_many_whole_lines_as_fit_and_names_the_last(
    tmp_path: Path, start_line: int, last: int
) -> None:
    # Each of a hundred bytes, so that three hundred just fit.
    lines = [f"{number:5}{'é' * 47}\n" for number in range(1, 1_001)]
    (tmp_path / "a.md").write_text("".join(lines))

    result = use(read_file, tmp_path, path="a.md", start_line=start_line)

    head = f"a.md: lines {start_line} to {last} of 1000\n"
    assert result == ToolResult(content=head + "".join(lines[start_line - 1 : last]))
    assert len(result.content.encode()) <= MAX_RESULT_BYTES


@pytest.mark.parametrize(
    ("line", "begun"),
    [("x" * 200_000, "x" * 30_000), ("x" + "𝄞" * 50_000, "x" + "𝄞" * 7_499)],
    ids=["one byte", "four bytes"],
)
def test_of_a_line_that_is_too_long_its_beginning_is_read(
    tmp_path: Path, line: str, begun: str
) -> None:
    (tmp_path / "a.md").write_text(f"1\n{line}\n3\n")

    pages = [use(read_file, tmp_path, path="a.md", start_line=number) for number in (1, 2, 3)]

    assert pages == [
        ToolResult(content="a.md: lines 1 to 1 of 3\n1\n"),
        ToolResult(
            content="a.md: the first 30000 bytes of line 2 of 3; it goes on at "
            f"start_character={len(begun) + 1}\n{begun}"
        ),
        ToolResult(content="a.md: lines 3 to 3 of 3\n3\n"),
    ]
    assert len(pages[1].content.encode()) <= MAX_RESULT_BYTES


# --- properties -----------------------------------------------------------------------------

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20))
SECTIONS = LINES.map(lambda lines: "".join(f"{line}\n" for line in lines))


@settings(deadline=None)  # each write waits for the disk
@given(sections=st.lists(SECTIONS, min_size=1, max_size=6), last=st.text("ab", max_size=3))
@example(sections=[""], last="")
def test_sections_appended_give_the_joined_text(sections: list[str], last: str) -> None:
    with TemporaryDirectory() as folder:
        workspace = Path(folder)
        start_line = 1
        for section in [*sections, last]:
            assert not append(workspace, section, start_line).is_error
            start_line += section.count("\n")

        assert (workspace / "a.md").read_bytes() == "".join([*sections, last]).encode()


@settings(deadline=None)  # each write waits for the disk
@given(sections=st.lists(SECTIONS.filter(bool), min_size=1, max_size=5), data=st.data())
def test_a_section_sent_again_changes_nothing(sections: list[str], data: st.DataObject) -> None:
    again = data.draw(st.integers(0, len(sections) - 1))
    with TemporaryDirectory() as folder:
        workspace = Path(folder)
        append(workspace, "".join(sections))
        start_line = 1 + "".join(sections[:again]).count("\n")

        assert "already there" in append(workspace, sections[again], start_line).content
        assert (workspace / "a.md").read_bytes() == "".join(sections).encode()


@settings(deadline=None)  # each write waits for the disk
@given(text=st.text(st.characters(codec="utf-8")), max_lines=st.integers(1, 5))
@example(text="a\r\nb\rc\u2028d", max_lines=1)
def test_pages_joined_give_the_file(text: str, max_lines: int) -> None:
    with TemporaryDirectory() as folder:
        workspace = Path(folder)
        write(workspace, "a.md", "create", text)
        pages: list[str] = []
        while True:
            page = use(
                read_file,
                workspace,
                path="a.md",
                start_line=1 + len(pages) * max_lines,
                max_lines=max_lines,
            )
            if page.is_error:
                break
            pages.append(page.content.split("\n", 1)[1])
            if not text:
                break

        assert "".join(pages) == text.removeprefix("\ufeff")  # a mark is no text


@pytest.mark.parametrize("mode", ["overwrite", "create"])
async def test_a_section_that_would_wipe_the_ones_before_it_is_refused(
    tmp_path: Path, mode: str
) -> None:
    arguments = write_file.validate(
        {"path": "a", "mode": mode, "start_line": 401, "content": "x\n"}
    )
    result = await write_file.run(arguments, ToolContext(workspace=tmp_path))
    assert result.is_error
    assert 'start_line=401 goes with mode "append"' in result.content
    assert not (tmp_path / "a").exists()
