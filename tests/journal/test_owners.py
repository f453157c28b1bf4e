"""Who lives is told exactly, also when several look at once."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentcore.journal.owners import Owner, is_alive, remove_dead

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its locks keep readers out")


def test_an_owner_lives_until_it_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "owners"
    owner = Owner(folder)
    assert is_alive(folder, owner.id)
    remove_dead(folder)
    assert is_alive(folder, owner.id)
    owner.close()
    assert not is_alive(folder, owner.id)


def test_a_dead_owner_is_dead_for_all_who_look_at_once(tmp_path: Path) -> None:
    """One who looks must not be taken for the owner by another one."""
    (tmp_path / "dead").touch()
    found: list[int] = []

    def look() -> None:
        found.append(sum(is_alive(tmp_path, "dead") for _ in range(3_000)))

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    assert found == [0] * 4


def test_a_program_that_was_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "owners")
    with subprocess.Popen(["sleep", "60"]) as child:
        assert is_alive(tmp_path / "owners", owner.id)
        owner.forget()  # as the kernel does for a dead process: the file stays, the lock does not
        assert not is_alive(tmp_path / "owners", owner.id)
        child.kill()
