"""From chunks to packs: frames, encodings, and nothing leaves that does not decode to what it was."""

import itertools
import random
from collections.abc import Sequence

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.engine.chunk_index import ChunkIndex
from cas.engine.chunk_reader import ChunkReader
from cas.engine.compression import Compressor, Dictionary, compress_delta
from cas.engine.packer import ClosedPack
from cas.engine.places import View
from cas.engine.trailers import Trailers
from cas.errors import CorruptData
from cas.format.frame import Encoding
from cas.format.pack import parse_end, parse_header
from cas.ids import ChunkKind, pack_name
from cas.limits import FRAME_TARGET_BYTES, LARGE_VALUE_BYTES, MAX_CHUNK_BYTES, MAX_FRAME_CHUNKS, MIB
from cas.store.memory import MemoryStore
from tests.engine.packs import KEY, Packing, ids_of, pack_of, payloads
from tests.engine.reading import reader_of


def encodings(pack: ClosedPack) -> list[Encoding]:
    return [frame.encoding for frame in pack.trailer.frames]


def round_trip(kind: ChunkKind, plains: Sequence[bytes]) -> list[ClosedPack]:
    """Pack the chunks, read each back by its id, and give the packs."""
    store = MemoryStore()
    packing = Packing(store=store)
    ids = packing.put(kind, plains)
    packs = packing.close()
    assert reader_of(store, packs).read(kind, ids) == list(plains)
    return packs


def test_records_are_gathered_into_frames_of_the_target_size() -> None:
    (pack,) = round_trip(ChunkKind.RECORD, payloads(3000))
    sizes = [frame.plain_length for frame in pack.trailer.frames]
    assert len(sizes) > 3
    assert max(sizes) <= FRAME_TARGET_BYTES
    assert min(sizes[:-1]) > FRAME_TARGET_BYTES - 40
    assert set(encodings(pack)) == {Encoding.ZSTD}


def test_a_pack_is_what_its_name_header_and_trailer_say() -> None:
    pack = pack_of(payloads(100))
    stored = bytes(pack.stored)
    assert pack.name == pack_name(stored)
    parse_header(stored)
    assert parse_end(stored, size=len(stored)) == pack.trailer
    assert not pack.holds_nodes


def test_equal_content_makes_packs_with_different_names() -> None:
    plains = payloads(10)
    assert pack_of(plains).name != pack_of(plains, salt=1).name


def test_an_empty_payload_is_a_chunk_like_others() -> None:
    (alone,) = round_trip(ChunkKind.RECORD, [b""])
    assert encodings(alone) == [Encoding.RAW]
    assert alone.trailer.frames[0].plain_length == 0
    round_trip(ChunkKind.RECORD, [b"", *payloads(50)])
    round_trip(ChunkKind.RECORD, [*payloads(50), b""])


def test_what_does_not_compress_is_stored_raw() -> None:
    noise = random.Random(1).randbytes
    plains = [noise(5000) for _ in range(8)]
    (pack,) = round_trip(ChunkKind.RECORD, plains)
    assert set(encodings(pack)) == {Encoding.RAW}
    assert len(pack.stored) < sum(map(len, plains)) + 1000
    (mixed,) = round_trip(ChunkKind.RECORD, [noise(FRAME_TARGET_BYTES), b"x" * FRAME_TARGET_BYTES])
    assert encodings(mixed) == [Encoding.RAW, Encoding.ZSTD]


@pytest.mark.parametrize("plain", [b"z" * MAX_CHUNK_BYTES, random.Random(2).randbytes(MAX_CHUNK_BYTES)])
def test_a_value_of_16_mib_goes_round_alone_in_its_frame(plain: bytes) -> None:
    packs = round_trip(ChunkKind.DEFINITION, [b"{}", plain, b"[]"])
    frames = [frame for pack in packs for frame in pack.trailer.frames]
    assert [frame.plain_length for frame in frames] == [2, 16 * MIB, 2]


def test_longer_chunks_than_a_reader_takes_are_refused() -> None:
    for kind, length in ((ChunkKind.DEFINITION, MAX_CHUNK_BYTES), (ChunkKind.RECORD, LARGE_VALUE_BYTES)):
        packing = Packing()
        packing.put(kind, [b"x" * (length + 1)])
        with pytest.raises(CorruptData) as caught:
            packing.close()
        assert caught.value.kind == "limit"
        assert not packing.packs


def test_a_frame_holds_no_more_chunks_than_a_reader_takes() -> None:
    plains = [number.to_bytes(2, "big") for number in range(MAX_FRAME_CHUNKS + 10)]
    (pack,) = round_trip(ChunkKind.RECORD, plains)
    assert [frame.chunks for frame in pack.trailer.frames] == [MAX_FRAME_CHUNKS, 10]


def test_nodes_and_records_go_into_packs_apart(small_packs: None) -> None:
    packing = Packing()
    packing.put(ChunkKind.RECORD, payloads(3000))
    packing.put(ChunkKind.NODE, payloads(3000))
    packs = packing.close()
    assert len(packs) > 4
    for pack in packs:
        kinds = {frame.kind for frame in pack.trailer.frames}
        assert kinds == ({ChunkKind.NODE} if pack.holds_nodes else {ChunkKind.RECORD})


