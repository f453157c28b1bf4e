"""What importing loads: only what it needs, and each package's late names are the ones promised."""

import ast
import importlib
import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import agentcore
from agentcore.late import late_names

README = Path(__file__).parent.parent / "README.md"
LATE_PACKAGES = ["agentcore", "agentcore.guidance", "agentcore.tools"]

# Each costs from 1 ms (difflib) to 500 (openai), and a program may never need it.
HEAVY = frozenset(
    {
        "agentcore.tools.sandbox",
        "aiohttp",
        "asyncio",
        "ctypes",
        "difflib",
        "docstring_parser",
        "h11",
        "httpx2",
        "hypothesis",
        "jinja2",
        "openai",
        "regex",
        "rich",
        "ssl",
        "trio",
        "typer",
    }
)
# Prints, for each module that is loaded, who asked for it first: a name that is followed upwards
# shows the import that is to be moved.
PROGRAM = """
import builtins, json, sys

importers, plain_import = {}, builtins.__import__


def noted_import(name, globals=None, locals=None, fromlist=(), level=0):
    before = set(sys.modules)
    try:
        return plain_import(name, globals, locals, fromlist, level)
    finally:
        by = (globals or {}).get("__name__", "?")
        for new in set(sys.modules) - before:
            importers.setdefault(new, by)


builtins.__import__ = noted_import
exec(sys.argv[1], {"__name__": "the program"})
print(json.dumps({name: importers.get(name, "?") for name in sys.modules}))
"""

COMMAND_LINE = """
import sys
from agentcore.cli import main
sys.argv = {}
try:
    main()
except SystemExit:
    pass
"""


def loaded_by(program: str) -> dict[str, str]:
    """Module → the module whose import statement loaded it."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    importers: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
    return importers


def heavy_of(program: str) -> list[str]:
    return [
        f"{name}, imported by {importer}"
        for name, importer in loaded_by(program).items()
        if name in HEAVY
    ]


def imports_of_readme() -> list[str]:
    """The import lines of each of its Python programs."""
    programs = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    return [
        "\n".join(
            ast.unparse(line)
            for line in ast.parse(program).body
            if isinstance(line, (ast.Import, ast.ImportFrom))
        )
        for program in programs
    ]


@pytest.mark.parametrize(
    "program",
    [
        "import agentcore",
        *imports_of_readme(),
        "from agentcore import Agent, classify",
        "from agentcore.tools import BUILTIN_TOOLS, execute_code",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(program: str) -> None:
    assert heavy_of(program) == []


@pytest.mark.parametrize("program", ["from agentcore import RunResult", "from agentcore import *"])
def test_the_loop_itself_loads_nothing_heavy_but_tls(program: str) -> None:
    assert [one for one in heavy_of(program) if not one.startswith("ssl, ")] == []


def test_an_agent_with_tools_of_its_own_is_made_without_anything_heavy(tmp_path: Path) -> None:
    program = f"""
from agentcore import Agent, Local, tool
from agentcore.tools import file_tools

@tool
def look_up(name: str) -> str:
    "Look a name up."
    return name

Agent("m", adapter=Local(base_url="http://127.0.0.1/v1"), workspace={str(tmp_path)!r},
      tools=[*file_tools(), look_up])
"""
    assert heavy_of(program) == []


def test_importing_the_package_alone_loads_none_of_its_parts() -> None:
    ours = {name for name in loaded_by("import agentcore") if name.startswith("agentcore")}
    assert ours == {"agentcore", "agentcore.late"}


def test_a_tool_of_ones_own_is_made_without_those_of_the_package() -> None:
    program = "from agentcore import tool\n@tool\ndef now() -> str:\n    'Now.'\n    return ''"
    others = ("agentcore.tools.files", "agentcore.tools.code", "agentcore.agent")
    assert [name for name in loaded_by(program) if name.startswith(others)] == []


def test_the_importer_of_what_is_heavy_is_named() -> None:
    assert "jinja2, imported by agentcore.guidance.templates" in heavy_of(
        "from agentcore.guidance import Templates, TimedOutGuidance\n"
        "Templates().render(TimedOutGuidance(tool='t', seconds=1.0, still_running=False))"
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["no-such-command"]])
def test_the_help_of_all_commands_and_the_version_load_none_of_them(arguments: list[str]) -> None:
    loaded = loaded_by(COMMAND_LINE.format(["agentcore", *arguments]))
    assert sorted(name for name in loaded if name.startswith("agentcore")) == [
        "agentcore",
        "agentcore.cli",
        "agentcore.cli.app",
        "agentcore.late",
    ]
    # Typer itself loads pydantic where it finds it.
    assert not loaded.keys() & {"anyio", "openai", "httpx2", "h11"}


@pytest.mark.parametrize("arguments", [["explain", "429"], ["drafts"], ["runs"], ["guidance"]])
def test_a_command_that_asks_nobody_loads_no_sdk(arguments: list[str]) -> None:
    loaded = loaded_by(COMMAND_LINE.format(["agentcore", *arguments]))
    assert not loaded.keys() & {"openai", "httpx2", "h11", "agentcore.testing", "agentcore.run"}


@pytest.mark.parametrize("package", LATE_PACKAGES)
def test_the_table_of_late_names_is_that_of_the_imports_for_type_checkers(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    (block,) = (
        node
        for node in ast.parse(Path(module.__file__).read_text()).body
        if isinstance(node, ast.If)
    )
    for_type_checkers = {
        line.module: [name.name for name in line.names]
        for line in block.body
        if isinstance(line, ast.ImportFrom)
    }
    (assigned,) = (line for line in block.orelse if isinstance(line, ast.Assign))
    assert isinstance(assigned.value, ast.Call)
    table = ast.literal_eval(assigned.value.args[1])
    assert {home: names.split() for home, names in table.items()} == for_type_checkers
    assert sorted(module.__all__) == sorted(chain(*for_type_checkers.values()))


@pytest.mark.parametrize("package", LATE_PACKAGES)
def test_late_names_are_listed_and_there_is_no_other(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))
    assert dir(module) == sorted(dir(module))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Agnet'"):
        _ = module.Agnet


def test_a_late_name_is_looked_up_once() -> None:
    program = """
import agentcore
assert "Policy" not in vars(agentcore)
first = agentcore.Policy
assert vars(agentcore)["Policy"] is first is agentcore.Policy
from agentcore.retry import Policy
assert Policy is first
"""
    loaded_by(program)


def test_modules_of_the_package_are_attributes_as_after_their_import() -> None:
    loaded_by("import agentcore; agentcore.tools.file_tools; agentcore.tools.base.tool")
    assert agentcore.retry.Policy is agentcore.Policy
    load, names = late_names("agentcore", {"agentcore.retry": "Backoff Policy"})
    assert {"Backoff", "Policy"} <= set(names())
    with pytest.raises(AttributeError):
        load("ret")
    with pytest.raises(AttributeError):
        load("cli")
