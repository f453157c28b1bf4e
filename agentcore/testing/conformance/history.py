"""Cases on what goes back to the endpoint of what was said before."""

import json
from collections.abc import Sequence

from pydantic import JsonValue

from agentcore.families import family_of
from agentcore.messages import AssistantMessage, JsonObject, Message, ToolMessage, UserMessage
from agentcore.testing.answers import Answer, Call
from agentcore.testing.conformance.case import Case, case, require, require_equal
from agentcore.testing.conformance.stage import Played, Stage
from agentcore.testing.script import DONE, Reply, Send, chunk, event
from agentcore.tools.base import Tool, tool

__all__ = ["HISTORY_CASES"]

_SYSTEM = "Be brief: é, 漢, 😀.\n"
_EARLIER: tuple[Message, ...] = (
    UserMessage(content="  Write é.txt,\r\nplease."),
    AssistantMessage(content="Done: 漢.\n"),
)
_FOUND = "  a line of é and 漢\n" * 12 + "\n"
_SAVE = Call(name="save", arguments='{"path": "a.txt",  "content": "b\\n"}', id="call_77_a")
_LOOK = Call(name="Look_Up-2", arguments='{"words": "😀"}', id="call_77_b")


def _look_up() -> Tool:
    @tool(name="Look_Up-2")
    async def look_up(words: str, at_most: int = 10) -> str:
        """Look words up: é, 漢 and 😀."""
        return _FOUND

    return look_up


@case(
    advice="Give `message` and `payload` what they are given: do not reorder, merge, shorten or "
    "drop. An adapter that spells messages otherwise says how by `conversation`."
)
def history_goes_out_whole(stage: Stage) -> None:
    """Instructions, an earlier turn, two calls and their results go out as they are, in order."""
    played = stage.play(
        stage.streamed(Answer(text="Wait, é.", calls=(_SAVE, _LOOK))),
        system=_SYSTEM,
        earlier=_EARLIER,
        more_tools=(_look_up(),),
    )
    require(len(played.requests) == 2, "the results were not sent", decisions=played.decisions)
    for number, request in enumerate(played.requests):
        # The first request has what came before the answer; the second all but the last answer.
        said = list(played.messages)[: 4 if number == 0 else -1]
        sent = [_spelled(message) for message in stage.conversation(request)]
        wanted = [_expected(message) for message in said]
        require(
            [message["role"] for message in sent] == [message["role"] for message in wanted],
            f"request {request.number} has other messages, or in another order",
            wanted=[message["role"] for message in wanted],
            sent=[message["role"] for message in sent],
        )
        for place, (one, other) in enumerate(zip(sent, wanted, strict=True), start=1):
            require_equal(
                json.dumps(one, ensure_ascii=False),
                json.dumps(other, ensure_ascii=False),
                f"message {place} of request {request.number} is another",
            )


def _expected(message: Message) -> JsonObject:
    spelled: JsonObject = {"role": message.role, "content": message.content}
    if isinstance(message, AssistantMessage) and message.tool_calls:
        calls: list[JsonValue] = [[c.id, c.name, c.arguments] for c in message.tool_calls]
        spelled["calls"] = calls
    if isinstance(message, ToolMessage):
        spelled["answers"] = message.tool_call_id
    return spelled


def _spelled(message: JsonObject) -> JsonObject:
    """A message of a request, as far as it is compared."""
    role, content = message.get("role"), message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text")) for part in content if isinstance(part, dict))
    spelled: JsonObject = {
        "role": "system" if role == "developer" else role,
        "content": content or "",
    }
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        made: list[JsonValue] = []
        for call in calls:
            whole = call if isinstance(call, dict) else {}
            function = whole.get("function")
            named = function if isinstance(function, dict) else {}
            made.append([whole.get("id"), named.get("name"), named.get("arguments")])
        spelled["calls"] = made
    if "tool_call_id" in message:
        spelled["answers"] = message["tool_call_id"]
    return spelled


