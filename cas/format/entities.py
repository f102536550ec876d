"""The ENTITIES chunk and DEFINITION chunks: what a version holds, entity by entity.

A DEFINITION is canonical JSON of one entity's columns, key and fingerprint. The ENTITIES chunk lists
each entity with its definition, root and counts, ascending by (kind, schema, name). Both are
chunks, so that what did not change between two versions is stored once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from blake3 import blake3

from cas.format.canonical import Fields, Json, encode_json, parse_json
from cas.format.malformed import malformed, over_limit
from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.limits import MAX_ENTITIES
from cas.records.model import Column, Entity, EntityKind, KeyPart


@dataclass(frozen=True, slots=True)
class EntityEntry:
    """One entity of one version. `root` is None where the version holds no data of it.

    `dictionary` is the one that its newest records were compressed with; it belongs to the way of
    storing and is no part of the checksum.
    """

    entity: Entity
    definition: ChunkId
    root: ChunkId | None
    records: int
    payload_bytes: int
    dictionary: ChunkId | None = None

    @property
    def checksum(self) -> bytes:
        """32 bytes that are equal exactly when names, types, key and all records are equal."""
        entity = self.entity
        root = self.root.hex() if self.root else None
        return blake3(
            encode_json(
                {
                    "columns": [[column.name, column.type] for column in entity.columns],
                    "key": [[name, part.value] for name, part in entity.key],
                    "kind": entity.kind.value,
                    "name": entity.name,
                    "records": self.records,
                    "root": root,
                    "schema": entity.schema,
                }
            )
        ).digest()


def version_checksum(entries: Sequence[EntityEntry]) -> bytes:
    """32 bytes over the entities' checksums in their order: equal checksum, equal data."""
    return blake3(b"".join(entry.checksum for entry in entries)).digest()


def entity_order(entity: Entity) -> tuple[str, str, str]:
    """The order of entities in a version."""
    return (entity.kind.value, entity.schema, entity.name)


def encode_definition(entity: Entity) -> bytes:
    columns: list[Json] = [
        {
            "collation": column.collation,
            "default": column.default,
            "identity": column.identity,
            "name": column.name,
            "not_null": column.not_null,
            "type": column.type,
        }
        for column in entity.columns
    ]
    return encode_json(
        {
            "columns": columns,
            "fingerprint": entity.fingerprint,
            "key": [[name, part.value] for name, part in entity.key],
            "kind": entity.kind.value,
            "name": entity.name,
            "schema": entity.schema,
        }
    )


def parse_definition(data: bytes, where: str = "") -> Entity:
    fields = Fields(parse_json(data, where), where)
    columns = tuple(_parse_column(value, where) for value in fields.sequence("columns"))
    fingerprint = fields.text("fingerprint")
    key = tuple(_parse_key_part(value, where) for value in fields.sequence("key"))
    kind = _kind(fields.text("kind"), where)
    entity = Entity(kind, fields.text("schema"), fields.text("name"), columns, key, fingerprint)
    fields.finish()
    return entity


def _parse_column(value: Json, where: str) -> Column:
    fields = Fields(value, where)
    column = Column(
        name=fields.text("name"),
        type=fields.text("type"),
        not_null=fields.boolean("not_null"),
        collation=fields.optional_text("collation"),
        identity=fields.optional_text("identity"),
        default=fields.optional_text("default"),
    )
    fields.finish()
    return column


def _parse_key_part(value: Json, where: str) -> tuple[str, KeyPart]:
    match value:
        case [str(name), str(part)]:
            try:
                return name, KeyPart(part)
            except ValueError:
                raise malformed(f"key part {part[:40]}", where) from None
        case _:
            raise malformed("key part", where)


def _kind(text: str, where: str) -> EntityKind:
    try:
        return EntityKind(text)
    except ValueError:
        raise malformed(f"entity kind {text[:40]}", where) from None


def encode_entities(entries: Sequence[EntityEntry]) -> bytes:
    rows: list[Json] = [
        {
            "definition": entry.definition.hex(),
            "dictionary": entry.dictionary.hex() if entry.dictionary else None,
            "payload_bytes": entry.payload_bytes,
            "records": entry.records,
            "root": entry.root.hex() if entry.root else None,
        }
        for entry in entries
    ]
    return encode_json(rows)


@dataclass(frozen=True, slots=True)
class EntityRow:
    """A row of the ENTITIES chunk before its definition was fetched."""

    definition: ChunkId
    root: ChunkId | None
    records: int
    payload_bytes: int
    dictionary: ChunkId | None


def parse_entities(data: bytes, where: str = "") -> tuple[EntityRow, ...]:
    value = parse_json(data, where)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise malformed("not a list of entities", where)
    if len(value) > MAX_ENTITIES:
        raise over_limit(f"{len(value)} entities", where)
    return tuple(_parse_row(row, where) for row in value)


def _parse_row(value: Json, where: str) -> EntityRow:
    fields = Fields(value, where)
    root = fields.optional_binary("root", CHUNK_ID_BYTES)
    dictionary = fields.optional_binary("dictionary", CHUNK_ID_BYTES)
    row = EntityRow(
        definition=ChunkId(fields.binary("definition", CHUNK_ID_BYTES)),
        root=ChunkId(root) if root else None,
        records=fields.integer("records"),
        payload_bytes=fields.integer("payload_bytes"),
        dictionary=ChunkId(dictionary) if dictionary else None,
    )
    fields.finish()
    return row
