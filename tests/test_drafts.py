import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentcore.arguments import closed_fields, parse_arguments
from agentcore.drafts import CutCall, Kept, keep
from agentcore.kinds import CutCause
from agentcore.messages import AssistantMessage, JsonObject, ToolCall
from agentcore.testing import Answer
from agentcore.testing.strategies import answers, json_objects
from agentcore.verdict import Partial

DRAFTS = {"write_file": "content"}


def call(name: str, arguments: str, **more: Any) -> ToolCall:
    return ToolCall(id=f"{name}-id", name=name, arguments=arguments, **more)


def kept(*calls: ToolCall, **more: Any) -> Kept:
    return keep(Partial(calls=calls, **more), CutCause.DROPPED, draft_arguments=DRAFTS)


def test_a_cut_call_stands_with_its_closed_fields() -> None:
    raw = '{"path": "é.md", "content": "# Pl\\nan\\n'
    extra: JsonObject = {"extra_content": {"s": 1}}

    result = kept(call("write_file", raw, extra=extra), text="x", reasoning="hm")

    stands = call("write_file", '{"path": "é.md"}', extra=extra)
    assert result == Kept(
        message=AssistantMessage(content="x", reasoning="hm", tool_calls=(stands,)),
        cut_calls=(
            CutCall(
                call=stands,
                fields={"path": "é.md"},
                received_bytes=len(raw.encode()),
                received_lines=2,
            ),
        ),
        cause=CutCause.DROPPED,
    )


READ = call("read_file", '{"path": "a"}')
WRITE = call("write_file", '{"path": "a", "content": "x"}')
BEGUN = call("write_file", '{"path": "a", "content": "x')


@pytest.mark.parametrize(
    ("calls", "arguments", "cut"),
    [
        ((READ, BEGUN), ['{"path": "a"}', '{"path": "a"}'], ["write_file"]),
        # Gateways close what they cut: the last write is not to be trusted.
        ((READ, WRITE), ['{"path": "a"}', '{"path": "a"}'], ["write_file"]),
        # Once a comma too many cost the path.
        ((call("write_file", '{"path": "a",}'),), ['{"path": "a"}'], ["write_file"]),
        ((WRITE, READ), [WRITE.arguments, READ.arguments], []),
        ((WRITE, call("read_file", "")), [WRITE.arguments, "{}"], ["read_file"]),
        ((call("read_file", "nonsense"),), ["{}"], ["read_file"]),
        # Once a field without a name was taken for the draft of a tool that has none.
        ((call("read_file", '{"": 1, "path": "a'),), ['{"": 1}'], ["read_file"]),
        ((), [], []),
    ],
)
def test_which_calls_are_cut(
    calls: tuple[ToolCall, ...], arguments: list[str], cut: list[str]
) -> None:
    result = kept(*calls)

    assert [c.arguments for c in result.message.tool_calls] == arguments
    assert [c.call.name for c in result.cut_calls] == cut


@pytest.mark.parametrize(
    ("calls", "summary"),
    [
        ((READ, READ, BEGUN), "2 closed calls; the closed fields of write_file, its text dropped"),
        ((READ,), "1 closed call"),
        ((BEGUN,), "the closed fields of write_file, its text dropped"),
        ((), ""),
    ],
)
def test_summary(calls: tuple[ToolCall, ...], summary: str) -> None:
    assert kept(*calls).summary == summary


@given(answers(), st.data())
def test_history_is_valid_and_every_call_has_its_place(answer: Answer, data: st.DataObject) -> None:
    calls = [ToolCall(id=c.id, name=c.name, arguments=c.arguments) for c in answer.calls]
    if calls:
        last = calls.pop()
        at = data.draw(st.integers(0, len(last.arguments)))
        calls.append(call(last.name, last.arguments[:at]))

    result = kept(*calls)

    assert [c.id for c in result.message.tool_calls] == [c.id for c in calls]
    assert all(isinstance(json.loads(c.arguments), dict) for c in result.message.tool_calls)
    assert {c.call.id for c in result.cut_calls} <= {c.id for c in calls[-1:]}


@given(json_objects(), st.text(max_size=20), st.data())
@example({"": 1, "content": "x"}, "y", None)
def test_the_large_argument_never_stands_in_the_history(
    fields: JsonObject, content: str, data: st.DataObject | None
) -> None:
    text = json.dumps({"path": "a", **fields, "content": content})
    at = len(text) if data is None else data.draw(st.integers(0, len(text)))

    (cut,) = kept(call("write_file", text[:at])).cut_calls

    known = closed_fields(text[:at])
    known.pop("content", None)
    assert cut.fields == known
    parsed = parse_arguments(cut.call.arguments)
    assert parsed is not None
    assert parsed.fields == known
