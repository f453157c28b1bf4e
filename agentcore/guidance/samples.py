"""A sample of each situation: what templates are checked with, and shown with."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from agentcore.guidance.situations import (
    ArgumentsGuidance,
    CancelledGuidance,
    CapGuidance,
    CutGuidance,
    DeniedGuidance,
    FilteredGuidance,
    LeftOutGuidance,
    MalformedGuidance,
    RaisedGuidance,
    RepeatedGuidance,
    SectionsGuidance,
    SilenceGuidance,
    Situation,
    StandInGuidance,
    StillRunningGuidance,
    StoppedText,
    TextGuidance,
    TimedOutGuidance,
    UnknownOutcomeGuidance,
    UnknownToolGuidance,
    Value,
)

__all__ = ["SAMPLES", "Sample", "sample_of", "samples_of", "shown_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Variables, and what is special about them."""

    label: str
    """Its level and what is empty in it, in words."""
    variables: Situation


def _cut(kind: type[CutGuidance], reason: str) -> CutGuidance:
    return kind(
        tool="write_file",
        target='"docs/plan.md"',
        reason=reason,
        on_disk='"docs/plan.md" has 1206 lines on disk; they are safe. The last of them '
        "is: - 12. Check the counts.",
        level=1,
        next_call='path="docs/plan.md", mode="append", start_line=1207',
        draft_id="4f1c09ab",
        section_lines=103,
        received_lines=206,
        kept_lines=206,
        output_limit=32_000,
        code_tool="execute_code",
    )


SAMPLES: Final[tuple[Situation, ...]] = (
    _cut(SectionsGuidance, "the connection went silent and was given up after 131 s"),
    _cut(CapGuidance, "it reached the output cap of 32000 tokens"),
    _cut(SilenceGuidance, "the connection went silent and was given up after 131 s"),
    _cut(MalformedGuidance, "its arguments are no JSON object"),
    _cut(FilteredGuidance, "a content filter of the endpoint ended the answer"),
    TextGuidance(
        reason="the connection was lost after 131 s",
        kept_bytes=18_204,
        last_line="12. Move the tables of the second shard, then check the counts.",
        level=1,
    ),
    ArgumentsGuidance(
        tool="write_file",
        problems="The arguments of write_file do not fit, so it was not run:\n"
        "- mode: one of 'overwrite', 'append', 'create' was expected; 'add' came",
    ),
    UnknownToolGuidance(
        called="'write_files'", near="write_file", known="write_file, read_file", more=12
    ),
    StandInGuidance(tool="write_file", argument="content"),
    RepeatedGuidance(tool="write_file", level=2),
    DeniedGuidance(tool="write_file", reason="the plan is under review until Monday"),
    StillRunningGuidance(tool="write_file", holder="import_rows", target='"data/rows.csv"'),
    RaisedGuidance(tool="import_rows", error="ValueError", message="row 12 has 4 columns, not 5"),
    TimedOutGuidance(tool="import_rows", seconds=60.0, still_running=True),
    CancelledGuidance(tool="import_rows", began=True, by_itself=True),
    UnknownOutcomeGuidance(tool="import_rows", target='"data/rows.csv"'),
    LeftOutGuidance(
        left_out_bytes=182_040,
        lines=4_210,
        is_whole=True,
        next_line=301,
        path=".agentcore/results/4f1c09ab.txt",
        read_tool="read_file",
    ),
    StoppedText(
        provider="openrouter",
        base_url="https://openrouter.ai/api/v1",
        model="anthropic/claude-opus-4.6",
        kind="connection",
        reason="4 cuts in a row in write_file: nothing further of its text got through",
        message="Network connection lost.",
        rule="network-connection-lost",
        attempts=9,
        tool="write_file",
        on_disk='"docs/plan.md" has 1206 lines on disk; they are safe.',
        received="14,310 bytes",
        advice="choose an endpoint that streams tool arguments, or ask for smaller sections.",
    ),
)
"""One of each, nothing in it empty, its values of ordinary length."""


