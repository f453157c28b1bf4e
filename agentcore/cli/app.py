"""The commands, by name. Each is loaded when it is called; help and version load none of them."""

import importlib.metadata
from importlib import import_module
from typing import Annotated, Final

import typer
from rich.console import Console
from typer.core import TyperGroup
from typing_extensions import override

__all__ = ["COMMANDS", "app", "load_command"]

COMMANDS: Final = {
    "explain": "Say what kind of failure an error is, what the loop would do about it, and why.",
    "guidance": "Show the texts that a model gets when something cannot work, each with a sample.",
    "models": "Say what would be sent for a model and why: family, window, cap, switches, names.",
    "probe": "Measure how an endpoint streams tool calls, and what cuts them. Costs output tokens.",
    "record": "Do what `run` does, and write every exchange with the endpoint to a file.",
    "demo": (
        "Write a 3,000-line file through a scripted gateway that drops connections. Needs no key."
    ),
    "run": "Carry a prompt to its end against a real endpoint, and show what happens on the way.",
    "gateway": (
        "Serve the demo's scripted model, to try `agentcore run` and `probe` from a second "
        "terminal."
    ),
    "runs": "List the named runs of a workspace, check their journal, or copy them to another.",
    "show": "Show what a named run did, row by row, and how it stands now.",
    "resume": "Go on with a named run, and show what happens on the way.",
    "cancel": "End a named run, whichever process drives it. Nobody goes on with it by itself.",
    "work": "Drive the runs of a queue by an agent of your own, on as many machines as you like.",
    "drafts": "List, show or discard texts that were cut and are not in their files yet.",
}
"""Name → what the help of all says of it. The command is what has the same name in the module
`agentcore.cli.<name>`: a function, or a `Typer` with commands of its own."""


class _LateCommands(TyperGroup):
    """Knows of a command what `COMMANDS` says, until it is called."""

    # The base names the context by a class that is private to Typer; what comes is a Typer's.
    @override
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        name = next((word for word in args if not word.startswith("-")), "")
        if name in COMMANDS:
            self.add_command(typer.main.get_command(load_command(name)), name)
        return super().parse_args(ctx, args)


def load_command(name: str) -> typer.Typer:
    """A command, with all that it needs.

    Args:
        name: One of `COMMANDS`.
    """
    command = getattr(import_module(f"agentcore.cli.{name}"), name)
    if isinstance(command, typer.Typer):
        return command
    alone = typer.Typer(add_completion=False)
    alone.command(name)(command)
    return alone


app = typer.Typer(
    name="agentcore",
    cls=_LateCommands,
    help="The tool loop for agents that write large files through gateways that drop connections.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _not_loaded() -> None:
    """Stands in the help of all for a command; what is called is the command itself."""


for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(_not_loaded)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """The tool loop for agents that write large files through gateways that drop connections."""
    if show:
        Console().print(importlib.metadata.version("agentcore-loop"), highlight=False)
        raise typer.Exit
