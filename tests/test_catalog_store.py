import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from agentcore.catalog_store import MAX_BODY_BYTES, CatalogStore, Loaded, StoredAnswer
from agentcore.messages import JsonObject

URL = "https://openrouter.ai/api/v1/models/anthropic/claude-opus-4.6/endpoints"
NAME = "openrouter.ai-api-v1-models-anthropic-claude-opus-4.6-endpoints-518081f07a7a788d.json"
NOON = 1_800_000_000.0
HOUR = 3_600.0


class Endpoint:
    """Answers each fetch with the same: a body, or an error to raise."""

    def __init__(self, answer: bytes | Exception = b'{"data": 1}') -> None:
        self.answer = answer
        self.fetches = 0

    async def fetch(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        self.fetches += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "catalog"


async def load(
    folder: Path, endpoint: Endpoint, *, now: float = NOON, max_age_seconds: float = HOUR
) -> Loaded:
    return await CatalogStore(folder).load(
        URL, endpoint.fetch, max_age_seconds=max_age_seconds, now=now
    )


def content(**changes: object) -> JsonObject:
    """What a file has in it, as of noon."""
    whole = {
        "format": "agentcore-catalog",
        "version": 1,
        "url": URL,
        "fetched_at": NOON,
        "body": {"data": 0},
    }
    changed: JsonObject = json.loads(json.dumps(whole | changes))
    return changed


def files(folder: Path) -> list[Path]:
    """All in a folder; none where it is missing."""
    return sorted(folder.iterdir()) if folder.exists() else []


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_bytes(data)
    return path


# --- an answer, fetched and kept ------------------------------------------------------------


async def test_an_answer_is_fetched_once_and_read_until_it_is_old(folder: Path) -> None:
    endpoint = Endpoint()
    assert await load(folder, endpoint) == Loaded(body={"data": 1}, age_seconds=0.0)
    endpoint.answer = b'{"data": 2}'
    assert await load(folder, endpoint, now=NOON + 60) == Loaded(body={"data": 1}, age_seconds=60.0)
    assert await load(folder, endpoint, now=NOON + HOUR) == Loaded(
        body={"data": 1}, age_seconds=HOUR
    )
    assert endpoint.fetches == 1
    assert await load(folder, endpoint, now=NOON + HOUR + 1) == Loaded(
        body={"data": 2}, age_seconds=0.0
    )
    assert endpoint.fetches == 2


async def test_the_file_is_private_and_has_the_answer_and_no_more(folder: Path) -> None:
    await load(folder, Endpoint(b' {"data": [1e3, "\xc3\xa9"]}\n'))
    [path] = files(folder)
    assert path.name == NAME
    assert json.loads(path.read_bytes()) == content(body={"data": [1000.0, "é"]})
    if os.name == "posix":
        assert mode(path) == 0o600
        assert mode(folder) == 0o700


async def test_each_address_has_a_file(folder: Path) -> None:
    store = CatalogStore(folder)
    for url in (
        "https://a.test/v1/models",
        "https://a.test/v1/models?x",
        "http://a.test/v1/models",
    ):
        await store.load(url, Endpoint().fetch, max_age_seconds=HOUR, now=NOON)
    assert len(files(folder)) == 3


async def test_no_credential_in_an_address_is_written(folder: Path) -> None:
    url = "https://user:secret@a.test/v1/models?key=secret#secret"
    endpoint = Endpoint(OSError("down"))
    loaded = await CatalogStore(folder).load(url, endpoint.fetch, max_age_seconds=HOUR, now=NOON)
    assert loaded.note == "https://a.test/v1/models: OSError: down; there is no older answer"
    await CatalogStore(folder).load(url, Endpoint().fetch, max_age_seconds=HOUR, now=NOON)
    [path] = files(folder)
    assert path.name.startswith("a.test-v1-models-")
    assert "secret" not in path.name
    assert b"secret" not in path.read_bytes()


@pytest.mark.parametrize(
    "url", ["", "..", "/etc/passwd", "https://[", "\ud800", "a://" + "é/" * 999]
)
async def test_any_address_names_a_file_of_the_folder(folder: Path, url: str) -> None:
    store, endpoint = CatalogStore(folder), Endpoint()
    for _ in range(2):
        await store.load(url, endpoint.fetch, max_age_seconds=HOUR, now=NOON)
    assert endpoint.fetches == 1
    [path] = files(folder)
    assert len(path.name) <= 120


# --- an answer that cannot be had -----------------------------------------------------------


async def test_an_old_answer_is_better_than_none(folder: Path) -> None:
    await load(folder, Endpoint())
    broken = Endpoint(ConnectionError("connection \n refused" + "!" * 999))
    loaded = await load(folder, broken, now=NOON + 30 * HOUR)
    assert (loaded.body, loaded.age_seconds) == ({"data": 1}, 30 * HOUR)
    assert loaded.note == (
        f"{URL}: ConnectionError: connection refused{'!' * 182}; "
        "the answer of 30 h ago is used instead"
    )
    again = await load(folder, Endpoint(b"{}"), now=NOON + 30 * HOUR)
    assert again == Loaded(body={}, age_seconds=0.0)


async def test_an_error_that_says_nothing_is_told_by_its_cause(folder: Path) -> None:
    silent = RuntimeError()
    silent.__cause__ = ConnectionError("refused")
    assert (await load(folder, Endpoint(silent))).note == (
        f"{URL}: ConnectionError: refused; there is no older answer"
    )
    assert await load(folder, Endpoint(TimeoutError())) == Loaded(
        body=None,
        age_seconds=math.inf,
        note=f"{URL}: TimeoutError; there is no older answer",
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", "the answer is no JSON: expected value at line 1 column 1"),
        (b"", "the answer is no JSON: EOF while parsing a value at line 1 column 0"),
        (b'{"data": NaN}', "the answer is no JSON: expected value at line 1 column 10"),
        (b"[" * 999, "the answer is no JSON: recursion limit exceeded at line 1 column 202"),
        (
            b" " * (MAX_BODY_BYTES - 1) + b"{}",
            "the answer has 33,554,433 bytes, and 33,554,432 are read",
        ),
    ],
    ids=["HTML", "empty", "not a number", "deep", "large"],
)
async def test_an_answer_that_is_none_is_not_stored(folder: Path, answer: bytes, said: str) -> None:
    note = f"{URL}: ValueError: {said}; there is no older answer"
    assert await load(folder, Endpoint(answer)) == Loaded(note=note)
    assert files(folder) == []
    await load(folder, Endpoint())
    loaded = await load(folder, Endpoint(answer), now=NOON + 2 * HOUR)
    assert (loaded.body, loaded.age_seconds) == ({"data": 1}, 2 * HOUR)


