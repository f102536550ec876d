"""Sequences of some tables: what they have reached, and how they are set so that it can be taken back.

`setval` survives a ROLLBACK. `ALTER SEQUENCE ... RESTART` gives the sequence new storage within the
transaction, and what setval writes there afterwards goes with it.
"""

from collections.abc import Sequence

import psycopg

from cas.postgres.filling.faults import refusal
from cas.postgres.reading.introspection_sequences import QUOTED_NAME
from cas.records.live import OwnedSequence, SequenceValue

_OF_TABLES = f"""
SELECT c.oid::int8, {QUOTED_NAME.replace("%", "%%")},
       tn.nspname::text, t.relname::text, col.attname::text
FROM pg_depend d JOIN pg_class c ON c.relkind = 'S' AND c.oid IN (d.objid, d.refobjid)
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
JOIN pg_class t ON t.oid = coalesce(a.adrelid, d.refobjid) JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute col ON col.attrelid = t.oid AND col.attnum = coalesce(a.adnum, d.refobjsubid)
WHERE t.oid = ANY (%s::oid[])
  AND (d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
       AND d.deptype IN ('a', 'i')
       OR a.oid IS NOT NULL AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 2, 3, 4, 5
"""  # noqa: S608 - a constant of this program


def owned_sequences(connection: psycopg.Connection, relations: Sequence[int]) -> Sequence[OwnedSequence]:
    """The sequences that these tables own or take defaults from, with the columns; ascending by name."""
    found = []
    try:
        values: dict[int, SequenceValue] = {}
        for oid, name, schema, table, column in connection.execute(_OF_TABLES, [list(relations)]).fetchall():
            if oid not in values:
                query = b"SELECT last_value, is_called FROM " + name.encode("utf-8", "surrogateescape")
                last_value, is_called = connection.execute(query).fetchall()[0]
                values[oid] = SequenceValue(name.encode("utf-8", "surrogateescape"), last_value, is_called)
            found.append(OwnedSequence(values[oid], (schema, table), column))
    except psycopg.Error as error:
        raise refusal(error, doing="reading sequences", where=connection.info.dbname) from error
    return found


def sequence_values(connection: psycopg.Connection, relations: Sequence[int]) -> Sequence[SequenceValue]:
    """As `owned_sequences`, each once."""
    return list({one.value.name: one.value for one in owned_sequences(connection, relations)}.values())


def set_values(connection: psycopg.Connection, values: Sequence[SequenceValue]) -> None:
    """Exactly these. Conflict or PermissionDenied where the role does not own one."""
    for value in values:
        try:
            connection.execute(b"ALTER SEQUENCE %b RESTART" % value.name)
            connection.execute(
                "SELECT setval(%s::regclass, %s, %s)",
                [value.name.decode("utf-8", "surrogateescape"), value.last_value, value.is_called],
            )
        except psycopg.Error as error:
            where = value.name.decode("utf-8", "replace")
            raise refusal(error, doing="setting a sequence", where=where) from error
