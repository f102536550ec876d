"""Materialized views over the written tables: refreshed within the transaction where readers may go on."""

from collections.abc import Sequence
from contextlib import suppress

import psycopg

from cas.errors import CasError
from cas.postgres.faults import fault_of
from cas.postgres.filling.faults import refusal
from cas.records.target import Finding

# From views to what they read: pg_rewrite depends on the relations of its query.
_DEPENDING = """
WITH RECURSIVE reading AS (
  SELECT r.ev_class AS view, d.refobjid AS relation
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
), reached AS (
  SELECT view, 1 AS depth FROM reading WHERE relation = ANY (%s::oid[])
  UNION
  SELECT n.view, r.depth + 1 FROM reading n JOIN reached r ON r.view = n.relation WHERE r.depth < 100
)
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       pg_has_role(c.relowner, 'USAGE') OR current_setting('server_version_num')::int >= 170000
       AND has_table_privilege(c.oid, CASE WHEN current_setting('server_version_num')::int >= 170000
                                           THEN 'MAINTAIN' ELSE 'SELECT' END),
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
               AND i.indpred IS NULL AND i.indexprs IS NULL)
FROM reached JOIN pg_class c ON c.oid = view JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated
GROUP BY c.oid, n.nspname, c.relname ORDER BY max(depth), 1
"""


def views_of_others(connection: psycopg.Connection, relations: Sequence[int]) -> Sequence[Finding]:
    """Materialized views over these tables that the role may not refresh: they stay as they are."""
    return [
        Finding(
            False,
            f"materialized view {name} belongs to another role, and will not be refreshed",
            f"REFRESH MATERIALIZED VIEW {name}; by its owner, afterwards",
        )
        for name, may_refresh, _ in connection.execute(_DEPENDING, [list(relations)]).fetchall()
        if not may_refresh
    ]


def refresh_within(connection: psycopg.Connection, relations: Sequence[int]) -> Sequence[str]:
    """Refresh CONCURRENTLY what can be; returns those that must wait for COMMIT, quoted. A view that
    depends on one that waits, waits too; so does one that fails, which takes nothing else back."""
    late: list[str] = []
    try:
        for name, _, is_concurrent in connection.execute(_DEPENDING, [list(relations)]).fetchall():
            if late or not is_concurrent or not _refreshed(connection, name):
                late.append(name)
    except psycopg.Error as error:
        raise refusal(error, doing="refreshing views", where=connection.info.dbname) from error
    return late


def _refreshed(connection: psycopg.Connection, name: str) -> bool:
    """Whether it could be, within a savepoint."""
    connection.execute("SAVEPOINT cas_refresh")
    try:
        statement = f"REFRESH MATERIALIZED VIEW CONCURRENTLY {name}"
        connection.execute(statement.encode("utf-8", "surrogateescape"))
    except psycopg.Error as error:
        if connection.closed or isinstance(error, psycopg.errors.QueryCanceled):
            raise  # all of it was cancelled, or cut off
        connection.execute("ROLLBACK TO SAVEPOINT cas_refresh")
        return False
    connection.execute("RELEASE SAVEPOINT cas_refresh")
    return True


def refresh_after(connection: psycopg.Connection, names: Sequence[str], patience: float) -> Sequence[str]:
    """After COMMIT, each by itself; what could not be is told and takes nothing back. `patience`: seconds
    that each waits for its lock."""
    notes = []
    if names:
        with suppress(psycopg.Error):
            connection.execute(b"SET lock_timeout = %d" % round(patience * 1000))
    for name in names:
        try:
            connection.execute(f"REFRESH MATERIALIZED VIEW {name}".encode("utf-8", "surrogateescape"))
        except psycopg.Error as error:
            fault: CasError = fault_of(error)
            notes.append(f"materialized view {name} could not be refreshed: {fault.what}")
    return notes
