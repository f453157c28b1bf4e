"""`agentcore runs`, `show`, `resume`, `cancel` and `run --run-id`, as a person meets them."""

import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from agentcore import Agent, Local
from agentcore.cli.app import app
from agentcore.cli.demo import long_text
from agentcore.cli.rows import RowWriter, arriving_line
from agentcore.cli.runs import table
from agentcore.handle import Arriving, info_of
from agentcore.journal import (
    AttemptEnded,
    CallBegun,
    CallEnded,
    EndpointGivenUp,
    NewRun,
    Noted,
    NotesTaken,
    Record,
    RunEnded,
    RunResumed,
    SqliteStore,
    TurnEnded,
)
from agentcore.kinds import CutCause, ErrorKind
from agentcore.ledger import AttemptRecord, Unfinished
from agentcore.messages import AssistantMessage, ToolCall, UserMessage
from agentcore.testing import Answer, Gateway, ScriptedModel, stream
from agentcore.tools import read_file, write_file

NOON = datetime(2026, 3, 1, 12).timestamp()
NARROW = 80
KNOWN = ("--model", "local:m", "--base-url", "http://127.0.0.1:9/v1")
HOSTILE = "\x1b]0;owned\x07\n[bold]\u202eplan\x9b2J"
ENVIRONMENT = {"COLUMNS": "300", "PATH": "/usr/bin:/bin", "NO_COLOR": "1"}


