"""A whole platform, read naively: every row of every table, by plain queries."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from tests.live.shapes import Key, Shape, Table, Text

Row = tuple[Text, ...]
Rows = Counter[Row]


@dataclass(frozen=True)
class Moment:
    """`tables`: rows by label, of the columns that are stored. `written`: the same with each row's xmin.
    `around`: triggers, constraints and what else must not change."""

    tables: Mapping[str, Rows]
    written: Mapping[str, Counter[tuple[str, Row]]]
    sequences: Mapping[str, tuple[int, bool]]
    around: tuple[object, ...]


_AROUND = (
    "SELECT t.tgrelid::regclass::text, t.tgname::text, t.tgenabled::text FROM pg_trigger t"
    " WHERE NOT t.tgisinternal ORDER BY 1, 2",
    "SELECT k.conrelid::regclass::text, k.conname::text, pg_get_constraintdef(k.oid), k.convalidated"
    " FROM pg_constraint k WHERE k.conrelid <> 0 ORDER BY 1, 2, 3",
    "SELECT what FROM public.echo",
)

_SEQUENCES = "SELECT c.relname::text FROM pg_class c WHERE c.relkind = 'S' ORDER BY 1"


def look(connection: psycopg.Connection, shape: Shape) -> Moment:
    """Everything, in one transaction of its own."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        written = {table.label: _rows(connection, table) for table in shape.tables}
        names = [name for (name,) in connection.execute(_SEQUENCES).fetchall()]
        sequences: dict[str, tuple[int, bool]] = {}
        for name in names:
            quoted = '"' + name + '"'
            row = connection.execute(f"SELECT last_value, is_called FROM {quoted}".encode()).fetchall()[0]
            sequences[name] = (int(row[0]), bool(row[1]))
        around = tuple(tuple(connection.execute(query.encode()).fetchall()) for query in _AROUND)
    tables = {label: Counter(row for _, row in rows.elements()) for label, rows in written.items()}
    return Moment(tables, written, sequences, around)


def _rows(connection: psycopg.Connection, table: Table) -> Counter[tuple[str, Row]]:
    columns = ", ".join(f"{name}::text" for name in table.names)
    query = f"SELECT xmin::text, {columns} FROM {table.quoted}"
    return Counter((row[0], tuple(row[1:])) for row in connection.execute(query.encode()).fetchall())


def dangling(connection: psycopg.Connection, shape: Shape) -> list[str]:
    """Foreign keys that do not hold, asked by plain queries."""
    found = []
    for key in shape.keys:
        pairs = zip(key.columns, key.referenced, strict=True)
        joined = " AND ".join(f"p.{there} = c.{here}" for here, there in pairs)
        query = (
            f"SELECT count(*) FROM {shape.table(key.child).quoted} c"
            f" WHERE {_refers(key)} AND NOT EXISTS"
            f" (SELECT FROM {shape.table(key.parent).quoted} p WHERE {joined})"
        )
        if connection.execute(query.encode()).fetchall()[0][0]:
            found.append(key.name)
    return found


def _refers(key: Key) -> str:
    word = " OR " if key.full else " AND "
    return "(" + word.join(f"c.{name} IS NOT NULL" for name in key.columns) + ")"
