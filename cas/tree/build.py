"""Building a tree from a sorted stream: one open node per level, whatever the number of records."""

from collections.abc import Sequence

from cas.format.node import encode_node
from cas.ids import ChunkId
from cas.tree.boundary import Boundary
from cas.tree.nodes import NodeWriter, Root
from cas.tree.splitting import Splitter


class TreeBuilder:
    """Add ascending entries in batches, then `finish`. `counted` for bags."""

    def __init__(self, writer: NodeWriter, boundary: Boundary, *, counted: bool = False) -> None:
        self._writer = writer
        self._leaves = _Level(writer, boundary, 0, counted)

    def add(
        self,
        keys: Sequence[bytes],
        ids: Sequence[bytes],
        counts: Sequence[int] = (),
        large: Sequence[int] = (),
    ) -> None:
        """Entries whose keys ascend strictly from call to call; `large` holds positions in the batch."""
        self._leaves.splitter.extend(keys, ids, counts, large)

    def finish(self) -> Root:
        """The root. Equal entries give an equal root, whatever the batches were."""
        return self._leaves.finish() or Root(self._writer.put_node(encode_node(0, (), ()), 0, b""), 0)


class _Level:
    """One level under construction; the level above comes into being with the second node."""

    def __init__(self, writer: NodeWriter, boundary: Boundary, level: int, counted: bool) -> None:
        self._writer = writer
        self._boundary = boundary
        self._level = level
        self._first: tuple[bytes, ChunkId, int] | None = None
        self._above: _Level | None = None
        self.splitter = Splitter(writer, boundary, level, counted, self._take)

    def _take(self, last_key: bytes, node: ChunkId, records: int) -> None:
        if self._above is None and self._first is None:
            self._first = (last_key, node, records)
            return
        if self._above is None:
            assert self._first is not None
            self._above = _Level(self._writer, self._boundary, self._level + 1, counted=True)
            self._above.add(*self._first)
        self._above.add(last_key, node, records)

    def add(self, last_key: bytes, node: ChunkId, records: int) -> None:
        self.splitter.extend((last_key,), (node,), (records,))

    def finish(self) -> Root | None:
        """The root of what was added; None where nothing was."""
        self.splitter.finish()
        if self._above is not None:
            return self._above.finish()
        return Root(self._first[1], self._first[2]) if self._first else None


def build_above(
    writer: NodeWriter, boundary: Boundary, level: int, nodes: Sequence[tuple[bytes, ChunkId, int]]
) -> Root:
    """The root over finished nodes of the level below `level`; at least two of them."""
    top = _Level(writer, boundary, level, counted=True)
    for last_key, node, records in nodes:
        top.add(last_key, node, records)
    root = top.finish()
    assert root is not None
    return root
