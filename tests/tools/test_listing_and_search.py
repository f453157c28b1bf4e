"""What there is, and where it stands: in order, within bounds, and nothing of what is outside."""

import time
from pathlib import Path

import pytest
from pydantic import JsonValue

from agentcore.tools import Tool, ToolContext, ToolResult, list_files, read_file, search_files
from agentcore.tools.files import listing, search


def use(tool: Tool, workspace: Path, **fields: JsonValue) -> ToolResult:
    result = tool.function(**tool.validate(fields), context=ToolContext(workspace=workspace))
    assert isinstance(result, ToolResult)
    return result


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    (root / "src/deep/er/still").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git/config").write_text("needle in git\n")
    (root / "src/a.py").write_bytes(b"one\r\nneedle here\r\nthree\r\nfour\r\n")
    (root / "src/deep/b.py").write_text("x = 1  # Needle\n")
    (root / "src/deep/er/still/c.py").write_text("")
    (root / "picture.png").write_bytes(b"\x89PNG needle")
    (root / ".env").write_text("KEY=needle\n")
    (root / "wide.txt").write_bytes("\ufeffneedle 16\n".encode("utf-16-le"))
    (tmp_path / "secret").write_text("needle outside\n")
    (root / "out").symlink_to("..")
    return root


# --- list_files -----------------------------------------------------------------------------


def test_a_listing_is_sorted_with_sizes_and_leaves_nothing_unsaid(workspace: Path) -> None:
    assert use(list_files, workspace).content.splitlines() == [
        ".: 10 entries",
        ".env 11",
        ".git/ (not listed: name it in path to see it)",
        "out -> .. (a link)",
        "picture.png 11",
        "src/",
        "src/a.py 31",
        "src/deep/",
        "src/deep/b.py 16",
        "src/deep/er/ (…)",
        "wide.txt 22",
        "Folders with (…) were not gone into: their depth is above 3.",
    ]


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"path": "src", "depth": 1}, ["src: 2 entries", "a.py 31", "deep/ (…)", "Folders"]),
        ({"pattern": "*.py", "depth": 9}, [".: 3", "src/a.py", "src/deep/b", "src/deep/er/still"]),
        ({"pattern": "src/*.py"}, [".: 1 entries that match src/*.py", "src/a.py 31", "Folders"]),
        ({"path": ".git"}, [".git: 1 entries", "config 14"]),
        ({"path": "src/deep/er/still"}, ["src/deep/er/still: 1 entries", "c.py 0"]),
    ],
    ids=repr,
)
def test_parts_of_a_listing(
    workspace: Path, fields: dict[str, JsonValue], lines: list[str]
) -> None:
    said = use(list_files, workspace, **fields).content.splitlines()

    assert len(said) == len(lines)
    assert all(line.startswith(begins) for line, begins in zip(said, lines, strict=True))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("src/a.py", "src/a.py is a file, and no folder."),
        ("scr", "scr does not exist. There is: src."),
        ("out", "out lies outside the workspace: a link leads there."),
        (".ssh", ".ssh is not touched: keys"),
    ],
)
def test_what_cannot_be_listed(workspace: Path, path: str, told: str) -> None:
    result = use(list_files, workspace, path=path)

    assert result.is_error
    assert result.content.startswith(told)


def test_a_long_listing_says_how_to_see_more(tmp_path: Path) -> None:
    for number in range(listing.MAX_ENTRIES + 1):
        (tmp_path / f"{number:04}").touch()

    said = use(list_files, tmp_path).content.splitlines()

    assert len(said) == listing.MAX_ENTRIES + 2
    assert said[-1] == "There are more: give a folder in path, or a pattern."


def test_names_of_all_kinds_take_one_line_each(tmp_path: Path) -> None:
    for name in (b"a\nb", b"\xff\xfe", b"\x1b[31m", "ü".encode()):
        Path(str(tmp_path)).joinpath(name.decode(errors="surrogateescape")).touch()

    said = use(list_files, tmp_path).content

    assert said.splitlines() == [
        ".: 4 entries",
        "\\x1b[31m 0",
        "a\\nb 0",
        "ü 0",
        "\\udcff\\udcfe 0",
    ]


# --- search_files ---------------------------------------------------------------------------


