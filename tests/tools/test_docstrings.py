"""What a docstring tells the model, in each of the three styles and in none."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore.tools.docstrings import Described, read_docstring
from agentcore.tools.sections import read_sections

GOOGLE = """Find notes.

    The best come first.

    Args:
        query (str): What to look for,
            in any language.
        limit: How many. Defaults to 10.

    Returns:
        Their names, one a line.

    Raises:
        OSError: The disk is gone.
    """
NUMPY = """Find notes.

    The best come first.

    Parameters
    ----------
    query : str
        What to look for,
        in any language.
    limit : int, optional
        How many. Defaults to 10.

    Returns
    -------
    str
        Their names, one a line.

    Raises
    ------
    OSError
        The disk is gone.
    """
REST = """Find notes.

    The best come first.

    :param query: What to look for,
        in any language.
    :type query: str
    :param int limit: How many. Defaults to 10.
    :returns: Their names, one a line.
    :raises OSError: The disk is gone.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_each_style_says_the_same(text: str) -> None:
    assert read_docstring(text) == Described(
        description="Find notes.\n\nThe best come first.\n\nReturns: Their names, one a line.",
        parameters={
            "query": "What to look for, in any language.",
            "limit": "How many. Defaults to 10.",
        },
    )


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (None, ""),
        ("", ""),
        ("One line.", "One line."),
        (
            "First.\n\n    Second:\n        - a\n        - b\n",
            "First.\n\nSecond:\n    - a\n    - b",
        ),
        # Sections that tell of no parameter are the author's layout, and stay it.
        ("Sum.\n\n    Note:\n        Slow.", "Sum.\n\nNote:\n    Slow."),
        ("Sum.\n\n    >>> 1 + 1\n    2", "Sum.\n\n>>> 1 + 1\n2"),
        ("Sum.\n\n    Args:\n", "Sum.\n\nArgs:"),
    ],
)
def test_a_docstring_without_sections_stands_as_it_is(text: str | None, description: str) -> None:
    assert read_docstring(text) == Described(description=description)


def test_other_sections_stay_in_the_description() -> None:
    text = """Sum.

    Args:
        a: One.

    Note:
        It is slow.

    Example:
        add(1)
    """
    read = read_docstring(text)
    assert read.description == "Sum.\n\nNote: It is slow.\n\nExample:\nadd(1)"
    assert read.parameters == {"a": "One."}


def test_a_list_of_choices_keeps_its_lines() -> None:
    text = """Sum.

    Args:
        mode: One of
            - a: the first
            - b: the second
    """
    assert read_docstring(text).parameters == {
        "mode": "One of\n- a: the first\n- b: the second",
    }


def test_a_docstring_that_cannot_be_read_stands_as_it_is() -> None:
    text = ":param: what\n:returns"
    assert read_docstring(text) == Described(description=text)


def test_what_is_deprecated_is_said() -> None:
    text = "Sum.\n\n:param a: One.\n:deprecated: Use add."
    assert read_docstring(text).description == "Sum.\n\nDeprecated: Use add."


@given(st.text(max_size=200) | st.text(":paramretunsAgs-\n #>", max_size=80))
def test_any_text_is_a_docstring(text: str) -> None:
    read = read_docstring(text)
    assert all(said.strip() for said in read.parameters.values())


LINES = st.sampled_from(
    [
        *("Args:", "Returns:  ", "Note:", "Raises\t:", "See Also:", "a: One.", "    a: One."),
        *("Parameters", "Returns", "Notes", "-----", "----------", "-------", ".. deprecated:: 1"),
        *(":param a: One.", ":returns: Two.", "@param a: One.", "@return: Two.", "", "Find notes."),
        *(
            "x :param a: One.",
            " @return: Two.",
            "Args",
            "Args: a",
            "--",
            "\x0cArgs:",
            "\x85@return:",
        ),
    ]
)


@given(st.lists(LINES, max_size=8).map("\n".join))
def test_a_docstring_that_is_not_given_to_the_parser_has_nothing_for_it(text: str) -> None:
    plain = inspect.cleandoc(text)
    description, parameters = read_sections(plain) or (plain, {})
    assert read_docstring(text) == Described(description=description, parameters=parameters)
