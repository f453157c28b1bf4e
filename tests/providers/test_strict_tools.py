"""`strict` goes to the endpoints that take it, and to no other."""

import pytest

from agentcore.families import family_of
from agentcore.messages import ToolSpec, UserMessage
from agentcore.providers import PROVIDERS
from agentcore.providers.base import Request

TAKES_IT = {"openai", "azure", "openrouter"}
PLAIN = ToolSpec(name="look", description="Look.", parameters={"type": "object"})
STRICT = ToolSpec(name="look", description="Look.", parameters={"type": "object"}, strict=True)


@pytest.mark.parametrize("name", PROVIDERS)
def test_strict_is_sent_where_it_is_taken(name: str) -> None:
    kind = PROVIDERS[name]
    adapter = kind(base_url=kind.base_url or kind.example_url)
    request = Request(
        model="gpt-5.2",
        family=family_of("gpt-5.2"),
        messages=(UserMessage(content="Go on."),),
        tools=(PLAIN, STRICT),
    )
    tools = adapter.payload(request)["tools"]
    assert isinstance(tools, list)
    function = {"name": "look", "description": "Look.", "parameters": {"type": "object"}}
    flagged = {**function, "strict": True} if name in TAKES_IT else function
    assert [tool["function"] for tool in tools if isinstance(tool, dict)] == [function, flagged]
