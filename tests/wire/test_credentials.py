"""Where keys come from, and that they go nowhere but to their endpoint."""

import dataclasses
import io
import logging
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typing_extensions import override

from agentcore import (
    Agent,
    AgentCoreError,
    ConfigurationError,
    Local,
    OpenRouter,
    ProviderAdapter,
    RunError,
    RunEvent,
)
from agentcore.cli.display import Display
from agentcore.endpoint import cache_folder
from agentcore.messages import JsonObject
from agentcore.testing import (
    RESET,
    Answer,
    Call,
    GatewayTransport,
    Reply,
    after_line,
    cut,
    in_stream_error,
    run_in_virtual_time,
    status,
    stream,
)
from agentcore.tools import write_file

GOOD = stream(Answer(text="Here it is."))
LINES = "".join(f"line {number}\\n" for number in range(60))
WRITE = stream(
    Answer(
        calls=(
            Call(
                name="write_file",
                arguments=f'{{"path":"a.md","mode":"create","content":"{LINES}"}}',
            ),
        )
    )
)


def run(tmp_path: Path, adapter: ProviderAdapter, *replies: Reply) -> GatewayTransport:
    transport = GatewayTransport()
    transport.play(*replies)
    agent = Agent("m", adapter=adapter, workspace=tmp_path, transport=transport)
    run_in_virtual_time(agent.run, "Go on.")
    return transport


# --- where they come from -------------------------------------------------------------------


def test_a_key_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", " sk-env\n")
    transport = run(tmp_path, Local(base_url="http://a.test/v1"), GOOD)
    assert transport.last.headers["authorization"] == "Bearer sk-env"


def test_an_argument_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-env")
    transport = run(tmp_path, Local(base_url="http://a.test/v1", api_key="sk-own"), GOOD)
    assert transport.last.headers["authorization"] == "Bearer sk-own"


BUSY = status(503, {"error": {"message": "busy"}})
REFUSED = status(401, {"error": {"message": "The token has expired", "code": 401}})


def keys(*given: str) -> Callable[[], str]:
    left = list(given)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_a_function_is_asked_before_every_request(tmp_path: Path) -> None:
    adapter = Local(base_url="http://a.test/v1", api_key=keys("sk-1", "sk-2"))
    transport = run(tmp_path, adapter, BUSY, GOOD)
    sent = [request.headers["authorization"] for request in transport.requests]
    assert sent == ["Bearer sk-1", "Bearer sk-2"]


def test_a_function_may_be_async(tmp_path: Path) -> None:
    async def key() -> str:
        await anyio.lowlevel.checkpoint()
        return "sk-async"

    transport = run(tmp_path, Local(base_url="http://a.test/v1", api_key=key), GOOD)
    assert transport.last.headers["authorization"] == "Bearer sk-async"


def test_a_refused_key_is_renewed_once_if_there_is_another(tmp_path: Path) -> None:
    adapter = Local(base_url="http://a.test/v1", api_key=keys("old", "new"))
    transport = run(tmp_path, adapter, REFUSED, GOOD)
    sent = [request.headers["authorization"] for request in transport.requests]
    assert sent == ["Bearer old", "Bearer new"]


def test_a_refused_key_that_stays_the_same_is_not_tried_again(tmp_path: Path) -> None:
    adapter = Local(base_url="http://a.test/v1", api_key=lambda: "old")
    with pytest.raises(RunError) as stopped:
        run(tmp_path, adapter, REFUSED)
    assert (stopped.value.kind, len(stopped.value.attempts)) == ("auth", 1)


def test_keys_that_are_all_refused_are_not_tried_for_ever(tmp_path: Path) -> None:
    adapter = Local(base_url="http://a.test/v1", api_key=keys(*"abcdefgh"))
    with pytest.raises(RunError) as stopped:
        run(tmp_path, adapter, REFUSED, REFUSED)
    assert len(stopped.value.attempts) == 2


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (lambda: None, "gave a NoneType; it must give text"),
        (lambda: 1 / 0, "raised ZeroDivisionError"),
        (lambda: " ", "no key for openrouter"),
        ("säkret", "holds characters that no header may carry"),
    ],
)
def test_a_key_that_is_none_is_told(tmp_path: Path, key: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        run(tmp_path, OpenRouter(api_key=key), GOOD)
    assert "säkret" not in str(raised.value)


def test_an_address_with_a_credential_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="api_key=") as raised:
        Agent("m", adapter=Local(base_url="https://me:sk-hidden@a.test/v1"))
    assert "sk-hidden" not in str(raised.value)


