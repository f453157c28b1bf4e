"""The front door: bad input fails before any request; a run goes on through everything else."""

import json
import sys
from collections import UserList
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from typing_extensions import override

from agentcore import (
    Agent,
    ConfigurationError,
    Limits,
    Local,
    OpenRouter,
    RunError,
    RunEvent,
    ToolContext,
    dump_messages,
    load_messages,
    tool,
)
from agentcore.endpoint import ModelChoice
from agentcore.events import TextReceived, ToolArgumentsReceived, TurnFinished
from agentcore.messages import Message, SystemMessage, ToolMessage, Usage, UserMessage
from agentcore.settings import checked_workspace
from agentcore.testing import Answer, Call, GatewayTransport, Reply, Send, stream
from agentcore.tools import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ADAPTER = Local(base_url="http://127.0.0.1:9/v1")


@tool
def explode(reason: str) -> str:
    """Raise."""
    raise RuntimeError(reason)


@tool(confined=False)
def unconfined() -> None:
    """Do anything."""


@tool(name="write_file")
def another(path: str) -> str:
    """A second tool of that name."""
    return path


def not_a_tool() -> str:
    return "a plain function"


def answering(*answers: Answer) -> httpx2.AsyncBaseTransport:
    """A transport in process that gives one answer after another."""
    script = iter(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        reply: Reply = stream(next(script))
        body = b"".join(step.data for step in reply.steps if isinstance(step, Send))
        return httpx2.Response(200, headers=dict(reply.headers), content=body)

    return httpx2.MockTransport(handle)


def agent_of(*answers: Answer, **options: Any) -> Agent:
    return Agent("m", adapter=ADAPTER, transport=answering(*answers), **options)


NOT_TOOLS: Any = [not_a_tool]

BAD_INPUT: list[tuple[Callable[[], object], str]] = [
    (lambda: Agent("claude-opus-4.6"), "model 'claude-opus-4.6': write \"provider:model-id\""),
    (lambda: Agent("nobody:gpt"), "there is no provider 'nobody' (providers: anthropic, azure"),
    (lambda: Agent("openrouter:"), "model 'openrouter:'"),
    (lambda: Agent("local:llama"), "Local(base_url=''): give the address"),
    (lambda: Agent("m", adapter=Local(base_url="localhost:8000")), "with http:// or https://"),
    (lambda: Agent("m", adapter=ADAPTER, workspace="no/such"), "workspace 'no/such': there is no"),
    (
        lambda: Agent("m", adapter=ADAPTER, max_output_tokens=0),
        "max_output_tokens=0: must be a whole number from 1 on, or None",
    ),
    (
        lambda: Agent("m", adapter=ADAPTER, tools=[write_file, another]),
        "two are named 'write_file'",
    ),
    (lambda: Agent("m", adapter=ADAPTER, tools=NOT_TOOLS), "not_a_tool is not a tool; put @tool"),
    (
        lambda: Agent("m", adapter=ADAPTER, tools=[unconfined]),
        "allow_unconfined=['unconfined']",
    ),
    (lambda: Limits(idle_turns=0), "Limits(idle_turns=0): must be at least 1"),
    (lambda: Limits(seconds=0.0), "Limits(seconds=0.0): must be above 0"),
    (lambda: tool(name="bare")(lambda value: value), "has no annotation"),
]


@pytest.mark.parametrize(("make", "says"), BAD_INPUT, ids=[says[:30] for _, says in BAD_INPUT])
def test_bad_input_fails_before_any_request_in_one_line(
    make: Callable[[], object], says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are not such a thing there")
def test_a_workspace_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ConfigurationError, match="cannot be written to"):
        Agent("m", adapter=ADAPTER, workspace=tmp_path)


async def test_a_workspace_is_where_its_path_leads_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old" / "inside").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "old" / "inside")
    assert checked_workspace(link) == tmp_path / "old" / "inside"
    link.unlink()
    link.symlink_to(tmp_path / "new")
    (tmp_path / "old" / "inside").rmdir()
    (tmp_path / "old").rmdir()
    (tmp_path / "old").write_text("a file where the folder's folder was")
    assert checked_workspace(link) == tmp_path / "new"

    monkeypatch.chdir(tmp_path / "new")
    assert checked_workspace("") == checked_workspace(".") == tmp_path / "new"
    monkeypatch.chdir(tmp_path)
    assert checked_workspace("") == checked_workspace(".") == tmp_path


def test_models_that_are_changed_in_place_are_looked_at_again() -> None:
    models = UserList[ModelChoice]([("m", ADAPTER)])
    agent = Agent(models)
    models[0] = "nonsense"
    with pytest.raises(ConfigurationError, match="nonsense"):
        agent._settings()

    adapter = Local(base_url="http://localhost/v1")
    agent = Agent([("m", adapter)])
    adapter.base_url = "http://user:secret@localhost/v1"
    with pytest.raises(ConfigurationError, match="leave out the credential"):
        agent._settings()


async def test_a_missing_key_names_the_variable_to_set(tmp_path: Path) -> None:
    agent = Agent("openrouter:anthropic/claude-opus-4.6", workspace=tmp_path)
    with pytest.raises(ConfigurationError, match="set the environment variable OPENROUTER_API_KEY"):
        await agent.run("Go on.")


async def test_a_model_switched_to_nonsense_fails_by_name() -> None:
    agent = agent_of(Answer(text="fine"))
    agent.adapter = None
    with pytest.raises(ConfigurationError, match="model 'm'"):
        await agent.run("Go on.")


async def test_a_run_gives_text_messages_usage_and_ledger() -> None:
    agent = agent_of(Answer(text="Four.", usage=Usage(input_tokens=7, output_tokens=2)), system="S")
    result = await agent.run("What is two and two?")
    assert result.text == "Four."
    assert result.usage == Usage(input_tokens=7, output_tokens=2)
    assert [message.role for message in result.messages] == ["system", "user", "assistant"]
    assert [(r.turn, r.attempt, r.outcome) for r in result.attempts] == [(1, 1, "complete")]


async def test_a_conversation_goes_on_from_its_json() -> None:
    agent = agent_of(Answer(text="one"), Answer(text="two"), system="S")
    first = await agent.run("Say one.")
    second = await agent.run("And two.", messages=load_messages(dump_messages(first.messages)))
    assert second.messages[:3] == first.messages
    assert sum(isinstance(message, SystemMessage) for message in second.messages) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ('{"reason": "a bug"}', "explode failed: RuntimeError: a bug"),
        ('{"reason": 7}', "reason: Input should be a valid string; came: 7"),
        ("{}", "reason: Field required"),
    ],
)
async def test_a_failing_call_is_told_to_the_model_and_the_run_goes_on(
    arguments: str, says: str
) -> None:
    call = Call(name="explode", arguments=arguments)
    agent = agent_of(Answer(calls=(call,)), Answer(text="I see."), tools=[explode])
    result = await agent.run("Go on.")
    told = result.messages[-2]
    assert isinstance(told, ToolMessage)
    assert told.is_error
    assert says in told.content
    assert result.text == "I see."


