"""A story on each server."""

from collections.abc import Iterator

import pytest

from tests.postgres.changes.story import Story
from tests.servers.postgres import Cluster, Databases

SCHEMA = (
    "CREATE TABLE t (id int PRIMARY KEY, v text)",
    "INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 2000) AS n",
)


@pytest.fixture
def story(each_cluster: Cluster, database: Databases) -> Iterator[Story]:
    """A table `t` of 2,000 rows, and a version of it."""
    made = Story(database(each_cluster))
    made.run(*SCHEMA)
    made.take()
    try:
        yield made
    finally:
        made.close()
