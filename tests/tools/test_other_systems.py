"""Windows and macOS, as far as Linux can play them: what they lack is taken away first."""

import subprocess
import sys
from pathlib import Path

import pytest

from agentcore.tools.sandbox import Program, launch
from agentcore.tools.sandbox.landlock import Landlock
from agentcore.tools.sandbox.plain import Plain

WINDOWS = """
import anyio, asyncio, ctypes, importlib.abc, multiprocessing, os, sys, tempfile
import anyio._backends._asyncio, openai, pydantic, subprocess
LACKING = {"fcntl", "resource", "pwd", "grp", "termios"}
class Lacking(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in LACKING:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Lacking())
for name in LACKING:
    sys.modules.pop(name, None)
for name in "fork setsid getuid statvfs sysconf waitid wait4 memfd_create fchown".split():
    delattr(os, name)
def no_library(*_, **__):
    raise TypeError("no handle")
ctypes.CDLL = no_library
sys.platform = "win32"
"""
MAC = """
import builtins, ctypes, os, signal, sys
sys.platform = "darwin"
for name in ("waitid", "memfd_create"):
    delattr(os, name)
def outside_of_proc(call):
    def checked(path, *rest, **more):
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return call(path, *rest, **more)
    return checked
builtins.open, os.listdir, os.stat = map(outside_of_proc, (open, os.listdir, os.stat))
ctypes.CDLL = None
"""


def told_on_windows(code: str, folder: Path) -> str:
    command = [sys.executable, "-c", WINDOWS + code]
    found = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


# `import fcntl` of the probe kept the whole package from being imported.
def test_on_windows_the_package_is_imported_and_nothing_confines_programs(tmp_path: Path) -> None:
    code = """
from pathlib import Path
import agentcore.cli, agentcore.testing
from agentcore import *
from agentcore.tools import execute_code
from agentcore.tools import ToolContext, execute_code, read_file, write_file

def told(tool, **fields):
    context = ToolContext(workspace=Path.cwd(), unconfined_allowed=True)
    return anyio.run(tool.run, tool.validate(fields), context).content

print(execute_code.why_unconfined)
print(told(execute_code, code="print(1)"))
told(write_file, path="a/b", mode="create", content="kept\\n")
print(told(read_file, path="a/b"))
"""
    why, result, *read = told_on_windows(code, tmp_path).splitlines()
    assert why.startswith("nothing here can hold a program (bubblewrap: ")
    assert "landlock: 'win32' has no Landlock" in why
    assert result == "Nothing was run: programs cannot be supervised on 'win32': it has no fork."
    assert any("kept" in line for line in read)


# `os.waitid` came to macOS with Python 3.13; before, each program was "lost".
async def test_on_macos_plain_runs_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_SUPERVISOR", MAC + launch._SUPERVISOR)
    program = Program(
        code="import os\nif os.fork(): print('ran')", workspace=tmp_path, python=sys.executable
    )
    finished = await Plain().run(program)
    assert finished.output.startswith("ran\n")
    assert finished.status == 0


def test_numbers_of_system_calls_are_used_on_linux_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(OSError, match="'darwin' has no Landlock"):
        Landlock().version()
