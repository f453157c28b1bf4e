"""No path leads out of the workspace, and nothing that is asked for waits or is written through."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agentcore.errors import ConfigurationError
from agentcore.tools import FileRules, PathRule, Tool, ToolContext, ToolResult, file_tools
from agentcore.tools.files import PATH_RULES, confined, read_below, system_calls
from agentcore.tools.files.paths import FileError, folded, matches, parts_of

TOOLS = {tool.name: tool for tool in file_tools(FileRules())}
FIELDS: dict[str, dict[str, JsonValue]] = {
    "write_file": {"mode": "overwrite", "content": "taken over\n"},
    "edit_file": {"old": "secret", "new": "taken over"},
    "read_file": {},
    "list_files": {},
    "search_files": {"text": "secret"},
}


def use(
    name: str, workspace: Path, tools: dict[str, Tool] = TOOLS, **fields: JsonValue
) -> ToolResult:
    tool = tools[name]
    arguments = tool.validate({**FIELDS[name], **fields})
    result = tool.function(**arguments, context=ToolContext(workspace=workspace))
    assert isinstance(result, ToolResult)
    return result


@pytest.fixture(params=["openat2", "one by one", "by path"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which folders are opened."""
    way = str(request.param)
    if way == "openat2":
        if not system_calls.has_openat2():
            pytest.skip("this kernel does not have it")
    else:
        monkeypatch.setattr(system_calls, "has_openat2", lambda: False)
        monkeypatch.setattr(confined, "HAS_FOLDER_CALLS", way == "one by one")
    return way


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A folder with a secret beside it, links that lead out, and what is no file."""
    inside = tmp_path / "workspace"
    (inside / "docs").mkdir(parents=True)
    (tmp_path / "b.md").write_text("secret\n")
    (inside / "out").symlink_to(tmp_path)
    (inside / "b-link.md").symlink_to(tmp_path / "b.md")
    (inside / "up.md").symlink_to("../b.md")
    (inside / "far").symlink_to("docs/../../b.md")
    (inside / "new.md").symlink_to(tmp_path / "made.md")
    (inside / "loop").symlink_to("loop2")
    (inside / "loop2").symlink_to("loop")
    (inside / "proc").symlink_to("/proc/self/root")
    os.mkfifo(inside / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(inside)  # the path of a socket must be short
        listening.bind("socket")
        os.chdir(here)
        yield inside


OUTSIDE = [
    "../b.md",
    "docs/../../b.md",
    "docs/../docs/a.md",
    "/etc/passwd",
    "//etc/passwd",
    "out/b.md",
    "out",
    "b-link.md",
    "up.md",
    "far",
    "new.md",
    "loop",
    "loop/a.md",
    "proc/etc/passwd",
    "pipe",
    "pipe/a.md",
    "socket",
    "",
    "a\0b",
    "a\ud800",
    "n" * 256,
    "é" * 128,
    "d/" * 2_048 + "a",
    "C:\\b.md",
    "C:/b.md",
    "\\\\server\\share\\b.md",
    "docs\\..\\..\\b.md",
    "~root/../../../b.md",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: ascii(path[:30]))
@pytest.mark.parametrize("name", sorted(TOOLS))
def test_no_path_leads_out(workspace: Path, way: str, name: str, path: str) -> None:
    before = sorted(entry.name for entry in workspace.iterdir())

    result = use(name, workspace, path=path)

    assert result.is_error or "0 lines in 0 files" in result.content
    assert result.content.isprintable() or "\n" in result.content
    assert "secret\n" not in result.content
    assert "root:" not in result.content
    assert (workspace.parent / "b.md").read_text() == "secret\n"
    assert not (workspace.parent / "made.md").exists()
    assert sorted(entry.name for entry in workspace.iterdir()) == before


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs devices")
def test_a_device_is_not_opened(tmp_path: Path, way: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    try:
        os.mknod(tmp_path / "null", 0o020666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("not here")

    for name in ("read_file", "write_file", "edit_file"):
        assert (
            "null is a device, and no file with a text." in use(name, tmp_path, path="null").content
        )


def test_a_link_that_stays_inside_is_followed_and_stays(tmp_path: Path, way: str) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/real.md").write_text("secret\n")
    (tmp_path / "a/b/rel").symlink_to("../real.md")
    (tmp_path / "abs").symlink_to(tmp_path / "a/b/rel")
    (tmp_path / "folder").symlink_to("a/b")

    assert "secret" in use("read_file", tmp_path, path="folder/rel").content
    assert use("edit_file", tmp_path, path="abs").changed
    assert (tmp_path / "a/real.md").read_text() == "taken over\n"
    assert use("write_file", tmp_path, path="folder/new/c.md").changed
    assert (tmp_path / "a/b/new/c.md").read_text() == "taken over\n"
    assert (tmp_path / "abs").is_symlink()
    assert (tmp_path / "a/b/rel").is_symlink()


def test_a_link_to_nothing_inside_makes_what_it_names(tmp_path: Path, way: str) -> None:
    (tmp_path / "link.md").symlink_to("made.md")

    assert use("write_file", tmp_path, path="link.md").changed
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "made.md").read_text() == "taken over\n"


def test_a_hard_link_is_broken_and_never_written_through(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    outside = tmp_path / "b.md"
    outside.write_text("secret\n")
    (workspace / "a.md").hardlink_to(outside)

    result = use("edit_file", workspace, path="a.md")

    assert "Other names of the file (hard links) keep the text of before." in result.content
    assert outside.read_text() == "secret\n"
    assert (workspace / "a.md").read_text() == "taken over\n"


@pytest.mark.parametrize("way_name", ["openat2", "one by one"])
@pytest.mark.parametrize("name", ["write_file", "read_file", "edit_file"])
def test_a_folder_that_is_exchanged_for_a_link_after_the_look_leads_nowhere(
    tmp_path: Path, name: str, way_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race, at its worst moment: links were followed, and the folder is not open yet."""
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    (workspace / "docs").mkdir(parents=True)
    outside.mkdir()
    for folder in (workspace / "docs", outside):
        (folder / "a.md").write_text("secret\n")

    def resolved(root: Path, parts: tuple[str, ...]) -> tuple[str, ...]:
        found = confined.resolved(root, parts)
        (workspace / "docs").rename(workspace / "moved")
        (workspace / "docs").symlink_to(outside)
        return found

    monkeypatch.setattr("agentcore.tools.files.access.resolved", resolved)
    if way_name == "one by one":
        monkeypatch.setattr(system_calls, "has_openat2", lambda: False)
    result = use(name, workspace, path="docs/a.md")

    assert result.is_error
    assert "is a link by now" in result.content or "a part of its path is a file" in result.content
    assert (outside / "a.md").read_text() == "secret\n"
    assert [path.name for path in outside.iterdir()] == ["a.md"]


