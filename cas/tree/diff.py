"""The differences of two trees, ascending by key, at the cost of the differences.

Two walks go side by side. Where both are about to enter subtrees with one id, both skip them: equal
id, equal bytes. Otherwise the higher subtree is opened, or both where they are equally high.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cas.format.node import Node
from cas.ids import ChunkId
from cas.tree.nodes import Leaf, NodeReader
from cas.tree.reading import leaf_at, read_node


@dataclass(frozen=True, slots=True)
class Change:
    """One key whose value differs. None on the left: only in the right tree, and the other way round."""

    key: bytes
    left: Leaf | None
    right: Leaf | None


def diff_trees(reader: NodeReader, left: ChunkId, right: ChunkId) -> Iterator[Change]:
    """All keys that map to something else in the two trees of one repository."""
    if left == right:
        return
    a, b = _Walk(reader, left), _Walk(reader, right)
    while not (a.is_done and b.is_done):
        if not a.is_done and not b.is_done and a.subtree and b.subtree and a.subtree == b.subtree:
            a.skip()
            b.skip()
        elif a.height > 0 or b.height > 0:
            height = max(a.height, b.height)
            for walk in (a, b):
                if walk.height == height:
                    walk.open()
        else:
            change = _step(a, b)
            if change is not None:
                yield change


def _step(a: "_Walk", b: "_Walk") -> Change | None:
    """Both walks stand on entries, or one is done: compare and move on."""
    left = None if a.is_done else a.entry()
    right = None if b.is_done else b.entry()
    if right is None or (left is not None and left[0] < right[0]):
        assert left is not None
        a.skip()
        return Change(left[0], left[1], None)
    if left is None or right[0] < left[0]:
        b.skip()
        return Change(right[0], None, right[1])
    a.skip()
    b.skip()
    return None if left[1] == right[1] else Change(left[0], left[1], right[1])


class _Walk:
    """A position in one tree: before a subtree that is not opened yet, or before an entry."""

    def __init__(self, reader: NodeReader, root: ChunkId) -> None:
        self._reader = reader
        self._root: ChunkId | None = root
        self._root_height = read_node(reader, root).level + 1
        self._stack: list[tuple[Node, int]] = []

    @property
    def is_done(self) -> bool:
        return self._root is None and not self._stack

    @property
    def height(self) -> int:
        """0 before an entry or at the end, 1 before a leaf node, and so on."""
        if self._root is not None:
            return self._root_height
        return self._stack[-1][0].level if self._stack else 0

    @property
    def subtree(self) -> ChunkId | None:
        """The id of the subtree ahead; None before an entry."""
        if self._root is not None:
            return self._root
        node, position = self._stack[-1]
        return node.ids[position] if node.level else None

    def entry(self) -> tuple[bytes, Leaf]:
        node, position = self._stack[-1]
        return node.keys[position], leaf_at(node, position)

    def open(self) -> None:
        """Enter the subtree ahead."""
        if self._root is not None:
            node = read_node(self._reader, self._root)
            self._root = None
        else:
            above, position = self._stack[-1]
            node = read_node(self._reader, above.ids[position], above.level - 1)
            self._advance()
        if node.keys:
            self._stack.append((node, 0))

    def skip(self) -> None:
        """Pass the subtree or entry ahead."""
        if self._root is not None:
            self._root = None
        else:
            self._advance()

    def _advance(self) -> None:
        node, position = self._stack.pop()
        if position + 1 < len(node.keys):
            self._stack.append((node, position + 1))
