"""The same failing call again and again: a hint, a refusal, the end of the run."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from agentcore.messages import JsonObject

__all__ = ["HINT_AT", "REFUSE_AT", "STOP_AT", "Repeats"]

HINT_AT: Final = 2
"""The failure that is answered with a hint beside its error."""
REFUSE_AT: Final = 3
"""The call that is not run any more."""
STOP_AT: Final = 4
"""The call that ends the run."""

_Key: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class Repeats:
    """Counts, over a run, how often the same call failed.

    The same is: the same tool, with arguments that are equal as JSON. In which order they stand,
    and how they are spelled, does not count. Equal calls of one answer count once: the model has
    not seen the first one fail.
    """

    _failures: Counter[_Key] = field(default_factory=Counter)
    _counted: set[_Key] = field(default_factory=set)
    """What was counted of the answer that is dispatched now."""

    def new_answer(self) -> None:
        """The calls that come now are of another answer of the model."""
        self._counted.clear()

    @property
    def is_empty(self) -> bool:
        """Nothing has failed."""
        return not self._failures

    def refuse(self, name: str, fields: JsonObject) -> int:
        """Which failure in the same form a call is that must not run again; 0 for one that may."""
        if not self._failures:
            return 0
        key = _key(name, fields)
        known = self._failures[key] - (key in self._counted)
        return self._count(key) if known >= REFUSE_AT - 1 else 0

    def failed(self, name: str, fields: JsonObject) -> int:
        """A call that ran has failed; which failure in the same form it is, from 1."""
        return self._count(_key(name, fields))

    def succeeded(self, name: str, fields: JsonObject, *, changed: bool) -> None:
        """A call has succeeded; where it changed the world, what failed in the old may work now."""
        if changed:
            self._failures.clear()
            self._counted.clear()
        elif self._failures:
            key = _key(name, fields)
            del self._failures[key]
            self._counted.discard(key)

    def _count(self, key: _Key) -> int:
        if key not in self._counted:
            self._counted.add(key)
            self._failures[key] += 1
        return self._failures[key]


def _key(name: str, fields: JsonObject) -> _Key:
    # The digest: the arguments of a large write are not kept twice.
    text = json.dumps(fields, sort_keys=True)
    return name, hashlib.sha256(text.encode()).hexdigest()
