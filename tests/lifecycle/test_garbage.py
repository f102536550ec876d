"""Garbage collection: what nothing needs goes, in whatever company and wherever it is interrupted."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from cas.catalog.collecting_memory import MemoryCollecting
from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import Version, VersionResult
from cas.check import CheckLevel, check_repository
from cas.errors import Conflict, CorruptData, Fenced, InvalidInput
from cas.forgetting import forget
from cas.format.journal import parse_journal
from cas.format.names import journal_key, pack_key, version_key
from cas.garbage.collecting import collect_garbage, plan_garbage
from cas.garbage.model import GarbageReport
from cas.ids import PackName
from cas.limits import SESSION_LEASE_SECONDS
from cas.noting import catch_up
from cas.rebuild import rebuild_catalog
from cas.snapshot import SnapshotRequest
from cas.store.interface import FaultKind, ObjectInfo, StoreFault
from tests.engine.scenes import PRODUCTS, Platform, World, expected, product
from tests.engine.small_packs import small_packs
from tests.lifecycle.dying import Process, at_any_call

EVERYTHING = 1.0


PRODUCTS_EACH = 24


def edition(number: int, products: int = PRODUCTS_EACH) -> Platform:
    """Half of the records are those of the edition before."""
    return {PRODUCTS: {each: product(each, number - each % 2) for each in range(products)}}


BY_NUMBER = [edition(number) for number in range(1, 6)]


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many packs a version, so that some of them hold nothing that others need."""
    small_packs(monkeypatch)


NOTHING = GarbageReport(0, 0, 0, 0, 0, 0, 0)


def grown(versions: int = 4) -> World:
    world = World(node_bits=2)
    for platform in BY_NUMBER[:versions]:
        world.take(platform)
    return world


@pytest.fixture
def world() -> World:
    return grown()


def gone(world: World, *numbers: int) -> None:
    heard = catch_up(world.open(), world.catalog)
    forget(world.open(), world.catalog, dict.fromkeys(numbers, "a rule"), heard)


def collected(world: World, max_share: float = EVERYTHING) -> GarbageReport:
    return collect_garbage(world.open(), world.catalog, max_share=max_share)


def everything_is_well(world: World, *numbers: int) -> None:
    """These versions are there, to the byte; and the next one works."""
    for number in numbers:
        assert world.records(number) == expected(BY_NUMBER[number - 1])
    report = check_repository(world.open(), level=CheckLevel.BYTES, expected=numbers)
    assert report.is_clean, report.findings
    assert world.records(world.take(BY_NUMBER[4]).number) == expected(BY_NUMBER[4])
    rebuilt = MemoryCatalog(world.clock)
    assert set(numbers) <= set(rebuild_catalog(world.open(), rebuilt).adopted)


def test_where_nothing_is_dead_nothing_happens(world: World) -> None:
    plan = plan_garbage(world.open(), world.catalog)
    assert (plan.dead, plan.strangers, plan.condemned, plan.rewritten, plan.bytes) == ((), (), (), (), 0)
    before = world.packs()
    assert collected(world) == NOTHING
    assert world.packs() == before
    assert world.catalog.journal() == 0


def test_what_only_forgotten_versions_needed_goes(world: World) -> None:
    gone(world, 1, 2)
    plan = plan_garbage(world.open(), world.catalog)
    before = world.packs()
    assert plan.dead
    assert not plan.strangers
    report = collected(world)
    gone_now = {*plan.dead, *(pack.name for pack in plan.rewritten)}
    assert (report.condemned, report.rewritten) == (len(plan.dead), len(plan.rewritten))
    assert (report.deleted, report.waiting) == (len(gone_now), 0)
    assert before - world.packs() == gone_now
    assert len(world.packs() - before) == report.fresh
    assert set(parse_journal(world.store.get(journal_key(1))).packs) == gone_now
    assert collected(world) == NOTHING
    everything_is_well(world, 3, 4)


