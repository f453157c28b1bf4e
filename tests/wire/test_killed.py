"""SIGKILL in the middle of a write; `benchmarks/killed.py` does the same two hundred times."""

import sys

import anyio
import pytest

from tests.wire.killing import Killed, kill_many


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that tell who is dead")
def test_a_killed_process_loses_no_more_than_what_came_in_the_last_second() -> None:
    async def kill() -> list[Killed]:
        return await kill_many(range(5), at_once=5)

    killed = anyio.run(kill)

    assert [one.broken for one in killed] == [""] * 5
    assert [one for one in killed if one.lost_seconds > 1.0] == []
    assert all(one.finished for one in killed)
    assert any(one.found_lines for one in killed)
