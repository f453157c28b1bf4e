"""The state of a run is a fold over its rows. Pure.

Any prefix of the rows is a valid place to go on from: what a prefix lacks has not happened, or
nobody knows whether it has, and then the state says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from agentcore.journal.records import (
    AttemptEnded,
    CallBegun,
    CallEnded,
    EndpointGivenUp,
    Noted,
    NotesTaken,
    RunEnded,
    RunResumed,
    Stored,
    TurnEnded,
)
from agentcore.ledger import AttemptRecord
from agentcore.messages import Message, ToolMessage, UserMessage

__all__ = ["RunState", "StoredTurn", "fold", "fold_on"]


@dataclass(slots=True, kw_only=True)
class StoredTurn:
    """An answer, and what its calls came to."""

    seq: int
    ended: TurnEnded
    record: AttemptRecord | None
    """The ledger's row of the attempt that it came in."""
    begun: dict[str, tuple[CallBegun, float]] = field(default_factory=dict)
    """Id of a call → what was about to happen, and when (seconds since the epoch)."""
    results: dict[str, CallEnded] = field(default_factory=dict)
    """Id of a call → its result."""
    crashes: int = 0
    """How often in a row a process died in it: a call that gets its result ends the row."""

    @property
    def is_open(self) -> bool:
        """A call has no result yet."""
        return any(call.id not in self.results for call in self.ended.message.tool_calls)

    @property
    def changed(self) -> bool:
        """Something new was written, or kept of a text."""
        return self.ended.reply is not None or any(one.changed for one in self.results.values())

    def messages(self) -> list[Message]:
        """The answer and what follows it, as far as it is known."""
        said: list[Message] = [self.ended.message]
        if self.ended.reply is not None:
            said.append(self.ended.reply)
        said += [
            ToolMessage(
                tool_call_id=call.id,
                name=call.name,
                content=result.content,
                is_error=result.is_error,
            )
            for call in self.ended.message.tool_calls
            if (result := self.results.get(call.id)) is not None
        ]
        return said


@dataclass(slots=True, kw_only=True)
class RunState:
    """What the rows of a run come to."""

    opening: tuple[Message, ...]
    """The conversation that the run began with."""
    seq: int = 0
    """The number of the last row."""
    ledger: list[AttemptRecord] = field(default_factory=list)
    turns: list[StoredTurn | UserMessage | EndpointGivenUp] = field(default_factory=list)
    """Answers, what the person said between them, and endpoints that were given up, in order."""
    failed: list[AttemptEnded] = field(default_factory=list)
    """Attempts since the last answer: they belong to the turn that is to be taken now."""
    notes: list[Stored] = field(default_factory=list)
    """What was put in and is not part of the conversation yet."""
    is_cancelled: bool = False
    """Somebody asked for the end since the run was last begun or gone on with."""
    cancel_reason: str = ""
    """What they said."""
    end: RunEnded | None = None
    seconds: float = 0.0
    """That attempts, waits and calls took since the run was begun, or gone on with after an end."""
    counted_from: int = 0
    """Turns before this one were taken before the last end."""

    @property
    def number(self) -> int:
        """Of the last turn that an attempt was made in, from 1; 0 before the first."""
        return self.ledger[-1].turn if self.ledger else 0

    @property
    def open_turn(self) -> StoredTurn | None:
        """The last answer, if a call of it has no result."""
        answers = reversed(self.turns)
        last = next((turn for turn in answers if isinstance(turn, StoredTurn)), None)
        return last if last is not None and last.is_open else None

    @property
    def idle_turns(self) -> int:
        """Turns in a row, up to the last and since the last end, that wrote nothing new."""
        idle = 0
        for turn in self.turns[self.counted_from :]:
            if isinstance(turn, StoredTurn):
                idle = 0 if turn.changed else idle + 1
        return idle

    def answers(self) -> list[StoredTurn]:
        """The turns, without what was said between them."""
        return [turn for turn in self.turns if isinstance(turn, StoredTurn)]

    def messages(self) -> list[Message]:
        """The whole conversation so far."""
        conversation = list(self.opening)
        for turn in self.turns:
            if isinstance(turn, StoredTurn):
                conversation += turn.messages()
            elif isinstance(turn, UserMessage):
                conversation.append(turn)
        return conversation


def fold(opening: Sequence[Message], rows: Iterable[Stored]) -> RunState:
    """The state that rows come to, from the first on or any prefix of them."""
    return fold_on(RunState(opening=tuple(opening)), rows)


def fold_on(state: RunState, rows: Iterable[Stored]) -> RunState:
    """The state, with the rows that follow those that it was made of; it is changed in place."""
    for row in rows:
        _add(state, row)
    return state


def _add(state: RunState, row: Stored) -> None:
    state.seq = row.seq
    record = row.record
    if not isinstance(record, Noted):
        state.end = None
    match record:
        case AttemptEnded():
            state.ledger.append(record.record)
            state.failed.append(record)
            state.seconds += record.record.seconds + record.record.waited_seconds
        case TurnEnded():
            made_by = state.failed[-1].record if state.failed else None
            state.turns.append(StoredTurn(seq=row.seq, ended=record, record=made_by))
            state.failed.clear()
        case CallBegun():
            if (turn := state.open_turn) is not None:
                turn.begun[record.call_id] = record, row.at
        case CallEnded():
            if (turn := state.open_turn) is not None:
                turn.results[record.call_id] = record
                turn.crashes = 0
            state.seconds += record.seconds
        case EndpointGivenUp():
            state.turns.append(record)
            state.failed.clear()
        case Noted():
            if record.purpose == "say":
                state.notes.append(row)
            elif state.end is None:
                # Behind an end it came too late.
                state.is_cancelled, state.cancel_reason = True, record.text
        case NotesTaken():
            for note in state.notes:
                if note.seq <= record.through and isinstance(note.record, Noted):
                    state.turns.append(UserMessage(content=note.record.text))
            state.notes = [note for note in state.notes if note.seq > record.through]
        case RunResumed():
            if record.after_crash and (turn := state.open_turn) is not None:
                turn.crashes += 1
        case RunEnded():
            state.end = record
            # Who goes on from here has decided to: what was spent before does not count any more.
            state.failed.clear()
            state.is_cancelled = False
            state.seconds = 0.0
            state.counted_from = len(state.turns)
        case _:
            assert_never(record)
