"""`edit_file`: one text in a file exchanged for another."""

from typing import Annotated

from pydantic import Field

from agentcore.tools.base import Tool, ToolContext, ToolResult, tool
from agentcore.tools.files.access import Access, error_result, settled_by
from agentcore.tools.files.edits import NoEdit, edited
from agentcore.tools.files.paths import FileError
from agentcore.tools.files.rules import FileRules
from agentcore.tools.files.write import FilePath, stored

__all__ = ["edit_tool"]


def edit_tool(rules: FileRules) -> Tool:
    """`edit_file`, by rules."""

    # One edit a call: those of one answer are made in call order, and when the answer is cut, each
    # that the model had closed is made and the others are not. A list in one call would be lost as
    # a whole. A cut `new` is parked as a draft: nothing is changed before all of it is there.
    @tool(writes="path", draft="new", begins_itself=True)
    def edit_file(
        *,
        path: FilePath,
        old: Annotated[
            str,
            Field(
                description="The text to replace, exactly as it stands in the file, with enough "
                "lines to be found once."
            ),
        ],
        replace_all: Annotated[bool, Field(description="Replace it wherever it stands.")] = False,
        new: Annotated[str, Field(description="The text to put there; empty to delete.")],
        context: ToolContext,
    ) -> ToolResult:
        """Replace one piece of text in a file. For several pieces, make several calls."""
        try:
            return _edit(Access(context, rules), path, old, new, replace_all=replace_all)
        except FileError as error:
            return error_result(str(error))

    edit_file.settled(settled_by(rules))
    return edit_file


def _edit(access: Access, path: str, old: str, new: str, *, replace_all: bool) -> ToolResult:
    with access.changing(path) as change:
        if change.before is None:
            access.read(change.place)  # says what is there instead
        change.check_seen()
        shown = change.place.path
        try:
            made = edited(change.text, old, new, replace_all=replace_all)
        except NoEdit as error:
            raise FileError(f"{shown} was not changed: {error}") from None
        after = change.encoded(made.text)
        change.store(after)
        first = made.lines[0]
        where = f"line {first}" if len(made.lines) == 1 else f"{len(made.lines)} places"
        return stored(change, made.text, f"replaced at {where}; ")
