"""Programs: what they print, how they end, and that nothing of them outlives the call."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from pydantic import JsonValue

from agentcore.results import MAX_RESULT_BYTES
from agentcore.tools import Tool, ToolContext, ToolResult, execute_code
from agentcore.tools.code import code_tool
from agentcore.tools.programs import NOTICE
from agentcore.tools.sandbox import (
    Ending,
    Finished,
    Program,
    ProgramLimits,
    Protection,
    SandboxReport,
)
from tests.tools.attacks import sandboxes

SHOWN = ProgramLimits().shown_bytes
FAMILY_THAT_STAYS = """
import fcntl, os, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("locked")
os.fork()
open("ready", "w").close()
time.sleep(60)
"""
"""A parent and a child that share a lock: it is free once both are dead."""


@pytest.fixture(params=["bubblewrap", "landlock", "plain"])
def tool(request: pytest.FixtureRequest) -> Tool:
    """In each sandbox that this machine has."""
    sandbox = sandboxes().get(request.param)
    if sandbox is None:
        pytest.skip(f"no {request.param} here")
    return code_tool(sandbox=sandbox)


def again(workspace: Path) -> ToolContext:
    """A context as of the second call of a run: what the sandbox does is told already."""
    notes = {"execute_code/told": "before"}
    return ToolContext(workspace=workspace, notes=notes, unconfined_allowed=True)


async def call(tool: Tool, workspace: Path, code: str, **fields: JsonValue) -> ToolResult:
    result = await tool.run(tool.validate({"code": code, **fields}), again(workspace))
    return replace(result, content=result.content.removesuffix(f" {NOTICE}"))


def is_free(workspace: Path) -> bool:
    with (workspace / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


async def test_a_program_runs_in_the_workspace_and_its_output_is_read(
    tool: Tool, tmp_path: Path
) -> None:
    result = await call(tool, tmp_path, "open('made', 'w').write('é')\nprint('wrote', 'é')")

    assert result == ToolResult(content="wrote é\n\nexit status 0")
    assert (tmp_path / "made").read_text() == "é"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise SystemExit(3)", "exit status 3"),
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
        ("import sys; print('out'); sys.exit('to stderr')", "out\nto stderr"),
        ("print('\\ud800')", "UnicodeEncodeError"),
    ],
)
async def test_a_program_that_fails_says_how(
    tool: Tool, tmp_path: Path, code: str, told: str
) -> None:
    result = await call(tool, tmp_path, code)

    assert result.is_error
    assert told in result.content


async def test_a_long_program_is_sent_whole(tool: Tool, tmp_path: Path) -> None:
    code = f"text = '{'x' * 3_000_000}'\nprint(len(text))"

    assert (await call(tool, tmp_path, code)).content.startswith("3000000\n")


async def test_a_program_sees_no_key(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-secret")
    monkeypatch.setenv("PYTHONPATH", "/sk-secret")
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    result = await call(tool, tmp_path, "import os, sys; print(dict(os.environ), sys.path)")

    assert "sk-secret" not in result.content
    assert "'TZ': 'Asia/Tokyo'" in result.content


async def test_its_home_and_its_temporary_folder_are_its_own_and_go_with_it(
    tool: Tool, tmp_path: Path
) -> None:
    code = """
import os, tempfile
assert os.environ["HOME"] == tempfile.gettempdir()
print(tempfile.mkstemp(prefix="left")[1])
"""
    left = (await call(tool, tmp_path, code)).content.splitlines()[0]

    assert "left" in left
    assert not Path(left).exists()  # noqa: ASYNC240 - one look


async def test_a_program_may_use_what_programs_use(tool: Tool, tmp_path: Path) -> None:
    code = """
