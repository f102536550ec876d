"""The version document: the small object whose existence makes a version.

It names everything that the version is made of by chunk id, and the packs that it added. What the
catalog knows of a version is here too, so that the catalog can be rebuilt from the bucket.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cas.format.canonical import (
    Fields,
    Json,
    encode_json,
    is_natural,
    open_envelope,
    parse_json,
    seal_envelope,
)
from cas.format.config import FORMAT, REPOSITORY_ID_BYTES
from cas.format.malformed import malformed, newer, over_limit
from cas.format.names import is_pack_name
from cas.format.times import check_time
from cas.ids import CHUNK_ID_BYTES, ChunkId, PackName
from cas.limits import MAX_PACK_BYTES, MAX_PACK_CHUNKS, MAX_VERSION_NUMBER

STATES = frozenset(("complete", "incomplete"))
TRIGGERS = frozenset(("AUTO", "MANUAL", "SYSTEM"))
KINDS = frozenset(("full", "schema-only", "data-only", "selected"))


@dataclass(frozen=True, slots=True)
class ValueRef:
    """A value stored as one chunk, or where it is large as the list of its pieces (kind LARGE)."""

    id: ChunkId
    is_large: bool = False


@dataclass(frozen=True, slots=True)
class PackRef:
    """A pack that this version added. `holds_nodes`: everything but records and pieces of values.
    A document lists them ascending by name."""

    name: PackName
    stored_bytes: int
    chunks: int
    holds_nodes: bool


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The platform as it was."""

    url: str
    database: str
    server_version: str
    system_identifier: str
    encoding: str
    locale: str
    extensions: tuple[tuple[str, str], ...]
    roles: tuple[str, ...]
    """Roles that own or are granted something; a restore wants them to exist."""


@dataclass(frozen=True, slots=True)
class VersionDocument:
    """Times: cas.format.times. `read` says per entity label how its records were read, how many rows
    and why."""

    repository_id: str
    number: int
    parent: int | None
    previous: bytes | None
    """BLAKE3-256 of the parent's document as stored: a chain that shows a document exchanged or gone.
    None where there is no parent, or its document could not be read."""
    created_at: str
    finished_at: str
    state: str
    trigger: str
    kind: str
    reason: str
    name: str
    description: str
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    created_by: str
    protected: bool
    source: SourceFacts
    included: tuple[str, ...]
    excluded: tuple[str, ...]
    included_schemas: tuple[str, ...]
    omissions: tuple[tuple[str, str], ...]
    entities: ValueRef
    schema: ValueRef | None
    records: int
    original_bytes: int
    added_bytes: int
    checksum: bytes
    read: tuple["EntityRead", ...]
    packs: tuple[PackRef, ...]


@dataclass(frozen=True, slots=True)
class EntityRead:
    """The receipt of one entity: how it was read, how many rows, why so, what was new."""

    label: str
    read_by: str
    reason: str
    rows: int
    new_chunks: int


def encode_document(document: VersionDocument) -> bytes:
    """The one encoding. Raises what `parse_document` would raise for it."""
    body: dict[str, Json] = {
        "added_bytes": document.added_bytes,
        "checksum": document.checksum.hex(),
        "created_at": document.created_at,
        "created_by": document.created_by,
        "description": document.description,
        "entities": _encode_ref(document.entities),
        "excluded": document.excluded,
        "finished_at": document.finished_at,
        "format": FORMAT,
        "included": document.included,
        "included_schemas": document.included_schemas,
        "kind": document.kind,
        "metadata": dict(document.metadata),
        "name": document.name,
        "number": document.number,
        "omissions": document.omissions,
        "original_bytes": document.original_bytes,
        "packs": [[pack.name, pack.stored_bytes, pack.chunks, pack.holds_nodes] for pack in document.packs],
        "parent": document.parent,
        "previous": document.previous.hex() if document.previous else None,
        "protected": document.protected,
        "read": [[r.label, r.read_by, r.reason, r.rows, r.new_chunks] for r in document.read],
        "reason": document.reason,
        "records": document.records,
        "repository_id": document.repository_id,
        "schema": _encode_ref(document.schema) if document.schema else None,
        "source": _encode_source(document.source),
        "state": document.state,
        "tags": document.tags,
        "trigger": document.trigger,
        "type": "version",
    }
    data = seal_envelope(encode_json(body))
    parse_document(data)
    return data


def _encode_ref(ref: ValueRef) -> Json:
    return {"id": ref.id.hex(), "large": ref.is_large}


def _encode_source(source: SourceFacts) -> Json:
    return {
        "database": source.database,
        "encoding": source.encoding,
        "extensions": source.extensions,
        "locale": source.locale,
        "roles": source.roles,
        "server_version": source.server_version,
        "system_identifier": source.system_identifier,
        "url": source.url,
    }


