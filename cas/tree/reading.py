"""Looking up one key, and walking the leaves of a range."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

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


def lookup_ascending(reader: NodeReader, root: ChunkId, keys: Sequence[bytes]) -> list[Leaf | None]:
    """As `lookup` for keys that ascend strictly. Reads the nodes of a level together."""
    found: list[Leaf | None] = [None] * len(keys)
    for node, begin, end in nodes_of(reader, read_node(reader, root), keys):
        for at in range(begin, end):
            position = bisect_left(node.keys, keys[at])
            if position < len(node.keys) and node.keys[position] == keys[at]:
                found[at] = leaf_at(node, position)
    return found


def nodes_of(
    reader: NodeReader, top: Node, keys: Sequence[bytes], level: int = 0
) -> list[tuple[Node, int, int]]:
    """The nodes of a level into which these keys fall, each with the range of those that do, as (node, begin,
    end). Keys ascend strictly; those behind the last one of the tree fall into none."""
    here = [(top, 0, len(keys))]
    for below in range(top.level - 1, level - 1, -1):
        falls = [
            (node.ids[position], begin, end)
            for node, first, stop in here
            for position, begin, end in _falls(node, keys, first, stop)
        ]
        ids = [node_id for node_id, _, _ in falls]
        nodes = reader.nodes(ids) if ids else ()
        here = [
            (require_level(node, node_id, below), begin, end)
            for node, (node_id, begin, end) in zip(nodes, falls, strict=True)
        ]
    return here


def _falls(node: Node, keys: Sequence[bytes], begin: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Where the keys from `begin` to `stop` fall in an upper node: (position, begin, end)."""
    while begin < stop:
        position = bisect_left(node.keys, keys[begin])
        if position == len(node.keys):
            return
        end = bisect_right(keys, node.keys[position], begin, stop)
        yield position, begin, end
        begin = end


def entries_without(
    reader: NodeReader, root: ChunkId, keys: Iterable[Sequence[bytes]]
) -> Iterator[tuple[bytes, Leaf]]:
    """The entries of a tree whose keys are not among these, which ascend strictly from run to run."""
    runs = iter(keys)
    run: Sequence[bytes] = ()
    at = 0
    for node in leaves(reader, root):
        there: set[bytes] = set()
        while node.keys:
            end = bisect_right(run, node.keys[-1], at)
            there.update(set(node.keys).intersection(run[at:end]))
            at = end
            if at < len(run):
                break
            following = next(runs, None)
            if following is None:
                break
            run, at = following, 0
        if len(there) == len(node.keys):
            continue
        for position, key in enumerate(node.keys):
            if key not in there:
                yield key, leaf_at(node, position)


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
