"""What a sandbox is made of, piece by piece."""

import logging
import os
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore import Agent, ConfigurationError, Local
from agentcore.tools import execute_code
from agentcore.tools.sandbox import (
    BACKENDS,
    MEANINGS,
    Ending,
    Finished,
    Program,
    ProgramLimits,
    Protection,
    SandboxReport,
    choice,
    choose,
    launch,
    places,
    probe,
)
from agentcore.tools.sandbox.child import disk
from agentcore.tools.sandbox.child.job import SIZE_BYTES, Job
from agentcore.tools.sandbox.output import Output
from agentcore.tools.sandbox.places import interpreter_places, kept_places
from agentcore.tools.sandbox.plain import Plain
from agentcore.tools.sandbox.probe import report_of
from agentcore.tools.sandbox.seccomp import ROWS, SYSCALLS, filter_for


@given(st.lists(st.binary(max_size=60)), st.integers(min_value=1, max_value=50))
def test_output_keeps_beginning_and_end_and_no_more(blocks: list[bytes], limit: int) -> None:
    output = Output(limit)
    for block in blocks:
        output.feed(bytes(byte % 128 for byte in block))
    whole = b"".join(blocks).translate(bytes(n % 128 for n in range(256))).decode()
    assert output.total == len(whole)
    if len(whole) <= limit:
        assert output.text() == whole
    else:
        head, _, tail = output.text().partition(f"\n[… {len(whole) - limit} bytes left out …]\n")
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert len(head) + len(tail) == limit


def test_output_does_not_grow() -> None:
    output = Output(1_000)
    for _ in range(10_000):
        output.feed(b"x" * 999)
    assert len(output._head) + len(output._tail) <= 2_000


def test_a_character_that_the_cut_went_through_leaves_no_rubbish() -> None:
    output = Output(10)
    output.feed("ééééééééé".encode())
    assert output.text().startswith("éé\n[…")


@pytest.mark.parametrize("name", ["wall_seconds", "memory_bytes", "processes", "shown_bytes"])
def test_a_limit_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"ProgramLimits\({name}=0\): must be above 0"):
        ProgramLimits(**{name: 0})


def test_every_protection_has_words() -> None:
    assert set(MEANINGS) == set(Protection)


def test_a_report_reads_as_a_sentence() -> None:
    report = SandboxReport(
        backend="b", version="2", enforced=(Protection.FILES,), not_enforced=(), note="Mind."
    )
    assert str(report) == "b 2: enforced: files; not enforced: nothing; Mind."
    assert not report.is_confined


def a_job() -> Job:
    return Job(
        argv=("a", "ü\n"),
        environment={"A": "b"},
        folder="/f",
        stdin="code\n",
        wall_seconds=1.5,
        cpu_seconds=2,
        memory_bytes=3,
        file_bytes=4,
        disk_bytes=5,
        files_made=6,
        processes=7,
        rules=(("/usr", "read"),),
        files={"x": b"hi"},
    )


def test_a_job_comes_through_as_it_was() -> None:
    job = a_job()
    told = job.dump()
    assert int.from_bytes(told[:SIZE_BYTES], "little") == len(told) - SIZE_BYTES
    assert vars(Job.load(told[SIZE_BYTES:])) == vars(job)


# --- the filter of system calls, run as the kernel would