def cli(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def in_(workspace: Path) -> list[str]:
    return ["--workspace", str(workspace)]


def said(result: Result) -> str:
    """What was told on the side, in one line: boxes and their line ends are the terminal's."""
    return re.sub(r"[│\s]+", " ", result.stderr)


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agentcore.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def journal_in(workspace: Path) -> Iterator[SqliteStore]:
    """The journal of a workspace, in which every row is written at noon."""
    store = SqliteStore(workspace / ".agentcore" / "runs.db", clock=lambda: NOON)
    yield store
    store.close()


def enter(store: SqliteStore, run_id: str, *rows: Record, prompt: str = "Write plan.md.") -> None:
    """A run with these rows, which nobody drives; its end is the last of them, if it has one."""
    store.submit(
        NewRun(
            id=run_id,
            opening=(UserMessage(content=prompt),),
            model="openrouter:anthropic/claude-opus-4.6",
            base_url="https://openrouter.ai/api/v1",
            tools=("write_file",),
        )
    )
    last = rows[-1] if rows else None
    epoch = store.claim(run_id).epoch
    status = last.status if isinstance(last, RunEnded) else None
    store.append(run_id, epoch, rows, status=status)
    store.release(run_id, epoch)


def done(text: str = "Done.") -> RunEnded:
    return RunEnded(status="done", text=text)


# --- the list -------------------------------------------------------------------------------


def test_no_runs(tmp_path: Path) -> None:
    """Where they would be is told: it may be the wrong folder."""
    told = f"no runs in sqlite:///{tmp_path / '.agentcore' / 'runs.db'}\n"
    for arguments, before in ((["runs"], ""), (["runs", "check"], "ok: ")):
        result = cli(*arguments, *in_(tmp_path))
        assert (result.exit_code, result.stdout, result.stderr) == (0, before + told, "")
    assert list(tmp_path.iterdir()) == []


def test_the_list_says_how_each_run_stands(tmp_path: Path) -> None:
    with journal_in(tmp_path) as store, journal_in(tmp_path) as driving:
        enter(store, "a", done())
        enter(store, "b", RunEnded(status="failed", text="No key."))
        enter(store, "c", RunEnded(status="cancelled", text=""), prompt="Two\n\nlines")
        enter(store, "plan-42", *[NotesTaken(through=0)] * 1_200, prompt="long " * 100)
        enter(store, "z")
        driving.claim("z")
        listed = cli("runs", *in_(tmp_path))
        # The option may stand before the command too.
        checked = cli("runs", *in_(tmp_path), "check")
    model = "openrouter:anthropic/claude-opus-4.6"
    assert (listed.exit_code, listed.stderr) == (0, "")
    assert listed.stdout.splitlines() == [
        "id       state      last written       rows  model                                 prompt",
        f"a        done       2026-03-01 12:00      1  {model}  Write plan.md.",
        f"b        failed     2026-03-01 12:00      1  {model}  Write plan.md.",
        f"c        cancelled  2026-03-01 12:00      1  {model}  Two lines",
        f"plan-42  stalled    2026-03-01 12:00  1,200  {model}  {'long ' * 39}long…",
        f"z        running    2026-03-01 12:00      0  {model}  Write plan.md.",
    ]
    assert (checked.exit_code, checked.stdout) == (0, "ok: 5 runs, 1,203 rows\n")


@pytest.mark.parametrize("width", [NARROW, 120])
def test_the_list_fits_a_terminal_and_shortens_no_id(tmp_path: Path, width: int) -> None:
    ids = ["plan-42", "計画-七"]
    with journal_in(tmp_path) as store:
        for id_ in ids:
            enter(store, id_, prompt="計画を書いてください。" * 20)
        lines = table([info_of(store, id_) for id_ in ids], width)
    assert max(map(cell_len, lines)) <= width
    step = 2 if width == NARROW else 1  # where it is narrow the prompt has its own line
    assert [line.split()[0] for line in lines[::step]] == ["id", *ids]
    assert [line.endswith("…") for line in lines[step - 1 :: step]] == [False, True, True]
    assert {cell_len(line.partition("2026")[0]) for line in lines[step::step]} == {18}


def test_what_a_run_holds_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    call = ToolCall(id="x", name=HOSTILE, arguments='{"\\u001b[2J": "\\u001b[2J"}')
    with journal_in(tmp_path) as store:
        enter(
            store,
            HOSTILE,
            AttemptEnded(record=attempt(outcome="cut", message=HOSTILE, kept=HOSTILE)),
            TurnEnded(message=AssistantMessage(content=HOSTILE, tool_calls=(call,))),
            CallBegun(call_id="x", tool=HOSTILE, key="k"),
            CallEnded(call_id="x", tool=HOSTILE, content=HOSTILE),
            EndpointGivenUp(position=0, base_url=HOSTILE, model=HOSTILE, how=HOSTILE),
            Noted(purpose="say", text=HOSTILE),
            Noted(purpose="cancel", text=HOSTILE),
            RunResumed(after_crash=True, changed=HOSTILE),
            RunEnded(status="failed", text=HOSTILE, drafts=(unfinished(HOSTILE),)),
            prompt=HOSTILE,
        )
    results = [
        cli("runs", *in_(tmp_path)),
        cli("show", *in_(tmp_path), "--", HOSTILE),
        cli("cancel", *in_(tmp_path), "--", HOSTILE),
        cli("resume", *in_(tmp_path), "--", HOSTILE),
    ]
    for result in results:
        assert not isinstance(result.exception, ValueError)
        shown = result.stdout + result.stderr
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown) is None, repr(shown)
        assert "[bold]" in shown


# --- the check ------------------------------------------------------------------------------


def test_what_is_wrong_with_a_journal_is_told_with_status_1(tmp_path: Path) -> None:
    with journal_in(tmp_path) as store:
        enter(store, "a", done(), prompt="The first.")
        enter(store, "b", done(), prompt="The second.")
    file = tmp_path / ".agentcore" / "runs.db"
    connection = sqlite3.connect(file)
    connection.execute("UPDATE run SET opening = '[' WHERE id = 'a'")
    connection.execute("UPDATE run SET seq = 7 WHERE id = 'b'")
    connection.commit()
    connection.close()

    checked = cli("runs", "check", *in_(tmp_path))
    assert checked.exit_code == 1
    assert "run 'b': 1 rows, and it says that it has 7" in checked.stdout
    assert f"{file}: run 'a' cannot be read: " in checked.stdout

    # The list has what can be read.
    listed = cli("runs", *in_(tmp_path))
    assert listed.exit_code == 1
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["id", "b"]
    assert listed.stderr.startswith(f"error: {file}: run 'a' cannot be read: ")
    assert listed.stderr.count("\n") == 1


