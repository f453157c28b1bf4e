"""`SqliteStore` is a journal store, and says what is wrong when the disk, or somebody, fails it."""

import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
import pytest
from typing_extensions import override

from agentcore import Agent, Local, RunResult, tool
from agentcore.errors import JournalError, NotJournalled, RunBusy, UnknownRun
from agentcore.journal import JournalStore, NewRun, Noted, SqliteStore
from agentcore.journal.owners import Owner, is_alive
from agentcore.journal.sqlite import SCHEMA_VERSION
from agentcore.messages import UserMessage
from agentcore.testing import Answer, Call, GatewayTransport, status, stream
from agentcore.testing.journal_conformance import JournalConformance
from tests.journal.story import RUN_ID, Story, check_world, lines_of_text
from tests.journal.test_prefix import run_at

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
LARGE = "a line of a large text, nothing special\n" * 2_500


class TestSqliteStore(JournalConformance):
    @override
    def store(self, tmp_path: Path) -> JournalStore:
        return SqliteStore(tmp_path / "runs.db")

    @override
    def reopened(self, store: JournalStore) -> JournalStore:
        assert isinstance(store, SqliteStore)
        return SqliteStore(store.path)

    @override
    def elsewhere(self, store: JournalStore) -> tuple[str, str]:
        assert isinstance(store, SqliteStore)
        return "agentcore.journal:SqliteStore", str(store.path)


def new(run_id: str = RUN_ID) -> NewRun:
    return NewRun(id=run_id, opening=(UserMessage(content="Go on."),))


def said(text: str) -> Noted:
    return Noted(purpose="say", text=text)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / ".agentcore" / "runs.db")) as made:
        yield made


