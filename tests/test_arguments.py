import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentcore.arguments import (
    Arguments,
    closed_fields,
    escape_control_characters,
    fields_so_far,
    is_open_object,
    parse_arguments,
)
from agentcore.messages import JsonObject
from agentcore.testing.strategies import json_objects, texts


@pytest.mark.parametrize(
    ("text", "fields", "repairs"),
    [
        ('{"path": "a.md"}', {"path": "a.md"}, ()),
        ("{}", {}, ()),
        (' {"a": 1}\n', {"a": 1}, ()),
        ('\ufeff{"a": 1}', {"a": 1}, ("byte-order mark",)),
        ('```json\n{"a": 1}\n```', {"a": 1}, ("code fence",)),
        ('{"a": "x\ny\x01"}', {"a": "x\ny\x01"}, ("control characters",)),
        ('{"a": [1, 2,], }', {"a": [1, 2]}, ("trailing comma",)),
        ('{"a": ",}", }', {"a": ",}"}, ("trailing comma",)),
        ('"{\\"a\\": 1}"', {"a": 1}, ("double encoding",)),
        (
            '\ufeff"{\\"a\\": [1,]}"',
            {"a": [1]},
            ("byte-order mark", "double encoding", "trailing comma"),
        ),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}, ()),
        ('{"a": "\\ud83d"}', {"a": "\ufffd"}, ("lone surrogate",)),
        ('{"a": "\\uDE00 \\ud83d\\n"}', {"a": "\ufffd \ufffd\n"}, ("lone surrogate",)),
        ('{"a": "\\ud83d\\ud83d\\ude00"}', {"a": "\ufffd😀"}, ("lone surrogate",)),
        # A backslash and the letters after it, and nothing to repair.
        ('{"a": "\\\\ud83d"}', {"a": "\\ud83d"}, ()),
        ('{"a": "\\\\ud83d \\ud83d"}', {"a": "\\ud83d \ufffd"}, ("lone surrogate",)),
    ],
)
def test_closed(text: str, fields: JsonObject, repairs: tuple[str, ...]) -> None:
    assert parse_arguments(text) == Arguments(fields=fields, repairs=repairs)
    assert closed_fields(text) == fields
    assert not is_open_object(text)


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("", True),
        ("  ", True),
        ("{", True),
        ('{"path": "a.md", "content": "# Pl', True),
        ('{"a": "x\n', True),
        ('```json\n{"a": 1', True),
        ('\ufeff{"a": 1', True),
        # Its beginning needs a lossless repair: still a beginning.
        ('{"tags": ["x",], "content": "# Pl', True),
        ('{"a": 1} {"b": 2}', False),
        ('{"a": 1}}', False),
        ("{'a': 1}", False),
        ("[1]", False),
        ('"text"', False),
        ('"[1]"', False),
        ('"{"', False),
        ("null", False),
        ("Sure! Here is the file.", False),
        # Not to be repaired without a loss: was the break meant, or the escape?
        ('{"a": "x\\\ny"}', False),
        ('{"a": "\ud83d"}', False),
    ],
)
def test_not_closed(text: str, is_open: bool) -> None:
    assert parse_arguments(text) is None
    assert is_open_object(text) is is_open


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"path": "a.md", "content": "# Pl', {"path": "a.md"}),
        ('{"path": "a.md"', {"path": "a.md"}),
        ('{"path": "a.m', {}),
        ('{"path"', {}),
        ('{"path":', {}),
        # 12 may have become 120, and true is known by its comma only.
        ('{"n": 12', {}),
        ('{"n": 12, ', {"n": 12}),
        ('{"ok": true, "content', {"ok": True}),
        ('{"a": {"b": [1, "]"]}, "c": {"d": 1', {"a": {"b": [1, "]"]}}),
        ('{"a": {"b": 1}', {"a": {"b": 1}}),
        ('{"a": "x\ny", "b": "', {"a": "x\ny"}),
        ('```json\n{"a": "x", "b', {"a": "x"}),
        ('{"tags": ["x",], "content": "# Pl', {"tags": ["x"]}),
        ('{"a": "\\ud83d", "content": "# Pl', {"a": "\ufffd"}),
        # A wrong escape in a later value once cost those before it.
        ('{"path": "a.md", "n": 1, "content": "x\\q"}', {"path": "a.md", "n": 1}),
        ('{"path": "a.md", "content": "x\\q", "mode": "app', {"path": "a.md"}),
        ("[1, 2", {}),
        ('"text"', {}),
        ("Sure! ", {}),
        ("", {}),
        ("}", {}),
    ],
)
def test_closed_fields(text: str, fields: JsonObject) -> None:
    assert closed_fields(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"path": "a.md", "content": "# Pl', {"path": "a.md", "content": "# Pl"}),
        ('{"path": "a.md", "content": "', {"path": "a.md", "content": ""}),
        ('{"path": "a.md", "cont', {"path": "a.md"}),
        ('{"path": "a.m', {"path": "a.m"}),
        ('{"content": "x\\', {"content": "x"}),
        ('{"content": "x\\u00', {"content": "x"}),
        ('{"content": "x\\ud83d', {"content": "x\ufffd"}),
        ('{"content": "x\ny\t', {"content": "x\ny\t"}),
        ('```json\n{"content": "x', {"content": "x"}),
        ('{"tags": ["x",], "content": "# Pl', {"tags": ["x"], "content": "# Pl"}),
        # up to the place at which it is JSON no more, after characters of several bytes
        ('{"content": "日本\\q more', {"content": "日本"}),
        ('{\n"path": "é",\n"content": "日本\\q more"}', {"path": "é", "content": "日本"}),
        ('{"content": "say "hello', {"content": "say "}),
        ("[1, 2", {}),
        ('"text', {}),
        ("Sure! ", {}),
        ("", {}),
        ('{"a": "\ud83d', {}),
    ],
)
def test_fields_so_far(text: str, fields: JsonObject) -> None:
    assert fields_so_far(text) == fields