import os, pwd, shutil, subprocess, sys, threading
threading.Thread(target=print, args=("thread",)).start()
print(subprocess.run("echo shell; cat", shell=True, input=b"piped", capture_output=True).stdout)
print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True).stdout)
open("a", "w").write("text")
shutil.copy2("a", "b")
shutil.copytree(".", "deep/er", ignore=lambda *_: ["deep"])
os.replace("b", "c")
os.symlink("c", "d")
print(open("d").read(), os.cpu_count() > 0)
shutil.rmtree("deep")
"""
    result = await call(tool, tmp_path, code)

    assert result.content == "thread\nb'shell\\npiped'\nb'42\\n'\ntext True\n\nexit status 0"


async def test_a_program_may_import_what_lies_in_the_workspace(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "written.py").write_text("ANSWER = 42\n")

    result = await call(tool, tmp_path, "import written, pydantic; print(written.ANSWER)")

    assert result.content == "42\n\nexit status 0"
    assert not (tmp_path / "__pycache__").exists()


async def test_of_a_long_output_beginning_and_end_are_shown(tool: Tool, tmp_path: Path) -> None:
    result = await call(tool, tmp_path, "for n in range(99_999): print(f'row {n:5}')")

    assert result.content.startswith("row     0\nrow     1\n")
    assert result.content.endswith("row 99997\nrow 99998\n\nexit status 0")
    assert f"[… {99_999 * 10 - SHOWN} bytes left out …]" in result.content


# With its limit at that of a result, the exit status was all that made it too long.
@pytest.mark.parametrize("size", [SHOWN - 1, SHOWN, SHOWN + 1])
async def test_output_near_the_limit_fits_into_a_result(tmp_path: Path, size: int) -> None:
    result = await call(execute_code, tmp_path, f"print('x' * {size}, end='')")

    whole = result.content == f"{'x' * size}\nexit status 0"
    assert whole is (size <= SHOWN)
    assert len(result.content.encode()) <= MAX_RESULT_BYTES


async def test_output_without_end_is_stopped(tool: Tool, tmp_path: Path) -> None:
    result = await call(tool, tmp_path, "import os\nwhile True: os.write(1, b'x' * 65_536)")

    assert result.is_error
    assert result.content.startswith("xxx")
    assert "\nStopped by output_bytes: it printed more than 16777216 bytes." in result.content
    assert len(result.content.encode()) <= MAX_RESULT_BYTES


async def test_output_that_is_no_text_is_replaced(tool: Tool, tmp_path: Path) -> None:
    result = await call(tool, tmp_path, "import os; os.write(1, b'a\\xffb')")

    assert result.content.startswith("a\ufffdb\n")


async def test_timeout_kills_the_program_and_tells_what_it_printed(
    tool: Tool, tmp_path: Path
) -> None:
    result = await call(tool, tmp_path, FAMILY_THAT_STAYS, timeout_seconds=3)

    assert result == ToolResult(
        content="locked\n\nStopped by wall_seconds: it ran for 3 s. Ask for more with "
        "timeout_seconds, at most 600, or do less in one call. What it had written is on disk.",
        is_error=True,
    )
    assert is_free(tmp_path)


# The kernel was first, and it was told as "exit status -9".
async def test_processor_time_is_told(tmp_path: Path) -> None:
    tool = code_tool(sandbox=sandboxes()["plain"], limits=ProgramLimits(cpu_seconds=1))
    result = await call(tool, tmp_path, "while True: pass")
    assert "Stopped by cpu_seconds: it used 1 s" in result.content


async def test_more_time_is_not_offered_where_there_is_none(tmp_path: Path) -> None:
    """A model that was told to ask for more, at most what it had had, asked again."""
    small = code_tool(limits=ProgramLimits(wall_seconds=0.3))

    result = await call(small, tmp_path, "import time; time.sleep(60)")

    assert "Stopped by wall_seconds: it ran for 0.3 s. It is the most: do less" in result.content
    assert "timeout_seconds" not in result.content


# It was told as "exit status -9" once, for its output had ended.
async def test_timeout_of_a_silent_program_is_told(tool: Tool, tmp_path: Path) -> None:
    code = "import os, time; os.close(1); os.close(2); time.sleep(60)"

    result = await call(tool, tmp_path, code, timeout_seconds=0.3)

    assert result.is_error
    assert result.content.startswith("\nStopped by wall_seconds: it ran for 0.3 s.")


# The result came when the child let go of the pipe, or as a timeout.
@pytest.mark.parametrize("closes", [True, False])
async def test_a_child_left_behind_is_killed_and_does_not_delay_the_result(
    tool: Tool, tmp_path: Path, closes: bool
) -> None:
    code = f"""
import fcntl, os, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("parent")
if os.fork():
    os._exit(3)
if {closes}:
    os.close(1)
    os.close(2)