@pytest.mark.parametrize("url", ["https://h.test/v1?key=sk-hidden", "https://h.test/v1#sk-hidden"])
def test_an_address_with_a_query_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="without a query") as raised:
        Agent("m", adapter=Local(base_url=url))
    assert "sk-hidden" not in str(raised.value)


@pytest.mark.parametrize("value", [b"sk-hidden", "sk-hidden\n", "sk-hidden \r\nx: y", "sk-hiddén"])
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="header 'api-key'") as raised:
        Local(base_url="http://h.test/v1", extra_headers={"api-key": value})
    assert "sk-hidd" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://localhost:80a0/v1", "http://[::1/v1", "http://h:99999/v1"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match="give the address"):
        Agent("m", adapter=Local(base_url=url))


def test_without_a_home_directory_there_is_still_a_place_for_what_can_be_fetched_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert cache_folder().name == "agentcore"


# --- where they do not go -------------------------------------------------------------------


def sources(key: str) -> dict[str, dict[str, Any]]:
    async def later() -> str:
        return key

    return {
        "argument": {"api_key": key},
        "function": {"api_key": lambda: key},
        "async function": {"api_key": later},
        "api-key header": {"extra_headers": {"api-key": key}},
        "own authorization": {"extra_headers": {"Authorization": f"Bearer {key}"}},
        "own header": {"extra_headers": {"X-Acme-Token": key}},
    }


def endings(key: str) -> dict[str, list[Reply]]:
    echoed: JsonObject = {
        "error": {
            "message": f"Incorrect API key provided: {key}.",
            "code": f"bad_key_{key}",
            "type": "invalid_request_error",
            "metadata": {"raw": f'{{"error":{{"message":"token {key} is wrong"}}}}'},
        }
    }
    return {
        "good": [WRITE, GOOD],
        "refused": [status(401, echoed, {"www-authenticate": key})],
        "a page": [status(403, f"<html><body>Denied: {key}</body></html>")],
        "in the stream": [Reply(steps=in_stream_error(echoed))] * 4,
        "cut in a write": [cut(WRITE, at=after_line(40), by=RESET), status(401, echoed)],
        "redirected": [status(302, "", {"location": f"https://b.test/?token={key}"})],
    }


class Caught(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=0)
        self.texts: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {record.args!r} {record.exc_text}")


@contextmanager
def everything_logged() -> Iterator[Caught]:
    caught, root = Caught(), logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("openai", "httpx2", "httpcore2"))]
    before = [logger.level for logger in loggers]
    root.addHandler(caught)
    for logger in loggers:
        logger.setLevel(1)
    try:
        yield caught
    finally:
        root.removeHandler(caught)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def emitted(folder: Path, replies: list[Reply], options: dict[str, Any]) -> Iterator[str]:
    """Everything that a person, a log or the disk can get to see of a run."""
    transport = GatewayTransport()
    transport.play(*replies)
    events: list[RunEvent] = []
    screen = io.StringIO()
    display = Display(Console(file=screen, width=200))
    adapter = Local(base_url="http://a.test/v1", **options)
    agent = Agent("m", adapter=adapter, tools=[write_file], workspace=folder, transport=transport)

    def listen(event: RunEvent) -> None:
        events.append(event)
        display(event)

    with everything_logged() as caught, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = run_in_virtual_time(lambda: agent.run("Go on.", on_event=listen))
            yield repr(result)
        except AgentCoreError as error:
            yield from traceback.format_exception(error)
            yield f"{error} {error!r} {error.args} {vars(error)}"
    for event in events:
        yield f"{event} {dataclasses.asdict(event)}"
    yield from (repr(adapter), repr(agent), screen.getvalue())
    yield from caught.texts
    yield from (str(warning.message) for warning in warned)
    for file in folder.rglob("*"):
        yield str(file)
        if file.is_file():
            yield file.read_text(errors="replace")


KEYS = st.from_regex(r"sk-[A-Za-z0-9_-]{12,40}", fullmatch=True)


@settings(max_examples=25)
@given(
    key=KEYS, source=st.sampled_from(sorted(sources(""))), end=st.sampled_from(sorted(endings("")))
)
def test_a_planted_key_is_found_in_nothing_that_we_emit(key: str, source: str, end: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for text in emitted(Path(folder), endings(key)[end], sources(key)[source]):
            assert key not in text
            assert key.lower() not in text.lower()
