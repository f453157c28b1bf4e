"""Whatever the values are: every template renders, tells them as they are, and stays short."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from itertools import pairwise
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from agentcore.guidance import SITUATIONS, ArgumentsGuidance, CutGuidance, Situation, Templates
from agentcore.guidance.checks import KNOWN_TOOLS
from agentcore.guidance.samples import sample_of
from agentcore.testing.scripted import _understand

CUTS = [kind for kind in SITUATIONS if issubclass(kind, CutGuidance)]
render = Templates().render
ANY_TEXT = st.text() | st.sampled_from(
    ["{{ tool }}", "{% endraw %}{% raw %}", "%s %(a)s {0} {}", "a\nb\r\n\n", "\ud800", "‮𝄞", "{#"]
)
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: ANY_TEXT,
    int: st.integers(0, 10**12),
    float: st.floats(0, 1e9),
    bool: st.booleans(),
}


@st.composite
def situations(draw: st.DrawFn, kinds: Sequence[type[Situation]]) -> Situation:
    """Any values; of a level, one that there is."""
    kind = draw(st.sampled_from(kinds))
    sample = sample_of(kind)
    values = {
        field.name: draw(
            st.sampled_from(kind.levels())
            if field.name == "level"
            else VALUES[type(getattr(sample, field.name))]
        )
        for field in fields(kind)
    }
    return replace(sample, **values)


@given(situation=situations(list(SITUATIONS)))
@example(situation=ArgumentsGuidance(tool="look", problems=""))  # was no text at all
@example(situation=ArgumentsGuidance(tool="", problems="\r"))  # so was this
def test_every_value_reaches_the_text_as_it_is(situation: Situation) -> None:
    text = render(situation)

    assert text
    text.encode()  # a lone surrogate would end the request
    for value in situation.essentials().values():
        plain = value.encode(errors="replace").decode()
        assert plain.strip() in text.replace("\ufffd", "?")


def words(most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(["{{a}}", "word", "é…"]), max_size=most).map(" ".join)


@given(
    situation=situations(CUTS),
    tool=words(1),
    reason=words(12),
    on_disk=words(28),
    next_call=words(4),
    target=words(2),
)
def test_a_cut_is_told_in_120_words(situation: CutGuidance, **ordinary: str) -> None:
    draft_id = "4f1c09ab" if situation.kept_lines else ""
    changes: dict[str, Any] = {**ordinary, "code_tool": "execute_code", "draft_id": draft_id}
    told = replace(situation, **changes)

    assert len(render(told).split()) <= 120


@given(situation=situations(list(SITUATIONS)))
def test_no_tool_is_named_that_is_not_on_offer(situation: Situation) -> None:
    bare = replace(situation, **dict.fromkeys(situation.offers, ""))
    # What a value says is data: a message of a tool may name another one.
    assume(not any(tool in str(asdict(bare)) for tool in KNOWN_TOOLS))
    text = render(bare)

    assert not [tool for tool in KNOWN_TOOLS if tool in text]


@given(situation=situations(CUTS))
@example(situation=sample_of(CUTS[0]))
def test_the_next_level_says_something_else(situation: Situation) -> None:
    levels = situation.levels()
    changes: list[dict[str, Any]] = [{"level": level} for level in levels]
    texts = [render(replace(situation, **each)) for each in changes]

    assert all(one != other for one, other in pairwise(texts))


@given(
    kind=st.sampled_from([kind for kind in CUTS if "section_lines" in kind.tells]),
    level=st.integers(1, 3),
    kept=st.booleans(),
    lines=st.integers(1, 10**6),
    section=st.integers(50, 400),
)
def test_a_model_reads_the_numbers_that_were_put_in(
    kind: type[CutGuidance], level: int, kept: bool, lines: int, section: int
) -> None:
    changes: dict[str, Any] = {
        "level": level,
        "on_disk": f'"a.md" has {lines} lines on disk; they are safe.',
        "next_call": f'path="a.md", mode="append", start_line={lines + 1}',
        "section_lines": section,
        "kept_lines": 7 if kept else 0,
        "draft_id": "",
    }
    told = _understand(render(replace(sample_of(kind), **changes)))

    assert (told.mode, told.start_line, told.at_most) == ("append", lines + 1, section)
    assert told.lines == lines
