"""Cases on what an adapter makes of answers that come whole, however they are spelled."""

import json
from collections.abc import Callable, Iterator, Mapping

from agentcore.events import ToolCallDelta
from agentcore.messages import JsonObject, Usage
from agentcore.providers.base import ProviderAdapter
from agentcore.sse import SSEDecoder
from agentcore.testing.answers import Answer, Call, Quirk
from agentcore.testing.conformance.case import Case, case, require, require_equal
from agentcore.testing.conformance.stage import Played, Stage
from agentcore.testing.faults import (
    after_events,
    in_packets,
    stall,
    with_bom,
    with_crlf,
    without_last_blank_line,
)
from agentcore.testing.script import COMMENT, EMPTY_DELTA, Reply

__all__ = ["RECEIVED_CASES", "WRITE", "require_whole"]

AWKWARD = (
    '{"path":"a.txt", "content" : "\\u00e9 \\ud83d\\ude00 {\\"a\\": [1.0, 1e2]}\\n\\t\\\\ é漢😀",\n'
    ' "extra": {"n": 1.0, "big": 12345678901234567890, "e": 1e2, "z": null, "b": {"a": [ ]}}}'
)
"""Spaces, escapes, numbers and braces that do not survive being parsed and written again."""
WRITE = Call(name="save", arguments=AWKWARD, id="call_01")
SECOND = Call(name="save", arguments='{"path": "b.txt", "content": "two"}', id="call_02")
THIRD = Call(name="save", arguments='{"content": "}{", "path": "c.txt"}', id="call_03")


def require_whole(played: Played, calls: tuple[Call, ...], *, byte_for_byte: bool = True) -> None:
    """Every call arrived as it was made, once, and each was run once, in order."""
    made = [call for message in played.answers for call in message.tool_calls]
    last = played.attempts[-1]
    require(
        last.decision == "accept",
        "the answer was not taken for whole",
        kind=last.kind,
        rule=last.rule,
        said=last.message or "nothing",
    )
    require(
        [call.name for call in made] == [call.name for call in calls],
        "the calls' names are not those that were sent",
        sent=[call.name for call in calls],
        arrived=[call.name for call in made],
    )
    for sent, arrived in zip(calls, made, strict=True):
        if byte_for_byte:
            require_equal(
                arrived.arguments, sent.arguments, "the raw argument text is not what was sent"
            )
    wanted = [{"extra": None, **json.loads(call.arguments)} for call in calls]
    require(
        played.runs == wanted, "the tool did not run once for each call, with what was sent",
        sent=wanted, ran=played.runs,
    )  # fmt: skip
    ids = [call.id for call in made]
    require(len(set(ids)) == len(ids) and all(ids), "calls need ids, each another", ids=ids)


@case(advice="Yield a `TextDelta` with the text of each chunk as it is, none left out or doubled.")
def text_comes_whole(stage: Stage) -> None:
    """A text answer arrives to the character, white space and all, and is shown once."""
    text = '  Two spaces,\n\nan é, a 漢, a 😀 and "quotes".\n'
    played = stage.play(stage.streamed(Answer(text=text), piece=3))
    require_equal(played.result.text if played.result else "", text, "the text is another")
    shown = "".join(getattr(event, "text", "") for event in played.events)
    require_equal(shown, text, "what was shown on the way is another")


@case(advice="Yield `ReasoningDelta`s for the endpoint's reasoning field, not text.")
def reasoning_is_kept_apart(stage: Stage) -> None:
    """Reasoning is not part of the answer's text."""
    played = stage.play(stage.streamed(Answer(reasoning="hm, hm", text="Yes.")))
    require_equal(played.result.text if played.result else "", "Yes.", "the text is another")
    require_equal(played.answers[-1].reasoning, "hm, hm", "the reasoning is another")


@case(advice="Hand the text of `arguments` on as it came, in each `ToolCallDelta`: no json.loads, "
      "no strip, nothing left out.")  # fmt: skip
def raw_arguments_arrive_byte_for_byte(stage: Stage) -> None:
    """Argument text reaches tool and history as it was sent, however deltas cut it."""
    for piece in (1, 2, 7, 10_000):
        reply = stage.streamed(Answer(calls=(WRITE,)), piece=piece)
        if not stage.quirks:
            decoded = "".join(_decoded_arguments(stage.adapter(), reply))
            at = reply.body.index(b'"arguments"', reply.body.index(b'"arguments"') + 1)
            require_equal(
                decoded,
                WRITE.arguments,
                "`decode` does not hand on what was sent",
                stream=f"…{reply.body[at - 80 : at + 80]!r}…",
            )
        require_whole(stage.play(reply), (WRITE,))


def _decoded_arguments(adapter: ProviderAdapter, reply: Reply) -> Iterator[str]:
    """What an adapter makes of the argument text in a stream, by itself."""
    for event in SSEDecoder().feed(reply.body):
        if event.data == b"[DONE]":
            continue
        for decoded in adapter.decode(event.event, json.loads(event.data)):
            if isinstance(decoded, ToolCallDelta):
                yield decoded.arguments


@case(advice="Pass each delta's `index` and `id` on; the accumulator tells calls apart by them.")
def parallel_calls_stay_apart(stage: Stage) -> None:
    """Three calls in one answer arrive as three, in order."""
    calls = (WRITE, SECOND, THIRD)
    require_whole(stage.play(stage.streamed(Answer(text="Now.", calls=calls), piece=5)), calls)


@case(advice="Yield a `UsageReport` for the chunk with `usage`, also where it has no choices.")
def usage_is_kept(stage: Stage) -> None:
    """The tokens that the endpoint reports stand in the ledger."""
    usage = Usage(input_tokens=321, output_tokens=45)
    played = stage.play(stage.streamed(Answer(text="Yes.", usage=usage)))
    require(played.attempts[0].usage == usage, "the ledger has others",
            sent=usage, ledger=played.attempts[0].usage)  # fmt: skip


