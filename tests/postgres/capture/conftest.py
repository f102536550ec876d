"""Platforms on both servers, owned by a role that is no superuser, and by a superuser."""

import pytest

from tests.postgres.capture.scene import Platform
from tests.postgres.live.scene import GRANTED, OWNER, SUPERUSER, Scene, open_scene
from tests.servers.postgres import Cluster, Databases


@pytest.fixture
def platform(each_cluster: Cluster, database: Databases) -> Platform:
    """On 18 and 15, by who owns the tables and no more."""
    return _platform(each_cluster, database, OWNER)


@pytest.fixture(params=[SUPERUSER, OWNER])
def any_platform(request: pytest.FixtureRequest, each_cluster: Cluster, database: Databases) -> Platform:
    """On 18 and 15, by either kind of role."""
    return _platform(each_cluster, database, request.param)


def _platform(cluster: Cluster, database: Databases, actor: str) -> Platform:
    scene = open_scene(cluster, database(cluster), actor)
    return Platform(cluster, scene.admin, scene.url)


@pytest.fixture(params=[SUPERUSER, OWNER, GRANTED])
def scene(request: pytest.FixtureRequest, each_cluster: Cluster, database: Databases) -> Scene:
    """On 18 and 15, by each kind of role, with versions in memory."""
    return open_scene(each_cluster, database(each_cluster), request.param)
