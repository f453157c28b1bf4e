"""Hypothesis strategies for what endpoints send: answers, blocks, cuts, errors.

Needs the extra `testing` (Hypothesis), so nothing else in agentcore imports this module. Everything
that is made here is legal on the wire; what is done to it afterwards is up to the test.
"""

import json
import re

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import JsonValue
from typing_extensions import override

from agentcore.error_rules import ErrorRule
from agentcore.facts import ErrorFacts, Phase, Surface
from agentcore.journal import (
    AttemptEnded,
    CallBegun,
    CallEnded,
    EndpointGivenUp,
    Noted,
    NotesTaken,
    Record,
    RunEnded,
    RunResumed,
    TurnEnded,
)
from agentcore.kinds import CutCause, ErrorKind, Strength
from agentcore.ledger import AttemptRecord, Unfinished
from agentcore.messages import (
    AssistantMessage,
    JsonObject,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from agentcore.testing.answers import Answer, Call, Quirk, stream
from agentcore.testing.script import (
    CLEAN_END,
    DONE,
    FIN,
    NETWORK_LOST,
    RESET,
    Ending,
    Reply,
    in_stream_error,
)

__all__ = [
    "answers",
    "assistant_messages",
    "chunkings",
    "conversations",
    "cuts",
    "endings",
    "error_facts",
    "error_payloads",
    "error_rules",
    "exceptions_with_causes",
    "json_objects",
    "json_values",
    "records",
    "streams",
    "system_messages",
    "texts",
    "tool_calls",
    "tool_messages",
    "usages",
    "user_messages",
]

_PLACES = re.compile(rb"\n\n|\\|[\x80-\xbf]|\"")
"""Where cuts hurt: event boundaries, escapes, inside UTF-8 sequences, beside quotes."""

_WORDS = (
    "context_length_exceeded", "insufficient_quota", "invalid_api_key", "invalid_request_error",
    "overloaded_error", "rate_limit_exceeded", "server_error", "429", "529", "abcdef", "",
)  # fmt: skip
_SENTENCES = (
    "Network connection lost.", "Rate limit reached, please try again in 6m0s.", "Overloaded",
    "prompt is too long: 214000 tokens > 200000 maximum", "insufficient credits", "terminated",
    "max_tokens: 64000 > 32000", "Provider returned error", "upstream timed out", "<html>",
)  # fmt: skip
_STATUSES = (200, 400, 401, 402, 403, 404, 408, 413, 418, 422, 429, 500, 502, 503, 524, 529)
_EXCEPTIONS = (
    "builtins.TimeoutError", "builtins.ConnectionResetError", "openai.APIConnectionError",
    "httpx2.RemoteProtocolError", "ssl.SSLCertVerificationError", "asyncio.CancelledError",
    "builtins.ValueError", "somewhere.else.OddError",
)  # fmt: skip


def texts() -> SearchStrategy[str]:
    r"""Any text without lone surrogates; often one that is awkward to spell in JSON."""
    return st.text(max_size=40) | st.text('ab"\\{}[]:,/`\n\r\t\0\u2028\ufeffé漢😀', max_size=40)


def json_values() -> SearchStrategy[JsonValue]:
    """Any JSON value: nested, finite, without lone surrogates."""
    leaves: SearchStrategy[JsonValue] = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
    )
    return st.recursive(
        leaves | texts(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=8,
    )


def json_objects() -> SearchStrategy[JsonObject]:
    """Any JSON object, as a tool's arguments are one."""
    return st.dictionaries(texts(), json_values(), max_size=4)


def answers() -> SearchStrategy[Answer]:
    """Answers with text, reasoning and up to three calls, each closed; ids are unique."""
    arguments = st.builds(
        lambda fields, ascii_only: json.dumps(fields, ensure_ascii=ascii_only),
        json_objects(),
        st.booleans(),
    )
    name = st.sampled_from(["write_file", "read_file", "list_files"])
    made = st.lists(st.tuples(name, arguments), max_size=3)
    return st.builds(
        Answer,
        text=texts(),
        reasoning=texts(),
        calls=made.map(
            lambda calls: tuple(
                Call(name=name, arguments=text, id=f"call_{number:04}")
                for number, (name, text) in enumerate(calls, start=1)
            )
        ),
        usage=st.none() | usages(),
    )


def usages() -> SearchStrategy[Usage]:
    """Tokens as an endpoint may count them; no more of them cached or reasoning than there are."""
    counts = st.integers(0, 10**6)
    parts = st.floats(0, 1)
    return st.builds(
        lambda input_, output, cached, reasoning: Usage(
            input_tokens=input_,
            output_tokens=output,
            reasoning_tokens=int(output * reasoning),
            cached_tokens=int(input_ * cached),
        ),
        counts,
        counts,
        parts,
        parts,
    )


def tool_calls() -> SearchStrategy[ToolCall]:
    """Calls as a message holds them; the arguments are closed."""
    return st.builds(
        ToolCall,
        id=st.integers(1, 10**6).map("call_{}".format),
        name=st.sampled_from(["write_file", "read_file", "list_files"]),
        arguments=json_objects().map(json.dumps),
        extra=st.just({}) | json_values().map(lambda value: {"extra_content": value}),
    )


def system_messages() -> SearchStrategy[SystemMessage]:
    """Instructions, of any text."""
    return st.builds(SystemMessage, content=texts())


def user_messages() -> SearchStrategy[UserMessage]:
    """Prompts, of any text."""
    return st.builds(UserMessage, content=texts())


def assistant_messages() -> SearchStrategy[AssistantMessage]:
    """Answers as a conversation holds them; ids are unique in each."""
    return st.builds(
        AssistantMessage,
        content=texts(),
        tool_calls=st.lists(tool_calls(), max_size=3, unique_by=lambda call: call.id).map(tuple),
        reasoning=texts(),
        reasoning_details=st.lists(json_objects(), max_size=2).map(tuple),
    )


def tool_messages() -> SearchStrategy[ToolMessage]:
    """Results of calls, by themselves; `conversations` has them right after their calls."""
    return st.builds(
        ToolMessage,
        tool_call_id=st.integers(1, 10**6).map("call_{}".format),
        name=st.sampled_from(["write_file", "read_file", "list_files"]),
        content=texts(),
        is_error=st.booleans(),
    )


def records() -> SearchStrategy[Record]:
    """Rows of a journal, of every kind; they make no run together."""
    seconds = st.floats(0, 2**40)
    kind = st.sampled_from(sorted(ErrorKind))
    attempt = st.builds(
        AttemptRecord,
        turn=st.integers(1, 10**6),
        attempt=st.integers(1, 99),
        provider=texts(),
        model=texts(),
        outcome=st.sampled_from(["complete", "cut", "refused"]),
        decision=st.sampled_from(["accept", "retry", "adjust", "keep", "stop"]),
        cause=st.none() | st.sampled_from(sorted(CutCause)),
        kind=st.none() | kind,
        message=texts(),
        seconds=seconds,
        usage=st.none() | usages(),
    )
    unfinished = st.builds(
        Unfinished, tool=texts(), target=texts(), draft_id=texts(), on_disk=texts()
    )
    made: SearchStrategy[Record] = st.one_of(
        st.builds(AttemptEnded, record=attempt, rest_until=seconds),
        st.builds(TurnEnded, message=assistant_messages(), reply=st.none() | user_messages()),
        st.builds(CallBegun, call_id=texts(), tool=texts(), key=texts(), evidence=json_objects()),
        st.builds(
            CallEnded,
            call_id=texts(),
            tool=texts(),
            content=texts(),
            is_error=st.booleans(),
            seconds=seconds,
            writes=st.lists(texts(), max_size=3).map(tuple),
            notes=st.dictionaries(texts(), texts(), max_size=3),
            unfinished=st.none() | unfinished,
        ),
        st.builds(
            EndpointGivenUp,
            position=st.integers(0, 9),
            base_url=texts(),
            model=texts(),
            how=texts(),
            forgets_cuts=st.booleans(),
        ),
        st.builds(Noted, purpose=st.sampled_from(["say", "cancel"]), text=texts()),
        st.builds(NotesTaken, through=st.integers(1, 10**6)),
        st.builds(RunResumed, after_crash=st.booleans(), changed=texts()),
        st.builds(
            RunEnded,
            status=st.sampled_from(["done", "failed", "cancelled"]),
            text=texts(),
            error_kind=st.just("") | kind.map(str),
            drafts=st.lists(unfinished, max_size=2).map(tuple),
        ),
    )
    return made


def streams() -> SearchStrategy[Reply]:
    """Answers as servers stream them, in pieces of any size and with quirks that do no harm."""
    harmless = st.sampled_from(
        [
            Quirk.NAME_IN_EVERY_DELTA,
            Quirk.ID_IN_EVERY_DELTA,
            Quirk.NULL_FIELDS,
            Quirk.INDEX_FROM_ONE,
            Quirk.ONE_DELTA_A_CALL,
        ]
    )
    return st.builds(
        lambda answer, piece, quirks: stream(answer, piece=piece, quirks=quirks),
        answers(),
        st.integers(1, 20),
        st.sets(harmless, max_size=2),
    )


def endings() -> SearchStrategy[Ending]:
    """What may come instead of the rest of a body; pair it with a place for `cut`."""
    return st.sampled_from([RESET, FIN, CLEAN_END, DONE, NETWORK_LOST]) | error_payloads().map(
        in_stream_error
    )


def conversations() -> SearchStrategy[list[Message]]:
    """Valid conversations: every call is answered once, right after it, in order."""
    numbers = st.integers(1, 10**6)

    def exchange(number: int, prompt: str, answer: Answer) -> list[Message]:
        calls = tuple(
            ToolCall(id=f"{call.id}_{number}", name=call.name, arguments=call.arguments)
            for call in answer.calls
        )
        said = AssistantMessage(content=answer.text, tool_calls=calls, reasoning=answer.reasoning)
        results = [
            ToolMessage(tool_call_id=call.id, name=call.name, content=prompt) for call in calls
        ]
        return [UserMessage(content=prompt), said, *results]

    exchanges = st.lists(
        st.tuples(numbers, texts(), answers()), max_size=4, unique_by=lambda one: one[0]
    )
    return exchanges.map(lambda all_: [message for one in all_ for message in exchange(*one)])


def chunkings(data: bytes) -> SearchStrategy[list[bytes]]:
    """Ways to split bytes into blocks, in order; some blocks may be empty.

    Joined, the blocks are `data` again. Byte by byte is among them.
    """
    places = st.lists(cuts(data), max_size=12).map(sorted)
    bytewise = st.just([data[at : at + 1] for at in range(len(data))])
    return bytewise | places.map(
        lambda at: [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]
    )


def cuts(data: bytes) -> SearchStrategy[int]:
    """Places to cut, `0 <= place <= len(data)`: `data[:place]` is what arrives.

    Half of them are places where it hurts: at and around the end of an event, inside an escape,
    inside a UTF-8 sequence, before and after a quote.
    """
    near = {
        place for match in _PLACES.finditer(data) for place in range(match.start(), match.end() + 1)
    }
    return st.sampled_from(sorted(near | {0, len(data)})) | st.integers(0, len(data))


def error_facts() -> SearchStrategy[ErrorFacts]:
    """Any facts, likely or not."""
    words = st.sampled_from(_WORDS) | texts()
    sentences = st.sampled_from(_SENTENCES) | texts()
    waits = st.sampled_from(["20", "1.5", "-1", "nan", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
    return st.builds(
        ErrorFacts,
        surface=st.sampled_from(Surface),
        status=st.none() | st.sampled_from(_STATUSES) | st.integers(),
        code=st.none() | words,
        type=st.none() | words,
        param=st.none() | words,
        message=sentences,
        reasons=st.lists(words, max_size=3).map(tuple),
        messages=st.lists(sentences, max_size=3).map(tuple),
        headers=st.dictionaries(
            st.sampled_from(["retry-after", "retry-after-ms", "date"]), waits | texts()
        ),
        exceptions=st.lists(st.sampled_from(_EXCEPTIONS) | texts(), max_size=3).map(tuple),
        delays=st.lists(st.tuples(st.just("retry_after"), st.floats(0, 1e6)), max_size=2).map(
            tuple
        ),
        phase=st.sampled_from(Phase),
        bytes_received=st.integers(0, 10**9),
        received_at=st.floats(0, 4e9),
    )


def error_payloads() -> SearchStrategy[JsonValue]:
    """Error bodies as gateways nest them, and things that are no error body at all."""
    leaf = st.fixed_dictionaries(
        {},
        optional={
            "message": st.sampled_from(_SENTENCES) | texts(),
            "code": st.sampled_from([*_WORDS, *_STATUSES, None]) | json_values(),
            "type": st.sampled_from(_WORDS) | json_values(),
            "param": json_values(),
            "retry_after": st.integers() | texts(),
            "retryDelay": st.sampled_from(["20s", "-5s", "soon"]) | json_values(),
        },
    )
    odd: SearchStrategy[JsonValue] = st.sampled_from(_SENTENCES) | json_values()

    def wrapped(inner: SearchStrategy[JsonValue]) -> SearchStrategy[JsonValue]:
        text = inner.map(json.dumps)
        return st.one_of(
            inner.map(lambda value: {"error": value}),
            st.tuples(inner, text).map(
                lambda pair: {"error": {"code": pair[0], "metadata": {"raw": pair[1]}}}
            ),
            text,
            text.map(lambda value: f"upstream said: {value}"),
            text.map(lambda value: {"message": value, "code": 500}),
            st.lists(inner, max_size=3),
            inner.map(lambda value: {"details": [value]}),
        )

    return st.recursive(leaf | odd, wrapped, max_leaves=4)


def exceptions_with_causes() -> SearchStrategy[BaseException]:
    """Exceptions of many libraries with chains of causes; groups and cycles among them."""
    single: SearchStrategy[BaseException] = st.builds(
        lambda kind, text: kind(text),
        st.sampled_from([ValueError, OSError, TimeoutError, ConnectionResetError, _Foreign]),
        st.sampled_from(_SENTENCES) | texts(),
    )

    def chained(inner: SearchStrategy[BaseException]) -> SearchStrategy[BaseException]:
        return st.one_of(
            st.builds(_caused, inner, inner),
            st.lists(inner, min_size=1, max_size=3).map(lambda all_: BaseExceptionGroup("", all_)),
            st.builds(lambda a, b: _caused(_caused(a, b), a), inner, inner),
        )

    return st.recursive(single, chained, max_leaves=5)


def error_rules() -> SearchStrategy[ErrorRule]:
    """Rows as an adapter may have them, of any strength; most of them fire now and then."""
    phrases = st.sampled_from([r"network connection lost", r"timed out", r"overloaded", r"\w+"])
    return st.builds(
        ErrorRule,
        name=st.from_regex(r"[a-z]{1,8}(-[a-z]{1,8})?", fullmatch=True).map("own-{}".format),
        kind=st.sampled_from(ErrorKind),
        strength=st.sampled_from(Strength),
        why=st.just("drawn"),
        surfaces=st.just(()) | st.sampled_from(Surface).map(lambda one: (one,)),
        statuses=st.just(()) | st.lists(st.sampled_from(_STATUSES), max_size=2).map(tuple),
        status_class=st.none() | st.integers(1, 5),
        words=st.just(()) | st.lists(st.sampled_from(_WORDS), max_size=2).map(tuple),
        exceptions=st.just(()) | st.just(("TimeoutError", "OddError")),
        phrases=st.just(()) | st.lists(phrases, max_size=2).map(tuple),
        vetoes=st.just(()) | st.lists(phrases, max_size=1).map(tuple),
        reason_patterns=st.just(()) | st.sampled_from(["limit", "error$"]).map(lambda one: (one,)),
        min_wait=st.none() | st.floats(0, 1e5),
        prompt_fits=st.none() | st.booleans(),
        makes_transient=st.booleans(),
    )


class _Foreign(Exception):
    """What another library may raise: it has a response, and its attributes need not work."""

    status_code = 429
    body = ('{"error": {"message": "slow down"}}', None)

    @property
    def response(self) -> object:
        raise RuntimeError("the response is gone")

    @override
    def __str__(self) -> str:
        raise RuntimeError("no text either")


def _caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error
