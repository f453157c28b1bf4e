"""Tool calls to results: every call of an answer gets exactly one, in the order of the calls.

Closed calls are validated and run together, in call order where they touch the same thing. A call
that was cut is never run: it is answered with guidance, rendered from what is known of the cut.
"""

import json
import posixpath
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import anyio

from agentcore.arguments import parse_arguments
from agentcore.drafts import CutCall, Kept
from agentcore.events import GuidanceGiven, RunEvent, ToolFinished, ToolStarted
from agentcore.guidance import (
    CapGuidance,
    Guidance,
    MalformedGuidance,
    SectionsGuidance,
    SilenceGuidance,
    render,
    suggest_lines,
)
from agentcore.kinds import CutCause
from agentcore.ledger import AttemptRecord
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    ToolCall,
    ToolMessage,
    mend_surrogates,
)
from agentcore.tools.base import InvalidArguments, Resume, Tool, ToolContext, ToolResult

__all__ = ["Dispatched", "Dispatcher"]

MAX_RESULT_BYTES: Final = 32_768
NOTE_BYTES: Final = 64
"""Of them, for the note that something was left out."""
HEAD_SHARE: Final = 0.4
MAX_ERROR_BYTES: Final = 2_048
HINT: Final = "\nThe same call failed before with the same arguments: change them."

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
    emit: Callable[[RunEvent], Awaitable[None]] | None = None
    _failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(tool, arguments) → how often that very call failed."""
    _cuts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(tool, target) → cuts in a row that brought nothing."""
    _smallest_cut: dict[tuple[str, str], int] = field(default_factory=dict)
    """(tool, target) → the smallest number of lines that did not get through."""
    _written: set[str] = field(default_factory=set)
    """Targets that this run has written: an append to one of them goes on with our own text."""

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
            guidance = self._guidance(cut, kept.cause, record, stops)
            on_disk = guidance.on_disk
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
            changed=any(result.changed for result in results.values()),
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
        try:
            arguments = tool.validate(fields)
        except InvalidArguments as error:
            return _error(str(error))
        try:
            return await tool.run(arguments, replace(self.context, call_id=call.id))
        except (Exception, SystemExit) as error:  # whatever it raises, the run goes on
            return _error(f"{call.name} failed: {type(error).__name__}: {_text_of(error)}")
        except anyio.get_cancelled_exc_class():
            if anyio.get_current_task().has_pending_cancellation():
                raise
            return _error(f"{call.name} was cancelled by itself.")

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
        for target in _values(call, tool.writes):
            self._cuts.pop((call.name, target), None)
            if result.changed:
                self._written.add(target)

    # --- cut calls --------------------------------------------------------------------------

    def _guidance(
        self, cut: CutCall, cause: CutCause, record: AttemptRecord, stops: list[str]
    ) -> Guidance:
        """The guidance for a cut call; counts the cut, and says so when it was one too many."""
        tool = self.tools.get(cut.call.name)
        target = _target(cut, tool)
        level = max(self._cuts[cut.call.name, target], self._cuts[cut.call.name, ""]) + 1
        self._cuts[cut.call.name, target] = level
        lines = cut.received_lines
        if cut.received_bytes:
            lines = min(lines, self._smallest_cut.get((cut.call.name, target), lines))
            self._smallest_cut[cut.call.name, target] = lines
        kind = _guidance_for(cause, cut)
        if level > kind.max_in_a_row:
            stops.append(
                f"{level} cuts in a row in {cut.call.name}, and nothing of its text got through"
            )
        resume = self._resume(cut, tool, target)
        return kind(
            tool=cut.call.name,
            target=json.dumps(target, ensure_ascii=False) if target else "",
            reason=_reason(cause, record),
            on_disk=resume.on_disk,
            level=level,
            next_call=resume.next_call,
            section_lines=suggest_lines(lines),
            received_lines=cut.received_lines,
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
                    dropped_bytes=cut.received_bytes,
                    text=text,
                )
            )
        return ToolResult(content=text, is_error=True)

    def _resume(self, cut: CutCall, tool: Tool | None, target: str) -> Resume:
        resume: Resume | None = None
        if tool is not None and tool.resume_hook is not None:
            # A hook may raise anything; guidance is worth giving without it.
            with suppress(Exception):
                resume = tool.resume_hook(self.context, cut.fields, target in self._written)
        if resume is not None:
            return resume
        return Resume(on_disk="Nothing of it was stored.", next_call="")


def _guidance_for(cause: CutCause, cut: CutCall) -> type[Guidance]:
    """The cause picks the text."""
    if cause is CutCause.CAPPED:
        return CapGuidance
    if cause is CutCause.MALFORMED:
        return MalformedGuidance
    return SectionsGuidance if cut.received_bytes else SilenceGuidance


def _reason(cause: CutCause, record: AttemptRecord) -> str:
    match cause:
        case CutCause.DROPPED:
            return f"the connection was lost after {record.seconds:.0f} s"
        case CutCause.STALLED | CutCause.SILENT:
            return f"the connection went silent and was given up after {record.seconds:.0f} s"
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
