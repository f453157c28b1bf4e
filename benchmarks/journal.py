"""What the journal costs: going on behind a long run, a step, a streamed turn, watching.

    python benchmarks/journal.py                 # or --only resume, step, turn, events

On the disk of the temporary folder (`--folder` for another). Bounds are those of the design; the
figures beside ours are its prototype's, from another day: read ratios before milliseconds.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
from typing_extensions import override

from agentcore import Agent, Local
from agentcore.driving import load
from agentcore.handle import JournalEvent
from agentcore.journal import (
    AttemptEnded,
    CallBegun,
    CallEnded,
    NewRun,
    Noted,
    Record,
    SqliteStore,
    TurnEnded,
)
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, ToolCall, Usage, UserMessage
from agentcore.run import Run
from agentcore.testing import Answer, Call, Gateway, RecordedRequest, Reply, stream
from agentcore.tools import write_file

SIZE = 100_000
RUN = "plan-42"
TEXT = "".join(
    f'{n:05d}. A line of the plan, with é and "quotes".\n' for n in range(SIZE // 47 + 1)
)[:SIZE]
ARGUMENTS = json.dumps({"path": "plan.md", "mode": "create", "content": TEXT}, ensure_ascii=False)

SHORT = '{"path": "a.md", "content": "short"}'
PROSE = json.dumps({"path": "plan.md", "content": f"{'A paragraph of the plan. ' * 16}\n" * 250})


def table(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    print(f"\n### {title}\n\n| | here | bound, or the design's figure |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def turn_rows(number: int, *, arguments: str = ARGUMENTS, tools: int = 1) -> list[Record]:
    """An answer with so many calls of write_file, the first of them large."""
    calls = tuple(
        ToolCall(
            id=f"call{number}-{tool}",
            name="write_file",
            arguments=arguments if tool == 0 else SHORT,
        )
        for tool in range(tools)
    )
    record = AttemptRecord(
        turn=number,
        attempt=1,
        provider="local",
        base_url="http://gateway.test/v1",
        model="some-model",
        outcome="complete",
        decision="accept",
        seconds=12.5,
        received_bytes=3 * SIZE,
        usage=Usage(input_tokens=4_000, output_tokens=30_000),
    )
    return [AttemptEnded(record=record), TurnEnded(message=AssistantMessage(tool_calls=calls))]


def result(number: int, tool: int = 0, *, content: str = "Wrote plan.md.") -> CallEnded:
    return CallEnded(
        call_id=f"call{number}-{tool}",
        tool="write_file",
        content=content,
        changed=True,
        seconds=0.01,
        writes=("plan.md",),
    )


def new(run_id: str = RUN) -> NewRun:
    return NewRun(id=run_id, opening=(UserMessage(content="Write it."),), tools=("write_file",))


# --- going on -------------------------------------------------------------------------------


def resume(folder: Path) -> None:
    """A process opens the journal, reads 1,000 large rows and recalls what they come to."""
    path = folder / ".agentcore" / "runs.db"
    turns = 500
    with closing(SqliteStore(path, synchronous="NORMAL")) as store:
        store.submit(new())
        epoch = store.claim(RUN).epoch
        for number in range(1, turns + 1):
            store.append(RUN, epoch, turn_rows(number), ends_partial=True)
            store.append(RUN, epoch, [result(number, content=TEXT)])
        store.release(RUN, epoch)
    size = path.stat().st_size
    payload = turns * (len(ARGUMENTS.encode()) + len(TEXT.encode()))
    parts: dict[str, list[float]] = {
        "open and load": [],
        "CPU of it": [],
        "recall": [],
        "until the request": [],
    }
    for _ in range(5):
        cpu, begun = time.process_time(), time.perf_counter()
        with closing(SqliteStore(path)) as store:
            run, state = load(store, RUN)
            parts["open and load"].append(time.perf_counter() - begun)
            parts["CPU of it"].append(time.process_time() - cpu)
        assert run.seq == state.seq >= 3 * turns
        del state
        recalled, asked = until_the_request(folder)
        parts["recall"].append(recalled)
        parts["until the request"].append(asked)
    loaded = statistics.median(parts["open and load"])
    recalled = statistics.median(parts["recall"])
    cpu = statistics.median(parts["CPU of it"])
    table(
        f"Going on behind {2 * turns:,} rows of 100 KB ({payload / 1e6:.0f} MB), median of 5",
        [
            (
                "store opened, rows read, folded",
                f"{loaded * 1000:.0f} ms, {cpu * 1000:.0f} ms of CPU",
                "",
            ),
            ("what `Run` recalls of them", f"{recalled * 1000:.1f} ms", ""),
            (
                "both",
                f"{(loaded + recalled) * 1000:.0f} ms",
                told(loaded + recalled, 0.5, "500 ms"),
            ),
            (
                "from `agent.resume` to the turn's request",
                f"{statistics.median(parts['until the request']) * 1000:.0f} ms",
                "",
            ),
            ("the file beside what is in it", f"x {size / payload:.3f}", "x 1.03"),
        ],
    )


def told(value: float, bound: float, shown: str) -> str:
    return f"≤ {shown}: {'kept' if value <= bound else 'BROKEN'}"


class Asked(Exception):
    """The run has come to its first request."""


def until_the_request(folder: Path) -> tuple[float, float]:
    """Seconds that `Run._go_on` takes, and all of it from `resume` to the first request."""
    spent: list[float] = []
    go_on, ask = Run._go_on, Run._turn

    async def timed(*args: Any) -> Any:
        begun = time.perf_counter()
        step = await go_on(*args)
        spent.append(time.perf_counter() - begun)
        return step

    async def stop(*_: Any) -> Any:
        raise Asked

    Run._go_on, Run._turn = timed, stop  # type: ignore[method-assign]
    try:
        begun = time.perf_counter()
        agent = Agent(
            "some-model",
            adapter=Local(base_url="http://127.0.0.1:1/v1"),
            tools=[write_file],
            workspace=folder,
        )
        with suppress(Asked):
            anyio.run(agent.resume, RUN)
        return spent[0], time.perf_counter() - begun
    finally:
        Run._go_on, Run._turn = go_on, ask  # type: ignore[method-assign]


# --- a step ---------------------------------------------------------------------------------


def step(folder: Path) -> None:
    """What is waited for in a turn with two tools: 1 + T to 1 + 2T commits."""
    rows: list[tuple[str, str, str]] = []
    for synchronous in ("FULL", "NORMAL"):
        assert synchronous in ("FULL", "NORMAL")
        path = folder / f"{synchronous}.db"
        with closing(SqliteStore(path, synchronous=synchronous)) as store:  # type: ignore[arg-type]
            store.submit(new())
            epoch = store.claim(RUN).epoch
            writes: dict[str, Callable[[int], Sequence[Record]]] = {
                "turn, two short calls": lambda n: turn_rows(n, arguments=SHORT, tools=2),
                "begin": lambda n: [CallBegun(call_id=f"call{n}-0", tool="t", key=f"k{n}")],
                "result": lambda n: [result(n)],
                "turn, 100 KB": turn_rows,
            }
            waited: dict[str, list[float]] = {name: [] for name in writes}
            spent: dict[str, list[float]] = {name: [] for name in writes}
            for number in range(200):
                for name, rows_of in writes.items():
                    records = rows_of(number)
                    cpu, begun = time.thread_time(), time.perf_counter()
                    store.append(RUN, epoch, records)
                    waited[name].append(time.perf_counter() - begun)
                    spent[name].append(time.thread_time() - cpu)
        for name in writes:
            in_order = sorted(waited[name])
            rows.append(
                (
                    f"{synchronous}: {name}",
                    f"{statistics.median(in_order) * 1000:.2f} ms, "
                    f"p95 {in_order[len(in_order) * 95 // 100] * 1000:.2f} ms, "
                    f"{statistics.median(spent[name]) * 1e6:.0f} µs of CPU",
                    "0.4 to 0.7 ms" if synchronous == "FULL" else "",
                )
            )
    table("One append (200 of each, interleaved)", rows)
    grown(folder)


def grown(folder: Path) -> None:
    """How much the file grows by a 100 KB call whose parts were written while it came."""
    rows = [
        (name, f"x {growth_by(folder / f'{name}.db', arguments):.3f}", "x 1.03")
        for name, arguments in (("prose", PROSE), ("lines of 45 bytes, with quotes", ARGUMENTS))
    ]
    table("Growth by a call of 100 KB, with its parts, its result and the ledger's row", rows)
    print("\nA quote or a line's end is escaped once more in the row: that is 1 or 2 bytes.")


def growth_by(path: Path, arguments: str) -> float:
    """What the file grows by in the end, for each byte of arguments."""
    turns = 200
    line = json.dumps({"call": 0, "id": "c", "name": "write_file", "arguments": arguments[:16_384]})
    with closing(SqliteStore(path, synchronous="NORMAL")) as store:
        store.submit(new())
        epoch = store.claim(RUN).epoch
        before = 0
        for number in range(turns + 1):
            if number == 1:
                before = checkpointed(path)
            for _ in range(len(arguments) // 16_384 + 1):
                store.append_partial(RUN, epoch, line.encode())
            store.append(RUN, epoch, turn_rows(number, arguments=arguments), ends_partial=True)
            store.append(RUN, epoch, [result(number)])
        return (checkpointed(path) - before) / turns / len(arguments.encode())


def checkpointed(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


# --- a streamed turn ------------------------------------------------------------------------


def respond(request: RecordedRequest) -> Reply:
    """A call of 100 KB in 25,000 deltas, and then a word."""
    if request.messages[-1]["role"] == "tool":
        return stream(Answer(text="Done."))
    call = Call(name="write_file", arguments=json.dumps(json.loads(ARGUMENTS)), id="call_1")
    return stream(Answer(calls=(call,)), piece=4)


async def serve() -> None:
    async with Gateway(respond=respond) as gateway:
        print(gateway.base_url, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)  # until the client is gone


def turn(folder: Path, rounds: int) -> None:
    """CPU of a healthy streamed turn, with the journal and without, interleaved."""
    command = [sys.executable, __file__, "--serve"]
    inside: list[float] = []
    spent: dict[bool, list[float]] = {True: [], False: []}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as gateway:
        assert gateway.stdin is not None
        assert gateway.stdout is not None
        base_url = gateway.stdout.readline().strip()
        for number in range(rounds + 2):
            for journalled in (True, False) if number % 2 else (False, True):
                workspace = folder / f"turn-{number}-{journalled}"
                workspace.mkdir()
                store = MeasuredStore(workspace / "runs.db") if journalled else None
                seconds = one_turn(workspace, base_url, store)
                if store is not None:
                    inside.append(store.spent)
                    store.close()
                if number >= 2:  # what is loaded once is no cost of a turn
                    spent[journalled].append(seconds)
        gateway.stdin.close()
    ratios = [a / b for a, b in zip(spent[True], spent[False], strict=True)]
    ratio = statistics.median(spent[True]) / statistics.median(spent[False])
    least = min(spent[True]) / min(spent[False])
    deltas = len(json.dumps(json.loads(ARGUMENTS))) // 4
    table(
        f"CPU of a healthy turn of 100 KB in {deltas:,} deltas, {rounds} rounds, interleaved",
        [
            ("without a journal", f"{statistics.median(spent[False]) * 1000:.0f} ms", "88 ms"),
            ("with one", f"{statistics.median(spent[True]) * 1000:.0f} ms", "91 ms"),
            ("ratio of the medians", f"{ratio:.3f}", told(ratio, 1.05, "1.05")),
            ("ratio of the least", f"{least:.3f}", ""),
            (
                "inside the store, of one with it",
                f"{statistics.median(inside) / statistics.median(spent[True]):.1%}",
                "",
            ),
            (
                "ratio, median of the pairs",
                f"{statistics.median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})",
                "",
            ),
        ],
    )


class MeasuredStore(SqliteStore):
    """Counts the seconds of CPU that are spent in it."""

    spent = 0.0

    @override
    def _writes(self, *, waits: bool = True) -> Any:
        return self._measured(super()._writes(waits=waits))

    @override
    def _reads(self) -> Any:
        return self._measured(super()._reads())

    @contextmanager
    def _measured(self, opened: Any) -> Iterator[Any]:
        begun = time.thread_time()
        with opened as connection:
            yield connection
        self.spent += time.thread_time() - begun


def one_turn(workspace: Path, base_url: str, journal: SqliteStore | None) -> float:
    """Seconds of CPU, all threads."""
    agent = Agent(
        "some-model",
        adapter=Local(base_url=base_url),
        tools=[write_file],
        workspace=workspace,
        journal=journal,
    )

    async def main() -> float:
        begun = time.process_time()
        await agent.run("Write it.", run_id=RUN if journal is not None else None)
        return time.process_time() - begun

    seconds = anyio.run(main)
    assert (workspace / "plan.md").read_text() == TEXT
    return seconds


# --- watching -------------------------------------------------------------------------------


def write_slowly(path: str, rows: int) -> None:
    """A process whose rows say when they were written."""
    with closing(SqliteStore(path)) as store:
        epoch = store.claim(RUN).epoch
        for number in range(rows):
            time.sleep(0.031 + number % 7 * 0.003)
            store.append(RUN, epoch, [Noted(purpose="say", text=repr(time.time()))])


def events(folder: Path) -> None:
    """How late a row is seen in another process, and what a watcher costs that sees none."""
    path = folder / "events.db"
    rows = 150
    late: list[float] = []
    with closing(SqliteStore(path)) as store:
        store.submit(new())
    agent = Agent("some-model", adapter=Local(base_url="http://127.0.0.1:1/v1"), journal=path)

    async def watch() -> None:
        async for event in agent.get_run(RUN).events():
            if isinstance(event, JournalEvent) and isinstance(event.record, Noted):
                late.append(time.time() - float(event.record.text))
                if len(late) == rows:
                    return

    async def idle(seconds: float) -> tuple[float, float]:
        """CPU of a watcher that sees nothing, and of a process that does nothing, as shares."""
        begun = time.process_time()
        await anyio.sleep(seconds)
        nothing = time.process_time() - begun
        begun = time.process_time()
        with anyio.move_on_after(seconds):
            async for _ in agent.get_run(RUN).events(after=rows):
                raise AssertionError("nothing is written")
        return (time.process_time() - begun) / seconds, nothing / seconds

    with subprocess.Popen([sys.executable, __file__, "--write", str(path), str(rows)]) as writer:
        anyio.run(watch)
        writer.wait()
    share, nothing = anyio.run(idle, 5.0)
    in_order = sorted(late)
    table(
        f"events() in another process: {rows} rows",
        [
            (
                "from before the append to the event",
                f"median {statistics.median(late) * 1000:.1f} ms, "
                f"p95 {in_order[rows * 95 // 100] * 1000:.1f} ms",
                "median 10.6 ms",
            ),
            ("an idle watcher", f"{share:.1%} of a core", "1.0 %"),
            ("nobody who watches", f"{nothing:.1%} of a core", ""),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="resume,step,turn,events")
    parser.add_argument("--rounds", type=int, default=15, help="of the turn")
    parser.add_argument("--folder", help="where the files are; the temporary folder")
    parser.add_argument("--serve", action="store_true", help="be the gateway")
    parser.add_argument("--write", nargs=2, help="be the process that writes rows")
    options = parser.parse_args()
    if options.serve:
        anyio.run(serve)
        return
    if options.write:
        write_slowly(options.write[0], int(options.write[1]))
        return
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    works: dict[str, Callable[[Path], None]] = {
        "resume": resume,
        "step": step,
        "turn": lambda folder: turn(folder, options.rounds),
        "events": events,
    }
    for name in options.only.split(","):
        with TemporaryDirectory(dir=options.folder) as folder:
            works[name](Path(folder))


if __name__ == "__main__":
    main()
