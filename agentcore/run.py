"""One run: turn after turn, until the model stops or a limit is reached."""

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.to_thread

from agentcore.client import Client
from agentcore.clocks import Clocks
from agentcore.dispatch import Dispatched, Dispatcher, reason_of
from agentcore.draft_store import DraftStore
from agentcore.drafts import Kept, joined_text, keep, last_words
from agentcore.endpoint import key_of, resolve_model
from agentcore.errors import ConfigurationError, RunError
from agentcore.events import DraftsFound, RunEvent, TextKept, TurnFinished
from agentcore.families import family_of
from agentcore.guidance import ADVICE, UNREACHABLE, StoppedText, TextGuidance, render
from agentcore.history import KeepUnder, Section, compact, find_sections, message_tokens
from agentcore.kinds import CutCause, ErrorKind
from agentcore.ledger import AttemptRecord, Unfinished
from agentcore.messages import Message, Usage, UserMessage
from agentcore.providers.base import ProviderAdapter, Request
from agentcore.recovery import Adjustments
from agentcore.retry import Policy
from agentcore.tools.base import Tool, ToolContext
from agentcore.tools.files import read_below
from agentcore.turn import Chance, GivenUp, Turn
from agentcore.verdict import Complete, Partial

MAX_BARREN_TEXTS = 3
"""Cuts in a row without a new word of a text answer; then the run stops."""
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
    drafts: tuple[Unfinished, ...] = ()
    """Texts that were cut and that no whole call went on from; empty when all is written."""


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
    history: "History | KeepUnder"

    def __post_init__(self) -> None:
        cap = self.max_output_tokens
        if cap is not None and (type(cap) is not int or cap < 1):
            raise ConfigurationError(
                f"max_output_tokens={cap!r}: must be a whole number from 1 on, or None to leave it "
                "to the adapter"
            )
        if not isinstance(self.history, KeepUnder) and not callable(self.history):
            raise ConfigurationError(
                f"history={self.history!r}: give KeepUnder(share=…), or a function from messages "
                "to messages, as send_all is"
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
    store: DraftStore
    """Where texts that are cut are parked."""
    emit: Callable[[RunEvent], Awaitable[None]] | None = None
    ledger: list[AttemptRecord] = field(default_factory=list)
    dispatcher: Dispatcher = field(init=False)
    dispatched: Dispatched | None = None
    """What the last turn's tools came to."""
    _texts: list[str] = field(default_factory=list)
    """The parts of a text answer that was cut, oldest first."""
    _asks_for_buffering: bool = False
    """The last answer's streamed arguments were no JSON: the next turn asks for whole ones."""
    _barren_texts: int = 0
    """Cuts in a row that brought nothing new of it."""

    async def to_the_end(self, conversation: list[Message]) -> RunResult:
        """Go on with a conversation, which ends with what the person said.

        Raises:
            RunError: The run cannot go on.
        """
        settings = self._checked_settings(conversation)
        context = ToolContext(workspace=settings.workspace)
        self.dispatcher = Dispatcher(tools={}, context=context, store=self.store, emit=self.emit)
        await self._find_drafts()
        started = anyio.current_time()
        number = idle = 0
        while True:
            number += 1
            settings = self._checked_settings(conversation)
            self.dispatcher.tools = {tool.name: tool for tool in settings.tools}
            turn = await self._turn(number, conversation, settings)
            try:
                changed, reason = await self._take_turn(turn, conversation)
            except BaseException:
                turn.leave()
                raise
            turn.settle()
            if not reason and self._is_over(conversation):
                return self._result(conversation)
            idle = 0 if changed else idle + 1
            seconds = anyio.current_time() - started
            reason = reason or _limit_reached(settings.limits, idle, seconds)
            if reason:
                raise self._stopped(reason, conversation)

    async def _take_turn(self, turn: Turn, conversation: list[Message]) -> tuple[bool, str]:
        """An answer and its tools' results: was something new written, and why must it end?"""
        try:
            outcome = await turn.run()
        except ConfigurationError as error:
            raise self._misconfigured(error, conversation) from error
        self._learn(turn)
        if isinstance(outcome, GivenUp):
            await self._keep_on_stop(outcome, turn)
            raise self._stopped(outcome.reason, conversation, partial=outcome.failure.partial)
        kept = outcome if isinstance(outcome, Kept) else None
        self._asks_for_buffering = kept is not None and kept.cause is CutCause.MALFORMED
        if kept is not None and kept.is_text:
            conversation += await self._keep_text(kept)
            return True, self._text_stop()
        conversation.append(outcome.message)
        self.dispatched = await self.dispatcher.dispatch(outcome.message, kept, self.ledger[-1])
        conversation.extend(self.dispatched.messages)
        await self._turn_finished(outcome)
        if outcome.message.tool_calls:
            self._texts.clear()
            self._barren_texts = 0
        return self.dispatched.changed, self.dispatched.stop

    @staticmethod
    def _is_over(conversation: Sequence[Message]) -> bool:
        last = conversation[-1]
        return last.role == "assistant" and not last.tool_calls

    # --- what was cut -----------------------------------------------------------------------

    async def _find_drafts(self) -> None:
        """Tell what earlier runs in this workspace left unfinished."""
        await anyio.to_thread.run_sync(self.store.rescue)
        found = await anyio.to_thread.run_sync(self.store.all)
        if found and self.emit is not None:
            await self.emit(DraftsFound(turn=0, attempt=0, drafts=found))

    async def _keep_text(self, kept: Kept) -> tuple[Message, Message]:
        """A long text answer goes on after a user message that says where it ended."""
        text = kept.message.content
        before = len(joined_text(self._texts))
        self._texts.append(text)
        is_new = len(joined_text(self._texts)) > before
        self._barren_texts = 0 if is_new else self._barren_texts + 1
        record = self.ledger[-1]
        size = len(text.encode())
        if self.emit is not None:
            await self.emit(TextKept(turn=record.turn, attempt=record.attempt, kept_bytes=size))
        told = TextGuidance(
            reason=reason_of(kept.cause, record), kept_bytes=size, last_line=last_words(text)
        )
        return kept.message, UserMessage(content=render(told))

    def _text_stop(self) -> str:
        """Why a text answer is not asked to go on once more; empty when it is."""
        if self._barren_texts < MAX_BARREN_TEXTS:
            return ""
        return f"{self._barren_texts} cuts in a row in a text answer that brought nothing new"

    async def _keep_on_stop(self, given_up: GivenUp, turn: Turn) -> None:
        """The run ends; what arrived of a large text is stored all the same."""
        failure = given_up.failure
        if failure.cause is None or not failure.is_worth_keeping or not failure.partial.calls:
            return
        kept = keep(failure.partial, failure.cause, draft_arguments=turn.draft_arguments)
        for cut in kept.cut_calls:
            await self.dispatcher.keep_text(cut, self.ledger[-1])
        turn.settle()

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

    async def _turn(self, number: int, conversation: Sequence[Message], settings: Settings) -> Turn:
        adapter, model = resolve_model(settings.model, settings.adapter)
        family = family_of(model)
        window = family.context_window_tokens if adapter.capabilities.family_limits else None
        request = Request(
            model=model,
            family=family,
            adjustments=Adjustments(tool_streaming=not self._asks_for_buffering),
            messages=await self._messages(conversation, settings, window),
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
            store=self.store if settings.policy.keep_drafts else None,
            ids_in_use=_call_ids(conversation),
            draft_arguments={tool.name: tool.draft for tool in settings.tools if tool.draft},
            no_argument_tools=frozenset(t.name for t in settings.tools if t.requires_nothing),
        )

    async def _messages(
        self, conversation: Sequence[Message], settings: Settings, window_tokens: int | None
    ) -> tuple[Message, ...]:
        """The messages of the next request, as the history hook decides."""
        messages = tuple(conversation)
        if not isinstance(settings.history, KeepUnder):
            return tuple(settings.history(messages))
        specs = [tool.spec for tool in settings.tools]
        limit = settings.history.limit_tokens(window_tokens, specs)
        if limit is None or message_tokens(messages) <= limit:
            return messages
        drafts = {tool.name: tool.draft for tool in settings.tools if tool.draft}
        targets = {tool.name: tool.writes for tool in settings.tools if tool.writes}

        def find() -> dict[str, Section]:
            return find_sections(
                messages,
                draft_arguments=drafts,
                path_arguments=targets,
                read=lambda path: read_below(settings.workspace, path),
            )

        return compact(
            messages,
            limit_tokens=limit,
            sections=await anyio.to_thread.run_sync(find),
            draft_arguments=drafts,
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

    def _result(self, conversation: Sequence[Message]) -> RunResult:
        last = conversation[-1]
        reported = (record.usage for record in self.ledger if record.usage is not None)
        return RunResult(
            text=joined_text([*self._texts, last.content]),
            messages=tuple(conversation),
            usage=sum(reported, start=Usage()),
            attempts=tuple(self.ledger),
            drafts=self.dispatcher.unfinished,
        )

    def _stopped(
        self,
        reason: str,
        conversation: Sequence[Message],
        *,
        partial: Partial | None = None,
    ) -> RunError:
        last = self.ledger[-1]
        answers = self.dispatched.messages if self.dispatched is not None else ()
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
                on_disk=self._on_disk(),
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
            drafts=self.dispatcher.unfinished,
        )

    def _on_disk(self) -> str:
        """What is true of the texts that were cut, for the person."""
        unfinished = " ".join(one.on_disk for one in self.dispatcher.unfinished)
        if unfinished or self.dispatched is None:
            return unfinished
        return self.dispatched.on_disk


def _call_ids(conversation: Sequence[Message]) -> frozenset[str]:
    return frozenset(
        call.id
        for message in conversation
        if message.role == "assistant"
        for call in message.tool_calls
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