def test_a_race_for_a_folder_is_never_won(tmp_path: Path, way: str) -> None:
    if way == "by path":
        pytest.skip("there it can be won, which docs/security.md says")
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    (workspace / "docs").mkdir(parents=True)
    outside.mkdir()
    (outside / "a.md").write_text("secret\n")
    (workspace / "link").symlink_to(outside)
    folder = os.open(workspace, os.O_RDONLY)
    if not system_calls.exchange(folder, "docs", "link"):
        pytest.skip("the race needs an exchange in one step")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            system_calls.exchange(folder, "docs", "link")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        read = [use("read_file", workspace, path="docs/a.md").content for _ in range(300)]
        for _ in range(100):
            use("write_file", workspace, path="docs/a.md")
            use("write_file", workspace, path="docs/deep/a.md")
            use("list_files", workspace, path="docs")
    finally:
        over.set()
        swapping.join()
        os.close(folder)

    assert not any("secret" in content for content in read)
    assert [path.name for path in outside.iterdir()] == ["a.md"]
    assert (outside / "a.md").read_text() == "secret\n"


NAMES = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a",
        "out",
        "in",
        "docs",
        "b.md",
        "/",
        "\\",
        "\0",
        "~",
        "\ud800",
        "C:",
        "%2e%2e",
    ]
)
PATHS = st.lists(NAMES, min_size=1, max_size=7).map("/".join) | st.text(max_size=20)


