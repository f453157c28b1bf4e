"""`Toolset`: tools that belong together, with what they have in common."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import ParamSpec, TypeAlias, TypeVar, final

from typing_extensions import override

from agentcore.errors import ConfigurationError
from agentcore.tools.approval import NeedsApproval
from agentcore.tools.base import FunctionTool, Tool, tool

__all__ = ["ToolSource", "Toolset", "flat"]

P = ParamSpec("P")
R = TypeVar("R")


@final
class Toolset:
    """Tools under one name. Goes into `Agent(tools=[…])`, or into another set, as a tool does.

    The set's options are defaults: a tool that says something itself keeps it. A tool is copied
    when the set is read, so it can stand in several sets.
    """

    __slots__ = ("_except", "_only", "_tools", "name", "needs_approval", "prefix", "strict",
                 "timeout")  # fmt: skip

    def __init__(
        self,
        name: str,
        tools: "Iterable[Tool | Toolset]" = (),
        *,
        prefix: str = "",
        timeout: float | None = None,
        needs_approval: NeedsApproval = False,
        strict: bool = False,
    ) -> None:
        """Group tools.

        Args:
            name: For errors.
            tools: Tools and other sets, in the order in which the model sees them.
            prefix: Put before each name: `git_`.
            timeout: Seconds for each call of a tool that has no timeout of its own; a tool with
                `timeout=math.inf` has none all the same.
            needs_approval: For each tool that does not ask for approval itself.
            strict: True makes all of them strict.

        Raises:
            ConfigurationError: Something in it is no tool.
        """
        self.name = name
        self.prefix = prefix
        self.timeout = timeout
        self.needs_approval = needs_approval
        self.strict = strict
        self._tools = list(_checked(name, tools))
        self._only: frozenset[str] | None = None
        self._except: frozenset[str] = frozenset()

    def tool(self, function: Callable[P, R]) -> FunctionTool[P, R]:
        """Make a tool of a function, with the defaults, and add it: `@notes.tool`.

        For options of its own, use `@tool(…)` and give the tool to `add`.
        """
        made = tool(function)
        self._tools.append(made)
        return made

    def add(self, *tools: "Tool | Toolset") -> None:
        """Add tools or sets.

        Raises:
            ConfigurationError: One is neither.
        """
        self._tools += _checked(self.name, tools)

    def only(self, *names: str) -> "Toolset":
        """A set of these alone, by the names that the model sees.

        Raises:
            ConfigurationError: There is no tool of such a name.
        """
        return self._narrowed(names, keep=True)

    def without(self, *names: str) -> "Toolset":
        """A set of all but these, by the names that the model sees.

        Raises:
            ConfigurationError: There is no tool of such a name: a slip would let it through.
        """
        return self._narrowed(names, keep=False)

    def _narrowed(self, names: Iterable[str], *, keep: bool) -> "Toolset":
        known = [one.name for one in self]
        for name in names:
            if name not in known:
                raise ConfigurationError(
                    f"toolset {self.name!r}: no tool is named {name!r} (it has: "
                    f"{', '.join(known) or 'none'})"
                )
        narrowed = Toolset(
            self.name,
            self._tools,
            prefix=self.prefix,
            timeout=self.timeout,
            needs_approval=self.needs_approval,
            strict=self.strict,
        )
        wanted = frozenset(names)
        narrowed._only = self._only
        narrowed._except = self._except
        if keep:
            narrowed._only = wanted if self._only is None else wanted & self._only
        else:
            narrowed._except = self._except | wanted
        return narrowed

    def __iter__(self) -> Iterator[Tool]:
        """The tools as the model sees them: nested sets opened, names prefixed, defaults filled.

        Raises:
            ConfigurationError: A prefixed name or a strict schema is one that endpoints refuse.
        """
        for one, _ in flat(self._tools):
            made = self._with_defaults(one)
            if self._only is not None and made.name not in self._only:
                continue
            if made.name not in self._except:
                yield made

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @override
    def __repr__(self) -> str:
        return f"<toolset {self.name}: {', '.join(one.name for one in self)}>"

    def _with_defaults(self, one: Tool) -> Tool:
        return replace(
            one,
            name=self.prefix + one.name,
            timeout=self.timeout if one.timeout is None else one.timeout,
            needs_approval=one.needs_approval or self.needs_approval,
            strict=one.strict or self.strict,
        )


ToolSource: TypeAlias = Tool | Toolset
"""What `Agent(tools=[…])` takes."""


def flat(sources: Iterable[object]) -> Iterator[tuple[Tool, str]]:
    """The tools of a list, sets opened, each with where it is from.

    Raises:
        ConfigurationError: Something in it is neither a tool nor a set.
    """
    for source in sources:
        if isinstance(source, Toolset):
            for one in source:
                yield one, f"{one.origin} in toolset {source.name!r}"
        elif isinstance(source, Tool):
            yield source, source.origin
        else:
            name = getattr(source, "__name__", repr(source))
            raise ConfigurationError(f"tools: {name} is not a tool; put @tool above its function")


def _checked(name: str, sources: "Iterable[Tool | Toolset]") -> "Iterator[Tool | Toolset]":
    for source in sources:
        if not isinstance(source, (Tool, Toolset)):
            given = getattr(source, "__name__", repr(source))
            raise ConfigurationError(
                f"toolset {name!r}: {given} is not a tool; put @tool above its function"
            )
        yield source
