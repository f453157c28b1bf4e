"""openai-agents: `Runner.run_streamed` over chat completions, its events read to the end."""

from contextlib import asynccontextmanager

import openai
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)

from benchmarks.peers.clients.writing import Desk


class Client:
    def __init__(self, model: OpenAIChatCompletionsModel) -> None:
        self._desk = Desk()

        @function_tool
        def write_file(path: str, mode: str, content: str) -> str:
            """Write a text file."""
            return self._desk.write(content)

        @function_tool
        async def add(a: int, b: int) -> str:
            """Add two numbers."""
            return str(a + b)

        self._talker = Agent(name="talker", model=model)
        self._writer = Agent(name="writer", model=model, tools=[write_file])
        self._adder = Agent(name="adder", model=model, tools=[add])

    async def _run(self, agent: Agent, prompt: str | list[dict]) -> str:
        """The texts that were streamed."""
        result = Runner.run_streamed(agent, prompt, max_turns=10_000)
        return "".join(
            [
                event.data.delta
                async for event in result.stream_events()
                if event.type == "raw_response_event"
                and event.data.type == "response.output_text.delta"
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

    def conversation(self, messages: list[dict]) -> list[dict]:
        return messages

    async def history(self, prompt: str, conversation: list[dict]) -> str:
        return await self._run(self._talker, [*conversation, {"role": "user", "content": prompt}])


@asynccontextmanager
async def connected(base_url: str):
    set_tracing_disabled(True)
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:
        yield Client(OpenAIChatCompletionsModel(model="bench", openai_client=sdk))
