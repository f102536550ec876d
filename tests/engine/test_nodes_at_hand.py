"""The nodes that the next version changes: on the local disk, and never more than a cache."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cas.contents import open_contents
from cas.engine.decodable import Decodable
from cas.engine.nodes_at_hand import NodesAtHand
from cas.engine.places import View
from cas.engine.predecessors import Predecessors
from cas.engine.repository import Repository
from cas.errors import ConnectionFailed
from cas.format.names import pack_key
from cas.store.memory import MemoryStore
from cas.tree.reading import leaves
from tests.engine.scenes import PRODUCTS, Platform, World, changed, expected, product, rows_of, shop

VERSIONS = 12
RECORDS = 4000
FILE = "newest-nodes.sqlite"


class CountedStore(MemoryStore):
    """Counts ranged reads of packs."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges = 0

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.ranges += 1
        return super().get_range(key, start, length)


class Life:
    """Versions of one platform, each by a new process; all changes hit the same few products, whose nodes are
    long chains of deltas soon."""

    def __init__(self, cache: Path | None) -> None:
        self.store = CountedStore()
        self.world = World(self.store)
        self.cache = cache
        self.platform: Platform = shop(products=RECORDS)
        self.ranges: list[int] = []
        for _ in range(VERSIONS):
            self.take()
            self.edit()

    def take(self) -> int:
        before = self.store.ranges
        version = self.world.take(self.platform, repository=self.open())
        self.ranges.append(self.store.ranges - before)
        return version.number

    def edit(self) -> None:
        edition = len(self.ranges)
        self.platform = changed(self.platform, edition, numbers=random.Random(5).sample(range(RECORDS), 40))

    def open(self) -> Repository:
        return self.world.open(cache=self.cache)

    @property
    def file(self) -> Path:
        assert self.cache is not None
        return next(self.cache.glob(f"*/{FILE}"))


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path / "cache")


def in_file(file: Path) -> dict[bytes, bytes]:
    with closing(sqlite3.connect(file)) as connection:
        return dict(connection.execute("SELECT id, plain FROM nodes").fetchall())


def newest_nodes(life: Life) -> set[bytes]:
    """Ids of all nodes below the top of the newest version's products."""
    with closing(life.world.open()) as repository:
        contents = open_contents(repository, len(life.ranges))
        root = contents.entry(PRODUCTS.label).root
        assert root is not None
        found: set[bytes] = {root}
        waiting = [root]
        while waiting:
            for node in contents.reader.nodes(waiting):
                waiting = list(node.ids) if node.level else []
                found.update(waiting)
        assert len(list(leaves(contents.reader, root))) > 40
        return found


def test_a_version_reads_what_the_last_ones_changed_from_the_disk(life: Life, tmp_path: Path) -> None:
    without = Life(None)
    assert life.ranges[-1] < without.ranges[-1] / 3
    assert life.ranges[-1] <= life.ranges[3], "it does not grow with the versions"
    number = life.take()
    assert life.world.records(number) == expected(life.platform)


def test_what_was_replaced_goes(life: Life) -> None:
    """As many versions more do not make the file larger."""
    before = in_file(life.file)
    assert before.keys() & newest_nodes(life), "some of the newest tree's nodes are there"
    for _ in range(VERSIONS):
        life.take()
        life.edit()
    after = in_file(life.file)
    assert len(after) < 1.5 * len(before)
    assert len(after.keys() & newest_nodes(life)) > len(after) * 0.8


def test_other_bytes_in_the_file_change_no_version(life: Life) -> None:
    with closing(sqlite3.connect(life.file)) as connection, connection:
        connection.execute("UPDATE nodes SET plain = (SELECT plain FROM nodes LIMIT 1)")
    number = life.take()
    assert life.world.records(number) == expected(life.platform)
    products = next(one for one in life.world.catalog.version(number).entities if one.label == PRODUCTS.label)
    assert products.read_by == "xmin", "nor do they cost it anything"
    assert not life.world.catalog.incidents()


def test_nothing_is_built_upon_a_node_that_only_the_disk_has(life: Life) -> None:
    """Of all packs but those of the newest version nothing is left: its nodes cannot be decoded any more,
    though each can be read."""
    with closing(life.open()) as repository:
        contents = open_contents(repository, len(life.ranges))
        root = contents.entry(PRODUCTS.label).root
        assert root is not None
        places = [(0, node.keys[-1]) for node in leaves(contents.reader, root)]
        nodes = NodesAtHand(contents.reader, repository.newest_nodes)
        every, newest = repository.index.packs, {pack.name for pack in contents.document.packs}
        usable = [
            Predecessors(nodes, root, Decodable(repository.index, repository.trailers, View(packs))).find(
                places
            )
            for packs in (every, newest)
        ]
    assert all(usable[0])
    assert not any(usable[1])


def test_packs_that_are_lost_are_no_base(life: Life) -> None:
    for name in sorted(life.world.packs()):
        life.store.delete(pack_key(name))
    number = life.take()
    assert life.world.records(number) == expected(life.platform)


def test_a_version_that_fails_takes_nothing_away(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    before = in_file(life.file)

    def lost(*_: object, **__: object) -> None:
        raise ConnectionFailed("the catalog is gone")

    with monkeypatch.context() as patch:
        patch.setattr(life.world.catalog, "commit", lost)
        with pytest.raises(ConnectionFailed):
            life.take()
    assert before.items() <= in_file(life.file).items()


def test_many_more_nodes_than_are_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.engine.nodes_at_hand.NODES_AT_HAND", 3)
    monkeypatch.setattr("cas.engine.nodes_at_hand.WRITTEN_AT_ONCE_BYTES", 1000)
    life = Life(tmp_path)
    rows = rows_of(life.platform, PRODUCTS)
    rows.update({number: product(number, 99) for number in rows})
    life.platform = {**life.platform, PRODUCTS: rows}
    number = life.take()
    assert life.world.records(number) == expected(life.platform)
