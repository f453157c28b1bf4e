"""`JournalConformance`: what every journal store must do, as tests that pytest runs on yours.

    from agentcore.testing.journal_conformance import JournalConformance

    class TestOurs(JournalConformance):
        def store(self, tmp_path):
            return OurStore(tmp_path / "runs")

        def reopened(self, store):
            return OurStore(store.path)

Nothing of it is SQLite's own, but that one test compares your store with it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal
from unittest import SkipTest

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agentcore.agent import Agent
from agentcore.driving import load
from agentcore.errors import JournalError, RunBusy, RunError, RunLost, UnknownRun
from agentcore.handle import JournalEvent
from agentcore.journal import (
    CallBegun,
    JournalStore,
    NewRun,
    Noted,
    Record,
    RunEnded,
    RunResumed,
    SqliteStore,
    Stored,
    StoredRun,
)
from agentcore.messages import JsonObject, Message, SystemMessage, UserMessage
from agentcore.providers import Local
from agentcore.retry import Policy
from agentcore.run import RunResult
from agentcore.testing.answers import Answer, Call, stream
from agentcore.testing.conformance.case import ConformanceError
from agentcore.testing.faults import after_arguments, cut
from agentcore.testing.mortal_store import MortalStore
from agentcore.testing.script import RESET, Reply
from agentcore.testing.scripted import ScriptedModel
from agentcore.testing.server import RecordedRequest
from agentcore.testing.strategies import conversations, records, texts
from agentcore.testing.transport import GatewayTransport
from agentcore.tools import ToolContext, tool, write_file

__all__ = ["JournalConformance"]

RUN: Final = "plan-42"
OPENING: Final[tuple[Message, ...]] = (
    SystemMessage(content="Be brief."),
    UserMessage(content="Write plan.md."),
)
SOON_SECONDS: Final = 10.0
"""What must happen soon is waited for so long."""
CHILD: Final = """
import sys
from importlib import import_module
module, _, name = sys.argv[1].partition(":")
store = getattr(import_module(module), name)(sys.argv[2])
store.claim(sys.argv[3])
print("claimed", flush=True)
sys.stdin.read()
"""


def _demand(holds: bool, problem: str, advice: str) -> None:
    """Raise where something does not hold.

    Raises:
        ConformanceError: Always then; it says what is wrong, and what to change.
    """
    __tracebackhide__ = True
    if not holds:
        raise ConformanceError(f"{problem}\n\nWhat to change: {advice}")


@contextmanager
def _raises(kind: type[Exception], what: str, advice: str) -> Iterator[None]:
    """What is done inside must raise."""
    __tracebackhide__ = True
    try:
        yield
    except kind:
        return
    except Exception as error:
        raise ConformanceError(
            f"{what} raised {type(error).__name__} ({error}), not {kind.__name__}\n\n"
            f"What to change: {advice}"
        ) from error
    raise ConformanceError(
        f"{what} raised nothing, and must raise {kind.__name__}\n\nWhat to change: {advice}"
    )


def _new(run_id: str = RUN, opening: Sequence[Message] = OPENING) -> NewRun:
    return NewRun(id=run_id, opening=tuple(opening), added_system=True, model="m", tools=("a", "b"))


def _said(text: str) -> Noted:
    return Noted(purpose="say", text=text)


def _claimed(store: JournalStore, run_id: str = RUN) -> StoredRun:
    """A new run, claimed."""
    store.submit(_new(run_id))
    return store.claim(run_id)


class JournalConformance:
    """Subclass it under a name that begins with `Test`, give the two hooks, and run pytest."""

    def store(self, tmp_path: Path) -> JournalStore:
        """A store that holds no runs, in this folder or wherever you keep yours."""
        raise NotImplementedError(
            f"{type(self).__name__}.store(tmp_path): give a store that holds no runs"
        )

    def reopened(self, store: JournalStore) -> JournalStore:
        """One more store on the same place, as another process has it; `store` may be closed.

        It shares no connection and no lock with the first.
        """
        raise NotImplementedError(
            f"{type(self).__name__}.reopened(store): give a second store on the place of the first"
        )

    def elsewhere(self, store: JournalStore) -> tuple[str, str] | None:
        """How another process opens a store on the same place; None where that cannot be said.

        Returns:
            `"package.module:name"` of what makes a store of one text, and that text: its path or
            its URL.
        """
        return None

    @contextmanager
    def _two(self, tmp_path: Path) -> Iterator[tuple[JournalStore, JournalStore]]:
        """Two stores on one place."""
        with (
            closing(self.store(tmp_path)) as store,
            closing(self.reopened(store)) as other,
        ):
            for one in (store, other):
                _demand(
                    isinstance(one, JournalStore),
                    f"a {type(one).__name__} is no JournalStore",
                    "have it all methods of `agentcore.journal.JournalStore`.",
                )
            yield store, other

    # --- runs -------------------------------------------------------------------------------

    def test_submitting_twice_is_submitting_once(self, tmp_path: Path) -> None:
        """A run that is there stays as it was entered first, whoever enters it again."""
        with self._two(tmp_path) as (store, other):
            first = store.submit(_new())
            again = other.submit(_new(opening=(UserMessage(content="Something else."),)))
            advice = "`submit` enters a run if there is none of this id, and gives what is there."
            _demand(first.new == _new(), f"submit gave {first.new}, not what was submitted", advice)
            _demand(again == first, f"submitted again it is {again}, and was {first}", advice)
            _demand(store.all() == (RUN,), f"all() is {store.all()}, not one run", advice)
            found = first.seq, first.status, first.owner, first.epoch
            _demand(
                found == (0, "running", "", 0),
                f"a new run has seq, status, owner and epoch {found}",
                "give it 0 rows, status 'running', no owner and epoch 0.",
            )

    def test_many_submit_at_once(self, tmp_path: Path) -> None:
        """Of those who enter a run at once all get the same one."""
        with self._two(tmp_path) as stores, ThreadPoolExecutor(8) as threads:
            openings = [(UserMessage(content=f"Prompt {n}."),) for n in range(8)]
            found = list(
                threads.map(lambda n: stores[n % 2].submit(_new(opening=openings[n])), range(8))
            )
            _demand(
                all(one == found[0] for one in found),
                "those who submitted at once were given different runs",
                "enter and read in one transaction.",
            )

    def test_a_run_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        """Whatever is asked of a run that is not there raises `UnknownRun`, which names the id."""
        asked: dict[str, Callable[[JournalStore], object]] = {
            "get": lambda store: store.get("nobody"),
            "claim": lambda store: store.claim("nobody"),
            "note": lambda store: store.note("nobody", _said("Hello.")),
            "rows": lambda store: store.rows("nobody"),
            "fork": lambda store: store.fork("nobody", "other", after=None),
            "delete": lambda store: store.delete("nobody"),
        }
        with self._two(tmp_path) as (store, _):
            for is_empty in (True, False):
                for name, ask in asked.items():
                    with _raises(
                        UnknownRun,
                        f"{name} of a run that is not there",
                        "raise UnknownRun, also before anything was ever written.",
                    ):
                        try:
                            ask(store)
                        except UnknownRun as error:
                            told = str(error)
                            _demand("nobody" in told, f"{name}: {told!r}", "name the id.")
                            raise
                if is_empty:
                    store.submit(_new())
            _demand(store.all() == (RUN,), f"all() is {store.all()}", "what failed leaves nothing.")

    def test_the_last_written_to_comes_first(self, tmp_path: Path) -> None:
        """`all` gives the ids, the one that was written to last first."""
        with self._two(tmp_path) as (store, other):
            for run_id in ("first", "second", "third"):
                store.submit(_new(run_id))
                time.sleep(0.01)
            other.note("first", _said("Hello."))
            advice = "sort by the time of the last write; a note is one."
            expected = ("first", "third", "second")
            _demand(store.all() == expected, f"all() is {store.all()}, not {expected}", advice)

    def test_delete(self, tmp_path: Path) -> None:
        """A run goes with all its rows, unless it is driven; a new one of its id is new."""
        with self._two(tmp_path) as (store, other):
            claimed = _claimed(store)
            store.append(RUN, claimed.epoch, [_said("one")])
            store.append_partial(RUN, claimed.epoch, b"a part\n")
            for one in (store, other):
                with _raises(RunBusy, "delete of a run that is driven", "look who owns it first."):
                    one.delete(RUN)
            store.release(RUN, claimed.epoch)
            other.delete(RUN)
            with _raises(UnknownRun, "get of a run that was deleted", "delete the run too."):
                store.get(RUN)
            store.submit(_new())
            left = store.rows(RUN), store.partial(RUN), store.get(RUN).epoch
            _demand(
                left == ([], (0, b""), 0),
                f"a new run of a deleted id begins with rows, partial and epoch {left}",
                "delete the rows and the parts with the run.",
            )

    # --- rows -------------------------------------------------------------------------------

    def test_rows_are_numbered_without_gaps(self, tmp_path: Path) -> None:
        """Rows have the numbers from 1 on, in the order in which they were given."""
        with self._two(tmp_path) as (store, other):
            epoch = _claimed(store).epoch
            given = [[_said("1"), _said("2"), _said("3")], [_said("4")], [_said("5"), _said("6")]]
            last = [store.append(RUN, epoch, one) for one in given]
            noted = other.note(RUN, _said("7"))
            last.append(store.append(RUN, epoch, [_said("8")]))
            advice = "count in the run's own row, in the transaction that writes."
            _demand(last == [3, 4, 6, 8] and noted == 7, f"the numbers: {last}, {noted}", advice)
            for one in (store, other):
                _demand(_texts(one.rows(RUN)) == list("12345678"), f"{one.rows(RUN)}", advice)
                seqs = [row.seq for row in one.rows(RUN)]
                _demand(seqs == list(range(1, 9)), f"the rows' numbers: {seqs}", advice)
                after = [row.seq for row in one.rows(RUN, after=6)]
                _demand(after == [7, 8], f"rows(after=6) are {after}", "give those above it.")
                _demand(one.rows(RUN, after=8) == [], "rows(after=8) gave some", "give none.")
                seq = one.get(RUN).seq
                _demand(seq == 8, f"the run's seq is {seq}, not 8", "it is the last row's number.")

    def test_rows_are_written_all_or_none(self, tmp_path: Path) -> None:
        """When one of several rows cannot be written, none is, and the run goes on."""
        with self._two(tmp_path) as (store, other):
            epoch = _claimed(store).epoch
            store.append(RUN, epoch, [_said("one")])
            store.append_partial(RUN, epoch, b"a part\n")
            before = other.get(RUN)
            advice = "encode all rows first, and write them with the rest in one transaction."
            no_json: JsonObject = {"at": object()}  # type: ignore[dict-item]
            bad = CallBegun(call_id="a", tool="pay", key="k", evidence=no_json)
            with _raises(Exception, "append of a row that has no JSON", advice):
                store.append(RUN, epoch, [_said("two"), bad], ends_partial=True, status="failed")
            found = other.get(RUN), other.partial(RUN), _texts(other.rows(RUN))
            _demand(found == (before, (1, b"a part\n"), ["one"]), f"it left {found}", advice)
            _demand(store.append(RUN, epoch, [_said("two")]) == 2, "the next is not 2", advice)

    def test_status_and_times(self, tmp_path: Path) -> None:
        """A status is written with its rows; rows keep their times, in seconds since the epoch."""
        with self._two(tmp_path) as (store, other):
            begun = time.time()
            epoch = _claimed(store).epoch
            store.append(RUN, epoch, [_said("one")])
            _demand(other.get(RUN).status == "running", "status changed", "leave it with None.")
            end = RunEnded(status="done", text="Done.")
            store.append(RUN, epoch, [end], status="done")
            run = other.get(RUN)
            _demand(run.status == "done", f"status is {run.status!r}", "write it with the rows.")
            at = [row.at for row in other.rows(RUN)]
            times = [run.created_at, *at, run.updated_at]
            is_now = all(begun - 1 <= one <= time.time() + 1 for one in times)
            _demand(is_now and at == sorted(at), f"the times are {times}", "seconds since 1970.")
            other.note(RUN, _said("And now?"))
            again = [row.at for row in store.rows(RUN)][:2]
            _demand(again == at, f"the rows were of {at}, and are of {again}", "keep their times.")
            _demand(other.get(RUN).status == "done", "a note changed the status", "leave it.")

    def test_what_is_written_comes_back_equal(self, tmp_path: Path) -> None:
        """Any record, and any opening, comes back as it was: NUL, emoji, line ends, 1 MB."""
        number = count()
        awkward = "a\0b\r\n\x85\u2028\ufeff\uffff😀é漢"

        with self._two(tmp_path) as (store, other):

            @settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
            @given(st.lists(records(), min_size=1, max_size=5), conversations(), texts())
            @example([_said(awkward)], [UserMessage(content=awkward)], awkward)
            @example([_said(awkward * 65_536)], [UserMessage(content=awkward * 65_536)], "large")
            def come_back(rows: list[Record], opening: list[Message], tail: str) -> None:
                run_id = f"run {next(number)}"
                new = _new(run_id, opening or OPENING)
                store.submit(new)
                epoch = store.claim(run_id).epoch
                store.append(run_id, epoch, rows)
                store.append_partial(run_id, epoch, tail.encode())
                advice = "keep bodies as the JSON text that `body_of` gives, byte for byte."
                back = [row.record for row in other.rows(run_id)]
                _demand(back == rows, f"written:   {rows}\ncame back: {back}", advice)
                found = other.get(run_id).new
                _demand(found == new, f"submitted: {new}\ncame back: {found}", advice)
                part = other.partial(run_id)
                _demand(part == (1, tail.encode()), f"{part} came back", "keep parts as bytes.")
                store.release(run_id, epoch)

            come_back()

    def test_notes_while_others_write(self, tmp_path: Path) -> None:
        """A note needs no ownership and gets the next number, also while another appends."""
        with self._two(tmp_path) as (store, other), ThreadPoolExecutor(5) as threads:
            epoch = _claimed(store).epoch
            writes: list[Callable[[], int]] = [
                lambda: store.append(RUN, epoch, [_said("a row")]),
                lambda: store.note(RUN, _said("a note")),
                lambda: other.note(RUN, _said("noted elsewhere")),
            ]

            def often(write: Callable[[], int]) -> list[int]:
                return [write() for _ in range(20)]

            kinds = [threads.submit(often, write) for write in writes]
            seqs = [seq for kind in kinds for seq in kind.result()]
            advice = "take the number and write the row in one transaction that others wait for."
            _demand(sorted(seqs) == list(range(1, 61)), f"numbers given: {sorted(seqs)}", advice)
            rows = [row.seq for row in other.rows(RUN)]
            _demand(rows == list(range(1, 61)), f"numbers of the rows: {rows}", advice)
            for kind in kinds:
                in_order = kind.result() == sorted(kind.result())
                _demand(in_order, "a later row has a smaller number", advice)

    # --- ownership --------------------------------------------------------------------------

    def test_a_run_has_one_owner(self, tmp_path: Path) -> None:
        """A run that is driven cannot be claimed, in the same store or another; released it can."""
        with self._two(tmp_path) as (store, other):
            claimed = _claimed(store)
            _demand(
                claimed.epoch == 1 and bool(claimed.owner),
                f"claimed for the first time it has epoch {claimed.epoch!r}, "
                f"owner {claimed.owner!r}",
                "count the epoch up in `claim`, and write who owns it.",
            )
            advice = "refuse while the owner lives, whichever store asks."
            for one in (store, other):
                _demand(one.is_owned(one.get(RUN)), "is_owned() is False of a driven run", advice)
                with _raises(RunBusy, "claim of a run that is driven", advice):
                    one.claim(RUN)
            store.release(RUN, claimed.epoch)
            run = other.get(RUN)
            advice = "`release` removes the owner; who reads that knows that nobody died."
            _demand(not run.owner, f"released it is still of {run.owner!r}", advice)
            _demand(not other.is_owned(run), "released it is still owned", advice)
            again = other.claim(RUN)
            _demand(again.epoch == 2, f"its epoch is {again.epoch}, not 2", "count it up.")
            with _raises(RunBusy, "claim of a run that another store drives", advice):
                store.claim(RUN)

    def test_many_claim_at_once(self, tmp_path: Path) -> None:
        """Of those who claim a run at once one gets it, each time; no epoch is given twice."""
        with self._two(tmp_path) as stores, ThreadPoolExecutor(8) as threads:
            stores[0].submit(_new())

            def claim(n: int) -> int:
                try:
                    return stores[n % 2].claim(RUN).epoch
                except RunBusy:
                    return 0

            for round_ in range(1, 6):
                got = sorted(threads.map(claim, range(8)))
                _demand(
                    got == [0] * 7 + [round_],
                    f"eight claimed at once, and got the epochs {got}",
                    "look who owns it and write the new owner in one transaction.",
                )
                for store in stores:
                    if store.is_owned(store.get(RUN)):
                        store.release(RUN, round_)

    def test_who_lost_the_run_writes_nothing(self, tmp_path: Path) -> None:
        """With the epoch of a claim that is over nothing is written, and `RunLost` is raised."""
        with self._two(tmp_path) as (store, other):
            old = _claimed(store).epoch
            store.append(RUN, old, [_said("one")])
            store.release(RUN, old)
            new = other.claim(RUN).epoch
            other.append_partial(RUN, new, b"theirs\n")
            before = other.get(RUN)
            advice = "assert the epoch in the transaction that writes, also for parts."
            with _raises(RunLost, "append with an old epoch", advice):
                store.append(RUN, old, [_said("two")], ends_partial=True, status="failed")
            with _raises(RunLost, "append_partial with an old epoch", advice):
                store.append_partial(RUN, old, b"ours\n")
            found = other.get(RUN), _texts(other.rows(RUN)), other.partial(RUN)
            _demand(found == (before, ["one"], (1, b"theirs\n")), f"it left {found}", advice)

    def test_releasing_what_was_lost_changes_nothing(self, tmp_path: Path) -> None:
        """A release with an old epoch leaves the claim that came after it alone."""
        for own in (False, True):
            with self._two(tmp_path / str(own) if own else tmp_path) as (store, other):
                run_id = f"own-{own}"
                old = _claimed(store, run_id).epoch
                store.release(run_id, old)
                holder = store if own else other
                new = holder.claim(run_id).epoch
                store.release(run_id, old)
                advice = "release the claim of this epoch and no other."
                for one in (store, other):
                    with _raises(RunBusy, "claim after a release with an old epoch", advice):
                        one.claim(run_id)
                holder.append(run_id, new, [_said("still mine")])
                holder.release(run_id, new)

    def test_a_run_whose_store_is_closed_is_free(self, tmp_path: Path) -> None:
        """Closing a store lets its runs go, as the death of its process does."""
        with self._two(tmp_path) as (store, other):
            owner = _claimed(store).owner
            store.close()
            store.close()
            run = other.get(RUN)
            advice = "drop the lock in `close`, and leave the owner's id: that tells that it died."
            _demand(run.owner == owner, f"the owner is {run.owner!r}, and was {owner!r}", advice)
            _demand(not other.is_owned(run), "its run is still owned", advice)
            _demand(other.claim(RUN).epoch == 2, "it was not claimed anew", advice)

    def test_a_run_whose_process_was_killed_is_free(self, tmp_path: Path) -> None:
        """While another process drives a run it is busy; once that is killed, it is not."""
        with self._two(tmp_path) as (store, _):
            place = self.elsewhere(store)
            if place is None:
                raise SkipTest(
                    f"{type(self).__name__}.elsewhere() does not say how another process opens it"
                )
            store.submit(_new())
            with self._child(*place) as child:
                assert child.stdout is not None
                line = child.stdout.readline()
                if line.strip() != "claimed":
                    child.kill()
                    _demand(
                        False, f"the child said: {child.communicate()[1]}", "look at its error."
                    )
                busy = "claim of a run that another process drives"
                with _raises(RunBusy, busy, "see who lives."):
                    store.claim(RUN)
                if sys.platform != "win32":
                    os.kill(child.pid, signal.SIGSTOP)
                    with _raises(RunBusy, f"{busy}, which is stopped", "a stopped one lives."):
                        store.claim(RUN)
                child.kill()
                child.wait()
            dead = store.get(RUN)
            _demand(bool(dead.owner), "no owner is left", "who dies leaves the run as it is.")
            claimed = _soon(lambda: store.claim(RUN))
            _demand(claimed.epoch == 2, f"its epoch is {claimed.epoch}", "count it up.")
            _demand(claimed.owner != dead.owner, "its owner is the dead one", "write the new one.")

    @contextmanager
    def _child(self, factory: str, place: str) -> Iterator[subprocess.Popen[str]]:
        """A process that claims the run and waits."""
        path = os.pathsep.join(folder for folder in sys.path if folder)
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, factory, place, RUN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        ) as child:
            try:
                yield child
            finally:
                child.kill()

    # --- what arrives, copies ---------------------------------------------------------------

    def test_parts_of_an_answer(self, tmp_path: Path) -> None:
        """Parts are read from any of them on; the row that ends the answer takes them with it."""
        with self._two(tmp_path) as (store, other):
            epoch = _claimed(store).epoch
            advice = "count all parts, and give those after it, joined in order."
            parts = [b"one\n", b"two \0\xff\n", b"three\n"]
            _demand(store.partial(RUN) == (0, b""), "a new run has parts", "it has none.")
            for part in parts:
                store.append_partial(RUN, epoch, part)
            for after in range(4):
                found = other.partial(RUN, after)
                expected = 3, b"".join(parts[after:])
                _demand(found == expected, f"partial({after}) is {found}, not {expected}", advice)
            store.append(RUN, epoch, [_said("a row between")])
            _demand(other.partial(RUN)[0] == 3, "a row took them", "only with ends_partial=True.")
            seq = store.append(RUN, epoch, [_said("the answer")], ends_partial=True)
            _demand(seq == 2, f"its number is {seq}, not 2", "a part is no row.")
            advice = "delete the parts in the transaction of the row, and count from 1 again."
            _demand(other.partial(RUN) == (0, b""), f"{other.partial(RUN)} is left", advice)
            store.append_partial(RUN, epoch, b"another answer\n")
            found = other.partial(RUN, 3)
            _demand(found[0] == 1, f"of another answer there are {found[0]} parts, not 1", advice)
            _demand(other.partial(RUN) == (1, b"another answer\n"), "it has other parts", advice)

    def test_fork(self, tmp_path: Path) -> None:
        """A copy has the rows, and nothing else of the run: nobody's, running, without parts."""
        with self._two(tmp_path) as (store, other):
            epoch = _claimed(store).epoch
            end = RunEnded(status="done", text="Done.")
            store.append(RUN, epoch, [_said("one"), _said("two"), end], status="done")
            store.append_partial(RUN, epoch, b"a part\n")
            rows = other.rows(RUN)
            advice = "copy the rows through `after`; with None all but the end. Nothing else."
            for new_id, after, kept in (("all", None, 2), ("one", 1, 1), ("none", 0, 0)):
                forked = other.fork(RUN, new_id, after=after)
                found = forked.seq, forked.status, forked.owner, forked.epoch
                expected = (kept, "running", "", 0)
                _demand(found == expected, f"after={after}: seq, status, … are {found}", advice)
                _demand(forked.new == _new(new_id), f"it was submitted as {forked.new}", advice)
                copied = store.rows(new_id)
                _demand(copied == rows[:kept], f"after={after}: its rows are {copied}", advice)
                _demand(store.partial(new_id) == (0, b""), "it has parts", advice)
            _demand(store.append(RUN, epoch, [_said("on")]) == 4, "the first is changed", advice)
            seq = other.append("one", other.claim("one").epoch, [_said("elsewhere")])
            _demand(seq == 2, f"the next row of the copy is {seq}, not 2", "count on from there.")
            with _raises(JournalError, "fork to an id that is there", "refuse it."):
                store.fork(RUN, "one", after=None)
            _demand(
                _texts(store.rows("one")) == ["one", "elsewhere"], "it wrote", "change nothing."
            )

    # --- watching ---------------------------------------------------------------------------

    def test_changed_on_asyncio(self, tmp_path: Path) -> None:
        """`changed` returns when this store or another has written, and waits until then."""
        self._watch(tmp_path, "asyncio")

    def test_changed_on_trio(self, tmp_path: Path) -> None:
        """The same on trio."""
        if find_spec("trio") is None:
            raise SkipTest("trio is not installed")
        self._watch(tmp_path, "trio")

    def _watch(self, tmp_path: Path, backend: Literal["asyncio", "trio"]) -> None:
        with self._two(tmp_path) as (store, other):
            for writer, watcher in ((other, store), (store, store)):
                run_id = f"of-{'another' if writer is other else 'this'}"
                anyio.run(_wakes, watcher, writer, run_id, backend=backend)
            anyio.run(_waits, store, backend=backend)

    def test_events_elsewhere(self, tmp_path: Path) -> None:
        """Who watches by another store gets each row once, in order, until the run ends."""
        with self._two(tmp_path) as (store, other):
            store.submit(_new())
            seen = anyio.run(_watched, store, other)
            expected = [(number, str(number)) for number in range(1, 31)]
            advice = "`changed` must not miss a write that came after the call it is given."
            _demand(seen == expected, f"seen: {seen}", advice)

    # --- whole ------------------------------------------------------------------------------

    def test_a_sound_store_has_nothing_to_say(self, tmp_path: Path) -> None:
        """`check` finds nothing, in an empty store or a full one."""
        with self._two(tmp_path) as (store, other):
            advice = "`check` names what is wrong, and only that."
            _demand(store.check() == [], f"of an empty store: {store.check()}", advice)
            epoch = _claimed(store).epoch
            store.append(RUN, epoch, [_said("one"), RunResumed(after_crash=True)])
            store.append_partial(RUN, epoch, b"a part\n")
            other.fork(RUN, "copy", after=1)
            _demand(other.check() == [], f"of a sound store: {other.check()}", advice)

    def test_an_agents_run(self, tmp_path: Path) -> None:
        """An agent's run comes to the same as with `SqliteStore`; asked for again, at once."""
        with (
            self._two(tmp_path) as (own, _),
            closing(SqliteStore(tmp_path / "sqlite" / "runs.db")) as sqlite,
        ):
            found: list[object] = []
            advice = "rows come back equal and in order."
            for name, store in (("here", own), ("sqlite", sqlite)):
                workspace = tmp_path / name
                workspace.mkdir()
                result = anyio.run(_run, workspace, store)
                again = anyio.run(_run, workspace, store)
                _demand(again == result, f"it came to {result}\nand is read as {again}", advice)
                _check_world(workspace, result, store, name)
                kinds = [row.record.kind for row in store.rows(RUN)]
                decisions = [record.decision for record in result.attempts]
                found.append((result.text, result.messages, decisions, kinds))
            _demand(found[0] == found[1], f"here:   {found[0]}\nSQLite: {found[1]}", advice)

    def test_any_prefix_of_a_run_can_be_gone_on_with(self, tmp_path: Path) -> None:
        """An agent's process dies at any write, before it or after: the run ends all the same."""
        number = 1
        while self._dies_at(tmp_path, number, "before"):
            self._dies_at(tmp_path, number, "after")
            number += 1
        _demand(number > 8, f"it had {number - 1} writes", "let every row be one.")

    def _dies_at(self, tmp_path: Path, number: int, when: Literal["before", "after"]) -> bool:
        """Whether the run came to this write; what it left behind is gone on with."""
        advice = "a write is whole or not at all, and what it wrote is there for the next process."
        told = f"dead {when} write {number}"
        with TemporaryDirectory(dir=tmp_path) as folder:
            workspace = Path(folder) / "work"
            workspace.mkdir()
            with closing(MortalStore(self.store(Path(folder)), dies_at=number, when=when)) as store:
                try:
                    anyio.run(_run, workspace, store)
                except (JournalError, RunError):
                    if not store.is_dead:
                        raise
                has_died = store.is_dead
            with closing(self.reopened(store.store)) as other:
                try:
                    result = anyio.run(_run, workspace, other)
                except Exception as error:
                    raise ConformanceError(
                        f"{told}: the next process raised {type(error).__name__}: {error}\n\n"
                        f"What to change: {advice}"
                    ) from error
                _check_world(workspace, result, other, told)
        return has_died