async def test_a_cancelled_fetch_leaves_nothing_behind(folder: Path) -> None:
    with anyio.CancelScope() as scope:

        async def fetch() -> bytes:
            scope.cancel()
            await anyio.sleep_forever()
            raise AssertionError

        await CatalogStore(folder).load(URL, fetch, max_age_seconds=HOUR, now=NOON)
    assert scope.cancelled_caught
    assert files(folder) == []


# --- a file that is no good -----------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"data": 0}',
        json.dumps(content(format="agentcore-draft")).encode(),
        json.dumps(content(version=2)).encode(),
        json.dumps(content(url=None)).encode(),
        json.dumps(content(fetched_at="noon")).encode(),
        json.dumps(content(fetched_at=-1)).encode(),
        json.dumps(content(fetched_at=NOON + 1)).encode(),
        json.dumps({name: value for name, value in content().items() if name != "body"}).encode(),
        json.dumps(content()).encode() + b" " * (MAX_BODY_BYTES + 2**16),
    ],
    ids=[
        "empty", "half", "no text", "list", "foreign", "another format", "newer", "no address",
        "no time", "before all time", "in the future", "no body", "large",
    ],
)  # fmt: skip
async def test_a_file_that_is_no_good_counts_as_none(folder: Path, data: bytes) -> None:
    path = write(folder, data)
    assert CatalogStore(folder).entries(now=NOON) == ()
    failed = await load(folder, Endpoint(OSError("down")))
    assert failed == Loaded(note=f"{URL}: OSError: down; there is no older answer")
    assert path.read_bytes() == data
    assert await load(folder, Endpoint()) == Loaded(body={"data": 1}, age_seconds=0.0)
    assert json.loads(path.read_bytes()) == content(body={"data": 1})