def sample_of(kind: type[Situation]) -> Situation:
    """The sample of a situation."""
    return next(one for one in SAMPLES if type(one) is kind)


def samples_of(kind: type[Situation]) -> Iterator[Sample]:
    """Every level, with every choice of what is empty, of each situation."""
    sample = sample_of(kind)
    filled = sample.values()
    optional = sorted(kind.may_be_empty)
    levels = kind.levels()
    for level in levels or (0,):
        for choice in product((False, True), repeat=len(optional)):
            empty = [name for name, is_empty in zip(optional, choice, strict=True) if is_empty]
            changes: dict[str, Value] = {name: type(filled[name])() for name in empty}
            said = [f"level {level}"] if levels else []
            said += [f"{', '.join(empty)} empty"] if empty else []
            if levels:
                changes["level"] = level
            yield Sample(label=", ".join(said) or "nothing empty", variables=_with(sample, changes))


def shown_of(kind: type[Situation], level: int | None = None) -> Iterator[Sample]:
    """The few samples that show a template to a person: each level, each choice that can be.

    Args:
        kind: The situation.
        level: Only this one; None for all.
    """
    seen: set[tuple[Value, ...]] = set()
    for level_shown in kind.levels() or (0,):
        if level is not None and kind.levels() and level_shown != level:
            continue
        for changes in _SHOWN.get(kind.template, ({},)):
            sample = sample_of(kind)
            if kind.levels():
                changes = {**changes, "level": level_shown}
            variables = _with(sample, changes)
            key = tuple(variables.values().values())
            if key not in seen:
                seen.add(key)
                yield Sample(label=_said(changes), variables=variables)


_KEPT: Final[dict[str, Value]] = {"draft_id": "", "code_tool": ""}
_PARKED: Final[dict[str, Value]] = {
    "on_disk": "206 lines of it are kept as draft 4f1c09ab, and are in no file yet. The last of "
    "them is: - 12. Check the counts.",
    "next_call": 'path="docs/plan.md", mode="overwrite", resume="4f1c09ab", start_line=207',
}
_NOTHING: Final[dict[str, Value]] = {
    "on_disk": '"docs/plan.md" does not exist on disk.',
    "next_call": 'path="docs/plan.md", mode="create", start_line=1',
    "draft_id": "",
    "kept_lines": 0,
}
_ONLY_NOTHING: Final[tuple[dict[str, Value], ...]] = (_NOTHING,)
_SHOWN: Final[dict[str, tuple[dict[str, Value], ...]]] = {
    "sections": (_KEPT, _PARKED, _NOTHING),
    "cap": (_KEPT, _PARKED, _NOTHING),
    "malformed": (_KEPT, _NOTHING),
    "filtered": (_KEPT, _PARKED, _NOTHING),
    "silence": _ONLY_NOTHING,
    "unknown-tool": ({"more": 0}, {"near": "", "more": 0}, {}),
    "denied": ({}, {"reason": ""}),
    "still-running": ({}, {"target": ""}),
    "timed-out": ({}, {"still_running": False}),
    "cancelled": (
        {"by_itself": False},
        {"by_itself": False, "began": False},
        {"by_itself": True},
    ),
    "left-out": ({}, {"is_whole": False}, {"read_tool": ""}, {"path": "", "read_tool": ""}),
    "stopped": ({}, {"kind": "", "message": "", "tool": "", "received": "", "on_disk": ""}),
}
"""Changes of the sample that can really come, by template."""


def _said(changes: dict[str, Value]) -> str:
    """What is special about a sample, in words."""
    said = [f"level {changes['level']}"] if "level" in changes else []
    if changes.get("kept_lines") == 0:
        said.append("nothing kept")
    elif "resume=" in str(changes.get("next_call", "")):
        said.append("parked")
    elif "draft_id" in changes:
        said.append("kept")
    else:
        said += [
            f"{name} {'yes' if value is True else value}" if value else f"no {name}"
            for name, value in changes.items()
            if name != "level"
        ]
    return ", ".join(said)


def _with(sample: Situation, changes: dict[str, Value]) -> Situation:
    return replace(sample, **changes)
