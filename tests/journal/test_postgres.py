"""The journal in Postgres is what every journal store must be, and what a database may do to it."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from typing_extensions import override

from agentcore.journal import JournalStore
from agentcore.journal.postgres import PostgresStore
from agentcore.testing.journal_conformance import JournalConformance
from tests.journal.cluster import Cluster, private_cluster, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

_numbers = count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with private_cluster() as cluster:
        yield cluster


class TestPostgresStore(JournalConformance):
    cluster: Cluster

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @override
    def store(self, tmp_path: Path) -> JournalStore:
        return PostgresStore(self.cluster.create(f"journal{next(_numbers)}"))

    @override
    def reopened(self, store: JournalStore) -> JournalStore:
        assert isinstance(store, PostgresStore)
        return PostgresStore(store._url)
