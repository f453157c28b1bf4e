"""The clients: one row each. A new one is a module in `clients` and a row here."""

from dataclasses import dataclass

__all__ = ["CLIENTS", "IMPORTS", "Client"]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client to measure."""

    name: str
    """As tables show it."""
    module: str
    """In `benchmarks.peers.clients`."""
    environment: str
    """`benchmarks/peers/<environment>.txt` is what it has installed."""
    is_framework: bool = False
    """Measured less often where it takes long, and not beside ours in the targets by name."""


CLIENTS = (
    Client(name="floor-asyncio", module="floor_asyncio", environment="stock"),
    Client(name="floor-httpx2", module="floor_httpx2", environment="stock"),
    Client(name="agentcore", module="ours", environment="stock"),
    Client(name="agentcore-on-event", module="ours_listening", environment="stock"),
    Client(name="agentcore-fast", module="ours_fast", environment="fast"),
    Client(name="openai-sdk", module="sdk", environment="stock"),
    Client(name="openai-aiohttp", module="sdk_aiohttp", environment="fast"),
)

IMPORTS = {"agentcore": "stock", "openai": "stock", "httpx2": "stock"}
"""Packages whose import is timed, and the environment that has them."""
