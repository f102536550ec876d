"""Fixtures that several parts share: PostgreSQL clusters and servers of stores for the session, databases
for a test."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.azure import AzureServer, azurite
from tests.servers.gcs import GcsServer, gcs
from tests.servers.postgres import DEBIAN_15, Cluster, Databases, debian_cluster, embedded_cluster
from tests.servers.s3 import S3Server, seaweedfs

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""A busy machine is no mistake of a test."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The embedded PostgreSQL 18, one for the whole session. Settings: tests/servers/postgres.py."""
    with embedded_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def cluster15() -> Iterator[Cluster]:
    """Debian's PostgreSQL 15, where it is installed."""
    if not (DEBIAN_15 / "postgres").exists():
        pytest.skip(f"no PostgreSQL 15 in {DEBIAN_15} (Debian: apt install postgresql-15)")
    with debian_cluster(DEBIAN_15) as running:
        yield running


@pytest.fixture(params=["18", "15"])
def each_cluster(request: pytest.FixtureRequest) -> Cluster:
    """The test runs on both: 18, and 15 where it is installed."""
    running: Cluster = request.getfixturevalue("cluster" if request.param == "18" else "cluster15")
    return running


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Databases]:
    """`database()` makes an empty database on 18 and returns its URL; `database(cluster15)` on 15."""
    databases = Databases(cluster)
    try:
        yield databases
    finally:
        databases.drop_all()


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[S3Server]:
    """A real S3 server with one empty bucket, for the whole session. Put its `environment` into the
    environment of whatever uses it."""
    with seaweedfs() as running:
        yield running


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GcsServer]:
    """A server that speaks Google's XML API, with one empty bucket, in the same way."""
    with gcs() as running:
        yield running


@pytest.fixture(scope="session")
def azurite_server() -> Iterator[AzureServer]:
    """Azure's emulator with one empty container, in the same way; skipped where npm cannot install it."""
    with azurite() as running:
        yield running
