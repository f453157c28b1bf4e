"""`probe_endpoint`: makes the requests."""

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from agentcore.accumulator import Accumulator
from agentcore.attempt import Attempt
from agentcore.client import Client
from agentcore.clocks import Clocks, Silence
from agentcore.probe.asking import next_ask
from agentcore.probe.observations import Ending, Observation
from agentcore.probe.requests import Ask, Target
from agentcore.probe.watch import Watch

if TYPE_CHECKING:
    import httpx2

__all__ = ["probe_endpoint"]


async def probe_endpoint(
    target: Target,
    on_observation: Callable[[Observation], None],
    *,
    transport: "httpx2.AsyncBaseTransport | None" = None,
) -> tuple[Observation, ...]:
    """Make the requests, one after the other, each on a connection of its own.

    Args:
        target: What is probed.
        on_observation: Called with each request when it is over; also with the one that a
            cancellation ends.
        transport: Takes the place of the network, for tests in process.
    """
    seen: list[Observation] = []

    def keep(observation: Observation) -> None:
        seen.append(observation)
        on_observation(observation)

    def following() -> Ask | None:
        return next_ask(
            seen, sizes=target.sizes, has_switch=target.has_switch, has_echo=target.has_echo
        )

    async with Client(transport=transport) as client:
        with _short_collections():
            while (ask := following()) is not None:
                await client.renew()
                await _observe(client, target, ask, keep)
    return tuple(seen)


@contextmanager
def _short_collections() -> Iterator[None]:
    """A full collection takes 0.2 s beside the SDK's modules: it would look like a silence."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _observe(
    client: Client, target: Target, ask: Ask, keep: Callable[[Observation], None]
) -> None:
    wire = target.wire(ask)
    # No clock of the loop's may end what somebody on the way is to end.
    clocks = Clocks(
        connect=min(Clocks().connect, target.max_seconds),
        transport=math.inf,
        first_event=math.inf,
        reasoning=math.inf,
        text=math.inf,
        tool_arguments=math.inf,
    )
    capabilities = target.adapter.capabilities
    accumulator = Accumulator(cumulative_arguments=capabilities.cumulative_arguments)
    with anyio.move_on_after(target.max_seconds) as scope:
        watch = Watch(ask, accumulator, scope)
        attempt = Attempt(
            turn=1,
            number=1,
            adapter=target.adapter,
            wire=wire,
            key=target.key,
            silence=Silence(clocks, now=watch.started),
            accumulator=accumulator,
            emit=None,
            on_block=watch.see,
        )
        try:
            await attempt.send(client, clocks)
        except (anyio.get_cancelled_exc_class(), KeyboardInterrupt):
            ended_by = Ending.LIMIT if scope.cancel_called else Ending.STOPPED
            keep(watch.observation(attempt, ended_by))
            raise
        keep(watch.observation(attempt))
