"""What a version holds, as the operations speak of it: entities by label, the schema's items."""

from dataclasses import dataclass

from cas.catalog.model import EntitySummary
from cas.engine.chunk_reader import ChunkReader
from cas.engine.repository import Repository
from cas.errors import NotFound
from cas.format.document import EntityRead, VersionDocument
from cas.format.entities import EntityEntry, version_checksum
from cas.format.malformed import mismatch
from cas.format.schema import parse_schema
from cas.ids import CHUNK_ID_BYTES, ChunkId, ChunkKind
from cas.records.files import FILE_ENCODING
from cas.records.model import OF_THE_DATABASE, Entity
from cas.records.source import SchemaItem


@dataclass(frozen=True, slots=True)
class Contents:
    """An open version: its document, its entities, and the reader that gives its chunks."""

    document: VersionDocument
    entries: tuple[EntityEntry, ...]
    reader: ChunkReader

    def encoding(self, entity: Entity) -> str:
        """Of an entity's texts. What a file system names is shown as UTF-8, whatever the database's is."""
        return self.document.source.encoding if entity.kind in OF_THE_DATABASE else FILE_ENCODING

    def entry(self, label: str) -> EntityEntry:
        """The entity with this label; the bare table name will do where only one schema has it."""
        exact = [entry for entry in self.entries if entry.entity.label == label]
        matches = exact or [entry for entry in self.entries if entry.entity.name == label]
        if len(matches) == 1:
            return matches[0]
        labels = ", ".join(sorted(entry.entity.label for entry in matches or self.entries)[:8])
        if matches:
            raise NotFound(f"more than one entity is called {label}", hint=f"Name one of: {labels}")
        raise NotFound(f"version {self.document.number} holds no entity {label}", hint=f"It holds: {labels}")


def open_contents(repository: Repository, number: int, reader: ChunkReader | None = None) -> Contents:
    """Open a version. NotFound; CorruptData where what it holds does not fit its checksum."""
    document = repository.document(number)
    chunks = reader or repository.reader()
    entries = repository.entities(document, chunks)
    if version_checksum(entries) != document.checksum:
        raise mismatch("the entities do not fit the version's checksum", f"version {number}")
    return Contents(document, entries, chunks)


def summary_of(entry: EntityEntry, read: EntityRead) -> EntitySummary:
    """What the catalog keeps of an entity of a version."""
    return EntitySummary(
        label=read.label,
        kind=entry.entity.kind.value,
        root=entry.root or ChunkId(bytes(CHUNK_ID_BYTES)),
        records=entry.records,
        payload_bytes=entry.payload_bytes,
        checksum=entry.checksum,
        read_by=read.read_by,
        read_reason=read.reason,
        rows_read=read.rows,
        new_chunks=read.new_chunks,
    )


def schema_of(contents: Contents) -> tuple[SchemaItem, ...]:
    """The schema's items; NotFound where the version holds data only."""
    if contents.document.schema is None:
        raise NotFound(
            f"version {contents.document.number} holds no schema", hint="It was taken with --data-only"
        )
    return parse_schema(contents.reader.value(contents.document.schema, ChunkKind.DEFINITION), "schema")