time.sleep(60)
"""
    with anyio.fail_after(15):
        result = await call(tool, tmp_path, code)

    assert result == ToolResult(content="parent\n\nexit status 3", is_error=True)
    assert is_free(tmp_path)


async def test_cancelling_kills_the_program_and_its_children(tool: Tool, tmp_path: Path) -> None:
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, tool, tmp_path, FAMILY_THAT_STAYS)
            while not (tmp_path / "ready").exists():  # noqa: ASYNC110 - another process makes it
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    assert is_free(tmp_path)


AGENT = """
import sys, anyio
from pathlib import Path
from agentcore.tools.code import code_tool
from tests.tools.attacks import sandboxes
from tests.tools.test_code import FAMILY_THAT_STAYS, call
tool = code_tool(sandbox=sandboxes()[sys.argv[1]])
anyio.run(call, tool, Path(sys.argv[2]), FAMILY_THAT_STAYS)
"""


@pytest.mark.parametrize("name", ["bubblewrap", "landlock", "plain"])
def test_the_program_dies_with_an_agent_that_is_killed(name: str, tmp_path: Path) -> None:
    if name not in sandboxes():
        pytest.skip(f"no {name} here")
    root = Path(__file__).parent.parent.parent
    agent = subprocess.Popen([sys.executable, "-c", AGENT, name, tmp_path], cwd=root)
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not is_free(tmp_path)

    os.kill(agent.pid, signal.SIGKILL)
    agent.wait()

    while not is_free(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- what the model and the user are told


async def test_the_first_result_of_a_run_says_what_is_enforced(tmp_path: Path) -> None:
    tool = code_tool(sandbox=Pretended())
    context = ToolContext(workspace=tmp_path)
    first, second = [await tool.run(tool.validate({"code": ""}), context) for _ in range(2)]

    report = "made-up 1: enforced: files, network, environment; not enforced: daemons"
    assert first.content == f"it ran\nexit status 0\nSandbox: {report}."
    assert second.content == "it ran\nexit status 0"


class Pretended:
    """A sandbox of a user."""

    def __init__(self, *protections: Protection) -> None:
        self.ran: list[Program] = []
        usual = (Protection.FILES, Protection.NETWORK, Protection.ENVIRONMENT)
        self.report = SandboxReport(
            backend="made-up",
            version="1",
            enforced=protections or usual,
            not_enforced=(Protection.DAEMONS,),
        )
        self.finished = Finished(output="it ran", status=0)

    async def run(self, program: Program) -> Finished:
        self.ran.append(program)
        return self.finished


async def test_what_nothing_confines_is_not_run_unless_it_is_allowed(tmp_path: Path) -> None:
    sandbox = Pretended(Protection.FILES)
    tool = code_tool(sandbox=sandbox)
    arguments = tool.validate({"code": ""})
    result = await tool.run(arguments, ToolContext(workspace=tmp_path))

    why = "its sandbox is made-up 1: enforced: files; not enforced: daemons"
    assert tool.why_unconfined == why
    assert result == ToolResult(content=f"Nothing was run: {why}.", is_error=True)
    assert not sandbox.ran
    allowed = await tool.run(arguments, again(tmp_path))
    assert allowed.content == f"it ran\nexit status 0 {NOTICE}"


async def test_a_call_cannot_ask_for_more_than_the_limits(tmp_path: Path) -> None:
    sandbox = Pretended()
    tool = code_tool(sandbox=sandbox, limits=ProgramLimits(wall_seconds=5), python="/py")
    for seconds in (1.0, 60.0):
        await tool.run(tool.validate({"code": "x", "timeout_seconds": seconds}), again(tmp_path))
    assert [program.limits.wall_seconds for program in sandbox.ran] == [1.0, 5]
    assert {program.python for program in sandbox.ran} == {"/py"}


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending])
async def test_each_ending_is_named(tmp_path: Path, ending: Ending) -> None:
    sandbox = Pretended()
    sandbox.finished = Finished(output="so far", status=None, ended_by=ending)
    result = await call(code_tool(sandbox=sandbox), tmp_path, "")

    assert result.is_error
    assert result.content.startswith("so far\n")
    named = "Nothing was run" if ending is Ending.NOT_STARTED else f"Stopped by {ending}: it"
    assert (named in result.content) or ending is Ending.LOST
    assert "{" not in result.content
