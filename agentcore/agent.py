"""`Agent`: the front door. It checks what it is given, and starts runs."""

import os
import random
import string
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, get_args

import anyio
import anyio.to_thread
from anyio.lowlevel import current_token
from typing_extensions import override

from agentcore.clocks import Clocks
from agentcore.emitter import Emitter, Listener
from agentcore.endpoint import Endpoint, ModelChoice, resolve_models
from agentcore.errors import ConfigurationError
from agentcore.events import RunEvent
from agentcore.history import KeepUnder
from agentcore.messages import (
    Message,
    SystemMessage,
    UserMessage,
    mend_surrogates,
)
from agentcore.named_runs import NamedRuns
from agentcore.providers.base import ProviderAdapter
from agentcore.retry import Policy
from agentcore.settings import (
    History,
    Limits,
    Settings,
    checked_guidance,
    checked_tools,
    checked_workspace,
)
from agentcore.tools.approval import Approve
from agentcore.tools.toolset import ToolSource

if TYPE_CHECKING:
    import httpx2

    from agentcore.client import Client
    from agentcore.connections import Connections
    from agentcore.journal import JournalStore
    from agentcore.journal.writing import RunJournal
    from agentcore.request_maker import Learned
    from agentcore.run import Run, RunResult

__all__ = ["Agent", "EventStream", "Listener", "send_all"]


HALF_THE_WINDOW = KeepUnder(share=0.5)


def send_all(messages: tuple[Message, ...]) -> Sequence[Message]:
    """A history: every message, whole."""
    return messages


@dataclass(slots=True, kw_only=True)
class EventStream:
    """The events of a run under way; iterate it, then ask for the result."""

    _receive: AsyncIterator[RunEvent]
    _result: "list[RunResult]" = field(default_factory=list)

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        return self._receive

    @property
    def result(self) -> "RunResult":
        """The result, once the iteration has ended."""
        if not self._result:
            raise RuntimeError(
                "EventStream.result: there is none, for the iteration has not come to its end"
            )
        return self._result[0]


