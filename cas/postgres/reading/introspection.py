"""What tables a database has, and how each is read: one pass over the system catalogs.

The same queries run three times in the life of a snapshot: before the locks (what to lock), inside
the transaction (is it still so), and after the last row, with a fresh snapshot (has nothing moved).

No lock is waited for. The text of a default is the one thing that the server locks a table for, so it is
asked for where the connection has locked the table itself: whoever waits to alter a table waits for us, and
we must not stand behind it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import psycopg
from psycopg.rows import class_row

from cas.postgres.faults import faults_of
from cas.postgres.reading.introspection_types import Types, types_of
from cas.postgres.reading.obstacles import Access, obstacle_of, obstacle_of_members
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, KeyColumn, Table, Tables
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.source import Omission

_RELATIONS = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.relispartition AS is_partition, c.relpersistence::text AS persistence,
       e.extname::text AS extension, config.condition AS condition,
       ARRAY(SELECT i.inhparent::int8 FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY 1) AS parents,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhdetachpending) AS half_detached,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS may_enter,
       coalesce(has_table_privilege(c.oid, 'SELECT'), false) AS may_read,
       row_security_active(c.oid) AS filtered,
       c.relpersistence = 'u' AND pg_is_in_recovery() AS only_on_primary
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                     AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
LEFT JOIN LATERAL (SELECT u.condition FROM unnest(e.extconfig, e.extcondition) AS u(relation, condition)
                   WHERE u.relation = c.oid) AS config ON true
WHERE c.relkind IN ('r', 'p', 'f')
  AND n.nspname <> ALL ('{pg_catalog,information_schema}') AND n.nspname !~ '^pg_toast'
"""

_COLUMNS = """
SELECT a.attrelid::int8, a.attnum::int4, a.attname::text, a.atttypid::int8,
       format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN a.attcollation <> t.typcollation
            THEN quote_ident(n.nspname::text) || '.' || quote_ident(k.collname::text) END,
       k.collversion, nullif(a.attidentity::text, ''), a.attgenerated <> '',
       CASE WHEN a.attgenerated = '' AND a.attrelid = ANY (%s::oid[]) THEN pg_get_expr(d.adbin, d.adrelid) END
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation k ON k.oid = a.attcollation
LEFT JOIN pg_namespace n ON n.oid = k.collnamespace
WHERE a.attrelid = ANY (%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

_KEYS = """
SELECT i.indrelid::int8, ARRAY(SELECT k.number::int4
                               FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, position)
                               WHERE k.position <= i.indnkeyatts ORDER BY k.position)
