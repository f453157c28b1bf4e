"""Tool calls to results: every call of an answer gets exactly one, in the order of the calls.

Closed calls are validated and run together, in call order where they touch the same thing. A call
that was cut is never run: it is answered with guidance, rendered from what is known of the cut.
"""

import json
import logging
import posixpath
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
import anyio.to_thread
from pydantic import JsonValue

from agentcore.arguments import parse_arguments
from agentcore.draft_store import DraftError, DraftStore
from agentcore.drafts import (
    CutCall,
    Draft,
    Kept,
    Unfinished,
    overlap_lines,
    shown_end,
    split_lines,
)
from agentcore.events import DraftKept, GuidanceGiven, RunEvent, ToolFinished, ToolStarted
from agentcore.guidance import (
    CapGuidance,
    Guidance,
    MalformedGuidance,
    SectionsGuidance,
    SilenceGuidance,
    render,
    suggest_lines,
)
from agentcore.history import has_stand_in
from agentcore.kinds import CutCause
from agentcore.ledger import AttemptRecord
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    ToolCall,
    ToolMessage,
    mend_surrogates,
)
from agentcore.tools.base import (
    Continuation,
    CutDraft,
    InvalidArguments,
    Tool,
    ToolContext,
    ToolResult,
)

__all__ = ["Dispatched", "Dispatcher", "reason_of"]

MAX_RESULT_BYTES: Final = 32_768
NOTE_BYTES: Final = 64
"""Of them, for the note that something was left out."""
HEAD_SHARE: Final = 0.4
MAX_ERROR_BYTES: Final = 2_048
HINT: Final = "\nThe same call failed before with the same arguments: change them."

_log = logging.getLogger("agentcore")

