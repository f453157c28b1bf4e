"""The figures in a refusal: window, prompt, cap. They tell an overflow from a cap set too high."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

__all__ = ["TokenFigures", "read_cap", "read_figures"]

_N: Final = r"\d[\d,_]{0,20}(?<=\d)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFigures:
    """Tokens, as a refusal names them."""

    window: int
    """Prompt and answer together may hold so many."""
    prompt: int
    """The request's prompt, by the endpoint's count."""

    @property
    def room(self) -> int:
        """What is left for the answer; not above 0 when the prompt alone does not fit."""
        return self.window - self.prompt


# Each form names `window` and `prompt`, in the wordings of (in this order) Anthropic; OpenAI, vLLM
# and OpenRouter; TGI; vLLM's short form; llama.cpp and SGLang; Anthropic and Bedrock for the prompt
# alone; Google.
_FORMS: Final = (
    r"(?P<prompt>N) \+ N > (?P<window>N)",
    r"maximum context length (?:is|of) (?P<window>N).{0,90}?"
    r"\((?P<prompt>N) (?:tokens )?(?:in|of|from) (?:the |your )?"
    r"(?:messages|text input|input|prompt)",
    r"must be <= (?P<window>N)\. Given: (?P<prompt>N)",
    r"maximum context length is (?P<window>N).{0,60}?(?:has|contains?|with) (?:at least )?"
    r"(?P<prompt>N) (?:input|prompt)? ?tokens",
    r"maximum context length is (?P<window>N).{0,60}?(?:resulted in|requested) (?P<prompt>N) "
    r"tokens(?! \()",
    r"(?:input|request|prompt) \((?P<prompt>N) tokens\).{0,80}?context "
    r"(?:length|size|window).{0,10}?\((?P<window>N) tokens\)",
    r"prompt is too long: (?P<prompt>N) tokens > (?P<window>N)",
    r"prompt \(length (?P<prompt>N)\) is longer than the maximum model length of (?P<window>N)",
    r"input token count(?: of)? \(?(?P<prompt>N)\)? exceeds.{0,60}?\(?(?P<window>N)\)?",
)

_CAP_FORMS: Final = (
    r"can only afford N",
    r"max\w*tokens\W+[\d,_]{1,20} > N",
    r"(?:at most|less than or equal to|cannot exceed|must not exceed|not exceed|<=|≤) ?N",
    r"(?:不能超过|不超过) ?N",
    r"(?:range|between|in) (?:of )?\[?\(?\s*\d{1,12}\s*(?:,|and|to|-|~)\s*N",
    r"max\w*(?: \w+){0,7}? (?:is|of|:) N",
    r"(?:limit|maximum)(?: is| of|:)? N",
)


# Compiled for the first refusal that is read: it takes longer than loading all of this file.
@cache
def _figures() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(f.replace("N", _N), re.IGNORECASE | re.DOTALL) for f in _FORMS)


@cache
def _caps() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(f.replace("N", f"(?P<cap>{_N})"), re.IGNORECASE) for f in _CAP_FORMS)


# Google counts from 1 (inclusive) to a figure that is itself too large.
_EXCLUSIVE: Final = re.compile(rf"tokens.{{0,60}}? to (?P<cap>{_N}) \(exclusive\)", re.IGNORECASE)


def read_figures(text: str) -> TokenFigures | None:
    """Window and prompt, if a text names both."""
    # Most texts name no figures: a look for two words spares eight searches.
    if "token" not in text.lower() and " + " not in text:
        return None
    for form in _figures():
        if match := form.search(text):
            return TokenFigures(window=_int(match["window"]), prompt=_int(match["prompt"]))
    return None


def read_cap(text: str) -> int | None:
    """The largest output cap that a refusal says it would take, in tokens; None when it says none.

    The room that is left in the window goes before any other figure.
    """
    figures = read_figures(text)
    if figures is not None:
        return figures.room if figures.room > 0 else None
    if match := _EXCLUSIVE.search(text):
        return max(0, _int(match["cap"]) - 1) or None
    for form in _caps():
        if match := form.search(text):
            cap = _int(match["cap"])
            if cap > 0:
                return cap
    return None


def _int(digits: str) -> int:
    return int(digits.replace(",", "").replace("_", "")[:15])
