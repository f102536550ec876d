"""One written table, as its constraints are checked: its rows now, and what it held before."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from cas.postgres.live.bags import StagedRows
from cas.postgres.live.foreign_keys import DatabaseKey
from cas.postgres.live.staging import Staged, only, table_name
from cas.postgres.quoting import column

PART = b'"cas part"'
"""In `Written.rows`: the relation that a row lies in."""


@dataclass(frozen=True, slots=True)
class Written:
    """One written table: which rows, and the temporary table of values that were there before, if any of them
    matter."""

    staged: Staged | StagedRows
    before: bytes | None

    def table(self, encoding: str) -> bytes:
        """Its name, with ONLY where it is no partitioned one."""
        return only(self.staged.table) + table_name(self.staged.table, encoding)

    def is_written(self, row: bytes, encoding: str) -> bytes:
        """The condition that a row of the table was written, or equals one that was."""
        staged = self.staged
        if isinstance(staged, StagedRows):
            return staged.those(row, encoding, gone=False)
        return b"EXISTS (SELECT FROM %b AS s WHERE %b)" % (staged.name, staged.matches(row, encoding))

    def rows(self, encoding: str, partition: int | None = None) -> bytes:
        """A subquery of the rows that were written and are there; of this partition alone, where one is
        named."""
        within = (
            b" AND r.tableoid IN (SELECT relid FROM pg_partition_tree(%d::oid::regclass))" % partition
            if partition is not None
            else b""
        )
        return b"(SELECT r.*, r.tableoid AS %b FROM %b AS r WHERE %b%b)" % (
            PART,
            self.table(encoding),
            self.is_written(b"r", encoding),
            within,
        )

    def had_before(self, row: bytes, columns: Sequence[str], encoding: str) -> bytes:
        """The condition that a row that went had the same values in these columns as this one."""
        if self.before is None:
            return b"false"
        old, new = (
            b", ".join(alias + b"." + column(name, encoding) for name in columns) for alias in (b"o", row)
        )
        return b"EXISTS (SELECT FROM %b AS o WHERE ROW(%b)::text = ROW(%b)::text)" % (self.before, old, new)


def remember(
    connection: psycopg.Connection,
    staged: Staged | StagedRows,
    number: int,
    keys: Sequence[DatabaseKey],
    encoding: str,
) -> bytes | None:
    """Before the deletion: the values, of rows that go, that others may refer to, and those that refer by a
    key that is NOT VALID. `keys`: the foreign keys of the database. The temporary table's name, or None where
    nothing has to be known."""
    relations = staged.table.relations
    names = {name for key in keys if key.parent_oid in relations for name in key.key.referenced}
    unproven = [key for key in keys if key.child_oid in relations and not key.is_validated]
    names |= {name for key in unproven for name in key.key.columns}
    if not names:
        return None
    if isinstance(staged, StagedRows):
        condition = staged.those(b"r", encoding, gone=True)
    else:
        condition = b"EXISTS (SELECT FROM %b AS s WHERE s.gone AND %b)" % (
            staged.name,
            staged.matches(b"r", encoding),
        )
    connection.execute(
        b"CREATE TEMPORARY TABLE cas_before_%d ON COMMIT DROP AS SELECT %b FROM %b%b AS r WHERE %b"
        % (
            number,
            b", ".join(b"r." + column(name, encoding) for name in sorted(names)),
            only(staged.table),
            table_name(staged.table, encoding),
            condition,
        )
    )
    connection.execute(b"ANALYZE pg_temp.cas_before_%d" % number)
    return b"pg_temp.cas_before_%d" % number
