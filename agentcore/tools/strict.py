"""Schemas for strict modes, where an endpoint holds the model to them, and what comes back."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from agentcore.messages import JsonObject
from agentcore.tools.schema import SchemaError, accepts_null
from agentcore.tools.words import counted, described, shown

__all__ = ["as_given", "strict_schema"]

_NULL: Final[JsonObject] = {"type": "null"}


def strict_schema(schema: JsonObject) -> JsonObject:
    """A portable schema as strict modes want it: every property required, every object closed.

    What may be left out may be null instead (`as_given` takes those nulls back), and bounds are
    told in words: OpenAI knows no lengths there, Anthropic no bounds.

    Raises:
        SchemaError: Something in it cannot be closed.
    """
    return _strict(schema, "")


def _strict(schema: JsonValue, place: str) -> JsonObject:
    assert isinstance(schema, dict)
    kept: JsonObject = {}
    notes: list[str] = []
    for name, value in schema.items():
        if name in ("type", "enum", "format"):
            kept[name] = value
        elif name == "anyOf" and isinstance(value, list):
            kept[name] = [_strict(choice, place) for choice in value]
        elif name == "items":
            kept[name] = _strict(value, f"{place}[]")
        elif name in _BOUNDS and isinstance(value, (int, float)):
            words, unit = _BOUNDS[name]
            notes.append(f"{words} {counted(int(value), unit) if unit else shown(value)}.")
    if schema.get("type") == "object":
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            raise SchemaError(
                f"the keys of {place.removeprefix('.')} are not known (it is a dict, may be "
                "anything, or holds its own type), and a strict schema names them all; give it a "
                "type with fields, make it a list of such, or leave strict out"
            )
        kept["properties"] = {
            name: _strict_property(schema, name, value, f"{place}.{name}")
            for name, value in properties.items()
        }
        kept["required"] = list(properties)
        kept["additionalProperties"] = False
    return described(kept, notes, schema.get("description"))


_BOUNDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "minimum": ("At least", ""),
        "maximum": ("At most", ""),
        "minLength": ("At least", "character"),
        "maxLength": ("At most", "character"),
        "minItems": ("At least", "item"),
        "maxItems": ("At most", "item"),
    }
)


def _strict_property(owner: JsonObject, name: str, value: JsonValue, place: str) -> JsonObject:
    assert isinstance(value, dict)
    closed = _strict(value, place)
    if name in _required(owner):
        return closed
    default = value.get("default")
    notes = [f"Null for the default, {shown(default)}."] if default is not None else []
    said = closed.get("description")
    if accepts_null(value):
        return described(closed, notes, said)
    bare = {key: part for key, part in closed.items() if key != "description"}
    choices = bare.get("anyOf")
    branches = choices if isinstance(choices, list) else [bare]
    return described({"anyOf": [*branches, _NULL]}, notes, said)


def _required(schema: JsonObject) -> list[JsonValue]:
    required = schema.get("required")
    return required if isinstance(required, list) else []


def as_given(value: JsonValue, schema: JsonValue) -> JsonValue:
    """Arguments without the nulls that say "left out": of what is optional, and takes no null.

    Args:
        value: What the model sent, at any depth.
        schema: The portable schema of it, not the strict one.
    """
    if not isinstance(schema, dict):
        return value
    if isinstance(value, list):
        items = _branch(schema, "array").get("items")
        return [as_given(item, items) for item in value]
    if not isinstance(value, dict):
        return value
    owner = _branch(schema, "object", frozenset(value))
    properties = owner.get("properties")
    if not isinstance(properties, dict):
        further = owner.get("additionalProperties")
        return {name: as_given(item, further) for name, item in value.items()}
    required = _required(owner)
    return {
        name: as_given(item, properties.get(name))
        for name, item in value.items()
        if item is not None
        or name in required
        or name not in properties
        or accepts_null(properties[name])
    }


def _branch(schema: JsonObject, kind: str, names: frozenset[str] = frozenset()) -> JsonObject:
    """The branch of a union that a value of this kind is of: for an object, one with its keys."""
    choices = schema.get("anyOf")
    branches = choices if isinstance(choices, list) else [schema]
    fitting = [one for one in branches if isinstance(one, dict) and one.get("type") == kind]
    for branch in fitting:
        properties = branch.get("properties")
        if isinstance(properties, dict) and names <= frozenset(properties):
            return branch
    return fitting[0] if fitting else {}
