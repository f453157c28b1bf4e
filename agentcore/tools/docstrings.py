"""What a docstring tells the model: of the tool, and of each parameter.

Google's, numpy's and reST's sections are read. What is raised is left out: the model reads the
error itself when it comes.
"""

import inspect
import re
from dataclasses import dataclass, field

__all__ = ["Described", "read_docstring"]

# In every style a section of parameters, results or errors begins with a line that ends in a colon
# (Google), or begins with one (reST), with @ (epydoc) or with dashes (numpy). Where there is none
# there is nothing to read, and no parser to load: so it is with the package's own tools.
_MAY_BEGIN_SECTION = re.compile(r"^(?::|@|---)|:\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A docstring, read."""

    description: str
    """The summary and what follows, without the sections that describe parameters or errors."""
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(text: str | None) -> Described:
    """Read a docstring; one without sections, or that cannot be read, stands as it is."""
    plain = inspect.cleandoc(text or "")
    if not _MAY_BEGIN_SECTION.search(plain):
        return Described(description=plain)
    from agentcore.tools.sections import read_sections

    if (read := read_sections(plain)) is None:
        return Described(description=plain)
    description, parameters = read
    return Described(description=description, parameters=parameters)
