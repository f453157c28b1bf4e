"""What an agent is set to, checked before any request."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from agentcore.clocks import Clocks
from agentcore.endpoint import Endpoint
from agentcore.errors import ConfigurationError
from agentcore.guidance.templates import Templates, templates_in
from agentcore.history import KeepUnder
from agentcore.messages import Message
from agentcore.retry import Policy
from agentcore.tools.approval import Approve
from agentcore.tools.base import Tool
from agentcore.tools.toolset import Toolset, ToolSource, flat

__all__ = [
    "History",
    "Limits",
    "Settings",
    "checked_guidance",
    "checked_tools",
    "checked_workspace",
]

History: TypeAlias = Callable[[tuple[Message, ...]], Sequence[Message]]
"""Decides which messages the next request carries. Pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends although the model would go on."""

    idle_turns: int = 50
    """Turns in a row that wrote nothing new. Sixty sections of a file are progress, not a loop."""
    seconds: float | None = None
    """For the whole run; None for no limit."""

    def __post_init__(self) -> None:
        if not self.idle_turns >= 1:
            raise ConfigurationError(f"Limits(idle_turns={self.idle_turns!r}): must be at least 1")
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigurationError(
                f"Limits(seconds={self.seconds!r}): must be above 0, or None for no limit"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an agent is set to at one moment."""

    endpoints: tuple[Endpoint, ...]
    """Tried in turn; at least one."""
    tools: tuple[Tool, ...]
    allow_unconfined: frozenset[str]
    """Names of tools that may run although nothing confines them."""
    approve: Approve | None
    """Asked before a call runs that needs approval."""
    workspace: Path
    max_output_tokens: int | None
    policy: Policy
    clocks: Clocks | None
    limits: Limits
    history: "History | KeepUnder"
    templates: Templates = field(default_factory=Templates)
    """The words for the model and the person."""

    def __post_init__(self) -> None:
        cap = self.max_output_tokens
        if cap is not None and (type(cap) is not int or cap < 1):
            raise ConfigurationError(
                f"max_output_tokens={cap!r}: must be a whole number from 1 on, or None to leave it "
                "to the adapter"
            )
        if not isinstance(self.history, KeepUnder) and not callable(self.history):
            raise ConfigurationError(
                f"history={self.history!r}: give KeepUnder(share=…), or a function from messages "
                "to messages, as send_all is"
            )
        for name, kind in (("policy", Policy), ("limits", Limits), ("clocks", Clocks | None)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ConfigurationError(f"{name}={value!r}: give a {name.capitalize()}")


def checked_workspace(workspace: str | os.PathLike[str]) -> Path:
    """An existing folder that can be written to, links resolved.

    Raises:
        ConfigurationError: It is none.
    """
    # Asked before every turn: text costs a third of what a Path does.
    given: object = workspace
    path = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise ConfigurationError(f"workspace {workspace!r}: give the path of a folder")
    path = path or "."  # as of `Path`
    if not os.path.isdir(path):  # noqa: PTH112
        raise ConfigurationError(f"workspace {path!r}: there is no such folder; create it first")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(f"workspace {path!r}: cannot be written to")
    resolved = _resolved(path)
    try:
        if os.path.samefile(path, resolved):  # noqa: PTH121
            return resolved
    except OSError:
        pass  # it was there once
    _resolved.cache_clear()  # a link, or the current folder, leads elsewhere by now
    return _resolved(path)


@lru_cache
def _resolved(path: str) -> Path:
    return Path(path).resolve()


def checked_guidance(folder: str | os.PathLike[str] | None, tools: Iterable[Tool]) -> Templates:
    """The templates of a folder, tried out once for as long as it does not change.

    Args:
        folder: None for the package's own.
        tools: Those on offer: a template may name them.

    Raises:
        ConfigurationError: It is no folder, or something in it cannot be used.
    """
    if folder is None:
        return Templates()
    try:
        if not os.fspath(folder):
            raise TypeError("no path")  # Path("") is the current folder, which nobody meant
        path = Path(folder)
    except TypeError:
        raise ConfigurationError(
            f"guidance={folder!r}: give the path of a folder of templates, or None for the "
            "package's own"
        ) from None
    return templates_in(path, offered=[tool.name for tool in tools])


def checked_tools(
    tools: Iterable[ToolSource], allow_unconfined: Iterable[str], *, approve: Approve | None = None
) -> tuple[Tool, ...]:
    """The tools, sets opened, each of another name, and none that cannot run as things are.

    Args:
        tools: Tools and sets of them.
        allow_unconfined: Names of tools that may run although nothing confines them.
        approve: Who is asked before a call that needs approval; None for nobody.

    Raises:
        ConfigurationError: One is not as it must be.
    """
    if isinstance(tools, (Tool, Toolset)):
        raise ConfigurationError(f"tools: give a list, as in tools=[{tools.name}]")
    allowed = frozenset(allow_unconfined)
    checked: dict[str, Tool] = {}
    origins: dict[str, str] = {}
    for tool, origin in flat(tools):
        if tool.name in checked:
            raise ConfigurationError(
                f"tools: two are named {tool.name!r} ({origins[tool.name]}, and {origin}); give "
                "one another name with @tool(name=…), or its set a prefix"
            )
        if tool.needs_approval and approve is None:
            raise ConfigurationError(
                f"tool {tool.name!r} needs approval, and there is nobody to ask; give the agent a "
                "callback: approve=…"
            )
        if tool.name not in allowed and (why := tool.why_unconfined):
            raise ConfigurationError(
                f"tool {tool.name!r} is not confined: {why}. If that is what you want, allow it by "
                f"name: allow_unconfined=[{tool.name!r}]"
            )
        checked[tool.name] = tool
        origins[tool.name] = origin
    unknown = sorted(allowed - set(checked))
    if unknown:
        raise ConfigurationError(f"allow_unconfined: no tool here is named {unknown[0]!r}")
    return tuple(checked.values())
