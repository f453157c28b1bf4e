"""Processes that are killed at random moments, and others that go on, until the run is done."""

import random
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from tests.journal.crashing.worker import DONE
from tests.journal.crashing.world import Script, World, cut_sometimes, lines_of_text

__all__ = ["Killed", "kill_many"]

MOST_KILLS = 8
"""Of one run; the process after that is left alone."""
SPANS_SECONDS = (0.05, 0.4, 1.0, 2.5)
"""Of each process one is chosen: within it, from when all was loaded on, the kill comes."""


@dataclass(kw_only=True)
class Killed:
    """What came of many runs."""

    kills: int = 0
    """Processes that lived when the signal came."""
    runs: int = 0
    processes: int = 0
    rows: int = 0
    seen: int = 0
    told: int = 0
    results: int = 0
    unknown: int = 0
    kept: int = 0
    """Answers of which what a dead process had read was kept."""
    asked_twice: int = 0
    cuts: int = 0
    """Answers that the gateway cut."""


async def kill_many(wanted: int, *, seed: int, at_once: int = 2) -> Killed:
    """Go on until so many living processes were killed, and their runs are done.

    Raises:
        AssertionError: Something that must not happen did; the text says what, and in which run.
    """
    sum_ = Killed()
    number = 0

    async def lane() -> None:
        nonlocal number
        while sum_.kills < wanted:
            number += 1
            mine = seed * 1_000 + number
            with TemporaryDirectory() as folder:
                try:
                    await _kill_run(Path(folder), mine, sum_, wanted)
                except AssertionError as error:
                    raise AssertionError(f"run {mine}: {error}") from error

    async with anyio.create_task_group() as tasks:
        for _ in range(at_once):
            tasks.start_soon(lane)
    return sum_


async def _kill_run(folder: Path, seed: int, sum_: Killed, wanted: int) -> None:
    chance = random.Random(seed)
    cuts = cut_sometimes(chance, share=chance.choice([0.0, 0.3]))
    script = Script(
        text=lines_of_text(chance.choice([40, 400, 3_000])),
        mails=chance.randint(2, 6),
        pace=chance.choice([0.0, 0.002, 0.005]),
        treat=cuts,
    )
    killed = 0
    async with World(folder, script, watched=seed % 4 != 0) as world:
        while True:
            sum_.processes += 1
            orders = world.orders(
                backend=chance.choice(["asyncio", "trio"]), max_attempts=40, busy_seconds=0.2
            )
            async with world.process(orders) as process:
                if killed < MOST_KILLS and sum_.kills < wanted:
                    with anyio.move_on_after(chance.uniform(0.0, chance.choice(SPANS_SECONDS))):
                        await process.wait()
                    if process.returncode is None:
                        process.kill()
                code = await process.wait()
            if code != -9:
                break
            killed += 1
            sum_.kills += 1
        assert code == DONE, f"ended with {code}\n{world.errors}"
        found = await world.check()
    sum_.runs += 1
    sum_.rows += found.rows
    sum_.seen += found.seen
    sum_.told += found.told
    sum_.results += found.results
    sum_.unknown += found.unknown
    sum_.kept += found.kept
    sum_.asked_twice += found.asked_twice
    sum_.cuts += found.cuts
