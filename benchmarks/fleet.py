"""A fleet of workers on one Postgres: is anything lost, or done twice, and what does a step cost?

    python benchmarks/fleet.py                      all sections
    python benchmarks/fleet.py kills --runs 500 --kills 30 --seed 7
    python benchmarks/fleet.py restarts zombies forgotten hosts cost

The server is a private one on loopback, made for this and removed with it. What is done to workers,
and how it is judged, is in tests/journal/fleet. It stops at the first thing that must not be.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
import psycopg
from dbos import DBOSClient

from agentcore.journal import NewRun, Noted
from agentcore.journal.postgres import PostgresStore
from agentcore.journal.queueing import QUEUE
from agentcore.messages import UserMessage
from tests.journal.cluster import Cluster, private_cluster, why_not
from tests.journal.fleet.fleet import Fleet, Found
from tests.journal.fleet.worker import ROWS

CLOCK = os.sysconf("SC_CLK_TCK")


def row(name: str, *values: object) -> None:
    print(f"| {name:<58} | " + " | ".join(f"{value!s:>10}" for value in values) + " |", flush=True)


def tell(fleet: Fleet, found: Found, seconds: float) -> None:
    row("workers killed", fleet.kills)
    row("runs, all done", found.runs)
    row("rows", f"{found.rows:,}")
    row("of them noted by their worker, there in the end", f"{found.told:,}")
    row("of them seen by a watcher meanwhile, unchanged in the end", f"{found.seen:,}")
    row("results of calls, one each", f"{found.results:,}")
    row("payments made, none twice", f"{found.effects:,}")
    row("unknown outcomes, told", found.unknown)
    row("turns asked twice", found.asked_twice)
    row("times that a run was claimed", found.claims)
    row("seconds", f"{seconds:.0f}")


@asynccontextmanager
async def fleet_of(cluster: Cluster, runs: int, **options: Any) -> AsyncIterator[Fleet]:
    """Runs are under way inside; in the end they are done, and judged."""
    fleet_options = {
        "concurrency": 8,
        "turns": 4,
        "busy_seconds": 1.0,
        **options.pop("options", {}),
    }
    with TemporaryDirectory() as folder:
        database = f"fleet{random.randrange(10**9)}"
        fleet = Fleet(
            cluster=cluster,
            folder=Path(folder),
            database=database,
            options=fleet_options,
            **options,
        )
        started = time.monotonic()
        async with fleet.started():
            await fleet.submit(runs)
            yield fleet
            await fleet.ended(patience=120)
            seconds = time.monotonic() - started
            fleet.found = await fleet.check()
            tell(fleet, fleet.found, seconds)


# --- what befalls a fleet -------------------------------------------------------------------


async def kills(options: argparse.Namespace) -> None:
    """Three workers, killed at random and started again."""
    with private_cluster() as cluster:
        async with fleet_of(cluster, options.runs) as fleet:
            await fleet.kill_at_random(options.kills, random.Random(options.seed), within=1.0)


async def restarts(options: argparse.Namespace) -> None:
    """Postgres is stopped in the middle, both ways, and started again."""
    with private_cluster() as cluster:
        async with fleet_of(cluster, options.runs // 4) as fleet:
            for mode in ("fast", "immediate"):
                rows = len(fleet.lines(ROWS))
                await fleet.until(lambda: len(fleet.lines(ROWS)) > rows + 200, "runs go on")  # noqa: B023
                assert not fleet.has_ended()
                await anyio.to_thread.run_sync(cluster.stop, mode)
                await anyio.sleep(3.0)
                rows = len(fleet.lines(ROWS))
                await anyio.to_thread.run_sync(cluster.start)
                started = time.monotonic()
                await fleet.until(lambda: len(fleet.lines(ROWS)) > rows, "runs go on")  # noqa: B023
                row(
                    f"stop -m {mode}: s from its start to the next row",
                    f"{time.monotonic() - started:.1f}",
                )
            assert not fleet.kills


async def zombies(options: argparse.Namespace) -> None:
    """The sessions of a worker are ended while it drives: it has lost its runs, and lives."""
    chance = random.Random(options.seed)
    with private_cluster() as cluster:
        async with fleet_of(cluster, options.runs // 5) as fleet:
            for _ in range(10):
                await anyio.sleep(chance.uniform(0.3, 1.0))
                await anyio.to_thread.run_sync(end_one_session, fleet.url)
            assert not fleet.has_ended()
            row("sessions that wrote, ended by the server", 10)


def end_one_session(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        while not connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid) "
            "WHERE datname = current_database() AND application_name = 'agentcore' "
            "AND locktype = 'advisory' AND query LIKE 'WITH advanced%' ORDER BY random() LIMIT 1"
        ).fetchall():
            time.sleep(0.01)


async def forgotten(options: argparse.Namespace) -> None:
    """Rows of the queue are deleted, and live runs are given out once more."""
    with private_cluster() as cluster:
        async with fleet_of(cluster, 60, options={"concurrency": 8, "busy_seconds": 1.0}) as fleet:
            await fleet.until(lambda: len(fleet.lines(ROWS)) > 50, "runs go on")
            client = DBOSClient(system_database_url=fleet.url)
            pending = client.list_workflows(status="PENDING", load_input=False)
            live = [one.workflow_id for one in pending][:10]
            client.resume_workflows(live, queue_name=QUEUE)
            row("live runs, given out once more", len(live))
            waiting = client.list_workflows(status="ENQUEUED", load_input=False)
            lost = [one.workflow_id for one in waiting if one.workflow_id not in live][:10]
            client.destroy()
            with psycopg.connect(fleet.url) as connection:
                connection.execute(
                    "DELETE FROM dbos.workflow_status WHERE workflow_uuid = ANY(%s)", (lost,)
                )
            row("runs that the queue forgot", len(lost))
        assert fleet.found is not None
        assert fleet.found.claims == 60, "a live run was claimed by another"


# --- two hosts ------------------------------------------------------------------------------


@contextmanager
def hosts() -> Iterator[tuple[list[str], list[str]]]:
    """Two network namespaces, each joined to this one by a pair of interfaces.

    Yields:
        Their names, and the addresses of this side.
    """
    mark = f"{os.getpid() % 10_000}"
    names = [f"fleet{mark}{letter}" for letter in "ab"]
    nets = [f"10.213.{number}" for number in (1, 2)]
    try:
        for name, net in zip(names, nets, strict=True):
            ip(f"netns add {name}")
            ip(f"link add {name}o type veth peer name {name}i netns {name}")
            ip(f"addr add {net}.1/24 dev {name}o")
            ip(f"link set {name}o up")
            for order in (
                f"addr add {net}.2/24 dev {name}i",
                f"link set {name}i up",
                "link set lo up",
            ):
                ip(f"-n {name} {order}")
        yield names, [f"{net}.1/24" for net in nets]
    finally:
        for name in names:
            ip(f"netns del {name}", check=False)
            ip(f"link del {name}o", check=False)


def ip(order: str, *, check: bool = True) -> None:
    ran = subprocess.run(["ip", *order.split()], capture_output=True, text=True, check=False)
    if check and ran.returncode:
        raise OSError(f"ip {order}: {ran.stderr.strip()}")


def no_hosts() -> str:
    """Why there can be no second host here; empty where there can."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "network namespaces are Linux's, made by `ip`"
    try:
        with hosts():
            return ""
    except OSError as error:
        return str(error)