def test_a_file_that_is_no_journal_is_told(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no journal\n" * 100)
    checked = cli("runs", "check", "--journal", str(file))
    assert checked.exit_code == 1
    assert "it is no SQLite file" in checked.stdout
    listed = cli("runs", "--journal", f"sqlite:///{file}")
    assert (listed.exit_code, listed.stdout) == (2, "")
    assert "it is no SQLite file" in listed.stderr
    assert file.read_text() == "no journal\n" * 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs", "--journal", "no/such.db"], "error: --journal no/such.db: there is no such file"),
        (["runs", "check", "--journal", "no/such.db"], "--journal no/such.db: there is no such"),
        (["runs", "--journal", "mysql://db/agents"], "there is no journal of this kind"),
        (["runs", "--journal", ":memory:"], "journal=':memory:': names no file"),
        (["runs", "--workspace", "no/such"], "workspace 'no/such': there is no such folder"),
        (["show"], "Missing argument 'ID'"),
        (["show", "nope"], "there is no run 'nope' (the last written to are: 'a')"),
        (["show", "nope", "--follow"], "there is no run 'nope' (the last written to are: 'a')"),
        (["show", " "], "there is no run ' '"),
        (["cancel", "nope"], "there is no run 'nope' (the last written to are: 'a')"),
        (["cancel", "\t"], "run_id='\\t': give a text of printable characters"),
        (["resume", "nope"], "there is no run 'nope' (the last written to are: 'a')"),
        (["resume", "a", "--model", "nobody:m"], "there is no provider 'nobody'"),
        (["resume", "a", "json:loads", "--workspace", "x"], "--workspace beside APP 'json:loads'"),
        (["resume", "a", "--tool", "rm", *KNOWN], "--tool rm: there is no such tool"),
        (["resume", "a", "app"], "APP 'app': write module:attribute, as in app:agent"),
        (["resume", "a", "no_such.m:x"], "APP 'no_such.m:x': there is no module 'no_such'"),
        (["resume", "a", "json:nope"], "APP 'json:nope': there is no 'nope' in json"),
        (["resume", "a", "json:decoder.NaN"], "it is, or gives, a float; an Agent is wanted"),
        (["resume", "a", "json:loads"], "calling it raised TypeError: "),
        (["resume", "a", "json:loads", "--ask", "x"], "--ask beside APP 'json:loads'"),
        (["run", "x", "--model", "local:m", "--journal", "x.db"], "name it with --run-id"),
    ],
)
def test_what_cannot_be_done_is_told_with_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    with journal_in(tmp_path) as store:
        enter(store, "a", NotesTaken(through=0))
    result = cli(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in said(result)


# --- a run, row by row ----------------------------------------------------------------------


def attempt(**changed: object) -> AttemptRecord:
    fields: dict[str, object] = {
        "turn": 1,
        "attempt": 1,
        "provider": "openrouter",
        "model": "m",
        "outcome": "complete",
        "decision": "accept",
        "seconds": 3.25,
        "received_tokens": 1_234,
    }
    return AttemptRecord(**{**fields, **changed})  # type: ignore[arg-type]


def unfinished(on_disk: str) -> Unfinished:
    return Unfinished(tool="write_file", target="plan.md", draft_id="x", on_disk=on_disk)


WRITE = ToolCall(
    id="w", name="write_file", arguments='{"path": "plan.md", "content": "a\\nb\\n", "start": null}'
)
CUT = ToolCall(id="c", name="write_file", arguments='{"path": "plan.md", "content": "a\\nb')
ROWS: tuple[tuple[Record, list[str]], ...] = (
    (
        AttemptEnded(
            record=attempt(
                outcome="refused",
                decision="retry",
                kind=ErrorKind.RATE_LIMIT,
                message="slow\ndown",
            ),
            rest_until=NOON + 90,
        ),
        [
            "attempt   turn 1, attempt 1: refused (rate_limit) after 3.2 s",
            "slow down",
            "→ try again, not before 12:01:30",
        ],
    ),
    (AttemptEnded(record=attempt(attempt=2)), ["attempt   turn 1, attempt 2: complete in 3.2 s, "]),
    (
        TurnEnded(message=AssistantMessage(content="First\nthe plan.", tool_calls=(WRITE,))),
        [
            "turn      First the plan.",
            '→ write_file(path="plan.md", content=2 lines)',
        ],
    ),
    (
        CallBegun(call_id="w", tool="write_file", key="k"),
        ["begin     write_file: its effect comes"],
    ),
    (
        CallEnded(call_id="w", tool="write_file", content="Written.\nAll of it.", seconds=0.04),
        ["result    ✓ write_file in 0.0 s: Written. All of it."],
    ),
    (
        TurnEnded.of(AssistantMessage(content="Half an ans"), None, {}),
        ["turn      Half an ans"],
    ),
    (
        TurnEnded(message=AssistantMessage(content="Half"), cause=CutCause.DROPPED),
        ["turn      Half", "cut (dropped); what arrived is kept"],
    ),
    (TurnEnded(message=AssistantMessage(tool_calls=(CUT,))), ["turn      → write_file(36 B)"]),
    (TurnEnded(message=AssistantMessage()), ["turn      an empty answer"]),
    (
        CallEnded(call_id="c", tool="write_file", content="Cut.", is_error=True, kept_lines=1),
        ["result    ✗ write_file in 0.0 s: Cut.", "1 line of the cut text kept"],
    ),
    (
        EndpointGivenUp(position=0, base_url="u", model="m", how="openai: gpt (quota)"),
        ["endpoint  given up: openai: gpt (quota)"],
    ),
    (Noted(purpose="say", text="Shorter, please."), ["note      said: Shorter, please."]),
    (NotesTaken(through=12), ["taken     the model reads what was said, through row 12"]),
    (Noted(purpose="cancel", text=""), ["note      its end is asked for"]),
    (
        RunEnded(status="cancelled", text="The run was cancelled.", error_kind="cancelled"),
        ["end       cancelled: The run was cancelled."],
    ),
    (
        RunResumed(after_crash=False, changed="the model was a and is b"),
        ["resume    a process goes on with it, where it was left", "the model was a and is b"],
    ),
    (RunResumed(after_crash=True), ["resume    a process goes on with it, after its process died"]),
    (
        RunEnded(
            status="failed",
            text="The run stopped.\nWhat you can do: wait.",
            error_kind="quota",
            drafts=(unfinished("10 lines are in plan.md."),),
        ),
        [
            "end       failed (quota): The run stopped. What you can do: wait.",
            "10 lines are in plan.md.",
        ],
    ),
)


def test_each_row_says_what_happened_in_a_line_or_a_few(tmp_path: Path) -> None:
    with journal_in(tmp_path) as store:
        enter(store, "plan-42", *[record for record, _ in ROWS])

    shown = cli("show", "plan-42", *in_(tmp_path))

    assert (shown.exit_code, shown.stderr) == (0, "")
    head, _, rest = shown.stdout.partition("      2026-03-01\n")
    assert head.splitlines() == [
        "run plan-42",
        "  prompt  Write plan.md.",
        "  model   openrouter:anthropic/claude-opus-4.6",
        "  tools   write_file",
        "  begun   2026-03-01 12:00:00",
    ]
    rows, _, standing = rest.partition("\n\n")
    expected = [
        f"{number:>4}  12:00:00  {line}" if place == 0 else f"{'':26}{line}"
        for number, (_, lines) in enumerate(ROWS, 1)
        for place, line in enumerate(lines)
    ]
    got = rows.splitlines()
    assert [line[: len(start)] for line, start in zip(got, expected, strict=True)] == expected
    assert standing == (
        "failed, 18 rows, last written 2026-03-01 12:00:00\n\n"
        "The run stopped.\nWhat you can do: wait.\n"
    )

    last = cli("show", "plan-42", "--after", "17", *in_(tmp_path)).stdout
    assert re.findall(r"^ +(\d+)  12", last, re.MULTILINE) == ["18"]
    everything = {type(record) for record, _ in ROWS}
    assert everything == set(Record.__args__)


def test_rows_fit_a_narrow_terminal_and_tell_when_a_day_begins() -> None:
    writer = RowWriter(NARROW)
    days = [
        line.plain.split()
        for at in (NOON, NOON, NOON + 86_400)
        for record, _ in ROWS
        for line in writer.lines(1, at, record)
        if not line.plain.startswith(("   1", " " * 26))
    ]
    assert days == [["2026-03-01"], ["2026-03-02"]]
    long = TurnEnded(message=AssistantMessage(content="計画 " * 100))
    lines = [
        line
        for record in (*(row for row, _ in ROWS), long)
        for line in writer.lines(9_999, 0, record)
    ]
    assert max(line.cell_len for line in lines) <= NARROW


def test_what_arrives_is_told_in_sizes() -> None:
    arriving = Arriving(seq=0, turn=2, attempt=3, text="é", calls=(("write_file", 34_000),))
    assert arriving_line(arriving) == "turn 2, attempt 3: text: 2 B, write_file: 34 KB"


def test_a_run_that_nobody_drives_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    with journal_in(folder) as store:
        enter(store, "plan 42")
        epoch = store.claim("plan 42").epoch
        part = '{"call": 0, "id": "x", "name": "write_file", "arguments": "0123", "anew": false}\n'
        store.append_partial("plan 42", epoch, part.encode())
        store.release("plan 42", epoch)
    shown = cli("show", "plan 42", *in_(folder)).stdout
    assert shown.endswith(
        "stalled, 0 rows, last written 2026-03-01 12:00:00\n"
        "of the answer under way there is write_file: 4 B\n"
        f"nobody drives it: agentcore resume 'plan 42' --workspace '{folder}' goes on with it\n"
    )


def test_a_run_is_followed_to_its_end(tmp_path: Path) -> None:
    with journal_in(tmp_path) as store:
        enter(store, "a", NotesTaken(through=0))
        with started("show", "a", "--follow", *in_(tmp_path)) as process:
            assert process.stdout is not None
            told = ""
            while "goes on with it" not in told:
                told += process.stdout.readline()
            epoch = store.claim("a").epoch
            for row in (RunResumed(after_crash=True), NotesTaken(through=0)):
                store.append("a", epoch, (row,))
            store.append("a", epoch, (done("All is written."),), status="done")
            told += process.stdout.read()
        store.release("a", epoch)
    assert process.returncode == 0
    assert re.findall(r"^ +(\d)  12:00:00  (\w+)", told, re.MULTILINE) == [
        ("1", "taken"),
        ("2", "resume"),
        ("3", "taken"),
        ("4", "end"),
    ]
    assert told.count("nobody drives it: agentcore resume a") == 1
    assert told.endswith("\nAll is written.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="another signal")
def test_who_stops_following_stops_nothing_else(tmp_path: Path) -> None:
    with journal_in(tmp_path) as store:
        enter(store, "a")
        with started("show", "a", "--follow", *in_(tmp_path)) as process:
            assert process.stdout is not None
            while "goes on with it" not in process.stdout.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (130, "", "")
        assert info_of(store, "a").state == "stalled"


# --- the end --------------------------------------------------------------------------------


def test_a_run_that_nobody_drives_is_ended(tmp_path: Path) -> None:
    with journal_in(tmp_path) as store:
        enter(store, "a")
        ended = cli("cancel", "a", "--reason", "wrong model", *in_(tmp_path))
        assert (ended.exit_code, ended.stdout) == (0, "run 'a': cancelled\n")
        *_, last = store.rows("a")
        assert isinstance(last.record, RunEnded)
        assert last.record.text == "The run was cancelled: wrong model."
        again = cli("cancel", "a", *in_(tmp_path))
        assert (again.exit_code, again.stdout) == (0, "run 'a' has ended already: cancelled\n")
        assert store.get("a").seq == last.seq


# --- going on -------------------------------------------------------------------------------


def test_of_a_run_that_is_done_the_result_is_given_without_a_key(tmp_path: Path) -> None:
    with journal_in(tmp_path) as store:
        enter(store, "a", done("All is\nwritten."))
    result = cli("resume", "a", *in_(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "All is\nwritten.\n")
    assert result.stderr == "run a: done, 1 row, last written 2026-03-01 12:00:00\n"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "no key for openrouter: set the environment variable OPENROUTER_API_KEY"),
        (
            {"tools": ("write_file", "send_mail", "pay")},
            "run 'a' had tools that are none of the built-in ones: send_mail, pay. Name the agent "
            "that has them: agentcore resume a module:attribute; or go on without them: --tool,",
        ),
        (
            {"model": "own-model"},
            "run 'a' was submitted with 'own-model', whose adapter is none that is known by name.",
        ),
        (
            {"base_url": "https://relay.example.com/v1"},
            "run 'a' was submitted at https://relay.example.com/v1, which is not openrouter's own "
            "address. If that is where it may go on, say so: --base-url https://relay.example.com",
        ),
    ],
    ids=["key", "tools", "adapter", "address"],
)
def test_a_run_that_cannot_be_gone_on_with_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], says: str
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    new = {
        "id": "a",
        "opening": (UserMessage(content="Go on."),),
        "model": "openrouter:m",
        "base_url": "https://openrouter.ai/api/v1",
        "tools": ("write_file",),
        **changed,
    }
    with journal_in(tmp_path) as store:
        store.submit(NewRun(**new))  # type: ignore[arg-type]
        result = cli("resume", "a", *in_(tmp_path))
        assert result.exit_code == 2
        assert says in said(result)
        assert store.get("a").seq == 0


