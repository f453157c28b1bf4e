"""A run against a server, and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agentcore import Agent, Local, RunError, RunResult
from agentcore.testing import RecordingTransport, load_recording
from agentcore.tools.base import Tool

__all__ = ["Ran", "run"]


@dataclass(kw_only=True)
class Ran:
    """What came of a run."""

    ended: RunResult | RunError
    sent: list[bytes]
    """The body of each response, as the server sent it."""
    waits: list[float] = field(default_factory=list)
    """Seconds, as decided; none is slept."""

    @property
    def result(self) -> RunResult:
        assert isinstance(self.ended, RunResult), self.ended
        return self.ended

    @property
    def error(self) -> RunError:
        assert isinstance(self.ended, RunError), self.ended
        return self.ended

    @property
    def rows(self) -> list[tuple[str, str | None, str | None, str]]:
        """Outcome, cause, kind and decision of each attempt."""
        return [
            (r.outcome, r.cause and str(r.cause), r.kind and str(r.kind), r.decision)
            for r in self.ended.attempts
        ]


async def run(
    adapter: Local,
    workspace: Path,
    *,
    tools: Iterable[Tool] = (),
    prompt: str = "Go on.",
    max_output_tokens: int | None = None,
) -> Ran:
    """One run, with every response recorded."""
    recording = workspace.parent / f"{workspace.name}.jsonl"
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    agent = Agent(
        "some-model",
        adapter=adapter,
        tools=tools,
        workspace=workspace,
        max_output_tokens=max_output_tokens,
        transport=RecordingTransport(recording, overwrite=True),
        sleep=sleep,
        roll=lambda: 0.5,
    )
    ended: RunResult | RunError
    try:
        ended = await agent.run(prompt)
    except RunError as error:
        ended = error
    return Ran(ended=ended, sent=[r.body for r in load_recording(recording)], waits=waits)
