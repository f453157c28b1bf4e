"""`write_file`: a text file written whole, or section by section where the model believes it is."""

import json
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from agentcore.drafts import count_lines, overlap_lines, shown_end, split_lines
from agentcore.tools.base import Continuation, CutDraft, Tool, ToolContext, ToolResult, tool
from agentcore.tools.files.access import TRIES, Access, Change, error_result, settled_by
from agentcore.tools.files.paths import FileError
from agentcore.tools.files.replacing import Changed
from agentcore.tools.files.rules import FileRules

__all__ = ["FilePath", "stored", "write_tool"]

TAIL_LINES = 3
MAX_NAMES = 100
"""How far a free name is looked for beside a file that is not to be touched."""

FilePath: TypeAlias = Annotated[
    str, Field(description="Relative to the workspace, with forward slashes.")
]
Mode: TypeAlias = Literal["overwrite", "append", "create"]


def write_tool(rules: FileRules) -> Tool:
    """`write_file`, by rules."""

    @tool(writes="path", draft="content", begins_itself=True)
    def write_file(
        *,
        path: FilePath,
        mode: Annotated[
            Mode,
            Field(
                description="overwrite the file, append to its end, or create it (must not exist)"
            ),
        ],
        start_line: Annotated[
            int | None,
            Field(
                ge=1,
                description="With append: the line number that this text is meant to begin at.",
            ),
        ] = None,
        content: Annotated[
            str, Field(description="The text, with a line break after its last line.")
        ],
        context: ToolContext,
    ) -> ToolResult:
        """Write a text file. A long file is written in sections: create, then append one by one."""
        access = Access(context, rules)
        try:
            if mode == "append":
                return _append(access, path, content, start_line)
            return _write(access, path, mode, content, start_line)
        except FileError as error:
            return error_result(str(error))

    @write_file.on_cut
    def keep_on_disk(context: ToolContext, cut: CutDraft) -> Continuation | None:
        """A new file and one of this run take the text; any other file stays as it is."""
        path = cut.fields.get("path")
        if not isinstance(path, str):
            return None
        try:
            with Access(context, rules).changing(path) as change:
                return _keep(change, path, cut)
        except FileError:
            return None

    write_file.settled(settled_by(rules))
    return write_file


def _write(
    access: Access, path: str, mode: Mode, content: str, start_line: int | None
) -> ToolResult:
    """Write the whole of a file."""
    with access.changing(path) as change:
        shown = change.place.path
        if start_line is not None and start_line > 1:
            raise FileError(
                f'start_line={start_line} goes with mode "append"; mode "{mode}" would leave '
                f"{shown} without the lines before it. Nothing was written."
            )
        there = change.text
        text = there.as_here(content, begins=True)
        after = change.encoded(text)
        if change.before == after:
            lines = count_lines(text)
            return ToolResult(content=f"{shown} holds exactly this already: {lines} lines.")
        if mode == "create" and change.before is not None:
            raise FileError(
                f"{shown} exists already ({len(there.lines)} lines) and was not touched. "
                'Use mode "overwrite" to replace it or "append" to go on.'
            )
        change.check_seen()
        change.store(after)
        return stored(change, text)


def stored(change: Change, text: str, did: str = "") -> ToolResult:
    """What the model is told of a change that was made."""
    said = [f"{change.place.path}: {did}{count_lines(text)} lines on disk now."]
    if told := change.text.told:
        said.append(f"It keeps its {told}.")
    if change.has_other_names:
        said.append("Other names of the file (hard links) keep the text of before.")
    return ToolResult(content=" ".join(said), changed=True)


def _append(access: Access, path: str, content: str, start_line: int | None) -> ToolResult:
    """Append, if the text begins where the model believes that it does."""
    for left in range(TRIES - 1, -1, -1):
        with access.changing(path) as change:
            joined = _joined(change, path, content, start_line)
            after = change.encoded(joined.text)
            lines = count_lines(joined.text)
            if change.before == after:
                there = f"these {joined.repeated} lines are already there; the file has"
                told = there if joined.repeated else "nothing to append; it has"
                return ToolResult(content=f"{change.place.path}: {told} {lines} lines.")
            try:
                change.store(after)
            except Changed:
                if left:
                    continue  # somebody else wrote it just now: where it ends is looked at again
                raise
        result = stored(change, joined.text)
        said = [result.content]
        if joined.text and _is_continued(access.context, path):
            said.append(_shown(joined.text))
        if joined.repeated:
            said.append(
                f"The first {joined.repeated} lines of your text repeated what was there, and were "
                "left out."
            )
        return ToolResult(content="\n".join(said), changed=True)
    raise AssertionError("the last try returns or raises")  # pragma: no cover


# --- a cut call -----------------------------------------------------------------------------


