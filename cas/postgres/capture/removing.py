"""Taking change capture away, so that nothing of it is left in the platform."""

from collections.abc import Sequence
from contextlib import closing

import psycopg

from cas.errors import NotFound
from cas.postgres.capture.clearing import clearing
from cas.postgres.capture.naming import LOST, POSITIONS, WATERMARKS
from cas.postgres.capture.patience import CaptureOptions, patiently, run_sql
from cas.postgres.connecting import connect, shown_url
from cas.postgres.faults import faults_of
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.selecting import choose
from cas.postgres.reading.shapes import CAPTURE_SCHEMA
from cas.records.capture import CaptureReport, Outcome, TableOutcome
from cas.records.source import Selection

# Whatever of a table's capture is there, also of one that was dropped.
_CAPTURED = f"""
SELECT u.oid, n.nspname::text, c.relname::text
FROM pg_namespace s CROSS JOIN LATERAL (
    SELECT substr(x.relname::text, 5)::int8 FROM pg_class x
    WHERE x.relnamespace = s.oid AND x.relkind = 'r' AND x.relname::text ~ '^log_[0-9]{{1,10}}$'
  UNION
    SELECT substr(p.proname::text, 6)::int8 FROM pg_proc p
    WHERE p.pronamespace = s.oid AND p.proname::text ~ '^(note|mark)_[0-9]{{1,10}}$') AS u(oid)
LEFT JOIN pg_class c ON c.oid::int8 = u.oid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.nspname = '{CAPTURE_SCHEMA}' ORDER BY 2, 3, 1
"""

_LEFT = """
SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = to_regnamespace(%s)
ORDER BY 1 LIMIT 20
"""


def remove(url: str, tables: Sequence[str] = (), options: CaptureOptions | None = None) -> CaptureReport:
    """Stop capturing these tables (patterns as in a selection; empty: all, and the schema goes too).

    By the owner of the tables. What somebody else made in the schema stays, and is a leftover. InvalidInput
    where a pattern matches nothing; raises as faults do.
    """
    chosen = options or CaptureOptions()
    where = shown_url(url)
    with closing(connect(url, chosen.connection)) as connection:
        with faults_of(where):
            there = connection.execute(_CAPTURED).fetchall()
        if tables:
            wanted = {
                table.oid for table in choose(introspect(connection), Selection(tables=tuple(tables))).tables
            }
            there = [row for row in there if row[0] in wanted]
            if not there:
                raise NotFound("none of these tables is captured", where=where, hint="cas capture status")
        outcomes = [_removed(connection, row, chosen) for row in there]
        leftovers: list[str] = []
        if not tables and all(one.outcome is Outcome.REMOVED for one in outcomes):
            leftovers = _without_schema(connection, chosen, where)
        return CaptureReport(outcomes, leftovers)


def _removed(
    connection: psycopg.Connection, row: tuple[int, str | None, str | None], options: CaptureOptions
) -> TableOutcome:
    oid, schema, name = row

    def work() -> None:
        for statement in clearing(connection, oid):
            run_sql(connection, statement)

    label = f"{schema}.{name}" if name else f"the log of a dropped table, {oid}"
    is_done = patiently(connection, options, work, where=label)
    reason = "" if is_done else "somebody holds it locked, or uses it without end; try again"
    outcome = Outcome.REMOVED if is_done else Outcome.BUSY
    return TableOutcome(schema or "", name or f"(dropped, {oid})", outcome, reason)


def _without_schema(connection: psycopg.Connection, options: CaptureOptions, where: str) -> list[str]:
    """Drop what is left of ours, and the schema where nothing else is in it; what is."""
    left: list[str] = []

    def work() -> None:
        left.clear()
        for statement in (
            f"DROP TABLE IF EXISTS {POSITIONS}",
            f"DROP TABLE IF EXISTS {WATERMARKS}",
            f"DROP SEQUENCE IF EXISTS {LOST}",
        ):
            run_sql(connection, statement)
        left.extend(str(name) for (name,) in connection.execute(_LEFT, [CAPTURE_SCHEMA]).fetchall())
        if not left:
            run_sql(connection, f"DROP SCHEMA IF EXISTS {CAPTURE_SCHEMA}")

    if not patiently(connection, options, work, where=where):
        left.append(f"schema {CAPTURE_SCHEMA}, which somebody uses")
    return left
