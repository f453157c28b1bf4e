"""Every exception that agentcore raises.

    AgentCoreError
    ├── ConfigurationError (ValueError)   bad input, found before any request
    │   ├── draft_store.DraftError        a draft that is not there or cannot be read
    │   └── testing.RecordingError        a recording that cannot be read or written
    ├── JournalError                      the journal cannot be read or written
    │   ├── UnknownRun                    it has no run of this id
    │   ├── RunBusy                       somebody who lives drives the run
    │   └── RunLost                       somebody else has taken the run over
    └── RunError                          a run that cannot go on; carries all that was reached
        └── NotJournalled                 what it did could not be written to its journal

A failed tool call is no exception: it is a result that the model reads.
"""

from agentcore.kinds import ErrorKind
from agentcore.ledger import AttemptRecord, Unfinished
from agentcore.messages import Message
from agentcore.verdict import Partial

__all__ = [
    "AgentCoreError",
    "ConfigurationError",
    "JournalError",
    "NotJournalled",
    "RunBusy",
    "RunError",
    "RunLost",
    "UnknownRun",
]


class AgentCoreError(Exception):
    """The root: catches whatever agentcore raises."""


class ConfigurationError(AgentCoreError, ValueError):
    """An argument cannot be used. The text names the thing, the value and the way out."""


class JournalError(AgentCoreError):
    """The journal cannot be read or written. What it holds is as it was."""


class UnknownRun(JournalError):
    """The journal has no run of this id. The text names some that it has."""


class RunBusy(JournalError):
    """A process that lives drives the run: only one may. Wait for it, or watch it (`events`)."""


class RunLost(JournalError):
    """The run was given up, or somebody else has taken it over: do nothing more in it.

    It reaches a tool whose thread goes on after the end of its run, from `ToolContext.begin`.
    """


class RunError(AgentCoreError):
    """A run stopped before the model was done. `str(error)` is a text for a person to act on."""

    def __init__(
        self,
        text: str,
        *,
        kind: ErrorKind | None,
        attempts: tuple[AttemptRecord, ...],
        messages: tuple[Message, ...],
        partial: Partial | None = None,
        drafts: tuple[Unfinished, ...] = (),
    ) -> None:
        super().__init__(text)
        self.kind = kind
        """Why the last attempt failed; None when a limit of the run was reached."""
        self.attempts = attempts
        """The ledger of the whole run."""
        self.messages = messages
        """The conversation so far: valid to go on from with `Agent.run(messages=…)`."""
        self.partial = partial
        """What arrived of the answer that was cut, if anything did."""
        self.drafts = drafts
        """Texts that were cut, and where what arrived of them is kept."""


class NotJournalled(RunError):
    """The run stopped, because what it did could not be written to its journal.

    The journal is sound, and the run goes on when it can be written again; the cause is a
    `JournalError`.
    """
