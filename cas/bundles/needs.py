"""What a version needs, chunk by chunk in the order of its keys, without what an earlier version has.

A walk that may be made again: it holds the way down a tree, and never a list of all ids.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cas.contents import Contents
from cas.engine.chunk_reader import ChunkReader
from cas.format.document import ValueRef
from cas.format.entities import EntityEntry, entity_order
from cas.format.large import parse_large
from cas.format.node import Node
from cas.ids import ChunkId, ChunkKind
from cas.tree.reading import read_node, require_level

PIECES_AT_ONCE = 8
"""Pieces of a large value that are asked for together, a MiB each."""


@dataclass(frozen=True, slots=True)
class Need:
    """Chunks of one kind. `label`, `records`: the entity to which they belong, and how many of its records
    are among them."""

    kind: ChunkKind
    ids: Sequence[ChunkId]
    label: str = ""
    records: int = 0


def needs_of(
    contents: Contents, entries: Sequence[EntityEntry], before: Contents | None, *, with_list: bool
) -> Iterator[Need]:
    """All chunks of these entities, and of the schema; `with_list`: and of the version's list of entities.
    `before`: what can be told by comparing trees and references to be in that version is left out."""
    reader, document = contents.reader, contents.document
    known = (
        {before.document.entities.id, before.document.schema and before.document.schema.id} if before else {}
    )
    values = [(document.entities, ChunkKind.ENTITIES)] if with_list else []
    values += [(document.schema, ChunkKind.DEFINITION)] if document.schema else []
    for ref, kind in values:
        if ref.id not in known:
            yield from _value(reader, ref, kind)
    earlier = {entity_order(entry.entity): entry for entry in before.entries} if before else {}
    for entry in entries:
        old = earlier.get(entity_order(entry.entity))
        if old is None or old.definition != entry.definition:
            yield Need(ChunkKind.DEFINITION, (entry.definition,))
        if entry.root is not None:
            yield from _Tree(reader, entry.entity.label).needs(entry.root, old.root if old else None)


def _value(reader: ChunkReader, ref: ValueRef, kind: ChunkKind) -> Iterator[Need]:
    if ref.is_large:
        yield from _large(reader, (ref.id,), "")
    else:
        yield Need(kind, (ref.id,))


def _large(reader: ChunkReader, ids: Sequence[ChunkId], label: str) -> Iterator[Need]:
    """Large values: their lists, and their pieces."""
    yield Need(ChunkKind.LARGE, ids, label, len(ids) if label else 0)
    for large_id in ids:
        (plain,) = reader.read(ChunkKind.LARGE, (large_id,))
        pieces = parse_large(plain, large_id.hex()).pieces
        for begin in range(0, len(pieces), PIECES_AT_ONCE):
            yield Need(ChunkKind.PIECE, pieces[begin : begin + PIECES_AT_ONCE], label)


@dataclass(frozen=True, slots=True)
class _Below:
    """A subtree of the earlier tree: what the node above says of it."""

    id: ChunkId
    level: int
    last_key: bytes


class _Tree:
    """The tree of one entity beside the one that it had earlier."""

    def __init__(self, reader: ChunkReader, label: str) -> None:
        self._reader = reader
        self._label = label

    def needs(self, root: ChunkId, before: ChunkId | None) -> Iterator[Need]:
        if root == before:
            return
        node = read_node(self._reader, root)
        yield Need(ChunkKind.NODE, (root,), self._label)
        old: list[_Below] = []
        if before is not None:
            top = read_node(self._reader, before)
            old = [_Below(before, top.level, top.keys[-1] if top.keys else b"")]
        if node.level:
            yield from self._under(node, None, old)
        else:
            yield from self._leaves([(node, None, old)])

    def _under(self, node: Node, after: bytes | None, old: Sequence[_Below]) -> Iterator[Need]:
        """What is new below a node above the leaves. `old`: of the earlier tree, all that may hold keys of
        this node, which are greater than `after`."""
        old = self._down(old, node.level - 1, after, node.keys[-1])
        there = {one.id for one in old if one.level == node.level - 1}
        fresh = [at for at, child in enumerate(node.ids) if child not in there]
        if not fresh:
            return
        ids = [node.ids[at] for at in fresh]
        yield Need(ChunkKind.NODE, ids, self._label)
        children = [
            (
                require_level(child, node.ids[at], node.level - 1),
                node.keys[at - 1] if at else after,
                _among(old, node.keys[at - 1] if at else after, node.keys[at]),
            )
            for at, child in zip(fresh, self._reader.nodes(ids), strict=True)
        ]
        if node.level == 1:
            yield from self._leaves(children)
            return
        for child, bound, near in children:
            yield from self._under(child, bound, near)

    def _leaves(self, leaves: Sequence[tuple[Node, bytes | None, Sequence[_Below]]]) -> Iterator[Need]:
        """The values of leaves that the earlier tree does not have."""
        small: list[ChunkId] = []
        large: list[ChunkId] = []
        count = 0
        for leaf, after, old in leaves:
            there: set[ChunkId] = set()
            if old and leaf.keys:
                near = self._down(old, 0, after, leaf.keys[-1])
                nodes = self._reader.nodes([one.id for one in near]) if near else ()
                there.update(*(node.ids for node in nodes))
            marks = frozenset(leaf.large)
            for at, chunk_id in enumerate(leaf.ids):
                if chunk_id not in there:
                    (large if at in marks else small).append(chunk_id)
            count += len(leaf.keys)
        if small:
            yield Need(ChunkKind.RECORD, small, self._label, count - len(large))
        if large:
            yield from _large(self._reader, list(dict.fromkeys(large)), self._label)

    def _down(self, old: Sequence[_Below], level: int, after: bytes | None, last: bytes) -> Sequence[_Below]:
        """The same, no higher than this level, as far as it may hold keys of the range."""
        while old and old[0].level > level:
            nodes = self._reader.nodes([one.id for one in old])
            rows = [
                _Below(child, require_level(node, one.id, one.level).level - 1, key)
                for one, node in zip(old, nodes, strict=True)
                for child, key in zip(node.ids, node.keys, strict=True)
            ]
            old = _among(rows, after, last)
        return old


def _among(old: Sequence[_Below], after: bytes | None, last: bytes) -> Sequence[_Below]:
    """Those that may hold keys k with after < k <= last. Each holds those up to its last key that are greater
    than the last key of the one before it."""
    keys = [one.last_key for one in old]
    begin = bisect_right(keys, after) if after is not None else 0
    return old[begin : bisect_left(keys, last) + 1]
