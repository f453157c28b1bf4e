"""`agentcore explain`: what a failure is, what the loop would do about it, and why."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict, JsonValue, field_validator
from pydantic_core import from_json
from rich.console import Console
from rich.text import Text

from agentcore.classification import Classification, classify
from agentcore.error_rules import ERROR_RULES
from agentcore.facts import ErrorFacts, Surface, facts_of_report
from agentcore.kinds import ErrorKind
from agentcore.recovery import is_retried
from agentcore.retry import Policy

__all__ = ["Report", "action_of", "explain", "explained_lines"]

_WHY = {rule.name: rule.why for rule in ERROR_RULES}
_DOES = {
    ErrorKind.CONNECTION: "try again after a wait, on a fresh connection",
    ErrorKind.OVERLOADED: "try again after a longer wait",
    ErrorKind.TRUNCATED: "ask again, or go on from what arrived; a cut call is never run",
    ErrorKind.UNKNOWN: "try again after a wait; inside a stream, once without streaming",
    ErrorKind.QUOTA: "stop: no wait brings back credit",
    ErrorKind.AUTH: "stop: the key, the account or the permission has to change",
    ErrorKind.CONTEXT_OVERFLOW: "stop: the conversation has to become shorter",
    ErrorKind.CONTENT_POLICY: "stop: the same content is refused again",
    ErrorKind.INVALID_REQUEST: "stop, unless it names a field that the loop added: then without it",
    ErrorKind.REQUEST_TOO_LARGE: "stop: the request has to become smaller",
    ErrorKind.NOT_FOUND: "stop: there is no such model or route",
    ErrorKind.CANCELLED: "stop: the caller wished so",
}


class Report(BaseModel):
    """A failure as somebody reports it: one row of `--jsonl`. Further fields are not looked at."""

    model_config = ConfigDict(extra="ignore")

    id: JsonValue = None
    """Only echoed."""
    surface: Surface = Surface.TRANSPORT
    status: int | None = None
    headers: dict[str, JsonValue] | None = None
    body: JsonValue = None
    exception: str | None = None
    message: str | None = None

    @field_validator("surface", mode="before")
    @classmethod
    def _known_surface(cls, value: object) -> object:
        return value if value in list(Surface) else Surface.TRANSPORT

    @field_validator("status", mode="before")
    @classmethod
    def _whole_status(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @field_validator("exception", "message", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return value if value is None or isinstance(value, str) else json.dumps(value)

    @property
    def facts(self) -> ErrorFacts:
        """What a rule may look at."""
        return facts_of_report(
            surface=self.surface,
            status=self.status,
            headers={name: str(value) for name, value in (self.headers or {}).items()},
            body=self.body,
            exception=self.exception,
            message=self.message or "",
        )


def explain(
    text: Annotated[
        str | None, typer.Argument(help="A payload, a traceback or a log line. Default: stdin.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Read it from here.", exists=True, dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Reports on stdin, a JSON object a line; answers alike.")
    ] = False,
) -> None:
    """Say what kind of failure an error is, what the loop would do about it, and why."""
    if jsonl:
        for line in explained_lines(_read(file).splitlines()):
            typer.echo(line)
        return
    if text is not None and file is not None:
        raise typer.BadParameter("give a text or --file, not both")
    text = _read(file) if text is None or text == "-" else text
    if not text.strip():
        raise typer.BadParameter("there is nothing to explain: give a payload, a traceback, a line")
    found = classify(_facts_of_text(text))
    if as_json:
        typer.echo(json.dumps(_as_json(found), ensure_ascii=False))
    else:
        _show(found, Console())


def _read(file: Path | None) -> str:
    """A file or stdin; bytes that are no UTF-8 do not stop it."""
    data = sys.stdin.buffer.read() if file is None else file.read_bytes()
    return data.decode(errors="replace")


def explained_lines(lines: Iterable[str]) -> Iterator[str]:
    """An answer a line, for reports a line: `{"id", "kind", "retryable", "rule"}`.

    A line that is no report is answered too, with the kind `unknown` and what is wrong with it.
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            report = Report.model_validate(from_json(line))
        except (TypeError, ValueError) as error:
            broken = {"id": None, "kind": "unknown", "retryable": False, "rule": "no report"}
            yield json.dumps(broken | {"error": str(error).splitlines()[0]})
            continue
        found = classify(report.facts)
        answer = {
            "id": report.id,
            "kind": str(found.kind),
            "retryable": is_retried(found, Policy()),
            "rule": found.rule,
        }
        yield json.dumps(answer, ensure_ascii=False)


def action_of(found: Classification, policy: Policy) -> str:
    """What the loop does about a first failure of this kind, in words."""
    wait, cap = found.retry_after, found.corrected_output_limit
    if found.kind is ErrorKind.OUTPUT_LIMIT:
        return f"try again at once with a cap of {cap or 'half as many'} tokens"
    if found.is_transient and not is_retried(found, policy):
        limit = f"{policy.max_retry_after:g} s"
        return f"stop: it asks for a longer wait than {limit} (Policy.max_retry_after)"
    does = _DOES.get(found.kind, "try again after a wait")
    if found.is_transient and wait is not None:
        return f"{does}, of {wait.seconds:g} s at least"
    return does


def _facts_of_text(text: str) -> ErrorFacts:
    """A text alone does not say where the failure showed itself; a status in it does."""
    told = facts_of_report(message=text)
    surface = Surface.HTTP if told.status is not None else Surface.SSE
    return facts_of_report(surface=surface, message=text)


def _as_json(found: Classification) -> Mapping[str, JsonValue]:
    wait = found.retry_after
    return {
        "kind": str(found.kind),
        "retryable": is_retried(found, Policy()),
        "action": action_of(found, Policy()),
        "rule": found.rule,
        "why": _WHY.get(found.rule, ""),
        "evidence": found.evidence,
        "retry_after": {"seconds": wait.seconds, "source": wait.source} if wait else None,
        "corrected_output_limit": found.corrected_output_limit,
    }


def _show(found: Classification, console: Console) -> None:
    again = is_retried(found, Policy())
    rows = [
        ("kind", str(found.kind), "bold green" if again else "bold red"),
        ("the loop", action_of(found, Policy()), "green" if again else "red"),
        ("rule", found.rule, "cyan"),
        ("why", _WHY.get(found.rule, "no row of the table fits"), ""),
        ("evidence", found.evidence, "yellow"),
    ]
    if found.retry_after is not None:
        wait = found.retry_after
        rows.append(("wait", f"{wait.seconds:g} s ({wait.source})", ""))
    if found.corrected_output_limit is not None:
        rows.append(("cap", f"{found.corrected_output_limit} tokens", ""))
    for name, value, style in rows:
        # Texts of others are no markup.
        line = Text.assemble((f"{name:<10}", "dim"), (value, style))
        console.print(line, soft_wrap=True)
