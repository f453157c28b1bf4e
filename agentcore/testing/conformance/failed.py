"""Cases on what an adapter makes of failures: their kinds, waits, and what is kept out of texts."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from email.utils import formatdate
from io import StringIO

import anyio
from pydantic import JsonValue

from agentcore.agent import Agent
from agentcore.clocks import Clocks
from agentcore.events import AttemptStarted, RunEvent
from agentcore.facts import Phase
from agentcore.kinds import ErrorKind
from agentcore.messages import Usage, dump_messages
from agentcore.testing.answers import Answer, Call, Quirk
from agentcore.testing.conformance.case import Case, case, require, require_equal
from agentcore.testing.conformance.received import require_whole
from agentcore.testing.conformance.stage import KEY, Stage
from agentcore.testing.faults import (
    after_events,
    after_line,
    before_finish,
    before_value,
    cut,
    inside_escape,
    inside_event,
    inside_utf8,
    inside_value,
    stall,
)
from agentcore.testing.script import (
    CLEAN_END,
    COMMENT,
    DONE,
    EMPTY_DELTA,
    FIN,
    NETWORK_LOST,
    RESET,
    Reply,
    Send,
    Step,
    finish,
    in_stream_error,
    no_response,
    status,
)

__all__ = ["FAILED_CASES"]

LONG = Call(
    name="save",
    arguments='{"path": "plan.md", "content": "' + "a line \\u00e9, é\\n" * 8 + '"}',
    id="call_01",
)
CLOCKS = Clocks(transport=20.0, first_event=30.0, text=40.0, tool_arguments=40.0, reasoning=40.0,
                buffered_tool_arguments=40.0)  # fmt: skip


def _classified(advice: str) -> str:
    return f"{advice} An endpoint's own errors are rows of `error_rules`."


@dataclass(frozen=True, slots=True)
class _Fault:
    name: str
    kind: ErrorKind
    make: Callable[[Reply], Reply]
    advice: str = _classified("Let `facts` and `decode` pass on what came, by `super()`.")


_K = ErrorKind
_EOF = "A body that ends is no answer that ends: yield `FinishReason` only where the chunk has one."
_OVERLOADED: JsonValue = {"error": {"message": "Overloaded", "code": "overloaded_error"}}
_BAD_GATEWAY: JsonValue = {"error": {"message": "Provider returned error", "code": 502}}


def _before_the_end(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Before the finish reason, or before `[DONE]` where the endpoint sends none."""
    try:
        return before_finish()(steps)
    except ValueError:
        return steps[: -len(DONE)], steps[-len(DONE) :]


_FAULTS = (
    _Fault("reset-inside-the-content", _K.CONNECTION,
           lambda r: cut(r, at=inside_value("content"), by=RESET)),
    _Fault("closed-inside-the-path", _K.CONNECTION,
           lambda r: cut(r, at=inside_value("path"), by=FIN)),
    _Fault("closed-inside-an-escape", _K.CONNECTION,
           lambda r: cut(r, at=inside_escape(3), by=FIN)),
    _Fault("closed-inside-a-character", _K.CONNECTION, lambda r: cut(r, at=inside_utf8(), by=FIN)),
    _Fault("reset-before-the-content", _K.CONNECTION,
           lambda r: cut(r, at=before_value("content"), by=RESET)),
    _Fault("reset-before-any-event", _K.CONNECTION, lambda r: cut(r, at=after_events(0), by=RESET)),
    _Fault("no-response", _K.CONNECTION, lambda r: no_response()),
    _Fault("end-of-body-inside-a-call", _K.TRUNCATED,
           lambda r: cut(r, at=after_line(3), by=CLEAN_END), _EOF),
    _Fault("end-of-body-before-the-finish", _K.TRUNCATED,
           lambda r: cut(r, at=_before_the_end, by=CLEAN_END), _EOF),
    _Fault("done-inside-a-call", _K.TRUNCATED, lambda r: cut(r, at=after_line(3), by=DONE), _EOF),
    _Fault("half-a-line-of-json", _K.TRUNCATED,
           lambda r: cut(r, at=inside_event(6), by=CLEAN_END), _EOF),
    _Fault("network-lost", _K.CONNECTION, lambda r: cut(r, at=after_line(3), by=NETWORK_LOST)),
    _Fault("error-with-a-number", _K.SERVER_ERROR,
           lambda r: cut(r, at=after_line(3), by=in_stream_error(_BAD_GATEWAY))),
    _Fault("error-with-a-word", _K.OVERLOADED,
           lambda r: cut(r, at=after_line(3), by=in_stream_error(_OVERLOADED))),
    _Fault("a-false-finish", _K.TRUNCATED, lambda r: cut(r, at=after_line(3), by=finish("stop")),
           "Close nothing that the model left open: pass the argument text on as it came."),
    _Fault("silence", _K.TIMEOUT, lambda r: stall(r, at=after_line(3), seconds=50.0),
           "Leave time to `Clocks`: no hook waits."),
    _Fault("nothing-but-comments", _K.TIMEOUT,
           lambda r: stall(r, at=after_line(3), seconds=50.0, meanwhile=COMMENT, every=5.0),
           "Comments bear no content: leave bytes to the loop."),
    _Fault("nothing-but-empty-deltas", _K.TIMEOUT,
           lambda r: stall(r, at=after_line(3), seconds=50.0, meanwhile=EMPTY_DELTA, every=5.0),
           "Yield nothing for a chunk that says nothing: an empty delta must not wind the clock."),
    _Fault("an-empty-body", _K.TRUNCATED, lambda r: Reply()),
    _Fault("a-page-of-html", _K.SERVER_ERROR,
           lambda r: status(200, "<html><body><h1>502 Bad Gateway</h1></body></html>")),
)  # fmt: skip


