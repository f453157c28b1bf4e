"""How many requests may be under way at one place. Pure: time and chance are arguments.

Nothing is limited until the endpoint refuses for want of room: a rate limit, or overload. When more
than a twentieth is refused, the limit is lowered to a share of what was under way, or to as much as
was not refused; refusals of requests that had begun before say the same thing once more, and lower
it no further than that. Then it grows with the time: soon to near where it was refused, slowly past
there, and fast again when nothing happens, as TCP's CUBIC does (RFC 9438, section 4.2), for one
reason: a clock that ticks once an answer is useless where answers take minutes. It is gone in two
minutes at the latest, so that nobody waits for ever, whatever the requests under way wait for.

What is counted is requests under way, from their start to their end. Overload is about just that.
A rate limit is about starts; but where a request takes d seconds, n of them under way are n ÷ d
starts a second, so that one figure serves both, and no clock of the endpoint's has to be guessed.
"""

import math
from dataclasses import dataclass
from typing import Final

from agentcore.kinds import ErrorKind
from agentcore.retry import Backoff

__all__ = ["REFUSALS", "Limiter"]

REFUSALS: Final = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED})
"""Kinds of failure that say there is no room."""

TOLERANCE = 0.05
"""Share of the requests that may be refused without a lower limit: some endpoints refuse one now
and then whatever the load, and each run answers that by itself. BBR tolerates 2 % of loss."""
SHARE = 0.75
"""Of the requests under way, the limit after a refusal. CUBIC keeps 0.7, TCP Reno a half."""
GROWTH = 1 / 160
"""Requests for each cubic second: from where it was refused the limit has grown by 1 after 5.4 s,
by 10 after 12 s, by 100 after 25 s and by 1,000 after 54 s. Measured by `benchmarks/limiter.py`."""
MEMORY_SECONDS = 120.0
"""After so long without a refusal any limit has grown by 10,000, and is dropped."""
SPREAD_SECONDS = 1.0
"""Over so long after a hold the requests that were held back begin, not all at once."""
_ROUNDING = 1e-6


@dataclass(slots=True, kw_only=True)
class Limiter:
    """The limit of one place, and what is under way there."""

    under_way: int = 0
    """Requests that have begun and not ended."""
    held_until: float = -math.inf
    """Until then nothing begins. Seconds, on the clock of `now`."""
    _least: float = math.inf
    """The limit just after it was lowered, at least 1; infinite while there is none."""
    _peak: float = math.inf
    """So many under way were too many."""
    _grows_from: float = -math.inf
    """Since when it grows."""
    _begun: int = 0
    """Requests so far; each has this number when it begins."""
    _mark: int = 0
    """Those up to this number had begun when the limit was lowered."""
    _marked: int = 0
    """How many of those were under way and have not been refused."""
    _judged: int = 0
    """Refusals up to this number are counted together."""
    _judged_size: int = 0
    """Of so many requests: those under way at the first of these refusals, and as many after it."""
    _judged_refused: int = 0
    """How many they are."""
    _in_a_row: int = 0
    """How often it was lowered because the very next request was refused too, the first included"""
    _spread_until: float = -math.inf

    # --- may a request begin? ---------------------------------------------------------------

    def limit(self, now: float) -> float:
        """Requests under way at once, at least 1; infinite while there is no limit."""
        if self._least == math.inf or now >= self._grows_from + MEMORY_SECONDS:
            return math.inf
        seconds = max(0.0, now - self._grows_from)
        return max(self._least, self._peak + GROWTH * (seconds - self._seconds_to_peak) ** 3)

    @property
    def _seconds_to_peak(self) -> float:
        return math.cbrt((self._peak - self._least) / GROWTH)

    def seconds_held(self, now: float) -> float:
        """For how long nothing may begin; 0 when nothing is held back."""
        return max(0.0, self.held_until - now)

    def seconds_full(self, now: float) -> float:
        """For how long there will be no room, if nothing ends and nothing is refused before."""
        if self._least == math.inf or self.under_way + 1 <= self.limit(now) + _ROUNDING:
            return 0.0
        growth = math.cbrt((self.under_way + 1 - self._peak) / GROWTH)
        seconds = min(self._seconds_to_peak + growth, MEMORY_SECONDS)
        return max(0.0, self._grows_from + seconds - now)

    def begin(self) -> int:
        """A request begins; gives its number."""
        self.under_way += 1
        self._begun += 1
        return self._begun

    def spread(self, now: float, roll: float) -> None:
        """A request that had to wait has begun: just after a hold, the next one waits a bit.

        Args:
            now: When it began.
            roll: A random number between 0 and 1.
        """
        if now < self._spread_until:
            gap = 2.0 * roll * SPREAD_SECONDS / self.limit(now)
            self.held_until = min(now + gap, self._spread_until)

    def end(self) -> None:
        """A request is over, however it ended."""
        self.under_way -= 1

    # --- a refusal --------------------------------------------------------------------------

    def refused(
        self, number: int, now: float, *, asked: float | None, backoff: Backoff, roll: float
    ) -> None:
        """A request was refused for want of room. Say so once, and after its `end`.

        Args:
            number: Its number.
            now: Seconds.
            asked: Seconds for which the endpoint asked to be left alone; None where it did not.
            backoff: How long nothing begins where it did not ask, and nothing passes.
            roll: A random number between 0 and 1.
        """
        wait = asked or 0.0
        if number > self._mark:
            if self._are_many(number):
                self._lower(number, now)
                # It is answered by the limit; if even the next request is refused, by a wait.
                if asked is None and self._in_a_row > 1:
                    wait = backoff.delay(self._in_a_row - 1, roll)
        elif self._marked > 1:
            self._marked -= 1
            if self._marked < self._least:
                self._least = self._peak = float(self._marked)
                self._grows_from = now
        if now + wait > max(now, self.held_until):
            self.held_until = self._grows_from = now + wait
            self._spread_until = self.held_until + SPREAD_SECONDS

    def _are_many(self, number: int) -> bool:
        if number > self._judged:
            under_way = self.under_way + 1
            self._judged, self._judged_size = self._begun + under_way, 2 * under_way
            self._judged_refused = 0
        self._judged_refused += 1
        return self._judged_refused > TOLERANCE * self._judged_size

    def _lower(self, number: int, now: float) -> None:
        self._in_a_row = self._in_a_row + 1 if number == self._mark + 1 else 1
        limit = self.limit(now)
        refused = min(self.under_way + self._judged_refused, self._judged_size // 2)
        self._judged = self._begun
        self._mark = self._begun
        self._marked = self.under_way
        self._peak = float(refused)
        self._least = max(1.0, min(limit, float(math.floor(refused * SHARE))))
        self._grows_from = now

    def is_at_rest(self, now: float) -> bool:
        """Nothing is under way, and nothing is known that has to be remembered."""
        is_limited = self._least < math.inf and now < self._grows_from + MEMORY_SECONDS
        return not (self.under_way or is_limited or self.held_until > now)
