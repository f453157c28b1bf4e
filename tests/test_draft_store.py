import json
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore.accumulator import Accumulator
from agentcore.draft_store import DraftError, DraftStore, LiveDraft
from agentcore.drafts import draft_text
from agentcore.events import MessageRestart, StreamEvent, TextDelta, ToolCallDelta
from agentcore.ledger import Draft
from agentcore.live import SAVE_CHARACTERS, SAVE_SECONDS
from agentcore.messages import JsonObject
from agentcore.testing import run_in_virtual_time
from agentcore.testing.strategies import texts

DRAFTS = {"write_file": "content"}
Block: TypeAlias = tuple[float, StreamEvent]
"""When it comes, and what."""
HOUR = 3_600.0


@pytest.fixture
def store(tmp_path: Path) -> DraftStore:
    return DraftStore(tmp_path)


def folder_of(workspace: Path) -> Path:
    return workspace / ".agentcore" / "drafts"


def park(store: DraftStore, text: str = "a\nb\n", fields: JsonObject | None = None) -> Draft:
    fields = {"path": "plan.md"} if fields is None else fields
    return store.park(tool="write_file", argument="content", fields=fields, text=text)


def write(workspace: Path, name: str, content: str | bytes) -> Path:
    """A file in the folder of drafts."""
    path = folder_of(workspace) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- parked drafts --------------------------------------------------------------------------


def test_a_draft_from_its_parking_to_its_end(tmp_path: Path) -> None:
    store = DraftStore(tmp_path, clock=lambda: 1_000.0)
    assert store.all() == ()
    assert list(tmp_path.iterdir()) == []  # nothing is made before it is needed

    draft = park(store, "é\n", {"path": "ü.md", "mode": "create"})

    assert draft == Draft(
        id=draft.id,
        tool="write_file",
        argument="content",
        fields={"path": "ü.md", "mode": "create"},
        text="é\n",
        created_at=1_000.0,
    )
    assert store.read(draft.id) == draft
    longer = store.extend(draft.id, "😀\n")
    assert longer == replace(draft, text="é\n😀\n") == store.read(draft.id)
    assert store.all() == (longer,)

    store.discard(draft.id)
    assert store.all() == ()
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_drafts_are_for_their_owner_alone(store: DraftStore, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        draft = park(store)
        with living(store) as live:
            feed(live, begun("a\n" * 10), at=0.0)
            feed(live, TextDelta(""), at=SAVE_SECONDS)
            modes = {
                path.suffix: stat.S_IMODE(path.stat().st_mode)
                for path in (folder_of(tmp_path).parent, *folder_of(tmp_path).rglob("*"))
            }
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder_of(tmp_path).stat().st_mode) == 0o700
    assert modes == {"": 0o700, ".json": 0o600, ".live": 0o600}
    assert draft.id.isalnum()


def test_the_oldest_comes_first(tmp_path: Path) -> None:
    clock = iter([3.0, 1.0, 2.0])
    store = DraftStore(tmp_path, clock=lambda: next(clock))
    third, first, second = park(store), park(store), park(store)
    assert store.all() == (first, second, third)
    assert len({first.id, second.id, third.id}) == 3


def test_half_of_a_character_becomes_what_it_becomes_everywhere(store: DraftStore) -> None:
    draft = park(store, "\ud83d\n", {"path": "\ude00"})
    assert (draft.text, draft.fields) == ("\ufffd\n", {"path": "\ufffd"})
    assert store.read(draft.id) == draft


@pytest.mark.parametrize(
    "draft_id", ["nope", "", "../secret", "/etc/passwd", "a/b", "A", "é", "a\n", "x" * 5_000]
)
def test_an_unknown_id_is_told_with_those_that_there_are(store: DraftStore, draft_id: str) -> None:
    told = f"there is no draft {draft_id!r} (there are none)"
    actions: list[Callable[[], object]] = [
        lambda: store.read(draft_id),
        lambda: store.extend(draft_id, "x"),
        lambda: store.discard(draft_id),
    ]
    for act in actions:
        with pytest.raises(DraftError) as caught:
            act()
        assert str(caught.value) == told
    known = park(store)
    with pytest.raises(DraftError) as caught:
        store.read(draft_id)
    assert str(caught.value) == f"there is no draft {draft_id!r} (there are: {known.id})"


