"""Schemas that every endpoint takes: one example a rule, then anything that people annotate."""

import enum
import ipaddress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue, SecretStr, TypeAdapter

from agentcore.errors import ConfigurationError
from agentcore.messages import JsonObject
from agentcore.tools import Tool, tool
from agentcore.tools.schema import KEYWORDS, SchemaError, accepts_null, portable
from agentcore.tools.strict import as_given, strict_schema
from tests.tools.signatures import Typed, typed
from tests.tools.subset import complaints, fits, strict_complaints

ANY = portable({})
STRICT_REFUSES = "and a strict schema names them all"


def made(annotation: object, **options: Any) -> Tool:
    def take(x: object) -> object:
        return x

    take.__annotations__["x"] = annotation
    return tool(**options)(take)


def schema_of(annotation: object) -> JsonValue:
    properties = made(annotation).parameters["properties"]
    assert isinstance(properties, dict)
    return properties["x"]


@dataclass
class Point:
    """A point."""

    x: int
    y: int = 0


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Pair(NamedTuple):
    name: str
    rank: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


class Node(BaseModel):
    name: str
    children: "list[Node]" = []


POINT: JsonObject = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
    "required": ["x"],
    "additionalProperties": False,
    "description": "A point.",
}

# What it is written as, and what it becomes.
EXAMPLES: list[tuple[object, JsonObject]] = [
    (Point, POINT),
    (list[Point], {"type": "array", "items": POINT}),
    (Point | None, {"anyOf": [POINT, {"type": "null"}]}),
    (Size, {"type": "integer", "description": "One of: 1, 2."}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Literal["a"], {"type": "string", "enum": ["a"]}),
    (Literal[3], {"type": "integer", "description": "Always 3."}),
    (
        Literal["a", None],
        {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
    ),
    (Literal["a"] | str, {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "string"}]}),
    (
        tuple[int, str],
        {
            "type": "array",
            "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "minItems": 2,
            "maxItems": 2,
            "description": "In this order: integer, string.",
        },
    ),
    (
        tuple[int, int],
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    ),
    (
        Pair,
        {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "minItems": 2,
            "maxItems": 2,
            "description": "In this order: string, integer.",
        },
    ),
    (
        set[str],
        {"type": "array", "items": {"type": "string"}, "description": "No item twice."},
    ),
    (list, {"type": "array", "items": ANY}),
    (dict, {"type": "object"}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (
        dict[Literal["a", "b"], int],
        {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": 'Keys are among: "a", "b".',
        },
    ),
    (Any, ANY),
    (Annotated[int, Field(gt=0, lt=9)], {"type": "integer", "minimum": 1, "maximum": 8}),
    (Annotated[float, Field(gt=0)], {"type": "number", "description": "More than 0."}),
    (Annotated[float, Field(lt=2, ge=1)], {"type": "number", "minimum": 1,
                                           "description": "Less than 2."}),
    (Annotated[int, Field(multiple_of=5)], {"type": "integer", "description": "A multiple of 5."}),
    (Annotated[int, Field(ge=10**20)], {"type": "integer",
                                        "description": f"At least {10**20}."}),
    (Annotated[str, Field(max_length=2_000)], {"type": "string", "maxLength": 2_000}),
    (
        Annotated[str, Field(max_length=2_001)],
        {"type": "string", "description": "At most 2,001 characters."},
    ),
    (
        Annotated[str, Field(pattern=r"^\d+$", description="A number")],
        {"type": "string",
         "description": r"A number. Matches the regular expression ^\d+$"},
    ),
    (
        Annotated[str, Field(examples=["a", "b"])],
        {"type": "string", "description": 'For example: "a", "b".'},
    ),
    (Annotated[dict[str, int], Field(min_length=1)],
     {"type": "object", "additionalProperties": {"type": "integer"},
      "description": "At least 1 key."}),
    (ipaddress.IPv4Address, {"type": "string", "description": "An IPv4 address."}),
    (SecretStr, {"type": "string"}),
    (bytes, {"type": "string"}),
    (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "kind": {"type": "string", "enum": ["cat"]},
                        "lives": {"type": "integer", "default": 9},
                    },
                    "required": ["kind"],
                },
                {
                    "type": "object",
                    "properties": {"kind": {"type": "string", "enum": ["dog"]}},
                    "required": ["kind"],
                },
            ]
        },
    ),
    (
        Node,
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "description": "One more Node, of the same shape.",
                    },
                    "default": [],
                },
            },
            "required": ["name"],
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "expected"), EXAMPLES, ids=lambda value: str(value)[:40])
def test_a_type_becomes_what_every_endpoint_takes(annotation: object, expected: JsonObject) -> None:
    assert schema_of(annotation) == expected
    assert list(complaints(expected)) == []


