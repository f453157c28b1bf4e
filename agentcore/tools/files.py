"""Reading and writing text files below the workspace.

Paths are relative to the workspace and cannot leave it. A file is replaced whole and at once, so
that nobody ever sees half of a write.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import Field, JsonValue

from agentcore.tools.base import Resume, ToolContext, ToolResult, tool

__all__ = ["read_file", "write_file"]

MAX_READ_LINES = 2_000
MAX_READ_BYTES = 30_000
"""So that what is read fits into a tool's result, whole lines only."""
TAIL_LINES = 3

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
    if mode == "create" and before is not None:
        return _error(
            f"{path} exists already ({_count(before)} lines) and was not touched. "
            'Use mode "overwrite" to replace it or "append" to go on.'
        )
    text = content.encode()
    if mode != "append":
        return _store(target, path, before, text)
    return _append(target, path, before, text, start_line)


@write_file.resume
def _go_on(context: ToolContext, fields: Mapping[str, JsonValue], ours: bool) -> Resume | None:
    """Sections: create what is not there, append to what is ours, replace what was there before."""
    path = fields.get("path")
    if not isinstance(path, str):
        return None
    target = _resolve(context.workspace, path)
    if isinstance(target, ToolResult) or target.is_dir():
        return None
    quoted = json.dumps(path, ensure_ascii=False)
    if not target.exists():
        return Resume(
            on_disk=f"{quoted} does not exist on disk.",
            next_call=f'path={quoted}, mode="create", start_line=1',
        )
    lines = _count(target.read_bytes())
    if ours or fields.get("mode") == "append":
        return Resume(
            on_disk=f"{quoted} has {lines} lines on disk; they are safe.",
            next_call=f'path={quoted}, mode="append", start_line={lines + 1}',
        )
    return Resume(
        on_disk=f"{quoted} still holds the {lines} lines that it had before this run.",
        next_call=f'path={quoted}, mode="overwrite", start_line=1',
    )


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
    target: Path, path: str, before: bytes | None, text: bytes, start_line: int | None
) -> ToolResult:
    """Append, if the text begins where the model believes that it does."""
    kept = before or b""
    line_end = b"\n"
    if 0 < kept.count(b"\n") == kept.count(b"\r\n") and b"\r" not in text:
        line_end = b"\r\n"  # a file keeps its line ends; models write line feeds
        text = text.replace(b"\n", line_end)
    lines = _lines(kept)
    expected = len(lines) + 1
    if start_line is not None and start_line != expected:
        fresh = [line.rstrip(b"\r\n") for line in _lines(text)]
        there = lines[start_line - 1 : start_line - 1 + len(fresh)]
        if fresh and [line.rstrip(b"\r\n") for line in there] == fresh:
            return ToolResult(
                content=f"{path}: these {len(fresh)} lines are already there, from line "
                f"{start_line} on; the file has {len(lines)} lines."
            )
        if before is None:
            return _error(
                f"{path} does not exist, so its first line is line 1, not {start_line}. Nothing "
                "was written."
            )
        tail = b"".join(lines[-TAIL_LINES:]).decode(errors="replace")
        return _error(
            f"{path} has {len(lines)} lines, so an append begins at line {expected}, not at "
            f"{start_line}. Nothing was written. Its last lines are:\n{tail}"
        )
    if text and kept and not kept.endswith(b"\n"):
        kept += line_end
    return _store(target, path, before, kept + text)


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
