"""One run: turn after turn, until the model stops or a limit is reached."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import anyio
import anyio.to_thread

from agentcore.admission import Gates, gates
from agentcore.client import Client
from agentcore.cut_calls import reason_of
from agentcore.dispatch import Dispatched, Dispatcher
from agentcore.draft_store import DraftStore
from agentcore.drafts import Kept, joined_text, keep, last_words
from agentcore.emitter import Emitter
from agentcore.endpoint import Endpoint, check_key, key_of
from agentcore.errors import (
    ConfigurationError,
    JournalError,
    NotJournalled,
    RunError,
    RunLost,
)
from agentcore.events import (
    DraftsFound,
    EndpointChanged,
    TextKept,
    TurnFinished,
)
from agentcore.guidance import ADVICE, PROCESSES_END, UNREACHABLE, StoppedText, TextGuidance
from agentcore.journal import (
    EndpointGivenUp,
    Noted,
    NotesTaken,
    RunEnded,
    StoredTurn,
    TurnEnded,
)
from agentcore.journal.writing import RunJournal
from agentcore.kinds import CutCause, ErrorKind
from agentcore.ledger import PROCESS_ENDED, AttemptRecord, Unfinished
from agentcore.messages import AssistantMessage, Message, Usage, UserMessage
from agentcore.recovery import concerns_endpoint
from agentcore.request_maker import RequestMaker
from agentcore.result_store import ResultStore
from agentcore.settings import Limits, Settings
from agentcore.tools.base import ToolContext
from agentcore.turn import BegunTurn, Chance, GivenUp, Turn, begun_turn
from agentcore.verdict import Partial

__all__ = ["Run", "RunResult"]

MAX_BARREN_TEXTS = 3
"""Cuts in a row without a new word of a text answer; then the run stops."""
LAST_EVENT_SECONDS = 0.05
"""How long a run that is cancelled waits for a listener to take its last event."""
MAX_MESSAGE_CHARACTERS = 400
"""How much of an endpoint's message the text for the person repeats; the ledger has it whole."""


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
class _Step:
    """What one turn came to."""

    changed: bool
    """Something new was written or kept."""
    stop: str = ""
    """Why the run must end; empty when it need not."""
    goes_on: bool = False
    """The model has not said its last word, whatever the conversation ends with."""


