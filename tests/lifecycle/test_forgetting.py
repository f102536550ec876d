"""Versions that go, and all that must not go with them."""

from datetime import timedelta

import pytest

from cas.catalog.keeping import NotesMoved
from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import VersionFilter, VersionState
from cas.check import CheckLevel, check_repository
from cas.forgetting import ForgetReport, forget
from cas.format.names import version_key
from cas.format.notes import Note, NoteField, Setting
from cas.limits import SESSION_LEASE_SECONDS
from cas.noting import catch_up, say
from cas.rebuild import rebuild_catalog
from cas.records.source import Selection
from cas.snapshot import SnapshotRequest
from cas.store.interface import ObjectMissing
from tests.engine.scenes import World, expected
from tests.lifecycle.conftest import BY_NUMBER, PLATFORM, grown
from tests.lifecycle.dying import Process, at_any_call

WHY = "no rule wants it"


def forgotten(world: World, *numbers: int, catalog: MemoryCatalog | None = None) -> ForgetReport:
    chosen = catalog or world.catalog
    heard = catch_up(world.open(), chosen)
    return forget(world.open(), chosen, dict.fromkeys(numbers, WHY), heard)


def states(world: World) -> dict[int, VersionState]:
    return {number: world.catalog.version(number).state for number in sorted(world.catalog.known_numbers())}


def test_its_document_goes_and_all_others_are_as_they_were(world: World) -> None:
    report = forgotten(world, 1)
    assert (report.marked, report.gone, report.waiting, report.kept) == ((1,), (1,), (), {})
    with pytest.raises(ObjectMissing):
        world.store.size(version_key(1))
    assert states(world) == {1: VersionState.GONE, 2: VersionState.COMPLETE, 3: VersionState.COMPLETE}
    for number in (2, 3):
        assert world.records(number) == expected(BY_NUMBER[number - 1])
    report_of_all = check_repository(world.open(), level=CheckLevel.BYTES, expected=(2, 3))
    assert report_of_all.is_clean
    assert world.take(PLATFORM).number == 4
    assert world.records(4) == expected(PLATFORM)


def test_the_middle_one_goes_and_the_next_one_needs_it_not(world: World) -> None:
    forgotten(world, 2)
    assert world.records(3) == expected(BY_NUMBER[2])
    assert check_repository(world.open(), level=CheckLevel.BYTES).is_clean


def test_what_must_stay_is_told_and_the_others_go(world: World) -> None:
    say(world.open(), world.catalog, "ada", [Note(1, NoteField.HOLD, "case 4711")])
    report = forgotten(world, 1, 2, 3, 9)
    assert report.kept == {
        1: "it is held: case 4711",
        3: "it is the last good version of its platform",
        9: "there is no such version",
    }
    assert report.gone == (2,)


def test_who_has_not_heard_of_a_hold_hears_of_it_first(world: World) -> None:
    """Another catalog, made before the hold: what protects a version is in the store."""
    other = MemoryCatalog(world.clock)
    rebuild_catalog(world.open(), other)
    say(world.open(), world.catalog, "ada", [Note(1, NoteField.PROTECTED, value=True)])
    report = forgotten(world, 1, 2, catalog=other)
    assert report.kept == {1: "it is protected"}
    assert world.records(1) == expected(BY_NUMBER[0])


def test_a_version_that_is_read_waits(world: World) -> None:
    pin = world.catalog.keeping.pin(1, "a restore")
    report = forgotten(world, 1)
    assert (report.marked, report.gone, report.waiting) == ((1,), (), (1,))
    assert world.records(1) == expected(BY_NUMBER[0])
    world.catalog.keeping.unpin(pin)
    assert forgotten(world).gone == (1,)


def test_a_version_that_is_built_upon_waits(world: World) -> None:
    repository = world.open()
    session = world.session(repository, parent=1)
    assert forgotten(world, 1).waiting == (1,)
    session.abandon(RuntimeError("enough"))
    assert forgotten(world).gone == (1,)


def test_a_writer_that_died_delays_it_for_a_lease(world: World) -> None:
    world.session(world.open(), parent=1)
    assert forgotten(world, 1).waiting == (1,)
    world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
    assert forgotten(world).gone == (1,)


