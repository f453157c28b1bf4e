"""What a situation and its variables are, in the words of their docstrings."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise

from agentcore.guidance.situations import Situation

__all__ = ["variables_of", "when"]


def when(kind: type[Situation]) -> str:
    """When a template is given: the first line of its dataclass's docstring."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def variables_of(kind: type[Situation]) -> dict[str, str]:
    """What each variable is, in the order of the dataclass.

    The text is empty where the source is not installed beside the code.
    """
    told: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        told |= dict(_documented(each))
    return {field.name: told.get(field.name, "") for field in fields(kind)}


def _documented(kind: type[object]) -> Iterator[tuple[str, str]]:
    """Each field of a class with the text that stands under it."""
    try:
        tree = ast.parse(inspect.getsource(kind))
    except (OSError, TypeError, SyntaxError):
        return
    (definition,) = tree.body
    assert isinstance(definition, ast.ClassDef)
    for before, after in pairwise(definition.body):
        match before, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())
            case _:
                pass
