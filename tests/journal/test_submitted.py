"""What a journal keeps of a run as it was submitted, and what becomes of one that is damaged."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentcore import Agent, Local
from agentcore.endpoint import resolve_model
from agentcore.errors import JournalError
from agentcore.journal import RunResumed, SqliteStore
from agentcore.providers import ProviderAdapter
from agentcore.testing import Answer, GatewayTransport
from agentcore.tools import read_file, write_file

URL = "http://gateway.test/v1"


class Nameless(ProviderAdapter):
    base_url = URL
    api_key_required = False


async def test_what_an_agent_can_be_made_of_again_is_kept(tmp_path: Path) -> None:
    agent = Agent("some:model", adapter=Local(base_url=URL), workspace=tmp_path)
    await agent.submit("Go on.", run_id="a")
    agent.adapter = Nameless()
    await agent.submit("Go on.", run_id="b")
    agent.model, agent.adapter = "openai:gpt-5.2", None
    await agent.submit("Go on.", run_id="c")

    store = SqliteStore(tmp_path / ".agentcore" / "runs.db")
    kept = [(new.model, new.base_url) for new in (store.get(id_).new for id_ in "abc")]
    assert kept == [
        ("local:some:model", URL),
        ("some:model", URL),
        ("openai:gpt-5.2", "https://api.openai.com/v1"),
    ]
    again = resolve_model(kept[0][0], None, base_url=URL)
    assert (type(again.adapter), again.model) == (Local, "some:model")


@pytest.mark.parametrize(
    ("model", "changed"),
    [("m", ""), ("local:m", ""), ("n", "the model was local:m and is local:n")],
)
async def test_a_resumed_run_notes_another_model(tmp_path: Path, model: str, changed: str) -> None:
    def agent_of(model: str) -> Agent:
        return Agent(
            model,
            adapter=Local(base_url=URL),
            workspace=tmp_path,
            transport=GatewayTransport(respond=lambda request: Answer(text="Done.")),
        )

    handle = await agent_of("m").submit("Go on.", run_id="a")
    store = SqliteStore(tmp_path / ".agentcore" / "runs.db")
    store.release("a", store.claim("a").epoch)  # a process that made no request
    await agent_of(model).resume(handle.id)
    resumed = [row.record for row in store.rows("a") if isinstance(row.record, RunResumed)]
    assert [one.changed for one in resumed] == [changed]


async def test_a_resumed_run_notes_what_nobody_is_asked_about_any_more(tmp_path: Path) -> None:
    def agent_of(**options: Any) -> Agent:
        return Agent(
            "m",
            adapter=Local(base_url=URL),
            workspace=tmp_path,
            transport=GatewayTransport(respond=lambda request: Answer(text="Done.")),
            **options,
        )

    asked = [replace(write_file, needs_approval=True), replace(read_file, needs_approval=True)]
    await agent_of(tools=asked, approve=lambda request: True).submit("Go on.", run_id="a")
    store = SqliteStore(tmp_path / ".agentcore" / "runs.db")
    assert store.get("a").new.asks == ("write_file", "read_file")
    store.release("a", store.claim("a").epoch)  # a process that made no request
    tools = [write_file, asked[1]]
    await agent_of(tools=tools, approve=lambda request: True).resume("a")
    resumed = [row.record for row in store.rows("a") if isinstance(row.record, RunResumed)]
    assert [one.changed for one in resumed] == ["no longer asked about: write_file"]


async def test_a_run_that_cannot_be_read_is_told_and_found_by_a_check(tmp_path: Path) -> None:
    """It was a `ValidationError`, also of the check."""
    agent = Agent("m", adapter=Local(base_url=URL), workspace=tmp_path)
    for id_ in ("a", "b"):
        await agent.submit("Go on.", run_id=id_)
    path = tmp_path / ".agentcore" / "runs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE run SET opening = '[' WHERE id = 'a'")
    connection.close()

    store = SqliteStore(path)
    with pytest.raises(JournalError, match=r"runs\.db: run 'a' cannot be read: "):
        store.get("a")
    assert store.get("b").id == "b"
    (found,) = store.check()
    assert "run 'a' cannot be read" in found
