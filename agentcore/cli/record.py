"""`agentcore record`: a run whose exchanges are written to a file that a gateway plays back."""

import shlex
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.text import Text

from agentcore.agent import Agent
from agentcore.cli.agents import (
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
from agentcore.cli.display import Display, print_answer, size
from agentcore.endpoint import key_of
from agentcore.testing.recording import RecordingTransport

__all__ = ["record"]


def record(
    prompt: Prompt,
    model: Model,
    to: Annotated[Path, typer.Option(help="The file to write, in JSON lines.", dir_okay=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    tool: ToolNames = None,
    workspace: Workspace = Path(),
    base_url: BaseUrl = "",
    max_output_tokens: MaxOutputTokens = None,
    allow_unconfined: Unconfined = None,
) -> None:
    """Do what `run` does, and write every exchange with the endpoint to a file.

    The key, and what looks like one, is masked; of the headers only harmless ones are kept.

    The rest of what was asked and answered stands in the file: look before you share it.
    """
    errors = Console(stderr=True)
    recording: RecordingTransport | None = None
    try:
        with failures_told(errors):
            at = endpoint(model, base_url)
            tools = tools_named(tool)
            recording = RecordingTransport(
                to, secrets=[anyio.run(key_of, at.adapter)], overwrite=force
            )
            agent = Agent(
                at.model,
                adapter=at.adapter,
                tools=tools,
                workspace=workspace,
                max_output_tokens=max_output_tokens,
                allow_unconfined=allow_unconfined or (),
                transport=recording,
            )
            result = anyio.run(show_run, agent, prompt, Display(errors))
        print_answer(result.text, Console())
    finally:
        if recording is not None and recording.exchanges:
            _tell(recording, to, errors)
    if recording.failure is not None:
        raise typer.Exit(1)


def _tell(recording: RecordingTransport, to: Path, console: Console) -> None:
    if recording.failure is not None:
        told = f"the recording is not complete: {to}: {recording.failure.strerror}"
        console.print(Text(told, style="bold red"), soft_wrap=True)
        return
    count = recording.exchanges
    console.print(
        f"recorded {count} exchange{'s' if count > 1 else ''}, {size(to.stat().st_size)}, to {to}; "
        f"play it back with: agentcore gateway --play {shlex.quote(str(to))}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
