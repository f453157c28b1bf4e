"""A task that asyncio itself cancels while it claims a run leaves nobody in possession of it."""

import asyncio  # noqa: TID251 - what is tested is its own cancellation
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from agentcore import Agent, Local, SqliteStore
from agentcore.driving import _Claim
from agentcore.journal import StoredRun
from agentcore.testing import Answer, GatewayTransport


class Slow(SqliteStore):
    """Its claims take as long as it is wanted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.waits, self.may_go_on = threading.Event(), threading.Event()
        self.claims_first = False
        """It waits behind the claim, else before it."""

    @override
    def claim(self, run_id: str) -> StoredRun:
        if self.claims_first:
            claimed = super().claim(run_id)
            self._wait()
            return claimed
        self._wait()
        return super().claim(run_id)

    def _wait(self) -> None:
        self.waits.set()
        assert self.may_go_on.wait(10)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("claims_first", [False, True])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_run_is_free_again_when_its_task_is_cancelled_while_it_claims(
    tmp_path: Path, claims_first: bool
) -> None:
    """It counted as driven for as long as the process lived."""
    store = Slow(tmp_path / "runs.db")
    store.claims_first = claims_first
    agent = Agent(
        "m",
        adapter=Local(base_url="http://one.test/v1"),
        workspace=tmp_path,
        journal=store,
        transport=GatewayTransport(respond=lambda request: Answer(text="Done.")),
    )
    await agent.submit("Go.", run_id="a")
    task = asyncio.create_task(agent.run("Go.", run_id="a"))
    await until(store.waits.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.may_go_on.set()
    # The claim is made meanwhile, and given up again.
    await until(lambda: store.get("a").epoch == 1 and not store.get("a").owner)
    assert (await agent.run("Go.", run_id="a")).text == "Done."


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_claim_that_is_made_and_that_nobody_heard_of_is_given_up(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    agent = Agent("m", adapter=Local(base_url="http://one.test/v1"), journal=store)
    await agent.submit("Go.", run_id="a")
    claim = _Claim(store, "a")
    assert store.is_owned(claim.make())
    claim.leave()
    assert not store.get("a").owner
