"""The beginning of a consistent read: locks first, then the snapshot, then a second look.

A snapshot that is older than the locks can show a table as empty after a concurrent TRUNCATE or a
rewriting ALTER TABLE. So nothing that takes a snapshot runs before `LOCK TABLE`: the transaction
begins, its lock_timeout is set (SET takes none), all tables are locked, and only then are the
catalogs read, and compared with what was locked.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg

from cas.errors import CasError, SourceChanged, TimedOut
from cas.postgres.connecting import ConnectionOptions, connect, server_encoding, shown_url
from cas.postgres.faults import faults_of
from cas.postgres.quoting import qualified
from cas.postgres.reading.copying import read_ahead, run
from cas.postgres.reading.identity import identity_of, require_honest
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.obstacles import refusal
from cas.postgres.reading.selecting import Chosen, choose
from cas.postgres.reading.shapes import Table
from cas.records.model import EntityKind
from cas.records.source import Selection, SourceIdentity

BEGIN = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE"

LONGEST_JOINING = 1.0
"""Seconds. All tables are locked already when another connection joins: what makes it wait is somebody who
waits for us, and behind whom the platform stands still."""

TABLES_PER_LOCK = 500
"""Tables in one LOCK statement: few statements, and none of unbounded length."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long locks are waited for (seconds), and how often a read is begun before it is given up."""

    lock_timeout: float = 30.0
    openings: int = 5

    @property
    def joining(self) -> "Patience":
        """Of those who join an opened read."""
        usual = self.lock_timeout or LONGEST_JOINING
        return replace(self, lock_timeout=min(usual, LONGEST_JOINING))


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection inside of the transaction that everything is read from."""

    connection: psycopg.Connection
    identity: SourceIdentity
    chosen: Chosen
    snapshot_id: str
    """Under which other connections, and pg_dump, see the same rows."""


def open_snapshot(
    url: str,
    options: ConnectionOptions,
    patience: Patience,
    selection: Selection,
    *,
    allow_incomplete: bool,
) -> Opened:
    """Begin the read, again and again while the platform's tables change under it.

    Raises PermissionDenied naming what may not be read, InvalidInput for a pattern that matches
    nothing, TimedOut or SourceChanged after the last attempt, ConnectionFailed.
    """
    for attempt in range(1, patience.openings + 1):
        try:
            return _opened(url, options, patience, selection, allow_incomplete=allow_incomplete)
        except (SourceChanged, TimedOut):
            if attempt == patience.openings:
                raise
    raise AssertionError("at least one attempt")


def lock(connection: psycopg.Connection, tables: Sequence[Table], patience: Patience, *, where: str) -> None:
    """Inside of a transaction without a snapshot: ACCESS SHARE on all tables, partitions included.

    Such a lock makes only those wait who drop, alter, truncate or rewrite a table. The transaction's later
    statements wait no longer for a lock than these: printing a composite value locks its type, which somebody
    may be altering.
    """
    encoding = server_encoding(connection)
    run(connection.pgconn, b"SET LOCAL lock_timeout = %d" % round(patience.lock_timeout * 1000), where=where)
    for at in range(0, len(tables), TABLES_PER_LOCK):
        names = [
            (b"" if table.entity.kind is EntityKind.PARTITIONED else b"ONLY ")
            + qualified(table.entity.schema, table.entity.name, encoding)
            for table in tables[at : at + TABLES_PER_LOCK]
        ]
        run(connection.pgconn, b"LOCK TABLE %b IN ACCESS SHARE MODE" % b", ".join(names), where=where)


@contextmanager
def joined(
    url: str, options: ConnectionOptions, patience: Patience, opened: Opened
) -> Iterator[psycopg.Connection]:
    """A further connection that sees the same rows: locks first, then the exported snapshot.

    Raises SourceChanged where a lock cannot be had in time: somebody waits to alter a table, and
    everything has to be rolled back to let them.
    """
    connection = connect(url, options)
    where = shown_url(url)
    try:
        run(connection.pgconn, BEGIN, where=where)
        try:
            lock(connection, opened.chosen.tables, patience.joining, where=where)
        except TimedOut as error:
            raise SourceChanged(
                "somebody waits to alter a table that is being read", where=error.where, hint="Start again"
            ) from error
        run(connection.pgconn, b"SET TRANSACTION SNAPSHOT '%b'" % opened.snapshot_id.encode(), where=where)
        read_ahead(connection.pgconn, where=where)
        yield connection
    finally:
        connection.close()


def _opened(
    url: str,
    options: ConnectionOptions,
    patience: Patience,
    selection: Selection,
    *,
    allow_incomplete: bool,
) -> Opened:
    where = shown_url(url)
    connection = connect(url, options)
    try:
        require_honest(connection, where)
        chosen = _readable(connection, selection, allow_incomplete=allow_incomplete)
        run(connection.pgconn, BEGIN, where=where)
        try:
            lock(connection, chosen.tables, patience, where=where)
        except TimedOut as error:
            connection.rollback()
            raise _blocked(connection, chosen.oids, error) from error
        chosen = _unmoved(connection, selection, chosen.tables)
        with faults_of(where):
            snapshot_id = str(connection.execute("SELECT pg_export_snapshot()").fetchall()[0][0])
        read_ahead(connection.pgconn, where=where)
        return Opened(connection, identity_of(connection), chosen, snapshot_id)
    except BaseException:
        connection.close()
        raise


def _readable(connection: psycopg.Connection, selection: Selection, *, allow_incomplete: bool) -> Chosen:
    chosen = choose(introspect(connection), selection)
    if chosen.refused and not allow_incomplete:
        raise refusal(chosen.refusals)
    return chosen


def _unmoved(connection: psycopg.Connection, selection: Selection, locked: Sequence[Table]) -> Chosen:
    """The choice as the transaction's snapshot shows it, which now is taken; it must be what is locked."""
    again = choose(introspect(connection, [oid for table in locked for oid in table.relations]), selection)
    seen = [table.without_defaults for table in again.tables]
    if seen != list(locked):
        raise SourceChanged(
            "tables were created, altered or dropped while the read began",
            where=", ".join(moved_names(locked, seen)[:5]),
            hint="Try again when the migration is over",
        )
    return again


def moved_names(before: Iterable[Table], after: Iterable[Table]) -> list[str]:
    """Labels of the tables that are not the same in both, ascending."""
    old = {table.oid: table for table in before}
    new = {table.oid: table for table in after}
    moved = [old.get(oid, new.get(oid)) for oid in old.keys() | new.keys() if old.get(oid) != new.get(oid)]
    return sorted(table.entity.label for table in moved if table is not None)


def _blocked(connection: psycopg.Connection, oids: Iterable[int], error: TimedOut) -> CasError:
    """The time-out, with the names of the tables that somebody has locked, as far as can be seen."""
    with faults_of(error.where):
        rows = connection.execute(
            """SELECT DISTINCT l.relation::regclass::text, l.pid FROM pg_locks l
               WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND l.relation = ANY (%s::oid[]) AND l.mode = 'AccessExclusiveLock' AND l.granted
               ORDER BY 1, 2 LIMIT 5""",
            [sorted(oids)],
        ).fetchall()
    held = ", ".join(f"{name} by process {pid}" for name, pid in rows)
    return TimedOut(
        "an exclusive lock was held on a table for longer than we wait",
        where=held or error.where,
        hint="Wait for the migration or maintenance to end; pg_stat_activity shows it",
    )
