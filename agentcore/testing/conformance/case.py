"""A case: one thing that an adapter must do, and what to change where it does not."""

from collections.abc import Callable
from dataclasses import dataclass

from agentcore.providers.base import Capabilities
from agentcore.testing.conformance.stage import Stage

__all__ = ["Case", "ConformanceError", "case", "require"]


class ConformanceError(AssertionError):
    """An adapter does not do what it must: the text says what, and what to change."""


class _Broken(Exception):
    """A requirement does not hold; the case adds its name and its advice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that an adapter must do."""

    name: str
    """As pytest shows it, and as `-k` finds it."""
    demands: str
    """What must hold, in a sentence."""
    advice: str
    """What to change where it does not hold, in a sentence."""
    check: Callable[[Stage], None]
    applies: Callable[[Capabilities], bool] = lambda capabilities: True
    """False for an endpoint that cannot be asked for this, by its own capabilities."""

    def run(self, stage: Stage) -> None:
        """Play the case.

        Raises:
            ConformanceError: It does not hold.
        """
        __tracebackhide__ = True
        problem: str
        try:
            self.check(stage)
        except _Broken as broken:
            problem = str(broken)
            cause = None
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            cause = error
        else:
            return
        raise ConformanceError(
            f"{self.name}: {self.demands}\n\n{problem}\n{stage.evidence()}\n\n"
            f"What to change: {self.advice}"
        ) from cause


def case(
    *,
    advice: str,
    name: str = "",
    applies: Callable[[Capabilities], bool] = lambda capabilities: True,
) -> Callable[[Callable[[Stage], None]], Case]:
    """Make a case of a function: its name is the case's, its docstring what it demands."""

    def decorate(check: Callable[[Stage], None]) -> Case:
        return Case(
            name=name or check.__name__.strip("_").replace("_", "-"),
            demands=" ".join((check.__doc__ or "").split()),
            advice=advice,
            check=check,
            applies=applies,
        )

    return decorate


def require(holds: bool, problem: str, /, **shown: object) -> None:
    """Raise where something does not hold, and show the values that matter."""
    if holds:
        return
    width = max((len(name) for name in shown), default=0)
    lines = [f"  {name.replace('_', ' '):<{width}}  {value}" for name, value in shown.items()]
    raise _Broken("\n".join((problem, *lines)))


def require_equal(arrived: str, sent: str, problem: str, /, **shown: object) -> None:
    """Raise where two texts differ, and show them around the first difference."""
    if arrived == sent:
        return
    pairs = zip(arrived, sent, strict=False)
    at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(arrived), len(sent)))
    require(
        False,
        f"{problem}: they differ from character {at} on",
        sent=_around(sent, at),
        arrived=_around(arrived, at),
        **shown,
    )


def _around(text: str, at: int, width: int = 40) -> str:
    begin = max(0, at - width)
    dots = "…" if begin else ""
    rest = "…" if at + width < len(text) else ""
    return f"{dots}{text[begin : at + width]!r}{rest}"
