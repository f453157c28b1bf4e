"""What a model says, put on the wire as chat completions: as a stream or as one body.

Real servers spell the same answer in many ways; `Quirk` names those that break accumulators.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from agentcore.messages import JsonObject, Usage
from agentcore.testing.script import DONE, Pause, Reply, Send, Step, chunk, event

__all__ = ["Answer", "Call", "Quirk", "stream", "whole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call of an answer."""

    name: str
    arguments: str
    """As JSON text."""
    id: str = "call_0001"

    def __post_init__(self) -> None:
        if not isinstance(self.arguments, str):
            kind = type(self.arguments).__name__
            raise TypeError(f"Call(arguments=…): must be text, not {kind}: json.dumps it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model says, before any wire format."""

    text: str = ""
    reasoning: str = ""
    reasoning_details: tuple[JsonObject, ...] = ()
    """To be returned with the next request, unchanged."""
    calls: tuple[Call, ...] = ()
    finish_reason: str = ""
    """Empty: `tool_calls` when there are calls, else `stop`."""
    usage: Usage | None = None

    def __post_init__(self) -> None:
        calls: object = self.calls
        if not isinstance(calls, Collection) or any(not isinstance(c, Call) for c in self.calls):
            raise TypeError(f"Answer(calls=…): give a tuple of Calls, got {calls!r}")

    @property
    def reason(self) -> str:
        """The finish reason that goes out."""
        return self.finish_reason or ("tool_calls" if self.calls else "stop")


class Quirk(StrEnum):
    """How a real server's stream differs from what the API's reference shows."""

    NAME_IN_EVERY_DELTA = "name-in-every-delta"
    ID_IN_EVERY_DELTA = "id-in-every-delta"
    FRESH_IDS = "fresh-ids"
    """Every fragment of a call has another id."""
    NO_ID = "no-id"
    NO_INDEX = "no-index"
    INDEX_REUSED = "index-reused"
    """Every call is at index 0; only a new id tells them apart."""
    INDEX_FROM_ONE = "index-from-one"
    NULL_FIELDS = "null-fields"
    """Fields that say nothing are null instead of absent."""
    ARGUMENTS_AS_OBJECT = "arguments-as-object"
    """Arguments come in one delta, as JSON and not as text."""
    ONE_DELTA_A_CALL = "one-delta-a-call"
    """Id, name and all arguments in one delta."""
    WHOLE_MESSAGE = "whole-message"
    """A `message` instead of deltas, in one event of the stream."""
    CUMULATIVE_ARGUMENTS = "cumulative-arguments"
    """Every delta repeats all argument text so far; an adapter has to say so in its capabilities:
    the structure cannot tell."""


def stream(
    answer: Answer,
    *,
    piece: int = 16,
    pace: float = 0.0,
    done: bool = True,
    quirks: Collection[Quirk] = (),
) -> Reply:
    """An answer as a chat-completions stream.

    Args:
        answer: What is said.
        piece: Characters a delta.
        pace: Seconds between two deltas.
        done: End with `data: [DONE]`.
        quirks: How it departs from the reference.

    Raises:
        TypeError: No `Answer` was given.
        ValueError: `piece` is below 1, or a quirk is none.
    """
    _check_answer("stream", answer)
    if not piece >= 1:
        raise ValueError(f"stream(piece={piece!r}): must be 1 character or more")
    steps: list[Step] = []
    for payload, arguments in _chunks(answer, piece, _known_quirks(quirks)):
        steps.append(Send(event(payload), arguments))
        if pace:
            steps.append(Pause(pace))
    return Reply(steps=(*steps, *(DONE if done else ())))


def whole(answer: Answer, *, pace: float = 0.0) -> Reply:
    """An answer as one JSON body, after `pace` seconds."""
    _check_answer("whole", answer)
    choice: JsonObject = {"index": 0, "message": _message(answer), "finish_reason": answer.reason}
    body: JsonObject = {"id": "gen-1", "object": "chat.completion", "choices": [choice]}
    if answer.usage is not None:
        body["usage"] = _usage(answer.usage)
    steps: tuple[Step, ...] = (Send(json.dumps(body).encode()),)
    if pace:
        steps = (Pause(pace), *steps)
    return Reply(steps=steps, headers={"content-type": "application/json"})


def _check_answer(where: str, answer: object) -> None:
    if not isinstance(answer, Answer):
        kind = type(answer).__name__
        raise TypeError(f"{where}(…) puts an Answer on the wire, and got a {kind}")


def _known_quirks(quirks: Collection[Quirk]) -> frozenset[Quirk]:
    if isinstance(quirks, str):
        raise TypeError(f"stream(quirks={quirks!r}): give a list of them")
    unknown = sorted(set(quirks) - set(Quirk))
    if unknown:
        raise ValueError(f"stream(quirks={unknown}): unknown; there are {', '.join(Quirk)}")
    return frozenset(Quirk(quirk) for quirk in quirks)


def _chunks(
    answer: Answer, piece: int, quirks: frozenset[Quirk]
) -> Iterator[tuple[JsonObject, str]]:
    """Chunks, each with the piece of argument text in it."""
    if Quirk.WHOLE_MESSAGE in quirks:
        choice: JsonObject = {"index": 0, "delta": {}, "message": _message(answer)}
        yield {"id": "gen-1", "choices": [choice | {"finish_reason": answer.reason}]}, ""
    else:
        yield chunk({"role": "assistant", "content": ""}), ""
        for text in _pieces(answer.reasoning, piece):
            yield chunk({"reasoning_content": text}), ""
        if answer.reasoning_details:
            yield chunk({"reasoning_details": list(answer.reasoning_details)}), ""
        for text in _pieces(answer.text, piece):
            yield chunk({"content": text}), ""
        for position, call in enumerate(answer.calls):
            for fragment, text in _fragments(call, position, piece, quirks):
                delta: JsonObject = {"tool_calls": [fragment]}
                if Quirk.NULL_FIELDS in quirks:
                    delta |= {"content": None, "reasoning_content": None, "role": None}
                yield chunk(delta), text
        yield chunk({}, answer.reason), ""
    if answer.usage is not None:
        yield {"id": "gen-1", "choices": [], "usage": _usage(answer.usage)}, ""


def _fragments(
    call: Call, position: int, piece: int, quirks: frozenset[Quirk]
) -> Iterator[tuple[JsonObject, str]]:
    """The deltas of one call, each with its piece of argument text."""
    if Quirk.ARGUMENTS_AS_OBJECT in quirks:
        function: JsonObject = {"name": call.name, "arguments": json.loads(call.arguments)}
        yield _with_quirks({"id": call.id, "function": function}, call, position, 0, quirks), ""
        return
    texts = list(_pieces(call.arguments, piece))
    if Quirk.ONE_DELTA_A_CALL in quirks:
        texts, opening = [], call.arguments
    else:
        opening = ""
    first: JsonObject = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": opening},
    }
    yield _with_quirks(first, call, position, 0, quirks), opening
    so_far = ""
    for number, text in enumerate(texts, start=1):
        so_far += text
        sent = so_far if Quirk.CUMULATIVE_ARGUMENTS in quirks else text
        fragment: JsonObject = {"function": {"arguments": sent}}
        yield _with_quirks(fragment, call, position, number, quirks), text