async def test_the_same_failing_call_ends_the_run_at_the_fourth_time() -> None:
    again = Answer(calls=(Call(name="explode", arguments='{"reason": "x"}'),))
    agent = agent_of(*[again] * 9, tools=[explode])
    with pytest.raises(RunError, match="same failing call of explode 4 times") as caught:
        await agent.run("Go on.")
    assert len(caught.value.attempts) == 4
    assert load_messages(dump_messages(caught.value.messages)) == caught.value.messages


async def test_a_display_that_raises_is_detached_and_costs_nothing() -> None:
    shown: list[RunEvent] = []

    def display(event: RunEvent) -> None:
        shown.append(event)
        raise ValueError("no terminal")

    agent = agent_of(Answer(text="fine"))
    with pytest.warns(RuntimeWarning, match="on_event raised ValueError: no terminal"):
        result = await agent.run("Go on.", on_event=display)
    assert result.text == "fine"
    assert len(shown) == 1


async def test_events_may_be_heard_by_an_async_function() -> None:
    heard: list[str] = []

    async def listen(event: RunEvent) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(type(event).__name__)

    await agent_of(Answer(text="fine")).run("Go on.", on_event=listen)
    assert heard == ["AttemptStarted", "TextReceived", "TurnFinished"]


async def test_the_events_of_a_cancelled_run_make_a_conversation_that_goes_on() -> None:
    told: list[TurnFinished] = []
    begun = anyio.Event()

    @tool
    async def quick() -> str:
        return "quick"

    @tool
    async def slow() -> None:
        begun.set()
        await anyio.sleep_forever()

    def keep(event: RunEvent) -> None:
        if isinstance(event, TurnFinished):
            told.append(event)

    calls = (Call(name="quick", arguments="{}"), Call(name="slow", arguments="{}"))
    agent = agent_of(Answer(calls=calls), Answer(text="Gone on."), tools=[quick, slow])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: agent.run("Go on.", on_event=keep))
        await begun.wait()
        tasks.cancel_scope.cancel()

    (last,) = told
    assert [result.tool_call_id for result in last.results] == [
        c.id for c in last.message.tool_calls
    ]
    assert [result.is_error for result in last.results] == [False, True]
    assert "The run was cancelled while slow ran" in last.results[1].content
    result = await agent.run("Yes?", messages=[last.message, *last.results])
    assert result.text == "Gone on."


