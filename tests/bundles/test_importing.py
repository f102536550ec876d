"""What comes in from bundles: the same records, nothing twice, and never half of it."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from cas.bundles import source
from cas.bundles.exporting import ExportRequest
from cas.bundles.importing import Imported, ImportRequest, import_bundle
from cas.bundles.opening import opened_bundle
from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import Trigger, VersionFilter, VersionState
from cas.check import CheckLevel, check_repository
from cas.errors import Conflict, CorruptData, InsufficientSpace, VerificationFailed
from cas.format.names import DICTIONARIES, PACKS
from cas.format.pack import HEADER_BYTES
from cas.limits import LARGE_VALUE_BYTES, SESSION_LEASE_SECONDS
from cas.noting import say
from cas.progress import Silent
from cas.quota import quota_setting
from cas.rebuild import rebuild_catalog
from cas.sealing.key_ring import Labelled
from cas.snapshot import SnapshotRequest
from tests.bundles.scenes import (
    FIRST,
    SECOND,
    THIRD,
    everything,
    exported,
    kept,
    members,
    taken_in,
    three,
    world_of,
)
from tests.engine.recording import GatedCatalog, GatedStore
from tests.engine.scenes import NOTES, PRODUCTS, Platform, World, changed, expected, shop
from tests.engine.test_crashes import Dying
from tests.sealing.scenes import KEY_FILE, Given, new_sealed
from tests.store.faulty import Killed

WORDS = [f"word{number}" for number in range(500)]


def sound(world: World) -> None:
    """A new process finds nothing wrong, and the store alone tells the same."""
    report = check_repository(world.open(), catalog=world.catalog, level=CheckLevel.BYTES)
    assert report.is_clean, report.findings
    catalog = MemoryCatalog(world.clock)
    rebuilt = rebuild_catalog(world.open(), catalog)
    assert rebuilt.quarantined == ()


def made(found: Imported) -> int:
    assert found.version is not None
    return found.version.number


pytestmark = pytest.mark.usefixtures("whole_packs")


def test_into_an_empty_copy_of_the_repository(tmp_path: Path) -> None:
    world = three()
    copy = World(seed=7)
    found = taken_in(copy, kept(tmp_path, exported(world, 3)))
    assert (made(found), found.equal, found.translated, found.original) == (1, None, False, 3)
    assert copy.records(1) == expected(THIRD)
    version, original = copy.catalog.version(1), world.catalog.version(3)
    assert version.checksum == original.checksum
    assert version.records == found.records == original.records
    document, old = copy.open().document(1), world.open().document(3)
    assert (document.entities, document.schema, document.source) == (old.entities, old.schema, old.source)
    assert (document.parent, document.previous) == (None, None)
    sound(copy)


def test_only_what_lacks_is_written(tmp_path: Path) -> None:
    world = three()
    path = kept(tmp_path, exported(world, 3))
    behind = world_of(FIRST, SECOND)
    before, _ = everything(behind)
    found = taken_in(behind, path)
    fresh = {key: data for key, data in everything(behind)[0].items() if key not in before}
    assert sum(len(data) for key, data in fresh.items() if key.startswith(PACKS)) < 25_000
    assert 0 < found.new_records < 10
    assert behind.records(made(found)) == expected(THIRD)
    sound(behind)


def test_an_equal_version_is_told_and_nothing_is_done(tmp_path: Path) -> None:
    world = three()
    path = kept(tmp_path, exported(world, 3))
    before = everything(world)
    found = taken_in(world, path)
    assert (found.version, found.equal) == (None, 3)
    assert everything(world) == before
    again = taken_in(world, path, again=True)
    assert (made(again), again.equal, again.new_records) == (4, 3, 0)
    fresh = everything(world)[0].keys() - before[0].keys()
    assert fresh == {"versions/0000000004"}, "a version that holds the same costs its document"
    assert taken_in(world, path).equal == 4
    sound(world)


def test_what_was_said_of_the_version_is_kept(tmp_path: Path) -> None:
    request = SnapshotRequest(
        trigger=Trigger.AUTO,
        reason="nightly",
        name="one",
        description="long",
        tags=("a", "b, c"),
        metadata={"k": "v"},
        created_by="ada",
    )
    world = World()
    world.take(FIRST, request=request)
    for seed, count in ((7, 1), (8, 1)):
        target = World(seed=seed)
        taken_in(target, kept(tmp_path, exported(world, 1)))
        version = target.catalog.version(count)
        assert version.trigger is Trigger.AUTO
        assert version.reason == "imported from shop.casb"
        assert (version.name, version.description, version.created_by) == ("", "long", "somebody")
        told = {name.removeprefix("bundle."): text for name, text in version.metadata.items()}
        assert told["k"] == "v"
        assert told["reason"] == "nightly"
        assert told["name"] == "one"
        assert told["tags"] == '["a","b, c"]'
        assert told["created_by"] == "ada"
        assert told["version"] == "1"
        assert told["checksum"] == world.catalog.version(1).checksum.hex()  # type: ignore[union-attr]  # it is complete


def rich(seed: int) -> tuple[World, Platform]:
    """With a dictionary, a large value, and a bag in which one record occurs often."""
    draw = random.Random(3)
    rows = {n: b"%d\t%s" % (n, " ".join(draw.choices(WORDS, k=60)).encode()) for n in range(6000)}
    rows[10**6] = b"9\t" + b"large" * (LARGE_VALUE_BYTES // 4)
    platform: Platform = {PRODUCTS: dict(rows), NOTES: [b"tick"] * 5000 + [b"tock", rb"\N", b""]}
    return world_of(platform, seed=seed), platform


@pytest.mark.parametrize("seed", [7, 8])
def test_dictionaries_large_values_and_bags(seed: int, tmp_path: Path) -> None:
    """Into a copy, and into a repository of another id key."""
    world, platform = rich(7)
    target = World(seed=seed)
    found = taken_in(target, kept(tmp_path, exported(world, 1)))
    assert found.translated is (seed == 8)
    assert target.records(1) == expected(platform)
    assert len(list(target.store.objects(DICTIONARIES))) == 1
    sound(target)
    following = target.take(changed_rich(platform))
    assert target.records(following.number) == expected(changed_rich(platform))


def changed_rich(platform: Platform) -> Platform:
    rows = platform[PRODUCTS]
    assert isinstance(rows, dict)
    return {**platform, PRODUCTS: {**rows, 7: b"7\tchanged"}}


def test_another_id_key_gives_the_same_records_with_other_ids(tmp_path: Path) -> None:
    world, other = three(), world_of(FIRST, seed=8)
    path = kept(tmp_path, exported(world, 3))
    found = taken_in(other, path)
    assert (made(found), found.translated) == (2, True)
    assert other.records(2) == expected(THIRD)
    assert other.catalog.version(2).checksum != world.catalog.version(3).checksum
    before = everything(other)
    assert taken_in(other, path).equal == 2
    assert everything(other) == before
    direct = World(seed=8)
    direct.take(THIRD)
    assert other.catalog.version(2).checksum == direct.catalog.version(1).checksum, "as if it were read there"
    sound(other)


def test_the_next_version_of_the_platform_is_right_after_an_import(tmp_path: Path) -> None:
    """Nothing is taken for unchanged since a version of which nobody knows when its platform was read."""
    world = three()
    for seed in (7, 8):
        target = world_of(FIRST, seed=seed)
        taken_in(target, kept(tmp_path, exported(world, 3)))
        following = target.take(changed(FIRST, 9))
        assert target.records(following.number) == expected(changed(FIRST, 9))
        sound(target)


def test_what_is_read_again_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, other = three(), World(seed=8)
    path = kept(tmp_path, exported(world, 3))
    whole = source.BundleSnapshot.batches

    def lossy(self: source.BundleSnapshot, entity: object) -> object:
        for batch in whole(self, entity):  # type: ignore[arg-type]  # an entity
            yield type(batch)(batch.keys, [payload.replace(b"7", b"1") for payload in batch.payloads])

    monkeypatch.setattr(source.BundleSnapshot, "batches", lossy)
    with pytest.raises(VerificationFailed, match="other records"):
        taken_in(other, path)


def test_sealed_bundles_into_all_kinds_of_stores(tmp_path: Path) -> None:
    world = three()
    path = kept(tmp_path, exported(world, 3, ExportRequest(slots=(Labelled(KEY_FILE, ""),))))
    for target in (World(seed=7), World(seed=8), World(store=new_sealed(), seed=8)):
        taken_in(target, path, Given(KEY_FILE))
        assert target.records(1) == expected(THIRD)


def test_a_selection_of_this_repository_and_of_another(tmp_path: Path) -> None:
    world = three()
    path = kept(tmp_path, exported(world, 3, ExportRequest(entities=("products", "notes"))))
    some = {entity: rows for entity, rows in THIRD.items() if entity.name != "suppliers"}
    for target in (three(), World(seed=8)):
        number = made(taken_in(target, path))
        assert target.records(number) == expected(some)
        assert target.catalog.version(number).kind.value == "selected"
        assert target.catalog.version(number).included == ("public.notes", "public.products")
        sound(target)


@pytest.mark.parametrize("since", [1, 2])
def test_what_changed_since_goes_where_the_earlier_version_is(since: int, tmp_path: Path) -> None:
    world = three()
    path = kept(tmp_path, exported(world, 3, ExportRequest(since=since)))
    behind = world_of(FIRST, SECOND)
    number = made(taken_in(behind, path))
    assert behind.records(number) == expected(THIRD)
    assert behind.catalog.version(number).checksum == world.catalog.version(3).checksum
    sound(behind)


def test_what_changed_since_goes_nowhere_else(tmp_path: Path) -> None:
    world = three()
    path = kept(tmp_path, exported(world, 3, ExportRequest(since=2)))
    for target, said in (
        (World(seed=7), "version 2, on which the bundle is built, is not in this repository"),
        (world_of(FIRST), "version 2, on which"),
        (world_of(FIRST, THIRD), "version 2, on which"),
        (world_of(FIRST, SECOND, seed=8), "which is another one"),
    ):
        before = everything(target)
        with pytest.raises(Conflict, match=said):
            taken_in(target, path)
        assert everything(target) == before


def test_a_pack_that_the_repository_has_lost_is_not_built_upon(tmp_path: Path) -> None:
    world = three()
    path = kept(tmp_path, exported(world, 3, ExportRequest(since=2)))
    behind = world_of(FIRST, SECOND)
    pack = max(behind.store.objects(PACKS), key=lambda info: info.size)
    behind.store.delete(pack.key)
    before = everything(behind)[0]
    with pytest.raises(Exception, match=r"in no pack|missing"):
        taken_in(behind, path)
    assert everything(behind)[0] == before
    whole = kept(tmp_path, exported(world, 3), "whole.casb")
    number = made(taken_in(behind, whole))
    assert behind.records(number) == expected(THIRD), "a whole one brings what was lost"


def test_a_quota_holds(tmp_path: Path) -> None:
    world, target = three(), World(seed=7)
    say(target.open(), target.catalog, "ada", [quota_setting(2000)])
    with pytest.raises(InsufficientSpace):
        taken_in(target, kept(tmp_path, exported(world, 3)))
    assert [version.state for version in target.catalog.versions(VersionFilter())] == [VersionState.FAILED]


@pytest.fixture
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (
        ("PACK_TARGET", 1500),
        ("JOB", 1000),
        ("FRAME_TARGET", 600),
        ("NODE_FRAME_TARGET", 1000),
    ):
        monkeypatch.setattr(f"cas.engine.packer.{name}_BYTES", size)


@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_at_any_call_leaves_no_half_version(
    seed: int, after: bool, tmp_path: Path, tiny_packs: None
) -> None:
    """Before or after each call of store or catalog: what was there stays, and a new process imports it."""
    small = shop(products=60, suppliers=8, notes=12)
    world = world_of(small, changed(small, 1, numbers=(3, 40)))
    path = kept(tmp_path, exported(world, 2))
    at = died = 0
    while True:
        at += 1 if seed == 7 else 4  # reading it like a database makes four times as many calls
        target = world_of(small, seed=seed)
        gate = Dying(at, after=after)
        try:
            taken_in(
                target, path, store=GatedStore(target.store, gate), catalog=GatedCatalog(target.catalog, gate)
            )
        except Killed:
            died += 1
        else:
            if not gate.is_dead:
                break
        assert target.records(1) == expected(small)
        complete = {
            one.number for one in target.catalog.versions(VersionFilter(states=(VersionState.COMPLETE,)))
        }
        assert all(target.records(number) == expected_of(small, number) for number in complete)
        assert check_repository(target.open(), level=CheckLevel.BYTES).is_clean
        target.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS + 1)
        if died % 5:
            continue
        found = taken_in(target, path)
        number = found.equal or made(found)
        assert target.records(number) == expected(changed(small, 1, numbers=(3, 40)))
    assert died > 15


def expected_of(small: Platform, number: int) -> object:
    return expected(small if number == 1 else changed(small, 1, numbers=(3, 40)))


class Meddler(Silent):
    """Flips a bit of every pack in a bundle when all of it was proven."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._phases: list[str] = []

    def phase(self, name: str) -> None:
        self._phases.append(name)
        if self._phases.count("packs") == 2:
            data = bytearray(self._path.read_bytes())
            at = 0
            for member, content in members(bytes(data)):
                at = data.index(content, at)
                if member.startswith(PACKS):
                    data[at + HEADER_BYTES + 10] ^= 1
            self._path.write_bytes(data)


def test_a_bundle_that_changes_after_it_was_proven_gives_no_version(tmp_path: Path) -> None:
    path = kept(tmp_path, exported(three(), 3))
    world = world_of(seed=7)
    meddler = Meddler(path)
    with opened_bundle(path, Given()) as bundle, pytest.raises(CorruptData):
        import_bundle(world.open(), world.catalog, bundle, ImportRequest("somebody"), meddler)
    assert [one.state for one in world.catalog.versions(VersionFilter())] == [VersionState.FAILED]
