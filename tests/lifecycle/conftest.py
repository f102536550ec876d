"""A repository of three versions of one platform, of which nobody protects any."""

import pytest

from tests.engine.scenes import World, changed, shop

PLATFORM = shop(products=60, suppliers=8, notes=12)
BY_NUMBER = (PLATFORM, changed(PLATFORM, 1, numbers=(3, 40)), changed(PLATFORM, 2, numbers=(5, 41)))


@pytest.fixture
def world() -> World:
    return grown()


def grown(seed: int = 7) -> World:
    made = World(seed=seed)
    for platform in BY_NUMBER:
        made.take(platform)
    return made
