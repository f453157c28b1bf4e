"""The parameters of a function, as a model fills them: names, types, defaults, descriptions."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MethodType, SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from typing_extensions import override

from agentcore.errors import ConfigurationError
from agentcore.messages import JsonObject
from agentcore.tools.context import ToolContext
from agentcore.tools.docstrings import Described, read_docstring
from agentcore.tools.schema import SchemaError, portable

__all__ = ["Signature", "ToolFunction", "is_async", "read_signature"]

ToolFunction: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a model may send to a function."""

    description: str
    schema: JsonObject
    """Portable JSON schema of an object, closed to further properties."""
    arguments: type[BaseModel]
    """Validates a call; its fields carry the parameters' names as aliases."""
    context_parameter: str
    """The parameter that receives the `ToolContext`; empty when none does."""
    secrets: frozenset[str]
    """Parameters with something secret in them."""


def read_signature(tool_name: str, function: ToolFunction) -> Signature:
    """What a function takes.

    Raises:
        ConfigurationError: It cannot be a tool; the text names the parameter at fault.
    """
    _check_callable(tool_name, function)
    described = read_docstring(_docstring(function))
    parameters, context_parameter = _parameters(tool_name, function)
    arguments, raw, schema = _model(tool_name, parameters, described)
    return Signature(
        description=described.description,
        schema=schema,
        arguments=arguments,
        context_parameter=context_parameter,
        secrets=_secrets(raw),
    )


def is_async(function: ToolFunction) -> bool:
    """Whether calling it gives a coroutine at once, also through a partial or a `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    call = getattr(type(function), "__call__", None)  # noqa: B004  # the method is what is asked
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _innermost(function: ToolFunction) -> ToolFunction:
    """The function that was written, below partials, methods, decorators and `__call__`."""
    for _ in range(100):
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif (wrapped := getattr(function, "__wrapped__", None)) is not None:
            function = wrapped
        elif inspect.isfunction(function) or inspect.isclass(function):
            break
        elif inspect.isfunction(call := getattr(type(function), "__call__", None)):  # noqa: B004
            function = call
        else:
            break
    return function


def _check_callable(tool_name: str, function: object) -> None:
    if isinstance(function, (classmethod, staticmethod)):
        kind = type(function).__name__
        raise ConfigurationError(
            f"tool {tool_name!r}: a {kind} is callable only through its class; make the tool "
            f"outside of it, as in tool(TheClass.{tool_name})"
        )
    if not callable(function):
        raise ConfigurationError(f"tool {tool_name!r}: {function!r} cannot be called")
    inner = _innermost(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise ConfigurationError(
            f"tool {tool_name!r}: a generator gives no result; return a list, or the text joined"
        )


def _docstring(function: ToolFunction) -> str | None:
    inner = _innermost(function)
    own = None if isinstance(function, functools.partial) else function.__doc__
    is_instance = not inspect.isroutine(function) and not inspect.isclass(function)
    return inner.__doc__ or (own if is_instance else None) or own


def _bound_names(function: ToolFunction) -> frozenset[str]:
    """Parameters that a partial has filled by name: the model is not asked for them."""
    names: set[str] = set()
    while isinstance(function, functools.partial):
        names |= set(function.keywords)
        function = function.func
    return frozenset(names)


def _parameters(tool_name: str, function: ToolFunction) -> tuple[dict[str, tuple[Any, Any]], str]:
    """Annotation and default of each parameter that the model fills, and the context's name."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"tool {tool_name!r}: Python cannot tell its parameters ({_first_line(error)}); wrap "
            "it in a function of your own"
        ) from error
    bound = _bound_names(function)
    parameters: dict[str, tuple[Any, Any]] = {}
    context_parameter = ""
    for parameter in signature.parameters.values():
        if parameter.name in bound:
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigurationError(
                f"tool {tool_name!r}: parameter {parameter} cannot be called by name; "
                "a model sends named arguments only"
            )
        annotation = _annotation(tool_name, function, parameter)
        _check_literals(tool_name, parameter.name, annotation)
        if not _is_context(tool_name, parameter.name, annotation):
            default = ... if parameter.default is parameter.empty else parameter.default
            parameters[parameter.name] = (annotation, default)
        elif context_parameter:
            raise ConfigurationError(
                f"tool {tool_name!r}: parameters {context_parameter!r} and {parameter.name!r} are "
                "both a ToolContext; one is enough"
            )
        else:
            context_parameter = parameter.name
    return parameters, context_parameter


def _annotation(tool_name: str, function: ToolFunction, parameter: inspect.Parameter) -> Any:
    """A parameter's annotation, names in it resolved. One by one, so that an error names it."""
    if parameter.annotation is parameter.empty:
        if parameter.name in ("self", "cls"):
            raise ConfigurationError(
                f"tool {tool_name!r}: {parameter.name!r} is not bound; make the tool of the bound "
                f"method, as in tool(instance.{tool_name})"
            )
        raise ConfigurationError(
            f"tool {tool_name!r}: parameter {parameter.name!r} has no annotation; "
            "the model is told its type"
        )
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    inner = _innermost(function)
    names = getattr(inner.__init__ if inspect.isclass(inner) else inner, "__globals__", {})
    try:
        return get_type_hints(holder, names, include_extras=True)[parameter.name]
    except Exception as error:  # an annotation may be any expression, and raise anything
        raise ConfigurationError(
            f"tool {tool_name!r}: the annotation of parameter {parameter.name!r} cannot be "
            f"resolved ({_first_line(error)}); import what it names at run time"
        ) from error


