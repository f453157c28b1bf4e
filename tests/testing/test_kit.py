"""What a user has who installed `agentcore-loop[testing]` and pytest, and nothing else.

`make kit` runs this file by itself in such an environment.
"""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from agentcore import Agent, ErrorKind, ModelFamily, ProviderAdapter
from agentcore.classification import classify
from agentcore.facts import ErrorFacts
from agentcore.journal import JournalStore, SqliteStore
from agentcore.providers import ToolStreaming
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    Gateway,
    GatewayTransport,
    RecordedRequest,
    Reply,
    ScriptedModel,
    after_line,
    check_transcript,
    cut,
    run_in_virtual_time,
    stream,
)
from agentcore.testing.conformance import AdapterConformance
from agentcore.testing.journal_conformance import JournalConformance
from agentcore.tools import write_file


class Relay(ProviderAdapter):
    name = "relay"
    base_url = "https://llm.example.com/v1"
    api_key_env = "RELAY_KEY"

    @override
    def tool_streaming(self, family: ModelFamily) -> ToolStreaming:
        return ToolStreaming(headers={"x-stream-arguments": "eager"})


class TestRelay(AdapterConformance):
    adapter = Relay


class TestOurStore(JournalConformance):
    @override
    def store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore(tmp_path / "runs.db")

    @override
    def reopened(self, store: JournalStore) -> SqliteStore:
        assert isinstance(store, SqliteStore)
        return SqliteStore(store.path)


TEXT = "".join(f"{number}. A step of the plan.\n" for number in range(1, 101))
ARGUMENTS = json.dumps({"path": "plan.md", "mode": "create", "content": TEXT})
GOOD = stream(Answer(calls=(Call(name="write_file", arguments=ARGUMENTS),)))


def test_in_process(agentcore_transport: GatewayTransport, tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=TEXT)

    def respond(request: RecordedRequest) -> Reply:
        reply = stream(model(request.body))
        return cut(reply, at=after_line(40), by=RESET) if request.number == 1 else reply

    agentcore_transport.respond = respond
    agent = Agent(
        "some-model",
        adapter=Relay(api_key="sk-kit"),
        tools=[write_file],
        workspace=tmp_path,
        transport=agentcore_transport,
    )
    result = run_in_virtual_time(agent.run, "Write the plan.")
    assert (tmp_path / "plan.md").read_text() == TEXT
    sent = [bytes(request.sent) for request in agentcore_transport.requests]
    check_transcript(result.messages, result.attempts, sent=sent)


def test_over_a_socket(agentcore_gateway: Gateway, tmp_path: Path) -> None:
    model = ScriptedModel(path="plan.md", text=TEXT)
    agentcore_gateway.respond = lambda request: model(request.body)
    agent = Agent(
        "some-model",
        adapter=Relay(base_url=agentcore_gateway.base_url, api_key="sk-kit"),
        tools=[write_file],
        workspace=tmp_path,
    )
    agent.run_sync("Write the plan.")
    assert (tmp_path / "plan.md").read_text() == TEXT


@settings(deadline=None)
@given(st.from_type(ErrorFacts))
def test_strategies(facts: ErrorFacts) -> None:
    assert classify(facts).kind in ErrorKind
