"""Processes that die: killed at random, at one place again and again, or between two facts.

`benchmarks/crash.py` (`make crash`) does the same two hundred times.
"""

import sys

import anyio
import pytest

from agentcore.tools.sandbox import choose
from tests.journal.crashing.kills import Killed, kill_many
from tests.journal.crashing.owning import ZOMBIES, contend, intrude, leave_child, race, wake
from tests.journal.crashing.places import FAULTS, LOOPS, Looped, die_at, loop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

SHORT_FAULTS = (
    "between the answer and its first call",
    "in a tool, after its effect",
    "between the begin of a cut file and its text",
    "in the removal of what a section replaced",
)
"""The others are at rows, where `test_prefix` goes on as well."""


def test_runs_that_are_killed_at_random_lose_nothing_and_repeat_nothing() -> None:
    async def kill() -> Killed:
        return await kill_many(4, seed=7, at_once=1)

    killed = anyio.run(kill)
    assert killed.kills == 4
    assert killed.results > 0


def test_a_second_process_on_a_live_run_is_refused() -> None:
    assert anyio.run(intrude, 2) == 2


@pytest.mark.parametrize("threads", [False, True], ids=["tasks", "threads"])
def test_one_of_four_in_a_process_drives_the_run(threads: bool) -> None:
    async def four() -> int:
        return await contend(threads=threads)

    assert anyio.run(four) == 3


def test_one_of_those_who_claim_the_run_of_a_dead_process_gets_it() -> None:
    assert race(20) == 20


def test_a_process_that_wakes_up_too_late_begins_no_tool_and_writes_no_row() -> None:
    anyio.run(wake, ZOMBIES[1])


@pytest.mark.parametrize("tool", ["execute_code", "fork"])
def test_a_child_that_is_left_behind_does_not_keep_the_run(tool: str) -> None:
    """A sandboxed program dies with its agent; a child that a tool makes by itself need not."""
    if tool == "execute_code" and choose(sys.executable).sandbox is None:
        pytest.skip("no sandbox works here")
    left = anyio.run(leave_child, tool)
    assert left.free_seconds < 2.0
    assert (left.dead_seconds is not None) is (tool == "execute_code")


def test_a_run_whose_processes_die_at_one_place_stops_by_itself() -> None:
    async def die() -> Looped:
        return await loop(LOOPS[1], 2, max_attempts=2)

    looped = anyio.run(die)
    assert (looped.kills, looped.requests) == (2, 2)
    assert "2 attempts without progress" in looped.ended
    assert "look why its processes end" in looped.ended


@pytest.mark.parametrize("place", SHORT_FAULTS)
def test_what_a_process_that_died_between_two_facts_leaves_is_put_right(place: str) -> None:
    anyio.run(die_at, FAULTS[place])
