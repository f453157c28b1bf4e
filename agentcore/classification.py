"""What kind of failure is this? The rows of `ERROR_RULES`, read in order; the first that fits wins.

The order of evidence is the order of the table: *specific* structure (a code, a type, a reason, a
status that has one meaning), then *wording* as fenced phrases with vetoes, then the generic status
or exception as a *default*. Wording never overrules a specific fact, whoever's row it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from agentcore.error_rules import ERROR_RULES, ErrorRule
from agentcore.facts import ErrorFacts, RetryAfter, retry_after_of
from agentcore.kinds import ErrorKind
from agentcore.payloads import MAX_TEXT_CHARACTERS, shortened
from agentcore.token_figures import TokenFigures, read_cap, read_figures

__all__ = ["Classification", "classify", "corrected_output_limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """A kind, and why."""

    kind: ErrorKind
    rule: str
    """Name of the row that fired, or `"no rule"`."""
    evidence: str
    """Which fact matched."""
    retry_after: RetryAfter | None = None
    """The wait that the endpoint asked for. It says nothing of the kind: a refusal for good may
    name one too."""
    corrected_output_limit: int | None = None
    """Tokens: the largest cap that the endpoint says it takes; for `output_limit` only."""

    @property
    def is_transient(self) -> bool:
        """A later, unchanged attempt can pass."""
        return self.kind.is_transient


def classify(facts: ErrorFacts, rules: Sequence[ErrorRule] = ()) -> Classification:
    """Name a failure. Total and deterministic: any facts give a kind, none raise.

    Args:
        facts: What is known.
        rules: An adapter's own rows, read before the rows of `ERROR_RULES` of equal strength. Where
            the table says `auth` or `quota`, an own row for a kind that is tried again counts only
            with `makes_transient`.
    """
    known = _Known(facts)
    own = tuple(rules)
    rule, evidence = _first(known, _ordered(own))
    if rule is not None and rule in own and not rule.makes_transient and _is_tried_again(rule.kind):
        common, common_evidence = _first(known, ERROR_RULES)
        if common is not None and common.kind in (ErrorKind.AUTH, ErrorKind.QUOTA):
            rule, evidence = common, common_evidence
    kind = rule.kind if rule is not None else ErrorKind.UNKNOWN
    return Classification(
        kind=kind,
        rule=rule.name if rule is not None else "no rule",
        evidence=evidence,
        retry_after=known.wait,
        corrected_output_limit=read_cap(known.text) if kind is ErrorKind.OUTPUT_LIMIT else None,
    )


def corrected_output_limit(facts: ErrorFacts) -> int | None:
    """The cap in tokens that a refusal names as allowed, whatever its kind; None without one.

    Reads what is left of the window beside the prompt, "can only afford N", "N > M", "must be ≤ N",
    "supports at most N" and the like; the first form that fits.
    """
    return read_cap(_Known(facts).text)


def _is_tried_again(kind: ErrorKind) -> bool:
    return kind.is_transient or kind is ErrorKind.OUTPUT_LIMIT


def _first(known: "_Known", rules: Sequence[ErrorRule]) -> tuple[ErrorRule | None, str]:
    for rule in rules:
        evidence = _match(rule, known)
        if evidence is not None:
            return rule, evidence
    return None, "nothing that a rule knows"


@lru_cache(maxsize=64)
def _ordered(rules: tuple[ErrorRule, ...]) -> tuple[ErrorRule, ...]:
    if not rules:
        return ERROR_RULES
    return tuple(sorted((*rules, *ERROR_RULES), key=lambda rule: rule.strength))


class _Known:
    """The facts as rows compare them; each reading is made once, and only if a row asks for it."""

    def __init__(self, facts: ErrorFacts) -> None:
        self.facts = facts
        self.reasons = {_squashed(reason): reason for reason in reversed(facts.reasons)}
        self.exceptions = {
            name.rpartition(".")[2].lower(): name for name in reversed(facts.exceptions)
        }

    @cached_property
    def text(self) -> str:
        """All human texts, innermost first, lower case, without what looks quoted."""
        lines: list[str] = []
        room = MAX_TEXT_CHARACTERS
        for message in self.facts.messages:
            if room <= 0:
                break
            lines.append(" ".join(unquoted(message[:room] if room < 400 else message).split()))
            room -= len(message)
        # No phrase holds a word of such a length, and some expressions are slow on one.
        text = _ENDLESS_WORD.sub("…", shortened("\n".join(lines).lower()))
        return _PUNCTUATION.sub(r"\1", text)

    @cached_property
    def wait(self) -> RetryAfter | None:
        return retry_after_of(self.facts)

    @cached_property
    def figures(self) -> TokenFigures | None:
        return read_figures(self.text)


def _match(rule: ErrorRule, known: _Known) -> str | None:
    """The evidence for a rule, or None when a condition does not hold."""
    facts = known.facts
    if rule.surfaces and facts.surface not in rule.surfaces:
        return None
    evidence: list[str] = []
    if rule.statuses or rule.status_class is not None:
        status = facts.status
        if status is None or not (status in rule.statuses or status // 100 == rule.status_class):
            return None
        evidence.append(f"status {status}")
    for found in (_named(rule, known), _figured(rule, known), _told(rule, known)):
        if found is None:
            return None
        evidence += found
    return ", ".join(evidence) or f"surface {facts.surface}"


def _named(rule: ErrorRule, known: _Known) -> list[str] | None:
    """Codes, reasons and exceptions."""
    evidence: list[str] = []
    if rule.forbidden_words and not _squashed_words(rule.forbidden_words).isdisjoint(known.reasons):
        return None
    if rule.words:
        words = _squashed_words(rule.words)
        word = next((word for word in reversed(known.reasons) if word in words), None)
        if word is None:
            return None
        evidence.append(f"reason {known.reasons[word]!r}")
    if rule.reason_patterns:
        pattern = _any_of(rule.reason_patterns)
        reason = next((one for one in known.facts.reasons if pattern.search(one.lower())), None)
        if reason is None:
            return None
        evidence.append(f"reason {reason!r}")
    if rule.exceptions:
        names = _lowered(rule.exceptions)
        name = next((name for name in reversed(known.exceptions) if name in names), None)
        if name is None:
            return None
        evidence.append(f"exception {known.exceptions[name]}")
    return evidence


def _figured(rule: ErrorRule, known: _Known) -> list[str] | None:
    """Waits and numbers of tokens."""
    evidence: list[str] = []
    if rule.min_wait is not None:
        if known.wait is None or known.wait.seconds < rule.min_wait:
            return None
        evidence.append(f"a wait of {known.wait.seconds:.0f} s ({known.wait.source})")
    if rule.prompt_fits is not None:
        figures = known.figures
        if figures is None or (figures.room > 0) is not rule.prompt_fits:
            return None
        evidence.append(f"{figures.prompt} tokens of prompt, a window of {figures.window}")
    return evidence


def _told(rule: ErrorRule, known: _Known) -> list[str] | None:
    """Phrases and vetoes."""
    evidence: list[str] = []
    if rule.phrases:
        match = _fenced(rule.phrases).search(known.text)
        if match is None:
            return None
        evidence.append(f"text {match[0]!r}")
    if rule.vetoes and _fenced(rule.vetoes).search(known.text):
        return None
    return evidence


def _squashed(word: str) -> str:
    return "".join(filter(str.isalnum, word.lower()))


@lru_cache(maxsize=512)
def _squashed_words(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_squashed, words))


@lru_cache(maxsize=512)
def _lowered(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(str.lower, names))


@lru_cache(maxsize=512)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


@lru_cache(maxsize=512)
def _fenced(phrases: tuple[str, ...]) -> re.Pattern[str]:
    # Texts are lower case already: matching without IGNORECASE is several times faster.
    lower = re.sub(r"(\\.)|([A-Z])", lambda m: m[1] or m[2].lower(), "|".join(phrases))
    return re.compile(rf"(?<![a-z0-9_])(?:{lower})(?![a-z0-9_])")


# --- quotations -----------------------------------------------------------------------------

_ADDRESS = re.compile(r"https?://\S{1,400}")
_ENDLESS_WORD = re.compile(r"\w{200,}")
_PUNCTUATION = re.compile(r"([^\w\s]{2})[^\w\s]{2,}")
_TERMINAL_ERROR = re.compile(r"^.*\n\s*(?=API Error:)", re.DOTALL)
_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_ECHO = re.compile(
    r"\b(?:prompt|input|content|contents|text|query|question|arguments|failed_generation|user"
    r"|assistant|system|user said|instructions?)['\"]?\s*[:=]\s*"
    r"(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|“[^”]*”?|「[^」]*」?)",
    re.IGNORECASE,
)
_QUOTATION = re.compile(
    # What follows such a word is the error's own text, as logs quote it.
    r"(?P<owner>\b(?:message|msg|details?|reason|error|exception|description|title|failed|failures?"
    r"|response|returned|cause|[45][0-9]{2})[^\w.!?]{0,6})?"
    r"(?:\"[^\"\n]{80,}\"|“[^”]{60,}”|(?<=\s)'[^'\n]{120,}'(?=\W|\Z)|「[^」]{40,}」)",
    re.IGNORECASE,
)


def unquoted(text: str) -> str:
    """A text without what looks quoted: of the user's own prompt, of a file, of a request.

    Left out are code fences, `prompt: "…"` and its like, long spans in quotes that no error field
    introduces, and what a terminal showed before its line `API Error:`.
    """
    text = _ADDRESS.sub(" … ", _TERMINAL_ERROR.sub("", shortened(text)))
    if "```" in text or "~~~" in text:
        text = _FENCE.sub(" … ", text)
    if not any(mark in text for mark in "\"'“「"):
        return text
    text = _ECHO.sub(" … ", text)
    return _QUOTATION.sub(lambda match: match[0] if match["owner"] else " … ", text)
