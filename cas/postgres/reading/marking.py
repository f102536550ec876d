"""A moment in a server's history, and the rows that were written after it.

Candidates are found by the age of a row's xmin and not by its number, so that a wrapped counter cannot
hide one: everything at or above the oldest transaction that was running then. That is more than was
written since, and never less: subtransactions of those that ran are above it too.

A table that was swapped for another, or a partition, brings rows that are older than the mark. Its rows in
the system catalogs are not, so these are looked at in the same way. They move with TRUNCATE, VACUUM FULL,
CLUSTER and ALTER TABLE as well, and not with VACUUM or ANALYZE, which write in place. So do those of its
columns: a generated column becomes an ordinary one and takes the name of one that is dropped, or two of them
exchange names under a key, and the definition is what it was.

A server that recovers from a crash of one of its processes keeps its starting time, and may give the
numbers of commits that had not reached the disk (`synchronous_commit = off`) once more. It resets its
statistics then, which belong to the mark for that reason: nothing else that every role may read tells it.
"""

from collections.abc import Sequence

import psycopg

from cas.postgres.faults import faults_of
from cas.records.marks import Mark

MAX_AGE = 1 << 30
"""Transactions after which a mark is not used any more: ages count to 2^31 and then begin anew."""

_MARK = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8, pg_current_snapshot()::text,
       (SELECT system_identifier::text FROM pg_control_system()),
       (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
       (SELECT timeline_id::int8 FROM pg_control_checkpoint()), pg_is_in_recovery(),
       concat_ws(' ', pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter))
"""

_SWAPPED = """
WITH mark AS (SELECT age(%(low)s::text::xid) AS age)
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, mark
               WHERE c.oid = ANY (%(oids)s::oid[]) AND (age(c.xmin) <= mark.age OR age(n.xmin) <= mark.age))
    OR EXISTS (SELECT FROM pg_attribute a, mark
               WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND age(a.xmin) <= mark.age)
    OR EXISTS (SELECT FROM pg_inherits i, mark WHERE age(i.xmin) <= mark.age
               AND (i.inhrelid = ANY (%(oids)s::oid[]) OR i.inhparent = ANY (%(oids)s::oid[])))
"""

_OTHER_STORAGE = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_am a ON a.oid = c.relam
               WHERE c.oid = ANY (%s::oid[]) AND a.amhandler <> 'pg_catalog.heap_tableam_handler'::regproc)
"""
# An xmin means what is relied upon here in PostgreSQL's own storage.

_DISTANCE = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8 - %s"


def mark_of(connection: psycopg.Connection) -> Mark:
    """The moment of the connection's transaction."""
    with faults_of("marking a moment"):
        return Mark(*connection.execute(_MARK).fetchall()[0])


def condition_since(connection: psycopg.Connection, since: Mark, relations: Sequence[int]) -> bytes | str:
    """A condition on rows `r` of a table that holds for all that were written after the mark. `relations`:
    the table and its partitions. Else why there is none, in words: the mark is of another history or too
    long ago, or the table or one of its partitions may have been another one then."""
    why_not = mark_of(connection).why_not_since(since)
    if why_not:
        return why_not
    with faults_of("marking a moment"):
        distance = connection.execute(_DISTANCE, [since.xmin]).fetchall()[0][0]
    if not 0 <= distance < MAX_AGE:
        return "too many transactions since the earlier read"
    low = since.xmin % (1 << 32)
    with faults_of("marking a moment"):
        swapped = connection.execute(_SWAPPED, {"low": str(low), "oids": list(relations)}).fetchall()[0][0]
        is_other = connection.execute(_OTHER_STORAGE, [list(relations)]).fetchall()[0][0]
    if is_other:
        return "another way of storing rows than PostgreSQL's own"
    if swapped:
        return "the table was altered, rewritten or truncated, or a partition came or went"
    return b"pg_catalog.age(r.xmin) <= pg_catalog.age('%d'::pg_catalog.xid)" % low
