"""Where a lost chunk may still be: in what is left of damaged packs, with other holders, on the platform.

Each source gives bytes that are proven by the chunk's id. Holders are asked by chunk and not by pack: where
garbage was collected, the same chunks lie in other packs there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from cas.engine.chunk_reader import ChunkReader
from cas.engine.repository import Repository
from cas.errors import CorruptData, Unsupported
from cas.format.entities import encode_definition
from cas.format.large import encode_large
from cas.ids import ChunkId, ChunkKind
from cas.limits import LARGE_VALUE_BYTES
from cas.progress import Progress
from cas.record_ids import pieces_of
from cas.records.model import Entity, EntityKind
from cas.records.source import Selection, Source, SourceSnapshot
from cas.tree.build import TreeBuilder

AT_ONCE = 256
"""Chunks that are asked for together."""

Found = tuple[ChunkKind, ChunkId, bytes]


class ChunkSource(Protocol):
    """`name`: what the report calls it."""

    name: str

    def find(self, lost: Mapping[ChunkId, ChunkKind], labels: frozenset[str]) -> Iterator[Found]:
        """Those of these that it has, each once, proven. labels: entities of which something is lost."""


class StoredChunks:
    """From the packs of a store, this one's or a holder's."""

    def __init__(self, name: str, reader: ChunkReader) -> None:
        self.name = name
        self._reader = reader

    def find(self, lost: Mapping[ChunkId, ChunkKind], labels: frozenset[str]) -> Iterator[Found]:
        by_kind: dict[ChunkKind, list[ChunkId]] = {}
        for chunk_id, kind in lost.items():
            by_kind.setdefault(kind, []).append(chunk_id)
        for kind, ids in by_kind.items():
            for begin in range(0, len(ids), AT_ONCE):
                yield from self._read(kind, ids[begin : begin + AT_ONCE])

    def _read(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> Iterator[Found]:
        """All of them together where that goes, else half by half."""
        try:
            if kind is ChunkKind.DICTIONARY:
                plains = [self._reader.dictionary(each).plain for each in ids]
            else:
                plains = self._reader.read(kind, ids)
        except (CorruptData, Unsupported):
            if len(ids) > 1:
                middle = len(ids) // 2
                yield from self._read(kind, ids[:middle])
                yield from self._read(kind, ids[middle:])
            return
        yield from ((kind, chunk_id, plain) for chunk_id, plain in zip(ids, plains, strict=True))


class LiveChunks:
    """From the rows that the platform has now: records, large values, and what can be made of all rows of a
    table at little cost: the definition, and nodes of its tree. Lists of entities and schemas are not made
    again; nor are nodes of tables without a key."""

    name = "live"

    def __init__(self, repository: Repository, source: Source, progress: Progress) -> None:
        self._repository = repository
        self._source = source
        self._progress = progress
        key = repository.config.id_key
        self._hashers = {kind: key.hasher(kind) for kind in ChunkKind}
        self._records = key.batch_hasher(ChunkKind.RECORD)

    def find(self, lost: Mapping[ChunkId, ChunkKind], labels: frozenset[str]) -> Iterator[Found]:
        self._progress.phase("live rows")
        left = dict(lost)
        with self._source.snapshot(Selection(), allow_incomplete=True) as snapshot:
            for entity in snapshot.entities:
                if entity.label in labels or not labels:
                    for found in self._of_entity(snapshot, entity, left):
                        if left.pop(found[1], None) is not None:
                            yield found
            snapshot.finish()

    def _of_entity(
        self, snapshot: SourceSnapshot, entity: Entity, left: Mapping[ChunkId, ChunkKind]
    ) -> Iterator[Found]:
        definition = encode_definition(entity)
        yield from self._if_lost(left, ChunkKind.DEFINITION, definition)
        estimate = snapshot.estimate(entity)
        self._progress.entity(entity.label, estimate.records, estimate.bytes)
        nodes = _Nodes(self, left)
        is_keyed = not entity.is_bag and entity.kind in (EntityKind.TABLE, EntityKind.PARTITIONED)
        builder = TreeBuilder(nodes, self._repository.boundary) if is_keyed else None
        for batch in snapshot.batches(entity):
            large = [at for at, one in enumerate(batch.payloads) if len(one) > LARGE_VALUE_BYTES]
            ids = self._records([b"" if len(one) > LARGE_VALUE_BYTES else one for one in batch.payloads])
            for at in large:
                pieces = list(pieces_of(batch.payloads[at]))
                plain = encode_large(
                    len(batch.payloads[at]), [self._hashers[ChunkKind.PIECE](one) for one in pieces]
                )
                ids[at] = self._hashers[ChunkKind.LARGE](plain)
                yield from self._if_lost(left, ChunkKind.LARGE, plain)
                for piece in pieces:
                    yield from self._if_lost(left, ChunkKind.PIECE, piece)
            for at, chunk_id in enumerate(ids):
                if left.get(chunk_id) is ChunkKind.RECORD and at not in large:
                    yield ChunkKind.RECORD, chunk_id, batch.payloads[at]
            self._progress.advance(entity.label, len(ids), sum(map(len, batch.payloads)))
            if builder is not None:
                builder.add(batch.keys, ids, (), large)
                yield from nodes.take()
        if builder is not None:
            builder.finish()
            yield from nodes.take()

    def _if_lost(self, left: Mapping[ChunkId, ChunkKind], kind: ChunkKind, plain: bytes) -> Iterator[Found]:
        chunk_id = self._hashers[kind](plain)
        if left.get(chunk_id) is kind:
            yield kind, chunk_id, plain

    def node_id(self, plain: bytes) -> ChunkId:
        return self._hashers[ChunkKind.NODE](plain)


class _Nodes:
    """A tree's NodeWriter that keeps the nodes that are lost, and no others."""

    def __init__(self, live: LiveChunks, left: Mapping[ChunkId, ChunkKind]) -> None:
        self._live = live
        self._left = left
        self._kept: list[Found] = []

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = self._live.node_id(plain)
        if self._left.get(node_id) is ChunkKind.NODE:
            self._kept.append((ChunkKind.NODE, node_id, plain))
        return node_id

    def take(self) -> list[Found]:
        kept, self._kept = self._kept, []
        return kept
