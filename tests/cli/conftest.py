"""A place for each test: directories of its own, a catalog and a platform on the session's cluster."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.cli.running import SHOP, Place, execute, rows
from tests.servers.postgres import Cluster, Databases, temporary_directory


@pytest.fixture
def bare() -> Iterator[Place]:
    """Nothing is set but CAS_HOME, which does not exist yet.

    Not below pytest's own directory: where root runs the tests, each new run of pytest closes that
    one to the user of the embedded server, also while a server of ours is at work in it.
    """
    with temporary_directory() as directory:
        place = Place(directory)
        place.environment["CAS_HOME"] = str(place.home)
        yield place


@pytest.fixture
def shop(database: Databases) -> str:
    """The URL of a small platform."""
    url = database()
    execute(url, *SHOP)
    return url


@pytest.fixture
def cas(bare: Place, database: Databases, shop: str) -> Place:
    """A repository without versions, and a platform to take them of."""
    bare.environment |= {"CAS_STORE": str(bare.store), "CAS_CATALOG": database(), "CAS_SOURCE": shop}
    ran = bare("init")
    assert ran.code == 0, ran
    return bare


@pytest.fixture(scope="module")
def standing(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A repository with one version of a small platform, for tests that change nothing."""
    databases = Databases(cluster)
    place = Place(tmp_path_factory.mktemp("standing"))
    try:
        url = databases()
        execute(url, *SHOP)
        place.environment |= {
            "CAS_HOME": str(place.home),
            "CAS_STORE": str(place.store),
            "CAS_CATALOG": databases(),
            "CAS_SOURCE": url,
        }
        assert place("init").code == 0
        assert place("snapshot").code == 0
        yield place
    finally:
        databases.drop_all()


@pytest.fixture
def cluster_role(cluster: Cluster) -> Iterator[str]:
    """A role that may log in and nothing else."""
    name = f"reader_{uuid4().hex[:8]}"
    execute(cluster.url(), f"CREATE ROLE {name} LOGIN")
    yield name
    for (database,) in rows(cluster.url(), "SELECT datname FROM pg_database WHERE datallowconn"):
        # Another test's database may have a trigger that refuses changes.
        execute(cluster.url(database), f"SET event_triggers = off; DROP OWNED BY {name}")
    execute(cluster.url(), f"DROP ROLE {name}")
