"""Connections kept between requests and runs, and renewed without harm to others."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpcore2
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from agentcore import Agent, ConfigurationError, Local, RunError
from agentcore.client import Client, Response, StatusError
from agentcore.connections import Connections
from agentcore.facts import facts_of_exception
from agentcore.httpcore_transport import Network
from agentcore.testing import RESET, Answer, Gateway, RecordedRequest, Reply, stream

DONE = stream(Answer(text="done"))
SLOW = stream(Answer(text="It takes its time, all of it."), piece=2, pace=0.05)
LOST = Reply(steps=RESET)


async def no_wait(seconds: float) -> None:
    """Waits are decided, and not slept."""


def agent_of(gateway: Gateway, workspace: Path) -> Agent:
    return Agent(
        "m",
        adapter=Local(base_url=gateway.base_url),
        workspace=workspace,
        sleep=no_wait,
    )


def sockets_to(gateway: Gateway) -> list[str]:
    """What this process has open towards it; the gateway's own ends are not among them."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("asks Linux")
    port = f":{int(gateway.base_url.split(':')[2].split('/')[0]):04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # Established, or closed by the other end alone.
    return [row[1] for row in rows if row[2].endswith(port) and row[3] in ("01", "08")]


def numbers(gateway: Gateway) -> list[int]:
    return [request.connection for request in gateway.requests]


async def test_a_run_closes_its_connections(tmp_path: Path) -> None:
    async with Gateway(respond=lambda _: DONE) as gateway:
        agent = agent_of(gateway, tmp_path)
        await agent.run("Go on.")
        await agent.run("Go on.")
    assert numbers(gateway) == [1, 2]


async def first_request(gateway: Gateway) -> None:
    while not gateway.requests:  # noqa: ASYNC110
        await anyio.sleep(0.01)


async def test_inside_a_block_runs_share_them(tmp_path: Path) -> None:
    async with Gateway(respond=lambda _: DONE) as gateway:
        async with agent_of(gateway, tmp_path) as agent:
            for _ in range(3):
                await agent.run("Go on.")
        await agent.run("After it, as before it.")
    assert numbers(gateway) == [1, 1, 1, 2]


async def test_runs_at_the_same_time_have_one_each_and_leave_them_to_the_next(
    tmp_path: Path,
) -> None:
    async with Gateway(respond=lambda _: DONE) as gateway, agent_of(gateway, tmp_path) as agent:
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for _ in range(12):
                    tasks.start_soon(agent.run, "Go on.")
    assert len(gateway.requests) == 24
    assert max(numbers(gateway)) <= 12


async def test_a_failure_renews_them_and_leaves_other_streams_alone(tmp_path: Path) -> None:
    def respond(request: RecordedRequest) -> Reply:
        if "slow" in request.raw.decode():
            return SLOW
        return LOST if request.number == 2 else DONE

    async with Gateway(respond=respond) as gateway, agent_of(gateway, tmp_path) as agent:
        outcomes: list[int] = []

        async def slow() -> None:
            outcomes.append(len((await agent.run("slow")).attempts))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow)
            await first_request(gateway)
            assert len((await agent.run("Go on.")).attempts) == 2
        await agent.run("Go on.")
    assert outcomes == [1]
    # The slow stream ended on a connection from before: that one is not used again.
    assert numbers(gateway) == [1, 2, 3, 3]


async def test_one_incident_renews_once() -> None:
    connections = Connections()
    for _ in range(3):
        await connections.renew(0)
    assert connections.generation == 1


async def test_what_lay_ready_for_long_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentcore.connections.KEEP_ALIVE_SECONDS", 0.05)
    async with Gateway(respond=lambda _: DONE) as gateway, agent_of(gateway, tmp_path) as agent:
        await agent.run("Go on.")
        await anyio.sleep(0.1)
        await agent.run("Go on.")
    assert numbers(gateway) == [1, 2]


