"""What nobody has whole is put together again as far as it goes, what is lost is named, and work goes on."""

from datetime import timedelta

import pytest

from cas.catalog.checking import CheckLevel, CheckState
from cas.check import check_repository
from cas.contents import open_contents
from cas.errors import CorruptData
from cas.forgetting import forget
from cas.format.names import pack_key
from cas.format.pack import HEADER_BYTES
from cas.garbage.collecting import collect_garbage
from cas.ids import ChunkKind, PackName
from cas.noting import catch_up
from cas.progress import Silent
from cas.repair.model import RepairReport
from cas.repair.sources import LiveChunks
from cas.tree.reading import lookup
from tests.engine.memory_source import MemorySource, integer_key
from tests.engine.scenes import PRODUCTS, Platform, expected, product, rows_of
from tests.lifecycle.dying import Process, at_any_call
from tests.repair.conftest import copied
from tests.repair.mending import BYTES, all_is_well, flip, mended, states
from tests.replicas.offsite import EACH, EDITIONS, Offsite


def alone() -> Offsite:
    """Three versions, and no copy that is of any use."""
    return Offsite()


def record_packs(world: Offsite) -> list[PackName]:
    opened = world.open()
    found = []
    for name in sorted(world.packs()):
        trailer = opened.trailers.trailer(name)
        if {frame.kind.name for frame in trailer.frames} == {"RECORD"}:
            found.append(name)
    return found


def readable_keys(world: Offsite, number: int) -> set[int]:
    """Keys of the version's records that can be read one by one."""
    contents = open_contents(world.open(), number)
    found = set()
    for key in range(EACH):
        root = contents.entry("products").root
        assert root is not None
        leaf = lookup(contents.reader, root, integer_key(key))
        assert leaf is not None
        try:
            contents.reader.read(ChunkKind.RECORD, (leaf.id,))
        except CorruptData:
            continue
        found.add(key)
    return found


def named(report: RepairReport, number: int) -> set[int]:
    """Keys that the report says are lost of a version."""
    (loss,) = [one for one in report.lost if one.version == number]
    assert not loss.what
    return {int(key[0]) for entity in loss.entities for key in entity.keys}


def test_what_is_sound_in_a_damaged_pack_is_kept_and_what_is_not_is_named() -> None:
    world = alone()
    name = record_packs(world)[0]
    flip(world.store, pack_key(name), HEADER_BYTES + 3)  # in its first frame
    left = {number: readable_keys(world, number) for number in (1, 2, 3)}
    report = mended(world, [])
    assert report.replaced == 1
    assert report.fresh
    assert report.chunks
    assert report.lost
    for loss in report.lost:
        assert named(report, loss.version) == set(range(EACH)) - left[loss.version]
        assert loss.records == EACH - len(left[loss.version])
        assert loss.entities[0].label == PRODUCTS.label
        assert loss.entities[0].columns == ("id",)
    for number in (1, 2, 3):
        is_lost = number in {one.version for one in report.lost}
        assert is_lost == (len(left[number]) < EACH)
        assert states(world)[number] is (CheckState.DAMAGED if is_lost else CheckState.VALID)
        assert readable_keys(world, number) == left[number]


def test_any_damage_of_any_pack_loses_nothing_that_could_be_read() -> None:
    for at in range(100):
        world = alone()
        names = sorted(world.packs())
        if at == len(names):
            return
        flip(world.store, pack_key(names[at]))
        report = mended(world, [])
        lost = {one.version for one in report.lost}
        for number in {1, 2, 3} - lost:
            assert world.records(number) == expected(EDITIONS[number])
        check = check_repository(world.open(), catalog=world.catalog, level=BYTES)
        assert set(check.lost_versions) == lost
        assert {number for number, state in states(world).items() if state is CheckState.DAMAGED} == lost
        assert mended(world, []).fresh == 0, "a second repair finds nothing more to do"


