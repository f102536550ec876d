"""Applying sorted edits to a tree: the same root as building it anew, at the cost of the edits.

Level by level: a node that an edit touches is cut again from its start, and cutting goes on until
an old node's end coincides with a new one's; from there on the old nodes are right as they are.
What was replaced on one level is the list of edits for the level above.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from cas.format.node import Node, encode_node, parse_node
from cas.ids import ChunkId
from cas.tree.boundary import Boundary
from cas.tree.build import build_above
from cas.tree.nodes import Leaf, NodeReader, NodeWriter, Root
from cas.tree.reading import nodes_of, read_node
from cas.tree.splitting import Splitter

Edit = tuple[bytes, Leaf | None]
"""A key and what it shall map to; None removes it. Removing an absent key changes nothing."""


EDITS_AHEAD = 1024
"""Edits whose nodes are read together, before they are read one by one."""


@dataclass(frozen=True, slots=True)
class TreeStore:
    """Where an edited tree is read from and written to, and where its nodes end. A reader that remembers the
    nodes that `EDITS_AHEAD` edits touch reads them together."""

    reader: NodeReader
    writer: NodeWriter
    boundary: Boundary


def edit_tree(store: TreeStore, root: ChunkId, edits: Iterable[Edit], *, counted: bool = False) -> Root:
    """The tree after the edits, whose keys ascend strictly. `counted` for bags. What is written need not be
    readable yet."""
    nodes_of = _LastNodes(store.reader, store.writer)
    store = TreeStore(nodes_of, nodes_of, store.boundary)
    top = read_node(store.reader, root)
    changes: Iterable[Edit] = edits
    for level in range(top.level + 1):
        replaced = _edit_level(store, top, level, changes, counted or level > 0)
        if not replaced:
            return Root(root, top.records)
        changes = sorted(replaced.items())
    nodes = [(key, leaf.id, leaf.count) for key, leaf in changes if leaf is not None]
    if not nodes:
        return Root(store.writer.put_node(encode_node(0, (), ()), 0, b""), 0)
    if len(nodes) > 1:
        return build_above(store.writer, store.boundary, top.level + 1, nodes)
    return _lowest(store.reader, Root(nodes[0][1], nodes[0][2]))


class _LastNodes:
    """Reads a tree, and of what was just written the last node of each level: where a tree shrinks to one
    node of a level, that is the one."""

    def __init__(self, reader: NodeReader, writer: NodeWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last: dict[int, tuple[ChunkId, bytes]] = {}

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = self._writer.put_node(plain, level, last_key)
        self._last[level] = (node_id, plain)
        return node_id

    def nodes(self, ids: Sequence[ChunkId]) -> Sequence[Node]:
        fresh = dict(self._last.values())
        if not any(one in fresh for one in ids):
            return self._reader.nodes(ids)
        return [
            parse_node(fresh[one], one.hex()) if one in fresh else self._reader.nodes((one,))[0]
            for one in ids
        ]


def _lowest(reader: NodeReader, root: Root) -> Root:
    """The tree stops at one node: tops that only point to one node below are not part of it."""
    node = read_node(reader, root.id)
    while node.level and len(node.ids) == 1:
        root = Root(node.ids[0], node.counts[0])
        node = read_node(reader, root.id, node.level - 1)
    return root


def _edit_level(
    store: TreeStore, top: Node, level: int, edits: Iterable[Edit], counted: bool
) -> dict[bytes, Leaf | None]:
    """What happened to the nodes of one level: last key -> the new node, or None where one went."""
    replaced: dict[bytes, Leaf | None] = {}

    def take(last_key: bytes, node: ChunkId, records: int) -> None:
        replaced[last_key] = Leaf(node, records)

    splitter = Splitter(store.writer, store.boundary, level, counted, take)
    cursor = _Cursor(store.reader, top, level)
    queue = _Queue(edits, lambda keys: nodes_of(store.reader, top, keys, level))
    while queue.head is not None:
        node, is_last = cursor.seek(queue.head[0])
        while True:
            if node.keys:
                replaced.setdefault(node.keys[-1], None)
            _merge(splitter, node, queue, is_last, counted)
            if is_last:
                splitter.finish()
                break
            if splitter.is_at_boundary:
                break
            node, is_last = cursor.following()
    return replaced


def _merge(splitter: Splitter, node: Node, queue: "_Queue", is_last: bool, counted: bool) -> None:
    """Feed the node's entries with the edits that fall into it."""
    position = 0
    while position < len(node.keys) or (is_last and queue.head is not None):
        head = queue.head
        if head is not None and not is_last and head[0] > node.keys[-1]:
            head = None
        end = len(node.keys) if head is None else bisect_left(node.keys, head[0], position)
        if end > position:
            large = [mark - position for mark in node.large if position <= mark < end]
            counts = node.counts[position:end] if counted else ()
            splitter.extend(node.keys[position:end], node.ids[position:end], counts, large)
            position = end
        if head is None:
            continue
        key, leaf = head
        if position < len(node.keys) and node.keys[position] == key:
            position += 1
        if leaf is not None:
            splitter.extend(
                (key,), (leaf.id,), (leaf.count,) if counted else (), (0,) if leaf.is_large else ()
            )
        queue.advance()


class _Queue:
    """The edits with a look at the next ones; refuses keys that do not ascend."""

    def __init__(self, edits: Iterable[Edit], expect: Callable[[Sequence[bytes]], object]) -> None:
        """expect: told the keys of the edits that come next."""
        self._edits = iter(edits)
        self._expect = expect
        self._ahead: deque[Edit] = deque()
        self._look_ahead()

    @property
    def head(self) -> Edit | None:
        return self._ahead[0] if self._ahead else None

    def advance(self) -> None:
        key, _ = self._ahead.popleft()
        if not self._ahead:
            self._look_ahead()
        if self._ahead and self._ahead[0][0] <= key:
            raise ValueError("edits do not ascend strictly")

    def _look_ahead(self) -> None:
        self._ahead.extend(islice(self._edits, EDITS_AHEAD))
        if len(self._ahead) > 1:
            self._expect([key for key, _ in self._ahead])


class _Cursor:
    """A place among the nodes of one level. Moves forward only."""

    def __init__(self, reader: NodeReader, top: Node, level: int) -> None:
        self._reader = reader
        self._level = level
        self._path: list[tuple[Node, int]] = []
        self._top = top

    def seek(self, key: bytes) -> tuple[Node, bool]:
        """The node into which the key falls, and whether it is the level's last one."""
        self._path = []
        node = self._top
        while node.level > self._level:
            position = min(bisect_left(node.keys, key), len(node.keys) - 1)
            self._path.append((node, position))
            node = read_node(self._reader, node.ids[position], node.level - 1)
        return node, self._is_last

    @property
    def _is_last(self) -> bool:
        return all(position == len(node.keys) - 1 for node, position in self._path)

    def following(self) -> tuple[Node, bool]:
        """The next node of the level; the caller knows that there is one."""
        while self._path[-1][1] == len(self._path[-1][0].keys) - 1:
            self._path.pop()
        node, position = self._path.pop()
        self._path.append((node, position + 1))
        node = read_node(self._reader, node.ids[position + 1], node.level - 1)
        while node.level > self._level:
            self._path.append((node, 0))
            node = read_node(self._reader, node.ids[0], node.level - 1)
        return node, self._is_last
