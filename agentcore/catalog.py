"""An endpoint's catalog of models: read, and believed only where it is sane. Pure.

OpenRouter's figures are live, but some are missing and some are not the model's. Each is judged by
the family table; one that is refused leaves a sentence: the figure, why, what is used instead.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from agentcore.durations import parse_number
from agentcore.families import ModelFamily
from agentcore.messages import JsonObject

__all__ = [
    "OUTPUT_RULES",
    "WINDOW_RULES",
    "CatalogEntry",
    "CatalogFigures",
    "Claim",
    "FigureRule",
    "HostFigures",
    "age_in_words",
    "catalog_id",
    "endpoints_path",
    "judge",
    "read_endpoints",
    "read_models",
]

ROUTING_VARIANTS: Final = frozenset({"exacto", "floor", "nitro", "online"})
"""Suffixes that change the routing and have no entry: "Keep the catalog variant if one is present
(`:free`, `:batch`, `:thinking`, `:extended`). Drop every routing variant", says
https://openrouter.ai/docs/guides/routing/model-variants/overview, a stored copy of 2026."""

MAX_COUNT: Final = 10**12
"""No count of tokens: what is above is read as nothing."""

MAX_PRICE: Final = 1.0
"""US dollars a token: what is above, or below 0, is no price (OpenRouter's routers list -1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFigures:
    """What the catalog says of one host of a model, unjudged."""

    provider: str = ""
    """As people write it: `Amazon Bedrock`. Empty for the one row that `/models` has."""
    tag: str = ""
    """As requests name it, unique in a model: `deepinfra/fp4`. Empty for the row of `/models`."""
    context_window_tokens: int | None = None
    """None where the catalog has no whole number above 0."""
    max_output_tokens: int | None = None
    """None where the catalog has no whole number above 0."""
    prompt_price: float | None = None
    """US dollars a token; None when it is not known, or is not fixed."""
    completion_price: float | None = None
    """US dollars a token; None when it is not known, or is not fixed."""
    supported_parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """What the catalog says of one model, unjudged."""

    model: str
    """The id of the entry; a routing variant of it has none of its own (see `catalog_id`)."""
    hosts: tuple[HostFigures, ...] = ()
    expires_on: str = ""
    """A date as the catalog wrote it; empty where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFigures:
    """What is believed of an entry, and why the rest is not."""

    context_window_tokens: int | None = None
    """None when it was refused or not named: the family's holds."""
    max_output_tokens: int | None = None
    """Never above the window; None when it was refused or not named: the family's holds."""
    notes: tuple[str, ...] = ()
    """A sentence for each figure that was refused, and one for a model that has expired."""
    hosts: tuple[HostFigures, ...] = ()
    """The allowed hosts of which a figure was believed, by tag."""
    age_seconds: float
    lowest_completion_price: float | None = None
    """US dollars a token, among the allowed hosts that list one."""
    highest_completion_price: float | None = None
    """US dollars a token, among the allowed hosts that list one."""


# --- reading --------------------------------------------------------------------------------


def catalog_id(model: str) -> str:
    """The id of the entry that a model's figures are in: without routing variants."""
    base, *suffixes = model.split(":")
    return ":".join([base, *(suffix for suffix in suffixes if suffix not in ROUTING_VARIANTS)])


def endpoints_path(model: str) -> str:
    """The path below the base URL that lists a model's hosts; empty for an id of another form.

    `~anthropic/claude-sonnet-latest` and `openrouter/auto` have one, too; of a router it lists no
    hosts.
    """
    parts = catalog_id(model).split("/")
    if len(parts) != 2 or not all(part.strip(". ") for part in parts):
        return ""
    # A colon and a tilde need no quoting inside a path (RFC 3986, 3.3).
    author, slug = (quote(part, safe=":~", errors="replace") for part in parts)
    return f"/models/{author}/{slug}/endpoints"


def read_models(answer: JsonValue) -> dict[str, CatalogEntry]:
    """The entries of `GET /models` by their id, each with the one host that it shows.

    Total: what is no entry is left out.
    """
    rows = _object(answer).get("data")
    entries: dict[str, CatalogEntry] = {}
    for row in map(_object, rows if isinstance(rows, list) else ()):
        model = _text(row, "id")
        if model and model not in entries:
            entries[model] = _entry(model, row, (_top_provider(row),))
    return entries


def read_endpoints(answer: JsonValue) -> CatalogEntry | None:
    """The entry of `GET /models/{author}/{slug}/endpoints`, with all its hosts.

    Total: None for an answer that is none. An entry without hosts is a model that nobody serves, or
    a router.
    """
    data = _object(_object(answer).get("data"))
    match data:
        case {"id": str(model), "endpoints": list(rows)} if model:
            return _entry(model, data, tuple(_host(row) for row in rows if isinstance(row, dict)))
    return None


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _entry(model: str, row: JsonObject, hosts: tuple[HostFigures, ...]) -> CatalogEntry:
    return CatalogEntry(model=model, hosts=hosts, expires_on=_text(row, "expiration_date"))


