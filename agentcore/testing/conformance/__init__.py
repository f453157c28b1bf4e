"""`AdapterConformance`: what every adapter must do, as cases that pytest runs on yours.

    from agentcore.testing.conformance import AdapterConformance

    class TestRelay(AdapterConformance):
        adapter = Relay

No key and no network: each case lets a whole agent meet a scripted endpoint in process.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from agentcore.messages import JsonObject
from agentcore.providers.base import ProviderAdapter
from agentcore.testing.answers import Answer, stream, whole
from agentcore.testing.conformance.case import Case, ConformanceError
from agentcore.testing.conformance.corrected import CORRECTED_CASES
from agentcore.testing.conformance.failed import FAILED_CASES
from agentcore.testing.conformance.history import HISTORY_CASES
from agentcore.testing.conformance.received import RECEIVED_CASES, an_answer_is_accepted
from agentcore.testing.conformance.sent import SENT_CASES
from agentcore.testing.conformance.stage import (
    CHAT_FIELDS,
    CHAT_PATH,
    ExpectedRequest,
    Stage,
)
from agentcore.testing.script import Reply
from agentcore.testing.server import RecordedRequest

__all__ = [
    "CASES",
    "AdapterConformance",
    "Case",
    "ConformanceError",
    "ExpectedRequest",
]

CASES: tuple[Case, ...] = (
    an_answer_is_accepted,
    *SENT_CASES,
    *HISTORY_CASES,
    *RECEIVED_CASES,
    *CORRECTED_CASES,
    *FAILED_CASES,
)
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

    path: ClassVar[str] = CHAT_PATH
    """What follows the base URL. Set it to its end where the rest depends on the request."""
    required: ClassVar[frozenset[str]] = CHAT_FIELDS
    """Fields of the body that no request can do without; every other one that the adapter adds is
    in `Wire.added_fields`."""

    def make_adapter(self, **options: Any) -> ProviderAdapter:
        """An adapter with these settings: `base_url`, `api_key`, `extra_headers`, `extra_body`."""
        adapter: object = getattr(type(self), "adapter", None)
        if isinstance(adapter, ProviderAdapter) or not callable(adapter):
            raise TypeError(
                f"{type(self).__name__}.adapter is {adapter!r}: set it to your adapter's class, or "
                "override `make_adapter`"
            )
        return type(self).adapter(**options)

    def stream(self, answer: Answer, **options: Any) -> Reply:
        """An answer as this endpoint streams it; takes the keywords of `testing.stream`.

        Override it, and `whole`, where the adapter speaks another wire format.
        """
        return stream(answer, **options)

    def whole(self, answer: Answer, **options: Any) -> Reply:
        """An answer as this endpoint gives it in one body."""
        return whole(answer, **options)

    def conversation(self, request: RecordedRequest) -> Sequence[JsonObject]:
        """The messages that a request carries.

        Override it where the adapter spells them otherwise, and give them as chat completions has
        them: `role`, `content`, `tool_calls`, `tool_call_id`.
        """
        return request.messages

    def stage(self) -> Stage:
        """Where the cases are played."""
        self._check_settings()
        return Stage(
            make_adapter=self.make_adapter,
            models=self.models,
            expected=self.requests,
            stream=self.stream,
            whole=self.whole,
            conversation=self.conversation,
            path=self.path,
            required=self.required,
            is_chat=type(self).stream is AdapterConformance.stream,
        )

    def _check_settings(self) -> None:
        name = type(self).__name__
        for setting, kind in (("models", str), ("requests", ExpectedRequest)):
            values: object = getattr(self, setting)
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise TypeError(
                    f"{name}.{setting} is {values!r}: give a tuple, as in ({values!r},)"
                )
            for value in values:
                if not isinstance(value, kind):
                    raise TypeError(f"{name}.{setting} has {value!r}: give a {kind.__name__}")
        if not self.models:
            raise ValueError(f"{name}.models is empty: name a model that the endpoint serves")

    def cases(self) -> tuple[Case, ...]:
        """The cases that this adapter's endpoint can be asked for."""
        stage = self.stage()
        capabilities = stage.adapter().capabilities
        return tuple(
            case
            for case in CASES
            if case.applies(capabilities) and (stage.is_chat or not case.chat_only)
        )

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Pytest asks: one test a case."""
        if metafunc.definition.originalname == "test_adapter":
            cases = self.cases()
            metafunc.parametrize("case", cases, ids=[case.name for case in cases])

    def test_adapter(self, case: Case) -> None:
        """The adapter does what this case demands."""
        __tracebackhide__ = True
        case.run(self.stage())
