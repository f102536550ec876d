"""The torture database on both servers, loaded once."""

import pytest

from tests.postgres.torture import load_torture
from tests.servers.postgres import Cluster, Databases

_LOADED: dict[str, str] = {}


@pytest.fixture(scope="session")
def _torture_databases(cluster: Cluster) -> Databases:
    """Databases that live as long as their clusters, which are thrown away."""
    return Databases(cluster)


@pytest.fixture
def torture(each_cluster: Cluster, _torture_databases: Databases) -> str:
    """The URL of a database that holds one of everything. Tests must not change it."""
    key = each_cluster.url()
    if key not in _LOADED:
        url = _torture_databases(each_cluster)
        load_torture(url)
        _LOADED[key] = url
    return _LOADED[key]