def test_a_run_of_several_models_asks_which_one_goes_on(tmp_path: Path) -> None:
    with journal_in(tmp_path) as store:
        enter(
            store,
            "a",
            EndpointGivenUp(position=0, base_url="u", model="m", how="openai: m (quota)"),
        )
    result = cli("resume", "a", *in_(tmp_path))
    assert result.exit_code == 2
    assert "with a list of models, and has given up openai: m (quota). " in said(result)


APP = """
from agentcore import Agent, Local, tool

@tool
def send_mail(to: str) -> str:
    "Send a mail."
    open("sent", "a").write(to)
    return "sent"

agent = Agent("m", adapter=Local(base_url={url!r}), tools=[send_mail], workspace={workspace!r})

def make():
    return agent
"""


async def test_an_agent_of_ones_own_goes_on_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    async with Gateway(respond=lambda request: Answer(text="Mailed.")) as gateway:
        name = f"own_{tmp_path.name}_app"
        source = APP.format(url=gateway.base_url, workspace=str(tmp_path))
        (tmp_path / f"{name}.py").write_text(source)
        results = []
        for run_id, attribute in (("a", "agent"), ("b", "make"), ("c", "send_mail")):
            with journal_in(tmp_path) as store:
                enter(store, run_id)
            arguments = ("resume", run_id, f"{name}:{attribute}")
            results.append(await anyio.to_thread.run_sync(cli, *arguments))
    assert [result.exit_code for result in results] == [0, 0, 2]
    assert [result.stdout for result in results] == ["Mailed.\n", "Mailed.\n", ""]
    assert "stalled, 0 rows, last written 2026-03-01 12:00:00; going on" in results[0].stderr
    assert "an Agent is wanted (agents there: agent)" in results[2].stderr
    assert not (tmp_path / "sent").exists()  # a tool is no function that makes an agent


