"""Writing changes of a table without a primary key: rows are found by what they hold.

The text of a whole row says as much as its COPY line: both are made of the same output functions, quoted so
that no two different rows read alike. So rows that shall go are matched by it, and as many of equal ones
are deleted as the plan says.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import psycopg

from cas.errors import Conflict
from cas.postgres.filling.faults import refusal
from cas.postgres.live.staging import insert_rows, only, send, table_name
from cas.postgres.quoting import column
from cas.postgres.reading.shapes import Table
from cas.records.live import Applied, Change
from cas.records.payload import TAB, pad_with_nulls

COPIES, GONE = "cas copies", "cas gone"
"""Columns of the temporary table beside the table's own."""


@dataclass(frozen=True, slots=True)
class StagedRows:
    """A temporary table of whole rows that come or go, with how many of each."""

    table: Table
    name: bytes

    def text(self, row: bytes, encoding: str) -> bytes:
        """The text of a whole row."""
        columns = b", ".join(row + b"." + column(c.name, encoding) for c in self.table.entity.columns)
        return b"ROW(%b)::pg_catalog.text" % columns

    def those(self, row: bytes, encoding: str, *, gone: bool) -> bytes:
        """The condition that a row of the entity equals one that goes, or one that comes."""
        return b'%b IN (SELECT %b FROM %b AS s WHERE %bs."%b")' % (
            self.text(row, encoding),
            self.text(b"s", encoding),
            self.name,
            b"" if gone else b"NOT ",
            GONE.encode(),
        )


def write_bag(
    connection: psycopg.Connection,
    table: Table,
    number: int,
    changes: Iterable[Change],
    encoding: str,
    remember: Callable[[StagedRows], bytes | None],
) -> tuple[StagedRows, bytes | None, Applied]:
    """Apply changes of a bag. `changes` is gone through several times; `remember` is as in `write_keyed`."""
    entity = table.entity
    try:
        staged = _staged(connection, table, number, changes, encoding)
        before = remember(staged)
        gone = _deleted(connection, staged, encoding)
        expected = sum(one.count for one in changes if one.after is None)
        if gone != expected:
            raise Conflict(
                f"{gone} rows were deleted where the plan has {expected}",
                where=entity.label,
                hint="Nothing was changed. Make a new plan",
            )
        fresh = insert_rows(connection, entity, _repeated(changes), encoding)
    except psycopg.Error as error:
        where = (error.diag.context or "").partition("\n")[0] or entity.label
        raise refusal(error, doing=f"writing {entity.label}", where=where) from error
    return staged, before, Applied(fresh, 0, gone)


def _staged(
    connection: psycopg.Connection, table: Table, number: int, changes: Iterable[Change], encoding: str
) -> StagedRows:
    staged = StagedRows(table, b"pg_temp.cas_touched_%d" % number)
    columns = [column(c.name, encoding) for c in table.entity.columns]
    own = [b'0::int8 AS "%b"' % COPIES.encode(), b'false AS "%b"' % GONE.encode()]
    connection.execute(
        b"CREATE TEMPORARY TABLE %b ON COMMIT DROP AS SELECT %b FROM %b WITH NO DATA"
        % (
            staged.name.removeprefix(b"pg_temp."),
            b", ".join([*columns, *own]),
            table_name(table, encoding),
        )
    )
    width = len(columns)
    lines = (
        TAB.join(
            [
                *([pad_with_nulls(_row(one), width)] if width else []),
                b"%d" % one.count,
                b"t" if one.after is None else b"f",
            ]
        )
        + b"\n"
        for one in changes
    )
    with connection.cursor() as cursor:
        send(cursor, b"COPY %b FROM STDIN WITH (ENCODING '%b')" % (staged.name, encoding.encode()), lines)
    connection.execute(b"ANALYZE " + staged.name)
    return staged


def _row(one: Change) -> bytes:
    found = one.before if one.after is None else one.after
    assert found is not None, "a change of a bag is a record that comes or goes"
    return found


def _deleted(connection: psycopg.Connection, staged: StagedRows, encoding: str) -> int:
    table = only(staged.table) + table_name(staged.table, encoding)
    statement = b"""
        DELETE FROM %b AS r USING (
            SELECT m.place, m.part FROM (
                SELECT t.ctid AS place, t.tableoid AS part, s."%b" AS copies,
                       row_number() OVER (PARTITION BY s.ctid) AS number
                FROM %b AS t JOIN %b AS s ON s."%b" AND %b = %b) AS m
            WHERE m.number <= m.copies) AS d
        WHERE r.ctid = d.place AND r.tableoid = d.part
    """ % (
        table,
        COPIES.encode(),
        table,
        staged.name,
        GONE.encode(),
        staged.text(b"t", encoding),
        staged.text(b"s", encoding),
    )
    return connection.execute(statement).rowcount


def _repeated(changes: Iterable[Change]) -> Iterator[bytes]:
    for one in changes:
        if one.after is not None:
            for _ in range(one.count):
                yield one.after
