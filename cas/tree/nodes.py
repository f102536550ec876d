"""What the tree wants from the repository, and the values that it speaks in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cas.format.node import Node
from cas.ids import ChunkId


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a key maps to. `count` is 1 unless the entity is a bag; `is_large`: id is of kind LARGE."""

    id: ChunkId
    count: int = 1
    is_large: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """A whole tree: the id of its top node and how many records are under it."""

    id: ChunkId
    records: int


class NodeReader(Protocol):
    """Gives verified nodes. CorruptData where one is missing or damaged."""

    def nodes(self, ids: Sequence[ChunkId]) -> Sequence[Node]:
        """The nodes with these ids, in their order; batches let a distant store be asked less often."""


class NodeWriter(Protocol):
    """Takes the encoded bytes of a node and gives its id; equal nodes are stored once."""

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        """`level` and `last_key` say where in the tree the node stands, so that a writer may look for
        the node that stood there before and store only what differs."""