PARKED = {
    "format": "agentcore-draft",
    "version": 1,
    "tool": "write_file",
    "argument": "content",
    "fields": {},
    "text": "a\n",
    "created_at": 1.0,
}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "cannot be read: EOF while parsing"),
        ("[]", "it does not say that it is an agentcore-draft"),
        ("{}", "it does not say that it is an agentcore-draft"),
        (json.dumps(PARKED)[:-9], "cannot be read: EOF while parsing"),
        (json.dumps(PARKED | {"text": 1}), "text Input should be a valid string"),
        (json.dumps(PARKED | {"version": 2, "text": 1}), "it is of version 2, and this agentcore"),
        (b"\xff\xfe", "cannot be read: "),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_left_alone(
    store: DraftStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    content: str | bytes,
    says: str,
) -> None:
    good = park(store)
    path = write(tmp_path, "broken.json", content)
    before = path.read_bytes()

    with caplog.at_level(logging.WARNING, "agentcore"):
        assert store.all() == (good,)
    assert says in caplog.text
    assert "broken" in caplog.text
    with pytest.raises(DraftError, match="broken") as caught:
        store.extend("broken", "x")
    assert says in str(caught.value)
    assert path.read_bytes() == before

    store.discard("broken")  # whoever names it may have it removed
    assert not path.exists()


def test_other_files_are_nobodys_business(store: DraftStore, tmp_path: Path) -> None:
    others = [write(tmp_path, name, "x") for name in ("README.json", ".hidden.json", "a.txt")]
    (folder_of(tmp_path) / "folder.json").mkdir()
    assert store.all() == store.rescue() == ()
    assert all(path.exists() for path in others)


def test_what_cannot_be_written_raises_and_leaves_nothing(
    store: DraftStore, tmp_path: Path
) -> None:
    with full_disk(100), pytest.raises(OSError, match=r"No space left|too large"):
        park(store, "x" * 1_000)
    assert list(tmp_path.iterdir()) == []
    draft = park(store)
    with full_disk(100), pytest.raises(OSError, match=r"No space left|too large"):
        store.extend(draft.id, "x" * 1_000)
    assert store.all() == (draft,)
    assert [path.name for path in folder_of(tmp_path).iterdir()] == [f"{draft.id}.json"]


