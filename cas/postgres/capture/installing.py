"""Installing change capture, table by table, each in a short transaction of its own.

A table's triggers are made under its SHARE ROW EXCLUSIVE lock, for which one waits until nobody writes to it;
and whoever wants to write waits behind us. So we wait briefly, several times.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing

import psycopg

from cas.errors import PermissionDenied
from cas.postgres.capture.clearing import clearing
from cas.postgres.capture.families import Relation, family_of, not_owned, obstacle_of
from cas.postgres.capture.keys import LogKey, log_keys
from cas.postgres.capture.making import (
    SCHEMA,
    bodies,
    function_statements,
    log_statements,
    trigger_statements,
)
from cas.postgres.capture.naming import LOST
from cas.postgres.capture.patience import CaptureOptions, patiently, run_sql
from cas.postgres.capture.seals import log_oid, set_seal, standing
from cas.postgres.capture.wholeness import flaw_of
from cas.postgres.connecting import connect, shown_url
from cas.postgres.faults import faults_of
from cas.postgres.quoting import shown
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.selecting import choose
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Table
from cas.records.capture import CaptureReport, Outcome, TableOutcome
from cas.records.source import Selection


def install(url: str, tables: Sequence[str] = (), options: CaptureOptions | None = None) -> CaptureReport:
    """Capture these tables (patterns as in a selection; empty: all), anew where something is broken.

    By the tables' owner; superuser is not needed. Tables that cannot be captured are skipped, with the
    reason. InvalidInput where a pattern matches nothing, PermissionDenied where the schema may not be made.
    """
    chosen = options or CaptureOptions()
    outcomes = []
    with closing(connect(url, chosen.connection)) as connection:
        every = choose(introspect(connection), Selection(tables=tuple(tables))).tables
        _ensure_schema(connection, shown_url(url))
        outcomes = [_installed(connection, table, chosen) for table in every]
    return CaptureReport(outcomes)


def installation_sql(
    url: str, tables: Sequence[str] = (), options: CaptureOptions | None = None
) -> list[str]:
    """The statements of an installation where nothing is there yet, for people to read. Run by hand they
    would not be believed: the seal is set by `install`."""
    chosen = options or CaptureOptions()
    statements = list(SCHEMA)
    with closing(connect(url, chosen.connection)) as connection:
        for table in choose(introspect(connection), Selection(tables=tuple(tables))).tables:
            family = family_of(connection, table)
            if not obstacle_of(table, family):
                keys = log_keys(connection, table)
                statements += statements_for(table, family, keys, chosen.keys_per_statement)
    return statements


def statements_for(
    table: Table, family: Sequence[Relation], keys: Sequence[LogKey], limit: int
) -> Iterator[str]:
    """All that one table needs, where nothing of it is there."""
    yield from log_statements(table.oid, keys)
    for name, body in bodies(table.oid, keys, family, limit).items():
        yield from function_statements(name, body)
    for relation in family:
        yield from trigger_statements(table.oid, relation)


def _ensure_schema(connection: psycopg.Connection, where: str) -> None:
    row = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [CAPTURE_SCHEMA]).fetchone()
    if row is not None and row[0]:
        row = connection.execute(
            "SELECT count(to_regclass(name)) FROM unnest(%s::text[]) AS name",
            [[f"{CAPTURE_SCHEMA}.positions", f"{CAPTURE_SCHEMA}.watermarks", LOST]],
        ).fetchone()
        if row is not None and row[0] == 3:
            return
    try:
        with faults_of(where), connection.transaction():
            for statement in SCHEMA:
                run_sql(connection, statement)
    except PermissionDenied as error:
        raise PermissionDenied(
            "the role may not make the schema of change capture",
            where=error.where,
            hint="Grant it CREATE on the database, or connect as the owner of the tables",
        ) from error


def _installed(connection: psycopg.Connection, table: Table, options: CaptureOptions) -> TableOutcome:
    entity = table.entity
    family = family_of(connection, table)
    reason = obstacle_of(table, family) or not_owned(family)
    if reason:
        return TableOutcome(entity.schema, entity.name, Outcome.SKIPPED, reason)
    outcome = Outcome.INSTALLED
    if log_oid(connection, table.oid) is not None:
        if not flaw_of(connection, table, options.keys_per_statement):
            return TableOutcome(entity.schema, entity.name, Outcome.UNCHANGED)
        outcome = Outcome.RENEWED
    if not patiently(connection, options, lambda: _make(connection, table, options), where=entity.label):
        reason = "somebody holds it locked, or writes to it without end; try again"
        return TableOutcome(entity.schema, entity.name, Outcome.BUSY, reason)
    return TableOutcome(entity.schema, entity.name, outcome)


def _make(connection: psycopg.Connection, table: Table, options: CaptureOptions) -> None:
    """In a transaction: lock the family, take away what is there, make it, seal it."""
    family = family_of(connection, table)
    lock_family(connection, family)
    family = family_of(connection, table)
    for statement in clearing(connection, table.oid):
        run_sql(connection, statement)
    for statement in statements_for(table, family, log_keys(connection, table), options.keys_per_statement):
        run_sql(connection, statement)
    log = log_oid(connection, table.oid)
    assert log is not None, "it was made in this transaction"
    set_seal(connection, table, standing(connection, table, family, log), is_first=True)


def lock_family(connection: psycopg.Connection, family: Sequence[Relation]) -> None:
    """Bar writers from all of it, in the order of their oids."""
    for relation in sorted(family, key=lambda one: one.oid):
        only = "ONLY " if relation.kind == "r" else ""
        run_sql(
            connection,
            f"LOCK TABLE {only}{shown(relation.schema, relation.name)} IN SHARE ROW EXCLUSIVE MODE",
        )
