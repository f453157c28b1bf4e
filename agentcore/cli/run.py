"""`agentcore run`: a prompt, carried to its end before one's eyes."""

from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console

from agentcore.agent import Agent
from agentcore.cli.agents import (
    Ask,
    BaseUrl,
    MaxOutputTokens,
    Model,
    Prompt,
    ToolNames,
    Unconfined,
    Workspace,
    endpoint,
    failures_told,
    show_run,
    tools_named,
)
from agentcore.cli.display import Display, print_answer
from agentcore.cli.journals import Journal, command
from agentcore.errors import ConfigurationError

__all__ = ["run"]

_console = Console()
_errors = Console(stderr=True)


def run(
    prompt: Prompt,
    model: Model,
    tool: ToolNames = None,
    workspace: Workspace = Path(),
    base_url: BaseUrl = "",
    max_output_tokens: MaxOutputTokens = None,
    allow_unconfined: Unconfined = None,
    ask: Ask = None,
    run_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="A name for the run: what it does is written to the journal, and the same command "
            "goes on where this one was killed.",
        ),
    ] = None,
    journal: Journal = "",
) -> None:
    """Carry a prompt to its end against a real endpoint, and show what happens on the way."""
    display = Display(_errors)
    again = command("resume", run_id, workspace, journal) if run_id else ""
    watch = command("show --follow", run_id, workspace, journal) if run_id else ""
    with failures_told(_errors, again=again, watch=watch):
        if journal and run_id is None:
            raise ConfigurationError(
                "--journal: only a run with a name is written down; name it with --run-id"
            )
        at = endpoint(model, base_url)
        agent = Agent(
            at.model,
            adapter=at.adapter,
            tools=tools_named(tool, ask),
            workspace=workspace,
            max_output_tokens=max_output_tokens,
            allow_unconfined=allow_unconfined or (),
            approve=display.ask,
            journal=journal or None,
        )
        result = anyio.run(show_run, agent, prompt, display, run_id)
    print_answer(result.text, _console)
