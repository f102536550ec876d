"""The records of one entity of a version, ascending by key, in batches of proven bytes."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from cas.engine.chunk_reader import ChunkReader
from cas.format.entities import EntityEntry
from cas.format.node import Node
from cas.ids import ChunkId, ChunkKind
from cas.limits import MIB
from cas.tree.nodes import Leaf
from cas.tree.reading import leaves

BATCH_RECORDS = 2048
"""Records read together: some sixty frames, about 1 MiB."""

BATCH_BYTES = 8 * MIB
"""Of records read together by `read_bounded`."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """Consecutive records. `counts` is empty unless the entity is a bag; a bag's keys are chunk ids."""

    keys: list[bytes]
    payloads: list[bytes]
    counts: list[int]


def read_records(
    reader: ChunkReader, entry: EntityEntry, start: bytes | None = None, stop: bytes | None = None
) -> Iterator[StoredBatch]:
    """All records with start <= key < stop. An entity without data has none."""
    if entry.root is None:
        return
    waiting = _Waiting()
    for node in leaves(reader, entry.root, start, stop):
        waiting.take(node, start, stop)
        if len(waiting.keys) >= BATCH_RECORDS:
            yield waiting.read(reader)
            waiting = _Waiting()
    if waiting.keys:
        yield waiting.read(reader)


def read_bounded(reader: ChunkReader, entry: EntityEntry) -> Iterator[StoredBatch]:
    """All records, in batches of bounded bytes: about BATCH_BYTES by the entity's average, and each large
    record by itself."""
    if entry.root is None:
        return
    average = entry.payload_bytes // max(entry.records, 1)
    wanted = max(1, min(BATCH_RECORDS, BATCH_BYTES // max(average, 1)))
    waiting = _Waiting()
    for node in leaves(reader, entry.root):
        waiting.take(node, None, None)
        if len(waiting.keys) >= wanted:
            yield from waiting.read_apart(reader, wanted)
            waiting = _Waiting()
    yield from waiting.read_apart(reader, wanted)


class _Waiting:
    """Entries of some leaves whose payloads are still to be read."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self._ids: list[ChunkId] = []
        self._counts: list[int] = []
        self._large: list[int] = []

    def take(self, node: Node, start: bytes | None, stop: bytes | None) -> None:
        first = bisect_left(node.keys, start) if start is not None else 0
        last = bisect_left(node.keys, stop) if stop is not None else len(node.keys)
        self._large += [len(self._ids) + at - first for at in node.large if first <= at < last]
        self.keys.extend(node.keys[first:last])
        self._ids.extend(node.ids[first:last])
        self._counts.extend(node.counts[first:last])

    def read(self, reader: ChunkReader) -> StoredBatch:
        if not self._large:
            return StoredBatch(self.keys, reader.read(ChunkKind.RECORD, self._ids), self._counts)
        marks = frozenset(self._large)
        small = [chunk_id for at, chunk_id in enumerate(self._ids) if at not in marks]
        plains = iter(reader.read(ChunkKind.RECORD, small))
        payloads = [
            b"".join(reader.pieces(chunk_id)) if at in marks else next(plains)
            for at, chunk_id in enumerate(self._ids)
        ]
        return StoredBatch(self.keys, payloads, self._counts)

    def read_apart(self, reader: ChunkReader, most: int) -> Iterator[StoredBatch]:
        """In order: runs of at most so many small records, and each large one alone."""
        at = 0
        for large in (*self._large, len(self.keys)):
            for first in range(at, large, most):
                run = slice(first, min(first + most, large))
                payloads = reader.read(ChunkKind.RECORD, self._ids[run])
                yield StoredBatch(self.keys[run], payloads, self._counts[run])
            if large < len(self.keys):
                payload = b"".join(reader.pieces(self._ids[large]))
                yield StoredBatch([self.keys[large]], [payload], self._counts[large : large + 1])
            at = large + 1


def read_payload(reader: ChunkReader, leaf: Leaf) -> bytes:
    """The payload of one record."""
    if leaf.is_large:
        return b"".join(reader.pieces(leaf.id))
    return reader.read(ChunkKind.RECORD, (leaf.id,))[0]
