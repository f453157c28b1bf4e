"""What was found by trying to break named runs, as users would write them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentcore import Agent, Local, RunResult, dump_messages, load_messages, tool
from agentcore.messages import UserMessage
from agentcore.testing import Answer, Call, GatewayTransport, Reply, status
from agentcore.tools.base import Tool


def agent_of(
    workspace: Path, *answers: Answer | Reply, tools: Sequence[Tool] = (), **options: Any
) -> Agent:
    """An agent whose endpoint says these answers, in a process of its own as it were."""
    transport = GatewayTransport()
    transport.play(*answers)
    settings: dict[str, Any] = {"adapter": Local(base_url="http://endpoint.test/v1"), **options}
    return Agent("some-model", tools=tools, workspace=workspace, transport=transport, **settings)


def told_by_tools(result: RunResult) -> list[str]:
    return [message.content for message in result.messages if message.role == "tool"]


DONE = Answer(text="Done.")


# --- half of a character, which has no UTF-8 ------------------------------------------------


async def test_half_of_a_character_is_written_down_as_another_one(tmp_path: Path) -> None:
    @tool(writes="name")
    def note(name: str) -> str:
        """Note a name."""
        return name

    refused = status(429, b'{"error": {"message": "slow \\ud800 down"}}', {"retry-after": "0"})
    call = Answer(calls=(Call(name="note", arguments='{"name": "a\\ud800"}'),))
    agent = agent_of(tmp_path, refused, call, DONE, tools=[note], system="x\ud800")
    asked = [UserMessage(content="y\ud800")]
    result = await agent.run(messages=asked, run_id="r")
    assert told_by_tools(result) == ["a\ufffd"]
    assert (await agent.run(messages=asked, run_id="r")).messages == result.messages
    assert load_messages(dump_messages(asked)) == (UserMessage(content="y\ufffd"),)
