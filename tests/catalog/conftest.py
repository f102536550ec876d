"""The contract runs on the catalog in memory, on PostgreSQL 18, and on 15 where it is installed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.catalog.stages import MemoryStage, PostgresStage, Stage
from tests.servers.postgres import Cluster, Databases

_DATABASES: dict[str, str] = {}
"""One database for all tests on a cluster, by the cluster's URL; it goes with the cluster."""


@contextmanager
def postgres_stage_on(cluster: Cluster) -> Iterator[PostgresStage]:
    address = cluster.url()
    if address not in _DATABASES:
        _DATABASES[address] = Databases(cluster)()
    made = PostgresStage(_DATABASES[address])
    try:
        made.empty()
        yield made
    finally:
        made.close()


@pytest.fixture(params=["memory", "postgres18", "postgres15"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param == "memory":
        yield MemoryStage()
    else:
        name = "cluster" if request.param == "postgres18" else "cluster15"
        with postgres_stage_on(request.getfixturevalue(name)) as made:
            yield made


@pytest.fixture
def postgres_stage(each_cluster: Cluster) -> Iterator[PostgresStage]:
    """For what only a database can do: wait, interleave, lose a connection."""
    with postgres_stage_on(each_cluster) as made:
        yield made
