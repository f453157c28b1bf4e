"""What may stand under `@tool`, and what of it the model is told."""

import enum
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from agentcore.errors import ConfigurationError
from agentcore.tools import FunctionTool, Tool, ToolContext, ToolResult, tool
from agentcore.tools.base import InvalidArguments

CONTEXT = ToolContext(workspace=Path("/nowhere"), call_id="call-1")


async def call(called: Tool, **fields: JsonValue) -> str:
    return (await called.run(called.validate(fields), CONTEXT)).content


def properties(one: Tool) -> dict[str, JsonValue]:
    found = one.parameters["properties"]
    assert isinstance(found, dict)
    return found


# --- what is told ---------------------------------------------------------------------------


@dataclass
class Point:
    """A place on the map."""

    x: int
    y: int


def test_a_bare_text_in_an_annotation_is_the_description() -> None:
    @tool
    def count(
        text: Annotated[str, "The text to count."],
        at_least: Annotated[int, "Ignored.", Field(ge=1, description="Letters.")] = 1,
    ) -> int:
        """Count.

        Args:
            text: Ignored as well.
        """
        return len(text) - at_least

    properties = count.parameters["properties"]
    assert isinstance(properties, dict)
    assert properties == {
        "text": {"type": "string", "description": "The text to count."},
        "at_least": {"type": "integer", "minimum": 1, "description": "Letters.", "default": 1},
    }


def test_the_docstring_describes_parameters_and_field_goes_before_it() -> None:
    @tool
    def find(
        query: str,
        limit: Annotated[int, Field(ge=1, description="At best ten.")] = 10,
        near: Point | None = None,
        at: Point = Point(0, 0),  # noqa: B008
        *,
        context: ToolContext,
    ) -> str:
        """Find notes.

        Args:
            query: What to look for.
            limit: Not said: Field has said it.
            near: Where it is.
            at: Where we are.
            context: Not told.
            gone: A parameter of last year.

        Returns:
            Their names.
        """
        return query

    assert find.description == "Find notes.\n\nReturns: Their names."
    told = {name: value["description"] for name, value in properties(find).items() if value}  # type: ignore[index, call-overload]
    assert told == {
        "query": "What to look for.",
        "limit": "At best ten.",
        "near": "Where it is.",
        # It says more than the class does of itself.
        "at": "Where we are.",
    }
    assert properties(find)["at"]["default"] == {"x": 0, "y": 0}  # type: ignore[index, call-overload]


def test_a_default_that_is_no_json_is_the_functions_own() -> None:
    """A warning of pydantic's was an error where warnings are errors."""
    nothing = object()

    @tool
    def take(x: Any = nothing, since: date = date(2026, 1, 2)) -> None:
        pass

    assert "default" not in properties(take)["x"]  # type: ignore[operator]
    assert properties(take)["since"]["default"] == "2026-01-02"  # type: ignore[index, call-overload]
    assert take.validate({})["x"] is nothing


def test_a_mutable_default_is_a_fresh_one_for_each_call() -> None:
    @tool
    def collect(item: int, into: list[int] = []) -> None:  # noqa: B006
        pass

    collect.validate({"item": 1})["into"].append(1)
    assert collect.validate({"item": 2})["into"] == []


def test_a_parameter_is_called_by_its_own_name() -> None:
    """The alias reached the schema once, and the function got an unknown keyword."""

    def renamed(path: Annotated[str, Field(validation_alias="p")]) -> str:
        return path

    assert list(properties(tool(renamed))) == ["path"]

    def aliased(path: str = Field("a", alias="p")) -> str:
        return path

    with pytest.raises(ConfigurationError, match=r"parameter 'path' .*take the alias out"):
        tool(aliased)


# --- what may be a tool ---------------------------------------------------------------------


