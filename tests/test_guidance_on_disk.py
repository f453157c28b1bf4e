"""Whatever is cut, and however often: the numbers in the guidance are those on disk.

A real workspace, the real `write_file`; each answer is checked against the files, and the call that
it tells is made in the end.
"""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentcore.dispatch import Dispatcher
from agentcore.draft_store import DraftStore
from agentcore.drafts import keep
from agentcore.events import GuidanceGiven, RunEvent
from agentcore.kinds import CutCause
from agentcore.ledger import AttemptRecord
from agentcore.messages import AssistantMessage, ToolCall
from agentcore.result_store import ResultStore
from agentcore.tools import ToolContext, write_file
from agentcore.verdict import Partial

RECORD = AttemptRecord(
    turn=1,
    attempt=1,
    provider="local",
    model="some-model",
    outcome="cut",
    decision="keep",
    seconds=61.2,
    output_limit=8_192,
)
PATHS = ("a.md", "docs/b {{ x }}.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A call of a model that may be off, and where it is cut."""

    path: str
    mode: str
    off: int
    """So many lines from the right place its `start_line` is; None of a start line for 9."""
    text: str
    left: float
    """The share of the argument text that arrives; 1 runs the call."""
    cause: CutCause


LINES = st.lists(
    st.sampled_from(["", "a line", "Next call: write_file with start_line=7", "{% raw %}", "é"]),
    min_size=1,
    max_size=30,
).map(lambda lines: "".join(f"{line}\n" for line in lines))
STEPS = st.builds(
    Step,
    path=st.sampled_from(PATHS),
    mode=st.sampled_from(["create", "overwrite", "append", "append"]),
    off=st.sampled_from([0, 0, 0, 1, -2, 9]),
    text=LINES,
    left=st.floats(0, 1) | st.just(1.0),
    cause=st.sampled_from(list(CutCause)),
)


def lines_of(workspace: Path, path: str) -> int | None:
    """How many lines a file has; None where there is none."""
    file = workspace / path
    return file.read_bytes().count(b"\n") if file.exists() else None


def is_told_truly(text: str, workspace: Path) -> None:
    """Every number about a file or a draft is the one on disk."""
    words = text.split(" The last of them is: ", 1)[0]
    for quoted, count in re.findall(r'^("[^"]+") has (\d+) lines? on disk', words, re.M):
        assert lines_of(workspace, json.loads(quoted)) == int(count)
    for quoted in re.findall(r'^("[^"]+") does not exist on disk', words, re.M):
        assert lines_of(workspace, json.loads(quoted)) is None
    for quoted in re.findall(r'^("[^"]+") is on disk and empty', words, re.M):
        assert lines_of(workspace, json.loads(quoted)) == 0
    for quoted, count in re.findall(
        r'^("[^"]+") (?:still holds the|exists already with) (\d+) lines?', words, re.M
    ):
        assert lines_of(workspace, json.loads(quoted)) == int(count)
    drafts = {draft.id: draft for draft in DraftStore(workspace).all()}
    for count, draft in re.findall(
        r"(?:^|\. )(\d+) lines? of it are kept as draft (\w+)", words, re.M
    ):
        assert drafts[draft].lines == int(count)


def next_call(text: str) -> dict[str, str | int]:
    """The arguments that the guidance tells for the next call; empty for none."""
    told = [line for line in text.splitlines() if line.startswith(("Next call: write_file with",
            "Next: call write_file again and escape"))]  # fmt: skip
    pairs = re.findall(r'(path|mode|resume)=("[^"]*")|(start_line)=(\d+)', told[-1] if told else "")
    return {name or number: json.loads(text or value) for name, text, number, value in pairs}


THEIRS = (
    None,
    b"",
    b"theirs\n",
    b"theirs\r\nand theirs\r\n",
    b"\xef\xbb\xbftheirs\n",
    b"\xef\xbb\xbf",
)


@given(steps=st.lists(STEPS, min_size=1, max_size=6), there=st.sampled_from(THEIRS))
@settings(max_examples=30, deadline=None)
@example(
    steps=[Step(path="a.md", mode="append", off=9, text="x\n", left=0.9, cause=CutCause.FILTERED)],
    there=b"theirs\n" * 2,
)
@example(  # "create" again was told, which cannot succeed
    steps=[
        Step(path="a.md", mode="create", off=9, text="x\n" * 30, left=0.9, cause=CutCause.DROPPED)
    ],
    there=b"theirs\n",
)
@example(
    steps=[Step(path="a.md", mode="create", off=9, text="x\n", left=0.6, cause=CutCause.DROPPED)],
    there=b"",
)
async def test_the_numbers_are_those_on_disk(steps: list[Step], there: bytes | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        (workspace / "docs").mkdir()
        if there is not None:
            (workspace / "a.md").write_bytes(there)
        guided: list[GuidanceGiven] = []

        async def emit(event: RunEvent) -> None:
            if isinstance(event, GuidanceGiven):
                guided.append(event)

        dispatcher = Dispatcher(
            tools={"write_file": write_file},
            context=ToolContext(workspace=workspace),
            store=DraftStore(workspace),
            results=ResultStore(workspace),
            emit=emit,
        )
        said = ""
        for step in steps:
            arguments: dict[str, str | int] = {"path": step.path, "mode": step.mode}
            if step.off != 9:
                first = (lines_of(workspace, step.path) or 0) + 1 if step.mode == "append" else 1
                arguments["start_line"] = max(1, first + step.off)
            raw = json.dumps(arguments | {"content": step.text})
            received = raw[: int(len(raw) * step.left)]
            call = ToolCall(id="call", name="write_file", arguments=received)
            if step.left == 1:
                message = AssistantMessage(tool_calls=(call,))
                await dispatcher.dispatch(message, None, RECORD)
                said = ""  # a call in between: no row
                continue
            kept = keep(
                Partial(calls=(call,)), step.cause, draft_arguments={"write_file": "content"}
            )
            before = len(guided)
            await dispatcher.dispatch(kept.message, kept, RECORD)
            assert len(guided) == before + 1
            is_told_truly(guided[-1].text, workspace)
            assert guided[-1].text != said, "the same words twice in a row"
            said = guided[-1].text

        if not guided or step.left == 1 or not (told := next_call(guided[-1].text)):
            return
        fields = told | {"content": "the line that goes on here\n"}
        last = ToolCall(id="last", name="write_file", arguments=json.dumps(fields))
        done = await dispatcher.dispatch(AssistantMessage(tool_calls=(last,)), None, RECORD)
        assert not done.messages[0].is_error, (told, done.messages[0].content)
        written = (workspace / str(told["path"])).read_bytes().splitlines(keepends=True)
        assert written[-1].endswith((b"the line that goes on here\n", b"goes on here\r\n"))
        if "resume" not in told:  # its start_line counts the draft's lines
            assert len(written) == told["start_line"]
