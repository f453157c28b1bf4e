"""Each request repeats the conversation: what was made of it before is used again."""

import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from pydantic import JsonValue
from pydantic_core import from_json
from typing_extensions import override

from agentcore import Local, Message
from agentcore.families import ModelFamily, family_of
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from agentcore.providers.base import Request, Wire
from agentcore.providers.chat import encode_json
from agentcore.providers.payload_cache import PayloadCache

TOOL = ToolSpec(name="add", description="Add.", parameters={"type": "object", "properties": {}})
BASE_URL = "http://localhost:8000/v1"


class Counting(Local):
    """Counts the messages that it makes."""

    made = 0

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        self.made += 1
        return super().message(message, family)


class Marking(Local):
    """Changes in place what it is given."""

    @override
    def payload(self, request: Request) -> JsonObject:
        body = super().payload(request)
        messages = body["messages"]
        assert isinstance(messages, list)
        for message in messages:
            assert isinstance(message, dict)
            message["content"] = f"{message['content']}!"
        return body


def request(messages: tuple[Message, ...], cache: PayloadCache) -> Request:
    return Request(
        model="m", family=family_of("m"), messages=messages, tools=(replace(TOOL),), cache=cache
    )


def growing(turns: int) -> Iterator[tuple[Message, ...]]:
    conversation: list[Message] = [UserMessage(content="Gö on.")]
    for number in range(turns):
        yield tuple(conversation)
        call = ToolCall(id=f"call{number}", name="add", arguments="{}")
        conversation.append(AssistantMessage(tool_calls=(call,)))
        conversation.append(ToolMessage(tool_call_id=call.id, name="add", content="\ud83d"))


def test_each_message_of_a_conversation_that_grows_is_made_once() -> None:
    adapter, cache = Counting(base_url=BASE_URL), PayloadCache()
    for messages in growing(200):
        body = adapter.encode(request(messages, cache)).body
        assert body == Local(base_url=BASE_URL).encode(request(messages, PayloadCache())).body
    assert adapter.made == len(messages)


def test_a_payload_of_ones_own_may_change_what_it_is_given() -> None:
    adapter, cache = Marking(base_url=BASE_URL), PayloadCache()
    for messages in growing(3):
        body: dict[str, list[dict[str, JsonValue]]] = from_json(
            adapter.encode(request(messages, cache)).body
        )
        assert body["messages"][0]["content"] == "Gö on.!"


def test_so_may_an_encoding_of_ones_own() -> None:
    class Rewriting(Local):
        @override
        def encode(self, request: Request) -> Wire:
            body = self.payload(request)
            messages = body["messages"]
            assert isinstance(messages, list)
            for message in messages:
                assert isinstance(message, dict)
                message["content"] = f"{message['content']}!"
            return replace(super().encode(request), body=encode_json(body))

    adapter, cache = Rewriting(base_url=BASE_URL), PayloadCache()
    for messages in growing(3):
        body: dict[str, list[dict[str, JsonValue]]] = from_json(
            adapter.encode(request(messages, cache)).body
        )
        assert body["messages"][0]["content"] == "Gö on.!"


def test_one_payload_may_stand_for_many_messages() -> None:
    class Silent(Local):
        said: ClassVar[JsonObject] = {"role": "user", "content": "…"}

        @override
        def message(self, message: Message, family: ModelFamily) -> JsonObject:
            return self.said

    adapter, cache = Silent(base_url=BASE_URL), PayloadCache()
    for number in range(300):
        body = adapter.encode(request((UserMessage(content=str(number)),), cache)).body
        assert b'"messages":[{"role":"user","content":"\xe2\x80\xa6"}]' in body


def test_messages_that_are_other_objects_each_time_are_not_kept() -> None:
    cache, adapter = PayloadCache(), Local(base_url=BASE_URL)
    content = "told once, and by this test alone"
    for _ in range(1_000):
        adapter.encode(request((UserMessage(content=content),), cache))
    alive = [one for one in gc.get_objects() if isinstance(one, UserMessage)]
    assert len([one for one in alive if one.content == content]) < 150


def test_a_conversation_that_changes_before_its_end_is_joined_anew() -> None:
    adapter, cache = Counting(base_url=BASE_URL), PayloadCache()
    *_, longest = growing(6)
    for messages in (longest[:5], (*longest[:2], *longest[3:]), longest[:3], longest, longest[1:]):
        body = adapter.encode(request(messages, cache)).body
        assert body == Local(base_url=BASE_URL).encode(request(messages, PayloadCache())).body
    assert adapter.made == len(longest)
