"""The journal in Postgres is what every journal store must be, and what a database may do to it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Self

import anyio
import psycopg
import pytest
from typing_extensions import override

from agentcore import Agent, Local, NotJournalled, ToolContext, tool
from agentcore.errors import JournalError, RunLost
from agentcore.journal import JournalStore, NewRun, Noted, postgres, queueing
from agentcore.journal.notices import Listener
from agentcore.journal.postgres import PostgresStore
from agentcore.messages import UserMessage
from agentcore.testing import Answer, Call, GatewayTransport, RecordedRequest
from agentcore.testing.journal_conformance import JournalConformance
from tests.journal.cluster import Cluster, private_cluster, why_not
from tests.journal.serving import wait_for

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

RUN = NewRun(id="a", opening=(UserMessage(content="Go on."),))
SAID = Noted(purpose="say", text="well")

_numbers = count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """No power cut is tested here, so nothing waits for the medium."""
    with private_cluster("fsync=off") as cluster:
        yield cluster


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.create(f"one{next(_numbers)}")


@pytest.fixture(scope="session")
def shared(cluster: Cluster) -> str:
    """A database that is emptied again and again: to make one costs more than most tests."""
    return cluster.create("shared")


class TestPostgresStore(JournalConformance):
    shared: str

    @pytest.fixture(autouse=True)
    def _shared(self, shared: str) -> None:
        self.shared = shared

    @override
    def store(self, tmp_path: Path) -> JournalStore:
        execute(self.shared, "DROP SCHEMA IF EXISTS agentcore CASCADE")
        return PostgresStore(self.shared)

    @override
    def reopened(self, store: JournalStore) -> JournalStore:
        assert isinstance(store, PostgresStore)
        return PostgresStore(store.queue_url)

    @override
    def elsewhere(self, store: JournalStore) -> tuple[str, str]:
        return "agentcore.journal.postgres:PostgresStore", store.queue_url


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def end_sessions(url: str) -> None:
    """As an administrator does, or a server that is overtaxed; they are gone when it returns."""
    ours = "datname = current_database() AND application_name = 'agentcore'"
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}".encode()
        ).fetchall():
            time.sleep(0.01)


# --- what stands in the way -----------------------------------------------------------------


def test_tables_of_a_newer_version_are_refused_and_left_alone(url: str) -> None:
    with closing(PostgresStore(url)) as store:
        store.submit(RUN)
    execute(url, "UPDATE agentcore.schema SET version = 2")
    with closing(PostgresStore(url)) as store:
        with pytest.raises(JournalError, match="version 2, and this agentcore knows version 1"):
            store.submit(RUN)
        with pytest.raises(JournalError, match="a newer one has written it"):
            store.get("a")


def test_a_password_is_in_no_error(cluster: Cluster) -> None:
    execute(cluster.url, "CREATE ROLE ann LOGIN PASSWORD 'right-secret'")
    rules = Path(cluster.data) / "pg_hba.conf"
    rules.write_text(f"host all ann 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    execute(cluster.url, "SELECT pg_reload_conf()")
    url = cluster.url.replace("//postgres@", "//ann:wrong-secret@")
    with closing(PostgresStore(url)) as store:
        assert "secret" not in store.url
        with pytest.raises(JournalError, match="password authentication failed") as caught:
            store.submit(RUN)
    assert "secret" not in str(caught.value)
    with pytest.raises(JournalError) as queued:
        queueing.enqueue(url, "a")
    assert "secret" not in str(queued.value)


@pytest.mark.parametrize("password", ["sec/ret", "sec@ret", "s:ec/r@et"])
def test_a_password_that_should_have_been_quoted_is_not_shown(password: str) -> None:
    store = PostgresStore(f"postgresql://ann:{password}@db:5432/x?application_name=y")
    assert store.url == "postgresql://ann@db:5432/x?application_name=y"


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        port = taken.getsockname()[1]
        with closing(PostgresStore(f"postgresql://ann@127.0.0.1:{port}/x")) as store:
            with pytest.raises(JournalError, match=rf"ann@127\.0\.0\.1:{port}/x cannot be written"):
                store.submit(RUN)
            with pytest.raises(JournalError, match="refused"):
                store.get("a")


# --- a connection is lost -------------------------------------------------------------------


def test_who_loses_the_connection_loses_the_run(url: str) -> None:
    with closing(PostgresStore(url)) as store, closing(PostgresStore(url)) as other:
        store.submit(RUN)
        epoch = store.claim("a").epoch
        store.append("a", epoch, [SAID])
        assert other.is_owned(other.get("a"))
        end_sessions(url)
        # Nobody has claimed it since, and still: the lock is gone, so the pen is.
        with pytest.raises(RunLost):
            store.append("a", epoch, [SAID])
        with pytest.raises(RunLost):
            store.append_partial("a", epoch, b"x\n")
        assert not other.is_owned(other.get("a"))
        store.release("a", epoch)
        assert store.append("a", store.claim("a").epoch, [SAID]) == 2


def test_a_session_that_ended_while_nothing_was_asked_is_replaced(url: str) -> None:
    """The first to ask was told that the database cannot be read."""
    with closing(PostgresStore(url)) as store:
        store.submit(RUN)
        assert store.get("a").seq == 0
        end_sessions(url)
        assert store.get("a").seq == 0
        assert store.note("a", SAID) == 1
        assert store.claim("a").epoch == 1


async def test_a_run_whose_connection_is_lost_begins_no_tool(url: str, tmp_path: Path) -> None:
    lost, paid = anyio.Event(), []

    @tool(repeat="safe")
    async def lose() -> str:
        """Lose the connection, once."""
        if not lost.is_set():
            await anyio.to_thread.run_sync(end_sessions, url)
        lost.set()
        return "lost"

    @tool
    async def pay(context: ToolContext) -> str:
        """Pay."""
        paid.append(context.key)
        return "paid"

    def respond(request: RecordedRequest) -> Answer:
        answered = sum(message["role"] == "tool" for message in request.messages)
        names = ["lose", "pay"]
        if answered == len(names):
            return Answer(text="Done.")
        return Answer(calls=(Call(name=names[answered], arguments="{}", id=names[answered]),))

    def agent() -> Agent:
        return Agent(
            "m",
            adapter=Local(base_url="http://gateway.test/v1"),
            workspace=tmp_path,
            journal=url,
            tools=[lose, pay],
            transport=GatewayTransport(respond=respond),
        )

    with pytest.raises((JournalError, NotJournalled)):
        await agent().run("Pay.", run_id="a")
    assert lost.is_set()
    assert paid == []
    assert (await agent().run("Pay.", run_id="a")).text == "Done."
    assert paid == ["a:pay"]


async def test_a_watcher_comes_back_with_the_server(tmp_path: Path) -> None:
    with (
        private_cluster("fsync=off") as cluster,
        closing(PostgresStore(cluster.url)) as store,
        closing(PostgresStore(cluster.url)) as watcher,
    ):
        store.submit(RUN)
        seen = await watcher.changed(None)
        await anyio.to_thread.run_sync(cluster.stop)
        with pytest.raises(JournalError):
            store.note("a", SAID)
        await anyio.to_thread.run_sync(cluster.start)
        assert store.note("a", SAID) == 1
        with anyio.fail_after(20):
            while watcher.get("a").seq != 1:
                seen = await watcher.changed(seen)


# --- the queue ------------------------------------------------------------------------------


def test_runs_that_nobody_drives_are_looked_at_some_at_a_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a thousand that waited in the queue, one that it had forgotten was never found."""
    monkeypatch.setattr(postgres, "RUNS_AT_ONCE", 2)
    with closing(PostgresStore(url, clock=lambda: 5.0)) as store:
        for name in "abcde":
            store.submit(replace(RUN, id=name))
        store.claim("b")
    with closing(PostgresStore(url, clock=lambda: 20.0)) as store:
        store.claim("d")
        found, after = [], postgres.FROM_THE_FIRST
        for _ in range(4):
            some, after = store.stalled(older_than=10, after=after)
            found.append(some)
        assert found == [[("a", 0), ("b", 1)], [("c", 0), ("e", 0)], [], [("a", 0), ("b", 1)]]