def test_what_the_platform_still_has_comes_from_there() -> None:
    for at in range(100):
        world = alone()
        names = record_packs(world)
        if at == len(names):
            return
        world.store.delete(pack_key(names[at]))
        report = mended(world, [], live=EDITIONS[3])
        assert 3 not in {one.version for one in report.lost}
        assert world.records(3) == expected(EDITIONS[3])
        live = rows_of(EDITIONS[3], PRODUCTS)
        for loss in report.lost:
            rows = rows_of(EDITIONS[loss.version], PRODUCTS)
            assert all(live[key] != rows[key] for key in named(report, loss.version))


def test_nodes_and_definitions_are_made_again_from_live_rows() -> None:
    from_live = 0
    for at in range(100):
        world = alone()
        names = sorted(world.packs() - set(record_packs(world)))
        if at == len(names):
            break
        world.store.delete(pack_key(names[at]))
        report = mended(world, [], live=EDITIONS[3])
        from_live += report.chunks.get("live", 0)
        for loss in report.lost:
            assert loss.what or loss.entities
    assert from_live


def test_every_node_of_a_table_is_made_again_from_its_rows() -> None:
    world = alone()
    contents = open_contents(world.open(), 3)
    root = contents.entry("products").root
    assert root is not None
    nodes, waiting = {root: ChunkKind.NODE}, [root]
    while waiting:
        above = contents.reader.nodes(waiting)
        waiting = [below for node in above if node.level for below in node.ids]
        nodes |= dict.fromkeys(waiting, ChunkKind.NODE)
    assert len(nodes) > 3
    source = MemorySource(EDITIONS[3], history=world.history)
    live = LiveChunks(world.open(), source, Silent())
    found = {chunk_id: plain for _, chunk_id, plain in live.find(nodes, frozenset())}
    assert found.keys() == nodes.keys()
    hasher = world.open().config.id_key.hasher(ChunkKind.NODE)
    assert all(hasher(plain) == chunk_id for chunk_id, plain in found.items())


def test_a_holder_is_asked_by_chunk_and_not_only_by_pack() -> None:
    """The primary wrote its packs again, and the replica has the old ones."""
    world = copied()
    world.drop(1, 2)
    for name in sorted(world.packs()):
        world.store.delete(pack_key(name))
    report = mended(world)
    assert report.is_whole, report
    assert report.chunks or report.brought
    all_is_well(world, 3)


def test_a_pack_that_nobody_needs_and_nobody_has_is_let_go() -> None:
    world = alone()
    heard = catch_up(world.open(), world.catalog)
    forget(world.open(), world.catalog, {1: "a rule"}, heard)
    for name in sorted(world.packs()):
        whole = world.store.get(pack_key(name))
        world.store.delete(pack_key(name))
        report = mended(world, [])
        if report.is_whole:
            assert (report.fresh, report.replaced) == (0, 1)
            break
        world.store.put(pack_key(name), whole)
        mended(world, [])
    else:
        pytest.fail("there is a pack that only the first version needed")
    collect_garbage(world.open(), world.catalog, max_share=1.0)
    assert name not in world.catalog.live_packs()


def lossy(how: str) -> tuple[Offsite, RepairReport]:
    """A repair that could not bring back all that the newest version needs."""
    world = alone()
    key = pack_key(needed_by_the_newest(world))
    if how == "missing":
        world.store.delete(key)
    else:
        flip(world.store, key, HEADER_BYTES + 3)  # its trailer still tells of all that it held
    return world, mended(world, [])


def needed_by_the_newest(world: Offsite) -> PackName:
    """A pack of records."""
    check_repository(world.open(), catalog=world.catalog, level=BYTES)
    records = record_packs(world)
    return next(name for name in records if 3 in world.catalog.checking.needing([name]))


