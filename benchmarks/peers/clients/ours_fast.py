"""agentcore with its extra `fast` installed."""

from contextlib import asynccontextmanager
from importlib.metadata import metadata

from benchmarks.peers.cases import NotMeasured
from benchmarks.peers.clients import ours


@asynccontextmanager
async def connected(base_url: str):
    if "fast" not in (metadata("agentcore-loop").get_all("Provides-Extra") or ()):
        raise NotMeasured("this agentcore has no extra `fast`")
    async with ours.connected(base_url) as client:
        yield client
