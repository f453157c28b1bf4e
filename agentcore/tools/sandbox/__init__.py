"""Where programs of a model run, and what holds them there.

`choose` gives the strongest sandbox that a probe has seen to work; `Sandbox` is the protocol for
one of your own.
"""

from agentcore.tools.sandbox.base import (
    MEANINGS,
    Ending,
    Finished,
    Program,
    ProgramLimits,
    Protection,
    Sandbox,
    SandboxReport,
)
from agentcore.tools.sandbox.choice import BACKENDS, choose, plain

__all__ = [
    "BACKENDS",
    "MEANINGS",
    "Ending",
    "Finished",
    "Program",
    "ProgramLimits",
    "Protection",
    "Sandbox",
    "SandboxReport",
    "choose",
    "plain",
]
