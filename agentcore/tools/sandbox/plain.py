"""Programs that nothing confines: limits and a clean end, no walls."""

import os
import sys
from dataclasses import dataclass

from agentcore.tools.sandbox.base import Finished, Program
from agentcore.tools.sandbox.child.job import TEMPORARY
from agentcore.tools.sandbox.launch import PYTHON_OPTIONS, job_for, supervised

__all__ = ["Plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A child process with the rights of the user."""

    name: str = "plain"

    def version(self) -> str:
        """None.

        Raises:
            OSError: The system has no `fork`, and so no supervisor.
        """
        if not hasattr(os, "fork"):
            raise OSError(f"programs cannot be supervised on {sys.platform!r}: it has no fork")
        return ""

    async def run(self, program: Program) -> Finished:
        """Run a program; see `Sandbox.run`."""
        job = job_for(
            program,
            argv=(program.python, *PYTHON_OPTIONS),
            home=TEMPORARY,
            needs_temporary=True,
        )
        return (await supervised(job, program))[0]