@given(json_objects(), st.booleans(), st.data())
def test_of_any_beginning_the_fields_so_far_are_those_that_were_meant_and_one_begun(
    fields: JsonObject, ascii_only: bool, data: st.DataObject
) -> None:
    text = json.dumps(fields, ensure_ascii=ascii_only)
    beginning = text[: data.draw(st.integers(0, len(text)))]

    so_far = fields_so_far(beginning)

    assert list(so_far) == list(fields)[: len(so_far)]
    assert [*so_far.items()][:-1] == [*fields.items()][: max(0, len(so_far) - 1)]
    assert closed_fields(beginning).items() <= fields.items()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ('{"a": "x\ny\r\t\x01"}', '{"a": "x\\ny\\r\\t\\u0001"}'),
        ('{\n"a": "x\ny', '{\n"a": "x\\ny'),
        ('{"a": "\\"\n"}', '{"a": "\\"\\n"}'),
        # Once the break alone was escaped, and backslash + n came out of it.
        ('{"a": "x\\\ny\n"}', '{"a": "x\\\ny\\n"}'),
        ('{"a": "x\\', '{"a": "x\\'),
    ],
)
def test_control_characters(text: str, escaped: str) -> None:
    assert escape_control_characters(text) == escaped


@given(json_objects(), st.booleans(), st.sampled_from([None, 1]))
def test_any_object_is_closed(fields: JsonObject, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(fields, ensure_ascii=ascii_only, indent=indent)

    assert parse_arguments(text) == Arguments(fields=fields)
    assert parse_arguments(json.dumps(text)) == Arguments(
        fields=fields, repairs=("double encoding",)
    )


@given(json_objects())
def test_raw_control_characters_change_nothing(fields: JsonObject) -> None:
    text = json.dumps(fields, ensure_ascii=False)
    raw = text.replace("\\\\", "\\u005c").replace("\\n", "\n").replace("\\t", "\t")

    parsed = parse_arguments(raw)

    assert parsed is not None
    assert parsed.fields == fields


@given(json_objects(), st.booleans(), st.data())
def test_any_beginning_is_open_and_shows_only_whole_values(
    fields: JsonObject, ascii_only: bool, data: st.DataObject
) -> None:
    text = json.dumps(fields, ensure_ascii=ascii_only)
    beginning = text[: data.draw(st.integers(0, len(text) - 1))]

    assert parse_arguments(beginning) is None
    assert is_open_object(beginning)
    assert closed_fields(beginning).items() <= fields.items()


@given(
    texts()
    | st.text(st.characters())
    | st.lists(
        st.sampled_from(
            ['{"a":', '"x', '"', "}", ",", "```\n", "\\", "\ud83d", "[", "]", "1", "\n"]
        )
    ).map("".join)
)
@example('{"\ud800": 1}')
def test_no_text_is_both_open_and_closed_and_none_raises(text: str) -> None:
    parsed = parse_arguments(text)

    assert parsed is None or not is_open_object(text)
    assert parsed is None or closed_fields(text) == parsed.fields
    assert closed_fields(text) is not None
