"""Drafts on disk: texts that were cut, and what is arriving now, lest a killed process lose it.

A parked draft is a JSON file that is replaced whole and at once. What is arriving is appended to a
*live* file, which is locked while its process lives: a live file that nobody holds was left by a
process that died, and `rescue` makes parked drafts of it.
"""

import errno
import hashlib
import json
import logging
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

from anyio.abc import TaskGroup
from pydantic import JsonValue, TypeAdapter
from pydantic_core import from_json
from typing_extensions import override

from agentcore.accumulator import Accumulator
from agentcore.drafts import MIN_BYTES, keep, kept_text
from agentcore.errors import ConfigurationError
from agentcore.kinds import CutCause
from agentcore.ledger import Draft
from agentcore.live import Live, line_of, lines_of, partial_of
from agentcore.messages import JsonObject, mend_surrogates

if sys.platform != "win32":
    import fcntl

__all__ = ["DraftError", "DraftStore", "LiveDraft"]

FORGOTTEN_SECONDS: Final = 3_600.0
"""Where locks cannot tell, a file that has not changed for so long is nobody's any more."""

_VERSION = 1
_DRAFT_FORMAT, _LIVE_FORMAT = "agentcore-draft", "agentcore-live-draft"
_ID = re.compile("[a-z0-9]{1,32}")
_ID_LENGTH = 6
_KEYED_LENGTH = 12
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

    def park(
        self, *, tool: str, argument: str, fields: JsonObject, text: str, key: str = ""
    ) -> Draft:
        """Store a text under a new id. Both `tool` and `argument` are empty for a text answer.

        Args:
            tool: The tool whose call was cut.
            argument: The argument that the text belongs to.
            fields: The call's other fields.
            text: Whole lines.
            key: Of the call, in a journalled run: parked twice by the same one it is one draft.

        Raises:
            OSError: The disk is full or cannot be written to; nothing was stored.
        """
        return self._write(
            Draft(
                id=_id_of(key) if key else self._new_id(),
                tool=tool,
                argument=argument,
                fields=fields,
                text=text,
                created_at=self._clock(),
            )
        )

    def extend(self, draft_id: str, text: str, *, key: str = "") -> Draft:
        """Put more text at the end of a draft.

        Args:
            draft_id: Which.
            text: Whole lines.
            key: Of the call, in a journalled run: a draft that the same one has extended last stays
                as it is.

        Raises:
            DraftError: There is no such draft.
            OSError: It could not be written; the draft is as it was.
        """
        draft = self.read(draft_id)
        if key and draft.extended_by == key:
            return draft
        return self._write(replace(draft, text=draft.text + text, extended_by=key))

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


class LiveDraft(Live):
    """Brings what arrives in one attempt to a file, which `rescue` finds if this process is killed.

    Nothing is synchronised to the medium: a process that is killed loses no page of the system's
    cache. It never raises: when the disk is full, the log has a warning and nothing more is
    written.
    """

    def __init__(self, store: DraftStore, draft_arguments: Mapping[str, str]) -> None:
        super().__init__(draft_arguments)
        self._store = store
        self._file: tuple[Path, FileIO] | None = None
        self._is_over = False

    @override
    def save(self, accumulator: Accumulator) -> None:
        fresh = accumulator.unsaved()
        if fresh is None or self._is_over:
            return
        lines = [line_of({"restart": True})] if fresh.restarted and self._file is not None else []
        lines += lines_of(fresh)
        if not lines:
            return  # nothing but reasoning, of which no draft is made
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

    @override
    @asynccontextmanager
    async def beside(self, tasks: TaskGroup, accumulator: Accumulator) -> AsyncIterator[None]:
        try:
            yield
        finally:
            # The call may still have to wait for its turn.
            if self._file is not None:
                self.save(accumulator)

    @override
    def close(self) -> None:
        self._is_over = True
        file, self._file = self._file, None
        if file is not None:
            self._store._close_live(*file)

    @override
    def leave(self) -> None:
        self._is_over = True
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file[1].close()


# --- the format of drafts -------------------------------------------------------------------


def _id_of(key: str) -> str:
    """An id that only this call's draft has."""
    return hashlib.sha256(key.encode()).hexdigest()[:_KEYED_LENGTH]


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
    return line_of(
        {"format": _LIVE_FORMAT, "version": _VERSION, "draft_arguments": dict(draft_arguments)}
    )


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
    partial = partial_of(lines[:-1])
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
