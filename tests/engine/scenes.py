"""A store, a catalog and a clock that outlive processes, and platforms to take versions of."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from cas.catalog.interface import Catalog
from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import NewVersion, Trigger, Version, VersionKind
from cas.contents import open_contents
from cas.engine.chunk_reader import ChunkReader
from cas.engine.environment import Environment
from cas.engine.repository import Repository, create_repository
from cas.engine.write_session import WriteSession
from cas.ids import PackName
from cas.limits import NODE_CANDIDATE_BITS
from cas.record_stream import read_records
from cas.records.model import Entity
from cas.snapshot import SnapshotRequest, take_version
from cas.store.interface import Store
from cas.store.memory import MemoryStore
from tests.catalog.stages import TickingClock
from tests.engine.memory_source import History, MemorySource, integer_key, table

PRODUCTS = table("products")
SUPPLIERS = table("suppliers")
NOTES = table("notes", ("text",), is_bag=True)

Platform = dict[Entity, dict[int, bytes] | list[bytes]]
Records = dict[str, Mapping[bytes, bytes] | Counter[bytes]]


class World:
    """What is durable. Every call of `open` is a new process with an empty cache, unless one is given.

    Keys and salts are the same in every run, and for every seed others.
    """

    def __init__(
        self, store: Store | None = None, seed: int = 7, node_bits: int = NODE_CANDIDATE_BITS
    ) -> None:
        self.clock = TickingClock()
        self.store = store or MemoryStore()
        self.environment = Environment(now=self.clock, entropy=random.Random(seed).randbytes)
        config = create_repository(self.store, self.environment, node_bits=node_bits)
        self.history = History()
        self.catalog = MemoryCatalog(self.clock)
        self.catalog.attach(config.repository_id, self.store.url, create=True)

    def open(self, store: Store | None = None, cache: Path | None = None) -> Repository:
        return Repository(store or self.store, cache, self.environment)

    def take(
        self,
        platform: Platform,
        *,
        store: Store | None = None,
        catalog: Catalog | None = None,
        request: SnapshotRequest | None = None,
        repository: Repository | None = None,
    ) -> Version:
        opened = repository or self.open(store)
        source = MemorySource(platform, history=self.history)
        try:
            return take_version(opened, catalog or self.catalog, source, request or SnapshotRequest()).version
        finally:
            opened.close()

    def session(
        self, repository: Repository, catalog: Catalog | None = None, parent: int | None = None
    ) -> WriteSession:
        new = NewVersion(Trigger.MANUAL, VersionKind.FULL, parent=parent)
        return WriteSession(repository, catalog or self.catalog, new)

    def records(self, number: int, store: Store | None = None) -> Records:
        """What a new process reads of a version, entity by entity."""
        repository = self.open(store)
        try:
            return records_of(repository, number)
        finally:
            repository.close()

    def packs(self) -> set[PackName]:
        return set(self.open().packs())


def records_of(repository: Repository, number: int, reader: ChunkReader | None = None) -> Records:
    """All records of a version: key -> payload, or payload -> count for a bag."""
    contents = open_contents(repository, number, reader)
    found: Records = {}
    for entry in contents.entries:
        batches = list(read_records(contents.reader, entry))
        if entry.entity.is_bag:
            counter: Counter[bytes] = Counter()
            for batch in batches:
                counter.update(dict(zip(batch.payloads, batch.counts, strict=True)))
            found[entry.entity.label] = counter
        else:
            found[entry.entity.label] = {
                key: payload
                for batch in batches
                for key, payload in zip(batch.keys, batch.payloads, strict=True)
            }
    return found


def expected(platform: Platform) -> Records:
    """What a version of this platform holds."""
    return {
        entity.label: Counter(rows)
        if isinstance(rows, list)
        else {integer_key(number): payload for number, payload in rows.items()}
        for entity, rows in platform.items()
    }


def shop(products: int = 400, suppliers: int = 40, notes: int = 60) -> Platform:
    """A small platform: two tables with keys, and a bag in which records repeat."""
    return {
        PRODUCTS: {number: product(number) for number in range(products)},
        SUPPLIERS: {number: b"%d\tsupplier %d" % (number, number) for number in range(suppliers)},
        NOTES: [b"note %d" % (number % 17) for number in range(notes)],
    }


def rows_of(platform: Platform, entity: Entity) -> dict[int, bytes]:
    """A copy of the rows of a table with keys."""
    rows = platform[entity]
    assert isinstance(rows, dict)
    return dict(rows)


def product(number: int, edition: int = 0) -> bytes:
    rng = random.Random(number * 1000 + edition)
    return b"%d\tproduct %d, %x" % (number, number, rng.getrandbits(128))


def changed(platform: Platform, edition: int, *, numbers: Sequence[int] = (3, 77, 250)) -> Platform:
    """The same platform after some updates, an insert, a delete and another note."""
    products = rows_of(platform, PRODUCTS)
    products.update({number: product(number, edition) for number in numbers if number in products})
    products[10_000 + edition] = product(10_000 + edition)
    products.pop(5 * edition, None)
    notes = [*platform[NOTES], b"note of edition %d" % edition]
    return {**platform, PRODUCTS: products, NOTES: notes}
