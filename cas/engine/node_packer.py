"""The nodes of one tree on their way into packs, a few at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cas.ids import ChunkId
from cas.tree.counting import NewLeaf

NODES_AT_ONCE = 64
"""Nodes that are looked up and packed together; about 170 KiB."""


@dataclass(frozen=True, slots=True)
class WaitingNode:
    """A node that was made and not yet looked up, and where it stands."""

    id: ChunkId
    plain: bytes
    level: int
    last_key: bytes


class NodePacker:
    """Takes the nodes of one tree, a few at a time: the tree's NodeWriter. `flush` when it is built."""

    def __init__(
        self,
        name: Callable[[bytes], ChunkId],
        store: Callable[[Sequence[WaitingNode]], None],
        watch: Callable[[Sequence[NewLeaf]], None] | None = None,
    ) -> None:
        """`name` gives a node its id, `store` packs those that are new; `watch` hears of leaves before."""
        self._name = name
        self._store = store
        self._watch = watch
        self._waiting: list[WaitingNode] = []

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = self._name(plain)
        self._waiting.append(WaitingNode(node_id, plain, level, last_key))
        if len(self._waiting) >= NODES_AT_ONCE:
            self.flush()
        return node_id

    def flush(self) -> None:
        """Hand over what waits."""
        waiting, self._waiting = self._waiting, []
        if self._watch is not None:
            self._watch([NewLeaf(node.id, node.plain) for node in waiting if node.level == 0])
        if waiting:
            self._store(waiting)
