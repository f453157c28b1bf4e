"""Tool calls to results: every call of an answer gets exactly one, in the order of the calls.

Closed calls are validated and run together, in call order where they touch the same thing. A call
that was cut is never run: it is answered with guidance, rendered from what is known of the cut.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import anyio
import anyio.to_thread

from agentcore.arguments import parse_arguments
from agentcore.cut_calls import CutCalls, Guided
from agentcore.draft_store import DraftError, DraftStore
from agentcore.drafts import CutCall, Draft, Kept, Unfinished
from agentcore.errors import JournalError
from agentcore.event_loop import apart
from agentcore.events import RunEvent, ToolFinished, ToolStarted
from agentcore.guidance import (
    ArgumentsGuidance,
    CancelledGuidance,
    DeniedGuidance,
    LeftOutGuidance,
    RaisedGuidance,
    RepeatedGuidance,
    Situation,
    StandInGuidance,
    StillRunningGuidance,
    Templates,
    TimedOutGuidance,
    UnknownOutcomeGuidance,
    UnknownToolGuidance,
)
from agentcore.history import has_stand_in
from agentcore.journal import CallBegun, CallEnded, StoredTurn
from agentcore.journal.writing import RunJournal
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, JsonObject, ToolCall, ToolMessage, mend_surrogates
from agentcore.repeats import HINT_AT, STOP_AT, Repeats
from agentcore.result_store import ResultStore, storable
from agentcore.results import MAX_ERROR_BYTES, clip, shorten
from agentcore.resumption import resume
from agentcore.scheduling import Touches
from agentcore.tools.approval import Approve, Approved, Denied, approve_call
from agentcore.tools.base import (
    Begun,
    InvalidArguments,
    ModelRetry,
    Running,
    Tool,
    ToolContext,
    ToolFailed,
    ToolResult,
)
from agentcore.tools.context import NotDone
from agentcore.tools.signature import is_async

__all__ = ["Dispatched", "Dispatcher"]

HINT_BYTES: Final = 80
"""Of an error's room: a hint below it may take so many."""
MAX_NAMED_TOOLS: Final = 30
"""How many tools a model is told of that called one which is not there."""
MAX_NAME_CHARACTERS: Final = 64

