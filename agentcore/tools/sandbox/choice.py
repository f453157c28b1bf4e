"""Which sandbox is used: the first of a table that is seen to work here."""

import logging
import threading
from dataclasses import dataclass
from functools import cache
from typing import Final

from agentcore.tools.sandbox.base import Finished, Program, SandboxReport
from agentcore.tools.sandbox.bubblewrap import Bubblewrap
from agentcore.tools.sandbox.landlock import Landlock
from agentcore.tools.sandbox.plain import Plain
from agentcore.tools.sandbox.probe import Backend, report_of

__all__ = ["BACKENDS", "Choice", "Probed", "choose", "plain", "probed"]

BACKENDS: Final[tuple[Backend, ...]] = (
    Bubblewrap(),
    Bubblewrap(disable_userns=False),
    Landlock(),
)
"""Strongest first."""
_WAY_OUT: Final = (
    "Install bubblewrap (0.8 or later) where user namespaces are allowed, or use Linux 6.2 or "
    "later with Landlock"
)
_log = logging.getLogger("agentcore.sandbox")
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A backend and what it was seen to do: a `Sandbox`."""

    backend: Backend
    report: SandboxReport

    async def run(self, program: Program) -> Finished:
        """See `Sandbox.run`."""
        return await self.backend.run(program)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was found; the same for the life of the process."""

    sandbox: Probed | None
    """None: nothing confines programs here."""
    tried: tuple[str, ...] = ()
    """One line for each backend that does not work here."""

    @property
    def why_none(self) -> str:
        """What was tried, and the way out; empty when there is a sandbox."""
        if self.sandbox is not None:
            return ""
        tried = "; ".join(dict.fromkeys(self.tried))  # One program may be tried in two ways.
        return f"nothing here can hold a program ({tried}). {_WAY_OUT}"


def choose(python: str) -> Choice:
    """The strongest sandbox for programs of an interpreter. Blocking at the first question."""
    # Two threads that ask at once would both run the probe, and log it.
    with _lock:
        return _choose(python)


@cache
def _choose(python: str) -> Choice:
    tried: list[str] = []
    for backend in BACKENDS:
        try:
            found = probed(backend, python)
        except OSError as error:
            tried.append(f"{backend.name}: {error}")
            continue
        if found.report.is_confined:
            _log.info("programs run in %s", found.report)
            return Choice(sandbox=found, tried=tuple(tried))
        tried.append(str(found.report))
    choice = Choice(sandbox=None, tried=tuple(tried))
    _log.info("programs are not confined: %s", choice.why_none)
    return choice


@cache
def probed(backend: Backend, python: str) -> Probed:
    """A backend with its report, whatever that says.

    Raises:
        OSError: It cannot run programs here.
    """
    return Probed(backend=backend, report=report_of(backend, python))


def plain(python: str) -> Probed:
    """No walls: for who has allowed it.

    Raises:
        OSError: Not even that works here.
    """
    with _lock:
        return probed(Plain(), python)