def _fault(fault: _Fault) -> Case:
    @case(name=f"fault-{fault.name}", advice=fault.advice)
    def check(stage: Stage) -> None:
        """A call cut so is not run, has its kind, and comes whole on a fresh connection."""
        played = stage.play(
            fault.make(stage.streamed(Answer(calls=(LONG,)))),
            stage.streamed(Answer(calls=(LONG,), usage=Usage(input_tokens=3, output_tokens=2))),
            clocks=CLOCKS,
        )
        first = played.attempts[0]
        require(
            (first.kind, first.decision) == (fault.kind, "retry"),
            f"it must be {fault.kind}, and tried again",
            kind=first.kind,
            rule=first.rule,
            decision=first.decision,
            said=first.message or "nothing",
        )
        require_whole(played, (LONG,))
        connections = [request.connection for request in played.requests[:2]]
        require(connections == [1, 2], "the lost connection was used again", used=connections)
        require(played.requests[0].ended_at is not None, "the lost response was left open")
        reported = played.attempts[1].usage
        require(
            reported == Usage(input_tokens=3, output_tokens=2),
            "the usage of the whole answer is lost",
            ledger=reported,
        )

    return check


@case(advice=_EOF)
def a_text_that_ends_early_is_no_answer(stage: Stage) -> None:
    """A text without its terminal signal is asked for again, whether or not bytes ended cleanly."""
    good = stage.streamed(Answer(text="All of the answer, in several pieces."))
    for ending in (CLEAN_END, FIN):
        played = stage.play(cut(good, at=after_events(3), by=ending), good)
        require(
            played.decisions == ["retry", "accept"],
            "half of the answer was taken for all of it",
            decisions=played.decisions,
            taken=repr(played.result.text) if played.result else "nothing",
        )


@case(
    advice="Yield the endpoint's finish reason as it came: `length` is no `stop`.",
    applies=lambda capabilities: not capabilities.done_is_terminal,
)
def a_capped_call_is_not_run(stage: Stage) -> None:
    """A call cut by the output cap is not run, and the model is told."""
    capped = cut(stage.streamed(Answer(calls=(LONG,))), at=after_line(3), by=finish("length"))
    played = stage.play(capped)
    require(played.runs == [], "it was run", ran=played.runs)
    first = played.attempts[0]
    require((first.kind, first.decision) == (_K.TRUNCATED, "keep"), "it was not kept",
            kind=first.kind, decision=first.decision)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: int
    kind: ErrorKind
    retried: bool
    body: JsonValue
    name: str = ""


def _message(text: str, type_: str = "") -> JsonValue:
    return {"error": {"message": text, **({"type": type_} if type_ else {})}}