async def test_what_lay_ready_for_long_is_closed_while_others_are_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agentcore.connections.KEEP_ALIVE_SECONDS", 1.0)
    async with (
        Gateway(respond=lambda _: DONE) as one,
        Gateway(respond=lambda _: DONE) as two,
        Client(fast=False) as client,
    ):
        for gateway in (one, two, two, two, two):
            await client.get(f"{gateway.base_url}/models", headers={}, max_bytes=100_000)
            await anyio.sleep(0.4)
        assert sockets_to(one) == []
        assert len(sockets_to(two)) == 1
        assert numbers(two) == [1, 1, 1, 1]


async def test_a_block_inside_a_block_is_refused(tmp_path: Path) -> None:
    async with Gateway(respond=lambda _: DONE) as gateway, agent_of(gateway, tmp_path) as agent:
        with pytest.raises(ConfigurationError, match="in such a block already"):
            await agent.__aenter__()
        assert (await agent.run("Go on.")).text == "done"
    async with agent:
        pass


async def test_a_run_on_another_event_loop_has_its_own(tmp_path: Path) -> None:
    async with Gateway(respond=lambda _: DONE) as gateway, agent_of(gateway, tmp_path) as agent:
        await agent.run("Go on.")
        await anyio.to_thread.run_sync(agent.run_sync, "Go on.")
        await agent.run("Go on.")
    assert numbers(gateway) == [1, 2, 1]


