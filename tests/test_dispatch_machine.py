"""Dispatch over a whole run, against a model of it: any calls, in any order, cancelled anywhere.

The world is a shelf of named texts. What the model of a run says comes from doing the calls one
after the other; dispatch runs them together, and must not be found out.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.lowlevel
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentcore.dispatch import Dispatcher
from agentcore.draft_store import DraftStore
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, ToolCall, ToolMessage
from agentcore.result_store import ResultStore
from agentcore.tools import Tool, ToolContext, ToolResult, tool

RECORD = AttemptRecord(
    turn=1,
    attempt=1,
    provider="local",
    model="m",
    outcome="complete",
    decision="accept",
    seconds=1.0,
)
NAMES = st.sampled_from(["a", "b", "a/c"])
TEXTS = st.sampled_from(["x", "y"])
PACE = st.integers(0, 4)

Act: TypeAlias = tuple[str, dict[str, str | int]]
PUTS = st.tuples(
    st.just("put"), st.fixed_dictionaries({"pace": PACE, "name": NAMES, "text": TEXTS})
)
GETS = st.tuples(st.just("get"), st.fixed_dictionaries({"pace": PACE, "name": NAMES}))
LISTS = st.tuples(st.just("list_all"), st.fixed_dictionaries({"pace": PACE}))
FAILS = st.tuples(
    st.sampled_from(["refuse", "explode", "nowhere"]),
    st.fixed_dictionaries({"pace": st.just(0), "name": NAMES}),
)
WRONG = st.tuples(st.just("get"), st.fixed_dictionaries({"nonsense": TEXTS}))


@dataclass
class Shelf:
    """The tools, what they did, and whether two of them met that must not."""

    texts: dict[str, str] = field(default_factory=dict)
    inside: list[tuple[str, str]] = field(default_factory=list)
    """(name, "r" or "w") of the calls that are under way."""
    met: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    """Ids of the calls whose function was entered."""

    async def _visit(self, name: str, how: str, pace: int, call_id: str) -> None:
        self.ran.append(call_id)
        for other, does in self.inside:
            one_line = name.startswith(other) or other.startswith(name)
            if (one_line and "w" in (how, does)) or "*" in (name, other):
                self.met.append(f"{how} {name} beside {does} {other}")
        self.inside.append((name, how))
        try:
            for _ in range(pace):
                await anyio.lowlevel.checkpoint()
        finally:
            self.inside.remove((name, how))

    def tools(self) -> tuple[Tool, ...]:
        @tool(writes="name")
        async def put(name: str, text: str, context: ToolContext, pace: int = 0) -> ToolResult:
            await self._visit(name, "w", pace, context.call_id)
            changed = self.texts.get(name) != text
            self.texts[name] = text
            return ToolResult(content=f"{name}={text}", changed=changed)

        @tool(reads="name")
        async def get(name: str, context: ToolContext, pace: int = 0) -> ToolResult:
            await self._visit(name, "r", pace, context.call_id)
            text = self.texts.get(name)
            return ToolResult(content=f"{name}: {text}", is_error=text is None)

        @tool(alone=True)
        async def list_all(context: ToolContext, pace: int = 0) -> str:
            await self._visit("*", "w", pace, context.call_id)
            return (
                ", ".join(f"{name}={text}" for name, text in sorted(self.texts.items())) or "none"
            )

        @tool(reads="name")
        async def refuse(name: str, context: ToolContext, pace: int = 0) -> ToolResult:
            await self._visit(name, "r", pace, context.call_id)
            return ToolResult(content=f"no {name}", is_error=True)

        @tool(reads="name")
        async def explode(name: str, context: ToolContext, pace: int = 0) -> None:
            await self._visit(name, "r", pace, context.call_id)
            raise RuntimeError(name)

        return put, get, list_all, refuse, explode


class DispatchMachine(RuleBasedStateMachine):
    """One run: what the world holds, and how often each call has failed, must come out alike."""

    @initialize(backend=st.sampled_from(["asyncio", "trio"]))
    def begin(self, backend: str) -> None:
        self.backend = backend
        self.shelf = Shelf()
        self.dispatcher = Dispatcher(
            tools={tool.name: tool for tool in self.shelf.tools()},
            context=ToolContext(workspace=Path("/nowhere")),
            store=DraftStore(Path("/nowhere")),
            results=ResultStore(Path("/nowhere")),
        )
        self.expected: dict[str, str] = {}
        self.failures: Counter[str] = Counter()
        self.count = 0

    def message(self, acts: Sequence[Act]) -> AssistantMessage:
        calls: list[ToolCall] = []
        for name, fields in acts:
            self.count += 1
            id_ = f"call{self.count}"
            calls.append(ToolCall(id=id_, name=name, arguments=json.dumps(fields)))
        return AssistantMessage(tool_calls=tuple(calls))

    def dispatched(self, message: AssistantMessage) -> tuple[tuple[ToolMessage, ...], str]:
        async def main() -> tuple[tuple[ToolMessage, ...], str]:
            answer = await self.dispatcher.dispatch(message, None, RECORD)
            return answer.messages, answer.stop

        messages, stop = anyio.run(main, backend=self.backend)
        assert [one.tool_call_id for one in messages] == [call.id for call in message.tool_calls]
        return messages, stop

    @rule(acts=st.lists(st.one_of(PUTS, GETS, LISTS), max_size=6))
    def calls_that_write_and_read(self, acts: list[Act]) -> None:
        """Together they come to what they come to one after the other."""
        message = self.message(acts)
        messages, stop = self.dispatched(message)
        for (name, fields), answer in zip(acts, messages, strict=True):
            match name:
                case "put":
                    self.expected[str(fields["name"])] = str(fields["text"])
                    said = f"{fields['name']}={fields['text']}"
                case "get":
                    said = f"{fields['name']}: {self.expected.get(str(fields['name']))}"
                case _:
                    said = ", ".join(f"{k}={v}" for k, v in sorted(self.expected.items())) or "none"
            # A read of what is not there fails, and may be refused by now.
            if name != "get" or fields["name"] in self.expected:
                assert answer.content == said
                assert not answer.is_error
        assert not stop or any(name == "get" for name, _ in acts)
        self.start_anew()

    @rule(acts=st.lists(st.one_of(FAILS, WRONG), min_size=1, max_size=5))
    def calls_that_fail(self, acts: list[Act]) -> None:
        """Each kind of failure is counted by answers, and stops the run at the fourth."""
        message = self.message(acts)
        messages, stop = self.dispatched(message)
        keys = [json.dumps([name, dict(sorted(fields.items()))]) for name, fields in acts]
        self.failures.update(set(keys))
        for key, call, answer in zip(keys, message.tool_calls, messages, strict=True):
            times = self.failures[key]
            assert answer.is_error
            assert ("failed before with the same arguments" in answer.content) is (times == 2)
            assert answer.content.startswith("Not run: ") is (times >= 3)
            if times >= 3:
                assert call.id not in self.shelf.ran
        assert bool(stop) is any(self.failures[key] >= 4 for key in keys)

    @rule(acts=st.lists(st.one_of(PUTS, GETS, LISTS, FAILS), min_size=1, max_size=5), after=PACE)
    def a_run_that_is_cancelled(self, acts: list[Act], after: int) -> None:
        """Wherever it stops there is one answer for each call, and it says what is true."""
        message = self.message(acts)

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: self.dispatcher.dispatch(message, None, RECORD))
                for _ in range(after):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()

        anyio.run(main, backend=self.backend)
        answers = self.dispatcher.answers(message)
        assert [one.tool_call_id for one in answers] == [call.id for call in message.tool_calls]
        for answer in answers:
            if "cancelled before" in answer.content:
                assert answer.tool_call_id not in self.shelf.ran
        self.expected = dict(self.shelf.texts)
        self.start_anew()

    def start_anew(self) -> None:
        """What failed beside calls that write may count or not: a write that changes ends it."""
        self.expected["marker"] = str(self.count)
        fields: dict[str, str | int] = {"name": "marker", "text": str(self.count)}
        self.dispatched(self.message([("put", fields)]))
        self.failures.clear()

    @invariant()
    def nothing_ran_twice_or_met(self) -> None:
        shelf = getattr(self, "shelf", None)
        if shelf is not None:
            assert len(set(shelf.ran)) == len(shelf.ran)
            assert shelf.met == []
            assert shelf.inside == []
            assert shelf.texts == self.expected


TestDispatch = DispatchMachine.TestCase
TestDispatch.settings = settings(max_examples=60, stateful_step_count=10, deadline=None)