def test_a_search_tells_the_lines_and_what_it_left_out(workspace: Path) -> None:
    assert use(search_files, workspace, text="needle").content.splitlines() == [
        "needle: 2 lines in 2 files",
        "src/a.py:2: needle here",
        "wide.txt:1: needle 16",
        "Left out: 1 folders such as .git, 1 links, 1 that are no text, 1 that may hold secrets.",
    ]


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"text": "NEEDLE", "ignore_case": True, "pattern": "*.py"}, ["src/a", "src/deep/b.py:1"]),
        ({"text": "^n.*e$", "is_regex": True, "path": "src"}, ["src/a.py:2: needle here"]),
        ({"text": "N", "is_regex": True, "ignore_case": True, "path": "src/a.py"}, ["src", "src"]),
        ({"text": "nothing", "path": "src"}, []),
        (
            {"text": "three", "path": "src/a.py", "context_lines": 1},
            ["src/a.py-2- needle here", "src/a.py:3: three", "src/a.py-4- four"],
        ),
    ],
    ids=repr,
)
def test_ways_to_search(workspace: Path, fields: dict[str, JsonValue], lines: list[str]) -> None:
    said = use(search_files, workspace, **fields).content.splitlines()
    found = [line for line in said[1:] if not line.startswith("Left out")]

    assert len(found) == len(lines)
    assert all(line.startswith(begins) for line, begins in zip(found, lines, strict=True))


def test_lines_around_are_shown_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\nx\n2\nx\n3\n4\n5\nx\n")

    assert use(search_files, tmp_path, text="x", context_lines=1).content.splitlines() == [
        "x: 3 lines in 1 files",
        "a-1- 1",
        "a:2: x",
        "a-3- 2",
        "a:4: x",
        "a-5- 3",
        "--",
        "a-7- 5",
        "a:8: x",
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"text": "(", "is_regex": True}, "( is no regular expression: missing )"),
        ({"text": "a\nb"}, "text has a line break"),
        ({"text": "x", "path": "scr"}, "scr does not exist. There is: src."),
        ({"text": "x", "path": ".env"}, ".env is not touched"),
        ({"text": "x", "path": "../secret"}, "../secret goes up by '..'"),
    ],
    ids=repr,
)
def test_what_cannot_be_searched(workspace: Path, fields: dict[str, JsonValue], told: str) -> None:
    result = use(search_files, workspace, **fields)

    assert result.is_error
    assert result.content.startswith(told)


def test_a_pattern_that_never_ends_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_SECONDS", 0.2)
    (tmp_path / "a").write_text("a" * 5_000 + "!\n")
    began = time.monotonic()

    result = use(search_files, tmp_path, text="(a|aa)+$|(a+)+b", is_regex=True)

    assert "stopped early, 0 s are over" in result.content
    assert time.monotonic() - began < 5


def test_a_search_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x\n" * 200)
    (tmp_path / "b").write_text("y" * 5_000 + "x" + "y" * 5_000 + "\n")
    (tmp_path / "huge").write_text("x\n" * 2_200_000)

    many = use(search_files, tmp_path, text="x", max_results=10).content.splitlines()
    long = use(search_files, tmp_path, text="x", path="b").content
    huge = use(search_files, tmp_path, text="x", pattern="huge").content

    assert len(many) == 11
    assert "stopped early, there are more than 10: narrow it" in many[0]
    assert f"b:1: …{'y' * 80}x{'y' * 219}…" in long
    assert huge.endswith("Left out: 1 over 4 MiB.")


# --- read_file ------------------------------------------------------------------------------


def test_a_line_of_any_length_is_read_to_its_end(tmp_path: Path) -> None:
    line = "".join(chr(0x4E00 + number % 20_000) for number in range(25_000)) + "\n"
    (tmp_path / "a.md").write_text(f"1\n{line}3\n")

    page = use(read_file, tmp_path, path="a.md", start_line=2).content
    parts = []
    while True:
        parts.append(page.split("\n", 1)[1])
        start = 1 + len("".join(parts))
        result = use(read_file, tmp_path, path="a.md", start_line=2, start_character=start)
        if result.is_error:
            break
        page = result.content

    assert "".join(parts) == line
    assert "line 2 of a.md has 25001 characters; character 25002 is past its end." in result.content


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("scr/a.py", "scr/a.py does not exist. There is: src."),
        ("src/b.py", "src/b.py does not exist. There is: src/a.py."),
        ("src", "src is a folder. In it: a.py, deep."),
        (".", ". is a folder. In it: .env, .git, out, picture.png, src, wide.txt."),
        ("picture.png", "picture.png is not UTF-8 text (byte 0)."),
    ],
)
def test_what_cannot_be_read_says_what_there_is(workspace: Path, path: str, told: str) -> None:
    assert use(read_file, workspace, path=path) == ToolResult(content=told, is_error=True)


def test_a_file_with_a_mark_is_read_as_text(workspace: Path) -> None:
    assert use(read_file, workspace, path="wide.txt").content.endswith("of 1\nneedle 16\n")
