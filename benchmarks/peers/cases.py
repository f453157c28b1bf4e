"""What is measured: one row a case, and how a client is asked for it.

A client is an object with any of these methods; a case whose method it lacks is not measured.

    async def text(self, prompt) -> str                  the text of a streamed answer
    async def tool(self, prompt, arrived) -> str         the file that the one call wrote
    async def loop(self, prompt) -> str                  the last text, after calls of add(), async
    async def loop_in_threads(self, prompt) -> str       the same with a plain function
    def conversation(self, messages) -> object           messages in the client's own types
    async def history(self, prompt, conversation) -> str the text of an answer to all of them

`tool` calls `arrived()`, where it is given, when the whole call is there and has not yet run. After
the call each client sends the tool's result and reads the short answer to it, as an agent does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.peers import streams
from benchmarks.peers.yardstick import YARDSTICK

Measurement: TypeAlias = Callable[[Any, int], Awaitable[float]]
"""Of a client and a size: seconds of CPU. It raises where the result is not what was sent."""

LIMIT = 60.0
"""Seconds of CPU for one measurement. What takes longer is told as "more than"."""
MOST_CALLS = 10
"""Of a tenth of what `tool` sends, so that both take alike long."""
HISTORY = 1_000
"""Messages of the conversation in `history`."""


class NotMeasured(Exception):
    """There is no figure, and nothing is wrong: the client cannot do this, or not now."""


@dataclass(frozen=True)
class Case:
    """One row of what is measured."""

    name: str
    method: str
    """What a client must have."""
    run: Measurement
    size: int
    quick: int
    """The size with `--quick`."""
    warm: int
    """The size of the run before it, which is not counted."""
    unit: str
    """What the size counts: figures are microseconds of CPU for one of it."""
    has_frameworks: bool = True
    """Whether frameworks are measured too; some would take minutes."""
    group: str = ""
    """Cases of one group are measured in turns, for their figures are compared."""
    paced: bool = False
    """Each event is meant to come while the client sleeps; `measure` counts its sleeps."""


async def timed(work: Awaitable[str], expected: str) -> float:
    """CPU of this process, user and system, until the work is done; what it gives is checked."""
    started = YARDSTICK.used()
    received = await work
    seconds = YARDSTICK.used() - started
    check(received, expected)
    return seconds


def check(received: str, expected: str) -> None:
    """Every client must have what was sent, to the last character."""
    if received != expected:
        raise AssertionError(
            f"what was sent did not arrive: {len(received):,} characters of {len(expected):,}, "
            f"{received[:60]!r} … {received[-60:]!r}"
        )


async def text(client: Any, size: int) -> float:
    return await timed(client.text(f"text {size}"), streams.text(size))


async def mixed(client: Any, size: int) -> float:
    return await timed(client.text(f"mixed {size}"), streams.text(size // 2))


async def tool(client: Any, size: int) -> float:
    return await timed(client.tool(f"tool {size}", None), streams.file_text(size))


async def tool_again(client: Any, size: int) -> float:
    """The mean of such calls, until a second has gone into them.

    A machine that others use changes its speed within one: a tenth of it says little.
    """
    calls: list[float] = []
    while len(calls) < MOST_CALLS and sum(calls) < 1.0:
        calls.append(await tool(client, size))
    return sum(calls) / len(calls)


async def tool_paced(client: Any, size: int) -> float:
    return await timed(client.tool(f"tool-paced {size}", None), streams.file_text(size))


async def loop(client: Any, size: int) -> float:
    return await timed(client.loop(f"loop {size}"), streams.total(size))


async def loop_in_threads(client: Any, size: int) -> float:
    return await timed(client.loop_in_threads(f"loop {size}"), streams.total(size))


async def one_turn(client: Any, size: int) -> float:
    return sum([await timed(client.text("text 3"), streams.text(3)) for _ in range(size)])


async def history(client: Any, size: int) -> float:
    """Each request has messages that the client has not seen before: nothing is kept of them."""
    seconds = 0.0
    for _ in range(size):
        conversation = client.conversation(streams.messages(HISTORY))
        seconds += await timed(client.history("text 3", conversation), streams.text(3))
    return seconds


def concurrent(deltas: int) -> Measurement:
    """Streams of so many deltas, all at once; the size counts all deltas."""

    async def run(client: Any, size: int) -> float:
        prompts = [f"text {deltas}"] * (size // deltas)

        async def together() -> str:
            return "".join(await asyncio.gather(*[client.text(prompt) for prompt in prompts]))

        return await timed(together(), streams.text(deltas) * len(prompts))

    return run


CASES = (
    Case("text", "text", text, 20_000, 2_000, 200, "delta"),
    Case("mixed", "text", mixed, 20_000, 2_000, 200, "delta"),
    Case("tool", "tool", tool, 50_000, 5_000, 200, "delta", group="growth"),
    Case("tool-tenth", "tool", tool_again, 5_000, 500, 200, "delta", group="growth"),
    Case("tool-paced", "tool", tool_paced, 1_000, 200, 50, "delta", paced=True),
    Case("one-turn", "text", one_turn, 100, 20, 5, "request"),
    Case("loop", "loop", loop, 200, 20, 5, "turn"),
    Case("loop-threads", "loop_in_threads", loop_in_threads, 200, 20, 5, "turn"),
    Case("history", "history", history, 10, 2, 2, "request"),
    Case(
        "concurrent",
        "text",
        concurrent(1_000),
        200_000,
        20_000,
        2_000,
        "delta",
        has_frameworks=False,
    ),
    Case("concurrent-short", "text", concurrent(200), 40_000, 4_000, 2_000, "delta"),
)
