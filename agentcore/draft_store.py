"""Drafts on disk: texts that were cut, and what is arriving now, lest a killed process lose it.

A parked draft is a JSON file that is replaced whole and at once. What is arriving is appended to a
*live* file, which is locked while its process lives: a live file that nobody holds was left by a
process that died, and `rescue` makes parked drafts of it.
"""

import errno
import json
import logging
import math
import os
import re
import secrets
import string
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Final

import anyio
from pydantic import JsonValue, TypeAdapter
from pydantic_core import from_json

from agentcore.accumulator import Accumulator, Unsaved
from agentcore.drafts import MIN_BYTES, keep, kept_text
from agentcore.errors import ConfigurationError
from agentcore.kinds import CutCause
from agentcore.ledger import Draft
from agentcore.messages import JsonObject, ToolCall, mend_surrogates
from agentcore.verdict import Partial

if sys.platform != "win32":
    import fcntl

__all__ = ["DraftError", "DraftStore", "LiveDraft"]

SAVE_SECONDS: Final = 0.75
"""Between two writes. Nothing is to wait for a second; the rest is for a busy machine."""
SAVE_CHARACTERS: Final = 16_384
"""So many are written at once: at most 64 KB of UTF-8, whatever they are."""
FORGOTTEN_SECONDS: Final = 3_600.0
"""Where locks cannot tell, a file that has not changed for so long is nobody's any more."""

_VERSION = 1
_DRAFT_FORMAT, _LIVE_FORMAT = "agentcore-draft", "agentcore-live-draft"
_ID = re.compile("[a-z0-9]{1,32}")
_ID_LENGTH = 6
_TRIES = 20

_log = logging.getLogger("agentcore")
_DRAFT = TypeAdapter(Draft)
_DRAFT_ARGUMENTS = TypeAdapter(dict[str, str])


class DraftError(ConfigurationError):
    """There is no such draft, or it cannot be read. The text names the drafts that there are."""