async def two_hosts(options: argparse.Namespace) -> None:
    """A worker in each of two network namespaces: one is killed, one is cut off."""
    if reason := no_hosts():
        row(f"skipped: {reason}")
        return
    with hosts() as (names, addresses), private_cluster(addresses=tuple(addresses)) as cluster:
        places = [
            (("ip", "netns", "exec", name), address.partition("/")[0])
            for name, address in zip(names, addresses, strict=True)
        ]
        settings = {"hosts": places, "workers": 2, "options": {"concurrency": 6}}
        async with fleet_of(cluster, options.runs // 4, **settings) as fleet:
            first, second = fleet.slots
            for slot in (first, second):
                await fleet.drives(slot)
            await fleet.kill(first)
            killed = time.monotonic()
            await fleet.until(lambda: fleet.is_left(first.name), "its runs are taken over")
            row("killed: s until another host had all its runs", f"{time.monotonic() - killed:.1f}")
            await fleet.start(first)
            await fleet.drives(first)
            ip(f"link set {names[1]}o down")
            cut = time.monotonic()
            await fleet.until(lambda: fleet.is_left(second.name), "its runs are taken over")
            row("cut off: s until another host had all its runs", f"{time.monotonic() - cut:.1f}")
            ip(f"link set {names[1]}o up")
            ip(f"addr replace {addresses[1]} dev {names[1]}o")


# --- cost -----------------------------------------------------------------------------------


async def cost(options: argparse.Namespace) -> None:
    """Rows of 300 bytes by 1, 50 and 500 runs at once, and whole fleets; no kills."""
    with private_cluster() as cluster:
        row(
            "appends by threads of one process: runs at once",
            "per s",
            "median ms",
            "p95 ms",
            "ms of CPU",
            "server's",
        )
        for count in (1, 50, 500):
            cpu, server = time.process_time(), server_seconds(cluster)
            times, seconds = await anyio.to_thread.run_sync(appends, cluster, count)
            spent = time.process_time() - cpu, server_seconds(cluster) - server
            costs = [f"{1_000 * one / len(times):.2f}" for one in spent]
            rate = f"{len(times) / seconds:,.0f}"
            row(f"{count}", rate, f"{middle(times, 0.5):.2f}", f"{middle(times, 0.95):.2f}", *costs)
        row("meant, with five statements each", "1,500–2,000")  # noqa: RUF001
        row("a worker: runs at once", "rows/s", "ms CPU/row", "server")
        for count in (1, 50, 500):
            await _whole(cluster, count)


def appends(cluster: Cluster, count: int) -> tuple[list[float], float]:
    """Milliseconds of each append, and the seconds of all."""
    from concurrent.futures import ThreadPoolExecutor

    store = PostgresStore(cluster.create(f"appends{count}"))
    epochs: dict[str, int] = {}
    for number in range(count):
        run_id = f"r{number}"
        store.submit(NewRun(id=run_id, opening=(UserMessage(content="x"),)))
        epochs[run_id] = store.claim(run_id).epoch
    said = Noted(purpose="say", text="x" * 300)
    times: list[float] = []
    end = time.monotonic() + 5

    def write(run_id: str) -> None:
        started = time.perf_counter()
        store.append(run_id, epochs[run_id], [said])
        times.append(1_000 * (time.perf_counter() - started))

    started = time.monotonic()
    # As many threads as a worker has for all its runs.
    with ThreadPoolExecutor(min(count, 40)) as pool:
        while time.monotonic() < end:
            list(pool.map(write, epochs))
    seconds = time.monotonic() - started
    store.close()
    return times, seconds


def middle(times: list[float], part: float) -> float:
    return sorted(times)[int(len(times) * part)]


async def _whole(cluster: Cluster, count: int) -> None:
    """One worker with so many runs at once, each of which waits for its tools."""
    with TemporaryDirectory() as folder:
        fleet = Fleet(
            cluster=cluster,
            folder=Path(folder),
            database=f"whole{count}",
            workers=1,
            options={"concurrency": count, "busy_seconds": 0.1, "notes": False},
        )
        async with fleet.started():
            await fleet.submit(1)
            await fleet.ended()
            process = fleet.slots[0].process
            assert process is not None
            worker_cpu, server_cpu = cpu_of(process.pid), server_seconds(cluster)
            before, started = rows_of(fleet.url), time.monotonic()
            await fleet.submit(max(20, count))
            await fleet.ended()
            seconds, rows = time.monotonic() - started, rows_of(fleet.url) - before
            row(
                f"{count}",
                f"{rows / seconds:,.0f}",
                f"{1_000 * (cpu_of(process.pid) - worker_cpu) / rows:.2f}",
                f"{1_000 * (server_seconds(cluster) - server_cpu) / rows:.2f}",
            )


def rows_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM agentcore.record").fetchone()
    assert found is not None
    return int(found[0])


def cpu_of(pid: int) -> float:
    """Seconds that a process has used, and its children that have ended; 0 once it has itself."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(value) for value in fields[11:15]) / CLOCK


def server_seconds(cluster: Cluster) -> float:
    parent = int((Path(cluster.data) / "postmaster.pid").read_text().split()[0])
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return sum(cpu_of(int(pid)) for pid in listed) + cpu_of(parent)


SECTIONS: dict[str, Callable[[argparse.Namespace], Awaitable[None]]] = {
    "kills": kills,
    "restarts": restarts,
    "zombies": zombies,
    "forgotten": forgotten,
    "hosts": two_hosts,
    "cost": cost,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="|".join(SECTIONS), help="default: all")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    if unknown := set(options.sections) - SECTIONS.keys():
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if reason := why_not():
        parser.error(reason)
    print(f"seed {options.seed}")

    async def run() -> None:
        for name in options.sections or SECTIONS:
            started = time.monotonic()
            print(f"\n{name}: {SECTIONS[name].__doc__}", flush=True)
            await SECTIONS[name](options)
            print(f"({time.monotonic() - started:.0f} s)", flush=True)

    anyio.run(run)


if __name__ == "__main__":
    main()