@contextmanager
def foreign(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program that has the file open."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as opened:
        yield opened


def filled(store: SqliteStore, rows: int = 3) -> int:
    store.submit(new())
    epoch = store.claim(RUN_ID).epoch
    for number in range(rows):
        store.append(RUN_ID, epoch, [said(f"{number} {LARGE}")])
    return epoch


# --- the disk -------------------------------------------------------------------------------


def limited(size: int | None) -> None:
    """No file of this process may grow beyond it."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


FULL = """
import sys
from pathlib import Path
import anyio
from agentcore.errors import NotJournalled
from tests.journal.story import Story, check_world, lines_of_text
from tests.journal.test_prefix import run_at
from tests.journal.test_sqlite import limited

workspace = Path(sys.argv[1])
limited(90_000)
try:
    anyio.run(run_at, workspace, Story(text=lines_of_text(700)))
except NotJournalled as error:
    print(error)
else:
    raise SystemExit("it was written")
limited(None)
story = Story(text=lines_of_text(700))
check_world(workspace, story, anyio.run(run_at, workspace, story), "with room again")
"""


def test_a_file_that_cannot_grow_stops_the_run_which_goes_on_when_it_can(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "cannot be written to its journal" in ran.stdout
    assert f"{tmp_path / '.agentcore' / 'runs.db'} cannot be written to: " in ran.stdout
    assert "the run goes on from its last row" in ran.stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted: {error}")
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_run_which_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    journal = small_disk / "runs.db"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    story = Story(text=lines_of_text(700))
    with closing(SqliteStore(journal)) as store:
        with pytest.raises(NotJournalled, match=r"the disk is full\. Make room") as raised:
            anyio.run(lambda: run_at(tmp_path, story, journal=store))
        assert isinstance(raised.value.__cause__, JournalError)
        assert str(journal) in str(raised.value)
        with closing(SqliteStore(journal)) as other:
            assert other.check() == []
            assert other.get(RUN_ID).seq == len(other.rows(RUN_ID)) > 0
            assert not other.is_owned(other.get(RUN_ID))
        ballast.unlink()
        again = Story(text=lines_of_text(700))
        ended = anyio.run(lambda: run_at(tmp_path, again, journal=store))
        check_world(tmp_path, again, ended, "with room again")


READ_ONLY = """
import os
import sys
from agentcore.errors import JournalError
from agentcore.journal import NewRun, SqliteStore
from agentcore.messages import UserMessage

new = NewRun(id="another", opening=(UserMessage(content="Go on."),))
if os.geteuid() == 0:  # no permission holds root
    os.setgroups([])
    os.setgid(65_534)
    os.setuid(65_534)
store = SqliteStore(sys.argv[1])
for ask in (store.all, lambda: store.submit(new)):
    try:
        print(ask())
    except JournalError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are no bits there")
@pytest.mark.parametrize(("file", "folder"), [(0o444, 0o755), (0o444, 0o555), (0o644, 0o555)])
def test_what_may_only_be_read_says_so_and_stays_as_it_is(file: int, folder: int) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "runs.db"
        with closing(SqliteStore(path)) as store:
            filled(store)
        before = path.read_bytes()
        path.chmod(file)
        Path(place).chmod(folder)
        command = [sys.executable, "-c", READ_ONLY, str(path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        Path(place).chmod(0o755)
        assert ran.returncode == 0, ran.stderr
        *_, told = ran.stdout.splitlines()
        assert str(path) in told
        assert "read-only" in told or "ermission" in told
        assert path.read_bytes() == before


# --- somebody else --------------------------------------------------------------------------


def test_a_writer_who_does_not_end_stops_the_run_which_goes_on_afterwards(tmp_path: Path) -> None:
    path = tmp_path / ".agentcore" / "runs.db"
    holding: list[sqlite3.Connection] = []

    @tool
    def hold() -> str:
        """Hold the journal."""
        holding.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        holding[0].execute("BEGIN IMMEDIATE")
        return "held"

    def agent(store: SqliteStore) -> Agent:
        transport = GatewayTransport()
        answer = Answer(text="", calls=(Call(name="hold", arguments="{}", id="hold1"),))
        transport.play(answer, Answer(text="Done."))
        adapter = Local(base_url="http://gateway.test/v1")
        return Agent(
            "some-model", adapter=adapter, tools=[hold], workspace=tmp_path, journal=store,
            transport=transport,
        )  # fmt: skip

    with closing(SqliteStore(path, busy_seconds=0.2)) as store:
        with pytest.raises(NotJournalled, match=r"another program holds it\. End that") as raised:
            agent(store).run_sync("Hold it.", run_id=RUN_ID)
        assert str(path) in str(raised.value)
        holding[0].close()
        with closing(SqliteStore(path)) as other:
            assert other.check() == []
            assert not other.is_owned(other.get(RUN_ID))
        transport = GatewayTransport(respond=lambda request: stream(Answer(text="Done.")))
        ended = Agent(
            "some-model", adapter=Local(base_url="http://gateway.test/v1"), tools=[hold],
            workspace=tmp_path, journal=store, transport=transport,
        ).run_sync("Hold it.", run_id=RUN_ID)  # fmt: skip
    assert ended.text == "Done."
    assert "is unknown" in next(m.content for m in ended.messages if m.role == "tool")
    assert len(holding) == 1


def test_a_writer_who_ends_in_time_is_waited_for(store: SqliteStore) -> None:
    epoch = filled(store)
    with foreign(store.path) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, lambda: other.execute("ROLLBACK")).start()
        assert store.append(RUN_ID, epoch, [said("at last")]) == 4


def test_a_release_that_could_not_be_written_is_made_good(tmp_path: Path) -> None:
    """Else the run is busy for others as long as this process drives another one."""
    path = tmp_path / "runs.db"
    with (
        closing(SqliteStore(path, busy_seconds=0.05)) as store,
        closing(SqliteStore(path)) as other,
    ):
        store.submit(new("one"))
        store.submit(new("two"))
        epoch, second = store.claim("one").epoch, store.claim("two").epoch
        with foreign(path) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalError, match="another program holds it"):
                store.release("one", epoch)
        with pytest.raises(RunBusy):
            other.claim("one")
        store.append("two", second, [said("a row")])
        assert other.claim("one").epoch == 2
        with pytest.raises(RunBusy, match="another process drives it"):
            other.claim("two")


def test_many_who_ask_at_once_whether_the_dead_live_are_told_the_truth(tmp_path: Path) -> None:
    folder = tmp_path / "owners"
    owner = Owner(folder)
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda _: is_alive(folder, owner.id), range(200)))
        # As the death of its process does, and closing does not: the file stays.
        (folder / owner.id).rename(folder / "kept")
        owner.close()
        (folder / "kept").rename(folder / owner.id)
        assert not any(threads.map(lambda _: is_alive(folder, owner.id), range(2_000)))


