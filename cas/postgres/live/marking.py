"""A moment in a server's history, and the rows that were written after it.

Candidates are found by the age of a row's xmin and not by its number, so that a wrapped counter cannot
hide one: everything at or above the oldest transaction that was running then. That is more than was
written since, and never less: subtransactions of those that ran are above it too.
"""

import psycopg

from cas.postgres.faults import faults_of
from cas.records.live import Mark

MAX_AGE = 1 << 30
"""Transactions after which a mark is not used any more: ages count to 2^31 and then begin anew."""

_MARK = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8,
       (SELECT system_identifier::text FROM pg_control_system()),
       (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
       pg_postmaster_start_time()::text
"""

_DISTANCE = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8 - %s"


def mark_of(connection: psycopg.Connection) -> Mark:
    """The moment of the connection's transaction."""
    with faults_of("marking a moment"):
        xmin, system, database, started = connection.execute(_MARK).fetchall()[0]
    return Mark(xmin, system, database, started)


def condition_since(connection: psycopg.Connection, since: Mark) -> bytes | None:
    """A condition on rows `r` that holds for all that were written after the mark; None where it is of
    another history, or too long ago."""
    now = mark_of(connection)
    if (now.system_identifier, now.database_oid, now.started) != (
        since.system_identifier,
        since.database_oid,
        since.started,
    ):
        return None
    with faults_of("marking a moment"):
        distance = connection.execute(_DISTANCE, [since.xmin]).fetchall()[0][0]
    if not 0 <= distance < MAX_AGE:
        return None
    low = since.xmin % (1 << 32)
    return b"pg_catalog.age(r.xmin) <= pg_catalog.age('%d'::pg_catalog.xid)" % low
