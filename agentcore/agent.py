"""`Agent`: turns until the model stops, or a limit is reached."""

import os
import random
import string
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from agentcore.accumulator import Complete, Partial
from agentcore.classification import ErrorKind
from agentcore.client import Client
from agentcore.clocks import Clocks
from agentcore.dispatch import Dispatched, Dispatcher
from agentcore.drafts import Kept
from agentcore.errors import ConfigurationError, RunError
from agentcore.events import RunEvent, TurnFinished
from agentcore.families import family_of
from agentcore.guidance import StoppedText, render
from agentcore.ledger import AttemptRecord
from agentcore.messages import (
    AssistantMessage,
    Message,
    SystemMessage,
    Usage,
    UserMessage,
)
from agentcore.providers import PROVIDERS
from agentcore.providers.base import ProviderAdapter, Request
from agentcore.retry import Policy
from agentcore.tools.base import Tool, ToolContext
from agentcore.turn import Chance, GivenUp, Turn

if TYPE_CHECKING:
    import httpx2

__all__ = ["Agent", "EventStream", "History", "Limits", "Listener", "RunResult", "resolve_model"]

Listener: TypeAlias = Callable[[RunEvent], Awaitable[None] | None]
"""Gets every event of a run; sync or async."""
History: TypeAlias = Callable[[tuple[Message, ...]], Sequence[Message]]
"""Decides which messages the next request carries. Pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends although the model would go on."""

    idle_turns: int = 25
    """Turns in a row that wrote nothing new. Sixty sections of a file are progress, not a loop."""
    seconds: float | None = None
    """For the whole run; None for no limit."""

    def __post_init__(self) -> None:
        if self.idle_turns < 1:
            raise ConfigurationError(f"Limits(idle_turns={self.idle_turns!r}): must be at least 1")
        if self.seconds is not None and self.seconds <= 0:
            raise ConfigurationError(
                f"Limits(seconds={self.seconds!r}): must be above 0, or None for no limit"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to."""

    text: str
    """The model's last answer."""
    messages: tuple[Message, ...]
    """The whole conversation; go on with `agent.run(prompt, messages=result.messages)`."""
    usage: Usage
    """Tokens of all attempts, as far as the endpoint reported them."""
    attempts: tuple[AttemptRecord, ...]
    """The ledger: every request, what came of it and what it cost."""


def send_all(messages: tuple[Message, ...]) -> Sequence[Message]:
    """The default history: every message."""
    return messages


@dataclass(slots=True, kw_only=True)
class EventStream:
    """The events of a run under way; iterate it, then ask for the result."""

    _receive: AsyncIterator[RunEvent]
    _result: list[RunResult] = field(default_factory=list)

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        return self._receive

    @property
    def result(self) -> RunResult:
        """The result, once the iteration has ended."""
        if not self._result:
            raise RuntimeError("EventStream.result: the run is not over; iterate to the end first")
        return self._result[0]


class Agent:
    """A model, its tools and a workspace; `run` carries a prompt to its end.

    `model`, `adapter`, `tools` and the rest may be changed between turns: every request is made
    from what they are at that moment.
    """

    def __init__(
        self,
        model: str,
        *,
        tools: Iterable[Tool] = (),
        workspace: str | os.PathLike[str] = ".",
        system: str = "",
        adapter: ProviderAdapter | None = None,
        max_output_tokens: int | None = None,
        policy: Policy | None = None,
        clocks: Clocks | None = None,
        limits: Limits | None = None,
        history: History = send_all,
        allow_unconfined: Iterable[str] = (),
        transport: "httpx2.AsyncBaseTransport | None" = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """Check everything that can be checked before a request.

        Args:
            model: `"provider:model-id"`; or the endpoint's own model id beside `adapter`.
            tools: What the model may call; made by `@tool`.
            workspace: An existing folder for file tools and programs.
            system: Instructions above the conversation.
            adapter: The endpoint; None means the one that `model` names.
            max_output_tokens: The cap of every answer, at least 1; None leaves it to the adapter.
            policy: Attempts and waits of a turn.
            clocks: Limits on silence; None means the adapter's own.
            limits: When a run ends although the model would go on.
            history: Decides which messages a request carries.
            allow_unconfined: Names of tools that may run although nothing confines them.
            transport: Takes the place of the network, for tests in process.
            sleep: Waits; tests give their own.
            roll: A random number from 0 to 1, for the waits; tests give their own.

        Raises:
            ConfigurationError: An argument cannot be used; the text says which and why.
        """
        self.model = model
        self.adapter = adapter
        self.system = system
        self.max_output_tokens = max_output_tokens
        self.policy = policy if policy is not None else Policy()
        self.clocks = clocks
        self.limits = limits if limits is not None else Limits()
        self.history = history
        self.workspace = _checked_workspace(workspace)
        self.tools = _checked_tools(tools, frozenset(allow_unconfined))
        self._transport = transport
        self._chance = Chance(sleep=sleep, roll=roll, new_id=_new_id)
        self._learned: dict[tuple[str, str], int] = {}
        """(base URL, model) → the largest cap that the endpoint said it takes."""
        resolve_model(model, adapter)
        _check_cap(max_output_tokens)

    async def run(
        self,
        prompt: str,
        *,
        messages: Sequence[Message] = (),
        on_event: Listener | None = None,
    ) -> RunResult:
        """Carry a prompt to its end.

        Args:
            prompt: What the person says.
            messages: A conversation to go on with, as a result or a `RunError` holds it.
            on_event: Gets every event. If it raises it is detached, with a warning.

        Raises:
            ConfigurationError: No key, or a setting changed to something that cannot be used.
            RunError: The run cannot go on. It carries the ledger and the conversation so far.
        """
        emit = _guarded(on_event) if on_event is not None else None
        async with Client(transport=self._transport) as client:
            run = _Run(agent=self, client=client, emit=emit, chance=self._chance)
            return await run.to_the_end(self._opening(prompt, messages))

    def run_sync(
        self,
        prompt: str,
        *,
        messages: Sequence[Message] = (),
        on_event: Listener | None = None,
    ) -> RunResult:
        """`run` for scripts: blocks until the end, on a new asyncio loop."""

        async def main() -> RunResult:
            return await self.run(prompt, messages=messages, on_event=on_event)

        return anyio.run(main)

    @asynccontextmanager
    async def stream(
        self, prompt: str, *, messages: Sequence[Message] = ()
    ) -> AsyncIterator[EventStream]:
        """Run, and iterate over the events: `async with agent.stream(prompt) as events`.

        Leaving the block early cancels the run and closes its connection. A failing run raises its
        `RunError` from the iteration.
        """
        send, receive = anyio.create_memory_object_stream[RunEvent](64)
        outcome: list[RunResult] = []
        failure: list[Exception] = []

        async def run() -> None:
            async with send:
                try:
                    outcome.append(await self.run(prompt, messages=messages, on_event=send.send))
                except Exception as error:
                    failure.append(error)

        async def events() -> AsyncGenerator[RunEvent, None]:
            async for event in receive:
                yield event
            if failure:
                raise failure[0]

        error_inside: Exception | None = None
        async with receive, aclosing(events()) as iterator, anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            try:
                yield EventStream(_receive=iterator, _result=outcome)
            except Exception as error:  # raised below, outside: a task group would wrap it
                error_inside = error
            tasks.cancel_scope.cancel()
        if error_inside is not None:
            raise error_inside

    def _opening(self, prompt: str, messages: Sequence[Message]) -> list[Message]:
        conversation = list(messages)
        if self.system and not any(isinstance(m, SystemMessage) for m in conversation):
            conversation.insert(0, SystemMessage(content=self.system))
        return [*conversation, UserMessage(content=prompt)]


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run under way."""

    agent: Agent
    client: Client
    chance: Chance
    emit: Callable[[RunEvent], Awaitable[None]] | None
    ledger: list[AttemptRecord] = field(default_factory=list)

    async def to_the_end(self, conversation: list[Message]) -> RunResult:
        agent = self.agent
        dispatcher = Dispatcher(
            tools={tool.name: tool for tool in agent.tools},
            context=ToolContext(workspace=agent.workspace),
            emit=self.emit,
        )
        started = anyio.current_time()
        number = idle = 0
        while True:
            number += 1
            turn = self._turn(number, conversation)
            outcome = await turn.run()
            self._learn(turn)
            if isinstance(outcome, GivenUp):
                partial = outcome.failure.partial
                raise self._stopped(outcome.reason, conversation, partial=partial)
            conversation.append(outcome.message)
            kept = outcome if isinstance(outcome, Kept) else None
            dispatched = await dispatcher.dispatch(outcome.message, kept, self.ledger[-1])
            conversation.extend(dispatched.messages)
            await self._turn_finished(outcome)
            if not outcome.message.tool_calls:
                return self._result(outcome.message, conversation)
            idle = 0 if dispatched.changed else idle + 1
            reason = self._limit_reached(dispatched, idle, anyio.current_time() - started)
            if reason:
                raise self._stopped(reason, conversation, dispatched=dispatched)

    def _turn(self, number: int, conversation: Sequence[Message]) -> Turn:
        """A turn from what the agent's settings are now: a switch of model counts at once."""
        agent = self.agent
        adapter, model = resolve_model(agent.model, agent.adapter)
        _check_cap(agent.max_output_tokens)
        request = Request(
            model=model,
            family=family_of(model),
            messages=tuple(agent.history(tuple(conversation))),
            tools=tuple(tool.spec for tool in agent.tools),
            max_output_tokens=agent.max_output_tokens,
            learned_output_tokens=agent._learned.get((adapter.base_url, model)),
        )
        return Turn(
            number=number,
            client=self.client,
            adapter=adapter,
            key=lambda: _key_of(adapter),
            request=request,
            policy=agent.policy,
            clocks=agent.clocks if agent.clocks is not None else adapter.clocks,
            chance=self.chance,
            ledger=self.ledger,
            emit=self.emit,
            draft_arguments={tool.name: tool.draft for tool in agent.tools if tool.draft},
            no_argument_tools=frozenset(t.name for t in agent.tools if t.requires_nothing),
        )

    def _learn(self, turn: Turn) -> None:
        """Remember a cap that the endpoint named, for later turns and runs of this agent."""
        limit = turn.request.adjustments.output_limit
        if limit is not None:
            self.agent._learned[turn.adapter.base_url, turn.request.model] = limit

    def _limit_reached(self, dispatched: Dispatched, idle: int, seconds: float) -> str:
        limits = self.agent.limits
        if dispatched.stop:
            return dispatched.stop
        if idle >= limits.idle_turns:
            return f"{idle} turns in a row wrote nothing new (Limits.idle_turns)"
        if limits.seconds is not None and seconds >= limits.seconds:
            return f"the run has taken {seconds:.0f} s (Limits.seconds)"
        return ""

    async def _turn_finished(self, outcome: Complete | Kept) -> None:
        if self.emit is not None:
            last = self.ledger[-1]
            await self.emit(
                TurnFinished(
                    turn=last.turn, attempt=last.attempt, message=outcome.message, usage=last.usage
                )
            )

    def _result(self, message: AssistantMessage, conversation: Sequence[Message]) -> RunResult:
        usage = sum((r.usage for r in self.ledger if r.usage is not None), start=Usage())
        return RunResult(
            text=message.content,
            messages=tuple(conversation),
            usage=usage,
            attempts=tuple(self.ledger),
        )

    def _stopped(
        self,
        reason: str,
        conversation: Sequence[Message],
        *,
        partial: Partial | None = None,
        dispatched: Dispatched | None = None,
    ) -> RunError:
        last = self.ledger[-1]
        answers = dispatched.messages if dispatched is not None else ()
        tool = next((answer.name for answer in reversed(answers) if answer.is_error), "")
        if partial is not None and partial.calls:
            tool = partial.calls[-1].name
        text = render(
            StoppedText(
                provider=last.provider,
                model=last.model,
                kind=str(last.kind) if last.kind is not None else "none",
                reason=reason,
                message=last.message,
                rule=last.rule or "none",
                attempts=len(self.ledger),
                tool=tool,
                on_disk=dispatched.on_disk if dispatched is not None else "",
                received=f"{last.discarded_bytes} bytes" if last.discarded_bytes else "",
                advice=_ADVICE.get(last.kind, _ADVICE[None]),
            )
        )
        return RunError(
            text,
            kind=last.kind,
            attempts=tuple(self.ledger),
            messages=tuple(conversation),
            partial=partial,
        )


_ADVICE: Final[dict[ErrorKind | None, str]] = {
    None: "look at the conversation in RunError.messages, and raise the limit if it was progress.",
    ErrorKind.CONNECTION: "choose an endpoint that streams tool arguments or keeps its connections "
    "longer, or ask for smaller sections; then go on with RunError.messages.",
    ErrorKind.TIMEOUT: "choose an endpoint that streams tool arguments, raise the clock that ran "
    "out (Clocks), or ask for less reasoning; then go on with RunError.messages.",
    ErrorKind.TRUNCATED: "raise max_output_tokens if the model allows it, or ask for smaller "
    "sections; then go on with RunError.messages.",
    ErrorKind.OVERLOADED: "wait, or choose another model or provider.",
    ErrorKind.SERVER_ERROR: "try again later, or choose another provider.",
    ErrorKind.RATE_LIMIT: "wait, lower the rate, or use a key with a higher limit.",
    ErrorKind.QUOTA: "add credit or raise the plan's limit; waiting seconds does not help.",
    ErrorKind.AUTH: "check the key, its permissions and the account's region.",
    ErrorKind.NOT_FOUND: "check the model id and the base URL.",
    ErrorKind.CONTEXT_OVERFLOW: "shorten the conversation (Agent(history=…)) or choose a model "
    "with a larger window.",
    ErrorKind.OUTPUT_LIMIT: "set a smaller max_output_tokens.",
    ErrorKind.CONTENT_POLICY: "change the prompt, or choose another model.",
    ErrorKind.INVALID_REQUEST: "correct what the endpoint names; the same request fails again.",
    ErrorKind.REQUEST_TOO_LARGE: "send less: shorten the conversation or split the task.",
    ErrorKind.UNKNOWN: "look at the message above; if it passes with time, run again.",
}


def resolve_model(model: str, adapter: ProviderAdapter | None) -> tuple[ProviderAdapter, str]:
    """The endpoint and its own model id.

    Raises:
        ConfigurationError: The string names no provider that is known, or no model.
    """
    known = ", ".join(sorted(PROVIDERS))
    if adapter is None:
        provider, colon, model_id = model.partition(":")
        if not colon or not model_id:
            raise ConfigurationError(
                f'model {model!r}: write "provider:model-id", for example '
                f'"openrouter:anthropic/claude-opus-4.6" (providers: {known}), or pass adapter=…'
            )
        if provider not in PROVIDERS:
            raise ConfigurationError(
                f"model {model!r}: there is no provider {provider!r} (providers: {known}); for "
                "another endpoint pass adapter=Local(base_url=…) or your own adapter"
            )
        adapter, model = PROVIDERS[provider](), model_id
    if not model:
        raise ConfigurationError("model '': give the model's id as the endpoint knows it")
    if not adapter.base_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{type(adapter).__name__}(base_url={adapter.base_url!r}): give the address, with "
            'http:// or https:// and the version part, as in "http://localhost:8000/v1"'
        )
    return adapter, model


def _key_of(adapter: ProviderAdapter) -> str:
    """The credential, from the adapter or the environment: the one place where that is read."""
    given = adapter.api_key
    key = given() if callable(given) else given
    if key is None and adapter.api_key_env:
        key = os.environ.get(adapter.api_key_env)
    if not key and adapter.api_key_required:
        variable = adapter.api_key_env
        way = f"set the environment variable {variable}, or " if variable else ""
        raise ConfigurationError(
            f"no key for {adapter.name or type(adapter).__name__}: {way}pass "
            f"{type(adapter).__name__}(api_key=…)"
        )
    return key or ""


def _check_cap(cap: int | None) -> None:
    if cap is not None and cap < 1:
        raise ConfigurationError(
            f"max_output_tokens={cap!r}: must be at least 1, or None to leave it to the adapter"
        )


def _checked_workspace(workspace: str | os.PathLike[str]) -> Path:
    path = Path(workspace)
    if not path.is_dir():
        raise ConfigurationError(
            f"workspace {str(path)!r}: there is no such folder; create it first"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(f"workspace {str(path)!r}: cannot be written to")
    return path.resolve()


def _checked_tools(tools: Iterable[Tool], allowed: frozenset[str]) -> tuple[Tool, ...]:
    checked: dict[str, Tool] = {}
    for tool in tools:
        if not isinstance(tool, Tool):
            name = getattr(tool, "__name__", repr(tool))
            raise ConfigurationError(f"tools: {name} is not a tool; put @tool above its function")
        if tool.name in checked:
            raise ConfigurationError(
                f"tools: two are named {tool.name!r}; give one another name with @tool(name=…)"
            )
        if not tool.confined and tool.name not in allowed:
            raise ConfigurationError(
                f"tool {tool.name!r} is not confined: it can do whatever this user can. If that is "
                f"what you want, allow it by name: allow_unconfined=[{tool.name!r}]"
            )
        checked[tool.name] = tool
    return tuple(checked.values())


def _guarded(listener: Listener) -> Callable[[RunEvent], Awaitable[None]]:
    """The listener, detached once it raises: a display never costs a paid call."""
    attached = True

    async def emit(event: RunEvent) -> None:
        nonlocal attached
        if not attached:
            return
        try:
            answer = listener(event)
            if isawaitable(answer):
                await answer
        except Exception as error:
            attached = False
            warnings.warn(
                f"on_event raised {type(error).__name__}: {error}; it gets no further events",
                RuntimeWarning,
                stacklevel=2,
            )

    return emit


def _new_id() -> str:
    return "".join(random.choices(string.ascii_letters + string.digits, k=9))
