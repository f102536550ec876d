"""How it stands with change capture, table by table."""

from contextlib import closing

import psycopg

from cas.postgres.capture.families import family_of, obstacle_of
from cas.postgres.capture.naming import POSITIONS, SEAL, log_name
from cas.postgres.capture.patience import CaptureOptions
from cas.postgres.capture.reading import EMPTIED, NO_LOG, NO_RIGHT, may_read
from cas.postgres.capture.seals import log_oid, moved_part, seal_of
from cas.postgres.capture.wholeness import flaw_of
from cas.postgres.connecting import connect, shown_url
from cas.postgres.faults import faults_of
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Table
from cas.records.capture import CaptureState, CaptureStatus, TableCapture

_LOG = """
SELECT count(*), to_char(min(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM {log} WHERE operation <> %s
"""


def status(url: str, options: CaptureOptions | None = None) -> CaptureStatus:
    """Of all tables that versions can hold. Raises as faults do."""
    chosen = options or CaptureOptions()
    with closing(connect(url, chosen.connection)) as connection:
        tables = [_status_of(connection, table) for table in introspect(connection).tables]
        with faults_of(shown_url(url)):
            readers = _readers(connection)
    return CaptureStatus(tables, readers)


def _readers(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "SELECT coalesce(has_table_privilege(to_regclass(%s), 'SELECT'), false)", [POSITIONS]
    ).fetchone()
    if row is None or not row[0]:
        return 0
    return int(
        connection.execute(f"SELECT count(DISTINCT reader) FROM {POSITIONS}".encode()).fetchall()[0][0]
    )


def _status_of(connection: psycopg.Connection, table: Table) -> TableCapture:
    schema, name = table.entity.schema, table.entity.name
    log = log_oid(connection, table.oid)
    if log is None:
        reason = obstacle_of(table, family_of(connection, table)) or NO_LOG
        return TableCapture(schema, name, CaptureState.ABSENT, reason)
    if not may_read(connection, log):
        return TableCapture(schema, name, CaptureState.BROKEN, NO_RIGHT)
    reason = flaw_of(connection, table) or _doubt(connection, table, log)
    state = CaptureState.BROKEN if reason else CaptureState.CAPTURED
    with faults_of(table.entity.label):
        log_table = f"{CAPTURE_SCHEMA}.{log_name(table.oid)}"
        rows, oldest = connection.execute(_LOG.format(log=log_table).encode(), [SEAL]).fetchall()[0]
        size = connection.execute("SELECT pg_total_relation_size(%s::oid)", [log]).fetchall()[0][0]
    return TableCapture(schema, name, state, reason, rows, size, oldest or "")


def _doubt(connection: psycopg.Connection, table: Table, log: int) -> str:
    """Why the log is not believed though all of the capture is there; the next version mends that."""
    seal = seal_of(connection, table)
    if seal is None:
        return f"{EMPTIED}; believed again after the next version"
    moved = moved_part(connection, table, family_of(connection, table), log, seal)
    return f"{moved}, and is right again; believed after the next version" if moved else ""
