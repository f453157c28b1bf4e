"""`@tool`: a function with annotated parameters becomes something a model can call.

The schema comes from the signature, `Annotated[..., Field(...)]` and the docstring; pydantic
validates what the model sends. A failed call is a `ToolResult(is_error=True)`, never an exception.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, TypeAlias, get_type_hints, overload

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, create_model
from pydantic_core import to_json

from agentcore.errors import ConfigurationError
from agentcore.messages import JsonObject, ToolSpec

__all__ = [
    "Continuation",
    "CutDraft",
    "InvalidArguments",
    "OnCut",
    "Tool",
    "ToolContext",
    "ToolResult",
    "tool",
]

MAX_SHOWN_CHARACTERS = 60
"""How much of a wrong value an error repeats to the model."""
MAX_ERROR_CHARACTERS = 2_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What a tool may know of the run; give a parameter this type to receive it."""

    workspace: Path
    """An absolute path: the folder that file tools stay in and programs run in."""
    call_id: str = ""
    continued: frozenset[str] = frozenset()
    """Targets that hold text of a cut call of this run: what follows may begin with the lines that
    the model was shown, or wrote last."""
    notes: dict[str, str] = field(default_factory=dict)
    """What tools keep between the calls of one run, the same for all of them. Keys begin with the
    name of the tool or module and a slash: `files/seen/a.txt`."""
    unconfined_allowed: bool = False
    """The user has allowed this tool by name to run although nothing confines it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """A tool's answer."""

    content: str
    """What the model reads."""
    is_error: bool = False
    changed: bool = False
    """Something new was written: this is what counts as progress of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutDraft:
    """A call that was cut, for the tool's `on_cut` hook."""

    fields: Mapping[str, JsonValue]
    """The arguments that the model had closed, without the large one."""
    text: str
    """The whole lines of the large one that arrived, exactly as sent; empty for none."""
    ours: bool
    """This run has written the same target before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """How to go on after a cut call, for guidance: exact, or not told at all."""

    on_disk: str
    """One sentence: what is true now of what the call was to write."""
    next_call: str
    """The arguments of the next call, but for the large one, ready to copy; empty when unknown."""
    new_lines: int = 0
    """Whole lines of the cut text that were stored and were not there before."""


class InvalidArguments(Exception):
    """A call's arguments do not fit; the text tells the model how to mend them."""


ToolFunction: TypeAlias = Callable[..., Any]
OnCut: TypeAlias = Callable[
    [ToolContext, CutDraft], "Continuation | Awaitable[Continuation | None] | None"
]


