"""The journal: what a run did, row by row, so that another process can go on with it.

`records` says what a row is, `state` what many of them come to, `store` what keeps them; `sqlite`
and `postgres` do, by the statements of `sql`. `owners` tells the living from the dead, `writing` is
the run's side, `copying` brings runs from one to another, and `queueing` puts them into a queue.
"""

from typing import TYPE_CHECKING

from agentcore.late import late_names

if TYPE_CHECKING:
    from agentcore.journal.records import (
        AttemptEnded,
        CallBegun,
        CallEnded,
        EndpointGivenUp,
        Noted,
        NotesTaken,
        Record,
        RunEnded,
        RunResumed,
        RunStatus,
        Stored,
        TurnEnded,
    )
    from agentcore.journal.sqlite import SqliteStore
    from agentcore.journal.state import RunState, StoredTurn, fold, fold_on
    from agentcore.journal.store import JournalStore, NewRun, StoredRun

else:
    # Not for type checkers: with it they would take any name.
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "agentcore.journal.records": (
                "AttemptEnded CallBegun CallEnded EndpointGivenUp Noted NotesTaken Record "
                "RunEnded RunResumed RunStatus Stored TurnEnded"
            ),
            "agentcore.journal.sqlite": "SqliteStore",
            "agentcore.journal.state": "RunState StoredTurn fold fold_on",
            "agentcore.journal.store": "JournalStore NewRun StoredRun",
        },
    )

__all__ = [
    "AttemptEnded",
    "CallBegun",
    "CallEnded",
    "EndpointGivenUp",
    "JournalStore",
    "NewRun",
    "Noted",
    "NotesTaken",
    "Record",
    "RunEnded",
    "RunResumed",
    "RunState",
    "RunStatus",
    "SqliteStore",
    "Stored",
    "StoredRun",
    "StoredTurn",
    "TurnEnded",
    "fold",
    "fold_on",
]
