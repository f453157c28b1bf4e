"""Workers as processes of their own: the command, the queue's settings, and a host's own DBOS."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from typer.testing import CliRunner

from agentcore import Agent, ConfigurationError, Local
from agentcore.cli.app import app as commands
from agentcore.cli.work import rate_of
from agentcore.journal import SqliteStore
from tests.journal.cluster import private_cluster, why_not
from tests.journal.serving import (
    APP,
    begun,
    command,
    environment,
    started,
    states,
    stop,
    wait_for,
)

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

_numbers = count()


long = pytest.mark.skipif(
    os.environ.get("AGENTCORE_FLEET") != "1",
    reason="waits for what workers do by and by; `make fleet` runs it",
)


@pytest.fixture(scope="module")
def _databases() -> Iterator[Callable[[], str]]:
    with private_cluster() as cluster:
        yield lambda: cluster.create(f"worker{next(_numbers)}")


@pytest.fixture
def journal(_databases: Callable[[], str], tmp_path: Path) -> str:
    """An empty one; in the folder is the agent of its workers."""
    (tmp_path / "app.py").write_text(APP)
    return _databases()


def submit(journal: str, prompt: str, *, run_id: str, **wanted: Any) -> None:
    """Enter a run, from here."""
    agent = Agent("m", adapter=Local(base_url="http://gateway.test/v1"), journal=journal)

    async def enter() -> None:
        await agent.submit(prompt, run_id=run_id, **wanted)

    anyio.run(enter)


def told(folder: Path) -> str:
    return (folder / "told").read_text()


def is_ready(folder: Path, workers: int = 1) -> Callable[[], bool]:
    return lambda: told(folder).count("takes runs from queue") >= workers


def are_done(journal: str, runs: int) -> Callable[[], bool]:
    return lambda: list(states(journal).values()).count("done") >= runs


@dataclass(kw_only=True)
class Ran:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def cli(*arguments: str, journal: str, folder: Path) -> Ran:
    """In this process, where that is the same: a process takes a second to start."""
    if arguments[0] in ("runs", "show", "cancel"):
        result = CliRunner().invoke(commands, arguments)
        return Ran(returncode=result.exit_code, stdout=result.stdout, stderr=result.stderr)
    ran = subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(journal),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Ran(returncode=ran.returncode, stdout=ran.stdout, stderr=ran.stderr)


# --- the command ----------------------------------------------------------------------------


def test_a_worker_says_what_it_does_and_what_it_leaves(tmp_path: Path, journal: str) -> None:
    with started(tmp_path, journal, "--concurrency", "2", "--name", "first") as worker:
        wait_for(is_ready(tmp_path))
        submit(journal, "0", run_id="quick")
        submit(journal, "60", run_id="long")
        wait_for(lambda: len(begun(tmp_path)) == 2 and are_done(journal, 1)())
        assert stop(worker) == 0
    assert re.sub(r":\d+/", ":0/", told(tmp_path)).splitlines() == [
        "first: takes runs from queue 'agentcore' in postgresql://postgres@127.0.0.1:0/"
        f"{journal.rpartition('/')[2]}, 2 at once. Ctrl-C or SIGTERM ends it",
        "ended; another worker goes on with 1 run: long",
    ]
    assert states(journal) == {"quick": "done", "long": "running"}

    listed = cli("runs", "--journal", journal, journal=journal, folder=tmp_path).stdout
    assert re.search(r"long +stalled .*\nquick +done|quick +done .*\nlong +stalled", listed)
    with started(tmp_path, journal, "--name", "second") as worker:
        began = time.monotonic()
        wait_for(are_done(journal, 2))
        assert time.monotonic() - began < 20
        assert stop(worker) == 0
    assert [run for run, _, _ in begun(tmp_path)].count("long") == 1  # it was not begun again
    assert told(tmp_path).splitlines()[-1] == "ended; nothing was left on the way"


def test_the_commands_for_named_runs_are_the_fleets(tmp_path: Path, journal: str) -> None:
    at = ("--journal", journal)

    def said(*arguments: str) -> tuple[int, str]:
        ran = cli(*arguments, *at, journal=journal, folder=tmp_path)
        return ran.returncode, ran.stdout + ran.stderr

    assert said("runs") == (0, f"no runs in {journal}\n")
    with started(tmp_path, journal) as worker:
        wait_for(is_ready(tmp_path))
        stop(worker)
    submit(journal, "0", run_id="a")
    submit(journal, "0", run_id="b", delay_seconds=3600)
    status, listed = said("runs")
    assert status == 0
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [
        ["b", "queued"],
        ["a", "queued"],
    ]
    assert said("cancel", "b") == (0, "run 'b': cancelled\n")
    ran = cli("resume", "a", "app:make", journal=journal, folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "All is done.\n")
    status, shown = said("show", "a", "--follow")
    assert status == 0
    assert "All is done." in shown
    assert said("runs", "check") == (0, "ok: 2 runs, 9 rows\n")
    target = str(tmp_path / "copy.db")
    ran = cli("runs", "copy", journal, target, journal=journal, folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "a: copied\nb: copied\n")
    assert sorted(SqliteStore(tmp_path / "copy.db").all()) == ["a", "b"]
    with started(tmp_path, journal) as worker:  # what was done by others is no work
        wait_for(is_ready(tmp_path, 2))
        time.sleep(1.5)
        assert stop(worker) == 0
    assert [run for run, _, _ in begun(tmp_path)] == ["a"]


@pytest.mark.parametrize(
    ("url", "arguments", "says"),
    [
        ("runs.db", (), "its journal is sqlite:///.*runs.db; a fleet needs one in Postgres"),
        ("postgresql://ann:secret@127.0.0.1:1/x", (), r"ann@127.0.0.1:1/x cannot be locked: conne"),
        ("postgresql://127.0.0.1:1/x?password=secret", (), "x.password=… cannot be locked: conn"),
        ("", ("--rate", "often"), "--rate often: write N/SECONDS, as in 5/60: five in a minute"),
        ("", ("--rate", "5/0"), "--rate 5/0: write N/SECONDS"),
        ("", ("--per-partition", "5", "--in-all", "2"), "queue 'agentcore' in .*: .*concurrency"),
    ],
)
def test_a_worker_that_cannot_work_says_why(
    tmp_path: Path, journal: str, url: str, arguments: tuple[str, ...], says: str
) -> None:
    ran = cli("work", "app:make", *arguments, journal=url or journal, folder=tmp_path)
    assert ran.returncode == 2, ran.stderr
    assert re.search(says, ran.stderr), ran.stderr
    assert "secret" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_two_workers_have_two_names(tmp_path: Path, journal: str) -> None:
    with started(tmp_path, journal, "--name", "one"):
        wait_for(is_ready(tmp_path))
        ran = cli("work", "app:make", "--name", "one", journal=journal, folder=tmp_path)
    assert ran.returncode == 2
    assert "another process is 'one'; give each its own name" in ran.stderr


@pytest.mark.parametrize(
    ("text", "rate"),
    [("5/60", {"limit": 5, "period": 60.0}), ("1/0.5", {"limit": 1, "period": 0.5})],
)
def test_a_rate(text: str, rate: dict[str, float]) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize(
    "text", ["5", "5/", "/60", "0/60", "-1/60", "5/-1", "5/inf", "5/nan", "x/y"]
)
def test_no_rate(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write N/SECONDS"):
        rate_of(text)


def test_a_worker_of_the_same_name_takes_up_what_it_left(tmp_path: Path, journal: str) -> None:
    name = ("--name", "pod-3")
    with started(tmp_path, journal, *name) as worker:
        wait_for(is_ready(tmp_path))
        submit(journal, "30", run_id="a")
        wait_for(lambda: begun(tmp_path))
        worker.send_signal(signal.SIGKILL)
    with started(tmp_path, journal, *name):
        wait_for(are_done(journal, 1))
    assert len(begun(tmp_path)) == 1


@long
def test_a_run_that_is_moved_to_the_fleet_is_taken_by_a_worker(
    tmp_path: Path, journal: str
) -> None:
    here = str(tmp_path / "runs.db")
    submit(here, "0", run_id="a")
    with started(tmp_path, journal) as worker:
        wait_for(is_ready(tmp_path))
        refused = cli("runs", "copy", here, journal, journal=journal, folder=tmp_path)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "run 'a' in " in refused.stderr
        assert "two journals would go on with it. Move it instead" in refused.stderr
        moved = cli("runs", "copy", here, journal, "a", "--move", journal=journal, folder=tmp_path)
        assert (moved.returncode, moved.stdout) == (0, "a: moved\n"), moved.stderr
        wait_for(are_done(journal, 1))
        stop(worker)
    listed = cli("runs", "--journal", here, journal=journal, folder=tmp_path).stdout
    assert "cancelled" in listed
    for arguments, status, says in (
        ((here, journal, "a"), 0, "a: is there already"),
        ((here, journal, "b"), 1, "there is no run 'b'"),
        (("nowhere.db", journal), 2, "FROM nowhere.db: there is no such file"),
        ((journal, "mysql://x"), 2, "there is no journal of this kind"),
    ):
        ran = cli("runs", "copy", *arguments, journal=journal, folder=tmp_path)
        assert ran.returncode == status
        assert says in ran.stdout + ran.stderr


@long
def test_a_run_that_cannot_be_driven_here_is_tried_again(tmp_path: Path, journal: str) -> None:
    keyless = APP.replace("def make(", "def make_it(") + (
        "\n\ndef make():\n    return Agent('openrouter:m', journal=os.environ['JOURNAL'])\n"
    )
    (tmp_path / "app.py").write_text(keyless)
    with started(tmp_path, journal) as worker:
        wait_for(is_ready(tmp_path))
        submit(journal, "0", run_id="a")
        wait_for(lambda: len(placed(journal)) == 2)
        stop(worker)
    # By its own id, and by the minute: each time it is claimed, so its claims say nothing.
    assert all(re.fullmatch(r"a(#\.\d+)?", name) for name in placed(journal))
    assert "run 'a' cannot be driven: no key for openrouter" in told(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    with started(tmp_path, journal):
        wait_for(are_done(journal, 1), 80)


# --- the queue's settings -------------------------------------------------------------------


@long
def test_caps_and_tenants_hold(tmp_path: Path, journal: str) -> None:
    """Two workers; at most three runs at once in all, and two of each tenant."""
    limits = ("--in-all", "3", "--per-partition", "2", "--concurrency", "3")
    with started(tmp_path, journal, *limits), started(tmp_path, journal, *limits):
        wait_for(is_ready(tmp_path, 2))
        for number in range(8):
            tenant = {"partition": "big"} if number < 5 else {}
            submit(journal, "0.7", run_id=f"r{number}", **tenant)
        most, most_of_big = 0, 0
        while not are_done(journal, 8)():
            running = working(journal)
            most = max(most, len(running))
            most_of_big = max(most_of_big, sum(one < "r5" for one in running))
            time.sleep(0.02)
    assert (most, most_of_big) == (3, 2)


def working(journal: str) -> list[str]:
    """Runs that a worker has taken and not ended."""
    with psycopg.connect(journal) as connection:
        found = connection.execute(
            "SELECT workflow_uuid FROM dbos.workflow_status WHERE status = 'PENDING'"
        ).fetchall()
    return [run for (run,) in found]


@long
def test_a_small_number_comes_first(tmp_path: Path, journal: str) -> None:
    # The same limits before: in its first moment a worker goes by those that it finds.
    with started(tmp_path, journal, "--in-all", "1") as worker:
        wait_for(is_ready(tmp_path))
        stop(worker)
    for run_id, priority in (("c", 9), ("b", 2), ("a", None)):
        submit(journal, "0", run_id=run_id, priority=priority)
    with started(tmp_path, journal, "--in-all", "1"):
        wait_for(are_done(journal, 3))
    assert [run for run, _, _ in begun(tmp_path)] == ["a", "b", "c"]


@long
def test_a_rate_holds_in_all_workers(tmp_path: Path, journal: str) -> None:
    limits = ("--rate", "2/3")
    with started(tmp_path, journal, *limits), started(tmp_path, journal, *limits):
        wait_for(is_ready(tmp_path, 2))
        for number in range(4):
            submit(journal, "0", run_id=f"r{number}")
        wait_for(are_done(journal, 4))
    times = [at for _, _, at in begun(tmp_path)]
    assert times[2] - times[0] > 2.0


@long
def test_what_a_dead_worker_leaves_keeps_queue_partition_and_priority(
    tmp_path: Path, journal: str
) -> None:
    """A worker of another queue sweeps too, and takes none of them."""
    queue = ("--queue", "tenants", "--per-partition", "1")
    with started(tmp_path, journal, *queue) as worker:
        wait_for(is_ready(tmp_path))
        for tenant in ("x", "y"):
            for priority in (1, 5):
                run_id = f"{tenant}{priority}"
                wanted = {"queue": "tenants", "partition": tenant, "priority": priority}
                submit(journal, "30", run_id=run_id, **wanted)
        wait_for(lambda: len(begun(tmp_path)) == 2)
        worker.send_signal(signal.SIGKILL)
    before = placed(journal)
    with started(tmp_path, journal) as other:
        wait_for(lambda: working(journal) == [])
        time.sleep(1)
        assert (
            placed(journal)
            == before
            == {
                f"{tenant}{priority}": ("tenants", tenant, priority)
                for tenant in ("x", "y")
                for priority in (1, 5)
            }
        )
        stop(other)
    # The queue has forgotten one, and believes that another one has ended.
    change(journal, "DELETE FROM dbos.workflow_status WHERE workflow_uuid = 'x1'")
    change(journal, "UPDATE dbos.workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = 'y5'")
    with started(tmp_path, journal, *queue) as worker:
        wait_for(lambda: {"x1", "y5#0"} <= placed(journal).keys())
        stop(worker)
    after = placed(journal)
    assert after["y5#0"] == ("tenants", "y", 5)
    assert after["x1"] == ("tenants", "agentcore", 0)  # nobody knows any more; it runs all the same


def placed(journal: str) -> dict[str, tuple[str, str, int]]:
    with psycopg.connect(journal) as connection:
        found = connection.execute(
            "SELECT workflow_uuid, queue_name, queue_partition_key, priority "
            "FROM dbos.workflow_status"
        ).fetchall()
    return {run: (queue, partition, priority) for run, queue, partition, priority in found}


def change(journal: str, statement: str) -> None:
    with psycopg.connect(journal) as connection:
        connection.execute(statement.encode())


# --- a host that runs DBOS already ----------------------------------------------------------

HOST = """
import logging, sys, time