# As it comes from elsewhere than pydantic of today: `WithJsonSchema`, older versions.
WRITTEN: list[tuple[JsonObject, JsonObject]] = [
    ({"const": 1.5}, {"type": "number", "description": "Always 1.5."}),
    ({"type": ["string", "null"], "maxLength": 9},
     {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]}),
    ({"allOf": [{"$ref": "#/$defs/A"}], "default": {}, "$defs": {"A": {"type": "object"}}},
     {"type": "object", "default": {}}),
    ({"allOf": [{"properties": {"a": {"type": "null"}}, "required": ["a"]},
                {"properties": {"b": {"type": "null"}}, "required": ["b"]}]},
     {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
      "required": ["a", "b"]}),
    ({"items": {"type": "string"}}, {"type": "array", "items": {"type": "string"}}),
    ({"type": "object", "patternProperties": {"^a": {"type": "null"}}},
     {"type": "object", "additionalProperties": {"type": "null"},
      "description": "Keys match the regular expression ^a"}),
    ({"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": True},
     {"type": "object", "properties": {"a": {"type": "null"}},
      "description": "Further keys may be given."}),
    ({"type": "array"}, {"type": "array", "items": ANY}),
    ({"allOf": [True, {"type": "null"}]}, {"type": "null"}),
    ({"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "string"}},
     {"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "string"}]},
      "description": "In this order: null, string."}),
    ({"type": "object", "propertyNames": {"pattern": "^a$", "type": "string"}},
     {"type": "object",
      "description": "Of a key: Matches the regular expression ^a$"}),
    # JSON has no infinity: it went out as one, and no endpoint could read the request.
    ({"type": "number", "default": float("inf")}, {"type": "number"}),
    # A type that holds itself and is no object: once it was said to be one, and a grammar would
    # have let through nothing else.
    ({"$ref": "#/$defs/J", "$defs": {"J": {"anyOf": [
        {"type": "array", "items": {"$ref": "#/$defs/J"}}, {"type": "null"}]}}},
     {"anyOf": [
         {"type": "array", "items": {**ANY, "description": "One more J, of the same shape."}},
         {"type": "null"}]}),
    ({"anyOf": [{"anyOf": [{"type": "null"}, {"type": "string"}]}, {"type": "string"}]},
     {"anyOf": [{"type": "null"}, {"type": "string"}]}),
    ({"type": "string", "format": "hostname", "title": "T", "readOnly": True},
     {"type": "string", "description": "Format: hostname."}),
    # A description that says it already is not made longer.
    ({"type": "string", "format": "uuid", "description": "A UUID."},
     {"type": "string", "description": "A UUID."}),
    # A null that the type does not take is no default: `limit: int = None`.
    ({"type": "integer", "default": None}, {"type": "integer"}),
    # A property may be named as a keyword is.
    ({"type": "object", "properties": {"title": {"type": "string"}, "$ref": {"type": "string"}}},
     {"type": "object", "properties": {"title": {"type": "string"}, "$ref": {"type": "string"}}}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), WRITTEN)
def test_a_schema_written_otherwise_is_brought_down_as_well(
    schema: JsonObject, expected: JsonObject
) -> None:
    assert portable(schema) == expected
    assert list(complaints(expected)) == []


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"enum": []}, "allows no value"),
        ({"properties": {"a": False}}, "allows no value"),
        ({"$ref": "#/$defs/Gone"}, "'#/$defs/Gone'"),
        # An enum of tuples: no JSON is one of them.
        ({"enum": ["a", [1, 2]]}, "name them by texts"),
        ({"$ref": "https://example.com/schema"}, "https://example.com/schema"),
    ],
)
def test_a_schema_that_cannot_be_is_refused(schema: JsonObject, why: str) -> None:
    with pytest.raises(SchemaError, match=why.replace("$", r"\$")):
        portable(schema)


def test_types_that_hold_each_other_end_in_an_error_not_in_a_flood() -> None:
    """Written out, twelve of them would be twelve factorial."""
    names = [f"T{number}" for number in range(12)]
    all_of_them: JsonObject = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    each: JsonObject = {"type": "object", "properties": all_of_them}
    with pytest.raises(SchemaError, match="more than 2000 parts"):
        portable({"$ref": "#/$defs/T0", "$defs": dict.fromkeys(names, each)})


def test_a_type_that_refers_to_itself_alone_is_one_more_of_itself() -> None:
    loop: JsonObject = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert portable(loop) == {**ANY, "description": "One more A, of the same shape."}


# --- strict ---------------------------------------------------------------------------------


@dataclass
class Row:
    name: str
    tags: list[str] = field(default_factory=list)
    rank: int = 3
    at: Point | None = None


def test_strict_requires_all_and_says_bounds_and_defaults_in_words() -> None:
    @tool(strict=True)
    def find(
        query: Annotated[str, Field(min_length=1)],
        limit: Annotated[int, Field(ge=1, description="Rows.")] = 10,
        order: Literal["new", "old"] | None = None,
    ) -> str:
        return f"{query} {limit} {order}"

    assert find.spec.strict is True
    assert find.spec.parameters == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "At least 1 character."},
            "limit": {
                "anyOf": [{"type": "integer"}, {"type": "null"}],
                "description": "Rows. At least 1. Null for the default, 10.",
            },
            "order": {"anyOf": [{"type": "string", "enum": ["new", "old"]}, {"type": "null"}]},
        },
        "required": ["query", "limit", "order"],
        "additionalProperties": False,
    }
    assert find.validate({"query": "q", "limit": None, "order": None}) == {
        "query": "q",
        "limit": 10,
        "order": None,
    }


