"""Whole turns a second in process: one call cut at every byte, asked for again, and whole.

    make bench

A turn here is a request that is cut, the decision, the wait (none, recorded), and a second request
that comes whole, through the loop and the HTTP library. One core.
"""

import json
import statistics
import time

import anyio

from agentcore.client import Client
from agentcore.families import family_of
from agentcore.messages import UserMessage
from agentcore.providers import Local, Request
from agentcore.retry import Policy
from agentcore.testing import FIN, Answer, Call, GatewayTransport, after_bytes, cut, stream
from agentcore.tools import write_file
from agentcore.turn import Chance, Turn
from agentcore.verdict import Complete

ROUNDS = 5
ARGUMENTS = json.dumps(
    {"path": "plan.md", "mode": "create", "content": "A line, é and 😀.\n" * 110}
)
CALL = Call(name="write_file", arguments=ARGUMENTS)
GOOD = stream(Answer(calls=(CALL,)), piece=110)


async def no_wait(seconds: float) -> None:
    """Waits are decided, and not slept."""


async def no_key() -> str:
    return ""


async def play_cuts(places: range) -> float:
    """Whole turns a second of CPU, for a cut at each of these places."""
    adapter = Local(base_url="http://bench.test/v1")
    request = Request(
        model="some-model",
        family=family_of("some-model"),
        messages=(UserMessage(content="Go on."),),
        tools=(write_file.spec,),
    )
    chance = Chance(sleep=no_wait, roll=lambda: 0.5, new_id=lambda: "abcdefghi")
    cuts = [cut(GOOD, at=after_bytes(place), by=FIN) for place in places]
    transport = GatewayTransport()
    async with Client(transport=transport) as client:
        started = time.process_time()
        for lost in cuts:
            transport.play(lost, GOOD)
            turn = Turn(
                number=1,
                client=client,
                adapter=adapter,
                key=no_key,
                request=request,
                policy=Policy(keep_drafts=False),
                clocks=adapter.clocks,
                chance=chance,
                ledger=[],
                draft_arguments={"write_file": "content"},
            )
            outcome = await turn.run()
            assert isinstance(outcome, Complete), outcome
            assert outcome.message.tool_calls[0].arguments == ARGUMENTS
            assert turn.attempt == 2
            transport.requests.clear()
        return len(cuts) / (time.process_time() - started)


def _end_of_finish() -> int:
    """From this byte on a cut no longer matters."""
    return GOOD.body.index(b"\n\n", GOOD.body.index(b'"finish_reason": "'))


def main() -> None:
    events = len(GOOD.steps)
    print(
        f"one call of {len(ARGUMENTS):,} bytes in {events} events, cut at every byte of the stream"
    )
    end = _end_of_finish()
    # Each round has every fifth place, so that all rounds together cut at every byte.
    rates = [anyio.run(play_cuts, range(first, end, ROUNDS)) for first in range(ROUNDS)]
    print(
        f"{end:,} turns of two requests each, in {ROUNDS} rounds; turns a second of CPU: "
        f"median {statistics.median(rates):.0f}, least {min(rates):.0f}, most {max(rates):.0f}"
    )


if __name__ == "__main__":
    main()