_REFUSALS = (
    _Refusal(400, _K.INVALID_REQUEST, False, _message("messages: unexpected role")),
    _Refusal(401, _K.AUTH, False, _message("Invalid credentials")),
    _Refusal(402, _K.QUOTA, False, _message("Insufficient credits")),
    _Refusal(403, _K.AUTH, False, _message("You have no access to this model")),
    _Refusal(404, _K.NOT_FOUND, False, _message("The model does not exist")),
    _Refusal(408, _K.TIMEOUT, True, ""),
    _Refusal(409, _K.INVALID_REQUEST, False, _message("Conflict")),
    _Refusal(413, _K.REQUEST_TOO_LARGE, False, _message("Request too large")),
    _Refusal(422, _K.INVALID_REQUEST, False, _message("Unprocessable: messages")),
    _Refusal(429, _K.RATE_LIMIT, True, _message("Too many requests")),
    _Refusal(500, _K.SERVER_ERROR, True, _message("Internal server error")),
    _Refusal(502, _K.SERVER_ERROR, True, "<html><h1>502 Bad Gateway</h1></html>"),
    _Refusal(503, _K.OVERLOADED, True, _message("Overloaded", "overloaded_error")),
    _Refusal(504, _K.TIMEOUT, True, ""),
    _Refusal(520, _K.SERVER_ERROR, True, ""),
    _Refusal(524, _K.TIMEOUT, True, ""),
    _Refusal(529, _K.OVERLOADED, True, _message("Overloaded", "overloaded_error")),
    _Refusal(429, _K.QUOTA, False, _message("Hm.", "insufficient_quota"), "refused-for-money"),
    _Refusal(
        400,
        _K.CONTEXT_OVERFLOW,
        False,
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. However, your "
                "messages resulted in 9000 tokens.",
                "code": "context_length_exceeded",
            }
        },
        "refused-for-length",
    ),
    _Refusal(
        400,
        _K.CONTENT_POLICY,
        False,
        {"error": {"message": "The response was filtered", "code": "content_filter"}},
        "refused-for-content",
    ),
)


def _refusal(refusal: _Refusal) -> Case:
    advice = (
        "What passes with time is tried again: no row of `error_rules` may make it permanent."
        if refusal.retried
        else "Money, credentials, permissions and bad requests do not come back by waiting: take "
        "the row out of `error_rules`, or give it the kind that it is."
    )

    @case(name=refusal.name or f"status-{refusal.code}", advice=advice)
    def check(stage: Stage) -> None:
        """A refusal has its kind, and is tried again only when waiting can help."""
        played = stage.play(status(refusal.code, refusal.body))
        first = played.attempts[0]
        retried = first.decision == "retry"
        lost = "`facts` lost the status, or what the body says: build on `super().facts(…)`."
        require(
            (first.kind, retried) == (refusal.kind, refusal.retried),
            f"status {refusal.code} must be {refusal.kind}, "
            + ("and tried again" if refusal.retried else "and stop the run"),
            advice=lost if first.kind is _K.UNKNOWN or not first.rule else "",
            kind=first.kind,
            rule=first.rule,
            decision=first.decision,
        )

    return check


@case(advice="Keep the endpoint's words in `facts`: a person acts on them, best by `super()`.")
def the_endpoints_words_are_told(stage: Stage) -> None:
    """What the endpoint says stands in the text of the run's error."""
    said = "messages: unexpected role 'wizard'"
    played = stage.play(status(400, _message(said)))
    require(said in str(played.error), "it does not", endpoint_said=said)


_IN_STREAM: tuple[JsonValue, ...] = (
    {"object": "error", "message": "Overloaded", "code": 529},
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    {"choices": [{"index": 0, "delta": {}, "error": {"message": "Overloaded", "code": 529}}]},
    {"error": "Overloaded"},
)


@case(
    advice="Yield an `InStreamError` with the payload as it came, best by `super().decode(…)`, "
    "which is given the event's name, too.",
    chat_only=True,
)
def errors_in_a_stream_are_seen(stage: Stage) -> None:
    """An error inside a stream is one, however the endpoint spells it."""
    spelled = [in_stream_error(payload) for payload in _IN_STREAM]
    spelled.append((Send(b'event: error\ndata: {"text": "Overloaded", "code": 529}\n\n'),))
    for steps in spelled:
        played = stage.play(Reply(steps=steps))
        first = played.attempts[0]
        require(
            (first.kind, first.decision) == (_K.OVERLOADED, "retry"),
            "it must be overloaded, and tried again",
            kind=first.kind,
            rule=first.rule,
            decision=first.decision,
        )


@case(
    advice="Yield the endpoint's finish reason as it came: `content_filter` is no `stop`.",
    applies=lambda capabilities: not capabilities.done_is_terminal,
)
def a_filtered_answer_is_not_accepted(stage: Stage) -> None:
    """An answer that the endpoint's filter ended is not taken for whole."""
    played = stage.play(stage.streamed(Answer(text="Half of", finish_reason="content_filter")))
    kinds = [record.kind for record in played.attempts]
    require(kinds == [_K.CONTENT_POLICY], "it was", kinds=kinds, decisions=played.decisions)


