"""The commands, as a person meets them."""

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import typer.main
from rich.console import Console

from agentcore.cli.app import COMMANDS, load_command
from agentcore.cli.demo import long_text, run_demo
from agentcore.cli.display import print_answer
from agentcore.testing import Gateway, Reset, ScriptedModel, stream
from agentcore.testing.recording import load_recording

NARROW = {"COLUMNS": "300", "PATH": "/usr/bin:/bin", "NO_COLOR": "1"}


def run_cli(
    *arguments: str, typed: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agentcore.cli", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        env={**NARROW, **environment},
        check=False,
    )


def command(name: str, url: str, workspace: Path) -> list[str]:
    """`run` or `record` against a local endpoint, in a folder that is made for it."""
    workspace.mkdir(exist_ok=True)
    return [name, "--model", "local:m", "--base-url", url, "--workspace", str(workspace)]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_all_says_of_a_command_what_it_says_of_itself(name: str) -> None:
    said = typer.main.get_command(load_command(name)).help or ""
    assert " ".join(said.partition("\n\n")[0].split()) == COMMANDS[name]


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """`agentcore gateway` as a process: its address, and what gives its next line."""
    with subprocess.Popen(
        [sys.executable, "-m", "agentcore.cli", "gateway", "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=NARROW,
    ) as process:
        assert process.stdout is not None
        told = process.stdout.readline() + process.stdout.readline()
        try:
            yield re.findall(r"http://\S+/v1", told)[0], process.stdout.readline
        finally:
            process.terminate()


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
            "--tool rm: there is no such tool (there are: write_file, read_file, "
            "edit_file, list_files, search_files, execute_code)",
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


@pytest.mark.parametrize(
    ("typed", "told", "written"),
    [
        ("y\n", "plan.md: 60 lines on disk now", True),
        ("n\n" * 2, "Not run: the user denied this call of write_file.", False),
        ("use notes.md\n" * 2, "denied this call of write_file: use notes.md", False),
        ("", "denied this call of write_file: nobody is there to answer", False),
    ],
    ids=["yes", "no", "instead", "nobody"],
)
def test_a_person_may_be_asked_before_a_call(
    tmp_path: Path, typed: str, told: str, written: bool
) -> None:
    with serving("--lines", "60") as (url, _):
        line = [*command("run", url, tmp_path), "--ask", "write_file", "Write plan.md."]
        ran = run_cli(*line, typed=typed)
    assert told in " ".join(ran.stderr.split())
    assert "content: 60 lines, " in ran.stderr
    assert (tmp_path / "plan.md").exists() is written
    assert ran.returncode == (0 if written else 1)


def test_an_answer_goes_into_a_pipe_as_it_is_and_into_a_terminal_without_control() -> None:
    """It was wrapped at 80 columns in a pipe."""
    answer = f"{'word ' * 60}\n\x1b[2J[bold]a\u200db[/bold]"
    for is_terminal in (False, True):
        out = io.StringIO()
        print_answer(answer, Console(file=out, width=80, force_terminal=is_terminal))
        shown = answer.replace("\x1b", r"\x1b") if is_terminal else answer
        assert out.getvalue() == f"{shown}\n"


def test_a_recorded_run_is_played_back(tmp_path: Path) -> None:
    file, key = tmp_path / "an exchange.jsonl", "ak-0123456789"
    work = [tmp_path / name for name in ("recorded", "first", "second")]
    with serving("--lines", "400", "--life-limit", "0.4") as (url, _):
        recorded = run_cli(
            *command("record", url, work[0]), f"Write plan.md with {key}.", "--to", str(file),
            LOCAL_API_KEY=key,
        )  # fmt: skip
    assert recorded.returncode == 0, recorded.stderr
    assert recorded.stdout == "plan.md is written: 400 lines.\n"
    last = recorded.stderr.splitlines()[-1]
    count = int(re.findall(r"^recorded (\d+) exchanges, \d+ KB, to ", last)[0])
    assert last.endswith(f", to {file}; play it back with: agentcore gateway --play '{file}'")
    assert key not in file.read_text()
    assert f"Write plan.md with {'*' * len(key)}." in file.read_text()

    with serving("--play", str(file), "--speed", "20") as (url, next_line):
        for folder in work[1:]:
            ran = run_cli(*command("run", url, folder), "As before")
            assert (ran.returncode, ran.stdout) == (0, recorded.stdout), ran.stderr
            assert (folder / "plan.md").read_text() == long_text(400)
            assert "connection after" in ran.stderr
        assert [next_line().partition(",")[0] for _ in range(2 * count)] == [
            f"reply {number} of {count}: status 200" for number in range(1, count + 1)
        ] * 2


def test_the_gateway_shows_the_probe_what_it_is_to_find() -> None:
    options = ("--lines", "40", "--pace", "0.02", "--hold-back", "--idle-limit", "0.4")
    with serving(*options) as (_, next_line):
        environment, _, *told = next_line().split()
        name, _, key = environment.partition("=")
        ran = run_cli(*told, "--json", **{name: key})
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)["observations"]
    assert {(one["switched"], one["ending"], one["lines_received"]) for one in seen} == {
        (True, "finished", 40),
        (False, "error in the stream", 0),
    }


