"""How fast the machine is while something is measured on it.

A machine that others use too changes its speed by a half within seconds, and CPU time with it. So
a fixed piece of work is done and timed again and again in the process that is measured, every 10 ms
of its CPU: what is measured beside it is told in pieces of that work. Single calls of one client
then differ by 2 to 8 % (standard deviation), and by 13 to 22 % without.
"""

import signal
import time
from types import FrameType, TracebackType

EVERY_SECONDS = 0.01
"""Of CPU. The kernel looks every 4 ms."""
USUAL_SECONDS = 3e-4
"""What the piece takes on the machine of `docs/performance.md` while nobody disturbs it: figures
are CPU time at that speed."""
_AT_BOTH_ENDS = 3
_TABLE = {f"key{number}": str(number) for number in range(50)}


class Yardstick:
    """Measures the machine's speed as long as it is entered."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._speeds: list[float] = []

    def __enter__(self) -> None:
        self._speeds.clear()
        self._several()
        signal.signal(signal.SIGPROF, self._on_time)
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        self._several()

    def used(self) -> float:
        """Seconds of CPU of this process, all threads, user and system, without what this took."""
        return time.process_time() - self._spent

    @property
    def speed(self) -> float:
        """How many times as fast as usual the machine was."""
        return sum(self._speeds) / len(self._speeds) if self._speeds else 1.0

    def _on_time(self, number: int, frame: FrameType | None) -> None:
        self._once()

    def _several(self) -> None:
        for _ in range(_AT_BOTH_ENDS):
            self._once()

    def _once(self) -> None:
        started = time.thread_time()
        _piece_of_work()
        seconds = time.thread_time() - started
        self._spent += seconds
        self._speeds.append(USUAL_SECONDS / seconds)


def _piece_of_work() -> int:
    """Names, strings and bytes, as they are in a client's work."""
    total = 0
    for _ in range(60):
        for key in _TABLE:
            total += len(_TABLE[key])
        total += len(b"".join([b"abc"] * 50).split(b"b"))
    return total


YARDSTICK = Yardstick()
"""Of this process. Where it is not entered, CPU time is told as it is."""
