"""A moment means the last whole version at or before it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cas import moments
from cas.catalog.model import Version
from cas.errors import InvalidInput, NotFound
from cas.moments import version_at
from cas.records.source import Selection
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.memory_source import MemorySource
from tests.engine.scenes import NOTES, SUPPLIERS, World

TICK = timedelta(microseconds=1)


@pytest.fixture
def world() -> World:
    return World()


def take(world: World, request: SnapshotRequest | None = None) -> Version:
    return world.take({NOTES: [b"a"], SUPPLIERS: {}}, request=request)


def test_the_last_one_at_or_before(world: World) -> None:
    first, second = take(world), take(world)
    for moment, expected in (
        (first.created_at, first),
        (second.created_at - TICK, first),
        (second.created_at, second),
        (second.created_at + timedelta(days=400), second),
    ):
        found = version_at(world.catalog, moment)
        assert found.version.number == expected.number
        assert found.before == moment - expected.created_at


def test_zones_are_ways_of_writing(world: World) -> None:
    first, _ = take(world), take(world)
    elsewhere = first.created_at.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    assert version_at(world.catalog, elsewhere).version.number == first.number


def test_before_the_first_there_is_none(world: World) -> None:
    with pytest.raises(NotFound, match="cas snapshot"):
        version_at(world.catalog, datetime(2026, 1, 1, tzinfo=UTC))
    first = take(world)
    with pytest.raises(NotFound, match="Version 1 is whole, and younger"):
        version_at(world.catalog, first.created_at - TICK)


def test_versions_of_some_tables_and_failed_ones_stand_for_no_moment(world: World) -> None:
    first = take(world)
    later = [
        take(world, SnapshotRequest(selection=Selection(tables=("notes",)))),
        take(world, SnapshotRequest(with_data=False)),
    ]
    broken = MemorySource({NOTES: [b"a"]})
    broken.fail_after = 0
    with pytest.raises(OSError, match="lost"):
        take_version(world.open(), world.catalog, broken, SnapshotRequest())
    assert [one.number for one in later] == [2, 3]
    assert version_at(world.catalog, world.clock()).version.number == first.number


def test_data_alone_are_whole_too(world: World) -> None:
    take(world)
    data = take(world, SnapshotRequest(with_schema=False))
    assert version_at(world.catalog, world.clock()).version.number == data.number


def test_versions_of_the_database_that_is_meant_come_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments, "PAGE", 2)
    for _ in range(5):
        take(world)
    newest = take(world)
    assert version_at(world.catalog, world.clock(), "memory://platform").version.number == newest.number
    assert version_at(world.catalog, world.clock(), "postgresql:///other").version.number == newest.number
    monkeypatch.setattr(MemorySource, "url", "memory://other")
    other = take(world)
    assert version_at(world.catalog, world.clock(), "memory://platform").version.number == newest.number
    assert version_at(world.catalog, world.clock()).version.number == other.number


def test_the_ends_of_time_are_moments(world: World) -> None:
    take(world)
    assert version_at(world.catalog, datetime.max.replace(tzinfo=UTC)).version.number == 1
    with pytest.raises(NotFound):
        version_at(world.catalog, datetime.min.replace(tzinfo=UTC))
    with pytest.raises(InvalidInput, match="beyond"):
        version_at(world.catalog, datetime.min.replace(tzinfo=timezone(timedelta(hours=14))))


def test_a_moment_has_a_zone(world: World) -> None:
    with pytest.raises(InvalidInput, match="no time zone"):
        version_at(world.catalog, datetime(2026, 3, 1))  # noqa: DTZ001 - that is the point
