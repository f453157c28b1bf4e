"""`agentcore resume`: a named run is gone on with, by an agent of one's own or one made for it."""

import ipaddress
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Annotated
from urllib.parse import urlsplit

import anyio
import typer
from rich.console import Console

from agentcore.agent import Agent
from agentcore.cli.agents import (
    BaseUrl,
    MaxOutputTokens,
    Unconfined,
    Workspace,
    endpoint,
    failures_told,
    going_on_line,
    show_resumed,
    tools_named,
)
from agentcore.cli.display import Display, print_answer
from agentcore.cli.journals import Journal, RunId, command, journal_of
from agentcore.driving import load
from agentcore.endpoint import Endpoint, all_providers
from agentcore.errors import ConfigurationError
from agentcore.handle import info_of
from agentcore.journal import EndpointGivenUp, NewRun, RunState
from agentcore.providers import PROVIDERS
from agentcore.tools import BUILTIN_TOOLS, Tool

__all__ = ["agent_of", "resume"]

_console = Console()
_errors = Console(stderr=True)


def resume(
    run_id: RunId,
    app: Annotated[
        str,
        typer.Argument(
            metavar="APP",
            help="An agent of your own, as module:attribute, or a function that makes one; found "
            "from the current folder. Without it an agent is made as `run` makes one.",
            show_default=False,
        ),
    ] = "",
    model: Annotated[
        str,
        typer.Option(
            help=f"The endpoint and its model id. Providers: {', '.join(PROVIDERS)}.",
            metavar="PROVIDER:MODEL",
            show_default="the run's own",
        ),
    ] = "",
    tool: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Once for each of {', '.join(BUILTIN_TOOLS)}.", show_default="the run's own"
        ),
    ] = None,
    workspace: Workspace = Path(),
    base_url: BaseUrl = "",
    max_output_tokens: MaxOutputTokens = None,
    allow_unconfined: Unconfined = None,
    ask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOOL",
            help="Ask here before each call of a tool; once for each.",
            show_default="the run's own",
        ),
    ] = None,
    journal: Journal = "",
) -> None:
    """Go on with a named run, and show what happens on the way.

    Also with one that failed or was cancelled. Of one that is done it gives the result.
    """
    display = Display(_errors)
    again = command("resume", run_id, workspace, journal)
    watch = command("show --follow", run_id, workspace, journal)
    with failures_told(_errors, again=f"{again} {app}" if app else again, watch=watch):
        if app:
            given = {
                "--model": model,
                "--tool": tool,
                "--workspace": workspace != Path(),
                "--base-url": base_url,
                "--max-output-tokens": max_output_tokens is not None,
                "--allow-unconfined": allow_unconfined,
                "--ask": ask,
                "--journal": journal,
            }
            _check_alone(app, [name for name, value in given.items() if value])
            agent = agent_of(app)
        else:
            store = journal_of(workspace, journal)
            stored, state = load(store, run_id)
            if state.end is not None and state.end.status == "done" and not state.notes:
                # Neither a model nor a key is needed for what is there.
                display.tell(going_on_line(info_of(store, run_id)))
                print_answer(state.end.text, _console)
                return
            at = _endpoint_of(stored.new, state, model, base_url)
            _check_tools(stored.new, tool)
            agent = Agent(
                at.model,
                adapter=at.adapter,
                tools=tools_named(tool, ask or _asks(stored.new, tool), default=stored.new.tools),
                workspace=workspace,
                max_output_tokens=max_output_tokens,
                allow_unconfined=allow_unconfined or (),
                approve=display.ask,
                journal=store,
            )
        result = anyio.run(show_resumed, agent, run_id, display)
    print_answer(result.text, _console)


# --- an agent of one's own ------------------------------------------------------------------


