"""What arrives in one attempt, brought to safety while it arrives: when, and in which form.

Where it goes is a subclass's business: a file of its own (`draft_store`) or a journal (`journal`).
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import anyio
from anyio.abc import TaskGroup

from agentcore.accumulator import Accumulator, Unsaved
from agentcore.drafts import MIN_BYTES
from agentcore.events import ReasoningDetail
from agentcore.messages import JsonObject, ToolCall, mend_surrogates
from agentcore.verdict import Partial

__all__ = [
    "SAVE_CHARACTERS",
    "SAVE_SECONDS",
    "Live",
    "line_of",
    "lines_of",
    "partial_of",
    "reasoning_lines_of",
]

SAVE_SECONDS: Final = 0.75
"""Between two writes. Nothing is to wait for a second; the rest is for a busy machine."""
SAVE_CHARACTERS: Final = 16_384
"""So many are written at once: at most 64 KB of UTF-8, whatever they are."""


class Live(ABC):
    """Saves what arrives in one attempt, for the case that this process is killed.

    What came is written every 0.75 s, and when it has grown to 16,384 characters; an answer that is
    whole before is written nowhere. A block that comes cannot tell that none will follow, so
    `on_time` keeps a task beside the one that reads, which wakes when a write is due. (The other
    way is to write at every block: tens of thousands of writes for one long call.)

    Only what may become a draft is written: answers with a call of a tool that has one, and text
    from 2 KB on. Until such a thing comes there is no task either: one costs 0.15 ms.
    """

    def __init__(self, draft_arguments: Mapping[str, str]) -> None:
        self._draft_arguments = dict(draft_arguments)
        self._due_at = math.inf
        """When the next write is due; never before something came that may become a draft."""
        self.is_wanted = False
        """Something came that may become a draft."""

    def offer(self, accumulator: Accumulator, now: float) -> bool:
        """Write what is due. Costs a look at the calls' names at most when nothing is.

        Args:
            accumulator: Of this attempt, each time the same.
            now: Seconds, on the clock of the event loop.

        Returns:
            Something came for the first time that may become a draft: enter `on_time` now.
        """
        if not self.is_wanted:
            if accumulator.text_bytes >= MIN_BYTES or accumulator.calls_any(self._draft_arguments):
                self.is_wanted = True
                self._due_at = now + SAVE_SECONDS
                return True
        elif now >= self._due_at or accumulator.unsaved_size >= SAVE_CHARACTERS:
            self._due_at = now + SAVE_SECONDS
            self.save(accumulator)
        return False

    @asynccontextmanager
    async def on_time(self, accumulator: Accumulator) -> AsyncIterator[None]:
        """While the body is read, what arrives is written on time, also when silence follows it."""
        error_inside: BaseException | None = None
        async with anyio.create_task_group() as tasks, self.beside(tasks, accumulator):
            tasks.start_soon(self._save_on_time, accumulator)
            try:
                yield
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                error_inside = error  # raised below, outside: a task group would wrap it
            finally:
                tasks.cancel_scope.cancel()
        if error_inside is not None:
            raise error_inside

    @abstractmethod
    def save(self, accumulator: Accumulator) -> None:
        """Write what came since the last time, or have it written."""

    @abstractmethod
    def beside(
        self, tasks: TaskGroup, accumulator: Accumulator
    ) -> AbstractAsyncContextManager[None]:
        """What else runs while the body is read; left when it has ended, however it did."""

    @abstractmethod
    def close(self) -> None:
        """The attempt's outcome has been dealt with. May be called twice."""

    @abstractmethod
    def leave(self) -> None:
        """The outcome will not be dealt with: what was saved stays, for whoever goes on."""

    async def _save_on_time(self, accumulator: Accumulator) -> None:
        while True:
            await anyio.sleep_until(self._due_at)
            self.offer(accumulator, anyio.current_time())


# --- its form: a JSON object a line ---------------------------------------------------------


def reasoning_lines_of(fresh: Unsaved) -> Iterator[bytes]:
    """What came of the reasoning, as lines."""
    if fresh.reasoning:
        yield line_of({"reasoning": fresh.reasoning})
    for detail in fresh.details:
        yield line_of({"detail": detail})


def lines_of(fresh: Unsaved) -> Iterator[bytes]:
    """What came of text and calls, as lines."""
    if fresh.text:
        yield line_of({"text": fresh.text})
    for call in fresh.calls:
        yield line_of(
            {
                "call": call.position,
                "id": call.id,
                "name": call.name,
                "arguments": call.fragment,
                "anew": call.anew,
            }
        )


def line_of(content: JsonObject) -> bytes:
    """One line, with its end."""
    # All ASCII: half of a character, whose other half is still to come, has no UTF-8.
    return json.dumps(content).encode() + b"\n"


def partial_of(lines: Iterable[bytes]) -> Partial:
    """What arrived, up to the first line that cannot be read: a power cut may leave some."""
    accumulator = _Joined()
    for line in lines:
        try:
            content = json.loads(line)
        except ValueError:
            break
        if not accumulator.take(content):
            break
    return accumulator.partial()


class _Joined:
    """Lines, put together again."""

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        self.texts: list[str] = []
        self.reasoning: list[str] = []
        self.details = Accumulator()
        self.calls: dict[int, tuple[str, str, list[str]]] = {}

    def take(self, content: object) -> bool:
        """Take a line in; False for what is none of ours."""
        match content:
            case {"restart": True}:
                self.start_over()
            case {"text": str(text)}:
                self.texts.append(text)
            case {"reasoning": str(text)}:
                self.reasoning.append(text)
            case {"detail": dict(detail)}:
                self.details.feed(ReasoningDetail(detail))
            case {
                "call": int(position),
                "id": str(id_),
                "name": str(name),
                "arguments": str(fragment),
                "anew": bool(anew),
            }:
                _, _, fragments = self.calls.get(position, ("", "", []))
                if anew:
                    fragments.clear()
                fragments.append(fragment)
                self.calls[position] = (id_, name, fragments)
            case _:
                return False
        return True

    def partial(self) -> Partial:
        return Partial(
            text=mend_surrogates("".join(self.texts)),
            reasoning=mend_surrogates("".join(self.reasoning)),
            reasoning_details=self.details.partial(new_id=str).reasoning_details,
            calls=tuple(
                ToolCall(
                    id=id_ or f"call{position}",
                    name=name,
                    arguments=mend_surrogates("".join(fragments)),
                )
                for position, (id_, name, fragments) in sorted(self.calls.items())
                if name
            ),
        )
