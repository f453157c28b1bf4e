"""Every Python block of the README and the docs runs, and every link between the files leads on."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import agentcore
from agentcore import Local
from agentcore.providers import PROVIDERS
from agentcore.testing import Answer, stream

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


PAGES_OF_TESTS = ("drafts.md", "testing.md")
"""The blocks of these pages are files of tests."""
PAGE_OF_A_FLEET = "fleet.md"
"""Its blocks need Postgres: `tests/journal/test_fleet_page.py` runs them."""


def blocks() -> Iterator[Any]:
    for page in PAGES:
        if page.name in (*PAGES_OF_TESTS, PAGE_OF_A_FLEET):
            continue
        for number, block in enumerate(BLOCK.findall(page.read_text()), 1):
            yield pytest.param(page, block, id=f"{page.name}-{number}")


def offline(*_: object) -> httpx2.MockTransport:
    """An endpoint in process: every program of the docs meets a model that just answers."""

    def handle(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=stream(Answer(text="The plan is written.")).body)

    return httpx2.MockTransport(handle)


@pytest.fixture(autouse=True)
def _registry_as_before() -> Iterator[None]:
    """A block may register an adapter of its own."""
    before = dict(PROVIDERS)
    yield
    PROVIDERS.clear()
    PROVIDERS.update(before)


@pytest.mark.parametrize(("page", "block"), list(blocks()))
def test_a_block_runs(
    page: Path, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Offline(agentcore.Agent):
        def __init__(self, *args: Any, **options: Any) -> None:
            adapter = options.get("adapter")
            is_elsewhere = adapter is None or "127.0.0.1" not in adapter.base_url
            if is_elsewhere and "transport" not in options:
                options["transport"] = offline()
            super().__init__(*args, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(agentcore, "Agent", Offline)
    for name in ("OPENROUTER_API_KEY", "OPENAI_API_KEY", "RELAY_KEY"):
        monkeypatch.setenv(name, "sk-docs")
    exec(compile(block, f"{page.name}", "exec"), {"__name__": "__docs__"})


@pytest.mark.parametrize("name", PAGES_OF_TESTS)
def test_the_blocks_of_a_page_of_tests_pass(name: str, tmp_path: Path) -> None:
    """In a process of their own, where the plugin is found by its entry point."""
    for number, block in enumerate(BLOCK.findall((ROOT / "docs" / name).read_text()), 1):
        (tmp_path / f"test_block_{number}.py").write_text(block)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_readmes_provider_is_ten_lines_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    block = next(b for b in BLOCK.findall((ROOT / "README.md").read_text()) if "class Relay" in b)
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    space: dict[str, Any] = {}
    exec(block, space)
    monkeypatch.setenv("RELAY_KEY", "sk-docs")
    agent = agentcore.Agent("claude-opus-4.6", adapter=space["Relay"](), transport=offline())
    assert agent.run_sync("Go on.").text == "The plan is written."
    assert isinstance(space["Relay"](), agentcore.ProviderAdapter)
    assert not isinstance(space["Relay"](), Local)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_files_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
