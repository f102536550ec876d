"""Writes a tiny repository directory by hand through cas.format, with frames of every encoding.

It stands in for the engine where a test wants to know every byte, and it made tests/vectors/repository.
Nothing in it is random: salts are hashes of numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zstandard
from blake3 import blake3

from cas.format.config import Config, encode_config
from cas.format.document import EntityRead, PackRef, SourceFacts, ValueRef, VersionDocument, encode_document
from cas.format.entities import (
    EntityEntry,
    encode_definition,
    encode_entities,
    entity_order,
    version_checksum,
)
from cas.format.frame import Encoding, Frame
from cas.format.frame_table import FrameTable
from cas.format.large import encode_large
from cas.format.names import CONFIG, dictionary_key, pack_key, version_key
from cas.format.pack import encode_end, encode_header
from cas.format.schema import encode_schema
from cas.ids import ChunkId, ChunkKind, IdKey, PackName, pack_name, short
from cas.limits import LARGE_VALUE_BYTES, MAX_DELTA_DEPTH
from cas.tree.boundary import Boundary
from cas.tree.build import TreeBuilder
from tests.format.tiny_contents import SCHEMA, Content, contents

KEY = IdKey(bytes(range(32)))
NODE_BITS = 3
REPOSITORY_ID = "00112233445566778899aabbccddeeff"
PER_FRAME = 40
_DATA = (ChunkKind.RECORD, ChunkKind.PIECE)
_HASHERS = {kind: KEY.hasher(kind) for kind in ChunkKind}


@dataclass(slots=True)
class _Pack:
    """A pack that is being filled."""

    frames: list[Frame] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    ids: list[ChunkId] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


class _Nodes:
    """Collects the nodes of a tree."""

    def __init__(self) -> None:
        self.plain: dict[ChunkId, bytes] = {}
        self.places: dict[tuple[int, bytes], ChunkId] = {}

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = _HASHERS[ChunkKind.NODE](plain)
        self.plain[node_id] = plain
        self.places[level, last_key] = node_id
        return node_id


class TinyRepository:
    """Make one in an empty directory, then `add_version` 1, 2 and 3 in turn."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.known: dict[ChunkId, int] = {}
        """Depth of each chunk's frame."""
        self._plain: dict[ChunkId, bytes] = {}
        self._packs: dict[bool, _Pack] = {}
        self._salts = 0
        self._dictionaries: dict[tuple[str, str, str], ChunkId] = {}
        self._old: dict[tuple[str, str, str], Mapping[bytes, ChunkId]] = {}
        self._old_nodes: dict[tuple[str, str, str], Mapping[tuple[int, bytes], ChunkId]] = {}
        self._previous: bytes | None = None
        config = Config(REPOSITORY_ID, "2026-01-31T12:00:00.000000+00:00", KEY, NODE_BITS)
        self._write(CONFIG, encode_config(config))

    def _write(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def add_version(self, number: int) -> VersionDocument:
        entries = [self._entity(content) for content in sorted(contents(number), key=_order)]
        listing = self._value(ChunkKind.ENTITIES, encode_entities(entries))
        schema = self._value(ChunkKind.DEFINITION, encode_schema(SCHEMA))
        packs = sorted(
            (self._close(holds_nodes) for holds_nodes in sorted(self._packs)), key=lambda pack: pack.name
        )
        self._packs.clear()
        document = VersionDocument(
            repository_id=REPOSITORY_ID,
            number=number,
            parent=number - 1 or None,
            previous=self._previous,
            created_at=f"2026-02-0{number}T12:00:00.000000+00:00",
            finished_at=f"2026-02-0{number}T12:00:01.000000+00:00",
            state="complete",
            trigger="MANUAL",
            kind="full",
            reason=f"tiny version {number}",
            name="",
            description="",
            tags=("tiny",),
            metadata={},
            created_by="",
            protected=False,
            source=SourceFacts("postgresql://localhost/tiny", "tiny", "18.1", "1", "UTF8", "C.UTF-8", (), ()),
            included=(),
            excluded=(),
            included_schemas=(),
            omissions=(),
            entities=listing,
            schema=schema,
            records=sum(entry.records for entry in entries),
            original_bytes=sum(entry.payload_bytes for entry in entries),
            added_bytes=sum(pack.stored_bytes for pack in packs),
            checksum=version_checksum(entries),
            read=tuple(EntityRead(e.entity.label, "scan", "tiny", e.records, 0) for e in entries),
            packs=tuple(packs),
        )
        data = encode_document(document)
        self._previous = blake3(data).digest()
        self._write(version_key(number), data)
        return document

    def _entity(self, content: Content) -> EntityEntry:
        entity, payloads = content.entity, list(content.records.values())
        key = _order(content)
        dictionary = self._dictionary(key, payloads) if content.has_dictionary else None
        ids, large = self._records(payloads, dictionary, self._old.get(key, {}), list(content.records))
        nodes = _Nodes()
        builder = TreeBuilder(nodes, Boundary.of(KEY, NODE_BITS), counted=entity.is_bag)
        if entity.is_bag:
            distinct = sorted(set(ids))
            builder.add(distinct, distinct, [ids.count(one) for one in distinct])
        else:
            order = sorted(range(len(ids)), key=list(content.records).__getitem__)
            rows = list(content.records)
            builder.add(
                [rows[at] for at in order],
                [ids[at] for at in order],
                (),
                [n for n, at in enumerate(order) if at in large],
            )
        root = builder.finish()
        self._nodes(nodes, self._old_nodes.get(key, {}))
        self._old[key] = dict(zip(content.records, ids, strict=True))
        self._old_nodes[key] = nodes.places
        definition = self._value(ChunkKind.DEFINITION, encode_definition(entity)).id
        size = sum(map(len, payloads))
        return EntityEntry(entity, definition, root.id, len(payloads), size, dictionary)

    def _dictionary(self, key: tuple[str, str, str], payloads: Sequence[bytes]) -> ChunkId:
        if key not in self._dictionaries:
            plain = zstandard.train_dictionary(1024, list(payloads), level=3).as_bytes()
            chunk_id = _HASHERS[ChunkKind.DICTIONARY](plain)
            self._frame(ChunkKind.DICTIONARY, [plain], Encoding.ZSTD)
            self._write(dictionary_key(chunk_id), plain)
            self._dictionaries[key] = chunk_id
        return self._dictionaries[key]

    def _records(
        self,
        payloads: Sequence[bytes],
        dictionary: ChunkId | None,
        old: Mapping[bytes, ChunkId],
        keys: Sequence[bytes],
    ) -> tuple[list[ChunkId], set[int]]:
        """Changed records are deltas on what was there before; new ones go into frames of many."""
        ids, large, fresh = [], set(), {}
        for at, payload in enumerate(payloads):
            if len(payload) > LARGE_VALUE_BYTES:
                ids.append(self._value(ChunkKind.RECORD, payload).id)
                large.add(at)
                continue
            chunk_id = _HASHERS[ChunkKind.RECORD](payload)
            ids.append(chunk_id)
            base = old.get(keys[at])
            if chunk_id in self.known or chunk_id in fresh:
                continue
            if base in self.known and dictionary is not None:
                self._frame(ChunkKind.RECORD, [payload], Encoding.ZSTD_DELTA, (base,))
            else:
                fresh[chunk_id] = payload
        plains = list(fresh.values())
        for begin in range(0, len(plains), PER_FRAME):
            if dictionary is not None:
                run, encoding, bases = (
                    plains[begin : begin + PER_FRAME],
                    Encoding.ZSTD_DICTIONARY,
                    (dictionary,),
                )
                self._frame(ChunkKind.RECORD, run, encoding, bases)
            else:
                self._frame(ChunkKind.RECORD, plains[begin : begin + PER_FRAME], Encoding.RAW)
        return ids, large

    def _nodes(self, nodes: _Nodes, old: Mapping[tuple[int, bytes], ChunkId]) -> None:
        """A node whose last key was there before is a delta on its predecessor; the others go together."""
        fresh = []
        for place, node_id in nodes.places.items():
            if node_id in self.known:
                continue
            base = old.get(place)
            if base is not None and self.known[base] < MAX_DELTA_DEPTH:
                self._frame(ChunkKind.NODE, [nodes.plain[node_id]], Encoding.ZSTD_DELTA, (base,))
            else:
                fresh.append(nodes.plain[node_id])
        if fresh:
            self._frame(ChunkKind.NODE, fresh, Encoding.ZSTD)

    def _value(self, kind: ChunkKind, plain: bytes) -> ValueRef:
        if len(plain) <= LARGE_VALUE_BYTES:
            chunk_id = _HASHERS[kind](plain)
            if chunk_id not in self.known:
                self._frame(kind, [plain], Encoding.ZSTD)
            return ValueRef(chunk_id)
        pieces = [plain[at : at + LARGE_VALUE_BYTES] for at in range(0, len(plain), LARGE_VALUE_BYTES)]
        ids = [self._value(ChunkKind.PIECE, piece).id for piece in pieces]
        listing = self._value(ChunkKind.LARGE, encode_large(len(plain), ids))
        return ValueRef(listing.id, is_large=True)

    def _frame(
        self, kind: ChunkKind, plains: Sequence[bytes], encoding: Encoding, bases: tuple[ChunkId, ...] = ()
    ) -> None:
        plain = b"".join(plains)
        stored = plain
        if encoding is not Encoding.RAW:
            form = (
                zstandard.DICT_TYPE_RAWCONTENT
                if encoding is Encoding.ZSTD_DELTA
                else zstandard.DICT_TYPE_FULLDICT
            )
            base = b"".join(self._plain[one] for one in bases)
            given = zstandard.ZstdCompressionDict(base, dict_type=form) if bases else None
            stored = zstandard.ZstdCompressor(level=3, dict_data=given, write_dict_id=False).compress(plain)
        depth = 1 + max(self.known[base] for base in bases) if encoding is Encoding.ZSTD_DELTA else 0
        ids = [_HASHERS[kind](one) for one in plains]
        pack = self._packs.setdefault(kind not in _DATA, _Pack())
        pack.frames.append(Frame(kind, encoding, depth, len(plains), len(stored), len(plain), bases))
        pack.stored.append(stored)
        pack.ids += ids
        pack.lengths += map(len, plains)
        self.known |= dict.fromkeys(ids, depth)
        self._plain |= dict(zip(ids, plains, strict=True))

    def _close(self, holds_nodes: bool) -> PackRef:
        pack = self._packs[holds_nodes]
        self._salts += 1
        lengths = b"".join(length.to_bytes(4, "little") for length in pack.lengths)
        end = encode_end(FrameTable.of(pack.frames), b"".join(map(short, pack.ids)), lengths)
        stored = b"".join((encode_header(blake3(b"salt %d" % self._salts).digest()), *pack.stored, end))
        name: PackName = pack_name(stored)
        self._write(pack_key(name), stored)
        return PackRef(name, len(stored), len(pack.ids), holds_nodes)


def _order(content: Content) -> tuple[str, str, str]:
    return entity_order(content.entity)


def build_tiny_repository(root: Path, versions: int = 3) -> TinyRepository:
    repository = TinyRepository(root)
    for number in range(1, versions + 1):
        repository.add_version(number)
    return repository
