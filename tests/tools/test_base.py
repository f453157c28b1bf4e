"""`@tool`: what the model is told, what the function gets, and what is said when they differ."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AfterValidator, Field, JsonValue
from typing_extensions import override

from agentcore.errors import ConfigurationError
from agentcore.tools import Tool, ToolContext, ToolResult, tool
from agentcore.tools.base import (
    MAX_ERROR_CHARACTERS,
    Continuation,
    CutDraft,
    InvalidArguments,
)

if TYPE_CHECKING:
    from decimal import Decimal

CONTEXT = ToolContext(workspace=Path("/nowhere"), call_id="call-1")


@tool
def search(
    query: Annotated[str, Field(description="What to look for.", min_length=1)],
    context: ToolContext,
    limit: int = 10,
    *,
    order: Literal["newest", "best"] = "best",
) -> str:
    """Search the notes.

    The best come first.
    """
    return f"{query}, {limit}, {order}, {context.call_id}"


async def call(called: Tool, **fields: JsonValue) -> ToolResult:
    return await called.run(called.validate(fields), CONTEXT)


def refusal(called: Tool, fields: dict[str, JsonValue]) -> str:
    with pytest.raises(InvalidArguments) as caught:
        called.validate(fields)
    return str(caught.value)


# --- what the model is told -----------------------------------------------------------------


def test_schema_comes_from_signature_field_and_docstring() -> None:
    assert search.spec.name == "search"
    assert search.spec.description == "Search the notes.\n\nThe best come first."
    assert search.spec.parameters == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for.", "minLength": 1},
            "limit": {"type": "integer", "default": 10},
            "order": {"type": "string", "enum": ["newest", "best"], "default": "best"},
        },
        "required": ["query"],
        "additionalProperties": False,
    }


def test_field_as_a_default_describes_as_well() -> None:
    @tool
    def page(size: int = Field(20, ge=1, description="Rows.")) -> str:
        return str(size)

    assert page.parameters["properties"] == {
        "size": {"type": "integer", "default": 20, "minimum": 1, "description": "Rows."}
    }
    assert page.validate({}) == {"size": 20}


def test_a_name_given_stands_before_the_functions_own() -> None:
    @tool(name="look_up")
    def function() -> None:
        pass

    assert (function.name, function.spec.description) == ("look_up", "")


@pytest.mark.parametrize(
    ("called", "nothing"), [(search, False), (tool(name="nothing")(lambda: "x"), True)]
)
def test_a_tool_knows_whether_it_requires_anything(called: Tool, nothing: bool) -> None:
    assert called.requires_nothing is nothing


def test_annotations_as_text_and_unresolvable_return_types_do_no_harm() -> None:
    @tool
    def double(number: "Annotated[int, Field(ge=0)]") -> "Decimal":
        raise NotImplementedError

    assert double.parameters["properties"] == {"number": {"type": "integer", "minimum": 0}}


# --- what the function gets -----------------------------------------------------------------


async def test_sync_function_gets_its_arguments_and_the_context() -> None:
    result = await call(search, query="tea", order="newest")

    assert result == ToolResult(content="tea, 10, newest, call-1")


async def test_async_function_may_answer_with_a_result_of_its_own() -> None:
    @tool
    async def fail(reason: str) -> ToolResult:
        return ToolResult(content=reason, is_error=True)

    assert await call(fail, reason="no") == ToolResult(content="no", is_error=True)


# trio refused it once: no bare coroutine may come out of a worker thread.
async def test_function_that_returns_a_coroutine_is_awaited() -> None:
    async def later(word: str) -> str:
        return word * 2

    @tool
    def wrapped(word: str) -> object:
        return later(word)

    assert (await call(wrapped, word="ab")).content == "abab"


async def test_parameters_may_have_the_names_of_pydantic_methods() -> None:
    @tool
    def awkward(schema: str, copy: int, json: bool, model_config: str, _private: str) -> str:
        return f"{schema} {copy} {json} {model_config} {_private}"

    result = await call(awkward, schema="s", copy=1, json=True, model_config="m", _private="p")

    assert result.content == "s 1 True m p"
    assert awkward.parameters["required"] == ["schema", "copy", "json", "model_config", "_private"]


@dataclass
class Point:
    x: int
    y: int


class Opaque:
    @override
    def __str__(self) -> str:
        return "an opaque thing"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (None, "done"),
        ({"a": [1, 2]}, '{"a":[1,2]}'),
        (Point(1, 2), '{"x":1,"y":2}'),
        (Opaque(), "an opaque thing"),
    ],
)
async def test_what_a_function_returns_becomes_text(value: object, text: str) -> None:
    @tool
    def give() -> object:
        return value

    assert await call(give) == ToolResult(content=text)


async def test_what_a_function_raises_passes_through() -> None:
    @tool
    def explode() -> None:
        raise KeyError("fuse")

    with pytest.raises(KeyError, match="fuse"):
        await call(explode)


# --- functions that no tool can be made of --------------------------------------------------


def bare(path: str, depth) -> None:  # type: ignore[no-untyped-def]
    pass


def starred(*names: str) -> None:
    pass


def keyworded(**names: str) -> None:
    pass


def positional(path: str, /) -> None:
    pass


def missing(path: str, amount: "Decimal") -> None:
    pass


def annotated(annotation: object) -> Callable[[str, object], None]:
    def function(path: str, amount: object) -> None:
        pass

    function.__annotations__["amount"] = annotation
    return function


def opaque(path: str, thing: Opaque) -> None:
    pass


def callback(path: str, then: Callable[[], None]) -> None:
    pass


def only_opaque(thing: Opaque) -> None:
    pass


def described(path: str) -> None:
    pass


NAMES = ("endpoints take names of 1 to 64 letters, digits, - and _", "@tool(name=…)")

BAD_FUNCTIONS: list[tuple[Callable[[], object], tuple[str, ...]]] = [
    (lambda: tool(bare), ("'bare'", "'depth'", "no annotation")),
    (lambda: tool(starred), ("'starred'", "*names", "cannot be called by name")),
    (lambda: tool(keyworded), ("'keyworded'", "**names", "cannot be called by name")),
    (lambda: tool(positional), ("'positional'", "path", "cannot be called by name")),
    (lambda: tool(missing), ("'missing'", "'amount'", "'Decimal' is not defined", "import")),
    # Only NameError was caught once, and no error named the parameter.
    (lambda: tool(annotated("list[")), ("'function'", "'amount'", "cannot be resolved")),
    (lambda: tool(annotated("Path.Nothing")), ("'function'", "'amount'", "cannot be resolved")),
    (lambda: tool(annotated("int | 7")), ("'function'", "'amount'", "cannot be resolved")),
    (lambda: tool(opaque), ("'opaque'", "parameter 'thing' ", "Opaque")),
    (lambda: tool(callback), ("'callback'", "parameter 'then' ", "Callable")),
    (lambda: tool(only_opaque), ("'only_opaque'", "parameter 'thing' ")),
    (lambda: tool(draft="text")(described), ("'described'", "draft='text'", "has: path")),
    (lambda: tool(reads="file")(described), ("'described'", "reads='file'", "has: path")),
    (
        lambda: tool(name="nothing", writes="file")(lambda: ""),
        ("'nothing'", "writes='file'", "has: none"),
    ),
    # Such names went out, though endpoints document what they take.
    (lambda: tool(lambda: ""), ("tool '<lambda>': ", *NAMES)),
    (lambda: tool(partial(described, "a")), ("tool '': ", *NAMES)),
    (lambda: tool(name="look up")(described), ("tool 'look up': ", *NAMES)),
    (lambda: tool(name="look.up")(described), ("tool 'look.up': ", *NAMES)),
    (lambda: tool(name="nachschläge")(described), ("tool 'nachschläge': ", *NAMES)),
    (lambda: tool(name="name\n")(described), (r"tool 'name\n': ", *NAMES)),
    (lambda: tool(name="n" * 65)(described), ("tool 'nnn", *NAMES)),
]


@pytest.mark.parametrize(("make", "fragments"), BAD_FUNCTIONS)
def test_bad_function_is_refused_in_one_line(
    make: Callable[[], object], fragments: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()

    text = str(caught.value)
    assert "\n" not in text
    assert [fragment for fragment in fragments if fragment not in text] == []


@pytest.mark.parametrize("name", ["x", "Look-up_2", "n" * 64])
def test_a_name_that_endpoints_take_is_taken(name: str) -> None:
    assert tool(name=name)(described).spec.name == name


# --- arguments that do not fit --------------------------------------------------------------


def test_wrong_arguments_are_told_field_by_field_with_the_right_shape() -> None:
    assert refusal(search, {"limit": "many", "order": "worst", "colour": "red"}).splitlines() == [
        "The arguments of search do not fit, so it was not run:",
        "- query: Field required",
        "- limit: Input should be a valid integer, unable to parse string as an integer; "
        "came: 'many'",
        "- order: Input should be 'newest' or 'best'; came: 'worst'",
        "- colour: Extra inputs are not permitted",
        'It takes: {"query": string, "limit"?: integer, "order"?: "newest" | "best"}.',
    ]


def test_a_place_inside_a_value_is_named() -> None:
    @tool
    def draw(points: list[Point]) -> None:
        pass

    assert "- points.1.y: Input should be a valid integer" in refusal(
        draw, {"points": [{"x": 1, "y": 2}, {"x": 1, "y": "two"}]}
    )


def test_a_tool_without_parameters_says_so() -> None:
    assert refusal(tool(name="nothing")(lambda: "x"), {"a": 1}).endswith(
        "\nIt takes: no arguments."
    )


def test_a_validator_of_the_users_own_is_heard() -> None:
    def even(number: int) -> int:
        if number % 2:
            raise ValueError("must be even")
        return number

    @tool
    def halve(number: Annotated[int, AfterValidator(even)]) -> int:
        return number // 2

    assert "- number: Value error, must be even; came: 3" in refusal(halve, {"number": 3})


@given(payload=st.text(min_size=100, max_size=10_000))
@example(payload="line\n" * 3_000)
def test_a_wrong_value_is_shown_to_sixty_characters(payload: str) -> None:
    text = refusal(search, {"query": "q", "order": payload})

    shown = text.split("; came: ")[1].removesuffix(
        '\nIt takes: {"query": string, "limit"?: integer, "order"?: "newest" | "best"}.'
    )
    assert len(shown) == 60
    assert shown.endswith("…")


@given(
    fields=st.dictionaries(
        st.text(min_size=1, max_size=5_000).filter(lambda name: name not in ("limit", "order")),
        st.text(max_size=100),
        min_size=1,
        max_size=20,
    )
)
# A payload sent as a field's name was repeated whole, and pushed the right shape out.
@example(fields={"text of the file\n" * 500: ""})
def test_an_error_stays_short_and_ends_with_the_right_shape(fields: dict[str, JsonValue]) -> None:
    text = refusal(search, {"query": "", **fields})

    assert len(text) <= MAX_ERROR_CHARACTERS
    assert text.endswith(
        'It takes: {"query": string, "limit"?: integer, "order"?: "newest" | "best"}.'
    )


# --- cut calls ------------------------------------------------------------------------------


@tool(writes="key", draft="value")
def put(value: str, key: str) -> str:
    """Store a value."""
    return key + value


def test_a_tool_with_a_draft_is_offered_with_the_parameters_that_resume_it() -> None:
    properties = put.spec.parameters["properties"]

    # The large one last: a cut call has the others closed.
    assert isinstance(properties, dict)
    assert list(properties) == ["key", "start_line", "resume", "value"]
    assert put.spec.parameters["required"] == ["value", "key"]
    assert put.takes_resume
    # Its own arguments are as they were.
    assert put.own_parameters == {"value", "key"}


def test_a_parameter_of_its_own_stands_as_it_is() -> None:
    @tool(draft="text")
    def add(start_line: int, text: str) -> str:
        return text

    @tool(draft="text")
    def again(resume: bool, text: str) -> str:
        return text

    properties = add.spec.parameters["properties"]
    own = add.parameters["properties"]
    assert isinstance(properties, dict)
    assert isinstance(own, dict)
    assert list(properties) == ["start_line", "resume", "text"]
    assert properties["start_line"] == own["start_line"]
    assert (again.takes_resume, again.spec.parameters) == (False, again.parameters)


def test_a_tool_without_a_draft_takes_no_part() -> None:
    @tool
    def echo(text: str) -> str:
        return text

    assert (echo.takes_resume, echo.spec.parameters) == (False, echo.parameters)


CUT = CutDraft(fields={"key": "k"}, text="1\n", ours=False)


@pytest.mark.parametrize("way", ["sync", "async", "sync that gives an awaitable", "none"])
async def test_a_hook_is_asked_about_a_cut_call(way: str) -> None:
    @tool(draft="text")
    def save(text: str) -> str:
        return text

    def said(context: ToolContext, cut: CutDraft) -> Continuation:
        return Continuation(on_disk=f"{context.workspace} {cut.text}", next_call="")

    async def said_later(context: ToolContext, cut: CutDraft) -> Continuation | None:
        return said(context, cut)

    if way == "sync":
        assert save.on_cut(said) is said
    elif way == "async":
        save.on_cut(said_later)
    elif way != "none":
        save.on_cut(lambda context, cut: said_later(context, cut))

    kept = await save.run_on_cut(ToolContext(workspace=Path("/here")), CUT)

    expected = Continuation(on_disk="/here 1\n", next_call="")
    assert kept == (None if way == "none" else expected)