def test_a_share_that_is_too_large_wants_to_be_meant(world: World) -> None:
    gone(world, 1, 2, 3)
    share = plan_garbage(world.open(), world.catalog).share
    assert 0.1 < share < 0.9
    with pytest.raises(Conflict, match="of all bytes would go"):
        collected(world, share - 0.01)
    assert world.catalog.collecting.condemned() == []
    assert collected(world, share).deleted
    for nonsense in (0.0, -1.0, 1.1):
        with pytest.raises(InvalidInput):
            collected(world, nonsense)


def test_what_a_crashed_session_left_is_reclaimed(world: World) -> None:
    before = world.packs()
    session = world.session(world.open())
    session.put_records([b"%d\torphan" % number for number in range(200)])
    session.close_packs()
    left = world.packs() - before
    assert left
    assert not collected(world).condemned, "it may be at work"
    world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
    assert plan_garbage(world.open(), world.catalog).dead == ()
    report = [collected(world) for _ in range(2)][-1]
    assert report.waiting == 0
    assert world.packs() == before
    everything_is_well(world, 1, 2, 3, 4)


def test_a_document_that_no_version_claims_is_told(world: World) -> None:
    """Its session was fenced between the document and the commit. A rebuild takes it in."""

    class Late:
        def __getattr__(self, name: str) -> object:
            return getattr(world.catalog, name)

        def commit(
            self, session: UUID, result: VersionResult, *, journal: int, packs: Sequence[PackName] = ()
        ) -> Version:
            world.catalog.fence(session)
            return world.catalog.commit(session, result, journal=journal, packs=packs)

    with pytest.raises(Fenced):
        world.take(BY_NUMBER[4], catalog=Late())  # type: ignore[arg-type]
    plan = plan_garbage(world.open(), world.catalog)
    assert (plan.unclaimed, plan.dead, plan.strangers) == ((5,), (), ())
    assert rebuild_catalog(world.open(), world.catalog).adopted == (5,)
    assert plan_garbage(world.open(), world.catalog).unclaimed == ()
    assert world.records(5) == expected(BY_NUMBER[4])


def test_objects_that_nobody_knows_go(world: World) -> None:
    name = PackName("ab" * 32)
    world.store.put(pack_key(name), b"whatever", create_only=True)
    assert plan_garbage(world.open(), world.catalog).strangers == (name,)
    assert collected(world).deleted == 1
    assert name not in world.packs()
    everything_is_well(world, 1, 2, 3, 4)


def test_who_may_use_it_is_waited_for_and_keeps_what_it_uses(world: World) -> None:
    """A session that began before has the dead packs in its view, and needs them again."""
    gone(world, 1, 2)
    first = world.records(3)
    repository = world.open()
    session = world.session(repository, parent=4)
    report = collected(world)
    assert report.condemned
    waiting = report.condemned + report.rewritten
    assert (report.deleted, report.waiting) == (0, waiting)
    old = [product(each, 1 - each % 2) for each in range(PRODUCTS_EACH)]
    assert session.put_records(old).new == 0, "the records of version 1 are in its view"
    session.abandon(RuntimeError("enough"))
    assert collected(world).deleted == waiting
    assert world.records(3) == first
    everything_is_well(world, 3, 4)


