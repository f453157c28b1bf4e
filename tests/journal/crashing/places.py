"""Processes that die at one place: again and again, or once, between two facts."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from agentcore.journal import CallBegun, RunEnded
from agentcore.testing import (
    RESET,
    Call,
    Reply,
    Temperament,
    after_arguments,
    cut,
    stall,
)
from tests.journal.crashing.worker import DIED, DONE, EFFECTS, HERE, RUN_ID, SAFE, STOPPED
from tests.journal.crashing.world import Oracle, Script, World, lines_of_text, until

__all__ = ["FAULTS", "LOOPS", "Fault", "Looped", "die_at", "loop"]

# --- again and again ------------------------------------------------------------------------

LOOPS = (
    "before an answer begins",
    "a little of an answer",
    "the same file from its beginning",
    "a safe tool",
)
"""Where each process is killed."""
_STALL_SECONDS = 120.0
_LITTLE, _MUCH = 300, 20_000
"""Characters of arguments before the silence in which the kill comes."""


@dataclass(frozen=True, kw_only=True)
class Looped:
    """What came of processes that were all killed at one place."""

    kills: int
    """Until a process ended by itself."""
    requests: int
    tool_runs: int
    """Of the tool that the processes died in."""
    ended: str
    """How, in the words for a person; empty when the run was done."""


async def loop(where: str, times: int, *, max_attempts: int = 3) -> Looped:
    """Start a process and kill it at a place, so many times; a run must not go on for ever.

    Raises:
        AssertionError: It was never stopped, or what stopped it was forgotten.
    """
    with TemporaryDirectory() as folder:
        async with World(Path(folder), _looping(where)) as world:
            kills = 0
            orders = world.orders(how="drive", max_attempts=max_attempts)
            for _ in range(times):
                async with world.process(orders) as process:
                    reached = _reached(world, where)
                    await until(
                        lambda: reached() or process.returncode is not None,  # noqa: B023
                        f"a process that is in {where}, or has ended",
                    )
                    if process.returncode is None:
                        process.kill()
                        kills += 1
                    await process.wait()
            code, said = await world.ended(orders)
            assert code in (DONE, STOPPED), f"{code}: {said}{world.errors}"
            ends = [row for row in world.rows() if isinstance(row.record, RunEnded)]
            assert len(ends) == 1
            return Looped(
                kills=kills,
                requests=len(world.gateway.requests),
                tool_runs=len(world.lines(SAFE)),
                ended=said.strip(),
            )


def _looping(where: str) -> Script:
    if where == "a safe tool":
        special = Call(name="wait_for_it", arguments='{"name": "bob"}')
        return Script(special=special, mails=0, apart=True)

    def treat(number: int, reply: Reply) -> Reply:
        if where == "before an answer begins":
            return replace(reply, head_delay=_STALL_SECONDS)
        count = _LITTLE if where == "a little of an answer" else _MUCH
        return stall(reply, at=after_arguments(count), seconds=_STALL_SECONDS)

    return Script(
        text=lines_of_text(1_500),
        mails=0,
        apart=True,
        temperament=Temperament.STUBBORN,
        treat=treat,
    )


def _reached(world: World, where: str) -> Callable[[], bool]:
    """Whether the process that is about to begin has come to its place."""
    requests, waits = len(world.gateway.requests), len(world.lines(HERE))
    parts = {"a little of an answer": _LITTLE, "the same file from its beginning": _MUCH}

    def reached() -> bool:
        if where == "a safe tool":
            return len(world.lines(HERE)) > waits
        if len(world.gateway.requests) == requests:
            return False
        return world.gateway.last.argument_bytes >= parts.get(where, 0)

    return reached


# --- once, between two facts ----------------------------------------------------------------

SECTIONS = 4
"""In which the file comes after it was cut."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A place to die at, and what must be true afterwards."""

    dies: str
    """As in the worker's orders."""
    unknown: tuple[str, ...] = ()
    """Calls of which the model is told that nobody knows."""
    sent: bool = True
    """Whether the first mail was sent in the end."""
    writes_begun: int = 1
    """How often it was written that the file's text comes next."""
    is_cut: bool = False
    """The answer with the file is cut by the gateway."""


FAULTS = {
    "between the answer and its first call": Fault(dies="after:turn"),
    "before a call begins": Fault(dies="before:begin:send_mail"),
    "between begin and effect": Fault(dies="after:begin:send_mail", unknown=("mail0",), sent=False),
    "in a tool, after its effect": Fault(dies="in:send_mail", unknown=("mail0",)),
    "between effect and result": Fault(dies="before:result:send_mail", unknown=("mail0",)),
    "after a result": Fault(dies="after:result:send_mail"),
    "before a file's begin": Fault(dies="before:begin:write_file"),
    "between a file's begin and its text": Fault(dies="after:begin:write_file", writes_begun=2),
    "before a file's temporary file": Fault(dies="opens", writes_begun=2),
    "between a file's text and its result": Fault(dies="before:result:write_file"),
    "between the begin of a cut file and its text": Fault(
        dies="after:begin:write_file", writes_begun=SECTIONS + 1, is_cut=True
    ),
    "between the text of a cut file and its result": Fault(
        dies="before:result:write_file", writes_begun=SECTIONS, is_cut=True
    ),
    "in the removal of what a section replaced": Fault(
        dies="removes", writes_begun=SECTIONS, is_cut=True
    ),
    "before the end": Fault(dies="before:end"),
    "after the end": Fault(dies="after:end"),
}


async def die_at(fault: Fault, *, backend: str = "asyncio") -> Oracle:
    """Let a process die at a place, and go on here.

    Raises:
        AssertionError: What must be true afterwards is not.
    """

    def treat(number: int, reply: Reply) -> Reply:
        if number == 2 and fault.is_cut:
            return cut(reply, at=after_arguments(5_000), by=RESET)
        return reply

    with TemporaryDirectory() as folder:
        async with World(Path(folder), Script(mails=1, apart=True, treat=treat)) as world:
            code, said = await world.ended(world.orders(dies=fault.dies, backend=backend))
            assert code == DIED, f"{code}: {said}{world.errors}"
            result = await world.run_here()
            unknown = tuple(
                message.tool_call_id
                for message in result.messages
                if message.role == "tool" and "is unknown" in message.content
            )
            assert unknown == fault.unknown
            assert (f"{RUN_ID}:mail0" in world.lines(EFFECTS)) is fault.sent
            records = [row.record for row in world.rows()]
            begun = sum(isinstance(r, CallBegun) and r.tool == "write_file" for r in records)
            assert begun == fault.writes_begun, begun
            return await world.check()
