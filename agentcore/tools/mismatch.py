"""Arguments that do not fit: what was wrong, field by field, and the shape that is right."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from agentcore.messages import JsonObject

__all__ = ["MAX_ERROR_CHARACTERS", "MAX_SHOWN_CHARACTERS", "explain", "shape_of"]

MAX_SHOWN_CHARACTERS: Final = 60
"""How much of a wrong value an error repeats to the model."""
MAX_ERROR_CHARACTERS: Final = 2_000
MAX_SHAPE_CHARACTERS: Final = 900
MAX_PROBLEMS: Final = 8
MAX_EXPECTED_CHARACTERS: Final = 160
MAX_CHOICES: Final = 8
"""Values of an enum that a shape lists."""
_TYPES: Final = frozenset({"missing", "extra_forbidden"})
"""Errors of a field as such; what came is not the point."""


def explain(
    name: str, parameters: JsonObject, error: ValidationError, secrets: frozenset[str]
) -> str:
    """The error that the model reads; never the payload itself.

    Args:
        name: Of the tool.
        parameters: Its portable schema.
        error: What pydantic found.
        secrets: Parameters of which nothing is shown.
    """
    lines = [f"The arguments of {name} do not fit, so it was not run:"]
    problems = error.errors(include_url=False, include_context=False)
    lines += list(_problems(problems, secrets))
    shape = next(
        (
            text
            for depth in (4, 3, 2, 1)
            if len(text := shape_of(parameters, depth)) <= MAX_SHAPE_CHARACTERS
        ),
        _clip(shape_of(parameters, 1), MAX_SHAPE_CHARACTERS),
    )
    takes = f"It takes: {shape}." if shape != "{}" else "It takes: no arguments."
    room = MAX_ERROR_CHARACTERS - len(takes) - 1
    return "\n".join([_clip("\n".join(lines), room), takes])


def _problems(problems: Sequence[ErrorDetails], secrets: frozenset[str]) -> Iterator[str]:
    for problem in problems[:MAX_PROBLEMS]:
        place = ".".join(str(part) for part in problem["loc"]) or "arguments"
        line = f"- {_clip(place)}: {_clip(problem['msg'], MAX_EXPECTED_CHARACTERS)}"
        is_secret = bool(problem["loc"]) and problem["loc"][0] in secrets
        if problem["type"] not in _TYPES and not is_secret:
            line += f"; came: {_came(problem['input'])}"
        yield line
    if (more := len(problems) - MAX_PROBLEMS) > 0:
        yield f"- and {more} more"


def _came(value: object) -> str:
    """A wrong value in at most 60 characters; of an object its keys, of a list its length."""
    if isinstance(value, dict):
        return _clip(f"an object with {', '.join(map(str, value)) or 'no keys'}")
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _clip(repr(value))


def _clip(text: str, most: int = MAX_SHOWN_CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


# --- the shape that is right ----------------------------------------------------------------


def shape_of(schema: JsonValue, depth: int) -> str:
    """A portable schema as a model writes types: `{"path": string, "line"?: integer}`.

    Args:
        schema: What to show.
        depth: How many objects are opened within each other; deeper ones are called `object`.
    """
    if not isinstance(schema, dict):
        return "any"
    if isinstance(choices := schema.get("anyOf"), list):
        shown = list(dict.fromkeys(shape_of(choice, depth) for choice in choices))
        return " | ".join(shown)
    if isinstance(values := schema.get("enum"), list):
        more = [f"… ({len(values)} in all)"] if len(values) > MAX_CHOICES else []
        quoted = [json.dumps(value, ensure_ascii=False) for value in values[:MAX_CHOICES]]
        return " | ".join([*quoted, *more])
    match schema.get("type"):
        case "object":
            return _object_shape(schema, depth)
        case "array":
            return f"[{shape_of(schema.get('items'), depth)}, …]"
        case str(kind):
            return kind
        case _:
            return "any"


def _object_shape(schema: JsonObject, depth: int) -> str:
    properties, further = schema.get("properties"), schema.get("additionalProperties")
    if depth == 0:
        return "object"
    if not isinstance(properties, dict):
        inner = shape_of(further, depth - 1) if isinstance(further, dict) else "any"
        return f"{{key: {inner}, …}}"
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    return (
        "{"
        + ", ".join(
            f'"{name}"{"" if name in needed else "?"}: {shape_of(value, depth - 1)}'
            for name, value in properties.items()
        )
        + "}"
    )
