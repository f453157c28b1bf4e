"""A folder of the user's own templates: what is taken, and what is told of the rest."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentcore import Agent, ConfigurationError, Local, RunError
from agentcore.guidance import (
    SITUATIONS,
    RaisedGuidance,
    RepeatedGuidance,
    SectionsGuidance,
    Templates,
    TimedOutGuidance,
)
from agentcore.guidance.checks import KNOWN_TOOLS, check_folder, check_sources
from agentcore.guidance.samples import sample_of, samples_of
from agentcore.guidance.templates import package_source, templates_in
from agentcore.messages import AssistantMessage, UserMessage
from agentcore.testing import RESET, Answer, Call, GatewayTransport, after_bytes, cut, stream
from agentcore.tools import BUILTIN_TOOLS, read_file, tool, write_file

LOCAL = Local(base_url="http://endpoint.test/v1")
EXTENDS = '{% extends "agentcore/sections.md.jinja" %}'


def folder_of(at: Path, **templates: str) -> Path:
    """A folder with these templates; `__` in a name stands for a hyphen."""
    for name, source in templates.items():
        (at / f"{name.replace('__', '-')}.md.jinja").write_text(source)
    return at


def problems(at: Path, *offered: str) -> list[str]:
    """What is told, without the folder's path."""
    return [str(each).replace(f"{at}{os.sep}", "") for each in check_folder(at, offered=offered)]


# --- what is taken --------------------------------------------------------------------------


def test_a_folder_replaces_what_it_holds_and_nothing_else(tmp_path: Path) -> None:
    templates = Templates(folder_of(tmp_path, raised="{{ tool }} hat nicht funktioniert."))

    assert templates.replaced == {"raised"}
    assert templates.render(sample_of(RaisedGuidance)) == "import_rows hat nicht funktioniert."
    repeated = sample_of(RepeatedGuidance)
    assert templates.render(repeated) == Templates().render(repeated)


def test_one_block_of_a_template_can_be_changed(tmp_path: Path) -> None:
    source = EXTENDS + "{% block do_not %}\n{{ super() }}Take your time.\n{% endblock %}"
    text = Templates(folder_of(tmp_path, sections=source)).render(sample_of(SectionsGuidance))

    packages = Templates().render(sample_of(SectionsGuidance))
    assert text == packages + "\nTake your time."


def test_the_packages_templates_pass_their_own_check() -> None:
    sources = {kind.template: package_source(kind.template) for kind in SITUATIONS}

    assert check_sources(sources) == []


@pytest.mark.parametrize(
    "source",
    [
        "{{ tool }}: {% include 'agentcore/raised.md.jinja' %}",
        "{% raw %}{{ not evaluated }}{% endraw %} {{ tool }}",
        "{{ tool }}{{ message|truncate(40, killwords=true) if message else '!' }}",
        "{% if error in ('ValueError', 'KeyError') %}As ever. {% endif %}{{ tool }}",
        "\ufeff{{ tool|upper }} {{ tool }}\r\n",
    ],
    ids=["include", "raw", "filter", "in", "byte order mark"],
)
def test_what_a_template_may_use(tmp_path: Path, source: str) -> None:
    assert problems(folder_of(tmp_path, raised=source)) == []


def test_a_float_is_told_without_needless_digits() -> None:
    def told(seconds: float) -> str:
        return Templates().render(
            TimedOutGuidance(tool="look", seconds=seconds, still_running=False)
        )

    assert "longer than its 60 seconds" in told(60.0)
    assert "longer than its 0.5 seconds" in told(0.5)


