"""agentcore, as its users have it: `Agent.run`, drafts on, files written for good."""

import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from agentcore import Agent, Limits, Local, tool
from agentcore.events import RunEvent, ToolArgumentsReceived
from agentcore.messages import AssistantMessage, Message, UserMessage
from agentcore.tools import write_file


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@tool(name="add")
def add_in_thread(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


class Client:
    def __init__(self, base_url: str, workspace: str, on_event=None) -> None:
        adapter = Local(base_url=base_url)
        self._on_event = on_event
        self._workspace = Path(workspace)
        self._talker = Agent("bench", adapter=adapter, workspace=workspace)
        self._writer = Agent("bench", adapter=adapter, workspace=workspace, tools=[write_file])
        self._adder, self._thread_adder = (
            Agent(
                "bench",
                adapter=adapter,
                workspace=workspace,
                tools=[tool],
                limits=Limits(idle_turns=10_000),
            )
            for tool in (add, add_in_thread)
        )
        self.agents = (self._talker, self._writer, self._adder, self._thread_adder)

    async def text(self, prompt: str) -> str:
        return (await self._talker.run(prompt, on_event=self._on_event)).text

    async def tool(self, prompt: str, arrived) -> str:
        def listen(event: RunEvent) -> None:
            if isinstance(event, ToolArgumentsReceived):
                arrived()  # each time: the last counts

        await self._writer.run(prompt, on_event=listen if arrived else self._on_event)
        return (self._workspace / "plan.md").read_text()

    async def loop(self, prompt: str) -> str:
        return (await self._adder.run(prompt, on_event=self._on_event)).text

    async def loop_in_threads(self, prompt: str) -> str:
        return (await self._thread_adder.run(prompt, on_event=self._on_event)).text

    def conversation(self, messages: list[dict]) -> list[Message]:
        kinds = {"user": UserMessage, "assistant": AssistantMessage}
        return [kinds[message["role"]](content=message["content"]) for message in messages]

    async def history(self, prompt: str, conversation: list[Message]) -> str:
        result = await self._talker.run(prompt, messages=conversation, on_event=self._on_event)
        return result.text


@asynccontextmanager
async def connected(base_url: str, on_event=None):
    with tempfile.TemporaryDirectory() as workspace:
        client = Client(base_url, workspace, on_event)
        async with AsyncExitStack() as kept:
            for agent in client.agents:
                if hasattr(agent, "__aenter__"):
                    await kept.enter_async_context(agent)
            yield client
