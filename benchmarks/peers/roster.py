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
    """Measured less often where it takes long; the fastest of them stands in the targets."""


CLIENTS = (  # what is compared stands together: a round measures them in this order
    Client(name="floor-httpx2", module="floor_httpx2", environment="stock"),
    Client(name="agentcore", module="ours", environment="stock"),
    Client(name="agentcore-on-event", module="ours_listening", environment="stock"),
    Client(name="floor-asyncio", module="floor_asyncio", environment="stock"),
    Client(name="agentcore-fast", module="ours_fast", environment="fast"),
    Client(name="openai-sdk", module="sdk", environment="stock"),
    Client(name="openai-aiohttp", module="sdk_aiohttp", environment="fast"),
    Client(name="openai-agents", module="openai_agents", environment="peers", is_framework=True),
    Client(name="pydantic-ai", module="pydantic_ai", environment="peers", is_framework=True),
    Client(
        name="langchain-openai", module="langchain_openai", environment="peers", is_framework=True
    ),
    Client(name="agno", module="agno", environment="peers", is_framework=True),
    Client(name="strands", module="strands", environment="openai2", is_framework=True),
    Client(name="litellm", module="litellm", environment="openai2", is_framework=True),
)

IMPORTS = {
    "agentcore": "stock",
    "openai": "stock",
    "httpx2": "stock",
    "agents": "peers",
    "pydantic_ai": "peers",
    "langchain_openai": "peers",
    "agno.agent": "peers",
    "strands": "openai2",
    "litellm": "openai2",
}
"""Packages whose import is timed, and the environment that has them."""
