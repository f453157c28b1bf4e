"""langchain-openai: `astream`; chunks are added to one message where there are tools, by hand."""

from contextlib import asynccontextmanager

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from benchmarks.peers.clients.writing import Desk


class Client:
    def __init__(self, model: ChatOpenAI) -> None:
        self._desk = Desk()

        @tool
        def write_file(path: str, mode: str, content: str) -> str:
            """Write a text file."""
            return self._desk.write(content)

        @tool
        async def add(a: int, b: int) -> str:
            """Add two numbers."""
            return str(a + b)

        self._tools = {"write_file": write_file, "add": add}
        self._talker = model
        self._writer = model.bind_tools([write_file])
        self._adder = model.bind_tools([add])

    async def _run(self, model, prompt: str) -> str:
        """Turns until there is no call; the last text."""
        messages: list[BaseMessage] = [HumanMessage(prompt)]
        while True:
            answer = None
            async for chunk in model.astream(messages):
                answer = chunk if answer is None else answer + chunk
            if not answer.tool_calls:
                return answer.text
            results = [await self._tools[call["name"]].ainvoke(call) for call in answer.tool_calls]
            messages += [answer, *results]

    async def text(self, prompt: str) -> str:
        return await self.history(prompt, [])

    async def tool(self, prompt: str, arrived) -> str:
        self._desk.arrived = arrived
        await self._run(self._writer, prompt)
        return self._desk.content

    async def loop(self, prompt: str) -> str:
        return await self._run(self._adder, prompt)

    def conversation(self, messages: list[dict]) -> list[BaseMessage]:
        kinds = {"user": HumanMessage, "assistant": AIMessage}
        return [kinds[message["role"]](message["content"]) for message in messages]

    async def history(self, prompt: str, conversation: list[BaseMessage]) -> str:
        stream = self._talker.astream([*conversation, HumanMessage(prompt)])
        return "".join([chunk.text async for chunk in stream])


@asynccontextmanager
async def connected(base_url: str):
    yield Client(
        ChatOpenAI(model="bench", base_url=base_url, api_key="none", use_responses_api=False)
    )
