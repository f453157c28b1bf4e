"""Calls that were cut: what arrived is stored, and guidance tells the model how to go on."""

import json
import logging
import posixpath
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import anyio.to_thread
from pydantic import JsonValue

from agentcore.draft_store import DraftError, DraftStore
from agentcore.drafts import CutCall, Draft, Unfinished, shown_end
from agentcore.errors import JournalError
from agentcore.events import DraftKept, GuidanceGiven, RunEvent
from agentcore.guidance import (
    CapGuidance,
    FilteredGuidance,
    Guidance,
    MalformedGuidance,
    SectionsGuidance,
    SilenceGuidance,
    Templates,
    suggest_lines,
)
from agentcore.history import has_stand_in
from agentcore.kinds import CutCause
from agentcore.ledger import PROCESS_ENDED, AttemptRecord
from agentcore.messages import JsonObject
from agentcore.resumption import next_call, text_after
from agentcore.tools.base import (
    Continuation,
    CutDraft,
    InvalidArguments,
    Tool,
    ToolContext,
    ToolResult,
)

__all__ = ["CutCalls", "Guided", "reason_of"]

_log = logging.getLogger("agentcore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guided:
    """A cut call, answered."""

    result: ToolResult
    on_disk: str
    """What is true of its target, one sentence; empty when nothing is known."""
    kept_lines: int = 0
    """Whole lines that were stored and were not there before."""
    unfinished: Unfinished | None = None
    """Where they are."""
    stop: str = ""
    """Why the run must not go on; empty when it may."""


@dataclass(slots=True, kw_only=True)
class CutCalls:
    """The cut calls of one run: how often, at which target, and what is stored of them."""

    store: DraftStore
    emit: Callable[[RunEvent], Awaitable[None]] | None = None
    continued: set[str] = field(default_factory=set)
    """Targets that hold text of a cut call."""
    _cuts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(tool, target) → cuts in a row that brought nothing."""
    _smallest_cut: dict[tuple[str, str], int] = field(default_factory=dict)
    """(tool, target) → the smallest number of lines that did not get through."""
    _written: set[str] = field(default_factory=set)
    """Targets that this run has written: an append to one of them goes on with our own text."""
    _unfinished: dict[str, Unfinished] = field(default_factory=dict)
    """Target or id of a parked draft → the cut text in it, while no whole call has followed."""

    @property
    def unfinished(self) -> tuple[Unfinished, ...]:
        """Cut texts of this run that no whole call has gone on from, oldest first."""
        return tuple(self._unfinished.values())

    async def answer(
        self,
        cut: CutCall,
        tool: Tool,
        context: ToolContext,
        *,
        cause: CutCause,
        record: AttemptRecord,
        code_tool: str,
        templates: Templates,
        stored_after: int | None = None,
    ) -> Guided:
        """Store what arrived of a cut call, and tell the model how to go on.

        Args:
            cut: What arrived.
            tool: The tool that was called.
            context: For the tool's `on_cut` hook.
            cause: What cut the call.
            record: The ledger row of the attempt that it came in.
            code_tool: Name of a tool that runs programs; empty when none is on offer.
            templates: The words.
            stored_after: As of `CutDraft`.
        """
        kept, draft_id = await self._keep(cut, tool, context, record, stored_after)
        kind = _guidance_for(cause, cut)
        level = self._count(cut, tool, kept)
        stop = ""
        if level > kind.max_in_a_row:
            stop = f"{level} cuts in a row in {tool.name}: nothing further of its text got through"
        target = _target(cut, tool)
        guidance = kind(
            tool=tool.name,
            target=json.dumps(target, ensure_ascii=False) if target else "",
            reason=reason_of(cause, record),
            on_disk=kept.on_disk,
            level=level,
            next_call=kept.next_call,
            draft_id=draft_id,
            section_lines=suggest_lines(self._smallest(cut, tool)),
            received_lines=cut.received_lines,
            kept_lines=kept.new_lines,
            output_limit=record.output_limit or 0,
            code_tool=code_tool,
        )
        text = templates.render(guidance)
        await self._tell(cut, guidance.template, text, record)
        result = ToolResult(content=text, is_error=True, changed=kept.new_lines > 0)
        return Guided(
            result=result,
            on_disk=kept.on_disk,
            kept_lines=kept.new_lines,
            unfinished=self._unfinished.get(draft_id or target) if kept.new_lines else None,
            stop=stop,
        )

    async def keep_text(
        self, cut: CutCall, tool: Tool, context: ToolContext, record: AttemptRecord
    ) -> Continuation:
        """Store what arrived of a cut call's large argument, and say how to go on."""
        kept, _ = await self._keep(cut, tool, context, record)
        return kept

    async def _keep(
        self,
        cut: CutCall,
        tool: Tool,
        context: ToolContext,
        record: AttemptRecord,
        stored_after: int | None = None,
    ) -> tuple[Continuation, str]:
        """How to go on, and the id of the parked draft that holds the text; empty for none."""
        if has_stand_in(cut.text):
            cut = replace(cut, text="")  # the model took a stand-in for its own words
        target = _target(cut, tool)
        kept = Continuation(on_disk="Nothing of it was stored.", next_call="")
        draft: Draft | None = None
        resumed = cut.fields.get("resume") if tool.takes_resume else None
        said = None
        if not resumed:
            said = await self._on_cut(cut, tool, context, target, stored_after)
        if said is not None and said.park_with is not None:
            kept, draft = await self._park(
                replace(cut, fields={**cut.fields, **said.park_with}), tool, resumed, context.key
            )
            kept = replace(kept, on_disk=f"{said.on_disk} {kept.on_disk}")
        elif said is not None:
            kept = said
        elif cut.text:
            kept, draft = await self._park(cut, tool, resumed, context.key)
        draft_id = draft.id if draft is not None else ""
        if kept.new_lines:
            await self._stored(cut, target, kept, draft_id, record)
        return kept, draft_id

    def resumed(self, draft_id: str, targets: Collection[str]) -> None:
        """A whole call went on from a draft: it is done with, and its text is at these targets."""
        self._done_with(draft_id)
        self.continued.update(targets)

    def succeeded(
        self, fields: JsonObject, tool: Tool, targets: Collection[str], *, changed: bool
    ) -> None:
        """A whole call of a tool succeeded: the row of cuts of its targets has ended."""
        self._cuts.pop((tool.name, ""), None)
        for draft in self._parked(tool.name, targets):
            if str(fields.get(tool.draft, "")).startswith(draft.text):
                self._done_with(draft.id)  # all of it was sent again, and got through
        for target in targets:
            self._cuts.pop((tool.name, target), None)
            self._unfinished.pop(target, None)
            if changed:
                self._written.add(target)

    def recall(
        self, cut: CutCall, tool: Tool, kept_lines: int, unfinished: Unfinished | None
    ) -> None:
        """What a cut call came to that another process has answered."""
        self._count(cut, tool, Continuation(on_disk="", next_call="", new_lines=kept_lines))
        self._smallest(cut, tool)
        if unfinished is not None:
            self._remember(unfinished)

    def recall_success(
        self, tool: str, targets: Collection[str], finished: Collection[str], *, changed: bool
    ) -> None:
        """What a whole call came to that another process has made; it succeeded."""
        self._cuts.pop((tool, ""), None)
        for key in finished:
            one = self._unfinished.pop(key, None)
            if one is not None and one.draft_id:
                self.continued.update(targets)
        for target in targets:
            self._cuts.pop((tool, target), None)
            if changed:
                self._written.add(target)

    def forget_counts(self) -> None:
        """Another endpoint is asked from now on: what did not get through before may do so."""
        self._cuts.clear()

    @property
    def unfinished_keys(self) -> frozenset[str]:
        """Ids of drafts, and targets, whose cut texts are not whole."""
        return frozenset(self._unfinished)

    # --- storing ----------------------------------------------------------------------------

    async def _on_cut(
        self,
        cut: CutCall,
        tool: Tool,
        context: ToolContext,
        target: str,
        stored_after: int | None,
    ) -> Continuation | None:
        given = CutDraft(
            fields=cut.fields,
            text=cut.text,
            ours=target in self._written,
            stored_after=stored_after,
        )
        try:
            return await tool.run_on_cut(context, given)
        except JournalError:
            raise
        except Exception:  # a hook may raise anything; the text is parked then
            _log.warning("the on_cut hook of %s raised", tool.name, exc_info=True)
            return None

    async def _park(
        self, cut: CutCall, tool: Tool, resumed: JsonValue, key: str
    ) -> tuple[Continuation, Draft | None]:
        """Park a text in the workspace, after the draft that the call resumed if it did."""
        try:
            if (before := self._known(resumed)) is not None:
                try:
                    text = text_after(before, cut.text, cut.fields.get("start_line"))
                except InvalidArguments as error:
                    told = next_call(before, cut.fields)
                    return Continuation(on_disk=str(error), next_call=told), None
                draft = await self._extended(before.id, text, key)
                new_lines = draft.lines - before.lines
            elif (begun := self._begun_anew(cut, tool)) is not None:
                # The same text once more: only what it goes beyond the kept one is new.
                text = cut.text[len(begun.text) :]
                draft = await self._extended(begun.id, text, key)
                new_lines = draft.lines - begun.lines
            else:
                draft = await anyio.to_thread.run_sync(
                    lambda: self.store.park(
                        tool=tool.name,
                        argument=tool.draft,
                        fields=cut.fields,
                        text=cut.text,
                        key=key,
                    )
                )
                new_lines = draft.lines
        except (OSError, DraftError) as error:
            return Continuation(
                on_disk=f"Nothing of it could be kept ({error}).", next_call=""
            ), None
        on_disk = (
            f"{draft.lines} lines of it are kept as draft {draft.id}, and are in no file yet. The "
            f"last of them is: {shown_end(draft.text)}"
        )
        said = Continuation(
            on_disk=on_disk, next_call=next_call(draft, cut.fields), new_lines=new_lines
        )
        return said, draft

    async def _extended(self, draft_id: str, text: str, key: str) -> Draft:
        return await anyio.to_thread.run_sync(lambda: self.store.extend(draft_id, text, key=key))

    async def _stored(
        self, cut: CutCall, target: str, kept: Continuation, draft_id: str, record: AttemptRecord
    ) -> None:
        self._remember(
            Unfinished(tool=cut.call.name, target=target, draft_id=draft_id, on_disk=kept.on_disk)
        )
        if self.emit is not None:
            await self.emit(
                DraftKept(
                    turn=record.turn,
                    attempt=record.attempt,
                    call_id=cut.call.id,
                    name=cut.call.name,
                    target=target,
                    draft_id=draft_id,
                    new_lines=kept.new_lines,
                    new_bytes=len(cut.text.encode(errors="replace")),
                )
            )

    def _remember(self, one: Unfinished) -> None:
        if one.target and not one.draft_id:
            self._written.add(one.target)
            self.continued.add(one.target)
        self._unfinished[one.draft_id or one.target] = one

    def _known(self, draft_id: JsonValue) -> Draft | None:
        """The draft of this id; None where a model made one up: its text is parked anew."""
        try:
            return self.store.read(draft_id) if isinstance(draft_id, str) else None
        except DraftError:
            return None

    def _begun_anew(self, cut: CutCall, tool: Tool) -> Draft | None:
        """The draft of this run that holds the beginning, or all, of a cut text."""
        for draft in self._parked(tool.name, {_target(cut, tool)}):
            if draft.text.startswith(cut.text) or cut.text.startswith(draft.text):
                return draft
        return None

    def _parked(self, tool: str, targets: Collection[str]) -> Iterator[Draft]:
        """Drafts of this run that were to go to one of these targets."""
        for one in self.unfinished:
            if one.draft_id and one.tool == tool and one.target in targets:
                with suppress(DraftError):  # somebody discarded it
                    yield self.store.read(one.draft_id)

    def _done_with(self, draft_id: str) -> None:
        self._unfinished.pop(draft_id, None)
        with suppress(DraftError, OSError):  # it stays then; the call has succeeded all the same
            self.store.discard(draft_id)

    # --- telling ----------------------------------------------------------------------------

    def _count(self, cut: CutCall, tool: Tool, kept: Continuation) -> int:
        """How often this cut has brought nothing in a row, from 1."""
        key, unnamed = (tool.name, _target(cut, tool)), (tool.name, "")
        level = max(self._cuts[key], self._cuts[unnamed]) + 1
        if kept.new_lines:
            # What got through is progress: the count begins anew.
            level = 1
            self._cuts.pop(unnamed, None)
        self._cuts[key] = level
        return level

    def _smallest(self, cut: CutCall, tool: Tool) -> int:
        """The smallest number of lines for this target that did not get through, this cut too."""
        if not cut.received_bytes:
            return cut.received_lines
        key = (tool.name, _target(cut, tool))
        lines = min(cut.received_lines, self._smallest_cut.get(key, cut.received_lines))
        self._smallest_cut[key] = lines
        return lines

    async def _tell(self, cut: CutCall, template: str, text: str, record: AttemptRecord) -> None:
        if self.emit is not None:
            await self.emit(
                GuidanceGiven(
                    turn=record.turn,
                    attempt=record.attempt,
                    call_id=cut.call.id,
                    name=cut.call.name,
                    template=template,
                    dropped_bytes=cut.dropped_bytes,
                    text=text,
                )
            )


def _guidance_for(cause: CutCause, cut: CutCall) -> type[Guidance]:
    """The cause picks the text."""
    if cause is CutCause.CAPPED:
        return CapGuidance
    if cause is CutCause.MALFORMED:
        return MalformedGuidance
    if cause is CutCause.FILTERED:
        return FilteredGuidance
    return SectionsGuidance if cut.received_bytes else SilenceGuidance


def reason_of(cause: CutCause, record: AttemptRecord) -> str:
    """What happened, in a few words that complete "Your call was cut: …"."""
    match cause:
        case CutCause.DROPPED if record.rule == PROCESS_ENDED:
            return "the process that received it ended"
        case CutCause.DROPPED:
            return f"the connection was lost after {record.seconds:.0f} s"
        case CutCause.STALLED | CutCause.SILENT:
            return f"the connection went silent and was given up after {record.seconds:.0f} s"
        case CutCause.CAPPED:
            return f"it reached the output cap of {record.output_limit} tokens"
        case CutCause.FILTERED:
            return "a content filter of the endpoint ended the answer"
        case _:
            return f"the answer ended early, after {record.seconds:.0f} s"


def _target(cut: CutCall, tool: Tool) -> str:
    value = cut.fields.get(tool.writes) if tool.writes else None
    return posixpath.normpath(value) if isinstance(value, str) else ""
