"""The nodes of a tree that is brought up to date: read once, and those that were written are kept.

Each changed node is asked for three times: its keys are looked up, it is cut anew, and it is the base of its
successor's delta. And a node that changes in many versions is a chain of deltas, each in the pack of another
version: after 50 versions of 100 changes in 100,000 records, reading the nodes that the next one changes took
ten times as long as all the rest. So what a version writes as a delta lies whole on the local disk, until the
node that takes its place is written.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from cas.engine.chunk_reader import ChunkReader
from cas.engine.node_file import NodeFile
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind
from cas.limits import MIB

NODES_AT_HAND = 2560
"""More than a batch of records may fall into; about 12 KiB each."""

WRITTEN_AT_ONCE_BYTES = 16 * MIB
"""What waits in memory for the file."""


class RecentNodes:
    """The nodes that were asked for last, with their bytes. What is known here was proven by its id."""

    def __init__(self) -> None:
        self._known: OrderedDict[ChunkId, tuple[bytes, Node]] = OrderedDict()

    def found(self, ids: Iterable[ChunkId]) -> dict[ChunkId, tuple[bytes, Node]]:
        """Those of these nodes that are known."""
        there = {node_id: self._known[node_id] for node_id in ids if node_id in self._known}
        for node_id in there:
            self._known.move_to_end(node_id)
        return there

    def put(self, pairs: Mapping[ChunkId, tuple[bytes, Node]]) -> None:
        self._known |= pairs
        while len(self._known) > NODES_AT_HAND:
            self._known.popitem(last=False)


class NodesAtHand:
    """Reads nodes through `reader`, but for those in `file`: a NodeReader, for one thread.

    What is in the file need not be what the store holds, nor readable there: whoever builds upon a node asks
    elsewhere whether it can be decoded.
    """

    def __init__(self, reader: ChunkReader, file: NodeFile, recent: RecentNodes | None = None) -> None:
        """`recent`: of who reads the same tree before or after."""
        self._reader = reader
        self._file = file
        self._recent = recent or RecentNodes()
        self._fresh: dict[ChunkId, bytes] = {}
        self._fresh_bytes = 0
        self._gone: set[ChunkId] = set()

    def nodes(self, ids: Sequence[ChunkId]) -> list[Node]:
        return [node for _, node in self._pairs(ids)]

    def plains(self, ids: Sequence[ChunkId]) -> list[bytes]:
        """The bytes of nodes, proven by their ids. CorruptData as the reader raises it."""
        return [plain for plain, _ in self._pairs(ids)]

    def _pairs(self, ids: Sequence[ChunkId]) -> list[tuple[bytes, Node]]:
        found = self._recent.found(ids)
        missing = [node_id for node_id in dict.fromkeys(ids) if node_id not in found]
        if missing:
            fresh = self._read(missing)
            self._recent.put(fresh)
            found |= fresh
        return [found[node_id] for node_id in ids]

    def _read(self, ids: Sequence[ChunkId]) -> dict[ChunkId, tuple[bytes, Node]]:
        found = self._file.found(ids)
        rest = [node_id for node_id in ids if node_id not in found]
        if rest:
            found |= zip(rest, self._reader.read(ChunkKind.NODE, rest), strict=True)
        return {node_id: (found[node_id], parse_node(found[node_id], node_id.hex())) for node_id in ids}

    def wrote(self, deltas: Mapping[ChunkId, bytes], replaced: Iterable[ChunkId]) -> None:
        """These nodes were stored, as deltas; those are no longer part of the newest tree."""
        self._gone.update(replaced)
        self._fresh |= deltas
        self._fresh_bytes += sum(map(len, deltas.values()))
        if self._fresh_bytes > WRITTEN_AT_ONCE_BYTES:
            self._file.put(self._fresh)
            self._fresh, self._fresh_bytes = {}, 0

    def keep(self) -> None:
        """What was written is the newest tree now."""
        self._gone -= self._fresh.keys()
        if self._fresh or self._gone:
            self._file.put(self._fresh, self._gone)
        self._fresh, self._fresh_bytes, self._gone = {}, 0, set()
