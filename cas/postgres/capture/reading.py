"""What a log says of one table since a version, or why it says nothing.

Whatever makes a log doubtful is a reason to read in another way; nothing of it is an error.
"""

import psycopg

from cas.errors import CasError, ConnectionFailed, TimedOut
from cas.postgres.capture.changes import CapturedChanges, Written
from cas.postgres.capture.families import family_of, obstacle_of
from cas.postgres.capture.keys import log_keys
from cas.postgres.capture.naming import POSITIONS, SEAL, WATERMARKS, log_name
from cas.postgres.capture.seals import REWRITTEN, log_oid, moved_part, seal_of
from cas.postgres.capture.snapshots import COVERS, checked
from cas.postgres.capture.wholeness import flaw_of_triggers
from cas.postgres.faults import faults_of
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Table
from cas.records.marks import Mark

_MAY_READ = f"""
SELECT has_schema_privilege('{CAPTURE_SCHEMA}', 'USAGE')
   AND (SELECT bool_and(has_table_privilege(oid, 'SELECT') AND NOT row_security_active(oid)) FROM pg_class
        WHERE relnamespace = to_regnamespace('{CAPTURE_SCHEMA}') AND relkind IN ('r', 'S')
          AND (relname IN ('positions', 'watermarks', 'lost') OR oid = %s::oid))
"""

_MOMENT = f"""
SELECT pg_snapshot_xmax(%(base)s::text::pg_snapshot) <= pg_snapshot_xmax(pg_current_snapshot())
       AND {COVERS.format(earlier="%(base)s::text::pg_snapshot", later="pg_current_snapshot()")},
       EXISTS (SELECT FROM {POSITIONS} p
               WHERE p.reader = %(reader)s AND p.log = %(log)s::oid AND p.snapshot::text = %(base)s::text)
       AND NOT EXISTS (SELECT FROM {WATERMARKS} w WHERE w.log = %(log)s::oid
                       AND NOT ({COVERS.format(earlier="w.snapshot", later="%(base)s::text::pg_snapshot")})),
       pg_visible_in_snapshot(%(sealed)s::text::xid8, %(base)s::text::pg_snapshot)
       AND (%(first)s OR pg_snapshot_xmin(%(base)s::text::pg_snapshot) > %(sealed)s::text::xid8)
"""

NO_LOG = "not captured"
NO_RIGHT = "the connected role may not read the log (cas capture install --reader ROLE)"
UNREADABLE = "the log cannot be read"
EMPTIED = "the log lost rows in a crash, was emptied, or was not whole at the last version"
OTHER_HISTORY = "the server was set back to a moment before the last version"
PRUNED = "the log was pruned further than this repository read, or this repository never told what it read"
TOO_YOUNG = "it is captured for too short a time"
TRUNCATED = "TRUNCATE"
TOO_MANY = "more keys in one statement than are noted"
TOO_LONG = "a key is too long to be noted"


def captured(
    connection: psycopg.Connection, table: Table, base_snapshot: str, repository_id: str
) -> CapturedChanges | str:
    """What was written to the table after the base and is visible now; a str says why that is not known.

    connection: one that `connect` made, inside of the REPEATABLE READ transaction that the version is read
    from, in the conversation's encoding, with the table locked. base_snapshot: pg_current_snapshot() of the
    read that the version builds upon, as text; `prune` was told of it. Raises as faults do.
    """
    base = checked(base_snapshot)
    try:
        with connection.transaction():  # a savepoint: what fails must not end the version's transaction
            return _captured(connection, table, base, repository_id)
    except (ConnectionFailed, TimedOut):
        raise
    except CasError as error:
        return f"{UNREADABLE}: {error.what}"


def is_quiet(
    connection: psycopg.Connection, table: Table, base: Mark, since: Mark, repository_id: str
) -> bool:
    """Whether nothing was written to the table after `since`, which is not before `base`. False also where
    that is not known. For the connection see `captured`; the table is locked against writers."""
    if isinstance(captured(connection, table, base.snapshot, repository_id), str):
        return False
    query = (
        f"SELECT NOT EXISTS (SELECT FROM {CAPTURE_SCHEMA}.{log_name(table.oid)}"
        " WHERE operation <> %s AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot))"
    )
    with faults_of(table.entity.label):
        asked = [SEAL, checked(since.snapshot)]
        return bool(connection.execute(query.encode(), asked).fetchall()[0][0])


def _captured(
    connection: psycopg.Connection, table: Table, base: str, repository_id: str
) -> CapturedChanges | str:
    log = log_oid(connection, table.oid)
    if log is None:
        return NO_LOG
    label = table.entity.label
    if not may_read(connection, log):
        return NO_RIGHT
    family = family_of(connection, table)
    obstacle = obstacle_of(table, family)
    if obstacle:
        return obstacle
    flaw = flaw_of_triggers(connection, table, family)
    if flaw:
        return flaw
    seal = seal_of(connection, table)
    if seal is None:
        return EMPTIED
    moved = moved_part(connection, table, family, log, seal)
    if moved:
        return TRUNCATED if moved == REWRITTEN and _was_truncated(connection, table, base) else moved
    asked = {
        "base": base,
        "reader": repository_id,
        "log": log,
        "sealed": seal.transaction,
        "first": seal.is_first,
    }
    with faults_of(label):
        is_past, is_kept, is_covered = connection.execute(_MOMENT, asked).fetchall()[0]
    if not is_past:
        return OTHER_HISTORY
    if not is_covered:
        return TOO_YOUNG
    if not is_kept:
        return PRUNED
    return _read(connection, table, base, seal.transaction)


def _was_truncated(connection: psycopg.Connection, table: Table, base: str) -> bool:
    query = (
        f"SELECT EXISTS (SELECT FROM {CAPTURE_SCHEMA}.{log_name(table.oid)} WHERE operation = 'T'"
        " AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot))"
    )
    with faults_of(table.entity.label):
        return bool(connection.execute(query.encode(), [base]).fetchall()[0][0])


def may_read(connection: psycopg.Connection, log: int) -> bool:
    """Whether the connected role may read this log, and what belongs to it."""
    with faults_of("looking at the log"):
        return bool(connection.execute(_MAY_READ, [log]).fetchall()[0][0])


def _read(connection: psycopg.Connection, table: Table, base: str, seal: str) -> CapturedChanges | str:
    keys = log_keys(connection, table)
    unfixed = [f"array_position(k{key.number}, NULL)" for key in keys if not key.is_fixed]
    too_long = f"coalesce({', '.join(unfixed)}) IS NOT NULL" if unfixed else "false"
    query = f"""
        SELECT coalesce(bool_or(operation = 'T'), false),
               coalesce(bool_or(k1 IS NULL AND operation IN ('I', 'U', 'D')), false),
               coalesce(bool_or({too_long}), false),
               coalesce(sum(cardinality(k1)), 0)::int8,
               coalesce(sum(CASE operation WHEN 'I' THEN rows WHEN 'D' THEN -rows END), 0)::int8
        FROM {CAPTURE_SCHEMA}.{log_name(table.oid)}
        WHERE operation <> %s AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot)
    """
    with faults_of(table.entity.label):
        row = connection.execute(query.encode(), [SEAL, base]).fetchall()[0]
    for is_so, reason in zip(row, (TRUNCATED, TOO_MANY, TOO_LONG), strict=False):
        if is_so:
            return reason
    return CapturedChanges(connection, table, keys, base, Written(int(row[3]), int(row[4])), seal)
