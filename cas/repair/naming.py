"""What a version lacks, as people know it: entities, keys, how many; and what is left of it.

A tree is walked as far as it can be read. Below a node that is lost the records are known by their number and
by the keys between which they lie; of a table without a key only the number is known.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from cas.closure.ground import Ground
from cas.damage import Fault
from cas.errors import CorruptData, Unsupported
from cas.format.document import ValueRef, VersionDocument
from cas.format.entities import EntityEntry, parse_definition, parse_entities
from cas.format.large import parse_large
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind
from cas.records.encodings import decode_text
from cas.records.keys import decode_key
from cas.records.model import Entity
from cas.repair.model import EntityLoss

NAMED_KEYS = 100
"""Keys of lost records that a report names for each entity; of the others it tells how many."""

NAMED_RANGES = 20


@dataclass(slots=True)
class _Losses:
    """Of one entity, while it is walked. Keys as bytes."""

    records: int = 0
    keys: list[bytes] = field(default_factory=list)
    ranges: list[tuple[bytes | None, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SoundRun:
    """Consecutive entries of one leaf that can be brought back. `large`: positions."""

    keys: list[bytes]
    ids: list[ChunkId]
    counts: list[int]
    large: list[int]


class EntityRemains:
    """What of one entity of a version is left, and what is not. Iterate `runs` first, then ask `loss`."""

    def __init__(self, ground: Ground, entry: EntityEntry, lost: Collection[ChunkId], encoding: str) -> None:
        """lost: chunks that are known to be lost, records and pieces among them."""
        self._ground = ground
        self._entry = entry
        self._lost = lost
        self._encoding = encoding
        self._losses = _Losses()

    def runs(self) -> Iterator[SoundRun]:
        """In the order of keys."""
        self._losses = _Losses()
        root = self._entry.root
        if root is not None:
            yield from self._below(root, self._entry.records, None, None)

    def loss(self) -> EntityLoss | None:
        """What is not left; None where nothing is missing."""
        losses, entity = self._losses, self._entry.entity
        if not losses.records:
            return None
        return EntityLoss(
            entity.label,
            tuple(name for name, _ in entity.key),
            losses.records,
            tuple(self._texts(key) for key in losses.keys[:NAMED_KEYS]),
            tuple(
                (None if after is None else self._texts(after), self._texts(last))
                for after, last in losses.ranges[:NAMED_RANGES]
            ),
        )

    def _texts(self, key: bytes) -> tuple[str, ...]:
        return texts_of(self._entry.entity, key, self._encoding)

    def _below(
        self, node_id: ChunkId, records: int, after: bytes | None, last: bytes | None
    ) -> Iterator[SoundRun]:
        node = self._node(node_id)
        if node is None:
            self._losses.records += records
            if last is not None and not self._entry.entity.is_bag:
                self._losses.ranges.append((after, last))
        elif node.level:
            for child, count, key in zip(node.ids, node.counts, node.keys, strict=True):
                yield from self._below(child, count, after, key)
                after = key
        else:
            yield self._sound(node)

    def _node(self, node_id: ChunkId) -> Node | None:
        if node_id in self._lost:
            return None
        (plain,) = self._ground.fetch(ChunkKind.NODE, (node_id,))
        if isinstance(plain, Fault):
            return None
        try:
            return parse_node(plain, node_id.hex())
        except (CorruptData, Unsupported):
            return None

    def _sound(self, node: Node) -> SoundRun:
        run = SoundRun([], [], [], [])
        for at, (key, chunk_id) in enumerate(zip(node.keys, node.ids, strict=True)):
            is_large = at in node.large
            if chunk_id in self._lost or (is_large and not self._is_large_whole(chunk_id)):
                self._losses.records += node.counts[at] if node.counts else 1
                if len(self._losses.keys) < NAMED_KEYS and not self._entry.entity.is_bag:
                    self._losses.keys.append(key)
                continue
            if is_large:
                run.large.append(len(run.ids))
            run.keys.append(key)
            run.ids.append(chunk_id)
            if node.counts:
                run.counts.append(node.counts[at])
        return run

    def _is_large_whole(self, large_id: ChunkId) -> bool:
        (plain,) = self._ground.fetch(ChunkKind.LARGE, (large_id,))
        if isinstance(plain, Fault):
            return False
        pieces = parse_large(plain, large_id.hex()).pieces
        return not any(piece in self._lost for piece in pieces)


def texts_of(entity: Entity, key: bytes, encoding: str) -> tuple[str, ...]:
    """A key as people type it."""
    try:
        return tuple(decode_text(text, encoding) for text in decode_key(entity, key))
    except ValueError:  # a key of a form that is not taken apart
        return (key.hex(),)


def entries_of(ground: Ground, document: VersionDocument) -> tuple[list[EntityEntry], str]:
    """The entities of a version, as far as they are known, and what is lost beside records, in words."""
    plain = _value(ground, document.entities, ChunkKind.ENTITIES)
    if plain is None:
        return [], "its list of entities is lost, and with it all of it"
    entries: list[EntityEntry] = []
    unknown = 0
    for row in parse_entities(plain):
        (definition,) = ground.fetch(ChunkKind.DEFINITION, (row.definition,))
        if isinstance(definition, Fault):
            unknown += 1
            continue
        entity = parse_definition(definition, row.definition.hex())
        entries.append(
            EntityEntry(entity, row.definition, row.root, row.records, row.payload_bytes, row.dictionary)
        )
    what = [f"{unknown} entities are lost with their definitions"] if unknown else []
    if document.schema is not None and _value(ground, document.schema, ChunkKind.DEFINITION) is None:
        what.append("its schema is lost")
    return entries, "; ".join(what)


def _value(ground: Ground, ref: ValueRef, kind: ChunkKind) -> bytes | None:
    try:
        return ground.packs.reader.value(ref, kind)
    except (CorruptData, Unsupported):
        return None
