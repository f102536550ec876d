"""Looking up a key in many trees at once: those of an entity in the versions that follow each other.

Such trees share nearly all of their nodes, so a node is read once, however many of them lead through
it; and one that cannot be read hides only what lies under it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cas.errors import CasError, CorruptData, Unsupported
from cas.format.malformed import malformed
from cas.format.node import parse_node
from cas.format.node_search import child_for
from cas.ids import ChunkId
from cas.tree.nodes import Leaf
from cas.tree.reading import leaf_at

TREES_AT_ONCE = 16
"""Trees that are searched side by side. Neighbours share packs, and the nodes of one are stored as
differences to those of the one before: what is read together should lie together."""

ReadNodes: TypeAlias = Callable[[Sequence[ChunkId]], Sequence[bytes]]
"""Gives the proven plain bytes of nodes. CorruptData or Unsupported where one of them cannot be read."""

Place: TypeAlias = tuple[ChunkId, bytes]
"""A node, at first a tree's root, and the key that is looked for below it."""

Found: TypeAlias = Leaf | CasError | None
"""What a key maps to; None where it is not there, an error where that cannot be known."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What a node of `level` says of a key: the node below that may hold it, or the answer."""

    level: int
    below: ChunkId | None
    leaf: Leaf | None = None


_Steps: TypeAlias = dict[Place, _Step | CasError]


def lookup_in_many(read: ReadNodes, places: Iterable[Place]) -> dict[Place, Found]:
    """For each root and key what `lookup` would give, or the CorruptData or Unsupported that it would
    raise. Best in the order in which the trees were written. Reads no node twice."""
    distinct = list(dict.fromkeys(places))
    steps: _Steps = {}
    found: dict[Place, Found] = {}
    for begin in range(0, len(distinct), TREES_AT_ONCE):
        _search(read, distinct[begin : begin + TREES_AT_ONCE], steps, found)
    return found


def _search(read: ReadNodes, places: Sequence[Place], steps: _Steps, found: dict[Place, Found]) -> None:
    """Down all trees, one level at a time."""
    waiting: dict[Place, tuple[ChunkId, int | None]] = {place: (place[0], None) for place in places}
    while waiting:
        asked = dict.fromkeys((node_id, key) for (_, key), (node_id, _) in waiting.items())
        _take_steps(read, [place for place in asked if place not in steps], steps)
        searched, waiting = waiting, {}
        for place, (node_id, level) in searched.items():
            step = steps[node_id, place[1]]
            if isinstance(step, CasError):
                found[place] = step
            elif level is not None and step.level != level:
                found[place] = malformed(
                    f"node of level {step.level} where level {level} belongs", node_id.hex()
                )
            elif step.below is None:
                found[place] = step.leaf
            else:
                waiting[place] = step.below, step.level - 1


def _take_steps(read: ReadNodes, places: Sequence[Place], steps: _Steps) -> None:
    plains = _read(read, list(dict.fromkeys(node_id for node_id, _ in places)))
    for place in places:
        plain = plains[place[0]]
        try:
            steps[place] = plain if isinstance(plain, CasError) else _step(plain, *place)
        except (CorruptData, Unsupported) as error:
            steps[place] = error


def _step(plain: bytes, node_id: ChunkId, key: bytes) -> _Step:
    way = child_for(plain, key, node_id.hex())
    if way is not None:
        return _Step(*way)
    node = parse_node(plain, node_id.hex())
    position = bisect_left(node.keys, key)
    if position == len(node.keys):
        return _Step(node.level, None)
    if node.level:
        return _Step(node.level, node.ids[position])
    return _Step(0, None, leaf_at(node, position) if node.keys[position] == key else None)


def _read(read: ReadNodes, ids: Sequence[ChunkId]) -> dict[ChunkId, bytes | CasError]:
    """All together; where that fails, halves of them, until it is known which ones fail."""
    if not ids:
        return {}
    try:
        return dict(zip(ids, read(ids), strict=True))
    except (CorruptData, Unsupported) as error:
        if len(ids) == 1:
            return {ids[0]: error}
        middle = len(ids) // 2
        return _read(read, ids[:middle]) | _read(read, ids[middle:])
