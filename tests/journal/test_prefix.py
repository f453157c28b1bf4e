"""Any prefix of the rows is a valid place to go on from: a run is killed at every one of them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentcore import RunResult
from agentcore.testing import (
    NETWORK_LOST,
    RESET,
    Ending,
    Reply,
    Temperament,
    after_arguments,
    after_bytes,
    cut,
    status,
)
from tests.journal.story import (
    PROMPT,
    RUN_ID,
    PicturingStore,
    Story,
    agent_of,
    check_world,
    lines_of_text,
)


def lost(reply: Reply, size_bytes: int, by: Ending = RESET) -> Reply:
    """The answer, cut after so many bytes of its arguments, or whole where it has fewer."""
    try:
        return cut(reply, at=after_arguments(size_bytes), by=by)
    except ValueError:
        return reply


CUTS: dict[str, Callable[[int, Reply], Reply]] = {
    "none": lambda number, reply: reply,
    "the file, once": lambda number, reply: lost(reply, 9_000) if number == 2 else reply,
    "the first answers": lambda number, reply: (
        cut(reply, at=after_bytes(300), by=NETWORK_LOST) if number in (1, 2) else reply
    ),
    "the file, again and again": lambda number, reply: (
        lost(reply, 4_000) if number in (2, 3, 4) else reply
    ),
    "refused in between": lambda number, reply: (
        status(503, body={"error": {"message": "overloaded"}}) if number in (1, 3) else reply
    ),
}


async def run_at(workspace: Path, story: Story, **options: object) -> RunResult:
    return await agent_of(workspace, story, **options).run(PROMPT, run_id=RUN_ID)


async def killed_at_every_row(folder: Path, story: Callable[[], Story]) -> int:
    """Run once, and then once more from every picture of it; how many there were."""
    workspace, album = folder / "work", folder / "album"
    workspace.mkdir()
    album.mkdir()
    told = story()
    store = PicturingStore(workspace / ".agentcore" / "runs.db", album)
    whole = await run_at(workspace, told, journal=store)
    check_world(workspace, told, whole, "not killed")
    store.close()
    for number, picture in enumerate(store.pictures):
        again = story()
        where = f"picture {number}, {picture.when}, {picture.rows} rows"
        try:
            ended = await run_at(picture.folder, again)
        except Exception as error:
            raise AssertionError(where) from error
        check_world(picture.folder, again, ended, where)
        once_more = await run_at(picture.folder, again)
        assert once_more == ended, where
        shutil.rmtree(picture.folder)
    return len(store.pictures)


@pytest.mark.parametrize(
    ("name", "backend"),
    [*((name, "asyncio") for name in CUTS), ("none", "trio"), ("the file, once", "trio")],
)
def test_a_run_that_is_killed_at_any_row_ends_as_if_it_had_not_been(
    tmp_path: Path, name: str, backend: str
) -> None:
    def story() -> Story:
        return Story(text=lines_of_text(700), cut=CUTS[name])

    taken = anyio.run(killed_at_every_row, tmp_path, story, backend=backend)
    assert taken > 15


@settings(max_examples=6, deadline=None)
@given(
    lines=st.integers(1, 900),
    temperament=st.sampled_from(
        [Temperament.OBEDIENT, Temperament.REPEATS, Temperament.FORGETS, Temperament.OVERLAPS]
    ),
    mails=st.integers(1, 3),
    cuts=st.dictionaries(st.integers(1, 6), st.integers(0, 40_000), max_size=4),
)
# An append at a wrong line that was cut, and resumed in another process, made a gap.
@example(lines=141, temperament=Temperament.FORGETS, mails=1, cuts={2: 11_797})
def test_whatever_the_run_is(
    lines: int, temperament: Temperament, mails: int, cuts: dict[int, int]
) -> None:
    def maybe_cut(number: int, reply: Reply) -> Reply:
        if number not in cuts:
            return reply
        size = sum(len(step.data) for step in reply.steps if hasattr(step, "data"))
        return cut(reply, at=after_bytes(min(cuts[number], size - 20)), by=RESET)

    def story() -> Story:
        return Story(text=lines_of_text(lines), temperament=temperament, mails=mails, cut=maybe_cut)

    with TemporaryDirectory() as folder:
        anyio.run(killed_at_every_row, Path(folder), story)