class DraftStore:
    """Texts that were cut, in `<workspace>/.agentcore/drafts` (folder 0700, files 0600)."""

    def __init__(self, workspace: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Create nothing yet.

        Args:
            workspace: An existing folder.
            clock: Gives the time in seconds since the epoch.
        """
        self._workspace = workspace
        self._clock = clock

    @cached_property
    def _folder(self) -> Path:
        return self._workspace / ".agentcore" / "drafts"

    # --- parked drafts ----------------------------------------------------------------------

    def park(self, *, tool: str, argument: str, fields: JsonObject, text: str) -> Draft:
        """Store a text under a new id. Both `tool` and `argument` are empty for a text answer.

        Raises:
            OSError: The disk is full or cannot be written to; nothing was stored.
        """
        return self._write(
            Draft(
                id=self._new_id(),
                tool=tool,
                argument=argument,
                fields=fields,
                text=text,
                created_at=self._clock(),
            )
        )

    def extend(self, draft_id: str, text: str) -> Draft:
        """Put more text at the end of a draft.

        Raises:
            DraftError: There is no such draft.
            OSError: It could not be written; the draft is as it was.
        """
        draft = self.read(draft_id)
        return self._write(replace(draft, text=draft.text + text))

    def read(self, draft_id: str) -> Draft:
        """The draft of this id.

        Raises:
            DraftError: There is no such draft, or it cannot be read.
        """
        try:
            data = self._path(draft_id).read_bytes()
        except FileNotFoundError:
            raise self._unknown(draft_id) from None
        except OSError as error:
            raise DraftError(f"draft {draft_id!r}: {error.strerror}") from error
        return _decoded(draft_id, data)

    def discard(self, draft_id: str) -> None:
        """Remove a draft, also one that cannot be read. Empty folders go with the last.

        Raises:
            DraftError: There is no such draft.
            OSError: It could not be removed.
        """
        try:
            self._path(draft_id).unlink()
        except FileNotFoundError:
            raise self._unknown(draft_id) from None
        self._tidy()

    def all(self) -> tuple[Draft, ...]:
        """Every draft that can be read, oldest first; the log has a warning about each other."""
        drafts: list[Draft] = []
        for path in self._files("json"):
            try:
                drafts.append(self.read(path.stem))
            except DraftError as error:
                _log.warning("%s; %s is left as it is", error, path)
        return tuple(sorted(drafts, key=lambda draft: (draft.created_at, draft.id)))

    def is_empty(self) -> bool:
        """Nothing was ever stored here, or all of it is gone. Costs one look at the disk."""
        # Every run asks: a Path would take ten times as long.
        return not os.path.isdir(f"{self._workspace}/.agentcore/drafts")  # noqa: PTH112

    def rescue_all(self) -> tuple[Draft, ...]:
        """`rescue`, then `all`: what earlier processes left unfinished."""
        self.rescue()
        return self.all()

    # --- live files -------------------------------------------------------------------------

    def live(self, draft_arguments: Mapping[str, str]) -> "LiveDraft":
        """A writer for what arrives in one attempt.

        Args:
            draft_arguments: The large argument of each tool that has one, by the tool's name. The
                file says it too: whoever rescues it needs no tools.
        """
        return LiveDraft(self, draft_arguments)

    def rescue(self) -> tuple[Draft, ...]:
        """Park what processes that are gone had received, and remove their live files.

        Each call of a tool with a draft becomes one, closed or not, for none of them was run; and
        so does a text answer from 2 KB on. Live files of processes that still run are left alone.
        What cannot be read or stored stays where it is, with a warning in the log: this raises
        nothing.
        """
        rescued: list[Draft] = []
        for path in self._files("live"):
            try:
                rescued += self._rescue(path)
            except FileNotFoundError:
                pass  # its process ended in good order just now
            except (OSError, DraftError) as error:
                _log.warning("%s: %s; the file is left as it is", path, error)
        for path in self._files("tmp"):
            with suppress(OSError):
                if self._is_forgotten(path.stat()):
                    path.unlink()
        self._tidy()
        return tuple(rescued)

    def _open_live(self) -> tuple[Path, FileIO]:
        """A new live file, locked by this process."""
        path = self._folder / f"{self._new_id()}.live"
        file = self._create(path)
        # Waiting takes microseconds: `rescue` holds the lock of an empty file no longer.
        _lock(file.fileno(), wait=True)
        return path, file

    def _close_live(self, path: Path, file: FileIO) -> None:
        """Remove a live file and its lock."""
        # Removed first, while the lock holds: else somebody may rescue what is not lost.
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            file.close()
        with suppress(OSError):
            path.unlink(missing_ok=True)  # Windows removes no open file
        self._tidy()

    def _rescue(self, path: Path) -> list[Draft]:
        with FileIO(path, "r+b") as file:
            is_free = _lock(file.fileno(), wait=False)
            data, status = file.readall(), os.fstat(file.fileno())
            # Its process lives, or has ended in good order and removed it just now.
            if is_free is False or not status.st_nlink:
                return []
            # An empty one is about to be locked by the process that made it just now.
            if (is_free is None or not data) and not self._is_forgotten(status):
                return []
            drafts = [
                # Ids come from the file's name: a rescue that is killed and done again makes the
                # same drafts, not more of them.
                self._write(replace(draft, id=f"{path.stem}{number if number > 1 else ''}"))
                for number, draft in enumerate(_drafts_of(data, status.st_mtime), start=1)
            ]
            self._close_live(path, file)
        return drafts

    # --- files ------------------------------------------------------------------------------

    def _path(self, draft_id: str) -> Path:
        # An id may be what a model made up: no path may come of it.
        if not _ID.fullmatch(draft_id):
            raise self._unknown(draft_id)
        return self._folder / f"{draft_id}.json"

    def _unknown(self, draft_id: str) -> DraftError:
        known = ", ".join(path.stem for path in self._files("json"))
        there_are = f"there are: {known}" if known else "there are none"
        return DraftError(f"there is no draft {draft_id!r} ({there_are})")

    def _files(self, suffix: str) -> list[Path]:
        return sorted(
            path
            for path in self._folder.glob(f"*.{suffix}")
            if _ID.fullmatch(path.stem) and path.is_file()
        )

    def _new_id(self) -> str:
        while True:
            letters = string.ascii_lowercase + string.digits
            id_ = "".join(secrets.choice(letters) for _ in range(_ID_LENGTH))
            if not any(self._folder.glob(f"{id_}*")):
                return id_

    def _is_forgotten(self, status: os.stat_result) -> bool:
        return self._clock() - status.st_mtime >= FORGOTTEN_SECONDS

    def _write(self, draft: Draft) -> Draft:
        """Store a draft whole and at once; gives it as it will be read."""
        content = asdict(draft)
        del content["id"]  # the file's name
        text = json.dumps(
            {"format": _DRAFT_FORMAT, "version": _VERSION, **content}, ensure_ascii=False
        )
        data = mend_surrogates(text).encode()
        fresh = self._folder / f"{secrets.token_hex(8)}.tmp"
        with self._create(fresh) as file:
            try:
                _write_all(file, data)
                os.fsync(file.fileno())
                file.close()
                fresh.replace(self._folder / f"{draft.id}.json")
            except BaseException:
                fresh.unlink(missing_ok=True)
                self._tidy()
                raise
        return _decoded(draft.id, data)

    def _create(self, path: Path) -> FileIO:
        """A new file, and the folders with it."""
        for _ in range(_TRIES - 1):
            # Other processes may find a folder empty just now, and remove it.
            with suppress(FileNotFoundError, FileExistsError):
                return self._create_once(path)
        return self._create_once(path)

    def _create_once(self, path: Path) -> FileIO:
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.is_symlink():
                told = "a link, which may lead out of the workspace"
                raise OSError(errno.ELOOP, told, str(folder))
        return FileIO(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))

    def _tidy(self) -> None:
        with suppress(OSError):
            self._folder.rmdir()
            self._folder.parent.rmdir()


class LiveDraft:
    """Brings what arrives in one attempt to the disk, for the case that this process is killed.

    What came is written every 0.75 s, and when it has grown to 16,384 characters; an answer that is
    whole before touches no disk. A block that comes cannot tell that none will follow, so `on_time`
    keeps a task beside the one that reads, which wakes when a write is due. (The other way is to
    write at every block: tens of thousands of writes for one long call.)

    Nothing is synchronised to the medium: a process that is killed loses no page of the system's
    cache. Only what may become a draft is written: answers with a call of a tool that has one, and
    text from 2 KB on. Until such a thing comes there is no task either: one costs 0.15 ms.

    It never raises: when the disk is full, the log has a warning and nothing more is written.
    """

    def __init__(self, store: DraftStore, draft_arguments: Mapping[str, str]) -> None:
        self._store = store
        self._draft_arguments = dict(draft_arguments)
        self._file: tuple[Path, FileIO] | None = None
        self._due_at = math.inf
        """When the next write is due; never before something came that may become a draft."""
        self.is_wanted = False
        """Something came that may become a draft."""
        self._is_over = False

    def offer(self, accumulator: Accumulator, now: float) -> bool:
        """Write what is due. Costs a look at the calls' names at most when nothing is.

        Args:
            accumulator: Of this attempt, each time the same.
            now: Seconds, on the clock of the event loop.

        Returns:
            Something came for the first time that may become a draft: enter `on_time` now.
        """
        if not self.is_wanted:
            if accumulator.text_bytes >= MIN_BYTES or accumulator.calls_any(self._draft_arguments):
                self.is_wanted = True
                self._due_at = now + SAVE_SECONDS
                return True
        elif now >= self._due_at or accumulator.unsaved_size >= SAVE_CHARACTERS:
            self._due_at = now + SAVE_SECONDS
            self._save(accumulator)
        return False

    @asynccontextmanager
    async def on_time(self, accumulator: Accumulator) -> AsyncIterator[None]:
        """While the body is read, what arrives is written on time, also when silence follows it.

        At the end the rest is written, if anything was written before: the call may still have to
        wait for its turn.
        """
        error_inside: BaseException | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._save_on_time, accumulator)
            try:
                yield
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                error_inside = error  # raised below, outside: a task group would wrap it
            finally:
                tasks.cancel_scope.cancel()
                if self._file is not None:
                    self._save(accumulator)
        if error_inside is not None:
            raise error_inside

    def close(self) -> None:
        """The attempt's outcome has been dealt with: remove the file. May be called twice."""
        self._is_over = True
        file, self._file = self._file, None
        if file is not None:
            self._store._close_live(*file)

    def leave(self) -> None:
        """The outcome will not be dealt with: give the file up, for the next `rescue` to find."""
        self._is_over = True
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file[1].close()

    async def _save_on_time(self, accumulator: Accumulator) -> None:
        while True:
            await anyio.sleep_until(self._due_at)
            self.offer(accumulator, anyio.current_time())

    def _save(self, accumulator: Accumulator) -> None:
        fresh = accumulator.unsaved()
        if fresh is None or self._is_over:
            return
        lines = [_line({"restart": True})] if fresh.restarted and self._file is not None else []
        lines += _lines_of(fresh)
        try:
            if self._file is None:
                self._file = self._store._open_live()
                lines.insert(0, _header(self._draft_arguments))
            # Whole lines in one write: whoever reads them later finds no half of one.
            _write_all(self._file[1], b"".join(lines))
        except OSError as error:
            _log.warning(
                "%s; what arrives from here on is lost if this process is killed before the answer "
                "ends",
                error,
            )
            self._is_over = True


# --- the format of drafts -------------------------------------------------------------------


def _decoded(draft_id: str, data: bytes) -> Draft:
    try:
        content = _checked(from_json(data), _DRAFT_FORMAT)
        return _DRAFT.validate_python({**content, "id": draft_id})
    except ValueError as error:
        raise DraftError(f"draft {draft_id!r} cannot be read: {_first_line(error)}") from None


def _checked(content: JsonValue, format_: str) -> JsonObject:
    """The content of a file, if it is one of ours and of a version that we know.

    Raises:
        ValueError: It is not; the text says what it is.
    """
    if not isinstance(content, dict) or content.get("format") != format_:
        raise ValueError(f"it does not say that it is an {format_}")
    version = content.get("version")
    if version != _VERSION:
        raise ValueError(
            f"it is of version {version!r}, and this agentcore knows version {_VERSION}: "
            "a newer one may have made it"
        )
    return content


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


# --- the format of live files: a header and then what arrived, a JSON object a line ----------


def _header(draft_arguments: Mapping[str, str]) -> bytes:
    return _line(
        {"format": _LIVE_FORMAT, "version": _VERSION, "draft_arguments": dict(draft_arguments)}
    )


def _lines_of(fresh: Unsaved) -> Iterator[bytes]:
    if fresh.text:
        yield _line({"text": fresh.text})
    for call in fresh.calls:
        yield _line(
            {
                "call": call.position,
                "id": call.id,
                "name": call.name,
                "arguments": call.fragment,
                "anew": call.anew,
            }
        )


def _line(content: JsonObject) -> bytes:
    # All ASCII: half of a character, whose other half is still to come, has no UTF-8.
    return json.dumps(content).encode() + b"\n"


def _drafts_of(data: bytes, created_at: float) -> Iterator[Draft]:
    """The drafts that a live file holds, each with an empty id.

    Raises:
        DraftError: It is no live file, or a newer one.
    """
    header, *lines = data.split(b"\n")
    if not lines:
        return  # not even the header came to its end
    try:
        content = _checked(from_json(header), _LIVE_FORMAT)
        draft_arguments = _DRAFT_ARGUMENTS.validate_python(content.get("draft_arguments"))
    except ValueError as error:
        raise DraftError(f"it cannot be rescued: {_first_line(error)}") from None
    # After the last line feed there is nothing, or what a full disk took of a line.
    partial = _partial_of(lines[:-1])
    for call in partial.calls:
        if call.name in draft_arguments:
            # Alone, a call is the last one, which counts as cut also when it is closed: no call of
            # a process that died in its answer was run.
            alone = replace(partial, calls=(call,))
            kept = keep(alone, CutCause.DROPPED, draft_arguments=draft_arguments)
            for cut in kept.cut_calls:
                if cut.text:
                    yield Draft(
                        id="",
                        tool=call.name,
                        argument=draft_arguments[call.name],
                        fields=cut.fields,
                        text=cut.text,
                        created_at=created_at,
                    )
    if not partial.calls and len(partial.text.encode()) >= MIN_BYTES:
        text = kept_text(partial.text)
        yield Draft(id="", tool="", argument="", fields={}, text=text, created_at=created_at)


def _partial_of(lines: list[bytes]) -> Partial:
    """What arrived, up to the first line that cannot be read: a power cut may leave some."""
    texts: list[str] = []
    calls: dict[int, tuple[str, str, list[str]]] = {}
    for line in lines:
        try:
            content = json.loads(line)
        except ValueError:
            break
        match content:
            case {"restart": True}:
                texts, calls = [], {}
            case {"text": str(text)}:
                texts.append(text)
            case {
                "call": int(position),
                "id": str(id_),
                "name": str(name),
                "arguments": str(fragment),
                "anew": bool(anew),
            }:
                _, _, fragments = calls.get(position, ("", "", []))
                if anew:
                    fragments.clear()
                fragments.append(fragment)
                calls[position] = (id_, name, fragments)
            case _:
                break
    return Partial(
        text=mend_surrogates("".join(texts)),
        calls=tuple(
            ToolCall(
                id=id_ or f"call{position}",
                name=name,
                arguments=mend_surrogates("".join(fragments)),
            )
            for position, (id_, name, fragments) in sorted(calls.items())
            if name
        ),
    )


# --- files ----------------------------------------------------------------------------------


def _write_all(file: FileIO, data: bytes) -> None:
    """One write; a disk that takes only a part of it is full."""
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file.name))


def _lock(file: int, *, wait: bool) -> bool | None:
    """Lock a file until it is closed, or its process ends in whatever way.

    False: another holds it. None: there are no locks here (Windows, some file systems).
    """
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
