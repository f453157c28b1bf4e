"""The plugin's fixtures and Hypothesis's entry point, as a user's test run finds them."""

import subprocess
import sys

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from agentcore import Agent, Local
from agentcore.error_rules import ErrorRule
from agentcore.facts import ErrorFacts
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


def test_a_test_run_that_uses_no_fixture_loads_no_sdk() -> None:
    program = "import agentcore.testing.plugin, sys; print('openai' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == "False\n", said.stderr
