"""`@tool`: a function with annotated parameters becomes something a model can call.

The schema comes from the signature, `Annotated[..., Field(...)]` and the docstring; pydantic
validates what the model sends. A failed call is a `ToolResult(is_error=True)`, never an exception.
"""

import inspect
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, ParamSpec, TypeAlias, TypeVar, get_args, overload

import anyio
import anyio.to_thread
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import to_json
from typing_extensions import override

from agentcore.errors import ConfigurationError
from agentcore.messages import JsonObject, ToolSpec
from agentcore.threads import current_tool_thread_limiter
from agentcore.tools.approval import NeedsApproval
from agentcore.tools.context import (
    NOT_DONE,
    Begun,
    Continuation,
    CutDraft,
    NotDone,
    ToolContext,
    ToolResult,
    result_of,
)
from agentcore.tools.failures import CallCancelled, InvalidArguments, ModelRetry, ToolFailed
from agentcore.tools.mismatch import MAX_ERROR_CHARACTERS, MAX_SHOWN_CHARACTERS, explain
from agentcore.tools.running import Running, run_in_thread
from agentcore.tools.schema import SchemaError
from agentcore.tools.signature import ToolFunction, is_async, read_signature
from agentcore.tools.strict import as_given, strict_schema

__all__ = [
    "MAX_ERROR_CHARACTERS",
    "NOT_DONE",
    "Begun",
    "Continuation",
    "CutDraft",
    "FunctionTool",
    "InvalidArguments",
    "ModelRetry",
    "OnCut",
    "Repeat",
    "Running",
    "Settled",
    "Tool",
    "ToolContext",
    "ToolFailed",
    "ToolResult",
    "tool",
]

P = ParamSpec("P")
R = TypeVar("R")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

