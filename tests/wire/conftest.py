"""Whole runs over real loopback sockets: a gateway that plays replies, an agent that meets them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentcore import Agent, Local, ProviderAdapter, RunError, RunEvent, RunResult
from agentcore.testing import Answer, Gateway, RecordedRequest, Reply, stream


@dataclass(kw_only=True)
class Played:
    """What came of a run against a list of replies."""

    result: RunResult | None = None
    error: RunError | None = None
    requests: list[RecordedRequest] = field(default_factory=list)
    events: list[RunEvent] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    @property
    def attempts(self) -> list[tuple[str, str | None, str]]:
        """Outcome, kind and decision of each request."""
        ended = self.result or self.error
        assert ended is not None
        return [(r.outcome, r.kind and str(r.kind), r.decision) for r in ended.attempts]


@dataclass(kw_only=True)
class Player:
    workspace: Path

    async def __call__(
        self,
        replies: Sequence[Reply],
        *,
        adapter: Callable[[str], ProviderAdapter] = lambda url: Local(base_url=url),
        model: str = "some-model",
        prompt: str = "Go on.",
        **options: Any,
    ) -> Played:
        played = Played()
        script = iter(replies)

        def respond(request: RecordedRequest) -> Reply:
            return next(script, stream(Answer(text="the script is over")))

        async def sleep(seconds: float) -> None:
            played.waits.append(seconds)

        async with Gateway(respond=respond) as gateway:
            agent = Agent(
                model,
                adapter=adapter(gateway.base_url),
                workspace=self.workspace,
                sleep=sleep,
                roll=lambda: 0.5,
                **options,
            )
            try:
                played.result = await agent.run(prompt, on_event=played.events.append)
            except RunError as error:
                played.error = error
            played.requests = gateway.requests
        return played


@pytest.fixture
def play(tmp_path: Path) -> Player:
    return Player(workspace=tmp_path)
