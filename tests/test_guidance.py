"""What is said after a cut: every template with its variables, and nothing else, in few words."""

from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import agentcore
from agentcore import guidance
from agentcore.guidance import (
    ADVICE,
    SITUATIONS,
    CapGuidance,
    FilteredGuidance,
    Guidance,
    MalformedGuidance,
    SectionsGuidance,
    SilenceGuidance,
    Situation,
    StoppedText,
    Templates,
    TextGuidance,
    suggest_lines,
)
from agentcore.kinds import ErrorKind

render = Templates().render
TEMPLATES = Path(agentcore.__file__).parent / "templates"
CUTS: list[type[Guidance]] = [
    SectionsGuidance,
    CapGuidance,
    SilenceGuidance,
    MalformedGuidance,
    FilteredGuidance,
]

LEVELS = (1, 2, 3, 4)
CODE_TOOLS = ("", "execute_code")
NEXT_CALLS = ("", 'path="docs/plan.md", mode="append", start_line=1201')
ON_DISK = ("Nothing of it was stored.", '"docs/plan.md" has 1200 lines on disk; they are safe.')


def cut(kind: type[Guidance], **values: Any) -> Guidance:
    defaults: dict[str, Any] = {
        "tool": "write_file",
        "target": '"docs/plan.md"',
        "reason": "the connection was lost after 61 s",
        "on_disk": ON_DISK[1],
        "level": 1,
        "next_call": NEXT_CALLS[1],
        "draft_id": "",
        "section_lines": 400,
        "received_lines": 900,
        "kept_lines": 0,
        "output_limit": 32_000,
        "code_tool": "execute_code",
    }
    return kind(**defaults | values)


def stopped(**values: Any) -> StoppedText:
    defaults: dict[str, Any] = {
        "provider": "openrouter",
        "base_url": "https://openrouter.ai/api/v1",
        "model": "anthropic/claude-opus-4.6",
        "kind": "connection",
        "reason": "4 cuts in a row in write_file: nothing further of its text got through",
        "message": "Network connection lost.",
        "rule": "network-connection-lost",
        "attempts": 4,
        "tool": "write_file",
        "on_disk": ON_DISK[1],
        "received": "about 900 lines of arguments",
        "advice": "Try another provider.",
    }
    return StoppedText(**defaults | values)


def test_guidance_reads_as_a_whole() -> None:
    assert render(cut(SectionsGuidance)) == (
        "Your call of write_file was cut: the connection was lost after 61 s. This is not your "
        "mistake. About 900 lines of it had arrived; it was not run.\n"
        '"docs/plan.md" has 1200 lines on disk; they are safe.\n'
        "\n"
        'Next call: write_file with path="docs/plan.md", mode="append", start_line=1201 and at '
        "most 400 lines of text; then append the rest, section by section.\n"
        "If the text can be computed, a short program for execute_code may write it; its code is "
        "sent the same way, so keep it short.\n"
        "Do not send arguments of this length again."
    )


def test_the_text_for_a_person_reads_as_a_whole() -> None:
    assert render(stopped()) == (
        "The run stopped: 4 cuts in a row in write_file: nothing further of its text got through.\n"
        "Last failure: connection — Network connection lost. (openrouter at "
        "https://openrouter.ai/api/v1, anthropic/claude-opus-4.6; rule network-connection-lost; "
        "4 requests in all).\n"
        "It happened in a call of write_file, which was not run.\n"
        "Received and not used: about 900 lines of arguments.\n"
        '"docs/plan.md" has 1200 lines on disk; they are safe.\n'
        "What you can do: Try another provider."
    )


def test_what_is_empty_is_left_out_of_the_text_for_a_person() -> None:
    empty = stopped(message="", attempts=1, tool="", on_disk="", received="")

    assert render(empty).splitlines()[1:] == [
        "Last failure: connection (openrouter at https://openrouter.ai/api/v1, "
        "anthropic/claude-opus-4.6; rule network-connection-lost; 1 request in all).",
        "What you can do: Try another provider.",
    ]


