"""A version's schema and some of its records, put into a throwaway database to be looked at."""

from collections.abc import Iterator, Sequence

from cas.contents import Contents, schema_of
from cas.errors import NotFound, VerificationFailed
from cas.format.entities import EntityEntry
from cas.progress import Progress
from cas.read_ahead import read_ahead
from cas.record_stream import StoredBatch, read_records
from cas.records.model import Entity, EntityKind
from cas.records.payload import pad_with_nulls
from cas.records.scratch import Lack, Scratch
from cas.records.source import SourceIdentity

_TABLES = (EntityKind.TABLE, EntityKind.PARTITIONED)

_REPEATED_LINES = 1000
"""Equal records of a bag that are sent in one buffer."""


def platform_of(contents: Contents) -> SourceIdentity:
    """The platform as a throwaway server should be like it: encoding and locale. The rest is as the
    document tells it, and the server's number is not among that."""
    facts = contents.document.source
    return SourceIdentity(
        database=facts.database,
        server_version=facts.server_version,
        server_version_num=0,
        system_identifier=facts.system_identifier,
        database_oid=0,
        encoding=facts.encoding,
        locale=facts.locale,
        extensions=facts.extensions,
    )


def build_schema(contents: Contents, scratch: Scratch, progress: Progress) -> Sequence[Lack]:
    """Every table of the version, empty; what this server could not build. A version without a schema
    gives tables from their columns alone."""
    progress.phase("schema")
    items = schema_of(contents) if contents.document.schema is not None else ()
    return scratch.build(items, [entry.entity for entry in contents.entries])


def require_records(contents: Contents, entry: EntityEntry) -> None:
    """NotFound where the version holds the definition only."""
    if entry.root is None:
        raise NotFound(
            f"version {contents.document.number} holds no records of {entry.entity.label}",
            hint="It was taken with --schema-only",
        )


def fill(contents: Contents, scratch: Scratch, entry: EntityEntry, progress: Progress) -> None:
    """All records of one entity. VerificationFailed where the server counted others than were sent."""
    entity = entry.entity
    progress.entity(entity.label, entry.records, entry.payload_bytes)
    if entity.kind not in _TABLES:
        payloads = (p for batch in read_records(contents.reader, entry) for p in batch.payloads)
        put = scratch.fill_sequences if entity.kind is EntityKind.SEQUENCES else scratch.fill_large_objects
        put(payloads)
        progress.advance(entity.label, entry.records, entry.payload_bytes)
        return

    def lines() -> Iterator[bytes]:
        for batch in read_ahead(read_records(contents.reader, entry)):
            yield from _lines(batch, entity)
            size = sum(map(len, batch.payloads))
            progress.advance(entity.label, sum(batch.counts) or len(batch.payloads), size)

    counted = scratch.fill(entity, lines())
    if counted != entry.records:
        raise VerificationFailed(
            f"{entity.label}: the server counted {counted} records of {entry.records}", where=scratch.url
        )


def _lines(batch: StoredBatch, entity: Entity) -> Iterator[bytes]:
    """Whole COPY lines, a bag's records as often as they were counted."""
    columns, where = len(entity.columns), entity.label
    lines = [pad_with_nulls(payload, columns, where) + b"\n" for payload in batch.payloads]
    if not batch.counts or max(batch.counts) == 1:
        yield b"".join(lines)
        return
    for line, count in zip(lines, batch.counts, strict=True):
        for at in range(0, count, _REPEATED_LINES):
            yield line * min(_REPEATED_LINES, count - at)