@case(advice="Leave `clocks` at what suits a model that thinks: no silence lasts ten minutes.")
def a_silent_stream_is_given_up(stage: Stage) -> None:
    """By the adapter's own clocks, a stream that falls silent is given up within ten minutes."""
    good = stage.streamed(Answer(text="one two three four five six"), piece=2)
    played = stage.play(stall(good, at=after_events(5), seconds=4_000.0))
    ended = played.requests[0].ended_at
    require(ended is not None and ended <= 600.0, "it was not", given_up_after=f"{ended} s")


_ADVICE_ON_WAITS = (
    "Keep the headers of the refusal in `facts`, best by `super().facts(…)`: the loop obeys them."
)


def _retry_after(name: str, headers: Callable[[], dict[str, str]], seconds: float) -> Case:
    @case(name=f"retry-after-{name}", advice=_ADVICE_ON_WAITS)
    def check(stage: Stage) -> None:
        """A wait that the endpoint asks for is kept: the next request comes no earlier."""
        refused = status(429, _message("Too many requests"), headers())
        played = stage.play(refused, roll=lambda: 0.0)
        require(played.decisions == ["retry", "accept"], "not retried", did=played.decisions)
        require(
            played.transport.waits[0] >= seconds - 0.01,
            "the next request came too early",
            asked_for=f"{seconds:g} s",
            came_after=f"{played.transport.waits[0]:.3f} s",
        )

    return check


@case(advice=_ADVICE_ON_WAITS)
def a_wait_of_ten_minutes_stops(stage: Stage) -> None:
    """Asked to wait for longer than the policy allows, the run stops and says how long."""
    played = stage.play(status(429, _message("Too many requests"), {"retry-after": "600"}))
    require(played.decisions == ["stop"], "it did not stop", did=played.decisions)
    require("600 s" in str(played.error), "the text does not say how long", text=played.error)


@case(advice="Never put a key, or a part of it, into a text, a name, an address or a `repr`.")
def no_text_holds_the_key(stage: Stage) -> None:
    """The key stands in no text that a person may see, even where the endpoint repeats it."""
    refusal = _message(f"Incorrect API key provided: {KEY}.", KEY)
    with _overheard() as said:
        played = stage.play(status(401, refusal), status(401, refusal))
    places = {
        "what was printed or logged": said.getvalue(),
        "the error's text": str(played.error),
        "the ledger": repr(played.attempts),
        "the events": repr(played.events),
        "the conversation": dump_messages(played.messages),
        "the adapter's repr": repr(stage.adapter()),
    }
    parts = {KEY[at : at + 4] for at in range(len("sk-conformance-"), len(KEY) - 3)}
    for place, text in places.items():
        found = next((part for part in (KEY, *parts) if part in text), "")
        at = text.find(found)
        require(not found, f"a part of it stands in {place}",
                text=f"…{text[max(0, at - 80) : at + 30]}…")  # fmt: skip


@contextmanager
def _overheard() -> Iterator[StringIO]:
    """What is printed, and what is logged on any level by anyone but the HTTP stack."""
    said = StringIO()
    handler = logging.StreamHandler(said)
    handler.addFilter(lambda record: not record.name.startswith(_HTTP_LOGGERS))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            yield said
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


_HTTP_LOGGERS = ("openai", "httpx", "httpcore", "asyncio")


@case(
    advice="Hand `phase`, `bytes_received` and `received_at` on: `super().facts(error, **known)`."
)
def facts_keep_what_the_loop_knows(stage: Stage) -> None:
    """`facts` hold how far the answer was, how much had come, and when."""
    for error in (ConnectionResetError("reset"), {"error": {"message": "Overloaded"}}):
        facts = stage.adapter().facts(
            error, phase=Phase.TEXT, bytes_received=7, received_at=1_700_000_000.0
        )
        known = (facts.phase, facts.bytes_received, facts.received_at)
        require(known == (Phase.TEXT, 7, 1_700_000_000.0), "they are lost", facts=known)


@case(advice="Translate by `super().facts(…)` and add to it; raise for nothing, whatever it is.")
def facts_are_total(stage: Stage) -> None:
    """`facts` takes any exception and any payload."""
    adapter = stage.adapter()
    odd: tuple[object, ...] = (
        None, 7, "", "terminated", [], [1], {}, {"error": None}, {"error": "x"}, {"error": [7]},
        {"error": {"code": {}, "message": 7, "metadata": {"raw": "{"}}}, ValueError("x"), OSError(),
    )  # fmt: skip
    for error in odd:
        try:
            adapter.facts(error)
        except Exception as raised:
            require(False, "`facts` raised", given=repr(error), raised=repr(raised))


_CANCEL_SECONDS = 0.1
_ANSWER_SECONDS = 10.0
_TRIES = 3


