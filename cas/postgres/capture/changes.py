"""Written keys, and the records under them, read from a log and by the primary key's index.

The keys are put in order by the server, which may use disk for it, and each is looked up: the settings leave
the planner no other way. So a table is read as often as keys were written, however large it is.

A log that is truncated, or dropped and made anew, is empty for snapshots from before. So before it is read
its seal is looked at again, by the same transaction, which from then on keeps the log as it is.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.pq import TransactionStatus

from cas.errors import SourceChanged
from cas.postgres.capture.keys import LogKey
from cas.postgres.capture.naming import SEAL, log_name
from cas.postgres.connecting import server_encoding
from cas.postgres.quoting import column, qualified
from cas.postgres.reading.copying import copied, run
from cas.postgres.reading.selects import ALIAS, key_order, key_text, row_condition, selected_columns
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Table
from cas.postgres.reading.splitting import Splitter
from cas.records.model import EntityKind, KeyPart, RecordBatch

_BEFORE = (
    b"SAVEPOINT cas_captured; SET LOCAL client_encoding = '%b'; SET LOCAL enable_seqscan = off;"
    b" SET LOCAL max_parallel_workers_per_gather = 0"
)
_BACK = b"ROLLBACK TO SAVEPOINT cas_captured; RELEASE SAVEPOINT cas_captured"


@dataclass(frozen=True, slots=True)
class Written:
    """`keys`: how many were noted. `more`: by how many rows the table has grown, or shrunk."""

    keys: int
    more: int


class CapturedChanges:
    """See `cas.records.capture.Captured`. An iterator that is not read to its end must be closed before the
    connection is used again."""

    def __init__(
        self,
        connection: psycopg.Connection,
        table: Table,
        keys: Sequence[LogKey],
        base: str,
        written: Written,
        seal: str,
    ) -> None:
        """`seal`: the transaction that sealed the log."""
        self._connection = connection
        self._table = table
        self._keys = keys
        self._base = base
        self._encoding = server_encoding(connection)
        self._written = written
        self._seal = seal

    @property
    def written(self) -> int:
        return self._written.keys

    @property
    def more(self) -> int:
        return self._written.more

    def on(self, connection: psycopg.Connection) -> "CapturedChanges":
        """The same by another connection of the same snapshot, so that both iterators can run at once."""
        return CapturedChanges(connection, self._table, self._keys, self._base, self._written, self._seal)

    def batches(self) -> Iterator[RecordBatch]:
        return self._split(self._records_statement())

    def keys(self) -> Iterator[Sequence[bytes]]:
        for batch in self._split(self._keys_statement()):
            yield batch.keys

    def _split(self, statement: bytes) -> Iterator[RecordBatch]:
        label = self._table.entity.label
        splitter = Splitter([key.column.part for key in self._keys], label)
        with (
            self._reading(label) as connection,
            closing(copied(connection.pgconn, statement, where=label)) as lists,
        ):
            for rows in lists:
                yield splitter.split(rows)

    @contextmanager
    def _reading(self, where: str) -> Iterator[psycopg.Connection]:
        pgconn = self._connection.pgconn
        run(pgconn, _BEFORE % self._encoding.encode(), where=where)
        try:
            self._require_seal(where)
            yield self._connection
        finally:
            if pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                run(pgconn, _BACK, where=where)

    def _require_seal(self, where: str) -> None:
        statement = b"SELECT xid FROM %b WHERE operation = '%b'" % (self._log, SEAL.encode())
        found = run(self._connection.pgconn, statement, where=where)
        seals = [found.get_value(row, 0) for row in range(found.ntuples)]
        if seals != [self._seal.encode()]:
            raise SourceChanged(
                "the log of changes was emptied while it was read", where=where, hint="Start again"
            )

    @property
    def _log(self) -> bytes:
        return f"{CAPTURE_SCHEMA}.{log_name(self._table.oid)}".encode()

    def _keys_statement(self) -> bytes:
        texts = b", ".join(b"%b AS t%d" % (_text(key), key.number) for key in self._keys)
        order = b", ".join(_order(key, b"d.t%d" % key.number) for key in self._keys)
        names = b", ".join(b"d.t%d" % key.number for key in self._keys)
        return (
            b"COPY (SELECT ''::pg_catalog.text, %b FROM (SELECT DISTINCT %b FROM (%b) AS w) AS d"
            b" ORDER BY %b) TO STDOUT"
            % (
                names,
                texts,
                self._written_keys(),
                order,
            )
        )

    def _records_statement(self) -> bytes:
        """The keys are made distinct as the index tells them apart, so that none finds a record twice. Where
        equal keys are equal to the byte, the order of the keys is that of the records, and only keys are
        sorted."""
        table, encoding, entity = self._table, self._encoding, self._table.entity
        values = b", ".join(
            b"%b AS k%d" % (key.unboxed(b"w.k%d" % key.number), key.number) for key in self._keys
        )
        matching = b" AND ".join(
            b"%b %b cas_key.k%d"
            % (ALIAS + column(key.column.name, encoding), key.equals.encode(), key.number)
            for key in self._keys
        )
        only = b"" if entity.kind is EntityKind.PARTITIONED else b"ONLY "
        is_exact = all(key.is_exact for key in self._keys)
        order = [
            _order(key, b"cas_key.k%d" % key.number) if is_exact else key_order(key.column, encoding)
            for key in self._keys
        ]
        return (
            b"COPY (SELECT %b FROM (SELECT DISTINCT %b FROM (%b) AS w) AS cas_key CROSS JOIN LATERAL"
            b" (SELECT * FROM %b%b AS r%b OFFSET 0) AS r ORDER BY %b) TO STDOUT"
        ) % (
            selected_columns(table, encoding),
            values,
            self._written_keys(),
            only,
            qualified(entity.schema, entity.name, encoding),
            row_condition(table, encoding, matching),
            b", ".join(order),
        )

    def _written_keys(self) -> bytes:
        """All keys that the log has, as often as they stand in it."""
        arrays = [b"pg_catalog.unnest(l.k%d) AS k%d" % (key.number, key.number) for key in self._keys]
        return (
            b"SELECT %b FROM %b AS l WHERE l.operation <> '%b' AND l.k1 IS NOT NULL"
            b" AND NOT pg_catalog.pg_visible_in_snapshot(l.xid, '%b'::pg_catalog.pg_snapshot)"
            % (b", ".join(arrays), self._log, SEAL.encode(), self._base.encode("ascii"))
        )


def _text(key: LogKey) -> bytes:
    """What makes two written keys different: their bytes, whatever the column's collation holds for equal."""
    text = key_text(key.column, key.unboxed(b"w.k%d" % key.number))
    return _order(key, b"(%b)" % text)


def _order(key: LogKey, value: bytes) -> bytes:
    """By what a key's own value, or its text, is put in the order of the key's bytes."""
    return value + b' COLLATE pg_catalog."C"' if key.column.part is KeyPart.TEXT else value
