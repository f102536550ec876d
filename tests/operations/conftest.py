"""Throwaway databases for tests of operations."""

from collections.abc import Iterator

import pytest

from cas.postgres.scratch.server import PostgresScratchServer
from tests.operations.scratching import left_behind, scratch_on
from tests.servers.postgres import Cluster


@pytest.fixture
def scratch(cluster: Cluster) -> Iterator[PostgresScratchServer]:
    """A server for throwaway databases, of which none is there any more after the test."""
    yield scratch_on(cluster)
    assert left_behind(cluster) == []