def _check_literals(tool_name: str, parameter: str, annotation: object) -> None:
    """A `Literal` of an enum's members takes the Python objects alone, which no model can send."""
    for part in get_args(annotation):
        if get_origin(annotation) is Literal and isinstance(part, Enum):
            raise ConfigurationError(
                f"tool {tool_name!r}: parameter {parameter!r} is a Literal of {part}, which no "
                f"JSON is; annotate it with {type(part).__name__}, or a Literal of values"
            )
        _check_literals(tool_name, parameter, part)


def _is_context(tool_name: str, parameter: str, annotation: object) -> bool:
    """Whether the run fills the parameter: `ToolContext`, also under Annotated or beside None."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_context(tool_name, parameter, arguments[0])
    if origin in (Union, UnionType):
        real = [one for one in arguments if one is not type(None)]
        contexts = [one for one in real if _is_context(tool_name, parameter, one)]
        if contexts and len(real) > 1:
            raise ConfigurationError(
                f"tool {tool_name!r}: parameter {parameter!r} is a ToolContext or something else; "
                "give each a parameter of its own"
            )
        return bool(contexts)
    if not isinstance(annotation, type) or not issubclass(annotation, ToolContext):
        return False
    if annotation is not ToolContext:
        raise ConfigurationError(
            f"tool {tool_name!r}: parameter {parameter!r} is a {annotation.__name__}, but a run "
            "gives a ToolContext; annotate it so, and bind what is yours with functools.partial"
        )
    return True


class _Quiet(GenerateJsonSchema):
    """A default that is no JSON is the function's own affair: the schema does without it."""

    ignored_warning_kinds: ClassVar[set[JsonSchemaWarningKind]] = {  # type: ignore[misc]
        "skipped-choice",
        "non-serializable-default",
    }

    @override
    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        """As written: the order of parameters is the order in which a model sends them."""
        return value


def _model(
    tool_name: str, parameters: Mapping[str, tuple[Any, Any]], described: Described
) -> tuple[type[BaseModel], JsonObject, JsonObject]:
    # Neutral field names with aliases: a parameter may be called `copy` or `schema`, which a
    # pydantic model uses itself.
    fields: dict[str, Any] = {
        f"argument_{position}": (
            Annotated[annotation, Field(alias=name, validation_alias=name)],
            default,
        )
        for position, (name, (annotation, default)) in enumerate(parameters.items())
    }
    try:
        model = create_model(tool_name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema(by_alias=True, schema_generator=_Quiet)
        for name, info in zip(parameters, model.model_fields.values(), strict=True):
            _check_name(name, info)
        said = {**described.parameters, **_noted(parameters, model)}
        return model, schema, portable(_with_docs(schema, said))
    except Exception as error:  # pydantic raises several kinds for types that it cannot describe
        if len(parameters) > 1:
            for name in parameters:  # the one at fault raises, and is named
                _model(tool_name, {name: parameters[name]}, described)
        raise ConfigurationError(
            f"tool {tool_name!r}: no JSON schema can be made of parameter "
            f"{', '.join(map(repr, parameters))} ({_first_line(error)})"
        ) from error


def _secrets(schema: JsonObject) -> frozenset[str]:
    """Names of parameters that hold a `SecretStr` at any depth."""
    properties, definitions = schema.get("properties"), schema.get("$defs")
    known = definitions if isinstance(definitions, dict) else {}

    def is_secret(value: JsonValue, seen: frozenset[str]) -> bool:
        if isinstance(value, list):
            return any(is_secret(item, seen) for item in value)
        if not isinstance(value, dict):
            return False
        name = str(value.get("$ref", "")).removeprefix("#/$defs/")
        if name and name not in seen and is_secret(known.get(name), seen | {name}):
            return True
        return value.get("writeOnly") is True or any(is_secret(v, seen) for v in value.values())

    named = properties if isinstance(properties, dict) else {}
    return frozenset(name for name, value in named.items() if is_secret(value, frozenset()))


def _check_name(name: str, info: FieldInfo) -> None:
    """A parameter is called by its own name: another one would not reach the function."""
    if info.alias != name or info.validation_alias != name:
        raise SchemaError("it has an alias, but is called by its own name; take the alias out")


def _noted(parameters: Iterable[str], model: type[BaseModel]) -> dict[str, str]:
    """Descriptions that stand bare in an annotation: `Annotated[str, "The text to count."]`."""
    return {
        name: note
        for name, info in zip(parameters, model.model_fields.values(), strict=True)
        for note in info.metadata
        if isinstance(note, str)
    }


def _with_docs(schema: JsonObject, said: Mapping[str, str]) -> JsonObject:
    """The docstring's words on each parameter; those of `Field` stand before them."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {**schema, "properties": {}}
    documented: JsonObject = {
        name: {**value, "description": said[name]}
        if isinstance(value, dict) and name in said and "description" not in value
        else value
        for name, value in properties.items()
    }
    return {**schema, "properties": documented}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