def _with_quirks(
    fragment: JsonObject, call: Call, position: int, number: int, quirks: frozenset[Quirk]
) -> JsonObject:
    function = fragment["function"]
    assert isinstance(function, dict)
    if Quirk.NAME_IN_EVERY_DELTA in quirks:
        function["name"] = call.name
    elif Quirk.NULL_FIELDS in quirks:
        function.setdefault("name", None)
    if Quirk.FRESH_IDS in quirks:
        fragment["id"] = f"{call.id}-{number}"
    elif Quirk.ID_IN_EVERY_DELTA in quirks:
        fragment["id"] = call.id
    elif Quirk.NULL_FIELDS in quirks:
        fragment.setdefault("id", None)
    if Quirk.NO_ID in quirks:
        fragment.pop("id", None)
    if Quirk.NO_INDEX in quirks:
        return fragment
    index = 0 if Quirk.INDEX_REUSED in quirks else position + (Quirk.INDEX_FROM_ONE in quirks)
    return {"index": index, **fragment}


def _message(answer: Answer) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": answer.text or None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.reasoning_details:
        message["reasoning_details"] = list(answer.reasoning_details)
    if answer.calls:
        calls: list[JsonValue] = [_call(call, at) for at, call in enumerate(answer.calls)]
        message["tool_calls"] = calls
    return message


def _call(call: Call, position: int) -> JsonObject:
    function: JsonObject = {"name": call.name, "arguments": call.arguments}
    return {"index": position, "id": call.id, "type": "function", "function": function}


def _usage(usage: Usage) -> JsonObject:
    body: JsonObject = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        body["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return body


def _pieces(text: str, size: int) -> Iterable[str]:
    return (text[start : start + size] for start in range(0, len(text), size))
