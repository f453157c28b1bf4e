"""Cases on what an adapter sends: body, headers, cap, key."""

import json
from dataclasses import replace

from pydantic import JsonValue

from agentcore.families import family_of
from agentcore.messages import JsonObject, ToolSpec, UserMessage
from agentcore.providers.base import PROMPT_MARGIN, ProviderAdapter, Wire
from agentcore.recovery import Adjustments
from agentcore.testing.answers import Answer, Call
from agentcore.testing.conformance.case import Case, case, require, require_equal
from agentcore.testing.conformance.stage import BASE_URL, KEY, Stage
from agentcore.testing.script import in_stream_error, status
from agentcore.testing.server import RecordedRequest

__all__ = ["SENT_CASES"]

_SDK_HEADERS = (
    "accept", "accept-encoding", "authorization", "connection", "content-length",
    "content-type", "host", "user-agent",
)  # fmt: skip
_SPEC = ToolSpec(name="save", description="Save.", parameters={"type": "object"})
_CAPS = ("max_tokens", "max_completion_tokens")
_STRICT_LIMIT = 1_234


def _own_headers(request: RecordedRequest) -> dict[str, str]:
    """The headers that an adapter added, whatever the HTTP client adds to every request."""
    return {
        name: value
        for name, value in request.headers.items()
        if name not in _SDK_HEADERS and not name.startswith("x-stainless-")
    }


def _body(wire: Wire) -> JsonObject:
    body = json.loads(wire.body)
    require(isinstance(body, dict), "the body is no JSON object", body=wire.body[:200])
    return dict(body)


@case(advice="Build on `super().payload(request)`: add what your endpoint wants, drop nothing.")
def body_carries_the_conversation(stage: Stage) -> None:
    """The body names the model, asks for a stream, and carries every message and tool."""
    for model in stage.models:
        body = _body(stage.encode(model, tools=(_SPEC,)))
        text = json.dumps(body)
        require(body.get("model") == model, "the model is not named", sent=body.get("model"))
        require(body.get("stream") is True, "no stream is asked for", sent=body.get("stream"))
        require("Go on." in text, "the prompt is not in the body", body=text[:300])
        require('"save"' in text, "the tool is not in the body", body=text[:300])


@case(
    advice="Change the adapter, or the literal in `requests` where the new request is the right "
    "one: it is there to be read in review."
)
def request_is_as_written_down(stage: Stage) -> None:
    """Each request of `requests` goes out as its literal says, headers and body whole."""
    for literal in stage.expected:
        model = literal.model
        played = stage.play(models=(model,), tools=False)
        request = played.requests[0]
        require_equal(
            json.dumps(request.body, indent=1, sort_keys=True),
            json.dumps(literal.body, indent=1, sort_keys=True),
            f"the body for {model} is another",
        )
        headers = _own_headers(request)
        wanted = {name.lower(): value for name, value in literal.headers.items()}
        require(headers == wanted, f"headers for {model} differ", sent=headers, written_down=wanted)


@case(
    advice="Compute headers in `headers(request)` and `tool_streaming(family)`, from their "
    "arguments, for each request: keep nothing in the constructor and cache nothing."
)
def a_switch_of_model_loses_no_header(stage: Stage) -> None:
    """After a switch from any model to any other, the request is as if there had been no switch."""
    for first in stage.models:
        for second in stage.models:
            played = stage.play(models=(first, second, first))
            alone = stage.play(models=(second,))
            require(
                len(played.requests) == 3,
                f"a switch from {first} to {second} did not lead to a request each",
                requests=len(played.requests),
            )
            fresh, switched = alone.requests[0], played.requests[1]
            require(
                _own_headers(switched) == _own_headers(fresh),
                f"after a switch from {first} to {second} the headers are others",
                without_switch=_own_headers(fresh),
                after_the_switch=_own_headers(switched),
            )
            again, before = played.requests[2], played.requests[0]
            require(
                _own_headers(again) == _own_headers(before),
                f"back from {second} the headers for {first} are others",
                before=_own_headers(before),
                afterwards=_own_headers(again),
            )


@case(advice="A hook reads its arguments and the settings of the adapter, and changes neither.")
def hooks_are_pure(stage: Stage) -> None:
    """The same request is encoded the same way each time, whatever came in between."""
    adapter = stage.adapter()
    for model in stage.models:
        first = stage.encode(model, adapter=adapter, tools=(_SPEC,))
        stage.encode(stage.models[-1], adapter=adapter)
        again = stage.encode(model, adapter=adapter, tools=(_SPEC,))
        require(first.headers == again.headers, f"headers for {model} changed",
                first=dict(first.headers), then=dict(again.headers))  # fmt: skip
        require_equal(again.body.decode(), first.body.decode(), f"the body for {model} changed")