def test_strict_nulls_are_given_back_at_any_depth() -> None:
    take = made(list[Row] | Row, strict=True)
    sent: JsonObject = {"name": "a", "tags": None, "rank": None, "at": {"x": 1, "y": None}}

    row = Row(name="a", at=Point(1))
    assert take.validate({"x": sent}) == {"x": row}
    assert take.validate({"x": [sent, {"name": "b"}]}) == {"x": [row, Row("b")]}


def test_a_null_that_a_type_takes_stays_one() -> None:
    def keep(limit: int | None = 5) -> None:
        pass

    for one in (tool(keep), tool(strict=True)(keep)):
        assert one.validate({"limit": None}) == {"limit": None}
        assert one.validate({}) == {"limit": 5}


def test_models_write_null_for_left_out_without_strict_as_well() -> None:
    def page(size: int = 20) -> None:
        pass

    assert tool(page).validate({"size": None}) == {"size": 20}


def test_a_strict_draft_can_still_be_resumed() -> None:
    @tool(draft="text", strict=True)
    def save(name: str, text: str) -> str:
        return name + text

    properties = save.spec.parameters["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == save.spec.parameters["required"]
    assert list(properties) == ["name", "start_line", "resume", "text"]
    assert list(strict_complaints(save.spec.parameters)) == []


OPEN = (dict[str, int], dict, Any, list[Any], Node, list[dict[str, int]])


@pytest.mark.parametrize("annotation", OPEN, ids=str)
def test_what_strict_cannot_say_is_refused_when_the_tool_is_made(annotation: object) -> None:
    with pytest.raises(ConfigurationError, match=STRICT_REFUSES) as caught:
        made(annotation, strict=True)
    assert "tool 'take': strict=True" in str(caught.value)
    assert "the keys of x" in str(caught.value)


def test_the_shape_of_a_union_is_found_by_its_keys() -> None:
    schema = portable(
        {
            "anyOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}},
                {"type": "object", "properties": {"b": {"type": "null"}, "c": {"type": "null"}}},
            ]
        }
    )
    assert as_given({"b": None}, schema) == {"b": None}
    assert as_given({"a": None}, schema) == {}


# --- anything -------------------------------------------------------------------------------

SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # a pydantic model is built for each example


def has_open_object(schema: JsonValue) -> bool:
    if isinstance(schema, list):
        return any(map(has_open_object, schema))
    if not isinstance(schema, dict):
        return False
    is_open = schema.get("type") == "object" and "properties" not in schema
    return is_open or any(map(has_open_object, schema.values()))


@SLOW
@given(one=typed, has_default=st.booleans())
def test_every_signature_gives_a_schema_of_the_subset(one: Typed, has_default: bool) -> None:
    def take(x: object) -> None:
        pass

    take.__annotations__["x"] = one.annotation
    if has_default:
        take.__defaults__ = (7,)
    schema = tool(take).parameters

    assert list(complaints(schema)) == []
    if has_open_object(schema):
        with pytest.raises(SchemaError, match=STRICT_REFUSES):
            strict_schema(schema)
    else:
        strict = strict_schema(schema)
        assert list(complaints(strict)) == []
        assert list(strict_complaints(strict)) == []


@SLOW
@given(data=st.data())
def test_what_fits_the_type_fits_the_schema_and_arrives_as_it_was(data: st.DataObject) -> None:
    one = data.draw(typed)
    take = made(one.annotation)
    value = data.draw(one.values)
    sent: JsonValue = TypeAdapter(one.annotation).dump_python(value, mode="json")

    assert fits({"x": sent}, take.parameters)
    assert take.validate({"x": sent}) == {"x": value}


# What is left out of the schema is judged by pydantic all the same.
@pytest.mark.parametrize(
    ("annotation", "wrong"),
    [
        (Annotated[str, Field(pattern=r"^\d+$")], "a"),
        (Annotated[float, Field(gt=0)], 0),
        (Size, 3),
        (tuple[int, str], ["a", 1]),
        (Annotated[list[int], Field(max_length=2_001)], [1] * 2_002),
        (Decimal, "1,5"),
        (Node, {"name": "a", "children": [{"children": []}]}),
    ],
)
def test_a_rule_that_left_the_schema_is_still_a_rule(annotation: object, wrong: JsonValue) -> None:
    take = made(annotation)
    with pytest.raises(Exception, match="do not fit"):
        take.validate({"x": wrong})


def test_the_keywords_are_those_of_the_judge() -> None:
    assert accepts_null({"type": "null"})
    assert not accepts_null(True)
    assert {"anyOf", "enum", "items"} < KEYWORDS
    assert not KEYWORDS & {"$ref", "$defs", "const", "prefixItems", "pattern", "title", "oneOf"}