def _texts(rows: Sequence[Stored]) -> list[str]:
    return [row.record.text for row in rows if isinstance(row.record, Noted)]


def _soon(ask: Callable[[], StoredRun]) -> StoredRun:
    """Ask until it is not busy: a server may take a moment to see that a connection is gone."""
    begun = time.monotonic()
    while True:
        try:
            return ask()
        except RunBusy as error:
            if time.monotonic() - begun > SOON_SECONDS:
                raise ConformanceError(
                    f"{SOON_SECONDS:.0f} s after its process was killed: {error}\n\n"
                    "What to change: tie the ownership to what the system takes from the dead."
                ) from None
            time.sleep(0.05)


# --- watching -------------------------------------------------------------------------------


async def _wakes(watcher: JournalStore, writer: JournalStore, run_id: str) -> None:
    """Every kind of write is seen."""
    epoch = 0
    writes: dict[str, Callable[[], object]] = {
        "submit": lambda: writer.submit(_new(run_id)),
        "claim": lambda: writer.claim(run_id),
        "append": lambda: writer.append(run_id, epoch, [_said("one")]),
        "append_partial": lambda: writer.append_partial(run_id, epoch, b"a part\n"),
        "note": lambda: writer.note(run_id, _said("two")),
    }
    for name, write in writes.items():
        seen = await watcher.changed(None)
        woke = anyio.Event()

        async def watch(seen: object = seen, woke: anyio.Event = woke) -> None:
            await watcher.changed(seen)
            woke.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.sleep(0.01)
            written = await anyio.to_thread.run_sync(write)
            if isinstance(written, StoredRun):
                epoch = written.epoch
            with anyio.move_on_after(SOON_SECONDS):
                await woke.wait()
            tasks.cancel_scope.cancel()
        problem = f"{name} was not seen within {SOON_SECONDS:.0f} s"
        _demand(woke.is_set(), problem, "`changed` returns after any commit, of any store.")


