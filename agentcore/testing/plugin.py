"""The pytest plugin, found by its entry point: fixtures for tests of agents and adapters."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

__all__ = ["agentcore_gateway", "agentcore_transport"]

if TYPE_CHECKING:
    from agentcore.testing.gateway import Gateway
    from agentcore.testing.transport import GatewayTransport

# The modules are imported in the fixtures: a test run that uses none does not wait for them.


@pytest.fixture
def agentcore_gateway() -> "Iterator[Gateway]":
    """A `Gateway` that listens on loopback, in a thread of its own; tell it what to `play`.

    It works in sync and in async tests, whatever event loop they run on.
    """
    from anyio.from_thread import start_blocking_portal

    from agentcore.testing.gateway import Gateway

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Gateway()) as gateway,
    ):
        yield gateway


@pytest.fixture
def agentcore_transport() -> "Iterator[GatewayTransport]":
    """A `GatewayTransport` for `Agent(transport=…)`; tell it what to `play`.

    With `run_in_virtual_time` waits and clocks are exact and take no time. An error in the script
    itself, as one that `respond` raised, is raised when the test is over.
    """
    from agentcore.testing.transport import GatewayTransport

    transport = GatewayTransport()
    yield transport
    if transport.script_error is not None:
        raise transport.script_error
