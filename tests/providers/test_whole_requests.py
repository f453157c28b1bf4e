"""Every adapter with every family that it serves: the whole request, as it stands in a file.

`python -m tests.providers.test_whole_requests` writes `tests/data/requests.json` anew: a change of
what is sent is a change of that file, to be read.
"""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import JsonValue

from agentcore.client import Client
from agentcore.clocks import Clocks
from agentcore.families import FAMILIES, family_of
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from agentcore.providers import PROVIDERS, ProviderAdapter, Request, Wire
from agentcore.testing import Answer, Gateway, RecordedRequest, stream

FILE = Path(__file__).parent.parent / "data" / "requests.json"
PAGE = Path(__file__).parent.parent.parent / "docs" / "providers.md"


def own(*names: str) -> tuple[str, ...]:
    """An id of each family whose name begins so, without the names of owners and variants."""
    rows = [family for family in FAMILIES if family.name.startswith(names)]
    return tuple(row.example.rpartition("/")[2].partition(":")[0] for row in rows)


SERVED: dict[str, tuple[str, ...]] = {
    "openrouter": tuple(family.example for family in FAMILIES),
    "openai": own("gpt-", "o-series", "openai-newer"),
    "anthropic": tuple(id_.replace(".", "-") for id_ in own("claude-")),
    "deepseek": own("deepseek"),
    "mistral": own("mistral", "codestral"),
    "moonshot": (*own("kimi"), "moonshot-v1-128k"),
    "zai": own("glm"),
    "local": ("qwen3-coder:30b", "claude-opus-4.6", "deepseek-v4-pro", "gpt-5.2"),
    "azure": ("gpt-4.1", "gpt-5.2", "o3", "my-deployment"),
    "gemini": own("gemini", "gemma"),
    "groq": ("openai/gpt-oss-120b", "llama-3.3-70b-versatile", "moonshotai/kimi-k2-instruct-0905"),
    "xai": own("grok"),
    "together": (
        "openai/gpt-oss-120b",
        "moonshotai/Kimi-K2.6",
        "deepseek-ai/DeepSeek-V4-Pro",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "zai-org/GLM-5.1",
    ),
    "fireworks": (
        "accounts/fireworks/models/gpt-oss-120b",
        "accounts/fireworks/models/kimi-k2p6",
        "accounts/fireworks/models/deepseek-v4-pro",
        "accounts/fireworks/models/glm-5p1",
        "accounts/fireworks/models/llama4-maverick-instruct-basic",
    ),
}
ROWS = [(name, model) for name, models in SERVED.items() for model in models]

ELSEWHERE = "functions.write_file:0/0123456789abcdef0123456789abcdef"
"""As another endpoint named a call: too long for some, of the wrong shape for others."""

CONVERSATION: tuple[Message, ...] = (
    SystemMessage(content="Be brief."),
    UserMessage(content="Write é.txt."),
    AssistantMessage(
        content="I begin.",
        reasoning="It wants é.",
        reasoning_details=({"type": "reasoning.text", "text": "It wants é.", "index": 0},),
        tool_calls=(
            ToolCall(
                id=ELSEWHERE,
                name="write_file",
                arguments='{"path": "é.txt"}',
                extra={"extra_content": {"google": {"thought_signature": "zz9="}}},
            ),
        ),
    ),
    ToolMessage(tool_call_id=ELSEWHERE, name="write_file", content="Written."),
    AssistantMessage(content="Done."),
    UserMessage(content="Once more."),
    AssistantMessage(
        tool_calls=(ToolCall(id="a1B2c3D4e", name="write_file", arguments="{}"),),
    ),
    ToolMessage(tool_call_id="a1B2c3D4e", name="write_file", content="path is missing"),
    UserMessage(content="Go on."),
)
TOOLS = (
    ToolSpec(
        name="write_file",
        description="Write a file.",
        parameters={"type": "object", "properties": {"path": {"type": "string"}}},
    ),
)


def adapter_of(name: str, root: str = "") -> ProviderAdapter:
    """The adapter at its own address, or at the same path below another root."""
    kind = PROVIDERS[name]
    own_url = kind.base_url or kind.example_url
    return kind(base_url=root + urlsplit(own_url).path if root else own_url)


def encoded(adapter: ProviderAdapter, model: str) -> Wire:
    family = family_of(model)
    return adapter.encode(Request(model=model, family=family, messages=CONVERSATION, tools=TOOLS))


