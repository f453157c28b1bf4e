"""Cases on what an adapter sends: body, headers, cap, key."""

import json
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from timeit import timeit
from urllib.parse import urlsplit

from pydantic import JsonValue

from agentcore.families import family_of
from agentcore.messages import UserMessage
from agentcore.providers.base import PROMPT_MARGIN, ProviderAdapter
from agentcore.testing.answers import Answer, Call
from agentcore.testing.conformance.case import Case, case, require, require_equal
from agentcore.testing.conformance.corrected import CAPS, SPEC, body_of
from agentcore.testing.conformance.stage import BASE_URL, KEY, Stage
from agentcore.testing.script import chunk
from agentcore.testing.server import RecordedRequest

__all__ = ["SENT_CASES"]

_SDK_HEADERS = (
    "accept", "accept-encoding", "authorization", "connection", "content-length",
    "content-type", "host", "user-agent",
)  # fmt: skip
_STRICT_LIMIT = 1_234


def _own_headers(request: RecordedRequest) -> dict[str, str]:
    """The headers that an adapter added, whatever the HTTP client adds to every request."""
    return {
        name: value
        for name, value in request.headers.items()
        if name not in _SDK_HEADERS and not name.startswith("x-stainless-")
    }


@case(advice="Build on `super().payload(request)`: add what your endpoint wants, drop nothing.")
def body_carries_the_conversation(stage: Stage) -> None:
    """The body names the model, asks for a stream, and carries every message and tool."""
    for model in stage.models:
        body = body_of(stage.encode(model, tools=(SPEC,)))
        text = json.dumps(body)
        require(body.get("model") == model, "the model is not named", sent=body.get("model"))
        require(body.get("stream") is True, "no stream is asked for", sent=body.get("stream"))
        require("Go on." in text, "the prompt is not in the body", body=text[:300])
        require('"save"' in text, "the tool is not in the body", body=text[:300])
        require(body.get("n", 1) == 1, "it asks for several answers", n=body.get("n"))
        choice = body.get("tool_choice", "auto")
        require(choice == "auto", "the model must be free to answer in words", tool_choice=choice)


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
            require_equal(
                switched.raw.decode(errors="replace"),
                fresh.raw.decode(errors="replace"),
                f"after a switch from {first} to {second} the body is another",
            )
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
    """The same request is encoded the same way each time, and what a hook is given stays so."""
    adapter = stage.adapter()
    for model in stage.models:
        request = stage.request(model, tools=(SPEC,))
        before = deepcopy(request)
        first = adapter.encode(request)
        stage.encode(stage.models[-1], adapter=adapter)
        again = adapter.encode(request)
        require(request == before, "the request was changed", given=before, left=request)
        require(first.headers == again.headers, f"headers for {model} changed",
                first=dict(first.headers), then=dict(again.headers))  # fmt: skip
        require_equal(again.body.decode(), first.body.decode(), f"the body for {model} changed")


@case(advice="Decide, and leave work and waiting to others: a hook is called for every chunk.")
def hooks_take_no_time(stage: Stage) -> None:
    """A hook takes less than 8 ms: while it is at work nothing else is, and nobody can cancel."""
    adapter, request = stage.adapter(), stage.request(stage.model, tools=(SPEC,))
    said = chunk({"content": "é"})
    hooks: dict[str, Callable[[], object]] = {
        "encode": lambda: adapter.encode(request),
        "decode": lambda: list(adapter.decode("", said)),
        "facts": lambda: adapter.facts({"error": {"message": "Overloaded"}}),
    }
    for name, hook in hooks.items():
        # The least of several, so that a busy machine does not blame an adapter.
        took = min(timeit(hook, number=1) for _ in range(5))
        require(took < 0.008, f"`{name}` takes too long", at_best=f"{took * 1_000:.0f} ms")