def test_no_workspace_no_draft(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        park(DraftStore(tmp_path / "gone"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_leads_no_draft_out_of_the_workspace(tmp_path: Path) -> None:
    workspace, elsewhere = tmp_path / "workspace", tmp_path / "elsewhere"
    workspace.mkdir()
    elsewhere.mkdir()
    (workspace / ".agentcore").symlink_to(elsewhere)
    with pytest.raises(OSError, match="a link, which may lead out of the workspace"):
        park(DraftStore(workspace))
    assert list(elsewhere.iterdir()) == []


# --- live files -----------------------------------------------------------------------------


@dataclass
class Living:
    """An attempt under way: what has come of it, and its writer."""

    draft: LiveDraft
    accumulator: Accumulator


@contextmanager
def living(store: DraftStore, *, cumulative: bool = False) -> Iterator[Living]:
    draft = store.live(DRAFTS)
    try:
        yield Living(draft, Accumulator(cumulative_arguments=cumulative))
    finally:
        draft.close()
        draft.close()


def feed(live: Living, *events: StreamEvent, at: float) -> None:
    """One network block."""
    for event in events:
        live.accumulator.feed(event)
    live.draft.offer(live.accumulator, at)


def begun(content: str, *, name: str = "write_file", index: int = 0) -> ToolCallDelta:
    arguments = json.dumps({"path": "plan.md", "content": content}).removesuffix('"}')
    return ToolCallDelta(index=index, id=f"call{index}", name=name, arguments=arguments)


def more(text: str, *, index: int = 0) -> ToolCallDelta:
    return ToolCallDelta(index=index, arguments=json.dumps(text)[1:-1])


def live_files(workspace: Path) -> list[Path]:
    return list(folder_of(workspace).glob("*.live"))


def rescued_after(workspace: Path, *blocks: Block) -> list[str]:
    """The texts that are found when a process dies that took these blocks in, each at its time."""
    store = DraftStore(workspace)
    with living(store) as live:
        for at, event in blocks:
            feed(live, event, at=at)
        live.draft.leave()
    return [draft.text for draft in store.rescue()]


def test_what_a_dead_process_had_received_becomes_a_draft(
    store: DraftStore, tmp_path: Path
) -> None:
    with living(store) as live:
        feed(live, begun("é\n😀\n"), at=0.0)
        feed(live, more("b\nhalf a li"), at=1.0)
        live.draft.leave()

    (draft,) = store.rescue()

    assert draft == Draft(
        id=draft.id,
        tool="write_file",
        argument="content",
        fields={"path": "plan.md"},
        text="é\n😀\nb\n",
        created_at=draft.created_at,
    )
    assert draft.created_at > HOUR
    assert store.all() == (draft,)
    assert live_files(tmp_path) == []
    assert store.rescue() == ()


def test_a_live_file_is_left_alone_while_its_process_lives(
    store: DraftStore, tmp_path: Path
) -> None:
    with living(store) as live:
        feed(live, begun("a\n"), at=0.0)
        feed(live, more("b\n"), at=1.0)
        assert store.rescue() == DraftStore(tmp_path).rescue() == ()
        assert len(live_files(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_short_answer_touches_no_disk(store: DraftStore, tmp_path: Path) -> None:
    with living(store) as live:
        feed(live, begun("a\n"), at=100.0)
        feed(live, more("b\n" * 100), at=100.0 + SAVE_SECONDS - 0.01)
        assert list(tmp_path.iterdir()) == []


def test_what_waited_long_enough_is_written_with_what_came_since(tmp_path: Path) -> None:
    first = begun("a\n")
    kept = rescued_after(tmp_path, (0.0, first), (0.7, more("b\n")), (0.75, more("c\n")))
    assert kept == ["a\nb\nc\n"]
    kept = rescued_after(
        tmp_path, (0.0, first), (0.75, more("b\n")), (9.0, more("c\n")), (9.7, more("d\n"))
    )
    assert kept == ["a\nb\nc\n"]


def test_much_is_written_at_once(tmp_path: Path) -> None:
    text = "x" * 99 + "\n"
    blocks = [(0.0, more(text)) for _ in range(SAVE_CHARACTERS // 100)]
    (kept,) = rescued_after(tmp_path, (0.0, begun("")), *blocks)
    assert len(text) * len(blocks) - len(kept) < 200


def test_a_write_has_only_what_is_new(store: DraftStore, tmp_path: Path) -> None:
    with living(store) as live:
        feed(live, begun("a\n" * 1_000), at=0.0)
        feed(live, more("b\n"), at=1.0)
        (path,) = live_files(tmp_path)
        before = path.stat().st_size
        feed(live, more("c\n"), at=2.0)
        feed(live, more("d\n"), at=3.0)
        assert path.stat().st_size - before < 200


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (begun("a\n" * 5_000, name="read_file"), False),
        (TextDelta("A text.\n" * 255), False),
        (TextDelta("A text.\n" * 256), True),
        (TextDelta("漢" * 683), True),
        (begun("a\n"), True),
    ],
)
def test_only_what_may_become_a_draft_is_written(
    store: DraftStore, tmp_path: Path, event: StreamEvent, wanted: bool
) -> None:
    with living(store) as live:
        feed(live, event, at=0.0)
        feed(live, TextDelta(""), at=1.0)
        feed(live, TextDelta(""), at=2.0)
        assert len(live_files(tmp_path)) == wanted


def test_a_text_answer_is_found_up_to_its_last_whole_word(
    store: DraftStore, tmp_path: Path
) -> None:
    with living(store) as live:
        feed(live, TextDelta("One long line, " * 100), at=0.0)
        feed(live, TextDelta("and 漢 " * 200), at=1.0)
        feed(live, TextDelta("and on"), at=2.0)
        feed(live, TextDelta(""), at=3.0)
        live.draft.leave()
    (draft,) = store.rescue()
    assert (draft.tool, draft.argument, draft.fields) == ("", "", {})
    assert draft.text == "One long line, " * 100 + "and 漢 " * 200 + "and "


def test_text_before_a_call_is_no_answer(tmp_path: Path) -> None:
    blocks: list[Block] = [(0.0, TextDelta("A text.\n" * 500)), (1.0, begun("", name="read_file"))]
    assert rescued_after(tmp_path, *blocks, (2.0, more("x")), (3.0, more("x"))) == []
    assert list(tmp_path.iterdir()) == []


def test_calls_are_kept_apart_and_none_of_them_was_run(store: DraftStore, tmp_path: Path) -> None:
    """Also a call that the model had closed before the next one began is found."""
    with living(store) as live:
        closed = begun("a\nlost, for its line may not have ended")
        feed(live, replace(closed, arguments=closed.arguments + '"}'), at=0.0)
        feed(live, begun("b\n", index=1), begun("x\n", index=2, name="read_file"), at=0.5)
        feed(live, more("c\n", index=3), at=1.0)  # its name is still to come
        feed(live, more("d\n", index=1), at=2.0)
        feed(live, more("", index=1), at=3.0)
        live.draft.leave()
    first, second = store.rescue()
    assert (first.text, second.text) == ("a\n", "b\nd\n")
    assert second.id == f"{first.id}2"


def test_id_and_name_may_come_late(tmp_path: Path) -> None:
    whole = begun("a\n")
    kept = rescued_after(
        tmp_path,
        (0.0, TextDelta("A text.\n" * 500)),
        (1.0, ToolCallDelta(index=0, arguments=whole.arguments)),
        (2.0, ToolCallDelta(index=0, id="late", name="write_file")),
        (3.0, more("b\n")),
        (4.0, more("")),
    )
    assert kept == ["a\nb\n"]


def test_a_message_that_begins_anew_is_not_doubled(tmp_path: Path) -> None:
    text = TextDelta("A text.\n" * 500)
    first: list[Block] = [(0.0, text), (1.0, begun("a\nb\n")), (2.0, more("c\n"))]
    again: list[Block] = [(3.0, MessageRestart()), (3.0, begun("a\n")), (4.0, more("B\n"))]
    assert rescued_after(tmp_path, *first, *again) == ["a\nB\n"]
    # So it is when nothing was written yet.
    small: list[Block] = [(0.0, TextDelta("A text.\n")), (1.0, TextDelta("x"))]
    assert rescued_after(tmp_path, *small, *again) == ["a\nB\n"]


def test_arguments_that_are_repeated_with_every_delta(store: DraftStore, tmp_path: Path) -> None:
    whole = begun("a\n" * 2_000).arguments
    with living(store, cumulative=True) as live:
        for at, end in enumerate(range(100, len(whole), 100)):
            sent = ToolCallDelta(index=0, id="x", name="write_file", arguments=whole[:end])
            feed(live, sent, at=float(at))
        assert sum(path.stat().st_size for path in live_files(tmp_path)) < 3 * len(whole)
        revised = ToolCallDelta(index=0, arguments=begun("Z\nY\n").arguments)
        feed(live, revised, at=100.0)
        feed(live, revised, at=101.0)
        live.draft.leave()
    assert [draft.text for draft in store.rescue()] == ["Z\nY\n"]


def test_an_empty_object_before_the_real_one(tmp_path: Path) -> None:
    opening = ToolCallDelta(index=0, id="a", name="write_file", arguments="{}")
    blocks: list[Block] = [
        (0.0, opening),
        (1.0, TextDelta("")),
        (2.0, begun("a\n")),
        (3.0, more("b\n")),
    ]
    assert rescued_after(tmp_path, *blocks) == ["a\nb\n"]


def test_a_full_disk_costs_the_rest_and_nothing_else(
    store: DraftStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with living(store) as live:
        feed(live, begun("a\n"), at=0.0)
        feed(live, more("b\n"), at=1.0)
        with full_disk(500):
            for at in range(2, 20):
                feed(live, more("c" * 200 + "\n"), at=float(at))
        feed(live, more("d\n"), at=30.0)
        feed(live, more("e\n"), at=40.0)
        assert caplog.text.count("lost if this process is killed") == 1
        live.draft.leave()
    (draft,) = store.rescue()
    assert draft.text == "a\nb\n"


def test_a_disk_that_takes_nothing_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".agentcore").write_text("a file")
    with living(DraftStore(tmp_path)) as live:
        for at in range(9):
            feed(live, more("x" * SAVE_CHARACTERS) if at else begun(""), at=float(at))
    assert caplog.text.count("lost if this process is killed") == 1
    assert (tmp_path / ".agentcore").read_text() == "a file"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_silence_after_a_burst_does_not_keep_it_from_the_disk(
    tmp_path: Path, backend: Literal["asyncio", "trio"]
) -> None:
    store = DraftStore(tmp_path)

    async def main() -> None:
        with living(store) as live:
            await anyio.sleep(80 * SAVE_SECONDS + 0.01)  # the model thinks
            feed(live, begun("a\n"), at=anyio.current_time())
            async with live.draft.on_time(live.accumulator):
                await anyio.sleep(0.3)
                feed(live, more("b\n"), at=anyio.current_time())
                await anyio.sleep(SAVE_SECONDS - 0.32)
                assert live_files(tmp_path) == []
                await anyio.sleep(0.03)
                assert len(live_files(tmp_path)) == 1
                feed(live, more("c\n"), at=anyio.current_time())
            # At the end of the answer the rest goes where the beginning is.
            live.draft.leave()

    run_in_virtual_time(main, backend=backend)
    assert [draft.text for draft in store.rescue()] == ["a\nb\nc\n"]


async def test_the_task_beside_hides_no_error_and_stops_no_cancellation(store: DraftStore) -> None:
    with living(store) as live:
        with pytest.raises(LookupError, match="as it is"):
            async with live.draft.on_time(live.accumulator):
                raise LookupError("as it is")
        with pytest.raises(KeyboardInterrupt):
            async with live.draft.on_time(live.accumulator):
                raise KeyboardInterrupt
        with anyio.move_on_after(0) as scope:
            async with live.draft.on_time(live.accumulator):
                await anyio.sleep_forever()
        assert scope.cancelled_caught


# --- what is found --------------------------------------------------------------------------

HEADER = '{"format": "agentcore-live-draft", "version": 1, "draft_arguments": {"w": "text"}}\n'
CALL = '{"call": 0, "id": "", "name": "w", "arguments": "{\\"text\\": \\"a\\\\n", "anew": false}\n'


@pytest.mark.parametrize("tail", ["", CALL[:40], "\0\0\0\n" + CALL, "{}\n" + CALL, "[1]\n"])
def test_what_follows_a_line_that_cannot_be_read_is_lost(
    store: DraftStore, tmp_path: Path, tail: str
) -> None:
    write(tmp_path, "dead.live", HEADER + CALL + tail)
    (draft,) = store.rescue()
    assert (draft.id, draft.tool, draft.argument, draft.text) == ("dead", "w", "text", "a\n")


@pytest.mark.parametrize("content", [HEADER[:-9], HEADER, HEADER + CALL.replace("a\\\\n", "a")])
def test_what_holds_nothing_is_removed(store: DraftStore, tmp_path: Path, content: str) -> None:
    write(tmp_path, "dead.live", content)
    assert store.rescue() == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("{}\n", "it does not say that it is an agentcore-live-draft"),
        ("\0\n", "expected value"),
        (HEADER.replace("1", "2", 1), "it is of version 2"),
        (HEADER.replace('{"w": "text"}', "[]"), "Input should be a valid dictionary"),
    ],
)
def test_a_live_file_that_is_not_understood_is_named_and_left_alone(
    store: DraftStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, header: str, says: str
) -> None:
    path = write(tmp_path, "dead.live", header + CALL)
    good = write(tmp_path, "good.live", HEADER + CALL)
    assert [draft.text for draft in store.rescue()] == ["a\n"]
    assert says in caplog.text
    assert str(path) in caplog.text
    assert path.read_text() == header + CALL
    assert not good.exists()


def test_a_rescue_that_is_killed_and_done_again_makes_nothing_twice(
    store: DraftStore, tmp_path: Path
) -> None:
    found = []
    for _ in range(2):
        write(tmp_path, "dead.live", HEADER + CALL + CALL.replace("0", "1", 1))
        found.append([(draft.id, draft.text) for draft in store.rescue()])
    assert found == [[("dead", "a\n"), ("dead2", "a\n")]] * 2
    assert len(store.all()) == 2


def test_a_rescue_with_no_room_leaves_the_file(
    store: DraftStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, "dead.live", HEADER + CALL)
    with full_disk(10):
        assert store.rescue() == ()
    assert str(path) in caplog.text
    assert [draft.text for draft in store.rescue()] == ["a\n"]


def test_a_file_of_a_process_that_is_about_to_lock_it_is_left_alone(tmp_path: Path) -> None:
    born = write(tmp_path, "born.live", "")
    half = write(tmp_path, "0123.tmp", "x")
    now = born.stat().st_mtime

    DraftStore(tmp_path, clock=lambda: now + 10).rescue()
    assert born.exists()
    assert half.exists()

    DraftStore(tmp_path, clock=lambda: now + HOUR + 10).rescue()
    assert list(tmp_path.iterdir()) == []


def test_runs_that_begin_and_end_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """A live file that was removed just after its opening was once taken for a dead process's."""

    def work(_: int) -> tuple[Draft, ...]:
        store = DraftStore(tmp_path)
        with living(store) as live:
            feed(live, begun("a\n"), at=0.0)
            feed(live, more("b\n"), at=1.0)
            parked = park(store)
            rescued = store.rescue()
            store.discard(parked.id)
        return rescued

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(work, range(200))) == {()}
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_locks_only_an_old_file_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def no_locks(file: int, operation: int) -> None:
        raise OSError("this file system has no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    now = write(tmp_path, "dead.live", HEADER + CALL).stat().st_mtime
    assert DraftStore(tmp_path, clock=lambda: now + 10).rescue() == ()
    (draft,) = DraftStore(tmp_path, clock=lambda: now + HOUR + 10).rescue()
    assert draft.text == "a\n"


# --- properties -----------------------------------------------------------------------------


@given(texts(), st.dictionaries(texts(), texts(), max_size=3), texts())
def test_any_text_comes_back_as_it_was(text: str, fields: JsonObject, later: str) -> None:
    with TemporaryDirectory() as workspace:
        store = DraftStore(Path(workspace))
        draft = store.park(tool="t", argument="a", fields=fields, text=text)
        assert (draft.text, draft.fields) == (text, fields)
        assert store.extend(draft.id, later).text == text + later
        assert store.all() == (store.read(draft.id),)


@st.composite
def blocks(draw: st.DrawFn) -> list[Block]:
    """Calls that come interleaved, in pieces, with late names and fresh starts, each at a time."""
    lines = st.lists(texts().map(lambda text: text.replace("\n", "") + "\n"), max_size=60)
    made: list[Block] = []
    now = 0.0
    for number in range(draw(st.integers(1, 2))):
        if number:
            made.append((now, MessageRestart()))
        pieces: list[list[ToolCallDelta]] = []
        for index in range(draw(st.integers(1, 3))):
            content = "".join(draw(lines))
            fields = {"path": draw(texts()), "content": content}
            arguments = json.dumps(fields, ensure_ascii=draw(st.booleans()))
            size = draw(st.integers(1, 400))
            call = [
                ToolCallDelta(index=index, arguments=arguments[at : at + size])
                for at in range(0, len(arguments), size)
            ]
            named_at = draw(st.integers(0, min(3, len(call) - 1)))
            name = draw(st.sampled_from(["write_file", "read_file"]))
            call[named_at] = replace(call[named_at], id=f"{number}-{index}", name=name)
            pieces.append(call)
        while any(pieces):
            call = draw(st.sampled_from([call for call in pieces if call]))
            now += draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
            made.append((now, call.pop(0)))
    return made


@given(blocks(), st.data())
def test_what_is_found_is_what_had_come_at_the_last_write(
    all_blocks: list[Block], data: st.DataObject
) -> None:
    killed_at = data.draw(st.integers(0, len(all_blocks)))
    with TemporaryDirectory() as folder:
        workspace = Path(folder)
        store = DraftStore(workspace)
        ids = (f"new{number}" for number in count())
        written: list[str] = []
        unwritten_since: float | None = None
        size = 0
        with living(store) as live:
            for now, event in all_blocks[:killed_at]:
                feed(live, event, at=now)
                if unwritten_since is None:
                    unwritten_since = now
                files = live_files(workspace)
                if files and files[0].stat().st_size != size:
                    size, unwritten_since = files[0].stat().st_size, None
                    calls = live.accumulator.partial(lambda: next(ids)).calls
                    # The oracle: the rule that a cut in a living process is kept by.
                    written = [
                        text
                        for call in calls
                        if call.name in DRAFTS and (text := draft_text(call.arguments, "content"))
                    ]
                elif files:
                    assert now - unwritten_since < SAVE_SECONDS
            live.draft.leave()
        assert [draft.text for draft in store.rescue()] == written


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may grow beyond `room` bytes: a write takes what fits, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