HINT_AT: Final = 2
REFUSE_AT: Final = 3
STOP_AT: Final = 4
"""The same failing call: a hint, a refusal, the end of the run."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Touches:
    """What a call reads and writes."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    alone: bool = False

    def conflicts_with(self, earlier: "_Touches") -> bool:
        """This call must wait for that one: one of the two writes what both touch."""
        shared = self.writes & (earlier.writes | earlier.reads) or self.reads & earlier.writes
        return bool(shared) or self.alone or earlier.alone


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """Runs the calls of one run, and remembers what failed."""

    tools: Mapping[str, Tool]
    context: ToolContext
    store: DraftStore
    emit: Callable[[RunEvent], Awaitable[None]] | None = None
    _failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(tool, arguments) → how often that very call failed."""
    _cuts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(tool, target) → cuts in a row that brought nothing."""
    _smallest_cut: dict[tuple[str, str], int] = field(default_factory=dict)
    """(tool, target) → the smallest number of lines that did not get through."""
    _written: set[str] = field(default_factory=set)
    """Targets that this run has written: an append to one of them goes on with our own text."""
    _continued: set[str] = field(default_factory=set)
    """Targets that hold text of a cut call."""
    _unfinished: dict[str, Unfinished] = field(default_factory=dict)
    """Target or id of a parked draft → the cut text in it, while no whole call has followed."""

    async def dispatch(
        self, message: AssistantMessage, kept: Kept | None, record: AttemptRecord
    ) -> Dispatched:
        """Answer every call of a message.

        Args:
            message: The answer, as it stands in the history.
            kept: What was cut in it; None for a whole answer.
            record: The ledger row of the attempt that it came in.
        """
        cut_calls = {cut.call.id: cut for cut in kept.cut_calls} if kept is not None else {}
        results: dict[str, ToolResult] = {}
        ended = {call.id: anyio.Event() for call in message.tool_calls}
        touches = [self._touches(call) for call in message.tool_calls]
        stops: list[str] = []
        on_disk = ""
        new_lines = 0

        async def answer(position: int, call: ToolCall) -> None:
            try:
                for earlier in range(position):
                    if touches[position].conflicts_with(touches[earlier]):
                        await ended[message.tool_calls[earlier].id].wait()
                if call.id not in cut_calls:
                    results[call.id] = await self._run(call, record, stops)
            finally:
                ended[call.id].set()

        async with anyio.create_task_group() as tasks:
            for position, call in enumerate(message.tool_calls):
                tasks.start_soon(answer, position, call)
        # Guidance comes last: it tells what is on disk once the siblings have run.
        for cut in cut_calls.values():
            assert kept is not None
            if cut.call.name not in self.tools:
                results[cut.call.id] = self._no_such_tool(cut.call)
                continue
            continuation = await self.keep_text(cut, record)
            guidance = self._guidance(cut, continuation, kept.cause, record, stops)
            on_disk = guidance.on_disk
            new_lines += continuation.new_lines
            results[cut.call.id] = await self._guide(cut, guidance, record)
        return Dispatched(
            messages=tuple(
                ToolMessage(
                    tool_call_id=call.id,
                    name=call.name,
                    content=results[call.id].content,
                    is_error=results[call.id].is_error,
                )
                for call in message.tool_calls
            ),
            changed=new_lines > 0 or any(result.changed for result in results.values()),
            stop=stops[0] if stops else "",
            on_disk=on_disk,
        )

    # --- closed calls -----------------------------------------------------------------------

    def _touches(self, call: ToolCall) -> _Touches:
        tool = self.tools.get(call.name)
        if tool is None:
            return _Touches()
        return _Touches(
            reads=frozenset(_values(call, tool.reads)),
            writes=frozenset(_values(call, tool.writes)),
            alone=tool.alone,
        )

    async def _run(self, call: ToolCall, record: AttemptRecord, stops: list[str]) -> ToolResult:
        """The result of a closed call, whatever happens in it."""
        if self.emit is not None:
            await self.emit(
                ToolStarted(
                    turn=record.turn, attempt=record.attempt, call_id=call.id, name=call.name
                )
            )
        started = anyio.current_time()
        result = await self._count(call, stops)
        result = replace(result, content=_cap(mend_surrogates(result.content)))
        if self.emit is not None:
            await self.emit(
                ToolFinished(
                    turn=record.turn,
                    attempt=record.attempt,
                    call_id=call.id,
                    name=call.name,
                    is_error=result.is_error,
                    seconds=anyio.current_time() - started,
                    content=result.content,
                )
            )
        return result

    async def _count(self, call: ToolCall, stops: list[str]) -> ToolResult:
        """Run a call unless it has failed too often in just this form."""
        key = (call.name, call.arguments)
        failed = self._failures[key] + 1
        if failed >= REFUSE_AT:
            self._failures[key] = failed
            if failed >= STOP_AT:
                stops.append(f"the model made the same failing call of {call.name} {failed} times")
            return ToolResult(
                content=f"Not run: this very call of {call.name} has failed {failed - 1} times. "
                "Change its arguments or take another way; once more ends the run.",
                is_error=True,
            )
        result = await self._call(call)
        if not result.is_error:
            self._succeeded(call, result)
            return result
        self._failures[key] = failed
        if failed == HINT_AT:
            result = replace(result, content=result.content + HINT)
        return result

    async def _call(self, call: ToolCall) -> ToolResult:
        tool = self.tools.get(call.name)
        if tool is None:
            return self._no_such_tool(call)
        parsed = parse_arguments(call.arguments or "{}")
        fields: JsonObject = parsed.fields if parsed is not None else {}
        if has_stand_in(str(fields.get(tool.draft, ""))):
            return _error(
                f"{tool.draft} has a line that says [left out: …]. Such a line stands in this "
                "conversation for text that is on disk already; it is no text. Nothing was "
                "written: send the text itself, or only the lines that follow."
            )
        try:
            draft = _resumed(self.store, tool, fields)
            arguments = tool.validate(fields)
        except (InvalidArguments, DraftError) as error:
            return _error(str(error))
        try:
            result = await tool.run(arguments, self._context(call))
            if draft is not None and not result.is_error:
                self._done_with(draft)
                self._continued.update(_values(call, tool.writes))
            return result
        except (Exception, SystemExit) as error:  # whatever it raises, the run goes on
            return _error(f"{call.name} failed: {type(error).__name__}: {_text_of(error)}")
        except anyio.get_cancelled_exc_class():
            if anyio.get_current_task().has_pending_cancellation():
                raise
            return _error(f"{call.name} was cancelled by itself.")

    def _done_with(self, draft: Draft) -> None:
        self._unfinished.pop(draft.id, None)
        with suppress(DraftError, OSError):  # it stays then; the call has succeeded all the same
            self.store.discard(draft.id)

    def _context(self, call: ToolCall) -> ToolContext:
        return replace(self.context, call_id=call.id, continued=frozenset(self._continued))

    def forget_cuts(self) -> None:
        """Another endpoint is asked from now on: what did not get through before may do so."""
        self._cuts.clear()

    def _no_such_tool(self, call: ToolCall) -> ToolResult:
        known = ", ".join(self.tools) or "none"
        return _error(f"There is no tool {call.name!r}. The tools are: {known}.")

    def _succeeded(self, call: ToolCall, result: ToolResult) -> None:
        del self._failures[call.name, call.arguments]
        tool = self.tools[call.name]
        if result.changed or tool.alone:
            # The world is another one: what failed in the old one may work now.
            self._failures.clear()
        self._cuts.pop((call.name, ""), None)
        targets = _values(call, tool.writes)
        for draft in self._parked(call.name, targets):
            if _field(call, tool.draft).startswith(draft.text):
                self._done_with(draft)  # all of it was sent again, and got through
        for target in targets:
            self._cuts.pop((call.name, target), None)
            self._unfinished.pop(target, None)
            if result.changed:
                self._written.add(target)

    # --- cut calls --------------------------------------------------------------------------

    @property
    def unfinished(self) -> tuple[Unfinished, ...]:
        """Cut texts of this run that no whole call has gone on from, oldest first."""
        return tuple(self._unfinished.values())

    async def keep_text(self, cut: CutCall, record: AttemptRecord) -> Continuation:
        """Store what arrived of a cut call's large argument, and say how to go on."""
        tool = self.tools.get(cut.call.name)
        target = _target(cut, tool)
        if has_stand_in(cut.text):
            cut = replace(cut, text="")  # the model took a stand-in for its own words
        kept = Continuation(on_disk="Nothing of it was stored.", next_call="")
        draft: Draft | None = None
        if tool is not None:
            resumed = cut.fields.get("resume") if tool.takes_resume else None
            said = None
            if not resumed:
                said = await self._on_cut(tool, cut, target)
            if said is not None:
                kept = said
            elif cut.text:
                kept, draft = await self._park(tool, cut, resumed)
        if kept.new_lines:
            place = draft.id if draft is not None else target
            if draft is None and target:
                self._written.add(target)
                self._continued.add(target)
            self._unfinished[place] = Unfinished(
                tool=cut.call.name,
                target=target,
                draft_id=draft.id if draft is not None else "",
                on_disk=kept.on_disk,
            )
            if self.emit is not None:
                await self.emit(
                    DraftKept(
                        turn=record.turn,
                        attempt=record.attempt,
                        call_id=cut.call.id,
                        name=cut.call.name,
                        target=target,
                        draft_id=draft.id if draft is not None else "",
                        new_lines=kept.new_lines,
                        new_bytes=len(cut.text.encode(errors="replace")),
                    )
                )
        return kept

    async def _on_cut(self, tool: Tool, cut: CutCall, target: str) -> Continuation | None:
        given = CutDraft(fields=cut.fields, text=cut.text, ours=target in self._written)
        try:
            return await tool.run_on_cut(self._context(cut.call), given)
        except Exception:  # a hook may raise anything; the text is parked then
            _log.warning("the on_cut hook of %s raised", tool.name, exc_info=True)
            return None

    async def _park(
        self, tool: Tool, cut: CutCall, resumed: JsonValue
    ) -> tuple[Continuation, Draft | None]:
        """Park a text in the workspace, after the draft that the call resumed if it did."""
        try:
            if (before := self._known(resumed)) is not None:
                try:
                    text = _text_after(before, cut.text, cut.fields.get("start_line"))
                except InvalidArguments as error:
                    return Continuation(on_disk=str(error), next_call=_next_call(before)), None
                draft = await anyio.to_thread.run_sync(self.store.extend, before.id, text)
                new_lines = draft.lines - before.lines
            elif (begun := self._begun_anew(tool, cut)) is not None:
                # The same text once more: only what it goes beyond the kept one is new.
                text = cut.text[len(begun.text) :]
                draft = await anyio.to_thread.run_sync(self.store.extend, begun.id, text)
                new_lines = draft.lines - begun.lines
            else:
                draft = await anyio.to_thread.run_sync(
                    lambda: self.store.park(
                        tool=tool.name, argument=tool.draft, fields=cut.fields, text=cut.text
                    )
                )
                new_lines = draft.lines
        except (OSError, DraftError) as error:
            said = f"Nothing of it could be kept ({_text_of(error)})."
            return Continuation(on_disk=said, next_call=""), None
        return (
            Continuation(
                on_disk=f"{draft.lines} lines of it are kept as draft {draft.id}, and are in no "
                f"file yet. The last of them is: {shown_end(draft.text)}",
                next_call=_next_call(draft),
                new_lines=new_lines,
            ),
            draft,
        )

    def _known(self, draft_id: JsonValue) -> Draft | None:
        """The draft of this id; None where a model made one up: its text is parked anew."""
        try:
            return self.store.read(draft_id) if isinstance(draft_id, str) else None
        except DraftError:
            return None

    def _begun_anew(self, tool: Tool, cut: CutCall) -> Draft | None:
        """The draft of this run that holds the beginning, or all, of a cut text."""
        for draft in self._parked(tool.name, {_target(cut, tool)}):
            if draft.text.startswith(cut.text) or cut.text.startswith(draft.text):
                return draft
        return None

    def _parked(self, tool: str, targets: Collection[str]) -> Iterator[Draft]:
        """Drafts of this run that were to go to one of these targets."""
        for one in tuple(self._unfinished.values()):
            if one.draft_id and one.tool == tool and one.target in targets:
                with suppress(DraftError):  # somebody discarded it
                    yield self.store.read(one.draft_id)

    def _guidance(
        self,
        cut: CutCall,
        kept: Continuation,
        cause: CutCause,
        record: AttemptRecord,
        stops: list[str],
    ) -> Guidance:
        """The guidance for a cut call; counts the cut, and says so when it was one too many."""
        target = _target(cut, self.tools.get(cut.call.name))
        key = (cut.call.name, target)
        level = max(self._cuts[key], self._cuts[cut.call.name, ""]) + 1
        if kept.new_lines:
            # What got through is progress: the count begins anew.
            level = 1
            self._cuts.pop((cut.call.name, ""), None)
        self._cuts[key] = level
        lines = cut.received_lines
        if cut.received_bytes:
            lines = min(lines, self._smallest_cut.get(key, lines))
            self._smallest_cut[key] = lines
        kind = _guidance_for(cause, cut)
        if level > kind.max_in_a_row:
            stops.append(
                f"{level} cuts in a row in {cut.call.name}: nothing further of its text got through"
            )
        return kind(
            tool=cut.call.name,
            target=json.dumps(target, ensure_ascii=False) if target else "",
            reason=reason_of(cause, record),
            on_disk=kept.on_disk,
            level=level,
            next_call=kept.next_call,
            section_lines=suggest_lines(lines),
            received_lines=cut.received_lines,
            kept_lines=kept.new_lines,
            output_limit=record.output_limit or 0,
            code_tool="execute_code" if "execute_code" in self.tools else "",
        )

    async def _guide(self, cut: CutCall, guidance: Guidance, record: AttemptRecord) -> ToolResult:
        text = render(guidance)
        if self.emit is not None:
            await self.emit(
                GuidanceGiven(
                    turn=record.turn,
                    attempt=record.attempt,
                    call_id=cut.call.id,
                    name=cut.call.name,
                    template=guidance.template,
                    dropped_bytes=cut.dropped_bytes,
                    text=text,
                )
            )
        return ToolResult(content=text, is_error=True)


