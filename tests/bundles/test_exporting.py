"""What leaves in a bundle, and what does not."""

import random
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from cas.bundles import frames as frames_module
from cas.bundles.exporting import ExportRequest, all_packs, export_version
from cas.bundles.frames import NeededFrames, WholePack
from cas.bundles.needs import needs_of
from cas.bundles.opening import opened_bundle
from cas.bundles.proving import examine
from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.errors import CorruptData, InvalidInput, NotFound, PermissionDenied
from cas.format.frame import Encoding, Frame
from cas.format.frame_table import FrameTable
from cas.format.names import PACKS, pack_key
from cas.format.pack import HEADER_BYTES, encode_end, parse_end
from cas.ids import SHORT_ID_BYTES, ChunkId, ChunkKind, pack_name, split_short_ids
from cas.limits import LARGE_VALUE_BYTES
from cas.progress import Silent
from cas.sealing.key_ring import Labelled
from cas.sealing.opening import unsealed
from cas.store.bundle import BundleStore
from cas.store.interface import Store
from cas.store.memory import MemoryStore
from tests.bundles.scenes import FIRST, SECOND, THIRD, exported, kept, members, three, world_of
from tests.engine.scenes import (
    NOTES,
    PRODUCTS,
    SUPPLIERS,
    Platform,
    World,
    changed,
    expected,
    records_of,
    rows_of,
)
from tests.reference_reader import Repository as Reference
from tests.reference_reader import restore
from tests.sealing.scenes import (
    IDENTITY,
    KEY_FILE,
    OTHER_FILE,
    OTHER_IDENTITY,
    PASSPHRASE,
    RECIPIENT,
    Given,
    new_sealed,
)

pytestmark = pytest.mark.usefixtures("whole_packs")

WORDS = [f"word{number}" for number in range(500)]