@dataclass(slots=True, kw_only=True, eq=False)
class Tool:
    """A function that a model can call. Made by `@tool`."""

    name: str
    description: str
    parameters: JsonObject
    """JSON Schema of an object, closed to further properties."""
    function: ToolFunction
    arguments: type[BaseModel]
    """Validates a call; its fields carry the parameters' names as aliases."""
    context_parameter: str = ""
    """The parameter that receives the `ToolContext`; empty when none does."""
    draft: str = ""
    """The large argument, which is what a cut call is cut in; empty when there is none."""
    reads: str = ""
    """The parameter that names what is read: such calls wait for earlier writes to the same."""
    writes: str = ""
    """The parameter that names what is written: such calls run alone on it, in call order."""
    confined: bool | Callable[[], str] = True
    """False: it can do whatever this process can, and must be allowed by name. A function finds
    out at the first question, and says why it is not confined; empty text when it is."""
    alone: bool = False
    """A call waits for all before it, and all after it wait for it: it may touch anything."""
    on_cut_hook: OnCut | None = None
    """Set by `on_cut`."""

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""
        parameters = self.parameters
        if self.takes_resume:
            parameters = _with_resume(parameters, self.draft)
        return ToolSpec(name=self.name, description=self.description, parameters=parameters)

    @property
    def takes_resume(self) -> bool:
        """A call may go on from a parked draft: dispatch puts the draft's text before the call's.

        So it is for every tool with a draft whose function has no parameter `resume` of its own.
        """
        properties = self.parameters.get("properties")
        return bool(self.draft) and isinstance(properties, dict) and "resume" not in properties

    @property
    def own_parameters(self) -> frozenset[str]:
        """The names that the function itself takes from the model."""
        properties = self.parameters.get("properties")
        return frozenset(properties) if isinstance(properties, dict) else frozenset()

    @property
    def why_unconfined(self) -> str:
        """Why nothing confines it; empty for a confined tool."""
        if callable(self.confined):
            return self.confined()
        return "" if self.confined else "it can do whatever this user can"

    @property
    def requires_nothing(self) -> bool:
        """No argument is required: a call with empty arguments is a call."""
        return not self.parameters.get("required")

    def on_cut(self, hook: OnCut) -> OnCut:
        """Register what is done with a cut call: `(context, cut) -> Continuation | None`.

        The hook, sync or async, stores the text that arrived where it belongs, and says how to go
        on; guidance tells the model. None parks the text in the workspace, to be resumed by id: so
        it is for a tool without a hook, and when a hook raises.
        """
        self.on_cut_hook = hook
        return hook

    async def run_on_cut(self, context: ToolContext, cut: CutDraft) -> Continuation | None:
        """What the hook says; None without one. A sync hook runs in a worker thread."""
        hook = self.on_cut_hook
        if hook is None:
            return None
        said: Continuation | Awaitable[Continuation | None] | None
        if inspect.iscoroutinefunction(hook):
            said = hook(context, cut)
        else:
            # In a list: trio takes no bare coroutine from a thread.
            told: list[Continuation | Awaitable[Continuation | None] | None] = []
            await anyio.to_thread.run_sync(lambda: told.append(hook(context, cut)))
            said = told[0]
        return await said if isinstance(said, Awaitable) else said

    def validate(self, fields: Mapping[str, JsonValue]) -> dict[str, Any]:
        """The keyword arguments for the function.

        Raises:
            InvalidArguments: A field is missing, unknown or of the wrong type.
        """
        try:
            model = self.arguments.model_validate(fields)
        except ValidationError as error:
            raise InvalidArguments(_explain(self, error)) from None
        return {
            info.alias or name: getattr(model, name)
            for name, info in type(model).model_fields.items()
        }

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Call the function with validated arguments. What it raises passes through.

        A sync function runs in a worker thread.
        """
        keywords = dict(arguments)
        if self.context_parameter:
            keywords[self.context_parameter] = context
        if inspect.iscoroutinefunction(self.function):
            result = await self.function(**keywords)
        else:
            # In a tuple: trio takes no bare coroutine from a thread.
            (result,) = await anyio.to_thread.run_sync(lambda: (self.function(**keywords),))
            if isinstance(result, Awaitable):
                result = await result
        if not isinstance(result, ToolResult):
            return ToolResult(content=_as_text(result))
        if isinstance(result.content, str):
            return result
        return replace(result, content=_as_text(result.content))


@overload
def tool(function: ToolFunction, /) -> Tool: ...
@overload
def tool(
    *,
    name: str = "",
    draft: str = "",
    reads: str = "",
    writes: str = "",
    alone: bool = False,
    confined: bool | Callable[[], str] = True,
) -> Callable[[ToolFunction], Tool]: ...
def tool(
    function: ToolFunction | None = None,
    /,
    *,
    name: str = "",
    draft: str = "",
    reads: str = "",
    writes: str = "",
    alone: bool = False,
    confined: bool | Callable[[], str] = True,
) -> Tool | Callable[[ToolFunction], Tool]:
    """Make a tool of an async or sync function.

    Args:
        function: The function, when the decorator is used without parentheses.
        name: Instead of the function's name.
        draft: The parameter that carries a large text. Put it last, so that a cut call has its
            other arguments closed.
        reads: The parameter that names what is read.
        writes: The parameter that names what is written.
        alone: True for a tool that may touch anything: nothing runs beside it.
        confined: False for a tool that can do whatever this process can; or a function that says
            why it is not confined, with an empty text when it is.

    Raises:
        ConfigurationError: No schema can be made of the signature, or `draft`, `reads` or `writes`
            names no parameter.
    """

    def make(function: ToolFunction) -> Tool:
        tool_name = name or getattr(function, "__name__", "")
        if not _NAME.fullmatch(tool_name):
            raise ConfigurationError(
                f"tool {tool_name!r}: endpoints take names of 1 to 64 letters, digits, - and _; "
                "give one with @tool(name=…)"
            )
        parameters, context_parameter = _parameters(tool_name, function)
        for role, parameter in (("draft", draft), ("reads", reads), ("writes", writes)):
            if parameter and parameter not in parameters:
                known = ", ".join(parameters) or "none"
                raise ConfigurationError(
                    f"tool {tool_name!r}: {role}={parameter!r} names no parameter (it has: {known})"
                )
        arguments, schema = _model(tool_name, parameters)
        return Tool(
            name=tool_name,
            description=inspect.cleandoc(function.__doc__ or ""),
            parameters=schema,
            function=function,
            arguments=arguments,
            context_parameter=context_parameter,
            draft=draft,
            reads=reads,
            writes=writes,
            alone=alone,
            confined=confined,
        )

    return make if function is None else make(function)


def _parameters(tool_name: str, function: ToolFunction) -> tuple[dict[str, tuple[Any, Any]], str]:
    """Annotation and default of each parameter that the model fills, and the context's name."""
    parameters: dict[str, tuple[Any, Any]] = {}
    context_parameter = ""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigurationError(
                f"tool {tool_name!r}: parameter {parameter} cannot be called by name; "
                "a model sends named arguments only"
            )
        annotation = _annotation(tool_name, function, parameter)
        if annotation is ToolContext:
            context_parameter = parameter.name
        else:
            default = ... if parameter.default is parameter.empty else parameter.default
            parameters[parameter.name] = (annotation, default)
    return parameters, context_parameter


