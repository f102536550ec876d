"""Nodes of versions that follow each other: what the chunk reader gives, with fewer requests."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from cas.contents import open_contents
from cas.engine import node_runs
from cas.engine.node_runs import NodeRuns
from cas.engine.repository import Repository
from cas.errors import CorruptData
from cas.format.names import pack_key
from cas.ids import ChunkId, ChunkKind
from cas.store.memory import MemoryStore
from tests.engine.scenes import PRODUCTS, World, changed, shop

VERSIONS = 24
"""More than a chain of deltas is long."""


class CountedStore(MemoryStore):
    """Counts ranged reads."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges = 0

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.ranges += 1
        return super().get_range(key, start, length)


@pytest.fixture(scope="module")
def grown() -> World:
    """Two levels and more of nodes that change a little from version to version."""
    world = World(CountedStore())
    platform = shop(products=4000)
    rng = random.Random(4)
    for edition in range(VERSIONS):
        world.take(platform)
        numbers = rng.sample(range(4000), 4)
        platform = changed(platform, edition, numbers=numbers)
    return world


@pytest.fixture
def world(grown: World) -> World:
    """A copy, for damage."""
    copy = CountedStore()
    for info in grown.store.objects():
        copy.put(info.key, grown.store.get(info.key))
    made = World.__new__(World)
    made.clock, made.store, made.environment, made.catalog = (
        grown.clock,
        copy,
        grown.environment,
        grown.catalog,
    )
    return made


def levels_of(repository: Repository) -> list[list[ChunkId]]:
    """The nodes of all versions, level by level, in the order in which they were written."""
    reader = repository.reader()
    tops: list[ChunkId] = []
    for number in range(1, VERSIONS + 1):
        contents = open_contents(repository, number, reader)
        root = contents.entry(PRODUCTS.label).root
        assert root is not None
        tops.append(root)
    levels = [tops]
    while True:
        below: dict[ChunkId, None] = {}
        for node in reader.nodes(levels[-1]):
            if node.level:
                below |= dict.fromkeys(node.ids)
        if not below:
            return levels
        levels.append(list(below))


def outcome(read: Callable[[Sequence[ChunkId]], Sequence[bytes]], node_id: ChunkId) -> bytes | str:
    """What is read, or the kind of the error."""
    try:
        return read([node_id])[0]
    except CorruptData as error:
        return error.kind


def batches(ids: Sequence[ChunkId], rng: random.Random) -> Iterator[Sequence[ChunkId]]:
    at = 0
    while at < len(ids):
        size = rng.choice((1, 2, 16, 100))
        yield ids[at : at + size]
        at += size


@pytest.fixture(params=["small packs", "large packs"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs are fetched as they are in a young repository, and as they are in one whose packs were merged."""
    if request.param == "large packs":
        monkeypatch.setattr(node_runs, "SMALL_PACK_BYTES", 0)


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_they_are_what_the_chunk_reader_gives(grown: World, seed: int | None) -> None:
    repository = grown.open()
    ids = [node_id for level in levels_of(repository) for node_id in level]
    assert len(ids) > 150
    rng = random.Random(seed)
    if seed is not None:
        rng.shuffle(ids)
        ids += ids[:40]
    runs, reader = NodeRuns(repository), repository.reader()
    for batch in batches(ids, rng):
        assert runs.read(batch) == reader.read(ChunkKind.NODE, batch)
    assert runs.read([]) == []
    assert runs.read([ids[3], ids[3]]) == reader.read(ChunkKind.NODE, [ids[3], ids[3]])


def test_a_version_s_pack_is_fetched_once_on_the_way_down(grown: World) -> None:
    repository = grown.open()
    levels = levels_of(repository)
    assert isinstance(grown.store, CountedStore)
    runs = NodeRuns(repository)
    grown.store.ranges = 0
    for level in levels[:-1]:
        runs.read(level)
    assert grown.store.ranges <= VERSIONS + 4
    own = grown.store.ranges
    reader = repository.reader()
    grown.store.ranges = 0
    for level in levels[:-1]:
        reader.read(ChunkKind.NODE, level)
    assert own <= grown.store.ranges


def node_pack(world: World, number: int) -> str:
    (pack,) = (pack for pack in world.open().document(number).packs if pack.holds_nodes)
    return pack_key(pack.name)


def flip(world: World, number: int) -> None:
    """Some of the bytes of frames, not of the trailer."""
    key = node_pack(world, number)
    data = bytearray(world.store.get(key))
    for at in range(48, len(data) * 2 // 3, 97):
        data[at] ^= 1
    world.store.put(key, bytes(data))


def lose(world: World, number: int) -> None:
    world.store.delete(node_pack(world, number))


def cut(world: World, number: int) -> None:
    key = node_pack(world, number)
    world.store.put(key, world.store.get(key)[:100])


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("is_learned", [True, False], ids=["after it was learned", "before"])
@pytest.mark.parametrize("spoil", [flip, lose, cut])
def test_damage_is_told_as_the_chunk_reader_tells_it(
    world: World, tmp_path: Path, spoil: Callable[[World, int], None], is_learned: bool
) -> None:
    repository = world.open(cache=tmp_path)
    ids = [node_id for level in levels_of(repository) for node_id in level]
    spoil(world, 5)
    opened = repository if is_learned else world.open()
    runs, reader = NodeRuns(opened), opened.reader()
    expected = [outcome(partial(reader.read, ChunkKind.NODE), node_id) for node_id in ids]
    assert [outcome(runs.read, node_id) for node_id in ids] == expected
    assert {type(one) for one in expected} == {str, bytes}, "some are lost, and some are not"