@pytest.mark.parametrize(("how", "key"), [("missing", 0), ("flipped", 0), ("flipped", 9)])
def test_after_a_loss_work_goes_on(how: str, key: int) -> None:
    world, report = lossy(how)
    lost = {one.version for one in report.lost}
    assert 3 in lost
    with pytest.raises(CorruptData, match="lacks something"):
        collect_garbage(world.open(), world.catalog, max_share=1.0)
    # The next version reads all rows, and builds upon nothing that lacks any.
    platform: Platform = {PRODUCTS: {**rows_of(EDITIONS[3], PRODUCTS), key: product(key, 99)}}
    following = world.take(platform).number
    world.editions[following] = platform
    assert world.records(following) == expected(platform)
    # What was lost of the third version and is live still was stored anew, and that version is whole again.
    is_back = readable_keys(world, 3) == set(range(EACH))
    assert is_back == (key not in named(report, 3)) == (key == 9)
    if is_back:
        assert mended(world, []).is_whole
        return
    with pytest.raises(CorruptData, match="lacks something"):
        collect_garbage(world.open(), world.catalog, max_share=1.0)
    heard = catch_up(world.open(), world.catalog)
    assert set(forget(world.open(), world.catalog, dict.fromkeys(lost, "lossy"), heard).gone) == lost
    collect_garbage(world.open(), world.catalog, max_share=1.0)
    collect_garbage(world.open(), world.catalog, max_share=1.0)
    assert not world.catalog.checking.written_off()
    kept = sorted(({1, 2, 3} - lost) | {following})
    all_is_well(world, *kept)


def test_a_pack_that_others_stand_in_for_is_no_damage_any_more() -> None:
    world = alone()
    flip(world.store, pack_key(needed_by_the_newest(world)), HEADER_BYTES + 3)
    report = mended(world, [], live=EDITIONS[3])
    assert report.is_whole
    assert report.chunks["live"]
    for level in CheckLevel:
        assert check_repository(world.open(), catalog=world.catalog, level=level).is_clean
        assert set(states(world).values()) == {CheckState.VALID}
    assert collect_garbage(world.open(), world.catalog, max_share=1.0).deleted == 1
    all_is_well(world, 1, 2, 3)


def test_records_that_the_platform_still_has_make_older_versions_whole_again() -> None:
    """The next version stores them anew."""
    world, report = lossy("missing")
    assert 3 in {one.version for one in report.lost}
    assert world.take(EDITIONS[3]).number == 4
    world.editions[4] = EDITIONS[3]
    assert world.records(4) == expected(EDITIONS[3])
    assert world.records(3) == expected(EDITIONS[3])
    assert mended(world, []).is_whole
    assert states(world)[3] is CheckState.VALID


def broken() -> Offsite:
    """A pack is damaged and another one is lost; a copy has neither whole."""
    world = copied(versions=2)
    one, other, *_ = record_packs(world)
    flip(world.store, pack_key(one), HEADER_BYTES + 3)
    world.store.delete(pack_key(other))
    flip(world.replica, pack_key(one), HEADER_BYTES + 3)
    flip(world.replica, pack_key(other), HEADER_BYTES + 3)
    return world


def mend(process: Process) -> object:
    assert isinstance(process.world, Offsite)
    return mended(process.world, repository=process.repository, catalog=process.catalog)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies", [True, False])
def test_dying_anywhere_loses_nothing_and_the_next_run_ends_it(after: bool, dies: bool, every: int) -> None:
    """At every third call, each way of failing at others; `make thorough` takes all."""
    first = 1 + (2 * after + dies) % every
    whole = broken()
    mended(whole)
    left = {number: readable_keys(whole, number) for number in (1, 2)}
    calls = 0
    for world, _ in at_any_call(broken, mend, after=after, dies=dies, first=first, every=every):
        calls += 1
        world.clock.moment += timedelta(minutes=10)
        assert isinstance(world, Offsite)
        report = mended(world)
        assert {number: readable_keys(world, number) for number in (1, 2)} == left
        lost = {number for number in left if len(left[number]) < EACH}
        assert {one.version for one in report.lost} == lost
        following = world.take_next()
        assert world.records(following) == expected(EDITIONS[following])
    assert calls > 20 // every
