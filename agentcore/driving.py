"""A named run is driven: claimed, gone on with from its rows, and given up again."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from agentcore.errors import ConfigurationError, JournalError, RunBusy, RunError
from agentcore.guidance import CancelledGuidance, Templates
from agentcore.journal import (
    JournalStore,
    NewRun,
    RunEnded,
    RunResumed,
    RunState,
    StoredRun,
    fold,
    fold_on,
)
from agentcore.journal.writing import RunJournal
from agentcore.kinds import ErrorKind
from agentcore.ledger import Unfinished
from agentcore.live import partial_of
from agentcore.messages import Message, ToolMessage, Usage

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from agentcore.run import Run, RunResult
    from agentcore.settings import Settings

__all__ = [
    "Starter",
    "cancelled_end",
    "check_given",
    "check_run_id",
    "drive",
    "error_of",
    "load",
    "result_of",
]

MAX_ID_CHARACTERS: Final = 200
MAX_SHOWN_CHARACTERS: Final = 200
"""Of a prompt, in an error that shows two."""
WAIT_SECONDS: Final = 0.5
"""How often `drive` looks whether the run that another process drives is free."""

_log = logging.getLogger("agentcore")

Starter = Callable[[RunJournal], "AbstractAsyncContextManager[Run]"]
"""Makes a run that writes this journal, on connections that are closed when it is left."""


async def drive(
    store: JournalStore,
    run_id: str,
    settings: "Settings",
    start: Starter,
    *,
    goes_on_from: frozenset[str] = frozenset(),
    waits: bool = False,
) -> "RunResult":
    """Carry a run of the journal to its end, or give the end that it has.

    Args:
        store: The journal.
        run_id: A run that is in it.
        settings: The agent's, to be compared with those that the run was submitted with.
        start: Makes the run.
        goes_on_from: The ends that are none: `failed`, `cancelled`.
        waits: While somebody else drives it, wait; else raise.

    Raises:
        RunBusy: Somebody else drives it.
        RunLost: Somebody else has taken it over.
        RunError: It ended so, now or before.
        UnknownRun: There is none of this id.
    """
    while True:
        if waits and not await anyio.to_thread.run_sync(_is_free, store, run_id):
            await anyio.sleep(WAIT_SECONDS)
            continue
        run, state = await anyio.to_thread.run_sync(load, store, run_id)
        if _has_ended(state, goes_on_from):
            return _end_of(state)
        claimed = await _claimed(store, run_id, waits=waits)
        if claimed is not None:
            break
        await anyio.sleep(WAIT_SECONDS)
    try:
        # Until the claim somebody else may have written, or have driven the run and left it.
        state = fold_on(state, await anyio.to_thread.run_sync(store.rows, run_id, state.seq))
        if _has_ended(state, goes_on_from):
            return _end_of(state)
        after_crash = bool(run.owner) and state.end is None
        _, lines = await anyio.to_thread.run_sync(store.partial, run_id)
        arrived = partial_of(lines.split(b"\n")[:-1])
        journal = RunJournal(store, claimed, state, arrived, after_crash=after_crash)
        if claimed.epoch > 1:
            changed = _changed(claimed.new, settings)
            resumed = RunResumed(after_crash=after_crash, changed=changed)
            await journal.append(resumed, status="running")
        async with start(journal) as begun:
            return await _watched(begun, journal, state.messages())
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_release, store, claimed)


def _release(store: JournalStore, claimed: StoredRun) -> None:
    """Give a run up. Where that cannot be written, the lock goes all the same."""
    try:
        store.release(claimed.id, claimed.epoch)
    except JournalError as error:
        _log.warning("run %r could not be given up: %s", claimed.id, error)


async def _claimed(store: JournalStore, run_id: str, *, waits: bool) -> StoredRun | None:
    """The run, claimed; None where somebody else drives it, who is to be waited for."""
    claim = _Claim(store, run_id)
    try:
        return await anyio.to_thread.run_sync(claim.make)
    except RunBusy:
        if not waits:
            raise
        return None
    except BaseException:
        claim.leave()
        raise


class _Claim:
    """A claim that is made in a thread, and given up again where nobody waits for it any more.

    A task that asyncio itself cancels (`asyncio.timeout`, `task.cancel()`) leaves the thread alone:
    the run would count as driven for as long as this process lives.
    """

    def __init__(self, store: JournalStore, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._lock = threading.Lock()
        self._made: StoredRun | None = None
        self._is_left = False

    def make(self) -> StoredRun:
        """Claim the run."""
        claimed = self._store.claim(self._run_id)
        with self._lock:
            self._made = claimed
            if self._is_left:
                self._give_up()
        return claimed

    def leave(self) -> None:
        """Nobody will drive the run by this claim, whether it is made already or not."""
        with self._lock:
            self._is_left = True
            self._give_up()

    def _give_up(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            _release(self._store, made)


async def _watched(run: "Run", journal: RunJournal, conversation: list[Message]) -> "RunResult":
    """Run to the end, unless somebody asks for it before."""
    outcome: list[RunResult] = []
    failure: list[BaseException] = []
    reasons: list[str] = []

    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            reasons.append(await journal.wait_for_cancel())
            tasks.cancel_scope.cancel()

        async def work() -> None:
            try:
                outcome.append(await run.to_the_end(conversation))
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                failure.append(error)  # raised below, outside: a task group would wrap it
            tasks.cancel_scope.cancel()

        if journal.state.is_cancelled:
            reasons.append(journal.state.cancel_reason)
        else:
            tasks.start_soon(watch)
            await work()
    if failure:
        raise failure[0]
    if outcome:
        return outcome[0]
    raise await _cancelled(journal, reasons[0] if reasons else "")


async def _cancelled(journal: RunJournal, reason: str) -> RunError:
    """Write that the run was ended from outside; what is raised for it."""
    await journal.append(cancelled_end(reason), ends_partial=True, status="cancelled")
    state = await journal.reload()
    return error_of(state)


def _is_free(store: JournalStore, run_id: str) -> bool:
    """Nobody who lives drives the run. Its rows, which may be many, are not read."""
    return not store.is_owned(store.get(run_id))


def _has_ended(state: RunState, goes_on_from: frozenset[str]) -> bool:
    """It has an end that is one: only of a run that is done, what is said to it makes none."""
    if state.end is None or state.end.status in goes_on_from:
        return False
    return state.end.status != "done" or not state.notes


def load(store: JournalStore, run_id: str) -> tuple[StoredRun, RunState]:
    """A run and the state that its rows come to."""
    run = store.get(run_id)
    return run, fold(run.new.opening, store.rows(run_id))


# --- what is checked ------------------------------------------------------------------------


def check_run_id(run_id: str) -> str:
    """The id of a run.

    Raises:
        ConfigurationError: It cannot be one.
    """
    is_text = isinstance(run_id, str)
    if not is_text or not run_id.strip() or not run_id.isprintable():
        raise ConfigurationError(
            f"run_id={run_id!r}: give a text of printable characters, as in run_id='plan-42'"
        )
    if len(run_id) > MAX_ID_CHARACTERS:
        raise ConfigurationError(
            f"run_id={run_id[:40]!r}…: {len(run_id)} characters; at most {MAX_ID_CHARACTERS}"
        )
    return run_id


def check_given(stored: StoredRun, given: Sequence[Message]) -> None:
    """The run of this id was asked for the same.

    Raises:
        ConfigurationError: It was asked for something else; both are shown.
    """
    if stored.new.given == tuple(given):
        return
    raise ConfigurationError(
        f"run_id={stored.id!r} was given another prompt before.\n"
        f"  then: {_shown(stored.new.given)}\n"
        f"  now:  {_shown(given)}\n"
        "Give the new prompt another run_id; or go on with the old one by "
        f"agent.resume({stored.id!r}), and say more by agent.send({stored.id!r}, …)."
    )


def _shown(messages: Sequence[Message]) -> str:
    text = " ".join(messages[-1].content.split()) if messages else ""
    more = f" (after {len(messages) - 1} messages)" if len(messages) > 1 else ""
    shortened = text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"
    return f"{shortened!r}{more}"


def _changed(new: NewRun, settings: "Settings") -> str:
    """What is set otherwise than when the run was submitted, in words."""
    told: list[str] = []
    model = settings.endpoints[0].name
    if new.model and new.model != model:
        told.append(f"the model was {new.model} and is {model}")
    if gone := sorted(set(new.tools) - {tool.name for tool in settings.tools}):
        told.append(f"no longer on offer: {', '.join(gone)}")
    free = {tool.name for tool in settings.tools if not tool.needs_approval}
    if unasked := sorted(set(new.asks) & free):
        told.append(f"no longer asked about: {', '.join(unasked)}")
    return "; ".join(told)


# --- ends -----------------------------------------------------------------------------------


def _end_of(state: RunState) -> "RunResult":
    """The result that a run ended with.

    Raises:
        RunError: It ended with one.
    """
    assert state.end is not None
    if state.end.status == "done":
        return result_of(state)
    raise error_of(state)


def result_of(state: RunState) -> "RunResult":
    """The result of a run that is done."""
    # The loop is loaded by who runs, or asks for a result: who lists runs does not wait for it.
    from agentcore.run import RunResult

    assert state.end is not None
    reported = (record.usage for record in state.ledger if record.usage is not None)
    return RunResult(
        text=state.end.text,
        messages=tuple(state.messages()),
        usage=sum(reported, start=Usage()),
        attempts=tuple(state.ledger),
        drafts=state.end.drafts,
    )


def cancelled_end(reason: str) -> RunEnded:
    """The row of a run that somebody ended."""
    text = f"The run was cancelled{f': {reason}' if reason else ''}."
    return RunEnded(status="cancelled", text=text, error_kind=ErrorKind.CANCELLED)


def error_of(state: RunState) -> RunError:
    """What is raised for a run that ended otherwise."""
    assert state.end is not None
    is_cancelled = state.end.status == "cancelled"  # by someone who knows of no drafts
    return RunError(
        state.end.text,
        kind=ErrorKind(state.end.error_kind) if state.end.error_kind else None,
        attempts=tuple(state.ledger),
        messages=tuple(_closed(state)),
        drafts=_unfinished(state) if is_cancelled else state.end.drafts,
    )


def _unfinished(state: RunState) -> tuple[Unfinished, ...]:
    """Cut texts that no whole call has gone on from, oldest first."""
    found: dict[str, Unfinished] = {}
    for turn in state.answers():
        for result in turn.results.values():
            if (one := result.unfinished) is not None:
                found[one.draft_id or one.target] = one
            for key in result.finishes:
                found.pop(key, None)
    return tuple(found.values())


def _closed(state: RunState) -> list[Message]:
    """The conversation, valid to go on from: a call that has no result is answered.

    Only a cancelled run ends before its calls are answered.
    """
    conversation = state.messages()
    left = state.open_turn
    if left is not None:
        conversation += [
            ToolMessage(
                tool_call_id=call.id,
                name=call.name,
                content=Templates().render(
                    CancelledGuidance(tool=call.name, began=call.id in left.begun, by_itself=False)
                ),
                is_error=True,
            )
            for call in left.ended.message.tool_calls
            if call.id not in left.results
        ]
    return conversation
