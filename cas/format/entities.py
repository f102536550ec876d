"""The ENTITIES chunk and DEFINITION chunks: what a version holds, entity by entity.

A DEFINITION is canonical JSON of one entity's columns, key and fingerprint. The ENTITIES chunk lists
each entity with its definition, root and counts, ascending by (kind, schema, name). Both are
chunks, so that what did not change between two versions is stored once.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from blake3 import blake3

from cas.format.canonical import Fields, Json, encode_json, parse_json
from cas.format.malformed import malformed, newer, over_limit
from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.limits import MAX_ENTITIES
from cas.records.model import Column, Entity, EntityKind, KeyPart

IDENTITIES = frozenset(("always", "by default"))


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
        """32 bytes that are equal exactly when names, types, key and all records are equal.

        Comparable within one repository only: roots depend on its id key.
        """
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
    """The order of entities in a version: by code points."""
    return (entity.kind.value, entity.schema, entity.name)


def check_order(entities: Sequence[Entity], where: str = "") -> None:
    """Refuse definitions that do not ascend strictly; only then has a version one list of entities."""
    orders = list(map(entity_order, entities))
    if any(left >= right for left, right in itertools.pairwise(orders)):
        raise malformed("entities do not ascend", where)


def encode_definition(entity: Entity) -> bytes:
    """The one encoding. Raises what `parse_definition` would raise for it."""
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
    data = encode_json(
        {
            "columns": columns,
            "fingerprint": entity.fingerprint,
            "key": [[name, part.value] for name, part in entity.key],
            "kind": entity.kind.value,
            "name": entity.name,
            "schema": entity.schema,
        }
    )
    parse_definition(data)
    return data


def parse_definition(data: bytes, where: str = "") -> Entity:
    """The entity. A kind of entity or of key that came later is Unsupported, the rest CorruptData."""
    fields = Fields(parse_json(data, where), where)
    columns = tuple(_parse_column(value, where) for value in fields.sequence("columns"))
    fingerprint = fields.text("fingerprint")
    key = tuple(_parse_key_part(value, where) for value in fields.sequence("key"))
    kind = _kind(fields.text("kind"), where)
    entity = Entity(kind, fields.text("schema"), fields.text("name"), columns, key, fingerprint)
    fields.finish()
    for names in ([column.name for column in columns], [name for name, _ in key]):
        if len(set(names)) != len(names):
            raise malformed("a column is named twice", where)
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
    if column.identity is not None and column.identity not in IDENTITIES:
        raise newer(f"identity {column.identity[:40]}", where)
    return column


def _parse_key_part(value: Json, where: str) -> tuple[str, KeyPart]:
    match value:
        case [str(name), str(part)]:
            try:
                return name, KeyPart(part)
            except ValueError:
                raise newer(f"key part {part[:40]}", where) from None
        case _:
            raise malformed("key part", where)


def _kind(text: str, where: str) -> EntityKind:
    try:
        return EntityKind(text)
    except ValueError:
        raise newer(f"entity kind {text[:40]}", where) from None


def encode_entities(entries: Sequence[EntityEntry]) -> bytes:
    """The one encoding. Raises what `check_order` and `parse_entities` would raise for it."""
    check_order([entry.entity for entry in entries])
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
    data = encode_json(rows)
    parse_entities(data)
    return data


@dataclass(frozen=True, slots=True)
class EntityRow:
    """A row of the ENTITIES chunk before its definition was fetched."""

    definition: ChunkId
    root: ChunkId | None
    records: int
    payload_bytes: int
    dictionary: ChunkId | None


def parse_entities(data: bytes, where: str = "") -> tuple[EntityRow, ...]:
    """The rows. Whoever has fetched the definitions calls `check_order` with them."""
    value = parse_json(data, where)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise malformed("not a list of entities", where)
    if len(value) > MAX_ENTITIES:
        raise over_limit(f"{len(value)} entities", where)
    rows = tuple(_parse_row(row, where) for row in value)
    if len({row.definition for row in rows}) != len(rows):
        raise malformed("entity listed twice", where)
    return rows


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
    if row.root is None and (row.records or row.payload_bytes):
        raise malformed("records without a root", where)
    return row
