"""The columns of a primary key as a log holds them: typed, so that no setting of the writer changes a key."""

from dataclasses import dataclass

import psycopg

from cas.postgres.capture.naming import box_name
from cas.postgres.faults import faults_of
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, KeyColumn, Table
from cas.records.model import KeyPart

LONGEST_KEY = 1000
"""Bytes of one key's text. Longer ones are not noted, but that they were written: a statement's array must
not become so large that the platform's statement fails for it."""

# What equality is, a B-tree tells by the strategy's number. A key WITHOUT OVERLAPS is a GiST index, whose
# numbers are each operator class's own.
_COLUMNS = """
SELECT a.attname::text, format_type(t.oid, -1), t.typarray <> 0 AND t.typcategory <> 'A', t.typlen > 0,
       t.typcategory::text,
       CASE WHEN a.attcollation <> 0 THEN quote_ident(n.nspname) || '.' || quote_ident(l.collname) END,
       coalesce(l.collisdeterministic, true), format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS u(number, class, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_namespace n ON n.oid = l.collnamespace
JOIN pg_opclass k ON k.oid = u.class JOIN pg_am m ON m.oid = k.opcmethod
JOIN pg_amop p ON p.amopfamily = k.opcfamily
              AND p.amoplefttype = k.opcintype AND p.amoprighttype = k.opcintype
JOIN pg_operator o ON o.oid = p.amopopr JOIN pg_namespace s ON s.oid = o.oprnamespace
WHERE i.indrelid = %s AND i.indisprimary AND u.place <= i.indnkeyatts
  AND CASE WHEN m.amname = 'btree' THEN p.amopstrategy = 3 ELSE o.oprname = '=' END
ORDER BY u.place
"""


@dataclass(frozen=True, slots=True)
class LogKey:
    """One column of a key. `type_sql` and `collation_sql` are SQL; `equals` is the index's own operator.

    is_boxed: arrays of its type are not what they seem (it is an array itself, or a domain over one), so each
    value is in a row of its own type. is_exact: what the index holds for equal is equal in every byte.
    """

    number: int
    column: KeyColumn
    type_sql: str
    collation_sql: str
    equals: str
    is_boxed: bool
    is_fixed: bool
    category: str
    is_exact: bool

    @property
    def collate(self) -> str:
        return f" COLLATE {self.collation_sql}" if self.collation_sql else ""

    def box_sql(self, oid: int) -> str:
        return f"{CAPTURE_SCHEMA}.{box_name(oid, self.number)}"

    def array_sql(self, oid: int) -> str:
        """The type of the log's column, with its collation."""
        return f"{self.box_sql(oid)}[]" if self.is_boxed else f"{self.type_sql}[]{self.collate}"

    def unboxed(self, value: bytes) -> bytes:
        """The key column's value in an element of the log's array."""
        return b"(%b).value" % value if self.is_boxed else value

    def length_sql(self, value: str) -> str:
        """How long a value's text is; empty where that cannot be too much."""
        if self.is_fixed:
            return ""
        if self.category == "S":
            return f"pg_catalog.octet_length({value}::pg_catalog.text)"
        return f"pg_catalog.octet_length(pg_catalog.format('%s', {value}))"


def log_keys(connection: psycopg.Connection, table: Table) -> tuple[LogKey, ...]:
    """The key's columns in the index's order."""
    with faults_of(table.entity.label):
        rows = connection.execute(_COLUMNS, [table.oid]).fetchall()
    keys = []
    for number, (column, row) in enumerate(zip(table.key, rows, strict=True), 1):
        name, type_sql, has_array, is_fixed, category, collation, is_deterministic, equals = row
        assert name == column.name, "both are read in the order of the index"
        is_exact = column.part is not KeyPart.TEXT or (column.sorts_as_text and is_deterministic)
        keys.append(
            LogKey(
                number=number,
                column=column,
                type_sql=type_sql,
                collation_sql=collation or "",
                equals=equals,
                is_boxed=not has_array,
                is_fixed=is_fixed,
                category=category,
                is_exact=is_exact,
            )
        )
    return tuple(keys)