@case(advice="Build on `super().payload(request)`, which lists each tool of `request.tools` whole.")
def tools_go_out_whole(stage: Stage) -> None:
    """Each tool goes out with its name, description and parameters; none, where there is none."""
    spec = _look_up().spec
    request = stage.play(more_tools=(_look_up(),)).requests[0]
    require(
        _describes(request.body, spec.name, spec.description, spec.parameters),
        f"the second tool, {spec.name}, is not there with its description and parameters",
        tools=request.tools or "none",
    )
    body = stage.play(tools=False).requests[0].body
    require(
        not {"tools", "tool_choice"} & set(body),
        "without tools there must be no word of them: strict servers refuse an empty list",
        tools=body.get("tools"),
        tool_choice=body.get("tool_choice"),
    )


def _describes(value: JsonValue, *wanted: JsonValue) -> bool:
    """Whether an object anywhere in a value has all these among its own fields' values."""
    if isinstance(value, list):
        return any(_describes(item, *wanted) for item in value)
    if isinstance(value, dict):
        fields = list(value.values())
        return all(one in fields for one in wanted) or any(
            _describes(item, *wanted) for item in fields
        )
    return False


@case(
    advice="Return `AssistantMessage.reasoning_details` in `message`, item by item, unchanged; or "
    "say in `Capabilities` that the endpoint does not take them.",
    applies=lambda capabilities: capabilities.reasoning_details,
)
def reasoning_details_go_back(stage: Stage) -> None:
    """Reasoning details that came with a call go back with it, unchanged and in order."""
    details: tuple[JsonObject, ...] = (
        {"type": "reasoning.text", "text": "hm é", "signature": "zz9=", "index": 1},
        {"type": "reasoning.encrypted", "data": "gAAA==", "n": 1.0, "index": 0},
    )
    played = stage.play(stage.streamed(Answer(reasoning_details=details, calls=(_SAVE,))))
    body = played.requests[-1].body
    require(
        [one for one in _objects_in(body) if one in details] == list(details),
        "they are not in the next request, each once and in order",
        came=details,
        history=played.requests[-1].messages,
    )


def _objects_in(value: JsonValue) -> Sequence[JsonObject]:
    """Every object anywhere in a value, in order."""
    if isinstance(value, list):
        return [found for item in value for found in _objects_in(item)]
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in _objects_in(item))]
    return []


@case(
    advice="Send `AssistantMessage.reasoning` back under the names of `family.returned_reasoning`, "
    "best by `super().message(…)`.",
    chat_only=True,
)
def reasoning_goes_back_where_it_must(stage: Stage) -> None:
    """To a model of a family that wants its reasoning returned, it is."""
    for model in stage.models:
        answer = Answer(reasoning="hm, é", calls=(_SAVE,))
        played = stage.play(stage.streamed(answer), models=(model,))
        names = family_of(model).returned_reasoning
        said = _of_assistant(stage, played)
        require(
            all(said.get(name) == "hm, é" for name in names),
            f"{model} wants it back as {', '.join(names)}",
            sent=said,
        )


def _of_assistant(stage: Stage, played: Played) -> JsonObject:
    messages = stage.conversation(played.requests[-1])
    said = [message for message in messages if message.get("role") == "assistant"]
    return said[-1] if said else {}


@case(
    advice="Keep `ToolCallDelta.extra` in `decode`, and write `ToolCall.extra` in `message`; or "
    "say in `Capabilities` that the endpoint does not take `extra_content`.",
    chat_only=True,
    applies=lambda capabilities: capabilities.extra_content,
)
def extra_content_goes_back(stage: Stage) -> None:
    """What the endpoint wants returned with a call (`extra_content`) is, unchanged."""
    extra: JsonObject = {"google": {"thought_signature": "zz9=", "n": 1.0}}
    call: JsonObject = {
        "index": 0,
        "id": "call_77",
        "type": "function",
        "function": {"name": _SAVE.name, "arguments": _SAVE.arguments},
        "extra_content": extra,
    }
    chunks = (chunk({"tool_calls": [call]}), chunk({}, "tool_calls"))
    played = stage.play(Reply(steps=(*(Send(event(one)) for one in chunks), *DONE)))
    require(
        extra in _objects_in(played.requests[-1].body),
        "it is not in the next request",
        came=extra,
        history=_of_assistant(stage, played),
    )


HISTORY_CASES: tuple[Case, ...] = (
    history_goes_out_whole,
    tools_go_out_whole,
    reasoning_details_go_back,
    reasoning_goes_back_where_it_must,
    extra_content_goes_back,
)