def test_what_editors_leave_behind_is_no_template(tmp_path: Path) -> None:
    folder_of(tmp_path, raised="{{ tool }}")
    for name in (".raised.md.jinja.swp", "raised.md.jinja~", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\xff")

    assert problems(tmp_path) == []


# --- what is not ----------------------------------------------------------------------------

# Each of these would take for ever, or fill the memory, or reach what is none of a text's.
ENDLESS = [
    "{% for i in range(10**9) %}{{ tool }}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ tool * 999999999 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ '%0999999999d'|format(1) }}",
    "{{ '%0999999999d' % 1 }}",
    "{{ tool|center(999999999) }}",
    "{% set a = tool ~ tool %}{{ a }}",
    "{% include 'raised.md.jinja' %}",
    "{% extends 'raised.md.jinja' %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{{ tool.__class__.__mro__ }}",
    "{{ tool|attr('__class__') }}",
    "{{ lipsum(9999) }}",
    "{{ " + "(" * 5_000 + "tool" + ")" * 5_000 + " }}",
    "{{ " + " and ".join(["tool"] * 1_500) + " }}",
    "{{ " + "9" * 5_000 + " }}",  # raised a ValueError once
    "{{ tool }} " + " ~ ".join(["{{ message }}"] * 1_000),
    "x" * 20_000,
]


@pytest.mark.parametrize("source", ENDLESS, ids=lambda source: source[:30])
def test_what_might_not_end_is_not_even_tried(tmp_path: Path, source: str) -> None:
    started = time.monotonic()
    found = problems(folder_of(tmp_path, raised="{{ tool }}" + source))

    assert found
    assert all(each.startswith("raised.md.jinja") for each in found)
    assert time.monotonic() - started < 5


WRONG = [
    ("raised", "one\n{{ toool }}", "line 2: there is no variable 'toool'; did you mean 'tool'?"),
    ("raised", "{{ tool }}\n{% if tool %}", "line 2: Unexpected end of template."),
    ("raised", "{{ tool|uper }}", "line 1: the filter 'uper' cannot be used; did you mean 'upper'"),
    ("raised", "{% if tool is odd_ %}{% endif %}{{ tool }}", "line 1: there is no test 'odd_';"),
    ("raised", "{{ tool }}{% if tool > 3 %}{% endif %}", "line 1: with the sample (nothing empty)"),
    ("raised", "{# nothing #}", "it gives no text at all"),
    ("raised", "It failed.", "{{ tool }} is not told; the text must hold it as it is"),
    ("raised", "{{ tool }}" + " word" * 130, "it gives 131 words, and a model gets at most 120"),
    ("raised", "{{ tool }}" + "x" * 3_000, "it gives 3,011 bytes, and there is room for 2,048"),
    ("raised", "{{ tool }}: use read_file", "it names read_file, which may not be on offer"),
    ("raised", "{{ tool }}\0", "it holds the control character '\\x00'; leave it out"),
    ("raised", "{% include tool %}", "line 1: name the template as a text in quotes"),
    ("raised", "{% include 'agentcore/raise.md.jinja' %}", "did you mean 'agentcore/raised.md"),
    ("raised", "{{ tool }}{{ super() }}", "it fails: UndefinedError: 'super' is undefined"),
    ("left__out", "{{ left_out_bytes }} {{ path }}" + "x" * 300, "and there is room for 254"),
    ("repeated", "{{ tool }} again", "the same words at level 2 and at level 3 would bring"),
    ("silence", "{{ tool }} {{ on_disk }}", "the same words at level 1 and at level 2 would bring"),
    ("sections", "{{ tool }} {{ on_disk }} {{ level }}", "{{ next_call }} is not told;"),
    ("sections", EXTENDS + "Hello", "line 1: text outside of a block is never shown below extends"),
    ("sections", EXTENDS + "{% block do_nott %}{% endblock %}", "did you mean 'do_not'?"),
    ("sections", "{% if level %}" + EXTENDS + "{% endif %}", "extends stands once, above"),
    (
        "sections",
        EXTENDS + "{% block alternative %}Use execute_code.{% endblock %}",
        "it names execute_code, which may not be on offer; use {{ code_tool }} inside an if",
    ),
    ("stopped", "{{ reason }} {{ on_disk }}", "{{ advice }} is not told"),
]


@pytest.mark.parametrize(("name", "source", "told"), WRONG, ids=[told[:40] for *_, told in WRONG])
def test_what_is_wrong_is_told_with_file_and_way_out(
    tmp_path: Path, name: str, source: str, told: str
) -> None:
    found = problems(folder_of(tmp_path, **{name: source}))

    file = f"{name.replace('__', '-')}.md.jinja"
    assert all(each.startswith(file) for each in found)
    assert any(told in each for each in found), found


def test_a_tool_may_be_named_where_it_is_on_offer(tmp_path: Path) -> None:
    inside = "{% block alternative %}{% if code_tool %}Use execute_code.{% endif %}{% endblock %}"
    folder_of(tmp_path, raised="{{ tool }}: use read_file", sections=EXTENDS + inside)

    assert problems(tmp_path, "read_file") == []
    assert len(problems(tmp_path)) == 1


def test_every_tool_of_the_package_is_looked_for() -> None:
    assert set(BUILTIN_TOOLS) <= set(KNOWN_TOOLS)


def _pipe(at: Path) -> None:
    os.mkfifo(at / "raised.md.jinja")


FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("empty", lambda at: None, "there is no template in it; put <name>.md.jinja there"),
    ("typo", lambda at: (at / "section.md.jinja").touch(), "did you mean 'sections'?"),
    ("suffix", lambda at: (at / "cap.jinja").touch(), "did you mean 'cap.md.jinja'?"),
    ("other", lambda at: (at / "README.md").touch(), "there is no template 'README'; there are:"),
    # Opening one waited for a writer.
    ("pipe", _pipe, "this is no file"),
    ("folder", lambda at: (at / "raised.md.jinja").mkdir(), "this is no file"),
    ("device", lambda at: (at / "raised.md.jinja").symlink_to("/dev/zero"), "this is no file"),
    ("link", lambda at: (at / "raised.md.jinja").symlink_to("no"), "No such file or directory"),
    ("bytes", lambda at: (at / "raised.md.jinja").write_bytes(b"\xff"), "not UTF-8 (byte 0)"),
]


