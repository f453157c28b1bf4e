"""strands: `Agent.stream_async`; an agent holds one conversation, so each prompt has a new one."""

from contextlib import asynccontextmanager

import openai
from strands import Agent, tool
from strands.models.openai import OpenAIModel

from benchmarks.peers.clients.writing import Desk


class Client:
    def __init__(self, model: OpenAIModel) -> None:
        self._desk = Desk()

        @tool
        def write_file(path: str, mode: str, content: str) -> str:
            """Write a text file."""
            return self._desk.write(content)

        @tool
        async def add(a: int, b: int) -> str:
            """Add two numbers."""
            return str(a + b)

        self._model = model
        self._write_file = write_file
        self._add = add

    async def _run(self, prompt: str, **options) -> str:
        """The texts that were streamed."""
        agent = Agent(model=self._model, callback_handler=None, **options)
        stream = agent.stream_async(prompt)
        return "".join([event["data"] async for event in stream if "data" in event])

    async def text(self, prompt: str) -> str:
        return await self._run(prompt)

    async def tool(self, prompt: str, arrived) -> str:
        self._desk.arrived = arrived
        await self._run(prompt, tools=[self._write_file])
        return self._desk.content

    async def loop(self, prompt: str) -> str:
        return await self._run(prompt, tools=[self._add])

    def conversation(self, messages: list[dict]) -> list[dict]:
        return [
            {"role": message["role"], "content": [{"text": message["content"]}]}
            for message in messages
        ]

    async def history(self, prompt: str, conversation: list[dict]) -> str:
        return await self._run(prompt, messages=conversation)


@asynccontextmanager
async def connected(base_url: str):
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:
        yield Client(OpenAIModel(client=sdk, model_id="bench"))
