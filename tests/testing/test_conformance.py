"""The conformance cases: every adapter of ours passes, and each broken one fails its own case."""

import re
from pathlib import Path

import pytest
from typing_extensions import override

from agentcore.providers import PROVIDERS, Capabilities, Local, OpenAI, OpenRouter, ProviderAdapter
from agentcore.providers.openrouter import EAGER_BETA
from agentcore.testing import Quirk
from agentcore.testing.conformance import (
    CASES,
    AdapterConformance,
    Case,
    ConformanceError,
    ExpectedRequest,
)
from tests.testing.broken_adapters import BROKEN, Relay

PAGE = Path(__file__).parent.parent.parent / "docs" / "testing.md"


class TestRelay(AdapterConformance):
    adapter = Relay


class TestOpenRouter(AdapterConformance):
    adapter = OpenRouter
    models = ("anthropic/claude-opus-4.6", "openai/gpt-5.2", "deepseek/deepseek-v4-pro")
    requests = (
        ExpectedRequest(
            model="anthropic/claude-opus-4.6",
            headers={"x-anthropic-beta": EAGER_BETA},
            body={
                "model": "anthropic/claude-opus-4.6",
                "messages": [{"role": "user", "content": "Go on."}],
                "stream": True,
                "stream_options": {"include_usage": True},
                "max_tokens": 128_000,
            },
        ),
    )


class TestOpenAI(AdapterConformance):
    adapter = OpenAI
    models = ("gpt-5.2", "gpt-4o-mini", "o3")


class TestLocal(AdapterConformance):
    adapter = Local


class Cumulative(Relay):
    capabilities = Capabilities(cumulative_arguments=True, usage_in_stream=False)


class TestCumulative(AdapterConformance):
    """Capabilities choose the cases: this endpoint repeats all arguments in every delta."""

    adapter = Cumulative


def test_every_adapter_of_ours_is_among_them() -> None:
    classes = (TestOpenRouter, TestOpenAI, TestLocal)
    assert {cls.adapter for cls in classes} == set(PROVIDERS.values())


def test_names_are_unique_and_every_case_says_what_it_demands_and_what_to_change() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    for case in CASES:
        assert case.demands.endswith("."), case.name
        assert case.advice.endswith("."), case.name


def test_capabilities_choose_the_cases() -> None:
    usual = {case.name for case in TestRelay().cases()}
    cumulative = {case.name for case in TestCumulative().cases()}
    assert usual - cumulative == {
        "fragments-are-not-taken-for-the-whole",
        *(f"quirk-{quirk}" for quirk in Quirk if quirk is not Quirk.CUMULATIVE_ARGUMENTS),
    }
    assert cumulative - usual == {"repeated-arguments-are-read-once"}


def failure(adapter: type[ProviderAdapter], case: Case) -> str:
    conformance = AdapterConformance()
    conformance.make_adapter = adapter  # type: ignore[method-assign]
    with pytest.raises(ConformanceError) as raised:
        case.run(conformance.stage())
    return str(raised.value)


def named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


@pytest.mark.parametrize("adapter", BROKEN, ids=lambda adapter: adapter.__name__)
def test_a_broken_adapter_fails_the_case_that_is_meant_for_it(adapter: type[Relay]) -> None:
    case = named(BROKEN[adapter])
    text = failure(adapter, case)
    assert text.startswith(f"{case.name}: {case.demands}")
    assert text.endswith(f"What to change: {case.advice}")
    assert "b'" in text, "the bytes around the place are shown"


def test_a_wrong_literal_shows_where_the_request_differs() -> None:
    class Wrong(TestOpenRouter):
        requests = (ExpectedRequest(model="o3", body={"model": "o3", "stream": True}),)

    with pytest.raises(ConformanceError, match="the body for o3 is another"):
        named("request-is-as-written-down").run(Wrong().stage())


def test_an_exception_in_a_hook_is_a_failure_with_its_cause() -> None:
    class Raises(Relay):
        @override
        def headers(self, request: object) -> dict[str, str]:
            raise KeyError("region")

    case = named("the-key-goes-out-once")
    assert "KeyError: 'region'" in failure(Raises, case)


def table() -> str:
    rows = ["| adapter | what is wrong | the case that fails | it says |", "|---|---|---|---|"]
    for adapter, name in BROKEN.items():
        problem = failure(adapter, named(name)).split("\n\n")[1].split("\n")[0]
        problem = re.sub(r"\d+ ms of", "250 ms of", problem)
        wrong = " ".join((adapter.__doc__ or "").split())
        rows.append(f"| `{adapter.__name__}` | {wrong} | `{name}` | {problem} |")
    return "\n".join(rows)


def page() -> str:
    before, rest = PAGE.read_text().split("<!-- broken -->\n")
    _, after = rest.split("<!-- end -->", maxsplit=1)
    return f"{before}<!-- broken -->\n{table()}\n<!-- end -->{after}"


def test_the_table_in_the_docs_is_what_happens() -> None:
    assert PAGE.read_text() == page(), "docs/testing.md is out of date: make tables"


if __name__ == "__main__":
    PAGE.write_text(page())
