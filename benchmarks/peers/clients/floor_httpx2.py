"""A bare httpx2 client, which the SDK uses too; agentcore uses what lies beneath it."""

from contextlib import asynccontextmanager

import httpx2

from benchmarks.peers.clients.floor import Answer, Floor


class Client(Floor):
    def __init__(self, http: httpx2.AsyncClient, base_url: str) -> None:
        self._http = http
        self._url = f"{base_url}/chat/completions"

    async def send(self, body: bytes) -> Answer:
        answer = Answer()
        headers = {"content-type": "application/json", "authorization": "Bearer none"}
        async with self._http.stream("POST", self._url, content=body, headers=headers) as response:
            async for block in response.aiter_bytes():
                answer.feed(block)
        return answer


@asynccontextmanager
async def connected(base_url: str):
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
    async with httpx2.AsyncClient(limits=limits, timeout=600) as http:
        yield Client(http, base_url)
