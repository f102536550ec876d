"""Reading chunks: proven bytes or an error, from whichever copy is whole."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.engine import chunk_reader, trailers
from cas.engine.chunk_reader import ChunkReader
from cas.engine.compression import Dictionary, compress_delta
from cas.engine.frame_ranges import FrameKey, Spans
from cas.engine.packer import ClosedPack
from cas.engine.places import View
from cas.errors import CorruptData
from cas.format.document import ValueRef
from cas.format.frame import Encoding, Frame
from cas.format.frame_table import FrameTable
from cas.format.large import encode_large
from cas.format.names import dictionary_key, pack_key
from cas.format.pack import HEADER_BYTES, Trailer, encode_end, encode_header
from cas.ids import ChunkId, ChunkKind, PackName, pack_name, short
from cas.limits import LARGE_VALUE_BYTES, MAX_DELTA_DEPTH, MIB
from cas.store.interface import FaultKind, StoreFault
from cas.store.memory import MemoryStore
from cas.tree.nodes import Leaf
from tests.engine.packs import KEY, Packing, ids_of, pack_of, payloads
from tests.engine.reading import reader_of
from tests.store.faulty import FOREVER, FaultyStore

PLAINS = payloads(300)
IDS = ids_of(PLAINS)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


def copies(store: FaultyStore, count: int) -> list[ClosedPack]:
    return [pack_of(PLAINS, store=store, salt=number) for number in range(count)]


def lose(store: FaultyStore, pack: ClosedPack) -> None:
    store.inner.delete(pack_key(pack.name))


def damage(store: FaultyStore, pack: ClosedPack) -> None:
    """A bit in the middle of the first frame that is no delta."""
    at = HEADER_BYTES
    for frame in pack.trailer.frames:
        if not frame.depth:
            store.flip(pack_key(pack.name), at + frame.stored_length // 2)
            return
        at += frame.stored_length


def refusal(reader: ChunkReader, ids: Sequence[ChunkId], kind: ChunkKind = ChunkKind.RECORD) -> CorruptData:
    with pytest.raises(CorruptData) as caught:
        reader.read(kind, ids)
    return caught.value


@given(st.lists(st.integers(0, 299), max_size=80))
@settings(max_examples=50, deadline=None)
def test_chunks_come_in_the_order_asked_for_however_often(wanted: list[int]) -> None:
    store = FaultyStore(MemoryStore())
    reader = reader_of(store, copies(store, 1))
    assert reader.read(ChunkKind.RECORD, [IDS[at] for at in wanted]) == [PLAINS[at] for at in wanted]


def test_a_chunk_in_no_pack_is_missing(store: FaultyStore) -> None:
    error = refusal(reader_of(store, copies(store, 1)), ids_of([b"stranger"]))
    assert error.kind == "missing"
    assert ids_of([b"stranger"])[0].hex()[:16] in error.what


def test_a_chunk_outside_the_view_is_missing(store: FaultyStore) -> None:
    (pack,) = copies(store, 1)
    assert refusal(reader_of(store, [pack], view=()), IDS[:1]).kind == "missing"


def test_a_chunk_of_another_kind_is_not_taken_for_it(store: FaultyStore) -> None:
    reader = reader_of(store, copies(store, 1))
    assert refusal(reader, IDS[:1], ChunkKind.PIECE).kind == "hash-mismatch"


@pytest.mark.parametrize("happens", ["before", "after"])
def test_a_lost_pack_is_replaced_by_a_copy_elsewhere(store: FaultyStore, happens: str) -> None:
    """Before: not even the trailer was read. After: the view was made, then the pack went."""
    first, second = copies(store, 2)
    reader = reader_of(store, [first, second])
    if happens == "after":
        assert reader.read(ChunkKind.RECORD, IDS[:1]) == PLAINS[:1]
        reader._forget(next(iter(reader._frames)))
    lose(store, first)
    assert reader.read(ChunkKind.RECORD, IDS) == PLAINS
    lose(store, second)
    for key in list(reader._frames):
        reader._forget(key)
    assert refusal(reader, IDS).kind == "missing"


def test_a_pack_that_goes_while_many_are_read_is_replaced_by_a_copy(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trailer was read, and has left the memory again when the frames are asked for."""
    monkeypatch.setattr(trailers, "KEPT_LAYOUT_BYTES", 1)
    parts = [PLAINS[:100], PLAINS[100:200], PLAINS[200:]]
    packs = [pack_of(part, store=store, salt=number) for number, part in enumerate(parts)]
    copy = pack_of(PLAINS, store=store, salt=9)
    going = list(packs)
    reader = reader_of(store, [*packs, copy])
    spans = reader._locator.spans

    def then_lost(ids: Sequence[ChunkId], view: View) -> Spans:
        found = spans(ids, View(view.packs - {copy.name}) if going else view)
        while going:
            lose(store, going.pop())
        return found

    monkeypatch.setattr(reader._locator, "spans", then_lost)
    assert reader.read(ChunkKind.RECORD, IDS) == PLAINS
    lose(store, copy)
    for key in list(reader._frames):
        reader._forget(key)
    assert refusal(reader, IDS).kind == "missing"


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_copy_is_replaced_by_a_good_one(store: FaultyStore, which: int) -> None:
    packs = copies(store, 2)
    damage(store, packs[which])
    assert reader_of(store, packs).read(ChunkKind.RECORD, IDS) == PLAINS