def answers(program: bytes, number: int, arguments: tuple[int, ...], arch: int) -> int:
    """A machine for classic BPF: what the filter returns for a call."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*arguments, *[0] * 6)[:6])
    instructions: list[tuple[int, int, int, int]] = [*struct.iter_unpack("=HBBI", program)]
    accumulator = at = 0
    while True:
        code, then, otherwise, operand = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                at += then if accumulator == operand else otherwise
            case 0x45:
                at += then if accumulator & operand else otherwise
            case 0x06:
                return operand
            case _:
                raise AssertionError(code)


X86 = 0xC000003E
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("ptrace", (), ERRNO | 1),
        ("clone", (0x10000011,), ERRNO | 1),
        ("clone", (17,), ALLOW),
        ("clone3", (), ERRNO | 38),
        ("unshare", (0x400,), ALLOW),
        ("socket", (1, 1), ALLOW),
        ("socket", (16, 3), ERRNO | 97),
        ("socket", (40, 1), ERRNO | 97),
        ("ioctl", (0, 0x5412), ERRNO | 1),
        ("ioctl", (0, 0x5401), ALLOW),
        ("fchmodat", (0, 0, 0o4755), ERRNO | 1),
        ("fchmodat", (0, 0, 0o755), ALLOW),
        ("openat", (0, 0, 0o100, 0o6755), ERRNO | 1),
        ("openat", (0, 0, 0, 0o6755), ALLOW),
        ("mknodat", (0, 0, 0o060600), ERRNO | 1),
        ("mknodat", (0, 0, 0o010600), ALLOW),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (77,), ERRNO | 1),
        ("setsid", (), ALLOW),
    ],
)
def test_the_filter_answers(name: str, arguments: tuple[int, ...], answer: int) -> None:
    for machine, arch, column in (("x86_64", X86, 0), ("aarch64", 0xC00000B7, 1)):
        number = SYSCALLS[name][column]
        assert number is not None
        assert answers(filter_for("bubblewrap", machine), number, arguments, arch) == answer


def test_under_landlock_alone_more_is_refused() -> None:
    landlock = filter_for("landlock", "x86_64")
    assert answers(landlock, 41, (1, 1), X86) == ERRNO | 1
    assert answers(landlock, 53, (1, 2 | 0o2000000), X86) == ERRNO | 1
    assert answers(landlock, 53, (1, 1 | 0o2000000), X86) == ALLOW
    assert answers(landlock, 112, (), X86) == ERRNO | 1
    assert answers(landlock, 90, (0, 0o755), X86) == ERRNO
    assert answers(landlock, 90, (0, 0o4755), X86) == ERRNO | 1


def test_calls_of_another_architecture_end_the_program() -> None:
    x86 = filter_for("bubblewrap", "x86_64")
    assert answers(x86, 1, (), 0x40000003) == KILL
    assert answers(x86, 0x40000000 | 101, (), X86) == KILL
    assert filter_for("bubblewrap", "riscv64") == b""


@given(st.integers(min_value=0, max_value=600), st.sampled_from(["bubblewrap", "landlock"]))
def test_what_no_row_names_is_allowed(number: int, backend: str) -> None:
    named = {SYSCALLS[name][0] for row in ROWS for name in row.names if backend in row.backends}
    told = answers(filter_for(backend, "x86_64"), number, (), X86)
    assert told == ALLOW or number in named


def test_every_call_of_the_table_is_used() -> None:
    assert {name for row in ROWS for name in row.names} == set(SYSCALLS)


# --- places


def test_what_is_kept_of_a_workspace(tmp_path: Path) -> None:
    for folder in (".git", "sub/.git", ".ssh", "env", "a/b/c/d"):
        (tmp_path / folder).mkdir(parents=True)
    for name in (".env", "sub/.env.local", ".envelope", "env/pyvenv.cfg", "a/b/c/d/.env"):
        (tmp_path / name).touch()
    (tmp_path / ".env.link").symlink_to(".env")
    kept = kept_places(tmp_path)

    assert {str(Path(path).relative_to(tmp_path)) for path in kept.read_only} == {
        ".git",
        "sub/.git",
        "env",
    }
    assert {str(Path(path).relative_to(tmp_path)) for path in kept.hidden_files} == {
        ".env",
        "sub/.env.local",
    }
    assert kept.hidden_folders == (str(tmp_path / ".ssh"),)


# A program made files until `.git` and `.env` were out of sight, and the next one had both.
def test_no_number_of_files_hides_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_MAX_ENTRIES", 10)
    for number in range(50):
        (tmp_path / f"file{number}").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".env.local").touch()
    kept = kept_places(tmp_path)
    assert kept.read_only == (str(tmp_path / ".git"),)
    assert kept.hidden_files == (str(tmp_path / ".env.local"),)


def test_an_interpreter_needs_its_folders_and_not_the_home() -> None:
    places = [Path(place) for place in interpreter_places(sys.executable)]
    assert not any(Path.home().is_relative_to(place) for place in places)
    for needed in (sys.prefix, sys.base_prefix):
        assert Path(needed).is_relative_to("/usr") or any(
            Path(needed).is_relative_to(place) for place in places
        )


# --- which one is used


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A backend that is not there, or does nothing."""

    name: str
    why: str = ""

    def version(self) -> str:
        if self.why:
            raise OSError(self.why)
        return "1"

    async def run(self, program: Program) -> Finished:
        return Finished(output='{"files": false, "network": true}\n', status=0)


@pytest.fixture
def _nothing_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(choice, "BACKENDS", (Broken(name="a", why="not here"), Broken(name="b")))
    choice._choose.cache_clear()
    yield
    choice._choose.cache_clear()


@pytest.mark.usefixtures("_nothing_here")
def test_without_a_sandbox_the_tool_is_refused_and_says_what_was_tried(tmp_path: Path) -> None:
    adapter = Local(base_url="http://127.0.0.1:9")
    with pytest.raises(ConfigurationError) as caught:
        Agent("m", adapter=adapter, tools=[execute_code], workspace=tmp_path)
    text = str(caught.value)
    assert text.startswith(
        "tool 'execute_code' is not confined: nothing here can hold a program (a: not here; b 1: "
        "enforced: network; not enforced: files,"
    )
    assert "Install bubblewrap" in text
    assert text.endswith("allow_unconfined=['execute_code']")
    agent = Agent(
        "m",
        adapter=adapter,
        tools=[execute_code],
        workspace=tmp_path,
        allow_unconfined=["execute_code"],
    )
    assert agent.tools == [execute_code]


