"""Programs: what they print, and that nothing of them outlives the call."""

import fcntl
from pathlib import Path

import anyio
import pytest
from pydantic import JsonValue

from agentcore.results import MAX_RESULT_BYTES
from agentcore.tools import ToolContext, ToolResult, execute_code
from agentcore.tools.code import MAX_OUTPUT_BYTES, NOTICE

FAMILY_THAT_STAYS = """
import fcntl, os, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("locked", flush=True)
os.fork()
open("ready", "w").close()
time.sleep(60)
"""
"""A parent and a child that share a lock: it is free once both are dead."""


async def execute(workspace: Path, code: str, **fields: JsonValue) -> ToolResult:
    arguments = execute_code.validate({"code": code, **fields})
    return await execute_code.run(arguments, ToolContext(workspace=workspace))


async def wait_for_all_dead(workspace: Path) -> None:
    with anyio.fail_after(1), (workspace / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await anyio.sleep(0.01)
            else:
                return


async def test_a_program_runs_in_the_workspace_and_its_output_is_read(tmp_path: Path) -> None:
    result = await execute(tmp_path, "open('made', 'w').write('é')\nprint('wrote', 'é')")

    assert result == ToolResult(content=f"wrote é\n\nexit status 0 {NOTICE}")
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise SystemExit(3)", "exit status 3"),
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
        ("import sys; print('out'); sys.exit('to stderr')", "to stderr"),
    ],
)
async def test_a_program_that_fails_says_how(tmp_path: Path, code: str, told: str) -> None:
    result = await execute(tmp_path, code)

    assert result.is_error
    assert told in result.content


async def test_the_model_is_told_that_nothing_confines_it(tmp_path: Path) -> None:
    assert "not confined" in (await execute(tmp_path, "")).content
    assert not execute_code.confined


async def test_a_long_program_is_sent_whole(tmp_path: Path) -> None:
    code = f"text = '{'x' * 300_000}'\nprint(len(text))"

    assert (await execute(tmp_path, code)).content.startswith("300000\n")


async def test_a_program_sees_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-secret")
    monkeypatch.setenv("PYTHONPATH", "/sk-secret")
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    result = await execute(tmp_path, "import os, sys; print(dict(os.environ), sys.path)")

    assert "sk-secret" not in result.content
    assert "'TZ': 'Asia/Tokyo'" in result.content


async def test_output_without_end_is_stopped(tmp_path: Path) -> None:
    result = await execute(tmp_path, "while True: print('x' * 999)")

    assert result.is_error
    assert result.content[MAX_OUTPUT_BYTES:] == (
        f"\nStopped after {MAX_OUTPUT_BYTES} bytes of output. {NOTICE}"
    )


async def test_output_up_to_the_limit_is_whole(tmp_path: Path) -> None:
    result = await execute(tmp_path, f"print('x' * {MAX_OUTPUT_BYTES}, end='')")

    assert result.content == f"{'x' * MAX_OUTPUT_BYTES}\nexit status 0 {NOTICE}"


# With its limit at that of a result, the exit status was all that made it too long.
@pytest.mark.parametrize("size", [MAX_OUTPUT_BYTES - 1, MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES + 1])
async def test_output_near_the_limit_fits_into_a_result(tmp_path: Path, size: int) -> None:
    result = await execute(tmp_path, f"print('x' * {size}, end='')")

    over = size > MAX_OUTPUT_BYTES == 30_000
    end = f"Stopped after {MAX_OUTPUT_BYTES} bytes of output." if over else "exit status 0"
    shown = "x" * min(size, MAX_OUTPUT_BYTES)
    assert result == ToolResult(content=f"{shown}\n{end} {NOTICE}", is_error=over)
    assert len(result.content.encode()) <= MAX_RESULT_BYTES


async def test_output_that_is_no_text_is_replaced(tmp_path: Path) -> None:
    result = await execute(tmp_path, "import os; os.write(1, b'a\\xffb')")

    assert result.content.startswith("a\ufffdb\n")


async def test_timeout_kills_the_program_and_its_children(tmp_path: Path) -> None:
    result = await execute(tmp_path, FAMILY_THAT_STAYS, timeout_seconds=0.7)

    assert result == ToolResult(content=f"locked\n\nStopped after 0.7 s. {NOTICE}", is_error=True)
    await wait_for_all_dead(tmp_path)


# It was told as "exit status -9" once, for its output had ended.
async def test_timeout_of_a_silent_program_is_told(tmp_path: Path) -> None:
    code = "import os, time; os.close(1); os.close(2); time.sleep(60)"

    result = await execute(tmp_path, code, timeout_seconds=0.3)

    assert result == ToolResult(content=f"\nStopped after 0.3 s. {NOTICE}", is_error=True)


async def test_a_child_left_behind_is_killed_at_the_end(tmp_path: Path) -> None:
    code = """
import fcntl, os, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
if os.fork():
    os._exit(0)
os.close(1)
os.close(2)
time.sleep(60)
"""
    with anyio.fail_after(5):
        assert (await execute(tmp_path, code)).content == f"\nexit status 0 {NOTICE}"

    await wait_for_all_dead(tmp_path)


# The result came when the child let go of the pipe, or as a timeout.
async def test_a_child_that_keeps_the_output_open_does_not_delay_the_result(
    tmp_path: Path,
) -> None:
    code = """
import fcntl, os, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("parent", flush=True)
if os.fork():
    os._exit(3)
time.sleep(60)
"""
    with anyio.fail_after(5):
        assert await execute(tmp_path, code) == ToolResult(
            content=f"parent\n\nexit status 3 {NOTICE}", is_error=True
        )

    await wait_for_all_dead(tmp_path)


async def test_cancelling_kills_the_program_and_its_children(tmp_path: Path) -> None:
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(execute, tmp_path, FAMILY_THAT_STAYS)
            while not (tmp_path / "ready").exists():  # noqa: ASYNC110 - another process makes it
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    await wait_for_all_dead(tmp_path)


async def test_a_program_may_import_what_lies_in_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "written.py").write_text("ANSWER = 42\n")
    result = await execute(tmp_path, "import written; print(written.ANSWER)")
    assert result.content == f"42\n\nexit status 0 {NOTICE}"
