"""Runs are copied between SQLite and Postgres: all of them, as they are, and none goes on twice."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from agentcore import RunError
from agentcore.errors import ConfigurationError, JournalError, RunBusy, UnknownRun
from agentcore.journal import (
    CallBegun,
    CallEnded,
    NewRun,
    Noted,
    Record,
    RunEnded,
    RunResumed,
    SqliteStore,
)
from agentcore.journal.copying import copy_run
from agentcore.journal.sql import COLUMNS, SqlStore
from agentcore.messages import UserMessage
from tests.journal.cluster import private_cluster, why_not
from tests.journal.story import (
    PROMPT,
    RUN_ID,
    Story,
    agent_of,
    check_world,
    leave_when,
    lines_of_text,
)
from tests.journal.story import effects as mails_of

NOON = 1772366400.0
PAIRS = ("sqlite-sqlite", "sqlite-postgres", "postgres-sqlite", "postgres-postgres")
_numbers = count()

Make = Callable[[str], SqlStore]


@pytest.fixture(scope="module")
def _databases() -> Iterator[Callable[[], str]]:
    if why_not():
        pytest.skip(why_not())
    with private_cluster() as cluster:
        yield lambda: cluster.create(f"copying{next(_numbers)}")


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """A new and empty journal of a kind."""
    opened: list[SqlStore] = []

    def make(kind: str) -> SqlStore:
        store: SqlStore
        if kind == "sqlite":
            store = SqliteStore(tmp_path / f"{next(_numbers)}.db")
        else:
            from agentcore.journal.postgres import PostgresStore

            database: Callable[[], str] = request.getfixturevalue("_databases")
            store = PostgresStore(database())
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture(params=PAIRS)
def two(request: pytest.FixtureRequest, make: Make) -> tuple[SqlStore, SqlStore]:
    source, _, target = str(request.param).partition("-")
    return make(source), make(target)


def enter(store: SqlStore, run_id: str, *records: Record, prompt: str = "Go on.") -> None:
    store.submit(NewRun(id=run_id, opening=(UserMessage(content=prompt),), model="local:m"))
    claimed = store.claim(run_id)
    if records:
        end = records[-1] if isinstance(records[-1], RunEnded) else None
        store.append(run_id, claimed.epoch, records, status=end.status if end else None)
    store.release(run_id, claimed.epoch)


def raw(store: SqlStore, run_id: str) -> list[list[tuple[object, ...]]]:
    """All that is written down of a run."""
    found = []
    with store._reads() as connection:
        assert connection is not None
        for table, columns in COLUMNS.items():
            key = "id" if table == "run" else "run"
            rows = connection.execute(
                f"SELECT {columns} FROM {table} WHERE {key} = ? ORDER BY 1, 2", (run_id,)
            )
            found.append([tuple(row) for row in rows.fetchall()])
    return found


DONE = RunEnded(status="done", text="Done: \x00 “ü” \\u0000 \U0001f600\n")
CALL = CallEnded(call_id="c1", tool="t", content="x\r\n\t'\"", is_error=False, seconds=0.1)


def test_every_column_of_every_row_is_there(two: tuple[SqlStore, SqlStore]) -> None:
    source, target = two
    enter(source, "a", CallBegun(call_id="c1", tool="t", key="a:c1"), CALL, DONE, prompt="“ü”\n")
    before = raw(source, "a")
    assert copy_run(source, target, "a") == "copied"
    assert raw(source, "a") == raw(target, "a") == before
    assert target.rows("a") == source.rows("a")
    assert copy_run(source, target, "a") == copy_run(target, source, "a") == "there"
    assert source.check() == target.check() == []


def test_a_run_of_the_same_id_with_other_rows_is_left_alone(two: tuple[SqlStore, SqlStore]) -> None:
    source, target = two
    enter(source, "a", CALL, DONE)
    enter(source, "b", DONE)
    enter(target, "a", DONE)
    enter(target, "b", DONE, prompt="Something else.")
    before = raw(target, "a"), raw(target, "b")
    for run_id in "ab":
        with pytest.raises(JournalError, match=r"of this id in .* already, with other rows"):
            copy_run(source, target, run_id, moves=True)
    assert (raw(target, "a"), raw(target, "b")) == before


def test_a_run_that_somebody_drives_is_refused(two: tuple[SqlStore, SqlStore]) -> None:
    source, target = two
    enter(source, "a", CALL)
    claimed = source.claim("a")
    for moves in (False, True):
        with pytest.raises(RunBusy, match=r"run 'a' in .*: a process drives it now"):
            copy_run(source, target, "a", moves=moves)
    source.append("a", claimed.epoch, (DONE,), status="done")
    source.release("a", claimed.epoch)
    assert target.all() == ()


def test_a_run_without_an_end_is_moved_or_not_copied(two: tuple[SqlStore, SqlStore]) -> None:
    source, target = two
    enter(source, "a", CALL)
    with pytest.raises(JournalError, match="has no end, and two journals would go on with it"):
        copy_run(source, target, "a")
    assert target.all() == ()
    rows = source.rows("a")
    assert copy_run(source, target, "a", moves=True) == "moved"
    assert target.rows("a") == rows
    assert target.get("a").status == "running"
    *before, end = source.rows("a")
    assert before == rows
    assert isinstance(end.record, RunEnded)
    assert end.record.text == f"The run was moved to {target.url}"
    assert source.get("a").status == "cancelled"
    # It goes on there; here it stays what it was.
    claimed = target.claim("a")
    target.append("a", claimed.epoch, (DONE,), status="done")
    target.release("a", claimed.epoch)
    assert copy_run(source, target, "a", moves=True) == "there"
    assert target.get("a").status == "done"


def test_a_run_that_was_moved_is_not_copied_from_where_it_was(make: Make) -> None:
    source, target, third = make("sqlite"), make("sqlite"), make("sqlite")
    enter(source, "a", CALL)
    copy_run(source, target, "a", moves=True)
    with pytest.raises(JournalError, match=r"it was moved to sqlite:///.*; copy it from there"):
        copy_run(source, third, "a", moves=True)


class Dying(SqliteStore):
    @override
    def _announce(self, connection: object, run_id: str, seq: int) -> None:
        raise JournalError("no room")


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_move_that_died_half_way_is_ended_by_the_next(
    make: Make, tmp_path: Path, status: str
) -> None:
    source = make("sqlite")
    failed = RunEnded(status="failed", text="Three attempts.")
    enter(source, "a", CALL, *([failed] if status == "failed" else []))
    path = tmp_path / "target.db"
    with pytest.raises(JournalError, match="no room"):
        copy_run(source, Dying(path), "a", moves=True)
    target = SqliteStore(path)
    assert target.all() == ()
    assert source.get("a").status == "cancelled"  # in neither it goes on by itself
    assert copy_run(source, target, "a", moves=True) == "moved"
    assert target.get("a").status == status
    assert target.rows("a") == source.rows("a")[:-1]
    assert target.check() == source.check() == []


def test_that_a_process_died_in_a_run_goes_with_it(two: tuple[SqlStore, SqlStore]) -> None:
    source, target = two
    enter(source, "a", CALL)
    with source._writes() as connection:
        connection.execute("UPDATE run SET owner = ?", ("0123456789abcdef",))
    copy_run(source, target, "a", moves=True)
    moved = target.get("a")
    assert moved.owner not in ("", "0123456789abcdef")  # who has that id there is somebody else
    assert not target.is_owned(moved)


def test_one_database_by_two_names_loses_no_run(make: Make, tmp_path: Path) -> None:
    source = make("sqlite")
    assert isinstance(source, SqliteStore)
    enter(source, "a", CALL)
    with pytest.raises(ConfigurationError, match="cannot be copied to itself"):
        copy_run(source, SqliteStore(source.path), "a", moves=True)
    other = tmp_path / "other.db"
    other.symlink_to(source.path)
    with pytest.raises(JournalError, match=r"is in .* too, perhaps because both"):
        copy_run(source, SqliteStore(other), "a", moves=True)
    assert source.get("a").status == "running"


def test_what_is_not_there_or_not_whole_is_not_copied(make: Make) -> None:
    source, target = make("sqlite"), make("sqlite")
    enter(source, "a", CALL, DONE)
    with pytest.raises(UnknownRun):
        copy_run(source, target, "b")
    with source._writes() as connection:
        connection.execute("DELETE FROM record WHERE seq = 1")
    with pytest.raises(JournalError, match="1 rows, and it says that it has 2"):
        copy_run(source, target, "a")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RECORDS = st.lists(
    st.one_of(
        st.builds(Noted, purpose=st.just("say"), text=TEXTS),
        st.builds(RunResumed, after_crash=st.booleans(), changed=TEXTS),
        st.builds(
            CallEnded,
            call_id=TEXTS,
            tool=TEXTS,
            content=TEXTS,
            is_error=st.booleans(),
            seconds=st.floats(0, 1e9),
        ),
    ),
    max_size=5,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS, parts=st.lists(st.binary(min_size=1, max_size=20), max_size=3))
@pytest.mark.parametrize("way", PAIRS[1:3])
def test_any_rows_come_back_as_they_went(
    make: Make, way: str, records: list[Record], parts: list[bytes]
) -> None:
    first, _, second = way.partition("-")
    known = _kept.setdefault(way, (make(first), make(second), make(first)))
    here, there, back = known
    run_id = f"r{next(_numbers)}"
    enter(here, run_id, *records)
    claimed = here.claim(run_id)
    for part in parts:
        here.append_partial(run_id, claimed.epoch, part)
    here.release(run_id, claimed.epoch)
    _, *rows = raw(here, run_id)
    copy_run(here, there, run_id, moves=True)
    copy_run(there, back, run_id, moves=True)
    _, *returned = raw(back, run_id)
    assert returned == rows
    assert back.partial(run_id) == (len(parts), b"".join(parts))


_kept: dict[str, tuple[SqlStore, SqlStore, SqlStore]] = {}


@pytest.fixture(autouse=True)
def _forget_kept() -> Iterator[None]:
    yield
    _kept.clear()


@pytest.mark.parametrize("cut_at", [2, 4])
async def test_a_run_goes_on_where_it_was_moved_to(
    two: tuple[SqlStore, SqlStore], tmp_path: Path, cut_at: int
) -> None:
    source, target = two
    story = Story(text=lines_of_text(60))
    first = agent_of(tmp_path, story, journal=source)

    async def run() -> None:
        await first.run(PROMPT, run_id=RUN_ID)

    def is_time() -> bool:
        return RUN_ID in source.all() and source.get(RUN_ID).seq >= cut_at

    await leave_when(is_time, run)
    if source.get(RUN_ID).status == "running":
        assert copy_run(source, target, RUN_ID, moves=True) == "moved"
        with pytest.raises(RunError, match="The run was moved to"):
            await first.run(PROMPT, run_id=RUN_ID)
    else:
        assert copy_run(source, target, RUN_ID) == "copied"
    result = await agent_of(tmp_path, story, journal=target).run(PROMPT, run_id=RUN_ID)
    check_world(tmp_path, story, result, "moved")
    assert len(mails_of(tmp_path)) == 2
    assert target.check() == source.check() == []
