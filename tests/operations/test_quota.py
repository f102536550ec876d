"""A quota refuses what would pass it and stops what does, and nothing is lost or deleted by that."""

import pytest

from cas.catalog.model import VersionState
from cas.check import check_repository
from cas.errors import InsufficientSpace, InvalidInput
from cas.noting import say
from cas.quota import parse_size, quota_of, quota_setting, stored_in_packs
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.memory_source import MemorySource
from tests.engine.scenes import World, changed, expected, shop

PLATFORM = shop(products=60, suppliers=8, notes=12)


@pytest.fixture
def world() -> World:
    made = World()
    made.take(PLATFORM)
    return made


def limit(world: World, size: int | None) -> None:
    say(world.open(), world.catalog, "a person", [quota_setting(size)])


def test_sizes_as_people_write_them() -> None:
    assert parse_size("100GB") == 100 * 10**9
    assert parse_size("512 MiB") == 512 << 20
    assert parse_size("7") == 7
    for nonsense in ("", "GB", "0", "-1", "1.5GB", "10 parsecs", "9" * 19):
        with pytest.raises(InvalidInput):
            parse_size(nonsense)


def test_where_nothing_more_fits_a_version_is_refused_before_it_begins(world: World) -> None:
    used = stored_in_packs(world.catalog)
    assert used == sum(world.open().packs().values())
    limit(world, used)
    assert quota_of(world.catalog) == used
    before = {info.key for info in world.store.objects()}
    with pytest.raises(InsufficientSpace, match="of the quota are taken") as refused:
        world.take(changed(PLATFORM, 1))
    assert "cas quota set" in refused.value.hint
    assert {info.key for info in world.store.objects()} == before
    assert world.catalog.known_numbers() == {1}, "no version was begun"
    limit(world, None)
    assert world.take(changed(PLATFORM, 1)).number == 2


def test_a_version_that_passes_it_on_its_way_is_stopped_and_breaks_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 700)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 300)
    limit(world, stored_in_packs(world.catalog) + 1000)
    with pytest.raises(InsufficientSpace, match="was stopped at"):
        world.take(shop(products=2000, suppliers=8, notes=12))
    assert world.catalog.version(2).state is VersionState.FAILED
    assert "quota" in world.catalog.version(2).error_text
    assert world.records(1) == expected(PLATFORM)
    assert check_repository(world.open(), catalog=world.catalog).is_clean
    limit(world, 10**9)
    assert world.records(world.take(changed(PLATFORM, 1)).number) == expected(changed(PLATFORM, 1))


def test_from_four_fifths_on_it_is_said(world: World) -> None:
    source = MemorySource(changed(PLATFORM, 1), history=world.history)
    limit(world, stored_in_packs(world.catalog) * 100)
    assert take_version(world.open(), world.catalog, source, SnapshotRequest()).warnings == ()
    limit(world, int(stored_in_packs(world.catalog) * 1.2))
    (told,) = take_version(world.open(), world.catalog, source, SnapshotRequest()).warnings
    assert "of the quota of" in told
