"""The node that stood at a place of the parent's tree: the base on which its successor is a small delta.

A changed record changes one value in one node of each level. Boundaries depend on keys, so the node
that holds the same last key in the older tree is nearly always the one that was changed.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from cas.engine.decodable import Decodable
from cas.engine.nodes_at_hand import NodesAtHand
from cas.errors import CasError
from cas.format.node import Node
from cas.ids import ChunkId
from cas.tree.reading import require_level


@dataclass(frozen=True, slots=True)
class Base:
    """A stored node, its bytes, and the depth of the frame that it lies in."""

    id: ChunkId
    plain: bytes
    depth: int


class Predecessors:
    """Finds nodes of one tree by level and key.

    depths: the place that may be built upon decides the depth, whichever copy was read. A delta that
    claimed less could not be decoded.
    """

    def __init__(self, nodes: NodesAtHand, root: ChunkId, depths: Decodable) -> None:
        self._nodes = nodes
        self._depths = depths
        self._root: ChunkId | None = root

    def find(self, places: Sequence[tuple[int, bytes]]) -> list[Base | None]:
        """For each (level, last key) the node of that level that holds or would hold the key. None where the
        tree is lower, where that node cannot be built upon, or from where on the tree cannot be read: then
        the successor is stored whole."""
        found: list[Base | None] = [None] * len(places)
        if self._root is None:
            return found
        try:
            standing = self._standing(self._root, places)
            ids = list(standing.values())
            there = self._depths.locate(ids)
            usable = [at for at, pack in enumerate(there.pack.tolist()) if pack >= 0]
            plains = self._nodes.plains([ids[at] for at in usable])
        except CasError:
            self._root = None
            return found
        positions = list(standing)
        for at, plain in zip(usable, plains, strict=True):
            found[positions[at]] = Base(ids[at], plain, int(there.depth[at]))
        return found

    def _standing(self, root: ChunkId, places: Sequence[tuple[int, bytes]]) -> dict[int, ChunkId]:
        """By position in `places`, the ids; one level of the tree after the other."""
        (top,) = self._nodes.nodes((root,))
        standing = {at: root for at, (level, _) in enumerate(places) if level == top.level}
        waiting: dict[int, Node] = {at: top for at, (level, _) in enumerate(places) if level < top.level}
        level = top.level
        while waiting:
            level -= 1
            below = {
                at: node.ids[min(bisect_left(node.keys, places[at][1]), len(node.ids) - 1)]
                for at, node in waiting.items()
            }
            standing |= {at: node_id for at, node_id in below.items() if places[at][0] == level}
            deeper = {at: node_id for at, node_id in below.items() if places[at][0] < level}
            ids = list(dict.fromkeys(deeper.values()))
            nodes = dict(zip(ids, self._nodes.nodes(ids), strict=True))
            waiting = {at: require_level(nodes[one], one, level) for at, one in deeper.items()}
        return standing