async def _cancelled(agent: Agent, *, seconds: float) -> anyio.CancelScope:
    """A run that was cancelled so long after its request was answered; never before."""
    with anyio.move_on_after(_ANSWER_SECONDS) as scope:

        def answered(event: RunEvent) -> None:
            if not isinstance(event, AttemptStarted):
                scope.deadline = min(scope.deadline, anyio.current_time() + seconds)

        await agent.run("Go on.", on_event=answered)
    return scope


@case(advice="A hook decides and returns: it does not wait, sleep, or call anything that does.")
def cancelling_takes_no_time(stage: Stage) -> None:
    """Cancelled while an answer streams, a run ends within 100 ms and closes its connection."""
    good = stage.streamed(Answer(calls=(LONG,)), piece=2, pace=0.002)
    late: list[float] = []
    for _ in range(_TRIES):

        async def cancel(agent: Agent) -> None:
            scope = await _cancelled(agent, seconds=0.05)
            late.append(anyio.current_time() - scope.deadline)
            require(scope.cancelled_caught, "the run went on as if nothing had happened")

        played = stage.play_live([good, good], cancel)
        require(len(played.requests) == 1, "it made another request", made=len(played.requests))
        require(played.requests[0].hung_up, "it left its connection open")
        if late[-1] <= _CANCEL_SECONDS:
            return
    # The least of three, so that a busy machine does not blame an adapter.
    require(False, f"at best it took {min(late) * 1_000:.0f} ms of the 100 that it may take")


@case(advice="Leave cancellation to the loop: no hook catches `BaseException`.")
def cancelling_a_silent_stream(stage: Stage) -> None:
    """A run that is cancelled in silence, or in a wait, ends at once and closes its connection."""
    silent = stall(stage.streamed(Answer(calls=(LONG,))), at=after_line(3), seconds=30.0)
    refused = status(429, _message("Too many requests"), {"retry-after": "30"})

    async def cancel(agent: Agent) -> None:
        scope = await _cancelled(agent, seconds=0.02)
        took = anyio.current_time() - scope.deadline
        require(took < 5.0, "it went on", took=f"{took:.1f} s")

    for reply in (silent, refused):
        played = stage.play_live([reply], cancel)
        require(len(played.requests) == 1, "it made another request", made=len(played.requests))
        require(played.requests[0].ended_at is not None, "it left its connection open")


@case(
    advice="Set `Capabilities(cumulative_arguments=True)` only where each delta repeats all text.",
    applies=lambda capabilities: not capabilities.cumulative_arguments,
)
def fragments_are_not_taken_for_the_whole(stage: Stage) -> None:
    """A fragment that repeats the text before it is more text, not the same text again."""
    call = Call(name="save", arguments='{"path":"aa","content":"aaaaaaaa"}')
    played = stage.play(stage.streamed(Answer(calls=(call,)), piece=1))
    made = [call.arguments for message in played.answers for call in message.tool_calls]
    require_equal("".join(made), call.arguments, "the argument text is another")


@case(
    advice="Read cumulative deltas by `Capabilities(cumulative_arguments=True)` alone.",
    applies=lambda capabilities: capabilities.cumulative_arguments,
)
def repeated_arguments_are_read_once(stage: Stage) -> None:
    """Where each delta repeats all argument text so far, it is taken once."""
    reply = stage.stream(Answer(calls=(LONG,)), quirks=(Quirk.CUMULATIVE_ARGUMENTS,))
    require_whole(stage.play(reply), (LONG,))


FAILED_CASES: tuple[Case, ...] = (
    *(_fault(fault) for fault in _FAULTS),
    a_text_that_ends_early_is_no_answer,
    a_capped_call_is_not_run,
    a_filtered_answer_is_not_accepted,
    a_silent_stream_is_given_up,
    errors_in_a_stream_are_seen,
    the_endpoints_words_are_told,
    *(_refusal(refusal) for refusal in _REFUSALS),
    _retry_after("seconds", lambda: {"retry-after": "17"}, 17.0),
    _retry_after("milliseconds", lambda: {"retry-after-ms": "2500"}, 2.5),
    _retry_after(
        "date",
        lambda: {
            "date": formatdate(time.time(), usegmt=True),
            "retry-after": formatdate(time.time() + 20, usegmt=True),
        },
        19.0,
    ),
    a_wait_of_ten_minutes_stops,
    no_text_holds_the_key,
    facts_are_total,
    facts_keep_what_the_loop_knows,
    cancelling_takes_no_time,
    cancelling_a_silent_stream,
    fragments_are_not_taken_for_the_whole,
    repeated_arguments_are_read_once,
)