async def test_a_file_as_it_should_be_is_read(folder: Path) -> None:
    write(folder, json.dumps(content()).encode())
    assert await load(folder, Endpoint(OSError())) == Loaded(body={"data": 0}, age_seconds=0.0)


async def test_a_file_of_another_address_counts_as_none(folder: Path) -> None:
    write(folder, json.dumps(content(url="https://b.test/models")).encode())
    assert await load(folder, Endpoint()) == Loaded(body={"data": 1}, age_seconds=0.0)


async def test_a_clock_that_was_put_back_costs_a_fetch(folder: Path) -> None:
    endpoint = Endpoint()
    await load(folder, endpoint)
    assert (await load(folder, endpoint, now=NOON - 1)).age_seconds == 0.0
    assert endpoint.fetches == 2
    assert (await load(folder, endpoint, now=NOON)).age_seconds == 1.0
    assert endpoint.fetches == 2


# --- a disk that is no good -----------------------------------------------------------------


def _file_for_the_folder(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("in the way")


def _folder_for_the_file(folder: Path) -> None:
    (folder / NAME).mkdir(parents=True)


def _dangling_folder(folder: Path) -> None:
    folder.parent.mkdir()
    folder.symlink_to(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        _file_for_the_folder,
        pytest.param(
            _folder_for_the_file,
            marks=pytest.mark.skipif(os.name == "nt", reason="it says PermissionError there"),
        ),
        pytest.param(
            _dangling_folder,
            marks=pytest.mark.skipif(os.name == "nt", reason="links take a privilege there"),
        ),
    ],
)
async def test_a_disk_that_cannot_be_written_costs_the_cache_only(
    folder: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(folder)
    for _ in range(2):
        loaded = await load(folder, Endpoint())
        assert (loaded.body, loaded.age_seconds) == ({"data": 1}, 0.0)
        assert loaded.note.startswith(f"{URL}: the answer could not be stored: ")
        assert "Error: [Errno " in loaded.note
    assert not list(folder.parent.rglob("*.tmp"))
    assert CatalogStore(folder).entries(now=NOON) == ()
    assert CatalogStore(folder).clear() == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
async def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(write(folder, b"").parent / "pipe")
    (folder / "pipe").replace(folder / NAME)
    with anyio.fail_after(5):
        assert await load(folder, Endpoint()) == Loaded(body={"data": 1}, age_seconds=0.0)
    assert json.loads((folder / NAME).read_bytes())["body"] == {"data": 1}


async def test_writers_at_the_same_time_leave_the_answer_of_one(folder: Path) -> None:
    bodies = [b'{"data": "' + str(n).encode() * 50_000 + b'"}' for n in range(8)]
    async with anyio.create_task_group() as tasks:
        for body in bodies:
            for _ in range(3):
                tasks.start_soon(_load_always, folder, Endpoint(body))
    [path] = files(folder)
    kept = json.loads(path.read_bytes())["body"]
    assert kept in [json.loads(body) for body in bodies]


async def _load_always(folder: Path, endpoint: Endpoint) -> None:
    loaded = await load(folder, endpoint, max_age_seconds=-1)
    assert loaded.note == ""


# --- listing and clearing -------------------------------------------------------------------


async def test_what_is_stored_is_listed_and_cleared(folder: Path) -> None:
    store = CatalogStore(folder)
    assert store.entries(now=NOON) == ()
    for at, url in enumerate(("https://b.test/models", "https://a.test/models?page=2")):
        await store.load(url, Endpoint().fetch, max_age_seconds=HOUR, now=NOON + at)
    assert store.entries(now=NOON + 10) == (
        StoredAnswer(url="https://a.test/models", age_seconds=9.0),
        StoredAnswer(url="https://b.test/models", age_seconds=10.0),
    )
    (folder / "0123456789abcdef.tmp").write_text("of a process that was killed")
    (folder / "notes.json").write_text("somebody's")
    assert store.clear() == 3
    assert files(folder) == [folder / "notes.json"]
    (folder / "notes.json").unlink()
    assert store.clear() == 0
    assert files(folder.parent) == []