@case(advice="Keep no state between answers: a hook must not write to `self`.")
def answers_do_not_mix(stage: Stage) -> None:
    """The same adapter reads the same answer the same way twice."""
    adapter = stage.adapter()
    for _ in range(2):
        played = stage.play(stage.streamed(Answer(calls=(SECOND, THIRD))), adapter=adapter)
        require_whole(played, (SECOND, THIRD))


def _quirk(quirk: Quirk, advice: str) -> Case:
    calls = (SECOND,) if quirk in (Quirk.NO_ID, Quirk.NO_INDEX) else (SECOND, THIRD)

    @case(
        name=f"quirk-{quirk}",
        advice=advice,
        applies=lambda capabilities: not capabilities.cumulative_arguments,
    )
    def check(stage: Stage) -> None:
        """Calls arrive whole from a server that spells them so."""
        played = stage.play(stage.streamed(Answer(calls=calls), quirks=(quirk,)))
        require_whole(played, calls, byte_for_byte=quirk is not Quirk.ARGUMENTS_AS_OBJECT)

    return check


_QUIRK_ADVICE: Mapping[Quirk, str] = {
    Quirk.NAME_IN_EVERY_DELTA: "Yield the name as each delta has it; never join names.",
    Quirk.ID_IN_EVERY_DELTA: "Yield the id as each delta has it; a known id is no new call.",
    Quirk.FRESH_IDS: "Leave telling calls apart to the accumulator: index before id.",
    Quirk.NO_ID: "Yield an empty id where there is none; the loop makes one.",
    Quirk.NO_INDEX: "Yield `index=None` where there is none, not 0.",
    Quirk.INDEX_REUSED: "Leave telling calls apart to the accumulator: a new id opens a call.",
    Quirk.INDEX_FROM_ONE: "Pass the index on as it is; do not use it to address a list.",
    Quirk.NULL_FIELDS: "Read null as absent.",
    Quirk.ARGUMENTS_AS_OBJECT: "Write an object out as JSON text.",
    Quirk.ONE_DELTA_A_CALL: "Yield the arguments of the delta that opens a call, too.",
    Quirk.WHOLE_MESSAGE: "Read `message` where there is no `delta`, after a `MessageRestart`.",
}


def _framing(name: str, change: Callable[[Reply], Reply]) -> Case:
    @case(name=f"framing-{name}", advice="Leave bytes to the loop: override `decode` alone.")
    def check(stage: Stage) -> None:
        """The same answer arrives, whatever its lines and packets look like."""
        answer = Answer(text="é, 漢, 😀", calls=(WRITE,))
        require_whole(stage.play(change(stage.streamed(answer))), (WRITE,))

    return check


@case(advice="Let `decode` read a whole answer, too: `message` instead of `delta`.")
def json_instead_of_a_stream(stage: Stage) -> None:
    """An endpoint that answers a streamed request with one JSON body is understood."""
    require_whole(stage.play(stage.whole(Answer(calls=(SECOND, THIRD)))), (SECOND, THIRD))


@case(advice="Yield nothing for a chunk that says nothing; leave the clocks to the loop.")
def signs_of_life_are_no_content(stage: Stage) -> None:
    """A minute of comments or of empty deltas in the middle of an answer does no harm."""
    for meanwhile in (COMMENT, EMPTY_DELTA):
        good = stage.streamed(Answer(calls=(SECOND,)))
        slow = stage.play(
            stall(good, at=after_events(3), seconds=60.0, meanwhile=meanwhile, every=5.0)
        )
        require(slow.decisions == ["accept", "accept"], "it was cut", did=slow.decisions)
        require_whole(slow, (SECOND,))


_ODD_CHUNKS: tuple[JsonObject, ...] = (
    {},
    {"choices": None},
    {"choices": []},
    {"choices": [None]},
    {"choices": [{"delta": None}]},
    {"choices": [{"delta": {"content": None, "tool_calls": None}}]},
    {"choices": [{"delta": {"content": 7, "tool_calls": "x"}}]},
    {"choices": [{"delta": {"tool_calls": [None, 7, {}, {"function": None}]}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": "a", "id": 7, "function": {"name": 1}}]}}]},
    {"choices": "x", "usage": "y", "id": 3},
    {"id": None, "usage": {"prompt_tokens": "many", "completion_tokens": None}},
    {"error": None},
    {"object": "chat.completion.chunk", "model": None, "created": None},
)


@case(advice="Check types before use: any field may be absent, null or of another type.")
def odd_chunks_do_no_harm(stage: Stage) -> None:
    """`decode` raises on no JSON object at all."""
    adapter = stage.adapter()
    for chunk in _ODD_CHUNKS:
        try:
            list(adapter.decode("", chunk))
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
            require(False, "`decode` raised", chunk=json.dumps(chunk), raised=raised)


RECEIVED_CASES: tuple[Case, ...] = (
    text_comes_whole,
    reasoning_is_kept_apart,
    raw_arguments_arrive_byte_for_byte,
    parallel_calls_stay_apart,
    usage_is_kept,
    answers_do_not_mix,
    *(_quirk(quirk, advice) for quirk, advice in _QUIRK_ADVICE.items()),
    _framing("byte-order-mark", with_bom),
    _framing("crlf", with_crlf),
    _framing("no-last-blank-line", without_last_blank_line),
    _framing("byte-by-byte", lambda reply: in_packets(reply, 1)),
    _framing("one-packet", lambda reply: in_packets(reply, None)),
    json_instead_of_a_stream,
    signs_of_life_are_no_content,
    odd_chunks_do_no_harm,
)
