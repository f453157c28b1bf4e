"""A fleet whose workers are killed: no run is lost, and nothing is done twice.

`benchmarks/fleet.py` (`make fleet`) does the same thirty times, and takes the server away too.
"""

import random
import sys
from pathlib import Path

import anyio
import pytest

from tests.journal.cluster import private_cluster, why_not
from tests.journal.fleet.fleet import Fleet, Found

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(sys.platform == "win32", reason="a worker is killed by a signal"),
]


def test_the_runs_of_killed_workers_are_gone_on_with(tmp_path: Path) -> None:
    async def kill() -> Found:
        with private_cluster() as cluster:
            fleet = Fleet(
                cluster=cluster,
                folder=tmp_path,
                workers=2,
                options={"concurrency": 5, "busy_seconds": 1.0},
            )
            async with fleet.started():
                await fleet.submit(20)
                await fleet.kill_at_random(2, random.Random(7), within=0.5)
                await fleet.ended()
                found = await fleet.check()
                assert fleet.kills == 2
                return found

    found = anyio.run(kill)
    assert found.results == 20 * 5
    assert found.claims > 20, "no run was taken over"
