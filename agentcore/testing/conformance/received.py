"""Cases on what an adapter makes of answers that come whole, however they are spelled."""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy

from agentcore.events import (
    ReasoningReceived,
    RunEvent,
    TextReceived,
    ToolArgumentsReceived,
    ToolCallDelta,
)
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
from agentcore.testing.script import COMMENT, DONE, EMPTY_DELTA, Reply, Send, chunk, event
from agentcore.tools.base import tool

__all__ = ["RECEIVED_CASES", "WRITE", "an_answer_is_accepted", "require_whole"]

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


@case(
    advice="Begin with a subclass that overrides nothing but `name` and `base_url`, and add a "
    "hook at a time: `encode` makes a request, `decode` hands on its text and its finish reason."
)
def an_answer_is_accepted(stage: Stage) -> None:
    """A short answer to a prompt is asked for once, and accepted: without that nothing else can."""
    played = stage.play(stage.streamed(Answer(text="Yes.")))
    require(played.decisions == ["accept"], "it was not accepted", decisions=played.decisions)
    require_equal(played.result.text if played.result else "", "Yes.", "the text is another")


@case(advice="Yield a `TextDelta` with the text of each chunk as it is, none left out or doubled.")
def text_comes_whole(stage: Stage) -> None:
    """A text answer arrives to the character, white space and all, and is shown once."""
    text = (
        '  Two spaces,\n\nan é, a 漢, a 😀 and "quotes".\r\ne\u0301 is no é;\u2028**<think>** is '
        "text.\x0c\n"
    )
    for piece in (1, 3, 10_000):
        played = stage.play(stage.streamed(Answer(text=text), piece=piece))
        require_equal(played.result.text if played.result else "", text, "the text is another")
        shown = "".join(getattr(event, "text", "") for event in played.events)
        require_equal(shown, text, "what was shown on the way is another")


@case(
    advice="Read `refusal` where there is no `content`, and the parts where `content` is a list, "
    "best by `super().decode(…)`.",
    chat_only=True,
)
def text_in_other_places_is_read(stage: Stage) -> None:
    """A refusal is the answer's text; content that comes as a list is read part by part."""
    refusal: tuple[JsonObject, ...] = ({"refusal": "I cannot "}, {"refusal": "do that."})
    parts: tuple[JsonObject, ...] = (
        {"content": [{"type": "text", "text": "I cannot "}]},
        {"content": [{"type": "text", "text": "do"}, {"type": "text", "text": " that."}]},
    )
    for deltas in (refusal, parts):
        chunks = [*(chunk(delta) for delta in deltas), chunk({}, "stop")]
        played = stage.play(Reply(steps=(*(Send(event(one)) for one in chunks), *DONE)))
        text = played.result.text if played.result else ""
        require_equal(text, "I cannot do that.", "the text is another")


@case(advice="Yield what a chunk says at once: what is kept back looks like silence, and is lost "
      "when the connection is.")  # fmt: skip
def nothing_is_held_back(stage: Stage) -> None:
    """Text, reasoning and arguments are shown while the answer still streams."""
    words = "one two three four five six seven eight nine ten "
    call = Call(name="save", arguments=json.dumps({"path": "a", "content": words}))
    answers: tuple[tuple[type[RunEvent], Answer], ...] = (
        (TextReceived, Answer(text=words)),
        (ReasoningReceived, Answer(reasoning=words, text="Yes.")),
        (ToolArgumentsReceived, Answer(calls=(call,))),
    )
    for kind, answer in answers:
        reply = stage.streamed(answer, piece=4)
        halting = stall(reply, at=after_events(8), seconds=5.0)
        heard = [at for at, event in stage.play(halting).heard if isinstance(event, kind)]
        require(
            bool(heard) and heard[0] < 5.0,
            f"the first {kind.__name__} came only when the answer went on after a halt",
            came_after=f"{heard[0]:g} s" if heard else "never",
        )


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
        if stage.is_chat and not stage.quirks:
            decoded = "".join(_decoded_arguments(stage.adapter(), reply))
            at = reply.body.index(b'"arguments"', reply.body.index(b'"arguments"') + 1)
            require_equal(
                decoded,
                WRITE.arguments,
                "`decode` does not hand on what was sent",
                stream=reply.body[at - 80 : at + 80],
            )
        require_whole(stage.play(reply), (WRITE,))


def _decoded_arguments(adapter: ProviderAdapter, reply: Reply) -> Iterator[str]:
    """What an adapter makes of the argument text in a stream, by itself."""
    for name, data in SSEDecoder().feed(reply.body):
        if data == b"[DONE]":
            continue
        for decoded in adapter.decode(name, json.loads(data)):
            if isinstance(decoded, ToolCallDelta):
                yield decoded.arguments