FROM pg_index i
WHERE i.indrelid = ANY (%s::oid[]) AND i.indisprimary AND i.indisvalid
"""
# indkey also lists INCLUDE columns, which are behind the first indnkeyatts. An invalid primary key is
# one that not all partitions have: it identifies nothing.

_IDENTITIES = {"a": "always", "d": "by default"}
_FOREIGN = "a foreign table: its rows belong to another server"
_TEMPORARY = "a temporary table: it ends with its session"
_OF_EXTENSION = "a table of extension {}, which CREATE EXTENSION makes anew"
_CAPTURE = "the change log of cas itself"


@dataclass(frozen=True, slots=True)
class _Relation:
    """One row of _RELATIONS. `condition` is None for all but configuration tables of extensions."""

    oid: int
    schema: str
    name: str
    kind: str
    is_partition: bool
    persistence: str
    extension: str | None
    condition: str | None
    parents: list[int]
    half_detached: bool
    may_enter: bool
    may_read: bool
    filtered: bool
    only_on_primary: bool

    @property
    def access(self) -> Access:
        return Access(
            self.schema, self.name, self.may_enter, self.may_read, self.filtered, self.only_on_primary
        )


@dataclass(frozen=True, slots=True)
class _Column:
    number: int
    type_oid: int
    is_generated: bool
    collation_version: str
    column: Column


def introspect(connection: psycopg.Connection, locked: Sequence[int] = ()) -> Tables:
    """All tables as the connection's transaction, or the moment, shows them. `locked`: the oids of those that
    the transaction has locked; the others come without defaults. Raises as faults do."""
    with faults_of("reading the system catalogs"):
        relations = _relations(connection)
        members = _partition_trees(relations)
        wanted, left_out = _divided(relations, members)
        oids = [relation.oid for relation in wanted]
        columns = _columns(connection, oids, locked)
        keys: dict[int, list[int]] = dict(connection.execute(_KEYS, [oids]).fetchall())
        types = types_of(connection, {c.type_oid for row in columns.values() for c in row})
        role = str(connection.execute("SELECT current_user::text").fetchall()[0][0])
    tables = []
    for relation in wanted:
        below = [relations[oid] for oid in members.get(relation.oid, ())]
        table = _table(
            relation, columns.get(relation.oid, ()), keys.get(relation.oid, ()), below, types, role
        )
        tables.append(table)
    return Tables(tuple(sorted(tables, key=_place)), tuple(left_out))


def _place(table: Table) -> tuple[str, str]:
    return table.entity.schema, table.entity.name


def _relations(connection: psycopg.Connection) -> dict[int, _Relation]:
    with connection.cursor(row_factory=class_row(_Relation)) as cursor:
        return {row.oid: row for row in cursor.execute(_RELATIONS)}


def _partition_trees(relations: Mapping[int, _Relation]) -> dict[int, tuple[int, ...]]:
    """For each partitioned root: all partitions below it, ascending by oid."""
    children: dict[int, list[int]] = {}
    for relation in relations.values():
        if relation.is_partition:
            for parent in relation.parents:
                children.setdefault(parent, []).append(relation.oid)
    trees = {}
    for relation in relations.values():
        if relation.kind == "p" and not relation.is_partition:
            found: list[int] = []
            waiting = [relation.oid]
            while waiting:
                below = children.get(waiting.pop(), [])
                found.extend(below)
                waiting.extend(below)
            trees[relation.oid] = tuple(sorted(found))
    return trees


def _divided(
    relations: Mapping[int, _Relation], members: Mapping[int, tuple[int, ...]]
) -> tuple[list[_Relation], list[tuple[tuple[str, str], Omission]]]:
    """The tables that become entities, and the reason for each of the others.

    A partition is read through its root. Where one of them is a foreign table the root cannot be
    read within a snapshot: then every local leaf is an entity of its own.
    """
    split = {root for root, below in members.items() if any(relations[o].kind == "f" for o in below)}
    leaves = {oid for root in split for oid in members[root] if relations[oid].kind == "r"}
    wanted, left_out = [], []
    for relation in sorted(relations.values(), key=lambda r: (r.schema, r.name)):
        reason = _reason_to_leave_out(relation)
        if reason is not None:
            label = f"{relation.schema}.{relation.name}"
            left_out.append(((relation.schema, relation.name), Omission(label, reason, is_failure=False)))
        elif relation.oid in leaves or not (relation.is_partition or relation.oid in split):
            wanted.append(relation)
    return wanted, left_out


def _reason_to_leave_out(relation: _Relation) -> str | None:
    if relation.schema == CAPTURE_SCHEMA:
        return _CAPTURE
    if relation.persistence == "t":
        return _TEMPORARY
    if relation.kind == "f":
        return _FOREIGN
    if relation.extension is not None and relation.condition is None:
        return _OF_EXTENSION.format(relation.extension)
    return None


def _columns(
    connection: psycopg.Connection, oids: Sequence[int], locked: Sequence[int]
) -> dict[int, tuple[_Column, ...]]:
    rows = connection.execute(_COLUMNS, [list(locked), oids])
    return {oid: tuple(_column(*row[1:]) for row in group) for oid, group in groupby(rows, itemgetter(0))}


def _column(
    number: int,
    name: str,
    type_oid: int,
    type_text: str,
    not_null: bool,
    collation: str | None,
    collation_version: str | None,
    identity: str | None,
    is_generated: bool,
    default: str | None,
) -> _Column:
    column = Column(
        name, type_text, not_null, collation, _IDENTITIES[identity] if identity else None, default
    )
    return _Column(number, type_oid, is_generated, collation_version or "", column)


def _table(
    relation: _Relation,
    columns: Iterable[_Column],
    key_numbers: Iterable[int],
    below: Sequence[_Relation],
    types: Types,
    role: str,
) -> Table:
    every = {column.number: column for column in columns}
    stored = [column for column in every.values() if not column.is_generated]
    key = _key([every[number] for number in key_numbers], types)
    reached = [column.type_oid for column in stored] + [every[n].type_oid for n in key_numbers]
    collations = {f"{c.column.collation} {c.collation_version}" for c in stored if c.column.collation}
    entity = Entity(
        kind=EntityKind.PARTITIONED if relation.kind == "p" else EntityKind.TABLE,
        schema=relation.schema,
        name=relation.name,
        columns=tuple(column.column for column in stored),
        key=tuple((part.name, part.part) for part in key),
        fingerprint=types.fingerprint(reached, collations),
    )
    obstacle = obstacle_of(relation.access, role) or obstacle_of_members(
        [(member.access, member.half_detached) for member in below], role
    )
    return Table(
        oid=relation.oid,
        entity=entity,
        key=key,
        members=tuple(member.oid for member in below),
        condition=relation.condition or "",
        types_written=types.written(reached),
        shows_names=types.shows_names(reached),
        holds_composites=types.holds_composites(reached),
        obstacle=obstacle,
    )


def _key(columns: Sequence[_Column], types: Types) -> tuple[KeyColumn, ...]:
    """The key's columns; none where a type cannot identify a record by its text."""
    key = []
    for column in columns:
        part = types.key_part(column.type_oid)
        if part is None:
            return ()
        kind, sorts_as_text = part
        key.append(KeyColumn(column.column.name, kind, sorts_as_text and kind is KeyPart.TEXT))
    return tuple(key)
