"""Cases on requests that are made again otherwise: what recovery asks for, an adapter does."""

import json

from pydantic import JsonValue

from agentcore.messages import JsonObject, ToolSpec
from agentcore.providers.base import Wire
from agentcore.recovery import Adjustments
from agentcore.testing.answers import Answer
from agentcore.testing.conformance.case import Case, case, require, require_equal
from agentcore.testing.conformance.stage import Stage
from agentcore.testing.script import Reply, in_stream_error, status

__all__ = ["CAPS", "CORRECTED_CASES", "SPEC", "body_of"]

SPEC = ToolSpec(name="save", description="Save.", parameters={"type": "object"})
CAPS = ("max_tokens", "max_completion_tokens")
_LOWER = 1_234


def body_of(wire: Wire) -> JsonObject:
    """A request's body, which must be a JSON object."""
    body = json.loads(wire.body)
    require(isinstance(body, dict), "the body is no JSON object", body=wire.body[:200])
    return dict(body)


def _refused(message: str) -> Reply:
    error: JsonValue = {"error": {"message": message, "type": "invalid_request_error"}}
    return status(400, error)


@case(
    advice="Let `output_limit` take the figure that the endpoint named "
    "(`request.adjustments.output_limit`, then `request.learned_output_tokens`) before any other."
)
def a_refused_cap_is_corrected(stage: Stage) -> None:
    """A cap that the endpoint calls too large is lowered to the figure it names, at once."""
    refusal = _refused(
        f"max_tokens: 9000 > {_LOWER}, which is the maximum allowed number of output tokens"
    )
    played = stage.play(refusal, models=(stage.model, stage.model), max_output_tokens=9_000)
    sent = [
        next((request.body[name] for name in CAPS if name in request.body), None)
        for request in played.requests
    ]
    require(sent[1:2] == [_LOWER], "the figure named is not what went out", caps_sent=sent)
    require(sent[2:] == [_LOWER], "the next run begins with the refused cap again", caps_sent=sent)


@case(advice="Leave the cap's name to `encode`: `request.adjustments.cap_parameter` goes first.")
def a_refused_name_of_the_cap_is_corrected(stage: Stage) -> None:
    """Where the endpoint refuses the cap's name and tells another, the cap goes out under that."""
    body = body_of(stage.encode(stage.model, max_output_tokens=_LOWER))
    sent = next((name for name in CAPS if name in body), "")
    if not sent:
        return
    asked = CAPS[1 - CAPS.index(sent)]
    refusal = _refused(f"Unsupported parameter: '{sent}' is not supported. Use '{asked}' instead.")
    played = stage.play(refusal, max_output_tokens=_LOWER)
    names = [[name for name in CAPS if name in request.body] for request in played.requests]
    require(names == [[sent], [asked]], "the cap has not the name that was asked for", names=names)


@case(
    advice="Let `encode` leave out `request.adjustments.omitted`, and name in `Wire.added_fields` "
    "what the adapter adds; best by `payload` instead of `encode`."
)
def a_refused_field_is_left_out(stage: Stage) -> None:
    """Each field that the adapter adds is named as such, and left out once it is refused."""
    for model in stage.models:
        wire = stage.encode(model, adjustments=Adjustments(tool_streaming=False))
        unnamed = set(body_of(wire)) - stage.required - wire.added_fields
        require(
            not unnamed,
            f"fields for {model} are not in `Wire.added_fields`: refused, they stay in. What no "
            "request can do without is named in `required`",
            fields=sorted(unnamed),
            added_fields=sorted(wire.added_fields),
        )
        for name in sorted(wire.added_fields & set(body_of(wire)) - set(CAPS)):
            asked = Adjustments(omitted=frozenset({name}))
            again = body_of(stage.encode(model, adjustments=asked))
            require(name not in again, f"{name}, which was refused, is sent again")
    mine = stage.adapter(extra_body={"mine": 1})
    wire = stage.encode(stage.model, adapter=mine)
    require("mine" not in wire.added_fields, "the user's own field counts as the adapter's")


@case(advice="Read `request.adjustments.tool_streaming`, best by leaving the switch to `encode`.")
def the_streaming_switch_can_be_left_out(stage: Stage) -> None:
    """Where the endpoint refuses the switch that streams arguments, it is left out."""
    for model in stage.models:
        switched = stage.encode(model, tools=(SPEC,))
        plain = stage.encode(model, tools=(SPEC,), adjustments=Adjustments(tool_streaming=False))
        require(not plain.tool_streaming, "`Wire.tool_streaming` still claims the switch")
        differs = (switched.headers, switched.body) != (plain.headers, plain.body)
        require(
            differs is switched.tool_streaming,
            f"`Wire.tool_streaming` is {switched.tool_streaming}, and with the switch left out the "
            f"request for {model} is {'another' if differs else 'the same'}",
            with_it=dict(switched.headers),
            without=dict(plain.headers),
        )


@case(advice="When `request.adjustments.streamed` is false, send neither `stream` nor its options.")
def a_plain_request_asks_for_no_stream(stage: Stage) -> None:
    """After an unknown error in the stream one plain request is made, and its answer is read."""
    odd = Reply(steps=in_stream_error({"error": {"message": "Lorem ipsum dolor."}}))
    played = stage.play(odd, stage.whole(Answer(text="Read whole.")))
    require(played.decisions == ["adjust", "accept"], "no plain request", did=played.decisions)
    body = played.requests[1].body
    require(not body.get("stream"), "it asks for a stream", sent=body.get("stream"))
    require("stream_options" not in body, "it has stream options")
    text = played.result.text if played.result is not None else ""
    require_equal(text, "Read whole.", "the plain answer was not read")


CORRECTED_CASES: tuple[Case, ...] = (
    a_refused_cap_is_corrected,
    a_refused_name_of_the_cap_is_corrected,
    a_refused_field_is_left_out,
    the_streaming_switch_can_be_left_out,
    a_plain_request_asks_for_no_stream,
)
