"""The commands. They parse and print; the work is the library's."""

import importlib.metadata
import itertools
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console

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
from agentcore.cli.demo import long_text, run_demo
from agentcore.cli.display import size
from agentcore.cli.drafts import drafts
from agentcore.cli.explain import explain
from agentcore.cli.record import record
from agentcore.testing import Gateway, RecordedRequest, Reply, Respond, ScriptedModel, stream
from agentcore.testing.recording import RecordingError, load_recording

__all__ = ["app"]

app = typer.Typer(
    name="agentcore",
    help="The tool loop for agents that write large files through gateways that drop connections.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(explain)
app.command()(record)
app.add_typer(drafts)

_console = Console()
_errors = Console(stderr=True)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """The tool loop for agents that write large files through gateways that drop connections."""
    if show:
        _console.print(importlib.metadata.version("agentcore-loop"), highlight=False)
        raise typer.Exit


@app.command()
def demo() -> None:
    """Write a 3,000-line file through a scripted gateway that drops connections. Needs no key."""
    raise typer.Exit(0 if anyio.run(run_demo, _console) else 1)


@app.command()
def run(
    prompt: Prompt,
    model: Model,
    tool: ToolNames = None,
    workspace: Workspace = Path(),
    base_url: BaseUrl = "",
    max_output_tokens: MaxOutputTokens = None,
    allow_unconfined: Unconfined = None,
) -> None:
    """Carry a prompt to its end against a real endpoint, and show what happens on the way."""
    with failures_told(_errors):
        adapter, model_id = endpoint(model, base_url)
        agent = Agent(
            model_id,
            adapter=adapter,
            tools=tools_named(tool),
            workspace=workspace,
            max_output_tokens=max_output_tokens,
            allow_unconfined=allow_unconfined or (),
        )
        result = anyio.run(show_run, agent, prompt, _errors)
    _console.print(result.text, markup=False, highlight=False)


@app.command()
def gateway(
    play: Annotated[
        Path | None,
        typer.Option(
            help="Play a recording of `agentcore record`, over and over, in the model's place.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.001, help="How many times as fast the recording is played.")
    ] = 1.0,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="On loopback; 0 picks a free one.")
    ] = 8765,
    lines: Annotated[
        int, typer.Option(min=1, help="Length of the file that its model writes.")
    ] = 3_000,
    life_limit: Annotated[
        float, typer.Option(min=0, help="Seconds until every connection is dropped; 0: never.")
    ] = 1.7,
    pace: Annotated[float, typer.Option(min=0, help="Seconds between two deltas.")] = 0.002,
) -> None:
    """Serve the demo's scripted model, to try `agentcore run` from a second terminal.

    Whatever the prompt says, it writes plan.md: it needs the tool write_file.

    With --play it answers with the responses of a recording, one a request, as they came.

    After the last of them it begins again; --lines, --life-limit and --pace then mean nothing.
    """
    with failures_told(_errors):
        respond = _scripted(lines, pace) if play is None else _played(play, speed)
    # A recording has its own drops.
    life = life_limit if play is None and life_limit else None
    prompt, model = ("Write plan.md", "scripted") if play is None else ("As before", "recorded")

    async def serve() -> None:
        async with Gateway(respond=respond, life_limit=life, port=port) as server:
            _console.print(
                f"Serving on {server.base_url} (Ctrl-C stops it). In another terminal:\n"
                f'  agentcore run "{prompt}" --model local:{model} --base-url {server.base_url}',
                highlight=False,
                soft_wrap=True,
            )
            await anyio.sleep_forever()

    try:
        anyio.run(serve)
    except KeyboardInterrupt:
        _console.print("stopped")
    except OSError as error:
        _errors.print(f"error: port {port}: {error.strerror}; choose another with --port")
        raise typer.Exit(2) from None


def _scripted(lines: int, pace: float) -> Respond:
    model = ScriptedModel(path="plan.md", text=long_text(lines))
    return lambda request: stream(model(request.body), piece=64, pace=pace)


def _played(file: Path, speed: float) -> Respond:
    """The replies of a recording in turn; whoever watches sees which one goes out."""
    replies = load_recording(file, speed=speed)
    if not replies:
        raise RecordingError(f"{file}: there is no exchange in this recording")
    turns = itertools.cycle(enumerate(replies, 1))

    def respond(_: RecordedRequest) -> Reply:
        number, reply = next(turns)
        said = "no response" if reply.status is None else f"status {reply.status}"
        _console.print(
            f"reply {number} of {len(replies)}: {said}, {size(len(reply.body))}", highlight=False
        )
        return reply

    return respond
