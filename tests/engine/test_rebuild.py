"""A catalog rebuilt from the bucket alone: everything that is whole comes back, and nothing is removed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cas import rebuild
from cas.catalog import paging
from cas.catalog.interface import Catalog
from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import Trigger, Version, VersionState
from cas.catalog.postgres import PostgresCatalog
from cas.check import CheckLevel, check_repository
from cas.damage import DamageKind
from cas.errors import Conflict, Fenced
from cas.format.names import dictionary_key, journal_key, pack_key, version_key
from cas.rebuild import RebuildReport, rebuild_catalog
from cas.snapshot import SnapshotRequest
from tests.engine.handmade import commit, rewrite
from tests.engine.recording import Gate, GatedCatalog
from tests.engine.scenes import PRODUCTS, Platform, World, changed, expected, product, shop
from tests.servers.postgres import Databases
from tests.store.faulty import FaultyStore, Killed

REQUEST = SnapshotRequest(
    trigger=Trigger.AUTO,
    reason="nightly",
    name="a name",
    description="some words",
    tags=("x", "y"),
    metadata={"ticket": "9"},
    created_by="ann",
    protected=True,
)


def lose_catalog(world: World) -> MemoryCatalog:
    """Give the world an empty catalog; returns the old one."""
    old, world.catalog = world.catalog, MemoryCatalog(world.clock)
    return old


def run(world: World, catalog: Catalog | None = None) -> RebuildReport:
    repository = world.open()
    try:
        return rebuild_catalog(repository, catalog or world.catalog)
    finally:
        repository.close()


def kept(version: Version) -> Version:
    """What must be the same afterwards: all but how long it took, what is counted another way, and how many
    records changed, which only the catalog knows."""
    entities = tuple(
        replace(one, inserted=None, updated=None, deleted=None, compared_with=None)
        for one in version.entities
    )
    return replace(
        version, finished_at=None, duration_seconds=None, stored_bytes=None, retries=0, entities=entities
    )


@pytest.fixture
def history(world: World, small_packs: None) -> list[Platform]:
    """Five versions; the third was begun and failed."""
    platforms = [shop()]
    for edition in range(1, 5):
        platforms.append(changed(platforms[-1], edition))
    for number, platform in enumerate(platforms, 1):
        if number == 3:
            world.session(world.open()).abandon(RuntimeError("the third failed"))
        else:
            world.take(platform, request=REQUEST)
    return platforms


def snapshot_of(world: World) -> dict[str, bytes]:
    return {info.key: world.store.get(info.key) for info in world.store.objects()}


def test_versions_come_back_with_all_that_they_were(world: World, history: list[Platform]) -> None:
    before = snapshot_of(world)
    old = lose_catalog(world)
    report = run(world)
    assert (report.adopted, report.known, report.quarantined) == ((1, 2, 4, 5), (), ())
    assert report.next_is_above == 5
    assert report.packs == len(world.packs())
    assert snapshot_of(world) == before, "a rebuild changes nothing in the store"
    for number in report.adopted:
        there, was = world.catalog.version(number), old.version(number)
        assert kept(there) == kept(was)
        assert there.stored_bytes is not None
        assert was.stored_bytes is not None
        assert there.stored_bytes == pytest.approx(was.stored_bytes, rel=0.25)
        assert there.duration_seconds is not None
        assert there.duration_seconds >= 0
        assert world.records(number) == expected(history[number - 1])
    assert world.catalog.live_packs() == old.live_packs()


def test_the_next_version_goes_on_where_the_last_one_ended(world: World, history: list[Platform]) -> None:
    lose_catalog(world)
    run(world)
    packs = world.packs()
    version = world.take(history[-1])
    assert (version.number, version.parent) == (6, 5)
    assert version.checksum == world.catalog.version(5).checksum
    assert world.packs() == packs, "everything was reused"


def test_a_second_rebuild_finds_everything_known(world: World, history: list[Platform]) -> None:
    lose_catalog(world)
    run(world)
    report = run(world)
    assert (report.adopted, report.known) == ((), (1, 2, 4, 5))


def test_a_rebuild_without_need_ends_no_session(world: World, history: list[Platform]) -> None:
    repository = world.open()
    session = world.session(repository)
    assert run(world).adopted == ()
    session.put_records([b"still at work"])
    assert commit(world, repository, session, []).number == 6


def test_a_rebuild_with_need_ends_the_others_first(world: World, history: list[Platform]) -> None:
    repository = world.open()
    session = world.session(repository)
    world.store.put(version_key(9), b"damaged")
    run(world)
    session.put_records([b"too late"])
    with pytest.raises(Fenced):
        commit(world, repository, session, [])
    session.abandon(Fenced("ended"))


def test_a_version_whose_writer_died_before_the_commit_is_taken_in(world: World) -> None:
    class Dying(Gate):
        def before(self, call: str, what: str = "") -> None:
            if call in ("commit", "fail"):
                raise Killed

    with pytest.raises(Killed):
        world.take(shop(), catalog=GatedCatalog(world.catalog, Dying()))
    assert world.catalog.version(1).state is VersionState.RUNNING
    world.clock.moment += timedelta(hours=1)
    assert world.catalog.version(1).state is VersionState.FAILED
    report = run(world)
    assert report.adopted == (1,)
    assert world.catalog.version(1).state is VersionState.COMPLETE
    assert world.records(1) == expected(shop())


def test_a_damaged_document_is_quarantined_and_stops_nobody(world: World, history: list[Platform]) -> None:
    whole = world.store.get(version_key(5))
    FaultyStore(world.store).flip(version_key(5), 200)
    damaged = world.store.get(version_key(5))
    lose_catalog(world)
    report = run(world)
    assert report.adopted == (1, 2, 4)
    (quarantined,) = report.quarantined
    assert (quarantined.number, quarantined.object) == (5, version_key(5))
    assert quarantined.kind is DamageKind.HASH_MISMATCH
    assert world.store.get(version_key(5)) == damaged
    listed = world.catalog.version(5)
    assert (listed.state, listed.error_code) == (VersionState.FAILED, "FILE_CORRUPTION")
    assert version_key(5) in listed.error_text
    assert world.take(history[-1]).number == 6
    assert run(world).quarantined[0].number == 5, "said again until it is repaired"
    world.store.put(version_key(5), whole)
    assert run(world).adopted == (5,)
    assert world.records(5) == expected(history[4])


def test_versions_that_need_a_lost_pack_are_quarantined_and_the_others_come_back(
    world: World, history: list[Platform]
) -> None:
    old = lose_catalog(world)
    only_in_last = {pack.name for pack in world.open().document(5).packs}
    name = sorted(only_in_last)[0]
    stored = world.store.get(pack_key(name))
    world.store.delete(pack_key(name))
    report = run(world)
    assert report.adopted == (1, 2, 4)
    (quarantined,) = report.quarantined
    assert (quarantined.number, quarantined.object) == (5, pack_key(name))
    assert quarantined.kind is DamageKind.MISSING
    listed = world.catalog.version(5)
    assert (listed.reason, listed.tags, listed.parent) == ("nightly", ("x", "y"), 4)
    assert listed.created_at == old.version(5).created_at
    for number in report.adopted:
        assert world.records(number) == expected(history[number - 1])
    world.store.put(pack_key(name), stored)
    assert run(world).adopted == (5,)
    assert kept(world.catalog.version(5)) == kept(old.version(5))


@pytest.mark.parametrize("harm", ["first pack lost", "first pack cut"])
def test_a_lost_pack_of_the_first_version_quarantines_all_that_share_it(
    world: World, history: list[Platform], harm: str
) -> None:
    lose_catalog(world)
    name = next(pack.name for pack in world.open().document(1).packs if not pack.holds_nodes)
    if harm == "first pack lost":
        world.store.delete(pack_key(name))
    else:
        FaultyStore(world.store).truncate(pack_key(name), 500)
    report = run(world)
    assert {quarantined.object for quarantined in report.quarantined} == {pack_key(name)}
    assert {quarantined.number for quarantined in report.quarantined} == {1, 2, 4, 5} - set(report.adopted)
    assert 1 not in report.adopted
    lost = check_repository(world.open(), level=CheckLevel.BYTES).lost_versions
    assert lost == tuple(quarantined.number for quarantined in report.quarantined)
    assert world.take(history[-1]).number == 6
    assert world.records(6) == expected(history[-1])


def test_a_lost_dictionary_quarantines_what_needs_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_MIN_SAMPLES_BYTES", 1000)
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_BYTES", 1000)
    # Each frame is a pack of its own.
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 1)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 1)
    world.take({PRODUCTS: {number: product(number) for number in range(2000)}})
    world.take({PRODUCTS: {1: b"1\ta"}})
    repository = world.open()
    (entry,) = repository.entities(repository.document(1), repository.reader())
    assert entry.dictionary is not None
    places = repository.index.locate((entry.dictionary,), repository.reader()._view)
    holder = places.packs[int(places.pack[0])]
    lose_catalog(world)
    world.store.delete(pack_key(holder))
    assert run(world).quarantined == (), "the second copy stands in"
    lose_catalog(world)
    world.store.delete(dictionary_key(entry.dictionary))
    report = run(world)
    assert 1 in {quarantined.number for quarantined in report.quarantined}
    assert report.quarantined[0].object == pack_key(holder)


def test_packs_of_a_forgotten_version_are_live_where_others_need_them(
    world: World, history: list[Platform]
) -> None:
    lose_catalog(world)
    needed = {pack.name for pack in world.open().document(1).packs}
    world.store.delete(version_key(1))
    report = run(world)
    assert report.adopted == (2, 4, 5)
    still = world.catalog.live_packs() & needed
    assert still
    packs = world.packs()
    assert world.take(history[4]).objects_written == 1
    assert world.packs() == packs
    assert check_repository(world.open(), level=CheckLevel.BYTES).is_clean


def test_packs_that_no_version_needs_are_not_made_live(world: World, history: list[Platform]) -> None:
    session = world.session(world.open())
    session.put_records([b"never committed %d" % number for number in range(300)])
    left = session.close_packs()
    session.abandon(RuntimeError("no"))
    lose_catalog(world)
    run(world)
    assert not world.catalog.live_packs() & {pack.name for pack in left}


def test_the_journal_of_the_store_is_taken_over(world: World, history: list[Platform]) -> None:
    world.store.put(journal_key(4), b"a journal")
    lose_catalog(world)
    report = run(world)
    assert report.journal == world.catalog.journal() == 4
    assert world.take(history[-1]).number == 6


@pytest.mark.parametrize("wrong", ["a reason without end", "another repository", "another number"])
def test_a_document_that_cannot_be_true_is_quarantined(
    world: World, history: list[Platform], wrong: str
) -> None:
    lose_catalog(world)
    if wrong == "a reason without end":
        rewrite(world, 5, lambda document: replace(document, reason="x" * 20_000))
    elif wrong == "another repository":
        rewrite(world, 5, lambda document: replace(document, repository_id="0" * 32))
    else:
        rewrite(world, 4, lambda document: document, at=5)
    report = run(world)
    assert report.adopted == (1, 2, 4)
    assert [quarantined.number for quarantined in report.quarantined] == [5]
    assert world.catalog.version(5).state is VersionState.FAILED
    assert world.take(history[-1]).number == 6


def test_many_versions_are_adopted_a_few_at_a_time(
    world: World, history: list[Platform], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "ADOPTED_AT_ONCE", 2)
    monkeypatch.setattr(paging, "PAGE", 1)
    old = lose_catalog(world)
    gate = Gate()
    assert run(world, GatedCatalog(world.catalog, gate)).adopted == (1, 2, 4, 5)
    assert [call for call, _ in gate.events].count("adopt") == 2
    assert world.catalog.live_packs() == old.live_packs()
    assert run(world).known == (1, 2, 4, 5)


def test_a_rebuild_that_was_killed_goes_on(
    world: World, history: list[Platform], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "ADOPTED_AT_ONCE", 2)
    old = lose_catalog(world)

    class Second(Gate):
        def before(self, call: str, what: str = "") -> None:
            super().before(call, what)
            if [name for name, _ in self.events].count("adopt") == 2:
                raise Killed

    with pytest.raises(Killed):
        run(world, GatedCatalog(world.catalog, Second()))
    assert world.catalog.known_numbers() == {1, 2}
    with pytest.raises(Conflict):
        world.take(history[-1])
    report = run(world)
    assert (report.adopted, report.known) == ((4, 5), (1, 2))
    assert world.catalog.live_packs() == old.live_packs()


def test_a_catalog_of_another_repository_is_refused(world: World, history: list[Platform]) -> None:
    stranger = World()
    stranger.take(shop())
    other = MemoryCatalog(world.clock)
    other.attach("f" * 32, "memory:", create=True)
    with pytest.raises(Conflict):
        run(world, other)


def test_a_catalog_in_postgresql_is_rebuilt_too(
    world: World, history: list[Platform], database: Databases
) -> None:
    FaultyStore(world.store).flip(version_key(2), 200)
    catalog = PostgresCatalog(database())
    try:
        report = run(world, catalog)
        assert report.adopted == (1, 4, 5)
        for number in report.adopted:
            assert kept(catalog.version(number)) == kept(world.catalog.version(number))
        assert catalog.version(2).state is VersionState.FAILED
        version = world.take(history[-1], catalog=catalog)
        assert (version.number, version.parent) == (6, 5)
        assert world.records(6) == expected(history[-1])
    finally:
        catalog.close()
