"""`agentcore models`: what would be sent for a model, and why."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import anyio
import typer
from pydantic import JsonValue
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentcore.catalog import CatalogFigures, age_in_words
from agentcore.catalog_store import CatalogStore
from agentcore.cli.agents import failures_told
from agentcore.client import Client
from agentcore.endpoint import Endpoint, all_providers, cache_folder, made
from agentcore.errors import ConfigurationError
from agentcore.families import FAMILIES, family_of
from agentcore.lookup import look_up, look_up_all
from agentcore.providers import PROVIDERS, OpenRouter, ProviderAdapter
from agentcore.report import ModelReport, report_on

__all__ = ["models"]

PIPE_WIDTH = 160
"""Columns where no terminal says how many there are: nothing is folded, so that grep finds it."""


def models(
    pattern: Annotated[
        str,
        typer.Argument(
            help='"provider:model-id", a model id, or a pattern of either: "*claude*", "groq:*".',
            show_default=False,
        ),
    ] = "",
    base_url: Annotated[
        str, typer.Option(help="Instead of the provider's own, with the version part.")
    ] = "",
    max_output_tokens: Annotated[
        int | None, typer.Option(min=1, help="As if you set this cap.")
    ] = None,
    catalog: Annotated[
        bool, typer.Option("--catalog", help="Ask OpenRouter for its live limits; needs no key.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of objects.")] = False,
) -> None:
    """Say what would be sent for a model and why: family, window, cap, switches, names.

    Without a pattern it lists the families of models that are known. Nothing is sent to a model.
    """
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    with failures_told(Console(stderr=True)):
        reports = anyio.run(_reports, pattern, base_url, max_output_tokens, catalog)
    if as_json:
        typer.echo(json.dumps([report.as_json() for report in reports], ensure_ascii=False))
    elif len(reports) == 1:
        _show(reports[0], console)
    else:
        _list(reports, console, by_family=not pattern)


async def _reports(
    pattern: str, base_url: str, max_output_tokens: int | None, with_catalog: bool
) -> list[ModelReport]:
    """One for each model that the pattern names, at each provider that it names."""
    classes, id_ = _named(pattern)
    if with_catalog:
        classes = [one for one in classes if issubclass(one, OpenRouter)]
        if not classes:
            raise ConfigurationError(
                f"--catalog: only OpenRouter has one that is read, not {pattern!r}"
            )
    adapters = [_made(one, base_url, with_catalog=with_catalog) for one in classes]
    found: list[tuple[Endpoint, CatalogFigures | None]] = []
    async with Client() as client:
        store = CatalogStore(cache_folder() / "catalog")
        for adapter in adapters:
            if not _is_pattern(id_):
                at = Endpoint(adapter=adapter, model=id_)
                family = family_of(id_)
                figures = await look_up(at, family, client=client, store=store)
                found.append((at, figures))
            elif isinstance(adapter, OpenRouter) and with_catalog:
                live = await look_up_all(adapter, client=client, store=store)
                found += [
                    (Endpoint(adapter=adapter, model=model), figures)
                    for model, figures in live.items()
                    if _matches(model, id_)
                ]
            else:
                found += [
                    (Endpoint(adapter=adapter, model=row.example), None)
                    for row in FAMILIES
                    if _matches(row.example, id_)
                ]
    if not found:
        raise ConfigurationError(
            f"models {pattern!r}: no model that is known matches; give a whole id to see what "
            "would be sent for it, or --catalog to search OpenRouter's"
        )
    return [
        report_on(at, max_output_tokens=max_output_tokens, catalog=figures) for at, figures in found
    ]


def _named(pattern: str) -> tuple[list[type[ProviderAdapter]], str]:
    """The providers of a pattern and its id, which may be a pattern of ids."""
    provider, colon, id_ = pattern.partition(":")
    if colon and provider in PROVIDERS:
        return [PROVIDERS[provider]], id_ or "*"
    if not pattern or (_is_pattern(pattern) and not colon):
        return [OpenRouter], pattern or "*"  # whose ids name every family
    known = all_providers()
    if colon and (provider in known or _is_pattern(provider)):
        return [known[name] for name in sorted(known) if fnmatchcase(name, provider)], id_ or "*"
    meant = get_close_matches(provider, known, n=1, cutoff=0.8) if colon else []
    if meant:
        raise ConfigurationError(
            f"models {pattern!r}: there is no provider {provider!r}; did you mean {meant[0]!r}?"
        )
    return [known[name] for name in sorted(known)], pattern


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _matches(id_: str, pattern: str) -> bool:
    return fnmatchcase(id_.lower(), pattern.lower())


def _made(adapter: type[ProviderAdapter], base_url: str, *, with_catalog: bool) -> ProviderAdapter:
    return made(adapter, base_url=base_url or None, catalog=with_catalog or None)


# --- how it looks ---------------------------------------------------------------------------


def _show(report: ModelReport, console: Console) -> None:
    """One model, in full."""
    rows = [
        ("model", f"{report.provider}: {report.model}"),
        ("address", report.base_url or "yours: --base-url, or the adapter's base_url"),
        ("key", _key(report)),
        ("family", f"{report.family} ({report.family_source})"),
        ("not sure", report.doubt),
        ("window", f"{_tokens(report.context_window_tokens)} ({report.window_source})"),
        ("cap", _cap(report)),
        ("catalog", _age(report.catalog_age_seconds)),
        ("note", report.limit_note),
        ("tool arguments", _ARRIVAL[report.tool_arguments]),
        ("reasoning", _reasoning(report)),
    ]
    for name, value in rows:
        if value:
            console.print(Text.assemble((f"{name:<15}", "bold"), value), soft_wrap=True)
    console.print(Text('\nFor "Go on." and one tool it sends, beside the key:', style="dim"))
    for name, header in sorted(report.headers.items()):
        console.print(Text(f"  {name}: {header}"), soft_wrap=True)
    console.print(Text(_indented(report.body)), soft_wrap=True)


def _list(reports: Sequence[ModelReport], console: Console, *, by_family: bool) -> None:
    """A line each; what is the same in all is told once, above."""
    columns: dict[str, Sequence[str]] = {
        "family" if by_family else "provider": [
            report.family if by_family else report.provider for report in reports
        ],
        "model": [report.model for report in reports],
        "window": [_tokens(report.context_window_tokens) for report in reports],
        "cap": [_tokens(report.output_limit) for report in reports],
        "from": [report.limit_source for report in reports],
        "as": [report.cap_parameter for report in reports],
        "tool arguments": [report.tool_arguments for report in reports],
    }
    same = {
        name: values[0]
        for name, values in columns.items()
        if name not in ("model", "window", "cap") and len(set(values)) == 1
    }
    if same:
        told = ", ".join(f"{name}: {value}" for name, value in same.items())
        console.print(Text(f"All of them: {told}", style="dim"), soft_wrap=True)
    shown = {name: values for name, values in columns.items() if name not in same}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown:
        justify: Literal["left", "right"] = "right" if name in ("window", "cap") else "left"
        overflow: Literal["fold", "ellipsis"] = "fold" if name == "model" else "ellipsis"
        table.add_column(name, justify=justify, overflow=overflow, no_wrap=name != "model")
    for row in zip(*shown.values(), strict=True):
        table.add_row(*row)
    console.print(table)


def _cap(report: ModelReport) -> str:
    if report.output_limit is None:
        return (
            f"none is sent: the endpoint's default holds (as {report.cap_parameter} if you set one)"
        )
    return f"{report.output_limit:,} as {report.cap_parameter} ({_SOURCES[report.limit_source]})"


_ARRIVAL = {
    "streamed": "stream as they are generated",
    "asked to stream": "stream, because the endpoint is told to (below)",
    "held back": "may be held back until whole: silence then is no sign of a lost connection",
}
_SOURCES = {
    "user": "as you set it",
    "learned": "the endpoint named it",
    "catalog": "the endpoint's catalog",
    "family": "the family's",
    "none": "",
}


def _reasoning(report: ModelReport) -> str:
    if not report.returned:
        return "does not go back"
    return f"goes back as {', '.join(report.returned)}, where there is some"


def _age(seconds: float | None) -> str:
    return f"fetched {age_in_words(seconds)} ago" if seconds is not None else ""


def _key(report: ModelReport) -> str:
    return f"api_key=…, or the environment's {report.key_variable}" if report.key_variable else ""


def _tokens(count: int | None) -> str:
    return f"{count:,}" if count is not None else "-"


def _indented(body: JsonValue) -> str:
    text = to_json(body, indent=2).decode()
    return "\n".join(f"  {line}" for line in text.splitlines())