class Collecting:
    """A catalog of which garbage is collected between a version's begin and all that it does then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.report: GarbageReport | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._world.catalog, name)

    def describe_source(self, *arguments: str) -> None:
        self.report = collected(self._world)
        self._world.catalog.describe_source(*arguments)  # type: ignore[arg-type]


def test_what_a_version_took_up_again_meanwhile_is_spared(world: World) -> None:
    """The version is taken by a process that began before the collection and commits after it."""
    gone(world, 1, 2)
    catalog = Collecting(world)
    version = world.take(BY_NUMBER[0], catalog=catalog)  # type: ignore[arg-type]
    assert catalog.report is not None
    assert catalog.report.waiting == catalog.report.condemned + catalog.report.rewritten > 0
    report = collected(world)
    assert report.spared
    assert world.records(version.number) == expected(BY_NUMBER[0])
    everything_is_well(world, 3, 4)


def test_a_listing_that_is_stale_gives_no_version_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From when packs are ripe, the document of the version that took them up again is not listed."""
    gone(world, 1, 2)
    version = world.take(BY_NUMBER[0], catalog=Collecting(world))  # type: ignore[arg-type]
    objects, ripe = world.store.objects, MemoryCollecting.ripe

    def stale(prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        return (info for info in objects(prefix, after=after) if info.key != version_key(version.number))

    def ripe_and_stale(self: MemoryCollecting, collector: UUID) -> Sequence[PackName]:
        monkeypatch.setattr(world.store, "objects", stale)
        return ripe(self, collector)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(MemoryCollecting, "ripe", ripe_and_stale)
        assert collected(world).spared
    monkeypatch.undo()
    assert world.records(version.number) == expected(BY_NUMBER[0])


@pytest.mark.parametrize("times", [4, 1000])
def test_what_cannot_be_read_of_another_catalog_is_no_garbage(
    world: World, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A version that another catalog takes while packs are ripe needs them again; reads of it are disturbed,
    while a walk tries them by themselves, or for as long as the collection lasts."""
    other = MemoryCatalog(world.clock)
    rebuild_catalog(world.open(), other)
    gone(world, 1, 2)
    ripe, get_range = MemoryCollecting.ripe, world.store.get_range
    going: list[str] = []
    disturbed: list[str] = []

    def garbled(key: str, start: int, length: int) -> bytes:
        data = get_range(key, start, length)
        if len(disturbed) < times and key in going:
            disturbed.append(key)
            return data[:-1] + bytes([data[-1] ^ 1])
        return data

    def meanwhile(self: MemoryCollecting, collector: UUID) -> Sequence[PackName]:
        found = ripe(self, collector)
        going.extend(map(pack_key, found))
        world.take(BY_NUMBER[0], catalog=other)
        monkeypatch.setattr(world.store, "get_range", garbled)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(MemoryCollecting, "ripe", meanwhile)
        if times < 1000:
            assert collected(world).spared
        else:
            with pytest.raises(CorruptData, match="not in this catalog") as caught:
                collected(world)
            assert "Nothing was deleted" in caught.value.hint
    assert disturbed
    monkeypatch.undo()
    assert world.records(5) == expected(BY_NUMBER[0])


def test_who_begins_later_uses_nothing_that_is_condemned(world: World) -> None:
    gone(world, 1, 2)
    repository = world.open()
    session = world.session(repository, parent=4)
    assert collected(world).waiting
    version = world.take(BY_NUMBER[0])
    session.abandon(RuntimeError("enough"))
    assert collected(world).deleted
    assert world.records(version.number) == expected(BY_NUMBER[0])
    everything_is_well(world, 3, 4)


def test_a_document_without_a_version_keeps_what_it_needs(world: World) -> None:
    """Its session died before the commit: whoever rebuilds takes it in."""
    document = world.store.get(version_key(2))
    gone(world, 1, 2)
    world.store.put(version_key(2), document, create_only=True)
    collected(world)
    rebuilt = MemoryCatalog(world.clock)
    assert 2 in rebuild_catalog(world.open(), rebuilt).adopted
    assert world.records(2) == expected(BY_NUMBER[1])


@pytest.mark.parametrize("what", ["a pack", "a document"])
def test_where_something_is_missing_nothing_is_deleted(world: World, what: str) -> None:
    gone(world, 1, 2)
    if what == "a document":
        world.store.delete(version_key(3))
    else:
        needed = plan_garbage(world.open(), world.catalog)
        name = sorted(world.packs() - set(needed.dead))[0]
        world.store.delete(pack_key(name))
    before = world.packs()
    with pytest.raises(CorruptData) as caught:
        collected(world)
    assert "Nothing was deleted" in caught.value.hint
    assert world.packs() == before
    assert world.catalog.collecting.condemned() == []
    world.catalog.collecting.end(world.catalog.collecting.begin())


def test_a_catalog_that_is_older_than_the_store_collects_nothing(world: World) -> None:
    other = MemoryCatalog(world.clock)
    rebuild_catalog(world.open(), other)
    world.take(BY_NUMBER[4])
    with pytest.raises(Conflict, match="does not know"):
        collect_garbage(world.open(), other)


def test_another_catalog_that_collects_stops_this_one(world: World) -> None:
    gone(world, 1, 2)
    other = MemoryCatalog(world.clock)
    rebuild_catalog(world.open(), other)

    class Racing:
        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

        def put(self, key: str, data: bytes, *, create_only: bool = False) -> None:
            if key == journal_key(1):
                forget(world.open(), other, {3: "a rule"}, other.keeping.heard())
                collect_garbage(world.open(), other, max_share=EVERYTHING)
            world.store.put(key, data, create_only=create_only)

    with pytest.raises(Conflict):
        collect_garbage(
            world.open(Racing()),  # type: ignore[arg-type]
            world.catalog,
            max_share=EVERYTHING,
        )
    assert world.records(4) == expected(BY_NUMBER[3])
    assert check_repository(world.open(), level=CheckLevel.BYTES).is_clean


def test_a_journal_that_cannot_be_read_stops_everything_and_says_what_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector died while it put it, into a store that keeps half of it."""
    gone(world, 1, 2)
    put, before = world.store.put, world.packs()

    def half(key: str, data: bytes, *, create_only: bool = False) -> None:
        if key == journal_key(1):
            put(key, data[: len(data) // 2], create_only=create_only)
            raise StoreFault("the disk is gone", fault=FaultKind.TRANSIENT)
        put(key, data, create_only=create_only)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.store, "put", half)
        with pytest.raises(StoreFault):
            collected(world)
    with pytest.raises(CorruptData) as caught:
        collected(world)
    assert caught.value.where == journal_key(1)
    assert "cas repair" in caught.value.hint
    assert world.packs() >= before
    world.store.delete(journal_key(1))
    assert collected(world).waiting == 0
    everything_is_well(world, 3, 4)


def test_two_do_not_collect_at_once(world: World) -> None:
    collector = world.catalog.collecting.begin()
    with pytest.raises(Conflict, match="somebody else"):
        collected(world)
    world.catalog.collecting.end(collector)
    collected(world)


@pytest.mark.parametrize(
    ("after", "dies"),
    [
        pytest.param(False, True, id="dies before"),
        pytest.param(True, True, id="dies after", marks=pytest.mark.thorough),
        pytest.param(False, False, id="refused", marks=pytest.mark.thorough),
        pytest.param(True, False, id="answer lost"),
    ],
)
def test_at_any_call_nothing_is_lost_and_the_next_run_goes_on(after: bool, dies: bool) -> None:
    failed_at = set()
    for world, call in at_any_call(made, _collect, after=after, dies=dies):
        failed_at.add(call)
        for number in (3, 4):
            assert world.records(number) == expected(BY_NUMBER[number - 1])
        version = world.take(BY_NUMBER[4], request=SnapshotRequest(protected=True))
        assert world.records(version.number) == expected(BY_NUMBER[4])
        world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
        report = [collected(world), collected(world)][-1]
        assert report.waiting == 0
        assert set(world.catalog.live_packs()) == world.packs()
        assert check_repository(world.open(), level=CheckLevel.BYTES, expected=(3, 4, 5)).is_clean
        for number in (3, 4):
            assert world.records(number) == expected(BY_NUMBER[number - 1])
    assert {"begin", "condemn", "ripe", "announce", "put", "doom", "delete", "deleted"} <= failed_at


def made() -> World:
    world = grown()
    gone(world, 1, 2)
    return world


def _collect(process: Process) -> None:
    collect_garbage(process.repository, process.catalog, max_share=EVERYTHING)


def test_a_collector_that_slept_deletes_nothing_more(world: World) -> None:
    """Its lease is over when it wakes, and what it was about to delete lives again."""
    gone(world, 1, 2)

    class Sleeping:
        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

        def put(self, key: str, data: bytes, *, create_only: bool = False) -> None:
            world.store.put(key, data, create_only=create_only)
            if key == journal_key(1):
                world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)

    before = world.packs()
    with pytest.raises(Fenced):
        collect_garbage(
            world.open(Sleeping()),  # type: ignore[arg-type]
            world.catalog,
            max_share=EVERYTHING,
        )
    assert before <= world.packs()
    assert collected(world).deleted, "the next one goes on with what was announced"
    everything_is_well(world, 3, 4)