def test_a_second_copy_in_the_same_pack_helps_too(store: FaultyStore) -> None:
    packing = Packing(store=store)
    packing.put(ChunkKind.RECORD, PLAINS)
    packing.put(ChunkKind.RECORD, PLAINS[:10])
    (pack,) = packing.close()
    for frame in range(len(pack.trailer.frames)):
        spoiled = FaultyStore(MemoryStore())
        spoiled.put(pack_key(pack.name), bytes(pack.stored))
        begin = HEADER_BYTES + sum(f.stored_length for f in pack.trailer.frames[:frame])
        spoiled.flip(pack_key(pack.name), begin + pack.trailer.frames[frame].stored_length // 2)
        assert reader_of(spoiled, [pack]).read(ChunkKind.RECORD, IDS[:10]) == PLAINS[:10]


def test_damage_without_another_copy_names_chunk_pack_and_frame(store: FaultyStore) -> None:
    (pack,) = copies(store, 1)
    damage(store, pack)
    reader = reader_of(store, [pack])
    error = refusal(reader, IDS)
    assert error.kind == "hash-mismatch"
    (named,) = [at for at, chunk_id in enumerate(IDS) if chunk_id.hex()[:16] in error.what]
    assert reader.read(ChunkKind.RECORD, IDS[:named]) == PLAINS[:named]
    refusal(reader, IDS[named : named + 1])
    assert error.where == f"{pack_key(pack.name)}, frame 0"


def test_a_pack_cut_short_says_so(store: FaultyStore) -> None:
    (pack,) = copies(store, 1)
    reader = reader_of(store, [pack])
    reader._trailers.layout(pack.name)
    store.truncate(pack_key(pack.name), HEADER_BYTES + 10)
    assert refusal(reader, IDS[:1]).kind == "truncated"


def test_frames_beside_a_damaged_one_are_read(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 500)
    (pack,) = copies(store, 1)
    assert len(pack.trailer.frames) > 10
    damage(store, pack)
    reader = reader_of(store, [pack])
    whole = pack.trailer.frames[0].chunks
    assert reader.read(ChunkKind.RECORD, IDS[whole:]) == PLAINS[whole:]
    refusal(reader, IDS[:whole])


def test_damage_on_the_way_is_not_remembered(store: FaultyStore) -> None:
    (pack,) = copies(store, 1)
    whole = store.inner.get(pack_key(pack.name))
    damage(store, pack)
    reader = reader_of(store, [pack])
    refusal(reader, IDS)
    store.inner.put(pack_key(pack.name), whole)
    assert reader.read(ChunkKind.RECORD, IDS) == PLAINS


def test_a_store_that_fails_is_no_damage(store: FaultyStore) -> None:
    packs = copies(store, 2)
    store.fail("get_range", times=FOREVER, fault=FaultKind.TRANSIENT)
    with pytest.raises(StoreFault):
        reader_of(store, packs).read(ChunkKind.RECORD, IDS)


def trained(store: FaultyStore) -> tuple[list[ClosedPack], ChunkId, list[ChunkId]]:
    """Records with a dictionary whose second copy is in the store too."""
    plain = zstandard.train_dictionary(2000, [*payloads(3000)]).as_bytes()
    packing = Packing(store=store)
    (dictionary_id,) = packing.put(ChunkKind.DICTIONARY, [plain])
    ids = packing.put(ChunkKind.RECORD, PLAINS, Dictionary(dictionary_id, plain))
    store.inner.put(dictionary_key(dictionary_id), plain)
    return packing.close(), dictionary_id, ids


@pytest.mark.parametrize("harm", [lose, damage])
def test_a_lost_dictionary_is_replaced_by_its_second_copy(store: FaultyStore, harm: object) -> None:
    packs, dictionary_id, ids = trained(store)
    holder = next(pack for pack in packs if pack.holds_nodes)
    assert callable(harm)
    harm(store, holder)
    reader = reader_of(store, packs)
    assert reader.read(ChunkKind.RECORD, ids) == PLAINS
    store.flip(dictionary_key(dictionary_id), 1000)
    assert reader.read(ChunkKind.RECORD, ids[:5]) == PLAINS[:5], "it is kept"
    refusal(reader_of(store, packs), ids)
    store.inner.delete(dictionary_key(dictionary_id))
    refusal(reader_of(store, packs), ids)


def test_a_chunk_that_is_no_dictionary_is_damage(store: FaultyStore) -> None:
    """Its id is right: whoever wrote the repository meant harm."""
    packs, _, _ = trained(store)
    packing = Packing(store=store)
    (bad_id,) = packing.put(ChunkKind.DICTIONARY, [b"\x37\xa4\x30\xec" + b"nothing" * 50])
    good = next(pack for pack in packs if not pack.holds_nodes)
    (frame,) = good.trailer.frames
    forged = Frame(
        frame.kind, frame.encoding, 0, frame.chunks, frame.stored_length, frame.plain_length, (bad_id,)
    )
    body = bytes(good.stored)[HEADER_BYTES : HEADER_BYTES + frame.stored_length]
    hostile = forge(store, [(forged, body)], good.trailer.short_ids, good.trailer.lengths)
    refusal(reader_of(store, [hostile, *packing.close()]), IDS)


def forge(
    store: FaultyStore, frames: Sequence[tuple[Frame, bytes]], short_ids: bytes, lengths: bytes
) -> ClosedPack:
    """A pack that says what it likes."""
    entries = FrameTable.of([frame for frame, _ in frames])
    body = b"".join(stored for _, stored in frames)
    stored = encode_header(bytes(32)) + body + encode_end(entries, short_ids, lengths)
    store.inner.put(pack_key(pack_name(stored)), stored)
    return ClosedPack(pack_name(stored), memoryview(stored), Trailer(entries, short_ids, lengths), True)


def chain(store: FaultyStore, length: int) -> tuple[list[ClosedPack], list[bytes], list[ChunkId]]:
    """A node and `length` deltas, each on the one before."""
    plains = [b"the node, edition %03d; " % number + b"what stays " * 40 for number in range(length + 1)]
    ids = ids_of(plains, ChunkKind.NODE)
    packing = Packing(store=store)
    packing.put(ChunkKind.NODE, plains[:1])
    for depth in range(1, length + 1):
        packing.packer.put_delta(
            ChunkKind.NODE, ids[depth], plains[depth], plains[depth - 1], ids[depth - 1], depth
        )
    return packing.close(), plains, ids


def test_a_chain_of_deltas_is_followed_to_its_end(store: FaultyStore) -> None:
    packs, plains, ids = chain(store, MAX_DELTA_DEPTH)
    assert sum(map(len, (pack.stored for pack in packs))) < 5000
    assert reader_of(store, packs).read(ChunkKind.NODE, [ids[-1]]) == [plains[-1]]
    assert reader_of(store, packs).read(ChunkKind.NODE, ids[::-1]) == plains[::-1]


def test_links_of_one_chain_that_are_wanted_together_are_decoded_once(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs, plains, ids = chain(store, 20)
    reader = reader_of(store, packs)
    decoded: list[int] = []
    decompress = reader._decompress

    def counting(
        encoding: Encoding,
        base: Dictionary | bytes | None,
        parts: Sequence[bytes],
        lengths: Sequence[int],
        where: PackName,
    ) -> Sequence[bytes]:
        decoded.extend(lengths)
        return decompress(encoding, base, parts, lengths, where)

    monkeypatch.setattr(reader, "_decompress", counting)
    assert reader.read(ChunkKind.NODE, ids) == plains
    assert len(decoded) <= len(ids) + 1


def test_a_longer_chain_is_never_written(store: FaultyStore) -> None:
    with pytest.raises(CorruptData) as caught:
        chain(store, MAX_DELTA_DEPTH + 1)
    assert caught.value.kind == "limit"


def test_damage_at_the_bottom_of_a_chain_is_found_at_its_top(store: FaultyStore) -> None:
    packs, _, ids = chain(store, 5)
    (pack,) = packs
    damage(store, pack)
    refusal(reader_of(store, packs), [ids[-1]], ChunkKind.NODE)


def test_a_base_with_a_copy_elsewhere_saves_the_chain(store: FaultyStore) -> None:
    packs, plains, ids = chain(store, 5)
    copy = pack_of(plains[:1], kind=ChunkKind.NODE, store=store, salt=50)
    damage(store, packs[0])
    assert reader_of(store, [*packs, copy]).read(ChunkKind.NODE, [ids[-1]]) == [plains[-1]]


def requests(store: FaultyStore) -> int:
    return sum(call.operation == "get_range" for call in store.calls)


def test_a_long_chain_on_something_lost_is_given_up_soon(store: FaultyStore) -> None:
    """Two copies of each link, and none of the bottom: trying every way would take 2^32 steps."""
    packs, plains, ids = chain(store, MAX_DELTA_DEPTH)
    again = Packing(store=store)
    for _ in range(40):
        again.packer._entropy(32)
    for depth in range(1, MAX_DELTA_DEPTH + 1):
        again.packer.put_delta(
            ChunkKind.NODE, ids[depth], plains[depth], plains[depth - 1], ids[depth - 1], depth
        )
    packs += again.close()
    damage(store, packs[0])
    store.calls.clear()
    refusal(reader_of(store, packs), [ids[-1]], ChunkKind.NODE)
    assert requests(store) < 10 * MAX_DELTA_DEPTH
    store.calls.clear()
    refusal(reader_of(store, packs), ids[::-1], ChunkKind.NODE)
    assert requests(store) < 10 * MAX_DELTA_DEPTH


def test_the_bases_of_many_deltas_are_fetched_together(store: FaultyStore) -> None:
    old = [b"node %d of the first edition; " % number * 40 for number in range(60)]
    new = [plain + b"a change" for plain in old]
    old_ids, new_ids = ids_of(old, ChunkKind.NODE), ids_of(new, ChunkKind.NODE)
    bases = pack_of(old, kind=ChunkKind.NODE, store=store)
    packing = Packing(store=store)
    for base_id, base, chunk_id, plain in zip(old_ids, old, new_ids, new, strict=True):
        assert packing.packer.put_delta(ChunkKind.NODE, chunk_id, plain, base, base_id, 1)
    reader = reader_of(store, [bases, *packing.close()])
    assert reader.read(ChunkKind.NODE, new_ids) == new
    assert requests(store) <= 4


def delta(base: bytes, plain: bytes, bases: tuple[ChunkId, ...], depth: int) -> tuple[Frame, bytes]:
    stored = compress_delta(plain, base)
    return Frame(ChunkKind.NODE, Encoding.ZSTD_DELTA, depth, 1, len(stored), len(plain), bases), stored


def tables(plains: Sequence[bytes]) -> tuple[bytes, bytes]:
    ids = ids_of(plains, ChunkKind.NODE)
    return b"".join(map(short, ids)), b"".join(len(plain).to_bytes(4, "little") for plain in plains)


def test_a_deeper_delta_is_not_held_to_the_depth_of_its_neighbour(store: FaultyStore) -> None:
    """Two deltas on one base in one pack, and the only whole copy of the base is a delta itself."""
    bottom, base, one, two = (b"edition %d; " % number + b"what stays " * 40 for number in range(4))
    bottom_id, base_id, one_id, two_id = ids_of([bottom, base, one, two], ChunkKind.NODE)
    below = pack_of([bottom], kind=ChunkKind.NODE, store=store)
    middle = forge(store, [delta(bottom, base, (bottom_id,), 1)], *tables([base]))
    top = [delta(base, one, (base_id,), 1), delta(base, two, (base_id,), 2)]
    above = forge(store, top, *tables([one, two]))
    reader = reader_of(store, [below, middle, above])
    assert reader._load({(above.name, 0), (above.name, 1)}, ChunkKind.NODE, 9, set()) == {
        (above.name, 1): two
    }
    assert reader.read(ChunkKind.NODE, [two_id]) == [two]
    refusal(reader, [one_id], ChunkKind.NODE)  # though its base was decoded a moment ago
    refusal(reader_of(store, [below, middle, above]), [one_id], ChunkKind.NODE)


def test_a_wrong_base_gives_no_bytes(store: FaultyStore) -> None:
    """zstd itself says nothing: it gives other bytes."""
    right, wrong = b"the right base " * 30, b"the wrong base " * 30
    plain = right[:200] + b"!" + right[200:]
    frame, stored = delta(right, plain, tuple(ids_of([wrong], ChunkKind.NODE)), 1)
    hostile = forge(store, [(frame, stored)], *tables([plain]))
    base = pack_of([wrong], kind=ChunkKind.NODE, store=store)
    error = refusal(reader_of(store, [hostile, base]), ids_of([plain], ChunkKind.NODE), ChunkKind.NODE)
    assert error.kind == "hash-mismatch"


@pytest.mark.parametrize("depths", [(1, 2), (1, 1), (32, 32)])
def test_two_deltas_on_each_other_end(store: FaultyStore, depths: tuple[int, int]) -> None:
    a, b = b"edition a " * 30, b"edition b " * 30
    ids = ids_of([a, b], ChunkKind.NODE)
    frames = [delta(b, a, (ids[1],), depths[0]), delta(a, b, (ids[0],), depths[1])]
    hostile = forge(store, frames, *tables([a, b]))
    refusal(reader_of(store, [hostile]), [ids[0]], ChunkKind.NODE)
    refusal(reader_of(store, [hostile]), [ids[1]], ChunkKind.NODE)


def test_bases_are_not_gathered_beyond_their_limit(store: FaultyStore) -> None:
    bases = [bytes([number]) * (MIB + MIB // 2) for number in range(12)]
    holder = Packing(store=store)
    base_ids = holder.put(ChunkKind.NODE, bases)
    packs = holder.close()
    plain = b"short"
    frame, stored = delta(b"".join(bases), plain, tuple(base_ids), 1)
    hostile = forge(store, [(frame, stored)], *tables([plain]))
    reader = reader_of(store, [hostile, *packs])
    with pytest.raises(CorruptData) as caught:
        reader.decode(hostile.name, frame, stored)
    assert caught.value.kind == "limit"
    refusal(reader, ids_of([plain], ChunkKind.NODE), ChunkKind.NODE)


class Measured(ChunkReader):
    """Notes how many decoded bytes one step holds."""

    most = 0

    def _load(
        self, keys: set[FrameKey], kind: ChunkKind, depth: int, failed: set[FrameKey]
    ) -> dict[FrameKey, bytes]:
        loaded = super()._load(keys, kind, depth, failed)
        self.most = max(self.most, sum(map(len, loaded.values())))
        return loaded


def test_many_chunks_of_large_frames_are_read_step_by_step(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cas.engine.frame_ranges.FRAMES_AT_ONCE_BYTES", 2000)
    monkeypatch.setattr(chunk_reader, "CACHE_BYTES", 0)
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 900)
    packs = copies(store, 1)
    assert len(packs[0].trailer.frames) > 6
    plain_reader = reader_of(store, packs)
    reader = Measured(
        plain_reader._store,
        KEY,
        plain_reader._index,
        plain_reader._trailers,
        plain_reader._view,
        plain_reader._fetchers,
    )
    order = [*range(0, 300, 7), *range(299, 0, -11)]
    assert reader.read(ChunkKind.RECORD, [IDS[at] for at in order]) == [PLAINS[at] for at in order]
    assert 0 < reader.most <= 2000


def test_pieces_must_have_the_length_of_their_value(store: FaultyStore) -> None:
    pieces = [b"p" * LARGE_VALUE_BYTES, b"the rest"]
    packing = Packing(store=store)
    piece_ids = packing.put(ChunkKind.PIECE, pieces)
    good = encode_large(LARGE_VALUE_BYTES + 8, piece_ids)
    bad = encode_large(LARGE_VALUE_BYTES + 7, piece_ids)
    good_id, bad_id = packing.put(ChunkKind.LARGE, [good, bad])
    reader = reader_of(store, packing.close())
    assert reader.value(ValueRef(good_id, is_large=True), ChunkKind.ENTITIES) == b"".join(pieces)
    with pytest.raises(CorruptData) as caught:
        reader.value(ValueRef(bad_id, is_large=True), ChunkKind.ENTITIES)
    assert caught.value.kind == "malformed"


def test_lengths_are_told_without_reading(store: FaultyStore) -> None:
    pieces = [b"p" * LARGE_VALUE_BYTES, b"the rest"]
    packing = Packing(store=store)
    piece_ids = packing.put(ChunkKind.PIECE, pieces)
    (large_id,) = packing.put(ChunkKind.LARGE, [encode_large(LARGE_VALUE_BYTES + 8, piece_ids)])
    packs = [*copies(store, 2), *packing.close()]
    reader = reader_of(store, packs)
    leaves = [Leaf(IDS[7]), Leaf(large_id, 1, is_large=True), Leaf(IDS[3]), Leaf(IDS[7])]
    expected = [len(PLAINS[7]), LARGE_VALUE_BYTES + 8, len(PLAINS[3]), len(PLAINS[7])]
    assert reader.lengths(leaves) == expected
    ranges = [call for call in store.calls if call.operation == "get_range"]
    assert reader.lengths([Leaf(one) for one in IDS]) == list(map(len, PLAINS))
    assert [call for call in store.calls if call.operation == "get_range"] == ranges
    with pytest.raises(CorruptData) as caught:
        reader.lengths([Leaf(IDS[0]), *map(Leaf, ids_of([b"stranger"]))])
    assert caught.value.kind == "missing"


def test_several_threads_read_at_once(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 300)
    monkeypatch.setattr(chunk_reader, "CACHE_BYTES", 4000)
    packs = copies(store, 2)
    damage(store, packs[0])
    reader = reader_of(store, packs)
    start = threading.Barrier(6)

    def read(step: int) -> None:
        start.wait()
        for _ in range(20):
            order = list(range(step, 300, 6 + step))
            assert reader.read(ChunkKind.RECORD, [IDS[at] for at in order]) == [PLAINS[at] for at in order]

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(read, range(6)))
