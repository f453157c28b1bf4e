"""The words of a schema: a description made of what was said and of what the schema cannot say."""

import json
from collections.abc import Iterable
from typing import Final

from pydantic import JsonValue

from agentcore.messages import JsonObject

__all__ = ["clipped", "counted", "described", "shown"]

MAX_SHOWN: Final = 200
"""Characters of a value that a description repeats."""


def described(schema: JsonObject, notes: Iterable[str], said: JsonValue) -> JsonObject:
    """With a description of what was said, then of the notes that it lacks."""
    text = said.strip() if isinstance(said, str) else ""
    for note in notes:
        if note in text:
            continue
        end = "" if not text or text.endswith((".", "!", "?", ":", ";")) else "."
        text = f"{text}{end} {note}".strip()
    rest = {name: value for name, value in schema.items() if name != "description"}
    return {**rest, "description": text} if text else rest


def shown(value: JsonValue) -> str:
    """A value as JSON, clipped."""
    return clipped(json.dumps(value, ensure_ascii=False))


def counted(number: int, unit: str) -> str:
    """`1 key`, `2,001 keys`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def clipped(text: str) -> str:
    """A text of at most `MAX_SHOWN` characters."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
