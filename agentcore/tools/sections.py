"""The sections of a docstring: what each style calls them, and what becomes of them.

Loads a parser: only for a docstring that has something for it (`docstrings`).
"""

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

__all__ = ["read_sections"]

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


def read_sections(text: str) -> tuple[str, dict[str, str]] | None:
    """The description, and what is said of each parameter; None for a text to be left as it is.

    Args:
        text: A docstring, its indentation taken off.
    """
    try:
        parsed = _parsed(text)
    except docstring_parser.ParseError:
        return None
    parameters = {
        meta.arg_name.lstrip("*"): said
        for meta in parsed.meta
        if isinstance(meta, DocstringParam) and (said := _flat(meta.description))
    }
    known = (DocstringParam, DocstringReturns, DocstringRaises)
    if not any(isinstance(meta, known) for meta in parsed.meta):
        # Nothing to take out; a line such as "Note: …" must not be taken for a section and moved.
        return None
    paragraphs = [parsed.short_description, parsed.long_description]
    paragraphs += [_paragraph(meta) for meta in parsed.meta]
    return "\n\n".join(text.strip() for text in paragraphs if text and text.strip()), parameters


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
