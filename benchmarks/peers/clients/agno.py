"""agno: `Agent.arun(stream=True)`, its events read to the end."""

from contextlib import asynccontextmanager

from agno.agent import Agent
from agno.models.message import Message
from agno.models.openai import OpenAIChat
from agno.run.agent import RunEvent

from benchmarks.peers.clients.writing import Desk


class Client:
    def __init__(self, base_url: str) -> None:
        self._desk = Desk()
        model = OpenAIChat(id="bench", base_url=base_url, api_key="none")

        def write_file(path: str, mode: str, content: str) -> str:
            """Write a text file."""
            return self._desk.write(content)

        async def add(a: int, b: int) -> str:
            """Add two numbers."""
            return str(a + b)

        self._talker = Agent(model=model, telemetry=False)
        self._writer = Agent(model=model, tools=[write_file], telemetry=False)
        self._adder = Agent(model=model, tools=[add], telemetry=False)

    async def _run(self, agent: Agent, prompt: str | list[Message]) -> str:
        """The texts that were streamed."""
        return "".join(
            [
                event.content
                async for event in agent.arun(prompt, stream=True)
                if event.event == RunEvent.run_content and event.content
            ]
        )

    async def text(self, prompt: str) -> str:
        return await self._run(self._talker, prompt)

    async def tool(self, prompt: str, arrived) -> str:
        self._desk.arrived = arrived
        await self._run(self._writer, prompt)
        return self._desk.content

    async def loop(self, prompt: str) -> str:
        return await self._run(self._adder, prompt)

    def conversation(self, messages: list[dict]) -> list[Message]:
        return [Message(**message) for message in messages]

    async def history(self, prompt: str, conversation: list[Message]) -> str:
        return await self._run(self._talker, [*conversation, Message(role="user", content=prompt)])


@asynccontextmanager
async def connected(base_url: str):
    yield Client(base_url)
