"""Nobody's text is lost: what changed meanwhile is told, a write that fails changes nothing."""

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from agentcore.tools import (
    Tool,
    ToolContext,
    ToolResult,
    edit_file,
    read_file,
    write_file,
)
from agentcore.tools.files import confined, replacing, system_calls


def use(tool: Tool, context: ToolContext, **fields: JsonValue) -> ToolResult:
    result = tool.function(**tool.validate({"path": "a.md", **fields}), context=context)
    assert isinstance(result, ToolResult)
    return result


def overwrite(context: ToolContext, content: str) -> ToolResult:
    return use(write_file, context, mode="overwrite", content=content)


def append(context: ToolContext, content: str, **more: JsonValue) -> ToolResult:
    return use(write_file, context, mode="append", content=content, **more)


def edit(context: ToolContext, old: str, new: str) -> ToolResult:
    return use(edit_file, context, old=old, new=new)


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    return ToolContext(workspace=tmp_path)


STALE = (
    "a.md changed on disk since this run last read or wrote it, so somebody else's text would be "
    "lost. Nothing was written: read it again, then make the change to what it holds now."
)

# --- what this run has seen -----------------------------------------------------------------


@pytest.mark.parametrize("seen_by", ["read", "write", "edit", "append"])
@pytest.mark.parametrize("change_by", ["overwrite", "edit"])
def test_what_changed_since_it_was_seen_is_not_changed(
    context: ToolContext, tmp_path: Path, seen_by: str, change_by: str
) -> None:
    (tmp_path / "a.md").write_text("1\n2\n")
    if seen_by == "read":
        use(read_file, context)
    elif seen_by == "write":
        overwrite(context, "1\n2\n3\n")
    elif seen_by == "append":
        append(context, "3\n", start_line=3)
    else:
        edit(context, "2", "3")
    (tmp_path / "a.md").write_text("1\nsomebody's\n")

    def change() -> ToolResult:
        return overwrite(context, "mine\n") if change_by == "overwrite" else edit(context, "1", "x")

    assert change() == ToolResult(content=STALE, is_error=True)
    assert (tmp_path / "a.md").read_text() == "1\nsomebody's\n"
    use(read_file, context)
    assert change().changed