class Agent(NamedRuns):
    """A model, its tools and a workspace; `run` carries a prompt to its end.

    `model`, `adapter`, `tools` and the rest may be assigned at any time, also by a listener in the
    middle of a run: each turn is made from what they are when it begins, checked as at the start.

    A run opens its own connections and closes them. `async with agent:` keeps them for all runs
    inside the block, also for those that run at the same time.
    """

    def __init__(
        self,
        model: str | Sequence[ModelChoice] = (),
        *,
        models: Sequence[ModelChoice] = (),
        tools: Iterable[ToolSource] = (),
        workspace: str | os.PathLike[str] = ".",
        system: str = "",
        adapter: ProviderAdapter | None = None,
        max_output_tokens: int | None = None,
        policy: Policy | None = None,
        clocks: Clocks | None = None,
        limits: Limits | None = None,
        history: History | KeepUnder = HALF_THE_WINDOW,
        allow_unconfined: Iterable[str] = (),
        approve: Approve | None = None,
        guidance: str | os.PathLike[str] | None = None,
        journal: "str | os.PathLike[str] | JournalStore | None" = None,
        transport: "httpx2.AsyncBaseTransport | None" = None,
        fast: bool = True,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """Check everything that can be checked before a request.

        Args:
            model: `"provider:model-id"`; or the endpoint's own model id beside `adapter`; or a
                list, see `models`.
            models: Instead of `model`: several of them, a pair of the endpoint's own id and its
                adapter where it has one. The first is asked; when its endpoint fails for good (no
                credit, key or model, no capacity after all attempts) the run goes on with the next,
                and with all that was kept.
            tools: What the model may call: made by `@tool`, and sets of such.
            workspace: An existing folder for file tools and programs.
            system: Instructions above the conversation.
            adapter: The endpoint; None means the one that `model` names.
            max_output_tokens: The cap of every answer, at least 1; None leaves it to the adapter.
            policy: Attempts and waits of a turn.
            clocks: Limits on silence; None means the adapter's own.
            limits: When a run ends although the model would go on.
            history: Decides which messages a request carries. The default replaces, past half of
                the model's window, the oldest texts that are verified to be on disk by a line
                each; `send_all` sends everything.
            allow_unconfined: Names of tools that may run although nothing confines them.
            approve: Asked, in call order, before a call of a tool with `needs_approval` runs; sync
                (in a thread) or async. It answers True, False, a text that says why not, or
                `Approved(arguments=…)`; when it raises, the call is denied.
            guidance: A folder of templates, `<name>.md.jinja`: they take the place of the
                package's texts for the model and the person. None means the package's own;
                `agentcore guidance` shows them.
            journal: Where runs with a `run_id` are written: a file, or `sqlite:///` and a file;
                None for `.agentcore/runs.db` in the workspace. Runs without one are written
                nowhere.
            transport: Takes the place of the network, for tests in process.
            fast: Go through aiohttp, which costs less, where the extra `fast` is installed, the
                loop is asyncio's and no proxy is set; False: never.
            sleep: Waits; tests give their own.
            roll: A random number from 0 to 1, for the waits; tests give their own.

        Raises:
            ConfigurationError: An argument cannot be used; the text says which and why.
        """
        if model and models:
            raise ConfigurationError("model and models: give one of them")
        self.model = models or model
        self.adapter = adapter
        self.system = system
        self.max_output_tokens = max_output_tokens
        self.policy = policy if policy is not None else Policy()
        self.clocks = clocks
        self.limits = limits if limits is not None else Limits()
        self.history = history
        self.workspace = workspace
        # An iterator would be empty at the second turn.
        self.tools = tuple(tools) if isinstance(tools, Iterator) else tools
        self.allow_unconfined = tuple(allow_unconfined)
        self.approve = approve
        self.guidance = guidance
        self.journal = journal
        self._opened: tuple[str, JournalStore] | None = None
        self._transport = transport
        self._fast = fast
        self._sleep, self._roll = sleep, roll
        self._kept: dict[object, Connections] = {}
        self._learned: Learned = {}
        self._resolved: tuple[object, list[tuple[str, str]], tuple[Endpoint, ...]] | None = None
        self._settings()

    async def __aenter__(self) -> Self:
        """Keep connections from here on, for the runs of this event loop; others may have theirs.

        Raises:
            ConfigurationError: They are kept already, by a block that has not been left.
        """
        loop = current_token()
        if loop in self._kept:
            raise ConfigurationError("async with agent: the agent is in such a block already")
        from agentcore.connections import Connections

        self._kept[loop] = Connections(transport=self._transport, fast=self._fast)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close them; runs begun later, or still going on, open and close their own again."""
        await self._kept.pop(current_token()).aclose()

    async def run(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] = (),
        run_id: str | None = None,
        on_event: Listener | None = None,
    ) -> "RunResult":
        """Carry a prompt to its end.

        Args:
            prompt: What the person says; None goes on with `messages` as they are.
            messages: A conversation to go on with, as a result or a `RunError` holds it.
            run_id: A name for the run, which makes it durable: what it does is written to the
                journal, and the same call in another process goes on where this one was killed. Of
                a run that is done it gives the result, at once; one that failed it goes on with.
            on_event: Gets every event. If it raises it is detached, with a warning.

        Raises:
            ConfigurationError: No key, or a setting changed to something that cannot be used; or
                the run of this id was given another prompt.
            RunBusy: A process that lives drives the run of this id.
            RunLost: Somebody else has taken the run over meanwhile.
            JournalError: The journal cannot be read, or not be written when the run begins; later
                on that is a `NotJournalled`, a `RunError`.
            RunError: The run cannot go on. It carries the ledger and the conversation so far. Of a
                run that was cancelled it is raised at once; `resume` goes on with that.
        """
        if run_id is not None:
            await self._enter(prompt, messages, run_id)
            return await self._drive(run_id, on_event, goes_on_from=frozenset({"failed"}))
        opening, _ = self._opening(prompt, messages)
        settings = self._settings()
        async with self._started(settings, on_event, None) as run:
            return await run.to_the_end(opening)

    @override
    @asynccontextmanager
    async def _started(
        self, settings: Settings, on_event: Listener | None, journal: "RunJournal | None"
    ) -> "AsyncIterator[Run]":
        """A run that is about to begin, or to go on."""
        # The loop is loaded by the first run, before any clock watches: who only makes an agent, or
        # imports one, does not wait for it.
        from agentcore.draft_store import DraftStore
        from agentcore.event_loop import event_loop_clock
        from agentcore.request_maker import RequestMaker
        from agentcore.run import Run
        from agentcore.turn import Chance

        async with self._client() as client:
            yield Run(
                settings=self._settings,
                first=settings,
                client=client,
                chance=Chance(
                    sleep=self._sleep, roll=self._roll, clock=event_loop_clock(), new_id=_new_id
                ),
                requests=RequestMaker(client=client, learned=self._learned),
                store=DraftStore(settings.workspace),
                emit=Emitter(on_event) if on_event is not None else None,
                journal=journal,
            )

    def run_sync(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] = (),
        run_id: str | None = None,
        on_event: Listener | None = None,
    ) -> "RunResult":
        """`run` for scripts: blocks until the end, on a new asyncio loop."""

        async def main() -> "RunResult":
            return await self.run(prompt, messages=messages, run_id=run_id, on_event=on_event)

        if _loop_is_running():
            raise ConfigurationError("run_sync() inside async code: use `await agent.run(…)` there")
        return anyio.run(main)

    @asynccontextmanager
    async def stream(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] = (),
        run_id: str | None = None,
    ) -> AsyncIterator[EventStream]:
        """Run, and iterate over the events: `async with agent.stream(prompt) as events`.

        Leaving the block early cancels the run and closes its connection. A failing run raises its
        `RunError` from the iteration.
        """
        send, receive = anyio.create_memory_object_stream[RunEvent](64)
        outcome: list[RunResult] = []
        failure: list[Exception] = []

        async def run() -> None:
            async with send:
                try:
                    outcome.append(
                        await self.run(prompt, messages=messages, run_id=run_id, on_event=send.send)
                    )
                except Exception as error:
                    failure.append(error)

        async def events() -> AsyncGenerator[RunEvent, None]:
            async for event in receive:
                yield event
            if failure:
                raise failure[0]

        error_inside: BaseException | None = None
        async with receive, aclosing(events()) as iterator, anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            try:
                yield EventStream(_receive=iterator, _result=outcome)
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                error_inside = error  # raised below, outside: a task group would wrap it
            tasks.cancel_scope.cancel()
        if error_inside is not None:
            raise error_inside

    @property
    def models(self) -> str | Sequence[ModelChoice]:
        """The same as `model`, by the name that it has for a list."""
        return self.model

    @models.setter
    def models(self, models: str | Sequence[ModelChoice]) -> None:
        self.model = models

    def _client(self) -> "Client":
        from agentcore.client import Client

        # A connection belongs to the event loop that opened it.
        connections = self._kept.get(current_token()) if self._kept else None
        if connections is not None:
            return Client(connections=connections)
        return Client(transport=self._transport, fast=self._fast)

    @override
    def _settings(self) -> Settings:
        tools = checked_tools(self.tools, self.allow_unconfined, approve=self.approve)
        return Settings(
            endpoints=self._endpoints(),
            tools=tools,
            allow_unconfined=frozenset(self.allow_unconfined),
            approve=self.approve,
            workspace=checked_workspace(self.workspace),
            max_output_tokens=self.max_output_tokens,
            policy=self.policy,
            clocks=self.clocks,
            limits=self.limits,
            history=self.history,
            templates=checked_guidance(self.guidance, tools),
        )

    def _endpoints(self) -> tuple[Endpoint, ...]:
        """Those of `model` and `adapter`, the same ones for as long as these say the same."""
        # A list and an adapter may be changed in place.
        model: object = self.model
        if isinstance(model, Sequence) and not isinstance(model, str):
            model = tuple(model)
        given = (model, self.adapter)
        if self._resolved is not None:
            known, places, endpoints = self._resolved
            if known == given and places == [endpoint.place for endpoint in endpoints]:
                return endpoints
        endpoints = resolve_models(self.model, self.adapter)
        self._resolved = given, [endpoint.place for endpoint in endpoints], endpoints
        return endpoints

    @override
    def _opening(
        self, prompt: str | None, messages: Sequence[Message]
    ) -> tuple[list[Message], bool]:
        """The conversation that a run begins with, and whether it begins with our instructions."""
        conversation = list(messages)
        for message in conversation:
            if not isinstance(message, get_args(get_args(Message)[0])):
                raise ConfigurationError(
                    f"messages: a {type(message).__name__} is no message; load_messages() reads "
                    "them from JSON"
                )
        adds_system = bool(self.system) and not any(
            isinstance(message, SystemMessage) for message in conversation
        )
        if adds_system:
            conversation.insert(0, SystemMessage(content=self.system))
        if prompt is not None:
            conversation.append(UserMessage(content=mend_surrogates(prompt)))
        if not conversation:
            raise ConfigurationError("run(): give a prompt, or messages to go on with")
        return conversation, adds_system


def _loop_is_running() -> bool:
    try:
        anyio.get_cancelled_exc_class()
    except RuntimeError:
        return False
    return True


def _new_id() -> str:
    return "".join(random.choices(string.ascii_letters + string.digits, k=9))