async def _waits(store: JournalStore) -> None:
    """Nothing is written: it does not spin, and it can be cancelled."""
    returned = 0
    seen = await store.changed(None)
    with anyio.move_on_after(0.3):
        while True:
            seen = await store.changed(seen)
            returned += 1
    problem = f"it returned {returned} times in 0.3 s in which nothing was written"
    _demand(returned <= 30, problem, "`changed` waits until something may have been written.")


async def _watched(store: JournalStore, other: JournalStore) -> list[tuple[int, str]]:
    """What a watcher sees of thirty rows and an end, which come in bursts."""
    seen: list[tuple[int, str]] = []
    agent = Agent("m", adapter=Local(base_url="http://endpoint.test/v1"), journal=other)

    async def watch() -> None:
        async for event in agent.get_run(RUN).events():
            match event:
                case JournalEvent(seq=seq, record=Noted(text=text)):
                    seen.append((seq, text))
                case _:
                    pass

    def write() -> None:
        epoch = store.claim(RUN).epoch
        for number in range(1, 31):
            store.append(RUN, epoch, [_said(str(number))])
            time.sleep(0.005 if number % 3 else 0)
        store.append(RUN, epoch, [RunEnded(status="done", text="")], status="done")
        store.release(RUN, epoch)

    with anyio.move_on_after(3 * SOON_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.to_thread.run_sync(write)
    return seen


# --- an agent's run -------------------------------------------------------------------------

TEXT: Final = "".join(
    f"{number:04d} a line of the plan, nothing special\n" for number in range(700)
)
BELL: Final = "bell.log"
RING: Final = Call(name="ring", arguments="{}", id="ring1")


@tool
def ring(context: ToolContext) -> str:
    """Ring the bell. It must not be rung twice."""
    with (context.workspace / BELL).open("a") as file:
        file.write(f"{context.key}\n")
    return "rung"


async def _run(workspace: Path, store: JournalStore) -> RunResult:
    """A bell is rung, and a file is written whose text is cut once."""
    agent = Agent(
        "some-model",
        adapter=Local(base_url="http://endpoint.test/v1"),
        tools=(ring, write_file),
        workspace=workspace,
        policy=Policy(max_attempts=12),
        journal=store,
        transport=GatewayTransport(respond=_respond),
        sleep=_no_wait,
        roll=lambda: 0.5,
    )
    return await agent.run("Ring the bell, then write plan.md.", run_id=RUN)


def _respond(request: RecordedRequest) -> Reply:
    """A model that sees the request and nothing else, like any."""
    said = [message for message in request.messages if "ring1" not in str(message)]
    if len(said) == len(request.messages):
        return stream(Answer(text="First the bell.", calls=(RING,)))
    model = ScriptedModel(path="plan.md", text=TEXT)
    reply = stream(model({**request.body, "messages": [*said]}))
    is_first = not any(message["role"] == "assistant" for message in said)
    return cut(reply, at=after_arguments(20_000), by=RESET) if is_first else reply


async def _no_wait(seconds: float) -> None:
    await checkpoint()


def _check_world(workspace: Path, result: RunResult, store: JournalStore, told: str) -> None:
    """What is true when a run is done, however often its process has died."""
    advice = "a row that was written is there, and one that was refused is not."
    written = (workspace / "plan.md").read_text()
    _demand(written == TEXT, f"{told}: plan.md is not what was sent", advice)
    bell = workspace / BELL
    rung = bell.read_text().split() if bell.exists() else []
    _demand(len(rung) <= 1, f"{told}: the bell was rung {len(rung)} times", advice)
    answers = [m for m in result.messages if m.role == "tool" and m.tool_call_id == "ring1"]
    _demand(len(answers) == 1, f"{told}: its call has {len(answers)} results", advice)
    is_true = answers[0].is_error or len(rung) == 1
    _demand(is_true, f"{told}: told as rung, and was not", advice)
    run, state = load(store, RUN)
    rows = store.rows(RUN)
    _demand(
        [row.seq for row in rows] == list(range(1, run.seq + 1)) and state.seq == run.seq,
        f"{told}: the rows' numbers are {[row.seq for row in rows]}, the last is {run.seq}",
        advice,
    )
    _demand(store.check() == [], f"{told}: check() says {store.check()}", advice)
