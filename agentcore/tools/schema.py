r"""JSON Schema that every endpoint takes: pydantic's, brought down to what all of them understand.

A request is refused whole for one keyword of one tool, and each endpoint stumbles over another:

- *Gemini* knows a fixed set of fields: `Unknown name "exclusiveMinimum"`
  (pizza-bot-app/pizza-bot#62), nor `const` (receptron/mulmocast-app#934); `only 'enum' and
  'date-time' are supported` as `format` (google-gemini/gemini-cli#2237); `enum only allowed for
  STRING type` (decolua/9router#359).
- *llama.cpp* makes a grammar of it: a `pattern` without `^` and `$` or with a class like `\d` is an
  error (ggml-org/llama.cpp#26930, #27580), nested `$ref` and `prefixItems` are broken (its
  grammars/README.md), and so is a length above 2,000: `number of repetitions exceeds sane
  defaults`.
- *Anthropic* and *OpenAI*, when they hold the model to the schema, know no bounds or no lengths and
  want every object closed (both: their pages on structured outputs).

pydantic validates what comes, so nothing is lost when a rule leaves the schema: it is told in the
description instead, where the model reads it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from agentcore.messages import JsonObject
from agentcore.tools.words import clipped, counted, described, shown

__all__ = ["KEYWORDS", "SchemaError", "accepts_null", "portable"]

KEYWORDS: Final = frozenset(
    {
        "additionalProperties",
        "anyOf",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "properties",
        "required",
        "type",
    }
)
"""All that a portable schema is made of. `format` is always `date-time`, `enum` holds texts."""
MAX_LENGTH: Final = 2_000
"""Of a text or a list, as a bound in the schema; llama.cpp writes it out in its grammar."""
MAX_PARTS: Final = 2_000
"""Nodes of a schema once its types are written out where they are used."""

_NULL: Final[JsonObject] = {"type": "null"}
_SCALARS: Final[list[JsonValue]] = [
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "object"},
]
_ANY: Final[JsonObject] = {
    "anyOf": [*_SCALARS, {"type": "array", "items": {"anyOf": _SCALARS}}, _NULL]
}
"""What takes every value: an endpoint may want a type on each node (Gemini does)."""

_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "date": "A date: YYYY-MM-DD.",
        "time": "A time: HH:MM:SS, with an offset if need be.",
        "duration": "A duration as in ISO 8601: P1DT2H30M.",
        "uuid": "A UUID.",
        "email": "An e-mail address.",
        "uri": "A URL.",
        "ipv4": "An IPv4 address.",
        "ipv6": "An IPv6 address.",
        "path": "A path.",
        "file-path": "The path of a file.",
        "directory-path": "The path of a folder.",
        "json-string": "JSON as a text.",
        "base64url": "Base64, URL-safe.",
        "base64": "Base64.",
    }
)
_SILENT_FORMATS: Final = frozenset({"binary", "password"})
"""They tell the model nothing that it could heed."""


class SchemaError(Exception):
    """No such schema can be written; the text says what stands in the way, without the tool."""


@dataclass(slots=True)
class _Walk:
    definitions: Mapping[str, JsonValue]
    parts: int = 0

    def count(self) -> None:
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise SchemaError(
                f"its types have more than {MAX_PARTS} parts once they are written out; take "
                "smaller ones, or a text that the function parses"
            )


@dataclass(slots=True)
class _Node:
    """One schema on its way out: keywords that stay, and sentences for those that do not."""

    kept: JsonObject = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def portable(schema: JsonObject) -> JsonObject:
    """The schema in `KEYWORDS` alone, references written out; what is left out is described.

    A type that holds itself is written out once; inside, it is an object that is said to be alike.

    Raises:
        SchemaError: It is too large, or allows nothing.
    """
    definitions = schema.get("$defs")
    walk = _Walk(definitions if isinstance(definitions, dict) else {})
    return _portable(schema, walk, ())


def _portable(schema: JsonValue, walk: _Walk, inside: tuple[str, ...]) -> JsonObject:
    walk.count()
    if schema is False:
        raise SchemaError("it allows no value at all")
    if not isinstance(schema, dict):
        return dict(_ANY)
    schema, inside, again = _resolved(schema, walk, inside)
    if again:
        is_object = schema.get("type") == "object" or "properties" in schema
        return described(
            {"type": "object"} if is_object else dict(_ANY), [again], schema.get("description")
        )
    node = _Node()
    _shape(schema, walk, inside, node)
    if "default" in schema and _is_default(schema["default"], node.kept):
        node.kept["default"] = schema["default"]
    if isinstance(examples := schema.get("examples"), list) and examples:
        node.notes.append(f"For example: {', '.join(map(shown, examples[:3]))}.")
    return described(node.kept, node.notes, schema.get("description"))


def _is_default(value: JsonValue, schema: JsonObject) -> bool:
    """Whether a default can be told: JSON has no infinity, and no null where none is taken."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return value is not None or accepts_null(schema)


