"""Walking the trees of many versions: each node once, each record's place once.

What was seen is remembered by the node's row in the index: its count, its last key, the stored bytes
below it and what was wrong there. So a subtree that a thousand versions share is entered once, and
yet each of them is told what is wrong in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xxhash import xxh3_64_intdigest

from cas.closure.ground import Ground
from cas.closure.needs import Needs
from cas.damage import Fault
from cas.errors import CorruptData, Unsupported
from cas.format.large import parse_large
from cas.format.malformed import malformed
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind
from cas.limits import MAX_NODE_BYTES, MAX_NODE_ENTRIES
from cas.progress import Progress
from cas.tree.boundary import MIN_NODE_ENTRIES, VALUE_BYTES, Boundary, closes

_WHOLE, _UNREADABLE = 1, 2
_NOTHING: frozenset[Fault] = frozenset()


@dataclass(frozen=True, slots=True)
class Extent:
    """Stored bytes of some chunks, each counted once, what is wrong with them, and the set of packs that hold
    them: empty where nobody asks for that."""

    stored_bytes: int = 0
    faults: frozenset[Fault] = _NOTHING
    packs: int = 0

    def __add__(self, other: "Extent") -> "Extent":
        return Extent(
            self.stored_bytes + other.stored_bytes, self.faults | other.faults, self.packs | other.packs
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring subtrees: what the node above says of them. `after`: all keys are greater than this.
    `is_last`: nothing of their level follows. For a root there is no key and no level."""

    ids: Sequence[ChunkId]
    counts: Sequence[int]
    keys: Sequence[bytes] | None
    level: int | None
    after: bytes | None
    is_last: bool


