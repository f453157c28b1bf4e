"""The official SDK over its extra `openai[aiohttp]`."""

from contextlib import asynccontextmanager
from functools import partial

import openai

from benchmarks.peers.clients.sdk import Client


@asynccontextmanager
async def connected(base_url: str):
    http = openai.DefaultAioHttpClient()
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", http_client=http) as sdk:
        yield Client(partial(sdk.chat.completions.create, model="bench"))
