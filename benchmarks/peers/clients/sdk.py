"""The official SDK, iterated: `create(stream=True)`, a list that is joined, a loop by hand."""

import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import openai

from benchmarks.peers.clients.floor import ADD, WRITE_FILE


class Client:
    """Over any function that is called, and answers, like `create`."""

    def __init__(self, create: Callable[..., Awaitable[Any]]) -> None:
        self._create = create

    async def _send(self, messages: list[dict], **options) -> tuple[str, str, str]:
        """The text, the call's id and its arguments."""
        texts: list[str] = []
        arguments: list[str] = []
        call_id = ""
        async for chunk in await self._create(messages=messages, stream=True, **options):
            if not chunk.choices:
                continue
            delta = chunk.choices[0].delta
            if delta.content:
                texts.append(delta.content)
            for call in delta.tool_calls or ():
                call_id = call.id or call_id
                arguments.append(call.function.arguments)
        return "".join(texts), call_id, "".join(arguments)

    async def text(self, prompt: str) -> str:
        text, _, _ = await self._send([user(prompt)])
        return text

    async def tool(self, prompt: str, arrived) -> str:
        messages = [user(prompt)]
        _, call_id, arguments = await self._send(messages, tools=[WRITE_FILE])
        content = json.loads(arguments)["content"]
        if arrived:
            arrived()
        messages += called("write_file", call_id, arguments, str(len(content)))
        await self._send(messages, tools=[WRITE_FILE])
        return content

    async def loop(self, prompt: str) -> str:
        messages = [user(prompt)]
        while True:
            text, call_id, arguments = await self._send(messages, tools=[ADD])
            if not call_id:
                return text
            values = json.loads(arguments)
            messages += called("add", call_id, arguments, str(values["a"] + values["b"]))

    def conversation(self, messages: list[dict]) -> list[dict]:
        return messages

    async def history(self, prompt: str, conversation: list[dict]) -> str:
        text, _, _ = await self._send([*conversation, user(prompt)])
        return text


def user(prompt: str) -> dict:
    return {"role": "user", "content": prompt}


def called(name: str, call_id: str, arguments: str, result: str) -> list[dict]:
    """A call and its result, as the next request carries them."""
    function = {"name": name, "arguments": arguments}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call_id, "content": result},
    ]


@asynccontextmanager
async def connected(base_url: str):
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:
        yield Client(partial(sdk.chat.completions.create, model="bench"))
