"""Processes that are killed in the middle of a long write: what is lost, and is anything broken?

    python benchmarks/killed.py --kills 200

What is done to them, and how it is measured, is in tests/wire/killing.py.
"""

import argparse
from collections.abc import Sequence

import anyio

from tests.wire.killing import Killed, kill_many

PROMISED_SECONDS = 1.0


def report(killed: Sequence[Killed]) -> None:
    rows = [
        ("processes killed", f"{len(killed)}"),
        ("of them with a draft afterwards", f"{sum(one.found_lines > 0 for one in killed)}"),
        ("corrupt files", f"{sum(bool(one.broken) for one in killed)}"),
        ("lost more than the last second", f"{sum(map(is_late, killed))}"),
        ("largest loss, bytes of the file", f"{max(one.lost_bytes for one in killed):,}"),
        ("largest loss, seconds", f"{max(one.lost_seconds for one in killed):.2f}"),
        ("second runs that wrote the file", f"{sum(one.finished for one in killed)}"),
    ]
    for name, value in rows:
        print(f"| {name:<31} | {value:>8} |")
    for one in killed:
        if one.broken or is_late(one) or not one.finished:
            print(one)


def is_late(one: Killed) -> bool:
    return one.lost_seconds > PROMISED_SECONDS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=4)
    options = parser.parse_args()

    async def run() -> list[Killed]:
        return await kill_many(range(options.kills), at_once=options.at_once)

    report(anyio.run(run))


if __name__ == "__main__":
    main()
