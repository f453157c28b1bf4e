"""A run on the terminal: one line that moves while something streams, one for what happened."""

import json
import time
from datetime import datetime
from types import TracebackType
from typing import Self

from pydantic import JsonValue
from rich.console import Console
from rich.live import Live
from rich.text import Text

from agentcore.events import (
    AttemptCut,
    AttemptStarted,
    DraftKept,
    DraftsFound,
    EndpointChanged,
    GuidanceGiven,
    OutputDiscarded,
    ReasoningReceived,
    RunEvent,
    TextKept,
    TextReceived,
    ToolArgumentsReceived,
    ToolFinished,
    WaitStarted,
)
from agentcore.tools.approval import ApprovalRequest

__all__ = [
    "DECISIONS",
    "PIPE_CHARACTERS",
    "Display",
    "counted",
    "cut_to",
    "day_and_time",
    "harmless",
    "one_line",
    "print_answer",
    "size",
]


class Display:
    """Give it to a run as `on_event`, inside its `with` block."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._what = ""
        self._since = time.monotonic()
        self._live = Live(
            console=console, refresh_per_second=8, transient=True, get_renderable=self._line
        )
        self._at = ""
        self._settings = ""
        self._characters = 0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._what = ""
        self._live.stop()

    def __call__(self, event: RunEvent) -> None:
        """Show one event."""
        match event:
            case AttemptStarted():
                self._characters = 0
                self._since = time.monotonic()
                self._what = "waiting for the first byte"
                self._at = f"turn {event.turn}, attempt {event.attempt}"
                settings = _settings(event)
                told = "" if settings == self._settings else f": {settings}"
                self._settings = settings
                self._say(f"{self._at}{told}", "dim")
                if told and event.limit_note:
                    self._say(f"  {event.limit_note}", "dim")
            case ToolArgumentsReceived():
                self._move(f"{event.name}: {event.lines:,} lines, {size(event.received_bytes)}")
            case TextReceived() | ReasoningReceived():
                self._characters += len(event.text)
                word = "text" if isinstance(event, TextReceived) else "reasoning"
                self._move(f"{word}: {self._characters:,} characters")
            case AttemptCut():
                record = event.record
                what = DECISIONS[record.decision]
                self._say(f"  ✗ {record.kind} after {record.seconds:.1f} s → {what}", "yellow")
                self._say(f"    {' '.join(record.message.split())[:200]}", "dim")
            case OutputDiscarded():
                self._say(f"    {size(event.discarded_bytes)} dropped", "yellow")
            case WaitStarted():
                self._say(f"    waiting {event.seconds:.2f} s", "dim")
            case EndpointChanged():
                self._say(f"  → going on with {event.provider}: {event.model}", "cyan")
            case DraftsFound():
                count = len(event.drafts)
                plural = "s" if count != 1 else ""
                self._say(f"  {count} unfinished text{plural} here: agentcore drafts", "dim")
            case DraftKept():
                place = f"draft {event.draft_id}" if event.draft_id else event.target
                self._say(f"  ✓ kept {event.new_lines:,} lines in {place}", "green")
            case TextKept():
                self._say(f"  ✓ kept {size(event.kept_bytes)} of text; going on", "green")
            case GuidanceGiven():
                dropped = f", {size(event.dropped_bytes)} dropped" if event.dropped_bytes else ""
                self._say(f"  → guidance ({event.template}) for {event.name}{dropped}", "cyan")
            case ToolFinished():
                mark, style = ("✗", "red") if event.is_error else ("✓", "green")
                first = event.content.splitlines()[0] if event.content else ""
                self._say(f"  {mark} {event.name}: {first[:100]}", style)
            case _:
                pass

    def tell(self, line: str) -> None:
        """Show a line of the command's own."""
        self._say(line, "bold")

    def ask(self, request: ApprovalRequest) -> bool | str:
        """Whether a call may run, from the person at the terminal; `approve` of the agent.

        True, False, or what the person says instead. Long texts are shown by their beginning, and
        whole when the person asks for them: who says yes must be able to see what to.
        """
        self._live.stop()
        try:
            why = f" ({request.reason})" if request.reason else ""
            self._say(f"  ? {request.tool}{why}", "bold")
            left_out = self._show_arguments(request, _ASKED_LINES)
            while True:
                more = "v to view all, " if left_out else ""
                question = f"    run it? y, n, {more}or say what to do instead: "
                word = self._console.input(question).strip()
                if not left_out or word.lower() not in ("v", "view"):
                    break
                self._show_arguments(request, None)
        except EOFError:
            self._console.print()  # what nobody answers has no line end
            return "nobody is there to answer"
        finally:
            self._live.start()
        if word.lower() in ("y", "yes"):
            return True
        return False if word.lower() in ("", "n", "no") else word

    def _show_arguments(self, request: ApprovalRequest, most_lines: int | None) -> bool:
        """Show what a call would run with; whether something of it was left out."""
        left_out = False
        for name, value in request.arguments.items():
            if name in request.secrets:
                self._say(f"      {name}: (secret)", "dim")
                continue
            lines = _lines_of(value)
            if len(lines) == 1:
                self._say(f"      {name}: {lines[0]}", "dim")
                continue
            size_told = f", {size(len(value.encode()))}" if isinstance(value, str) else ""
            self._say(f"      {name}: {len(lines):,} lines{size_told}", "dim")
            for line in lines[:most_lines]:
                self._say(f"        {line}", "dim")
            if most_lines is not None and len(lines) > most_lines:
                left_out = True
                self._say(f"        … and {len(lines) - most_lines:,} more lines", "dim")
        return left_out

    def _say(self, line: str, style: str) -> None:
        self._console.print(Text(harmless(line), style=style), soft_wrap=True)

    def _move(self, what: str) -> None:
        self._what = what

    def _line(self) -> Text:
        """The line that moves: a silent stream shows its seconds."""
        if not self._what:
            return Text()
        seconds = time.monotonic() - self._since
        return Text(f"  {self._at} · {self._what} · {seconds:.1f} s")


