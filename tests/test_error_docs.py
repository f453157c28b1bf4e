"""The tables of `docs/errors.md` are those of the code. `make tables` rewrites them."""

from pathlib import Path

from agentcore.classification import Classification
from agentcore.cli.explain import action_of
from agentcore.error_rules import ERROR_RULES, ErrorRule
from agentcore.kinds import ErrorKind
from agentcore.retry import Policy

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"


def kinds() -> str:
    rows = [
        f"| `{kind}` | {action_of(Classification(kind=kind, rule='', evidence=''), Policy())} |"
        for kind in ErrorKind
    ]
    return "\n".join(["| kind | what the loop does |", "|---|---|", *rows])


def rules() -> str:
    rows = [
        f"| {number} | `{rule.name}` | `{rule.kind}` | {rule.strength.name.lower()} "
        f"| {_reads(rule)} | {rule.why} |"
        for number, rule in enumerate(ERROR_RULES, 1)
    ]
    return "\n".join(
        ["| | rule | kind | strength | reads | why |", "|---|---|---|---|---|---|", *rows]
    )


def _reads(rule: ErrorRule) -> str:
    """What a row looks at, without its hundreds of words."""
    parts = [
        f"surface {', '.join(rule.surfaces)}" if rule.surfaces else "",
        f"status {', '.join(map(str, rule.statuses))}" if rule.statuses else "",
        f"status {rule.status_class}xx" if rule.status_class else "",
        f"{len(rule.words)} codes" if rule.words else "",
        "the form of a code" if rule.reason_patterns else "",
        f"{len(rule.exceptions)} exceptions" if rule.exceptions else "",
        f"{len(rule.phrases)} phrase{'s' if len(rule.phrases) > 1 else ''}" if rule.phrases else "",
        f"a wait ≥ {rule.min_wait:g} s" if rule.min_wait is not None else "",
        "tokens of prompt and window" if rule.prompt_fits is not None else "",
    ]
    return "; ".join(filter(None, parts))


def page() -> str:
    text = PAGE.read_text()
    for name, table in (("kinds", kinds()), ("rules", rules())):
        before, rest = text.split(f"<!-- {name} -->\n")
        _, after = rest.split("<!-- end -->", maxsplit=1)
        text = f"{before}<!-- {name} -->\n{table}\n<!-- end -->{after}"
    return text


def test_the_tables_are_those_of_the_code() -> None:
    assert PAGE.read_text() == page(), "docs/errors.md is out of date: make tables"


if __name__ == "__main__":
    PAGE.write_text(page())
