"""Waits as endpoints write them: seconds, HTTP dates, `6m0s`, "try again in 20 seconds"."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache

__all__ = ["parse_duration", "parse_http_date", "parse_number", "wait_in_text"]

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = (
    r"\d{1,12}(?:\.\d{1,12})?\s*"
    r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)"
)
# Not \b after the unit: OpenAI writes "6m0s".
_DURATIONS = rf"(?:{_DURATION}(?![A-Za-z])\s*)+"
_DURATION_PART = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*(ms|milli|s|m|h|d)", re.IGNORECASE)
_ASKS_TO_WAIT = (
    r"(?<!\w)(?:(?:try|retry|available|resets?|call|attempt)"
    r"(?:[ ](?:again|your|the|this|request|will|is|be|at least|once more)){0,3}"
    rf"[ ](?:in|after)[ ]?(?:about |approximately |at least |~)?(?P<after>{_DURATIONS})"
    rf"|wait (?:for |at least |about )?(?P<wait>{_DURATIONS})"
    rf"|retry[-_ ]after\W{{1,4}}(?P<field>{_DURATIONS}|\d{{1,9}}(?![\w.]))"
    r")|(?P<chinese>(?<!\d)\d{1,9}(?:\.\d{1,9})?) ?秒(?:钟)?[之以]?[后後]"
)


def parse_number(text: str | None) -> float | None:
    """A number that is not negative and not infinite; else None."""
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def parse_duration(text: str) -> float | None:
    """Seconds of a text that is nothing but a duration (`1h2m`, `34.07s`, `2 minutes`)."""
    if not re.fullmatch(_DURATIONS, text.strip(), re.IGNORECASE):
        return None
    seconds = sum(
        float(number) * _UNITS["ms" if unit.lower() == "milli" else unit.lower()]
        for number, unit in _DURATION_PART.findall(text)
    )
    return seconds if seconds < float("inf") else None


def parse_http_date(date: str) -> float | None:
    """Seconds since the epoch of an HTTP date; None when it is none."""
    try:
        when = parsedate_to_datetime(date)
        # HTTP knows no other zone, also where a server leaves it out.
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def wait_in_text(text: str) -> tuple[float, str] | None:
    """The seconds that a text asks to wait, and the words that ask for it."""
    match = _asks_to_wait().search(" ".join(text.split()))
    if match is None:
        return None
    asked = next(group for group in match.groups() if group)
    seconds = parse_number(asked)
    if seconds is None:
        seconds = parse_duration(asked)
    return (seconds, match[0].strip()) if seconds is not None else None


@cache
def _asks_to_wait() -> re.Pattern[str]:
    """Compiled for the first failure that is read: most programs see none."""
    return re.compile(_ASKS_TO_WAIT, re.IGNORECASE)
