"""Refusals as endpoints document them, beside the corpus: none of these rows is in it.

Each is a text or a body as the provider's documentation, source or SDK words one kind of failure.
They were written down from general knowledge, not received, and are no sample of anything.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from agentcore.classification import classify
from agentcore.facts import Surface, facts_of_report

DATA = Path(__file__).parent / "data"
DOCUMENTED = [json.loads(line) for line in (DATA / "documented.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("row", DOCUMENTED, ids=range(1, len(DOCUMENTED) + 1))
def test_documented_refusals(row: dict[str, Any]) -> None:
    surface = Surface.HTTP if row["status"] is not None else Surface.SSE

    found = classify(facts_of_report(surface=surface, status=row["status"], body=row["body"]))

    assert found.kind == row["kind"], found
