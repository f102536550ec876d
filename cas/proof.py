"""Proving that a database holds what a version says, by reading it again.

A keyed entity is read in the order of its tree, so the bytes of its payloads, one after another,
must be the bytes that were proven by their ids when they were read from the store: two digests of
one stream. That order is what one COPY left in the table's file, so it is first read as it lies; where
that is another stream (something moved rows), it is read by its key. A bag has no order, so its tree is
computed anew and the roots are compared. All say the same: equal records. Digests cost a tenth of a tree.
"""

from collections.abc import Iterable, Sequence

from blake3 import blake3

from cas.bags import BagSorter
from cas.engine.chunk_reader import ChunkReader
from cas.errors import VerificationFailed
from cas.format.entities import EntityEntry
from cas.ids import ChunkId, ChunkKind, IdKey
from cas.record_ids import RecordIds
from cas.records.model import Entity, RecordBatch
from cas.tree.boundary import Boundary
from cas.tree.build import TreeBuilder
from cas.tree.reading import leaves


class StreamDigest:
    """The digest of an entity's payloads in key order, while they pass by."""

    def __init__(self) -> None:
        self._hash = blake3()
        self.records = 0

    def add(self, payloads: Sequence[bytes]) -> bytes:
        """Count the payloads; gives them back joined, each with a line end."""
        joined = b"\n".join(payloads) + b"\n" if payloads else b""
        self._hash.update(joined)
        self.records += len(payloads)
        return joined

    def finish(self) -> bytes:
        """32 bytes."""
        return self._hash.digest()


def is_stream(entry: EntityEntry, digest: bytes, payloads: Iterable[Sequence[bytes]]) -> bool:
    """Whether these are the records that were written, in the order in which they were. Where they are not,
    they may still be the same in another order."""
    found = StreamDigest()
    for some in payloads:
        found.add(some)
    return found.records == entry.records and found.finish() == digest


def prove_stream(entry: EntityEntry, digest: bytes, batches: Iterable[RecordBatch]) -> None:
    """Compare a fresh read, in key order, with the digest of what was written."""
    found = StreamDigest()
    for batch in batches:
        found.add(batch.payloads)
    if found.records != entry.records:
        raise _wrong(entry.entity, f"{found.records} records were found, {entry.records} belong there")
    if found.finish() != digest:
        raise _wrong(entry.entity, "its records differ from the version's")


def prove_root(entry: EntityEntry, batches: Iterable[RecordBatch], key: IdKey, boundary: Boundary) -> None:
    """Compare the tree of a fresh read with the version's."""
    if root_of(entry.entity, batches, key, boundary) != entry.root:
        raise _wrong(entry.entity, "its records differ from the version's")


def prove_as_bag(
    entry: EntityEntry,
    reader: ChunkReader,
    batches: Iterable[RecordBatch],
    key: IdKey,
    boundary: Boundary,
) -> None:
    """Compare as bags: for a table whose primary key was not restored, so that it has no order."""
    with BagSorter() as sorter:
        for leaf in leaves(reader, entry.root) if entry.root else ():
            for chunk_id, count in zip(leaf.ids, leaf.counts or [1] * len(leaf.ids), strict=True):
                sorter.add([chunk_id] * count)
        expected = _bag_root(sorter, key, boundary)
    names = RecordIds(key)
    with BagSorter() as sorter:
        for batch in batches:
            sorter.add(names.of(batch.payloads)[0])
        found = _bag_root(sorter, key, boundary)
    if found != expected:
        raise _wrong(entry.entity, "its records differ from the version's")


def root_of(entity: Entity, batches: Iterable[RecordBatch], key: IdKey, boundary: Boundary) -> ChunkId:
    """The root that these records would have, without storing anything."""
    names = RecordIds(key)
    builder = TreeBuilder(_Forgetful(key), boundary, counted=entity.is_bag)
    if not entity.is_bag:
        for batch in batches:
            ids, large = names.of(batch.payloads)
            builder.add(batch.keys, ids, (), large)
        return builder.finish().id
    with BagSorter() as sorter:
        for batch in batches:
            sorter.add(*names.of(batch.payloads))
        return _bag_root(sorter, key, boundary)


def _bag_root(sorter: BagSorter, key: IdKey, boundary: Boundary) -> ChunkId:
    builder = TreeBuilder(_Forgetful(key), boundary, counted=True)
    for chunk_id, count, is_large in sorter.entries():
        builder.add((chunk_id,), (chunk_id,), (count,), (0,) if is_large else ())
    return builder.finish().id


class _Forgetful:
    """A NodeWriter that stores nothing."""

    def __init__(self, key: IdKey) -> None:
        self._hasher = key.hasher(ChunkKind.NODE)

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        return self._hasher(plain)


def _wrong(entity: Entity, what: str) -> VerificationFailed:
    return VerificationFailed(
        f"{entity.label}: {what}",
        where="the restored database",
        hint="Do not use it. Drop it and restore again; triggers, rules or other writers may have interfered",
    )
