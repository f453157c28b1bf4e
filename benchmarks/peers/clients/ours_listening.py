"""agentcore with each event delivered to a callback that counts the text it is shown."""

from contextlib import asynccontextmanager

from agentcore.events import RunEvent, TextReceived, ToolArgumentsReceived
from benchmarks.peers.clients import ours


@asynccontextmanager
async def connected(base_url: str):
    shown = 0

    def on_event(event: RunEvent) -> None:
        nonlocal shown
        match event:
            case TextReceived(text=text):
                shown += len(text)
            case ToolArgumentsReceived(received_bytes=received):
                shown = received

    async with ours.connected(base_url, on_event) as client:
        yield client