def test_a_dictionary_is_named_by_the_frames_that_need_it() -> None:
    store = MemoryStore()
    packing = Packing(store=store)
    plain = zstandard.train_dictionary(2000, [*payloads(3000)]).as_bytes()
    (dictionary_id,) = packing.put(ChunkKind.DICTIONARY, [plain])
    ids = packing.put(ChunkKind.RECORD, payloads(20), Dictionary(dictionary_id, plain))
    packs = packing.close()
    (frame,) = next(pack for pack in packs if not pack.holds_nodes).trailer.frames
    assert (frame.encoding, frame.bases) == (Encoding.ZSTD_DICTIONARY, (dictionary_id,))
    assert reader_of(store, packs).read(ChunkKind.RECORD, ids) == payloads(20)


@given(st.lists(st.binary(max_size=300), max_size=60, unique=True), st.integers(50, 2000))
@settings(max_examples=60, deadline=None)
def test_any_chunks_go_round_in_frames_of_any_size(plains: list[bytes], target: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", target)
        patch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 4 * target)
        if plains:
            round_trip(ChunkKind.RECORD, plains)


class Flipping(Compressor):
    """Changes one bit of a plain before it is compressed, as failing memory would."""

    def compress(
        self, plains: Sequence[memoryview], dictionary: Dictionary | None = None
    ) -> list[memoryview]:
        damaged = bytearray(plains[-1])
        damaged[len(damaged) // 2] ^= 1
        return super().compress([*plains[:-1], memoryview(damaged)], dictionary)


class Swapping(Compressor):
    """Gives the results of two frames of equal length in the wrong order."""

    def compress(
        self, plains: Sequence[memoryview], dictionary: Dictionary | None = None
    ) -> list[memoryview]:
        return super().compress(plains, dictionary)[::-1]


class Garbling(Compressor):
    """Gives a frame that cannot be decoded."""

    def compress(
        self, plains: Sequence[memoryview], dictionary: Dictionary | None = None
    ) -> list[memoryview]:
        return [memoryview(bytes(stored[:-3]) + b"???") for stored in super().compress(plains, dictionary)]


class Shortening(Compressor):
    """Gives a good frame of something shorter."""

    def compress(
        self, plains: Sequence[memoryview], dictionary: Dictionary | None = None
    ) -> list[memoryview]:
        return super().compress([plain[:-1] for plain in plains], dictionary)


@pytest.mark.parametrize("broken", [Flipping, Swapping, Garbling, Shortening])
def test_nothing_leaves_that_does_not_decode_to_what_it_was(
    broken: type[Compressor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 1000)
    plains = [b"%04d" % number * 250 for number in range(8)]
    store = MemoryStore()
    packing = Packing(store=store, compressor=broken())
    packing.put(ChunkKind.RECORD, plains)
    with pytest.raises(CorruptData) as caught:
        packing.close()
    assert caught.value.kind in ("hash-mismatch", "malformed")
    assert not packing.packs
    assert not list(store.objects())


def test_ids_that_were_given_to_the_wrong_chunks_do_not_leave() -> None:
    plains = payloads(40)
    ids = ids_of(plains)
    packing = Packing()
    packing.packer.put(ChunkKind.RECORD, [*ids[1:], ids[0]], plains)
    with pytest.raises(CorruptData) as caught:
        packing.close()
    assert caught.value.kind == "hash-mismatch"
    assert not packing.packs


def test_a_delta_whose_base_is_not_the_named_one_does_not_leave() -> None:
    old, new = b"a record " * 20, b"a record " * 19 + b"another one"
    packing = Packing()
    (old_id, new_id) = ids_of([old, new])
    with pytest.raises(CorruptData) as caught:
        packing.packer.put_delta(ChunkKind.RECORD, new_id, new, old[:-1], old_id, 1)
    assert caught.value.kind == "hash-mismatch"
    with pytest.raises(CorruptData):
        packing.packer.put_delta(ChunkKind.RECORD, new_id, old, old, old_id, 1)
    assert len(compress_delta(new, old)) < len(new) // 3
    assert packing.close() == []


class Failing(Packing):
    """The store refuses every pack."""

    def _take(self, pack: ClosedPack) -> None:
        raise OSError(28, "No space left on device")


def test_a_failed_delivery_stops_the_caller_at_the_next_put_or_at_flush(small_packs: None) -> None:
    packing = Failing()

    def read_on() -> None:
        for at in itertools.count(0, 100):
            packing.put(ChunkKind.RECORD, payloads(100, start=at))

    for _ in range(2):  # what failed once has failed: nobody gets to the end over it
        with pytest.raises(OSError, match="No space"):
            read_on()
        with pytest.raises(OSError, match="No space"):
            packing.packer.flush()
    packing.packer.abandon()
    assert packing.close() == []


def test_a_reader_needs_no_more_than_the_packs_themselves() -> None:
    store = MemoryStore()
    packing = Packing(store=store)
    ids = packing.put(ChunkKind.RECORD, payloads(200))
    packing.close()
    index, trailers = ChunkIndex(None), Trailers(store, None)
    names = {info.key.rpartition("/")[2] for info in store.objects("packs/")}
    assert names == {pack.name for pack in packing.packs}
    index.sync([pack.name for pack in packing.packs], trailers.trailer)
    reader = ChunkReader(store, KEY, index, trailers, View(index.packs), packing._threads)
    assert reader.read(ChunkKind.RECORD, ids) == payloads(200)
