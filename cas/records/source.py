"""The port through which a snapshot reads a platform, and what it relies on."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from cas.records.marks import Mark
from cas.records.model import Entity, RecordBatch


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tables a version holds. Patterns are `schema.table`, `table` or with `*`; empty = all.

    `schemas` narrows to these schemas; `tables` includes; `exclude` wins over both. A pattern that
    matches nothing is InvalidInput, since a typing error must not make an empty version.
    """

    schemas: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        return not (self.schemas or self.tables or self.exclude)


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """What database this is, for people and for continuity checks."""

    database: str
    server_version: str
    server_version_num: int
    system_identifier: str
    database_oid: int
    encoding: str
    """The server encoding, which is also that of all payload and key bytes."""
    locale: str
    extensions: tuple[tuple[str, str], ...]
    """(name, version) of each installed extension, ascending."""


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that was left out on purpose or could not be read, and why, in words."""

    name: str
    reason: str
    is_failure: bool
    """True where it should have been read (no privilege): the version is then incomplete."""


@dataclass(frozen=True, slots=True)
class SchemaItem:
    """One statement group of the schema dump. `section` is 'pre-data' or 'post-data'."""

    section: str
    type: str
    schema: str
    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class EntityEstimate:
    """What the statistics say before the read: for progress and the check of free space only."""

    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What may have changed in an entity since an earlier moment.

    `batches`: the records written since, perhaps others, ascending by key. `touched`: the keys of all that
    was written or deleted since, ascending, perhaps others, where they are known; None where what was deleted
    has to be found out by counting. Both may be read once. `more`: how many more records there are than there
    were, where the keys are known, or fewer than that: a key that a record left for another one is not among
    those that were touched.
    """

    read_by: str
    """'xmin' or 'capture'."""
    batches: Iterator[RecordBatch]
    touched: Iterator[Sequence[bytes]] | None
    more: int = 0
    reason: str = ""
    """Why it was not a better way, in words."""


class SourceSnapshot(Protocol):
    """One consistent moment of a platform: everything read through it belongs together.

    All readers see the same rows. `finish` proves with a fresh snapshot that nothing that could
    change a row's text has moved since; it raises SourceChanged where it has, and then nothing
    read may be committed.
    """

    @property
    def identity(self) -> SourceIdentity: ...

    @property
    def entities(self) -> Sequence[Entity]:
        """Ascending by (schema, name); sequences and large objects last."""

    @property
    def omissions(self) -> Sequence[Omission]: ...

    def estimate(self, entity: Entity) -> EntityEstimate: ...

    def batches(self, entity: Entity) -> Iterator[RecordBatch]:
        """All records. Raises PermissionDenied naming the table, SourceChanged, TimedOut."""

    def payloads(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        """The payloads of all records of a table as they lie there, which costs half of `batches`: where
        one COPY filled it, in the order in which they were sent. Nothing promises that order."""

    def mark(self) -> Mark:
        """Where in the server's history this moment is."""

    def changed(self, entity: Entity, since: Mark, reader: str) -> Changed | str:
        """What may have changed since the moment of an earlier snapshot, in which the entity had the same
        definition; else why that cannot be told, in words. `reader`: who calls `Source.kept`."""

    def count(self, entity: Entity) -> int:
        """The records of a table."""

    def keys(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        """The keys of all records of a keyed table, ascending, without the records."""

    def schema_items(self) -> Sequence[SchemaItem]:
        """The schema dump of the selected tables, in pg_dump's order."""

    def roles(self) -> Sequence[str]:
        """Names of roles that own or are granted something in the selected part; ascending."""

    def finish(self) -> None: ...


class Source(Protocol):
    """A platform database."""

    @property
    def url(self) -> str:
        """Without password."""

    def snapshot(
        self, selection: Selection, *, allow_incomplete: bool = False
    ) -> AbstractContextManager[SourceSnapshot]:
        """Open one consistent moment. With `allow_incomplete`, tables that may not be read become
        omissions."""

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        """What `reader` has read of these entities at this moment is durable: of what happened before it, it
        will not ask again. Raises as a read does; then later reads cost more, and are right."""