@case(advice="Let `output_limit` pass the user's `max_output_tokens` on, unless it is too large.")
def the_users_cap_is_sent(stage: Stage) -> None:
    """A small cap of the user's goes out as it is, under one name, and is what the wire reports."""
    for model in stage.models:
        wire = stage.encode(model, max_output_tokens=_STRICT_LIMIT)
        body = _body(wire)
        sent = {name: body[name] for name in _CAPS if name in body}
        require(
            list(sent.values()) == [_STRICT_LIMIT],
            f"the cap {_STRICT_LIMIT} for {model} is not what goes out",
            sent=sent or "no cap",
        )
        require(
            wire.output_limit.tokens == _STRICT_LIMIT,
            "`Wire.output_limit` is not what goes out",
            reported=wire.output_limit,
        )


@case(
    advice="Clamp in `output_limit`, best by `super().output_limit(request)`: window minus prompt.",
    applies=lambda capabilities: capabilities.family_limits,
)
def cap_and_prompt_fit_the_window(stage: Stage) -> None:
    """However long the prompt, it and the cap together never exceed the family's window."""
    for model in stage.models:
        window = family_of(model).context_window_tokens
        if not window:
            continue
        prompt = (UserMessage(content="x" * int(window * 3 / PROMPT_MARGIN * 0.9)),)
        wire = stage.encode(model, messages=prompt, max_output_tokens=window)
        cap = wire.output_limit.tokens or 0
        require(
            cap <= window * 0.2,
            f"the prompt takes nine tenths of the window of {model}, and the cap is as large",
            window_tokens=window,
            cap_tokens=cap,
        )


@case(
    advice="Let `output_limit` take the figure that the endpoint named "
    "(`request.adjustments.output_limit`) before any other."
)
def a_refused_cap_is_corrected(stage: Stage) -> None:
    """A cap that the endpoint calls too large is lowered to the figure it names, at once."""
    refusal: JsonValue = {
        "error": {
            "message": f"max_tokens: 9000 > {_STRICT_LIMIT}, which is the maximum allowed number "
            "of output tokens",
            "type": "invalid_request_error",
        }
    }
    played = stage.play(status(400, refusal), max_output_tokens=9_000)
    require(
        played.decisions == ["adjust", "accept"], "it was not corrected once", did=played.decisions
    )
    sent = [request.body.get(name) for request in played.requests for name in _CAPS]
    require(_STRICT_LIMIT in sent, "the figure named is not what went out", caps_sent=sent)
    require(played.attempts[1].waited_seconds == 0.0, "a correction does not wait")


@case(
    advice="Leave the key to the client: never put it into a URL, a body, or a header of its own."
)
def the_key_goes_out_once(stage: Stage) -> None:
    """The key is sent as a header, and stands neither in the address nor in the body."""
    request = stage.play().requests[0]
    carriers = [name for name, value in request.headers.items() if KEY in value]
    require(len(carriers) == 1, "the key is not in exactly one header", headers=carriers)
    require(KEY not in request.path, "the key is in the address", path=request.path)
    require(KEY.encode() not in request.raw, "the key is in the body")


@case(advice="Do not copy the key: the client asks `api_key` before every request.")
def a_new_key_counts_at_once(stage: Stage) -> None:
    """Where the key is a function, each request carries what it gives then."""
    numbers = iter(range(1, 100))
    adapter = stage.adapter(api_key=lambda: f"sk-rotated-{next(numbers):02}")
    played = stage.play(
        stage.streamed(Answer(calls=(Call(name="save", arguments='{"path":"a","content":"b"}'),))),
        adapter=adapter,
    )
    keys = [
        value.rpartition("sk-rotated-")[2]
        for request in played.requests
        for value in request.headers.values()
        if "sk-rotated-" in value
    ]
    require(keys == ["01", "02"], "the requests do not carry the keys in order", carried=keys)


@case(advice="Pass `extra_headers` and `extra_body` to `super().__init__`, and build on `encode`.")
def what_the_user_adds_goes_out(stage: Stage) -> None:
    """The user's own headers and payload fields are sent, with every model."""
    adapter = stage.adapter(extra_headers={"X-Mine": "yes"}, extra_body={"mine": {"a": 1}})
    for model in stage.models:
        wire = stage.encode(model, adapter=adapter)
        names = {name.lower(): value for name, value in wire.headers.items()}
        require(names.get("x-mine") == "yes", "the header is gone", headers=names)
        require(_body(wire).get("mine") == {"a": 1}, "the field is gone")