def _resumed(store: DraftStore, tool: Tool, fields: JsonObject) -> Draft | None:
    """The draft that a call goes on from; its text is put before the call's, in `fields`.

    Raises:
        DraftError: There is no such draft.
        InvalidArguments: The call's text does not begin where the draft ends.
    """
    if not tool.takes_resume:
        return None
    resume = fields.pop("resume", None)
    start_line = fields.get("start_line")
    if resume or "start_line" not in tool.own_parameters:
        fields.pop("start_line", None)
    text = fields.get(tool.draft)
    if not isinstance(resume, str) or not resume or not isinstance(text, str):
        return None
    draft = store.read(resume)
    fields[tool.draft] = draft.text + _text_after(draft, text, start_line)
    return draft


def _text_after(draft: Draft, text: str, start_line: JsonValue) -> str:
    """What of a text is new after a draft.

    Raises:
        InvalidArguments: It is meant for another place.
    """
    lines = split_lines(draft.text)
    if isinstance(start_line, int) and start_line != len(lines) + 1:
        there = lines[max(start_line, 1) - 1 :]
        fresh = split_lines(text)
        if not there or fresh[: len(there)] != there[: len(fresh)]:
            raise InvalidArguments(
                f"Draft {draft.id} has {len(lines)} lines, so its text goes on at line "
                f"{len(lines) + 1}, not at {start_line}. Nothing was written. Its last line is: "
                f"{shown_end(draft.text)}"
            )
        return "".join(fresh[len(there) :])
    repeated = overlap_lines(draft.text, text)
    return "".join(split_lines(text)[repeated:])


