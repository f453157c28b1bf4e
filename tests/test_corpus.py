"""The score on real errors: by kind, overall, and for the third that no rule was written from.

A kind is right when it is the row's `category` or one of its `also`. A decision is right when it is
the row's `retryable`; either is where `also` holds kinds that are handled differently. Rows that
are labelled `unknown` are left out of it. A permanent error that would be retried counts apart.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from agentcore.classification import classify
from agentcore.error_rules import ERROR_RULES
from agentcore.facts import Surface, facts_of_report
from agentcore.kinds import ErrorKind
from agentcore.recovery import is_retried
from agentcore.retry import Policy

DATA = Path(__file__).parent / "data"
ROWS = [json.loads(line) for line in (DATA / "errors.jsonl").read_text().splitlines()]
LATER = [json.loads(line) for line in (DATA / "later.jsonl").read_text().splitlines()]
LAST = [json.loads(line) for line in (DATA / "last.jsonl").read_text().splitlines()]
HELD_OUT = frozenset(
    line for line in (DATA / "held_out_ids.txt").read_text().split("\n") if re.match(r"c\d", line)
)
RETRIED = {str(kind) for kind in ErrorKind if kind.is_transient} | {"output_limit"}


@dataclass
class Score:
    rows: int = 0
    kinds: int = 0
    hard_rows: int = 0
    hard_kinds: int = 0
    decided: int = 0
    decisions: int = 0
    permanent_retried: int = 0
    by_kind: dict[str, list[int]] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        facts = facts_of_report(
            surface=Surface(row["surface"]),
            status=row["status"],
            headers=row["headers"],
            body=row["body"],
            exception=row["exception"],
            message=row["message"],
        )
        found = classify(facts)
        accepted = {row["category"], *row.get("also", ())}
        right, retried = str(found.kind) in accepted, is_retried(found, Policy())
        is_either = len({kind in RETRIED for kind in accepted}) == 2
        decided_right = is_either or retried == row["retryable"]
        self.fired[found.rule] += 1
        self.rows += 1
        self.kinds += right
        self.hard_rows += row["hard"]
        self.hard_kinds += row["hard"] and right
        counts = self.by_kind.setdefault(row["category"], [0, 0])
        counts[0] += right
        counts[1] += 1
        if row["category"] != "unknown":
            self.decided += 1
            self.decisions += decided_right
            self.permanent_retried += retried and not decided_right
        if not right or not decided_right:
            told = "/".join(sorted(accepted))
            self.mistakes.append(f"{row['id']} {told} -> {found.kind} ({found.rule})")

    @override
    def __str__(self) -> str:
        kinds = (f"{kind} {right}/{rows}" for kind, (right, rows) in sorted(self.by_kind.items()))
        return "\n".join(
            [
                f"kind {self.kinds}/{self.rows} = {self.kinds / self.rows:.1%}, "
                f"hard {self.hard_kinds}/{self.hard_rows} = "
                f"{self.hard_kinds / self.hard_rows:.1%}, "
                f"decision {self.decisions}/{self.decided} = {self.decisions / self.decided:.1%}, "
                f"permanent and retried {self.permanent_retried}",
                ", ".join(kinds),
            ]
        )


def score(rows: list[dict[str, Any]]) -> Score:
    made = Score()
    for row in rows:
        made.add(row)
    return made


@pytest.mark.parametrize(
    ("name", "rows", "floors"),
    [
        ("all", ROWS, (0.96, 0.94, 0.985, 2)),
        ("held out", [row for row in ROWS if row["id"] in HELD_OUT], (0.92, 0.92, 0.97, 1)),
        ("later", LATER, (0.96, 0.94, 0.97, 2)),
        ("last", LAST, (0.93, 0.90, 0.97, 2)),
    ],
)
def test_the_score_does_not_fall(
    name: str, rows: list[dict[str, Any]], floors: tuple[float, float, float, int]
) -> None:
    made = score(rows)
    print(f"{name}: {made}")

    kinds, hard, decisions, permanent = floors
    confusions = "\n".join(made.mistakes)
    assert made.kinds / made.rows >= kinds, confusions
    assert made.hard_kinds / made.hard_rows >= hard, confusions
    assert made.decisions / made.decided >= decisions, confusions
    assert made.permanent_retried <= permanent, confusions


def test_rules_that_fire_once_are_listed() -> None:
    fired = score(ROWS).fired
    once = sorted(rule for rule, count in fired.items() if count == 1)
    never = sorted(row.name for row in ERROR_RULES if row.name not in fired)
    print(f"once: {', '.join(once)}\nnever: {', '.join(never)}")

    # A table of rules that know one row each would be a list of the corpus.
    assert sum(fired[rule] for rule in once) <= 0.15 * len(ROWS)


def test_the_held_out_third_is_a_third() -> None:
    assert {row["id"] for row in ROWS} >= HELD_OUT
    assert len(HELD_OUT) == 75