def _resolved(
    schema: JsonObject, walk: _Walk, inside: tuple[str, ...]
) -> tuple[JsonObject, tuple[str, ...], str]:
    """The schema without `$ref` and `allOf`; a sentence instead, for a type within itself."""
    while True:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix("#/$defs/")
            target = walk.definitions.get(name)
            if not isinstance(target, dict):
                raise SchemaError(f"it refers to {reference!r}, which is not in it")
            schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
            if name in inside:
                return schema, inside, f"One more {name.partition('__')[0]}, of the same shape."
            inside = (*inside, name)
        elif isinstance(parts := schema.get("allOf"), list):
            schema = _merged(parts, {k: v for k, v in schema.items() if k != "allOf"})
        else:
            return schema, inside, ""


def _merged(parts: list[JsonValue], rest: JsonObject) -> JsonObject:
    merged: JsonObject = {}
    for part in (*parts, rest):
        if not isinstance(part, dict):
            continue
        for name, value in part.items():
            before = merged.get(name)
            if name in ("properties", "$defs") and isinstance(before, dict):
                value = {**before, **value} if isinstance(value, dict) else before
            elif name == "required" and isinstance(before, list):
                value = [*before, *value] if isinstance(value, list) else before
            merged[name] = value
    return merged


def _shape(schema: JsonObject, walk: _Walk, inside: tuple[str, ...], node: _Node) -> None:
    """The type of a node, with what belongs to it."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    kinds = schema.get("type")
    if "const" in schema:
        _choice([schema["const"]], node)
    elif isinstance(values := schema.get("enum"), list):
        _choice(values, node)
    elif isinstance(choices, list):
        _union((_portable(choice, walk, inside) for choice in choices), node)
    elif isinstance(kinds, list):
        _union((_portable({**schema, "type": kind}, walk, inside) for kind in kinds), node)
        node.notes.clear()  # each of them has told it
    else:
        kind = kinds if isinstance(kinds, str) else _kind_of(schema)
        if kind == "object":
            _object(schema, walk, inside, node)
        elif kind == "array":
            _array(schema, walk, inside, node)
        elif kind == "string":
            _string(schema, node)
        elif kind in ("integer", "number"):
            _number(schema, kind, node)
        elif kind in ("boolean", "null"):
            node.kept["type"] = kind
        else:
            node.kept.update(_ANY)


def _kind_of(schema: JsonObject) -> str:
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else ""


# --- one kind each --------------------------------------------------------------------------


def _choice(values: list[JsonValue], node: _Node) -> None:
    """An `enum` of texts; of other values their type, and the values in words."""
    texts = [value for value in values if isinstance(value, str)]
    if any(isinstance(value, (list, dict)) for value in values):
        # pydantic knows such a value by the Python object alone, which JSON cannot name.
        raise SchemaError("its choices are no plain values; name them by texts")
    branches: list[JsonObject] = []
    if texts:
        branches.append({"type": "string", "enum": list(dict.fromkeys(texts))})
    for kind, is_of_kind in _KINDS:
        own = [value for value in values if is_of_kind(value)]
        if not own:
            continue
        branch: JsonObject = {"type": kind}
        listed = ", ".join(map(shown, own))
        said = f"One of: {listed}." if len(own) > 1 else f"Always {listed}."
        branches.append(described(branch, [] if kind == "null" else [said], None))
    _union(iter(branches), node)


_KINDS: Final[tuple[tuple[str, Callable[[JsonValue], bool]], ...]] = (
    ("boolean", lambda value: isinstance(value, bool)),
    ("integer", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    ("number", lambda value: isinstance(value, float)),
    ("null", lambda value: value is None),
)


def _union(choices: Iterator[JsonObject], node: _Node) -> None:
    branches: list[JsonObject] = []
    for choice in choices:
        nested = choice.get("anyOf")
        flat = nested if isinstance(nested, list) and set(choice) == {"anyOf"} else [choice]
        for branch in flat:
            if isinstance(branch, dict) and branch not in branches:
                branches.append(branch)
    # A branch of a bare type takes what others of it take, which only add words; but the values of
    # an enum are worth telling.
    bare = [branch["type"] for branch in branches if set(branch) == {"type"}]
    branches = [
        branch
        for branch in branches
        if set(branch) == {"type"} or "enum" in branch or branch.get("type") not in bare
    ]
    if not branches:
        raise SchemaError("it allows no value at all")
    if len(branches) > 1:
        node.kept["anyOf"] = list(branches)
        return
    only = dict(branches[0])
    if isinstance(said := only.pop("description", None), str):
        node.notes.append(said)
    node.kept.update(only)


def _string(schema: JsonObject, node: _Node) -> None:
    node.kept["type"] = "string"
    _lengths(schema, "minLength", "maxLength", "character", node)
    if isinstance(pattern := schema.get("pattern"), str):
        node.notes.append(f"Matches the regular expression {clipped(pattern)}")
    form = schema.get("format")
    if form == "date-time":
        node.kept["format"] = form
    elif isinstance(form, str) and form not in _SILENT_FORMATS:
        node.notes.append(_FORMATS.get(form, f"Format: {form}."))


def _number(schema: JsonObject, kind: str, node: _Node) -> None:
    node.kept["type"] = kind
    for name, open_name, step, words in (
        ("minimum", "exclusiveMinimum", 1, "More than"),
        ("maximum", "exclusiveMaximum", -1, "Less than"),
    ):
        bound, beyond = schema.get(name), schema.get(open_name)
        if _is_bound(bound):
            node.kept[name] = bound
        elif bound is not None:
            node.notes.append(f"{'At least' if step > 0 else 'At most'} {shown(bound)}.")
        if beyond is None:
            continue
        if kind == "integer" and bound is None and _is_bound(beyond) and isinstance(beyond, int):
            node.kept[name] = beyond + step
        else:
            node.notes.append(f"{words} {shown(beyond)}.")
    if (factor := schema.get("multipleOf")) is not None:
        node.notes.append(f"A multiple of {shown(factor)}.")


def _is_bound(value: JsonValue) -> bool:
    """A number that every decoder reads back as it was."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 2**53