def test_a_file_that_this_run_has_not_seen_may_be_overwritten(
    context: ToolContext, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("old\n")

    assert overwrite(context, "new\n").changed
    assert overwrite(context, "newer\n").changed


def test_an_append_does_not_hide_that_somebody_else_wrote(
    context: ToolContext, tmp_path: Path
) -> None:
    overwrite(context, "1\n2\n")
    (tmp_path / "a.md").write_text("one\n2\n")

    assert append(context, "3\n", start_line=3).changed
    assert overwrite(context, "1\n2\n3\n").content == STALE


def test_a_file_that_was_removed_meanwhile_is_made_again(
    context: ToolContext, tmp_path: Path
) -> None:
    overwrite(context, "1\n")
    (tmp_path / "a.md").unlink()

    assert overwrite(context, "2\n").changed


def test_a_file_is_the_same_by_whatever_name(context: ToolContext, tmp_path: Path) -> None:
    (tmp_path / "b.md").symlink_to("a.md")
    overwrite(context, "1\n")
    (tmp_path / "a.md").write_text("somebody's\n")

    assert use(write_file, context, path="b.md", mode="overwrite", content="2\n").is_error
    assert (tmp_path / "a.md").read_text() == "somebody's\n"


# --- somebody who comes between -------------------------------------------------------------


@pytest.fixture(params=["exchange", "rename"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "rename":
        monkeypatch.setattr(system_calls, "exchange", lambda *_: False)
        monkeypatch.setattr(system_calls, "rename_new", lambda *_: False)
    return str(request.param)


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Once, while the next write is on its way to the disk."""
    waiting = [what]
    fsync = os.fsync

    def synchronise(number: int) -> None:
        fsync(number)
        while waiting:
            waiting.pop()()

    monkeypatch.setattr(os, "fsync", synchronise)


@pytest.mark.parametrize("mode", ["overwrite", "edit", "create"])
def test_who_comes_between_is_not_overwritten(
    context: ToolContext, tmp_path: Path, way: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.md"
    if mode != "create":
        file.write_text("1\n")
    meanwhile(monkeypatch, lambda: file.write_text("somebody's\n"))

    if mode == "edit":
        result = edit(context, "1", "2")
    else:
        result = use(write_file, context, mode=mode, content="2\n")

    assert result == ToolResult(content=STALE, is_error=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.md": "somebody's\n"}


def test_an_append_goes_on_after_who_came_between(
    context: ToolContext, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.md"
    file.write_text("1\n")
    meanwhile(monkeypatch, lambda: file.write_text("1\nsomebody's\n"))

    assert append(context, "mine\n").changed
    assert file.read_text() == "1\nsomebody's\nmine\n"


def test_at_the_last_moment_what_was_replaced_is_put_back(
    context: ToolContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last look and the rename: only an exchange can find that out."""
    file = tmp_path / "a.md"
    file.write_text("1\n")
    exchange = system_calls.exchange
    folder = os.open(tmp_path, os.O_RDONLY)
    is_here = file.with_name("b").write_text("") == 0 and exchange(folder, "b", "a.md")
    if not is_here:
        pytest.skip("no exchange here")
    exchange(folder, "b", "a.md")
    os.close(folder)
    (tmp_path / "b").unlink()
    waiting = ["somebody's\n"]

    def late(folder: int, one: str, other: str) -> bool:
        while waiting:
            (tmp_path / "c").write_text(waiting.pop())
            (tmp_path / "c").rename(file)
        return exchange(folder, one, other)

    monkeypatch.setattr(system_calls, "exchange", late)

    assert overwrite(context, "2\n").content == STALE
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.md": "somebody's\n"}


def test_two_agents_of_one_process_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("".join(f"[{number}]\n" for number in range(40)))
    results: list[ToolResult] = []

    def agent(first: int) -> None:
        context = ToolContext(workspace=tmp_path)
        for number in range(first, 40, 4):
            results.append(edit(context, f"[{number}]", f"<{number}>"))
            results.append(append(context, f"+{number}\n"))
            context.notes.clear()

    threads = [threading.Thread(target=agent, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(result.changed for result in results)
    lines = (tmp_path / "a.md").read_text().splitlines()
    assert lines[:40] == [f"<{number}>" for number in range(40)]
    assert sorted(lines[40:]) == sorted(f"+{number}" for number in range(40))


# --- a write that fails ---------------------------------------------------------------------

FAILURES = [
    (errno.ENOSPC, "the disk is full"),
    (errno.EDQUOT, "the disk quota is used up"),
    (errno.EROFS, "is on a file system that is read-only"),
    (errno.EACCES, "this user has no permission"),
    (errno.EIO, "the disk failed"),
]


@pytest.mark.parametrize(("number", "told"), FAILURES)
@pytest.mark.parametrize("call", ["write", "fsync", "open"])
@pytest.mark.parametrize("mode", ["overwrite", "append", "edit", "create"])
def test_a_failure_leaves_all_as_it_was(
    context: ToolContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    call: str,
    number: int,
    told: str,
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    (tmp_path / "a.md").write_text("1\n")
    path = "new/folder/b.md" if mode == "create" else "a.md"
    with monkeypatch.context() as patch:
        if call == "open":
            patch.setattr(confined.Folder, "create", fail)
        else:
            patch.setattr(os, call, fail)
        if mode == "edit":
            result = use(edit_file, context, path=path, old="1", new="2")
        else:
            result = use(write_file, context, path=path, mode=mode, content="2\n")

    assert result.is_error
    assert told in result.content
    assert result.content.endswith("Nothing was written.")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.md": "1\n"}
    assert context.notes == {}


PROGRAM = """
import resource, signal, sys
from pathlib import Path
from agentcore.tools import ToolContext, write_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
context = ToolContext(workspace=Path(sys.argv[1]))
content = "x" * 99_999
print(write_file.function(path="a.md", mode="append", content=content, context=context).content)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_an_append_for_which_there_is_no_room_is_rolled_back(tmp_path: Path) -> None:
    """A real limit of the system, reached in the midst of the write."""
    (tmp_path / "a.md").write_text("1\n" * 100)

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert "the system allows no file of this size here" in ran.stdout
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.md": "1\n" * 100}


@pytest.mark.parametrize("tool", ["overwrite", "append", "edit"])
def test_a_file_that_is_marked_read_only_stays(
    context: ToolContext, tmp_path: Path, tool: str
) -> None:
    (tmp_path / "a.md").write_text("1\n")
    (tmp_path / "a.md").chmod(0o444)

    calls = {
        "overwrite": lambda: overwrite(context, "2\n"),
        "append": lambda: append(context, "2\n"),
        "edit": lambda: edit(context, "1", "2"),
    }

    assert "a.md is read-only (mode 444). Nothing was written" in calls[tool]().content
    assert (tmp_path / "a.md").read_text() == "1\n"


def test_a_file_in_the_place_of_a_folder_is_told(context: ToolContext, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("1\n")

    result = use(write_file, context, path="a.md/b.md", mode="create", content="2\n")

    assert result.content == (
        "a.md/b.md: a part of its path is a file, and no folder. Take another path. "
        "Nothing was written."
    )


def test_owner_and_attributes_are_kept(context: ToolContext, tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("1\n")
    if sys.platform == "linux":
        try:
            os.setxattr(file, "user.note", b"kept")
        except OSError:
            pytest.skip("no attributes here")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.chown(file, 12_345, 12_346)
    file.chmod(0o4750)
    before = file.stat()

    assert overwrite(context, "2\n").changed
    after = file.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )
    if sys.platform == "linux":
        assert os.getxattr(file, "user.note") == b"kept"


@pytest.mark.parametrize("way_", ["link", "rename"])
def test_where_there_is_no_rename_in_one_step_a_new_file_takes_no_name_that_is_taken(
    context: ToolContext, tmp_path: Path, way_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_calls, "rename_new", lambda *_: False)
    if way_ == "rename":

        def no_links(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "no hard links")

        monkeypatch.setattr(os, "link", no_links)

    assert use(write_file, context, mode="create", content="1\n").changed
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]
    assert stat.S_ISREG((tmp_path / "a.md").stat().st_mode)
    with confined.open_folder(tmp_path, ()) as folder, pytest.raises(replacing.Changed):
        replacing.replace_file(folder, "a.md", None, b"2\n")
    assert (tmp_path / "a.md").read_text() == "1\n"


def test_texts_too_large_are_refused(context: ToolContext, tmp_path: Path) -> None:
    result = overwrite(context, "x" * (10 * 1024 * 1024 + 1))

    assert "a.md would have 10,485,761 bytes; a file may have 10,485,760." in result.content
    assert list(tmp_path.iterdir()) == []
