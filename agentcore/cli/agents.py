"""What the commands that run an agent have in common: options, the agent, how its failures look."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from agentcore.agent import Agent
from agentcore.cli.display import Display, counted, day_and_time, harmless
from agentcore.endpoint import Endpoint, resolve_model
from agentcore.errors import ConfigurationError, JournalError, RunBusy, RunError, RunLost
from agentcore.providers import PROVIDERS
from agentcore.tools import BUILTIN_TOOLS, Tool

if TYPE_CHECKING:
    from agentcore.handle import RunInfo
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
    "going_on_line",
    "show_resumed",
    "show_run",
    "standing_line",
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


def tools_named(
    names: list[str] | None,
    ask: list[str] | None = None,
    *,
    default: Sequence[str] = tuple(BUILTIN_TOOLS)[:-1],
) -> list[Tool]:
    """The tools of `--tool`; those of `--ask` need a word before each call.

    Args:
        names: Of `--tool`.
        ask: Of `--ask`.
        default: Names of those that it is without `--tool`.

    Raises:
        ConfigurationError: There is no tool of this name.
    """
    tools: list[Tool] = []
    for name in names or default:
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
def failures_told(console: Console, *, again: str = "", watch: str = "") -> Iterator[None]:
    """Tell what ends a command early; exit status 2 for bad input, 1 for a run that stopped.

    Args:
        console: Where it is told.
        again: The command that goes on with the run; empty where none does.
        watch: The command that shows it while another process drives it; empty where none does.
    """
    try:
        yield
    except RunLost as error:
        _tell_error(console, error)
        raise typer.Exit(1) from None
    except (ConfigurationError, JournalError) as error:
        _tell_error(console, error)
        if isinstance(error, RunBusy):
            _tell_way(console, watch, "watch it")
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        console.print("stopped by you; files that were written stay as they are")
        _tell_way(console, again)
        raise typer.Exit(130) from None
    except RunError as error:
        console.print(Text(harmless(str(error)), style="red"), soft_wrap=True)
        _tell_way(console, again)
        raise typer.Exit(1) from None


def _tell_error(console: Console, error: Exception) -> None:
    told = Text.assemble(("error: ", "bold red"), harmless(str(error)))
    console.print(told, soft_wrap=True)


def _tell_way(console: Console, command: str, what: str = "go on with it") -> None:
    if command:
        console.print(Text(f"{what}: {command}", style="dim"), soft_wrap=True)


async def show_run(
    agent: Agent, prompt: str, display: Display, run_id: str | None = None
) -> "RunResult":
    """Run, and show what happens on the way; of a named run first how it stands already."""
    with display:
        if run_id is not None:
            handle = await agent.submit(prompt, run_id=run_id)
            info = await handle.info()
            if not _is_new(info):
                display.tell(going_on_line(info, goes_on_from=("stalled", "failed")))
        return await agent.run(prompt, run_id=run_id, on_event=display)


async def show_resumed(agent: Agent, run_id: str, display: Display) -> "RunResult":
    """Go on with a named run, and show how it stands and what happens on the way."""
    with display:
        info = await agent.get_run(run_id).info()
        display.tell(going_on_line(info, goes_on_from=("stalled", "failed", "cancelled")))
        return await agent.resume(run_id, on_event=display)


def standing_line(info: "RunInfo") -> str:
    """How a run stands: `stalled, 12 rows, last written 2026-03-01 12:00:05`."""
    return f"{info.state}, {counted(info.seq, 'row')}, last written {day_and_time(info.updated_at)}"


def _is_new(info: "RunInfo") -> bool:
    """Nobody has driven it yet, nor said anything to it."""
    return info.seq == 0 and info.updated_at == info.created_at


def going_on_line(info: "RunInfo", *, goes_on_from: Sequence[str] = ()) -> str:
    """How a run stands, and whether that is gone on from.

    Args:
        info: The run.
        goes_on_from: The states in which it is.
    """
    goes_on = "; going on from there" if info.state in goes_on_from else ""
    return f"run {info.id}: {standing_line(info)}{goes_on}"
