"""What a call may end in, other than a result.

    InvalidArguments   the arguments do not fit: `Tool.validate` raises it
    ModelRetry         raised by a tool: the model should call again, with other arguments
    ToolFailed         raised by a tool: it failed, in a way that was to be expected
    CallCancelled      raised by `ToolContext.check_cancelled` in a sync tool

The text of the first three goes to the model as it is, as an error; of whatever else a tool
raises it reads `name failed: Type: text`, and the log has the traceback.
"""

__all__ = ["CallCancelled", "InvalidArguments", "ModelRetry", "ToolFailed"]


class InvalidArguments(Exception):
    """A call's arguments do not fit; the text tells the model how to mend them."""


class ModelRetry(Exception):
    """Raise it in a tool when another call would do: the text tells the model which."""


class ToolFailed(Exception):
    """Raise it in a tool for a failure that is no bug: the text tells the model what is true."""


class CallCancelled(BaseException):
    """A sync function was asked to end, and has noticed.

    No `Exception`, so that a function's own `except Exception` does not swallow it.
    """
