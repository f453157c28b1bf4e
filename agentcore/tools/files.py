"""Reading and writing text files below the workspace.

Paths are relative to the workspace and cannot leave it. A file is replaced whole and at once, so
that nobody ever sees half of a write.
"""

import json
import os
import posixpath
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import Field

from agentcore.drafts import overlap_lines, shown_end
from agentcore.tools.base import Continuation, CutDraft, ToolContext, ToolResult, tool

__all__ = ["read_below", "read_file", "write_file"]

MAX_READ_LINES = 2_000
MAX_READ_BYTES = 30_000
"""So that what is read fits into a tool's result, whole lines only."""
TAIL_LINES = 3
MAX_COMPARED_BYTES = 64 * 1024 * 1024
"""A larger file is not read to see whether a section stands in it."""

_Path = Annotated[str, Field(description="Relative to the workspace, with forward slashes.")]


@tool(writes="path", draft="content")
def write_file(
    *,
    path: _Path,
    mode: Annotated[
        Literal["overwrite", "append", "create"],
        Field(description="overwrite the file, append to its end, or create it (must not exist)"),
    ],
    start_line: Annotated[
        int | None,
        Field(
            ge=1, description="With append: the line number that this text is meant to begin at."
        ),
    ] = None,
    content: Annotated[str, Field(description="The text, with a line break after its last line.")],
    context: ToolContext,
) -> ToolResult:
    """Write a text file. A long file is written in sections: create, then append one by one."""
    target = _resolve(context.workspace, path)
    if isinstance(target, ToolResult):
        return target
    if target.is_dir():
        return _error(f"{path} is a folder.")
    if mode != "append" and start_line is not None and start_line > 1:
        return _error(
            f'start_line={start_line} goes with mode "append"; mode "{mode}" would leave {path} '
            "without the lines before it. Nothing was written."
        )
    before = target.read_bytes() if target.exists() else None
    if mode == "create" and before not in (None, content.encode()):
        return _error(
            f"{path} exists already ({_count(before)} lines) and was not touched. "
            'Use mode "overwrite" to replace it or "append" to go on.'
        )
    text = content.encode()
    if mode != "append":
        return _store(target, path, before, text)
    return _append(context, target, path, before, text, start_line)


@write_file.on_cut
def _keep_on_disk(context: ToolContext, cut: CutDraft) -> Continuation | None:
    """A new file and one of this run take the text; any other file stays as it is."""
    path = cut.fields.get("path")
    if not isinstance(path, str):
        return None
    target = _resolve(context.workspace, path)
    if isinstance(target, ToolResult) or target.is_dir():
        return None
    before = target.read_bytes() if target.exists() else None
    text = cut.text.encode()
    after = _with_cut_text(context, path, before, cut)
    if after is None and text:
        return None
    quoted = json.dumps(path, ensure_ascii=False)
    if after is not None and after != before:
        _store(target, path, before, after)
    stored = (after if after is not None else before) or b""
    lines, known = _lines(stored), len(_lines(before or b""))
    if not lines:
        return Continuation(
            on_disk=f"{quoted} does not exist on disk.",
            next_call=f'path={quoted}, mode="create", start_line=1',
        )
    last = lines[-1].decode(errors="replace")
    append = f'path={quoted}, mode="append", start_line={len(lines) + 1}'
    if text or cut.ours:
        return Continuation(
            on_disk=f"{quoted} has {len(lines)} lines on disk; they are safe. {_shown(last)}",
            next_call=append,
            new_lines=max(0, len(lines) - known),
        )
    if cut.fields.get("mode") == "append":
        return Continuation(on_disk=f"{quoted} has {len(lines)} lines on disk.", next_call=append)
    return Continuation(
        on_disk=f"{quoted} still holds the {len(lines)} lines that it had before this call.",
        next_call=f'path={quoted}, mode="overwrite", start_line=1',
    )


def _with_cut_text(
    context: ToolContext, path: str, before: bytes | None, cut: CutDraft
) -> bytes | None:
    """What the file is to hold with the cut text in it; None when it must not be touched."""
    text = cut.text.encode()
    mode, start_line = cut.fields.get("mode"), cut.fields.get("start_line")
    if not text:
        return None
    if before is None:
        starts = mode != "append" or start_line in (None, 1)
        return text if starts else None
    if not cut.ours:
        return None
    if mode == "append":
        line = start_line if isinstance(start_line, int) else None
        joined = _joined(context, path, before, text, line)
        return None if isinstance(joined, ToolResult) else joined.text
    if posixpath.normpath(path) not in context.continued:
        return None  # it came whole, and may be meant to change: nothing of it is to be left
    # The model began anew: the text of before may be longer, and it was paid for.
    if before.startswith(text):
        return before
    return text if text.startswith(before) else None


def _shown(last_line: str) -> str:
    return f"The last of them is: {shown_end(last_line)}"


