"""One transaction over some tables of the running platform. The port is `cas.records.live`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress

import psycopg

from cas.errors import CasError, Conflict, ConnectionFailed, NotFound, OutcomeUnknown
from cas.postgres.faults import faults_of
from cas.postgres.live.bags import StagedRows, write_bag
from cas.postgres.live.checking import Written, check_written, remember_referenced
from cas.postgres.live.foreign_keys import database_keys
from cas.postgres.live.marking import condition_since
from cas.postgres.live.quieting import Quiet, restore_voices, silence
from cas.postgres.live.sequences import sequence_values, set_values
from cas.postgres.live.staging import only, table_name, write_keyed
from cas.postgres.live.views import refresh_after, refresh_within
from cas.postgres.quoting import conversation_encoding
from cas.postgres.reading.copying import copied, run
from cas.postgres.reading.identity import identity_of
from cas.postgres.reading.selects import copy_statement
from cas.postgres.reading.shapes import Table
from cas.postgres.reading.splitting import Splitter
from cas.records.live import Applied, Change, Mark, SequenceValue
from cas.records.model import Entity, RecordBatch
from cas.records.source import SourceIdentity

_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)::int8"


class PostgresTransaction:
    """See `cas.records.live.LiveTransaction`. Made by PostgresPlatform, with the locks held."""

    def __init__(self, connection: psycopg.Connection, tables: Sequence[Table], where: str) -> None:
        self._connection = connection
        self._where = where
        self._tables = {(table.entity.schema, table.entity.name): table for table in tables}
        self._identity = identity_of(connection)
        self._encoding = self._identity.encoding
        relations = {oid for table in tables for oid in table.relations}
        roots = {table.oid for table in tables}
        self._keys = [
            key for key in database_keys(connection) if key.child_oid in roots or key.parent_oid in roots
        ]
        self._relations = relations
        self._quiet: Quiet | None = None
        self._written: dict[int, Written] = {}
        self._late: Sequence[str] = ()
        with faults_of(where):
            self._wal = str(connection.execute("SELECT pg_current_wal_insert_lsn()").fetchall()[0][0])

    @property
    def identity(self) -> SourceIdentity:
        return self._identity

    @property
    def entities(self) -> Sequence[Entity]:
        return tuple(table.entity for table in self._tables.values())

    def _table(self, entity: Entity) -> Table:
        table = self._tables.get((entity.schema, entity.name))
        if table is None:
            raise NotFound("not one of the locked tables", where=entity.label)
        return table

    def moved(self, entity: Entity, since: Mark) -> Iterator[RecordBatch] | None:
        if entity.is_bag:
            return None
        condition = condition_since(self._connection, since)
        return None if condition is None else self._copied(self._table(entity), condition)

    def batches(self, entity: Entity) -> Iterator[RecordBatch]:
        return self._copied(self._table(entity))

    def _copied(self, table: Table, narrowed: bytes = b"") -> Iterator[RecordBatch]:
        pgconn, where = self._connection.pgconn, table.entity.label
        splitter = Splitter([key.part for key in table.key], where)
        run(pgconn, b"SET LOCAL client_encoding = '%b'" % self._encoding.encode(), where=where)
        try:
            statement = copy_statement(table, self._encoding, narrowed)
            with closing(copied(pgconn, statement, where=where)) as lists:
                for rows in lists:
                    yield splitter.split(rows)
        finally:
            with suppress(CasError):
                back = conversation_encoding(self._encoding).encode()
                run(pgconn, b"SET LOCAL client_encoding = '%b'" % back, where=where)

    def count(self, entity: Entity) -> int:
        table = self._table(entity)
        condition = b" " + table.condition.encode() if table.condition else b""
        query = b"SELECT count(*) FROM %b%b%b" % (
            only(table),
            table_name(table, self._encoding),
            condition,
        )
        with faults_of(entity.label):
            return int(self._connection.execute(query).fetchall()[0][0])

    def sequences(self) -> Sequence[SequenceValue]:
        return sequence_values(self._connection, sorted(self._relations))

    def apply(self, entity: Entity, changes: Iterable[Change], created: Sequence[str]) -> Applied:
        table = self._table(entity)
        if self._quiet is None:
            self._quiet = silence(self._connection, self._relations, self._keys)
        number = len(self._written)
        if entity.is_bag:
            rows, applied = write_bag(self._connection, table, number, changes, self._encoding)
            self._written[table.oid] = Written(rows, None)
            return applied
        referring = [key for key in self._keys if key.parent_oid == table.oid]
        staged, before, applied = write_keyed(
            self._connection,
            table,
            number,
            changes,
            created,
            self._encoding,
            lambda staged: remember_referenced(self._connection, staged, number, referring, self._encoding),
        )
        self._written[table.oid] = Written(staged, before)
        return applied

    def set_sequences(self, values: Sequence[SequenceValue]) -> None:
        set_values(self._connection, values)

    def check(self) -> None:
        if self._quiet is None:
            return
        if self._quiet.as_replica:
            check_written(self._connection, self._written, self._keys, self._encoding)
        restore_voices(self._connection, self._quiet)
        self._late = refresh_within(self._connection, sorted(self._relations))

    def read_back(self, entity: Entity) -> Iterator[RecordBatch]:
        table = self._table(entity)
        written = self._written.get(table.oid)
        if written is None:
            return iter(())
        staged = written.staged
        if isinstance(staged, StagedRows):
            condition = b"%b IN (SELECT %b FROM %b AS s)" % (
                staged.text(b"r", self._encoding),
                staged.text(b"s", self._encoding),
                staged.name,
            )
        else:
            condition = b"EXISTS (SELECT FROM %b AS s WHERE %b)" % (
                staged.name,
                staged.matches(b"r", self._encoding),
            )
        return self._copied(table, condition)

    def transaction_id(self) -> int:
        with faults_of(self._where):
            return int(self._connection.execute("SELECT pg_current_xact_id()::text").fetchall()[0][0])

    def commit(self) -> Sequence[str]:
        try:
            answer = run(self._connection.pgconn, b"COMMIT", where=self._where)
        except ConnectionFailed as error:
            raise OutcomeUnknown(
                f"the connection was lost during COMMIT: {error.what}",
                where=self._where,
                hint="`cas restores` asks the server what became of it",
            ) from error
        if answer.command_status != b"COMMIT":  # the server ends a failed transaction so, without an error
            raise Conflict("the transaction had failed before COMMIT, and was taken back", where=self._where)
        return refresh_after(self._connection, self._late)

    def wal_bytes(self) -> int:
        with faults_of(self._where):
            return int(self._connection.execute(_WAL, [self._wal]).fetchall()[0][0])

    def cancel(self) -> None:
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=5)
