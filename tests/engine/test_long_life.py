"""A repository's long life: changes, writers that did not see each other, packs that get lost.

After each loss all levels of check agree on which versions are lost, exactly those cannot be read, and
the next version is whole, whatever it could reuse.
"""

import random

import pytest

from cas.check import CheckLevel, check_repository
from cas.errors import CorruptData
from cas.format.names import pack_key, version_key
from tests.engine.scenes import PRODUCTS, Platform, Records, World, expected, product, rows_of, shop

VERSIONS = 36
LOSSES = (12, 20, 28)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 5000)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 2000)
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 900)
    monkeypatch.setattr("cas.engine.packer.NODE_FRAME_TARGET_BYTES", 1500)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.thorough) for n in (2, 3))])
def test_whatever_is_lost_the_next_version_is_whole(world: World, seed: int) -> None:
    rng = random.Random(seed)
    platform = shop(products=600, suppliers=20, notes=20)
    held: dict[int, Records] = {}
    for number in range(1, VERSIONS + 1):
        platform = lived(platform, rng)
        live = sorted(world.catalog.live_packs())
        if live and rng.random() < 0.15:
            # The next writer may not reuse these, as if it had begun before they were committed.
            world.catalog.condemn(rng.sample(live, min(3, len(live))))
        version = world.take(platform)
        held[version.number] = expected(platform)
        if number in LOSSES:
            assert agree(world, held) == (), "nothing is lost by itself"
            for name in rng.sample(sorted(world.packs()), 2):
                world.store.delete(pack_key(name))
            agree(world, held)
            version = world.take(platform)
            held[version.number] = expected(platform)
            lost = agree(world, held)
            assert version.number not in lost
            for old in lost:
                world.store.delete(version_key(old))
                del held[old]
    assert agree(world, held) == ()


def lived(platform: Platform, rng: random.Random) -> Platform:
    """Some updates, of which many bring back what was there before, some inserts and deletes."""
    products = rows_of(platform, PRODUCTS)
    for _ in range(rng.choice((0, 1, 3, 40))):
        number = rng.randrange(800)
        products[number] = product(number, rng.randrange(3))
    for _ in range(rng.choice((0, 1, 5))):
        products.pop(rng.randrange(800), None)
    return {**platform, PRODUCTS: products}


def agree(world: World, held: dict[int, Records]) -> tuple[int, ...]:
    """What every level says is lost, and what cannot be read, are the same; the rest reads as it was."""
    said = {level: check_repository(world.open(), level=level).lost_versions for level in CheckLevel}
    unreadable = []
    for number, records in held.items():
        try:
            assert world.records(number) == records
        except CorruptData:
            unreadable.append(number)
    assert set(said.values()) == {tuple(unreadable)}, said
    return tuple(unreadable)
