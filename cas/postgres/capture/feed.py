"""What happened on a platform, transaction by transaction, from the logs of change capture.

Transactions are told apart from those that were seen before by snapshots and not by their numbers: one with a
lower number may commit later. Of each poll the snapshot is kept, and a position in the platform keeps the
logs from being pruned further than it.
"""

import time
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from uuid import uuid4

import psycopg

from cas.errors import CasError
from cas.postgres.capture.feed_base import PolledPlatform
from cas.postgres.capture.naming import POSITIONS, SEAL, log_name
from cas.postgres.capture.patience import CaptureOptions
from cas.postgres.capture.status import status
from cas.postgres.connecting import ConnectionOptions
from cas.postgres.reading.shapes import CAPTURE_SCHEMA
from cas.records.capture import CaptureState
from cas.records.changes import MovedRows, PlatformTransaction

FEED = "feed:"
"""What the names of feeds begin with, where repositories have theirs."""

RENEW_SECONDS = 3600.0
"""How often a feed says that it is still there, where nothing happens: readers are forgotten after days."""

_LOGS = """
SELECT c.oid::int8, t.oid::int8, n.nspname::text, t.relname::text
FROM pg_class c JOIN pg_class t ON t.oid::int8 = substr(c.relname::text, 5)::int8
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind = 'r' AND c.relname::text ~ '^log_[0-9]{1,10}$'
ORDER BY 1
"""

# What was written through an inheritance parent stands in the parent's own log, with its count.
_MOVED = """
SELECT xid::text::numeric, %d, coalesce(sum(rows) FILTER (WHERE operation = 'I'), 0)::int8,
       coalesce(sum(rows) FILTER (WHERE operation = 'U'), 0)::int8,
       coalesce(sum(rows) FILTER (WHERE operation = 'D'), 0)::int8, bool_or(operation = 'T')
FROM %s WHERE operation <> '%s' AND NOT pg_visible_in_snapshot(xid, '%s'::pg_snapshot)
  AND (relation = %d OR relation IN (SELECT relid FROM pg_partition_tree(%d)))
GROUP BY xid
"""


class CaptureFeed(PolledPlatform):
    """See `cas.records.changes.ChangeFeed`. Its place in the logs is given up by `close`."""

    def __init__(self, url: str, options: ConnectionOptions | None = None) -> None:
        super().__init__(url, options)
        self._name = f"{FEED}{uuid4().hex}"
        self._seen: str | None = None
        self._held: tuple[int, ...] = ()
        self._told = time.monotonic()
        self._may_hold = True

    @property
    def sees(self) -> str:
        return "capture"

    def blind_spots(self) -> Sequence[str]:
        tables = status(self._url, CaptureOptions(self._options)).tables
        blind = [
            f"Changes of {table.label} are not seen: {table.reason}"
            for table in tables
            if table.state is not CaptureState.CAPTURED
        ]
        if not self._may_hold:
            blind.append(
                "The role may not write to the change log, so what is pruned between two looks is missed"
            )
        return blind

    def poll(self) -> Sequence[PlatformTransaction]:
        with self._connected() as connection:
            logs = connection.execute(_LOGS, [CAPTURE_SCHEMA]).fetchall()
            if self._seen is None:
                self._seen = self._hold(connection, [log for log, *_ in logs], None)
                return ()
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                now = str(connection.execute("SELECT pg_current_snapshot()::text").fetchall()[0][0])
                rows = self._rows(connection, logs, self._seen)
            self._seen = now
            is_due = time.monotonic() - self._told > RENEW_SECONDS
            if rows or is_due or tuple(log for log, *_ in logs) != self._held:
                self._hold(connection, [log for log, *_ in logs], now)
        names = {oid: (schema, name) for _, oid, schema, name in logs}
        return [
            PlatformTransaction(tuple(_moved(names[row[1]], row) for row in group))
            for _, group in groupby(rows, itemgetter(0))
        ]

    def close(self) -> None:
        """Let the logs be pruned without regard to this feed."""
        try:
            if self._seen is not None and self._may_hold:
                with self._connected() as connection:
                    connection.execute(f"DELETE FROM {POSITIONS} WHERE reader = %s".encode(), [self._name])
        except CasError:
            pass  # it is forgotten by its age
        super().close()

    def _rows(
        self, connection: psycopg.Connection, logs: Sequence[tuple[int, int, str, str]], seen: str
    ) -> list[tuple[int, int, int, int, int, bool]]:
        if not logs:
            return []
        parts = [
            _MOVED % (oid, f"{CAPTURE_SCHEMA}.{log_name(oid)}", SEAL, seen, oid, oid) for _, oid, *_ in logs
        ]
        return connection.execute((" UNION ALL ".join(parts) + " ORDER BY 1, 2").encode()).fetchall()

    def _hold(self, connection: psycopg.Connection, logs: Sequence[int], snapshot: str | None) -> str:
        """Keep the logs from this snapshot on, or from now; the snapshot. Pruning must not run beside it."""
        try:
            with connection.transaction():
                if logs:
                    connection.execute("SET LOCAL lock_timeout = '2s'")
                    connection.execute(f"LOCK TABLE {POSITIONS} IN SHARE ROW EXCLUSIVE MODE".encode())
                    connection.execute(f"DELETE FROM {POSITIONS} WHERE reader = %s".encode(), [self._name])
                row = connection.execute(
                    "SELECT coalesce(%s::text::pg_snapshot, pg_current_snapshot())::text", [snapshot]
                ).fetchall()[0]
                if logs:
                    connection.execute(
                        f"INSERT INTO {POSITIONS} (reader, log, snapshot, noted)"
                        " SELECT %s, unnest(%s::oid[]), %s::text::pg_snapshot, clock_timestamp()".encode(),
                        [self._name, list(logs), row[0]],
                    )
            self._held, self._told = tuple(logs), time.monotonic()
            return str(row[0])
        except psycopg.errors.InsufficientPrivilege:
            self._may_hold = False
        except psycopg.errors.LockNotAvailable:
            pass  # the older position still holds
        self._held = tuple(logs)
        return snapshot or str(connection.execute("SELECT pg_current_snapshot()::text").fetchall()[0][0])


def _moved(name: tuple[str, str], row: tuple[int, int, int, int, int, bool]) -> MovedRows:
    schema, table = name
    return MovedRows(schema, table, inserted=row[2], updated=row[3], deleted=row[4], truncated=row[5])
