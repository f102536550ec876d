"""Where a live table differs from a version's tree: two ascending streams, side by side.

Equal stretches are passed over whole: two slices of keys and two of ids are compared in C, so that a
record that did not change costs its hash and little else.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cas.bags import BagSorter
from cas.differences import Difference
from cas.engine.chunk_reader import ChunkReader
from cas.format.entities import EntityEntry
from cas.format.node import Node
from cas.ids import ChunkId
from cas.limits import MIB
from cas.record_ids import RecordIds
from cas.records.model import RecordBatch
from cas.tree.nodes import Leaf
from cas.tree.reading import entries, leaf_at, leaves

Batches = Callable[[], Iterable[RecordBatch]]
"""All records of the live table, each time from the start, of one moment."""


TOGETHER = 512
"""Differences whose records are read or stored at once."""

TOGETHER_BYTES = 4 * MIB
"""Bytes of live records after which they are fewer."""


@dataclass(slots=True)
class Counts:
    """What was seen on the way; right once the comparison has ended."""

    live_records: int = 0
    live_bytes: int = 0


def compare(
    entry: EntityEntry, reader: ChunkReader, batches: Batches, ids: RecordIds, counts: Counts, *, alike: bool
) -> Iterator[Difference]:
    """Ascending by key. `alike`: equal ids mean equal records; else (columns stand in another order, or
    there are more or fewer) every key is given that both sides have."""
    if entry.entity.is_bag:
        yield from _compare_bags(entry, reader, batches, ids, counts)
        return
    walk = _Walk(leaves(reader, entry.root) if entry.root is not None else iter(()))
    for batch in batches():
        counts.live_records += len(batch.payloads)
        counts.live_bytes += sum(map(len, batch.payloads))
        yield from _compare_batch(walk, batch, ids, alike=alike)
    while walk.node is not None:
        yield Difference(walk.node.keys[walk.at], leaf_at(walk.node, walk.at), None)
        walk.advance(1)


def grouped(differences: Iterable[Difference]) -> Iterator[Sequence[Difference]]:
    """Some at a time, in their order."""
    some: list[Difference] = []
    size = 0
    for one in differences:
        some.append(one)
        size += len(one.payload or b"")
        if len(some) >= TOGETHER or size >= TOGETHER_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


class _Walk:
    """A place among the leaves of a tree: before an entry of `node`, or at the end (None)."""

    def __init__(self, nodes: Iterator[Node]) -> None:
        self._nodes = nodes
        self.node: Node | None = None
        self.at = 0
        self._following()

    def _following(self) -> None:
        self.at = 0
        self.node = next((node for node in self._nodes if node.keys), None)

    def advance(self, by: int) -> None:
        assert self.node is not None
        self.at += by
        if self.at == len(self.node.keys):
            self._following()


def _compare_batch(walk: _Walk, batch: RecordBatch, names: RecordIds, *, alike: bool) -> Iterator[Difference]:
    found, marks = names.of(batch.payloads)
    large = frozenset(marks)
    keys, ids = tuple(batch.keys), tuple(found)
    at = 0
    while at < len(keys):
        node = walk.node
        if node is None:
            yield Difference(keys[at], None, Leaf(ids[at], 1, at in large), batch.payloads[at])
            at += 1
            continue
        if alike:
            same = _equal(node, walk.at, keys, ids, at)
            if same:
                walk.advance(same)
                at += same
                continue
        key = node.keys[walk.at]
        if key < keys[at]:
            yield Difference(key, leaf_at(node, walk.at), None)
            walk.advance(1)
            continue
        leaf = Leaf(ids[at], 1, at in large)
        if key == keys[at]:
            yield Difference(key, leaf_at(node, walk.at), leaf, batch.payloads[at])
            walk.advance(1)
        else:
            yield Difference(keys[at], None, leaf, batch.payloads[at])
        at += 1


def _equal(node: Node, start: int, keys: tuple[bytes, ...], ids: tuple[ChunkId, ...], at: int) -> int:
    """How many entries from here on are the same on both sides, within the node and the batch."""
    length = min(len(node.keys) - start, len(keys) - at)
    while length and not (
        node.ids[start : start + length] == ids[at : at + length]
        and node.keys[start : start + length] == keys[at : at + length]
    ):
        length //= 2
    return length


def _compare_bags(
    entry: EntityEntry, reader: ChunkReader, batches: Batches, names: RecordIds, counts: Counts
) -> Iterator[Difference]:
    """By content. The table is read again only where it holds records that the version lacks."""
    with BagSorter() as sorter:
        for batch in batches():
            counts.live_records += len(batch.payloads)
            counts.live_bytes += sum(map(len, batch.payloads))
            sorter.add(*names.of(batch.payloads))
        found = list(_merged_bags(entry, reader, sorter))
    wanted = {d.key for d in found if _count(d.live) > _count(d.version)}
    payloads: dict[bytes, bytes] = {}
    for batch in batches() if wanted else ():
        for chunk_id, payload in zip(names.of(batch.payloads)[0], batch.payloads, strict=True):
            if chunk_id in wanted:
                payloads.setdefault(chunk_id, payload)
    for one in found:
        yield Difference(one.key, one.version, one.live, payloads.get(one.key))


def _merged_bags(entry: EntityEntry, reader: ChunkReader, sorter: BagSorter) -> Iterator[Difference]:
    stored = entries(reader, entry.root) if entry.root is not None else iter(())
    old = next(stored, None)
    for chunk_id, count, is_large in sorter.entries():
        while old is not None and old[0] < chunk_id:
            yield Difference(old[0], old[1], None)
            old = next(stored, None)
        live = Leaf(chunk_id, count, is_large)
        if old is not None and old[0] == chunk_id:
            if old[1].count != count:
                yield Difference(chunk_id, old[1], live)
            old = next(stored, None)
        else:
            yield Difference(chunk_id, None, live)
    while old is not None:
        yield Difference(old[0], old[1], None)
        old = next(stored, None)


def _count(leaf: Leaf | None) -> int:
    return 0 if leaf is None else leaf.count
