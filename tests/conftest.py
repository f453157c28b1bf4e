"""Fixtures of the whole suite."""

import pytest


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on, or leaks, what the person who runs it has set."""
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "LOCAL_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