def _keep(change: Change, path: str, cut: CutDraft) -> Continuation | None:
    before = change.text.text
    after = before if cut.stored_after is not None else _with_cut_text(change, path, cut)
    quoted = json.dumps(path, ensure_ascii=False)
    if after is None and cut.text:
        if cut.fields.get("mode") != "create" or change.before is None:
            return None
        # To create it once more cannot succeed, and to replace it is not what was asked for.
        lines = count_lines(before)
        return Continuation(
            on_disk=f"{quoted} exists already with {lines} lines and was not touched; mode "
            '"overwrite" would replace them.',
            next_call="",
            park_with={"path": _free_path(change.access.context.workspace, path)},
        )
    if after is not None and (change.before is None or after != before):
        change.store(change.encoded(after))
    text = before if after is None else after
    lines = count_lines(text)
    if not lines and change.before is not None:
        return Continuation(
            on_disk=f"{quoted} is on disk and empty.",
            next_call=f'path={quoted}, mode="overwrite", start_line=1',
        )
    if not lines:
        return Continuation(
            on_disk=f"{quoted} does not exist on disk.",
            next_call=f'path={quoted}, mode="create", start_line=1',
        )
    append = f'path={quoted}, mode="append", start_line={lines + 1}'
    if cut.text or cut.ours:
        return Continuation(
            on_disk=f"{quoted} has {lines} lines on disk; they are safe. {_shown(text)}",
            next_call=append,
            new_lines=_new_lines(before, text)
            if cut.stored_after is None
            else max(1, lines - cut.stored_after),
        )
    if cut.fields.get("mode") == "append":
        return Continuation(on_disk=f"{quoted} has {lines} lines on disk.", next_call=append)
    return Continuation(
        on_disk=f"{quoted} still holds the {lines} lines that it had before this call.",
        next_call=f'path={quoted}, mode="overwrite", start_line=1',
    )


def _free_path(workspace: Path, path: str) -> str:
    """A path beside one that is taken: `plan-2.md` for `plan.md`."""
    taken = PurePosixPath(path)
    names = (taken.with_name(f"{taken.stem}-{n}{taken.suffix}") for n in range(2, MAX_NAMES))
    return str(next((one for one in names if not os.path.lexists(workspace / one)), taken))


def _new_lines(before: str, after: str) -> int:
    """Lines of a text that begins with the one before it, and that stood not in that as whole."""
    known = count_lines(before)
    begun = before.rpartition("\n")[2]
    if begun and split_lines(after)[known - 1].rstrip("\r\n") != begun:
        known -= 1  # its last line has grown
    return count_lines(after) - known


def _with_cut_text(change: Change, path: str, cut: CutDraft) -> str | None:
    """What the file is to hold with the cut text in it; None when it must not be touched."""
    mode, start_line = cut.fields.get("mode"), cut.fields.get("start_line")
    if not cut.text:
        return None
    if change.before is None:
        starts = mode != "append" or start_line in (None, 1)
        return cut.text if starts else None
    if not cut.ours:
        return None
    if mode == "append":
        line = start_line if isinstance(start_line, int) else None
        try:
            return _joined(change, path, cut.text, line).text
        except FileError:
            return None
    if not _is_continued(change.access.context, path):
        return None  # it came whole, and may be meant to change: nothing of it is to be left
    # The model began anew: the text of before may be longer, and it was paid for.
    before, text = change.text.text, change.text.as_here(cut.text, begins=True)
    if before.startswith(text):
        return before
    return text if text.startswith(before) else None


# --- where a text begins --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Joined:
    text: str
    repeated: int
    """Lines of the new text that were there already, and were left out."""


def _joined(change: Change, path: str, content: str, start_line: int | None) -> _Joined:
    """A file's text with more after it.

    Raises:
        FileError: The place is not where the file ends.
    """
    there = change.text
    begins = not there.text or start_line == 1
    before, text = there.text, there.as_here(content, begins=begins)
    lines, fresh = there.lines, split_lines(text)
    repeated = 0
    if start_line is not None and start_line != len(lines) + 1:
        rest = [line.rstrip("\r\n") for line in lines[start_line - 1 :]]
        same = min(len(rest), len(fresh))
        if not same or rest[:same] != [line.rstrip("\r\n") for line in fresh[:same]]:
            raise _wrong_place(change, lines, start_line)
        repeated = same
    elif lines and _is_continued(change.access.context, path):
        # After a cut a model likes to begin with the lines that it was shown, or wrote last.
        repeated = overlap_lines(before, text)
    text = "".join(fresh[repeated:])
    if text and before and not before.endswith("\n"):
        before += there.line_end
    return _Joined(before + text, repeated)


def _wrong_place(change: Change, lines: list[str], start_line: int) -> FileError:
    shown = change.place.path
    if not lines:
        return FileError(
            f"{shown} does not exist or is empty, so its first line is line 1, not {start_line}. "
            "Nothing was written."
        )
    tail = "".join(lines[-TAIL_LINES:])
    return FileError(
        f"{shown} has {len(lines)} lines, so an append begins at line {len(lines) + 1}, not at "
        f"{start_line}. Nothing was written. Its last lines are:\n{tail}"
    )


def _is_continued(context: ToolContext, path: str) -> bool:
    return posixpath.normpath(path) in context.continued


def _shown(text: str) -> str:
    return f"The last of them is: {shown_end(text)}"
