"""A schema that is only looked at: tables, views, types and functions, as far as this server can.

What a look does not need is left out: indexes, foreign keys, triggers, policies (they would hide rows),
privileges, owners. What fails is tried again as long as anything succeeds, since one may need another; in
the end it is passed over and named, so that a version with an extension that this server lacks can still
be asked about all of its other tables. A table that fails is made from its columns alone: its defaults
and checks are not needed.
"""

from collections.abc import Iterator, Sequence

import psycopg

from cas.errors import CorruptData
from cas.postgres.faults import fault_of
from cas.postgres.filling.faults import cut
from cas.postgres.filling.schema_filter import is_owner_change
from cas.postgres.filling.schema_restore import label
from cas.postgres.filling.schema_steps import Step, steps
from cas.postgres.quoting import literal, shown
from cas.records.model import Column, Entity, EntityKind
from cas.records.scratch import Lack
from cas.records.source import SchemaItem

_LEFT_OUT = frozenset(
    {
        *("INDEX", "INDEX ATTACH", "FK CONSTRAINT", "CHECK CONSTRAINT", "STATISTICS", "DEFAULT"),
        *("TRIGGER", "EVENT TRIGGER", "POLICY", "ROW SECURITY", "ACL", "DEFAULT ACL"),
        *("COMMENT", "SECURITY LABEL", "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"),
        *("SUBSCRIPTION", "SUBSCRIPTION TABLE", "SEQUENCE OWNED BY", "MATERIALIZED VIEW DATA"),
        *("FOREIGN DATA WRAPPER", "SERVER", "USER MAPPING", "FOREIGN TABLE", "PROCEDURAL LANGUAGE"),
    }
)
"""Types of items that are not built."""

SHOWN_REASON = 200
"""Characters of a reason."""


def build(
    connection: psycopg.Connection, items: Sequence[SchemaItem], entities: Sequence[Entity]
) -> tuple[Lack, ...]:
    """Build what can be built; what could not be, and why. The connection is one that fills a database:
    in autocommit mode, search_path empty."""
    try:
        waiting = _run(connection, list(_wanted(items)))
        bare = [entity for entity in entities if _is_table(entity) and not _exists(connection, entity)]
        for entity in bare:
            _make_bare(connection, entity)
        failed = _run(connection, [step for step, _ in waiting])
        for step, _ in failed:
            if _completes_view(step) and step.makes is not None:
                # Until then the view is a dummy of NULLs, and must not be taken for the real one.
                connection.execute(_encoded(f"DROP VIEW IF EXISTS {shown(*step.makes)} CASCADE"))
    except psycopg.Error as error:
        raise fault_of(error, where="building the version's schema") from error
    names = {(entity.schema, entity.name) for entity in bare if _exists(connection, entity)}
    return tuple(Lack(label(step), reason) for step, reason in failed if step.makes not in names)


def _wanted(items: Sequence[SchemaItem]) -> Iterator[Step]:
    """What is run, in the dump's order. A view that groups by a primary key needs that key: pg_dump then
    writes a dummy first, and the view itself among the rules."""
    needs_keys = any(item.type == "RULE" and item.name.endswith("_RETURN") for item in items)
    for step in steps(items):
        kind = step.item.type
        if kind in _LEFT_OUT or is_owner_change(step):
            continue
        if kind == "RULE" and not _completes_view(step):
            continue
        if kind == "CONSTRAINT" and not (needs_keys and "PRIMARY KEY" in step.statement):
            continue
        yield step


def _run(connection: psycopg.Connection, waiting: list[Step]) -> list[tuple[Step, str]]:
    """Run the steps, those that fail again and again; what failed in the end, with the server's words."""
    while True:
        failed = []
        for step in waiting:
            try:
                connection.execute(_encoded(step.statement))
            except psycopg.Error as error:
                if connection.closed or error.sqlstate is None:
                    raise
                failed.append((step, cut(error.diag.message_primary or str(error), SHOWN_REASON)))
        if not failed or len(failed) == len(waiting):
            return failed
        waiting = [step for step, _ in failed]


def _completes_view(step: Step) -> bool:
    return step.item.type == "RULE" and step.item.name.endswith("_RETURN") and step.makes is not None


def _make_bare(connection: psycopg.Connection, entity: Entity) -> None:
    """The table with nothing but its columns; it may fail, like the rest."""
    columns = ", ".join(_column(column) for column in entity.columns)
    for statement in (
        f"CREATE SCHEMA IF NOT EXISTS {shown(entity.schema)}",
        f"CREATE TABLE {shown(entity.schema, entity.name)} ({columns})",
    ):
        try:
            connection.execute(_encoded(statement))
        except psycopg.Error as error:
            if connection.closed or error.sqlstate is None:
                raise


def _column(column: Column) -> str:
    """`type` and `collation` are SQL as the platform wrote it, with schemas."""
    collation = f" COLLATE {column.collation}" if column.collation else ""
    for text in (column.type, column.collation or ""):
        if ";" in text or "--" in text or "/*" in text:
            raise CorruptData("not a type's name in a table's definition", kind="malformed", where=text[:60])
    return f"{shown(column.name)} {column.type}{collation}"


def _is_table(entity: Entity) -> bool:
    return entity.kind in (EntityKind.TABLE, EntityKind.PARTITIONED)


def _exists(connection: psycopg.Connection, entity: Entity) -> bool:
    name = literal(shown(entity.schema, entity.name))
    row = connection.execute(b"SELECT to_regclass(%b) IS NOT NULL" % name).fetchone()
    return row is not None and bool(row[0])


def _encoded(statement: str) -> bytes:
    # Bytes without parameters travel by the simple query protocol, untouched.
    return statement.encode("utf-8", "surrogateescape")