from dbos import DBOS

from agentcore.errors import AgentCoreError
from agentcore.fleet import Worker
from app import make

worker = Worker(agent=make(), has_own_dbos=False, concurrency=3)


@DBOS.workflow()
def of_the_host(number):
    return number + 1


DBOS(config={"name": "host", "log_level": "ERROR", **worker.dbos_settings, %s})
worker.register()
DBOS.launch()
try:
    worker.start()
except AgentCoreError as error:
    print(f"error: {error}", flush=True)
    DBOS.destroy()
    sys.exit(2)
print(f"{worker.name} takes runs from queue; {of_the_host(1)}", flush=True)
time.sleep(60)
"""


def test_a_host_passes_its_own_dbos(tmp_path: Path, journal: str) -> None:
    for name in ("host1", "host2"):
        (tmp_path / f"{name}.py").write_text(HOST % f'"executor_id": "{name}"')
    program = command()[:1]
    with started(tmp_path, journal, program=[*program, "host1.py"]) as host:
        wait_for(lambda: "host1 takes runs from queue; 2" in told(tmp_path))
        submit(journal, "0", run_id="a")
        wait_for(are_done(journal, 1))
        submit(journal, "20", run_id="b")
        wait_for(lambda: len(begun(tmp_path)) == 2)
        host.send_signal(signal.SIGKILL)
    with started(tmp_path, journal, program=[*program, "host2.py"]):
        wait_for(are_done(journal, 2))
    assert [run for run, _, _ in begun(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("", "DBOS's executor_id is 'local', its default, which every process has"),
        (
            '"executor_id": "h", "application_version": "7"',
            "DBOS's application_version is '7', and runs are queued for 'journal-1'",
        ),
        (
            '"executor_id": "h", "system_database_url": "sqlite:///mine.db"',
            "DBOS has its tables elsewhere than postgresql://.*, where runs are queued",
        ),
    ],
    ids=["local", "version", "elsewhere"],
)
def test_a_host_that_is_not_set_up_is_told(
    tmp_path: Path, journal: str, config: str, says: str
) -> None:
    (tmp_path / "host.py").write_text(HOST % config)
    program = [*command()[:1], "host.py"]
    with started(tmp_path, journal, program=program) as host:
        assert host.wait(timeout=40) == 2, told(tmp_path)
    assert re.search(f"error: .*{says}", told(tmp_path)), told(tmp_path)


def test_what_is_loaded_by_a_word_of_help(tmp_path: Path) -> None:
    shown = CliRunner().invoke(commands, ("work", "--help"))
    assert shown.exit_code == 0
    assert "--per-partition" in shown.stdout
