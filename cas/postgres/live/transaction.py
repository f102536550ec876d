"""One transaction over some tables of the running platform. The port is `cas.records.live`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress

import psycopg
from psycopg.pq import ConnStatus

from cas.errors import CasError, Conflict, ConnectionFailed, NotFound, OutcomeUnknown
from cas.postgres.capture.reading import is_quiet
from cas.postgres.faults import faults_of
from cas.postgres.live.bags import StagedRows, write_bag
from cas.postgres.live.checking import check_keys
from cas.postgres.live.foreign_keys import database_keys
from cas.postgres.live.quieting import Quiet, end_silence, restore_voices, silence
from cas.postgres.live.sequences import sequence_values, set_values
from cas.postgres.live.staging import Staged, only, table_name, write_keyed
from cas.postgres.live.uniqueness import check_unique
from cas.postgres.live.views import refresh_after, refresh_within
from cas.postgres.live.written import Written, remember
from cas.postgres.quoting import conversation_encoding
from cas.postgres.reading.copying import copied, run
from cas.postgres.reading.identity import identity_of
from cas.postgres.reading.marking import condition_since, mark_of
from cas.postgres.reading.selects import copy_statement
from cas.postgres.reading.shapes import Table
from cas.postgres.reading.splitting import Splitter
from cas.records.live import Applied, Change, Noted, SequenceValue
from cas.records.marks import Mark
from cas.records.model import Entity, RecordBatch
from cas.records.source import SourceIdentity

_HAS_WRITTEN = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)::int8"


class PostgresTransaction:
    """See `cas.records.live.LiveTransaction`. Made by PostgresPlatform, with the locks held."""

    def __init__(
        self,
        connection: psycopg.Connection,
        tables: Sequence[Table],
        beside: Sequence[Table],
        where: str,
        patience: float,
    ) -> None:
        """`tables` may be written, those `beside` only looked at. `patience`: seconds that a view waits for
        its lock, once all is committed."""
        self._connection = connection
        self._where = where
        self._patience = patience
        self._tables = {(table.entity.schema, table.entity.name): table for table in (*tables, *beside)}
        self._identity = identity_of(connection)
        self._encoding = self._identity.encoding
        relations = {oid for table in tables for oid in table.relations}
        self._keys = [
            key
            for key in database_keys(connection)
            if key.child_oid in relations or key.parent_oid in relations
        ]
        self._relations = relations
        self._quiet: Quiet | None = None
        self._number = 0
        self._written: dict[int, Written] = {}
        self._late: Sequence[str] = ()
        with faults_of(where):
            self._wal = str(connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchall()[0][0])

    @property
    def identity(self) -> SourceIdentity:
        return self._identity

    @property
    def entities(self) -> Sequence[Entity]:
        return tuple(table.entity for table in self._tables.values())

    def _table(self, entity: Entity) -> Table:
        table = self._tables.get((entity.schema, entity.name))
        if table is None:
            raise NotFound("not a table of this transaction", where=entity.label)
        return table

    def mark(self) -> Mark:
        with faults_of(self._where):
            (has_written,) = self._connection.execute(_HAS_WRITTEN).fetchall()[0]
        if has_written:  # a snapshot does not name its own transaction as one that still runs
            raise AssertionError("the moment is asked for before anything is written")
        return mark_of(self._connection)

    def moved(self, entity: Entity, since: Mark) -> Iterator[RecordBatch] | None:
        table = self._table(entity)
        if table.changes_unwritten:
            return None
        condition = condition_since(self._connection, since, table.relations)
        return None if isinstance(condition, str) else self._copied(table, condition)

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

    def is_as_it_was(self, entity: Entity, since: Mark, records: int, noted: Noted | None) -> bool:
        table = self._table(entity)
        if noted is not None and is_quiet(self._connection, table, noted.base, since, noted.reader):
            return True
        if table.changes_unwritten:
            return False
        condition = condition_since(self._connection, since, table.relations)
        if isinstance(condition, str):
            return False
        query = b"SELECT count(*), count(*) FILTER (WHERE %b) FROM %b%b AS r%b" % (
            condition,
            only(table),
            table_name(table, self._encoding),
            b" " + table.condition.encode() if table.condition else b"",
        )
        with faults_of(entity.label):
            return self._connection.execute(query).fetchall()[0] == (records, 0)

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
        self._silenced()
        table, connection, encoding = self._table(entity), self._connection, self._encoding
        self._number += 1
        number = self._number

        def before_deletion(staged: Staged | StagedRows) -> bytes | None:
            return remember(connection, staged, number, self._keys, encoding)

        written: Written
        if entity.is_bag:
            rows, before, applied = write_bag(connection, table, number, changes, encoding, before_deletion)
            written = Written(rows, before)
        else:
            staged, before, applied = write_keyed(
                connection, table, number, changes, created, encoding, before_deletion
            )
            written = Written(staged, before)
        self._written |= dict.fromkeys(table.relations, written)
        return applied

    def _silenced(self) -> Quiet:
        if self._quiet is None:
            self._quiet = silence(self._connection, self._relations, self._keys)
        return self._quiet

    def set_sequences(self, changes: Sequence[tuple[SequenceValue, SequenceValue]]) -> None:
        self._silenced()
        set_values(self._connection, changes)

    def check(self) -> None:
        quiet = self._quiet
        if quiet is None:
            return
        if quiet.as_replica:
            check_keys(self._connection, self._written, self._keys, self._encoding)
            check_unique(self._connection, self._written, self._encoding)
        else:  # adding a key that is NOT VALID looks at no row
            unproven = [key for key in self._keys if not key.is_validated]
            check_keys(self._connection, self._written, unproven, self._encoding)
        restore_voices(self._connection, quiet)
        self._late = refresh_within(self._connection, sorted(self._relations))
        end_silence(self._connection, quiet)

    def read_back(self, entity: Entity) -> Iterator[RecordBatch]:
        table = self._table(entity)
        written = self._written.get(table.oid)
        if written is None:
            return iter(())
        condition = written.is_written(b"r", self._encoding)
        if isinstance(written.staged, StagedRows):
            gone = written.staged.those(b"r", self._encoding, gone=True)
            condition = b"(%b OR %b)" % (condition, gone)
        return self._copied(table, condition)

    def transaction_id(self) -> int:
        with faults_of(self._where):
            return int(self._connection.execute("SELECT pg_current_xact_id()::text").fetchall()[0][0])

    def commit(self) -> Sequence[str]:
        try:
            answer = run(self._connection.pgconn, b"COMMIT", where=self._where)
        except CasError as error:
            was_answered = error.__cause__ is None and not isinstance(error, ConnectionFailed)
            if was_answered and self._connection.pgconn.status == ConnStatus.OK:
                raise
            raise OutcomeUnknown(
                f"the connection was lost during COMMIT: {error.what}",
                where=self._where,
                hint="`cas restores` asks the server what became of it",
            ) from error
        if answer.command_status != b"COMMIT":  # the server ends a failed transaction so, without an error
            raise Conflict("the transaction had failed before COMMIT, and was taken back", where=self._where)
        return refresh_after(self._connection, self._late, self._patience)

    def wal_bytes(self) -> int:
        with faults_of(self._where):
            return int(self._connection.execute(_WAL, [self._wal]).fetchall()[0][0])

    def cancel(self) -> None:
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=5)
