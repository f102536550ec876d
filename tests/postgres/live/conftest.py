"""Scenes on both servers, for each kind of role."""

import pytest

from tests.postgres.live.scene import GRANTED, OWNER, SUPERUSER, Scene, open_scene
from tests.servers.postgres import Cluster, Databases


@pytest.fixture(params=[SUPERUSER, OWNER, GRANTED])
def scene(request: pytest.FixtureRequest, each_cluster: Cluster, database: Databases) -> Scene:
    """On 18 and 15, by each kind of role."""
    return open_scene(each_cluster, database(each_cluster), request.param)


@pytest.fixture
def own_scene(each_cluster: Cluster, database: Databases) -> Scene:
    """On 18 and 15, by who owns the tables and no more."""
    return open_scene(each_cluster, database(each_cluster), OWNER)


@pytest.fixture
def super_scene(each_cluster: Cluster, database: Databases) -> Scene:
    """On 18 and 15, by a superuser."""
    return open_scene(each_cluster, database(each_cluster), SUPERUSER)


@pytest.fixture(params=[SUPERUSER, OWNER, GRANTED])
def scene18(request: pytest.FixtureRequest, cluster: Cluster, database: Databases) -> Scene:
    """On 18 alone, by each kind of role."""
    return open_scene(cluster, database(), request.param)