def key_of(name: str) -> str:
    return f"sk-of-{name}"


def whole(name: str, model: str) -> JsonObject:
    """What goes out, beside what the HTTP stack itself adds."""
    adapter = adapter_of(name)
    wire = encoded(adapter, model)
    headers: dict[str, JsonValue] = {
        "accept": "text/event-stream",
        "authorization": f"Bearer {key_of(name)}",
        "content-type": "application/json",
        **wire.headers,
    }
    body: JsonValue = json.loads(wire.body)
    return {"url": f"POST {adapter.base_url}{wire.path}", "headers": headers, "body": body}


def written_down() -> dict[str, JsonObject]:
    rows: dict[str, JsonObject] = json.loads(FILE.read_text())
    return rows


def test_every_family_is_among_them() -> None:
    served = {family_of(model).name for model in SERVED["openrouter"]}
    assert served == {family.name for family in FAMILIES}


def test_every_adapter_is_among_them_and_no_row_is_left_over() -> None:
    assert set(SERVED) == set(PROVIDERS)
    assert list(written_down()) == [f"{name} {model}" for name, model in ROWS]


@pytest.mark.parametrize(("name", "model"), ROWS)
def test_a_request_is_as_written_down(name: str, model: str) -> None:
    expected = written_down()[f"{name} {model}"]
    assert whole(name, model) == expected, (
        "where the new one is right: python -m tests.providers.test_whole_requests"
    )


def test_the_tables_in_the_docs_name_every_adapter_and_its_address() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    facts, behaviour = rows[: len(PROVIDERS)], rows[len(PROVIDERS) :]
    assert [row[0] for row in behaviour] == [f"| `{name}`" for name in PROVIDERS]
    shown = [(name, kind, address, key.split("`")[1]) for name, kind, address, key, _ in facts]
    assert shown == [
        (
            f"| `{name}`",
            f"`{kind.__name__}`",
            f"`{kind.base_url}`" if kind.base_url else "yours",
            kind.api_key_env,
        )
        for name, kind in PROVIDERS.items()
    ]
    for row in behaviour:
        assert row[3].startswith(f"{PROVIDERS[row[0][3:-1]].clocks.transport:.0f}")


OF_THE_HTTP_STACK = ("accept-encoding", "connection", "content-length", "host", "user-agent")


def received(request: RecordedRequest, own_root: str) -> JsonObject:
    headers: dict[str, JsonValue] = {
        name: value
        for name, value in request.headers.items()
        if name not in OF_THE_HTTP_STACK and not name.startswith("x-stainless-")
    }
    url = f"{request.method} {own_root}{request.path}"
    return {"url": url, "headers": headers, "body": request.body}


@pytest.mark.parametrize("name", SERVED)
async def test_on_the_wire_it_is_the_same(name: str) -> None:
    own_url = urlsplit(adapter_of(name).base_url)
    done = stream(Answer(text="Done."))
    async with Gateway(respond=lambda request: done) as gateway, Client() as client:
        adapter = adapter_of(name, gateway.base_url.removesuffix("/v1"))
        for model in SERVED[name]:
            wire = encoded(adapter, model)
            async with client.send(wire, adapter=adapter, key=key_of(name), clocks=Clocks()):
                pass
    came = [
        received(request, f"{own_url.scheme}://{own_url.netloc}") for request in gateway.requests
    ]
    expected = written_down()
    assert came == [expected[f"{name} {model}"] for model in SERVED[name]]


def spread(value: JsonValue, depth: int, indent: str = "") -> str:
    """JSON with a line for each member, down to a depth; below it on one line."""
    if depth == 0 or not isinstance(value, (dict, list)) or not value:
        return json.dumps(value, ensure_ascii=False)
    deeper = indent + "  "
    if isinstance(value, dict):
        lines = [
            f"{json.dumps(key, ensure_ascii=False)}: {spread(member, depth - 1, deeper)}"
            for key, member in value.items()
        ]
        first, last = "{", "}"
    else:
        lines = [spread(member, depth - 1, deeper) for member in value]
        first, last = "[", "]"
    return f"{first}\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}{last}"


if __name__ == "__main__":
    rows: JsonObject = {f"{name} {model}": whole(name, model) for name, model in ROWS}
    FILE.write_text(spread(rows, depth=4) + "\n")
