"""One moment of a platform read in all three ways: every row, by the age of rows, and by what was noted."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cas.bags import BagSorter
from cas.bases import Bases, EntityBase
from cas.catalog.model import Base
from cas.engine.repository import Repository
from cas.entity_changes import ChangeReading
from cas.entity_taking import _KeptNodes
from cas.ids import ChunkId
from cas.postgres.capture.reading import captured
from cas.postgres.reading.marking import condition_since
from cas.postgres.reading.source import PostgresSnapshot
from cas.record_ids import RecordIds
from cas.records.marks import Mark
from cas.records.model import Entity, EntityKind
from cas.records.source import Changed
from cas.tree.build import TreeBuilder
from cas.tree.diff import diff_trees
from cas.tree.edit import TreeStore


@dataclass(frozen=True, slots=True)
class Whole:
    """An entity by every row."""

    root: ChunkId
    records: int
    payload_bytes: int


Counts = tuple[int, int, int]
"""Inserted, updated, deleted."""


class ThreeWays:
    """Compares within one snapshot. `told` counts how often each way could tell, and how often not."""

    def __init__(self, repository: Repository, bases: Sequence[Base], told: Counter[str]) -> None:
        """`bases`: newest first; each is built upon."""
        self._repository = repository
        self._bases = bases
        self._reader = repository.reader()
        self._nodes = _KeptNodes(self._reader, repository)
        self._ids = RecordIds(repository.config.id_key)
        self._told = told

    def compared(self, snapshot: PostgresSnapshot) -> dict[str, Whole]:
        """All tables by every row; AssertionError where another way gives something else."""
        now = snapshot.mark()
        found = {}
        for entity in snapshot.entities:
            if entity.kind in (EntityKind.SEQUENCES, EntityKind.LARGE_OBJECTS):
                continue
            whole = found[entity.label] = self._whole(snapshot, entity)
            for base in self._bases:
                since = Bases([base], self._repository, self._reader).of(entity, now)
                if isinstance(since, EntityBase):
                    self._compare(snapshot, entity, since, whole)
        return found

    def counts(self, version: int, label: str, root: ChunkId) -> Counts:
        """What became of the records of an earlier version in the tree with this root."""
        document = self._repository.document(version)
        entries = self._repository.entities(document, self._reader)
        (before,) = [entry.root for entry in entries if entry.entity.label == label]
        assert before is not None
        return self._counts(before, root)

    def _whole(self, snapshot: PostgresSnapshot, entity: Entity) -> Whole:
        builder = TreeBuilder(self._nodes, self._repository.boundary, counted=entity.is_bag)
        size = 0
        with BagSorter() as sorter:
            for batch in snapshot.batches(entity):
                size += sum(map(len, batch.payloads))
                ids, large = self._ids.of(batch.payloads)
                if entity.is_bag:
                    sorter.add(ids, large)
                else:
                    builder.add(batch.keys, ids, (), large)
            for chunk_id, count, is_large in sorter.entries() if entity.is_bag else ():
                builder.add([chunk_id], [chunk_id], [count], [0] if is_large else [])
        root = builder.finish()
        return Whole(root.id, root.records, size)

    def _compare(self, snapshot: PostgresSnapshot, entity: Entity, since: EntityBase, whole: Whole) -> None:
        assert since.entry.root is not None
        expected = self._counts(since.entry.root, whole.root)
        for way, changed in self._ways(snapshot, entity, since.mark):
            if isinstance(changed, str):
                self._told[f"{way}: {changed.split(':')[0]}"] += 1
                continue
            self._told[way] += 1
            where = f"{entity.label} by {way} since version {since.version}"
            reading = ChangeReading(
                entity, since.entry, self._reader, self._nodes, self._ids.of, lambda *_: None
            )
            store = TreeStore(self._nodes, self._nodes, self._repository.boundary)
            root = reading.root(changed, snapshot, store)
            keys = [change.key.hex() for change in diff_trees(self._nodes, root.id, whole.root)]
            assert not keys, f"{where} differs from every row in {keys}"
            assert (root.id, root.records) == (whole.root, whole.records), where
            counts = reading.counts
            assert (counts.inserted, counts.updated, counts.deleted) == expected, where
            assert since.entry.payload_bytes + counts.payload_bytes == whole.payload_bytes, where

    def _ways(
        self, snapshot: PostgresSnapshot, entity: Entity, since: Mark
    ) -> Iterator[tuple[str, Changed | str]]:
        """What `PostgresSnapshot.changed` chooses from, each for itself."""
        table = snapshot._table(entity)
        if table.why_always_whole:
            return
        with snapshot._readers.asking(entity.label) as connection:
            noted = captured(connection, table, since.snapshot, self._repository.id)
            condition = condition_since(connection, since, table.relations)
        if isinstance(noted, str):
            yield "capture", noted
        else:
            yield (
                "capture",
                Changed("capture", snapshot._noted_records(noted), snapshot._noted_keys(noted), noted.more),
            )
        if isinstance(condition, str):
            yield "xmin", condition
        else:
            yield "xmin", Changed("xmin", snapshot._written(table, condition), None)

    def _counts(self, before: ChunkId, after: ChunkId) -> Counts:
        kinds = Counter(
            (change.left is not None, change.right is not None)
            for change in diff_trees(self._nodes, before, after)
        )
        return kinds[False, True], kinds[True, True], kinds[True, False]
