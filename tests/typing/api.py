"""The public API as users write it: type-checked, never run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, assert_type

import anyio
import anyio.lowlevel
from pydantic import Field
from typing_extensions import override

from agentcore import (
    NOT_DONE,
    Agent,
    ApprovalRequest,
    Approved,
    Arriving,
    AttemptRecord,
    Backoff,
    Begun,
    Classification,
    Clocks,
    ConfigurationError,
    CutCause,
    Denied,
    ErrorKind,
    ErrorRule,
    EventStream,
    JournalError,
    JournalEvent,
    Limits,
    Local,
    Message,
    ModelFamily,
    ModelRetry,
    NotJournalled,
    OpenAI,
    OpenRouter,
    Policy,
    ProviderAdapter,
    RunBusy,
    RunError,
    RunEvent,
    RunHandle,
    RunInfo,
    RunLost,
    RunResult,
    SqliteStore,
    Strength,
    Tool,
    ToolContext,
    ToolFailed,
    ToolResult,
    Toolset,
    UnknownRun,
    Usage,
    classify,
    dump_messages,
    family_of,
    load_messages,
    tool,
)
from agentcore.events import (
    AttemptCut,
    DraftKept,
    DraftsFound,
    GuidanceGiven,
    OutputDiscarded,
    ReasoningDelta,
    StreamEvent,
    TextKept,
    TextReceived,
    ToolArgumentsReceived,
    WaitStarted,
)
from agentcore.facts import ErrorFacts, RetryAfter, Surface, facts_of_payload
from agentcore.families import CapParameter
from agentcore.fleet import Worker
from agentcore.journal import Record
from agentcore.ledger import Draft, Unfinished
from agentcore.messages import AssistantMessage, JsonObject, SystemMessage, ToolMessage, UserMessage
from agentcore.providers import PROVIDERS
from agentcore.providers.base import Capabilities, OutputLimit, Request, ToolStreaming, Wire
from agentcore.testing import (
    NETWORK_LOST,
    Answer,
    Call,
    Gateway,
    RecordedRequest,
    Reply,
    after_events,
    cut,
    status,
    stream,
    whole,
)
from agentcore.tools import BUILTIN_TOOLS, execute_code, read_file, write_file
from agentcore.tools.approval import Approve
from agentcore.tools.base import Continuation, CutDraft
from agentcore.verdict import Partial

# --- tools ----------------------------------------------------------------------------------


@tool
def word_count(text: str) -> int:
    """Count words."""
    return len(text.split())


@tool
async def fetch_note(name: str, context: ToolContext) -> str:
    """Read a note."""
    return await (anyio.Path(context.workspace) / name).read_text()


@tool(name="save_note", writes="name", draft="text")
def save(
    *, name: str, text: Annotated[str, Field(min_length=1)], context: ToolContext
) -> ToolResult:
    """Save a note."""
    (context.workspace / name).write_text(text)
    return ToolResult(content=f"{name} is saved.", changed=True)


@tool(reads="name", alone=True, confined=False)
async def inspect_note(name: str) -> dict[str, int]:
    """Tell the length of a note."""
    await anyio.lowlevel.checkpoint()
    return {"length": len(name)}


@save.on_cut
def go_on(context: ToolContext, cut: CutDraft) -> Continuation | None:
    name = cut.fields.get("name")
    if not isinstance(name, str):
        return None
    on_disk = f"{name} is {'ours' if cut.ours else 'new'} in {context.workspace}."
    return Continuation(on_disk=on_disk, next_call=f'name="{name}"', new_lines=cut.text.count("\n"))


@tool(draft="text")
async def post(text: str) -> None:
    """Post a text."""
    await anyio.lowlevel.checkpoint()


@post.on_cut
async def go_on_later(_: ToolContext, cut: CutDraft) -> Continuation | None:
    await anyio.lowlevel.checkpoint()
    return Continuation(on_disk="Nothing is posted.", next_call="") if not cut.text else None


@tool(repeat="safe")
async def find_order(number: int) -> str:
    """Look an order up."""
    await anyio.lowlevel.checkpoint()
    return f"order {number}"


@tool(begins_itself=True)
def pay(order: int, context: ToolContext) -> ToolResult:
    """Pay an order."""
    context.begin({"order": order})
    return ToolResult(content=f"paid by {context.key}", changed=True)


@pay.settled
async def look_payment_up(key: str, arguments: Mapping[str, object], begun: Begun) -> object:
    await anyio.lowlevel.checkpoint()
    assert_type(begun.at, float)
    assert_type(begun.evidence, JsonObject)
    assert_type(begun.context, ToolContext)
    return NOT_DONE if arguments.get("order") == 1 else None


own_tools: list[Tool] = [word_count, fetch_note, save, inspect_note, post, find_order, pay]
assert_type(BUILTIN_TOOLS, dict[str, Tool])


async def call_the_functions_themselves(context: ToolContext) -> None:
    """A tool is still its function, with its types."""
    assert_type(word_count("a b"), int)
    assert_type(await fetch_note("plan", context), str)
    assert_type(save(name="plan", text="Begin.", context=context), ToolResult)
    assert_type(await inspect_note("plan"), dict[str, int])


# --- sets, failures, approval ---------------------------------------------------------------

notes = Toolset("notes", [word_count, Toolset("more", [save])], prefix="note_", timeout=30.0)


@notes.tool
def shout(text: str) -> str:
    """Say it loudly."""
    if not text:
        raise ModelRetry("Give a text.")
    if len(text) > 100:
        raise ToolFailed("That is too long to be shouted.")
    return text.upper()


@tool(needs_approval=lambda fields: "it is long" if len(str(fields)) > 99 else False, strict=True)
def shred(name: str, context: ToolContext) -> str:
    """Remove a note."""
    context.check_cancelled()
    return name


assert_type(shout("a"), str)
assert_type(list(notes.only("note_shout").without()), list[Tool])


def approve(request: ApprovalRequest) -> bool | Denied:
    return True if request.tool == "shred" else Denied(reason=request.reason)


async def approve_later(request: ApprovalRequest) -> Approved | str:
    await anyio.lowlevel.checkpoint()
    return Approved(arguments=request.arguments) if request.call_id else "not without an id"


approvers: list[Approve] = [approve, approve_later, lambda _: "never"]

# --- an endpoint of one's own ---------------------------------------------------------------


class Acme(ProviderAdapter):
    name = "acme"
    base_url = "https://llm.acme.example/v1"
    api_key_env = "ACME_KEY"
    api_key_required = False
    clocks = Clocks(transport=55.0)
    capabilities = Capabilities(usage_in_stream=False, done_is_terminal=True)
    error_rules = (
        ErrorRule(
            name="acme-plan",
            kind=ErrorKind.QUOTA,
            strength=Strength.SPECIFIC,
            why="acme's code for a used-up plan",
            surfaces=(Surface.HTTP,),
            words=("plan_exhausted",),
        ),
    )

    @override
    def headers(self, request: Request) -> Mapping[str, str]:
        return {"x-acme-model": request.model}

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        if family.name.startswith("claude"):
            return ToolStreaming(tool_fields={"eager_input_streaming": True})
        return super().tool_streaming(family)

    @override
    def cap_parameter(self, request: Request) -> CapParameter:
        return "max_completion_tokens"

    @override
    def output_limit(self, request: Request) -> OutputLimit:
        limit = super().output_limit(request)
        assert_type(limit.tokens, int | None)
        return OutputLimit(tokens=min(limit.tokens or 64_000, 64_000), source=limit.source)

    @override
    def payload(self, request: Request) -> JsonObject:
        return {**super().payload(request), "lane": "long"}

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        body = super().message(message, family)
        if isinstance(message, SystemMessage):
            body["role"] = "developer"
        return body

    @override
    def encode(self, request: Request) -> Wire:
        wire = super().encode(request)
        assert_type(wire.body, bytes)
        return wire

    @override
    def decode(self, event_name: str, chunk: JsonObject) -> Iterable[StreamEvent]:
        if isinstance(thought := chunk.get("acme_thought"), str):
            yield ReasoningDelta(thought)
        yield from super().decode(event_name, chunk)


class Rented(Local):
    clocks = Clocks(first_byte=900.0, first_event=900.0)


assert_type(PROVIDERS, dict[str, type[ProviderAdapter]])

# --- agents ---------------------------------------------------------------------------------


def newest(messages: tuple[Message, ...]) -> Sequence[Message]:
    return messages[-20:]


agent = Agent(
    "openrouter:anthropic/claude-opus-4.6",
    tools=[write_file, read_file, execute_code, word_count, save],
    workspace=Path("out"),
    system="Be exact.",
    max_output_tokens=32_000,
    policy=Policy(max_attempts=4, max_seconds=600.0, backoff=Backoff(first=0.5, cap=20.0)),
    clocks=Clocks(text=120.0, buffered_tool_arguments=None),
    limits=Limits(idle_turns=40, seconds=3600.0),
    history=newest,
    allow_unconfined=["execute_code"],
)
with_adapter = Agent("claude-opus-4.6", adapter=Acme(api_key=lambda: "sk", extra_body={"seed": 1}))
agents = [
    Agent("m", adapter=Local(base_url="http://localhost:8000/v1", api_key=None)),
    Agent("m", adapter=Rented(base_url="http://localhost:8000/v1"), workspace="."),
    Agent("gpt-5.2", adapter=OpenAI(extra_headers={"OpenAI-Organization": "org"})),
    Agent("z-ai/glm-5", adapter=OpenRouter(api_key="sk"), tools=tuple(BUILTIN_TOOLS.values())),
]


def show(event: RunEvent) -> None:
    match event:
        case TextReceived(text=text):
            assert_type(text, str)
        case ToolArgumentsReceived(name=name, received_bytes=size, lines=lines):
            assert_type((name, size, lines), tuple[str, int, int])
        case AttemptCut(record=record):
            assert_type(record, AttemptRecord)
        case WaitStarted(seconds=seconds):
            assert_type(seconds, float)
        case DraftKept(target=target, draft_id=draft_id, new_lines=new_lines):
            assert_type((target, draft_id, new_lines), tuple[str, str, int])
        case DraftsFound(drafts=found):
            assert_type(found, tuple[Draft, ...])
        case TextKept(kept_bytes=kept_bytes):
            assert_type(kept_bytes, int)
        case GuidanceGiven() | OutputDiscarded():
            assert_type(event.attempt, int)
        case _:
            assert_type(event.turn, int)


async def show_slowly(event: RunEvent) -> None:
    await anyio.lowlevel.checkpoint()
    show(event)


async def use() -> None:
    result = await agent.run("Write plan.md.", on_event=show)
    assert_type(result, RunResult)
    assert_type(result.text, str)
    assert_type(result.messages, tuple[Message, ...])
    assert_type(result.attempts, tuple[AttemptRecord, ...])
    assert_type(result.drafts, tuple[Unfinished, ...])
    assert_type(result.usage + Usage(output_tokens=1), Usage)

    events_seen: list[RunEvent] = []
    await agent.run("Go on.", messages=result.messages, on_event=events_seen.append)
    await agent.run("Go on.", messages=[UserMessage(content="Hello.")], on_event=show_slowly)

    async with with_adapter.stream("Go on.", messages=result.messages) as events:
        assert_type(events, EventStream)
        async for event in events:
            assert_type(event, RunEvent)
        assert_type(events.result, RunResult)

    agent.model = "openai:gpt-5.2"
    agent.adapter = Acme()
    agent.max_output_tokens = None
    agent.tools = (write_file,)


fleet = Agent("openai:gpt-5.2", journal="postgresql://db/agents")
worker = Worker(agent=fleet, concurrency=5, settings={"global_concurrency": 50}, name="one")
assert_type(worker.stop(grace_seconds=5.0), tuple[str, ...])
assert_type(worker.driven, tuple[str, ...])
durable = Agent("openai:gpt-5.2", journal=SqliteStore("runs.db", synchronous="NORMAL"))


async def use_named_runs() -> None:
    assert_type(await durable.run("Write plan.md.", run_id="plan-42", on_event=show), RunResult)
    run = await durable.submit("Write plan.md.", run_id="plan-43")
    await fleet.submit("Write.", run_id="a", queue="slow", priority=1, partition="acme")
    assert_type(run, RunHandle)
    assert_type(await run.send("Be brief."), int)
    async for event in run.events(after=3):
        match event:
            case JournalEvent(seq=seq, record=record):
                assert_type((seq, record), tuple[int, Record])
            case Arriving(text=text, calls=calls):
                assert_type((text, calls), tuple[str, tuple[tuple[str, int], ...]])
    assert_type(await durable.drive(run.id), RunResult)
    assert_type(await durable.runs(), tuple[RunInfo, ...])
    assert_type((await run.info()).seq, int)
    await durable.cancel(run.id, "not needed any more")
    other = await durable.fork(run.id, "plan-44", after=7, text="The other way.")
    try:
        assert_type(await other.resume(on_event=show), RunResult)
    except NotJournalled as error:
        assert_type(error.__cause__, BaseException | None)
    except (RunBusy, RunLost, UnknownRun) as error:
        journal_error: JournalError = error
        raise SystemExit(str(journal_error)) from error
    await durable.get_run(other.id).delete()


def use_in_a_script() -> str:
    try:
        return agent.run_sync("Go on.", on_event=show).text
    except ConfigurationError as error:
        assert_type(error, ConfigurationError)
        value_error: ValueError = error
        raise SystemExit(str(value_error)) from error
    except RunError as error:
        assert_type(error.kind, ErrorKind | None)
        assert_type(error.partial, Partial | None)
        again = load_messages(dump_messages(error.messages))
        return agent.run_sync("Go on.", messages=again).text


def read_a_conversation(messages: Sequence[Message]) -> list[str]:
    said: list[str] = []
    for message in messages:
        match message:
            case AssistantMessage(content=content, tool_calls=calls):
                said += [content, *(call.arguments for call in calls)]
            case ToolMessage(is_error=True):
                said.append(message.name)
            case SystemMessage() | UserMessage() | ToolMessage():
                said.append(message.content)
    return said


def read_the_ledger(record: AttemptRecord) -> None:
    assert_type(record.cause, CutCause | None)
    assert_type(record.kind, ErrorKind | None)
    assert_type(record.usage, Usage | None)
    assert_type(record.output_limit, int | None)


# --- errors and families --------------------------------------------------------------------

facts = facts_of_payload({"error": {"code": "plan_exhausted"}}, surface=Surface.HTTP, status=429)
assert_type(facts, ErrorFacts)
found = classify(facts, Acme.error_rules)
assert_type(found, Classification)
assert_type(found.retry_after, RetryAfter | None)
assert_type(found.kind.is_transient, bool)
assert_type(family_of("claude-opus-4.6"), ModelFamily)
assert_type(family_of("claude-opus-4.6").max_output_tokens, int | None)

# --- tests of one's own ---------------------------------------------------------------------


def respond(request: RecordedRequest) -> Reply:
    good = stream(Answer(calls=(Call(name="save_note", arguments="{}"),)), pace=0.01)
    match request.number:
        case 1:
            return cut(good, at=after_events(1), by=NETWORK_LOST)
        case 2:
            return status(429, {"error": {"message": "slow down"}}, {"retry-after": "1"})
        case 3:
            return whole(Answer(text="Done."))
        case _:
            return good


async def meet() -> None:
    async with Gateway(respond=respond, idle_limit=2.0) as gateway:
        assert_type(gateway, Gateway)
        assert_type(gateway.requests, list[RecordedRequest])
        await Agent("m", adapter=Acme(base_url=gateway.base_url)).run("Go on.")


async def call_a_tool() -> None:
    arguments = save.validate({"name": "plan", "text": "Begin."})
    answer = await save.run(arguments, ToolContext(workspace=Path()))
    assert_type(answer, ToolResult)
