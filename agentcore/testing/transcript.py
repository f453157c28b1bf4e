"""`check_transcript`: do a run's conversation and its ledger agree, and with what was sent?

It shares no code with what it judges: it reads the words of a run (messages, records, kinds) and
decodes by itself what a server sent. Each rule is a generator of sentences; a sentence names the
attempt, or the message (counted from 1) where no attempt of the run made it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pydantic import JsonValue

from agentcore.ledger import AttemptRecord
from agentcore.messages import (
    AssistantMessage,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agentcore.testing.sent import (
    SentAnswer,
    SentCall,
    as_object,
    fields_so_far,
    is_plain_object,
    mended,
)

__all__ = ["TranscriptError", "check_transcript", "transcript_problems"]


class TranscriptError(AssertionError):
    """A run that broke its promises; the text is its problems, one a line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def check_transcript(
    messages: Sequence[Message],
    attempts: Sequence[AttemptRecord],
    *,
    sent: Sequence[bytes | bytearray] = (),
    earlier: Sequence[Message] = (),
    max_attempts: int = 3,
    longest_wait: float = 120.0,
) -> None:
    """Check what a run left behind, of a `RunResult` or of a `RunError`.

    Every call is answered once and in order; no cut call was run, and no attempt but the last of
    its turn made a message; the history can be sent again; attempts and waits kept to their limits;
    nothing was kept that was not sent.

    Args:
        messages: The whole conversation.
        attempts: The run's ledger.
        sent: The body that each request was sent, in order, as chat completions: a stream or one
            JSON value; of a `Gateway`, `[request.sent for request in gateway.requests]`. Without it
            nothing but the sizes of what was kept can be checked, and a cut call that was run is
            found by the ledger's count of the closed ones only.
        earlier: The conversation that the run went on with. Needed only if no prompt followed it:
            else the run's part of the conversation is found by itself.
        max_attempts: As in the run's `Policy`.
        longest_wait: Seconds: the longest that the run's `Policy` allows, of `max_retry_after` and
            the backoff's cap.

    Raises:
        TranscriptError: Something is wrong. It names all that is, one a line.
    """
    problems = transcript_problems(
        messages,
        attempts,
        sent=sent,
        earlier=earlier,
        max_attempts=max_attempts,
        longest_wait=longest_wait,
    )
    if problems:
        raise TranscriptError(problems)