@case(advice="Read `request.adjustments.tool_streaming`, best by leaving the switch to `encode`.")
def the_streaming_switch_can_be_left_out(stage: Stage) -> None:
    """Where the endpoint refuses the switch that streams arguments, it is left out."""
    for model in stage.models:
        switched = stage.encode(model, tools=(_SPEC,))
        plain = stage.encode(model, tools=(_SPEC,), adjustments=Adjustments(tool_streaming=False))
        if not switched.tool_streaming:
            continue
        require(not plain.tool_streaming, "`Wire.tool_streaming` still claims the switch")
        same = (switched.headers, switched.body) == (plain.headers, plain.body)
        require(not same, f"both requests for {model} are the same", headers=dict(plain.headers))


@case(advice="When `request.adjustments.streamed` is false, send neither `stream` nor its options.")
def a_plain_request_asks_for_no_stream(stage: Stage) -> None:
    """After an unknown error in the stream one plain request is made, and its answer is read."""
    odd = stage.streamed(Answer())
    odd = replace(odd, steps=in_stream_error({"error": {"message": "Lorem ipsum dolor."}}))
    played = stage.play(odd, stage.whole(Answer(text="Read whole.")))
    require(played.decisions == ["adjust", "accept"], "no plain request", did=played.decisions)
    body = played.requests[1].body
    require(not body.get("stream"), "it asks for a stream", sent=body.get("stream"))
    require("stream_options" not in body, "it has stream options")
    text = played.result.text if played.result is not None else ""
    require_equal(text, "Read whole.", "the plain answer was not read")


@case(advice="Give `message` and `payload` what they are given: do not reorder, merge or drop.")
def history_is_valid_after_a_tool(stage: Stage) -> None:
    """The next request has the call as it was made, and its result right after it."""
    arguments = '{"path": "a.txt",  "content": "b\\n"}'
    call = Call(name="save", arguments=arguments, id="call_77")
    played = stage.play(stage.streamed(Answer(text="Wait.", calls=(call,))))
    require(len(played.requests) == 2, "the result was not sent", decisions=played.decisions)
    body = played.requests[1].raw.decode()
    require("call_77" in body and '"saved"' in body, "call and result are not both there")
    require(
        json.dumps(arguments, ensure_ascii=False) in body,
        "the call's arguments are not sent back as they came",
        came=arguments,
        history=body[:600],
    )


@case(advice="Return `AssistantMessage.reasoning_details` in `message`, item by item, unchanged.")
def reasoning_details_go_back(stage: Stage) -> None:
    """Reasoning details that came with a call go back with it, unchanged."""
    details: JsonObject = {"type": "reasoning.encrypted", "data": "gAAA==", "n": 1.0}
    call = Call(name="save", arguments='{"path":"a","content":"b"}')
    played = stage.play(stage.streamed(Answer(reasoning_details=(details,), calls=(call,))))
    require(
        _holds(played.requests[-1].body, details),
        "they are not in the next request",
        came=details,
        history=played.requests[-1].messages,
    )


def _holds(value: JsonValue, wanted: JsonObject) -> bool:
    """Whether an equal object stands anywhere in a value."""
    if isinstance(value, list):
        return any(_holds(item, wanted) for item in value)
    if isinstance(value, dict):
        return value == wanted or any(_holds(item, wanted) for item in value.values())
    return False


@case(advice="Call `super().__init__(base_url=…)`, and read `self.base_url` where you need it.")
def the_base_url_can_be_set(stage: Stage) -> None:
    """Requests go to the base URL that the adapter was given, and below it."""
    adapter = stage.adapter()
    require(adapter.base_url == BASE_URL, "it has another", base_url=adapter.base_url)
    path = stage.play().requests[0].path
    require(path.startswith("/v1/"), "the request went elsewhere", path=path)


@case(advice="Give the adapter a `name`: the ledger, and the texts for people, carry it.")
def it_has_a_name(stage: Stage) -> None:
    """The ledger tells which endpoint a request went to."""
    adapter: ProviderAdapter = stage.adapter()
    require(bool(adapter.name), "`name` is empty")
    provider = stage.play().attempts[0].provider
    require(provider == adapter.name, "the ledger has another", ledger=provider)


SENT_CASES: tuple[Case, ...] = (
    body_carries_the_conversation,
    request_is_as_written_down,
    a_switch_of_model_loses_no_header,
    hooks_are_pure,
    the_users_cap_is_sent,
    cap_and_prompt_fit_the_window,
    a_refused_cap_is_corrected,
    the_key_goes_out_once,
    a_new_key_counts_at_once,
    what_the_user_adds_goes_out,
    the_streaming_switch_can_be_left_out,
    a_plain_request_asks_for_no_stream,
    history_is_valid_after_a_tool,
    reasoning_details_go_back,
    the_base_url_can_be_set,
    it_has_a_name,
)
