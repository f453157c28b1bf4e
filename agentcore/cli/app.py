"""The commands. They parse and print; the work is the library's."""

import importlib.metadata
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.text import Text

from agentcore.agent import Agent
from agentcore.cli.demo import long_text, run_demo
from agentcore.cli.display import Display
from agentcore.cli.explain import explain
from agentcore.errors import ConfigurationError, RunError
from agentcore.providers import PROVIDERS, ProviderAdapter
from agentcore.run import RunResult
from agentcore.testing import Gateway, ScriptedModel, stream
from agentcore.tools import BUILTIN_TOOLS, Tool

__all__ = ["app"]

app = typer.Typer(
    name="agentcore",
    help="The tool loop for agents that write large files through gateways that drop connections.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(explain)

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
    prompt: Annotated[str, typer.Argument(help="What the agent is to do.")],
    model: Annotated[
        str,
        typer.Option(
            help=f"The endpoint and its model id. Providers: {', '.join(PROVIDERS)}.",
            metavar="PROVIDER:MODEL",
        ),
    ],
    tool: Annotated[
        list[str] | None,
        typer.Option(help=f"Once for each of {', '.join(BUILTIN_TOOLS)}. Default: the first two."),
    ] = None,
    workspace: Annotated[Path, typer.Option(help="An existing folder to work in.")] = Path(),
    base_url: Annotated[
        str, typer.Option(help="Instead of the provider's own, with the version part.")
    ] = "",
    max_output_tokens: Annotated[
        int | None, typer.Option(help="Cap of every answer; default: the model's own.")
    ] = None,
    allow_unconfined: Annotated[
        list[str] | None,
        typer.Option(help="Allow a tool by name that nothing confines (execute_code)."),
    ] = None,
) -> None:
    """Carry a prompt to its end against a real endpoint, and show what happens on the way."""
    try:
        adapter, model_id = _endpoint(model, base_url)
        agent = Agent(
            model_id,
            adapter=adapter,
            tools=[_tool(name) for name in tool or ("write_file", "read_file")],
            workspace=workspace,
            max_output_tokens=max_output_tokens,
            allow_unconfined=allow_unconfined or (),
        )
        result = anyio.run(_show, agent, prompt)
    except ConfigurationError as error:
        _errors.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        _errors.print("stopped by you; files that were written stay as they are")
        raise typer.Exit(130) from None
    except RunError as error:
        _errors.print(Text(str(error), style="red"), soft_wrap=True)
        raise typer.Exit(1) from None
    _console.print(result.text, markup=False, highlight=False)


@app.command()
def gateway(
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
    """
    scripted = ScriptedModel(path="plan.md", text=long_text(lines))

    async def serve() -> None:
        async with Gateway(
            respond=lambda request: stream(scripted(request.body), piece=64, pace=pace),
            life_limit=life_limit or None,
            port=port,
        ) as server:
            _console.print(
                f"Serving on {server.base_url} (Ctrl-C stops it). In another terminal:\n"
                f'  agentcore run "Write plan.md" --model local:scripted '
                f"--base-url {server.base_url}",
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


async def _show(agent: Agent, prompt: str) -> RunResult:
    with Display(_errors) as display:
        return await agent.run(prompt, on_event=display)


def _endpoint(model: str, base_url: str) -> tuple[ProviderAdapter | None, str]:
    """An adapter with the address that was given; None leaves the model string to the agent."""
    provider, _, model_id = model.partition(":")
    if not base_url or provider not in PROVIDERS:
        return None, model
    return PROVIDERS[provider](base_url=base_url), model_id


def _tool(name: str) -> Tool:
    if name not in BUILTIN_TOOLS:
        known = ", ".join(BUILTIN_TOOLS)
        raise ConfigurationError(f"--tool {name}: there is no such tool (there are: {known})")
    return BUILTIN_TOOLS[name]
