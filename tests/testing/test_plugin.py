"""The plugin's fixtures and Hypothesis's entry point, as a user's test run finds them."""

import json
import subprocess
import sys
from pathlib import Path

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from agentcore import Agent, Local
from agentcore.error_rules import ErrorRule
from agentcore.facts import ErrorFacts
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
    dump_messages,
    load_messages,
)
from agentcore.testing import Answer, Gateway, GatewayTransport, run_in_virtual_time


def test_the_gateway_listens_for_sync_tests(agentcore_gateway: Gateway) -> None:
    agentcore_gateway.play(Answer(text="Yes."))
    agent = Agent("some-model", adapter=Local(base_url=agentcore_gateway.base_url))
    assert agent.run_sync("Go on.").text == "Yes."
    assert agentcore_gateway.last.model == "some-model"


async def test_and_for_async_ones(agentcore_gateway: Gateway) -> None:
    agentcore_gateway.models = ["one", {"id": "two", "context_length": 5}]
    async with httpx2.AsyncClient() as client:
        listed = await client.get(f"{agentcore_gateway.base_url}/models")
    assert [model["id"] for model in listed.json()["data"]] == ["one", "two"]


def test_the_transport_is_new_for_each_test(agentcore_transport: GatewayTransport) -> None:
    agentcore_transport.play(Answer(text="Yes."))
    adapter = Local(base_url="http://endpoint.test/v1")
    agent = Agent("some-model", adapter=adapter, transport=agentcore_transport)
    assert run_in_virtual_time(agent.run, "Go on.").text == "Yes."
    assert len(agentcore_transport.requests) == 1


@given(st.from_type(Answer), st.from_type(ErrorFacts), st.from_type(ErrorRule))
def test_hypothesis_knows_the_types(answer: Answer, facts: ErrorFacts, rule: ErrorRule) -> None:
    assert len({call.id for call in answer.calls}) == len(answer.calls)
    assert facts.bytes_received >= 0
    assert rule.name.startswith("own-")


@given(
    st.from_type(AssistantMessage),
    st.from_type(SystemMessage),
    st.from_type(ToolMessage),
    st.from_type(UserMessage),
    st.from_type(tuple[Message, ...]),
)
def test_and_those_of_conversations(
    said: AssistantMessage,
    told: SystemMessage,
    came: ToolMessage,
    asked: UserMessage,
    several: tuple[Message, ...],
) -> None:
    conversation = (said, told, came, asked, *several)
    assert load_messages(dump_messages(conversation)) == conversation


@given(st.from_type(ToolCall), st.from_type(Usage), st.from_type(JsonObject))
def test_and_their_parts(call: ToolCall, usage: Usage, value: JsonObject) -> None:
    assert isinstance(json.loads(call.arguments), dict)
    assert usage.cached_tokens <= usage.input_tokens
    assert usage.reasoning_tokens <= usage.output_tokens
    assert json.loads(json.dumps(value)) == value


WITH_ERRORS = """
import pytest
from agentcore import Agent, Local, RunError

def wrong(request):
    raise ZeroDivisionError("in respond")

def test_in_process(agentcore_transport):
    agentcore_transport.respond = wrong
    adapter = Local(base_url="http://endpoint.test/v1")
    with pytest.raises(RunError, match="the script raised ZeroDivisionError: in respond"):
        Agent("m", adapter=adapter, transport=agentcore_transport).run_sync("Go on.")

def test_over_a_socket(agentcore_gateway):
    agentcore_gateway.respond = wrong
    with pytest.raises(RunError, match="the script raised ZeroDivisionError: in respond"):
        Agent("m", adapter=Local(base_url=agentcore_gateway.base_url)).run_sync("Go on.")
"""


def test_an_error_in_the_script_is_the_tests_error(tmp_path: Path) -> None:
    (tmp_path / "test_errors.py").write_text(WITH_ERRORS)
    command = [sys.executable, "-m", "pytest", "-q", "test_errors.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "2 passed, 2 errors" in said, said
    assert said.count("E       ZeroDivisionError: in respond") == 2, said


def test_how_an_adapter_is_proved_in_the_docs(tmp_path: Path) -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "add-a-provider.md"
    block = page.read_text().split("## Prove it")[1].split("```python\n")[1].split("```")[0]
    (tmp_path / "test_acme.py").write_text(block)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "test_acme.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "3 passed" in said, said


def test_a_test_run_that_uses_no_fixture_loads_no_sdk() -> None:
    program = "import agentcore.testing.plugin, sys; print('openai' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == "False\n", said.stderr