DECISIONS = {
    "accept": "taken",
    "retry": "try again",
    "adjust": "correct the request",
    "keep": "keep it, and tell the model",
    "stop": "stop",
}


def _settings(event: AttemptStarted) -> str:
    """What the request asks for, told again only when it changes."""
    cap = f"cap {event.output_limit:,} tokens" if event.output_limit else "no cap"
    parts = [f"{event.model}, {cap} ({event.limit_source})"]
    if event.tool_streaming:
        parts.append("arguments to be streamed")
    if not event.streamed:
        parts.append("plain, not streamed")
    return ", ".join(parts)


def _lines_of(value: JsonValue) -> list[str]:
    """An argument for a person, whole; a very long line in pieces."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return [
        line[start : start + _LINE_CHARACTERS]
        for line in text.removesuffix("\n").split("\n")
        for start in range(0, max(len(line), 1), _LINE_CHARACTERS)
    ]


_ASKED_LINES = 20
"""Of a long argument, shown before the person asks for all of it."""
_LINE_CHARACTERS = 1_000


def harmless(text: str) -> str:
    """A text that cannot steer a terminal, nor show its letters in another order.

    A model may write what moves the cursor up and hides what a person is asked about.
    """
    return text.translate(_STEERING)


def print_answer(text: str, console: Console) -> None:
    """What the model answers: its own line ends, and into a pipe or a file as it is."""
    console.out(harmless(text) if console.is_terminal else text, highlight=False)


_STEERING = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (
        *(code for code in range(32) if chr(code) not in "\t\n"),
        *range(127, 160),
        *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),
    )
}


def one_line(text: str) -> str:
    """A text in one line that cannot steer a terminal."""
    return harmless(" ".join(text[:_LOOKED_AT_CHARACTERS].split()))


def cut_to(text: str, room: int) -> str:
    """A line that takes so many columns at most, with a mark where it goes on."""
    line = Text(text)
    line.truncate(max(room, 1), overflow="ellipsis")
    return line.plain


PIPE_CHARACTERS = 200
"""Of a text, in a line that goes into no terminal."""
_LOOKED_AT_CHARACTERS = 4_000
"""No line is as long: what is behind them need not be looked at."""


def day_and_time(at: float) -> str:
    """A time, given as seconds since the epoch, for a person."""
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}"


def counted(count: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Bytes for a person: `56 KB`."""
    return f"{count:,} B" if count < 1_000 else f"{count / 1_000:,.0f} KB"