async def test_events_may_be_iterated() -> None:
    agent = agent_of(Answer(text="A streamed answer."))
    async with agent.stream("Go on.") as events:
        with pytest.raises(
            RuntimeError, match="there is none, for the iteration has not come to its end"
        ):
            _ = events.result
        text = "".join([event.text async for event in events if isinstance(event, TextReceived)])
    assert text == events.result.text == "A streamed answer."


async def test_leaving_the_iteration_early_ends_the_run() -> None:
    agent = agent_of(Answer(text="A streamed answer."))
    async with agent.stream("Go on.") as events:
        async for _ in events:
            break
    with pytest.raises(RuntimeError):
        _ = events.result


async def test_a_failing_run_raises_from_the_iteration() -> None:
    again = Answer(calls=(Call(name="explode", arguments='{"reason": "x"}'),))
    agent = agent_of(*[again] * 9, tools=[explode])
    async with agent.stream("Go on.") as events:
        with pytest.raises(RunError, match="explode"):
            _ = [event async for event in events]
    with pytest.raises(RunError, match="explode"):
        await _iterate(agent)


async def _iterate(agent: Agent) -> None:
    """What most people write: nothing catches the error inside the block."""
    async with agent.stream("Go on.") as events:
        async for _ in events:
            pass


def test_scripts_run_without_a_loop_of_their_own() -> None:
    assert agent_of(Answer(text="fine")).run_sync("Go on.").text == "fine"


async def test_history_decides_what_a_request_carries() -> None:
    carried: list[tuple[Message, ...]] = []

    def last_only(messages: tuple[Message, ...]) -> "Sequence[Message]":
        carried.append(messages[-1:])
        return messages[-1:]

    agent = agent_of(Answer(text="one"), Answer(text="two"), history=last_only)
    first = await agent.run("Say one.")
    await agent.run("Say two.", messages=first.messages)
    assert carried == [(UserMessage(content="Say one."),), (UserMessage(content="Say two."),)]


async def test_turns_that_write_nothing_new_end_the_run() -> None:
    @tool
    def look(what: int) -> str:
        """Look."""
        return str(what)

    looks = [
        Answer(calls=(Call(name="look", arguments=f'{{"what": {n}}}', id=f"c{n}"),))
        for n in range(9)
    ]
    agent = agent_of(*looks, tools=[look], limits=Limits(idle_turns=3))
    with pytest.raises(
        RunError, match=r"3 turns in a row wrote nothing new \(Limits.idle_turns\)"
    ) as caught:
        await agent.run("Go on.")
    # Nothing had failed, and "Last failure: none" was told once.
    assert "Last failure" not in str(caught.value)


async def test_sections_of_a_file_are_progress(tmp_path: Path) -> None:
    def section(number: int) -> Answer:
        arguments = (
            f'{{"path":"a","mode":"append","start_line":{number},"content":"line {number}\\n"}}'
        )
        return Answer(calls=(Call(name="write_file", arguments=arguments, id=f"c{number}"),))

    sections = [section(number) for number in range(1, 61)]
    agent = agent_of(
        *sections,
        Answer(text="done"),
        tools=[write_file],
        workspace=tmp_path,
        limits=Limits(idle_turns=3),
    )
    await agent.run("Write sixty lines.")
    assert len((tmp_path / "a").read_text().splitlines()) == 60


