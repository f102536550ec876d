"""Looking up one key, and walking the leaves of a range."""

from bisect import bisect_left
from collections.abc import Iterator

from cas.format.malformed import malformed
from cas.format.node import Node
from cas.ids import ChunkId
from cas.tree.nodes import Leaf, NodeReader


def read_node(reader: NodeReader, node_id: ChunkId, level: int | None = None) -> Node:
    """One node; with `level`, one of this level only, since a tree whose levels do not descend by one
    is no tree (and could be endless)."""
    (node,) = reader.nodes((node_id,))
    return require_level(node, node_id, level)


def require_level(node: Node, node_id: ChunkId, level: int | None) -> Node:
    if level is not None and node.level != level:
        raise malformed(f"node of level {node.level} where level {level} belongs", node_id.hex())
    return node


def leaf_at(node: Node, position: int) -> Leaf:
    """The value of one entry of a leaf node."""
    count = node.counts[position] if node.counts else 1
    return Leaf(node.ids[position], count, position in node.large)


def lookup(reader: NodeReader, root: ChunkId, key: bytes) -> Leaf | None:
    """What the key maps to, or None. Reads one node a level."""
    node = read_node(reader, root)
    while True:
        position = bisect_left(node.keys, key)
        if position == len(node.keys):
            return None
        if node.level == 0:
            return leaf_at(node, position) if node.keys[position] == key else None
        node = read_node(reader, node.ids[position], node.level - 1)


def leaves(
    reader: NodeReader, root: ChunkId, start: bytes | None = None, stop: bytes | None = None
) -> Iterator[Node]:
    """The leaf nodes that may hold keys k with start <= k < stop, ascending. The first and the last
    may hold others too. Reads the children of one upper node as one batch."""
    yield from _descend(reader, read_node(reader, root), start, stop)


def _descend(reader: NodeReader, node: Node, start: bytes | None, stop: bytes | None) -> Iterator[Node]:
    if node.level == 0:
        yield node
        return
    first = 0 if start is None else bisect_left(node.keys, start)
    last = len(node.keys)
    if stop is not None:
        last = min(last, bisect_left(node.keys, stop) + 1)
    wanted = node.ids[first:last]
    for child_id, child in zip(wanted, reader.nodes(wanted), strict=True):
        yield from _descend(reader, require_level(child, child_id, node.level - 1), start, stop)


def entries(
    reader: NodeReader, root: ChunkId, start: bytes | None = None, stop: bytes | None = None
) -> Iterator[tuple[bytes, Leaf]]:
    """All entries with start <= key < stop, ascending."""
    for node in leaves(reader, root, start, stop):
        for position, key in enumerate(node.keys):
            if (start is None or key >= start) and (stop is None or key < stop):
                yield key, leaf_at(node, position)
