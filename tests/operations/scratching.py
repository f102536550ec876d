"""Versions of real databases in a store in memory, and throwaway databases on the session's cluster."""

from collections.abc import Sequence

import psycopg

from cas.contents import Contents, open_contents
from cas.postgres.connecting import ConnectionOptions
from cas.postgres.reading.source import PostgresSource
from cas.postgres.scratch.server import PostgresScratchServer, ScratchOptions
from cas.records.source import Selection
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World
from tests.servers.postgres import Cluster

HINT = "Name a server that has it: --scratch URL"


def scratch_on(cluster: Cluster) -> PostgresScratchServer:
    return PostgresScratchServer(cluster.url, ScratchOptions(ConnectionOptions()), hint=HINT)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def version_of(
    url: str, *statements: str, tables: tuple[str, ...] = (), world: World | None = None
) -> Contents:
    """Run the statements, take a version of the database, open it."""
    execute(url, *statements)
    world = world or World()
    repository = world.open()
    request = SnapshotRequest(selection=Selection(tables=tables)) if tables else SnapshotRequest()
    number = take_version(repository, world.catalog, PostgresSource(url), request).version.number
    return open_contents(world.open(), number)


def left_behind(cluster: Cluster) -> Sequence[str]:
    """Databases and roles of ours that are there."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT datname::text FROM pg_database WHERE datname LIKE 'cas\\_scratch\\_%'"
            " UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'cas\\_scratch\\_%'"
        ).fetchall()
    return sorted(str(name) for (name,) in rows)
