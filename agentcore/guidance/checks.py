"""What a template of the user's own must be, found out before any model reads it.

First its form: only constructs that end, and that cost no more than the text is long. Then its
words, with every sample of its situation.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentcore.guidance.folder import SUFFIX, Problem, nearest, read_folder, template_names
from agentcore.guidance.samples import samples_of
from agentcore.guidance.situations import SITUATIONS, Situation, Value
from agentcore.guidance.templates import environment_of, package_source

if TYPE_CHECKING:
    import jinja2
    from jinja2 import nodes

__all__ = ["KNOWN_TOOLS", "MAX_WORDS", "check_folder", "check_sources"]

MAX_WORDS: Final = 120
"""Of a text that a model reads, with values of ordinary length: what it obeys, it must read."""
MAX_PERSON_BYTES: Final = 8_192

KNOWN_TOOLS: Final = (
    "edit_file",
    "execute_code",
    "list_files",
    "read_file",
    "search_files",
    "write_file",
)
"""Tools that come with the package, which an agent may have or not."""

_FORMS: Final = frozenset((
    "Add", "And", "Block", "Call", "Compare", "Concat", "CondExpr", "Const", "Extends", "Filter",
    "If", "Include", "Keyword", "List", "Name", "Neg", "Not", "Operand", "Or", "Output", "Sub",
    "Template", "TemplateData", "Test", "Tuple",
))  # fmt: skip
"""Constructs that end by themselves, and give no more than they are given.

No loop, no macro, no assignment, no product, no attribute: nothing that takes more time or room
than the template is long. So no template can hold a run up, and none needs a time limit."""
_FILTERS: Final = frozenset((
    "abs", "capitalize", "count", "d", "default", "first", "int", "last", "length", "lower",
    "string", "title", "trim", "truncate", "upper", "wordcount",
))  # fmt: skip
"""Filters whose result is no longer than what goes in."""
_PREFIX: Final = "agentcore/"


def check_folder(folder: Path, *, offered: Collection[str] = ()) -> list[Problem]:
    """Everything that is wrong with a folder of templates; empty for one that can be used.

    Args:
        folder: Where `<name>.md.jinja` are.
        offered: Names of the tools on offer, which a template may name.
    """
    sources, problems = read_folder(folder)
    return problems + check_sources(sources, folder=folder, offered=offered)


def check_sources(
    sources: Mapping[str, str], *, folder: Path = Path(), offered: Collection[str] = ()
) -> list[Problem]:
    """Everything that is wrong with templates, by file.

    Args:
        sources: The text of each, by name.
        folder: Where they are, for what is told.
        offered: Names of the tools on offer, which a template may name.
    """
    environment = environment_of(sources)
    problems: list[Problem] = []
    for kind in SITUATIONS:
        source = sources.get(kind.template)
        if source is not None:
            found = _problems_of_form(kind, source, environment)
            # Not even tried while its form is wrong: it might not end.
            problems += found or _problems_of_words(kind, source, environment, offered)
    return [replace(one, file=str(folder / one.file)) for one in problems]


# --- the form -------------------------------------------------------------------------------


def _problems_of_form(
    kind: type[Situation], source: str, environment: "jinja2.Environment"
) -> list[Problem]:
    """What of a template's form cannot be used: its syntax, its constructs, its names."""
    from jinja2 import TemplateSyntaxError

    file = kind.template + SUFFIX
    try:
        tree = environment.parse(source)
        found = _wrong_forms(kind, tree, environment)
        if not found:
            environment.compile(source)  # only what is known to be small
    except TemplateSyntaxError as error:
        return [Problem(file=file, line=error.lineno, text=f"{error.message}")]
    except (RecursionError, MemoryError, SyntaxError):
        return [Problem(file=file, text="it is nested too deeply; put conditions side by side")]
    except ValueError as error:  # a number with thousands of digits
        return [Problem(file=file, text=f"it cannot be read as a template: {error}")]
    return [Problem(file=file, line=line, text=text) for line, text in found]