async def test_another_event_loop_may_have_a_block_of_its_own(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    async with Gateway(respond=lambda _: DONE) as gateway:
        agent = agent_of(gateway, tmp_path)

        async def block() -> None:
            async with agent:
                await agent.run("Go on.")
                await agent.run("Go on.")

        def elsewhere() -> None:
            anyio.run(block, backend=anyio_backend_name)

        async with agent:
            await agent.run("Go on.")
            await anyio.to_thread.run_sync(elsewhere)
            await agent.run("Go on.")
    assert numbers(gateway) == [1, 2, 2, 1]


async def test_a_block_that_its_event_loop_never_left_is_in_nobodys_way(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    async with Gateway(respond=lambda _: DONE) as gateway:
        agent = agent_of(gateway, tmp_path)
        await anyio.to_thread.run_sync(
            lambda: anyio.run(agent.__aenter__, backend=anyio_backend_name)
        )
        async with agent:
            await agent.run("Go on.")
            await agent.run("Go on.")
    assert numbers(gateway) == [1, 1]


@pytest.mark.parametrize("how", ["raises", "is cancelled"])
async def test_a_block_that_ends_early_leaves_nothing_open(
    how: str, tmp_path: Path, anyio_backend_name: str
) -> None:
    async with Gateway(respond=lambda _: DONE) as gateway:
        agent = agent_of(gateway, tmp_path)
        with suppress(KeyError), anyio.CancelScope() as scope:
            async with agent:
                async with anyio.create_task_group() as tasks:
                    for _ in range(20):
                        tasks.start_soon(agent.run, "Go on.")
                assert len(sockets_to(gateway)) > 0
                if how == "raises":
                    raise KeyError
                scope.cancel()
                await agent.run("Go on.")
        await anyio.sleep(0.05)
        assert sockets_to(gateway) == []


async def test_a_run_that_outlives_the_block_ends_well(tmp_path: Path) -> None:
    async with Gateway(respond=lambda _: SLOW) as gateway:
        agent = agent_of(gateway, tmp_path)
        texts: list[str] = []

        async def run() -> None:
            texts.append((await agent.run("Go on.")).text)

        async with anyio.create_task_group() as tasks, agent:
            tasks.start_soon(run)
            await first_request(gateway)
        assert texts == ["It takes its time, all of it."]


# --- refusals -------------------------------------------------------------------------------

MESSAGES = st.sampled_from(["slow down", "", "Rate limit reached, try again in 20s", 7, None])
BODIES = st.one_of(
    st.dictionaries(
        st.sampled_from(["error", "message", "code", "type", "detail"]),
        st.one_of(
            MESSAGES,
            st.dictionaries(st.sampled_from(["message", "code", "type", "param"]), MESSAGES),
        ),
    ),
    st.lists(MESSAGES, max_size=2),
    st.text(max_size=20),
)


@given(status=st.sampled_from([400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 529]), body=BODIES)
def test_a_refusal_says_what_the_sdks_error_says(status: int, body: object) -> None:
    response = httpx2.Response(
        status,
        json=body,
        headers={"retry-after": "3"},
        request=httpx2.Request("POST", "http://a.test/v1/chat/completions"),
    )
    sdk = openai.OpenAI(api_key="k", base_url="http://a.test/v1")
    theirs = facts_of_exception(sdk._make_status_error_from_response(response))
    ours = facts_of_exception(StatusError(response, response.content))
    assert ours.exceptions == ("agentcore.client.StatusError",)
    for name in ("status", "code", "type", "param", "message", "messages", "headers", "surface"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 100_000, b"<html>\xe9</html>", b'{"error": null}']
)
def test_a_refusal_may_say_anything(content: bytes) -> None:
    response = httpx2.Response(503, headers={"content-type": "text/html; charset=nonsense"})
    assert facts_of_exception(StatusError(response, content)).status == 503


class Endless(httpx2.AsyncByteStream):
    """A body that goes on until it is closed."""

    sent_bytes = 0
    is_closed = False

    @override
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.is_closed:
            raise StopAsyncIteration
        self.sent_bytes += 1 << 16
        return b"x" * (1 << 16)

    @override
    async def aclose(self) -> None:
        self.is_closed = True


async def test_a_refusal_without_an_end_is_read_so_far(tmp_path: Path) -> None:
    bodies: list[Endless] = []

    async def endless(_: httpx2.Request) -> httpx2.Response:
        bodies.append(Endless())
        return httpx2.Response(500, stream=bodies[-1])

    agent = Agent(
        "m",
        adapter=Local(base_url="http://a.test/v1"),
        workspace=tmp_path,
        transport=httpx2.MockTransport(endless),
        sleep=no_wait,
    )
    with pytest.raises(RunError) as stopped:
        await agent.run("Go on.")
    assert stopped.value.kind == "server_error"
    assert all(body.is_closed and body.sent_bytes < 2 << 20 for body in bodies)


# --- what the stock stack writes ------------------------------------------------------------


class Written(httpcore2.AsyncNetworkStream):
    """Keeps what is written to it; answers with `b"answer"`."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.writes: list[bytes] = []
        self._breaks = breaks

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return b"answer"

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._breaks:
            raise httpcore2.WriteError("broken pipe")
        self.writes.append(buffer)


async def test_what_is_written_before_a_read_goes_out_together() -> None:
    stream = Written()
    network = Network(stream)
    for part in (b"head ", b"body", b""):
        await network.write(part)
    assert stream.writes == []
    assert await network.read(10) == b"answer"
    assert await network.read(10) == b"answer"
    assert stream.writes == [b"head body"]


async def test_what_is_long_is_not_copied_and_keeps_its_place() -> None:
    stream = Written()
    network = Network(stream)
    long = b"x" * 100_000
    for part in (b"head", long, b"end"):
        await network.write(part)
    await network.read(10)
    assert stream.writes == [b"head", long, b"end"]
    assert stream.writes[1] is long


async def test_an_answer_is_read_although_the_server_read_no_further() -> None:
    network = Network(Written(breaks=True))
    await network.write(b"request")
    assert await network.read(10) == b"answer"


async def test_work_before_a_read_is_awaited_until_it_is_taken_back() -> None:
    network = Network(Written())
    done: list[int] = []

    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        done.append(len(done))

    async with AsyncExitStack() as until:
        assert Response(headers={}, blocks=nothing(), network=network).before_reads(work, until)
        for _ in range(2):
            await network.read(10)
    await network.read(10)
    assert done == [0, 1]


async def nothing() -> AsyncIterator[bytes]:
    """No block."""
    return
    yield
