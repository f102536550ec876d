"""Packs that are mostly dead, or tiny, are written again; and what somebody may be deleting is copied out."""

import pytest

from cas import rebuild
from cas.catalog.memory import MemoryCatalog
from cas.check import CheckLevel, check_repository
from cas.closure.ground import Ground
from cas.closure.listing import Listing, listed_ground
from cas.damage import Ledger
from cas.engine.decodable import Decodable
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.errors import Fenced
from cas.forgetting import forget
from cas.format.names import PACKS, journal_key, pack_key, version_key
from cas.garbage import choosing
from cas.garbage.choosing import Filling, worth_rewriting
from cas.garbage.collecting import collect_garbage, plan_garbage
from cas.garbage.model import GarbageReport
from cas.ids import PackName, split_short_ids
from cas.limits import MIB
from cas.noting import catch_up
from cas.rebuild import rebuild_catalog
from cas.snapshot import SnapshotRequest
from tests.engine.memory_source import table
from tests.engine.scenes import PRODUCTS, Platform, World, expected, product, rows_of


def edition(number: int) -> Platform:
    """Sixty records, of which nine in ten are the edition's own."""
    return {PRODUCTS: {each: product(each, number if each % 10 else 0) for each in range(60)}}


def gone(world: World, *numbers: int) -> None:
    heard = catch_up(world.open(), world.catalog)
    forget(world.open(), world.catalog, dict.fromkeys(numbers, "a rule"), heard)


def collected(world: World) -> GarbageReport:
    return collect_garbage(world.open(), world.catalog, max_share=1.0)


def stored_bytes(world: World) -> int:
    return sum(info.size for info in world.store.objects(PACKS))


@pytest.fixture
def world() -> World:
    made = World()
    for number in range(1, 4):
        made.take(edition(number))
    return made


def test_what_is_needed_of_a_mostly_dead_pack_is_all_that_is_left(world: World) -> None:
    gone(world, 1)
    plan = plan_garbage(world.open(), world.catalog)
    old = [pack.name for pack in plan.rewritten]
    assert old
    assert not plan.dead
    before, was = stored_bytes(world), world.packs()
    report = collected(world)
    assert (report.rewritten, report.deleted) == (len(old), len(old))
    assert was - world.packs() == set(old)
    assert stored_bytes(world) < before - plan.bytes // 2
    for number in (2, 3):
        assert world.records(number) == expected(edition(number))
    assert check_repository(world.open(), level=CheckLevel.BYTES, expected=(2, 3)).is_clean
    assert plan_garbage(world.open(), world.catalog).bytes == 0, "once is enough"
    assert world.records(world.take(edition(1)).number) == expected(edition(1))


