"""How many records of a tree that is being built differ from an earlier one, leaf by leaf.

The new leaves come in their order, some at a time, and are not read again. Of the earlier tree those leaves
are read that the new one does not have, many together; what ends before a new leaf begins is counted unread.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import ne

from cas.format.malformed import malformed
from cas.format.node import EMPTY_LEAF, Node, parse_node
from cas.ids import ChunkId
from cas.tree.nodes import NodeReader
from cas.tree.reading import require_level
from cas.tree.unread_leaves import UnreadLeaves, unread_leaves

READ_AT_ONCE = 64
"""Leaves of the earlier tree that are asked for together; about 170 KiB."""


@dataclass(slots=True)
class RecordCounts:
    """Records by what became of them since the earlier tree. Those of a bag are not updated: of equal ones
    there are more, or fewer."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


class NewLeaf:
    """A leaf of the tree that is being built."""

    def __init__(self, node_id: ChunkId, plain: bytes) -> None:
        self.id = node_id
        self._plain = plain

    @cached_property
    def node(self) -> Node:
        return parse_node(self._plain, self.id.hex())


class LeafCounter:
    """Give it all leaves of the new tree, then `finish`. CorruptData where the earlier one cannot be read."""

    def __init__(self, reader: NodeReader, root: ChunkId) -> None:
        """`root`: of the earlier tree."""
        self._reader = reader
        self._ahead = unread_leaves(reader, root)
        self._rest = _Run(EMPTY_LEAF, 0)
        """What is left of the leaf before `_ahead`."""
        self._coming: dict[ChunkId, Node] = {}
        """Leaves that were read and not yet compared."""
        self._counts = RecordCounts()

    def leaves(self, some: Sequence[NewLeaf]) -> None:
        """The next leaves of the new tree."""
        needed = _needed(some, self._ahead.copy(), self._rest.last if self._rest else None)
        for new in some:
            if self._ahead.id == new.id:
                self._ahead.advance()
            else:
                self._leaf(_Run(new.node, 0), needed)

    def _leaf(self, left: "_Run", needed: Iterator[ChunkId]) -> None:
        while left:
            if not self._rest:
                self._counts.deleted += self._ahead.skip_before(left.first)
                if self._ahead.id is None:
                    self._counts.inserted += left.records
                    return
                self._rest = _Run(self._read(self._ahead.id, needed), 0)
                self._ahead.advance()
            last = min(left.last, self._rest.last)
            earlier, self._rest = self._rest.split(last)
            new, left = left.split(last)
            self._compare(earlier, new)

    def _read(self, node_id: ChunkId, needed: Iterator[ChunkId]) -> Node:
        """The leaf ahead, which is the next of those that are needed."""
        if node_id not in self._coming:
            ids = list(islice(needed, READ_AT_ONCE))
            self._coming = dict(zip(ids, self._reader.nodes(ids), strict=True))
        node = require_level(self._coming.pop(node_id), node_id, 0)
        if node.keys[-1:] != (self._ahead.last_key,):
            raise malformed("a leaf does not end where the node above it says", node_id.hex())
        return node

    def finish(self) -> RecordCounts:
        """What is left of the earlier tree went."""
        self._counts.deleted += self._rest.records + self._ahead.skip_all()
        self._rest = _Run(EMPTY_LEAF, 0)
        return self._counts

    def _compare(self, earlier: "_Run", new: "_Run") -> None:
        """All entries that the two trees have between two keys."""
        counts = self._counts
        if not earlier.node.counts and not new.node.counts and earlier.keys == new.keys:
            counts.updated += sum(map(ne, earlier.ids, new.ids))
            return
        old, now = earlier.entries(), new.entries()
        for key in old.keys() & now.keys():
            (old_id, before), (new_id, after) = old.pop(key), now.pop(key)
            counts.updated += old_id != new_id
            counts.inserted += max(after - before, 0)
            counts.deleted += max(before - after, 0)
        counts.inserted += sum(count for _, count in now.values())
        counts.deleted += sum(count for _, count in old.values())


def _needed(some: Sequence[NewLeaf], ahead: UnreadLeaves, rest: bytes | None) -> Iterator[ChunkId]:
    """The leaves of the earlier tree that are read for these, in their order. `rest`: the last key of the
    leaf that was read and not yet passed."""
    for new in some:
        if ahead.id == new.id:
            ahead.advance()
            continue
        keys = new.node.keys
        begin = 0 if rest is None else bisect_right(keys, rest)
        if begin < len(keys):
            rest = None
        while begin < len(keys):
            ahead.skip_before(keys[begin])
            if ahead.id is None:
                break
            yield ahead.id
            begin = bisect_right(keys, ahead.last_key, begin)
            rest = ahead.last_key if ahead.last_key > keys[-1] else None
            ahead.advance()
        if rest is not None and keys and rest <= keys[-1]:
            rest = None


class _Run:
    """Neighbouring entries of a leaf; true where there are any."""

    def __init__(self, node: Node, begin: int, end: int | None = None) -> None:
        self.node = node
        self._begin = begin
        self._end = len(node.keys) if end is None else end

    def __bool__(self) -> bool:
        return self._begin < self._end

    @property
    def first(self) -> bytes:
        return self.node.keys[self._begin]

    @property
    def last(self) -> bytes:
        return self.node.keys[self._end - 1]

    @property
    def keys(self) -> tuple[bytes, ...]:
        return self.node.keys[self._begin : self._end]

    @property
    def ids(self) -> tuple[ChunkId, ...]:
        return self.node.ids[self._begin : self._end]

    @property
    def counts(self) -> Sequence[int]:
        return self.node.counts[self._begin : self._end] or [1] * (self._end - self._begin)

    @property
    def records(self) -> int:
        return sum(self.counts)

    def split(self, last: bytes) -> tuple["_Run", "_Run"]:
        """Up to this key, and behind it."""
        at = bisect_right(self.node.keys, last, self._begin, self._end)
        return _Run(self.node, self._begin, at), _Run(self.node, at, self._end)

    def entries(self) -> dict[bytes, tuple[ChunkId, int]]:
        """By key: the record, and how many equal ones there are."""
        return dict(zip(self.keys, zip(self.ids, self.counts, strict=True), strict=True))
