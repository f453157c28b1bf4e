"""Who may send next: one queue for all runs that ask the same place.

The rule is `limiter`; here runs wait for it. Everything belongs to one event loop: loops in other
threads have gates of their own, so that nothing here is locked. A request holds its place until its
response is over; while nothing was refused, coming in and leaving is a count and nothing more.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

import anyio
from anyio.lowlevel import RunVar

from agentcore.limiter import Limiter
from agentcore.retry import Backoff

__all__ = ["Admission", "Gate", "Gates", "gates"]


@dataclass(eq=False, slots=True)
class _Waiter:
    woken: anyio.Event = field(default_factory=anyio.Event)


@dataclass(eq=False, slots=True)
class Gate:
    """The limit of one place and those who wait for it, the first who came first."""

    limiter: Limiter = field(default_factory=Limiter)
    _queue: deque[_Waiter] = field(default_factory=deque)

    def enter(self, now: float) -> "Admission | None":
        """Come in at once; None when one has to wait, behind others too.

        Args:
            now: Seconds, on the clock of the event loop; ahead of it for who has waited already.
        """
        limiter = self.limiter
        if self._queue or limiter.held_until > now or limiter.seconds_full(now):
            return None
        return Admission(self, limiter.begin())

    async def wait(
        self, now: float, *, sleep: Callable[[float], Awaitable[None]], roll: Callable[[], float]
    ) -> "Admission":
        """Come in when it is one's turn. A waiter that is cancelled gives its turn up.

        Args:
            now: As for `enter`.
            sleep: Waits where it is known how long. When it returns, so much time counts as passed.
            roll: A random number, `0 <= roll < 1`.
        """
        limiter, waiter = self.limiter, _Waiter()
        self._queue.append(waiter)
        waited = 0.0
        try:
            while True:
                patience = math.inf
                if self._queue[0] is waiter:
                    held = limiter.seconds_held(now)
                    patience = 0.0 if held else limiter.seconds_full(now)
                    if held:
                        await sleep(held)
                        waited, now = waited + held, now + held
                        continue
                    if not patience:
                        number = limiter.begin()
                        limiter.spread(now, roll())
                        return Admission(self, number, waited_seconds=waited)
                began = anyio.current_time()
                with anyio.move_on_after(patience):
                    await waiter.woken.wait()
                waiter.woken = anyio.Event()
                seconds = anyio.current_time() - began
                waited, now = waited + seconds, now + seconds
        finally:
            self._queue.remove(waiter)
            self.wake()

    def wake(self) -> None:
        """Something has changed: the first in the queue looks again."""
        if self._queue:
            self._queue[0].woken.set()

    def why(self, now: float) -> str:
        """Why one has to wait, in words."""
        limiter = self.limiter
        if limiter.seconds_held(now):
            return "the endpoint has no room, and is left alone"
        return (
            f"the endpoint has refused more than {limiter.limit(now):.0f} requests at once, and "
            f"{limiter.under_way} are under way"
        )

    def seconds(self, now: float) -> float:
        """How long one has to wait at the least, or at the most where room may be made before."""
        limiter = self.limiter
        return limiter.seconds_held(now) or limiter.seconds_full(now)

    def is_at_rest(self, now: float) -> bool:
        """Nobody is here, and nothing is known that has to be remembered."""
        return not self._queue and self.limiter.is_at_rest(now)


@dataclass(eq=False, slots=True)
class Admission:
    """A request's place among those under way."""

    gate: Gate
    number: int
    waited_seconds: float = 0.0

    def leave(self) -> None:
        """The request is over, however it ended. Once."""
        self.gate.limiter.end()
        self.gate.wake()

    def refused(self, now: float, *, asked: float | None, backoff: Backoff, roll: float) -> None:
        """It ended for want of room; said after `leave`, before another task may run."""
        self.gate.limiter.refused(self.number, now, asked=asked, backoff=backoff, roll=roll)


class Gates:
    """The gates of one event loop, by what their requests have in common."""

    def __init__(self) -> None:
        self._gates: dict[Hashable, Gate] = {}
        self._sweep_at = _FEW

    def __len__(self) -> int:
        return len(self._gates)

    def of(self, place: Hashable, now: float) -> Gate:
        """The gate of a place; a new one where nothing is known."""
        gate = self._gates.get(place)
        if gate is None:
            if len(self._gates) >= self._sweep_at:
                self._sweep(now)
            gate = self._gates[place] = Gate()
        return gate

    def _sweep(self, now: float) -> None:
        """Drop the gates that nobody would miss: keys that are renewed leave one each behind."""
        self._gates = {p: gate for p, gate in self._gates.items() if not gate.is_at_rest(now)}
        self._sweep_at = max(_FEW, 2 * len(self._gates))


_FEW = 64
"""Gates that are kept without a look."""

_gates: RunVar[Gates] = RunVar("agentcore_gates")


def gates() -> Gates:
    """Those of the event loop that runs."""
    try:
        return _gates.get()
    except LookupError:
        fresh = Gates()
        _gates.set(fresh)
        return fresh
