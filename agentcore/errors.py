"""Every exception that agentcore raises.

    AgentCoreError
    ├── ConfigurationError (ValueError)   bad input, found before any request
    │   ├── draft_store.DraftError        a draft that is not there or cannot be read
    │   └── testing.RecordingError        a recording that cannot be read or written
    └── RunError                          a run that cannot go on; carries all that was reached

A failed tool call is no exception: it is a result that the model reads.
"""

from agentcore.kinds import ErrorKind
from agentcore.ledger import AttemptRecord, Unfinished
from agentcore.messages import Message
from agentcore.verdict import Partial

__all__ = ["AgentCoreError", "ConfigurationError", "RunError"]


class AgentCoreError(Exception):
    """The root: catches whatever agentcore raises."""


class ConfigurationError(AgentCoreError, ValueError):
    """An argument cannot be used. The text names the thing, the value and the way out."""


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
