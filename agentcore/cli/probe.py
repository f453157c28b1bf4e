"""`agentcore probe`: what an endpoint does to a long tool call, measured and drawn."""

import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Annotated, TypeAlias

import anyio
import typer
from pydantic import JsonValue
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.text import Text

from agentcore.catalog_store import CatalogStore
from agentcore.cli.agents import BaseUrl, endpoint, failures_told
from agentcore.client import Client
from agentcore.endpoint import Endpoint, cache_folder, key_of
from agentcore.errors import ConfigurationError
from agentcore.families import family_of
from agentcore.lookup import look_up
from agentcore.probe import (
    Advice,
    Ending,
    Findings,
    Observation,
    Plan,
    Target,
    advise,
    find,
    gaps_of,
    plan_of,
    probe_endpoint,
    seconds,
)
from agentcore.providers import OpenRouter

__all__ = ["picture", "probe"]

Lines: TypeAlias = list[str]

WIDTH = 80
"""Columns."""
SLOTS = 58


def probe(
    model: Annotated[
        str, typer.Argument(metavar="PROVIDER:MODEL", help="The endpoint and its model id.")
    ],
    base_url: BaseUrl = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Make the requests, and pay for them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    sizes: Annotated[str, typer.Option(help="Lines of the calls to ask for.")] = "50,400,1500",
    max_seconds: Annotated[
        float, typer.Option(help="For each request; then the probe hangs up.")
    ] = 600.0,
    price: Annotated[
        float | None, typer.Option(min=0, help="US dollars for a million output tokens.")
    ] = None,
    catalog: Annotated[
        bool,
        typer.Option("--catalog", help="Ask OpenRouter's catalog for the price; needs no key."),
    ] = False,
) -> None:
    """Measure how an endpoint streams tool calls, and what cuts them. Costs output tokens.

    Without --yes it says what it would do and what that costs at most, and sends nothing.
    """
    console, errors = Console(), Console(stderr=True)
    report = errors if as_json else console
    with failures_told(errors):
        at = endpoint(model, base_url)
        target = Target(
            adapter=at.adapter, model=at.model, sizes=_sizes(sizes), max_seconds=max_seconds
        )
        plan = plan_of(target)
        prices = (price, price) if price is not None else None
        if catalog and prices is None:
            prices = anyio.run(_listed_prices, at)
        _print(report, _statement(target, plan, prices))
        if not yes:
            _print(report, ["Nothing was sent. Add --yes to go on."])
            raise typer.Exit(2)
        target = replace(target, key=anyio.run(key_of, target.adapter))
        seen: list[Observation] = []
        stopped = _run(target, plan, seen, errors)
    raise typer.Exit(_tell(target, plan, seen, console, errors, as_json=as_json, stopped=stopped))


def _tell(
    target: Target,
    plan: Plan,
    seen: Sequence[Observation],
    console: Console,
    errors: Console,
    *,
    as_json: bool,
    stopped: bool,
) -> int:
    """Print what was found; gives the exit status, 1 when no answer came at all."""
    findings = find(seen)
    usual = target.usual_wire()
    advice = advise(
        findings,
        seen,
        clocks=target.adapter.clocks,
        limit=usual.output_limit,
        buffered=usual.buffered_arguments,
    )
    if as_json:
        typer.echo(json.dumps(_as_json(target, plan, seen, findings, advice)))
    else:
        _print(console, ["", *_report(seen, findings, advice, fancy=_is_fancy(console))])
    if stopped:
        _print(errors, ["stopped by you; this is what was observed so far"])
        return 130
    return 0 if any(one.has_content for one in seen) else 1


def _sizes(text: str) -> tuple[int, ...]:
    """The numbers of `--sizes`.

    Raises:
        ConfigurationError: Something in it is no number.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigurationError(
            f"--sizes {text!r}: give numbers of lines with commas between them, as 50,400,1500"
        ) from None


def _run(target: Target, plan: Plan, seen: list[Observation], errors: Console) -> bool:
    """Probe, and tell of each request; True when the person stopped it."""

    def tell(observation: Observation) -> None:
        seen.append(observation)
        number = f"request {len(seen)} of at most {plan.requests_at_most}"
        _print(errors, [f"{number}: {_what(observation)}: {_outcome(observation)}"])

    try:
        anyio.run(probe_endpoint, target, tell)
    except KeyboardInterrupt:
        return True
    return False


# --- before it starts -----------------------------------------------------------------------


Prices: TypeAlias = tuple[float, float] | None
"""US dollars for a million output tokens, from the cheapest host to the dearest; None: unknown."""


async def _listed_prices(at: Endpoint) -> Prices:
    """Of the hosts in the endpoint's catalog."""
    if not isinstance(at.adapter, OpenRouter):
        raise ConfigurationError("--catalog: only OpenRouter has one that is read; use --price")
    at = replace(at, adapter=OpenRouter(base_url=at.adapter.base_url, catalog=True))
    async with Client() as client:
        store = CatalogStore(cache_folder() / "catalog")
        found = await look_up(at, family_of(at.model), client=client, store=store)
    lowest = found.lowest_completion_price if found is not None else None
    highest = found.highest_completion_price if found is not None else None
    return None if lowest is None or highest is None else (lowest * 1e6, highest * 1e6)