def _annotation(tool_name: str, function: ToolFunction, parameter: inspect.Parameter) -> Any:
    """A parameter's annotation, names in it resolved. One by one, so that an error names it."""
    if parameter.annotation is parameter.empty:
        raise ConfigurationError(
            f"tool {tool_name!r}: parameter {parameter.name!r} has no annotation; "
            "the model is told its type"
        )
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return get_type_hints(holder, names, include_extras=True)[parameter.name]
    except Exception as error:  # an annotation may be any expression, and raise anything
        raise ConfigurationError(
            f"tool {tool_name!r}: the annotation of parameter {parameter.name!r} cannot be "
            f"resolved ({_first_line(error)}); import what it names at run time"
        ) from error


def _model(
    tool_name: str, parameters: Mapping[str, tuple[Any, Any]]
) -> tuple[type[BaseModel], JsonObject]:
    # Neutral field names with aliases: a parameter may be called `copy` or `schema`, which a
    # pydantic model uses itself.
    fields: dict[str, Any] = {
        f"argument_{position}": (Annotated[annotation, Field(alias=name)], default)
        for position, (name, (annotation, default)) in enumerate(parameters.items())
    }
    try:
        model = create_model(tool_name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema(by_alias=True)
    except Exception as error:  # pydantic raises several kinds for types that it cannot describe
        if len(parameters) > 1:
            for name in parameters:  # the one at fault raises, and is named
                _model(tool_name, {name: parameters[name]})
        raise ConfigurationError(
            f"tool {tool_name!r}: no JSON schema can be made of parameter "
            f"{', '.join(map(repr, parameters))} ({_first_line(error)})"
        ) from error
    schema.pop("title", None)
    for described in schema.get("properties", {}).values():
        described.pop("title", None)
    return model, schema


_RESUME_SCHEMA: Mapping[str, JsonObject] = {
    "start_line": {
        "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
        "default": None,
        "description": "With resume: the line of the draft that this text is meant to begin at.",
    },
    "resume": {
        "anyOf": [{"type": "string"}, {"type": "null"}],
        "default": None,
        "description": "Only when told: id of a kept draft. Its text is put before this text.",
    },
}


def _with_resume(parameters: JsonObject, draft: str) -> JsonObject:
    """The schema with the parameters that dispatch itself takes, before the large one."""
    properties = parameters["properties"]
    assert isinstance(properties, dict)
    own = {name: schema for name, schema in properties.items() if name != draft}
    added = {name: schema for name, schema in _RESUME_SCHEMA.items() if name not in own}
    return {**parameters, "properties": {**own, **added, draft: properties[draft]}}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _explain(tool: Tool, error: ValidationError) -> str:
    """What was wrong, field by field, and the shape that is right; never the payload itself."""
    lines = [f"The arguments of {tool.name} do not fit, so it was not run:"]
    for problem in error.errors(include_url=False)[:8]:
        place = ".".join(str(part) for part in problem["loc"]) or "arguments"
        line = f"- {_clip(place)}: {problem['msg']}"
        if problem["type"] not in ("missing", "extra_forbidden"):
            line += f"; came: {_clip(repr(problem['input']))}"
        lines.append(line)
    properties = tool.parameters.get("properties")
    required = tool.parameters.get("required")
    shape = ", ".join(
        f'"{name}"' + ("" if isinstance(required, list) and name in required else " (optional)")
        for name in (properties if isinstance(properties, dict) else ())
    )
    lines.append(f"It takes: {shape or 'no arguments'}.")
    return "\n".join(lines)[:MAX_ERROR_CHARACTERS]


def _clip(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def _as_text(value: object) -> str:
    if value is None:
        return "done"
    if isinstance(value, str):
        return value
    try:
        return to_json(value).decode()
    except ValueError:
        return str(value)