@tool(reads="path")
def read_file(
    path: _Path,
    context: ToolContext,
    start_line: Annotated[int, Field(ge=1, description="First line to read.")] = 1,
    max_lines: Annotated[int, Field(ge=1, le=MAX_READ_LINES)] = MAX_READ_LINES,
) -> ToolResult:
    """Read lines of a text file."""
    target = _resolve(context.workspace, path)
    if isinstance(target, ToolResult):
        return target
    if not target.is_file():
        return _error(f"{path} does not exist.")
    try:
        lines = [line.decode() for line in _lines(target.read_bytes())]
    except UnicodeDecodeError as error:
        return _error(f"{path} is not UTF-8 text (byte {error.start}).")
    if start_line > max(len(lines), 1):
        return _error(f"{path} has {len(lines)} lines; line {start_line} is past its end.")
    shown: list[str] = []
    room = MAX_READ_BYTES
    for line in lines[start_line - 1 : start_line - 1 + max_lines]:
        room -= len(line.encode())
        if room < 0:
            break
        shown.append(line)
    if lines and not shown:
        begun = lines[start_line - 1].encode()[:MAX_READ_BYTES].decode(errors="ignore")
        head = f"{path}: the first {MAX_READ_BYTES} bytes of line {start_line} of {len(lines)}\n"
        return ToolResult(content=head + begun)
    last = start_line - 1 + len(shown)
    head = f"{path}: lines {start_line} to {last} of {len(lines)}\n"
    return ToolResult(content=head + "".join(shown))


def _append(
    context: ToolContext,
    target: Path,
    path: str,
    before: bytes | None,
    text: bytes,
    start_line: int | None,
) -> ToolResult:
    """Append, if the text begins where the model believes that it does."""
    joined = _joined(context, path, before or b"", text, start_line)
    if isinstance(joined, ToolResult):
        return joined
    if joined.repeated and joined.text == before:
        return ToolResult(
            content=f"{path}: these {joined.repeated} lines are already there; the file has "
            f"{_count(joined.text)} lines."
        )
    result = _store(target, path, before, joined.text)
    said = [result.content]
    if joined.text and posixpath.normpath(path) in context.continued:
        said.append(_shown(_lines(joined.text)[-1].decode(errors="replace")))
    if joined.repeated:
        said.append(
            f"The first {joined.repeated} lines of your text repeated what was there, and were "
            "left out."
        )
    return replace(result, content="\n".join(said))


@dataclass(frozen=True, slots=True)
class _Joined:
    text: bytes
    repeated: int
    """Lines of the new text that were there already, and were left out."""


def _joined(
    context: ToolContext, path: str, before: bytes, text: bytes, start_line: int | None
) -> _Joined | ToolResult:
    """A file's text with more after it; an error when the place is not where the file ends."""
    line_end = b"\n"
    if 0 < before.count(b"\n") == before.count(b"\r\n") and b"\r" not in text:
        line_end = b"\r\n"  # a file keeps its line ends; models write line feeds
        text = text.replace(b"\n", line_end)
    lines, fresh = _lines(before), _lines(text)
    expected = len(lines) + 1
    repeated = 0
    if start_line is not None and start_line != expected:
        there = [line.rstrip(b"\r\n") for line in lines[start_line - 1 :]]
        same = min(len(there), len(fresh))
        if not same or there[:same] != [line.rstrip(b"\r\n") for line in fresh[:same]]:
            return _wrong_place(path, lines, start_line)
        repeated = same
    else:
        if lines and posixpath.normpath(path) in context.continued:
            # After a cut a model likes to begin with the lines that it was shown, or wrote last.
            repeated = overlap_lines(_text(before), _text(text))
    text = b"".join(fresh[repeated:])
    if text and before and not before.endswith(b"\n"):
        before += line_end
    return _Joined(before + text, repeated)


def _wrong_place(path: str, lines: list[bytes], start_line: int) -> ToolResult:
    if not lines:
        return _error(
            f"{path} does not exist or is empty, so its first line is line 1, not {start_line}. "
            "Nothing was written."
        )
    tail = b"".join(lines[-TAIL_LINES:]).decode(errors="replace")
    return _error(
        f"{path} has {len(lines)} lines, so an append begins at line {len(lines) + 1}, not at "
        f"{start_line}. Nothing was written. Its last lines are:\n{tail}"
    )


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _store(target: Path, path: str, before: bytes | None, text: bytes) -> ToolResult:
    if before == text:
        return ToolResult(content=f"{path} holds exactly this already: {_count(text)} lines.")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{uuid4().hex}.tmp")
    try:
        with fresh.open("xb") as file:
            if before is not None:
                fresh.chmod(target.stat().st_mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return ToolResult(content=f"{path}: {_count(text)} lines on disk now.", changed=True)


def read_below(workspace: Path, path: str) -> bytes | None:
    """The bytes of a file below the workspace; None when there is none that can be read."""
    try:
        target = _resolve(workspace, path)
        if isinstance(target, ToolResult) or not target.is_file():
            return None
        return target.read_bytes() if target.stat().st_size <= MAX_COMPARED_BYTES else None
    except (OSError, RuntimeError):  # a RuntimeError: a loop of links
        return None


def _resolve(workspace: Path, path: str) -> Path | ToolResult:
    """The file that a path names, links followed; an error when it lies outside."""
    if not path or "\0" in path:
        return _error(f"{path!r} is no path.")
    target = (workspace / path).resolve()
    if not target.is_relative_to(workspace.resolve()) or target == workspace.resolve():
        return _error(f"{path} lies outside the workspace; give a path relative to it.")
    return target


def _error(text: str) -> ToolResult:
    return ToolResult(content=text, is_error=True)


def _lines(text: bytes) -> list[bytes]:
    """Lines with their ends; only a line feed ends one, as in every editor's count."""
    lines = [line + b"\n" for line in text.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _count(text: bytes) -> int:
    return len(_lines(text))
