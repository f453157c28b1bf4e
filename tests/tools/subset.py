"""Is a schema in the subset that every endpoint takes? Shares no code with what it judges."""

from collections.abc import Iterator

from pydantic import JsonValue

from agentcore.messages import JsonObject

OF_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"enum", "format", "minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set[str](),
    "null": set[str](),
}
ALWAYS = {"description", "default"}


def complaints(schema: JsonValue, place: str = "") -> Iterator[str]:
    """What endpoints would stumble over; nothing for a portable schema."""
    if not isinstance(schema, dict):
        yield f"{place}: {schema!r} is no object"
        return
    if "anyOf" in schema:
        yield from _extra(schema, {"anyOf"}, place)
        choices = schema["anyOf"]
        if not isinstance(choices, list) or len(choices) < 2:
            yield f"{place}: a union of {choices!r}"
            return
        for number, choice in enumerate(choices):
            if isinstance(choice, dict) and "anyOf" in choice and set(choice) == {"anyOf"}:
                yield f"{place}: a union in a union"
            yield from complaints(choice, f"{place}|{number}")
        return
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in OF_TYPE:
        yield f"{place}: type {kind!r}"
        return
    yield from _extra(schema, {"type", *OF_TYPE[kind]}, place)
    yield from _values(schema, place)
    yield from _within(schema, kind, place)


def _extra(schema: JsonObject, known: set[str], place: str) -> Iterator[str]:
    for name in set(schema) - known - ALWAYS:
        yield f"{place}: {name} of {schema.get('type')}"
    if schema.get("description") == "":
        yield f"{place}: an empty description"


def _values(schema: JsonObject, place: str) -> Iterator[str]:
    if schema.get("format", "date-time") != "date-time":
        yield f"{place}: format {schema['format']!r}"
    values = schema.get("enum", ["-"])
    if not isinstance(values, list) or not values or len(values) != len(set(map(str, values))):
        yield f"{place}: enum {values!r}"
    elif not all(isinstance(value, str) for value in values):
        yield f"{place}: enum of other than texts"
    for name in ("minLength", "maxLength", "minItems", "maxItems"):
        bound = schema.get(name, 0)
        if not isinstance(bound, int) or not 0 <= bound <= 2_000:
            yield f"{place}: {name} {bound!r}"


def _within(schema: JsonObject, kind: str, place: str) -> Iterator[str]:
    if kind == "array":
        yield from complaints(schema.get("items"), f"{place}[]")
    if kind != "object":
        return
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    for name, value in properties.items():
        yield from complaints(value, f"{place}.{name}")
    required = schema.get("required", ["-"])
    if not isinstance(required, list) or not required:
        yield f"{place}: required {required!r}"
    elif "required" in schema and not set(map(str, required)) <= set(properties):
        yield f"{place}: required {required!r} of {list(properties)}"
    further = schema.get("additionalProperties", False)
    if further is not False:
        yield from complaints(further, f"{place}.*")
        if properties:
            yield f"{place}: named keys and others"


def strict_complaints(schema: JsonValue, place: str = "") -> Iterator[str]:
    """What a strict mode would stumble over, beyond `complaints`."""
    assert isinstance(schema, dict)
    for name in set(schema) - {
        "type", "description", "enum", "format", "anyOf", "items", "properties", "required",
        "additionalProperties",
    }:  # fmt: skip
        yield f"{place}: {name}"
    choices = schema.get("anyOf", [])
    assert isinstance(choices, list)
    for choice in choices:
        yield from strict_complaints(choice, f"{place}|")
    if "items" in schema:
        yield from strict_complaints(schema["items"], f"{place}[]")
    if schema.get("type") != "object":
        return
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        yield f"{place}: no properties"
        return
    if schema.get("additionalProperties") is not False or schema.get("required") != list(
        properties
    ):
        yield f"{place}: is open"
    for name, value in properties.items():
        yield from strict_complaints(value, f"{place}.{name}")


def fits(value: JsonValue, schema: JsonValue) -> bool:
    """Whether a schema of the subset takes a value."""
    assert isinstance(schema, dict)
    if isinstance(choices := schema.get("anyOf"), list):
        return any(fits(value, choice) for choice in choices)
    match schema["type"], value:
        case "null", None:
            return True
        case "boolean", bool():
            return True
        case ("integer", int(number)) | ("number", int(number) | float(number)):
            is_number = not isinstance(number, bool)
            return is_number and _between(number, schema.get("minimum"), schema.get("maximum"))
        case "string", str():
            values = schema.get("enum")
            known = not isinstance(values, list) or value in values
            return known and _between(len(value), schema.get("minLength"), schema.get("maxLength"))
        case "array", list():
            whole = all(fits(item, schema["items"]) for item in value)
            return whole and _between(len(value), schema.get("minItems"), schema.get("maxItems"))
        case "object", dict():
            return _object_fits(value, schema)
        case _:
            return False


def _between(value: float, least: JsonValue, most: JsonValue) -> bool:
    low = least if isinstance(least, (int, float)) else value
    high = most if isinstance(most, (int, float)) else value
    return low <= value <= high


def _object_fits(value: JsonObject, schema: JsonObject) -> bool:
    properties, further = schema.get("properties"), schema.get("additionalProperties", {})
    known = properties if isinstance(properties, dict) else {}
    required = schema.get("required", [])
    assert isinstance(required, list)
    if not set(map(str, required)) <= set(value):
        return False
    for name, item in value.items():
        if name in known:
            if not fits(item, known[name]):
                return False
        elif further is False or (further and not fits(item, further)):
            return False
    return True
