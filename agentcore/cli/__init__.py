"""The command line. It needs the extra `cli`; without it, it says how to install that."""

import io
import sys

__all__ = ["main"]

_EXTRA = ("rich", "typer")


def main() -> None:
    """Entry point of the command `agentcore`."""
    try:
        from agentcore.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        sys.exit('The command line needs an extra: pip install "agentcore-loop[cli]"')
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a tick shows a question mark.
            stream.reconfigure(errors="replace")
    app()
