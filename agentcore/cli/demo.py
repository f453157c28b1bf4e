"""`agentcore demo`: a large file through a gateway that drops connections, in three scenes.

The gateway, the model behind it and the time scale are scripted; the adapter, the client, the loop
and the tools are the real ones, over a real socket.
"""

import hashlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from agentcore.agent import Agent
from agentcore.cli.display import Display, size
from agentcore.errors import RunError
from agentcore.families import ModelFamily
from agentcore.ledger import AttemptRecord
from agentcore.providers.base import ProviderAdapter, ToolStreaming
from agentcore.providers.openrouter import EAGER_BETA, OpenRouter
from agentcore.retry import Backoff, Policy
from agentcore.testing import Gateway, ScriptedModel, header_asks, stream
from agentcore.tools import read_file, write_file

__all__ = ["demo", "long_text", "run_demo"]

LINES: Final = 3_000
FILE: Final = "plan.md"
MODEL: Final = "anthropic/claude-opus-4.6"

# One second here stands for a hundred: a write of eight minutes takes five seconds, and the hop
# that was seen to cut at 125 s without a byte cuts at 1.25 s.
IDLE_LIMIT: Final = 1.25
LIFE_LIMIT: Final = 1.7
PACE: Final = 0.002
PIECE: Final = 64
POLICY: Final = Policy(backoff=Backoff(first=0.2, cap=0.5))


class WithoutTheHeader(OpenRouter):
    """OpenRouter as most clients speak to it: nothing asks for streamed tool arguments."""

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        return ToolStreaming()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One gateway, one adapter, one expected end."""

    letter: str
    title: str
    adapter: type[ProviderAdapter]
    expects_file: bool
    """False: the expected end is a stop, with the text for the person."""
    idle_limit: float = IDLE_LIMIT
    life_limit: float | None = None


SCENES: Final = (
    Scene(
        letter="a",
        title="without the header: arguments held back, silence, the drop, in the end a stop",
        adapter=WithoutTheHeader,
        expects_file=False,
    ),
    Scene(
        letter="b",
        title="with the header arguments stream: the same gateway, no silence",
        adapter=OpenRouter,
        expects_file=True,
    ),
    Scene(
        letter="c",
        title="dropped in mid-arguments: what arrived is kept, and it goes on from there",
        adapter=OpenRouter,
        expects_file=True,
        life_limit=LIFE_LIMIT,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a scene."""

    scene: Scene
    attempts: tuple[AttemptRecord, ...]
    seconds: float
    sent_twice_bytes: int
    """Tool arguments that the gateway sent and that were neither used nor kept."""
    expected: str
    got: str

    @property
    def is_right(self) -> bool:
        """The scene ended as it must."""
        return self.expected == self.got


def demo() -> None:
    """Write a 3,000-line file through a scripted gateway that drops connections. Needs no key."""
    raise typer.Exit(0 if anyio.run(run_demo, Console()) else 1)


async def run_demo(console: Console, lines: int = LINES) -> bool:
    """Play all scenes and print the table; True when each ended as it must.

    Args:
        console: Where it is shown.
        lines: Length of the file; the gateway's limits shrink with it.
    """
    text = long_text(lines)
    console.print(
        f"An agent writes a file of {lines:,} lines ({size(len(text))}) through a gateway that "
        "drops connections.\n1 s here stands for 100 s; all but the gateway and its model is real.",
        highlight=False,
    )
    outcomes: list[Outcome] = []
    for scene in SCENES:
        console.print(f"\n[bold]({scene.letter}) {scene.title}[/]", highlight=False)
        outcomes.append(await _play(scene, text, lines / LINES, console))
    console.print()
    console.print(_table(outcomes))
    console.print("expected, got: the file's sha256, its first digits; or that the run stops.")
    right = all(outcome.is_right for outcome in outcomes)
    verdict = (
        "[green]Every scene ended as it must.[/]" if right else "[red]A scene ended wrongly.[/]"
    )
    console.print(verdict)
    return right


def long_text(lines: int) -> str:
    """A plan of so many lines, all different, 50 characters or so each."""
    return "".join(
        f"{number:>5}. Move table t{number * 7919 % 3001:04} to the new store; check it.\n"
        for number in range(1, lines + 1)
    )


async def _play(scene: Scene, text: str, scale: float, console: Console) -> Outcome:
    model = ScriptedModel(path=FILE, text=text)
    gateway = Gateway(
        respond=lambda request: stream(model(request.body), piece=PIECE, pace=PACE),
        idle_limit=scene.idle_limit * scale,
        life_limit=scene.life_limit * scale if scene.life_limit else None,
        asks_to_stream=header_asks("x-anthropic-beta", EAGER_BETA),
    )
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agentcore-demo-") as folder:
        async with gateway:
            agent = Agent(
                MODEL,
                adapter=scene.adapter(base_url=gateway.base_url, api_key="none-needed"),
                tools=[write_file, read_file],
                workspace=folder,
                policy=POLICY,
            )
            attempts, stopped = await _run(agent, console)
        got = "stop" if stopped else _digest(Path(folder) / FILE)
    return Outcome(
        scene=scene,
        attempts=attempts,
        seconds=time.monotonic() - started,
        sent_twice_bytes=sum(
            min(request.argument_bytes, record.discarded_bytes)
            for request, record in zip(gateway.requests, attempts, strict=True)
            if record.outcome != "complete"
        ),
        expected=hashlib.sha256(text.encode()).hexdigest() if scene.expects_file else "stop",
        got=got,
    )


async def _run(agent: Agent, console: Console) -> tuple[tuple[AttemptRecord, ...], bool]:
    """The ledger, and whether the run stopped with a text for the person."""
    with Display(console) as display:
        try:
            result = await agent.run(
                f"Write the migration plan to {FILE}, all of it.", on_event=display
            )
        except RunError as error:
            console.print(Text(str(error), style="dim"))
            console.print("  That is the expected end of this scene.")
            return error.attempts, True
    console.print(Text(f"  {result.text}"))
    return result.attempts, False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    for name in ("scene", "attempts", "kinds", "seconds", "sent twice", "expected", "got", ""):
        numeric = name in ("attempts", "seconds", "sent twice")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for outcome in outcomes:
        kinds = [str(record.kind) for record in outcome.attempts if record.kind is not None]
        counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        table.add_row(
            outcome.scene.letter,
            str(len(outcome.attempts)),
            counted or "none",
            f"{outcome.seconds:.1f}",
            size(outcome.sent_twice_bytes),
            outcome.expected[:8],
            outcome.got[:8],
            "[green]✓[/]" if outcome.is_right else "[red]✗[/]",
        )
    return table
