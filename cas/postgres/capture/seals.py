"""The seal of a log: what held when it was set, and has to hold still for the log to be believed.

It is the log's first row. Unlogged tables are emptied by a crash, and then it is gone. It holds a text for
each part of what the log relies on, made from rows of the system catalogs and the numbers of the transactions
that wrote them: nothing can be switched off and on again, dropped and made anew, without moving one.

A name may go to another table and come back. The row type of a table is renamed with it, and moved to
another schema with it, and is not touched by GRANT as the table's own row is: so its number is in the seal.

A seal counts for readers that saw its transaction. The one of an installation was set under locks that no
writer held beside it. One that is set later (by pruning, when all is whole again) was not: it counts only for
readers that saw every transaction end which was under way when it was set. A prepared transaction that
survived a crash, whose part of the log did not, is such a one. For that its own number must be younger than
what it says: what holds is looked at before the transaction writes anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from cas.postgres.capture.families import Relation
from cas.postgres.capture.naming import LOST, SEAL, function_name, log_name, marking_name
from cas.postgres.faults import faults_of
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Table

# In the order of MOVED. What may be long is hashed.
_STANDING = f"""
WITH family AS (
    SELECT c.oid, c.relfilenode FROM pg_class c WHERE c.oid = ANY (%(family)s::oid[])
), functions AS (
    SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = '{CAPTURE_SCHEMA}' AND p.proname = ANY (%(functions)s)
)
SELECT
  (SELECT format('%%s %%s %%s', (SELECT system_identifier FROM pg_control_system()),
                 (SELECT timeline_id FROM pg_control_checkpoint()),
                 (SELECT oid FROM pg_database WHERE datname = current_database()))),
  (SELECT format('%%s %%s', last_value, is_called) FROM {LOST}),
  (SELECT md5(string_agg(format('%%s %%s %%s %%s %%s %%s %%s %%s', t.tgrelid, t.tgname, t.tgfoid,
                                t.tgenabled, t.tgtype, t.tgoldtable, t.tgnewtable, t.xmin),
                         ' ' ORDER BY t.tgrelid, t.tgname))
   FROM pg_trigger t JOIN family f ON f.oid = t.tgrelid JOIN functions p ON p.oid = t.tgfoid),
  (SELECT md5(string_agg(format('%%s %%s %%s %%s %%s %%s %%s', p.oid, p.xmin, p.prosrc, p.prosecdef,
                                p.proconfig, p.proowner, p.prolang), ' ' ORDER BY p.oid))
   FROM pg_proc p JOIN functions f ON f.oid = p.oid),
  md5((SELECT string_agg(f.oid::text, ' ' ORDER BY f.oid) FROM family f)
      || coalesce((SELECT string_agg(format('%%s %%s %%s', i.inhrelid, i.inhparent, i.xmin), ' '
                                     ORDER BY i.inhrelid, i.inhparent)
                   FROM pg_inherits i JOIN family f ON f.oid = i.inhrelid), '')),
  md5((SELECT string_agg(format('%%s %%s %%s %%s %%s', a.attrelid, a.attnum, a.atttypid, a.attisdropped,
                                a.xmin), ' ' ORDER BY a.attrelid, a.attnum)
       FROM pg_attribute a JOIN family f ON f.oid = a.attrelid WHERE a.attnum > 0)
      || (SELECT format(' key %%s', i.indkey) FROM pg_index i
          WHERE i.indrelid = %(table)s::oid AND i.indisprimary)),
  (SELECT md5(format('%%s %%s %%s ', c.oid, c.xmin, c.relpersistence)
              || string_agg(format('%%s %%s %%s', a.attnum, a.atttypid, a.xmin), ' ' ORDER BY a.attnum)
              || (SELECT format(' %%s %%s', l.oid, l.xmin) FROM pg_class l WHERE l.oid = '{LOST}'::regclass)
              || (SELECT format(' %%s %%s', n.oid, n.xmin) FROM pg_namespace n
                  WHERE n.nspname = '{CAPTURE_SCHEMA}'))
   FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
   WHERE c.oid = %(log)s::oid GROUP BY c.oid, c.xmin, c.relpersistence),
  (SELECT md5(format('%%s %%s %%s', c.relname, n.nspname, t.xmin))
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = c.reltype
   WHERE c.oid = %(table)s::oid),
  (SELECT md5(string_agg(format('%%s %%s', f.oid, f.relfilenode), ' ' ORDER BY f.oid)) FROM family f)