def _top_provider(row: JsonObject) -> HostFigures:
    """What `/models` says of one host; its own window goes before the model's, which may be wider.

    A name in `top_provider` would be no tag: the host stays nameless.
    """
    top = _object(row.get("top_provider"))
    named = ("context_length", "max_completion_tokens")
    shown = {name: top[name] for name in named if _count(top.get(name)) is not None}
    return _host({**row, **shown, "provider_name": "", "tag": ""})


def _host(row: JsonObject) -> HostFigures:
    prices = _object(row.get("pricing"))
    parameters = row.get("supported_parameters")
    return HostFigures(
        provider=_text(row, "provider_name"),
        tag=_text(row, "tag"),
        context_window_tokens=_count(row.get("context_length")),
        max_output_tokens=_count(row.get("max_completion_tokens")),
        prompt_price=_price(prices.get("prompt")),
        completion_price=_price(prices.get("completion")),
        supported_parameters=frozenset(
            name
            for name in (parameters if isinstance(parameters, list) else ())
            if isinstance(name, str)
        ),
    )


def _text(row: JsonObject, name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _count(value: JsonValue) -> int | None:
    """A whole number above 0, however JSON spells it: 128000.0 is one, `true` and "128000" not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value <= MAX_COUNT and value == int(value) else None


def _price(value: JsonValue) -> float | None:
    """Prices are texts there ("0.000015"); a number would do."""
    number = parse_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return float(number) if 0 <= number <= MAX_PRICE else None


# --- judging --------------------------------------------------------------------------------

LEAST_TOKENS: Final = 1_024
"""The smallest window and output that are believed; the smallest seen are 4,096 and 2,048."""

MOST_TOKENS: Final = 100_000_000
"""The largest that are believed; the largest window seen is 10,000,000 (Llama 4 Scout)."""

WINDOW_FACTOR: Final = 8
"""How far a window may lie from the family's, up or down. OpenRouter's 1,000,000 for Sonnet 4.5 is
5 times the 200,000 that others give; Cloudflare's 24,000 for Llama 3.3 is 3/16 of 128,000."""

WHOLE_WINDOW_PERCENT: Final = 85
"""From this share of the window on, an output is no limit. OpenRouter lists 90 % where it knows
none: 942,818 of 1,047,576 for GPT-4.1 nano (really 32,768), 943,718 of 1,048,576 for many models. A
host of MiniMax M3 that is listed with it refuses more than 524,288 (earendil-works/pi#8785). The
largest true share seen of a family that has a limit is GLM 4.6's 131,072 of 200,000."""

OUTPUT_EXCESS: Final = 2
"""How often the family's output an output may be. Claude 3.7 with its beta has 2 times 64,000."""

FAR_BELOW_FAMILY: Final = 8
"""An output under this part of the family's is doubted, unless it has `HOST_OUTPUT_TOKENS`."""

HOST_OUTPUT_TOKENS: Final = 16_384
"""What hosts of open weights really allow, whatever the model can: DeepInfra for DeepSeek V3.2."""

FAR_BELOW_WINDOW: Final = 32
"""An output under this part of the window is doubted where the family names none, if it is no more
than `PLACEHOLDER_TOKENS` as well: Gemini 1.5 truly had 8,192 of 2M, Command R 4,000 of 128,000."""

PLACEHOLDER_TOKENS: Final = 4_096
"""What stands where nobody knows better: seen for Kimi K2.5, whose answers share 262,144."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One figure that a host lists, and what it is judged by."""

    tokens: int
    family: ModelFamily
    of_family: int | None
    """The family's figure of the same kind; None when it names none."""
    window: int | None = None
    """For an output: the host's window where that is believed, else the family's."""

    @property
    def may_fill_window(self) -> bool:
        """The family says of outputs that they share the window, or are their host's affair.

        It does so by naming a window and no output. A family that names neither says nothing.
        """
        return self.of_family is None and self.family.context_window_tokens is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRule:
    """Why a figure is not believed."""

    reason: str
    """Follows the figure in a sentence; `{claim.…}` is what it was judged by."""
    refuses: Callable[[Claim], bool]


_SCALE: Final = (
    FigureRule(
        reason=f"is under {LEAST_TOKENS:,}",
        refuses=lambda claim: claim.tokens < LEAST_TOKENS,
    ),
    FigureRule(
        reason=f"is above {MOST_TOKENS:,}",
        refuses=lambda claim: claim.tokens > MOST_TOKENS,
    ),
)
_OF_FAMILY: Final = "the {claim.of_family:,} of {claim.family.name}"

WINDOW_RULES: Final = (
    *_SCALE,
    FigureRule(
        reason=f"is under 1/{WINDOW_FACTOR} of {_OF_FAMILY}",
        refuses=lambda claim: claim.tokens * WINDOW_FACTOR < (claim.of_family or 0),
    ),
    FigureRule(
        reason=f"is over {WINDOW_FACTOR} times {_OF_FAMILY}",
        refuses=lambda claim: claim.tokens > WINDOW_FACTOR * (claim.of_family or MAX_COUNT),
    ),
)
"""Read in order, the first that refuses gives the reason."""

OUTPUT_RULES: Final = (
    *_SCALE,
    FigureRule(
        reason="is more than its window of {claim.window:,}",
        refuses=lambda claim: claim.tokens > (claim.window or MAX_COUNT),
    ),
    FigureRule(
        reason="is nearly all of its window of {claim.window:,}",
        refuses=lambda claim: (
            claim.tokens * 100 >= WHOLE_WINDOW_PERCENT * (claim.window or MAX_COUNT)
            and claim.tokens > (claim.of_family or 0)
            and not claim.may_fill_window
        ),
    ),
    FigureRule(
        reason=f"is over {OUTPUT_EXCESS} times {_OF_FAMILY}",
        refuses=lambda claim: claim.tokens > OUTPUT_EXCESS * (claim.of_family or MAX_COUNT),
    ),
    FigureRule(
        reason=f"is under 1/{FAR_BELOW_FAMILY} of {_OF_FAMILY}",
        refuses=lambda claim: (
            claim.tokens * FAR_BELOW_FAMILY < (claim.of_family or 0)
            and claim.tokens < HOST_OUTPUT_TOKENS
        ),
    ),
    FigureRule(
        reason=f"is under 1/{FAR_BELOW_WINDOW} of its window of {{claim.window:,}}",
        refuses=lambda claim: (
            claim.of_family is None
            and claim.tokens * FAR_BELOW_WINDOW < (claim.window or 0)
            and claim.tokens <= PLACEHOLDER_TOKENS
        ),
    ),
)
"""Read in order, the first that refuses gives the reason."""


def judge(
    entry: CatalogEntry,
    family: ModelFamily,
    *,
    age_seconds: float,
    max_age_seconds: float,
    allowed: Callable[[HostFigures], bool] = lambda host: True,
    today: date | None = None,
) -> CatalogFigures:
    """What is believed of an entry, whatever the order of its hosts.

    Which host answers is not known before the request, and hosts differ. OpenRouter says: "if you
    set a `max_tokens`, then OpenRouter will only route to providers that support a response of that
    length" (https://openrouter.ai/docs/guides/routing/provider-selection, price-based load
    balancing; stored copies of 2025 and 2026). So the largest output leaves one host, and none to
    fail over to. The smallest lets one stunted host decide for all: of Llama 3.3 one lists 3,072,
    of DeepSeek V3.2 one lists 7,168 and a window of 32,768, which leaves no room for an answer
    after a prompt that the others take. Both figures are therefore the largest that more than half
    of the hosts support: the lower median of those that are believed. The other hosts get no
    request that is too long for them, for that is what the routing sees to.

    Args:
        entry: As the catalog has it.
        family: Of the model. Its figures decide what is sane, and hold where the catalog's do not.
        age_seconds: Of the catalog's answer. Below 0 or above `max_age_seconds` nothing of it is
            believed, and only notes are given.
        max_age_seconds: The oldest that is believed.
        allowed: Whether the request may be routed to a host.
        today: To compare with the date on which the model expires; None: it is not compared.
    """
    expired = _expired(entry, today)
    if not 0 <= age_seconds <= max_age_seconds:
        stale = _stale(entry.model, family, age_seconds, max_age_seconds)
        return CatalogFigures(notes=(*expired, stale), age_seconds=age_seconds)
    hosts = sorted(filter(allowed, entry.hosts), key=_order)
    windows = [_judge_window(host, family) for host in hosts]
    outputs = [_judge_output(verdict, family) for verdict in windows]
    window, output = _agreed(windows), _agreed(outputs)
    if window is not None and output is not None:
        output = min(output, window)
    prices = [host.completion_price for host in hosts if host.completion_price is not None]
    return CatalogFigures(
        context_window_tokens=window,
        max_output_tokens=output,
        notes=(
            *expired,
            *_refusals(
                f"{entry.model}: the catalog's context window",
                windows,
                _instead(window, family, family.context_window_tokens),
            ),
            *_refusals(
                f"{entry.model}: the catalog's output limit",
                outputs,
                _instead(output, family, family.max_output_tokens),
            ),
        ),
        hosts=tuple(
            host
            for host, *verdicts in zip(hosts, windows, outputs, strict=True)
            if any(verdict.believed is not None for verdict in verdicts)
        ),
        age_seconds=age_seconds,
        lowest_completion_price=min(prices, default=None),
        highest_completion_price=max(prices, default=None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """On one figure of a host. Neither believed nor refused: it lists none."""

    host: HostFigures
    believed: int | None = None
    refused: int | None = None
    reason: str = ""


def _judge_window(host: HostFigures, family: ModelFamily) -> _Verdict:
    return _verdict(
        host, host.context_window_tokens, WINDOW_RULES, family, family.context_window_tokens
    )


def _judge_output(window: _Verdict, family: ModelFamily) -> _Verdict:
    return _verdict(
        window.host,
        window.host.max_output_tokens,
        OUTPUT_RULES,
        family,
        family.max_output_tokens,
        window=window.believed or family.context_window_tokens,
    )


def _verdict(
    host: HostFigures,
    tokens: int | None,
    rules: Iterable[FigureRule],
    family: ModelFamily,
    of_family: int | None,
    *,
    window: int | None = None,
) -> _Verdict:
    if tokens is None:
        return _Verdict(host=host)
    claim = Claim(tokens=tokens, family=family, of_family=of_family, window=window)
    for rule in rules:
        if rule.refuses(claim):
            return _Verdict(host=host, refused=tokens, reason=rule.reason.format(claim=claim))
    return _Verdict(host=host, believed=tokens)


def _agreed(verdicts: Iterable[_Verdict]) -> int | None:
    """The largest figure that more than half of the hosts support: the lower median."""
    figures = sorted(verdict.believed for verdict in verdicts if verdict.believed is not None)
    return figures[(len(figures) - 1) // 2] if figures else None


def _order(host: HostFigures) -> tuple[str, str, list[float], list[str]]:
    """Of every field, so that hosts in any order give the same."""
    figures = (
        host.context_window_tokens,
        host.max_output_tokens,
        host.prompt_price,
        host.completion_price,
    )
    known = [-1.0 if figure is None else figure for figure in figures]
    return host.tag, host.provider, known, sorted(host.supported_parameters)


# --- what is said of it ---------------------------------------------------------------------

_NAMED_HOSTS: Final = 3


def _refusals(subject: str, verdicts: Sequence[_Verdict], instead: str) -> Iterator[str]:
    """A sentence for each figure that was refused; where no host lists one, a sentence on that."""
    hosts_of: dict[tuple[int, str], list[HostFigures]] = {}
    for verdict in verdicts:
        if verdict.refused is not None:
            hosts_of.setdefault((verdict.refused, verdict.reason), []).append(verdict.host)
    for (tokens, reason), hosts in sorted(hosts_of.items(), key=lambda item: item[0]):
        yield f"{subject} of {tokens:,}{_named(hosts)} {reason}; {instead}"
    if not hosts_of and all(verdict.believed is None for verdict in verdicts):
        yield f"{subject} is missing for every host that may be used; {instead}"


def _instead(agreed: int | None, family: ModelFamily, of_family: int | None) -> str:
    if agreed is not None:
        return f"the {agreed:,} that other hosts support is used instead"
    if of_family is not None:
        return f"the {of_family:,} of {family.name} is used instead"
    return f"none is used instead, for {family.name} names none"


def _named(hosts: Sequence[HostFigures]) -> str:
    names = list(dict.fromkeys(filter(None, (host.tag or host.provider for host in hosts))))
    if not names:
        return ""
    shown, more = ", ".join(names[:_NAMED_HOSTS]), len(names) - _NAMED_HOSTS
    return f" ({shown} and {more} more)" if more > 0 else f" ({shown})"


def _stale(model: str, family: ModelFamily, age_seconds: float, max_age_seconds: float) -> str:
    believed = f"at most {age_in_words(max_age_seconds)} is believed"
    age = "dated in the future" if age_seconds < 0 else f"{age_in_words(age_seconds)} old"
    return (
        f"{model}: the catalog's figures are {age}, and {believed}; context window: "
        f"{_instead(None, family, family.context_window_tokens)}; output limit: "
        f"{_instead(None, family, family.max_output_tokens)}"
    )


def _expired(entry: CatalogEntry, today: date | None) -> tuple[str, ...]:
    try:
        expires = date.fromisoformat(entry.expires_on[:10])
    except ValueError:
        return ()
    if today is None or today <= expires:
        return ()
    return (f"{entry.model}: by the catalog it expired on {expires}; it may answer no more",)


def age_in_words(seconds: float) -> str:
    """`90 s`, `12 min`, `5 h`, `3 days`: rounded down, the unit of which there are two."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * length and abs(seconds) < float("inf"):
            return f"{int(seconds / length)} {unit}"
    return f"{seconds:.0f} s"