class TreeWalk:
    """Walks over one ground. Memory: 18 bytes a chunk of the index at most, and only where nodes lie; and
    what `needs` takes."""

    def __init__(
        self, ground: Ground, boundary: Boundary, progress: Progress, needs: Needs | None = None
    ) -> None:
        self._ground = ground
        self._needs = needs
        self._boundary = boundary
        self._progress = progress
        rows = len(ground.packs.index)
        self._state = np.zeros(rows, dtype=np.uint8)
        self._records = np.zeros(rows, dtype=np.int64)
        self._seals = np.zeros(rows, dtype=np.uint64)
        self._stored = np.zeros(rows, dtype=np.int64)
        self._faulty: dict[int, frozenset[Fault]] = {}
        self._label = ""
        self._counted = False
        self.nodes = 0
        """Distinct nodes that were read."""
        self.entries = 0
        """Entries of distinct leaves."""

    def tree(self, label: str, root: ChunkId, records: int, *, counted: bool) -> Extent:
        """A whole tree, which is to hold so many records. `counted` for bags."""
        self._label, self._counted = label, counted
        return self._subtrees(_Run((root,), (records,), None, None, None, is_last=True))

    def _subtrees(self, run: _Run) -> Extent:
        places, faults = self._ground.locate(ChunkKind.NODE, run.ids)
        rows = places.row.tolist()
        self._enter(run, rows)
        stored = 0
        wrong = set(faults.values())
        packs = self._packs(places.pack.tolist())
        shares = places.share.tolist()
        for at, row in enumerate(rows):
            if row < 0:
                continue
            packs |= self._below(row)
            wrong |= self._faulty.get(row, _NOTHING)
            if self._state[row] == _WHOLE:
                stored += int(self._stored[row]) + shares[at]
                wrong |= self._fit(run, at, row)
        return Extent(stored, frozenset(wrong), packs)

    def _packs(self, numbers: Sequence[int]) -> int:
        return 0 if self._needs is None else self._needs.among(numbers)

    def _below(self, row: int) -> int:
        return 0 if self._needs is None else self._needs.below(row)

    def _fit(self, run: _Run, at: int, row: int) -> frozenset[Fault]:
        """Whether a node is what the one above it says."""
        what = ""
        if self._records[row] != run.counts[at]:
            what = f"a tree of {self._records[row]} records where {run.counts[at]} belong"
        elif run.keys is not None and self._seals[row] != self._seal(run.level, run.keys[at]):
            what = "a node whose last key or level is not what the node above it says"
        if not what:
            return _NOTHING
        return frozenset((self._ground.blame(ChunkKind.NODE, run.ids[at], malformed(what)),))

    def _seal(self, level: int | None, last_key: bytes) -> int:
        return xxh3_64_intdigest(last_key, seed=2 * (level or 0) + self._counted)

    def _enter(self, run: _Run, rows: Sequence[int]) -> None:
        """Visit those of the subtrees that were never seen."""
        fresh: dict[int, int] = {}
        for at, row in enumerate(rows):
            if row >= 0 and not self._state[row]:
                fresh.setdefault(row, at)
        if not fresh:
            return
        plains = self._ground.fetch(ChunkKind.NODE, [run.ids[at] for at in fresh.values()])
        leaves: list[tuple[int, Node]] = []
        for (row, at), plain in zip(fresh.items(), plains, strict=True):
            node = plain if isinstance(plain, Fault) else self._parse(run, at, plain)
            if isinstance(node, Fault):
                self._state[row] = _UNREADABLE
                self._faulty[row] = frozenset((node,))
                continue
            self.nodes += 1
            is_last = run.is_last and at == len(run.ids) - 1
            wrong = self._split(node, run.ids[at], is_last)
            if node.level:
                after = run.keys[at - 1] if at and run.keys else run.after
                below = _Run(node.ids, node.counts, node.keys, node.level - 1, after, is_last)
                self._remember(row, node, self._subtrees(below) + Extent(0, wrong))
            else:
                self._faulty[row] = wrong
                leaves.append((row, node))
        if leaves:
            self._leaves(leaves)

    def _parse(self, run: _Run, at: int, plain: bytes) -> Node | Fault:
        node_id = run.ids[at]
        after = run.keys[at - 1] if at and run.keys else run.after
        try:
            node = parse_node(plain, node_id.hex())
            if run.level is not None and node.level != run.level:
                raise malformed(f"node of level {node.level} where level {run.level} belongs")
            if not node.level and node.keys and bool(node.counts) != self._counted:
                raise malformed("leaf of a bag in a tree with keys, or the other way round")
            if not node.level and self._counted and node.keys != node.ids:
                raise malformed("leaf of a bag whose keys are not its chunks")
            if after is not None and node.keys and node.keys[0] <= after:
                raise malformed("keys do not ascend from node to node")
        except (CorruptData, Unsupported) as error:
            return self._ground.blame(ChunkKind.NODE, node_id, error)
        return node

    def _split(self, node: Node, node_id: ChunkId, is_last: bool) -> frozenset[Fault]:
        """Whether the node ends where the rule says. If not, no record is lost, but equal data may have
        another checksum."""
        end = _end(node, self._boundary)
        if end == len(node.keys) - 1 or (end >= len(node.keys) and is_last):
            return _NOTHING
        fault = self._ground.blame(ChunkKind.NODE, node_id, malformed("a node that ends in the wrong place"))
        return frozenset((Fault(fault.finding, is_loss=False),))

    def _leaves(self, leaves: Sequence[tuple[int, Node]]) -> None:
        ids: list[ChunkId] = []
        ends: list[int] = []
        for _, node in leaves:
            if node.large:
                marks = frozenset(node.large)
                ids += [chunk_id for at, chunk_id in enumerate(node.ids) if at not in marks]
            else:
                ids += node.ids
            ends.append(len(ids))
        places, faults = self._ground.locate(ChunkKind.RECORD, ids)
        sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(places.share)))
        begin = 0
        for (row, node), end in zip(leaves, ends, strict=True):
            wrong = frozenset(faults[at] for at in range(begin, end) if at in faults) if faults else _NOTHING
            packs = 0 if self._needs is None else self._needs.among(places.pack[begin:end].tolist())
            extent = Extent(int(sums[end] - sums[begin]), wrong | self._faulty.pop(row, _NOTHING), packs)
            for position in node.large:
                extent += self.large(node.ids[position])
            self._remember(row, node, extent)
            self.entries += len(node.keys)
            self._progress.advance(self._label, node.records, 0)
            begin = end

    def _remember(self, row: int, node: Node, extent: Extent) -> None:
        self._state[row] = _WHOLE
        self._records[row] = node.records
        self._seals[row] = self._seal(node.level, node.keys[-1] if node.keys else b"")
        self._keep(row, extent)

    def _keep(self, row: int, extent: Extent) -> None:
        self._stored[row] = extent.stored_bytes
        if extent.faults:
            self._faulty[row] = extent.faults
        if self._needs is not None:
            self._needs.keep(row, extent.packs)

    def large(self, large_id: ChunkId) -> Extent:
        """A large value: the list of its pieces, and the pieces."""
        places, faults = self._ground.locate(ChunkKind.LARGE, (large_id,))
        own = Extent(int(places.share[0]), frozenset(faults.values()), self._packs(places.pack.tolist()))
        row = int(places.row[0])
        if row < 0:
            return own
        if not self._state[row]:
            self._state[row] = _WHOLE
            self._keep(row, self._pieces(large_id))
        return own + Extent(int(self._stored[row]), self._faulty.get(row, _NOTHING), self._below(row))

    def _pieces(self, large_id: ChunkId) -> Extent:
        (plain,) = self._ground.fetch(ChunkKind.LARGE, (large_id,))
        if isinstance(plain, Fault):
            return Extent(0, frozenset((plain,)))
        try:
            pieces = list(dict.fromkeys(parse_large(plain, large_id.hex()).pieces))
        except CorruptData as error:
            return Extent(0, frozenset((self._ground.blame(ChunkKind.LARGE, large_id, error),)))
        places, faults = self._ground.locate(ChunkKind.PIECE, pieces)
        held = self._packs(places.pack.tolist())
        return Extent(int(places.share.sum()), frozenset(faults.values()), held)


def _end(node: Node, boundary: Boundary) -> int:
    """The position at which a node with these first entries closes; the number of entries or more where
    it stays open."""
    keys = node.keys
    candidates = boundary.candidates(node.level, keys)
    first = next((at for at in candidates if at >= MIN_NODE_ENTRIES - 1), MAX_NODE_ENTRIES - 1)
    if sum(map(len, keys)) + VALUE_BYTES * len(keys) < MAX_NODE_BYTES:
        return min(first, MAX_NODE_ENTRIES - 1)
    size = 0
    marks = frozenset(candidates)
    for at, key in enumerate(keys):
        size += len(key) + VALUE_BYTES
        if closes(at + 1, size, at in marks):
            return at
    return len(keys)
