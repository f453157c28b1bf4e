import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentcore.messages import (
    AssistantMessage,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
    dump_messages,
    load_messages,
    mend_surrogates,
)
from agentcore.testing.strategies import json_objects, texts

CALLS = st.builds(ToolCall, id=texts(), name=texts(), arguments=texts(), extra=json_objects())
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(SystemMessage, content=texts()),
    st.builds(UserMessage, content=texts()),
    st.builds(ToolMessage, tool_call_id=texts(), name=texts(), content=texts()),
    st.builds(
        AssistantMessage,
        content=texts(),
        tool_calls=st.lists(CALLS, max_size=2).map(tuple),
        reasoning=texts(),
        reasoning_details=st.lists(json_objects(), max_size=2).map(tuple),
    ),
)


def test_a_conversation_as_json() -> None:
    text = dump_messages([UserMessage(content="Write it."), SystemMessage(content="Be brief.")])

    assert text == (
        '[{"content":"Write it.","role":"user"},{"content":"Be brief.","role":"system"}]'
    )


def test_text_that_is_no_conversation_names_the_place() -> None:
    with pytest.raises(ValidationError, match=r"1\.assistant\.tool_calls\.0\.name"):
        load_messages(
            '[{"role": "user", "content": "x"},'
            ' {"role": "assistant", "tool_calls": [{"id": "c", "arguments": ""}]}]'
        )


def test_usage_adds_up() -> None:
    one = Usage(input_tokens=1, output_tokens=2, reasoning_tokens=3, cached_tokens=4)
    two = Usage(input_tokens=10, output_tokens=20, reasoning_tokens=30, cached_tokens=40)

    assert one + two == Usage(
        input_tokens=11, output_tokens=22, reasoning_tokens=33, cached_tokens=44
    )


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("plain", "plain"),
        ("\ufeffwith a mark", "\ufeffwith a mark"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d", "\ufffd"),
        ("\ud83da", "\ufffda"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ud83d\ude00", "\ufffd😀"),
    ],
)
def test_surrogate_halves(text: str, mended: str) -> None:
    assert mend_surrogates(text) == mended


@given(st.lists(MESSAGES, max_size=4))
@example(
    [
        AssistantMessage(
            tool_calls=(ToolCall(id="c", name="f", arguments='{"path": "a\\u00e9\n\x00'),)
        )
    ]
)
def test_messages_survive_json(messages: list[Message]) -> None:
    assert load_messages(dump_messages(messages)) == tuple(messages)


@given(texts())
def test_halves_of_any_text_are_joined(text: str) -> None:
    raw = text.encode("utf-16-le")
    halves = "".join(
        chr(int.from_bytes(raw[at : at + 2], "little")) for at in range(0, len(raw), 2)
    )

    assert mend_surrogates(halves) == text


@given(st.text(st.characters()) | st.text("a\ud83d\ude00"))
def test_mended_text_can_be_sent(text: str) -> None:
    mended = mend_surrogates(text)

    assert mended.encode().decode() == mended
