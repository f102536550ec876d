"""An entity brought up to a later moment: the edits of its tree, from what was written since an earlier one.

What was written is given. What went is not always: then records are counted, and only where the count does
not fit are all keys read and compared with the tree's. By xmin, the records of the table are counted; change
capture counts those that statements inserted and deleted.
"""

import heapq
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from cas.differences import Difference, DifferenceSpool
from cas.engine.chunk_reader import ChunkReader
from cas.errors import Conflict
from cas.format.entities import EntityEntry
from cas.ids import ChunkId
from cas.records.model import Entity, RecordBatch
from cas.records.source import Changed, SourceSnapshot
from cas.tree.edit import TreeStore, edit_tree
from cas.tree.nodes import Leaf, NodeReader, Root
from cas.tree.reading import entries_without, lookup_ascending

_key_of = attrgetter("key")

Put = Callable[[Sequence[bytes]], tuple[list[ChunkId], list[int]]]
"""Gives records their ids, perhaps stores them; the positions of LARGE ones."""


@dataclass(slots=True)
class ChangeCounts:
    """What a reading of changes has found. `rows`: records that were read; `keys`: whether all keys were."""

    rows: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    payload_bytes: int = 0
    """By how much the sum of the payloads' lengths grows."""
    dropped: int = 0
    """Stored bytes of records that the entity no longer needs."""
    read_all_keys: bool = False


class Miscounted(Conflict):
    """The records that are there are not those that were there, and what happened since."""


