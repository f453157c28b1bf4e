"""A case: one thing that an adapter must do, and what to change where it does not."""

import inspect
import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from traceback import walk_tb

from agentcore.providers.base import Capabilities, ProviderAdapter
from agentcore.testing.conformance.stage import Stage

__all__ = ["Case", "ConformanceError", "case", "require"]


class ConformanceError(AssertionError):
    """An adapter does not do what it must: the text says what, and what to change."""


class _Broken(Exception):
    """A requirement does not hold; the case adds its name and its advice."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.advice = advice


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
    chat_only: bool = False
    """Not for an adapter that puts answers on another wire than chat completions."""

    def run(self, stage: Stage) -> None:
        """Play the case.

        Raises:
            ConformanceError: It does not hold.
        """
        __tracebackhide__ = True
        problem, advice = "", self.advice
        cause: Exception | None = None
        try:
            self.check(stage)
        except _Broken as broken:
            problem, advice = str(broken), broken.advice or advice
        except Exception as error:
            cause = error
            problem = f"{type(error).__name__}: {error}"
            if place := _place_in_adapter(error):
                problem = f"{place} raised {problem}"
                advice = "the hook raised, see above."
        else:
            return
        raise ConformanceError(
            f"{self.name}: {self.demands}\n\n{problem}\n{stage.evidence()}\n\n"
            f"What to change: {advice}"
        ) from cause


def _place_in_adapter(error: Exception) -> str:
    """The last line of an adapter's own code on the way to an exception; empty for none."""
    frames = [(frame, line) for frame, line in walk_tb(error.__traceback__)]
    classes = {
        kind
        for frame, _ in frames
        for kind in type(frame.f_locals.get("self")).__mro__
        if issubclass(kind, ProviderAdapter) and kind is not ProviderAdapter
    }
    files = {file for kind in classes if (file := _file_of(kind))}
    for frame, line in reversed(frames):
        code = frame.f_code
        if code.co_filename in files:
            text = linecache.getline(code.co_filename, line).strip()
            return f"`{code.co_name}` ({code.co_filename}:{line}: {text})"
    return ""


def _file_of(kind: type) -> str:
    try:
        return inspect.getfile(kind)
    except (OSError, TypeError):
        return ""


def case(
    *,
    advice: str,
    name: str = "",
    applies: Callable[[Capabilities], bool] = lambda capabilities: True,
    chat_only: bool = False,
) -> Callable[[Callable[[Stage], None]], Case]:
    """Make a case of a function: its name is the case's, its docstring what it demands."""

    def decorate(check: Callable[[Stage], None]) -> Case:
        return Case(
            name=name or check.__name__.strip("_").replace("_", "-"),
            demands=" ".join((check.__doc__ or "").split()),
            advice=advice,
            check=check,
            applies=applies,
            chat_only=chat_only,
        )

    return decorate


def require(holds: bool, problem: str, /, *, advice: str = "", **shown: object) -> None:
    """Raise where something does not hold, and show the values that matter.

    Args:
        holds: What must be.
        problem: What is wrong where it is not.
        advice: Instead of the case's own.
        shown: Values to show, by their names.
    """
    if not holds:
        _fail(problem, shown, advice)


def _fail(problem: str, shown: Mapping[str, object], advice: str = "") -> None:
    width = max((len(name) for name in shown), default=0)
    lines = [f"  {name.replace('_', ' '):<{width}}  {value}" for name, value in shown.items()]
    raise _Broken("\n".join((problem, *lines)), advice)


def require_equal(arrived: str, sent: str, problem: str, /, *, stream: bytes | None = None) -> None:
    """Raise where two texts differ, and show them around the first difference.

    Args:
        arrived: What came of it.
        sent: What it should be.
        problem: What is wrong where they differ.
        stream: The bytes around the place, where they are known.
    """
    if arrived == sent:
        return
    pairs = zip(arrived, sent, strict=False)
    at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(arrived), len(sent)))
    bytes_around = {} if stream is None else {"stream": f"…{stream!r}…"}
    shown: dict[str, object] = {"sent": _around(sent, at), "arrived": _around(arrived, at)}
    _fail(f"{problem}: they differ from character {at} on", {**shown, **bytes_around})


def _around(text: str, at: int, width: int = 40) -> str:
    begin = max(0, at - width)
    dots = "…" if begin else ""
    rest = "…" if at + width < len(text) else ""
    return f"{dots}{text[begin : at + width]!r}{rest}"
