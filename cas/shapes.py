"""What an entity looked like in many versions, without opening them all.

The catalog keeps a checksum of each entity of each version, and it covers columns, key, root and
count. So a shape that was read in one version is proven for another one by computing its checksum: only
where that does not fit, the version's document and its list of entities are read.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from cas.catalog.model import EntityRoot, VersionRoots
from cas.engine.chunk_reader import ChunkReader
from cas.engine.repository import Repository
from cas.format.document import VersionDocument
from cas.format.entities import EntityEntry
from cas.format.malformed import mismatch
from cas.records.encodings import decode_text
from cas.records.files import FILE_ENCODING, SEEN
from cas.records.model import OF_THE_DATABASE, Entity, EntityKind
from cas.records.values import values_of


@dataclass(frozen=True, eq=False)
class Shape:
    """How records of an entity are read: its columns and its key, and the encoding of its texts. There is
    one object of each, so that they are compared by identity."""

    entity: Entity
    encoding: str

    @cached_property
    def columns(self) -> dict[str, str]:
        """Column name -> type, in the order of the fields."""
        return {column.name: column.type for column in self.entity.columns}

    @cached_property
    def face(self) -> tuple[object, ...]:
        """Equal where equal bytes are equal records."""
        return (self.encoding, *self.columns.items())

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Columns that say nothing of the record itself."""
        return frozenset((SEEN,)) if self.entity.kind is EntityKind.FILES else frozenset()

    def texts(self, payload: bytes) -> dict[str, str | None]:
        """Column name -> text of a record of this shape, without what is hidden."""
        values = values_of(self.entity, payload)
        return {
            name: None if value is None else decode_text(value, self.encoding)
            for name, value in zip(self.columns, values, strict=True)
            if name not in self.hidden
        }


def _encoding(entity: Entity, of_database: str) -> str:
    return of_database if entity.kind in OF_THE_DATABASE else FILE_ENCODING


class Shapes:
    """The shapes of one entity. Each is read once, and each source's encoding: a database keeps it."""

    def __init__(self, repository: Repository, reader: ChunkReader) -> None:
        self._repository = repository
        self._reader = reader
        self._entries: list[EntityEntry] = []
        """One of each shape, the one that was needed last at the end."""
        self._encodings: dict[tuple[str, str], str] = {}
        self._shapes: dict[tuple[int, str], Shape] = {}

    def shape(self, version: VersionRoots, held: EntityRoot) -> Shape:
        """The shape that `held` had in this version. NotFound, CorruptData, Unsupported or Conflict where
        what says so cannot be read."""
        source = version.source_system_identifier, version.source_database
        entry = self._known(held)
        if entry is None or source not in self._encodings:
            document = self._repository.document(version.number)
            self._encodings[source] = document.source.encoding
            entry = entry or self._read(document, held)
        encoding = self._encodings[source]
        return self._shapes.setdefault(
            (id(entry), encoding), Shape(entry.entity, _encoding(entry.entity, encoding))
        )

    def _known(self, held: EntityRoot) -> EntityEntry | None:
        """The entry of a known shape that has this checksum with this root."""
        for entry in reversed(self._entries):
            if replace(entry, root=held.root, records=held.records).checksum == held.checksum:
                if entry is not self._entries[-1]:
                    self._entries.remove(entry)
                    self._entries.append(entry)
                return entry
        return None

    def _read(self, document: VersionDocument, held: EntityRoot) -> EntityEntry:
        for entry in self._repository.entities(document, self._reader):
            if entry.checksum == held.checksum:
                self._entries.append(entry)
                return entry
        raise mismatch(
            f"the version's list of entities has no {held.label} as the catalog knows it",
            f"version {document.number}",
        )