@dataclass(slots=True, kw_only=True)
class Run:
    """One run under way."""

    settings: Callable[[], Settings]
    """Asked before every turn: a switch of model counts from the next one on."""
    client: Client
    chance: Chance
    requests: RequestMaker
    store: DraftStore
    """Where texts that are cut are parked."""
    first: Settings | None = None
    """Those that were just asked for, for the first turn."""
    emit: Emitter | None = None
    ledger: list[AttemptRecord] = field(default_factory=list)
    gates: Gates = field(default_factory=gates)
    """Where it waits with the other runs of this event loop."""
    dispatcher: Dispatcher = field(init=False)
    dispatched: Dispatched | None = None
    """What the last turn's tools came to."""
    _texts: list[str] = field(default_factory=list)
    """The parts of a text answer that was cut, oldest first."""
    _barren_texts: int = 0
    """Cuts in a row that brought nothing new of it."""
    _given_up: dict[tuple[int, str, str], str] = field(default_factory=dict)
    """Entries of the list that failed for good, and how."""
    _asked: Endpoint | None = None
    """The endpoint that was asked last."""
    journal: RunJournal | None = None
    """Where it writes what becomes true, and has read what was; None where nobody named the run."""
    _begun: BegunTurn = field(default_factory=BegunTurn)
    """What another process has done in the turn that comes next."""
    _number: int = 0
    """Of the turn under way, from 1."""
    _idle: int = 0
    """Turns in a row that wrote nothing new."""
    _started: float = 0.0
    _seconds_before: float = 0.0
    """Seconds that other processes have spent on the run."""

    async def to_the_end(self, conversation: list[Message]) -> RunResult:
        """Go on with a conversation, which ends with what the person said.

        Raises:
            RunError: The run cannot go on; `NotJournalled` when it cannot be written what it does.
            RunLost: Another process has taken the run over.
        """
        try:
            return await self._to_the_end(conversation)
        except RunLost:
            raise  # the run is another's now
        except JournalError as error:
            raise self._not_journalled(error, conversation) from error
        except RunError as error:
            if self.journal is not None:
                await self._end("failed", str(error), kind=error.kind)
            raise

    async def _to_the_end(self, conversation: list[Message]) -> RunResult:
        settings = self.first or self._checked_settings(conversation)
        if len(settings.endpoints) > 1:
            for endpoint in settings.endpoints:
                check_key(endpoint.adapter)
        context = ToolContext(workspace=settings.workspace)
        self.dispatcher = Dispatcher(
            tools={},
            context=context,
            store=self.store,
            results=ResultStore(settings.workspace),
            emit=self.emit,
            clock=self.chance.clock,
            journal=self.journal,
        )
        has_told = await self._find_drafts()
        self._started = self.chance.clock()
        self._put_to_use(settings)
        step = None
        if self.journal is not None:
            step = await self._go_on(self.journal, conversation, settings)
        while True:
            if step is not None and await self._is_at_its_end(step, conversation, settings):
                return self._result(conversation)
            self._number += 1
            if self._number > 1 or has_told:
                settings = self._checked_settings(conversation)
                self._put_to_use(settings)
            await self._take_said(conversation)
            turn = await self._turn(self._number, conversation, settings)
            try:
                step = await self._take_turn(turn, conversation, settings)
            except BaseException:
                turn.leave()
                raise
            turn.settle()

    def _put_to_use(self, settings: Settings) -> None:
        self.dispatcher.tools = {tool.name: tool for tool in settings.tools}
        self.dispatcher.allow_unconfined = settings.allow_unconfined
        self.dispatcher.approve = settings.approve
        self.dispatcher.templates = settings.templates

    async def _is_at_its_end(
        self, step: _Step, conversation: list[Message], settings: Settings
    ) -> bool:
        """Whether the model has said its last word.

        Raises:
            RunError: The run must end although it has not.
        """
        is_over = not step.stop and not step.goes_on and self._is_over(conversation)
        if is_over and not await self._take_said(conversation, is_last=True):
            if self.journal is not None:
                await self._end("done", self._result(conversation).text)
            return True
        self._idle = 0 if step.changed else self._idle + 1
        seconds = self.chance.clock() - self._started + self._seconds_before
        reason = step.stop or _limit_reached(settings.limits, self._idle, seconds)
        if reason:
            raise self._stopped(reason, conversation)
        return False

    async def _take_turn(
        self, turn: Turn, conversation: list[Message], settings: Settings
    ) -> _Step:
        """An answer and its tools' results."""
        try:
            outcome = await turn.run()
        except ConfigurationError as error:
            if turn.has_next:  # no key is to be had, or no request to be made
                await self._change_endpoint(turn.attempt, settings, str(error))
                return _Step(changed=True, goes_on=True)
            raise self._misconfigured(error, conversation) from error
        self.requests.learn(turn.adapter, turn.request)
        if isinstance(outcome, GivenUp):
            if turn.has_next and concerns_endpoint(outcome.failure):
                await self._change_endpoint(turn.attempt, settings, outcome.reason)
                return _Step(changed=True, goes_on=True)
            await self._keep_on_stop(outcome, turn)
            raise self._stopped(outcome.reason, conversation, partial=outcome.failure.partial)
        kept = outcome if isinstance(outcome, Kept) else None
        self.requests.asks_for_buffering = kept is not None and kept.cause is CutCause.MALFORMED
        reply = await self._keep_text(kept) if kept is not None and kept.is_text else None
        if self.journal is not None:
            ended = TurnEnded.of(outcome.message, kept, turn.draft_arguments, reply)
            rows = self.journal.unwritten(self.ledger)
            await self.journal.append(*rows, ended, ends_partial=True)
        kind = self.ledger[-1].kind
        if kept is not None and kind is not None and not kind.is_transient:
            await self._change_endpoint(turn.attempt, settings, f"a failure of kind {kind}")
        conversation.append(outcome.message)
        if kept is not None and reply is not None:
            conversation.append(reply)
            stop = await self._stop(self._text_stop(), kept, settings)
            return _Step(changed=True, stop=stop)
        dispatched = await self._dispatch(outcome.message, kept, conversation)
        stop = await self._stop(dispatched.stop, kept, settings)
        return _Step(changed=dispatched.changed, stop=stop)

    async def _dispatch(
        self,
        message: AssistantMessage,
        kept: Kept | None,
        conversation: list[Message],
        *,
        left: StoredTurn | None = None,
    ) -> Dispatched:
        """Answer the calls of an answer, which is the last of the conversation."""
        try:
            dispatched = await self.dispatcher.dispatch(message, kept, self.ledger[-1], left=left)
        except BaseException:
            with anyio.move_on_after(LAST_EVENT_SECONDS, shield=True):
                await self._turn_finished(message)
            raise
        self.dispatched = dispatched
        conversation.extend(dispatched.messages)
        await self._turn_finished(message)
        if message.tool_calls:
            self._texts.clear()
            self._barren_texts = 0
        return dispatched

    # --- the journal ------------------------------------------------------------------------

    async def _go_on(
        self, journal: RunJournal, conversation: list[Message], settings: Settings
    ) -> _Step | None:
        """Recall what was, and do what is left of the last turn; None where nothing is left."""
        state = journal.state
        self.ledger += state.ledger
        self._number, self._idle = state.number, state.idle_turns
        self._seconds_before = state.seconds
        for past in state.turns[: state.counted_from]:
            self._recall(past)
        if state.counted_from:
            # A person has decided to go on after an end: what led to it may have changed.
            self.dispatcher.count_anew()
            self._barren_texts = 0
        for past in state.turns[state.counted_from :]:
            self._recall(past)
        self.requests.recall(conversation, state)
        journal.tool_notes.update(self.dispatcher.context.notes)
        if answers := state.answers():
            self.requests.asks_for_buffering = answers[-1].ended.cause is CutCause.MALFORMED
        left = state.open_turn
        if left is not None:
            return await self._finish(journal, left, conversation, settings)
        if state.failed:
            self._number -= 1  # its turn has not ended
        last = state.turns[-1] if state.turns else None
        if isinstance(last, StoredTurn) and not state.failed and self._is_over(conversation):
            return _Step(changed=False)
        self._begun = begun_turn(
            state, journal.arrived, after_crash=journal.after_crash, now=time.time()
        )
        return None

    def _recall(self, past: StoredTurn | UserMessage | EndpointGivenUp) -> None:
        if isinstance(past, EndpointGivenUp):
            self._given_up[past.position, past.base_url, past.model] = past.how
            if past.forgets_cuts:
                self.dispatcher.forget_cuts()
                self._barren_texts = 0
        elif isinstance(past, StoredTurn):
            self.dispatcher.recall(past)
            if past.ended.reply is not None:
                self._add_text(past.ended.message.content)
            elif past.ended.message.tool_calls:
                self._texts.clear()
                self._barren_texts = 0

    async def _finish(
        self,
        journal: RunJournal,
        left: StoredTurn,
        conversation: list[Message],
        settings: Settings,
    ) -> _Step:
        """Answer the calls of an answer that another process has begun to dispatch."""
        del conversation[len(conversation) - len(left.results) :]  # they come again, in order
        # The last death is not among the rows that were read: who goes on now has written it.
        if left.crashes + journal.after_crash >= settings.policy.max_attempts:
            await self.dispatcher.give_up(left)
        kept = left.ended.kept
        dispatched = await self._dispatch(left.ended.message, kept, conversation, left=left)
        place = (self.ledger[-1].base_url, self.ledger[-1].model)
        self._asked = next((one for one in self._left(settings) if one.place == place), None)
        stop = await self._stop(dispatched.stop, kept, settings)
        return _Step(changed=dispatched.changed, stop=stop)

    async def _take_said(self, conversation: list[Message], *, is_last: bool = False) -> bool:
        """What was said to the run meanwhile becomes part of the conversation; whether any was."""
        if self.journal is None:
            return False
        said = await self.journal.said(is_last=is_last)
        if not said:
            return False
        await self.journal.append(NotesTaken(through=said[-1].seq))
        conversation += [
            UserMessage(content=note.record.text) for note in said if isinstance(note.record, Noted)
        ]
        return True

    async def _end(
        self,
        status: Literal["done", "failed", "cancelled"],
        text: str,
        *,
        kind: ErrorKind | None = None,
    ) -> None:
        assert self.journal is not None
        ended = RunEnded(
            status=status,
            text=text,
            error_kind=str(kind or ""),
            drafts=self.dispatcher.unfinished,
        )
        rows = self.journal.unwritten(self.ledger)
        await self.journal.append(*rows, ended, ends_partial=True, status=status)

    def _not_journalled(
        self, error: JournalError, conversation: Sequence[Message]
    ) -> NotJournalled:
        return NotJournalled(
            f"The run stopped: what it does cannot be written to its journal.\n{error}\n"
            "What you can do: mend that, and run the same again: it goes on.",
            kind=None,
            attempts=tuple(self.ledger),
            messages=tuple(conversation),
            drafts=self.dispatcher.unfinished,
        )

    @staticmethod
    def _is_over(conversation: Sequence[Message]) -> bool:
        last = conversation[-1]
        return last.role == "assistant" and not last.tool_calls

    # --- endpoints --------------------------------------------------------------------------

    def _left(self, settings: Settings) -> list[Endpoint]:
        """Those of the list that have not failed in this run, in order."""
        return [one for one in settings.endpoints if one.entry not in self._given_up]

    def _has_next(self, settings: Settings) -> bool:
        """Another endpoint can be asked than the one that was asked last."""
        asked = self._asked
        return asked is not None and any(one.entry != asked.entry for one in self._left(settings))

    async def _stop(self, reason: str, kept: Kept | None, settings: Settings) -> str:
        """Why the run must end; empty where another endpoint may get through what this one cuts."""
        if not reason or kept is None or kept.cause is CutCause.CAPPED:
            return reason
        if not self._has_next(settings):
            return reason
        last = self.ledger[-1]
        await self._change_endpoint(last.attempt, settings, reason, forgets_cuts=True)
        self.dispatcher.forget_cuts()
        self._barren_texts = 0
        return ""

    async def _change_endpoint(
        self, attempt: int, settings: Settings, reason: str, *, forgets_cuts: bool = False
    ) -> None:
        """The one that was asked failed for good: the next one is asked from now on."""
        asked = self._asked
        assert asked is not None, "a turn has asked it"
        how = self.ledger[-1].kind if self.ledger and self.ledger[-1].turn == self._number else None
        failed = f"{asked.adapter.name}: {asked.model} ({how or 'no request was made'})"
        self._given_up[asked.entry] = failed
        if self.journal is not None:
            position, base_url, model = asked.entry
            given_up = EndpointGivenUp(
                position=position,
                base_url=base_url,
                model=model,
                how=failed,
                forgets_cuts=forgets_cuts,
            )
            rows = self.journal.unwritten(self.ledger)
            await self.journal.append(*rows, given_up, ends_partial=True)
        left = self._left(settings)
        if left and self.emit is not None:
            await self.emit(
                EndpointChanged(
                    turn=self._number,
                    attempt=attempt,
                    provider=left[0].adapter.name,
                    model=left[0].model,
                    reason=reason,
                )
            )

    # --- what was cut -----------------------------------------------------------------------

    async def _find_drafts(self) -> bool:
        """Tell what earlier runs in this workspace left unfinished; whether there was any."""
        if self.store.is_empty():
            return False
        found = await anyio.to_thread.run_sync(self.store.rescue_all)
        if found and self.emit is not None:
            await self.emit(DraftsFound(turn=0, attempt=0, drafts=found))
        return bool(found)

    async def _keep_text(self, kept: Kept) -> UserMessage:
        """A long text answer goes on after a user message that says where it ended."""
        text = kept.message.content
        self._add_text(text)
        record = self.ledger[-1]
        size = len(text.encode())
        if self.emit is not None:
            await self.emit(TextKept(turn=record.turn, attempt=record.attempt, kept_bytes=size))
        told = TextGuidance(
            reason=reason_of(kept.cause, record),
            kept_bytes=size,
            last_line=last_words(text),
            level=self._barren_texts + 1,
        )
        return UserMessage(content=self.dispatcher.templates.render(told))

    def _add_text(self, text: str) -> None:
        before = len(joined_text(self._texts))
        self._texts.append(text)
        is_new = len(joined_text(self._texts)) > before
        self._barren_texts = 0 if is_new else self._barren_texts + 1

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
            return self.settings()
        except ConfigurationError as error:
            raise self._misconfigured(error, conversation) from error

    def _misconfigured(
        self, error: ConfigurationError, conversation: Sequence[Message]
    ) -> ConfigurationError | RunError:
        """Before the first request the error itself; later one that keeps what was reached."""
        return self._stopped(str(error), conversation) if self.ledger else error

    async def _turn(self, number: int, conversation: Sequence[Message], settings: Settings) -> Turn:
        begun, self._begun = self._begun, BegunTurn()
        left = self._left(settings)
        endpoint = left[0] if left else settings.endpoints[0]
        adapter = endpoint.adapter
        self._asked = endpoint
        request = await self.requests.make(endpoint, conversation, settings)
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
            ids_in_use=self.requests.ids_in(conversation),
            draft_arguments={tool.name: tool.draft for tool in settings.tools if tool.draft},
            no_argument_tools=frozenset(t.name for t in settings.tools if t.requires_nothing),
            has_next=len(left) > 1,
            gates=self.gates,
            attempt=len(begun.earlier),
            earlier=begun.earlier,
            budget=begun.budget,
            rest_seconds=min(begun.rest_seconds, settings.policy.max_retry_after),
            arrived=begun.arrived,
            journal=self.journal,
        )

    async def _turn_finished(self, message: AssistantMessage) -> None:
        if self.emit is not None:
            last = self.ledger[-1]
            await self.emit(
                TurnFinished(
                    turn=last.turn,
                    attempt=last.attempt,
                    message=message,
                    results=self.dispatcher.answers(message),
                    usage=last.usage,
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
        if self._given_up:
            reason += f"; before it, without success: {', '.join(self._given_up.values())}"
        text = self.dispatcher.templates.render(
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


def _advice(last: AttemptRecord) -> str:
    if last.rule == PROCESS_ENDED:
        return PROCESSES_END
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
