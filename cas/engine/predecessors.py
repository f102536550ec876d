"""The node that stood at a place of the parent's tree: the base on which its successor is a small delta.

A changed record changes one value in one node of each level. Boundaries depend on keys, so the node
that holds the same last key in the older tree is nearly always the one that was changed.
"""

from bisect import bisect_left
from dataclasses import dataclass

from cas.engine.decodable import Decodable
from cas.engine.recent_nodes import RecentNodes
from cas.errors import CasError, CorruptData
from cas.format.node import Node
from cas.ids import ChunkId


@dataclass(frozen=True, slots=True)
class Base:
    """A stored node, its bytes, and the depth of the frame that it lies in."""

    id: ChunkId
    plain: bytes
    depth: int


class Predecessors:
    """Finds nodes of one tree by level and key. Cheap where keys ascend: one node a level is kept.

    depths: the place that may be built upon decides the depth, whichever copy was read. A delta that
    claimed less could not be decoded.
    """

    def __init__(self, nodes: RecentNodes, root: ChunkId, depths: Decodable) -> None:
        self._nodes = nodes
        self._depths = depths
        self._root: ChunkId | None = root
        self._kept: dict[int, tuple[Base, Node]] = {}
        self._height = -1

    def find(self, level: int, last_key: bytes) -> Base | None:
        """The node of `level` that holds or would hold the key; None where the tree is lower, or cannot
        be read: then the successor is stored whole."""
        if self._root is None:
            return None
        try:
            base, node = self._read(self._height, self._root)
            self._height = node.level
            if level > node.level:
                return None
            while node.level > level and node.ids:
                position = min(bisect_left(node.keys, last_key), len(node.ids) - 1)
                base, node = self._read(node.level - 1, node.ids[position])
        except CasError:
            self._root = None
            return None
        return base

    def _read(self, level: int, node_id: ChunkId) -> tuple[Base, Node]:
        kept = self._kept.get(level)
        if kept is not None and kept[0].id == node_id:
            return kept
        places = self._depths.locate((node_id,))
        if places.pack[0] < 0:
            raise CorruptData("no copy of a node can be built upon", kind="missing", where=node_id.hex())
        plain, node = self._nodes.node(node_id)
        found = Base(node_id, plain, int(places.depth[0])), node
        self._kept[found[1].level] = found
        return found