def test_who_decided_before_somebody_spoke_decides_again(world: World) -> None:
    """What was said may be that the version stays, or other rules."""
    heard = catch_up(world.open(), world.catalog)
    say(world.open(), world.catalog, "ada", [Setting("retention.rules", ("last 100",))])
    with pytest.raises(NotesMoved):
        forget(world.open(), world.catalog, {1: WHY}, heard)
    assert states(world)[1] is VersionState.COMPLETE
    assert forgotten(world, 1).gone == (1,)


def test_a_number_is_given_once_also_when_the_catalog_is_lost(world: World) -> None:
    """The document with the highest number stays until there is a higher one."""
    part = SnapshotRequest(selection=Selection(tables=("products",)))
    assert world.take(PLATFORM, request=part).number == 4
    assert forgotten(world, 4).marked == (4,)
    assert states(world)[4] is VersionState.GONE
    assert world.open().numbers() == [1, 2, 3, 4]
    world.catalog = MemoryCatalog(world.clock)
    rebuild_catalog(world.open(), world.catalog)
    assert forgotten(world, 4).gone == ()
    assert world.take(PLATFORM).number == 5
    assert forgotten(world).gone == (4,)


def test_another_document_under_its_number_is_left_alone(world: World) -> None:
    """Another catalog's, or one that somebody has exchanged: nobody here knows what it is worth."""
    forgotten(world, 1)
    other = grown(seed=8).store.get(version_key(1))
    world.store.put(version_key(1), other, create_only=True)
    report = forgotten(world)
    assert (report.gone, report.strange) == ((), (1,))
    assert world.store.get(version_key(1)) == other


def test_twice_is_once(world: World) -> None:
    forgotten(world, 1)
    report = forgotten(world, 1)
    assert (report.marked, report.gone, report.kept) == ((), (), {})


def test_a_rebuild_brings_back_what_was_not_yet_deleted_and_nothing_else(world: World) -> None:
    """With the catalog lost, what was only marked is a version again: nobody can know it better."""
    document = world.store.get(version_key(1))
    forgotten(world, 1, 2)
    world.store.put(version_key(1), document, create_only=True)
    report = rebuild_catalog(world.open(), world.catalog)
    assert report.adopted == ()
    assert states(world)[1] is VersionState.GONE, "the catalog that is there knows better"
    assert forgotten(world).gone == (1,), "and goes on deleting"
    other = MemoryCatalog(world.clock)
    assert rebuild_catalog(world.open(), other).adopted == (3,)


@pytest.mark.parametrize("dies", [True, False])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_any_call_nothing_is_lost_and_the_next_run_goes_on(after: bool, dies: bool) -> None:
    failed_at = set()

    def made() -> World:
        world = grown()
        say(world.open(), world.catalog, "ada", [Note(2, NoteField.PROTECTED, value=True)])
        return world

    for world, call in at_any_call(made, _forget_all, after=after, dies=dies):
        failed_at.add(call)
        there = world.open().numbers()
        for number in there:
            assert world.records(number) == expected(BY_NUMBER[number - 1])
        assert {2, 3} <= set(there)
        listed = {one.number for one in world.catalog.versions(VersionFilter())}
        assert listed <= set(there), "what is listed is there"
        forgotten(world, 1, 2)
        assert states(world) == {1: VersionState.GONE, 2: VersionState.COMPLETE, 3: VersionState.COMPLETE}
        assert world.open().numbers() == [2, 3]
        assert world.records(world.take(PLATFORM).number) == expected(PLATFORM)
        assert check_repository(world.open(), level=CheckLevel.BYTES, expected=(2, 3, 4)).is_clean
    assert failed_at == {
        "objects",
        "heard",
        "forget",
        "forgotten",
        "let_go",
        "gone",
        "now",
        "put",
        "get",
        "version",
        "delete",
    }


def _forget_all(process: Process) -> None:
    heard = catch_up(process.repository, process.catalog)
    forget(process.repository, process.catalog, {1: WHY, 2: WHY}, heard)
