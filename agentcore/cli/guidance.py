"""`agentcore guidance`: what the model is told in each situation, and the person at the end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentcore.cli.agents import failures_told
from agentcore.errors import ConfigurationError
from agentcore.guidance import SITUATIONS, Situation, Templates
from agentcore.guidance.checks import check_folder
from agentcore.guidance.descriptions import variables_of, when
from agentcore.guidance.folder import SUFFIX, Problem
from agentcore.guidance.samples import shown_of

__all__ = ["guidance"]

PIPE_WIDTH = 160
"""Columns where no terminal says how many there are."""


def guidance(
    name: Annotated[
        str, typer.Argument(help="A template; without one all are listed.", show_default=False)
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option(help="Your own templates, as Agent(guidance=…) takes them; checks them all."),
    ] = None,
    level: Annotated[
        int | None, typer.Option(min=1, help="Show this step of the escalation only.")
    ] = None,
    tool: Annotated[
        list[str] | None,
        typer.Option("--tool", help="A tool that is on offer, which your templates may name."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,
) -> None:
    """Show the texts that a model gets when something cannot work, each with a sample.

    With --folder the exit status is 1 when a template in it cannot be used; every reason is told.
    """
    console, errors = Console(), Console(stderr=True)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    with failures_told(errors):
        kinds = _named(name, level)
        problems = check_folder(folder, offered=tool or ()) if folder is not None else []
        templates = Templates(folder if not problems else None, offered=tool or ())
    described = [] if problems else [_describe(kind, templates, level) for kind in kinds]
    if as_json:
        typer.echo(_as_json(described, problems))
    elif problems:
        for problem in problems:
            errors.print(Text.assemble(("error: ", "bold red"), str(problem)), soft_wrap=True)
    elif name:
        _show(described[0], console)
    else:
        _list(described, console)
    if problems:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """A template, and what it gives."""

    name: str
    when: str
    reader: str
    source: str
    """The file that it comes from; `package`, or a path."""
    variables: dict[str, str]
    texts: dict[str, str] = field(default_factory=dict)
    """What is special about a sample → the text."""

    @property
    def words(self) -> int:
        """Of the longest text."""
        return max(len(text.split()) for text in self.texts.values())


def _named(name: str, level: int | None) -> Sequence[type[Situation]]:
    kinds = {kind.template: kind for kind in SITUATIONS}
    if not name:
        if level is not None:
            raise ConfigurationError("--level: name the template whose step you want to see")
        return SITUATIONS
    kind = kinds.get(name.removesuffix(SUFFIX))
    if kind is None:
        meant = get_close_matches(name, kinds, n=1)
        way = f"did you mean {meant[0]!r}?" if meant else f"there are: {', '.join(kinds)}"
        raise ConfigurationError(f"guidance {name!r}: there is no such template; {way}")
    if level is not None and level not in kind.levels():
        levels = ", ".join(map(str, kind.levels()))
        has = f"its levels are {levels}" if levels else "it has no levels"
        raise ConfigurationError(f"--level {level}: {has} ({kind.template})")
    return [kind]


def _describe(kind: type[Situation], templates: Templates, level: int | None) -> _Described:
    own = templates.folder if kind.template in templates.replaced else None
    return _Described(
        name=kind.template,
        when=when(kind),
        reader=kind.reader,
        source=str(own / (kind.template + SUFFIX)) if own is not None else "package",
        variables=variables_of(kind),
        texts={
            sample.label: templates.render(sample.variables) for sample in shown_of(kind, level)
        },
    )


# --- how it looks ---------------------------------------------------------------------------


def _list(described: Sequence[_Described], console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("template", no_wrap=True)
    table.add_column("for", no_wrap=True)
    table.add_column("words", justify="right", no_wrap=True)
    table.add_column("when", overflow="fold")
    with_source = any(one.source != "package" for one in described)
    if with_source:
        table.add_column("from", no_wrap=True)
    for one in described:
        row = [one.name, one.reader, f"≤ {one.words}", one.when]
        source = "package" if one.source == "package" else "your folder"
        table.add_row(*map(Text, [*row, source] if with_source else row))
    console.print(table)


def _show(one: _Described, console: Console) -> None:
    for name, value in (("template", one.name), ("when", one.when), ("for", f"the {one.reader}"),
                        ("from", one.source)):  # fmt: skip
        console.print(Text.assemble((f"{name:<10}", "bold"), value), soft_wrap=True)
    for label, text in one.texts.items():
        said = f"{label}: " if label else ""
        head = Text(f"\n--- {said}{len(text.split())} words", style="dim")
        console.print(head, soft_wrap=True)
        # Text, so that no square bracket in it is markup.
        console.print(Text(text), soft_wrap=True)
    console.print(Text("\nVariables:", style="bold"))
    for name, told in one.variables.items():
        console.print(Text.assemble((f"  {name}", "bold"), f"  {told}"), soft_wrap=True)


def _as_json(described: Sequence[_Described], problems: Sequence[Problem]) -> str:
    templates: list[JsonValue] = [
        {
            "name": one.name,
            "when": one.when,
            "reader": one.reader,
            "source": one.source,
            "words": one.words,
            "variables": dict(one.variables),
            "texts": [{"sample": label, "text": text} for label, text in one.texts.items()],
        }
        for one in described
    ]
    told: list[JsonValue] = [
        {"file": one.file, "line": one.line or None, "problem": one.text} for one in problems
    ]
    return json.dumps({"templates": templates, "problems": told}, ensure_ascii=False)
