"""A server of one's own: nothing is assumed, and nothing that only others know is sent."""

import json

from agentcore import Local
from agentcore.clocks import Clocks
from agentcore.events import ToolCallDelta
from agentcore.families import family_of
from agentcore.messages import UserMessage
from agentcore.providers import OutputLimit, Request

OWN = Local(base_url="http://localhost:8000/v1")


def test_a_request_whole() -> None:
    model = "qwen3-coder:30b"
    messages = (UserMessage(content="Go on."),)
    wire = OWN.encode(Request(model=model, family=family_of(model), messages=messages))
    assert wire.headers == {}
    assert json.loads(wire.body) == {
        "model": "qwen3-coder:30b",
        "messages": [{"role": "user", "content": "Go on."}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert wire.output_limit == OutputLimit()


def test_a_model_may_be_loaded_for_ten_minutes() -> None:
    assert Local.clocks == Clocks(first_byte=600.0, first_event=600.0)


def test_arguments_may_be_an_object() -> None:
    """Ollama sends a call in one piece: ollama/ollama#12557."""
    call = {"function": {"name": "calculate", "arguments": {"expression": "2 + 2"}}}
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    assert list(OWN.decode("", chunk)) == [  # type: ignore[arg-type]
        ToolCallDelta(name="calculate", arguments='{"expression":"2 + 2"}')
    ]