def _statement(target: Target, plan: Plan, prices: Prices) -> Lines:
    """What is going to be asked, and what it costs at most."""
    adapter = target.adapter
    name = adapter.name or type(adapter).__name__
    calls = ", ".join(f"{size:,}" for size in target.sizes)
    switch = ", with and without the switch that streams arguments" if target.has_switch else ""
    cap = plan.uncapped_tokens_each
    uncapped = f"up to {plan.uncapped_requests} without one, where the endpoint decides: " + (
        f"at most {cap:,} each, the model's limit" if cap else "no bound is known"
    )
    rows = [
        ("endpoint", f"{name}, {target.model}, {adapter.base_url}"),
        (
            "requests",
            f"{plan.requests_at_least} to {plan.requests_at_most}, one after the other, each of "
            f"{target.max_seconds:g} s at most",
        ),
        ("asked for", f"tool calls of {calls} lines{switch}; nothing is written"),
        ("input", f"about {plan.input_tokens:,} tokens a request"),
        (
            "output",
            f"about {plan.output_tokens_expected:,} tokens if nothing is cut; at most "
            f"{plan.capped_tokens_at_most:,} in requests with a cap, and {uncapped}",
        ),
        ("price", _price(plan, prices)),
    ]
    return [line for title, text in rows for line in _row(title, text)]


def _price(plan: Plan, prices: Prices) -> str:
    if prices is None:
        return "not known here: output tokens x the endpoint's price (--price tells it)"
    most = plan.output_tokens_at_most
    bound = f"at most ${most * prices[1] / 1e6:,.2f}" if most is not None else "no bound is known"
    low, high = (f"${plan.output_tokens_expected * one / 1e6:,.2f}" for one in prices)
    about = low if low == high else f"{low} to {high}, by host,"
    return f"about {about} for output if nothing is cut; {bound}; input comes on top"


def _row(title: str, text: str) -> Lines:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{title:<11}",
        subsequent_indent=" " * 11,
        break_on_hyphens=False,
    )


# --- the report -----------------------------------------------------------------------------


def _report(
    seen: Sequence[Observation], findings: Findings, advice: Sequence[Advice], *, fancy: bool
) -> Lines:
    lines = [*picture(seen, fancy=fancy), ""] if seen else []
    for number, one in enumerate(seen, 1):
        lines += _hanging(f"{number:>2}  ", f"{_what(one)}: {_outcome(one)}")
    lines += ["", "What was found"]
    for finding in findings.all:
        lines += _hanging("- ", finding.claim)
        lines += _hanging("    ", finding.evidence)
        lines += _hanging("    ", f"({finding.uncertainty})")
    if not findings.all:
        lines += ["- nothing: no request came to an end"]
    lines += ["", "What to set"]
    for one_advice in advice:
        lines += _hanging("- ", f"{one_advice.setting}: {one_advice.why}")
    return lines


def _hanging(start: str, text: str) -> Lines:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
    )


def _what(seen: Observation) -> str:
    ask = seen.ask
    text = f"{ask.text_lines:,} lines of text and " if ask.text_lines else ""
    cap = f"a cap of {seen.cap:,}" if seen.cap is not None else "no cap"
    switch = ", the switch" if seen.switched else ""
    return f"{text}a call of {ask.lines:,} lines, {cap}{switch}"


def _outcome(seen: Observation) -> str:
    reason = f" ({seen.finish_reason})" if seen.finish_reason else ""
    kind = f" ({seen.kind})" if seen.kind is not None else ""
    parts = [f"{seen.ending}{reason}{kind} after {seconds(seen.ended_at)} s"]
    if seen.tokens:
        parts.append(f"{seen.tokens:,} tokens")
    if seen.called:
        state = "closed" if seen.arguments_closed else "not closed"
        parts.append(f"{seen.lines_received:,} lines of arguments, {state}")
    elif seen.ending is Ending.FINISHED:
        parts.append("no call")
    return ", ".join(parts)


# --- the picture ----------------------------------------------------------------------------

