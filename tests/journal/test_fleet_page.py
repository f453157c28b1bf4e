"""The programs of docs/fleet.md, with workers that are processes of their own."""

import re
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from tests.journal.cluster import private_cluster, why_not
from tests.journal.serving import APP, begun, started, states, wait_for

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"
FIRST, ENGINE = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)

_numbers = count()


@pytest.fixture(scope="module")
def _databases() -> Iterator[Callable[[], str]]:
    with private_cluster() as cluster:
        yield lambda: cluster.create(f"page{next(_numbers)}")


@pytest.fixture
def journal(_databases: Callable[[], str], tmp_path: Path) -> str:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    return _databases()


STAND_IN = """
import agentcore
from app import make

agentcore.Agent = lambda *arguments, journal, **options: make(journal)
"""
"""The agent of the page has a scripted model, whose tool works for as long as its prompt says."""


def test_a_program_submits_and_watches_what_a_worker_drives(tmp_path: Path, journal: str) -> None:
    program = FIRST.replace("Write the migration plan to plan.md.", "0")
    (tmp_path / "first.py").write_text(f"import stand_in\n{program}")
    with started(tmp_path, journal):
        wait_for(lambda: "takes runs from queue" in (tmp_path / "told").read_text())
        with started(tmp_path, journal, program=[sys.executable, "first.py"]) as watching:
            assert watching.wait(timeout=40) == 0
    told = (tmp_path / "told").read_text()
    assert re.search(r"^1 attempt\n(.*\n)*\d+ end\nAll is done\.$", told, re.MULTILINE), told


WORKING = """
import sys

import anyio

import stand_in
import engine


async def submit() -> None:
    async with engine.engine.open_async():
        await engine.engine.schema_manager.apply_schema_async()
        await engine.submit("20", "a")
        await engine.submit("0", "b")


async def work() -> None:
    async with engine.engine.open_async():
        await engine.engine.run_worker_async(concurrency=5, update_heartbeat_interval=1)


anyio.run({"submit": submit, "work": work}[sys.argv[1]])
"""


@pytest.mark.skipif(find_spec("procrastinate") is None, reason="procrastinate is not installed")
def test_another_engine_goes_on_after_its_worker_died(tmp_path: Path, journal: str) -> None:
    assert len([line for line in ENGINE.splitlines() if line.strip()]) < 30
    source = ENGINE.replace("heartbeat=30", "heartbeat=3")
    (tmp_path / "engine.py").write_text(source)
    (tmp_path / "working.py").write_text(WORKING)

    def program(what: str) -> list[str]:
        return [sys.executable, "working.py", what]

    with started(tmp_path, journal, program=program("submit")) as submitting:
        assert submitting.wait(timeout=40) == 0, (tmp_path / "told").read_text()
    with started(tmp_path, journal, program=program("work")) as worker:
        wait_for(lambda: len(begun(tmp_path)) == 2 and states(journal)["b"] == "done")
        worker.send_signal(signal.SIGKILL)
    with started(tmp_path, journal, program=program("work")):
        wait_for(lambda: states(journal) == {"a": "done", "b": "done"})
    assert sorted(run for run, _, _ in begun(tmp_path)) == ["a", "b"]  # a's call only once
