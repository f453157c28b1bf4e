"""The commands, as a person meets them."""

import io
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from rich.console import Console

from agentcore.cli.demo import long_text, run_demo
from agentcore.testing import Gateway, ScriptedModel, stream

NARROW = {"COLUMNS": "300", "PATH": "/usr/bin:/bin", "NO_COLOR": "1"}


def run_cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agentcore.cli", *arguments],
        capture_output=True,
        text=True,
        env={**NARROW, **environment},
        check=False,
    )


async def test_the_demo_ends_as_it_must() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=100)
    assert await run_demo(console, lines=300)
    shown = screen.getvalue()
    assert "Every scene ended as it must." in shown
    assert "The run stopped: 3 cuts in a row in write_file" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("run", "x", "--model", "openrouter:anthropic/claude-opus-4.6"),
            "no key for openrouter: set the environment variable OPENROUTER_API_KEY",
        ),
        (("run", "x", "--model", "nobody:gpt"), "there is no provider 'nobody'"),
        (("run", "x", "--model", "local:m"), "Local(base_url=''): give the address"),
        (
            (
                "run",
                "x",
                "--model",
                "local:m",
                "--base-url",
                "http://127.0.0.1:9/v1",
                "--tool",
                "rm",
            ),
            "--tool rm: there is no such tool (there are: write_file, read_file, execute_code)",
        ),
        (
            ("run", "x", "--model", "openai:m", "--tool", "execute_code"),
            "allow it by name",
        ),
        (("run", "x", "--model", "openai:m", "--workspace", "no/such"), "workspace 'no/such'"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(arguments: tuple[str, ...], says: str) -> None:
    ran = run_cli(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_a_connection_that_is_refused_stops_with_a_text_for_the_person(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/v1"
    ran = run_cli("run", "x", "--model", "local:m", "--base-url", url, "--workspace", str(tmp_path))
    assert ran.returncode == 1
    assert "The run stopped: 3 attempts without progress." in ran.stderr
    assert "What you can do:" in ran.stderr


async def test_run_writes_a_file_through_a_gateway_that_drops(tmp_path: Path) -> None:
    text = long_text(400)
    model = ScriptedModel(path="plan.md", text=text)
    async with Gateway(
        respond=lambda request: stream(model(request.body), piece=64, pace=0.002),
        life_limit=0.4,
    ) as gateway:
        ran = await anyio.to_thread.run_sync(
            lambda: run_cli(
                "run", "Write plan.md", "--model", "local:scripted",
                "--base-url", gateway.base_url, "--workspace", str(tmp_path),
            )
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "plan.md").read_text() == text
    assert "plan.md is written: 400 lines." in ran.stdout
    assert "guidance (sections)" in ran.stderr


def test_without_the_extra_the_one_line_that_installs_it_is_printed() -> None:
    program = (
        "import sys; sys.modules['typer'] = None\n"
        "from agentcore.cli import main; sys.argv = ['agentcore', 'demo']; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr == 'The command line needs an extra: pip install "agentcore-loop[cli]"\n'
