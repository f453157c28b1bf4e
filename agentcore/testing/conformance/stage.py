"""Where a case is played: an agent with the adapter, a scripted endpoint in process, virtual time.

Everything between the adapter's hooks and the bytes is real: the loop and the HTTP client.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from agentcore.providers.base import Capabilities, ProviderAdapter, Request, Wire
from agentcore.run import RunResult
from agentcore.testing.answers import Answer, Quirk, stream, whole
from agentcore.testing.script import Reply, Send, Step
from agentcore.testing.server import RecordedRequest
from agentcore.testing.transport import GatewayTransport
from agentcore.testing.virtual_time import run_in_virtual_time
from agentcore.tools.base import Tool, tool

__all__ = ["BASE_URL", "CHAT_FIELDS", "CHAT_PATH", "KEY", "ExpectedRequest", "Played", "Stage"]

BASE_URL = "http://conformance.test/v1"
KEY = "sk-conformance-7Qx9Zk2Wv8Jq4Yp6"
"""Its last part has no four characters in a row that any text would have by chance."""
CHAT_PATH = "/chat/completions"
CHAT_FIELDS = frozenset({"model", "messages", "tools", "stream"})
_SHOWN_BYTES = 240


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
    heard: list[tuple[float, RunEvent]] = field(default_factory=list)
    """Each event, and when it came: seconds on the clock of the event loop."""

    @property
    def events(self) -> list[RunEvent]:
        """What the listener was told."""
        return [event for _, event in self.heard]

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
    path: str = CHAT_PATH
    """Below the base URL, without its query."""
    required: frozenset[str] = CHAT_FIELDS
    """Fields of the body that no request can do without."""
    is_chat: bool = True
    """Answers are on the wire as chat completions."""
    conversation: Callable[[RecordedRequest], Sequence[JsonObject]] = lambda r: r.messages
    stream: Callable[..., Reply] = stream
    """Puts an `Answer` on the endpoint's wire; takes the keywords of `stream`."""
    whole: Callable[..., Reply] = whole
    backend: Literal["asyncio", "trio"] = "asyncio"
    last: Played | Wire | None = None
    """The run that was played last, or the request that was encoded last, for the evidence."""

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
        made: object = self.make_adapter(**{"base_url": BASE_URL, "api_key": KEY, **options})
        if not isinstance(made, ProviderAdapter):
            raise TypeError(f"`make_adapter` must give a ProviderAdapter, not {made!r}")
        if not isinstance(made.capabilities, Capabilities):
            raise TypeError(f"`capabilities` must be a Capabilities, not {made.capabilities!r}")
        return made

    def encode(self, model: str, *, adapter: ProviderAdapter | None = None, **fields: Any) -> Wire:
        """The request that the adapter makes of the prompt "Go on."."""
        self.last = (adapter or self.adapter()).encode(self.request(model, **fields))
        return self.last

    def request(self, model: str, **fields: Any) -> Request:
        """What a hook is given for the prompt "Go on."."""
        prompt = {"messages": (UserMessage(content="Go on."),)}
        return Request(model=model, family=family_of(model), **{**prompt, **fields})

    def streamed(self, answer: Answer, **options: Any) -> Reply:
        """An answer on the wire, with what is peculiar to this endpoint."""
        quirks = (*self.quirks, *options.pop("quirks", ()))
        reply = self.stream(answer, quirks=quirks, **options)
        if not self.adapter().capabilities.done_is_terminal:
            return reply
        return replace(reply, steps=tuple(_without_finish_reason(step) for step in reply.steps))

    def play(
        self,
        *replies: Reply,
        adapter: ProviderAdapter | None = None,
        models: Sequence[str] = (),
        earlier: Sequence[Message] = (),
        tools: bool = True,
        more_tools: Sequence[Tool] = (),
        **options: Any,
    ) -> Played:
        """Run an agent against these replies; a prompt for each of `models`, one after the other.

        Args:
            replies: What the endpoint answers, in turn; then "All done.".
            adapter: Instead of a new one.
            models: Switched to between prompts, on one agent with one adapter.
            earlier: The conversation that each prompt goes on with.
            tools: Offer the tool `save`.
            more_tools: Offered beside it.
            options: Of `Agent`.
        """
        played = self._new(replies)

        def hear(event: RunEvent) -> None:
            played.heard.append((anyio.current_time(), event))

        async def main() -> None:
            with TemporaryDirectory(prefix="agentcore-conformance-") as workspace:
                offered = (*([_save(played.runs)] if tools else ()), *more_tools)
                agent = self.agent(played, adapter, workspace, tools=offered, **options)
                for model in models or (self.model,):
                    agent.model = model
                    try:
                        played.result = await agent.run("Go on.", messages=earlier, on_event=hear)
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
                await play(self.agent(played, None, workspace, tools=[_save(played.runs)]))

        anyio.run(main, backend=self.backend)
        return played

    def agent(
        self,
        played: Played,
        adapter: ProviderAdapter | None,
        workspace: str,
        *,
        tools: Sequence[Tool],
        **options: Any,
    ) -> Agent:
        """An agent that meets the scripted endpoint; waits are the longest that may be."""
        return Agent(
            self.model,
            adapter=adapter if adapter is not None else self.adapter(),
            tools=tools,
            workspace=workspace,
            transport=played.transport,
            **{"roll": lambda: 1.0, **options},
        )

    def evidence(self) -> str:
        """What went out, the bytes around the place where each response ended, and why it stopped.

        Of the run that was played last, or of the request that was encoded last.
        """
        if self.last is None:
            return ""
        if isinstance(self.last, Wire):
            return f"  {_head('the request', self.last.path, self.last.body)}"
        lines: list[str] = []
        for request in self.last.requests[:2]:
            lines.append(_head(f"request {request.number}", request.path, request.raw))
            sent = bytes(request.sent)
            tail = sent[-_SHOWN_BYTES:]
            dots = "…" if len(sent) > len(tail) else ""
            lines.append(f"response {request.number}, its last bytes: {dots}{tail!r}")
        if self.last.error is not None:
            lines += ["the run's error:", *str(self.last.error).splitlines()[:3]]
        return "\n".join(f"  {line}" for line in lines)

    def _new(self, replies: Iterable[Reply]) -> Played:
        script = iter(replies)
        done = self.streamed(Answer(text="All done."))
        transport = GatewayTransport(respond=lambda request: next(script, done))
        played = self.last = Played(transport=transport)
        return played


_FINISH_REASON = re.compile(rb'("finish_reason": ?)"[^"]*"')


def _without_finish_reason(step: Step) -> Step:
    if not isinstance(step, Send):
        return step
    return replace(step, data=_FINISH_REASON.sub(rb"\1null", step.data))


def _head(name: str, path: str, body: bytes) -> str:
    dots = "…" if len(body) > _SHOWN_BYTES else ""
    return f"{name}: POST {path} {body[:_SHOWN_BYTES]!r}{dots}"


def _save(runs: list[JsonObject]) -> Tool:
    @tool(draft="content")
    async def save(path: str, content: str, extra: JsonValue = None) -> str:
        """Save a text under a path."""
        runs.append({"path": path, "content": content, "extra": extra})
        return "saved"

    return save
