"""A call goes on from a parked draft: the draft's text is put before the call's own."""

import json

from pydantic import JsonValue

from agentcore.draft_store import DraftStore
from agentcore.drafts import Draft, overlap_lines, shown_end, split_lines
from agentcore.messages import JsonObject
from agentcore.tools.base import InvalidArguments, Tool

__all__ = ["next_call", "resume", "text_after"]


def resume(store: DraftStore, tool: Tool, fields: JsonObject) -> tuple[JsonObject, Draft | None]:
    """The arguments with the draft's text in them, and the draft; None for a call that has none.

    For a tool that takes `resume`.

    Raises:
        DraftError: There is no such draft.
        InvalidArguments: The call's text does not begin where the draft ends.
    """
    own = {name: value for name, value in fields.items() if name != "resume"}
    draft_id, start_line = fields.get("resume"), fields.get("start_line")
    if draft_id or "start_line" not in tool.own_parameters:
        own.pop("start_line", None)
    text = own.get(tool.draft)
    if not isinstance(draft_id, str) or not draft_id or not isinstance(text, str):
        return own, None
    draft = store.read(draft_id)
    own[tool.draft] = draft.text + text_after(draft, text, start_line)
    if "start_line" in tool.own_parameters and draft.fields.get("start_line") is not None:
        # The place that was stated for the whole text is checked as if it had come in one call.
        own["start_line"] = draft.fields["start_line"]
    return own, draft


def text_after(draft: Draft, text: str, start_line: JsonValue) -> str:
    """What of a text is new after a draft.

    Raises:
        InvalidArguments: It is meant for another place.
    """
    lines = split_lines(draft.text)
    if isinstance(start_line, int) and start_line != len(lines) + 1:
        there = lines[max(start_line, 1) - 1 :]
        fresh = split_lines(text)
        if not there or fresh[: len(there)] != there[: len(fresh)]:
            raise InvalidArguments(
                f"Draft {draft.id} has {len(lines)} lines, so its text goes on at line "
                f"{len(lines) + 1}, not at {start_line}. Nothing was written. Its last line is: "
                f"{shown_end(draft.text)}"
            )
        return "".join(fresh[len(there) :])
    repeated = overlap_lines(draft.text, text)
    return "".join(split_lines(text)[repeated:])


def next_call(draft: Draft, given: JsonObject) -> str:
    """The arguments of the call that goes on from a parked draft, ready to copy.

    Args:
        draft: What is parked.
        given: The arguments of the call that was cut last: what they say now is what counts.
    """
    known = {
        name: value
        for name, value in {**draft.fields, **given}.items()
        if name not in ("resume", "start_line") and value is not None
    }
    pairs = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in known.items()]
    return ", ".join([*pairs, f'resume="{draft.id}"', f"start_line={draft.lines + 1}"])
