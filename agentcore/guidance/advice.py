"""What a person can do about a run that stopped, by the kind of its last failure."""

from typing import Final

from agentcore.kinds import ErrorKind

__all__ = ["ADVICE", "PROCESSES_END", "UNREACHABLE"]

ADVICE: Final[dict[ErrorKind | None, str]] = {
    None: "look at the conversation in RunError.messages: what was tried again and again says what "
    "to change; raise the limit if it was progress.",
    ErrorKind.CONNECTION: "choose an endpoint that streams tool arguments or keeps its connections "
    "longer, or ask for smaller sections; then go on with RunError.messages.",
    ErrorKind.TIMEOUT: "choose an endpoint that streams tool arguments, raise the clock that ran "
    "out (Clocks), or ask for less reasoning; then go on with RunError.messages.",
    ErrorKind.TRUNCATED: "raise max_output_tokens if the model allows it, or ask for smaller "
    "sections; then go on with RunError.messages.",
    ErrorKind.OVERLOADED: "wait, or choose another model or provider.",
    ErrorKind.SERVER_ERROR: "try again later, or choose another provider.",
    ErrorKind.RATE_LIMIT: "wait, lower the rate, or use a key with a higher limit.",
    ErrorKind.QUOTA: "add credit or raise the plan's limit; waiting seconds does not help.",
    ErrorKind.AUTH: "check the key, its permissions and the account's region.",
    ErrorKind.NOT_FOUND: "check the model id and the base URL.",
    ErrorKind.CONTEXT_OVERFLOW: "shorten the conversation (Agent(history=…)) or choose a model "
    "with a larger window.",
    ErrorKind.OUTPUT_LIMIT: "set a smaller max_output_tokens.",
    ErrorKind.CONTENT_POLICY: "change the prompt, or choose another model.",
    ErrorKind.INVALID_REQUEST: "correct what the endpoint names; the same request fails again.",
    ErrorKind.REQUEST_TOO_LARGE: "send less: shorten the conversation or split the task.",
    ErrorKind.CANCELLED: "go on with RunError.messages if the run was not meant to end.",
    ErrorKind.UNKNOWN: "look at the message above; if it passes with time, run again.",
}
"""What a person can do about a stop, by the kind of the last failure."""

UNREACHABLE: Final = (
    "nothing answers at this address: check the base URL, and that the server is running."
)
"""Instead, when no connection could be made at all."""
PROCESSES_END: Final = (
    "look why its processes end (memory, a limit, a signal); then run the same again: it goes on "
    "from here."
)
"""Instead, when it was no connection that was lost, but the process that read from it."""