def _array(schema: JsonObject, walk: _Walk, inside: tuple[str, ...], node: _Node) -> None:
    node.kept["type"] = "array"
    first = schema.get("prefixItems")
    if isinstance(first, list) and first:
        items = [_portable(item, walk, inside) for item in first]
        if isinstance(more := schema.get("items"), dict):
            items.append(_portable(more, walk, inside))
        joined = _Node()
        _union(iter(items), joined)
        node.kept["items"] = described(joined.kept, joined.notes, None)
        if "anyOf" in joined.kept:
            node.notes.append(f"In this order: {', '.join(map(_in_a_word, items))}.")
    else:
        node.kept["items"] = _portable(schema.get("items", True), walk, inside)
    _lengths(schema, "minItems", "maxItems", "item", node)
    if schema.get("uniqueItems") is True:
        node.notes.append("No item twice.")


def _in_a_word(item: JsonObject) -> str:
    kind, values = item.get("type"), item.get("enum")
    if isinstance(values, list):
        return " or ".join(map(shown, values))
    choices = item.get("anyOf")
    if isinstance(choices, list):
        return " or ".join(_in_a_word(choice) for choice in choices if isinstance(choice, dict))
    return str(kind)


def _lengths(schema: JsonObject, least: str, most: str, unit: str, node: _Node) -> None:
    for name, words in ((least, "At least"), (most, "At most")):
        bound = schema.get(name)
        if not isinstance(bound, int) or (name == least and bound == 0):
            continue
        if bound <= MAX_LENGTH:
            node.kept[name] = bound
        else:
            node.notes.append(f"{words} {counted(bound, unit)}.")


def _object(schema: JsonObject, walk: _Walk, inside: tuple[str, ...], node: _Node) -> None:
    node.kept["type"] = "object"
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict):
        node.kept["properties"] = {
            name: _portable(value, walk, inside) for name, value in properties.items()
        }
    if isinstance(required, list) and required:
        node.kept["required"] = list(dict.fromkeys(map(str, required)))
    further = schema.get("additionalProperties")
    patterns = schema.get("patternProperties")
    if isinstance(patterns, dict) and len(patterns) == 1:
        pattern, further = next(iter(patterns.items()))
        node.notes.append(f"Keys match the regular expression {clipped(pattern)}")
    if further is False:
        node.kept["additionalProperties"] = False
    elif isinstance(further, dict) and not properties:
        node.kept["additionalProperties"] = _portable(further, walk, inside)
    elif further and properties:
        node.notes.append("Further keys may be given.")
    if isinstance(keys := schema.get("propertyNames"), dict):
        names = _portable(keys, walk, inside)
        if isinstance(values := names.get("enum"), list):
            node.notes.append(f"Keys are among: {', '.join(map(shown, values))}.")
        elif isinstance(said := names.get("description"), str):
            node.notes.append(f"Of a key: {said}")
    for name, words in (("minProperties", "At least"), ("maxProperties", "At most")):
        if isinstance(bound := schema.get(name), int) and not isinstance(bound, bool):
            node.notes.append(f"{words} {counted(bound, 'key')}.")


def accepts_null(schema: JsonValue) -> bool:
    """Whether null fits a portable schema."""
    if not isinstance(schema, dict):
        return False
    choices = schema.get("anyOf")
    if isinstance(choices, list):
        return any(accepts_null(choice) for choice in choices)
    return schema.get("type") == "null"
