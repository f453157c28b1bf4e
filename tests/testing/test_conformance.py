"""The conformance cases: every adapter of ours passes, and each broken one fails its own case."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from agentcore import ModelFamily, family_of
from agentcore.facts import ErrorFacts, Surface
from agentcore.messages import JsonObject, Message
from agentcore.providers import (
    PROVIDERS,
    XAI,
    ZAI,
    Anthropic,
    Azure,
    Capabilities,
    DeepSeek,
    Fireworks,
    Gemini,
    Groq,
    Local,
    Mistral,
    Moonshot,
    OpenAI,
    OpenRouter,
    ProviderAdapter,
    Request,
    Together,
    Wire,
)
from agentcore.providers.openrouter import EAGER_BETA
from agentcore.testing import Quirk, RecordedRequest
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
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "text",
                                "text": "Go on.",
                                "cache_control": {"type": "ephemeral"},
                            }
                        ],
                    }
                ],
                "stream": True,
                "stream_options": {"include_usage": True},
                "max_tokens": 128_000,
            },
        ),
    )


class TestOpenAI(AdapterConformance):
    adapter = OpenAI
    models = ("gpt-5.2", "gpt-4o-mini", "o3")


class TestAnthropic(AdapterConformance):
    adapter = Anthropic
    models = ("claude-opus-4-6", "claude-haiku-4-5")


class TestEagerAnthropic(TestAnthropic):
    @override
    def make_adapter(self, **options: Any) -> ProviderAdapter:
        return Anthropic(eager_tool_streaming=True, **options)


class TestDeepSeek(AdapterConformance):
    adapter = DeepSeek
    models = ("deepseek-v4-pro", "deepseek-chat")


class TestMistral(AdapterConformance):
    adapter = Mistral
    models = ("devstral-medium", "codestral-2508")

    @override
    def conversation(self, request: RecordedRequest) -> Sequence[JsonObject]:
        """The ids that the cases gave, for those that went out in their place."""
        text = json.dumps(request.messages)
        for id_ in ("call_77_a", "call_77_b", "call_0001"):
            text = text.replace(Mistral().call_id(id_, family_of("mistral-large")), id_)
        messages: list[JsonObject] = json.loads(text)
        return messages


class TestMoonshot(AdapterConformance):
    adapter = Moonshot
    models = ("kimi-k3", "moonshot-v1-128k")


class TestZAI(AdapterConformance):
    adapter = ZAI
    models = ("glm-5.1", "glm-4.5")


class TestLocal(AdapterConformance):
    adapter = Local


class TestAzure(AdapterConformance):
    adapter = Azure
    models = ("gpt-5.2", "my-deployment")


class TestGemini(AdapterConformance):
    adapter = Gemini
    models = ("gemini-3-pro-preview", "gemini-2.5-pro")


class TestGroq(AdapterConformance):
    adapter = Groq
    models = ("openai/gpt-oss-120b", "llama-3.3-70b-versatile")


class TestXAI(AdapterConformance):
    adapter = XAI
    models = ("grok-4.3", "grok-4.6")


class TestTogether(AdapterConformance):
    adapter = Together
    models = ("openai/gpt-oss-120b", "moonshotai/Kimi-K2.6")


class TestFireworks(AdapterConformance):
    adapter = Fireworks
    models = ("accounts/fireworks/models/deepseek-v4-pro", "accounts/fireworks/models/kimi-k3")


class Cumulative(Relay):
    capabilities = Capabilities(cumulative_arguments=True, usage_in_stream=False)


class Endless(Relay):
    capabilities = Capabilities(done_is_terminal=True)


class TestEndless(AdapterConformance):
    """This endpoint sends no finish reasons: its `[DONE]` line ends an answer."""

    adapter = Endless


class TestCumulative(AdapterConformance):
    """Capabilities choose the cases: this endpoint repeats all arguments in every delta."""

    adapter = Cumulative


def test_every_adapter_of_ours_is_among_them() -> None:
    tried = {
        cls.adapter
        for name, cls in globals().items()
        if name.startswith("Test") and issubclass(cls, AdapterConformance)
    }
    assert tried >= set(PROVIDERS.values())


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
        "usage-is-asked-for",
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

    text = failure(Raises, named("the-key-goes-out-once"))
    assert re.search(
        r"`headers` \(.*test_conformance.py:\d+: raise .*\) raised KeyError: 'region'", text
    )
    assert text.endswith("What to change: the hook raised, see above.")


def test_what_went_out_and_why_it_stopped_are_shown() -> None:
    class Mute(Relay):
        @override
        def facts(self, error: object, **known: Any) -> ErrorFacts:
            return replace(super().facts(error, **known), message="", messages=())

    text = failure(Mute, named("the-endpoints-words-are-told"))
    assert "request 1: POST /v1/chat/completions b'{" in text
    assert "the run's error:" in text


def test_a_lost_status_is_called_that() -> None:
    class Lost(Relay):
        @override
        def facts(self, error: object, **known: Any) -> ErrorFacts:
            return ErrorFacts(surface=Surface.HTTP)

    assert "`facts` lost the status" in failure(Lost, named("status-403"))


def wrong(value: object) -> Any:
    """A value that has not the type that is asked for."""
    return value


class Unset(AdapterConformance):
    pass


class WithAnInstance(AdapterConformance):
    adapter = wrong(Relay())


class WithOneModel(TestRelay):
    models = "gpt-5.2"


class WithoutModels(TestRelay):
    models = ()


class WithADict(TestRelay):
    requests = wrong(({"model": "gpt-5.2"},))


class WithCapabilitiesAsADict(AdapterConformance):
    class Odd(Relay):
        capabilities = wrong({"usage_in_stream": False})

    adapter = Odd


class MakesNothing(AdapterConformance):
    @override
    def make_adapter(self, **options: Any) -> ProviderAdapter:
        made: ProviderAdapter = wrong(None)
        return made


@pytest.mark.parametrize(
    ("conformance", "says"),
    [
        (Unset, "Unset.adapter is None: set it to your adapter's class"),
        (WithAnInstance, r"WithAnInstance.adapter is Relay\(.*\): set it to your adapter's class"),
        (WithOneModel, r"models is 'gpt-5.2': give a tuple, as in \('gpt-5.2',\)"),
        (WithoutModels, "models is empty: name a model"),
        (WithADict, "requests has .*: give a ExpectedRequest"),
        (WithCapabilitiesAsADict, "`capabilities` must be a Capabilities, not {"),
        (MakesNothing, "`make_adapter` must give a ProviderAdapter, not None"),
    ],
)
def test_wrong_settings_are_told_before_any_case(
    conformance: type[AdapterConformance], says: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        conformance().cases()


class TestOwnCases(TestRelay):
    """Other tests in such a class may be parametrized by `case`, too."""

    @pytest.mark.parametrize("case", ["mine"])
    def test_of_its_own(self, case: str) -> None:
        assert case == "mine"

    @override
    def cases(self) -> tuple[Case, ...]:
        return super().cases()[:1]


class Elsewhere(Relay):
    """An adapter with another path, and messages spelled in another way."""

    @override
    def message(self, message: Message, family: ModelFamily) -> JsonObject:
        return {"said": super().message(message, family)}

    @override
    def encode(self, request: Request) -> Wire:
        return replace(super().encode(request), path=f"/models/{request.model}/chat?version=1")


class TestElsewhere(AdapterConformance):
    adapter = Elsewhere
    path = "/chat"

    @override
    def conversation(self, request: RecordedRequest) -> Sequence[JsonObject]:
        return [said for one in request.messages if isinstance(said := one["said"], dict)]


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
