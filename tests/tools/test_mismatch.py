"""Errors that the model reads: the shape that is right, and nothing of the payload."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue, SecretStr, create_model

from agentcore.messages import JsonObject
from agentcore.tools import Tool, tool
from agentcore.tools.base import MAX_ERROR_CHARACTERS, InvalidArguments
from agentcore.tools.mismatch import shape_of

SECRET = "hunter2-hunter2"


def refusal(called: Tool, fields: JsonObject) -> str:
    with pytest.raises(InvalidArguments) as caught:
        called.validate(fields)
    return str(caught.value)


@dataclass
class Cell:
    name: str
    kind: Literal["text", "number"] = "text"


@dataclass
class Row:
    cells: list[Cell]
    tags: dict[str, int] = field(default_factory=dict)
    size: tuple[int, int] | None = None


@tool
def fill(table: str, rows: list[Row], *, dry: bool = False) -> None:
    """Fill a table."""


def test_the_right_shape_is_shown_as_far_down_as_it_goes() -> None:
    assert refusal(fill, {"rows": [{"cells": [{"name": 1}]}], "table": "t"}).splitlines() == [
        "The arguments of fill do not fit, so it was not run:",
        "- rows.0.cells.0.name: Input should be a valid string; came: 1",
        'It takes: {"table": string, "rows": [{"cells": [{"name": string, '
        '"kind"?: "text" | "number"}, …], "tags"?: {key: integer, …}, '
        '"size"?: [integer, …] | null}, …], "dry"?: boolean}.',
    ]


@pytest.mark.parametrize(
    ("sent", "came"),
    [
        ({"password": SECRET}, "an object with password"),
        ([SECRET, SECRET], "a list of 2"),
        ({}, "an object with no keys"),
        ({"k" * 100: 1}, f"an object with {'k' * 44}…"),
        (None, "null"),
        (True, "true"),
        ("many", "'many'"),
    ],
)
def test_of_an_object_the_keys_are_shown_not_what_they_hold(sent: JsonValue, came: str) -> None:
    @tool
    def take(it: Annotated[int, Field(strict=True)]) -> None:
        pass

    assert f"- it: Input should be a valid integer; came: {came}\n" in refusal(take, {"it": sent})


class Account(BaseModel):
    token: Annotated[SecretStr, Field(min_length=99)]


def test_nothing_is_shown_of_a_secret_at_any_depth() -> None:
    @tool
    def log_in(token: Annotated[SecretStr, Field(min_length=99)], accounts: list[Account]) -> None:
        pass

    text = refusal(log_in, {"token": SECRET, "accounts": [{"token": SECRET}]})
    assert "- token: " in text
    assert "- accounts.0.token: " in text
    assert "hunter" not in text
    assert log_in.secrets == {"token", "accounts"}


def test_a_long_list_of_choices_is_cut() -> None:
    words = tuple(f"w{number}" for number in range(20))
    schema: JsonObject = {"type": "string", "enum": list(words)}
    assert shape_of(schema, 3) == (
        '"w0" | "w1" | "w2" | "w3" | "w4" | "w5" | "w6" | "w7" | … (20 in all)'
    )


def test_a_schema_that_says_nothing_takes_anything() -> None:
    assert shape_of({}, 1) == shape_of(True, 1) == "any"


def test_many_problems_are_counted() -> None:
    text = refusal(fill, {f"x{number}": 1 for number in range(30)})
    assert text.count("\n- ") == 9
    assert "\n- and 24 more\n" in text


def test_a_large_tool_is_shown_less_deep() -> None:
    fields = {f"field_{number}": (Row, ...) for number in range(9)}
    model = create_model("Large", **fields)  # type: ignore[call-overload]

    def take(it: object) -> None:
        pass

    take.__annotations__["it"] = model
    text = refusal(tool(take), {})
    last = '"field_8": {"cells": [object, …], "tags"?: object, "size"?: [integer, …] | null}}}.'
    assert text.endswith(last)
    assert len(text) <= MAX_ERROR_CHARACTERS


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=99), inner),
    max_leaves=30,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(fields=st.dictionaries(st.sampled_from(["table", "rows", "dry", "other"]), json))
def test_any_arguments_fit_or_are_refused_within_two_kilobytes(fields: JsonObject) -> None:
    try:
        arguments = fill.validate(fields)
    except InvalidArguments as error:
        text = str(error)
        assert len(text) <= MAX_ERROR_CHARACTERS
        assert text.endswith('"dry"?: boolean}.')
    else:
        assert isinstance(arguments["rows"], list)
