"""Which relations a table's rows can be written through: there the triggers have to be.

A statement trigger fires where a statement names its relation, and nowhere else. Rows of a partitioned table
can be written through any partition; rows of an inheritance child through its parents, but only updated
and deleted there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from cas.postgres.capture.naming import OPERATIONS, trigger_name
from cas.postgres.faults import faults_of
from cas.postgres.reading.shapes import Table

_SQL = """
WITH RECURSIVE below(oid) AS (
    SELECT %(oid)s::oid
  UNION
    SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
    JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
), above(oid) AS (
    SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = %(oid)s::oid
  UNION
    SELECT i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid
)
SELECT c.oid::int8, n.nspname::text, c.relname::text, f.is_above, c.relkind::text,
       pg_has_role(c.relowner, 'USAGE'), c.relispartition,
       EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid),
       EXISTS (WITH RECURSIVE under(oid) AS (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = c.oid
                 UNION SELECT i.inhrelid FROM under u JOIN pg_inherits i ON i.inhparent = u.oid)
               SELECT FROM under u JOIN pg_class x ON x.oid = u.oid WHERE x.relkind = 'f'),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (%(key)s))
FROM (SELECT oid, false FROM below UNION SELECT oid, true FROM above) AS f(oid, is_above)
JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY f.is_above, c.oid
"""

_UPDATE, _DELETE = OPERATIONS[1:3]


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation of a table's family. `has_key`: it has all columns of the table's key."""

    oid: int
    schema: str
    name: str
    is_parent: bool
    kind: str
    is_owned: bool
    is_partition: bool
    is_subscribed: bool
    has_foreign: bool
    has_key: bool

    @property
    def operations(self) -> Sequence[str]:
        """Those that can touch the table's rows here. TRUNCATE of a parent fires its children's triggers."""
        return (_UPDATE, _DELETE) if self.is_parent else OPERATIONS

    def triggers(self, table_oid: int) -> list[str]:
        return [trigger_name(table_oid, operation) for operation in self.operations]


def family_of(connection: psycopg.Connection, table: Table) -> tuple[Relation, ...]:
    """The table, the partitions below it, and the inheritance parents above it."""
    names = {column.name for column in table.key}
    with faults_of(table.entity.label):
        rows = connection.execute(_SQL, {"oid": table.oid, "key": sorted(names)}).fetchall()
    return tuple(_relation(row, names) for row in rows)


def _relation(row: tuple[Any, ...], key: set[str]) -> Relation:
    oid, schema, name, is_parent, kind, is_owned, is_partition, is_subscribed, has_foreign, columns = row
    has_key = set(columns) == key
    return Relation(
        oid, schema, name, is_parent, kind, is_owned, is_partition, is_subscribed, has_foreign, has_key
    )


def obstacle_of(table: Table, family: Sequence[Relation]) -> str:
    """Why the table's changes cannot be captured, a clause; empty where they can."""
    if not table.key:
        return "it has no primary key"
    subscribed = [relation for relation in family if relation.is_subscribed]
    if subscribed:
        return "it is the target of logical replication, which fires no statement triggers"
    if any(relation.is_partition and relation.oid == table.oid for relation in family):
        return "it is a partition of a table that has a foreign partition"
    if any(relation.has_foreign for relation in family):
        return "a foreign table inherits from it, and that bars transition tables"
    if not all(relation.has_key for relation in family if not relation.is_parent):
        return "a partition has not all columns of its key"
    return ""


def not_owned(family: Sequence[Relation]) -> str:
    """Why the connected role cannot make triggers on the family; empty where it can."""
    names = [f"{relation.schema}.{relation.name}" for relation in family if not relation.is_owned]
    return f"the connected role does not own {', '.join(names[:3])}" if names else ""
