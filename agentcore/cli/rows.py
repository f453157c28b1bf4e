"""The rows of a run as a person wants to read them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias, assert_never

from pydantic import JsonValue
from rich.text import Text

from agentcore.cli.display import DECISIONS, PIPE_CHARACTERS, counted, cut_to, one_line, size
from agentcore.handle import Arriving
from agentcore.journal import (
    AttemptEnded,
    CallBegun,
    CallEnded,
    EndpointGivenUp,
    Noted,
    NotesTaken,
    Record,
    RunEnded,
    RunResumed,
    TurnEnded,
)
from agentcore.messages import ToolCall

__all__ = ["RowWriter", "arrived", "arriving_line"]

Lines: TypeAlias = list[tuple[str, str]]
"""Lines of a row, each with its style."""

ARGUMENT_CHARACTERS = 40
"""Of an argument in the line of its call."""


class RowWriter:
    """Makes lines of rows, one after the other: a day is told when it begins."""

    def __init__(self, width: int | None) -> None:
        """Begin.

        Args:
            width: Columns of the terminal; None for none.
        """
        self._room = max((width or PIPE_CHARACTERS) - _BESIDE, _LEAST_ROOM)
        self._day = ""

    def lines(self, seq: int, at: float, record: Record) -> list[Text]:
        """The lines of a row.

        Args:
            seq: Its number.
            at: When it was written, in seconds since the epoch.
            record: What it says.
        """
        when = datetime.fromtimestamp(at)
        day = f"{when:%Y-%m-%d}"
        told = [Text(f"{'':4}  {day}", style="bold")] if day != self._day else []
        self._day = day
        start = f"{seq:>4}  {when:%H:%M:%S}  {record.kind:<8}  "
        for line, style in _lines_of(record, at):
            told.append(Text(start) + Text(cut_to(line, self._room), style=style))
            start = " " * _BESIDE
        return told


_BESIDE = len("   1  12:00:05  endpoint  ")
_LEAST_ROOM = 20


def arriving_line(arriving: Arriving) -> str:
    """How far the answer under way has come: `turn 2, attempt 1: write_file: 34 KB`."""
    what = arrived(arriving.text, arriving.calls) or "reasoning"
    return f"turn {arriving.turn}, attempt {arriving.attempt}: {what}"


def arrived(text: str, calls: Sequence[tuple[str, int]]) -> str:
    """What has arrived of an answer; empty for nothing but reasoning.

    Args:
        text: Its text.
        calls: Of each call the tool's name and the UTF-8 bytes of its arguments.
    """
    parts = [f"text: {size(len(text.encode()))}"] if text else []
    parts += [f"{one_line(name)}: {size(count)}" for name, count in calls]
    return ", ".join(parts)


def _lines_of(record: Record, at: float) -> Lines:
    match record:
        case AttemptEnded():
            return _attempt(record, at)
        case TurnEnded():
            return _turn(record)
        case CallBegun():
            return [(f"{one_line(record.tool)}: its effect comes next", "dim")]
        case CallEnded():
            return _result(record)
        case EndpointGivenUp():
            return [(f"given up: {one_line(record.how)}", "yellow")]
        case Noted(purpose="say"):
            return [(f"said: {one_line(record.text)}", "cyan")]
        case Noted():
            why = f": {one_line(record.text)}" if record.text else ""
            return [(f"its end is asked for{why}", "yellow")]
        case NotesTaken():
            return [(f"the model reads what was said, through row {record.through}", "dim")]
        case RunResumed():
            how = "after its process died" if record.after_crash else "where it was left"
            changed = [(one_line(record.changed), "yellow")] if record.changed else []
            return [(f"a process goes on with it, {how}", "cyan"), *changed]
        case RunEnded():
            return _end(record)
        case _:
            assert_never(record)


def _attempt(ended: AttemptEnded, at: float) -> Lines:
    record = ended.record
    which = f"turn {record.turn}, attempt {record.attempt}"
    if record.outcome == "complete":
        tokens = f", {counted(record.received_tokens, 'token')}" if record.received_tokens else ""
        return [(f"{which}: complete in {record.seconds:.1f} s{tokens}", "dim")]
    why = f" ({record.kind or record.cause})" if record.kind or record.cause else ""
    lines = [(f"{which}: {record.outcome}{why} after {record.seconds:.1f} s", "yellow")]
    if record.message:
        lines.append((one_line(record.message), "dim"))
    decision = f"→ {DECISIONS[record.decision]}"
    if record.kept:
        decision += f": {one_line(record.kept)}"
    if ended.rest_until > at:
        decision += f", not before {datetime.fromtimestamp(ended.rest_until):%H:%M:%S}"
    return [*lines, (decision, "yellow")]


def _turn(ended: TurnEnded) -> Lines:
    message = ended.message
    lines = [(one_line(message.content), "")] if message.content.strip() else []
    cut = {one.call_id: one for one in ended.cut_calls}
    for call in message.tool_calls:
        lines.append((f"→ {_call(call)}", "cyan"))
        if call.id in cut:
            lines.append((f"  cut after {counted(cut[call.id].received_lines, 'line')}", "yellow"))
    if ended.cause is not None and not cut:
        lines.append((f"cut ({ended.cause}); what arrived is kept", "yellow"))
    return lines or [("an empty answer", "dim")]


def _call(call: ToolCall) -> str:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        return f"{one_line(call.name)}({size(len(call.arguments.encode()))})"
    told = ", ".join(
        f"{one_line(name)}={_value(value)}"
        for name, value in arguments.items()
        if value is not None
    )
    return f"{one_line(call.name)}({told})"


def _value(value: JsonValue) -> str:
    if isinstance(value, str) and "\n" in value.strip("\n"):
        return counted(value.count("\n") + (not value.endswith("\n")), "line")
    text = json.dumps(value, ensure_ascii=False)
    return cut_to(one_line(text), ARGUMENT_CHARACTERS)


def _result(ended: CallEnded) -> Lines:
    mark, style = ("✗", "red") if ended.is_error else ("✓", "green")
    lines = [
        (
            f"{mark} {one_line(ended.tool)} in {ended.seconds:.1f} s: {one_line(ended.content)}",
            style,
        )
    ]
    if ended.kept_lines:
        lines.append((f"{counted(ended.kept_lines, 'line')} of the cut text kept", "green"))
    return lines


def _end(ended: RunEnded) -> Lines:
    kind = f" ({ended.error_kind})" if ended.error_kind and ended.status == "failed" else ""
    text = f": {one_line(ended.text)}" if ended.text.strip() else ""
    style = "green" if ended.status == "done" else "red"
    unfinished = [(one_line(draft.on_disk), "yellow") for draft in ended.drafts]
    return [(f"{ended.status}{kind}{text}", style), *unfinished]