def test_without_a_failure_none_is_told() -> None:
    assert render(stopped(kind="", message="", tool="", on_disk="", received="")).splitlines() == [
        "The run stopped: 4 cuts in a row in write_file: nothing further of its text got through.",
        "What you can do: Try another provider.",
    ]


def test_guidance_for_what_is_kept_reads_as_a_whole() -> None:
    assert render(cut(SectionsGuidance, kept_lines=850)) == (
        "Your call of write_file was cut: the connection was lost after 61 s. This is not your "
        "mistake. What arrived is kept: 850 new lines, exactly as you sent them.\n"
        '"docs/plan.md" has 1200 lines on disk; they are safe.\n'
        "\n"
        'Next call: write_file with path="docs/plan.md", mode="append", start_line=1201 and at '
        "most 400 lines of text, beginning right after that line; then append the rest, section "
        "by section.\n"
        "Do not send again what is kept."
    )


def test_the_words_after_a_text_that_was_cut_read_as_a_whole() -> None:
    told = TextGuidance(
        reason="the connection was lost after 61 s", kept_bytes=4_096, last_line="{{ it }}", level=1
    )

    assert render(told) == (
        "Your answer was cut: the connection was lost after 61 s. This is not your mistake. What "
        "arrived is kept, 4096 bytes, up to and including this:\n"
        "\n"
        "{{ it }}\n"
        "\n"
        "Go on right after it. Do not repeat what is above, do not begin anew, and do not speak of "
        "the cut."
    )


@pytest.mark.parametrize("kind", [SectionsGuidance, CapGuidance, MalformedGuidance])
@pytest.mark.parametrize("kept_lines", [0, 850])
def test_what_is_kept_is_not_called_lost(kind: type[Guidance], kept_lines: int) -> None:
    text = render(cut(kind, kept_lines=kept_lines))

    assert ("is kept: 850 new lines" in text) is bool(kept_lines)
    assert ("beginning right after that line" in text) is bool(kept_lines)
    assert not (kept_lines and ("had arrived" in text or "execute_code" in text))
    assert len(text.split()) <= 120


@pytest.mark.parametrize("kind", [SectionsGuidance, CapGuidance])
def test_without_a_next_call_no_parts_are_advised(kind: type[Guidance]) -> None:
    text = render(cut(kind, next_call=""))

    assert (
        "\nNext: call write_file again with shorter arguments, if its purpose allows that; nothing "
        "of this call took effect.\n"
    ) in text
    assert "lines of text" not in text
    assert "append" not in text


@pytest.mark.parametrize(
    ("kind", "level", "told", "last"),
    [
        (SectionsGuidance, 4, "It is cut number 4 in a row", True),
        (CapGuidance, 4, "It is cut number 4 in a row", True),
        (SilenceGuidance, 3, "It is cut number 3 in a row", True),
        (MalformedGuidance, 4, "It is time number 4 in a row", True),
        (SectionsGuidance, 3, "one more such cut ends the run.", False),
        (CapGuidance, 3, "one more such cut ends the run.", False),
        (SilenceGuidance, 2, "one more ends the run.", False),
        (MalformedGuidance, 3, "one more ends the run.", False),
        (FilteredGuidance, 2, "one more ends the run.", False),
        (FilteredGuidance, 3, "It is time number 3 in a row", True),
    ],
)
def test_the_cut_that_ends_the_run_says_so(
    kind: type[Guidance], level: int, told: str, last: bool
) -> None:
    text = render(cut(kind, level=level))

    assert kind.max_in_a_row == (level - 1 if last else level)
    assert told in text
    assert (f"{told}: the run ends here." in text) is last
    assert ("one more" in text) is not last