def test_deltas_stay_deltas_and_their_bases_come_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long tree of which one record changes from version to version; all but the last one go."""
    monkeypatch.setattr(choosing, "MANY_TINY", 4)
    platform: Platform = {PRODUCTS: {each: product(each) for each in range(400)}}
    world = World(node_bits=4)
    world.take(platform)
    for number in range(1, 8):
        rows = rows_of(platform, PRODUCTS)
        rows[200] = product(200, number)
        platform = {PRODUCTS: rows}
        world.take(platform)
    depths = _depths(world)
    assert max(depths.values()) >= 5
    gone(world, *range(1, 8))
    report = collected(world)
    assert (report.rewritten > 6, report.fresh) == (True, 2)
    assert len(world.packs()) == 2
    assert world.records(8) == expected(platform)
    after = _depths(world)
    assert max(after.values()) >= 5, "the last version's nodes are not stored whole"
    assert all(after[chunk] <= depths[chunk] for chunk in after)
    assert check_repository(world.open(), level=CheckLevel.BYTES, expected=(8,)).is_clean


def _depths(world: World) -> dict[bytes, int]:
    """The least depth of each chunk that can be decoded."""
    repository = world.open()
    repository.learn(set(repository.packs()))
    view = View(repository.packs())
    found: dict[bytes, int] = {}
    for name in view.packs:
        trailer, at = repository.trailers.trailer(name), 0
        ids = split_short_ids(trailer.short_ids)
        for frame in trailer.frames:
            for chunk in ids[at : at + frame.chunks]:
                found[chunk] = min(frame.depth, found.get(chunk, frame.depth))
            at += frame.chunks
    assert not Decodable(repository.index.frozen(), repository.trailers, view).losses
    return found


def test_many_tiny_packs_become_few(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "MANY_TINY", 6)
    assert len(world.packs()) == 6
    assert stored_bytes(world) > 0
    report = collected(world)
    assert (report.rewritten, report.fresh) == (6, 2)
    assert len(world.packs()) == 2, "nodes apart from records"
    for number in (1, 2, 3):
        assert world.records(number) == expected(edition(number))
    assert collected(world).rewritten == 0


def test_a_pack_that_cannot_be_read_whole_stays(world: World) -> None:
    gone(world, 1)
    old = [pack.name for pack in plan_garbage(world.open(), world.catalog).rewritten]
    key = pack_key(old[0])
    data = bytearray(world.store.get(key))
    data[60] ^= 1
    world.store.put(key, bytes(data))
    report = collected(world)
    assert report.rewritten == len(old) - 1
    assert old[0] in world.packs()
    assert [pack.name for pack in plan_garbage(world.open(), world.catalog).rewritten] == [old[0]]
    check_repository(world.open(), catalog=world.catalog, level=CheckLevel.BYTES)
    plan = plan_garbage(world.open(), world.catalog)
    assert not plan.rewritten, "it is known to be damaged, and would only keep others from their turn"


def test_what_a_session_took_of_an_old_pack_meanwhile_brings_it_back(world: World) -> None:
    """Records that nobody needed are needed again, by a version that began before."""
    gone(world, 1)

    class Collecting:
        def __getattr__(self, name: str) -> object:
            return getattr(world.catalog, name)

        def describe_source(self, *arguments: str) -> None:
            assert collected(world).rewritten
            world.catalog.describe_source(*arguments)  # type: ignore[arg-type]

    version = world.take(edition(1), catalog=Collecting())  # type: ignore[arg-type]
    assert collected(world).spared
    for number, platform in ((2, edition(2)), (3, edition(3)), (version.number, edition(1))):
        assert world.records(number) == expected(platform)


def filling(name: int, stored: int, needed: int, chunks: int = 10) -> Filling:
    return Filling(PackName(f"{name:02x}" * 32), stored, needed, chunks)


def test_which_packs_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    half, less, tiny = filling(1, 4 * MIB, 2 * MIB), filling(2, 4 * MIB, 2 * MIB - 1), filling(3, 900, 900)
    assert worth_rewriting([half, less, tiny]) == [less]
    many = [filling(number, 900, 900) for number in range(16)]
    monkeypatch.setattr(choosing, "MANY_TINY", 16)
    assert worth_rewriting(many) == many
    assert worth_rewriting(many[1:]) == []
    large = [filling(number, MIB - 1, MIB - 1) for number in range(17)]
    monkeypatch.setattr(choosing, "MANY_TINY", 1000)
    assert worth_rewriting(large) == large, "together they fill a pack"
    monkeypatch.setattr(choosing, "CHUNKS_AT_ONCE", 25)
    dead = [filling(number, 4 * MIB, MIB) for number in (7, 5, 6)]
    assert worth_rewriting(dead) == [dead[1], dead[0]]
    huge = filling(9, 4 * MIB, MIB, chunks=1000)
    assert worth_rewriting([huge]) == [huge], "one at least, or it never comes to it"


def test_what_a_lost_collector_may_still_delete_is_copied_out(world: World) -> None:
    """Its packs are doomed; the catalog is lost; a document comes that needs them; then it deletes them."""
    gone(world, 1)
    held: list[str] = []
    late: dict[str, bytes] = {}

    class Stuck:
        """A store in which deletes wait."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

        def delete(self, key: str) -> None:
            held.append(key)

    class Unlucky:
        """A store in which a version's document comes late."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

        def put(self, key: str, data: bytes, *, create_only: bool = False) -> None:
            if key == version_key(4):
                late[key] = data
                world.catalog.fence(_newest_session(world.catalog))
            else:
                world.store.put(key, data, create_only=create_only)

    with pytest.raises(Fenced):
        world.take(edition(1), store=Unlucky(), request=SnapshotRequest(protected=True))  # type: ignore[arg-type]
    collect_garbage(world.open(Stuck()), world.catalog, max_share=1.0)  # type: ignore[arg-type]
    assert held
    assert world.store.get(journal_key(1))
    world.store.put(version_key(4), late[version_key(4)], create_only=True)
    other = MemoryCatalog(world.clock)
    report = rebuild_catalog(world.open(), other)
    assert report.adopted == (2, 3, 4)
    assert not report.quarantined
    assert not {pack_key(name) for name in other.live_packs()} & set(held)
    for key in held:
        world.store.delete(key)
    for number, platform in ((2, edition(2)), (3, edition(3)), (4, edition(1))):
        assert world.records(number) == expected(platform)
    assert check_repository(world.open(), level=CheckLevel.BYTES, expected=(2, 3, 4)).is_clean


def test_who_takes_in_versions_while_another_catalog_collects_looks_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packs that were listed go meanwhile, and others that stand in for them were not listed. What needs none
    of them is taken in at the first look."""
    world.take({table("apart"): {number: product(number, 9) for number in range(200)}})
    gone(world, 1)

    def collect_and_look(repository: Repository, listing: Listing, ledger: Ledger) -> Ground:
        monkeypatch.setattr(rebuild, "listed_ground", listed_ground)
        assert collected(world).rewritten
        return listed_ground(repository, listing, ledger)

    monkeypatch.setattr(rebuild, "listed_ground", collect_and_look)
    report = rebuild_catalog(world.open(), MemoryCatalog(world.clock))
    assert (report.adopted, report.known, report.quarantined) == ((2, 3, 4), (), ())


def _newest_session(catalog: MemoryCatalog):  # type: ignore[no-untyped-def]
    return max(catalog._rows.sessions, key=lambda one: one.int)
