"""One entity on its way into the store: records to chunks, chunks to a tree."""

from collections.abc import Iterator, Sequence
from itertools import islice

from cas.bags import BagSorter
from cas.engine.compression import Dictionary, sample_bytes
from cas.engine.write_session import Stored, WriteSession
from cas.entity_counts import Comparison
from cas.format.entities import EntityEntry
from cas.limits import MIB
from cas.progress import Progress
from cas.records.model import Entity, RecordBatch
from cas.tree.boundary import Boundary
from cas.tree.build import TreeBuilder
from cas.tree.nodes import Root

MAX_SAMPLE_BYTES = MIB // 8
"""Larger payloads are no samples: one would crowd out many."""


class EntityReading:
    """One entity on its way: its dictionary, and what was counted."""

    def __init__(
        self,
        session: WriteSession,
        entity: Entity,
        before: EntityEntry | None,
        expected_bytes: int,
        progress: Progress,
    ) -> None:
        """`before`: the same entity in the parent version, whose dictionary and tree are built upon.
        `expected_bytes`: its size by the statistics, 0 where nothing is known."""
        self._expected_bytes = expected_bytes
        stored = {column.name for column in entity.columns}
        is_distinct = not entity.is_bag and all(name in stored for name, _ in entity.key)
        session.begin_entity(expected_bytes, distinct=is_distinct)
        known = before.dictionary if before else None
        self._before = before.root if before else None
        self.entity = entity
        self._session = session
        self._progress = progress
        self.dictionary: Dictionary | None = session.known_dictionary(known) if known else None
        self.records = 0
        self.payload_bytes = 0
        self.new_chunks = 0

    def grow(
        self, batches: Iterator[RecordBatch], boundary: Boundary, comparison: Comparison | None = None
    ) -> Root:
        """Store all records and give the root of their tree; `comparison` sees it grow."""
        nodes = self._session.nodes(self._before, comparison.leaves if comparison else None)
        builder = TreeBuilder(nodes, boundary, counted=self.entity.is_bag)
        if self.entity.is_bag:
            self._grow_bag(batches, builder)
        else:
            for batch in self._with_dictionary(batches):
                stored = self._put(batch)
                builder.add(batch.keys, stored.ids, (), stored.large)
        root = builder.finish()
        nodes.flush()
        return root

    def _grow_bag(self, batches: Iterator[RecordBatch], builder: TreeBuilder) -> None:
        with BagSorter() as sorter:
            for batch in self._with_dictionary(batches):
                stored = self._put(batch)
                sorter.add(stored.ids, stored.large)
            entries = sorter.entries()
            while run := list(islice(entries, 1024)):
                ids = [chunk_id for chunk_id, _, _ in run]
                large = [at for at, (_, _, is_large) in enumerate(run) if is_large]
                builder.add(ids, ids, [count for _, count, _ in run], large)

    def _with_dictionary(self, batches: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
        """The same batches, the first ones held back until a dictionary was trained on them."""
        if self.dictionary is None:
            held: list[RecordBatch] = []
            size, wanted = 0, sample_bytes(self._expected_bytes)
            for batch in batches:
                held.append(batch)
                size += sum(map(len, batch.payloads))
                if size >= wanted:
                    break
            self.dictionary = self._session.train(_samples(held), self._expected_bytes)
            yield from held
        yield from batches

    def _put(self, batch: RecordBatch) -> Stored:
        stored = self._session.put_records(batch.payloads, self.dictionary)
        self.records += len(batch.payloads)
        self.payload_bytes += stored.bytes
        self.new_chunks += stored.new
        self._progress.advance(self.entity.label, len(batch.payloads), stored.bytes)
        return stored


def _samples(batches: Sequence[RecordBatch]) -> list[bytes]:
    """Payloads for training: all but the large ones, which would crowd out the others."""
    return [payload for batch in batches for payload in batch.payloads if len(payload) <= MAX_SAMPLE_BYTES]
