"""Fixtures of the whole suite."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# A shared machine may stand still for a second: speed is no property. On a continuous-integration
# server the examples are the same each time; new ones are found at the desk.
settings.register_profile(
    "agentcore",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("agentcore")

# A shell starts what runs in the background with Ctrl-C ignored, and children inherit that: tests
# send it to theirs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on, or leaks, what the person who runs it has set."""
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "LOCAL_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _stock_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests are about the stack that everybody has; `wire/test_stacks.py` is about both."""
    monkeypatch.setattr("agentcore.connections.fast_is_installed", lambda: False)
