"""Processes that die in the middle of a durable run: is anything lost, or done twice?

    python benchmarks/crash.py                      all sections, 200 kills
    python benchmarks/crash.py kills --kills 50 --seed 7
    python benchmarks/crash.py busy zombie children loop faults

What is done to them, and how it is judged, is in tests/journal/crashing. It stops at the first
thing that must not be.
"""

import argparse
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict

import anyio
import anyio.to_thread

from agentcore.tools.sandbox import choose
from tests.journal.crashing.kills import kill_many
from tests.journal.crashing.owning import (
    CHILDREN,
    ZOMBIES,
    contend,
    intrude,
    leave_child,
    race,
    wake,
)
from tests.journal.crashing.places import FAULTS, LOOPS, die_at, loop

RACES = 500


def row(name: str, *values: object) -> None:
    print(f"| {name:<50} | " + " | ".join(f"{value!s:>12}" for value in values) + " |", flush=True)


async def kills(options: argparse.Namespace) -> None:
    """Random `kill -9`; the next process goes on."""
    killed = await kill_many(options.kills, seed=options.seed, at_once=options.at_once)
    for name, value in asdict(killed).items():
        row(WORDS[name], f"{value:,}")
    # Any of them ends the program.
    row("tools done twice, rows lost, files that are wrong", 0)


WORDS = {
    "kills": "living processes killed",
    "runs": "runs, all done in the end",
    "processes": "processes",
    "rows": "rows",
    "seen": "of them read by a watcher, there in the end",
    "told": "of them noted by their process, there in the end",
    "results": "results of calls, one each",
    "unknown": "unknown outcomes, told",
    "kept": "answers kept that a dead process was reading",
    "asked_twice": "turns asked twice",
    "cuts": "answers cut by the gateway",
}


async def busy(options: argparse.Namespace) -> None:
    """A second process, task or thread on a run that lives; some who claim a dead one's at once."""
    row("second processes refused, of", await intrude(options.rounds), options.rounds)
    row("tasks refused, of four that run it at once", await contend(threads=False), 3)
    row("threads refused, of four that run it at once", await contend(threads=True), 3)
    won = await anyio.to_thread.run_sync(race, RACES)
    row("races for a dead one's run with one winner, of", won, RACES)


async def zombie(options: argparse.Namespace) -> None:
    """Stopped, robbed by force, and woken."""
    for backend in ("asyncio", "trio"):
        for where in ZOMBIES:
            await wake(where, backend=backend)
            row(f"woken in {where}, {backend}", "run lost")


async def children(options: argparse.Namespace) -> None:
    """A child is left behind."""
    row("child of", "lock free", "child dead")
    for tool in CHILDREN:
        if tool == "execute_code" and choose(sys.executable).sandbox is None:
            row(tool, "no sandbox", "–")  # noqa: RUF001 a table
            continue
        left = await leave_child(tool)
        dead = "lives on" if left.dead_seconds is None else f"{1_000 * left.dead_seconds:.0f} ms"
        row(tool, f"{1_000 * left.free_seconds:.0f} ms", dead)


async def loops(options: argparse.Namespace) -> None:
    """Killed at the same place as often as a process gets there."""
    row("killed in", "starts", "kills", "requests", "tool runs", "ended")
    for where in LOOPS:
        looped = await loop(where, options.times)
        ended = "stopped" if looped.ended else "done"
        counts = (looped.kills, looped.requests, looped.tool_runs)
        row(where, options.times + 1, *counts, ended)


async def faults(options: argparse.Namespace) -> None:
    """Dead between two facts."""
    row("died", "rows", "told unknown")
    for position, (name, fault) in enumerate(FAULTS.items()):
        found = await die_at(fault, backend=("asyncio", "trio")[position % 2])
        row(name, found.rows, found.unknown)


SECTIONS: dict[str, Callable[[argparse.Namespace], Awaitable[None]]] = {
    "kills": kills,
    "busy": busy,
    "zombie": zombie,
    "children": children,
    "loop": loops,
    "faults": faults,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="|".join(SECTIONS), help="default: all")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=2, help="runs under way at a time")
    parser.add_argument("--rounds", type=int, default=60, help="second processes on a live run")
    parser.add_argument("--times", type=int, default=20, help="starts of a process that is killed")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    if unknown := set(options.sections) - SECTIONS.keys():
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")

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