@case(advice="Hand on each delta whole, however long it is.")
def a_long_call_arrives_whole(stage: Stage) -> None:
    """A call of 100 kB arrives to the byte, in few deltas or in many."""
    text = "".join(f"{number}. A line.\r\n" for number in range(6_000)) + "e\u0301"
    fields = {"path": "a.txt", "content": text}
    call = Call(name="save", arguments=json.dumps(fields, ensure_ascii=False))
    for piece in (2_000, 60_000):
        require_whole(stage.play(stage.streamed(Answer(calls=(call,)), piece=piece)), (call,))


@case(advice="Yield a tool's name and a call's id as they came: the endpoint knows them so.")
def names_and_ids_arrive_as_they_are(stage: Stage) -> None:
    """A call's name and id are kept to the character."""
    call = Call(name="Save_File-2", arguments='{"text": "a"}', id="call_Ab-9_zZ")
    ran: list[str] = []

    @tool(name="Save_File-2")
    async def save_file(text: str) -> str:
        """Save."""
        ran.append(text)
        return "saved"

    played = stage.play(stage.streamed(Answer(calls=(call,))), more_tools=(save_file,))
    made = [(call.name, call.id) for message in played.answers for call in message.tool_calls]
    require(made == [(call.name, call.id)], "they are others", sent=(call.name, call.id), made=made)
    require(ran == ["a"], "the tool was not run", ran=ran)


@case(advice="Pass each delta's `index` and `id` on; the accumulator tells calls apart by them.")
def parallel_calls_stay_apart(stage: Stage) -> None:
    """Three calls in one answer arrive as three, in order."""
    calls = (WRITE, SECOND, THIRD)
    require_whole(stage.play(stage.streamed(Answer(text="Now.", calls=calls), piece=5)), calls)


@case(advice="Yield a `UsageReport` for the chunk with `usage`, also where it has no choices.")
def usage_is_kept(stage: Stage) -> None:
    """The tokens that the endpoint reports, of a stream or a whole answer, stand in the ledger."""
    usage = Usage(input_tokens=321, output_tokens=45, reasoning_tokens=30, cached_tokens=300)
    answer = Answer(text="Yes.", usage=usage)
    for reply in (stage.streamed(answer), stage.whole(answer)):
        played = stage.play(reply)
        require(played.attempts[0].usage == usage, "the ledger has others",
                sent=usage, ledger=played.attempts[0].usage)  # fmt: skip


@case(
    advice="Leave `stream_options` as `super().payload(request)` has it; where the endpoint "
    "refuses it, set `Capabilities(usage_in_stream=False)`.",
    applies=lambda capabilities: capabilities.usage_in_stream,
)
def usage_is_asked_for(stage: Stage) -> None:
    """An endpoint that reports usage only when it is asked to is asked to."""
    for model in stage.models:
        options = stage.play(models=(model,)).requests[0].body.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage") is True
        require(asked, f"{model} is not asked for it", stream_options=options)


@case(advice="Yield a `ResponseInfo` with the chunk's `id`.", chat_only=True)
def the_generation_id_is_kept(stage: Stage) -> None:
    """The endpoint's own id of an answer stands in the ledger: its support asks for it."""
    played = stage.play(stage.streamed(Answer(text="Yes.")))
    require_equal(played.attempts[0].generation_id, "gen-1", "the ledger has another")


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
    {"usage": {"prompt_tokens_details": None, "completion_tokens_details": None}},
    {"usage": {"prompt_tokens_details": [], "completion_tokens_details": 7}},
    {"error": None},
    {"error": 7},
    {"error": "terminated"},
    {"error": {"message": None, "code": {}}},
    {"choices": [{"error": "x", "delta": {}}]},
    {"object": "chat.completion.chunk", "model": None, "created": None},
)


@case(advice="Check types before use: any field may be absent, null or of another type.")
def odd_chunks_do_no_harm(stage: Stage) -> None:
    """`decode` raises on no JSON object at all, and leaves it as it is."""
    adapter = stage.adapter()
    for odd in _ODD_CHUNKS:
        given = deepcopy(odd)
        try:
            list(adapter.decode("", given))
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
            require(False, "`decode` raised", chunk=json.dumps(odd), raised=raised)
        require(given == odd, "`decode` changed it", chunk=json.dumps(odd), left=json.dumps(given))


RECEIVED_CASES: tuple[Case, ...] = (
    text_comes_whole,
    text_in_other_places_is_read,
    nothing_is_held_back,
    reasoning_is_kept_apart,
    raw_arguments_arrive_byte_for_byte,
    a_long_call_arrives_whole,
    names_and_ids_arrive_as_they_are,
    parallel_calls_stay_apart,
    usage_is_kept,
    usage_is_asked_for,
    the_generation_id_is_kept,
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
