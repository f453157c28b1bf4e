"""Servers of other people: a LiteLLM proxy in front of our `Gateway`, and a llama.cpp server."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from agentcore import Local
from agentcore.testing import Gateway
from tests.integration.random_model import write_random_model
from tests.integration.servers import free_port, program, running


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A LiteLLM proxy, and the endpoint that stands behind it."""

    adapter: Local
    upstream: Gateway
    """It has forgotten what earlier tests asked. Tell it how to `respond`."""


@pytest.fixture(scope="session")
def litellm_of_all_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """It takes ten seconds to start: one for all tests."""
    folder = tmp_path_factory.mktemp("litellm")
    port, key = free_port(), f"sk-{secrets.token_hex(32)}"
    address = f"http://127.0.0.1:{port}"
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Gateway()) as upstream,
    ):
        config = folder / "config.yaml"
        config.write_text(_config(upstream.base_url))  # YAML takes JSON
        with running(
            [
                program("litellm", "litellm"),
                *("--config", config, "--host", "127.0.0.1", "--port", str(port)),
            ],
            ready_url=f"{address}/health/liveliness",
            folder=folder,
            settings={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": key},
        ):
            yield Proxy(adapter=Local(base_url=f"{address}/v1", api_key=key), upstream=upstream)


def _config(upstream_url: str) -> str:
    """Retries and cooldowns are off: attempts are counted once, by us."""
    upstream = {"model": "openai/some-model", "api_base": upstream_url, "api_key": "sk-upstream"}
    return json.dumps(
        {
            "model_list": [
                {"model_name": "some-model", "litellm_params": {**upstream, "max_retries": 0}}
            ],
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
            "litellm_settings": {"num_retries": 0, "telemetry": False},
        }
    )


@pytest.fixture
def litellm(litellm_of_all_tests: Proxy) -> Iterator[Proxy]:
    upstream = litellm_of_all_tests.upstream
    upstream.requests.clear()
    yield litellm_of_all_tests
    if upstream.script_error is not None:
        raise upstream.script_error


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.gguf"
    write_random_model(path)
    return path


@pytest.fixture
def llama_url(random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A llama.cpp server of its own for each test: what it draws then depends on nothing else."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    options = {
        "model": str(random_model),
        "chat_format": "chatml-function-calling",
        "host": "127.0.0.1",
        "port": str(port),
        "n_ctx": "4096",
        "n_threads": "1",
        "seed": "1",
    }
    with running(
        [
            program("llama", "python"),
            "-m",
            "llama_cpp.server",
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ],
        ready_url=f"{address}/v1/models",
        folder=tmp_path_factory.mktemp("llama"),
    ):
        yield f"{address}/v1"