async def test_a_named_run_is_done_once_and_its_name_is_for_one_prompt(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.db"
    async with Gateway(respond=lambda request: Answer(text="Done.")) as gateway:

        async def run(prompt: str) -> Result:
            arguments = ["run", prompt, "--model", "local:m", "--base-url", gateway.base_url]
            named = ["--run-id", "plan-42", "--journal", str(file)]
            return await anyio.to_thread.run_sync(lambda: cli(*arguments, *named, *in_(tmp_path)))

        first, second, other = await run("Write."), await run("Write."), await run("Mail.")
        assert len(gateway.requests) == 1
    assert (first.exit_code, first.stdout) == (0, "Done.\n")
    assert "plan-42" not in first.stderr
    assert (second.exit_code, second.stdout) == (0, "Done.\n")
    assert second.stderr.startswith("run plan-42: done, 3 rows, last written 20")
    assert (other.exit_code, other.stdout) == (2, "")
    assert "run_id='plan-42' was given another prompt before" in other.stderr
    assert cli("runs", "--journal", str(file)).stdout.count("\n") == 2
    assert not (tmp_path / ".agentcore").exists()


async def test_a_run_that_failed_or_was_cancelled_says_how_it_goes_on(tmp_path: Path) -> None:
    answers = Gateway(respond=lambda request: Answer(text="Done."))
    async with answers as gateway:
        url = gateway.base_url
    agent = Agent("m", adapter=Local(base_url=url), workspace=tmp_path)
    await agent.submit("Write.", run_id="a")
    await agent.cancel("a", "not today")
    line = ["run", "Write.", "--model", "local:m", "--base-url", url, "--run-id", "a"]
    result = await anyio.to_thread.run_sync(lambda: cli(*line, *in_(tmp_path)))
    assert (result.exit_code, result.stdout) == (1, "")
    told = " ".join(result.stderr.split())
    assert "run a: cancelled, 2 rows, " in told
    assert "The run was cancelled: not today. " in told
    assert told.endswith(f"go on with it: agentcore resume a --workspace {tmp_path}")


# --- with real processes --------------------------------------------------------------------


def writes(text: str, pace: float) -> Gateway:
    model = ScriptedModel(path="plan.md", text=text)
    return Gateway(respond=lambda request: stream(model(request.body), piece=64, pace=pace))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
async def test_a_run_that_is_killed_is_listed_shown_and_gone_on_with(tmp_path: Path) -> None:
    text = long_text(400)
    store = SqliteStore(tmp_path / ".agentcore" / "runs.db")

    def carry() -> None:
        named = ["--run-id", "plan-42", *in_(tmp_path)]
        line = ["run", "Write plan.md", "--model", "local:scripted", "--base-url", url, *named]
        with started(*line) as process:
            # Far enough for whole lines to be kept, and not near the end.
            wait_for(lambda: store.path.exists() and "plan-42" in store.all())
            wait_for(lambda: len(store.partial("plan-42")[1]) > 6_000)
            listed = cli("runs", *in_(tmp_path)).stdout.splitlines()
            assert listed[1].split()[:2] == ["plan-42", "running"]
            busy = cli("resume", "plan-42", *in_(tmp_path))
            assert busy.exit_code == 2
            assert "another process drives it now" in said(busy)
            assert "watch it: agentcore show --follow " in said(busy)
            process.kill()
        listed = cli("runs", *in_(tmp_path)).stdout.splitlines()
        assert listed[1].split()[:2] == ["plan-42", "stalled"]
        assert "of the answer under way there is write_file: " in shown()

        resumed = started("resume", "plan-42", *in_(tmp_path))
        out, err = resumed.communicate(timeout=60)
        assert (resumed.returncode, out) == (0, "plan.md is written: 400 lines.\n"), err
        assert err.startswith("run plan-42: stalled, 0 rows, last written ")
        assert "the process that received the answer ended before the answer did" in err
        assert "✓ kept " in err

    def shown() -> str:
        return cli("show", "plan-42", *in_(tmp_path)).stdout

    async with writes(text, 0.01) as gateway:
        url = gateway.base_url
        await anyio.to_thread.run_sync(carry)
        asked = len(gateway.requests)
        again = await anyio.to_thread.run_sync(cli, "resume", "plan-42", *in_(tmp_path))
        assert (again.exit_code, len(gateway.requests)) == (0, asked)
    assert (tmp_path / "plan.md").read_text() == text
    told = shown()
    assert "a process goes on with it, after its process died" in told
    assert re.search(r"\d+ lines of the cut text kept", told)
    assert told.endswith("\nplan.md is written: 400 lines.\n")
    assert cli("runs", "check", *in_(tmp_path)).stdout.startswith("ok: 1 run, ")
    store.close()


async def test_what_the_person_was_asked_about_is_asked_about_again(tmp_path: Path) -> None:
    async with writes(long_text(60), 0.0) as gateway:
        asking = [replace(write_file, needs_approval=True), read_file]
        local = Local(base_url=gateway.base_url)
        agent = Agent(
            "m", adapter=local, tools=asking, workspace=tmp_path, approve=lambda request: False
        )
        await agent.submit("Write plan.md", run_id="a")

        def resume(typed: str) -> Result:
            return CliRunner().invoke(app, ["resume", "a", *in_(tmp_path)], input=typed)

        denied = await anyio.to_thread.run_sync(resume, "n\n" * 9)
        assert not (tmp_path / "plan.md").exists()
        allowed = await anyio.to_thread.run_sync(resume, "y\n")
    assert "? write_file" in denied.stderr
    assert "Not run: the user denied this call of write_file." in denied.stderr
    assert denied.exit_code == 1
    assert (allowed.exit_code, allowed.stderr.count("? write_file")) == (0, 1)
    assert (tmp_path / "plan.md").read_text() == long_text(60)


@pytest.mark.skipif(sys.platform == "win32", reason="another signal")
@pytest.mark.parametrize("how", ["Ctrl-C", "cancel"])
async def test_a_run_that_a_person_ends_is_told_how_to_go_on(tmp_path: Path, how: str) -> None:
    store = SqliteStore(tmp_path / ".agentcore" / "runs.db")

    def carry() -> tuple[int, str]:
        named = ["--run-id", "plan-42", *in_(tmp_path)]
        line = ["run", "Write plan.md", "--model", "local:scripted", "--base-url", url, *named]
        with started(*line) as process:
            wait_for(lambda: store.path.exists() and "plan-42" in store.all())
            wait_for(lambda: store.partial("plan-42")[0] > 0)
            if how == "Ctrl-C":
                process.send_signal(signal.SIGINT)
            else:
                asked = cli("cancel", "plan-42", "--reason", "enough", *in_(tmp_path))
                assert "asked for the end of run 'plan-42'" in asked.stdout
            _, err = process.communicate(timeout=30)
        return process.returncode, err

    async with writes(long_text(3_000), 0.02) as gateway:
        url = gateway.base_url
        status, err = await anyio.to_thread.run_sync(carry)
    assert status == (130 if how == "Ctrl-C" else 1)
    assert "Traceback" not in err
    *_, why, way = err.splitlines()
    assert (
        why
        == {
            "Ctrl-C": "stopped by you; files that were written stay as they are",
            "cancel": "The run was cancelled: enough.",
        }[how]
    )
    assert way == f"go on with it: agentcore resume plan-42 --workspace {tmp_path}"
    assert info_of(store, "plan-42").state == ("stalled" if how == "Ctrl-C" else "cancelled")
    store.close()