def test_each_template_has_one_dataclass_and_each_dataclass_a_template() -> None:
    named = [
        thing.template
        for thing in (getattr(guidance, name) for name in guidance.__all__)
        if is_dataclass(thing) and isinstance(thing, type) and hasattr(thing, "template")
    ]
    assert sorted(named) == sorted(kind.template for kind in SITUATIONS)

    files = [file.name.removesuffix(".md.jinja") for file in TEMPLATES.iterdir()]
    assert sorted(named) == sorted(files)


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("code_tool", CODE_TOOLS, ids=["alone", "with code"])
@pytest.mark.parametrize("next_call", NEXT_CALLS, ids=["unknown", "next call"])
@pytest.mark.parametrize("on_disk", ON_DISK, ids=["nothing", "file"])
@pytest.mark.parametrize("target", ["", '"docs/plan.md"'], ids=["nameless", "named"])
def test_each_guidance_is_short_and_names_only_what_is_on_offer(
    kind: type[Guidance], level: int, code_tool: str, next_call: str, on_disk: str, target: str
) -> None:
    text = render(
        cut(
            kind,
            level=level,
            code_tool=code_tool,
            next_call=next_call,
            on_disk=on_disk,
            target=target,
        )
    )

    assert len(text.split()) <= 120
    assert "Your call of write_file was " in text
    assert f"\n{on_disk}\n\n" in text
    assert code_tool or "execute_code" not in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize("kind", [SectionsGuidance, CapGuidance])
def test_the_alternative_is_named_once_when_it_is_on_offer(kind: type[Guidance]) -> None:
    assert ["execute_code" in render(cut(kind, level=level)) for level in LEVELS] == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("kind", CUTS)
def test_the_text_escalates_with_the_level(kind: type[Guidance]) -> None:
    texts = {render(cut(kind, level=level)) for level in LEVELS}

    assert len(texts) == len(LEVELS)


@pytest.mark.parametrize("kind", [SectionsGuidance, CapGuidance, MalformedGuidance])
def test_the_next_call_is_told_with_its_size(kind: type[Guidance]) -> None:
    assert f"{NEXT_CALLS[1]} and at most 75 lines" in render(cut(kind, section_lines=75))


def test_silence_is_not_answered_with_sections() -> None:
    text = render(cut(SilenceGuidance))

    assert "lines of text" not in text
    assert "execute_code" not in text


@pytest.mark.parametrize(("limit", "told"), [(0, "output cap."), (8_192, "cap of 8192 tokens.")])
def test_the_cap_is_told_when_it_is_known(limit: int, told: str) -> None:
    assert told in render(cut(CapGuidance, output_limit=limit))


def test_a_variable_that_is_missing_is_an_error_not_a_gap() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Lacking(Situation):
        template: ClassVar[str] = "silence"
        tool: str = "write_file"

    with pytest.raises(jinja2.UndefinedError):
        render(Lacking())


def test_every_kind_of_stop_has_its_advice() -> None:
    assert set(ADVICE) == {None, *ErrorKind}


@given(kind=st.sampled_from(CUTS), value=st.text(min_size=1))
@example(kind=SectionsGuidance, value="{{ tool }} {{ 7 * 7 }}")
@example(kind=CapGuidance, value="{% for x in y %}{# remark #}{% endraw %}")
@example(kind=SilenceGuidance, value="<b>\"quoted\" & 'quoted'</b> \\n {}")
def test_values_reach_the_text_as_they_are(kind: type[Guidance], value: str) -> None:
    text = render(cut(kind, tool=f"<{value}>", on_disk=f"[{value}]"))

    assert f"<{value}>" in text
    assert f"\n[{value}]\n" in text


@given(value=st.text())
@example(value="{{ attempts }}")
def test_what_an_endpoint_said_reaches_the_person_as_it_is(value: str) -> None:
    assert f"— <{value}> (" in render(stopped(message=f"<{value}>"))


@given(smallest_cut=st.integers(min_value=0))
def test_suggested_lines_are_half_of_what_failed_within_bounds(smallest_cut: int) -> None:
    suggested = suggest_lines(smallest_cut)

    assert 50 <= suggested <= 400
    assert suggested == smallest_cut // 2 or suggested in (50, 400)


@given(smaller=st.integers(min_value=0), more=st.integers(min_value=0))
def test_less_that_got_through_never_suggests_more(smaller: int, more: int) -> None:
    assert suggest_lines(smaller) <= suggest_lines(smaller + more)