class Store:
    """Not told."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, key: str) -> str:
        """Read a key."""
        return f"{self.name}/{key}"

    async def fetch(self, key: str) -> str:
        """Fetch a key."""
        await anyio.lowlevel.checkpoint()
        return f"{self.name}/{key}"

    @classmethod
    def named(cls, key: str) -> str:
        """Name it."""
        return f"{cls.__name__}/{key}"

    @staticmethod
    def plain(key: str) -> str:
        """Say it."""
        return key

    def __call__(self, key: str) -> str:
        """Call it."""
        return f"{self.name}!{key}"


class AsyncCall:
    async def __call__(self, key: str) -> str:
        """Call it later."""
        await anyio.lowlevel.checkpoint()
        return key


def logged(function: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(function)
    def wrapper(*args: Any, **keywords: Any) -> str:
        return f"logged {function(*args, **keywords)}"

    return wrapper


@logged
def decorated(key: "str", count: int = 1) -> str:
    """Repeat a key."""
    return key * count


def joined(first: str, key: str, *, last: str) -> str:
    """Join."""
    return f"{first}{key}{last}"


CALLABLES: list[tuple[str, Callable[..., Any], str, str]] = [
    ("bound method", Store("s").read, "Read a key.", "s/k"),
    ("async method", Store("s").fetch, "Fetch a key.", "s/k"),
    ("classmethod", Store.named, "Name it.", "Store/k"),
    ("staticmethod", Store.plain, "Say it.", "k"),
    ("instance", Store("s"), "Call it.", "s!k"),
    ("async instance", AsyncCall(), "Call it later.", "k"),
    ("wrapped", decorated, "Repeat a key.", "logged k"),
    # The docstring of `partial` itself went out once, and `last` was asked for.
    ("partial", functools.partial(joined, "<", last=">"), "Join.", "<k>"),
    ("partial of a method", functools.partial(Store("s").read), "Read a key.", "s/k"),
    ("async partial", functools.partial(Store("s").fetch), "Fetch a key.", "s/k"),
    ("method of a wrapped", functools.partial(logged(Store("s").read)), "Read a key.",
     "logged s/k"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "description", "result"),
    [row[1:] for row in CALLABLES],
    ids=[row[0] for row in CALLABLES],
)
async def test_whatever_can_be_called_by_name_can_be_a_tool(
    function: Callable[..., Any], description: str, result: str
) -> None:
    made = tool(name="it")(function)

    assert made.description == description
    assert made.parameters["required"] == ["key"]
    assert await call(made, key="k") == result
    assert made.origin.rpartition(".")[2]


def test_parameters_that_a_partial_has_filled_are_not_asked_for() -> None:
    made = tool(name="it")(functools.partial(decorated, count=3))
    assert list(properties(made)) == ["key"]


class Broken:
    @classmethod
    def of_class(cls) -> None: ...

    def of_instance(self, key: str) -> None: ...

    def generate(self) -> Iterator[int]:
        yield 1

    async def stream(self) -> AsyncIterator[int]:
        yield 1


class MyContext(ToolContext):
    pass


def of_its_own(context: MyContext) -> None: ...


def either(context: ToolContext | str) -> None: ...


def twice(one: ToolContext, other: ToolContext | None = None) -> None: ...


def spread(*, key: str, **more: int) -> None: ...


class Colour(enum.Enum):
    RED = "red"


def of_members(colours: list[Literal[Colour.RED]] | None) -> None: ...


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: tool(name="it")(vars(Broken)["of_class"]), "a classmethod is callable only through"),
    (lambda: tool(Broken.of_instance), r"'self' is not bound.*tool\(instance.of_instance\)"),
    (lambda: tool(Broken().generate), "'generate': a generator gives no result"),
    (lambda: tool(Broken().stream), "'stream': a generator gives no result"),
    (lambda: tool(functools.partial(Broken().stream)), "'': endpoints take names"),
    (lambda: tool(name="it")(functools.partial(Broken().stream)), "a generator gives no result"),
    (lambda: tool(name="it")(3), "'it': 3 cannot be called"),  # type: ignore[arg-type]
    (lambda: tool(name="it")(dict), "'it': .*cannot"),
    (lambda: tool(of_its_own), "'context' is a MyContext, but a run gives a ToolContext"),
    (lambda: tool(either), "'context' is a ToolContext or something else"),
    (lambda: tool(twice), "'one' and 'other' are both a ToolContext"),
    (lambda: tool(spread), r"\*\*more: int cannot be called by name"),
    (lambda: tool(tool(decorated)), "'decorated' is a tool already"),
    (lambda: tool(timeout=0.0)(decorated), r"'decorated': timeout=0.0 must be above 0"),
    (lambda: tool(timeout=float("nan"))(decorated), "timeout=nan must be above 0"),
    (lambda: tool(timeout="30")(decorated), "timeout='30' must be above 0"),  # type: ignore[call-overload]
    # The schema said "red", and "red" was refused.
    (lambda: tool(of_members), "'colours' is a Literal of Colour.RED.*annotate it with Colour"),
]


@pytest.mark.parametrize(("make", "why"), REFUSED, ids=[row[1][:30] for row in REFUSED])
def test_what_cannot_be_a_tool_is_refused_with_a_reason(
    make: Callable[[], object], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        make()
    assert "\n" not in str(caught.value)


# --- the context ----------------------------------------------------------------------------


def bare(key: str, context: ToolContext) -> str:
    return context.call_id


def optional(key: str, context: Optional[ToolContext] = None) -> str:  # noqa: UP045
    return context.call_id if context else "none"


def beside_none(key: str, context: ToolContext | None = None) -> str:
    return context.call_id if context else "none"


def annotated(key: str, context: Annotated[ToolContext, "the run's"]) -> str:
    return context.call_id


def in_both(key: str, context: Annotated[ToolContext | None, "the run's"] = None) -> str:
    return context.call_id if context else "none"


def as_text(key: str, context: "Annotated[ToolContext, 1]") -> str:
    return context.call_id


@pytest.mark.parametrize("function", [bare, optional, beside_none, annotated, in_both, as_text])
async def test_the_context_is_given_however_it_is_written(function: Callable[..., str]) -> None:
    made = tool(function)
    assert list(properties(made)) == ["key"]
    assert await call(made, key="k") == "call-1"


async def test_the_context_cannot_be_sent_by_the_model() -> None:
    with pytest.raises(InvalidArguments, match="context: Extra inputs"):
        tool(bare).validate({"key": "k", "context": {"workspace": "/"}})


# --- still a function -----------------------------------------------------------------------


async def test_a_tool_is_still_its_function_in_your_own_code() -> None:
    @tool(timeout=0.001, needs_approval=True)
    async def fetch(key: str, times: int = 2) -> str:
        """Fetch."""
        await anyio.lowlevel.checkpoint()
        return key * times

    assert isinstance(fetch, FunctionTool)
    assert await fetch("a") == "aa"
    assert await fetch(key="a", times=3) == "aaa"
    with pytest.raises(TypeError):
        await fetch()  # type: ignore[call-arg]
    assert repr(fetch) == "<tool fetch(key, times)>"


# --- what arrives ---------------------------------------------------------------------------


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    id: UUID
    on: date


async def test_a_type_that_is_strict_takes_what_json_can_say() -> None:
    """Python values were validated once, of which a text is no UUID."""

    @tool
    def take(item: Strict) -> str:
        return f"{type(item.id).__name__} {item.on:%d.%m.%Y}"

    id_ = "12345678-1234-5678-1234-567812345678"
    assert await call(take, item={"id": id_, "on": "2026-11-24"}) == "UUID 24.11.2026"
    with pytest.raises(InvalidArguments, match=r"item\.on"):
        take.validate({"item": {"id": id_, "on": "soon"}})


def test_a_validator_may_raise_anything() -> None:
    """What was no ValueError ended the run."""

    def lookup(name: str) -> str:
        return {"a": "b"}[name]

    @tool
    def take(name: Annotated[str, AfterValidator(lookup)]) -> str:
        return name

    assert take.validate({"name": "a"}) == {"name": "b"}
    with pytest.raises(InvalidArguments, match="could not be checked, so it was not run: KeyError"):
        take.validate({"name": "x"})


@given(st.text(st.characters(categories=["Cs", "L"])))
def test_a_text_with_half_an_emoji_is_judged_all_the_same(text: str) -> None:
    @tool
    def take(number: int) -> int:
        return number

    with pytest.raises(InvalidArguments):
        take.validate({"number": text})


def test_a_deprecated_parameter_does_not_warn_on_each_call() -> None:
    """Under warnings as errors, every call of the tool ended the run."""

    @tool
    def take(old: Annotated[int, Field(deprecated="use new")] = 1, new: int = 2) -> int:
        return old + new

    assert take.validate({"old": 3}) == {"old": 3, "new": 2}


async def test_a_lambda_that_gives_a_coroutine_is_awaited() -> None:
    async def later() -> ToolResult:
        await anyio.lowlevel.checkpoint()
        return ToolResult(content="done", changed=True)

    made = tool(name="later")(lambda: later())
    assert await made.run({}, CONTEXT) == ToolResult(content="done", changed=True)
