"""Which calls of one answer may run together: readers and writers of what their tools declare."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from agentcore.messages import JsonObject

__all__ = ["Touches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touches:
    """What a call reads and writes: normalised paths, or names of any other kind."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    alone: bool = False
    """It may touch anything."""

    @classmethod
    def of(cls, fields: JsonObject, *, reads: str, writes: str, alone: bool) -> "Touches":
        """What a call with these arguments touches; `reads` and `writes` name parameters."""
        return cls(
            reads=frozenset(_names(fields, reads)),
            writes=frozenset(_names(fields, writes)),
            alone=alone,
        )

    def conflicts_with(self, other: "Touches") -> bool:
        """The two must not run together: one of them writes what both touch."""
        return (
            self.alone
            or other.alone
            or _overlap(self.writes, other.reads | other.writes)
            or _overlap(self.reads, other.writes)
        )


def _names(fields: JsonObject, parameter: str) -> Sequence[str]:
    value = fields.get(parameter) if parameter else None
    names = value if isinstance(value, list) else [value]
    return [posixpath.normpath(name) for name in names if isinstance(name, str)]


def _overlap(some: frozenset[str], others: frozenset[str]) -> bool:
    return any(_contains(one, other) or _contains(other, one) for one in some for other in others)


def _contains(folder: str, path: str) -> bool:
    """A path is the folder, or lies in it."""
    return path == folder or folder == "." or path.startswith(f"{folder}/")
