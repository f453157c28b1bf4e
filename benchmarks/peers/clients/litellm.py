"""litellm: `acompletion(stream=True)`, iterated as the SDK is; a loop by hand."""

from contextlib import asynccontextmanager
from functools import partial

import litellm

from benchmarks.peers.clients.sdk import Client


@asynccontextmanager
async def connected(base_url: str):
    yield Client(partial(litellm.acompletion, model="openai/bench", api_base=base_url))
