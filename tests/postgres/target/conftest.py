"""Clusters in pairs, and the crowded database on either."""

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
    """One crowded database per cluster, made when it is first asked for, and gone with its cluster."""

    def __init__(self) -> None:
        self._made: dict[int, str] = {}

    def on(self, cluster: Cluster) -> str:
        if cluster.major not in self._made:
            url = Databases(cluster)()
            ask(url, crowded.ROLES)
            ask(url, crowded.script())
            self._made[cluster.major] = url
        return self._made[cluster.major]


@pytest.fixture(scope="session")
def crowded_databases() -> CrowdedDatabases:
    return CrowdedDatabases()
