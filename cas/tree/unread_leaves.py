"""A place among the leaves of a tree, of which only the nodes above them are read."""

from collections.abc import Iterable

from cas.format.node import Node
from cas.ids import ChunkId
from cas.tree.nodes import NodeReader
from cas.tree.reading import read_node


class UnreadLeaves:
    """Stands before a leaf, or at the end. Nodes are read when they are needed; CorruptData then."""

    def __init__(self, reader: NodeReader, way: Iterable[tuple[Node, int]]) -> None:
        """`way`: the node of each level, from the top, and what lies ahead in it."""
        self._reader = reader
        self._stack = list(way)

    def copy(self) -> "UnreadLeaves":
        """Another one at the same place."""
        return UnreadLeaves(self._reader, self._stack)

    @property
    def id(self) -> ChunkId | None:
        """Of the leaf ahead; None at the end."""
        while self._stack and self._stack[-1][0].level > 1:
            self._open()
        if not self._stack:
            return None
        node, at = self._stack[-1]
        return node.ids[at]

    @property
    def last_key(self) -> bytes:
        """Of the leaf ahead, whose `id` was asked for."""
        node, at = self._stack[-1]
        return node.keys[at]

    def advance(self) -> None:
        """Pass what is ahead: the leaf whose `id` was asked for, else a whole subtree."""
        node, at = self._stack.pop()
        if at + 1 < len(node.keys):
            self._stack.append((node, at + 1))

    def skip_before(self, key: bytes) -> int:
        """Pass all leaves that end before this key; the records in them. Subtrees are passed unread."""
        skipped = 0
        while self._stack:
            node, at = self._stack[-1]
            if node.keys[at] < key:
                skipped += node.counts[at]
                self.advance()
            elif node.level > 1:
                self._open()
            else:
                break
        return skipped

    def skip_all(self) -> int:
        """Pass all leaves; the records in them."""
        skipped = sum(sum(node.counts[at:]) for node, at in self._stack)
        self._stack = []
        return skipped

    def _open(self) -> None:
        """Enter the subtree ahead."""
        above, at = self._stack[-1]
        node = read_node(self._reader, above.ids[at], above.level - 1)
        self.advance()
        self._stack.append((node, 0))


def unread_leaves(reader: NodeReader, root: ChunkId) -> UnreadLeaves:
    """Before the first leaf of a tree."""
    node = read_node(reader, root)
    if not node.level:
        node = Node(1, node.keys[-1:], (root,), (node.records,))
    return UnreadLeaves(reader, [(node, 0)] if node.keys else [])
