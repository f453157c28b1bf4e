"""`agentcore run`: a prompt, carried to its end before one's eyes."""

from pathlib import Path

import anyio
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
) -> None:
    """Carry a prompt to its end against a real endpoint, and show what happens on the way."""
    display = Display(_errors)
    with failures_told(_errors):
        at = endpoint(model, base_url)
        agent = Agent(
            at.model,
            adapter=at.adapter,
            tools=tools_named(tool, ask),
            workspace=workspace,
            max_output_tokens=max_output_tokens,
            allow_unconfined=allow_unconfined or (),
            approve=display.ask,
        )
        result = anyio.run(show_run, agent, prompt, display)
    print_answer(result.text, _console)
