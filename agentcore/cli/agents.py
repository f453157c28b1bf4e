"""What the commands that run an agent have in common: options, the agent, how its failures look."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from agentcore.agent import Agent
from agentcore.cli.display import Display, harmless
from agentcore.endpoint import Endpoint, resolve_model
from agentcore.errors import ConfigurationError, RunError
from agentcore.providers import PROVIDERS
from agentcore.tools import BUILTIN_TOOLS, Tool

if TYPE_CHECKING:
    from agentcore.run import RunResult

__all__ = [
    "Ask",
    "BaseUrl",
    "MaxOutputTokens",
    "Model",
    "Prompt",
    "ToolNames",
    "Unconfined",
    "Workspace",
    "endpoint",
    "failures_told",
    "show_run",
    "tools_named",
]

Prompt: TypeAlias = Annotated[str, typer.Argument(help="What the agent is to do.")]
Model: TypeAlias = Annotated[
    str,
    typer.Option(
        help=f"The endpoint and its model id. Providers: {', '.join(PROVIDERS)}.",
        metavar="PROVIDER:MODEL",
    ),
]
ToolNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--tool", help=f"Once for each of {', '.join(BUILTIN_TOOLS)}. Default: all but the last."
    ),
]
Workspace: TypeAlias = Annotated[Path, typer.Option(help="An existing folder to work in.")]
BaseUrl: TypeAlias = Annotated[
    str, typer.Option(help="Instead of the provider's own, with the version part.")
]
MaxOutputTokens: TypeAlias = Annotated[
    int | None, typer.Option(help="Cap of every answer; default: the model's own.")
]
Unconfined: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-unconfined", help="Allow a tool by name that nothing confines (execute_code)."
    ),
]
Ask: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="TOOL", help="Ask here before each call of a tool; once for each."),
]


def endpoint(model: str, base_url: str) -> Endpoint:
    """The endpoint that `--model` names, at the address of `--base-url`.

    Raises:
        ConfigurationError: There is no such provider, or no address.
    """
    return resolve_model(model, None, base_url=base_url or None)


def tools_named(names: list[str] | None, ask: list[str] | None = None) -> list[Tool]:
    """The tools of `--tool`; those of `--ask` need a word before each call.

    Raises:
        ConfigurationError: There is no tool of this name.
    """
    tools: list[Tool] = []
    for name in names or tuple(BUILTIN_TOOLS)[:-1]:
        if name not in BUILTIN_TOOLS:
            known = ", ".join(BUILTIN_TOOLS)
            raise ConfigurationError(f"--tool {name}: there is no such tool (there are: {known})")
        tools.append(BUILTIN_TOOLS[name])
    asking = frozenset(ask or ())
    if unknown := sorted(asking - {tool.name for tool in tools}):
        has = ", ".join(tool.name for tool in tools)
        raise ConfigurationError(f"--ask {unknown[0]}: the run has no such tool (it has: {has})")
    return [replace(one, needs_approval=True) if one.name in asking else one for one in tools]


@contextmanager
def failures_told(console: Console) -> Iterator[None]:
    """Tell what ends a command early; exit status 2 for bad input, 1 for a run that stopped."""
    try:
        yield
    except ConfigurationError as error:
        console.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        console.print("stopped by you; files that were written stay as they are")
        raise typer.Exit(130) from None
    except RunError as error:
        console.print(Text(harmless(str(error)), style="red"), soft_wrap=True)
        raise typer.Exit(1) from None


async def show_run(agent: Agent, prompt: str, display: Display) -> "RunResult":
    """Run, and show what happens on the way."""
    with display:
        return await agent.run(prompt, on_event=display)
