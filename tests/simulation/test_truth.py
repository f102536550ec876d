"""What tells whether something was lost: it must not be fooled."""

import random

import pytest

from cas.engine.environment import Environment
from cas.format.frame import Encoding, Frame
from cas.format.frame_table import FrameTable
from cas.format.names import PACKS, version_key
from cas.format.pack import encode_end, encode_header
from cas.ids import SHORT_ID_BYTES, ChunkId, ChunkKind, short
from cas.store.memory import MemoryStore
from tests.engine.scenes import World, changed, expected, shop
from tests.simulation.shared_store import SharedStore
from tests.simulation.truth import Truth, decodable

A, B, C = (ChunkId(bytes([number]) * 32) for number in (1, 2, 3))


def pack(*frames: tuple[ChunkId, int, ChunkId | None]) -> bytes:
    """A pack of frames of one chunk each: the chunk, its depth, what it is decoded from. Their bytes do not
    matter."""
    made = []
    for _, depth, base in frames:
        encoding = Encoding.ZSTD_DELTA if depth else Encoding.ZSTD
        made.append(Frame(ChunkKind.NODE, encoding, depth, 1, 4, 4, (base,) if base else ()))
    ids = b"".join(chunk[:SHORT_ID_BYTES] for chunk, _, _ in frames)
    lengths = b"\x04\0\0\0" * len(frames)
    return encode_header(bytes(32)) + bytes(4 * len(frames)) + encode_end(FrameTable.of(made), ids, lengths)


def names(*chunks: ChunkId) -> set[bytes]:
    return set(map(short, chunks))


def test_a_delta_needs_its_base_at_a_lesser_depth() -> None:
    whole, delta = pack((A, 0, None)), pack((B, 1, A))
    assert decodable([whole, delta]) == names(A, B)
    assert decodable([delta]) == set()
    assert decodable([pack((A, 2, C), (C, 0, None)), pack((B, 1, A))]) == names(A, C), "A is deeper than B"
    assert decodable([pack((A, 2, C)), pack((C, 0, None)), pack((B, 3, A))]) == names(A, B, C)


def test_deltas_that_stand_on_each_other_are_nothing() -> None:
    assert decodable([pack((A, 1, B)), pack((B, 2, A))]) == set()
    assert decodable([pack((A, 1, B)), pack((B, 2, A)), pack((B, 0, None))]) == names(A, B)


@pytest.fixture
def world() -> World:
    world = World(SharedStore())
    first = shop(products=40, suppliers=4, notes=6)
    world.take(first)
    world.take(changed(first, 1, numbers=(3,)))
    return world


def promised(world: World) -> Truth:
    assert isinstance(world.store, SharedStore)
    environment = Environment(now=world.clock, entropy=random.Random(1).randbytes, threads=False)
    truth = Truth(world.store, environment)
    first = shop(products=40, suppliers=4, notes=6)
    for number, platform in ((1, first), (2, changed(first, 1, numbers=(3,)))):
        assert truth.promise(number, world.store.get(version_key(number)), expected(platform)) == ""
    return truth


def test_any_pack_that_goes_is_missed(world: World) -> None:
    truth = promised(world)
    assert truth.broken() == ""
    for key in [info.key for info in world.store.objects(PACKS)]:
        data = world.store.get(key)
        world.store.delete(key)
        assert "lacks" in truth.broken(), key
        world.store.put(key, data)
        assert truth.broken() == ""


def test_a_document_that_goes_or_is_another_one_is_missed(world: World) -> None:
    truth = promised(world)
    document = world.store.get(version_key(1))
    world.store.delete(version_key(1))
    assert "document of version 1" in truth.broken()
    world.store.put(version_key(1), world.store.get(version_key(2)))
    assert "document of version 1" in truth.broken()
    world.store.put(version_key(1), document)
    assert truth.broken() == ""
    assert truth.read_back(1) == ""


def test_a_version_that_is_not_what_was_taken_is_no_promise(world: World) -> None:
    assert isinstance(world.store, SharedStore)
    truth = Truth(world.store, Environment(threads=False))
    document = world.store.get(version_key(2))
    other = expected(shop(products=40, suppliers=4, notes=6))
    assert "not what was taken" in truth.promise(2, document, other)


def test_a_store_tells_what_went_and_nothing_else() -> None:
    store, seen = SharedStore(), list[tuple[str, bool]]()
    store.watch = lambda key, is_put: seen.append((key, is_put))
    store.put("a", b"1", create_only=True)
    store.delete("b")
    store.delete("a")
    assert seen == [("a", True), ("a", False)]
    assert isinstance(store, MemoryStore)