async def test_the_text_for_a_person_repeats_a_long_message_in_part() -> None:
    said = "max_tokens is wrong:\n\n\t  see " + "the page " * 99

    def refuse(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(400, json={"error": {"message": said}})

    agent = Agent("m", adapter=ADAPTER, transport=httpx2.MockTransport(refuse))
    with pytest.raises(RunError) as caught:
        await agent.run("Go on.")

    (line,) = [line for line in str(caught.value).splitlines() if line.startswith("Last failure: ")]
    assert line.startswith("Last failure: invalid_request — max_tokens is wrong: see the page the")
    message, _, rest = line.partition(" — ")[2].partition(" (local at ")
    assert message == " ".join(said.split())[:400] + "…"
    assert rest == "http://127.0.0.1:9/v1, m; rule status-4xx; 1 request in all)."


async def test_a_run_may_be_limited_in_seconds() -> None:
    @tool
    async def nap() -> str:
        """Sleep a little."""
        await anyio.sleep(0.02)
        return "rested"

    naps = [Answer(calls=(Call(name="nap", arguments="{}", id=f"c{n}"),)) for n in range(99)]
    agent = agent_of(*naps, tools=[nap], limits=Limits(seconds=0.1))
    with pytest.raises(RunError, match=r"Limits.seconds"):
        await agent.run("Go on.")


async def test_a_tool_without_required_arguments_may_be_called_with_none_at_all() -> None:
    @tool
    def ping() -> str:
        """Answer."""
        return "pong"

    agent = agent_of(
        Answer(calls=(Call(name="ping", arguments=""),)), Answer(text="ok"), tools=[ping]
    )
    result = await agent.run("Go on.")
    told = result.messages[-2]
    assert isinstance(told, ToolMessage)
    assert told.content == "pong"


async def test_a_tool_may_ask_for_the_workspace(tmp_path: Path) -> None:
    @tool
    def where(context: ToolContext) -> str:
        """Tell the folder."""
        return f"{context.workspace} {context.call_id}"

    agent = agent_of(
        Answer(calls=(Call(name="where", arguments="{}", id="c7"),)),
        Answer(text="ok"),
        tools=[where],
        workspace=tmp_path,
    )
    result = await agent.run("Go on.")
    told = result.messages[-2]
    assert isinstance(told, ToolMessage)
    assert told.content == f"{agent.workspace} c7"


async def test_ids_that_an_endpoint_gives_twice_are_told_apart_in_the_history() -> None:
    @tool
    def look(what: int) -> str:
        """Look."""
        return str(what)

    same = [
        Answer(calls=(Call(name="look", arguments=f'{{"what": {n}}}', id="call_0"),))
        for n in range(2)
    ]
    result = await agent_of(*same, Answer(text="ok"), tools=[look]).run("Go on.")
    ids = [message.tool_call_id for message in result.messages if isinstance(message, ToolMessage)]
    assert len(set(ids)) == 2


async def test_the_last_event_of_a_turn_carries_its_message() -> None:
    seen: list[TurnFinished] = []

    def display(event: RunEvent) -> None:
        if isinstance(event, TurnFinished):
            seen.append(event)

    await agent_of(Answer(text="fine")).run("Go on.", on_event=display)
    assert [(event.turn, event.attempt, event.message.content) for event in seen] == [
        (1, 1, "fine")
    ]


async def test_a_fault_in_an_adapter_surfaces_as_itself() -> None:
    class Faulty(Local):
        @override
        def decode(self, event_name: str, chunk: object) -> "Iterable[Any]":
            raise ZeroDivisionError("in the adapter")

    agent = Agent(
        "m",
        adapter=Faulty(base_url="http://127.0.0.1:9/v1"),
        transport=answering(Answer(text="fine")),
    )
    with pytest.raises(ZeroDivisionError, match="in the adapter"):
        await agent.run("Go on.")


async def test_keys_never_stand_in_what_is_shown() -> None:
    events: list[RunEvent] = []
    agent = Agent(
        "m",
        adapter=OpenRouter(base_url="http://127.0.0.1:9/v1", api_key="sk-planted"),
        transport=answering(Answer(text="fine")),
    )
    result = await agent.run("Go on.", on_event=events.append)
    assert "sk-planted" not in repr((agent.adapter, events, result))


@pytest.mark.parametrize("calls", [1, 2])
async def test_what_a_call_sets_in_the_context_stays_inside(calls: int) -> None:
    name = ContextVar("name", default="outside")

    @tool
    async def rename() -> str:
        """Set a variable of the context."""
        name.set("inside")
        return name.get()

    answer = Answer(calls=tuple(Call(name="rename", arguments="{}") for _ in range(calls)))
    result = await agent_of(answer, Answer(text="fine"), tools=[rename]).run("Go on.")
    told = [message.content for message in result.messages if isinstance(message, ToolMessage)]
    assert told == ["inside"] * calls
    assert name.get() == "outside"


# A hundred deltas of arguments may lie in one network read: a display needs no word about each.
async def test_a_listener_hears_in_the_end_how_far_the_arguments_of_a_burst_came(
    tmp_path: Path,
) -> None:
    arguments = {"path": "a.txt", "mode": "create", "content": "a line, é\n" * 1_000}
    call = Call(name="write_file", arguments=json.dumps(arguments, ensure_ascii=False))
    transport = GatewayTransport()
    transport.play(stream(Answer(calls=(call,)), piece=5), stream(Answer(text="Written.")))
    agent = Agent("m", adapter=ADAPTER, tools=[write_file], workspace=tmp_path, transport=transport)
    heard: list[RunEvent] = []
    await agent.run("Write.", on_event=heard.append)
    told = [event for event in heard if isinstance(event, ToolArgumentsReceived)]
    assert (told[-1].received_bytes, told[-1].lines) == (len(call.arguments.encode()), 1_000)
    assert [event.received_bytes for event in told] == sorted(
        event.received_bytes for event in told
    )