@settings(deadline=None)
@given(path=PATHS, name=st.sampled_from(sorted(TOOLS)))
@example(path="in/../../b.md", name="write_file")
@example(path="docs/out/b.md", name="read_file")
def test_whatever_the_path_nothing_outside_is_read_or_written(path: str, name: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        workspace = root / "w"
        (workspace / "docs").mkdir(parents=True)
        (root / "b.md").write_text("secret\n")
        (workspace / "out").symlink_to("..")
        (workspace / "docs/out").symlink_to(root)
        (workspace / "in").symlink_to("docs")
        result = use(name, workspace, path=path)

        assert "secret\n" not in result.content
        assert sorted(entry.name for entry in root.iterdir()) == ["b.md", "w"]
        assert (root / "b.md").read_text() == "secret\n"


# --- what the rules keep --------------------------------------------------------------------

KEPT = [
    (".git/hooks/pre-commit", "edit", "git runs programs"),
    (".GIT/Hooks/pre-commit", "edit", "git runs programs"),
    ("sub/.git/config", "edit read", "secrets"),
    (".git", "edit", "git runs programs"),
    (".g\u200cit/hooks/x", "edit", "git runs programs"),
    ("GIT~1/hooks/x", "edit", "git runs programs"),
    (".ssh/id_rsa", "edit read", "the user's own"),
    (".ssh/.env.example", "edit read", "the user's own"),
    (".env", "edit read", "secrets"),
    (".ENV.local", "edit read", "secrets"),
    ("sub/.envrc", "edit read", "secrets"),
    (".env.example", "edit", "secrets"),
    (".agentcore/drafts/a.json", "edit", "of its own"),
    ("hooks-link/pre-commit", "edit", "git runs programs"),
    ("env-link", "edit read", "secrets"),
    (".zshrc", "edit", "a shell runs it"),
]


@pytest.mark.parametrize(("path", "kept", "reason"), KEPT, ids=[ascii(row[0]) for row in KEPT])
def test_what_is_kept_from_the_tools(tmp_path: Path, path: str, kept: str, reason: str) -> None:
    (tmp_path / ".git/hooks").mkdir(parents=True)
    (tmp_path / "hooks-link").symlink_to(".git/hooks")
    (tmp_path / "env-link").symlink_to(".env")
    for name in ("write_file", "edit_file", "read_file"):
        result = use(name, tmp_path, path=path)
        is_kept = name != "read_file" or "read" in kept
        assert result.is_error
        assert ("is not touched: " in result.content) is is_kept
        assert (reason in result.content) is is_kept
    assert not (tmp_path / ".env").exists()
    assert list((tmp_path / ".git/hooks").iterdir()) == []


@pytest.mark.parametrize("path", [".github/ci.yml", ".gitignore", "env.md", "agit/hooks", "a.env"])
def test_what_only_looks_like_it_is_not_kept(tmp_path: Path, path: str) -> None:
    assert use("write_file", tmp_path, path=path).changed


def test_results_of_agentcore_can_be_read(tmp_path: Path) -> None:
    (tmp_path / ".agentcore/results").mkdir(parents=True)
    (tmp_path / ".agentcore/results/c1.txt").write_text("1\n")

    assert "1\n" in use("read_file", tmp_path, path=".agentcore/results/c1.txt").content


def test_rules_of_your_own_come_first(tmp_path: Path) -> None:
    mine = PathRule(pattern="/plans", may_read=True, may_write=False, reason="plans are settled")
    also = PathRule(pattern=".env.test", may_read=True, may_write=True, reason="")
    rules = FileRules(paths=(mine, also, *PATH_RULES), max_write_bytes=20)
    tools = {tool.name: tool for tool in file_tools(rules)}

    refused = use("write_file", tmp_path, tools, path="plans/a.md")
    large = use("write_file", tmp_path, tools, path="a.md", content="x" * 21)

    assert refused.content == "plans/a.md is not touched: plans are settled."
    assert large.content == (
        "a.md would have 21 bytes; a file may have 20. Nothing was written; split the text "
        "over several files."
    )
    assert use("write_file", tmp_path, tools, path="sub/plans/a.md").changed
    assert use("write_file", tmp_path, tools, path=".env.test").changed
    assert not (tmp_path / "a.md").exists()


def test_rules_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="give a whole number of bytes from 1 on"):
        FileRules(max_write_bytes=0)
    with pytest.raises(ConfigurationError, match="name a file or folder"):
        FileRules(paths=(PathRule(pattern="/", may_read=True, may_write=True, reason=""),))


