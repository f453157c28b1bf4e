"""An edit changes what it names and nothing else, or nothing at all."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agentcore.tools import ToolContext, ToolResult, edit_file, write_file
from agentcore.tools.files.edits import NoEdit, edited
from agentcore.tools.files.texts import ENCODINGS, Encoding, Text, decoded


def edit(workspace: Path, old: str, new: str, **more: JsonValue) -> ToolResult:
    arguments = edit_file.validate({"path": "a.py", "old": old, "new": new, **more})
    result = edit_file.function(**arguments, context=ToolContext(workspace=workspace))
    assert isinstance(result, ToolResult)
    return result


def test_what_stands_once_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\nthree")

    assert edit(tmp_path, "two", "2\n2b") == ToolResult(
        content="a.py: replaced at line 2; 4 lines on disk now.", changed=True
    )
    assert (tmp_path / "a.py").read_text() == "one\n2\n2b\nthree"


ROWS: list[tuple[bytes, str, str, bytes]] = [
    # line ends: as the place has them, whatever the model sends
    (b"a\r\nb\r\nc\r\n", "a\nb", "a\nB\nB2", b"a\r\nB\r\nB2\r\nc\r\n"),
    (b"a\r\nb\r\nc\r\n", "a\r\nb", "a\r\nB", b"a\r\nB\r\nc\r\n"),
    (b"a\nb\nc\n", "a\r\nb\r\n", "a\r\nB\r\n", b"a\nB\nc\n"),
    # of lines that stay the line ends stay as well
    (b"a\r\nb\nc\r\nd\n", "a\nb\nc\nd\n", "a\nB\nc\nd\n", b"a\r\nB\nc\r\nd\n"),
    (b"a\nb\r\nc\n", "\nb\nc", "\nB\nc", b"a\nB\r\nc\n"),
    (b"x\r\na\r\nb\nc\n", "a", "A\nA2", b"x\r\nA\nA2\r\nb\nc\n"),
    # a line end belongs to the text whole
    (b"a\r\nb\r\n", "\nb", "!", b"a!\r\n"),
    (b"a\r\nb\r\n", "a\n", "", b"b\r\n"),
    # carriage returns alone, and what else ends lines elsewhere, are text
    (b"a\rb\n", "a\rb", "c", b"c\n"),
    ("a\u2028b\x0c\n".encode(), "\u2028", "-", b"a-b\x0c\n"),
    # marks and encodings
    (b"\xef\xbb\xbfa\n", "a", "ü", b"\xef\xbb\xbf\xc3\xbc\n"),
    ("\ufeffa\r\nb".encode("utf-16-le"), "a\nb", "c\nb", "\ufeffc\r\nb".encode("utf-16-le")),
    ("\ufeffa".encode("utf-16-be"), "a", "𝄞", "\ufeff𝄞".encode("utf-16-be")),
    ("\ufeffa".encode("utf-32-le"), "a", "b", "\ufeffb".encode("utf-32-le")),
    (b"a", "a", "", b""),
]


@pytest.mark.parametrize(("before", "old", "new", "after"), ROWS, ids=repr)
def test_all_other_bytes_stay(
    tmp_path: Path, before: bytes, old: str, new: str, after: bytes
) -> None:
    (tmp_path / "a.py").write_bytes(before)

    assert edit(tmp_path, old, new).changed
    assert (tmp_path / "a.py").read_bytes() == after


REFUSED: list[tuple[bytes, str, str, str]] = [
    (b"x\ny\nx\n", "x", "z", "old stands at 2 places, which begin at lines 1, 3"),
    # The third of these can be read in two ways.
    (b"x\nx\nx\n", "x\nx\n", "z", "old stands at 2 places, which begin at lines 1, 2"),
    (b"aaa", "aa", "b", "old stands at 2 places, which begin at lines 1, 1"),
    (b"x\n" * 30, "x", "z", "18, 19, 20 and more: give more lines around"),
    (b"x\n", "", "z", "old is empty"),
    (b"x\n", "x", "x", "old and new are the same text"),
    (b"x\r\ny\r\n", "x\r\ny", "x\ny", "line ends are kept as they are"),
    (b"\tif a:\n", "    if a:", "b", "Nearest is (it differs in blanks), to be copied exactly"),
    (b"def first():\n    pass\n", "def frist():", "b", "\n1: def first():"),
    (b"quite\nother\n", "zzz 123", "b", "nor anything like it"),
    (b"x\n", " \n\n", "b", "nor anything like it"),
    (b"new text\n", "old text 1", "new text", "but new does, at line 1"),
    (b"\xff\xfea", "a", "b", "a.py is not UTF-16 text (byte 2)."),
    (b"a\x80", "a", "b", "a.py is not UTF-8 text (byte 1)."),
    ("plain old text with no mark at all\n".encode("utf-16-le"), "a", "b", "UTF-16 without a mark"),
]


@pytest.mark.parametrize(("before", "old", "new", "told"), REFUSED, ids=repr)
def test_what_is_not_clear_is_not_done(
    tmp_path: Path, before: bytes, old: str, new: str, told: str
) -> None:
    (tmp_path / "a.py").write_bytes(before)
    inode = (tmp_path / "a.py").stat().st_ino

    result = edit(tmp_path, old, new)

    assert result.is_error
    assert told in result.content
    assert len(result.content.encode()) < 2_500
    assert (tmp_path / "a.py").read_bytes() == before
    assert (tmp_path / "a.py").stat().st_ino == inode


def test_of_a_long_file_the_nearest_is_shown_in_little(tmp_path: Path) -> None:
    lines = [f"    value_{number} = compute({number})\n" for number in range(15_000)]
    (tmp_path / "a.py").write_text("".join(lines))

    result = edit(tmp_path, "".join(lines[7_000:7_200]).replace("(7100)", "(71oo)"), "x")

    assert "7001:     value_7000 = compute(7000)" in result.content
    assert len(result.content.encode()) < 2_500


def test_of_a_text_that_overlaps_itself_everywhere_not_all_places_are_counted(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.py").write_text("a" * 2_000_000)

    assert "at 100 places or more" in edit(tmp_path, "a" * 1_000_000, "b").content


def test_a_file_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text("x")

    assert edit(tmp_path, "x", "y").content == "a.py does not exist. There is: b.py."


def test_everywhere_from_the_beginning_on(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"aaa\r\nb\naa")

    result = edit(tmp_path, "aa", "c", replace_all=True)

    assert result.content == "a.py: replaced at 2 places; 3 lines on disk now."
    assert (tmp_path / "a.py").read_bytes() == b"ca\r\nb\nc"


def test_a_cut_edit_is_parked_and_never_half_made() -> None:
    assert edit_file.draft == "new"
    assert edit_file.on_cut_hook is None
    assert edit_file.takes_resume
    properties = edit_file.parameters["properties"]
    assert isinstance(properties, dict)
    assert list(properties)[-1] == "new"


# --- properties -----------------------------------------------------------------------------

PIECES = st.sampled_from(["a", "b", "ab", "\n", "\r\n", "\r", " ", "é", "𝄞", "\u2028", "\ufeff"])
TEXTS = st.lists(PIECES, max_size=12).map("".join)
KNOWN = st.sampled_from(ENCODINGS)


@given(head=TEXTS, old=TEXTS.filter(bool), tail=TEXTS, new=TEXTS, sends_feeds=st.booleans())
@example(head="a\r", old="\n", tail="", new="b", sends_feeds=True)
@example(head="", old="a\r\n", tail="b", new="a\nb\n", sends_feeds=True)
def test_what_is_outside_of_an_edit_is_as_it_was(
    head: str, old: str, tail: str, new: str, sends_feeds: bool
) -> None:
    there = Text(head + old + tail)
    sent = old.replace("\r\n", "\n") if sends_feeds else old
    # A line end is one character: half of one is not found, and what is sent may read as a whole.
    assume(not (old.endswith("\r") and tail.startswith("\n")))
    assume("\r\n" not in sent or sent == old)
    try:
        made = edited(there, sent, new, replace_all=False)
    except NoEdit:
        return
    # Found once, so at the very place; only half of a line end may go with the other half.
    start, end = len(head), len(there.text) - len(tail)
    start -= head.endswith("\r") and old.startswith("\n")
    assert made.text.startswith(there.text[:start])
    assert made.text.endswith(there.text[end:])
    inside = made.text[start : len(made.text) - len(tail)]
    assert inside.replace("\r\n", "\n") == new.replace("\r\n", "\n")


@given(text=TEXTS, row=KNOWN)
def test_bytes_come_back_as_they_were(text: str, row: Encoding) -> None:
    data = row.mark + text.encode(row.codec)
    there = decoded(data)

    assert there.encoded(there.text) == data


@settings(deadline=None)
@given(before=TEXTS, text=TEXTS, row=KNOWN, mode=st.sampled_from(["overwrite", "append"]))
@example(before="", text="\ufeff", row=ENCODINGS[0], mode="append")
def test_what_is_written_is_there_in_the_files_own_encoding(
    before: str, text: str, row: Encoding, mode: str
) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.md"
        file.write_bytes(row.mark + before.encode(row.codec))
        known = decoded(file.read_bytes())
        arguments = write_file.validate({"path": "a.md", "mode": mode, "content": text})
        result = write_file.function(**arguments, context=ToolContext(workspace=Path(folder)))
        after = file.read_bytes()

    assert not result.is_error
    assert after.startswith(known.encoding.mark)
    stored = after[len(known.encoding.mark) :].decode(known.encoding.codec)
    plain = stored.replace("\r\n", "\n")
    # A mark at the beginning of a file that has one already is that one.
    begins = known.encoding.mark and (mode == "overwrite" or not known.text)
    sent = (text.removeprefix("\ufeff") if begins else text).replace("\r\n", "\n")
    if mode == "append":
        assert stored.startswith(known.text)
        assert plain.endswith(sent)
    else:
        assert plain == sent
    if "\r" not in text and mode == "overwrite" and known.line_end == "\r\n":
        assert stored.count("\n") == stored.count("\r\n")