def _wrong_forms(
    kind: type[Situation], tree: "nodes.Template", environment: "jinja2.Environment"
) -> list[tuple[int, str]]:
    names = tuple(field.name for field in fields(kind))
    tests = tuple(environment.tests)
    found = [
        (node.lineno, text) for node in _walk(tree) if (text := _wrong_with(node, names, tests))
    ]
    return [*found, *_wrong_blocks(tree)]


def _walk(tree: "nodes.Node") -> Iterator["nodes.Node"]:
    """Every node, in the order of the text; without recursion."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(list(node.iter_child_nodes()))


def _wrong_with(node: "nodes.Node", names: tuple[str, ...], tests: tuple[str, ...]) -> str:
    """Why a node cannot be taken; empty when it can.

    Args:
        node: A part of the template.
        names: The variables that there are.
        tests: What may stand after `is`.
    """
    from jinja2 import nodes

    form = type(node).__name__
    if form not in _FORMS:
        return (
            f"{_WORDS.get(form, form.lower())} cannot be used here: a template has text, values, "
            "if, blocks and simple filters"
        )
    if isinstance(node, nodes.Call):
        is_super = isinstance(node.node, nodes.Name) and node.node.name == "super"
        return "" if is_super and not node.args else "only super() may be called"
    if isinstance(node, nodes.Name) and node.name not in (*names, "super"):
        return f"there is no variable {node.name!r}; {nearest(node.name, names)}"
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        return f"the filter {node.name!r} cannot be used; {nearest(node.name, _SORTED_FILTERS)}"
    if isinstance(node, nodes.Test) and node.name not in tests:
        return f"there is no test {node.name!r}; {nearest(node.name, tests)}"
    if isinstance(node, nodes.Extends | nodes.Include):
        return _wrong_target(node.template)
    return ""


_SORTED_FILTERS: Final = tuple(sorted(_FILTERS))
_WORDS: Final[Mapping[str, str]] = {
    "For": "a loop",
    "Macro": "a macro",
    "CallBlock": "a macro",
    "Assign": "an assignment",
    "AssignBlock": "an assignment",
    "With": "an assignment",
    "Import": "an import",
    "FromImport": "an import",
    "Getattr": "an attribute",
    "Getitem": "a subscript",
    "Mul": "a product",
    "Mod": "%",
    "Pow": "a power",
    "Div": "a division",
    "FloorDiv": "a division",
    "FilterBlock": "a filter block",
    "ScopedEvalContextModifier": "autoescape",
    "Slice": "a subscript",
}


def _wrong_target(target: "nodes.Node") -> str:
    from jinja2 import nodes

    value = target.value if isinstance(target, nodes.Const) else None
    if not isinstance(value, str):
        return "name the template as a text in quotes"
    name = value.removeprefix(_PREFIX).removesuffix(SUFFIX)
    if value == f"{_PREFIX}{name}{SUFFIX}" and name in template_names():
        return ""
    near = nearest(value, tuple(f"{_PREFIX}{known}{SUFFIX}" for known in template_names()))
    return f"{value!r} is none of the package's templates; {near}"


def _wrong_blocks(tree: "nodes.Template") -> Iterator[tuple[int, str]]:
    """What jinja would leave out without a word in a template that extends another."""
    from jinja2 import nodes

    extends = [node for node in _walk(tree) if isinstance(node, nodes.Extends)]
    if not extends:
        return
    for each in extends:
        if each not in tree.body or each is not extends[0]:
            yield each.lineno, "extends stands once, above everything else and in no condition"
            return
    target = extends[0].template
    parent = str(target.value) if isinstance(target, nodes.Const) else ""
    known = _blocks_of(parent)
    for block in _walk(tree):
        if isinstance(block, nodes.Block) and known and block.name not in known:
            yield (
                block.lineno,
                f"{parent} has no block {block.name!r}; {nearest(block.name, known)}",
            )
    for node in tree.body:
        if not isinstance(node, nodes.Extends | nodes.Block) and not _is_blank(node):
            yield node.lineno, f"text outside of a block is never shown below extends {parent!r}"


def _blocks_of(parent: str) -> tuple[str, ...]:
    name = parent.removeprefix(_PREFIX).removesuffix(SUFFIX)
    if name not in template_names():
        return ()  # told already
    return tuple(re.findall(r"\{% block (\w+)", package_source(name)))


def _is_blank(node: "nodes.Node") -> bool:
    from jinja2 import nodes

    return isinstance(node, nodes.Output) and all(
        isinstance(part, nodes.TemplateData) and not part.data.strip() for part in node.nodes
    )


# --- the words ------------------------------------------------------------------------------


def _problems_of_words(
    kind: type[Situation],
    source: str,
    environment: "jinja2.Environment",
    offered: Collection[str],
) -> list[Problem]:
    """What is wrong with the text of a template; each kind of mistake once, with its sample."""
    file = kind.template + SUFFIX
    template = environment.get_template(file)
    names_a_tool = any(tool in source for tool in KNOWN_TOOLS)
    problems: dict[str, Problem] = {}
    texts: dict[tuple[Value, ...], tuple[Value, str]] = {}
    for sample in samples_of(kind):
        try:
            text = template.render(sample.variables.values()).strip()
        except Exception as error:
            line = _line_in(error)
            told = f"with the sample ({sample.label}) it fails: {type(error).__name__}: {error}"
            return [Problem(file=file, line=line, text=told)]
        told_wrong = list(_wrong_words(sample.variables, text))
        if names_a_tool and (foreign := _tool_not_on_offer(sample.variables, template, offered)):
            told_wrong.append(("tool", foreign))
        for rule, told in told_wrong:
            problems.setdefault(
                rule, Problem(file=file, text=f"{told}; seen with the sample ({sample.label})")
            )
        if "bytes" in problems:
            break  # a thousand more of this length would take their time
        if kind.levels():
            values = sample.variables.values()
            level = values.pop("level")
            before, same = texts.get(tuple(values.values()), (0, ""))
            if text == same:
                told = (
                    f"the same words at level {before} and at level {level} would bring the same "
                    "call; let the text change with `level`"
                )
                problems.setdefault("level", Problem(file=file, text=told))
            texts[tuple(values.values())] = (level, text)
    return list(problems.values())


def _wrong_words(situation: Situation, text: str) -> Iterator[tuple[str, str]]:
    """Each rule that a text breaks, and how."""
    if not text:
        yield "empty", "it gives no text at all; say what happened and what comes next"
        return
    for_model = situation.reader == "model"
    words, size = len(text.split()), len(text.encode())
    room = situation.max_bytes if for_model else MAX_PERSON_BYTES
    if for_model and words > MAX_WORDS:
        yield "words", f"it gives {words} words, and a model gets at most {MAX_WORDS}; shorten it"
    if size > room:
        yield "bytes", f"it gives {size:,} bytes, and there is room for {room:,}; shorten it"
    for name, value in situation.essentials().items():
        if value not in text:
            yield name, f"{{{{ {name} }}}} is not told; the text must hold it as it is"


def _tool_not_on_offer(
    situation: Situation, template: "jinja2.Template", offered: Collection[str]
) -> str:
    """That the template itself names a tool which need not be on offer; empty for none."""
    values = situation.values()
    allowed = {*offered, *(str(values[name]) for name in situation.offers)}
    # The samples' own values name tools, so they are rendered with other names.
    masked = {
        name: _masked(value) if isinstance(value, str) else value for name, value in values.items()
    }
    text = template.render(masked)
    named = (tool for tool in KNOWN_TOOLS if re.search(rf"(?<!\w){tool}(?!\w)", text))
    foreign = next((tool for tool in named if tool not in allowed), "")
    if not foreign:
        return ""
    use = " or ".join(f"{{{{ {name} }}}}" for name in sorted(situation.offers))
    way = f"; use {use} inside an if" if use else "; leave it out"
    return f"it names {foreign}, which may not be on offer{way}"


def _masked(text: str) -> str:
    for tool in KNOWN_TOOLS:
        text = text.replace(tool, "tool-of-yours")
    return text


def _line_in(error: Exception) -> int:
    """The line of a template that raised; 0 where it cannot be told."""
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