@case(advice="Let `output_limit` pass the user's `max_output_tokens` on, unless it is too large.")
def the_users_cap_is_sent(stage: Stage) -> None:
    """A small cap of the user's goes out as it is, under one name, and is what the wire reports."""
    for model in stage.models:
        wire = stage.encode(model, max_output_tokens=_STRICT_LIMIT)
        body = body_of(wire)
        sent = {name: body[name] for name in CAPS if name in body}
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
        source = stage.encode(model).output_limit.source
        require(source != "user", "where the user sets no cap, `source` says that they did")


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
    advice="Leave the key to the client: never put it into a URL, a body, or a header of its own."
)
def the_key_goes_out_once(stage: Stage) -> None:
    """The key is sent as a header, and stands neither in the address nor in the body."""
    request = stage.play().requests[0]
    carriers = [name for name, value in request.headers.items() if KEY in value]
    require(len(carriers) == 1, "the key is not in exactly one header", headers=carriers)
    require(KEY not in request.path, "the key is in the address", path=request.path)
    for spelled in (KEY.encode(), b64encode(KEY.encode()).rstrip(b"=")):
        require(spelled not in request.raw, "the key is in the body")


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
        require(body_of(wire).get("mine") == {"a": 1}, "the field is gone")


@case(
    advice="Set fields in `payload` and headers in `headers`, and let `encode` put the user's over "
    "them: what it returns is changed no more."
)
def what_the_user_sets_wins(stage: Stage) -> None:
    """A header or a field that the adapter sets, set by the user, goes out as the user wants it."""
    for model in stage.models:
        own = stage.encode(model, tools=(SPEC,))
        for name in own.headers:
            adapter = stage.adapter(extra_headers={name: "mine"})
            headers = dict(stage.encode(model, adapter=adapter, tools=(SPEC,)).headers)
            # A switch is appended to a list of the user's.
            wins = headers.get(name, "").split(",")[0] == "mine"
            require(wins, f"the header {name} is the adapter's", sent=headers.get(name))
        for name in {*CAPS, *body_of(own)} - stage.required:
            mine: JsonValue = 77 if name in CAPS else {"mine": True}
            adapter = stage.adapter(extra_body={name: mine})
            body = body_of(stage.encode(model, adapter=adapter, tools=(SPEC,)))
            require(body.get(name) == mine, f"{name} is the adapter's", sent=body.get(name))


@case(advice="A header is Latin-1 text of one line, and the body JSON: leave `content-type` alone.")
def headers_can_be_sent(stage: Stage) -> None:
    """No header breaks the request, and the body is announced as what it is."""
    for model in stage.models:
        for name, value in stage.encode(model, tools=(SPEC,)).headers.items():
            fits = value.isprintable() and all(ord(character) < 256 for character in value)
            require(fits, f"the header {name} cannot be sent", value=repr(value))
    kind = stage.play().requests[0].headers.get("content-type", "")
    require(kind.startswith("application/json"), "the body is announced as another", sent=kind)


@case(
    advice="Begin `Wire.path` with a slash, leave the version part to the base URL, and set `path` "
    "in your `AdapterConformance` where the endpoint's is another."
)
def the_path_is_the_endpoints(stage: Stage) -> None:
    """A request goes to the base URL's path, followed once by the endpoint's own."""
    for model in stage.models:
        path = stage.encode(model).path.partition("?")[0]
        require(
            path.startswith("/") and path.endswith(stage.path),
            f"the path for {model} does not end with {stage.path}",
            path=path,
        )
        asked = stage.play(models=(model,), tools=False).requests[0].path.partition("?")[0]
        base = urlsplit(BASE_URL).path
        require(asked == base + path, "the path is another", asked_for=asked, base=base, own=path)
        doubled = path.startswith(f"{base}/")
        require(not doubled, "the version part is there twice", asked_for=asked)


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
    hooks_take_no_time,
    the_users_cap_is_sent,
    cap_and_prompt_fit_the_window,
    the_key_goes_out_once,
    a_new_key_counts_at_once,
    what_the_user_adds_goes_out,
    what_the_user_sets_wins,
    headers_can_be_sent,
    the_path_is_the_endpoints,
    the_base_url_can_be_set,
    it_has_a_name,
)
