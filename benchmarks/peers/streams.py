"""What the endpoint sends, and what must arrive: pure, the same in every process.

The prompt is the script: `text 20000` is answered with 20,000 deltas of text. So one client object,
made once, meets every size.
"""

import json
import re
from functools import cache
from itertools import cycle, islice

WORDS = re.findall(
    r"\s*\S{1,5}",
    "The plan has three parts: first we copy the rows, then we read them back; “no row” is lost.\n"
    "If it fails we stop at once, and say why: C:\\rows, é, ß, 😀.\n\n",
)
"""Deltas of text, of the length that tokens have."""
FRAGMENT = 24
"""Characters of a fragment of a tool call's arguments: 50,000 of them are 1.2 MB."""
COMMENT_EVERY = 20
"""In `mixed`: one keep-alive comment before each so many deltas."""


def text(size: int) -> str:
    """What `text SIZE` comes to; of `mixed SIZE` half is text."""
    return "".join(islice(cycle(WORDS), size))


@cache
def file_text(size: int) -> str:
    """The file that `tool SIZE` writes: its call has about `size` fragments."""
    lines: list[str] = []
    length = 0
    while length < size * FRAGMENT - 60:
        lines.append(f'{len(lines):>6}. A "line" of a large file, é and 😀.\n')
        length += len(json.dumps(lines[-1], ensure_ascii=False)) - 2
    return "".join(lines)


def total(size: int) -> str:
    """The last answer of `loop SIZE`: the sum of all results of `add`, where all came."""
    return f"Total {sum(turn + 1 for turn in range(size))}"


def messages(count: int) -> list[dict[str, str]]:
    """A conversation that has gone on for a while; the prompt comes after it."""
    roles = ("user", "assistant")
    return [
        {"role": roles[n % 2], "content": f"Message {n}: " + text(40 + n % 9)} for n in range(count)
    ]


def answer(request: dict) -> tuple[str, list[str]]:
    """The word of the prompt, and the lines of the answer: each an event or a comment, unframed."""
    prompt, results = _asked(request["messages"])
    word, size = prompt.split()
    return word, _answer(word, int(size), results)


def _asked(conversation: list[dict]) -> tuple[str, tuple[int, ...]]:
    """The last prompt, and the numbers that tools returned after it."""
    results: list[int] = []
    for message in reversed(conversation):
        if message["role"] == "tool":
            results.append(int(re.findall(r"\d+", _text(message))[-1]))
        elif message["role"] == "user":
            return _text(message), tuple(results)
    raise ValueError("no prompt")


def _text(message: dict) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@cache
def _answer(word: str, size: int, results: tuple[int, ...]) -> list[str]:
    if word in ("tool", "tool-paced") and not results:
        arguments = json.dumps(
            {"path": "plan.md", "mode": "overwrite", "content": file_text(size)},
            ensure_ascii=False,
        )
        return _call(0, "write_file", arguments)
    if word == "loop":
        turn = len(results)
        if turn < size:
            return _call(turn, "add", json.dumps({"a": turn, "b": 1}))
        return _whole([{"content": f"Total {sum(results)}"}], "stop")
    if results:
        return _whole([{"content": "Done."}], "stop")
    pieces = list(islice(cycle(WORDS), size))
    if word == "text":
        return _whole([{"content": piece} for piece in pieces], "stop")
    half = size // 2
    lines = _whole(
        [{"reasoning_content": piece} for piece in pieces[:half]]
        + [{"content": piece} for piece in pieces[:half]],
        "stop",
    )
    for place in range(len(lines) - 1, 0, -COMMENT_EVERY):
        lines.insert(place, ": PROCESSING")
    return lines


def _call(number: int, name: str, arguments: str) -> list[str]:
    head = {"index": 0, "id": f"call_{number}", "type": "function"}
    pieces = [arguments[at : at + FRAGMENT] for at in range(0, len(arguments), FRAGMENT)]
    return _whole(
        [
            {"tool_calls": [head | {"function": {"name": name, "arguments": ""}}]},
            *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces),
        ],
        "tool_calls",
    )


def _whole(deltas: list[dict], finish_reason: str) -> list[str]:
    """Deltas as an endpoint sends them, between a role, a finish reason and the usage."""
    usage = {"prompt_tokens": 9, "completion_tokens": len(deltas), "total_tokens": 9 + len(deltas)}
    choices: list[list[dict]] = [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]
        for delta in ({"role": "assistant", "content": ""}, *deltas)
    ]
    choices.append([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish_reason}])
    lines = [_event(choice) for choice in choices]
    return [*lines, _event([], usage=usage), "data: [DONE]"]


def _event(choices: list[dict], **more: object) -> str:
    chunk = {
        "id": "chatcmpl-C9vZ4qGkTn2mYh8sLw0xR5uJdPbE1",
        "object": "chat.completion.chunk",
        "created": 1795910400,
        "model": "bench",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": choices,
    }
    return "data: " + json.dumps(chunk | more, ensure_ascii=False, separators=(",", ":"))
