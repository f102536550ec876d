"""Sequences of some tables: what they have reached, and how they are set so that it can be taken back.

`setval` survives a ROLLBACK. `ALTER SEQUENCE ... RESTART` gives the sequence new storage within the
transaction, and what setval writes there afterwards goes with it.
"""

from collections.abc import Sequence

import psycopg

from cas.postgres.filling.faults import refusal
from cas.postgres.quoting import literal, shown
from cas.postgres.reading.introspection_sequences import QUOTED_NAME
from cas.records.live import OwnedSequence, SequenceValue
from cas.records.target import Finding

# A partition draws from the sequence of its root, or from one of its own: it is the root that is an entity.
_OF_TABLES = f"""
WITH RECURSIVE roots AS (
  SELECT c.oid, c.oid AS root FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  UNION ALL
  SELECT i.inhrelid, r.root FROM pg_inherits i JOIN roots r ON r.oid = i.inhparent
  JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
), uses AS (
  SELECT c.oid, coalesce(a.adrelid, d.refobjid) AS relation, coalesce(a.adnum, d.refobjsubid) AS number
  FROM pg_depend d JOIN pg_class c ON c.relkind = 'S' AND c.oid IN (d.objid, d.refobjid)
  LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
        AND d.deptype IN ('a', 'i')
     OR a.oid IS NOT NULL AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
)
SELECT c.oid::int8, {QUOTED_NAME.replace("%", "%%")},
       q.seqincrement < 0, CASE WHEN q.seqincrement < 0 THEN q.seqmin ELSE q.seqmax END,
       tn.nspname::text, t.relname::text, col.attname::text
FROM uses u JOIN pg_class c ON c.oid = u.oid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_sequence q ON q.seqrelid = c.oid
JOIN roots r ON r.oid = u.relation
JOIN pg_class t ON t.oid = r.root JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute col ON col.attrelid = u.relation AND col.attnum = u.number
WHERE u.oid IN (SELECT oid FROM uses WHERE relation = ANY (%s::oid[]))
GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 2, 5, 6, 7
"""  # noqa: S608 - a constant of this program


_OF_OTHERS = f"""
SELECT DISTINCT {QUOTED_NAME.replace("%", "%%")}, pg_get_userbyid(c.relowner)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_depend d ON c.oid IN (d.objid, d.refobjid) LEFT JOIN pg_attrdef a ON a.oid = d.objid
WHERE c.relkind = 'S' AND NOT pg_has_role(c.relowner, 'USAGE')
  AND (d.refclassid = 'pg_class'::regclass AND d.classid IN ('pg_class'::regclass, 'pg_attrdef'::regclass))
  AND coalesce(a.adrelid, d.refobjid) = ANY (%s::oid[]) ORDER BY 1
"""  # noqa: S608 - a constant of this program


def owned_sequences(connection: psycopg.Connection, relations: Sequence[int]) -> Sequence[OwnedSequence]:
    """The sequences that these tables own or take defaults from, with the columns of all tables that do so;
    ascending by name."""
    found = []
    try:
        values: dict[int, SequenceValue] = {}
        rows = connection.execute(_OF_TABLES, [list(relations)]).fetchall()
        for oid, name, descends, limit, schema, table, column in rows:
            if oid not in values:
                sent = name.encode("utf-8", "surrogateescape")
                query = b"SELECT last_value, is_called FROM " + sent
                last_value, is_called = connection.execute(query).fetchall()[0]
                values[oid] = SequenceValue(sent, last_value, is_called, descends, limit)
            found.append(OwnedSequence(values[oid], (schema, table), column))
    except psycopg.Error as error:
        raise refusal(error, doing="reading sequences", where=connection.info.dbname) from error
    return found


def foreign_sequences(
    connection: psycopg.Connection, relations: Sequence[int], role: str
) -> Sequence[Finding]:
    """Of these tables, those that only another role may set. They need not be set by every restore."""
    return [
        Finding(
            False,
            f"sequence {name} belongs to {owner}: where it has to be set, nothing is restored",
            f"ALTER SEQUENCE {name} OWNER TO {shown(role)};",
        )
        for name, owner in connection.execute(_OF_OTHERS, [list(relations)]).fetchall()
    ]


def sequence_values(connection: psycopg.Connection, relations: Sequence[int]) -> Sequence[SequenceValue]:
    """As `owned_sequences`, each once."""
    return list({one.value.name: one.value for one in owned_sequences(connection, relations)}.values())


_STATE = b"""
SELECT q.last_value, q.is_called, s.seqincrement, CASE WHEN s.seqincrement < 0 THEN s.seqmin ELSE s.seqmax END
FROM %b AS q, pg_sequence AS s WHERE s.seqrelid = %b::regclass
"""


def set_values(
    connection: psycopg.Connection, changes: Sequence[tuple[SequenceValue, SequenceValue]]
) -> None:
    """From and to, as `LiveTransaction.set_sequences` says. Conflict or PermissionDenied where the role does
    not own one."""
    for before, after in changes:
        name = after.name
        text = literal(name.decode("utf-8", "surrogateescape"))
        try:
            state = _STATE % (name, text)
            increment = connection.execute(state).fetchall()[0][2]
            connection.execute(b"ALTER SEQUENCE %b INCREMENT BY %d" % (name, increment))  # nobody draws now
            last_value, is_called, _, limit = connection.execute(state).fetchall()[0]
            value = (after.last_value, after.is_called)
            if (last_value, is_called) != (before.last_value, before.is_called):
                now = SequenceValue(name, last_value, is_called, increment < 0, limit)
                value = now.past([after.last_value])
            connection.execute(b"ALTER SEQUENCE %b RESTART" % name)
            called = b"true" if value[1] else b"false"
            connection.execute(b"SELECT setval(%b::regclass, %d, %b)" % (text, value[0], called))
        except psycopg.Error as error:
            where = name.decode("utf-8", "replace")
            raise refusal(error, doing="setting a sequence", where=where) from error