def test_the_gateways_model_ends_at_the_cap_of_the_request() -> None:
    with serving("--lines", "400", "--life-limit", "0") as (url, next_line):
        assert next_line() == f"  agentcore probe local:scripted --base-url {url} --yes\n"
        probed = ("probe", "local:scripted", "--base-url", url, "--yes", "--json")
        ran = run_cli(*probed, "--sizes", "1,1500")
    capped, *_ = json.loads(ran.stdout)["observations"]
    assert (capped["finish_reason"], capped["cap"]) == ("length", 2_020)
    assert capped["usage"]["output_tokens"] == 2_020
    assert not capped["arguments_closed"]


def test_a_recording_that_is_killed_is_kept_so_far(tmp_path: Path) -> None:
    file = tmp_path / "exchange.jsonl"
    with serving("--life-limit", "0", "--pace", "0.02") as (url, _):
        arguments = [*command("record", url, tmp_path / "work"), "Go on.", "--to", str(file)]
        with subprocess.Popen(
            [sys.executable, "-m", "agentcore.cli", *arguments], env=NARROW, stderr=subprocess.PIPE
        ) as process:
            until = time.monotonic() + 20
            while not file.exists() or file.read_bytes().count(b"\n") < 10:
                assert time.monotonic() < until
                time.sleep(0.02)
            process.kill()
    (reply,) = load_recording(file)
    assert reply.body.count(b"data: ") >= 7
    assert reply.steps[-1] == Reset()


def test_a_run_that_stops_is_recorded_too_and_not_over_another(tmp_path: Path) -> None:
    file = tmp_path / "exchange.jsonl"
    options = [*command("record", "http://127.0.0.1:9/v1", tmp_path), "x", "--to", str(file)]
    ran = run_cli(*options)
    assert ran.returncode == 1
    assert "The run stopped: 3 attempts without progress." in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("recorded 3 exchanges, ")

    before = file.read_bytes()
    refused = run_cli(*options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: recording {file}: the file exists; choose another")
    # What fails before the first request replaces nothing.
    assert run_cli(*options, "--force", "--tool", "rm").returncode == 2
    assert file.read_bytes() == before
    # Two recordings of the same refusals may be equal to the byte: the file's time tells.
    written_at = file.stat().st_mtime_ns
    assert run_cli(*options, "--force").returncode == 1
    assert file.stat().st_mtime_ns > written_at


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"format": "agentcore-recording", "version": 1}\n', "no exchange in this recording"),
        ('{"format": "agentcore-recording", "version": 7}\n', "line 1: version 7 of the format"),
        ("a log\n", "line 1: "),
    ],
)
def test_a_file_that_cannot_be_played_is_told(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "exchange.jsonl"
    file.write_text(content)
    ran = run_cli("gateway", "--play", str(file), "--port", "0")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: {file}")
    assert says in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


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
