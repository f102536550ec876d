"""What must not be taken for a copy, or for garbage: packs known to be damaged, what quarantined documents
need, and what a version is built upon."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cas.catalog.keeping import Heard
from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import Base, NewVersion, SessionHandle, Version
from cas.check import CheckLevel, check_repository
from cas.forgetting import forget
from cas.format.names import pack_key, version_key
from cas.garbage import collecting
from cas.garbage.collecting import collect_garbage
from cas.ids import ChunkKind, PackName
from cas.noting import catch_up
from cas.rebuild import rebuild_catalog
from cas.snapshot import SnapshotRequest
from tests.engine.recording import Gate, GatedCatalog
from tests.engine.scenes import PRODUCTS, Platform, World, expected, product

FEW = {number: product(number) for number in range(30)}
FIRST: Platform = {PRODUCTS: dict(FEW)}
LARGER: Platform = {PRODUCTS: {**FEW, **{number: product(number, 5) for number in range(1000, 1300)}}}
THIRD: Platform = {PRODUCTS: {**FEW, 31: product(31)}}


class Early(GatedCatalog):
    """For a session that began before anything was live."""

    def begin(self, new: NewVersion) -> SessionHandle:
        return replace(super().begin(replace(new, parent=None)), view=frozenset())

    def bases(self, limit: int = 20) -> list[Base]:
        return []

    def latest(self, *arguments: object, **named: object) -> None:
        return None


def record_packs(world: World, names: set[PackName]) -> list[PackName]:
    repository = world.open()
    repository.learn(set(names))
    layouts = {name: repository.trailers.layout(name) for name in names}
    return [
        name
        for name, layout in layouts.items()
        if any(frame.kind is ChunkKind.RECORD for frame in layout.trailer.frames)
    ]


def damage(world: World, name: PackName) -> None:
    data = bytearray(world.store.get(pack_key(name)))
    data[len(data) // 3] ^= 1
    world.store.put(pack_key(name), bytes(data))
    report = check_repository(world.open(), catalog=world.catalog, level=CheckLevel.BYTES)
    assert world.catalog.checking.damaged() == {name}, report.findings


def heard(world: World, catalog: MemoryCatalog | None = None) -> Heard:
    return catch_up(world.open(), catalog or world.catalog)


def test_a_copy_that_is_known_to_be_damaged_is_none() -> None:
    """Two writers stored the same records; the good copy lies in the pack that becomes mostly dead."""
    world = World()
    world.take(FIRST)
    (other,) = record_packs(world, world.packs())
    before = world.packs()
    early = Early(world.catalog, Gate())
    world.take(LARGER, catalog=early, request=SnapshotRequest(scan=True))
    (good,) = record_packs(world, world.packs() - before)
    world.take(THIRD)
    damage(world, other)
    forget(world.open(), world.catalog, {2: "a rule"}, heard(world))
    for _ in range(2):
        collect_garbage(world.open(), world.catalog, max_share=1.0)
    assert good not in world.packs(), "what is needed of it was written again"
    for number, platform in ((1, FIRST), (3, THIRD)):
        assert world.records(number) == expected(platform)


def test_what_lies_in_a_damaged_pack_is_stored_anew() -> None:
    """The platform still has it, so the next version is whole, and the older one with it."""
    world = World()
    world.take(FIRST)
    (only,) = record_packs(world, world.packs())
    damage(world, only)
    version = world.take(FIRST)
    assert world.records(version.number) == expected(FIRST)
    assert world.records(1) == expected(FIRST)


@pytest.mark.parametrize("what", ["a pack", "a document"])
def test_what_a_quarantined_document_needs_is_no_garbage(what: str) -> None:
    """The catalog is lost and something is missing; it is brought back after a collection."""
    world = World()
    for platform in (FIRST, LARGER, THIRD):
        world.take(platform)
    if what == "a pack":
        key = pack_key(
            max(record_packs(world, world.packs()), key=lambda name: len(world.store.get(pack_key(name))))
        )
        away = world.store.get(key)
        world.store.delete(key)
    else:
        key = version_key(2)
        away = world.store.get(key)
        world.store.put(key, away[:50] + b"?" + away[51:])
    world.catalog = MemoryCatalog(world.clock)
    assert rebuild_catalog(world.open(), world.catalog).quarantined
    for _ in range(2):
        collect_garbage(world.open(), world.catalog, max_share=1.0)
    world.store.put(key, away)
    report = rebuild_catalog(world.open(), world.catalog)
    assert not report.quarantined
    for number, platform in enumerate((FIRST, LARGER, THIRD), 1):
        assert world.records(number) == expected(platform)


def test_more_than_one_journal_can_name_goes_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "ANNOUNCED_AT_ONCE", 3)
    world = World()
    world.take(FIRST)
    for number in range(8):
        world.store.put(pack_key(PackName(f"{number:02x}" * 32)), b"a stranger", create_only=True)
    deleted = [collect_garbage(world.open(), world.catalog, max_share=1.0).deleted for _ in range(4)]
    assert deleted == [3, 3, 2, 0]


def test_what_a_version_is_built_upon_stays_also_where_it_is_not_its_parent() -> None:
    """The newest version is another platform's, say. The base needs packs that were condemned before."""
    world = World(node_bits=3)
    rows = {number: product(number) for number in range(300)}
    more = {**rows, **{number: product(number, 3) for number in range(1000, 1300)}, 5000: product(5000)}
    by_scan = SnapshotRequest(scan=True)

    class At(Gate):
        def __init__(self, act: Callable[[], object]) -> None:
            super().__init__()
            self.act: Callable[[], object] | None = act

        def before(self, call: str, what: str = "") -> None:
            super().before(call, what)
            if call == "prepare" and self.act is not None:
                act, self.act = self.act, None
                act()

    class Elsewhere(GatedCatalog):
        def latest(self, *arguments: object, **named: object) -> Version:
            return world.catalog.version(3)

    def collect() -> object:
        return collect_garbage(world.open(), world.catalog, max_share=1.0)

    def meanwhile() -> None:
        world.take({PRODUCTS: rows}, request=by_scan)
        report = forget(world.open(), world.catalog, {4: "a rule"}, heard(world))
        assert report.waiting == (4,), "somebody builds upon it"
        collect()

    world.take({PRODUCTS: rows})
    world.take({PRODUCTS: more})
    world.take({PRODUCTS: rows})
    forget(world.open(), world.catalog, {2: "a rule"}, heard(world))
    at = GatedCatalog(world.catalog, At(collect))
    assert world.take({PRODUCTS: more}, catalog=at, request=by_scan).number == 4
    last = {**more, 5000: product(5000, 2)}
    version = world.take({PRODUCTS: last}, catalog=Elsewhere(world.catalog, At(meanwhile)))
    assert world.records(version.number) == expected({PRODUCTS: last})
    for _ in range(2):
        collect()
    assert world.records(version.number) == expected({PRODUCTS: last})