def rich(*, shared: bool = False) -> tuple[World, list[Platform]]:
    """Versions with a dictionary, deltas, a large value, a bag."""
    draw = random.Random(11)
    rows = {n: b"%d\t%s" % (n, " ".join(draw.choices(WORDS, k=60)).encode()) for n in range(6000)}
    platforms: list[Platform] = []
    for number in range(4):
        for at in draw.sample(sorted(rows), 20):
            rows[at] = b"%d\t%s" % (at, " ".join(draw.choices(WORDS, k=60)).encode())
        del rows[draw.choice(sorted(rows))]
        rows[10**6 + number] = b"9\t" + draw.randbytes(40).hex().encode() * (LARGE_VALUE_BYTES // 70)
        notes = [b"tick"] * number + [b"note %d" % number]
        if shared and platforms:  # it is stored already, in a frame made with the products' dictionary
            notes.append(next(iter(rows_of(platforms[0], PRODUCTS).values())))
        platforms.append({PRODUCTS: dict(rows), NOTES: notes, SUPPLIERS: {}})
    return world_of(*platforms), platforms


@pytest.fixture(scope="module")
def rich_world() -> tuple[World, list[Platform]]:
    return rich()


def opened(path: Path) -> Repository:
    """Of a bundle that is not sealed."""
    return Repository(BundleStore(path), None)


def chunks(store: Store) -> Iterator[tuple[Frame, list[bytes]]]:
    """Every frame that lies in a store, and the short ids of its chunks."""
    for info in store.objects(PACKS):
        trailer = parse_end(store.get(info.key))
        first = 0
        for frame in trailer.frames:
            ids = trailer.short_ids[first * 16 : (first + frame.chunks) * 16]
            yield frame, [ids[at : at + 16] for at in range(0, len(ids), 16)]
            first += frame.chunks


def frames_of(store: Store) -> set[bytes]:
    """The stored bytes of every frame."""
    found = set()
    for info in store.objects(PACKS):
        data = store.get(info.key)
        at = 48
        for frame in parse_end(data).frames:
            found.add(data[at : at + frame.stored_length])
            at += frame.stored_length
    return found


@pytest.mark.parametrize("number", [1, 4])
def test_what_leaves_is_a_whole_repository(
    number: int, rich_world: tuple[World, list[Platform]], tmp_path: Path
) -> None:
    world, platforms = rich_world
    path = kept(tmp_path, exported(world, number))
    with opened_bundle(path, Given()) as bundle:
        assert list(examine(bundle, Silent())) == []
        assert records_of(bundle.repository, number) == expected(platforms[number - 1])
        assert bundle.document.checksum == world.catalog.version(number).checksum
        assert bundle.head.records == sum(len(rows) for rows in platforms[number - 1].values())
        assert all(frame.depth == 0 for frame, _ in chunks(bundle.store)), "no delta leaves"
        assert any(frame.encoding is Encoding.ZSTD_DICTIONARY for frame, _ in chunks(bundle.store))


def test_frames_that_are_needed_whole_leave_as_they_are_stored(
    rich_world: tuple[World, list[Platform]], tmp_path: Path
) -> None:
    world, _ = rich_world
    path = kept(tmp_path, exported(world, 1))
    repository = opened(path)
    assert len(frames_of(repository.store) - frames_of(world.store)) <= 2
    assert any(f.depth for f, _ in chunks(world.store))


def test_records_and_all_else_lie_in_packs_of_their_own(
    rich_world: tuple[World, list[Platform]], tmp_path: Path
) -> None:
    world, _ = rich_world
    data = {ChunkKind.RECORD, ChunkKind.PIECE}
    for name, content in members(exported(world, 4)):
        if name.startswith(PACKS):
            kinds = {frame.kind for frame in parse_end(content).frames}
            assert kinds <= data or not kinds & data


def test_nothing_of_other_versions_leaves(rich_world: tuple[World, list[Platform]], tmp_path: Path) -> None:
    world, platforms = rich_world
    hashed = world.open().config.id_key.hasher(ChunkKind.RECORD)
    for number in (1, 2, 4):
        repository = opened(kept(tmp_path, exported(world, number)))
        found = {i for f, ids in chunks(repository.store) if f.kind is ChunkKind.RECORD for i in ids}
        rows = [*platforms[number - 1][PRODUCTS].values(), *platforms[number - 1][NOTES]]  # type: ignore[union-attr]  # by key
        assert found == {hashed(row)[:16] for row in rows if len(row) <= LARGE_VALUE_BYTES}
        needed = set(all_needed(world.open(), number))
        others = {i for _, ids in chunks(repository.store) for i in ids} - {one[:16] for one in needed}
        dictionaries = {
            i for f, ids in chunks(repository.store) if f.kind is ChunkKind.DICTIONARY for i in ids
        }
        assert others == dictionaries
        assert len(dictionaries) == 1


def all_needed(repository: Repository, number: int) -> Iterator[ChunkId]:
    contents = open_contents(repository, number)
    for need in needs_of(contents, contents.entries, None, with_list=True):
        yield from need.ids


def test_a_selection_holds_what_was_chosen_and_says_so(tmp_path: Path) -> None:
    world, platforms = rich(shared=True)
    data = exported(world, 4, ExportRequest(entities=("notes",)))
    assert len(data) < 20_000, "the dictionary of products stays, too"
    with opened_bundle(kept(tmp_path, data), Given()) as bundle:
        assert list(examine(bundle, Silent())) == []
        assert records_of(bundle.repository, 4) == expected({NOTES: platforms[3][NOTES]})
        document = bundle.document
        assert (document.kind, document.parent, document.previous) == ("selected", None, None)
        assert document.included == bundle.head.entities == ("public.notes",)
        assert document.records == bundle.head.records == len(platforms[3][NOTES])
        assert not any(f.kind is ChunkKind.DICTIONARY for f, _ in chunks(bundle.store))


def test_what_an_earlier_version_has_stays(rich_world: tuple[World, list[Platform]], tmp_path: Path) -> None:
    """By comparing trees: no node and no record that it reaches at the same place."""
    world, _ = rich_world
    for number, since in ((4, 3), (4, 1), (2, 1)):
        data = exported(world, number, ExportRequest(since=since))
        repository = opened(kept(tmp_path, data))
        brought = {i for f, ids in chunks(repository.store) for i in ids}
        there = {one[:16] for one in all_needed(world.open(), since)}
        needed = {one[:16] for one in all_needed(world.open(), number)}
        assert brought == needed - there
        with opened_bundle(kept(tmp_path, data), Given()) as bundle:
            assert bundle.head.since is not None
            assert bundle.head.since.number == since
            assert bundle.head.since.checksum == world.catalog.version(since).checksum
            assert list(examine(bundle, Silent())) == []


@pytest.mark.parametrize(
    "request_",
    [
        ExportRequest(),
        ExportRequest(entities=("products",)),
        ExportRequest(since=1),
        ExportRequest(slots=(Labelled(PASSPHRASE, "a"), Labelled(KEY_FILE, "b"))),
    ],
)
def test_the_same_version_gives_the_same_bytes(request_: ExportRequest) -> None:
    world = three()
    first = exported(world, 3, request_)
    assert exported(world, 3, request_) == first
    assert exported(world, 2, ExportRequest(request_.entities, request_.since, request_.slots)) != first
    warm = world.open()
    warm.reader()  # an index that learnt its packs in another order
    replica = MemoryStore()
    for info in reversed(list(world.store.objects())):
        replica.put(info.key, world.store.get(info.key))
    world.take(changed(THIRD, 3))
    for repository in (warm, world.open(replica)):
        out = kept_in_memory(repository, 3, request_)
        assert out == first
    assert exported(world, 3, request_) == first, "though another version was taken meanwhile"


def kept_in_memory(repository: Repository, number: int, request: ExportRequest) -> bytes:
    parts: list[bytes] = []

    class Parts:
        def write(self, data: bytes | memoryview) -> None:
            parts.append(bytes(data))

    export_version(repository, None, number, Parts(), request)
    return b"".join(parts)


def test_out_of_a_sealed_repository(tmp_path: Path) -> None:
    world = World(store=new_sealed())
    world.take(FIRST)
    world.take(SECOND)
    repository = opened(kept(tmp_path, exported(world, 2)))
    assert records_of_file(tmp_path / "shop.casb", 2) == expected(SECOND)
    assert repository.config == world.open().config


def records_of_file(path: Path, number: int, given: Given | None = None) -> object:
    with opened_bundle(path, given or Given()) as bundle:
        assert list(examine(bundle, Silent())) == []
        return records_of(bundle.repository, number)


def test_sealed_it_says_nothing_and_opens_with_each_of_its_keys(tmp_path: Path) -> None:
    world = three()
    slots = (Labelled(PASSPHRASE, "a"), Labelled(KEY_FILE, "b"))
    data = exported(world, 3, ExportRequest(slots=slots))
    assert b"product 7" not in data
    for secret in (PASSPHRASE, KEY_FILE):
        assert records_of_file(kept(tmp_path, data), 3, Given(secret)) == expected(THIRD)
    plain = exported(world, 3)
    names = [name for name, _ in members(data)]
    assert [name for name in names if not name.startswith("keys/")] == [name for name, _ in members(plain)]
    assert not {content for _, content in members(data)} & {content for _, content in members(plain)}


def test_sealed_for_a_recipient_only_what_is_in_it_is_the_same(tmp_path: Path) -> None:
    world = three()
    for slots in ((Labelled(RECIPIENT, "a"),), (Labelled(PASSPHRASE, "a"), Labelled(RECIPIENT, "b"))):
        first, second = (exported(world, 3, ExportRequest(slots=slots)) for _ in range(2))
        assert [name for name, _ in members(first)] == [name for name, _ in members(second)]
        same = {name for name, content in members(first) if dict(members(second))[name] == content}
        assert same == {"config"}, "which says only that it is sealed"
        for data in (first, second):
            assert records_of_file(kept(tmp_path, data), 3, Given(IDENTITY)) == expected(THIRD)
        with pytest.raises(PermissionDenied):
            records_of_file(kept(tmp_path, first), 3, Given(KEY_FILE, OTHER_IDENTITY))


def test_other_keys_options_and_versions_share_no_key() -> None:
    """Whoever opens one sealed bundle has no key of another one."""
    world = three()
    requests = [
        (3, ExportRequest(slots=(Labelled(KEY_FILE, "a"),))),
        (3, ExportRequest(slots=(Labelled(OTHER_FILE, "a"),))),
        (3, ExportRequest(slots=(Labelled(KEY_FILE, "b"),))),
        (3, ExportRequest(slots=(Labelled(KEY_FILE, "a"), Labelled(OTHER_FILE, "a")))),
        (3, ExportRequest(entities=("products",), slots=(Labelled(KEY_FILE, "a"),))),
        (3, ExportRequest(since=1, slots=(Labelled(KEY_FILE, "a"),))),
        (2, ExportRequest(slots=(Labelled(KEY_FILE, "a"),))),
    ]
    keys = []
    for number, request in requests:
        found = dict(members(exported(world, number, request)))
        store = MemoryStore()
        for key, content in found.items():
            store.put(key, content)
        unlocked = unsealed(store, Given(KEY_FILE, OTHER_FILE)).keys.unlocked  # type: ignore[attr-defined]  # it is sealed
        keys.append((unlocked.master, unlocked.contents.data_keys[0]))
        assert unlocked.master != unlocked.contents.data_keys[0]
    assert len({key for pair in keys for key in pair}) == 2 * len(requests)


def test_a_damaged_pack_is_told_unless_a_copy_stands_in(tmp_path: Path) -> None:
    world = three()
    pack = max(world.store.objects(PACKS), key=lambda info: info.size)
    good = world.store.get(pack.key)
    bad = bytearray(good)
    bad[200] ^= 1
    world.store.put(pack.key, bytes(bad))
    with pytest.raises(CorruptData):
        exported(world, 3)
    other = three(seed=9)
    copies = MemoryStore()
    for info in world.store.objects():
        copies.put(info.key, world.store.get(info.key))
    assert other.store is not world.store
    salted = bytearray(good)
    salted[16] ^= 1  # another salt makes another name
    copies.put(pack_key(pack_name(bytes(salted))), bytes(salted))
    data = kept_in_memory(world.open(copies), 3, ExportRequest())
    assert records_of_file(kept(tmp_path, data), 3) == expected(THIRD)


def test_what_was_stored_wrong_does_not_leave(tmp_path: Path) -> None:
    """A pack whose bytes are those of its name, while a record in it is not the one of its id."""
    world = world_of(FIRST)
    (old,) = [
        info.key
        for info in world.store.objects(PACKS)
        if ChunkKind.RECORD in {frame.kind for frame in parse_end(world.store.get(info.key)).frames}
    ]
    stored = world.store.get(old)
    trailer = parse_end(stored)
    parts, frames, at = [stored[:HEADER_BYTES]], [], HEADER_BYTES
    for frame in trailer.frames:
        part = stored[at : at + frame.stored_length]
        at += frame.stored_length
        plain = part if frame.encoding is Encoding.RAW else zstandard.ZstdDecompressor().decompress(part)
        wrong = plain[:-1] + bytes([plain[-1] ^ 1])
        parts.append(wrong)
        frames.append(replace(frame, encoding=Encoding.RAW, stored_length=len(wrong), bases=()))
    pack = b"".join(parts) + encode_end(FrameTable.of(frames), trailer.short_ids, trailer.lengths)
    world.store.delete(old)
    world.store.put(pack_key(pack_name(pack)), pack)
    with pytest.raises(CorruptData):
        exported(world, 1)


def test_what_is_not_there() -> None:
    world = three()
    for number, request, error in (
        (9, ExportRequest(), NotFound),
        (3, ExportRequest(entities=("nothing",)), NotFound),
        (3, ExportRequest(since=3), InvalidInput),
        (3, ExportRequest(since=0), InvalidInput),
    ):
        with pytest.raises(error):
            exported(world, number, request)


def test_tar_and_the_reference_reader_are_enough(
    rich_world: tuple[World, list[Platform]], tmp_path: Path
) -> None:
    world, platforms = rich_world
    path = kept(tmp_path, exported(world, 4))
    directory = tmp_path / "unpacked"
    with tarfile.open(path) as tar:
        tar.extractall(directory, filter="data")
    out = tmp_path / "out"
    out.mkdir()
    list(restore(Reference(directory), 4, out))
    rows = platforms[3][PRODUCTS]
    assert isinstance(rows, dict)
    assert (out / "public.products.copy").read_bytes() == b"".join(rows[n] + b"\n" for n in sorted(rows))


def test_packs_are_closed_when_they_are_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, size in (
        ("PACK_TARGET", 4000),
        ("FRAME_TARGET", 700),
        ("NODE_FRAME_TARGET", 700),
        ("JOB", 2000),
    ):
        monkeypatch.setattr(f"cas.engine.packer.{name}_BYTES", size)
    world = three()
    data = exported(world, 3)
    packs = [content for name, content in members(data) if name.startswith(PACKS)]
    assert len(packs) > 5
    assert len({content[16:48] for content in packs}) == len(packs), "salts differ"
    assert records_of_file(kept(tmp_path, data), 3) == expected(THIRD)


def test_what_is_marked_is_taken_once() -> None:
    world = three()
    repository = world.open()
    contents = open_contents(repository, 3)
    with all_packs(repository) as packs:
        frames = NeededFrames(repository.store, repository.fetchers, repository.config.id_key, packs)
        needs = list(needs_of(contents, contents.entries, None, with_list=True))
        for need in needs:
            frames.mark(need)
        taken = list(frames.taken(frozenset(frames.dictionaries()), Silent()))
    ids: list[bytes] = []
    for part in taken:
        short_ids = split_short_ids(part.trailer.short_ids) if isinstance(part, WholePack) else part.ids
        ids += [chunk_id[:SHORT_ID_BYTES] for chunk_id in short_ids]
    assert set(ids) == {one[:SHORT_ID_BYTES] for need in needs for one in need.ids}
    assert len(ids) == len(set(ids))
    labels = {frames.owners[number - 1] for part in taken for number in part.owners.tolist()}
    assert labels >= {entry.entity.label for entry in contents.entries if entry.records}


def test_large_packs_all_of_which_is_needed_leave_whole_with_other_salts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames_module, "WHOLE_FROM_BYTES", 0)
    world = world_of(FIRST)
    data = exported(world, 1)
    bodies = {world.store.get(info.key)[HEADER_BYTES:] for info in world.store.objects(PACKS)}
    packs = [content for name, content in members(data) if name.startswith(PACKS)]
    assert bodies
    assert {content[HEADER_BYTES:] for content in packs} == bodies
    names = {info.key for info in world.store.objects(PACKS)}
    assert not names & {name for name, _ in members(data)}, "salts are of the bundle"
    assert records_of_file(kept(tmp_path, data), 1) == expected(FIRST)


def test_a_pack_that_stands_on_what_must_stay_is_not_taken_whole(
    rich_world: tuple[World, list[Platform]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames_module, "WHOLE_FROM_BYTES", 0)
    world, _ = rich_world
    repository = world.open()
    contents = open_contents(repository, 1)
    with all_packs(repository) as packs:
        frames = NeededFrames(repository.store, repository.fetchers, repository.config.id_key, packs)
        for need in needs_of(contents, contents.entries, None, with_list=True):
            frames.mark(need)
        dictionaries = frozenset(frames.dictionaries())
        assert dictionaries

        def whole(usable: frozenset[ChunkId]) -> list[frozenset[ChunkId]]:
            taken = frames.taken(usable, Silent())
            return [frozenset(part.trailer.frames.bases) for part in taken if isinstance(part, WholePack)]

        assert any(bases & dictionaries for bases in whole(dictionaries))
        assert not any(bases & dictionaries for bases in whole(frozenset()))
