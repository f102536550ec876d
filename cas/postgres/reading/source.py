"""A platform database as a Source: one transaction, one moment, every record of it.

The way of a row: COPY by libpq (`copying`), key and payload split off in batches (`splitting`); the
statement is made in `selects`, and what there is to read was found by `introspection` under the
locks that `opening` took.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import psycopg

from cas.errors import NotFound, PermissionDenied, SourceChanged
from cas.postgres.capture.changes import CapturedChanges
from cas.postgres.capture.patience import CaptureOptions
from cas.postgres.capture.pruning import prune
from cas.postgres.capture.reading import NO_LOG, captured
from cas.postgres.connecting import ConnectionOptions, connect, shown_url
from cas.postgres.dumping.schema import ROLE
from cas.postgres.dumping.snapshot_schema import SnapshotSchema
from cas.postgres.reading.copying import copied, run
from cas.postgres.reading.estimates import estimates
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.introspection_sequences import sequences_of
from cas.postgres.reading.large_objects import LargeObjects, large_object_batches, survey
from cas.postgres.reading.marking import condition_since, mark_of
from cas.postgres.reading.names import Names, names_shown, renamed
from cas.postgres.reading.obstacles import refusal
from cas.postgres.reading.opening import Opened, Patience, moved_names, open_snapshot
from cas.postgres.reading.readers import Readers
from cas.postgres.reading.selecting import choose_sequences, holds_large_objects, refused_omissions
from cas.postgres.reading.selects import copy_statement, count_statement
from cas.postgres.reading.sequence_reading import sequence_batches
from cas.postgres.reading.shapes import Sequence as DatabaseSequence
from cas.postgres.reading.shapes import Table
from cas.postgres.reading.splitting import Splitter
from cas.records.large_objects import LARGE_OBJECTS
from cas.records.marks import Mark
from cas.records.model import Entity, EntityKind, RecordBatch
from cas.records.sequences import SEQUENCES
from cas.records.source import Changed, EntityEstimate, Omission, SchemaItem, Selection, SourceIdentity


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a platform is read. `pg_dump` names the program; None looks for a fitting one."""

    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    patience: Patience = field(default_factory=Patience)
    pg_dump: Path | None = None


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a snapshot holds besides its tables."""

    sequences: tuple[DatabaseSequence, ...]
    large_objects: LargeObjects | None
    omissions: tuple[Omission, ...]
    names: Names | None
    """Only where rows show names."""


class PostgresSource:
    """A platform database, by its libpq URL."""

    def __init__(self, url: str, options: SourceOptions | None = None) -> None:
        """InvalidInput for a malformed URL. Nothing is connected yet."""
        self._shown = shown_url(url)
        self._url = url
        self._options = options or SourceOptions()

    @property
    def url(self) -> str:
        return self._shown

    @contextmanager
    def snapshot(
        self, selection: Selection, *, allow_incomplete: bool = False
    ) -> Iterator["PostgresSnapshot"]:
        with self.opened(selection, PostgresSnapshot, allow_incomplete=allow_incomplete) as snapshot:
            yield snapshot

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        """Tells change capture, where there is any."""
        tables = [(entity.schema, entity.name) for entity in entities if entity.key]
        options = CaptureOptions(connection=self._options.connection)
        try:
            prune(self._url, reader, mark.snapshot, tables, options)
        except PermissionDenied as error:
            hint = "The owner of the tables allows it: cas capture install --reader ROLE"
            raise PermissionDenied(error.what, where=error.where, hint=hint) from error

    @contextmanager
    def opened(
        self, selection: Selection, kind: type["AnySnapshot"], *, allow_incomplete: bool = False
    ) -> Iterator["AnySnapshot"]:
        """As `snapshot`, with what another kind of snapshot adds to it."""
        options = self._options
        opened = open_snapshot(
            self._url, options.connection, options.patience, selection, allow_incomplete=allow_incomplete
        )
        with closing(Readers(self._url, options.connection, options.patience, opened)) as readers:
            contents = _contents(opened, selection, allow_incomplete=allow_incomplete)
            yield kind(self._url, options, selection, opened, contents, readers)


class PostgresSnapshot:
    """One consistent moment of a platform. Made by PostgresSource; ends with its context.

    Reads may run at the same time, in any number of threads: each beyond the first has a connection
    of its own.
    """

    def __init__(
        self,
        url: str,
        options: SourceOptions,
        selection: Selection,
        opened: Opened,
        contents: _Contents,
        readers: Readers,
    ) -> None:
        self._url = url
        self._options = options
        self._opened = opened
        self._contents = contents
        self._readers = readers
        self._tables = {table.entity: table for table in opened.chosen.tables}
        self._tables_by_name = {(entity.schema, entity.name): t for entity, t in self._tables.items()}
        self._estimates: dict[int, EntityEstimate] | None = None
        self._schema = SnapshotSchema(
            url, options.connection, options.patience, options.pg_dump, opened, selection, readers
        )
        self._entities: tuple[Entity, ...] = tuple(self._tables)
        if contents.sequences:
            self._entities += (SEQUENCES,)
        if contents.large_objects is not None:
            self._entities += (LARGE_OBJECTS,)

    @property
    def identity(self) -> SourceIdentity:
        return self._opened.identity

    @property
    def entities(self) -> Sequence[Entity]:
        return self._entities

    @property
    def omissions(self) -> Sequence[Omission]:
        return (*self._contents.omissions, *self._schema.omissions)

    def estimate(self, entity: Entity) -> EntityEstimate:
        """NotFound for an entity that is not of this snapshot."""
        if entity.kind is EntityKind.SEQUENCES:
            return EntityEstimate(len(self._contents.sequences), 32 * len(self._contents.sequences))
        if entity.kind is EntityKind.LARGE_OBJECTS:
            objects = self._contents.large_objects
            return EntityEstimate(objects.count, objects.bytes) if objects else EntityEstimate(0, 0)
        if self._estimates is None:
            with self._readers.asking("statistics") as connection:
                self._estimates = estimates(connection, self._opened.chosen.tables)
        return self._estimates.get(self._table(entity).oid, EntityEstimate(0, 0))

    def batches(self, entity: Entity) -> Generator[RecordBatch, None, None]:
        """All records of an entity of this snapshot, or of one that differs from it only in the order
        of its columns (and in defaults and the like); payloads follow that order then. NotFound for any
        other. An iterator that is not read to its end must be closed (or dropped) before the snapshot
        ends."""
        encoding = self.identity.encoding
        with self._readers.reading(entity.label) as connection:
            if entity.kind is EntityKind.SEQUENCES:
                yield from sequence_batches(connection, self._contents.sequences, encoding)
            elif entity.kind is EntityKind.LARGE_OBJECTS:
                assert self._contents.large_objects is not None, "the entity is of this snapshot"
                yield from large_object_batches(connection, self._contents.large_objects)
            else:
                yield from self._rows(connection, self._table(entity))

    def _rows(
        self, connection: psycopg.Connection, table: Table, narrowed: bytes = b""
    ) -> Generator[RecordBatch, None, None]:
        where = table.entity.label
        splitter = Splitter([column.part for column in table.key], where)
        statement = copy_statement(table, self.identity.encoding, narrowed)
        with closing(copied(connection.pgconn, statement, where=where)) as lists:
            for rows in lists:
                yield splitter.split(rows)

    def mark(self) -> Mark:
        with self._readers.asking("the moment") as connection:
            return mark_of(connection)

    def changed(self, entity: Entity, since: Mark, reader: str) -> Changed | str:
        """By the keys that change capture has noted; else by the xmin of rows."""
        if entity.kind in (EntityKind.SEQUENCES, EntityKind.LARGE_OBJECTS):
            return "always read whole"
        table = self._table(entity)
        if table.why_always_whole:
            return table.why_always_whole
        with self._readers.asking(entity.label) as connection:
            noted = captured(connection, table, since.snapshot, reader)
            if not isinstance(noted, str):
                return Changed("capture", self._noted_records(noted), self._noted_keys(noted), noted.more)
            condition = condition_since(connection, since, table.relations)
        if isinstance(condition, str):
            return condition
        return Changed(
            "xmin",
            self._written(table, condition),
            None,
            reason="" if noted == NO_LOG else f"capture: {noted}",
        )

    def _noted_records(self, noted: CapturedChanges) -> Generator[RecordBatch, None, None]:
        with self._readers.asking("captured records") as connection:
            yield from noted.on(connection).batches()

    def _noted_keys(self, noted: CapturedChanges) -> Generator[Sequence[bytes], None, None]:
        with self._readers.asking("captured keys") as connection:
            yield from noted.on(connection).keys()

    def _written(self, table: Table, condition: bytes) -> Generator[RecordBatch, None, None]:
        with self._readers.reading(table.entity.label) as connection:
            yield from self._rows(connection, table, condition)

    def count(self, entity: Entity) -> int:
        table = self._table(entity)
        with self._readers.reading(entity.label) as connection:
            statement = count_statement(table, self.identity.encoding)
            result = run(connection.pgconn, statement, where=entity.label)
            return int(result.get_value(0, 0) or b"0")

    def keys(self, entity: Entity) -> Generator[Sequence[bytes], None, None]:
        table = self._table(entity)
        bare = replace(table, entity=replace(table.entity, columns=()))
        with self._readers.reading(entity.label) as connection:
            for batch in self._rows(connection, bare):
                yield batch.keys

    def payloads(self, entity: Entity) -> Generator[Sequence[bytes], None, None]:
        """See `cas.records.source`; as for `batches`, columns may stand in another order."""
        table = replace(self._table(entity), key=())
        splitter = Splitter((), entity.label)
        with self._readers.as_they_lie(entity.label) as connection:
            statement = copy_statement(table, self.identity.encoding)
            with closing(copied(connection.pgconn, statement, where=entity.label)) as lists:
                for rows in lists:
                    yield splitter.split(rows).payloads

    def schema_items(self) -> Sequence[SchemaItem]:
        """By pg_dump, at the first call. Raises SourceChanged where somebody waits to alter a table,
        Unsupported where no pg_dump fits. What the selection makes impossible (foreign keys to tables
        outside, views on them) is left out, and is in `omissions` from then on."""
        return self._schema.items()

    def roles(self) -> Sequence[str]:
        """The roles that the schema needs: they own something in it, or are granted something."""
        return [item.name for item in self.schema_items() if item.type == ROLE]

    def finish(self) -> None:
        """With a fresh snapshot: the tables are as they were when the read began, and so is every type
        and name that their rows' text depends on. Tables that are new do not matter."""
        with closing(connect(self._url, self._options.connection)) as connection:
            now = {table.oid: table for table in introspect(connection).tables}
            before = [replace(table.without_defaults, obstacle=None) for table in self._opened.chosen.tables]
            after = [replace(now[table.oid], obstacle=None) for table in before if table.oid in now]
            moved = moved_names(before, after)
            if self._contents.names is not None:
                moved += renamed(self._contents.names, names_shown(connection))
        if moved:
            raise SourceChanged(
                "the text of rows may have changed during the read",
                where=", ".join(moved[:5]),
                hint="A type, a name or a partition moved; start again",
            )

    def _table(self, entity: Entity) -> Table:
        """The table of an entity, read with the columns in the entity's order: that of a restored table
        may differ from what it was, below an inheritance parent that got a column late."""
        table = self._tables.get(entity) or self._tables_by_name.get((entity.schema, entity.name))
        own = table.entity if table is not None else None
        if (
            table is None
            or own is None
            or (own.kind, own.key) != (entity.kind, entity.key)
            or _shape(own) != _shape(entity)
        ):
            raise NotFound("not an entity of this snapshot", where=entity.label)
        return replace(table, entity=entity)


AnySnapshot = TypeVar("AnySnapshot", bound=PostgresSnapshot)


def _shape(entity: Entity) -> set[tuple[str, str]]:
    return {(column.name, column.type) for column in entity.columns}


def _contents(opened: Opened, selection: Selection, *, allow_incomplete: bool) -> _Contents:
    """Sequences and large objects of the selection. PermissionDenied where some may not be read."""
    connection, chosen = opened.connection, opened.chosen
    wanted = choose_sequences(sequences_of(connection), selection, chosen)
    refused = chosen.refusals
    refused += [(s.label, s.obstacle) for s in wanted if s.obstacle is not None]
    objects = survey(connection) if holds_large_objects(selection) else None
    if objects is not None and objects.obstacle is not None:
        refused.append(objects.obstacle)
    if refused and not allow_incomplete:
        raise refusal(refused)
    return _Contents(
        sequences=tuple(sequence for sequence in wanted if sequence.obstacle is None),
        large_objects=objects if objects is not None and objects.count else None,
        omissions=(*chosen.omissions, *refused_omissions(refused)),
        names=names_shown(connection) if any(table.shows_names for table in chosen.tables) else None,
    )
