"""The write order, and everything that may stand in a session's way: nothing is ever lost by it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, get_ident

import pytest

from cas.catalog.model import NewVersion, Trigger, VersionKind, VersionState
from cas.check import CheckLevel, CheckReport, check_repository
from cas.engine import write_session
from cas.engine.write_session import WriteSession
from cas.errors import Conflict, CorruptData, Fenced
from cas.format.names import dictionary_key, journal_key, pack_key, version_key
from cas.ids import PackName
from cas.limits import SESSION_LEASE_SECONDS
from cas.rebuild import rebuild_catalog
from cas.store.interface import StoreFault
from cas.store.options import StoreOptions
from cas.store.retrying import RetryingStore
from tests.engine.handmade import commit
from tests.engine.recording import Event as Recorded
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.engine.scenes import PRODUCTS, Platform, World, changed, expected, product, shop
from tests.store.faulty import FaultyStore


def report(world: World) -> CheckReport:
    return check_repository(world.open(), level=CheckLevel.BYTES)


def state(world: World, number: int) -> VersionState:
    return world.catalog.version(number).state


def test_the_order_is_the_one_that_loses_nothing(world: World, small_packs: None) -> None:
    world.take(shop())
    gate = Gate()
    world.take(
        changed(shop(), 1, numbers=range(0, 400, 3)),
        store=GatedStore(world.store, gate),
        catalog=GatedCatalog(world.catalog, gate),
    )
    events = gate.events
    puts = [key for call, key in events if call == "put"]
    packs = [name for call, name in events if call == "register_pack"]
    assert len(packs) > 3
    assert puts == [*(pack_key(PackName(name)) for name in packs), version_key(2)]
    for name in packs:
        assert events.index(("register_pack", name)) < events.index(("put", pack_key(PackName(name))))
    document = events.index(("put", version_key(2)))
    assert max(events.index(("put", key)) for key in puts[:-1]) < events.index(("prepare", "")) < document
    assert events[document + 1 :] == [("objects", "gc/"), ("size", version_key(1)), ("commit", "")]
    assert not any(call in ("delete", "fail") for call, _ in events)
    history: list[Recorded] = [
        ("objects", "versions/"),
        ("known_numbers", ""),
        ("objects", "gc/"),
        ("journal", ""),
    ]
    begin = events.index(("begin", ""))
    assert [event for event in events[:begin] if event in history] == history
    assert events[begin + 1] == ("objects", "packs/"), "the view is compared with the store at once"


def test_two_sessions_at_once_both_commit(world: World) -> None:
    """They do not see each other's packs; what both need is stored twice."""
    first, second = world.open(), world.open()
    one, two = world.session(first), world.session(second)
    for session in (one, two):
        session.put_records([b"shared %d" % number for number in range(100)])
    one.put_records([b"only here"])
    versions = [commit(world, first, one, []), commit(world, second, two, [])]
    assert [version.number for version in versions] == [1, 2]
    assert {state(world, number) for number in (1, 2)} == {VersionState.COMPLETE}
    assert report(world).is_clean


def test_two_whole_snapshots_at_once_both_commit_and_can_be_read(world: World, small_packs: None) -> None:
    """The second one begins and commits in the middle of the first."""
    platforms = [shop(), changed(shop(), 1)]
    done = Event()

    class Interleaved(Gate):
        def after(self, call: str, what: str = "") -> None:
            if call == "put" and not done.is_set():
                done.set()
                world.take(platforms[1])

    gate = Interleaved()
    late = world.take(
        platforms[0], store=GatedStore(world.store, gate), catalog=GatedCatalog(world.catalog, gate)
    )
    assert (late.number, late.parent) == (1, None)
    assert world.records(1) == expected(platforms[0])
    assert world.records(2) == expected(platforms[1])
    assert report(world).is_clean
    third = world.take(platforms[1])
    assert third.checksum == world.catalog.version(2).checksum


class Once(Gate):
    """Does something once, before the first call of this name (on this key)."""

    def __init__(self, call: str, act: Callable[[], None], what: str = "") -> None:
        super().__init__()
        self._call, self._act, self._what = call, act, what
        self._done = False

    def before(self, call: str, what: str = "") -> None:
        if not self._done and call == self._call and what.startswith(self._what):
            self._done = True
            self._act()
        super().before(call, what)


@pytest.mark.parametrize("moment", ["register_pack", "prepare", "commit"])
@pytest.mark.parametrize("how", ["fenced", "lapsed"])
def test_a_session_that_was_ended_commits_nothing(world: World, moment: str, how: str) -> None:
    world.take(shop())
    before = report(world)

    def end() -> None:
        if how == "lapsed":
            world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS + 1)
        else:
            (session,) = [one for one, found in world.catalog._rows.sessions.items() if found.state == "open"]
            world.catalog.fence(session)

    gate = Once(moment, end)
    with pytest.raises(Fenced):
        world.take(changed(shop(), 1), catalog=GatedCatalog(world.catalog, gate))
    failed = world.catalog.version(2)
    assert (failed.state, failed.error_code) == (VersionState.FAILED, Fenced.code)
    latest = world.catalog.latest()
    assert latest is not None
    assert latest.number == 1
    after = report(world)
    assert after.is_clean
    assert after.versions[: len(before.versions)] == before.versions
    assert world.take(changed(shop(), 1)).number == 3
    assert world.records(3) == expected(changed(shop(), 1))


