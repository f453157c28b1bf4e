"""A journal that cannot be written stops the run, and says so, wherever in the run that is."""

from contextlib import closing
from pathlib import Path

import anyio
import pytest
from typing_extensions import override

from agentcore import RunResult
from agentcore.errors import JournalError, NotJournalled, RunLost
from agentcore.journal import JournalStore, SqliteStore
from agentcore.testing.mortal_store import MortalStore
from tests.journal.story import RUN_ID, Story, check_world, lines_of_text
from tests.journal.test_prefix import CUTS, run_at


def a_story() -> Story:
    return Story(text=lines_of_text(60), cut=CUTS["the first answers"])


def go(workspace: Path, story: Story, store: JournalStore, backend: str = "asyncio") -> RunResult:
    return anyio.run(lambda: run_at(workspace, story, journal=store), backend=backend)


def a_store(workspace: Path) -> SqliteStore:
    return SqliteStore(workspace / ".agentcore" / "runs.db")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_whatever_row_cannot_be_written_the_run_tells_it_and_goes_on_later(
    tmp_path: Path, backend: str
) -> None:
    """Also one of several calls that run at once, and also when giving the run up fails too."""
    number = 2  # the first is the run itself
    while True:
        workspace = tmp_path / str(number)
        workspace.mkdir()
        with closing(MortalStore(a_store(workspace), dies_at=number)) as store:
            if store_lives(workspace, store, backend):
                break
        with closing(a_store(workspace)) as again:
            story = a_story()
            ended = go(workspace, story, again, backend)
            check_world(workspace, story, ended, f"after write {number} failed")
        number += 1
    assert number > 12


def store_lives(workspace: Path, store: MortalStore, backend: str) -> bool:
    try:
        go(workspace, a_story(), store, backend)
    except NotJournalled as error:
        cause, told = error.__cause__, str(error)
    else:
        return True
    assert store.is_dead
    assert isinstance(cause, JournalError)
    assert "the process is dead since write" in told
    assert "mend that, and run the same again" in told
    return False


def test_a_run_that_cannot_even_be_entered_raises_the_journals_error(tmp_path: Path) -> None:
    with closing(MortalStore(a_store(tmp_path), dies_at=1)) as store:
        with pytest.raises(JournalError, match="dead since write 1"):
            go(tmp_path, a_story(), store)
        assert store.store.all() == ()


def test_a_run_that_another_took_over_meanwhile_raises_as_such(tmp_path: Path) -> None:
    """Also where several calls run at once: `RunLost` must not be taken for a full disk."""

    class Robbed(MortalStore):
        """At a write of your choice another process has the run."""

        @override
        def _live(self) -> None:
            if self.is_dead:
                raise RunLost("somebody else has taken it over")

    for number in range(2, 8):
        workspace = tmp_path / str(number)
        workspace.mkdir()
        with (
            closing(Robbed(a_store(workspace), dies_at=number)) as store,
            pytest.raises(RunLost),
        ):
            go(workspace, a_story(), store)
        with closing(a_store(workspace)) as other:
            assert other.get(RUN_ID).status == "running"
