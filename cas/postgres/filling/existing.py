"""Filling tables that are there already, and empty: what must be so, and what must not fire.

Foreign keys hold between any two moments of the load only if parents come first, and user triggers
would add rows of their own. Where the role may set session_replication_role, both are
switched off for our sessions (triggers marked ALWAYS or REPLICA by name), tables may be filled in any
order, and foreign keys and deferrable unique constraints are checked at the end (`target_checks`).
Where it may not, foreign keys stay on and tables are filled in their order, which is impossible where
they form a circle; user triggers are switched off by name, which the tables' owner may do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import psycopg

from cas.errors import Conflict, PermissionDenied
from cas.postgres.connecting import server_encoding
from cas.postgres.faults import faults_of
from cas.postgres.quoting import literal, qualified, shown
from cas.records.model import Entity, EntityKind

_COLUMNS = b"""
SELECT c.relkind::text, array_agg(a.attname::text) FILTER (WHERE a.attgenerated = '')
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.oid = to_regclass(%b) GROUP BY c.relkind
"""

_FAMILY = b"""
WITH RECURSIVE family AS (
  SELECT t.place, t.name::regclass::oid AS oid, 0 AS depth
  FROM unnest(ARRAY[%b]::text[]) WITH ORDINALITY AS t(name, place)
  UNION ALL
  SELECT f.place, i.inhrelid, f.depth + 1 FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
  JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
)
SELECT oid::int8, place FROM family ORDER BY depth, place
"""

_FOREIGN_KEYS = """
SELECT conrelid::int8, confrelid::int8 FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY (%(tables)s::oid[]) AND confrelid = ANY (%(tables)s::oid[])
"""

# Partitions after their roots, as they are given: an ALTER TABLE of a root may reach its partitions.
_TRIGGERS = """
SELECT c.oid::regclass::text, t.tgname::text, t.tgenabled::text, pg_has_role(c.relowner, 'USAGE')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgrelid = ANY (%(tables)s::oid[]) AND t.tgenabled::text = ANY (%(states)s)
ORDER BY array_position(%(tables)s::oid[], t.tgrelid), 2
"""

_ENABLE = {"O": "ENABLE TRIGGER", "A": "ENABLE ALWAYS TRIGGER", "R": "ENABLE REPLICA TRIGGER"}
_REPLICA_HINT = (
    "Restore as superuser, or (PostgreSQL 15 and newer) "
    "GRANT SET ON PARAMETER session_replication_role TO {role}"
)


@dataclass(frozen=True, slots=True)
class ExistingPlan:
    """How existing tables are filled.

    waves: entities that may be loaded together, in order; where `replica` is off, by one COPY each.
    disable, undo: SQL that switches triggers off, and back to what they were.
    """

    replica: bool
    waves: tuple[tuple[Entity, ...], ...]
    disable: tuple[str, ...]
    undo: tuple[str, ...]


def plan_existing(connection: psycopg.Connection, entities: Sequence[Entity]) -> ExistingPlan:
    """Look at the tables, and change nothing.

    Raises Conflict for a table or column that is missing, a table that has rows, and foreign keys in a
    circle that cannot be switched off; PermissionDenied for triggers that cannot be.
    """
    tables = [entity for entity in entities if entity.kind in (EntityKind.TABLE, EntityKind.PARTITIONED)]
    with faults_of("looking at the tables to fill"):
        _require_tables(connection, tables)
        _require_no_rows(connection, entities)
        replica = _may_be_replica(connection)
        places = family(connection, tables)
        states = ["A", "R"] if replica else ["O", "A"]
        triggers = connection.execute(_TRIGGERS, {"tables": list(places), "states": states}).fetchall()
        keys = connection.execute(_FOREIGN_KEYS, {"tables": list(places)}).fetchall()
    foreign = [f"{table}.{trigger}" for table, trigger, _, is_owner in triggers if not is_owner]
    if foreign:
        raise PermissionDenied(
            f"triggers would fire that only their tables' owners can switch off: {', '.join(foreign[:5])}",
            where=connection.info.dbname,
            hint="Restore as the owner of the tables",
        )
    waves = (
        (tuple(tables),)
        if replica
        else _in_order(connection, tables, [(places[child], places[parent]) for child, parent in keys])
    )
    return ExistingPlan(
        replica,
        waves,
        tuple(f"ALTER TABLE {table} DISABLE TRIGGER {shown(name)}" for table, name, _, _ in triggers),
        tuple(f"ALTER TABLE {table} {_ENABLE[state]} {shown(name)}" for table, name, state, _ in triggers),
    )


def family(connection: psycopg.Connection, tables: Sequence[Entity]) -> dict[int, int]:
    """The OIDs of the tables and of their partitions, roots first, each with its table's place (from 1)."""
    names = b", ".join(map(_name, tables))
    return dict(connection.execute(_FAMILY % names).fetchall())


def _require_tables(connection: psycopg.Connection, tables: Sequence[Entity]) -> None:
    for entity in tables:
        row = connection.execute(_COLUMNS % _name(entity)).fetchone()
        if row is None or row[0] not in ("r", "p"):
            raise Conflict(
                "the target has no such table",
                where=entity.label,
                hint="Restore the schema too, or create it",
            )
        missing = [column.name for column in entity.columns if column.name not in (row[1] or ())]
        if missing:
            raise Conflict(f"the target's table has no column {', '.join(missing)}", where=entity.label)


def _require_no_rows(connection: psycopg.Connection, entities: Sequence[Entity]) -> None:
    for entity in entities:
        if entity.kind is EntityKind.SEQUENCES:
            continue
        table = b"ONLY " + _qualified(connection, entity)
        if entity.kind is EntityKind.PARTITIONED:
            table = _qualified(connection, entity)
        elif entity.kind is EntityKind.LARGE_OBJECTS:
            table = b"pg_largeobject_metadata"
        row = connection.execute(b"SELECT EXISTS (SELECT FROM %b)" % table).fetchone()
        if row is None or row[0]:
            raise Conflict(
                "the target is not empty", where=entity.label, hint="Empty it first, or restore elsewhere"
            )


def _may_be_replica(connection: psycopg.Connection) -> bool:
    try:
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _in_order(
    connection: psycopg.Connection, tables: Sequence[Entity], edges: Sequence[tuple[int, int]]
) -> tuple[tuple[Entity, ...], ...]:
    """Parents before children. The edges are 1-based places (child, parent)."""
    graph: TopologicalSorter[int] = TopologicalSorter({place + 1: () for place in range(len(tables))})
    for child, parent in edges:
        if child != parent:
            graph.add(child, parent)
    try:
        graph.prepare()
    except CycleError as error:
        circle = " -> ".join(tables[place - 1].label for place in reversed(error.args[1]))
        raise Conflict(
            f"foreign keys form a circle, so no table can be filled first: {circle}",
            where=connection.info.dbname,
            hint=_REPLICA_HINT.format(role=shown(connection.info.user)),
        ) from error
    waves = []
    while graph.is_active():
        ready = graph.get_ready()
        waves.append(tuple(tables[place - 1] for place in sorted(ready)))
        graph.done(*ready)
    return tuple(waves)


def _qualified(connection: psycopg.Connection, entity: Entity) -> bytes:
    return qualified(entity.schema, entity.name, server_encoding(connection))


def _name(entity: Entity) -> bytes:
    """As a string constant: what is cast to regclass knows plain quotes only."""
    return literal(shown(entity.schema, entity.name))