_log = logging.getLogger("agentcore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """The answers to one message's calls."""

    messages: tuple[ToolMessage, ...]
    """One for each call, in call order."""
    changed: bool
    """Something new was written."""
    stop: str = ""
    """Why the run must not go on; empty when it may."""
    on_disk: str = ""
    """What is true of the target of the last cut call, one sentence; empty without a cut."""


@dataclass(slots=True, kw_only=True)
class _Call:
    """A closed call on its way through."""

    call: ToolCall
    tool: Tool | None
    fields: JsonObject
    """The arguments as the model sent them."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """For the function: validated, with the text of a draft that it goes on from."""
    draft: Draft | None = None
    touches: Touches = field(default_factory=Touches)
    approved: JsonObject | None = None
    """The arguments that a person chose; None for the model's own."""
    refusal: ToolResult | None = None
    """Its result when it must not run."""
    is_counted: bool = True
    """A failure of it counts among those of the same call."""
    note: str = ""
    """What the model is told beside its result."""
    ended: anyio.Event = field(default_factory=anyio.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lingering:
    """A call that was given up and goes on in its thread."""

    name: str
    touches: Touches
    running: Running


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """Runs the calls of one run, and remembers what failed."""

    tools: Mapping[str, Tool]
    context: ToolContext
    store: DraftStore
    results: ResultStore
    emit: Callable[[RunEvent], Awaitable[None]] | None = None
    clock: Callable[[], float] = anyio.current_time
    """Seconds, on the clock of the event loop."""
    allow_unconfined: frozenset[str] = frozenset()
    """Names of tools that may run although nothing confines them."""
    approve: Approve | None = None
    """Asked before a call runs that needs approval; None denies it."""
    templates: Templates = field(default_factory=Templates)
    """The words for the model."""
    journal: RunJournal | None = None
    """Where begun calls and results are written, each before anything follows from it."""
    _begun: Mapping[str, tuple[CallBegun, float]] = field(default_factory=dict)
    """Id of a call of the answer that is dispatched now → what another process, which died in it,
    has written of its beginning."""
    _cuts: CutCalls = field(init=False)
    _repeats: Repeats = field(default_factory=Repeats)
    _results: dict[str, ToolResult] = field(default_factory=dict)
    """Id of a call of the answer that is dispatched now → its result."""
    _running: set[str] = field(default_factory=set)
    """Ids of calls of it whose functions were called."""
    _lingering: list[_Lingering] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._cuts = CutCalls(store=self.store, emit=self.emit)

    async def dispatch(
        self,
        message: AssistantMessage,
        kept: Kept | None,
        record: AttemptRecord,
        *,
        left: StoredTurn | None = None,
    ) -> Dispatched:
        """Answer every call of a message.

        Args:
            message: The answer, as it stands in the history.
            kept: What was cut in it; None for a whole answer.
            record: The ledger row of the attempt that it came in.
            left: What another process has done of it before it died; None for nothing.
        """
        self._results = _results_of(left)
        self._begun = left.begun if left is not None else {}
        cut_calls = {
            cut.call.id: cut
            for cut in (kept.cut_calls if kept is not None else ())
            if cut.call.id not in self._results
        }
        self._running.clear()
        self._repeats.new_answer()
        done = cut_calls.keys() | self._results.keys()
        closed = [call for call in message.tool_calls if call.id not in done]
        stops = await self._answer_closed(closed, record) if closed else []
        # Guidance comes last: it tells what is on disk once the siblings have run.
        guided = [await self._guide(cut, kept, record) for cut in cut_calls.values() if kept]
        stops += [one.stop for one in guided if one.stop]
        return Dispatched(
            messages=self.answers(message),
            changed=any(result.changed for result in self._results.values()),
            stop=stops[0] if stops else "",
            on_disk=guided[-1].on_disk if guided else "",
        )

    async def _answer_closed(self, calls: Sequence[ToolCall], record: AttemptRecord) -> list[str]:
        """Answer calls that the model closed, together; why the run must not go on."""
        stops: list[str] = []
        if len(calls) == 1:
            # A task costs 45 µs, this 2.
            await apart(self._answer(await self._prepare(calls[0], stops), (), record))
            return stops
        failed: list[JournalError] = []
        async with anyio.create_task_group() as tasks:

            async def answer(call: _Call, before: Sequence[_Call]) -> None:
                try:
                    await self._answer(call, before, record)
                except JournalError as error:
                    failed.append(error)  # raised below: a task group would wrap it
                    tasks.cancel_scope.cancel()

            begun: list[_Call] = []
            for one in calls:
                call = await self._prepare(one, stops)
                tasks.start_soon(answer, call, tuple(begun))
                begun.append(call)
        if failed:
            raise failed[0]
        return stops

    async def _answer(self, call: _Call, before: Sequence[_Call], record: AttemptRecord) -> None:
        """Answer a call once those before it have ended that touch the same."""
        try:
            for earlier in before:
                if call.touches.conflicts_with(earlier.touches):
                    await earlier.ended.wait()
            await self._run(call, record)
        finally:
            call.ended.set()

    def answers(self, message: AssistantMessage) -> tuple[ToolMessage, ...]:
        """One result for each call of the answer that was dispatched last, in call order.

        Where the run was cancelled meanwhile, a call without a result is told so.
        """
        messages: list[ToolMessage] = []
        for call in message.tool_calls:
            result = self._results.get(call.id) or self._cancelled(call)
            messages.append(
                ToolMessage(
                    tool_call_id=call.id,
                    name=call.name,
                    content=result.content,
                    is_error=result.is_error,
                )
            )
        return tuple(messages)

    def _cancelled(self, call: ToolCall) -> ToolResult:
        began = call.id in self._running
        return self._told(CancelledGuidance(tool=call.name, began=began, by_itself=False))

    def recall(self, turn: StoredTurn) -> None:
        """Remember what the calls of an answer came to that another process has dispatched."""
        kept = turn.ended.kept
        cuts = {cut.call.id: cut for cut in kept.cut_calls} if kept is not None else {}
        self._repeats.new_answer()
        for call in turn.ended.message.tool_calls:
            if (result := turn.results.get(call.id)) is None:
                continue
            self.context.notes.update(result.notes)
            if (cut := cuts.get(call.id)) is not None:
                if (tool := self.tools.get(call.name)) is not None:
                    self._cuts.recall(cut, tool, result.kept_lines, result.unfinished)
            elif result.is_error:
                if result.is_counted:
                    self._repeats.failed(call.name, _fields_of(call))
            else:
                if not self._repeats.is_empty:
                    changed = result.changed or result.clears
                    self._repeats.succeeded(call.name, _fields_of(call), changed=changed)
                self._cuts.recall_success(
                    call.name, result.writes, result.finishes, changed=result.changed
                )

    async def give_up(self, turn: StoredTurn) -> None:
        """Answer the calls of an answer that processes die in again and again: none is made."""
        assert self.journal is not None, "who goes on with a turn has a journal"
        for call in turn.ended.message.tool_calls:
            if call.id not in turn.results:
                told = self._told(UnknownOutcomeGuidance(tool=call.name, target=""))
                ended = CallEnded(
                    call_id=call.id, tool=call.name, content=told.content, is_error=True
                )
                await self.journal.append(ended)
                turn.results[call.id] = ended

    @property
    def unfinished(self) -> tuple[Unfinished, ...]:
        """Cut texts of this run that no whole call has gone on from, oldest first."""
        return self._cuts.unfinished

    async def keep_text(self, cut: CutCall, record: AttemptRecord) -> None:
        """Store what arrived of a cut call that the run ends with."""
        if (tool := self.tools.get(cut.call.name)) is not None:
            await self._cuts.keep_text(cut, tool, self._context(cut.call, tool), record)

    def count_anew(self) -> None:
        """What failed or was cut before may work now: no call is refused for it."""
        self._repeats = Repeats()
        self._cuts.forget_counts()

    def forget_cuts(self) -> None:
        """Another endpoint is asked from now on: what did not get through before may do so."""
        self._cuts.forget_counts()

    async def _guide(self, cut: CutCall, kept: Kept, record: AttemptRecord) -> Guided:
        """Answer a call that was cut."""
        tool = self.tools.get(cut.call.name)
        if tool is None:
            guided = Guided(result=self._no_such_tool(cut.call), on_disk="")
        elif (unknown := await self._settle(cut.call, tool, cut.fields)) is not None and (
            unknown.is_error
        ):
            guided = Guided(result=unknown, on_disk="")
        else:
            if tool.on_cut_hook is not None:
                await self._begin(cut.call, tool)
            self._running.add(cut.call.id)
            guided = await self._cuts.answer(
                cut,
                tool,
                self._context(cut.call, tool),
                cause=kept.cause,
                record=record,
                code_tool=self._name_of("execute_code"),
                templates=self.templates,
                stored_after=self._stored_after(cut.call) if unknown is not None else None,
            )
        if self.journal is not None:
            ended = CallEnded(
                call_id=cut.call.id,
                tool=cut.call.name,
                content=guided.result.content,
                is_error=guided.result.is_error,
                changed=guided.result.changed,
                notes=self.journal.fresh_tool_notes(self.context.notes),
                kept_lines=guided.kept_lines,
                unfinished=guided.unfinished,
            )
            await self.journal.append(ended)
        self._results[cut.call.id] = guided.result
        return guided

    async def _settle(
        self, call: ToolCall, tool: Tool, arguments: Mapping[str, Any]
    ) -> ToolResult | None:
        """What came of a call that another process died in; None: it is to be made now."""
        if call.id not in self._begun:
            return None
        record, at = self._begun[call.id]
        begun = Begun(at=at, evidence=record.evidence, context=self._context(call, tool))
        try:
            answer = await tool.ask_settled(record.key, arguments, begun)
        except Exception:  # a hook may raise anything; nobody knows then
            _log.warning("the settled hook of %s raised", tool.name, exc_info=True)
            answer = None
        if isinstance(answer, NotDone):
            return None
        if answer is not None:
            return answer
        target = arguments.get(tool.writes) if tool.writes else None
        quoted = json.dumps(target, ensure_ascii=False) if isinstance(target, str) else ""
        return self._told(UnknownOutcomeGuidance(tool=tool.name, target=quoted))

    def _stored_after(self, call: ToolCall) -> int:
        """After how many lines a cut call's text was put that is in its place."""
        lines = self._begun[call.id][0].evidence.get("lines_before")
        return lines if isinstance(lines, int) else 0

    # --- before a call runs -----------------------------------------------------------------

    async def _prepare(self, call: ToolCall, stops: list[str]) -> _Call:
        """Everything that is decided of a call before it waits for others."""
        fields = _fields_of(call)
        prepared = _Call(call=call, tool=self.tools.get(call.name), fields=fields)
        if call.id in self._begun:
            await self._prepare_begun(prepared)
        elif failed := self._repeats.refuse(call.name, fields):
            if failed >= STOP_AT:
                stops.append(f"the model made the same failing call of {call.name} {failed} times")
            prepared.is_counted = False
            prepared.refusal = self._told(RepeatedGuidance(tool=call.name, level=failed))
        elif prepared.tool is None:
            prepared.refusal = self._no_such_tool(call)
        elif has_stand_in(str(fields.get(prepared.tool.draft, ""))):
            stand_in = StandInGuidance(tool=call.name, argument=prepared.tool.draft)
            prepared.refusal = self._told(stand_in)
        else:
            try:
                await self._admit(prepared, prepared.tool, fields)
            except (InvalidArguments, DraftError) as error:
                problems = ArgumentsGuidance(tool=call.name, problems=str(error))
                prepared.refusal = self._told(problems)
        return prepared

    async def _prepare_begun(self, call: _Call) -> None:
        """Of a call that another process died in: what cannot be made now may be done already."""
        tool, fields = call.tool, call.fields
        if tool is None:
            call.refusal = self._told(UnknownOutcomeGuidance(tool=call.call.name, target=""))
            return
        call.touches = _touches_of(tool, fields)
        try:
            await self._admit(call, tool, fields)
        except (InvalidArguments, DraftError) as error:
            problems = ArgumentsGuidance(tool=tool.name, problems=str(error))
            settled = await self._settle(call.call, tool, fields)
            call.refusal = settled or self._told(problems)
            self._went_on(call, call.refusal)

    async def _admit(self, call: _Call, tool: Tool, fields: JsonObject) -> None:
        """Validate a call's arguments, and ask for approval where it is needed.

        Raises:
            InvalidArguments: They do not fit.
            DraftError: The draft that it goes on from is not there.
        """
        if tool.takes_resume:
            fields, call.draft = await anyio.to_thread.run_sync(resume, self.store, tool, fields)
        call.arguments = tool.validate(fields)
        answer: Approved | Denied
        if call.call.id in self._begun:
            # It was approved when it began.
            answer = Approved(arguments=self._begun[call.call.id][0].arguments)
        else:
            answer = await approve_call(
                tool.name,
                tool.needs_approval,
                fields,
                call_id=call.call.id,
                approve=self.approve,
                secrets=tool.secrets,
            )
        if isinstance(answer, Denied):
            call.refusal = self._told(DeniedGuidance(tool=tool.name, reason=answer.reason))
        elif answer.arguments is not None:
            call.note = answer.note(fields)
            fields = call.approved = dict(answer.arguments)
            call.arguments = tool.validate(fields)
        call.touches = _touches_of(tool, fields)

    # --- running ----------------------------------------------------------------------------

    async def _run(self, call: _Call, record: AttemptRecord) -> None:
        """Answer a closed call, whatever happens in it."""
        id_, name = call.call.id, call.call.name
        if self.emit is not None:
            await self.emit(
                ToolStarted(turn=record.turn, attempt=record.attempt, call_id=id_, name=name)
            )
        started = self.clock()
        unfinished = self._cuts.unfinished_keys
        result = self._counted(call, call.refusal or await self._call(call))
        result = replace(result, content=await self._cap(mend_surrogates(result.content)))
        if self.journal is not None:
            ended = CallEnded(
                call_id=id_,
                tool=name,
                content=result.content,
                is_error=result.is_error,
                changed=result.changed,
                seconds=self.clock() - started,
                writes=tuple(sorted(call.touches.writes)),
                clears=call.tool is not None and call.tool.alone,
                is_counted=call.is_counted,
                notes=self.journal.fresh_tool_notes(self.context.notes),
                finishes=tuple(sorted(unfinished - self._cuts.unfinished_keys)),
            )
            await self.journal.append(ended)
        self._results[id_] = result
        if self.emit is not None:
            await self.emit(
                ToolFinished(
                    turn=record.turn,
                    attempt=record.attempt,
                    call_id=id_,
                    name=name,
                    is_error=result.is_error,
                    seconds=self.clock() - started,
                    content=result.content,
                )
            )

    def _counted(self, call: _Call, result: ToolResult) -> ToolResult:
        """The result, with a hint for a call that failed before; remembers how it ended."""
        name = call.call.name
        if call.note:
            result = replace(result, content=f"{result.content}\n{call.note}")
        if result.is_error:
            if call.is_counted and self._repeats.failed(name, call.fields) == HINT_AT:
                result = self._hinted(result, name)
        elif call.tool is not None:
            changed = result.changed or call.tool.alone
            self._repeats.succeeded(name, call.fields, changed=changed)
            self._cuts.succeeded(
                call.fields, call.tool, call.touches.writes, changed=result.changed
            )
        return result

    async def _call(self, call: _Call) -> ToolResult:
        """Run the function. What it raises is its result: the run goes on."""
        name = call.call.name
        assert call.tool is not None
        if (lingering := self._holds(call.touches)) is not None:
            call.is_counted = False
            return self._told(
                StillRunningGuidance(
                    tool=name,
                    holder=lingering.name,
                    target=_shared(call.touches, lingering.touches),
                )
            )
        if (settled := await self._settle(call.call, call.tool, call.arguments)) is not None:
            self._went_on(call, settled)
            return settled
        await self._begin(call.call, call.tool, call.approved)
        running = Running()
        try:
            if call.draft is not None:
                # A sibling may have gone on from the same draft meanwhile.
                await anyio.to_thread.run_sync(self.store.read, call.draft.id)
            self._running.add(call.call.id)
            context = self._context(call.call, call.tool, call.approved)
            result = await call.tool.run(call.arguments, context, running)
            if running.timed_out_after is not None:
                result = self._told(
                    TimedOutGuidance(
                        tool=name,
                        seconds=running.timed_out_after,
                        still_running=running.goes_on,
                    )
                )
        except JournalError:
            raise
        except (DraftError, ModelRetry, ToolFailed) as error:
            return _error(_text_of(error))
        except (Exception, SystemExit) as error:
            _log.warning("%s raised", name, exc_info=True)
            return self._told(
                RaisedGuidance(tool=name, error=type(error).__name__, message=_text_of(error))
            )
        except anyio.get_cancelled_exc_class():
            if anyio.get_current_task().has_pending_cancellation():
                if not (running.has_begun or is_async(call.tool.function)):
                    self._running.discard(call.call.id)  # it waited for a thread until then
                raise
            return self._told(CancelledGuidance(tool=name, began=True, by_itself=True))
        finally:
            if running.goes_on:
                self._lingering.append(_Lingering(name=name, touches=call.touches, running=running))
        if call.draft is not None and not result.is_error:
            self._cuts.resumed(call.draft.id, call.touches.writes)
        return result

    def _went_on(self, call: _Call, settled: ToolResult) -> None:
        """The draft of a call that another process made is done with; it may be gone already."""
        draft_id = call.fields.get("resume")
        is_taken = call.tool is not None and call.tool.takes_resume and isinstance(draft_id, str)
        if is_taken and draft_id and not settled.is_error:
            self._cuts.resumed(str(draft_id), call.touches.writes)

    async def _begin(self, call: ToolCall, tool: Tool, approved: JsonObject | None = None) -> None:
        """Write that a call begins which must not be repeated."""
        if self.journal is not None and tool.repeat == "never" and not tool.begins_itself:
            await self.journal.append(self.journal.begun(call.id, tool.name, approved))

    def _holds(self, touches: Touches) -> _Lingering | None:
        """A call that was given up, still runs, and must not meet one that touches this."""
        self._lingering = [one for one in self._lingering if one.running.goes_on]
        return next((one for one in self._lingering if touches.conflicts_with(one.touches)), None)

    def _context(
        self, call: ToolCall, tool: Tool, approved: JsonObject | None = None
    ) -> ToolContext:
        journal = self.journal
        return replace(
            self.context,
            call_id=call.id,
            key=journal.key(call.id) if journal is not None else "",
            announce=journal.announcer(call.id, tool.name, approved)
            if journal is not None and tool.begins_itself
            else None,
            continued=frozenset(self._cuts.continued),
            unconfined_allowed=call.name in self.allow_unconfined,
        )

    def _no_such_tool(self, call: ToolCall) -> ToolResult:
        from difflib import get_close_matches  # only for a model that gets a name wrong

        near = get_close_matches(call.name, self.tools, n=1, cutoff=0.7)
        # The nearest is among them in any case: a server of tools may offer hundreds.
        shown = {*near, *list(self.tools)[: MAX_NAMED_TOOLS - len(near)]}
        return self._told(
            UnknownToolGuidance(
                called=repr(call.name[:MAX_NAME_CHARACTERS]),
                near=near[0] if near else "",
                known=", ".join(name for name in self.tools if name in shown),
                more=len(self.tools) - len(shown),
            )
        )

    def _name_of(self, built_in: str) -> str:
        """By which name a tool of the package is on offer here; empty where it is not.

        A tool of the user's own that only bears its name may take other arguments.
        """
        return next((name for name, one in self.tools.items() if one.built_in == built_in), "")

    def _told(self, situation: Situation) -> ToolResult:
        """The result of a call that went wrong, in words."""
        return _error(self.templates.render(situation))

    def _hinted(self, result: ToolResult, name: str) -> ToolResult:
        hint = self.templates.render(RepeatedGuidance(tool=name, level=HINT_AT))
        content = result.content
        if len(content.encode(errors="replace")) <= MAX_ERROR_BYTES:
            content = clip(content, MAX_ERROR_BYTES - len(hint.encode()) - 1)
        return replace(result, content=f"{content}\n{hint}")

    async def _cap(self, text: str) -> str:
        """A result as the model reads it: a long one without its middle, and whole in a file."""
        shortened = shorten(text)
        if shortened is None:
            return text
        path, stored = "", storable(text)
        try:
            # The call has taken effect: what came of it is not lost to a cancellation.
            with anyio.CancelScope(shield=True):
                path = await anyio.to_thread.run_sync(self.results.store, stored)
        except OSError:
            _log.warning("a long result could not be stored", exc_info=True)
        note = LeftOutGuidance(
            left_out_bytes=shortened.left_out_bytes,
            lines=stored.count("\n") + (not stored.endswith("\n")),
            is_whole=len(stored) == len(text),
            next_line=shortened.next_line,
            path=path,
            read_tool=self._name_of("read_file"),
        )
        return shortened.told(self.templates.render(note))


def _touches_of(tool: Tool, fields: JsonObject) -> Touches:
    given = {**tool.defaults, **fields}
    return Touches.of(given, reads=tool.reads, writes=tool.writes, alone=tool.alone)


def _results_of(left: StoredTurn | None) -> dict[str, ToolResult]:
    """The results that another process has written."""
    if left is None:
        return {}
    return {
        id_: ToolResult(content=one.content, is_error=one.is_error, changed=one.changed)
        for id_, one in left.results.items()
    }


def _fields_of(call: ToolCall) -> JsonObject:
    parsed = parse_arguments(call.arguments or "{}")
    return parsed.fields if parsed is not None else {}


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a foreign __str__ may do anything
        return "(no text)"


def _error(text: str) -> ToolResult:
    return ToolResult(content=clip(text, MAX_ERROR_BYTES - HINT_BYTES), is_error=True)


def _shared(one: Touches, other: Touches) -> str:
    """A name that both touch, quoted; empty where one of them may touch anything."""
    if one.alone or other.alone:
        return ""
    written = {name: Touches(writes=frozenset({name})) for name in sorted(one.writes)}
    read = {name: Touches(reads=frozenset({name})) for name in sorted(one.reads)}
    shared = (name for name, each in (written | read).items() if each.conflicts_with(other))
    name = next(shared, "")
    return json.dumps(name, ensure_ascii=False) if name else ""
