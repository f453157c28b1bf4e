"""One run: turn after turn, until the model stops or a limit is reached."""

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import anyio

from agentcore.client import Client
from agentcore.clocks import Clocks
from agentcore.dispatch import Dispatched, Dispatcher
from agentcore.drafts import Kept
from agentcore.endpoint import key_of, resolve_model
from agentcore.errors import ConfigurationError, RunError
from agentcore.events import RunEvent, TurnFinished
from agentcore.families import family_of
from agentcore.guidance import ADVICE, UNREACHABLE, StoppedText, render
from agentcore.kinds import ErrorKind
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, Message, Usage
from agentcore.providers.base import ProviderAdapter, Request
from agentcore.retry import Policy
from agentcore.tools.base import Tool, ToolContext
from agentcore.turn import Chance, GivenUp, Turn
from agentcore.verdict import Complete, Partial

MAX_MESSAGE_CHARACTERS = 400
"""How much of an endpoint's message the text for the person repeats; the ledger has it whole."""

__all__ = [
    "History",
    "LearnedLimits",
    "Limits",
    "Run",
    "RunResult",
    "Settings",
    "checked_tools",
    "checked_workspace",
]

History: TypeAlias = Callable[[tuple[Message, ...]], Sequence[Message]]
"""Decides which messages the next request carries. Pure."""


LearnedLimits: TypeAlias = dict[tuple[str, str], int]
"""(base URL, model) → the largest output cap, in tokens, that the endpoint said it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends although the model would go on."""

    idle_turns: int = 50
    """Turns in a row that wrote nothing new. Sixty sections of a file are progress, not a loop."""
    seconds: float | None = None
    """For the whole run; None for no limit."""

    def __post_init__(self) -> None:
        if not self.idle_turns >= 1:
            raise ConfigurationError(f"Limits(idle_turns={self.idle_turns!r}): must be at least 1")
        if self.seconds is not None and not self.seconds > 0:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an agent is set to at one moment."""

    model: str
    adapter: ProviderAdapter | None
    tools: tuple[Tool, ...]
    workspace: Path
    max_output_tokens: int | None
    policy: Policy
    clocks: Clocks | None
    limits: Limits
    history: History

    def __post_init__(self) -> None:
        cap = self.max_output_tokens
        if cap is not None and (type(cap) is not int or cap < 1):
            raise ConfigurationError(
                f"max_output_tokens={cap!r}: must be a whole number from 1 on, or None to leave it "
                "to the adapter"
            )
        for name, kind in (("policy", Policy), ("limits", Limits), ("clocks", Clocks | None)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ConfigurationError(f"{name}={value!r}: give a {name.capitalize()}")


@dataclass(slots=True, kw_only=True)
class Run:
    """One run under way."""

    settings: Callable[[], Settings]
    """Asked before every turn: a switch of model counts from the next one on."""
    client: Client
    chance: Chance
    learned: LearnedLimits
    emit: Callable[[RunEvent], Awaitable[None]] | None = None
    ledger: list[AttemptRecord] = field(default_factory=list)

    async def to_the_end(self, conversation: list[Message]) -> RunResult:
        """Go on with a conversation, which ends with what the person said.

        Raises:
            RunError: The run cannot go on.
        """
        context = ToolContext(workspace=self.settings().workspace)
        dispatcher = Dispatcher(tools={}, context=context, emit=self.emit)
        started = anyio.current_time()
        number = idle = 0
        while True:
            number += 1
            settings = self._checked_settings(conversation)
            dispatcher.tools = {tool.name: tool for tool in settings.tools}
            turn = self._turn(number, conversation, settings)
            try:
                outcome = await turn.run()
            except ConfigurationError as error:
                raise self._misconfigured(error, conversation) from error
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
            seconds = anyio.current_time() - started
            reason = dispatched.stop or _limit_reached(settings.limits, idle, seconds)
            if reason:
                raise self._stopped(reason, conversation, dispatched=dispatched)

    def _checked_settings(self, conversation: Sequence[Message]) -> Settings:
        try:
            settings = self.settings()
            resolve_model(settings.model, settings.adapter)
        except ConfigurationError as error:
            raise self._misconfigured(error, conversation) from error
        return settings

    def _misconfigured(
        self, error: ConfigurationError, conversation: Sequence[Message]
    ) -> ConfigurationError | RunError:
        """Before the first request the error itself; later one that keeps what was reached."""
        return self._stopped(str(error), conversation) if self.ledger else error

    def _turn(self, number: int, conversation: Sequence[Message], settings: Settings) -> Turn:
        adapter, model = resolve_model(settings.model, settings.adapter)
        request = Request(
            model=model,
            family=family_of(model),
            messages=tuple(settings.history(tuple(conversation))),
            tools=tuple(tool.spec for tool in settings.tools),
            max_output_tokens=settings.max_output_tokens,
            learned_output_tokens=self.learned.get((adapter.base_url, model)),
        )
        return Turn(
            number=number,
            client=self.client,
            adapter=adapter,
            key=lambda: key_of(adapter),
            request=request,
            policy=settings.policy,
            clocks=settings.clocks if settings.clocks is not None else adapter.clocks,
            chance=self.chance,
            ledger=self.ledger,
            emit=self.emit,
            draft_arguments={tool.name: tool.draft for tool in settings.tools if tool.draft},
            no_argument_tools=frozenset(t.name for t in settings.tools if t.requires_nothing),
        )

    def _learn(self, turn: Turn) -> None:
        """Remember a cap that the endpoint named, for later turns and runs of this agent."""
        limit = turn.request.adjustments.output_limit
        if limit is not None:
            self.learned[turn.adapter.base_url, turn.request.model] = limit

    async def _turn_finished(self, outcome: Complete | Kept) -> None:
        if self.emit is not None:
            last = self.ledger[-1]
            await self.emit(
                TurnFinished(
                    turn=last.turn, attempt=last.attempt, message=outcome.message, usage=last.usage
                )
            )

    def _result(self, message: AssistantMessage, conversation: Sequence[Message]) -> RunResult:
        reported = (record.usage for record in self.ledger if record.usage is not None)
        return RunResult(
            text=message.content,
            messages=tuple(conversation),
            usage=sum(reported, start=Usage()),
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
                base_url=last.base_url,
                model=last.model,
                kind=str(last.kind) if last.kind is not None else "",
                reason=reason,
                message=_shorten(last.message),
                rule=last.rule or "none",
                attempts=len(self.ledger),
                tool=tool,
                on_disk=dispatched.on_disk if dispatched is not None else "",
                received=f"{last.discarded_bytes:,} bytes" if last.discarded_bytes else "",
                advice=_advice(last),
            )
        )
        return RunError(
            text,
            kind=last.kind,
            attempts=tuple(self.ledger),
            messages=tuple(conversation),
            partial=None if partial is None or partial.is_empty else partial,
        )


def _advice(last: AttemptRecord) -> str:
    if last.kind is ErrorKind.CONNECTION and last.outcome == "refused":
        return UNREACHABLE
    return ADVICE[last.kind]


def _shorten(text: str) -> str:
    """The first line or so of what an endpoint said: a proxy's page may be long."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[:MAX_MESSAGE_CHARACTERS] + "…"


