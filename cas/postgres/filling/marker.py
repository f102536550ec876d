"""The mark on a database that a restore is filling: an empty schema with a comment that says so.

It is committed, durably, before the first object is created, and dropped by the transaction that
completes the restore. A killed or failed restore leaves it behind, so that a database that holds a
part of its data is never taken for a whole one. A schema is the one thing that whoever may fill
a database may also create and drop, and that every tool shows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep

import psycopg

from cas.errors import Conflict
from cas.postgres.faults import faults_of
from cas.postgres.filling.faults import refusal
from cas.postgres.quoting import literal, shown

MARKER_SCHEMA = "cas_restore"

_LOCK = 0x6361735F72657374
"""Advisory lock (bigint) that a running restore holds in its target: the bytes of "cas_rest"."""

PATIENCE_SECONDS = 2.0
"""How long the lock is waited for: a server may notice late that whoever held it is gone."""

_READ = """
SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = %s
"""


@dataclass(frozen=True, slots=True)
class Marker:
    """What the marker of an earlier restore says, and whether that restore still runs."""

    text: str
    is_running: bool


def read_marker(connection: psycopg.Connection) -> Marker | None:
    """The marker of this database. None where there is none."""
    with faults_of("looking for the mark of an earlier restore"):
        row = connection.execute(_READ, [MARKER_SCHEMA]).fetchone()
        if row is None:
            return None
        free = _try_lock(connection)
        if free:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    return Marker(str(row[0]), is_running=not free)


def require_unmarked(connection: psycopg.Connection, where: str) -> None:
    """Conflict where a restore runs or was broken off here; says what to do."""
    marker = read_marker(connection)
    if marker is None:
        return
    if marker.is_running:
        raise Conflict("another restore is filling this database", where=where, hint="Wait for it to end")
    raise Conflict(
        f"a restore into this database did not end, and left a part of the data: {marker.text}",
        where=where,
        hint=f"Drop the database and create it again, empty. The schema {MARKER_SCHEMA} marks it",
    )


def set_marker(connection: psycopg.Connection, text: str, where: str) -> None:
    """Mark the database, durably; the connection holds the lock of a running restore from now on."""
    with faults_of(where):
        if not _try_lock(connection):
            raise Conflict("another restore is filling this database", where=where, hint="Wait for it to end")
    comment = f'COMMENT ON SCHEMA "{MARKER_SCHEMA}" IS '.encode() + literal(text)
    try:
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = on")
            connection.execute(f'CREATE SCHEMA "{MARKER_SCHEMA}"'.encode())
            connection.execute(comment)
    except psycopg.Error as error:
        fault = refusal(error, doing=f"marking the target by a schema {MARKER_SCHEMA}", where=where)
        database, user = shown(connection.info.dbname), shown(connection.info.user)
        fault.hint = fault.hint or f"GRANT CREATE ON DATABASE {database} TO {user}"
        raise fault from error


def remove_marker(connection: psycopg.Connection, last: Callable[[], None], where: str) -> None:
    """Drop the marker, and call `last`, which works over the same connection, in one durable transaction.

    The marker goes first: an event trigger that `last` creates must not fire for it.
    """
    try:
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = on")
            connection.execute(f'DROP SCHEMA "{MARKER_SCHEMA}" RESTRICT'.encode())
            last()
    except psycopg.Error as error:
        raise refusal(error, doing="completing the restore", where=where) from error


def _try_lock(connection: psycopg.Connection) -> bool:
    ends = monotonic() + PATIENCE_SECONDS
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
        if row is not None and row[0]:
            return True
        if monotonic() >= ends:
            return False
        sleep(PATIENCE_SECONDS / 40)