def test_only_one_thread_listens() -> None:
    """One that nobody had watched by any more went on when another had begun meanwhile."""
    connections: list[threading.Thread] = []

    class Connection:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            if len(connections) == 1:
                watching.enter_context(listener.listening())

        def execute(self, _: str) -> None: ...

        def notifies(self, **_: object) -> list[object]:
            if len(connections) == 1:
                listener._wanted_until = 0.0
            time.sleep(0.01)
            return []

    def connect() -> Any:
        connections.append(threading.current_thread())
        return Connection()

    listener = Listener(connect)
    with ExitStack() as watching:
        with listener.listening():
            pass
        wait_for(lambda: connections)
        first = connections[0]
        first.join(10)
        assert not first.is_alive()
        assert listener._thread is not None
        assert listener._thread.is_alive()
        wait_for(lambda: len(connections) == 2)
        listener.close()
        listener._thread.join(10)
    assert len(connections) == 2


def test_the_first_who_put_something_in_the_queue_share_a_client(url: str) -> None:
    """Each of them had made one, with connections that nobody closed."""
    barrier = threading.Barrier(8)
    clients = []

    def submit() -> None:
        barrier.wait()
        with pytest.raises(JournalError, match="no worker has made its tables yet"):
            queueing.enqueue(url, "a")
        clients.append(queueing._client(url))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, clients))) == 1


def test_the_server_ends_sessions_of_a_machine_that_is_gone(url: str) -> None:
    """The client's settings are not enough: it is the server that frees the runs."""
    names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
    with closing(PostgresStore(url)) as store:
        store.submit(RUN)
        with store._reads() as connection:
            found = [connection.execute(f"SHOW tcp_{name}").fetchone()[0] for name in names]
    assert found == ["10", "5", "3", "25000"]
