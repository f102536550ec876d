"""What the store takes, from the catalog alone; growth and forecast only where enough is known."""

from datetime import timedelta

import pytest

from cas.noting import say
from cas.quota import quota_setting
from cas.usage import Usage, usage
from tests.engine.scenes import PRODUCTS, World, changed, rows_of, shop

PLATFORM = shop(products=60, suppliers=8, notes=12)
ROOM = 10**9


def asked(world: World, free: int | None = ROOM) -> Usage:
    return usage(world.catalog, world.store.url, free)


def test_of_an_empty_repository_nothing_is_said() -> None:
    found = asked(World())
    assert (found.versions, found.pack_bytes, found.ratio, found.growth, found.days_left) == (
        0,
        0,
        None,
        None,
        None,
    )
    assert "versions say nothing" in found.why_unknown


def test_sums_are_those_of_the_store_and_of_the_versions() -> None:
    world = World()
    for edition in range(3):
        world.take(changed(PLATFORM, edition))
    found = asked(world)
    assert found.pack_bytes == sum(world.open().packs().values())
    versions = [world.catalog.version(number) for number in (1, 2, 3)]
    assert found.original_bytes == sum(version.original_bytes or 0 for version in versions)
    assert sum(one.added_bytes for one in found.by_origin) == sum(one.added_bytes or 0 for one in versions)
    assert [(one.name, one.versions) for one in found.by_origin] == [("manual", 3)]
    assert [one.name for one in found.by_kind] == ["full"]
    products = next(one for one in found.entities if one.label == PRODUCTS.label)
    rows = rows_of(changed(PLATFORM, 2), PRODUCTS)
    assert (products.records, products.payload_bytes) == (len(rows), sum(map(len, rows.values())))
    assert found.ratio == pytest.approx(found.original_bytes / found.pack_bytes)
    assert found.growth is None
    assert "less than a day" in found.why_unknown
    assert [store.name for store in found.stores] == ["primary"]
    assert any("no copy" in told for told in found.recommendations)


def test_growth_is_what_came_after_the_first_version() -> None:
    world = World()
    world.take(PLATFORM)
    added = 0
    for edition in range(1, 11):
        world.clock.moment += timedelta(days=1)
        added += world.take(changed(PLATFORM, edition)).added_bytes or 0
    found = asked(world)
    assert found.growth is not None
    assert found.growth.bytes_per_day == pytest.approx(added / 10, rel=0.01)
    assert found.days_left == pytest.approx(ROOM / found.growth.bytes_per_day, rel=0.01)
    assert asked(world, None).days_left is None, "nothing limits it"
    say(world.open(), world.catalog, "a person", [quota_setting(found.pack_bytes + added)])
    limited = asked(world)
    assert limited.days_left == pytest.approx(10, rel=0.01)
    assert any("full in 10 days" in told for told in limited.recommendations)


def test_what_was_long_ago_does_not_count() -> None:
    world = World()
    world.take(PLATFORM)
    for edition in range(1, 4):
        world.take(changed(PLATFORM, edition))
    world.clock.moment += timedelta(days=100)
    found = asked(world)
    assert found.growth is not None
    assert (found.growth.bytes_per_day, found.growth.versions) == (0, 0)
    assert found.days_left is None