def transcript_problems(
    messages: Sequence[Message],
    attempts: Sequence[AttemptRecord],
    *,
    sent: Sequence[bytes | bytearray] = (),
    earlier: Sequence[Message] = (),
    max_attempts: int = 3,
    longest_wait: float = 120.0,
) -> list[str]:
    """What `check_transcript` would complain of; empty when there is nothing."""
    miscounted = []
    if sent and len(sent) != len(attempts):
        miscounted.append(f"the ledger has {len(attempts)} attempts; {len(sent)} bodies were sent")
        sent = ()
    unmatched = list(_unmatched(messages, attempts, earlier))
    made = [] if unmatched else _made(messages, attempts, sent)
    places = {one.position: one.place for one in made}
    return [
        *miscounted,
        *_ledger_order(attempts),
        *_outcomes(attempts),
        *_budget(attempts, max_attempts),
        *_waits(attempts, longest_wait),
        *unmatched,
        *_answers(messages, places),
        *_call_ids(messages),
        *_arguments(messages, places),
        *_history(messages),
        *chain.from_iterable(_continuation(one, messages) for one in made),
        *chain.from_iterable(_sizes(one) for one in made),
        *_received(attempts, sent),
        *chain.from_iterable(
            _cut_calls(one) if one.body is None else _unsent(one, SentAnswer.of(one.body))
            for one in made
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A message that the run made, and the attempt that it was made of."""

    position: int
    message: AssistantMessage
    answers: tuple[ToolMessage, ...]
    record: AttemptRecord
    body: bytes | bytearray | None
    """What the attempt was sent, if that is known."""

    @property
    def place(self) -> str:
        return _place(self.record)

    def succeeded(self, call: ToolCall) -> bool:
        """The call was answered without an error: it was run."""
        return any(
            answer.tool_call_id == call.id and not answer.is_error for answer in self.answers
        )


# --- the ledger -----------------------------------------------------------------------------


def _ledger_order(attempts: Sequence[AttemptRecord]) -> Iterator[str]:
    """Turns and attempts are counted without gaps, and a decision settles what comes next.

    After a stop nothing comes, or the next turn at an endpoint that has not stopped yet.
    """
    expected = (1, 1)
    stopped: set[tuple[str, str]] = set()
    after = ""
    for record in attempts:
        if (record.base_url, record.model) in stopped:
            yield f"{_place(record)}: there must be none{after}"
        elif (record.turn, record.attempt) != expected:
            turn, attempt = expected
            yield f"{_place(record)}: turn {turn}, attempt {attempt} must stand here{after}"
        after = f" after {_place(record)}, where the decision was {record.decision}"
        if record.decision == "stop":
            stopped.add((record.base_url, record.model))
            expected = (record.turn + 1, 1)
        elif _makes_message(record):
            expected = (record.turn + 1, 1)
        else:
            expected = (record.turn, record.attempt + 1)


_DECISIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "complete": ("accept",),
    "cut": ("retry", "adjust", "keep", "stop"),
    "refused": ("retry", "adjust", "stop"),
}
"""What may be decided after each outcome."""


def _outcomes(attempts: Sequence[AttemptRecord]) -> Iterator[str]:
    """Outcome, decision, cause and kind fit each other."""
    for record in attempts:
        place, outcome, decision = _place(record), record.outcome, record.decision
        if decision not in _DECISIONS[outcome]:
            yield f"{place}: the outcome is {outcome}, and the decision {decision}"
        if outcome == "cut" and record.cause is None:
            yield f"{place}: it was cut, and no cause is told"
        if outcome != "cut" and record.cause is not None:
            yield f"{place}: the outcome is {outcome}, and a cause of a cut is told: {record.cause}"
        if outcome != "complete" and record.kind is None:
            yield f"{place}: the outcome is {outcome}, and no kind of failure is told"
        if outcome == "complete" and record.kind is not None:
            yield f"{place}: the answer is complete, and a kind of failure is told: {record.kind}"
        if record.kept and decision != "keep":
            yield f"{place}: the decision was {decision}, and something is kept: {record.kept}"
        if decision == "retry" and record.kind is not None and not record.kind.is_transient:
            yield f"{place}: retry, although kind {record.kind} does not pass with time"


def _budget(attempts: Sequence[AttemptRecord], max_attempts: int) -> Iterator[str]:
    """No attempt of a turn after the last that it may make. Corrected requests do not count."""
    spent: Counter[int] = Counter()
    for record in attempts:
        spent[record.turn] += record.decision != "adjust"
        used = spent[record.turn]
        if used > max_attempts:
            allowed = f"{max_attempts} (`max_attempts`)"
            yield f"{_place(record)}: attempt {used} of {allowed}, adjusted ones not counted"
        elif used == max_attempts and record.decision == "retry":
            allowed = f"{max_attempts} (`max_attempts`)"
            yield f"{_place(record)}: retry, although all {allowed} are used up"


def _waits(attempts: Sequence[AttemptRecord], longest_wait: float) -> Iterator[str]:
    """Only a retry waits, and not for too long."""
    before: AttemptRecord | None = None
    for record in attempts:
        waited = record.waited_seconds
        is_retry = before is not None and before.decision == "retry" and record.attempt > 1
        if not 0 <= waited <= (longest_wait if is_retry else 0):
            allowed = f"at most {longest_wait:g} s (`longest_wait`)" if is_retry else "only a retry"
            yield f"{_place(record)}: it waited {waited:g} s, and {allowed} may be waited for"
        before = record


# --- which message is of which turn ---------------------------------------------------------


_CLOSED_CALLS: Final = re.compile(r"\b(\d+) closed calls?\b")
"""As the ledger says it of what was kept."""


def _makes_message(record: AttemptRecord) -> bool:
    return record.decision in ("accept", "keep")


def _unmatched(
    messages: Sequence[Message], attempts: Sequence[AttemptRecord], earlier: Sequence[Message]
) -> Iterator[str]:
    """As many messages as attempts that were accepted or kept: no other one may make any."""
    count = sum(map(_makes_message, attempts))
    begin = _end_of(earlier, messages) if earlier else 0
    if begin is None:
        yield "the conversation does not begin with the earlier one that was given"
        return
    positions = [at for at, _ in _spoken(messages) if at >= begin]
    if len(positions) < count or (earlier and len(positions) > count):
        yield (
            f"{count} attempts were accepted or kept, and the model has {len(positions)} messages "
            f"in the conversation{' since the earlier one' if earlier else ''}"
        )
    elif not earlier:
        first = positions[-count] if count else len(messages)
        before = messages[first - 1].role if first else "none"
        if before != "user":
            yield (
                f"{count} attempts were accepted or kept, and the message before those that they "
                f"made is no prompt, but of role {before}. Either other attempts made messages "
                "too, or the run went on without a prompt: then give `earlier`"
            )


def _end_of(earlier: Sequence[Message], messages: Sequence[Message]) -> int | None:
    """Where the earlier conversation ends; instructions may have been put before it."""
    had_any = any(isinstance(message, SystemMessage) for message in earlier)
    begin = int(not had_any and bool(messages) and isinstance(messages[0], SystemMessage))
    end = begin + len(earlier)
    return end if tuple(messages[begin:end]) == tuple(earlier) else None


def _spoken(messages: Sequence[Message]) -> list[tuple[int, AssistantMessage]]:
    """What the model said, and where."""
    return [(at, said) for at, said in enumerate(messages) if isinstance(said, AssistantMessage)]


def _made(
    messages: Sequence[Message],
    attempts: Sequence[AttemptRecord],
    sent: Sequence[bytes | bytearray],
) -> list[_Made]:
    """The run's messages: the last ones of the conversation."""
    bodies: Sequence[bytes | bytearray | None] = sent or [None] * len(attempts)
    origins = [(r, body) for r, body in zip(attempts, bodies, strict=True) if _makes_message(r)]
    spoken = _spoken(messages)
    return [
        _Made(
            position=at,
            message=message,
            answers=_answers_after(messages, at),
            record=record,
            body=body,
        )
        for (at, message), (record, body) in zip(
            spoken[len(spoken) - len(origins) :], origins, strict=True
        )
    ]


# --- the conversation -----------------------------------------------------------------------


def _answers(messages: Sequence[Message], places: Mapping[int, str]) -> Iterator[str]:
    """Every call is answered once, directly after its message, in the order of the calls."""
    for at in range(-1, len(messages)):
        message = messages[at] if at >= 0 else None
        if isinstance(message, ToolMessage):
            continue
        calls = message.tool_calls if isinstance(message, AssistantMessage) else ()
        place = places.get(at, f"message {at + 1}" if message is not None else "the beginning")
        yield from _answers_to(calls, _answers_after(messages, at), place)


def _answers_to(
    calls: Sequence[ToolCall], answers: Sequence[ToolMessage], place: str
) -> Iterator[str]:
    names = {call.id: call.name for call in calls}
    made = Counter(call.id for call in calls)
    given = Counter(answer.tool_call_id for answer in answers)
    run = Counter(answer.tool_call_id for answer in answers if not answer.is_error)
    for id_, count in made.items():
        call = f"{id_} ({names[id_]})"
        if given[id_] < count:
            yield f"{place}: {call} has no answer"
        elif given[id_] > count:
            twice = run[id_] > count
            yield (
                f"{place}: {call} is answered {given[id_]} times"
                f"{', and its side effect may have happened twice' if twice else ''}"
            )
    for answer in answers:
        id_ = answer.tool_call_id
        if id_ not in made:
            yield f"{place}: {id_} ({answer.name}) is answered here, and no call of this message"
        elif answer.name != names[id_]:
            yield f"{place}: the answer to {id_} ({names[id_]}) is by {answer.name or 'no tool'}"
    order = list(dict.fromkeys(a.tool_call_id for a in answers if a.tool_call_id in made))
    called = [id_ for id_ in made if given[id_]]
    if order != called:
        yield f"{place}: answered are {', '.join(order)}; called were {', '.join(called)}"


def _answers_after(messages: Sequence[Message], at: int) -> tuple[ToolMessage, ...]:
    answers: list[ToolMessage] = []
    for following in range(at + 1, len(messages)):
        message = messages[following]
        if not isinstance(message, ToolMessage):
            break
        answers.append(message)
    return tuple(answers)


def _calls(messages: Sequence[Message]) -> Iterator[tuple[int, ToolCall]]:
    for at, message in enumerate(messages):
        if isinstance(message, AssistantMessage):
            for call in message.tool_calls:
                yield at, call


def _call_ids(messages: Sequence[Message]) -> Iterator[str]:
    """A call's id is its own in the whole conversation."""
    used: dict[str, int] = {}
    for at, call in _calls(messages):
        if call.id in used:
            yield (
                f"message {at + 1}: the id of {call.id} ({call.name}) is that of a call in message "
                f"{used[call.id] + 1}"
            )
        used.setdefault(call.id, at)


def _arguments(messages: Sequence[Message], places: Mapping[int, str]) -> Iterator[str]:
    """Arguments are one JSON object: nothing else can be run, or sent again."""
    for at, call in _calls(messages):
        if not is_plain_object(call.arguments or "{}"):
            run = any(
                answer.tool_call_id == call.id and not answer.is_error
                for answer in _answers_after(messages, at)
            )
            yield (
                f"{places.get(at, f'message {at + 1}')}: {call.id} ({call.name}) "
                f"{'was run, and its arguments are' if run else 'has arguments that are'} no JSON "
                f"object: {_clip(call.arguments)}"
            )


def _history(messages: Sequence[Message]) -> Iterator[str]:
    """Instructions stand at the beginning."""
    for at, message in enumerate(messages):
        if at and isinstance(message, SystemMessage):
            yield f"message {at + 1} is of role system, which only the first may be"


def _continuation(made: _Made, messages: Sequence[Message]) -> Iterator[str]:
    """After answers to calls the model speaks; after an answer without calls the run is over.

    A text that was cut and kept is gone on with at the word of a user message.
    """
    message, following = made.message, made.position + 1 + len(made.answers)
    after = messages[following] if following < len(messages) else None
    kept = made.record.decision == "keep"
    if kept and not (message.content or message.tool_calls):
        yield f"{made.place}: it was kept, and its message has neither text nor calls"
    if after is None:
        return
    name = f"message {following + 1} ({after.role})"
    if message.tool_calls:
        if not isinstance(after, AssistantMessage):
            yield f"{made.place}: {name} follows, and only the model's next answer may"
    elif not kept:
        yield f"{made.place}: an answer without calls ends the run, and {name} follows"
    elif not isinstance(after, UserMessage):
        yield f"{made.place}: a kept text is gone on with by the user, and {name} follows"


def _cut_calls(made: _Made) -> Iterator[str]:
    """Of a kept answer no more calls were run than the ledger says that the model closed."""
    calls = made.message.tool_calls
    said = _CLOSED_CALLS.search(made.record.kept)
    closed = int(said[1]) if said else 0
    if made.record.decision != "keep" or sum(map(made.succeeded, calls)) <= closed:
        return
    names = ", ".join(f"{call.id} ({call.name})" for call in calls)
    if len(calls) > 1:
        names = f"one of {names}"
    yield f"{made.place}: {names} was cut and answered without an error"


def _sizes(made: _Made) -> Iterator[str]:
    """No more characters than bytes were received: what spells them takes more, never less."""
    texts: list[JsonValue] = [made.message.content, made.message.reasoning]
    for call in made.message.tool_calls:
        texts += (as_object(call.arguments) or {}).values()
    kept = sum(len(text) for text in texts if isinstance(text, str))
    if kept > made.record.received_bytes:
        yield (
            f"{made.place}: its message holds {kept} characters, and {made.record.received_bytes} "
            "bytes were received"
        )


# --- against what was sent ------------------------------------------------------------------


def _received(
    attempts: Sequence[AttemptRecord], sent: Sequence[bytes | bytearray]
) -> Iterator[str]:
    for record, body in zip(attempts, sent, strict=False):
        received = record.received_bytes
        if received > len(body):
            yield f"{_place(record)}: {received} bytes are received, where {len(body)} were sent"


def _unsent(made: _Made, sent: "SentAnswer") -> Iterator[str]:
    """An accepted answer is all that was sent, and a kept one the beginning of it."""
    message, place = made.message, made.place
    accepted = made.record.decision == "accept"
    if accepted and not sent.ended:
        yield f"{place}: it was accepted, and no end of the answer was sent"
    for name, own, all_ in (
        ("text", message.content, sent.text),
        ("reasoning", message.reasoning, sent.reasoning),
    ):
        if own != all_ and (accepted or not all_.startswith(own)):
            yield f"{place}: its {name} is not what was sent: {_difference(own, all_)}"
    names = [call.name for call in message.tool_calls]
    sent_names = [call.name for call in sent.calls]
    if names != (sent_names if accepted else sent_names[: len(names)]):
        yield (
            f"{place}: its calls are of {', '.join(names) or 'no tool'}; those that were sent, of "
            f"{', '.join(sent_names) or 'no tool'}"
        )
        return
    for call, sent_call in zip(message.tool_calls, sent.calls, strict=False):
        for problem in _unlike(call, sent_call, accepted=accepted, run=made.succeeded(call)):
            yield f"{place}: {call.id} ({call.name}) {problem}"


def _unlike(call: ToolCall, sent_call: "SentCall", *, accepted: bool, run: bool) -> Iterator[str]:
    """A call that may be run has just the arguments that were sent, closed by the model.

    Of a cut one there may be less: some values, and of a text the first lines, whole ones.
    """
    own = as_object(call.arguments or "{}")
    if own is None:
        return  # `_arguments` tells
    is_empty = accepted and sent_call.arguments.strip() in ("", "null")
    if (accepted or run) and not is_empty and as_object(sent_call.arguments) is None:
        yield f"was cut and {'answered without an error' if run else 'accepted as a whole one'}"
        return
    fields = fields_so_far(sent_call.arguments)
    if accepted or run:
        yield from (f"lacks {name}, which was sent" for name in fields if name not in own)
    for name, value in own.items():
        if name not in fields:
            yield f"has {name}, which was not sent"
            continue
        sent, closed = fields[name]
        is_all = _spelled(value) == _spelled(sent)
        if not is_all and not _begins(value, sent):
            yield f"has {name} not as it was sent: {_difference(value, sent)}"
        elif not (is_all and closed) and (accepted or run or not _is_whole_lines(value)):
            yield f"has {name} without its end: {_clip(_spelled(value)[-40:])}"


def _begins(value: JsonValue, sent: JsonValue) -> bool:
    return isinstance(value, str) and isinstance(sent, str) and mended(sent).startswith(value)


def _is_whole_lines(value: JsonValue) -> bool:
    return isinstance(value, str) and (not value or value.endswith("\n"))


def _place(record: AttemptRecord) -> str:
    return f"turn {record.turn}, attempt {record.attempt}"


def _spelled(value: JsonValue) -> str:
    """The same text for the same value; `1`, `1.0` and `true` are different ones."""
    return mended(json.dumps(value, ensure_ascii=False, sort_keys=True))


def _difference(own: JsonValue, sent: JsonValue) -> str:
    if not isinstance(own, str) or not isinstance(sent, str):
        own, sent = _spelled(own), _spelled(sent)
    pairs = enumerate(zip(own, sent, strict=False))
    at = next((at for at, (one, other) in pairs if one != other), min(len(own), len(sent)))
    return f"{_clip(own[at:])} for {_clip(sent[at:])} at character {at + 1}"


def _clip(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