def _limit_reached(limits: Limits, idle: int, seconds: float) -> str:
    """Which limit of the run is reached, in words; empty while none is."""
    if idle >= limits.idle_turns:
        return f"{idle} turns in a row wrote nothing new (Limits.idle_turns)"
    if limits.seconds is not None and seconds >= limits.seconds:
        return f"the run has taken {seconds:.0f} s (Limits.seconds)"
    return ""


def checked_workspace(workspace: str | os.PathLike[str]) -> Path:
    """An existing folder that can be written to, links resolved.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        path = Path(workspace)
    except TypeError:
        raise ConfigurationError(f"workspace {workspace!r}: give the path of a folder") from None
    if not path.is_dir():
        raise ConfigurationError(
            f"workspace {str(path)!r}: there is no such folder; create it first"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(f"workspace {str(path)!r}: cannot be written to")
    return path.resolve()


def checked_tools(tools: Iterable[Tool], allow_unconfined: Iterable[str]) -> tuple[Tool, ...]:
    """The tools, each of another name, and none that is unconfined and not allowed.

    Raises:
        ConfigurationError: One is not as it must be.
    """
    if isinstance(tools, Tool):
        raise ConfigurationError(f"tools: give a list, as in tools=[{tools.name}]")
    allowed = frozenset(allow_unconfined)
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
    unknown = sorted(allowed - set(checked))
    if unknown:
        raise ConfigurationError(f"allow_unconfined: no tool here is named {unknown[0]!r}")
    return tuple(checked.values())