MAKES = """
import sys
from agentcore.journal import NewRun, Noted, SqliteStore
from agentcore.messages import UserMessage

path, name = sys.argv[1:]
store = SqliteStore(path)
print("ready", flush=True)
sys.stdin.readline()
store.submit(NewRun(id=name, opening=(UserMessage(content="Go on."),)))
store.append(name, store.claim(name).epoch, [Noted(purpose="say", text="one")])
"""


def test_many_processes_that_make_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    names = [f"run {number}" for number in range(6)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKES, str(path), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in names
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _, told = process.communicate()
        assert process.returncode == 0, told
    with closing(SqliteStore(path)) as store:
        assert sorted(store.all()) == names
        assert store.check() == []


def test_many_runs_from_threads_at_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with (
        closing(SqliteStore(path, synchronous="NORMAL")) as store,
        closing(SqliteStore(path, synchronous="NORMAL")) as other,
        ThreadPoolExecutor(16) as threads,
    ):

        def drive(number: int) -> list[int]:
            one, name = (store, other)[number % 2], f"run {number}"
            one.submit(new(name))
            epoch = one.claim(name).epoch
            seqs = []
            for row in range(10):
                one.append_partial(name, epoch, b"a part\n")
                seqs.append(one.append(name, epoch, [said(str(row))], ends_partial=True))
                assert one.is_owned(one.get(name))
            one.release(name, epoch)
            return seqs

        assert list(threads.map(drive, range(40))) == [list(range(1, 11))] * 40
        assert store.check() == []
        assert len(store.all()) == 40
    assert list((tmp_path / "runs.db-owners").iterdir()) == []


def test_two_stores_of_one_process_keep_apart_what_they_drive(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with closing(SqliteStore(path)) as one, closing(SqliteStore(path)) as other:
        for store, name in ((one, "ours"), (other, "theirs")):
            store.submit(new(name))
            store.claim(name)
        for store, name in ((one, "theirs"), (other, "ours")):
            assert store.is_owned(store.get(name))
            with pytest.raises(RunBusy):
                store.claim(name)
        one.close()
        assert other.claim("ours").epoch == 2
        assert other.is_owned(other.get("theirs"))


@NEEDS_FORK
def test_the_child_of_a_fork_has_neither_lock_nor_connection(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SqliteStore(path)
    epoch = filled(store)
    begin, ready = os.pipe()
    waits, ends = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover: another process
        code = 1
        with suppress(BaseException):
            with suppress(RunBusy):
                store.claim(RUN_ID)
                os._exit(2)
            assert len(store.rows(RUN_ID)) == 3
            store.note(RUN_ID, said("from the child"))
            os.write(ready, b"x")
            os.close(ends)
            os.read(waits, 1)
            code = 0
        os._exit(code)
    os.close(ready)
    assert os.read(begin, 1) == b"x", os.waitpid(child, 0)
    assert store.append(RUN_ID, epoch, [said("from the parent")]) == 5
    store.close()
    with closing(SqliteStore(path)) as other:
        assert not other.is_owned(other.get(RUN_ID)), "the child holds the lock"
        assert other.claim(RUN_ID).epoch == 2
        assert [row.seq for row in other.rows(RUN_ID)] == [1, 2, 3, 4, 5]
        os.close(ends)
        assert os.waitpid(child, 0)[1] == 0
        assert other.check() == []
    for descriptor in (begin, waits):
        os.close(descriptor)


# --- the file -------------------------------------------------------------------------------


def test_a_file_of_a_newer_version_is_refused_by_name_and_unchanged(store: SqliteStore) -> None:
    filled(store)
    store.close()
    with foreign(store.path) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = store.path.read_bytes()
    for ask in (store.all, lambda: store.get(RUN_ID), lambda: store.submit(new("another"))):
        with pytest.raises(JournalError, match=rf"version {SCHEMA_VERSION + 1}.* upgrade") as told:
            ask()
        assert str(store.path) in str(told.value)
    assert f"version {SCHEMA_VERSION + 1}" in store.check()[0]
    store.close()
    assert store.path.read_bytes() == before


def test_what_is_no_journal_is_refused_and_unchanged(tmp_path: Path) -> None:
    text, others, ours = (tmp_path / name for name in ("notes.txt", "app.db", "app1.db"))
    text.write_text("These are my notes, and no database at all.\n" * 50)
    for path, version in ((others, 0), (ours, SCHEMA_VERSION)):
        with foreign(path) as opened:
            opened.execute("CREATE TABLE user (name)")
            opened.execute(f"PRAGMA user_version = {version}")
    for path, told in (
        (text, "no SQLite file. Move it away"),
        (others, "another program's database"),
        (ours, "another program's database"),
    ):
        before = path.read_bytes()
        with closing(SqliteStore(path)) as store:
            for ask in (store.all, lambda store=store: store.submit(new())):
                with pytest.raises(JournalError, match=told) as raised:
                    ask()
                assert str(path) in str(raised.value)
        assert path.read_bytes() == before


@pytest.mark.parametrize("how", ["a page in the middle", "its end", "a row", "a count"])
def test_a_damaged_file_is_told_by_check(store: SqliteStore, how: str) -> None:
    filled(store, rows=20)
    store.close()
    size = store.path.stat().st_size
    match how:
        case "a page in the middle":
            with store.path.open("r+b") as file:
                for page in range(size // 4_096 // 4, size // 4_096, 3):
                    file.seek(page * 4_096)
                    file.write(os.urandom(4_096))
        case "its end":
            os.truncate(store.path, size // 2 + 100)
        case "a row":
            with foreign(store.path) as other:
                other.execute("UPDATE record SET body = '{\"purpose\": 1}' WHERE seq = 7")
        case _:
            with foreign(store.path) as other:
                other.execute("DELETE FROM record WHERE seq = 7")
    found = store.check()
    assert found
    if how == "a row":
        assert f"{store.path}: run {RUN_ID!r}, row 7" in found[0]
    if how == "a count":
        assert found == [f"run {RUN_ID!r}: 19 rows, and it says that it has 20"]


def test_a_run_that_cannot_be_read_is_told(store: SqliteStore) -> None:
    filled(store)
    with foreign(store.path) as other:
        other.execute("UPDATE run SET opening = '[{}]'")
    with pytest.raises(JournalError, match=f"run '{RUN_ID}' cannot be read"):
        store.get(RUN_ID)
    assert f"run {RUN_ID!r} cannot be read" in store.check()[0]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are no bits there")
def test_nobody_else_can_read_what_is_written(store: SqliteStore) -> None:
    before = os.umask(0)
    try:
        filled(store)
    finally:
        os.umask(before)
    path = store.path
    modes = {
        one.name: stat.S_IMODE(one.stat().st_mode) for one in (path.parent, *path.parent.iterdir())
    }
    assert modes == {
        ".agentcore": 0o700,
        "runs.db": 0o600,
        "runs.db-wal": 0o600,
        "runs.db-shm": 0o600,
        "runs.db-owners": 0o700,
    }
    (owner,) = (path.parent / "runs.db-owners").iterdir()
    assert stat.S_IMODE(owner.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", [".agentcore", ".agentcore/runs.db"])
def test_nothing_leads_out_of_the_workspace(tmp_path: Path, name: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    with closing(SqliteStore(outside / "runs.db")) as store:
        filled(store)
    if name == ".agentcore":
        (inside / name).symlink_to(outside)
    else:
        (inside / ".agentcore").mkdir()
        (inside / name).symlink_to(outside / "runs.db")
    with closing(SqliteStore(inside / ".agentcore" / "runs.db")) as store:
        for ask in (store.all, lambda: store.submit(new("another"))):
            with pytest.raises(JournalError, match="is a link, which may lead out") as raised:
                ask()
            assert str(inside / name) in str(raised.value)


SYNCED = """
import sys, time
from pathlib import Path
from agentcore.journal import NewRun, Noted, SqliteStore
from agentcore.messages import UserMessage

def synced():
    time.sleep(0.1)
    return Path(sys.argv[2]).read_text().count("sync(")

store = SqliteStore(sys.argv[1])
store.submit(NewRun(id="run", opening=(UserMessage(content="Go on."),)))
epoch = store.claim("run").epoch
begun = synced()
for _ in range(20):
    store.append("run", epoch, [Noted(purpose="say", text="one")])
rows = synced()
for _ in range(20):
    store.append_partial("run", epoch, b"a part")
print(rows - begun, synced() - rows)
"""


@pytest.mark.parametrize(("synchronous", "value"), [("FULL", 2), ("NORMAL", 1)])
def test_what_is_promised_is_set(tmp_path: Path, synchronous: str, value: int) -> None:
    assert synchronous in ("FULL", "NORMAL")
    path = tmp_path / "runs.db"
    with closing(
        SqliteStore(path) if synchronous == "FULL" else SqliteStore(path, synchronous="NORMAL")
    ) as store:
        filled(store)
        store.append_partial(RUN_ID, 1, b"a part: a power cut may take it\n")
        with store._writes() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (value,)
    with foreign(path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_each_row_is_brought_to_the_medium_and_each_part_is_not(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(trace), sys.executable]
    traced = subprocess.run(
        [*command, "-c", SYNCED, str(tmp_path / "runs.db"), str(trace)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "ptrace" in traced.stderr:
        pytest.skip(f"nothing can be traced here: {traced.stderr.strip()}")
    assert traced.returncode == 0, traced.stderr
    rows, parts = map(int, traced.stdout.split())
    assert rows >= 20
    assert parts == 0


def test_who_reads_makes_nothing(store: SqliteStore) -> None:
    assert store.all() == ()
    assert store.check() == []
    assert store.partial(RUN_ID) == (0, b"")
    with pytest.raises(UnknownRun, match="there are none"):
        store.rows(RUN_ID)
    assert not store.path.parent.exists()


def test_a_file_that_is_removed_under_a_run_is_told(store: SqliteStore) -> None:
    """SQLite writes on to a file that has no name any more, and all of it would be lost."""
    epoch = filled(store)
    for path in store.path.parent.glob("runs.db*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(JournalError, match="was removed or replaced while") as raised:
        store.append(RUN_ID, epoch, [said("lost")])
    assert str(store.path) in str(raised.value)
    assert repr(RUN_ID) in str(raised.value)
    assert store.all() == ()
    store.close()
    assert filled(store) == 1
    assert store.check() == []


def test_the_log_does_not_keep_the_size_of_a_large_write(store: SqliteStore) -> None:
    epoch = filled(store)
    log = store.path.with_name("runs.db-wal")
    store.append(RUN_ID, epoch, [said("x" * 40_000_000)])
    assert log.stat().st_size > 40_000_000
    for _ in range(3):
        store.append(RUN_ID, epoch, [said("a row")])
    assert log.stat().st_size < 20_000_000


def test_a_reader_that_watches_for_ever_lets_the_log_be_brought_in(store: SqliteStore) -> None:
    """A read that is not ended would hold the log back: it would grow without end."""
    epoch = filled(store)
    log = store.path.with_name("runs.db-wal")
    with closing(SqliteStore(store.path)) as watcher:

        async def watch() -> None:
            version = await watcher.changed(None)
            for _ in range(400):
                store.append(RUN_ID, epoch, [said(LARGE)])
                version = await watcher.changed(version)
                watcher.rows(RUN_ID, after=store.get(RUN_ID).seq - 1)

        anyio.run(watch)
    assert log.stat().st_size < 10_000_000


def test_who_reads_much_does_not_hold_the_event_loop_up(store: SqliteStore) -> None:
    filled(store)

    async def watch() -> float:
        version = await store.changed(None)
        with store._reader:  # as a thread has it that reads a long run
            begun = anyio.current_time()
            with anyio.move_on_after(0.2):
                await store.changed(version)
            return anyio.current_time() - begun

    assert anyio.run(watch) < 5


# --- time, secrets --------------------------------------------------------------------------


def test_a_clock_that_goes_backwards_loses_no_row(tmp_path: Path) -> None:
    now = [2_000_000_000.0]

    def clock() -> float:
        now[0] -= 3_600.0
        return now[0]

    with closing(SqliteStore(tmp_path / "runs.db", clock=clock)) as store:
        story = Story(
            text=lines_of_text(700),
            cut=lambda number, reply: (
                status(503, body={"error": {"message": "overloaded"}}) if number == 1 else reply
            ),
        )
        ended = anyio.run(lambda: run_at(tmp_path, story, journal=store))
        check_world(tmp_path, story, ended, "with a clock that goes backwards")
        rows = store.rows(RUN_ID)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert rows[0].at > rows[-1].at
        assert anyio.run(lambda: run_at(tmp_path, story, journal=store)) == ended
        assert store.check() == []


def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    """Also not where the endpoint shows the key that it refuses, and not in the log."""
    secrets = [b"sk-secret-1234567890abcdef", b"a-header-that-nobody-may-see", b"a-body-field"]
    path = tmp_path / ".agentcore" / "runs.db"
    refused = status(401, body={"error": {"message": f"Incorrect key: {secrets[0].decode()}"}})
    results: list[RunResult | Exception] = []
    with closing(SqliteStore(path)) as store:
        for run_id, answers in (
            ("done", (stream(Answer(text="Done.")),)),
            ("refused", (refused,)),
            (
                "again",
                (status(503, body={"error": {"message": secrets[0].decode()}}), Answer(text=".")),
            ),
        ):
            transport = GatewayTransport()
            transport.play(*answers)
            agent = Agent(
                "some-model",
                adapter=Local(
                    base_url="http://gateway.test/v1",
                    api_key=secrets[0].decode(),
                    extra_headers={"x-secret": secrets[1].decode()},
                    extra_body={"user": secrets[2].decode()},
                ),
                workspace=tmp_path,
                journal=store,
                transport=transport,
                sleep=no_wait,
            )  # fmt: skip
            try:
                results.append(agent.run_sync("Go on.", run_id=run_id))
            except Exception as error:
                results.append(error)
            sent = transport.requests[0]
            assert secrets[0].decode() in str(sent.headers)
            assert secrets[1].decode() in str(sent.headers)
        assert len(store.all()) == len(results) == 3
        files = [one for one in path.parent.rglob("*") if one.is_file()]
        assert path.with_name("runs.db-wal") in files
        for file in files:
            for secret in secrets:
                assert secret not in file.read_bytes(), f"{secret!r} is in {file.name}"


async def no_wait(seconds: float) -> None:
    """Waits are decided, not slept."""


def test_a_file_may_be_made_by_several_at_once(tmp_path: Path) -> None:
    """SQLite lets one of them fail in one of a hundred files, without the wait that it was told."""
    with ThreadPoolExecutor(4) as threads:
        for number in range(120):
            path, together = tmp_path / f"{number}.db", threading.Barrier(4)

            def enter(name: int, path: Path = path, together: threading.Barrier = together) -> str:
                with closing(SqliteStore(path)) as store:
                    together.wait()
                    return store.submit(new(f"run-{name}")).id

            assert len(set(threads.map(enter, range(4)))) == 4
