"""Whether the capture of one table is as an installation would make it now."""

from collections.abc import Sequence

import psycopg

from cas.postgres.capture.families import Relation, family_of, obstacle_of
from cas.postgres.capture.function_text import limit_in
from cas.postgres.capture.keys import LogKey, log_keys
from cas.postgres.capture.making import bodies, transition_tables
from cas.postgres.capture.naming import OPERATIONS, function_name, log_name, marking_name
from cas.postgres.capture.patience import KEYS_PER_STATEMENT
from cas.postgres.faults import faults_of
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Table

_FUNCTIONS = f"""
SELECT p.proname::text, p.prosrc, p.prosecdef AND p.proconfig IS NULL
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = '{CAPTURE_SCHEMA}' AND p.proname = ANY (%s)
"""

_TRIGGERS = f"""
SELECT t.tgrelid::int8, t.tgname::text, t.tgenabled = 'A', p.proname::text, t.tgtype::int4,
       coalesce(t.tgoldtable::text, ''), coalesce(t.tgnewtable::text, ''), t.tgnargs::int4
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = '{CAPTURE_SCHEMA}' AND p.proname = ANY (%s)
"""

_LOG = f"""
SELECT a.attname::text, format_type(a.atttypid, -1) FROM pg_attribute a
WHERE a.attrelid = to_regclass('{CAPTURE_SCHEMA}.' || %s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY
    a.attnum
"""

_TYPES = {"insert": 4, "update": 16, "delete": 8, "truncate": 32}
"""pg_trigger.tgtype of statement triggers that fire afterwards."""


def flaw_of(connection: psycopg.Connection, table: Table, limit: int | None = None) -> str:
    """What is missing or other than an installation would make it, a clause; empty where nothing is. `limit`:
    of keys a statement; None: whatever was installed."""
    family = family_of(connection, table)
    obstacle = obstacle_of(table, family)
    if obstacle:
        return obstacle
    keys = log_keys(connection, table)
    with faults_of(table.entity.label):
        columns = connection.execute(_LOG, [log_name(table.oid)]).fetchall()
    if not columns:
        return "not captured"
    if columns != _expected_columns(table.oid, keys):
        return "the key was altered, or the log was"
    return _flaw_of_functions(connection, table, family, keys, limit) or flaw_of_triggers(
        connection, table, family
    )


def flaw_of_triggers(connection: psycopg.Connection, table: Table, family: Sequence[Relation]) -> str:
    """Whether all relations of the family have all triggers, and these act."""
    names = [function_name(table.oid), marking_name(table.oid)]
    with faults_of(table.entity.label):
        rows = connection.execute(_TRIGGERS, [names]).fetchall()
    there = {(row[0], row[1]): tuple(row[2:]) for row in rows}
    for relation in family:
        function = names[0] if relation.has_key else names[1]
        label = f"{relation.schema}.{relation.name}"
        found = [there.get((relation.oid, name)) for name in relation.triggers(table.oid)]
        if not any(found) and relation.oid != table.oid:
            kind = "a parent" if relation.is_parent else "a partition"
            return f"{kind} has no trigger: {label}"
        for operation, trigger in zip(relation.operations, found, strict=True):
            if trigger is None:
                return f"a trigger was dropped: {operation} on {label}"
            if not trigger[0]:
                return f"a trigger is disabled, or no longer fires always: {operation} on {label}"
            old, new = transition_tables(relation, operation)
            if trigger[1:] != (function, _TYPES[operation], old, new, int(bool(old and new))):
                return f"a trigger was altered: {operation} on {label}"
    return ""


def _flaw_of_functions(
    connection: psycopg.Connection,
    table: Table,
    family: Sequence[Relation],
    keys: Sequence[LogKey],
    limit: int | None,
) -> str:
    names = [function_name(table.oid), marking_name(table.oid)]
    with faults_of(table.entity.label):
        rows = connection.execute(_FUNCTIONS, [names]).fetchall()
    there = {name: (source, is_right) for name, source, is_right in rows}
    if limit is None:
        found = limit_in(there.get(names[0], ("", False))[0])
        limit = KEYS_PER_STATEMENT if found is None else found
    expected = bodies(table.oid, keys, family, limit)
    if there != {name: (body, True) for name, body in expected.items()}:
        return "a function of the triggers was altered, or is of another release of cas"
    return ""


def _expected_columns(oid: int, keys: Sequence[LogKey]) -> list[tuple[str, str]]:
    columns = [
        ("xid", "xid8"),
        ("relation", "oid"),
        ("operation", '"char"'),
        ("rows", "bigint"),
        ("at", "timestamp with time zone"),
    ]
    for key in keys:
        typed = f"{key.box_sql(oid) if key.is_boxed else key.type_sql}[]"
        columns.append((f"k{key.number}", typed))
    return [*columns, ("seal", "text[]")]


assert set(_TYPES) == set(OPERATIONS)