def test_a_document_of_somebody_else_is_neither_replaced_nor_removed(world: World) -> None:
    """Two catalogs write to one store, and the other one was faster."""
    world.take(shop())
    theirs = b"the version of another catalog"
    gate = Once("prepare", lambda: world.store.put(version_key(2), theirs))
    with pytest.raises(Conflict):
        world.take(changed(shop(), 1), catalog=GatedCatalog(world.catalog, gate))
    assert world.store.get(version_key(2)) == theirs
    assert world.catalog.version(2).error_code == Conflict.code


def test_a_session_that_fails_before_its_document_leaves_the_other_ones_alone(world: World) -> None:
    theirs = b"the version of another catalog"
    session = world.session(world.open())
    world.store.put(version_key(session.handle.number), theirs)
    session.put_records([b"something"])
    session.abandon(RuntimeError("the platform went away"))
    assert world.store.get(version_key(session.handle.number)) == theirs
    assert state(world, session.handle.number) is VersionState.FAILED


def test_a_catalog_that_is_older_than_the_store_refuses_to_write(world: World) -> None:
    world.take(shop())
    world.store.put(version_key(7), world.store.get(version_key(1)))
    with pytest.raises(Conflict, match="does not know"):
        world.take(shop())
    assert world.catalog.known_numbers() == {1}, "no session was begun"
    world.store.delete(version_key(7))
    world.store.put(journal_key(3), b"a journal")
    with pytest.raises(Conflict, match="does not know"):
        world.take(shop())
    rebuild_catalog(world.open(), world.catalog)
    assert world.take(shop()).number == 2


def test_a_journal_that_appears_meanwhile_stops_the_commit(world: World) -> None:
    gate = Once("prepare", lambda: world.store.put(journal_key(1), b"a journal"))
    with pytest.raises(Conflict, match="older than the bucket"):
        world.take(shop(), catalog=GatedCatalog(world.catalog, gate))
    assert state(world, 1) is VersionState.FAILED


def test_a_parent_that_vanished_stops_the_commit(world: World) -> None:
    """Another catalog forgot it, and perhaps collects what it had."""
    world.take(shop())
    gate = Once("prepare", lambda: world.store.delete(version_key(1)))
    with pytest.raises(Conflict, match="vanished"):
        world.take(changed(shop(), 1), catalog=GatedCatalog(world.catalog, gate))
    assert state(world, 2) is VersionState.FAILED


def test_a_parent_that_is_no_version_is_refused(world: World) -> None:
    world.take(shop())
    repository = world.open()
    failed = world.session(repository)
    failed.abandon(RuntimeError("no"))
    with pytest.raises(Conflict):
        world.session(repository, parent=failed.handle.number)


@pytest.mark.parametrize("is_warm", [True, False])
def test_chunks_of_a_lost_pack_are_stored_anew(
    world: World, small_packs: None, tmp_path: Path, is_warm: bool
) -> None:
    """Warm: the local index knows all that was in it, and is not believed."""
    cache = tmp_path if is_warm else None
    world.take(shop(), repository=world.open(cache=cache))
    lost = sorted(world.packs())[:2]
    for name in lost:
        world.store.delete(pack_key(name))
    version = world.take(shop(), repository=world.open(cache=cache))
    assert world.records(version.number) == expected(shop())
    assert version.number not in report(world).lost_versions
    assert world.take(shop()).checksum == version.checksum


@pytest.mark.parametrize("how", ["condemned", "lost"])
def test_a_chunk_whose_base_is_gone_is_not_built_upon(world: World, small_packs: None, how: str) -> None:
    """The first version's nodes are gone; the second one's, which are deltas on them, still lie in a live
    pack, and the platform returns to what the second version held."""
    platforms = [shop(), changed(shop(), 1)]
    for platform in platforms:
        world.take(platform)
    nodes = [pack.name for pack in world.open().document(1).packs if pack.holds_nodes]
    for name in nodes:
        if how == "condemned":
            world.catalog.condemn([name])
        world.store.delete(pack_key(name))
    version = world.take(platforms[1])
    assert world.records(version.number) == expected(platforms[1])
    assert version.number not in report(world).lost_versions
    packs = world.packs()
    again = world.take(platforms[1])
    assert world.packs() == packs, "what was stored anew is found again"
    assert world.records(again.number) == expected(platforms[1])