class ChangeReading:
    """One entity since its base."""

    def __init__(
        self,
        entity: Entity,
        base: EntityEntry,
        reader: ChunkReader,
        nodes: NodeReader,
        put: Put,
        told: Callable[[int, int], None],
    ) -> None:
        """`nodes`: reads the nodes that keys are looked up in. `told`: of records and bytes that are read."""
        assert base.root is not None, "a base holds records"
        self._entity = entity
        self._base = base
        self._root = base.root
        self._reader = reader
        self._nodes = nodes
        self._put = put
        self._told = told
        self.counts = ChangeCounts()

    def differences(
        self, changed: Changed, snapshot: SourceSnapshot, *, with_payloads: bool
    ) -> Iterator[Difference]:
        """Where the records of the snapshot's moment differ from the base's, ascending by key. Miscounted, at
        the end, where these cannot be all."""
        with DifferenceSpool() as spool:
            for one in self._known(changed):
                spool.add(one if with_payloads else replace(one, payload=None))
            there = self._there(changed, snapshot)
            if there == self._expected:
                yield from spool
            elif there < self._expected:
                there = yield from self._with_gone(spool, snapshot)
            if there != self._expected:
                raise self._miscounted(there)

    def root(self, changed: Changed, snapshot: SourceSnapshot, store: TreeStore) -> Root:
        """The tree at the snapshot's moment. Miscounted where it cannot be that."""
        found = self.differences(changed, snapshot, with_payloads=False)
        root = edit_tree(store, self._root, ((one.key, one.live) for one in found))
        if root.records != self._expected:
            raise self._miscounted(root.records)
        return root

    def told(self, changed: Changed, version: int) -> str:
        """Why it was read so, in words, once it was."""
        told = f"written since version {version}"
        if self.counts.read_all_keys:
            why = "some records went" if changed.touched is None else "the noted ones do not account for all"
            told += f"; all keys, since {why}"
        return f"{told}; {changed.reason}" if changed.reason else told

    def _known(self, changed: Changed) -> Iterator[Difference]:
        """What is given: all that was written, and of what went what was noted."""
        if changed.touched is not None:
            yield from self._by_keys(changed)
        else:
            for batch in changed.batches:
                yield from self._written(batch)

    @property
    def _expected(self) -> int:
        """The records that are there now, by what was found."""
        return self._base.records + self.counts.inserted - self.counts.deleted

    def _there(self, changed: Changed, snapshot: SourceSnapshot) -> int:
        """The records that are there now, or fewer."""
        if changed.touched is None:
            return snapshot.count(self._entity)
        return self._base.records + changed.more

    def _with_gone(
        self, known: Iterable[Difference], snapshot: SourceSnapshot
    ) -> Generator[Difference, None, int]:
        """With those that the base has and the entity has not, by all keys of it; how many these are."""
        self.counts.read_all_keys = True
        keys = _Counted(snapshot.keys(self._entity))
        yield from heapq.merge(known, self._gone(keys, known), key=_key_of)
        for _ in keys:  # behind the last one of the base
            pass
        return keys.count

    def _gone(self, keys: Iterable[Sequence[bytes]], known: Iterable[Difference]) -> Iterator[Difference]:
        """What is not among these keys, and is not known yet."""
        noted = (one.key for one in known if one.live is None)
        next_noted = next(noted, None)
        for key, leaf in entries_without(self._nodes, self._root, keys):
            while next_noted is not None and next_noted < key:
                next_noted = next(noted, None)
            if key != next_noted:
                self._drop([leaf])
                self.counts.deleted += 1
                yield Difference(key, leaf, None)

    def _by_keys(self, changed: Changed) -> Iterator[Difference]:
        """Keys that were touched, and are not among the records that were read, are gone."""
        touched = _Touched(changed.touched or iter(()))
        for batch in changed.batches:
            gone = self._gone_of(touched, batch)
            yield from heapq.merge(self._written(batch), gone, key=_key_of)
        for rest in touched.rest():
            yield from self._deleted(rest)

    def _gone_of(self, touched: "_Touched", batch: RecordBatch) -> Iterator[Difference]:
        """Of the keys up to the batch's last, those that are not in it, as far as the base has them."""
        there = set(batch.keys)
        for run in touched.up_to(batch.keys[-1]):
            yield from self._deleted([key for key in run if key not in there])

    def _deleted(self, keys: Sequence[bytes]) -> Iterator[Difference]:
        for key, leaf in zip(keys, lookup_ascending(self._nodes, self._root, keys), strict=True):
            if leaf is not None:
                self._drop([leaf])
                self.counts.deleted += 1
                yield Difference(key, leaf, None)

    def _written(self, batch: RecordBatch) -> Iterator[Difference]:
        """Of a batch, those records that the base does not have as they are."""
        counts = self.counts
        before = lookup_ascending(self._nodes, self._root, batch.keys)
        ids, positions = self._put(batch.payloads)
        large = frozenset(positions)
        counts.rows += len(batch.keys)
        size = 0
        dropped: list[Leaf] = []
        found: list[Difference] = []
        for at, (key, old, chunk_id) in enumerate(zip(batch.keys, before, ids, strict=True)):
            size += len(batch.payloads[at])
            leaf = Leaf(chunk_id, 1, at in large)
            if leaf == old:
                continue
            counts.payload_bytes += len(batch.payloads[at])
            if old is None:
                counts.inserted += 1
            else:
                counts.updated += 1
                dropped.append(old)
            found.append(Difference(key, old, leaf, batch.payloads[at]))
        self._drop(dropped)
        self._told(len(batch.keys), size)
        return iter(found)

    def _drop(self, leaves: Sequence[Leaf]) -> None:
        """Records that the entity no longer has."""
        self.counts.payload_bytes -= sum(self._reader.lengths(leaves))
        self.counts.dropped += self._reader.stored_bytes([leaf.id for leaf in leaves])

    def _miscounted(self, there: int) -> Miscounted:
        return Miscounted(
            f"{there:,} records are there, {self._expected:,} were expected from what was written since",
            where=self._entity.label,
        )


class _Counted:
    """Keys in runs, counted as they are taken."""

    def __init__(self, runs: Iterable[Sequence[bytes]]) -> None:
        self._runs = iter(runs)
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[bytes]]:
        return self

    def __next__(self) -> Sequence[bytes]:
        run = next(self._runs)
        self.count += len(run)
        return run


class _Touched:
    """Ascending keys, taken up to a bound."""

    def __init__(self, runs: Iterator[Sequence[bytes]]) -> None:
        self._runs = runs
        self._waiting: Sequence[bytes] = ()

    def up_to(self, last: bytes) -> Iterator[Sequence[bytes]]:
        """In runs; to be read to its end."""
        while True:
            if not self._waiting:
                run = next(self._runs, None)
                if run is None:
                    return
                self._waiting = run
            end = bisect_right(self._waiting, last)
            taken, self._waiting = self._waiting[:end], self._waiting[end:]
            if taken:
                yield taken
            if self._waiting:
                return

    def rest(self) -> Iterator[Sequence[bytes]]:
        if self._waiting:
            yield self._waiting
        yield from self._runs