OnCut: TypeAlias = Callable[
    [ToolContext, CutDraft], "Continuation | Awaitable[Continuation | None] | None"
]
Repeat: TypeAlias = Literal["never", "safe"]
"""Whether a call whose process died may be made again: `safe` for what only looks."""
Settled: TypeAlias = Callable[[str, Mapping[str, Any], Begun], object]
"""`(key, arguments, begun)`, sync or async: what came of a call whose process died."""


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Tool:
    """A function that a model can call. Made by `@tool`."""

    name: str
    description: str
    parameters: JsonObject
    """JSON Schema of an object, closed to further properties, that every endpoint takes."""
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
    timeout: float | None = None
    """Seconds that a call may take; None for no limit, unless a `Toolset` sets one."""
    needs_approval: NeedsApproval = False
    """Whether a person is asked before a call runs: always, never, or by its arguments."""
    strict: bool = False
    """Endpoints that can are asked to hold the model to the schema."""
    secrets: frozenset[str] = frozenset()
    """Parameters with something secret in them (`SecretStr`): errors do not show what came."""
    repeat: Repeat = "never"
    """After a crash in the middle of a call: `never` tells the model that its outcome is unknown,
    `safe` makes it again, by the same key."""
    begins_itself: bool = False
    """The function calls `ToolContext.begin` before its effect: what died before that is made
    again."""
    on_cut_hook: OnCut | None = None
    """Set by `on_cut`."""
    settled_hook: Settled | None = None
    """Set by `settled`."""
    built_in: str = ""
    """The name that a tool of the package has by itself; a set's prefix does not change it."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        seconds: object = self.timeout
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if self.timeout is not None and not (is_number and self.timeout > 0):
            raise ConfigurationError(
                f"tool {self.name!r}: timeout={self.timeout!r} must be above 0 seconds, or None "
                "for no limit"
            )
        if self.repeat not in get_args(Repeat):
            raise ConfigurationError(
                f'tool {self.name!r}: repeat={self.repeat!r} must be "never" or "safe"'
            )
        known = self.own_parameters
        for role in ("draft", "reads", "writes"):
            if (parameter := getattr(self, role)) and parameter not in known:
                has = ", ".join(self._properties) or "none"
                raise ConfigurationError(
                    f"tool {self.name!r}: {role}={parameter!r} names no parameter (it has: {has})"
                )
        if self.strict:
            try:
                strict_schema(self.parameters)
            except SchemaError as error:
                raise ConfigurationError(
                    f"tool {self.name!r}: strict=True cannot be: {error}"
                ) from None

    @override
    def __repr__(self) -> str:
        return f"<tool {self.name}({', '.join(self._properties)})>"

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""
        parameters = self.parameters
        if self.takes_resume:
            parameters = _with_resume(parameters, self.draft)
        if self.strict:
            parameters = strict_schema(parameters)
        return ToolSpec(
            name=self.name,
            description=self.description,
            parameters=parameters,
            strict=self.strict,
        )

    @property
    def takes_resume(self) -> bool:
        """A call may go on from a parked draft: dispatch puts the draft's text before the call's.

        So it is for every tool with a draft whose function has no parameter `resume` of its own.
        """
        return bool(self.draft) and "resume" not in self._properties

    @property
    def own_parameters(self) -> frozenset[str]:
        """The names that the function itself takes from the model."""
        return frozenset(self._properties)

    @property
    def _properties(self) -> JsonObject:
        properties = self.parameters.get("properties")
        return properties if isinstance(properties, dict) else {}

    @property
    def defaults(self) -> JsonObject:
        """Parameter → what it is when the model leaves it out, for those that have a default."""
        return {
            name: schema["default"]
            for name, schema in self._properties.items()
            if isinstance(schema, dict) and "default" in schema
        }

    @property
    def origin(self) -> str:
        """Where its function is from, for errors: `package.module.name`."""
        function = inspect.unwrap(getattr(self.function, "func", self.function))
        module = getattr(function, "__module__", "") or ""
        name = getattr(function, "__qualname__", "") or type(function).__qualname__
        return f"{module}.{name}".lstrip(".")

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

    def settled(self, hook: Settled) -> Settled:
        """Register what can tell whether a call whose process died took effect.

        The hook, sync or async, gets the call's key, its arguments and what is known of its
        beginning. It gives the call's result, as the function would; or `NOT_DONE`, and the call is
        made, by the same key; or None when it cannot tell, which is what the model is told then.
        """
        self.settled_hook = hook
        return hook

    async def ask_settled(
        self, key: str, arguments: Mapping[str, Any], begun: Begun
    ) -> ToolResult | NotDone | None:
        """What came of a call whose process died; None: nobody knows.

        What the hook raises passes through. A sync hook runs in a worker thread.
        """
        hook = self.settled_hook
        if hook is None:
            return NOT_DONE if self.repeat == "safe" else None
        answer = await _given_by(hook, key, arguments, begun)
        return answer if answer is None or isinstance(answer, NotDone) else result_of(answer)

    async def run_on_cut(self, context: ToolContext, cut: CutDraft) -> Continuation | None:
        """What the hook says; None without one. A sync hook runs in a worker thread."""
        hook = self.on_cut_hook
        if hook is None:
            return None
        return await _given_by(hook, context, cut)

    def validate(self, fields: Mapping[str, JsonValue]) -> dict[str, Any]:
        """The keyword arguments for the function: instances of the types that it names.

        A null for a parameter that is optional and takes none counts as left out: strict modes
        have no other way to say so, and models without them write it as well.

        Raises:
            InvalidArguments: A field is missing, unknown or of the wrong type.
        """
        given = as_given(dict(fields), self.parameters)
        try:
            model = self._validated(given)
        except ValidationError as error:
            text = explain(self.name, self.parameters, error, self.secrets)
            raise InvalidArguments(text) from None
        except Exception as error:  # a validator of the user's own may raise anything
            raise InvalidArguments(
                f"The arguments of {self.name} could not be checked, so it was not run: "
                f"{type(error).__name__}: {str(error)[:MAX_SHOWN_CHARACTERS]}"
            ) from error
        return {
            # By the dict: as an attribute, a deprecated field warns on each call.
            info.alias or name: vars(model)[name]
            for name, info in type(model).model_fields.items()
        }

    def _validated(self, given: JsonValue) -> BaseModel:
        try:
            return self.arguments.model_validate(given)
        except ValidationError:
            # A type that is strict about Python values takes JSON's: a UUID comes as a text.
            try:
                return self.arguments.model_validate_json(to_json(given))
            except ValueError:
                pass
            raise

    async def run(
        self,
        arguments: Mapping[str, Any],
        context: ToolContext,
        running: Running | None = None,
    ) -> ToolResult:
        """Call the function with validated arguments. What it raises passes through.

        A sync function runs in a worker thread, which nothing can stop: when the call is cancelled
        or its time is up, the function is asked to end (`context.is_cancelled`), waited for
        shortly, and then left to itself.

        Args:
            arguments: What `validate` gave.
            context: Goes to the parameter that asks for it.
            running: One for this call alone; tells afterwards whether a thread goes on.

        Raises:
            ModelRetry: The function wants other arguments.
            ToolFailed: It failed in a way that was to be expected.
        """
        running = running or Running()
        keywords = dict(arguments)
        if self.context_parameter:
            keywords[self.context_parameter] = replace(context, cancelled=running.cancelled)
        with anyio.move_on_after(None if self.timeout == math.inf else self.timeout):
            return result_of(await self._called(keywords, running))
        # The function may have ended while it was waited for: that is what happened.
        if running.error is not None and not isinstance(running.error, CallCancelled):
            raise running.error
        if running.value and not isinstance(running.value[0], Awaitable):
            return result_of(running.value[0])
        if is_async(self.function) or running.has_begun:
            running.timed_out_after = self.timeout
        return ToolResult(content=self._timed_out(running), is_error=True)

    async def _called(self, keywords: Mapping[str, Any], running: Running) -> object:
        result: object
        try:
            if is_async(self.function):
                result = self.function(**keywords)
            else:
                await run_in_thread(
                    lambda: self.function(**keywords), self.name, running, limiter=self._threads()
                )
                (result,) = running.value
            return await result if isinstance(result, Awaitable) else result
        except CallCancelled:  # no Exception: nobody above would take it for a failed call
            raise ToolFailed(
                f"{self.name} gave up before it was done. What it had done until then stays done: "
                "look before you call it again."
            ) from None

    def _threads(self) -> anyio.CapacityLimiter:
        """The package's own tools work on disk and end soon: slow ones must not hold them up."""
        if self.built_in:
            return anyio.to_thread.current_default_thread_limiter()
        return current_tool_thread_limiter()

    def _timed_out(self, running: Running) -> str:
        if not is_async(self.function) and not running.has_begun:
            return (
                f"{self.name} was not begun within its {self.timeout:g} seconds: other calls took "
                "all threads. Nothing of it took effect."
            )
        from agentcore.guidance import Templates, TimedOutGuidance

        told = TimedOutGuidance(
            tool=self.name, seconds=self.timeout or 0.0, still_running=running.goes_on
        )
        return Templates().render(told)  # dispatch has the user's own words