_HEIGHTS = {True: "▁▂▃▄▅▆▇█", False: "12345678"}
_SIGN = {True: "·", False: "."}
_MARKS = {
    "finished": ("✓", "="),
    "cut": ("✗", "x"),
    "at a cap": ("]", "]"),
    "failed": ("!", "!"),
    "our limit": (">", ">"),
    "stopped": ("~", "~"),
}


def picture(seen: Sequence[Observation], *, fancy: bool) -> Lines:
    """One line a request on one scale of time, at most 80 columns.

    Args:
        seen: At least one.
        fancy: With block characters; else in ASCII alone.
    """
    span = max(max(one.ended_at for one in seen), 0.001)
    slot = span / SLOTS
    rows = [f"{'lines':>13} {'switch':<6} {_scale(span)}"]
    for number, one in enumerate(seen, 1):
        text = f"{one.ask.text_lines}+" if one.ask.text_lines else ""
        label = f"{number:>2} {text + str(one.ask.lines):>10} {'yes' if one.switched else 'no':<6}"
        rows.append(f"{label} {_drawn(one, slot, fancy=fancy)}".rstrip())
    marks = dict.fromkeys(_mark(one) for one in seen)
    legend = (
        f"Heights: bytes of the answer in a slot of {seconds(slot)} s, against the fullest slot of "
        f"its line; {_SIGN[fancy]} nothing but comments or empty events; blank: no byte; "
        + ", ".join(f"{_MARKS[mark][not fancy]} {mark}" for mark in marks)
    )
    return [*rows, "", *_hanging("", legend)]


def _drawn(seen: Observation, slot: float, *, fancy: bool) -> str:
    last = min(int(seen.ended_at / slot), SLOTS - 1)
    sizes = [0] * (last + 1)
    alive = [False] * (last + 1)
    for arrival in seen.arrivals:
        place = min(int(arrival.at / slot), last)
        sizes[place] += arrival.size_bytes
        # What ends an answer is an event too: the mark says so.
        alive[place] = alive[place] or place < last
    most = max(sizes)
    heights = _HEIGHTS[fancy]
    drawn = "".join(
        heights[math.ceil(size / most * len(heights)) - 1]
        if size
        else _SIGN[fancy]
        if sign
        else " "
        for size, sign in zip(sizes, alive, strict=True)
    )
    return drawn + _MARKS[_mark(seen)][not fancy]


def _mark(seen: Observation) -> str:
    if seen.ending is Ending.STOPPED:
        return "stopped"
    if seen.ending is Ending.LIMIT:
        return "our limit"
    if seen.is_failure:
        return "failed"
    if seen.is_capped:
        return "at a cap"
    return "cut" if seen.is_cut else "finished"


def _scale(span: float) -> str:
    """Round times along the axis."""
    step = _round_step(span / 4)
    scale = "0"
    for number in range(1, int(span / step) + 1):
        label = f"{number * step:g}"
        place = round(number * step / span * SLOTS)
        if place + len(label) < SLOTS:
            scale = f"{scale:<{place}}{label}"
    return f"{scale} s"


def _round_step(at_least: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(at_least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= at_least * 0.999)


# --- the ways out ---------------------------------------------------------------------------


def _as_json(
    target: Target,
    plan: Plan,
    seen: Sequence[Observation],
    findings: Findings,
    advice: Sequence[Advice],
) -> JsonValue:
    value: JsonValue = to_jsonable_python(
        {
            "provider": target.adapter.name,
            "model": target.model,
            "base_url": target.adapter.base_url,
            "plan": asdict(plan),
            "observations": [_observation(one) for one in seen],
            "findings": findings,
            "advice": advice,
        }
    )
    return value


_SILENCE_SECONDS = 0.1
"""What is shorter is no silence worth a row."""


def _observation(seen: Observation) -> dict[str, JsonValue]:
    """A request with its arrivals as `[seconds, sign, bytes]`, and its silences."""
    value: dict[str, JsonValue] = to_jsonable_python(
        {**asdict(seen), "arrivals": [(one.at, one.sign, one.size_bytes) for one in seen.arrivals]}
    )
    value["silences"] = to_jsonable_python(
        [gap for gap in gaps_of(seen) if gap.seconds >= _SILENCE_SECONDS]
    )
    return value


def _is_fancy(console: Console) -> bool:
    """Whether the console can show block characters."""
    drawn = _HEIGHTS[True] + _SIGN[True] + "".join(fancy for fancy, _ in _MARKS.values())
    return _shown(drawn, console) == drawn


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        # Texts of others are no markup.
        console.print(Text(_shown(line, console)), soft_wrap=True, highlight=False)


def _shown(text: str, console: Console) -> str:
    """A text in the characters that the console has."""
    return text.encode(console.encoding, "replace").decode(console.encoding)
