"""A platform of its own for each test."""

from collections.abc import Iterator

import pytest

from tests.engine.scenes import World
from tests.live.shop import Shop
from tests.servers.postgres import Databases


@pytest.fixture
def shop(database: Databases) -> Iterator[Shop]:
    """Empty, and without any version."""
    world = World()
    made = Shop(world, world.open(), database())
    yield made
    made.repository.close()
