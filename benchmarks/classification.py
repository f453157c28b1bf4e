"""How long one classification takes: over the corpus, and over input that is meant to be slow.

    make bench

Prints microseconds, reading the facts included. The worst is what a hostile or broken endpoint can
cost the loop; it must stay below 5 ms.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from agentcore.classification import Classification, classify
from agentcore.facts import (
    ErrorFacts,
    Surface,
    facts_of_exception,
    facts_of_payload,
    facts_of_report,
)

CORPUS = Path(__file__).parent.parent / "tests" / "data" / "errors.jsonl"
LARGE = 1_000_000


def wide(depth: int) -> object:
    node: object = {"code": 1}
    for _ in range(depth):
        node = {"error": [node] * 16}
    return node


def deep(depth: int) -> object:
    node: object = {"message": "x"}
    for _ in range(depth):
        node = {"error": node}
    return node


PATHOLOGICAL: dict[str, object] = {
    "an HTML page of 1 MB": "<html><body>" + "<div class='a'>x y z</div>" * 40_000,
    "open tags": "<" * LARGE,
    "open scripts": "<script>" * (LARGE // 8),
    "open comments": "<!--" * (LARGE // 4),
    "open lists": "[" * LARGE,
    "open objects": '{"a":' * (LARGE // 5),
    "open reprs": "{'a': " * (LARGE // 6),
    "quotes": '"' * LARGE,
    "single quotes": "'" * LARGE,
    "escapes": '{"' + "\\" * LARGE,
    "an open quotation": 'prompt: "' + "a\\" * (LARGE // 2),
    "long quotations": ('"' + "b" * 100 + '" ') * 10_000,
    "code fences": "```" * (LARGE // 3),
    "one word": "a" * LARGE,
    "one number": "1" * LARGE,
    "many words": "a " * (LARGE // 2),
    "many numbers": "1 " * (LARGE // 2),
    "Chinese without a stop": "额度已" * (LARGE // 3),
    "half a phrase": "exceeds the the the context " * 40_000,
    "half a figure": "maximum context length is 1 " * 40_000,
    "half a wait": "retry again your the this " * 40_000,
    "durations": "try again in " + "1s" * (LARGE // 2),
    "max_tokens": "max_tokens " * (LARGE // 11),
    "daily": "daily " * (LARGE // 6),
    "class names": ("A" * 50 + ".") * 20_000,
    "terminal lines": "\nAPI Error:" * (LARGE // 11),
    "bytes": b"\xff" * LARGE,
    "a long message": json.dumps({"error": {"message": "x y " * (LARGE // 4)}}),
    "many details": json.dumps({"error": {"details": [{"message": "a b"}] * 50_000}}),
    "many open texts": dict.fromkeys(("message", "msg", "raw", "title"), '{"a":' + "[1," * 3000),
    "a code of 5,000 digits": {"code": 10**5_000},
    "a cap of 5,000 digits": {"message": "max_tokens must be at most " + "9" * 5_000},
    "wide nesting": wide(5),
    "deep nesting": deep(3_000),
}


def seconds(call: Callable[[], object], rounds: int) -> float:
    """The shortest of some rounds: what the machine does besides is not the code's."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def corpus_facts(row: dict[str, object]) -> ErrorFacts:
    return facts_of_report(
        surface=Surface(str(row["surface"])),
        status=row.get("status"),
        headers=row.get("headers"),
        body=row.get("body"),
        exception=row.get("exception"),
        message=row.get("message") or "",
    )


def of_payload(payload: object) -> Classification:
    return classify(facts_of_payload(payload))


def of_exception(payload: object) -> Classification:
    return classify(facts_of_exception(ValueError(payload)))


def main() -> None:
    rows = [json.loads(line) for line in CORPUS.read_text().splitlines()]
    facts = [corpus_facts(row) for row in rows]
    read = [seconds(lambda row=row: corpus_facts(row), 5) for row in rows]
    named = [seconds(lambda one=one: classify(one), 5) for one in facts]
    both = [one + other for one, other in zip(read, named, strict=True)]
    print(f"corpus, {len(rows)} errors                median      worst")
    for name, times in (("facts", read), ("classify", named), ("both", both)):
        middle, worst = statistics.median(times) * 1e6, max(times) * 1e6
        print(f"  {name:<32}{middle:>8.0f} µs{worst:>8.0f} µs")
    print("\npathological input                  as payload  as exception")
    slowest = 0.0
    for name, payload in PATHOLOGICAL.items():
        plain = seconds(lambda payload=payload: of_payload(payload), 5) * 1e6
        raised = seconds(lambda payload=payload: of_exception(payload), 5) * 1e6
        raised = raised if isinstance(payload, str) else 0.0
        slowest = max(slowest, plain, raised)
        print(f"  {name:<32}{plain:>8.0f} µs{raised:>11.0f} µs")
    print(f"\nslowest: {slowest / 1000:.2f} ms")


if __name__ == "__main__":
    main()