def test_the_same_reason_is_told_once() -> None:
    """bubblewrap is tried in two ways, and may be missing for both."""
    missing = "bubblewrap: bwrap is not installed"
    why = choice.Choice(sandbox=None, tried=(missing, missing, "landlock: none")).why_none
    assert why.startswith(f"nothing here can hold a program ({missing}; landlock: none). Install")
    assert "Linux 6.2 or later" in why  # as in docs/security.md, and as `LEAST_ABI` has it


def test_it_is_found_out_once_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    choice._choose.cache_clear()
    with caplog.at_level(logging.INFO, logger="agentcore.sandbox"):
        assert choose(sys.executable) is choose(sys.executable)
    assert len(caplog.records) == 1
    assert "enforced" in caplog.text


def test_strongest_first() -> None:
    assert [backend.name for backend in BACKENDS] == ["bubblewrap", "bubblewrap", "landlock"]


# The address of the probe's socket was too long, and with it nothing seemed to work at all.
def test_the_probe_works_below_a_long_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    report = report_of(Plain(), sys.executable)
    assert Protection.DAEMONS in report.enforced
    assert Protection.UNIX_SOCKETS in report.not_enforced


AS_A_USER = "import os\nos.getuid = lambda: 54321\n"


# For whoever is not root the kernel counts too, and the probe took its refusal for no limit.
@pytest.mark.skipif(sys.platform != "linux", reason="nobody counts")
def test_processes_that_the_kernel_refuses_are_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = probe._attempts()
    refusing = "def no():\n    raise BlockingIOError\n"
    monkeypatch.setattr(
        probe, "_attempts", lambda: f"{whole}\nATTEMPTS.clear()\n{refusing}\nos.fork = no\n"
    )
    assert Protection.PROCESSES in report_of(Plain(), sys.executable).enforced


# A user's other programs used up the few that were spare, and pools failed at random.
@pytest.mark.skipif(sys.platform != "linux", reason="nobody counts")
async def test_the_kernel_stops_later_than_the_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_SUPERVISOR", AS_A_USER + launch._SUPERVISOR)
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[0])"
    limits = ProgramLimits(processes=40)
    program = Program(code=code, workspace=tmp_path, python=sys.executable, limits=limits)
    assert int((await Plain().run(program)).output) >= 2 * 40


# A program that nothing confines can write what the supervisor seems to say; that raised. It also
# lived on after the supervisor that it had killed.
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is that of Linux")
async def test_a_report_that_is_none_is_no_error_of_ours(tmp_path: Path) -> None:
    code = """
import fcntl, os, time
print(os.environ["HOME"])
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
open(f"/proc/{os.getppid()}/fd/2", "w").write("\\0nonsense\\0x\\0")
os.kill(os.getppid(), 9)
time.sleep(9)
"""
    program = Program(code=code, workspace=tmp_path, python=sys.executable)
    finished = await Plain().run(program)
    assert finished.ended_by is Ending.LOST
    home = finished.output.splitlines()[0]
    assert "agentcore-" in home
    assert not Path(home).exists()  # noqa: ASYNC240 - one look
    with anyio.fail_after(5):
        while not probe._is_free(tmp_path / "lock"):  # noqa: ASYNC110 - another process has it
            await anyio.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is that of Linux")
async def test_without_proc_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = "import os.path\nos.path.exists = lambda path: not path.startswith('/proc')\n"
    monkeypatch.setattr(launch, "_SUPERVISOR", hidden + launch._SUPERVISOR)
    program = Program(code="print(1)", workspace=tmp_path, python=sys.executable)
    finished = await Plain().run(program)
    assert finished.ended_by is Ending.NOT_STARTED
    assert finished.output.startswith("/proc is not mounted")


# With 200,000 files in the workspace and a disk that others fill, it did nothing but count, and
# looked at no other limit meanwhile.
def test_files_are_not_counted_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [(1 << 40, 1 << 40), *[(0, 0)] * 3]
    monkeypatch.setattr(disk, "_free", lambda place: free.pop(0))
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    walks: list[str] = []

    def walk(place: str) -> list[tuple[str, list[str], list[str]]]:
        walks.append(place)
        clock[0] += 1.0
        return []

    monkeypatch.setattr(os, "walk", walk)
    watched = disk.Disk(a_job(), [str(tmp_path)])
    assert [watched.over([]), watched.over([])] == ["", ""]
    assert len(walks) == 1
    assert watched.at_end() == ""
    assert len(walks) == 2
