"""Answers of an endpoint's catalog on disk, each with the time at which it was fetched.

A file is replaced whole and at once: of processes that write at the same time one has the last
word. Nothing but the answer is stored: no header, and so no key.
"""

import json
import math
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from anyio import to_thread
from pydantic import JsonValue
from pydantic_core import from_json

from agentcore.catalog import age_in_words
from agentcore.messages import mend_surrogates

__all__ = ["MAX_BODY_BYTES", "CatalogStore", "Loaded", "StoredAnswer"]

MAX_BODY_BYTES: Final = 32 * 2**20
"""A larger answer is refused. OpenRouter's `/models`, the largest known, has 1 to 2 MB."""

_MAX_FILE_BYTES: Final = MAX_BODY_BYTES + 2**16

_FORMAT, _VERSION = "agentcore-catalog", 1
_NAME_CHARACTERS: Final = 80
_OURS: Final = re.compile(r"[\w.-]*-[0-9a-f]{16}\.json|[0-9a-f]{16}\.tmp", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An answer, or why there is none."""

    body: JsonValue = None
    """None when it could neither be fetched nor read from a file."""
    age_seconds: float = math.inf
    """0 when it was fetched just now; infinite when there is no answer."""
    note: str = ""
    """What went wrong, a sentence; empty when nothing did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """One file, as a listing shows it."""

    url: str
    """Without user name, password and query: these may hold a key."""
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    url: str
    age_seconds: float
    body: JsonValue


class CatalogStore:
    """A folder (0700) with a file (0600) for each address; made when the first answer is stored."""

    def __init__(self, folder: Path) -> None:
        """Touch nothing yet."""
        self._folder = folder

    async def load(
        self,
        url: str,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        max_age_seconds: float,
        now: float,
    ) -> Loaded:
        """The answer at an address: from its file while that is young enough, else fetched.

        What network and disk do raises nothing. An answer that cannot be had leaves the old one,
        however old; a file that is broken, foreign or dated in the future counts as none.

        Args:
            url: Names the file. What it carries beside scheme, host and path is not written.
            fetch: Gives the body. Its errors become a note, cancellation passes.
            max_age_seconds: The oldest answer that is used without asking again.
            now: Seconds since the epoch.
        """
        kept = await to_thread.run_sync(self._read, self._path(url), now)
        if kept is not None and kept.url != _plain(url):
            kept = None
        if kept is not None and kept.age_seconds <= max_age_seconds:
            return Loaded(body=kept.body, age_seconds=kept.age_seconds)
        try:
            data = await fetch()
            body = await to_thread.run_sync(_parsed, data)
        except Exception as error:
            return _instead(kept, f"{_plain(url)}: {_said(error)}")
        try:
            await to_thread.run_sync(self._write, url, data, now)
        except OSError as error:
            note = f"{_plain(url)}: the answer could not be stored: {_said(error)}"
            return Loaded(body=body, age_seconds=0.0, note=note)
        return Loaded(body=body, age_seconds=0.0)

    def entries(self, *, now: float) -> tuple[StoredAnswer, ...]:
        """What is stored and can be read, by address. It blocks: not for an event loop.

        Args:
            now: Seconds since the epoch.
        """
        kept = [self._read(path, now) for path in self._files()]
        return tuple(
            StoredAnswer(url=one.url, age_seconds=one.age_seconds)
            for one in sorted(filter(None, kept), key=lambda one: (one.url, one.age_seconds))
        )

    def clear(self) -> int:
        """Remove every file of ours, and the folder if nothing else is in it. It blocks.

        Returns:
            How many were removed.

        Raises:
            OSError: One could not be removed.
        """
        files = self._files()
        for path in files:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()
        return len(files)

    def _files(self) -> list[Path]:
        return sorted(
            path for path in self._folder.glob("*") if _OURS.fullmatch(path.name) and path.is_file()
        )

    def _path(self, url: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", _plain(url).partition("://")[2]).strip("-.")
        digest = sha256(url.encode(errors="surrogatepass")).hexdigest()[:16]
        return self._folder / f"{readable[:_NAME_CHARACTERS]}-{digest}.json"

    def _read(self, path: Path, now: float) -> _Kept | None:
        try:
            # A pipe in the file's place would never end, and something else might fill the memory.
            if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
                return None
            content: JsonValue = from_json(path.read_bytes())
        except (OSError, ValueError):
            return None
        match content:
            case {
                "format": str(format_),
                "version": int(version),
                "url": str(url),
                "fetched_at": int() | float() as fetched_at,
                "body": body,
            } if (format_, version) == (_FORMAT, _VERSION) and 0 <= fetched_at <= now:
                return _Kept(url=url, age_seconds=now - fetched_at, body=body)
        return None

    def _write(self, url: str, data: bytes, now: float) -> None:
        """Store an answer whole and at once.

        Raises:
            OSError: The disk is full or cannot be written to; what was there is there still.
        """
        head = json.dumps(
            {"format": _FORMAT, "version": _VERSION, "url": _plain(url), "fetched_at": now}
        )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._folder / f"{secrets.token_hex(8)}.tmp"
        try:
            with open(fresh, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                # The body as it came: what was parsed once is not spelled anew. Nothing is
                # synchronised to the medium: a file that a power cut breaks is fetched anew.
                file.write(b"".join((head[:-1].encode(), b', "body": ', data, b"}\n")))
            fresh.replace(self._path(url))
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise


def _parsed(data: bytes) -> JsonValue:
    if len(data) > MAX_BODY_BYTES:
        raise ValueError(f"the answer has {len(data):,} bytes, and {MAX_BODY_BYTES:,} are read")
    try:
        body: JsonValue = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"the answer is no JSON: {error}") from error
    return body


def _instead(kept: _Kept | None, what: str) -> Loaded:
    if kept is None:
        return Loaded(note=f"{what}; there is no older answer")
    note = f"{what}; the answer of {age_in_words(kept.age_seconds)} ago is used instead"
    return Loaded(body=kept.body, age_seconds=kept.age_seconds, note=note)


def _plain(url: str) -> str:
    """Scheme, host and path: what else an address carries may be a key."""
    scheme, slashes, rest = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")
    host, slash, path = rest.partition("/")
    return mend_surrogates(f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}")


_SAID_CHARACTERS: Final = 200


def _said(error: BaseException) -> str:
    """Class and text; of an error without a text, its cause's."""
    while not str(error) and error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())[:_SAID_CHARACTERS]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