def test_records_whose_dictionary_is_gone_are_stored_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_MIN_SAMPLES_BYTES", 1000)
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_BYTES", 1000)
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 1)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 1)
    platform: Platform = {PRODUCTS: {number: product(number) for number in range(2000)}}
    world.take(platform)
    repository = world.open()
    (entry,) = repository.entities(repository.document(1), repository.reader())
    assert entry.dictionary is not None
    places = repository.index.locate((entry.dictionary,), repository.reader()._view)
    world.store.delete(pack_key(places.packs[int(places.pack[0])]))
    world.store.delete(dictionary_key(entry.dictionary))
    # Other records in front, so that another dictionary is learned.
    platform = {PRODUCTS: {number: product(number) for number in range(-1500, 1500)}}
    version = world.take(platform)
    assert world.records(version.number) == expected(platform)
    assert report(world).lost_versions == (1,)


@pytest.mark.parametrize("position", [-1, -20, -58, -80])
def test_chunks_of_a_pack_whose_trailer_is_damaged_are_stored_anew(
    world: World, small_packs: None, position: int
) -> None:
    world.take(shop())
    for name in sorted(world.packs())[:2]:
        size = world.store.size(pack_key(name))
        FaultyStore(world.store).flip(pack_key(name), size + position)
    version = world.take(shop())
    assert world.records(version.number) == expected(shop())
    assert version.number not in report(world).lost_versions


def test_the_answer_to_a_put_that_was_lost_costs_nothing_where_calls_are_repeated(
    world: World, small_packs: None
) -> None:
    faulty = FaultyStore(world.store)
    retrying = RetryingStore(faulty, options=StoreOptions(first_wait_seconds=0.001))
    for key in ("packs/", "versions/"):
        faulty.fail("put", key=key, after=True)
    version = world.take(shop(), store=retrying)
    assert retrying.retries == 2
    assert world.records(version.number) == expected(shop())
    assert report(world).is_clean


@pytest.mark.parametrize("key", ["packs/", "versions/"])
@pytest.mark.parametrize("after", [True, False])
def test_a_put_that_fails_is_a_failed_version_with_its_reason(world: World, key: str, after: bool) -> None:
    faulty = FaultyStore(world.store)
    faulty.fail("put", key=key, after=after)
    with pytest.raises(StoreFault):
        world.take(shop(), store=faulty)
    failed = world.catalog.version(1)
    assert (failed.state, failed.error_code) == (VersionState.FAILED, "STORE_FAULT")
    assert "planned fault" in failed.error_text
    assert report(world).is_clean
    assert world.take(shop()).number == 2
    assert world.records(2) == expected(shop())


def test_our_own_object_met_again_is_success(world: World) -> None:
    """A put whose answer was lost, repeated by whatever stands between us and the store."""

    class Doubling(GatedStore):
        def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
            self.inner.put(key, data, create_only=create_only)
            self.inner.put(key, data, create_only=create_only)

    world.take(shop(), store=Doubling(world.store, Gate()))
    assert world.records(1) == expected(shop())


def test_equal_chunks_are_stored_once_and_counted(world: World) -> None:
    repository = world.open()
    session = world.session(repository)
    assert session.put_records([b"a", b"b", b"a"]).new == 2
    assert session.put_records([b"b", b"c"]).new == 1
    session.close_packs()
    assert session.put_records([b"a", b"c", b"d"]).new == 1
    commit(world, repository, session, [])
    again = world.session(repository)
    assert again.put_records([b"a", b"b", b"c", b"d"] * 3).new == 0
    once = again.reused_bytes
    again.put_records([b"d", b"a"])
    assert again.reused_bytes == once > 0
    again.abandon(RuntimeError("enough"))


def test_the_lease_is_renewed_while_a_session_works_and_not_afterwards(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_session, "SESSION_RENEW_SECONDS", 0.01)
    renewed = Event()
    threads: set[int] = set()

    class Noting(Gate):
        def after(self, call: str, what: str = "") -> None:
            if call == "renew":
                threads.add(get_ident())
                renewed.set()

    gate = Noting()
    repository = world.open()
    new = NewVersion(Trigger.AUTO, VersionKind.FULL)
    catalog = GatedCatalog(world.catalog, gate)
    session = WriteSession(repository, catalog, new)
    assert renewed.wait(10)
    commit(world, repository, session, [])
    count = len(gate.events)
    assert get_ident() not in threads
    assert not session._heartbeat._thread.is_alive()
    assert len(gate.events) == count


def test_a_failed_delivery_fails_the_session_before_its_document(world: World, small_packs: None) -> None:
    def refuse() -> None:
        raise CorruptData("the memory of this machine fails", kind="hash-mismatch")

    gate = Once("put", refuse, "packs/")
    with pytest.raises(CorruptData):
        world.take(shop(), store=GatedStore(world.store, gate))
    assert not [key for call, key in gate.events if call == "put" and key.startswith("versions/")]
    assert state(world, 1) is VersionState.FAILED