class FunctionTool(Tool, Generic[P, R]):
    """A tool that is still its function for your own code: `await fetch("a")`, `count("b")`."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: no validation, no thread, no timeout, no approval."""
        result: R = self.function(*args, **kwargs)
        return result

    @property
    def __wrapped__(self) -> Callable[P, R]:
        """The function, for `inspect` and for what documents code."""
        function: Callable[P, R] = self.function
        return function


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    name: str = "",
    draft: str = "",
    reads: str = "",
    writes: str = "",
    alone: bool = False,
    confined: bool | Callable[[], str] = True,
    timeout: float | None = None,
    needs_approval: NeedsApproval = False,
    strict: bool = False,
    repeat: Repeat = "never",
    begins_itself: bool = False,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str = "",
    draft: str = "",
    reads: str = "",
    writes: str = "",
    alone: bool = False,
    confined: bool | Callable[[], str] = True,
    timeout: float | None = None,
    needs_approval: NeedsApproval = False,
    strict: bool = False,
    repeat: Repeat = "never",
    begins_itself: bool = False,
) -> FunctionTool[P, R] | Callable[[Callable[P, R]], FunctionTool[P, R]]:
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
        timeout: Seconds that a call may take; None for no limit.
        needs_approval: True when a person is to be asked before each call (`Agent(approve=…)`); or
            a function of the arguments that says whether, or why.
        strict: True to have endpoints that can hold the model to the schema.
        repeat: `"safe"` for what only reads or looks up: in a journalled run a call whose process
            died is made again. `"never"`: the model is told that its outcome is unknown, unless
            `settled` knows better.
        begins_itself: True when the function calls `context.begin(evidence)` right before its
            effect: what died before that is made again.

    Raises:
        ConfigurationError: No schema can be made of the signature, or an option does not fit it.
    """

    def make(function: Callable[P, R]) -> FunctionTool[P, R]:
        if isinstance(function, Tool):
            raise ConfigurationError(f"tool {function.name!r} is a tool already")
        tool_name = name or getattr(function, "__name__", "")
        _check_name(tool_name)  # before the signature, whose errors name the tool
        signature = read_signature(tool_name, function)
        return FunctionTool(
            name=tool_name,
            description=signature.description,
            parameters=signature.schema,
            function=function,
            arguments=signature.arguments,
            context_parameter=signature.context_parameter,
            draft=draft,
            reads=reads,
            writes=writes,
            alone=alone,
            confined=confined,
            timeout=timeout,
            needs_approval=needs_approval,
            strict=strict,
            repeat=repeat,
            begins_itself=begins_itself,
            secrets=signature.secrets,
        )

    return make if function is None else make(function)


async def _given_by(hook: "Callable[P, R | Awaitable[R]]", *args: P.args, **kwargs: P.kwargs) -> R:
    """What a hook gives, sync or async. A sync one runs in a worker thread."""
    given: R | Awaitable[R]
    if is_async(hook):
        given = hook(*args, **kwargs)
    else:
        # In a list: trio takes no bare coroutine from a thread.
        told: list[R | Awaitable[R]] = []
        await anyio.to_thread.run_sync(lambda: told.append(hook(*args, **kwargs)))
        given = told[0]
    return await given if isinstance(given, Awaitable) else given


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"tool {name!r}: endpoints take names of 1 to 64 letters, digits, - and _; "
            "give one with @tool(name=…)"
        )


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