def _next_call(draft: Draft) -> str:
    """The arguments of the call that goes on from a parked draft, ready to copy."""
    known = {
        name: value
        for name, value in draft.fields.items()
        if name not in ("resume", "start_line") and value is not None
    }
    given = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in known.items()]
    return ", ".join([*given, f'resume="{draft.id}"', f"start_line={draft.lines + 1}"])


def _guidance_for(cause: CutCause, cut: CutCall) -> type[Guidance]:
    """The cause picks the text."""
    if cause is CutCause.CAPPED:
        return CapGuidance
    if cause is CutCause.MALFORMED:
        return MalformedGuidance
    return SectionsGuidance if cut.received_bytes else SilenceGuidance


def reason_of(cause: CutCause, record: AttemptRecord) -> str:
    """What happened, in a few words that complete "Your call was cut: …"."""
    match cause:
        case CutCause.DROPPED:
            return f"the connection was lost after {record.seconds:.0f} s"
        case CutCause.STALLED | CutCause.SILENT:
            return f"the connection went silent and was given up after {record.seconds:.0f} s"
        case CutCause.CAPPED:
            return f"it reached the output cap of {record.output_limit} tokens"
        case _:
            return f"the answer ended early, after {record.seconds:.0f} s"


def _target(cut: CutCall, tool: Tool | None) -> str:
    value = cut.fields.get(tool.writes) if tool is not None and tool.writes else None
    return posixpath.normpath(value) if isinstance(value, str) else ""


