"""A node store in memory that passes every node through the real encoding."""

from collections.abc import Iterable, Mapping, Sequence

from cas.errors import CorruptData
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind, IdKey
from cas.tree.boundary import Boundary
from cas.tree.build import TreeBuilder
from cas.tree.edit import TreeStore
from cas.tree.nodes import Leaf, Root

KEY = IdKey(bytes(range(32)))


class MemoryNodes:
    """Reader and writer at once; counts how many nodes were asked for and how many were written."""

    def __init__(self) -> None:
        self.plain: dict[ChunkId, bytes] = {}
        self.reads = 0
        self.writes = 0
        self._id = KEY.hasher(ChunkKind.NODE)

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = self._id(plain)
        self.writes += node_id not in self.plain
        self.plain[node_id] = plain
        return node_id

    def nodes(self, ids: Sequence[ChunkId]) -> Sequence[Node]:
        self.reads += len(ids)
        missing = [node_id for node_id in ids if node_id not in self.plain]
        if missing:
            raise CorruptData("node is missing", kind="missing", where=missing[0].hex())
        return [parse_node(self.plain[node_id]) for node_id in ids]


def store_with(nodes: MemoryNodes, bits: int = 3) -> TreeStore:
    return TreeStore(nodes, nodes, Boundary.of(KEY, bits))


def build(store: TreeStore, content: Mapping[bytes, Leaf], *, counted: bool = False, batch: int = 7) -> Root:
    """The tree of this content, fed in batches."""
    builder = TreeBuilder(store.writer, store.boundary, counted=counted)
    rows = sorted(content.items())
    for run in batches(rows, batch):
        builder.add(
            [key for key, _ in run],
            [leaf.id for _, leaf in run],
            [leaf.count for _, leaf in run] if counted else (),
            [at for at, (_, leaf) in enumerate(run) if leaf.is_large],
        )
    return builder.finish()


def batches(rows: Sequence[tuple[bytes, Leaf]], size: int) -> Iterable[Sequence[tuple[bytes, Leaf]]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def leaf(number: int, count: int = 1, *, is_large: bool = False) -> Leaf:
    """A value that differs for each number."""
    return Leaf(ChunkId(number.to_bytes(32, "big")), count, is_large)
