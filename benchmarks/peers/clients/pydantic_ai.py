"""pydantic-ai: `run_stream` for text; `run` with a handler of events where there are tools."""

from contextlib import asynccontextmanager

import openai
from pydantic_ai import Agent, UsageLimits
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.peers.clients.writing import Desk

NO_LIMIT = UsageLimits(request_limit=None)


async def watch(context, events) -> None:
    """Reads the events, and shows nothing."""
    async for _ in events:
        pass


class Client:
    def __init__(self, model: OpenAIChatModel) -> None:
        self._desk = Desk()
        self._talker = Agent(model)
        self._writer = Agent(model)
        self._adder = Agent(model)

        @self._writer.tool_plain
        def write_file(path: str, mode: str, content: str) -> str:
            """Write a text file."""
            return self._desk.write(content)

        @self._adder.tool_plain
        async def add(a: int, b: int) -> str:
            """Add two numbers."""
            return str(a + b)

    async def text(self, prompt: str) -> str:
        return await self.history(prompt, [])

    async def tool(self, prompt: str, arrived) -> str:
        self._desk.arrived = arrived
        await self._writer.run(prompt, event_stream_handler=watch)
        return self._desk.content

    async def loop(self, prompt: str) -> str:
        result = await self._adder.run(prompt, event_stream_handler=watch, usage_limits=NO_LIMIT)
        return result.output

    def conversation(self, messages: list[dict]) -> list[ModelRequest | ModelResponse]:
        return [
            ModelRequest(parts=[UserPromptPart(content=message["content"])])
            if message["role"] == "user"
            else ModelResponse(parts=[TextPart(content=message["content"])])
            for message in messages
        ]

    async def history(self, prompt: str, conversation: list[ModelRequest | ModelResponse]) -> str:
        async with self._talker.run_stream(prompt, message_history=conversation) as result:
            texts = [text async for text in result.stream_text(delta=True, debounce_by=None)]
        return "".join(texts)


@asynccontextmanager
async def connected(base_url: str):
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:
        yield Client(OpenAIChatModel("bench", provider=OpenAIProvider(openai_client=sdk)))