"""

REWRITTEN = "the table was rewritten"
OF_ANOTHER_RELEASE = "the log was sealed by another release of cas"

MOVED = (
    "the server's storage was set back, or it is another one",
    "the log could not be written at least once",
    "a trigger was altered, disabled or dropped",
    "a function of the triggers was altered",
    "a partition or a parent was attached or detached",
    "the table was altered",
    "the log was altered, or who may write it",
    "the table was called otherwise, or another one was called so",
    REWRITTEN,
)
"""Why a log is not believed, by the part of the seal that differs."""


@dataclass(frozen=True, slots=True)
class Seal:
    """The seal in a log. `is_first`: it was set by an installation."""

    transaction: str
    is_first: bool
    parts: tuple[str, ...]


def log_oid(connection: psycopg.Connection, table_oid: int) -> int | None:
    """The log of this table; None where there is none."""
    with faults_of("looking for the log"):
        row = connection.execute(
            "SELECT c.oid::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'",
            [CAPTURE_SCHEMA, log_name(table_oid)],
        ).fetchone()
    return None if row is None else int(row[0])


def standing(
    connection: psycopg.Connection, table: Table, family: Sequence[Relation], log: int
) -> tuple[str, ...]:
    """What the connection's transaction sees of all that the log relies on."""
    named = {
        "functions": [function_name(table.oid), marking_name(table.oid)],
        "family": [relation.oid for relation in family],
        "table": table.oid,
        "log": log,
    }
    with faults_of(table.entity.label):
        row = connection.execute(_STANDING, named).fetchall()[0]
    return tuple(str(part or "") for part in row)


def seal_of(connection: psycopg.Connection, table: Table) -> Seal | None:
    """None where it is gone, or is not alone."""
    query = (
        f"SELECT xid::text, rows = 1, seal FROM {CAPTURE_SCHEMA}.{log_name(table.oid)} WHERE operation = %s"
    )
    with faults_of(table.entity.label):
        rows = connection.execute(query.encode(), [SEAL]).fetchall()
    if len(rows) != 1 or rows[0][2] is None:
        return None
    return Seal(rows[0][0], rows[0][1], tuple(rows[0][2]))


def moved_part(
    connection: psycopg.Connection, table: Table, family: Sequence[Relation], log: int, seal: Seal
) -> str:
    """Why the log is not believed any more, of MOVED; empty where all is as the seal says."""
    now = standing(connection, table, family, log)
    if len(seal.parts) != len(now):
        return OF_ANOTHER_RELEASE
    moved = [reason for then, this, reason in zip(seal.parts, now, MOVED, strict=True) if then != this]
    return moved[0] if moved else ""


def break_seal(connection: psycopg.Connection, table: Table) -> None:
    """The log is not believed by anybody from now on, in the connection's transaction."""
    name = f"{CAPTURE_SCHEMA}.{log_name(table.oid)}"
    with faults_of(table.entity.label):
        connection.execute(f"DELETE FROM {name} WHERE operation = %s".encode(), [SEAL])


def set_seal(connection: psycopg.Connection, table: Table, parts: Sequence[str], *, is_first: bool) -> None:
    """Seal the log anew, in the connection's transaction. `parts`: what `standing` said before anything that
    the seal relies on was looked at; where is_first is not so, before the transaction wrote anything."""
    name = f"{CAPTURE_SCHEMA}.{log_name(table.oid)}"
    break_seal(connection, table)
    with faults_of(table.entity.label):
        connection.execute(
            f"INSERT INTO {name} (xid, relation, operation, rows, at, seal) VALUES"
            " (pg_current_xact_id(), %s, %s, %s, statement_timestamp(), %s)".encode(),
            [table.oid, SEAL, int(is_first), list(parts)],
        )
