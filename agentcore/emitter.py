"""Who listens to a run is told here: one event at a time, and nothing they do costs a paid call."""

import logging
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, TypeAlias

import anyio

from agentcore.events import RunEvent

__all__ = ["Emitter", "Listener"]

Listener: TypeAlias = Callable[[RunEvent], Awaitable[None] | None]
"""Gets every event of a run; sync or async."""


class Emitter:
    """A listener, called for one event at a time, and detached once it raises."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._is_attached = True
        self._one_at_a_time = anyio.Lock()

    async def __call__(self, event: RunEvent) -> None:
        """Tell an event; waits until the listener has dealt with it."""
        if (waiting := self.tell(event)) is not None:
            await waiting

    def tell(self, event: RunEvent) -> Coroutine[Any, Any, None] | None:
        """The same for who tells of every delta: what is still to be awaited, at once.

        None where the listener has answered already, as one that only draws does: that needs no
        lock, for nobody could have come between, and costs a third.
        """
        if self._one_at_a_time.locked():
            return self._in_turn(event)
        answer = self._answer(event)
        if answer is None:
            return None
        self._one_at_a_time.acquire_nowait()
        return self._answered(answer)

    async def _in_turn(self, event: RunEvent) -> None:
        await self._one_at_a_time.acquire()
        await self._answered(self._answer(event))

    async def _answered(self, answer: Awaitable[None] | None) -> None:
        try:
            if isawaitable(answer):
                await answer
        except Exception as error:
            self._detach(error)
        finally:
            self._one_at_a_time.release()

    def _answer(self, event: RunEvent) -> Awaitable[None] | None:
        try:
            return self._listener(event) if self._is_attached else None
        except Exception as error:
            self._detach(error)
            return None

    def _detach(self, error: Exception) -> None:
        self._is_attached = False
        text = f"on_event raised {type(error).__name__}: {error}; it gets no further events"
        try:
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        except RuntimeWarning:  # warnings are errors here
            logging.getLogger("agentcore").warning(text)