def parse_document(data: bytes, where: str = "") -> VersionDocument:
    """The document. Newer formats are Unsupported; every deviation from the one encoding is CorruptData."""
    fields = Fields(parse_json(open_envelope(data, where), where), where)
    if fields.text("type") != "version":
        raise malformed("not a version document", where)
    version = fields.integer("format")
    if version != FORMAT:
        raise newer(f"version document format {version}", where)
    schema = fields.optional_object("schema")
    document = VersionDocument(
        repository_id=fields.binary("repository_id", REPOSITORY_ID_BYTES).hex(),
        number=fields.integer("number"),
        parent=fields.optional_integer("parent"),
        previous=fields.optional_binary("previous", 32),
        created_at=check_time(fields.text("created_at"), where),
        finished_at=check_time(fields.text("finished_at"), where),
        state=_one_of(STATES, fields.text("state"), where),
        trigger=_one_of(TRIGGERS, fields.text("trigger"), where),
        kind=_one_of(KINDS, fields.text("kind"), where),
        reason=fields.text("reason"),
        name=fields.text("name"),
        description=fields.text("description"),
        tags=fields.texts("tags"),
        metadata=fields.text_map("metadata"),
        created_by=fields.text("created_by"),
        protected=fields.boolean("protected"),
        source=_parse_source(fields.object("source"), where),
        included=fields.texts("included"),
        excluded=fields.texts("excluded"),
        included_schemas=fields.texts("included_schemas"),
        omissions=_pairs(fields.sequence("omissions"), where),
        entities=_parse_ref(fields.object("entities")),
        schema=_parse_ref(schema) if schema else None,
        records=fields.integer("records"),
        original_bytes=fields.integer("original_bytes"),
        added_bytes=fields.integer("added_bytes"),
        checksum=fields.binary("checksum", 32),
        read=tuple(_parse_read(row, where) for row in fields.sequence("read")),
        packs=tuple(_parse_pack(row, where) for row in fields.sequence("packs")),
    )
    fields.finish()
    _check_history(document, where)
    if any(left.name >= right.name for left, right in itertools.pairwise(document.packs)):
        raise malformed("packs do not ascend", where)
    return document


def _check_history(document: VersionDocument, where: str) -> None:
    """Numbers grow, and there is no hash of a document that is not named."""
    if not 1 <= document.number <= MAX_VERSION_NUMBER:
        raise malformed(f"version number {document.number}", where)
    if document.previous is not None and document.parent is None:
        raise malformed("hash of a document without its number", where)
    if document.parent is not None and not 1 <= document.parent < document.number:
        raise malformed(f"parent {document.parent} of version {document.number}", where)


def _one_of(known: frozenset[str], text: str, where: str) -> str:
    if text not in known:
        raise newer(f"word {text[:40]}", where)
    return text


def _parse_source(fields: Fields, where: str) -> SourceFacts:
    source = SourceFacts(
        url=fields.text("url"),
        database=fields.text("database"),
        server_version=fields.text("server_version"),
        system_identifier=fields.text("system_identifier"),
        encoding=fields.text("encoding"),
        locale=fields.text("locale"),
        extensions=_pairs(fields.sequence("extensions"), where),
        roles=fields.texts("roles"),
    )
    fields.finish()
    return source


def _parse_ref(fields: Fields) -> ValueRef:
    ref = ValueRef(ChunkId(fields.binary("id", CHUNK_ID_BYTES)), fields.boolean("large"))
    fields.finish()
    return ref


def _pairs(rows: Sequence[Json], where: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for row in rows:
        match row:
            case [str(left), str(right)]:
                pairs.append((left, right))
            case _:
                raise malformed("not a pair of texts", where)
    return tuple(pairs)


def _parse_read(row: Json, where: str) -> EntityRead:
    match row:
        case [str(label), str(read_by), str(reason), rows, new] if is_natural(rows) and is_natural(new):
            return EntityRead(label, read_by, reason, rows, new)
        case _:
            raise malformed("receipt of an entity", where)


def _parse_pack(row: Json, where: str) -> PackRef:
    match row:
        case [str(name), stored, chunks, bool(holds_nodes)] if is_natural(stored) and is_natural(chunks):
            if not is_pack_name(name) or not chunks:
                raise malformed("pack of a version", where)
            if stored > MAX_PACK_BYTES or chunks > MAX_PACK_CHUNKS:
                raise over_limit(f"pack of {stored} bytes and {chunks} chunks", where)
            return PackRef(PackName(name), stored, chunks, holds_nodes)
        case _:
            raise malformed("pack of a version", where)