@pytest.mark.parametrize(("make", "told"), [row[1:] for row in FILES], ids=[r[0] for r in FILES])
def test_a_file_that_is_none_is_told(
    tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    make(tmp_path)

    (found,) = check_folder(tmp_path)
    assert told in str(found)


def test_an_error_lists_the_first_of_many(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"unknown{number}.md.jinja").touch()

    with pytest.raises(ConfigurationError, match="cannot be used:\n- ") as raised:
        Templates(tmp_path)
    assert str(raised.value).endswith(
        "\n- and 4 more; `agentcore guidance --folder` lists them all"
    )


def test_every_optional_variable_is_tried_empty_and_filled_at_every_level() -> None:
    for kind in SITUATIONS:
        samples = [sample.variables.values() for sample in samples_of(kind)]

        for name in kind.may_be_empty:
            assert {bool(values[name]) for values in samples} == {True, False}
        assert {values.get("level") for values in samples} == set(kind.levels() or [None])


# --- at run time ----------------------------------------------------------------------------


def test_a_template_that_fails_at_run_time_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # No sample has a wait this short.
    own = "{{ tool }} {% if seconds - 60 == -59.5 and tool + 1 %}{% endif %}"
    templates = Templates(folder_of(tmp_path, timed__out=own))
    usual = TimedOutGuidance(tool="look", seconds=60.0, still_running=False)
    odd = TimedOutGuidance(tool="look", seconds=0.5, still_running=False)

    assert templates.render(usual) == "look"
    with caplog.at_level(logging.WARNING, "agentcore"):
        assert templates.render(odd) == Templates().render(odd)
    assert "the template timed-out of" in caplog.text


def test_a_folder_is_tried_out_again_only_when_it_changed(tmp_path: Path) -> None:
    folder_of(tmp_path, raised="{{ tool }} one")
    first = templates_in(tmp_path, offered=["look"])
    assert templates_in(tmp_path, offered=["look"]) is first

    folder_of(tmp_path, raised="{{ tool }} two")
    second = templates_in(tmp_path, offered=["look"])
    assert second.render(sample_of(RaisedGuidance)) == "import_rows two"
    # What was read stays as it was read.
    assert first.render(sample_of(RaisedGuidance)) == "import_rows one"


@tool
def fail() -> str:
    """Raise."""
    raise ValueError("fuse")


def agent(transport: GatewayTransport, workspace: Path, guidance: Path | None) -> Agent:
    return Agent(
        "some-model",
        adapter=LOCAL,
        tools=[fail, write_file],
        workspace=workspace,
        transport=transport,
        guidance=guidance,
    )


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("nowhere", "guidance 'nowhere' cannot be used:\n- nowhere: there is no such folder"),
        # An empty variable of a shell is not the current folder.
        ("", "guidance='': give the path of a folder of templates, or None"),
        (7, "guidance=7: give the path of a folder of templates, or None"),
    ],
)
def test_an_agent_checks_its_guidance_when_it_is_made(folder: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Agent("some-model", adapter=LOCAL, guidance=folder)
    assert str(raised.value).startswith(told)


def test_an_agents_own_tools_may_be_named(tmp_path: Path) -> None:
    folder_of(tmp_path, raised="{{ tool }}: use read_file")

    Agent("some-model", adapter=LOCAL, tools=[read_file], guidance=tmp_path)
    with pytest.raises(ConfigurationError, match="it names read_file"):
        Agent("some-model", adapter=LOCAL, tools=[write_file], guidance=tmp_path)


async def test_a_run_speaks_in_the_words_of_the_folder(tmp_path: Path) -> None:
    house = folder_of(tmp_path, raised="{{ tool }} ging nicht.")
    transport = GatewayTransport()
    failing = Answer(calls=(Call(name="fail", arguments="{}"),))
    transport.play(stream(failing), stream(failing), Answer(text="Enough."))
    here = agent(transport, tmp_path, house)

    def change(event: object) -> None:
        if type(event).__name__ == "TurnFinished":
            folder_of(tmp_path, raised="{{ tool }} ging wieder nicht.")

    result = await here.run("Go on.", on_event=change)

    told = [message.content for message in result.messages if message.role == "tool"]
    assert told[0] == "fail ging nicht."
    assert told[1].startswith("fail ging wieder nicht.\nThe same call failed before")


async def test_a_folder_that_breaks_in_a_run_ends_it_with_what_was_reached(tmp_path: Path) -> None:
    house = folder_of(tmp_path, raised="{{ tool }} ging nicht.")
    transport = GatewayTransport()
    transport.play(stream(Answer(calls=(Call(name="fail", arguments="{}"),))), Answer(text="-"))
    here = agent(transport, tmp_path, house)

    def change(event: object) -> None:
        if type(event).__name__ == "TurnFinished":
            folder_of(tmp_path, raised="{{ toool }}")

    with pytest.raises(RunError, match="there is no variable 'toool'") as raised:
        await here.run("Go on.", on_event=change)
    assert [message.role for message in raised.value.messages] == ["user", "assistant", "tool"]


async def test_a_cut_text_and_the_stop_are_told_in_the_words_of_the_folder(tmp_path: Path) -> None:
    house = folder_of(
        tmp_path,
        text="Weiter nach: {{ last_line }} ({{ level }})",
        stopped="Ende: {{ reason }} {{ on_disk }} {{ advice }}",
    )
    whole = stream(Answer(text="".join(f"{number}. A step.\n" for number in range(1, 400))))
    transport = GatewayTransport()
    size = len(whole.body)
    transport.play(*[cut(whole, at=after_bytes(size - 400), by=RESET)] * 4)
    here = agent(transport, tmp_path, house)

    with pytest.raises(RunError) as raised:
        await here.run("Write.")

    said = [m.content for m in raised.value.messages[1:] if isinstance(m, UserMessage)]
    assert [text[-3:] for text in said] == ["(1)", "(2)", "(3)", "(4)"]
    assert all(text.startswith("Weiter nach: ") for text in said)
    assert str(raised.value).startswith("Ende: 3 cuts in a row in a text answer")
    assert isinstance(raised.value.messages[1], AssistantMessage)
