"""One measurement of one client, in a process of its own: `python -m …measure` in its environment.

Prints one line of JSON: `figures`, or `absent` and why there is nothing to measure.
"""

import argparse
import asyncio
import cProfile
import gc
import importlib
import json
import math
import resource
import sys
import time
import tracemalloc
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from benchmarks.peers import streams
from benchmarks.peers.cases import CASES, LIMIT, Case, NotMeasured, check
from benchmarks.peers.yardstick import YARDSTICK

SLEEPS = 0.8
"""Of a paced stream at least this share of the events must have come while the client slept."""


async def measured(
    module: str, case: str, size: int, base_url: str, watch: AbstractContextManager[object]
) -> dict[str, Any]:
    """What `case` gives, or why it cannot be measured; `watch` surrounds what is counted."""
    try:
        client_module = importlib.import_module(f"benchmarks.peers.clients.{module}")
        async with client_module.connected(base_url) as client:
            if case == "memory":
                return await memory(client, size)
            row = next(row for row in CASES if row.name == case)
            if not hasattr(client, row.method):
                return {"absent": f"no {row.method}"}
            return {"figures": [await cpu(client, row, size, watch)]}
    except NotMeasured as error:
        return {"absent": str(error)}


async def cpu(client: Any, case: Case, size: int, watch: AbstractContextManager[object]) -> float:
    """Microseconds of CPU, at the machine's usual speed, for one of what the case counts."""
    await case.run(client, min(case.warm, size))
    gc.collect()
    give_up_after(LIMIT)
    slept = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    with watch:
        seconds = await case.run(client, size)
    slept = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - slept
    if case.paced and slept < SLEEPS * size:
        raise NotMeasured(f"the pace was lost: {slept:,} sleeps in {size:,} events")
    return seconds * YARDSTICK.speed / size * 1e6


def give_up_after(seconds: float) -> None:
    """The kernel ends this process, by SIGXCPU, once it has used so much more CPU."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), most))


async def memory(client: Any, size: int) -> dict[str, Any]:
    """Peak of what Python allocated, as a multiple of the text: while it streamed, and in all."""
    if not hasattr(client, "tool"):
        return {"absent": "no tool"}
    text = streams.file_text(size)
    check(await client.tool("tool 200", None), streams.file_text(200))
    gc.collect()
    tracemalloc.start()
    streamed: list[int] = []
    received = await client.tool(
        f"tool {size}", lambda: streamed.append(tracemalloc.get_traced_memory()[1])
    )
    whole = tracemalloc.get_traced_memory()[1]
    check(received, text)
    return {"figures": [peak / sys.getsizeof(text) for peak in (streamed[-1], whole)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("case")
    parser.add_argument("size", type=int)
    parser.add_argument("base_url")
    parser.add_argument("--profile", metavar="FILE", help="write a profile; the figure is void")
    parser.add_argument("--bare", action="store_true", help="no yardstick: to count instructions")
    options = parser.parse_args()
    profile = cProfile.Profile(time.process_time) if options.profile else None
    watch = profile or (nullcontext() if options.bare else YARDSTICK)
    outcome = asyncio.run(
        measured(options.module, options.case, options.size, options.base_url, watch)
    )
    if profile is not None:
        profile.dump_stats(options.profile)
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