def agent_of(app: str) -> Agent:
    """The agent that `module:attribute` names, or that the function of this name makes.

    Raises:
        ConfigurationError: There is none; the text says what is there.
    """
    module_name, colon, path = app.partition(":")
    if not colon or not module_name or not path:
        raise ConfigurationError(f"APP {app!r}: write module:attribute, as in app:agent")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module: object = import_module(module_name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name in _parents(module_name):
            raise ConfigurationError(
                f"APP {app!r}: there is no module {error.name!r} in {here} or among the installed"
            ) from None
        raise ConfigurationError(
            f"APP {app!r}: importing {module_name} raised {type(error).__name__}: {error}"
        ) from error
    found = module
    for name in path.split("."):
        if not hasattr(found, name):
            raise ConfigurationError(
                f"APP {app!r}: there is no {path!r} in {module_name}{_agents(module)}"
            )
        found = getattr(found, name)
    # A tool is callable too, and must not run because of a slip of the pen.
    if callable(found) and not isinstance(found, (Agent, Tool)):
        try:
            found = found()
        except Exception as error:
            raise ConfigurationError(
                f"APP {app!r}: calling it raised {type(error).__name__}: {error}"
            ) from error
    if not isinstance(found, Agent):
        raise ConfigurationError(
            f"APP {app!r}: it is, or gives, a {type(found).__name__}; an Agent is wanted"
            f"{_agents(module)}"
        )
    return found


def _parents(module_name: str) -> list[str]:
    """`a`, `a.b` and `a.b.c`."""
    parts = module_name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _agents(module: object) -> str:
    """Which agents a module has, as the end of an error."""
    names = [name for name, value in vars(module).items() if isinstance(value, Agent)]
    return f" (agents there: {', '.join(names)})" if names else ""


def _check_alone(app: str, given: Iterable[str]) -> None:
    for option in given:
        raise ConfigurationError(
            f"{option} beside APP {app!r}: this agent has its own; leave out one of them"
        )


# --- an agent that is made for the run ------------------------------------------------------


def _endpoint_of(new: NewRun, state: RunState, model: str, base_url: str) -> Endpoint:
    """The endpoint of `--model` and `--base-url`, or else the one that the run was submitted with.

    Raises:
        ConfigurationError: It cannot be made of what the journal says, or should not be.
    """
    if model:
        return endpoint(model, base_url)
    given_up = next((turn for turn in state.turns if isinstance(turn, EndpointGivenUp)), None)
    if given_up is not None:
        raise ConfigurationError(
            f"run {new.id!r} was submitted with a list of models, and has given up {given_up.how}. "
            f"Name the agent that has them: {_with_app(new.id)}; or say which one goes on: --model"
        )
    provider = all_providers().get(new.model.partition(":")[0])
    if provider is None:
        raise ConfigurationError(
            f"run {new.id!r} was submitted with {new.model!r}, whose adapter is none that is known "
            f"by name. Name the agent that has it: {_with_app(new.id)}; or say what goes on: "
            "--model"
        )
    address = base_url
    if not address and new.base_url != provider.base_url:
        if not _is_of_this_machine(new.base_url):
            # A journal may come with a folder from elsewhere: it does not choose who gets the key.
            raise ConfigurationError(
                f"run {new.id!r} was submitted at {new.base_url}, which is not {provider.name}'s "
                f"own address. If that is where it may go on, say so: --base-url {new.base_url}"
            )
        address = new.base_url
    return endpoint(new.model, address)


def _check_tools(new: NewRun, given: list[str] | None) -> None:
    unknown = [name for name in new.tools if name not in BUILTIN_TOOLS]
    if unknown and not given:
        raise ConfigurationError(
            f"run {new.id!r} had tools that are none of the built-in ones: {', '.join(unknown)}. "
            f"Name the agent that has them: {_with_app(new.id)}; or go on without them: --tool, "
            "once for each that it is to have"
        )


def _asks(new: NewRun, given: list[str] | None) -> list[str]:
    """What the person was asked about is not to run unasked because another process does it."""
    return [name for name in new.asks if name in (given or new.tools)]


def _with_app(run_id: str) -> str:
    return f"agentcore resume {quote(run_id)} module:attribute"


def _is_of_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
