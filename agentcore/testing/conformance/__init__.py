"""`AdapterConformance`: what every adapter must do, as cases that pytest runs on yours.

    from agentcore.testing.conformance import AdapterConformance

    class TestRelay(AdapterConformance):
        adapter = Relay

No key and no network: each case lets a whole agent meet a scripted endpoint in process.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from agentcore.providers.base import ProviderAdapter
from agentcore.testing.answers import Answer, stream, whole
from agentcore.testing.conformance.case import Case, ConformanceError
from agentcore.testing.conformance.failed import FAILED_CASES
from agentcore.testing.conformance.received import RECEIVED_CASES
from agentcore.testing.conformance.sent import SENT_CASES
from agentcore.testing.conformance.stage import ExpectedRequest, Stage
from agentcore.testing.script import Reply

__all__ = [
    "CASES",
    "AdapterConformance",
    "Case",
    "ConformanceError",
    "ExpectedRequest",
]

CASES: tuple[Case, ...] = (*SENT_CASES, *RECEIVED_CASES, *FAILED_CASES)
"""Every case, in the order of a request: what is sent, what comes back, what goes wrong."""


class AdapterConformance:
    """Subclass it under a name that begins with `Test`, set `adapter`, and run pytest.

    Cases that an endpoint cannot be asked for, by its own `Capabilities`, are not collected: there
    is no list of cases to skip.
    """

    adapter: ClassVar[Callable[..., ProviderAdapter]]
    """The adapter's class. Where its constructor differs, override `make_adapter`."""
    models: ClassVar[Sequence[str]] = ("claude-opus-4.6", "gpt-5.2", "deepseek-v4-pro", "another")
    """Ids as the endpoint knows them, of different families where it serves several."""
    requests: ClassVar[Sequence[ExpectedRequest]] = ()
    """The request for "Go on." as a literal, for as many models as you like."""

    def make_adapter(self, **options: Any) -> ProviderAdapter:
        """An adapter with these settings: `base_url`, `api_key`, `extra_headers`, `extra_body`."""
        return type(self).adapter(**options)

    def stream(self, answer: Answer, **options: Any) -> Reply:
        """An answer as this endpoint streams it; takes the keywords of `testing.stream`.

        Override it, and `whole`, where the adapter speaks another wire format.
        """
        return stream(answer, **options)

    def whole(self, answer: Answer, **options: Any) -> Reply:
        """An answer as this endpoint gives it in one body."""
        return whole(answer, **options)

    def stage(self) -> Stage:
        """Where the cases are played."""
        return Stage(
            make_adapter=self.make_adapter,
            models=self.models,
            expected=self.requests,
            stream=self.stream,
            whole=self.whole,
        )

    def cases(self) -> tuple[Case, ...]:
        """The cases that this adapter's endpoint can be asked for."""
        capabilities = self.stage().adapter().capabilities
        return tuple(case for case in CASES if case.applies(capabilities))

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Pytest asks: one test a case."""
        if "case" in metafunc.fixturenames:
            cases = self.cases()
            metafunc.parametrize("case", cases, ids=[case.name for case in cases])

    def test_adapter(self, case: Case) -> None:
        """The adapter does what this case demands."""
        __tracebackhide__ = True
        case.run(self.stage())
