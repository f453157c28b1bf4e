"""Where a case is played: an agent with the adapter, a scripted endpoint in process, virtual time.

Everything between the adapter's hooks and the bytes is real: the loop, the SDK, the HTTP client.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any, Literal

import anyio
from pydantic import JsonValue

from agentcore.agent import Agent
from agentcore.errors import RunError
from agentcore.events import RunEvent
from agentcore.families import family_of
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, JsonObject, Message, UserMessage
from agentcore.providers.base import ProviderAdapter, Request, Wire
from agentcore.run import RunResult
from agentcore.testing.answers import Answer, Quirk, stream, whole
from agentcore.testing.script import Reply
from agentcore.testing.server import RecordedRequest
from agentcore.testing.transport import GatewayTransport
from agentcore.testing.virtual_time import run_in_virtual_time
from agentcore.tools.base import Tool, tool

__all__ = ["BASE_URL", "KEY", "ExpectedRequest", "Played", "Stage"]

BASE_URL = "http://conformance.test/v1"
KEY = "sk-conformance-7d1f0a93c24be586"
_SHOWN_BYTES = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRequest:
    """A request as a literal: what goes out for the prompt "Go on." with no tools."""

    model: str
    body: JsonObject
    """The JSON body, whole."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers that the adapter adds, lower-case names; none besides these."""


@dataclass(slots=True, kw_only=True)
class Played:
    """What came of a run."""

    transport: GatewayTransport
    result: RunResult | None = None
    error: RunError | None = None
    runs: list[JsonObject] = field(default_factory=list)
    """The arguments of each call that a tool was run with."""
    events: list[RunEvent] = field(default_factory=list)

    @property
    def attempts(self) -> Sequence[AttemptRecord]:
        """The ledger."""
        ended = self.result or self.error
        return ended.attempts if ended is not None else ()

    @property
    def messages(self) -> Sequence[Message]:
        """The conversation."""
        ended = self.result or self.error
        return ended.messages if ended is not None else ()

    @property
    def answers(self) -> list[AssistantMessage]:
        """What the model said, as the conversation holds it."""
        return [message for message in self.messages if message.role == "assistant"]

    @property
    def requests(self) -> list[RecordedRequest]:
        """What the endpoint saw."""
        return self.transport.requests

    @property
    def decisions(self) -> list[str]:
        """What was decided about each attempt."""
        return [record.decision for record in self.attempts]


@dataclass(slots=True, kw_only=True)
class Stage:
    """What a case may use."""

    make_adapter: Callable[..., ProviderAdapter]
    """Called with `base_url` and `api_key`, and with `extra_headers` or `extra_body`."""
    models: Sequence[str]
    """Ids as the endpoint knows them, of different families where it serves several."""
    expected: Sequence[ExpectedRequest] = ()
    stream: Callable[..., Reply] = stream
    """Puts an `Answer` on the endpoint's wire; takes the keywords of `stream`."""
    whole: Callable[..., Reply] = whole
    backend: Literal["asyncio", "trio"] = "asyncio"
    last: Played | None = None
    """The run that was played last, for the evidence."""

    @property
    def model(self) -> str:
        """The model of cases that need only one."""
        return self.models[0]

    @property
    def quirks(self) -> tuple[Quirk, ...]:
        """How every stream of this endpoint departs from the reference, by its capabilities."""
        cumulative = self.adapter().capabilities.cumulative_arguments
        return (Quirk.CUMULATIVE_ARGUMENTS,) if cumulative else ()

    def adapter(self, **options: Any) -> ProviderAdapter:
        """A new adapter for the scripted endpoint."""
        return self.make_adapter(**{"base_url": BASE_URL, "api_key": KEY, **options})

    def encode(self, model: str, *, adapter: ProviderAdapter | None = None, **fields: Any) -> Wire:
        """The request that the adapter makes of the prompt "Go on."."""
        request = Request(
            model=model,
            family=family_of(model),
            **{"messages": (UserMessage(content="Go on."),), **fields},
        )
        return (adapter or self.adapter()).encode(request)

    def streamed(self, answer: Answer, **options: Any) -> Reply:
        """An answer on the wire, with what is peculiar to this endpoint."""
        quirks = (*self.quirks, *options.pop("quirks", ()))
        return self.stream(answer, quirks=quirks, **options)

    def play(
        self,
        *replies: Reply,
        adapter: ProviderAdapter | None = None,
        models: Sequence[str] = (),
        tools: bool = True,
        **options: Any,
    ) -> Played:
        """Run an agent against these replies; a prompt for each of `models`, one after the other.

        Args:
            replies: What the endpoint answers, in turn; then "All done.".
            adapter: Instead of a new one.
            models: Switched to between prompts, on one agent with one adapter.
            tools: Offer the tool `save`.
            options: Of `Agent`.
        """
        played = self._new(replies)

        async def main() -> None:
            with TemporaryDirectory(prefix="agentcore-conformance-") as workspace:
                agent = self.agent(played, adapter, workspace, tools=tools, **options)
                for model in models or (self.model,):
                    agent.model = model
                    try:
                        played.result = await agent.run("Go on.", on_event=played.events.append)
                    except RunError as error:
                        played.error = error

        run_in_virtual_time(main, backend=self.backend)
        return played

    def play_live(
        self, replies: Sequence[Reply], play: Callable[[Agent], Awaitable[None]]
    ) -> Played:
        """Let a case use the agent itself, in real time."""
        played = self._new(replies)

        async def main() -> None:
            with TemporaryDirectory(prefix="agentcore-conformance-") as workspace:
                await play(self.agent(played, None, workspace))

        anyio.run(main, backend=self.backend)
        return played

    def agent(
        self,
        played: Played,
        adapter: ProviderAdapter | None,
        workspace: str,
        *,
        tools: bool = True,
        **options: Any,
    ) -> Agent:
        """An agent that meets the scripted endpoint; waits are the longest that may be."""
        return Agent(
            self.model,
            adapter=adapter if adapter is not None else self.adapter(),
            tools=[_save(played.runs)] if tools else (),
            workspace=workspace,
            transport=played.transport,
            **{"roll": lambda: 1.0, **options},
        )

    def evidence(self) -> str:
        """The bytes around the place where the last run's failing stream ended."""
        if self.last is None or not self.last.requests:
            return ""
        lines: list[str] = []
        for request in self.last.requests[:2]:
            sent = bytes(request.sent)
            tail = sent[-_SHOWN_BYTES:]
            dots = "…" if len(sent) > len(tail) else ""
            lines.append(f"  response {request.number}, its last bytes: {dots}{tail!r}")
        return "\n".join(lines)

    def _new(self, replies: Iterable[Reply]) -> Played:
        script = iter(replies)
        done = self.streamed(Answer(text="All done."))
        transport = GatewayTransport(respond=lambda request: next(script, done))
        self.last = Played(transport=transport)
        return self.last


def _save(runs: list[JsonObject]) -> Tool:
    @tool(draft="content")
    async def save(path: str, content: str, extra: JsonValue = None) -> str:
        """Save a text under a path."""
        runs.append({"path": path, "content": content, "extra": extra})
        return "saved"

    return save