def _values(call: ToolCall, parameter: str) -> set[str]:
    """What a parameter of a call names: a text or a list of texts."""
    if not parameter:
        return set()
    parsed = parse_arguments(call.arguments)
    value = parsed.fields.get(parameter) if parsed is not None else None
    names = value if isinstance(value, list) else [value]
    return {posixpath.normpath(name) for name in names if isinstance(name, str)}


def _field(call: ToolCall, parameter: str) -> str:
    """A text among the arguments of a call; empty when it is none."""
    parsed = parse_arguments(call.arguments)
    value = parsed.fields.get(parameter) if parsed is not None else None
    return value if isinstance(value, str) else ""


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a foreign __str__ may do anything
        return "(no text)"


def _error(text: str) -> ToolResult:
    encoded = text.encode(errors="replace")
    room = MAX_ERROR_BYTES - len(HINT)
    if len(encoded) > room:
        text = encoded[: room - len("…".encode())].decode(errors="ignore") + "…"
    return ToolResult(content=text, is_error=True)


def _cap(text: str) -> str:
    """Cut a long result in its middle, at line ends: 40 % head, 60 % tail, and say so."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= MAX_RESULT_BYTES:
        return text
    room = MAX_RESULT_BYTES - NOTE_BYTES
    head = encoded[: int(room * HEAD_SHARE)].decode(errors="ignore")
    tail = encoded[-int(room * (1 - HEAD_SHARE)) :].decode(errors="ignore")
    # At line ends, unless that would lose a good part of it: a line may be very long.
    head_end, tail_start = head.rfind("\n") + 1, tail.find("\n") + 1
    head = head[:head_end] if head_end > len(head) // 2 else head
    tail = tail[tail_start:] if tail_start < len(tail) // 2 else tail
    left_out = len(encoded) - len(head.encode()) - len(tail.encode())
    return f"{head}\n[… {left_out} bytes left out …]\n{tail}"
