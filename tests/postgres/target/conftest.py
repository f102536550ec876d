"""Clusters in pairs, and the crowded database on either."""

from collections.abc import Iterator

import pytest

from tests.postgres.target import crowded
from tests.postgres.target.moving import ask
from tests.servers.postgres import Cluster, Databases


@pytest.fixture(params=["18 to 18", "15 to 15", "15 to 18"])
def pair(request: pytest.FixtureRequest) -> tuple[Cluster, Cluster]:
    """Source and target cluster; those with 15 only where it is installed."""
    names = ["cluster" if major == "18" else "cluster15" for major in request.param.split(" to ")]
    source, target = (request.getfixturevalue(name) for name in names)
    return source, target


class CrowdedDatabases:
    """Makes one crowded database per cluster, when it is first asked for, and only reads it."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Databases, str]] = {}

    def on(self, cluster: Cluster) -> str:
        if cluster.major not in self._made:
            databases = Databases(cluster)
            url = databases()
            ask(url, crowded.ROLES)
            ask(url, crowded.script())
            self._made[cluster.major] = (databases, url)
        return self._made[cluster.major][1]

    def drop_all(self) -> None:
        for databases, _ in self._made.values():
            databases.drop_all()


@pytest.fixture(scope="session")
def crowded_databases() -> Iterator[CrowdedDatabases]:
    made = CrowdedDatabases()
    yield made
    made.drop_all()