def test_every_rule_says_why() -> None:
    assert all(row.reason for row in PATH_RULES)


# --- pure -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["con", "NUL.txt", "com1", "a.", "a ", "a:b", "Lpt9.md"])
def test_on_windows_some_names_are_none(name: str) -> None:
    assert parts_of(name, Path("/w"), is_windows=False) == (name,)
    with pytest.raises(FileError, match="no name for a file on Windows"):
        parts_of(name, Path("/w"), is_windows=True)


@pytest.mark.parametrize("path", ["/w", "/w/", ".", "./", "/w/.", "./."])
def test_the_workspace_itself_has_no_parts(path: str) -> None:
    assert parts_of(path, Path("/w")) == ()


def test_a_folder_that_only_begins_like_the_workspace_is_outside() -> None:
    with pytest.raises(FileError, match="lies outside"):
        parts_of("/wide/a", Path("/w"))


@pytest.mark.parametrize(
    ("path", "pattern", "is_match"),
    [
        ("a.py", "*.py", True),
        ("a/b.py", "*.py", False),
        ("a/b.py", "**/*.py", True),
        ("b.py", "**/*.py", True),
        ("a/b/c/d.py", "a/**/d.py", True),
        ("a/d.py", "a/**/d.py", True),
        ("a/d.pyc", "a/**/d.py", False),
        ("a/b", "a/**", True),
        ("b/a", "a/**", False),
        ("a", "**", True),
    ],
)
def test_patterns(path: str, pattern: str, is_match: bool) -> None:
    assert matches(path.split("/"), pattern.split("/")) is is_match


def test_a_pattern_of_stars_takes_no_time() -> None:
    assert not matches(["a"] * 500, ["**", "*"] * 200 + ["b"])


def test_names_fold_to_one_spelling() -> None:
    assert {folded(name) for name in (".git", ".GIT", ".g\u200dit", ".git. ", ".\uff47it")} == {
        ".git"
    }
    assert folded("...") == "..."


def test_what_cannot_be_read_below_is_nothing(workspace: Path) -> None:
    (workspace / "a.md").write_text("1\n")

    assert read_below(workspace, "a.md") == b"1\n"
    for path in [*OUTSIDE, ".", "none.md", "docs"]:
        assert read_below(workspace, path) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="openat2 is a call of Linux")
def test_openat2_follows_no_link_and_does_not_go_up(workspace: Path) -> None:
    if not system_calls.has_openat2():
        pytest.skip("this kernel does not have it")
    folder = os.open(workspace, os.O_RDONLY)
    try:
        for path in ("..", "docs/../..", "out", "b-link.md", "/etc", "proc/etc"):
            with pytest.raises(OSError, match=path):
                system_calls.open_beneath(folder, path, os.O_RDONLY)
    finally:
        os.close(folder)
