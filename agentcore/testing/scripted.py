"""`ScriptedModel`: writes a file that it knows, and obeys what it is told.

Like a real model it sees the request's JSON and nothing else: it keeps no state of its own, and
reads guidance as text.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from agentcore.messages import Usage
from agentcore.testing.script import Answer, Call

__all__ = ["ScriptedModel"]

_NEXT_CALL = re.compile(r'mode="(?P<mode>\w+)", start_line=(?P<line>\d+)')
_AT_MOST = re.compile(r"at most (?P<lines>\d+) lines")
_ON_DISK = re.compile(r": (?P<lines>\d+) lines on disk now")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedModel:
    """Call it with the request's JSON; it gives the answer."""

    path: str
    text: str
    """What the file must hold in the end; its last line ends with a line break."""
    tool: str = "write_file"

    def __call__(self, body: Mapping[str, JsonValue]) -> Answer:
        """The next answer to this conversation."""
        messages = [m for m in _list(body.get("messages")) if isinstance(m, dict)]
        last = messages[-1] if messages else {}
        said = str(last.get("content") or "")
        if last.get("role") != "tool":
            return self._write(messages, "overwrite", 1, len(self._lines))
        if done := _ON_DISK.search(said):
            written = int(done["lines"])
            if written >= len(self._lines):
                return self._answer(messages, text=f"{self.path} is written: {written} lines.")
            return self._write(messages, "append", written + 1, _section(messages))
        if told := _NEXT_CALL.search(said):
            return self._write(messages, told["mode"], int(told["line"]), _section(messages))
        # Told to plan first and to begin at once, or told nothing that it understands.
        return self._write(messages, "overwrite", 1, len(self._lines), text="Plan: one file.\n")

    @property
    def _lines(self) -> list[str]:
        return self.text.splitlines(keepends=True)

    def _write(
        self,
        messages: list[dict[str, JsonValue]],
        mode: str,
        start_line: int,
        count: int,
        text: str = "",
    ) -> Answer:
        content = "".join(self._lines[start_line - 1 : start_line - 1 + count])
        arguments = {
            "path": self.path,
            "mode": mode,
            "start_line": start_line if mode == "append" else None,
            "content": content,
        }
        return self._answer(messages, text=text, arguments=json.dumps(arguments))

    def _answer(
        self, messages: list[dict[str, JsonValue]], *, text: str, arguments: str = ""
    ) -> Answer:
        number = sum(message.get("role") == "assistant" for message in messages) + 1
        call = Call(name=self.tool, arguments=arguments, id=f"call_{number:04}")
        return Answer(
            text=text,
            calls=(call,) if arguments else (),
            usage=Usage(
                input_tokens=len(json.dumps(messages)) // 4,
                output_tokens=(len(text) + len(arguments)) // 4 + 1,
            ),
        )


def _section(messages: list[dict[str, JsonValue]]) -> int:
    """How many lines a section may hold: the last that it was told."""
    for message in reversed(messages):
        if message.get("role") == "tool" and (
            told := _AT_MOST.search(str(message.get("content") or ""))
        ):
            return int(told["lines"])
    return 1_000_000


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
