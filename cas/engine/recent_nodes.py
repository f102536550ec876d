"""Nodes of earlier trees, of which those that were read last are kept.

Whoever writes a tree asks for the nodes that stood there before, and so does whoever counts what changed.
"""

from collections import OrderedDict
from collections.abc import Sequence

from cas.engine.chunk_reader import ChunkReader
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind
from cas.limits import MIB

RECENT_BYTES = 1 * MIB
"""Plain bytes of the nodes that are kept, some 400 of them: more than are written and counted together."""


class RecentNodes:
    """Reads nodes, each once where it is asked for again soon: a tree's NodeReader. For one thread."""

    def __init__(self, reader: ChunkReader) -> None:
        self._reader = reader
        self._kept: OrderedDict[ChunkId, tuple[bytes, Node]] = OrderedDict()
        self._bytes = 0

    def node(self, node_id: ChunkId) -> tuple[bytes, Node]:
        """A node with its plain bytes. CorruptData."""
        return self._read((node_id,))[0]

    def nodes(self, ids: Sequence[ChunkId]) -> list[Node]:
        return [node for _, node in self._read(ids)]

    def _read(self, ids: Sequence[ChunkId]) -> list[tuple[bytes, Node]]:
        found = {node_id: self._kept[node_id] for node_id in ids if node_id in self._kept}
        missing = [node_id for node_id in ids if node_id not in found]
        plains = self._reader.read(ChunkKind.NODE, missing) if missing else []
        for node_id, plain in zip(missing, plains, strict=True):
            found[node_id] = plain, parse_node(plain, node_id.hex())
        for node_id in ids:
            self._keep(node_id, found[node_id])
        return [found[node_id] for node_id in ids]

    def _keep(self, node_id: ChunkId, found: tuple[bytes, Node]) -> None:
        if node_id not in self._kept:
            self._kept[node_id] = found
            self._bytes += len(found[0])
        self._kept.move_to_end(node_id)
        while self._bytes > RECENT_BYTES:
            _, (plain, _) = self._kept.popitem(last=False)
            self._bytes -= len(plain)
