"""A thousand runs that meet an endpoint with too little room: with the shared limiter and without.

    make bench

Whole turns through the loop and the HTTP client against a server in process, in virtual
time, so that seconds are exact and cost nothing. Every turn asks until it is answered (50 attempts
at most); *lost* are those that would have failed with the three attempts that are the default.
"""

import random
import time
from collections.abc import Hashable
from dataclasses import dataclass, field

import anyio

from agentcore.client import Client
from agentcore.families import family_of
from agentcore.messages import UserMessage
from agentcore.providers import Local, Request
from agentcore.retry import Policy
from agentcore.testing import (
    Answer,
    GatewayTransport,
    Pause,
    RecordedRequest,
    Reply,
    Send,
    run_in_virtual_time,
    status,
    stream,
)
from agentcore.turn import Chance, Turn
from agentcore.verdict import Complete

RUNS = 1_000
ANSWER = stream(Answer(text="The plan is written.")).body
FIRST, REST = ANSWER[: len(ANSWER) // 2], ANSWER[len(ANSWER) // 2 :]


class Apart(Local):
    """Every request for itself: as if there were no limiter."""

    def limiter_scope(self, request: Request) -> Hashable:
        return object()


@dataclass(kw_only=True)
class Endpoint:
    """An endpoint with so much room, and how long it takes for an answer."""

    told: str
    seconds: float
    """Of an answer."""
    at_once: float = float("inf")
    """Answers under way."""
    a_second: float = float("inf")
    """Requests, from a bucket that holds one second's worth."""
    retry_after: int = 0
    """Seconds; 0: a refusal names none."""
    away: tuple[float, float] = (0.0, 0.0)
    """From when until when it refuses everything."""
    refusals: int = 0
    latest: int = 0
    """Refusals since the first ten seconds."""
    answered_at: list[float] = field(default_factory=list)
    _ends: list[float] = field(default_factory=list)
    _bucket: float = float("nan")
    _bucket_at: float = 0.0

    def respond(self, request: RecordedRequest) -> Reply:
        now = request.at
        self._ends = [end for end in self._ends if end > now]
        if not self._has_room(now):
            self.refusals += 1
            self.latest += now > 10
            headers = {"retry-after": str(self.retry_after)} if self.retry_after else {}
            return status(429, {"error": {"message": "Too many requests"}}, headers=headers)
        seconds = self.seconds * random.uniform(0.8, 1.2)
        self._ends.append(now + seconds)
        self.answered_at.append(now + seconds)
        begins = min(0.5, seconds / 2)
        return Reply(steps=(Pause(begins), Send(FIRST), Pause(seconds - begins), Send(REST)))

    def _has_room(self, now: float) -> bool:
        if self.away[0] <= now < self.away[1] or len(self._ends) >= self.at_once:
            return False
        if self.a_second == float("inf"):
            return True
        filled = self._bucket + (now - self._bucket_at) * self.a_second
        self._bucket = min(self.a_second, filled if filled == filled else self.a_second)
        self._bucket_at = now
        if self._bucket < 1:
            return False
        self._bucket -= 1
        return True


async def no_key() -> str:
    """The endpoint needs none."""
    return ""


async def ask(endpoint: Endpoint, adapter: Local, runs: int) -> list[int]:
    """All runs at once; gives the attempts of each."""
    attempts = [0] * runs
    request = Request(
        model="some-model",
        family=family_of("some-model"),
        messages=(UserMessage(content="Go on."),),
    )
    chance = Chance(sleep=anyio.sleep, roll=random.random, new_id=lambda: "abcdefghi")
    transport = GatewayTransport(respond=endpoint.respond)

    async def run(number: int) -> None:
        turn = Turn(
            number=1,
            client=client,
            adapter=adapter,
            key=no_key,
            request=request,
            policy=Policy(max_attempts=50),
            clocks=adapter.clocks,
            chance=chance,
            ledger=[],
        )
        outcome = await turn.run()
        assert isinstance(outcome, Complete), outcome
        attempts[number] = turn.attempt

    async with Client(transport=transport) as client, anyio.create_task_group() as tasks:
        for number in range(runs):
            tasks.start_soon(run, number)
    return attempts


def play(endpoint: Endpoint, adapter: Local, label: str) -> None:
    random.seed(1)
    started = time.process_time()
    attempts = run_in_virtual_time(ask, endpoint, adapter, RUNS)
    lost = sum(number > 3 for number in attempts)
    at = sorted(endpoint.answered_at)
    print(
        f"  {label:8} {endpoint.refusals:7,} refusals ({endpoint.latest:6,} after 10 s), half "
        f"{at[RUNS // 2 - 1]:5.0f} s, all {at[-1]:5.0f} s; {max(attempts):2} attempts at most, "
        f"{lost:3} lost; CPU {time.process_time() - started:4.1f} s"
    )


def main() -> None:
    endpoints = [
        {"told": "50 at a time, 10 s each", "at_once": 50, "seconds": 10.0},
        {"told": "20 a second, 10 s each", "a_second": 20, "seconds": 10.0},
        {
            "told": "20 a second, 10 s each, a refusal asks for 5 s",
            "a_second": 20,
            "seconds": 10.0,
            "retry_after": 5,
        },
        {
            "told": "nothing for 60 s, then 100 at a time, 5 s each",
            "at_once": 100,
            "seconds": 5.0,
            "away": (0.0, 60.0),
        },
    ]
    for options in endpoints:
        print(f"{RUNS:,} runs at once; {options['told']}")
        for label, adapter in (("without", Apart), ("with", Local)):
            play(
                Endpoint(**options),  # type: ignore[arg-type]
                adapter(base_url="http://bench.test/v1"),
                label,
            )


if __name__ == "__main__":
    main()
