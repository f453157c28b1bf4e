"""What a docstring tells the model: of the tool, and of each parameter.

Google's, numpy's and reST's sections are read. What is raised is left out: the model reads the
error itself when it comes.
"""

import inspect
from dataclasses import dataclass, field

import docstring_parser
from docstring_parser.common import (
    Docstring,
    DocstringDeprecated,
    DocstringExample,
    DocstringMeta,
    DocstringParam,
    DocstringRaises,
    DocstringReturns,
)
from docstring_parser.google import DEFAULT_SECTIONS, GoogleParser, Section, SectionType

__all__ = ["Described", "read_docstring"]

# Those that the parser does not know would be taken for the end of the section before them.
_GOOGLE = GoogleParser(
    [
        *DEFAULT_SECTIONS,
        *(
            Section(title, title.lower(), SectionType.SINGULAR)
            for title in ("Note", "Notes", "Warning", "Warnings", "Caution", "Tip", "See Also")
        ),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A docstring, read."""

    description: str
    """The summary and what follows, without the sections that describe parameters or errors."""
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(text: str | None) -> Described:
    """Read a docstring; one without sections, or that cannot be read, stands as it is."""
    plain = inspect.cleandoc(text or "")
    try:
        parsed = _parsed(plain)
    except docstring_parser.ParseError:
        return Described(description=plain)
    parameters = {
        meta.arg_name.lstrip("*"): said
        for meta in parsed.meta
        if isinstance(meta, DocstringParam) and (said := _flat(meta.description))
    }
    known = (DocstringParam, DocstringReturns, DocstringRaises)
    if not any(isinstance(meta, known) for meta in parsed.meta):
        # Nothing to take out; a line such as "Note: …" must not be taken for a section and moved.
        return Described(description=plain)
    paragraphs = [parsed.short_description, parsed.long_description]
    paragraphs += [_paragraph(meta) for meta in parsed.meta]
    return Described(
        description="\n\n".join(text.strip() for text in paragraphs if text and text.strip()),
        parameters=parameters,
    )


def _parsed(text: str) -> Docstring:
    parsed = docstring_parser.parse(text)
    if parsed.style is docstring_parser.DocstringStyle.GOOGLE:
        return _GOOGLE.parse(text)
    return parsed


def _paragraph(meta: DocstringMeta) -> str:
    """A section of the description; empty for what stands elsewhere or nowhere."""
    match meta:
        case DocstringParam() | DocstringRaises():
            return ""
        case DocstringReturns():
            title = "Yields" if meta.is_generator else "Returns"
        case DocstringExample():
            parts = (meta.snippet or "", meta.description or "")
            return "\n".join(["Example:", *(part.strip() for part in parts if part.strip())])
        case DocstringDeprecated():
            title = "Deprecated"
        case _:
            title = (meta.args[0] if meta.args else "Note").replace("_", " ").capitalize()
    return f"{title}: {_flat(meta.description)}" if meta.description else ""


def _flat(text: str | None) -> str:
    """One paragraph in one line; a list keeps its lines."""
    lines = (text or "").strip().splitlines()
    if any(line.lstrip().startswith(("- ", "* ", ">>> ")) for line in lines):
        return "\n".join(line.rstrip() for line in lines)
    return " ".join(line.strip() for line in lines if line.strip())
